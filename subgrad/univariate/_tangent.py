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
    -inf, since every slope is below the first or above the last one there. `curvature`:
    the coefficient of t². `polynomial`: in powers of t - anchor, for degrees > 2 alone.
    """

    lower: float
    upper: float
    start: float
    end: float
    first: float
    last: float
    curvature: float = 0.0
    anchor: float = 0.0
    polynomial: tuple[float, ...] = ()

    @property
    def is_left_ray(self) -> bool:
        return self.lower == -math.inf and not (self.curvature or self.polynomial)

    @property
    def is_right_ray(self) -> bool:
        return self.upper == math.inf and not (self.curvature or self.polynomial)


def taylor(c: Any, h: Any) -> tuple[Any, Any, Any, Any]:
    """p(h) = sum_j c[j] h^j, p'(h), and the sizes of the terms of both."""
    value = slope = size = steep = 0.0 * h
    far = abs(h)
    for a in c[::-1]:
        slope, steep = slope * h + value, steep * far + size
        value, size = value * h + a, size * far + abs(a)
    return value, slope, size, steep


def tangent(a: Arc, b: Arc) -> tuple[float, float, float]:
    """
    The line below a and b that touches both, a to the left of b, if only at infinity.

    Returns its slope, the last point in common with a, the first in common with b.
    """
    width = b.lower - a.upper
    if width > 0:
        s = (b.start - a.end) / width
        if a.last <= s <= b.first:
            return s, a.upper, b.lower
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
        a = _point(a.upper, a.end)
    elif high <= a.first:
        a = _point(a.lower, a.start)
    if high <= b.first:
        b = _point(b.lower, b.start)
    elif b.last <= low:
        b = _point(b.upper, b.end)
    s = low if low == high else _slope(a, b, low, high)
    x = -math.inf if falls else _contact(a, s)[0]
    y = math.inf if rises else _contact(b, s)[0]
    return s, x, y


def _point(t: float, v: float) -> Arc:
    return Arc(t, t, v, v, math.inf, -math.inf)


def _difference(a: Arc, b: Arc, s: float, significant: bool = False) -> float:
    """b*(s) - a*(s); on demand 0 where that is rounding."""
    (x, v), (y, w) = _contact(a, s), _contact(b, s)
    rise = s * (y - x)
    d = rise - (w - v)
    if significant and abs(d) <= _EPS / 2 * (abs(rise) + abs(v) + abs(w)):
        return 0.0
    return d


def _contact(arc: Arc, s: float) -> tuple[float, float]:
    """A point at which the arc has the slope s, and its value there."""
    if s >= arc.last:
        return arc.upper, arc.end
    if s <= arc.first:
        return arc.lower, arc.start
    if arc.polynomial:
        x = _root(lambda t: _rise(arc, t, s), arc.lower, arc.upper)
        return x, taylor(arc.polynomial, x - arc.anchor)[0]
    # The value is the one at the rounded point.
    q = arc.curvature
    if s - arc.first <= arc.last - s:
        x = min(arc.lower + (s - arc.first) / (2 * q), arc.upper)
        h = x - arc.lower
        return x, arc.start + h * (arc.first + q * h)
    x = max(arc.upper - (arc.last - s) / (2 * q), arc.lower)
    h = x - arc.upper
    return x, arc.end + h * (arc.last + q * h)


def _rise(arc: Arc, t: float, s: float) -> float:
    """p'(t) - s, 0 where that is rounding."""
    _, slope, _, steep = taylor(arc.polynomial, t - arc.anchor)
    return slope - s if abs(slope - s) > _EPS / 2 * steep else 0.0


def _slope(a: Arc, b: Arc, low: float, high: float) -> float:
    """The s with b*(s) = a*(s); between low and high each is a point or curved."""
    if a.polynomial or b.polynomial:
        s = _root(lambda s: _difference(a, b, s, significant=True), low, high)
    elif a.curvature or b.curvature:
        s = min(max(_quadratic(a, b), low), high)
    elif a.upper < b.lower:
        return min(max((b.start - a.end) / (b.lower - a.upper), low), high)
    else:
        return low if low > -math.inf else high
    (x, v), (y, w) = _contact(a, s), _contact(b, s)
    rise = s * (y - x)
    rounding = 4 * _EPS * (abs(rise) + abs(v) + abs(w))
    if abs(rise - (w - v)) > rounding and x < y:
        # A Newton step: there is less rounding near the points of contact.
        s = min(max((w - v) / (y - x), low), high)
    # Where rounding hides whether the line touches an arc at its end, it does.
    for end in (low, high):
        if abs(end - s) * (y - x) <= rounding:
            return end
    return s


def _quadratic(a: Arc, b: Arc) -> float:
    """The slope s with b*(s) = a*(s) for a parabola and a parabola or point."""
    width, rise, fall = b.lower - a.upper, b.start - a.end, a.last - b.first
    if not a.curvature:
        return b.first + _increment(width, rise - b.first * width, b.curvature)
    if not b.curvature:
        return a.last - _increment(width, a.last * width - rise, a.curvature)
    # From the flatter one the equation is a sum of terms without cancellation.
    p, q = a.curvature, b.curvature
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
    if g(low) >= 0:
        return low
    if g(high) <= 0:
        return high
    return brentq(g, low, high, xtol=_TINY, rtol=4 * _EPS, maxiter=10_000)
