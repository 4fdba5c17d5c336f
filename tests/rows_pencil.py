"""Rows of the test table: the largest eigenvalue of a pencil, matrix fractions."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from row import Row

from subgrad import LambdaMaxPencil, MatrixParabola, SpectraplexImage, matrix_frac

A0 = np.diag([1.0, 1.0, 0.0])
AS = [
    np.array([[1.0, 2, 0], [2, -1, 0], [0, 0, 0]]),
    sp.csr_array([[0.0, 0, 1], [0, 0, 0], [1, 0, 1]]),
]
RING = np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]])

FUNCTIONS: list[Row] = [
    Row("pencil", LambdaMaxPencil(A0, AS), 2, prox=False, conjugate=False),
    Row(
        "pencil, diagonal",
        LambdaMaxPencil.diagonal(-RING),
        3,
        prox=False,
        conjugate=False,
    ),
    Row("square over linear", matrix_frac.at(1), 2, [[0, 2], [3, 2]]),
    Row(
        "matrix fraction",
        matrix_frac.at(2),
        6,
        [
            [1, 2, 2, 1, 0, 1],
            [0, 0, 0, 0, 0, 0],
            [0, 0, 1, 1, 1, 1],
            [2, 2, 1, 1, 1, 1],
            [3, 0, 1, 0, 0, 0],
        ],
    ),
]

E = np.eye(3)
SYMMETRIC = [E[[i]].T @ E[[j]] + E[[j]].T @ E[[i]] for i, j in ((0, 1), (0, 2), (2, 2))]
SETS: dict[str, Any] = {
    "image of a spectraplex": SpectraplexImage(SYMMETRIC),
    "matrix parabola": MatrixParabola(2),
    "parabola": MatrixParabola(1),
    "face of a matrix parabola": MatrixParabola(2).exposed_face([2.0, 2, 1, 1, 1, 1]),
    "numerical range": SpectraplexImage(AS, E[:, :2]),
}
