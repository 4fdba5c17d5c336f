"""The projected subgradient method, and what it shares with other steps by a rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from subgrad._check import Array
from subgrad.solvers.problem import Problem
from subgrad.solvers.state import State, advance, begin
from subgrad.solvers.steps import Polyak, StepRule, TargetLevel, _nonzero


def scaled(a: Any, g: Array, dtype: Any) -> Array:
    """a g, one number a per problem, as an array of the type of the points."""
    move = np.asarray(a)[..., None] * g
    return move if move.dtype == dtype else move.astype(dtype)


class Weighed(NamedTuple):
    """What a method that averages remembers."""

    rule: Any  # memory of the rule
    step: Any  # from here
    total: Array  # of the weights


class Descent:
    """x_{k+1} = move(x_k, a_k), the a_k from a rule, points averaged if wanted.

    The average of a state includes its point: it is the average of all that was seen.
    """

    rule: StepRule | None
    average: bool

    def __post_init__(self) -> None:
        if self.rule is not None and not callable(self.rule):
            kind = type(self.rule).__name__
            raise TypeError(
                f"rule must be a step rule, such as Constant(0.1), got {kind}"
            )

    def _rule(self, problem: Problem) -> StepRule:
        raise NotImplementedError(f"{type(self).__name__}._rule")

    def _move(self, problem: Problem, state: State, a: Any) -> tuple[Array, Any]:
        """The next point, and the dual point there if the method keeps it."""
        raise NotImplementedError(f"{type(self).__name__}._move")

    def init(self, problem: Problem, x: Array) -> State:
        """The state at x, a point of the constraint."""
        state, rule = begin(problem, x), self._rule(problem)
        start = getattr(rule, "start", None)
        memory = None if start is None else start(problem, state)
        state = state._replace(memory=memory)
        if not self._averages(rule):
            return state
        return _weigh(rule, problem, state, np.zeros_like(state.value)[()], x)

    def step(self, problem: Problem, state: State) -> State:
        """One step and one call of the oracle."""
        rule = self._rule(problem)
        if not self._averages(rule):
            a, memory = rule(problem, state)
            x, dual = self._move(problem, state, a)
            return advance(problem, state, x, memory, dual=dual)
        memory, a, total = state.memory
        x, dual = self._move(problem, state, a)
        new = advance(problem, state, x, memory, dual=dual)
        return _weigh(rule, problem, new, total, state.average)

    def _averages(self, rule: StepRule) -> bool:
        return self.average or hasattr(rule, "weight")


def _weigh(
    rule: StepRule, problem: Problem, state: State, total: Array, average: Array
) -> State:
    """The state with its step, and its point in the average."""
    a, memory = rule(problem, state)
    own = getattr(rule, "weight", None)
    w, x = a if own is None else own(memory), state.x
    if state.failed is not None:
        x = np.where(state.failed[..., None], average, x)
    total = total + w
    move = x - average
    move *= np.asarray(w / _nonzero(total), x.dtype)[..., None]
    move += average
    return state._replace(memory=Weighed(memory, a, total), average=move)


@dataclass(frozen=True)
class SubgradientMethod(Descent):
    r"""x_{k+1} = P(x_k - a_k g_k), g_k a subgradient at x_k, P the projection.

    .. math:: \min_{i \le N} f(x_i) - f^* \ \text{and} \
       f\Big(\frac{\sum a_i x_i}{\sum a_i}\Big) - f^* \ \le \
       \frac{R^2 + \sum a_i^2 |g_i|^2}{2 \sum a_i}

    with R the distance from x_0 to a minimiser and sums over i = 0 ... N. `rule` gives
    the a_k; by default they are Polyak's where the optimum of the problem is known, and
    those of TargetLevel otherwise. With average=True the average is tried as a last
    point. Rules that are theorems about a weighted average bring weights of their own,
    and are averaged always. N. Z. Shor, Minimization Methods for Non-Differentiable
    Functions (1985).
    """

    rule: StepRule | None = None
    average: bool = False

    def _rule(self, problem: Problem) -> StepRule:
        if self.rule is not None:
            return self.rule
        return LEVEL if problem.optimum is None else POLYAK

    def _move(self, problem: Problem, state: State, a: Any) -> tuple[Array, Any]:
        x = state.x - scaled(a, state.subgradient, state.x.dtype)
        C = problem.constraint
        return x if C is None else C._project(x), None


LEVEL, POLYAK = TargetLevel(), Polyak()
