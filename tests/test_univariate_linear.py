"""Piecewise linear functions of one variable."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from univariate_rows import (
    POINTS,
    every_linear,
    inf,
    inside,
)

from subgrad.univariate import linear as linear_module
from subgrad.univariate.catalog import (
    absolute,
)
from subgrad.univariate.convex import Univariate
from subgrad.univariate.linear import PiecewiseLinear

ends = st.sampled_from([(False, False), (True, False), (False, True), (True, True)])
small = st.integers(-4, 4)


@every_linear
def test_halving_serves_functions_with_kinks(phi):
    for step in (0.25, 1.0, 8.0):
        slow = Univariate._prox(phi, POINTS, step)
        assert np.allclose(phi.prox(POINTS, step), slow, 1e-14, 1e-14)
    t = inside(phi)
    s = phi.subdifferential(t, 0.5)
    lower, upper = Univariate._widened(phi, t, 0.5)
    assert np.allclose(lower, s.lower, 1e-12, 1e-12)
    assert np.allclose(upper, s.upper, 1e-12, 1e-12)


@every_linear
def test_saturation_is_the_eps_at_which_growth_stops(phi):
    t = inside(phi)
    cost = phi.saturation(t)
    s0, s1 = phi.slopes[0], phi.slopes[-1]
    finite = np.isfinite(cost)
    if phi._everywhere:
        assert finite.all()
    s = phi.subdifferential(t[finite], cost[finite] + 1e-9)
    assert np.allclose(s.lower, s0) and np.allclose(s.upper, s1)
    grows = finite & (cost > 0)
    s = phi.subdifferential(t[grows], cost[grows] * 0.99)
    assert np.all((s.lower > s0) | (s.upper < s1))
    for eps in (10.0, 1e3):
        small, large = (phi.subdifferential(t[~finite], e) for e in (eps, 2 * eps))
        assert np.all((large.lower < small.lower) | (large.upper > small.upper))


@every_linear
def test_search_and_passes_agree(phi, monkeypatch):
    t = POINTS
    results = []
    for few in (0, 100):
        monkeypatch.setattr(linear_module, "FEW", few)
        s = [phi.subdifferential(t, e) for e in (0.0, 0.1, 5.0)]
        parts = [phi.value(t), phi.prox(t, 0.5), phi.saturation(t)]
        results.append(parts + [e for i in s for e in (i.lower, i.upper)])
    for searched, passed in zip(*results, strict=True):
        assert np.allclose(searched, passed, 1e-14, 1e-14)


def test_ten_thousand_breakpoints():
    rng = np.random.default_rng(0)
    points = np.sort(rng.integers(-(2**20), 2**20, 10_000) / 2**10)
    slopes = np.sort(rng.integers(-(2**20), 2**20, 10_001) / 2**10)
    phi = PiecewiseLinear(points, slopes, at=(3, 1))
    t = np.r_[rng.choice(points, 50), rng.normal(size=50) * 500, 1e4, -1e4]
    jumps = np.diff(slopes)

    def brute(x):
        """Exact: sums of multiples of 2^-20 below 2^43."""
        return slopes[0] * x + (jumps * np.maximum(x[..., None] - points, 0)).sum(-1)

    assert np.allclose(phi.value(t), brute(t) - brute(np.array(3.0)) + 1, 1e-12, 0)
    knots = phi.value(points)
    some = slice(None, None, 97)
    assert np.array_equal(knots[some], brute(points[some]) - brute(np.array(3.0)) + 1)
    assert np.array_equal(phi.left_slope(t), [slopes[(points < x).sum()] for x in t])
    assert np.array_equal(phi.right_slope(t), [slopes[(points <= x).sum()] for x in t])
    for eps in (0.1, 1e4, 1e9):
        s = phi.subdifferential(t, eps)
        for x, lower, upper in zip(t, s.lower, s.upper, strict=True):
            after, before = points > x, points < x
            rise = knots - phi.value(x) + eps
            high = np.r_[rise[after] / (points[after] - x), slopes[-1]].min()
            low = np.r_[-rise[before] / (x - points[before]), slopes[0]].max()
            assert np.allclose([lower, upper], [low, high], 1e-12, 0)
    p = phi.prox(t, 0.5)
    g, s = (t - p) / 0.5, phi.subdifferential(p)
    assert np.all((s.lower <= g + 1e-9) & (g <= s.upper + 1e-9))


@settings(max_examples=200, deadline=None)
@given(st.data(), ends, st.integers(0, 11))
@pytest.mark.slow
def test_exact_on_integers(data, infinite, count):
    """Integers make every value exact, and fractions the reference."""
    points = sorted(data.draw(st.lists(small, min_size=count, max_size=count)))
    slopes = sorted(data.draw(st.lists(small, min_size=count + 1, max_size=count + 1)))
    lower = points[0] if infinite[0] and count else -inf
    upper = points[-1] if infinite[1] and count else inf
    if infinite == (True, True) and count == 1:
        slopes = [-inf, inf]
    if count:
        slopes[0] = -inf if infinite[0] else slopes[0]
        slopes[-1] = inf if infinite[1] else slopes[-1]
    choices = [a for a in range(-6, 7) if lower <= a <= upper]
    a, v = data.draw(st.sampled_from(choices)), data.draw(small)
    phi = PiecewiseLinear(points, slopes, at=(a, v))
    assert phi.ends == (lower, upper)

    def brute(t):
        if not lower <= t <= upper:
            return inf
        total, x = Fraction(v), Fraction(a)
        stops = sorted({a, t, *(p for p in points if min(a, t) < p < max(a, t))})
        for left, right in zip(stops, stops[1:], strict=False):
            middle = Fraction(left + right) / 2
            slope = slopes[sum(p < middle for p in points)]
            total += (1 if t > x else -1) * (right - left) * Fraction(slope)
        return total

    grid = [k / 2 for k in range(-14, 15)]
    values = {Fraction(t): brute(Fraction(t)) for t in grid}
    assert phi.value(grid).tolist() == [float(x) for x in values.values()]
    eps = data.draw(st.sampled_from([Fraction(1, 4), Fraction(3), Fraction(11)]))
    s = phi.subdifferential(grid, float(eps))
    for t, low, high in zip(values, s.lower, s.upper, strict=True):
        if values[t] == inf:
            assert (low, high) == (inf, -inf)
            continue
        stop = {Fraction(p): brute(Fraction(p)) for p in points}
        rise = {p: stop[p] - values[t] + eps for p in stop}
        first = min([rise[p] / (p - t) for p in stop if p > t], default=inf)
        last = max([rise[p] / (p - t) for p in stop if p < t], default=-inf)
        first, last = min(first, slopes[-1]), max(last, slopes[0])
        assert np.allclose([low, high], [float(last), float(first)], 1e-15, 0)


def test_distant_breakpoints_cost_no_digits():
    phi = PiecewiseLinear([-1e8, 0.1, 1e8], [-3, -1, 1, 3], at=(0.1, 0))
    t = 0.1 + np.array([-1e-7, -1e-12, 0, 1e-12, 1e-7])
    assert np.array_equal(phi.value(t), abs(t - 0.1))
    shifted = PiecewiseLinear([1e8, 1e8 + 1], [0, 1, 2], at=(1e8, 0))
    assert shifted.value(1e8 + 0.5) == 0.5 and shifted.value(1e8 + 1.5) == 2


@every_linear
def test_value_is_the_limit_at_infinity_and_never_nan(phi):
    for t, slope in ((inf, phi.slopes[-1]), (-inf, -phi.slopes[0])):
        bound = phi.value(t)
        assert bound == slope * inf if slope else np.isfinite(bound)


@pytest.mark.parametrize(
    ("points", "slopes", "at", "message"),
    [
        (
            [1, 0],
            [0, 1, 2],
            (0, 0),
            "breakpoints must be nondecreasing.*1.0 before 0.0",
        ),
        ([0], [1, -1], (0, 0), "slopes must be nondecreasing.*1.0 before -1.0"),
        ([0], [0], (0, 0), "K breakpoints need K \\+ 1 slopes"),
        ([0], [0, 1, 2], (0, 0), "K breakpoints need K \\+ 1 slopes"),
        (0, [0, 1], (0, 0), "K breakpoints need K \\+ 1 slopes"),
        ([np.nan], [0, 1], (0, 0), "breakpoints must not contain nan"),
        ([0], [0, np.nan], (0, 0), "slopes must not contain nan"),
        ([inf], [0, 1], (0, 0), "breakpoints must be finite"),
        ([0, 1], [-inf, -inf, 1], (0, 0), "only slopes\\[0\\] may be -inf"),
        ([0, 1], [0, inf, inf], (0, 0), "only slopes\\[0\\] may be -inf"),
        ([], [inf], (0, 0), "with a breakpoint"),
        ([1], [-inf, 0], (0, 0), "at\\[0\\].* must lie in the domain"),
        ([-1], [0, inf], (0, 0), "at\\[0\\].* must lie in the domain"),
        ([0], [0, 1], (0, np.nan), "at\\[1\\] must not contain nan"),
        ([0], [0, 1], (np.nan, 0), "at\\[0\\] must not contain nan"),
        (
            [0],
            [[-inf, 1], [0, 1]],
            (0, 0),
            "slopes\\[0\\] must be infinite for the whole",
        ),
        ([[0], [1]], [[0, 1], [0, 1], [1, 2]], (0, 0), "batch shapes that broadcast"),
    ],
)
def test_wrong_pieces(points, slopes, at, message):
    with pytest.raises(ValueError, match=message):
        PiecewiseLinear(points, slopes, at)


def test_parameters_are_copied():
    points, slopes = np.array([0.0]), np.array([-1.0, 1.0])
    phi = PiecewiseLinear(points, slopes)
    points[0], slopes[0] = 5, -3
    assert phi == absolute
    with pytest.raises(ValueError):
        phi.slopes[0] = 0
