"""How the terms of a sum share one budget eps."""

from __future__ import annotations

import numpy as np

from subgrad._check import Array


def spend(eps: Array, cost: Array) -> Array:
    r"""Shares e_i >= 0 of `eps`, their sum at most eps: cheapest first.

    A term with cost c_i gains nothing beyond e_i = c_i. Terms are served by
    increasing cost, equal costs share equally, and what is left is split equally
    among those of infinite cost:

    .. math:: e_i = \min(c_i, \max(0, eps - \sum_{c_j < c_i} c_j) / \#\{j : c_j = c_i\})

    cost (..., k), eps (...); the shares have shape (..., k).
    """
    eps = np.asarray(eps, float)[..., None]
    shape = np.broadcast_shapes(eps.shape[:-1], cost.shape[:-1]) + cost.shape[-1:]
    if not np.any(eps):
        return np.zeros(shape)
    cost = np.broadcast_to(np.maximum(cost, 0), shape)
    order = np.argsort(cost, axis=-1, kind="stable")
    c = np.take_along_axis(cost, order, -1)
    k = c.shape[-1]
    place = np.arange(k)
    # First and one-past-last position of each run of equal costs.
    fresh = np.ones(shape, bool)
    fresh[..., 1:] = c[..., 1:] > c[..., :-1]
    first = np.maximum.accumulate(np.where(fresh, place, 0), -1)
    last = np.ones(shape, bool)
    last[..., :-1] = fresh[..., 1:]
    stop = np.minimum.accumulate(np.where(last, place, k)[..., ::-1], -1)[..., ::-1]
    before = np.concatenate([np.zeros((*shape[:-1], 1)), np.cumsum(c, -1)], -1)
    left = np.maximum(eps - np.take_along_axis(before, first, -1), 0.0)
    share = np.minimum(c, left / (stop - first + 1))
    out = np.empty(shape)
    np.put_along_axis(out, order, share, -1)
    return out
