"""Distributions on the line: piecewise polynomials and Dirac terms."""

from __future__ import annotations

from collections.abc import Mapping
from math import comb
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ._border import number
from ._coefficients import derivative, evaluate, middles
from ._pairing import derivatives_at, regular
from ._parts import Part, Parts, almost_everywhere, collected, integral, restricted
from ._points import atoms, union
from ._polynomials import ROUNDING, Pieces, checked, constant
from .bump import TestFunction
from .piecewise import Piecewise

if TYPE_CHECKING:
    import portion

# A point a and an order k, of the term w δ^(k)(x - a) with the weight w.
Place = tuple[float, int]


class Distribution:
    r"""
    A distribution on an open subset of the line,

        T = p + sum_i p_i φ_i + sum_j w_j δ^(k_j)(x - a_j),

    with piecewise polynomials p, p_i, smooth functions φ_i that products bring in, and
    finitely many Dirac terms. `Distribution(f)` is that of a piecewise polynomial f, on
    the interior of (the closure of) its domain, of a test function or of a number; the
    values at single points do not matter.

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

    def __init__(self, f: Piecewise | TestFunction | float | np.number) -> None:
        if isinstance(f, TestFunction):
            parts = collected([(None, constant(0.0)), (f, constant(1.0))])
        elif isinstance(f, Piecewise):
            parts = {None: almost_everywhere(f._pieces)}
        elif isinstance(f, int | float | np.number):
            parts = {None: constant(number("f", f))}
        else:
            raise TypeError(
                "f must be a piecewise polynomial, a test function or a number, got "
                f"{type(f).__name__}"
            )
        self._parts: Parts = parts
        self._terms: dict[Place, float] = {}

    @classmethod
    def _of(cls, parts: Parts, terms: Mapping[Place, float]) -> Distribution:
        new = object.__new__(cls)
        new._parts = restricted(parts)
        if not np.all(np.isfinite([*terms.values()])):
            raise FloatingPointError("overflow in the weight of a Dirac term")
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
                both = Distribution._of({None: part}, {}).support & factor.support
                # Where two supports only touch, the product is 0.
                spots |= union(a for a in atoms("both", both) if a[0] < a[1])
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
        """Whether all that T is made of is 0; smooth factors count as independent."""
        parts = self._parts.values()
        return not self._terms and not any(
            np.any(p.coefficients[p.finite]) for p in parts
        )

    def __eq__(self, other: object) -> bool:
        """
        Whether both have the same domain, and a difference that `is_zero` in all
        digits. `other` may be a function.
        """
        if isinstance(other, Piecewise | TestFunction):
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
        if isinstance(other, Piecewise | TestFunction | int | float | np.number):
            other = Distribution(other)
        if not isinstance(other, Distribution):
            return NotImplemented
        terms = dict(self._terms)
        for at, w in other._terms.items():
            terms[at] = terms.get(at, 0.0) + w
        parts = [*self._parts.items(), *other._parts.items()]
        return Distribution._of(collected(parts), terms)

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
        if isinstance(other, Piecewise):
            g = other._pieces
            parts = {factor: p.times(g) for factor, p in self._parts.items()}
        elif isinstance(other, TestFunction):
            products: list[Part] = [(None, self._parts[None].scaled(0.0))]
            for phi, c in other._terms():
                for factor, p in self._parts.items():
                    product = phi if factor is None else factor * phi
                    products.append((product, p.scaled(c)))
            parts = collected(products)
        else:
            return NotImplemented
        out, terms = Distribution._of(parts, {}), dict[Place, float]()
        for (a, k), w in self._terms.items():
            # Behind the ends of its domain the other function need not be smooth.
            slopes = derivatives_at("factor", other, a, k) if out._covers(a) else []
            for j, slope in enumerate(slopes):
                at = (a, k - j)
                terms[at] = terms.get(at, 0.0) + (-1) ** j * comb(k, j) * slope * w
        return Distribution._of(out._parts, terms)

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
        self._plain("change of the argument")
        g, terms = inner._pieces, dict[Place, float]()
        c = g.coefficients[0, 1]
        for (a, k), w in self._terms.items():
            # As breakpoints are carried over, so that jumps and terms stay together.
            place = g.preimages(np.array([a]))[0]
            if not place.size:
                raise FloatingPointError("overflow in the place of a Dirac term")
            with np.errstate(over="raise", divide="raise"):
                weight = float(w / (abs(c) * c**k))
            at = float(place[0]), k
            terms[at] = terms.get(at, 0.0) + weight
        return Distribution._of({None: self._parts[None].after(g)}, terms)

    # -- calculus ---------------------------------------------------------------------

    def derivative(self, order: int = 1) -> Distribution:
        """The derivative of an order >= 0."""
        if not isinstance(order, int | np.integer) or order < 0:
            raise ValueError(f"order must be an integer >= 0, got {order!r}")
        T = self
        for _ in range(order):
            T = T._derivative()
        return T

    @checked
    def _derivative(self) -> Distribution:
        parts: list[Part] = []
        terms = {(a, k + 1): w for (a, k), w in self._terms.items()}
        for factor, p in self._parts.items():
            slope = derivative(p.coefficients)
            parts.append((factor, Pieces(p.points, slope, p.anchors, p.values)))
            if factor is not None:
                parts.append((factor.derivative(), p))
            jumps = p.finite[:-1] & p.finite[1:] & ~p.joined
            rises = (p.limits("right") - p.limits("left"))[jumps]
            for a, rise in zip(p.points[jumps].tolist(), rises.tolist(), strict=True):
                weight = rise if factor is None else rise * float(factor(a))
                terms[a, 0] = terms.get((a, 0), 0.0) + weight
        return Distribution._of(collected(parts), terms)

    @checked
    def antiderivative(self) -> Distribution:
        """
        A distribution with the derivative T, which determines it up to a constant on
        every interval of the domain.

        In this one w H(x - a) comes from w δ(x - a), and the rest is 0 at the left end
        of every interval, or, if that is -inf, at its first breakpoint, or at the
        anchor if there is none. NotImplementedError for smooth factors.
        """
        self._plain("antiderivative")
        p = integral(self._parts[None])
        terms = {(a, k - 1): w for (a, k), w in self._terms.items() if k}
        spots = [(a, w) for (a, k), w in self._terms.items() if not k]
        if spots:
            at, weights = np.array(spots).T
            heights = np.r_[0.0, np.cumsum(weights)][:, None]
            p = p.plus(Pieces(at, heights, np.zeros(at.size + 1), 0.0 * at))
        return Distribution._of({None: p}, terms)

    def pair(self, phi: Any, return_error: bool = False) -> Any:
        """
        <T, φ>, and with `return_error` also an estimate of its error.

        φ is a test function such as `bump` or `gaussian`, a piecewise polynomial, for
        which the result is exact up to rounding unless T has smooth factors, or, if T
        is a measure, any function of a number. The Dirac part is exact, w δ^(k)(x - a)
        gives (-1)^k w φ^(k)(a); the regular part is integrated between breakpoints, by
        scipy's quad. ValueError if the support of φ is not in the closure of the domain
        of T, or if the integral diverges.
        """
        if not callable(phi) or isinstance(phi, Distribution):
            raise TypeError(
                "phi must be a test function, a piecewise polynomial or a function of "
                f"a number, got {type(phi).__name__}"
            )
        total = 0.0
        for (a, k), w in self._terms.items():
            total += (-1) ** k * w * derivatives_at("phi", phi, a, k)[k]
        value, error = regular(self._parts, phi)
        return (total + value, error) if return_error else total + value

    # -- text -------------------------------------------------------------------------

    def __str__(self) -> str:
        from ._text import distribution

        return distribution(self._parts, self._terms)

    def __repr__(self) -> str:
        return f"<Distribution {self}>"


def dirac(a: float = 0.0, k: int = 0) -> Distribution:
    """δ^(k)(x - a), φ -> (-1)^k φ^(k)(a)."""
    if not isinstance(k, int | np.integer) or k < 0:
        raise ValueError(f"k must be an integer >= 0, got {k!r}")
    return Distribution._of(
        {None: constant(0.0)}, {(number("a", a) + 0.0, int(k)): 1.0}
    )


def antiderivative(T: Distribution | Piecewise | float) -> Distribution:
    """An antiderivative; see `Distribution.antiderivative`."""
    return (T if isinstance(T, Distribution) else Distribution(T)).antiderivative()


class Agreement(NamedTuple):
    """Whether two derivatives agree, and the distributional one minus the other."""

    agree: bool
    difference: Distribution


def agreement(f: Piecewise) -> Agreement:
    """
    Whether the pointwise derivative of f, taken as a distribution, is the
    distributional one, and if not the difference, a sum of Dirac terms at the jumps.

    They agree if and only if f is almost everywhere equal to a function that is
    absolutely continuous on the compact intervals inside the closure of the domain.
    """
    if not isinstance(f, Piecewise):
        raise TypeError(f"f must be a piecewise polynomial, got {type(f).__name__}")
    difference = f.distributional_derivative() - Distribution(f.derivative())
    return Agreement(difference.is_zero, difference)
