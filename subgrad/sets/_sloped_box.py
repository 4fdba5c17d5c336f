"""The normal cones of capped simplices."""

from __future__ import annotations

import numpy as np

from subgrad._check import Array
from subgrad.calculus.sum import MinkowskiSum
from subgrad.core import Mask, Set
from subgrad.sets.affine_subspace import AffineSubspace
from subgrad.sets.box import Box


class _SlopedBox(MinkowskiSum):
    r"""{v + c 1 : v in K, c in R}, K a box and a cone.

    .. math:: T = K^\circ \cap \{t : \textstyle\sum t_i = 0\}, \quad
       P(y) = y - P_T(y), \quad P_T(y) = P_{K^\circ}(y - θ 1)

    where θ makes the sum 0: by Moreau, T being the polar cone.
    """

    @classmethod
    def over(cls, K: Box) -> Set:
        """K + R 1; in R^1 the line."""
        line = AffineSubspace(np.zeros(K.dim), np.ones((1, K.dim)))
        return cls((K, line)) if K.dim > 1 else K + line

    def _project(self, y: Array) -> Array:
        K = self.parts[0]
        n = self.dim
        shape = np.broadcast_shapes(y.shape, K.lower.shape, K.upper.shape)
        y, low, up = (np.broadcast_to(a, shape) for a in (y, K.lower, K.upper))
        below, above = low == 0, up == 0
        # t_i >= 0 where K_i = (-inf, 0], <= 0 where [0, inf), free where {0}.
        free, rise, fall = below & above, above & ~below, below & ~above
        theta = _level(y, free, rise, fall).reshape(*shape[:-1], 1) if n else y
        t = y - theta
        t = np.where(rise, np.maximum(t, 0), np.where(fall, np.minimum(t, 0), t))
        return y - np.where(free | rise | fall, t, 0.0)


def _level(y: Array, free: Mask, rise: Mask, fall: Mask) -> Array:
    """θ with Σ_free (y - θ) + Σ_rise (y - θ)₊ - Σ_fall (θ - y)₊ = 0: it falls in θ."""
    order = np.argsort(y, axis=-1)
    y, free, rise, fall = (
        np.take_along_axis(a, order, -1) for a in (y, free, rise, fall)
    )

    def after(a: Array) -> Array:
        """Sums over what comes behind the k-th entry, k = -1, 0, ..., n - 1."""
        sums = np.cumsum(a[..., ::-1], -1)[..., ::-1]
        return np.concatenate([sums, np.zeros_like(sums[..., :1])], -1)

    def before(a: Array) -> Array:
        sums = np.cumsum(a, -1)
        return np.concatenate([np.zeros_like(sums[..., :1]), sums], -1)

    def both(w: Array) -> Array:
        whole = np.where(free, w, 0.0).sum(-1, keepdims=True)
        return whole + after(np.where(rise, w, 0.0)) + before(np.where(fall, w, 0.0))

    total, count = both(y), both(np.ones_like(y))
    # At the knots, by what holds to the left of them.
    over = total[..., :-1] - count[..., :-1] * y >= 0
    k = over.sum(-1, keepdims=True)
    total, count = (np.take_along_axis(a, k, -1) for a in (total, count))
    knot = np.take_along_axis(y, np.maximum(k - 1, 0), -1)
    return np.where(count > 0, total / np.where(count > 0, count, 1.0), knot)
