r"""The same linear systems by orthogonal factors: slower, and right for all weights.

.. math:: \min_d \ \tfrac12 |B d + h|^2 + \langle r, d \rangle, \qquad
   B = \binom{D^{1/2} A}{q^{1/2}}, \quad h = \binom{D^{1/2} s}{0}

has the solution dx of `normal`, and dy = D^{1/2} (B dx + h) in the rows of A. With
B = Q R that is dy = D^{1/2} (h - Q Qᵀ h - Q R^{-T} r). Of B Bᵀ no more than the square
root of the digits would be left: with rows 1e8 times as large as others, nothing of
these. Rows in the order of their size and pivots among the columns make the errors of
each row small against that row (A. J. Cox and N. J. Higham, Stability of Householder QR
factorization for weighted least squares problems, 1998).
"""

from __future__ import annotations

import numpy as np

from subgrad._check import Array
from subgrad.solvers.structured.form import Form
from subgrad.solvers.structured.normal import Dense
from subgrad.solvers.structured.sparse_systems import Saddle

EPS = float(np.finfo(np.float64).eps)


class Orthogonal(Dense):
    """A of shape (m, n), q of shape (n,)."""

    def factor(self, D: Array) -> Saddle:
        from scipy.linalg import qr, solve_triangular

        m, root = len(D), np.sqrt(D)
        own = np.sqrt(self.q)[self.q > 0]
        B = np.concatenate(
            [root[:, None] * self.A, np.diag(np.sqrt(self.q))[self.q > 0]]
        )
        order = np.argsort(-np.abs(B).max(-1))
        if not np.isfinite(B).all():
            return lambda r, s: (r * np.nan, s * np.nan, s * np.nan)
        sorted_, R, pivots = qr(B[order], mode="economic", pivoting=True)
        # What rounding leaves of columns that depend on others is no pivot.
        size = np.abs(np.diagonal(R))
        small = size[1:] <= len(pivots) * EPS * size[:-1]
        k = 1 + int(np.argmax(small)) if small.any() else len(size)
        k = k if size[:1].any() else 0
        Q = np.empty_like(sorted_[:, :k])
        Q[order] = sorted_[:, :k]
        R, on = R[:k, :k], pivots[:k]

        def saddle(r: Array, s: Array) -> tuple[Array, Array, Array]:
            h = np.concatenate([root * s, np.zeros(len(own))])
            along, v = (
                Q.T @ h,
                solve_triangular(R, r[on], trans="T", check_finite=False),
            )
            dx = np.zeros(len(r))
            dx[on] = -solve_triangular(R, along + v, check_finite=False)
            rest = h - Q @ along
            rest -= Q @ (Q.T @ rest + v)
            return dx, root * rest[:m], self.forward(dx)

        return saddle


def orthogonal(form: Form, q: Array, row: Array, E: Array) -> Orthogonal:
    """Of these rows of all maps, with the columns Eᵀ beside them."""
    parts = [k.matrix for k in form.blocks]
    dense = [A if isinstance(A, np.ndarray) else A.toarray() for A in parts]
    return Orthogonal(q, np.concatenate([np.concatenate(dense)[row], E.T], axis=1))
