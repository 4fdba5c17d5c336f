"""Balls of the p-norms between the cross-polytope and the box."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from subgrad._check import Array, count, nonnegative, real
from subgrad._jacobian import AnyJacobian, Jacobian, of_level
from subgrad.core import Mask, Set
from subgrad.interval import Interval

_EPS = float(np.finfo(float).eps)
_FAR = -1000.0  # stands for the logarithm of zero: exp of it is zero


def power_norm(x: Array, p: float) -> Array:
    """(sum_i |x_i|^p)^(1/p) over the last axis, without overflow or underflow."""
    size = np.abs(x)
    top = size.max(-1, keepdims=True)
    top = np.where(top > 0, top, 1.0)
    return top[..., 0] * ((size / top) ** p).sum(-1) ** (1 / p)


class LpBall(Set):
    r"""{c + u : |u|_p <= r, u in K}, |u|_p = (sum_i |u_i|^p)^(1/p), 1 < p < inf.

    .. math:: h(d) = \langle c, d \rangle + r |P_K(d)|_q, \quad 1/p + 1/q = 1

    `LpBall(n, p, r)` has c = 0 and K = R^n, r >= 0 of shape (...). Faces shrink r to
    0, and intersections with orthants make K a product of {0}, [0, ∞), (-∞, 0] and R;
    a radius below zero means empty. The projection is x = y - μ |x|^(p-1) sign x with
    |x|_p = r, found to rounding.
    """

    _arrays: ClassVar = Set._arrays | {"center": 1, "radius": 0, "_low": 1, "_up": 1}

    def __init__(self, n: int, p: Any, radius: Any = 1.0) -> None:
        p = exponent(p)
        if not 1 < p < np.inf:
            raise ValueError(f"p must lie between 1 and inf, got {p}; use lp_ball")
        ends = np.full(1, -np.inf), np.full(1, np.inf)
        zero, radius = np.zeros(count(n)), nonnegative("radius", radius)
        self._set(p, p / (p - 1), zero, radius, *ends)

    def _set(
        self, p: float, q: float, center: Array, radius: Array, low: Array, up: Array
    ) -> LpBall:
        self.p, self.q, self.center, self.radius = p, q, center, radius
        self._low, self._up, self.dim = low, up, center.shape[-1]
        return self

    def _like(self, center: Array, radius: Array, low: Array, up: Array) -> LpBall:
        new = LpBall.__new__(LpBall)
        return new._set(self.p, self.q, center, radius, low, up)

    @classmethod
    def _dual(cls, n: int, p: float) -> LpBall:
        """The unit ball whose support function is the p-norm."""
        ends = np.full(1, -np.inf), np.full(1, np.inf)
        new = LpBall.__new__(LpBall)
        return new._set(p / (p - 1), p, np.zeros(n), np.ones(()), *ends)

    def _key(self) -> tuple[Any, ...]:
        return (self.p,)

    def _alive(self) -> Any:
        return self.radius >= 0

    def _cone(self, d: Array) -> Array:
        return np.minimum(np.maximum(d, self._low), self._up)

    def _support(self, d: Array) -> Array:
        size = power_norm(self._cone(d), self.q)
        return np.vecdot(self.center, d) + self.radius * size

    def _direction(self, d: Array) -> Array:
        """The u in K with |u|_p = 1 and <u, d> = |P_K(d)|_q, 0 if P_K(d) = 0."""
        v = self._cone(d)
        top = np.abs(v).max(-1, keepdims=True)
        ratio = np.abs(v) / np.where(top > 0, top, 1.0)
        # q - 1 = q / p, without cancellation.
        u = ratio ** (self.q / self.p)
        size = (ratio**self.q).sum(-1, keepdims=True) ** (1 / self.p)
        return np.copysign(u / np.where(top > 0, size, 1.0), v)

    def _support_point(self, d: Array) -> Array:
        return self.center + self.radius[..., None] * self._direction(d)

    def _face(self, d: Array, eps: Array) -> LpBall:
        v = self._cone(d)
        size, rad, keep = power_norm(v, self.q), self.radius, np.zeros(())
        if np.any(eps):
            # The copy of the ball shrunk towards the support point s*, by 1 - t: its
            # worst member loses 2 t r |d|_q. With a cone, only s* itself.
            keep = np.where(self._round(), eps / (2 * np.where(size > 0, size, 1)), 0)
        left = np.where(size > 0, np.minimum(rad, keep), rad)
        moved = np.where(size > 0, rad - left, 0.0)[..., None] * self._direction(d)
        # Where P_K(d) = 0, d is in the polar of K and the face is K cut by d = 0.
        shut = (d != 0) & ~(size > 0)[..., None]
        low, up = np.where(shut, 0.0, self._low), np.where(shut, 0.0, self._up)
        return self._like(self.center + moved, left, low, up)

    def _costs(self, d: Array) -> Array:
        return (2 * self.radius * power_norm(d, self.q))[..., None]

    def _round(self) -> Mask:
        """Where K is the whole space."""
        free: Mask = np.all(np.isinf(self._low) & np.isinf(self._up), -1)
        return free

    def _project(self, y: Array) -> Array:
        away = y - self.center
        u = self._cone(away)
        size = power_norm(u, self.p)
        out = (size > self.radius) & (self.radius > 0)
        p = np.where((self.radius > 0)[..., None], u, 0.0)
        if np.any(out):
            r = np.broadcast_to(self.radius, out.shape)[out]
            flat = np.broadcast_to(u, p.shape)[out]
            p[out] = np.copysign(_to_sphere(np.abs(flat), r, self.p, self.q), flat)
        # A member is its own projection, without rounding.
        return np.where(np.all(p == away, -1, keepdims=True), y, self.center + p)

    def _project_jacobian(self, y: Array) -> AnyJacobian:
        r"""With x + μ |x|^(p-1) sign x = y, of 1 / (1 + μ (p - 1) |x|^(p-2))."""
        away = y - self.center
        moves = (self._low < away) & (away < self._up) & (self.radius > 0)
        u = self._cone(away)
        if self.radius <= 0 or power_norm(u, self.p) <= self.radius:
            return Jacobian(moves * 1.0)
        x = self._project(y) - self.center
        top = np.abs(x).max()
        ratio = np.abs(x) / top
        g = np.copysign(ratio ** (self.p - 1), x)
        mu = float((u - x) @ g / (g @ g))
        with np.errstate(divide="ignore", over="ignore"):
            H = 1 / (1 + mu / top * (self.p - 1) * ratio ** (self.p - 2))
        return of_level(H * moves, g * moves)

    def _gauge(self, z: Array) -> Any:
        if np.any(self.center) or not self._round():
            return super()._gauge(z)
        size = power_norm(z, self.p)
        if self.radius > 0:
            return size / self.radius
        return np.where(size > 0, np.inf, 0.0)

    def _interior(self, z: Array) -> Any:
        size = power_norm(z - self.center, self.p)
        inside = (size < self.radius) | ((self.radius == 0) & (size == 0))
        return inside & self._round()

    def _box(self) -> Interval:
        r = self.radius[..., None]
        low = self.center - np.where(self._low < 0, r, 0.0)
        return Interval._raw(low, self.center + np.where(self._up > 0, r, 0.0))

    def _ray(self, x: Array) -> tuple[Array, Mask]:
        """The outer normal at x - c, |u|^(p-1) sign u, and where x is on the sphere."""
        u = x - self.center
        top = np.abs(u).max(-1, keepdims=True)
        ratio = np.abs(u) / np.where(top > 0, top, 1.0)
        on = power_norm(u, self.p) >= self.radius * (1 - 1e-12)
        return np.copysign(ratio ** (self.p / self.q), u), on

    def _normal_cone(self, x: Array, eps: Array) -> Set:
        from subgrad.sets.box import Box
        from subgrad.sets.cone import Cone

        if not np.all(self._round()):
            return super()._normal_cone(x, eps)
        ray, on = self._ray(x)
        flat = (self.radius == 0)[..., None] & np.ones(self.dim, bool)
        line = Box._raw(np.where(flat, -np.inf, 0.0), np.where(flat, np.inf, 0.0))
        return Cone._raw(ray[..., None, :], on[..., None]) + line

    def _feasible(self, x: Array, d: Array) -> Any:
        if not np.all(self._round()):
            return super()._feasible(x, d)
        ray, on = self._ray(x)
        inward = (np.vecdot(ray, d) < 0) & (self.radius > 0)
        return ~on | np.all(d == 0, -1) | inward

    def _part(self, low: Mask, high: Mask) -> LpBall:
        flat = (self.radius == 0)[..., None]  # a point is in the orthant or not
        if np.any((low | high) & ~flat & (self.center != 0)):
            raise NotImplementedError("the part of a p-ball in an orthant, off centre")
        out = np.any((low & (self.center < 0)) | (high & (self.center > 0)), -1)
        low_ = np.where(low & ~flat, 0.0, self._low)
        up = np.where(high & ~flat, 0.0, self._up)
        return self._like(self.center, np.where(out, -1.0, self.radius), low_, up)

    def _cvxpy(self, z: Any, scale: Any) -> list[Any]:
        u, r = z - scale * self.center, float(self.radius)
        sides = [cvxpy_norm(u, self.p) <= scale * r]
        low = np.flatnonzero(np.broadcast_to(self._low == 0, self.dim))
        up = np.flatnonzero(np.broadcast_to(self._up == 0, self.dim))
        sides += [u[low] >= 0] if low.size else []
        return [*sides, u[up] <= 0] if up.size else sides

    def _support_cvxpy(self, x: Any) -> Any:
        if not np.all(self._round()):
            return super()._support_cvxpy(x)
        return self.center @ x + float(self.radius) * cvxpy_norm(x, self.q)

    def __repr__(self) -> str:
        return f"LpBall({self.center}, p={self.p}, radius={self.radius})"


def cvxpy_norm(x: Any, p: Any) -> Any:
    """The p-norm by second-order cones for a simple fraction p, else by power cones."""
    import cvxpy as cp

    f = cp.pnorm(x, p)
    close = getattr(f, "approx_error", 0.0) <= 1e-14 * p
    return f if close else cp.pnorm(x, p, approx=False)


def exponent(p: Any) -> float:
    """p as one number of [1, inf]."""
    p = real("p", p, infinite=True)
    if p.ndim:
        raise ValueError(f"p must be one number, got shape {p.shape}")
    if p < 1:
        raise ValueError(f"p must be at least 1, got {p}: below 1 it is not a norm")
    return float(p)


def lp_ball(n: int, p: Any, radius: Any = 1.0) -> Set:
    """{s : |s|_p <= r} in R^n: CrossPolytope, Ball and Box for p = 1, 2 and inf."""
    from subgrad.sets.ball import Ball
    from subgrad.sets.box import Box
    from subgrad.sets.hull import CrossPolytope

    p, n = exponent(p), count(n)
    if p == 1:
        return CrossPolytope(n, radius)
    if p == 2:
        return Ball(np.zeros(n), radius)
    if p == np.inf:
        r = nonnegative("radius", radius)[..., None] + np.zeros(n)
        return Box._raw(-r, r)
    return LpBall(n, p, radius)


def _log_norm(g: Array, p: float) -> Array:
    """log of the p-norm of exp g."""
    top = g.max(-1, keepdims=True)
    return top + np.log(np.exp(p * (g - top)).sum(-1, keepdims=True)) / p


def _to_sphere(a: Array, r: Array, p: float, q: float) -> Array:
    r"""The nearest point of the p-ball of radius r > 0, to a >= 0 outside it.

    .. math:: x + μ x^{p-1} = a, \quad |x|_p = r

    in z = log(x / r), ν = log μ and g = log a, all scaled: the first equation says
    that log-sum-exp of two affine functions of z is g, convex and increasing, so that
    Newton's iteration reaches z from anywhere. F(ν) = log |x / r|_p falls from F_0 =
    log |a / r|_p; Newton's iteration on log(F_0 - F), about linear in ν at both ends,
    stays between bounds: with c = min(1, n^(1/q - 1/p)),

    .. math:: c (|a|_p - r) \le |a - x|_q = μ r^{p-1} \le |a|_q
    """
    k, n = p / q, a.shape[-1]
    top, r = a.max(-1, keepdims=True), r[..., None]
    with np.errstate(divide="ignore"):
        g = np.maximum(np.log(a / top), _FAR)
    with np.errstate(over="ignore"):
        ratio = top / r
    shift = np.where(np.isinf(ratio), np.log(top) - np.log(r), np.log(ratio))
    goal = shift + _log_norm(g, p)
    # Where rounding sees no difference, x = a.
    done = goal <= 0
    goal = np.maximum(goal, _EPS)
    less = goal + np.log(-np.expm1(-goal))  # log(|a / r|_p - 1)
    high = _log_norm(g, q)
    low = np.minimum(min(0.0, (1 / q - 1 / p) * np.log(n)) + less - shift, high)
    nu = np.clip(high + less - goal, low, high)
    z = np.full(a.shape, np.inf)
    for _ in range(100):
        z, beta = _inner(
            np.fmin(z, np.minimum(shift + g, (g - nu) / k)), g, shift, nu, k
        )
        F = _log_norm(z, p)
        low, high = np.where(F > 0, nu, low), np.where(F > 0, high, nu)
        w = np.exp(p * (z - F))
        fall = beta / (1 + (k - 1) * beta)  # -dz/dν
        slope, lost = (w * fall).sum(-1, keepdims=True), goal - F
        with np.errstate(all="ignore"):
            new = nu - np.log(lost / goal) * lost / slope
        new = np.where((new > low) & (new < high), new, (low + high) / 2)
        done = done | (np.abs(F) <= 4 * _EPS) | (high - low <= _EPS * np.abs(nu))
        if np.all(done):
            break
        new = np.where(done, nu, new)
        z, nu = z - fall * (new - nu), new
    # The last digits of μ are those of the scale of x.
    return np.minimum(r * np.exp(z - F), a)


def _inner(
    z: Array, g: Array, shift: Array, nu: Array, k: float
) -> tuple[Array, Array]:
    """The z with log(exp(z - shift) + exp(ν + k z)) = g, and the second one's share."""
    tol = 8 * _EPS * (1 + np.abs(g) + np.abs(nu))
    for _ in range(100):
        other = nu + k * z
        total = np.logaddexp(z - shift, other)
        share = np.exp(other - total)
        gap = total - g
        z = z - gap / (1 + (k - 1) * share)
        if np.all(np.abs(gap) <= tol):
            break
    return z, share
