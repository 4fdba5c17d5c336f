"""The effective domain of a function, known through the function."""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad.core import Function, Set


class Domain(Set):
    """{x : f(x) < +inf}: membership, relative interior and normal cone ask f.

    Its support function and projection are problems of their own: they go through
    cvxpy (`subgrad.cvx.project`).
    """

    def __init__(self, f: Function) -> None:
        if f.n is None:
            raise ValueError("Domain needs a function with a known number of arguments")
        self.f, self.dim, self.polyhedral = f, f.n, f.polyhedral

    def _key(self) -> tuple[Any, ...]:
        return (self.f,)

    def _project(self, y: Array) -> Array:
        inside = ~np.isposinf(self.f._value(y))
        if not np.all(inside):
            raise NotImplementedError("Domain.project: use subgrad.cvx.project")
        return y

    def _support(self, d: Array) -> Array:
        raise NotImplementedError(
            "Domain.support: solve it with cvxpy over to_cvxpy(z)"
        )

    def _contains(self, z: Array, tol: float) -> Array:
        return ~np.isposinf(self.f._value(z))

    def _interior(self, z: Array) -> Any:
        return self.f._interior(z)

    def _normal_cone(self, x: Array, eps: Array) -> Set:
        return self.f._normal(x)

    def _cvxpy(self, z: Any, scale: Any) -> list[Any]:
        if not np.isscalar(scale) or scale != 1:
            raise NotImplementedError("Domain.to_cvxpy takes scale=1 only")
        import cvxpy as cp

        return [self.f.to_cvxpy(z) <= cp.Variable()]
