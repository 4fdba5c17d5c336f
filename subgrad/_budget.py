"""How the terms of a sum share one budget eps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from subgrad._check import Array


def budgets(terms: Sequence[Any], x: Array, eps: Array) -> list[Array]:
    """Shares of eps for terms at one point x, their finer terms spent as one list."""
    return blocks(terms, [x] * len(terms), eps)


def blocks(terms: Sequence[Any], xs: Sequence[Array], eps: Array) -> list[Array]:
    """Shares of eps for terms, each at its own point."""
    if not np.any(eps):
        return [np.zeros(())] * len(terms)
    costs = [f._costs(x) for f, x in zip(terms, xs, strict=True)]
    shares = spend(eps, join(costs))
    cuts = np.cumsum([c.shape[-1] for c in costs])[:-1]
    return [s.sum(-1) for s in np.split(shares, cuts, axis=-1)]


def join(costs: list[Array]) -> Array:
    """The finer terms of several terms, in one list."""
    lead = np.broadcast_shapes(*(c.shape[:-1] for c in costs))
    return np.concatenate([np.broadcast_to(c, (*lead, c.shape[-1])) for c in costs], -1)


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
