"""Sets of points on the line, as portion.Interval, from and to ends in floats."""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Real
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import portion

# Lower end, upper end, and whether each belongs to the interval.
Atom = tuple[float, float, bool, bool]


def union(atoms: Iterable[Atom]) -> portion.Interval:
    """The union of intervals; infinite ends are open whatever the atoms say."""
    import portion

    ends = {math.inf: portion.inf, -math.inf: -portion.inf}
    sides = (portion.OPEN, portion.CLOSED)
    parts = []
    for low, up, left, right in atoms:
        # Adding 0.0 turns -0.0, which portion would print, into 0.0.
        low, up = float(low) + 0.0, float(up) + 0.0
        left, right = left and low > -math.inf, right and up < math.inf
        if low < up or (low == up and left and right):
            ends_of = (ends.get(low, low), ends.get(up, up))
            parts.append(
                portion.Interval.from_atomic(sides[left], *ends_of, sides[right])
            )
    return portion.Interval(*parts)


def atoms(name: str, p: Any) -> list[Atom]:
    """The atomic parts of a portion.Interval, in order."""
    import portion

    if not isinstance(p, portion.Interval):
        raise TypeError(f"{name} must be a portion.Interval, got {type(p).__name__}")
    out = []
    for part in p:
        low = -math.inf if part.lower == -portion.inf else part.lower
        up = math.inf if part.upper == portion.inf else part.upper
        if not (isinstance(low, Real) and isinstance(up, Real)):
            raise TypeError(f"{name} must have real numbers as ends, got {p}")
        closed = (part.left is portion.CLOSED, part.right is portion.CLOSED)
        if not part.empty:
            out.append((float(low), float(up), *closed))
    return out
