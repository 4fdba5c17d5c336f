"""Test functions on the line: smooth, vanishing far out, with every derivative."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from itertools import product
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, NoReturn

import numpy as np
from numpy.polynomial import Polynomial

from .._check import Array, positive, real
from ._points import union

if TYPE_CHECKING:
    import portion

Span = tuple[float, float]
Term = tuple["TestFunction", float]
Factors = tuple[float, tuple["TestFunction", ...], tuple["_Factor", ...]]
# Widths from its center at which a gaussian counts as 0: exp(-800) underflows.
_REACH = 40.0


class TestFunction(ABC):
    r"""
    An infinitely differentiable φ: R -> R that is 0, or decays as a gaussian, far out.

    Made by `bump` and `gaussian`, and closed under

        φ + ψ,  φ - ψ,  -φ,  c φ  (a number),  φ ψ,  p φ  (a numpy Polynomial),  φ^(k).

    φ(t): numbers or arrays of any shape, computed and returned in float64; 0 at ±inf.
    ValueError for nan, OverflowError where the result is not finite.

    φ == ψ if both are built of equal parts, whatever the order of terms and factors.
    Its `repr` is Python, given this module's names and numpy's Polynomial.

    >>> phi = bump(radius=2.0)
    >>> print(phi(0), phi(2), phi.support)
    1.0 0.0 [-2.0,2.0]
    >>> print((phi * gaussian() - phi).derivative(2)(0))
    -1.0
    """

    __test__ = False  # for pytest, to which the name looks like a test
    __array_ufunc__ = None
    _inner: tuple[TestFunction, ...] = ()  # what φ is made of

    @abstractmethod
    def _inside(self, t: Array, order: int) -> Array:
        """`_taylor` for t of shape (m,) between the outermost ends of the spans."""

    def _spans(self, reach: float) -> list[Span]:
        """Intervals that hold all t with φ(t) != 0, gaussians cut off at `reach`."""
        return [span for phi in self._inner for span in phi._spans(reach)]

    def _points(self) -> list[float]:
        """Points between which φ is tame, the ends of `_spans(_REACH)` among them."""
        return [t for phi in self._inner for t in phi._points()]

    def __call__(self, t: Any) -> Array:
        t = real("t", t, infinite=True).astype(np.float64, copy=False)
        with np.errstate(all="ignore"):
            out = self._taylor(t.ravel(), 0)[0].reshape(t.shape)[()]
        if not np.isfinite(out).all():
            where = t[~np.isfinite(out)].flat[0]
            raise OverflowError(f"{self!r} overflows at t = {where}")
        return out

    def _taylor(self, t: Array, order: int) -> Array:
        """φ^(k)(t) / k! for k = 0, …, order and t of shape (m,), as (order + 1, m)."""
        lower, upper = _hull(self._spans(_REACH))
        inside = (t > lower) & (t < upper)
        out = np.zeros((order + 1, t.size))
        out[:, inside] = self._inside(t[inside], order)
        return out

    def derivative(self, order: int = 1) -> TestFunction:
        """φ^(order), order >= 0."""
        if not isinstance(order, int | np.integer) or order < 0:
            raise ValueError(f"order must be a nonnegative integer, got {order!r}")
        return self._derivative(int(order)) if order else self

    def _derivative(self, order: int) -> TestFunction:
        return _Derivative(self, order)

    @property
    def support(self) -> portion.Interval:
        """A closed set outside which φ is 0: the smallest but for cancellation."""
        return union((*span, True, True) for span in self._spans(math.inf))

    @property
    def ends(self) -> Span:
        """The lower and upper end of the support, (inf, -inf) if that is empty."""
        return _hull(self._spans(math.inf))

    @property
    def nodes(self) -> Array:
        """
        Finite points, sorted, between which quadrature rules see a tame function.

        φ and its derivatives are 0, or underflow, before the first and after the last;
        empty for the zero function.
        """
        points, (lower, upper) = np.unique(self._points()), _hull(self._spans(_REACH))
        return points[(points >= lower) & (points <= upper)]

    def __array__(self, *_: Any) -> NoReturn:
        # Else Polynomial * φ would be a polynomial with objects as coefficients.
        raise TypeError("a test function is not an array; evaluate it")

    def _terms(self) -> tuple[Term, ...]:
        """Pairs (φ_i, c_i) with φ = Σ c_i φ_i; none for the zero function."""
        return ((self, 1.0),)

    def _factors(self) -> Factors:
        """c, test functions and polynomials, whose product is φ."""
        return 1.0, (self,), ()

    def __add__(self, other: Any) -> TestFunction:
        if not isinstance(other, TestFunction):
            return NotImplemented
        return _combine(self._terms() + other._terms())

    def __sub__(self, other: Any) -> TestFunction:
        return self + -other if isinstance(other, TestFunction) else NotImplemented

    def __neg__(self) -> TestFunction:
        return -1.0 * self

    def __mul__(self, other: Any) -> TestFunction:
        if isinstance(other, Real):
            c = float(real("factor", float(other)))
            return _combine((phi, c * weight) for phi, weight in self._terms())
        if isinstance(other, Polynomial):
            other = _Factor.of(other)
        elif not isinstance(other, TestFunction):
            return NotImplemented
        (a, f, p), (b, g, q) = self._factors(), other._factors()
        # In one order, so that equal functions are equal to the last bit.
        parts = (tuple(sorted(part, key=repr)) for part in (f + g, p + q))
        return _combine([(_Product(*parts), a * b)])

    __rmul__ = __mul__


@dataclass(frozen=True, repr=False)
class _Leaf(TestFunction):
    """c_k = p_k(u) exp(log_weight - k log_step), u = (t - center) / scale."""

    center: float
    scale: float
    _name: ClassVar[str]
    # In units of the scale, the end of the support and the nodes from the center.
    _edge: ClassVar[float]
    _steps: ClassVar[tuple[float, ...]]

    @abstractmethod
    def _parts(self, u: Array, order: int) -> tuple[Array, Array, Array]:
        """p_0, …, p_order, log_weight and log_step."""

    def _inside(self, t: Array, order: int) -> Array:
        p, log_weight, log_step = self._parts((t - self.center) / self.scale, order)
        # In logarithms, where weight and step would both underflow.
        k = np.arange(order + 1)[:, None]
        size = np.log(np.abs(p)) + log_weight - k * (log_step + math.log(self.scale))
        return np.sign(p) * np.exp(size)

    def _spans(self, reach: float) -> list[Span]:
        half = self.scale * min(reach, self._edge)
        return [(self.center - half, self.center + half)]

    def _points(self) -> list[float]:
        return [self.center + self.scale * s * x for s in (-1, 1) for x in self._steps]

    def __repr__(self) -> str:
        return f"{self._name}({self.center}, {self.scale})"


@dataclass(frozen=True, repr=False)
class _Bump(_Leaf):
    """
    With s = 1 - u², s² φ' = -2u φ; the n-th derivative of that is a recurrence for
    the p_k of φ^(k) / k! = p_k s^(-2k) φ, stable where p_k in powers of u cancels.
    """

    _name = "bump"
    _edge = 1.0
    # Derivatives of high order oscillate near the ends.
    _steps = (0.0, 0.5, 0.8, 0.92, 0.97, 0.99, 1.0)

    def _parts(self, u: Array, order: int) -> tuple[Array, Array, Array]:
        # Rounding may have brought u to ±1, where φ is 0 as it is one number before.
        u = np.clip(u, np.nextafter(-1.0, 0.0), np.nextafter(1.0, 0.0))
        s = (1 - u) * (1 + u)
        p = np.zeros((order + 4, u.size))
        p[3] = 1
        for n in range(order):
            # p[n + 3] is p_n: there are three zeros in front.
            p[n + 4] = (
                (4 * n * s - 2) * u * p[n + 3]
                - ((n - 1) * (6 * u**2 - 2) + 2) * s**2 * p[n + 2]
                - 4 * (n - 2) * u * s**4 * p[n + 1]
                - (n - 3) * s**6 * p[n]
            ) / (n + 1)
        return p[3:], 1 - 1 / s, 2 * np.log(s)


@dataclass(frozen=True, repr=False)
class _Gaussian(_Leaf):
    """φ^(k) / k! = p_k φ with p_k = (-1)^k He_k / k!, from φ' = -u φ."""

    _name = "gaussian"
    _edge = math.inf
    _steps = (0.0, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 14.0, 20.0, _REACH)

    def _parts(self, u: Array, order: int) -> tuple[Array, Array, Array]:
        p = np.zeros((order + 2, u.size))
        p[1] = 1
        for n in range(order):
            p[n + 2] = -(u * p[n + 1] + p[n]) / (n + 1)
        return p[1:], -(u**2) / 2, np.zeros(())


@dataclass(frozen=True, repr=False)
class _Derivative(TestFunction):
    """φ^(order), order >= 1, of a φ that is neither a sum nor a derivative."""

    of: TestFunction
    order: int
    _inner = property(lambda self: (self.of,))

    def _inside(self, t: Array, order: int) -> Array:
        m = self.order
        # (k + m)! / k!, infinite rather than an error of its own where that is large.
        ratio = np.prod(np.arange(order + 1.0)[:, None] + np.arange(1, m + 1), axis=1)
        return self.of._taylor(t, order + m)[m:] * ratio[:, None]

    def _derivative(self, order: int) -> TestFunction:
        return _Derivative(self.of, self.order + order)

    def __repr__(self) -> str:
        return f"{_atom(self.of)}.derivative({self.order})"


class _Factor(NamedTuple):
    """A polynomial as a factor: a hashable copy of numpy's, with its scaling of t."""

    coef: tuple[float, ...]
    domain: Span
    window: Span

    @classmethod
    def of(cls, p: Polynomial) -> _Factor:
        # Adding 0.0 turns -0.0 into 0.0, which is equal and would print otherwise.
        parts = (
            real(f"Polynomial.{name}", getattr(p, name)) + 0.0 for name in cls._fields
        )
        return cls(*(tuple(a.tolist()) for a in parts))

    def _factors(self) -> Factors:
        return 1.0, (), (self,)

    def _taylor(self, t: Array, order: int) -> Array:
        p, out = Polynomial(*self), []
        for k in range(order + 1):
            out.append(p(t))
            p = p.deriv() / (k + 1)
        return np.stack(out)

    def __repr__(self) -> str:
        return "Polynomial({}, {}, {})".format(*map(list, self))


@dataclass(frozen=True, repr=False)
class _Product(TestFunction):
    """Π φ_i Π p_j: Taylor coefficients are convolved, which is Leibniz' rule."""

    functions: tuple[TestFunction, ...]
    polynomials: tuple[_Factor, ...]
    _inner = property(lambda self: self.functions)

    def _inside(self, t: Array, order: int) -> Array:
        factors: tuple[Any, ...] = (*self.functions, *self.polynomials)
        return reduce(_convolve, (f._taylor(t, order) for f in factors))

    def _factors(self) -> Factors:
        return 1.0, self.functions, self.polynomials

    def _spans(self, reach: float) -> list[Span]:
        spans, *others = (phi._spans(reach) for phi in self.functions)
        for more in others:
            pairs = [(max(a, c), min(b, d)) for (a, b), (c, d) in product(spans, more)]
            # Where two supports only touch, both functions are 0.
            spans = [(lower, upper) for lower, upper in pairs if lower < upper]
        return spans

    def __repr__(self) -> str:
        return " * ".join([*map(_atom, self.functions), *map(repr, self.polynomials)])


@dataclass(frozen=True, repr=False)
class _Sum(TestFunction):
    """Σ c_i φ_i with different φ_i, none of them a sum, and c_i != 0."""

    pairs: tuple[Term, ...]
    _inner = property(lambda self: tuple(phi for phi, _ in self.pairs))

    def _terms(self) -> tuple[Term, ...]:
        return self.pairs

    def _factors(self) -> Factors:
        if len(self.pairs) == 1:
            phi, c = self.pairs[0]
            return c, *phi._factors()[1:]
        return float(bool(self.pairs)), (self,), ()

    def _inside(self, t: Array, order: int) -> Array:
        parts = (c * phi._taylor(t, order) for phi, c in self.pairs)
        return sum(parts, np.zeros((order + 1, t.size)))

    def _derivative(self, order: int) -> TestFunction:
        return _combine((phi._derivative(order), c) for phi, c in self.pairs)

    def __repr__(self) -> str:
        shown = [f"{c} * " * (c != 1) + repr(phi) for phi, c in self.pairs]
        return " + ".join(shown) or "0 * bump()"


def _combine(pairs: Iterable[Term]) -> TestFunction:
    """Σ c_i φ_i, equal φ_i taken together."""
    weights: dict[TestFunction, float] = {}
    for phi, c in pairs:
        weights[phi] = weights.get(phi, 0.0) + c
    left = tuple(sorted(((phi, c) for phi, c in weights.items() if c), key=repr))
    real("coefficients", [c for _, c in left])
    return left[0][0] if len(left) == 1 and left[0][1] == 1 else _Sum(left)


def _convolve(a: Array, b: Array) -> Array:
    """Σ_j a_j b_{k-j}."""
    out = a[0] * b
    for j in range(1, len(a)):
        out[j:] += a[j] * b[:-j]
    return out


def _hull(spans: list[Span]) -> Span:
    lowers, uppers = zip(*spans, (math.inf, -math.inf), strict=True)
    return min(lowers), max(uppers)


def _atom(phi: TestFunction) -> str:
    return f"({phi!r})" if isinstance(phi, _Sum | _Product) else repr(phi)


def _placed(name: str, center: Any, scale: Any, reach: float) -> tuple[float, float]:
    """center and scale as numbers, if the outermost nodes are finite and different."""
    a, b = real("center", center), positive(name, scale)
    if a.ndim or b.ndim:
        shapes = f"shapes {a.shape} and {b.shape}"
        raise ValueError(f"center and {name} must be numbers, got {shapes}")
    c, r = float(a) + 0.0, float(b)  # 0.0 for -0.0
    finite = math.isfinite(c - reach * r) and math.isfinite(c + reach * r)
    if not (finite and c - r < c < c + r):
        raise ValueError(
            f"{name} must be large enough to be seen at center = {c} and small enough "
            f"for center ± {reach:g} {name} to be finite, got {r}"
        )
    return c, r


def bump(center: float = 0.0, radius: float = 1.0) -> TestFunction:
    r"""
    φ(t) = exp(1 - 1 / (1 - u²)) for |u| < 1, else 0,   u = (t - center) / radius,

    scaled so that φ(center) = 1. Its support is [center - radius, center + radius].

    ValueError unless radius > 0 and all three numbers are finite and different.
    """
    return _Bump(*_placed("radius", center, radius, 1.0))


def gaussian(center: float = 0.0, width: float = 1.0) -> TestFunction:
    r"""
    φ(t) = exp(-u² / 2),   u = (t - center) / width,

    with φ(center) = 1; from |u| = 40 on, where it underflows, it counts as 0. Its
    support is the whole line.

    ValueError unless width > 0, and center ± 40 width are finite.
    """
    return _Gaussian(*_placed("width", center, width, _REACH))
