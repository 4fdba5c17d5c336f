"""Sums of products of piecewise polynomials and smooth functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from ._coefficients import blank, evaluate
from ._polynomials import Pieces, checked
from .bump import TestFunction

# A smooth factor, None standing for 1, and what it multiplies.
Part = tuple[TestFunction | None, Pieces]
Parts = Mapping[TestFunction | None, Pieces]


def almost_everywhere(p: Pieces) -> Pieces:
    """p with the values that its limits give, undefined where it is not finite."""
    c = np.where(p.finite[:, None], p.coefficients, 0.0)
    c[:, 0] = np.where(p.finite, c[:, 0], np.nan)
    p = Pieces(p.points, c, p.anchors, np.full(p.points.size, np.nan))
    values = np.where(p.joined, p.limits("left"), np.nan)
    return Pieces(p.points, c, p.anchors, values).simplified()


def collected(parts: Iterable[Part]) -> dict[TestFunction | None, Pieces]:
    """{φ_i: p_i} with the same sum of p_i φ_i, and no sum among the φ_i."""
    out: dict[TestFunction | None, Pieces] = {}
    for factor, p in parts:
        for phi, c in [(None, 1.0)] if factor is None else factor._terms():
            q = p.scaled(c)
            out[phi] = out[phi].plus(q) if phi in out else q
    return out


def restricted(parts: Parts) -> Parts:
    """All parts on the domain of that without a factor, and none that is 0 there."""
    domain = parts[None].scaled(0.0)
    out: dict[TestFunction | None, Pieces] = {None: almost_everywhere(parts[None])}
    for factor, p in parts.items():
        q = almost_everywhere(p.plus(domain))
        if factor is not None and np.any(q.coefficients[q.finite]):
            out[factor] = q
    return out


@checked
def integral(p: Pieces) -> Pieces:
    """
    An antiderivative, continuous on every interval of the domain.

    It is 0 at the first point that an interval of the domain has in its closure, or at
    the anchor if there is none.
    """
    finite, c = p.finite, p.coefficients
    raised = np.pad(c / np.arange(1, c.shape[-1] + 1), [(0, 0), (1, 0)])
    raised = np.where(finite[:, None], raised, 0.0)
    if p.points.size:
        ends = np.r_[p.points[0], p.points]
        raised[:, 0] = -evaluate(raised, ends - p.anchors)
        last = np.r_[p.points, p.points[-1]]
        gain = evaluate(raised, last - p.anchors)
        # Sums start anew behind every gap, and behind the first point, each on its
        # own: differences of one long sum would lose the small behind the large.
        starts = np.flatnonzero(~finite | np.r_[True, ~finite[:-1]])
        for part in np.split(np.arange(gain.size), starts[1:]):
            raised[part[1:], 0] += np.cumsum(gain[part[:-1]])
    out = blank(raised, np.where(finite, 0.0, np.nan))
    return Pieces(p.points, out, p.anchors, np.full(p.points.size, np.nan))
