"""Laws of the transforms of convex piecewise polynomials, against their definitions."""

from __future__ import annotations

import pickle
from itertools import product

import cvxpy as cp
import numpy as np
import portion as P
import pytest
from convex_rows import (
    CONVEX,
    EVERY,
    POINTS,
    STEEP,
    alike,
    anew,
    dense,
    every,
    every_convex,
    every_steep,
    half_line,
    inf,
    inside,
    other_half_line,
    plus,
    random_any,
    random_convex,
    same,
)
from laws import cvxpy_has_the_same_prox

import subgrad as sg
from subgrad.interval import Interval
from subgrad.univariate.catalog import (
    entropy,
    heaviside,
    huber,
    indicator,
    interval_indicator,
    negative_sqrt,
    pinball,
    sign,
    square,
    t,
)
from subgrad.univariate.operations import where
from subgrad.univariate.piecewise import Piecewise

STEPS = (1e-3, 0.5, 1.0, 30.0)
nowhere = indicator(P.empty())
pairs = pytest.mark.parametrize(
    ("f", "others"),
    [
        pytest.param(f, [list(CONVEX.values())[k - j] for j in (0, 1, 7)], id=name)
        for k, (name, f) in enumerate(CONVEX.items())
    ],
)


# -- convex or not --------------------------------------------------------------------


def is_midpoint_convex(f: Piecewise) -> bool:
    """f((s + t) / 2) <= (f(s) + f(t)) / 2 on a grid with all breakpoints."""
    near = np.add.outer(f.breakpoints, [-(2.0**-20), 0, 2.0**-20]).ravel()
    s = np.unique(np.r_[np.arange(-80, 81) / 16, near])
    v = f(s)
    if not np.all(v > -inf):
        return False
    i, j = np.triu_indices(s.size, 1)
    return not np.any(f((s[i] + s[j]) / 2) > (v[i] + v[j]) / 2 + 1e-11)


def is_convex_by_the_theorem(f: Piecewise) -> bool:
    """f'' >= 0 as a distribution, f continuous inside, at the ends above the limits."""
    if f.domain.empty:
        return True
    low, up = f.ends
    h, s = 2.0**-40, f.breakpoints[(f.breakpoints > low) & (f.breakpoints < up)]
    near = 1e-9 * (1 + abs(f(s)))
    ends = [(e, e + d) for e, d in ((low, h), (up, -h)) if low < up and abs(e) < inf]
    return (
        f.domain.atomic
        and f.distributional_derivative(2).is_nonnegative
        and bool(np.all(abs(f(s + h) - f(s)) + abs(f(s - h) - f(s)) <= near))
        and all(f(end) >= f(inner) - 1e-9 for end, inner in ends)
    )


def test_is_convex_is_the_definition_and_the_theorem():
    rng = np.random.default_rng(5)
    found = []
    for k in range(240):
        f = random_any(rng, 2 + k % 3)
        if f.degree > 2:
            f = f + rng.integers(0, 12) * t**2 + indicator(P.closed(-4, 4))
        assert f.is_convex == is_midpoint_convex(f), f
        assert f.is_convex == is_convex_by_the_theorem(f), f
        found.append(f.is_convex)
    assert 60 < sum(found) < 180


@every
def test_rows_are_closed_and_convex(f):
    assert f.is_convex and f.is_closed and f.closure() == f
    assert is_convex_by_the_theorem(f) and is_midpoint_convex(f)
    assert not (0 * f - f).is_convex or f.degree <= 1
    with_step = f + heaviside(t - 0.5)
    assert not with_step.is_convex or f.ends[1] <= 0.5 or f.ends[0] >= 0.5


@every
def test_weight_of_the_second_derivative_is_the_width_of_the_subdifferential(f):
    terms = f.distributional_derivative(2).terms
    low, up = f.ends
    for a in f.breakpoints[(f.breakpoints > low) & (f.breakpoints < up)]:
        s = f.subdifferential(a)
        same(s.upper - s.lower, terms.get((a, 0), 0.0), 1e-12)
    assert all(
        f.subdifferential(a).lower < f.subdifferential(a).upper for a, _ in terms
    )


@pytest.mark.parametrize(
    ("f", "text"),
    [
        (heaviside, "jumps from 0.0 to 1.0 at t = 0.0"),
        (abs(t) + where(P.singleton(0), 1, 0), "from 0.0, where it is 1.0 at t = 0.0"),
        (-abs(t - 2), "slope falls from 1.0 to -1.0 at t = 2.0"),
        (-(t**2) + indicator(P.closed(1, 4)), "negative on (1.0, 4.0)"),
        (t**4 - t**2, "second derivative is negative on (-0.40824829"),
        (indicator(P.closed(0, 1) | P.closed(2, 3)), "domain [0.0,1.0] | [2.0,3.0]"),
        (Piecewise([1], [[0, 1], [np.nan]]), "undefined or -inf"),
        (where(P.singleton(1), -inf, t), "undefined or -inf"),
        (where(t > 1, -inf, t), "undefined or -inf"),
        (where(P.singleton(0), -1, indicator(half_line(0))), "-1.0 at the end t = 0.0"),
        (
            where(P.singleton(1), 3, t**2 + 3 + indicator(P.closed(0, 1))),
            "value 3.0 at the end t = 1.0 of the domain is below the limit 4.0",
        ),
    ],
)
def test_the_violation_is_named(f, text):
    assert not f.is_convex
    calls = [f.conjugate, f.moreau_envelope, f.prox_map, f.monotone_operator]
    calls += [lambda: f.prox(0.0), lambda: f.subdifferential(0.0)]
    calls += [lambda: f.subdifferential(Interval(0, 1)), lambda: f.left_slope(0.0)]
    calls += [lambda: f.subdifferential(0.0, 1.0), lambda: f.right_slope(0.0)]
    calls += [lambda: f.saturation(0.0), lambda: f.nondecreasing_from(0.0)]
    calls += [lambda: f.infimal_convolution(abs(t)), lambda: f.proximal_average(abs(t))]
    calls += [lambda: abs(t).infimal_convolution(f), lambda: abs(t).deconvolution(f)]
    calls += [lambda: sg.Separable(f), lambda: f.to_cvxpy(cp.Variable())]
    for call in calls:
        with pytest.raises(ValueError, match="convex") as error:
            call()
        assert text in str(error.value)


def test_what_is_convex_up_to_rounding_is_convex():
    # Limits and slopes that differ in the last bits.
    third = Piecewise([1 / 3], [[0, 0.1], [-0.1 / 3, 0.2]])
    assert third.is_convex and third.is_closed
    joint = Piecewise([0.3], [[0, 0, 0.7], [-0.7 * 0.3**2, 2 * 0.7 * 0.3]])
    assert joint.is_convex and joint.kinks.size == 0


def test_slopes_that_rounding_reverses_have_transforms():
    slopes = [[0.1 + 0.2, 0.3, 1.0], 1 - np.r_[0, 0.9, 1.8, 2.7, 1] * 1.2e-14]
    for s in slopes:
        f = Piecewise.from_slopes(np.arange(len(s) - 1.0), s)
        assert f.is_convex
        x = np.r_[POINTS, np.arange(4.0)]
        same(f.prox_map()(x), f.prox(x), 1e-12)
        same(f.moreau_envelope()(x), f(f.prox(x)) + (x - f.prox(x)) ** 2 / 2, 1e-12)
        assert np.all(np.diff(f.conjugate().breakpoints) > 0)
        same(f.conjugate().conjugate()(x), f(x), 1e-12)
        same(anew(f.conjugate()).conjugate()(x), f(x), 1e-12)


def test_closure():
    upper = where(P.closed(-1, 1), t**2, inf) + where(P.singleton(1), 2, 0)
    assert upper.is_convex and not upper.is_closed
    assert upper.closure() == t**2 + indicator(P.closed(-1, 1))
    inner = t**2 + indicator(P.open(-1, 1))
    assert inner.is_convex and not inner.is_closed
    assert inner.closure() == upper.closure()
    assert heaviside.closure()(0.0) == 0 and heaviside.closure().is_closed
    assert (-heaviside).closure()(0.0) == -1 and not heaviside.is_closed
    hole = where(P.singleton(2), -5, abs(t))
    assert hole.is_closed and hole.closure() == hole
    assert nowhere.is_convex and nowhere.is_closed and nowhere.closure() == nowhere
    with pytest.raises(ValueError, match=r"closed.*closure\(\)"):
        inner.conjugate()


# -- the subdifferential --------------------------------------------------------------


@every
def test_subdifferential_is_the_definition(f):
    x, s = inside(f), dense(f)
    sub = f.subdifferential(x)
    size = 1e-13 * (1 + abs(f(x))[:, None] + abs(f(s)))
    for end in (sub.lower, sub.upper):
        g = np.where(np.isfinite(end), end, 0.0)
        below = f(x)[:, None] + g[:, None] * (s - x[:, None])
        slack = size + 1e-15 * abs(g)[:, None] * (abs(s) + abs(x)[:, None])
        assert np.all((below <= f(s) + slack)[np.isfinite(end)])
    # Whatever is a little steeper fails close to x.
    h = 2.0**-20
    for end, side in ((sub.upper, 1), (sub.lower, -1)):
        quotient = side * (f(x + side * h) - f(x)) / h
        assert np.array_equal(np.isinf(end), np.isinf(quotient))
        k = np.isfinite(end)
        assert np.all(abs(end[k] - quotient[k]) <= 2e-4 * (1 + abs(f(x[k]))))
    outside = np.setdiff1d(POINTS, x)
    for eps in (0.0, 0.5):
        s = f.subdifferential(outside, eps)
        assert np.all(s.lower == inf) and np.all(s.upper == -inf)


@every
def test_eps_subdifferential_is_the_definition(f):
    x, fine = inside(f), np.r_[np.linspace(-10, 10, 601), f.breakpoints]
    for eps in (1e-3, 0.25, 7.0, 1e5):
        s = f.subdifferential(x, eps)
        for side, end in ((1, s.upper), (-1, s.lower)):
            steps = x[:, None] + side * np.geomspace(1e-6, 1e9, 1001)
            y = np.concatenate([steps, np.tile(fine, (x.size, 1))], -1)
            h = side * (y - x[:, None])
            slopes = (f(y) - f(x)[:, None] + eps) / np.where(h > 0, h, 1)
            best = side * np.min(slopes, -1, where=h > 0, initial=inf)
            same(end, best, 1e-3)
            k = np.isfinite(end)
            assert np.all(side * (best[k] - end[k]) >= -1e-9 * (1 + abs(best[k])))


@every
def test_eps_subdifferential_grows_from_the_subdifferential(f):
    x = inside(f)
    last = f.subdifferential(x)
    for eps in (1e-300, 1e-18, 1e-16, 2.0**-53, 1e-9, 1e-3, 1.0, 1e3, 1e9, 1e150):
        s = f.subdifferential(x, eps)
        slack = 1e-12 * (1 + abs(np.where(np.isfinite(last.lower), last.lower, 0)))
        assert np.all(s.lower <= last.lower + slack)
        slack = 1e-12 * (1 + abs(np.where(np.isfinite(last.upper), last.upper, 0)))
        assert np.all(s.upper >= last.upper - slack)
        if eps < 1e-15:
            # No more than rounding of f explains.
            exact, width = f.subdifferential(x), 1e-6 * (1 + abs(f(x)))
            for end, other in ((s.lower, exact.lower), (s.upper, exact.upper)):
                assert np.array_equal(np.isinf(end), np.isinf(other))
                k = np.isfinite(end)
                assert np.all(abs(end[k] - other[k]) <= width[k])
        last = s


@every_convex
def test_eps_subdifferential_by_the_conjugate(f):
    for eps in (1e-6, 0.01, 0.3, 4.0):
        x, dual = inside(f), f.conjugate()
        s = f.subdifferential(x, eps)
        for end, out in ((s.upper, 1), (s.lower, -1)):
            known = np.isfinite(end)
            y, g = x[known], end[known]
            size = 1 + abs(f(y)) + abs(g * y)
            # An end may lie outside dom f* by its rounding.
            g = np.where(dual(g) < inf, g, g - 1e-13 * out * (1 + abs(g)))
            assert np.all(f(y) + dual(g) - g * y <= eps + 1e-12 * size * (1 + abs(g)))
            g = g + 2e-6 * out * (1 + abs(g))
            assert np.all(f(y) + dual(g) - g * y > eps)


def test_eps_subdifferential_keeps_what_rounding_makes_of_neighbours():
    # The right piece begins below f(1) by exactly ε; they count as continuous.
    eps = 2.0**-53
    for tail in ([2, 1], [2], [2, 1, 0.5]):
        f = Piecewise([1], [[0, 0, 1], [1 - eps, *tail]], [1.0], [0, 1])
        s = f.subdifferential(1.0, eps)
        assert s.lower <= 2 <= s.upper <= 2 + 1e-6


def test_eps_subdifferential_at_extreme_scales():
    for a in (1e-300, 1e-150, 1.0, 1e150, 1e300):
        s = (a * t**2).subdifferential(0.0, 1 / a)
        same([s.lower, s.upper], [-2, 2], 1e-14)
        s = (a * abs(t)).subdifferential(np.array([-1.0, 0, 1]), a / 2)
        same(s.lower / a, [-1, -1, 0.5], 1e-14)
        same(s.upper / a, [-0.5, 1, 1], 1e-14)


def test_eps_subdifferential_at_ends_above_the_limit():
    above = where(P.singleton(1), 1, 0) + indicator(P.closed(0, 1))
    for f in (0 * t, t, -t, t**2, t**3, t**4):
        s = (f + above).subdifferential(1.0, [0.0, 0.9, 1.1, 1e3])
        assert np.all(s.is_empty == [True, True, False, False])
    f = t**2 + above
    s = f.subdifferential([0, 0.5, 1], [[0.0], [0.5], [1.0], [1.5]])
    assert np.all(s.upper[2:, 2] == inf) and np.all(s.lower[:2, 2] == inf)
    assert np.all(s.upper[:2, 2] == -inf)
    # sup (f(1) - ε - f(s)) / (1 - s) over s < 1, where f(1) = 2.
    steps = np.linspace(0, 1, 20001)[:-1]
    for k, eps in ((2, 1.0), (3, 1.5)):
        same(s.lower[k, 2], max((2 - eps - steps**2) / (1 - steps)), 1e-4)
    same(s.upper[:, 1], 1 + 2 * np.sqrt([0, 0.25, 0.25, 0.25]) + [0, 0.5, 1.5, 2.5])


@every
def test_subdifferential_of_intervals_is_the_union_over_points(f):
    for eps in (0.0, 0.3):
        ends = np.r_[-30, np.arange(-4, 5) / 2, 30]
        low, up = (a.ravel() for a in np.meshgrid(ends, ends))
        low, up = low[low <= up], up[low <= up]
        s = f.subdifferential(Interval(low, up), eps)
        x = np.unique(np.r_[np.linspace(-30, 30, 241), f.breakpoints])
        each = f.subdifferential(x, eps)
        among = (low[:, None] <= x) & (x <= up[:, None])
        same(s.lower, np.where(among, each.lower, inf).min(-1))
        same(s.upper, np.where(among, each.upper, -inf).max(-1))
        none = f.subdifferential(Interval.empty(3), eps)
        assert np.all(none.lower == inf) and np.all(none.upper == -inf)


@every
def test_subdifferential_of_unbounded_intervals(f):
    low, up = np.array([-inf, -inf, 0.5]), np.array([inf, 0.5, inf])
    for eps in (0.0, 0.3):
        s = f.subdifferential(Interval(low, up), eps)
        near = Interval(np.maximum(low, -1e40), np.minimum(up, 1e40))
        other = f.subdifferential(near, eps)
        # A slope that is infinite at infinity is above 1e39 there.
        bounded = np.clip([other.lower, other.upper], -1e39, 1e39)
        same(np.clip([s.lower, s.upper], -1e39, 1e39), bounded)


def test_subdifferential_of_intervals_mixes_budgets():
    # ∂φ(0) is empty for -sqrt, but the union over [0, 1] is not.
    s = negative_sqrt.subdifferential(Interval([0, 0], [1, 1]), [0.0, 0.5])
    assert np.all(s.lower == -inf) and s.upper[0] == -0.5 < s.upper[1]
    with pytest.raises(ValueError, match="closure"):
        (t + indicator(P.open(0, 1))).subdifferential(Interval(0, 1))
    assert nowhere.subdifferential(Interval(0, 1)) == Interval.empty()
    assert nowhere.subdifferential(0.0, 1.0) == Interval.empty()


@every
def test_saturation_is_where_growth_stops(f):
    x = inside(f)
    cost = f.saturation(x)
    stops = np.isfinite(cost)
    after = f.subdifferential(x, np.where(stops, cost * (1 + 1e-9) + 1e-9, 1e3))
    late = f.subdifferential(x, np.where(stops, 1e5, 1e6))
    before = f.subdifferential(x, np.where(stops, 0.9 * cost, 1e3))
    same(after.lower[stops], late.lower[stops])
    same(after.upper[stops], late.upper[stops])
    grown = (late.lower < before.lower - 1e-9) | (late.upper > before.upper + 1e-9)
    assert np.all(grown[cost > 1e-9])


# -- the conjugate --------------------------------------------------------------------


@every_convex
def test_conjugate_is_the_supremum(f):
    dual, x = f.conjugate(), dense(f)
    assert dual.is_convex and dual.is_closed
    g = np.unique(np.r_[np.linspace(-8, 8, 65), dual.breakpoints])
    lines = g[:, None] * x - f(x)
    bound, best = dual(g)[:, None], lines.max(-1)
    size = 1e-12 * (1 + abs(g[:, None] * x) + abs(f(x)))
    assert np.all(lines <= bound + size)
    # Where it is +inf the lines win far away.
    gap = np.min(abs(g[:, None] - np.array(dual.ends)), -1)
    assert np.all(best[(dual(g) == inf) & (gap > 1e-3)] > 100)
    # Otherwise the supremum is attained at every point of ∂f*(g).
    s = dual.subdifferential(g)
    for end in (s.lower, s.upper):
        k = np.isfinite(end)
        same(f(end[k]) + dual(g[k]), end[k] * g[k], 1e-11)


@every_convex
def test_fenchel_young(f):
    x, dual = inside(f), f.conjugate()
    s = f.subdifferential(x)
    middle = np.clip(0.3, s.lower, s.upper)
    for g in (s.lower, s.upper, middle):
        k = np.isfinite(g)
        same(f(x[k]) + dual(g[k]), x[k] * g[k], 1e-11)
        back = dual.subdifferential(g[k])
        slack = 1e-11 * (1 + abs(x[k]))
        assert np.all((back.lower - slack <= x[k]) & (x[k] <= back.upper + slack))


@every_convex
def test_conjugate_is_an_involution(f):
    assert f.conjugate().conjugate() == f.biconjugate() == f
    again = anew(anew(f).conjugate()).conjugate()
    alike(again, f, 1e-12)
    assert again.breakpoints.size == anew(f).breakpoints.size
    assert pickle.loads(pickle.dumps(f.conjugate())) == f.conjugate()


@every_steep
def test_conjugates_of_steep_functions_are_refused_by_name(f):
    calls = [f.conjugate, f.biconjugate, f.moreau_envelope, f.prox_map]
    calls += [lambda: f.infimal_convolution(t**2), lambda: f.proximal_average(t**2)]
    calls += [lambda: (t**2).infimal_convolution(f), lambda: (t**2).deconvolution(f)]
    calls += [lambda: f.to_cvxpy(cp.Variable()), f.monotone_operator().graph]
    for call in calls:
        with pytest.raises(NotImplementedError, match=f"degree {f.degree}"):
            call()


# -- the proximal operator ------------------------------------------------------------


@every
def test_prox_is_optimal(f):
    x = np.r_[POINTS, 40 * POINTS, f.breakpoints]
    for step in (*STEPS, 1e-9, 1e9, np.resize(STEPS, x.shape)):
        p = f.prox(x, step)
        g = (x - p) / step
        assert np.all(np.isfinite(f(p)))
        # What rounding of p does to the slope is that of the neighbours of p.
        near = 4e-15 * abs(p)
        sub = f.subdifferential(Interval(p - near, p + near))
        slack = 1e-13 * (1 + abs(g) + (abs(x) + abs(p)) / step)
        assert np.all((sub.lower - slack <= g) & (g <= sub.upper + slack))


@every_convex
def test_prox_map_and_envelope_are_those_of_prox(f):
    x = np.r_[POINTS, 40 * POINTS]
    for step in STEPS:
        p = f.prox(x, step)
        move = f.prox_map(step)
        same(move(x), p, 1e-12)
        assert move.jumps.size == 0 and move.domain == P.open(-P.inf, P.inf)
        envelope = f.moreau_envelope(step)
        assert envelope.is_convex and envelope.kinks.size == 0
        same(envelope(x), f(p) + (x - p) ** 2 / (2 * step), 1e-11)
        s = dense(f)
        least = (f(s) + (POINTS[:, None] - s) ** 2 / (2 * step)).min(-1)
        assert np.all(envelope(POINTS) <= least + 1e-9)
        same(envelope.derivative()(x), (x - p) / step, 1e-10)
        alike(anew(envelope), f.infimal_convolution(t**2 / (2 * step)), 1e-9)


@every_convex
def test_moreau_identity(f):
    dual = f.conjugate()
    for step in STEPS:
        other = step * dual.prox(POINTS / step, 1 / step)
        same(f.prox(POINTS, step) + other, POINTS, 1e-12)


# -- the other transforms -------------------------------------------------------------


@pairs
def test_infimal_convolution_is_the_definition(f, others):
    for g in others:
        x, s = POINTS[::2], dense(f)
        with np.errstate(invalid="ignore"):
            sums = f(s) + g(x[:, None] - s)
        try:
            h = f.infimal_convolution(g)
        except ValueError as error:
            assert "-inf everywhere" in str(error)
            # The two fall towards opposite sides faster than they rise on the others.
            assert sums.min() < -1e4
            continue
        assert h.is_convex and h.is_closed and h.kinks.size <= 2 * s.size
        size = 1e-10 * (1 + abs(f(s)) + abs(np.where(sums < inf, sums, 0)))
        assert np.all(h(x)[:, None] <= sums + size)
        total = f.conjugate() + g.conjugate()
        alike(anew(h).conjugate(), total, 1e-9)
        same(h(x), g.infimal_convolution(f)(x), 1e-9)
        # Attained, at points with a common slope.
        y = np.unique(np.r_[x, h.breakpoints])
        sub = h.subdifferential(y)
        slope = np.clip(0.1, sub.lower, sub.upper)
        y, slope = y[np.isfinite(slope)], slope[np.isfinite(slope)]
        one, two = (k.conjugate().subdifferential(slope) for k in (f, g))
        part = np.clip(y, one.lower + 0.0, one.upper)
        part = np.clip(part, y - two.upper, y - two.lower)
        rest = np.clip(y - part, *g.ends)
        same(f(np.clip(part, *f.ends)) + g(rest), h(y), 1e-8)


@pairs
def test_deconvolution_is_the_definition(f, others):
    for g in others:
        x, s = POINTS[::2], dense(g)
        above = f(x[:, None] + s) - g(s)
        try:
            h = f.deconvolution(g)
        except ValueError as error:
            assert "+inf everywhere" in str(error)
            assert np.all(above.max(-1) > 1e3)
            continue
        assert h.is_convex and h.is_closed
        size = 1e-9 * (1 + abs(g(s)) + abs(np.where(above < inf, above, 0)))
        low, up = h.ends
        inner = (x > low + 1e-9) & (x < up - 1e-9)
        assert np.all(above[inner] <= h(x[inner])[:, None] + size[inner])
        k = inner & (abs(x) < 6)
        assert np.all(h(x[k]) <= above[k].max(-1) + 2e-2 * (1 + abs(h(x[k]))))
        outer = (x < low - 1e-2) | (x > up + 1e-2)
        assert np.all(above[outer].max(-1) > 1e3)


@pairs
def test_deconvolution_undoes_infimal_convolution(f, others):
    for g in others:
        # Where f* + g* - g* is f*: when g* is finite everywhere.
        if g.conjugate().ends == (-inf, inf):
            alike(f.infimal_convolution(g).deconvolution(g), f, 1e-8)


@pairs
def test_proximal_average_averages_prox(f, others):
    for g, weight, step in zip(
        others * 2, (0.3,) * 4 + (0, 1), STEPS * 2, strict=False
    ):
        h = f.proximal_average(g, weight, step)
        assert h.is_convex and h.is_closed
        mean = (1 - weight) * f.prox(POINTS, step) + weight * g.prox(POINTS, step)
        same(h.prox(POINTS, step), mean, 1e-9)
        both = (1 - weight) * f.moreau_envelope(step)
        both = both + weight * g.moreau_envelope(step)
        same(h.moreau_envelope(step)(POINTS), both(POINTS), 1e-9)
        if weight in (0, 1):
            alike(h, (f, g)[int(weight)], 1e-8)


@every_convex
def test_proximal_average_with_itself(f):
    for weight, step in ((0.3, 0.3), (0.1, 1 / 3), (0.7, 1e3)):
        h = f.proximal_average(f, weight, step)
        alike(h, f, 1e-9)
        assert h.breakpoints.size == anew(f).breakpoints.size


def test_proximal_average_of_one_function_alone_is_that_function():
    f, g = abs(t), t**2 / 3 + abs(t - 0.1)
    assert f.proximal_average(g, 0) == f and f.proximal_average(g, 1) == g
    assert sg.relu.proximal_average(f, 0) == sg.relu
    with pytest.raises(ValueError, match="slope falls"):
        f.proximal_average(-f, 1)


def test_proximal_average_keeps_the_ends_of_the_domain():
    box, rng = indicator(P.closed(-1, 2)), np.random.default_rng(0)
    for weight, step in zip(rng.random(60), 10 ** rng.normal(size=60), strict=True):
        same(box.proximal_average(box, weight, step).ends, (-1, 2))


def test_transforms_survive_cancellation():
    f = abs(t - 1e8) + 0.3 * abs(t - 1e8 - 1) + where(t > 1e8, (t - 1e8) ** 2, 0)
    g = abs(t + 1e8) + 0.7 * abs(t + 1e8 - 2)
    g = g + where(t < -1e8, (t + 1e8) ** 2, 0)
    h = f.infimal_convolution(g)
    assert h.is_convex and h.deconvolution(g).is_convex
    same(h(POINTS), (f(1e8 + POINTS[:, None]) + g(POINTS - 1e8)).min(0), 3.0)
    assert f.proximal_average(g, 0.3).is_convex
    big = (1e8 * abs(t)).proximal_average(1e8 * abs(t) + 1, 0.5)
    same(big(POINTS), 1e8 * abs(POINTS) + 0.5, 1e-6)
    assert big.breakpoints.tolist() == pytest.approx([0.0], abs=1e-7)


def test_known_transforms():
    assert abs(t).conjugate() == interval_indicator(-1, 1)
    assert (t**2 / 2).conjugate() == t**2 / 2
    assert huber(1.0).conjugate() == t**2 / 4 + indicator(P.closed(-2, 2))
    assert abs(t).moreau_envelope() == huber(1.0) / 2
    assert indicator(P.closed(-1, 2)).prox_map() == sg.clip(-1, 2)
    assert indicator(P.singleton(3)).conjugate() == 3 * t
    soft = where(abs(t) > 1, t - sign(t), 0)
    assert abs(t).prox_map() == soft
    lines = indicator(P.closed(0, 1)).infimal_convolution(indicator(P.closed(2, 5)))
    assert lines == indicator(P.closed(2, 6))
    assert lines.deconvolution(indicator(P.closed(0, 1))) == indicator(P.closed(2, 5))
    assert (t**2).epi_scaling(2) == t**2 / 2
    # The proximal average of the indicators of {0} and of {2}.
    points = [indicator(P.singleton(a)) for a in (0, 2)]
    assert points[0].proximal_average(points[1]) == indicator(P.singleton(1)) + 0.5
    zero = indicator(P.singleton(0)).proximal_average(0 * t, 0.5, 1.0)
    alike(zero, t**2 / 2)


@every
def test_epi_scaling(f):
    for factor in (0.25, 1.0, 3.0):
        g = f.epi_scaling(factor)
        x = inside(f)
        same(g(factor * x), factor * f(x), 1e-12)
        same(g.ends, factor * np.array(f.ends), 1e-15)
        assert g.is_convex and np.array_equal(g.breakpoints, factor * f.breakpoints)
    assert heaviside.epi_scaling(2.0)(np.array([-1, 0, 1])).tolist() == [0, 1, 2]


def test_border():
    f = abs(t)
    for call in (f.infimal_convolution, f.deconvolution, f.proximal_average):
        with pytest.raises(
            TypeError, match="other must be a Piecewise, got Exponential"
        ):
            call(sg.exponential)
        with pytest.raises(TypeError, match="got int"):
            call(3)
    for call in (f.moreau_envelope, f.prox_map, f.epi_scaling):
        for wrong in (0, -1, np.nan, inf, [1, 2]):
            with pytest.raises(ValueError, match="step|factor"):
                call(wrong)
    for wrong in (-0.1, 1.5, np.nan):
        with pytest.raises(ValueError, match="weight"):
            f.proximal_average(f, wrong)
    with pytest.raises(ValueError, match="step"):
        f.proximal_average(f, step=0)
    with pytest.raises(ValueError, match="eps must be nonnegative"):
        f.subdifferential(0, -1)
    for call in (pinball([0.1, 0.2]).argmin, pinball([0.1, 0.2]).moreau_envelope):
        with pytest.raises(ValueError, match=r"batch of shape \(2,\)"):
            call()
    with pytest.raises(ValueError, match="infimal convolution is -inf"):
        t.infimal_convolution(2 * t)
    with pytest.raises(ValueError, match="finite where that of the second is"):
        (t**2).deconvolution(f)
    with pytest.raises(ValueError, match="outgrows"):
        (t**2).deconvolution(t**2 / 2)


def test_the_empty_domain():
    assert nowhere.infimum == inf and nowhere.argmin().empty
    assert np.all(nowhere(POINTS) == inf)
    calls = [nowhere.conjugate, nowhere.moreau_envelope, nowhere.convex_hull]
    calls += [lambda: nowhere.prox(0.0), lambda: nowhere.saturation(0.0)]
    calls += [lambda: abs(t).infimal_convolution(nowhere)]
    for call in calls:
        with pytest.raises(ValueError, match="finite somewhere"):
            call()


# -- where f is small -----------------------------------------------------------------


@every
def test_infimum_and_argmin(f):
    s, low, least = dense(f), f.infimum, f.argmin()
    assert f(s).min() >= low - 1e-14 * (1 + abs(low))
    if low == -inf:
        assert least.empty and f(s).min() < -100
        return
    assert f(s).min() <= low + 1e-4 * (1 + abs(low))
    right = f._right(np.array([-inf, inf]))
    attained = right[0] <= 0 <= right[1]
    assert attained and least.atomic and not least.empty
    for end, out in ((least.lower, -1), (least.upper, 1)):
        if end in (P.inf, -P.inf):
            assert f(out * 1e9) == low
            continue
        same(f(end), low, 1e-13)
        beyond = end + out * 1e-3 * (1 + abs(end))
        assert f(beyond) > low and f(beyond) >= f(end)


def test_infimum_and_argmin_of_others():
    assert f"{((t**2 - 1) ** 2).argmin()}" == "[-1.0] | [1.0]"
    assert ((t**2 - 1) ** 2).infimum == 0
    assert (t + indicator(P.openclosed(0, 1))).argmin().empty
    assert (t + indicator(P.openclosed(0, 1))).infimum == 0
    assert heaviside.argmin() == P.open(-P.inf, 0) and heaviside.infimum == 0
    assert (-heaviside).argmin() == P.open(0, P.inf)
    assert where(P.singleton(3), -1, abs(t)).argmin() == P.singleton(3)
    assert where(t > 3, -inf, t**2).argmin() == P.open(3, P.inf)
    assert Piecewise([3], [[0, 0, 1], [np.nan]]).argmin() == P.singleton(0)
    assert Piecewise([], [[np.nan]]).infimum == inf
    assert (t**3).infimum == -inf and (t**3).argmin().empty
    flat = where(abs(t) < 1, 0, t**2)
    assert flat.argmin() == P.open(-1, 1) and flat.infimum == 0
    # A slope is not lost beside a large constant, nor a flat piece beside rounding.
    slow = 1 + 1e-20 * abs(t) + indicator(P.closed(-1, 1))
    assert slow.argmin() == P.singleton(0)
    for a, n in product(np.linspace(0.05, 3, 12).tolist(), (2, 4)):
        least = where(t > a, 0.7 * (t - a) ** n, 0).argmin()
        assert least.atomic and least.lower == -P.inf
        assert least.upper == pytest.approx(a, 1e-4)


def test_argmin_of_every_kind_of_function():
    assert square.argmin() == P.singleton(0)
    least = entropy.argmin()
    assert least.lower == least.upper == pytest.approx(np.exp(-1))
    assert sg.exponential.argmin().empty and negative_sqrt.argmin().empty
    assert pinball(0.0).argmin() == half_line(0)
    assert sg.relu.argmin() == other_half_line(0)
    assert interval_indicator(-1, 2).argmin() == P.closed(-1, 2)
    assert square.biconjugate() == square and entropy.biconjugate() == entropy


@every
def test_sublevel(f):
    for level in (-1.0, 0.5, 4.0):
        found, s = f.sublevel(level), dense(f)
        s = s[abs(f(s) - level) > 1e-9]
        assert [x in found for x in s[::7]] == (f(s[::7]) <= level).tolist()
        assert found.atomic


# -- the convex hull ------------------------------------------------------------------


def test_convex_hull_is_the_biconjugate():
    rng = np.random.default_rng(11)
    slopes, bounded = np.linspace(-6, 6, 25), 0
    for _ in range(120):
        f = random_any(rng)
        if f.domain.empty:
            continue
        s = np.unique(np.r_[np.linspace(-60, 60, 9601), f.breakpoints])
        below = f.closure()(s)
        try:
            h = f.convex_hull()
        except ValueError as error:
            # Bent down far away, or with slopes that cross.
            assert "-inf" in str(error)
            far = np.array([-2e9, -1e9, 1e9, 2e9])
            falls = [-np.diff(f(s))[0] for s in (far[1::-1], far[2:]) if f(s[0]) < inf]
            assert max(falls) > 1e15 or sum(falls) > 1
            continue
        assert h.is_convex and h.is_closed and h.convex_hull() == h
        finite = np.isfinite(below)
        assert np.all(h(s[finite]) <= below[finite] + 1e-10 * (1 + abs(below[finite])))
        if f.is_convex and f.is_closed:
            assert h == f
        best = (slopes[:, None] * s[finite] - below[finite]).max(-1)
        dual = h.conjugate()(slopes)
        known = np.isfinite(dual) & (abs(dual) < 50)
        same(dual[known], best[known], 2e-3)
        bounded += known.any()
    assert bounded > 30


@every
def test_convex_hull_of_a_convex_function_is_itself(f):
    assert f.convex_hull() == f


# -- sizes and types ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["absolute", "square", "huber", "polyhedral"])
@pytest.mark.parametrize("high", [1e-150, 1e-8, 1.0, 1e8, 1e150])
@pytest.mark.parametrize("wide", [1e-150, 1e-8, 1.0, 1e8, 1e150])
def test_scales(name, high, wide):
    """a f(t / b) has the transforms of f, scaled."""
    f, x = anew(CONVEX[name]), np.linspace(-3, 3, 25)
    p = f._pieces
    if not 1e-300 < high / wide < 1e300 or (f.degree == 2 and high / wide > 1e149):
        return
    with np.errstate(under="ignore"):
        powers = high / wide ** np.arange(f.degree + 1.0)
    if not np.all((powers > 1e-300) & (powers < 1e300)):
        return
    c = p.coefficients * powers
    arrays = p.points * wide, c, p.anchors * wide, p.values * high
    g = Piecewise._of(type(p)(*arrays))
    steep, step = high / wide, wide / (high / wide)
    with np.errstate(over="ignore"):
        same(g(x * wide) / high, f(x))
        for eps in (0.0, 0.3):
            a, b = g.subdifferential(x * wide, eps * high), f.subdifferential(x, eps)
            same(a.lower / steep, b.lower)
            same(a.upper / steep, b.upper)
        same(g.conjugate()(x * steep) / high, f.conjugate()(x))
        same(anew(g.conjugate()).conjugate()(x * wide) / high, f(x))
        same(g.infimal_convolution(g)(x * wide) / high, f.infimal_convolution(f)(x))
        same(g.saturation(x * wide) / high, f.saturation(x))
        same(g.infimum / high, f.infimum)
        same(g.convex_hull()(x * wide) / high, f(x))
        if 1e-300 < step < 1e300:
            same(g.prox(x * wide, step) / wide, f.prox(x, 1.0))
            envelope = g.moreau_envelope(step)
            same(envelope(x * wide) / high, f.moreau_envelope()(x))
            same(g.prox_map(step)(x * wide) / wide, f.prox_map()(x))


def test_neighbouring_breakpoints():
    up = np.nextafter(1.0, 2.0)
    f = abs(t - 1) + abs(t - up) + abs(t - np.nextafter(up, 2.0))
    f = f + where(t < 0, t**2, 0)
    for step in (1e-3, 1.0, 1e6):
        for g in (f.prox_map(step), f.moreau_envelope(step), f.conjugate()):
            assert np.all(np.diff(g.breakpoints) > 0) and g.jumps.size == 0
        same(f.prox_map(step)(POINTS), f.prox(POINTS, step), 1e-12)
    alike(anew(f.conjugate()).conjugate(), f, 1e-12)


def test_many_pieces():
    rng, count = np.random.default_rng(0), 100_000
    points, slopes = (np.sort(rng.normal(size=count + k)) for k in (0, 1))
    f = Piecewise.from_slopes(points, slopes) + t**2
    x = rng.normal(size=2000)
    assert f.is_convex and f.is_closed
    s = f.subdifferential(x, 1e-3)
    assert np.all(s.lower <= f.left_slope(x)) and np.all(s.upper >= f.right_slope(x))
    p = f.prox(x)
    sub, slack = f.subdifferential(p), 1e-12
    assert np.all((sub.lower - slack <= x - p) & (x - p <= sub.upper + slack))
    dual = f.conjugate()
    same(anew(dual).conjugate()(x), f(x), 1e-11)
    same(f.moreau_envelope()(x), f(p) + (x - p) ** 2 / 2, 1e-11)
    assert f(f.argmin().lower) == pytest.approx(f.infimum, abs=1e-12)
    assert f.infimal_convolution(t**2).conjugate().is_convex


@every
def test_float32_stays(f):
    x = inside(f)
    x = x[(x * 4 == np.round(x * 4)) & (abs(x) < 4)]
    y = x.astype(np.float32)
    for eps in (0.0, 0.5):
        s, wide = f.subdifferential(y, eps), f.subdifferential(x, eps)
        assert s.lower.dtype == s.upper.dtype == np.float32
        same(s.lower, wide.lower, 1e-5)
        same(s.upper, wide.upper, 1e-5)
    for call in (f.value, f.prox, f.saturation, lambda x: f.prox(x, 0.5)):
        assert call(y).dtype == np.float32
        same(call(y), call(x), 1e-5)
    assert f.prox(y, np.full(y.shape, 0.5)).dtype == np.float64
    assert f.prox(y, np.full(y.shape, 0.5, np.float32)).dtype == np.float32


# -- in n dimensions ------------------------------------------------------------------


@every
def test_separable(f):
    rng, weights = np.random.default_rng(3), np.array([0.5, 2.0, 1.0])
    low, up = np.clip(f.ends, -3, 3)
    x = np.r_[inside(f), rng.uniform(low, up, 12)]
    x = rng.choice(x[abs(x) < 4], (20, 3))
    h = sg.Separable(f, weights)
    assert h.polyhedral == (f.degree <= 1)
    same(h.value(x), (weights * f(x)).sum(-1))
    box, each = h.subdifferential(x).box(), f.subdifferential(x)
    same(box.lower, weights * each.lower)
    same(box.upper, weights * each.upper)
    same(h.prox(x, 0.7), f.prox(x, 0.7 * weights))
    # The budget is spent so that no more than ε is lost in all.
    g = h.subdifferential(x, 0.5).box()
    y = rng.uniform(low, up, (200, 1, 3))
    for end in (g.lower, g.upper):
        end = np.where(np.isfinite(end), end, np.clip(0.0, g.lower, g.upper))
        bound = h.value(x) + (end * (y - x)).sum(-1) - 0.5
        assert np.all(bound <= h.value(y) + 1e-9)


@pytest.mark.parametrize("name", ["curves and kinks", "huber", "with rounding"])
def test_penalty_of_an_affine_map(name):
    f, rng = CONVEX[name], np.random.default_rng(2)
    a, b = rng.normal(size=(5, 3)), rng.normal(size=5)
    u = sg.variable(3)
    h = sg.Separable(f)(a @ u + b) + sg.norm1(u)
    for x in (np.zeros(3), np.linalg.lstsq(a, -b)[0], rng.normal(size=3)):
        assert h.value(x) == pytest.approx(f(a @ x + b).sum() + abs(x).sum())
        sub = h.subdifferential(x)
        for d in rng.normal(size=(4, 3)):
            slope = h.directional_derivative(x, d)
            assert slope == pytest.approx(
                (h.value(x + 1e-7 * d) - h.value(x)) / 1e-7, 1e-4
            )
            assert sub.support(d) == pytest.approx(slope)


@pytest.mark.slow
def test_a_drawn_penalty_is_minimised_with_a_proof():
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(12, 3)), rng.normal(size=12)
    slopes = sg.Piecewise.from_slopes([-1, 0, 2], [-3, -1, 0.5, 2])
    for f in (slopes, sg.maximum(t**2, 1 - t, 3 * t - 1), slopes.moreau_envelope(0.5)):
        h = sg.separable(f, rng.uniform(0.5, 2, 12))(a @ sg.variable(3) - b)
        found = sg.minimize(h, np.zeros(3), stop=sg.MaxIter(4000), radius=10.0)
        best = sg.cvx.reference(h).fun
        assert found.lower_bound <= best + 1e-7 and found.fun <= best * (1 + 1e-2)
        assert found.certificate.verify(h)
        assert found.fun == pytest.approx(h.value(found.x))


# -- in cvxpy -------------------------------------------------------------------------


@every_convex
def test_cvxpy_has_the_same_values(f):
    for shape in ((), (2, 3)):
        x = cp.Variable(shape)
        expression = f.to_cvxpy(x)
        assert expression.is_convex() and expression.shape == shape
        for s in np.r_[POINTS[::3], f.breakpoints]:
            x.value = np.full(shape, s)
            with np.errstate(all="ignore"):
                other = expression.value
            if np.isfinite(f(s)):
                assert np.allclose(other, f(s), 1e-12, 1e-12)
            else:
                assert not np.isfinite(other).any()


@every_convex
def test_cvxpy_has_the_same_prox(f):
    cvxpy_has_the_same_prox(f, 2e-4)


def test_rows_have_every_kind():
    assert {f.degree for f in EVERY.values()} == {0, 1, 2, 3, 4, 6}
    assert all(f.degree > 2 for f in STEEP.values())
    assert plus.is_convex and isinstance(
        random_convex(np.random.default_rng(0), True), Piecewise
    )
