r"""Functions of several functions, as one atom with a prox.

.. math:: H(z_1, \dots, z_k, t) = h(f_1(z_1) + t_1, \dots, f_k(z_k) + t_k), \qquad
   H^*(y_1, \dots, y_k, \lambda) = h^*(\lambda)
   + \sum_i \lambda_i f_i^*(y_i / \lambda_i), \quad \lambda \ge 0

h convex and nondecreasing. A multiplier of H carries the weights λ of the f_i, so that
the bound it proves is that of the sum of the λ_i f_i: with h = max that is the maximum
bounded by an average. The prox of σ H* at (v, l), z = v/σ and t = l/σ, is

.. math:: y_i = \sigma (z_i - p_i), \quad \lambda = \sigma \mu, \qquad
   p_i = prox_{\mu_i f_i}(z_i), \quad
   \lambda \in \partial h(\varphi(\mu)), \quad \varphi_i = f_i(p_i) + t_i - \mu_i,

so (p_i, φ_i + μ_i - t_i) is the projection of (z_i, φ_i - t_i) on the epigraph of f_i.
φ_i falls with the slope -D_i, D_i = 1 + <g_i, J_i g_i>, g_i = (z_i - p_i) / μ_i and J_i
the Jacobian of the prox; λ minimises h* plus a function with the derivatives -φ, and is
found by Newton's method, a step of which is a prox of h* in the metric D. The Jacobian
of all is, with a_i = J_i g_i and K = (σ h*'' + D)^-1,

.. math:: diag(I - J_i, 0) + \binom{diag(a_i)}{I} K \binom{diag(a_i)}{I}^T.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad._jacobian import LowRank
from subgrad.core import Function
from subgrad.solvers.structured.summands import Columns

ROUNDS = 300
LARGE = 1e30
EPS = float(np.finfo(np.float64).eps)


class _Composed(Function):
    """h(f_1(z_1) + t_1, ..., f_k(z_k) + t_k) of (z, t), each f_i a sum of summands.

    z holds the arguments of the summands, kind by kind; a piece without summands is t_i
    alone. h is one of `outers`, with weights >= 0 wherever a piece has summands. The
    last k arguments are the t_i / u_i, u = `unit`, with multipliers u_i λ_i: then
    φ_i = f_i(p_i) + t_i - u_i² μ_i.
    """

    def __init__(self, h: Any, kinds: list[Any], unit: Any = None) -> None:
        self.h, self.kinds, self.k = h, kinds, h.k
        self.unit = np.ones(h.k) if unit is None else unit
        ends = np.cumsum([0, *(p.rows for p in kinds)])
        self.cuts = [slice(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True)]
        self.inner, self.n = int(ends[-1]), int(ends[-1]) + h.k
        self._last: Any = None  # where _weights was last, and what it found

    def _key(self) -> tuple[Any, ...]:
        return (self.h, *self.kinds)

    def _each(self, x: Array) -> Any:
        """The kinds, and their parts of a vector."""
        return [(p, x[at]) for p, at in zip(self.kinds, self.cuts, strict=True)]

    @cached_property
    def _owner(self) -> Array:
        """Which piece a row belongs to."""
        return np.concatenate([*(p.owner for p in self.kinds), np.arange(self.k)])

    def _heights(self, x: Array, mu: Array) -> tuple[Array, Array]:
        """φ_i and D_i."""
        u = self.unit
        phi, D = u * x[self.inner :] - u * u * mu, u * u
        with np.errstate(over="ignore", invalid="ignore"):
            for p, z in self._each(x):
                value, bend = p.heights(z, mu)
                phi, D = phi + value, D + bend
        return phi, D

    def _value(self, x: Array) -> Array:
        if x.ndim > 1:
            each = [self._value(v) for v in x.reshape(-1, self.n)]
            return np.reshape(each, x.shape[:-1])
        return np.asarray(self.h.value(self._heights(x, np.zeros(self.k))[0]))

    def _subgradient(self, x: Array) -> Array:
        zero = np.zeros(self.k)
        lam = self.h.subgradient(self._heights(x, zero)[0])
        slopes = [lam[p.owner] * p.gradients(z, zero) for p, z in self._each(x)]
        return np.concatenate([*slopes, self.unit * lam])

    def _weights(self, x: Array, sigma: float) -> Any:
        """μ, D there, and where and with which steps the last prox of h* was taken."""
        if self._last is not None and self._last[0] == sigma:
            if np.array_equal(self._last[1], x):
                return self._last[2]
        old, share, h = np.zeros(self.k), 1.0, self.h
        # Steps from a weight 0 with so large a slope would be none.
        phi, D = self._heights(x, old)
        wild = ~(D < LARGE)
        mu = np.where(wild, 1 / sigma, 0.0)
        for k in range(ROUNDS):
            if k or wild.any():
                phi, D = self._heights(x, mu)
            steps = sigma / D if h.apart else np.full(self.k, sigma / D.max())
            at = sigma * mu + steps * phi
            new = h.prox(at, steps) / sigma
            new = np.where(wild, np.maximum(new, 0.1 * mu), new)
            move = new - mu
            size = float(np.abs(new).max() + np.abs(phi / D).max())
            if float(np.abs(move).max()) <= 16 * EPS * size:
                break
            # Steps that go back and forth are made shorter.
            turns = old @ move < -0.5 * (old @ old)
            share = max(0.5 * share, 0.1) if turns else min(2 * share, 1.0)
            if not h.apart and share == 1.0:
                move = h.newton(move, D, at, steps[0], sigma)
            old = share * move
            mu = mu + old
            if share == 1.0:
                mu = np.where(new >= 0, np.maximum(mu, 0.0), mu)
        self._last = sigma, x, (new, D, at, steps)
        return self._last[2]

    def _dual_prox(self, y: Array, s: Any) -> Array:
        sigma = float(s)
        x = y / sigma
        mu = self._weights(x, sigma)[0]
        lam = sigma * mu
        parts = [lam[p.owner] * p.gradients(z, mu) for p, z in self._each(x)]
        return np.concatenate([*parts, self.unit * lam])

    def _dual_prox_jacobian(self, y: Array, s: Any) -> LowRank:
        sigma = float(s)
        x = y / sigma
        mu, D, at, steps = self._weights(x, sigma)
        d, found = np.zeros(self.n), Columns(self.n)
        a = np.append(d[: self.inner], self.unit)
        for (p, z), rows in zip(self._each(x), self.cuts, strict=True):
            a[rows], d[rows] = p.derivatives(z, mu, found, rows.start)
        e, W, f = self.h.spread(sigma * mu, D, at, steps, sigma)
        found.by_group(a, self._owner, e)
        found.dense(a[:, None] * W[self._owner], f)
        return LowRank(d, *found.total())

    def room(self, y: Array, x: Array, turn: float) -> tuple[Any, ...]:
        r"""W, t, l, U, charge and R of `Margins`; x the arguments.

        H*(y + v) <= H*(y) + <t, w> + l for v = Rᵀ w with w = W u, |u| <= 1, U w = 0.
        The multipliers of the summands may move, and the (y_i, λ_i) grow or shrink,
        which changes λ f*(y / λ) by the multiple: one half of the way each.
        """
        from scipy.sparse import csr_array, eye_array, vstack

        lam, loss, slopes = y[self.inner :] / self.unit, 0.0, np.zeros(self.k)
        W, t, back = np.zeros(self.n), np.zeros(self.n), 0.0
        fixed = [np.zeros((0, self.n + self.k))]
        ray = np.append(W[: self.inner], self.unit)
        on = lam > 0
        for (p, v), rows in zip(self._each(y), self.cuts, strict=True):
            m = lam[p.owner]
            ray[rows] = np.where(m > 0, v / np.where(m > 0, m, 1.0), 0.0)
            slopes = slopes + p.slopes(ray[rows], on)
            found = p.room(v, lam, x[rows], turn)
            W[rows], t[rows], loss = found.W / 2, found.t, loss + found.loss
            back += found.back
            ends = (0, 0), (rows.start, self.n + self.k - rows.stop)
            fixed.append(np.pad(found.U, ends))
        own, shift, more, U = self.h.room(lam)
        # What is 0 stays so, and what has summands grows from there.
        held = np.isin(np.arange(self.k), self._owner[: self.inner])
        own = np.where(held, np.where(on, np.minimum(own, lam), 0.0), own) / 2
        R = csr_array((ray, (self._owner, np.arange(self.n))), (self.k, self.n))
        if U is not None:
            fixed.append(np.pad(U, ((0, 0), (self.n, 0))))
        total = np.concatenate([W, own]), np.concatenate([t, shift + slopes])
        both = vstack([eye_array(self.n, format="csr"), R], format="csr")
        U = np.concatenate(fixed)
        return *total, (loss + more) / 2, U if len(U) else None, back / 2, both

    def _prox(self, x: Array, t: Array) -> Array:
        t = np.asarray(t)
        return x - t * self._dual_prox(x / t, 1 / t)

    def _prox_jacobian(self, x: Array, t: Any) -> Any:
        return self._dual_prox_jacobian(x / t, 1 / np.asarray(t)).complement()

    def conjugate(self) -> Function:
        return _Star(self)


class _Star(Function):
    """H*, and points where it is finite."""

    finite = False

    def __init__(self, H: _Composed) -> None:
        self.H, self.n = H, H.n

    def _value(self, x: Array) -> Any:
        """H* at a point that `_to_domain` gave."""
        lam = x[self.H.inner :] / self.H.unit
        parts = [p.star(y, lam) for p, y in self.H._each(x)]
        return np.asarray(self.H.h.star(lam) + sum(parts))

    def _to_domain(self, x: Array) -> Array:
        lam = self.H.h.to_domain(x[self.H.inner :] / self.H.unit)
        parts = [p.to_domain(y, lam) for p, y in self.H._each(x)]
        return np.concatenate([*parts, self.H.unit * lam])
