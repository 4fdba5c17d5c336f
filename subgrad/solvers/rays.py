r"""Proofs that a function is unbounded below: directions along which it falls for ever.

.. math:: f_\infty(d) < 0, \quad d \text{ in the recession cone of } C

Rockafellar, Convex Analysis, 8.5: f(x + t d) <= f(x) + t f_∞(d) at every x of C where f
is finite.

An entry of A d counts as 0 where it is small against the same entry of |A| |d|, and a
slope where it is small against what cancelled in it: no scale of A, d or f matters.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import numpy as np

from subgrad._check import Array, vector
from subgrad.calculus.maximum import Maximum
from subgrad.calculus.precompose import Precomposed
from subgrad.calculus.scale import Scaled
from subgrad.calculus.stack import Stacked
from subgrad.calculus.sum import Sum
from subgrad.core import Function, Mask, Set, a_function, a_set, norm
from subgrad.functions.indicator import Indicator
from subgrad.functions.quadratic import Quadratic, SquaredNorm
from subgrad.interval import Interval
from subgrad.operators import Chain, Diagonal, Matrix, Operator, Pick, Stack, Total
from subgrad.sets.affine_subspace import AffineSubspace
from subgrad.sets.box import Box
from subgrad.sets.halfspace import HalfSpace
from subgrad.sets.intersection import Intersection, intersection

NEAR = 1e-12  # of an entry of A d against that of |A| |d|: rounding
NEARLY = 1e-5  # of the same, by the end of a run
ENTRIES = 1_000_000  # of the rows of a least-squares problem
STEPS = 100  # for the steepest of them
TINY = 1e-9
FALLS = 1e-9  # of a slope against what cancelled in it


@dataclass(frozen=True, eq=False)
class RayCertificate:
    """A `direction` (..., n) along which f falls for ever, within the constraint.

    The zero direction stands for problems of a batch of which nothing is proved.
    """

    direction: Array
    constraint: Set | None = None
    lower_bound: Any = -np.inf

    def verify(self, f: Function, constraints: Any = ()) -> bool:
        """Whether f falls along every direction that is not zero."""
        from subgrad.solvers.problem import split

        d = vector("direction", self.direction, a_function("f", f).n)
        kept, sets = split(f)
        if self.constraint is not None:
            sets += [a_set("constraint", self.constraint)]
        some = d.any(-1)
        if kept is None or not some.any():
            return False
        sure = falls_along(kept, d)
        for S in sets:
            sure = sure & stays_in(S, d)
        return bool(np.all(sure | ~some))


def falls_along(f: Function, d: Array) -> Mask:
    """Where the recession function of f is below zero, beyond rounding."""
    from subgrad.calculus.recession import recession_function

    d = _unit(d)
    slope, blur = _growth(recession_function(f), d, np.abs(d))
    return np.asarray(slope < -FALLS * blur)


def falls_within(f: Function, C: Set | None, d: Array) -> tuple[Mask, Array]:
    """Where f falls for ever along d moved into the recession cone of C, and that d."""
    if C is None:
        return falls_along(f, d), d
    # Of a bounded set it is 0: what is left of d by rounding is no direction of C.
    d = C.recession_cone()._project(d)
    return falls_along(f, d) & stays_in(C, d), d


def stays_in(S: Set, d: Array) -> Mask:
    """Where d is in the recession cone of S, up to rounding."""
    d = _unit(d)
    return _recedes(S.recession_cone(), d, np.abs(d))


def straightened(f: Function, d: Array) -> Array:
    """d (n,) moved to where A d = 0 for the squares in f, as it is of every ray.

    And for those rows of the indicators of boxes of A x + b where it nearly is. Not
    where these are too many for least squares.
    """
    from subgrad.solvers.structured.form import matrix
    from subgrad.solvers.structured.terms import structure, unscaled

    try:
        s = structure(f, len(d))
    except NotImplementedError:
        return d
    d = np.where(s.q > 0, 0.0, _unit(d))
    rows, most = [np.zeros((0, s.n))], ENTRIES // s.n
    for t in s.terms:
        h, A = unscaled(t.h)[1], matrix(t.op)
        box = isinstance(h, Indicator) and isinstance(h._body(t.op.rows), Box)
        if A is None or not (box or isinstance(h, SquaredNorm | Quadratic)):
            continue
        small = NEARLY * sizes(t.op, np.abs(d))
        on = np.abs(t.op.forward(d)) <= (small if box else np.inf)
        most -= int(np.count_nonzero(on))
        if most < 0:
            return d
        rows.append(A[on] if isinstance(A, np.ndarray) else A[on].toarray())
    E = np.where(s.q > 0, 0.0, np.concatenate(rows))
    size = norm(E)
    E = E[size > 0] / size[size > 0, None]
    for _ in range(2 if len(E) else 0):
        d = d - np.linalg.lstsq(E, E @ d)[0]
    return d


def steepest(f: Function, C: Set | None, x: Array) -> Array:
    """A direction where f_∞ is least in the unit cube, and in the recession cone of C.

    As good as the structured method finds it; NotImplementedError where it does not
    take f_∞.
    """
    from subgrad.calculus.recession import recession_function
    from subgrad.solvers.core import minimize
    from subgrad.solvers.stops import Gap, MaxIter

    cube = Box(Interval(-np.ones_like(x), np.ones_like(x)))
    within = cube if C is None else intersection(cube, C.recession_cone())
    stop, slope = MaxIter(STEPS) | Gap(TINY), recession_function(f)
    found = minimize(slope, 0 * x, "structured", stop, within)
    return found.x


def _unit(d: Array) -> Array:
    top = np.abs(d).max(-1, keepdims=True, initial=0.0)
    d = d / np.where(top > 0, top, 1.0)
    size = norm(d)[..., None]
    return d / np.where(size > 0, size, 1.0)


@singledispatch
def _growth(g: Function, v: Array, size: Array) -> tuple[Array, Array]:
    """g(v) of a recession function g, and the size of what was summed in it.

    size is |A| |d| where v = A d.
    """
    v = np.where(np.abs(v) <= NEAR * size, 0.0, v)
    value = g._value(v)
    blur = np.zeros(np.shape(value))
    for w in (v, -v, size, -size):
        each = np.abs(g._value(w))
        blur = blur + np.where(np.isfinite(each), each, 0.0)
    return value, blur


@_growth.register
def _(g: Indicator, v: Array, size: Array) -> tuple[Array, Array]:
    inside = _recedes(g._body(v.shape[-1]), v, size)
    return np.where(inside, 0.0, np.inf), np.zeros(np.shape(inside))


@_growth.register
def _(g: Sum, v: Array, size: Array) -> tuple[Array, Array]:
    slopes, sizes = zip(*(_growth(p, v, size) for p in g.parts), strict=True)
    return sum(slopes), sum(sizes)


@_growth.register
def _(g: Maximum, v: Array, size: Array) -> tuple[Array, Array]:
    slopes, sizes = zip(*(_growth(p, v, size) for p in g.parts), strict=True)
    shape = np.broadcast_shapes(*map(np.shape, slopes))
    return (
        np.max([np.broadcast_to(s, shape) for s in slopes], axis=0),
        np.max([np.broadcast_to(s, shape) for s in sizes], axis=0),
    )


@_growth.register
def _(g: Scaled, v: Array, size: Array) -> tuple[Array, Array]:
    slope, blur = _growth(g.f, v, size)
    return g.a * slope, g.a * blur


@_growth.register
def _(g: Precomposed, v: Array, size: Array) -> tuple[Array, Array]:
    return _growth(g.f, g.op.forward(v), sizes(g.op, size))


@_growth.register
def _(g: Stacked, v: Array, size: Array) -> tuple[Array, Array]:
    blocks = zip(g.parts, g._blocks(v), g._blocks(size), strict=True)
    slopes, each = zip(*(_growth(p, a, b) for p, a, b in blocks), strict=True)
    return sum(slopes), sum(each)


def _recedes(K: Set, v: Array, size: Array) -> Mask:
    """Where v is in the closed convex cone K up to NEAR size, row by row where K has
    rows."""
    if isinstance(K, Intersection):
        return np.logical_and.reduce([_recedes(S, v, size) for S in K.parts])
    if isinstance(K, AffineSubspace) and not K.batch:
        C = Matrix(K.equations()[0])
        return np.all(np.abs(C.forward(v)) <= NEAR * sizes(C, size), axis=-1)
    if isinstance(K, HalfSpace):
        along = np.vecdot(K.a, v)
        room = NEAR * np.vecdot(np.abs(K.a), size)
        return (along <= K.upper + room) & (along >= K.lower - room)
    if isinstance(K, Box):
        room = NEAR * size
        return np.all((v <= K.upper + room) & (v >= K.lower - room), axis=-1)
    return np.asarray(K.contains(_unit(v), NEAR)) | np.all(np.abs(v) <= NEAR * size, -1)


def sizes(op: Operator, size: Array) -> Array:
    """|A| size, or an upper bound where A is not at hand."""
    from subgrad.solvers.structured.form import matrix, square

    if isinstance(op, Chain):
        return sizes(op.outer, sizes(op.inner, size))
    if isinstance(op, Diagonal):
        return np.abs(op.w) * size
    if isinstance(op, Matrix):
        return Matrix(np.abs(op.A)).forward(size)
    if isinstance(op, Pick):
        return op.forward(size)
    if isinstance(op, Stack | Total):
        parts = [sizes(p, size) for p in op.ops]
        return np.concatenate(parts, -1) if isinstance(op, Stack) else np.sum(parts, 0)
    A = matrix(op)
    if A is not None:
        return size @ abs(A).T
    return np.sqrt(square(op)) * norm(size)[..., None] + np.zeros(op.rows)
