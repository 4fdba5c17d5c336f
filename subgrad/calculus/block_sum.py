r"""Sums of one function over blocks: h(x_1) + ... + h(x_m), all blocks at once.

.. math:: f(x) = \sum_j w_j h(x_j), \qquad
   \partial f(x) = \prod_j w_j \partial h(x_j), \qquad
   h_{\partial f(x)}(d) = \sum_j w_j h_{\partial h(x_j)}(d_j)

The blocks x_j of k coordinates lie one after the other in x. h is called once, on the
batch of all blocks. Blocks that overlap are the rows of an affine map: of
`x = variable(n)`, `block_sum(h)(x[[[0, 1], [1, 2], [2, 3]]])`.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from subgrad._budget import spend
from subgrad._check import Array, count, positive
from subgrad._jacobian import AnyJacobian, blocks
from subgrad.calculus.scale import scaled_set
from subgrad.calculus.stack import Product
from subgrad.calculus.sum import add_slopes
from subgrad.core import Function, Mask, Set, a_function
from subgrad.functions.shaped import ShapedAtom
from subgrad.interval import Interval
from subgrad.sets.box import Box


def split(x: Array, m: int) -> Array:
    """The blocks of x: (..., m k) -> (..., m, k)."""
    return x.reshape(*x.shape[:-1], m, -1)


def joined(z: Array, m: int) -> Array:
    """One vector of m blocks (..., k), which may be the same for all."""
    lead = np.broadcast_shapes(z.shape[:-1], (m,))
    return np.broadcast_to(z, (*lead, z.shape[-1])).reshape(*lead[:-1], -1)


class _BlockSet(Set):
    """What sets of m blocks share: `base` has the blocks as its last batch axis."""

    def __init__(self, base: Set, m: int) -> None:
        self.base, self.m, self.dim = base, m, base.dim * m

    def _key(self) -> tuple[Any, ...]:
        return (self.m, self.base)

    @property
    def batch(self) -> tuple[int, ...]:
        lead = np.broadcast_shapes(self.base.batch, (self.m,))[:-1]
        return np.broadcast_shapes(lead, super().batch)

    def _item(self, index: tuple[int, ...]) -> Any:
        one = super()._item(index)
        one.base = self.base._item((*index, slice(None)))  # type: ignore[arg-type]
        return one

    def _all(self, a: Any) -> Any:
        """Of a mask over the blocks, whether it holds in all of them."""
        return np.broadcast_to(a, np.broadcast_shapes(np.shape(a), (self.m,))).all(-1)

    def _over(self, a: Any) -> Array:
        return np.broadcast_to(a, np.broadcast_shapes(np.shape(a), (self.m,)))

    def _alive(self) -> Any:
        return self._all(self.base.nonempty)

    def _sure(self) -> Any:
        return self._all(self.base.exact)

    def __repr__(self) -> str:
        shown = [repr(getattr(self, name)) for name in self._parts]
        return (
            f"{type(self).__name__}({', '.join([*shown, repr(self.base)])}, {self.m})"
        )


class BlockProduct(_BlockSet):
    """S_1 x ... x S_m, the S_j a batch of sets, in one vector."""

    def __init__(self, base: Set, m: int) -> None:
        super().__init__(base, m)
        self.polyhedral = base.polyhedral

    @cached_property
    def _bounded(self) -> bool:
        return bool(np.all(self.base.is_bounded))

    def _apart(self) -> Any:
        """A single product, set by set."""
        return Product(tuple(self.base._item((j,)) for j in range(self.m)))

    def _support(self, d: Array) -> Array:
        h = self._over(self.base.support(split(d, self.m)))
        empty = np.isneginf(h).any(-1)
        return np.where(empty, -np.inf, np.where(np.isneginf(h), 0, h).sum(-1))

    def _support_point(self, d: Array) -> Array:
        return joined(self.base._support_point(split(d, self.m)), self.m)

    def _atom(self, d: Array) -> tuple[Array, Array | None]:
        if self._bounded:
            return self._support_point(d), None
        return self._apart()._atom(d)

    def _face(self, d: Array, eps: Array) -> Set:
        blocks = split(d, self.m)
        each: Any = np.zeros(())
        if np.any(eps):
            each = shares(self.base._costs(blocks), eps, self.m)
        return block_product(self.base.exposed_face(blocks, each), self.m)

    def _costs(self, d: Array) -> Array:
        return joined(self.base._costs(split(d, self.m)), self.m)

    def _project(self, y: Array) -> Array:
        return joined(self.base._project(split(y, self.m)), self.m)

    def _project_jacobian(self, y: Array) -> Any:
        return self._apart()._project_jacobian(y)

    def _contains(self, z: Array, tol: float) -> Array:
        # Block by block, so that sets that know their members by an inequality use it:
        # the distances add up to at most tol (1 + |z|).
        return self._all(self.base._contains(split(z, self.m), tol / self.m**0.5))

    def _gauge(self, z: Array) -> Any:
        return self._apart()._gauge(z)

    def _frame(self) -> Any:
        return self._apart()._frame()

    def _corners(self) -> Any:
        one = self.base._item((0,))._corners()
        # Beyond a few thousand points, support points are the better description.
        if one is None or len(one[0]) > 1 and self.m > 12:
            return None
        return self._apart()._corners()

    def _interior(self, z: Array) -> Any:
        return self._all(self.base._interior(split(z, self.m)))

    def _feasible(self, x: Array, d: Array) -> Any:
        return self._all(self.base._feasible(split(x, self.m), split(d, self.m)))

    def _box(self) -> Interval:
        b = self.base.box()
        return Interval._raw(joined(b.lower, self.m), joined(b.upper, self.m))

    def _normal_cone(self, x: Array, eps: Array) -> Set:
        each = np.asarray(eps)[..., None] / self.m
        cone = self.base._normal_cone(split(x, self.m), each)
        return block_product(cone, self.m)

    def _recession(self) -> Set:
        return block_product(self.base.recession_cone(), self.m)

    def _part(self, low: Mask, high: Mask) -> Set:
        part = self.base._part(split(low, self.m), split(high, self.m))
        return block_product(part, self.m)

    def _cvxpy(self, z: Any, scale: Any) -> list[Any]:
        return self._apart()._cvxpy(z, scale)

    def _support_cvxpy(self, x: Any) -> Any:
        return self._apart()._support_cvxpy(x)


def shares(costs: Array, eps: Array, m: int) -> Array:
    """The budget of each block, of the costs (..., m, c) of its terms."""
    lead = np.broadcast_shapes(costs.shape[:-1], (m,))
    costs = np.broadcast_to(costs, (*lead, costs.shape[-1]))
    each = spend(eps, costs.reshape(*lead[:-1], -1))
    return each.reshape(*each.shape[:-1], m, -1).sum(-1)


def block_product(base: Set, m: int) -> Set:
    """S_1 x ... x S_m of a batch of sets; of boxes, a box."""
    if not isinstance(base, Box):
        return BlockProduct(base, m)
    b = base.box()
    box = Box._raw(joined(b.lower, m), joined(b.upper, m))
    exact = np.broadcast_to(base.exact, np.broadcast_shapes(np.shape(base.exact), (m,)))
    return box.proved(exact.all(-1))


class _Blocks(Function):
    """What functions of m blocks share: h takes k coordinates, x has m k."""

    def __init__(self, h: Function, m: int, k: int | None = None) -> None:
        self.h, self.m = a_function("h", h), count(m)
        self.k = h.n if k is None else count(k)
        if self.k is None:
            raise ValueError(f"k must be given: {h!r} takes any number of arguments")
        if h.n not in (None, self.k):
            raise ValueError(f"h takes {h.n} arguments, not blocks of k = {self.k}")
        self.n, self.finite = self.m * self.k, h.finite

    def _nondecreasing(self, low: Array) -> Mask:
        # Bounds that are the same for all blocks are asked about once.
        rows, which = np.unique(split(low, self.m), axis=0, return_inverse=True)
        return np.array([self.h._nondecreasing(r) for r in rows])[which].ravel()

    def _single(self) -> None:
        if batch := np.shape(self.h._value(np.zeros(self.k))):
            raise NotImplementedError(
                f"{type(self).__name__}.to_cvxpy: h must be one function, got a batch "
                f"of shape {batch}"
            )

    def _terms(self, x: Any) -> list[Any]:
        """h of every block, in cvxpy."""
        import cvxpy as cp

        self._single()
        k = self.k
        return [cp.sum(self.h._cvxpy(x[k * j : k * j + k])) for j in range(self.m)]


class BlockSum(_Blocks):
    r"""f(x) = sum_j w_j h(x_j), x = (x_1, ..., x_m) in one vector of m k coordinates.

    h a Function of k arguments; k is needed where h takes any number. h may be a batch
    of shape (..., m), one function per block (to_cvxpy then raises). Weights w > 0 of
    shape (..., m), by default 1.
    """

    def __init__(
        self, h: Function, m: int, weights: Any = None, k: int | None = None
    ) -> None:
        super().__init__(h, m, k)
        self.polyhedral = h.polyhedral
        self.weights = np.ones(1) if weights is None else positive("weights", weights)
        if self.weights.shape[-1:] not in ((1,), (self.m,)):
            raise ValueError(
                f"weights must have shape (..., {self.m}), got {self.weights.shape}"
            )
        self._plain = weights is None

    def _key(self) -> tuple[Any, ...]:
        return (self.h, self.m, self.weights)

    @property
    def infimum(self) -> float:  # type: ignore[override]
        if not np.isfinite(self.h.infimum):
            return self.h.infimum
        total = joined(self.weights[..., None], self.m).sum(-1)
        return float(np.min(total * self.h.infimum))

    def _times(self, v: Array) -> Array:
        return v if self._plain else self.weights * v

    def _value(self, x: Array) -> Array:
        return self._times(self.h._value(split(x, self.m))).sum(-1)

    def _subgradient(self, x: Array) -> Array:
        return self._slopes(self.h._subgradient(split(x, self.m)))

    def _slopes(self, g: Array) -> Array:
        return joined(g if self._plain else self.weights[..., None] * g, self.m)

    def _oracle(self, x: Array) -> tuple[Array, Array]:
        value, g = self.h._oracle(split(x, self.m))
        return self._times(value).sum(-1), self._slopes(g)

    def _subdifferential(self, x: Array, eps: Array) -> Set:
        blocks = split(x, self.m)
        each: Any = np.zeros(())
        if np.any(eps):
            costs = self.weights[..., None] * self.h._costs(blocks)
            each = shares(costs, eps, self.m) / self.weights
        return self._product(self.h._subdifferential(blocks, each))

    def _product(self, S: Set) -> Set:
        S = S if self._plain else scaled_set(S, self.weights)
        return block_product(S, self.m)

    def _directional(self, x: Array, d: Array) -> Array:
        slopes = self.h._directional(split(x, self.m), split(d, self.m))
        return add_slopes(self._times(slopes))

    def _costs(self, x: Array) -> Array:
        return joined(self.weights[..., None] * self.h._costs(split(x, self.m)), self.m)

    def _normal(self, x: Array) -> Set:
        if self.finite:
            return super()._normal(x)
        return block_product(self.h._normal(split(x, self.m)), self.m)

    def _interior(self, x: Array) -> Any:
        inside = np.asarray(self.h._interior(split(x, self.m)))
        return np.broadcast_to(inside, (*x.shape[:-1], self.m)).all(-1)

    def _to_domain(self, x: Array) -> Array:
        return joined(self.h._to_domain(split(x, self.m)), self.m)

    def _prox(self, x: Array, t: Array) -> Array:
        each = np.asarray(t)[..., None] * self.weights
        return joined(self.h._prox(split(x, self.m), each), self.m)

    def _prox_jacobian(self, x: Array, t: Any) -> AnyJacobian:
        if np.shape(self.h._value(np.zeros(self.k))):
            raise NotImplementedError("BlockSum.prox_jacobian: h a batch of functions")
        steps = np.broadcast_to(t * self.weights, (self.m,))
        pairs = zip(split(x, self.m), steps, strict=True)
        parts = [self.h._prox_jacobian(b, s) for b, s in pairs]
        return blocks(parts, self.k * np.arange(1, self.m + 1))

    def conjugate(self) -> Function:
        r"""sum_j w_j h*(g_j / w_j)."""
        from subgrad.affine import variable

        star = BlockSum(self.h.conjugate(), self.m, self.weights, self.k)
        if self._plain:
            return BlockSum(star.h, self.m, None, self.k)
        w = joined(self.weights[..., None] * np.ones(self.k), self.m)
        return star(variable(self.n) / w)

    def _cvxpy(self, x: Any) -> Any:
        if self.weights.ndim > 1:
            raise NotImplementedError("BlockSum.to_cvxpy: weights must be (m,)")
        w = np.broadcast_to(self.weights, (self.m,))
        return sum(float(a) * t for a, t in zip(w, self._terms(x), strict=True))

    def __repr__(self) -> str:
        w = "" if self._plain else f", {self.weights!r}"
        return f"BlockSum({self.h!r}, {self.m}{w})"


def _rows(shape: tuple[int, ...], h: Function, weights: Any) -> BlockSum:
    return BlockSum(h, shape[0], weights, shape[1])


def block_sum(h: Function, weights: Any = None) -> ShapedAtom:
    """X -> sum_j w_j h(row j of X), of an affine map or an array of shape (m, k)."""
    a_function("h", h)
    shown = repr(h) if weights is None else f"{h!r}, {weights!r}"
    return ShapedAtom(
        _rows, h, weights, name=f"block_sum({shown})", doc=block_sum.__doc__
    )
