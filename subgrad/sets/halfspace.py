"""Half-spaces, and the hyperplanes and slabs that are their faces and translates."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from subgrad._check import Array, real, vector
from subgrad._jacobian import Jacobian
from subgrad.core import Set, norm
from subgrad.interval import Interval


class HalfSpace(Set):
    r"""{s : lower <= <a, s> <= upper}; a half-space when lower is -inf (the default).

    .. math:: h(d) = \lambda u \ (\lambda \ge 0),\ \lambda l \ (\lambda \le 0)
       \quad\text{if } d = \lambda a, \quad +\infty \text{ otherwise}

    Equal ends make a hyperplane. With a = 0 it is R^n or empty.
    """

    _arrays: ClassVar = Set._arrays | {"a": 1, "upper": 0, "lower": 0}
    polyhedral = True

    def __init__(self, a: Any, upper: Any, lower: Any = -np.inf) -> None:
        a = vector("a", a, None)
        upper = real("upper", upper, infinite=True)
        lower = real("lower", lower, infinite=True)
        if np.any(lower > upper):
            raise ValueError("lower must not exceed upper")
        self._set(a, upper, lower)

    def _set(self, a: Array, upper: Array, lower: Array) -> HalfSpace:
        self.a, self.upper, self.lower, self.dim = a, upper, lower, a.shape[-1]
        return self

    def _like(self, a: Array, upper: Array, lower: Array) -> HalfSpace:
        return HalfSpace.__new__(HalfSpace)._set(a, upper, lower)

    def _alive(self) -> Any:
        flat = norm(self.a) == 0
        fits = (self.lower <= 0) & (self.upper >= 0)
        some = (
            (self.lower <= self.upper) & (self.upper > -np.inf) & (self.lower < np.inf)
        )
        return np.where(flat, fits, some)

    def _multiple(self, d: Array) -> tuple[Array, Any]:
        """lambda with d = lambda a, and whether there is one (tolerance 1e-9)."""
        aa = np.vecdot(self.a, self.a)
        lam = np.vecdot(self.a, d) / np.where(aa > 0, aa, 1.0)
        return lam, norm(d - lam[..., None] * self.a) <= 1e-9 * norm(d)

    def _support(self, d: Array) -> Array:
        lam, along = self._multiple(d)
        end = np.where(lam > 0, self.upper, np.where(lam < 0, self.lower, 0.0))
        with np.errstate(invalid="ignore"):
            return np.where(along, np.where(lam == 0, 0.0, lam * end), np.inf)

    def _support_point(self, d: Array) -> Array:
        lam, _ = self._multiple(d)
        near = np.clip(0.0, self.lower, self.upper)
        end = np.where(lam > 0, self.upper, np.where(lam < 0, self.lower, near))
        end = np.where(np.isinf(end), near, end)
        aa = np.vecdot(self.a, self.a)
        return (end / np.where(aa > 0, aa, 1.0))[..., None] * self.a

    def _atom(self, d: Array) -> tuple[Array, Array | None]:
        lam, along = self._multiple(d)
        ray = d if norm(self.a) == 0 else d - lam * self.a
        if along:
            ray = np.zeros_like(d)
        if np.isinf(self.upper if lam > 0 else self.lower):
            ray = ray + lam * self.a
        good = np.vecdot(ray, d) > 1e-12 * norm(ray) * norm(d)
        return self._support_point(d), ray if good else None

    def _face(self, d: Array, eps: Array) -> HalfSpace:
        lam, along = self._multiple(d)
        low = np.where(along & (lam > 0), self.upper, self.lower)
        up = np.where(along & (lam < 0), self.lower, self.upper)
        if np.any(eps):
            room = np.asarray(eps) / np.where(lam == 0, 1.0, np.abs(lam))
            low = np.where(along & (lam > 0), np.maximum(self.lower, low - room), low)
            up = np.where(along & (lam < 0), np.minimum(self.upper, up + room), up)
        lost = ~along | (low == np.inf) | (up == -np.inf)
        return self._like(
            self.a, np.where(lost, -np.inf, up), np.where(lost, np.inf, low)
        )

    def _project(self, y: Array) -> Array:
        aa = np.vecdot(self.a, self.a)
        v = np.vecdot(self.a, y)
        move = (np.clip(v, self.lower, self.upper) - v) / np.where(aa > 0, aa, 1.0)
        return y + np.where(aa > 0, move, 0.0)[..., None] * self.a

    def _project_jacobian(self, y: Array) -> Jacobian:
        size, v = norm(self.a), np.vecdot(self.a, y)
        still = (self.lower < v < self.upper) or size == 0
        u = self.a / np.where(size > 0, size, 1.0)
        return Jacobian(np.ones(self.dim), u, 1.0 if still else 0.0)

    def _box(self) -> Interval:
        # Bounded in a coordinate only if a has no other.
        a, some = self.a, self.a != 0
        alone = some & (some.sum(-1, keepdims=True) == 1)
        b = np.where(alone, a, 1.0)
        ends = Interval._raw(self.lower[..., None] / b, self.upper[..., None] / b)
        low = np.where(b > 0, ends.lower, ends.upper)
        up = np.where(b > 0, ends.upper, ends.lower)
        return Interval._raw(np.where(alone, low, -np.inf), np.where(alone, up, np.inf))

    def _frame(self) -> Any:
        # An orthonormal basis that begins with a: an interval, then whole lines.
        size = norm(self.a)
        Q, _ = np.linalg.qr(np.column_stack([self.a, np.eye(self.dim)]))
        low, up = np.full(self.dim, -np.inf), np.full(self.dim, np.inf)
        if size > 0:
            Q[:, 0] = self.a / size
            low[0], up[0] = self.lower / size, self.upper / size
        return np.zeros(self.dim), Q, low, up

    def _interior(self, z: Array) -> Any:
        v = np.vecdot(self.a, z)
        open_ = (self.lower < v) & (v < self.upper)
        return open_ | ((self.lower == self.upper) & self._contains(z, 1e-9))

    def _normal_cone(self, x: Array, eps: Array) -> Set:
        from subgrad.sets.cone import Cone

        v, tol = np.vecdot(self.a, x), 1e-12 * norm(self.a) * (1 + norm(x))
        on = np.stack(
            np.broadcast_arrays(v >= self.upper - tol, v <= self.lower + tol), -1
        )
        return Cone._raw(np.stack([self.a, -self.a], axis=-2), on)

    def _recession(self) -> HalfSpace:
        up = np.where(self.upper == np.inf, np.inf, 0.0)
        return self._like(self.a, up, np.where(self.lower == -np.inf, -np.inf, 0.0))

    def _support_cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        t = cp.Variable()
        finite = [float(e) for e in (self.upper, self.lower) if np.isfinite(e)]
        sides = [x == t * self.a]
        if np.isinf(self.upper):
            sides.append(t <= 0)
        if np.isinf(self.lower):
            sides.append(t >= 0)
        value = (
            cp.maximum(*(e * t for e in finite))
            if len(finite) > 1
            else (sum(e * t for e in finite))
        )
        return value + cp.transforms.indicator(sides)

    def _cvxpy(self, z: Any, scale: Any) -> list[Any]:
        sides = []
        if np.isfinite(self.upper):
            sides.append(self.a @ z <= scale * self.upper)
        if np.isfinite(self.lower):
            sides.append(self.a @ z >= scale * self.lower)
        return sides
