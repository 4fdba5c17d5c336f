"""Boxes: products of closed intervals; points, R^n and the empty set among them."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from subgrad._budget import spend
from subgrad._check import Array, brief, vector
from subgrad._jacobian import Jacobian
from subgrad.core import Mask, Set, norm
from subgrad.interval import Interval


def times(a: Array, b: Array) -> Array:
    """a b with 0 · inf = 0, the convention of interval arithmetic."""
    with np.errstate(invalid="ignore"):
        c = a * b
    return np.where(np.isnan(c), 0.0, c) if np.isnan(c.max(initial=-np.inf)) else c


class Box(Set):
    r"""{s : lower <= s <= upper} of an Interval of shape (..., n), or of its ends.

    .. math:: h(d) = \sum_i \max(l_i d_i, u_i d_i)

    Ends may be infinite; equal ends make a point; an empty interval the empty set.
    """

    _arrays: ClassVar = Set._arrays | {"lower": 1, "upper": 1}
    polyhedral = True

    def __init__(self, interval: Any, upper: Any = None) -> None:
        if upper is not None:
            interval = Interval(interval, upper)
        if not isinstance(interval, Interval):
            raise TypeError(f"Box takes an Interval, got {type(interval).__name__}")
        if interval.ndim == 0:
            interval = interval[None]
        self.lower, self.upper = interval.lower, interval.upper
        self.dim = interval.shape[-1]
        if self.dim == 0:
            raise ValueError("Box needs at least one coordinate, got an empty Interval")

    @classmethod
    def _raw(cls, lower: Array, upper: Array) -> Box:
        return cls(Interval._raw(lower, upper))

    @property
    def as_interval(self) -> Interval:
        """The Interval of shape (..., n) the box is made of."""
        return Interval._raw(self.lower, self.upper)

    def _alive(self) -> Any:
        return np.all(self.lower <= self.upper, axis=-1)

    def _support(self, d: Array) -> Array:
        with np.errstate(invalid="ignore"):  # inf - inf among empty members only
            h = np.maximum(times(self.lower, d), times(self.upper, d)).sum(-1)
        return np.where(self.nonempty, h, -np.inf)

    def _support_point(self, d: Array) -> Array:
        # Where d is zero the member of least size is as good as any.
        near = np.clip(0.0, self.lower, self.upper)
        s = np.where(d > 0, self.upper, np.where(d < 0, self.lower, near))
        return np.where(np.isinf(s), near, s)

    def _atom(self, d: Array) -> tuple[Array, Array | None]:
        end = np.where(d > 0, self.upper, self.lower)
        free = np.where(np.isinf(end), np.abs(d), 0.0)
        i = int(np.argmax(free))
        ray = None
        if free[i] > 1e-12 * norm(d):
            ray = np.zeros_like(d)
            ray[i] = np.sign(d[i])
        return self._support_point(d), ray

    def _face(self, d: Array, eps: Array) -> Box:
        lower, upper = self.lower, self.upper
        if np.any(eps):
            share = spend(eps, self._costs(d))
            gap = share / np.where(d == 0, 1.0, np.abs(d))
            low = np.where(d > 0, np.maximum(lower, upper - gap), lower)
            up = np.where(d < 0, np.minimum(upper, lower + gap), upper)
        else:
            low = np.where(d > 0, upper, lower)
            up = np.where(d < 0, lower, upper)
        if not self._finite:
            # An end at infinity is not attained: the face is empty there.
            none = (low == np.inf) | (up == -np.inf)
            low, up = np.where(none, np.inf, low), np.where(none, -np.inf, up)
        return Box._raw(low, up)

    def _costs(self, d: Array) -> Array:
        return times(np.abs(d), self.upper - self.lower)

    @property
    def _finite(self) -> bool:
        ends = (f() for a in (self.lower, self.upper) for f in (a.min, a.max))
        return all(np.isfinite(e) for e in ends)

    def _project(self, y: Array) -> Array:
        return np.minimum(np.maximum(y, self.lower), self.upper)

    def _project_jacobian(self, y: Array) -> Jacobian:
        inside = (self.lower < y) & (y < self.upper)
        return Jacobian(inside.astype(np.float64))

    def _gauge(self, z: Array) -> Any:
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.where(z > 0, z / self.upper, np.where(z < 0, z / self.lower, 0.0))
        return np.max(np.where(t < 0, np.inf, t), axis=-1, initial=0.0)

    def _frame(self) -> Any:
        return np.zeros(self.dim), np.eye(self.dim), self.lower, self.upper

    def _corners(self) -> Any:
        free = np.flatnonzero(self.lower < self.upper)
        if len(free) > 10:
            return None
        at = np.repeat(np.clip(0.0, self.lower, self.upper)[None], 1, axis=0)
        rays = [np.zeros((0, self.dim))]
        for i in free:
            ends = [e for e in (self.lower[i], self.upper[i]) if np.isfinite(e)]
            rays += [s * np.eye(self.dim)[[i]] for s in self._open(i)]
            at = np.repeat(at, max(len(ends), 1), axis=0)
            at[:, i] = np.tile(ends or [0.0], len(at) // max(len(ends), 1))
        return at, np.concatenate(rays)

    def _open(self, i: Any) -> list[float]:
        """The signs in which coordinate i has no bound."""
        return [
            s for s, e in ((-1.0, self.lower[i]), (1.0, self.upper[i])) if np.isinf(e)
        ]

    def _interior(self, z: Array) -> Any:
        fixed = self.lower == self.upper
        open_ = (self.lower < z) & (z < self.upper)
        return np.all(open_ | (fixed & (z == self.lower)), axis=-1)

    def _box(self) -> Interval:
        return self.as_interval

    def _normal_cone(self, x: Array, eps: Array) -> Box:
        share = np.asarray(eps)[..., None] / self.dim
        with np.errstate(divide="ignore", invalid="ignore"):
            up = share / (self.upper - x)
            low = -share / (x - self.lower)
        up = np.where(x >= self.upper, np.inf, np.where(np.isnan(up), 0.0, up))
        low = np.where(x <= self.lower, -np.inf, np.where(np.isnan(low), 0.0, low))
        return Box._raw(low, up)

    def _feasible(self, x: Array, d: Array) -> Any:
        out = ((d > 0) & (x >= self.upper)) | ((d < 0) & (x <= self.lower))
        return ~np.any(out, axis=-1)

    def _symmetries(self) -> tuple[Mask, Mask, Mask]:
        low, up = self.lower, self.upper
        # Of the last coordinate nobody asks.
        same = (low == np.roll(low, -1, -1)) & (up == np.roll(up, -1, -1))
        return same, low == -up, low == up

    def _recession(self) -> Box:
        low = np.where(self.lower == -np.inf, -np.inf, 0.0)
        up = np.where(self.upper == np.inf, np.inf, 0.0)
        return Box._raw(low, up)

    def _part(self, low: Mask, high: Mask) -> Box:
        lower = np.where(low, np.maximum(self.lower, 0), self.lower)
        upper = np.where(high, np.minimum(self.upper, 0), self.upper)
        none = lower > upper
        return Box._raw(np.where(none, np.inf, lower), np.where(none, -np.inf, upper))

    def _cvxpy(self, z: Any, scale: Any) -> list[Any]:
        rows = [np.flatnonzero(np.isfinite(e)) for e in (self.lower, self.upper)]
        sides = []
        if rows[0].size:
            sides.append(z[rows[0]] >= scale * self.lower[rows[0]])
        if rows[1].size:
            sides.append(z[rows[1]] <= scale * self.upper[rows[1]])
        return sides

    def _support_cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        # max(l x, u x) = (l + u)/2 x + (u - l)/2 |x|; a half-line has its one finite
        # end on half the line.
        free_low, free_up = np.isinf(self.lower), np.isinf(self.upper)
        low = np.where(free_low, np.where(free_up, 0.0, self.upper), self.lower)
        up = np.where(free_up, low, self.upper)
        terms = []
        if np.any(low != -up):
            terms.append(0.5 * (low + up) @ x)
        if np.any(up > low):
            terms.append(0.5 * (up - low) @ cp.abs(x))
        sides = [x[np.flatnonzero(free_up)] <= 0] if free_up.any() else []
        sides += [x[np.flatnonzero(free_low)] >= 0] if free_low.any() else []
        terms += [cp.transforms.indicator(sides)] if sides else []
        return sum(terms) if terms else cp.sum(0 * x)

    def __str__(self) -> str:
        return str(self.as_interval[..., 0] if self.dim == 1 else self.as_interval)

    @brief
    def __repr__(self) -> str:
        return f"Box({self})"


def point(p: Any) -> Box:
    """{p}, p of shape (..., n)."""
    p = vector("p", p, None)
    return Box._raw(p, p)


def on_line(S: Set) -> Set:
    """S itself; in R^1, where every set is an interval, that interval as a Box."""
    if S.dim > 1 or isinstance(S, Box):
        return S
    return Box(S.interval(np.ones(1))[..., None]).proved(S.exact)


def whole_space(n: int) -> Box:
    """R^n."""
    return Box._raw(np.full(n, -np.inf), np.full(n, np.inf))


class Empty(Box):
    """The empty subset of R^n: h = -inf."""

    def __init__(self, n: int) -> None:
        super().__init__(Interval.empty((n,)))
