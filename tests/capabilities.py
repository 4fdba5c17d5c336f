"""The capability table of README.md, found by trying every row of the test table.

Run: python tests/capabilities.py rewrites the part of README.md between the markers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cvxpy as cp
import numpy as np
from table import FUNCTIONS, SETS, Row

import subgrad as sg

# What a user writes for an atom, where that is not the name of its class.
SPELLED = {
    "BlockComposition": "block_compose(H, h)",
    "BlockSum": "block_sum(h)",
    "CVaR": "cvar(beta)",
    "Composition": "compose(h, f, ...)",
    "ConvexInterpolation": "convex_interpolation(points, values)",
    "Distance": "distance(S)",
    "FusedLasso": "fused_lasso(l1, l2)",
    "GraphTotalVariation": "graph_total_variation(edges)",
    "GroupNorm": "group_norm(groups)",
    "Indicator": "Indicator(S)",
    "JointRelativeEntropy": "joint_relative_entropy",
    "KSupportNorm": "k_support_norm(k)",
    "LambdaMaxPencil": "LambdaMaxPencil(A0, As)",
    "Linear": "Linear(c)",
    "LogSumExp": "log_sum_exp",
    "MatrixFrac": "matrix_frac",
    "MaxAffine": "MaxAffine(A, b)",
    "MaxEntry": "max_entry",
    "Maximum": "maximum(f, g, ...)",
    "MoreauEnvelope": "moreau_envelope(f, t)",
    "NegativeGeometricMean": "negative_geo_mean(p)",
    "NegativeHarmonicMean": "negative_harmonic_mean",
    "Norm1": "norm1",
    "Norm2": "norm2",
    "NormInf": "norm_inf",
    "OWL": "owl(weights)",
    "OrderedSum": "ordered_sum(weights)",
    "PNorm": "pnorm(p)",
    "PeakToPeak": "ptp",
    "Perspective": "perspective(f)",
    "Precomposed": "f(A @ x + b)",
    "QuadOverLin": "quad_over_lin",
    "Quadratic": "Quadratic(P)",
    "Scaled": "a * f",
    "Separable": "separable(phi, weights)",
    "SimplexEntropy": "relative_entropy(q)",
    "SpectralRisk": "spectral_risk(weights)",
    "SquaredNorm": "squared_norm",
    "Stacked": "stack(f, g, ...)",
    "Sum": "f + g",
    "SumLargest": "sum_largest(k)",
    "Support": "Support(S)",
    "TotalVariation": "total_variation()",
    "TrendFiltering": "trend_filtering(order)",
}
CALCULUS = {
    *("Affine", "BlockComposition", "BlockSum", "Composition", "Maximum"),
    *("MoreauEnvelope", "Perspective", "Precomposed", "Scaled", "Stacked", "Sum"),
}

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- capabilities: begin -->\n", "<!-- capabilities: end -->\n"


def inside(row: Row) -> np.ndarray:
    """Points of the domain, one for each place of the table."""
    x = row.points()
    return x[np.isfinite(row.f.value(x))]


def fits(got: Any, shape: tuple[int, ...]) -> bool:
    return np.shape(got) == shape and not np.isnan(got).any()


def directional(row: Row, x: np.ndarray) -> bool:
    return fits(row.f.directional_derivative(x, np.ones(row.n)), (len(x),))


def prox_jacobian(row: Row, x: np.ndarray) -> bool:
    ones = np.ones(row.n)
    return all(fits(row.f.prox_jacobian(p).apply(ones), (row.n,)) for p in x[:4])


def batch(row: Row, x: np.ndarray) -> bool:
    pair = np.stack([x, x[::-1]])
    h = row.f.subdifferential(pair).support(np.ones(row.n))
    return fits(row.f.value(pair), (2, len(x))) and fits(h, (2, len(x)))


def function_in_cvxpy(row: Row, x: np.ndarray) -> bool:
    return cp.Minimize(cp.sum(row.f.to_cvxpy(cp.Variable(row.n)))).is_dcp()


def face(S: sg.Set, y: np.ndarray) -> bool:
    bounded = y[np.isfinite(S.support(y))]
    return all(fits(S.exposed_face(d).support(d), ()) for d in bounded)


def projection_jacobian(S: sg.Set, y: np.ndarray) -> bool:
    each = [S._project_jacobian(p) for p in y] if S.project(y).size else []
    return all(fits(J.apply(y[0]), (S.dim,)) for J in each)


def normal_cone(S: sg.Set, y: np.ndarray) -> bool:
    zero = np.zeros(S.dim)
    return all(fits(S.normal_cone(p).contains(zero), ()) for p in S.project(y))


def set_in_cvxpy(S: sg.Set, y: np.ndarray) -> bool:
    return all(c.is_dcp() for c in S.to_cvxpy(cp.Variable(S.dim)))


ATOM: dict[str, Callable[[Any, np.ndarray], bool]] = {
    "value": lambda row, x: fits(row.f.value(x), (len(x),)),
    "∂f": lambda row, x: fits(row.f.subdifferential(x[0]).support(np.ones(row.n)), ()),
    "f'(x; d)": directional,
    "prox": lambda row, x: fits(row.f.prox(x), x.shape),
    "prox Jacobian": prox_jacobian,
    "conjugate": lambda row, x: fits(row.f.conjugate().value(x), (len(x),)),
    "cvxpy": function_in_cvxpy,
    "batch": batch,
}
SET: dict[str, Callable[[Any, np.ndarray], bool]] = {
    "support": lambda S, y: fits(S.support(y), (len(y),)),
    "face": face,
    "projection": lambda S, y: fits(S.project(y), y.shape),
    "its Jacobian": projection_jacobian,
    "normal cone": normal_cone,
    "cvxpy": set_in_cvxpy,
}


def tried(capability: Callable[[Any, Any], bool], item: Any, x: np.ndarray) -> bool:
    """Whether it works. cvxpy answers what breaks its rules with a ValueError."""
    try:
        return capability(item, x)
    except (NotImplementedError, ValueError):
        return False


def sign(answers: list[bool]) -> str:
    if all(answers):
        return "✓"
    return "(✓)" if any(answers) else "–"


def lines(
    title: str, found: dict[str, list[tuple[Any, np.ndarray]]], columns: dict[str, Any]
) -> list[str]:
    out = [
        f"| {title} | {' | '.join(columns)} |",
        f"|---|{':-:|' * len(columns)}",
    ]
    for name, items in sorted(found.items(), key=lambda pair: pair[0].lower()):
        cells = [
            sign([tried(ask, item, x) for item, x in items]) for ask in columns.values()
        ]
        out.append(f"| `{name}` | {' | '.join(cells)} |")
    return out


def functions(calculus: bool) -> dict[str, list[tuple[Any, np.ndarray]]]:
    found: dict[str, list[tuple[Any, np.ndarray]]] = {}
    for row in FUNCTIONS:
        kind = (row.cls or type(row.f)).__name__
        if (kind in CALCULUS and not row.atom) == calculus:
            name = row.atom or SPELLED.get(kind, kind)
            found.setdefault(name, []).append((row, inside(row)))
    return found


def sets() -> dict[str, list[tuple[Any, np.ndarray]]]:
    found: dict[str, list[tuple[Any, np.ndarray]]] = {}
    for S in SETS.values():
        # The empty set has no point to project onto, so nothing of it is tried there.
        y = 2 * np.concatenate([np.eye(S.dim), -np.eye(S.dim)])
        y = y if S.nonempty else y[:0]
        found.setdefault(type(S).__name__, []).append((S, y))
    return found


def table() -> str:
    """What stands between the markers."""
    atoms = lines("atom", functions(calculus=False), ATOM)
    calculus = lines("calculus", functions(calculus=True), ATOM)
    return "\n".join([*atoms, "", *calculus, "", *lines("set", sets(), SET)]) + "\n"


def parts(text: str) -> tuple[str, str, str]:
    """README before, between and after the markers, which belong to the outer parts."""
    head, rest = text.split(BEGIN)
    middle, tail = rest.split(END)
    return head + BEGIN, middle, END + tail


def main() -> int:
    head, _, tail = parts(README.read_text(encoding="utf-8"))
    README.write_text(head + table() + tail, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
