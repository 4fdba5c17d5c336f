"""What a method is to solve: a function, a constraint, and what is known of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from subgrad._check import Array, nonnegative, real, vector
from subgrad.affine import AffineMap
from subgrad.calculus.maximum import maximum
from subgrad.core import Function, Set, a_function
from subgrad.functions.indicator import Indicator
from subgrad.functions.linear import Linear
from subgrad.functions.norms import max_entry
from subgrad.sets.intersection import intersection


def split(f: Function) -> tuple[Function | None, list[Set]]:
    """f as a sum of terms and the sets of the indicators among them."""
    from subgrad.calculus.sum import Sum

    terms = f.parts if isinstance(f, Sum) else (f,)
    plain = [_plain(t) for t in terms]
    kept = tuple(t for t in plain if not isinstance(t, Indicator))
    sets = [t.domain for t in plain if isinstance(t, Indicator)]
    if not kept:
        return None, sets
    return (kept[0] if len(kept) == 1 else Sum(kept)) if sets else f, sets


def only_sets(f: Function) -> bool:
    """Whether f is a sum of indicators ι_S(A x + b): a point of all is looked for."""
    from subgrad.calculus.precompose import Precomposed
    from subgrad.calculus.sum import Sum

    terms = f.parts if isinstance(f, Sum) else (f,)
    inner = [t.f if isinstance(t, Precomposed) else t for t in terms]
    return all(isinstance(t, Indicator) for t in inner)


def unrestricted(f: Function) -> Function:
    """f without the indicators that `Problem` takes out."""
    return f if only_sets(f) else split(f)[0] or f


def _plain(f: Function) -> Function:
    """ι_S for ι_S(x), x the variable itself."""
    from subgrad.calculus.precompose import Precomposed

    if isinstance(f, Precomposed) and isinstance(f.f, Indicator) and f.f.n is not None:
        itself = f.op.scalar == 1.0 and f.map.b is None
        return f.f if itself else f
    return f


def limit_functions(constraints: Any) -> tuple[Function, ...]:
    """The g of constraints g(x) <= 0; of an affine map every row is one."""
    if isinstance(constraints, Function | AffineMap):
        constraints = (constraints,)
    if isinstance(constraints, Set) or not isinstance(constraints, Iterable):
        kind = type(constraints).__name__
        raise TypeError(
            f"constraints must be a list of Functions g, for g(x) <= 0, got {kind}; a "
            "set goes to constraint="
        )
    out = []
    for i, g in enumerate(constraints):
        if isinstance(g, Set | Indicator):
            raise TypeError(
                f"constraints[{i}] must be a Function g, for g(x) <= 0, got {g!r}; a "
                "set goes to constraint="
            )
        if isinstance(g, AffineMap):
            g = max_entry(g)
        out.append(a_function(f"constraints[{i}]", g))
    return tuple(out)


def largest(limits: tuple[Function, ...]) -> Function:
    """max_i g_i."""
    return limits[0] if len(limits) == 1 else maximum(*limits)


def _empty(sets: list[Set], constraint: Set | None) -> str:
    """Which sets leave no point."""
    if constraint is not None and not np.all(constraint.nonempty):
        return "constraint must not be empty"
    if not all(np.all(S.nonempty) for S in sets):
        return "an indicator among the terms of f has an empty set"
    names = [f"{type(S).__name__} of an indicator in f" for S in sets]
    if constraint is not None:
        names[-1] = f"constraint={type(constraint).__name__}"
    return f"the constraint is empty: no point is common to {' and '.join(names)}"


@dataclass(frozen=True, eq=False)
class Problem:
    r"""Minimise f over a closed convex set C, subject to g(x) <= 0 for every g given.

    Indicators among the terms of f are taken out: the constraint set is what all their
    sets and the one given have in common. Where f has no other terms it stays what it
    is: to minimise it is to look for a point of all sets.
    `optimum` is f* where it is known, `radius` a bound on the distance from the
    starting point to a minimiser: numbers, or one per problem, that are believed. A
    point counts as feasible where no g is above `feasibility`. `limit` is the largest
    of the g, None without. What methods find out about the problem is kept in `known`.
    """

    function: Function
    constraint: Set | None = None
    optimum: Any = None
    radius: Any = None
    constraints: Any = ()
    feasibility: float = 1e-6
    limit: Function | None = field(init=False, default=None)
    known: dict[Any, Any] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        a_function("f", self.function)
        if not isinstance(self.constraint, Set | None):
            kind = type(self.constraint).__name__
            raise TypeError(f"constraint must be a Set, got {kind}")
        f, sets = split(self.function)
        if only_sets(self.function) and not self.constraints:
            f, sets = self.function, []  # whether they meet is what is asked
        elif f is None:
            f = Linear(np.zeros(sets[0].dim))
        sets += [] if self.constraint is None else [self.constraint]
        C = None
        if sets:  # one that meets is not asked again whether it does
            C = sets[0] if len(sets) == 1 else intersection(*sets)
        if C is not None and not np.all(C.nonempty):
            raise ValueError(_empty(sets, self.constraint))
        put = object.__setattr__
        put(self, "function", f)
        put(self, "constraint", C)
        limits = limit_functions(self.constraints)
        put(self, "constraints", limits)
        tau = nonnegative("feasibility", self.feasibility)
        if tau.ndim:
            raise ValueError(f"feasibility must be one number, got shape {tau.shape}")
        put(self, "feasibility", float(tau))
        if limits:
            put(self, "limit", largest(limits))
        if self.optimum is not None:
            put(self, "optimum", real("optimum", self.optimum))
        if self.radius is not None:
            put(self, "radius", nonnegative("radius", self.radius))

    def start(self, x0: Any) -> Array:
        """x0 checked, copied and projected, with the batch of f and the constraint."""
        return self.checked(*self.place(x0))

    def place(self, x0: Any) -> tuple[Array, Array]:
        """The same, in the domain of f or not, and the values there."""
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
        value = value + self._limited(x, value)
        for name in ("optimum", "radius"):
            a = getattr(self, name)
            if (
                a is not None
                and np.broadcast_shapes(a.shape, value.shape) != value.shape
            ):
                raise ValueError(
                    f"{name} must be a number or of shape {value.shape}, got {a.shape}"
                )
        return np.broadcast_to(x, (*value.shape, x.shape[-1])), value

    def checked(self, x: Array, value: Array) -> Array:
        """x, if it is in the domain of f."""
        if not (inside := np.isfinite(value)).all():
            where = f" (problem {np.argmin(inside)})" if value.ndim else ""
            raise ValueError(
                f"x0{where} must lie in the domain of f, got f(x0) = "
                f"{value[~inside][0]}"
            )
        return x

    def _limited(self, x: Array, value: Array) -> Array:
        """Zeros of the batch of the constraints at x, which must have values there."""
        if self.limit is None:
            return np.zeros(())
        if self.limit.n not in (None, x.shape[-1]):
            raise ValueError(
                f"constraints must be functions of {x.shape[-1]} arguments, got one of "
                f"{self.limit.n}"
            )
        at = np.asarray(self.limit._value(x))
        if not np.isfinite(at).all():
            raise ValueError(
                "x0 must lie in the domains of the constraints, got a value of "
                f"{at[~np.isfinite(at)][0]}"
            )
        return 0 * at

    def violation(self, x: Array) -> Array:
        """max(0, g_1(x), ..., g_k(x)), shape (...)."""
        if self.limit is None:
            return np.zeros(x.shape[:-1])
        return np.maximum(np.asarray(self.limit._value(x)), 0.0)
