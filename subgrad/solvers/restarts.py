"""Restarts that need to know nothing of how f grows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from subgrad._check import Array, count
from subgrad.core import Function, Mask, Set
from subgrad.solvers.problem import Problem
from subgrad.solvers.state import Solver, State, advance, begin
from subgrad.solvers.steps import Accuracy, _size
from subgrad.solvers.stops import Gap, Stop, tolerances
from subgrad.solvers.subgradient import SubgradientMethod

MOST = 64  # copies: 2^62 eps is beyond what a float can tell from f


class _Known(Function):
    """What f was found to be at the points that a method is to start from."""

    def __init__(self, f: Function, value: Array, g: Array) -> None:
        self.f, self.value_, self.g, self.n = f, value, g, g.shape[-1]

    def _value(self, x: Array) -> Array:
        return self.value_

    def _oracle(self, x: Array) -> tuple[Array, Array]:
        return self.value_, self.g

    def _subdifferential(self, x: Array, eps: Array) -> Set:
        return self.f._subdifferential(x, eps)


class Copies(NamedTuple):
    """What the scheme remembers. The axis of the copies, n = -1 ... K, is in front."""

    solver: Solver
    state: State
    amounts: Array  # 2^n eps
    goal: Array  # value at the last restart, less the amount


def merge(mask: Mask, new: Any, old: Any) -> Any:
    """A tree of arrays with `new` where the mask of problems holds, else `old`."""
    if new is old:
        return old
    if isinstance(new, tuple) and type(new) is type(old):
        parts = [merge(mask, a, b) for a, b in zip(new, old, strict=True)]
        return type(new)(*parts) if hasattr(new, "_fields") else tuple(parts)
    if new is None or old is None or isinstance(new, tuple) or isinstance(old, tuple):
        raise TypeError(
            "a method can be restarted if its memory has the same parts from the start "
            f"on, got {type(new).__name__} first and {type(old).__name__} later"
        )
    new, old = np.asarray(new), np.asarray(old)
    if new.dtype == object or old.dtype == object:
        raise TypeError(
            "a method can be restarted if it remembers arrays only; this one remembers "
            f"a {type(old.flat[0]).__name__} that belongs to where it started"
        )
    axes = max(new.ndim, old.ndim) - mask.ndim
    return np.where(mask.reshape(mask.shape + (1,) * axes), new, old)


@dataclass(frozen=True)
class Restarted:
    r"""Copies n = -1 ... K of a method, each after the accuracy ε_n = 2^n ε, in step.

    Copy n restarts at x as soon as it has f(x) <= f(its last start) - ε_n, where x is
    its own point or the one at which copy n + 1 restarts. With the default copies,
    subgradient steps a = ε_n / |g|², some value is within ε of f* after at most

    .. math:: \sum_{n=-1}^{K} 3 \lceil M D_n / ε_n \rceil^2, \qquad
       D_n = \sup \{ d(x, X^*) : f(x) \le f^* + 5 ε_n \}

        steps if f(x_0) < f* + 5 ε_K: the restarts find out how f grows (linear
    convergence, if it is sharp) without being told, at the price of K + 2 copies. They
    are one batch: a step is one call of the oracle with all of them, and one more at
    the     best of their points. J. Renegar and B. Grimmer, A simple nearly optimal
    restart scheme for     speeding up first-order methods, Found. Comput. Math. 22
    (2022).

    eps is a number or one per problem, in units of f; by the name "restarts" it is what
    the Gap among the stops asks for, 1e-6 max(1, |f*|) without one, |f*| being replaced
    by the best bound that the optimum, inf f and f(x_0) give. `copies` is K + 2; by
    default ε_K covers f(x_0) - f* as far as it can be told: from the optimum of the
    problem, its radius, the infimum that f knows of, or else |f(x_0)|.

    `inner(eps)` makes another method from an array of accuracies, whose axes are those
    of the batch with the copies in front; its memory must be arrays of the batch, or
    tuples of such. That refuses a Restarted, and a BoundedPolyak unless the constraint
    is bounded: the radius of the problem is about x_0, and its bounds would be wrong
    about other points. Where a radius is no more than a guide (LinearDecay,
    DualAveraging) it is taken about each start.
    """

    eps: Any
    copies: int | None = None
    inner: Callable[[Array], Solver] | None = None

    def __post_init__(self) -> None:
        _size(self, "eps")
        if self.copies is not None:
            count(self.copies)

    def _count(self, problem: Problem, state: State) -> int:
        if self.copies is not None:
            return self.copies
        top = np.maximum(1.0, np.abs(state.value))
        if problem.optimum is not None:
            top = state.value - problem.optimum
        elif problem.radius is not None:
            top = np.sqrt(state.squared) * problem.radius
        elif np.isfinite(problem.function.infimum):
            top = state.value - problem.function.infimum
        with np.errstate(over="ignore"):
            times = np.asarray(top, np.float64) / self.eps / 4
        most = float(np.clip(times, 1.0, 2.0**MOST).max())
        return min(2 + int(np.ceil(np.log2(most))), MOST)

    def init(self, problem: Problem, x: Array) -> State:
        """All copies at x, a point of the constraint."""
        first = begin(problem, x)
        m = self._count(problem, first)
        axes = (1,) * first.value.ndim
        amounts = 2.0 ** np.arange(-1, m - 1).reshape(m, *axes) * self.eps
        inner = _accurate if self.inner is None else self.inner
        solver = inner(amounts)
        if not hasattr(solver, "step"):
            kind = type(solver).__name__
            raise TypeError(f"inner(eps) must be a Solver, got {kind}")
        x, g = (np.broadcast_to(a, (m, *a.shape)) for a in (x, first.subgradient))
        value = np.broadcast_to(first.value, x.shape[:-1])
        known = _known(problem, value, g)
        state = solver.init(known, x)
        # Refuses what no restart could do.
        merge(np.zeros(value.shape, bool), solver.init(known, x), state)
        memory = Copies(solver, state, amounts, _goal(value, amounts))
        return first._replace(memory=memory, calls=np.ones(first.value.shape, int))

    def step(self, problem: Problem, state: State) -> State:
        """One step of every copy, one call of the oracle, and the restarts."""
        solver, inner, amounts, goal = state.memory
        inner = solver.step(problem, inner)
        value, dead = inner.value, inner.failed
        if dead is not None:
            value = np.where(dead, np.inf, value)
        x = np.take_along_axis(inner.x, value.argmin(0)[None, ..., None], 0)[0]
        # Once more, alone: among the copies its last bits may be others, and a proof is
        # checked alone.
        after = advance(problem, state, x)
        done = value <= goal
        if done.any():
            inner, goal = _restart(problem, solver, inner, amounts, goal, done)
        memory = Copies(solver, inner, amounts, goal)
        return after._replace(memory=memory, calls=state.calls + len(goal) + 1)


def to_tolerance(problem: Problem, stop: Stop | None, x: Array) -> Restarted:
    """Restarts of subgradient steps for the least Gap that the stop asks for."""
    tol = min(tolerances(stop), default=Gap().tol)
    f, value = problem.function, problem.function._value(x)
    low = f.infimum if problem.optimum is None else problem.optimum
    # f* lies between these two.
    eps = tol * np.maximum(1.0, np.maximum(low, -value))
    # The copies must span f(x) too.
    return Restarted(np.maximum(eps, np.abs(value) * 2.0 ** (4 - MOST)))


def _accurate(eps: Array) -> Solver:
    return SubgradientMethod(Accuracy(eps))


def _known(problem: Problem, value: Array, g: Array) -> Problem:
    return replace(problem, function=_Known(problem.function, value, g))


def _goal(value: Array, amounts: Array) -> Array:
    """value - amounts, up to rounding, for a step along one piece of f ends there."""
    blur = 64 * np.finfo(value.dtype).eps * np.abs(value)
    return value - np.maximum(amounts - blur, amounts / 2)


def _restart(
    problem: Problem, solver: Solver, inner: State, amounts: Array, goal: Array,
    done: Mask,
) -> tuple[State, Array]:  # fmt: skip
    """The copies that are done started anew, and those they send their points to."""
    x, value, g = (np.array(a) for a in (inner.x, inner.value, inner.subgradient))
    for i in range(len(goal) - 2, -1, -1):
        other = value[i + 1]
        take = done[i + 1] & (other <= goal[i]) & (~done[i] | (other < value[i]))
        value[i] = np.where(take, other, value[i])
        for a in (x, g):
            a[i] = np.where(take[..., None], a[i + 1], a[i])
        done[i] |= take
    new = solver.init(_known(problem, value, g), x)
    failed = None if inner.failed is None else inner.failed & ~done
    state = merge(done, new._replace(failed=None), inner._replace(failed=None))
    return state._replace(failed=failed), np.where(done, _goal(value, amounts), goal)
