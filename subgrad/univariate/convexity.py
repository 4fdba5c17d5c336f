"""Where piecewise polynomials are convex and closed, and where they are least."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from .._check import Array
from ._coefficients import evaluate, middles
from ._points import Atom, union
from ._polynomials import ROUNDING, SIDES, Mask, Pieces, constant
from .convex import Univariate

if TYPE_CHECKING:
    import portion

    from .piecewise import Piecewise


class Convexity(Univariate):
    """
    The order side of `Piecewise`, whose docstring gives the notation.

    f is convex on its domain iff that is an interval, f is continuous inside it, the
    second derivative there is a nonnegative measure (no piece bends down, no slope
    falls), and the values at the ends are at least the limits. It is closed if it is
    nowhere above its limits.
    """

    _pieces: Pieces
    _both_slopes: tuple[Pieces, Pieces]
    _atoms: list[Atom]
    _of: Callable[[Pieces], Piecewise]

    @property
    def is_convex(self) -> bool:  # type: ignore[override]
        """Whether f is convex, and defined and above -inf everywhere."""
        return not self._violation

    @property
    def is_closed(self) -> bool:
        """Whether f is lower semicontinuous, +inf outside its domain."""
        f = self._pieces
        with np.errstate(invalid="ignore"):
            below = [(f.values <= f.limits(s)) | f.meets(s) for s in SIDES]
        return bool(np.all(below[0] & below[1]))

    @cached_property
    def _violation(self) -> str:
        """What keeps f from being convex."""
        f = self._pieces
        if not (np.all(f.coefficients[:, 0] > -np.inf) and np.all(f.values > -np.inf)):
            return (
                "it is undefined or -inf somewhere; where(f.domain, f, inf) makes it "
                "+inf there"
            )
        if len(self._atoms) > 1:
            return f"its domain {union(self._atoms)} is not an interval"
        lower, upper = self.ends
        inside = (f.points > lower) & (f.points < upper)
        for k in np.flatnonzero(inside & ~f.continuous)[:1]:
            left, right = (f.limits(side)[k] for side in SIDES)
            at = f", where it is {f.values[k]}" if f.joined[k] else f" to {right}"
            return f"it jumps from {left}{at} at t = {f.points[k]}"
        left, right = (slope.values for slope in self._both_slopes)
        for k in np.flatnonzero(inside & (left > right))[:1]:
            return f"its slope falls from {left[k]} to {right[k]} at t = {f.points[k]}"
        cut = f.slope.slope
        low = cut.coefficients[:, 0] < 0
        if cut.coefficients.shape[-1] > 1:
            cut = cut.crossings(constant(0.0))[0]
            h = middles(cut.points) - cut.anchors
            value, size = _with_size(cut.coefficients, h)
            low = cut.finite & (value < -ROUNDING * size)
        for k in np.flatnonzero(low)[:1]:
            start, stop = (end[k] for end in cut.bounds())
            return f"its second derivative is negative on ({start}, {stop})"
        for side in SIDES:
            limit = f.limits(side)
            low = ~f.meets(side) & (f.values < limit) & (limit < np.inf)
            for k in np.flatnonzero(low)[:1]:
                return (
                    f"its value {f.values[k]} at the end t = {f.points[k]} of the "
                    f"domain is below the limit {limit[k]}"
                )
        return ""

    @cached_property
    def _fault(self) -> str:
        """What keeps f from being a closed proper convex function."""
        if self._violation:
            return f"the function must be convex, but {self._violation}"
        if not self._atoms:
            return "the function must be finite somewhere, but it is +inf everywhere"
        if not self.is_closed:
            return (
                "the function must be closed, but at an end of its domain it is above "
                "its limit; closure() gives the closed one"
            )
        return ""

    def _refuse(self) -> None:
        if self._fault:
            raise ValueError(self._fault)

    @property
    def polyhedral(self) -> bool:  # type: ignore[override]
        """Whether the epigraph of the convex function is a polyhedron."""
        return self._pieces.coefficients.shape[-1] <= 2

    @cached_property
    def _everywhere(self) -> bool:  # type: ignore[override]
        return bool(np.all(self._pieces.finite)) and not self._violation

    def closure(self) -> Piecewise:
        """The largest closed function below f, that is min(f(t-), f(t), f(t+))."""
        f = self._pieces
        values = f.values
        for side in SIDES:
            lower = (f.limits(side) < values) & ~f.meets(side)
            values = np.where(lower, f.limits(side), values)
        return self._of(Pieces(f.points, f.coefficients, f.anchors, values))

    # -- where f is small -------------------------------------------------------------

    @cached_property
    def _monotone(self) -> tuple[Pieces, Array]:
        """f cut where it turns, and the sign of its slope on every piece."""
        f = self._pieces
        cut, _, sign = f.slope.crossings(constant(0.0))
        return f.refined(cut.points), sign

    @cached_property
    def _least(self) -> tuple[float, float]:
        """inf f, and the size of the terms that it is the sum of."""
        f = self._monotone[0]
        ends = np.array([np.inf, f._at_infinity(0, -1), f._at_infinity(-1, 1)])
        lows = [ends, f.values, *(f.limits(side) for side in SIDES)]
        left, right = _sizes(f)
        sizes = [np.zeros(3), np.maximum(left, right), left, right]
        k = np.nanargmin(np.concatenate(lows))
        return float(np.concatenate(lows)[k]), float(np.concatenate(sizes)[k])

    @property
    def infimum(self) -> float:
        """inf f, attained or not; +inf if the domain is empty."""
        return self._least[0]

    def argmin(self) -> portion.Interval:
        """
        {t : f(t) = inf f}, empty if there is no such t; f need not be convex.

        Values that differ from inf f by rounding count as equal to it, unless f still
        falls on one of the two sides.
        """
        f, sign = self._monotone
        value, size = _with_size(f.coefficients, middles(f.points) - f.anchors)
        pieces = self._is_least(value, size) & ((sign == 0) | ~f.finite)
        falls = (sign[:-1] > 0) & f.meets("left"), (sign[1:] < 0) & f.meets("right")
        points = self._is_least(f.values, np.maximum(*_sizes(f)))
        points &= ~(falls[0] | falls[1])
        found = union(f.where(pieces, points))
        return found.enclosure if self.is_convex else found

    def _is_least(self, value: Array, size: Array) -> Mask:
        low, terms = self._least
        with np.errstate(invalid="ignore"):
            near = value <= low + ROUNDING * (terms + size)
        return (near | (value == low)) & (value < np.inf)

    def sublevel(self, level: float) -> portion.Interval:
        """{t : f(t) <= level}."""
        return self <= level  # type: ignore[operator]


def _with_size(c: Array, h: Array) -> tuple[Array, Array]:
    """The value of polynomials and the size of its terms."""
    return evaluate(c, h), evaluate(abs(c), abs(h))


def _sizes(f: Pieces) -> tuple[Array, ...]:
    """The sizes of the terms of the limits, 0 at the ends of the domain."""
    return tuple(np.nan_to_num(f.size(side), posinf=0.0) for side in SIDES)
