r"""Block-separable sums: the subdifferential of f_1(x_1) + ... + f_k(x_k) is a product.

.. math:: h_{S_1 \times \dots \times S_k}(d) = \sum_i h_{S_i}(d_i)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from subgrad._batch import every
from subgrad._budget import blocks as shares
from subgrad._budget import join
from subgrad._check import Array
from subgrad._jacobian import AnyJacobian, blocks
from subgrad.calculus.sum import add_slopes, as_function
from subgrad.core import Function, Mask, Set, a_set, norm
from subgrad.interval import Interval
from subgrad.sets.box import Box


def _join(pieces: list[Array]) -> Array:
    lead = np.broadcast_shapes(*(p.shape[:-1] for p in pieces))
    return np.concatenate(
        [np.broadcast_to(p, (*lead, p.shape[-1])) for p in pieces], -1
    )


class Product(Set):
    """S_1 x ... x S_k, the blocks one after the other in one vector."""

    _parts: ClassVar = ("parts",)
    parts: tuple[Any, ...]

    def __init__(self, parts: tuple[Set, ...]) -> None:
        self.parts = parts
        self.cuts = np.cumsum([p.dim for p in parts])
        self.dim = int(self.cuts[-1])
        self.polyhedral = all(p.polyhedral for p in parts)

    def _blocks(self, d: Array) -> list[Array]:
        return np.split(d, self.cuts[:-1], axis=-1)

    def _map(self, fun: Callable[[Set, Array], Array], d: Array) -> Array:
        return _join(
            [fun(p, b) for p, b in zip(self.parts, self._blocks(d), strict=True)]
        )

    def _stack(self, fun: Callable[[Set, Array], Any], d: Array) -> Any:
        each = [fun(p, b) for p, b in zip(self.parts, self._blocks(d), strict=True)]
        return np.stack(np.broadcast_arrays(*each), -1)

    def _support(self, d: Array) -> Array:
        h = self._stack(lambda p, b: p.support(b), d)
        empty = np.isneginf(h).any(-1)
        return np.where(empty, -np.inf, np.where(np.isneginf(h), 0, h).sum(-1))

    def _support_point(self, d: Array) -> Array:
        return self._map(lambda p, b: p._support_point(b), d)

    def _atom(self, d: Array) -> tuple[Array, Array | None]:
        blocks = self._blocks(d)
        atoms = [p._atom(b) for p, b in zip(self.parts, blocks, strict=True)]
        s = np.concatenate([a for a, _ in atoms])
        best, height = None, 1e-12 * norm(d)
        for i, ((_, r), b) in enumerate(zip(atoms, blocks, strict=True)):
            if r is not None and r @ b / norm(r) > height:
                height = r @ b / norm(r)
                best = np.zeros_like(d)
                best[self.cuts[i] - len(b) : self.cuts[i]] = r / norm(r)
        return s, best

    def _face(self, d: Array, eps: Array) -> Set:
        blocks = self._blocks(d)
        each = zip(self.parts, blocks, shares(self.parts, blocks, eps), strict=True)
        return product([p.exposed_face(b, e) for p, b, e in each])

    def _costs(self, d: Array) -> Array:
        each = zip(self.parts, self._blocks(d), strict=True)
        return join([p._costs(b) for p, b in each])

    def _project(self, y: Array) -> Array:
        return self._map(lambda p, b: p._project(b), y)

    def _project_jacobian(self, y: Array) -> AnyJacobian:
        pairs = zip(self.parts, self._blocks(y), strict=True)
        return blocks([p._project_jacobian(b) for p, b in pairs], self.cuts)

    def _gauge(self, z: Array) -> Any:
        pairs = zip(self.parts, self._blocks(z), strict=True)
        return max(p._gauge(b) for p, b in pairs)

    def _frame(self) -> Any:
        frames = [p._frame() for p in self.parts]
        if any(f is None for f in frames):
            return None
        G = np.zeros((self.dim, sum(f[1].shape[1] for f in frames)))
        k = 0
        for f, end in zip(frames, self.cuts, strict=True):
            rows, cols = f[1].shape
            G[end - rows : end, k : k + cols] = f[1]
            k += cols
        c, low, up = (np.concatenate([f[i] for f in frames]) for i in (0, 2, 3))
        return c, G, low, up

    def _corners(self) -> Any:
        # A product is the sum of its factors, each in its own coordinates.
        total, rays = np.zeros((1, self.dim)), np.zeros((0, self.dim))
        for p, end in zip(self.parts, self.cuts, strict=True):
            corners = p._corners()
            if corners is None or len(corners[0]) * len(total) > 4000:
                return None
            points, more = (
                np.pad(c, ((0, 0), (end - p.dim, self.dim - end))) for c in corners
            )
            total = (total[:, None] + points).reshape(-1, self.dim)
            rays = np.concatenate([rays, more])
        return total, rays

    def _interior(self, z: Array) -> Any:
        return self._stack(lambda p, b: p._interior(b), z).all(-1)

    def _feasible(self, x: Array, d: Array) -> Any:
        each = zip(self.parts, self._blocks(x), self._blocks(d), strict=True)
        return every([p._feasible(a, b) for p, a, b in each])

    def _box(self) -> Interval:
        boxes = [p.box() for p in self.parts]
        return Interval._raw(
            _join([b.lower for b in boxes]), _join([b.upper for b in boxes])
        )

    def _normal_cone(self, x: Array, eps: Array) -> Set:
        share = np.asarray(eps) / len(self.parts)
        each = zip(self.parts, self._blocks(x), strict=True)
        return product([p._normal_cone(b, share) for p, b in each])

    def _recession(self) -> Set:
        return product([p.recession_cone() for p in self.parts])

    def _part(self, low: Mask, high: Mask) -> Set:
        each = zip(self.parts, self._blocks(low), self._blocks(high), strict=True)
        return product([p._part(a, b) for p, a, b in each])

    def _cvxpy(self, z: Any, scale: Any) -> list[Any]:
        sides = []
        for p, end in zip(self.parts, self.cuts, strict=True):
            sides += p.to_cvxpy(z[int(end) - p.dim : int(end)], scale)
        return sides

    def _support_cvxpy(self, x: Any) -> Any:
        ends = zip(self.parts, self.cuts, strict=True)
        return sum(p._support_cvxpy(x[int(e) - p.dim : int(e)]) for p, e in ends)


def product(sets: list[Set]) -> Set:
    """S_1 x ... x S_k; of boxes, a box."""
    if not sets:
        raise ValueError("product needs at least one set")
    for S in sets:
        a_set("part", S)
    if all(isinstance(s, Box) for s in sets):
        boxes = [s.box() for s in sets]
        low, up = (_join([getattr(b, e) for b in boxes]) for e in ("lower", "upper"))
        proved = every([s.exact for s in sets])
        return Box._raw(low, up).proved(proved)
    return Product(tuple(sets))


class Stacked(Function):
    """x -> f_1(x_1) + ... + f_k(x_k), x = (x_1, ..., x_k) in one vector."""

    def __init__(self, parts: tuple[Function, ...]) -> None:
        for f in parts:
            if f.n is None:
                raise ValueError(f"stack needs the number of arguments of {f!r}")
        self.parts = parts
        self.cuts = np.cumsum([f.n for f in parts])
        self.n = int(self.cuts[-1])
        self.polyhedral = all(f.polyhedral for f in parts)
        self.finite = all(f.finite for f in parts)

    @property
    def infimum(self) -> float:  # type: ignore[override]
        return sum(f.infimum for f in self.parts)

    def _key(self) -> tuple[Any, ...]:
        return self.parts

    def _blocks(self, x: Array) -> list[Array]:
        return np.split(x, self.cuts[:-1], axis=-1)

    def _each(self, fun: Callable[[Function, Array], Any], x: Array) -> list[Any]:
        return [fun(f, b) for f, b in zip(self.parts, self._blocks(x), strict=True)]

    def _value(self, x: Array) -> Array:
        return sum(self._each(lambda f, b: f._value(b), x))

    def _subgradient(self, x: Array) -> Array:
        return _join(self._each(lambda f, b: f._subgradient(b), x))

    def _oracle(self, x: Array) -> tuple[Array, Array]:
        pairs = self._each(lambda f, b: f._oracle(b), x)
        return sum(v for v, _ in pairs), _join([g for _, g in pairs])

    def _subdifferential(self, x: Array, eps: Array) -> Set:
        blocks = self._blocks(x)
        each = zip(self.parts, blocks, shares(self.parts, blocks, eps), strict=True)
        return product([f._subdifferential(b, e) for f, b, e in each])

    def _directional(self, x: Array, d: Array) -> Array:
        each = zip(self.parts, self._blocks(x), self._blocks(d), strict=True)
        slopes = np.broadcast_arrays(*(f._directional(a, b) for f, a, b in each))
        return add_slopes(np.stack(slopes, -1))

    def _costs(self, x: Array) -> Array:
        return join(self._each(lambda f, b: f._costs(b), x))

    def _normal(self, x: Array) -> Set:
        return product(self._each(lambda f, b: f._normal(b), x))

    def _interior(self, x: Array) -> Any:
        return every(self._each(lambda f, b: f._interior(b), x))

    def _nondecreasing(self, low: Array) -> Mask:
        return np.concatenate(self._each(lambda f, b: f._nondecreasing(b), low))

    def _prox(self, x: Array, t: Array) -> Array:
        return _join(self._each(lambda f, b: f._prox(b, t), x))

    def _prox_jacobian(self, x: Array, t: Any) -> AnyJacobian:
        return blocks(self._each(lambda f, b: f._prox_jacobian(b, t), x), self.cuts)

    def _dual_prox(self, y: Array, s: Any) -> Array:
        return _join(self._each(lambda f, b: f._dual_prox(b, s), y))

    def _dual_prox_jacobian(self, y: Array, s: Any) -> AnyJacobian:
        each = self._each(lambda f, b: f._dual_prox_jacobian(b, s), y)
        return blocks(each, self.cuts)

    def conjugate(self) -> Function:
        return Stacked(tuple(f.conjugate() for f in self.parts))

    def _cvxpy(self, x: Any) -> Any:
        ends = zip(self.parts, self.cuts, strict=True)
        return sum(f._cvxpy(x[int(e) - f.n : int(e)]) for f, e in ends)


def stack(*fs: Function) -> Function:
    """f_1(x_1) + ... + f_k(x_k) as a function of the stacked vector."""
    if not fs:
        raise ValueError("stack needs at least one function")
    return Stacked(tuple(as_function(f) for f in fs))
