"""The distance to a closed convex set."""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad._jacobian import GeneralJacobian, Jacobian
from subgrad.core import Function, Set, norm, unit
from subgrad.sets.ball import Ball, ConeBall
from subgrad.sets.box import point


class Distance(Function):
    r"""d_S(x) = min{|x - s| : s in S}.

    .. math:: \partial d_S(x) = \{(x - p)/|x - p|\} \ (x \notin S), \quad
       N_S(x) \cap B \ (x \in S), \quad d_S^* = h_S + \iota_B

    p = P_S(x); the prox moves towards p by at most t. Bauschke & Combettes, Convex
    Analysis and Monotone Operator Theory, 16.62.
    """

    infimum = 0.0

    def __init__(self, S: Set) -> None:
        if not isinstance(S, Set):
            raise TypeError(f"Distance takes a Set, got {type(S).__name__}")
        if not np.all(S.nonempty):
            raise ValueError("Distance needs a nonempty set")
        self.S, self.n = S, S.dim

    def _key(self) -> tuple[Any, ...]:
        return (self.S,)

    def _away(self, x: Array) -> tuple[Array, Array]:
        """P_S(x), and x - P_S(x), zero where that is rounding."""
        p = self.S._project(x)
        away = x - p
        blur = 64 * np.finfo(away.dtype).eps * (norm(x) + norm(p))
        return p, np.where((norm(away) <= blur)[..., None], 0.0, away)

    def _value(self, x: Array) -> Array:
        return norm(self._away(x)[1])

    def _subgradient(self, x: Array) -> Array:
        return unit(self._away(x)[1])

    def _oracle(self, x: Array) -> tuple[Array, Array]:
        away = self._away(x)[1]
        return norm(away), unit(away)

    def _subdifferential(self, x: Array, eps: Array) -> Set:
        p, away = self._away(x)
        inside = norm(away) == 0
        if np.any(inside):
            cone = self.S._normal_cone(p, np.zeros(()))
        else:  # It counts with the factor 0.
            cone = point(np.zeros(self.S.dim))
        return ConeBall._raw(unit(away), np.where(inside, 1.0, 0.0), cone)

    def _directional(self, x: Array, d: Array) -> Array:
        return self._subdifferential(x, np.zeros(()))._support(d)

    def _prox(self, x: Array, t: Array) -> Array:
        p = self.S._project(x)
        size = norm(x - p)
        share = np.minimum(1.0, t / np.where(size > 0, size, 1.0))
        return x + share[..., None] * (p - x)

    def _prox_jacobian(self, x: Array, t: Any) -> Any:
        r"""I - (t / |r|) (C - w wᵀ) where |r| > t, r = x - P(x) = |r| w, C = I - J."""
        J, away = self.S._project_jacobian(x), x - self.S._project(x)
        size = float(norm(away))
        if size <= t:
            return J
        share, w, C = float(t) / size, away / size, J.complement()
        if isinstance(C, Jacobian) and C.u is None:
            return Jacobian(1 - share * C.d, w, 1.0)  # w lies where C is 1
        return GeneralJacobian(
            lambda v: v - share * (C.apply(v) - w * (w @ v)), x.shape[-1]
        )

    def conjugate(self) -> Function:
        from subgrad.functions.indicator import Indicator
        from subgrad.functions.support import Support

        return Support(self.S) + Indicator(Ball(np.zeros(self.S.dim), 1.0))

    def _cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        z = cp.Variable(self.S.dim)
        return cp.norm2(x - z) + cp.transforms.indicator(self.S.to_cvxpy(z))


def distance(S: Set) -> Distance:
    """d_S(x) = min{|x - s| : s in S}."""
    return Distance(S)


def squared_distance(S: Set) -> Function:
    r"""d_S(x)², with the gradient 2 (x - P_S(x)): an envelope of the indicator of S."""
    from subgrad.calculus.envelope import moreau_envelope
    from subgrad.functions.indicator import Indicator

    return moreau_envelope(Indicator(S), 0.5)
