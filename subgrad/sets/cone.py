"""Closed convex cones: finitely generated ones, and polars."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from subgrad._check import Array, real
from subgrad._jacobian import AnyJacobian, of_polyhedron
from subgrad.core import Mask, Set, a_set, norm, unit
from subgrad.interval import Interval


class Cone(Set):
    r"""{sum_j mu_j g_j : mu >= 0}, with h(d) = 0 if all <g_j, d> <= 0, else +inf.

    generators (..., k, n); `active` (..., k) says which of them count.
    """

    _arrays: ClassVar = Set._arrays | {"generators": 2, "active": 1}
    polyhedral = True

    def __init__(self, generators: Any) -> None:
        G = real("generators", generators)
        if G.ndim < 2 or 0 in G.shape:
            raise ValueError(f"generators must have shape (..., k, n), got {G.shape}")
        self._set(G, np.ones(G.shape[-2], bool))

    def _set(self, generators: Array, active: Mask) -> Cone:
        # Directions, not lengths, make the cone: unit generators give one tolerance.
        self.generators, self.active = unit(generators), active
        self.dim = generators.shape[-1]
        return self

    @classmethod
    def _raw(cls, generators: Array, active: Mask) -> Cone:
        return Cone.__new__(Cone)._set(generators, active)

    def _heights(self, d: Array) -> Array:
        return np.where(self.active, np.matvec(self.generators, d), -np.inf)

    def _support(self, d: Array) -> Array:
        top = self._heights(d).max(-1)
        return np.where(top <= 1e-9 * norm(d), 0.0, np.inf)

    def _support_point(self, d: Array) -> Array:
        shape = np.broadcast_shapes((*self.batch, self.dim), d.shape)
        return np.zeros(shape)

    def _atom(self, d: Array) -> tuple[Array, Array | None]:
        v = self._heights(d)
        i = int(np.argmax(v))
        return np.zeros_like(d), self.generators[i] if v[i] > 1e-12 * norm(d) else None

    def _face(self, d: Array, eps: Array) -> Cone:
        v = self._heights(d)
        tol = 1e-9 * norm(d)
        face = Cone._raw(self.generators, self.active & (v >= -tol[..., None]))
        return face.restrict(v.max(-1) <= tol)

    def _project(self, y: Array) -> Array:
        from subgrad.sets.nearest import nearest_cone

        return self._each(y, lambda one, v: nearest_cone(one.generators[one.active], v))

    def _project_jacobian(self, y: Array) -> AnyJacobian:
        return of_polyhedron(self._corners(), y, self._project(y))

    def _box(self) -> Interval:
        G = np.where(self.active[..., None], self.generators, 0.0)
        low = np.where(G.min(-2) < 0, -np.inf, 0.0)
        return Interval._raw(low, np.where(G.max(-2) > 0, np.inf, 0.0))

    def _frame(self) -> Any:
        G = self.generators[self.active].T
        return np.zeros(self.dim), G, np.zeros(G.shape[1]), np.full(G.shape[1], np.inf)

    def _corners(self) -> Any:
        return np.zeros((1, self.dim)), self.generators[self.active]

    def _normal_cone(self, x: Array, eps: Array) -> Set:
        lead = np.broadcast_shapes(self.batch, x.shape[:-1])
        G = np.broadcast_to(self.generators, (*lead, *self.generators.shape[-2:]))
        away = np.broadcast_to(-x[..., None, :], (*lead, 1, self.dim))
        on = np.broadcast_to(self.active, G.shape[:-1])
        on = np.concatenate([on, np.ones((*lead, 1), bool)], -1)
        return Polar._raw(Cone._raw(np.concatenate([G, away], -2), on))

    def _recession(self) -> Cone:
        return self

    def _cvxpy(self, z: Any, scale: Any) -> list[Any]:
        import cvxpy as cp

        G = self.generators[self.active]
        if not len(G):
            return [z == 0]
        w = cp.Variable(len(G), nonneg=True)
        return [z == G.T @ w]


class Polar(Set):
    r"""{g : <g, s> <= 0 for all s in K}, the polar of a closed convex cone K.

    .. math:: h(d) = 0 \text{ if } d \in K, \ +\infty \text{ otherwise}; \qquad
       P(y) = y - P_K(y)

    (Moreau). Known through K: a member is one with h_K(g) <= 0.
    """

    _parts: ClassVar[tuple[str, ...]] = ("cone",)
    cone: Any

    def __init__(self, cone: Set) -> None:
        self._set(a_cone(cone))

    def _set(self, cone: Set) -> Polar:
        self.cone, self.dim, self.polyhedral = cone, cone.dim, cone.polyhedral
        return self

    @classmethod
    def _raw(cls, cone: Set) -> Polar:
        return Polar.__new__(Polar)._set(cone)

    def _alive(self) -> Any:
        return np.ones(self.cone.batch, bool)[()]

    def _support(self, d: Array) -> Array:
        return np.where(self.cone.contains(unit(d)), 0.0, np.inf)

    def _support_point(self, d: Array) -> Array:
        return np.zeros(np.broadcast_shapes((*self.batch, self.dim), d.shape))

    def _atom(self, d: Array) -> tuple[Array, Array | None]:
        ray = self._project(d)
        return np.zeros_like(d), ray if norm(ray) > 1e-12 * norm(d) else None

    def _face(self, d: Array, eps: Array) -> Set:
        # In the polar of K and orthogonal to d in K: polar to K and to -d.
        from subgrad.calculus.sum import minkowski

        minus = Cone._raw(-d[..., None, :], np.ones(1, bool))
        return Polar._raw(minkowski([self.cone, minus])).restrict(
            self.cone.contains(unit(d))
        )

    def _project(self, y: Array) -> Array:
        return y - self.cone._project(y)

    def _project_jacobian(self, y: Array) -> AnyJacobian:
        return self.cone._project_jacobian(y).complement()

    def _contains(self, z: Array, tol: float) -> Array:
        if isinstance(self.cone, Cone):
            return self.cone._heights(z).max(-1) <= tol * (1 + norm(z))
        return super()._contains(z, tol)

    def _normal_cone(self, x: Array, eps: Array) -> Set:
        # The normal cone of a cone at x is the part of its polar orthogonal to x.
        return self.cone.exposed_face(x)

    def _recession(self) -> Polar:
        return self

    def _cvxpy(self, z: Any, scale: Any) -> list[Any]:
        # h_K(z) <= 0; for generators that is one row each.
        if isinstance(self.cone, Cone):
            G = self.cone.generators[self.cone.active]
            return [G @ z <= 0] if len(G) else []
        return [self.cone._support_cvxpy(z) <= 0]


class NormalCone(Polar):
    r"""The normal cone at 0 of a set D that contains 0: the polar of the cone over D.

    .. math:: N = \{g : h_D(g) \le 0\}

    Membership is that inequality. Where D is curved at 0 the projection, through
    support points, may end in a ProjectionError.
    """

    _parts: ClassVar[tuple[str, ...]] = ("cone", "at")

    def __init__(self, cone: Set, at: Set) -> None:
        self._set(cone)
        self.at = at

    def _contains(self, z: Array, tol: float) -> Array:
        inside = self.at.support(z) <= tol * (1 + norm(z))
        if np.all(inside) or not self.polyhedral:
            return inside
        # Rounding may turn z out of the barrier cone of an unbounded set.
        return inside | super()._contains(z, tol)

    def _normal_cone(self, x: Array, eps: Array) -> Set:
        from subgrad.calculus.compose import _weighted

        # The face is that of D, to the tolerance of membership.
        face = self.at.exposed_face(x, 1e-9 * (1 + norm(x)))
        return _weighted(self.cone.weights, [face])


def a_cone(K: Any) -> Set:
    """K, or an error if 0 or ten times some member is no member."""
    far = 1e3 * np.cos(np.arange(1.0, 1.0 + a_set("cone", K).dim))
    good = np.all(K.nonempty) and np.all(K.contains(0 * far))
    if not good or not all(np.all(K.contains(10 * K._project(d))) for d in (far, -far)):
        raise ValueError(f"cone must be a closed convex cone, got {K!r}")
    return K
