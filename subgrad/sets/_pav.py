"""Isotonic regression in chains, by pooling adjacent violators."""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad._compiled import compiled

FREE, ORDER, EQUAL = 0, 1, 2  # how an entry is tied to the one before it


def _pool(a: Any, link: Any, first: Any, total: Any) -> int:
    """Fill `first` with the starts of the pools of a; return how many there are."""
    i, k = 0, -1
    while i < a.size:
        k += 1
        first[k], total[k] = i, a[i]
        i += 1
        # What is tied is one entry: half of it must not be pooled with what is before.
        while i < a.size and link[i] == 2:
            total[k] += a[i]
            i += 1
        size = i - first[k]
        while k > 0 and link[first[k]] == 1:
            before = first[k] - first[k - 1]
            if total[k - 1] * size >= total[k] * before:
                break
            k -= 1
            total[k] += total[k + 1]
            size += before
    return k + 1


def pools(a: Array, link: Array) -> Array:
    r"""Starts of the constant pieces of the solution of

    .. math:: \min \sum_i (x_i - a_i)^2, \quad x_{i-1} \ge x_i \ (ORDER), \quad
       x_{i-1} = x_i \ (EQUAL)

    link_i says which, or FREE for neither (as link_0 must). a (n,). Pools of
    neighbours out of order are averaged until none is left (Ayer et al. 1955): O(n).
    """
    n, a = a.size, np.asarray(a, float)
    if not np.any(link):
        return np.arange(n)
    if np.all(link[1:] == ORDER):
        from scipy.optimize import isotonic_regression

        return isotonic_regression(a, increasing=False).blocks[:-1]
    first, total = np.empty(n, np.int64), np.empty(n)
    # One kind of array, or the loop would be compiled for each.
    a, link = np.require(a, float, ["C", "W"]), np.require(link, np.int64, ["C", "W"])
    count = compiled(_pool)(a, link, first, total)
    return first[:count]


def averages(a: Array, starts: Array) -> Array:
    """a with every pool replaced by its mean; a pool of one stays what it is."""
    sizes = np.diff(starts, append=a.size)
    return np.repeat(np.add.reduceat(a, starts) / sizes, sizes)
