"""Laws of the univariate functions, each against its definition."""

from __future__ import annotations

import pickle
from fractions import Fraction

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subgrad.univariate import linear as linear_module
from subgrad.univariate.catalog import (
    absolute,
    entropy,
    epsilon_insensitive,
    exponential,
    hinge,
    interval_indicator,
    linear,
    negative_sqrt,
    pinball,
    relu,
    square,
)
from subgrad.univariate.convex import Univariate
from subgrad.univariate.linear import PiecewiseLinear
from subgrad.univariate.smooth import (
    Entropy,
    Exponential,
    InverseNegative,
    Square,
)

inf = np.inf

LINEAR = {
    "absolute": absolute,
    "relu": relu,
    "hinge": hinge,
    "pinball": pinball(0.75),
    "pinball 0": pinball(0),
    "epsilon_insensitive": epsilon_insensitive(0.5),
    "epsilon_insensitive 0": epsilon_insensitive(0),
    "interval": interval_indicator(-1, 2),
    "half line": interval_indicator(0, inf),
    "other half line": interval_indicator(-inf, 1),
    "line": interval_indicator(-inf, inf),
    "point": interval_indicator(1, 1),
    "conjugate point": PiecewiseLinear([0.5], [-inf, inf], at=(0.5, -2)),
    "linear": linear(-0.5),
    "affine": PiecewiseLinear([], [2], at=(1, 3)),
    "duplicates": PiecewiseLinear([-1, 1, 1, 1], [-2, 0, 0.5, 0.75, 3]),
    "equal slopes": PiecewiseLinear([-1, 0, 1], [-1, 1, 1, 2], at=(2, -3)),
    "steep end": PiecewiseLinear([-1, 0, 1], [-inf, -2, 1, 4], at=(0.5, 1)),
    "many": PiecewiseLinear(
        np.arange(-6, 6) / 2, np.arange(-6, 7) ** 3 / 4, at=(0.25, -1)
    ),
    "many, bounded": PiecewiseLinear(
        np.arange(-6, 6) / 2, [-inf, *range(-4, 7), inf], at=(-3, 5)
    ),
}
SMOOTH = {
    "square": square,
    "square 49": Square(49),
    "entropy": entropy,
    "entropy 0.3": Entropy(0.3),
    "exponential": exponential,
    "exponential 0.3": Exponential(0.3),
    "negative_sqrt": negative_sqrt,
    "inverse": InverseNegative(),
}
ROWS = LINEAR | SMOOTH
BATCH = {
    "pinball": pinball([0.0, 0.1, 0.5, 1.0]),
    "insensitive": epsilon_insensitive([0.0, 0.1, 0.5, 1.0]),
    "interval": interval_indicator([-2, -1, 0, 1], [2, 1, 0.5, 1]),
    "half lines": interval_indicator([-2, -1, 0, 1], inf),
    "linear": linear([-1, 0, 0.5, 2]),
    "points": PiecewiseLinear(
        [[-1], [0], [0.5], [2]], [-inf, inf], [[-1, 0, 0.5, 2], 1]
    ),
    "values": PiecewiseLinear([0], [-1, 1], at=(0, [1, 2, 3, 4])),
    "many": PiecewiseLinear(
        np.arange(48.0).reshape(4, 12) / 8 - 3, np.arange(-6, 7) / 2, at=(1, 2)
    ),
    "many slopes": PiecewiseLinear(
        np.arange(-6, 6) / 4,
        np.arange(52.0).reshape(4, 13) / 8 - 3,
        at=([0, 1, 2, 3], 0),
    ),
    "square": Square([0.5, 1, 2, 49]),
    "entropy": Entropy([-1, 0, 1, 0.3]),
    "exponential": Exponential([-1, 0, 1, 0.3]),
}
# Every kink and end of a domain above, their neighbours, and points far from all.
POINTS = np.unique(np.r_[np.arange(-14, 15) / 4, -0.3, 0.7, -9, 9, 1e-3, -1e-3])

every = pytest.mark.parametrize("phi", ROWS.values(), ids=ROWS.keys())
every_linear = pytest.mark.parametrize("phi", LINEAR.values(), ids=LINEAR.keys())
every_smooth = pytest.mark.parametrize("phi", SMOOTH.values(), ids=SMOOTH.keys())
every_batch = pytest.mark.parametrize("phi", BATCH.values(), ids=BATCH.keys())


def inside(phi):
    t = POINTS[np.isfinite(phi.value(POINTS))]
    assert t.size
    return t


def fenchel_gap(phi, t, g):
    """φ(t) + φ*(g) - g t."""
    return phi.value(t) + phi.conjugate().value(g) - g * t


# -- derivatives ----------------------------------------------------------------------


@every
def test_directional_derivative_is_the_limit_of_quotients(phi):
    t, h = inside(phi), 2.0**-20
    for d in (1.0, -1.0, 3.0, -0.5):
        quotient = (phi.value(t + h * d) - phi.value(t)) / h
        given = phi.directional_derivative(t, d)
        # By convexity it lies between the derivatives at its two ends.
        ahead = -phi.directional_derivative(t + h * d, -d)
        slack = 1e-9 * (1 + abs(phi.value(t)))
        assert np.array_equal(given == inf, quotient == inf)
        assert np.all(given <= quotient + slack) and np.all(quotient <= ahead + slack)
        near = given > -inf
        assert np.allclose(given[near], ahead[near], 1e-2, 1e-3)
    assert np.all(phi.directional_derivative(t, 0.0) == 0)
    assert np.all(phi.directional_derivative(t, np.zeros_like(t)) == 0)


@every
def test_subdifferential_is_between_the_one_sided_derivatives(phi):
    t = inside(phi)
    up, down = phi.directional_derivative(t, 1), -phi.directional_derivative(t, -1)
    empty = (up == down) & np.isinf(up)
    assert np.array_equal(phi.left_slope(t), np.where(empty, inf, down))
    assert np.array_equal(phi.right_slope(t), np.where(empty, -inf, up))
    outside = np.setdiff1d(POINTS, t)
    assert np.all(phi.left_slope(outside) == inf)
    assert np.all(phi.right_slope(outside) == -inf)
    for eps in (0.0, 0.5):
        s = phi.subdifferential(outside, eps)
        assert np.all(s.lower == inf) and np.all(s.upper == -inf)
    s = phi.subdifferential(POINTS)
    assert np.array_equal(s.lower, phi.left_slope(POINTS))
    assert np.array_equal(s.upper, phi.right_slope(POINTS))


@every
@pytest.mark.parametrize("eps", [1e-3, 0.25, 1.0, 7.0])
def test_eps_subdifferential_is_the_definition(phi, eps):
    t = inside(phi)
    s = phi.subdifferential(t, eps)
    # Dense around t and around the end of the domain, where the best s may hide.
    steps = np.geomspace(1e-7, 1e9, 30001)
    rim = np.geomspace(1e-12, 10, 8001)
    away = np.subtract.outer(np.r_[POINTS, rim, -rim], t)
    ends = []
    for sign in (1, -1):
        h = np.concatenate([np.tile(steps, (t.size, 1)), (sign * away).T], 1)
        h = np.where(h > 0, h, 1.0)
        rise = phi.value(t[:, None] + sign * h) - phi.value(t)[:, None] + eps
        ends.append(sign * (rise / h).min(1))
    upper, lower = ends
    for end, best in ((s.upper, upper), (s.lower, lower)):
        assert np.array_equal(np.isinf(end), np.isinf(best))
        known = np.isfinite(best)
        assert np.allclose(end[known], best[known], rtol=1e-5, atol=1e-7)


@every
@pytest.mark.parametrize("eps", [1e-6, 0.01, 0.3, 4.0])
def test_eps_subdifferential_by_the_conjugate(phi, eps):
    t = inside(phi)
    s, exact = phi.subdifferential(t, eps), phi.subdifferential(t)
    assert np.all(s.lower <= exact.lower) and np.all(s.upper >= exact.upper)
    for end, out, rim in ((s.upper, 1, exact.upper), (s.lower, -1, exact.lower)):
        known = np.isfinite(end)
        x, g = t[known], end[known]
        size = 1 + abs(phi.value(x)) + abs(g * x)
        assert np.all(fenchel_gap(phi, x, g) <= eps + 4e-15 * size)
        beyond = g + out * 1e-6 * (1 + abs(g))
        assert np.all(fenchel_gap(phi, x, beyond) > eps)
        # Where φ is not smooth the growth with eps may stop, but never before ∂φ(t).
        assert np.all(out * (g - rim[known]) >= 0)


@every
def test_eps_may_differ_from_entry_to_entry(phi):
    t = inside(phi)
    eps = np.resize([0.0, 0.5, 2.0], t.shape)
    s = phi.subdifferential(t, eps)
    for e in np.unique(eps):
        one = phi.subdifferential(t, e)
        assert np.array_equal(s.lower[eps == e], one.lower[eps == e])
        assert np.array_equal(s.upper[eps == e], one.upper[eps == e])
    s = phi.subdifferential(t, [[0.0], [0.5]])
    assert s.shape == (2, t.size)
    assert np.array_equal(s.upper[1], phi.subdifferential(t, 0.5).upper)


@every_smooth
def test_closed_forms_agree_with_halving(phi):
    t, steps = inside(phi), [1e-3, 1.0, 50.0]
    for eps in (1e-3, 1.0):
        s = phi.subdifferential(t, eps)
        lower, upper = Univariate._widened(phi, t, eps)
        assert np.allclose(s.lower, lower, 1e-9, 1e-9)
        assert np.allclose(s.upper, upper, 1e-9, 1e-9)
    t = np.r_[POINTS, -1e3, 1e3, 1e6, -1e8, 1e8]
    for step in steps:
        fast, slow = phi.prox(t, step), Univariate._prox(phi, t, step)
        assert np.allclose(fast, slow, rtol=2e-14, atol=1e-14 * min(step, 1))


@every_linear
def test_halving_serves_functions_with_kinks(phi):
    for step in (0.25, 1.0, 8.0):
        slow = Univariate._prox(phi, POINTS, step)
        assert np.allclose(phi.prox(POINTS, step), slow, 1e-14, 1e-14)
    t = inside(phi)
    s = phi.subdifferential(t, 0.5)
    lower, upper = Univariate._widened(phi, t, 0.5)
    # Along a ray of directions or at the very end it may be smaller, never larger.
    assert np.all(lower >= s.lower - 1e-12) and np.all(upper <= s.upper + 1e-12)
    if phi._everywhere:
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


def test_saturation_values():
    t = np.array([-2, -1, 0, 0.5, 3])
    assert np.array_equal(absolute.saturation(t), 2 * abs(t))
    assert np.array_equal(relu.saturation(t), abs(t))
    assert np.array_equal(linear(3).saturation(t), 0 * t)
    assert np.array_equal(interval_indicator(0, 1).saturation([0, 0.5, 1]), [inf] * 3)
    assert np.array_equal(interval_indicator(0, inf).saturation([0, 1]), [0, inf])
    assert interval_indicator(1, 1).saturation(1) == 0
    assert np.all(square.saturation(t) == inf) and np.all(entropy.saturation(t) == inf)


# -- prox and conjugate ---------------------------------------------------------------


@every
def test_prox_is_optimal(phi):
    t = np.r_[POINTS, 40 * POINTS]
    for step in (1e-3, 0.5, 1.0, 30.0, np.resize([0.1, 1.0, 10.0], t.shape)):
        p = phi.prox(t, step)
        g = (t - p) / step
        s = phi.subdifferential(p)
        slack = 1e-13 * (1 + abs(g) + (abs(t) + abs(p)) / step)
        # Rounding p moves a smooth slope by |φ''(p)| |p| ulp; a kink holds still.
        near = [phi.subdifferential(p + 1e-15 * e * abs(p)) for e in (-4, 4)]
        lower = s.lower if phi.polyhedral else np.minimum(s.lower, near[0].lower)
        upper = s.upper if phi.polyhedral else np.maximum(s.upper, near[1].upper)
        tiny = np.isfinite(phi.value(p)) & (s.lower > s.upper)
        assert np.all(p[tiny] == 0) and not (phi.polyhedral and tiny.any())
        assert np.all((lower - slack <= g)[~tiny]) and np.all(
            (g <= upper + slack)[~tiny]
        )


@every
def test_moreau_identity(phi):
    dual = phi.conjugate()
    for step in (0.25, 1.0, 6.0):
        other = step * dual.prox(POINTS / step, 1 / step)
        assert np.allclose(phi.prox(POINTS, step) + other, POINTS, 1e-13, 1e-13)


@every
def test_biconjugate_is_equal(phi):
    assert phi.conjugate().conjugate() == phi
    assert (phi.conjugate() == phi) == (phi == square)


@every
def test_fenchel_young(phi):
    # Multiples of 1/4, on which the piecewise linear ones are exact.
    t, dual = inside(phi), phi.conjugate()
    g = inside(dual)
    t, g = (x[x * 4 == np.round(x * 4)] for x in (t, g))
    t, g = t[:, None], g[None, :]
    gap = fenchel_gap(phi, t, g)
    s = phi.subdifferential(t)
    contained = (s.lower <= g) & (g <= s.upper)
    if phi.polyhedral:
        assert np.array_equal(gap == 0, contained)
        assert np.all(gap >= 0)
    else:
        far = (g < s.lower - 1e-3) | (g > s.upper + 1e-3)
        assert np.all(gap[far] > 0) and np.all(gap > -1e-14)
        x = t[s.lower <= s.upper]
        least = fenchel_gap(phi, x, phi.left_slope(x))
        assert np.all(abs(least) <= 1e-15 * (1 + abs(x * phi.left_slope(x))))
    inverse = dual.subdifferential(g)
    backward = (inverse.lower <= t) & (t <= inverse.upper)
    if phi.polyhedral:
        assert np.array_equal(contained, backward)


def test_conjugates_by_name():
    assert absolute.conjugate() == interval_indicator(-1, 1)
    assert relu.conjugate() == interval_indicator(0, 1)
    assert pinball(0.75).conjugate() == interval_indicator(-0.25, 0.75)
    assert linear(2).conjugate() == interval_indicator(
        2, 2
    ).conjugate().conjugate() or (
        linear(2).conjugate() == PiecewiseLinear([2], [-inf, inf], at=(2, 0))
    )
    assert interval_indicator(0, inf).conjugate() == interval_indicator(-inf, 0)
    assert hinge.conjugate().value([-1, -0.5, 0, 1]).tolist() == [-1, -0.5, 0, inf]
    assert Square(4).conjugate() == Square(0.25)
    assert entropy.conjugate() == Exponential(1)
    assert exponential.conjugate() == Entropy(0)
    assert negative_sqrt.conjugate() == InverseNegative()


# -- many breakpoints, batches, types -------------------------------------------------


@every_linear
def test_search_and_passes_agree(phi, monkeypatch):
    t = POINTS
    results = []
    for few in (0, 100):
        monkeypatch.setattr(linear_module, "_FEW", few)
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
    assert np.array_equal(knots, brute(points) - brute(np.array(3.0)) + 1)
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


@every_batch
@pytest.mark.parametrize("shape", [(6,), (4, 6), (3, 4, 6), (1, 6)])
def test_batch_is_a_loop(phi, shape):
    t = np.random.default_rng(1).integers(-6, 7, shape) / 2
    lead = np.broadcast_shapes((4, 6), shape)
    assert phi.batch == (4,)
    eps = np.broadcast_to([0.0, 0.3, 0.0, 1.0, 2.0, 0.1], lead)
    calls = {
        "value": lambda f, t, e: f.value(t),
        "left": lambda f, t, e: f.left_slope(t),
        "right": lambda f, t, e: f.right_slope(t),
        "lower": lambda f, t, e: f.subdifferential(t).lower,
        "lower, eps": lambda f, t, e: f.subdifferential(t, e).lower,
        "upper, eps": lambda f, t, e: f.subdifferential(t, e).upper,
        "prox": lambda f, t, e: f.prox(t, 0.7),
        "prox, steps": lambda f, t, e: f.prox(t, e + 0.5),
        "saturation": lambda f, t, e: f.saturation(t),
        "conjugate": lambda f, t, e: f.conjugate().value(t),
        "conjugate prox": lambda f, t, e: f.conjugate().prox(t),
    }
    for name, call in calls.items():
        whole = call(phi, t, eps)
        assert whole.shape == lead, name
        parts = np.broadcast_to(t, lead)
        for k in range(4):
            one = call(phi._item((k,)), parts[..., k, :], eps[..., k, :])
            assert np.allclose(whole[..., k, :], one, 1e-14, 1e-14), name
    assert phi.infimum == min(phi._item((k,)).infimum for k in range(4))


def test_items_of_a_batch_are_the_functions_made_alone():
    taus = [0.0, 0.1, 1.0]
    for k, tau in enumerate(taus):
        assert pinball(taus)._item((k,)) == pinball(tau)
        assert Square([1, 2, 3])._item((k,)) == Square(k + 1)
    lower, upper = interval_indicator([-1, 0], [1, 2]).domain
    assert lower.tolist() == [-1, 0] and upper.tolist() == [1, 2]
    assert pinball(taus) != pinball(0.1)


@every
def test_float32_stays(phi):
    t = POINTS.astype(np.float32)
    wide = phi.value(t.astype(float))
    known = np.isfinite(wide)
    assert phi.value(t).dtype == np.float32
    assert np.allclose(phi.value(t)[known], wide[known], 1e-5, 1e-5)
    for eps in (0.0, 0.5):
        s = phi.subdifferential(t, eps)
        assert s.lower.dtype == s.upper.dtype == np.float32
    assert phi.prox(t, 0.5).dtype == np.float32
    assert np.allclose(phi.prox(t, 0.5), phi.prox(t.astype(float), 0.5), 1e-5, 1e-5)
    assert phi.prox(t, np.full(t.shape, 0.5)).dtype == np.float64
    assert phi.saturation(t).dtype == np.float32
    assert phi.directional_derivative(t[known], 1.0).dtype == np.float32


@every
def test_pickle_and_repr(phi):
    again = pickle.loads(pickle.dumps(phi))
    assert again == phi and repr(again) == repr(phi)
    classes = (PiecewiseLinear, *map(type, SMOOTH.values()))
    if "..." not in repr(phi):
        names = {c.__name__: c for c in classes}
        assert eval(repr(phi), {"inf": inf, **names}) == phi
    assert phi != "phi" and phi.domain == again.domain


# -- accuracy -------------------------------------------------------------------------

ends = st.sampled_from([(False, False), (True, False), (False, True), (True, True)])
small = st.integers(-4, 4)


@settings(max_examples=200, deadline=None)
@given(st.data(), ends, st.integers(0, 11))
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
    assert phi.domain == (lower, upper)

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


def test_no_overflow():
    big = np.array([-1e300, -1e10, -800.0, 800.0, 1e10, 1e150])
    with np.errstate(all="raise", under="ignore"):
        for phi in (entropy, exponential, negative_sqrt, InverseNegative()):
            assert np.all(np.isfinite(phi.prox(big, 1.0))) or phi is entropy
            assert not np.any(np.isnan(phi.prox(big, 1.0)))
        assert exponential.value(1e4) == inf and exponential.value(-1e4) == 0
    assert exponential.subdifferential(1e4).lower == inf
    assert exponential.prox(1e4, 1.0) == pytest.approx(np.log(1e4 - np.log(1e4)), 1e-3)


# -- what is known about the whole function -------------------------------------------


@every
def test_infimum(phi):
    values = phi.value(np.linspace(-50, 50, 20001))
    if phi.infimum == -inf:
        far = np.min([phi.value(1e12), phi.value(-1e12)])
        assert far < -1e5
    else:
        assert values.min() >= phi.infimum - 1e-15
        assert values.min() <= phi.infimum + 6e-3


@every
def test_nondecreasing_from(phi):
    for m in [*POINTS, -inf]:
        x = np.r_[m, POINTS, m + np.geomspace(1e-6, 1e3, 400)] if m > -inf else POINTS
        x = np.unique(x[x >= m])
        values = np.r_[phi.value(-1e9), phi.value(x)] if m == -inf else phi.value(x)
        rising = np.all(values[1:] >= values[:-1])
        assert phi.nondecreasing_from(m) == rising, m


def test_nondecreasing_in_words():
    box = interval_indicator(0, 1)
    assert not box.nondecreasing_from(-1)  # falls from +inf
    assert box.nondecreasing_from(0) and box.nondecreasing_from(1)
    assert box.nondecreasing_from(2)  # +inf for good
    assert relu.nondecreasing_from(-inf) and exponential.nondecreasing_from(-inf)
    assert not absolute.nondecreasing_from(-inf) and absolute.nondecreasing_from(0)
    assert not pinball([0.5, 1]).nondecreasing_from(-1)
    assert pinball([1, 1]).nondecreasing_from(-1)


def test_domains():
    assert absolute.domain == square.domain == exponential.domain == (-inf, inf)
    assert entropy.domain == negative_sqrt.domain == (0, inf)
    assert InverseNegative().domain == (-inf, 0) and InverseNegative()(0) == inf
    assert interval_indicator(0, 2).domain == (0, 2)
    assert interval_indicator(1, 1).domain == (1, 1)
    assert interval_indicator(-inf, 3).domain == (-inf, 3)


def test_ends_of_domains():
    def ends(phi, t, eps=0.0):
        s = phi.subdifferential(t, eps)
        return s.lower.tolist(), s.upper.tolist()

    t = [-1, 0, 0.5, 1, 2]
    box = interval_indicator(0, 1)
    assert ends(box, t) == ([inf, -inf, 0, 0, inf], [-inf, 0, 0, inf, -inf])
    assert ends(box, t, 1) == ([inf, -inf, -2, -1, inf], [-inf, 1, 2, inf, -inf])
    point = interval_indicator(0.5, 0.5)
    for eps in (0, 1):
        lower = [inf, inf, -inf, inf, inf]
        assert ends(point, t, eps) == (lower, [-x for x in lower])
    for phi in (entropy, negative_sqrt):
        assert ends(phi, 0) == (inf, -inf)
        assert phi.directional_derivative([0, 0, 0], [1, 0, -1]).tolist() == [
            -inf,
            0,
            inf,
        ]
    assert ends(entropy, 0, 1) == (-inf, pytest.approx(1, 1e-14))
    assert ends(negative_sqrt, 0, 0.5) == (-inf, -0.5)


# -- the border -----------------------------------------------------------------------


def test_calls():
    assert absolute(-3) == 3 and absolute(-3).ndim == 0
    assert absolute([-1, 2]).tolist() == [1, 2]
    assert pinball([0.25, 0.5])(2).tolist() == [[0.5], [1]]

    class Composed:
        def _compose_univariate(self, phi):
            return phi

    assert relu(Composed()) is relu
    with pytest.raises(TypeError):
        np.ones(2) * relu


@every
def test_nan_and_signs_are_refused(phi):
    for call in (phi, phi.value, phi.prox, phi.subdifferential, phi.saturation):
        with pytest.raises(ValueError, match="t must not contain nan"):
            call([0.0, np.nan])
    for call in (phi.left_slope, phi.right_slope, phi.prox):
        with pytest.raises(ValueError, match="t must be finite"):
            call([0.0, inf])
    with pytest.raises(ValueError, match="eps must be nonnegative"):
        phi.subdifferential(1.0, -1e-3)
    with pytest.raises(ValueError, match="step must be positive"):
        phi.prox(1.0, 0.0)
    with pytest.raises(ValueError, match="d must not contain nan"):
        phi.directional_derivative(1.0, np.nan)
    with pytest.raises(ValueError, match="m must not contain nan"):
        phi.nondecreasing_from(np.nan)


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


def test_wrong_parameters():
    cases = [
        (pinball, (1.5,), "tau must lie in \\[0, 1\\]"),
        (pinball, (-0.5,), "tau must be nonnegative"),
        (epsilon_insensitive, (-1,), "eps must be nonnegative"),
        (interval_indicator, (1, 0), "some number must lie between"),
        (interval_indicator, (inf, inf), "some number must lie between"),
        (interval_indicator, ([0, -inf], 1), "lower must be infinite for the whole"),
        (linear, (inf,), "slope must be finite"),
        (Square, (0,), "c must be positive"),
        (Entropy, (np.nan,), "shift must not contain nan"),
    ]
    for make, arguments, message in cases:
        with pytest.raises(ValueError, match=message):
            make(*arguments)
    with pytest.raises(TypeError, match="slopes must be an array of real numbers"):
        PiecewiseLinear([0], ["a", "b"])
    with pytest.raises(ValueError, match="one function at a time"):
        pinball([0.1, 0.2]).to_cvxpy(cp.Variable(2))


def test_parameters_are_copied():
    points, slopes = np.array([0.0]), np.array([-1.0, 1.0])
    phi = PiecewiseLinear(points, slopes)
    points[0], slopes[0] = 5, -3
    assert phi == absolute
    with pytest.raises(ValueError):
        phi.slopes[0] = 0


# -- cvxpy ----------------------------------------------------------------------------


@every
def test_cvxpy_has_the_same_values(phi):
    x = cp.Variable()
    expression = phi.to_cvxpy(x)
    assert expression.is_convex()
    for t in POINTS:
        x.value = t
        with np.errstate(all="ignore"):
            other = expression.value
        if np.isfinite(phi.value(t)):
            assert np.allclose(other, phi.value(t), 1e-12, 1e-12)
        else:
            assert not np.isfinite(other)


@every
def test_cvxpy_has_the_same_prox(phi):
    t = np.array([-2.0, -0.25, 0.5, 3.0])
    x = cp.Variable(4)
    objective = cp.sum(phi.to_cvxpy(x)) + cp.sum_squares(x - t)
    cp.Problem(cp.Minimize(objective)).solve(
        solver=cp.CLARABEL, tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11
    )
    assert np.allclose(x.value, phi.prox(t, 0.5), 1e-4, 1e-4)
