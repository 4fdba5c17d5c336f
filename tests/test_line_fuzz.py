"""Random expressions in t, three operations deep, against numpy and the definitions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from subgrad import (
    Distribution,
    Piecewise,
    agreement,
    antiderivative,
    bump,
    maximum,
    minimum,
    t,
    where,
)

Pair = tuple[Piecewise, Callable[[np.ndarray], np.ndarray]]
SEEDS = [*range(25), *(pytest.param(s, marks=pytest.mark.slow) for s in range(25, 500))]


def leaf(rng: np.random.Generator) -> Pair:
    a, b = (float(k) / 2 for k in rng.integers(-4, 5, 2))
    kind = rng.integers(4)
    if kind == 0:
        return t - a, lambda x: x - a
    if kind == 1:
        return abs(t - a) + b, lambda x: abs(x - a) + b
    if kind == 2:
        return b * (t - a) ** 2, lambda x: b * (x - a) ** 2
    # Off the lattice, so that no constant piece lies on the jump but for rounding.
    a += 0.137
    return where(t >= a, b, t), lambda x: np.where(x >= a, b, x)


def random_expression(rng: np.random.Generator, depth: int) -> Pair:
    if not depth:
        return leaf(rng)
    f, u = random_expression(rng, depth - 1)
    g, v = random_expression(rng, depth - 1)
    kind = rng.integers(7)
    if kind == 0:
        return f + g, lambda x: u(x) + v(x)
    if kind == 1:
        return f - 2 * g, lambda x: u(x) - 2 * v(x)
    if kind == 2 and f.degree + g.degree <= 3:
        return f * g, lambda x: u(x) * v(x)
    if kind == 3:
        return maximum(f, g), lambda x: np.maximum(u(x), v(x))
    if kind == 4:
        return minimum(f, g, 1.0), lambda x: np.minimum(np.minimum(u(x), v(x)), 1.0)
    if kind == 5 and f.degree * g.degree <= 4:
        return f(g), lambda x: u(v(x))
    return abs(f), lambda x: abs(u(x))


@pytest.mark.parametrize("seed", SEEDS)
def test_random_expression(seed):
    rng = np.random.default_rng(seed)
    f, u = random_expression(rng, 3)
    x = np.concatenate([np.linspace(-4, 4, 201) + 1e-3, rng.uniform(-30, 30, 50)])
    # A value beside a computed crossing is that of the other side, up to its distance.
    near = np.min(abs(np.subtract.outer(x, f.breakpoints)), axis=1, initial=np.inf)
    x = x[near > 1e-9]
    size = 1 + abs(u(x)).max()
    assert np.all(abs(f(x) - u(x)) <= 1e-11 * size)

    # The pointwise derivative, and its absence.
    h = 1e-5
    smooth = x[np.all(abs(np.subtract.outer(x, f.breakpoints)) > 2 * h, axis=-1)]
    quotient = (f(smooth + h) - f(smooth - h)) / (2 * h)
    assert np.allclose(f.derivative()(smooth), quotient, 1e-4, 1e-4 * size)
    for a in f.kinks:
        assert np.isnan(f.derivative()(a))
        assert f.left_derivative(a) != f.right_derivative(a)
    for a in f.jumps:
        assert max(abs(f(a - 1e-9) - f(a)), abs(f(a + 1e-9) - f(a))) > 1e-7

    # The distributional derivative: its definition, and back.
    T, phi = f.distributional_derivative(), bump(0.2, 2.7)
    gap = T.pair(phi) + Distribution(f).pair(phi.derivative())
    assert abs(gap) <= 1e-9 * size
    back = antiderivative(T).regular - f
    values = back(x)
    assert np.ptp(values) <= 1e-9 * size
    agree, difference = agreement(f)
    assert agree == (not T.terms) and difference.terms == T.terms

    # Convexity by its definition, on pairs of points.
    a, b = rng.choice(x, (2, 4000))
    excess = f((a + b) / 2) - (f(a) + f(b)) / 2
    if f.is_convex:
        assert np.all(excess <= 1e-9 * size)
        assert f.distributional_derivative(2).is_nonnegative
        assert np.allclose(
            f.subdifferential(f.kinks).width,
            [f.distributional_derivative(2).terms[k, 0] for k in f.kinks],
        )
    else:
        assert "convex" in f._fault

    # The convex hull: below f, convex, and itself again; -inf is refused.
    slopes = f.derivative()(np.array([-1e9, 1e9]))
    try:
        hull = f.convex_hull()
    except ValueError:
        assert min(f(-1e6), f(1e6)) < -1e3 or slopes[0] > slopes[1]
        return
    assert hull.is_convex and np.all(hull(x) <= f(x) + 1e-9 * size)
    if f.is_convex:
        assert np.allclose(hull(x), f(x), 1e-9, 1e-9)
    if hull.degree > 2:
        return

    # Its conjugate, prox and ε-subdifferential, by their inequalities.
    s = np.linspace(-3, 3, 25)
    grid = np.concatenate([x, hull.breakpoints])
    dual = hull.conjugate()
    best = np.max(np.multiply.outer(s, grid) - f(grid), axis=-1)
    assert np.all(dual(s) >= best - 1e-9 * size)
    again = dual.conjugate()
    assert np.allclose(again(x), hull(x), 1e-9, 1e-9 * size)
    p = hull.prox(x, 0.7)
    inside = hull.subdifferential(p)
    g = (x - p) / 0.7
    assert np.all((inside.lower <= g + 1e-7 * size) & (g <= inside.upper + 1e-7 * size))
    for eps in (1e-3, 1.0):
        wide = hull.subdifferential(x[:60], eps)
        for end in (wide.lower, wide.upper):
            known = np.isfinite(end)
            y, e = x[:60][known], end[known]
            line = hull(y)[:, None] + e[:, None] * (grid - y[:, None]) - eps
            assert np.all(line <= hull(grid) + 1e-9 * size)


@pytest.mark.parametrize("c", [100.0, 1e4, 1e6])
@pytest.mark.parametrize("n", [2, 3, 4])
def test_powers_far_from_0_keep_their_digits(c, n):
    """Nothing is expanded around 0, whatever is added or compared."""
    f = (t - c) ** n
    x = c + np.array([-1e-2, -1e-3, 0.0, 1e-3, 0.5, 1.0])
    u = (x - c) ** n
    tiny = 1e-14 * abs(u)
    assert np.all(abs(f(x) - u) <= tiny)
    assert np.all(abs(f.derivative()(x) - n * (x - c) ** (n - 1)) <= 1e-13)
    g = (t**n)(t - c)
    assert np.all(abs(g(x) - u) <= tiny) and f == g
    low, high = 3e-8, c - 1e-2
    assert np.all(abs(maximum(f, low)(x) - np.maximum(u, low)) <= tiny)
    assert np.all(abs((f + (t - high))(x) - u - (x - high)) <= 1e-9)
    if n % 2 == 0:
        level = f.sublevel(1e-8)
        reach = 1e-8 ** (1 / n)
        assert np.allclose([level.lower - c, level.upper - c], [-reach, reach], 1e-4)
        s = f.subdifferential(c + 1e-3, eps=1e-9)
        grid = c + np.linspace(-1, 1, 20001)
        for g in (s.lower, s.upper):
            line = f(c + 1e-3) + g * (grid - c - 1e-3) - 1e-9
            assert np.all(line <= f(grid) + 1e-15)
