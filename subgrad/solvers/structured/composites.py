r"""Maxima and compositions as terms: one atom `Composed` of the arguments of all parts.

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
from subgrad.affine import Diagonal, Matrix, Operator, chain
from subgrad.calculus.block_compose import BlockComposition
from subgrad.calculus.block_sum import BlockSum
from subgrad.calculus.compose import Composition
from subgrad.calculus.maximum import Maximum
from subgrad.calculus.precompose import Precomposed
from subgrad.calculus.scale import Scaled, scale
from subgrad.calculus.sum import Sum
from subgrad.core import Function
from subgrad.functions.indicator import Indicator
from subgrad.functions.linear import Affine
from subgrad.functions.norms import MaxEntry, Norm1, Norm2
from subgrad.functions.quadratic import Quadratic, SquaredNorm
from subgrad.functions.separable import Separable
from subgrad.operators import Pick, Stack
from subgrad.solvers.structured.epigraphs import Composed, Other, Round
from subgrad.solvers.structured.form import matrix
from subgrad.solvers.structured.terms import Term, _parts, unscaled

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
        h, parts, curved = _outer(f, op, b)
        pieces = [Piece(p, op.cols) for p in parts]
        return _assembled(h, pieces, curved)
    except NotImplementedError:
        return plain


@singledispatch
def _outer(f: Function, op: Operator, b: Array) -> Any:
    """h, the terms of its arguments, and where weights must be >= 0."""
    raise NotImplementedError


@_outer.register
def _(f: Maximum, op: Operator, b: Array) -> Any:
    parts = list[list[Term]]()
    for p in f.parts:
        terms = _parts(p, op, b)
        a, h = unscaled(terms[0].h) if len(terms) == 1 else (1.0, None)
        parts += _rows(terms[0], a) if isinstance(h, MaxEntry) else [terms]
    return MaxEntry(), parts, np.ones(len(parts), bool)


def _rows(t: Term, a: float) -> list[list[Term]]:
    """The entries of a map, each an affine function."""
    A = matrix(t.op)
    if A is None:
        raise NotImplementedError
    A = np.asarray(A if isinstance(A, np.ndarray) else A.toarray())
    one = Affine.constant(1.0)
    from subgrad.functions.linear import Linear

    return [
        [Term(Linear(a * row, a * e), Diagonal(np.ones(1), len(row)), 0 * row)]
        for row, e in zip(A, np.broadcast_to(t.b, len(A)), strict=True)
    ]


@_outer.register
def _(f: Composition, op: Operator, b: Array) -> Any:
    if np.any(~f.monotone & f.curved):
        raise NotImplementedError("it is only believed that h does not decrease")
    _rises(f.h, f.curved)
    return f.h, [_parts(p, op, b) for p in f.parts], f.curved


@_outer.register
def _(f: BlockComposition, op: Operator, b: Array) -> Any:
    _rises(f.H, np.ones(f.m, bool))
    parts = [_parts(f.h, A, e) for A, e in _blocks(f, op, b)]
    return f.H, parts, np.ones(f.m, bool)


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
    """A sum over blocks of maxima and compositions, block by block."""
    plain = [Term(f, op, b)]
    if op.batch or np.ndim(b) > 1 or np.shape(f._value(np.zeros(op.rows))):
        return plain
    if np.shape(f.h._value(np.zeros(f.k))) or not _is_composed(f.h):
        return plain
    weights = np.broadcast_to(f.weights, f.m)
    each = zip(_blocks(f, op, b), weights, strict=True)
    return [t for (A, e), w in each for t in _parts(scale(f.h, w), A, e)]


def _is_composed(f: Function) -> bool:
    if isinstance(f, Sum):
        return any(_is_composed(p) for p in f.parts)
    if isinstance(f, Scaled | Precomposed):
        return _is_composed(f.f)
    return isinstance(f, Maximum | Composition | BlockComposition)


def _rises(h: Function, curved: Any) -> None:
    """NotImplementedError where the multipliers of h may be negative and not clipped.

    Of sums over the entries h* may be cut off below 0: that is the conjugate of the
    extension of h that rises everywhere, the same on the range of the arguments.
    """
    if isinstance(h, Separable) and h.weights is None:
        return
    everywhere = h._nondecreasing(np.full(len(curved), -np.inf))
    if isinstance(h, Separable) or not np.all(everywhere | ~curved):
        raise NotImplementedError("h that rises on the range of its arguments only")


def _assembled(h: Function, pieces: list[Piece], curved: Any) -> list[Term]:
    n, out = len(pieces[0].c), [t for p in pieces for t in p.sets]
    if isinstance(h, MaxEntry) and np.any(q := common(pieces)):
        root = np.sqrt(q)
        square = SquaredNorm() if np.any(q != q[0]) else SquaredNorm(q[0])
        root = root if np.any(q != q[0]) else np.ones(1)
        out.append(Term(square, Diagonal(root, n), np.zeros(n)))
        for p in pieces:
            p.less(q)
    if len(pieces) * n > ENTRIES:
        raise NotImplementedError("too many affine parts")
    last = Matrix(np.array([p.c for p in pieces])), np.array([p.d for p in pieces])
    if not any(p.terms for p in pieces):
        return [*out, Term(h, *last)]
    rounds, others = list[tuple[Round, Operator, Array]](), []
    for i, p in enumerate(pieces):
        for t in p.terms:
            found = _round(t, i)
            rounds += found
            if not found:
                others.append((_other(t, i), t.op, t.b))
    H = Composed(h, [r for r, _, _ in rounds], [o for o, _, _ in others], curved)
    ops = [op for _, op, _ in (*rounds, *others)]
    shifts = [np.broadcast_to(b, op.rows) for _, op, b in (*rounds, *others)]
    return [*out, Term(H, _stacked([*ops, last[0]]), np.concatenate([*shifts, last[1]]))]


def common(pieces: list[Piece]) -> Array:
    """The largest q with Σ q_j x_j² / 2 in every piece."""
    return np.min([p.quadratic() for p in pieces], axis=0)


def _round(t: Term, i: int) -> list[tuple[Round, Operator, Array]]:
    """The term as norms and squared norms; none where it is something else."""
    a, h = unscaled(t.h)
    m = t.op.rows
    if isinstance(h, SquaredNorm):
        return [(Round(m, i, 0.0, a * float(h.c)), t.op, t.b)]
    if isinstance(h, Norm2) or (isinstance(h, Norm1) and m == 1):
        return [(Round(m, i, a, 0.0), t.op, t.b)]
    if isinstance(h, Quadratic) and m <= SPECTRUM:
        w, V = h._spectrum
        on = w > 0
        root = Matrix(np.sqrt(w[on])[:, None] * V[:, on].T)
        if not on.any():
            raise NotImplementedError("a quadratic that is zero")
        return [(Round(root.rows, i, 0.0, a), chain(root, t.op), root.forward(t.b))]
    return []


def _other(t: Term, i: int) -> Other:
    h, zero = t.h, np.zeros(t.op.rows)
    if not h.finite:
        raise NotImplementedError(f"{h!r} within a maximum or a composition")
    h._prox(zero, np.ones(()))
    h._prox_jacobian(zero, np.ones(()))
    h.conjugate()
    return Other(t.op.rows, i, h)


def _stacked(ops: list[Operator]) -> Operator:
    """The maps one below the other, as one matrix where they are matrices."""
    found = [matrix(op) for op in ops]
    if all(isinstance(A, np.ndarray) for A in found):
        return Matrix(np.concatenate(found))
    if any(A is None for A in found):
        return Stack(tuple(ops))
    from scipy.sparse import issparse

    total = sum(A.shape[0] for A in found) * ops[0].cols
    if total <= ENTRIES:
        return Matrix(np.concatenate([A.toarray() if issparse(A) else A for A in found]))
    return Stack(tuple(ops))
