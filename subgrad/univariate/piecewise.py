"""Functions of one real variable made of polynomial pieces."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from .._check import Array
from ._border import given, line, number, rows
from ._coefficients import middles
from ._points import Atom, union
from ._polynomials import Pieces, checked, common, constant
from .convex import Univariate
from .derivatives import Derivatives

if TYPE_CHECKING:
    import portion
    import scipy.interpolate


class Piecewise(Derivatives):
    r"""
    A function of one real variable made of polynomials between breakpoints,

        f(t) = sum_j c_kj (t - a_k)^j   for t_{k-1} < t < t_k,      f(t_k) = v_k.

    `breakpoints`: (K,), nondecreasing. `coefficients`: K + 1 sequences, lowest power
    first; [inf] says that f is +inf there, outside its domain, and [nan] that it is
    undefined. `values`: (K,), by default the limit from the right, or that from the
    left where f is not finite to the right. `anchors`: (K + 1,), by default 0. A piece
    between coinciding breakpoints is dropped, and so is what separates nothing.
    TypeError or ValueError for arrays that say something else, FloatingPointError
    where a coefficient or a value at a breakpoint would overflow.

    Usually it is made from the identity `t` by + - * / ** abs, calls, and `maximum`,
    `minimum`, `where`; breakpoints stay exactly where they were given. f(g) is g where
    that is not finite, and a maximum undefined where a term is. Two limits that differ
    by less than 1.4e-14 of the size of the terms of the polynomials count as
    equal, because two pieces meet at a computed crossing only up to rounding.

    >>> from subgrad import maximum, t
    >>> f = maximum(t**2, 2 - t)
    >>> print(f)
    t² on (-inf, -2]; −t + 2 on (-2, 1]; t² on (1, +inf)
    >>> print(f.kinks, f.derivative()([-2, 0, 1, 2]), f.subdifferential(1))
    [-2.  1.] [nan -1. nan  4.] [-1, 2]
    """

    @checked
    def __init__(
        self,
        breakpoints: Any,
        coefficients: Any,
        values: Any = None,
        anchors: Any = None,
    ) -> None:
        t = line("breakpoints", breakpoints)
        if np.any(np.diff(t) < 0):
            raise ValueError(f"breakpoints must be nondecreasing, got {t}")
        c = rows(coefficients, t.size + 1)
        a = np.zeros(t.size + 1) if anchors is None else line("anchors", anchors)
        if a.size != t.size + 1:
            raise ValueError(f"anchors must have shape ({t.size + 1},), got {a.shape}")
        v = np.full(t.size, np.nan) if values is None else given(values)
        if v.size != t.size:
            raise ValueError(f"values must have shape ({t.size},), got {v.shape}")
        keep, last = np.r_[True, np.diff(t) > 0], np.r_[np.diff(t) > 0, True]
        if t.size:
            differ = (v[1:] != v[:-1]) & ~(np.isnan(v[1:]) & np.isnan(v[:-1]))
            if np.any(differ & ~keep[1:]):
                raise ValueError("values at coinciding breakpoints must be equal")
            kept = np.r_[True, last]
            t, v, c, a = t[last], v[last], c[kept], a[kept]
        pieces = Pieces(t, c, a, v)
        if values is None:
            right, left = pieces.limits("right"), pieces.limits("left")
            v = np.where(np.isfinite(right), right, left)
            pieces = Pieces(t, c, a, v)
        self._pieces = pieces.simplified()

    @classmethod
    def _of(cls, pieces: Pieces) -> Piecewise:
        """Trusts the arrays."""
        new = object.__new__(Piecewise)
        new._pieces = pieces.simplified()
        return new

    @classmethod
    def from_slopes(
        cls, breakpoints: Any, slopes: Any, at: tuple[float, float] = (0.0, 0.0)
    ) -> Piecewise:
        """
        The continuous function with slope s_k between t_{k-1} and t_k, and f(a) = v.

        `breakpoints`: (K,), nondecreasing. `slopes`: (K + 1,), finite. `at`: (a, v).
        """
        t, s = line("breakpoints", breakpoints), line("slopes", slopes)
        if np.any(np.diff(t) < 0):
            raise ValueError(f"breakpoints must be nondecreasing, got {t}")
        if s.size != t.size + 1:
            raise ValueError(f"slopes must have shape ({t.size + 1},), got {s.shape}")
        pair = line("at", at)
        if pair.size != 2:
            raise ValueError(f"at must be a pair (a, f(a)), got shape {pair.shape}")
        from ._pieces import pieces

        anchors, heights = pieces(t, s, *pair)
        return cls(t, np.stack([heights, s], -1), anchors=anchors)

    @classmethod
    def from_ppoly(cls, p: scipy.interpolate.PPoly) -> Piecewise:
        """
        The function of a scipy.interpolate.PPoly with real coefficients, continuous
        from the right; undefined outside the breakpoints if p does not extrapolate.
        """
        from scipy.interpolate import PPoly

        if not isinstance(p, PPoly):
            raise TypeError(f"p must be a PPoly of scipy, got {type(p).__name__}")
        if np.ndim(p.c) != 2 or np.iscomplexobj(p.c):
            raise ValueError(f"p must be real, of one variable, got shape {p.c.shape}")
        if p.extrapolate == "periodic":
            raise ValueError("p must have finitely many pieces, got a periodic one")
        c, x = np.asarray(p.c[::-1].T, np.float64), np.asarray(p.x, np.float64)
        if x[0] > x[-1]:
            raise ValueError("p must have increasing breakpoints, got decreasing ones")
        if p.extrapolate:
            return cls(x[1:-1], c, anchors=x[:-1])
        outside = np.full((1, c.shape[-1]), 0.0)
        outside[0, 0] = np.nan
        c = np.concatenate([outside, c, outside])
        return cls(x, c, anchors=np.r_[x[0], x[:-1], x[-1]])

    def to_ppoly(self) -> scipy.interpolate.PPoly:
        """
        The same pieces as a scipy.interpolate.PPoly, which is continuous from the
        right: a breakpoint's own value is lost. Constant inf or nan outside the domain.
        """
        from scipy.interpolate import PPoly

        f = self._pieces
        ends = middles(f.points)[[0, -1]] if f.points.size else f.anchors + [-1, 1]
        x = np.r_[ends[0], f.points, ends[1]]
        return PPoly(f.anchored(x[:-1]).coefficients[:, ::-1].T, x, extrapolate=True)

    # -- what it is made of -----------------------------------------------------------

    @cached_property
    def breakpoints(self) -> Array:
        """(K,), strictly increasing; `PiecewiseLinear` keeps those it was given."""
        return self._pieces.points

    @property
    def coefficients(self) -> Array:
        """(K + 1, degree + 1), lowest power of t - anchor first."""
        return self._pieces.coefficients

    @property
    def anchors(self) -> Array:
        """(K + 1,), the points around which the polynomials are written."""
        return self._pieces.anchors

    @property
    def values(self) -> Array:
        """(K,), f at the breakpoints."""
        return self._pieces.values

    @property
    def degree(self) -> int:
        return self._pieces.coefficients.shape[-1] - 1

    @property
    def is_affine(self) -> bool:
        """Whether f is one polynomial of degree at most 1 on all of R."""
        return not self.breakpoints.size and self.degree <= 1 and self._everywhere

    @property
    def domain(self) -> portion.Interval:
        """Where f is finite, as a portion.Interval: any union of intervals."""
        return union(self._atoms)

    @cached_property
    def _atoms(self) -> list[Atom]:  # type: ignore[override]
        f = self._pieces
        return list(f.where(f.finite, np.isfinite(f.values)))

    @property
    def ends(self) -> tuple[float, float]:
        """inf and sup of the domain, (+inf, -inf) if that is empty."""
        parts = self._atoms
        return (parts[0][0], parts[-1][1]) if parts else (np.inf, -np.inf)

    def _value(self, t: Array) -> Array:
        return self._pieces(t).astype(t.dtype, copy=False)

    # -- arithmetic -------------------------------------------------------------------

    def _binary(self, other: Any, operation: Callable[..., Pieces]) -> Any:
        g = _operand(other)
        if g is None:
            return NotImplemented
        return Piecewise._of(operation(self._pieces, g))

    def __neg__(self) -> Piecewise:
        return Piecewise._of(self._pieces.scaled(-1.0))

    def __pos__(self) -> Self:
        return self

    def __add__(self, other: Any) -> Any:
        if self.batch:
            return super().__add__(other)
        return self._binary(other, Pieces.plus)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self._binary(other, lambda f, g: f.plus(g.scaled(-1.0)))

    def __rsub__(self, other: Any) -> Any:
        return (-self).__add__(other)

    def __mul__(self, other: Any) -> Any:
        """
        The product; 0 * f is 0 on the domain of f. Where a factor is not finite, it is
        the product of the values if both are constant there, else undefined.
        """
        if self.batch:
            return super().__mul__(other)
        if isinstance(other, int | float | np.number):
            return Piecewise._of(self._pieces.scaled(number("factor", other)))
        return self._binary(other, Pieces.times)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        """f / g with g a nonzero number or piecewise constant; undefined at g = 0."""
        if isinstance(other, int | float | np.number) and not other:
            raise ZeroDivisionError("a function divided by 0")
        return self._binary(other, lambda f, g: f.over(_divisor(g)))

    def __rtruediv__(self, other: Any) -> Any:
        return self._binary(other, lambda f, g: g.over(_divisor(f)))

    def __pow__(self, n: Any) -> Any:
        if not isinstance(n, int | np.integer) or n < 0:
            raise ValueError(
                f"the power of a piecewise polynomial must be an integer >= 0, got {n}"
            )
        return reduce(Piecewise.__mul__, [self] * int(n), 0 * self + 1)

    def __abs__(self) -> Piecewise:
        return Piecewise._of(self._pieces.larger(self._pieces.scaled(-1.0)))

    def _compose_univariate(self, phi: Any) -> Univariate:
        if not isinstance(phi, Piecewise) and self.is_affine and self.degree:
            from .transformed import transformed

            b, a = self.coefficients[0, 1], self.anchors[0]
            return transformed(phi, b=b, c=a - self.coefficients[0, 0] / b)
        if not isinstance(phi, Piecewise):
            raise TypeError(
                "only piecewise polynomials can be applied to one, got "
                f"{type(phi).__name__}"
            )
        return Piecewise._of(phi._pieces.after(self._pieces))

    def _compare(self, other: Any, signs: tuple[int, ...], holds: Any) -> Any:
        g = _operand(other, infinite=True)
        if g is None:
            return NotImplemented
        f, h, sign = self._pieces.crossings(g)
        with np.errstate(invalid="ignore"):
            inside = holds(f.values, h.values)
        return union(f.where(np.isin(sign, signs), inside))

    def __lt__(self, other: Any) -> Any:
        """{t : f(t) < g(t)} as a portion.Interval; g may be a number."""
        return self._compare(other, (-1,), np.less)

    def __le__(self, other: Any) -> Any:
        """{t : f(t) <= g(t)} as a portion.Interval; g may be a number."""
        return self._compare(other, (-1, 0), np.less_equal)

    def __gt__(self, other: Any) -> Any:
        """{t : f(t) > g(t)} as a portion.Interval; g may be a number."""
        return self._compare(other, (1,), np.greater)

    def __ge__(self, other: Any) -> Any:
        """{t : f(t) >= g(t)} as a portion.Interval; g may be a number."""
        return self._compare(other, (0, 1), np.greater_equal)

    def __eq__(self, other: object) -> bool:
        """Whether both are the same function, undefined at the same points."""
        if not isinstance(other, Piecewise):
            return NotImplemented
        if type(self) is type(other) is not Piecewise:
            return super().__eq__(other)
        if self.batch or other.batch:
            return False
        f, g = common(self._pieces, other._pieces)
        pairs = ((f.coefficients, g.coefficients), (f.values, g.values))
        return all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)

    def __hash__(self) -> int:
        # Equal functions may be written with different breakpoints and anchors.
        return hash(self.batch or self.ends)

    # -- text -------------------------------------------------------------------------

    def __str__(self) -> str:
        from ._text import piecewise

        return repr(self) if self.batch else piecewise(self._pieces)

    def __repr__(self) -> str:
        f = self._pieces
        lists = [np.trim_zeros(row, "b").tolist() or [0.0] for row in f.coefficients]
        text = f"Piecewise({f.points.tolist()}, {lists}, values={f.values.tolist()}"
        anchors = f", anchors={f.anchors.tolist()}" if f.anchors.any() else ""
        return text + anchors + ")"


def _operand(other: Any, *, infinite: bool = False) -> Pieces | None:
    """A function or a number as pieces, None for anything else."""
    if isinstance(other, Piecewise):
        return other._pieces
    if isinstance(other, int | float | np.number):
        return constant(number("operand", other, infinite=infinite))
    return None


def branch(f: Any) -> Pieces:
    pieces = _operand(f, infinite=True)
    if pieces is None:
        raise TypeError(
            f"a piecewise polynomial or a number was expected, got {type(f).__name__}"
        )
    return pieces


def _divisor(g: Pieces) -> Pieces:
    if g.coefficients.shape[-1] > 1:
        raise TypeError(
            "a piecewise polynomial can be divided by a piecewise constant only, as "
            "the quotient must be a piecewise polynomial"
        )
    return g


identity = Piecewise([], [[0, 1]])
