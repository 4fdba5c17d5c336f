"""Problems, states, and the loop that drives a method until something stops it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from subgrad._check import Array, nonnegative, real, vector
from subgrad.core import Function, Mask, Set, a_function
from subgrad.functions.indicator import Indicator
from subgrad.solvers.certificate import region, single_cut
from subgrad.solvers.cuts import Cuts
from subgrad.solvers.result import Outcome, Result, intermediate
from subgrad.solvers.stops import Gap, MaxIter, Stop, ZeroSubgradient


def split(f: Function) -> tuple[Function | None, list[Set]]:
    """f as a sum of terms and the sets of the indicators among them."""
    from subgrad.calculus.sum import Sum

    terms = f.parts if isinstance(f, Sum) else (f,)
    kept = tuple(t for t in terms if not isinstance(t, Indicator))
    sets = [t.domain for t in terms if isinstance(t, Indicator)]
    if not kept:
        return None, sets
    return (kept[0] if len(kept) == 1 else Sum(kept)) if sets else f, sets


@dataclass(frozen=True, eq=False)
class Problem:
    r"""Minimise f over a closed convex set C.

    Indicators among the terms of f are taken out and become the constraint. `optimum`
    is f* where it is known, `radius` a bound on the distance from the starting point to
    a minimiser: numbers, or one per problem, that are believed.
    """

    function: Function
    constraint: Set | None = None
    optimum: Any = None
    radius: Any = None

    def __post_init__(self) -> None:
        a_function("f", self.function)
        if not isinstance(self.constraint, Set | None):
            kind = type(self.constraint).__name__
            raise TypeError(f"constraint must be a Set, got {kind}")
        f, sets = split(self.function)
        if f is None:
            raise ValueError("f must have a term that is not an indicator")
        sets += [] if self.constraint is None else [self.constraint]
        if len(sets) > 1:
            raise ValueError(
                f"{len(sets)} constraint sets, but a method projects onto one: give "
                "their intersection as one Set"
            )
        if sets and not np.all(sets[0].nonempty):
            raise ValueError("constraint must not be empty")
        put = object.__setattr__
        put(self, "function", f)
        put(self, "constraint", sets[0] if sets else None)
        if self.optimum is not None:
            put(self, "optimum", real("optimum", self.optimum))
        if self.radius is not None:
            put(self, "radius", nonnegative("radius", self.radius))

    def start(self, x0: Any) -> Array:
        """x0 checked, copied and projected, with the batch of f and the constraint."""
        x = vector("x0", x0, self.function.n)
        if x.size == 0:
            raise ValueError(f"x0 must hold at least one point, got shape {x.shape}")
        x, C = x.copy(), self.constraint
        if C is not None:
            if C.dim != x.shape[-1]:
                raise ValueError(
                    f"constraint must lie in R^{x.shape[-1]}, where x0 of shape "
                    f"{x.shape} is, got a set in R^{C.dim}"
                )
            x = C._project(x)
        value = np.asarray(self.function._value(x))
        inside = np.isfinite(value)
        if not inside.all():
            where = f" (problem {np.argmin(inside)})" if value.ndim else ""
            got = value[~inside][0]
            raise ValueError(
                f"x0{where} must lie in the domain of f, got f(x0) = {got}"
            )
        for name in ("optimum", "radius"):
            a = getattr(self, name)
            if (
                a is not None
                and np.broadcast_shapes(a.shape, value.shape) != value.shape
            ):
                raise ValueError(
                    f"{name} must be a number or of shape {value.shape}, got {a.shape}"
                )
        return np.broadcast_to(x, (*value.shape, x.shape[-1]))


class State(NamedTuple):
    """Where a method stands after k steps and k + 1 calls of the oracle."""

    k: int
    x: Array
    value: Array
    subgradient: Array
    squared: Array  # |g|^2
    best_x: Array
    best_value: Array
    memory: Any = None  # of the step rule
    failed: Any = None  # where the oracle gave inf or nan at x; then g is 0 here


class Solver(Protocol):
    """A method: parameters, a first state, and the step from one to the next."""

    def init(self, problem: Problem, x: Array) -> State: ...

    def step(self, problem: Problem, state: State) -> State: ...


def evaluate(
    problem: Problem, x: Array, fallback: Array | None = None
) -> tuple[Array, Array, Array, Mask | None]:
    """f(x), g, |g|^2, and where they are not finite: there fallback, 0 and 0."""
    value, g = problem.function._oracle(x)
    value = np.asarray(value)
    squared = np.vecdot(g, g)
    if np.isfinite(value + squared).all():
        return value, g, squared, None
    bad = ~(np.isfinite(value) & np.isfinite(squared))
    value = np.where(bad, value if fallback is None else fallback, value)
    g = np.where(bad[..., None], 0.0, g)
    return value, g, np.where(bad, 0.0, squared), bad


def iterate(solver: Solver, problem: Problem, x0: Any) -> Iterator[State]:
    """The states of a method from x0 on, without end."""
    state = solver.init(problem, problem.start(x0))
    while True:
        yield state
        state = solver.step(problem, state)


def minimize(
    f: Function,
    x0: Any,
    method: Solver | None = None,
    stop: Stop | None = None,
    constraint: Set | None = None,
    callback: Callable[[Result], Any] | None = None,
    progress: bool = False,
    *,
    optimum: Any = None,
    radius: Any = None,
    record: int = 0,
    cuts: int = 200,
) -> Result:
    r"""Minimise f, from x0 (..., n), over a closed convex set.

    Every leading axis of x0, and of the parameters of f, is a batch of problems, each
    with its own best point and end. `stop` is by default MaxIter(10000), with Gap(1e-6)
    where there is something to prove a gap with: a bounded constraint, a `radius` (a
    bound on the distance from x0 to a minimiser) or the `optimum`. A zero subgradient
    always ends a run.

    With a bounded constraint or a radius the run keeps up to `cuts` cuts per problem,
    0 for none. Their best average is the certificate of the result, and the point where
    they are lowest is tried as a last one: one linear program per problem, one after
    the other, some milliseconds each. `record` = k keeps every k-th value in `history`.

    callback(intermediate_result) is called after every iteration with a Result of the
    best point so far, and ends the run by raising StopIteration. `progress` shows a bar
    (tqdm). Ctrl-C and an exception in the oracle end the run with the best point and
    the status "interrupted" or "error"; exceptions at x0, in the first step and in the
    callback come through.
    """
    problem = Problem(f, constraint, optimum, radius)
    if method is None:
        from subgrad.solvers.subgradient import SubgradientMethod

        method = SubgradientMethod()
    elif not hasattr(method, "init"):
        raise TypeError(
            f"method must be a Solver, such as SubgradientMethod(Constant(0.1)), got "
            f"{type(method).__name__}"
        )
    if record < 0 or cuts < 0:
        raise ValueError(f"record and cuts must be >= 0, got {record} and {cuts}")
    x = problem.start(x0)
    X = region(problem.constraint, x, problem.radius) if cuts else None
    bundle = None if X is None else Cuts(X, problem.constraint, x, cuts)
    if stop is None:
        stop = MaxIter(10_000)
        if bundle is not None or problem.optimum is not None:
            stop = stop | Gap()
    elif not isinstance(stop, Stop):
        raise TypeError(f"stop must be a Stop, got {type(stop).__name__}")
    stops = (ZeroSubgradient() | stop).alternatives()
    watches = [(s, s.watch(problem, bundle)) for s in stops]
    bar = _bar(stops) if progress else None
    states = iterate(method, problem, x)
    state = next(states)
    outcome, history = Outcome(state), []

    def look() -> None:
        if state.failed is not None:
            outcome.finish(state.failed, state, "nonfinite", NONFINITE)
        if bundle is not None:
            bundle.running = outcome.running
            bundle.add(state.k, *state[1:4], outcome.running)
        if record and state.k % record == 0:
            history.append(state.value)
        for s, watch in watches:
            done = watch(state)
            if done is not False:
                outcome.finish(done, state, s.status, s.reason, s.proves)

    try:
        look()
        while outcome.running.any():
            if callback is not None:
                try:
                    callback(intermediate(state, history))
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
    return _result(problem, stops, outcome, bundle, history)


NONFINITE = "the oracle gave inf or nan: the step left the domain, or f is unbounded"


def _bar(stops: tuple[Stop, ...]) -> Any:
    try:
        from tqdm.auto import tqdm
    except ImportError:
        raise ImportError(
            "progress=True needs tqdm: pip install subgrad[plot]"
        ) from None
    total = min((s.n for s in stops if isinstance(s, MaxIter)), default=None)
    return tqdm(total=total)


def _result(
    problem: Problem,
    stops: tuple[Stop, ...],
    outcome: Outcome,
    bundle: Cuts | None,
    history: list[Array],
) -> Result:
    x, fun, status, proved = outcome.x, outcome.fun, outcome.status, outcome.proved
    certificate = None
    broken = bool(np.any((status == "error") | (status == "interrupted")))
    if bundle is not None:
        certificate, lowest = bundle.certificate()
        if not broken:
            value = problem.function._value(lowest)
            bundle.calls += 1
            better = value < fun
            fun = np.where(better, value, fun)
            x = np.where(better[..., None], lowest, x)
    elif proved.any() and not broken and problem.optimum is None:
        certificate = single_cut(problem.function, problem.constraint, x)
    lower = np.full(fun.shape, -np.inf)
    if certificate is not None:
        lower = np.array(certificate.lower_bound)
    if problem.optimum is not None:
        lower = np.array(np.maximum(lower, problem.optimum))
    for s in stops:
        if isinstance(s, Gap):
            late = ~proved & s.within(fun, lower)
            status[late], proved[late] = s.status, True
            outcome.reasons[s.status] = s.reason
    wrong = lower > fun + 1e-9 * np.maximum(1.0, np.abs(fun))
    if wrong.any():
        status[wrong], proved[wrong], lower[wrong] = "contradiction", False, -np.inf
        outcome.reasons["contradiction"] = (
            "f(x) lies below the bound: the radius or the optimum given is wrong"
        )
    lower = np.minimum(lower, fun)
    return Result(
        x=x,
        fun=fun[()],
        lower_bound=lower[()],
        gap=(fun - lower)[()],
        certificate=certificate,
        dual=None,
        status=status.astype(str) if status.ndim else str(status),
        message=outcome.message(),
        success=proved[()],
        nit=outcome.nit[()],
        nfev=(outcome.nit + 1 + (0 if bundle is None else bundle.calls))[()],
        history=np.array(history),
    )
