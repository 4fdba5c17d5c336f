"""The method for sums of atoms with a prox: what is run, looked at and returned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from subgrad._check import Array, real
from subgrad.core import Function
from subgrad.functions.indicator import Indicator
from subgrad.solvers.certificate import restricted
from subgrad.solvers.problem import Problem, only_sets
from subgrad.solvers.state import State
from subgrad.solvers.stops import Stop
from subgrad.solvers.structured.batch import boxed, solve_batch
from subgrad.solvers.structured.certificate import (
    DualCertificate,
    dual_bound,
    least_gap,
    within_polar,
)
from subgrad.solvers.structured.choice import OneProx, method_for, more_careful, planned
from subgrad.solvers.structured.corners import corners
from subgrad.solvers.structured.domains import unbounded_box
from subgrad.solvers.structured.ends import Infeasible, Stuck
from subgrad.solvers.structured.equations import feasible
from subgrad.solvers.structured.extremes import EmptyDomain, empty_domain
from subgrad.solvers.structured.reach import snapped
from subgrad.solvers.structured.start import fits, start_of
from subgrad.solvers.structured.threads import one_thread


@dataclass(frozen=True)
class Structured:
    r"""Sums of atoms with a prox, each of an affine map, to a certified gap.

    .. math:: f(x) = \tfrac12 \langle q x, x \rangle + \langle c, x \rangle
       + \sum_k h_k(A_k x + b_k), \qquad q \ge 0

    The parts are found in f, see `structure`; NotImplementedError where it has others.
    A step is one prox that solves all, one of an interior-point method, one of the
    proximal method of multipliers (up to 30 Newton steps), or 32 primal-dual ones:
    `structured.choice` says which when. Multipliers that are found on the way bound f
    from below (`DualCertificate`): the gap of the result is proved. A batch of problems
    is solved in one step, each with a certificate of its own. BLAS uses one thread.

    `dual` are multipliers to start from, such as the `dual` of an earlier Result. With
    interior points a bound is looked for when the gap is about `tol` max(1, |f|).
    """

    dual: Any = None
    tol: float = 1e-6
    hint: Any = None  # the same of an earlier problem, if they fit
    stops: ClassVar[Stop] = Infeasible() | Stuck()
    certified: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.dual, tuple | list | np.ndarray | None):
            kind = type(self.dual).__name__
            raise TypeError(f"dual must be a tuple of arrays, got {kind}")
        for y in () if self.dual is None else self.dual:
            if y is not None:
                real("dual", y)

    def init(self, problem: Problem, x: Array) -> State:
        """The state at x, a point of the constraint."""
        if problem.limit is not None:
            raise ValueError("Structured takes no constraints g(x) <= 0, only a set")
        if x.ndim > 1:
            f = restricted(problem.function, problem.constraint)
            boxed(f, x.shape[-1])  # says what it cannot do
            return _batch_state(0, Batch(self, f, x, problem.constraint))
        with one_thread(), np.errstate(over="ignore", invalid="ignore"):
            run = Run(problem, x, self.dual, self.tol, self.hint)
            return _state(0, run)

    def step(self, problem: Problem, state: State) -> State:
        """One step of the multipliers."""
        run = state.memory
        # Numbers beyond floating point end a run: see `broken`.
        with one_thread(), np.errstate(over="ignore", invalid="ignore"):
            run.step()
        if isinstance(run, Batch):
            return _batch_state(state.k + 1, run)
        return _state(state.k + 1, run)


def _state(k: int, run: Run) -> State:
    value, none = np.asarray(run.value), np.broadcast_to(0.0, run.x.shape)
    return State(
        k, run.x, value, none, np.ones(()), run.x, value, run,
        calls=run.looks, certificate=run.certificate,
    )  # fmt: skip


class Batch:
    """All problems of a batch in one step."""

    def __init__(self, of: Structured, f: Function, x: Array, constraint: Any) -> None:
        self.f, self.x, self.tol, self.constraint = f, x, of.tol, constraint
        self.dual = of.hint if of.dual is None else of.dual
        self.value = np.asarray(f._value(x))
        self.certificate: Any = None

    @property
    def stuck(self) -> bool:
        """After the one step there is no other."""
        return self.certificate is not None

    def step(self) -> None:
        """The solutions, where they are better than what is known."""
        x, value, self.certificate = solve_batch(
            self.f, self.x, self.tol, self.constraint, self.dual
        )
        better = value < self.value
        self.x = np.where(better[..., None], x, self.x)
        self.value = np.where(better, value, self.value)


def _batch_state(k: int, run: Batch) -> State:
    return State(
        k, run.x, run.value, np.zeros_like(run.x), np.ones(run.value.shape), run.x,
        run.value, run, calls=np.full(run.value.shape, k + 1),
        certificate=run.certificate,
    )  # fmt: skip


FAR = 1e100
PATIENCE = 12  # steps without progress
ROOMS = 4  # multipliers that are kept
EARLY = 3  # of the first steps
LATE = 6  # looks without a bound, before its reason is looked for
SEARCHES = 2


class Run:
    """A method at work on one form, with the best point and the best bound so far."""

    def __init__(
        self,
        problem: Problem,
        x0: Array,
        dual: Any = None,
        tol: float = 1e-6,
        hint: Any = None,
    ) -> None:
        self.x0, self.tol = x0, tol
        self.constraint, self.radius = problem.constraint, problem.radius
        found = planned(problem, len(x0))
        self.source, self.whole = found.source, isinstance(found, OneProx)
        self.method: Any = None
        self.broken = False  # by numbers that are beyond floating point
        if isinstance(found, OneProx):
            self.method = OneProx(found.source)
        else:
            self.form = found
            if dual is None and hint is not None and fits(hint, self.source):
                dual = hint
            start = start_of(self.form, x0, dual)
            try:
                self.method = method_for(self.form, *start)
            except (OverflowError, ZeroDivisionError):
                self.broken = True
        self.x = feasible(self.source, x0)
        self.value = self.source.value(self.x)
        self.proof: DualCertificate | EmptyDomain | None = None
        if only_sets(problem.function):
            # 0 <= f: all that is asked for is a point.
            none = tuple(np.zeros(t.op.rows) for t in self.source.terms)
            self.proof = dual_bound(self.source, self.x, none, None, self.constraint)
        self.rooms: list[tuple[Any, ...]] = [()]
        self.early, self.searches = list[tuple[Any, ...]](), 0
        self.next, self.wait = 0, 0
        self.lost, self.free = False, unbounded_box(self.source)
        self.looks, self.since, self.goal, self.left = 1, 0, np.inf, np.inf
        if getattr(self.method, "near", False):
            self._offer(self._pair()[1], None)

    def _pair(self) -> tuple[Array, tuple[Any, ...]]:
        if self.whole:
            return self.method.pair()
        return self.form.pair(self.method.x, self.method.y)

    @property
    def lower(self) -> float:
        return -np.inf if self.proof is None else self.proof.lower_bound

    @property
    def certificate(self) -> DualCertificate | EmptyDomain | None:
        """The best one; what a point outside of sets by rounding gains is not proved.

        A value below the bound is wrong by about as much as its multipliers charge.
        """
        found = self.proof
        if not isinstance(found, DualCertificate) or self.lower <= self.value:
            return found
        r, away = self.source.q * self.x + self.source.c, list[float]()
        for t, y in zip(self.source.terms, found.multipliers, strict=True):
            r = r if y is None else r + t.op.adjoint(y)
        for t, y in zip(self.source.terms, found.multipliers, strict=True):
            if isinstance(t.h, Indicator):
                z = t.op.forward(self.x) + t.b
                miss = np.abs(z - t.h._prox(z, np.ones(())))
                away.append(float(miss @ np.abs(r if y is None else y)))
        room = 2 * sum(away)
        if self.lower - self.value > room:
            return found
        return replace(found, lower_bound=self.value - room)

    @property
    def near(self) -> bool:
        """Whether the gap is what is asked for."""
        room = self.tol * max(1.0, abs(self.value))
        return self.value < np.inf and self.value - self.lower <= room

    @property
    def stuck(self) -> bool:
        """Whether the gap was not halved for long, nor the residual."""
        if getattr(self.method, "settled", False) or self.lost or self.broken:
            return True
        return self.since > getattr(self.method, "patience", PATIENCE)

    def step(self) -> None:
        """One step of the method, and a look at what it found."""
        before = None
        if not (self.broken or np.isfinite(self.value)):
            before = self._pair()[1]
        x, y = self._moved()
        if self.broken:
            if self.proof is None:
                self._offer(tuple(np.zeros(t.op.rows) for t in self.source.terms), None)
            return  # what was found before stays
        # Where f falls for ever there is no end to the steps.
        self.lost = not float(np.abs(x).max()) < FAR
        x = feasible(self.source, x)
        value = self.source.value(x)
        # A value below the bound is that of a point a little outside of a set.
        if value < self.value or not self.lower <= self.value < np.inf:
            self.x, self.value = x, value
        far = None
        if self.radius is not None:
            far = float(self.radius + np.linalg.norm(self.x - self.x0))
        # Interior points may lie outside of their boxes by rounding: then it is inf.
        rough = getattr(self.method, "gap", None)
        if rough is None:
            rough = 0.0 if self.whole else least_gap(self.source, self.x, self.value, y)
        open_ = not np.isfinite(rough)
        rough = 0.0 if open_ else rough
        due = getattr(self.method, "due", None)
        if len(self.early) < EARLY and not self.source.q.all():
            self.early.append(y)
        inside = within_polar(self.source, y, self.free)
        if inside is not None:
            found = dual_bound(self.source, self.x, inside, far, self.constraint)
            if found.lower_bound > self.lower:
                self.proof = found
        look = self.looks >= self.next and (due is None or due()) or self.stuck
        look = look and not rough > self.tol * max(1.0, abs(self.value))
        if self.free is not None:
            look = look and (self.stuck or not (open_ or self.near))
        if look:
            self._offer(y, far)
        if before is not None and not np.isfinite(self.value):
            self._look_for_emptiness(before, y, x)
        self.looks += 1
        size = rough if rough > 0 else self.value - self.lower
        left = 0.0 if self.whole else float(np.linalg.norm(self.method.residual()))
        better = size < 0.5 * self.goal or left < 0.5 * self.left
        self.since = 0 if better else self.since + 1
        if better:
            self.goal, self.left = min(size, self.goal), min(left, self.left)
        if self.stuck and not (np.isfinite(self.value) or self.lost):
            self.x = feasible(self.source, x, FAR)
            self.value = self.source.value(self.x)
        if self.stuck and not look:
            self._offer(y, far)  # there is no other step
        if (
            self.stuck
            and not (self.near or self.lost)
            and (method := more_careful(self.method))
        ):
            self.method, self.goal, self.left = method, np.inf, np.inf
            self.since = self.next = self.wait = 0

    def _moved(self) -> tuple[Array, tuple[Any, ...]]:
        """Point and multipliers after a step; `broken` where they are no numbers."""
        if not self.broken:
            try:
                self.method.step()
                x, y = self._pair()
                sizes = [x.sum(), *(m.sum() for m in y if m is not None)]
                self.broken = bool(np.isnan(sizes).any())
                return x, y
            except (OverflowError, ZeroDivisionError):
                self.broken = True
        return self.x, ()

    def _offer(self, y: tuple[Any, ...], far: float | None) -> None:
        """A better bound, if there is one."""
        try:
            found = self._search(y, far)
        except (NotImplementedError, ArithmeticError):
            found = False  # too little is known of an atom there, or numbers overflow
        self.wait = 0 if found else 2 * self.wait + 1
        self.next = self.looks + 1 + self.wait

    def _search(self, y: tuple[Any, ...], far: float | None) -> bool:
        """Looks for a better bound; whether y gives any.

        Where none is found minimisers are looked for by other multipliers: those of the
        end may have no room, but those of the first steps. What rounding leaves at an
        end may be in the way; and where there is no bound at all, 0 may be one.
        """
        s = self.source

        def tried() -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...]]]:
            yield from ((y, room) for room in list(self.rooms))
            if not any(m is None for m in y):
                yield snapped(s, y), ()
            if self.proof is None and not s.c.any():
                yield tuple(np.zeros(t.op.rows) for t in s.terms), ()

        first, known = None, False
        for ys, room in tried():
            found = dual_bound(s, self.x, ys, far, self.constraint, self.whole, room)
            first = found if first is None else first
            if found.lower_bound > self.lower:
                self.proof = found
            if np.isfinite(found.lower_bound):
                known = True
                if room and self.near:
                    rest = [other for other in self.rooms if other is not room]
                    self.rooms = [room, *rest]
                if self.near or not room:
                    break
        if first is None or s.q.all() or any(m is None for m in first.multipliers):
            return known  # no room is asked for
        if known and ys is y and not room:
            if len(self.rooms) < ROOMS:
                self.rooms.append((first.multipliers,))
        elif not known and (before := self._earlier(far)):
            self.rooms.append(before)
            return self._search(y, far)
        elif not known and self.searches < SEARCHES:
            if self.stuck or self.looks % LATE == 0:
                self.searches += 1
                if around := corners(s, self.x, first.multipliers):
                    self.rooms.append(around)
                    return self._search(y, far)
        return known

    def _earlier(self, far: float | None) -> tuple[Any, ...]:
        """Multipliers of the first steps by which any bound is found."""
        while self.early:
            found = dual_bound(self.source, self.x, self.early.pop(), far)
            ys = found.multipliers
            if np.isfinite(found.lower_bound) and not any(y is None for y in ys):
                return (ys,)
        return ()

    def _look_for_emptiness(self, old: Any, new: Any, x: Array) -> None:
        moves = tuple(
            None if a is None or b is None else a - b
            for a, b in zip(new, old, strict=True)
        )
        for direction in (moves, new):
            found = empty_domain(self.source, direction, x, self.constraint)
            if found is not None:
                self.proof = found
