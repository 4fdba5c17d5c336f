"""When a run ends, and whether it then has proved anything.

`stop.watch(problem, cuts)` gives a function of the state that says, for each problem of
the batch, whether it is finished. Stops combine: `MaxIter(1000) | Gap(1e-6)` ends with
the first of the two, `MaxIter(100) & Stalled(50)` when both agree.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from subgrad._check import Array, count
from subgrad.core import Mask, norm
from subgrad.solvers.state import every, some

if TYPE_CHECKING:
    from subgrad.solvers.cuts import Cuts
    from subgrad.solvers.problem import Problem
    from subgrad.solvers.state import State

Watch = Callable[["State"], bool | Mask]


class Stop:
    """A reason to end a run. `proves`: whether it comes with a proof of optimality."""

    proves: ClassVar[bool] = False
    status: ClassVar[str] = ""
    reason: ClassVar[str] = ""

    def watch(self, problem: Problem, cuts: Cuts | None) -> Watch:
        raise NotImplementedError(f"{type(self).__name__}.watch")

    def said(self, state: State) -> str:
        """The reason, of a run that ended in this state."""
        return self.reason

    def alternatives(self) -> tuple[Stop, ...]:
        """The stops any one of which is enough."""
        return (self,)

    def __or__(self, other: Stop) -> Stop:
        if not isinstance(other, Stop):
            return NotImplemented
        return AnyOf((*self.alternatives(), *other.alternatives()))

    def __and__(self, other: Stop) -> Stop:
        if not isinstance(other, Stop):
            return NotImplemented
        return AllOf((self, other))


@dataclass(frozen=True)
class AnyOf(Stop):
    """The first of several stops."""

    stops: tuple[Stop, ...]

    @property
    def proves(self) -> bool:  # type: ignore[override]
        return all(s.proves for s in self.stops)

    @property
    def status(self) -> str:  # type: ignore[override]
        return " or ".join(s.status for s in self.stops)

    @property
    def reason(self) -> str:  # type: ignore[override]
        return " or ".join(s.reason for s in self.stops)

    def alternatives(self) -> tuple[Stop, ...]:
        return self.stops

    def watch(self, problem: Problem, cuts: Cuts | None) -> Watch:
        each = [s.watch(problem, cuts) for s in self.stops]
        return lambda state: reduce(np.logical_or, [w(state) for w in each])


@dataclass(frozen=True)
class AllOf(Stop):
    """Several stops at once."""

    stops: tuple[Stop, ...]

    @property
    def proves(self) -> bool:  # type: ignore[override]
        return any(s.proves for s in self.stops)

    @property
    def status(self) -> str:  # type: ignore[override]
        return " and ".join(s.status for s in self.stops)

    @property
    def reason(self) -> str:  # type: ignore[override]
        return " and ".join(s.reason for s in self.stops)

    def watch(self, problem: Problem, cuts: Cuts | None) -> Watch:
        each = [s.watch(problem, cuts) for s in self.stops]
        return lambda state: reduce(np.logical_and, [w(state) for w in each])


# In the place of cuts: the states carry certificates.
CERTIFIED: Any = object()


def wants_a_bound(stop: Stop) -> bool:
    """Whether a Gap is among what the stop looks at."""
    parts = getattr(stop, "stops", ())
    return isinstance(stop, Gap) or any(map(wants_a_bound, parts))


def tolerances(stop: Stop | None) -> list[float]:
    """Those of all Gaps among what the stop looks at."""
    if isinstance(stop, Gap):
        return [stop.tol]
    return [tol for part in getattr(stop, "stops", ()) for tol in tolerances(part)]


def relative_gap(fun: Array, lower: Array) -> Array:
    """(fun - lower) / max(1, |f*|), |f*| as small as lower <= f* <= fun leaves it."""
    return (fun - lower) / np.maximum(1.0, np.maximum(lower, -fun))


def _positive(name: str, a: float) -> None:
    if not isinstance(a, Real):
        raise TypeError(f"{name} must be a number, got {type(a).__name__}")
    if not a > 0:
        raise ValueError(f"{name} must be positive, got {a}")


@dataclass(frozen=True)
class MaxIter(Stop):
    """After n steps."""

    n: int
    status: ClassVar[str] = "iterations"
    reason: ClassVar[str] = "the limit of iterations is reached"

    def __post_init__(self) -> None:
        if not isinstance(self.n, int | np.integer) or self.n < 0:
            raise ValueError(f"n must be a whole number >= 0, got {self.n!r}")

    def watch(self, problem: Problem, cuts: Cuts | None) -> Watch:
        n = self.n
        return lambda state: state.k >= n


@dataclass(frozen=True)
class MaxTime(Stop):
    """After so many seconds, looked at once per iteration."""

    seconds: float
    status: ClassVar[str] = "time"
    reason: ClassVar[str] = "the time is over"

    def __post_init__(self) -> None:
        _positive("seconds", self.seconds)

    def watch(self, problem: Problem, cuts: Cuts | None) -> Watch:
        end = time.perf_counter() + self.seconds
        return lambda state: time.perf_counter() >= end


@dataclass(frozen=True)
class Gap(Stop):
    r"""Proof that f_best - f* <= tol max(1, |f*|).

    Against the optimum of the problem if that is known, and otherwise against the cuts.
    Their bound costs a linear program: it is computed after 16, 24, 36, ... iterations,
    each time from two more cuts around the point where the others are lowest, and at
    the end. The steps of the method are what they are without it.
    """

    tol: float = 1e-6
    proves: ClassVar[bool] = True
    status: ClassVar[str] = "gap"
    reason: ClassVar[str] = "the gap to the proved lower bound is within the tolerance"

    def __post_init__(self) -> None:
        _positive("tol", self.tol)

    def within(self, fun: Array, lower: Array) -> Mask:
        """Whether these two numbers are close enough."""
        return np.isfinite(lower) & (relative_gap(fun, lower) <= self.tol)

    def watch(self, problem: Problem, cuts: Cuts | None) -> Watch:
        if problem.optimum is not None:
            optimum = problem.optimum
            return lambda state: self.within(state.best_value, optimum)
        if cuts is CERTIFIED:
            return lambda state: (
                state.certificate is not None
                and self.within(state.best_value, state.certificate.lower_bound)
            )
        if cuts is None:
            raise ValueError(
                "Gap needs something to bound f from below with: radius=, a bounded "
                "constraint=, optimum=, or an f whose sublevel sets are seen to be "
                "bounded"
            )
        due, done = 16, np.zeros(cuts.batch, bool)

        def check(state: State) -> bool | Mask:
            nonlocal due, done
            if state.k < due:
                return False
            due += due // 2
            lower, lowest = cuts.review(problem, state.k, ~done)
            done = done | self.within(np.fmin(state.best_value, lowest), lower)
            return done | cuts.infeasible

        return check


@dataclass(frozen=True)
class ZeroSubgradient(Stop):
    """g = 0, or -g normal to the constraint at x: proof that x is a minimiser.

    The latter is seen when a step ends where it began, and so does a very long one.
    """

    proves: ClassVar[bool] = True
    status: ClassVar[str] = "optimal"
    reason: ClassVar[str] = "a subgradient is zero: x is a minimiser"

    def watch(self, problem: Problem, cuts: Cuts | None) -> Watch:
        C = problem.constraint
        last: Any = None

        def check(state: State) -> bool | Mask:
            nonlocal last
            x, g = state.x, state.subgradient
            done: bool | Mask = False
            # The square of a tiny g is zero before g is.
            if not every(state.squared):
                done = np.asarray(~g.any(-1))
            if C is not None:
                # Where x is still, f is: comparing values first costs next to nothing.
                still = np.False_ if last is None else state.value == last.value
                if some(still):
                    still = still & (x == last.x).all(-1)
                if some(still):
                    far = (1 + norm(x)) / np.where(state.squared > 0, norm(g), 1.0)
                    back = C._project(x - far[..., None] * g)
                    done = done | (still & (back == x).all(-1))
                last = state
            if state.limit is not None and np.any(done):
                done = done & (state.limit[0] <= problem.feasibility)
            return done

        return check


@dataclass(frozen=True)
class SubgradientNorm(Stop):
    """|g| <= tol. Proves nothing by itself: |g| times a distance bounds the gap."""

    tol: float
    status: ClassVar[str] = "subgradient"
    reason: ClassVar[str] = "the subgradient is shorter than the tolerance"

    def __post_init__(self) -> None:
        _positive("tol", self.tol)

    def watch(self, problem: Problem, cuts: Cuts | None) -> Watch:
        return lambda state: norm(state.subgradient) <= self.tol


@dataclass(frozen=True)
class StepBelow(Stop):
    """A step of length at most tol (1 + |x|)."""

    tol: float
    status: ClassVar[str] = "step"
    reason: ClassVar[str] = "the steps are shorter than the tolerance"

    def __post_init__(self) -> None:
        _positive("tol", self.tol)

    def watch(self, problem: Problem, cuts: Cuts | None) -> Watch:
        last: Any = None

        def check(state: State) -> bool | Mask:
            nonlocal last
            before, last = last, state.x
            if before is None:
                return False
            return norm(last - before) <= self.tol * (1 + norm(last))

        return check


@dataclass(frozen=True)
class Stalled(Stop):
    """No improvement of the best value by more than tol max(1, |f|) in n iterations."""

    n: int
    tol: float = 0.0
    status: ClassVar[str] = "stalled"
    reason: ClassVar[str] = "the best value has stopped falling"

    def __post_init__(self) -> None:
        count(self.n)
        if self.tol != 0:
            _positive("tol", self.tol)

    def watch(self, problem: Problem, cuts: Cuts | None) -> Watch:
        base: Any = None
        since: Any = 0

        def check(state: State) -> bool | Mask:
            nonlocal base, since
            best = state.best_value
            base = best if base is None else base
            lower = best < base - self.tol * np.maximum(1.0, np.abs(base))
            base = np.where(lower, best, base)
            since = np.where(lower, 0, since + 1)
            return since > self.n

        return check
