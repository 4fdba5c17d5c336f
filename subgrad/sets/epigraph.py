r"""Epigraphs of convex functions, and hypographs of their negatives."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad._jacobian import AnyJacobian, blocks, identity, plus_rank_one
from subgrad.core import Function, Set, a_function, norm
from subgrad.interval import Interval
from subgrad.sets.box import Box, point, whole_space


class Epigraph(Set):
    r"""{(x, τ) : f(x) <= τ} in R^(n+1), f a closed proper convex function on R^n.

    .. math:: h(d, δ) = -δ f^*(-d/δ) \ (δ < 0), \quad f^*_\infty(d) \ (δ = 0),
       \quad +\infty \ (δ > 0)

    The support function is the perspective of the conjugate. The projection of (u, υ)
    off the set is (prox_{μf}(u), υ + μ), where μ >= 0 solves f(prox_{μf}(u)) = υ + μ, a
    falling equation of one variable; μ = 0 projects on the domain of f. It is solved to
    rounding. Source: Combettes and Müller, Perspective functions: proximal calculus and
    applications; Beck, First-Order Methods in Optimization, 6.36.
    """

    _up = 1.0  # the direction in which the set has no end

    def __init__(self, f: Function) -> None:
        if a_function("f", f).n is None:
            raise ValueError(
                f"{type(self).__name__} needs the number of arguments: f(variable(n))"
            )
        self._set(f, None)

    @classmethod
    def _of(cls, f: Function, star: Function | None, n: int) -> Epigraph:
        """With the conjugate of f where it is at hand, f of n arguments."""
        return cls.__new__(cls)._set(f, star, n)

    def _set(self, f: Function, star: Function | None, n: int | None = None) -> Any:
        self.f, self._given, self.dim = f, star, (n or f.n) + 1
        self.polyhedral = f.polyhedral
        if lead := np.shape(f._value(np.zeros(self.dim - 1))):
            raise ValueError(f"f must be one function, got a batch of {lead}")
        return self

    def _key(self) -> tuple[Any, ...]:
        return (self.f, self.dim)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.f!r})"

    @cached_property
    def _perspective(self) -> Any:
        """The function (d, s) -> s f*(d / s), of which the set is the other name."""
        from subgrad.calculus.perspective import Perspective

        star = self.f.conjugate() if self._given is None else self._given
        made = Perspective(star)
        made.__dict__["_star"] = self.f  # f itself, not f** spelled otherwise
        return made

    def _turn(self, d: Array) -> Array:
        """(d, δ) -> (d, s): s is how steeply d points out of the bounded side."""
        return d if self._up < 0 else d * np.r_[np.ones(self.dim - 1), -1.0]

    def _alive(self) -> Any:
        return np.True_

    def _support(self, d: Array) -> Array:
        return self._perspective._value(self._turn(d))

    def _support_point(self, d: Array) -> Array:
        return self._turn(self._perspective._subgradient(self._turn(d)))

    def _atom(self, d: Array) -> tuple[Array, Array | None]:
        up = np.zeros(self.dim)
        up[-1] = self._up
        if d @ up > 1e-12 * norm(d):
            return self._project(np.zeros(self.dim)), up
        d = d if d @ up <= 0 else d - (d @ up) * up
        if np.isposinf(self._support(d)):
            # The steepest ray, by Moreau's decomposition of d.
            ray = self._recession()._project(d)
            if ray @ d > 1e-12 * norm(ray) * norm(d):
                return self._project(np.zeros(self.dim)), ray
            return np.full(self.dim, np.nan), None  # neither is to be had
        return self._support_point(d), None

    def _face(self, d: Array, eps: Array) -> Set:
        return self._perspective._face(self._turn(d), self, -self._up)

    def _project(self, y: Array) -> Array:
        u, height = y[..., :-1], y[..., -1]
        x, move = residual(self.f, self._given, u, self._up * height)
        near = np.concatenate([u - x, (height + self._up * move)[..., None]], -1)
        inside = self.f._value(u) <= self._up * height
        return np.where(inside[..., None], y, near)

    def _project_jacobian(self, y: Array) -> AnyJacobian:
        r"""With p = prox_{μf}(u), J its Jacobian in u, g = (u - p) / μ, w = (J g, -1):

        .. math:: diag(J, 1) - w w^T / (1 + \langle g, J g \rangle)

        of f(p) = υ + μ differentiated; diag(J, 1), J that of the domain, where μ = 0.
        """
        u, height, n = y[:-1], self._up * y[-1], self.dim - 1
        away, mu = residual(self.f, self._given, u, height)
        if self.f._value(u) <= height or mu <= 1e-12 * (norm(u) + abs(height)):
            J = domain_of(self.f, n)._project_jacobian(u)
            return blocks([J, identity(1)], [n, self.dim])
        if self._given is not None and not has_prox(self.f, u):
            # By Moreau: the prox of μ f is u - μ prox_{f*/μ}(u / μ).
            J = self._given._prox_jacobian(u / mu, 1 / mu).complement()
        else:
            J = self.f._prox_jacobian(u, mu)
        g = away / mu
        w = np.append(J.apply(g), -self._up)
        share = 1 / (1 + float(w[:-1] @ g))
        return plus_rank_one(blocks([J, identity(1)], [n, self.dim]), w, -share)

    def _contains(self, z: Array, tol: float) -> Array:
        inside = self.f._value(z[..., :-1]) <= self._up * z[..., -1]
        return inside if np.all(inside) else inside | super()._contains(z, tol)

    def _interior(self, z: Array) -> Any:
        above = self.f._value(z[..., :-1]) < self._up * z[..., -1]
        return above & self.f._interior(z[..., :-1])

    def _normal_cone(self, x: Array, eps: Array) -> Set:
        r"""cone(∂f(u) x {-1}) on the graph of f, N_dom f(u) x {0} above it."""
        from subgrad.calculus.maximum import hull_of_union
        from subgrad.calculus.stack import product
        from subgrad.sets.cone import Cone

        u, height = x[..., :-1], self._up * x[..., -1]
        if x.ndim > 1:
            return super()._normal_cone(x, eps)
        slopes, normal = self.f._subdifferential(u, np.zeros(())), self.f._normal(u)
        none = np.zeros((0, u.size)), np.zeros((0, u.size))
        corners = slopes._corners() if slopes.nonempty else none
        domain = normal._corners()
        if corners is None or domain is None:
            return super()._normal_cone(x, eps)
        size = 1e-9 * (1 + norm(x))
        on = height - self.f._value(u) <= size
        steep = np.pad(corners[0], ((0, 0), (0, 1)), constant_values=-self._up)
        flat = np.concatenate([corners[1], domain[1], np.zeros((1, u.size))])
        rays = np.concatenate([steep, np.pad(flat, ((0, 0), (0, 1)))])
        active = np.concatenate([np.full(len(steep), on), np.full(len(flat), True)])
        cone = Cone._raw(rays, active)
        if not np.any(eps):
            return cone
        # With g in ∂_ε f(u): h(g, -1) - <(g, -1), (u, f(u))> = f*(g) + f(u) - <g, u>.
        near = self.f._subdifferential(u, np.where(on, eps, 0.0))
        if isinstance(near, Box) and near.nonempty:
            # A part of bounded size, or the cone would be lost in its rounding.
            room = 1e3 * (1 + np.abs(near._project(np.zeros(u.size))).max())
            near = Box(near.box() & Interval(-room, room))
        return hull_of_union(cone, product([near, point([-self._up])]).restrict(on))

    def _recession(self) -> Set:
        from subgrad.calculus.recession import recession_function

        return type(self)._of(recession_function(self.f), None, self.dim - 1)

    def _cvxpy(self, z: Any, scale: Any) -> list[Any]:
        import cvxpy as cp

        top = self._up * z[self.dim - 1]
        if not hasattr(scale, "is_dcp") and scale == 1:
            return [cp.sum(self.f._cvxpy(z[: self.dim - 1])) <= top]
        from subgrad.calculus.perspective import Perspective

        both = cp.hstack([z[: self.dim - 1], scale])
        return [Perspective(self.f)._cvxpy(both) <= top]

    def _support_cvxpy(self, x: Any) -> Any:
        n = self.dim - 1
        if self._up < 0:
            return self._perspective._cvxpy(x)
        import cvxpy as cp

        return self._perspective._cvxpy(cp.hstack([x[:n], -x[n]]))


class Hypograph(Epigraph):
    r"""{(x, τ) : τ <= -f(x)} in R^(n+1), under the graph of the concave -f.

    .. math:: h(d, δ) = δ f^*(d/δ) \ (δ > 0), \quad f^*_\infty(d) \ (δ = 0),
       \quad +\infty \ (δ < 0)

    The perspective of f is the support function of the hypograph of f*.
    """

    _up = -1.0


def residual(f: Any, star: Any, u: Array, height: Array) -> tuple[Array, Array]:
    r"""(u - p, μ), where (p, height + μ) is the projection of (u, height) on epi f.

    By Moreau p = prox_{μf}(u) = u - μ q with q = prox_{f*/μ}(u/μ), and f(p) is
    <p, q> - f*(q): the prox of f or that of its conjugate serves.
    """
    u, height = np.broadcast_arrays(u, height[..., None])
    height = height[..., 0]
    own = f is not None and has_prox(f, u)
    if star is None and not own:
        star = f.conjugate()
    dual = star if star is not None and has_prox(star, u) else None

    def away(mu: Array) -> tuple[Array, Array]:
        """μ q and q."""
        if dual is None:
            x = u - f._prox(u, mu)
            return x, x / mu[..., None]
        q = dual._prox(u / mu[..., None], 1 / mu)
        return mu[..., None] * q, q

    def above(mu: Array) -> Array:
        if own:
            return f._value(near_domain(f, f._prox(u, mu))) - height - mu
        x, q = away(mu)
        p = u - x
        value = np.vecdot(p, q) - star._value(q)
        if f is not None:
            # The better one, where rounding leaves p in the domain.
            known = f._value(near_domain(f, p))
            value = np.where(np.isfinite(known), known, value)
        return value - height - mu

    scale = np.maximum(norm(u), np.abs(height))
    scale = np.where(scale > 0, scale, 1.0)
    low = 1e-20 * scale
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        out = above(low) > 0
        high = scale + np.maximum(above(scale), 0.0)
        mu = falling_root(above, np.where(out, low, high), high)
        x = away(np.where(out, mu, low))[0]
    # What is left at μ = 0 is rounding, or the way to the domain of f.
    still = np.abs(x) <= 4 * np.finfo(x.dtype).eps * scale[..., None]
    return np.where(still & ~out[..., None], 0.0, x), np.where(out, mu, 0.0)


def near_domain(f: Function, x: Array) -> Array:
    """x, on the domain of f where it misses that by rounding."""
    if f.finite or np.all(np.isfinite(f._value(x))):
        return x
    try:
        near = f._to_domain(x)
    except NotImplementedError:
        return x
    rounding = norm(near - x) <= 8 * np.finfo(x.dtype).eps * norm(x)
    return np.where(rounding[..., None], near, x)


def domain_of(f: Any, n: int) -> Set:
    """The closure of the domain of f, of n arguments."""
    if f.n is not None or f.finite:
        return f.domain if f.n is not None else whole_space(n)
    body = getattr(f, "_body", None)
    if body is not None:
        return body(n)
    low, high = (np.broadcast_to(e, (n,)) for e in f._ends())
    return Box._raw(low, high)


def has_prox(f: Function, x: Array) -> bool:
    """Whether f has a prox, found by asking for one."""
    try:
        f._prox(np.zeros(x.shape[-1]), np.ones(()))
    except NotImplementedError:
        return False
    return True


def falling_root(fun: Callable[[Array], Array], low: Array, high: Array) -> Array:
    """The zero of a falling function between low and high, entry by entry.

    The secant through the ends, one of them halved in height where it stays (Illinois),
    and every third time the middle; until the ends meet up to rounding.
    """
    a, b = np.broadcast_arrays(low, high)
    fa, fb = fun(a), fun(b)
    eps = np.finfo(a.dtype).eps
    moved = np.zeros(a.shape)
    for k in range(300):
        if np.all(b - a <= 2 * eps * b):
            break
        drop = fa - fb
        share = np.where(drop > 0, fa / np.where(drop > 0, drop, 1.0), 0.5)
        share = np.where(np.isfinite(share) & (k % 3 < 2), share, 0.5)
        c = np.clip(a + share * (b - a), a + 0.5 * eps * b, b - 0.5 * eps * b)
        fc = fun(c)
        right = fc > 0
        fa = np.where(right, fc, np.where(moved < 0, 0.5 * fa, fa))
        fb = np.where(right, np.where(moved > 0, 0.5 * fb, fb), fc)
        a, b = np.where(right, c, a), np.where(right, b, c)
        moved = np.where(right, 1.0, -1.0)
    return 0.5 * (a + b)


def downward(g: Array, top: Array, up: float = 1.0) -> Box:
    """{g} x (-inf, top], empty where top is -inf; turned upside down by up < 0."""
    low = np.where(top > -np.inf, -np.inf, np.inf)
    ends = (low, top) if up > 0 else (-top, -low)
    return Box._raw(*(np.concatenate([g, e[..., None]], -1) for e in ends))
