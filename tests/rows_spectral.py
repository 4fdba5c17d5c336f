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
        atom="lambda_max",
    ),
    Row(
        "negative_log_det",
        log_det,
        4,
        kinks=[*kinks, 2 * one, [1.0, 0.5, -0.5, 1]],
        atom="negative_log_det",
    ),
    Row(
        "conjugate of negative_log_det",
        log_det.conjugate(),
        4,
        kinks=kinks,
        atom="SpectralFunction(f, n)",
    ),
    Row(
        "nuclear_norm",
        SingularFunction(sg.norm1, (2, 2)),
        4,
        kinks=kinks,
        twin=Support(SpectralBall((2, 2))),
        atom="nuclear_norm",
    ),
    Row(
        "spectral_norm of 1 x 3",
        SingularFunction(sg.norm_inf, (1, 3)),
        3,
        twin=sg.norm2,
        atom="spectral_norm",
    ),
    Row(
        "lambda_sum_largest",
        sg.lambda_sum_largest(1.5).at((2, 2)),
        4,
        kinks=kinks,
        twin=Support(Fantope(2, 1.5)),
        atom="lambda_sum_largest(k)",
    ),
    Row(
        "schatten_norm",
        sg.schatten_norm(3).at((2, 2)),
        4,
        kinks=kinks,
        twin=Support(SchattenBall((2, 2), 1.5)),
        atom="schatten_norm(p)",
    ),
    Row(
        "frobenius_norm",
        sg.frobenius_norm(sg.variable((2, 2))),
        4,
        kinks=kinks,
        atom="frobenius_norm",
    ),
    Row("trace", sg.trace.at((2, 2)), 4, atom="trace"),
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
