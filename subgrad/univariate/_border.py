"""Checks of what a piecewise polynomial is made from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .._check import Array, real


def line(name: str, a: Any, *, infinite: bool = False) -> Array:
    a = real(name, a, infinite=infinite).astype(np.float64)
    if a.ndim != 1:
        raise ValueError(f"{name} must have one axis, got shape {a.shape}")
    return a


def given(values: Any) -> Array:
    """Values at breakpoints: finite, +-inf, or nan for undefined."""
    v = _numbers("values", values)
    if v.ndim != 1:
        raise ValueError(f"values must have one axis, got shape {v.shape}")
    return v


def rows(coefficients: Any, count: int) -> Array:
    """One row for each piece, filled with zeros; a constant may be +-inf or nan."""
    if not isinstance(coefficients, Iterable):
        raise TypeError(
            f"coefficients must be a sequence of rows, got {coefficients!r}"
        )
    found = [
        np.atleast_1d(_numbers(f"coefficients[{k}]", row))
        for k, row in enumerate(coefficients)
    ]
    if len(found) != count:
        raise ValueError(
            f"{count - 1} breakpoints need {count} rows of coefficients, got "
            f"{len(found)}"
        )
    out = np.zeros((count, max(row.size for row in found) or 1))
    for k, row in enumerate(found):
        if row.ndim != 1:
            raise ValueError(
                f"coefficients[{k}] must have one axis, got shape {row.shape}"
            )
        out[k, : row.size] = row
    special = ~np.isfinite(out)
    if special[:, 1:].any() or out[special[:, 0], 1:].any():
        raise ValueError(
            "a row of coefficients must be finite or the constant [inf], [-inf] or "
            f"[nan], got {out[special.any(axis=-1)][0].tolist()}"
        )
    return out


def _numbers(name: str, a: Any) -> Array:
    """A new array of floats, nan and infinities among them."""
    try:
        a = np.asarray(a)
    except ValueError:
        raise ValueError(
            f"{name} must be an array of numbers, got a ragged list"
        ) from None
    if a.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be an array of real numbers, got dtype {a.dtype}")
    return a.astype(np.float64)


def number(name: str, a: Any, *, infinite: bool = False) -> float:
    a = real(name, a, infinite=infinite)
    if a.ndim:
        raise ValueError(f"{name} must be a number, got shape {a.shape}")
    return float(a)
