"""The derivatives of piecewise polynomials: pointwise, one-sided, and sets of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from .._check import Array, real
from ..interval import Interval
from ._coefficients import blank
from ._polynomials import SIDES, Pieces, Side, checked
from .transforms import ConvexTransforms

if TYPE_CHECKING:
    from .distribution import Distribution
    from .piecewise import Piecewise


class Derivatives(ConvexTransforms):
    """The derivatives of `Piecewise`, whose docstring gives the notation."""

    # -- the pointwise derivative -----------------------------------------------------

    @checked
    def derivative(self) -> Piecewise:
        """
        The pointwise derivative, undefined wherever f has none: at kinks and jumps, at
        the ends of the domain and outside it. It evaluates to nan there.
        """
        f = self._pieces
        smooth = np.flatnonzero(f.continuous & f.slope.joined)
        return self._of(f.slope.valued(smooth, f.slopes[1][smooth]))

    def is_differentiable(self, t: Any) -> Any:
        """Whether f has a derivative at t, entry by entry."""
        return np.isfinite(self.derivative().value(real("t", t)))

    @property
    def kinks(self) -> Array:
        """The points at which f is continuous and its one-sided slopes differ."""
        f = self._pieces
        return f.points[f.continuous & ~f.slope.joined]

    @property
    def jumps(self) -> Array:
        """The points with f on both sides at which it is not continuous."""
        f = self._pieces
        return f.points[f.finite[:-1] & f.finite[1:] & ~f.continuous]

    def left_derivative(self, t: Any) -> Array:
        """
        lim (f(t) - f(t - h)) / h for h -> 0+, ±inf at a jump to the left of t, and at
        an end of the domain if f is +inf behind it; nan where f is not finite.
        """
        return self._one_sided(t, self._left)

    def right_derivative(self, t: Any) -> Array:
        """
        lim (f(t + h) - f(t)) / h for h -> 0+, ±inf at a jump to the right of t, and at
        an end of the domain if f is +inf behind it; nan where f is not finite.
        """
        return self._one_sided(t, self._right)

    def _one_sided(self, t: Any, slope: Callable[[Array], Array]) -> Array:
        t = real("t", t)
        return np.where(np.isfinite(self._value(t)), slope(t), np.nan)[()]

    def _left(self, t: Array) -> Array:
        return self._slopes_of("left")(t).astype(t.dtype, copy=False)

    def _right(self, t: Array) -> Array:
        return self._slopes_of("right")(t).astype(t.dtype, copy=False)

    def _both(self, t: Array) -> tuple[Array, Array]:
        left, right = self._both_slopes
        low, high = left.read(t, left.values, right.values)
        return low.astype(t.dtype, copy=False), high.astype(t.dtype, copy=False)

    def _slopes_of(self, side: Side) -> Pieces:
        return self._both_slopes[side == "right"]

    @cached_property
    @checked
    def _both_slopes(self) -> tuple[Pieces, Pieces]:  # type: ignore[override]
        """
        The one-sided derivatives as functions; in the extended sense of `Univariate`
        they are -inf to the left of the domain and +inf to its right.
        """
        f, (lower, upper) = self._pieces, self.ends
        before, behind = f.bounds()
        outside = np.where(before >= upper, np.inf, np.nan)
        outside = np.where(behind <= lower, -np.inf, outside)
        infinite = f.coefficients[:, 0] == np.inf
        c = blank(f.slope.coefficients, np.where(infinite, outside, 0.0))
        out = []
        for side, slopes, sign in zip(SIDES, f.slopes, (-1, 1), strict=True):
            slopes = slopes.copy()
            k = np.flatnonzero(~f.meets(side))
            t, v = f.points[k], f.values[k]
            with np.errstate(invalid="ignore"):
                jump = sign * np.inf * np.sign(f.limits(side)[k] - v)
            beyond = np.where(t >= upper, np.inf, np.nan)
            beyond = np.where(t <= lower, -np.inf, beyond)
            beyond = np.where(v == np.inf, beyond, np.nan)
            slopes[k] = np.where(np.isfinite(v), jump, beyond)
            out.append(Pieces(f.points, c, f.anchors, slopes))
        return out[0], out[1]

    # -- distributions ----------------------------------------------------------------

    def distributional_derivative(self, order: int = 1) -> Distribution:
        """
        The derivative as a distribution, which lives on the interior of the closure of
        the domain: neither single points nor what happens at them matter.
        """
        from .distribution import Distribution

        return Distribution._of({None: self._pieces}, {}).derivative(order)

    @property
    def is_absolutely_continuous(self) -> bool:
        """Whether f is absolutely continuous on the compact intervals of its domain."""
        f = self._pieces
        sides = zip((f.finite[:-1], f.finite[1:]), SIDES, strict=True)
        broken = [near & ~f.meets(side) for near, side in sides]
        return not np.any(np.isfinite(f.values) & (broken[0] | broken[1]))

    # -- subdifferentials of functions that need not be convex ------------------------

    def clarke_subdifferential(self, t: Any) -> Interval:
        """
        Clarke's subdifferential, the hull of the limits of derivatives near t,

            [min(f'(t-), f'(t+)), max(f'(t-), f'(t+))].

        ValueError where f is not Lipschitz continuous around t: at a jump, at an end of
        the domain and outside. Clarke, Optimization and Nonsmooth Analysis, 2.5.
        """
        t = real("t", t)
        left, right = self._left(t), self._right(t)
        wrong = ~(np.isfinite(left) & np.isfinite(right))
        if wrong.any():
            raise ValueError(
                "Clarke's subdifferential needs f to be Lipschitz continuous around t, "
                f"which it is not at t = {t[wrong].flat[0]}"
            )
        return Interval(np.minimum(left, right), np.maximum(left, right))

    def frechet_subdifferential(self, t: Any) -> Interval:
        """
        Fréchet's subdifferential {g : f(s) >= f(t) + g (s - t) - o(|s - t|)},

            [f'(t-), f'(t+)], empty if these are reversed, and outside the domain.
        """
        left, right = self.left_derivative(t), self.right_derivative(t)
        empty = ~(left <= right)
        return Interval(np.where(empty, np.inf, left), np.where(empty, -np.inf, right))
