r"""The linear systems of the Newton steps.

.. math:: \Big(D + \sum_k \sigma_k A_k^T J_k A_k\Big) d = r

with D > 0 diagonal and 0 <= J_k <= I. With dense maps of few active rows the system is
solved in these (Woodbury), otherwise in the variables, by Cholesky; the sum over active
rows is kept and changed where few of them change. With sparse maps it is banded, or
factored by SuperLU. Where a map or a Jacobian is known by its products only, conjugate
gradients are used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad._jacobian import Jacobian, LowRank, _labels
from subgrad.solvers.structured.form import Block, Form
from subgrad.solvers.structured.sparse_systems import spread, stacked

REBUILD = 30  # changes to a Gram matrix before rounding is wiped out
BAND = 16


class Gram:
    """Aᵀ A over the active rows of a dense A."""

    def __init__(self, A: Array) -> None:
        self.A, self.mask, self.age = A, np.zeros(len(A), bool), REBUILD
        self.G = np.zeros((0, 0))

    def __call__(self, mask: Any) -> Array:
        on, off = mask & ~self.mask, self.mask & ~mask
        changed = np.count_nonzero(on) + np.count_nonzero(off)
        if self.age >= REBUILD or changed > 0.7 * np.count_nonzero(mask):
            B = self.A[mask]
            self.G, self.age = B.T @ B, 0
        elif changed:
            self.age += 1
            for rows, sign in ((on, 1), (off, -1)):
                if rows.any():
                    B = self.A[rows]
                    self.G = self.G + sign * (B.T @ B)
        self.mask = mask
        return self.G


class Products:
    """A Aᵀ between the rows of A that were active once."""

    def __init__(self, A: Any) -> None:
        self.A, self.G = A, np.zeros((0, 0))
        self.rows, self.place = np.zeros(0, int), np.full(A.shape[0], -1)

    def __call__(self, active: Array) -> Array:
        """Between the rows with these numbers."""
        new = active[self.place[active] < 0]
        if len(new):
            k = len(self.rows)
            self.rows = np.concatenate([self.rows, new])
            self.place[new] = np.arange(k, len(self.rows))
            some = self.A
            if 2 * len(self.rows) < len(self.place):
                some = self.A[self.rows]
            found = self.A[new] @ some.T
            found = found if isinstance(found, np.ndarray) else found.toarray()
            found = found if some is not self.A else found[:, self.rows]
            G = np.empty((len(self.rows),) * 2)
            G[:k, :k], G[k:], G[:k, k:] = self.G, found, found[:, :k].T
            self.G = G
        at = self.place[active]
        return self.G.take(at, 0).take(at, 1)

    def learn(self, rows: Array, G: Array) -> None:
        """Take those between these rows as known."""
        self.rows, self.G = rows, G
        self.place[rows] = np.arange(len(rows))


class Systems:
    """The Newton systems of one form."""

    def __init__(self, form: Form) -> None:
        self.form = form
        kinds = [_kind(k) for k in form.blocks]
        self.general = None in kinds
        self.sparse = not self.general and "sparse" in kinds and "dense" not in kinds
        if not self.sparse and not self.general:
            self.grams = [
                Gram(np.asarray(_array(k))) if kind != "diagonal" else None
                for k, kind in zip(form.blocks, kinds, strict=True)
            ]
        if self.sparse:
            self.rows = stacked(form)
            self.columns = self.rows.T.tocsr()
            self.narrow = spread(self.rows) <= BAND
        self.products: Products | None = None
        if len(kinds) == 1 and kinds[0] in ("dense", "sparse"):
            self.products = Products(form.blocks[0].matrix)

    def solve(self, D: Array, sigmas: Array, jacobians: list[Any], r: Array) -> Array:
        """The solution d."""
        plain = all(isinstance(J, Jacobian) for J in jacobians)
        low = not self.sparse and all(
            isinstance(J, Jacobian | LowRank) for J in jacobians
        )
        if self.general or not (plain or low):
            return self._iterated(D, sigmas, jacobians, r)
        if self.products is not None and plain and np.all(D == D[0]):
            active = np.flatnonzero(jacobians[0].d)
            T = _half(jacobians[0], active)
            if len(active) < len(D) and T is not None:
                return self._among(active, T, D[0], sigmas[0], r)
        if self.sparse:
            return self._sparse(D, sigmas, jacobians, r)
        D = D.copy()
        rows, inner = 0, False
        for k, J, sigma in zip(self.form.blocks, jacobians, sigmas, strict=True):
            if isinstance(J, LowRank):
                inner = True
            elif k.diagonal is None:
                rows += int(np.count_nonzero(J.d))
                rows += 0 if J.u is None else int(np.count_nonzero(J.e))
            elif J.u is None:
                D += sigma * k.diagonal**2 * J.d
            else:
                inner = True
        if rows < self.form.n and not inner:
            return self._woodbury(D, sigmas, jacobians, r)
        return self._cholesky(D, sigmas, jacobians, r)

    def _among(
        self, active: Array, T: Callable[[Array], Array], D: float, sigma: float,
        r: Array,
    ) -> Array:  # fmt: skip
        """With D + σ Bᵀ B, B = T A of the active rows A: solved in these."""
        from scipy.linalg import lapack

        assert self.products is not None
        if not len(active):
            return r / D
        A, on = self.products.A, active
        if 2 * len(active) < A.shape[0]:
            A, on = A[active], np.arange(len(active))
        S = T(T(self.products(active)).T)
        S.flat[:: len(S) + 1] += D / sigma
        h = T((A @ r)[on])
        _, found, info = lapack.dposv(S.T, h, lower=1)
        if info:
            found = np.linalg.lstsq(S, h, rcond=None)[0]
        z = np.zeros(A.shape[0])
        z[on] = T(found)
        return np.asarray((r - A.T @ z) / D)

    def _cholesky(
        self, D: Array, sigmas: Array, jacobians: list[Any], r: Array
    ) -> Array:
        from scipy.linalg import lapack

        n = self.form.n
        H = np.zeros((n, n))
        each = zip(self.form.blocks, jacobians, self.grams, sigmas, strict=True)
        for k, J, gram, sigma in each:
            ranks = isinstance(J, LowRank) or J.u is not None
            if gram is None:
                if ranks:
                    # Of a diagonal map: what couples variables is in themselves.
                    w = np.broadcast_to(k.diagonal, (n,))
                    H.flat[:: n + 1] += sigma * w**2 * J.d
                    U, e = _columns(J)
                    U = U * w[:, None]
                    H += sigma * (U * e) @ U.T
                continue
            active = J.d > 0
            if not ranks and np.all(J.d[active] == 1):
                H += sigma * gram(active)
                continue
            B = np.sqrt(sigma * J.d[active])[:, None] * gram.A[active]
            H += B.T @ B
            if isinstance(J, LowRank):
                V = J.V.T @ gram.A
                H += sigma * (V.T * J.e) @ V
            elif ranks:
                V = _groups(J, gram.A)
                H += sigma * (V.T * J.along) @ V
        H.flat[:: n + 1] += D
        for lift in (0.0, 1e-15, 1e-13, 1e-11, 1e-9):
            if lift:
                H.flat[:: n + 1] += lift * np.trace(H) / n
            _, d, info = lapack.dposv(H, r, lower=1)
            if info == 0:
                return np.asarray(d)
        return r / (D + np.diagonal(H))

    def _woodbury(
        self, D: Array, sigmas: Array, jacobians: list[Any], r: Array
    ) -> Array:
        from scipy.linalg import lapack

        parts = []
        for J, gram, sigma in zip(jacobians, self.grams, sigmas, strict=True):
            if gram is None:
                continue
            J = J.times(sigma)
            active = J.d > 0
            B = np.sqrt(J.d[active])[:, None] * gram.A[active]
            if J.u is not None:
                V = _groups(J, gram.A)
                d = J.total(J.d * J.u * J.u)
                some = np.flatnonzero(J.along)
                pick = some if J.labels is not None else np.zeros(1, int)
                lift = (np.sqrt(np.maximum(J.e, 0)) - np.sqrt(d)) * (d > 0)
                B = B + (J.u * J.spread(lift))[active, None] * (
                    V[J.labels[active]] if J.labels is not None else V
                )
                new = pick[(d[pick] == 0) & (J.e[pick] > 0)]
                parts.append(np.sqrt(J.e[new])[:, None] * V[new])
            parts.append(B)
        y = r / D
        if not sum(map(len, parts)):
            return y
        B = np.concatenate(parts)
        C = B / D
        S = C @ B.T
        S.flat[:: len(S) + 1] += 1.0
        _, z, info = lapack.dposv(S, B @ y, lower=1)
        if info:
            z = np.linalg.lstsq(S, B @ y, rcond=None)[0]
        return y - C.T @ z

    def _sparse(self, D: Array, sigmas: Array, jacobians: list[Any], r: Array) -> Array:
        from scipy.sparse import csr_array
        from scipy.sparse.linalg import splu

        A, n = self.rows, len(D)
        d = [sigma * J.d for J, sigma in zip(jacobians, sigmas, strict=True)]
        H = self.columns @ _weighted(A, np.concatenate(d))
        for J, at, sigma in zip(jacobians, self.form.cuts, sigmas, strict=True):
            if J.u is not None:
                labels = np.zeros(len(J.d), int) if J.labels is None else J.labels
                where = labels, np.arange(at.start, at.stop)
                size = int(labels.max(initial=0)) + 1
                V = csr_array((J.u, where), shape=(size, A.shape[0])) @ A
                H = H + V.T.tocsr() @ _weighted(V, sigma * J.along[:size])
        H = H + csr_array((D, np.arange(n), np.arange(n + 1)), shape=(n, n))
        if self.narrow and (width := _width(H)) <= BAND:
            from scipy.linalg import solveh_banded

            H = H.tocoo()
            low = H.row >= H.col
            band = np.zeros((width + 1, n))
            np.add.at(band, (H.row[low] - H.col[low], H.col[low]), H.data[low])
            return np.asarray(solveh_banded(band, r, lower=True, check_finite=False))
        lu = splu(
            H.tocsc(),
            permc_spec="MMD_AT_PLUS_A",
            options={"SymmetricMode": True, "DiagPivotThresh": 0.0},
        )
        return np.asarray(lu.solve(r))

    def _iterated(
        self, D: Array, sigmas: Array, jacobians: list[Any], r: Array
    ) -> Array:
        """Conjugate gradients, to a tenth of what a Newton step is asked for."""
        form = self.form

        def apply(d: Array) -> Array:
            z = form.linear(d)
            parts = zip(sigmas, jacobians, form.cuts, strict=True)
            return D * d + form.adjoint(
                np.concatenate([sigma * J.apply(z[at]) for sigma, J, at in parts])
            )

        x, g = np.zeros_like(r), r.copy()
        p, old = g.copy(), float(g @ g)
        goal = min(0.1, old**0.05) * 1e-1 * np.sqrt(old)
        for _ in range(500):
            if np.sqrt(old) <= goal:
                break
            h = apply(p)
            a = old / float(p @ h)
            x += a * p
            g -= a * h
            new = float(g @ g)
            p, old = g + (new / old) * p, new
        return x


def _half(J: Jacobian, active: Array) -> Callable[[Array], Array] | None:
    """The root of J on the rows where d > 0, None where these are not all."""
    s = np.sqrt(J.d[active])
    if J.u is None:
        ones = bool((s == 1).all())
        return lambda V: V if ones else (s * V.T).T
    assert J.e is not None
    at, here = _labels(J)[active], np.zeros(len(J.e), bool)
    here[at] = True
    if (J.e[~here] > 0).any():
        return None
    labels, place = np.flatnonzero(here), here.cumsum() - 1
    U = np.zeros((len(labels), len(active)))
    U[place[at], np.arange(len(active))] = J.u[active]
    along = np.sqrt(np.maximum(J.e[labels], 0)) - (U * U) @ s
    along = np.where(U.any(1), along, 0.0)
    return lambda V: (s * V.T).T + U.T @ (along * (U @ V).T).T


def _kind(k: Block) -> str | None:
    if k.diagonal is not None:
        return "diagonal"
    if k.matrix is None:
        return None
    return "dense" if isinstance(k.matrix, np.ndarray) else "sparse"


def _array(k: Block) -> Any:
    return k.matrix if isinstance(k.matrix, np.ndarray) else k.matrix.toarray()


def _weighted(A: Any, w: Array) -> Any:
    """diag(w) A, of the entries of A in place."""
    from scipy.sparse import csr_array

    data = A.data * np.repeat(w, np.diff(A.indptr))
    return csr_array((data, A.indices, A.indptr), shape=A.shape)


def _width(H: Any) -> int:
    """How far from the diagonal the entries of H lie."""
    row = np.repeat(np.arange(H.shape[0]), np.diff(H.indptr))
    return int(np.abs(row - H.indices).max(initial=0))


def _columns(J: Any) -> tuple[Array, Array]:
    """U (n, k) and e (k,) with J = diag(d) + U diag(e) Uᵀ."""
    if isinstance(J, LowRank):
        return J.V, J.e
    if J.labels is None:
        return J.u[:, None], J.along
    U = np.zeros((len(J.u), len(J.e)))
    U[np.arange(len(J.u)), J.labels] = J.u
    return U, J.along


def _groups(J: Jacobian, A: Array) -> Array:
    """u_gᵀ A for all groups, (G, n)."""
    assert J.u is not None and J.e is not None
    if J.labels is None:
        return (J.u @ A)[None]
    from scipy.sparse import csr_array

    at = np.flatnonzero(J.u)
    U = csr_array((J.u[at], (J.labels[at], at)), shape=(len(J.e), len(J.u)))
    return np.asarray(U @ A)
