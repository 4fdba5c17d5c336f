"""The laws over random models, three operations deep, at points full of ties."""

from __future__ import annotations

import numpy as np
import pytest

import subgrad as sg
from subgrad import compose, max_entry, maximum, norm1, norm2, norm_inf, sum_largest

N = 3
x = sg.variable(N)


def atom(r: np.random.Generator) -> sg.Function:
    """A nonnegative atom of a small integer map."""
    A = r.integers(-2, 3, (int(r.integers(2, 4)), N)).astype(float)
    z = A @ x - r.integers(-1, 2, len(A)).astype(float)
    kinds = (
        lambda: norm1(z),
        lambda: norm2(z),
        lambda: norm_inf(z),
        lambda: sg.hinge_loss(z),
        lambda: sg.pinball_loss(0.25)(z),
        lambda: sg.squared_norm(z),
        lambda: maximum(sum_largest(2)(z), 0),
        lambda: sg.Distance(sg.Box(sg.Interval(-np.ones(len(A)), np.ones(len(A)))))(z),
        lambda: sg.moreau_envelope(norm1, 0.5)(z),
    )
    return kinds[r.integers(len(kinds))]()


def model(r: np.random.Generator, depth: int) -> sg.Function:
    if depth == 0:
        return atom(r)
    f, g = model(r, depth - 1), model(r, depth - 1)
    kinds = (
        lambda: f + float(r.integers(0, 3)) * g,
        lambda: maximum(f, g, float(r.integers(0, 3))),
        lambda: compose(norm2, f, g),
        lambda: compose(norm_inf, f, 2 * g),
        lambda: compose(norm1, f, x[0] - x[1]),
        lambda: compose(sg.relu, f - 1.0),
        lambda: maximum(compose(sum_largest(2), f, g, x[2] + 1.0), 0),
        lambda: compose(max_entry, f, g),
    )
    return kinds[r.integers(len(kinds))]()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(400))
def test_random_model(seed):
    r = np.random.default_rng(seed)
    f = model(r, int(r.integers(1, 4)))
    grid = np.stack(np.meshgrid(*[[-1.0, 0, 1]] * N), -1).reshape(-1, N)
    at = np.concatenate([grid[r.permutation(27)[:6]], r.standard_normal((1, N))])
    d = np.concatenate([grid[r.permutation(27)[:8]], r.standard_normal((2, N))])
    y = np.concatenate([grid, 3 * grid, 100 * d])
    S, values = f.subdifferential(at), f.value(at)
    size = 1 + np.abs(values)
    assert np.all(S.exact)
    for e in d:
        slope = f.directional_derivative(at, e)
        np.testing.assert_allclose(S.support(e), slope, rtol=1e-7, atol=1e-7)
        quotient = (f.value(at + 1e-6 * e) - values) / 1e-6
        assert np.all(slope <= quotient + 1e-7 * size)
        np.testing.assert_allclose(slope, quotient, rtol=1e-3, atol=1e-3)
    for p, v in zip(at, values, strict=True):
        for eps in (0.0, 0.3):
            G = f.subdifferential(p, eps)
            for e in d[:4]:
                g = G.support_point(e)
                slack = f.value(y) - v - (y - p) @ g + eps
                assert slack.min() >= -1e-7 * (1 + np.abs(f.value(y)).max())
                assert (
                    f.subdifferential(p).support(e) <= G.support(e) + 1e-8 * size.max()
                )
        g = f.subgradient(p)
        assert np.all(d @ g <= f.directional_derivative(p, d) + 1e-7 * size.max())
