"""Polyak's step towards a level between a proved lower bound and the best value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from subgrad._check import Array
from subgrad.core import Set
from subgrad.solvers.certificate import region
from subgrad.solvers.problem import Problem
from subgrad.solvers.state import State, advance, begin

Sums = tuple[Array, tuple[Array, Array, Array]]


class Levels(NamedTuple):
    """What the method remembers. The sums are over the steps of the present phase."""

    region: Set
    center: Array
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
        value, g = state.value, state.subgradient
        one = np.ones_like(value)
        lower = _bound(X, x, one, value, g)
        level = lower + self.share * (value - lower)
        zero = np.zeros_like(value)
        memory = Levels(X, x, lower, lower, level, zero, zero, np.zeros_like(x))
        return state._replace(memory=memory)

    def step(self, problem: Problem, state: State) -> State:
        """One step, one call of the oracle and one of the support function."""
        X, c, lower, base, level, *sums = state.memory
        x, value, g, best = state.x, state.value, state.subgradient, state.best_value
        squared = np.where(state.squared > 0, state.squared, 1.0)
        cut = value - np.vecdot(g, x - c)

        def add(level: Array, total: Array, height: Array, slope: Array) -> Sums:
            """The step towards a level, and the sums with it."""
            a = np.maximum(value - level, 0.0) / squared
            move = np.asarray(a, g.dtype)[..., None] * g
            return move, (total + a, height + a * cut, slope + move)

        level = np.minimum(level, base + self.share * (best - base))
        move, new = add(level, *sums)
        lower = np.maximum(lower, _bound(X, c, *new))
        reached = lower >= level
        if reached.any():
            base = np.where(reached, lower, base)
            level = np.where(reached, base + self.share * (best - base), level)
            rest = np.asarray(~reached, g.dtype)
            begun = rest * sums[0], rest * sums[1], rest[..., None] * sums[2]
            move, new = add(level, *begun)
        x = x - move
        if problem.constraint is not None:
            x = problem.constraint._project(x)
        if X is not problem.constraint:
            # Towards the centre, itself in the constraint: that leaves neither set.
            away = np.sqrt(np.vecdot(x - c, x - c))
            far = away > problem.radius
            if far.any():
                shrink = np.where(far, problem.radius / np.where(far, away, 1.0), 1.0)
                x = c + np.asarray(shrink, x.dtype)[..., None] * (x - c)
        return advance(problem, state, x, Levels(X, c, lower, base, level, *new))


def _bound(X: Set, c: Array, total: Array, height: Array, slope: Array) -> Array:
    """The least value on X of the average of the cuts."""
    h = X._support(-slope) + np.vecdot(c, slope)
    # Steps of length zero alone bound nothing.
    return np.where(total > 0, height - h, -np.inf) / np.where(total > 0, total, 1.0)
