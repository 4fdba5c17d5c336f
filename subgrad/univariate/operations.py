"""Minimum and choice of piecewise polynomials."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from ._coefficients import widened
from ._points import Atom, atoms
from ._polynomials import Pieces
from .piecewise import Piecewise, branch

if TYPE_CHECKING:
    import portion


def minimum(*fs: Any) -> Piecewise:
    """The least of piecewise polynomials and numbers, undefined where one is."""
    if not fs:
        raise ValueError("minimum needs at least one function")
    least = reduce(Pieces.larger, (branch(f).scaled(-1.0) for f in fs))
    return Piecewise._of(least.scaled(-1.0))


def largest(fs: Sequence[Any]) -> Piecewise:
    """The largest of piecewise polynomials and numbers, undefined where one is."""
    return Piecewise._of(reduce(Pieces.larger, (branch(f) for f in fs)))


def where(points: portion.Interval, f: Any, g: Any) -> Piecewise:
    """
    f on a set of points, g elsewhere: where(t > 0, t, 0) is relu.

    f and g are piecewise polynomials or numbers, ±inf among them. Sets are joined by
    & and |, as in (t > 0) & (t < 1); `and` and 0 < t < 1 do not mean that in Python.
    """
    parts = atoms("points", points)
    cuts = np.unique([e for a in parts for e in a[:2] if np.isfinite(e)])
    one, two = (h.refined(cuts) for h in (branch(f), branch(g)))
    one, two = one.refined(two.points), two.refined(one.points)
    return Piecewise._of(_chosen(parts, one, two))


def _chosen(parts: list[Atom], f: Pieces, g: Pieces) -> Pieces:
    # In front an empty part, so that something begins at or below every number.
    parts = [(-np.inf, -np.inf, False, False), *parts]
    low, up, left, right = (np.array(ends) for ends in zip(*parts, strict=True))
    (lower, upper), t = f.bounds(), f.points
    pieces = upper <= up[np.searchsorted(low, lower, "right") - 1]
    k = np.searchsorted(low, t, "right") - 1
    points = (low[k] < t) | left[k]
    points &= (t < up[k]) | ((t == up[k]) & right[k])
    width = max(f.coefficients.shape[-1], g.coefficients.shape[-1])
    one, two = (widened(h.coefficients, width) for h in (f, g))
    return Pieces(
        f.points,
        np.where(pieces[:, None], one, two),
        np.where(pieces, f.anchors, g.anchors),
        np.where(points, f.values, g.values),
    )
