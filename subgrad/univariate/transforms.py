"""Convexity of piecewise polynomials, and the transforms of convex ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from .._check import Array, positive
from ..interval import Interval
from ._coefficients import derivative, evaluate, middles
from ._graph import Graph
from ._pieces import pick, search
from ._points import Atom, union
from ._polynomials import ROUNDING, SIDES, Pieces, constant
from .convex import _LARGEST, Mask, Number, Univariate, _last

if TYPE_CHECKING:
    import portion

    from .piecewise import Piecewise


class ConvexTransforms(Univariate):
    """
    The convex side of `Piecewise`, whose docstring gives the notation.

    f is convex on its domain iff that is an interval, f is continuous inside it, the
    second derivative there is a nonnegative measure (no piece bends down, no slope
    falls), and the values at the ends are at least the limits. It is closed if it is
    nowhere above its limits.

    The transforms of functions of degree <= 2 work on the graph of ∂f, a polyline:
    the conjugate exchanges its coordinates, the Moreau envelope shears it.

    Source: Rockafellar, Convex Analysis, sections 23, 24 and 31; Lucet, Bauschke and
    Trienis, The piecewise linear-quadratic model for computational convex analysis.
    """

    _pieces: Pieces
    _both_slopes: tuple[Pieces, Pieces]
    _atoms: list[Atom]
    _of: Callable[[Pieces], Piecewise]

    # -- convex or not ----------------------------------------------------------------

    @property
    def is_convex(self) -> bool:  # type: ignore[override]
        """Whether f, +inf outside its domain, is convex."""
        return not self._violation

    @property
    def is_closed(self) -> bool:
        """Whether f is lower semicontinuous, +inf outside its domain."""
        f = self._pieces
        with np.errstate(invalid="ignore"):
            below = [(f.values <= f.limits(s)[0]) | f.meets(s) for s in SIDES]
        return bool(np.all(below[0] & below[1]))

    @cached_property
    def _violation(self) -> str:
        """What keeps f from being convex."""
        f = self._pieces
        both = np.r_[f.coefficients[:, 0], f.values]
        if not np.all(both > -np.inf):
            return "it is undefined or -inf somewhere"
        if len(self._atoms) > 1:
            return f"its domain {union(self._atoms)} is not an interval"
        lower, upper = self.ends
        inside = (f.points > lower) & (f.points < upper)
        for k in np.flatnonzero(inside & ~f.continuous)[:1]:
            left, right = (f.limits(side)[0][k] for side in SIDES)
            at = f", where it is {f.values[k]}" if left == right else f" to {right}"
            return f"it jumps from {left}{at} at t = {f.points[k]}"
        left, right = (slope.values for slope in self._both_slopes)
        for k in np.flatnonzero(inside & (left > right))[:1]:
            return f"its slope falls from {left[k]} to {right[k]} at t = {f.points[k]}"
        bend = derivative(derivative(f.coefficients))
        second = Pieces(f.points, bend, f.anchors, np.full(f.points.size, np.nan))
        cut = second.crossings(constant(0.0))[0]
        t, c = middles(cut.points), cut.coefficients
        value, size = (evaluate(a, b) for a, b in _signed(c, t - cut.anchors))
        for k in np.flatnonzero(cut.finite & (value < -ROUNDING * size))[:1]:
            return f"its second derivative is negative at t = {t[k]}"
        for side in SIDES:
            low = f.values < f.limits(side)[0]
            for k in np.flatnonzero(low & ~f.meets(side) & np.isfinite(f.values))[:1]:
                limit = f.limits(side)[0][k]
                if np.isfinite(limit):
                    return (
                        f"its value {f.values[k]} at the end t = {f.points[k]} of the "
                        f"domain is below the limit {limit}"
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

    def closure(self) -> Piecewise:
        """The largest closed function below f, that is min(f(t-), f(t), f(t+))."""
        f = self._pieces
        limits = [f.limits(side)[0] for side in SIDES]
        values = np.minimum(np.minimum(*limits), f.values)
        return self._of(Pieces(f.points, f.coefficients, f.anchors, values))

    def convex_hull(self) -> Piecewise:
        """
        The closed convex envelope, the largest closed convex function below f, f**.

        Exact for pieces of degree <= 2, by root finding above. ValueError where it is
        -inf, and for a function that is undefined or +inf everywhere.
        """
        from ._hull import lower_hull

        f = self.closure()._pieces
        if not np.all(np.r_[f.coefficients[:, 0], f.values] > -np.inf):
            raise ValueError("f must be above -inf and defined everywhere")
        if not self._atoms:
            raise ValueError("f must be finite somewhere, but it is +inf everywhere")
        # Every piece with its ends, and the points that lie below both neighbours.
        lower, upper = f.bounds()
        low = np.isfinite(f.values) & ~(f.meets("left") | f.meets("right"))
        rows, points = np.flatnonzero(f.finite), np.flatnonzero(low)
        c = np.zeros((points.size, f.coefficients.shape[-1]))
        c[:, 0] = f.values[points]
        order = np.argsort(np.r_[2 * rows, 2 * points + 1], kind="stable")
        arcs = [
            np.r_[a, b][order]
            for a, b in (
                (lower[rows], f.points[points]),
                (upper[rows], f.points[points]),
                (f.coefficients[rows], c),
                (f.anchors[rows], f.points[points]),
            )
        ]
        t, c, anchors = lower_hull(*arcs)
        first, last = arcs[0][0], arcs[1][-1]
        if first == last:
            t, c, anchors = np.zeros(0), np.zeros((0, 1)), np.zeros(0)
        outside = np.zeros((1, c.shape[-1]))
        outside[0, 0] = np.inf
        if np.isfinite(first):
            t, c, anchors = np.r_[first, t], np.r_[outside, c], np.r_[first, anchors]
        if np.isfinite(last) and (first < last or not t.size):
            t, c, anchors = np.r_[t, last], np.r_[c, outside], np.r_[anchors, last]
        if first == last:
            c, anchors = np.r_[outside, outside], np.r_[first, first]
            return self._of(Pieces(t, c, anchors, arcs[2][:1, 0]))
        new = Pieces(t, c, anchors, np.zeros_like(t))
        left, right = (new.limits(side)[0] for side in SIDES)
        return self._of(Pieces(t, c, anchors, np.minimum(left, right)))

    # -- what Univariate asks for -----------------------------------------------------

    @property
    def polyhedral(self) -> bool:  # type: ignore[override]
        """Whether the epigraph of the convex function is a polyhedron."""
        return self._pieces.coefficients.shape[-1] <= 2

    @cached_property
    def _everywhere(self) -> bool:  # type: ignore[override]
        return bool(np.all(self._pieces.finite)) and not self._violation

    @property
    def infimum(self) -> float:
        """inf f, attained or not; +inf if the domain is empty."""
        f = self._pieces
        slopes = derivative(f.coefficients)
        cut = Pieces(f.points, slopes, f.anchors, np.full(f.points.size, np.nan))
        places = f.refined(cut.crossings(constant(0.0))[0].points)
        ends = [f._at_infinity(0, -1), f._at_infinity(-1, 1)]
        lows = [places.limits(side)[0] for side in SIDES]
        return float(np.nanmin(np.r_[ends, places.values, *lows]))

    def _subdifferential(self, t: Array, eps: Number = 0.0) -> Interval:
        if self._violation:
            raise ValueError(
                f"the subdifferential is that of a convex function, but "
                f"{self._violation}; clarke_subdifferential and "
                "frechet_subdifferential take any function"
            )
        return super()._subdifferential(t, eps)

    def _widened(self, t: Array, eps: Number) -> tuple[Array, Array]:
        r"""
        sup ∂_ε f(t) = inf_{s > t} (f(s) - f(t) + ε) / (s - t), inf likewise.

        The quotient falls as long as the tangent at s runs less than ε below f(t). That
        finds the piece; in it, with f(t + u) = A u² + B u + C, the best u is the
        square root of (C - f(t) + ε) / A, where this is a point of the piece.
        """
        t = t.astype(np.float64, copy=False)
        f = self._pieces
        upper = _steepest(f, self._both_slopes[1].values, t, eps, self._value(t))
        mirrored = Pieces(
            -f.points[::-1],
            f.coefficients[::-1] * (-1.0) ** np.arange(f.coefficients.shape[-1]),
            -f.anchors[::-1],
            f.values[::-1],
        )
        left = -self._both_slopes[0].values[::-1]
        return -_steepest(mirrored, left, -t, eps, self._value(t)), upper

    def _saturation(self, t: Array) -> Array:
        """As in `PiecewiseLinear`; a curved last piece never stops growing."""
        f, value = self._pieces, self._value(t)
        cost = np.zeros_like(value)
        for k, end in ((0, self.ends[0]), (-1, self.ends[1])):
            c = f.coefficients[k]
            if np.isfinite(end):
                grown = np.where(t == end, 0.0, np.inf)
            elif np.any(c[2:]):
                grown = np.full_like(value, np.inf)
            else:
                grown = value - evaluate(c, t - f.anchors[k])
            cost = np.maximum(cost, grown)
        return cost.astype(t.dtype, copy=False)

    def _prox(self, t: Array, step: Number) -> Array:
        self._refuse()
        if self._pieces.coefficients.shape[-1] > 3:
            return super()._prox(t, step)
        return self._cast(self._graph.resolvent(t, step), t, step)

    @cached_property
    def _graph(self) -> Graph:
        """The graph of ∂f for a closed convex f of degree <= 2."""
        self._refuse()
        degree = self._pieces.coefficients.shape[-1] - 1
        if degree > 2:
            raise NotImplementedError(
                "the transform of a piece of degree above 2 is not a piecewise "
                f"polynomial, got degree {degree}"
            )
        left, right = (slope.values for slope in self._both_slopes)
        return Graph.of(self._pieces, left, right)

    def conjugate(self) -> Any:
        """f*(s) = sup_t s t - f(t), for pieces of degree <= 2."""
        return self._of(self._graph.dual().pieces())

    # -- transforms -------------------------------------------------------------------

    def moreau_envelope(self, step: float = 1.0) -> Piecewise:
        """min_s f(s) + (s - t)² / (2 step)."""
        return self._of(self._graph.envelope(_positive("step", step)).pieces())

    def prox_map(self, step: float = 1.0) -> Piecewise:
        """The map t -> prox(t, step), piecewise linear and nondecreasing."""
        return self._of(self._graph.resolvent_pieces(_positive("step", step)))

    def infimal_convolution(self, other: Piecewise) -> Piecewise:
        """
        inf_s f(s) + g(t - s) = (f* + g*)*(t).

        ValueError where it is -inf: no line lies below both f and g, up to constants.
        """
        total = self._of(self._graph.dual().pieces()) + self._of(
            other._graph.dual().pieces()
        )
        if not total._atoms:
            raise ValueError(
                "the infimal convolution is -inf everywhere, as no slope is in the "
                "domain of both conjugates"
            )
        return total.conjugate()

    def deconvolution(self, other: Piecewise) -> Piecewise:
        """
        sup_s f(t + s) - g(s) = (f* - g*)*(t), with f* - g* = +inf outside dom f*.

        It undoes the infimal convolution with g where that can be undone. ValueError
        where it is +inf everywhere. Source: Hiriart-Urruty, J. Math. Pures Appl. 73.
        """
        one, two = (h._graph.dual().pieces() for h in (self, other))
        gap = one.plus(two.scaled(-1.0))
        c, values = gap.coefficients, gap.values
        if np.any(c[:, 0] == -np.inf) or np.any(values == -np.inf):
            raise ValueError(
                "the deconvolution is +inf everywhere, as the conjugate of the first "
                "function is finite where that of the second is +inf"
            )
        c = np.where(np.isnan(c), np.inf, c)
        values = np.where(np.isnan(values), np.inf, values)
        difference = self._of(Pieces(gap.points, c, gap.anchors, values))
        return difference.convex_hull().conjugate()

    def epi_scaling(self, factor: float) -> Piecewise:
        """factor f(t / factor), factor > 0, which scales the epigraph."""
        factor = _positive("factor", factor)
        inner = Pieces(
            np.zeros(0), np.array([[0, 1 / factor]]), np.zeros(1), np.zeros(0)
        )
        return self._of(self._pieces.after(inner).scaled(factor))

    def proximal_average(
        self, other: Piecewise, weight: float = 0.5, step: float = 1.0
    ) -> Piecewise:
        """
        The function whose prox is (1 - w) prox_f + w prox_g, both with this step:

            its Moreau envelope is (1 - w) e f + w e g,  0 <= w <= 1.

        Source: Bauschke, Goebel, Lucet and Wang, The proximal average: basic theory.
        """
        if not 0 <= weight <= 1:
            raise ValueError(f"weight must lie in [0, 1], got {weight}")
        step = _positive("step", step)
        one = self.moreau_envelope(step) * (1 - weight)
        both = one + other.moreau_envelope(step) * weight
        return self._of(both._graph.envelope(-step).untied().pieces())

    def sublevel(self, level: float) -> portion.Interval:
        """{t : f(t) <= level}."""
        return self <= level  # type: ignore[operator]


def _signed(c: Array, h: Array) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    return (c, h), (abs(c), abs(h))


def _positive(name: str, a: Any) -> float:
    a = positive(name, a)
    if a.ndim:
        raise ValueError(f"{name} must be a number, got shape {a.shape}")
    return float(a)


def _steepest(f: Pieces, right: Array, t: Array, eps: Number, value: Array) -> Array:
    """sup ∂_ε f(t), with the right slopes at the points and the value at t."""
    shape = np.broadcast_shapes(t.shape, np.shape(eps))
    count, points = f.points.size, f.points

    def ahead(k: Array) -> Mask:
        with np.errstate(invalid="ignore"):
            below = pick(right, k) * (points[k] - t) - (f.values[k] - value)
        # To the left of the domain both are infinite.
        return (points[k] <= t) | (below < eps)

    k = search(ahead, count, shape)
    start = np.r_[-np.inf, points][k] - t
    stop = np.r_[points, np.inf][k] - t
    c, h = f.coefficients[k], t - f.anchors[k]
    degree = c.shape[-1] - 1
    start = np.maximum(start, 0.0)
    with np.errstate(all="ignore"):
        rise = evaluate(c, h) - value + eps
        slope = evaluate(derivative(c), h)
        if degree <= 2:
            bend = c[..., 2] if degree == 2 else np.zeros(shape)
            u = np.where(bend > 0, np.sqrt(np.maximum(rise, 0) / bend), stop)
            u = np.clip(u, start, stop)
            out = slope + np.where(bend > 0, bend * u, 0.0) + rise / u
            return np.where(np.isfinite(c[..., 0]), out, np.inf)
        slopes = derivative(c)

        def falling(s: Array) -> Mask:
            d = s - t
            gone = evaluate(slopes, s - f.anchors[k]) * d
            return gone - (evaluate(c, s - f.anchors[k]) - value) < eps

        first = np.broadcast_to(t + start, shape).copy()
        last = np.where(np.isfinite(stop), t + stop, _LARGEST)
        s = np.minimum(_last(falling, first, _LARGEST), last)
        return (evaluate(c, s - f.anchors[k]) - value + eps) / (s - t)
