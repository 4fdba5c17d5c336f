"""Perspectives, epigraphs, infimal convolutions and data: what the laws do not say."""

from __future__ import annotations

import pickle

import cvxpy as cp
import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import linprog

import subgrad as sg
from subgrad import Indicator, Interval, Perspective, infimal_convolution, perspective

rng = np.random.default_rng(3)
huber = sg.separable(sg.huber(1.0))
entropy = sg.separable(sg.entropy)
v2 = sg.variable(2)


def interval_box(low, high):
    return sg.Box(Interval(low, high))


# Perspectives -------------------------------------------------------------------------


def test_perspective_of_entropy_is_the_relative_entropy():
    f, x, s = perspective(entropy), np.array([0.5, 2.0, 3.0]), 1.5
    np.testing.assert_allclose(f(x, s), (x * np.log(x / s)).sum(), rtol=1e-14)
    assert f([0, 0, 0], 0) == 0 and f([0, 0, 1], 0) == f([0, 0, -1], 1) == np.inf
    g = f.subgradient([0.5, 2, 1.5])
    np.testing.assert_allclose(g, [*(np.log(x[:2] / s) + 1), -x[:2].sum() / s])
    top = f.subdifferential([0.0, 0, 0])
    assert top.contains([1, 1, -2]) and not top.contains([1, 1, -1.9])
    # sup{γ : exp(g - 1) + γ <= 0} = 0 is not attained.
    with pytest.raises(ValueError, match="not attained"):
        Perspective(sg.separable(sg.entropy, [1.0])).S.support_point([0.0, 1.0])


@pytest.mark.parametrize("size", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("t", [1e-8, 1.0, 1e8])
def test_prox_of_quad_over_lin_at_all_scales(size, t):
    y = size * rng.standard_normal((40, 4)) * 10.0 ** rng.uniform(-3, 3, (40, 1))
    p = sg.quad_over_lin.prox(y, t)
    x, s = p[:, :-1], p[:, -1]
    on = s > 0
    z = x[on] / s[on, None]
    slope = np.concatenate([2 * z, -(z**2).sum(-1, keepdims=True)], -1)
    error = np.linalg.norm(y[on] - p[on] - t * slope, axis=-1)
    assert np.all(error <= 1e-12 * np.linalg.norm(y[on], axis=-1))
    # The others are in t C, where the prox is 0.
    assert np.all(p[~on] == 0) and not p[~on].size == p.size
    assert np.all((y[~on, :-1] ** 2).sum(-1) / (4 * t) <= -y[~on, -1] * (1 + 1e-12))


@pytest.mark.parametrize(
    "phi", [sg.entropy, sg.logistic, sg.huber(1.0), sg.exponential]
)
def test_prox_satisfies_its_inclusion(phi):
    f = Perspective(sg.separable(phi))
    for scale in (1e-8, 1.0, 1e4):
        y = scale * rng.standard_normal((20, 3)) + [0, 0, scale]
        p = f.prox(y, scale)
        on = p[:, -1] > 0
        assert on.sum() > 5
        g = f.subgradient(p[on])
        error = np.abs(y[on] - p[on] - scale * g).max(-1)
        assert np.all(error <= 1e-11 * np.abs(y[on]).max(-1))


def test_prox_of_many_coordinates():
    y = rng.standard_normal(100_001)
    p = sg.quad_over_lin.prox(y)
    g = sg.quad_over_lin.subgradient(p)
    np.testing.assert_allclose(p + g, y, atol=1e-11)
    assert sg.quad_over_lin.prox(y.astype(np.float32)).shape == y.shape


def test_calls_as_in_cvxpy():
    x, y = sg.variables(2, 1)
    f = sg.quad_over_lin(x - 1, 2 * y)
    assert f.value([2.0, 3, 1]) == 2.5
    assert sg.quad_over_lin([1.0, 2], 0.5) == sg.quad_over_lin([1.0, 2, 0.5]) == 10
    np.testing.assert_array_equal(sg.quad_over_lin(np.eye(2), [1.0, 2]), [1, 0.5])
    u = cp.Variable(3)
    sides = [u[:2] == [3, 4], u[2] <= 5]
    problem = cp.Problem(cp.Minimize(sg.quad_over_lin.to_cvxpy(u)), sides)
    np.testing.assert_allclose(problem.solve(solver="CLARABEL"), 5, rtol=1e-6)


def test_cvxpy_has_the_same_perspective():
    """cvxpy's own atom, at points where it has one, against ours."""
    for f, x, s in ((huber, [3.0, 0.2], 1.5), (sg.squared_norm, [1.0, 2], 0.5)):
        z, t = cp.Variable(2), cp.Variable(nonneg=True)
        problem = cp.Problem(
            cp.Minimize(cp.perspective(f.to_cvxpy(z), t)), [z == x, t == s]
        )
        problem.solve(solver="CLARABEL")
        np.testing.assert_allclose(problem.value, perspective(f)(x, s), rtol=1e-6)


def test_directional_derivative_at_scale_zero():
    """Several slopes at once: the subdifferential is a part, f'(x; d) exact."""
    f, x = Perspective(huber), np.array([1.0, 0, 0])
    S = f.subdifferential(x)
    assert S.nonempty and not S.exact and f.subdifferential([1.0, -1, 0]).exact
    for d in ([0.3, 2, 1], [0.3, 0.5, 2], [0, -1, 0], [1, 1, 0.1]):
        d = np.array(d)
        slope, t = f.directional_derivative(x, d), 1e-7
        np.testing.assert_allclose(slope, (f.value(x + t * d) - 2) / t, rtol=1e-5)
        assert S.support(d) <= slope + 1e-12
    assert f.directional_derivative(x, [0, 0, -1]) == np.inf
    # √(1 + t²) falls towards |t| beside every ray.
    g = Perspective(sg.separable(sg.pseudo_huber(1.0)))
    want = g.value([1, 0.5, 1e-9]) - g.value([1, 0.5, 0])
    slope = g.directional_derivative([1, 0.5, 0], [0, 0, 1])
    np.testing.assert_allclose(slope, want / 1e-9, atol=1e-6)


def test_calls_with_constants():
    v, s = sg.variables(3, 1)
    at = np.array([1.0, 2, 3, 2])
    for f in (sg.norm1, sg.log_sum_exp, sg.MaxAffine(np.eye(3), [1.0, 2, 3])):
        g = perspective(f, 3)
        want = g([1.0, 2, 3], 2)
        assert g(v, s).value(at) == g(v, 2.0).value(at) == want
        assert g(np.array([1.0, 2, 3]), s).value(at) == want
        assert repr(g).startswith("perspective") and g == perspective(f, 3)
    assert sg.quad_over_lin(v, 2.0).value(at) == 7
    assert sg.quad_over_lin(np.ones(3), s).value(at) == 1.5
    with pytest.raises(ValueError, match="s must be one number"):
        sg.quad_over_lin(v, [1.0, 2])
    with pytest.raises(ValueError, match="x must be one vector"):
        sg.quad_over_lin(np.eye(3), s)


def test_perspective_of_log_sum_exp():
    f = perspective(sg.log_sum_exp, 3)
    assert f.n == 4 and f.value([1.0, 2, 3, 0]) == 3
    x, d = np.array([1.0, 3, 3, 0]), np.array([0, 0.5, 1, 2.0])
    slope = (f.value(x + 1e-7 * d) - 3) / 1e-7
    np.testing.assert_allclose(f.directional_derivative(x, d), slope, rtol=1e-6)
    top = f.subdifferential(np.zeros(4))
    assert top.contains([0.2, 0.3, 0.5, 0]) and not top.contains([0.2, 0.3, 0.4, 0])
    simple = perspective(sg.SimplexEntropy(), 2)
    assert simple.value([0, 0, 0.0]) == 0 and simple.value([1, 0, 0.0]) == np.inf


def test_no_warning_where_one_direction_stays_at_scale_zero():
    f = perspective(sg.separable(sg.negative_log))
    slopes = f.directional_derivative([1.0, 0, 0], [[0, 1.0, 1], [1, 0, 0]])
    np.testing.assert_array_equal(slopes, [-np.inf, 0])


def test_many_coordinates_need_no_matrix():
    n = 100_000
    r = np.random.default_rng(0)
    y = r.standard_normal(n + 1)
    y[-1] = 2.0
    for f in (sg.quad_over_lin, Perspective(huber)):
        S = f.subdifferential(y)
        np.testing.assert_allclose(S.support(y), f.value(y), rtol=1e-12)
    d = sg.distance(sg.Simplex(n))
    x = d.S.project(y[:n])
    slope = d.value(x + 1e-6 * y[:n]) / 1e-6
    np.testing.assert_allclose(d.directional_derivative(x, y[:n]), slope, rtol=1e-6)
    away = d.subgradient(y[:n]) @ y[:n]
    np.testing.assert_allclose(d.directional_derivative(y[:n], y[:n]), away)
    assert d.subdifferential(y[:n], 0.1).support(y[:n]) >= away - 1e-9


def test_normal_cone_of_the_simplex_against_the_general_projection():
    from subgrad.calculus.precompose import project_terms

    r = np.random.default_rng(1)
    for k in range(60):
        n = int(r.integers(2, 6))
        S = sg.CappedSimplex(0, 1, k % (n + 1), n) if k % 2 else sg.Simplex(n)
        x = S.project(r.integers(-2, 3, n) * r.random())
        N, z = S.normal_cone(x), r.integers(-2, 3, n) * 1.0
        np.testing.assert_allclose(N.project(z), project_terms(N, z), atol=1e-9)


def test_simple_perspectives():
    y = rng.standard_normal((30, 3)) * [1, 1, 2]
    A, b = rng.standard_normal((4, 2)), rng.standard_normal(4)
    pairs = [
        (perspective(sg.norm2, 2), Perspective(sg.norm2)),
        (perspective(sg.MaxAffine(A, b)), Perspective(sg.MaxAffine(A, b))),
        (perspective(sg.Linear([1.0, 2], 3.0)), Perspective(sg.Linear([1.0, 2], 3.0))),
    ]
    for simple, general in pairs:
        assert not isinstance(simple, Perspective)
        np.testing.assert_allclose(simple.value(y), general.value(y), atol=1e-13)
        flat = y * [1, 1, 0]
        np.testing.assert_allclose(simple.value(flat), general.value(flat), atol=1e-13)


def test_perspective_of_an_indicator_is_that_of_a_cone():
    P = np.array([[1.0, 0], [0, 2], [-1, -1]])
    f = perspective(Indicator(sg.Hull(P)))
    K = sg.Cone(np.column_stack([P, np.ones(3)]))
    y = 3 * rng.standard_normal((10, 3))
    np.testing.assert_allclose(f.prox(y), K.project(y), atol=1e-9)
    inside = K.project(y) + K.project(y[::-1])
    assert np.all(f.value(inside) == 0) and np.all(f.value(-inside) == np.inf)


def test_without_a_conjugate():
    quartic = sg.separable(sg.t**4 + abs(sg.t), [1.0, 1.0])
    f = Perspective(quartic)
    np.testing.assert_allclose(f([1.0, 0], 2), 2 * (1 / 16 + 1 / 2))
    S = f.subdifferential([1.0, 0, 2])
    assert S.exact and S.contains([1.5, 1, -3 / 16]) and not S.contains([1.5, 1.1, 0])
    with pytest.raises(NotImplementedError, match="conjugate"):
        f.subdifferential([0.0, 0, 0])
    # To cvxpy it goes by cvxpy's own perspective.
    A, z = np.array([[1.0, 2], [0, 1], [1, 1]]), np.array([1.0, 1, 2])
    f, u = perspective(sg.norm2(A @ v2 - [1, 2, 3])), cp.Variable(3)
    problem = cp.Problem(cp.Minimize(f.to_cvxpy(u) + cp.sum_squares(u - z) / 2))
    best = problem.solve(solver="CLARABEL")
    near = u.value + 0.01 * rng.standard_normal((99, 3))
    assert np.all(f.value(near) + ((near - z) ** 2).sum(-1) / 2 >= best - 1e-6)


def test_border_of_perspectives():
    with pytest.raises(TypeError, match="f must be a Function"):
        perspective(sg.huber(1.0))
    with pytest.raises(ValueError, match="batch"):
        Perspective(sg.Linear(np.eye(2)))
    with pytest.raises(ValueError, match="n must be 2"):
        perspective(sg.Linear([1.0, 2]), 3)
    with pytest.raises(ValueError, match="n \\+ 1"):
        sg.quad_over_lin([1.0])
    with pytest.raises(ValueError, match="number of arguments"):
        sg.Epigraph(sg.norm1)
    with pytest.raises(ValueError, match="outside the domain"):
        sg.quad_over_lin.subgradient([1.0, 0])
    again = pickle.loads(pickle.dumps(perspective(huber)))
    assert again == perspective(huber) and repr(again).startswith("perspective")


# Epigraphs ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "phi", [sg.huber(1.0), sg.logistic, sg.exponential, sg.absolute]
)
def test_projection_on_an_epigraph_agrees_with_cvxpy(phi):
    f = sg.separable(phi, [1.0, 1.0])
    S = sg.Epigraph(f)
    for y in 2 * rng.standard_normal((3, 3)):
        z = cp.Variable(3)
        problem = cp.Problem(cp.Minimize(cp.sum_squares(z - y)), S.to_cvxpy(z))
        problem.solve(solver="CLARABEL")
        p = S.project(y)
        np.testing.assert_allclose(p, z.value, atol=2e-4)
        assert p[-1] >= f.value(p[:2]) - 1e-12
    assert S.contains([0.0, 0, 5]) and not S.contains([9.0, 0, 1])
    np.testing.assert_array_equal(S.project([0.1, 0, 5]), [0.1, 0, 5])
    flipped = sg.Hypograph(f)
    np.testing.assert_allclose(flipped.project(y * [1, 1, -1]), p * [1, 1, -1])


def test_normal_cone_of_an_epigraph():
    """(f', -1) on the graph, the normals of the domain above it."""
    S = sg.Epigraph(sg.squared_norm(v2))
    on, above = S.normal_cone([1.0, 2, 5]), S.normal_cone([1.0, 2, 6])
    assert on.contains([2, 4, -1]) and not on.contains([-2, -4, 1])
    assert above.contains(np.zeros(3)) and not above.contains([2, 4, -1])
    box = sg.Epigraph(sg.separable(sg.interval_indicator(0, 1), [1.0, 1.0]))
    end = box.normal_cone([1.0, 0.5, 3])
    assert end.contains([2.0, 0, 0]) and not end.contains([2.0, 0, -1])
    assert box.normal_cone([1.0, 0.5, 0]).contains([2.0, 0, -1])


# Recession functions ------------------------------------------------------------------

RECEDING = [
    huber,
    entropy,
    sg.separable(sg.exponential),
    sg.log_sum_exp,
    sg.LogSumExp([1.0, 2], 0.5),
    sg.separable(sg.absolute, [1.0, 0.0]),
    sg.squared_norm,
    sg.Quadratic([[1.0, 1], [1, 1]]),
    sg.norm1(np.array([[1.0, 2], [0, 1], [1, 1]]) @ v2 + [1, 2, 3]),
    2 * sg.norm2 + sg.Linear([1.0, 2], 5.0),
    sg.maximum(sg.norm1(v2), 2 * sg.norm_inf(v2 - 1), v2[0] + 7),
    sg.stack(sg.norm1(sg.variable(1)), sg.squared_norm(sg.variable(1))),
    sg.moreau_envelope(sg.norm1, 0.5),
    sg.Distance(sg.Ball([1.0, 2])),
    sg.Distance(interval_box([0.0, -1], [np.inf, 1])),
    Indicator(interval_box([0.0, -1], [np.inf, 1])),
]


@pytest.mark.parametrize("f", RECEDING, ids=map(repr, range(len(RECEDING))))
def test_recession_function_is_the_limit(f):
    r, x = sg.recession_function(f), np.array([0.5, 0.25])
    for d in ([1.0, 0], [0, 1.0], [-1, 0.5], [1, -1.0], [1.0, 2]):
        d, far = np.array(d), 1e7
        with np.errstate(over="ignore"):
            quotient = f.value(x + far * d) / far
        want = r.value(d)
        if np.isinf(want):
            assert quotient > 1e1 and want > 0
        else:
            np.testing.assert_allclose(quotient, want, atol=1e-5)


# Data ---------------------------------------------------------------------------------


def lowest(P, y, x):
    rows = np.vstack([P.T, np.ones(len(P))])
    found = linprog(y, A_eq=rows, b_eq=np.r_[x, 1], bounds=(0, None))
    return found.fun if found.status == 0 else np.inf


line3 = np.outer(rng.standard_normal(9), [1.0, 2, 3]) + 1
plane3 = rng.standard_normal((12, 2)) @ rng.standard_normal((2, 3))
DATA = {
    "in the plane": rng.standard_normal((20, 2)),
    "on the line": rng.standard_normal((9, 1)),
    "in space": rng.standard_normal((15, 3)),
    "a line in space": line3,
    "a plane in space": plane3,
    "one point": np.array([[1.0, 2]]),
    "one point, thrice": np.array([[1.0, 2]] * 3),
    "two points": np.array([[1.0, 2], [2, 3]]),
    "lattice": np.stack(np.meshgrid([-1.0, 0, 1], [-1.0, 0, 1]), -1).reshape(-1, 2),
}


@pytest.mark.parametrize("P", DATA.values(), ids=DATA)
@pytest.mark.parametrize("kind", ["square", "noise", "affine"])
def test_interpolation_is_the_least_convex_combination(P, kind):
    m, n = P.shape
    y = {"square": (P**2).sum(1), "noise": rng.standard_normal(m), "affine": P.sum(1)}
    y = y[kind]
    f = sg.convex_interpolation(P, y)
    x = rng.dirichlet(np.ones(m), 6) @ P
    np.testing.assert_allclose(f.value(x), [lowest(P, y, p) for p in x], atol=1e-7)
    assert np.all(f.facets.value(P) <= y + 1e-12)
    if kind != "noise":
        assert f.interpolates
        # At a vertex of the data every facet that meets there is active.
        np.testing.assert_allclose(f.value(P), y, atol=1e-12)
    assert f.value(P.mean(0) + 50) == np.inf
    g = rng.standard_normal((5, n))
    np.testing.assert_allclose(f.conjugate().value(g), (g @ P.T - y).max(-1))


def test_whether_data_are_convex():
    t = np.arange(5.0)
    assert sg.convex_interpolation(t, t**2).interpolates
    assert not sg.convex_interpolation(t, -(t**2)).interpolates
    assert not sg.convex_interpolation(t, 1e-8 * -(t**2)).interpolates
    f = sg.convex_interpolation(1e-8 * t, 1e8 * t**2)
    assert f.interpolates
    np.testing.assert_allclose(f.value(1.5e-8), 2.5e8)
    for bad in (np.ones(3), np.ones((5, 1)), [np.nan] * 5):
        with pytest.raises(ValueError, match="values must"):
            sg.convex_interpolation(t, bad)


def test_ties_at_a_vertex():
    """All facets that meet at a data point are in the subdifferential there."""
    r = np.random.default_rng(9)
    P = r.standard_normal((30, 2))
    f = sg.convex_interpolation(P, (P**2).sum(1))
    for p in P[:6]:
        for d in r.standard_normal((4, 2)):
            slope = f.directional_derivative(p, d)
            quotient = (f.value(p + 1e-6 * d) - f.value(p)) / 1e-6
            np.testing.assert_allclose(slope, quotient, rtol=1e-6)
            np.testing.assert_allclose(f.subdifferential(p).support(d), slope)


def test_facets_at_a_point_where_sizes_cancelled():
    f = sg.convex_interpolation([-1, 0, 2.0], [1, 0, 3.0])
    assert f.directional_derivative([0.0], [1.0]) == 1.5
    assert f.subdifferential([0.0]).box() == Interval([-1.0], [1.5])
    # Values of 1e16 far away do not blur what happens near 0.
    f = sg.convex_interpolation([-1e8, -1, 0, 1, 1e8], [1e16, 1, 0, 1, 1e16])
    assert f.subdifferential([0.0]).box() == Interval([-1.0], [1.0])
    assert f.subdifferential([1e-9]).box() == Interval([1.0], [1.0])


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("height", [1e-8, 1e8])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_facets_at_vertices_are_complete(scale, height, n):
    """f'(p_i; d) is the largest <g, d> with <g, p_j - p_i> <= y_j - y_i for all j."""
    r = np.random.default_rng(n)
    for P in (r.standard_normal((10, n)), r.integers(-3, 4, (10, n)) + 100.0):
        y = ((P - P.mean(0)) ** 2).sum(1)
        f = sg.convex_interpolation(scale * P, height * y)
        for i in (0, 5):
            d = r.standard_normal(n)
            found = linprog(-d, P - P[i], y - y[i], bounds=(None, None))
            want = -found.fun if found.status == 0 else np.inf
            unit = scale / height
            slope = f.directional_derivative(scale * P[i], d) * unit
            wide = f.subdifferential(scale * P[i]).support(d) * unit
            np.testing.assert_allclose([slope, wide], want, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_domain_of_an_interpolation(n):
    """Facets of the hull, or where they do not decide the hull itself."""
    P = np.random.default_rng(n).standard_normal((30, n))
    f, x = sg.convex_interpolation(P, (P**2).sum(1)), rng.standard_normal((100, n))
    x = np.concatenate([x, P, (P + P[::-1]) / 2])
    np.testing.assert_array_equal(np.isfinite(f.value(x)), f.domain.contains(x))


def test_convex_function_through_points():
    f = sg.PiecewiseLinear.from_points([2.0, 0, 1], [4.0, 0, 1])
    np.testing.assert_allclose(f([0, 0.5, 1, 1.5, 2]), [0, 0.5, 1, 2.5, 4])
    assert f(2.1) == f(-0.1) == np.inf
    one = sg.PiecewiseLinear.from_points([3.0], [7.0])
    assert one(3) == 7 and one(3.1) == np.inf
    t = np.linspace(0, 1, 50)
    line = sg.PiecewiseLinear.from_points(t, 0.3 * t + 0.1)
    np.testing.assert_allclose(line(t), 0.3 * t + 0.1)
    with pytest.raises(ValueError, match="bend down at 1"):
        sg.PiecewiseLinear.from_points([0.0, 1, 2], [0.0, 1, 1.5])
    with pytest.raises(ValueError, match="two at 1"):
        sg.PiecewiseLinear.from_points([0.0, 1, 1], [0.0, 1, 2])
    with pytest.raises(ValueError, match="shape"):
        sg.PiecewiseLinear.from_points([0.0, 1], [0.0])


# Infimal convolutions -----------------------------------------------------------------

plane = np.stack(np.meshgrid(*[np.linspace(-4, 4, 161)] * 2), -1)
PAIRS = {
    "square": (sg.squared_norm, sg.norm1(v2)),
    "multiple of a square": (sg.norm1(v2), 3 * sg.squared_norm),
    "separable": (huber, sg.separable(sg.absolute)),
    "distance": (2 * sg.norm2, Indicator(interval_box([0.0, 0], [1, 1]))),
    "sum of sets": (
        Indicator(interval_box([0.0, 0], [1, 1])),
        Indicator(interval_box([-1.0, 0], [0, 2])),
    ),
    "quadratics": (sg.Quadratic([[2.0, 1], [1, 1]]), sg.Quadratic(np.diag([1.0, 0.5]))),
    "boxes": (
        sg.norm1,
        sg.Support(interval_box([-2.0, 0], [0.5, 3])),
    ),
    "affine": (sg.Linear([0.5, -0.25], 1.0), sg.norm1),
}


@pytest.mark.parametrize("f, g", PAIRS.values(), ids=PAIRS)
def test_infimal_convolution_is_the_least_split(f, g):
    """On a grid of mesh 0.05, which the minimising splits may miss by that much."""
    h = infimal_convolution(f, g)
    for x in ([0.0, 0], [1.0, 0.5], [-0.5, 2.0]):
        x = np.array(x)
        splits = f.value(plane) + g.value(x - plane)
        want, got = splits.min(), h.value(x)
        assert want == got if np.isinf(want) else -1e-9 <= want - got <= 0.08
    try:
        dual = sg.conjugate(f) + sg.conjugate(g)
    except NotImplementedError:
        return
    p = 0.4 * rng.standard_normal((6, 2))
    np.testing.assert_allclose(sg.conjugate(h).value(p), dual.value(p), atol=1e-9)


def test_infimal_convolutions_that_are_not_there():
    with pytest.raises(NotImplementedError, match="unbounded"):
        polar = sg.Epigraph(sg.separable(sg.exponential, [1.0]))
        infimal_convolution(Indicator(polar), Indicator(polar))
    with pytest.raises(ValueError, match="-inf"):
        infimal_convolution(sg.Linear([3.0, 0]), sg.norm1)
    with pytest.raises(ValueError, match="-inf"):
        away = sg.Support(interval_box([2.0, 2], [3, 3]))
        infimal_convolution(away, sg.norm1)
    with pytest.raises(ValueError, match="do not mix"):
        infimal_convolution(sg.Linear([1.0]), sg.Linear([1.0, 2]))
    three = infimal_convolution(sg.squared_norm, sg.squared_norm, sg.squared_norm)
    np.testing.assert_allclose(three.value([3.0, 0]), 3)


# Conjugates and prox of what was there ------------------------------------------------


def test_conjugate_of_a_composed_support_function():
    A, b = rng.standard_normal((3, 2)), rng.standard_normal(3)
    f = sg.norm1(A @ v2 - b)
    star = f.conjugate()
    for g in 0.5 * rng.standard_normal((5, 2)):
        s = linprog(b, A_eq=A.T, b_eq=g, bounds=(-1, 1))
        want = s.fun if s.status == 0 else np.inf
        np.testing.assert_allclose(star.value(g), want, atol=1e-8)
    assert sg.norm2(A @ v2).conjugate().value(0.1 * A[0]) == 0
    with pytest.raises(NotImplementedError, match="few vertices"):
        sg.norm2(A @ v2 - b).conjugate()
    with pytest.raises(NotImplementedError, match="only for"):
        huber(A @ v2).conjugate()


@pytest.mark.parametrize("form", [np.array, sp.csr_array])
def test_quadratic_keeps_its_factors(form):
    M = rng.standard_normal((6, 4))
    P = M.T @ M
    f, x = sg.Quadratic(form(P)), rng.standard_normal((3, 4))
    fresh = sg.Quadratic(form(P))
    for t in (1e-8, 0.5, 0.5, 1e4, 2.0):
        want = np.linalg.solve(np.eye(4) + t * P, x.T).T
        np.testing.assert_allclose(f.prox(x, t), want, rtol=1e-9)
    steps = np.array([0.5, 1.0, 0.5])
    many = f.prox(x, steps)
    np.testing.assert_allclose(many[1], f.prox(x[1], 1.0), rtol=1e-12)
    assert f == fresh and len(pickle.dumps(f)) == len(pickle.dumps(fresh))
    again = pickle.loads(pickle.dumps(f))
    np.testing.assert_array_equal(again.prox(x), f.prox(x))
    zero = sg.Quadratic(np.zeros((2, 2)))
    np.testing.assert_array_equal(zero.prox([1.0, 2]), [1, 2])


def test_distances():
    S, x = sg.Ball([0.0, 0]), np.array([[3.0, 4], [0.1, 0]])
    np.testing.assert_allclose(sg.squared_distance(S).value(x), [16, 0])
    grad = sg.squared_distance(S).subgradient(x)
    np.testing.assert_allclose(grad, [[4.8, 6.4], [0, 0]], atol=1e-14)
    assert sg.distance(S) == sg.Distance(S)
