r"""Radii of sublevel sets: how far from a point a minimiser can be, from f alone.

A minimiser x* has f(x*) <= f(x_0), and if f = sum_i f_i, f_i >= m_i, then

.. math:: f_i(x^*) \le f(x_0) - \sum_{j \ne i} m_j.

One term that grows in every direction is enough; several that do so together, such as
functions of different coordinates, are put together. If f - m/2 |.|² is convex, then
|x* - x_0| <= |g| / m for every subgradient g at x_0. Numbers are enlarged beyond
rounding. What is not proved is inf.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np

from subgrad._check import Array, vector
from subgrad.calculus.block_compose import BlockComposition
from subgrad.calculus.block_sum import split as split_blocks
from subgrad.calculus.compose import Composition
from subgrad.calculus.derived import _Derived
from subgrad.calculus.maximum import Maximum
from subgrad.calculus.precompose import Precomposed
from subgrad.calculus.scale import Scaled
from subgrad.calculus.sum import Sum
from subgrad.core import Function, Set, a_function, norm
from subgrad.functions.distance import Distance
from subgrad.functions.indicator import Indicator
from subgrad.functions.k_support import KSupportNorm
from subgrad.functions.log_sum_exp import LogSumExp
from subgrad.functions.norms import GroupNorm, MaxEntry, Norm1, Norm2, NormInf
from subgrad.functions.ordered import OWL
from subgrad.functions.pnorm import PNorm
from subgrad.functions.quadratic import Quadratic, SquaredNorm
from subgrad.functions.separable import Separable
from subgrad.functions.spectral import SingularFunction
from subgrad.functions.support import Support
from subgrad.operators import Diagonal, Matrix, Operator, Pick, chain
from subgrad.sets.ball import Ball
from subgrad.sets.box import Box
from subgrad.sets.intersection import _flat
from subgrad.sets.simplex import Simplex
from subgrad.solvers.problem import limit_functions, split

EPS = float(np.finfo(np.float64).eps)
SIZE = 4_000_000  # entries of a matrix whose singular values are worth the time
BOXED = 20  # variables: the box of an intersection takes two projections for each
SLACK = 1e-9


def sublevel_radius(f: Function, x0: Any, constraints: Any = ()) -> Any:
    r"""R with |x* - x_0| <= R for every minimiser x*, from f alone; inf if unknown.

    x* may minimise f over any closed convex set that x_0 lies in, and among the points
    with g(x) <= 0 for all g in `constraints`. x0 (..., n) gives R (...).
    """
    a_function("f", f)
    x = vector("x0", x0, f.n).astype(np.float64, copy=False)
    kept, sets = split(f)
    limits = limit_functions(constraints)
    inside = [np.asarray(g._value(x)) <= 0 for g in limits]
    radius: Any = np.inf
    for S in _flat(sets) if sets and x.shape[-1] > BOXED else sets:
        radius = np.minimum(radius, farthest(S, x))
    for g in limits:
        radius = np.minimum(radius, _reach(g, x, np.zeros(())))
    if kept is None:
        return np.asarray(radius)[()]
    value, slope = kept._oracle(x)
    value = np.asarray(value, np.float64)
    known = np.isfinite(value) & np.isfinite(slope).all(-1)
    level = np.where(known, value + SLACK * np.abs(value), np.inf)
    own = _reach(kept, x, level)
    m = np.asarray(_modulus(kept, x.shape[-1]))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        near = np.where(m > 0, norm(slope) / m, np.inf)
    near = np.where(np.isnan(near), np.inf, near)
    # Of a point where a constraint is violated f(x*) <= f(x_0) is not known.
    sure = known if not inside else known & np.all(np.broadcast_arrays(*inside), axis=0)
    own = np.where(sure, np.minimum(own, near), np.inf)
    radius = np.broadcast_to(np.minimum(radius, own), value.shape)
    return (radius * (1 + SLACK) + SLACK * EPS * norm(x))[()]


@singledispatch
def farthest(S: Set, x: Array) -> Array:
    """A bound on the distances from x to the points of S, inf if it is unbounded."""
    b = S.box()
    return norm(np.maximum(np.abs(b.lower - x), np.abs(b.upper - x)))


@farthest.register
def _(S: Ball, x: Array) -> Array:
    if not S.is_round:
        return farthest.dispatch(Set)(S, x)
    return norm(S.center - x) + S.radius[..., 0]


@farthest.register
def _(S: Simplex, x: Array) -> Array:
    # A convex function of the point is largest at a corner, r e_i.
    square = np.vecdot(x, x) - 2 * S.total * x.min(-1) + S.total**2
    return np.sqrt(np.maximum(square, 0.0))


# {f <= level} lies within the reach of x ----------------------------------------------


@singledispatch
def _reach(f: Function, x: Array, level: Array) -> Array:
    """A bound on |y - x| over all y with f(y) <= level, x any point; inf if unknown."""
    return np.full(np.broadcast_shapes(x.shape[:-1], np.shape(level)), np.inf)


@_reach.register
def _(f: _Derived, x: Array, level: Array) -> Array:
    return _reach(f.base, x, level)


@_reach.register
def _(f: Scaled, x: Array, level: Array) -> Array:
    a = np.where(f.a > 0, f.a, 1.0)
    return np.where(f.a > 0, _reach(f.f, x, level / a), np.inf)


@_reach.register
def _(f: Precomposed, x: Array, level: Array) -> Array:
    images = _image(f, x, level)
    return _joint(images, x, np.broadcast_shapes(*(np.shape(r) for r, _ in images)))


@_reach.register
def _(f: Sum, x: Array, level: Array) -> Array:
    low = np.array([p.infimum for p in f.parts])
    images = []
    for i, p in enumerate(f.parts):
        others = np.delete(low, i).sum()
        if np.isfinite(others):
            room = level - others + SLACK * np.abs(np.delete(low, i)).sum()
            images += _image(p, x, room)
    return _joint(images, x, np.shape(level))


@_reach.register
def _(f: Maximum, x: Array, level: Array) -> Array:
    images = [image for p in f.parts for image in _image(p, x, level)]
    return _joint(images, x, np.shape(level))


@_reach.register
def _(f: Composition, x: Array, level: Array) -> Array:
    if _is_above(f.h):
        return _reach.dispatch(Maximum)(f, x, level)
    if len(f.parts) > 1 or not isinstance(f.h, Separable):
        return _reach.dispatch(Function)(f, x, level)
    low = f.parts[0].infimum
    start = np.full((*np.shape(level), 1), low if np.isfinite(low) else 0.0)
    return _reach(f.parts[0], x, _line(f.h, start, level)[1][..., 0])


@_reach.register
def _(f: BlockComposition, x: Array, level: Array) -> Array:
    if not _is_above(f.H):
        return _reach.dispatch(Function)(f, x, level)
    return norm(_reach(f.h, split_blocks(x, f.m), np.asarray(level)[..., None]))


@_reach.register
def _(f: SquaredNorm, x: Array, level: Array) -> Array:
    return np.sqrt(2 * np.maximum(level, 0) / f.c) + norm(x)


@_reach.register
def _(f: Quadratic, x: Array, level: Array) -> Array:
    m = _modulus(f, f.n)
    return np.sqrt(_over(2 * np.maximum(level, 0), np.asarray(m))) + norm(x)


@_reach.register
def _(f: Separable, x: Array, level: Array) -> Array:
    low, high = _line(f, x, level)
    return norm(np.maximum(x - low, high - x))


@_reach.register
def _(f: Indicator, x: Array, level: Array) -> Array:
    return farthest(f._body(x.shape[-1]), x)


@_reach.register
def _(f: Distance, x: Array, level: Array) -> Array:
    return farthest(f.S, x) + np.maximum(level, 0)


@_reach.register
def _(f: SingularFunction, x: Array, level: Array) -> Array:
    # The Frobenius norm of X is the length of its vector of singular values.
    zero = np.zeros((*np.shape(level), min(f.shape)))
    return _reach(f.f, zero, level) + norm(x)


@_reach.register
def _(f: Support, x: Array, level: Array) -> Array:
    m = _growth(f, x.shape[-1])
    return _over(np.maximum(level, 0), np.asarray(m)) + norm(x)


def _is_above(h: Function) -> bool:
    """Whether h is at least the largest entry."""
    own = MaxEntry | Norm1 | Norm2 | NormInf
    return isinstance(h, own) or (isinstance(h, LogSumExp) and h.weights is None)


def _over(a: Array, b: Array) -> Array:
    """a / b, inf where b = 0."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.where(b > 0, a / np.where(b > 0, b, 1.0), np.inf)


def _image(f: Function, x: Array, level: Array) -> list[tuple[Array, Operator | None]]:
    """(r, A) with |A (y - x)| <= r over all y with f(y) <= level; A = None is I."""
    if isinstance(f, Scaled):
        images = _image(f.f, x, level / np.where(f.a > 0, f.a, 1.0))
        return [(np.where(f.a > 0, r, np.inf), op) for r, op in images]
    if isinstance(f, _Derived):
        return _image(f.base, x, level)
    if isinstance(f, Precomposed):
        whole = (_reach(f.f, z := f.map._forward(x), level), f.op)
        if not isinstance(f.f, BlockComposition) or not _is_above(f.f.H):
            return [whole]
        # Of a map that is too large the first block alone may do.
        first = Pick(slice(0, f.f.k), f.f.k, f.f.n)
        return [whole, (_reach(f.f.h, first.forward(z), level), chain(first, f.op))]
    return [(_reach(f, x, level), None)]


def _joint(
    images: list[tuple[Array, Operator | None]], x: Array, shape: tuple[int, ...]
) -> Array:
    """The least of r / σ(A), and of those of all images as one, if it takes all."""
    best = np.full(shape, np.inf)
    some = [(r, op) for r, op in images if np.any(np.isfinite(r))]
    for r, op in some:
        best = np.minimum(best, _over(r, _least_singular(op)))
    ops = [op for _, op in some if op is not None]
    n = x.shape[-1]
    if len(ops) < 2 or np.all(np.isfinite(best)) or any(op.batch for op in ops):
        return best
    if sum(op.rows for op in ops) * n > SIZE:
        return best
    rows = Matrix(np.concatenate([op.dense() for op in ops]))
    total = np.sqrt(sum(np.square(r) for r, op in some if op is not None))
    return np.minimum(best, _over(total, _least_singular(rows)))


def _least_singular(op: Operator | None) -> Array:
    """A lower bound on |A d| / |d|, 0 if none above it is seen."""
    if op is None:
        return np.ones(())
    if op.scalar is not None:
        return np.abs(np.asarray(op.scalar))
    if isinstance(op, Diagonal):
        return np.abs(op.w).min(-1)
    if op.rows < op.cols or op.rows * op.cols > SIZE:
        return np.zeros(())
    if isinstance(op, Matrix):
        A = op.A
    elif op.batch:
        return np.zeros(())
    else:
        A = op.dense()
    s = np.linalg.svd(A.astype(np.float64, copy=False), compute_uv=False)
    # Computed singular values are those of a matrix within rounding of A (Weyl).
    return np.maximum(s[..., -1] - 8 * max(A.shape[-2:]) * EPS * s[..., 0], 0.0)


def _line(f: Separable, x: Array, level: Array) -> tuple[Array, Array]:
    """low and high, per coordinate, around all y with f(y) <= level.

    A convex φ is above a level beyond every point past x where it is so, if it is not
    at x.
    """
    base = f._times(f.phi._value(x))
    low_each = np.asarray(f.phi.infimum, np.float64)
    if not np.isfinite(low_each):
        wide = np.full(np.broadcast_shapes(x.shape, (*np.shape(level), 1)), np.inf)
        return -wide, wide
    least = np.broadcast_to(f._times(low_each + 0 * x), x.shape)
    others = least.sum(-1)[..., None] - least
    spare = SLACK * np.abs(least).sum(-1)
    room = (np.asarray(level) + spare)[..., None] - others
    sound = (base <= room) & np.isfinite(room)
    shape, ends = np.broadcast_shapes(room.shape, x.shape), []
    for side in (-1.0, 1.0):
        # φ is known to be above the level at `far`, and not known to be at `near`.
        near, far = np.zeros(shape), np.full(shape, np.inf)
        step = 1e-3 * np.maximum(np.abs(x), 1.0) + near
        for _ in range(80):
            above = f._times(f.phi._value(x + side * step)) > room
            far, near = np.where(above, step, far), np.where(above, near, step)
            if np.all((far <= 1.1 * near) | ~sound):
                break
            step = np.where(np.isinf(far), 2 * step, (near + far) / 2)
        ends.append(x + side * np.where(sound, far, np.inf))
    return ends[0], ends[1]


# f >= m |.| ---------------------------------------------------------------------------


@singledispatch
def _growth(f: Function, n: int) -> Any:
    """m with f(x) >= m |x|, 0 if none above it is seen."""
    S = f._body(n) if isinstance(f, Support) else None
    if isinstance(S, Box):
        # h_S(x) >= m |x|_1 >= m |x|.
        return np.maximum(np.minimum(-S.lower, S.upper).min(-1), 0.0)
    if isinstance(S, Ball) and S.is_round:
        return np.maximum(S.radius[..., 0] - norm(S.center), 0.0)
    return 0.0


@_growth.register(Norm1)
@_growth.register(Norm2)
@_growth.register(KSupportNorm)
def _(f: Function, n: int) -> Any:
    return 1.0


@_growth.register
def _(f: NormInf, n: int) -> Any:
    return n**-0.5


@_growth.register
def _(f: PNorm, n: int) -> Any:
    return 1.0 if f.p <= 2 else float(n) ** (1 / f.p - 0.5)


@_growth.register
def _(f: GroupNorm, n: int) -> Any:
    return f.weights.min(-1)


@_growth.register
def _(f: OWL, n: int) -> Any:
    # Both orders fall: sum_i w_i |x|_[i] >= mean(w) |x|_1 (Chebyshev).
    return f.weights.mean(-1)


# f - m/2 |.|² is convex ---------------------------------------------------------------


@singledispatch
def _modulus(f: Function, n: int) -> Any:
    """m >= 0 with f - m/2 |.|² convex, 0 if none above it is seen."""
    return 0.0


@_modulus.register
def _(f: SquaredNorm, n: int) -> Any:
    return f.c


@_modulus.register
def _(f: Quadratic, n: int) -> Any:
    if n * n > SIZE:
        return 0.0
    w = np.linalg.eigvalsh(f._dense())
    return max(float(w[0] - 8 * n * EPS * abs(w).max()), 0.0)


@_modulus.register
def _(f: _Derived, n: int) -> Any:
    return _modulus(f.base, n)


@_modulus.register
def _(f: Scaled, n: int) -> Any:
    return f.a * _modulus(f.f, n)


@_modulus.register
def _(f: Sum, n: int) -> Any:
    return sum(_modulus(p, n) for p in f.parts)


@_modulus.register
def _(f: Maximum, n: int) -> Any:
    return np.min(np.broadcast_arrays(*(_modulus(p, n) for p in f.parts)), axis=0)


@_modulus.register
def _(f: Precomposed, n: int) -> Any:
    m = np.asarray(_modulus(f.f, f.op.rows))
    return m * np.square(_least_singular(f.op)) if np.any(m > 0) else m
