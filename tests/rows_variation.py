"""Rows of the test table: total variation and its relatives."""

from __future__ import annotations

from typing import Any

import numpy as np
from row import Row

from subgrad import (
    Interval,
    Tube,
    fused_lasso,
    graph_total_variation,
    norm1,
    total_variation,
    trend_filtering,
    tv,
    variable,
)

x = variable(4)
ends = Interval([-1.0, 0, 0.5], [2.0, 0, 1])

FUNCTIONS: list[Row] = [
    Row(
        "tv",
        tv.at((4,)),
        4,
        [[1, 1, 2, 2], [3, 1, 2, 0]],
        twin=norm1(np.diff(np.eye(4), axis=0) @ x),
    ),
    Row("tv of an image", tv.at((2, 2)), 4, [[1, 1, 2, 2]], prox=False),
    Row(
        "tv by axes",
        total_variation(isotropic=False).at((2, 2)),
        4,
        [[1, 1, 2, 2]],
        prox=False,
        twin=graph_total_variation([[0, 1], [2, 3], [0, 2], [1, 3]]),
    ),
    Row(
        "fused lasso",
        fused_lasso(0.5, 1.0).at((4,)),
        4,
        [[1, 1, 2, 2]],
        twin=0.5 * norm1(x) + norm1(x[1:] - x[:-1]),
    ),
    Row(
        "trend filtering",
        trend_filtering().at((4,)),
        4,
        [[1, 2, 3, 3], [0, 1, 2, 3]],
        prox=False,
        twin=norm1(np.diff(np.eye(4), n=2, axis=0) @ x),
    ),
    Row(
        "graph total variation",
        graph_total_variation([[0, 1], [1, 2], [2, 0]], [1.0, 2.0, 0.5]),
        3,
        [[1, 1, 2]],
        prox=False,
    ),
]

SETS: dict[str, Any] = {"tube": Tube(ends)}
