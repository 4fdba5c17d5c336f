"""Batches of problems, all in one call.

Those whose multipliers lie in boxes go to `box_dual`, the others to `BatchNewton`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from subgrad._check import Array, vector
from subgrad.calculus.scale import Scaled
from subgrad.core import Function, Set, a_function, a_set
from subgrad.functions.indicator import Indicator
from subgrad.functions.separable import Separable
from subgrad.functions.support import Support
from subgrad.operators import Matrix, chain
from subgrad.sets.box import Box, point
from subgrad.sets.simplex import CappedSimplex
from subgrad.solvers.certificate import granted, restricted
from subgrad.solvers.problem import split
from subgrad.solvers.structured.batch_newton import BatchNewton
from subgrad.solvers.structured.boxes import boxes
from subgrad.solvers.structured.certificate import DualCertificate, dual_bound
from subgrad.solvers.structured.form import Form, primal
from subgrad.solvers.structured.interior_point import box_dual, lower_bounds
from subgrad.solvers.structured.members import dense, joined, members
from subgrad.solvers.structured.normal import Dense
from subgrad.solvers.structured.terms import Term, parts, structure, unscaled
from subgrad.univariate.linear import PiecewiseLinear

COLUMNS = 400  # and numbers in the map of one problem: of what is solved together
TOGETHER = 1_000_000
STEPS = 2000
PATIENCE = 12  # steps of the multipliers that come no closer


class Arrays(NamedTuple):
    """What `box_dual` takes: A (..., m, n), the others (..., n) or (..., m)."""

    q: Array
    c: Array
    A: Array
    b: Array
    low: Array
    high: Array
    p: Array

    def value(self, x: Array) -> Array:
        """That of the formula of `box_dual` at x, which leaves out constants of f."""
        z = np.matvec(self.A, x) + self.b
        with np.errstate(divide="ignore", invalid="ignore"):
            best = np.where(z > 0, self.high, self.low)
            curved = np.minimum(np.maximum(z / self.p, self.low), self.high)
            y = np.where(self.p > 0, curved, np.where(z == 0, 0.0, best))
            # Constraints hold where f is finite.
            each = np.where((y == 0) | np.isinf(y), 0.0, y * (z - self.p * y / 2))
        return each.sum(-1) + np.vecdot(x, self.q * x / 2 + self.c)


def arrays(f: Function, n: int) -> Arrays:
    """Those of a batch of functions. NotImplementedError where f has other parts."""
    s, found = parts(f, n), []
    for t in [part for t in s.terms for part in _split(t)]:
        a, h = (t.h.a, t.h.f) if isinstance(t.h, Scaled) else (np.ones(()), t.h)
        row, low, high, shift, p = _intervals(h, t.op.rows)
        a = np.asarray(a)[..., None]
        A = dense(t.op)
        b = t.b[..., row] + shift
        found.append((A[..., row, :], b, a * low, a * high, p / a))
    if not found:
        raise NotImplementedError("f has no term but quadratics of single variables")
    matrices, *rest = ([part[k] for part in found] for k in range(5))
    return Arrays(s.q, s.c, joined(matrices, -2), *map(joined, rest))


def _intervals(h: Function, m: int) -> tuple[Any, ...]:
    """Rows, low, high, shift and p of an atom of m arguments, which may be a batch."""
    if isinstance(h, Separable) and h.phi.batch and h.weights is None:
        phi = h.phi
        if not isinstance(phi, PiecewiseLinear) or not np.isfinite(phi.slopes).all():
            raise NotImplementedError(f"a batch of problems with {h!r}")
        t, s = phi.breakpoints, phi.slopes
        K = t.shape[-1]
        low, high = s[..., :-1].copy(), s[..., 1:].copy()
        high[..., 1:] -= low[..., 1:]
        low[..., 1:] = 0.0
        each = [np.repeat(a, m, axis=-1) for a in (low, high, -t)]
        return np.tile(np.arange(m), K), *each, np.zeros(K * m)
    if isinstance(h, Support | Indicator) and h._body(m).batch:
        return _ends(h, m)
    found = boxes(h, m)
    if found is None:
        raise NotImplementedError(f"a batch of problems with {h!r}")
    return found.row, found.low, found.high, found.b, found.p


def _ends(h: Support | Indicator, m: int) -> tuple[Any, ...]:
    """The same of a batch of boxes, infinite or equal in the same places."""
    S, zero = h._body(m), np.zeros(m)
    if not isinstance(S, Box):
        raise NotImplementedError(f"a batch of problems with {h!r}")
    low, up = (np.broadcast_to(e, (*S.batch, m)) for e in (S.lower, S.upper))
    if isinstance(h, Support):
        return np.arange(m), low, up, zero, zero
    kinds = np.stack([low == up, np.isfinite(low), np.isfinite(up)])
    kinds = kinds.reshape(3, -1, m)
    found = boxes(members(h, (0,) * len(S.batch)), m)
    if found is None or np.any(kinds != kinds[:, :1]):
        raise NotImplementedError("a batch of problems with constraints of all kinds")
    t = np.where(found.high > 0, up[..., found.row], low[..., found.row])
    return found.row, found.low, found.high, -t, found.p


def _split(t: Term) -> list[Term]:
    """A simplex as a box and an equation."""
    S: Any = t.h._body(t.op.rows) if isinstance(t.h, Indicator) else None
    if not isinstance(S, CappedSimplex):
        return [t]
    one = chain(Matrix(np.ones((1, t.op.rows))), t.op)
    box, total = Box._raw(S.lower, S.upper), np.asarray(S.total)[..., None]
    sums = t.b.sum(-1, keepdims=True) - total
    return [replace(t, h=Indicator(box)), Term(Indicator(point(np.zeros(1))), one, sums)]


def _within(f: Function, constraint: Set | None) -> Function:
    """f, given without the constraint set or with it, on that set."""
    if constraint is None:
        return f
    return restricted(split(f)[0] or f, a_set("constraint", constraint))


@dataclass(frozen=True, eq=False)
class BatchCertificate:
    """Multipliers y (..., M) of intervals, at x (..., n), that prove `lower_bound`."""

    x: Array
    y: Array
    lower_bound: Array
    constraint: Set | None = None

    def verify(self, f: Function, constraints: Any = ()) -> bool:
        """Whether f has the bounds, everything computed afresh."""
        f = _within(a_function("f", f), self.constraint)
        x = vector("x", self.x, f.n)
        y = vector("y", self.y, None)
        data, value = arrays(f, x.shape[-1]), f._value(x)
        shape = (*value.shape, data.b.shape[-1])
        if y.shape != shape or x.shape != (*value.shape, x.shape[-1]):
            return False
        known = ~np.isneginf(np.asarray(self.lower_bound, float))
        bound = np.where(known, _bounds(data, x, y, value), np.inf)
        return granted(bound, self.lower_bound, value.shape)


@dataclass(frozen=True, eq=False)
class MemberCertificate:
    """One certificate per problem of a batch, in an array of its shape."""

    parts: Array
    constraint: Set | None = None

    @property
    def lower_bound(self) -> Array:
        return np.vectorize(lambda p: p.lower_bound, otypes=[float])(self.parts)

    @property
    def multipliers(self) -> tuple[Any, ...]:
        """Those of every term (..., rows), None where a problem needs none."""
        each = zip(*(p.multipliers for p in self.parts.flat), strict=True)
        return tuple(
            None
            if any(y is None for y in ys)
            else np.reshape(ys, (*self.parts.shape, -1))
            for ys in each
        )

    def verify(self, f: Function, constraints: Any = ()) -> bool:
        """Whether every problem has its bound, everything computed afresh."""
        f, parts = _within(a_function("f", f), self.constraint), self.parts
        if not isinstance(parts, np.ndarray) or parts.dtype != object:
            raise TypeError("parts must be an array of certificates")
        for p in parts.flat:
            if not isinstance(p, DualCertificate):
                raise TypeError(
                    f"parts must hold DualCertificates, got {type(p).__name__}"
                )
        n = np.shape(parts.flat[0].x)[-1]
        if np.shape(f._value(np.zeros((*parts.shape, n)))) != parts.shape:
            return False
        return all(p.verify(members(f, i)) for i, p in np.ndenumerate(parts))


SLACK = 2.0**-48  # of |f|, for what a second computation may differ by


def _bounds(data: Arrays, x: Array, y: Array, value: Array) -> Array:
    """Lower bounds of f, `value` at x."""
    lead, m, n = value.shape, y.shape[-1], x.shape[-1]
    flat = int(np.prod(lead))

    def wide(a: Array, *core: int) -> Array:
        return np.broadcast_to(a, (*lead, *core)).reshape(flat, *core)

    A = wide(data.A, m, n) if data.A.ndim > 2 else data.A
    q, c = wide(data.q, n), wide(data.c, n)
    b, p = wide(data.b, m), wide(data.p, m)
    ends = np.stack([wide(data.low, m), wide(data.high, m)])
    path: Any = SimpleNamespace(
        system=Dense(q, A), ends=ends, x=x.reshape(flat, n), y=y.reshape(flat, m),
        q=q, c=c, b=b, p=p,
    )  # fmt: skip
    formula = data.value(x)
    found = lower_bounds(path, wide(formula), slice(None)).reshape(lead)
    known = np.isfinite(value) & np.isfinite(formula)
    with np.errstate(invalid="ignore"):
        return np.where(known, found + (value - formula), -np.inf)


def solve_batch(
    f: Function, x: Array, tol: float, constraint: Set | None = None
) -> tuple[Array, Array, Any]:
    """Minimisers, values and the certificate of all problems of x (..., n)."""
    if (data := boxed(f, x.shape[-1])) is None:
        return _by_newton(f, x, tol, constraint)
    lead = x.shape[:-1]
    data = data._replace(q=np.broadcast_to(data.q, x.shape))
    x, y, formula, _ = box_dual(*data, gap=tol)
    for h in (t.h for t in parts(f, x.shape[-1]).terms if t.own):
        if isinstance(h, Indicator):
            x = h._prox(x, np.ones(()))
    value = np.asarray(f._value(x))
    bound = _bounds(data, x, y, value)
    lower = bound - SLACK * (np.abs(value) + np.abs(formula))
    y = np.broadcast_to(y, (*lead, y.shape[-1]))
    return x, value, BatchCertificate(x, y, lower, constraint)


def boxed(f: Function, n: int) -> Arrays | None:
    """The arrays of f, None where it has none and `BatchNewton` is to be taken.

    NotImplementedError where that cannot be either.
    """
    try:
        return arrays(f, n)
    except NotImplementedError:
        first = members(f, (0,) * len(np.shape(f._value(np.zeros(n)))))
        s = parts(f, n)
        if any(np.any(np.asarray(unscaled(t.h)[0]) == 0) for t in s.terms):
            raise
        size = sum(t.op.rows for t in s.terms)
        if n > COLUMNS or n * size > TOGETHER:
            raise
        form = primal(structure(first, n))
        one = np.ones(len(form.blocks))
        form.dual_prox(np.zeros(size), one)
        form.jacobians(np.zeros(size), one)
        return None


def _by_newton(
    f: Function, x: Array, tol: float, constraint: Set | None
) -> tuple[Array, Array, MemberCertificate]:
    lead, n = x.shape[:-1], x.shape[-1]
    x = x.reshape(-1, n)
    index = np.unravel_index(np.arange(len(x)), lead)
    method = BatchNewton(parts(members(f, index), n), x)
    runs = [_Member(members(f, i), n, tol) for i in np.ndindex(lead)]
    left = np.arange(len(x))
    for _ in range(STEPS):
        new = np.flatnonzero(method.step())
        if not len(new):
            continue
        done = np.zeros(len(left), bool)
        for k, value, gap in zip(new, *method.look(new), strict=True):
            done[k] = runs[left[k]].look(method.x[k], method.y[k], value, gap)
        if done.all():
            break
        if done.any():
            at = np.flatnonzero(~done)
            left = left[at]
            method.keep(at)
    best = np.stack([r.x for r in runs]).reshape(*lead, n)
    proofs = np.empty(len(runs), object)
    proofs[:] = [r.proof for r in runs]
    proof = MemberCertificate(proofs.reshape(lead), constraint)
    return best, np.asarray(f._value(best)), proof


class _Member:
    """One problem of a batch: its best point and its best bound."""

    def __init__(self, f: Function, n: int, tol: float) -> None:
        self.f, self.tol, self.x = f, tol, np.zeros(n)
        self.value, self.proof = np.inf, None
        self.goal, self.since, self.looks = np.inf, 0, 0

    @cached_property
    def form(self) -> Form:
        return primal(structure(self.f, len(self.x)))

    def look(self, x: Array, y: Array, value: float, gap: float) -> bool:
        """Whether the problem is solved, or comes no closer."""
        better = gap < 0.5 * self.goal
        self.since, self.goal = (0, gap) if better else (self.since + 1, self.goal)
        stuck = self.since > PATIENCE
        if gap > self.tol * max(1.0, abs(value)) and not stuck:
            return False
        from subgrad.solvers.structured.front import feasible

        s = self.form.source
        x = feasible(s, x)
        value = s.value(x)
        if value < self.value:
            self.x, self.value = x, value
        found = dual_bound(s, x, self.form.pair(x, y)[1])
        if self.proof is None or found.lower_bound > self.proof.lower_bound:
            self.proof = found
        low = self.proof.lower_bound
        return stuck or self.value - low <= self.tol * max(1.0, low, -self.value)
