"""The univariate functions that have a name."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._check import nonnegative, real
from .linear import PiecewiseLinear
from .smooth import Entropy, Exponential, NegativeSqrt, Square

absolute = PiecewiseLinear([0], [-1, 1])
relu = PiecewiseLinear([0], [0, 1])
hinge = PiecewiseLinear([1], [-1, 0], at=(1, 0))


def pinball(tau: Any) -> PiecewiseLinear:
    """τ max(t, 0) + (1 - τ) max(-t, 0), τ in [0, 1], the loss of the τ-quantile."""
    tau = nonnegative("tau", tau)
    if tau.size and tau.max() > 1:
        raise ValueError(f"tau must lie in [0, 1], got {tau.max()}")
    return PiecewiseLinear([0], np.stack([tau - 1, tau], -1))


def epsilon_insensitive(eps: Any) -> PiecewiseLinear:
    """max(|t| - ε, 0), ε >= 0."""
    eps = nonnegative("eps", eps)
    return PiecewiseLinear(np.stack([-eps, eps], -1), [-1, 0, 1])


def interval_indicator(lower: Any, upper: Any) -> PiecewiseLinear:
    """0 on [lower, upper], +inf elsewhere; infinite ends are so for a whole batch."""
    low, high = np.broadcast_arrays(
        real("lower", lower, infinite=True), real("upper", upper, infinite=True)
    )
    if np.any(low > high) or np.any(low == np.inf) or np.any(high == -np.inf):
        raise ValueError(
            "some number must lie between lower and upper, got "
            f"lower = {lower} and upper = {upper}"
        )
    finite = [np.isfinite(low), np.isfinite(high)]
    for name, mask in zip(("lower", "upper"), finite, strict=True):
        if mask.any() and not mask.all():
            raise ValueError(f"{name} must be infinite for the whole batch or for none")
    has = [bool(mask.any()) for mask in finite]
    points = [end for end, there in zip((low, high), has, strict=True) if there]
    slopes = [-np.inf] * has[0] + [0.0] + [np.inf] * has[1]
    if not points:
        return PiecewiseLinear([], [0])
    return PiecewiseLinear(np.stack(points, -1), slopes, at=(points[0], 0))


def linear(slope: Any) -> PiecewiseLinear:
    """slope * t."""
    return PiecewiseLinear([], real("slope", slope)[..., None])


square = Square()
entropy = Entropy()
exponential = Exponential()
negative_sqrt = NegativeSqrt()
