"""What intervals look like, and their counterparts in portion."""

from __future__ import annotations

import math
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from ._check import Array

if TYPE_CHECKING:
    import portion


def layout(lower: Array, upper: Array, prefix: str) -> str:
    """The intervals as numpy shows numbers, in lines that begin after `prefix`."""
    low, up = lower.reshape(-1), upper.reshape(-1)
    # numpy lays out the positions, so that long arrays are shortened its way.
    return np.array2string(
        np.arange(low.size).reshape(lower.shape),
        formatter={"int": lambda i: _one(low[i], up[i])},
        separator=", ",
        prefix=prefix,
    )


def _one(lower: np.floating[Any], upper: np.floating[Any]) -> str:
    if lower > upper:
        return "∅"
    left = "(-inf" if lower == -np.inf else f"[{_number(lower)}"
    return f"{left}, +inf)" if upper == np.inf else f"{left}, {_number(upper)}]"


def _number(x: np.floating[Any]) -> str:
    return str(x + 0.0).removesuffix(".0")


def to_portion(low: float, up: float) -> portion.Interval:
    """[low, up] with infinite ends open."""
    import portion

    ends = {math.inf: portion.inf, -math.inf: -portion.inf}
    # Adding 0.0 turns -0.0, which portion would print, into 0.0.
    low, up = low + 0.0, up + 0.0
    return portion.closed(ends.get(low, low), ends.get(up, up))


def from_portion(p: portion.Interval) -> tuple[float, float] | None:
    """The ends of a portion.Interval that is closed in R; None of the empty one."""
    import portion

    if not isinstance(p, portion.Interval):
        raise TypeError(f"p must be a portion.Interval, got {type(p).__name__}")
    if p.empty:
        return None
    if not p.atomic:
        raise ValueError(f"p must be a single interval, got the union {p}")
    low = -math.inf if p.lower == -portion.inf else p.lower
    up = math.inf if p.upper == portion.inf else p.upper
    if not (isinstance(low, Real) and isinstance(up, Real)):
        raise TypeError(f"p must have real numbers as ends, got {p}")
    for end, side in ((low, p.left), (up, p.right)):
        if side is portion.OPEN and math.isfinite(end):
            raise ValueError(f"p must be closed at its finite ends, got {p}")
    return float(low), float(up)
