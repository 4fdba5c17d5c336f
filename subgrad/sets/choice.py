"""One of several sets, each member of a batch having its own choice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from subgrad._check import Array
from subgrad.core import Set
from subgrad.interval import Interval


class _Choice(Set):
    """parts[which]: of sets of different classes, the one that `which` says."""

    _arrays: ClassVar = Set._arrays | {"which": 0}
    _parts: ClassVar = ("parts",)
    parts: tuple[Any, ...]

    def __init__(self, parts: tuple[Set, ...], which: Any) -> None:
        self.parts, self.which, self.dim = parts, np.asarray(which), parts[0].dim
        self.polyhedral = all(p.polyhedral for p in parts)

    def _chosen(self, ask: Callable[[Any], Any], core: int = 0) -> Array:
        """ask(part) where it is chosen; nobody asks a part that is chosen nowhere."""
        which = self.which[(..., *(None,) * core)]
        parts = [(which == i, p) for i, p in enumerate(self.parts)]
        pairs = [(m, ask(p)) for m, p in parts if np.any(m)]
        shape = np.broadcast_shapes(which.shape, *(np.shape(v) for _, v in pairs))
        masks, values = (
            [np.broadcast_to(a, shape) for a in p] for p in zip(*pairs, strict=True)
        )
        return np.select(masks, values)

    def _alive(self) -> Any:
        return self._chosen(lambda p: p.nonempty).astype(bool)

    def _sure(self) -> Any:
        return self._chosen(lambda p: p.exact).astype(bool)

    def _support(self, d: Array) -> Array:
        return self._chosen(lambda p: p.support(d))

    def _support_point(self, d: Array) -> Array:
        return self._chosen(lambda p: p._support_point(d), 1)

    def _atom(self, d: Array) -> tuple[Array, Array | None]:
        return self.parts[int(self.which)]._atom(d)

    def _face(self, d: Array, eps: Array) -> Set:
        return _Choice(tuple(p.exposed_face(d, eps) for p in self.parts), self.which)

    def _project(self, y: Array) -> Array:
        return self._each(y, lambda one, v: one.parts[int(one.which)]._project(v))

    def _contains(self, z: Array, tol: float) -> Array:
        shape = np.broadcast_shapes(self.batch, z.shape[:-1])
        z = np.broadcast_to(z, (*shape, self.dim))
        alive = np.broadcast_to(self.nonempty, shape)
        out = np.zeros(shape, bool)
        for i in np.ndindex(shape):
            if alive[i]:
                one = self._item(i)
                out[i] = one.parts[int(one.which)]._contains(z[i], tol)
        return out

    def _frame(self) -> Any:
        return self.parts[int(self.which)]._frame()

    def _corners(self) -> Any:
        return self.parts[int(self.which)]._corners()

    def _interior(self, z: Array) -> Any:
        return self._chosen(lambda p: p._interior(z)).astype(bool)

    def _box(self) -> Interval:
        low = self._chosen(lambda p: p.box().lower, 1)
        return Interval._raw(low, self._chosen(lambda p: p.box().upper, 1))

    def _recession(self) -> Set:
        return _Choice(tuple(p.recession_cone() for p in self.parts), self.which)

    def _cvxpy(self, z: Any, scale: Any) -> list[Any]:
        return self.parts[int(self.which)].to_cvxpy(z, scale)
