r"""Lower bounds from multipliers, and how far residuals of rounding can lift them.

With multipliers y_k in the domains of the conjugates, and r = c + Σ A_kᵀ y_k,

.. math:: f(x) \ge a + \sum_k \langle y_k, b_k \rangle - h_k^*(y_k)
   + \tfrac12 \langle q x, x \rangle + \langle r, x \rangle.

Where q > 0 the right side has a minimum. Where q = 0 it has none unless r = 0, which no
computed y fulfils: minimisers must be known to lie within a distance u of a point x,
which costs |r| u. It is found in y itself. If h_k*(y_k + v) <= h_k*(y_k) + <t_k, v> +
l_k for the v = W_k w of a subspace V_k with |w|_2 <= 1, then every point x' has

.. math:: f(x') \ge L + \langle r, x' - x \rangle
   + \sum_k \| W_k P_k (A_k x' + b_k - t_k) \|_2 - l_k,

L the bound at x and P_k the projection onto V_k. At a minimiser f(x') <= f(x), so that
with σ the least singular value of the W_k P_k A_k, all in one matrix, and S the sum of
the |W_k P_k (A_k x + b_k - t_k)|_2 + l_k,

.. math:: |x' - x| \le u = \frac{f(x) - L + S}{\sigma - |r|}, \qquad
   f^* \ge L - |r| u.

Where nothing of the kind is known of the atoms, the radius of a sublevel set is taken.
An atom g of x itself may be left without multiplier: then - g*(-Σ A_kᵀ y_k), taken with
the quadratic, stands for the minimum over x.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from subgrad._check import Array, nonnegative, vector
from subgrad.core import Function, Set, a_function, a_set
from subgrad.functions.indicator import Indicator
from subgrad.functions.quadratic import SquaredNorm
from subgrad.functions.separable import Separable
from subgrad.functions.support import Support
from subgrad.sets.ball import GroupBall
from subgrad.sets.box import Box
from subgrad.sets.hull import CrossPolytope
from subgrad.sets.simplex import CappedSimplex
from subgrad.solvers.certificate import granted, restricted
from subgrad.solvers.problem import split
from subgrad.solvers.structured.form import joint, matrix
from subgrad.solvers.structured.terms import Structure, structure, unscaled

EPS = float(np.finfo(np.float64).eps)
ULPS = 8


def dual_set(h: Function, n: int) -> Set | None:
    """The S of h = h_S on R^n, None for other functions."""
    if isinstance(h, Support):
        return h._body(n)
    if isinstance(h, Separable | Indicator):
        return None
    star = h.conjugate()
    return star._body(n) if isinstance(star, Indicator) else None


def to_domain(h: Function, y: Array) -> Array:
    """A point near y where h* is finite."""
    a, g = unscaled(h)
    y = y / a
    S = dual_set(g, len(y))
    if S is not None:
        y = S._project(y)
    elif isinstance(g, Separable) and g.weights is None:
        y = np.clip(y, *g._star.ends)
    elif isinstance(g, Indicator):
        # h* is a support function: of a box it is finite where no infinite end counts.
        C = g._body(len(y))
        if isinstance(C, Box):
            y = np.where(np.isposinf(C.upper), np.minimum(y, 0), y)
            y = np.where(np.isneginf(C.lower), np.maximum(y, 0), y)
        elif not np.all(C.is_bounded):
            # The polar of the recession cone (Rockafellar, Convex Analysis, 14.2.1).
            y = y - C.recession_cone()._project(y)
    else:
        y = g.conjugate()._to_domain(y)
    return a * y


def conjugate_value(h: Function, y: Array) -> float:
    """h*(y), y a point that `to_domain` gave."""
    a, g = unscaled(h)
    if dual_set(g, len(y)) is not None:
        return 0.0
    if isinstance(g, Indicator):
        return float(g._body(len(y))._support(y))
    if isinstance(g, Separable) and g.weights is None:
        return a * float(g._star._value(y / a).sum())
    return a * float(g.conjugate()._value(y / a))


def margins(
    h: Function, y: Array, loose: bool = False
) -> tuple[Array, Array, float, Any] | None:
    """W, t, the loss l, and the unit u of V = {v : <u, v> = 0}, None for all v.

    With |w|_2 <= 1 and W w in V, h*(y + W w) <= h*(y) + <t, W w> + l; y lies in the
    domain of h*. None where nothing is known. With `loose` W is as large as the domain
    lets it be, at the price of a loss.
    """
    a, g = unscaled(h)
    v, none = y / a, np.zeros_like(y)
    if isinstance(g, Separable) and g.weights is None and not g.phi.batch:
        star = g._star
        if star.polyhedral and not loose:
            points, slopes = star.breakpoints, star.slopes  # type: ignore[attr-defined]
            k = np.searchsorted(points, v)
            ends = np.concatenate([[-np.inf], points, [np.inf]])
            W, t = np.minimum(v - ends[k], ends[k + 1] - v), slopes[k]
            inside = np.isfinite(t)
            return a * np.where(inside, W, 0.0), np.where(inside, t, 0.0), 0.0, None
        low, high = star.ends
        W = 0.5 * np.minimum(np.minimum(v - low, high - v), 1 + np.abs(v))
        t = np.clip(0.0, star._left(v), star._right(v))
        on = (W > 0) & np.isfinite(t)
        W, t = np.where(on, W, 0.0), np.where(on, t, 0.0)
        bend = [star._value(v + e) - star._value(v) - t * e for e in (W, -W)]
        loss = a * float(np.sum(np.where(on, np.maximum(*bend), 0.0)))
        return a * W, t, loss, None
    if isinstance(g, SquaredNorm):
        size = np.abs(y).mean() + EPS
        return size + none, y / (a * float(g.c)), size**2 / (2 * a * float(g.c)), None
    if not isinstance(g, Support):
        return None
    S = g._body(len(y))
    if isinstance(S, Box):
        W = np.maximum(np.minimum(v - S.lower, S.upper - v), 0)
        return a * W, none, 0.0, None
    if isinstance(S, CappedSimplex):
        W = np.maximum(np.minimum(v - S.lower, S.upper - v), 0)
        free = W > 1e-12 * W.max(initial=0.0)
        return _one_size(a, W, free, np.ones_like(y))
    if isinstance(S, GroupBall) and S.is_round:
        room = S.radius - S.groups.norm(v - S.center)
        return a * S.groups.spread(np.maximum(room, 0.0)), none, 0.0, None
    if isinstance(S, CrossPolytope):
        # On the face of the signs of y, or inside.
        room = 1 - np.abs(v).sum()
        if room > 1e-9:
            return a * room / np.sqrt(len(y)) + none, none, 0.0, None
        W = np.abs(v)
        return _one_size(a, W, W > 1e-12 * W.max(initial=0.0), np.sign(v))
    return None


def _one_size(
    a: float, W: Array, free: Any, u: Array
) -> tuple[Array, Array, float, Any]:
    """The least of W over the free entries for all of them, across u there."""
    none = np.zeros_like(W)
    if not free.any():
        return none, none, 0.0, None
    u = np.where(free, u, 0.0)
    return np.where(free, a * W[free].min(), 0.0), none, 0.0, u / np.linalg.norm(u)


@dataclass(frozen=True, eq=False)
class DualCertificate:
    """Multipliers of the terms of f, in their order, that prove `lower_bound`.

    x (n,) is the point near which minimisers are looked for where it matters. A
    multiplier is None for an atom of x itself that is minimised over together with the
    quadratic. `radius`, if given, is a bound on the distance from x to a minimiser that
    is believed, as is `constraint`: f is then considered on that set. The terms are
    those of structure(f, whole=whole).
    """

    x: Array
    multipliers: tuple[Any, ...]
    lower_bound: float
    radius: float | None = None
    constraint: Set | None = None
    whole: bool = False

    def verify(self, f: Function, constraints: Any = ()) -> bool:
        """Whether f has the bound, everything computed afresh.

        f is given without the constraint set, or with it. Constraint functions change
        nothing: the bound holds without them.
        """
        x = vector("x", self.x, a_function("f", f).n)
        if x.ndim != 1:
            raise ValueError(f"x must have shape (n,), got {x.shape}")
        radius: Any = self.radius
        if radius is not None:
            radius = nonnegative("radius", radius)
            if radius.ndim:
                raise ValueError(f"radius must be one number, got {radius.shape}")
            radius = float(radius)
        if self.constraint is not None:
            C = a_set("constraint", self.constraint)
            f = restricted(split(f)[0] or f, C)
        if not isinstance(self.whole, bool):
            raise TypeError(f"whole must be True or False, got {self.whole!r}")
        s = structure(f, len(x), self.whole)
        if not isinstance(self.multipliers, tuple | list):
            kind = type(self.multipliers).__name__
            raise TypeError(f"multipliers must be a tuple of arrays, got {kind}")
        multipliers = tuple(
            None if y is None else vector("multipliers", y, None)
            for y in self.multipliers
        )
        shapes = [(t.op.rows,) for t in s.terms]
        if len(shapes) != len(multipliers) or any(
            y is not None and y.shape != shape
            for y, shape in zip(multipliers, shapes, strict=True)
        ):
            return False
        missing = [t for t, y in zip(s.terms, multipliers, strict=True) if y is None]
        if len(missing) > 1 or any(not t.own for t in missing):
            return False
        raw, blur, _ = _bound(s, x, multipliers, radius)
        return granted(np.asarray(raw - ULPS / 2 * EPS * blur), self.lower_bound, ())


def dual_bound(
    s: Structure,
    x: Array,
    multipliers: tuple[Any, ...],
    radius: float | None = None,
    constraint: Set | None = None,
    whole: bool = False,
) -> DualCertificate:
    """The certificate of these multipliers, moved into the domains first."""
    raw, blur, moved = _bound(s, x, _settled(s, multipliers), radius)
    bound = raw - 2 * ULPS * EPS * blur
    return DualCertificate(x, moved, bound, radius, constraint, whole)


def _settled(s: Structure, multipliers: tuple[Any, ...]) -> tuple[Any, ...]:
    """With what is left of c + Σ A_kᵀ y_k put into the multiplier of an atom of x."""
    own = [i for i, t in enumerate(s.terms) if t.own]
    if not own or any(y is None for y in multipliers) or s.q.all():
        return multipliers
    r = s.c + sum(t.op.adjoint(y) for t, y in zip(s.terms, multipliers, strict=True))
    r = np.where(s.q > 0, 0.0, r)
    ys = list(multipliers)
    for i in own:
        new = to_domain(s.terms[i].h, ys[i] - r)
        r, ys[i] = r + new - ys[i], new
    return tuple(ys)


def _bound(
    s: Structure, x: Array, multipliers: tuple[Any, ...], radius: float | None
) -> tuple[float, float, tuple[Any, ...]]:
    """The bound as computed, the size of what was summed, and the moved multipliers."""
    left = [t for t, y in zip(s.terms, multipliers, strict=True) if y is None]
    ys = [
        None if y is None else to_domain(t.h, y)
        for t, y in zip(s.terms, multipliers, strict=True)
    ]
    r = np.zeros(s.n)
    for t, y in zip(s.terms, ys, strict=True):
        if y is not None:
            r = r + t.op.adjoint(y)
    if left and (theta := _shrink(left[0].h, -r, s)) < 1:
        ys, r = [None if y is None else theta * y for y in ys], theta * r
    total, blur = s.offset, abs(s.offset)
    for t, y in zip(s.terms, ys, strict=True):
        if y is not None:
            value = conjugate_value(t.h, y)
            total += float(y @ t.b) - value
            z = t.op.forward(x)
            blur += float(np.abs(y) @ (np.abs(t.b) + np.abs(z))) + abs(value)
    moved = tuple(ys)
    if left:
        value = float(joint(left[0].h, s).conjugate()._value(-r))
        bound = total - value if np.isfinite(value) else -np.inf
        return bound, blur + abs(total), moved
    r, curved = r + s.c, s.q > 0
    bound = total - float(np.sum(np.square(r[curved]) / (2 * s.q[curved])))
    if not np.isfinite(bound):
        return -np.inf, 0.0, moved
    blur += abs(total - bound)
    if not np.all(curved):
        flat = np.where(curved, 0.0, r)
        # The products with A are wrong by about as much as this.
        size = float(np.linalg.norm(s.c))
        for length, y in zip(s.lengths, ys, strict=True):
            size += 0.0 if y is None else length * float(np.linalg.norm(y))
        away = float(np.linalg.norm(flat)) + EPS * size
        along = float(flat @ x)
        blur += float(np.abs(flat) @ np.abs(x))
        reach = _reach(s, x, moved)
        if radius is not None:
            reach = min(reach, radius)
        # A change of y by rounding changes r by as much.
        blur += size * reach
        bound += along - away * reach
    return bound, blur, moved


def _shrink(g: Function, v: Array, s: Structure) -> float:
    """θ <= 1 with the conjugate of g + <c, .> + q/2 |.|² finite at θ v."""
    a, h = unscaled(g)
    if s.q.any() or (isinstance(h, Indicator) and np.all(h._body(s.n).is_bounded)):
        return 1.0
    S = dual_set(h, s.n)

    def inside(t: float) -> bool:
        w = (t * v - s.c) / a
        if S is not None:
            return bool(S._gauge(w) <= 1 - ULPS * EPS)
        # Membership in the domains of other conjugates has a tolerance of 1e-9.
        return bool(np.isfinite(h.conjugate()._value((1 + 2e-9) * w)))

    if S is not None and not s.c.any():
        gauge = float(S._gauge(v / a))
        return 1.0 if gauge <= 1 else (1 - ULPS * EPS) / gauge
    if inside(1.0):
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(60):
        t = (low + high) / 2
        low, high = (t, high) if inside(t) else (low, t)
    return low


def _reach(s: Structure, x: Array, multipliers: tuple[Any, ...]) -> float:
    """A bound on the distance from x to every minimiser, inf if none is found."""
    P = s.value(x)
    if not np.isfinite(P):
        return np.inf
    near, apart = _reach_by(s, x, multipliers, P)
    if np.isfinite(near) or (apart > 1e-5 * max(1.0, abs(P))):
        return near  # closer to a solution margins may be seen
    if all(np.isfinite(t.h.infimum) for t in s.terms):
        # Half-way to 0, itself a multiplier, there is more room.
        halves = tuple(y / 2 for y in multipliers)
        near, _ = _reach_by(s, x, halves, P, loose=True)
    if np.isfinite(near):
        return near
    center, radius = s.sublevel
    return radius + float(np.linalg.norm(x - center))


def _reach_by(
    s: Structure, x: Array, multipliers: tuple[Any, ...], P: float, loose: bool = False
) -> tuple[float, float]:
    """The u of the docstring, and f(x) - L."""
    r, L = s.q * x + s.c, s.offset + float((s.q * x / 2 + s.c) @ x)
    rows, spread, size = [], 0.0, 0.0
    if s.q.any():
        # q d²/2 >= q w d - q w²/2, for any w.
        w = np.abs(x).mean() + EPS
        rows.append(np.diag(s.q * w)[s.q > 0])
        spread += float(s.q.sum()) * w**2 / 2
    for t, y, length in zip(s.terms, multipliers, s.lengths, strict=True):
        r, z = r + t.op.adjoint(y), t.op.forward(x) + t.b
        size += length * float(np.linalg.norm(y))
        L += float(y @ z) - conjugate_value(t.h, y)
        A, found = matrix(t.op), margins(t.h, y, loose)
        if found is None or A is None:
            continue
        W, slope, loss, u = found
        on = np.flatnonzero(W > 0)
        if not len(on):
            continue
        B = np.asarray(A[on] if isinstance(A, np.ndarray) else A[on].toarray())
        z = (z - slope)[on]
        if u is not None:
            # W is one number where u is not zero.
            B, z = B - np.outer(u[on], u[on] @ B), z - u[on] * (u[on] @ z)
        rows.append(W[on, None] * B)
        spread += float(np.linalg.norm(W[on] * z)) + loss
    apart = P - L if np.isfinite(L) else np.inf
    if sum(map(len, rows)) < s.n:
        return np.inf, apart
    away = float(np.linalg.norm(r)) + EPS * size
    sigma = least_singular(np.concatenate(rows))
    if not (sigma > 2 * away and np.isfinite(apart)):
        return np.inf, apart
    return max((apart + spread) / (sigma - away), 0.0), apart


def least_singular(B: Array) -> float:
    """A lower bound on the least singular value of B (m, n), m >= n."""
    from scipy.linalg import lapack

    G = B.T @ B
    size = float(np.trace(G))
    factor, info = lapack.dpotrf(G, lower=1)
    if info:
        return 0.0
    inverse, info = lapack.dpotri(factor, lower=1)
    if info:
        return 0.0
    low = np.tril(inverse)
    # |G^-1|_F >= 1 / σ²; G is wrong by a few n ulps of its size.
    top = np.sqrt(2 * np.square(low).sum() - np.square(np.diagonal(low)).sum())
    square = 1 / (2 * top) - 4 * len(G) * EPS * size
    return float(np.sqrt(max(square, 0.0)))
