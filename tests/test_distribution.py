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
    "linear": -2 * t,
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


def inside(f):
    """Test functions with a support in the closure of the domain, for every part."""
    for part in Distribution(f).domain:
        lower, upper = part.lower, part.upper
        if lower == -portion.inf and upper == portion.inf:
            yield from PHIS[::3]
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
        for order in range(1, 5):
            given = f.distributional_derivative(order).pair(phi)
            expected, size = integral(f, phi.derivative(order))
            assert abs(given - (-1) ** order * expected) <= 1e-11 * size


@pytest.mark.parametrize("T", [MIXED, SMOOTH, MIXED.derivative(2)])
def test_derivatives_move_to_the_test_function(T):
    for phi in PHIS:
        for order in (1, 3):
            given, error = T.derivative(order).pair(phi, return_error=True)
            other, more = T.pair(phi.derivative(order), return_error=True)
            size = 1e-11 * (1 + abs(other))
            assert abs(given - (-1) ** order * other) <= error + more + size
    assert T.derivative(0) == T
    assert T.derivative(3) == T.derivative().derivative().derivative()


@every
def test_terms_are_the_jumps(f):
    T, expected = f.distributional_derivative(), {}
    c, anchors = f.coefficients, f.anchors
    for k, a in enumerate(f.breakpoints.tolist()):
        left, right = (Polynomial(c[i])(a - anchors[i]) for i in (k, k + 1))
        if np.isfinite(left) and np.isfinite(right) and abs(right - left) > 1e-9:
            expected[a, 0] = right - left
    assert T.terms == pytest.approx(expected, rel=1e-11)
    x = np.setdiff1d(np.linspace(-3, 3, 61), f.breakpoints)
    assert np.array_equal(T.regular(x), f.derivative()(x), equal_nan=True)


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
    assert 2 * S == S + S and S * 0 == Distribution(0) and -1 * -S == S
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
        for psi in PHIS[k % 2 :: 2]:
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
    cube = t**3 - t
    T = MIXED + dirac(0, 3)
    rule = (3 * t**2 - 1) * T + cube * T.derivative()
    close((cube * T).derivative(), rule, 1e-11)


@pytest.mark.parametrize("c", [-1, -0.25, 3.7])
@pytest.mark.parametrize("b", [0, -1.3])
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


def test_changes_of_the_argument_by_name():
    assert dirac(1)(2 * t - 3) == 0.5 * dirac(2)
    assert dirac(0, 1)(-t) == -dirac(0, 1) and dirac(0, 2)(-t) == dirac(0, 2)
    assert H(-2 * t + 3) == Distribution(1 - heaviside(t - 1.5))
    assert (dirac() + dirac(1e-20))(t + 1) == 2 * dirac(-1)
    close(MIXED(5 - 2 * t)((5 - t) / 2), MIXED)
    assert MIXED(t) == MIXED and MIXED(1.0 * t) == MIXED
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
    assert antiderivative(Piecewise([2], [[1], [3]])).regular([1, 3]).tolist() == [
        -1,
        3,
    ]
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
    kinds = [
        (ONE, (0, True, True)),
        (H, (0, True, True)),
        (dirac(1), (0, False, True)),
        (dirac(1, 3), (3, False, False)),
        (H + dirac(0, 1) - dirac(2, 2), (2, False, False)),
        (gaussian() * H, (0, True, True)),
    ]
    for T, expected in kinds:
        assert (T.order, T.is_function, T.is_measure) == expected


def test_nonnegative():
    inside = sg.where(portion.closed(0, 1), t, inf)
    outside = t**2 - 1 + 0 * sg.indicator(abs(t) >= 1)
    for f in (heaviside, t**2, (t - 1) ** 2 * absolute, inside, outside, 0 * t):
        T = Distribution(f)
        assert T.is_nonnegative and (T + dirac(0.5)).is_nonnegative
        assert not (T - dirac(3)).is_nonnegative or not T._covers(3)
        assert not (T + dirac(0.5, 1)).is_nonnegative or not T._covers(0.5)
    for f in (-heaviside, t**2 - 1e-9, t, inside - 1e-9, t**3, heaviside - 2):
        assert not Distribution(f).is_nonnegative


@pytest.mark.parametrize("name", CATALOG)
def test_convex_means_that_the_second_derivative_is_nonnegative(name):
    f = CATALOG[name]
    convex = {"relu", "leaky_relu", "absolute", "hinge", "pinball", "huber", "square"}
    convex |= {"epsilon_insensitive", "linear", "interval", "parabola and line"}
    # On every part of the domain, and almost everywhere.
    convex |= {"indicator", "isolated value"}
    second = f.distributional_derivative(2)
    assert second.is_nonnegative == (name in convex)
    assert not (f - 2 * t**2).distributional_derivative(2).is_nonnegative


def test_support_and_domain():
    closed, opened = portion.closed, portion.open
    oo = portion.inf
    line = opened(-oo, oo)
    cases = [
        (H, portion.closedopen(0, oo)),
        (ONE, line),
        (0 * ONE, portion.empty()),
        (dirac(2), closed(2, 2)),
        (
            dirac(2, 1) + Distribution(ramp - 1),
            portion.openclosed(-oo, 1) | closed(2, 2),
        ),
        (relu.distributional_derivative(2), closed(0, 0)),
        (ramp.distributional_derivative(), closed(0, 1)),
        (gaussian() * H, portion.closedopen(0, oo)),
        (bump() * H, closed(0, 1)),
        (bump(-2, 2) * H, portion.empty()),
        (bump(-2, 2) * (H + dirac(-1)), closed(-1, -1)),
        (bump() * H + Distribution(bump(5)), closed(0, 1) | closed(4, 6)),
        (Distribution(bump(3) - bump(3)), portion.empty()),
    ]
    for T, expected in cases:
        assert T.support == expected and T.domain == line
    f = sg.where(opened(0, 1) | closed(1, 2) | closed(3, 3) | opened(4, 5), 1, inf)
    T = Distribution(f) * ramp
    # A missing point is none, as it has measure 0, and neither is a single one.
    assert T.domain == opened(0, 2) | opened(4, 5) == T.support
    assert heaviside(t - 0.5) * T == T * heaviside(t - 0.5)
    assert (T * heaviside(t - 0.5)).support == portion.closedopen(0.5, 2) | opened(4, 5)
    empty = Distribution(sg.indicator(closed(3, 3)))
    assert empty.domain.empty and empty.is_zero and str(empty) == "0 on ()"
    assert (empty + dirac(3)).terms == {} and empty.derivative() == empty
    assert (Distribution(f) + dirac(2)).terms == {}
    assert (Distribution(f) + dirac(1)).terms == {(1, 0): 1}


def test_the_regular_part_has_values_where_it_has_limits():
    assert np.isnan(H.regular(0)) and H.regular([-1, 1]).tolist() == [0, 1]
    removable = Distribution(CATALOG["isolated value"])
    assert removable.regular == 0 * t + 1 and removable == ONE
    assert Distribution(ROUGH["jumps"] * 0) == 0 * ONE
    assert MIXED.regular.values.size == 7 and np.isnan(MIXED.regular.values).all()
    MIXED.terms.clear()
    assert len(MIXED.terms) == 3


def test_equality():
    assert H == Distribution(heaviside) == heaviside and heaviside == H
    assert H == Piecewise([0], [[0], [1]], values=[17])
    assert H != 2 * H and H != dirac() and H != relu and H != "H"
    assert Distribution(sg.indicator(portion.closed(0, 1))) != 0 * ONE
    assert dirac(-0.0) == dirac(0.0) and dirac(0, 1) != dirac()
    assert relu.distributional_derivative() == heaviside
    assert absolute.distributional_derivative() == sign
    assert Distribution(gaussian()) == gaussian() and gaussian() != ONE
    assert np.float64(1) != ONE
    with pytest.raises(TypeError, match="unhashable"):
        hash(H)


def test_is_zero():
    assert (MIXED - MIXED).is_zero and (SMOOTH - SMOOTH).is_zero
    assert not MIXED.is_zero and not dirac(0, 4).is_zero and not SMOOTH.is_zero
    assert not Distribution(bump()).is_zero and Distribution(0 * bump()).is_zero


@pytest.mark.parametrize("T", [ONE, H, MIXED, SMOOTH, Distribution(ROUGH["union"])])
def test_pickle(T):
    again = pickle.loads(pickle.dumps(T))
    assert again == T and str(again) == str(T) and again.terms == T.terms
    assert again.pair(bump(-1, 0.1)) == T.pair(bump(-1, 0.1))


# -- text -----------------------------------------------------------------------------


def test_text():
    two = portion.open(0, 1) | portion.open(2, 3)
    cases = {
        "H(x)": H,
        "0": 0 * H,
        "1": ONE,
        "−1 + 2·H(x)": Distribution(sign),
        "2·δ(x)": 2 * dirac(),
        "δ(x) − 3·δ'(x − 1)": dirac() - 3 * dirac(1, 1),
        "−δ''(x + 0.5)": -dirac(-0.5, 2),
        "δ'''(x) + 1e-05·δ^(4)(x)": dirac(0, 3) + 1e-5 * dirac(0, 4),
        "x·H(x)": Distribution(relu),
        "x·H(x) − (x − 1)·H(x − 1)": Distribution(ramp),
        "−x + 2·x·H(x)": Distribution(absolute),
        "−2·x − 1 + (x + 1)²·H(x + 1) − (x − 1)²·H(x − 1)": Distribution(sg.huber()),
        "x¹² − 0.1·x + 3": Distribution(t**12 - 0.1 * t + 3),
        "1 − H(x − 1.5)": H(-2 * t + 3),
        # The pieces meet up to rounding, which makes no step.
        "0.1·x + 0.24999999999999997·(x − 0.4)·H(x − 0.4)": Distribution(
            Piecewise([0.4], [[0, 0.1], [-0.1, 0.35]])
        ),
        "1 + 4·H(x − 2) on (0.0,1.0) | (2.0,3.0)": Distribution(
            sg.where(two, 1 + 4 * heaviside(t - 1.5), inf)
        ),
        "δ(x + 1) + δ(x) + δ(x − 1) + δ(x − 2) on (-2.0,3.0)": CATALOG[
            "steps"
        ].distributional_derivative(),
        "gaussian(0.0, 1.0) + δ(x)": gaussian() + dirac(),
        "H(x)·gaussian(0.0, 1.0).derivative(1) + δ(x)": (gaussian() * H).derivative(),
        "(1 − 2·H(x))·bump(0.0, 2.0)": -bump(0, 2) * Distribution(sign),
        "x − 3·x·bump(0.0, 1.0)": t + -3 * t * Distribution(bump()),
    }
    for text, T in cases.items():
        assert str(T) == text and repr(T) == f"<Distribution {text}>"


DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹−·", "0123456789-*")


def read(text):
    """The function of x that the text of one is."""
    text = re.sub("([⁰¹²³⁴⁵⁶⁷⁸⁹]+)", r"**\1", text.split(" on ")[0]).translate(DIGITS)
    names = {"H": lambda y: np.where(y > 0, 1.0, 0.0)}
    return lambda x: eval(text, names | {"x": x}) + 0 * x


@every
def test_the_text_reads_back(f):
    T = Distribution(f)
    x = np.setdiff1d(np.linspace(-4, 4, 500), f.breakpoints)
    value = T.regular(x)
    known = np.isfinite(value)
    assert known.any()
    given = read(str(T))(x)[known]
    assert np.allclose(given, value[known], rtol=1e-9, atol=1e-9)
    assert (" on " in str(T)) == (not known.all())


# -- pairing --------------------------------------------------------------------------


def hat(a, r):
    """max(1 - |t - a| / r, 0)."""
    return sg.maximum(1 - abs(t - a) / r, 0)


def spline(a):
    """The cubic B-spline around a, with two continuous derivatives."""
    sixth, half, edge = [0, 0, 0, 1 / 6], [2 / 3, 0, -1, 0.5], [0, 0, 0, -1 / 6]
    rows = [[0], sixth, [*half[:3], -0.5], half, edge, [0]]
    anchors = [a, a - 2, a, a, a + 2, a]
    return Piecewise(a + np.arange(-2.0, 3), rows, anchors=anchors)


def test_piecewise_test_functions_are_exact():
    assert H.pair(hat(0, 1)) == 0.5 and ONE.pair(hat(3, 0.5)) == 0.5
    assert (
        Distribution(t).pair(hat(3, 0.5)) == 1.5
        and dirac(2.75).pair(hat(3, 0.5)) == 0.5
    )
    assert Distribution(t**2).pair(hat(0, 1)) == pytest.approx(1 / 6, 1e-15)
    phi = spline(0.5)
    assert phi([0.5, 1.5, 2.5, -3]).tolist() == pytest.approx([2 / 3, 1 / 6, 0, 0])
    assert ONE.pair(phi) == pytest.approx(1, 1e-14)
    assert dirac(0.75, 2).pair(phi) == pytest.approx(-2 + 3 * 0.25, 1e-13)
    for f in (heaviside, rough(1), relu - t**2):
        for order in (1, 2):
            given = f.distributional_derivative(order).pair(phi)
            moved = phi.distributional_derivative(order).regular
            expected = Distribution(f).pair(moved)
            assert given == pytest.approx((-1) ** order * expected, abs=1e-12)
        # Between all breakpoints Gauss's rule is exact too.
        cuts = np.union1d(f.breakpoints, phi.breakpoints)
        x = cuts[:-1, None] + np.diff(cuts)[:, None] / 2 * (1 + NODES)
        value = np.sum(f(x) * phi(x) * np.diff(cuts)[:, None] / 2 * WEIGHTS)
        assert Distribution(f).pair(phi) == pytest.approx(value, abs=1e-12)
    assert Distribution(f).pair(0 * t) == 0 and (0 * ONE).pair(t) == 0
    # Of measures and functions, jumps of the test function where they do not count.
    assert (H + dirac(0.5)).pair(ramp - ramp(t - 1)) == 1.5
    assert H.pair(heaviside - heaviside(t - 2)) == 2
    value, error = H.pair(hat(2.0**20, 2.0**-10), return_error=True)
    assert value == 2.0**-10 and 0 < error < 1e-8


def test_piecewise_test_functions_inside_a_domain():
    T = Distribution(sg.where(portion.closed(0, 1) | portion.closed(3, 4), t, inf))
    assert T.pair(hat(0.5, 0.5)) == 0.25 and T.pair(hat(3.5, 0.25)) == 0.875
    assert T.pair(hat(0.5, 0.5) + hat(3.5, 0.5)) == 0.25 + 1.75
    with pytest.raises(ValueError, match="0 outside the domain"):
        T.pair(hat(0.5, 0.6))
    with pytest.raises(ValueError, match="phi must be finite"):
        ONE.pair(1 / sg.indicator(portion.closed(0, 1)))


def test_smooth_factors_and_piecewise_test_functions():
    T = gaussian() * (H + dirac(0.5))
    phi = hat(0.5, 1)
    expected, _ = integral(heaviside * phi, gaussian())
    value, error = T.pair(phi, return_error=True)
    assert abs(value - expected - math.exp(-1 / 8)) <= error + 1e-15
    assert (gaussian() * ONE).pair(absolute) == pytest.approx(2, 1e-14)
    inside = gaussian() * Distribution(sg.interval_indicator(0, 1) + 1)
    assert inside.pair(hat(0.5, 0.5)) == pytest.approx(
        (gaussian() * ONE).pair(hat(0.5, 0.5)), 1e-14
    )
    with pytest.raises(ValueError, match="0 outside the domain"):
        inside.pair(hat(0.5, 0.6))


def test_functions_of_a_number():
    assert dirac(1).pair(math.exp) == math.e
    assert (H + 2 * dirac(3)).pair(lambda x: math.exp(-x)) == pytest.approx(
        1 + 2 * math.exp(-3), 1e-13
    )
    assert ONE.pair(lambda x: 1 / (1 + x * x)) == pytest.approx(math.pi, 1e-12)
    assert Distribution(ramp - ramp(t - 2)).pair(math.cos) == pytest.approx(
        -math.cos(0) + math.cos(1) + math.cos(2) - math.cos(3), 1e-12
    )
    T = gaussian() * (1 + dirac(1))
    assert T.pair(abs) == pytest.approx(2 + math.exp(-0.5), 1e-13)
    assert dirac(0.5).pair(sg.exponential) == pytest.approx(math.exp(0.5), 1e-15)


MASS = math.exp(0.5) * (kv(1, 0.5) - kv(0, 0.5))  # ∫ bump() dx
CLOSED = {
    "bump": (ONE, bump(0.3, 2), 2 * MASS),
    "half a bump": (H, bump(), MASS / 2),
    "far and narrow": (ONE, bump(1e6, 1e-6), 1e-6 * MASS),
    "half, far and narrow": (H(t - 1e6), bump(1e6, 1e-6), 0.5e-6 * MASS),
    "gaussian, far": (H(t - 1e6), gaussian(1e6, 1e-6), 1e-6 * math.sqrt(math.pi / 2)),
    "line, far": (Distribution(t), gaussian(1e6, 1e-6), math.sqrt(2 * math.pi)),
    "tiny": (1e-200 * H, gaussian(0, 1e-50), 1e-250 * math.sqrt(math.pi / 2)),
    "huge": (1e200 * H, gaussian(0, 1e50), 1e250 * math.sqrt(math.pi / 2)),
    "tail": (H(t - 8), gaussian(), math.sqrt(math.pi / 2) * erfc(8 / math.sqrt(2))),
    "steps": (
        H(t - 1),
        gaussian(0.5, 2),
        math.sqrt(2 * math.pi) * erfc(0.125**0.5 / 2),
    ),
    "odd": (Distribution(t**3), gaussian(), 0.0),
    "moment": (Distribution(t**6), gaussian(), 15 * math.sqrt(2 * math.pi)),
    "canceling": (Distribution(t**2 - 1), gaussian(), 0.0),
    "derivative": (H, gaussian().derivative(3), 1.0),
    "fourth derivative": (Distribution(relu), bump().derivative(4), -2.0),
    "line": (Distribution(relu), gaussian(), 1.0),
    "product": (gaussian() * H, gaussian(), math.sqrt(math.pi) / 2),
    "plain": (H, lambda x: math.exp(-x), 1.0),
    "plain, a kink": (H - H(t - 1), lambda x: abs(x - 0.3), 0.29),
    "plain, a factor": (gaussian() * H, lambda x: x, 1.0),
}


@pytest.mark.parametrize("case", CLOSED.values(), ids=CLOSED)
def test_the_error_is_below_its_estimate(case):
    T, phi, expected = case
    value, error = T.pair(phi, return_error=True)
    assert abs(value - expected) <= error + 1e-14 * abs(expected)
    assert value == T.pair(phi) and 0 <= error < 1e-9 * max(abs(expected), 1)
    if expected:
        assert value == pytest.approx(expected, rel=1e-11)


def test_narrow_test_functions_see_terms_and_breakpoints():
    a = 1e6 + 1 / 3
    for phi in (bump(a, 1e-6), gaussian(a, 1e-6), bump(a, 1e-6) * gaussian(a, 1e-6)):
        for k in range(4):
            expected = (-1) ** k * phi.derivative(k)(a)
            assert dirac(a, k).pair(phi) == expected
            assert (t + dirac(a - 1, k)).pair(phi) == pytest.approx(a * ONE.pair(phi))
        jump = Distribution(rough(1)(t - a)).derivative()
        assert jump.pair(phi) == pytest.approx(
            -Distribution(rough(1)(t - a)).pair(phi.derivative()), rel=1e-6
        )


def test_numbers_coarser_than_the_test_function():
    value, error = ONE.pair(bump(1e15, 4), return_error=True)
    assert 1e-9 < abs(value - 4 * MASS) <= error < 1e-3
    assert ONE.pair(bump(2.0**40, 2.0**-7)) == pytest.approx(2.0**-7 * MASS, rel=1e-7)


def test_many_breakpoints():
    rng = np.random.default_rng(5)
    at, weights = np.linspace(0, 1, 3001), rng.normal(size=3001)
    f = Piecewise(at, np.r_[0, np.cumsum(weights)][:, None])
    T, phi = f.distributional_derivative(), gaussian(0.4, 0.2)
    assert len(T.terms) == 3001
    expected = weights @ phi(at)
    assert T.pair(phi) == pytest.approx(expected, abs=1e-11)
    value, error = Distribution(f).pair(phi.derivative(), return_error=True)
    assert abs(value + expected) <= error + 1e-11
    close(T.antiderivative(), Distribution(f), 1e-10)


# -- smooth factors -------------------------------------------------------------------


def test_smooth_factors():
    g, b = gaussian(), bump(1, 2)
    assert (g * H).derivative() == g.derivative() * H + dirac()
    assert (g * H).derivative(2) == g.derivative(2) * H + dirac(0, 1)
    assert H * g == g * H and (2 * g) * H == g * (2 * H) == 2 * (g * H)
    assert (g + b) * H == g * H + b * H and (g - g) * H == 0 * ONE
    assert (g * b) * H == b * (g * H) and (g + b) * (b * H) == g * b * H + b * b * H
    assert Distribution(g) == g * ONE and g + H == H + g == H - (-g)
    assert Distribution(g).derivative(2) == g.derivative(2)
    assert Distribution(g) * relu == g * Distribution(relu)
    assert (g * H).regular == 0 * t and (g * H + relu).regular == relu
    assert Distribution(g).pair(b) == Distribution(b).pair(g) == ONE.pair(g * b)


def test_smooth_factors_live_on_the_domain():
    inside = Distribution(sg.interval_indicator(-1, 1))
    T = gaussian() * H(t - 5) + inside
    assert T == inside and T.is_zero and str(T) == "0 on (-1.0,1.0)"
    T = gaussian() * H + inside
    assert T.domain == portion.open(-1, 1) and T.support == portion.closedopen(0, 1)
    assert T.pair(bump(0.5, 0.5)) == ONE.pair(gaussian() * bump(0.5, 0.5))
    with pytest.raises(ValueError, match="support of phi must be in the closure"):
        T.pair(bump(0, 2))


# -- the border -----------------------------------------------------------------------

PART = Distribution(sg.interval_indicator(-1, 1) + 1)
ERRORS = [
    (lambda: Distribution("f"), TypeError, "f must be a piecewise .* got str"),
    (lambda: Distribution(dirac()), TypeError, "f must be .* got Distribution"),
    (lambda: Distribution(nan), ValueError, "f must not contain nan"),
    (lambda: Distribution(inf), ValueError, "f must be finite"),
    (
        lambda: Distribution(sg.pinball([0.1, 0.2])),
        ValueError,
        "one function at a time",
    ),
    (lambda: dirac("a"), TypeError, "a must be an array of real numbers"),
    (lambda: dirac([1, 2]), ValueError, "a must be a number"),
    (lambda: dirac(inf), ValueError, "a must be finite"),
    (lambda: dirac(0, -1), ValueError, "k must be an integer >= 0, got -1"),
    (lambda: dirac(0, 1.0), ValueError, "k must be an integer >= 0, got 1.0"),
    (lambda: H.derivative(-1), ValueError, "order must be an integer >= 0, got -1"),
    (lambda: H.derivative(0.5), ValueError, "order must be an integer >= 0"),
    (lambda: H * nan, ValueError, "factor must not contain nan"),
    (lambda: H * inf, ValueError, "factor must be finite"),
    (lambda: H / nan, ValueError, "divisor must not contain nan"),
    (lambda: H / 0, ZeroDivisionError, "division by zero"),
    (lambda: H / H, TypeError, "unsupported operand"),
    (lambda: H * H, TypeError, "unsupported operand"),
    (lambda: H + "a", TypeError, "unsupported operand"),
    (lambda: "a" - H, TypeError, "unsupported operand"),
    (lambda: np.ones(2) * H, TypeError, "unsupported operand"),
    (lambda: H(3), TypeError, "argument of a distribution must be c . t . b"),
    (lambda: H(t**2), TypeError, "argument of a distribution must be"),
    (lambda: H(0 * t + 1), TypeError, "argument of a distribution must be"),
    (lambda: H(absolute), TypeError, "argument of a distribution must be"),
    (lambda: (bump() * H)(2 * t), NotImplementedError, "change of the argument for"),
    (lambda: antiderivative(bump() * H), NotImplementedError, "antiderivative for a"),
    (lambda: (bump() * H).is_nonnegative, NotImplementedError, "is_nonnegative for a"),
    (lambda: antiderivative("f"), TypeError, "f must be a piecewise polynomial"),
    (lambda: agreement(3), TypeError, "f must be a piecewise polynomial, got int"),
    (lambda: agreement(H), TypeError, "f must be .* got Distribution"),
    (lambda: H.pair(3), TypeError, "phi must be a test function, .* got int"),
    (lambda: H.pair(dirac()), TypeError, "phi must be .* got Distribution"),
    (lambda: dirac(0, 1).pair(abs), TypeError, "phi must have derivatives"),
    (lambda: dirac().pair(heaviside), ValueError, "phi must be continuous at 0.0"),
    (
        lambda: dirac(0, 1).pair(relu),
        ValueError,
        "phi must have 1 .* derivative 1 jumps",
    ),
    (lambda: ONE.pair(t), ValueError, "diverges, as phi is not 0 far out"),
    (lambda: ONE.pair(lambda x: 1.0), ValueError, "over \\(-inf, inf\\) diverges"),
    (lambda: H.pair(lambda x: 1 / (1 + x)), ValueError, "diverges or converges too"),
    (lambda: (H - H(t - 1)).pair(lambda x: 1 / x), ValueError, "over .* diverges"),
    (lambda: dirac().pair(lambda x: nan), ValueError, "phi must be finite at 0.0"),
    (lambda: PART.pair(gaussian()), ValueError, "it meets \\(-inf, -40"),
    (lambda: PART.pair(bump(0.5, 0.75)), ValueError, "it meets \\(1.0, "),
    (lambda: PART.pair(math.cos), ValueError, "it meets \\(-inf, -1.0\\)"),
]


BIG, FAR = 1e308 * dirac(), Distribution(1e300 * t)
ERRORS += [
    (lambda: 10 * BIG, FloatingPointError, "overflow in the weight"),
    (lambda: (BIG + BIG(t - 1)).antiderivative(), FloatingPointError, "overflow"),
    (lambda: Distribution(1e308 * t**2).derivative(), FloatingPointError, "overflow"),
    (lambda: dirac(1e300)(1e-300 * t), FloatingPointError, "overflow in the place"),
    (lambda: dirac(0, 5)(1e-200 * t), FloatingPointError, "divide by zero"),
    (lambda: FAR.pair(gaussian(0, 1e20)), OverflowError, "the integral overflows"),
    (lambda: dirac(0, 200).pair(gaussian()), OverflowError, "overflows at t = 0.0"),
]


@pytest.mark.parametrize("call, error, message", ERRORS)
def test_errors_say_what_is_wrong(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_the_border_lets_pass_what_it_should():
    assert H.pair(heaviside(-t)) == 0 and dirac(1).pair(heaviside) == 1
    assert PART.pair(bump()) == ONE.pair(bump())
    assert dirac(True) == dirac(1) and dirac(np.int64(2), np.int64(1)) == dirac(2, 1)
    assert H.derivative(np.int64(1)) == dirac()
