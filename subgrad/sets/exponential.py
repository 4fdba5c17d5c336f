r"""The exponential cone."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from subgrad._check import Array
from subgrad.core import Mask, Set, norm, unit
from subgrad.sets.cone import Cone


class ExponentialCone(Set):
    r"""K, the closure of {(x, y, z) : y exp(x / y) <= z, y > 0}, as cvxpy's ExpCone.

    .. math:: h(d) = 0 \text{ if } d \in K^\circ, \ +\infty \text{ otherwise};
       \quad (a, b, c) \in K^\circ \iff (b - a, a, -c) \in K

    Faces: K itself, the quadrant {x <= 0 = y <= z} and its edge (-1, 0, 0), the rays
    through (s, 1, e^s), and {0}. Those of the polar: the quadrant of (0, -1, 0) and
    (0, 0, -1), the first of them, and the rays through (1, 1 - s, -e^-s).

    Projection: v in K or in K° is clear, and so is x, y <= 0, where it is
    (x, 0, max(z, 0)). Else v = α (s, 1, e^s) + β (1, 1 - s, -e^-s) with α, β > 0 by
    Moreau. The first two rows give

    .. math:: α = \frac{y + (s-1) x}{s^2 - s + 1}, \quad
       β = \frac{x - s y}{s^2 - s + 1},

    the third one equation for s (Friberg, Projection onto the exponential cone, 2021),
    whose left side α e^s - β e^-s increases where α, β > 0: its derivative is

    .. math:: \frac{e^s (α (s^2 - 2 s + 2) + β) + e^{-s} (α + β (s^2 + 1))}
       {s^2 - s + 1}
    """

    _arrays: ClassVar = Set._arrays | {"whole": 0, "rays": 2, "active": 1}
    _polar = False  # the polar cone instead

    def __init__(self) -> None:
        self._set(np.ones((), bool), np.zeros((3, 3)), np.zeros(3, bool))

    def _set(self, whole: Array, rays: Array, active: Mask) -> ExponentialCone:
        # Where not the whole cone, the one that the active rays span.
        self.whole, self.rays, self.active, self.dim = whole, rays, active, 3
        return self

    def _key(self) -> tuple[Any, ...]:
        return (self._polar,)

    def _edge(self) -> Cone:
        return Cone._raw(self.rays, self.active)

    def _other(self) -> ExponentialCone:
        """The polar of the whole cone."""
        new = ExponentialCone()
        new._polar = not self._polar
        return new

    def _support(self, d: Array) -> Array:
        full = np.where(self._other()._contains(unit(d), 1e-9), 0.0, np.inf)
        return np.where(self.whole, full, self._edge()._support(d))

    def _support_point(self, d: Array) -> Array:
        return np.zeros(np.broadcast_shapes((*self.batch, 3), d.shape))

    def _atom(self, d: Array) -> tuple[Array, Array | None]:
        ray = self._project(d)
        return np.zeros_like(d), ray if norm(ray) > 1e-12 * norm(d) else None

    def _face(self, d: Array, eps: Array) -> ExponentialCone:
        d = unit(d)
        edge = self._edge()._face(d, np.zeros(()))
        rays = _polar_rays(d) if self._polar else _rays(d)
        near = np.where(np.any(rays, -1), np.matvec(rays, d) >= -1e-9, False)
        inside = self._other()._contains(d, 1e-9)
        whole = np.asarray(self.whole)[..., None]
        face = type(self)()._set(
            self.whole & ~np.any(d, -1),
            np.where(whole[..., None], rays, edge.generators),
            np.where(whole, near, edge.active),
        )
        face._polar = self._polar
        return face.restrict(np.where(self.whole, inside, edge.nonempty))

    def _project(self, y: Array) -> Array:
        size = norm(y)[..., None]
        v = y / np.where(size > 0, size, 1.0)
        full = size * (v - _project(v) if self._polar else _project(v))
        if np.all(self.whole):
            return full
        flat = self._edge()._project(y)
        return np.where(np.asarray(self.whole)[..., None], full, flat)

    def _interior(self, z: Array) -> Any:
        return np.where(self.whole, _depth(self._primal(z)) > 0, False)

    def _primal(self, z: Array) -> Array:
        """z, or the point of K that a point of the polar cone stands for."""
        if not self._polar:
            return z
        a, b, c = np.moveaxis(z, -1, 0)
        return np.stack([b - a, a, -c], -1)

    def _feasible(self, x: Array, d: Array) -> Any:
        (x1, y1, z1), (x2, y2, z2) = (
            np.moveaxis(self._primal(v), -1, 0) for v in (x, d)
        )
        size = norm(x)
        depth = _depth(self._primal(x))
        up = y1 > 1e-12 * size
        ratio = x1 / np.where(up, y1, 1.0)
        with np.errstate(over="ignore"):
            e = np.exp(np.minimum(ratio, 700))
        fall = z2 - e * x2 - e * (1 - ratio) * y2
        # The surface is flat along its rays only.
        steep = 1e-12 * (np.abs(z2) + e * (np.abs(x2) + np.abs((1 - ratio) * y2)))
        flat = np.abs(x2 * y1 - y2 * x1) <= 1e-12 * size * norm(d)
        curved = (depth > 1e-12 * size) | (fall > steep) | (flat & (fall >= -steep))
        left, high = x1 < -1e-12 * size, z1 > 1e-12 * size
        stay = (left | (x2 <= 0)) & (high | (z2 >= 0))
        rise = high | (left & (z2 > 0))
        low = np.where(y2 == 0, stay, (y2 > 0) & rise)
        apex = ExponentialCone()._contains(self._primal(d), 1e-12)
        whole = np.where(size == 0, apex, np.where(up, curved, low))
        edge = self._edge()
        return np.where(
            self.whole, whole, edge._normal_cone(x, np.zeros(())).support(d) <= 0
        )

    def _normal_cone(self, x: Array, eps: Array) -> Set:
        if np.all(self.whole):
            return self._other()._face(x, np.zeros(()))
        if np.any(self.whole):
            raise NotImplementedError("normal cones of faces of several kinds at once")
        return self._edge()._normal_cone(x, eps)

    def _recession(self) -> ExponentialCone:
        return self

    def _cvxpy(self, z: Any, scale: Any) -> list[Any]:
        import cvxpy as cp

        if not self.whole:
            return self._edge()._cvxpy(z, scale)
        if self._polar:
            return [cp.ExpCone(z[1] - z[0], z[0], -z[2])]
        return [cp.ExpCone(z[0], z[1], z[2])]

    def _support_cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        if self.whole:
            return cp.transforms.indicator(self._other()._cvxpy(x, 1))
        return super()._support_cvxpy(x)

    def __repr__(self) -> str:
        if not np.all(self.whole):
            return super().__repr__()
        return f"{'polar of ' if self._polar else ''}ExponentialCone()"


def _depth(v: Array) -> Array:
    """z - y exp(x/y): above 0 inside K, below outside; y <= 0 counts as outside."""
    x, y, z = np.moveaxis(v, -1, 0)
    up = y > 0
    with np.errstate(over="ignore"):
        e = np.exp(x / np.where(up, y, 1.0))
        return np.where(up, z - y * e, -np.inf)


def _rays(d: Array) -> Array:
    """Those rays of K that may be orthogonal to d in the polar, (..., 3, 3)."""
    a, b, _ = np.moveaxis(d, -1, 0)
    some = a > 0
    s = 1 - b / np.where(some, a, 1.0)
    low = np.minimum(s, 0)
    shrink = np.exp(low - s)
    touch = np.stack([s * shrink, shrink, np.exp(low)], -1) * some[..., None]
    fixed = np.broadcast_to([[-1.0, 0, 0], [0, 0, 1]], (*d.shape[:-1], 2, 3))
    return unit(np.concatenate([fixed, touch[..., None, :]], -2))


def _polar_rays(d: Array) -> Array:
    """Those rays of the polar that may be orthogonal to d in K, (..., 3, 3)."""
    x, y, _ = np.moveaxis(d, -1, 0)
    some = y > 0
    s = x / np.where(some, y, 1.0)
    high = np.maximum(s, 0)
    shrink = np.exp(s - high)
    touch = np.stack([shrink, (1 - s) * shrink, -np.exp(-high)], -1) * some[..., None]
    fixed = np.broadcast_to([[0.0, -1, 0], [0, 0, -1]], (*d.shape[:-1], 2, 3))
    return unit(np.concatenate([fixed, touch[..., None, :]], -2))


def _project(v: Array) -> Array:
    """The nearest point of K to v, |v| <= 1."""
    x, y, z = np.moveaxis(v, -1, 0)
    inside = _depth(v) >= 0
    dead = _depth(np.stack([y - x, x, -z], -1)) >= 0
    flat = (x <= 0) & (y <= 0)
    right, up = x > 0, y > 0
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        low = np.where(right, 1 - y / np.where(right, x, 1.0), -np.inf)
        high = np.where(up, x / np.where(up, y, 1.0), np.inf)
    # Quotients that overflow: the quadrant within rounding.
    flat = flat | np.isposinf(low) | np.isneginf(high)
    skip = inside | dead | flat | (low > high)
    low, high = np.where(skip, 0.0, low), np.where(skip, 1.0, high)
    ends = low, high

    def excess(s: Array) -> Array:
        """The third row times exp(-|s|)."""
        small = np.exp(-np.abs(s))
        alpha, beta = _coefficients(x, y, s)
        first, last = np.where(s > 0, 1, small**2), np.where(s > 0, small**2, 1)
        return alpha * first - beta * last - z * small

    for k in range(12):
        far = 2.0**k
        up_end = np.where(np.isposinf(ends[1]), np.maximum(low, 0) + far, high)
        down_end = np.where(np.isneginf(ends[0]), np.minimum(ends[1], 0) - far, low)
        short = np.isposinf(ends[1]) & (excess(np.where(skip, 0, up_end)) < 0)
        deep = np.isneginf(ends[0]) & (excess(np.where(skip, 0, down_end)) > 0)
        if not np.any((short | deep) & ~skip):
            break
    # Bisection in arsinh s: ends may be as large as the quotients of v.
    low, high = np.arcsinh(down_end), np.arcsinh(up_end)
    for _ in range(70):
        middle = (low + high) / 2
        s = np.sinh(middle)
        above = excess(s) > 0
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    alpha, beta = _coefficients(x, y, s)
    small = np.exp(-np.abs(s))
    # For s > 0 the third row gives α e^s without overflow.
    top = np.maximum(np.where(s > 0, z + beta * small, 0.0), 0.0)
    lead = np.where(s > 0, top * small, np.maximum(alpha, 0))
    p = np.stack([lead * s, lead, np.where(s > 0, top, lead * small)], -1)
    p = np.where(flat[..., None], np.stack([x, 0 * y, np.maximum(z, 0)], -1), p)
    p = np.where(dead[..., None], 0.0, p)
    return np.where(inside[..., None], v, p)


def _coefficients(x: Array, y: Array, s: Array) -> tuple[Array, Array]:
    """α and β of the first two rows; large s divided out."""
    big = np.maximum(np.abs(s), 1.0)
    scale = (s / big) ** 2 - s / big / big + 1 / big / big
    alpha = (y / big + (s / big - 1 / big) * x) / scale / big
    return alpha, (x / big - s / big * y) / scale / big
