"""Distributions on the line: piecewise polynomials and Dirac terms."""

from __future__ import annotations

from collections.abc import Mapping
from math import comb
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ._border import number
from ._coefficients import derivative, evaluate, middles, shift
from ._points import union
from ._polynomials import ROUNDING, Pieces, constant
from .bump import TestFunction
from .piecewise import Piecewise

if TYPE_CHECKING:
    import portion

# A point a and an order k, of the term w δ^(k)(x - a) with the weight w.
Place = tuple[float, int]
# Smooth factors, None standing for 1, and what they multiply.
Parts = Mapping[TestFunction | None, Pieces]


class Distribution:
    r"""
    A distribution on an open subset of the line,

        T = p + sum_i p_i φ_i + sum_j w_j δ^(k_j)(x - a_j),

    with piecewise polynomials p, p_i, smooth functions φ_i that products bring in, and
    finitely many Dirac terms. `Distribution(f)` is that of a piecewise polynomial f, on
    the interior of (the closure of) its domain; the values at single points do not
    matter.

        <T', φ> = -<T, φ'>,    (f)' = f' + sum (f(a+) - f(a-)) δ(x - a)

    Sums, multiples, products with what is smooth enough, T(c t + b), derivatives and
    antiderivatives are exact up to rounding.

    Source: Schwartz, Théorie des distributions, chapters II and V.

    >>> from subgrad import dirac, relu, t
    >>> T = relu.distributional_derivative()
    >>> print(T, "and", T.derivative())
    H(x) and δ(x)
    >>> print(t * dirac(0, 1) == -dirac(0), dirac(1)(2 * t - 3))
    True 0.5·δ(x − 2)
    """

    __array_ufunc__ = None
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, f: Piecewise | float) -> None:
        p = f._pieces if isinstance(f, Piecewise) else constant(number("f", f))
        self._parts: Parts = {None: _almost_everywhere(p)}
        self._terms: dict[Place, float] = {}

    @classmethod
    def _of(cls, parts: Parts, terms: Mapping[Place, float]) -> Distribution:
        new = object.__new__(cls)
        new._parts = {
            factor: _almost_everywhere(p)
            for factor, p in parts.items()
            if factor is None or np.any(p.coefficients[p.finite])
        }
        inside = new._covers
        new._terms = {at: w for at, w in sorted(terms.items()) if w and inside(at[0])}
        return new

    def _covers(self, a: float) -> bool:
        """Whether the domain is a neighbourhood of a."""
        p = self._parts[None]
        k = np.searchsorted(p.points, a, "left"), np.searchsorted(p.points, a, "right")
        return bool(p.finite[k[0]] and p.finite[k[1]])

    # -- what it is made of -----------------------------------------------------------

    @property
    def regular(self) -> Piecewise:
        """The part that is a piecewise polynomial, with values where it has limits."""
        return Piecewise._of(self._parts[None])

    @property
    def terms(self) -> dict[Place, float]:
        """{(a, k): w} for the terms w δ^(k)(x - a), sorted."""
        return dict(self._terms)

    @property
    def domain(self) -> portion.Interval:
        """The open set on which T lives, as a portion.Interval."""
        p = self._parts[None]
        return union(p.where(p.finite, p.finite[:-1] & p.finite[1:]))

    @property
    def support(self) -> portion.Interval:
        """The smallest set, closed in the domain, outside of which T is 0."""
        spots = union([(a, a, True, True) for a, _ in self._terms])
        p = self._parts[None]
        inside = p.finite[:-1] & p.finite[1:]
        for factor, part in self._parts.items():
            if factor is None:
                some = np.any(part.coefficients != 0, -1) & part.finite
                spots |= union(part.where(some, (some[:-1] | some[1:])))
            else:
                spots |= Distribution._of({None: part}, {}).support & factor.support
        return spots & union(p.where(p.finite, inside))

    @property
    def order(self) -> int:
        """The least m such that T is of order m: the highest k of its Dirac terms."""
        return max((k for _, k in self._terms), default=0)

    @property
    def is_function(self) -> bool:
        """Whether T is a locally integrable function."""
        return not self._terms

    @property
    def is_measure(self) -> bool:
        """Whether T is a signed measure: no derivatives of δ."""
        return self.order == 0

    @property
    def is_nonnegative(self) -> bool:
        """Whether <T, φ> >= 0 for all φ >= 0; T is a nonnegative measure then."""
        if not self.is_measure or any(w < 0 for w in self._terms.values()):
            return False
        self._plain("is_nonnegative")
        p = self._parts[None]
        cut = p.crossings(constant(0.0))[0]
        h = middles(cut.points) - cut.anchors
        value = evaluate(cut.coefficients, h)
        size = evaluate(abs(cut.coefficients), abs(h))
        return bool(np.all((value >= -ROUNDING * size)[cut.finite]))

    @property
    def is_zero(self) -> bool:
        parts = self._parts.values()
        return not self._terms and not any(
            np.any(p.coefficients[p.finite]) for p in parts
        )

    def __eq__(self, other: object) -> bool:
        """Whether both are the same, on the same domain, in all digits."""
        if isinstance(other, Piecewise):
            other = Distribution(other)
        if not isinstance(other, Distribution):
            return NotImplemented
        return self.domain == other.domain and (self - other).is_zero

    def _plain(self, what: str) -> None:
        if len(self._parts) > 1:
            raise NotImplementedError(
                f"{what} for a distribution with a smooth factor that is not a "
                "polynomial"
            )

    # -- algebra ----------------------------------------------------------------------

    def __add__(self, other: Any) -> Distribution:
        if isinstance(other, Piecewise | int | float):
            other = Distribution(other)
        if not isinstance(other, Distribution):
            return NotImplemented
        parts, terms = dict(self._parts), dict(self._terms)
        for factor, p in other._parts.items():
            parts[factor] = parts[factor].plus(p) if factor in parts else p
        for at, w in other._terms.items():
            terms[at] = terms.get(at, 0.0) + w
        return Distribution._of(parts, terms)

    __radd__ = __add__

    def __neg__(self) -> Distribution:
        return self * -1.0

    def __sub__(self, other: Any) -> Distribution:
        return self + -other

    def __rsub__(self, other: Any) -> Distribution:
        return -self + other

    def __mul__(self, other: Any) -> Distribution:
        r"""
        The product with a number, a piecewise polynomial or a smooth function φ,

            φ δ_a^(k) = sum_j (-1)^j C(k, j) φ^(j)(a) δ_a^(k-j).

        ValueError if φ does not have k continuous derivatives at a.
        """
        if isinstance(other, int | float | np.number):
            w = number("factor", other)
            parts = {factor: p.scaled(w) for factor, p in self._parts.items()}
            return Distribution._of(parts, {at: w * u for at, u in self._terms.items()})
        if not isinstance(other, Piecewise | TestFunction):
            return NotImplemented
        terms: dict[Place, float] = {}
        for (a, k), w in self._terms.items():
            for j, slope in enumerate(_derivatives(other, a, k)):
                at = (a, k - j)
                terms[at] = terms.get(at, 0.0) + (-1) ** j * comb(k, j) * slope * w
        if isinstance(other, Piecewise):
            g = other._pieces
            return Distribution._of(
                {factor: p.times(g) for factor, p in self._parts.items()}, terms
            )
        products: dict[TestFunction | None, Pieces] = {
            other if factor is None else factor * other: p
            for factor, p in self._parts.items()
        }
        products[None] = self._parts[None].scaled(0.0)
        return Distribution._of(products, terms)

    __rmul__ = __mul__

    def __truediv__(self, w: Any) -> Distribution:
        if not isinstance(w, int | float | np.number):
            return NotImplemented
        return self * (1 / number("divisor", w))

    def __call__(self, inner: Piecewise) -> Distribution:
        """T(c t + b), c != 0, for the affine function `inner` = c t + b."""
        if (
            not isinstance(inner, Piecewise)
            or inner.degree != 1
            or inner.breakpoints.size
        ):
            raise TypeError("the argument of a distribution must be c * t + b, c != 0")
        b, c = shift(inner.coefficients, -inner.anchors)[0].tolist()
        self._plain("change of the argument")
        terms = {
            ((a - b) / c, k): w / (abs(c) * c**k) for (a, k), w in self._terms.items()
        }
        return Distribution._of({None: self._parts[None].after(inner._pieces)}, terms)

    # -- calculus ---------------------------------------------------------------------

    def derivative(self, order: int = 1) -> Distribution:
        """The derivative of an order >= 0."""
        if not isinstance(order, int | np.integer) or order < 0:
            raise ValueError(f"order must be an integer >= 0, got {order!r}")
        T = self
        for _ in range(order):
            T = T._derivative()
        return T

    def _derivative(self) -> Distribution:
        parts: dict[TestFunction | None, Pieces] = {}
        terms = {(a, k + 1): w for (a, k), w in self._terms.items()}
        for factor, p in self._parts.items():
            slope = Pieces(p.points, derivative(p.coefficients), p.anchors, p.values)
            parts[factor] = _sum(parts.get(factor), slope)
            if factor is not None:
                prime = factor.derivative()
                parts[prime] = _sum(parts.get(prime), p)
            for k in np.flatnonzero(p.finite[:-1] & p.finite[1:] & ~p.joined):
                a = float(p.points[k])
                rise = float(p.limits("right")[0][k] - p.limits("left")[0][k])
                weight = rise if factor is None else rise * float(factor(a))
                terms[a, 0] = terms.get((a, 0), 0.0) + weight
        return Distribution._of(parts, terms)

    def antiderivative(self) -> Distribution:
        """
        A distribution with the derivative T. On every interval of the domain it is
        determined up to a constant; this one starts with 0 at the left end, or at the
        first breakpoint, or at the anchor of a single polynomial.
        """
        self._plain("antiderivative")
        p = self._parts[None].integral()
        terms = {(a, k - 1): w for (a, k), w in self._terms.items() if k}
        for (a, k), w in self._terms.items():
            if not k:
                p = p.plus(Piecewise([a], [[0], [w]])._pieces)
        return Distribution._of({None: p}, terms)

    def pair(self, phi: Any, return_error: bool = False) -> Any:
        """
        <T, φ>, and with `return_error` also an estimate of its error.

        φ is a test function such as `bump` or `gaussian`, a piecewise polynomial, for
        which the result is exact up to rounding, or, if T is a measure, any function of
        a number. The Dirac part is exact, w δ^(k)(x - a) gives (-1)^k w φ^(k)(a); the
        regular part is a sum of integrals between breakpoints, by scipy's quad.
        ValueError if the support of φ is not in the closure of the domain of T, or if
        the integral diverges.
        """
        from ._pairing import regular

        total = 0.0
        for (a, k), w in self._terms.items():
            total += (-1) ** k * w * _derivatives(phi, a, k)[k]
        value, error = regular(self._parts, phi)
        return (total + value, error) if return_error else total + value

    # -- text -------------------------------------------------------------------------

    def __str__(self) -> str:
        from ._text import distribution

        return distribution(self._parts, self._terms)

    def __repr__(self) -> str:
        return f"<Distribution {self}>"


def _almost_everywhere(p: Pieces) -> Pieces:
    """p with the values that its limits give, undefined where it is not finite."""
    c = np.where(p.finite[:, None], p.coefficients, 0.0)
    c[:, 0] = np.where(p.finite, c[:, 0], np.nan)
    p = Pieces(p.points, c, p.anchors, np.full(p.points.size, np.nan))
    values = np.where(p.joined, p.limits("left")[0], np.nan)
    return Pieces(p.points, c, p.anchors, values).simplified()


def _sum(p: Pieces | None, q: Pieces) -> Pieces:
    return q if p is None else p.plus(q)


def _derivatives(phi: Any, a: float, order: int) -> list[float]:
    """φ(a), φ'(a), …, up to an order."""
    if isinstance(phi, Piecewise):
        f, out = phi._pieces.refined(np.array([a])), []
        k = np.searchsorted(f.points, a)
        for j in range(order + 1):
            # The value at the point itself counts for the function, not its slopes.
            if not (f.joined[k] and (j or f.continuous[k])):
                raise ValueError(
                    f"a function with {order} continuous derivatives at {a} was "
                    f"expected, but derivative {j} has a jump there"
                )
            out.append(float(f.limits("left")[0][k]))
            f = Pieces(f.points, derivative(f.coefficients), f.anchors, f.values)
        return out
    if isinstance(phi, TestFunction):
        return [float(phi.derivative(j)(a)) for j in range(order + 1)]
    if order:
        raise TypeError(
            "a term with a derivative of δ needs a test function with derivatives, "
            f"such as bump or gaussian, got {type(phi).__name__}"
        )
    return [float(phi(a))]


def dirac(a: float = 0.0, k: int = 0) -> Distribution:
    """δ^(k)(x - a), φ -> (-1)^k φ^(k)(a)."""
    if not isinstance(k, int | np.integer) or k < 0:
        raise ValueError(f"k must be an integer >= 0, got {k!r}")
    return Distribution._of(
        {None: constant(0.0)}, {(number("a", a) + 0.0, int(k)): 1.0}
    )


def antiderivative(T: Distribution | Piecewise) -> Distribution:
    """An antiderivative; see `Distribution.antiderivative`."""
    return (Distribution(T) if isinstance(T, Piecewise) else T).antiderivative()


class Agreement(NamedTuple):
    """Whether two derivatives agree, and the distributional one minus the other."""

    agree: bool
    difference: Distribution


def agreement(f: Piecewise) -> Agreement:
    """
    Whether the pointwise derivative of f, taken as a distribution, is the
    distributional one, and if not the difference, a sum of Dirac terms at the jumps.

    They agree if and only if f is almost everywhere equal to a function that is
    absolutely continuous on the compact intervals inside the domain.
    """
    difference = f.distributional_derivative() - Distribution(f.derivative())
    return Agreement(difference.is_zero, difference)
