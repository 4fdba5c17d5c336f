"""Rows of the test table: norms, cones and losses."""

from __future__ import annotations

from typing import Any

import numpy as np
from row import Row

from subgrad import (
    Ellipsoid,
    Indicator,
    LpBall,
    SecondOrderCone,
    TopKBall,
    berhu_loss,
    compose,
    elastic_net,
    k_support_norm,
    max_abs_affine,
    norm1,
    norm2,
    norm_inf,
    pnorm,
    quadratic_norm,
    squared_hinge_loss,
    squared_norm,
    variable,
)

x = variable(3)
A = np.array([[1.0, 2], [0, 1], [-1, 1]])
b = np.array([1.0, 0, 1])
P = np.array([[2.0, -1, 0], [-1, 2, -1], [0, -1, 2]])
ROOT = np.array([[1.0, 1, 0], [0, 0, 2]])
FLAT = ROOT.T @ ROOT

FUNCTIONS: list[Row] = [
    Row("pnorm", pnorm(3), 3),
    Row(
        "norms under a pnorm",
        compose(pnorm(1.5), norm1(x), norm2(x)),
        3,
        [[1, 0, 0], [0, 0.6, 0.8]],
        prox=False,
        conjugate=False,
    ),
    Row("k-support norm", k_support_norm(2), 3, [[3, 1, 1], [2, 1, 0]]),
    Row(
        "norms under a k-support norm",
        compose(k_support_norm(1), norm2(x), x[0]),
        3,
        prox=False,
        conjugate=False,
        twin=norm2(x) + norm1(x[:1]),
    ),
    Row(
        "quadratic norm, flat",
        quadratic_norm(FLAT),
        3,
        [[1, -1, 0]],
        twin=norm2(ROOT @ x),
        atom="quadratic_norm(P)",
    ),
    Row(
        "indicator of second-order cone",
        Indicator(SecondOrderCone(3)),
        3,
        [[0.6, 0.8, 1], [3, -4, 5], [0, 0, 2]],
    ),
    Row(
        "indicator of p-ball",
        Indicator(LpBall(2, 1.5)),
        2,
        [[-(0.5 ** (2 / 3)), 0.5 ** (2 / 3)], [0.2, 0.1]],
    ),
    Row(
        "indicator of top-k ball",
        Indicator(TopKBall(3, 2)),
        3,
        [[0.6, 0.8, 0.1], [0.6, 0.8, -0.6], [-(0.5**0.5), 0.5**0.5, 0.5**0.5]],
    ),
    Row(
        "elastic net",
        elastic_net(2.0, 0.25),
        2,
        twin=0.5 * norm1 + 0.75 * squared_norm,
        atom="elastic_net(alpha, l1_ratio)",
    ),
    Row("berhu", berhu_loss(0.5), 2, [[0.5, -0.5]], atom="berhu_loss(M)"),
    Row(
        "max |Ax - b|",
        max_abs_affine(A, b),
        2,
        [[-1, 1]],
        prox=False,
        twin=norm_inf(A @ variable(2) - b),
        atom="max_abs_affine(A, b)",
    ),
    Row("squared hinge", squared_hinge_loss, 2, atom="squared_hinge_loss"),
]

SETS: dict[str, Any] = {
    "p-ball": LpBall(3, 1.5, 2.0),
    "p-ball on the line": LpBall(1, 4),
    "ellipsoid": Ellipsoid([1.0, 0, 2], P),
    "flat ellipsoid": Ellipsoid([0.0, 1, 0], FLAT),
    "second-order cone": SecondOrderCone(3),
    "second-order cone in the plane": SecondOrderCone(2),
    "half-line by cone": SecondOrderCone(1),
    "half-line of a second-order cone": SecondOrderCone(3).exposed_face([0.6, 0.8, -1]),
    "top-k ball": TopKBall(3, 2, 1.5),
    "face of a top-k ball": TopKBall(3, 2).exposed_face([2.0, 1, 0]),
}
