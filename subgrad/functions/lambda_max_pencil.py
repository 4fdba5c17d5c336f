r"""The largest eigenvalue of A_0 + sum_i y_i A_i as a function of y.

.. math:: f(y) = \lambda_{\max}(A_0 + \sum_i y_i A_i), \qquad
   \partial f(y) = \{ (\langle A_i, V Z V^T \rangle)_i : Z \succeq 0, \ tr Z = 1 \}

with V an orthonormal basis of the eigenspace of the largest eigenvalue (Overton, SIAM
J. Matrix Anal. Appl. 9, 1988; Lewis, Math. Program. 97, 2003).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array, count, nonnegative
from subgrad._eigenpair import SMALL, Eigenpair, largest_eigenpair, ritz
from subgrad.core import Function, Mask, Set
from subgrad.sets.spectraplex_image import Pencil, face


class LambdaMaxPencil(Function):
    r"""f(y) = lambda_max(A_0 + sum_i y_i A_i) of symmetric matrices of size n.

    A0 and each of As an array, a scipy.sparse array or a LinearOperator;
    `LambdaMaxPencil.diagonal(A0)` is lambda_max(A_0 + Diag(y)). Up to n = 200 by LAPACK
    and exact. Above, by Lanczos to the relative tolerance `tol` (0: that of the
    arithmetic), one point after the other: values are Rayleigh quotients, at most f(y),
    and for every subgradient g

    .. math:: f(z) \ge f(y) + \langle g, z - y \rangle - error

    with the error of `eigenpair(y)`. The subdifferential is then spanned by at most
    `vectors` Ritz vectors, those within max(eps - error, rounding) of the largest, and
    only inclusion is claimed (`exact` is False); f'(y; d) is its support function.
    """

    def __init__(self, A0: Any, As: Any, tol: Any = 0.0, vectors: int = 6) -> None:
        self._set(Pencil(A0, As), tol, vectors)

    @classmethod
    def diagonal(cls, A0: Any, tol: Any = 0.0, vectors: int = 6) -> LambdaMaxPencil:
        """lambda_max(A_0 + Diag(y))."""
        return cls.__new__(cls)._set(Pencil.diagonal(A0), tol, vectors)

    def _set(self, pencil: Pencil, tol: Any, vectors: int) -> LambdaMaxPencil:
        self.pencil, self.n = pencil, pencil.k
        self.tol, self.vectors = float(nonnegative("tol", tol)), count(vectors)
        return self

    def _key(self) -> tuple[Any, ...]:
        return (self.pencil, self.tol, self.vectors)

    @property
    def _small(self) -> bool:
        return self.pencil.size <= SMALL

    def matrix(self, y: Any) -> Any:
        """A_0 + sum_i y_i A_i: an array up to n = 200, above sparse or an operator."""
        return self.pencil.linear(self._point(y, "y"), constant=True)

    def eigenpair(self, y: Any, prove: bool = False) -> Eigenpair:
        """f(y) with its eigenvector and error at one point; see largest_eigenpair."""
        y = self._point(y, "y")
        if y.ndim != 1:
            raise ValueError(f"y must be one point of shape ({self.n},), got {y.shape}")
        return largest_eigenpair(self.matrix(y), self.tol, prove)

    def _top(self, y: Array, k: int) -> tuple[Array, Array, Array]:
        """ritz over a batch of points, eigenvalues rising."""
        lead, n = y.shape[:-1], self.pencil.size
        k = min(k, n)
        w, V, r = np.empty((*lead, k)), np.empty((*lead, n, k)), np.empty((*lead, k))
        for i in np.ndindex(lead):
            found = ritz(self.pencil.linear(y[i], constant=True), k, self.tol)
            w[i], V[i], r[i] = (a[..., ::-1] for a in found)
        return w, V, r

    def _spectrum(self, y: Array) -> tuple[Array, Array]:
        return np.linalg.eigh(self.pencil.linear(y, constant=True))

    def _value(self, x: Array) -> Array:
        if self._small:
            return np.linalg.eigvalsh(self.pencil.linear(x, constant=True))[..., -1]
        return self._top(x, 1)[0][..., -1]

    def _subgradient(self, x: Array) -> Array:
        return self._oracle(x)[1]

    def _oracle(self, x: Array) -> tuple[Array, Array]:
        w, V = self._spectrum(x) if self._small else self._top(x, 1)[:2]
        v = V[..., -1]
        return w[..., -1], self.pencil.adjoint(v, v)

    def _subdifferential(self, x: Array, eps: Array) -> Set:
        if self._small:
            w, V = self._spectrum(x)
            return face(self.pencil, w, V, np.abs(w).max(-1), eps)
        w, V, r = self._top(x, self.vectors)
        # A vector of value w_i is worth eps where f(x) - w_i <= eps, f(x) <= w + r.
        room = np.maximum(eps - r[..., -1], 0.0)
        size = np.abs(w).max(-1) + r.max(-1)
        return face(self.pencil, w, V, size, room).proved(False)

    def _directional(self, x: Array, d: Array) -> Array:
        return self._subdifferential(x, np.zeros(())).support(d)

    def _costs(self, x: Array) -> Array:
        if not self._small:
            return super()._costs(x)
        w = self._spectrum(x)[0]
        return (w[..., -1] - w[..., 0])[..., None]

    def _nondecreasing(self, low: Array) -> Mask:
        # Proved where A_i is diagonal and nonnegative.
        p = self.pencil
        off = abs(p.B[p.rows != p.cols]).sum(axis=0)
        good = (off == 0) & (abs(p.B.minimum(0)).sum(axis=0) == 0)
        good[[i - 1 for i, _ in p.ops if i]] = False
        return good

    def _cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        p = self.pencil
        if p.ops:
            raise NotImplementedError(
                "LambdaMaxPencil.to_cvxpy: a LinearOperator has no entries to give"
            )
        spread = _spread(p)
        entries = spread @ (p.B @ x + p.constant)
        M = cp.reshape(entries, (p.size, p.size), order="C")
        return cp.lambda_max(M) if p.size > 1 else cp.sum(M)

    def __repr__(self) -> str:
        return f"LambdaMaxPencil({self.pencil!r})"


def _spread(p: Pencil) -> Any:
    """The entries of the pattern as a matrix in row order."""
    from scipy.sparse import csr_array

    places = p.rows * p.size + p.cols
    ones, columns = np.ones(len(places)), np.arange(len(places))
    return csr_array((ones, (places, columns)), shape=(p.size**2, len(places)))
