"""Real roots of many polynomials at once."""

from __future__ import annotations

import numpy as np

from .._check import Array

# An eigenvalue this close to the real axis may stand for a multiple root.
_NEAR = 1e-5


def real_roots(c: Array) -> Array:
    """
    Candidates for the real roots of sum_j c[k, j] h^j, row by row, nan as filling.

    Every real root is among them, a multiple one up to the precision it can have; a
    double root may be missed or there twice, and near misses of a root may be there.
    Rows of zeros have none. Shape (K, max(D, 1)).
    """
    rows, width = c.shape
    out = np.full((rows, max(width - 1, 1)), np.nan)
    degree = np.max(np.where(c != 0, np.arange(width), 0), axis=-1, initial=0)
    for d in np.unique(degree[degree > 0]):
        k = np.flatnonzero(degree == d)
        p = c[k, : d + 1]
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            if d == 1:
                out[k, 0] = -p[:, 0] / p[:, 1]
            elif d == 2:
                out[k, :2] = _quadratic(p)
            else:
                out[k, :d] = _companion(p)
    return out


def _quadratic(p: Array) -> Array:
    # Scaled so that the discriminant cannot overflow.
    p = p / abs(p).max(axis=-1, keepdims=True)
    c, b, a = p.T
    root = np.sqrt(_discriminant(a, b, c))
    q = -(b + np.copysign(root, b)) / 2
    return np.stack([q / a, np.where(q != 0, c / q, 0.0)], -1)


def _discriminant(a: Array, b: Array, c: Array) -> Array:
    """b² - 4 a c; a touching parabola may miss 0 by the rounding, which counts as 0."""
    d, size = b * b - 4 * a * c, b * b + 4 * abs(a * c)
    return np.where(abs(d) <= 4 * np.finfo(np.float64).eps * size, 0.0, d)


def _companion(p: Array) -> Array:
    """Eigenvalues of the companion matrices, each improved by Newton's iteration."""
    d = p.shape[-1] - 1
    matrix = np.zeros((*p.shape[:-1], d, d))
    matrix[..., np.arange(1, d), np.arange(d - 1)] = 1.0
    matrix[..., :, -1] = -p[..., :-1] / p[..., -1:]
    z = np.linalg.eigvals(matrix)
    r = np.where(abs(z.imag) <= _NEAR * abs(z), z.real, np.nan)
    slopes = p[..., 1:] * np.arange(1, d + 1)
    for _ in range(3):
        value, slope = _at(p, r), _at(slopes, r)
        better = r - value / slope
        closer = abs(_at(p, better)) < abs(value)
        r = np.where(closer, better, r)
    return r


def _at(p: Array, r: Array) -> Array:
    out = np.zeros_like(r)
    for j in range(p.shape[-1] - 1, -1, -1):
        out = out * r + p[..., j, None]
    return out
