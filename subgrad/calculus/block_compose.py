r"""Composition of one function of m arguments with the same function of m blocks.

.. math:: f(x) = H(h(x_1), \dots, h(x_m)), \qquad
   \partial f(x) = \bigcup \Big\{ \prod_j w_j \partial h(x_j) : w \in W \Big\},
   \quad W = \partial H(h(x_1), \dots, h(x_m)) \cap [0, \infty)^m

with support h_W(h_{S_1}(d_1), ..., h_{S_m}(d_m)), S_j the subdifferential of h at x_j.
h is called once, on the batch of all blocks: the largest distance to a thousand points
is `block_compose(max_entry, norm2)` of a map whose rows are x - a_j.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from subgrad._check import Array
from subgrad.calculus.block_sum import _Blocks, _BlockSet, joined, split
from subgrad.calculus.compose import share
from subgrad.core import Function, Set, a_function
from subgrad.functions.shaped import ShapedAtom


class BlockWeighted(_BlockSet):
    """{(w_1 s_1, ..., w_m s_m) : w in W, s_j in S_j}, W >= 0 and the S_j bounded."""

    _parts: ClassVar = ("weights",)

    def __init__(self, weights: Set, base: Set, m: int) -> None:
        super().__init__(base, m)
        self.weights = weights
        self.polyhedral = base.polyhedral and weights.polyhedral

    def _alive(self) -> Any:
        return self.weights.nonempty & super()._alive()

    def _sure(self) -> Any:
        return self.weights.exact & super()._sure()

    def _heights(self, d: Array) -> Array:
        return self._over(self.base.support(split(d, self.m)))

    def _support(self, d: Array) -> Array:
        return self.weights.support(self._heights(d))

    def _support_point(self, d: Array) -> Array:
        w = self.weights._support_point(self._heights(d))
        return joined(w[..., None] * self.base._support_point(split(d, self.m)), self.m)

    def _face(self, d: Array, eps: Array) -> Set:
        half = np.asarray(eps) / 2
        W = self.weights.exposed_face(self._heights(d), half)
        each = share(half, W, np.ones(self.m, bool))
        return BlockWeighted(
            W, self.base.exposed_face(split(d, self.m), each[..., None]), self.m
        )

    def _cvxpy(self, z: Any, scale: Any) -> list[Any]:
        import cvxpy as cp

        w, k = cp.Variable(self.m, nonneg=True), self.base.dim
        sides = self.weights.to_cvxpy(w, scale)
        for j in range(self.m):
            S = self.base._item((j,))
            sides += S.to_cvxpy(z[k * j : k * j + k], w[j])
        return sides


class BlockComposition(_Blocks):
    """H(h(x_1), ..., h(x_m)), H and h finite, H nondecreasing on the range of h.

    h a Function of k arguments; k is needed where h takes any number. ValueError where
    it is not proved that H does not decrease.
    """

    def __init__(self, H: Function, h: Function, m: int, k: int | None = None) -> None:
        super().__init__(h, m, k)
        self.H = a_function("H", H)
        if H.n not in (None, self.m):
            raise ValueError(f"H takes {H.n} arguments, got m = {self.m} blocks")
        for name, f in (("H", H), ("h", h)):
            if not f.finite:
                raise ValueError(f"{name} must be finite everywhere, got {f!r}")
        self.polyhedral = H.polyhedral and h.polyhedral
        if not np.all(H._nondecreasing(np.full(self.m, h.infimum))):
            raise ValueError(
                f"{H!r} is not proved nondecreasing on the range of {h!r} (values >= "
                f"{h.infimum}): the composition may not be convex"
            )

    @property
    def infimum(self) -> float:  # type: ignore[override]
        low = self.h.infimum
        if not np.isfinite(low):
            return self.H.infimum
        return max(self.H.infimum, float(np.min(self.H._value(np.full(self.m, low)))))

    def _key(self) -> tuple[Any, ...]:
        return (self.H, self.h, self.m)

    def _inner(self, x: Array) -> Array:
        return self.h._value(split(x, self.m))

    def _value(self, x: Array) -> Array:
        return self.H._value(self._inner(x))

    def _subgradient(self, x: Array) -> Array:
        return self._oracle(x)[1]

    def _oracle(self, x: Array) -> tuple[Array, Array]:
        F, g = self.h._oracle(split(x, self.m))
        value, w = self.H._oracle(F)
        if np.any(w < 0):
            # H decreases off the range of h only; there is a nonnegative choice too.
            w = self._weights(F, np.zeros(())).min_norm()
        return value, joined(w[..., None] * g, self.m)

    def _weights(self, F: Array, eps: Array) -> Set:
        W = self.H._subdifferential(F, eps)
        low = np.ones((*W.batch, self.m), bool)
        return W._part(low, ~low)

    def _subdifferential(self, x: Array, eps: Array) -> Set:
        blocks = split(x, self.m)
        first = eps / 2 if self.H.polyhedral else np.zeros(())
        W = self._weights(self.h._value(blocks), first)
        each = share(np.asarray(eps) - first, W, np.ones(self.m, bool))
        S = self.h._subdifferential(blocks, each[..., None])
        return BlockWeighted(W, S, self.m)

    def _directional(self, x: Array, d: Array) -> Array:
        slopes = self.h._directional(split(x, self.m), split(d, self.m))
        return self.H._directional(self._inner(x), slopes)

    def _cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        # H grows, so the values of h may be bounded from above.
        z = cp.Variable(self.m)
        sides = [t <= z[j] for j, t in enumerate(self._terms(x))]
        return self.H._cvxpy(z) + cp.transforms.indicator(sides)

    def __repr__(self) -> str:
        return f"BlockComposition({self.H!r}, {self.h!r}, {self.m})"


def _rows(shape: tuple[int, ...], H: Function, h: Function) -> BlockComposition:
    return BlockComposition(H, h, *shape)


def block_compose(H: Function, h: Function) -> ShapedAtom:
    """X -> H(h(row 1 of X), ..., h(row m of X)), X a map or an array (m, k)."""
    a_function("H", H)
    a_function("h", h)
    name = f"block_compose({H!r}, {h!r})"
    return ShapedAtom(_rows, H, h, name=name, doc=block_compose.__doc__)
