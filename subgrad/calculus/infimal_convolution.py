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
* two support functions of boxes, or of sets one of which is bounded: that of the
  intersection;
* an affine function <c, .> + b with f: <c, .> + b - f*(c).

For others, one of them finite, there is `InfimalConvolution`, by their proxes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad.calculus.envelope import moreau_envelope
from subgrad.calculus.scale import Scaled
from subgrad.calculus.sum import common
from subgrad.core import Function, Set, a_function, norm
from subgrad.functions.distance import Distance
from subgrad.functions.indicator import Indicator
from subgrad.functions.linear import Affine
from subgrad.functions.norms import Norm2
from subgrad.functions.quadratic import Quadratic, SquaredNorm
from subgrad.functions.separable import Separable
from subgrad.functions.support import Support
from subgrad.sets._splitting import split
from subgrad.sets.intersection import _join, intersection
from subgrad.sets.nearest import ProjectionError

Rule = Callable[[Any, Any], Function | None]

STEPS = (1.0, 0.1, 10.0, 1e-3, 1e3)  # of the proxes, relative to |x| / |p|


class InfimalConvolution(Function):
    r"""f □ g of two functions with a prox, one of them finite everywhere.

    .. math:: (f \square g)(x) = f(u) + g(v), \qquad u + v = x, \qquad
       \partial(f \square g)(x) = \partial f(u) \cap \partial g(v)

    The split comes from proxes of both, so that u and v sit on kinks where they belong;
    u + v = x, and a common subgradient p = (w - prox_f(w)) / t at both, hold to 1e-12
    of the size of what they are made of. ProjectionError where this is not reached:
    the infimum may be -inf (f* and g* have no common domain) or not attained (neither
    f nor g coercive). The prox is one of f* + g*, by Moreau's decomposition.
    """

    def __init__(self, f: Function, g: Function) -> None:
        self.f, self.g = a_function("f", f), a_function("g", g)
        if not (f.finite or g.finite):
            raise NotImplementedError(
                "the infimal convolution of two functions that take the value +inf"
            )
        self.n, self.variable = common((f, g))
        self.polyhedral = f.polyhedral and g.polyhedral

    @property
    def infimum(self) -> float:  # type: ignore[override]
        return self.f.infimum + self.g.infimum

    def _key(self) -> tuple[Any, ...]:
        return (self.f, self.g)

    def split(self, x: Any) -> tuple[Array, Array, Array]:
        """u, v and p: f(u) + g(v) = (f □ g)(x), u + v = x, p a subgradient at x."""
        return self._split(self._point(x))

    def _split(self, x: Array) -> tuple[Array, Array, Array]:
        x = np.asarray(x, float)
        batch = np.broadcast_shapes(
            x.shape[:-1], np.shape(self.f._value(x)), np.shape(self.g._value(x))
        )
        x = np.broadcast_to(x, (*batch, x.shape[-1]))
        size = np.where(norm(x) > 0, norm(x), 1.0)

        def resolvents(t: Array) -> list[Any]:
            return [
                lambda w: self.f._prox(w, t),
                lambda w: x - self.g._prox(x - w, t),
            ]

        t = np.broadcast_to(size / self._slope(x), batch)
        (u, rest), p = _tried(resolvents, x / 2, size, t)
        # x minus a sum would miss the kinks of g by rounding: v is a prox, as u is.
        return u, self.g._prox(x - rest + t[..., None] * p, t), p

    def _slope(self, x: Array) -> Array:
        """The size of subgradients near x, 1 where not known."""
        h = self.f if self.f.finite else self.g
        size = norm(h._subgradient(x))
        return np.where(size > 0, size, 1.0)

    def _value(self, x: Array) -> Array:
        u, v, _ = self._split(x)
        return self.f._value(u) + self.g._value(v)

    def _oracle(self, x: Array) -> tuple[Array, Array]:
        u, v, p = self._split(x)
        return self.f._value(u) + self.g._value(v), p

    def _subgradient(self, x: Array) -> Array:
        return self._split(x)[2]

    def _subdifferential(self, x: Array, eps: Array) -> Set:
        u, v, p = self._split(x)
        # <s, y - x> <= f(u') - f(u) + g(v') - g(v) + eps for u' + v' = y.
        half = np.asarray(eps) / 2
        faces = [_at(self.f, u, p, half), _at(self.g, v, p, half)]
        return _join(faces, np.ones(p.shape[:-1], bool)[()], p)

    def _directional(self, x: Array, d: Array) -> Array:
        # f □ g is finite on all of R^n, and so its subdifferential has this support.
        return self._subdifferential(x, np.zeros(())).support(d)

    def _prox(self, x: Array, t: Array) -> Array:
        x = np.asarray(x, float)
        batch = np.broadcast_shapes(
            x.shape[:-1], t.shape, *(np.shape(h._value(x)) for h in (self.f, self.g))
        )
        x = np.broadcast_to(x, (*batch, x.shape[-1]))
        size = np.where(norm(x) > 0, norm(x), 1.0)
        slope = self._slope(x)

        def dual(h: Function, w: Array, s: Array) -> Array:
            return w - s[..., None] * h._prox(w / s[..., None], 1 / s)

        def resolvents(s: Array) -> list[Any]:
            # With the term t/2 |q - x/t|² beside f*: complete the square.
            shrink = 1 + s * t

            def first(w: Array) -> Array:
                w = (w + s[..., None] * x) / shrink[..., None]
                return dual(self.f, w, s / shrink)

            return [first, lambda w: dual(self.g, w, s)]

        (q, _), _ = _tried(resolvents, 0.0 * x, slope, slope / size)
        return x - t[..., None] * q

    def conjugate(self) -> Function:
        one, two = self.f.conjugate(), self.g.conjugate()
        if isinstance(one, Indicator) and isinstance(two, Indicator):
            S, T = one.S, two.S
            if isinstance(S, Set) and isinstance(T, Set):
                return Indicator(intersection(S, T))
        return one + two

    def _cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        u = cp.Variable(x.shape)
        return self.f._cvxpy(u) + self.g._cvxpy(x - u)


def _at(f: Function, u: Array, p: Array, eps: Array) -> Set:
    """The subdifferential at u, where p is known to be a subgradient.

    A kink that u misses by rounding is found again within that rounding of the value.
    """
    S = f._subdifferential(u, eps)
    if not f.polyhedral:
        return S
    lost = ~S.contains(p, 1e-11)
    if not np.any(lost):
        return S
    fuzz = 1e-13 * (np.abs(f._value(u)) + norm(u) * norm(p))
    return f._subdifferential(u, eps + np.where(lost, fuzz, 0.0))


def _tried(
    resolvents: Callable[[Array], list[Any]], z: Array, size: Array, unit: Array
) -> tuple[Array, Array]:
    """The two points that agree, and the subgradient of the first function there."""
    size, unit = (np.broadcast_to(a, z.shape[:-1]) for a in (size, unit))
    left = np.ones(size.shape, bool)
    points = p = np.zeros(())
    for step in STEPS:
        t = step * unit
        x, a, reached = split(resolvents(t), z, size, left)
        points = np.where(left[..., None, None], x, points)
        p = np.where(left[..., None], a[..., 0, :] / t[..., None], p)
        left = left & ~reached
        if not np.any(left):
            return np.moveaxis(points, -2, 0), p
    raise ProjectionError(
        "the infimal convolution was not proved at all points: it may be -inf, or its "
        "infimum may not be attained"
    )


def infimal_convolution(f: Function, g: Function, *more: Function) -> Function:
    r"""inf{f(u) + g(v) + ... : u + v + ... = x}.

    One of the pairs listed above, or an InfimalConvolution. ValueError where it is
    known to be -inf, NotImplementedError where neither function is finite.
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
    return InfimalConvolution(f, g)


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
        return None
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
        if not (S.polyhedral and T.polyhedral) and not np.all(
            S.is_bounded | T.is_bounded
        ):
            return None  # the support function of S ∩ T is a closure only
        both = intersection(S, T)
        if not np.all(both.nonempty):
            raise ValueError("the infimal convolution is -inf everywhere")
        return Support(both)
    return None
