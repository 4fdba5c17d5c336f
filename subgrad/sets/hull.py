"""Polytopes given by points: the convex hull, and the cross-polytope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from subgrad._check import Array, count, positive, real
from subgrad._jacobian import AnyJacobian, Jacobian, of_polyhedron
from subgrad.core import Mask, Set, norm
from subgrad.interval import Interval

if TYPE_CHECKING:
    from subgrad.sets.cone import Cone


class Hull(Set):
    r"""conv{p_1, ..., p_m}, with h(d) = max_i <p_i, d>.

    points (..., m, n); `active` (..., m) says which of them count, by default all.
    """

    _arrays: ClassVar = Set._arrays | {"points": 2, "active": 1}
    polyhedral = True

    def __init__(self, points: Any) -> None:
        points = real("points", points)
        if points.ndim < 2 or 0 in points.shape:
            raise ValueError(f"points must have shape (..., m, n), got {points.shape}")
        self._set(points, np.ones(points.shape[-2], bool))

    def _set(self, points: Array, active: Mask) -> Hull:
        self.points, self.active, self.dim = points, active, points.shape[-1]
        return self

    @classmethod
    def _raw(cls, points: Array, active: Mask) -> Hull:
        return Hull.__new__(Hull)._set(points, active)

    def _alive(self) -> Any:
        return np.any(self.active, axis=-1)

    def _heights(self, d: Array) -> Array:
        if self.points.ndim == 2:
            heights = d @ self.points.T
        else:
            heights = np.matvec(self.points, d)
        if np.all(self.active):
            return heights
        return np.where(self.active, heights, -np.inf)

    def _support(self, d: Array) -> Array:
        return self._heights(d).max(-1)

    def _support_point(self, d: Array) -> Array:
        best = np.argmax(self._heights(d), axis=-1)
        if self.points.ndim == 2:
            return self.points[best]
        points = np.broadcast_to(self.points, (*best.shape, *self.points.shape[-2:]))
        return np.take_along_axis(points, best[..., None, None], -2)[..., 0, :]

    def _face(self, d: Array, eps: Array) -> Hull:
        v = self._heights(d)
        return Hull._raw(self.points, v >= (v.max(-1) - eps)[..., None])

    def _project(self, y: Array) -> Array:
        from subgrad.sets.nearest import nearest

        def one(S: Hull, v: Array) -> Array:
            points = S._corners()[0]
            p = nearest(None, v, vertices=points)
            # From very far p is within the rounding of y, not of the points.
            far = norm(v - p) > 1e4 * (1 + np.abs(points).max())
            return nearest(None, p, vertices=points) if far else p

        return self._each(y, one)

    def _project_jacobian(self, y: Array) -> AnyJacobian:
        return of_polyhedron(self._corners(), y, self._project(y))

    def _corners(self) -> Any:
        return self.points[self.active], np.zeros((0, self.dim))

    def _box(self) -> Interval:
        on = self.active[..., None]
        low = np.where(on, self.points, np.inf).min(-2)
        return Interval._raw(low, np.where(on, self.points, -np.inf).max(-2))

    def _normal_cone(self, x: Array, eps: Array) -> Set:
        from subgrad.sets.cone import Polar

        rays = np.zeros((0, self.dim))
        return Polar._raw(cone_over(self.points, rays, x, self.active))

    def _part(self, low: Mask, high: Mask) -> Hull:
        p = self.points
        out = (low[..., None, :] & (p < 0)) | (high[..., None, :] & (p > 0))
        if np.any(out & self.active[..., None]):
            raise NotImplementedError(
                "the part of a Hull in an orthant: the outer function of a composition "
                "must be nondecreasing in every argument that is not affine"
            )
        return self

    def _cvxpy(self, z: Any, scale: Any) -> list[Any]:
        import cvxpy as cp

        points = self.points[self.active]
        w = cp.Variable(len(points), nonneg=True)
        return [z == points.T @ w, cp.sum(w) == scale]

    def _support_cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        return cp.max(self.points[self.active] @ x)


def cone_over(points: Array, rays: Array, x: Array, active: Any = True) -> Cone:
    """The cone of all p - x, p one of the active points, and of the rays."""
    from subgrad.sets.cone import Cone

    away = points - x[..., None, :]
    # The difference of a vertex from itself is rounding, not a direction.
    size = norm(x)[..., None] + norm(points).max(-1, keepdims=True)
    far = norm(away) > 1e-14 * size
    lead = away.shape[:-2]
    rays = np.broadcast_to(rays, (*lead, *rays.shape))
    on = np.concatenate([far & active, np.ones(rays.shape[:-1], bool)], -1)
    return Cone._raw(np.concatenate([away, rays], -2), on)


class CrossPolytope(Set):
    r"""{s : |s|_1 <= r} in R^n, with h(d) = r max_i |d_i|, and its faces.

    The vertices r e_i where `plus`, -r e_i where `minus`, and 0 where `zero`: a face
    keeps some of them, and so does the intersection with an orthant.
    """

    _arrays: ClassVar = Set._arrays | {"radius": 0, "plus": 1, "minus": 1, "zero": 0}
    polyhedral = True

    def __init__(self, n: int, radius: Any = 1.0) -> None:
        every = np.ones(count(n), bool)
        self._set(positive("radius", radius), every, every, np.True_)

    def _set(self, radius: Array, plus: Mask, minus: Mask, zero: Any) -> CrossPolytope:
        self.radius, self.plus, self.minus, self.zero = radius, plus, minus, zero
        self.dim = plus.shape[-1]
        return self

    def _like(self, plus: Mask, minus: Mask, zero: Any) -> CrossPolytope:
        new = CrossPolytope.__new__(CrossPolytope)
        return new._set(self.radius, plus, minus, zero)

    def _alive(self) -> Any:
        return np.any(self.plus | self.minus, -1) | self.zero

    def _heights(self, d: Array) -> Array:
        up = np.where(self.plus, d, -np.inf)
        return np.maximum(up, np.where(self.minus, -d, -np.inf))

    def _top(self, v: Array) -> Array:
        return np.maximum(v.max(-1), np.where(self.zero, 0.0, -np.inf))

    def _support(self, d: Array) -> Array:
        return self.radius * self._top(self._heights(d))

    def _support_point(self, d: Array) -> Array:
        d = np.broadcast_to(d, np.broadcast_shapes(d.shape, (*self.batch, self.dim)))
        v = self._heights(d)
        i = np.argmax(v, axis=-1)[..., None]
        chosen = np.take_along_axis(np.broadcast_to(d, v.shape), i, -1)
        up = np.take_along_axis(np.broadcast_to(self.plus, v.shape), i, -1)
        down = np.take_along_axis(np.broadcast_to(self.minus, v.shape), i, -1)
        size = (
            np.where(up & (~down | (chosen >= 0)), 1.0, -1.0) * self.radius[..., None]
        )
        at_zero = np.asarray(self.zero)[..., None] & (v.max(-1, keepdims=True) <= 0)
        s = np.zeros(np.broadcast_shapes(v.shape, size.shape))
        np.put_along_axis(s, i, np.where(at_zero, 0.0, size), -1)
        return s

    def _face(self, d: Array, eps: Array) -> CrossPolytope:
        level = self._top(self._heights(d)) - eps / self.radius
        plus = self.plus & (d >= level[..., None])
        return self._like(
            plus, self.minus & (-d >= level[..., None]), self.zero & (level <= 0)
        )

    def _project(self, y: Array) -> Array:
        """Soft threshold towards the allowed signs, down to the radius.

        With 0 among the members a smaller sum is allowed, so the threshold is >= 0.
        """
        y = np.broadcast_to(y, np.broadcast_shapes(y.shape, (*self.batch, self.dim)))
        sign = np.where(self.plus & (~self.minus | (y >= 0)), 1.0, -1.0)
        any_ = self.plus | self.minus
        v = np.where(any_, sign * y, -np.inf)
        r = self.radius[..., None]
        top = -np.sort(-v, axis=-1)
        count = np.arange(1, self.dim + 1)
        total = np.cumsum(np.where(np.isinf(top), 0.0, top), -1)
        keep = np.maximum(
            ((top - (total - r) / count > 0) & ~np.isinf(top)).sum(-1, keepdims=True), 1
        )
        theta = (np.take_along_axis(total, keep - 1, -1) - r) / keep
        loose = np.any(self.plus & self.minus, -1) | self.zero
        theta = np.where(np.asarray(loose)[..., None], np.maximum(theta, 0.0), theta)
        size = np.where(any_, np.maximum(np.where(any_, v, 0.0) - theta, 0.0), 0.0)
        return sign * size

    def _project_jacobian(self, y: Array) -> Jacobian:
        """Of entries that stay, all move by one number where the sum is at its end."""
        p = self._project(y)
        moves = p != 0
        sign = np.where(y < 0, -1.0, 1.0)
        allowed = np.where(sign > 0, self.plus, self.minus)
        loose = np.any(self.plus & self.minus, -1) | self.zero
        inside = loose & (np.where(allowed, np.abs(y), 0.0).sum(-1) <= self.radius)
        if inside.all():
            return Jacobian(allowed * 1.0)
        count = np.maximum(np.count_nonzero(moves, axis=-1, keepdims=True), 1)
        d = np.where(inside[..., None], allowed, moves)
        u = np.where(inside[..., None], 0.0, np.sign(p) / np.sqrt(count))
        return Jacobian(d * 1.0, u, 0.0)

    def _gauge(self, z: Array) -> Any:
        if not np.all(self.plus & self.minus):
            return super()._gauge(z)
        return np.abs(z).sum(-1) / self.radius

    def _interior(self, z: Array) -> Any:
        whole = np.all(self.plus & self.minus, -1)
        return whole & (np.abs(z).sum(-1) < self.radius)

    def _box(self) -> Interval:
        r = self.radius[..., None]
        # The other vertices have a zero there.
        only = (self.plus | self.minus).sum(-1, keepdims=True) == 1
        alone = only & ~np.asarray(self.zero)[..., None]
        up = np.where(self.plus, r, np.where(alone & self.minus, -r, 0.0))
        low = np.where(self.minus, -r, np.where(alone & self.plus, r, 0.0))
        return Interval._raw(low, up)

    def _symmetries(self) -> tuple[Mask, Mask, Mask]:
        up, down = self.plus, self.minus
        same = (up == np.roll(up, -1, -1)) & (down == np.roll(down, -1, -1))
        return same, up == down, ~(up | down)

    def _corners(self) -> Any:
        eye = self.radius * np.eye(self.dim)
        zero = np.zeros((int(np.any(self.zero)), self.dim))
        points = np.concatenate([eye[self.plus], -eye[self.minus], zero])
        return points, np.zeros((0, self.dim))

    def _normal_cone(self, x: Array, eps: Array) -> Set:
        eye, n = np.eye(self.dim), self.dim
        if np.all(self.plus & self.minus):
            return self._whole_normal_cone(x)
        r = self.radius[..., None, None]
        points = np.concatenate([r * eye, -r * eye, 0 * r * eye[:1]], axis=-2)
        zero = np.asarray(self.zero)[..., None]
        lead = np.broadcast_shapes(self.plus.shape[:-1], zero.shape[:-1])
        masks = [
            np.broadcast_to(m, (*lead, k))
            for m, k in ((self.plus, n), (self.minus, n), (zero, 1))
        ]
        return Hull._raw(points, np.concatenate(masks, -1))._normal_cone(x, eps)

    def _whole_normal_cone(self, x: Array) -> Set:
        """The polar of all p - q, p a vertex and q one of the face that x is inside of.

        One q is enough for all p; the others give lines. As x itself does not occur,
        the generators carry no rounding.
        """
        from subgrad.sets.cone import Cone, Polar

        eye, size, r = np.eye(self.dim), np.abs(x), self.radius[..., None]
        on = size.sum(-1, keepdims=True) >= r * (1 - 1e-12)
        top = np.argmax(size, axis=-1)[..., None]
        sign = np.where(x < 0, -1.0, 1.0)
        first = np.where(np.arange(self.dim) == top, sign, 0.0)[..., None, :]
        first = np.where(on[..., None], first, 0.0)
        others = on & (size > 1e-14 * r)
        G = [eye - first, -eye - first, first - sign[..., None] * eye]
        active = [np.broadcast_to(np.any(g, -1), g.shape[:-1]) for g in G]
        active[2] = active[2] & others
        shape = np.broadcast_shapes(*(g.shape for g in G))
        G = [np.broadcast_to(g, shape) for g in G]
        active = [np.broadcast_to(a, shape[:-1]) for a in active]
        return Polar._raw(Cone._raw(np.concatenate(G, -2), np.concatenate(active, -1)))

    def _part(self, low: Mask, high: Mask) -> CrossPolytope:
        zero = self.zero | np.any(self.plus & self.minus, axis=-1)
        return self._like(self.plus & ~high, self.minus & ~low, zero)

    def _cvxpy(self, z: Any, scale: Any) -> list[Any]:
        import cvxpy as cp

        p, q = cp.Variable(self.dim, nonneg=True), cp.Variable(self.dim, nonneg=True)
        sides = [z == p - q]
        for v, on in ((p, self.plus), (q, self.minus)):
            off = np.flatnonzero(~on)
            sides += [v[off] == 0] if off.size else []
        total = cp.sum(p) + cp.sum(q)
        loose = bool(np.any(self.plus & self.minus) | self.zero)
        bound = scale * float(self.radius)
        return [*sides, total <= bound if loose else total == bound]
