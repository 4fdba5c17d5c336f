r"""Proofs that a function is unbounded below: directions along which it falls for ever.

.. math:: f_\infty(d) < 0, \quad d \text{ in the recession cone of } C

Rockafellar, Convex Analysis, 8.5: f(x + t d) <= f(x) + t f_∞(d) at every x of C where f
is finite.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from subgrad._check import Array, vector
from subgrad.core import Function, Mask, Set, a_function, norm


@dataclass(frozen=True, eq=False)
class RayCertificate:
    """A `direction` (..., n) along which f falls for ever, within the constraint.

    The zero direction stands for problems of a batch of which nothing is proved.
    """

    direction: Array
    constraint: Set | None = None
    lower_bound: Any = -np.inf

    def verify(self, f: Function, constraints: Any = ()) -> bool:
        """Whether f falls along every direction that is not zero."""
        from subgrad.solvers.problem import split

        d = vector("direction", self.direction, a_function("f", f).n)
        kept, sets = split(f)
        sets += [] if self.constraint is None else [self.constraint]
        some = d.any(-1)
        if kept is None or not some.any():
            return False
        sure = falls_along(kept, d)
        for S in sets:
            sure = sure & S.recession_cone().contains(d)
        return bool(np.all(sure | ~some))


def falls_along(f: Function, d: Array) -> Mask:
    """Where the recession function of f is below zero, beyond rounding."""
    from subgrad.calculus.recession import recession_function

    slope = recession_function(f)
    back = slope._value(-d)
    # Slopes that cancel leave a rounding of the size of what they were.
    size = np.where(np.isfinite(back), np.abs(back), 0.0) + norm(d)
    return np.asarray(slope._value(d) < -1e-9 * size)
