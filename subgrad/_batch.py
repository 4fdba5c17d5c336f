"""Objects whose parameters are arrays with leading batch axes."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from functools import cached_property, reduce
from typing import Any, ClassVar, Self

import numpy as np


def pick(a: np.ndarray, core: int, index: tuple[int, ...]) -> np.ndarray:
    """Entry `index` of the batch of `a`, whose last `core` axes are not batch."""
    lead = a.shape[: a.ndim - core]
    own = index[len(index) - len(lead) :] if lead else ()
    return a[tuple(0 if n == 1 else i for i, n in zip(own, lead, strict=True))]


class Batched:
    """Immutable values made of arrays, each a core shape with free batch axes before.

    `_arrays` maps the name of an array to the number of its core axes; `_parts` names
    the attributes that hold other such objects, or tuples of them.
    """

    _arrays: ClassVar[dict[str, int]] = {}
    _parts: ClassVar[tuple[str, ...]] = ()

    def _children(self) -> list[Batched]:
        found: list[Batched] = []
        for name in self._parts:
            part = getattr(self, name)
            found += part if isinstance(part, tuple) else (part,)
        return found

    @property
    def batch(self) -> tuple[int, ...]:
        """Leading shape shared by all parameters, () for a single object."""
        shapes = [c.batch for c in self._children()]
        for name, core in self._arrays.items():
            a = getattr(self, name)
            shapes.append(a.shape[: a.ndim - core])
        return np.broadcast_shapes(*shapes)

    def _item(self, index: tuple[int, ...]) -> Self:
        """The single object at `index` of the batch (aligned at its last axis)."""
        one = copy.copy(self)
        for name in vars(self):
            if isinstance(getattr(type(self), name, None), cached_property):
                delattr(one, name)
        for name, core in self._arrays.items():
            setattr(one, name, pick(getattr(self, name), core, index))
        for name in self._parts:
            part = getattr(self, name)
            single = (
                tuple(p._item(index) for p in part)
                if isinstance(part, tuple)
                else part._item(index)
            )
            setattr(one, name, single)
        return one

    def _key(self) -> tuple[Any, ...]:
        """What two equal objects share, beside their arrays and parts."""
        return ()

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(self) is not type(other) or self._key() != other._key():  # type: ignore[attr-defined]
            return False
        return all(
            np.array_equal(getattr(self, a), getattr(other, a)) for a in self._arrays
        ) and all(getattr(self, p) == getattr(other, p) for p in self._parts)

    __hash__ = object.__hash__


def every(masks: Iterable[Any]) -> Any:
    """Logical and of arrays that broadcast together."""
    return reduce(np.logical_and, masks, np.True_)
