"""Batches of problems, all in one call.

Those whose multipliers lie in boxes go to `box_dual`, the others to `BatchNewton`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np

from subgrad._check import Array, vector
from subgrad.core import Function, Set, a_function, a_set
from subgrad.functions.indicator import Indicator
from subgrad.solvers.certificate import granted, restricted
from subgrad.solvers.problem import Problem, unrestricted
from subgrad.solvers.stops import relative_gap
from subgrad.solvers.structured.batch_boxes import Arrays, arrays, summed
from subgrad.solvers.structured.batch_newton import BatchNewton
from subgrad.solvers.structured.certificate import DualCertificate, dual_bound
from subgrad.solvers.structured.epigraphs import _Composed
from subgrad.solvers.structured.form import base, primal
from subgrad.solvers.structured.interior_point import box_dual, lower_bounds
from subgrad.solvers.structured.members import members
from subgrad.solvers.structured.normal import Dense
from subgrad.solvers.structured.terms import Structure, parts, structure, unscaled
from subgrad.solvers.structured.threads import one_thread

COLUMNS = 400  # and numbers in the map of one problem: of what is solved together
TOGETHER = 1_000_000
STEPS = 2000
LOOKS = 6  # at bounds of a problem that should be solved
FAR = 1e20  # points from where no other method goes on
ALONE = 16  # problems at most that are tried once more
PATIENCE = 12  # steps of the multipliers that come no closer
OUTSIDE = 1e-7  # of a value, by how much rounding can take it below a bound


def _within(f: Function, constraint: Set | None) -> Function:
    """f, given without the constraint set or with it, on that set."""
    if constraint is None:
        return f
    return restricted(unrestricted(f), a_set("constraint", constraint))


@dataclass(frozen=True, eq=False)
class BatchCertificate:
    """Multipliers y (..., M) of intervals, at x (..., n), that prove `lower_bound`.

    `more` (..., K) are the values of the variables of lifts. `multipliers` are those of
    the terms of f, of which nothing is proved.
    """

    x: Array
    y: Array
    lower_bound: Array
    constraint: Set | None = None
    multipliers: tuple[Array, ...] | None = None
    more: Array | None = None

    def verify(self, f: Function, constraints: Any = ()) -> bool:
        """Whether f has the bounds, everything computed afresh."""
        f = _within(a_function("f", f), self.constraint)
        x = vector("x", self.x, f.n).astype(np.float64, copy=False)
        y = vector("y", self.y, None).astype(np.float64, copy=False)
        data, value = arrays(f, x.shape[-1]), f._value(x)
        if self.more is not None:
            x = np.concatenate([x, vector("more", self.more, None)], -1)
        m, n = data.A.shape[-2:]
        if y.shape != (*value.shape, m) or x.shape != (*value.shape, n):
            return False
        known = ~np.isneginf(np.asarray(self.lower_bound, float))
        bound, blur = _bounds(data, x, y, value)
        bound = np.where(known, bound - blur / 2, np.inf)
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
        if any(p.whole for p in self.parts.flat):
            return ()  # not all are of the same terms
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
        with one_thread():
            # Of a problem without bound nothing is claimed.
            return all(
                p.lower_bound == -np.inf or p.verify(members(f, i))
                for i, p in np.ndenumerate(parts)
            )


SLACK = 2.0**-48  # of |f|, for what a second computation may differ by


def _bounds(data: Arrays, x: Array, y: Array, value: Array) -> tuple[Array, Array]:
    """Lower bounds of f, `value` at x, and what rounding of f(x) can do to them."""
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
    formula, size = data.value(x)
    found = lower_bounds(path, wide(formula), slice(None)).reshape(lead)
    known = np.isfinite(value) & np.isfinite(formula)
    with np.errstate(invalid="ignore"):
        blur = SLACK * np.where(known, np.abs(value) + size, 0.0)
        return np.where(known, found + (value - formula), -np.inf), blur


def solve_batch(
    f: Function, x: Array, tol: float, constraint: Set | None = None, dual: Any = None
) -> tuple[Array, Array, Any]:
    """Minimisers, values and the certificate of all problems of x (..., n).

    `dual` are multipliers of the terms to start from, where there is use for them.
    """
    if (data := boxed(f, x.shape[-1])) is None:
        return _by_newton(f, x, tol, constraint, dual)
    x0, lead, n, s = x, x.shape[:-1], x.shape[-1], parts(f, x.shape[-1])
    data = data._replace(q=np.broadcast_to(data.q, (*lead, data.q.shape[-1])))
    x, y, _, _ = box_dual(*data, gap=0.999 * tol)
    x, more = x[..., :n], x[..., n:]
    for t in s.terms:
        if t.own and isinstance(t.h, Indicator):
            x = t.h._prox(x, np.ones(()))
    value = np.asarray(f._value(x))
    bound, blur = _bounds(data, np.concatenate([x, more], -1), y, value)
    lower = bound - blur
    y = np.broadcast_to(y, (*lead, y.shape[-1]))
    dual, lower = summed(s, y), _below(lower, value)
    open_ = np.isfinite(value) & ~(relative_gap(value, lower) <= tol)
    if np.any(open_) and _newton_fits(f, n):
        near = np.abs(x).max(-1, keepdims=True) < FAR * (1 + np.abs(x0).max())
        return _by_newton(f, np.where(near, x, x0), tol, constraint, dual)
    extra = more if more.shape[-1] else None
    return x, value, BatchCertificate(x, y, lower, constraint, dual, extra)


def _below(lower: Array, value: Array) -> Array:
    """Without what a point outside of sets by rounding gains."""
    near = lower <= value + OUTSIDE * np.maximum(1, np.abs(value))
    return np.where(near, np.minimum(lower, value), lower)


def boxed(f: Function, n: int) -> Arrays | None:
    """The arrays of f, None where it has none and `BatchNewton` is to be taken.

    NotImplementedError where that cannot be either.
    """
    try:
        return arrays(f, n)
    except NotImplementedError:
        if not _newton_fits(f, n):
            raise
        return None


def _newton_fits(f: Function, n: int) -> bool:
    """Whether it can; what the atoms cannot do they say by NotImplementedError."""
    first = structure(members(f, (0,) * len(np.shape(f._value(np.zeros(n))))), n)
    terms = parts(f, n).terms
    sizes, each = [t.op.rows for t in terms], [unscaled(t.h) for t in terms]
    size = sum(sizes)
    if n > COLUMNS or n * size > TOGETHER or not terms:
        return False
    if any(np.any(a == 0) or isinstance(h, _Composed) for a, h in each):
        return False
    if [t.op.rows for t in first.terms] != sizes:
        return False  # a batch is not taken apart as its members are
    form, zero = primal(first), np.zeros(size)
    one = np.ones(len(form.blocks))
    form.jacobians(form.dual_prox(zero, one), one)
    dual_bound(first, np.zeros(n), form.pair(np.zeros(n), zero)[1])
    return True


def _by_newton(
    f: Function, x: Array, tol: float, constraint: Set | None, dual: Any
) -> tuple[Array, Array, MemberCertificate]:
    lead, n = x.shape[:-1], x.shape[-1]
    x = x.reshape(-1, n)
    s = parts(members(f, np.unravel_index(np.arange(len(x)), lead)), n)
    each = [members(f, i) for i in np.ndindex(lead)]
    first = structure(each[0], n)
    free = next((k for k, t in enumerate(first.terms) if t is base(first)), None)
    runs = [_Member(g, n, tol, free) for g in each]
    method = BatchNewton(s, x, _start(s, x, dual, lead))
    left = np.arange(len(x))
    for _ in range(STEPS):
        new = np.flatnonzero(method.step())
        if not len(new):
            continue
        done = np.zeros(len(left), bool)
        for k, value, gap in zip(new, *method.look(new), strict=True):
            run, last = runs[left[k]], bool(method.lost[k])
            done[k] = run.look(method.x[k], method.y[k], value, gap, last)
        at = np.flatnonzero(~done)
        left = left[at]
        if not len(left):
            break
        method.keep(at)
    for r, u, y in zip([runs[i] for i in left], method.x, method.y, strict=False):
        r.look(u, y, np.inf, np.inf, True)
    for r in [r for r in runs if not (r.solved or r.lost)][:ALONE]:
        r.by_itself()
    best = np.stack([r.x for r in runs]).reshape(*lead, n)
    proofs = np.empty(len(runs), object)
    proofs[:] = [r.proof for r in runs]
    proof = MemberCertificate(proofs.reshape(lead), constraint)
    return best, np.asarray(f._value(best)), proof


def _start(s: Structure, x: Array, dual: Any, lead: tuple[int, ...]) -> Array | None:
    """All multipliers (B, M) if they fit, and at most one of them is missing."""
    if dual is None or len(dual) != len(s.terms) or sum(y is None for y in dual) > 1:
        return None
    ys, r, at = list[Any](), s.q * x + s.c, -1
    for k, (t, y) in enumerate(zip(s.terms, dual, strict=True)):
        if y is None and t.own:
            at = k
        elif np.shape(y) != (*lead, t.op.rows):
            return None
        else:
            y = np.reshape(y, (len(x), t.op.rows))
            r = r + t.op.adjoint(y)
        ys.append(y)
    if at >= 0:
        ys[at] = -r
    return np.concatenate(ys, -1)


class _Member:
    """One problem of a batch: its best point and its best bound."""

    def __init__(self, f: Function, n: int, tol: float, free: int | None) -> None:
        self.f, self.tol, self.x, self.free = f, tol, np.zeros(n), free
        self.value = np.inf
        self.proof: Any = None
        self.goal, self.since, self.looks, self.lost = np.inf, 0, 0, False

    @cached_property
    def source(self) -> Structure:
        return structure(self.f, len(self.x))

    def _multipliers(self, y: Array) -> tuple[Any, ...]:
        """Those of the terms, None for the one to be minimised over with q."""
        s = self.source
        ys = list[Any](np.split(y, np.cumsum([t.op.rows for t in s.terms])[:-1]))
        k = self.free
        if k is not None and s.terms[k].own and not np.ptp(s.q):
            ys[k] = None
        return tuple(ys)

    def look(self, x: Array, y: Array, value: float, gap: float, last: bool) -> bool:
        """Whether the problem is solved, or comes no closer."""
        from subgrad.solvers.structured.front import feasible

        better = gap < 0.5 * self.goal
        self.since, self.goal = (0, gap) if better else (self.since + 1, self.goal)
        stuck = last or self.since > PATIENCE or self.looks > LOOKS
        if not (stuck or gap <= self.tol * max(1.0, abs(value))):
            return False
        s = self.source
        x = feasible(s, x)
        value = s.value(x)
        if value < self.value or self.proof is None:
            self.x, self.value = x, value
        found = dual_bound(s, x, self._multipliers(y))
        room = SLACK * (
            abs(found.lower_bound) + (abs(value) if value < np.inf else 0.0)
        )
        found = replace(found, lower_bound=found.lower_bound - room)
        if self.proof is None or found.lower_bound > self.proof.lower_bound:
            self.proof = found
        low = float(_below(np.asarray(self.proof.lower_bound), np.asarray(self.value)))
        self.proof = replace(self.proof, lower_bound=low)
        self.looks, self.lost = self.looks + 1, last
        return stuck or self.solved

    @property
    def solved(self) -> bool:
        low = self.proof.lower_bound
        gap = relative_gap(np.asarray(self.value), np.asarray(low))
        return bool(gap <= self.tol)

    def by_itself(self) -> None:
        """As one problem, for which there are more ways to a bound."""
        from subgrad.solvers.structured.front import Run

        run = Run(Problem(self.f), self.x, tol=self.tol)
        while not (self.solved or run.stuck):
            run.step()
            if run.value < self.value:
                self.x, self.value = run.x, run.value
            found = run.certificate
            if (
                isinstance(found, DualCertificate)
                and run.lower > self.proof.lower_bound
            ):
                self.proof = found
