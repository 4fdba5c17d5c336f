"""Where a function made of polynomial pieces takes given values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._check import Array
from ._coefficients import ROUNDING, derivative, sizes
from ._roots import real_roots

if TYPE_CHECKING:
    from ._polynomials import Pieces


def preimages(
    f: Pieces, levels: Array, terms: Array | None = None
) -> tuple[Array, Array]:
    """
    Where f takes one of the increasing levels, up to rounding, and which, by index.

    Inside the constant pieces nothing is found. `terms` has the sizes of the numbers
    from which the coefficients came as differences, if there were such.
    """
    if not levels.size:
        return np.zeros(0), np.zeros(0, np.intp)
    c = np.where(f.finite[:, None], f.coefficients, 0.0)
    turns = f.points_in(real_roots(derivative(c)), f.anchors)
    terms = np.where(f.finite[:, None], abs(c) if terms is None else terms, 0.0)
    rows = np.searchsorted(f.points, np.r_[-np.inf, turns, f.points], "right")
    terms, f = terms[np.sort(rows)], f.refined(turns)
    left, right = (
        ROUNDING * sizes(terms[rows], f.points - f.anchors[rows], f.points)
        for rows in (slice(None, -1), slice(1, None))
    )
    t, which = _within(f, levels, np.r_[0.0, right], np.r_[left, 0.0])
    # At a point between two pieces f takes the level that its value rounds to.
    near = _nearest(levels, f.values)
    with np.errstate(invalid="ignore"):
        hit = abs(f.values - levels[near]) <= np.maximum(left, right)
    places, index = np.unique(np.r_[f.points[hit], t], return_index=True)
    return places, np.r_[near[hit], which][index]


def _within(f: Pieces, levels: Array, left: Array, right: Array) -> tuple[Array, Array]:
    """
    The same inside monotone pieces: each takes the levels between its limits once.

    A level that is a limit, up to the errors `left` and `right`, is not taken inside.
    """
    start = np.r_[f._at_infinity(0, -1), f.limits("right")]
    stop = np.r_[f.limits("left"), f._at_infinity(-1, 1)]
    rising = start < stop
    low = np.where(rising, start + left, stop + right)
    up = np.where(rising, stop - right, start - left)
    first = np.searchsorted(levels, low, "right")
    count = np.searchsorted(levels, up, "left") - first
    count = np.where(f.finite, np.maximum(count, 0), 0)
    k = np.repeat(np.arange(count.size), count)
    which = np.arange(k.size) + np.repeat(first + count - np.cumsum(count), count)
    gap, (lower, upper) = f.coefficients[k], f.bounds()
    gap[:, 0] -= levels[which]
    t = f.anchors[k, None] + real_roots(gap)
    with np.errstate(invalid="ignore"):
        off = np.maximum(lower[k, None] - t, t - upper[k, None])
    best = np.argmin(np.where(np.isnan(off), np.inf, off), axis=-1)
    t = t[np.arange(k.size), best]
    inside = (t > lower[k]) & (t < upper[k])
    return t[inside], which[inside]


def _nearest(levels: Array, v: Array) -> Array:
    """The index of the level that is nearest to every entry of v."""
    up = np.minimum(np.searchsorted(levels, v), levels.size - 1)
    down = np.maximum(up - 1, 0)
    with np.errstate(invalid="ignore"):
        return np.where(levels[up] - v <= v - levels[down], up, down)
