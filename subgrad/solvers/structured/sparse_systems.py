r"""The linear systems of interior-point methods with sparse matrices.

A map whose rows all have the same entries apart from each other, as differences have,
is read in place: no index of the entries of Aᵀ D A is needed then, only its diagonals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce
from operator import iadd
from typing import Any, NamedTuple

import numpy as np

from subgrad._check import Array
from subgrad.solvers.structured.form import Block, Form

Solve = Callable[[Array], Array]
Saddle = Callable[[Array, Array], tuple[Array, Array, Any]]
Weights = Callable[[slice], Array]  # D of some rows
BAND = 16
COLUMNS = 4096  # of matrices that may be written out
FILLED = 0.1  # of the entries, from which on factors of all entries are faster
LIFT = 1e-15
SLICE = 65_536  # numbers that stay in the cache
WIDTH = 4  # of a row, in products by slices


def slices(m: int, width: int = 1) -> list[slice]:
    """Of m rows of so many numbers, as many at a time as stay in the cache."""
    size = max(SLICE // max(width, 1), 4 * width)
    return [slice(k, min(k + size, m)) for k in range(0, max(m, 1), size)]


def room(m: int, n: int) -> int:
    """What m numbers take that are to fit where n were, if that is hardly more."""
    return n if m < n <= m + BAND else m


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

    def _entries(self, at: slice) -> Any:
        """Of these rows, the first ones of all, and so on."""
        return (self.values if len(self.values) == 1 else self.values[at]).T

    def some(self, x: Array, at: slice) -> Array:
        """(A x)[at]."""
        each = zip(self.offsets, self._entries(at), strict=True)
        parts = (v * x[at.start + o : at.stop + o] for o, v in each)
        return reduce(iadd, parts)

    def add_adjoint(self, x: Array, y: Array, at: slice) -> None:
        """Adds A[at]ᵀ y to x."""
        for o, v in zip(self.offsets, self._entries(at), strict=True):
            to = x[at.start + o : at.stop + o]
            to += v * y

    def add(self, band: Any, D: Array) -> None:
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
                to = band[apart][k : k + len(part)]
                to += V[:, i] * V[:, j] * part


class Rows:
    """A x + b by stencils, an array whose entries are made where they are read."""

    def __init__(self, system: Sparse, x: Array, b: Any = None) -> None:
        self.system, self.x, self.b = system, x, b

    def __getitem__(self, at: Any) -> Array:
        at = at[-1] if isinstance(at, tuple) else at
        if not isinstance(at, slice):
            return np.asarray(self)[at]
        out = self.system.some(self.x, at)
        if self.b is not None:
            out += self.b if len(self.b) == 1 else self.b[at]
        return out

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        z = self.system.forward(self.x)
        if self.b is not None:
            z += self.b
        return z.astype(dtype or float, copy=False)


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
        found = [_stencil(k, form.n) for k in form.blocks]
        self.stencils = [s for s in found if s is not None]
        wide = [max(s.offsets) - min(s.offsets) for s in self.stencils]
        self.width = max(wide, default=0)
        self.banded = self.width <= BAND
        if len(wide) < len(found) or not self.banded:
            self.stencils = []
            self._index(stacked(form))

    def _pieces(self, at: slice) -> Iterator[tuple[Stencil, slice, slice]]:
        """Of rows of all maps: each map, its own rows, and which of all they are."""
        first, last, _ = at.indices(self.form.cuts[-1].stop)
        for s, cut in zip(self.stencils, self.form.cuts, strict=True):
            a, b = max(first, cut.start), min(last, cut.stop)
            if a < b:
                yield s, slice(a - cut.start, b - cut.start), slice(a, b)

    def some(self, x: Array, at: slice) -> Array:
        """(A x)[at], by stencils."""
        parts = [s.some(x, own) for s, own, _ in self._pieces(at)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def forward(self, x: Array) -> Array:
        if not self.stencils:
            return self.form.linear(x)
        m = self.form.cuts[-1].stop
        z = np.empty(room(m, self.form.n))[:m]
        for at in slices(m, WIDTH):
            z[at] = self.some(x, at)
        return z

    def adjoint(self, y: Array) -> Array:
        if not self.stencils:
            return self.form.adjoint(y)
        x = np.zeros(self.form.n)
        for part in slices(len(y), WIDTH):
            for s, own, at in self._pieces(part):
                s.add_adjoint(x, y[at], own)
        return x

    def _index(self, K: Any) -> None:
        """Where the products of the entries of rows belong."""
        from scipy.sparse import csr_array

        n, self.K = self.form.n, K
        # Where factors fill up, no more is known of them beforehand.
        pairs = np.square(np.diff(K.indptr).astype(float)).sum()
        self.filled = 2 * BAND < n <= COLUMNS and bool(pairs > FILLED * n * n)
        if self.filled and spread(K) > BAND:
            self.width, self.banded = n, False
            return
        self.filled = False
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
        if not self.banded:
            return by_points(self, D, self._general(D))
        solve, weights = self._banded(D)
        if self.stencils:
            return self._by_slices(weights, slices(len(D), WIDTH), solve)
        return by_points(self, D, solve)

    def _by_slices(self, weights: Weights, parts: list[slice], solve: Solve) -> Saddle:
        """The same as `by_points`, in the memory of r and s; A dx as `Rows`."""

        def saddle(r: Array, s: Array) -> tuple[Array, Array, Any]:
            for part in parts:
                for S, own, at in self._pieces(part):
                    S.add_adjoint(r, weights(at) * s[at], own)
            dx = solve(np.negative(r, out=r))
            dz = Rows(self, dx)
            for at in parts:
                dy = s[at]
                dy += dz[at]
                dy *= weights(at)
            return dx, s, dz

        return saddle

    def _bands(self, D: Array) -> Any:
        """The lower diagonals of Aᵀ D A, one after the other or column by column."""
        n, k = len(self.q), self.width + 1
        if not self.stencils:
            return (self.gather @ D).reshape(k, n)
        # One by one they fit where other vectors were.
        few = k < 3
        band = [np.zeros(n) for _ in range(k)] if few else np.zeros((k, n), order="F")
        for s, rows in zip(self.stencils, self.form.cuts, strict=True):
            s.add(band, D[rows])
        return band

    def _banded(self, D: Array) -> tuple[Solve, Weights]:
        from scipy.linalg import lapack

        band = self._bands(D)
        for at in slices(len(self.q)):
            d = band[0][at]
            d += self.q[at]
            d += np.where(d > 0, LIFT * d, 1.0)
        if self.width == 0:
            return (lambda r: r / band[0]), D.__getitem__
        if self.width == 1:
            d, e, info = lapack.dpttrf(band[0], band[1][:-1], 1, 1)
            if info == 0:
                weights = self._in_factor(d, e) or D.__getitem__
                return (lambda r: lapack.dpttrs(d, e, r, overwrite_b=1)[0]), weights
        else:
            factor, info = lapack.dpbtrf(band, lower=1, overwrite_ab=1)
            if info == 0:
                return (
                    lambda r: lapack.dpbtrs(factor, r, lower=1, overwrite_b=1)[0]
                ), D.__getitem__
        return (lambda r: np.full(len(r), np.nan)), D.__getitem__

    def _in_factor(self, d: Array, e: Array) -> Weights | None:
        """D of some rows as e d / (u v), of rows u, v: so it need not be kept."""
        if len(self.stencils) != 1:
            return None
        offsets, values = self.stencils[0]
        if values.shape != (1, 2) or not values.all():
            return None
        first, over = min(offsets), 1 / values.prod()

        def weights(at: slice) -> Array:
            own = slice(at.start + first, at.stop + first)
            out = e[own] * d[own]
            out *= over
            return out

        return weights

    def _general(self, D: Array) -> Solve:
        from scipy.sparse import csc_array
        from scipy.sparse.linalg import splu

        n = len(self.q)
        if self.filled:
            H = (self.K.T @ self.K.multiply(D[:, None])).toarray(order="F")
            d = np.diagonal(H) + self.q
            H.flat[:: n + 1] = d + np.where(d > 0, LIFT * d, 1.0)
            return _dense(H)
        data = self.gather @ D
        data[self.diagonal] += self.q
        d = data[self.diagonal]
        data[self.diagonal] += np.where(d > 0, LIFT * d, 1.0)
        H = csc_array((data, self.rows, self.starts), shape=(n, n))
        lu = splu(
            H,
            permc_spec="MMD_AT_PLUS_A",
            options={"SymmetricMode": True, "DiagPivotThresh": 0.0},
        )
        self.filled = 2 * BAND < n <= COLUMNS and lu.nnz > FILLED * n * n
        return lambda r: np.asarray(lu.solve(r))


def _dense(H: Array) -> Solve:
    """r -> H⁻¹ r, H written to; nan where rounding leaves it no Cholesky factor."""
    from scipy.linalg import lapack

    factor, info = lapack.dpotrf(H, lower=1, overwrite_a=1, clean=0)
    if info:
        return lambda r: np.full(len(r), np.nan)
    return lambda r: np.asarray(lapack.dpotrs(factor, r, lower=1)[0])


def spread(K: Any) -> int:
    """How far apart the entries of a row lie, at most."""
    some = np.diff(K.indptr) > 0
    starts = K.indptr[:-1][some]
    if not len(starts):
        return 0
    last = np.maximum.reduceat(K.indices, starts)
    return int((last - np.minimum.reduceat(K.indices, starts)).max())


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


def stacked(form: Form) -> Any:
    """All maps as one sparse array."""
    from scipy.sparse import csr_array, diags_array, vstack

    parts = [
        csr_array(k.matrix)
        if k.diagonal is None
        else diags_array(np.broadcast_to(k.diagonal, (form.n,))).tocsr()
        for k in form.blocks
    ]
    return parts[0] if len(parts) == 1 else vstack(parts).tocsr()
