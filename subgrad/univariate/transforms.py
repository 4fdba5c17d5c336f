"""The transforms of convex piecewise polynomials."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from .._check import Array, positive
from ..interval import Interval
from ._border import number
from ._chords import steepest
from ._coefficients import evaluate
from ._graph import Graph
from ._polynomials import SIDES, Pieces
from .convex import Number
from .convexity import Convexity

if TYPE_CHECKING:
    from .piecewise import Piecewise


class ConvexTransforms(Convexity):
    """
    The convex side of `Piecewise`, whose docstring gives the notation.

    The transforms of functions of degree <= 2 work on the graph of ∂f, a polyline:
    the conjugate exchanges its coordinates, the Moreau envelope shears it.

    Source: Rockafellar, Convex Analysis, sections 23, 24 and 31; Lucet, Bauschke and
    Trienis, The piecewise linear-quadratic model for computational convex analysis.
    """

    def convex_hull(self) -> Piecewise:
        """
        The closed convex envelope, the largest closed convex function below f, f**.

        Exact for pieces of degree <= 2, by root finding above. ValueError where it is
        -inf, and for a function that is undefined or +inf everywhere.
        """
        from ._hull import lower_hull

        if not self._fault:
            return self._of(self._pieces)
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
        outside = np.zeros((1, c.shape[-1]))
        outside[0, 0] = np.inf
        if np.isfinite(first):
            t, c, anchors = np.r_[first, t], np.r_[outside, c], np.r_[first, anchors]
        if np.isfinite(last):
            t, c, anchors = np.r_[t, last], np.r_[c, outside], np.r_[anchors, last]
        new = Pieces(t, c, anchors, np.zeros_like(t))
        left, right = (new.limits(side) for side in SIDES)
        return self._of(Pieces(t, c, anchors, np.minimum(left, right)))

    # -- what Univariate asks for -----------------------------------------------------

    def _slopes(self, t: Array) -> tuple[Array, Array]:
        if self._violation:
            raise ValueError(
                f"the subdifferential is that of a convex function, but "
                f"{self._violation}; clarke_subdifferential and "
                "frechet_subdifferential take any function"
            )
        return super()._slopes(t)

    def _over(self, t: Interval, eps: Number) -> Interval:
        if self._atoms:
            self._refuse()
        return super()._over(t, eps)

    def _widened(self, t: Array, eps: Number) -> tuple[Array, Array]:
        t = t.astype(np.float64, copy=False)
        value, (left, right) = self._value(t), self._both_slopes
        upper = steepest(self._pieces, right.values, t, eps, value)
        lower = -steepest(self._mirrored, -left.values[::-1], -t, eps, value)
        # An end of the domain that lies more than ε above the limit has none.
        empty = (lower == np.inf) | (upper == -np.inf)
        return np.where(empty, np.inf, lower), np.where(empty, -np.inf, upper)

    @cached_property
    def _mirrored(self) -> Pieces:
        """f(-t)."""
        f = self._pieces
        c = f.coefficients[::-1] * (-1.0) ** np.arange(f.coefficients.shape[-1])
        return Pieces(-f.points[::-1], c, -f.anchors[::-1], f.values[::-1])

    def _saturation(self, t: Array) -> Array:
        """As in `PiecewiseLinear`; a curved last piece never stops growing."""
        self._refuse()
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

    def _curvature(self, t: Array) -> Array:
        return self._second(t)

    def _prox_slope(self, t: Array, step: Number) -> Array:
        self._refuse()
        if self._pieces.coefficients.shape[-1] > 3:
            return super()._prox_slope(t, step)
        return self._graph.resolvent_slope(t, step)

    @cached_property
    def _dual_graph(self) -> Graph:
        """That of the conjugate."""
        return self._graph.dual()

    @cached_property
    def _second(self) -> Pieces:
        """The second derivative of the pieces, +inf at kinks and outside the domain."""
        f, bend = self._pieces, self._pieces.slope.slope
        left, right = f.slopes
        at = np.where(left == right, np.fmin(*bend._limits), np.inf)
        c = bend.coefficients.copy()
        c[~f.finite] = 0.0
        c[~f.finite, 0] = np.inf
        return Pieces(bend.points, c, bend.anchors, at)

    @cached_property
    def _graph(self) -> Graph:
        """The graph of ∂f for a closed convex f of degree <= 2."""
        self._refuse()
        degree = self._pieces.coefficients.shape[-1] - 1
        if degree > 2:
            raise NotImplementedError(
                "conjugate, Moreau envelope and cvxpy form are known up to degree 2, "
                "beyond which the first two are not piecewise polynomials; got "
                f"degree {degree}"
            )
        return Graph.of(self._pieces)

    @cached_property
    def _dual(self) -> Piecewise:
        """The conjugate, which has this function as its own."""
        new = self._of(self._graph.dual().pieces())
        new.__dict__["_dual"] = self
        return new

    def conjugate(self) -> Any:
        """f*(s) = sup_t s t - f(t), for pieces of degree <= 2."""
        return self._dual

    def to_cvxpy(self, x: Any) -> Any:
        """f of every entry of a cvxpy expression, for pieces of degree <= 2."""
        from ._cvxpy import expression, polyhedral

        graph = self._graph
        if self.polyhedral:
            return polyhedral(self._pieces).to_cvxpy(x)
        return expression(graph, x)

    # -- transforms -------------------------------------------------------------------

    def moreau_envelope(self, step: float = 1.0) -> Piecewise:
        """min_s f(s) + (s - t)² / (2 step)."""
        step = number("step", positive("step", step))
        return self._of(self._graph.envelope(step).pieces())

    def prox_map(self, step: float = 1.0) -> Piecewise:
        """The map t -> prox(t, step), piecewise linear and nondecreasing."""
        step = number("step", positive("step", step))
        return self._of(self._graph.resolvent_pieces(step))

    def infimal_convolution(self, other: Piecewise) -> Piecewise:
        """
        inf_s f(s) + g(t - s) = (f* + g*)*(t).

        ValueError where it is -inf: no line lies below both f and g, up to constants.
        """
        total = self._dual + _piecewise("other", other)._dual
        if not total._atoms:
            raise ValueError(
                "the infimal convolution is -inf everywhere, as no slope is in the "
                "domain of both conjugates"
            )
        return _conjugate(total)

    def deconvolution(self, other: Piecewise) -> Piecewise:
        """
        sup_s f(t + s) - g(s) = (f* - g*)*(t), with f* - g* = +inf outside dom f*.

        It undoes the infimal convolution with g where that can be undone. ValueError
        where it is +inf everywhere. Source: Hiriart-Urruty, J. Math. Pures Appl. 73.
        """
        one, two = (h._dual._pieces for h in (self, _piecewise("other", other)))
        gap = one.plus(two.scaled(-1.0))
        c = gap.coefficients
        if np.any(c[:, 0] == -np.inf) or np.any(gap.values == -np.inf):
            raise ValueError(
                "the deconvolution is +inf everywhere, as the conjugate of the first "
                "function is finite where that of the second is +inf"
            )
        c = np.where(np.isnan(c), np.inf, c)
        difference = self._of(Pieces(gap.points, c, gap.anchors, gap.values))
        try:
            hull = difference.convex_hull()
        except ValueError as error:
            raise ValueError(
                "the deconvolution is +inf everywhere, as the conjugate of the second "
                "function outgrows that of the first one"
            ) from error
        return hull.conjugate()

    def epi_scaling(self, factor: float) -> Piecewise:
        """factor f(t / factor), factor > 0, which scales the epigraph."""
        factor = number("factor", positive("factor", factor))
        f = self._pieces
        with np.errstate(over="raise"):
            powers = factor ** (1.0 - np.arange(f.coefficients.shape[-1]))
            arrays = f.points * factor, f.coefficients * powers, f.anchors * factor
            return self._of(Pieces(*arrays, f.values * factor))

    def proximal_average(
        self, other: Piecewise, weight: float = 0.5, step: float = 1.0
    ) -> Piecewise:
        """
        The function whose prox is (1 - w) prox_f + w prox_g, both with this step:

            its Moreau envelope is (1 - w) e f + w e g,  0 <= w <= 1.

        Source: Bauschke, Goebel, Lucet and Wang, The proximal average: basic theory.
        """
        weight = number("weight", weight)
        if not 0 <= weight <= 1:
            raise ValueError(f"weight must lie in [0, 1], got {weight}")
        step = number("step", positive("step", step))
        if weight in (0, 1):
            f = _piecewise("other", other) if weight else self
            f._refuse()
            return self._of(f._pieces)
        one = self.moreau_envelope(step) * (1 - weight)
        two = _piecewise("other", other).moreau_envelope(step) * weight
        graph = Graph.of((one + two)._pieces).sharpened(step)
        # The value at one point, from the averages that the two prox are of.
        k = int(np.argmin(abs(graph.s)))
        x = graph.t[k] + step * graph.s[k]
        p, q = (float(h.prox(x, step)) for h in (self, other))
        v = (1 - weight) * float(self.value(p)) + weight * float(other.value(q))
        v += weight * (1 - weight) / (2 * step) * (p - q) ** 2
        return self._of(graph.settled(k, v).pieces())


def _conjugate(f: Piecewise) -> Piecewise:
    """The conjugate of a function that is convex, though rounding may hide it."""
    graph = Graph.of(f._pieces)
    k = int(np.argmin(abs(graph.v)))
    return f._of(graph.settled(k, graph.v[k]).dual().pieces())


def _piecewise(name: str, f: Any) -> ConvexTransforms:
    if not isinstance(f, ConvexTransforms):
        raise TypeError(f"{name} must be a Piecewise, got {type(f).__name__}")
    return f
