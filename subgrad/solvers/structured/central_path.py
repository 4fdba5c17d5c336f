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
from subgrad.solvers.structured.sparse_systems import slices

WIDTH = 8  # numbers of a row that a slice of a step works with
INNER = 0.9  # of the half width, where multipliers start
SHORT = 0.9995  # of the way to the boundary
LEAST = 2 * (1 - SHORT)  # of μ is left, for full steps: they leave no residuals
LEVEL = 0.01  # of their mean: products s λ at the start
LAST = 1e-16  # of the first μ, where distances to ends are rounding
HOLDS = 1e-10  # violated by less a constraint holds
LARGE = 1e5  # times the weight of other rows: that of equations


def _mean(a: Array, some: Array, none: float) -> Array:
    """Of these entries of the last axis, which is kept; or `none`."""
    kept = np.where(some, a, 0.0)
    count = some.sum(-1, keepdims=True) * (kept.shape[-1] // some.shape[-1])
    mean = kept.sum(-1, keepdims=True) / np.maximum(count, 1)
    return np.where(count > 0, mean, none)


def _once(a: Array) -> Array:
    """Entries of the last axis that are equal as one of them."""
    first = a[..., :1]
    return first.copy() if (a == first).all() else a


def _at(a: Array, at: slice) -> Array:
    """These entries of the last axis, or the one for all."""
    return a if a.shape[-1] == 1 else a[..., at]


class Path:
    """The iterates x, y, λ of one problem, or of a batch along the leading axes.

    `system` has forward, adjoint and factor; q, c (..., n), b, p, low, high (..., m).
    λ of shape (2, ..., m): of the lower and of the upper ends. Of equal ends and p one
    is kept, (..., 1). Sums over rows are taken by `slices`, which stay in the cache:
    the vectors of a step are dx, dy, A dx, D and what λ changes by.
    """

    def __init__(
        self,
        system: Any,
        q: Array,
        c: Array,
        box: Boxes,
        x: Array | None = None,
    ) -> None:
        self.system, self.q, self.c, self.b = system, q, c, _once(box.b)
        self.p = _once(box.p)
        low, high = np.broadcast_arrays(_once(box.low), _once(box.high))
        self.ends = np.stack([low, high])
        self.rows = slices(box.b.shape[-1], WIDTH)
        self._constants(box.b.shape[-1])
        with np.errstate(all="ignore"):
            self._start(x, self.ends if box.start is None else box.start, box.b.shape)

    def _constants(self, m: int) -> None:
        ndim = self.ends.ndim
        self.sign = np.array([1.0, -1.0]).reshape(2, *[1] * (ndim - 1))
        # Ends that are finite, of intervals that are no points.
        self.live: Any = self.ends[0] < self.ends[1]
        self.within: Any = np.isfinite(self.ends) & self.live
        each = m // max(self.within.shape[-1], 1)
        self.sides = np.maximum(self.within.sum((0, -1)) * each, 1)
        self.free = self.live & ~self.within.any(0) & (self.p == 0)
        if self.within.all():
            self.within = None
        if self.live.all():
            self.live = None
        self.plain = self.within is None and not self.p.any()

    def _start(self, x: Array | None, ends: Array, shape: tuple[int, ...]) -> None:
        A, p = self.system, self.p
        low, high = ends
        half = (high - low) / 2
        middle = np.where(np.isfinite(half), low + half, np.clip(0.0, low, high))
        g = self.b - p * middle
        # In units of their rows, values are as large as one another, and so are
        # multipliers.
        unit = _once(A.norms())
        unit = np.where(unit > 0, unit, _mean(unit, unit > 0, 1.0))
        size = unit * (_mean(np.abs(g), g != 0, 1.0) / _mean(unit, g != 0, 1.0))
        some = np.isfinite(half) & (half > 0)
        usual = _mean(half * unit, some, 0.0) / unit
        # They are to balance the slope.
        slope = self.c + A.adjoint(np.broadcast_to(middle, shape))
        steep = _mean(np.abs(slope), slope != 0, 0.0)
        usual = np.maximum(usual, steep / unit)
        usual = np.where(usual > 0, usual, size * A.balance())
        half = np.where(np.isfinite(half), half, usual)
        self.spare = None
        if self.free.any():
            self.spare = self.free * size / (LARGE * usual)
        D = 1 / (p + 2 * size / np.where(half > 0, half, 1.0))
        if self.live is not None:
            D = D * self.live
        D = np.broadcast_to(D, shape)
        if x is None:
            x = A.factor(D)(slope, np.broadcast_to(g, shape).copy())[0]
        self.x = x
        self.z = A.forward(x) + self.b
        y = D * (self.z - p * middle)
        # The direction of what is too far is kept: it balances the slope.
        far = 2 * _mean(np.abs(y) / np.where(some, half, 1.0), some, 0.0)
        y = middle + y / np.maximum(far, 1.0)
        inner = INNER * half
        y = np.minimum(np.maximum(y, middle - inner), middle + inner)
        bare = np.isinf(ends)
        y = np.where(bare[0] & ~bare[1], np.minimum(y, high - 0.1 * half), y)
        y = np.where(bare[1] & ~bare[0], np.maximum(y, low + 0.1 * half), y)
        self.y = np.where(low == high, low, y)
        g = self.z - p * self.y
        lift = unit * _mean(np.abs(g) / unit, unit > 0, 0.0)
        lift = np.minimum(lift, np.abs(g).max(-1, keepdims=True))
        lift = np.where(lift > 0, lift, size)
        self.lam = -self.sign * g
        np.maximum(self.lam, 0, out=self.lam)
        self.lam += lift
        if self.within is not None:
            self.lam *= self.within
        self.s = self.y - self.ends
        self.s *= self.sign
        if self.within is not None:
            np.copyto(self.s, 1.0, where=~self.within)
        self.r = np.empty_like(self.x)
        self._residual()
        # None far below the mean of their products, or steps would be short.
        mean = np.vecdot(self.s, self.lam).sum(0) / self.sides
        np.maximum(self.lam, LEVEL * mean[..., None] / self.s, out=self.lam)
        if self.within is not None:
            self.lam *= self.within
        self.first = np.vecdot(self.s, self.lam).sum(0)

    def _residual(self) -> None:
        r = np.multiply(self.q, self.x, out=self.r)
        r += self.c
        r += self.system.adjoint(self.y)

    def step(self) -> None:
        """One step."""
        with np.errstate(all="ignore"):
            self._step()
            self._residual()

    def _step(self) -> None:
        D = self._weights()
        saddle = self.system.factor(D)
        dy = saddle(self.r, self.z - self.p * self.y)[1]
        mu, dlam = self._correct(dy)
        dx, dy, dz = saddle(self.r, dy)
        ax, ay, change = self._lengths(dy, dlam)
        change += dx.sum(-1) + dy.sum(-1) + ax + ay
        good = np.isfinite(change) & ((mu > LAST * self.first) | (self.first == 0))
        if not good.all():
            # These stay where they are.
            ax, ay = np.where(good, ax, 0.0), np.where(good, ay, 0.0)
            for d in (dx, dy, dz, dlam[0], dlam[1]):
                d[~good] = 0.0
        self._advance(ax[..., None], ay[..., None], dx, dy, dz, dlam)

    def _weights(self) -> Array:
        """D."""
        D = np.empty_like(self.y)
        for at in self.rows:
            ratio = self.lam[..., at] / self.s[..., at]
            E = np.add(ratio[0], ratio[1], out=D[..., at])
            E += _at(self.p, at)
            if self.spare is not None:
                E += _at(self.spare, at)
            np.divide(1.0, E, out=E)
            if self.live is not None:
                np.copyto(E, 0.0, where=~_at(self.live, at))
        return D

    def _moves(self, dy: Array, at: slice) -> tuple[Array, Array]:
        """ds of these rows and ds / s, 0 where an end is infinite."""
        ds = self.sign * dy[..., at]
        move = ds / self.s[..., at]
        if self.within is not None:
            move *= _at(self.within, at)
        return ds, move

    def _correct(self, dy: Array) -> tuple[Array, Array]:
        """μ, and what dλ + λ ds / s is to be; dy turns into the right side for it.

        By the step dy to μ = 0, of which s dλ + λ ds = -s λ is all but - ds dλ.
        """
        wanted = np.empty_like(self.s)
        mu: Any = 0.0
        cross = bend = least = most = mu
        for at in self.rows:
            s, lam = self.s[..., at], self.lam[..., at]
            ds, move = self._moves(dy, at)
            least = np.minimum(least, move.min(axis=(0, -1)))
            most = np.maximum(most, move.max(axis=(0, -1)))
            mu = np.vecdot(s, lam).sum(0) + mu
            cross = np.vecdot(ds, lam).sum(0) + cross
            # dλ = -λ (1 + ds / s)
            move += 1
            move *= lam
            second = np.multiply(move, ds, out=wanted[..., at])
            bend = second.sum((0, -1)) + bend
        ay, ax = 1 / np.maximum(-least, 1), 1 / np.maximum(1 + most, 1)
        after = mu + ay * cross - ax * (mu + cross) - ay * ax * bend
        target = np.fmax((after / mu) ** 3, LEAST) * mu / self.sides
        for at in self.rows:
            part = wanted[..., at]
            part += target[..., None]
            part /= self.s[..., at]
            if self.within is not None:
                part *= _at(self.within, at)
            g = np.subtract(part[0], part[1], out=dy[..., at])
            g += self.z[..., at]
            g -= _at(self.p, at) * self.y[..., at]
            part -= self.lam[..., at]
        return mu, wanted

    def _lengths(self, dy: Array, dlam: Array) -> tuple[Array, Array, Array]:
        """Of the step of λ and of y, and the sum of dλ; in its place it is found."""
        near: Any = 0.0
        steep = total = near
        for at in self.rows:
            lam, part = self.lam[..., at], dlam[..., at]
            _, move = self._moves(dy, at)
            near = np.minimum(near, move.min(axis=(0, -1)))
            move *= lam
            part -= move
            total = part.sum((0, -1)) + total
            ratio = np.divide(part, lam, out=move)
            if self.within is not None:
                np.copyto(ratio, 0.0, where=~_at(self.within, at))
            steep = np.minimum(steep, ratio.min(axis=(0, -1)))
        ax, ay = (SHORT / np.maximum(-a, SHORT) for a in (steep, near))
        return ax, ay, total

    def _advance(
        self, ax: Array, ay: Array, dx: Array, dy: Array, dz: Array, dlam: Array
    ) -> None:
        # Rounding of y must not take away a distance to an end.
        least = np.where(ay > 0, (1 - SHORT) / 2, 1.0)
        for at in self.rows:
            s, lam, z = self.s[..., at], self.lam[..., at], self.z[..., at]
            part, y, step = dlam[..., at], dy[..., at], dz[..., at]
            part *= ax
            lam += part
            y *= ay
            y += self.y[..., at]
            step *= ax
            z += step
            s *= least
            away = np.subtract(y, _at(self.ends, at), out=part)
            away *= self.sign
            if self.within is not None:
                np.copyto(away, 1.0, where=~_at(self.within, at))
            np.maximum(s, away, out=s)
        dx *= ax
        dx += self.x
        self.x, self.y = dx, dy

    def look(self) -> tuple[Array, Array]:
        """The value at x, and about how far the bound by y is below it."""
        value: Any = 0.0
        apart = value
        if not self.plain:
            room = HOLDS * (1 + np.abs(self.b).max(-1, keepdims=True))
        with np.errstate(all="ignore"):
            for at in self.rows:
                y, z = self.y[..., at], self.z[..., at]
                p, (low, high) = _at(self.p, at), _at(self.ends, at)
                if self.plain:
                    each = np.maximum(low * z, high * z)
                else:
                    best = np.where(z > 0, high, low)
                    on = np.minimum(np.maximum(z / p, low), high)
                    best = np.where(p > 0, on, best)
                    # Of constraints that hold up to rounding.
                    near = np.isinf(best) & (np.abs(z) <= room)
                    best = np.where(near, y, best)
                    each = np.where(z == 0, 0.0, best * z)
                    each = each - np.where(p > 0, p * best * best, 0.0) / 2
                value = each.sum(-1) + value
                apart = (each - y * (z - p * y / 2)).sum(-1) + apart
            for at in slices(self.x.shape[-1], WIDTH):
                x, q, r = self.x[..., at], self.q[..., at], np.abs(self.r[..., at])
                value = np.vecdot(x, q * x / 2 + self.c[..., at]) + value
                cost = np.where(q > 0, r * r / (2 * q), r * np.abs(x))
                apart = cost.sum(-1) + apart
        return value, apart

    def keep(self, some: Any) -> None:
        """Only these problems of the batch."""
        for name in ("x", "y", "z", "r", "q", "c", "b", "p", "first"):
            setattr(self, name, getattr(self, name)[some])
        for name in ("lam", "s", "ends"):
            setattr(self, name, getattr(self, name)[:, some])
        if self.spare is not None:
            self.spare = self.spare[some]
        self.system = self.system.keep(some)
        self._constants(self.y.shape[-1])
