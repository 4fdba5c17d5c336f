"""The pseudo-Huber function, a branch of a hyperbola, and its conjugate, a circle."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._check import Array
from .convex import _ROUNDING, Number, Smooth


class PseudoHuber(Smooth):
    """φ(t) = √(1 + t²) - 1;  φ*(s) = 1 - √(1 - s²) on [-1, 1]."""

    _everywhere = True
    ends = (-np.inf, np.inf)
    infimum = 0.0

    def _value(self, t: Array) -> Array:
        root, small = np.hypot(1, t), np.clip(t, -1, 1)
        return np.where(small == t, small * (small / (1 + root)), root - 1)

    def _derivative(self, t: Array) -> Array:
        return np.sin(np.arctan(t))

    def _curvature(self, t: Array) -> Array:
        with np.errstate(over="ignore", under="ignore"):
            return np.hypot(1, t) ** -3.0

    def _widened(self, t: Array, eps: Number) -> tuple[Array, Array]:
        """
        With t = tan ψ and g = sin θ: cos(θ - ψ) >= 1 - ε cos ψ.

        Since φ* is infinitely steep at ±1, rounding a g up to 1 would cost 1e-8 of ε;
        the ends are taken smaller by more than their rounding.
        """
        t = t.astype(np.float64, copy=False)
        angle = np.arctan(t)
        sine = np.sqrt(np.minimum(eps / np.hypot(1, t) / 2, 1))
        width, right = 2 * np.arcsin(sine), np.pi / 2
        low, high = angle - width, angle + width
        margin = _ROUNDING * (abs(angle) + width)
        lower = np.where(low > -right, np.sin(low) + margin, -1.0)
        return lower, np.where(high < right, np.sin(high) - margin, 1.0)

    def _saturation(self, t: Array) -> Array:
        """φ(t) + φ*(g) - g t for g = ±1, whichever is more."""
        with np.errstate(over="ignore"):
            return np.hypot(1, t) + abs(t)

    def conjugate(self) -> HalfCircle:
        return HalfCircle()

    def to_cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        flat = cp.vec(x, order="C")
        root = cp.norm(cp.vstack([flat, np.ones(flat.size)]), axis=0)
        return cp.reshape(root, x.shape, order="C") - 1


class HalfCircle(Smooth):
    """
    φ(t) = 1 - √(1 - t²) on [-1, 1];  φ*(s) = √(1 + s²) - 1.

    ∂φ(-1) and ∂φ(1) are empty.
    """

    ends = (-1.0, 1.0)
    infimum = 0.0

    def _value(self, t: Array) -> Array:
        inside = np.clip(t, -1, 1)
        out = inside * (inside / (1 + _height(inside)))
        return np.where(inside == t, out, t.dtype.type(np.inf))

    def _derivative(self, t: Array) -> Array:
        inside = np.clip(t, -1, 1)
        with np.errstate(divide="ignore"):
            return inside / _height(inside)

    def _curvature(self, t: Array) -> Array:
        with np.errstate(divide="ignore", over="ignore"):
            return _height(np.clip(t, -1, 1)) ** -3.0

    def _widened(self, t: Array, eps: Number) -> tuple[Array, Array]:
        """
        √(1 + g²) <= ε + h + g t with h = √(1 - t²): a quadratic in g, whose roots have
        the sum 2 t (ε + h) / h² and the product (1 - (ε + h)²) / h².
        """
        t = np.clip(t, -1, 1)
        size, h = abs(t), _height(t)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            far = (eps + h) * size + np.sqrt(eps) * np.sqrt(eps + 2 * h)
            # 1 - ε - h, where 1 - h would cancel.
            near = (size * (size / (1 + h)) - eps) * ((1 + eps + h) / far)
            far = far / (h * h)
        return np.where(t < 0, -far, near), np.where(t < 0, -near, far)

    def conjugate(self) -> PseudoHuber:
        return PseudoHuber()

    def to_cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        return 1 - cp.sqrt(1 - cp.square(x))


def _height(t: Array) -> Array:
    """√(1 - t²) for |t| <= 1."""
    return np.sqrt((1 - t) * (1 + t))
