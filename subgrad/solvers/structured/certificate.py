r"""Lower bounds from multipliers, and how far residuals of rounding can lift them.

With multipliers y_k in the domains of the conjugates, and r = c + Σ A_kᵀ y_k,

.. math:: f(x) \ge a + \sum_k \langle y_k, b_k \rangle - h_k^*(y_k)
   + \tfrac12 \langle q x, x \rangle + \langle r, x \rangle.

Where q > 0 the right side has a minimum. Where q = 0 it has none unless r = 0, which no
computed y fulfils: minimisers must be known to lie within a distance u of a point x,
which costs |r| u, lengths being those in units of the variables, `units`. It is found
by `reach` in the multipliers themselves, or in others that have more room in the
domains, by `corners` in those of other slopes.

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
from subgrad.sets.box import Box
from subgrad.solvers.certificate import granted, restricted
from subgrad.solvers.problem import unrestricted
from subgrad.solvers.structured.corners import reach_between
from subgrad.solvers.structured.domains import conjugate_value, dual_set, to_domain
from subgrad.solvers.structured.form import joint, slices
from subgrad.solvers.structured.reach import SMALL, reach, unmoved
from subgrad.solvers.structured.terms import Structure, structure, unscaled

EPS = float(np.finfo(np.float64).eps)
ULPS = 8
LITTLE = 1e-6
NEAR = 0.01


@dataclass(frozen=True, eq=False)
class DualCertificate:
    """Multipliers of the terms of f, in their order, that prove `lower_bound`.

    x (n,) is the point near which minimisers are looked for where it matters. A
    multiplier is None for an atom of x itself that is minimised over together with the
    quadratic. `radius`, if given, is a bound on the distance from x to a minimiser that
    is believed, as is `constraint`: f is then considered on that set. The terms are
    those of structure(f, whole=whole). `room` are tuples of other multipliers, which
    bound the distance to minimisers where these do not: one as in `reach`, or as many
    as in `corners`.
    """

    x: Array
    multipliers: tuple[Any, ...]
    lower_bound: float
    radius: float | None = None
    constraint: Set | None = None
    whole: bool = False
    room: tuple[Any, ...] = ()

    def verify(self, f: Function, constraints: Any = ()) -> bool:
        """Whether f has the bound, everything computed afresh.

        f is given without the constraint set, or with it. Constraint functions change
        nothing: the bound holds without them.
        """
        x = _exact("x", self.x, a_function("f", f).n)
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
            f = restricted(unrestricted(f), C)
        if not isinstance(self.whole, bool):
            raise TypeError(f"whole must be True or False, got {self.whole!r}")
        s = structure(f, len(x), self.whole)
        multipliers = multipliers_of(s, "multipliers", self.multipliers)
        if not isinstance(self.room, tuple):
            raise TypeError(f"room must be a tuple, got {type(self.room).__name__}")
        room: Any = tuple(multipliers_of(s, "room", ys) for ys in self.room)
        if multipliers is None or any(
            ys is None or any(y is None for y in ys) for ys in room
        ):
            return False
        missing = [t for t, y in zip(s.terms, multipliers, strict=True) if y is None]
        if len(missing) > 1 or any(not t.alone for t in missing):
            return False
        if s.q.any() and any(not t.own for t in missing):
            return False
        if missing and np.ptp(s.q) > 0:
            return False
        with np.errstate(over="ignore", invalid="ignore"):
            raw, blur, _ = _bound(s, x, multipliers, radius, room)
        if not np.isfinite(raw):
            return False
        return granted(np.asarray(raw - ULPS / 2 * EPS * blur), self.lower_bound, ())


def dual_bound(
    s: Structure,
    x: Array,
    multipliers: tuple[Any, ...],
    radius: float | None = None,
    constraint: Set | None = None,
    whole: bool = False,
    room: tuple[Any, ...] = (),
) -> DualCertificate:
    """The certificate of these multipliers, moved into the domains first.

    An atom without one gets one where there is no bound without it.
    """
    raw, blur, moved = _bound(s, x, _settled(s, multipliers), radius, room)
    if not np.isfinite(raw) and any(y is None for y in moved) and not s.q.any():
        zeros = (np.zeros(t.op.rows) for t in s.terms)
        each = zip(multipliers, zeros, strict=True)
        filled = _settled(s, tuple(zero if y is None else y for y, zero in each))
        raw, blur, moved = _bound(s, x, filled, radius, room)
    left = [t.h for t, y in zip(s.terms, moved, strict=True) if y is None]
    if left and (s.c.any() or dual_set(unscaled(left[0])[1], s.n) is None):
        # Rounding may take what was moved towards 0 out of the domain again.
        raw, blur, moved = _bound(s, x, moved, radius, room)
    bound = raw - 2 * ULPS * EPS * blur if np.isfinite(raw) else -np.inf
    # A method may go on to change the multipliers that it gave.
    given = {id(y) for y in multipliers if y is not None}
    moved = tuple(y.copy() if id(y) in given else y for y in moved)
    return DualCertificate(x, moved, bound, radius, constraint, whole, room)


def least_gap(s: Structure, x: Array, value: float, ys: tuple[Any, ...]) -> float:
    """About the least that `value`, f(x), less a bound by these multipliers can be.

    Not less than without what r = q x + c + Σ A_kᵀ y_k costs, or with minimisers known
    to be within a hundredth of |x|. 0 where bounds are cheap to find.
    """
    if s.n <= SMALL or s.q.all() or any(y is None for y in ys):
        return 0.0
    r, bound = s.q * x + s.c, s.offset + float((s.q * x / 2 + s.c) @ x)
    for t, y in zip(s.terms, ys, strict=True):
        y = to_domain(t.h, y)
        r = r + t.op.adjoint(y)
        bound += float(y @ (t.op.forward(x) + t.b)) - conjugate_value(t.h, y)
    return max(value - bound, NEAR * float(np.linalg.norm(r) * np.linalg.norm(x)))


def within_polar(s: Structure, ys: tuple[Any, ...], box: int | None) -> Any:
    """ys with None for that box without end, where the slope of all others leaves no
    doubt that f is bounded below on it: there no distance is asked for. Else None.
    """
    if box is None or any(y is None for y in ys):
        return None
    rest = tuple(None if k == box else y for k, y in enumerate(ys))
    moved = [
        None if y is None else to_domain(t.h, y)
        for t, y in zip(s.terms, rest, strict=True)
    ]
    w = -s.c
    for t, y in zip(s.terms, moved, strict=True):
        w = w if y is None else w - t.op.adjoint(y)
    S: Any = s.terms[box].h._body(s.n)  # type: ignore[attr-defined]
    return rest if _well_inside(S, w, _sum(s, moved)) else None


def multipliers_of(s: Structure, name: str, ys: Any) -> tuple[Any, ...] | None:
    """One array or None per term of s; None where they are not of these lengths."""
    if not isinstance(ys, tuple | list):
        kind = type(ys).__name__
        raise TypeError(f"{name} must be a tuple of arrays, got {kind}")
    out = tuple(None if y is None else _exact(name, y, None) for y in ys)
    lengths = [t.op.rows for t in s.terms]
    if len(out) != len(lengths) or any(
        y is not None and y.shape != (k,) for y, k in zip(out, lengths, strict=True)
    ):
        return None
    return out


def _exact(name: str, y: Any, n: int | None) -> Array:
    """A vector of doubles: with others everything would be rounded to their digits."""
    return vector(name, y, n).astype(np.float64, copy=False)


def _settled(s: Structure, multipliers: tuple[Any, ...]) -> tuple[Any, ...]:
    """With what is left of c + Σ A_kᵀ y_k put into the multiplier of an atom of x."""
    own = [i for i, t in enumerate(s.terms) if t.alone]
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
    s: Structure,
    x: Array,
    multipliers: tuple[Any, ...],
    radius: float | None,
    room: tuple[Any, ...],
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
    if left and np.ptp(s.q) > 0:
        return -np.inf, 0.0, tuple(ys)  # their conjugate together is not known
    if left and (theta := _shrink(left[0].h, -r, s, _sum(s, ys))) < 1:
        if not all(np.isfinite(t.h.infimum) for t in s.terms if t is not left[0]):
            return -np.inf, 0.0, tuple(ys)  # 0 is no multiplier to move towards
        if theta == 0:
            return -np.inf, 0.0, tuple(ys)
        ys, r = [None if y is None else theta * y for y in ys], theta * r
    total, blur = s.offset, abs(s.offset)
    for t, y in zip(s.terms, ys, strict=True):
        if y is not None:
            value = conjugate_value(t.h, y)
            total += float(y @ t.b) - value
            blur += _size(y, t.b, t.op.forward(x)) + abs(value) + _cancelled(t.h, y)
    moved = tuple(ys)
    # The products with A are wrong by about as much as this.
    size = _sum(s, ys)
    if left:
        g, w, shift = left[0].h, -r - s.c, left[0].b
        blur += size * float(np.linalg.norm(x))
        if isinstance(g, Indicator):
            blur += size * float(np.linalg.norm(g._body(s.n)._support_point(w)))
            blur += _cancelled(g, w)
        if s.q.any():
            value = float(joint(g, s).conjugate()._value(-r))
        else:
            w = to_domain(g, w) if _inside(g, w) else np.inf + w
            value = conjugate_value(g, w) if np.isfinite(w).all() else np.inf
            value -= float(w @ shift) if shift.any() else 0.0
            blur += (size + float(np.linalg.norm(w))) * float(np.linalg.norm(shift))
        bound = total - value if np.isfinite(value) else -np.inf
        return bound, blur + abs(total), moved
    r, curved = r + s.c, s.q > 0
    v, q = (r, s.q) if curved.all() else (r[curved], s.q[curved])
    lowest = v / q
    bound = total - float(v @ lowest) / 2
    if not np.isfinite(bound):
        return -np.inf, 0.0, moved
    blur += abs(total - bound) + size * float(np.linalg.norm(lowest))
    if curved.all():
        return bound, blur, moved
    free = unmoved(s, ys, r)
    if not np.all(curved | free):
        flat, u = np.where(curved, 0.0, r), s.units
        size = _sum(s, ys, u)
        away = float(np.linalg.norm(flat / u)) + EPS * size
        along = float(flat @ x)
        blur += float(np.abs(flat) @ np.abs(x)) + size * float(np.linalg.norm(u * x))
        # Either f* is at least this, or f is less than this at minimisers.
        level = bound + along
        far = reach(s, x, moved, level, free)
        if len(room) == 1:
            each = zip(s.terms, room[0], strict=True)
            other = tuple(to_domain(t.h, y) for t, y in each)
            far = min(far, reach(s, x, other, level, free))
        elif room:
            far = min(far, float(u.max()) * reach_between(s, x, room, level))
        if radius is not None:
            far = min(far, float(u.max()) * radius)
        if not np.isfinite(far):
            return (bound if away == 0 else -np.inf), blur, moved
        # A change of y by rounding changes r by as much.
        blur += size * far
        bound += along - away * far
    return bound, blur, moved


def _size(y: Array, b: Array, z: Array) -> float:
    """<|y|, |b| + |z|>."""
    each = (np.abs(y[at]) @ (np.abs(b[at]) + np.abs(z[at])) for at in slices(y))
    return float(sum(each))


def _cancelled(h: Function, y: Array) -> float:
    """What can have cancelled in h*(y) of the indicator of a set.

    In <y, z> at a support point z, and of the centre of the set against its width.
    """
    g = unscaled(h)[1]
    if not isinstance(g, Indicator):
        return 0.0
    S = g._body(len(y))
    z, other = S._support_point(y), float(np.abs(S._support(-y)))
    size = float(np.abs(y) @ np.where(np.isfinite(z), np.abs(z), 0.0))
    return size + (other if np.isfinite(other) else 0.0)


def _inside(g: Function, w: Array) -> bool:
    """Whether g* is finite at w: what is outside by rounding is outside.

    Spectra that are computed anew may differ by rounding, where g* is finite too.
    """
    p, (a, h) = to_domain(g, w), unscaled(g)
    if np.array_equal(p, w):
        return True
    if (S := dual_set(h, len(w))) is not None:
        return bool(S._contains(0 * w, 0.0) and S._gauge(w / a) <= 1)
    near = float(np.linalg.norm(w - p)) <= 4 * ULPS * EPS * float(np.linalg.norm(w))
    open_ = not (g.finite or isinstance(h, Indicator))
    return open_ and near and bool(np.isfinite(conjugate_value(g, w)))


def _well_inside(S: Set, w: Array, size: float) -> bool:
    """Whether h_S is finite at w, a sum of numbers of that size, for sure."""
    if not isinstance(S, Box):
        return False
    room = 2 * ULPS * EPS * size
    low, up = np.isfinite(S.lower), np.isfinite(S.upper)
    return bool(np.all((low | (w >= room)) & (up | (w <= -room))))


def _sum(s: Structure, ys: Any, u: Any = None) -> float:
    """The size of what is summed in c + Σ A_kᵀ y_k, in units u."""
    each = zip(s.lengths if u is None else s.unit_lengths, ys, strict=True)
    size = sum(a * float(np.linalg.norm(y)) for a, y in each if y is not None)
    return float(np.linalg.norm(s.c if u is None else s.c / u)) + size


def _shrink(g: Function, v: Array, s: Structure, size: float) -> float:
    """θ <= 1 with the conjugate of g + <c, .> + q/2 |.|² finite at θ v, 0 if none.

    Also if v, the sum of numbers of that size, is computed anew from θ y.
    """
    a, h = unscaled(g)
    if s.q.any() or (isinstance(h, Indicator) and np.all(h._body(s.n).is_bounded)):
        return 1.0
    S = dual_set(h, s.n)

    def inside(t: float) -> bool:
        w = t * v - s.c
        if S is not None:
            return bool(S._gauge(w / a) <= 1 - ULPS * EPS)
        return _inside(g, w)

    if isinstance(h, Indicator) and _well_inside(h._body(s.n), v - s.c, size):
        return 1.0
    # Sets without inner points, or those that leave out 0, have none.
    near = (LITTLE * v - s.c) / a
    if not (inside(LITTLE) if S is None else S._contains(near, ULPS * EPS)):
        return 0.0
    blur = ULPS * EPS + 2 * EPS * size / float(np.linalg.norm(v) or 1.0)
    if S is not None and not s.c.any():
        gauge = float(S._gauge(v / a))
        return 1.0 if gauge <= 1 else max(1 - blur, 0.0) / gauge
    if _inside(g, v - s.c):
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(60):
        t = (low + high) / 2
        low, high = (t, high) if inside(t) else (low, t)
    return max(1 - blur, 0.0) * low
