"""Closed convex functions of one real variable, applied to every entry of an array."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._batch import Batched
from .._check import Array, nonnegative, positive, real
from ..interval import Interval
from ._bisection import LARGEST, last
from ._points import union

if TYPE_CHECKING:
    import portion

    from .monotone import MonotoneOperator

Number = Array | float
Mask = NDArray[np.bool_]
_ROUNDING = 4 * np.finfo(np.float64).eps


class Univariate(Batched):
    r"""
    A closed proper convex function on the line, with its one-sided derivatives

        φ: R -> R ∪ {+inf},     ∂φ(t) = [φ'(t-), φ'(t+)] ∩ R.

    The derivatives are extended: both are -inf to the left of the domain and +inf to
    its right, so that they are nondecreasing on R and the formula holds everywhere.

    Every method works entry by entry on arrays t of shape (..., n). A parameter of
    batch shape b belongs to one problem each and acts as an array of shape b + (1,);
    an ordinary number goes with everything and leaves float32 alone.

    A subclass gives `ends`, `infimum`, `_value`, `_left` and `_right`, for prox and
    ε > 0 as much as it knows in closed form. What is left of these two is found by
    halving to the last bit; ε then needs `conjugate`.

    Source: Rockafellar, Convex Analysis, sections 23 and 24.
    """

    __array_ufunc__ = None
    polyhedral: bool = False
    is_convex: bool = True
    # Whether both derivatives are finite on all of R, so that no ∂φ(t) is empty.
    _everywhere: bool = False

    # -- what a subclass says ---------------------------------------------------------

    @property
    def ends(self) -> tuple[Number, Number]:
        """The ends of the domain, which belong to it or not; arrays for a batch."""
        raise NotImplementedError(f"{type(self).__name__} has no ends")

    @property
    def infimum(self) -> float:
        """inf φ, -inf if unbounded below; for a batch the least one."""
        raise NotImplementedError(f"{type(self).__name__} has no infimum")

    def conjugate(self) -> Univariate:
        """φ*(s) = sup_t s t - φ(t)."""
        raise NotImplementedError(f"{type(self).__name__} has no conjugate")

    def biconjugate(self) -> Univariate:
        """φ** = φ, up to rounding, as φ is closed, proper and convex."""
        return self.conjugate().conjugate()

    def monotone_operator(self) -> MonotoneOperator:
        """∂φ as a maximal monotone operator, with its inverse and resolvent."""
        from .monotone import MonotoneOperator

        return MonotoneOperator(self)

    def to_cvxpy(self, x: Any) -> Any:
        """φ of every entry of a cvxpy expression."""
        raise NotImplementedError(f"{type(self).__name__} has no cvxpy form")

    def _value(self, t: Array) -> Array:
        raise NotImplementedError(f"{type(self).__name__} has no value")

    def _left(self, t: Array) -> Array:
        raise NotImplementedError(f"{type(self).__name__} has no left derivative")

    def _right(self, t: Array) -> Array:
        raise NotImplementedError(f"{type(self).__name__} has no right derivative")

    def _shape(self, t: Array) -> tuple[int, ...]:
        """The shape of an answer at t."""
        batch = self.batch
        return np.broadcast_shapes(t.shape, (*batch, 1)) if batch else t.shape

    def _dtype(self, t: Array) -> np.dtype[Any]:
        """That of t and of the batched parameters; the others act as numbers."""
        parameters = ((getattr(self, name), n) for name, n in self._arrays.items())
        return np.result_type(t, *(p.dtype for p, n in parameters if p.ndim > n))

    def _cast(self, out: Array, t: Array, step: Number) -> Array:
        """Back to the type that t and the parameters ask for."""
        return out.astype(np.result_type(self._dtype(t), step), copy=False)

    def _refuse(self) -> None:
        """ValueError unless this is a closed proper convex function."""

    def argmin(self) -> portion.Interval:
        """{t : φ(t) = inf φ} = ∂φ*(0), perhaps empty; for one function, not a batch."""
        if self.batch:
            raise ValueError(
                f"argmin is that of one function, got a batch of shape {self.batch}"
            )
        return self.conjugate().subdifferential(0.0).to_portion()

    # -- evaluation -------------------------------------------------------------------

    def __call__(self, t: Any) -> Any:
        """φ(t) for numbers and arrays; φ∘t for an affine map or a function t."""
        compose = getattr(t, "_compose_univariate", None)
        return self.value(t) if compose is None else compose(self)

    def value(self, t: Any) -> Array:
        """φ(t), +inf outside the domain; at t = ±inf the limit."""
        return self._value(real("t", t, infinite=True))[()]

    @property
    def domain(self) -> portion.Interval:
        """Where φ is finite, as a portion.Interval; for one function, not a batch."""
        if self.batch:
            raise ValueError(
                "domain is that of one function, got a batch of shape "
                f"{self.batch}; ends has their arrays"
            )
        ends = np.array(self.ends, np.float64)
        closed = self._value(ends) < np.inf
        return union([(*ends.tolist(), *closed.tolist())])

    # -- derivatives ------------------------------------------------------------------

    def left_slope(self, t: Any) -> Array:
        """The lower end of ∂φ(t), +inf where that is empty."""
        return self._left_slope(real("t", t))[()]

    def right_slope(self, t: Any) -> Array:
        """The upper end of ∂φ(t), -inf where that is empty."""
        return self._right_slope(real("t", t))[()]

    def _left_slope(self, t: Array) -> Array:
        return self._left(t) if self._everywhere else self._slopes(t)[0]

    def _right_slope(self, t: Array) -> Array:
        return self._right(t) if self._everywhere else self._slopes(t)[1]

    def _both(self, t: Array) -> tuple[Array, Array]:
        return self._left(t), self._right(t)

    def _slopes(self, t: Array) -> tuple[Array, Array]:
        left, right = self._both(t)
        if self._everywhere:
            return left, right
        empty = (left == right) & np.isinf(left)
        return np.where(empty, np.inf, left), np.where(empty, -np.inf, right)

    def directional_derivative(self, t: Any, d: Any) -> Array:
        """
        φ'(t; d) = φ'(t+) d for d > 0, φ'(t-) d for d < 0, 0 for d = 0,

        with t in the domain. It is +inf where d leaves the domain and -inf along an
        infinitely steep descent, such as that of t log t at 0.
        """
        return self._directional(real("t", t), _plain(real("d", d)))[()]

    def _directional(self, t: Array, d: Number) -> Array:
        with np.errstate(invalid="ignore"):
            along = np.where(np.greater(d, 0), self._right(t) * d, self._left(t) * d)
        return np.where(np.equal(d, 0), 0.0, along).astype(along.dtype, copy=False)

    def subdifferential(self, t: Any, eps: Any = 0.0) -> Interval:
        """
        The ε-subdifferential, empty outside the domain,

            ∂_ε φ(t) = {g : φ(s) >= φ(t) + g (s - t) - ε for all s}
                     = {g : φ(t) + φ*(g) - g t <= ε}.

        For ε > 0 the answer is a closed form or, in the absence of one, the set of the
        g that satisfy the second line by more than the rounding error, and ∂φ(t).
        eps broadcasts with t and must not be negative.

        For an array of intervals t, the closure of the union over the points of each,
        which is an interval: both ends of ∂_ε φ are nondecreasing in t, and

            cl ∪ ∂_ε φ(s) for s in [a, b]  =  [inf ∂_ε φ(a), sup ∂_ε φ(b)]

        when a and b are in the domain, or have been moved to its nearest end.
        """
        if isinstance(t, Interval):
            return self._over(t, _plain(nonnegative("eps", eps)))
        return self._subdifferential(real("t", t), _plain(nonnegative("eps", eps)))

    def _over(self, t: Interval, eps: Number) -> Interval:
        low, high = (np.asarray(e) for e in self.ends)
        low, high = (e[..., None] if self.batch else e for e in (low, high))
        a, b = np.maximum(t.lower, low), np.minimum(t.upper, high)
        # One point, perhaps an end at which ∂φ is empty, or none.
        point = self._subdifferential(np.where(np.isfinite(a), a, 0.0), eps)
        lower, upper = self._left(a), self._right(b)
        if np.any(eps):
            # With ε = 0 an end may have an empty set beside others that do not.
            size = [abs(self._value(e)) + abs(e) for e in (a, b)]
            wider = [np.isfinite(x) & np.greater(eps, 0) for x in size]
            ends = [
                self._subdifferential(np.where(ok, e, 0.0), eps)
                for ok, e in zip(wider, (a, b), strict=True)
            ]
            lower = np.where(wider[0], ends[0].lower, lower)
            upper = np.where(wider[1], ends[1].upper, upper)
        wide, single = a < b, a == b
        lower = np.where(wide, lower, np.where(single, point.lower, np.inf))
        # Of slopes that are almost equal rounding may make the first the larger one.
        upper = np.maximum(lower, upper)
        upper = np.where(wide, upper, np.where(single, point.upper, -np.inf))
        return Interval(lower, upper)

    def _subdifferential(self, t: Array, eps: Number = 0.0) -> Interval:
        left, right = self._slopes(t)
        if np.any(eps):
            lower, upper = self._widened(t, eps)
            wide = np.greater(eps, 0) & (self._value(t) < np.inf)
            dtype = np.result_type(self._dtype(t), eps)
            left = np.where(wide, np.minimum(lower, left), left).astype(dtype)
            right = np.where(wide, np.maximum(upper, right), right).astype(dtype)
        return Interval._raw(left[()], right[()])

    def _widened(self, t: Array, eps: Number) -> tuple[Array, Array]:
        """The ends of ∂_ε φ(t) where ε > 0 and φ(t) is finite, anything elsewhere."""
        left, right = self._left(t), self._right(t)
        gap = self._gap(t.astype(np.float64, copy=False))

        def inside(g: Array) -> Mask:
            excess, size = gap(g)
            return excess + _ROUNDING * size <= eps

        shape = np.broadcast_shapes(self._shape(t), np.shape(eps))
        with np.errstate(over="ignore", invalid="ignore"):
            start = np.where(np.isfinite(right), right, left)
            start = np.clip(start, -LARGEST, LARGEST)
            start = np.broadcast_to(start, shape).astype(np.float64)
            upper = last(inside, start, LARGEST)
            lower = last(inside, start, -LARGEST)
        # At a left end of the domain the set goes down to -inf, at a right one to +inf.
        lower = np.where(left == -np.inf, -np.inf, lower)
        upper = np.where(right == np.inf, np.inf, upper)
        return lower, upper

    def _gap(self, t: Array) -> Callable[[Array], tuple[Array, Array]]:
        """g -> φ(t) + φ*(g) - g t, and the size to which its rounding is relative."""
        conjugate, value = self.conjugate(), self._value(t)

        def gap(g: Array) -> tuple[Array, Array]:
            dual, product = conjugate._value(g), g * t
            return value + dual - product, abs(value) + abs(dual) + abs(product)

        return gap

    def saturation(self, t: Any) -> Array:
        """The least ε from which on ∂_ε φ(t) stops growing, +inf if there is none."""
        return self._saturation(real("t", t))[()]

    def _saturation(self, t: Array) -> Array:
        return np.full(self._shape(t), np.inf, self._dtype(t))

    # -- prox -------------------------------------------------------------------------

    def prox(self, t: Any, step: Any = 1.0) -> Array:
        """argmin_s φ(s) + (s - t)² / (2 step), with step > 0 broadcasting with t."""
        return self._prox(real("t", t), _plain(positive("step", step)))[()]

    def _prox(self, t: Array, step: Number) -> Array:
        def before(s: Array) -> Mask:
            return s + step * self._left(s) <= t

        start = np.full(np.broadcast_shapes(self._shape(t), np.shape(step)), -LARGEST)
        with np.errstate(over="ignore", invalid="ignore"):
            p = last(before, start, LARGEST)
        return self._cast(p, t, step)

    def _curvature(self, t: Array) -> Array:
        """φ''(t), one of its limits where it jumps, +inf at kinks and ends."""
        raise NotImplementedError(f"{type(self).__name__} has no second derivative")

    def _prox_slope(self, t: Array, step: Number) -> Array:
        """The derivative of the prox, one of its limits where it jumps."""
        return 1 / (1 + step * self._curvature(self._prox(t, step)))

    # -- affine changes, see `Transformed` --------------------------------------------

    def __add__(self, other: Any) -> Any:
        """φ plus a number or an affine function of `t`."""
        from .transformed import plus

        return plus(self, other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self + -other

    def __truediv__(self, divisor: Any) -> Any:
        return (
            self * (1 / divisor) if isinstance(divisor, int | float) else NotImplemented
        )

    def __mul__(self, factor: Any) -> Any:
        """factor * φ for a number > 0."""
        from .transformed import times

        return times(self, factor)

    __rmul__ = __mul__

    # -- order ------------------------------------------------------------------------

    def nondecreasing_from(self, m: float) -> bool:
        """
        Whether φ is nondecreasing on [m, inf), for all members of a batch; m = -inf
        asks about the whole line. Since the right derivative is nondecreasing, it
        decides at m; to the left of the domain, where φ falls from +inf, it is -inf.
        """
        self._refuse()
        return bool(np.all(self._right(real("m", m, infinite=True)) >= 0))

    def __repr__(self) -> str:
        shown = [name for name in self._arrays if not name.startswith("_")]
        fields = (f"{name}={getattr(self, name).tolist()}" for name in shown)
        return f"{type(self).__name__}({', '.join(fields)})"


class Smooth(Univariate):
    """A univariate function whose two derivatives agree, in the extended sense."""

    def _derivative(self, t: Array) -> Array:
        raise NotImplementedError(f"{type(self).__name__} has no derivative")

    def _left(self, t: Array) -> Array:
        return self._derivative(t)

    def _right(self, t: Array) -> Array:
        return self._derivative(t)

    def _slopes(self, t: Array) -> tuple[Array, Array]:
        slope = self._derivative(t)
        if self._everywhere:
            return slope, slope
        empty = np.isinf(slope)
        return np.where(empty, np.inf, slope), np.where(empty, -np.inf, slope)


def constant(p: Array) -> Array:
    """A read-only copy."""
    p = np.array(p)
    p.flags.writeable = False
    return p


def column(p: Array) -> Any:
    """A parameter of core shape (), ready to meet arrays of shape (..., n)."""
    return p[..., None] if p.ndim else p.item()


def single(p: Array, core: int = 0) -> Any:
    """A parameter without batch, as Python numbers."""
    if p.ndim > core:
        raise ValueError(
            "to_cvxpy takes one function at a time, got a batch of shape "
            f"{p.shape[: p.ndim - core]}"
        )
    return p.tolist()


def _plain(p: Array) -> Number:
    """Arrays without axes as Python numbers, which do not widen float32."""
    return p.item() if p.ndim == 0 else p
