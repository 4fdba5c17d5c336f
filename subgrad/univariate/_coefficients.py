"""Coefficients of polynomials, lowest power first, on the last axis of an array."""

from __future__ import annotations

import numpy as np

from .._check import Array

# Limits that differ by less than this part of the size of their terms are equal: the
# polynomials beside a computed crossing meet up to rounding only.
ROUNDING = 64 * np.finfo(np.float64).eps


def evaluate(c: Array, h: Array) -> Array:
    """sum_j c[..., j] h^j."""
    if c.shape[-1] == 1:
        return c[..., 0] + np.zeros_like(h)
    out = c[..., -1] * h
    out += c[..., -2]
    for j in range(c.shape[-1] - 3, -1, -1):
        out *= h
        out += c[..., j]
    return out


def sizes(c: Array, h: Array, t: Array) -> Array:
    """
    The size of the terms of sum_j c[..., j] h^j, to which what the rounding of the
    point t may change belongs.
    """
    c, h = abs(c), abs(h)
    out, slope = c[..., -1], np.zeros_like(h)
    for j in range(c.shape[-1] - 2, -1, -1):
        slope = slope * h + out
        out = out * h + c[..., j]
    return out + slope * abs(t)


def degrees(c: Array) -> Array:
    """The degree of every polynomial, 0 for zero."""
    return np.max(np.where(c != 0, np.arange(c.shape[-1]), 0), axis=-1)


def derivative(c: Array) -> Array:
    """The coefficients of the derivative; nan stands where there is no polynomial."""
    out = c[..., 1:] * np.arange(1.0, c.shape[-1])
    if not out.shape[-1]:
        out = np.zeros((*c.shape[:-1], 1))
    return blank(out, np.where(np.isfinite(c[..., 0]), 0.0, np.nan))


def blank(c: Array, special: Array) -> Array:
    """c with the constants `special` where these are not finite."""
    rows = ~np.isfinite(special)
    if rows.any():
        c = np.where(rows[..., None], 0.0, c)
        c[..., 0] = np.where(rows, special, c[..., 0])
    return c


def shift(c: Array, by: Array) -> Array:
    """The coefficients of h -> p(h + by); those with by = 0 stay bit for bit."""
    if not np.any(by):
        return c
    c = c.copy()
    for i in range(c.shape[-1] - 1):
        for j in range(c.shape[-1] - 2, i - 1, -1):
            c[..., j] += by * c[..., j + 1]
    return c


def product(c: Array, d: Array) -> Array:
    """The coefficients of a product of polynomials."""
    out = np.zeros((*c.shape[:-1], c.shape[-1] + d.shape[-1] - 1))
    for j in range(c.shape[-1]):
        out[..., j : j + d.shape[-1]] += c[..., j, None] * d
    return out


def widened(c: Array, width: int) -> Array:
    """c with zeros up to `width` coefficients."""
    return np.pad(c, [(0, 0), (0, width - c.shape[-1])]) if c.shape[-1] < width else c


def middles(points: Array) -> Array:
    """One number inside each of the intervals that the points cut out of the line."""
    if not points.size:
        return np.zeros(1)
    margin = np.maximum(1.0, abs(points[[0, -1]]))
    inner = points[:-1] / 2 + points[1:] / 2
    return np.r_[points[0] - margin[0], inner, points[-1] + margin[1]]
