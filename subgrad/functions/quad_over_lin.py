"""The square over a linear form, |x|² / y."""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad.calculus.perspective import Perspective
from subgrad.functions.quadratic import SquaredNorm


class QuadOverLin(Perspective):
    r"""f(x, y) = |x|² / y for y > 0, f(0, 0) = 0, else +inf; y the last coordinate.

    .. math:: \partial f(x, y) = \{(2 x / y, -|x|² / y²)\} \ (y > 0), \quad
       \partial f(0, 0) = \{(g, γ) : γ \le -|g|² / 4\}

    the perspective of |x|²; f* is the indicator of the second set. `quad_over_lin` is
    called on one vector (x, y), or as cvxpy has it, `quad_over_lin(x, y)`.
    """

    def __init__(self) -> None:
        super().__init__(SquaredNorm(2.0))

    def _key(self) -> tuple[Any, ...]:
        return ()

    def _value(self, y: Array) -> Array:
        x, s, z = self._split(y)
        with np.errstate(over="ignore"):
            value = np.vecdot(x, z)
        flat = np.where((s == 0) & ~x.any(-1), 0.0, np.inf)
        return np.where(s > 0, value, flat)

    def _cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        return cp.quad_over_lin(x[:-1], x[x.shape[0] - 1])

    def __repr__(self) -> str:
        return "quad_over_lin"


quad_over_lin = QuadOverLin()
