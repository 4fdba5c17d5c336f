"""Indicator functions: 0 on a set, +inf off it; the subdifferential is normal."""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad.core import Function, Set
from subgrad.functions.support import Support


class Indicator(Function):
    r"""The indicator of a nonempty closed convex set; x within 1e-9 of it is inside.

    .. math:: \partial \iota_S(x) = N_S(x) = \{g : \langle g, s - x \rangle \le 0 \
       \forall s \in S\}, \quad \iota_S^* = h_S, \quad prox = P_S
    """

    finite = False
    infimum = 0.0

    def __init__(self, S: Set | Support) -> None:
        if not isinstance(S, Set | Support):
            raise TypeError(f"Indicator takes a Set, got {type(S).__name__}")
        if isinstance(S, Set) and not np.all(S.nonempty):
            raise ValueError("Indicator needs a nonempty set: +inf is not proper")
        self.S, self.polyhedral = S, S.polyhedral
        self.n = S.dim if isinstance(S, Set) else S.n

    def _body(self, n: int) -> Set:
        return self.S if isinstance(self.S, Set) else self.S._body(n)

    def _key(self) -> tuple[Any, ...]:
        return (self.S,)

    @property
    def domain(self) -> Set:
        if self.n is None:
            return super().domain
        return self._body(self.n)

    def _value(self, x: Array) -> Array:
        return np.where(self._body(x.shape[-1]).contains(x), 0.0, np.inf)

    def _subgradient(self, x: Array) -> Array:
        return np.where(self._value(x)[..., None] > 0, np.nan, np.zeros(x.shape))

    def _subdifferential(self, x: Array, eps: Array) -> Set:
        return self._body(x.shape[-1]).normal_cone(x, eps)

    def _directional(self, x: Array, d: Array) -> Array:
        S = self._body(x.shape[-1])
        return np.where(S._feasible(S._project(x), d), 0.0, np.inf)

    def _normal(self, x: Array) -> Set:
        return self._body(x.shape[-1]).normal_cone(x)

    def _interior(self, x: Array) -> Any:
        return self._body(x.shape[-1])._interior(x)

    def _to_domain(self, x: Array) -> Array:
        return self._body(x.shape[-1])._project(x)

    def _prox(self, x: Array, t: Array) -> Array:
        return self._body(x.shape[-1])._project(x)

    def _prox_jacobian(self, x: Array, t: Any) -> Any:
        return self._body(x.shape[-1])._project_jacobian(x)

    def conjugate(self) -> Function:
        return self.S if isinstance(self.S, Support) else Support(self.S)

    def _cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        n = x.shape[0] if x.shape else 1
        return cp.transforms.indicator(self._body(n).to_cvxpy(x))
