"""Functions of one variable and their derivatives as curves, ready to be drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ._check import Array
from .interval import Interval
from .univariate._border import number
from .univariate._coefficients import evaluate
from .univariate._polynomials import ROUNDING, SIDES
from .univariate.catalog import t as identity
from .univariate.convex import Mask, Univariate
from .univariate.distribution import Distribution, Parts
from .univariate.piecewise import Piecewise
from .univariate.transformed import Transformed

Span = tuple[float, float]
_LINE = (-np.inf, np.inf)
_SAMPLES = 201  # of each curved piece


def _none() -> Array:
    return np.zeros((0, 2))


@dataclass(frozen=True, eq=False)
class Curve:
    """
    A polyline with gaps where it is nan; circles of shape (m, 2), open and filled; the
    `ends` of the domain; and `rays` (t, s, ±1) that go up or down from (t, s) for ever.
    The part of the polyline that is worth seeing has y in `span`.
    """

    t: Array
    y: Array
    open: Array = field(default_factory=_none)
    filled: Array = field(default_factory=_none)
    ends: Array = field(default_factory=lambda: np.zeros(0))
    rays: tuple[tuple[float, float, int], ...] = ()
    span: Span = _LINE


def plain(f: Any) -> Univariate:
    """f itself, or the same function in a form that knows its breakpoints."""
    if not isinstance(f, Univariate):
        raise TypeError(
            f"f must be a function of one variable, such as relu, got {f!r}"
        )
    if f.batch:
        raise ValueError(f"f must be one function, got a batch of shape {f.batch}")
    if isinstance(f, Transformed) and isinstance(f.phi, Piecewise):
        a, b, c, d, e = (float(x) for x in (f.a, f.b, f.c, f.d, f.e))
        return a * f.phi(b * (identity - c)) + d * identity + e
    return f


def marks(f: Univariate) -> Array:
    """The breakpoints, or the ends of the domain."""
    if isinstance(f, Piecewise):
        return f._pieces.points
    ends = np.array(f.ends, np.float64)
    return ends[np.isfinite(ends)]


def distribution_marks(T: Distribution) -> Array:
    """The points of the terms, the breakpoints, and where smooth factors are seen."""
    found = [np.array([a for a, _ in T.terms]), *(p.points for p in T._parts.values())]
    for phi in T._parts:
        if phi is not None:
            height = abs(phi(phi.nodes))
            found.append(phi.nodes[height > 1e-4 * height.max(initial=0.0)])
    return np.concatenate(found)


def window(points: Array, lower: float | None, upper: float | None) -> Span:
    """Around the points, with half of what they spread over as margin on each side."""
    low, high = (points.min(), points.max()) if points.size else (0.0, 0.0)
    margin = high / 2 - low / 2 or max(2.0, abs(low) / 2)
    a = low - margin if lower is None else number("lower", lower)
    b = high + margin if upper is None else number("upper", upper)
    # What is given may be beyond all points.
    if lower is None:
        a = min(a, b - margin)
    if upper is None:
        b = max(b, a + margin)
    if not a < b:
        raise ValueError(f"lower must be less than upper, got {a} and {b}")
    return float(a), float(b)


# -- functions ------------------------------------------------------------------------


def graph(f: Univariate, lower: float, upper: float) -> Curve:
    """The graph of f."""
    if not isinstance(f, Piecewise):
        ends = marks(f)
        values = np.stack([ends, f.value(ends)], -1)
        values = values[np.isfinite(values[:, 1])]
        t, y, span = _smooth(f.value, f, lower, upper)
        return Curve(t, y, filled=values, ends=ends, span=span)
    p, missed = f._pieces, []
    for side in SIDES:
        limit = p.limits(side)
        apart = np.isfinite(limit) & ~p.meets(side)
        missed.append(np.stack([p.points, limit], -1)[apart])
    values = np.stack([p.points, p.values], -1)
    values = values[np.isfinite(p.values) & ~p.continuous]
    t, y = _pieces({None: p}, lower, upper)
    return Curve(t, y, np.concatenate(missed), values, domain_ends(f))


def subdifferential(f: Univariate, lower: float, upper: float) -> Curve:
    """The graph of ∂f, Clarke's for a function that is not convex."""
    at = marks(f)
    at = at[(at >= lower) & (at <= upper)]
    if isinstance(f, Piecewise):
        slope, ends, span = f.derivative()._pieces, domain_ends(f), _LINE
        t, y = _pieces({None: slope}, lower, upper)
        sets = _sets(f, at)
        slope = slope.refined(at)
        k = np.searchsorted(slope.points, at)
        limits = np.stack([slope.limits(side)[k] for side in SIDES], -1)
        shown = np.isfinite(limits) & (sets.lower > sets.upper)[:, None]
        circles = np.stack([np.broadcast_to(at[:, None], limits.shape), limits], -1)
        circles = circles[shown]
    else:
        sets, ends, circles = f.subdifferential(at), at, _none()
        t, y, span = _smooth(f.right_slope, f, lower, upper)
    low, high = sets.lower, sets.upper
    tall = np.isfinite(low) & np.isfinite(high) & (low < high)
    t = np.r_[t, _gapped(np.stack([at, at], -1)[tall], False)]
    y = np.r_[y, _gapped(np.stack([low, high], -1)[tall], False)]
    rays: list[tuple[float, float, int]] = []
    for a, g, h in zip(at.tolist(), low.tolist(), high.tolist(), strict=True):
        start = g if np.isfinite(g) else h if np.isfinite(h) else 0.0
        rays += [(a, start, -1)] * (g == -np.inf) + [(a, start, 1)] * (h == np.inf)
    return Curve(t, y, circles, ends=ends, rays=tuple(rays), span=span)


def regular(T: Distribution, lower: float, upper: float) -> Curve:
    """The regular part, whose values at single points are not shown."""
    return Curve(*_pieces(T._parts, lower, upper), ends=domain_ends(T.regular))


def domain_ends(f: Piecewise) -> Array:
    """The ends of the intervals of which the domain is made."""
    p = f._pieces
    left, right, here = p.finite[:-1], p.finite[1:], np.isfinite(p.values)
    return p.points[(left != right) | (here & ~left & ~right)]


def fan(f: Univariate, t: Array) -> Interval:
    """The slopes of the lines that support f at t, for a nonconvex f locally."""
    return (
        f.frechet_subdifferential(t)
        if isinstance(f, Piecewise)
        else f.subdifferential(t)
    )


def _sets(f: Piecewise, t: Array) -> Interval:
    """∂f(t), empty where Clarke's subdifferential of a nonconvex f is undefined."""
    if f.is_convex:
        return f.subdifferential(t)
    left, right = f.left_derivative(t), f.right_derivative(t)
    known = np.isfinite(left) & np.isfinite(right)
    low, high = np.minimum(left, right), np.maximum(left, right)
    return Interval(np.where(known, low, np.inf), np.where(known, high, -np.inf))


# -- polylines ------------------------------------------------------------------------


def _pieces(parts: Parts, lower: float, upper: float) -> tuple[Array, Array]:
    """sum p φ piece by piece, with its limits at both ends of every piece."""
    factors = [phi for phi in parts if phi is not None]
    cuts = [phi.nodes for phi in factors] + [p.points for p in parts.values()]
    points = np.unique(np.concatenate(cuts))
    bounds = np.r_[-np.inf, points], np.r_[points, np.inf]
    low, high = (np.clip(end, lower, upper) for end in bounds)
    rows = np.flatnonzero(low < high)
    low, high = low[rows, None], high[rows, None]
    straight = not factors and parts[None].coefficients.shape[-1] <= 2
    t = low + (high - low) * np.linspace(0, 1, 2 if straight else _SAMPLES)
    t[:, -1:] = high
    y = np.zeros_like(t)
    with np.errstate(over="ignore", invalid="ignore"):
        for phi, p in parts.items():
            p = p.refined(points)
            h = t - p.anchors[rows, None]
            value = evaluate(p.coefficients[rows, None, :], h)
            y += value if phi is None else value * phi(t)
    y = np.where(np.isfinite(y), y, np.nan)
    before = np.r_[np.nan, y[:-1, -1]]
    near = abs(before - y[:, 0]) <= ROUNDING * (abs(before) + abs(y[:, 0]))
    return _gapped(t, near), _gapped(y, near)


def _gapped(rows: Array, joined: Mask | bool) -> Array:
    """One polyline of many, with a gap before each but those that are joined."""
    return np.c_[np.where(joined, rows[:, 0], np.nan), rows].ravel()


def _smooth(
    values: Callable[[Array], Array], f: Univariate, lower: float, upper: float
) -> tuple[Array, Array, Span]:
    """
    Values inside the domain, close together near its ends, and Tukey's fences around
    them if they go to infinity there.
    """
    low, high = (float(np.clip(end, lower, upper)) for end in f.ends)
    t = low + (high - low) * np.sin(np.linspace(0, np.pi / 2, 2 * _SAMPLES)) ** 2
    t[-1] = high
    y = values(t)
    finite = np.isfinite(y) & (low < high)
    span = _LINE
    if finite.any() and not finite[[0, -1]].all():
        q, r = np.quantile(y[finite], [0.25, 0.75])
        span = float(q - 1.5 * (r - q)), float(r + 1.5 * (r - q))
    return t, np.where(finite, y, np.nan), span
