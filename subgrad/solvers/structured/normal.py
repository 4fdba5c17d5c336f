r"""The linear systems of interior-point methods.

.. math:: q \, dx + A^T dy = -r, \qquad A \, dx - D^{-1} dy = -s, \qquad D \ge 0

`factor(D)` gives the function of r and s whose values are dx, dy and A dx; dx and dy
may take the places of r and s, and A dx may be `Rows`. `Dense` is of one matrix, of a
batch of them, or of one for a whole batch; `Sparse` of a sparse one, its systems banded
or factored by SuperLU; `Mixed` of dense rows beside multiples of the variables;
`Repeated` of rows that occur several times. Nothing as large as A is made of it, but
its stencils.
"""

from __future__ import annotations

from functools import reduce
from operator import iadd
from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad.solvers.structured.form import Form
from subgrad.solvers.structured.sparse_systems import (
    LIFT,
    Saddle,
    Solve,
    Sparse,
    by_points,
    slices,
)

LARGE = 1_000_000  # numbers in a matrix from which on its rows are taken by slices
OUTER = 10_000_000  # numbers in the products of the columns of a matrix
SMALL = 20  # matrices of a batch that are factored by operations on the whole batch


class Dense:
    """A of shape (m, n) or (B, m, n), q of shape (..., n)."""

    def __init__(self, q: Array, A: Array) -> None:
        self.q, self.A = q, A
        m, n = A.shape[-2:]
        self.batch = q.ndim > 1
        self.thin = m < n and bool(np.all(q > 0))
        self.outer = None
        if self.batch and A.ndim == 2 and m * n * n <= OUTER and not self.thin:
            self.outer = (A[:, :, None] * A[:, None, :]).reshape(m, n * n)

    def keep(self, some: Any) -> Dense:
        """The same for some of the batch."""
        new = object.__new__(Dense)
        new.__dict__ |= self.__dict__
        new.q = self.q[some]
        new.A = self.A if self.A.ndim == 2 else self.A[some]
        return new

    def forward(self, x: Array) -> Array:
        return x @ self.A.T if self.A.ndim == 2 else np.matvec(self.A, x)

    def adjoint(self, y: Array) -> Array:
        return y @ self.A if self.A.ndim == 2 else np.vecmat(y, self.A)

    def norms(self) -> Array:
        """Of the rows."""
        return np.sqrt(np.vecdot(self.A, self.A))

    def balance(self) -> Any:
        """How large multipliers are against values, by q."""
        square = np.einsum("...ij,...ij->...", self.A, self.A)
        q = self.q.sum(-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(q > 0, q, self.q.shape[-1]) / square
        return np.where(np.isfinite(ratio), ratio, 1.0)[..., None]

    def sizes(self, y: Array) -> Array:
        """|A|ᵀ |y|."""
        A, y = self.A, np.abs(y)
        if A.ndim > 2:
            return np.vecmat(y, np.abs(A))
        return reduce(iadd, (y[..., at] @ np.abs(A[at]) for at in slices(*A.shape)))

    def gram(self, D: Array) -> Array:
        """Aᵀ D A."""
        A, n = self.A, self.A.shape[-1]
        if self.outer is not None:
            return (D @ self.outer).reshape(*D.shape[:-1], n, n)
        if self.batch:
            return (D[..., None] * A).mT @ A
        root, rows = np.sqrt(D)[:, None], slices(*A.shape)
        parts = (root[at] * A[at] for at in (rows if A.size > LARGE else [slice(None)]))
        return reduce(iadd, (B.T @ B for B in parts))

    def factor(self, D: Array) -> Saddle:
        if self.thin:
            return self._thin(D)
        H = self.gram(D)
        at = np.arange(H.shape[-1])
        H[..., at, at] += self.q
        return by_points(self, D, cholesky(H))

    def _thin(self, D: Array) -> Saddle:
        """By multipliers: (1/D + A q⁻¹ Aᵀ) dy = s - A q⁻¹ r."""
        root = np.sqrt(D)
        B = root[..., None] * self.A
        S = (B / self.q[..., None, :]) @ B.mT
        at = np.arange(S.shape[-1])
        S[..., at, at] += 1.0
        solve = cholesky(S)

        def saddle(r: Array, s: Array) -> tuple[Array, Array, Array]:
            dy = root * solve(root * (s - self.forward(r / self.q)))
            dx = -(r + self.adjoint(dy)) / self.q
            return dx, dy, self.forward(dx)

        return saddle


def cholesky(H: Array) -> Solve:
    """r -> H⁻¹ r, H (..., n, n) positive definite up to rounding; H is written to."""
    n = H.shape[-1]
    at = np.arange(n)
    diagonal = H[..., at, at]
    H[..., at, at] += np.where(diagonal > 0, LIFT * diagonal, 1.0)
    if H.ndim > 2 and n <= SMALL:
        return _by_columns(H)
    if H.ndim > 2:
        return lambda r: np.linalg.solve(H, r[..., None])[..., 0]
    from scipy.linalg import lapack

    top = float(diagonal.max(initial=0.0))
    for lift in (0.0, 1e-14, 1e-12, 1e-10):
        if lift:
            H[at, at] += lift * np.maximum(diagonal, lift * top)
        factor, info = lapack.dpotrf(H, lower=1, clean=0)
        if info == 0:
            return lambda r: np.asarray(lapack.dpotrs(factor, r, lower=1)[0])
    return lambda r: np.full(n, np.nan)


def _by_columns(H: Array) -> Solve:
    """LDLᵀ of a batch (B, n, n), the batch moved to the end."""
    L = np.ascontiguousarray(np.moveaxis(H, 0, -1))
    n, columns = len(L), []
    for j in range(n):
        below = L[j, j + 1 :] / L[j, j]
        columns.append(below)
        for i in range(j + 1, n):
            L[i, i:] -= below[i - j - 1] * L[j, i:]
    pivots = 1 / L[np.arange(n), np.arange(n)]

    def solve(r: Array) -> Array:
        x = r.T.copy()
        for j in range(n - 1):
            x[j + 1 :] -= columns[j] * x[j]
        x *= pivots
        for j in range(n - 2, -1, -1):
            x[j] -= np.einsum("ib,ib->b", columns[j], x[j + 1 :])
        return np.ascontiguousarray(x.T)

    return solve


class Mixed:
    """Dense rows A and rows w_i x_i, in the order in which `dense` (m,) marks them."""

    def __init__(self, q: Array, A: Array, w: Array, col: Array, dense: Array) -> None:
        self.q, self.A, self.w, self.col, self.dense = q, A, w, col, dense

    def forward(self, x: Array) -> Array:
        z = np.empty(len(self.dense))
        z[self.dense], z[~self.dense] = self.A @ x, self.w * x[self.col]
        return z

    def adjoint(self, y: Array) -> Array:
        own = np.bincount(self.col, self.w * y[~self.dense], len(self.q))
        return y[self.dense] @ self.A + own

    def norms(self) -> Array:
        """Of the rows."""
        out = np.empty(len(self.dense))
        out[self.dense] = np.sqrt(np.vecdot(self.A, self.A))
        out[~self.dense] = np.abs(self.w)
        return out

    def balance(self) -> Any:
        """How large multipliers are against values, by q."""
        q = float(self.q.sum()) or float(len(self.q))
        square = float(np.vdot(self.A, self.A) + np.vdot(self.w, self.w))
        return q / square if square > 0 else 1.0

    def factor(self, D: Array) -> Saddle:
        D, own = D[self.dense], D[~self.dense]
        q = self.q + np.bincount(self.col, self.w**2 * own, len(self.q))
        inner = Dense(q, self.A).factor(D)

        def saddle(r: Array, s: Array) -> tuple[Array, Array, Array]:
            dz, dy = np.empty(len(s)), np.empty(len(s))
            part = s[~self.dense]
            r = r + np.bincount(self.col, self.w * own * part, len(self.q))
            dx, dy[self.dense], dz[self.dense] = inner(r, s[self.dense])
            dz[~self.dense] = self.w * dx[self.col]
            dy[~self.dense] = own * (dz[~self.dense] + part)
            return dx, dy, dz

        return saddle


class Repeated:
    """Row (M,) tells which of the m rows of `system` there are."""

    def __init__(self, system: Any, row: Array, m: int) -> None:
        self.system, self.row, self.m = system, row, m
        self.balance = system.balance

    def norms(self) -> Array:
        """Of the rows."""
        return np.asarray(self.system.norms()[self.row])

    def _gather(self, y: Array) -> Array:
        return np.bincount(self.row, y, self.m)

    def forward(self, x: Array) -> Array:
        return np.asarray(self.system.forward(x)[self.row])

    def adjoint(self, y: Array) -> Array:
        return np.asarray(self.system.adjoint(self._gather(y)))

    def factor(self, D: Array) -> Saddle:
        total = self._gather(D)
        inner = self.system.factor(total)
        share = D / np.where(total > 0, total, 1.0)[self.row]

        def saddle(r: Array, s: Array) -> tuple[Array, Array, Array]:
            # D (dz + s) summed over a row is as if s were its mean there.
            mean = self._gather(share * s)
            dx, _, dz = inner(r, mean)
            dz = dz[self.row]
            return dx, D * (dz + s), dz

        return saddle


def normal(form: Form) -> Any:
    """The system of a form; None where a map is known by its products only."""
    kinds = [k.diagonal is not None for k in form.blocks]
    full = [k.matrix for k in form.blocks if k.diagonal is None]
    if any(A is None for A in full):
        return None
    if not any(isinstance(A, np.ndarray) for A in full):
        return Sparse(form)
    rows = [A if isinstance(A, np.ndarray) else A.toarray() for A in full]
    A = np.asarray(rows[0] if len(rows) == 1 else np.concatenate(rows), float)
    if not any(kinds):
        return Dense(form.q, A)
    dense = np.repeat(np.invert(kinds), [len(k.b) for k in form.blocks])
    own = [k.diagonal for k in form.blocks if k.diagonal is not None]
    w = [np.broadcast_to(d, (form.n,)) for d in own]
    col = np.tile(np.arange(form.n), len(w))
    return Mixed(form.q, A, np.concatenate(w), col, dense)
