"""What pairing needs: derivatives at points, and integrals of products."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .._check import Array
from ._coefficients import derivative, evaluate, shift
from ._polynomials import Pieces, common
from .bump import TestFunction
from .piecewise import Piecewise

# Where in an interval, as parts of it, the size of an integrand is looked at.
_SAMPLES = (0.1, 0.3, 0.5, 0.7, 0.9)
_EPS = float(np.finfo(np.float64).eps)
# Lower ends, upper ends, and the numbers of the pieces there.
Cells = tuple[Array, Array, Array]


def regular(
    parts: Mapping[TestFunction | None, Pieces], phi: Any
) -> tuple[float, float]:
    """sum ∫ p φ_i φ dx over the parts, and an estimate of the error."""
    total, error = 0.0, 0.0
    for factor, p in parts.items():
        if isinstance(phi, Piecewise):
            q = _product(p, phi._pieces)
            found = _exact(q) if factor is None else _smooth(q, factor)
        elif isinstance(phi, TestFunction):
            found = _smooth(p, phi if factor is None else factor * phi)
        else:
            found = _any(p, factor, phi)
        total, error = total + found[0], error + found[1]
    return total, error


def derivatives_at(name: str, phi: Any, a: float, order: int) -> list[float]:
    """φ(a), φ'(a), …, up to an order."""
    if isinstance(phi, Piecewise):
        f, out = phi._pieces.refined(np.array([a])), []
        k = np.searchsorted(f.points, a)
        for j in range(order + 1):
            # The value at the point itself counts for the function, not its slopes.
            if not (f.joined[k] and (j or f.continuous[k])):
                wanted = f"have {order} continuous derivatives" * (order > 0)
                raise ValueError(
                    f"{name} must {wanted or 'be continuous'} at {a}, but "
                    f"{f'derivative {j}' if j else 'it'} jumps there"
                )
            out.append(float(f.limits("left")[k]))
            f = Pieces(f.points, derivative(f.coefficients), f.anchors, f.values)
        return out
    if isinstance(phi, TestFunction):
        return [float(phi.derivative(j)(a)) for j in range(order + 1)]
    if order:
        raise TypeError(
            f"{name} must have derivatives, as a bump or gaussian has, at a "
            f"derivative of δ; got {type(phi).__name__}"
        )
    value = float(phi(a))
    if not np.isfinite(value):
        raise ValueError(f"{name} must be finite at {a}, got {value}")
    return [value]


def _product(p: Pieces, phi: Pieces) -> Pieces:
    """p φ, 0 where φ is, even outside the domain of p."""
    f, g = common(p, phi)
    zero = ~np.any(g.coefficients, axis=-1)
    c = np.where(zero[:, None], 0.0, f.coefficients)
    out = Pieces(f.points, c, f.anchors, f.values).times(g)
    if not np.all(out.finite):
        raise ValueError(
            "phi must be finite, and 0 outside the domain of the distribution"
        )
    return out


def _exact(p: Pieces) -> tuple[float, float]:
    if np.any(p.coefficients[[0, -1]]):
        raise ValueError("the integral diverges, as phi is not 0 far out")
    c, a, lower = p.coefficients[1:-1], p.anchors[1:-1], p.points[:-1]
    width = np.diff(p.points)
    # From the left end of every piece, as its own anchor may be far.
    terms = shift(c, lower - a) / np.arange(1, c.shape[-1] + 1)
    total = float(width @ evaluate(terms, width))
    far = np.maximum(abs(lower - a), abs(p.points[1:] - a))
    return total, float(8 * _EPS * (width @ evaluate(abs(c), far)))


def _cells(p: Pieces, ends: tuple[float, float], nodes: Any) -> Cells:
    """The intervals between the ends on which p is one polynomial, not 0."""
    low, high = ends
    cuts = np.union1d(p.points, nodes)
    cuts = np.r_[low, cuts[(cuts > low) & (cuts < high)], high]
    k = np.searchsorted(p.points, cuts[:-1], "right")
    used = (cuts[:-1] < cuts[1:]) & np.any(p.coefficients[k] != 0, axis=-1)
    lower, upper, k = cuts[:-1][used], cuts[1:][used], k[used]
    outside = np.flatnonzero(~p.finite[k])
    if outside.size:
        first = f"({lower[outside[0]]}, {upper[outside[0]]})"
        raise ValueError(
            "the support of phi must be in the closure of the domain of the "
            f"distribution, but it meets {first}"
        )
    return lower, upper, k


def _smooth(p: Pieces, phi: TestFunction) -> tuple[float, float]:
    """∫ p φ dx: all cells side by side make one integrand on [0, 1]."""
    from scipy.integrate import quad

    lower, upper, k = _cells(p, phi.ends, phi.nodes)
    # Beyond the outermost nodes a test function underflows to 0.
    inner = np.isfinite(lower) & np.isfinite(upper)
    lower, width, k = lower[inner], (upper - lower)[inner], k[inner]
    if not lower.size:
        return 0.0, 0.0
    c, start = p.coefficients[k], lower - p.anchors[k]

    def integrand(u: float) -> float:
        step = width * u
        value, _ = _values(phi, lower, step)
        return float(width @ (evaluate(c, start + step) * value))

    def sizes(u: float) -> tuple[float, float]:
        step = width * u
        value, last = _values(phi, lower, step)
        weight = width * evaluate(abs(c), abs(start + step))
        return float(weight @ abs(value)), float(weight @ abs(last))

    with np.errstate(all="ignore"):
        scale, last = np.max([sizes(u) for u in _SAMPLES], axis=0)
        # In full, so that it does not warn where rounding stops it: the error says so.
        value, error, *_ = quad(
            integrand, 0, 1, epsabs=1e-14 * scale, epsrel=1e-13, full_output=1
        )
    if not np.isfinite(value):
        raise OverflowError("the integral overflows")
    return value, float(error + 8 * _EPS * scale + last)


def _values(phi: TestFunction, base: Array, step: Array) -> tuple[Array, Array]:
    """
    φ(base + step), of the sum before it is rounded, and the last term taken for that.

    Far from 0 the numbers are too coarse for the nodes of a narrow function, and
    Taylor's formula bridges the distance.
    """
    t = base + step
    moved = t - base
    rest = (base - (t - moved)) + (step - moved)
    terms = phi._taylor(t, 3) * rest ** np.arange(4)[:, None]
    terms[1:] = np.where(np.isfinite(terms[1:]), terms[1:], 0.0)
    return terms.sum(axis=0), terms[3]


def _any(
    p: Pieces, factor: TestFunction | None, phi: Callable[[float], Any]
) -> tuple[float, float]:
    """∫ p φ dx or ∫ p factor φ dx, φ a function of a number, cell by cell."""
    from scipy.integrate import quad

    if factor is None:
        cells = _cells(p, (-np.inf, np.inf), np.zeros(0))
    else:
        cells = _cells(p, factor.ends, factor.nodes)
    total, error = 0.0, 0.0
    for low, high, k in zip(*(a.tolist() for a in cells), strict=True):
        far = np.isinf(low) or np.isinf(high)
        if far and factor is not None:
            continue
        c, anchor = p.coefficients[k], p.anchors[k]

        def integrand(x: float, c: Array = c, anchor: float = anchor) -> float:
            weight = 1.0 if factor is None else float(factor(x))
            return float(evaluate(c, np.asarray(x - anchor))) * weight * float(phi(x))

        value, gap, *rest = quad(
            integrand, low, high, epsabs=1e-13, epsrel=1e-12, limit=200, full_output=1
        )
        # Its estimate can be tiny for a divergent integral, but then it complains.
        doubtful = len(rest) > 1 and (far or gap > 1e-6 * abs(value))
        if np.isnan(value):
            raise ValueError(f"phi must not be nan, but is in ({low}, {high})")
        if doubtful or not np.isfinite(value):
            raise ValueError(
                f"the integral over ({low}, {high}) diverges or converges too slowly"
            )
        total, error = total + value, error + gap
    return total, error
