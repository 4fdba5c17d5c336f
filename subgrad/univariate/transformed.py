"""Affine changes of a univariate function, of its argument and of its value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from .._check import Array, positive, real
from ._border import number
from .convex import Number, Univariate, column, constant, single
from .linear import PiecewiseLinear
from .piecewise import Piecewise

_DEFAULTS = {"a": 1.0, "b": 1.0, "c": 0.0, "d": 0.0, "e": 0.0}


class Transformed(Univariate):
    r"""
    The function whose graph is that of φ, moved and stretched, and tilted by a line,

        ψ(t)  = a φ(b (t - c)) + d t + e,
        ψ*(s) = a φ*((s - d) / (a b)) + c s - (c d + e),

    with a > 0 and b ≠ 0, all five of core shape (). ∂ψ(t) = a b ∂φ(b (t - c)) + d;
    for b < 0 the two derivatives trade places. ψ* is of the same form with c and d
    interchanged. A φ of this class is merged into one change.

    ValueError where a b is zero or infinite as a float.
    """

    a: Array
    b: Array
    c: Array
    d: Array
    e: Array
    _b: Array
    _e: Array
    _arrays = dict.fromkeys(("a", "b", "c", "d", "e", "_b", "_e"), 0)
    _parts = ("phi",)

    def __init__(
        self,
        phi: Univariate,
        a: Any = 1.0,
        b: Any = 1.0,
        c: Any = 0.0,
        d: Any = 0.0,
        e: Any = 0.0,
    ) -> None:
        if not isinstance(phi, Univariate):
            raise TypeError(
                "phi must be a convex function on the line, such as relu, got "
                f"{type(phi).__name__}"
            )
        phi._refuse()
        a, b = positive("a", a), real("b", b)
        c, d, e = real("c", c), real("d", d), real("e", e)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            if isinstance(phi, Transformed):
                a, b, c, d, e = (
                    a * phi.a,
                    b * phi.b,
                    c + phi.c / b,
                    d + a * b * phi.d,
                    e + a * (phi.e - phi.d * b * c),
                )
                phi = phi.phi
            product, level = a * b, c * d + e
            inverse = 1 / product
        if not np.all(np.isfinite(inverse) & (inverse != 0)):
            raise ValueError(f"a b must be a finite number beside 0, got {product}")
        c, d = real("c", c), real("d", d)
        # Kept for the conjugate, so that the double conjugate is equal to the bit.
        self._set(phi, a, b, c, d, e, inverse, 0.0 - real("c d + e", level))

    def _set(self, phi: Univariate, *arrays: Array) -> Self:
        for name, value in zip(self._arrays, arrays, strict=True):
            setattr(self, name, constant(value))
        self.phi, self.polyhedral = phi, phi.polyhedral
        self._everywhere = phi._everywhere
        return self

    def _dtype(self, t: Array) -> np.dtype[Any]:
        return np.result_type(super()._dtype(t), self.phi._dtype(t))

    @property
    def ends(self) -> tuple[Number, Number]:
        first, last = (self.c + np.asarray(end) / self.b for end in self.phi.ends)
        low, high = np.minimum(first, last), np.maximum(first, last)
        return (low, high) if self.batch else (low.item(), high.item())

    @property
    def infimum(self) -> float:
        return float(np.min(self._least()))

    def _least(self) -> Array:
        """inf ψ = -ψ*(0), one for each member of the batch."""
        if not (self.phi.batch or np.any(self.d)):
            return np.asarray(column(self.a * self.phi.infimum + self.e))
        return 0.0 - self.conjugate()._value(np.zeros(()))

    def _argument(self, t: Array) -> Array:
        """b (t - c), on the same side of the ends of dom φ as t is of their images."""
        t = np.broadcast_to(t, self._shape(t)).astype(self._dtype(t), copy=False)
        b, c = column(self.b), column(self.c)
        with np.errstate(over="ignore"):
            u = b * (t - c)
            for end in self.phi.ends:
                if not np.isfinite(end).all():
                    continue
                image = column(self.c + np.asarray(end) / self.b)
                side, rim = (t - image) * np.sign(b), np.asarray(end, u.dtype)
                rim = rim[..., None] if rim.ndim else rim
                u = np.where(side > 0, np.maximum(u, np.nextafter(rim, np.inf)), u)
                u = np.where(side < 0, np.minimum(u, np.nextafter(rim, -np.inf)), u)
                u = np.where(side == 0, rim, u)
        return u

    def _value(self, t: Array) -> Array:
        value = self.phi._value(self._argument(t))
        with np.errstate(over="ignore", invalid="ignore"):
            out = column(self.a) * value + (column(self.d) * t + column(self.e))
        far = np.isinf(t)
        if far.any():
            # A convex function whose slope tends to 0 there tends to its infimum.
            trend = np.where(t > 0, self._right(t), -self._left(t))
            limit = np.where(trend > 0, np.inf, np.where(trend < 0, -np.inf, 0.0))
            limit = np.where(trend == 0, self._least(), limit)
            out = np.where(far, limit.astype(out.dtype), out)
        return out

    def _left(self, t: Array) -> Array:
        return self._slope(t, self.phi._left, self.phi._right)

    def _right(self, t: Array) -> Array:
        return self._slope(t, self.phi._right, self.phi._left)

    def _slope(
        self, t: Array, same: Callable[[Array], Array], other: Callable[[Array], Array]
    ) -> Array:
        u, b = self._argument(t), column(self.b)
        if np.all(b > 0):
            slope = same(u)
        else:
            slope = other(u) if np.all(b < 0) else np.where(b > 0, same(u), other(u))
        with np.errstate(over="ignore"):
            return column(self.a * self.b) * slope + column(self.d)

    def _widened(self, t: Array, eps: Number) -> tuple[Array, Array]:
        """∂_ε ψ(t) = a b ∂_{ε/a} φ(b (t - c)) + d."""
        factor, d = column(self.a * self.b), column(self.d)
        ends = self.phi._widened(self._argument(t), eps / column(self.a))
        with np.errstate(over="ignore", invalid="ignore"):
            first, last = (factor * end + d for end in ends)
        return np.minimum(first, last), np.maximum(first, last)

    def _saturation(self, t: Array) -> Array:
        with np.errstate(over="ignore"):
            return column(self.a) * self.phi._saturation(self._argument(t))

    def _prox(self, t: Array, step: Number) -> Array:
        """p = c + v / b, v = argmin φ(v) + (v - u)² / (2 a b² τ), u = b (t - τ d - c).

        Its rounding is monotone, so that p does not leave the domain.
        """
        with np.errstate(over="ignore"):
            v = self.phi._prox(*self._turned(t, step))
            return self._cast(column(self.c) + v / column(self.b), t, step)

    def _turned(self, t: Array, step: Number) -> tuple[Array, Any]:
        a, b, c = column(self.a), column(self.b), column(self.c)
        wide = np.broadcast_to(t, self._shape(t)).astype(np.float64)
        return b * (wide - step * column(self.d) - c), a * b * b * step

    def _prox_slope(self, t: Array, step: Number) -> Array:
        with np.errstate(over="ignore"):
            return self.phi._prox_slope(*self._turned(t, step))

    def _curvature(self, t: Array) -> Array:
        a, b = column(self.a), column(self.b)
        with np.errstate(over="ignore"):
            return a * b * b * self.phi._curvature(self._argument(t))

    def conjugate(self) -> Transformed:
        arrays = (self.a, self._b, self.d, self.c, self._e, self.b, self.e)
        return object.__new__(Transformed)._set(self.phi.conjugate(), *arrays)

    def to_cvxpy(self, x: Any) -> Any:
        a, b, c, d, e = (single(getattr(self, name)) for name in _DEFAULTS)
        out = a * self.phi.to_cvxpy(b * (x - c)) + e
        return out + d * x if d else out

    def __repr__(self) -> str:
        given = ((name, getattr(self, name).tolist()) for name in _DEFAULTS)
        shown = [f"{name}={p}" for name, p in given if p != _DEFAULTS[name]]
        return f"Transformed({', '.join([repr(self.phi), *shown])})"


def plus(phi: Univariate, other: Any) -> Any:
    """φ(t) + d t + e for a number e or an affine function."""
    if isinstance(other, int | float | np.number):
        return transformed(phi, e=number("operand", other))
    if not isinstance(other, Piecewise) or not other.is_affine:
        return NotImplemented
    d, e = other(1) - other(0), other(0)
    return transformed(phi, d=d, e=e)


def times(phi: Univariate, factor: Any) -> Any:
    """a φ(t) for a number a > 0."""
    if not isinstance(factor, int | float | np.number):
        return NotImplemented
    if not factor > 0:
        raise ValueError(
            f"a multiple of a convex function must have a factor > 0, got {factor}"
        )
    return transformed(phi, a=factor)


def transformed(
    phi: Univariate,
    a: Any = 1.0,
    b: Any = 1.0,
    c: Any = 0.0,
    d: Any = 0.0,
    e: Any = 0.0,
) -> Univariate:
    """
    ψ(t) = a φ(b (t - c)) + d t + e as simply as possible, with a > 0 and b ≠ 0.

    A PiecewiseLinear φ gives one of its kind, no change at all φ itself.

    >>> hinge = transformed(PiecewiseLinear([0], [0, 1]), b=-1, c=1)
    >>> print(hinge([0, 2]), hinge.subdifferential(1))
    [1. 0.] [-1, 0]
    """
    out = Transformed(phi, a, b, c, d, e)
    values = {name: getattr(out, name) for name in _DEFAULTS}
    if all(np.array_equal(p, _DEFAULTS[name]) for name, p in values.items()):
        return out.phi
    same_side = np.all(out.b > 0) or np.all(out.b < 0)
    if isinstance(out.phi, PiecewiseLinear) and same_side:
        return _piecewise(out.phi, *values.values())
    return out


def _piecewise(
    phi: PiecewiseLinear, a: Array, b: Array, c: Array, d: Array, e: Array
) -> PiecewiseLinear:
    points = c[..., None] + phi.breakpoints / b[..., None]
    slopes = (a * b)[..., None] * phi.slopes + d[..., None]
    if np.any(b < 0):
        points, slopes = points[..., ::-1], slopes[..., ::-1]
    p = c + phi._point / b
    return PiecewiseLinear(points, slopes, (p, a * phi._level + d * p + e))
