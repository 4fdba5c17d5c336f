"""The graph of the subdifferential of a convex piecewise linear-quadratic function."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._check import Array
from ._pieces import search
from ._polynomials import ROUNDING, Pieces

Direction = tuple[float, float]


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
    def of(cls, f: Pieces, left: Array, right: Array) -> Graph:
        """From the pieces of f, of degree <= 2, and the slopes at its points."""
        inside = np.flatnonzero(f.finite)
        c = np.pad(f.coefficients, [(0, 0), (0, max(0, 3 - f.coefficients.shape[-1]))])
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
        t, v = np.repeat(f.points[k], 2), np.repeat(f.values[k], 2)
        s = np.stack([left[k], right[k]], -1).ravel()
        keep = np.isfinite(s) & np.r_[True, (np.diff(t) != 0) | (np.diff(s) != 0)]
        return cls(t[keep], s[keep], v[keep], first, last)

    def pieces(self) -> Pieces:
        """The function."""
        t, s, v = self.t, self.s, self.v
        (dt, ds), (et, es) = self.first, self.last
        wide = np.flatnonzero(np.diff(t) > 0)
        with np.errstate(over="ignore"):
            bend = np.diff(s)[wide] / np.diff(t)[wide] / 2
        rows = [np.stack([v[wide], s[wide], bend], -1)]
        before = [v[0], s[0], ds / dt / 2] if dt else [np.inf, 0, 0]
        after = [v[-1], s[-1], es / et / 2] if et else [np.inf, 0, 0]
        c = np.concatenate([[before], *rows, [after]])
        points = np.r_[t[0], t[wide + 1]]
        anchors = np.r_[t[0], t[wide], t[-1]]
        return Pieces(points, c, anchors, np.r_[v[0], v[wide + 1]])

    def dual(self) -> Graph:
        """That of the conjugate: f*(s) = s t - f(t) on the graph."""
        v = self.s * self.t - self.v
        return Graph(self.s, self.t, v, self.first[::-1], self.last[::-1])

    def envelope(self, step: float) -> Graph:
        """That of the Moreau envelope: (t + τ s, s), with f(t) + τ s² / 2."""
        t, v = self.t + step * self.s, self.v + step / 2 * self.s**2
        rays = (_sheared(ray, step) for ray in (self.first, self.last))
        return Graph(t, self.s, v, *rays)

    def resolvent(self, t: Array, step: Array | float) -> Array:
        """The p with t in p + step ∂f(p)."""
        shape, m = np.broadcast_shapes(t.shape, np.shape(step)), self.t.size
        if np.ndim(step) == 0:
            sums = self.t + step * self.s
            k = np.searchsorted(sums, t, "left")
        else:
            k = search(lambda k: self.t[k] + step * self.s[k] < t, m, shape)
        dt = np.r_[self.first[0], np.diff(self.t), self.last[0]]
        ds = np.r_[self.first[1], np.diff(self.s), self.last[1]]
        # Segment k ends at vertex k; the first ray starts from it.
        base = np.maximum(k - 1, 0)
        excess = t - (self.t[base] + step * self.s[base])
        p = self.t[base] + excess * (dt[k] / (dt[k] + step * ds[k]))
        low = np.where(k > 0, self.t[base], -np.inf)
        return np.clip(p, low, np.where(k < m, self.t[np.minimum(k, m - 1)], np.inf))

    def resolvent_pieces(self, step: float) -> Pieces:
        """The map t -> p, continuous and nondecreasing."""
        sums = self.t + step * self.s
        dt = np.r_[self.first[0], np.diff(self.t), self.last[0]]
        ds = np.r_[self.first[1], np.diff(self.s), self.last[1]]
        base = np.r_[0, np.arange(self.t.size)]
        c = np.stack([self.t[base], dt / (dt + step * ds)], -1)
        keep = np.r_[True, np.diff(sums) > 0]
        rows = np.r_[True, keep[1:], True]
        return Pieces(sums[keep], c[rows], sums[base][rows], self.t[keep])

    def untied(self) -> Graph:
        """After a subtraction: what would fall or rise by rounding stays level."""
        out = []
        for x in (self.t, self.s):
            size = ROUNDING * (abs(x[1:]) + abs(x[:-1]))
            risen = np.r_[True, np.diff(x) > size]
            level = np.maximum.accumulate(np.where(risen, np.arange(x.size), 0))
            out.append(np.maximum.accumulate(x[level]))
        t, s = out
        keep = np.r_[True, (np.diff(t) > 0) | (np.diff(s) > 0)]
        return Graph(t[keep], s[keep], self.v[keep], self.first, self.last)


def _sheared(ray: Direction, step: float) -> Direction:
    dt, ds = ray
    moved = dt + step * ds
    return (moved if moved > ROUNDING * dt else 0.0), ds
