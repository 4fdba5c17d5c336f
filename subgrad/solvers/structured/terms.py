r"""What a function is made of: atoms of affine maps, and a quadratic of its variable.

.. math:: f(x) = \tfrac12 \langle q x, x \rangle + \langle c, x \rangle + a
   + \sum_k h_k(A_k x + b_k), \qquad q \ge 0

Weights are part of the atoms h_k. Indicators are atoms like others; maxima and
compositions are one atom of the arguments of all their parts, see `composites`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, singledispatch
from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad.affine import Diagonal, Matrix, Operator, chain, identity
from subgrad.calculus.block_compose import BlockComposition
from subgrad.calculus.block_sum import BlockSum
from subgrad.calculus.compose import Composition
from subgrad.calculus.derived import _Derived
from subgrad.calculus.maximum import Maximum
from subgrad.calculus.precompose import Precomposed
from subgrad.calculus.scale import Scaled, scale
from subgrad.calculus.sum import Sum
from subgrad.core import Function
from subgrad.functions.indicator import Indicator
from subgrad.functions.linear import Affine
from subgrad.functions.norms import Norm1, max_entry
from subgrad.functions.quadratic import SquaredNorm
from subgrad.functions.separable import Separable
from subgrad.functions.support import Support
from subgrad.interval import Interval
from subgrad.operators import Pick
from subgrad.sets.affine_subspace import AffineSubspace
from subgrad.sets.box import Box, point
from subgrad.sets.halfspace import HalfSpace
from subgrad.sets.hull import Hull
from subgrad.sets.intersection import Intersection
from subgrad.univariate.linear import PiecewiseLinear

MANY = 4  # norms from which on they are one atom


@dataclass(frozen=True, eq=False)
class Term:
    """x -> h(A x + b); b of shape (rows,)."""

    h: Function
    op: Operator
    b: Array

    @property
    def own(self) -> bool:
        """Whether it is an atom of the variable itself: A = I, b = 0."""
        return self.alone and not self.b.any()

    @property
    def alone(self) -> bool:
        """Whether it is one but for a shift: A = I."""
        return self.op.scalar == 1.0

    def value(self, x: Array) -> Any:
        z = self.op.forward(x)
        return self.h._value(z + self.b if self.b.any() else z)


@dataclass(frozen=True, eq=False)
class Structure:
    """The parts of a function of n variables: q and c of shape (n,), and the terms."""

    q: Array
    c: Array
    offset: float
    terms: tuple[Term, ...]
    source: Function

    @property
    def n(self) -> int:
        return len(self.c)

    @cached_property
    def member(self) -> Array:
        """0, or the point of a set that x must lie in that is nearest to 0."""
        x = np.zeros(self.n)
        for t in self.terms:
            if t.own and isinstance(t.h, Indicator):
                x = t.h._prox(x, np.ones(()))
        return x

    @cached_property
    def lengths(self) -> list[float]:
        """The Frobenius norms of the maps."""
        from subgrad.solvers.structured.form import square

        return [float(np.sqrt(square(t.op))) for t in self.terms]

    @cached_property
    def units(self) -> Array:
        """Of the variables, for maps with columns of very different lengths."""
        from subgrad.solvers.structured.units import units

        return units((t.op for t in self.terms), self.n)

    @cached_property
    def unit_lengths(self) -> list[float]:
        """The Frobenius norms of the maps in these units."""
        from subgrad.solvers.structured.units import squares

        if np.all(self.units == 1):
            return self.lengths
        each: Any = [squares(t.op) for t in self.terms]
        return [float(np.sqrt((a / self.units**2).sum())) for a in each]

    @cached_property
    def flat(self) -> int:
        """How many directions are known along which f does not change."""
        from subgrad.solvers.structured.flats import flat_directions

        return flat_directions(self)

    @cached_property
    def sublevel(self) -> tuple[Array, float]:
        """A point, and a bound on its distance to minimisers, inf if none is known."""
        from subgrad.solvers.level_sets import sublevel_radius

        return self.member, float(sublevel_radius(self.source, self.member))

    def value(self, x: Array) -> float:
        """f(x)."""
        quadratic = 0.5 * (self.q * x) @ x + self.c @ x
        return float(self.offset + quadratic + sum(t.value(x) for t in self.terms))


def structure(f: Function, n: int | None = None, whole: bool = False) -> Structure:
    """The parts of f, a function of n variables.

    With `whole` atoms of the variable itself that are known by an expression and by
    closed forms, as total variations are, stay what they are.
    """
    n = f.n if n is None else n
    if n is None:
        raise ValueError(f"{f!r} takes any number of arguments: apply it to a variable")
    if lead := np.shape(f._value(np.zeros(n))):
        raise NotImplementedError(f"the structure of a batch of {lead} functions")
    found = parts(f, n, whole)
    return replace(found, offset=float(found.offset))


def parts(f: Function, n: int, whole: bool = False) -> Structure:
    """The same of one function or of a batch, whose arrays then have leading axes."""
    q, c, offset, terms = np.zeros(1), np.zeros(1), np.zeros(()), []
    zero = np.broadcast_to(0.0, n)
    for term in _whole(f, n) if whole else _parts(f, identity(n), zero):
        a, h = unscaled(term.h)
        each = np.asarray(a)[..., None]
        if isinstance(h, Affine):
            g = h._gradient(term.op.rows)
            c = c + each * term.op.adjoint(g)
            offset = offset + a * h._value(term.b)
        elif isinstance(h, SquaredNorm) and isinstance(term.op, Diagonal):
            w, each = term.op.w, each * h.c[..., None]
            q = q + each * w * w
            c = _plus(c, each * w, term.b)
            offset = offset + each[..., 0] / 2 * np.vecdot(term.b, term.b)
        else:
            terms.append(term)
    if len(terms) >= MANY:
        from subgrad.solvers.structured.joins import joined

        terms = joined(terms)
    # What is one number stays one.
    q, c = (np.broadcast_to(a, (*a.shape[:-1], n)) for a in (q, c))
    return Structure(q, c, offset, tuple(terms), f)  # type: ignore[arg-type]


def _plus(c: Array, w: Array, b: Array) -> Array:
    """c + w b, without a copy of b where it is that."""
    whole = w.size == 1 and w.item() == 1
    return b if whole and not c.any() else c + w * b


def _whole(f: Function, n: int) -> list[Term]:
    out = []
    for p in f.parts if isinstance(f, Sum) else (f,):
        a, h = unscaled(p)
        if isinstance(h, Precomposed) and h.op.scalar == 1.0 and h.map.b is None:
            h = h.f
        plain = isinstance(h, _Derived)
        here = identity(n), np.broadcast_to(0.0, n)
        out += [Term(scale(h, a), *here)] if plain else _parts(p, *here)
    return out


def unscaled(h: Function) -> tuple[Any, Function]:
    """a and g with h = a g; a a number, or one per problem of a batch."""
    if not isinstance(h, Scaled):
        return 1.0, h
    return (h.a if h.a.ndim else float(h.a)), h.f


@singledispatch
def _parts(f: Function, op: Operator, b: Array) -> list[Term]:
    """f(A x + b) as terms."""
    return [Term(f, op, b)]


@_parts.register
def _(f: Sum, op: Operator, b: Array) -> list[Term]:
    return [t for p in f.parts for t in _parts(p, op, b)]


@_parts.register
def _(f: Scaled, op: Operator, b: Array) -> list[Term]:
    if not np.any(f.a) and f.f.finite:
        return []
    some = bool(np.all(f.a > 0))
    if not some and not f.f.finite:
        raise NotImplementedError(f"the domain of {f!r} as a term of its own")
    return [
        t if isinstance(t.h, Indicator) and some else replace(t, h=scale(t.h, f.a))
        for t in _parts(f.f, op, b)
    ]


@_parts.register
def _(f: Precomposed, op: Operator, b: Array) -> list[Term]:
    shift = np.zeros(1) if f.map.b is None else f.map.b
    if b.any() or f.op.batch:
        shift = f.op.forward(b) + shift
    shift = np.broadcast_to(shift, (*shift.shape[:-1], f.op.rows))
    return _parts(f.f, chain(f.op, op), shift)


@_parts.register
def _(f: _Derived, op: Operator, b: Array) -> list[Term]:
    return _parts(f.base, op, b)


@_parts.register
def _(f: Norm1, op: Operator, b: Array) -> list[Term]:
    if not isinstance(op, Diagonal) or op.w.ndim > 1 or b.any() or not np.all(op.w):
        return [Term(f, op, b)]
    if op.scalar is not None:
        return [Term(scale(f, np.abs(op.w[0])), identity(op.rows), b)]
    return [Term(Support(Box._raw(-np.abs(op.w), np.abs(op.w))), identity(op.rows), b)]


@_parts.register
def _(f: Separable, op: Operator, b: Array) -> list[Term]:
    w = f.weights
    if w is not None and w.ndim == 1 and f.finite and not np.all(w):
        on = np.flatnonzero(w)
        if not len(on):
            return []
        op, b, w = chain(Pick(on, len(on), op.rows), op), b[on], w[on]
        f = Separable(f.phi, w)
    slopes = _slopes(f.phi)
    if slopes is None or (w is not None and w.ndim > 1):
        return [Term(f, op, b)]
    ends = np.multiply.outer(slopes, np.ones(op.rows) if w is None else w)
    return [Term(Support(Box._raw(*ends)), op, b)]


def _slopes(phi: Any) -> Array | None:
    """l and u of φ(z) = max(l z, u z); None of others."""
    if not isinstance(phi, PiecewiseLinear) or phi.batch:
        return None
    bent = np.array_equal(phi.breakpoints, [0.0]) and phi._value(np.zeros(())) == 0
    return phi.slopes if bent and np.isfinite(phi.slopes).all() else None


@_parts.register
def _(f: Support, op: Operator, b: Array) -> list[Term]:
    S = f._body(op.rows)
    if not isinstance(S, Hull) or S.batch:
        return [Term(f, op, b)]
    P = Matrix(S.points[S.active])  # projections on a simplex are easier
    return [Term(max_entry, chain(P, op), P.forward(b))]


@_parts.register
def _(f: Indicator, op: Operator, b: Array) -> list[Term]:
    if isinstance(f.S, Intersection):
        return [t for S in f.S.parts for t in _parts(Indicator(S), op, b)]
    if isinstance(f.S, AffineSubspace):
        C, e = f.S.equations()
        if not len(e):
            return []
        at_zero = Indicator(point(np.zeros(len(e))))
        return [Term(at_zero, chain(Matrix(C), op), C @ b - e)]
    if isinstance(f.S, HalfSpace) and not f.S.batch:
        row, ends = chain(Matrix(f.S.a[None]), op), (f.S.lower, f.S.upper)
        inside = Indicator(Box(Interval(*(np.reshape(e, 1) for e in ends))))
        return [Term(inside, row, f.S.a[None] @ b)]
    return [Term(f, op, b)]


@_parts.register(Maximum)
@_parts.register(Composition)
@_parts.register(BlockComposition)
def _(f: Function, op: Operator, b: Array) -> list[Term]:
    from subgrad.solvers.structured.composites import composed

    return composed(f, op, b)


@_parts.register
def _(f: BlockSum, op: Operator, b: Array) -> list[Term]:
    from subgrad.solvers.structured.composites import apart

    return apart(f, op, b)
