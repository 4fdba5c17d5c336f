"""Bisection over all floating-point numbers, entry by entry."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .._check import Array

LARGEST = np.finfo(np.float64).max
_SIGN = np.iinfo(np.int64).min


def _rank(x: Array) -> NDArray[np.int64]:
    """The position of a float64 among all float64; its own inverse on the bits."""
    bits = x.view(np.int64)
    return np.where(bits >= 0, bits, _SIGN - bits)


def last(
    inside: Callable[[Array], NDArray[np.bool_]], start: Array, stop: Array | float
) -> Array:
    """
    The last float64 from start towards stop that is inside; start if there is none.

    The entries inside are to form an interval beginning at start. Halving the ranks
    reaches the last bit in 64 steps, however far the answer is.
    """
    near = _rank(start)
    far = _rank(np.full_like(start, stop))
    near = np.where(inside(np.full_like(start, stop)), far, near)
    for _ in range(64):
        middle = (near >> 1) + (far >> 1) + (near & far & 1)
        bits = np.where(middle >= 0, middle, _SIGN - middle)
        good = inside(bits.view(np.float64))
        near, far = np.where(good, middle, near), np.where(good, far, middle)
    return np.where(near >= 0, near, _SIGN - near).view(np.float64)
