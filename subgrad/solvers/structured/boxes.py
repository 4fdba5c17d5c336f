r"""Atoms of the line as sums of those whose multipliers lie in an interval.

.. math:: h(z) = \text{const} + \sum_k \max_{l_k \le y \le u_k}
   y (z - t_k) - \tfrac12 p_k y^2

for a convex h of pieces of degree at most 2: every kink, and every piece with p = 1 /
h'' > 0, is one interval of slopes, which is as long as the slope grows there. The
multiplier of h is the sum of the y.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad.core import Function
from subgrad.functions.indicator import Indicator
from subgrad.functions.quadratic import SquaredNorm
from subgrad.functions.separable import Separable
from subgrad.functions.support import Support
from subgrad.sets.box import Box
from subgrad.solvers.structured.terms import unscaled
from subgrad.univariate.linear import PiecewiseLinear
from subgrad.univariate.piecewise import Piecewise
from subgrad.univariate.smooth import Square


@dataclass(frozen=True, eq=False)
class Boxes:
    """b = -t, p, low and high of shape (..., M); row (M,) tells the coordinate of z.

    `start` (2, M) are ends between which y begins, if not between its own.
    """

    b: Array
    p: Array
    low: Array
    high: Array
    row: Any = None
    start: Any = None


def boxes(h: Function, m: int) -> Boxes | None:
    """Those of h, a function of m arguments; None if it is no such sum."""
    a, g = unscaled(h)
    if isinstance(g, SquaredNorm):
        return _stacked([(-np.inf, np.inf, 0.0, 1 / (a * float(g.c)))], np.ones(m))
    if isinstance(g, Support | Indicator):
        S: Any = g._body(m)
        if not isinstance(S, Box) or S.batch:
            return None
        low, up = (np.broadcast_to(e, (m,)) for e in (S.lower, S.upper))
        zero = np.zeros(m)
        if isinstance(g, Support):
            return Boxes(zero, zero, a * low, a * up, np.arange(m))
        return _within(low, up)
    if not isinstance(g, Separable) or g.phi.batch:
        return None
    w = np.full(m, a) if g.weights is None else a * g.weights
    pieces = _pieces(g.phi)
    if pieces is None or w.shape != (m,):
        return None
    return _stacked(pieces, w)


def _within(low: Array, up: Array) -> Boxes:
    """Of the indicator of a box: y <= 0 with t = low, y >= 0 with t = up."""
    equal = low == up
    parts = []
    for end, on, ends in (
        (low, equal, (-np.inf, np.inf)),
        (low, ~equal & np.isfinite(low), (-np.inf, 0.0)),
        (up, ~equal & np.isfinite(up), (0.0, np.inf)),
    ):
        row = np.flatnonzero(on)
        parts.append((row, end[row], *(np.full(len(row), e) for e in ends)))
    row, t, below, above = (np.concatenate(p) for p in zip(*parts, strict=True))
    return Boxes(-t, np.zeros(len(t)), below, above, row)


def _stacked(pieces: list[tuple[float, float, float, float]], w: Array) -> Boxes:
    """(low, high, t, p) of φ, for the functions w_i φ."""
    low, high, t, p = (np.array(a)[:, None] for a in zip(*pieces, strict=True))
    inside = np.where(w > 0, w, 1.0)
    with np.errstate(invalid="ignore"):
        low, high = (np.where(np.isinf(e), e, w * e) for e in (low, high))
    b, p = np.broadcast_arrays(-t, p / inside)
    row = np.tile(np.arange(len(w)), len(b))
    return Boxes(b.ravel(), p.ravel(), low.ravel(), high.ravel(), row)


def _pieces(phi: Any) -> list[tuple[float, float, float, float]] | None:
    """(low, high, t, p) of φ on the line; None if it has others."""
    if isinstance(phi, Square):
        return [(-np.inf, np.inf, 0.0, 1.0)]
    if isinstance(phi, PiecewiseLinear):
        points, slopes = phi.breakpoints, phi.slopes
        left, right = slopes[:-1], slopes[1:]
        bend = np.zeros(len(slopes))
    elif isinstance(phi, Piecewise) and phi.degree <= 2:
        points = phi.breakpoints
        c = np.pad(phi.coefficients, ((0, 0), (0, 2 - phi.degree)))
        slopes = np.where(np.isfinite(c[:, 0]), c[:, 1], np.nan)
        bend = np.where(np.isfinite(c[:, 0]), 2 * c[:, 2], 0.0)
        slopes[0] = -np.inf if np.isnan(slopes[0]) else slopes[0]
        slopes[-1] = np.inf if np.isnan(slopes[-1]) else slopes[-1]
        left = slopes[:-1] + bend[:-1] * (points - phi.anchors[:-1])
        right = slopes[1:] + bend[1:] * (points - phi.anchors[1:])
        if not len(points):
            slopes = slopes - bend * phi.anchors
    else:
        return None
    found = []
    if not len(points):
        if bend[0] == 0:
            return [(slopes[0], slopes[0], 0.0, 0.0)]
        return [(-np.inf, np.inf, -slopes[0] / bend[0], 1 / bend[0])]
    if bend[0] > 0:
        found.append((-np.inf, left[0], points[0], 1 / bend[0]))
    for k, t in enumerate(points):
        jump = right[k] - left[k]
        if jump == np.inf or jump > 1e-14 * (abs(left[k]) + abs(right[k])):
            found.append((left[k], right[k], t, 0.0))
        if bend[k + 1] > 0:
            end = left[k + 1] if k + 1 < len(points) else np.inf
            found.append((right[k], end, t, 1 / bend[k + 1]))
    return _from_zero(found or [(left[0], left[0], 0.0, 0.0)])


def _from_zero(found: list[Any]) -> list[tuple[float, float, float, float]]:
    """Intervals of slopes as intervals of y that add up to the slope.

    With slopes from g on, at which h' = g in t, it is y (z - t) - p y²/2 for y = slope
    - g; the slope at which all begins goes to the first.
    """
    low, high, t, p = found[0]
    start = high if np.isinf(low) else low
    if np.isinf(start):
        out = [(low, high, t, p)]
    else:
        out = [(low, high, t - p * start, p)]
    return out + [(0.0, high - low, t, p) for low, high, t, p in found[1:]]
