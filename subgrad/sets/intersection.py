"""Intersections of closed convex sets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from subgrad._batch import every
from subgrad._budget import blocks
from subgrad._check import Array
from subgrad.core import Mask, Set, a_set, norm, unit
from subgrad.interval import Interval
from subgrad.sets._splitting import settle, split
from subgrad.sets.box import Box, point
from subgrad.sets.nearest import ProjectionError
from subgrad.sets.simplex import CappedSimplex

STEPS = (1.0, 8.0, 0.125, 64.0, 1 / 64)  # tried in turn, relative to the width


class Intersection(Set):
    r"""S_1 ∩ ... ∩ S_k, with the split of a direction among the sets:

    .. math:: h(d) = \min \{ \sum_i h_{S_i}(y_i) : \sum_i y_i = d \}, \qquad
       F(d) = \bigcap_i F_{S_i}(y_i), \qquad N(x) = \sum_i N_{S_i}(x)

    (up to closure; F the exposed face). Supports and projections come from the
    projections of the S_i and end with points x_i of S_i and y_i in N(x_i) that agree,
    and add up to d, to 1e-12 of their size: the answer is exact for sets shifted by
    that much. ProjectionError where this is not reached, as for curved sets that only
    touch (no split attains the minimum), or where it is not decided whether they meet.
    The normal cone is `exact` where all sets are polyhedral, or a point is known that
    lies in the polyhedral ones and in the relative interiors of the others
    (Rockafellar, Convex Analysis, 16.4, 18.1, 23.8). Sets that are 1e-9 of their size
    apart count as meeting.
    """

    _arrays: ClassVar = Set._arrays | {"_live": 0, "_start": 1}
    _parts: ClassVar = ("parts",)
    parts: tuple[Any, ...]
    conic: bool = False

    def __init__(self, *sets: Set) -> None:
        parts = _flat(sets)
        start = np.zeros(
            (*np.broadcast_shapes(*(p.batch for p in parts)), parts[0].dim)
        )
        self._set(parts, np.True_, start)
        self._live, self._start = self._meet()

    def _set(self, parts: tuple[Set, ...], live: Any, start: Array) -> Intersection:
        self.parts, self._live, self._start = parts, live, start
        self.dim, self.polyhedral = parts[0].dim, all(p.polyhedral for p in parts)
        return self

    @classmethod
    def _raw(cls, parts: list[Any], live: Any, start: Array) -> Intersection:
        return Intersection.__new__(Intersection)._set(_flat(parts), live, start)

    def _alive(self) -> Any:
        return every([self._live, *(p.nonempty for p in self.parts)])

    def _meet(self) -> tuple[Any, Array]:
        r"""Whether the sets meet, and a common point.

        At a point nearest to all, in squares, d_i = x - P_i(x) add up to zero. They
        vanish, or \sum_i h_i(d_i) = -\sum_i |d_i|^2 < 0 shows that no point is common.
        """
        alive = np.broadcast_to(every([p.nonempty for p in self.parts]), self.batch)

        def move(x: Array) -> Array:
            return np.mean([p._project(x) for p in self.parts], axis=0) - x

        x = np.zeros((*self.batch, self.dim))
        x = np.where(alive[..., None], x + move(x), 0.0)
        size = norm(move(x))
        x, reached = settle(move, x, size, alive)
        apart = np.max([norm(x - p._project(x)) for p in self.parts], axis=0)
        room = 1e-9 * (1e-300 + norm(x) + size)
        meet = apart <= room
        if np.any(alive & ~meet & ~reached):
            raise ProjectionError(
                "whether the sets meet could not be decided: points of theirs are "
                f"{apart[alive & ~meet & ~reached].min():.1e} apart"
            )
        return (alive & meet)[()], x

    def _solve(
        self, d: Array, curvature: float, want: Any, sizes: Array
    ) -> tuple[Array, Array]:
        r"""x of the set where <d, x> - curvature |x|² / 2 is largest, and the split y.

        x (..., k, n) has a row per set.
        """
        d = np.asarray(d, float)
        batch = np.broadcast_shapes(self.batch, d.shape[:-1])
        alive = np.broadcast_to(self.nonempty & want, batch)
        z = np.broadcast_to(self._start, (*batch, self.dim))
        sizes = np.broadcast_to(sizes, batch)
        d = np.where(alive[..., None], d, 0.0)
        if len(self.parts) == 1:
            p = self.parts[0]
            x = p._project(d) if curvature else p._support_point(d)
            return x[..., None, :], d[..., None, :]
        left, x, y = alive, np.zeros(()), np.zeros(())
        for t in STEPS:
            step = (t * sizes)[..., None]

            def first(w: Array, step: Array = step) -> Array:
                return self.parts[0]._project((w + step * d) / (1 + curvature * step))

            rest: list[Callable[[Array], Array]] = [p._project for p in self.parts[1:]]
            size = np.broadcast_to(self._size() + norm(self._start), batch)
            new_x, a, reached = split([first, *rest], z, size, left)
            new_y = a / step[..., None]
            # The first argument is that of the prox, the force -d in it.
            new_y[..., 0, :] += d - curvature * new_x[..., 0, :]
            fresh: Any = left[..., None, None]
            x, y = np.where(fresh, new_x, x), np.where(fresh, new_y, y)
            left = left & ~reached
            if not np.any(left):
                return x, y
        raise ProjectionError(
            "the points of the sets did not come to agree; subgrad.cvx.project solves "
            "the problem by a conic solver instead"
        )

    def _best(self, d: Array) -> tuple[Array, Array, Any]:
        """x, y as in `_solve` in the direction d, and where that is bounded."""
        u, want = unit(d), norm(d) > 0
        some = every(self._bounded_parts()) if self.batch else self._bounded_parts()
        bounded: Any = np.True_
        if not np.all(some):
            bounded = norm(self._cone()._project(u)) <= 1e-9
        x, y = self._solve(u, 0.0, want & bounded, self._size())
        return x, y * norm(d)[..., None, None], bounded

    def _bounded_parts(self) -> Any:
        found = [p.is_bounded for p in self.parts]
        return np.any(np.broadcast_arrays(*found), axis=0)

    def _cone(self) -> Intersection:
        if self.conic:
            return self
        cones = [p.recession_cone() for p in self.parts]
        new = Intersection._raw(cones, np.True_, np.zeros(self.dim))
        new.conic = True
        return new

    def _box(self) -> Interval:
        b = super()._box()
        low, up = np.minimum(b.lower, b.upper), np.maximum(b.lower, b.upper)
        # Sides of the length of rounding are that of one point.
        size = norm(self._start)[..., None] + np.maximum(np.abs(low), np.abs(up))
        flat = np.isfinite(low) & np.isfinite(up) & (up - low <= 1e-11 * size)
        return Interval._raw(low, np.where(flat, low, up))

    def _size(self) -> Array:
        """The least diameter of the bounded sets, where some has one above zero."""
        best = np.full(self.batch, np.inf)
        for p in self.parts:
            b = p.box()
            wide = norm(np.where(b.is_empty, 0.0, b.upper - b.lower))
            best = np.where((wide > 0) & (wide < best), wide, best)
        size = norm(self._start)
        best = np.where(np.isfinite(best), best, np.where(size > 0, size, 1.0))
        return np.maximum(best, 1e-6 * size)

    def _support(self, d: Array) -> Array:
        x, _, bounded = self._best(d)
        h = 0.0 * x[..., 0, 0] if self.conic else np.vecdot(d, x.mean(-2))
        return np.where(bounded, np.where(norm(d) > 0, h, 0.0), np.inf)

    def _support_point(self, d: Array) -> Array:
        x = self._best(d)[0]
        return np.where(norm(d)[..., None] > 0, x[..., 0, :], self._start)

    def _atom(self, d: Array) -> tuple[Array, Array | None]:
        s = self._support_point(d)
        if np.all(self._bounded_parts()):
            return s, None
        r = self._cone()._project(d)
        return s, r if norm(r) > 1e-9 * norm(d) else None

    def _face(self, d: Array, eps: Array) -> Set:
        x, y, bounded = self._best(d)
        some = norm(d) > 0
        y = np.where((some & bounded)[..., None, None], y, 0.0)
        x = np.where(some[..., None, None], x, self._start[..., None, :])
        # What y_i is exactly, and what it ties, is known to rounding only.
        y = np.where(norm(y)[..., None] > 1e-12 * norm(d)[..., None, None], y, 0.0)
        ys = [y[..., i, :] for i in range(len(self.parts))]
        shares = blocks(self.parts, ys, eps)
        size = norm(d) * (norm(x[..., 0, :]) + self._size())
        faces = [
            p.exposed_face(v, e + 1e-13 * size if p.polyhedral else e)
            for p, v, e in zip(self.parts, ys, shares, strict=True)
        ]
        return _join(faces, bounded, x[..., 0, :])

    def _project(self, y: Array) -> Array:
        away = norm(y - self._start)
        size = np.minimum(self._size(), away)
        step = size / np.where(away > 0, away, 1.0)
        x, _ = self._solve(y, 1.0, np.True_, np.where(away > 0, step, 1.0))
        # A member up to rounding is its own projection.
        room = 1e-13 * (norm(y) + self._size())
        still = every([norm(p._project(y) - y) <= room for p in self.parts])
        return np.where(still[..., None], y, x[..., 0, :])

    def _contains(self, z: Array, tol: float) -> Array:
        return every([p.contains(z, tol) for p in self.parts])

    def _interior(self, z: Array) -> Any:
        return every([p._interior(z) for p in self.parts])

    def _feasible(self, x: Array, d: Array) -> Any:
        return every([p._feasible(x, d) for p in self.parts])

    def _normal_cone(self, x: Array, eps: Array) -> Set:
        from subgrad.calculus.sum import mark, minkowski

        share = np.asarray(eps) / len(self.parts)
        cones = [p._normal_cone(p._project(x), share) for p in self.parts]
        return mark(minkowski(cones), self._qualified(x))

    def _qualified(self, x: Array) -> Any:
        """Whether a point shows the condition of Theorem 23.8."""
        if self.polyhedral:
            return np.True_
        found: Any = self._shows(self._start) | self._shows(x)
        if np.all(found) or not np.all(self._bounded_parts()):
            return found
        eye = np.eye(self.dim).reshape(self.dim, *(1,) * len(self.batch), self.dim)
        try:
            ends = self._support_point(np.concatenate([eye, -eye]))
        except ProjectionError:
            return found
        return found | self._shows(ends.mean(0))

    def _shows(self, z: Array) -> Any:
        return every(
            [p.contains(z) if p.polyhedral else p._interior(z) for p in self.parts]
        )

    def _recession(self) -> Set:
        if np.all(self._bounded_parts()):
            return point(np.zeros(self.dim))
        return self._cone()

    def _part(self, low: Mask, high: Mask) -> Set:
        orthant = Box._raw(np.where(low, 0.0, -np.inf), np.where(high, 0.0, np.inf))
        return intersection(*self.parts, orthant)

    def _cvxpy(self, z: Any, scale: Any) -> list[Any]:
        return [side for p in self.parts for side in p.to_cvxpy(z, scale)]

    def __repr__(self) -> str:
        return f"Intersection({', '.join(map(repr, self.parts))})"


def _flat(sets: Any) -> tuple[Set, ...]:
    """The sets, those of an intersection one by one, all boxes as one."""
    flat: list[Any] = []
    for s in sets:
        a_set("set", s)
        plain = isinstance(s, Intersection) and s._mask is np.True_
        flat += s.parts if plain and s._proved is np.True_ else (s,)
    if not flat:
        raise ValueError("an intersection needs at least one set")
    for s in flat:
        if s.dim != flat[0].dim:
            raise ValueError(f"sets in R^{flat[0].dim} and in R^{s.dim} do not meet")
    boxes = [s for s in flat if isinstance(s, Box)]
    if not boxes:
        return tuple(flat)
    # First comes the box: the points that are returned lie on its ends exactly.
    if len(boxes) == 1:
        return (*boxes, *(s for s in flat if not isinstance(s, Box)))
    low, up = boxes[0].lower, boxes[0].upper
    for b in boxes[1:]:
        low, up = np.maximum(low, b.lower), np.minimum(up, b.upper)
    both = Box._raw(low, up).restrict(every([b.nonempty for b in boxes]))
    both = both.proved(every([b.exact for b in boxes]))
    return (both, *(s for s in flat if not isinstance(s, Box)))


def _join(faces: list[Any], live: Any, x: Array) -> Set:
    """The intersection of sets that are known to have x in common, up to rounding."""
    if all(isinstance(f, Box) for f in faces):
        sure = every([f.exact for f in faces])
        low = np.max(np.broadcast_arrays(*(f.lower for f in faces)), axis=0)
        up = np.min(np.broadcast_arrays(*(f.upper for f in faces)), axis=0)
        x = np.where(low > up, np.clip(x, up, low), x)
        box = Box._raw(np.minimum(low, x), np.maximum(up, x)).proved(sure)
        return box.restrict(every([live, *(f.nonempty for f in faces)]))
    return Intersection._raw(faces, live, x)


def intersection(*sets: Set) -> Set:
    """S_1 ∩ ... ∩ S_k, simplified: boxes meet in a box, and cut a capped simplex.

    Whole spaces are dropped.
    """
    parts = list(_flat(sets))
    box = next((s for s in parts if isinstance(s, Box)), None)
    if box is None or len(parts) == 1:
        return parts[0] if len(parts) == 1 else Intersection(*parts)
    rest: list[Any] = [s for s in parts if s is not box]
    if box.polyhedral and np.all(box.lower == -np.inf) and np.all(box.upper == np.inf):
        if np.all(box.nonempty) and np.all(box.exact) and not box.batch:
            return rest[0] if len(rest) == 1 else Intersection(*rest)
    for i, s in enumerate(rest):
        if isinstance(s, CappedSimplex):
            rest[i] = _cut(s, box)
            return rest[0] if len(rest) == 1 else Intersection(*rest)
    return Intersection(*parts)


def _cut(S: CappedSimplex, box: Box) -> CappedSimplex:
    low, up = np.maximum(S.lower, box.lower), np.minimum(S.upper, box.upper)
    # A box that misses a coordinate leaves nothing.
    new = CappedSimplex.__new__(CappedSimplex)
    new._set(np.minimum(low, up), up, S.total)
    fits = np.all(low <= up, axis=-1)
    return new.restrict(every([fits, S.nonempty, box.nonempty])).proved(
        every([S.exact, box.exact])
    )
