"""Descent against the shortest of all eps-subgradients, which proves how far it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from subgrad._check import Array, count, positive
from subgrad.core import Function, Mask, norm
from subgrad.functions.indicator import Indicator
from subgrad.solvers.certificate import SubgradientCertificate, subgradient_bound
from subgrad.solvers.core import State, advance, begin
from subgrad.solvers.cuts import Cuts
from subgrad.solvers.problem import Problem
from subgrad.solvers.stops import Stop, Watch, relative_gap

LOWEST = -3  # binary logarithm of the shortest step, as a share of eps


class Proof(NamedTuple):
    """g is an eps-subgradient at the x of the state: f(y) >= f(x) + <g, y - x> - eps.

    With a constraint, of f plus its indicator.
    """

    eps: Array
    g: Array


@dataclass(frozen=True)
class SetDescent:
    r"""x_+ = P(x - t g), g the shortest element of f.subdifferential(x, eps).

    .. math:: f(P(x - t_j g)) \le f(x) - c \, t_j |g|^2, \qquad
       t_j = \frac{2^j \epsilon}{|g|^2}, \ j = -3, ..., m - 4

    The function is called once at all m = `trials` points, and the lowest one that
    satisfies this, c = `decrease`, is taken. -g is a direction of descent: the slope of
    f along it is at most -|g|^2, and if the set is the whole eps-subdifferential f can
    fall by eps along it. So eps is halved when f falls by less than eps / 8, and grows
    with what f falls when that is more than eps. It starts at `eps`, by default a tenth
    of |g_0| times the radius of the problem, or max(1, |x_0|).

    The state proves f(y) >= f(x) - eps - |g| |y - x| for all y (of the constraint): see
    SmallSubgradient. Where the function has no set, or one that nothing can be
    projected onto, NotImplementedError and ProjectionError come from there. A problem
    of a batch costs one projection per step, one after the other. D. P. Bertsekas and
    S. K. Mitter, A descent numerical method for optimization problems with
    nondifferentiable cost functionals, SIAM J. Control 11 (1973).
    """

    eps: Any = None
    trials: int = 16
    decrease: float = 0.1

    def __post_init__(self) -> None:
        if self.eps is not None:
            positive("eps", self.eps)
        count(self.trials)
        if not 0 < self.decrease < 1:
            raise ValueError(f"decrease must lie in (0, 1), got {self.decrease}")

    def init(self, problem: Problem, x: Array) -> State:
        """The state at x, a point of the constraint."""
        state = begin(problem, x)
        eps = self.eps
        if eps is None:
            reach = problem.radius
            if reach is None:
                reach = np.maximum(1.0, norm(x))
            eps = 0.1 * norm(state.subgradient) * reach
        eps = np.where(eps > 0, eps, 1.0) + np.zeros(state.value.shape)
        proof = Proof(eps, shortest(problem, x, eps))
        return state._replace(memory=proof, calls=np.ones(state.value.shape, int))

    def step(self, problem: Problem, state: State) -> State:
        """One line search and one projection."""
        eps, g = state.memory
        x, fall = self._search(problem, state.x, state.value, eps, g)
        after = advance(problem, state, x)
        # Below its own rounding the function says nothing about eps.
        floor = np.finfo(x.dtype).eps * np.abs(state.value)
        eps = np.where(fall < eps / 8, eps / 2, np.maximum(eps, fall))
        eps = np.maximum(eps, np.maximum(floor, np.finfo(float).tiny))
        proof = Proof(eps, shortest(problem, x, eps))
        calls = state.calls + self.trials + 1
        return after._replace(memory=proof, calls=calls)

    def _search(
        self, problem: Problem, x: Array, value: Array, eps: Array, g: Array
    ) -> tuple[Array, Array]:
        """The best point along -g and how much lower f is there: x and 0 if none."""
        size = norm(g)
        some = size > 0
        size = np.where(some, size, 1.0)
        j = np.arange(LOWEST, LOWEST + self.trials).reshape(-1, *(1,) * size.ndim)
        with np.errstate(over="ignore", invalid="ignore"):
            length = np.minimum(eps / size * 2.0**j, FAR * (1 + norm(x))) * some
            move = length[..., None] * (g / size[..., None])
            points = x - move.astype(x.dtype, copy=False)
            if problem.constraint is not None:
                points = problem.constraint._project(points)
            values = problem.function._value(points)
            # A trial outside the domain may be inf or nan, and is refused then.
            enough = values <= value - self.decrease * length * size
        values = np.where(enough & (length > 0), values, np.inf)
        best = values.argmin(0)[None]
        low = np.take_along_axis(values, best, 0)[0]
        point = np.take_along_axis(points, best[..., None], 0)[0]
        found = low < value
        return (
            np.where(found[..., None], point, x),
            np.where(found, value - np.where(found, low, value), 0.0),
        )


FAR = 1e4  # times 1 + |x|: the longest step


def shortest(problem: Problem, x: Array, eps: Array) -> Array:
    """The shortest eps-subgradient of f, plus the indicator of the constraint, at x."""
    return whole(problem).subdifferential(x, eps).min_norm()


def whole(problem: Problem) -> Function:
    """f plus the indicator of the constraint."""
    f, C = problem.function, problem.constraint
    return f if C is None else f + Indicator(C)


def prove(problem: Problem, state: State, reach: Any) -> SubgradientCertificate:
    """What the state proves on the ball of radius `reach` around its x.

    To be verified with f plus the indicator of the constraint.
    """
    eps, g = state.memory
    bound, blur = subgradient_bound(whole(problem), state.x, eps, g, reach)
    return SubgradientCertificate(state.x, eps, g, reach, (bound - blur)[()])


@dataclass(frozen=True)
class SmallSubgradient(Stop):
    r"""Proof that f(y) >= f(x) - eps - |g| |y - x|, with small eps and small |g|.

    With `norm` it ends where the eps of the method is at most `eps` and |g| at most
    `norm`. Without, where x is proved optimal up to eps max(1, |f*|),

    .. math:: \epsilon_k + |g_k| (R + |x_k - x_0|) \le eps \max(1, |f^*|)

    R being the radius of the problem. For SetDescent.
    """

    eps: float = 1e-6
    norm: float | None = None
    proves: ClassVar[bool] = True
    status: ClassVar[str] = "subgradient"
    reason: ClassVar[str] = "an eps-subgradient is shorter than the tolerance"

    def __post_init__(self) -> None:
        positive("eps", self.eps)
        if self.norm is not None:
            positive("norm", self.norm)

    def watch(self, problem: Problem, cuts: Cuts | None) -> Watch:
        if self.norm is None and problem.radius is None:
            raise ValueError(
                "SmallSubgradient needs a norm, SmallSubgradient(1e-6, 1e-6), or the "
                "radius of the problem: minimize(radius=...)"
            )
        x0: Any = None

        def check(state: State) -> bool | Mask:
            nonlocal x0
            x0 = state.x if x0 is None else x0
            eps, g = state.memory
            if self.norm is not None:
                return (eps <= self.eps) & (norm(g) <= self.norm)
            reach = problem.radius + norm(state.x - x0)
            lower = state.value - eps - norm(g) * reach
            return relative_gap(state.value, lower) <= self.eps

        return check
