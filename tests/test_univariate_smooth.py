"""Smooth univariate functions at all scales; affine changes of a function."""

from __future__ import annotations

import pickle
from decimal import Context, Decimal, Overflow, localcontext

import cvxpy as cp
import numpy as np
import portion
import pytest
from univariate_rows import POINTS, SMOOTH, every, every_smooth, inf

from subgrad.univariate.catalog import (
    absolute,
    binary_entropy,
    decreasing_power,
    entropy,
    epsilon_insensitive,
    exponential,
    hinge,
    interval_indicator,
    inverse,
    logistic,
    negative_log,
    negative_sqrt,
    pinball,
    positive_power,
    power,
    pseudo_huber,
    relu,
    square,
)
from subgrad.univariate.catalog import t as identity
from subgrad.univariate.convex import Univariate
from subgrad.univariate.hyperbola import HalfCircle, PseudoHuber
from subgrad.univariate.logarithm import NegativeLog
from subgrad.univariate.powers import DecreasingPower, HalfLinePower, Power
from subgrad.univariate.smooth import Entropy, Square
from subgrad.univariate.transformed import Transformed, transformed


def power_slope(p):
    return lambda t: (-1 if t < 0 else 1) * abs(t) ** (Decimal(p) - 1)


def sigmoid(t):
    return 1 / (1 + (-t).exp())


def softplus(t):
    return max(t, 0) + (1 + (-abs(t)).exp()).ln()


def divergence(t, g):
    """t log(t / σ(g)) + (1 - t) log((1 - t) / (1 - σ(g)))."""
    terms = [(t, softplus(-g)), (1 - t, softplus(g))]
    return sum(x * (x.ln() + other) for x, other in terms if x > 0)


def circle(t, g):
    return (1 + t * t).sqrt() - (1 - g * g).sqrt() - g * t


# Per function: the ends of the domain and the derivative inside.
SLOPES = {
    "negative_log": (negative_log, 0, inf, lambda t: -1 / t),
    "negative_log, dual": (NegativeLog(dual=True), -inf, 0, lambda t: -1 / t),
    "logistic": (logistic, -inf, inf, sigmoid),
    "binary_entropy": (binary_entropy, 0, 1, lambda t: (t / (1 - t)).ln()),
    "pseudo_huber": (pseudo_huber(), -inf, inf, lambda t: t / (1 + t * t).sqrt()),
    "half circle": (HalfCircle(), -1, 1, lambda t: t / (1 - t * t).sqrt()),
    "power 1.25": (power(1.25), -inf, inf, power_slope(1.25)),
    "power 4": (power(4), -inf, inf, power_slope(4)),
    "half line power": (HalfLinePower(3), 0, inf, power_slope(3)),
    "inverse": (inverse, 0, inf, lambda t: -1 / (t * t)),
    "decreasing power": (DecreasingPower(0.5), 0, inf, lambda t: -1 / t.sqrt()),
}
# φ(t) + φ*(g) - g t, without cancellation at 60 digits, and points of the domain.
LINE = [-1e8, -30.0, -1.0, -1e-8, 0.0, 1e-8, 0.5, 30.0, 1e8]
GAPS = {
    "negative_log": (
        negative_log,
        lambda t, g: -g * t - 1 - (-g * t).ln() if g < 0 else Decimal("Infinity"),
        [1e-300, 1e-8, 1.0, 1e8, 1e300],
    ),
    "logistic": (logistic, lambda t, g: divergence(g, t), LINE[1:-1]),
    "binary_entropy": (
        binary_entropy,
        divergence,
        [1e-300, 1e-8, 0.25, 0.5, 1 - 1e-9],
    ),
    "pseudo_huber": (pseudo_huber(), circle, LINE),
    "half circle": (
        HalfCircle(),
        lambda t, g: circle(g, t),
        [-1.0, -0.5, 0.0, 1e-300, 0.75, 1 - 1e-9, 1.0],
    ),
}


@pytest.fixture
def digits():
    with localcontext(Context(prec=60)) as context:
        context.traps[Overflow] = False
        yield


@pytest.mark.parametrize("name", SLOPES)
def test_prox_solves_its_equation_at_all_scales(name, digits):
    """Four bits of the answer off, and the equation has changed its sign."""
    phi, low, high, slope = SLOPES[name]
    scales = [1e-300, 1e-8, 0.3, 1.0, 30.0, 1e8, 1e100]
    for t in [0.0, *scales, *(-t for t in scales)]:
        for step in (1e-100, 1e-8, 1.0, 1e8, 1e100):
            p = phi.prox(t, step)
            width = Decimal(2) ** -48 * abs(Decimal(float(p))) + Decimal(5e-324)
            slack = Decimal(2) ** -48 * abs(Decimal(t))
            for sign in (-1, 1):
                s = Decimal(float(p)) + sign * width
                if (s > low if sign < 0 else s < high) and s:
                    rest = s + Decimal(step) * slope(s) - Decimal(t)
                    assert sign * rest >= -slack, (t, step, p)
            assert low <= p <= high


@pytest.mark.parametrize("name", GAPS)
def test_ends_of_the_eps_subdifferential_at_all_scales(name, digits):
    phi, gap, points = GAPS[name]
    low, high = phi.conjugate().ends
    for eps in (1e-8, 0.01, 1.0, 100.0):
        for t in points:
            s = phi.subdifferential(t, eps)
            assert s.lower <= phi.left_slope(t) or phi.left_slope(t) == inf
            assert s.upper >= phi.right_slope(t) or phi.right_slope(t) == -inf
            for end, out in ((s.upper, 1), (s.lower, -1)):
                if np.isinf(end):
                    assert phi(t) < inf and not np.isfinite(phi._left(np.array(t)))
                    continue
                g, size = Decimal(float(end)), 1 + abs(Decimal(t))
                slack = Decimal(1e-15) * size * (1 + abs(g))
                assert gap(Decimal(t), g) <= Decimal(eps) + slack
                beyond = g + out * Decimal(1e-6) * (abs(g) + Decimal(eps) / size)
                if low < beyond < high:
                    assert gap(Decimal(t), beyond) >= Decimal(eps) - slack


@every_smooth
def test_extreme_arguments(phi):
    """No warnings, no nan; monotone, and in the domain."""
    scales = np.r_[0, 1e-300, 1e-100, 1e-8, 0.3, 1, 30, 1e8]
    t = np.unique(np.r_[-scales, scales])
    closure = [phi.ends[0] <= t, t <= phi.ends[1]]
    s = phi.subdifferential(t)
    assert np.all((s.lower <= s.upper) <= np.logical_and(*closure))
    assert not np.isnan(phi.value(np.r_[-inf, t, inf])).any()
    for eps in (1e-300, 1e-8, 1.0, 1e8):
        wide = phi.subdifferential(t, eps)
        assert not np.isnan([wide.lower, wide.upper]).any()
        inside = np.isfinite(phi.value(t))
        assert np.all(wide.lower[inside] <= wide.upper[inside])
        for end in (wide.lower[inside], wide.upper[inside]):
            a, b = end[:-1], end[1:]
            close = np.isclose(a, b, 1e-12, 0) | (a == b)
            assert np.all(close | (a < b) | (abs(a - b) < 1e-7))
    for step in (1e-100, 1e-8, 1.0, 1e8, 1e100):
        p = phi.prox(t, step)
        assert np.all((phi.ends[0] <= p) & (p <= phi.ends[1]))
        assert np.all(p[1:] - p[:-1] >= -1e-14 * abs(p[1:]))


def test_values_by_name():
    t = np.array([0.25, 1.0, 4.0])
    assert np.array_equal(inverse(t), 1 / t)
    assert np.array_equal(inverse.left_slope(t), -1 / t**2)
    assert inverse.conjugate()(-t).tolist() == (-2 * np.sqrt(t)).tolist()
    assert inverse.ends == (0, inf) and inverse.infimum == 0
    assert inverse([-1, 0]).tolist() == [inf, inf] and inverse(inf) == 0
    assert np.array_equal(negative_log(t), -np.log(t))
    assert negative_log.conjugate()(-t).tolist() == (-1 - np.log(t)).tolist()
    assert negative_log([-1, 0]).tolist() == [inf, inf]
    assert logistic([-1e4, 0, 1e4]).tolist() == [0, np.log(2), 1e4]
    assert logistic(-40) == pytest.approx(np.exp(-40), 1e-15, abs=0)
    assert binary_entropy([-1, 0, 0.5, 1, 2]).tolist() == [inf, 0, -np.log(2), 0, inf]
    assert pseudo_huber()(1e-9) == 0.5e-18 and pseudo_huber()(-1e300) == 1e300
    assert pseudo_huber(2.0)(t) == pytest.approx(4 * (np.hypot(1, t / 2) - 1))
    assert pseudo_huber([1, 2])(2).shape == (2, 1)
    assert HalfCircle()([-2, -1, 0.6]).tolist() == [inf, 1, pytest.approx(0.2)]
    assert positive_power(3)([-2, 3]).tolist() == [0, 9]
    assert HalfLinePower(3)([-2, 3]).tolist() == [inf, 9]
    assert HalfLinePower(3).subdifferential(0).lower == -inf
    assert HalfLinePower(3).subdifferential(0).upper == 0


def test_powers():
    assert power(3).conjugate() == power(1.5) != power(3)
    assert positive_power(3).conjugate() == HalfLinePower(1.5)
    assert power(2).conjugate() == power(2)
    for eps in (0.0, 0.5):
        a, b = (f.subdifferential(POINTS, eps) for f in (power(2), square))
        assert np.allclose(a.lower, b.lower, 1e-11, 1e-11)
        assert np.allclose(a.upper, b.upper, 1e-11, 1e-11)
    assert np.allclose(power(2).prox(POINTS, 0.3), square.prox(POINTS, 0.3), 1e-15)
    t = POINTS[POINTS > 0]
    for half, root in ((DecreasingPower(0.5), negative_sqrt), (inverse, None)):
        other = transformed(root, 2) if root else DecreasingPower(-1)
        assert np.allclose(half(t), other(t), 1e-15)
        assert np.allclose(half.prox(POINTS, 0.3), other.prox(POINTS, 0.3), 1e-13)
        a, b = (f.subdifferential(t, 0.5) for f in (half, other))
        assert np.allclose(a.lower, b.lower, 1e-9)
        assert np.allclose(a.upper, b.upper, 1e-9)
    r = np.array([-2, 0.5])
    assert DecreasingPower(r).infimum == -inf and DecreasingPower(-2).infimum == 0
    # Steep or flat, the derivative keeps its digits.
    p = np.array([500.0, 777.0, 1000.0, 12345.0])
    flat, near_one = power(p).conjugate(), DecreasingPower(-p, dual=True)
    exact = 1e-300 ** (1 / (p - 1)), 1e-300 ** (-1 / (p + 1))
    assert np.allclose(flat.left_slope(1e-300)[:, 0], exact[0], 1e-14, 0)
    assert np.allclose(near_one.left_slope(-1e-300)[:, 0], exact[1], 1e-14, 0)
    # The powers overflow and underflow, the answers do not.
    golden = (np.sqrt(5) - 1) / 2
    assert power(4).prox(1e300, 1e-100) == pytest.approx(10 ** (400 / 3), 1e-12)
    tiny = power(3).prox([0, 1e-200], 1e200)
    assert np.allclose(tiny, [0, golden * 1e-200], 1e-12, 0)
    assert power([3, 4]).prox([0, 1]).tolist() == [
        [0, pytest.approx(golden, 1e-15)],
        [0, pytest.approx(0.6823278038280193, 1e-15)],
    ]


def test_narrow_sets_keep_their_digits():
    s = HalfCircle().subdifferential(1e-8, 1e-18)
    assert s.lower == pytest.approx(1e-8 - np.sqrt(2e-18), 1e-6)
    assert s.upper == pytest.approx(1e-8 + np.sqrt(2e-18), 1e-6)
    s = logistic.subdifferential([-1e8, 1e8], 1.0)
    assert s.upper[0] == pytest.approx(1 - s.lower[1], abs=3e-16)


def test_saturation_is_where_growth_ends():
    for phi, ends in ((logistic, (0, 1)), (pseudo_huber(), (-1, 1))):
        t = np.array([-20.0, -1.0, 0.0, 0.5, 3.0])
        cost = phi.saturation(t)
        s, less = (phi.subdifferential(t, c * cost) for c in (1 + 1e-12, 1 - 1e-3))
        assert np.array_equal(s.lower, 0 * t + ends[0])
        assert np.array_equal(s.upper, 0 * t + ends[1])
        assert np.all((less.lower > ends[0]) | (less.upper < ends[1]))
        doubled = Transformed(phi, 2, -3, 1, d=1)
        assert np.allclose(doubled.saturation(1 - t / 3), 2 * cost)


# -- affine changes -------------------------------------------------------------------

CHANGE = dict(a=2.0, b=-0.5, c=3.0, d=0.25, e=-1.0)


def moved(t):
    return CHANGE["b"] * (t - CHANGE["c"])


@every
def test_transformed_is_the_formula(phi):
    a, b, _, d, e = CHANGE.values()
    psi, t = Transformed(phi, **CHANGE), 4 * POINTS
    assert np.allclose(psi(t), a * phi(moved(t)) + d * t + e, 1e-15)
    assert np.array_equal(psi(t) == inf, phi(moved(t)) == inf)
    inside = psi(t) < inf
    s = psi.subdifferential(t[inside], 0.5)
    old = phi.subdifferential(moved(t[inside]), 0.5 / a)
    assert np.allclose(s.lower, a * b * old.upper + d)
    assert np.allclose(s.upper, a * b * old.lower + d)
    assert psi.polyhedral == phi.polyhedral
    assert psi.conjugate().conjugate() == psi


@every
def test_changes_compose(phi):
    twice = transformed(Transformed(phi, 2, -0.5, 3, 0.25, -1), 0.5, 4, -1, 2, 5)
    t = np.r_[POINTS, 4 * POINTS] / 2
    u = 4 * (t + 1)
    once = 0.5 * Transformed(phi, 2, -0.5, 3, 0.25, -1)(u) + 2 * t + 5
    assert np.allclose(twice(t), once, 1e-14, 1e-14)
    assert not isinstance(getattr(twice, "phi", None), Transformed)
    back = transformed(
        Transformed(phi, 2, -0.5, 3, 0.25, -1), 0.5, -2, 1.5, 0.25, 0.125
    )
    assert np.allclose(back(POINTS), phi(POINTS), 1e-14, 1e-14)
    assert back == phi or isinstance(phi, Transformed)


def test_simplest_form():
    assert transformed(square) is square and transformed(relu) is relu
    assert transformed(transformed(logistic, b=-2), b=-0.5) == logistic
    assert transformed(relu, b=-1, c=1) == hinge
    assert transformed(absolute, 0.5, d=0.25) == pinball(0.75)
    assert transformed(interval_indicator(-1, 2), b=-2) == interval_indicator(-1, 0.5)
    batch = transformed(pinball([0.25, 0.5]), [2, 4], -1)
    assert batch._item((1,)) == transformed(absolute, 2)
    mixed = transformed(relu, b=[1, -1])
    assert mixed.batch == (2,) and mixed([-2, 3]).tolist() == [[0, 3], [2, 0]]
    assert isinstance(transformed(square, np.ones(2)), Transformed)
    assert repr(transformed(Entropy(), 2, d=1)) == (
        "Transformed(Entropy(shift=1.0), a=2.0, d=1.0)"
    )


def test_limits_at_infinity():
    t = np.array([-inf, inf])
    cases = [
        (transformed(exponential, d=-1), [inf, inf]),
        (transformed(exponential, 3, 1, 0, 0, 2), [2, inf]),
        (transformed(logistic, d=-1), [inf, 0]),
        (transformed(logistic, d=-2, e=1), [inf, -inf]),
        (transformed(logistic, b=-1, d=1, e=1), [1, inf]),
        (transformed(negative_log, d=-0.5), [inf, -inf]),
        (transformed(negative_log, d=0.5), [inf, inf]),
        (transformed(inverse, e=1), [inf, 1]),
        (Transformed(absolute, b=2, d=-2, e=3), [inf, 3]),
        (Transformed(logistic, d=[0, -1]), [[0, inf], [inf, 0]]),
    ]
    for psi, limits in cases:
        assert np.allclose(psi(t), limits, 1e-15, 1e-15), psi


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("phi", [epsilon_insensitive(1).conjugate(), HalfCircle()])
def test_rounding_does_not_cross_an_end(phi, dtype):
    rng = np.random.default_rng(0)
    for a, b, c, d in rng.standard_normal((50, 4)):
        psi = Transformed(phi, abs(a), 30 * b, c, d)
        low, high = (dtype(end) for end in psi.ends)
        t = np.array([low, high])
        beyond = np.nextafter(t, dtype([-inf, inf]))
        within = np.nextafter(t, t[::-1])
        assert np.all(psi(t) < inf) and np.all(psi(within) < inf)
        assert np.all(psi(beyond) == inf)
        if phi.polyhedral:
            s = psi.subdifferential(t)
            assert s.lower[0] == -inf and s.upper[1] == inf
            assert psi.prox(dtype([-1e3, 1e3])).tolist() == t.tolist()
        s = psi.subdifferential(within)
        assert np.all(np.isfinite([s.lower, s.upper]))


def test_mixed_signs_in_a_batch():
    b = np.array([2.0, -1.0, 0.5])
    psi = Transformed(
        epsilon_insensitive([0.0, 0.5, 1.0]), [1, 2, 3], b, 1, e=[[1], [2]]
    )
    assert psi.batch == (2, 3) and psi(POINTS).shape == (2, 3, POINTS.size)
    for index in np.ndindex(2, 3):
        one = psi._item(index)
        assert np.array_equal(psi(POINTS)[index], one(POINTS))
        for eps in (0, 0.5):
            all_of, own = (f.subdifferential(POINTS, eps) for f in (psi, one))
            assert np.array_equal(all_of.lower[index], own.lower)
            assert np.array_equal(all_of.upper[index], own.upper)
        assert np.array_equal(psi.prox(POINTS)[index], one.prox(POINTS))
        assert np.array_equal(psi.conjugate()(POINTS)[index], one.conjugate()(POINTS))
    assert pickle.loads(pickle.dumps(psi)) == psi
    wide, t = Transformed(epsilon_insensitive([0.1, 0.2]), 2), np.float32([0.1, 0.2])
    for out in (wide(t), wide.prox(t), wide.subdifferential(t, 0.5).lower):
        assert out.dtype == np.float64
    low, high = Transformed(negative_log, b=[1, -1], c=2).ends
    assert low.tolist() == [2, -inf] and high.tolist() == [inf, 2]


def test_wrong_parameters():
    cases = [
        (Transformed, (square, 0), "a must be positive"),
        (Transformed, (square, 1, 0), "a b must be a finite number beside 0"),
        (Transformed, (square, 1e200, 1e200), "a b must be a finite number beside 0"),
        (Transformed, (square, 1, 1, inf), "c must be finite"),
        (Power, (1,), "p must be above 1"),
        (Power, ([2, 0.5],), "p must be above 1, got 0.5"),
        (DecreasingPower, (1,), "r must be below 1"),
        (DecreasingPower, ([-1, 0],), "r must be below 1 and not 0"),
        (pseudo_huber, (0,), "delta must be positive"),
    ]
    for make, arguments, message in cases:
        with pytest.raises(ValueError, match=message):
            make(*arguments)
    with pytest.raises(TypeError, match="phi must be a convex function on the line"):
        Transformed(abs)
    with pytest.raises(ValueError, match="one function at a time"):
        Transformed(Square([1, 2]), 2).to_cvxpy(cp.Variable())


@pytest.mark.parametrize("name", ["pseudo_huber", "moved entropy", "power 1.5"])
def test_cvxpy_keeps_shapes(name):
    phi = SMOOTH[name]
    for shape in ((), (3,), (2, 3)):
        x = cp.Variable(shape)
        expression = phi.to_cvxpy(x)
        x.value = np.full(shape, 0.25) + 0.25 * np.arange(np.prod(shape)).reshape(shape)
        assert expression.shape == shape
        assert np.allclose(expression.value, phi(x.value), 1e-12)


def test_pseudo_huber_is_a_change_of_itself():
    assert pseudo_huber() == PseudoHuber()
    one = pseudo_huber(3.0)
    assert one == Transformed(PseudoHuber(), 9, 1 / 3)
    assert one.infimum == 0 and one.ends == (-inf, inf) and one(0) == 0
    assert one.left_slope(1e9) == pytest.approx(3, 1e-15)


SPELLINGS = {
    "sum": (exponential + 2, lambda x: np.exp(x) + 2),
    "difference": (exponential - 0.5 * identity - 1, lambda x: np.exp(x) - 0.5 * x - 1),
    "line first": (
        3 * identity - 1 + logistic,
        lambda x: 3 * x - 1 + np.log1p(np.exp(x)),
    ),
    "multiple": (2 * exponential, lambda x: 2 * np.exp(x)),
    "quotient": (exponential / 4, lambda x: np.exp(x) / 4),
    "argument": (exponential(1 - 2 * identity), lambda x: np.exp(1 - 2 * x)),
    "shifted": (logistic(identity - 3), lambda x: np.logaddexp(0, x - 3)),
    "all": (
        3 * logistic(2 * identity - 1) / 2 + identity,
        lambda x: 1.5 * np.log1p(np.exp(2 * x - 1)) + x,
    ),
    "batch": (2 * pinball([0.1, 0.9]) + 1, None),
}


@pytest.mark.parametrize(("phi", "formula"), SPELLINGS.values(), ids=SPELLINGS)
def test_affine_changes_in_operators(phi, formula):
    x = np.linspace(-3, 3, 25)
    if formula is None:
        formula = [2 * pinball(tau)._value(x) + 1 for tau in (0.1, 0.9)]
        assert np.allclose(phi(x), formula, 1e-15)
        return
    assert isinstance(phi, Univariate)
    assert np.allclose(phi(x), formula(x), 1e-13, 1e-13)
    slope = (formula(x + 1e-6) - formula(x - 1e-6)) / 2e-6
    assert np.allclose(phi.left_slope(x), slope, 1e-6, 1e-6)


def test_operators_refuse_what_is_not_convex_or_not_affine():
    for factor in (0, -1, -0.5):
        with pytest.raises(ValueError, match="factor > 0, got"):
            factor * exponential
    with pytest.raises(ZeroDivisionError):
        exponential / 0
    for other in (absolute, identity**2, "1", None):
        with pytest.raises(TypeError):
            exponential + other
        with pytest.raises(TypeError):
            other * exponential
    with pytest.raises(TypeError, match="got Exponential"):
        exponential(abs(identity))


DOMAINS = {
    "line": (exponential, portion.open(-portion.inf, portion.inf)),
    "closed": (entropy, portion.closedopen(0, portion.inf)),
    "open": (negative_log, portion.open(0, portion.inf)),
    "bounded": (binary_entropy, portion.closed(0, 1)),
    "mirrored": (negative_log(1 - identity), portion.open(-portion.inf, 1)),
}


@pytest.mark.parametrize(("phi", "expected"), DOMAINS.values(), ids=DOMAINS)
def test_domain_is_a_set_of_points(phi, expected):
    assert phi.domain == expected
    ends = [float(str(e).replace("+", "")) for e in (expected.lower, expected.upper)]
    assert phi.ends == tuple(ends)


def test_constructors_by_name():
    x = np.array([0.25, 1.0, 4.0])
    assert np.allclose(decreasing_power(0.5)(x), -2 * np.sqrt(x), 1e-15)
    assert np.allclose(decreasing_power(-1)(x), 1 / x, 1e-15)
    assert np.allclose(power(3)(-x), x**3 / 3) and np.all(positive_power(3)(-x) == 0)
    for r in (0, 1, 2):
        with pytest.raises(ValueError, match="r must be below 1 and not 0"):
            decreasing_power(r)


def test_domain_of_a_batch_is_refused():
    with pytest.raises(ValueError, match=r"batch of shape \(2,\); ends"):
        _ = Power([2, 3]).domain
