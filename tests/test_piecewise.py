"""Piecewise polynomials against their definitions."""

from __future__ import annotations

import pickle
from functools import reduce
from itertools import product
from operator import mul

import numpy as np
import portion as P
import pytest
from laws import close
from piecewise_rows import (
    CATALOG,
    PIECEWISE,
    every,
    inf,
    nan,
    probes,
    random_piecewise,
)
from scipy.interpolate import CubicSpline, PPoly

from subgrad import Interval, maximum, minimum, t, where
from subgrad.univariate.catalog import (
    absolute,
    clip,
    exponential,
    heaviside,
    huber,
    indicator,
    pinball,
    relu,
    sign,
    steps,
)
from subgrad.univariate.linear import PiecewiseLinear
from subgrad.univariate.piecewise import Piecewise

ROWS = list(PIECEWISE.values())
# Every row with some others; all pairs take longer.
SOME = [(f, g) for i, f in enumerate(ROWS) for g in (ROWS * 2)[i : i + 48 : 7]]


def by_hand(f: Piecewise, x: float) -> float:
    """One value, by the definition; limits at ±inf."""
    for point, value in zip(f.breakpoints, f.values, strict=True):
        if x == point:
            return value
    k = sum(point < x for point in f.breakpoints)
    c, h = f.coefficients[k], x - f.anchors[k]
    if np.isfinite(h):
        return sum(float(a) * h**j for j, a in enumerate(c))
    top = max((j for j, a in enumerate(c) if a), default=0)
    return c[top] * h**top if top else c[0]


def same(a, b, size=1.0):
    """Equal up to rounding of terms of a size, with inf and nan in the same places."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    ok = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore"):
        return ok | (abs(a - b) <= 1e-12 * (size + abs(b)))


def holds(ok, *what):
    assert np.all(ok), (what, np.flatnonzero(~np.asarray(ok)))


def pieces_at(f, x):
    """Whether x is inside a constant piece; False at breakpoints."""
    c = f.coefficients[np.searchsorted(f.breakpoints, x)]
    return ~np.any(c[:, 1:], -1)


def member(p: P.Interval, x):
    out = np.zeros(x.shape, bool)
    for a in p:
        above = x >= a.lower if a.left is P.CLOSED else x > a.lower
        below = x <= a.upper if a.right is P.CLOSED else x < a.upper
        if not a.empty:
            out |= np.array(above, bool) & np.array(below, bool)
    return out


# -- values ---------------------------------------------------------------------------


@every
def test_values_are_those_of_a_loop(f):
    x = np.r_[probes(f), -inf, inf, -1e6, 1e6]
    expected = [by_hand(f, one) for one in x]
    holds(same(f(x), expected, 1e-300), f, x)
    assert np.array_equal(f(x[:-4].reshape(1, -1, 1)).ravel(), f(x[:-4]), True)
    one = f(0.25)
    assert np.ndim(one) == 0 and np.array_equal(one, f([0.25])[0], True)
    short = f(x.astype(np.float32))
    assert short.dtype == np.float32 and f(np.zeros((0, 3))).shape == (0, 3)
    exact = np.r_[np.arange(-16, 17) / 4, inf, -inf]
    assert np.array_equal(
        f(exact.astype(np.float32)), f(exact).astype(np.float32), True
    )


def test_values_of_the_catalog():
    expected = {
        "relu": lambda x: max(x, 0),
        "leaky_relu": lambda x: max(x, x / 8),
        "leaky_relu concave": lambda x: min(x, 2 * x),
        "relu6": lambda x: min(max(x, 0), 6),
        "hard_tanh": lambda x: min(max(x, -1), 1),
        "hard_sigmoid": lambda x: min(max(x / 6 + 0.5, 0), 1),
        "absolute": abs,
        "sign": np.sign,
        "heaviside": lambda x: np.heaviside(x, 0.5),
        "ramp": lambda x: min(max(x, 0), 1),
        "clip": lambda x: min(max(x, -1), 2),
        "clip to a point": lambda x: 1,
        "hinge": lambda x: max(1 - x, 0),
        "pinball": lambda x: max(0.75 * x, -0.25 * x),
        "epsilon_insensitive": lambda x: max(abs(x) - 0.5, 0),
        "huber": lambda x: x * x if abs(x) <= 0.5 else abs(x) - 0.25,
        "huber 0": lambda x: 0,
        "dead_zone": lambda x: x - min(max(x, -0.5), 0.5),
        "dead_zone 0": lambda x: x,
        "interval_indicator": lambda x: 0 if -1 <= x <= 2 else inf,
        "half line": lambda x: 0 if x >= 0 else inf,
        "union indicator": lambda x: 0 if -2 <= x < -1 or x == 0 or 1 < x < 3 else inf,
        "square": lambda x: x * x,
        "steps": lambda x: np.floor(x) if -2 <= x < 3 else nan,
        "linear": lambda x: -x / 2,
    }
    assert expected.keys() == CATALOG.keys()
    for name, f in CATALOG.items():
        x = np.r_[probes(f), np.arange(-28, 29) / 4]
        holds(same(f(x), [expected[name](one) for one in x], 1e-3), name)


def test_values_from_the_constructor():
    f = Piecewise(
        [-1, 0, 0, 2], [[inf], [1, 2], [7], [0, 0, 3], [nan]], anchors=5 * [1]
    )
    # The limit from the right, where f is finite there, else that from the left.
    assert np.array_equal(f([-2, -1, -0.5, 0, 1, 2, 3]), [inf, -3, -2, 3, 0, 3, nan], 1)
    assert f.breakpoints.tolist() == [-1, 0, 2] and f.degree == 2
    g = Piecewise([0, 1], [[1], [2], [3]], values=[-inf, nan])
    assert np.array_equal(g([-1, 0, 0.5, 1, 2]), [1, -inf, 2, nan, 3], True)
    assert Piecewise([], [[]]) == 0 * t and Piecewise([], [[3]])(1) == 3
    same_nan = Piecewise([0, 0], [[0], [1], [2]], values=[nan, nan])
    assert np.array_equal(same_nan([-1, 0, 1]), [0, nan, 2], True)
    assert Piecewise([True], np.eye(2, dtype=int))([0, 2]).tolist() == [1, 2]


def test_float32_meets_breakpoints_in_its_own_type():
    x = np.float32([0.1, 0.1])
    x[1] = np.nextafter(x[0], np.float32(1))
    for points in (P.closed(0, 0.1), P.closedopen(0, 0.1)):
        many = (
            points | P.closed(1, 2) | P.closed(3, 4) | P.closed(5, 6) | P.closed(7, 8)
        )
        for p in (points, many):
            expected = [
                0.0 if points.right is P.CLOSED or p[0].right is P.CLOSED else inf
            ]
            assert indicator(p)(x).tolist() == [*expected, inf]
    assert Piecewise([1e300], [[0], [1]])(np.float32(3e38)) == 0


def test_a_value_may_overflow_only_where_it_does():
    f = where(t < 0, t**2, 0)
    assert f(1e200) == 0
    with np.errstate(over="ignore"):
        assert f(-1e200) == inf


# -- arithmetic -----------------------------------------------------------------------


def check(result, expected, x, *what):
    holds(same(result(x), expected, 1 + abs(x) ** 4), *what)


def test_sums_differences_products_and_quotients():
    for f, g in SOME:
        x = probes(f, g)
        a, b = f(x), g(x)
        with np.errstate(invalid="ignore"):
            check(f + g, a + b, x, f, g)
            check(f - g, a - b, x, f, g)
            # Infinite values survive constants; times a polynomial they are undefined.
            points = np.isin(x, np.r_[f.breakpoints, g.breakpoints])
            fixed = points | (pieces_at(f, x) & pieces_at(g, x))
            defined = (np.isfinite(a) & np.isfinite(b)) | fixed
            check(f * g, np.where(defined, a * b, nan), x, f, g)
            if not g.degree:
                usable = np.isfinite(b) & (b != 0)
                inverse = np.where(usable, 1 / np.where(usable, b, 1), nan)
                ok = np.isfinite(a) | fixed
                check(f / g, np.where(ok, a * inverse, nan), x, f, g)


@every
def test_numbers_as_operands(f):
    x = probes(f)
    y = f(x)
    cases = [
        (f + 2, y + 2),
        (1.5 - f, 1.5 - y),
        (f - np.float64(3), y - 3),
        (-2 * f, -2 * y),
        (f * np.int64(4), 4 * y),
        (f / -4, y / -4),
        (-f, -y),
        (+f, y),
        (abs(f), abs(y)),
        (0 * f, np.where(np.isfinite(y), 0.0, y)),
        (f**0, np.where(np.isfinite(y), 1.0, y)),
        (f**1, y),
        (maximum(f, 0.25), np.maximum(y, 0.25)),
        (minimum(1, f, 2.5), np.minimum(y, 1)),
        (maximum(f, -inf), y),
        (minimum(f, inf), y),
        (maximum(f, f), y),
    ]
    for k, (g, expected) in enumerate(cases):
        check(g, expected, x, f, k)
    for n in (2, 3):
        holds(same((f**n)(x), y**n, (1 + abs(x)) ** (3 * n)), f, n)
    if not f.degree:
        with np.errstate(divide="ignore"):
            check(2 / f, np.where(np.isfinite(y) & (y != 0), 2 / y, nan), x, f)
    assert 49 * f / 49 == f and f * 1 == f == f + 0
    assert (abs(f)(abs(f).breakpoints) >= 0)[np.isfinite(abs(f).values)].all()


def test_maxima_and_minima():
    for f, g in SOME:
        x = probes(f, g)
        check(maximum(f, g), np.maximum(f(x), g(x)), x, f, g)
        check(minimum(f, g), np.minimum(f(x), g(x)), x, f, g)


def compose(f, g):
    x = probes(f, g)
    y = g(x)
    inner = np.where(np.isfinite(y), y, 0)
    expected = np.where(np.isfinite(y), f(inner), y)
    # Where g is at a breakpoint of f only up to rounding, the sides are not told.
    gap = abs(inner[:, None] - f.breakpoints)
    clear = np.all((gap == 0) | (gap > 1e-12), axis=-1)
    holds(same(f(g)(x), expected, (1 + abs(inner)) ** f.degree) | ~clear, f, g)


def test_composition():
    for f, g in SOME:
        compose(f, g)


@pytest.mark.slow
def test_all_pairs():
    for f, g in product(ROWS, repeat=2):
        x = probes(f, g)
        with np.errstate(invalid="ignore"):
            check(f + g, f(x) + g(x), x, f, g)
        check(maximum(f, g), np.maximum(f(x), g(x)), x, f, g)
        compose(f, g)
        compare(f, g)


def test_composition_takes_the_value_at_a_level():
    root = np.sqrt(2)
    f = sign(t**2 - 2)
    assert np.allclose(f.breakpoints, [-root, root], atol=1e-15)
    assert f.values.tolist() == [0, 0] and f([-2, 0, 2]).tolist() == [1, -1, 1]
    # Touching a level from above, from below, at a breakpoint, and at a flat turn.
    cases = {
        heaviside((t - 0.1) ** 2): ([0.1], [0.5]),
        heaviside(-((3 * t - 0.3) ** 2)): ([0.1], [0.5]),
        heaviside(0.3 * absolute(t / 3 - 0.1)): ([0.3], [0.5]),
        heaviside((t - 1) ** 4): ([1], [0.5]),
        sign((t - 1) ** 3): ([1], [0]),
        sign(t**4 - 2 * t**2 + 1): ([-1, 1], [0, 0]),
    }
    for g, (points, values) in cases.items():
        assert np.allclose(g.breakpoints, points, rtol=1e-14), g
        assert g.values.tolist() == values, g
    assert sign(maximum(t, 0.1) - 0.1) == where(t > 0.1, 1, 0)


def test_values_of_the_inner_function_round_to_levels():
    rng = np.random.default_rng(8)
    f = Piecewise([-1, 0, 1], [[0], [1], [2], [3]], values=[4, 5, 6])
    sides = set()
    for a, b, c in rng.normal(size=(60, 3)):
        for level, value in zip(f.breakpoints, f.values, strict=True):
            inner = Piecewise([b], [[level - a * b, a], [level - c * b, c]])
            sides.add(float(np.sign(inner(b) - level)))
            assert f(inner)(b) == value
            end = Piecewise([b], [[inf], [level - c * b, c]])
            assert f(end)(b) == value
    assert sides == {-1.0, 0.0, 1.0}


def test_composition_with_affine_functions_moves_breakpoints_exactly():
    rng = np.random.default_rng(1)
    for _ in range(12):
        f = random_piecewise(rng, degree=3, finite=False)
        for a, b in ((2, 1), (-0.5, 3), (-1, 0), (4, -0.25)):
            g, x = f(a * t + b), probes(f)
            assert np.array_equal(np.sort((f.breakpoints - b) / a), g.breakpoints)
            assert np.array_equal(g((x - b) / a), f(a * ((x - b) / a) + b), True)
            assert g((t - b) / a) == f


def test_constants_on_a_level():
    for f in (*PIECEWISE.values(), heaviside, steps(-1, 2)):
        for level in (*f.breakpoints, 0.0, 1.0):
            g = f(where(t < 0, level, 5))
            assert np.array_equal(g(-1), f(level), True)
            assert np.array_equal(f(0 * t + level)(3), f(level), True)


def test_where():
    sets = (
        P.closedopen(-2, -1) | P.singleton(0) | P.open(1, 3),
        P.empty(),
        P.open(-P.inf, P.inf),
        P.openclosed(-P.inf, 0.25),
        P.closed(-1e300, 1e300),
    )
    for p in sets:
        for f, g in SOME[::7]:
            x = probes(f, g)
            if f.degree + g.degree < 2 or p.upper != 1e300:
                check(where(p, f, g), np.where(member(p, x), f(x), g(x)), x, p, f, g)
        assert where(p, 0, inf) == indicator(p)
        assert where(p, 0, inf).domain == p


def test_random_pairs():
    rng = np.random.default_rng(2)
    for k in range(30):
        kind = {"continuous": k % 3 == 0, "finite": k % 2 == 0}
        f, g = (random_piecewise(rng, degree=k % 5, **kind) for _ in range(2))
        x = probes(f, g)
        a, b = f(x), g(x)
        with np.errstate(invalid="ignore"):
            check(f + g, a + b, x, f, g)
            check(f - g, a - b, x, f, g)
        check(maximum(f, g), np.maximum(a, b), x, f, g)
        check(minimum(f, g), np.minimum(a, b), x, f, g)
        check(abs(f), abs(a), x, f)
        compare(f, g)
        compose(f, g)


# -- what is kept, what is dropped ----------------------------------------------------


def test_breakpoints_stay_where_they_were_given():
    points = np.array([-1e9 / 3, -0.1, 0.3, 1 / 3, 0.7, 1e9 / 7])
    f = Piecewise(points, np.arange(14.0).reshape(7, 2) ** 2)
    assert np.array_equal(f.breakpoints, points)
    made = [f + t, t - f, 3 * f, f / 7, -f, f + sign(t - 5), f.derivative(), abs(-f)]
    for g in [*made, maximum(f, -1e30), where(t < 0.3, f, f + 1), f(t), (1e-3 * t)(f)]:
        assert np.all(np.isin(points, g.breakpoints)), g
    assert np.array_equal(indicator(P.closed(0.1, 0.7)).breakpoints, [0.1, 0.7])


def test_simplification():
    one = Piecewise([-1, 0, 1], [[1, 2, 0]] * 4)
    assert one.breakpoints.size == 0 and one.degree == 1 and one == 2 * t + 1
    moved = Piecewise([0], [[0, 0, 1], [1, -2, 1]], anchors=[0, -1])
    assert moved.breakpoints.size == 0
    assert Piecewise([0], [[nan], [nan]], values=[nan]).breakpoints.size == 0
    assert Piecewise([0], [[nan], [nan]], values=[1]).breakpoints.size == 1
    assert Piecewise([0], [[inf], [inf]], values=[inf]).breakpoints.size == 0
    assert Piecewise([0], [[inf], [-inf]], values=[inf]).breakpoints.size == 1
    assert Piecewise([0], [[1], [1]], values=[2]).breakpoints.size == 1
    assert Piecewise([0], [[1], [1]], values=[inf]).breakpoints.size == 1
    assert relu(t) - relu(-t) == t and relu(t) + relu(-t) == absolute
    assert abs(t) == absolute == maximum(t, -t) and (t - t).degree == 0
    assert maximum(t, 0) == (t + abs(t)) / 2 == where(t > 0, t, 0) == relu
    assert huber(2)(t / 2) * 4 == huber(4)
    assert (t**3 - t**3 + t).degree == 1
    assert maximum(t**2, 0.6 * t - 0.09) == t**2
    assert maximum(t**2, 0.2 * t - 0.01) == t**2


@every
def test_equality_hash_pickle_and_repr(f):
    names = {"inf": inf, "nan": nan}
    names |= {"Piecewise": Piecewise, "PiecewiseLinear": PiecewiseLinear}
    copies = [pickle.loads(pickle.dumps(f)), f + 0, (-f) * -1, eval(repr(f), names)]
    again = Piecewise(f.breakpoints, f.coefficients, f.values, f.anchors)
    for g in (*copies, again):
        assert f == g and g == f and not f != g and hash(f) == hash(g)
        assert repr(copies[0]) == repr(f) and str(f) == str(copies[0])
    assert f != 3 and f != "f" and not f == None  # noqa: E711
    for a in (f.breakpoints, f.coefficients, f.values, f.anchors):
        with pytest.raises(ValueError, match="read-only"):
            a[...] = 0


# -- comparison -----------------------------------------------------------------------


def compare(f, g):
    x = probes(f, g)
    a, b = f(x), g(x)
    pairs = ((f < g, a < b), (f <= g, a <= b), (f > g, a > b), (f >= g, a >= b))
    with np.errstate(invalid="ignore"):
        # Crossings that are not short fractions are known up to rounding only.
        close = (a != b) & (abs(a - b) < 1e-12 * (1 + abs(a)))
    for p, truth in pairs:
        holds((member(p, x) == truth) | close, f, g, p)
    given = np.r_[f.breakpoints, g.breakpoints]
    for (p, _), strict in zip(pairs, (True, False, True, False), strict=True):
        for atom in p:
            for end, side in ((atom.lower, atom.left), (atom.upper, atom.right)):
                if end not in (P.inf, -P.inf) and end not in given:
                    assert (side is P.OPEN) == strict
                    assert same(f(end), g(end), 1 + abs(end) ** 4)


def test_comparisons():
    for f, g in SOME[::4]:
        compare(f, g)
    for f in PIECEWISE.values():
        compare(f, 0 * t + 0.25)
        assert (f < 0.25) == (0.25 > f) == (f < 0 * t + 0.25)
        assert (f >= 1) == (1 <= f) and (f < inf) & (f > -inf) == f.domain


def test_comparisons_in_words():
    assert (t**2 <= 1) == P.closed(-1, 1) and (t**2 < 1) == P.open(-1, 1)
    assert (t**2 <= 0) == P.singleton(0) and (t**2 < 0) == P.empty()
    assert (t**2 >= 0) == P.open(-P.inf, P.inf)
    assert (sign > 0) == P.open(0, P.inf) and (sign >= 0) == P.closedopen(0, P.inf)
    assert (heaviside <= 0.5) == P.openclosed(-P.inf, 0)
    assert (steps(0, 3) >= 1) == P.closedopen(1, 3)
    assert (t**2 <= 0.6 * t - 0.09) == P.singleton(0.3)
    assert (t**3 + t / 2 <= 0) == P.openclosed(-P.inf, 0)
    assert (t**3 < t) == P.open(-P.inf, -1) | P.open(0, 1)
    one, two = indicator(P.closed(0, 1)), indicator(P.closed(0, 2))
    assert (two <= one) == P.open(-P.inf, P.inf) and (one > two) == P.openclosed(1, 2)


def test_crossings_at_breakpoints_leave_no_slivers():
    rng = np.random.default_rng(3)
    for _ in range(20):
        a, b, slope, rise = rng.normal(size=4)
        kink = slope * (t - a) + rise
        f = where(t < a, b * (t - a) + rise, kink)
        g = where(t < a, (b - 1) * (t - a) + rise, (slope + 1) * (t - a) + rise)
        for one, two in ((f, g), (-g, -f), (f - kink, g - kink)):
            assert np.array_equal(maximum(one, two).breakpoints, [a])
            assert np.array_equal(minimum(two, one).breakpoints, [a])
            assert (one <= two) == P.open(-P.inf, P.inf) and (two < one).empty
            assert (one < two) == P.open(-P.inf, a) | P.open(a, P.inf)
            assert (two <= one) == P.singleton(a) == (one >= two)
    for a in rng.normal(size=30):
        touching = (t - a) ** 2
        assert (touching <= 0) == P.singleton((touching <= 0).lower)
        assert maximum(touching, 0).breakpoints.size == 0
        assert maximum(t**2, 2 * a * t - a * a) == t**2
        assert maximum(1000 + touching, 1000).breakpoints.size == 0
        # The value where they meet is the one with the smaller terms.
        hill = -1e6 * touching + 0.25
        for peak in (maximum(hill, 0.25), maximum(0.25, hill)):
            assert not peak.jumps.size and np.all(peak.values == 0.25)
        for f in (maximum(3 * t - a, 0), maximum(0, t**3 - a), relu(5 * t**2 - abs(a))):
            assert f.breakpoints.size and np.all(f.values == 0)


def test_roots_of_ill_scaled_polynomials():
    assert np.allclose(
        maximum(Piecewise([], [[-1, 0, 1, 1e-20]]), 0).breakpoints, [-1e20, -1, 1]
    )
    for scale in (1e-100, 1e-8, 1e8, 1e60):
        f = scale * (t - 1) * (t - 2) * (t + 3) * (t - 4)
        assert np.allclose(maximum(f, 0).breakpoints, [-3, 1, 2, 4], rtol=1e-13)
        g = (t - scale) * (t + 3 * scale) * (t - 4 * scale)
        assert np.allclose(
            abs(g).breakpoints, [-3 * scale, scale, 4 * scale], rtol=1e-13, atol=0
        )
    rng = np.random.default_rng(7)
    for degree in (2, 3, 4, 6):
        for _ in range(20):
            roots = np.sort(rng.choice(np.arange(-20, 21), degree, replace=False)) / 4
            f = reduce(mul, (t - root for root in roots))
            assert np.array_equal(abs(f).breakpoints, roots)
            assert sign(f).values.tolist() == [0] * degree


# -- from and to other forms ----------------------------------------------------------


@every
def test_ppoly_there_and_back(f):
    p = f.to_ppoly()
    x = np.setdiff1d(np.r_[probes(f), -50, 50], f.breakpoints)
    holds(same(p(x), f(x), 1 + abs(x) ** 4), f)
    back = Piecewise.from_ppoly(p)
    holds(same(back(x), f(x), 1 + abs(x) ** 4), f)
    assert np.all(np.isin(back.breakpoints, f.breakpoints))


def test_ppoly_from_scipy():
    rng = np.random.default_rng(4)
    x = np.sort(rng.normal(size=9))
    fine = np.linspace(x[0] - 1, x[-1] + 1, 400)
    for p in (
        CubicSpline(x, rng.normal(size=9)),
        PPoly(rng.normal(size=(3, 8)), x),
        PPoly(rng.normal(size=(3, 8)), x, extrapolate=False),
        PPoly(np.arange(8).reshape(1, 8), x, extrapolate=True),
    ):
        f = Piecewise.from_ppoly(p)
        outside = (fine < x[0]) | (fine > x[-1])
        expected = np.where(outside & ~np.bool_(p.extrapolate), nan, p(fine))
        holds(same(f(fine), expected, 10))
    spline = Piecewise.from_ppoly(CubicSpline(x, np.sin(x)))
    assert np.all(np.isin(x[2:-2], spline.breakpoints)) and not spline.jumps.size
    assert not spline.kinks.size and spline.is_absolutely_continuous
    huge = Piecewise([1e300], [[0], [1]])
    assert huge.to_ppoly()([0, 1.5e300]).tolist() == [0, 1]
    assert np.all(np.diff(huge.to_ppoly().x) > 0)


def test_from_slopes():
    rng = np.random.default_rng(5)
    for count in (0, 1, 2, 5, 12):
        points, slopes = np.sort(rng.normal(size=count)), rng.normal(size=count + 1)
        for a in (0.0, 5.0, -5.0, *points[:1]):
            f = Piecewise.from_slopes(points, slopes, at=(a, 2.0))
            assert f(a) == pytest.approx(2, abs=1e-14) and not f.jumps.size
            ends = np.r_[-10, points, 10]
            middles = ends[:-1] / 2 + ends[1:] / 2
            close(f.derivative()(middles), slopes, 1e-13)
            assert np.array_equal(f.kinks, points) and f.is_absolutely_continuous
    assert Piecewise.from_slopes([0], [-1, 1]) == absolute
    equal = Piecewise.from_slopes([0, 0, 1], [1, 2, 3, 4], at=(0, 1))
    assert equal([-1, 0, 0.5, 1, 2]).tolist() == [0, 1, 2.5, 4, 8]


@every
def test_domain_is_where_values_are_finite(f):
    x = probes(f)
    assert np.array_equal(member(f.domain, x), np.isfinite(f(x)))
    finite = x[np.isfinite(f(x))]
    lower, upper = f.ends
    assert np.all((finite >= lower) & (finite <= upper))
    assert f.domain.empty == (lower > upper)
    assert f.domain.empty or (lower == f.domain.lower or lower == -inf)


# -- derivatives ----------------------------------------------------------------------


def quotients(f, x, h):
    """The one-sided difference quotients from the left and from the right."""
    with np.errstate(invalid="ignore"):
        left, right = (f(x) - f(x - h)) / h, (f(x + h) - f(x)) / h
    outside = ~np.isfinite(f(x))
    return np.where(outside, nan, left), np.where(outside, nan, right)


def agrees(slope, quotient, size):
    """Whether a derivative is the limit of quotients; these are large at jumps."""
    jump = (abs(quotient) > 1e4) & (np.sign(quotient) == np.sign(slope))
    with np.errstate(invalid="ignore"):
        near = abs(slope - quotient) <= 1e-5 * size
    both = np.isnan(slope) & np.isnan(quotient)
    return both | np.where(np.isinf(slope), jump, near)


H = 2.0**-24


def near_points(f):
    return np.unique(np.r_[np.arange(-16, 17) / 4, f.breakpoints])


@every
def test_one_sided_derivatives(f):
    x = near_points(f)
    left, right = quotients(f, x, H)
    size = 1 + abs(x) ** 3
    holds(agrees(f.left_derivative(x), left, size), f, x)
    holds(agrees(f.right_derivative(x), right, size), f, x)
    assert f.left_derivative(0.0).ndim == 0
    assert f.left_derivative(np.float32([1])).dtype == np.float32


@every
def test_pointwise_derivative(f):
    x = near_points(f)
    left, right = quotients(f, x, H)
    with np.errstate(invalid="ignore"):
        smooth = abs(left - right) < 1e-2
    slope = np.where(smooth & (abs(left) < 1e4), left, nan)
    derivative = f.derivative()(x)
    assert np.array_equal(np.isnan(derivative), np.isnan(slope)), f
    holds(agrees(derivative, slope, 1 + abs(x) ** 3), f)
    assert np.array_equal(f.is_differentiable(x), ~np.isnan(slope))
    assert f.is_differentiable(0.25).ndim == 0


@every
def test_kinks_and_jumps(f):
    x = f.breakpoints
    left, right = quotients(f, x, H)
    defined = ~(np.isnan(left) | np.isnan(right))
    steady = defined & (abs(left) < 1e4) & (abs(right) < 1e4)
    with np.errstate(invalid="ignore"):
        bent = abs(left - right) > 1e-2
    assert np.array_equal(f.kinks, x[steady & bent])
    both = np.isfinite(f(x - H)) & np.isfinite(f(x + H))
    assert np.array_equal(f.jumps, x[both & ~steady])


@every
def test_clarke_is_the_hull_of_limits_of_derivatives(f):
    near = 2.0**-16
    for x in near_points(f):
        s = x + near * np.array([-2, -1, 0, 1, 2])
        with np.errstate(invalid="ignore"):
            slopes = (f(s + H) - f(s - H)) / (2 * H)
            lipschitz = np.all(abs(f(s) - f(x)) < 1e-2 * (1 + abs(x) ** 3))
        if lipschitz:
            # Those at x, by extrapolation.
            limits = 2 * slopes[[1, 3]] - slopes[[0, 4]]
            got, tol = f.clarke_subdifferential(x), 1e-4 * (1 + abs(x) ** 3)
            assert abs(got.lower - min(limits)) < tol, (f, x)
            assert abs(got.upper - max(limits)) < tol, (f, x)
        else:
            with pytest.raises(ValueError, match=f"not at t = {x}"):
                f.clarke_subdifferential(x)
    if f.domain == P.open(-P.inf, P.inf) and f.is_absolutely_continuous:
        assert f.clarke_subdifferential(near_points(f)).shape == near_points(f).shape


@every
def test_frechet_by_its_definition(f):
    x = near_points(f)
    got = f.frechet_subdifferential(x)
    assert isinstance(got, Interval)
    for g in np.r_[-1e3, np.arange(-40, 41) / 8 + 0.0625, 1e3]:
        low = np.full(x.shape, inf)
        for h in (-H, H):
            with np.errstate(invalid="ignore"):
                low = np.minimum(low, (f(x + h) - f(x) - g * h) / abs(h))
        inside = np.isfinite(f(x)) & (low >= -1e-3)
        unclear = np.isnan(low) & np.isfinite(f(x))
        assert np.array_equal(got.contains(g)[~unclear], inside[~unclear]), (f, g)
    empty = got.lower > got.upper
    assert np.all(empty[~np.isfinite(f(x))])


def test_frechet_in_words():
    assert absolute.frechet_subdifferential(0) == Interval(-1, 1)
    assert np.all((-absolute).frechet_subdifferential(0).is_empty)
    assert heaviside.frechet_subdifferential(0).is_empty
    low, high = Piecewise([0], [[0], [1]], values=[0]), Piecewise([0], [[0], [1]])
    assert (low.frechet_subdifferential(0).lower, high.left_derivative(0)) == (0, inf)
    assert low.frechet_subdifferential(0).upper == inf
    assert high.frechet_subdifferential(0).is_empty
    dip = Piecewise([0], [[0], [1]], values=[-1]).frechet_subdifferential(0)
    assert (dip.lower, dip.upper) == (-inf, inf)


def test_slopes_in_words():
    assert np.array_equal(relu.derivative()([-1, 0, 1]), [0, nan, 1], True)
    assert huber(1).derivative()([-2, -1, 0, 1, 2]).tolist() == [-2, -2, 0, 2, 2]
    assert np.isnan(heaviside.derivative()(0)) and heaviside.derivative()(1) == 0
    assert (t**3).derivative() == 3 * t**2 and t.derivative() == 0 * t + 1
    f = where(P.closed(0, 1), t**2, inf)
    assert f.left_derivative([0, 1]).tolist() == [-inf, 2]
    assert f.right_derivative([0, 1]).tolist() == [0, inf]
    f = where(P.closed(0, 1), t**2, Piecewise([], [[nan]]))
    assert np.isnan(f.left_derivative(0)) and np.isnan(f.right_derivative(1))


def test_absolutely_continuous():
    broken = {
        "sign",
        "heaviside",
        "steps",
        "coinciding",
        "removable",
        "above",
        "jumps",
        "jumps, middle",
        "raised ends",
        "minus infinity right",
        "anchored",
    }
    for name, f in PIECEWISE.items():
        assert f.is_absolutely_continuous == (name not in broken), name


# -- the border -----------------------------------------------------------------------

BAD = {
    "nan breakpoint": (lambda: Piecewise([nan], [[0], [1]]), "breakpoints must not"),
    "inf breakpoint": (lambda: Piecewise([inf], [[0], [1]]), "breakpoints must be fin"),
    "falling": (lambda: Piecewise([1, 0], [[0]] * 3), "breakpoints must be nondecr"),
    "matrix": (lambda: Piecewise([[0]], [[0], [1]]), "breakpoints must have one axis"),
    "rows": (lambda: Piecewise([0], [[0]]), "1 breakpoints need 2 rows of coeff"),
    "values": (lambda: Piecewise([0], [[0], [1]], [1, 2]), r"values must have shape"),
    "value axes": (lambda: Piecewise([0], [[0], [1]], [[1]]), "values must have one"),
    "two values": (
        lambda: Piecewise([0, 0], [[0], [1], [2]], [1, 2]),
        "values at coinciding breakpoints",
    ),
    "anchors": (lambda: Piecewise([0], [[0], [1]], anchors=[0]), "anchors must have"),
    "nan anchors": (lambda: Piecewise([], [[0]], anchors=[nan]), "anchors must not"),
    "inf slope": (lambda: Piecewise([], [[0, inf]]), "coefficients must be finite or"),
    "inf and slope": (lambda: Piecewise([], [[inf, 1]]), "coefficients must be finite"),
    "ragged row": (
        lambda: Piecewise([], [[[1], [1, 2]]]),
        r"coefficients\[0\] must be",
    ),
    "deep row": (lambda: Piecewise([], [[[1, 2]]]), r"coefficients\[0\] must have one"),
    "slopes": (lambda: Piecewise.from_slopes([0], [1]), "slopes must have shape"),
    "inf slopes": (lambda: Piecewise.from_slopes([], [inf]), "slopes must be finite"),
    "fall": (lambda: Piecewise.from_slopes([1, 0], [1, 2, 3]), "breakpoints must be"),
    "at": (lambda: Piecewise.from_slopes([], [1], at=(1,)), "at must be a pair"),
    "nan at": (lambda: Piecewise.from_slopes([], [1], at=(1, nan)), "at must not con"),
    "complex": (lambda: Piecewise.from_ppoly(PPoly([[1j]], [0, 1])), "p must be real"),
    "vector": (
        lambda: Piecewise.from_ppoly(PPoly([[[1.0]]], [0, 1])),
        "p must be real",
    ),
    "periodic": (
        lambda: Piecewise.from_ppoly(PPoly([[1.0]], [0, 1], "periodic")),
        "p must have finitely many",
    ),
    "decreasing": (
        lambda: Piecewise.from_ppoly(PPoly([[1.0]], [1, 0])),
        "p must have increasing",
    ),
    "nan operand": (lambda: t + nan, "operand must not contain nan"),
    "inf operand": (lambda: t - inf, "operand must be finite"),
    "nan factor": (lambda: nan * t, "factor must not contain nan"),
    "inf factor": (lambda: t * inf, "factor must be finite"),
    "nan divisor": (lambda: t / nan, "operand must not contain nan"),
    "power": (lambda: t**-1, "power of a piecewise polynomial must be"),
    "half power": (lambda: t**0.5, "power of a piecewise polynomial must be"),
    "nan level": (lambda: t < nan, "operand must not contain nan"),
    "nan in maximum": (lambda: maximum(t, nan), "operand must not contain nan"),
    "no minimum": (lambda: minimum(), "minimum needs at least one"),
    "nan point": (lambda: t(nan), "t must not contain nan"),
    "inf point": (lambda: t.is_differentiable(inf), "t must be finite"),
    "batch": (lambda: t + pinball([0.1, 0.2]), "one function at a time"),
    "batch inside": (lambda: relu(pinball([0.1, 0.2])), "one function at a time"),
    "batch around": (lambda: pinball([0.1, 0.2])(t), "one function at a time"),
    "clip": (lambda: clip(2, 1), "lower must not exceed upper"),
    "huber": (lambda: huber(-1), "M must be nonnegative"),
    "steps": (lambda: steps(1, 1), "lower and upper must be integers"),
    "half steps": (lambda: steps(0, 1.5), "lower and upper must be integers"),
}
WRONG = {
    "text breakpoints": (lambda: Piecewise(["a"], [[0], [1]]), "breakpoints must be"),
    "text rows": (
        lambda: Piecewise([], [["a"]]),
        r"coefficients\[0\] must be an array",
    ),
    "no rows": (lambda: Piecewise([], 3), "coefficients must be a sequence of rows"),
    "complex row": (
        lambda: Piecewise([], [[1j]]),
        r"coefficients\[0\] must be an array",
    ),
    "text values": (
        lambda: Piecewise([0], [[0], [1]], ["a"]),
        "values must be an array",
    ),
    "ppoly": (lambda: Piecewise.from_ppoly(t), "p must be a PPoly"),
    "quotient": (lambda: t / t, "divided by a piecewise constant only"),
    "reciprocal": (lambda: 1 / relu, "divided by a piecewise constant only"),
    "text": (lambda: t + "a", "unsupported operand"),
    "text factor": (lambda: "a" * t, "unsupported operand|can't multiply"),
    "text order": (lambda: t < "a", "not supported between"),
    "array": (lambda: np.ones(2) * t, "unsupported operand|does not support ufuncs"),
    "none": (lambda: t - None, "unsupported operand"),
    "complex operand": (lambda: t + 1j, "unsupported operand"),
    "numpy complex": (lambda: t + np.complex128(1), "operand must be an array of real"),
    "text argument": (lambda: t("a"), "t must be an array of real numbers"),
    "no set": (lambda: where(3, t, t), "points must be a portion.Interval"),
    "set of words": (lambda: where(P.closed("a", "b"), t, t), "points must have real"),
    "no function": (
        lambda: where(P.empty(), "a", t),
        "a piecewise polynomial or a num",
    ),
    "words": (lambda: minimum(t, "a"), "a piecewise polynomial or a number was expec"),
}


@pytest.mark.parametrize("call, message", BAD.values(), ids=BAD.keys())
def test_bad_values(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("call, message", WRONG.values(), ids=WRONG.keys())
def test_wrong_types(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_division_by_zero():
    with pytest.raises(ZeroDivisionError, match="divided by 0"):
        t / 0


def test_overflow_is_no_infinity():
    big = 1e200 * t
    cases = [
        lambda: big * big,
        lambda: 1e200 * big,
        lambda: big / 1e-200,
        lambda: 1.7e308 * t + 1.7e308 * t,
        lambda: big**2,
        lambda: big(big),
        lambda: (t**2)(big),
        lambda: (1.7e308 * t**2).derivative(),
        lambda: Piecewise([1e200], [[0, 0, 1], [0]]),
        lambda: where(t < 1e200, t**2, 0),
        lambda: t**2 + Piecewise([1e200], [[0], [1]]),
        lambda: abs(1.7e308 * t),
    ]
    for call in cases:
        with pytest.raises(FloatingPointError, match="overflow"):
            call()


# -- extremes -------------------------------------------------------------------------


@pytest.mark.slow
def test_many_pieces():
    rng = np.random.default_rng(6)
    n = 100_000
    points, slopes = np.sort(rng.normal(size=n)), rng.normal(size=n + 1)
    f = Piecewise.from_slopes(points, slopes)
    g = Piecewise.from_slopes(np.sort(rng.normal(size=n)), slopes[::-1])
    x = rng.normal(size=1_000_000)
    k = np.searchsorted(points, x)
    line = f.coefficients[k, 0] + slopes[k] * (x - f.anchors[k])
    assert np.array_equal(f(x), line)
    x = x[:1000]
    assert np.allclose((f + g)(x), f(x) + g(x), atol=1e-10)
    assert np.allclose(maximum(f, g)(x), np.maximum(f(x), g(x)), atol=1e-10)
    assert np.allclose(relu(f)(x), relu(f(x)), atol=1e-10)
    assert np.allclose(f(g / 100)(x), f(g(x) / 100), atol=1e-10)
    assert np.array_equal(f.kinks, points)
    x = np.arange(2.0, n // 10, 2)
    dust = P.Interval(*(P.singleton(one) for one in x))
    assert np.array_equal(indicator(dust).breakpoints, x)
    stairs = steps(0, n // 10)
    assert stairs(77.5) == 77 and (stairs >= 77) == P.closedopen(77, n // 10)


def test_scales():
    for scale in (1e-300, 1e-150, 1e-8, 1e8, 1e150, 1e300):
        f = maximum(t - scale, 0)
        assert f.breakpoints.tolist() == [scale] and f(4 * scale) == 4 * scale - scale
        assert f.right_derivative([0, scale]).tolist() == [0, 1]
        assert (f + t)(scale) == scale and abs(t - scale)(0) == scale
        assert (t <= scale) == P.openclosed(-P.inf, scale)
        assert sign(t - scale)([0, scale, 2 * scale]).tolist() == [-1, 0, 1]
        assert np.allclose(sign(t / scale - 1).breakpoints, scale, 1e-15, 0)
        inside = indicator(P.closed(-scale, scale))
        assert inside.domain == P.closed(-scale, scale)
        assert (inside + t).ends == (-scale, scale)


def test_neighbouring_floats():
    a = 0.3
    b = np.nextafter(a, 1)
    f = Piecewise([a, b], [[0], [5], [1]], values=[2, 3])
    assert f([0, a, b, 1]).tolist() == [0, 2, 3, 1]
    assert (f + f)([0, a, b, 1]).tolist() == [0, 4, 6, 2]
    assert maximum(f, 0.5)([0, a, b, 1]).tolist() == [0.5, 2, 3, 1]
    assert (f >= 2) == P.closed(a, b)
    assert indicator(P.closed(a, b)).domain == P.closed(a, b)
    g = Piecewise.from_slopes([a, b], [0, 1, 2], at=(a, 0))
    assert g(a) == 0 and g(b) == b - a and g.derivative()([0, 1]).tolist() == [0, 2]
    assert heaviside(t - a)([np.nextafter(a, 0), a, b]).tolist() == [0, 0.5, 1]


def test_affine_functions_have_no_breakpoints():
    f = Piecewise([], [[1, 2]])
    assert f.breakpoints.shape == (0,) and f.values.shape == (0,)
    assert f.domain == P.open(-P.inf, P.inf) and f.ends == (-inf, inf)
    assert f.kinks.size == f.jumps.size == 0 and f.is_differentiable(3)
    assert f([-inf, 0, inf]).tolist() == [-inf, 1, inf]
    assert f.clarke_subdifferential(0) == Interval(2, 2)
    assert relu(f)(t - 0.5) == 2 * relu


def test_functions_that_are_not_polynomials():
    with pytest.raises(TypeError):
        t(exponential)
