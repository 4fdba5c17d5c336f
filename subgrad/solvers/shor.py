"""Shor's r-algorithm: subgradients in a space that is stretched as the run goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from subgrad._check import Array, count
from subgrad._set import unit
from subgrad.core import norm
from subgrad.solvers.problem import Problem
from subgrad.solvers.state import State, advance, begin

TINY = 2.0**-60


class Space(NamedTuple):
    """What the method remembers, for each problem of the batch."""

    B: Array  # (..., n, n)
    start: Array  # B'g where the line search began
    direction: Array  # B xi
    length: Array  # h
    walked: Array  # steps along the direction so far


@dataclass(frozen=True)
class Shor:
    r"""The r-algorithm: descent in a space dilated along differences of subgradients.

    .. math:: x_+ = x - h B \xi, \quad \xi = B^T g / |B^T g|, \quad \text{again while }
       \langle g_+, B \xi \rangle > 0; \qquad
       B_+ = B \big(I + (1/\alpha - 1) r r^T\big), \quad
       r = B^T (g_+ - g) / |B^T (g_+ - g)|

    where g and g_+ are the subgradients at the two ends of the line search. h starts at
    `length`, becomes `grow` h after every `patience` steps along one direction and
    `shrink` h when the first step was one too many. B = I at the start; it takes n^2
    numbers per problem and 5 n^2 operations per direction: the method is for n up to
    about 500, where little that knows no more than g is faster.

    One step is one call of the oracle. Each problem of a batch turns when it is due.
    Nothing is proved about the rate, and values may rise in between: `StepBelow` and
    `Stalled` are stops for it, or `Gap` where a radius or the optimum is known. No
    constraint. N. Z. Shor, Minimization Methods for Non-Differentiable Functions
    (1985); F. Kappel and A. Kuntsevich, An implementation of Shor's r-algorithm,
    Comput. Optim. Appl. 15 (2000).
    """

    length: float = 1.0
    alpha: float = 2.0
    shrink: float = 0.95
    grow: float = 1.2
    patience: int = 3

    def __post_init__(self) -> None:
        for name, ok, expected in (
            ("length", 0 < self.length < np.inf, "positive and finite"),
            ("alpha", 1 < self.alpha < np.inf, "finite and above 1"),
            ("shrink", 0 < self.shrink <= 1, "in (0, 1]"),
            ("grow", 1 <= self.grow < np.inf, "finite and at least 1"),
        ):
            if not ok:
                raise ValueError(
                    f"{name} must be {expected}, got {getattr(self, name)}"
                )
        count(self.patience)

    def init(self, problem: Problem, x: Array) -> State:
        """The state at x."""
        if problem.constraint is not None or problem.limit is not None:
            raise ValueError("Shor minimises over the whole space, got a constraint")
        state = begin(problem, x)
        g, shape = state.subgradient, state.value.shape
        B = np.tile(np.eye(x.shape[-1], dtype=np.result_type(x, g)), (*shape, 1, 1))
        h = np.full(shape, self.length, B.dtype)
        space = Space(B, g, unit(g), h, np.zeros(shape, np.int64))
        return state._replace(memory=space)

    def step(self, problem: Problem, state: State) -> State:
        """One step along the direction, and a new direction where f rises."""
        old: Space = state.memory
        move = old.length[..., None] * old.direction
        x = state.x - move.astype(state.x.dtype, copy=False)
        after = advance(problem, state, x)
        g, walked = after.subgradient, old.walked + 1
        turned = np.vecdot(g, old.direction) <= 0
        factor = np.where(walked % self.patience == 0, self.grow, 1.0)
        factor = np.where(turned & (walked == 1), factor * self.shrink, factor)
        h = (factor * old.length).astype(old.B.dtype, copy=False)
        new = old._replace(length=h, walked=walked)
        if turned.all():
            new = self._turn(new, g)
        elif turned.any():
            some = self._turn(Space(*(a[turned] for a in new)), g[turned])
            new = Space(*(a.copy() for a in new))
            for whole, part in zip(new, some, strict=True):
                whole[turned] = part
        return after._replace(memory=new)

    def _turn(self, space: Space, g: Array) -> Space:
        """B dilated along the change of the subgradient, and a new direction."""
        B, h, c = space.B, space.length, 1 / self.alpha - 1
        p = np.vecmat(g, B)
        r = unit(p - space.start)
        rank_one = (c * np.matvec(B, r))[..., None] * r[..., None, :]
        B = np.add(B, rank_one, out=rank_one)
        p = p + c * np.vecdot(r, p)[..., None] * r
        direction = np.matvec(B, unit(p))
        # Dilations only shrink B, and h B is all that matters: long before B underflows
        # a power of two moves to h.
        if norm(direction).min() < TINY:
            top = np.abs(B).max((-2, -1))
            scale = np.exp2(np.where(top > 0, -np.frexp(top)[1], 0)).astype(B.dtype)
            B, h, p = B * scale[..., None, None], h / scale, p * scale[..., None]
            direction = np.matvec(B, unit(p))
        return Space(B, p, direction, h, np.zeros_like(space.walked))
