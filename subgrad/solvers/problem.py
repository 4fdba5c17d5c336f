"""What a method is to solve: a function, a constraint, and what is known of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from subgrad._check import Array, nonnegative, real, vector
from subgrad.core import Function, Set, a_function
from subgrad.functions.indicator import Indicator


def split(f: Function) -> tuple[Function | None, list[Set]]:
    """f as a sum of terms and the sets of the indicators among them."""
    from subgrad.calculus.sum import Sum

    terms = f.parts if isinstance(f, Sum) else (f,)
    kept = tuple(t for t in terms if not isinstance(t, Indicator))
    sets = [t.domain for t in terms if isinstance(t, Indicator)]
    if not kept:
        return None, sets
    return (kept[0] if len(kept) == 1 else Sum(kept)) if sets else f, sets


@dataclass(frozen=True, eq=False)
class Problem:
    r"""Minimise f over a closed convex set C.

    Indicators among the terms of f are taken out and become the constraint. `optimum`
    is f* where it is known, `radius` a bound on the distance from the starting point to
    a minimiser: numbers, or one per problem, that are believed.
    """

    function: Function
    constraint: Set | None = None
    optimum: Any = None
    radius: Any = None

    def __post_init__(self) -> None:
        a_function("f", self.function)
        if not isinstance(self.constraint, Set | None):
            kind = type(self.constraint).__name__
            raise TypeError(f"constraint must be a Set, got {kind}")
        f, sets = split(self.function)
        if f is None:
            raise ValueError("f must have a term that is not an indicator")
        sets += [] if self.constraint is None else [self.constraint]
        if len(sets) > 1:
            raise ValueError(
                f"{len(sets)} constraint sets, but a method projects onto one: give "
                "their intersection as one Set"
            )
        if sets and not np.all(sets[0].nonempty):
            raise ValueError("constraint must not be empty")
        put = object.__setattr__
        put(self, "function", f)
        put(self, "constraint", sets[0] if sets else None)
        if self.optimum is not None:
            put(self, "optimum", real("optimum", self.optimum))
        if self.radius is not None:
            put(self, "radius", nonnegative("radius", self.radius))

    def start(self, x0: Any) -> Array:
        """x0 checked, copied and projected, with the batch of f and the constraint."""
        x = vector("x0", x0, self.function.n)
        if x.size == 0:
            raise ValueError(f"x0 must hold at least one point, got shape {x.shape}")
        x, C = x.copy(), self.constraint
        if C is not None:
            if C.dim != x.shape[-1]:
                raise ValueError(
                    f"constraint must lie in R^{x.shape[-1]}, where x0 of shape "
                    f"{x.shape} is, got a set in R^{C.dim}"
                )
            x = C._project(x)
        value = np.asarray(self.function._value(x))
        inside = np.isfinite(value)
        if not inside.all():
            where = f" (problem {np.argmin(inside)})" if value.ndim else ""
            got = value[~inside][0]
            raise ValueError(
                f"x0{where} must lie in the domain of f, got f(x0) = {got}"
            )
        for name in ("optimum", "radius"):
            a = getattr(self, name)
            if (
                a is not None
                and np.broadcast_shapes(a.shape, value.shape) != value.shape
            ):
                raise ValueError(
                    f"{name} must be a number or of shape {value.shape}, got {a.shape}"
                )
        return np.broadcast_to(x, (*value.shape, x.shape[-1]))
