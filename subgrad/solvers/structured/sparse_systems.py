r"""The linear systems of interior-point methods with sparse matrices.

A map whose rows all have the same entries apart from each other, as differences have,
is read in place: no index of the entries of Aᵀ D A is needed then, only its diagonals.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from subgrad._check import Array
from subgrad.solvers.structured.form import Block, Form

Solve = Callable[[Array], Array]
Saddle = Callable[[Array, Array], tuple[Array, Array, Array]]
BAND = 16
LIFT = 1e-15
SLICE = 65_536  # numbers that stay in the cache


def slices(m: int, width: int = 1) -> list[slice]:
    """Of m rows of so many numbers, as many at a time as stay in the cache."""
    size = max(SLICE // max(width, 1), 4 * width)
    return [slice(k, k + size) for k in range(0, max(m, 1), size)]


def by_points(A: Any, D: Array, solve: Solve) -> Saddle:
    """By (q + Aᵀ D A) dx = -r - Aᵀ D s; `solve` may write to what it is given."""

    def saddle(r: Array, s: Array) -> tuple[Array, Array, Array]:
        right = A.adjoint(D * s) + r
        dx = solve(np.negative(right, out=right))
        dz = A.forward(dx)
        s += dz
        s *= D
        return dx, s, dz

    return saddle


class Stencil(NamedTuple):
    """Row i has the entries values[i] (m, k), or (1, k) for all, in i + offsets."""

    offsets: list[int]
    values: Array

    def add(self, band: Array, D: Array) -> None:
        """Aᵀ D A to its lower diagonals, band[d, j] = H[j + d, j]."""
        pairs = [
            (i, j, a - b, b)
            for i, a in enumerate(self.offsets)
            for j, b in enumerate(self.offsets)
            if a >= b
        ]
        for at in slices(len(D), len(self.offsets) + 1):
            part = D[at]
            V = self.values if len(self.values) == 1 else self.values[at]
            for i, j, apart, first in pairs:
                k = at.start + first
                to = band[apart, k : k + len(part)]
                to += V[:, i] * V[:, j] * part


def _stencil(k: Block, n: int) -> Stencil | None:
    """That of one map, without a copy; None where rows differ."""
    if k.diagonal is not None:
        return Stencil([0], np.broadcast_to(k.diagonal, (n,))[:, None])
    A = k.matrix.tocsr()
    m, size = A.shape[0], A.indptr[1]
    if not m or not size or np.any(np.diff(A.indptr) != size):
        return None
    at, values = A.indices.reshape(m, size), A.data.reshape(m, size)
    if np.any(np.diff(at, axis=0) != 1):
        return None
    same = bool(np.all(values == values[0]))
    return Stencil(at[0].tolist(), values[:1] if same else values)


class Sparse:
    """A sparse A; where Aᵀ A has few diagonals, in O(n)."""

    def __init__(self, form: Form) -> None:
        self.q, self.form = form.q, form
        # Differences are faster by slices than by the entries of a matrix.
        self.forward, self.adjoint = form.linear, form.adjoint
        found = [_stencil(k, form.n) for k in form.blocks]
        self.stencils = [s for s in found if s is not None]
        wide = [max(s.offsets) - min(s.offsets) for s in self.stencils]
        self.width = max(wide, default=0)
        self.banded = self.width <= BAND
        if len(wide) < len(found) or not self.banded:
            self.stencils = []
            self._index(_stacked(form))

    def _index(self, K: Any) -> None:
        """Where the products of the entries of rows belong."""
        from scipy.sparse import csr_array

        n, self.K = self.form.n, K
        left, right, row, value = _products(K)
        self.width = int(np.max(left - right, initial=0))
        self.banded = self.width <= BAND
        if self.banded:
            at, size = (left - right) * n + right, (self.width + 1) * n
        else:
            # The entries of Aᵀ A and of the diagonal, each once, column by column.
            both = np.concatenate([right * n + left, left * n + right])
            every = np.unique(np.concatenate([both, np.arange(n) * (n + 1)]))
            starts = np.searchsorted(every, np.arange(n + 1) * n)
            self.rows, self.starts = every % n, starts
            at, size = np.searchsorted(every, both), len(every)
            off = np.concatenate([np.ones(len(left), bool), left != right])
            at, row, value = at[off], np.tile(row, 2)[off], np.tile(value, 2)[off]
            self.diagonal = np.searchsorted(every, np.arange(n) * (n + 1))
        self.gather = csr_array((value, (at, row)), shape=(size, K.shape[0]))

    def norms(self) -> Array:
        """Of the rows."""
        if self.stencils:
            each = zip(self.stencils, self.form.cuts, strict=True)
            parts = [
                np.broadcast_to(
                    np.sqrt(np.square(s.values).sum(-1)), at.stop - at.start
                )
                for s, at in each
            ]
            return parts[0] if len(parts) == 1 else np.concatenate(parts)
        K = self.K
        row = np.repeat(np.arange(K.shape[0]), np.diff(K.indptr))
        return np.sqrt(np.bincount(row, K.data**2, K.shape[0]))

    def balance(self) -> Any:
        """How large multipliers are against values, by q."""
        q = float(self.q.sum()) or float(len(self.q))
        norms = self.norms()
        square = float(np.vecdot(norms, norms))
        return q / square if square > 0 else 1.0

    def factor(self, D: Array) -> Saddle:
        solve = self._banded(D) if self.banded else self._general(self.gather @ D)
        return by_points(self, D, solve)

    def _bands(self, D: Array) -> Array:
        """The lower diagonals of Aᵀ D A, one after the other or column by column."""
        n, k = len(self.q), self.width + 1
        if not self.stencils:
            return (self.gather @ D).reshape(k, n)
        band = np.zeros((k, n), order="C" if k < 3 else "F")
        for s, rows in zip(self.stencils, self.form.cuts, strict=True):
            s.add(band, D[rows])
        return band

    def _banded(self, D: Array) -> Solve:
        from scipy.linalg import lapack

        band = self._bands(D)
        for at in slices(len(self.q)):
            d = band[0, at]
            d += self.q[at]
            d += np.where(d > 0, LIFT * d, 1.0)
        if self.width == 0:
            return lambda r: r / band[0]
        if self.width == 1:
            d, e, info = lapack.dpttrf(band[0], band[1, :-1], 1, 1)
            if info == 0:
                return lambda r: np.asarray(lapack.dpttrs(d, e, r, overwrite_b=1)[0])
        else:
            factor, info = lapack.dpbtrf(band, lower=1, overwrite_ab=1)
            if info == 0:
                return lambda r: np.asarray(
                    lapack.dpbtrs(factor, r, lower=1, overwrite_b=1)[0]
                )
        return lambda r: np.full(len(r), np.nan)

    def _general(self, data: Array) -> Solve:
        from scipy.sparse import csc_array
        from scipy.sparse.linalg import splu

        n = len(self.q)
        data[self.diagonal] += self.q
        d = data[self.diagonal]
        data[self.diagonal] += np.where(d > 0, LIFT * d, 1.0)
        H = csc_array((data, self.rows, self.starts), shape=(n, n))
        lu = splu(
            H,
            permc_spec="MMD_AT_PLUS_A",
            options={"SymmetricMode": True, "DiagPivotThresh": 0.0},
        )
        return lambda r: np.asarray(lu.solve(r))


def _products(K: Any) -> tuple[Array, Array, Array, Array]:
    """left >= right, row and K[row, left] K[row, right], for all pairs there are."""
    K = K.tocsr()
    K.sort_indices()
    count = np.diff(K.indptr)
    parts = []
    for size in np.unique(count[count > 0]):
        rows = np.flatnonzero(count == size)
        at = K.indptr[rows][:, None] + np.arange(size)
        cols, data = K.indices[at].astype(np.int64), K.data[at]
        i, j = np.tril_indices(size)
        parts.append(
            (
                cols[:, i].ravel(),
                cols[:, j].ravel(),
                np.repeat(rows, len(i)),
                (data[:, i] * data[:, j]).ravel(),
            )
        )
    if not parts:
        none = np.zeros(0, np.int64)
        return none, none, none, np.zeros(0)
    left, right, row, value = (np.concatenate(p) for p in zip(*parts, strict=True))
    return left, right, row, value


def _stacked(form: Form) -> Any:
    """All maps as one sparse array."""
    from scipy.sparse import csr_array, diags_array, vstack

    parts = [
        csr_array(k.matrix)
        if k.diagonal is None
        else diags_array(np.broadcast_to(k.diagonal, (form.n,))).tocsr()
        for k in form.blocks
    ]
    return parts[0] if len(parts) == 1 else vstack(parts).tocsr()
