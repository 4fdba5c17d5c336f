r"""The proximal method of multipliers by semismooth Newton steps, for a batch.

The method of `augmented_lagrangian`, each problem with its own σ, τ and step lengths:

.. math:: x_+ \approx \mathrm{argmin}_x \ \tfrac12 \langle q x, x \rangle
   + \langle c, x \rangle + M(x) + \frac{1}{2\tau} |x - x_k|^2, \quad
   \nabla M(x) = A^T Y(x), \quad y_+ = Y(x_+).

A `step` is one of the multipliers for the problems whose x_+ is found, and one of
Newton's method for the others.
"""

from __future__ import annotations

import numpy as np

from subgrad._check import Array
from subgrad._jacobian import Jacobian
from subgrad.core import Function
from subgrad.functions.indicator import Indicator
from subgrad.functions.quadratic import SquaredNorm
from subgrad.functions.separable import Separable
from subgrad.functions.support import Support
from subgrad.sets.ball import GroupBall
from subgrad.sets.box import Box
from subgrad.sets.hull import CrossPolytope
from subgrad.sets.simplex import CappedSimplex
from subgrad.solvers.structured.members import dense, joined, members
from subgrad.solvers.structured.normal import cholesky
from subgrad.solvers.structured.terms import Structure, unscaled

INNER = 30  # Newton steps within one step of the multipliers
HUGE = 1e100  # beyond it squares overflow: there is no solution
EPS = float(np.finfo(np.float64).eps)


class Blocks:
    """Σ h_k(A_k x + b_k) of `count` problems; A (..., m, n) and b (..., m) of all k."""

    def __init__(self, s: Structure, count: int) -> None:
        sizes = [t.op.rows for t in s.terms]
        ends = np.cumsum([0, *sizes])
        self.count = count
        self.cuts = [slice(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True)]
        self.label = np.repeat(np.arange(len(sizes)), sizes)
        self.hs = [t.h for t in s.terms]
        self.A = joined([dense(t.op) for t in s.terms], -2)
        self.b = joined([t.b for t in s.terms])

    def at(self, some: Array) -> Blocks:
        """Those of some problems."""
        if len(some) == self.count:
            return self
        new = object.__new__(Blocks)
        new.count, new.cuts, new.label = len(some), self.cuts, self.label
        new.hs = [members(h, (some,)) for h in self.hs]
        new.A = self.A[some] if self.A.ndim > 2 else self.A
        new.b = self.b[some] if self.b.ndim > 1 else self.b
        return new

    def forward(self, x: Array) -> Array:
        """A x."""
        return np.matvec(self.A, x) if self.A.ndim > 2 else x @ self.A.T

    def adjoint(self, y: Array) -> Array:
        """Aᵀ y."""
        return np.vecmat(y, self.A) if self.A.ndim > 2 else y @ self.A

    def dual_prox(self, w: Array, sigmas: Array) -> Array:
        """prox of σ_k h_k*, sigmas (count, K)."""
        each = zip(self.hs, self.cuts, sigmas.T, strict=True)
        return joined([h._dual_prox(w[:, at], t) for h, at, t in each])

    def values(self, z: Array) -> Array:
        """The h_k, (count, K)."""
        each = zip(self.hs, self.cuts, strict=True)
        lead = (len(z),)
        parts = [np.broadcast_to(h._value(z[:, at]), lead) for h, at in each]
        return np.stack(parts, -1)

    def squares(self) -> Array:
        """The sums of the squares of the entries of the A_k, (..., K)."""
        rows = np.square(self.A).sum(-1)
        return np.stack([rows[..., at].sum(-1) for at in self.cuts], -1)

    def gram(self, w: Array, sigmas: Array) -> Array:
        """Σ σ_k A_kᵀ J_k A_k, J_k of the prox at w."""
        d, rest = np.zeros_like(w), []
        for h, at, s in zip(self.hs, self.cuts, sigmas.T, strict=True):
            A = self.A[..., at, :]
            if not _along_last(h, A.shape[-2]):
                J = s[:, None, None] * self._one_by_one(h, w[:, at], s)
                rest.append(A.mT @ J @ A)
                continue
            J = h._dual_prox_jacobian(w[:, at], s)
            d[:, at] = s[:, None] * J.d
            if J.u is not None:
                V = _groups(J, A)
                rest.append((V * (s[:, None] * J.along)[..., None]).mT @ V)
        return sum(rest, (self.A * d[..., None]).mT @ self.A)

    def _one_by_one(self, h: Function, w: Array, s: Array) -> Array:
        each = (members(h, (i,)) for i in range(len(w)))
        found = zip(each, w, s, strict=True)
        return np.stack([g._dual_prox_jacobian(v, t).dense() for g, v, t in found])


def _along_last(h: Function, m: int) -> bool:
    """Whether the derivative of the prox of h is written for batches."""
    g = unscaled(h)[1]
    if isinstance(g, Support | Indicator):
        return isinstance(g._body(m), Box | GroupBall | CappedSimplex | CrossPolytope)
    if isinstance(g, Separable):
        return not g.phi.batch
    return isinstance(g, SquaredNorm)


def _groups(J: Jacobian, A: Array) -> Array:
    """u_gᵀ A, (count, G, n)."""
    assert J.u is not None and J.e is not None
    U = J.u[..., None, :]
    if J.labels is not None:
        U = U * (J.labels == np.arange(J.e.shape[-1])[:, None])
    return np.asarray(U @ A)


class BatchNewton:
    """x, y of shape (B, n), (B, m) after so many `step()`s, and z = A x + b.

    s is of a batch of B functions or of one; x where they start. `lost` are those that
    were followed to where squares overflow.
    """

    KEPT = (
        "x", "z", "y", "xk", "yk", "q", "c", "offset", "rho", "square", "unit",
        "sigma", "grow", "used", "first", "last", "still", "strong",
        "lost",
    )  # fmt: skip

    def __init__(self, s: Structure, x: Array, y: Array | None = None) -> None:
        B, n = x.shape
        self.blocks = blocks = Blocks(s, B)
        self.q, self.c = (np.broadcast_to(a, (B, n)) for a in (s.q, s.c))
        self.offset = np.broadcast_to(s.offset, (B,))
        self.x = self.xk = x
        self.z = blocks.forward(x) + blocks.b
        sizes = np.array([at.stop - at.start for at in blocks.cuts])
        lengths = np.maximum(blocks.squares() / sizes, 1e-300)
        lengths = np.broadcast_to(lengths, (B, len(sizes)))
        most = lengths.max(-1)
        # Rows of all blocks count as if they had one length.
        self.rho, self.square = most[:, None] / lengths, most * sizes.sum()
        self.strong = np.all(self.q > 0, -1)
        self.unit = self._typical_ratio(s)
        self.sigma = (10 if y is None else 1000) * self.unit
        if y is None:
            y = blocks.dual_prox(np.zeros_like(self.z), self.sigmas)
        self.y = self.yk = y
        self.grow, self.first = np.full(B, 3.0), np.zeros(B)
        self.last, self.still = np.full(B, np.inf), np.zeros(B, int)
        self.used, self.lost = np.zeros(B, int), np.zeros(B, bool)

    def _typical_ratio(self, s: Structure) -> Array:
        """How large multipliers are against the values A x + b."""
        blocks, x = self.blocks, np.zeros_like(self.x)
        if self.strong.all():
            return self.q.sum(-1) / self.square
        for t in s.terms:
            if t.own and isinstance(t.h, Indicator):
                x = t.h._prox(x, np.ones(()))
        b = blocks.forward(x) + blocks.b
        size = np.where(b == 0, np.nan, np.abs(b))
        size[np.isnan(size).all(-1)] = 1.0
        typical = np.nanmedian(size, -1)
        sign = np.where(np.arange(b.shape[-1]) % 2 == 0, 1.0, -1.0)
        largest = np.zeros(len(b))
        for z in (b + sign * typical[:, None], b - sign * typical[:, None]):
            for h, at, scale in zip(blocks.hs, blocks.cuts, self.rho.T, strict=True):
                value, g = h._oracle(z[:, at])
                size = np.sqrt(np.square(g).mean(-1))
                good = np.isfinite(value) & np.isfinite(size)
                largest = np.maximum(largest, np.where(good, size / scale, 0.0))
        ratio = 0.1 * np.where(largest > 0, largest, 1.0) / typical
        return np.where(self.strong, self.q.sum(-1) / self.square, ratio)

    @property
    def sigmas(self) -> Array:
        """Those of all blocks, (B, K)."""
        return self.sigma[:, None] * self.rho

    def keep(self, some: Array) -> None:
        """Only these problems."""
        for name in self.KEPT:
            setattr(self, name, getattr(self, name)[some])
        self.blocks = self.blocks.at(some)

    def step(self) -> Array:
        """One step; which problems have new multipliers, or had to go back."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self._step()

    def _step(self) -> Array:
        blocks, n = self.blocks, self.x.shape[-1]
        sigmas = self.sigmas
        each = sigmas[:, blocks.label]
        w = self.yk + each * self.z
        y = blocks.dual_prox(w, sigmas)
        span = 100 * self.sigma / (self.unit**2 * self.square)
        limit = 1e11 * n / (self.sigma * self.square)
        back = np.where(self.strong, 0.0, 1 / np.minimum(span, limit))
        moved, turned = self.x - self.xk, y - self.yk
        slope = self.q * self.x + self.c + back[:, None] * moved
        g, D = slope + blocks.adjoint(y), self.q + back[:, None]
        away = (turned**2 / each).sum(-1) + back * np.vecdot(moved, moved)
        size = np.sqrt(self.square) * _norm(y) + _norm(self.c) + _norm(slope)
        floor, error = 3 * EPS * size, _norm(g)
        self.first = np.where(self.used == 0, error, self.first)
        # Newton's method near the end stands still at what rounding leaves.
        self.still = np.where(error > 0.5 * self.last, self.still + 1, 0)
        self.last = np.minimum(error, self.last)
        low = np.sqrt(D.min(-1))
        exact = error <= np.maximum(0.1 * np.sqrt(away) * low, floor)
        near = error <= np.minimum(1e-4 * self.first, 1e5 * floor)
        self.lost = ~(size + _norm(self.x) < HUGE)
        settled = (exact | ((self.still > 1) & near)) & ~self.lost
        over = settled | (self.used >= INNER) | self.lost
        if not over.all():
            self._newton(np.flatnonzero(~over), w, sigmas, each, slope, D, g)
        if over.any():
            self._multipliers(over, settled, exact & (self.used <= 0.6 * INNER), y)
        return over

    def _multipliers(self, over: Array, settled: Array, fast: Array, y: Array) -> None:
        """New multipliers for what is settled; the rest of `over` goes back."""
        failed = over & ~settled
        self.x = np.where(failed[:, None], self.xk, self.x)
        self.xk = np.where(over[:, None], self.x, self.xk)
        self.y = self.yk = np.where(settled[:, None], y, self.yk)
        z = self.blocks.forward(self.x) + self.blocks.b
        self.z = np.where(over[:, None], z, self.z)
        faster = np.where(self.used <= 2, 3, 1) * self.grow * self.sigma
        most = np.where(self.strong, 1e20, 1e6) * self.unit
        more = np.where(fast, np.minimum(faster, most), self.sigma)
        self.sigma = np.where(failed, self.sigma / self.grow, more)
        slower = np.maximum(1.5, self.grow**0.7)
        self.grow = np.where(failed, slower, self.grow)
        self.used = np.where(over, 0, self.used)
        self.last = np.where(over, np.inf, self.last)
        self.still = np.where(over, 0, self.still)

    def _newton(
        self, at: Array, w: Array, sigmas: Array, each: Array, slope: Array, D: Array,
        g: Array,
    ) -> None:  # fmt: skip
        part = self.blocks.at(at)
        w, sigmas, slope, D, g = w[at], sigmas[at], slope[at], D[at], g[at]
        H, i = part.gram(w, sigmas), np.arange(D.shape[-1])
        H[:, i, i] += D
        diagonal = H[:, i, i]
        d = cholesky(H)(-g)
        d = np.where(np.isfinite(d).all(-1, keepdims=True), d, -g / diagonal)
        dz = part.forward(d)
        ends = np.vecdot(slope, d), np.vecdot(D, d * d), np.vecdot(g, d)
        t = _search(part, w, each[at] * dz, dz, sigmas, *ends)
        x, z = self.x.copy(), self.z.copy()
        x[at] += t[:, None] * d
        z[at] += t[:, None] * dz
        self.x, self.z = x, z
        self.used[at] = np.where(t > 0, self.used[at] + 1, INNER)

    def look(self, at: Array) -> tuple[Array, Array]:
        """About the values at x of these problems, and how far a bound is from them.

        With p the prox of h / σ whose multiplier is Y, h*(Y) = <Y, p> - h(p).
        """
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            return self._look(at)

    def _look(self, at: Array) -> tuple[Array, Array]:
        part, sigmas = self.blocks.at(at), self.sigmas[at]
        x, z, q, c = self.x[at], self.z[at], self.q[at], self.c[at]
        each = sigmas[:, part.label]
        y = part.dual_prox(self.y[at] + each * z, sigmas)
        moved = (y - self.y[at]) / each
        there, here = part.values(z - moved), part.values(z)
        lost = np.stack([np.abs(y * moved)[:, k].sum(-1) for k in part.cuts], -1)
        gain = np.stack([(y * moved)[:, k].sum(-1) for k in part.cuts], -1)
        more = np.abs(here - there - gain)
        apart = np.where(np.isfinite(more), more, lost).sum(-1)
        value = np.where(np.isfinite(here), here, there).sum(-1)
        r = np.abs(q * x + c + part.adjoint(y))
        cost = np.where(q > 0, r * r / (2 * q), r * np.abs(x)).sum(-1)
        value = value + self.offset[at] + np.vecdot(x, q * x / 2 + c)
        return value, apart + cost


def _norm(x: Array) -> Array:
    return np.sqrt(np.vecdot(x, x))


def _search(
    blocks: Blocks, w: Array, move: Array, dz: Array, sigmas: Array, a: Array,
    b: Array, first: Array,
) -> Array:  # fmt: skip
    """t with |φ'(t)| <= |φ'(0)| / 10, φ'(t) = a + b t + <Y(t), dz>, φ convex."""
    count = len(w)
    found, low, high = np.zeros(count), np.zeros(count), np.full(count, np.inf)
    at_low, at_high, t = first.copy(), np.zeros(count), np.ones(count)
    left = np.flatnonzero(first < 0)
    for _ in range(22):
        if not len(left):
            break
        s, part = t[left], blocks.at(left)
        y = part.dual_prox(w[left] + s[:, None] * move[left], sigmas[left])
        slope = a[left] + b[left] * s + np.vecdot(y, dz[left])
        goal = -0.1 * first[left]
        bracketed = np.isfinite(high[left])
        # The step 1 is good where it is not beyond the minimum by much.
        slow = ~bracketed & (slope >= 0.9 * at_low[left])
        done = (np.abs(slope) <= goal) | (slow & (slope <= goal))
        found[left] = s
        up = slope > goal
        high[left[up]], at_high[left[up]] = s[up], slope[up]
        low[left[~up]], at_low[left[~up]] = s[~up], slope[~up]
        left = left[~done]
        share = at_low[left] / (at_low[left] - at_high[left])
        inside = low[left] + np.clip(share, 0.05, 0.95) * (high[left] - low[left])
        t[left] = np.where(np.isfinite(high[left]), inside, 2 * low[left])
    found[left] = np.where(low[left] > 0, low[left], found[left])
    return found
