"""Convex piecewise linear functions of one variable."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, reduce
from typing import Any, Literal, Self

import numpy as np

from .._check import Array, real
from ._pieces import check_order, line, pick, pieces, search, slope_at, widen
from ._polynomials import FEW, Pieces
from .convex import Mask, Number, Univariate, constant, single
from .piecewise import Piecewise

Side = Literal["left", "right"]


class PiecewiseLinear(Piecewise):
    r"""
    The convex function with slope s_k between the breakpoints t_{k-1} and t_k,

        φ' = s_0 on (-∞, t_0), s_1 on (t_0, t_1), …, s_K on (t_{K-1}, ∞),

    and the value φ(a) = v at one point. s_0 = -inf says that the domain begins at t_0,
    s_K = +inf that it ends at t_{K-1}; with both and equal breakpoints it is a point.

    `breakpoints`: (..., K), nondecreasing, K >= 0. `slopes`: (..., K + 1),
    nondecreasing. `at`: the pair (a, v), with a in the domain; numbers or arrays of
    batch shape. The batch shapes broadcast; which slopes are infinite must be the same
    for the whole batch. ValueError where the arrays say something else.

    >>> hinge = PiecewiseLinear([1], [-1, 0], at=(1, 0))
    >>> print(hinge(-2), hinge.subdifferential(1))
    3.0 [-1, 0]
    """

    breakpoints: Array
    slopes: Array
    _anchors: Array
    _heights: Array
    _point: Array
    _level: Array
    _gradient: Array
    _dual_level: Array
    polyhedral = is_convex = is_closed = True
    _violation = _fault = ""
    _arrays = dict.fromkeys(("breakpoints", "slopes", "_anchors", "_heights"), 1)
    _arrays |= dict.fromkeys(("_point", "_level", "_gradient", "_dual_level"), 0)

    def __init__(
        self, breakpoints: Any, slopes: Any, at: tuple[Any, Any] = (0.0, 0.0)
    ) -> None:
        t = real("breakpoints", breakpoints)
        s = real("slopes", slopes, infinite=True)
        a, v = real("at[0]", at[0]), real("at[1]", at[1])
        check_order(t, s)
        try:
            np.broadcast_shapes(t.shape[:-1], s.shape[:-1], a.shape, v.shape)
        except ValueError:
            raise ValueError(
                "breakpoints, slopes and at must have batch shapes that broadcast, got "
                f"{t.shape[:-1]}, {s.shape[:-1]}, {a.shape} and {v.shape}"
            ) from None
        left, right = slope_at(s, t < a[..., None]), slope_at(s, t <= a[..., None])
        if np.any((left == np.inf) | (right == -np.inf)):
            raise ValueError(
                f"at[0], where the value is given, must lie in the domain, got {a}"
            )
        # The subgradient of least modulus at a: (a, φ(a)) and (g, φ*(g)) trade places
        # in the conjugate, so that the double conjugate is equal to the bit.
        g = np.clip(0.0, left, right)
        t, s, a, v = (constant(p) for p in (t, s, a, v))
        self._set(t, s, (a, v), (g, g * a - v))

    @classmethod
    def from_points(cls, points: Any, values: Any) -> PiecewiseLinear:
        """
        The convex function through the data (t_i, y_i), linear between, +inf beyond.

        `points`, `values`: (K,), K >= 1, in any order. ValueError where the data are
        not convex; `Piecewise.convex_hull` or `convex_interpolation` go below them.
        """
        t, y = real("points", points), real("values", values)
        if t.ndim != 1 or t.shape != y.shape or not t.size:
            raise ValueError(
                f"points and values must have shape (K,), got {t.shape} and {y.shape}"
            )
        order = np.argsort(t, kind="stable")
        t, y = t[order], y[order]
        same = np.diff(t) == 0
        if np.any(same & (np.diff(y) != 0)):
            twice = t[1:][same & (np.diff(y) != 0)][0]
            raise ValueError(f"values must be one per point, got two at {twice}")
        t, y = t[np.r_[True, ~same]], y[np.r_[True, ~same]]
        slopes = np.diff(y) / np.diff(t)
        steepest = np.maximum.accumulate(slopes)
        # A fall that rounding of the values explains is none.
        blur = 8 * np.finfo(y.dtype).eps * np.abs(y).max() / np.diff(t)
        fall = np.flatnonzero(slopes[1:] < (steepest - blur)[:-1] - blur[1:])
        if fall.size:
            bend = t[fall[0] + 1]
            raise ValueError(f"values must be convex, but they bend down at {bend}")
        return cls(t, np.r_[-np.inf, steepest, np.inf], at=(t[0], y[0]))

    def _set(
        self, t: Array, s: Array, at: tuple[Array, Array], dual: tuple[Array, Array]
    ) -> Self:
        """Takes arrays that nobody else writes to."""
        self._flatten(s)
        anchors, heights = pieces(t, self._flat, *at)
        arrays = (t, s, anchors, heights, *at, *dual)
        for name, value in zip(self._arrays, arrays, strict=True):
            value = np.asarray(value)
            value.flags.writeable = False
            setattr(self, name, value)
        self._count, self._batch = t.shape[-1], super().batch
        return self

    def _flatten(self, s: Array) -> None:
        """Where the domain ends, and the slopes with 0 for infinite ones."""
        self._begins = bool(np.isinf(s[..., 0]).any())
        self._ends = bool(np.isinf(s[..., -1]).any())
        self._everywhere = not (self._begins or self._ends)
        self._flat = s if self._everywhere else np.where(np.isinf(s), 0.0, s)

    @property
    def batch(self) -> tuple[int, ...]:
        return self._batch

    def _item(self, index: tuple[int, ...]) -> Self:
        one = super()._item(index)
        one._flatten(one.slopes)
        one._batch = super(PiecewiseLinear, one).batch
        return one

    @property
    def ends(self) -> tuple[Number, Number]:  # type: ignore[override]
        lower = self.breakpoints[..., 0] if self._begins else np.float64(-np.inf)
        upper = self.breakpoints[..., -1] if self._ends else np.float64(np.inf)
        return (lower, upper) if self.batch else (lower.item(), upper.item())

    @property
    def infimum(self) -> float:
        if np.any(self.slopes[..., 0] > 0) or np.any(self.slopes[..., -1] < 0):
            return -np.inf
        return float(self._heights.min())

    @cached_property
    def _pieces(self) -> Pieces:  # type: ignore[override]
        if self.batch:
            raise ValueError(
                f"this is for one function at a time, got a batch of shape {self.batch}"
            )
        rows = np.r_[True, np.diff(self.breakpoints) > 0, True][: self._count + 1]
        points = rows[:-1]
        heights = np.where(np.isinf(self.slopes), np.inf, self._heights)
        c = np.stack([heights, self._flat], -1)[rows]
        each = (self.breakpoints[points], c, self._anchors[rows], self._knots[points])
        return Pieces(*(a.astype(np.float64) for a in each)).simplified()

    # -- reading the pieces -----------------------------------------------------------

    def _columns(self, a: Array, t: Array) -> list[Any]:
        """The entries of a parameter, to meet t one by one."""
        if a.ndim > 1:
            return [a[..., k, None] for k in range(a.shape[-1])]
        # float64 is where Python numbers are right, and faster than numpy's.
        return a.tolist() if t.dtype == np.float64 else list(a.astype(self._dtype(t)))

    def _dtype(self, t: Array) -> np.dtype[Any]:
        return super()._dtype(t) if self.batch else t.dtype

    def _filled(self, out: Any, t: Array) -> Array:
        shape = np.broadcast_shapes(self._shape(t), np.shape(out))
        if np.shape(out) == shape:
            return out
        return np.array(np.broadcast_to(out, shape), self._dtype(t))

    def _like(self, a: Array, t: Array) -> Array:
        """A parameter without batch in the type of t."""
        return a if a.ndim > 1 else a.astype(self._dtype(t), copy=False)

    def _passed(self, t: Array, side: Side) -> Any:
        """How many breakpoints are below t ("left"), or t itself as well ("right")."""
        points = self._like(self.breakpoints, t)
        if points.ndim == 1:
            return np.searchsorted(points, t, side)
        compare = np.less if side == "left" else np.less_equal
        shape = self._shape(t)
        return search(lambda k: compare(pick(points, k), t), self._count, shape)

    # -- values and slopes ------------------------------------------------------------

    def _value(self, t: Array) -> Array:
        lines = (self._heights, self._flat, self._anchors)
        if self._count > FEW:
            k = self._passed(t, "left")
            out = line(t, *(pick(self._like(a, t), k) for a in lines))
        else:
            rows = zip(*(self._columns(a, t) for a in lines), strict=True)
            out = line(t, *next(rows))
            points = self._columns(self.breakpoints, t)
            for point, piece in zip(points, rows, strict=True):
                out = np.where(t > point, line(t, *piece), out)
        if self._everywhere:
            return out
        lower, upper = self._ends_for(t)
        return np.where((t >= lower) & (t <= upper), out, out.dtype.type(np.inf))

    def _ends_for(self, t: Array) -> tuple[Array, Array]:
        inf = self._dtype(t).type(np.inf)
        points = self.breakpoints
        lower = self._columns(points[..., :1], t)[0] if self._begins else -inf
        upper = self._columns(points[..., -1:], t)[0] if self._ends else inf
        return lower, upper

    def _left(self, t: Array) -> Array:
        return self._slope(t, np.greater, "left")

    def _right(self, t: Array) -> Array:
        return self._slope(t, np.greater_equal, "right")

    def _both(self, t: Array) -> tuple[Array, Array]:
        # Passes for both sides cost more than one search from here on.
        alone = self.batch or self._count <= 2
        return Univariate._both(self, t) if alone else super()._both(t)

    def _slope(self, t: Array, beyond: Callable[..., Mask], side: Side) -> Array:
        if self._count > FEW:
            return pick(self._like(self.slopes, t), self._passed(t, side))
        out, *rest = self._columns(self.slopes, t)
        for point, slope in zip(self._columns(self.breakpoints, t), rest, strict=True):
            out = np.where(beyond(t, point), slope, out)
        return self._filled(out, t)

    # -- the eps-subdifferential ------------------------------------------------------

    @property
    def _knots(self) -> Array:
        """φ at the breakpoints."""
        after = self.breakpoints >= self._point[..., None]
        return np.where(after, self._heights[..., 1:], self._heights[..., :-1])

    def _widened(self, t: Array, eps: Number) -> tuple[Array, Array]:
        """
        sup ∂_ε φ(t) = min (s_K, min_{t_k > t} (φ(t_k) - φ(t) + ε) / (t_k - t)),

        and inf likewise: the quotient has its least value at a breakpoint or at
        infinity.
        """
        if self._count > FEW:
            arrays = (self.breakpoints, self._knots, self.slopes)
            shape = np.broadcast_shapes(self._shape(t), np.shape(eps))
            parts = (self._like(a, t) for a in arrays)
            return widen(shape, t, self._value(t), eps, *parts)
        excess = eps - self._value(t)
        lower, *_, upper = self._columns(self.slopes[..., [0, -1]], t)
        with np.errstate(all="ignore"):
            knots = self._columns(self._knots, t)
            for point, knot in zip(
                self._columns(self.breakpoints, t), knots, strict=True
            ):
                ratio = (knot + excess) / abs(point - t)
                upper = np.where(t < point, np.minimum(upper, ratio), upper)
                lower = np.where(t > point, np.maximum(lower, -ratio), lower)
        return lower, upper

    def _saturation(self, t: Array) -> Array:
        """max of φ - (the line of slope s_0) and φ - (that of slope s_K), at t."""
        value = self._value(t)
        cost = np.zeros_like(value)
        if not self._count:
            return cost
        lower, upper = self._ends_for(t)
        for k, infinite, end in ((0, self._begins, lower), (-1, self._ends, upper)):
            if infinite:
                grown = np.where(t == end, 0.0, np.inf)
            else:
                lines = (self._heights, self.slopes, self._anchors)
                grown = value - line(t, *(self._columns(a, t)[k] for a in lines))
            cost = np.maximum(cost, grown).astype(cost.dtype, copy=False)
        return cost

    # -- prox -------------------------------------------------------------------------

    def _prox(self, t: Array, step: Number) -> Array:
        """
        p_0 = t - τ s_0,  p_{k+1} = min(p_k, max(t_k, t - τ s_{k+1})),  prox = p_K.

        p_k is the prox of φ_k, which goes on with slope s_k beyond t_{k-1}. If p_k <=
        t_k, it still minimises with the larger φ_{k+1}, which is equal up to t_k. If
        p_k > t_k, then p_k = t - τ s_k; the minimiser for φ_{k+1} is not below t_k, as
        the objective still falls there from the left, so it is max(t_k, t - τ s_{k+1}),
        and that is at most p_k since s_{k+1} >= s_k.
        """
        if self._count > FEW:
            points, bends = (self._like(a, t) for a in (self.breakpoints, self.slopes))
            shape = np.broadcast_shapes(self._shape(t), np.shape(step))
            k = search(
                lambda k: t - step * pick(bends, k + 1) > pick(points, k),
                self._count,
                shape,
            )
            last = pick(points, np.minimum(k, self._count - 1))
            wall = np.where(k < self._count, last, last.dtype.type(np.inf))
            return np.minimum(t - step * pick(bends, k), wall)
        first, *rest = self._columns(self.slopes, t)
        out = t - step * first
        for point, slope in zip(self._columns(self.breakpoints, t), rest, strict=True):
            out = np.minimum(out, np.maximum(point, t - step * slope))
        return self._filled(out, t)

    # -- derived ----------------------------------------------------------------------

    def _curvature(self, t: Array) -> Array:
        points = self._columns(self.breakpoints, t)
        at = reduce(np.logical_or, [t == p for p in points], np.zeros(t.shape, bool))
        return np.where(at, np.inf, 0.0)

    def conjugate(self) -> PiecewiseLinear:
        """Breakpoints trade places with slopes, missing ends with infinite slopes."""
        t, s = self.breakpoints, self.slopes
        kept = s[..., int(self._begins) : self._count + 1 - int(self._ends)]
        parts = [t]
        if not self._begins:
            parts.insert(0, np.full((*t.shape[:-1], 1), -np.inf, t.dtype))
        if not self._ends:
            parts.append(np.full((*t.shape[:-1], 1), np.inf, t.dtype))
        at, dual = (self._point, self._level), (self._gradient, self._dual_level)
        new = object.__new__(PiecewiseLinear)
        return new._set(kept, np.concatenate(parts, -1), dual, at)

    def to_cvxpy(self, x: Any) -> Any:
        r"""With absolute values for one or two breakpoints, else a maximum of lines:

        φ(x) = c + (s_0 + s_K) x / 2 + Σ (s_k - s_{k-1}) |x - t_k| / 2
             = max_k (φ(a_k) + s_k (x - a_k))

        Of the many large terms of the first sum little is left, and the gap at which
        solvers stop is relative to them; in the second cvxpy no longer sees signs.
        """
        import cvxpy as cp

        from subgrad.operators import unbounded

        x = unbounded(x)
        arrays = (self.slopes, self.breakpoints, self._heights, self._anchors)
        s, t, heights, anchors = (np.array(single(a, 1)) for a in arrays)
        keep = np.isfinite(s)
        lower, upper = self.ends
        rows = [x >= lower] * self._begins + [x <= upper] * self._ends
        s, t = s[keep], t[int(self._begins) : t.size - int(self._ends)]
        if not s.size:
            out = single(self._level) + 0 * x
        elif t.size > 2:
            lines = zip(heights[keep], s, anchors[keep], strict=True)
            flat = [cp.vec(h + m * (x - a), order="C") for h, m, a in lines]
            out = cp.reshape(cp.max(cp.vstack(flat), axis=0), x.shape, order="C")
        else:
            p, rise = float(single(self._point)), np.diff(s) / 2
            c = single(self._level) - (s[0] + s[-1]) * p / 2 - rise @ np.abs(p - t)
            bends = zip(rise, t, strict=True)
            out = c + (s[0] + s[-1]) / 2 * x
            out = out + sum(r * cp.abs(x - k) for r, k in bends if r > 0)
        return out + cp.transforms.indicator(rows, 1e-6) if rows else out

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PiecewiseLinear):
            return super().__eq__(other)
        same = (
            self.batch == other.batch
            and np.array_equal(self.breakpoints, other.breakpoints)
            and np.array_equal(self.slopes, other.slopes)
        )
        where, level = other._point[..., None], other._level[..., None]
        return same and bool(np.all(self._value(where) == level))

    __hash__ = Piecewise.__hash__

    def __repr__(self) -> str:
        shown = [
            np.array2string(a, separator=", ", threshold=12, floatmode="unique")
            for a in (self.breakpoints, self.slopes, self._point, self._level)
        ]
        return "PiecewiseLinear({}, {}, at=({}, {}))".format(*shown)
