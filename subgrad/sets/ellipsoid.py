"""Ellipsoids, flat ones included."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from subgrad._check import Array, real, vector
from subgrad._jacobian import GeneralJacobian, of_level
from subgrad.core import Set, norm
from subgrad.interval import Interval

_EPS = float(np.finfo(float).eps)


class Ellipsoid(Set):
    r"""{c + u : <u, P⁺ u> <= 1, u in the range of P}, P positive semidefinite.

    .. math:: h(d) = \langle c, d \rangle + \langle d, P d \rangle^{1/2}

    Of an invertible P this is {x : <x - c, P⁻¹ (x - c)> <= 1}. center (..., n),
    P (..., n, n); eigenvalues below n · 2e-16 of the largest count as 0, and ValueError
    is raised for a P that is not symmetric or has one below -1e-10 n |P|. Faces are
    points, as copies shrunk to `radius` 0. Boyd and Vandenberghe, section 2.2.2.
    """

    _arrays: ClassVar = Set._arrays | {"center": 1, "radius": 0, "axes": 1, "basis": 2}

    def __init__(self, center: Any, P: Any) -> None:
        P = real("P", P)
        if P.ndim < 2 or P.shape[-1] != P.shape[-2] or 0 in P.shape:
            raise ValueError(f"P must have shape (..., n, n), got {P.shape}")
        n = P.shape[-1]
        size = np.abs(P).max((-1, -2), keepdims=True)
        if np.any(np.abs(P - P.mT) > 1e-12 * size):
            raise ValueError("P must be symmetric")
        w, V = np.linalg.eigh(P)
        if np.any(w < -1e-10 * n * size[..., 0]):
            raise ValueError(
                f"P must be positive semidefinite, got eigenvalue {w.min()}"
            )
        flat = w <= n * _EPS * w[..., -1:]
        axes = np.where(flat, 0.0, np.sqrt(np.where(flat, 0.0, w)))
        self._set(vector("center", center, n), np.ones(()), axes, V)

    def _set(
        self, center: Array, radius: Array, axes: Array, basis: Array
    ) -> Ellipsoid:
        self.center, self.radius, self.axes, self.basis = center, radius, axes, basis
        self.dim = center.shape[-1]
        return self

    def _like(self, center: Array, radius: Array) -> Ellipsoid:
        new = Ellipsoid.__new__(Ellipsoid)
        return new._set(center, radius, self.axes, self.basis)

    @property
    def P(self) -> Array:
        """The matrix, that of the shrunken copy for a face."""
        half = self.radius[..., None, None] * self.basis * self.axes[..., None, :]
        return half @ half.mT

    def _alive(self) -> Any:
        return self.radius >= 0

    def _turned(self, d: Array) -> Array:
        """Coordinates in the eigenbasis."""
        return d @ self.basis if self.basis.ndim == 2 else np.vecmat(d, self.basis)

    def _back(self, u: Array) -> Array:
        return u @ self.basis.T if self.basis.ndim == 2 else np.matvec(self.basis, u)

    def _half(self, d: Array) -> tuple[Array, Array]:
        """P^(1/2) d in the eigenbasis, and <d, P d>^(1/2), 0 where that is rounding."""
        v = self.axes * self._turned(d)
        size = norm(v)
        rounding = 4 * self.dim * _EPS * self.axes.max(-1) * norm(d)
        return v, np.where(size > rounding, size, 0.0)

    def _support(self, d: Array) -> Array:
        return np.vecdot(self.center, d) + self.radius * self._half(d)[1]

    def _offset(self, d: Array) -> tuple[Array, Array]:
        """s - c of the support point s for radius 1, and <d, P d>^(1/2)."""
        v, size = self._half(d)
        ok = (size > 0)[..., None]
        v = np.where(ok, v / np.where(ok, size[..., None], 1.0), 0.0)
        return self._back(self.axes * v), size

    def _support_point(self, d: Array) -> Array:
        return self.center + self.radius[..., None] * self._offset(d)[0]

    def _face(self, d: Array, eps: Array) -> Ellipsoid:
        # For eps > 0 the copy shrunk towards the support point by 1 - t, whose worst
        # member loses 2 t r <d, P d>^(1/2).
        s, size = self._offset(d)
        keep = eps / (2 * np.where(size > 0, size, 1.0))
        left = np.where(size > 0, np.minimum(self.radius, keep), self.radius)
        moved = np.where(size > 0, self.radius - left, 0.0)[..., None]
        return self._like(self.center + moved * s, left)

    def _costs(self, d: Array) -> Array:
        return (2 * self.radius * self._half(d)[1])[..., None]

    def _project(self, y: Array) -> Array:
        r"""s = α² u / (α² + λ) on the axes α, λ > 0 with |α u / (α² + λ)| = r.

        The inverse of that norm is concave and nearly linear in λ, so that Newton's
        iteration grows to the root from any bound below it: of a single term, or with
        the longest axis for all.
        """
        u = self._turned(y - self.center)
        top = (self.radius * self.axes.max(-1))[..., None]
        alpha = self.axes / np.where(top > 0, self.axes.max(-1)[..., None], 1.0)
        thick = (alpha > 0) & (top > 0)
        square = np.where(thick, alpha * alpha, 1.0)
        b = np.where(thick, alpha * u, 0.0) / np.where(top > 0, top, 1.0)
        lam = np.maximum((np.abs(b) - square).max(-1), norm(b) - 1.0)
        lam = np.maximum(lam, 0.0)[..., None]
        for _ in range(100):
            low = square + lam
            t = b / low
            size = norm(t)[..., None]
            share = np.square(t / np.where(size > 0, size, 1.0))
            slope = (share / low).sum(-1, keepdims=True)
            step = (size - 1) / np.where(slope > 0, slope, 1.0)
            grown = np.where(step > 4 * _EPS * lam, lam + step, lam)
            if np.array_equal(grown, lam):
                break
            lam = grown
        still = np.all((lam == 0) & (thick | (u == 0)), -1, keepdims=True)
        s = np.where(thick, u * (square / (square + lam)), 0.0)
        return np.where(still, y, self.center + self._back(s))

    def _project_jacobian(self, y: Array) -> GeneralJacobian:
        """On the axes that of a level set, outside; across them nothing moves."""
        p = self._project(y)
        u, s = self._turned(y - self.center), self._turned(p - self.center)
        thick = (self.axes > 0) & (self.radius > 0)
        safe = np.where(thick, self.axes, 1.0)
        top = self.axes.max()
        g = np.where(thick, s * (top / safe) ** 2, 0.0)
        size = float(g @ g)
        _, gauge, _ = self._measured(y)
        on = of_level(thick * 1.0, np.zeros(self.dim))
        if gauge > 1 and size > 0:
            mu = max(float((u - s) @ g) / size, 0.0)
            on = of_level(thick / (1 + mu * (top / safe) ** 2), g)
        return GeneralJacobian(
            lambda x: self._back(on.apply(self._turned(x))), self.dim
        )

    def _gauge(self, z: Array) -> Any:
        if np.any(self.center):
            return super()._gauge(z)
        _, gauge, off = self._measured(z)
        return np.where(off > 1e-12 * norm(z), np.inf, gauge)

    def _measured(self, z: Array) -> tuple[Array, Array, Array]:
        """u = z - c on the axes, |u / α| / r, and the length of u off the axes."""
        u = self._turned(z - self.center)
        thick = (self.axes > 0) & (self.radius > 0)[..., None]
        r = np.where(self.radius > 0, self.radius, 1.0)
        gauge = norm(np.where(thick, u / np.where(thick, self.axes, 1.0), 0.0)) / r
        return u, gauge, norm(np.where(thick, 0.0, u))

    def _interior(self, z: Array) -> Any:
        _, gauge, off = self._measured(z)
        return (gauge < 1) & (off <= 1e-9 * (1 + norm(z)))

    def _box(self) -> Interval:
        half = self.radius[..., None] * norm(self.basis * self.axes[..., None, :])
        return Interval._raw(self.center - half, self.center + half)

    def _flat(self) -> Array:
        """The directions of the basis across the ellipsoid, others 0, as rows."""
        across = (self.axes == 0) | (self.radius == 0)[..., None]
        return self.basis.mT * across[..., None]

    def _normal_cone(self, x: Array, eps: Array) -> Set:
        from subgrad.sets.affine_subspace import AffineSubspace
        from subgrad.sets.cone import Cone

        ray, on = self._ray(x)
        flat = AffineSubspace.__new__(AffineSubspace)
        flat._set(np.zeros(self.dim), self._flat())
        return Cone._raw(ray[..., None, :], on[..., None]) + flat

    def _ray(self, x: Array) -> tuple[Array, Array]:
        """The outer normal P⁺ (x - c), scaled, and where x is on the boundary."""
        u, gauge, _ = self._measured(x)
        top = self.axes.max(-1, keepdims=True)
        alpha = self.axes / np.where(top > 0, top, 1.0)
        inverse = np.where(alpha > 0, 1 / np.where(alpha > 0, alpha, 1.0), 0.0)
        on = (gauge >= 1 - 1e-12) & (self.radius > 0)
        return self._back(u * inverse * inverse), on

    def _feasible(self, x: Array, d: Array) -> Any:
        ray, on = self._ray(x)
        flat = norm(np.matvec(self._flat(), d)) <= 1e-12 * norm(d)
        inward = (np.vecdot(ray, d) < 0) | np.all(d == 0, -1)
        return flat & (~on | inward)

    def _cvxpy(self, z: Any, scale: Any) -> list[Any]:
        import cvxpy as cp

        w = cp.Variable(self.dim)
        half = self.basis * self.axes
        inside = cp.norm2(w) <= scale * float(self.radius)
        return [z == scale * self.center + half @ w, inside]

    def _support_cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        half = (self.basis * self.axes).T
        return self.center @ x + float(self.radius) * cp.norm2(half @ x)

    def __repr__(self) -> str:
        return f"Ellipsoid({self.center}, {self.P})"
