"""The piecewise polynomials that the laws run over, and random ones."""

from __future__ import annotations

import numpy as np
import portion as P
import pytest

from subgrad.univariate.catalog import (
    absolute,
    clip,
    dead_zone,
    epsilon_insensitive,
    hard_sigmoid,
    hard_tanh,
    heaviside,
    hinge,
    huber,
    indicator,
    interval_indicator,
    leaky_relu,
    linear,
    pinball,
    ramp,
    relu,
    relu6,
    sign,
    steps,
    t,
)
from subgrad.univariate.operations import where
from subgrad.univariate.piecewise import Piecewise

inf, nan = np.inf, np.nan

# Breakpoints and coefficients are short binary fractions (but 1/6), so that values on
# the lattice of quarters are exact and ties are ties.
CATALOG = {
    "relu": relu,
    "leaky_relu": leaky_relu(0.125),
    "leaky_relu concave": leaky_relu(2),
    "relu6": relu6,
    "hard_tanh": hard_tanh,
    "hard_sigmoid": hard_sigmoid,
    "absolute": absolute,
    "sign": sign,
    "heaviside": heaviside,
    "ramp": ramp,
    "clip": clip(-1, 2),
    "clip to a point": clip(1, 1),
    "hinge": hinge,
    "pinball": pinball(0.75),
    "epsilon_insensitive": epsilon_insensitive(0.5),
    "huber": huber(0.5),
    "huber 0": huber(0),
    "dead_zone": dead_zone(0.5),
    "dead_zone 0": dead_zone(0),
    "interval_indicator": interval_indicator(-1, 2),
    "half line": interval_indicator(0, inf),
    "union indicator": indicator(P.closedopen(-2, -1) | P.singleton(0) | P.open(1, 3)),
    "square": t**2,
    "steps": steps(-2, 3),
    "linear": linear(-0.5),
}
ODD = {
    "zero": 0 * t,
    "one point": indicator(P.singleton(0.5)) + 2,
    "nowhere": indicator(P.empty()),
    "undefined": Piecewise([], [[nan]]),
    "minus infinity": Piecewise([], [[-inf]]),
    "coinciding": Piecewise([-1, 0, 0, 0, 1], [[1], [2, 1], [9], [8], [0, 0, 1], [3]]),
    "removable": Piecewise([0.5], [[1, 2], [1, 2]], values=[-1]),
    "above": Piecewise([0, 1], [[0], [0, 1], [1]], values=[2, 3]),
    "jumps": Piecewise([-1, 0, 2], [[0, -1], [2], [1, 1], [0, 0, 1]], [4, -1, 3.5]),
    "jumps, middle": Piecewise([-1, 1], [[0], [2, 1], [-1]], values=[0.5, 1]),
    "cubic": Piecewise([-1, 1], [[0, 1], [0, 0, 0, 1], [2, -1]]),
    "quartic": Piecewise([0], [[0, 0, -2, 0, 1], [0, 0, 1, 0.5]]),
    "quartic on two intervals": where(
        P.closed(-2, -1) | P.openclosed(0, 1.5), t**4 - 2 * t**2, inf
    ),
    "open interval": where(P.open(-1, 2), t**2 - t, inf),
    "raised ends": Piecewise([-1, 2], [[inf], [0, 1], [inf]], values=[3, 4]),
    "hole": Piecewise([0], [[0, 1], [0, 1]], values=[inf]),
    "undefined hole": Piecewise([0], [[0, 1], [0, -1]], values=[nan]),
    "isolated points": Piecewise([-1, 0, 1], [[inf]] * 4, values=[1, -2, 0]),
    "undefined left": Piecewise([0], [[nan], [1, 1]]),
    "minus infinity right": Piecewise([-1, 1], [[2], [0, 1], [-inf]], values=[1, -inf]),
    "three infinities": Piecewise([-1, 1], [[inf], [nan], [-inf]], values=[0, 1]),
    "anchored": Piecewise(
        [-1, 1.5], [[1, 2, 1], [0, -1, 1], [0.5, 0, 0.25]], anchors=[-2, 1, 3]
    ),
    "flat at a level": Piecewise([-1, 1], [[-1, -1], [0], [-1, 1]]),
}
PIECEWISE = CATALOG | ODD

every = pytest.mark.parametrize("f", PIECEWISE.values(), ids=PIECEWISE.keys())


def probes(*functions: Piecewise) -> np.ndarray:
    """The quarters, all breakpoints, one number in between each, and random ones."""
    rng = np.random.default_rng(0)
    points = np.unique(np.r_[tuple(f.breakpoints for f in functions)])
    middles = points[:-1] / 2 + points[1:] / 2
    lattice = np.arange(-16, 17) / 4
    return np.unique(np.r_[lattice, points, middles, rng.normal(size=20) * 3])


def random_piecewise(
    rng: np.random.Generator,
    *,
    continuous: bool = False,
    convex: bool = False,
    degree: int = 2,
    finite: bool = True,
) -> Piecewise:
    """
    A function with up to five breakpoints, among the quarters in [-2, 2].

    A continuous one has no jumps, a convex one is closed besides. Without `finite`
    there may be pieces where it is not finite, at the ends only if it is convex.
    """
    count = int(rng.integers(1, 6))
    points = np.sort(rng.choice(np.arange(-8, 9), count, replace=False)) / 4
    c = rng.integers(-4, 5, (count + 1, degree + 1)) / 2
    anchors = points[np.maximum(np.arange(count + 1) - 1, 0)]
    if convex:
        # Nonnegative multiples of |t - a|^j, which start where the last piece ends.
        c[:, 1:] = abs(c[:, 1:])
        c[0, 1:] *= (-1.0) ** np.arange(1, degree + 1)
    for k in range(1, count + 1):
        if continuous or convex:
            h = points[k - 1] - anchors[k - 1]
            ends = np.polynomial.Polynomial(c[k - 1])
            c[k, 0] = ends(h)
            if convex and degree:
                c[k, 1] += ends.deriv()(h)
    values = np.where(rng.random(count) < 0.5, c[1:, 0], rng.integers(-4, 5, count) / 2)
    if continuous or convex:
        values = c[1:, 0].copy()
    rows = c.tolist()
    if not finite:
        ends = np.isin(np.arange(count + 1), [0, count])
        special = (rng.random(count + 1) < 0.3) & (ends | (not convex))
        for k in np.flatnonzero(special):
            rows[k] = [inf if convex else rng.choice([inf, inf, -inf, nan])]
        values[rng.random(count) < (0.0 if convex else 0.1)] = inf
        if convex and count == 1 and special.all():
            values = c[1:, 0].copy()
    return Piecewise(points, rows, values, anchors)
