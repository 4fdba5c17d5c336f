"""Convex piecewise polynomials of degree <= 2 in cvxpy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .._check import Array
from ._graph import Direction, Graph
from ._polynomials import Pieces
from .linear import PiecewiseLinear


def polyhedral(f: Pieces) -> PiecewiseLinear:
    """A closed convex function of degree <= 1."""
    slopes = np.where(f.finite, f.coefficients[:, -1], np.inf)
    if f.coefficients.shape[-1] == 1:
        slopes = np.where(f.finite, 0.0, np.inf)
    if not f.finite[0]:
        slopes[0] = -np.inf
    # Rounding may let slopes fall that count as equal.
    slopes = np.maximum.accumulate(slopes)
    if f.points.size:
        return PiecewiseLinear(f.points, slopes, at=(f.points[0], f.values[0]))
    return PiecewiseLinear([], slopes, at=(f.anchors[0], f.coefficients[0, 0]))


def expression(graph: Graph, x: Any) -> Any:
    r"""
    With ∂f a polyline and a vertex (a, g) of it, for every entry of x,

        f(x) = f(a) + g (x - a) + φ_right(x - a) + φ_left(a - x),
        φ(u) = Σ Δs pos(u - u_k) + Σ Δs/Δu huber(pos(u - u_k), Δu) / 2,

    summed over the vertical and the slanted segments on one side of the vertex, with
    huber(u, M) = u² for u <= M, 2 M u - M² beyond. g is as near to 0 as possible, so
    that no large terms cancel. Constraints keep x in the domain.
    """
    import cvxpy as cp

    from ..operators import unbounded

    x = unbounded(x)
    graph, j = graph.flattest()
    a, g, v = (float(array[j]) for array in (graph.t, graph.s, graph.v))
    right = list(_segments(graph.t[j:] - a, graph.s[j:], graph.last))
    left = list(_segments(a - graph.t[j::-1], -graph.s[j::-1], graph.first))
    out = v + g * (x - a)
    while right[:1] == left[:1] and right[:1] and not right[0][0]:
        # One term instead of two halves.
        (_, du, ds), *right = right
        out, left = out + _bend(x - a, du, ds), left[1:]
    for side, segments in ((x - a, right), (a - x, left)):
        for start, du, ds in segments:
            out = out + _bend(cp.pos(side - start), du, ds)
    rows = [x >= graph.t[0]] if not graph.first[0] else []
    rows += [x <= graph.t[-1]] if not graph.last[0] else []
    return out + cp.transforms.indicator(rows, 1e-6) if rows else out


def _segments(u: Array, s: Array, ray: Direction) -> Iterator[tuple]:
    """Start, length and rise of what rises; the rise per length if that is infinite."""
    lengths, rises = np.diff(u).tolist(), np.diff(s).tolist()
    if ray[0]:
        lengths.append(np.inf)
        rises.append(float(ray[1] / ray[0]))
    elif lengths and lengths[-1]:
        # Beyond it nothing is left of the domain.
        rises[-1] /= lengths[-1]
        lengths[-1] = np.inf
    rows = zip(u.tolist(), lengths, rises, strict=False)
    return (row for row in rows if row[-1])


def _bend(u: Any, length: float, rise: float) -> Any:
    """The even function of u whose slope grows by `rise` over a length and stays."""
    import cvxpy as cp

    if length == 0:
        return rise * cp.abs(u)
    if length == np.inf:
        return rise / 2 * cp.square(u)
    return rise / length / 2 * cp.huber(u, length)  # type: ignore[arg-type]
