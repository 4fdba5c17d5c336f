"""Affine subspaces: the solutions of linear equations."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from subgrad._check import Array, real, vector
from subgrad._jacobian import LowRank
from subgrad.core import Set, norm
from subgrad.interval import Interval


class AffineSubspace(Set):
    r"""{p + span of the rows of `directions`}, a point p and k directions in R^n.

    .. math:: h(d) = \langle p, d \rangle \text{ if } d \perp \text{span},
       \quad +\infty \text{ otherwise}

    p (..., n); directions (..., k, n), of any rank. `AffineSubspace.solve(C, e)` is
    {s : C s = e}.
    """

    _arrays: ClassVar = Set._arrays | {"point": 1, "basis": 2}
    polyhedral = True
    _equations: tuple[Array, Array] | None = None

    def __init__(self, point: Any, directions: Any) -> None:
        p = vector("point", point, None)
        D = real("directions", directions)
        if D.ndim < 2 or D.shape[-1] != p.shape[-1]:
            raise ValueError(
                f"directions must be (..., k, {p.shape[-1]}), got {D.shape}"
            )
        # Right singular vectors above rounding; zero rows keep the shape over a batch.
        _, s, V = np.linalg.svd(D, full_matrices=False)
        top = s.max(-1, keepdims=True, initial=0.0)
        real_ = s > max(D.shape[-2:]) * np.finfo(float).eps * top
        self._set(p, V * real_[..., None])

    def _set(self, p: Array, basis: Array) -> AffineSubspace:
        self.basis, self.dim = basis, basis.shape[-1]
        self.point = p - self._along(p)
        return self

    @classmethod
    def solve(cls, C: Any, e: Any) -> AffineSubspace:
        """{s : C s = e}; ValueError if the equations contradict each other."""
        C, e = real("C", C), real("e", e)
        if C.ndim != 2 or e.shape != C.shape[:1]:
            raise ValueError(
                f"C must be (k, n) and e (k,), got {C.shape} and {e.shape}"
            )
        U, s, V = np.linalg.svd(C)
        tol = max(C.shape) * np.finfo(float).eps * s.max(initial=0.0)
        k = int((s > tol).sum())
        p = (U.T[:k] @ e / s[:k]) @ V[:k]
        if norm(C @ p - e) > 1e-9 * (1 + norm(e)):
            raise ValueError("the equations C s = e have no solution")
        S = cls.__new__(cls)
        S._set(p, np.concatenate([V[k:], np.zeros_like(V[:1])]))
        S._equations = C, e
        return S

    def equations(self) -> tuple[Array, Array]:
        """C and e with S = {s : C s = e}, of a single set: those it was made of."""
        if self._equations is None:
            _, s, V = np.linalg.svd(self.basis)
            C = V[int((s > 0.5).sum()) :]
            self._equations = C, C @ self.point
        return self._equations

    def _along(self, d: Array) -> Array:
        return np.vecmat(np.matvec(self.basis, d), self.basis)

    def _flat(self, d: Array) -> Array:
        return norm(self._along(d)) <= 1e-9 * norm(d)

    def _support(self, d: Array) -> Array:
        return np.where(self._flat(d), np.vecdot(self.point, d), np.inf)

    def _support_point(self, d: Array) -> Array:
        return self.point + np.zeros_like(d)

    def _atom(self, d: Array) -> tuple[Array, Array | None]:
        ray = self._along(d)
        return self._support_point(d), ray if norm(ray) > 1e-12 * norm(d) else None

    def _face(self, d: Array, eps: Array) -> Set:
        return self.restrict(self._flat(d))

    def _project(self, y: Array) -> Array:
        return self.point + self._along(y)

    def _project_jacobian(self, y: Array) -> LowRank:
        return LowRank(np.zeros(self.dim), self.basis.T, np.ones(len(self.basis)))

    def _box(self) -> Interval:
        wide = np.any(np.abs(self.basis) > 1e-12, axis=-2)
        low = np.where(wide, -np.inf, self.point)
        return Interval._raw(low, np.where(wide, np.inf, self.point))

    def _frame(self) -> Any:
        free = np.full(len(self.basis), np.inf)
        return self.point, self.basis.T, -free, free

    def _corners(self) -> Any:
        basis = self.basis[norm(self.basis) > 0]
        return self.point[None], np.concatenate([basis, -basis])

    def _interior(self, z: Array) -> Any:
        return self._contains(z, 1e-9)

    def _normal_cone(self, x: Array, eps: Array) -> Set:
        across = np.eye(self.dim) - self.basis.mT @ self.basis
        return AffineSubspace(np.zeros(self.dim), across)

    def _recession(self) -> AffineSubspace:
        new = AffineSubspace.__new__(AffineSubspace)
        return new._set(np.zeros(self.dim), self.basis)

    def _cvxpy(self, z: Any, scale: Any) -> list[Any]:
        import cvxpy as cp

        if self._equations is not None:
            C, e = self._equations
            return [C @ z == scale * e]
        w = cp.Variable(self.basis.shape[0])
        return [z == scale * self.point + self.basis.T @ w]

    def _support_cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        return self.point @ x + cp.transforms.indicator([self.basis @ x == 0])
