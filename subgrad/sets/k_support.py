"""Balls of the norm made of the k largest entries."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from subgrad._check import Array, count, nonnegative
from subgrad._jacobian import AnyJacobian, Jacobian, LowRank
from subgrad.core import Mask, Set, norm
from subgrad.interval import Interval
from subgrad.sets.box import Box

_EPS = float(np.finfo(float).eps)


def whole_number(k: Any) -> int:
    """k as a positive integer."""
    if not isinstance(k, int | np.integer) or isinstance(k, bool) or k < 1:
        raise ValueError(f"k must be a positive integer, got {k!r}")
    return int(k)


class TopKBall(Set):
    r"""{u : (sum of the k largest u_i²)^(1/2) <= r} in R^n, and its faces.

    .. math:: h(d) = r |d|_k, \quad
       |d|_k = \Big(\sum_{i \le p} |d|_{(i)}^2 + (k - p) L^2\Big)^{1/2}, \quad
       L = \frac{1}{k - p} \sum_{i > p} |d|_{(i)}

    the k-support norm, |d|_(1) >= |d|_(2) >= ..., p the least with L >= |d|_(p+1).
    Members of the face are max(|d_i|, L) sign(d_i) r / |d|_k where d_i != 0 and lie in
    [-1, 1] L r / |d|_k where d_i = 0. So the class is [lower, upper] + {u in K: ...},
    one of the two a point, K a product of {0}, [0, ∞), (-∞, 0] and R; a radius below
    zero means empty. Argyriou, Foygel and Srebro, Sparse prediction with the k-support
    norm, 2012.
    """

    _arrays: ClassVar = Set._arrays | {
        "lower": 1,
        "upper": 1,
        "radius": 0,
        "_low": 1,
        "_up": 1,
    }

    def __init__(self, n: int, k: int, radius: Any = 1.0) -> None:
        n, k = count(n), whole_number(k)
        if k > n:
            raise ValueError(f"k = {k} exceeds the number of arguments {n}")
        ends = np.full(1, -np.inf), np.full(1, np.inf)
        zero, radius = np.zeros(n), nonnegative("radius", radius)
        self._set(k, zero, zero, radius, *ends)

    def _set(
        self, k: int, lower: Array, upper: Array, radius: Array, low: Array, up: Array
    ) -> TopKBall:
        self.k, self.lower, self.upper, self.radius = k, lower, upper, radius
        self._low, self._up, self.dim = low, up, lower.shape[-1]
        return self

    def _like(
        self, lower: Array, upper: Array, radius: Array, low: Array, up: Array
    ) -> TopKBall:
        new = TopKBall.__new__(TopKBall)
        return new._set(self.k, lower, upper, radius, low, up)

    def _key(self) -> tuple[Any, ...]:
        return (self.k,)

    def _alive(self) -> Any:
        return (self.radius >= 0) & np.all(self.lower <= self.upper, -1)

    def _sides(self) -> Box:
        return Box._raw(self.lower, self.upper)

    def _cone(self, d: Array) -> Array:
        return np.minimum(np.maximum(d, self._low), self._up)

    def _support(self, d: Array) -> Array:
        size = k_support(self._cone(d), self.k)[0]
        return self._sides()._support(d) + self.radius * size

    def _spread(self, d: Array) -> tuple[Array, Array, Array]:
        """Lower and upper ends of the face of the unit ball, and |P_K(d)|_k."""
        v = self._cone(d)
        size, level = k_support(v, self.k)
        unit = np.where(size > 0, size, 1.0)[..., None]
        level = (level / np.where(size > 0, size, 1.0))[..., None]
        end = np.copysign(np.maximum(np.abs(v / unit), level), v)
        low = np.where(v != 0, end, np.where(self._low < 0, -level, 0.0))
        up = np.where(v != 0, end, np.where(self._up > 0, level, 0.0))
        # Where d is negative against K, the face has a zero.
        shut = (v == 0) & (d != 0)
        return np.where(shut, 0.0, low), np.where(shut, 0.0, up), size

    def _support_point(self, d: Array) -> Array:
        low, up, _ = self._spread(d)
        middle = np.where(low == up, low, 0.0)
        return self._sides()._support_point(d) + self.radius[..., None] * middle

    def _face(self, d: Array, eps: Array) -> TopKBall:
        low, up, size = self._spread(d)
        keep = eps / (2 * np.where(size > 0, size, 1.0))
        # A point widens to the copy of the ball shrunk towards it by 1 - t, whose worst
        # member loses 2 t r |d|_k; that copy does not contain a face with sides.
        wide = self._round() & np.any(eps)
        full = (size == 0) | (wide & (keep >= self.radius))
        sharp = wide & np.all(low == up, -1)
        left = np.where(full, self.radius, np.where(sharp, keep, 0.0))
        left = np.minimum(left, self.radius)
        moved = (self.radius - left)[..., None]
        sides = self._sides()._face(d, eps)
        shut = ((size == 0)[..., None]) & (d != 0)
        return self._like(
            sides.lower + np.where(moved > 0, moved * low, 0.0),
            sides.upper + np.where(moved > 0, moved * up, 0.0),
            left,
            np.where(shut, 0.0, self._low),
            np.where(shut, 0.0, self._up),
        )

    def _project(self, y: Array) -> Array:
        away = y - self.lower
        u = self._cone(away)
        size = top_norm(u, self.k)
        round_ = (self.radius > 0) & np.ones(size.shape, bool)
        out = round_ & (size > self.radius)
        p = np.where(round_[..., None], u, 0.0)
        if np.any(out):
            r = np.broadcast_to(self.radius, out.shape)[out]
            flat = np.broadcast_to(u, p.shape)[out]
            p[out] = np.copysign(_to_sphere(np.abs(flat), r, self.k), flat)
        # A member is its own projection, without rounding.
        p = np.where(np.all(p == away, -1, keepdims=True), y, self.lower + p)
        return np.where(round_[..., None], p, self._sides()._project(y))

    def _project_jacobian(self, y: Array) -> AnyJacobian:
        if self.radius <= 0:
            return self._sides()._project_jacobian(y)
        away = y - self.lower
        u, moves = self._cone(away), (self._low < away) & (away < self._up)
        if top_norm(u, self.k) <= self.radius:
            return Jacobian(moves * 1.0)
        return _on_sphere(u, float(self.radius), self.k)

    def _gauge(self, z: Array) -> Any:
        if np.any(self.lower) or not self._round() or self.radius <= 0:
            return super()._gauge(z)
        return top_norm(z, self.k) / self.radius

    def _round(self) -> Mask:
        """Where K is the whole space."""
        free: Mask = np.all(np.isinf(self._low) & np.isinf(self._up), -1)
        return free

    def _interior(self, z: Array) -> Any:
        size = top_norm(z - self.lower, self.k)
        inside = (size < self.radius) & self._round()
        return np.where(self.radius > 0, inside, self._sides()._interior(z))

    def _box(self) -> Interval:
        r = self.radius[..., None]
        low = self.lower - np.where(self._low < 0, r, 0.0)
        return Interval._raw(low, self.upper + np.where(self._up > 0, r, 0.0))

    def _normal_cone(self, x: Array, eps: Array) -> Set:
        r"""Multiples of λ x, λ_i = 1 above the k-th |x_i|, 0 below, sum λ_i = k."""
        from subgrad.affine import Diagonal
        from subgrad.calculus.compose import scaled_union
        from subgrad.calculus.precompose import image
        from subgrad.sets.simplex import CappedSimplex

        if np.all(self.radius == 0):
            return self._sides()._normal_cone(x, eps)
        if not np.all((self.radius > 0) & self._round()):
            return super()._normal_cone(x, eps)
        u, kind = self._ranks(x)
        on = top_norm(u, self.k) >= self.radius * (1 - 1e-12)
        simplex = CappedSimplex.__new__(CappedSimplex)
        simplex._set(
            np.where(kind == 2, 1.0, 0.0),
            np.where(kind == 0, 0.0, 1.0),
            np.full(kind.shape[:-1], float(self.k)),
        )
        u = np.where(on[..., None], u, 0.0)
        return scaled_union(image(Diagonal(u, self.dim), simplex), 0.0, np.inf)

    def _feasible(self, x: Array, d: Array) -> Any:
        if not np.all((self.radius > 0) & self._round()):
            return super()._feasible(x, d)
        u, kind = self._ranks(x)
        # |x + t d|² over k entries grows like 2 t <x, d> + t² |d|²: take the entries in
        # that order of importance.
        first, second = np.broadcast_arrays(u * d, np.square(d))
        order = np.lexsort((second, first, np.broadcast_to(kind, first.shape)))
        top = order[..., self.dim - self.k :]
        slope = np.take_along_axis(first, top, -1).sum(-1)
        bend = np.take_along_axis(second, top, -1).sum(-1)
        tol = 1e-12 * self.radius * norm(d)
        below = top_norm(u, self.k) < self.radius * (1 - 1e-12)
        return below | (slope < -tol) | ((slope <= tol) & (bend == 0))

    def _ranks(self, x: Array) -> tuple[Array, Array]:
        """u = x - c, and 2 where |u_i| is above the k-th largest, 1 at it, 0 below."""
        u = x - self.lower
        size = np.abs(u)
        kth = np.partition(size, self.dim - self.k, -1)[..., self.dim - self.k, None]
        tol = 1e-12 * self.radius[..., None]
        return u, 1 + (size > kth + tol).astype(int) - (size < kth - tol)

    def _part(self, low: Mask, high: Mask) -> TopKBall:
        r = self.radius[..., None]
        if np.any((low | high) & (r > 0) & (self.lower != 0)):
            raise NotImplementedError(
                "the part of a ball in an orthant, off its centre"
            )
        sides = self._sides()._part(low, high)
        flat = r == 0  # only sides: K says nothing there
        low_ = np.where(low & ~flat, 0.0, self._low)
        up = np.where(high & ~flat, 0.0, self._up)
        return self._like(sides.lower, sides.upper, self.radius, low_, up)

    def _cvxpy(self, z: Any, scale: Any) -> list[Any]:
        import cvxpy as cp

        if self.radius == 0:
            return self._sides()._cvxpy(z, scale)
        # u_i² <= t v_i with v <= η + w, k η + sum of w <= t = r scale: the sum of the k
        # largest u_i² / t is at most t.
        u, t = z - scale * self.lower, float(self.radius) * scale
        eta, w = cp.Variable(), cp.Variable(self.dim, nonneg=True)
        v = eta + w
        each = cp.SOC(t + v, cp.vstack([2 * u, t - v]))
        sides = [each, self.k * eta + cp.sum(w) <= t]
        low = np.flatnonzero(np.broadcast_to(self._low == 0, self.dim))
        up = np.flatnonzero(np.broadcast_to(self._up == 0, self.dim))
        sides += [u[low] >= 0] if low.size else []
        return [*sides, u[up] <= 0] if up.size else sides

    def __repr__(self) -> str:
        ends = f"{self.lower}, {self.upper}"
        return f"TopKBall([{ends}], k={self.k}, radius={self.radius})"


def top_norm(u: Array, k: int) -> Array:
    """(sum of the k largest u_i²)^(1/2)."""
    n = u.shape[-1]
    return norm(np.partition(np.abs(u), n - k, -1)[..., n - k :])


def k_support(d: Array, k: int) -> tuple[Array, Array]:
    """The k-support norm |d|_k and its level L."""
    n, size = d.shape[-1], np.abs(d)
    top = size.max(-1, keepdims=True)
    size = size / np.where(top > 0, top, 1.0)
    size = np.partition(size, n - k, -1)
    head = np.sort(size[..., n - k :], -1)  # the k largest, upwards
    rest = size[..., : n - k].sum(-1, keepdims=True)
    # L for p = k - 1, k - 2, ..., 0, of one more entry each.
    level = (np.cumsum(head, -1) + rest) / np.arange(1, k + 1)
    # The condition L >= |d|_(p+1) holds from the least such p on.
    fits = level >= head * (1 - 4 * _EPS)
    last = np.maximum(fits.sum(-1, keepdims=True) - 1, 0)
    L = np.take_along_axis(level, last, -1)
    above = np.where(np.arange(k) > last, head, 0.0)
    squares = np.square(above).sum(-1) + ((last + 1) * L * L)[..., 0]
    return top[..., 0] * np.sqrt(squares), (top * L)[..., 0]


def _on_sphere(u: Array, r: float, k: int) -> LowRank:
    r"""The Jacobian of u -> sign(u) min(a, κ max(a, θ)), a = |u|, of `_to_sphere`.

    With N = \sum a_i^2 over the p entries above θ and q entries between κ θ and θ:

    .. math:: κ^2 (N + (k - p) θ^2) = r^2, \quad
       \sum_{mid} a_i - q κ θ = (k - p)(θ - κ θ)

    whose differentials give dκ and dθ from <a, da> above and the sum of da between.
    """
    a = np.abs(u)
    theta, kappa = (float(v[0]) for v in _multipliers(a, np.asarray(r), k))
    tau = kappa * theta
    above = a > theta
    mid = (a > tau) & ~above
    if np.count_nonzero(above | mid) <= k:
        # The k largest alone, where there are so many above zero: those of a ball.
        above, mid = np.zeros_like(above), np.zeros_like(mid)
        above[np.argsort(-a, kind="stable")[:k]] = True
    p, q = np.count_nonzero(above), np.count_nonzero(mid)
    N = float(np.square(a[above]).sum())
    M2, left = N + (k - p) * theta**2, k - p
    size, root = max(float(np.sqrt(N)), 1e-300), max(float(q), 1.0) ** 0.5
    # dθ, dκ of unit changes along a above and along 1 between.
    fall = q * kappa + left * (1 - kappa) - kappa * (q - left) * left * theta**2 / M2
    pairs = [(size, 0.0), (0.0, root)]
    dtheta = np.array([(m + kappa * theta * (q - left) * s / M2) for s, m in pairs])
    dtheta = dtheta / fall if fall > 0 else 0 * dtheta
    dkappa = -kappa / M2 * (np.array([size, 0.0]) + left * theta * dtheta)
    C = np.stack([size * dkappa, root * (kappa * dtheta + theta * dkappa)])
    e, W = np.linalg.eigh(0.5 * (C + C.T))
    V = np.stack([np.where(above, u / size, 0.0), np.sign(u) * mid / root], -1)
    d = np.where(above, kappa, np.where(mid, 0.0, 1.0))
    return LowRank(d, V @ W, e)


def _to_sphere(a: Array, r: Array, k: int) -> Array:
    r"""The nearest point with top norm r, to a >= 0 outside that ball.

    .. math:: x = \min(a, κ \max(a, θ)), \quad κ = r / M(θ), \quad
       M(θ)² = \sum_{i \le k} \max(a_{(i)}, θ)²

    from the multipliers λ_i = a_i / x_i - 1, equal to ν where x_i is above its k-th
    largest entry, to 0 below it and of sum k ν. With κ = 1 / (1 + ν) that sum reads

    .. math:: \sum_i (\min(a_i, θ) - κ θ)_+ = k (θ - κ θ)

    an equation in θ >= a_(k) alone: the difference J falls, linearly above all a_i.
    """
    theta, kappa = _multipliers(a, r, k)
    return np.minimum(a, kappa * np.maximum(a, theta))


def _multipliers(a: Array, r: Array, k: int) -> tuple[Array, Array]:
    """θ and κ."""
    n, r = a.shape[-1], r[..., None]
    unit = a.max(-1, keepdims=True)
    a, r = a / unit, r / unit
    head = np.partition(a, n - k, -1)[..., n - k :]
    low = head[..., :1]
    least = r / np.sqrt(k)
    high = np.maximum(1.0, least + np.maximum(a - least, 0).sum(-1, keepdims=True) / k)
    theta = low
    for _ in range(200):
        size = norm(np.maximum(head, theta))[..., None]
        kappa = r / size
        tau = kappa * theta
        terms = np.maximum(np.minimum(a, theta) - tau, 0).sum(-1, keepdims=True)
        J = terms - k * (theta - tau)
        low, high = np.where(J > 0, theta, low), np.where(J > 0, high, theta)
        above = a > theta
        p = above.sum(-1, keepdims=True)
        q = (a > tau).sum(-1, keepdims=True)
        share = kappa * np.square(np.where(above, a / size, 0)).sum(-1, keepdims=True)
        fall = (k - p) + (q - k) * share
        with np.errstate(divide="ignore", invalid="ignore"):
            new = theta + J / fall
        new = np.where((new > low) & (new < high), new, (low + high) / 2)
        done = (np.abs(J) <= 4 * _EPS * k * theta) | (high - low <= 2 * _EPS * high)
        if np.all(done):
            break
        theta = np.where(done, theta, new)
    return unit * theta, kappa
