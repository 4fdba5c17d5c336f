"""Affine functions: linear, constant, and one-row affine maps seen as functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array, real, vector
from subgrad._jacobian import Jacobian, identity
from subgrad.affine import AffineMap, Matrix, Variable
from subgrad.core import Function, Mask, Set
from subgrad.sets.box import point


class Affine(Function):
    r"""f(x) = <c, x> + b, the only row of an affine map; conjugate: the indicator of c.

    `Linear(c, b)` makes one of arrays; a constant takes any number of arguments.
    """

    polyhedral = True

    def __init__(self, map: AffineMap) -> None:
        self.map, self.n, self.variable = map, map.cols or None, map.variable

    @classmethod
    def of(cls, map: AffineMap) -> Affine:
        if map.rows != 1:
            raise ValueError(
                f"an affine map with {map.rows} rows is no function: it takes one row"
            )
        return Affine(map)

    @classmethod
    def constant(cls, b: Any) -> Affine:
        """x -> b; b one number, or one per problem."""
        b = real("constant", b)
        return Affine(AffineMap(None, Matrix(np.zeros((1, 0))), b[..., None], (1,)))

    def on(self, variable: Variable | None, n: int) -> AffineMap:
        """The map, on the variable given."""
        op = self.map.op if self.n is not None else Matrix(np.zeros((1, n)))
        return AffineMap(variable, op, self.map.b, (1,))

    def _key(self) -> tuple[Any, ...]:
        return (self._gradient(self.n or 1), self.map.b)

    def _gradient(self, n: int) -> Array:
        return np.zeros(n) if self.n is None else self.map.op.adjoint(np.ones(1))

    def _value(self, x: Array) -> Array:
        if self.n is None:
            shape = np.broadcast_shapes(self.map.b.shape[:-1], x.shape[:-1])
            return np.broadcast_to(self.map.b[..., 0], shape)
        return self.map._forward(x)[..., 0]

    def _subgradient(self, x: Array) -> Array:
        g = self._gradient(x.shape[-1])
        return np.broadcast_to(g, np.broadcast_shapes(g.shape, x.shape))

    def _subdifferential(self, x: Array, eps: Array) -> Set:
        return point(self._subgradient(x))

    def _directional(self, x: Array, d: Array) -> Array:
        return np.vecdot(self._subgradient(x), d)

    def _costs(self, x: Array) -> Array:
        return np.zeros((*x.shape[:-1], 1))

    def _nondecreasing(self, low: Array) -> Mask:
        g = self._gradient(low.shape[-1])
        return np.all(g >= 0, axis=tuple(range(g.ndim - 1)))

    def _prox(self, x: Array, t: Array) -> Array:
        return x - np.asarray(t)[..., None] * self._subgradient(x)

    def _prox_jacobian(self, x: Array, t: Any) -> Jacobian:
        return identity(x.shape[-1])

    def conjugate(self) -> Function:
        """f*(g) = -b if g = c, else +inf."""
        from subgrad.functions.indicator import Indicator

        if self.n is None:
            raise NotImplementedError("the conjugate of a constant needs n")
        star: Function = Indicator(point(self._gradient(self.n)))
        return star if self.map.b is None else star - self.map.b[..., 0]

    def _cvxpy(self, x: Any) -> Any:
        b = 0.0 if self.map.b is None else float(self.map.b[..., 0])
        if self.n is None:
            import cvxpy as cp

            return cp.Constant(b)
        return self._gradient(self.n) @ x + b

    @property
    def infimum(self) -> float:  # type: ignore[override]
        """The constant, if it is one."""
        if np.any(self._gradient(self.n or 1)):
            return -np.inf
        return 0.0 if self.map.b is None else float(np.min(self.map.b))

    def __repr__(self) -> str:
        b = 0.0 if self.map.b is None else self.map.b[..., 0]
        c = self._gradient(self.n or 1)
        return f"Linear({c if self.n else 0}, {b})"


class Linear(Affine):
    """x -> <c, x> + b; c (..., n), b (...)."""

    def __init__(self, c: Any, b: Any = 0.0) -> None:
        c, b = vector("c", c, None), real("b", b)
        map = AffineMap(None, Matrix(c[..., None, :]), b[..., None], (1,))
        super().__init__(map)
