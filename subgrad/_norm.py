"""The Euclidean norm, safe against overflow and underflow."""

from __future__ import annotations

import numpy as np

from subgrad._check import Array


def norm(x: Array) -> Array:
    """Euclidean norm over the last axis, without overflow or underflow of squares."""
    with np.errstate(over="ignore"):
        n = np.sqrt(np.vecdot(x, x))
    safe = float(np.finfo(n.dtype).max) ** 0.45
    if not n.size:
        return n
    low, high = (n, n) if n.ndim == 0 else (np.min(n), np.max(n))
    if high > safe or low < 1 / safe:
        top = np.max(np.abs(x), axis=-1, keepdims=True)
        y = x / np.where((top > 0) & np.isfinite(top), top, 1.0)
        n = top[..., 0] * np.sqrt(np.vecdot(y, y))
    return n


def unit(x: Array) -> Array:
    """x / |x|, and 0 where x = 0."""
    size = norm(x)[..., None]
    return x / np.where(size > 0, size, 1.0)
