"""Rows of the test table: perspectives, infimal convolutions, data."""

from __future__ import annotations

from typing import Any

import numpy as np
from row import Row

import subgrad as sg
from subgrad import (
    Epigraph,
    Hypograph,
    Indicator,
    InfimalConvolution,
    Intersection,
    Perspective,
    Simplex,
    Support,
    separable,
)

x2, x3 = sg.variable(2), sg.variable(3)
M, E = np.array([[1.0, 2], [0, 1], [1, -1]]), np.array([[1.0, 0], [0, 2.0]])
cube = sg.Box(sg.Interval([-1.0, -1], [1.0, 1]))
half_line = Indicator(sg.Box(sg.Interval([0.0], [np.inf])))


def several_slopes(y: np.ndarray) -> bool:
    """On s = 0, where one coordinate of x is 0 and the other is not."""
    return bool(y[2] == 0 and (y[:2] == 0).sum() == 1)


FUNCTIONS: list[Row] = [
    Row("quad over lin", sg.quad_over_lin, 2, [[2, 0.5]]),
    Row(
        "perspective of a square",
        Perspective(sg.Quadratic([[2.0]])),
        2,
        twin=sg.quad_over_lin,
    ),
    Row(
        "perspective of huber",
        Perspective(separable(sg.huber(1.0))),
        3,
        [[2, 0.5, 1], [1, -2, 0]],
        inexact=several_slopes,
    ),
    Row(
        "perspective of norm1",
        Perspective(sg.norm1),
        3,
        twin=sg.stack(sg.norm1(x2), half_line),
    ),
    Row(
        "perspective of exp",
        Perspective(separable(sg.exponential(sg.t / 10))),
        2,
        [[-2, 0]],
    ),
    Row(
        "perspective of a ball",
        Perspective(Indicator(sg.Ball([0.0, 0]))),
        3,
        [[0.6, 0.8, 1], [0.1, 0.2, 1]],
    ),
    Row(
        "convex interpolation",
        sg.convex_interpolation([[-1.0, 0], [1, -1], [1, 1], [0, 0]], [1.0, 2, 0, -1]),
        2,
        [[-1, 0], [0.2, 0.1], [0.5, 0]],
        prox=False,
    ),
    Row(
        "interpolation on a segment",
        sg.convex_interpolation([[0.0, 0], [1, 1], [-1, -1]], [0.0, 2, 1]),
        2,
        prox=False,
    ),
    Row("zonotope's support", sg.norm1(M @ x2), 2, prox=False),
    Row("squared distance to a set", sg.squared_distance(sg.Simplex(2)), 2),
    Row(
        "parallel sum",
        sg.infimal_convolution(sg.Quadratic([[2.0, 1], [1, 1]]), sg.Quadratic(E)),
        2,
        twin=sg.Quadratic([[0.625, 0.25], [0.25, 0.5]]),
    ),
    Row(
        "infimal convolution",
        sg.infimal_convolution(separable(sg.t**2), separable(abs(sg.t))),
        2,
        [[0.5, -0.5]],
        twin=sg.huber_loss(0.5),
        atom="infimal_convolution(f, g)",
    ),
    Row(
        "infimal convolution of norms",
        InfimalConvolution(1.2 * sg.norm1, 2.0 * sg.norm2),
        2,
        [[0, 2.0], [3, 1], [1.2, 0.4]],
        twin=Support(sg.intersection(1.2 * cube, sg.Ball([0.0, 0], 2.0))),
    ),
    Row(
        "infimal convolution with the largest entry",
        InfimalConvolution(1.5 * sg.norm_inf, sg.norm2),
        2,
        [[2, 1.0]],
    ),
]

SETS: dict[str, Any] = {
    "epigraph of a square": Epigraph(sg.squared_norm(x2)),
    "epigraph of norm1": Epigraph(sg.norm1(x2)),
    "hypograph of huber": Hypograph(separable(sg.huber(1.0), [1.0, 2.0])),
    "box in a ball": Intersection(
        sg.Box(sg.Interval([-1.0, -0.5], [1.0, 1])), sg.Ball([0.2, 0.3], 1.1)
    ),
    "two balls": Intersection(sg.Ball([0.0, 0]), sg.Ball([1.0, 0.2], 0.8)),
    "half-space and simplex": Intersection(sg.HalfSpace([1.0, 2], 1.5), Simplex(2)),
    "wedge": Intersection(sg.HalfSpace([1.0, 2], 0.8), sg.HalfSpace([1.0, -1], 0.8)),
}
