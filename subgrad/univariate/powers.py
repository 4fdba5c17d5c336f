"""Powers: of the modulus, of the positive part, and the decreasing ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._check import Array, real
from .convex import Number, Smooth, Univariate, column, constant, single


class Power(Smooth):
    """
    φ(t) = |t|^p / p,  φ*(s) = |s|^q / q,  1/p + 1/q = 1,

    p > 1 of core shape (). Where the power overflows, φ counts as +inf.
    """

    _arrays = {"p": 0, "_q": 0}
    ends: tuple[Number, Number] = (-np.inf, np.inf)
    infimum = 0.0

    def __init__(self, p: Any) -> None:
        p = real("p", p)
        if p.size and p.min() <= 1:
            raise ValueError(f"p must be above 1, got {p.min()}")
        # Kept, because the double conjugate is to have p itself.
        self.p, self._q = constant(p), constant(p / (p - 1))

    @property
    def _exponent(self) -> Any:
        """p - 1 = p / q, without cancellation."""
        return column(self.p / self._q)

    def _power(self, t: Array) -> Array:
        p = column(self.p)
        with np.errstate(over="ignore"):
            return abs(t) ** p / p

    def _rate(self, t: Array) -> Array:
        with np.errstate(over="ignore"):
            return abs(t) ** self._exponent

    def _value(self, t: Array) -> Array:
        return self._power(t)

    def _derivative(self, t: Array) -> Array:
        return np.copysign(self._rate(t), t)

    def _bend(self, t: Array) -> Array:
        """(p - 1) t^(p - 2), of t >= 0."""
        k = self._exponent
        with np.errstate(divide="ignore", over="ignore"):
            return k * t ** (k - 1)

    def _curvature(self, t: Array) -> Array:
        return self._bend(abs(t))

    def _shrunk(self, t: Array, step: Number) -> Array:
        """The prox of |t|."""
        return self._cast(_root(abs(t), step, self._exponent), t, step)

    def _prox(self, t: Array, step: Number) -> Array:
        return np.copysign(self._shrunk(t, step), t)

    def _dual(self) -> type[Power]:
        return Power

    def conjugate(self) -> Power:
        new = object.__new__(self._dual())
        new.p, new._q = self._q, self.p
        return new

    def to_cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        return cp.power(cp.abs(x), single(self.p)) / single(self.p)


class PositivePartPower(Power):
    """
    φ(t) = max(t, 0)^p / p,  φ*(s) = s^q / q for s >= 0,  1/p + 1/q = 1,

    p > 1 of core shape (); p = 2 of 1 - t is the squared hinge.
    """

    def _value(self, t: Array) -> Array:
        return self._power(np.maximum(t, 0))

    def _derivative(self, t: Array) -> Array:
        return self._rate(np.maximum(t, 0))

    def _prox(self, t: Array, step: Number) -> Array:
        return np.where(t > 0, self._shrunk(t, step), self._cast(t, t, step))

    def _curvature(self, t: Array) -> Array:
        return np.where(t > 0, self._bend(np.maximum(t, 0)), 0.0)

    def _dual(self) -> type[Power]:
        return HalfLinePower

    def to_cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        return cp.power(cp.pos(x), single(self.p)) / single(self.p)


class HalfLinePower(Power):
    """
    φ(t) = t^p / p for t >= 0,  φ*(s) = max(s, 0)^q / q,  1/p + 1/q = 1,

    p > 1 of core shape (). ∂φ(0) = (-inf, 0].
    """

    ends = (0.0, np.inf)

    def _value(self, t: Array) -> Array:
        return np.where(t >= 0, self._power(t), t.dtype.type(np.inf))

    def _left(self, t: Array) -> Array:
        return np.where(t > 0, self._rate(t), -t.dtype.type(np.inf))

    def _right(self, t: Array) -> Array:
        return np.where(t >= 0, self._rate(t), -t.dtype.type(np.inf))

    _slopes = Univariate._slopes

    def _prox(self, t: Array, step: Number) -> Array:
        return self._shrunk(np.maximum(t, 0), step)

    def _curvature(self, t: Array) -> Array:
        return np.where(t > 0, self._bend(np.maximum(t, 0)), np.inf)

    def _dual(self) -> type[Power]:
        return PositivePartPower

    def to_cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        power = cp.power(cp.pos(x), single(self.p)) / single(self.p)
        return power + cp.transforms.indicator([x >= 0], 1e-6)


class DecreasingPower(Smooth):
    """
    φ(t) = -t^r / r for t > 0;  φ*(s) = -(-s)^q / q for s < 0,  1/r + 1/q = 1,

    r < 1, not 0, of core shape (); q has the other sign. `dual` = True stands for φ*.
    The exponents between 0 and 1 give the value 0 at 0, where ∂ is empty, the negative
    ones +inf. r = -1 is 1/t, and r -> 0 of φ + 1/r is -log t.
    """

    _arrays = {"r": 0}

    def __init__(self, r: Any, dual: bool = False) -> None:
        r = real("r", r)
        if np.any((r >= 1) | (r == 0)):
            raise ValueError(f"r must be below 1 and not 0, got {r}")
        self.r, self.dual = constant(r), bool(dual)
        self._sign = -1.0 if dual else 1.0

    def _key(self) -> tuple[Any, ...]:
        return (self.dual,)

    @property
    def _exponent(self) -> Array:
        return self.r / (self.r - 1) if self.dual else self.r

    @property
    def ends(self) -> tuple[Number, Number]:
        return (-np.inf, 0.0) if self.dual else (0.0, np.inf)

    @property
    def infimum(self) -> float:
        return -np.inf if np.any(self._exponent > 0) else 0.0

    def _value(self, t: Array) -> Array:
        u, k = self._sign * t, column(self._exponent)
        with np.errstate(divide="ignore", over="ignore"):
            out = 0 - np.maximum(u, 0) ** k / k
        return np.where(u >= 0, out, t.dtype.type(np.inf))

    def _derivative(self, t: Array) -> Array:
        k = self._power
        with np.errstate(divide="ignore", over="ignore"):
            return -self._sign * np.maximum(self._sign * t, 0) ** k

    @property
    def _power(self) -> Any:
        """That of the derivative, r - 1 or q - 1 = 1 / (r - 1)."""
        return column(1 / (self.r - 1) if self.dual else self.r - 1)

    def _curvature(self, t: Array) -> Array:
        k = self._power
        with np.errstate(divide="ignore", over="ignore"):
            return -k * np.maximum(self._sign * t, 0) ** (k - 1)

    def conjugate(self) -> DecreasingPower:
        return DecreasingPower(self.r, not self.dual)

    def to_cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        k, u = single(self._exponent), self._sign * x
        out = -cp.power(u, k) / k
        return out if k > 0 else out + cp.transforms.indicator([u >= 0], 1e-6)

    def __repr__(self) -> str:
        dual = ", dual=True" if self.dual else ""
        return f"DecreasingPower(r={self.r.tolist()}{dual})"


def _root(y: Array, step: Number, k: Any) -> Array:
    """
    The s >= 0 with s + τ s^k = y, for y >= 0 and k > 0.

    In x = log s the logarithm of the left side is convex and increasing, so that
    Newton's iteration falls to the root from any point above it, whatever the scales;
    what log and exp lose is put right by a step in s.
    """
    y, step = np.asarray(y, np.float64), np.asarray(step, np.float64)
    with np.errstate(all="ignore"):
        goal, shift = np.log(y), np.log(step)
        x = np.minimum(goal, (goal - shift) / k)
        for _ in range(12):
            each = shift + k * x
            total = np.logaddexp(x, each)
            slope = 1 + (k - 1) * np.exp(each - total)
            x = np.fmin(x, x - (total - goal) / slope)
        s = np.exp(x)
        for _ in range(2):
            power = step * s**k
            change = (y - s - power) / (s + k * power)
            s = np.where(abs(change) < 1e-9, s * (1 + change), s)
    return s
