"""Steps that need no constant at all: distance walked over gradients seen."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from subgrad._check import Array
from subgrad.core import norm
from subgrad.solvers.steps import _nonzero

if TYPE_CHECKING:
    from subgrad.solvers.problem import Problem
    from subgrad.solvers.state import State


class Walk(NamedTuple):
    """What the two rules remember, numbers of the shape of a value."""

    x0: Array
    reach: Array  # r_k, the largest |x_i - x_0| so far
    total: Array  # of the |g_i|^2, weighted


class _Travelled:
    """What both begin with."""

    def start(self, problem: Problem, state: State) -> Walk:
        tiny = 1e-6 * (1 + norm(state.x))
        return Walk(state.x, tiny, np.zeros_like(state.value)[()])


def farthest(reach: Array, x: Array, x0: Array) -> Array:
    """max(reach, |x - x0|), held where its square times |g|^2 can still be summed."""
    move = x - x0
    far = np.sqrt(np.vecdot(move, move))
    return np.minimum(np.maximum(reach, far), _most(x.dtype))


@cache
def _most(dtype: Any) -> float:
    return float(np.finfo(dtype).max) ** 0.25


def _over(a: Array, total: Array) -> Array:
    """a / sqrt(total); before anything was seen it goes with g = 0."""
    return a / np.sqrt(_nonzero(total))


@dataclass(frozen=True)
class DoG(_Travelled):
    r"""a_k = r_k / (sum_{i <= k} |g_i|²)^(1/2), r_k = max_{i <= k} |x_i - x_0|.

    .. math:: \sum_{i \le k} r_i (f(x_i) - f^*) \le r_{k+1} (2 d + r_{k+1})
       \Big(\sum_{i \le k} |g_i|^2\Big)^{1/2}, \qquad d = \max_{i \le k} |x_i - x^*|

    r_0 = 1e-6 (1 + |x_0|). Without constraint nothing bounds d in advance; that, and
    the rate, are for the average of the x_k with the weights r_k. M. Ivgi, O. Hinder
    and Y. Carmon, DoG is SGD's best friend, ICML 2023.
    """

    def __call__(self, problem: Problem, state: State) -> tuple[Any, Any]:
        walk = state.memory
        reach = farthest(walk.reach, state.x, walk.x0)
        total = walk.total + state.squared
        return _over(reach, total), Walk(walk.x0, reach, total)

    def weight(self, walk: Walk) -> Array:
        return walk.reach


@dataclass(frozen=True)
class DoWG(_Travelled):
    r"""a_k = r_k² / (sum_{i <= k} r_i² |g_i|²)^(1/2), r_k as in `DoG`.

    .. math:: \sum_{i \le k} r_i^2 (f(x_i) - f^*) \le r_{k+1} (2 d + r_{k+1})
       \Big(\sum_{i \le k} r_i^2 |g_i|^2\Big)^{1/2}

    The average of the x_k has the weights r_k². A. Khaled, K. Mishchenko and C. Jin,
    DoWG unleashed, NeurIPS 2023.
    """

    def __call__(self, problem: Problem, state: State) -> tuple[Any, Any]:
        walk = state.memory
        reach = farthest(walk.reach, state.x, walk.x0)
        square = np.square(reach)
        total = walk.total + square * state.squared
        return _over(square, total), Walk(walk.x0, reach, total)

    def weight(self, walk: Walk) -> Array:
        return np.square(walk.reach)
