r"""The hypograph of minus an exponential, of which relative entropy is the support."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from subgrad._check import Array, count
from subgrad._jacobian import Jacobian
from subgrad.core import Mask, Set
from subgrad.sets.cone import Cone


class ExponentialHypograph(Set):
    r"""S = {(s, r) in R^n x R^n : r_i <= -exp(s_i - 1)}.

    .. math:: h(x, y) = \sum_i x_i \log (x_i / y_i) \ (x, y \ge 0), \quad
       +\infty \text{ otherwise, and where } x_i > 0 = y_i

    A product of n sets in the plane. The exposed face of one is a point where x, y > 0,
    itself where x = y = 0, and empty where x = 0 < y: the supremum 0 is not attained.
    Projection of (a, b): with E = exp(s - 1), r = -E and s + E (E + b) = a.
    """

    _arrays: ClassVar = Set._arrays | {"free": 1, "tip": 1}

    def __init__(self, n: int) -> None:
        self._set(np.ones(count(n), bool), np.zeros(2 * count(n)))

    def _set(self, free: Mask, tip: Array) -> ExponentialHypograph:
        # Where a pair is not free it is fixed at the tip.
        self.free, self.tip, self.dim = free, tip, tip.shape[-1]
        return self

    @classmethod
    def _raw(cls, free: Mask, tip: Array) -> ExponentialHypograph:
        return cls.__new__(cls)._set(free, tip)

    def _halves(self, v: Array) -> tuple[Array, Array]:
        n = self.dim // 2
        return v[..., :n], v[..., n:]

    def _fixed(self, v: Array, tip: Array) -> Array:
        """v in the free pairs, the tip in the others."""
        return np.where(np.concatenate([self.free, self.free], -1), v, tip)

    def _support(self, d: Array) -> Array:
        from scipy.special import rel_entr

        x, y = self._halves(d)
        bad = self.free & (y < 0)
        own = rel_entr(x, np.where(bad, -1.0, y))
        fixed = np.vecdot(self._fixed(np.zeros_like(d), self.tip), d)
        return np.where(self.free, own, 0.0).sum(-1) + fixed

    def _steep(self, x: Array, y: Array) -> Mask:
        """Where there is one support point, and x / y is a number."""
        return (x > 0) & (y > 0) & (x / np.finfo(x.dtype).max < y)

    def _touch(self, x: Array, y: Array) -> Array:
        """The support point in positive directions."""
        with np.errstate(over="ignore"):
            return np.concatenate([1 + np.log(x) - np.log(y), -x / y], -1)

    def _support_point(self, d: Array) -> Array:
        some = self._face(d, np.zeros(())).nonempty
        return np.where(some[..., None], self._near(d), np.nan)

    def _near(self, d: Array) -> Array:
        """A support point, or a member nearly as good where there is none."""
        x, y = self._halves(d)
        top = np.maximum(np.maximum(np.abs(x), np.abs(y)), np.finfo(float).tiny)
        steep = self._steep(x, y)
        x, y = (np.where(steep, v, np.maximum(v, 1e-8 * top)) for v in (x, y))
        return self._fixed(self._touch(x, y), self.tip)

    def _atom(self, d: Array) -> tuple[Array, Array | None]:
        ray = self._fixed(np.minimum(d, 0), np.zeros_like(d))
        if not ray.any():
            # Where x > 0 = y no ray rises: the supremum grows like a logarithm.
            return self._near(d), None
        return self._near(d), ray

    def _face(self, d: Array, eps: Array) -> ExponentialHypograph:
        x, y = self._halves(d)
        steep, flat = self._steep(x, y), (x == 0) & (y == 0)
        touch = self._touch(np.where(steep, x, 1.0), np.where(steep, y, 1.0))
        tip = self._fixed(touch, self.tip)
        tip = np.where(np.concatenate([self.free & flat] * 2, -1), 0.0, tip)
        face = self._raw(self.free & flat, tip)
        return face.restrict(np.all(steep | flat | ~self.free, -1))

    def _split(self, v: Array) -> tuple[Array, Array]:
        """P(v), and v - P(v) without cancellation."""
        a, b = self._halves(v)
        with np.errstate(over="ignore"):
            inside = b <= -np.exp(a - 1)
        s, E = _foot(a, np.where(inside, 0.0, b))
        # a - s = E (b + E): of the two, the one that does not cancel.
        steep = (b < 0) & (E >= 1)
        lift = np.where(steep, (a - s) / np.where(steep, E, 1.0), b + E)
        lift = np.where(inside, 0.0, np.maximum(lift, 0))
        p = np.concatenate([np.where(inside, a, s), np.where(inside, b, -E)], -1)
        away = np.concatenate([lift * E, lift], -1)
        return self._fixed(p, self.tip), self._fixed(away, v - self.tip)

    def _project(self, y: Array) -> Array:
        return self._split(y)[0]

    def _project_jacobian(self, y: Array) -> Jacobian:
        """On the curve c = (s, -E) along c', 1 / (1 - <y - c, c''> / |c'|²)."""
        p, away = self._split(y)
        s, r = self._halves(p)
        E, lift = np.where(self.free, -r, 0.0), self._halves(away)[1]
        size = np.hypot(1.0, E)
        inside = self.free & (lift == 0)
        e = np.where(self.free, 1 / (1 + lift * E / size**2), 0.0)
        labels = np.tile(np.arange(len(s)), 2)
        d = np.tile(inside * 1.0, 2)
        return Jacobian(d, np.append(1 / size, -E / size), e, labels)

    def _edge(self, z: Array) -> tuple[Array, Any]:
        """exp(s - 1), and the free pairs on the curve."""
        s, r = self._halves(z)
        with np.errstate(over="ignore"):
            E = np.exp(s - 1)
        return E, self.free & (r >= -E * (1 + 1e-12))

    def _interior(self, z: Array) -> Any:
        _, on = self._edge(z)
        same = self._fixed(np.zeros_like(z), z - self.tip) == 0
        return np.all(~on, -1) & np.all(same, -1)

    def _normal_cone(self, x: Array, eps: Array) -> Set:
        from subgrad.sets.box import Box

        E, on = self._edge(x)
        n = self.dim // 2
        E = np.where(np.isfinite(E), E, 0.0)
        slopes = E[..., None] * np.eye(n)
        pair = np.concatenate([slopes, np.eye(n) + 0 * slopes], -1)
        line = self._fixed(np.zeros(self.dim), np.full(self.dim, np.inf))
        return Cone._raw(pair, on) + Box._raw(-line, line)

    def _feasible(self, x: Array, d: Array) -> Any:
        E, on = self._edge(x)
        s, r = self._halves(d)
        inner = ~on | (r < -E * s) | ((s == 0) & (r <= 0))
        return np.all(np.where(self.free, inner, (s == 0) & (r == 0)), -1)

    def _recession(self) -> Set:
        from subgrad.sets.box import Box

        low = self._fixed(np.full(self.dim, -np.inf), np.zeros(self.dim))
        return Box._raw(low, np.zeros_like(low))

    def _cvxpy(self, z: Any, scale: Any) -> list[Any]:
        import cvxpy as cp

        n = self.dim // 2
        on, off = np.flatnonzero(self.free), np.flatnonzero(~self.free)
        sides = [z[i] == scale * self.tip[i] for i in (off, off + n) if off.size]
        if on.size:
            # scale exp(s / scale - 1) <= -r.
            one = np.ones(on.size)
            sides.append(cp.ExpCone(z[on] - scale * one, scale * one, -z[on + n]))
        return sides

    def _support_cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        n = self.dim // 2
        tip = self._fixed(np.zeros(self.dim), self.tip)
        on = np.flatnonzero(self.free)
        own = cp.sum(cp.rel_entr(x[on], x[on + n])) if on.size else 0.0
        return own + tip @ x


def _foot(a: Array, b: Array) -> tuple[Array, Array]:
    r"""s and E = exp(s - 1) with s - a + E (E + b) = 0 and E >= -b.

    There the left side is convex and increasing in s, so that Newton's iteration falls
    to the root from any point above. Such are a; the root with E² left out, for b > 0,
    a Wright function; and, as log E >= 0 only helps, the root E of
    E (E + b) = max(a - 1, 0), if that is at least 1.
    """
    from scipy.special import wrightomega

    rest = np.maximum(a - 1, 0)
    half = np.hypot(b / 2, np.sqrt(rest))
    E = np.where(b > 0, rest / np.where(b > 0, half + b / 2, 1.0), half - b / 2)
    s = np.minimum(a, 1 + np.log(np.maximum(E, 1.0)))
    some = b > 0
    lone = wrightomega(a - 1 + np.log(np.where(some, b, 1.0)))
    s = np.where(some, np.minimum(s, a - lone), s)
    for _ in range(100):
        E = np.exp(s - 1)
        step = (s - a + E * (E + b)) / (1 + E * (2 * E + b))
        if np.all(step <= 4 * np.finfo(float).eps * np.maximum(np.abs(s), 1)):
            break
        s = s - np.maximum(step, 0)
    return s - step, E * (1 - step)
