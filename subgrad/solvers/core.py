"""The loop that drives a method until something stops it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad.core import Function, Set
from subgrad.solvers.auto import BUDGET, choose
from subgrad.solvers.certificate import region
from subgrad.solvers.cuts import Cuts
from subgrad.solvers.finish import UNBOUNDED, falls_at_once, finish
from subgrad.solvers.problem import Problem
from subgrad.solvers.result import Outcome, Result, intermediate
from subgrad.solvers.state import Solver, State, some
from subgrad.solvers.stops import (
    CERTIFIED,
    Gap,
    MaxIter,
    Stop,
    ZeroSubgradient,
    wants_a_bound,
)


def iterate(solver: Solver, problem: Problem, x0: Any) -> Iterator[State]:
    """The states of a method from x0 on, without end."""
    certified = getattr(solver, "certified", False)
    x = problem.place(x0)[0] if certified else problem.start(x0)
    yield from _states(solver, problem, x)


def _states(solver: Solver, problem: Problem, x: Array) -> Iterator[State]:
    state = solver.init(problem, x)
    while True:
        yield state
        state = solver.step(problem, state)


def minimize(
    f: Function,
    x0: Any,
    method: Solver | str = "auto",
    stop: Stop | None = None,
    constraint: Set | None = None,
    callback: Callable[[Result], Any] | None = None,
    progress: bool = False,
    *,
    constraints: Any = (),
    optimum: Any = None,
    radius: Any = None,
    feasibility: float = 1e-6,
    record: int = 0,
    cuts: int | None = None,
) -> Result:
    r"""Minimise f, from x0 (..., n) or an earlier Result, over a closed convex set.

    Every leading axis of x0, and of the parameters of f, is a batch of problems, each
    with its own best point and end. `constraint` is a Set; what it has in common with
    those of indicators among the terms of f counts. `constraints` is a list of
    Functions g for g(x) <= 0 (or affine maps, for all rows); points where no g is above
    `feasibility` count as feasible, and the best of them is the result. `method` is a
    Solver or its name, see `solvers.auto`.

    `stop` is by default MaxIter(10000), with Gap(1e-6) where there is something to
    prove a gap with: parts of f that `Structured` takes, a bounded constraint, a
    `radius` (a bound on the distance from x0 to a minimiser), the `optimum`, or a
    bounded sublevel set. That is looked for with `sublevel_radius` where a Gap is asked
    for and, unasked, for up to 16 problems of up to 500 variables. A zero subgradient
    always ends a run.

    With a bounded region the run keeps up to `cuts` cuts per problem, 0 for none, by
    default 200 or, for n <= 200, 3 n if that is more: a proof may need n + 1 of the
    right ones. Their best average is the certificate of the result, and the point where
    they are lowest is tried as a last one: one linear program per problem, one after
    the other, some milliseconds each. `record` = k keeps every k-th value in `history`.

    callback(intermediate_result) is called before every step with a Result of the
    best point so far, and ends the run by raising StopIteration. `progress` shows a bar
    (tqdm). Ctrl-C and an exception in the oracle end the run with the best point and
    the status "interrupted" or "error", and no function is called any more; exceptions
    at x0, in the first step and in the callback come through.

    `certificate.verify(f)` checks the bound of the result afresh, constraint set or
    not; with constraint functions it is `certificate.verify(f, constraints)`.
    """
    problem = Problem(f, constraint, optimum, radius, constraints, feasibility)
    return solve(problem, x0, method, stop, callback, progress, record, cuts)


def solve(
    problem: Problem,
    x0: Any,
    method: Solver | str = "auto",
    stop: Stop | None = None,
    callback: Callable[[Result], Any] | None = None,
    progress: bool = False,
    record: int = 0,
    cuts: int | None = None,
) -> Result:
    """`minimize` of a problem of which something may be known from others."""
    dual = None
    if isinstance(x0, Result):
        x0, dual = x0.x, x0.dual
    for name, k in (("record", record), ("cuts", cuts or 0)):
        if not isinstance(k, int | np.integer) or k < 0:
            raise ValueError(f"{name} must be a whole number >= 0, got {k!r}")
    if not isinstance(stop, Stop | None):
        raise TypeError(f"stop must be a Stop, got {type(stop).__name__}")
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be callable, got {type(callback).__name__}")
    x, value = problem.place(x0)
    if cuts is None:
        cuts = max(200, 3 * x.shape[-1] if x.shape[-1] <= PROVED else 0)
    solver, why = choose(method, problem, stop, x)
    certified = getattr(solver, "certified", False)
    if certified and dual is not None:
        solver = replace(solver, hint=dual)  # type: ignore[type-var]
    if not certified:
        problem.checked(x, value)
    bundle = None if certified else _bundle(problem, x, stop, cuts)
    if stop is None:
        stop = MaxIter(BUDGET)
        if certified or bundle is not None or problem.optimum is not None:
            stop = stop | Gap()
    stops = (getattr(solver, "stops", ZeroSubgradient()) | stop).alternatives()
    bounds = CERTIFIED if certified else bundle
    watches = [(s, s.watch(problem, bounds)) for s in stops]
    bar = _bar(stops) if progress else None
    states = _states(solver, problem, x)
    state = next(states)
    if state.failed is not None:
        where = f" (problem {np.argmax(state.failed)})" if state.value.ndim else ""
        raise ValueError(
            f"no finite subgradient of f is known at x0{where}, or |g|² overflows"
        )
    outcome, history = Outcome(state), []
    if method == "auto" and not certified and bundle is None:
        outcome.finish(falls_at_once(problem, state), state, "unbounded", UNBOUNDED)

    def look() -> None:
        if state.failed is not None:
            outcome.finish(state.failed, state, "nonfinite", NONFINITE)
        if bundle is not None:
            bundle.running = outcome.running
            bundle.add(state.k, *state[1:4], outcome.running)
            if bundle.limits is not None and state.limit is not None:
                over, h = state.limit
                bundle.limits.add(state.k, state.x, over, h, outcome.running)
        if record and state.k % record == 0:
            history.append(state.value)
        for s, watch in watches:
            done = watch(state)
            if done is not False:
                outcome.finish(done, state, s.status, s.said(state), s.proves)

    try:
        look()
        while some(outcome.running):
            if callback is not None:
                try:
                    callback(intermediate(state, history, problem))
                except StopIteration:
                    outcome.finish(True, state, "callback", "stopped by the callback")
                    break
            try:
                state = next(states)
                look()
                if bar is not None:
                    bar.update()
            except Exception as error:
                if state.k == 0:
                    raise
                # From here on there is something to lose, whatever the oracle throws.
                reason = f"{type(error).__name__} after {state.k} steps: {error}"
                outcome.finish(True, state, "error", reason)
    except KeyboardInterrupt:
        outcome.finish(True, state, "interrupted", "interrupted from the keyboard")
    finally:
        if bar is not None:
            bar.close()
    return finish(problem, x, stops, outcome, bundle, history, why)


def _bundle(problem: Problem, x: Array, stop: Stop | None, cuts: int) -> Cuts | None:
    """A place for cuts over a bounded region with a minimiser, if one is known."""
    if not cuts:
        return None
    X, start = region(problem.constraint, x, problem.radius), None
    size, n = x.size // x.shape[-1], x.shape[-1]
    asked = size <= 16 and n <= 500 if stop is None else wants_a_bound(stop)
    if X is None and asked and problem.optimum is None:
        from subgrad.solvers.level_sets import sublevel_radius

        found = sublevel_radius(problem.function, x, problem.constraints)
        if np.all(np.isfinite(found)):
            X, start = region(problem.constraint, x, found), x
    if X is None:
        return None
    bundle = Cuts(X, problem.constraint, x, cuts, problem.limit is not None)
    bundle.start = start
    return bundle


PROVED = 200  # variables up to which cuts are kept for a proof
NONFINITE = (
    "the oracle gave inf or nan, or |g|² overflows: the step left the domain, or f is "
    "unbounded"
)


def _bar(stops: tuple[Stop, ...]) -> Any:
    try:
        from tqdm.auto import tqdm
    except ImportError:
        raise ImportError(
            "progress=True needs tqdm: pip install subgrad[plot]"
        ) from None
    total = min((s.n for s in stops if isinstance(s, MaxIter)), default=None)
    return tqdm(total=total)
