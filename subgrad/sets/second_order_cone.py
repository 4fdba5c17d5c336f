"""The second-order cone."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from subgrad._check import Array, count
from subgrad._jacobian import LowRank
from subgrad.core import Mask, Set, norm
from subgrad.interval import Interval

_TOL = 1e-9


class SecondOrderCone(Set):
    r"""K = {(x, t) : |x| <= t} in R^n: x the first n - 1 coordinates, t the last.

    .. math:: h(x, t) = 0 \text{ if } |x| \le -t, \ +\infty \text{ otherwise}; \qquad
       P(x, t) = \tfrac{|x| + t}{2} (x / |x|, 1) \text{ where } |x| > |t|

    The polar of K is -K. A face is K itself, a half-line or {0}, and stays in the
    class. Directions within 1e-9 |d| of the polar count as in it. In cvxpy it is
    cp.SOC(t, x).
    """

    _arrays: ClassVar = Set._arrays | {"_whole": 0, "_half_line": 0, "_along": 1}

    def __init__(self, n: int) -> None:
        along = np.zeros(count(n))
        along[-1] = 1.0
        self._set(np.True_, np.False_, along)

    def _set(self, whole: Any, half_line: Any, along: Array) -> SecondOrderCone:
        self._whole, self._half_line, self._along = whole, half_line, along
        self.dim = along.shape[-1]
        self.polyhedral = self.dim <= 2
        return self

    @property
    def _ray(self) -> Array:
        """The unit vector along the half-line, 0 for {0}; nothing where K is whole."""
        return np.where(np.asarray(self._half_line)[..., None], self._along, 0.0)

    def _excess(self, z: Array) -> tuple[Array, Array]:
        """|x| and |x| - t."""
        size = norm(z[..., :-1]) if self.dim > 1 else np.zeros_like(z[..., 0])
        return size, size - z[..., -1]

    def _support(self, d: Array) -> Array:
        rise = np.where(self._whole, self._excess(-d)[1], np.vecdot(self._ray, d))
        # -d in K reads |x| - t <= 0.
        return np.where(rise <= _TOL * norm(d), 0.0, np.inf)

    def _support_point(self, d: Array) -> Array:
        return np.zeros(np.broadcast_shapes((*self.batch, self.dim), d.shape))

    def _atom(self, d: Array) -> tuple[Array, Array | None]:
        ray = self._project(d)
        return np.zeros_like(d), ray if norm(ray) > 1e-12 * norm(d) else None

    def _face(self, d: Array, eps: Array) -> SecondOrderCone:
        size, rise = self._excess(-d)
        tol, zero = _TOL * norm(d), np.all(d == 0, -1)
        # On the boundary of the polar: the half-line through (x / |x|, 1).
        edge = ~zero & (size > 0) & (rise >= -tol)
        along = d / np.where(size > 0, size, 1.0)[..., None]
        along[..., -1] = 1.0
        along = along / norm(along)[..., None]
        low = np.vecdot(self._ray, d)
        kept = self._half_line & (low >= -tol)
        new = SecondOrderCone.__new__(SecondOrderCone)
        whole = np.asarray(self._whole)
        new._set(
            whole & zero,
            np.where(whole, edge, kept),
            np.where(whole[..., None], along, self._along),
        )
        return new.restrict(np.isfinite(self._support(d)))

    def _project(self, y: Array) -> Array:
        size, excess = self._excess(y)
        t = y[..., -1]
        height = np.maximum(0.5 * size + 0.5 * t, 0.0)
        p = y * (height / np.where(size > 0, size, 1.0))[..., None]
        p[..., -1] = height
        p = np.where((excess <= 0)[..., None], y, p)
        ray = self._ray
        on = np.maximum(np.vecdot(ray, y), 0.0)[..., None] * ray
        return np.where(np.asarray(self._whole)[..., None], p, on)

    def _project_jacobian(self, y: Array) -> LowRank:
        r"""Where |x| > |t|: 1 and 0 along (x / |x|, ±1), (1 + t / |x|) / 2 across."""
        n, none = self.dim, np.zeros((self.dim, 0))
        if not self._whole:
            ray = self._ray
            return LowRank(np.zeros(n), ray[:, None], [1.0 if ray @ y > 0 else 0.0])
        size, excess = self._excess(y)
        if excess <= 0 or size <= -y[-1]:
            return LowRank(np.full(n, 1.0 if excess <= 0 else 0.0), none, [])
        d = 0.5 + 0.5 * y[-1] / size
        u = np.append(y[:-1] / size, 1.0) / np.sqrt(2)
        V = np.stack([u, u], -1)
        V[-1, 1] = -u[-1]
        return LowRank(np.full(n, d), V, [1 - d, -d])

    def _interior(self, z: Array) -> Any:
        inside = self._excess(z)[1] < 0
        zero = np.all(z == 0, -1)
        on = self._contains(z, _TOL) & ~zero
        return np.where(self._whole, inside, np.where(self._half_line, on, zero))

    def _box(self) -> Interval:
        ray, whole = self._ray, np.asarray(self._whole)[..., None]
        free = whole & (np.arange(self.dim) < self.dim - 1)
        low = np.where(free | (ray < 0), -np.inf, 0.0)
        return Interval._raw(low, np.where(whole | (ray > 0), np.inf, 0.0))

    def _corners(self) -> Any:
        if self._whole:
            return None
        return np.zeros((1, self.dim)), self._ray[None][: int(self._half_line)]

    def _normal_cone(self, x: Array, eps: Array) -> Set:
        # The part of the polar orthogonal to x.
        if np.all(self._whole):
            return -self.exposed_face(-x)
        return super()._normal_cone(x, eps)

    def _feasible(self, x: Array, d: Array) -> Mask:
        if not np.all(self._whole):
            return super()._feasible(x, d)
        size, excess = self._excess(x)
        at_zero = np.all(x == 0, -1)
        u = x[..., :-1] / np.where(size > 0, size, 1.0)[..., None]
        turn = np.vecdot(u, d[..., :-1])
        off = d[..., :-1] - turn[..., None] * u
        tol = 1e-12 * norm(d)
        # Along the surface only on its half-line.
        across = norm(off) if self.dim > 1 else np.zeros_like(turn)
        slope = turn - d[..., -1]
        ahead = (slope < -tol) | ((slope <= tol) & (across <= tol))
        below = excess < -1e-12 * norm(x)
        return np.where(at_zero, self._excess(d)[1] <= tol, below | ahead)

    def _recession(self) -> SecondOrderCone:
        return self

    def _cvxpy(self, z: Any, scale: Any) -> list[Any]:
        import cvxpy as cp

        if not self._whole:
            w = cp.Variable(nonneg=True)
            return [z == w * self._ray]
        return [cp.SOC(z[-1], z[:-1])] if self.dim > 1 else [z[0] >= 0]

    def __repr__(self) -> str:
        if np.all(self._whole):
            return f"SecondOrderCone({self.dim})"
        return f"SecondOrderCone({self.dim}, whole={self._whole}, along={self._ray})"
