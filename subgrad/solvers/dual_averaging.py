"""Quasi-monotone dual averaging: the last iterate is as good as the best can be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from subgrad._check import Array, count
from subgrad.core import norm
from subgrad.solvers.distance_over_gradients import farthest
from subgrad.solvers.problem import Problem
from subgrad.solvers.state import State, advance, begin
from subgrad.solvers.steps import _nonzero, _size
from subgrad.solvers.subgradient import scaled


class Sums(NamedTuple):
    """What the method remembers, and without a radius the last three as well."""

    x0: Array
    slopes: Array  # sum of the a_i g_i
    squares: Array  # sum of the |g_i|^2; without a radius, of the (b_i |g_i|)^2
    weight: Any = None  # a_k
    total: Any = None  # a_0 + ... + a_k
    reach: Any = None  # r_k


@dataclass(frozen=True)
class DualAveraging:
    r"""x_k is the average of z_0 ... z_k with weights a_i, where

    .. math:: z_k = P(x_0 - γ_k (a_0 g_0 + ... + a_{k-1} g_{k-1})), \qquad z_0 = x_0.

    With a radius R, a bound on the distance from x_0 to a minimiser,

    .. math:: a_k = 1, \quad γ_k = \frac{R}{M \sqrt{k+1}}, \qquad
       γ = \frac{R}{M \sqrt{N+1}} \Rightarrow f(x_N) - f^* \le \frac{M R}{\sqrt{N+1}}

    R is `radius` or that of the problem. M is `bound`, a bound on |g|; by default M² is
    the mean of the |g_i|² so far. With `n`, the number N of steps to come, γ is fixed
    and the last iterate has the best worst case there is; without, the method is
    anytime. Y. Nesterov and V. Shikhman, Quasi-monotone subgradient methods for
    nonsmooth convex minimization, J. Optim. Theory Appl. 165 (2015).

    Without a radius the method needs no constant: r_k is the largest |z_i - x_0| so
    far, i <= k, r_0 = 0.01 (1 + |x_0|), and

    .. math:: a_k = (k+1) r_k^2, \quad
       γ_k = \Big(\sum_{i < k} b_i^2 |g_i|^2\Big)^{-1/2}, \quad b_i = (i+1) r_i,

    .. math:: f(x_k) - f^* \le \frac{R^2 / 2 + C r_{k+1}^2}{a_0 + ... + a_k}
       \Big(\sum_{i \le k} b_i^2 |g_i|^2\Big)^{1/2}, \qquad C = \frac{1 + \sqrt{17}}{2},

    for every k: their argument holds for all a_k > 0 and γ_k that never rise. Weights
    r² are those of DoWG (A. Khaled, K. Mishchenko and C. Jin, NeurIPS 2023).
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
        memory = Sums(x, np.zeros_like(x), np.zeros_like(state.value)[()])
        if self._radius(problem) is None:
            if self.bound is not None or self.n is not None:
                raise ValueError(
                    "bound and n of DualAveraging need a radius, a bound on the "
                    "distance from x0 to a minimiser: radius= or minimize(radius=...)"
                )
            reach = memory.squares + 0.01 * (1 + norm(x))
            weight = reach * reach
            memory = memory._replace(weight=weight, total=weight, reach=reach)
        return state._replace(memory=memory)

    def _radius(self, problem: Problem) -> Any:
        return problem.radius if self.radius is None else self.radius

    def step(self, problem: Problem, state: State) -> State:
        """One step and one call of the oracle."""
        k, old, dtype = state.k + 1, state.memory, state.x.dtype
        if old.reach is None:
            slopes = old.slopes + state.subgradient
            squares = old.squares + state.squared
            total = squares / k if self.bound is None else np.square(self.bound)
            steps = k if self.n is None else self.n
            gamma = self._radius(problem) / np.sqrt(_nonzero(total) * (steps + 1))
        else:
            slopes = old.slopes + scaled(old.weight, state.subgradient, dtype)
            squares = old.squares + np.square(k * old.reach) * state.squared
            gamma = 1 / np.sqrt(_nonzero(squares))
        goal = old.x0 - scaled(gamma, slopes, dtype)
        if problem.constraint is not None:
            goal = problem.constraint._project(goal)
        memory, share = Sums(old.x0, slopes, squares), 1 / (k + 1)
        if old.reach is not None:
            reach = farthest(old.reach, goal, old.x0)
            weight = (k + 1) * np.square(reach)
            total = old.total + weight
            share = weight / total
            memory = Sums(old.x0, slopes, squares, weight, total, reach)
        x = state.x + scaled(share, goal - state.x, dtype)
        return advance(problem, state, x, memory)
