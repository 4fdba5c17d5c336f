"""The ends of ε-subdifferentials of convex functions made of polynomial pieces."""

from __future__ import annotations

import numpy as np

from .._check import Array
from ._bisection import LARGEST, last
from ._coefficients import derivative, evaluate
from ._pieces import pick, search
from ._polynomials import Mask, Pieces
from .convex import Number


def steepest(f: Pieces, right: Array, t: Array, eps: Number, value: Array) -> Array:
    r"""
    sup ∂_ε f(t) = inf_{s > t} (f(s) - f(t) + ε) / (s - t), for ε > 0 and f(t) finite.

    `right`: f'(t_k+) at the points; `value`: f(t). The quotient falls as long as the
    tangent at s runs less than ε below f(t). That finds the piece. In it, where
    f(t + u) = A u² + B u + C, the quotient is B + A u + (C - f(t) + ε) / u with the
    least value at u = sqrt((C - f(t) + ε) / A), if this belongs to the piece. For
    higher degrees halving finds the last s from which the quotient falls; there it is
    the slope.
    """
    shape = np.broadcast_shapes(t.shape, np.shape(eps))
    count, points = f.points.size, f.points

    def ahead(k: Array) -> Mask:
        below = pick(right, k) * (points[k] - t) - (f.values[k] - value)
        # To the left of the domain both are infinite.
        return (points[k] <= t) | (below < eps)

    with np.errstate(all="ignore"):
        k = search(ahead, count, shape)
        c, a = f.coefficients[k], f.anchors[k]
        low, up = np.maximum(np.r_[-np.inf, points][k], t), np.r_[points, np.inf][k]
        if c.shape[-1] <= 3:
            out = _quadratic(c, t - a, eps - value, low - t, up - t)
        else:
            out = _polynomial(c, a, t, eps, value, low, up)
    return np.where(np.isfinite(c[..., 0]), out, np.inf)


def _quadratic(c: Array, h: Array, excess: Array, start: Array, stop: Array) -> Array:
    rise, slope = evaluate(c, h) + excess, evaluate(derivative(c), h)
    bend = c[..., 2] if c.shape[-1] == 3 else np.zeros_like(rise)
    up = np.maximum(rise, 0.0)
    u = np.where(bend > 0, np.sqrt(up) / np.sqrt(bend), np.where(rise < 0, 0.0, stop))
    u = np.clip(u, start, stop)
    # What vanishes is left out, as u may be 0 or infinite.
    out = slope + np.where(bend > 0, bend * u, 0.0)
    return out + np.where(rise != 0, rise / u, 0.0)


def _polynomial(
    c: Array, a: Array, t: Array, eps: Number, value: Array, low: Array, up: Array
) -> Array:
    slopes = derivative(c)

    def falling(s: Array) -> Mask:
        gone = evaluate(slopes, s - a) * (s - t)
        return gone - (evaluate(c, s - a) - value) < eps

    s = last(falling, low, np.minimum(up, LARGEST))
    chord = (evaluate(c, s - a) - value + eps) / (s - t)
    out = np.where(s == up, chord, evaluate(slopes, s - a))
    # More than ε below f(t) from the start.
    return np.where((s == t) & (chord < 0), -np.inf, out)
