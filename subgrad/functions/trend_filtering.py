r"""Trend filtering: signals that are piecewise polynomials."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad._jacobian import identity
from subgrad.affine import _size
from subgrad.differences import Difference, zero_row
from subgrad.functions.norms import norm1
from subgrad.functions.shaped import ShapedAtom, no_argument
from subgrad.functions.total_variation import TotalVariation, _norm_of, _Variation


class TrendFiltering(_Variation):
    r"""f(x) = |D^{k+1} x|_1, of a vector of `shape` (n,), D the forward differences.

    .. math:: \sum_i |x_{i+1} - x_i|, \quad \sum_i |x_{i+2} - 2 x_{i+1} + x_i|, \ \dots

    for k = 0, 1, ...: zero on the polynomials of degree k. order k = 0, 1, 2, ...,
    1 (piecewise linear) unless said; k = 0 is the total variation, the only one with a
    `prox`. Kim, Koh, Boyd and Gorinevsky, l1 trend filtering, SIAM Review 51 (2009).
    """

    def __init__(self, shape: tuple[int, ...], order: int = 1) -> None:
        self.shape, self.order = _size(shape), _degree(order)
        n = math.prod(self.shape)
        few = n <= self.order + 1
        op = zero_row(n) if few else Difference((n,), order=self.order + 1)
        super().__init__(_norm_of(norm1, op))

    def _key(self) -> tuple[Any, ...]:
        return (self.shape, self.order)

    def _prox(self, x: Array, t: Array) -> Array:
        if x.shape[-1] <= self.order + 1:
            return x + 0 * np.asarray(t)[..., None]
        if self.order:
            raise NotImplementedError("TrendFiltering.prox: only for order 0")
        return TotalVariation(self.shape)._prox(x, t)

    def _prox_jacobian(self, x: Array, t: Any) -> Any:
        if x.shape[-1] <= self.order + 1:
            return identity(len(x))
        if self.order:
            raise NotImplementedError("TrendFiltering.prox_jacobian: only for order 0")
        return TotalVariation(self.shape)._prox_jacobian(x, t)


def _degree(order: Any) -> int:
    if not isinstance(order, int | np.integer) or isinstance(order, bool) or order < 0:
        raise ValueError(f"order must be an integer, 0 or more, got {order!r}")
    return int(order)


def trend_filtering(order: int = 1) -> ShapedAtom:
    """|D^{order + 1} x|_1 of a vector, D its differences: see `TrendFiltering`."""
    no_argument("trend_filtering()", order)
    return ShapedAtom(
        TrendFiltering,
        _degree(order),
        name=f"trend_filtering({order})",
        doc=trend_filtering.__doc__,
        axes=1,
    )
