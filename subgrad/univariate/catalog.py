"""The univariate functions that have a name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .._check import nonnegative, positive, real
from ._border import number
from .convex import Univariate
from .hyperbola import PseudoHuber
from .linear import PiecewiseLinear
from .logarithm import BinaryEntropy, Logistic, NegativeLog
from .operations import where
from .piecewise import Piecewise, identity
from .powers import DecreasingPower, PositivePartPower, Power
from .smooth import Entropy, Exponential, InverseNegative, NegativeSqrt, Square
from .transformed import transformed

if TYPE_CHECKING:
    import portion

t = identity
absolute = PiecewiseLinear([0], [-1, 1])
relu = PiecewiseLinear([0], [0, 1])
hinge = PiecewiseLinear([1], [-1, 0], at=(1, 0))
relu6 = Piecewise([0, 6], [[0], [0, 1], [6]])
hard_tanh = Piecewise([-1, 1], [[-1], [0, 1], [1]])
hard_sigmoid = Piecewise([-3, 3], [[0], [0.5, 1 / 6], [1]])
ramp = Piecewise([0, 1], [[0], [0, 1], [1]])
sign = Piecewise([0], [[-1], [1]], values=[0])
heaviside = Piecewise([0], [[0], [1]], values=[0.5])


def leaky_relu(slope: float = 0.01) -> Piecewise:
    """t for t >= 0, slope * t for t < 0; convex for slope <= 1."""
    return Piecewise([0], [[0, number("slope", slope)], [0, 1]])


def clip(lower: float, upper: float) -> Piecewise:
    """min(max(t, lower), upper)."""
    low, up = _ordered(lower, upper)
    return Piecewise([low, up], [[low], [0, 1], [up]])


def dead_zone(width: float) -> Piecewise:
    """t - clip(t, -width, width), the soft threshold, width >= 0."""
    width = _nonnegative("width", width)
    return Piecewise([-width, width], [[width, 1], [0], [-width, 1]])


def huber(M: float = 1.0) -> Piecewise:
    """t² for |t| <= M, 2 M |t| - M² beyond, M >= 0, as in cvxpy."""
    M = _nonnegative("M", M)
    return Piecewise([-M, M], [[-M * M, -2 * M], [0, 0, 1], [-M * M, 2 * M]])


def berhu(M: float = 1.0) -> Piecewise:
    """|t| for |t| <= M, (t² + M²) / (2 M) beyond, M > 0: huber reversed (Owen 2007)."""
    M = number("M", positive("M", M))
    half, c = M / 2, 0.5 / M
    return Piecewise([-M, 0, M], [[half, 0, c], [0, -1], [0, 1], [half, 0, c]])


def steps(lower: int, upper: int) -> Piecewise:
    """The floor of t for lower <= t < upper, undefined elsewhere."""
    if not (_whole(lower) and _whole(upper)) or lower >= upper:
        raise ValueError(
            f"lower and upper must be integers, lower < upper; got {lower}, {upper}"
        )
    levels = [[k] for k in range(lower, upper)]
    t = np.arange(lower, upper + 1)
    values = np.append(t[:-1].astype(float), np.nan)
    return Piecewise(t, [[np.nan], *levels, [np.nan]], values=values)


def indicator(points: portion.Interval) -> Piecewise:
    """0 on a set of points, +inf elsewhere; convex if this is an interval."""
    return where(points, 0, np.inf)


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
negative_log = NegativeLog()
logistic = Logistic()
binary_entropy = BinaryEntropy()
inverse = transformed(InverseNegative(), a=4, b=-1)  # 1 / t for t > 0


def power(p: Any) -> Power:
    """|t|^p / p, p > 1."""
    return Power(p)


def positive_power(p: Any) -> PositivePartPower:
    """max(t, 0)^p / p, p > 1."""
    return PositivePartPower(p)


def decreasing_power(r: Any) -> DecreasingPower:
    """-t^r / r for t > 0, r < 1, not 0: -2 √t for r = 1/2, 1 / t for r = -1."""
    return DecreasingPower(r)


def pseudo_huber(delta: Any = 1.0) -> Univariate:
    """δ² (√(1 + (t/δ)²) - 1), δ > 0: t² / 2 near 0, δ |t| far off, as in scipy."""
    delta = positive("delta", delta)
    return transformed(PseudoHuber(), delta * delta, 1 / delta)


def _nonnegative(name: str, a: Any) -> float:
    return number(name, nonnegative(name, a))


def _ordered(lower: Any, upper: Any) -> tuple[float, float]:
    low, up = number("lower", lower), number("upper", upper)
    if low > up:
        raise ValueError(f"lower must not exceed upper, got {lower} and {upper}")
    return low, up


def _whole(k: Any) -> bool:
    return isinstance(k, int | np.integer)
