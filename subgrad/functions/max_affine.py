"""Maxima of affine functions, kept as one matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array, brief, real
from subgrad.affine import AffineMap, Matrix
from subgrad.calculus.precompose import Precomposed
from subgrad.core import Function, Mask, Set
from subgrad.functions.norms import max_entry
from subgrad.sets.hull import Hull


class MaxAffine(Precomposed):
    r"""f(x) = max_i <a_i, x> + b_i, A (..., m, n), b (..., m).

    .. math:: \partial f(x) = conv\{a_i : i \text{ active}\}, \quad
       conv\{a_i : f(x) - \langle a_i, x \rangle - b_i \le e\} \subseteq \partial_e f(x)
    """

    op: Any

    def __init__(self, A: Any, b: Any = 0.0) -> None:
        A, b = _rows(A, b)
        super().__init__(max_entry, AffineMap(None, Matrix(A), b, (A.shape[-2],)))

    def _subdifferential(self, x: Array, eps: Array) -> Set:
        v = self.map._forward(x)
        return Hull._raw(self.op.A, v >= (v.max(-1) - eps)[..., None])

    def _subgradient(self, x: Array) -> Array:
        return self._oracle(x)[1]

    def _oracle(self, x: Array) -> tuple[Array, Array]:
        v, A = self.map._forward(x), self.op.A
        i = np.argmax(v, axis=-1)
        if A.ndim == 2:
            return v.max(-1), A[i]
        A = np.broadcast_to(A, (*i.shape, *A.shape[-2:]))
        return v.max(-1), np.take_along_axis(A, i[..., None, None], -2)[..., 0, :]

    def conjugate(self) -> Function:
        r"""min{-<b, λ> : Aᵀ λ = g, λ in the simplex}, the hull of the (a_i, -b_i)."""
        from subgrad.functions.convex_interpolation import ConvexInterpolation

        if self.op.A.ndim > 2 or self.map.b.ndim > 1:
            raise NotImplementedError("MaxAffine.conjugate of a batch")
        return ConvexInterpolation(self.op.A, -self.map.b)

    def _nondecreasing(self, low: Array) -> Mask:
        A = self.op.A
        return np.all(A >= 0, axis=tuple(range(A.ndim - 1)))

    @brief
    def __repr__(self) -> str:
        return f"MaxAffine({self.op.A!r}, {self.map.b!r})"


def _rows(A: Any, b: Any) -> tuple[Array, Array]:
    """A (..., m, n) and b (..., m), checked."""
    A, b = real("A", A), real("b", b)
    if A.ndim < 2 or 0 in A.shape:
        raise ValueError(f"A must be a matrix (..., m, n), got shape {A.shape}")
    m = A.shape[-2]
    fits = b.ndim == 0 or b.shape[-1] == m
    try:
        np.broadcast_shapes(b.shape[:-1], A.shape[:-2])
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"b must have shape (..., {m}) for A of shape {A.shape}, got {b.shape}"
        )
    return A, np.broadcast_to(b, b.shape or (m,))


def max_abs_affine(A: Any, b: Any = 0.0) -> MaxAffine:
    """max_i |<a_i, x> - b_i|, A (..., m, n), b (..., m): NormInf of A x - b."""
    A, b = _rows(A, b)
    return MaxAffine(np.concatenate([A, -A], -2), np.concatenate([-b, b], -1))
