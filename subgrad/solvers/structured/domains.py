"""Where the conjugates of atoms are finite, and their values there."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad.calculus.envelope import MoreauEnvelope
from subgrad.core import Function, Set
from subgrad.functions.distance import Distance
from subgrad.functions.indicator import Indicator
from subgrad.functions.separable import Separable
from subgrad.functions.support import Support
from subgrad.sets.ball import GroupBall
from subgrad.sets.box import Box
from subgrad.solvers.structured.terms import Structure, unscaled

EPS = float(np.finfo(np.float64).eps)
AGAIN = 24  # each time a length of up to 1e308 loses sixteen digits


def dual_set(h: Function, n: int) -> Set | None:
    """The S of h = h_S on R^n, None for other functions."""
    if isinstance(h, Support):
        return h._body(n)
    if isinstance(h, Separable | Indicator):
        return None
    star = _conjugate(h)
    return star._body(n) if isinstance(star, Indicator) else None


@lru_cache(16)
def _conjugate(g: Function) -> Function:
    """g*, for which some atoms look at much: once in a run."""
    return g.conjugate()


def _weights(g: Function) -> Any:
    """Those of a separable function, all positive; None of other functions."""
    if not isinstance(g, Separable):
        return None
    if g.weights is None:
        return 1.0
    return g.weights if g.weights.ndim == 1 and np.all(g.weights > 0) else None


def _member(S: Set, y: Array) -> Array:
    """The projection of y, again where y is so long that rounding takes it out of S."""
    p = S._project(y)
    if isinstance(S, Box):
        return p
    for _ in range(AGAIN):
        if np.abs(y).max() <= 4 * np.abs(p).max():
            break
        y, p = p, S._project(p)
    return p


def to_domain(h: Function, y: Array) -> Array:
    """A point near y where h* is finite."""
    a, g = unscaled(h)
    S = dual_set(g, len(y))
    if S is not None and _inside(S, y, a):
        return y
    given, y = y, y / a
    if S is not None:
        y = _member(S, y)
        # What is moved by rounding only is not to be moved at every look.
        if np.all(np.abs(a * y - given) <= 2 * EPS * np.abs(given)):
            return given
    elif (w := _weights(g)) is not None:
        y = w * np.clip(y / w, *g._star.ends)  # type: ignore[attr-defined]
    elif isinstance(g, Distance):
        # The same ball around 0, of the polar of a cone as of all vectors.
        if not np.all(g.S.is_bounded):
            y = y - g.S.recession_cone()._project(y)
        y = y / max(1.0, float(np.linalg.norm(y)))
    elif isinstance(g, MoreauEnvelope):
        y = to_domain(g.f, y)
    elif isinstance(g, Indicator):
        # h* is a support function: of a box it is finite where no infinite end counts.
        C = g._body(len(y))
        if isinstance(C, Box):
            y = np.where(np.isposinf(C.upper), np.minimum(y, 0), y)
            y = np.where(np.isneginf(C.lower), np.maximum(y, 0), y)
        elif not np.all(C.is_bounded):
            # The polar of the recession cone (Rockafellar, Convex Analysis, 14.2.1).
            y = y - C.recession_cone()._project(y)
    else:
        moved = _conjugate(g)._to_domain(y)
        if np.array_equal(moved, y):
            return given
        y = moved
    return a * y


def _inside(S: Set, y: Array, a: float) -> bool:
    """Whether y / a is seen, without copies of y, to be in S."""
    if isinstance(S, Box):
        # Their ends are often one number.
        least, most = y.min(initial=np.inf), y.max(initial=-np.inf)
        return bool(S.lower.max() <= least / a and most / a <= S.upper.min())
    if isinstance(S, GroupBall) and S.is_round and not S.center.any():
        return bool(np.all(S.groups.norm(y) <= a * S.radius))
    return False


def conjugate_value(h: Function, y: Array) -> float:
    """h*(y), y a point that `to_domain` gave."""
    a, g = unscaled(h)
    if dual_set(g, len(y)) is not None:
        return 0.0
    if isinstance(g, Indicator):
        return float(g._body(len(y))._support(y))
    if (w := _weights(g)) is not None:
        # y / a may be beyond an end by rounding.
        star: Any = g._star  # type: ignore[attr-defined]
        return a * float(np.sum(w * star._value(np.clip(y / (a * w), *star.ends))))
    return a * float(_conjugate(g)._value(y / a))


def unbounded_box(s: Structure) -> int | None:
    """Which term says that x is in a box, the only one and without end; or None."""
    own = [k for k, t in enumerate(s.terms) if t.own and isinstance(t.h, Indicator)]
    if len(own) != 1 or s.q.any():
        return None
    S: Any = s.terms[own[0]].h._body(s.n)  # type: ignore[attr-defined]
    return own[0] if isinstance(S, Box) and not S._finite else None
