"""The graph of the subdifferential of a convex piecewise linear-quadratic function."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .._check import Array
from ._coefficients import widened
from ._pieces import search
from ._polynomials import ROUNDING, Pieces

Direction = tuple[float, float]
FEW = 8  # vertices up to which segment after segment is faster than a search


@dataclass(frozen=True, eq=False)
class Graph:
    """
    A polyline that is nondecreasing in both coordinates, and f at its vertices.

    `t`, `s`, `v`: (m,), m >= 1, with s_j in ∂f(t_j) and v_j = f(t_j); no two successive
    vertices are equal. A ray (dt, ds) of nonnegative numbers, not both 0, goes out from
    the first vertex, backwards, and from the last, forwards. Vertical segments are
    kinks, vertical rays ends of the domain.
    """

    t: Array
    s: Array
    v: Array
    first: Direction
    last: Direction

    @classmethod
    def of(cls, f: Pieces) -> Graph:
        """From the pieces of a closed convex f of degree <= 2."""
        inside = np.flatnonzero(f.finite)
        c = widened(f.coefficients, 3)
        if not inside.size:
            k = np.flatnonzero(np.isfinite(f.values))[0]
            v = f.values[k : k + 1]
            return cls(f.points[k : k + 1], np.zeros(1), v, (0.0, 1.0), (0.0, 1.0))
        i, j = inside[0], inside[-1]
        first = (1.0, 2 * c[0, 2]) if i == 0 else (0.0, 1.0)
        last = (1.0, 2 * c[-1, 2]) if j == f.points.size else (0.0, 1.0)
        k = np.arange(max(i - 1, 0), min(j + 1, f.points.size))
        if not k.size:
            return cls(f.anchors, c[:, 1], c[:, 0], first, last)
        left, right = (s[k] for s in f.slopes)
        low = np.where(np.isfinite(left), left, right)
        high = np.where(np.isfinite(right), right, left)
        count = 1 + (high > low)
        t, s, v = (np.repeat(a, count) for a in (f.points[k], low, f.values[k]))
        s[np.cumsum(count) - 1] = high
        return cls(t, np.maximum.accumulate(s), v, first, last)._lean()

    def _lean(self) -> Graph:
        """Without repeated vertices."""
        keep = np.r_[True, (np.diff(self.t) > 0) | (np.diff(self.s) > 0)]
        return Graph(self.t[keep], self.s[keep], self.v[keep], self.first, self.last)

    def pieces(self) -> Pieces:
        """The function."""
        t, s, v = self.t, self.s, self.v
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            bend = np.diff(s) / np.diff(t) / 2
            rays = [ds / np.float64(dt) / 2 for dt, ds in (self.first, self.last)]
        # What is too steep for a number is vertical.
        wide = np.flatnonzero(np.isfinite(bend))
        rows = [np.stack([v[wide], s[wide], bend[wide]], -1)]
        before, after = (
            [v[k], s[k], b] if np.isfinite(b) else [np.inf, 0, 0]
            for k, b in zip((0, -1), rays, strict=True)
        )
        c = np.concatenate([[before], *rows, [after]])
        points = np.r_[t[0], t[wide + 1]]
        anchors = np.r_[t[0], t[wide], t[-1]]
        return Pieces(points, c, anchors, np.r_[v[0], v[wide + 1]])

    def flattest(self) -> tuple[Graph, int]:
        """With a vertex where s is nearest to 0, and its index."""
        t, s, v = self.t, self.s, self.v
        k = int(np.searchsorted(s, 0.0))
        if k < s.size and s[k] == 0:
            return self, k
        dt, ds = (float(d[k]) for d in self._segments)
        base = max(k - 1, 0)
        if k in (0, s.size) and not (dt and ds):
            return self, base
        # Segment k leads to vertex k and crosses s = 0.
        d = -s[base] * (dt / ds)
        t = np.insert(t, k, t[base] + d)
        v = np.insert(v, k, v[base] + s[base] * d / 2)
        return Graph(t, np.insert(s, k, 0.0), v, self.first, self.last), k

    @cached_property
    def _segments(self) -> tuple[Array, Array]:
        """(m + 1,) and (m + 1,), the rays included: segment k leads to vertex k."""
        dt = np.r_[self.first[0], np.diff(self.t), self.last[0]]
        return dt, np.r_[self.first[1], np.diff(self.s), self.last[1]]

    @np.errstate(over="raise")
    def dual(self) -> Graph:
        """That of the conjugate: f*(s) = s t - f(t) on the graph."""
        v = self.s * self.t - self.v
        return Graph(self.s, self.t, v, self.first[::-1], self.last[::-1])

    @np.errstate(over="raise")
    def envelope(self, step: float) -> Graph:
        """That of the Moreau envelope: (t + τ s, s), with f(t) + τ s² / 2."""
        shift = step * self.s
        t, v = self.t + shift, self.v + shift / 2 * self.s
        rays = (_sheared(ray, step) for ray in (self.first, self.last))
        return Graph(t, self.s, v, *rays)

    def resolvent(self, t: Array, step: Array | float) -> Array:
        """The p with t in p + step ∂f(p)."""
        m = self.t.size
        if np.ndim(step) == 0 and m <= FEW:
            return self._by_segment(t, step)[0]
        k = self._segment(t, step)
        dt, ds = (d[k] for d in self._segments)
        # Where segment k starts; the first ray goes out from where it ends.
        base = np.maximum(k - 1, 0)
        excess = t - (self.t[base] + step * self.s[base])
        # p in two ways, of which one takes the smaller part of the excess.
        part, rest = dt / (dt + step * ds), ds / (dt + step * ds)
        far = t - step * (self.s[base] + excess * rest)
        p = np.where(part <= 0.5, self.t[base] + excess * part, far)
        low = np.where(k > 0, self.t[base], -np.inf)
        return np.clip(p, low, np.where(k < m, self.t[np.minimum(k, m - 1)], np.inf))

    def resolvent_slope(self, t: Array, step: Array | float) -> Array:
        """Its derivative in t, the one from the left where it jumps."""
        if np.ndim(step) == 0 and self.t.size <= FEW:
            return self._by_segment(t, step)[1]
        k = self._segment(t, step)
        dt, ds = (d[k] for d in self._segments)
        return dt / (dt + step * ds)

    def _segment(self, t: Array, step: Array | float) -> Array:
        """On which segment p and (t - p) / step lie."""
        m = self.t.size
        if np.ndim(step) == 0:
            return np.searchsorted(self.t + step * self.s, t, "left")
        shape = np.broadcast_shapes(t.shape, np.shape(step))
        return search(lambda k: self.t[k] + step * self.s[k] < t, m, shape)

    def _by_segment(self, t: Array, step: Any) -> tuple[Array, Array]:
        """The resolvent and its slope, one after the other for all t."""
        sums, step = self.t + step * self.s, float(step)
        p: Any = None
        slope: Any = None
        for k, (dt, ds) in reversed(list(enumerate(zip(*self._segments, strict=True)))):
            base = max(k - 1, 0)
            part, rest = dt / (dt + step * ds), ds / (dt + step * ds)
            at: Any = self.t[base]
            if 0 < part <= 0.5:
                at = at + (t - sums[base]) * part
            elif part > 0:
                at = t - step * (self.s[base] + (t - sums[base]) * rest)
            if part > 0 and k > 0:
                at = np.maximum(at, self.t[base])
            if k == self.t.size:
                p, slope = at, part
                continue
            before = t <= sums[k]
            at = np.minimum(at, self.t[k]) if part > 0 else at
            p, slope = np.where(before, at, p), np.where(before, part, slope)
        return p, slope

    def resolvent_pieces(self, step: float) -> Pieces:
        """The map t -> p, continuous and nondecreasing."""
        sums, (dt, ds) = self.t + step * self.s, self._segments
        base = np.r_[0, np.arange(self.t.size)]
        c = np.stack([self.t[base], dt / (dt + step * ds)], -1)
        keep = np.r_[True, np.diff(sums) > 0]
        rows = np.r_[True, keep[1:], True]
        return Pieces(sums[keep], c[rows], sums[base][rows], self.t[keep])

    def sharpened(self, step: float) -> Graph:
        """That of the function of which this is the Moreau envelope, without v."""
        shift = step * self.s
        t = self.t - shift
        # What would rise by rounding only is vertical.
        size = ROUNDING * (abs(self.t) + abs(shift))
        risen = np.r_[True, np.diff(t) > np.maximum(size[1:], size[:-1])]
        level = np.maximum.accumulate(np.where(risen, np.arange(t.size), 0))
        t = np.maximum.accumulate(t[level])
        rays = (_sheared(ray, -step) for ray in (self.first, self.last))
        return Graph(t, self.s, self.v, *rays)._lean()

    def settled(self, k: int, value: float) -> Graph:
        """With f from its slopes and its value at vertex k, as sums have spoilt it."""
        rise = (self.s[1:] + self.s[:-1]) / 2 * np.diff(self.t)
        up = np.cumsum(np.r_[value, rise[k:]])
        down = np.cumsum(np.r_[value, -rise[:k][::-1]])[::-1]
        v = np.r_[down[:-1], up]
        return Graph(self.t, self.s, v, self.first, self.last)


def _sheared(ray: Direction, step: float) -> Direction:
    dt, ds = ray
    moved = dt + step * ds
    return (moved if moved > ROUNDING * dt else 0.0), ds
