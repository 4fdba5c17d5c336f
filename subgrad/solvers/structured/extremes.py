r"""Proofs that there is nothing to find: an empty domain.

For x in the domain of f every A_k x + b_k lies in that of h_k, so that multipliers have

.. math:: \Big\langle \sum_k A_k^T y_k, x \Big\rangle + \sum_k \langle y_k, b_k \rangle
   \le \sum_k \sigma_k(y_k), \qquad \sigma_k \text{ the support function of } dom\, h_k.

Where r = Σ A_kᵀ y_k vanishes and v = Σ <y_k, b_k> - σ_k(y_k) > 0 no x is left (Farkas);
otherwise none with |x| < v / |r|.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from subgrad._check import Array, nonnegative
from subgrad.affine import Diagonal
from subgrad.core import Function, Set, a_function, a_set
from subgrad.functions.indicator import Indicator
from subgrad.solvers.certificate import restricted
from subgrad.solvers.problem import unrestricted
from subgrad.solvers.structured.certificate import multipliers_of
from subgrad.solvers.structured.domains import conjugate_value, to_domain
from subgrad.solvers.structured.terms import Structure, structure

EPS = float(np.finfo(np.float64).eps)
FAR = 1e8  # times the size of what is known: what lies beyond counts as nowhere


@dataclass(frozen=True, eq=False)
class EmptyDomain:
    """Multipliers, one per term of f or None for 0, that leave no point in its domain.

    No point x with |x| < `radius` is in the domain; inf: none at all. `lower_bound` is
    of no use here.
    """

    multipliers: tuple[Any, ...]
    radius: float
    constraint: Set | None = None
    lower_bound: float = -np.inf

    def verify(self, f: Function, constraints: Any = ()) -> bool:
        """Whether it holds of f, which is given without the constraint or with it."""
        radius = nonnegative("radius", self.radius, infinite=True)
        if radius.ndim:
            raise ValueError(f"radius must be one number, got {radius.shape}")
        f = a_function("f", f)
        if self.constraint is not None:
            f = restricted(unrestricted(f), a_set("constraint", self.constraint))
        s = structure(f)
        multipliers = multipliers_of(s, "multipliers", self.multipliers)
        if multipliers is None:
            return False
        with np.errstate(over="ignore", invalid="ignore"):
            return bool(_empty_within(s, multipliers) >= radius)


def empty_domain(
    s: Structure, direction: tuple[Any, ...], x: Array, constraint: Set | None
) -> EmptyDomain | None:
    """The certificate of a direction in which the multipliers grow, if it is one.

    An indicator of x itself gets the multiplier that makes r = 0.
    """
    size = max((np.abs(y).max() for y in direction if y is not None), default=0.0)
    if not size > 0 or not np.isfinite(size):
        return None
    sets = [isinstance(t.h, Indicator) for t in s.terms]
    ys: list[Any] = [
        y / size if y is not None and is_set else None
        for y, is_set in zip(direction, sets, strict=True)
    ]
    own = [i for i, t in enumerate(s.terms) if t.own and sets[i]]
    for i in own[:1]:
        ys[i] = None
        r = np.zeros(s.n)
        for y, t in zip(ys, s.terms, strict=True):
            if y is not None:
                r = r + t.op.adjoint(y)
        ys[i] = -r
    radius = _empty_within(s, tuple(ys))
    if radius > FAR * (1 + float(np.linalg.norm(x))):
        return EmptyDomain(tuple(ys), radius / 2, constraint)
    return None


def _empty_within(s: Structure, multipliers: tuple[Any, ...]) -> float:
    """v / |r|, |r| as large as rounding may have it; 0 where v <= 0."""
    r, whole, v, blur, products = np.zeros(s.n), np.zeros(s.n), 0.0, 0.0, 0.0
    for y, t, length in zip(multipliers, s.terms, s.lengths, strict=True):
        if y is None:
            continue
        if not isinstance(t.h, Indicator):
            if np.any(y):
                return 0.0
            continue
        y = to_domain(t.h, y)
        h = conjugate_value(t.h, y)
        if not np.isfinite(h):
            return 0.0
        along = t.op.adjoint(y)
        r, whole = r + along, whole + np.abs(along)
        if not isinstance(t.op, Diagonal):
            products += length * float(np.linalg.norm(y))
        v += float(y @ t.b) - h
        blur += float(np.abs(y) @ np.abs(t.b)) + abs(h)
    v -= 16 * EPS * blur
    if not v > 0:
        return 0.0
    rounding = 4 * EPS * (float(np.linalg.norm(whole)) + products)
    size = float(np.linalg.norm(r)) + rounding
    return v / size if size > 0 else np.inf
