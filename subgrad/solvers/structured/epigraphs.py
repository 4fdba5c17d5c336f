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
from typing import Any, NamedTuple

import numpy as np

from subgrad._check import Array
from subgrad._jacobian import Jacobian, LowRank
from subgrad.core import Function
from subgrad.functions.norms import MaxEntry
from subgrad.functions.separable import Separable

ROUNDS = 100
SMALL = 50_000  # entries of what is kept as a dense matrix
EPS = float(np.finfo(np.float64).eps)


class Round(NamedTuple):
    """A summand of f_piece: w |z|, or c/2 |z|², the other number being 0."""

    rows: int
    piece: int
    w: float
    c: float


class Other(NamedTuple):
    """A summand of f_piece with a prox, finite everywhere."""

    rows: int
    piece: int
    f: Function


class Heights(NamedTuple):
    """f_i(p_i) and <g_i, J_i g_i>, both (k,)."""

    value: Array
    bend: Array


class Composed(Function):
    """h(f_1(z_1) + t_1, ..., f_k(z_k) + t_k) of (z, t), each f_i a sum of summands.

    z holds the arguments of all round summands, then those of the others; a piece
    without summands is t_i alone. Weights are nonnegative where `curved` (k,) says so.
    """

    def __init__(
        self, h: Function, rounds: list[Round], others: list[Other], curved: Any
    ) -> None:
        self.h, self.rounds, self.others = h, rounds, others
        self.curved, self.k = curved, len(curved)
        self.sizes = np.array([r.rows for r in rounds], int)
        self.labels = np.repeat(np.arange(len(rounds)), self.sizes)
        self.piece = np.array([r.piece for r in rounds], int)
        self.w = np.array([r.w for r in rounds], float)
        self.c = np.array([r.c for r in rounds], float)
        ends = np.cumsum([0, len(self.labels), *(o.rows for o in others)])
        self.cuts = [slice(a, b) for a, b in zip(ends[1:-1], ends[2:], strict=True)]
        self.n = int(ends[-1]) + self.k
        self._last: Any = None  # where _weights was last, and what it found

    def _key(self) -> tuple[Any, ...]:
        return (self.h, tuple(self.rounds), tuple(self.others))

    def _split(self, x: Array) -> tuple[Array, Array, Array]:
        """z, the lengths of the arguments of the round summands, and t."""
        return x, self._lengths(x), x[self.n - self.k :]

    def _lengths(self, x: Array) -> Array:
        v = x[: len(self.labels)]
        return np.sqrt(np.bincount(self.labels, v * v, len(self.sizes)))

    def _total(self, a: Array) -> Array:
        """Sums over the round summands of each piece."""
        return np.bincount(self.piece, a, self.k)

    def _heights(self, x: Array, size: Array, mu: Array) -> Heights:
        m = mu[self.piece]
        left = np.maximum(size - self.w * m, 0.0)
        r = 1 / (1 + self.c * m)
        slope = self.c * size * r
        value = self._total(self.w * left + 0.5 * slope * size * r)
        bend = self._total(np.where(left > 0, self.w**2, 0.0) + slope**2 * r)
        for o, at in zip(self.others, self.cuts, strict=True):
            z, step = x[at], mu[o.piece]
            if step > 0:
                p = o.f._prox(z, step)
                g = (z - p) / step
                value[o.piece] += o.f._value(p)
                bend[o.piece] += g @ o.f._prox_jacobian(z, step).apply(g)
            else:
                f, g = o.f._oracle(z)
                value[o.piece] += f
                bend[o.piece] += g @ g
        return Heights(value, bend)

    def _value(self, x: Array) -> Array:
        if x.ndim > 1:
            lead = x.shape[:-1]
            each = [self._value(v) for v in x.reshape(-1, self.n)]
            return np.reshape(each, lead)
        x, size, t = self._split(x)
        return self.h._value(self._heights(x, size, np.zeros(self.k)).value + t)

    def _subgradient(self, x: Array) -> Array:
        return self._oracle(x)[1]

    def _oracle(self, x: Array) -> tuple[Array, Array]:
        x, size, t = self._split(x)
        value, w = self.h._oracle(self._heights(x, size, np.zeros(self.k)).value + t)
        w = np.where(self.curved, np.maximum(w, 0.0), w)
        m, u = w[self.piece], 1 / np.where(size > 0, size, 1.0)
        parts = [(m * (self.w * u + self.c))[self.labels] * x[: len(self.labels)]]
        for o, at in zip(self.others, self.cuts, strict=True):
            parts.append(w[o.piece] * o.f._subgradient(x[at]))
        return value, np.concatenate([*parts, w])

    # The weights -------------------------------------------------------------------

    def _weights(self, x: Array, size: Array, t: Array, sigma: float) -> Any:
        """μ, D there, and where and with which steps the last prox of h* was taken."""
        if self._last is not None and self._last[0] == sigma:
            if np.array_equal(self._last[1], x):
                return self._last[2]
        mu, last, share = np.zeros(self.k), np.inf, 1.0
        for _ in range(ROUNDS):
            found = self._heights(x, size, mu)
            D = 1 + found.bend
            phi = found.value + t - mu
            steps = sigma / D
            if not self._apart:
                steps = np.full(self.k, steps.min())
            at = sigma * mu + steps * phi
            new = self._outer(at, steps) / sigma
            move = new - mu
            far = float(np.abs(move).max())
            if far <= 16 * EPS * float(np.abs(new).max() + np.abs(phi / D).max()):
                break
            # Where full steps do not come closer, shorter ones do.
            share = 1.0 if far < last else 0.5 * share
            last = far
            mu = mu + max(share, 0.1) * move
        self._last = sigma, x, (new, D, at, steps)
        return self._last[2]

    @property
    def _apart(self) -> bool:
        """Whether h* has a prox with a step of its own for each entry."""
        return isinstance(self.h, MaxEntry | Separable)

    def _outer(self, at: Array, steps: Array) -> Array:
        """argmin h*(λ) + Σ (λ_i - at_i)² / (2 steps_i), λ >= 0 where curved."""
        if isinstance(self.h, MaxEntry):
            return on_simplex(at, steps)
        if isinstance(self.h, Separable):
            lam = self.h._dual_prox(at[:, None], steps)[:, 0]
            return np.where(self.curved, np.maximum(lam, 0.0), lam)
        return self.h._dual_prox(at, steps[0])

    def _dual_prox(self, y: Array, s: Any) -> Array:
        sigma = float(s)
        x, size, t = self._split(y / sigma)
        mu = self._weights(x, size, t, sigma)[0]
        m, n = mu[self.piece], len(self.labels)
        far = np.where(size > 0, size, 1.0)
        part = np.minimum(self.w * m / far, 1.0) + self.c * m / (1 + self.c * m)
        out = [part[self.labels] * y[:n]]
        for o, at in zip(self.others, self.cuts, strict=True):
            z, step = x[at], mu[o.piece]
            p = o.f._prox(z, step) if step > 0 else z
            out.append(sigma * (z - p))
        return np.concatenate([*out, sigma * mu])

    def _dual_prox_jacobian(self, y: Array, s: Any) -> LowRank:
        sigma = float(s)
        x, size, t = self._split(y / sigma)
        mu, D, at, steps = self._weights(x, size, t, sigma)
        m, n, r = mu[self.piece], len(self.labels), 1 / (1 + self.c * mu[self.piece])
        far = np.where(size > 0, size, 1.0)
        part = np.where(m > 0, np.minimum(self.w * m / far, 1.0), 0.0)
        inner = (self.w > 0) & (m > 0) & (part < 1)
        d, a = np.zeros(self.n), np.ones(self.n)
        d[:n] = (part + self.c * m * r)[self.labels]
        along = np.where(inner, self.w / far, 0.0) + self.c * r**2
        a[:n] = along[self.labels] * x[:n]
        found = _Columns(self.n)
        u = x[:n] / far[self.labels]
        found.by_group(np.where(inner[self.labels], u, 0), self.labels, -part * inner)
        for o, rows in zip(self.others, self.cuts, strict=True):
            a[rows] = 0.0
            if mu[o.piece] > 0:
                z, step = x[rows], mu[o.piece]
                J = o.f._prox_jacobian(z, step)
                a[rows] = J.apply(z - o.f._prox(z, step)) / step
                d[rows], V, e = _low_rank(J.complement())
                found.dense(V, e, rows.start)
        e, W, f = self._spread(sigma * mu, D, at, steps, sigma)
        found.by_group(a, self._owner, e)
        found.dense(a[:, None] * W[self._owner], f, 0)
        return LowRank(d, *found.total())

    @cached_property
    def _owner(self) -> Array:
        """Which piece a row belongs to."""
        rest = [np.full(o.rows, o.piece) for o in self.others]
        return np.concatenate([self.piece[self.labels], *rest, np.arange(self.k)])

    def _spread(
        self, lam: Array, D: Array, at: Array, steps: Array, sigma: float
    ) -> tuple[Array, Array, Array]:
        """e, W and f with K = diag(e) + W diag(f) Wᵀ."""
        none = np.zeros(self.k)
        if isinstance(self.h, MaxEntry):
            e = np.where(lam > 0, 1 / D, 0.0)
            return e, e[:, None], np.array([-1 / e.sum()])
        if isinstance(self.h, Separable):
            each = [
                self.h._dual_prox_jacobian(at[i : i + 1], steps[i]).d[0]
                for i in range(self.k)
            ]
            free = ~self.curved | (lam > 0)
            return np.where(free, each / D, 0.0), none[:, None][:, :0], none[:0]
        J = self.h._dual_prox_jacobian(at, steps[0]).dense()
        s = steps[0] / sigma
        K = np.linalg.solve(np.eye(self.k) - J * (1 - s * D), J * s)
        f, W = np.linalg.eigh((K + K.T) / 2)
        return none, W, f

    def room(self, y: Array) -> tuple[Array, Array, float]:
        """W, t, l: H*(y + v) <= H*(y) + <t, v> + l for all v = W w with |w| <= 1."""
        m, W, t = y[self.n - self.k :][self.piece], np.zeros(self.n), np.zeros(self.n)
        curved = m * self.c
        if not np.any(curved > 0):
            return W, t, 0.0
        # As much as the multipliers of squares have on the average.
        some, n = np.flatnonzero(curved > 0), len(self.labels)
        far = np.where(np.isin(self.labels, some), 1.0, 0.0)
        size = float((far * np.abs(y[:n])).sum() / far.sum()) + EPS
        W[:n] = far * size * np.sqrt(curved / curved.max())[self.labels]
        t[:n] = far * y[:n] / np.where(curved > 0, curved, 1.0)[self.labels]
        return W, t, size**2 / (2 * float(curved.max()))

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

    def __init__(self, H: Composed) -> None:
        self.H, self.n = H, H.n

    def _value(self, x: Array) -> Any:
        """H* at a point that `_to_domain` gave."""
        from subgrad.solvers.structured.domains import conjugate_value

        H, lam = self.H, x[self.H.n - self.H.k :]
        total = conjugate_value(H.h, lam)
        on = (H.c > 0) & (lam[H.piece] > 0)
        square = H._lengths(x)[on] ** 2
        total += float(np.sum(square / (2 * H.c[on] * lam[H.piece][on])))
        for o, at in zip(H.others, H.cuts, strict=True):
            if (w := float(lam[o.piece])) > 0:
                total += w * conjugate_value(o.f, x[at] / w)
        return np.asarray(total)

    def _to_domain(self, x: Array) -> Array:
        from subgrad.solvers.structured.domains import to_domain

        H, n = self.H, len(self.H.labels)
        lam = to_domain(H.h, x[H.n - H.k :])
        lam = np.where(H.curved, np.maximum(lam, 0.0), lam)
        m, size = lam[H.piece], H._lengths(x)
        far = np.where(size > 0, size, 1.0)
        part = np.where(H.c > 0, m > 0, np.minimum(H.w * m / far, 1.0))
        out = [part[H.labels] * x[:n]]
        for o, at in zip(H.others, H.cuts, strict=True):
            w = float(lam[o.piece])
            out.append(w * to_domain(o.f, x[at] / w) if w > 0 else 0 * x[at])
        return np.concatenate([*out, lam])


def on_simplex(at: Array, steps: Array) -> Array:
    """argmin Σ (λ_i - at_i)² / (2 s_i) over λ >= 0 with sum 1: (at - s θ)_+."""
    ends = at / steps
    order = np.argsort(-ends)
    total, slope = np.cumsum(at[order]), np.cumsum(steps[order])
    theta = (total - 1) / slope
    last = np.flatnonzero(ends[order] > theta)[-1]
    lam = np.maximum(at - steps * theta[last], 0.0)
    return lam / lam.sum()


class _Columns:
    """V and e of a sum of V diag(e) Vᵀ, V with n rows, of which few are not zero."""

    def __init__(self, n: int) -> None:
        self.n, self.entries = n, list[tuple[Array, Array, Array]]()
        self.e = list[Array]()

    def by_group(self, v: Array, labels: Array, e: Array) -> None:
        """A column for each e_g that is not 0: v on the group g, the first rows."""
        some = np.flatnonzero(e)
        place = np.full(len(e), -1)
        place[some] = np.arange(len(some))
        at = np.flatnonzero(place[labels] >= 0) if len(some) else some
        self._add(at, place[labels[at]], v[at], e[some])

    def dense(self, V: Array, e: Array, start: int) -> None:
        """These, from the row `start` on."""
        rows, columns = np.nonzero(V)
        self._add(rows + start, columns, V[rows, columns], e)

    def _add(self, rows: Array, columns: Array, values: Array, e: Array) -> None:
        self.entries.append((rows, columns + sum(map(len, self.e)), values))
        self.e.append(e)

    def total(self) -> tuple[Any, Array]:
        """V, sparse where it is large, and e."""
        e = np.concatenate(self.e)
        rows, columns, values = map(np.concatenate, zip(*self.entries, strict=True))
        if self.n * len(e) > SMALL:
            from scipy.sparse import csc_array

            return csc_array((values, (rows, columns)), shape=(self.n, len(e))), e
        V = np.zeros((self.n, len(e)))
        V[rows, columns] = values
        return V, e


def _low_rank(J: Any) -> tuple[Array, Array, Array]:
    """d, V, e with J = diag(d) + V diag(e) Vᵀ."""
    if isinstance(J, LowRank):
        return J.d, J.V, J.e
    if isinstance(J, Jacobian) and J.u is None:
        return J.d, np.zeros((len(J.d), 0)), np.zeros(0)
    e, V = np.linalg.eigh(J.dense())
    return np.zeros(len(V)), V, e
