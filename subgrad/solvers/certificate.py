r"""Lower bounds on a minimum that anybody can check from the function alone.

A cut at x_i bounds f from below everywhere, and so does every average of cuts:

.. math:: \min_X f \ge \sum_i \xi_i (f_i - \langle g_i, x_i \rangle)
   - h_X\Big(-\sum_i \xi_i g_i\Big), \qquad \xi \ge 0, \ \sum_i \xi_i = 1

A. Nemirovski, S. Onn and U. G. Rothblum, Accuracy certificates for computational
problems with convex structure, Math. Oper. Res. 35 (2010). One eps-subgradient g at x
gives f(x) - eps - |g| R on the ball of radius R around x.

Bounds are lowered by a few units in the last place of all that was summed; `verify`
demands half of that margin, because it need not round as the run did. Rounding inside
the oracle (a value or a subgradient that f itself computes inexactly) cannot be seen
from outside and is not included; nor can the set X or the radius be checked: they are
what the bound is about.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from subgrad._check import Array, nonnegative, real, vector
from subgrad.core import Function, Mask, Set, a_function, a_set, norm
from subgrad.functions.indicator import Indicator
from subgrad.interval import Interval
from subgrad.sets.ball import Ball
from subgrad.sets.box import point, whole_space

ULPS = 8


class _Truncated(Set):
    r"""C ∩ {x : |x - c| <= R} of a set C known by its projection, c a member.

    .. math:: h(d) = \min_{t > 0} \langle d, p \rangle
       + \frac{|p - c| (R - |p - c|)}{t}, \qquad p = P_C(c + t d)

    Every t gives an upper bound, because c + t d - p is normal to C at p. It is
    attained where |p - c| = R, or as t grows; |p - c| grows with t, so t is found by
    halving. h_C and the support function of the surrounding box are upper bounds as
    well, and the least one is taken.
    """

    _arrays: ClassVar = Set._arrays | {"center": 1, "radius": 0}
    _parts: ClassVar = ("base",)

    def __init__(self, base: Set, center: Any, radius: Any) -> None:
        self.base, self.dim = base, base.dim
        self.center = vector("center", center, base.dim)
        self.radius = nonnegative("radius", radius)

    def _support(self, d: Array) -> Array:
        b, size = self._box(), norm(d)
        best = np.maximum(b.lower * d, b.upper * d).sum(-1)
        try:
            best = np.minimum(best, self.base.support(d))
        except NotImplementedError:
            pass  # known by its projection only
        t = self.radius / np.where(size > 0, size, 1.0)
        low, high = 0.0 * t, np.inf + 0.0 * t
        blur = 4 * np.finfo(np.float64).eps * size**2
        for _ in range(60):
            p = self.base._project(self.center + t[..., None] * d)
            far = norm(p - self.center)
            rest = far * (self.radius - far) / np.where(t > 0, t, 1.0)
            # A projection of c + t d is exact up to rounding that grows with t.
            best = np.minimum(best, np.vecdot(d, p) + rest + blur * t)
            inside = far <= self.radius
            low, high = np.where(inside, t, low), np.where(inside, high, t)
            t = np.where(np.isinf(high), 2 * low, (low + high) / 2)
        return best

    def _box(self) -> Interval:
        r = self.radius[..., None]
        return self.base.box() & Interval._raw(self.center - r, self.center + r)


def region(constraint: Set | None, x0: Array, radius: Any) -> Set | None:
    """A bounded set with a minimiser, or None: what cuts are averaged over."""
    if radius is None:
        if constraint is None:
            return None
        try:
            return constraint if np.all(constraint.is_bounded) else None
        except NotImplementedError:
            return None
    radius = np.broadcast_to(radius, x0.shape[:-1])
    if constraint is None:
        return Ball(x0, radius)
    return _Truncated(constraint, x0, radius)


def cut_bound(
    X: Set,
    values: Array,
    slopes: Array,
    points: Array,
    weights: Array,
    count: int | None = None,
) -> tuple[Array, Array]:
    """The bound of an average of cuts, shape (...), and how far rounding may lift it.

    values (k, ...), slopes and points (k, ..., n), weights (k, ...); the first `count`
    weights, those of the cuts of f, have the sum one.
    """
    w = weights[..., None]
    center = (w * points)[:count].sum(0)
    g = (w * slopes).sum(0)
    away = points - center
    linear = (weights * (values - np.vecdot(slopes, away))).sum(0)
    h, shift = X.support(-g), np.vecdot(center, g)
    size = np.abs(values) + np.vecdot(np.abs(slopes), np.abs(away))
    # What the rounding of g can do to h_X, seen from the centre of the points.
    b = X.box()
    reach = np.maximum(np.abs(b.lower - center), np.abs(b.upper - center))
    reach = np.where(np.isinf(reach), np.abs(center), reach)
    size = (weights * size).sum(0) + np.abs(shift)
    size = size + np.where(np.isfinite(h), np.abs(h), 0.0)
    size = size + np.vecdot((w * np.abs(slopes)).sum(0), reach)
    return linear - (h + shift), ULPS * np.finfo(slopes.dtype).eps * size


@dataclass(frozen=True, eq=False)
class CutCertificate:
    r"""Cuts at `points` with `weights` prove `lower_bound` <= min f over `region`.

    points (k, ..., n) and weights (k, ...), the leading axis counting cuts and the
    others being the batch of the run; lower_bound (...).

    Where g(x) <= 0 is asked for, cuts of the largest g at `limit_points` with weights
    μ >= 0 of any sum are added: they are <= 0 wherever all g are. If `start` is given,
    the region is said to hold every minimiser because it holds the sublevel set of
    `start`, or that of the g; that is then checked as well.
    """

    points: Array
    weights: Array
    region: Set
    lower_bound: Any
    limit_points: Array | None = None
    limit_weights: Array | None = None
    start: Array | None = None

    def verify(self, f: Function, constraints: Any = ()) -> bool:
        """Whether f has the bound, its values and subgradients computed afresh."""
        from subgrad.solvers.problem import largest, limit_functions

        limits = limit_functions(constraints)
        points = vector("points", self.points, a_function("f", f).n)
        w, X = real("weights", self.weights), a_set("region", self.region)
        if not w.size or w.shape != points.shape[:-1] or w.min() < 0:
            return False
        total = w.astype(np.float64, copy=False).sum(0)
        n, shape = points.shape[-1], total.shape
        if np.any(abs(total - 1) > 1e-9) or X.dim != n or not np.all(X.nonempty):
            return False
        if self.start is not None and not self._holds_minimisers(f, limits):
            return False
        parts, count = [(f, points)], len(points)
        w = w / total
        if self.limit_points is not None:
            added = vector("limit_points", self.limit_points, n)
            mu = real("limit_weights", self.limit_weights)
            if not limits or mu.shape != added.shape[:-1] or mu.shape[1:] != shape:
                return False
            if mu.size and mu.min() < 0:
                return False
            parts += [(largest(limits), added)]
            points, w = np.concatenate([points, added]), np.concatenate([w, mu])
        with np.errstate(over="ignore", invalid="ignore"):
            pairs = [pair for g, at in parts for pair in _cuts(g, at)]
            values, slopes = (np.stack(part) for part in zip(*pairs, strict=True))
            if values.shape != w.shape or not np.isfinite(values).all():
                return False
            if not np.isfinite(slopes).all():
                return False
            bound, blur = cut_bound(X, values, slopes, points, w, count)
            return granted(bound - blur / 2, self.lower_bound, shape)

    def _holds_minimisers(self, f: Function, limits: tuple[Function, ...]) -> bool:
        """Whether the region is a ball around `start` that is large enough."""
        from subgrad.solvers.level_sets import sublevel_radius

        X: Any = self.region
        start = vector("start", self.start, X.dim)
        if start.shape != np.shape(self.points)[1:]:
            return False
        if isinstance(X, _Truncated):
            # What f(x*) <= f(start) says is true of a minimiser over a set with it.
            if not np.all(X.base.contains(start)):
                return False
            radius = X.radius
        elif isinstance(X, Ball) and X.is_round:
            radius = X.radius[..., 0]
        else:
            return False
        if not np.all(X.center == start):
            return False
        return bool(np.all(radius >= sublevel_radius(f, start, limits)))


def granted(bound: Array, claimed: Any, shape: tuple[int, ...]) -> bool:
    """Whether numbers are claimed, one or one per problem, none of them too large."""
    claimed = np.asarray(claimed)
    if claimed.dtype.kind not in "biuf" or claimed.shape not in ((), shape):
        return False
    return bound.shape == shape and bool(np.all(bound >= claimed))


def _cuts(f: Function, points: Array) -> list[tuple[Array, Array]]:
    """Values and subgradients, one point at a time, as in the run: a kink may break a
    tie by the last bit."""
    return [f._oracle(x) for x in points]


@dataclass(frozen=True, eq=False)
class SubgradientCertificate:
    r"""`g` in the eps-subdifferential at x proves a bound on the ball around x.

    .. math:: f(y) \ge f(x) - eps - |g| R \quad \text{for all } |y - x| \le R

    x and g of shape (..., n), eps, radius R and lower_bound (...). With a `constraint`
    C all this is about f plus the indicator of C: g is in its eps-subdifferential and
    the y are points of C. f is given to `verify` without C, or with it.
    """

    x: Array
    eps: Any
    g: Array
    radius: Any
    lower_bound: Any
    constraint: Set | None = None

    def verify(self, f: Function, constraints: Any = ()) -> bool:
        """Whether g belongs to f.subdifferential(x, eps) and gives the bound.

        Where f is known by its oracle only, g must be what the oracle gives. Constraint
        functions change nothing: the bound holds without them.
        """
        from subgrad.solvers.problem import unrestricted

        x = vector("x", self.x, a_function("f", f).n)
        g, eps = vector("g", self.g, x.shape[-1]), real("eps", self.eps)
        radius, shape = real("radius", self.radius, infinite=True), x.shape[:-1]
        if g.shape != x.shape or np.any(eps < 0) or np.any(radius < 0):
            return False
        if eps.shape not in ((), shape) or radius.shape not in ((), shape):
            return False
        if self.constraint is not None:
            # The budget eps is shared among the terms, so each set must be there once.
            f = restricted(unrestricted(f), a_set("constraint", self.constraint))
        with np.errstate(over="ignore", invalid="ignore"):
            bound, blur, member = subgradient_bound(f, x, eps, g, radius)
            sound = bool(np.all(member))
            return sound and granted(bound - blur / 2, self.lower_bound, shape)


@dataclass(frozen=True, eq=False)
class BestCertificate:
    """Several certificates of a batch of problems: of each problem the best bound."""

    parts: tuple[Any, ...]

    @property
    def lower_bound(self) -> Any:
        return np.max([c.lower_bound for c in self.parts], axis=0)

    def verify(self, f: Function, constraints: Any = ()) -> bool:
        """Whether all of them hold."""
        for c in self.parts:
            if not isinstance(c, CutCertificate | SubgradientCertificate):
                raise TypeError(f"parts must hold certificates, got {type(c).__name__}")
        return bool(self.parts) and all(c.verify(f, constraints) for c in self.parts)


def restricted(f: Function, constraint: Set | None) -> Function:
    """f plus the indicator of the constraint."""
    return f if constraint is None else f + Indicator(constraint)


def subgradient_bound(
    f: Function, x: Any, eps: Any, g: Any, radius: Any
) -> tuple[Array, Array, Mask]:
    """f(x) - eps - (|g| + d(g, S)) R, S = f.subdifferential(x, eps), its rounding, and
    whether g is a member of S, up to 1e-9 of their sizes."""
    value = f.value(x)
    ok = np.isfinite(value)
    if np.all(ok):
        try:
            S = f.subdifferential(x, eps)
        except NotImplementedError:
            S = point(f._oracle(x)[1])  # all that is known of it
        ok = ok & S.nonempty
    if not np.all(ok):
        return np.full(ok.shape, -np.inf), np.zeros(ok.shape), ok
    b = S.box()
    reach = np.maximum(np.abs(b.lower), np.abs(b.upper))
    size = norm(np.where(np.isinf(reach), 0.0, reach))
    away = S.distance(g)
    member = away <= 1e-9 * (norm(g) + size)
    if not np.all(member):
        member = member | S.contains(g)  # which knows how curved sets are projected on
    length = norm(g) + away
    # 0 · inf = 0: a zero subgradient needs no radius.
    far = np.where((length > 0) & np.isfinite(radius), radius, 0.0)
    loss = np.where((length > 0) & np.isinf(radius), np.inf, length * far)
    blur = size * far + np.abs(value) + eps + loss
    return value - eps - loss, ULPS * np.finfo(np.float64).eps * blur, member


def certify(
    f: Function, x: Any, radius: Any, eps: Any = None
) -> SubgradientCertificate:
    r"""The best bound an eps-subgradient at x gives on the ball of `radius` around x.

    .. math:: \min_{|y - x| \le R} f(y) \ge \max_e \ f(x) - e - R \,
       \min\{|g| : g \in \partial_e f(x)\}

    with f.subdifferential(x, e) in the place of the e-subdifferential. e is searched
    for on a logarithmic scale below |f(x)|, in three rounds, unless `eps` is given.
    Every trial projects 0 on a set. x (..., n); radius and eps one number or one per
    point.
    """
    x = vector("x", x, f.n)
    radius = nonnegative("radius", radius)
    value = f.value(x)
    if not np.all(np.isfinite(value)):
        raise ValueError("x must lie in the domain of f")
    shape = np.broadcast_shapes(value.shape, radius.shape)
    x = np.broadcast_to(x, (*shape, x.shape[-1]))

    def least(e: Array) -> tuple[Array, Array]:
        g = f.subdifferential(x, e).min_norm()
        return g, e + radius * norm(g)

    if eps is not None:
        e = np.broadcast_to(nonnegative("eps", eps), shape)
        g = least(e)[0]
    else:
        e = np.zeros(shape)
        g, loss = least(e)
        top = np.log10(np.maximum(np.abs(value), 1e-300))
        at, half = top - 8.0 + 0 * e, 8.0
        for _ in range(3):
            best_at = at
            for exponent in np.linspace(-half, half, 9):
                trial = 10.0 ** (at + exponent)
                h, new = least(trial)
                better = new < loss
                e, loss = np.where(better, trial, e), np.where(better, new, loss)
                g = np.where(better[..., None], h, g)
                best_at = np.where(better, at + exponent, best_at)
            at, half = best_at, half / 4
    bound, blur, _ = subgradient_bound(f, x, e, g, radius)
    return SubgradientCertificate(x, e, g, radius, (bound - blur)[()])


def single_cut(f: Function, constraint: Set | None, x: Array) -> CutCertificate:
    """The bound of the cut at x alone over the constraint, tight where x minimises."""
    X = whole_space(x.shape[-1]) if constraint is None else constraint
    value, g = f._oracle(x)
    values, slopes, w = np.asarray(value)[None], g[None], np.ones((1, *x.shape[:-1]))
    raw, blur = cut_bound(X, values, slopes, x[None], w)
    return CutCertificate(x[None], w, X, (raw - blur)[()])


def single_subgradient(f: Function, x: Array) -> SubgradientCertificate | None:
    """The certificate of the subgradient of the oracle at x, None where it has none.

    It bounds f where that is zero, and nowhere else.
    """
    value, g = f._oracle(x)
    if not (np.isfinite(value).all() and np.isfinite(g).all()):
        return None
    zero = np.zeros(g.shape[:-1])
    blur = ULPS * np.finfo(np.float64).eps * np.abs(value)
    bound = np.where(g.any(-1), -np.inf, value - blur)
    return SubgradientCertificate(x, zero, g, zero + np.inf, bound[()])
