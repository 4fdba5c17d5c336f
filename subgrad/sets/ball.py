"""Balls, products of balls over groups of coordinates, parts of balls in a cone."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from subgrad._budget import spend
from subgrad._check import Array, brief, nonnegative, vector
from subgrad._jacobian import GeneralJacobian, Jacobian
from subgrad.core import Mask, Set, norm, unit
from subgrad.interval import Interval
from subgrad.sets.cone import a_cone

TINY, HUGE = 1e-30, 1e30  # far from the ends of the numbers, also of short ones


class Groups:
    """A partition of n coordinates, given as one label per coordinate."""

    def __init__(self, labels: Any) -> None:
        labels = np.asarray(labels)
        if labels.ndim != 1 or labels.size == 0:
            raise ValueError(f"groups must be a vector of labels, got {labels.shape}")
        _, where = np.unique(labels, return_inverse=True)
        self.labels = where
        self.n, self.count, self.times = where.size, int(where.max()) + 1, 0
        # Groups that follow each other need no reordering.
        self._in_order = bool(np.all(where[1:] >= where[:-1]))

    @classmethod
    def columns(cls, times: int, count: int) -> Groups:
        """The columns of a matrix (times, count), which need no index arrays."""
        new = cls.__new__(cls)
        new.n, new.count, new.times = times * count, count, times
        new._in_order = times == 1
        return new

    @cached_property
    def labels(self) -> Array:
        return np.tile(np.arange(self.count), self.times)

    @cached_property
    def order(self) -> Array:
        """The coordinates, group by group."""
        return np.argsort(self.labels, kind="stable")

    @cached_property
    def starts(self) -> Array:
        """Where the groups begin in that order."""
        return np.searchsorted(self.labels[self.order], np.arange(self.count))

    def total(self, a: Array) -> Array:
        """Sums over the groups: (..., n) -> (..., G)."""
        if self.count == 1:
            return a.sum(-1, keepdims=True)
        if self.times:
            return a.reshape(*a.shape[:-1], self.times, self.count).sum(-2)
        a = a if self._in_order else a[..., self.order]
        return np.add.reduceat(a, self.starts, axis=-1)

    def norm(self, a: Array) -> Array:
        """Euclidean norms of the groups: (..., n) -> (..., G)."""
        if self.count == 1:
            return norm(a)[..., None]
        with np.errstate(over="ignore", under="ignore"):
            if a.ndim == 1 and TINY < a.dot(a) < HUGE:
                return np.sqrt(self.total(a * a))  # none too large, nor all too small
            squares = self.total(a * a)
        top = squares.max(axis=-1)
        safe = float(np.finfo(squares.dtype).max) ** 0.9
        if np.all((top < safe) & (top > 1 / safe)) or not a.any():
            return np.sqrt(squares)
        parts = np.maximum.reduceat(np.abs(a)[..., self.order], self.starts, axis=-1)
        parts = np.where(parts > 0, parts, 1.0)
        return parts * np.sqrt(self.total((a / self.spread(parts)) ** 2))

    def spread(self, a: Array) -> Array:
        """A number per group as a number per coordinate: (..., G) -> (..., n)."""
        if self.count == 1:
            return np.broadcast_to(a, (*a.shape[:-1], self.n))
        if self.times:
            return np.concatenate([a] * self.times, axis=-1)
        return a[..., self.labels]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Groups):
            return False
        if self.times and other.times:
            return (self.times, self.count) == (other.times, other.count)
        return np.array_equal(self.labels, other.labels)

    __hash__ = object.__hash__

    @brief
    def __repr__(self) -> str:
        return np.array2string(self.labels, separator=", ")


class GroupBall(Set):
    r"""{c + u : |u_g| <= r_g for every group g}, and, in every group, u in a sub-cone.

    .. math:: h(d) = \langle c, d \rangle + \sum_g r_g |P_K(d)_g|

    K is a product of {0}, [0, ∞), (-∞, 0] and R, one per coordinate (R unless said):
    for a cone K the projection on the intersection with a ball is the projection on K
    and then on the ball, and sup{<u, d> : u in K, |u| <= r} = r |P_K(d)| (Moreau).
    Faces, and the intersections with orthants of centred balls, stay in the class.
    A radius below zero means empty.
    """

    _arrays: ClassVar = Set._arrays | {"center": 1, "radius": 1, "_low": 1, "_up": 1}

    def __init__(self, center: Any, radius: Any, groups: Any) -> None:
        groups = groups if isinstance(groups, Groups) else Groups(groups)
        center = vector("center", center, groups.n)
        radius = nonnegative("radius", radius)
        if groups.count == 1:
            radius = radius[..., None]
        elif radius.ndim and radius.shape[-1] != groups.count:
            raise ValueError(
                f"radius must have shape (..., {groups.count}), got {radius.shape}"
            )
        shape = np.broadcast_shapes(radius.shape, (groups.count,))
        radius = np.broadcast_to(radius, shape)
        try:
            np.broadcast_shapes(center.shape[:-1], radius.shape[:-1])
        except ValueError:
            raise ValueError(
                f"radius of batch {radius.shape[:-1]} does not fit a center of batch "
                f"{center.shape[:-1]}"
            ) from None
        self._set(center, radius, groups, np.full(1, -np.inf), np.full(1, np.inf))

    @classmethod
    def _from(cls, center: Array, radius: Array, groups: Groups) -> GroupBall:
        ends = np.full(1, -np.inf), np.full(1, np.inf)
        return GroupBall.__new__(GroupBall)._set(center, radius, groups, *ends)

    def _set(
        self, center: Array, radius: Array, groups: Groups, low: Array, up: Array
    ) -> GroupBall:
        self.center, self.radius, self.groups = center, radius, groups
        self._low, self._up, self.dim = low, up, groups.n
        return self

    def _like(self, center: Array, radius: Array, low: Array, up: Array) -> GroupBall:
        new = type(self).__new__(type(self))
        return new._set(center, radius, self.groups, low, up)

    def _key(self) -> tuple[Any, ...]:
        return (self.groups,)

    def _alive(self) -> Any:
        return np.all(self.radius >= 0, axis=-1)

    def _cone(self, d: Array) -> Array:
        if self.is_round:
            return d
        return np.minimum(np.maximum(d, self._low), self._up)

    def _support(self, d: Array) -> Array:
        size = self.groups.norm(self._cone(d))
        return np.vecdot(self.center, d) + (self.radius * size).sum(-1)

    def _direction(self, d: Array) -> tuple[Array, Array]:
        """P_K(d) with its groups scaled to length one, and where a group has any."""
        v = self._cone(d)
        size = self.groups.norm(v)
        return v / self.groups.spread(np.where(size > 0, size, 1.0)), size

    def _support_point(self, d: Array) -> Array:
        return self.center + self.groups.spread(self.radius) * self._direction(d)[0]

    def _face(self, d: Array, eps: Array) -> GroupBall:
        u, size = self._direction(d)
        rad = self.radius
        if np.any(eps):
            # Inside {<s, d> >= h - e_g}: the ball of radius e_g / (2 |d_g|) touching
            # the support point from within. With a cone, only the support point itself.
            share = spend(eps, self._costs(d))
            free = np.isinf(self._low) & np.isinf(self._up)
            free = self.groups.total(np.where(free, 0.0, 1.0) + 0 * d) == 0
            keep = np.where(free, share / (2 * np.where(size > 0, size, 1.0)), 0.0)
        else:
            keep = np.zeros(())
        left = np.where(size > 0, np.minimum(rad, keep), rad)
        center = self.center + self.groups.spread(np.where(size > 0, rad - left, 0)) * u
        # Where P_K(d) = 0, d is in the polar of K and the face is K cut by d = 0.
        shut = (d != 0) & ~self.groups.spread(size > 0)
        low, up = np.where(shut, 0.0, self._low), np.where(shut, 0.0, self._up)
        return self._like(center, left, low, up)

    def _costs(self, d: Array) -> Array:
        return 2 * self.radius * self.groups.norm(d)

    def _project(self, y: Array) -> Array:
        away = y - self.center
        u = self._cone(away)
        size = self.groups.norm(u)
        shrink = np.minimum(1.0, self.radius / np.where(size > 0, size, 1.0))
        shrink = self.groups.spread(shrink)
        p = self.center + shrink * u
        # A member is its own projection, without rounding.
        still = shrink == 1
        return np.where(still if u is away else still & (u == away), y, p)

    def _gauge(self, z: Array) -> Any:
        if np.any(self.center) or not self.is_round:
            return super()._gauge(z)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = self.groups.norm(z) / self.radius
        return np.max(np.where(np.isnan(t), 0.0, t), axis=-1)

    def _project_jacobian(self, y: Array) -> Jacobian:
        r"""r / |v| (I - v vᵀ / |v|²) in a group with |v| > r, v = P_K(y - c)."""
        v, size = self._direction(y - self.center)
        out = (size > self.radius) | (self.radius == 0)
        shrink = np.where(out, self.radius / np.where(size > 0, size, 1.0), 1.0)
        d = self.groups.spread(shrink)
        if not self.is_round:
            d = d * ((self._low < y - self.center) & (y - self.center < self._up))
        labels = None if self.groups.count == 1 else self.groups.labels
        return Jacobian(d, v, np.where(out, 0.0, 1.0), labels)

    @property
    def is_round(self) -> bool:
        """Whether the sub-cone is the whole space."""
        if self._low.size == 1 == self._up.size:
            return bool(self._low.item() == -np.inf == -self._up.item())
        return bool(np.all(np.isinf(self._low) & np.isinf(self._up)))

    def _interior(self, z: Array) -> Any:
        free = np.isinf(self._low) & np.isinf(self._up)
        size = self.groups.norm(z - self.center)
        inside = np.all((size < self.radius) | ((self.radius == 0) & (size == 0)), -1)
        return inside & np.all(free, -1)

    def _box(self) -> Interval:
        r = self.groups.spread(self.radius)
        up = self.center + np.where(self._up > 0, r, 0.0)
        return Interval._raw(self.center - np.where(self._low < 0, r, 0.0), up)

    def _ray(self, x: Array) -> tuple[Array, Array]:
        """x - c, and the groups on whose sphere x lies."""
        u = x - self.center
        size = self.groups.norm(u)
        on = (self.radius == 0) | (size >= self.radius * (1 - 1e-12))
        return u, on

    def _normal_cone(self, x: Array, eps: Array) -> Set:
        from subgrad.sets.box import Box
        from subgrad.sets.cone import Cone

        if not self.is_round:
            return super()._normal_cone(x, eps)
        u, on = self._ray(x)
        member = self.groups.labels == np.arange(self.groups.count)[:, None]
        rays = Cone._raw(np.where(member, u[..., None, :], 0.0), on)
        flat = self.groups.spread(self.radius == 0)
        line = Box._raw(np.where(flat, -np.inf, 0.0), np.where(flat, np.inf, 0.0))
        return rays + line

    def _feasible(self, x: Array, d: Array) -> Any:
        if not self.is_round:
            return super()._feasible(x, d)
        u, on = self._ray(x)
        still = self.groups.norm(d) == 0
        inward = (self.groups.total(u * d) < 0) & (self.radius > 0)
        return np.all(~on | still | inward, axis=-1)

    def _part(self, low: Mask, high: Mask) -> GroupBall:
        r = self.groups.spread(self.radius)
        if np.any((low | high) & (r > 0) & (self.center != 0)):
            raise NotImplementedError(
                "the part of a ball in an orthant, off its centre"
            )
        out = (low & (self.center < 0)) | (high & (self.center > 0))
        radius = np.where(np.any(out, -1)[..., None], -1.0, self.radius)
        low_, up = np.where(low, 0.0, self._low), np.where(high, 0.0, self._up)
        flat = r == 0  # a point stays a point, whatever the cone
        low_, up = np.where(flat, -np.inf, low_), np.where(flat, np.inf, up)
        return self._like(self.center, radius, low_, up)

    def _cvxpy(self, z: Any, scale: Any) -> list[Any]:
        import cvxpy as cp

        sides = []
        for g in range(self.groups.count):
            i = np.flatnonzero(self.groups.labels == g)
            sides.append(
                cp.norm2(z[i] - scale * self.center[i]) <= scale * self.radius[g]
            )
        low = np.flatnonzero(np.broadcast_to(self._low == 0, self.dim))
        up = np.flatnonzero(np.broadcast_to(self._up == 0, self.dim))
        if low.size:
            sides.append(z[low] >= scale * self.center[low])
        if up.size:
            sides.append(z[up] <= scale * self.center[up])
        return sides

    def _support_cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        if not self.is_round:
            return super()._support_cvxpy(x)
        where = [
            np.flatnonzero(self.groups.labels == g) for g in range(len(self.radius))
        ]
        norms = [r * cp.norm2(x[i]) for r, i in zip(self.radius, where, strict=True)]
        return self.center @ x + sum(norms)

    @brief
    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.center}, {self.radius}, {self.groups})"


class Ball(GroupBall):
    r"""{s : |s - c| <= r}, with h(d) = <c, d> + r |d|.

    center (..., n), radius (...).
    """

    def __init__(self, center: Any, radius: Any = 1.0) -> None:
        center = vector("center", center, None)
        super().__init__(center, radius, np.zeros(center.shape[-1], int))

    @brief
    def __repr__(self) -> str:
        return f"Ball({self.center}, {self.radius[..., 0]})"


class ConeBall(Set):
    r"""{c + u : u in K, |u| <= r} of a closed convex cone K.

    .. math:: h(d) = \langle c, d \rangle + r |P_K(d)|

    P_{K ∩ B} = P_B ∘ P_K for a cone, and sup{<u, d> : u in K, |u| <= 1} = |P_K(d)|
    (Moreau's decomposition). center (..., n), radius (...).
    """

    _arrays: ClassVar = Set._arrays | {"center": 1, "radius": 0}
    _parts: ClassVar = ("cone",)

    def __init__(self, center: Any, radius: Any, cone: Set) -> None:
        a_cone(cone)
        center = vector("center", center, cone.dim)
        self._set(center, nonnegative("radius", radius), cone)

    def _set(self, center: Array, radius: Array, cone: Set) -> ConeBall:
        np.broadcast_shapes(center.shape[:-1], radius.shape, cone.batch)
        self.center, self.radius, self.cone, self.dim = center, radius, cone, cone.dim
        return self

    @classmethod
    def _raw(cls, center: Array, radius: Array, cone: Set) -> ConeBall:
        return ConeBall.__new__(ConeBall)._set(center, radius, cone)

    def _support(self, d: Array) -> Array:
        return np.vecdot(self.center, d) + self.radius * norm(self.cone._project(d))

    def _support_point(self, d: Array) -> Array:
        return self.center + self.radius[..., None] * unit(self.cone._project(d))

    def _face(self, d: Array, eps: Array) -> ConeBall:
        v = self.cone._project(d)
        up = norm(v) > 1e-12 * norm(d)
        center = self.center + np.where(up, self.radius, 0)[..., None] * unit(v)
        cone = self.cone.exposed_face(np.where(up[..., None], 0.0, d))
        return ConeBall._raw(center, np.where(up, 0.0, self.radius), cone)

    def _project(self, y: Array) -> Array:
        u = self.cone._project(y - self.center)
        size = norm(u)
        shrink = np.minimum(1.0, self.radius / np.where(size > 0, size, 1.0))
        return self.center + shrink[..., None] * u

    def _project_jacobian(self, y: Array) -> Any:
        r"""J of the cone inside, r / |u| (J - u uᵀ / |u|²) off the ball: J u = u."""
        away = y - self.center
        J, u = self.cone._project_jacobian(away), self.cone._project(away)
        size = float(norm(u))
        if self.radius == 0:
            return Jacobian(np.zeros(self.dim))
        if size <= self.radius:
            return J
        shrink, w = float(self.radius) / size, u / size
        return GeneralJacobian(lambda x: shrink * (J.apply(x) - w * (w @ x)), self.dim)

    def _cvxpy(self, z: Any, scale: Any) -> list[Any]:
        import cvxpy as cp

        u = z - scale * self.center
        return [cp.norm2(u) <= scale * self.radius, *self.cone.to_cvxpy(u)]
