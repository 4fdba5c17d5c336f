"""What a method knows at a point, and how it moves on by one call of the oracle."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np

from subgrad._check import Array
from subgrad.core import Mask
from subgrad.solvers.problem import Problem


class State(NamedTuple):
    """Where a method stands after k steps."""

    k: int
    x: Array
    value: Array
    subgradient: Array
    squared: Array  # |g|^2
    best_x: Array
    best_value: Array
    memory: Any = None  # of the method
    failed: Any = None  # where the oracle gave inf or nan at x; then g is 0 here
    average: Any = None  # a point besides the best one, evaluated when the run ends
    calls: Any = None  # of the oracle, if not k + 1
    limit: Any = None  # (value, subgradient) of the largest constraint function at x
    proof: Any = None  # (x, eps, g), g an eps-subgradient at x, one the method knows
    seen: Any = None  # (f, largest constraint function) at best_x
    certificate: Any = None  # of a lower bound, where the method brings its own
    dual: Any = None  # the gradient at x of the geometry of the method


class Solver(Protocol):
    """A method: parameters, a first state, and the step from one to the next."""

    def init(self, problem: Problem, x: Array) -> State: ...

    def step(self, problem: Problem, state: State) -> State: ...


def every(mask: Any) -> bool:
    """mask.all(), at a tenth of its cost for a single problem."""
    return bool(mask) if mask.ndim == 0 else bool(mask.all())


def some(mask: Any) -> bool:
    """mask.any(), likewise."""
    return bool(mask) if mask.ndim == 0 else bool(mask.any())


def evaluate(
    problem: Problem, x: Array, fallback: Array | None = None
) -> tuple[Array, Array, Array, Mask | None]:
    """f(x), g, |g|^2, and where they are not finite: there fallback, 0 and 0.

    Of a single problem the numbers are scalars of numpy, whose arithmetic costs a
    tenth of that of arrays without axes.
    """
    value, g = problem.function._oracle(x)
    value = np.asarray(value)[()]
    squared = _square(g)
    fine = (abs(value) < np.inf) & (squared < np.inf)
    if every(fine):
        return value, g, squared, None
    bad = ~np.asarray(fine)
    value = np.where(bad, value if fallback is None else fallback, value)[()]
    g = np.where(bad[..., None], 0.0, g)
    return value, g, np.where(bad, 0.0, squared)[()], bad


def _square(g: Array) -> Any:
    """|g|^2, +inf where that overflows."""
    if g.ndim == 1:
        return np.vdot(g, g)  # the one product that does not warn
    with np.errstate(over="ignore"):
        return np.vecdot(g, g)


def begin(problem: Problem, x: Array, memory: Any = None) -> State:
    """The state at x, a point of the constraint."""
    value, g, squared, failed = evaluate(problem, x)
    return State(0, x, value, g, squared, x, value, memory, failed)


def advance(
    problem: Problem,
    state: State,
    x: Array,
    memory: Any = None,
    average: Any = None,
    dual: Any = None,
) -> State:
    """The state at x after one more call of the oracle, with the best point kept."""
    if x.shape != state.x.shape:
        raise ValueError(
            f"a step led from points of shape {state.x.shape} to {x.shape}: parameters "
            f"of a method must be numbers or have the shape {state.value.shape}"
        )
    value, g, squared, failed = evaluate(problem, x, state.best_value)
    best_x, best = x, value
    better = value < state.best_value
    if not every(better):
        best_x, best = state.best_x, state.best_value
        if some(better):
            best = np.where(better, value, best)
            best_x = np.where(better[..., None], x, best_x)
    return State(
        state.k + 1, x, value, g, squared, best_x, best, memory, failed, average,
        dual=dual,
    )  # fmt: skip
