r"""Infimal convolutions: two functions share out their argument.

.. math:: (f \square g)(x) = \inf_u f(u) + g(x - u), \qquad
   (f \square g)^* = f^* + g^*, \qquad
   \partial(f \square g)(x) = \partial f(u) \cap \partial g(x - u)

for a u that attains it. Rockafellar, Convex Analysis, 16.4; Bauschke and Combettes,
Convex Analysis and Monotone Operator Theory, 12 and 16.61.

Here are the pairs whose convolution is a function of the library; each is closed:

* c/2 |.|² with f: the Moreau envelope of f;
* two separable sums of piecewise polynomials, with equal weights: coordinate by
  coordinate;
* two indicators, one set bounded or both polyhedral: that of the Minkowski sum;
* r |.| with an indicator: r times the distance;
* two quadratics: the parallel sum P - P (P + Q)^+ P;
* two support functions of boxes: that of the intersection;
* an affine function <c, .> + b with f: <c, .> + b - f*(c).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from subgrad.calculus.envelope import moreau_envelope
from subgrad.calculus.scale import Scaled
from subgrad.core import Function, Set, a_function
from subgrad.functions.distance import Distance
from subgrad.functions.indicator import Indicator
from subgrad.functions.linear import Affine
from subgrad.functions.norms import Norm2
from subgrad.functions.quadratic import Quadratic, SquaredNorm
from subgrad.functions.separable import Separable
from subgrad.functions.support import Support
from subgrad.sets.box import Box

Rule = Callable[[Any, Any], Function | None]


def infimal_convolution(f: Function, g: Function, *more: Function) -> Function:
    r"""inf{f(u) + g(v) + ... : u + v + ... = x}, of the pairs listed above.

    ValueError where it is -inf, NotImplementedError for other pairs: there
    `conjugate(f) + conjugate(g)` is the conjugate, and f(u) + g(v) with u + v = x the
    model to minimise.
    """
    fs = [a_function("f", f), a_function("g", g), *(a_function("f", h) for h in more)]
    return reduce(_pair, fs)


def _pair(f: Function, g: Function) -> Function:
    if None not in (f.n, g.n) and f.n != g.n:
        raise ValueError(f"functions of {f.n} and of {g.n} arguments do not mix")
    for rule in (_envelope, _affine, _distance, _indicators, _separables, _others):
        for one, two in ((f, g), (g, f)):
            found = rule(one, two)
            if found is not None:
                return found
    raise NotImplementedError(
        f"the infimal convolution of {type(f).__name__} and {type(g).__name__}"
    )


def _multiple(f: Function) -> tuple[Any, Function]:
    """a and h of f = a h, a > 0."""
    scaled = isinstance(f, Scaled) and np.all(f.a > 0)
    return (f.a, f.f) if scaled else (np.ones(()), f)  # type: ignore[attr-defined]


def _envelope(f: Function, g: Function) -> Function | None:
    a, h = _multiple(f)
    return moreau_envelope(g, 1 / (a * h.c)) if isinstance(h, SquaredNorm) else None


def _affine(f: Function, g: Function) -> Function | None:
    if not isinstance(f, Affine):
        return None
    n = f.n or g.n
    if n is None:
        raise ValueError("the number of arguments is not known: apply f to a variable")
    level = g.conjugate()._value(f._gradient(n))
    if np.any(np.isposinf(level)):
        raise ValueError("the infimal convolution is -inf everywhere")
    return Affine(f.on(f.variable, n) - np.asarray(level)[..., None])


def _distance(f: Function, g: Function) -> Function | None:
    a, h = _multiple(f)
    if not (isinstance(h, Norm2) and isinstance(g, Indicator)):
        return None
    return a * Distance(g.S) if isinstance(g.S, Set) else None


def _indicators(f: Function, g: Function) -> Function | None:
    if not (isinstance(f, Indicator) and isinstance(g, Indicator)):
        return None
    S, T = f.S, g.S
    if not (isinstance(S, Set) and isinstance(T, Set)):
        return None
    if S.polyhedral and T.polyhedral or np.all(S.is_bounded | T.is_bounded):
        return Indicator(S + T)
    raise NotImplementedError(
        "the infimal convolution of the indicators of two unbounded sets: their sum "
        "need not be closed"
    )


def _separables(f: Function, g: Function) -> Function | None:
    if not (isinstance(f, Separable) and isinstance(g, Separable)):
        return None
    v, w = f.weights, g.weights
    equal = v is w or (v is not None and w is not None and np.array_equal(v, w))
    join = getattr(f.phi, "infimal_convolution", None)
    if not equal or join is None or not hasattr(g.phi, "infimal_convolution"):
        raise NotImplementedError(
            "the infimal convolution of separable sums: only of piecewise polynomials, "
            "and with the same weights"
        )
    return Separable(join(g.phi), v)


def _others(f: Function, g: Function) -> Function | None:
    if isinstance(f, Quadratic) and isinstance(g, Quadratic):
        P, Q = f._dense(), g._dense()
        R = P - P @ np.linalg.pinv(P + Q, hermitian=True) @ P
        return Quadratic(0.5 * (R + R.T))
    if isinstance(f, Support) and isinstance(g, Support):
        n = f.n or g.n
        if n is None:
            return None
        S, T = f._body(n), g._body(n)
        if not (isinstance(S, Box) and isinstance(T, Box)):
            return None
        both = Box(S.box() & T.box())
        if not np.all(both.nonempty):
            raise ValueError("the infimal convolution is -inf everywhere")
        return Support(both)
    return None
