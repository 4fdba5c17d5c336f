"""Rows of the test table: functions of the sorted entries."""

from __future__ import annotations

from typing import Any

import numpy as np
from row import Row

from subgrad import (
    Indicator,
    IsotonicCone,
    MaxAffine,
    Permutahedron,
    SignedPermutahedron,
    Support,
    cvar,
    norm1,
    norm_inf,
    ordered_sum,
    owl,
    ptp,
    spectral_risk,
    sum_largest,
)

DIFFERENCES = np.array([p - q for p in np.eye(3) for q in np.eye(3)])

FUNCTIONS: list[Row] = [
    Row("owl", owl([3.0, 1, 1]), 3, [[2, -2, 1]], twin=2 * norm_inf + norm1),
    Row("owl with weight 0", owl([2.0, 1.5, 0]), 3, [[0.5, 0.2, -0.2]]),
    Row(
        "ordered sum",
        ordered_sum([2.0, -1, 0.5]),
        3,
        [[2, 2, 1]],
        twin=Support(Permutahedron([-1.0, 0.5, 2])),
    ),
    Row("ptp", ptp, 3, twin=MaxAffine(DIFFERENCES)),
    Row("cvar", cvar(0.5), 3, twin=sum_largest(1.5) / 1.5),
    Row("cvar, probabilities", cvar(0.6, [0.5, 0.3, 0.2]), 3, [[2, 1, 1]]),
    Row("spectral risk", spectral_risk(np.sqrt), 3),
    Row(
        "indicator of monotone vectors",
        Indicator(IsotonicCone(3)),
        3,
        [[1, 1, 2], [0.5, 1, 2]],
    ),
]

SETS: dict[str, Any] = {
    "permutahedron": Permutahedron([2.0, 0, 1, 1]),
    "face of a permutahedron": Permutahedron([3.0, 2, 1]).exposed_face([1.0, 0, 1]),
    "signed permutahedron": SignedPermutahedron([2.0, 1, 0.5]),
    "face of a signed permutahedron": SignedPermutahedron([3.0, 2, 1]).exposed_face(
        [0.0, -1, 0]
    ),
    "permutahedron on the line": SignedPermutahedron([1.5]),
    "isotonic cone": IsotonicCone(3),
    "face of an isotonic cone": IsotonicCone(3, increasing=False).exposed_face(
        [-1.0, 1, 0]
    ),
}
