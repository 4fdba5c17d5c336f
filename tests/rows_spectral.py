"""Rows of the test table: functions of eigenvalues and singular values."""

from __future__ import annotations

from typing import Any

import numpy as np
from row import Row

import subgrad as sg
from subgrad import (
    Fantope,
    NuclearBall,
    PSDCone,
    SchattenBall,
    SingularFunction,
    SpectralBall,
    SpectralFunction,
    SpectralSet,
    Spectraplex,
    Support,
    SymmetricSpectralBall,
)

one, corner = np.eye(2).ravel(), np.diag([1.0, 0.0]).ravel()
turn = np.array([[0.6, -0.8], [0.8, 0.6]])
kinks = [one, -one, corner, (turn @ np.diag([1.0, 0.0]) @ turn.T).ravel()]
log_det = SpectralFunction(sg.separable(sg.negative_log), 2)

FUNCTIONS: list[Row] = [
    Row(
        "lambda_max",
        SpectralFunction(sg.max_entry, 2),
        4,
        kinks=kinks,
        twin=Support(Spectraplex(2)),
    ),
    Row("negative_log_det", log_det, 4, kinks=[*kinks, 2 * one, [1.0, 0.5, -0.5, 1]]),
    Row("conjugate of negative_log_det", log_det.conjugate(), 4, kinks=kinks),
    Row(
        "nuclear_norm",
        SingularFunction(sg.norm1, (2, 2)),
        4,
        kinks=kinks,
        twin=Support(SpectralBall((2, 2))),
    ),
    Row(
        "spectral_norm of 1 x 3",
        SingularFunction(sg.norm_inf, (1, 3)),
        3,
        twin=sg.norm2,
    ),
]

SETS: dict[str, Any] = {
    "spectraplex": Spectraplex(2, 2.0),
    "fantope": Fantope(2, 1.5),
    "symmetric spectral ball": SymmetricSpectralBall(2, 1.5),
    "semidefinite cone": PSDCone(2),
    "spectral ball": SpectralBall((2, 1), 0.5),
    "nuclear ball": NuclearBall((2, 2), 1.5),
    "Schatten ball": SchattenBall((2, 2), 1.5),
    "face of a nuclear ball": SpectralSet(sg.CrossPolytope(2), (2, 2)).exposed_face(
        one
    ),
    "face of a spectral ball": SpectralSet.exposed_face(SpectralBall((2, 2)), corner),
}
