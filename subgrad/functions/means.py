r"""Minus the geometric and the harmonic mean: means are concave."""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array, positive, vector
from subgrad.functions._orthant import _OnOrthant
from subgrad.functions.shaped import no_argument
from subgrad.sets.means import (
    GeometricLevelSet,
    HarmonicLevelSet,
    geometric_mean,
    harmonic_mean,
)


class _NegativeMean(_OnOrthant):
    """Minus a mean on x >= 0, the support function of a set of slopes."""

    def __init__(self, p: Any = None) -> None:
        self.p = None
        if p is not None:
            self.p = positive("p", vector("p", p, None))
            self.n = self.p.shape[-1]

    def _key(self) -> tuple[Any, ...]:
        return () if self.p is None else (self.p,)

    def _weights(self, n: int) -> Array:
        p = np.ones(n) if self.p is None else self.p
        return p / p.sum(-1, keepdims=True)

    def _mean(self, x: Array, w: Array) -> Array:
        raise NotImplementedError

    def _value(self, x: Array) -> Array:
        mean = self._mean(np.maximum(x, 0), self._weights(x.shape[-1]))[..., 0]
        return np.where(np.any(x < 0, axis=-1), np.inf, -mean)


class NegativeGeometricMean(_NegativeMean):
    r"""f(x) = -prod_i x_i^{p_i / sum p} on x >= 0, weights p > 0 (1 unless said).

    .. math:: \partial f(x) = \{f(x) w / x\} \ (x > 0), \quad
       \partial f(0) = S = \{s \le 0 : \prod (-s_i / w_i)^{w_i} \ge 1\},
       \quad w = p / \sum p

    and f is the support function of S (`GeometricLevelSet`). At the other points of the
    boundary ∂f is empty: with x_i = 0, d_i = 1 there and d_i = 0 elsewhere, f(x) = 0
    and f(x + t d) = -c t^a with c > 0 and a, the sum of those w_i, below 1, so that
    f'(x; d) = -∞. A weight 0 is refused: leave that x_i out. p (..., n).
    """

    _mean = staticmethod(geometric_mean)  # type: ignore[assignment]

    def _body(self, n: int) -> GeometricLevelSet:
        return GeometricLevelSet(self._weights(n))

    def _directional(self, x: Array, d: Array) -> Array:
        zero = x == 0
        mixed = zero.any(-1) & ~zero.all(-1)
        slope = super()._directional(np.where(mixed[..., None], 1.0, x), d)
        slope = np.where(
            mixed, np.where(np.any(zero & (d == 0), -1), 0.0, -np.inf), slope
        )
        return np.where(np.any(zero & (d < 0), -1), np.inf, slope)


class NegativeHarmonicMean(_NegativeMean):
    r"""f(x) = -(sum p) / sum_i (p_i / x_i) on x >= 0, 0 where some x_i = 0.

    .. math:: \partial f(x) = \{-w f(x)^2 / x^2\} \ (x > 0), \quad w = p / \sum p

    At the boundary, with Z = {i : x_i = 0}, the slopes are finite:

    .. math:: \partial f(x) = \{s \le 0 : s_i = 0 \ (i \notin Z),
       \ \sum_{i \in Z} \sqrt{-w_i s_i} \ge 1\}, \quad
       f'(x; d) = -\Big( \sum_{i \in Z} w_i / d_i \Big)^{-1} \ (d_Z \ge 0)

    f is the support function of ∂f(0) (`HarmonicLevelSet`), of which this is the face.
    weights p > 0 (1 unless said), (..., n).
    """

    _mean = staticmethod(harmonic_mean)  # type: ignore[assignment]

    def _body(self, n: int) -> HarmonicLevelSet:
        return HarmonicLevelSet(self._weights(n))


def negative_geo_mean(p: Any = None) -> NegativeGeometricMean:
    """-(prod x_i^p_i)^(1 / sum p) on x >= 0, p > 0; all 1 unless said."""
    no_argument("negative_geo_mean()", p)
    return NegativeGeometricMean(p)


negative_harmonic_mean = NegativeHarmonicMean()
