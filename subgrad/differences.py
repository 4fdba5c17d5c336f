r"""Finite differences as linear operators: stencils, without a matrix.

.. math:: (D x)_i = x_{i+1} - x_i, \qquad
   (D^T u)_i = u_{i-1} - u_i \quad (u_0 = u_n = 0)

along the axes of an array of any shape, kept as a vector in row order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad.operators import Matrix, Operator, Sparse, Stack, unbounded


def long_axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The axes that have differences: those longer than one."""
    return tuple(a for a, k in enumerate(shape) if k > 1)


class Difference(Operator):
    """The forward differences of some order along one axis, in row order.

    The axes in `short` go without their last entry.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        axis: int = 0,
        order: int = 1,
        short: Sequence[int] = (),
    ) -> None:
        self.shape, self.axis, self.order = shape, axis, order
        self.short = tuple(a for a in short if a != axis)
        out = [k - (a in self.short) for a, k in enumerate(shape)]
        out[axis] -= order
        if min(out) < 1:
            raise ValueError(f"no difference of order {order} in the shape {shape}")
        self.out = tuple(out)
        self.rows, self.cols = math.prod(out), math.prod(shape)
        cut = [
            slice(None, -1) if a in self.short else slice(None)
            for a in range(len(shape))
        ]
        self.cut: Any = (..., *cut)

    def _key(self) -> tuple[Any, ...]:
        return self.shape, self.axis, self.order, self.short

    def forward(self, x: Array) -> Array:
        X = x.reshape(*x.shape[:-1], *self.shape)[self.cut]
        D = np.diff(X, n=self.order, axis=self.axis - len(self.shape))
        return D.reshape(*x.shape[:-1], self.rows)

    def adjoint(self, y: Array) -> Array:
        lead, axis = y.shape[:-1], self.axis - len(self.shape)
        x, Y = np.zeros((*lead, *self.shape), y.dtype), y.reshape(*lead, *self.out)
        for k in reversed(range(self.order)):
            size = list(Y.shape)
            size[axis] += 1
            longer = np.zeros(size, y.dtype) if k else x[self.cut]
            ends, Y = np.moveaxis(longer, axis, -1), np.moveaxis(Y, axis, -1)
            ends[..., 1:] += Y
            ends[..., :-1] -= Y
            Y = longer
        return x.reshape(*lead, self.cols)

    def sparse(self) -> Any:
        """The matrix as a scipy.sparse array."""
        from scipy import sparse

        n, k = self.shape[self.axis], self.order
        signs: Any = [math.comb(k, j) * (-1.0) ** (k - j) for j in range(k + 1)]
        along: Any = sparse.diags_array(signs, offsets=range(k + 1), shape=(n - k, n))
        kept: Any = [
            sparse.eye_array(m, k) for m, k in zip(self.out, self.shape, strict=True)
        ]
        kept[self.axis] = along
        A: Any = kept[0]
        for B in kept[1:]:
            A = sparse.kron(A, B, format="csr")
        return A.tocsr()

    def to_cvxpy(self, x: Any) -> Any:
        return unbounded(self.sparse() @ x)


def differences(shape: tuple[int, ...], common: bool = False) -> Operator:
    """All first differences along every axis, one axis after the other.

    common: only at the entries where every axis has one. An array without any gets a
    row of zeros.
    """
    axes = long_axes(shape)
    short = axes if common else ()
    ops = tuple(Difference(shape, a, 1, short) for a in axes)
    if not ops:
        return zero_row(math.prod(shape))
    return ops[0] if len(ops) == 1 else Stack(ops)


def zero_row(n: int) -> Operator:
    """x -> 0, one row."""
    return Matrix(np.zeros((1, n)))


def edge_differences(edges: Any, n: Any = None) -> Operator:
    r"""x -> (x_i - x_j) over the edges (i, j), an integer array of shape (m, 2).

    n: the number of nodes, by default the largest number in an edge and one.
    """
    from scipy import sparse

    pairs = np.asarray(edges)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.shape[0] == 0:
        raise ValueError(f"edges must have shape (m, 2), m >= 1, got {pairs.shape}")
    if pairs.dtype.kind not in "iu":
        raise TypeError(f"edges must be integers, got dtype {pairs.dtype}")
    if pairs.min() < 0:
        raise ValueError(f"edges must be numbers of nodes from 0, got {pairs.min()}")
    if n is None:
        n = int(pairs.max()) + 1
    if not isinstance(n, int | np.integer) or n < 1:
        raise ValueError(f"n must be a positive integer, got {n!r}")
    if pairs.max() >= n:
        raise ValueError(f"edges must be numbers below n = {n}, got {pairs.max()}")
    m = len(pairs)
    signs = np.tile([1.0, -1.0], m)
    starts = np.arange(0, 2 * m + 1, 2)
    A = sparse.csr_array((signs, pairs.ravel(), starts), shape=(m, int(n)))
    return Sparse(A)


class Cumulative(Operator):
    r"""(c, v_1, ..., v_{n-1}) -> x with x_1 = c and differences v."""

    def __init__(self, n: int) -> None:
        self.rows = self.cols = n

    def _key(self) -> tuple[Any, ...]:
        return (self.rows,)

    def forward(self, x: Array) -> Array:
        return np.cumsum(x, axis=-1)

    def adjoint(self, y: Array) -> Array:
        back = y[..., ::-1]
        sums, sizes = np.cumsum(back, axis=-1), np.cumsum(np.abs(back), axis=-1)
        # What cancels is zero: a sum made of rounding might meet an infinite end.
        small = np.abs(sums) <= 1e-12 * sizes
        return np.where(small, 0.0, sums)[..., ::-1]

    def to_cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        return unbounded(cp.cumsum(x))
