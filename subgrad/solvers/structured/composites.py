r"""Maxima and compositions as terms: one `_Composed` of the arguments of all parts.

.. math:: h(F_1(x), \dots, F_k(x)) = H(A x + b), \qquad
   F_i(x) = \langle c_i, x \rangle + d_i + \sum_j f_{ij}(A_{ij} x + b_{ij})

The rows of A are those of the A_ij and then the c_i. What all pieces of a maximum have
of a quadratic Σ q_j x_j² / 2 is a term of its own. Indicators in a piece are terms as
well: outside of their sets h(F) is +inf.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad.affine import Diagonal, Matrix, Operator, chain, identity
from subgrad.calculus.block_compose import BlockComposition
from subgrad.calculus.block_sum import BlockSum
from subgrad.calculus.compose import Composition
from subgrad.calculus.maximum import Maximum
from subgrad.calculus.precompose import Precomposed
from subgrad.calculus.scale import Scaled, scale
from subgrad.calculus.sum import Sum
from subgrad.core import Function
from subgrad.functions.indicator import Indicator
from subgrad.functions.linear import Affine, Linear
from subgrad.functions.norms import MaxEntry, Norm1, Norm2, NormInf
from subgrad.functions.quadratic import Quadratic, SquaredNorm
from subgrad.functions.separable import Separable
from subgrad.functions.support import Support
from subgrad.operators import Pick, Stack
from subgrad.sets.ball import GroupBall, Groups
from subgrad.solvers.structured.epigraphs import _Composed
from subgrad.solvers.structured.form import matrix
from subgrad.solvers.structured.form import square as square_of
from subgrad.solvers.structured.outers import Maxima, Rising, Sums
from subgrad.solvers.structured.summands import Lines, One, Rounds, Stretched
from subgrad.solvers.structured.terms import Term, _parts, unscaled
from subgrad.univariate.catalog import relu, square

APART = 3  # powers of 2 between lengths of rows that are made one
ENTRIES = 50_000_000  # of the rows of the affine parts
SPECTRUM = 1000  # variables of a quadratic form that is made a square


class Piece:
    """<c, x> + d + the sum of terms, and with an own quadratic Σ q_j x_j² / 2."""

    def __init__(self, terms: list[Term], n: int) -> None:
        self.c, self.d, self.terms = np.zeros(n), 0.0, list[Term]()
        self.sets = list[Term]()
        for t in terms:
            a, h = unscaled(t.h)
            if isinstance(h, Affine):
                g = h._gradient(t.op.rows)
                self.c = self.c + a * t.op.adjoint(g)
                self.d += a * float(h._value(t.b))
            elif isinstance(h, Indicator):
                self.sets.append(t)
            else:
                self.terms.append(t)

    def quadratic(self) -> Array:
        """q of the terms c/2 |w x + b|²."""
        q = np.zeros(len(self.c))
        for t in self.terms:
            a, h = unscaled(t.h)
            if isinstance(h, SquaredNorm) and isinstance(t.op, Diagonal):
                q = q + a * float(h.c) * t.op.w**2
        return q

    def less(self, q: Array) -> None:
        """Without Σ q_j x_j² / 2, which it has, its squares written out."""
        rest, left = [], self.quadratic() - q
        for t in self.terms:
            a, h = unscaled(t.h)
            if isinstance(h, SquaredNorm) and isinstance(t.op, Diagonal):
                scale = a * float(h.c)
                self.c = self.c + scale * t.op.w * t.b
                self.d += scale / 2 * float(np.sum(t.b**2 * np.ones(t.op.rows)))
            else:
                rest.append(t)
        on = np.flatnonzero(left > 0)
        if len(on):
            op = chain(Diagonal(np.sqrt(left[on]), len(on)), Pick(on, len(on), len(q)))
            rest.append(Term(SquaredNorm(), op, np.zeros(len(on))))
        self.terms = rest


def composed(f: Function, op: Operator, b: Array) -> list[Term]:
    """f(A x + b) as terms; f itself as the one atom where it is not understood."""
    plain = [Term(f, op, b)]
    if op.batch or np.ndim(b) > 1 or np.shape(f._value(np.zeros(op.rows))):
        return plain
    try:
        if isinstance(f, BlockComposition) and isinstance(unscaled(f.h)[1], Norm2):
            return [_of_norms(f, op, b)]
        h, parts = _outer(f, op, b)
        return _assembled(h, [Piece(p, op.cols) for p in parts])
    except NotImplementedError:
        return plain


def _of_norms(f: BlockComposition, op: Operator, b: Array) -> Term:
    """h of the norms of many blocks, without a term for each."""
    a, one, none = unscaled(f.h)[0], np.ones(f.m), np.zeros(f.m)
    kind = Rounds(np.full(f.m, f.k), np.arange(f.m), one, none, f.m)
    rows = _stacked([_times(a, op), Matrix(np.zeros((f.m, op.cols)))])
    shift = np.concatenate([a * np.broadcast_to(b, op.rows), none])
    return Term(_Composed(_rising(f.H, one > 0), [kind]), rows, shift)


@singledispatch
def _outer(f: Function, op: Operator, b: Array) -> Any:
    """h, one of `outers`, and the terms of its arguments."""
    raise NotImplementedError


@_outer.register
def _(f: Maximum, op: Operator, b: Array) -> Any:
    parts = list[list[Term]]()
    for p in f.parts:
        terms = _parts(p, op, b)
        bent = [t for t in terms if not isinstance(unscaled(t.h)[1], Affine)]
        flat = [t for t in terms if isinstance(unscaled(t.h)[1], Affine)]
        if len(bent) == 1 and isinstance(unscaled(bent[0].h)[1], MaxEntry | NormInf):
            # Of affine functions itself.
            parts += [[*flat, t] for t in _rows(bent[0])]
        else:
            parts.append(terms)
    return Maxima(np.ones(1), len(parts)), parts


def _rows(t: Term) -> list[Term]:
    """The entries of a map, and those of a norm with both signs."""
    A, (a, h) = matrix(t.op), unscaled(t.h)
    if A is None:
        raise NotImplementedError("the rows of a map known by its products")
    A = a * np.asarray(A if isinstance(A, np.ndarray) else A.toarray())
    b = a * np.broadcast_to(t.b, len(A))
    if isinstance(h, NormInf):
        A, b = np.concatenate([A, -A]), np.concatenate([b, -b])
    n = A.shape[1]
    each = zip(A, b, strict=True)
    return [Term(Linear(row, e), identity(n), np.zeros(n)) for row, e in each]


@_outer.register
def _(f: Composition, op: Operator, b: Array) -> Any:
    if np.any(~f.monotone & f.curved):
        raise NotImplementedError("it is only believed that h does not decrease")
    return _rising(f.h, f.curved), [_parts(p, op, b) for p in f.parts]


@_outer.register
def _(f: BlockComposition, op: Operator, b: Array) -> Any:
    parts = [_parts(f.h, A, e) for A, e in _blocks(f, op, b)]
    return _rising(f.H, np.ones(f.m, bool)), parts


@_outer.register
def _(f: BlockSum, op: Operator, b: Array) -> Any:
    """Of maxima, which are one atom; NotImplementedError of others."""
    a, g = unscaled(f.h)
    if not isinstance(g, Maximum):
        raise NotImplementedError
    pieces, w = list[list[Term]](), a * np.broadcast_to(f.weights, f.m)
    for A, e in _blocks(f, op, b):
        pieces += _outer(g, A, e)[1]
    return Maxima(w, len(pieces)), pieces


def _rising(h: Function, curved: Any) -> Any:
    """h as seen from its weights, which must be >= 0 where curved."""
    if np.all(curved):
        h = _risen(h, len(curved))
    if isinstance(h, MaxEntry):
        return Maxima(np.ones(1), len(curved))
    if isinstance(h, Separable) and h.weights is None and not h.phi.batch:
        return Sums(h, curved)
    if not np.all(h._nondecreasing(np.full(len(curved), -np.inf)) | ~curved):
        raise NotImplementedError("h that rises on the range of its arguments only")
    zero = np.zeros(len(curved))
    h._dual_prox(zero, np.ones(()))
    h._dual_prox_jacobian(zero, np.ones(()))
    return Rising(h, len(curved))


def _risen(h: Function, k: int) -> Function:
    """What is h where all arguments are >= 0, and does not decrease anywhere."""
    if isinstance(h, Norm1):
        return Separable(relu)
    if isinstance(h, NormInf):
        return MaxEntry()
    if isinstance(h, SquaredNorm):
        return Separable(float(h.c) * square)
    if isinstance(h, Norm2):
        none = np.zeros(k)
        one = GroupBall._from(none, np.ones(1), Groups(np.zeros(k, int)))
        return Support(one._like(none, np.ones(1), none, none + np.inf))
    return h


def _blocks(f: Any, op: Operator, b: Array) -> list[tuple[Operator, Array]]:
    """The map, block by block."""
    A, shift = matrix(op), np.broadcast_to(b, op.rows)
    dense = isinstance(A, np.ndarray)
    cuts = [slice(j * f.k, (j + 1) * f.k) for j in range(f.m)]
    return [
        (Matrix(A[at]) if dense else chain(Pick(at, f.k, op.rows), op), shift[at])
        for at in cuts
    ]


def apart(f: BlockSum, op: Operator, b: Array) -> list[Term]:
    """A sum over blocks of maxima and compositions: one atom, or one for each block.

    Of norms it is the support function of balls, of which more is known.
    """
    plain = [Term(f, op, b)]
    if op.batch or np.ndim(b) > 1 or np.shape(f._value(np.zeros(op.rows))):
        return plain
    if np.shape(f.h._value(np.zeros(f.k))):
        return plain
    a, g = unscaled(f.h)
    if isinstance(g, Norm2):
        labels = Groups(np.repeat(np.arange(f.m), f.k))
        radius = a * np.broadcast_to(f.weights, f.m)
        balls = GroupBall._from(np.zeros(op.rows), radius, labels)
        return [Term(Support(balls), op, b)]
    if not is_composed(f.h):
        return plain
    found = composed(f, op, b)
    if len(found) > 1 or found[0].h is not f:
        return found
    weights = np.broadcast_to(f.weights, f.m)
    each = zip(_blocks(f, op, b), weights, strict=True)
    return [t for (A, e), w in each for t in _parts(scale(f.h, w), A, e)]


def is_composed(f: Function) -> bool:
    if isinstance(f, Sum):
        return any(is_composed(p) for p in f.parts)
    if isinstance(f, Scaled | Precomposed):
        return is_composed(f.f)
    if isinstance(f, BlockSum):
        return is_composed(f.h)
    return isinstance(f, Maximum | Composition | BlockComposition)


def is_round(t: Term) -> bool:
    """Whether its parts, if it has some, are norms and squares."""
    h = unscaled(t.h)[1]
    return not isinstance(h, _Composed) or all(isinstance(p, Rounds) for p in h.kinds)


def _assembled(h: Any, pieces: list[Piece]) -> list[Term]:
    n, k, out = len(pieces[0].c), len(pieces), [t for p in pieces for t in p.sets]
    if isinstance(h, Maxima):
        out += _common(h, pieces)
    if k * n > ENTRIES:
        raise NotImplementedError("too many affine parts")
    last = Matrix(np.array([p.c for p in pieces])), np.array([p.d for p in pieces])
    each = [(i, t) for i, p in enumerate(pieces) for t in p.terms]
    if not each:
        return [*out, Term(_plain(h), *last)]
    found = [_round(t) for _, t in each]
    ops = [t.op if r is None else r[0] for (_, t), r in zip(each, found, strict=True)]
    unit = _units(np.append(np.linalg.norm(last[0].A, axis=-1), [*map(_length, ops)]))
    kinds, maps, rounds = list[Any](), list[tuple[Operator, Array]](), list[Any]()
    lines, rest = dict[Any, list[tuple[int, Term, float]]](), list[Any]()
    for (i, t), r, u in zip(each, found, unit[k:], strict=True):
        a, g = unscaled(t.h)
        if r is not None:
            rounds.append((r[2], np.full(len(r[2]), i), u * r[3], u * u * r[4]))
            maps.append((_times(1 / u, r[0]), r[1] / u))
        elif isinstance(g, Separable) and g.weights is None and not g.phi.batch:
            lines.setdefault((id(g.phi), u), []).append((i, t, a))
        else:
            rest.append((i, t, u))
    if rounds:
        sizes, piece, w, c = (np.concatenate(a) for a in zip(*rounds, strict=True))
        kinds.append(Rounds(sizes, piece, w, c, k))
    for i, t, u in rest:
        kinds.append(_stretched(One(_checked(t), t.op.rows, i, k), u))
        maps.append((_times(1 / u, t.op), t.b / u))
    for (_, u), same in lines.items():
        rows = [t.op.rows for _, t, _ in same]
        w = np.repeat([a for _, _, a in same], rows)
        owner = np.repeat([i for i, _, _ in same], rows)
        phi = unscaled(_checked(same[0][1]))[1].phi  # type: ignore[attr-defined]
        kinds.append(_stretched(Lines(phi, w, owner, k), u))
        maps += [(_times(1 / u, t.op), t.b / u) for _, t, _ in same]
    op = _stacked([*(A for A, _ in maps), Matrix(last[0].A / unit[:k, None])])
    shift = [np.broadcast_to(e, A.rows) for A, e in maps]
    shift.append(last[1] / unit[:k])
    return [*out, Term(_Composed(h, kinds, unit[:k]), op, np.concatenate(shift))]


def _length(op: Operator) -> float:
    """Of a row, about."""
    return float(np.sqrt(square_of(op) / op.rows))


def _units(lengths: Array) -> Array:
    """Powers of 2 by which rows are divided that are much longer or shorter than most.

    Methods have one step length for all of them. Rows of zeros stay what they are.
    """
    some = np.sort(lengths[lengths > 0])
    usual = some[len(some) // 2] if len(some) else 1.0
    apart = np.round(np.log2(np.where(lengths > 0, lengths, usual) / usual))
    return np.where(np.abs(apart) >= APART, 2.0**apart, 1.0)


def _stretched(kind: Any, u: float) -> Any:
    return kind if u == 1 else Stretched(kind, float(u))


def _plain(h: Any) -> Function:
    """h as a function of its arguments."""
    if not isinstance(h, Maxima):
        return h.h
    if len(h.w) == 1:
        return scale(MaxEntry(), h.w[0])
    return BlockSum(MaxEntry(), len(h.w), h.w, h.k // len(h.w))


def _common(h: Maxima, pieces: list[Piece]) -> list[Term]:
    """What all pieces of a maximum have of Σ q_j x_j² / 2, taken out of them."""
    size, out = len(pieces) // len(h.w), []
    for j, w in enumerate(h.w):
        block = pieces[j * size : (j + 1) * size]
        q = np.min([p.quadratic() for p in block], axis=0)
        if np.any(q):
            op = Diagonal(np.sqrt(w * q), len(q))
            out.append(Term(SquaredNorm(), op, np.zeros(len(q))))
            for p in block:
                p.less(q)
    return out


def _round(t: Term) -> tuple[Operator, Array, Array, Array, Array] | None:
    """Map, shift, sizes, w and c of the w |z| or c/2 |z|² that it is the sum of.

    w and c are 1: weights in the map keep z as large as the values of the pieces.
    """
    a, h = unscaled(t.h)
    op, b, one, none = t.op, t.b, np.ones(1), np.zeros(1)
    if isinstance(h, Norm1):
        each = np.ones(op.rows)
        return _times(a, op), a * b, each.astype(int), each, 0 * each
    if isinstance(h, Norm2):
        return _times(a, op), a * b, np.array([op.rows]), one, none
    if isinstance(h, Quadratic) and op.rows <= SPECTRUM and h._spectrum[0].any():
        w, V = h._spectrum
        half = Matrix(np.sqrt(w[w > 0])[:, None] * V[:, w > 0].T)
        op, b, c = chain(half, op), half.forward(b), a
    elif isinstance(h, SquaredNorm):
        c = a * float(h.c)
    else:
        return None
    root = np.sqrt(c)
    return _times(root, op), root * b, np.array([op.rows]), none, one


def _times(a: float, op: Operator) -> Operator:
    return op if a == 1 else chain(Diagonal(np.array(a), op.rows), op)


def _checked(t: Term) -> Function:
    """Its atom, if it has what is asked of a summand."""
    h, zero = t.h, np.zeros(t.op.rows)
    if not h.finite:
        raise NotImplementedError(f"{h!r} within a maximum or a composition")
    h._dual_prox(zero, np.ones(()))
    h._dual_prox_jacobian(zero, np.ones(()))
    h.conjugate()
    return h


def _stacked(ops: list[Operator]) -> Operator:
    """The maps one below the other, as one matrix where they are matrices."""
    found = [matrix(op) for op in ops]
    if all(isinstance(A, np.ndarray) for A in found):
        return Matrix(np.concatenate(found))
    if any(A is None for A in found):
        return Stack(tuple(ops))
    if sum(A.shape[0] for A in found) * ops[0].cols > ENTRIES:
        return Stack(tuple(ops))
    dense = [A if isinstance(A, np.ndarray) else A.toarray() for A in found]
    return Matrix(np.concatenate(dense))
