"""The common tangent of two convex arcs of polynomials."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

_EPS = float(np.finfo(np.float64).eps)
_TINY = float(np.finfo(np.float64).tiny)


class Arc(NamedTuple):
    """
    A convex polynomial on [lower, upper], perhaps a point, by its values and slopes.

    `start`, `end`: the values at the two ends. `first`, `last`: the slopes there; at an
    infinite end they are infinite even for a ray, and those of a point are +inf and
    -inf, since every slope is below the first or above the last one there. `c`: the
    coefficients in powers of t - anchor, three of them for degrees <= 2.
    """

    lower: float
    upper: float
    start: float
    end: float
    first: float
    last: float
    anchor: float
    c: list[float]

    @property
    def is_left_ray(self) -> bool:
        return self.lower == -math.inf and not any(self.c[2:])

    @property
    def is_right_ray(self) -> bool:
        return self.upper == math.inf and not any(self.c[2:])


# A point in common with a line, and the value there.
Contact = tuple[float, float]


def taylor(c: Any, h: Any) -> tuple[Any, Any, Any, Any]:
    """p(h) = sum_j c[j] h^j, p'(h), and the sizes of the terms of both."""
    value = slope = size = steep = 0.0 * h
    far = abs(h)
    for a in c[::-1]:
        slope, steep = slope * h + value, steep * far + size
        value, size = value * h + a, size * far + abs(a)
    return value, slope, size, steep


def tangent(a: Arc, b: Arc) -> tuple[float, Contact, Contact]:
    """
    The line below a and b that touches both, a to the left of b, if only at infinity.

    Returns its slope, the last point in common with a, the first in common with b.
    """
    width = b.lower - a.upper
    if width > 0:
        s = (b.start - a.end) / width
        if a.last <= s <= b.first:
            return s, (a.upper, a.end), (b.lower, b.start)
    # The slope is between low and high, b*(low) <= a*(low) and b*(high) >= a*(high).
    low, high = -math.inf, math.inf
    falls = rises = False
    if a.is_left_ray:
        low = a.last
        falls = _difference(a, b, low) > 0
        high = low if falls else high
    if b.is_right_ray and not falls:
        high = b.first
        rises = _difference(a, b, high) < 0
        low = high if rises else low
    for s in sorted((a.first, a.last, b.first, b.last)):
        if low < s < high:
            d = _difference(a, b, s)
            low, high = s if d <= 0 else low, s if d >= 0 else high
            if d >= 0:
                break
    if a.last <= low:
        a = point(a.upper, a.end)
    elif high <= a.first:
        a = point(a.lower, a.start)
    if high <= b.first:
        b = point(b.lower, b.start)
    elif b.last <= low:
        b = point(b.upper, b.end)
    s = low if low == high else _slope(a, b, low, high)
    x = (-math.inf, a.end) if falls else _contact(a, s)
    y = (math.inf, b.start) if rises else _contact(b, s)
    if -math.inf < x[0] < y[0] < math.inf:
        rise, gain = s * (y[0] - x[0]), y[1] - x[1]
        if abs(rise - gain) > 4 * _EPS * (abs(rise) + abs(x[1]) + abs(y[1])):
            # It meets both points, if that is no more than rounding for its slope.
            chord = min(max(gain / (y[0] - x[0]), low), high)
            steep = min(_steepness(a, x[0]), _steepness(b, y[0]))
            s = chord if abs(chord - s) <= 8 * _EPS * steep else s
    return s, x, y


def _steepness(arc: Arc, t: float) -> float:
    """The size of the terms of the slope; every slope will do for a point."""
    return taylor(arc.c, t - arc.anchor)[3] if arc.lower < arc.upper else math.inf


def point(t: float, v: float) -> Arc:
    return Arc(t, t, v, v, math.inf, -math.inf, t, [v, 0.0, 0.0])


def _difference(a: Arc, b: Arc, s: float) -> float:
    """b*(s) - a*(s)."""
    (x, v), (y, w) = _contact(a, s), _contact(b, s)
    return s * (y - x) - (w - v)


def _contact(arc: Arc, s: float) -> Contact:
    """A point at which the arc has the slope s, as a float, and the value there."""
    if s >= arc.last:
        return arc.upper, arc.end
    if s <= arc.first:
        return arc.lower, arc.start
    c, anchor = arc.c, arc.anchor
    if len(c) > 3:
        x = _root(lambda t: taylor(c, t - anchor)[1] - s, arc.lower, arc.upper)
        return x, taylor(c, x - anchor)[0]
    x = anchor + (s - c[1]) / (2 * c[2])
    x = min(max(x, arc.lower), arc.upper)
    h = x - anchor
    return x, c[0] + h * (c[1] + h * c[2])


def _slope(a: Arc, b: Arc, low: float, high: float) -> float:
    """The s with b*(s) = a*(s); between low and high each is a point or curved."""
    if len(a.c) > 3 or len(b.c) > 3:
        return _root(lambda s: _difference(a, b, s), low, high)
    if not (a.c[2] or b.c[2]):
        if a.upper == b.lower:
            return low if low > -math.inf else high
        return min(max((b.start - a.end) / (b.lower - a.upper), low), high)
    s = min(max(_quadratic(a, b), low), high)
    # Newton's steps: the ends, where s comes from, may have larger terms.
    for _ in range(4):
        (x, v), (y, w) = _contact(a, s), _contact(b, s)
        if x >= y:
            break
        before, s = s, min(max((w - v) / (y - x), low), high)
        if abs(s - before) <= 4 * _EPS * abs(s):
            break
    return s


def _quadratic(a: Arc, b: Arc) -> float:
    """The slope s with b*(s) = a*(s) for a parabola and a parabola or point."""
    width, rise, fall = b.lower - a.upper, b.start - a.end, a.last - b.first
    p, q = a.c[2], b.c[2]
    if not p:
        return b.first + _increment(width, rise - b.first * width, q)
    if not q:
        return a.last - _increment(width, a.last * width - rise, p)
    # From the flatter one the equation is a sum of terms without cancellation.
    if q <= p:
        return b.first + _increment(width, rise - b.first * width, q, q / p, fall)
    return a.last - _increment(width, a.last * width - rise, p, p / q, fall)


def _increment(
    width: float, gap: float, q: float, ratio: float = 0.0, fall: float = 0.0
) -> float:
    """2 q h for the h >= 0 with h² + 2 width h = gap / q + ratio (fall / 2q - h)²."""
    fall /= 2 * q
    b = width + ratio * fall
    c = max(gap / q + ratio * fall * fall, 0.0)
    return 2 * q * c / (b + math.hypot(b, math.sqrt((1 - ratio) * c))) if c else 0.0


def _root(g: Callable[[float], float], low: float, high: float) -> float:
    """A root of a nondecreasing function; one of the ends may be infinite."""
    from scipy.optimize import brentq

    step = 1.0
    if low == -math.inf:
        low = high - step
        while g(low) > 0:
            step *= 16
            low = high - step * max(1.0, abs(high))
    if high == math.inf:
        high = low + step
        while g(high) < 0:
            step *= 16
            high = low + step * max(1.0, abs(low))
    return brentq(g, low, high, xtol=_TINY, rtol=4 * _EPS, maxiter=10_000)
