r"""The sets whose support functions are minus the geometric and the harmonic mean.

Both are superlevel sets of a concave function of u = -s >= 0, and so are unbounded
along the negative orthant. Where a mean is 0 at a nonzero point the geometric one has
no subgradient, and its set no support point: the supremum 0 is not attained.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from subgrad._check import Array, positive, vector
from subgrad._jacobian import AnyJacobian, Jacobian, of_level
from subgrad.core import Mask, Set

TINY = 1e-280


class _MeanLevel(Set):
    """What the two sets share.

    A face fixes coordinates at 0 and leaves the others `free`, or is the point `tip`
    (no coordinate free).
    """

    _arrays: ClassVar = Set._arrays | {"weights": 1, "free": 1, "tip": 1}

    def __init__(self, weights: Any) -> None:
        w = positive("weights", vector("weights", weights, None))
        w = w / w.sum(-1, keepdims=True)
        n = w.shape[-1]
        self._set(w, np.ones(n, bool), np.zeros(n))

    def _set(self, weights: Array, free: Mask, tip: Array) -> _MeanLevel:
        self.weights, self.free, self.tip = weights, free, tip
        self.dim = weights.shape[-1]
        return self

    def _like(self, free: Mask, tip: Array) -> Any:
        return type(self).__new__(type(self))._set(self.weights, free, tip)

    # What a mean writes.

    _power: ClassVar[float]  # y - P(y) is a multiple of -P(y) to minus this power

    def _mean(self, d: Array) -> Array:
        """The mean of d >= 0 over the free coordinates, (..., 1)."""
        raise NotImplementedError

    def _touch(self, d: Array) -> Array:
        """The support point, where d > 0 on the free coordinates."""
        raise NotImplementedError

    def _level(self, u: Array) -> Array:
        """At least 0 just where -u is a member, u >= 0."""
        raise NotImplementedError

    def _steepness(self, u: Array) -> Array:
        """A positive multiple of the gradient of the level, u > 0."""
        raise NotImplementedError

    def _solve(self, v: Array) -> tuple[Array, Array]:
        """The nearest u to v on the level 0 and u - v, free coordinates only."""
        raise NotImplementedError

    def _face(self, d: Array, eps: Array) -> Any:
        raise NotImplementedError

    # What follows.

    def _moving(self) -> Any:
        """Where the set is more than a point, (..., 1)."""
        return self.free.any(-1, keepdims=True)

    def _barred(self, d: Array) -> Any:
        return np.any(self.free & (d < 0), axis=-1)

    def _support(self, d: Array) -> Array:
        at = np.where(self.free, np.maximum(d, 0), 0.0)
        h = np.where(self._moving()[..., 0], -self._mean(at)[..., 0], 0.0)
        return np.where(self._barred(d), np.inf, h + np.vecdot(self.tip, d))

    def _support_point(self, d: Array) -> Array:
        some = self._face(d, np.zeros(())).nonempty
        return np.where(some[..., None], self._near(d), np.nan)

    def _near(self, d: Array) -> Array:
        """A support point, or a member nearly as good where there is none."""
        face = self._face(d, np.zeros(()))
        at = np.where(face.free, 1.0, np.maximum(d, 0))
        size = np.abs(d).max(-1, keepdims=True)
        lost = ~face.nonempty[..., None]
        at = np.where(lost, np.maximum(d, 1e-8 * size), at)
        touch = face._like(np.where(lost, self.free, face.free), face.tip)._touch(at)
        return np.where(face.free | (lost & self.free), touch, face.tip)

    def _atom(self, d: Array) -> tuple[Array, Array | None]:
        ray = np.where(self.free, np.minimum(d, 0), 0.0)
        return self._near(d), ray if ray.any() else None

    def _split(self, y: Array) -> tuple[Array, Array]:
        """P(y), and y - P(y) without cancellation."""
        v = np.where(self.free, -y, 0.0)
        up = np.maximum(v, 0)
        with np.errstate(divide="ignore"):
            inside = (self._level(up) >= 0)[..., None]
        u, push = self._solve(np.where(inside, 0.0, v))
        p = -np.where(inside, up, u)
        push = np.where(inside, up - v, push)
        return (
            np.where(self.free, p, self.tip),
            np.where(self.free, push, y - self.tip),
        )

    def _project(self, y: Array) -> Array:
        return self._split(y)[0]

    def _project_jacobian(self, y: Array) -> AnyJacobian:
        """That of the level set outside it, with y - P(y) a power of u = -P(y)."""
        p, push = self._split(y)
        with np.errstate(divide="ignore"):
            inside = self._level(np.where(self.free, np.maximum(-y, 0), 0.0)) >= 0
        if inside or not np.any(self.free):
            return Jacobian((self.free & (y < 0)) * 1.0)
        u = np.where(self.free, -p, 1.0)
        H = self.free / (1 + self._power * push / u)
        return of_level(H, self.free * self._steepness(u))

    def _edge(self, s: Array) -> tuple[Array, Any]:
        """-s, and where the member s is on the level, all free coordinates below 0."""
        u = np.where(self.free, np.maximum(-s, 0), 0.0)
        full = np.all((u > 0) | ~self.free, -1) & self._moving()[..., 0]
        safe = np.where(full[..., None] & self.free, u, 1.0)
        return u, full & (self._level(safe) <= 1e-12)

    def _interior(self, z: Array) -> Any:
        point = ~self._moving()[..., 0] & np.all(z == self.tip, -1)
        safe = np.where(z < 0, -z, 1.0)
        inner = np.all(self.free & (z < 0), -1) & (self._level(safe) > 0)
        return point | inner

    def _normal_cone(self, x: Array, eps: Array) -> Set:
        from subgrad.sets.box import Box
        from subgrad.sets.cone import Cone

        u, on = self._edge(x)
        ray = self._steepness(np.where(u > 0, u, 1.0)) * self.free
        rays = Cone._raw(ray[..., None, :], on[..., None])
        up = np.where(self.free & (u > 0), 0.0, np.inf)
        low = np.where(self.free, 0.0, -np.inf)
        return rays + Box._raw(*np.broadcast_arrays(low, up))

    def _feasible(self, x: Array, d: Array) -> Any:
        u, on = self._edge(x)
        still = np.all((d == 0) | self.free, -1)
        out = np.any(self.free & (u == 0) & (d > 0), -1)
        climb = -np.vecdot(self._steepness(np.where(u > 0, u, 1.0)) * self.free, d)
        # Strictly concave along all lines but that of 0.
        return still & ~out & (~on | (climb > 0) | np.all(d == 0, -1))

    def _recession(self) -> Set:
        from subgrad.sets.box import Box

        low = np.where(self.free, -np.inf, 0.0)
        return Box._raw(low, np.zeros_like(low))

    def _support_cvxpy(self, x: Any) -> Any:
        if not self._moving():
            return self.tip @ x
        return -self._mean_cvxpy(x) if self.free.all() else super()._support_cvxpy(x)

    def _mean_cvxpy(self, x: Any) -> Any:
        raise NotImplementedError


class GeometricLevelSet(_MeanLevel):
    r"""S = {s <= 0 : prod_i (-s_i / w_i)^w_i >= 1}, weights w > 0 scaled to sum 1.

    .. math:: h(d) = -\prod_i d_i^{w_i} \ (d \ge 0), \quad +\infty \text{ otherwise}

    (the weighted means inequality). The exposed face is one point where d > 0, S where
    d = 0, and empty elsewhere unless n = 1: the supremum 0 is not attained.
    Projection: with v = -y and
    u = -P(y), u_i (u_i - v_i) = λ w_i, and λ >= 0 solves sum_i w_i log(u_i / w_i) = 0.
    weights (..., n).
    """

    _power = 1.0

    def _mean(self, d: Array) -> Array:
        return geometric_mean(d, self.weights)

    def _touch(self, d: Array) -> Array:
        d = np.where(self.free, d, 1.0)
        with np.errstate(divide="ignore"):
            return -self.weights * (self._mean(d) / d)

    def _level(self, u: Array) -> Array:
        return np.vecdot(self.weights, np.log(u / self.weights))

    def _steepness(self, u: Array) -> Array:
        g = self.weights / u
        return g / g.max(-1, keepdims=True)

    def _face(self, d: Array, eps: Array) -> GeometricLevelSet:
        point = ~self._moving()
        flat, steep = (np.all(c, -1, keepdims=True) for c in (d == 0, d > 0))
        touch = self._touch(np.where(steep, d, 1.0))
        tip = np.where(point, self.tip, np.where(steep, touch, 0.0))
        face = self._like(self.free & flat, tip)
        return face.restrict((point | flat | steep)[..., 0])

    def _solve(self, v: Array) -> tuple[Array, Array]:
        w = self.weights

        def at(lam: Array) -> tuple[Array, Array, Array]:
            """u and u - v, the roots of u (u - v) = λ w, and u + (u - v)."""
            lw = lam * w
            root = np.hypot(v, 2 * np.sqrt(lw))
            big = (root + np.abs(v)) / 2
            small = lw / np.where(big > 0, big, 1.0)
            return np.where(v > 0, big, small), np.where(v > 0, small, big), root

        def excess(lam: Array) -> tuple[Array, Array, Array]:
            u, _, root = at(lam)
            u = np.maximum(u, TINY)
            logs, slope = w * np.log(u / w), w * (w / (u * root))
            size = np.abs(logs).sum(-1, keepdims=True) + 1
            return logs.sum(-1, keepdims=True), slope.sum(-1, keepdims=True), size

        u, push, _ = at(concave_root(excess, (w - v).max(-1, keepdims=True)))
        return u, push

    def _mean_cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        if self.dim == 1:  # which cvxpy takes for affine, without a domain
            return x[0] - cp.transforms.indicator([x >= 0])
        # Exact by second-order cones where the weights are fractions of small
        # denominator, else by a power cone.
        mean: Any = cp.geo_mean(x, self.weights)
        return mean if not mean.approx_error else cp.geo_mean(x, self.weights, 2, False)

    def _cvxpy(self, z: Any, scale: Any) -> list[Any]:
        if not self._moving():
            return [z == scale * self.tip]
        import cvxpy as cp

        return [self._mean_cvxpy(cp.multiply(-1 / self.weights, z)) >= scale]


class HarmonicLevelSet(_MeanLevel):
    r"""S = {s <= 0 : sum_i √(-w_i s_i) >= 1}, weights w > 0 scaled to sum 1.

    .. math:: h(d) = -\Big( \sum_i w_i / d_i \Big)^{-1} \ (d \ge 0), \quad
       +\infty \text{ otherwise}

    (Cauchy's inequality), 0 where some d_i = 0. Where d > 0 the exposed face is one
    point; else s_i = 0 where d_i > 0 and the others satisfy the same inequality.
    Projection: with v = -y, r_i = √u_i, u = -P(y), r_i³ - v_i r_i = λ √w_i, and λ >= 0
    solves sum_i √w_i r_i = 1. weights (..., n).
    """

    _power = 0.5

    def _mean(self, d: Array) -> Array:
        return harmonic_mean(np.where(self.free, d, np.inf), self.weights)

    def _touch(self, d: Array) -> Array:
        d = np.where(self.free, d, np.inf)
        d = np.where(self._moving(), d, 1.0)
        return -self.weights * (self._mean(d) / d) ** 2

    def _level(self, u: Array) -> Array:
        return (np.sqrt(self.weights * u) * self.free).sum(-1) - 1

    def _steepness(self, u: Array) -> Array:
        g = np.sqrt(self.weights / u)
        return g / g.max(-1, keepdims=True)

    def _face(self, d: Array, eps: Array) -> HarmonicLevelSet:
        free = self.free & (d == 0)
        point = self._moving() & ~free.any(-1, keepdims=True)
        touch = self._touch(np.where(point & (d > 0), d, 1.0))
        tip = np.where(point & self.free, touch, self.tip)
        return self._like(free, tip).restrict(~self._barred(d))

    def _solve(self, v: Array) -> tuple[Array, Array]:
        from subgrad.univariate.smooth import _cubic_root

        root = np.sqrt(self.weights)
        share = root * self.free
        share = np.where(self._moving(), share, root)

        def excess(lam: Array) -> tuple[Array, Array, Array]:
            r = _cubic_root(v, lam * root)
            sum_ = (share * r).sum(-1, keepdims=True)
            slope = (share * (root / (3 * r * r - v))).sum(-1, keepdims=True)
            return sum_ - 1, slope, sum_ + 1

        # Some r_i is at least √w_i divided by the weight that is free.
        total = (share * root).sum(-1, keepdims=True)
        high = (self.weights / total**2 - v) / total
        high = np.where(share > 0, high, -np.inf).max(-1, keepdims=True)
        lam = concave_root(excess, high)
        r = _cubic_root(v, lam * root)
        return r * r, lam * root / r

    def _mean_cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        return cp.pnorm(cp.multiply(1 / self.weights, x), -1)

    def _cvxpy(self, z: Any, scale: Any) -> list[Any]:
        import cvxpy as cp

        if not self._moving():
            return [z == scale * self.tip]
        on, off = np.flatnonzero(self.free), np.flatnonzero(~self.free)
        fixed = [z[off] == 0] if off.size else []
        u = cp.multiply(-self.weights[on], z[on])
        half: Any = 0.5
        return [cp.pnorm(u, half) >= scale, *fixed]


def geometric_mean(x: Array, w: Array) -> Array:
    """prod x_i^w_i of x >= 0, (..., 1), by logarithms relative to the largest."""
    top = x.max(-1, keepdims=True)
    with np.errstate(divide="ignore"):
        logs = np.log(x / np.where(top > 0, top, 1.0))
    return top * np.exp((w * logs).sum(-1, keepdims=True))


def harmonic_mean(x: Array, w: Array) -> Array:
    """1 / sum (w_i / x_i) of x >= 0, (..., 1); entries may be infinite, not all."""
    low = x.min(-1, keepdims=True)
    low = np.where(np.isfinite(low), low, 1.0)
    total = (w * (low / np.where(x > 0, x, 1.0))).sum(-1, keepdims=True)
    return low / np.where(total > 0, total, 1.0)


def concave_root(
    fun: Callable[[Array], tuple[Array, Array, Array]], high: Array
) -> Array:
    r"""The root λ in (0, high] of a concave increasing function.

    fun gives the value, the slope and the size of the terms of which the value is the
    sum. A tangent crosses zero at or below the root: that bounds λ from below. The
    step is Newton's in log λ where it helps, which is far below the root and where
    the tangent's zero is negative.
    """
    low, lam = np.zeros_like(high), high
    for _ in range(200):
        f, slope, size = fun(lam)
        low, high = np.where(f < 0, lam, low), np.where(f < 0, high, lam)
        newton = lam - f / slope
        low = np.maximum(low, np.minimum(newton, high))
        power = lam * np.exp(np.clip(-f / (lam * slope), -50, 50))
        middle = np.sqrt(low) * np.sqrt(high)
        step = np.where(f < 0, power, np.where(newton > 0.1 * lam, newton, power))
        step = np.where((step >= low) & (step <= high), step, middle)
        # A root below TINY is none in floating point.
        step = np.maximum(step, TINY)
        tiny = 4 * np.finfo(float).eps
        if np.all((np.abs(f) <= tiny * size) | (np.abs(step - lam) <= tiny * lam)):
            break
        lam = step
    return lam
