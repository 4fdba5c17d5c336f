r"""Recession functions: how a closed convex function grows along a ray.

.. math:: f_\infty(d) = \lim_{\lambda \to \infty} \frac{f(x + \lambda d)}{\lambda}
   = h_{dom f^*}(d)

Rules: (f + g)_∞ = f_∞ + g_∞, (a f)_∞ = a f_∞, f(A · + b)_∞ = f_∞(A ·), (max f_i)_∞ =
max (f_i)_∞, where the domains meet; a support function is its own, an indicator has the
indicator of the recession cone. Rockafellar, Convex Analysis, 8.5, 9.3-9.5 and 13.3.

The remainder beside the ray,

.. math:: f_d(w) = \lim_{\lambda \to \infty} f(w + \lambda d) - \lambda f_\infty(d),

falls in λ, so that the limit exists in [-inf, inf], and obeys the same rules.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad.calculus.envelope import MoreauEnvelope
from subgrad.calculus.maximum import Maximum, maximum
from subgrad.calculus.precompose import Precomposed, precompose
from subgrad.calculus.scale import Scaled
from subgrad.calculus.stack import Stacked
from subgrad.calculus.sum import Sum, add, add_slopes
from subgrad.core import Function, Set, a_function
from subgrad.functions.distance import Distance
from subgrad.functions.indicator import Indicator
from subgrad.functions.linear import Affine, Linear
from subgrad.functions.log_sum_exp import LogSumExp
from subgrad.functions.norms import max_entry
from subgrad.functions.quadratic import Quadratic, SquaredNorm
from subgrad.functions.separable import Separable
from subgrad.functions.simplex_entropy import SimplexEntropy
from subgrad.functions.spectral import SingularFunction, SpectralFunction
from subgrad.functions.support import Support
from subgrad.sets.affine_subspace import AffineSubspace
from subgrad.sets.ball import Ball
from subgrad.sets.box import Box, whole_space
from subgrad.sets.domain import Domain
from subgrad.sets.simplex import Simplex


class _Origin(Support):
    """The indicator of {0} in any number of arguments, as the support of R^n."""

    finite, polyhedral, infimum = False, True, 0.0

    def __init__(self) -> None:
        pass

    def _key(self) -> tuple[Any, ...]:
        return ()

    def _body(self, n: int) -> Set:
        return whole_space(n)

    def conjugate(self) -> Function:
        return Affine.constant(0.0)


def recession_function(f: Function) -> Function:
    """f_∞, a Function; NotImplementedError, by name, where no rule is known."""
    return _recession(a_function("f", f))


def remainder(f: Function, d: Array, w: Array) -> Array:
    """f_d(w), for d with f_∞(d) < inf; NotImplementedError where no rule is known."""
    return _remainder(f, d, w)


# f_∞ ----------------------------------------------------------------------------------


@singledispatch
def _recession(f: Function) -> Function:
    """The support function of the domain of the conjugate."""
    try:
        domain = f.conjugate().domain
    except ValueError as error:
        raise NotImplementedError(
            f"the recession function of {f!r}: {error}"
        ) from error
    if isinstance(domain, Domain):
        raise NotImplementedError(
            f"the recession function of {f!r}: the domain of its conjugate is known "
            "through the conjugate only"
        )
    return Support(domain)


@_recession.register
def _(f: Support) -> Function:
    return f


@_recession.register
def _(f: Indicator) -> Function:
    if isinstance(f.S, Set):
        return Indicator(f.S.recession_cone())
    return _Origin() if f.S.finite else _recession.dispatch(Function)(f)


@_recession.register
def _(f: Affine) -> Function:
    return Affine.constant(0.0) if f.n is None else Linear(f._gradient(f.n))


@_recession.register
def _(f: SquaredNorm) -> Function:
    return _Origin()


@_recession.register
def _(f: Quadratic) -> Function:
    w, V = f._spectrum
    flat = w <= f.n * np.finfo(float).eps * w[-1]
    kernel = np.where(flat[:, None], V.T, 0.0)
    return Indicator(AffineSubspace(np.zeros(f.n), kernel))


@_recession.register
def _(f: LogSumExp) -> Function:
    return max_entry if f.n is None else Support(Simplex(f.n))


@_recession.register
def _(f: SimplexEntropy) -> Function:
    return _Origin()


@_recession.register
def _(f: SpectralFunction) -> Function:
    # (f ∘ λ)* = f* ∘ λ, and supports of spectral sets are spectral.
    return SpectralFunction(_recession(f.f), f.shape[0], f._strict)


@_recession.register
def _(f: SingularFunction) -> Function:
    return SingularFunction(_recession(f.f), f.shape)


@_recession.register
def _(f: Separable) -> Function:
    low, high = f.phi.conjugate().ends
    if f.n is None:
        from subgrad.univariate.linear import PiecewiseLinear

        return Separable(PiecewiseLinear([0.0], [low, high]))
    if np.any(f.weights == 0) and not f.finite:
        raise NotImplementedError("the recession function of a sum with a weight 0")
    low, high = np.asarray(low)[..., None], np.asarray(high)[..., None]
    with np.errstate(invalid="ignore"):
        ends = [np.where(f.weights == 0, 0.0, f.weights * e) for e in (low, high)]
    return Support(Box._raw(*ends))


@_recession.register
def _(f: Distance) -> Function:
    cone = f.S.recession_cone()
    if np.all(cone.is_singleton):
        return Support(Ball(np.zeros(f.S.dim)))
    return Distance(cone)


@_recession.register
def _(f: Sum) -> Function:
    first, *rest = map(_recession, f.parts)
    for g in rest:
        first = add(first, g)
    return first


@_recession.register
def _(f: Scaled) -> Function:
    if np.any(f.a == 0):
        raise NotImplementedError("the recession function of 0 f")
    return _recession(f.f) * f.a


@_recession.register
def _(f: Precomposed) -> Function:
    from subgrad.affine import AffineMap

    return precompose(_recession(f.f), AffineMap(None, f.op, None, f.map.shape))


@_recession.register
def _(f: Maximum) -> Function:
    return maximum(*map(_recession, f.parts))


@_recession.register
def _(f: Stacked) -> Function:
    return Stacked(tuple(map(_recession, f.parts)))


@_recession.register
def _(f: MoreauEnvelope) -> Function:
    # Its conjugate f* + t/2 |.|² has the domain of f*.
    return _recession(f.f)


# f_d(w) -------------------------------------------------------------------------------


@singledispatch
def _remainder(f: Function, d: Array, w: Array) -> Array:
    r"""The conjugate of f* on the face G of its domain where <., d> is largest.

    Of a finite f it is finite, hence closed, or -inf; if G is a point g, it is
    <g, w> - f*(g).
    """
    r = _recession(f)
    face = r._subdifferential(d, np.zeros(()))
    if not (f.finite and np.all(face.is_singleton & face.exact)):
        raise NotImplementedError(
            f"how {f!r} grows beside a ray on which it has several slopes"
        )
    g = r._subgradient(d)
    return np.vecdot(g, w) - f.conjugate()._value(g)


@_remainder.register
def _(f: Support, d: Array, w: Array) -> Array:
    return f._directional(d, w)


@_remainder.register
def _(f: Affine, d: Array, w: Array) -> Array:
    return f._value(w)


@_remainder.register
def _(f: SquaredNorm, d: Array, w: Array) -> Array:
    return f._value(w)  # d = 0: it grows without bound along every other


@_remainder.register
def _(f: Quadratic, d: Array, w: Array) -> Array:
    return f._value(w)  # likewise, P d = 0


@_remainder.register
def _(f: LogSumExp, d: Array, w: Array) -> Array:
    """The same of the largest d_i."""
    return f._value(np.where(d == d.max(-1, keepdims=True), w, -np.inf))


@_remainder.register
def _(f: Separable, d: Array, w: Array) -> Array:
    r"""φ(w_i) where d_i = 0, else m w_i - φ*(m), m the slope of φ at ±∞."""
    star = f.phi.conjugate()
    low, high = (np.asarray(e) for e in star.ends)
    slope = np.where(d > 0, *(e[..., None] if f.phi.batch else e for e in (high, low)))
    slope = np.where(np.isfinite(slope), slope, 0.0)
    along = slope * w - star._value(slope)
    return add_slopes(f._times(np.where(d == 0, f.phi._value(w), along)))


@_remainder.register
def _(f: Sum, d: Array, w: Array) -> Array:
    parts = np.broadcast_arrays(*(_remainder(g, d, w) for g in f.parts))
    return add_slopes(np.stack(parts, -1))


@_remainder.register
def _(f: Scaled, d: Array, w: Array) -> Array:
    return f._times(_remainder(f.f, d, w))


@_remainder.register
def _(f: Precomposed, d: Array, w: Array) -> Array:
    return _remainder(f.f, f.op.forward(d), f.map._forward(w))


@_remainder.register
def _(f: Maximum, d: Array, w: Array) -> Array:
    growth = np.stack(
        np.broadcast_arrays(*(_recession(g)._value(d) for g in f.parts)), -1
    )
    each = [_remainder(g, d, w) for g in f.parts]
    active = growth == growth.max(-1)[..., None]
    return np.where(active, np.stack(np.broadcast_arrays(*each), -1), -np.inf).max(-1)


@_remainder.register
def _(f: Stacked, d: Array, w: Array) -> Array:
    each = zip(f.parts, f._blocks(d), f._blocks(w), strict=True)
    parts = np.broadcast_arrays(*(_remainder(g, a, b) for g, a, b in each))
    return add_slopes(np.stack(parts, -1))
