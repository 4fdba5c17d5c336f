"""Convex piecewise polynomials, and random functions that may be so."""

from __future__ import annotations

import numpy as np
import portion as P
import pytest

from subgrad.univariate.catalog import (
    dead_zone,
    huber,
    indicator,
    relu,
    t,
)
from subgrad.univariate.linear import PiecewiseLinear
from subgrad.univariate.operations import where
from subgrad.univariate.piecewise import Piecewise

inf = np.inf
plus = where(t > 0, t, 0)


def half_line(a: float) -> P.Interval:
    return P.closedopen(a, P.inf)


def other_half_line(a: float) -> P.Interval:
    return P.openclosed(-P.inf, a)


def random_convex(rng, quarters: bool) -> Piecewise:
    """
    A sum of Σ a |t - b| + Σ a max(±(t - b), 0)² + a t² + an affine function, perhaps on
    an interval; with numbers that are multiples of 1/4, or not.
    """

    def draw(n: int) -> list[float]:
        x = rng.integers(-12, 13, n) / 4 if quarters else 2 * rng.normal(size=n)
        return x.tolist()

    a, b = draw(2)
    f = a * t + b
    for _ in range(rng.integers(0, 4)):
        a, b = draw(2)
        f = f + (abs(a) + 0.25) * abs(t - b)
    for _ in range(rng.integers(0, 3)):
        a, b = draw(2)
        f = f + (abs(a) + 0.25) * where(t > b if a > 0 else t < b, (t - b) ** 2, 0)
    if rng.random() < 0.4:
        f = f + abs(draw(1)[0]) * t**2
    if rng.random() < 0.4:
        a, b = sorted(draw(2))
        kinds = P.closed(a, b + 0.5), half_line(a), other_half_line(b)
        f = f + indicator(kinds[rng.integers(0, 3)])
    return f


def random_any(rng, degree: int = 2) -> Piecewise:
    """With coefficients in multiples of 1/4: continuous or not, on a set or on R."""
    count = rng.integers(0, 5)
    points = np.sort(rng.choice(np.arange(-12, 13), count, replace=False)) / 4
    c = rng.integers(-8, 9, (count + 1, degree + 1)) / 4
    bend = rng.random()
    c[:, 2:] *= 0 if bend < 0.3 else 1
    c[:, 2] = abs(c[:, 2]) if bend < 0.6 else c[:, 2]
    if rng.random() < 0.3:
        # Convex more often: slopes rise from piece to piece.
        c[:, 1:2] = np.sort(c[:, 1:2], axis=0)
    if rng.random() < 0.7:
        for k in range(count):
            c[k + 1, 0] += (c[k] - c[k + 1]) @ points[k] ** np.arange(degree + 1)
    f = Piecewise(points, c.tolist())
    if rng.random() < 0.4:
        low, up = np.sort(rng.integers(-12, 13, 2)) / 4
        kinds = [P.closed(low, up), P.open(low, up + 1), half_line(low)]
        kinds += [other_half_line(up), P.closed(low, up) | P.closed(up + 1, up + 2)]
        f = f + indicator(kinds[rng.integers(0, 5)])
        if rng.random() < 0.3:
            f = f + where(P.singleton(low), float(rng.integers(-1, 2)), 0)
    return f


CONVEX = {
    "zero": 0 * t,
    "affine": 3 * t - 2,
    "absolute": abs(t),
    "relu": relu,
    "polyhedral": abs(t) + 2 * abs(t - 1) + indicator(P.closed(-2, 2)),
    "with rounding": 0.1 * abs(t - 0.3) + 0.7 * abs(t + 1 / 3) + 0.2 * t,
    "interval": indicator(P.closed(-1, 2)),
    "half line": indicator(half_line(0)),
    "other half line": indicator(other_half_line(1)) - 0.5 * t,
    "point": indicator(P.singleton(1)) - 3,
    "piecewise linear": PiecewiseLinear([-1, 0, 1], [-np.inf, -2, 1, 4], at=(0.5, 1)),
    "square": t**2,
    "moved square": 0.3 * (t - 0.7) ** 2 + 2,
    "square and absolute": t**2 + abs(t),
    "huber": huber(1.0),
    "huber 0.3": 3 * huber(0.3)(t - 1),
    "dead zone": dead_zone(0.5) ** 2,
    "dead zone and absolute": dead_zone(1) ** 2 + abs(t),
    "half a square": plus**2,
    "two squares": plus**2 + 3 * where(t < 0, t**2, 0),
    "square on an interval": t**2 + indicator(P.closed(-1, 2)),
    "square on a half line": (t - 1) ** 2 + indicator(half_line(1.5)),
    "maximum": where((t > -2) & (t < 1), 2 - t, t**2),
    "rising": where(t > 1, (t - 1) ** 2, 0) + t,
    "falling": where(t < 1, (t - 1) ** 2, 0) - t,
    "anchored": Piecewise(
        [1.0, 2.0], [[1, -1], [0, 0, 2], [2, 4]], anchors=[0.0, 1.0, 2.0]
    ),
    "curves and kinks": t**2 + 3 * abs(t + 1) + 5 * where(t > 1, (t - 1) ** 2, 0),
}
CONVEX |= {
    f"random {k}": random_convex(np.random.default_rng(k), k % 2 == 0)
    for k in range(14)
}
STEEP = {
    "quartic": t**4,
    "moved quartic": (t - 3) ** 4,
    "cubic": t**3 + indicator(half_line(0)),
    "bounded cubic": -(t**3) + indicator(P.closed(-1, 0)),
    "other bounded cubic": (2 - t) ** 3 + indicator(P.closed(1, 2)),
    "quartic and kinks": t**4 + abs(t - 0.5) + indicator(P.closed(-1.5, 2)),
    "quartic valley": where(abs(t) > 1, (abs(t) - 1) ** 4, 0),
    "quartic, then straight": where(t <= 1, t**4, 4 * t - 3),
    "cubic, square and line": Piecewise(
        [0.0, 1.0, 2.0], [[0, -1], [0, 0, 0, 1], [1, 3, 1], [5, 6]], None, [0, 0, 1, 2]
    ),
    "sextic": t**6 + t**2 - t,
}
EVERY = CONVEX | STEEP
# All kinks and ends with round numbers, their neighbours, and points far from all.
POINTS = np.unique(np.r_[np.arange(-14, 15) / 4, -0.3, 0.7, 1e-3, -1e-3, 9, -9])

every = pytest.mark.parametrize("f", EVERY.values(), ids=EVERY.keys())
every_convex = pytest.mark.parametrize("f", CONVEX.values(), ids=CONVEX.keys())
every_steep = pytest.mark.parametrize("f", STEEP.values(), ids=STEEP.keys())


def inside(f: Piecewise) -> np.ndarray:
    """Points of the domain, all breakpoints among them."""
    s = np.unique(np.r_[POINTS, f.breakpoints])
    return s[np.isfinite(f(s))]


def dense(f: Piecewise, *others: Piecewise) -> np.ndarray:
    """Points of the domain close to one another, and some that are far away."""
    far = np.geomspace(10, 1e6, 101)
    points = [g.breakpoints for g in (f, *others)]
    s = np.unique(np.r_[np.linspace(-10, 10, 2001), far, -far, *points])
    return s[np.isfinite(f(s))]


def anew(f: Piecewise) -> Piecewise:
    """The same function, knowing nothing of its past."""
    g = f._pieces
    return Piecewise._of(type(g)(g.points, g.coefficients, g.anchors, g.values))


def same(a, b, tol=1e-9):
    """Equal to the tolerance, infinite in the same places."""
    a, b = np.broadcast_arrays(a, b)
    finite = np.isfinite(a) & np.isfinite(b)
    assert np.array_equal(a[~finite], b[~finite])
    np.testing.assert_allclose(a[finite], b[finite], rtol=tol, atol=tol)


def alike(f: Piecewise, g: Piecewise, tol=1e-9):
    """Equal up to rounding, also of the ends of the domain."""
    same(f.ends, g.ends, tol)
    s = np.unique(np.r_[POINTS, f.breakpoints, g.breakpoints])
    low, up = f.ends
    s = s[(s > low + tol * abs(low)) & (s < up - tol * abs(up))]
    same(f(s), g(s), tol)
