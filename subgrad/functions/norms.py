"""Norms, the largest entry and sums of largest entries: support functions, each of a
named set, in any number of arguments."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from subgrad._check import Array, nonnegative, real
from subgrad.core import Mask, Set, norm, unit
from subgrad.functions.support import Support
from subgrad.sets.ball import Ball, GroupBall, Groups
from subgrad.sets.box import Box
from subgrad.sets.hull import CrossPolytope
from subgrad.sets.simplex import CappedSimplex, Simplex


class _Of(Support):
    """A support function whose set is made when the number of arguments is known."""

    finite = True
    infimum = 0.0

    def __init__(self) -> None:
        pass

    def _key(self) -> tuple[Any, ...]:
        return ()


class _Norm(_Of):
    """A norm that depends on the |x_i| only, and so grows with each of them."""

    def _nondecreasing(self, low: Array) -> Mask:
        return low >= 0


class Norm1(_Norm):
    r"""|x|_1 = sum_i |x_i|, the support function of [-1, 1]^n."""

    polyhedral = True

    def _body(self, n: int) -> Set:
        return _unit_cube(n)

    def _value(self, x: Array) -> Array:
        return np.abs(x).sum(-1)

    def _subgradient(self, x: Array) -> Array:
        return np.sign(x)

    def _subdifferential(self, x: Array, eps: Array) -> Set:
        if np.any(eps):
            return super()._subdifferential(x, eps)
        low, up = x.dtype.type(-1), x.dtype.type(1)
        return Box._raw(np.where(x > 0, up, low), np.where(x < 0, low, up))

    def _prox(self, x: Array, t: Array) -> Array:
        t = np.asarray(t)[..., None]
        return x - np.minimum(np.maximum(x, -t), t)


class Norm2(_Norm):
    r"""|x| = (sum_i x_i²)^(1/2), the support function of the unit ball."""

    def _body(self, n: int) -> Set:
        return _unit_ball(n)

    def _value(self, x: Array) -> Array:
        return norm(x)

    def _subgradient(self, x: Array) -> Array:
        return unit(x)

    def _oracle(self, x: Array) -> tuple[Array, Array]:
        size = norm(x)
        return size, x / np.where(size > 0, size, 1)[..., None]


class NormInf(_Norm):
    r"""max_i |x_i|, the support function of the cross-polytope."""

    polyhedral = True

    def _body(self, n: int) -> Set:
        return CrossPolytope(n)


class GroupNorm(_Norm):
    r"""sum_g w_g |x_g|, the (2,1) norm over groups given as one label per coordinate.

    The support function of a product of balls of radii w_g >= 0, w of shape (..., G).
    """

    def __init__(self, groups: Any, weights: Any = 1.0) -> None:
        self.groups = groups if isinstance(groups, Groups) else Groups(groups)
        w = nonnegative("weights", weights)
        if w.ndim and w.shape[-1] != self.groups.count:
            raise ValueError(
                f"weights must have shape (..., {self.groups.count}), got {w.shape}"
            )
        shape = np.broadcast_shapes(w.shape, (self.groups.count,))
        self.weights, self.n = np.broadcast_to(w, shape), self.groups.n
        self._ball = GroupBall._from(
            np.broadcast_to(0.0, self.n), self.weights, self.groups
        )

    def _body(self, n: int) -> Set:
        return self._ball

    def _prox(self, x: Array, t: Array) -> Array:
        size = self.groups.norm(x)
        share = size - np.asarray(t)[..., None] * self.weights
        # What cancels is zero: a direction made of rounding may be one without bound.
        some = share > 4 * np.finfo(size.dtype).eps * size
        np.divide(share, size, out=share, where=some)
        share[~some] = 0.0
        return self.groups.spread(share) * x

    def _key(self) -> tuple[Any, ...]:
        return (self.groups, self.weights)


class MaxEntry(_Of):
    r"""max_i x_i, the support function of the simplex."""

    polyhedral = True
    infimum = -np.inf

    def _body(self, n: int) -> Set:
        return _unit_simplex(n)

    def _value(self, x: Array) -> Array:
        return x.max(-1)

    def _subgradient(self, x: Array) -> Array:
        g = np.zeros_like(x)
        np.put_along_axis(g, np.argmax(x, axis=-1, keepdims=True), 1, -1)
        return g

    def _oracle(self, x: Array) -> tuple[Array, Array]:
        return self._value(x), self._subgradient(x)


class SumLargest(_Of):
    r"""The sum of the k largest entries, the support function of the capped simplex.

    .. math:: \{s : 0 \le s \le 1, \sum_i s_i = k\}

    k a number in (0, n], not necessarily whole: the next entry then counts in part.
    """

    polyhedral = True
    infimum = -np.inf

    def __init__(self, k: Any) -> None:
        self.k = real("k", k)
        if np.any(self.k <= 0):
            raise ValueError(f"k must be positive, got {self.k.min()}")

    def _key(self) -> tuple[Any, ...]:
        return (self.k,)

    def _body(self, n: int) -> Set:
        if np.any(self.k > n):
            raise ValueError(f"k = {self.k.max()} exceeds the number of arguments {n}")
        return CappedSimplex(0.0, 1.0, self.k, n)

    def _cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        return cp.sum_largest(x, float(self.k))


@lru_cache(maxsize=16)
def _unit_cube(n: int) -> Box:
    return Box._raw(*(np.broadcast_to(end, (n,)) for end in (-1.0, 1.0)))


@lru_cache(maxsize=16)
def _unit_ball(n: int) -> Ball:
    return Ball(np.zeros(n), 1.0)


@lru_cache(maxsize=16)
def _unit_simplex(n: int) -> Simplex:
    return Simplex(n)


norm1 = Norm1()
norm2 = Norm2()
norm_inf = NormInf()
max_entry = MaxEntry()


def group_norm(groups: Any, weights: Any = 1.0) -> GroupNorm:
    """sum_g w_g |x_g|, groups given as one label per coordinate."""
    return GroupNorm(groups, weights)


def sum_largest(k: Any) -> SumLargest:
    """The sum of the k largest entries."""
    return SumLargest(k)
