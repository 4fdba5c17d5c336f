"""Univariate functions that are smooth inside their domain, in conjugate pairs."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from .._check import Array, positive, real
from ._polynomials import Pieces
from .convex import Number, Smooth, column, constant, single
from .piecewise import Piecewise


class Square(Smooth, Piecewise):
    """
    φ(t) = c t² / 2,  φ*(s) = s² / (2 c),

    `c` > 0 of core shape ().
    """

    _arrays = {"c": 0, "_inverse": 0}
    _everywhere = is_convex = is_closed = True
    polyhedral = False
    _violation = _fault = ""
    ends = (-np.inf, np.inf)
    infimum = 0.0

    def __init__(self, c: Any = 1.0) -> None:
        self.c = constant(positive("c", c))
        # Kept, because 1 / (1 / c) need not be c.
        self._inverse = constant(1 / self.c)

    @cached_property
    def _pieces(self) -> Pieces:  # type: ignore[override]
        if self.c.ndim:
            raise ValueError(f"one function was expected, got a batch of {self.batch}")
        return Piecewise([], [[0, 0, self.c / 2]])._pieces

    def _value(self, t: Array) -> Array:
        return column(self.c) / 2 * t * t

    def _derivative(self, t: Array) -> Array:
        return column(self.c) * t

    def _widened(self, t: Array, eps: Number) -> tuple[Array, Array]:
        slope, width = self._derivative(t), np.sqrt(2 * column(self.c) * eps)
        return slope - width, slope + width

    def _prox(self, t: Array, step: Number) -> Array:
        return t / (1 + column(self.c) * step)

    def _curvature(self, t: Array) -> Array:
        return column(self.c) + np.zeros_like(t)

    def conjugate(self) -> Square:
        new = object.__new__(Square)
        new.c, new._inverse = self._inverse, self.c
        return new

    def to_cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        return single(self.c) / 2 * cp.square(x)

    __repr__ = Smooth.__repr__
    _saturation = Smooth._saturation


class Entropy(Smooth):
    """
    φ(t) = t log t + (a - 1) t for t >= 0, φ(0) = 0;  φ*(s) = exp(s - a),

    with a = `shift` of core shape (); a = 1 is t log t. ∂φ(0) is empty.
    """

    _arrays = {"shift": 0}
    ends = (0.0, np.inf)

    def __init__(self, shift: Any = 1.0) -> None:
        self.shift = constant(real("shift", shift))

    @property
    def infimum(self) -> float:
        return -float(np.exp(-self.shift.min()))

    def _value(self, t: Array) -> Array:
        inside = np.where(t > 0, t, 1)
        out = inside * (np.log(inside) + (column(self.shift) - 1))
        zero, inf = out.dtype.type(0), out.dtype.type(np.inf)
        return np.where(t > 0, out, np.where(t == 0, zero, inf))

    def _derivative(self, t: Array) -> Array:
        with np.errstate(divide="ignore"):
            return np.log(np.maximum(t, 0)) + column(self.shift)

    def _prox(self, t: Array, step: Number) -> Array:
        """p + τ (log p + a) = t; w = p / τ has w + log w = t / τ - a - log τ."""
        w = _omega(t / step - column(self.shift) - np.log(step))
        return self._cast(step * w, t, step)

    def _curvature(self, t: Array) -> Array:
        with np.errstate(divide="ignore"):
            return 1 / np.maximum(t, 0.0)

    def conjugate(self) -> Exponential:
        return Exponential(self.shift)

    def to_cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        return (single(self.shift) - 1) * x - cp.entr(x)


class Exponential(Smooth):
    """
    φ(t) = exp(t - a);  φ*(s) = s log s + (a - 1) s for s >= 0,

    with a = `shift` of core shape (). Where exp overflows, φ counts as +inf.
    """

    _arrays = {"shift": 0}
    ends = (-np.inf, np.inf)
    infimum = 0.0

    def __init__(self, shift: Any = 0.0) -> None:
        self.shift = constant(real("shift", shift))

    def _value(self, t: Array) -> Array:
        with np.errstate(over="ignore"):
            return np.exp(t - column(self.shift))

    def _derivative(self, t: Array) -> Array:
        return self._value(t)

    def _prox(self, t: Array, step: Number) -> Array:
        """p + τ exp(p - a) = t; u = t - p has u + log u = t - a + log τ."""
        shift = column(self.shift)
        u = _omega(t - shift + np.log(step))
        # u close to t loses the digits of p, which log u has.
        p = np.where(u < 1, t - u, shift + np.log(np.maximum(u, 1) / step))
        return self._cast(p, t, step)

    def _curvature(self, t: Array) -> Array:
        return self._value(t)

    def conjugate(self) -> Entropy:
        return Entropy(self.shift)

    def to_cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        return cp.exp(x - single(self.shift))


class NegativeSqrt(Smooth):
    """φ(t) = -√t for t >= 0;  φ*(s) = -1 / (4 s) for s < 0. ∂φ(0) is empty."""

    ends = (0.0, np.inf)
    infimum = -np.inf

    def _value(self, t: Array) -> Array:
        return np.where(t >= 0, 0 - np.sqrt(np.maximum(t, 0)), t.dtype.type(np.inf))

    def _derivative(self, t: Array) -> Array:
        with np.errstate(divide="ignore"):
            return -0.5 / np.sqrt(np.maximum(t, 0))

    def _widened(self, t: Array, eps: Number) -> tuple[Array, Array]:
        """
        With g = -w / (2 √t), φ(t) + φ*(g) - g t = √t (w - 1)² / (2 w) <= ε between
        w and 1 / w; at 0, -1 / (4 g) <= ε.
        """
        root = np.sqrt(np.maximum(t, 0))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            excess = eps / root
            w = 1 + excess + np.sqrt(excess) * np.sqrt(excess + 2)
            lower, upper = -w / (2 * root), -1 / (2 * w * root)
            upper = np.where(root > 0, upper, -0.25 / np.asarray(eps))
        return lower, upper

    def _prox(self, t: Array, step: Number) -> Array:
        """p - τ / (2 √p) = t, a cubic in √p."""
        return self._cast(_cubic_root(t, step / 2) ** 2, t, step)

    def _curvature(self, t: Array) -> Array:
        with np.errstate(divide="ignore", over="ignore"):
            return 0.25 / np.maximum(t, 0.0) ** 1.5

    def conjugate(self) -> InverseNegative:
        return InverseNegative()

    def to_cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        return -cp.sqrt(x)


class InverseNegative(Smooth):
    """φ(t) = -1 / (4 t) for t < 0, the domain being open;  φ*(s) = -√s for s >= 0."""

    ends = (-np.inf, 0.0)
    infimum = 0.0

    def _value(self, t: Array) -> Array:
        with np.errstate(divide="ignore", over="ignore"):
            return -0.25 / np.where(t < 0, t, -t.dtype.type(0))

    def _derivative(self, t: Array) -> Array:
        with np.errstate(divide="ignore", over="ignore"):
            return np.square(0.5 / np.minimum(t, 0))

    def _widened(self, t: Array, eps: Number) -> tuple[Array, Array]:
        """g = r² with t² r² + t r + 1/4 <= -t ε: r within √(-ε/t) of -1/(2t)."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            middle, width = -0.5 / t, np.sqrt(eps / -t)
            return np.maximum(middle - width, 0) ** 2, (middle + width) ** 2

    def _prox(self, t: Array, step: Number) -> Array:
        """p + τ / (4 p²) = t, a cubic in σ / -p with σ³ = τ / 4."""
        scale = np.cbrt(step / 4)
        return self._cast(-scale / _cubic_root(t / scale, 1.0), t, step)

    def _curvature(self, t: Array) -> Array:
        with np.errstate(divide="ignore", over="ignore"):
            return 0.5 / np.maximum(-t, 0.0) ** 3

    def conjugate(self) -> NegativeSqrt:
        return NegativeSqrt()

    def to_cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        return cp.inv_pos(-x) / 4 + cp.transforms.indicator([x <= 0], 1e-6)


def _omega(z: Array) -> Array:
    """The w > 0 with w + log w = z."""
    from scipy.special import wrightomega

    return wrightomega(z)


def _cubic_root(t: Array, h: Number) -> Array:
    """
    The r > 0 with r³ - t r = h, for h > 0.

    The left side is convex for r > 0, so that Newton's iteration falls to the root
    from any point above it; the first is at most a factor 2 from it.
    """
    with np.errstate(divide="ignore", over="ignore"):
        r = np.where(
            t > 0,
            np.sqrt(np.maximum(t, 0)) + np.cbrt(h),
            np.minimum(np.cbrt(h), h / np.maximum(-t, 0)),
        )
    for _ in range(60):
        lower = np.minimum(r, r * ((2 * r * r + h / r) / (3 * r * r - t)))
        if np.array_equal(lower, r):
            break
        r = lower
    return r
