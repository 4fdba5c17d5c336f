"""Polyak's step towards a level between a proved lower bound and the best value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from subgrad._check import Array
from subgrad.core import Set
from subgrad.solvers.certificate import region
from subgrad.solvers.problem import Problem
from subgrad.solvers.state import State, advance, begin, every, some
from subgrad.solvers.steps import _nonzero
from subgrad.solvers.subgradient import scaled


class Levels(NamedTuple):
    """What the method remembers. The sums are over the steps of the present phase."""

    region: Set
    center: Array
    away: Array  # x - center
    lower: Array  # the best bound
    base: Array  # the bound when the phase began
    level: Array
    total: Array  # sum of the a_i
    height: Array  # sum of the a_i (f_i - <g_i, x_i - center>)
    slope: Array  # sum of the a_i g_i


@dataclass(frozen=True)
class BoundedPolyak:
    r"""x+ = P(x - a g) with a = (f(x) - level) / |g|², f* unknown but bounded below.

    .. math:: level = l + λ (f_{best} - l), \qquad
       l = \min_{x \in X} \frac{\sum a_i (f_i + \langle g_i, x - x_i \rangle)}
       {\sum a_i} \le f^*

    X is a bounded constraint or the ball of the radius of the problem (within a
    constraint that is not bounded: then every step costs some 60 projections), P the
    projection onto it; its support function gives the bound in O(n). The level falls
    with the best value and is raised, and the sums begun anew, when the bound of the
    average reaches it. As long as it does not, sum a_i < D² / (f_best - level), D the
    diameter of X, so that f_best - l is below ε after at most

    .. math:: \frac{1}{1 - (1 - λ)^2} \Big(\frac{D M}{(1 - λ) ε}\Big)^2
       + \frac{\log (D M / ε)}{-\log (1 - λ)} + 2

    steps, M a bound on |g|, which is not asked for. The order 1/ε² is the best there
    is. Level methods of this kind: K. C. Kiwiel, T. Larsson and P. O. Lindberg, The
    efficiency of ballstep subgradient level methods for convex optimization, Math.
    Oper. Res. 24 (1999). The bound l steers the method; rounding is not taken from it
    as it is from the certificate of a Result.
    """

    share: float = 0.5  # λ

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise ValueError(f"share must lie in (0, 1), got {self.share}")

    def init(self, problem: Problem, x: Array) -> State:
        """The state at x, a point of the constraint."""
        X = region(problem.constraint, x, None)
        if X is None:
            X = region(problem.constraint, x, problem.radius)
        if X is None:
            raise ValueError(
                "BoundedPolyak needs a bounded set with a minimiser: a bounded "
                "constraint, or minimize(radius=...)"
            )
        state = begin(problem, x)
        value, zero = state.value, np.zeros_like(state.value)[()]
        lower = value - _reach(problem, X, x, state.subgradient)
        level, none = lower + self.share * (value - lower), np.zeros_like(x)
        memory = Levels(X, x, none, lower, lower, level, zero, zero, none)
        return state._replace(memory=memory)

    def step(self, problem: Problem, state: State) -> State:
        """One step, one call of the oracle and one of the support function."""
        X, c, away, lower, base, level, total, height, slope = state.memory
        x, value, g, best = state.x, state.value, state.subgradient, state.best_value
        squared, cut = _nonzero(state.squared), value - np.vecdot(g, away)
        level = np.minimum(level, base + self.share * (best - base))
        a = np.maximum(value - level, 0.0) / squared
        if state.failed is not None:  # no cut there
            a = np.where(state.failed, 0.0, a)[()]
        move = scaled(a, g, x.dtype)
        total, height, slope = total + a, height + a * cut, slope + move
        bound = (height - _reach(problem, X, c, slope)) / _nonzero(total)
        if not every(total):  # steps of length zero alone bound nothing
            bound = np.where(total > 0, bound, -np.inf)[()]
        lower = np.maximum(lower, bound)
        reached = lower >= level
        if some(reached):
            base = np.where(reached, lower, base)[()]
            level = np.where(reached, base + self.share * (best - base), level)[()]
            a = np.where(reached, np.maximum(value - level, 0.0) / squared, a)[()]
            total = np.where(reached, a, total)[()]
            height = np.where(reached, a * cut, height)[()]
            begun = np.broadcast_to(g, move.shape)[reached]
            move[reached] = slope[reached] = np.asarray(a)[reached][:, None] * begun
        x = x - move
        if problem.constraint is not None:
            x = problem.constraint._project(x)
        away = x - c
        if X is not problem.constraint:
            # Towards the centre, itself in the constraint: that leaves neither set.
            size = np.sqrt(np.vecdot(away, away))
            far = size > problem.radius
            if some(far):
                shrink = np.where(far, problem.radius / _nonzero(size), 1.0)
                away = scaled(shrink, away, x.dtype)
                x = c + away
        memory = Levels(X, c, away, lower, base, level, total, height, slope)
        return advance(problem, state, x, memory)


def _reach(problem: Problem, X: Set, c: Array, slope: Array) -> Array:
    """max <slope, c - z> over the z of X."""
    if problem.constraint is None:  # X is the ball around c
        return problem.radius * np.sqrt(np.vecdot(slope, slope))
    return X._support(-slope) + np.vecdot(c, slope)
