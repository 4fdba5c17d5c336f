"""Step sizes of the subgradient method x+ = P(x - a g).

A rule is asked once per iteration: `rule(problem, state)` gives a, one number per
problem, and what it wants to remember; it finds that in `state.memory` the next time.
A rule that remembers something has `start(problem, state)`, the memory at the start:
arrays with the batch of the problem, and tuples of such, which a restart can reset for
some of the problems. `state.k` may be an array then, one number per problem.
g = 0 gives a step of length zero under every rule, so that a problem of a batch which
is solved stays where it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from subgrad._check import Array, count, positive
from subgrad.solvers.state import some

if TYPE_CHECKING:
    from subgrad.solvers.problem import Problem
    from subgrad.solvers.state import State


class StepRule(Protocol):
    """What a step size is: an object called with the problem and the state."""

    def __call__(self, problem: Problem, state: State) -> tuple[Any, Any]: ...


def _size(rule: Any, name: str) -> None:
    """Check a positive parameter, one number or one per problem; keep it plain."""
    a = positive(name, getattr(rule, name))
    object.__setattr__(rule, name, a if a.ndim else float(a))


def _power(p: float) -> None:
    if not 0 < p <= 1:
        raise ValueError(
            f"power must lie in (0, 1], got {p}: the steps must sum to inf"
        )


def _nonzero(a: Array) -> Array:
    """a, and 1 where a = 0."""
    return a + (a == 0)


def _length(squared: Array) -> Array:
    """|g|, and 1 where g = 0."""
    return np.sqrt(_nonzero(squared))


@dataclass(frozen=True)
class Constant:
    r"""a_k = a.

    .. math:: f_{best} - f^* \le \frac{R^2 + a^2 \sum |g_i|^2}{2 a (N+1)}

    after N steps; a = R / (M sqrt(N+1)) makes it M R / sqrt(N+1), the best possible.
    """

    a: Any

    def __post_init__(self) -> None:
        _size(self, "a")

    def __call__(self, problem: Problem, state: State) -> tuple[Any, Any]:
        return self.a, None


@dataclass(frozen=True)
class ConstantLength:
    """a_k = a / |g_k|: every step has the length a."""

    a: Any

    def __post_init__(self) -> None:
        _size(self, "a")

    def __call__(self, problem: Problem, state: State) -> tuple[Any, Any]:
        return self.a / _length(state.squared), None


@dataclass(frozen=True)
class Diminishing:
    """a_k = a / (k + 1)^power; power 1/2 and 1 are the classical choices."""

    a: Any
    power: float = 0.5

    def __post_init__(self) -> None:
        _size(self, "a")
        _power(self.power)

    def __call__(self, problem: Problem, state: State) -> tuple[Any, Any]:
        return self.a / (state.k + 1) ** self.power, None


@dataclass(frozen=True)
class DiminishingLength:
    """a_k = a / (|g_k| (k + 1)^power): steps of the length a / (k + 1)^power.

    a is a distance: about that from x0 to a minimiser.
    """

    a: Any
    power: float = 0.5

    def __post_init__(self) -> None:
        _size(self, "a")
        _power(self.power)

    def __call__(self, problem: Problem, state: State) -> tuple[Any, Any]:
        size = (state.k + 1) ** self.power
        return self.a / (size * _length(state.squared)), None


@dataclass(frozen=True)
class Polyak:
    r"""The step towards the level f* of the last cut, f* known.

    .. math:: a_k = \theta \frac{f(x_k) - f^*}{|g_k|^2}, \qquad 0 < \theta < 2

    The distance to every minimiser decreases; with θ = 1 the best value is within
    M R / sqrt(N+1) of f*, M and R unknown. f* is that of the problem unless given here;
    with a number above it the method stops there. B. T. Polyak, Minimization of
    unsmooth functionals, USSR Comput. Math. Math. Phys. 9 (1969).
    """

    optimum: Any = None
    factor: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.factor < 2:
            raise ValueError(f"factor must lie in (0, 2), got {self.factor}")

    def __call__(self, problem: Problem, state: State) -> tuple[Any, Any]:
        best = problem.optimum if self.optimum is None else self.optimum
        if best is None:
            raise ValueError(
                "Polyak needs the optimum: Polyak(optimum) or minimize(optimum=...); "
                "TargetLevel() estimates it"
            )
        excess = np.maximum(state.value - best, 0.0)
        return self.factor * excess / _nonzero(state.squared), None


class Target(NamedTuple):
    """What TargetLevel remembers, each of the shape of a value."""

    record: Array  # best value when the level was last moved
    delta: Array
    path: Array  # length walked since
    budget: Array  # length that may be walked before delta is halved


@dataclass(frozen=True)
class TargetLevel:
    r"""Polyak's step with an estimate of f*: the level f_rec - δ.

    .. math:: a_k = \theta \frac{f(x_k) - (f_{rec} - \delta)}{|g_k|^2}

    f_rec is the best value when the level was set. It is set anew when the best value
    has come down by δ/2 (δ is kept), and when the steps since have added up to the
    length `path` (δ is halved: the level was too low to be reached). For any positive
    δ and path the best value tends to f*. Defaults: path = max(1, |x0|), at most the
    radius of the problem; δ = path · |g_0| / 2. J.-L. Goffin and K. C. Kiwiel,
    Convergence of a simple subgradient level method, Math. Program. 85 (1999); in this
    form A. Nedić and D. P. Bertsekas, Incremental subgradient methods, SIAM J. Optim.
    12 (2001), section 2.
    """

    delta: Any = None
    path: Any = None
    factor: float = 1.0

    def __post_init__(self) -> None:
        for name in ("delta", "path"):
            if getattr(self, name) is not None:
                _size(self, name)
        if not 0 < self.factor < 2:
            raise ValueError(f"factor must lie in (0, 2), got {self.factor}")

    def start(self, problem: Problem, state: State) -> Target:
        path: Any = self.path
        if path is None:
            path = np.maximum(1.0, np.sqrt(np.vecdot(state.x, state.x)))
            if problem.radius is not None:
                path = np.minimum(path, problem.radius)
        slope = np.sqrt(state.squared)
        delta = self.delta if self.delta is not None else 0.5 * path * slope
        same = np.zeros_like(state.value)[()]
        return Target(state.value, same + delta, same, same + path)

    def __call__(self, problem: Problem, state: State) -> tuple[Any, Any]:
        record, delta, path, budget = state.memory
        best = state.best_value
        descent = best <= record - delta / 2
        tired = ~descent & (path > budget)
        moved = descent | tired
        if some(moved):
            record = np.where(moved, best, record)[()]
            path = np.where(moved, 0.0, path)[()]
            delta = np.where(tired, delta / 2, delta)[()]
        excess = self.factor * (state.value - record + delta)
        squared = _nonzero(state.squared)
        path = path + excess / np.sqrt(squared)
        return excess / squared, Target(record, delta, path, budget)


@dataclass(frozen=True)
class EstimatedPolyak:
    r"""Polyak's step with the best value so far, less a vanishing margin, for f*.

    .. math:: a_k = \frac{f(x_k) - f_{best} + c / (k + 1)^{p}}{|g_k|^2}, \ 0 < p \le 1

    The margins tend to 0 and their sum is infinite, which makes the best value tend to
    f*. TargetLevel, which finds its own margins, is usually the faster one. S. Boyd and
    A. Mutapcic, Subgradient methods, notes for EE364b, Stanford.
    """

    c: Any
    power: float = 1.0

    def __post_init__(self) -> None:
        _size(self, "c")
        _power(self.power)

    def __call__(self, problem: Problem, state: State) -> tuple[Any, Any]:
        margin = self.c / (state.k + 1) ** self.power
        excess = state.value - state.best_value + margin
        return excess / _nonzero(state.squared), None


@dataclass(frozen=True)
class LinearDecay:
    r"""a_k = R (N - k) / (M (N+1)^(3/2)), k = 0 ... N - 1, for a run of n = N steps.

    .. math:: f(x_N) - f^* \le \frac{M R}{\sqrt{N+1}}

    at the last iterate, which no method can do better. R is `radius` or that of the
    problem; M is `bound`, a bound on |g|, by default the largest |g_i| so far (then
    the theorem is not proved). After n steps the point stays. M. Zamani and F. Glineur,
    Exact convergence rate of the last iterate in subgradient methods, SIAM J. Optim. 35
    (2025).
    """

    n: int
    radius: Any = None
    bound: Any = None

    def __post_init__(self) -> None:
        count(self.n)
        for name in ("radius", "bound"):
            if getattr(self, name) is not None:
                _size(self, name)

    def start(self, problem: Problem, state: State) -> Any:
        return np.zeros_like(state.value)[()] if self.bound is None else None

    def __call__(self, problem: Problem, state: State) -> tuple[Any, Any]:
        radius = problem.radius if self.radius is None else self.radius
        if radius is None:
            raise ValueError(
                "LinearDecay needs a radius, a bound on the distance from x0 to a "
                "minimiser: LinearDecay(n, radius) or minimize(radius=...)"
            )
        memory, bound = None, self.bound
        if bound is None:
            memory = np.maximum(state.memory, np.sqrt(state.squared))
            bound = memory + (memory == 0)
        left = np.maximum(self.n - state.k, 0)
        return radius * left / (bound * (self.n + 1) ** 1.5), memory


@dataclass(frozen=True)
class Accuracy:
    r"""a_k = ε / |g_k|²: some f(x_i) - f* <= ε after (M R / ε)² steps, M unknown.

    eps may be one number or one per problem.
    """

    eps: Any

    def __post_init__(self) -> None:
        _size(self, "eps")

    def __call__(self, problem: Problem, state: State) -> tuple[Any, Any]:
        return self.eps / _nonzero(state.squared), None
