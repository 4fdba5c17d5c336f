"""Rows of the test table: entropies, log-sum-exp and means."""

from __future__ import annotations

from typing import Any

import numpy as np
from row import Row

from subgrad import (
    AffineSubspace,
    ExponentialCone,
    ExponentialHypograph,
    GeometricLevelSet,
    HarmonicLevelSet,
    Indicator,
    Linear,
    LogSumExp,
    SimplexEntropy,
    entropy,
    joint_relative_entropy,
    log_sum_exp,
    negative_geo_mean,
    negative_harmonic_mean,
    separable,
    variable,
)

x = variable(3)
prior = np.array([0.2, 1.0, 3.0])
plane = Indicator(AffineSubspace.solve([[1.0, 1, 1]], [1.0]))
inner = [[0.2, 0.3, 0.5], [0.5, 0.5, 0], [0.1, 0.1, 0.8]]
positive = [[0.5, 2, 1], [0, 0.5, 0], [0, 1.5, 1]]

FUNCTIONS: list[Row] = [
    Row("log_sum_exp", log_sum_exp, 3),
    Row("soft maximum", LogSumExp(prior, 0.3), 3, atom="soft_maximum(mu)"),
    Row(
        "simplex entropy",
        SimplexEntropy(),
        3,
        inner,
        twin=separable(entropy)(x) + plane,
        atom="negative_entropy",
    ),
    Row(
        "relative entropy",
        SimplexEntropy(prior, mu=2.0),
        3,
        inner,
        twin=2.0 * (separable(entropy)(x) + plane + Linear(-np.log(prior))),
    ),
    Row("simplex entropy on the line", SimplexEntropy(n=1), 1, atom="negative_entropy"),
    Row("negative geometric mean", negative_geo_mean([2.0, 1, 3]), 3, positive),
    Row("negative geometric mean of one", negative_geo_mean(), 1, [[2.0]]),
    Row("negative harmonic mean", negative_harmonic_mean, 3, positive),
    Row(
        "joint relative entropy",
        joint_relative_entropy,
        4,
        [[0, 2, 0, 3], [0.5, 2, 1, 0.3], [0, 0, 1, 0], [2, 0, 1, 0]],
    ),
]

SETS: dict[str, Any] = {
    "geometric level set": GeometricLevelSet([2.0, 1]),
    "geometric level set on the line": GeometricLevelSet([1.0]),
    "harmonic level set": HarmonicLevelSet([1.0, 2, 1]),
    "exponential cone": ExponentialCone(),
    "polar of exponential cone": ExponentialCone().normal_cone(np.zeros(3)),
    "exponential hypograph": ExponentialHypograph(1),
    "exponential hypograph, a face": ExponentialHypograph(1).exposed_face([2.0, 1]),
}
