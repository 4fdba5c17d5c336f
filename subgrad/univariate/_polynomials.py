"""The algebra of functions made of polynomial pieces, on trusted arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .._check import Array
from ._coefficients import (
    ROUNDING,
    blank,
    degrees,
    derivative,
    evaluate,
    middles,
    product,
    shift,
    sizes,
    widened,
)
from ._composition import composed
from ._levels import preimages

Mask = NDArray[np.bool_]
Side = Literal["left", "right"]
SIDES: tuple[Side, Side] = ("left", "right")
# Up to here a pass over the array per breakpoint beats a search per entry.
FEW = 8
# Else an overflow would turn into +inf, which says "outside the domain".
checked = np.errstate(over="raise")


@dataclass(frozen=True, eq=False)
class Pieces:
    """
    The function with value sum_j coefficients[k, j] (t - anchors[k])^j between the
    points k - 1 and k, and values[k] at point k.

    `points`: (K,), strictly increasing. `coefficients`: (K + 1, D + 1). `anchors`:
    (K + 1,). `values`: (K,). A piece that is not a polynomial is a constant +inf, -inf
    or nan (undefined); values may be so too.
    """

    points: Array
    coefficients: Array
    anchors: Array
    values: Array

    def __post_init__(self) -> None:
        # By columns, so that numpy's inner loops run along the pieces.
        c = np.asfortranarray(self.coefficients)
        object.__setattr__(self, "coefficients", c)

    # -- reading ----------------------------------------------------------------------

    @cached_property
    def finite(self) -> Mask:
        """Which pieces are polynomials."""
        return np.isfinite(self.coefficients[:, 0])

    def limits(self, side: Side) -> Array:
        """The limits at the points from one side."""
        return self._limits[side == "right"]

    @cached_property
    def _limits(self) -> tuple[Array, Array]:
        c, a, t = self.coefficients, self.anchors, self.points
        return evaluate(c[:-1], t - a[:-1]), evaluate(c[1:], t - a[1:])

    def size(self, side: Side, k: Any = slice(None)) -> Array:
        """
        The size of the terms of a limit at the points k, to which what the rounding of
        the point itself may change belongs.
        """
        c, a = self.coefficients, self.anchors
        c, a = (c[:-1], a[:-1]) if side == "left" else (c[1:], a[1:])
        return sizes(c[k], self.points[k] - a[k], self.points[k])

    def _close(self, side: Side, other: Array) -> Mask:
        """Whether the limit from a side is another number, up to rounding."""
        limit = self.limits(side)
        with np.errstate(invalid="ignore", over="ignore"):
            gap = abs(limit - other)
            near = (gap <= ROUNDING * abs(limit)) & (gap < np.inf)
        # The size of all terms is at least that of the limit, and costs more to find.
        rest = np.flatnonzero(~near & (gap < np.inf))
        near[rest] = gap[rest] <= ROUNDING * self.size(side, rest)
        return near

    def meets(self, side: Side) -> Mask:
        """Whether the value at a point is the limit from one side, up to rounding."""
        return self._met[side == "right"]

    @cached_property
    def _met(self) -> tuple[Mask, Mask]:
        left, right = (self._close(side, self.values) for side in SIDES)
        # Where the limits agree, what meets one of them meets both.
        both = self.joined & (left | right)
        return left | both, right | both

    @cached_property
    def continuous(self) -> Mask:
        """At which points the function is continuous."""
        return self.joined & self.meets("left")

    @cached_property
    def joined(self) -> Mask:
        """At which points the two limits agree, up to rounding."""
        left, right = self._limits
        near = self._close("left", right)
        return near if near.all() else near | self._close("right", left)

    @cached_property
    def slope(self) -> Pieces:
        """The derivative of the pieces, undefined at the points."""
        c, nothing = derivative(self.coefficients), np.full(self.points.size, np.nan)
        return Pieces(self.points, c, self.anchors, nothing)

    @cached_property
    def slopes(self) -> tuple[Array, Array]:
        """
        The slopes at the points from both sides, one number if they are equal up to
        rounding: that of the side where less was added to find it, so that a piece of
        degree 1 keeps its slope from end to end.
        """
        c = self.slope.coefficients[:, 0]
        left, right = self.slope._limits
        with np.errstate(invalid="ignore"):
            first = abs(left - c[:-1]) <= abs(right - c[1:])
        common, joined = np.where(first, left, right), self.slope.joined
        return np.where(joined, common, left), np.where(joined, common, right)

    def __call__(self, t: Array) -> Array:
        """The value at every entry of t, the limit at ±inf."""
        return self.read(t, self.values)[0]

    def read(self, t: Array, *values: Array) -> list[Array]:
        """The same for several choices of the values at the points."""
        far = np.isinf(t)
        if far.any():
            ends = np.where(t > 0, self._at_infinity(-1, 1), self._at_infinity(0, -1))
            inner = self.read(np.where(far, 0.0, t), *values)
            return [np.where(far, ends, out) for out in inner]
        c, (k, points) = self.coefficients, self._passed(t)
        h = t - self.anchors[k]
        out = np.array(c[:, -1][k])
        for j in range(c.shape[-1] - 2, -1, -1):
            out *= h
            out += c[:, j][k]
        if not points.size:
            return [out] * len(values)
        at = np.flatnonzero(points[np.minimum(k, points.size - 1)] == t)
        found = [out, *(out.copy() for _ in values[1:])]
        for each, v in zip(found, values, strict=True):
            each.flat[at] = v[np.ravel(k)[at]]
        return found

    def _passed(self, t: Array) -> tuple[Array, Array]:
        """How many points are below t, and the points in its type."""
        with np.errstate(over="ignore"):
            points = self.points.astype(t.dtype, copy=False)
        if points.size > FEW:
            return np.searchsorted(points, t, "left"), points
        k = np.zeros(t.shape, np.intp)
        for point in points.tolist():
            k += t > point
        return k, points

    def _at_infinity(self, k: int, sign: int) -> float:
        c = self.coefficients[k]
        powers = np.flatnonzero(c[1:])
        if not powers.size:
            return c[0]
        top = powers[-1] + 1
        return np.inf * np.sign(c[top]) * sign**top

    def bounds(self) -> tuple[Array, Array]:
        """The two ends of every piece."""
        return np.r_[-np.inf, self.points], np.r_[self.points, np.inf]

    def where(self, pieces: Mask, points: Mask) -> Iterator[tuple]:
        """The set of the pieces and points of two masks, as atoms of intervals."""
        cells = np.zeros(2 * points.size + 3, bool)
        cells[1:-1:2], cells[2:-1:2] = pieces, points
        starts = np.flatnonzero(cells[1:] & ~cells[:-1])
        stops = np.flatnonzero(cells[:-1] & ~cells[1:]) - 1
        for i, j in zip(starts, stops, strict=True):
            # An even cell is a piece, an odd one the point behind it.
            low = self.points[(i - 1) // 2] if i else -np.inf
            up = self.points[j // 2] if j < 2 * points.size else np.inf
            yield low, up, bool(i % 2), bool(j % 2)

    # -- changing the partition -------------------------------------------------------

    @checked
    def refined(self, points: Array) -> Pieces:
        """The same function cut at further points."""
        if not points.size or np.array_equal(points, self.points):
            return self
        points = np.union1d(self.points, points)
        k = np.searchsorted(self.points, np.r_[-np.inf, points], "right")
        return Pieces(points, self.coefficients[k], self.anchors[k], self(points))

    def valued(self, k: Array, values: Array) -> Pieces:
        """The function with other values at the points k."""
        new = self.values.copy()
        new[k] = values
        return Pieces(self.points, self.coefficients, self.anchors, new)

    def anchored(self, anchors: Array) -> Pieces:
        """The same function with other anchors."""
        c = shift(self.coefficients, anchors - self.anchors)
        return Pieces(self.points, c, anchors, self.values)

    def rooted(self) -> Pieces:
        """With affine pieces around their roots, where powers of them are one term."""
        c, anchors = self.coefficients.copy(), self.anchors.copy()
        affine = degrees(c) == 1
        if affine.any():
            anchors[affine] -= c[affine, 0] / c[affine, 1]
            c[affine, 0] = 0.0
        return Pieces(self.points, c, anchors, self.values)

    @checked
    def simplified(self) -> Pieces:
        """Read-only, without needless points and without powers that do not occur."""
        c, a = self.coefficients, self.anchors
        used = np.flatnonzero(np.any(c != 0, axis=0))
        c = c[:, : (used[-1] if used.size else 0) + 1]
        # Equal polynomials have equal leading coefficients, whatever their anchors.
        same = c[1:, -1] == c[:-1, -1]
        k = np.flatnonzero(same)
        same[k] = np.all(shift(c[k + 1], a[k] - a[k + 1]) == c[k], axis=-1)
        nothing = np.isnan(c[1:, 0]) & np.isnan(c[:-1, 0]) & np.isnan(self.values)
        infinite = np.isinf(c[:-1, 0]) & (self.values == c[:-1, 0])
        drop = nothing | (same & infinite)
        if np.any(same & ~drop):
            drop |= same & self.meets("left")
        rows, kept = np.r_[True, ~drop], ~drop
        new = Pieces(self.points[kept], c[rows], a[rows], self.values[kept])
        for array in (new.points, new.coefficients, new.anchors, new.values):
            array.flags.writeable = False
        return new

    # -- arithmetic -------------------------------------------------------------------

    @checked
    def scaled(self, factor: float) -> Pieces:
        """factor * f; with factor 0 what is not finite stays."""
        c, v = self.coefficients, self.values
        if factor:
            c, v = blank(factor * c, factor * c[:, 0]), factor * v
        else:
            c, v = blank(0 * np.where(self.finite[:, None], c, 0), c[:, 0]), _zeroed(v)
        return Pieces(self.points, c, self.anchors, v)

    @checked
    def plus(self, other: Pieces) -> Pieces:
        f, g = common(self, other)
        with np.errstate(invalid="ignore"):
            c = f.coefficients + g.coefficients
            values = f.values + g.values
        return Pieces(f.points, blank(c, c[:, 0]), f.anchors, values)

    @checked
    def times(self, other: Pieces) -> Pieces:
        """The product; what is not finite survives only a constant factor."""
        f, g = common(self, other)
        if np.array_equal(f.coefficients, g.coefficients, equal_nan=True):
            f, g = f.rooted(), g.rooted()
        with np.errstate(invalid="ignore"):
            c = product(f.coefficients, g.coefficients)
            first = f.coefficients[:, 0] * g.coefficients[:, 0]
            values = f.values * g.values
        constant = [~np.any(h.coefficients[:, 1:], axis=-1) for h in (f, g)]
        both = f.finite & g.finite
        first = np.where(both, 0, np.where(constant[0] & constant[1], first, np.nan))
        return Pieces(f.points, blank(c, first), f.anchors, values)

    @checked
    def over(self, other: Pieces) -> Pieces:
        """f / g for constant pieces g, undefined where g is 0 or not finite."""
        f, g = common(self, other)
        d, v = (
            np.where(np.isfinite(a) & (a != 0), a, np.nan)
            for a in (g.coefficients[:, 0], g.values)
        )
        c = f.coefficients / d[:, None]
        return Pieces(f.points, blank(c, c[:, 0]), f.anchors, f.values / v)

    @checked
    def crossings(self, other: Pieces) -> tuple[Pieces, Pieces, Array]:
        """
        Both cut where they cross, and the sign of f - g on every piece.

        It is nan where one of the two is undefined.
        """
        f, g = common(self, other)
        both = f.finite & g.finite
        with np.errstate(invalid="ignore"):
            c = blank(f.coefficients - g.coefficients, np.where(both, 0.0, np.nan))
            gap = Pieces(f.points, c, f.anchors, f.values - g.values)
        terms = abs(f.coefficients) + abs(g.coefficients)
        places = gap.preimages(np.zeros(1), terms)[0]
        f, g = f.refined(places), g.refined(places)
        k = np.searchsorted(f.points, places)
        # There both have the value that was found with the smaller terms.
        one, two = f.size("left", k), g.size("left", k)
        top = np.maximum(f.values, g.values)[k]
        top = np.where(one < two, f.values[k], np.where(two < one, g.values[k], top))
        f, g = f.valued(k, top), g.valued(k, top)
        t = middles(f.points)
        with np.errstate(invalid="ignore", over="ignore"):
            c = f.coefficients - g.coefficients
            sign = np.sign(evaluate(c, t - f.anchors))
            one, two = f.coefficients[:, 0], g.coefficients[:, 0]
            special = np.where(one == two, 0.0, np.sign(one - two))
        return f, g, np.where(f.finite & g.finite, sign, special)

    def preimages(
        self, levels: Array, terms: Array | None = None
    ) -> tuple[Array, Array]:
        """Where the function takes which of some levels, as in `_levels`."""
        return preimages(self, levels, terms)

    def points_in(self, roots: Array, anchors: Array) -> Array:
        """The numbers anchors[k] + roots[k, j] inside piece k, for all k and j."""
        lower, upper = self.bounds()
        t = anchors[:, None] + roots
        return np.unique(t[(t > lower[:, None]) & (t < upper[:, None])])

    def larger(self, other: Pieces) -> Pieces:
        """max(f, g), undefined where one of the two is."""
        f, g, sign = self.crossings(other)
        first = ~(sign < 0)
        c = np.where(first[:, None], f.coefficients, g.coefficients)
        undefined = np.isnan(f.coefficients[:, 0]) | np.isnan(g.coefficients[:, 0])
        c = blank(c, np.where(undefined, np.nan, c[:, 0]))
        anchors = np.where(first, f.anchors, g.anchors)
        return Pieces(f.points, c, anchors, np.maximum(f.values, g.values))

    @checked
    def after(self, inner: Pieces) -> Pieces:
        """f ∘ g, not finite where g is not."""
        return composed(self, inner)


def _zeroed(v: Array) -> Array:
    return np.where(np.isfinite(v), 0.0, v)


def common(f: Pieces, g: Pieces) -> tuple[Pieces, Pieces]:
    """Both with the same points, anchors and number of coefficients."""
    f, g = f.refined(g.points), g.refined(f.points)
    lower, upper = f.bounds()
    a, b = f.anchors, g.anchors
    far = [np.maximum(np.maximum(lower - x, x - upper), 0) for x in (a, b)]
    first = (far[0] < far[1]) | ((far[0] == far[1]) & (abs(a) <= abs(b)))
    # To expand around another point costs powers digits; lines lose none that count.
    powers = [degrees(h.coefficients) for h in (f, g)]
    first = np.where(powers[0] == powers[1], first, powers[0] > powers[1])
    anchors = np.where(first, a, b)
    width = max(f.coefficients.shape[-1], g.coefficients.shape[-1])
    out = []
    for h in (f.anchored(anchors), g.anchored(anchors)):
        c = widened(h.coefficients, width)
        out.append(Pieces(h.points, c, anchors, h.values))
    return out[0], out[1]


def constant(value: float) -> Pieces:
    """A constant, which may be ±inf or nan."""
    return Pieces(np.zeros(0), np.array([[value]]), np.zeros(1), np.zeros(0))
