r"""Derivatives of maps of matrices through their spectra.

With X = U diag(v) Vᵀ and a symmetric map g of the spectrum, G(X) = U diag(g(v)) Vᵀ has

.. math:: G'(X) H = U \Big( \frac{g_i - g_j}{v_i - v_j} \circ sym(U^T H V) +
   \frac{g_i + g_j}{v_i + v_j} \circ skew(U^T H V) \Big) V^T

off the diagonal, g'(v) on it, and g_i / v_i in rows or columns beyond a square; for
symmetric matrices V = U and the skew part does not count. Where v_i = v_j the quotient
is that of the derivatives, J_ii - J_ij. Lewis and Sendov, Twice differentiable spectral
functions, SIAM J. Matrix Anal. 23 (2001); Nonsmooth analysis of singular values II,
Set-Valued Analysis 13 (2005).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad._jacobian import GeneralJacobian
from subgrad.sets._spectral_blocks import completed


class SpectralJacobian(GeneralJacobian):
    """G'(X) + `rest`, of frames U (m, p), V (n, p), J a Jacobian of g at v.

    labels (p,): the blocks of `_spectral_blocks`; other entries of Uᵀ H V are dropped.
    Where all but a `few` of the entries of the spectrum make it 0 or 1, so that it is a
    multiple of the identity but for few rows and columns, products take these alone.
    """

    def __init__(
        self, U: Array, V: Array, v: Array, g: Array, J: Any, labels: Array, rest: Any
    ) -> None:
        same, self.U = U is V, completed(U)
        self.V, self.rest = self.U if same else completed(V), rest
        self.n, self.D = U.shape[0] * V.shape[0], J.dense()
        self.minus, self.plus, self.beyond = _quotients(v, g, self.D, labels)
        self.symmetric = bool(labels[0] >= 0)
        self.few, self.c = self._exceptions(labels)

    def _exceptions(self, labels: Array) -> tuple[Array | None, float]:
        """The few, and what the others make of it."""
        each, p = np.diagonal(self.D), len(self.D)
        c = float(np.median(each))
        odd = (each != c) | (np.count_nonzero(self.minus != c, axis=0) > p / 2 + 1)
        few, rest = np.flatnonzero(odd), np.flatnonzero(~odd)
        if c not in (0.0, 1.0) or 3 * len(few) > p or np.ptp(labels) > 0:
            return None, c
        square, plain = np.ix_(rest, rest), self.D - c * np.eye(p)
        off = [self.minus[square] - c, plain[rest], plain[:, rest]]
        if not self.symmetric:
            off += [self.plus[square] - c, self.beyond[rest] - c]
        return (few if max(np.abs(o).max() for o in off) <= 1e-12 else None), c

    def apply(self, x: Array) -> Array:
        """J x."""
        H = x.reshape(self.U.shape[0], self.V.shape[0])
        out = self._all(H) if self.few is None else self._some(H, self.few)
        return out.ravel() if self.rest is None else out.ravel() + self.rest(x)

    def _all(self, H: Array) -> Array:
        M = self.U.T @ H @ self.V
        p = len(self.D)
        T = M[:p, :p]
        out = np.zeros_like(M)
        square = 0.5 * self.minus * (T + T.T) + 0.5 * self.plus * (T - T.T)
        square[np.diag_indices(p)] = self.D @ np.diagonal(T)
        out[:p, :p] = square
        out[p:, :p] = M[p:, :p] * self.beyond
        out[:p, p:] = M[:p, p:] * self.beyond[:, None]
        return np.asarray(self.U @ out @ self.V.T)

    def _some(self, H: Array, at: Array) -> Array:
        """c H, and what the rows and columns `at` of Uᵀ H V add to it."""
        p, k = len(self.D), np.arange(len(at))
        U, V = self.U[:, at], self.V[:, at]
        rows, cols = (U.T @ H) @ self.V, self.U.T @ (H @ V)
        other = cols[:p].T
        minus = self.minus[at] - self.c
        plus = 0.0 if self.symmetric else self.plus[at] - self.c
        R, C = np.zeros_like(rows), np.zeros_like(cols)
        even, odd = 0.5 * (rows[:, :p] + other), 0.5 * (rows[:, :p] - other)
        R[:, :p] = minus * even + plus * odd
        C[:p] = (minus * even - plus * odd).T
        C[at] = 0.0
        square = self.D[np.ix_(at, at)] - self.c * np.eye(len(at))
        R[k, at] = square @ rows[k, at]
        beyond = self.beyond[at] - self.c
        R[:, p:], C[p:] = rows[:, p:] * beyond[:, None], cols[p:] * beyond
        base = 0.5 * (H + H.T) if self.symmetric else H
        return np.asarray(self.c * base + U @ (R @ self.V.T) + (self.U @ C) @ V.T)


def _quotients(
    v: Array, g: Array, D: Array, labels: Array
) -> tuple[Array, Array, Array]:
    """Divided differences of g at v, those with v_j reflected, and with zero."""
    near = 1e-9 * max(float(np.abs(v).max()), 1e-300)
    block = labels[:, None] == labels
    round_ = labels < 0
    each, cross = np.diagonal(D), 0.5 * (D + D.T)
    mean = 0.5 * (each[:, None] + each)

    def quotient(gap: Array, rise: Array, limit: Array) -> Array:
        tied = np.abs(gap) <= near
        return np.clip(np.where(tied, limit, rise / np.where(tied, 1.0, gap)), 0, 1)

    minus = quotient(v[:, None] - v, g[:, None] - g, mean - cross)
    minus[np.diag_indices(len(v))] = each
    plus = quotient(v[:, None] + v, g[:, None] + g, mean + cross)
    beyond = quotient(v, g, each)
    return minus * block, plus * (block & round_), beyond * round_
