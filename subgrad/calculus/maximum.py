r"""Maxima: the subdifferential of max_i f_i is the hull of the active ones.

.. math:: \partial f(x) = \bigcup \Big\{ \sum_i \lambda_i \partial f_i(x) :
   \lambda \in \Delta, \ \lambda_i = 0 \text{ where } f_i(x) < f(x) \Big\},
   \qquad 0 \cdot \partial f_i(x) = N_{dom f_i}(x)

The epigraph of f is the intersection of the epigraphs of the f_i, and the normal cone
of an intersection is the sum of the normal cones under the condition of Rockafellar
23.8; (g, -1) in that sum is the formula above.
"""

from __future__ import annotations

from functools import reduce
from typing import Any, ClassVar

import numpy as np

from subgrad._batch import every
from subgrad._check import Array
from subgrad.affine import same, vstack
from subgrad.calculus.sum import as_function, common, mark, minkowski, qualified
from subgrad.core import Function, Mask, Set, a_set
from subgrad.interval import Interval
from subgrad.sets.box import on_line, point
from subgrad.univariate.operations import largest
from subgrad.univariate.piecewise import Piecewise


class HullOfUnion(Set):
    r"""The closed convex hull of the S_i with `active` (..., k), h(d) = max_i h_i(d).

    Empty sets among them do not count.
    """

    _arrays: ClassVar = Set._arrays | {"active": 1}
    _parts: ClassVar = ("parts",)
    parts: tuple[Any, ...]

    def __init__(self, parts: tuple[Set, ...], active: Mask) -> None:
        self.parts, self.active, self.dim = parts, active, parts[0].dim
        self.polyhedral = all(p.polyhedral for p in parts)

    def _counted(self) -> Mask:
        alive = np.stack(np.broadcast_arrays(*(p.nonempty for p in self.parts)), -1)
        return self.active & alive

    def _alive(self) -> Any:
        return np.any(self._counted(), axis=-1)

    def _sure(self) -> Any:
        sure = np.stack(np.broadcast_arrays(*(p.exact for p in self.parts)), -1)
        return np.all(sure | ~self.active, axis=-1)

    def _heights(self, d: Array) -> Array:
        h = np.stack(np.broadcast_arrays(*(p.support(d) for p in self.parts)), -1)
        return np.where(self.active, h, -np.inf)

    def _support(self, d: Array) -> Array:
        return self._heights(d).max(-1)

    def _support_point(self, d: Array) -> Array:
        best = np.argmax(self._heights(d), axis=-1)
        points = np.broadcast_arrays(*(p._support_point(d) for p in self.parts))
        return np.take_along_axis(np.stack(points), best[None, ..., None], 0)[0]

    def _atom(self, d: Array) -> tuple[Array, Array | None]:
        atoms = [
            p._atom(d) for p, on in zip(self.parts, self._counted(), strict=True) if on
        ]
        rays = [r / np.linalg.norm(r) for _, r in atoms if r is not None]
        best = max((s for s, _ in atoms), key=lambda s: s @ d)
        return best, max(rays, key=lambda r: r @ d, default=None)

    def _face(self, d: Array, eps: Array) -> Set:
        h = self._heights(d)
        top = h.max(-1)
        with np.errstate(invalid="ignore"):
            gap = np.where(np.isposinf(h), 0.0, top[..., None] - h)
        on = np.isfinite(h) & (gap <= np.asarray(eps)[..., None])
        rest = np.where(on, np.asarray(eps)[..., None] - np.where(on, gap, 0), 0)
        faces = [p.exposed_face(d, rest[..., i]) for i, p in enumerate(self.parts)]
        face = union(faces, on)
        # The closed hull recedes wherever a part does, whether it is active or not.
        counted, zero = self._counted(), point(np.zeros(self.dim))
        cones = []
        for i, p in enumerate(self.parts):
            cone = p.recession_cone()
            if not np.all(cone.is_singleton):
                either = np.stack([counted[..., i], ~counted[..., i]], -1)
                cones.append(union([cone.exposed_face(d), zero], either))
        return minkowski([face, *cones]).restrict(np.isfinite(top))

    def _corners(self) -> Any:
        counted = zip(self.parts, self._counted(), strict=True)
        each = [p._corners() for p, on in counted if on]
        if any(c is None for c in each):
            return None
        return np.concatenate([c[0] for c in each]), np.concatenate(
            [c[1] for c in each]
        )

    def _box(self) -> Interval:
        low, up = [], []
        for i, p in enumerate(self.parts):
            b, on = p.box(), self.active[..., i, None]
            low.append(np.where(on, b.lower, np.inf))
            up.append(np.where(on, b.upper, -np.inf))
        return Interval._raw(reduce(np.minimum, low), reduce(np.maximum, up))

    def _recession(self) -> Set:
        cones = [p.recession_cone() for p in self.parts]
        return union(cones, self._counted())

    def _cvxpy(self, z: Any, scale: Any) -> list[Any]:
        import cvxpy as cp

        on = [p for p, k in zip(self.parts, self._counted(), strict=True) if k]
        w = cp.Variable(len(on), nonneg=True)
        pieces = [cp.Variable(self.dim) for _ in on]
        sides = [z == sum(pieces), cp.sum(w) == scale]
        for i, (p, v) in enumerate(zip(on, pieces, strict=True)):
            sides += p.to_cvxpy(v, w[i])
        return sides


def union(sets: list[Set], active: Mask) -> Set:
    """The closed convex hull of the sets where `active` (..., k)."""
    for s in sets:
        if s.dim != sets[0].dim:
            raise ValueError(f"sets in R^{sets[0].dim} and in R^{s.dim} have no hull")
    return on_line(HullOfUnion(tuple(sets), np.asarray(active, bool)))


def hull_of_union(*sets: Set) -> Set:
    """The closed convex hull of the union of the sets."""
    if not sets:
        raise ValueError("hull_of_union needs at least one set")
    for S in sets:
        a_set("part", S)
    return union(list(sets), np.ones(len(sets), bool))


class Maximum(Function):
    """max_i f_i."""

    def __init__(self, parts: tuple[Function, ...]) -> None:
        self.parts = parts
        self.n, self.variable = common(parts)
        self.polyhedral = all(f.polyhedral for f in parts)
        self.finite = all(f.finite for f in parts)

    @property
    def infimum(self) -> float:  # type: ignore[override]
        return max(f.infimum for f in self.parts)

    def _key(self) -> tuple[Any, ...]:
        return self.parts

    def _values(self, x: Array) -> Array:
        return np.stack(np.broadcast_arrays(*(f._value(x) for f in self.parts)), -1)

    def _value(self, x: Array) -> Array:
        return self._values(x).max(-1)

    def _subgradient(self, x: Array) -> Array:
        return self._oracle(x)[1]

    def _oracle(self, x: Array) -> tuple[Array, Array]:
        values = self._values(x)
        top = values.max(-1)
        each = np.broadcast_arrays(*(f._subgradient(x) for f in self.parts))
        slopes = np.stack(each, -2)
        # The first active piece that has a subgradient there.
        good = (values == top[..., None]) & np.isfinite(slopes).all(-1)
        i = np.argmax(good, axis=-1)[..., None, None]
        g = np.take_along_axis(slopes, i, -2)[..., 0, :]
        return top, np.where(good.any(-1)[..., None], g, np.nan)

    def _subdifferential(self, x: Array, eps: Array) -> Set:
        values = self._values(x)
        top = values.max(-1)
        inside = np.isfinite(top)
        with np.errstate(invalid="ignore"):
            left = np.asarray(eps)[..., None] - (top[..., None] - values)
        left = np.where(inside[..., None], left, -1.0)
        active, left = left >= 0, np.maximum(left, 0)
        sets = [f._subdifferential(x, left[..., i]) for i, f in enumerate(self.parts)]
        hull = union(sets, active)
        return self._with_normals(hull, x).restrict(inside)

    def _with_normals(self, S: Set, x: Array) -> Set:
        cones = [f._normal(x) for f in self.parts if not f.finite]
        whole = minkowski([S, *cones]) if cones else S
        return mark(whole, qualified(list(self.parts), [x] * len(self.parts)))

    def _directional(self, x: Array, d: Array) -> Array:
        values = self._values(x)
        slopes = [f._directional(x, d) for f in self.parts]
        slope = np.stack(np.broadcast_arrays(*slopes), -1)
        # A piece below the maximum matters only where d leaves its domain.
        active = (values == values.max(-1)[..., None]) | np.isposinf(slope)
        return np.where(active, slope, -np.inf).max(-1)

    def _normal(self, x: Array) -> Set:
        cones = [f._normal(x) for f in self.parts if not f.finite]
        if not cones:
            return super()._normal(x)
        proved = qualified(list(self.parts), [x] * len(self.parts))
        return mark(minkowski(cones), proved)

    def _interior(self, x: Array) -> Any:
        return every([f._interior(x) for f in self.parts])

    def _nondecreasing(self, low: Array) -> Mask:
        return every([f._nondecreasing(low) for f in self.parts])

    def _cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        pieces = [cp.sum(f._cvxpy(x)) for f in self.parts]
        if self.finite:
            return cp.maximum(*pieces)
        # cvxpy asks an indicator under a maximum for bounds that it does not have.
        t = cp.Variable()
        return t + cp.transforms.indicator([p <= t for p in pieces])

    def __repr__(self) -> str:
        return f"maximum({', '.join(map(repr, self.parts))})"


def maximum(*fs: Any) -> Any:
    """max(f_1, ..., f_k); numbers and one-row affine maps count as functions.

    Affine pieces only are kept as the maximum of one vector-valued map. Of piecewise
    polynomials on the line and numbers it is a piecewise polynomial.
    """
    from subgrad.functions.linear import Affine
    from subgrad.functions.norms import max_entry

    if not fs:
        raise ValueError("maximum needs at least one function")
    if any(isinstance(f, Piecewise) for f in fs):
        return largest(fs)
    flat: list[Function] = []
    for f in map(as_function, fs):
        flat += f.parts if isinstance(f, Maximum) else (f,)
    if len(flat) == 1:
        return flat[0]
    common(flat)
    affine = [f for f in flat if isinstance(f, Affine)]
    if len(affine) > 1:
        var = None
        for f in affine:
            var = same(var, f.variable)
        if any(f.n is not None for f in affine):
            n = next(f.n for f in affine if f.n is not None)
            maps = [f.on(var, n) for f in affine]
            rest = [f for f in flat if not isinstance(f, Affine)]
            flat = [max_entry(vstack(*maps)), *rest]
    return flat[0] if len(flat) == 1 else Maximum(tuple(flat))
