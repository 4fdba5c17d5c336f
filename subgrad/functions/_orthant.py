"""Support functions that are finite on the nonnegative orthant."""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad.core import Mask, Set
from subgrad.functions.norms import _Of
from subgrad.sets.box import Box


class _OnOrthant(_Of):
    """A support function of domain x >= 0, of a set that tells y - P(y) by `_split`."""

    finite = False
    infimum = -np.inf

    @property
    def domain(self) -> Set:
        if self.n is None:
            return super().domain
        return Box._raw(np.zeros(self.n), np.full(self.n, np.inf))

    def _body(self, n: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__}._body")

    def _interior(self, x: Array) -> Any:
        return np.all(x > 0, axis=-1)

    def _to_domain(self, x: Array) -> Array:
        return np.maximum(x, 0)

    def _nondecreasing(self, low: Array) -> Mask:
        return np.zeros(low.shape[-1], bool)

    def _prox(self, x: Array, t: Array) -> Array:
        t = np.asarray(t)[..., None]
        return t * self._body(x.shape[-1])._split(x / t)[1]
