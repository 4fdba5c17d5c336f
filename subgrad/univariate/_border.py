"""Checks of what a piecewise polynomial is made from."""

from __future__ import annotations

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
    v = np.array(values, np.float64)
    if v.ndim != 1:
        raise ValueError(f"values must have one axis, got shape {v.shape}")
    return v


def rows(coefficients: Any, count: int) -> Array:
    """One row for each piece, filled with zeros; a constant may be +-inf or nan."""
    found = [np.atleast_1d(np.asarray(row)) for row in coefficients]
    if len(found) != count:
        raise ValueError(
            f"{count - 1} breakpoints need {count} rows of coefficients, got "
            f"{len(found)}"
        )
    out = np.zeros((count, max((row.size for row in found), default=1) or 1))
    for k, row in enumerate(found):
        if row.ndim != 1 or row.dtype.kind not in "biuf":
            raise ValueError(
                f"coefficients[{k}] must be a sequence of real numbers, got {row!r}"
            )
        out[k, : row.size] = row
    special = ~np.isfinite(out)
    if special[:, 1:].any() or out[special[:, 0], 1:].any():
        raise ValueError(
            "a piece must have finite coefficients or be the constant [inf], [-inf] or "
            f"[nan], got {out[special.any(axis=-1)][0].tolist()}"
        )
    return out


def number(name: str, a: Any, *, infinite: bool = False) -> float:
    a = real(name, a, infinite=infinite)
    if a.ndim:
        raise ValueError(f"{name} must be a number, got shape {a.shape}")
    return float(a)
