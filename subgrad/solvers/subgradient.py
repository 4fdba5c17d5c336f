"""The projected subgradient method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from subgrad._check import Array
from subgrad.solvers.core import State, advance, begin
from subgrad.solvers.problem import Problem
from subgrad.solvers.steps import Polyak, StepRule, TargetLevel


@dataclass(frozen=True)
class SubgradientMethod:
    r"""x_{k+1} = P(x_k - a_k g_k), g_k a subgradient at x_k, P the projection.

    .. math:: \min_{i \le N} f(x_i) - f^* \ \text{and} \
       f\Big(\frac{\sum a_i x_i}{\sum a_i}\Big) - f^* \ \le \
       \frac{R^2 + \sum a_i^2 |g_i|^2}{2 \sum a_i}

    with R the distance from x_0 to a minimiser. `rule` gives the a_k; by default they
    are Polyak's where the optimum of the problem is known, and those of TargetLevel
    otherwise. With average=True the average is tried as a last point. Rules that are
    theorems about a weighted average bring weights of their own, and are averaged
    always. N. Z. Shor, Minimization Methods for Non-Differentiable Functions (1985).
    """

    rule: StepRule | None = None
    average: bool = False

    def __post_init__(self) -> None:
        if self.rule is not None and not callable(self.rule):
            kind = type(self.rule).__name__
            raise TypeError(
                f"rule must be a step rule, such as Constant(0.1), got {kind}"
            )

    def init(self, problem: Problem, x: Array) -> State:
        """The state at x, a point of the constraint."""
        if not self._averages:
            return begin(problem, x)
        return begin(problem, x, (None, 0.0))._replace(average=x)

    @property
    def _averages(self) -> bool:
        return self.average or hasattr(self.rule, "weight")

    def step(self, problem: Problem, state: State) -> State:
        """One step and one call of the oracle."""
        rule = self.rule
        if rule is None:
            rule = TargetLevel() if problem.optimum is None else Polyak()
        if self._averages:
            return self._averaged(rule, problem, state)
        a, memory = rule(problem, state)
        return advance(problem, state, _move(problem, state, a), memory)

    def _averaged(self, rule: StepRule, problem: Problem, state: State) -> State:
        inner, total = state.memory
        a, memory = rule(problem, state._replace(memory=inner))
        own = getattr(rule, "weight", None)
        w = np.asarray(a if own is None else own(memory))
        total = total + w
        share = w / np.where(total > 0, total, 1.0)
        average = state.average + share[..., None] * (state.x - state.average)
        x = _move(problem, state, a)
        return advance(problem, state, x, (memory, total), average)


def _move(problem: Problem, state: State, a: Array) -> Array:
    """P(x - a g)."""
    move = np.asarray(a)[..., None] * state.subgradient
    x = state.x - move.astype(state.x.dtype, copy=False)
    return x if problem.constraint is None else problem.constraint._project(x)
