"""Real roots of many polynomials at once."""

from __future__ import annotations

import numpy as np

from .._check import Array
from ._bisection import LARGEST, last
from ._coefficients import degrees, derivative

_ROUNDING = 4 * np.finfo(np.float64).eps


def real_roots(c: Array) -> Array:
    """
    The real roots of sum_j c[k, j] h^j, row by row, nan as filling.

    A polynomial that misses 0 by the rounding touches it there, once. Rows of zeros
    have no roots. Shape (K, max(D, 1)).
    """
    rows, width = c.shape
    out = np.full((rows, max(width - 1, 1)), np.nan)
    degree = degrees(c)
    for d in np.unique(degree[degree > 0]):
        k = np.flatnonzero(degree == d)
        p = c[k, : d + 1]
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            if d == 1:
                out[k, 0] = -p[:, 0] / p[:, 1]
            elif d == 2:
                out[k, :2] = _quadratic(p)
            else:
                out[k, :d] = _between(p, real_roots(derivative(p)))
    return out + 0.0


def _quadratic(p: Array) -> Array:
    # Scaled, without rounding, so that the discriminant cannot overflow.
    p = np.ldexp(p, -np.frexp(abs(p).max(axis=-1, keepdims=True))[1])
    c, b, a = p.T
    d, size = b * b - 4 * a * c, b * b + 4 * abs(a * c)
    touching = abs(d) <= _ROUNDING * size
    q = -(b + np.copysign(np.sqrt(np.where(touching, 0.0, d)), b)) / 2
    other = np.where(q != 0, c / q, 0.0)
    return np.stack([q / a, np.where(touching, np.nan, other)], -1)


def _between(p: Array, turns: Array) -> Array:
    """
    The roots of polynomials from those of their derivatives: at most one in each of
    the intervals that these leave, found by halving to the last bit, or at its end.
    """
    ends = np.full((*turns.shape[:-1], 1), LARGEST)
    turns = np.sort(np.nan_to_num(turns, nan=LARGEST), axis=-1)
    t = np.concatenate([-ends, turns, ends], -1)
    value, size = _at(p, t), _at(abs(p), abs(t))
    touching = (abs(value) <= _ROUNDING * size) & np.isfinite(value)
    sign = np.where(touching, 0.0, np.sign(value))
    start, stop = sign[:, :-1], sign[:, 1:]
    same = last(lambda s: np.sign(_at(p, s)) == start, t[:, :-1], t[:, 1:])
    far = np.nextafter(same, t[:, 1:])
    found = _polished(p, far)
    found = np.where((found > t[:, :-1]) & (found < t[:, 1:]), found, far)
    # At 0 the terms underflow.
    around = (t[:, :-1] < 0) & (t[:, 1:] > 0) & (p[:, :1] == 0)
    found = np.where(around, 0.0, np.where(start * stop < 0, found, np.nan))
    return np.where(touching[:, 1:], t[:, 1:], found)


def _polished(p: Array, r: Array) -> Array:
    """
    A step of Newton's method with p(r) in doubled precision, so that roots with few
    digits are exact. Source: Graillat, Langlois and Louvet, Compensated Horner scheme.
    """
    value, error, slope = p[:, -1:] + np.zeros_like(r), np.zeros_like(r), 0.0
    high = _half(r)
    for j in range(p.shape[-1] - 2, -1, -1):
        slope = slope * r + value
        product, top = value * r, _half(value)
        lost = top * high - product + top * (r - high) + (value - top) * high
        lost += (value - top) * (r - high)
        value = product + p[:, j, None]
        part = value - product
        lost += product - (value - part) + (p[:, j, None] - part)
        error = error * r + lost
    return r - (value + error) / slope


def _half(a: Array) -> Array:
    """The upper half of the digits of a."""
    return a * 134217729.0 - (a * 134217729.0 - a)


def _at(p: Array, t: Array) -> Array:
    out = np.zeros_like(t)
    for j in range(p.shape[-1] - 1, -1, -1):
        out = out * t + p[..., j, None]
    return out
