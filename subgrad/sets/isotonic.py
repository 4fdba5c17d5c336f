"""The cone of monotone vectors."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from subgrad._check import Array, count
from subgrad._jacobian import Jacobian, of_pools
from subgrad.core import Mask, Set, norm
from subgrad.interval import Interval
from subgrad.sets._pav import EQUAL, FREE, ORDER, averages, pools


class IsotonicCone(Set):
    r"""{x : x_1 <= ... <= x_n}, or with `increasing=False` {x : x_1 >= ... >= x_n}.

    .. math:: h(d) = 0 \text{ if } \sum_i d_i = 0 \text{ and } \sum_{i \ge k} d_i \le 0
       \text{ for all } k, \quad +\infty \text{ otherwise}

    The projection is isotonic regression. A face turns some of the inequalities into
    equalities (`tied`), a tangent cone drops some (`free`), (..., n - 1) both.
    """

    _arrays: ClassVar = Set._arrays | {"tied": 1, "free": 1}
    polyhedral = True

    def __init__(self, n: int, *, increasing: bool = True) -> None:
        none = np.zeros(count(n) - 1, bool)
        self._set(none, none, bool(increasing))

    def _set(self, tied: Mask, free: Mask, increasing: bool) -> IsotonicCone:
        self.tied, self.free, self.increasing = tied, free, increasing
        self.dim = tied.shape[-1] + 1
        return self

    def _like(self, tied: Mask, free: Mask) -> IsotonicCone:
        return IsotonicCone.__new__(IsotonicCone)._set(tied, free, self.increasing)

    def _key(self) -> tuple[Any, ...]:
        return (self.increasing,)

    def _falling(self, x: Array) -> Array:
        """x, or -x: the cone as that of vectors that fall."""
        return -x if self.increasing else x

    def _support(self, d: Array) -> Array:
        return np.where(norm(self._project(d)) <= 1e-9 * norm(d), 0.0, np.inf)

    def _support_point(self, d: Array) -> Array:
        return np.zeros(np.broadcast_shapes((*self.batch, self.dim), d.shape))

    def _atom(self, d: Array) -> tuple[Array, Array | None]:
        ray = self._project(d)
        return np.zeros_like(d), ray if norm(ray) > 1e-12 * norm(d) else None

    def _face(self, d: Array, eps: Array) -> IsotonicCone:
        # A step down after i pays the sum of d up to i, at most 0.
        paid = np.cumsum(self._falling(d), axis=-1)[..., :-1]
        size = norm(d)
        tied = self.tied | (~self.free & (paid < -1e-9 * size[..., None]))
        inside = norm(self._project(d)) <= 1e-9 * size
        return self._like(tied, self.free).restrict(inside)

    def _pooled(self, y: Array) -> tuple[Array, Array]:
        """The falling entries in one row, and the starts of their pools."""
        shape = np.broadcast_shapes(y.shape, (*self.batch, self.dim))
        link = np.full(shape, FREE)
        link[..., 1:] = np.where(self.tied, EQUAL, np.where(self.free, FREE, ORDER))
        a = self._falling(np.broadcast_to(y, shape)).reshape(-1)
        return a, pools(a, link.reshape(-1))

    def _project_jacobian(self, y: Array) -> Jacobian:
        starts = self._pooled(y)[1]
        u, labels = of_pools(starts, np.arange(self.dim))
        return Jacobian(np.zeros(self.dim), u, np.ones(len(starts)), labels)

    def _project(self, y: Array) -> Array:
        shape = np.broadcast_shapes(y.shape, (*self.batch, self.dim))
        a, starts = self._pooled(y)
        x = averages(a, starts)
        return self._falling(x.reshape(shape))

    def _box(self) -> Interval:
        whole = np.full((*self.batch, self.dim), np.inf)
        return Interval._raw(-whole, whole)

    def _corners(self) -> Any:
        n = self.dim
        if n > 500:
            return None
        steps = self._falling(np.tri(n)[:-1])
        steps = steps - steps.mean(-1, keepdims=True)
        rays = [np.ones((1, n)), -np.ones((1, n)), steps[~self.tied], -steps[self.free]]
        return np.zeros((1, n)), np.concatenate(rays)

    def _interior(self, z: Array) -> Any:
        step = np.diff(self._falling(z), axis=-1)
        return np.all(np.where(self.tied, step == 0, self.free | (step < 0)), axis=-1)

    def _normal_cone(self, x: Array, eps: Array) -> Set:
        from subgrad.sets.cone import Polar

        # The polar of the tangent cone.
        down = np.diff(self._falling(x), axis=-1) < 0
        return Polar._raw(self._like(self.tied, self.free | down))

    def _recession(self) -> IsotonicCone:
        return self

    def _cvxpy(self, z: Any, scale: Any) -> list[Any]:
        import cvxpy as cp

        if self.dim == 1:
            return []
        step = self._falling(cp.diff(z))
        equal, order = (
            np.flatnonzero(self.tied),
            np.flatnonzero(~self.tied & ~self.free),
        )
        sides = [step[equal] == 0] if equal.size else []
        return sides + ([step[order] <= 0] if order.size else [])

    def __repr__(self) -> str:
        shown = f"IsotonicCone({self.dim}, increasing={self.increasing}"
        if np.any(self.tied) or np.any(self.free):
            shown += f", tied={self.tied}, free={self.free}"
        return shown + ")"
