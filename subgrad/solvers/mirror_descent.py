"""Mirror descent: subgradient steps in the geometry of the problem."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Protocol

import numpy as np

from subgrad._check import Array
from subgrad.sets.simplex import Simplex
from subgrad.solvers.problem import Problem
from subgrad.solvers.state import State
from subgrad.solvers.steps import StepRule, _nonzero, _size
from subgrad.solvers.subgradient import Descent, scaled


class Geometry(Protocol):
    r"""A function ψ, 1-strongly convex in some norm, and what it makes of a step.

    .. math:: D(x, y) = ψ(x) - ψ(y) - \langle \nabla ψ(y), x - y \rangle
       \ge \tfrac12 \|x - y\|^2

    One without constraint may have `dual(x)`, the gradient of ψ, and `point(dual)`, its
    inverse: then the gradient is kept from step to step.
    """

    def check(self, problem: Problem, x: Array) -> None:
        """Refuse a constraint or a starting point that does not fit."""
        ...

    def step(self, problem: Problem, x: Array, g: Array) -> Array:
        """The z in the constraint with the least <g, z> + D(z, x)."""
        ...

    def dual_norm(self, g: Array) -> Array:
        """max <g, z> over ||z|| <= 1."""
        ...

    def divergence(self, x: Array, y: Array) -> Array:
        """D(x, y)."""
        ...

    def reach(self, problem: Problem, x0: Array) -> Array | None:
        """A bound on D(x*, x0), or None where nothing bounds it."""
        ...


@dataclass(frozen=True)
class Euclidean:
    """ψ = |x|² / 2: the projected subgradient step, on any constraint."""

    def check(self, problem: Problem, x: Array) -> None:
        pass

    def step(self, problem: Problem, x: Array, g: Array) -> Array:
        return (
            x - g if problem.constraint is None else problem.constraint._project(x - g)
        )

    def dual_norm(self, g: Array) -> Array:
        return np.sqrt(np.vecdot(g, g))

    def divergence(self, x: Array, y: Array) -> Array:
        return np.vecdot(x - y, x - y) / 2

    def reach(self, problem: Problem, x0: Array) -> Array | None:
        if problem.radius is not None:
            return np.square(problem.radius) / 2
        if problem.constraint is None:
            return None
        b = problem.constraint._box()
        most = np.maximum(np.abs(b.lower - x0), np.abs(b.upper - x0))
        square = np.vecdot(most, most)
        return square / 2 if np.isfinite(square).all() else None


@dataclass(frozen=True)
class Entropy:
    r"""ψ = r sum x_i log x_i on Simplex(n, r): exponentiated gradient.

    .. math:: x^+_i \propto x_i e^{-a g_i / r}, \qquad
       D(x, y) = r \sum x_i \log (x_i / y_i)

    The norm is |.|_1 on differences of members, its dual (max g - min g) / 2. x_0 must
    have positive entries, and so have all that follow: those that would underflow are
    held at the smallest number there is, which shortens the distance D to every point.
    From the centre of the simplex D is at most r² log n.
    """

    def check(self, problem: Problem, x: Array) -> None:
        C = problem.constraint
        if not isinstance(C, Simplex):
            got = "no constraint" if C is None else type(C).__name__
            raise ValueError(
                "MirrorDescent(Entropy()) needs constraint=Simplex(n, radius), got "
                f"{got}"
            )
        if np.any(x <= 0):
            raise ValueError(
                "MirrorDescent(Entropy()) needs an x0 that projects onto a point of "
                f"the simplex with positive entries, as zeros do, got {x.min()}"
            )

    def step(self, problem: Problem, x: Array, g: Array) -> Array:
        assert problem.constraint is not None
        r = np.asarray(problem.constraint.total, x.dtype)[..., None]  # type: ignore[attr-defined]
        z = np.log(x)
        z -= g / r
        z -= z.max(-1, keepdims=True)
        np.exp(z, out=z)
        z *= r / z.sum(-1, keepdims=True)
        return np.maximum(z, _tiny(z.dtype), out=z)

    def dual_norm(self, g: Array) -> Array:
        return (g.max(-1) - g.min(-1)) / 2

    def divergence(self, x: Array, y: Array) -> Array:
        """D(x, y), x and y members of the same simplex."""
        both = (x > 0) & (y > 0)
        ratio = np.where(both, x, 1.0) / np.where(both, y, 1.0)
        terms = np.where(both, x * np.log(ratio), np.where(x > 0, np.inf, 0.0))
        return x.sum(-1) * terms.sum(-1)

    def reach(self, problem: Problem, x0: Array) -> Array | None:
        r = x0.sum(-1)
        return np.square(r) * np.log(r / x0.min(-1))


@cache
def _tiny(dtype: Any) -> float:
    return float(np.finfo(dtype).tiny)


@dataclass(frozen=True)
class PNorm:
    r"""ψ = |x|_p² / (2 (p - 1)), 1 < p <= 2, without constraint.

    .. math:: \nabla ψ(x)_i = \frac{|x|_p^{2-p} |x_i|^{p-1} \mathrm{sign}\, x_i}{p - 1},
       \qquad \nabla ψ^*(θ)_i = (p - 1) |θ|_q^{2-q} |θ_i|^{q-1} \mathrm{sign}\, θ_i

    with 1/p + 1/q = 1; the dual norm is |.|_q. p = 1 + 1/log n suits a minimiser with
    few entries, near to x_0 = 0, and subgradients with many of the same size.
    """

    p: float

    def __post_init__(self) -> None:
        if not 1 < self.p <= 2:
            raise ValueError(f"p must lie in (1, 2], got {self.p}")

    @property
    def q(self) -> float:
        return self.p / (self.p - 1)

    def check(self, problem: Problem, x: Array) -> None:
        if problem.constraint is not None:
            raise ValueError(
                "MirrorDescent(PNorm(p)) takes no constraint, got "
                f"{type(problem.constraint).__name__}"
            )

    def step(self, problem: Problem, x: Array, g: Array) -> Array:
        return self.point(self.dual(x) - g)

    def dual(self, x: Array) -> Array:
        """The gradient of ψ."""
        return _slope(x, self.p, 1 / (self.p - 1))

    def point(self, dual: Array) -> Array:
        """The x with that gradient."""
        return _slope(dual, self.q, self.p - 1)

    def dual_norm(self, g: Array) -> Array:
        return _length(g, self.q)

    def divergence(self, x: Array, y: Array) -> Array:
        p = self.p
        twice = np.square(_length(x, p)) - np.square(_length(y, p))
        return twice / 2 / (p - 1) - np.vecdot(self.dual(y), x - y)

    def reach(self, problem: Problem, x0: Array) -> Array | None:
        if problem.radius is None:
            return None
        # |.|_p against the Euclidean norm, and the slope of ψ at x0.
        r = problem.radius * x0.shape[-1] ** (1 / self.p - 0.5)
        return (r / 2 + 2 * _length(x0, self.p)) * r / (self.p - 1)


def _length(x: Array, p: float) -> Array:
    """|x|_p, without overflow."""
    u, top = _upto_one(x)
    u **= p
    return top * u.sum(-1) ** (1 / p)


def _slope(x: Array, p: float, c: float) -> Array:
    """c times the gradient of |x|_p² / 2."""
    u, top = _upto_one(x)
    w = u ** (p - 1)
    size = np.vecdot(u, w)
    w *= (c * top * _nonzero(size) ** ((2 - p) / p))[..., None]
    return np.copysign(w, x, out=w)


def _upto_one(x: Array) -> tuple[Array, Array]:
    """|x| / max |x_i| and max |x_i|."""
    u = np.abs(x)
    top = u.max(-1)
    u /= _nonzero(top)[..., None]
    return u, top


@dataclass(frozen=True)
class MirrorStep:
    """a_k = sqrt(2 D / (k + 1)) / ||g_k||, in the dual norm of the geometry."""

    geometry: Geometry
    divergence: Any

    def start(self, problem: Problem, state: State) -> Array:
        reach = self.divergence
        if reach is None:
            reach = self.geometry.reach(problem, state.x)
        if reach is None:
            raise ValueError(
                "MirrorDescent needs a bound on D(x*, x0): MirrorDescent(geometry, "
                "divergence=...), or minimize(radius=...), or a rule"
            )
        return np.sqrt(2 * reach + np.zeros_like(state.value))[()]

    def __call__(self, problem: Problem, state: State) -> tuple[Any, Any]:
        size = self.geometry.dual_norm(state.subgradient) * (state.k + 1) ** 0.5
        # Where the norm is zero, g moves nothing.
        return state.memory / _nonzero(size), state.memory


@dataclass(frozen=True)
class MirrorDescent(Descent):
    r"""x_{k+1} = argmin over C of a_k <g_k, x> + D(x, x_k).

    .. math:: \sum a_i (f(x_i) - f^*)
       \le D(x^*, x_0) + \tfrac12 \sum a_i^2 \|g_i\|_*^2

    `geometry` is Euclidean(), Entropy() on a Simplex, or PNorm(p). By default
    a_k = sqrt(2 D / (k + 1)) / ||g_k||_*, where D is `divergence`, a bound on
    D(x*, x_0) found from the geometry and the problem if not given; any other step rule
    will do. With average=True the average of the x_k with weights a_k, which the
    theorem is about as well, is tried as a last point. A. S. Nemirovsky and
    D. B. Yudin, Problem Complexity and Method Efficiency in Optimization (1983);
    A. Beck and M. Teboulle, Mirror descent and nonlinear projected subgradient methods
    for convex optimization, Oper. Res. Lett. 31 (2003).
    """

    geometry: Geometry
    rule: StepRule | None = None
    average: bool = False
    divergence: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not hasattr(self.geometry, "dual_norm"):
            raise TypeError(
                "geometry must be Euclidean(), Entropy() or PNorm(p), got "
                f"{type(self.geometry).__name__}"
            )
        if self.divergence is not None:
            _size(self, "divergence")

    def init(self, problem: Problem, x: Array) -> State:
        """The state at x, a point of the constraint that suits the geometry."""
        self.geometry.check(problem, x)
        state = super().init(problem, x)
        kept = self._kept
        return state if kept is None else state._replace(dual=kept.dual(x))

    @cached_property
    def _own(self) -> StepRule:
        return self.rule or MirrorStep(self.geometry, self.divergence)

    @cached_property
    def _kept(self) -> Any:
        """The geometry, if the gradient of its ψ is kept: half of a step is saved."""
        return self.geometry if hasattr(self.geometry, "dual") else None

    def _rule(self, problem: Problem) -> StepRule:
        return self._own

    def _move(self, problem: Problem, state: State, a: Any) -> tuple[Array, Any]:
        g = scaled(a, state.subgradient, state.x.dtype)
        kept = self._kept
        if kept is None:
            return self.geometry.step(problem, state.x, g), None
        dual = state.dual - g
        return kept.point(dual), dual
