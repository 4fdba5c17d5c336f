"""The p-norms."""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad.core import Function, Set
from subgrad.functions.norms import _Norm, norm1, norm2, norm_inf
from subgrad.functions.support import Support
from subgrad.sets.ellipsoid import Ellipsoid
from subgrad.sets.lp_ball import LpBall, exponent, power_norm


class PNorm(_Norm):
    r"""|x|_p = (sum_i |x_i|^p)^(1/p), 1 < p < inf.

    .. math:: \partial |x|_p = \{ |x|^{p-1} \text{sign}(x) / |x|_p^{p-1} \}
       \text{ for } x \ne 0

    The support function of the unit ball of the q-norm, 1/p + 1/q = 1; the prox is
    x - t P(x / t) with the projection on it.
    """

    def __init__(self, p: Any) -> None:
        self.p = exponent(p)
        if not 1 < self.p < np.inf:
            raise ValueError(f"p must lie between 1 and inf, got {self.p}; use pnorm")

    def _key(self) -> tuple[Any, ...]:
        return (self.p,)

    def _body(self, n: int) -> Set:
        return LpBall._dual(n, self.p)

    def _value(self, x: Array) -> Array:
        return power_norm(x, self.p)


def pnorm(p: Any) -> Function:
    """The p-norm, p >= 1: norm1, norm2, norm_inf for p = 1, 2 and inf."""
    named = {1.0: norm1, 2.0: norm2, np.inf: norm_inf}
    p = exponent(p)
    return named[p] if p in named else PNorm(p)


def quadratic_norm(P: Any) -> Support:
    """<x, P x>^(1/2), P positive semidefinite: the support function of an Ellipsoid.

    Of an inverse covariance matrix it is Mahalanobis' distance from 0.
    """
    n = np.shape(P)[-1] if np.ndim(P) else 1
    return Support(Ellipsoid(np.zeros(n), P))
