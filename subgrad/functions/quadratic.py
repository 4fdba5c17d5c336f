"""Convex quadratics: positive semidefinite forms, multiples of the squared norm."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from subgrad._check import Array, positive, real
from subgrad._jacobian import GeneralJacobian, Jacobian
from subgrad.core import Function, Mask, Set
from subgrad.sets.ball import Ball
from subgrad.sets.box import point


class Quadratic(Function):
    r"""f(x) = ½ <x, P x>, P symmetric positive semidefinite, dense or scipy.sparse.

    .. math:: \partial f(x) = \{P x\}, \quad prox_{tf}(x) = (I + t P)^{-1} x, \quad
       f^*(g) = ½ <g, P^+ g> + ι_{range P}(g)

    ValueError if P is not symmetric, or has an eigenvalue below -1e-10 |P|.
    """

    infimum = 0.0

    def __init__(self, P: Any) -> None:
        self._sparse = hasattr(P, "toarray")
        self._last: Any = None  # what _solver has factored
        self.P: Any = P.tocsr() if self._sparse else real("P", P)
        if self._sparse:
            real("P", self.P.data)
        if self.P.ndim != 2 or self.P.shape[0] != self.P.shape[1] or 0 in self.P.shape:
            raise ValueError(f"P must be a square matrix, got shape {self.P.shape}")
        self.n = self.P.shape[0]
        size = float(abs(self.P).max())
        if size == 0:
            return
        if abs(self.P - self.P.T).max() > 1e-12 * size:
            raise ValueError("P must be symmetric")
        if self._least() < -1e-10 * size * self.n:
            raise ValueError("P must be positive semidefinite: f is not convex")

    def _least(self) -> float:
        """The least eigenvalue, or a bound on it that decides."""
        if self._sparse and self.n > 500:
            from scipy.sparse.linalg import eigsh

            return float(eigsh(self.P, 1, which="SA", return_eigenvectors=False)[0])
        return float(np.linalg.eigvalsh(self._dense())[0])

    def _dense(self) -> Array:
        return self.P.toarray() if self._sparse else self.P

    def _key(self) -> tuple[Any, ...]:
        return (self._dense(),)

    def _times(self, x: Array) -> Array:
        if self._sparse and x.ndim > 1:
            flat = np.asarray(self.P @ x.reshape(-1, self.n).T).T
            return flat.reshape(x.shape)
        return self.P @ x if x.ndim == 1 else x @ self.P

    def _value(self, x: Array) -> Array:
        return 0.5 * np.vecdot(x, self._times(x))

    def _subgradient(self, x: Array) -> Array:
        return self._times(x)

    def _oracle(self, x: Array) -> tuple[Array, Array]:
        g = self._times(x)
        return 0.5 * np.vecdot(x, g), g

    def _subdifferential(self, x: Array, eps: Array) -> Set:
        return point(self._times(x))

    def _directional(self, x: Array, d: Array) -> Array:
        return np.vecdot(self._times(x), d)

    @cached_property
    def _spectrum(self) -> tuple[Array, Array]:
        """Eigenvalues and eigenvectors, with which every t costs two products."""
        w, V = np.linalg.eigh(self._dense())
        return np.maximum(w, 0.0), V

    def _solver(self, t: float) -> Any:
        """The factors of I + t P; those of the last t are kept."""
        from scipy.sparse import eye_array
        from scipy.sparse.linalg import splu

        last = self._last
        if last is None or last[0] != t:
            last = (t, splu((eye_array(self.n) + t * self.P).tocsc()))
            self._last = last
        return last[1]

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        state.pop("_spectrum", None)
        return state | {"_last": None}

    def _prox(self, x: Array, t: Array) -> Array:
        t = np.asarray(t)
        if not self._sparse:
            w, V = self._spectrum
            return (x @ V / (1 + t[..., None] * w)) @ V.T
        lead = np.broadcast_shapes(x.shape[:-1], t.shape)
        x = np.broadcast_to(x, (*lead, self.n))
        t = np.broadcast_to(t, lead)
        p = np.empty(x.shape)
        for step in np.unique(t):
            p[t == step] = self._solver(float(step)).solve(x[t == step].T).T
        return p

    def _prox_jacobian(self, x: Array, t: Any) -> GeneralJacobian:
        return GeneralJacobian(lambda v: self._prox(v, np.asarray(t)), self.n)

    def conjugate(self) -> Function:
        from subgrad.functions.indicator import Indicator
        from subgrad.sets.affine_subspace import AffineSubspace

        w, V = self._spectrum
        keep = w > self.n * np.finfo(float).eps * max(w[-1], 0.0)
        inverse = (V[:, keep] / w[keep]) @ V[:, keep].T
        star = Quadratic((inverse + inverse.T) / 2)
        if np.all(keep):
            return star
        directions = np.concatenate([V[:, keep].T, np.zeros((1, self.n))])
        return star + Indicator(AffineSubspace(np.zeros(self.n), directions))

    def _cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        return 0.5 * cp.quad_form(x, self.P, assume_PSD=True)


class SquaredNorm(Function):
    r"""f(x) = c/2 |x|², c > 0 one or one per problem.

    .. math:: \partial_e f(x) = \{g : |g - c x|² \le 2 c e\}, \quad
       f^* = 1/(2c) |.|^2, \quad prox_{tf}(x) = x / (1 + c t)

    `squared_norm` is |x|² (c = 2).
    """

    infimum = 0.0

    def __init__(self, c: Any = 1.0) -> None:
        self.c = positive("c", c)

    def _key(self) -> tuple[Any, ...]:
        return (self.c,)

    def _value(self, x: Array) -> Array:
        return 0.5 * self.c * np.vecdot(x, x)

    def _subgradient(self, x: Array) -> Array:
        return self.c[..., None] * x

    def _subdifferential(self, x: Array, eps: Array) -> Set:
        g = self._subgradient(x)
        return Ball(g, np.sqrt(2 * self.c * eps)) if np.any(eps) else point(g)

    def _directional(self, x: Array, d: Array) -> Array:
        return np.vecdot(self._subgradient(x), d)

    def _nondecreasing(self, low: Array) -> Mask:
        return low >= 0

    def _prox(self, x: Array, t: Array) -> Array:
        return x / (1 + self.c * t)[..., None]

    def _prox_jacobian(self, x: Array, t: Any) -> Jacobian:
        shrink = np.asarray(1 / (1 + self.c * t))[..., None]
        return Jacobian(np.broadcast_to(shrink, x.shape))

    def _dual_prox(self, y: Array, s: Any) -> Array:
        return y * np.asarray(self.c / (self.c + s))[..., None]

    def conjugate(self) -> Function:
        return SquaredNorm(1 / self.c)

    def _cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        return 0.5 * float(self.c) * cp.sum_squares(x)


squared_norm = SquaredNorm(2.0)


def split_quadratic(f: Any, n: int) -> tuple[Function | None, Array, Array, Array]:
    r"""f = rest + <c, .> + q/2 |.|² + a as (rest, q, c, a); rest None if it cannot.

    Exactly one part may be neither affine nor a multiple of a squared distance.
    """
    from subgrad.calculus.precompose import Precomposed
    from subgrad.calculus.scale import Scaled
    from subgrad.functions.linear import Affine

    zero = np.zeros(n)
    rest, q, c, offset = [], np.zeros(()), zero, np.zeros(())
    a: Any
    g: Any
    for part in f.parts:
        a, g = (part.a, part.f) if isinstance(part, Scaled) else (np.ones(()), part)
        inner = g.f if isinstance(g, Precomposed) else g
        if isinstance(g, Affine):
            c = c + a[..., None] * g._gradient(n)
        elif isinstance(inner, SquaredNorm) and (g is inner or g.op.scalar is not None):
            s, b = (1.0, None) if g is inner else (g.op.scalar, g.map.b)
            q = q + a * inner.c * s**2
            c = c if b is None else c + (a * inner.c * s)[..., None] * b
        else:
            rest.append(part)
            continue
        offset = offset + a * g._value(zero)
    return (rest[0] if len(rest) == 1 else None), q, c, offset
