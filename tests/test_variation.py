"""Total variation and its relatives: closed forms, large inputs, borders."""

from __future__ import annotations

import math
import time

import cvxpy as cp
import numpy as np
import pytest

import subgrad as sg
from subgrad.differences import Cumulative, Difference, differences, edge_differences
from subgrad.functions import _variation_loops
from subgrad.functions import total_variation as module
from subgrad.functions._taut_string import _strings, taut_string

rng = np.random.default_rng(5)


# Operators --------------------------------------------------------------------------

STENCILS = {
    "vector": Difference((5,)),
    "second": Difference((5,), order=2),
    "fourth, one row": Difference((5,), order=4),
    "second axis": Difference((2, 3, 4), 1),
    "second order of an axis": Difference((2, 4, 3), 1, 2),
    "without last entries": Difference((3, 4), 0, 1, (0, 1)),
    "all": differences((3, 1, 4)),
    "common": differences((3, 2, 4), common=True),
    "of a point": differences((1, 1)),
    "graph": edge_differences([[0, 2], [2, 1], [1, 1]], 4),
    "sums": Cumulative(4),
}
stencils = pytest.mark.parametrize("op", STENCILS.values(), ids=STENCILS)


@stencils
def test_adjoint_matrix_and_cvxpy(op):
    M = op.dense()
    assert M.shape == (op.rows, op.cols)
    for batch in ((), (3,), (2, 1), (0,)):
        x = rng.standard_normal((*batch, op.cols))
        y = rng.standard_normal((*batch, op.rows))
        np.testing.assert_allclose(op.forward(x), x @ M.T, atol=1e-12)
        np.testing.assert_allclose(op.adjoint(y), y @ M, atol=1e-12)
    z = rng.standard_normal(op.cols)
    np.testing.assert_allclose(op.to_cvxpy(cp.Constant(z)).value, M @ z, atol=1e-12)
    assert op.to_cvxpy(cp.Variable(op.cols)).is_affine()


def test_differences_are_those_of_numpy():
    x = rng.standard_normal((3, 4, 5))
    for axis in range(3):
        for order in (1, 2):
            d = Difference(x.shape, axis, order).forward(x.ravel())
            np.testing.assert_allclose(d, np.diff(x, order, axis).ravel())
    d = np.diff(x, axis=1)[:-1, :, :-1].ravel()
    np.testing.assert_array_equal(
        Difference(x.shape, 1, 1, (0, 1, 2)).forward(x.ravel()), d
    )


# The taut string ----------------------------------------------------------------------


def is_the_string(y, p, low, up, tol=1e-14):
    """The conditions for optimality, in extended precision."""
    sums = np.cumsum(p.astype(np.longdouble) - y, axis=-1)
    top = max(np.abs(y).max(), 1e-300)
    room = tol * np.maximum(np.abs(np.cumsum(np.abs(y), axis=-1)), np.max(np.abs(up)))
    jump = np.diff(p)
    assert np.abs(sums[-1]) <= tol * top * len(y)
    u = sums[:-1]
    assert np.all(u <= up + room[:-1]) and np.all(u >= low - room[:-1])
    assert np.all((np.abs(u - low) <= room[:-1])[jump < -tol * top])
    assert np.all((np.abs(u - up) <= room[:-1])[jump > tol * top])


N = 30_000
ramp = np.arange(N, dtype=float)
SIGNALS = {
    "noise": rng.standard_normal(N),
    "steps": np.repeat(rng.standard_normal(N // 100), 100) + 0.1 * rng.random(N),
    "whole numbers": rng.integers(-3, 4, N).astype(float),
    "smooth": 5 * np.sin(ramp / 1000),
    "monotone": ramp / N,
    "parabola": (ramp / N) ** 2,
    "growing sawtooth": ramp * (-1.0) ** ramp,
    "falling sawtooth": ramp[::-1] * (-1.0) ** ramp,
    "constant": np.full(N, 0.1),
    "spike": np.where(ramp == N // 2, 1.0, 0.0),
    "far from zero": 1e6 + rng.standard_normal(N),
    "smooth, then noise": np.where(ramp < N / 2, ramp / N, rng.standard_normal(N)),
}
signals = pytest.mark.parametrize("y", SIGNALS.values(), ids=SIGNALS)


@signals
def test_prox_is_optimal_for_long_signals(y):
    for t in (1e-9, 0.1, 5.0, 1e3, 1e9):
        p = sg.tv.at((N,)).prox(y, t)
        is_the_string(y, p, -t, t)
    np.testing.assert_allclose(p, math.fsum(y) / N, rtol=1e-15, atol=1e-18)


@signals
def test_prox_has_no_scale(y):
    p = sg.tv.at((N,)).prox(y, 3.0)
    for scale in (1e-8, 1e8, 2.0**-960, 2.0**1000):
        q = sg.tv.at((N,)).prox(scale * y, 3.0 * scale)
        np.testing.assert_allclose(
            q / scale, p, rtol=1e-12, atol=1e-12 * np.abs(y).max()
        )


@signals
def test_prox_follows_a_shift(y):
    y = np.round(y * 2**20) / 2**20  # so that the shift is exact
    for t in (0.1, 5.0):
        p, q = (sg.tv.at((N,)).prox(y + c, t) for c in (0.0, 2.0**22))
        np.testing.assert_allclose(q - 2.0**22, p, rtol=0, atol=2e-8)


@signals
def test_uneven_tubes(y):
    low = -rng.random(N - 1)
    up = np.where(rng.random(N - 1) < 0.2, low, rng.random(N - 1))
    is_the_string(y, taut_string(y, low, up), low, up)


def test_no_signal_takes_long():
    """What is quadratic takes a thousand times as long on the smooth one."""
    n = 300_000
    f, seconds = sg.tv.at((n,)), []
    for y in (rng.standard_normal(n), 5 * np.sin(np.arange(n) * 20 / n)):
        start = time.process_time()
        f.prox(y, 500.0)
        seconds.append(time.process_time() - start)
    assert seconds[1] < 30 * seconds[0] + 0.1


def test_the_loop_without_a_compiler():
    """What numba compiles says the same when it is run as it stands."""
    for n, k in ((1, 0), (2, 1), (3, 2), (30, 3), (500, 4)):
        y = rng.standard_normal((2, n)) if k % 2 else np.cumsum(np.ones((2, n)), -1)
        up = rng.random((2, n - 1)) * k
        out = np.empty((2, n))
        _strings(y, -up, up, out)
        np.testing.assert_array_equal(out, taut_string(y, -up, up))


def test_prox_is_that_of_cvxpy():
    for n in (2, 3, 9):
        y = rng.integers(-3, 4, n).astype(float)
        x = cp.Variable(n)
        f = 1.5 * cp.tv(x) + 0.5 * cp.norm1(x) + 0.5 * cp.sum_squares(x - y) / 0.7
        cp.Problem(cp.Minimize(f)).solve(
            solver=cp.CLARABEL, tol_gap_abs=1e-11, tol_gap_rel=1e-11
        )
        p = sg.fused_lasso(0.5, 1.5).at((n,)).prox(y, 0.7)
        np.testing.assert_allclose(p, x.value, atol=1e-5)


def test_batches_of_signals_and_of_weights():
    f, x = sg.tv.at((6,)), rng.standard_normal((4, 6))
    t = np.array([0.1, 1.0, 2.0, 30.0])
    each = [f.prox(a, s) for a, s in zip(x, t, strict=True)]
    np.testing.assert_array_equal(f.prox(x, t), each)
    grid = f.prox(x[0], t[:, None] * [1.0, 2.0])
    assert grid.shape == (4, 2, 6)
    np.testing.assert_array_equal(grid[2, 1], f.prox(x[0], 4.0))
    assert f.prox(x[:0], 1.0).shape == (0, 6)
    g = sg.fused_lasso([0.0, 0.5, 1.0, 2.0], t).at((6,))
    each = [
        sg.fused_lasso(a, b).at((6,)).prox(y, 0.5)
        for a, b, y in zip([0.0, 0.5, 1.0, 2.0], t, x, strict=True)
    ]
    np.testing.assert_array_equal(g.prox(x, 0.5), each)
    assert g.value(x).shape == (4,)
    many = sg.graph_total_variation([[0, 1], [1, 2]], [[1.0, 2.0], [3.0, 0.0]])
    np.testing.assert_allclose(many.value([0.0, 1, 3]), [5, 3])
    assert many.subdifferential([1.0, 1, 1]).support([0.0, 1, 3]).tolist() == [5, 3]


# Values and subgradients --------------------------------------------------------------


def test_values_are_those_of_cvxpy():
    for shape in ((5,), (2, 3), (4, 4)):
        X = rng.standard_normal(shape)
        assert np.isclose(sg.tv(X), cp.tv(X).value, rtol=1e-12)
        x = cp.Constant(X.ravel())
        for f in (sg.tv, sg.total_variation(isotropic=False)):
            assert np.isclose(f.at(shape).to_cvxpy(x).value, f(X), rtol=1e-12)
    X = rng.standard_normal((3, 4, 5))
    d = [np.diff(X, axis=a) for a in range(3)]
    assert np.isclose(
        sg.total_variation(isotropic=False)(X), sum(np.abs(e).sum() for e in d)
    )
    inner = d[0][:, :-1, :-1] ** 2 + d[1][:-1, :, :-1] ** 2 + d[2][:-1, :-1] ** 2
    assert np.isclose(sg.tv(X), np.sqrt(inner).sum())
    assert np.isclose(sg.tv.at(X.shape).to_cvxpy(X.ravel()).value, sg.tv(X))


def images():
    r = np.random.default_rng(6)
    x = r.standard_normal((2, 70, 90))
    x[0, 10:40, 20:60] = 1.0
    x[1] = np.round(x[1])
    return x


@pytest.mark.parametrize("isotropic", [True, False])
def test_large_images_have_the_subgradient_of_the_calculus(isotropic, monkeypatch):
    f, x = sg.TotalVariation((70, 90), isotropic), images().reshape(2, -1)
    value, g = f.oracle(x)
    np.testing.assert_allclose(g, f.base.subgradient(x), atol=1e-13)
    np.testing.assert_allclose(value, f.base.value(x), rtol=1e-13)
    np.testing.assert_array_equal(g, f.subgradient(x))
    np.testing.assert_allclose(np.vecdot(g, x), value, rtol=1e-12)
    single = f.subgradient(x.astype(np.float32))
    assert single.dtype == np.float32 and f.value(x).shape == (2,)
    # The same by numpy, all at once and by blocks of rows and of images.
    monkeypatch.setattr(module, "by_loop", lambda X, isotropic: None)
    for block in (1 << 16, 1000, 1):
        monkeypatch.setattr(module, "BLOCK", block)
        np.testing.assert_allclose(f.subgradient(x), g, atol=1e-13)
        np.testing.assert_allclose(f.value(x), value, rtol=1e-13)


@pytest.mark.parametrize("isotropic", [True, False])
def test_the_loops_without_a_compiler(isotropic):
    x = images()[:, :5, :7]
    loop = _variation_loops._direction_loop
    loop = loop if isotropic else _variation_loops._sign_loop
    g, size = np.empty(x.shape), np.zeros((2, 7))
    with np.errstate(divide="ignore", invalid="ignore"):
        assert loop(x, g, size) == 0
    f, flat = sg.TotalVariation((5, 7), isotropic), x.reshape(2, -1)
    np.testing.assert_allclose(g.reshape(2, -1), f.base.subgradient(flat), atol=1e-13)
    np.testing.assert_allclose(size.sum(-1), f.base.value(flat), rtol=1e-13)


def test_subgradients_have_no_scale():
    x = images().reshape(2, -1)
    f = sg.tv.at((70, 90))
    g = f.subgradient(x)
    for scale in (1e-8, 1e8, 2.0**-70, 2.0**70, 2.0**-600, 2.0**600):
        np.testing.assert_allclose(f.subgradient(scale * x), g, atol=1e-13)
        np.testing.assert_allclose(f.value(scale * x) / scale, f.value(x), rtol=1e-12)


def test_ties():
    for shape in ((5,), (4, 5), (3, 2, 2)):
        for f in (sg.tv.at(shape), sg.total_variation(isotropic=False).at(shape)):
            flat = np.ones(f.n)
            assert not f.subgradient(flat).any() and f.value(flat) == 0
            d = rng.standard_normal((3, f.n))
            h = f.subdifferential(flat).support(d)
            np.testing.assert_allclose(h, f.value(d), rtol=1e-12)
            np.testing.assert_allclose(f.directional_derivative(flat, d), h)


def test_axes_of_length_one_do_not_count():
    x = rng.standard_normal(6)
    for shape in ((6, 1), (1, 6), (1, 6, 1)):
        f = sg.tv.at(shape)
        assert f.value(x) == sg.tv(x)
        np.testing.assert_array_equal(f.prox(x, 0.3), sg.tv.at((6,)).prox(x, 0.3))
    for shape in ((1,), (1, 1)):
        point = sg.tv.at(shape)
        assert point.value([3.0]) == 0 and point.prox([3.0], 2.0) == 3
        assert point.subdifferential([3.0]).is_singleton
        assert point.conjugate().value([1.0]) == np.inf
        assert point.subgradient([[3.0], [1.0]]).shape == (2, 1)
        assert point.to_cvxpy(cp.Variable(1)).is_convex()


def test_arrays_with_many_axes_are_modelled_by_shape():
    X = sg.variable((2, 3, 2))
    B = rng.standard_normal((2, 3, 2))
    f = sg.total_variation(isotropic=False)(X - B)
    assert X.shape == (2, 3, 2) and X[0].shape == (3, 2) and X.T.shape == (2, 3, 2)
    assert f.value(B.ravel()) == 0
    x = rng.standard_normal(12)
    assert np.isclose(f.value(x), sg.total_variation(False)(x.reshape(2, 3, 2) - B))
    for product in (lambda: np.eye(2) @ X, lambda: X @ np.eye(2)):
        with pytest.raises(ValueError, match="one or two axes"):
            product()
    y = sg.variable(5)
    np.testing.assert_allclose(sg.tv(y).prox(x[:5]), sg.tv.at((5,)).prox(x[:5]))


def test_trends():
    i = np.arange(8.0)
    for k in (0, 1, 2, 3):
        f = sg.trend_filtering(k).at((8,))
        assert f.value(3 * i**k + 1) <= 1e-12 < f.value(i ** (k + 1))
        assert np.isclose(f.value(i ** (k + 1)), (7 - k) * np.prod(np.arange(1, k + 2)))
    short = sg.trend_filtering(2).at((3,))
    assert short.value([1.0, 5, 2]) == 0
    np.testing.assert_array_equal(short.prox([1.0, 5, 2], 9.0), [1, 5, 2])
    x = rng.standard_normal(8)
    np.testing.assert_array_equal(
        sg.trend_filtering(0).at((8,)).prox(x, 0.4), sg.tv.at((8,)).prox(x, 0.4)
    )


def test_graphs():
    path = np.stack([np.arange(5), np.arange(1, 6)], -1)
    x, d = rng.standard_normal((2, 4, 6))
    f, g = sg.graph_total_variation(path), sg.tv.at((6,))
    np.testing.assert_allclose(f.value(x), g.value(x))
    np.testing.assert_array_equal(f.subgradient(x), g.subgradient(x))
    flat = np.round(x)
    np.testing.assert_allclose(
        f.directional_derivative(flat, d), g.directional_derivative(flat, d)
    )
    twice = sg.graph_total_variation([[0, 1], [1, 0], [2, 2]], n=5)
    assert twice.n == 5 and twice.value([0.0, 1, 7, 9, 9]) == 2
    big = sg.graph_total_variation(np.arange(200_000).reshape(-1, 2))
    assert big.value(np.arange(200_000.0)) == 100_000
    assert big.to_cvxpy(cp.Variable(200_000)).is_convex()


# Sets and conjugates ------------------------------------------------------------------


def test_tubes():
    n = 6
    low = np.array([-1.0, 0, 0.5, -2, 0])
    up = low + [2, 0, 1, 4, 0.5]
    S = sg.Tube(sg.Interval(low, up))
    D = np.diff(np.eye(n), axis=0)
    y = 2 * rng.standard_normal((3, n))
    for a, p in zip(y, S.project(y), strict=True):
        u = cp.Variable(n - 1)
        cp.Problem(cp.Minimize(cp.sum_squares(a - D.T @ u)), [u >= low, u <= up]).solve(
            solver=cp.CLARABEL, tol_gap_abs=1e-11, tol_gap_rel=1e-11
        )
        np.testing.assert_allclose(p, D.T @ u.value, atol=1e-5)
        assert p in S
        assert S.contains(a) == np.allclose(a, p)
    with pytest.raises(ValueError, match="finite"):
        sg.Tube(sg.Interval([0.0], [np.inf]))
    ends = np.array([[0.0, 1.0], [0, 0]]), np.array([[1.0, 0], [1, 1]])
    empty = sg.Tube(sg.Interval._raw(*ends))
    assert empty.nonempty.tolist() == [False, True]
    assert empty.contains(np.zeros(3)).tolist() == [False, True]


def test_long_signals_know_their_subdifferential():
    n = 20_000
    f, x = sg.tv.at((n,)), np.round(rng.standard_normal(n))
    S = f.subdifferential(x)
    assert S.contains(f.subgradient(x))
    assert not S.contains(f.subgradient(-x))
    p = f.prox(x, 2.0)
    assert f.subdifferential(np.round(p, 9)).contains((x - p) / 2, 1e-7)
    star = f.conjugate()
    assert star.value((x - p) / 2) == 0 and star.value(x - p) == np.inf
    np.testing.assert_allclose(p + 2 * star.prox(x / 2, 0.5), x, atol=1e-12)
    assert np.isclose(sg.fenchel_young(f, p, (x - p) / 2), 0, atol=1e-8)
    assert f.subdifferential(np.zeros(n)).min_norm().max() == 0


def test_conjugates_of_images():
    for f in (sg.tv.at((3, 3)), sg.total_variation(False).at((3, 3))):
        x = rng.standard_normal(9)
        g = f.subgradient(x)
        star = f.conjugate()
        assert star.value(g) == star.value(0.5 * g) == 0
        assert star.value(1.1 * g) == np.inf == star.value(np.ones(9))


# Borders ------------------------------------------------------------------------------

ERRORS = [
    (lambda: sg.tv.at((2, 3)).prox(np.ones(6)), NotImplementedError, "one axis"),
    (
        lambda: sg.fused_lasso(1, 1).at((2, 2)).prox(np.ones(4)),
        NotImplementedError,
        "TV|Total",
    ),
    (lambda: sg.trend_filtering().at((4,)).prox(np.ones(4)), NotImplementedError, "0"),
    (
        lambda: sg.graph_total_variation([[0, 1]]).prox([1, 2]),
        NotImplementedError,
        "prox",
    ),
    (lambda: sg.tv.at((4,)).value([1, 2]), ValueError, r"\(..., 4\)"),
    (lambda: sg.tv([1, np.nan]), ValueError, "nan"),
    (lambda: sg.tv.at((2, 0)), ValueError, "shape"),
    (lambda: sg.tv.at((2.5,)), ValueError, "shape"),
    (lambda: sg.trend_filtering(-1), ValueError, "order"),
    (lambda: sg.trend_filtering(1.5), ValueError, "order"),
    (lambda: sg.trend_filtering().at((2, 2)), ValueError, "1 axes"),
    (lambda: sg.fused_lasso(-1, 1).at((3,)), ValueError, "l1 must be nonnegative"),
    (lambda: sg.fused_lasso([1, 2], [1, 2, 3]).at((3,)), ValueError, "broadcast"),
    (lambda: sg.graph_total_variation([[0, 1, 2]]), ValueError, r"\(m, 2\)"),
    (lambda: sg.graph_total_variation([]), ValueError, r"\(m, 2\)"),
    (lambda: sg.graph_total_variation([[0.0, 1]]), TypeError, "integers"),
    (lambda: sg.graph_total_variation([[0, -1]]), ValueError, "from 0"),
    (lambda: sg.graph_total_variation([[0, 3]], n=3), ValueError, "below n = 3"),
    (lambda: sg.graph_total_variation([[0, 3]], n=0), ValueError, "positive integer"),
    (lambda: sg.graph_total_variation([[0, 1]], [1, 2]), ValueError, "weights"),
    (lambda: sg.graph_total_variation([[0, 1]], [-1]), ValueError, "nonnegative"),
    (lambda: Difference((3,), order=3), ValueError, "order 3"),
]


@pytest.mark.parametrize(("make", "error", "text"), ERRORS)
def test_errors(make, error, text):
    with pytest.raises(error, match=text):
        make()
