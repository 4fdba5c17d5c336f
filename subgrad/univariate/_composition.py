"""Functions made of polynomial pieces, one applied to the other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from .._check import Array
from ._coefficients import blank, degrees, evaluate, middles, product, widened

if TYPE_CHECKING:
    from ._polynomials import Pieces


def composed(f: Pieces, g: Pieces) -> Pieces:
    """f ∘ g, not finite where g is not."""
    places, levels = g.preimages(f.points)
    g = g.refined(places)
    # There g takes the value that it was solved for, whatever rounding says.
    g = g.valued(np.searchsorted(g.points, places), f.points[levels])
    k = np.searchsorted(f.points, _inner_values(g), "left")
    c, d = f.coefficients[k], g.coefficients
    anchors, out = g.anchors, _substituted(c, f.anchors[k], d)
    degree = degrees(d)
    affine = (degree == 1) & g.finite
    if affine.any():
        # The anchor moves along, so that no coefficient is mixed with another.
        slope = np.where(affine, d[:, min(1, d.shape[-1] - 1)], 1.0)
        moved = anchors + (f.anchors[k] - d[:, 0]) / slope
        powers = c * slope[:, None] ** np.arange(c.shape[-1])
        powers = widened(powers, out.shape[-1])
        anchors = np.where(affine, moved, anchors)
        out = np.where(affine[:, None], powers, out)
    flat = (degree == 0) & g.finite
    constants = f(np.where(flat, d[:, 0], 0.0))
    out = np.where(flat[:, None], 0.0, out)
    out[:, 0] = np.where(flat, constants, out[:, 0])
    out = blank(out, np.where(g.finite, out[:, 0], d[:, 0]))
    inside = np.isfinite(g.values)
    values = np.where(inside, f(np.where(inside, g.values, 0.0)), g.values)
    return replace(g, coefficients=out, anchors=anchors, values=values)


def _inner_values(f: Pieces) -> Array:
    """The value of every piece at a number inside it."""
    with np.errstate(over="ignore"):
        return evaluate(f.coefficients, middles(f.points) - f.anchors)


def _substituted(c: Array, anchors: Array, inner: Array) -> Array:
    """The coefficients of sum_j c_j (inner - anchors)^j."""
    finite, inner = np.isfinite(c[:, 0]), np.where(np.isfinite(inner), inner, 0.0)
    inner[:, 0] -= anchors
    polynomials = np.where(finite[:, None], c, 0.0)
    out = polynomials[:, -1:]
    for j in range(c.shape[-1] - 2, -1, -1):
        out = product(out, inner)
        out[:, 0] += polynomials[:, j]
    return blank(out, np.where(finite, 0.0, c[:, 0]))
