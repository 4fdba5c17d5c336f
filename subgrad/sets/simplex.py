"""The simplex and the capped simplex: a box cut by one total."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from subgrad._check import Array, brief, count, positive, real
from subgrad._jacobian import Jacobian
from subgrad.core import Mask, Set
from subgrad.interval import Interval
from subgrad.sets._pour import ROUNDS, pour


class CappedSimplex(Set):
    r"""{s : lower <= s <= upper, sum of s = total}, finite ends.

    .. math:: h(d) = \max \{ \langle s, d \rangle : l \le s \le u, \sum s_i = k \}

    a continuous knapsack: fill the largest d_i first. `CappedSimplex(0, 1, k, n)` is
    the set whose support function is the sum of the k largest; faces fix coordinates
    and so stay in the class. lower, upper (..., n), total (...).
    """

    _arrays: ClassVar = Set._arrays | {"lower": 1, "upper": 1, "total": 0}
    polyhedral = True

    def __init__(
        self, lower: Any, upper: Any, total: Any, n: int | None = None
    ) -> None:
        lower, upper = real("lower", lower), real("upper", upper)
        n = None if n is None else count(n)
        try:
            if n is None:
                n = np.broadcast_shapes(lower.shape, upper.shape, (1,))[-1]
            shape = np.broadcast_shapes(lower.shape, upper.shape, (n,))
        except ValueError:
            raise ValueError(
                f"lower and upper must be numbers or of shape (..., {n or 'n'}), got "
                f"{lower.shape} and {upper.shape}"
            ) from None
        if np.any(lower > upper):
            raise ValueError("lower must not exceed upper")
        self._set(
            np.broadcast_to(lower, shape),
            np.broadcast_to(upper, shape),
            real("total", total),
        )

    def _set(self, lower: Array, upper: Array, total: Array) -> CappedSimplex:
        self.lower, self.upper, self.total = lower, upper, total
        self.dim = lower.shape[-1]
        return self

    def _like(self, lower: Array, upper: Array, total: Array) -> CappedSimplex:
        return CappedSimplex.__new__(CappedSimplex)._set(lower, upper, total)

    def _slack(self) -> Array:
        return self.total - self.lower.sum(-1)

    def _alive(self) -> Any:
        # The sums carry rounding; a total off by less than that still fits.
        size = np.abs(self.lower).sum(-1) + np.abs(self.upper).sum(-1)
        fuzz = 1e-14 * self.dim * (size + np.abs(self.total))
        low, high = self._slack(), self.upper.sum(-1) - self.total
        return np.all(self.lower <= self.upper, -1) & (low >= -fuzz) & (high >= -fuzz)

    def _fill(self, d: Array) -> tuple[Array, Array]:
        """A maximiser of <., d>, and the value of d at which the filling stops."""
        room = self.upper - self.lower
        shape = np.broadcast_shapes(d.shape, room.shape, (*self.total.shape, 1))
        d, room = np.broadcast_to(d, shape), np.broadcast_to(room, shape)
        if self._uncapped():
            best = np.where(room > 0, d, -np.inf)
            at = np.argmax(best, axis=-1, keepdims=True)
            s = np.array(np.broadcast_to(self.lower, shape), order="C")
            # No more than the room: where nothing is free, that is nothing.
            most = np.take_along_axis(room, at, -1)
            more = np.clip(self._slack()[..., None], 0, most)
            np.put_along_axis(s, at, np.take_along_axis(s, at, -1) + more, -1)
            return s, np.take_along_axis(d, at, -1)
        order = np.argsort(-d, axis=-1, kind="stable")
        sized = np.take_along_axis(room, order, -1)
        before = np.cumsum(sized, -1) - sized
        slack = self._slack()[..., None]
        poured = np.clip(slack - before, 0, sized)
        s = np.empty(shape)
        np.put_along_axis(s, order, poured, -1)
        # The last coordinate that got some, the one at which it stops.
        got = poured > 0
        last = self.dim - 1 - np.argmax(got[..., ::-1], axis=-1)
        last = np.where(np.any(got, -1), last, 0)
        at = np.take_along_axis(order, last[..., None], -1)
        return self.lower + s, np.take_along_axis(d, at, -1)

    def _support(self, d: Array) -> Array:
        return np.vecdot(self._support_point(d), d)

    def _support_point(self, d: Array) -> Array:
        return self._fill(d)[0]

    def _band(self, d: Array, low: Array, high: Array) -> CappedSimplex:
        """Coordinates with d above `high` full, below `low` empty, others free."""
        lower = np.where(d > high, self.upper, self.lower)
        upper = np.where(d < low, self.lower, self.upper)
        return self._like(lower, upper, self.total)

    def _face(self, d: Array, eps: Array) -> CappedSimplex:
        s, level = self._fill(d)
        if not np.any(eps):
            return self._band(d, level, level)
        # The widest band around the level whose worst member loses at most eps.
        reach = np.sort(np.abs(d - level), axis=-1)
        h, eps = np.vecdot(s, d), np.asarray(eps)
        low = np.zeros((*reach.shape[:-1], 1), int)
        high = np.full_like(low, self.dim - 1)
        for _ in range(self.dim.bit_length()):
            mid = (low + high + 1) // 2
            w = np.take_along_axis(reach, mid, -1)
            loss = h + self._band(d, level - w, level + w)._support(-d)
            ok = (loss <= eps)[..., None]
            low, high = np.where(ok, mid, low), np.where(ok, high, mid - 1)
        w = np.take_along_axis(reach, low, -1)
        return self._band(d, level - w, level + w)

    def _uncapped(self) -> bool:
        """Whether any one free coordinate has room for all that is to be poured."""
        room = self.upper - self.lower
        return bool(np.all((room >= self._slack()[..., None]) | (room == 0)))

    def _project(self, y: Array) -> Array:
        """clip(y - theta, l, u), its sum at `total`: a piecewise linear equation."""
        shape = np.broadcast_shapes(y.shape, self.lower.shape, (*self.total.shape, 1))
        y = np.broadcast_to(y, shape)
        if self._uncapped():
            return self._pour(y)
        lower, upper = self.lower, self.upper
        theta, solved = self._search(y)
        if not solved:
            theta = self._sort(y)
        p = np.clip(y - theta, lower, upper)
        # One Newton step on the free coordinates takes the rounding of the sums away.
        free = (p > lower) & (p < upper)
        off = (self.total[..., None] - p.sum(-1, keepdims=True)) / np.maximum(
            free.sum(-1, keepdims=True), 1
        )
        return np.where(free, np.clip(p + off, lower, upper), p)

    def _project_jacobian(self, y: Array) -> Jacobian:
        p = self._project(y)
        free = ((self.lower < p) & (p < self.upper)).astype(np.float64)
        # Where nothing is free the projection does not move.
        count = np.maximum(free.sum(-1, keepdims=True), 1.0)
        return Jacobian(free, free / np.sqrt(count), 0.0)

    def _pour(self, y: Array) -> Array:
        """The projection where no upper end binds, l + max(y - l - theta, 0)."""
        n, slack = self.dim, np.maximum(self._slack(), 0.0)
        z = np.where(self.upper > self.lower, y - self.lower, -np.inf).reshape(-1, n)
        at, poured, _ = pour(z, np.broadcast_to(slack, y.shape[:-1]).reshape(-1))
        s = np.array(np.broadcast_to(self.lower, y.shape), z.dtype, order="C")
        s.reshape(-1)[at] += poured
        # A member stays where it is: rounding would lift it off its active bounds.
        inside = np.all((y >= self.lower) & (y <= self.upper), -1)
        if np.any(inside):
            off = np.abs(y.sum(-1) - self.total)
            size = np.abs(self.lower).sum(-1) + np.abs(self.total)
            inside = inside & (off <= 16 * np.finfo(s.dtype).eps * size)
            s = np.where(inside[..., None], y, s)
        return s

    def _search(self, y: Array) -> tuple[Array, bool]:
        """theta by Newton's method inside a bracket, and whether it was found."""
        lower, upper, total = self.lower, self.upper, self.total[..., None]
        low = (y - upper).min(-1, keepdims=True)
        high = (y - lower).max(-1, keepdims=True)
        if self.dim > 512:
            # That of a part of the entries, from where few rounds are left.
            k = self.dim // 256
            part = self._like(lower[..., ::k], upper[..., ::k], self.total / k)
            theta = part._sort(y[..., ::k])
        else:
            theta = (y.sum(-1, keepdims=True) - total) / self.dim
        theta = np.clip(theta, low, high)
        bottom, top = lower.sum(-1, keepdims=True), upper.sum(-1, keepdims=True)
        theta = np.where(total <= bottom, high, np.where(total >= top, low, theta))
        # The rounding of the sums, to which that of y - theta is added.
        ends = np.maximum(np.abs(lower), np.abs(upper)).sum(-1, keepdims=True)
        size, eps = ends + np.abs(total), 4 * np.finfo(theta.dtype).eps
        # A member stays where it is: its active bounds are those it came with.
        off = np.clip(y, lower, upper).sum(-1, keepdims=True) - total
        theta = np.where(np.abs(off) <= eps * size, 0.0, theta)
        last = np.full(theta.shape, np.inf)
        for _ in range(ROUNDS):
            free = y - theta
            p = np.clip(free, lower, upper)
            over = p.sum(-1, keepdims=True) - total
            slope = np.count_nonzero(p == free, axis=-1, keepdims=True)
            done = np.abs(over) <= eps * (size + slope * np.abs(theta))
            if np.all(done):
                return theta, True
            low, high = np.where(over > 0, theta, low), np.where(over < 0, theta, high)
            step = theta + over / np.maximum(slope, 1)
            # Between kinks of both signs Newton may cycle: then the bracket is halved.
            fine = (slope > 0) & (step > low) & (step < high)
            fine &= np.abs(over) <= last / 2
            step = np.where(fine, step, low + (high - low) / 2)
            theta, last = np.where(done, theta, step), np.abs(over)
        return theta, False

    def _sort(self, y: Array) -> Array:
        """theta by sorting its knots y - u and y - l and finding the piece."""
        shape, lower, upper = y.shape, self.lower, self.upper
        knots = np.concatenate([y - upper, y - lower], axis=-1)
        # Left of all knots the sum is that of `upper`; y - u frees, y - l fixes again.
        turn = np.concatenate([-np.ones(shape), np.ones(shape)], axis=-1)
        order = np.argsort(knots, axis=-1, kind="stable")
        knots = np.take_along_axis(knots, order, -1)
        slope = np.cumsum(np.take_along_axis(turn, order, -1), -1)
        step = slope[..., :-1] * np.diff(knots, axis=-1)
        top = np.broadcast_to(upper, shape).sum(-1, keepdims=True)
        at = np.concatenate([top, top + np.cumsum(step, -1)], -1)
        total = self.total[..., None]
        i = np.maximum((at >= total).sum(-1, keepdims=True) - 1, 0)
        s = np.take_along_axis(slope, i, -1)
        gap = total - np.take_along_axis(at, i, -1)
        return np.take_along_axis(knots, i, -1) + gap / np.where(s == 0, 1, s)

    def _corners(self) -> Any:
        # Only where one coordinate takes all the slack.
        free = self.upper > self.lower
        slack = self._slack()
        if np.any(self.upper[free] - self.lower[free] < slack):
            return None
        points = self.lower + slack * np.eye(self.dim)[free]
        return points if free.any() else self.lower[None], np.zeros((0, self.dim))

    def _box(self) -> Interval:
        # What the others leave of the total.
        low = self.total - self.upper.sum(-1)
        up = self.total - self.lower.sum(-1)
        return Interval._raw(
            np.maximum(self.lower, low[..., None] + self.upper),
            np.minimum(self.upper, up[..., None] + self.lower),
        )

    def _symmetries(self) -> tuple[Mask, Mask, Mask]:
        low, up = self.lower, self.upper
        same = (low == np.roll(low, -1, -1)) & (up == np.roll(up, -1, -1))
        return same, np.zeros(self.dim, bool), low == up

    def _interior(self, z: Array) -> Any:
        open_ = (self.lower < z) & (z < self.upper)
        fixed = (self.lower == self.upper) & (z == self.lower)
        return np.all(open_ | fixed, -1) & self._contains(z, 1e-9)

    def _normal_cone(self, x: Array, eps: Array) -> Set:
        from subgrad.sets._sloped_box import _SlopedBox
        from subgrad.sets.box import Box

        # The total hides what is below its rounding.
        room = 4 * np.finfo(x.dtype).eps * np.abs(self.total)[..., None]
        x = np.where(x <= self.lower + room, self.lower, x)
        x = np.where(x >= self.upper - room, self.upper, x)
        box = Box._raw(self.lower, self.upper)
        return _SlopedBox.over(box._normal_cone(x, np.zeros(())))

    def _part(self, low: Mask, high: Mask) -> CappedSimplex:
        lower = np.where(low, np.maximum(self.lower, 0), self.lower)
        upper = np.where(high, np.minimum(self.upper, 0), self.upper)
        return self._like(lower, upper, self.total)

    def _cvxpy(self, z: Any, scale: Any) -> list[Any]:
        import cvxpy as cp

        sides = [z >= scale * self.lower, z <= scale * self.upper]
        return [*sides, cp.sum(z) == scale * self.total]

    @brief
    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.lower}, {self.upper}, total={self.total})"


class Simplex(CappedSimplex):
    r"""{s >= 0 : sum of s = r} in R^n, with h(d) = r max_i d_i."""

    def __init__(self, n: int, radius: Any = 1.0) -> None:
        r = positive("radius", radius)
        lower = np.zeros(count(n))
        self._set(lower, np.broadcast_to(r[..., None], (*r.shape, n)), r)

    def _alive(self) -> Any:
        return np.ones(self.batch, bool)[()]

    def _uncapped(self) -> bool:
        return True

    def _support_cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        return float(self.total) * cp.max(x)
