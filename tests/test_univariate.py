"""Laws of the univariate functions, each against its definition."""

from __future__ import annotations

import pickle

import cvxpy as cp
import numpy as np
import pytest
from laws import cvxpy_has_the_same_prox
from univariate_rows import (
    POINTS,
    SMOOTH,
    every,
    every_batch,
    every_smooth,
    fenchel_gap,
    finite_ends,
    inf,
    inside,
)

from subgrad.univariate.catalog import (
    interval_indicator,
    pinball,
    square,
)
from subgrad.univariate.convex import Univariate
from subgrad.univariate.linear import PiecewiseLinear
from subgrad.univariate.smooth import (
    Square,
)


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
        assert np.allclose(given[near], ahead[near], 1e-2, 1e-2)
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
def test_eps_subdifferential_is_the_definition(phi):
    t = inside(phi)
    budgets = (1e-3, 0.25, 1.0, 7.0)
    ends = {eps: [] for eps in budgets}
    # Dense around t and around the end of the domain, where the best s may hide.
    steps = np.geomspace(1e-9, 1e9, 30001)
    rim = np.geomspace(1e-12, 10, 8001)
    rims = [end + sign * rim for end in finite_ends(phi) for sign in (1, -1)]
    away = np.subtract.outer(
        np.concatenate([np.linspace(-4, 4, 4001), POINTS, *rims]), t
    )
    for sign in (1, -1):
        h = np.concatenate([np.tile(steps, (t.size, 1)), (sign * away).T], 1)
        h = np.where(h > 0, h, 1.0)
        rise = phi.value(t[:, None] + sign * h) - phi.value(t)[:, None]
        for eps in budgets:
            ends[eps].append(sign * ((rise + eps) / h).min(1))
    for eps, bests in ends.items():
        s = phi.subdifferential(t, eps)
        for end, best in zip((s.upper, s.lower), bests, strict=True):
            assert np.array_equal(np.isinf(end), np.isinf(best))
            known = np.isfinite(best)
            assert np.allclose(end[known], best[known], rtol=1e-5, atol=1e-6)


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
        assert np.all(fenchel_gap(phi, x, beyond) > eps - 4e-15 * size)
        # Where φ is not smooth the growth with eps may stop, but never before ∂φ(t).
        assert np.all(out * (g - rim[known]) >= 0)


@every
@pytest.mark.parametrize("eps", [1e-300, 1e-18, 1e-16])
def test_tiny_eps_keeps_the_subdifferential(phi, eps):
    s, exact = phi.subdifferential(POINTS, eps), phi.subdifferential(POINTS)
    assert np.all(s.lower <= exact.lower) and np.all(s.upper >= exact.upper)
    t = inside(phi)
    s, size = phi.subdifferential(t, eps), 1 + abs(phi.value(t))
    for end in (s.lower, s.upper):
        known = np.isfinite(end)
        gap = fenchel_gap(phi, t[known], end[known])
        assert np.all(gap <= 1e-14 * (size + abs(t))[known] * (1 + abs(end[known])))


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
    # At an infinitely steep end φ*(g) - g t has no digits left where halving starts.
    t = t[phi.left_slope(t) <= phi.right_slope(t)]
    for eps in (1e-3, 1.0):
        s = phi.subdifferential(t, eps)
        lower, upper = Univariate._widened(phi, t, eps)
        assert np.allclose(s.lower, lower, 1e-9, 1e-9)
        assert np.allclose(s.upper, upper, 1e-9, 1e-9)
    t = np.r_[POINTS, -1e3, 1e3, 1e6, -1e8, 1e8]
    for step in steps:
        fast, slow = phi.prox(t, step), Univariate._prox(phi, t, step)
        assert np.allclose(fast, slow, rtol=2e-14, atol=1e-15 + 1e-14 * min(step, 1))
        assert Univariate._prox(phi, t.astype(np.float32), step).dtype == np.float32


@every
def test_prox_is_optimal(phi):
    t = np.r_[POINTS, 40 * POINTS]
    for step in (1e-3, 0.5, 1.0, 30.0, np.resize([0.1, 1.0, 10.0], t.shape)):
        p = phi.prox(t, step)
        g = (t - p) / step
        s = phi.subdifferential(p)
        slack = 1e-13 * (1 + abs(g) + (abs(t) + abs(p)) / step)
        # Rounding p moves a smooth slope by |φ''(p)| |p| ulp; a kink holds still.
        near = 0 if phi.polyhedral else 4e-15 * abs(p)
        lower, upper = phi._left(p - near), phi._right(p + near)
        tiny = np.isfinite(phi.value(p)) & (s.lower > s.upper)
        assert np.all(np.isin(p[tiny], phi.ends))
        assert not (phi.polyhedral and tiny.any())
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
        slope = np.clip(0.0, phi.left_slope(x), phi.right_slope(x))
        least = fenchel_gap(phi, x, slope)
        assert np.all(abs(least) <= 1e-15 * (1 + abs(x * slope)))
    inverse = dual.subdifferential(g)
    backward = (inverse.lower <= t) & (t <= inverse.upper)
    if phi.polyhedral:
        assert np.array_equal(contained, backward)


@every
def test_infimum(phi):
    far = np.geomspace(50, 1e12, 50)
    values = phi.value(np.r_[np.linspace(-50, 50, 20001), far, -far])
    if phi.infimum == -inf:
        assert values.min() < -20
        assert phi.value([-inf, inf]).min() == -inf
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
    assert phi != "phi" and phi.ends == again.ends
    assert phi != PiecewiseLinear([0], [-1, 1], at=(0, 1))


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
    cvxpy_has_the_same_prox(phi, 1e-4)


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
    lower, upper = interval_indicator([-1, 0], [1, 2]).ends
    assert lower.tolist() == [-1, 0] and upper.tolist() == [1, 2]
    assert pinball(taus) != pinball(0.1)
