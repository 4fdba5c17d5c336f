"""Separable functions: one convex function of one variable, summed over coordinates."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from subgrad._budget import spend
from subgrad._check import Array, nonnegative, vector
from subgrad._jacobian import Jacobian
from subgrad.calculus.sum import add_slopes
from subgrad.core import Function, Mask, Set
from subgrad.functions.shaped import no_argument
from subgrad.interval import Interval
from subgrad.sets.box import Box
from subgrad.univariate.catalog import epsilon_insensitive, hinge, pinball
from subgrad.univariate.convex import Smooth, Univariate


class Separable(Function):
    r"""f(x) = sum_i w_i φ(x_i), φ a closed convex function on the line.

    .. math:: \partial f(x) = \prod_i w_i \, [φ'(x_i-), φ'(x_i+)]

    weights w >= 0 of shape (..., n), by default 1; w_i = 0 leaves the domain of φ.
    """

    def __init__(self, phi: Univariate, weights: Any = None) -> None:
        if not isinstance(phi, Univariate):
            raise TypeError(
                "Separable takes a convex function on the line, such as relu, got "
                f"{type(phi).__name__}"
            )
        phi._refuse()
        self.phi, self.polyhedral = phi, phi.polyhedral
        self.weights = None
        if weights is not None:
            self.weights = nonnegative("weights", vector("weights", weights, None))
            self.n = self.weights.shape[-1]
        low, high = phi.ends
        self.finite = bool(np.all(np.isneginf(low)) and np.all(np.isposinf(high)))

    def _key(self) -> tuple[Any, ...]:
        return (self.phi,) if self.weights is None else (self.phi, self.weights)

    @property
    def infimum(self) -> float:  # type: ignore[override]
        low = self.phi.infimum
        if self.weights is not None:
            return (
                float(np.min(self.weights.sum(-1) * low)) if np.isfinite(low) else low
            )
        return low if low >= 0 else -np.inf

    def _times(self, v: Array) -> Array:
        """w v, where 0 · (+inf) = +inf and 0 · (-inf) = 0."""
        if self.weights is None:
            return v
        with np.errstate(invalid="ignore"):
            out = self.weights * v
        return out if self.finite else np.where(np.isnan(out), np.maximum(v, 0), out)

    def _value(self, x: Array) -> Array:
        return self._times(self.phi._value(x)).sum(-1)

    def _subgradient(self, x: Array) -> Array:
        if self.phi._everywhere:
            g = self.phi._right(x)
            return g if self.weights is None else self.weights * g
        box = self._subdifferential(x, np.zeros(()))
        empty = box.lower > box.upper
        return np.where(empty, np.nan, np.clip(0.0, box.lower, box.upper))

    def _subdifferential(self, x: Array, eps: Array) -> Box:
        each: Any = 0.0
        if np.any(eps):
            each = spend(eps, self._costs(x))
            if self.weights is not None:
                each = each / np.where(self.weights > 0, self.weights, 1.0)
        if self.weights is None:
            return Box(self.phi._subdifferential(x, each))
        interval = self.phi._subdifferential(x, each) * self.weights
        if self.finite:
            return Box(interval)
        zero, normal = self.weights == 0, self._normal(x)
        low = np.where(zero, normal.lower, interval.lower)
        return Box._raw(low, np.where(zero, normal.upper, interval.upper))

    def _directional(self, x: Array, d: Array) -> Array:
        return add_slopes(self._times(self.phi._directional(x, d)))

    def _costs(self, x: Array) -> Array:
        return self._times(self.phi._saturation(x))

    def _normal(self, x: Array) -> Box:
        inside = np.isfinite(self.phi._value(x))
        low = np.where(np.isneginf(self.phi._left(x)), -np.inf, 0.0)
        up = np.where(np.isposinf(self.phi._right(x)), np.inf, 0.0)
        low, up = np.where(inside, low, np.inf), np.where(inside, up, -np.inf)
        return Box._raw(*np.broadcast_arrays(low, up))

    def _ends(self) -> tuple[Array, Array]:
        low, high = (np.asarray(e) for e in self.phi.ends)
        return (low[..., None], high[..., None]) if self.phi.batch else (low, high)

    def _interior(self, x: Array) -> Any:
        low, high = self._ends()
        return np.all(((low < x) & (x < high)) | ((low == high) & (x == low)), axis=-1)

    def _nondecreasing(self, low: Array) -> Mask:
        return np.array([self.phi.nondecreasing_from(float(m)) for m in low])

    def _prox(self, x: Array, t: Array) -> Array:
        step = _each(t)
        if self.weights is None:
            return self.phi._prox(x, step)
        zero = self.weights == 0
        p = self.phi._prox(x, step * np.where(zero, 1.0, self.weights))
        return np.where(zero, self._to_domain(x), p) if np.any(zero) else p

    def _prox_jacobian(self, x: Array, t: Any) -> Jacobian:
        return Jacobian(self._prox_slope(x, _each(t)))

    def _prox_slope(self, x: Array, step: Any) -> Array:
        """The derivatives of the entries of the prox."""
        if self.weights is None:
            return self.phi._prox_slope(x, step)
        zero = self.weights == 0
        slope = self.phi._prox_slope(x, step * np.where(zero, 1.0, self.weights))
        low, high = self._ends()
        return np.where(zero, (low < x) & (x < high), slope)

    def _dual_prox(self, y: Array, s: Any) -> Array:
        if self.phi.polyhedral and self.weights is None:
            return self._star._prox(y, _each(s))
        if self.weights is None and self._has_graph:
            return self._dual_graph.resolvent(y, _each(s))
        # Exactly a slope, which the difference alone is only up to rounding.
        s = np.asarray(s)
        p = self._prox(y / s[..., None], 1 / s)
        low, high = self._slopes(p)
        return low if low is high else np.clip(y - s[..., None] * p, low, high)

    @cached_property
    def _has_graph(self) -> bool:
        """Whether φ is made of pieces of degree 2 or less, as φ* is then."""
        pieces = None if self.phi.batch else getattr(self.phi, "_pieces", None)
        return pieces is not None and pieces.coefficients.shape[-1] <= 3

    @property
    def _dual_graph(self) -> Any:
        phi: Any = self.phi
        return phi._dual_graph

    def _slopes(self, p: Array) -> tuple[Array, Array]:
        low = self.phi._left(p)
        one = isinstance(self.phi, Smooth) and self.phi._everywhere
        high = low if one else self.phi._right(p)
        if self.weights is None:
            return low, high
        if low is high:
            g = self.weights * low
            return g, g
        w = np.where(self.weights > 0, self.weights, 1.0)
        zero = (self.weights == 0) & np.isfinite(low) & np.isfinite(high)
        return np.where(zero, 0.0, w * low), np.where(zero, 0.0, w * high)

    def _dual_prox_jacobian(self, y: Array, s: Any) -> Jacobian:
        if self.phi.polyhedral and self.weights is None:
            return Jacobian(self._star._prox_slope(y, _each(s)))
        if self.weights is None and self._has_graph:
            return Jacobian(self._dual_graph.resolvent_slope(y, _each(s)))
        s = np.asarray(s)
        return Jacobian(1 - self._prox_slope(y / s[..., None], _each(1 / s)))

    @cached_property
    def _star(self) -> Univariate:
        return self.phi.conjugate()

    def _to_domain(self, x: Array) -> Array:
        return np.clip(x, *self._ends())

    def conjugate(self) -> Function:
        r"""sum_i w_i φ*(g_i / w_i)."""
        from subgrad.affine import variable

        star = Separable(self.phi.conjugate(), self.weights)
        if self.weights is None:
            return star
        if np.any(self.weights == 0):
            raise NotImplementedError("Separable.conjugate with a weight 0")
        return star(variable(self.weights.shape[-1]) / self.weights)

    @property
    def domain(self) -> Set:
        if self.n is None or self.finite or self.phi.batch:
            return super().domain
        low, high = (np.full(self.n, e) for e in self.phi.ends)
        return Box(Interval(low, high))

    def _cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        each = self.phi.to_cvxpy(x)
        if self.weights is None:
            return cp.sum(each)
        return cp.sum(cp.multiply(self.weights, each))


def _each(t: Any) -> Any:
    """One step per vector, ready to meet their entries; a single one as a number."""
    t = np.asarray(t)
    return t[..., None] if t.ndim else t.item()


def separable(phi: Univariate, weights: Any = None) -> Separable:
    """sum_i w_i φ(x_i)."""
    return Separable(phi, weights)


hinge_loss = Separable(hinge)


def pinball_loss(tau: Any) -> Separable:
    """sum_i τ max(x_i, 0) + (1 - τ) max(-x_i, 0), τ in [0, 1], may be a batch."""
    no_argument("pinball_loss(tau)", tau)
    return Separable(pinball(tau))


def epsilon_insensitive_loss(eps: Any) -> Separable:
    """sum_i max(|x_i| - ε, 0)."""
    no_argument("epsilon_insensitive_loss(eps)", eps)
    return Separable(epsilon_insensitive(eps))
