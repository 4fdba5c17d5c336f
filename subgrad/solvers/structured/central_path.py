r"""An interior-point method for atoms whose multipliers lie in boxes.

.. math:: \min_x \ \tfrac12 \langle q x, x \rangle + \langle c, x \rangle
   + \sum_i h_i((A x + b)_i), \qquad
   h_i(z) = \max_{l_i \le y \le u_i} y z - \tfrac12 p_i y^2, \qquad q, p \ge 0

Ends may be infinite. With slacks s = y - l, u - y and their multipliers λ the method
follows s λ = μ -> 0 along

.. math:: q x + c + A^T y = 0, \qquad A x + b - p y + λ_l - λ_u = 0,

y within its box throughout. A step solves (q + Aᵀ D A) d = r twice, 1 / D = p + λ_l /
s_l + λ_u / s_u. Points and multipliers take steps of their own lengths, also with q or
p, where equal ones take up to a fifth more steps. With q = p = 0 it is the
Frisch-Newton method.

S. Mehrotra, On the implementation of a primal-dual interior point method, SIAM J.
Optim. 2 (1992); S. Portnoy and R. Koenker, The Gaussian hare and the Laplacian
tortoise, Statist. Sci. 12 (1997).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad.solvers.structured.boxes import Boxes

INNER = 0.9  # of the half width, where multipliers start
SHORT = 0.9995  # of the way to the boundary
LEAST = 2 * (1 - SHORT)  # of μ is left, for full steps: they leave no residuals
LAST = 1e-16  # of the first μ, where distances to ends are rounding
HOLDS = 1e-10  # violated by less a constraint holds
LARGE = 1e5  # times the weight of other rows: that of equations


def _mean(a: Array, some: Array, none: float) -> Array:
    """Of these entries of the last axis, which is kept; or `none`."""
    count = some.sum(-1, keepdims=True)
    mean = np.where(some, a, 0.0).sum(-1, keepdims=True) / np.maximum(count, 1)
    return np.where(count > 0, mean, none)


class Path:
    """The iterates x, y, λ of one problem, or of a batch along the leading axes.

    `system` has forward, adjoint and factor; q, c (..., n), b, p, low, high (..., m).
    λ of shape (2, ..., m): of the lower and of the upper ends.
    """

    def __init__(
        self,
        system: Any,
        q: Array,
        c: Array,
        box: Boxes,
        x: Array | None = None,
    ) -> None:
        self.system, self.q, self.c = system, q, c
        self.b, self.p = box.b, box.p
        self.ends = np.stack([box.low, box.high])
        self._constants()
        with np.errstate(all="ignore"):
            self._start(x, self.ends if box.start is None else box.start)

    def _constants(self) -> None:
        ndim = self.ends.ndim
        self.sign = np.array([1.0, -1.0]).reshape(2, *[1] * (ndim - 1))
        # Ends that are finite, of intervals that are no points.
        self.live: Any = self.ends[0] < self.ends[1]
        self.within: Any = np.isfinite(self.ends) & self.live
        self.sides = np.maximum(self.within.sum((0, -1)), 1)
        free = self.live & ~self.within.any(0) & (self.p == 0)
        self.free = free if free.any() else None
        if self.within.all():
            self.within = None
        if self.live.all():
            self.live = None
        self.plain = self.within is None and not self.p.any()

    def _start(self, x: Array | None, ends: Array) -> None:
        low, high = ends
        half = (high - low) / 2
        middle = np.where(np.isfinite(half), low + half, np.clip(0.0, low, high))
        g = self.b - self.p * middle
        # In units of their rows, values are as large as one another, and so are
        # multipliers.
        unit = self.system.norms()
        unit = np.where(unit > 0, unit, _mean(unit, unit > 0, 1.0))
        size = unit * _mean(np.abs(g), g != 0, 1.0) / _mean(unit, g != 0, 1.0)
        some = np.isfinite(half) & (half > 0)
        usual = _mean(half * unit, some, 0.0) / unit
        usual = np.where(usual > 0, usual, size * self.system.balance())
        half = np.where(np.isfinite(half), half, usual)
        D = 1 / (self.p + 2 * size / np.where(half > 0, half, 1.0))
        self.most = LARGE * usual / size
        if self.live is not None:
            D = D * self.live
        A = self.system
        if x is None:
            x = A.factor(D)(self.c + A.adjoint(middle), g)[0]
        self.x = x
        self.z = A.forward(x) + self.b
        y = middle + D * (self.z - self.p * middle)
        inner = INNER * half
        y = np.minimum(np.maximum(y, middle - inner), middle + inner)
        bare = np.isinf(ends)
        y = np.where(bare[0] & ~bare[1], np.minimum(y, high - 0.1 * half), y)
        y = np.where(bare[1] & ~bare[0], np.maximum(y, low + 0.1 * half), y)
        self.y = np.where(low == high, low, y)
        g = self.z - self.p * self.y
        lift = unit * _mean(np.abs(g) / unit, unit > 0, 0.0)
        lift = np.where(lift > 0, lift, size)
        self.lam = np.maximum(-self.sign * g, 0) + lift
        if self.within is not None:
            self.lam = self.lam * self.within
        self._reset()
        self.first = self._product(self.s, self.lam)

    def _reset(self) -> None:
        self.r = self.q * self.x + self.c + self.system.adjoint(self.y)
        s = self.y - self.ends
        s[1] *= -1
        if self.within is not None:
            s[~self.within] = 1.0
        self.s = s

    def step(self) -> None:
        """One step."""
        with np.errstate(all="ignore"):
            self._step()

    def _step(self) -> None:
        s, lam = self.s, self.lam
        inverse = 1 / s
        if self.within is not None:
            inverse *= self.within
        ratio = lam * inverse
        E = self.p + ratio[0] + ratio[1]
        if self.free is not None:
            E += self.free / self.most
        D = 1 / E
        if self.live is not None:
            D = np.where(self.live, D, 0.0)
        saddle = self.system.factor(D)
        g = self.z - self.p * self.y

        _, dy, _ = saddle(self.r, g)
        # Of the path to μ = 0: s dλ + λ ds = -s λ.
        ds = self.sign * dy
        move = ds * inverse
        ay = 1 / np.maximum(-move.min(axis=(0, -1)), 1)
        ax = 1 / np.maximum(1 + move.max(axis=(0, -1)), 1)
        dlam = -(lam + ratio * ds)
        mu, cross = self._product(s, lam), self._product(ds, lam)
        ds *= dlam
        after = mu + ay * cross - ax * (mu + cross) + ay * ax * ds.sum((0, -1))
        target = np.fmax((after / mu) ** 3, LEAST) * mu / self.sides
        pull = np.subtract(target[..., None], ds, out=ds)
        pull *= inverse

        dx, dy, dz = saddle(self.r, g + pull[0] - pull[1])
        ds = self.sign * dy
        dlam = pull
        dlam -= lam
        ratio *= ds
        dlam -= ratio
        ds *= inverse
        steep = np.divide(dlam, lam, out=ratio)
        if self.within is not None:
            steep[~self.within] = 0.0
        ay, ax = (SHORT / np.maximum(-a.min(axis=(0, -1)), SHORT) for a in (ds, steep))
        change = dx.sum(-1) + dy.sum(-1) + dlam.sum((0, -1)) + ax + ay
        good = np.isfinite(change) & ((mu > LAST * self.first) | (self.first == 0))
        if not good.all():
            # These stay where they are.
            ax, ay = np.where(good, ax, 0.0), np.where(good, ay, 0.0)
            dx, dy, dz, dlam = (
                np.where(good[..., None], d, 0.0) for d in (dx, dy, dz, dlam)
            )
        ax, ay = ax[..., None], ay[..., None]
        dlam *= ax
        self.lam = dlam
        dlam += lam
        self.x = self.x + ax * dx
        self.z = self.z + ax * dz
        self.y = self.y + ay * dy
        # Rounding of y must not take away a distance to an end.
        least = s * np.where(ay > 0, (1 - SHORT) / 2, 1.0)
        self._reset()
        np.maximum(self.s, least, out=self.s)

    def _product(self, s: Array, lam: Array) -> Array:
        return np.vecdot(s, lam).sum(0)

    def look(self) -> tuple[Array, Array]:
        """The value at x, and about how far the bound by y is below it."""
        z, (low, high), p, q = self.z, self.ends, self.p, self.q
        with np.errstate(all="ignore"):
            if self.plain:
                each = np.maximum(low * z, high * z)
            else:
                best = np.where(z > 0, high, low)
                best = np.where(p > 0, np.minimum(np.maximum(z / p, low), high), best)
                # Of constraints that hold up to rounding.
                near = np.abs(z) <= HOLDS * (1 + np.abs(self.b).max(-1, keepdims=True))
                best = np.where(np.isinf(best) & near, self.y, best)
                each = np.where(z == 0, 0.0, best * z)
                each = each - np.where(p > 0, p * best * best, 0.0) / 2
            base = np.vecdot(self.x, q * self.x / 2 + self.c)
            apart = (each - self.y * (z - p * self.y / 2)).sum(-1)
            r = np.abs(self.r)
            cost = np.where(q > 0, r * r / (2 * q), r * np.abs(self.x)).sum(-1)
        return each.sum(-1) + base, apart + cost

    def keep(self, some: Any) -> None:
        """Only these problems of the batch."""
        for name in ("x", "y", "z", "r", "q", "c", "b", "p", "most", "first"):
            setattr(self, name, getattr(self, name)[some])
        for name in ("lam", "s", "ends"):
            setattr(self, name, getattr(self, name)[:, some])
        self.system = self.system.keep(some)
        self._constants()
