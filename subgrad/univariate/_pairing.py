"""Integrals of piecewise polynomials against test functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ._coefficients import evaluate
from ._polynomials import Pieces
from .bump import TestFunction
from .piecewise import Piecewise


def regular(
    parts: Mapping[TestFunction | None, Pieces], phi: Any
) -> tuple[float, float]:
    """sum ∫ p φ_i φ dx over the parts, and an estimate of the error."""
    total, error = 0.0, 0.0
    for factor, p in parts.items():
        weight = phi if factor is None else _product(factor, phi)
        if isinstance(weight, Piecewise):
            total += _exact(p.times(weight._pieces), weight)
            continue
        for low, high, k in _intervals(p, weight):
            value, gap = _quadrature(p, k, weight, low, high)
            total, error = total + value, error + gap
    return total, error


def _product(factor: TestFunction, phi: Any) -> Any:
    if isinstance(phi, TestFunction):
        return factor * phi
    if not callable(phi):
        raise TypeError(f"phi must be a function, got {type(phi).__name__}")
    return _Weight(factor, phi)


class _Weight:
    """A product of a test function and any other, with the support of the first."""

    def __init__(self, factor: TestFunction, phi: Callable[[Any], Any]) -> None:
        self.factor, self.phi = factor, phi
        self.ends, self.nodes = factor.ends, factor.nodes

    def __call__(self, x: Any) -> Any:
        return self.factor(x) * self.phi(x)


def _exact(p: Pieces, weight: Piecewise) -> float:
    """∫ p dx over the line, 0 where the weight is."""
    g = weight._pieces.refined(p.points)
    zero = ~np.any(g.coefficients, axis=-1)
    k = np.searchsorted(g.points, np.r_[-np.inf, p.points], "right")
    p = Pieces(
        p.points, np.where(zero[k, None], 0.0, p.coefficients), p.anchors, p.values
    )
    if not np.all(p.finite):
        raise ValueError("phi must be 0 outside the domain of the distribution")
    if np.any(p.coefficients[[0, -1]]):
        raise ValueError("the integral diverges, as phi is not 0 far out")
    total = p.integral()
    if not total.points.size:
        return 0.0
    return float(evaluate(total.coefficients[-1], total.points[-1] - total.anchors[-1]))


def _intervals(p: Pieces, weight: Any) -> Iterator[tuple[float, float, int]]:
    """The intervals on which both are tame, with the number of the piece of p."""
    low, high = getattr(weight, "ends", (-np.inf, np.inf))
    nodes = np.asarray(getattr(weight, "nodes", np.zeros(0)), float)
    cuts = np.union1d(p.points, nodes)
    cuts = np.r_[low, cuts[(cuts > low) & (cuts < high)], high]
    for a, b in zip(cuts[:-1], cuts[1:], strict=True):
        k = int(np.searchsorted(p.points, a, "right"))
        if a < b and np.any(p.coefficients[k]):
            yield float(a), float(b), k


def _quadrature(
    p: Pieces, k: int, weight: Any, low: float, high: float
) -> tuple[float, float]:
    from scipy.integrate import quad

    if not p.finite[k]:
        raise ValueError(
            "the support of phi must be in the closure of the domain of the "
            f"distribution, but it meets ({low}, {high})"
        )
    c, anchor = p.coefficients[k], p.anchors[k]
    if np.isinf(low) or np.isinf(high):
        # Beyond the outermost nodes a test function underflows to 0.
        if isinstance(weight, TestFunction | _Weight):
            return 0.0, 0.0
    found = quad(
        lambda x: float(evaluate(c, np.asarray(x - anchor)) * weight(x)),
        low,
        high,
        epsabs=1e-13,
        epsrel=1e-12,
    )
    return found[0], found[1]
