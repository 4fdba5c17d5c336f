r"""What the structured methods solve: one quadratic, and atoms of affine maps.

.. math:: \min_x \ \tfrac12 \langle q x, x \rangle + \langle c, x \rangle
   + \sum_k h_k(A_k x + b_k)

of a `Structure`, either as it is, or its Fenchel dual. The dual is taken where f is
g(x) plus squared distances and equations: its variable is -y, y the multiplier of
these,

.. math:: \min_u \ \sum_j \Big(\frac{|u_j|^2}{2 c_j} + \langle b_j, u_j \rangle \Big)
   + g^*(A^T u),

and x is the multiplier of its one atom g*.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad.affine import Diagonal, Matrix, Operator, Sparse, Transposed
from subgrad.core import Function
from subgrad.differences import Difference
from subgrad.functions.indicator import Indicator
from subgrad.functions.quadratic import SquaredNorm
from subgrad.operators import Chain, Pick, Stack, Total
from subgrad.sets.box import Box
from subgrad.solvers.structured.terms import Structure, Term, unscaled

DENSE = 50_000_000  # entries of a matrix that is written out
SLICE = 1 << 15  # entries of a vector at a time


class Remembered(Operator):
    """A map that keeps its last A x and Aᵀ y: methods and certificates ask for both."""

    _parts = ("op",)

    def __init__(self, op: Operator) -> None:
        self.op, self.rows, self.cols = op, op.rows, op.cols
        self.scalar, self.tight = op.scalar, op.tight
        self._last: tuple[Array, Array] | None = None
        self._ahead: tuple[Array, Array] | None = None

    @cached_property
    def square(self) -> float:
        """The sum of the squares of the entries."""
        return square(self.op)

    def forward(self, x: Array) -> Array:
        if self._ahead is not None and np.array_equal(x, self._ahead[0]):
            return self._ahead[1]
        out = self.op.forward(x)
        self._ahead = x.copy(), out
        return out

    def adjoint(self, y: Array) -> Array:
        if self._last is not None:
            known, product = self._last
            if np.array_equal(y, known):
                return product
            if np.array_equal(y, -known):
                return -product
        out = self.op.adjoint(y)
        self._last = y.copy(), out
        return out


def slices(x: Array) -> list[slice]:
    """Parts that stay in the cache, and so do temporary arrays of their size."""
    return [slice(i, i + SLICE) for i in range(0, len(x), SLICE)]


def matrix(op: Operator) -> Any:
    """The map as an array or a sparse array, None if it is only a map."""
    if isinstance(op, Matrix):
        return op.A
    if isinstance(op, Transposed):
        A = matrix(op.op)
        return None if A is None else A.T
    if isinstance(op, Remembered):
        return matrix(op.op)
    if isinstance(op, Sparse):
        return op.A.tocsr() if hasattr(op.A, "toarray") else None
    if isinstance(op, Diagonal | Pick):
        from scipy.sparse import csr_array, diags_array

        if isinstance(op, Diagonal):
            return diags_array(np.broadcast_to(op.w, (op.rows,))).tocsr()
        at = np.arange(op.cols)[op.index]
        one = np.ones(op.rows)
        return csr_array((one, at, np.arange(op.rows + 1)), shape=(op.rows, op.cols))
    if isinstance(op, Chain):
        inner = matrix(op.inner)
        if inner is not None and isinstance(op.outer, Diagonal):
            w = np.broadcast_to(op.outer.w, (op.rows,))
            if isinstance(inner, np.ndarray):
                return w[:, None] * inner
            return inner.multiply(w[:, None]).tocsr()
        outer = matrix(op.outer)
        return None if outer is None or inner is None else outer @ inner
    if isinstance(op, Stack | Total):
        parts = [matrix(p) for p in op.ops]
        if any(p is None for p in parts):
            return None
        if isinstance(op, Total):
            return sum(parts[1:], parts[0])
        if all(isinstance(p, np.ndarray) for p in parts):
            return np.concatenate(parts)
        from scipy.sparse import csr_array, vstack

        return vstack([csr_array(p) for p in parts]).tocsr()
    sparse = getattr(op, "sparse", None)
    if sparse is not None:
        return sparse()
    return op.dense() if op.rows * op.cols <= DENSE else None


def square(op: Operator) -> float:
    """The sum of the squares of the entries, estimated where there is no matrix."""
    if isinstance(op, Diagonal):
        return float(np.sum(np.broadcast_to(op.w**2, (op.rows,))))
    if isinstance(op, Stack):
        return sum(map(square, op.ops))
    if isinstance(op, Transposed):
        return square(op.op)
    if isinstance(op, Remembered):
        return op.square
    if isinstance(op, Difference):
        # The squares of the binomials that every row holds.
        return float(op.rows * math.comb(2 * op.order, op.order))
    A = matrix(op)
    if A is None:
        v = np.random.default_rng(0).standard_normal((8, op.cols))
        return float(np.square(op.forward(v)).sum() / 8)
    data = A if isinstance(A, np.ndarray) else A.data
    return float(np.linalg.norm(data)) ** 2


class _Star(Function):
    """f* by what is known of f, a function of n arguments."""

    def __init__(self, f: Function, n: int) -> None:
        self.f, self.n = f, n

    def _dual_prox(self, y: Array, s: Any) -> Array:
        return self.f._prox(y, np.asarray(s))

    def _dual_prox_jacobian(self, y: Array, s: Any) -> Any:
        return self.f._prox_jacobian(y, s)

    def _value(self, x: Array) -> Array:
        return self.f.conjugate()._value(x)


@dataclass(frozen=True, eq=False)
class Block:
    """One atom: x -> h(A x + b)."""

    h: Function
    op: Operator
    b: Array

    @cached_property
    def matrix(self) -> Any:
        """A as an array or a sparse array; None if it is only a map."""
        return matrix(self.op)

    @property
    def diagonal(self) -> Any:
        """The w of A x = w x, None for other maps."""
        return self.op.w if isinstance(self.op, Diagonal) else None

    @cached_property
    def square(self) -> float:
        """The sum of the squares of the entries of A, at least for a matrix."""
        return square(self.op)


@dataclass(frozen=True, eq=False)
class Form:
    """q and c of shape (n,), and the blocks; `source` is what it came from."""

    q: Array
    c: Array
    blocks: tuple[Block, ...]
    source: Structure
    dual: bool = False

    @property
    def n(self) -> int:
        return len(self.c)

    @cached_property
    def cuts(self) -> list[slice]:
        ends = np.cumsum([0, *(len(k.b) for k in self.blocks)])
        return [slice(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True)]

    @cached_property
    def b(self) -> Array:
        first, *rest = (k.b for k in self.blocks)
        return np.concatenate([first, *rest]) if rest else first

    @cached_property
    def square(self) -> float:
        return sum(k.square for k in self.blocks)

    @cached_property
    def member(self) -> Array:
        """0, or the point of a set that x must lie in that is nearest to 0."""
        return np.zeros(self.n) if self.dual else self.source.member

    @cached_property
    def free(self) -> Term | None:
        """The atom without multiplier, see `base`."""
        return base(self.source)

    def linear(self, x: Array) -> Array:
        """A x, all blocks one after the other."""
        if len(self.blocks) == 1:
            return self.blocks[0].op.forward(x)
        return np.concatenate([k.op.forward(x) for k in self.blocks])

    def adjoint(self, y: Array) -> Array:
        """Aᵀ y."""
        first, *rest = (
            k.op.adjoint(y[at]) for k, at in zip(self.blocks, self.cuts, strict=True)
        )
        return sum(rest, first)

    def dual_prox(self, w: Array, sigmas: Array) -> Array:
        """prox of sigma_k h_k*, block by block; one sigma for each."""
        if len(self.blocks) == 1:
            return self.blocks[0].h._dual_prox(w, sigmas[0])
        each = zip(self.blocks, self.cuts, sigmas, strict=True)
        return np.concatenate([k.h._dual_prox(w[at], t) for k, at, t in each])

    def jacobians(self, w: Array, sigmas: Array) -> list[Any]:
        """Of the same, an element of the Clarke derivative of each block."""
        each = zip(self.blocks, self.cuts, sigmas, strict=True)
        return [k.h._dual_prox_jacobian(w[at], t) for k, at, t in each]

    def spread(self, sigmas: Array) -> Array:
        """A number per block as one per row, or the one number."""
        if len(self.blocks) == 1:
            return sigmas[0]
        return np.repeat(sigmas, [len(k.b) for k in self.blocks])

    def pair(self, x: Array, y: Array) -> tuple[Array, tuple[Any, ...]]:
        """The point of the source, and its multipliers, one per term or None."""
        terms = self.source.terms
        if not self.dual:
            # The blocks are the terms, in their order.
            return x, tuple(
                None if t is self.free else y[at]
                for t, at in zip(terms, self.cuts, strict=True)
            )
        at, out = 0, list[Any]()
        for t in terms:
            if smooth(t) is None:
                out.append(None)
            else:
                out.append(-x[at : at + t.op.rows])
                at += t.op.rows
        return y, tuple(out)


def primal(s: Structure) -> Form:
    """The structure as it is."""
    return Form(s.q, s.c, tuple(Block(t.h, t.op, t.b) for t in s.terms), s)


def smooth(t: Term) -> tuple[float, Array] | None:
    """(1 / c, shift) of a term c/2 |A x + b|², (0, shift) of an equation A x = -b."""
    a, h = unscaled(t.h)
    if isinstance(h, SquaredNorm):
        return 1 / (a * float(h.c)), np.zeros(t.op.rows)
    if isinstance(h, Indicator) and isinstance(h.S, Box):
        low, up = h.S.lower, h.S.upper
        if np.array_equal(low, up):
            return 0.0, np.broadcast_to(low, (t.op.rows,))
    return None


def base(s: Structure) -> Term | None:
    """An atom of x itself with a conjugate, to be minimised over without multiplier."""
    if np.any(s.q != s.q[0]):
        return None
    sets: list[Any] = [t for t in s.terms if t.own and isinstance(t.h, Indicator)]
    # With a bounded set every multiplier of the others is feasible; with one that is
    # not, those of a boundary only, which rounding misses.
    own = [t for t in sets if np.all(t.h._body(s.n).is_bounded)]
    # Other multipliers are made feasible by moving all towards 0, if 0 is a multiplier,
    # or, as of -log det, are inside: of finite functions there may be no inside.
    low = [t for t in s.terms if not np.isfinite(t.h.infimum)]
    some = [t for t in s.terms if t.own or (t.alone and not s.q.any())]
    whole = [t for t in some if not isinstance(t.h, Indicator)]
    own += [t for t in whole if not low or (low == [t] and not t.h.finite)]
    return next((t for t in own if has_conjugate(t.h, s)), None)


def ground(s: Structure) -> tuple[Function | None, list[Term]]:
    """The one nonsmooth atom of x itself with what is quadratic of x, and the rest."""
    own = [t for t in s.terms if t.own and smooth(t) is None]
    rest = [t for t in s.terms if not (t.own and smooth(t) is None)]
    if len(own) != 1:
        return None, list(s.terms)
    g = own[0].h
    return g, rest


def fenchel(s: Structure) -> Form | None:
    """The dual, where f is one atom of x plus squared distances and equations."""
    g, rest = ground(s)
    found = [smooth(t) for t in rest]
    pieces = [p for p in found if p is not None]
    if g is None or not rest or len(pieces) < len(rest):
        return None
    if np.any(s.q != s.q[0]) or not has_conjugate(g, s):
        return None
    s = replace(s, terms=tuple(_remembering(t) for t in s.terms))
    ops = tuple(t.op for t in ground(s)[1])
    return _dual(s, (ops[0] if len(ops) == 1 else Stack(ops)).T)


def _dual(s: Structure, op: Operator) -> Form:
    """The dual of s, x -> Aᵀ x its map."""
    g, rest = ground(s)
    found: list[Any] = [smooth(t) for t in rest]
    star = _Star(joint(g, s), s.n)  # type: ignore[arg-type]
    q = np.concatenate(
        [np.full(t.op.rows, p[0]) for t, p in zip(rest, found, strict=True)]
    )
    c = np.concatenate([t.b - p[1] for t, p in zip(rest, found, strict=True)])
    return Form(q, c, (Block(star, op, np.zeros(s.n)),), s, dual=True)


def _remembering(t: Term) -> Term:
    return t if isinstance(t.op, Diagonal) else replace(t, op=Remembered(t.op))


def renewed(form: Form, s: Structure) -> Form | None:
    """The form of s if it has the maps and atoms of another one, in other multiples.

    All that was found out of these, and which form is to take, is the same.
    """
    old = form.source
    if len(s.terms) != len(old.terms) or s.n != old.n:
        return None
    one = not np.ptp(s.q) and not np.ptp(old.q) and (s.q[0] > 0) == (old.q[0] > 0)
    if not (one or np.array_equal(s.q, old.q)) or not np.array_equal(s.c, old.c):
        return None
    if not all(map(_multiples, s.terms, old.terms)):
        return None
    each = zip(s.terms, old.terms, strict=True)
    s = replace(s, terms=tuple(replace(u, h=t.h) for t, u in each))
    return _dual(s, form.blocks[0].op) if form.dual else primal(s)


def _multiples(t: Term, u: Term) -> bool:
    (a, g), (b, h) = unscaled(t.h), unscaled(u.h)
    same = _one_map(t.op, u.op) and np.array_equal(t.b, u.b) and g == h
    return same and a > 0 and b > 0


def _one_map(op: Operator, other: Operator) -> bool:
    if isinstance(other, Remembered):
        other = other.op
    if isinstance(op, Matrix) and isinstance(other, Matrix):
        return op.A is other.A
    if isinstance(op, Diagonal) and isinstance(other, Diagonal):
        return op.rows == other.rows and np.array_equal(op.w, other.w)
    return op is other


def joint(g: Function, s: Structure) -> Function:
    """g + <c, .> + q/2 |.|² as one function of n arguments."""
    from subgrad.functions.linear import Linear

    f = g
    if np.any(s.q):
        f = f + SquaredNorm(float(s.q[0]))
    if np.any(s.c) or f is not g:
        f = f + Linear(s.c)
    return f


def has_conjugate(g: Function, s: Structure) -> bool:
    """Whether the conjugate of that is known, with its values."""
    try:
        joint(g, s).conjugate()._value(np.zeros(s.n))
    except NotImplementedError:
        return False
    return True
