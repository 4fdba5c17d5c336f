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
from subgrad.solvers.structured.sparse_systems import Rows, Sparse, room, slices

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
    return first.copy() if a.strides[-1] == 0 or (a == first).all() else a


def thin(box: Boxes) -> Boxes:
    """The same without rows, entries that are equal in the memory of one."""
    b, p, low, high = (
        np.broadcast_to(_once(a), a.shape) for a in (box.b, box.p, box.low, box.high)
    )
    return Boxes(b, p, low, high, start=box.start)


def _at(a: Array, at: slice) -> Array:
    """These entries of the last axis, or the one for all."""
    return a if a.shape[-1] == 1 else a[..., at]


class Path:
    """The iterates x, y, λ of one problem, or of a batch along the leading axes.

    `system` has forward, adjoint and factor; q, c (..., n), b, p, low, high (..., m).
    λ of shape (2, ..., m): of the lower and of the upper ends. Of equal ends and p one
    is kept, (..., 1). All over rows is done by `slices`, which stay in the cache: the
    vectors of a step are a factor or D, a first dy, the right sides, which turn into dx
    and dy, and at its end, in the place of the factor, dλ. z = A x + b is made from x
    where that is as cheap as to keep it.
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
        self.curved = bool(self.p.any())
        self.plain = self.within is None and not self.curved

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
        z = A.forward(x)
        z += self.b
        y = D * (z - p * middle)
        del D, slope
        # The direction of what is too far is kept: it balances the slope.
        far = 2 * _mean(np.abs(y) / np.where(some, half, 1.0), some, 0.0)
        y = middle + y / np.maximum(far, 1.0)
        inner = INNER * half
        y = np.minimum(np.maximum(y, middle - inner), middle + inner)
        bare = np.isinf(ends)
        y = np.where(bare[0] & ~bare[1], np.minimum(y, high - 0.1 * half), y)
        y = np.where(bare[1] & ~bare[0], np.maximum(y, low + 0.1 * half), y)
        y = np.where(low == high, low, y)
        g = z - p * y
        self.z, self.y = z, y
        if isinstance(A, Sparse) and A.stencils:
            z[...] = y
            self.z, self.y = Rows(A, x, self.b), z
        del y, z
        lift = unit * _mean(np.abs(g) / unit, unit > 0, 0.0)
        lift = np.minimum(lift, np.abs(g).max(-1, keepdims=True))
        lift = np.where(lift > 0, lift, size)
        self.lam = -self.sign * g
        del g
        np.maximum(self.lam, 0, out=self.lam)
        self.lam += lift
        if self.within is not None:
            self.lam *= self.within
        self.s = self.y - self.ends
        self.s *= self.sign
        if self.within is not None:
            np.copyto(self.s, 1.0, where=~self.within)
        self._residual()
        # None far below the mean of their products, or steps would be short.
        mean = np.vecdot(self.s, self.lam).sum(0) / self.sides
        for at in self.rows:
            lam = self.lam[..., at]
            np.maximum(lam, LEVEL * mean[..., None] / self.s[..., at], out=lam)
        if self.within is not None:
            self.lam *= self.within
        self.first = np.vecdot(self.s, self.lam).sum(0)

    def _empty(self) -> Array:
        """One over the rows, in which there is room for one over the variables."""
        if self.y.ndim > 1:
            return np.empty_like(self.y)
        m = len(self.y)
        return np.empty(room(m, len(self.x)))[:m]

    def _residual(self) -> None:
        self.r = r = self.q * self.x
        r += self.c
        r += self.system.adjoint(self.y)

    def step(self) -> None:
        """One step."""
        with np.errstate(all="ignore"):
            self._step()
            self._residual()

    def _step(self) -> None:
        saddle = self.system.factor(self._weights())
        g = np.array(self.z)
        if self.curved:
            for at in self.rows:
                g[..., at] -= _at(self.p, at) * self.y[..., at]
        first = saddle(self.r.copy(), g)[1]
        mu, target, g, known = self._correct(first)
        dx, dy, dz = saddle(self.r, g)
        del saddle  # makes room
        dlam = first, self._empty()
        ax, ay, change = self._lengths(target, dy, dlam, known)
        change += dx.sum(-1) + dy.sum(-1) + ax + ay
        good = np.isfinite(change) & ((mu > LAST * self.first) | (self.first == 0))
        if not good.all():
            # These stay where they are.
            ax, ay = np.where(good, ax, 0.0), np.where(good, ay, 0.0)
            for d in (dx, dy, *dlam):
                d[~good] = 0.0
            dz = self.system.forward(dx)
        self._advance(ax[..., None], ay[..., None], dx, dy, dz, dlam)

    def _weights(self) -> Array:
        """D."""
        D = self._empty()
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
        """ds / s of these rows and ±1 / s, 0 where an end is infinite."""
        each = self.sign / self.s[..., at]
        if self.within is not None:
            each *= _at(self.within, at)
        return each * dy[..., at], each

    def _correct(self, dy: Array) -> tuple[Array, Array, Array, Any]:
        """μ, what it is to be, the right side for it, and what `_lengths` may know.

        By the step dy to μ = 0, of which s dλ + λ ds = -s λ is all but - ds dλ.
        """
        mu: Any = 0.0
        cross = bend = least = most = mu
        for at in self.rows:
            move, _ = moves = self._moves(dy, at)
            least = np.minimum(least, move.min(axis=(0, -1)))
            most = np.maximum(most, move.max(axis=(0, -1)))
            each = self.s[..., at] * self.lam[..., at]
            mu = each.sum((0, -1)) + mu
            each *= move
            cross = each.sum((0, -1)) + cross
            # dλ = -λ (1 + ds / s)
            bend = np.vecdot(each, move).sum(0) + bend
        bend = bend + cross
        ay, ax = 1 / np.maximum(-least, 1), 1 / np.maximum(1 + most, 1)
        after = mu + ay * cross - ax * (mu + cross) - ay * ax * bend
        target = np.fmax((after / mu) ** 3, LEAST) * mu / self.sides
        right, one = self._empty(), len(self.rows) == 1
        for at in self.rows:
            moves = moves if one else self._moves(dy, at)
            part = self._wanted(*moves, target, at)
            g = np.subtract(part[0], part[1], out=right[..., at])
            g += self.z[..., at]
            if self.curved:
                g -= _at(self.p, at) * self.y[..., at]
        # Where one slice is all its numbers are not made again.
        return mu, target, right, (part, moves[1]) if one else None

    def _wanted(self, move: Array, each: Array, target: Array, at: slice) -> Array:
        """What λ + dλ + λ ds / s is to be, after a first step with these moves."""
        part = move + 1
        part *= move
        part *= self.lam[..., at]
        part += each * (self.sign * target[..., None])
        return part

    def _lengths(
        self, target: Array, dy: Array, dlam: tuple[Array, Array], known: Any
    ) -> tuple[Array, Array, Array]:
        """Of the step of λ and of y, and the sum of dλ, which it puts into `dlam`.

        The first of these holds the first step of y.
        """
        near: Any = 0.0
        steep = total = near
        for at in self.rows:
            lam = self.lam[..., at]
            if known is None:
                move, each = self._moves(dlam[0], at)
                part = self._wanted(move, each, target, at)
            else:
                part, each = known
            move = each * dy[..., at]
            near = np.minimum(near, move.min(axis=(0, -1)))
            move += 1
            move *= lam
            part -= move
            total = part.sum((0, -1)) + total
            dlam[0][..., at], dlam[1][..., at] = part
            ratio = np.divide(part, lam, out=move)
            if self.within is not None:
                np.copyto(ratio, 0.0, where=~_at(self.within, at))
            steep = np.minimum(steep, ratio.min(axis=(0, -1)))
        ax, ay = (SHORT / np.maximum(-a, SHORT) for a in (steep, near))
        return ax, ay, total

    def _advance(
        self,
        ax: Array,
        ay: Array,
        dx: Array,
        dy: Array,
        dz: Any,
        dlam: tuple[Array, Array],
    ) -> None:
        # Rounding of y must not take away a distance to an end.
        least = np.where(ay > 0, (1 - SHORT) / 2, 1.0)
        kept = isinstance(self.z, np.ndarray)
        for at in self.rows:
            s, lam = self.s[..., at], self.lam[..., at]
            y = dy[..., at]
            for to, d in zip(lam, dlam, strict=True):
                to += ax * d[..., at]
            y *= ay
            y += self.y[..., at]
            if kept:
                self.z[..., at] += ax * dz[..., at]
            s *= least
            away = y - _at(self.ends, at)
            away *= self.sign
            if self.within is not None:
                np.copyto(away, 1.0, where=~_at(self.within, at))
            np.maximum(s, away, out=s)
        dx *= ax
        dx += self.x
        self.x, self.y = dx, dy
        if not kept:
            self.z = Rows(self.system, dx, self.b)

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
