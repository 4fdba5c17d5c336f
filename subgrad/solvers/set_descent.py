"""Descent against the shortest of all eps-subgradients, which proves how far it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from subgrad._check import Array, count, positive
from subgrad.core import Mask, norm
from subgrad.solvers.certificate import restricted
from subgrad.solvers.cuts import Cuts
from subgrad.solvers.problem import Problem
from subgrad.solvers.state import State, advance, begin
from subgrad.solvers.stops import Stop, Watch, relative_gap

SCALES = np.array([64.0, 1.0, 0.125])
LONG = 256.0  # times eps / |g|, the length for a fall by eps: the longest trial
FAR = 1e4  # times 1 + |x|, the longest step
TINY = 1e-300


class Memory(NamedTuple):
    """What the method remembers, for each problem of the batch."""

    eps: Array
    x0: Array
    bound: Array  # of the proof that the state carries


@dataclass(frozen=True)
class SetDescent:
    r"""x_+ = P(x - t g), g the shortest element of f.subdifferential(x, eps).

    .. math:: f(x_+) \le f(x) - \frac{c}{t} |x_+ - x|^2, \qquad
       \frac{\epsilon}{2 |s|} \le t |g| < 256 \frac{\epsilon}{|g|}

    P projects onto the constraint, whose normal cone is then part of the set. -g is a
    direction of descent: the slope of f along it is at most -|g|^2, and if the set is
    the whole eps-subdifferential f can fall by eps along it, with t |g| = eps / |g|.
    That and lengths in geometric progression are tried, `trials` in all; the shortest,
    s being the longer of g and the subgradient of the oracle, is hardly enough to meet
    another piece of f. Which eps is right changes from point to point: 64, 1 and 1/8
    times the last one are tried at each, in one call of f at all these points. Of those
    with at least a fifth of the best fall the largest eps is taken, which has looked
    around furthest; without any fall the least one. c is `decrease`; eps starts at
    `eps`, by default a tenth of |g| times the radius of the problem, or max(1, |x|).

    The states carry a proof (y, eps, g), f >= f(y) + <g, . - y> - eps on the
    constraint: the best so far for a minimiser at that distance from x_0.
    SmallSubgradient is the stop for it, and the result has it as certificate.
    NotImplementedError and ProjectionError come from functions without a set, and from
    sets on which nothing can be projected. A problem costs three projections per step,
    one after the other. Where the set is much smaller than the eps-subdifferential, as
    for a sum of many maxima, the method can stall: `Stalled` ends it. D. P. Bertsekas
    and S. K. Mitter, A descent numerical method for optimization problems with
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
        if problem.limit is not None:
            raise ValueError(
                "SetDescent takes no constraints g(x) <= 0, only a constraint set"
            )
        state = begin(problem, x)
        zero = np.zeros(state.value.shape)
        g = shortest(problem, x, zero)
        size = norm(g)
        bound = state.value - _loss(problem, x, x, zero, size)
        eps = 0.1 * size * _reach(problem, x) if self.eps is None else self.eps + zero
        memory = Memory(np.where(eps > 0, eps, 1.0), x, bound)
        calls = np.ones_like(zero, int)
        return state._replace(memory=memory, proof=(x, zero, g), calls=calls)

    def step(self, problem: Problem, state: State) -> State:
        """Three projections, one line search, and a call of the oracle."""
        last, x, value = state.memory, state.x, state.value
        scales = SCALES.reshape(-1, *(1,) * value.ndim)
        # Below its own rounding the function says nothing about eps.
        low = np.maximum(np.finfo(x.dtype).eps * np.abs(value), TINY)
        eps = np.clip(scales * last.eps, low, 1 / TINY)
        xs = np.broadcast_to(x, (len(SCALES), *x.shape))
        g = shortest(problem, xs, eps)
        size = norm(g)
        steep = norm(state.subgradient)
        points, falls = self._search(problem, xs, value, eps, g, low, steep)
        enough = (falls >= falls.max(0) / 5) & (falls > 0)
        some, best = enough.any(0), enough.argmax(0)
        chosen = np.where(some, _take(eps, best), eps[-1])
        after = advance(problem, state, _take(points, best))
        if after.failed is not None:
            # Such a point may have an empty set, which would end the other runs too.
            after = after._replace(x=np.where(after.failed[..., None], x, after.x))
        # The proof is independent of the step taken.
        bounds = value - _loss(problem, last.x0, x, eps, size)
        top = bounds.argmax(0)
        better = _take(bounds, top) > last.bound
        old_x, old_eps, old_g = state.proof
        proof = (
            np.where(better[..., None], x, old_x),
            np.where(better, _take(eps, top), old_eps),
            np.where(better[..., None], _take(g, top), old_g),
        )
        bound = np.where(better, _take(bounds, top), last.bound)
        return after._replace(
            memory=Memory(chosen, last.x0, bound),
            proof=proof,
            calls=state.calls + len(SCALES) * self.trials + 1,
        )

    def _search(
        self, problem: Problem, x: Array, value: Array, eps: Array, g: Array,
        low: Array, steep: Array,
    ) -> tuple[Array, Array]:  # fmt: skip
        """The best points along each -g, and how much lower f is there: x and 0 where
        it is nowhere lower by more than `low`."""
        size = norm(g)
        some = size > 0
        size = np.where(some, size, 1.0)
        share = np.linspace(0, 1, self.trials).reshape(-1, *(1,) * size.ndim)
        with np.errstate(over="ignore", invalid="ignore"):
            full = eps / size
            least = eps / (2 * np.maximum(steep, size))
            length = least * (LONG * full / least) ** share
            length[-1] = full
            length = np.minimum(length, FAR * (1 + norm(x)))
            move = length[..., None] * (g / size[..., None])
            points = x - move.astype(x.dtype, copy=False)
            part: Any = 1.0
            if problem.constraint is not None:
                points = problem.constraint._project(points)
                part = np.square(norm(x - points) / length)
            asked = np.where(some, self.decrease * part * length * size, np.inf)
            falls = value - problem.function._value(points)
            # Outside the domain it is -inf, or nan, and refused as well.
            falls = np.where((falls >= asked) & (falls > low), falls, 0.0)
        best = falls.argmax(0)
        falls = _take(falls, best)
        return np.where((falls > 0)[..., None], _take(points, best), x), falls


def _take(a: Array, index: Array) -> Array:
    """a[index[...], ...], the first axis chosen for each problem."""
    index = index[None]
    if a.ndim > index.ndim:
        index = index[..., None]
    return np.take_along_axis(a, index, 0)[0]


def _reach(problem: Problem, x0: Array) -> Array:
    """How far from x0 a minimiser may be: only to weigh eps against |g|, if unknown."""
    if problem.radius is not None:
        return np.asarray(problem.radius)
    return np.maximum(1.0, norm(x0))


def _loss(problem: Problem, x0: Array, x: Array, eps: Array, size: Array) -> Array:
    return eps + size * (_reach(problem, x0) + norm(x - x0))


def shortest(problem: Problem, x: Array, eps: Array) -> Array:
    """The shortest element of the subdifferential of f, plus indicator, at x."""
    f = restricted(problem.function, problem.constraint)
    return f.subdifferential(x, eps).min_norm()


@dataclass(frozen=True)
class SmallSubgradient(Stop):
    r"""Proof by an eps-subgradient g at a point y that x is nearly optimal.

    .. math:: f(z) \ge f(y) - \epsilon - |g| |z - y| \text{ for all } z,
       \qquad f(y) \ge f(x)

    With `norm` the run ends where the method knows one with eps at most `eps` and |g|
    at most `norm`. Without, where R being the radius of the problem, it proves that

    .. math:: f(x) - f^* \le eps \max(1, |f^*|), \qquad
       f^* \ge f(y) - \epsilon - |g| (R + |y - x_0|)

    For methods whose states carry such a proof: SetDescent.
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
            if state.proof is None:
                return False
            y, eps, g = state.proof
            if self.norm is not None:
                return (eps <= self.eps) & (norm(g) <= self.norm)
            loss = _loss(problem, x0, y, eps, norm(g))
            lower = problem.function._value(y) - loss
            return relative_gap(state.best_value, lower) <= self.eps

        return check
