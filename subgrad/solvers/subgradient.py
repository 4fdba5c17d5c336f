"""The projected subgradient method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from subgrad._check import Array
from subgrad.solvers.core import Problem, State, evaluate
from subgrad.solvers.steps import Polyak, StepRule, TargetLevel


@dataclass(frozen=True)
class SubgradientMethod:
    r"""x_{k+1} = P(x_k - a_k g_k), g_k a subgradient at x_k, P the projection.

    .. math:: f_{best} - f^* \le \frac{R^2 + \sum a_i^2 |g_i|^2}{2 \sum a_i}

    with R the distance from x_0 to a minimiser. `rule` gives the a_k; by default they
    are Polyak's where the optimum of the problem is known, and those of TargetLevel
    otherwise. N. Z. Shor, Minimization Methods for Non-Differentiable Functions (1985).
    """

    rule: StepRule | None = None

    def __post_init__(self) -> None:
        if self.rule is not None and not callable(self.rule):
            kind = type(self.rule).__name__
            raise TypeError(
                f"rule must be a step rule, such as Constant(0.1), got {kind}"
            )

    def init(self, problem: Problem, x: Array) -> State:
        """The state at x, a point of the constraint."""
        value, g, squared, failed = evaluate(problem, x)
        return State(0, x, value, g, squared, x, value, None, failed)

    def step(self, problem: Problem, state: State) -> State:
        """One step and one call of the oracle."""
        rule = self.rule
        if rule is None:
            rule = TargetLevel() if problem.optimum is None else Polyak()
        a, memory = rule(problem, state)
        move = np.asarray(a)[..., None] * state.subgradient
        x = state.x - move.astype(state.x.dtype, copy=False)
        if problem.constraint is not None:
            x = problem.constraint._project(x)
        value, g, squared, failed = evaluate(problem, x, state.best_value)
        best_x, best = x, value
        better = value < state.best_value
        if not better.all():
            best_x, best = state.best_x, state.best_value
            if better.any():
                best = np.where(better, value, best)
                best_x = np.where(better[..., None], x, best_x)
        return State(state.k + 1, x, value, g, squared, best_x, best, memory, failed)
