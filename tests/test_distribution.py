"""Distributions on the line, each law against its definition."""

from __future__ import annotations

import math
import pickle
import re

import numpy as np
import portion
import pytest
from numpy.polynomial import Polynomial
from numpy.polynomial.legendre import leggauss
from scipy.special import erfc, kv

import subgrad as sg
from subgrad import (
    Distribution,
    Piecewise,
    absolute,
    agreement,
    antiderivative,
    bump,
    dirac,
    gaussian,
    heaviside,
    ramp,
    relu,
    sign,
    t,
)

inf, nan = math.inf, math.nan
H, ONE = Distribution(heaviside), Distribution(1)
DISJOINT = portion.closed(-3, -1) | portion.open(0, 1) | portion.closed(1.5, inf)
CATALOG = {
    "relu": relu,
    "leaky_relu": sg.leaky_relu(0.1),
    "relu6": sg.relu6,
    "hard_tanh": sg.hard_tanh,
    "hard_sigmoid": sg.hard_sigmoid,
    "absolute": absolute,
    "sign": sign,
    "heaviside": heaviside,
    "ramp": ramp,
    "clip": sg.clip(-0.5, 2),
    "hinge": sg.hinge,
    "pinball": sg.pinball(0.25),
    "epsilon_insensitive": sg.epsilon_insensitive(0.5),
    "huber": sg.huber(1.5),
    "dead_zone": sg.dead_zone(0.75),
    "square": t**2,
    "linear": sg.linear(-2),
    "steps": sg.steps(-2, 3),
    "interval": sg.interval_indicator(-1, 2),
    "indicator": sg.indicator(DISJOINT),
    "isolated value": Piecewise([0], [[1], [1]], values=[5]),
    "parabola and line": sg.maximum(t**2, 2 - t),
}
# What the distributional derivative has and the pointwise one has not.
JUMPS = {
    "sign": 2 * dirac(),
    "heaviside": dirac(),
    "steps": sum((dirac(k) for k in (-1, 0, 1, 2)), 0 * dirac()),
}


def rough(seed, *, continuous=False, gaps=(), count=7):
    """Random cubic pieces with values of their own, undefined or +inf in the gaps."""
    rng = np.random.default_rng(seed)
    points = np.sort(rng.uniform(-2.5, 2.5, count))
    c = rng.normal(size=(count + 1, 4))
    anchors = np.r_[points[0], points]
    if continuous:
        h = np.diff(points)
        rises = (c[1:-1, 1:] * h[:, None] ** [1, 2, 3]).sum(-1)
        c[:, 0] = np.r_[0, 0, np.cumsum(rises)] + 0.5
    for k, gap in zip(gaps, (nan, inf, nan), strict=False):
        c[k] = [gap, 0, 0, 0]
    return Piecewise(points, c, values=rng.normal(size=count), anchors=anchors)


ROUGH = {
    "jumps": rough(1),
    "continuous": rough(2, continuous=True),
    "half line": rough(3, gaps=[7]),
    "interval": rough(4, gaps=[0, 7]),
    "union": rough(5, gaps=[0, 3, 6]),
    "continuous union": rough(6, gaps=[0, 4], continuous=True),
}
every = pytest.mark.parametrize("f", (CATALOG | ROUGH).values(), ids=CATALOG | ROUGH)
every_rough = pytest.mark.parametrize("f", ROUGH.values(), ids=ROUGH)

PHIS = [
    bump(0.3, 2.5),
    bump(1, 0.25),
    gaussian(-0.5, 0.7),
    Polynomial([1.0, -2.0, 1.0]) * (bump(0, 3) * gaussian(1, 1)),
]
# One of everything: a polynomial with jumps, all orders of terms, two terms at a point.
MIXED = Distribution(rough(7)) + 2 * dirac(0.5) - dirac(0.5, 2) + 3 * dirac(-1, 1)
SMOOTH = gaussian(0.25, 0.5) * MIXED + bump(1, 2) * Distribution(rough(8))


def bounds(component):
    lower, upper = (float(x) if abs(x) != portion.inf else x for x in component)
    return lower, upper


def inside(f):
    """Test functions with a support in the closure of the domain, for every part."""
    for part in Distribution(f).domain:
        lower, upper = part.lower, part.upper
        if lower == -portion.inf and upper == portion.inf:
            yield from PHIS
        elif lower == -portion.inf:
            yield bump(float(upper) - 2, 2)
        elif upper == portion.inf:
            yield from (bump(lower + 1, 1), bump(lower + 3, 2.5))
        else:
            half = (upper - lower) / 2
            yield bump(lower + half, half)
            yield bump(lower + half, half / 2) * gaussian(lower, half)


NODES, WEIGHTS = leggauss(60)


def integral(f, phi):
    """∫ f φ dx and ∫ |f φ| dx, by Gauss's rule between all points that matter."""
    cuts = phi.nodes
    inner = f.breakpoints
    cuts = np.union1d(cuts, inner[(inner > cuts[0]) & (inner < cuts[-1])])
    half = np.diff(cuts)[:, None] / 2
    x = cuts[:-1, None] + half * (1 + NODES)
    y = f(x) * phi(x) * half * WEIGHTS
    return y.sum(), abs(y).sum()


def close(S, T, tol=1e-12):
    """Equal up to rounding, with terms at the same places."""
    assert S.domain == T.domain
    difference = S - T
    assert all(abs(w) <= tol for w in difference.terms.values())
    x = np.linspace(-4, 4, 801) + 1e-4
    for _, p in difference._parts.items():
        value = Piecewise._of(p)(x)
        assert np.all(abs(value[np.isfinite(value)]) <= tol)


# -- the definition -------------------------------------------------------------------


@every
def test_derivatives_are_those_of_the_definition(f):
    phis = list(inside(f))
    assert phis
    for phi in phis:
        for order in range(5):
            given = f.distributional_derivative(order).pair(phi)
            expected, size = integral(f, phi.derivative(order))
            assert abs(given - (-1) ** order * expected) <= 1e-11 * size


@pytest.mark.parametrize("T", [MIXED, SMOOTH, MIXED.derivative(2)])
def test_derivatives_move_to_the_test_function(T):
    for phi in PHIS:
        for order in (1, 2, 3, 4):
            given, error = T.derivative(order).pair(phi, return_error=True)
            other, more = T.pair(phi.derivative(order), return_error=True)
            size = 1e-11 * (1 + abs(other))
            assert abs(given - (-1) ** order * other) <= error + more + size
    assert T.derivative(0) == T
    assert T.derivative(3) == T.derivative().derivative().derivative()


@every
def test_terms_are_the_jumps(f):
    T, expected = f.distributional_derivative(), {}
    for a, value in zip(f.breakpoints.tolist(), f.values.tolist(), strict=True):
        k = f.breakpoints.tolist().index(a)
        sides = [Polynomial(f.coefficients[k + i])(a - f.anchors[k + i]) for i in (0, 1)]
        if np.all(np.isfinite(sides)) and abs(sides[1] - sides[0]) > 1e-9:
            expected[a, 0] = sides[1] - sides[0]
        del value  # it must not matter
    assert T.terms == pytest.approx(expected, rel=1e-12)
    x = np.setdiff1d(np.linspace(-3, 3, 61), f.breakpoints)
    pointwise = f.derivative()(x)
    assert np.array_equal(T.regular(x), pointwise, equal_nan=True)


@pytest.mark.parametrize("name", CATALOG)
def test_agreement(name):
    f = CATALOG[name]
    agree, difference = agreement(f)
    assert agree == (name not in JUMPS)
    assert agree == (f.is_absolutely_continuous or name == "isolated value")
    assert difference.terms == getattr(JUMPS.get(name), "terms", {})
    assert difference.is_zero == agree
    assert difference.domain == f.distributional_derivative().domain


def test_agreement_of_random_functions():
    for seed in range(20):
        f = rough(seed, continuous=True, count=5)
        assert agreement(f).agree and not f.is_absolutely_continuous
        jumping = f + 1e-6 * heaviside(t - 0.125)
        assert agreement(jumping).difference.terms == {
            (0.125, 0): pytest.approx(1e-6, rel=1e-8)
        }


# -- algebra --------------------------------------------------------------------------


def test_linearity():
    S, T = MIXED, Distribution(rough(9)) + dirac(0.5, 2) - 4 * dirac(2)
    for phi in PHIS:
        one, two = S.pair(phi), T.pair(phi)
        size = 1e-12 * (1 + abs(one) + abs(two))
        assert abs((2 * S - T / 3).pair(phi) - (2 * one - two / 3)) <= size
        assert abs((-S + T - 1).pair(phi) + one - two + ONE.pair(phi)) <= size
        both = S.pair(2 * phi - 3 * PHIS[0])
        assert abs(both - 2 * one + 3 * S.pair(PHIS[0])) <= 10 * size
    assert S + T == T + S and S - S == Distribution(0) and (S - S).is_zero
    assert 2 * S == S + S and S * 0 == Distribution(0) and -(-S) == S
    assert S + relu == S + Distribution(relu) == relu + S
    assert 1 - S == ONE - S and S + np.int64(2) == S + 2.0
    assert np.float64(2) * S == S * 2 and np.float32(1) + S == S + 1


@pytest.mark.parametrize(
    "phi", [t**3 - 2 * t + 1, gaussian(0.3, 0.8), bump(0, 4) - 2 * gaussian(-1, 2)]
)
def test_products_move_to_the_test_function(phi):
    for k in range(5):
        T = dirac(0.5, k) + Distribution(rough(k))
        product = phi * T
        for psi in PHIS:
            # A polynomial times a test function is one by numpy's Polynomial.
            inner = phi.coefficients[0] if isinstance(phi, Piecewise) else None
            moved = phi * psi if inner is None else Polynomial(inner) * psi
            expected = T.pair(moved)
            assert abs(product.pair(psi) - expected) <= 1e-11 * (1 + abs(expected))


def test_products_by_name():
    assert t * dirac(0, 1) == -dirac() and t**2 * dirac(0, 2) == 2 * dirac()
    assert t * dirac() == Distribution(0) and (t * dirac()).is_zero
    assert absolute * dirac() == Distribution(0)
    assert t * absolute * dirac(0, 1) == Distribution(0)
    assert heaviside * dirac(1, 2) == dirac(1, 2) and heaviside * dirac(-1) == 0 * ONE
    assert gaussian() * dirac(0, 2) == dirac(0, 2) - dirac()
    assert heaviside * H == H and sign * Distribution(sign) == ONE
    # Behind the ends of a domain there is nothing to be smooth.
    narrow = sg.interval_indicator(-1, 1) + 1.0
    assert narrow * dirac(5) == Distribution(narrow - 1)
    assert (narrow * dirac(0.5)).terms == {(0.5, 0): 1}
    # The value at a jump of a slope alone does not matter.
    assert Piecewise([0], [[0], [0]], values=[0]) * dirac(0, 3) == Distribution(0)
    removable = Piecewise([0], [[1], [1]], values=[5])
    for bad, k in ((heaviside, 0), (relu, 1), (t * absolute, 2), (removable, 0)):
        with pytest.raises(ValueError, match="factor must .* at 0.0, but .* jumps"):
            bad * dirac(0, k)


def test_product_rule():
    for phi in (gaussian(0.3, 0.8), bump(0.5, 2)):
        for k in range(4):
            T = dirac(0.5, k) + Distribution(rough(3, count=4))
            close((phi * T).derivative(), phi.derivative() * T + phi * T.derivative())
    for f in (t**3, t * absolute + 1):
        T = dirac(0, 1) + Distribution(rough(11))
        rule = Distribution(f.derivative() * 1.0) * 1.0
        assert rule == f.distributional_derivative()
    cube = t**3 - t
    T = MIXED + dirac(0, 3)
    rule = (3 * t**2 - 1) * T + cube * T.derivative()
    close((cube * T).derivative(), rule, 1e-11)


@pytest.mark.parametrize("c", [1, -1, 2, -0.25, 3.7])
@pytest.mark.parametrize("b", [0, -1.3, 5])
def test_change_of_the_argument(c, b):
    T = MIXED + dirac(-0.75, 3)
    changed = T(c * t + b)
    for m, r, m2, s in ((0.3, 2.5, 0, 1), (0.5, 1, 1, 0.5), (-1, 0.75, 0, 2)):
        phi = bump(m, r) * gaussian(m2, s)
        there = [((m - b) / c, r / abs(c)), ((m2 - b) / c, s / abs(c))]
        psi = bump(*there[0]) * gaussian(*there[1])
        expected = T.pair(phi) / abs(c)
        assert abs(changed.pair(psi) - expected) <= 1e-10 * (1 + abs(expected))
    assert changed.order == T.order
    # The chain rule, with terms where the jumps are.
    close(T(c * t + b).derivative(), c * T.derivative()(c * t + b), 1e-9)
    close(changed((t - b) / c), T, 1e-10)


def test_changes_of_the_argument_by_name():
    assert dirac(1)(2 * t - 3) == 0.5 * dirac(2)
    assert dirac(0, 1)(-t) == -dirac(0, 1) and dirac(0, 2)(-t) == dirac(0, 2)
    assert H(-2 * t + 3) == Distribution(1 - heaviside(t - 1.5))
    assert (dirac() + dirac(1e-20))(t + 1) == 2 * dirac(-1)
    assert MIXED(t) == MIXED and MIXED(sg.linear(1)) == MIXED
    narrow = Distribution(sg.interval_indicator(1, 2))(-2 * t)
    assert narrow.domain == portion.open(-1, -0.5)
    # In a shifted anchor too, jumps and terms are carried to the same numbers.
    rng = np.random.default_rng(0)
    for a, anchor, s in rng.normal(size=(50, 3)):
        inner = Piecewise([], [[0.1, s]], anchors=[anchor])
        jump = Distribution(heaviside(t - a))
        assert jump(inner).derivative().terms.keys() == dirac(a)(inner).terms.keys()


# -- antiderivatives ------------------------------------------------------------------


def constants(f, g):
    """f - g almost everywhere on every interval of the domain, if a constant there."""
    difference, out = Distribution(f) - Distribution(g), []
    regular = difference.regular
    assert difference.domain == Distribution(f).domain
    for part in difference.domain:
        x = [-4 if part.lower == -portion.inf else part.lower]
        x += [4 if part.upper == portion.inf else part.upper]
        values = regular(x[0] + (x[1] - x[0]) * (np.arange(200) + 0.37) / 200)
        assert np.ptp(values) <= 1e-11 * (1 + abs(values).max())
        out.append(values[0])
    return out


@every
def test_antiderivative_of_the_derivative_is_the_function(f):
    F = antiderivative(f.distributional_derivative())
    assert F.is_function
    constants(f, F.regular)


def test_antiderivatives_of_random_jumps():
    rng = np.random.default_rng(3)
    for seed in range(60):
        gaps = rng.choice(8, rng.integers(0, 4), replace=False)
        f = rough(seed, continuous=seed % 3 == 0, gaps=gaps)
        if Distribution(f).domain.empty:
            continue
        T = f.distributional_derivative()
        F = antiderivative(T)
        offsets = constants(f, F.regular)
        # One constant may do for a whole union, but there is one for every part.
        assert len(offsets) == len(list(Distribution(f).domain))
        close(F.derivative(), T, 1e-11)


def test_antiderivatives_start_as_documented():
    f = Piecewise([0, 1, 2, 3], [[nan], [5], [nan], [0, 2], [nan]])
    F = antiderivative(f).regular
    assert F([0.5, 2.5]).tolist() == [2.5, 2.25]
    assert antiderivative(Piecewise([2], [[1], [3]])).regular([1, 3]).tolist() == [-1, 3]
    assert antiderivative(Piecewise([], [[1, 2]], anchors=[3])).regular(3) == 0
    assert antiderivative(2 * dirac(1)) == 2 * heaviside(t - 1)
    assert antiderivative(dirac(1, 3)) == dirac(1, 2)
    assert antiderivative(3) == 3 * t and antiderivative(relu) == relu**2 / 2
    assert str(antiderivative(dirac() - dirac(1))) == "H(x) − H(x − 1)"


@pytest.mark.parametrize("T", [MIXED, MIXED.derivative(), dirac(1, 2) + relu, H, ONE])
def test_derivative_of_the_antiderivative(T):
    close(T.antiderivative().derivative(), T, 1e-11)
    twice = T.antiderivative().antiderivative()
    close(twice.derivative(2), T, 1e-11)


def test_antiderivative_of_parts_of_very_different_size():
    big = Piecewise([0, 1, 2, 3, 4], [[nan], [1e6 / 3], [nan], [1 / 3], [2 / 3], [nan]])
    derivative = antiderivative(big).derivative()
    assert derivative.is_function
    close(derivative, Distribution(big), 1e-15)


# -- what it is -----------------------------------------------------------------------


def test_order_and_kind():
    kinds = {
        ONE: (0, True, True),
        H: (0, True, True),
        dirac(1): (0, False, True),
        dirac(1, 3): (3, False, False),
        H + dirac(0, 1) - dirac(2, 2): (2, False, False),
        gaussian() * H: (0, True, True),
    } if False else [
        (ONE, (0, True, True)),
        (H, (0, True, True)),
        (dirac(1), (0, False, True)),
        (dirac(1, 3), (3, False, False)),
        (H + dirac(0, 1) - dirac(2, 2), (2, False, False)),
        (gaussian() * H, (0, True, True)),
    ]
    for T, expected in kinds:
        assert (T.order, T.is_function, T.is_measure) == expected
