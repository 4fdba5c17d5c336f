"""Arrays of closed intervals: the subdifferentials of functions of one variable."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import reduce
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import DTypeLike, NDArray

from . import _check, _interval_text
from ._check import Array

if TYPE_CHECKING:
    import portion

Shape = int | tuple[int, ...]
Mask = NDArray[np.bool_]
_MAX32 = float(np.finfo(np.float32).max)


class Interval:
    """An array of closed intervals of real numbers,

        [l, u] = {s in R : l <= s <= u},   l = -inf and u = +inf allowed.

    `lower` and `upper` are float arrays of one shape (numpy scalars for a single
    interval), not to be written to. Arithmetic is elementwise, broadcasts, and gives
    the exact image of the sets up to rounding to nearest,

        I op J = {s op t : s in I, t in J},   I | J = hull,   I & J = intersection,

    with numbers and arrays standing for points. [+inf, +inf] and [-inf, -inf] hold no
    real number: they are empty, and every empty interval is kept as (+inf, -inf).

    >>> relu_at_zero = Interval(0, 1)
    >>> print(2 * relu_at_zero - 1, relu_at_zero | 3, relu_at_zero & 3)
    [-1, 1] [0, 3] ∅
    >>> Interval([0, -np.inf], [1, 2]) + [10, 20]
    Interval([[10, 11], (-inf, 22]])

    `lower`, `upper`: numbers or arrays that broadcast together; without `upper`, the
    points `lower`. ValueError for nan, and for lower > upper.
    """

    __slots__ = ("lower", "upper")
    __array_ufunc__ = None
    __hash__ = None  # type: ignore[assignment]

    lower: Array
    upper: Array

    def __init__(self, lower: Any, upper: Any = None) -> None:
        low = _check.real("lower", lower, infinite=True)
        up = low if upper is None else _check.real("upper", upper, infinite=True)
        low, up = _like(lower, low, up), _like(upper, up, low)
        try:
            shape = np.broadcast_shapes(low.shape, up.shape)
        except ValueError:
            raise ValueError(
                f"lower and upper must broadcast, got {low.shape} and {up.shape}"
            ) from None
        # Copies, so that a later change of the caller's array does not reach the set.
        dtype = np.result_type(low, up)
        low, up = (np.array(np.broadcast_to(a, shape), dtype) for a in (low, up))
        wrong = (low > up) & ~((low == np.inf) & (up == -np.inf))
        if wrong.any():
            raise ValueError(
                f"lower must not exceed upper, got lower = {low[wrong].flat[0]} and "
                f"upper = {up[wrong].flat[0]}; Interval.empty(shape) makes an empty one"
            )
        new = _emptied(low, up, (low == np.inf) | (up == -np.inf))
        self.lower, self.upper = new.lower, new.upper

    @classmethod
    def _raw(cls, lower: Array, upper: Array) -> Interval:
        """Trusts that the two agree in shape and type, no nan, empties canonical."""
        new = object.__new__(cls)
        new.lower, new.upper = lower, upper
        return new

    @classmethod
    def empty(cls, shape: Shape = (), dtype: DTypeLike = np.float64) -> Interval:
        """Empty intervals."""
        line = cls.real(shape, dtype)
        return cls._raw(line.upper, line.lower)

    @classmethod
    def real(cls, shape: Shape = (), dtype: DTypeLike = np.float64) -> Interval:
        """The whole line, (-inf, +inf)."""
        ends = np.array([-np.inf, np.inf], dtype)
        return cls._raw(*(np.broadcast_to(end, shape)[()] for end in ends))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.lower.shape

    @property
    def ndim(self) -> int:
        return self.lower.ndim

    @property
    def size(self) -> int:
        return self.lower.size

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.lower.dtype

    def __len__(self) -> int:
        return len(self.lower)

    def __getitem__(self, key: Any) -> Interval:
        return Interval._raw(self.lower[key], self.upper[key])

    def __iter__(self) -> Iterator[Interval]:
        return (self[i] for i in range(len(self)))

    def reshape(self, *shape: Any) -> Interval:
        """The same intervals in another shape, given as for an ndarray."""
        return Interval._raw(self.lower.reshape(*shape), self.upper.reshape(*shape))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NoReturn:
        raise TypeError("an Interval is not an array of numbers; use .lower and .upper")

    def __add__(self, other: Any) -> Interval:
        if (b := self._operand(other)) is None:
            return NotImplemented
        with np.errstate(over="ignore", invalid="ignore"):
            return _settle(self.lower + b.lower, self.upper + b.upper, self, b)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Interval:
        if (b := self._operand(other)) is None:
            return NotImplemented
        with np.errstate(over="ignore", invalid="ignore"):
            return _settle(self.lower - b.upper, self.upper - b.lower, self, b)

    def __rsub__(self, other: Any) -> Interval:
        b = self._operand(other)
        return NotImplemented if b is None else b - self

    def __neg__(self) -> Interval:
        return Interval._raw(-self.upper, -self.lower)

    def __mul__(self, other: Any) -> Interval:
        """Elementwise product, with 0 * inf = 0."""
        if (b := self._operand(other)) is None:
            return NotImplemented
        with np.errstate(over="ignore", invalid="ignore"):
            if b.ndim == 0 and b.lower is b.upper and b.lower != 0:
                lower, upper = self.lower * b.lower, self.upper * b.lower
                if b.lower < 0:
                    lower, upper = upper, lower
                return _settle(lower, upper, self, b)
            ends: list[Any] = [_times(end, b.lower) for end in (self.lower, self.upper)]
            if b.lower is not b.upper:
                ends += [_times(end, b.upper) for end in (self.lower, self.upper)]
        lower, upper = reduce(np.minimum, ends), reduce(np.maximum, ends)
        # 0 times an empty interval came out as {0}.
        lower = np.where(self.is_empty | b.is_empty, np.inf, lower)
        return _settle(lower, upper, self, b)

    __rmul__ = __mul__

    def __rmatmul__(self, A: Any) -> Interval:
        """The outer hull of the image of a box: for vectors of intervals I,

            (A @ I)_i = sum_j A_ij I_j,   0 * inf = 0,   empty if some I_j is.

        A: (..., m, n) or (n,), finite; I: (..., n); leading axes broadcast. Sums that
        overflow become infinite ends.
        """
        A = _check.real("A", A)
        if not self.ndim or not A.ndim or A.shape[-1] != self.shape[-1]:
            raise ValueError(f"A @ interval cannot join {A.shape} and {self.shape}")
        if A.ndim == 1:
            return (A[None] @ self)[..., 0]
        up, down = np.maximum(A, 0), np.minimum(A, 0)

        def reach(low: Array, high: Array) -> Array:
            if A.ndim == 2:
                return low @ up.T + high @ down.T
            return (up @ low[..., None] + down @ high[..., None])[..., 0]

        # Infinite ends are counted apart: they matter where their coefficient is not 0.
        no_low, no_high = np.isinf(self.lower), np.isinf(self.upper)
        low, high = np.where(no_low, 0, self.lower), np.where(no_high, 0, self.upper)
        no_low, no_high = no_low.astype(self.dtype), no_high.astype(self.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            lower, upper = reach(low, high), reach(high, low)
            below = np.isfinite(lower) & (reach(no_low, -no_high) == 0)
            above = np.isfinite(upper) & (reach(no_high, -no_low) == 0)
        lower, upper = np.where(below, lower, -np.inf), np.where(above, upper, np.inf)
        empty = np.any(self.is_empty, axis=-1, keepdims=True)
        return _emptied(lower, upper, empty)

    def __or__(self, other: Any) -> Interval:
        """The hull, the smallest interval that contains both."""
        if (b := self._operand(other)) is None:
            return NotImplemented
        return Interval._raw(
            np.minimum(self.lower, b.lower), np.maximum(self.upper, b.upper)
        )

    __ror__ = __or__

    def __and__(self, other: Any) -> Interval:
        """The intersection."""
        if (b := self._operand(other)) is None:
            return NotImplemented
        lower, upper = np.maximum(self.lower, b.lower), np.minimum(self.upper, b.upper)
        return _emptied(lower, upper, lower > upper)

    __rand__ = __and__

    def __abs__(self) -> Interval:
        """{|s| : s in I}."""
        return Interval._raw(self.mignitude, np.maximum(-self.lower, self.upper))

    def _operand(self, other: Any) -> Interval | None:
        """`other` as an Interval, numbers and arrays as points; None for the rest."""
        if isinstance(other, Interval):
            return other
        if not isinstance(other, int | float | np.ndarray | np.generic | list | tuple):
            return None
        points = _like(other, _check.real("operand", other, infinite=True), self)
        if np.isfinite(points).all():
            return Interval._raw(points, points)
        return Interval(points)

    @property
    def is_empty(self) -> Mask:
        return self.lower > self.upper

    @property
    def is_point(self) -> Mask:
        return self.lower == self.upper

    @property
    def is_bounded(self) -> Mask:
        """Whether no end is infinite; the empty interval is bounded."""
        return (self.lower > -np.inf) & (self.upper < np.inf)

    @property
    def width(self) -> Array:
        """u - l, and 0 for the empty interval (which `is_empty` tells from a point)."""
        with np.errstate(over="ignore"):
            return np.maximum(self.upper - self.lower, 0)

    @property
    def midpoint(self) -> Array:
        """(l + u) / 2; the finite end of a half-line, 0 for the line.

        ValueError where the interval is empty.
        """
        self._refuse_empty("midpoint")
        low, high = self.lower, self.upper
        low = np.where(np.isfinite(low), low, high)
        high = np.where(np.isfinite(high), high, low)
        # Halves first, so that the sum cannot overflow; the clip undoes underflow.
        middle = np.clip(0.5 * low + 0.5 * high, self.lower, self.upper)
        return np.where(np.isfinite(middle), middle, 0)[()]

    @property
    def magnitude(self) -> Array:
        """sup |s| over the interval, 0 for the empty one."""
        return np.maximum(np.maximum(-self.lower, self.upper), 0)

    @property
    def mignitude(self) -> Array:
        """inf |s| over the interval, +inf for the empty one."""
        return np.maximum(np.maximum(self.lower, -self.upper), 0)

    def clip(self, y: Any) -> Array:
        """The nearest point to `y`, elementwise; ValueError where there is none."""
        self._refuse_empty("clip")
        y = _like(y, _check.real("y", y), self)
        return np.minimum(np.maximum(y, self.lower), self.upper)

    def contains(self, z: Any, tol: Any = 0.0) -> Mask:
        """Whether l - tol <= z <= u + tol, elementwise; +-inf is never contained.

        tol: absolute, >= 0, broadcasts.
        """
        z = _check.real("z", z, infinite=True)
        tol = _check.nonnegative("tol", tol)
        with np.errstate(over="ignore"):
            inside = (self.lower - tol <= z) & (z <= self.upper + tol)
        return inside & np.isfinite(z)

    def __contains__(self, z: Any) -> bool:
        inside = self.contains(z)
        if inside.ndim:
            raise TypeError("`in` is for one number and one interval; use contains(z)")
        return bool(inside)

    def __eq__(self, other: object) -> Any:
        """Equality of sets, elementwise; a bool for two single intervals."""
        if not isinstance(other, Interval):
            return NotImplemented
        return _answer((self.lower == other.lower) & (self.upper == other.upper))

    def __ne__(self, other: object) -> Any:
        if not isinstance(other, Interval):
            return NotImplemented
        return _answer((self.lower != other.lower) | (self.upper != other.upper))

    def __le__(self, other: Interval) -> Any:
        """Inclusion, elementwise; a bool for two single intervals."""
        if not isinstance(other, Interval):
            return NotImplemented
        return _answer((other.lower <= self.lower) & (self.upper <= other.upper))

    def __lt__(self, other: Interval) -> Any:
        """Strict inclusion: I <= J and I != J."""
        if not isinstance(other, Interval):
            return NotImplemented
        return _answer(np.logical_and(self <= other, self != other))

    def _refuse_empty(self, what: str) -> None:
        if self.is_empty.any():
            raise ValueError(f"{what} needs nonempty intervals, got an empty one")

    def __str__(self) -> str:
        return self._text("")

    def __repr__(self) -> str:
        return f"Interval({self._text('Interval(')})"

    def _text(self, prefix: str) -> str:
        return _interval_text.layout(self.lower, self.upper, prefix)

    def to_portion(self) -> portion.Interval:
        """The single interval as a portion.Interval, infinite ends open."""
        if self.ndim:
            raise ValueError(f"to_portion needs one interval, got shape {self.shape}")
        return _interval_text.to_portion(float(self.lower), float(self.upper))

    @classmethod
    def from_portion(cls, p: portion.Interval) -> Interval:
        """The Interval of a portion.Interval that is closed in R, with real ends.

        ValueError for a union, an open finite end or nan.
        """
        ends = _interval_text.from_portion(p)
        return cls.empty() if ends is None else cls(*ends)


def _like(a: Any, array: Array, other: Array | Interval) -> Array:
    """`array`, made of `a`; a python number takes the type of the other operand."""
    if type(a) in (bool, int, float) and (abs(a) <= _MAX32 or math.isinf(a)):
        return array.astype(other.dtype)
    return array


def _emptied(lower: Array, upper: Array, empty: Mask) -> Interval:
    """The Interval of two new arrays, which are overwritten where it is empty."""
    if empty.any():
        lower, upper = np.asarray(lower), np.asarray(upper)
        # Positions are several times faster than the mask where many are empty.
        positions = np.flatnonzero(np.broadcast_to(empty, lower.shape))
        lower.put(positions, np.inf)
        upper.put(positions, -np.inf)
    return Interval._raw(lower[()], upper[()])


def _settle(lower: Array, upper: Array, a: Interval, b: Interval) -> Interval:
    """The new ends of a op b, where empty operands gave nan and finite ends overflowed.

    A lower end that overflows to +inf is moved back to the largest number.
    """
    # Two reductions find out that nothing is to be done; nan passes through them.
    low, up = np.max(lower, initial=-np.inf), np.min(upper, initial=np.inf)
    if low < np.inf and up > -np.inf:
        return Interval._raw(lower, upper)
    largest, empty = np.finfo(lower.dtype).max, a.is_empty | b.is_empty
    lower, upper = np.asarray(lower), np.asarray(upper)
    np.minimum(lower, largest, out=lower)
    np.maximum(upper, -largest, out=upper)
    return _emptied(lower, upper, empty)


def _times(a: Array, b: Array) -> Array:
    product = a * b
    nan = np.isnan(product)
    return np.where(nan, 0, product) if nan.any() else product


def _answer(mask: Mask) -> Any:
    return mask if mask.ndim else bool(mask)
