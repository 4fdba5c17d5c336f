r"""The matrix fractional function tr Xᵀ P⁻¹ X, convex in X and P together.

.. math:: f(X, P) = \begin{cases} tr X^T P^+ X & P \succeq 0, \
   range X \subseteq range P \\ +\infty & \text{otherwise} \end{cases}

Burke & Hoheisel, SIAM J. Optim. 25, 2015; Boyd & Vandenberghe, Convex Optimization.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array, real
from subgrad.affine import AffineMap, Sparse, vstack
from subgrad.core import Function, Set
from subgrad.functions.support import Support
from subgrad.sets.matrix_parabola import MatrixParabola, stationary


class MatrixFrac(Support):
    r"""f(X, P) of the vector (X, P), in row order: X (n, m), P (n, n) by its symmetric
    part.

    .. math:: \partial f(X, P) = \{(2 w, -w w^T)\}, \ w = P^{-1} X, \quad P \succ 0

    and at a singular P the set of all (s, S) with S + ¼ s sᵀ ⪯ 0 that are
    (2 w, -w wᵀ) but for the kernel of P, w = P⁺ X (`MatrixParabola`).
    """

    S: MatrixParabola

    def __init__(self, n: int, m: int = 1) -> None:
        super().__init__(MatrixParabola(n, m))

    def _key(self) -> tuple[Any, ...]:
        return (self.S.n, self.S.m)

    def _interior(self, x: Array) -> Any:
        # The domain is {P >= 0} up to closure, of full dimension.
        return np.all(~self.S._reduce(x)[3], -1) & np.isfinite(self._value(x))

    def _directional(self, x: Array, d: Array) -> Array:
        r"""The support function of the face; +inf where P + t D is never semidefinite.

        With U a basis of the kernel of P and z in that of UᵀDU that is where
        D U z != 0: the eigenvalue then falls like -t².
        """
        face: Any = self.S._face(x, np.zeros(()))
        slope = face._support(d)
        _, D = self.S.split(d)
        _, V, _, null, _ = face._reduce(d)
        Z = D @ np.where(null[..., None, :], V, 0.0)
        Z = Z - face.U @ (face.U.mT @ Z)
        size = np.abs(D).sum(-1).max(-1)
        return np.where(np.abs(Z).max((-2, -1)) > 1e-9 * size, np.inf, slope)

    def _to_domain(self, x: Array) -> Array:
        X, P = self.S.split(x)
        k = self.S.n * self.S.m
        a, Q = np.linalg.eigh(P)
        odd = x[..., k:].reshape(P.shape) - P
        return self.S.join(X, (Q * np.maximum(a, 0)[..., None, :]) @ Q.mT + odd)

    def _prox(self, x: Array, t: Array) -> Array:
        """t (½ L Y, L), Y and L those of the projection of x / t on the set: what is
        left of P is semidefinite as computed, and X in its range."""
        lead = np.broadcast_shapes(x.shape[:-1], t.shape)
        x, t = np.broadcast_to(x, (*lead, self.n)), np.broadcast_to(t, lead)
        out = np.empty(x.shape)
        for i in np.ndindex(lead):
            X, P = self.S.split(x[i])
            odd = x[i][X.size :].reshape(P.shape) - P
            _, L, LY = stationary(X / t[i], P / t[i], np.eye(self.S.m))
            out[i] = self.S.join(t[i] * LY / 2, t[i] * L + odd)
        return out

    def __repr__(self) -> str:
        return f"MatrixFrac({self.S.n}, {self.S.m})"


class _Call:
    """matrix_frac(X, P): of arrays the value, of maps of one variable a Function."""

    __array_ufunc__ = None

    def at(self, n: int, m: int = 1) -> MatrixFrac:
        """The Function of the stacked vector (X, P), X of m columns."""
        return MatrixFrac(n, m)

    def __call__(self, X: Any, P: Any) -> Any:
        for name, a in (("X", X), ("P", P)):
            if isinstance(a, Function | Set):
                raise TypeError(f"{name} must be an affine map or an array")
        maps = [a for a in (X, P) if isinstance(a, AffineMap)]
        X, P = (
            a if isinstance(a, AffineMap) else real(name, a)
            for name, a in (("X", X), ("P", P))
        )
        if len(X.shape) not in (1, 2) or P.shape != (X.shape[0], X.shape[0]):
            raise ValueError(
                f"X must have shape (n,) or (n, m) and P (n, n), got {X.shape} and "
                f"{P.shape}"
            )
        f = MatrixFrac(X.shape[0], X.shape[1] if len(X.shape) == 2 else 1)
        if not maps:
            return f.value(np.concatenate([np.ravel(X), np.ravel(P)]))
        return f(vstack(*(_as_map(a, maps[0]) for a in (X, P))))

    def __repr__(self) -> str:
        return "matrix_frac"


def _as_map(a: Any, like: AffineMap) -> AffineMap:
    """An array as the constant map of a variable."""
    if isinstance(a, AffineMap):
        return a
    from scipy.sparse import csr_array

    nothing = Sparse(csr_array((a.size, like.cols)))
    return AffineMap(like.variable, nothing, np.ravel(a), (a.size,))


matrix_frac = _Call()
