"""The switching subgradient method, for constraints g(x) <= 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from subgrad._check import Array
from subgrad.core import Mask
from subgrad.solvers.problem import Problem
from subgrad.solvers.state import State, evaluate
from subgrad.solvers.steps import StepRule


class Switch(NamedTuple):
    """What the method remembers, numbers of the shape of a value."""

    least: Array  # the least violation so far, max_i g_i
    reach: Array  # the largest |x - x0|, at least the radius or max(1, |x0|)
    record: Array  # best feasible value when the level was last moved
    delta: Array  # the level is that much lower
    path: Array  # length of the steps on f since
    x0: Array


@dataclass(frozen=True)
class Switching:
    r"""A step on f where no g_i is above τ, one on the largest of the g_i elsewhere.

    .. math:: x_{k+1} = P(x_k - a_k s_k), \quad s_k \in \partial f(x_k), \
       k \in A = \{k : G(x_k) \le τ\}, \quad G = \max_i g_i,

    .. math:: x_{k+1} = P\Big(x_k - \frac{G(x_k)}{|h_k|^2} h_k\Big), \quad
       h_k \in \partial G(x_k), \ \text{otherwise}

    where τ is the `feasibility` of the problem. The second step is Polyak's towards the
    level 0 of G, which all feasible points are under, so that with R the distance of
    x_0 to a minimiser

    .. math:: 2 \sum_A a_k (f(x_k) - f^*)
       + \sum_{k \notin A} \frac{G(x_k)^2}{|h_k|^2}
       \le R^2 + \sum_A a_k^2 |s_k|^2.

    With a_k = ε / |s_k|² (the rule `Accuracy`) a point of A has f(x_k) - f* <= ε after
    R² max(M_f² / ε², M_G² / τ²) steps, M_f and M_G bounds on the subgradients. A `rule`
    must not remember anything: it is asked at every step and followed at those of A.

    By default a_k = (f(x_k) - f_rec + δ) / |s_k|², as in `TargetLevel`: f_rec is the
    best value at points of A when the level f_rec - δ was set. It is set anew when the
    best value has come down by δ/2, and, with half of δ, when the steps on f since have
    added up to the largest |x_i - x_0|, at least the radius of the problem or else
    max(1, |x_0|). δ starts as half of that times |s| at the first point of A. Nothing
    is proved of its rate. B. T. Polyak, A general method for solving extremal problems,
    Soviet Math. Dokl. 8 (1967).
    """

    rule: StepRule | None = None
    limited: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.rule is not None and not callable(self.rule):
            kind = type(self.rule).__name__
            raise TypeError(
                f"rule must be a step rule, such as Accuracy(1e-3), got {kind}"
            )
        if hasattr(self.rule, "start"):
            raise ValueError(
                f"rule must remember nothing, as Accuracy(1e-3) does, got {self.rule!r}"
            )

    def init(self, problem: Problem, x: Array) -> State:
        """The state at x, a point of the constraint set."""
        value, g, squared, failed = evaluate(problem, x)
        over, h, failed = _limit(problem, x, value, failed)
        reach = problem.radius
        if reach is None:
            reach = np.maximum(1.0, np.sqrt(np.vecdot(x, x)))
        zero = np.zeros_like(value)
        best = np.where(over <= problem.feasibility, value, np.inf)
        memory = Switch(over, zero + reach, zero + np.inf, zero, zero, x)
        state = State(0, x, value, g, squared, x, best, memory, failed)
        return state._replace(limit=(over, h), seen=(value, over))

    def step(self, problem: Problem, state: State) -> State:
        """One step and one call of the oracles of f and of the g_i."""
        memory: Switch = state.memory
        over, h = state.limit
        inside = over <= problem.feasibility
        if self.rule is None:
            a, memory = _to_level(state, inside)
        else:
            a = self.rule(problem, state._replace(memory=None))[0]
        size = np.vecdot(h, h)
        back = np.where(inside, 0.0, over) / np.where(size > 0, size, 1.0)
        move = np.where(inside, np.asarray(a), back)[..., None] * np.where(
            inside[..., None], state.subgradient, h
        )
        x = state.x - move.astype(state.x.dtype, copy=False)
        if problem.constraint is not None:
            x = problem.constraint._project(x)
        value, g, squared, failed = evaluate(problem, x, state.value)
        over, h, failed = _limit(problem, x, value, failed)
        bad = np.zeros_like(inside) if failed is None else failed
        feasible = ~bad & (over <= problem.feasibility)
        least = np.minimum(over, memory.least)
        # Until a point is feasible the best one is that of the least violation.
        none = np.isposinf(state.best_value)
        better = feasible & (value < state.best_value)
        better |= ~bad & none & (over < memory.least)
        seen = (
            np.where(better, value, state.seen[0]),
            np.where(better, over, state.seen[1]),
        )
        return State(
            state.k + 1,
            x,
            value,
            g,
            squared,
            np.where(better[..., None], x, state.best_x),
            np.where(better & feasible, value, state.best_value),
            memory._replace(least=np.where(bad, memory.least, least)),
            failed,
            limit=(over, h),
            seen=seen,
        )


def _to_level(state: State, inside: Mask) -> tuple[Array, Switch]:
    """The step size at feasible points, and the level moved."""
    least, reach, record, delta, path, x0 = state.memory
    x, best = state.x, state.best_value
    squared = np.where(state.squared > 0, state.squared, 1.0)
    reach = np.maximum(reach, np.sqrt(np.vecdot(x - x0, x - x0)))
    first = inside & np.isinf(record)
    delta = np.where(first, 0.5 * reach * np.sqrt(state.squared), delta)
    descent = best <= record - delta / 2  # also at the first
    tired = ~descent & (path > reach)
    record = np.where(descent | tired, best, record)
    path = np.where(descent | tired, 0.0, path)
    delta = np.where(tired, delta / 2, delta)
    excess = np.where(inside, state.value - record + delta, 0.0)
    path = path + excess / np.sqrt(squared)
    return excess / squared, Switch(least, reach, record, delta, path, x0)


def _limit(
    problem: Problem, x: Array, value: Array, failed: Any
) -> tuple[Array, Array, Mask | None]:
    """G and a subgradient at x, and where f or G failed: there -inf and 0 for G."""
    if problem.limit is None:
        return np.full(value.shape, -np.inf), np.zeros_like(x), failed
    over, h = problem.limit._oracle(x)
    over, h = np.broadcast_to(over, value.shape), np.broadcast_to(h, x.shape)
    good = np.isfinite(over) & np.isfinite(h).all(-1)
    if not good.all():
        failed = ~good if failed is None else failed | ~good
        over, h = np.where(good, over, -np.inf), np.where(good[..., None], h, 0.0)
    return over, h, failed
