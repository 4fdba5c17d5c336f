r"""Multiples: the subdifferential of a f is a S, for a > 0.

.. math:: h_{aS}(d) = a h_S(d), \qquad \partial(af)(x) = a \partial f(x)

As functions 0·f is the indicator of the domain of f, with the normal cone of the domain
as subdifferential; as sets 0·S is the recession cone of S.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from subgrad._check import Array, brief, real
from subgrad.core import Function, Mask, Set
from subgrad.interval import Interval
from subgrad.sets.box import Box


class ScaledSet(Set):
    """a S of a number a != 0 (one per member of the batch); a < 0 reflects."""

    _arrays: ClassVar = Set._arrays | {"factor": 0}
    _parts: ClassVar = ("base",)

    def __init__(self, base: Set, factor: Array) -> None:
        self.base, self.factor, self.dim = base, factor, base.dim
        self.polyhedral = base.polyhedral

    def _turned(self, d: Array) -> Array:
        return np.sign(self.factor)[..., None] * d

    def _support(self, d: Array) -> Array:
        return np.abs(self.factor) * self.base.support(self._turned(d))

    def _support_point(self, d: Array) -> Array:
        return self.factor[..., None] * self.base._support_point(self._turned(d))

    def _atom(self, d: Array) -> tuple[Array, Array | None]:
        s, ray = self.base._atom(self._turned(d))
        return self.factor * s, None if ray is None else self._turned(ray)

    def _face(self, d: Array, eps: Array) -> Set:
        face = self.base.exposed_face(self._turned(d), eps / np.abs(self.factor))
        return scaled_set(face, self.factor)

    def _project(self, y: Array) -> Array:
        a = self.factor[..., None]
        return a * self.base._project(y / a)

    def _project_jacobian(self, y: Array) -> Any:
        return self.base._project_jacobian(y / self.factor)

    def _gauge(self, z: Array) -> Any:
        return self.base._gauge(z / self.factor)

    def _costs(self, d: Array) -> Array:
        return np.abs(self.factor)[..., None] * self.base._costs(self._turned(d))

    def _corners(self) -> Any:
        corners = self.base._corners()
        if corners is None:
            return None
        return self.factor * corners[0], self.factor * corners[1]

    def _interior(self, z: Array) -> Any:
        return self.base._interior(z / self.factor[..., None])

    def _feasible(self, x: Array, d: Array) -> Any:
        a = self.factor[..., None]
        return self.base._feasible(x / a, d / a)

    def _box(self) -> Interval:
        return self.base.box() * self.factor[..., None]

    def _normal_cone(self, x: Array, eps: Array) -> Set:
        a = self.factor[..., None]
        # h_aS(g) - <g, x> = |a| (h_S(s g) - <s g, x / a>), s the sign of a.
        cone = self.base._normal_cone(x / a, eps / np.abs(self.factor))
        return scaled_set(cone, np.sign(self.factor))

    def _recession(self) -> Set:
        return scaled_set(self.base.recession_cone(), np.sign(self.factor))

    def _part(self, low: Mask, high: Mask) -> Set:
        if np.any(self.factor < 0):
            return super()._part(low, high)
        return scaled_set(self.base._part(low, high), self.factor)

    def _cvxpy(self, z: Any, scale: Any) -> list[Any]:
        s = float(np.sign(self.factor))
        return self.base.to_cvxpy(s * z, float(np.abs(self.factor)) * scale)

    def _support_cvxpy(self, x: Any) -> Any:
        return float(np.abs(self.factor)) * self.base._support_cvxpy(
            float(np.sign(self.factor)) * x
        )


def scaled_set(S: Set, a: Array) -> Set:
    """a S; where a = 0 the recession cone of S, empty if S is."""
    if a.ndim == 0 and a == 1:
        return S
    zero = a == 0
    if np.any(zero):
        from subgrad.calculus.maximum import union

        cone = union(
            [scaled_set(S, np.where(zero, 1.0, a)), S.recession_cone()],
            np.stack([~zero, zero], axis=-1),
        )
        return cone.restrict(S.nonempty)
    if isinstance(S, Box):
        return Box(S.box() * a[..., None]).proved(S.exact)
    if isinstance(S, ScaledSet) and S._mask is np.True_ and S._proved is np.True_:
        return scaled_set(S.base, S.factor * a)
    return ScaledSet(S, a)


class Scaled(Function):
    """a f, a >= 0, one number or one per problem."""

    def __init__(self, f: Function, a: Array) -> None:
        self.f, self.a = f, a
        self.n, self.variable, self.polyhedral = f.n, f.variable, f.polyhedral
        self.finite = f.finite

    @cached_property
    def _vanishes(self) -> bool:
        """Whether a is zero, for any problem."""
        return bool(np.any(self.a == 0))

    @property
    def infimum(self) -> float:  # type: ignore[override]
        low = self.f.infimum
        if np.all(self.a == 0):
            return 0.0
        return float(np.min(self.a * low)) if np.isfinite(low) else low

    @property
    def domain(self) -> Set:
        return self.f.domain

    def _key(self) -> tuple[Any, ...]:
        return (self.a, self.f)

    def _times(self, v: Array) -> Array:
        """a v with 0 · (+inf) = +inf: outside the domain stays outside."""
        if self.f.finite:
            return self.a * v
        v = np.where((self.a == 0) & np.isneginf(v), 0.0, v)
        with np.errstate(invalid="ignore"):
            return np.where(np.isposinf(v), v, self.a * v)

    def _value(self, x: Array) -> Array:
        return self._times(self.f._value(x))

    def _slope(self, g: Array) -> Array:
        """a g; 0 is a subgradient of 0 f wherever it is finite."""
        a = self.a[..., None]
        return a * g if self.f.finite else np.where(a == 0, 0.0, a * g)

    def _subgradient(self, x: Array) -> Array:
        return self._slope(self.f._subgradient(x))

    def _oracle(self, x: Array) -> tuple[Array, Array]:
        v, g = self.f._oracle(x)
        return self._times(v), self._slope(g)

    def _subdifferential(self, x: Array, eps: Array) -> Set:
        zero = self.a == 0
        share = eps / np.where(zero, 1.0, self.a) if np.any(eps) else eps
        S = self.f._subdifferential(x, share)
        if not np.any(zero):
            return scaled_set(S, self.a)
        from subgrad.calculus.maximum import union

        both = [scaled_set(S, np.where(zero, 1.0, self.a)), self.f._normal(x)]
        inside = ~np.isposinf(self.f._value(x))
        return union(both, np.stack([~zero, zero], axis=-1)).restrict(inside)

    def _directional(self, x: Array, d: Array) -> Array:
        return self._times(self.f._directional(x, d))

    def _costs(self, x: Array) -> Array:
        a = self.a[..., None]
        with np.errstate(invalid="ignore"):
            return np.where(a == 0, 0.0, a * self.f._costs(x))

    def _normal(self, x: Array) -> Set:
        return self.f._normal(x)

    def _interior(self, x: Array) -> Any:
        return self.f._interior(x)

    def _nondecreasing(self, low: Array) -> Mask:
        return self.f._nondecreasing(low)

    def _prox(self, x: Array, t: Array) -> Array:
        if not self._vanishes:
            return self.f._prox(x, t * self.a)
        zero = self.a == 0
        p = self.f._prox(x, t * np.where(zero, 1.0, self.a))
        return np.where(zero[..., None], self.f._to_domain(x), p)

    def _prox_jacobian(self, x: Array, t: Any) -> Any:
        if self.a == 0:
            return self.f.domain._project_jacobian(x)
        return self.f._prox_jacobian(x, t * self.a)

    def _dual_prox(self, y: Array, s: Any) -> Array:
        """a prox of (s / a) f* at y / a."""
        if self._vanishes:
            return super()._dual_prox(y, s)
        a = self.a
        return a[..., None] * self.f._dual_prox(y / a[..., None], s / a)

    def _dual_prox_jacobian(self, y: Array, s: Any) -> Any:
        if self._vanishes:
            return super()._dual_prox_jacobian(y, s)
        return self.f._dual_prox_jacobian(y / self.a[..., None], s / self.a)

    def conjugate(self) -> Function:
        r"""(a f)*(g) = a f*(g / a)."""
        from subgrad.affine import multiple

        if self._vanishes:
            from subgrad.functions.support import Support

            if self.a.ndim:
                raise NotImplementedError("conjugate of 0 f in a batch")
            return Support(self.domain)
        star = self.f.conjugate()
        return scale(star(multiple(1.0 / self.a, star.n)), self.a)

    def _cvxpy(self, x: Any) -> Any:
        inner = self.f._cvxpy(x)
        if self.a == 0 and not self.f.finite:
            import cvxpy as cp

            return cp.transforms.indicator([inner <= cp.Variable()])
        return float(self.a) * inner

    @brief
    def __repr__(self) -> str:
        return f"{self.a} * {self.f!r}"


def scale(f: Function, a: Any) -> Function:
    """a f, a >= 0; also a < 0 where f is affine."""
    from subgrad.functions.linear import Affine

    a = real("factor", a)
    if isinstance(f, Affine):
        return Affine(f.map * a[..., None] if a.ndim else f.map * a)
    if np.any(a < 0):
        raise ValueError(
            f"factor must be nonnegative, got {a.min()}: a negative multiple of a "
            "convex function is concave, not convex; to maximise, minimise the "
            "negative of a concave model, and for |a| f(-x) compose with -x instead"
        )
    if a.ndim == 0 and a == 1:
        return f
    if isinstance(f, Scaled):
        return Scaled(f.f, f.a * a) if np.all(a > 0) or f.f.finite else Scaled(f, a)
    return Scaled(f, a)
