"""Functions that are expressions of others, with closed forms of their own."""

from __future__ import annotations

from typing import Any

from subgrad._check import Array
from subgrad.core import Function, Mask, Set


class _Derived(Function):
    """The same function as `base`: a subclass adds what it knows better.

    Everything a subclass does not write is asked of the expression.
    """

    def __init__(self, base: Function) -> None:
        self.base, self.n, self.variable = base, base.n, base.variable
        self.polyhedral, self.finite = base.polyhedral, base.finite

    @property
    def infimum(self) -> float:  # type: ignore[override]
        return self.base.infimum

    def _key(self) -> tuple[Any, ...]:
        return (self.base,)

    def _value(self, x: Array) -> Array:
        return self.base._value(x)

    def _subgradient(self, x: Array) -> Array:
        return self.base._subgradient(x)

    def _oracle(self, x: Array) -> tuple[Array, Array]:
        return self.base._oracle(x)

    def _subdifferential(self, x: Array, eps: Array) -> Set:
        return self.base._subdifferential(x, eps)

    def _directional(self, x: Array, d: Array) -> Array:
        return self.base._directional(x, d)

    def _prox(self, x: Array, t: Array) -> Array:
        return self.base._prox(x, t)

    def _prox_jacobian(self, x: Array, t: Any) -> Any:
        return self.base._prox_jacobian(x, t)

    def _costs(self, x: Array) -> Array:
        return self.base._costs(x)

    def _normal(self, x: Array) -> Set:
        return self.base._normal(x)

    def _interior(self, x: Array) -> Any:
        return self.base._interior(x)

    def _to_domain(self, x: Array) -> Array:
        return self.base._to_domain(x)

    def _nondecreasing(self, low: Array) -> Mask:
        return self.base._nondecreasing(low)

    @property
    def domain(self) -> Set:
        return self.base.domain

    def conjugate(self) -> Function:
        return self.base.conjugate()

    def _cvxpy(self, x: Any) -> Any:
        return self.base._cvxpy(x)
