"""Loops that no numpy call expresses, compiled where numba is installed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any


@cache
def compiled(loop: Callable[..., Any]) -> Callable[..., Any]:
    """`loop` compiled by numba on first use, or as it stands: the same, but slower.

    A loop takes and fills numpy arrays of float64 and of integers only.
    """
    try:
        from numba import njit
    except ImportError:
        return loop
    return njit(cache=True, nogil=True, error_model="numpy")(loop)
