"""Quasi-monotone dual averaging: the last iterate is as good as the best can be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from subgrad._check import Array, count
from subgrad.solvers.problem import Problem
from subgrad.solvers.state import State, advance, begin
from subgrad.solvers.steps import _size


class Sums(NamedTuple):
    """What the method remembers."""

    x0: Array
    slopes: Array  # sum of the g_i
    squares: Array  # sum of the |g_i|^2


@dataclass(frozen=True)
class DualAveraging:
    r"""x_k = k/(k+1) x_{k-1} + 1/(k+1) P(x_0 - γ_k (g_0 + ... + g_{k-1})).

    .. math:: γ_k = \frac{R}{M \sqrt{k+1}}, \qquad
       γ = \frac{R}{M \sqrt{N+1}} \Rightarrow f(x_N) - f^* \le \frac{M R}{\sqrt{N+1}}

    R is `radius`, or that of the problem (a bound on the distance from x_0 to a
    minimiser), or max(1, |x_0|). M is `bound`, a bound on |g|; by default M² is the
    mean of the |g_i|² so far. With `n`, the number N of steps to come, γ is fixed and
    the last iterate has the best worst case there is; without, the method is anytime.
    Y. Nesterov and V. Shikhman, Quasi-monotone subgradient methods for nonsmooth convex
    minimization, J. Optim. Theory Appl. 165 (2015).
    """

    radius: Any = None
    bound: Any = None
    n: int | None = None

    def __post_init__(self) -> None:
        for name in ("radius", "bound"):
            if getattr(self, name) is not None:
                _size(self, name)
        if self.n is not None:
            count(self.n)

    def init(self, problem: Problem, x: Array) -> State:
        """The state at x, a point of the constraint."""
        state = begin(problem, x)
        zero = np.zeros_like(x)
        return state._replace(memory=Sums(x, zero, np.zeros_like(state.value)))

    def _radius(self, problem: Problem, x0: Array) -> Any:
        if self.radius is not None:
            return self.radius
        if problem.radius is not None:
            return problem.radius
        return np.maximum(1.0, np.sqrt(np.vecdot(x0, x0)))

    def step(self, problem: Problem, state: State) -> State:
        """One step and one call of the oracle."""
        k, old, dtype = state.k + 1, state.memory, state.x.dtype
        slopes = old.slopes + state.subgradient
        squares = old.squares + state.squared
        total = squares / k if self.bound is None else np.square(self.bound)
        steps = k if self.n is None else self.n
        scale = np.sqrt(np.where(total > 0, total, 1.0) * (steps + 1))
        gamma = np.asarray(self._radius(problem, old.x0) / scale, dtype)[..., None]
        goal = old.x0 - gamma * slopes
        if problem.constraint is not None:
            goal = problem.constraint._project(goal)
        share = np.asarray(1 / (k + 1), dtype)[..., None]
        x = state.x + share * (goal - state.x)
        return advance(problem, state, x, Sums(old.x0, slopes, squares))
