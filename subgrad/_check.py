"""Checks of what comes in at the border; everything behind it trusts its arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
brief = np.printoptions(threshold=20, edgeitems=2)  # of what is shown of arrays


def real(name: str, a: Any, *, infinite: bool = False) -> Array:
    """`a` as a float array (float32 stays), without nan, infinities only if allowed."""
    given = a
    try:
        a = np.asarray(a)
    except ValueError:
        what = "a ragged list" if isinstance(a, list | tuple) else type(a).__name__
        raise ValueError(f"{name} must be an array of numbers, got {what}") from None
    if a.dtype.kind not in "biuf":
        known = isinstance(given, list | tuple | np.ndarray)
        what = f"dtype {a.dtype}" if known else type(given).__name__
        hint = "; of an expression x write f(parameters)(x)" * (what == "AffineMap")
        raise TypeError(f"{name} must be an array of real numbers, got {what}{hint}")
    if a.dtype != np.float32:
        a = a.astype(np.float64, copy=False)
    # One reduction that looks at every entry without writing an array of booleans.
    with np.errstate(over="ignore", invalid="ignore"):
        total = a.sum()
    if not np.isfinite(total):
        _refuse(name, a, infinite)
    return a


def _refuse(name: str, a: Array, infinite: bool) -> None:
    if np.isnan(a).any():
        raise ValueError(f"{name} must not contain nan")
    if not infinite and np.isinf(a).any():
        raise ValueError(f"{name} must be finite, got {a[np.isinf(a)].flat[0]}")


def vector(name: str, x: Any, n: int | None, *, infinite: bool = False) -> Array:
    """`x` as an array of shape (..., n), n >= 1."""
    x = real(name, x, infinite=infinite)
    if x.ndim == 0:
        if n not in (None, 1):
            raise ValueError(f"{name} must have shape (..., {n}), got a scalar")
        x = x[None]
    if n is not None and x.shape[-1] != n:
        raise ValueError(f"{name} must have shape (..., {n}), got {x.shape}")
    if x.shape[-1] == 0:
        raise ValueError(
            f"{name} must have at least one coordinate, got shape {x.shape}"
        )
    return x


def count(n: Any) -> int:
    """n as a positive integer."""
    if not isinstance(n, int | np.integer) or n < 1:
        raise ValueError(f"n must be a positive integer, got {n!r}")
    return int(n)


def nonnegative(name: str, a: Any, *, infinite: bool = False) -> Array:
    """`a` as a float array with no entry below zero."""
    a = real(name, a, infinite=infinite)
    if a.size and a.min() < 0:
        raise ValueError(f"{name} must be nonnegative, got {a.min()}")
    return a


def positive(name: str, a: Any) -> Array:
    """`a` as a float array with every entry above zero."""
    a = real(name, a)
    if a.size and a.min() <= 0:
        raise ValueError(f"{name} must be positive, got {a.min()}")
    return a
