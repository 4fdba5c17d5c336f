"""The closed convex envelope of a function made of polynomial pieces."""

from __future__ import annotations

import math

import numpy as np

from .._check import Array
from ._polynomials import ROUNDING
from ._roots import real_roots
from ._tangent import Arc, point, tangent, taylor
from .convex import Mask

# Points of contact move by so many floats at most, to put slopes in order. What is left
# of an arc counts as a point where its two ends could use it up so.
_STEPS = 4
_SHORT = 2 * _STEPS * np.finfo(np.float64).eps


def lower_hull(
    lower: Array, upper: Array, coefficients: Array, anchors: Array
) -> tuple[Array, Array, Array]:
    """
    The closed convex envelope f** of the lower semicontinuous function

        f(t) = min_k sum_j coefficients[k, j] (t - anchors[k])^j

    over the arcs k with lower[k] <= t <= upper[k], and +inf where there is none.

    The arcs, of shapes (m,), (m,), (m, D + 1), (m,), come in order: upper[k] is at most
    lower[k + 1]. lower[0] may be -inf and upper[-1] +inf; lower[k] = upper[k] makes a
    point. Returns the K inner breakpoints, strictly increasing, of f** on
    [lower[0], upper[-1]], the coefficients of its K + 1 pieces (at least two of each
    unless f is convex) and their anchors. Pieces of f keep their coefficients and
    anchors; the affine ones between them are anchored where they begin, or where they
    touch f if they begin at -inf. What is convex up to rounding comes back as it is.

    ValueError if f** is -inf. Exact for degrees <= 2, by root finding above.

    For two convex arcs, a to the left of b, the conjugates cross once: b*(s) - a*(s) is
    nondecreasing, as the maximisers of s t - b(t) lie to the right of those of
    s t - a(t). It is 0 at the slope of the common tangent. So one scan with a stack
    finds the maximum f* of the conjugates of all arcs, as it does for lines. A concave
    arc counts by its two ends alone.
    """
    row, low, up, concave = _convex_parts(lower, upper, coefficients, anchors)
    for k, end, side in ((0, low[0], "-inf"), (-1, up[-1], "+inf")):
        if concave[k] and np.isinf(end):
            raise ValueError(
                f"the convex hull is -inf: f falls faster than any line towards {side}"
            )
    # The two ends take the place of a concave arc.
    twice = np.repeat(np.arange(row.size), 1 + concave)
    second = np.r_[False, twice[1:] == twice[:-1]]
    row, low, up, concave = (a[twice] for a in (row, low, up, concave))
    low, up = (
        np.where(concave & second, up, low),
        np.where(concave & ~second, low, up),
    )
    parts = _Parts(coefficients[row], anchors[row], low, up)
    kept = parts.lowest()
    if kept.size < row.size:
        row, low, up = row[kept], low[kept], up[kept]
        parts = _Parts(coefficients[row], anchors[row], low, up)
    joined = parts.joined()
    if joined[1:].all():
        return up[:-1], parts.c, parts.anchors
    return _assembled(_scan(parts.arcs(), joined.tolist()), parts)


def _convex_parts(
    lower: Array, upper: Array, coefficients: Array, anchors: Array
) -> tuple[Array, Array, Array, Mask]:
    """
    The arcs cut into parts that are convex or strictly concave: the arc to which each
    belongs, its ends, and whether it is concave.
    """
    row, low, up = np.arange(lower.size), lower, upper
    if coefficients.shape[-1] < 3:
        return row, low, up, np.zeros(lower.size, bool)
    j = np.arange(2, coefficients.shape[-1])
    bend = coefficients[:, 2:] * j * (j - 1)
    if bend.shape[-1] > 1:
        t = anchors[:, None] + real_roots(bend)
        inside = (t > lower[:, None]) & (t < upper[:, None])
        cuts = np.unique(np.stack([np.nonzero(inside)[0], t[inside]], -1), axis=0)
        row, low = np.r_[row, cuts[:, 0].astype(np.intp)], np.r_[low, cuts[:, 1]]
        order = np.lexsort((low, row))
        row, low = row[order], low[order]
        last = np.r_[row[1:] != row[:-1], True]
        up = np.where(last, upper[row], np.r_[low[1:], np.inf])
    bounded = np.isfinite(low) & np.isfinite(up)
    middle = np.where(bounded, low, 0.0) / 2 + np.where(bounded, up, 0.0) / 2
    value, _, size, _ = taylor(bend[row].T, middle - anchors[row])
    concave = (value < -ROUNDING * size) & (low < up)
    for k, side, end in ((0, -1, low[0]), (-1, 1, up[-1])):
        if np.isinf(end):
            powers = np.flatnonzero(bend[k])[-1:]
            concave[k] = any(bend[k, n] * side**n < 0 for n in powers)
    new = np.r_[True, (row[1:] != row[:-1]) | (concave[1:] != concave[:-1])]
    return row[new], low[new], up[np.r_[new[1:], True]], concave[new]


class _Parts:
    """Convex arcs and points, with values, slopes and sizes of terms at the ends."""

    def __init__(self, c: Array, anchors: Array, lower: Array, upper: Array) -> None:
        self.c, self.anchors, self.lower, self.upper = c, anchors, lower, upper
        self.points = lower == upper
        a, b = (np.where(np.isfinite(t), t, anchors) for t in (lower, upper))
        self.start, first, self.size_start, self.steep_start = taylor(c.T, a - anchors)
        self.end, last, self.size_end, self.steep_end = taylor(c.T, b - anchors)
        first = np.where(np.isfinite(lower), first, -np.inf)
        last = np.where(np.isfinite(upper), last, np.inf)
        self.first = np.where(self.points, np.inf, first)
        self.last = np.where(self.points, -np.inf, last)

    def lowest(self) -> Array:
        """All but the points where another part is not higher, up to rounding."""
        if not self.points.any():
            return np.arange(self.lower.size)
        columns = [self.lower, self.start, self.size_start]
        columns += [self.upper, self.end, self.size_end, self.points]
        rows = list(zip(*(a.tolist() for a in columns), strict=True))
        kept: list[int] = []
        for k, (lower, start, size, *_, alone) in enumerate(rows):
            while kept and rows[kept[-1]][3] == lower:
                _, end, other, alone_before = rows[kept[-1]][3:]
                rounding = ROUNDING * max(size, other)
                if alone and start >= end - rounding:
                    break
                if not alone_before or end < start - rounding:
                    kept.append(k)
                    break
                kept.pop()
            else:
                kept.append(k)
        return np.array(kept)

    def joined(self) -> Mask:
        """Which arcs continue the one before, and convexly so, up to rounding."""
        size = np.maximum(self.size_end[:-1], self.size_start[1:])
        steep = np.maximum(self.steep_end[:-1], self.steep_start[1:])
        meet = self.upper[:-1] == self.lower[1:]
        near = abs(self.end[:-1] - self.start[1:]) <= ROUNDING * size
        rising = self.last[:-1] <= self.first[1:] + ROUNDING * steep
        return np.r_[False, meet & near & rising]

    def arcs(self) -> list[Arc]:
        """One by one; ValueError if there is no line below them."""
        columns = (self.lower, self.upper, self.start, self.end, self.first, self.last)
        numbers = (a.tolist() for a in (*columns, self.anchors))
        c = np.pad(self.c, [(0, 0), (0, max(0, 3 - self.c.shape[-1]))])
        hard = np.any(c[:, 3:], axis=-1).tolist()
        rows = zip(c.tolist(), hard, strict=True)
        polynomials = (row if more else row[:3] for row, more in rows)
        arcs = [Arc(*row) for row in zip(*numbers, polynomials, strict=True)]
        left, right = arcs[0], arcs[-1]
        if left.is_left_ray and right.is_right_ray and left.last > right.first:
            a, b = left.last, right.first
            if a - b > ROUNDING * max(abs(a), abs(b)):
                raise ValueError(
                    f"the convex hull is -inf: the slope {a} of f towards -inf is "
                    f"above its slope {b} towards +inf"
                )
            arcs[-1] = right._replace(first=a)
        return arcs


def _scan(arcs: list[Arc], joined: list[bool]) -> Array:
    """
    The arcs that the hull touches, as six rows: index, slope before (nan between arcs
    that are joined), first point in common and value there, last one and value there.

    The last arc on the stack goes if the new one takes over before it does itself.
    """
    a = arcs[0]
    stack, leave = [(0, -math.inf, (a.lower, a.start))], [(a.upper, a.end)]
    for k, b in enumerate(arcs[1:], 1):
        while True:
            j, slope, enter = stack[-1]
            a = arcs[j]
            if joined[k] and j == k - 1:
                s, x, y = math.nan, (a.upper, a.end), (b.lower, b.start)
                if enter[0] < a.upper:
                    break
            else:
                s, x, y = tangent(a, b)
                if len(stack) == 1:
                    break
                short = x[0] - enter[0] <= _SHORT * max(abs(x[0]), abs(enter[0]))
                if short and s > slope:
                    # The lines on both sides are to meet in one and the same point.
                    s, x, y = tangent(point(*enter), b)
                # Of the lines parallel to two rays, the arc between them sets the
                # height, even if it is but one point.
                across = leave[-2][0] == -math.inf and y[0] == math.inf
                if across or s > slope or not short:
                    break
            stack.pop()
            leave.pop()
        leave[-1] = x
        stack.append((k, s, y))
        leave.append((b.upper, b.end))
    rows = [(j, s, *y, *x) for (j, s, y), x in zip(stack, leave, strict=True)]
    return np.array(rows).T


def _assembled(contacts: Array, parts: _Parts) -> tuple[Array, Array, Array]:
    """The pieces of the hull from the rows that `_scan` gives."""
    index, (slope, enter, v, leave, w) = contacts[0].astype(np.intp), contacts[1:]
    lower, upper, a = parts.lower[index], parts.upper[index], parts.anchors[index]
    c = np.pad(parts.c[index], [(0, 0), (0, max(0, 2 - parts.c.shape[-1]))])
    single = enter == leave
    sizes = [
        np.where(single, abs(y), taylor(c.T, np.where(np.isfinite(x), x - a, 0.0))[2])
        for x, y in ((leave, w), (enter, v))
    ]
    start, end = leave[:-1].copy(), enter[1:].copy()
    # Where a point of contact is rounded, the slope of the arc may be on the wrong side
    # of that of the line; the next floats are on the right one.
    curved = np.any(c[:, 2:], axis=-1) & ~single
    sides = ((enter, upper, slope, 1), (leave, lower, np.r_[slope[1:], np.nan], -1))
    for x, far, s, side in _STEPS * sides:
        k = np.flatnonzero(curved & np.isfinite(x) & (x != far))
        steep = taylor(c[k].T, x[k] - a[k])[1]
        k = k[side * steep < side * s[k]]
        x[k] = np.nextafter(x[k], side * np.inf)
    # The end with the smaller terms, and hence the smaller rounding, sets the height.
    from_left, slope = np.isfinite(start), slope[1:]
    right = ~from_left | (np.isfinite(end) & (sizes[0][:-1] > 8 * sizes[1][1:]))
    at, height = np.where(right, end, start), np.where(right, v[1:], w[:-1])
    places = np.where(from_left, leave[:-1], enter[1:])
    bridges = np.zeros((slope.size, c.shape[-1]))
    bridges[:, 0], bridges[:, 1] = height + slope * (places - at), slope

    wide = _alternating(enter < leave, leave[:-1] < enter[1:])
    if leave[0] == -np.inf and enter[-1] == np.inf and wide.sum() == 2:
        wide[-2] = slope[0] < slope[-1]
    ends = _alternating(leave, enter[1:])[wide]
    return ends[:-1], _alternating(c, bridges)[wide], _alternating(a, places)[wide]


def _alternating(arcs: Array, bridges: Array) -> Array:
    out = np.empty((len(arcs) + len(bridges), *arcs.shape[1:]), arcs.dtype)
    out[::2], out[1::2] = arcs, bridges
    return out
