"""Log-sum-exp, entropies and means: what the laws do not say."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from scipy.special import logsumexp, rel_entr

import subgrad as sg

SCALES = (1e-8, 1.0, 1e8)
rng = np.random.default_rng(0)
q3 = np.array([0.2, 1.0, 3.0])
HYPOGRAPH = sg.ExponentialHypograph(2)
GEOMETRIC = sg.GeometricLevelSet([2.0, 1, 1])


def solved(objective, sides=()):
    problem = cp.Problem(cp.Minimize(objective), list(sides))
    problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-9, tol_gap_rel=1e-9, tol_feas=1e-9)
    return problem.value


@pytest.mark.parametrize(
    "f",
    [
        sg.LogSumExp(q3, 0.5),
        sg.SimplexEntropy(q3, mu=0.5),
        sg.negative_entropy,
        sg.negative_geo_mean([2.0, 1, 3]),
        sg.NegativeHarmonicMean([2.0, 1, 3]),
        sg.joint_relative_entropy,
    ],
    ids=lambda f: type(f).__name__,
)
@pytest.mark.parametrize("t", [0.2, 5.0])
def test_prox_and_value_by_cvxpy(f, t):
    n = 4 if isinstance(f, sg.JointRelativeEntropy) else 3
    x = np.array([0.7, 2.0, -0.4, 0.3])[:n]
    u = cp.Variable(n)
    least = solved(f.to_cvxpy(u) + cp.sum_squares(u - x) / (2 * t))
    p = f.prox(x, t)
    # The objective is strongly convex: to 1e-8 in value is to 1e-4 in the point.
    assert np.isclose(f(p) + (p - x) @ (p - x) / (2 * t), least, rtol=0, atol=1e-7)
    assert np.allclose(p, u.value, atol=1e-4)
    u.value = p
    assert abs(cp.sum(f.to_cvxpy(u)).value - f.value(p)) < 1e-7


def test_weights_that_are_no_fractions_by_cvxpy():
    f = sg.negative_geo_mean([np.pi, 1.0, 0.1])
    u = cp.Variable(3)
    x = np.array([1.0, 2, 0.5])
    cp.Problem(cp.Minimize(f.to_cvxpy(u) + cp.sum_squares(u - x) / 2)).solve(
        solver=cp.CLARABEL
    )
    assert np.allclose(f.prox(x), u.value, atol=1e-7)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("t", [1e-8, 1e-3, 1.0, 1e3, 1e8])
def test_prox_of_log_sum_exp_and_entropy_at_scales(scale, t):
    for n in (1, 2, 300):
        weights = np.exp(3 * rng.standard_normal(n))
        x = scale * rng.standard_normal((3, n))
        p = sg.LogSumExp(weights).prox(x, t)
        # w = x - p has w + log(w/q) = x + c and sum t.
        w = np.maximum(x - p, 0)
        off = _misfit(w, w + np.log(np.where(w > 0, w, 1) / weights) - x, 1.0)
        size = max(np.abs(x).max(), t)
        assert max(off, np.abs(w.sum(-1) - t).max()) <= 2e-14 * size
        s = sg.relative_entropy(weights).prox(x, t)
        assert np.abs(s.sum(-1) - 1).max() <= 1e-13
        logs = np.log(np.where(s > 0, s, 1)) - np.log(weights)
        away = x - x.max(-1, keepdims=True)
        assert _misfit(s, s + t * logs - away, t) <= 1e-13


def _misfit(w, side, t):
    """How far w > 0 is off w + t log w = c + ..., `side` being the two sides' gap."""
    give = np.where(w > 1e-300, w / (w + t), 0)
    mean = (side * give).sum(-1, keepdims=True)
    mean = mean / np.maximum(give.sum(-1, keepdims=True), 1e-300)
    return np.abs((side - mean) * give).max()


@pytest.mark.parametrize("f", [sg.negative_geo_mean(), sg.negative_harmonic_mean])
@pytest.mark.parametrize("scale", SCALES)
def test_prox_of_means_at_scales(f, scale):
    for t in (1e-8, 1.0, 1e8):
        for n in (1, 2, 4):
            x = scale * (rng.standard_normal((6, n)) + 0.5)
            p = f.prox(x, t)
            s = (x - p) / t
            assert np.all(p >= 0)
            S = f._body(n)
            u = S.project(x / t)
            assert np.abs(s - u).max() <= 1e-13 * max(np.abs(x / t).max(), 1)
            inner = (p > 0).all(-1)
            assert inner.any()
            g = f.subgradient(p[inner])
            assert np.allclose(g, u[inner], rtol=1e-11, atol=0)


def test_large_arguments():
    x = np.array([1e8, 1e8 - 1, -1e8])
    assert np.isclose(sg.log_sum_exp(x) - 1e8, np.log1p(np.exp(-1)), atol=1e-7)
    assert sg.soft_maximum(1e-8)(x) == 1e8
    assert np.allclose(sg.log_sum_exp.subgradient([1e300, 0, -1e300]), [1, 0, 0])
    assert np.isclose(sg.negative_geo_mean()([1e200, 1e200, 1e200]), -1e200)
    assert np.isclose(sg.negative_harmonic_mean([1e-200, 1e-200]), -1e-200)
    n = 20000
    x = 3 * rng.standard_normal(n)
    p = sg.log_sum_exp.prox(x, 2.0)
    assert np.abs(p + 2 * sg.log_sum_exp.subgradient(p) - x).max() < 1e-13
    p = sg.negative_geo_mean().prox(np.abs(x), 2.0)
    slope = sg.negative_geo_mean().subgradient(p)
    assert np.abs(p + 2 * slope - np.abs(x)).max() < 1e-12


def test_soft_maximum_is_the_scaled_log_sum_exp():
    mu, v = 0.3, sg.variable(3)
    f, g = sg.soft_maximum(mu), mu * sg.log_sum_exp(v / mu)
    x = rng.standard_normal((5, 3))
    assert np.allclose(f(x), g(x), atol=1e-14)
    assert np.allclose(f.prox(x, 2.0), g.prox(x, 2.0), atol=1e-13)
    s = rng.dirichlet(np.ones(3), 5)
    assert np.allclose(f.conjugate()(s), g.conjugate()(s), atol=1e-14)
    assert np.all(f(x) >= x.max(-1)) and np.all(f(x) <= x.max(-1) + mu * np.log(3))
    mean = sg.LogSumExp(np.full(3, 1 / 3), mu)
    assert np.all(mean(x) <= x.max(-1)) and np.allclose(mean(x), f(x) - mu * np.log(3))


def test_eps_subdifferential_of_log_sum_exp():
    f = sg.LogSumExp(q3, 0.5)
    x = np.array([1.0, -1, 0.5])
    s = f.subgradient(x)
    for eps in (1e-6, 0.01, 0.3, 0.5 * np.log(2), 1.0, 3.0):
        G = f.subdifferential(x, eps)
        g = G.support_point(rng.standard_normal((40, 3)))
        most = (0.5 * rel_entr(g, s).sum(-1)).max()
        assert 0.1 * eps < most <= eps * (1 + 1e-12)
    # From its cost on, the whole simplex, and not before.
    cost = f._costs(x)[0]
    assert np.isclose(cost, -0.5 * np.log(s.min()))
    d = rng.standard_normal((20, 3))
    whole = f.subdifferential(x, cost * (1 + 1e-12)).support(d)
    assert np.allclose(whole, d.max(-1))
    assert f.subdifferential(x, 0.9 * cost).support(np.eye(3)).min() < 0.9
    many = f.subdifferential(np.stack([x, x]), np.array([0.0, 1.0]))
    assert np.array_equal(many.is_singleton, [True, False])


def test_eps_subdifferential_of_entropy_on_the_boundary():
    f = sg.SimplexEntropy(q3, mu=2.0)
    star = f.conjugate()
    for x in ([0.3, 0.7, 0.0], [1.0, 0, 0], [0.2, 0.3, 0.5]):
        x = np.array(x)
        assert f.subdifferential(x).nonempty == np.all(x > 0)
        for eps in (1e-3, 0.1, 2.0, 2000.0):
            G = f.subdifferential(x, eps)
            g = G.project(30 * rng.standard_normal((20, 3)))
            gap = f(x) + star(g) - g @ x
            assert gap.max() <= eps * (1 + 1e-9) and gap.max() > 0.01 * min(eps, 1)
    both = f.subdifferential(np.array([[1.0, 0, 0], [0.2, 0.3, 0.5]]), [0.0, 0.1])
    assert np.array_equal(both.nonempty, [False, True])


def test_entropy_and_its_relatives():
    x = rng.dirichlet(np.ones(3), 4)
    assert np.allclose(sg.negative_entropy(x), (x * np.log(x)).sum(-1))
    assert np.allclose(sg.relative_entropy(q3)(x), rel_entr(x, q3).sum(-1))
    assert np.allclose(
        sg.joint_relative_entropy(np.concatenate([x, 0 * x + q3], -1)),
        sg.relative_entropy(q3)(x),
    )
    assert sg.relative_entropy(q3).conjugate() == sg.LogSumExp(q3)
    assert sg.log_sum_exp.conjugate() == sg.negative_entropy
    assert sg.relative_entropy(q3).infimum == -np.log(q3.sum())
    assert np.isclose(sg.relative_entropy(q3)(q3 / q3.sum()), -np.log(q3.sum()))
    assert sg.negative_entropy([1.0]) == 0
    assert sg.negative_entropy.subdifferential([1.0]).contains([[-7.0], [3.0]]).all()
    edge = np.array([0.5, 0.5, 0])
    d = np.array([[1.0, -1, 0], [-1, 0, 1], [1, 0, -1], [1, 1, 0]])
    slopes = sg.negative_entropy.directional_derivative(edge, d)
    assert np.array_equal(slopes, [0, -np.inf, np.inf, np.inf])
    with pytest.raises(ValueError, match="no subgradient"):
        sg.negative_entropy.subgradient(edge)
    assert np.allclose(sg.relative_entropy(q3).prox(np.log(q3), 1e8), q3 / q3.sum())


def test_parameters_in_batches():
    weights = np.exp(rng.standard_normal((4, 3)))
    mu = np.array([0.1, 1.0, 2.0, 5.0])
    x = rng.standard_normal(3)
    s, d = np.array([0.2, 0.3, 0.5]), np.array([1.0, -2, 1])
    many = sg.LogSumExp(weights, mu), sg.SimplexEntropy(weights, mu=mu)
    ones = [
        (sg.LogSumExp(w, m), sg.SimplexEntropy(w, mu=m))
        for w, m in zip(weights, mu, strict=True)
    ]
    for i, y in ((0, x), (1, s)):
        each = [pair[i] for pair in ones]
        f = many[i]
        assert np.allclose(f(y), [g(y) for g in each])
        assert np.allclose(f.prox(y, 0.5), [g.prox(y, 0.5) for g in each])
        assert np.allclose(f.subgradient(y), [g.subgradient(y) for g in each])
        for eps in (0.0, 0.3):
            S = f.subdifferential(y, eps)
            h = [g.subdifferential(y, eps).support(d) for g in each]
            assert np.allclose(S.support(d), h)
    means = sg.NegativeGeometricMean, sg.NegativeHarmonicMean
    for cls in means:
        f, each = cls(weights), [cls(w) for w in weights]
        y = np.abs(x)
        assert np.allclose(f(y), [g(y) for g in each])
        assert np.allclose(f.prox(x, 0.5), [g.prox(x, 0.5) for g in each])
        assert np.allclose(f.subgradient(y), [g.subgradient(y) for g in each])


def test_border():
    for make in (sg.LogSumExp, sg.relative_entropy):
        with pytest.raises(ValueError, match="must be positive"):
            make([1.0, 0.0])
        with pytest.raises(ValueError, match="nan"):
            make([1.0, np.nan])
    with pytest.raises(ValueError, match="mu must be positive"):
        sg.soft_maximum(0.0)
    with pytest.raises(ValueError, match="p must be positive"):
        sg.negative_geo_mean([1.0, 0.0, 2.0])
    with pytest.raises(ValueError, match=r"\(\.\.\., 3\)"):
        sg.relative_entropy(q3)([0.5, 0.5])
    with pytest.raises(ValueError, match="one length, got 3"):
        sg.joint_relative_entropy([1.0, 2, 3])
    with pytest.raises(ValueError, match="no one domain"):
        _ = sg.negative_entropy.domain
    with pytest.raises(ValueError, match="n must be"):
        sg.SimplexEntropy(n=0)


def test_means_at_the_boundary():
    geo, harmonic = sg.negative_geo_mean(), sg.negative_harmonic_mean
    x = np.array([0.0, 2, 0])
    assert geo(x) == harmonic(x) == 0 and geo([-1.0, 1, 1]) == np.inf
    d = np.array([[1.0, 0, 1], [1, 0, 0], [2, -1, 1], [-1, 0, 1]])
    slopes = geo.directional_derivative(x, d)
    assert np.array_equal(slopes, [-np.inf, 0, -np.inf, np.inf])
    slopes = harmonic.directional_derivative(x, d)
    assert np.allclose(slopes[:3], [-1.5, 0, -2]) and slopes[3] == np.inf
    assert not geo.subdifferential(x).nonempty
    with pytest.raises(ValueError, match="no subgradient"):
        geo.subgradient(x)
    S = harmonic.subdifferential(x)
    assert S.contains([-0.75, 0, -0.75]) and not S.contains([-0.7, 0, -0.75])
    assert not S.contains([-3.0, -0.1, -3]) and S.exact
    assert geo.subdifferential(np.zeros(3)) == sg.GeometricLevelSet(np.ones(3))
    y = rng.uniform(0.5, 2, (4, 3))
    assert np.allclose(geo(y), -(np.prod(y, -1) ** (1 / 3)))
    assert np.allclose(harmonic(y), -3 / (1 / y).sum(-1))
    weighted = sg.negative_geo_mean([2.0, 1, 1])(y)
    assert np.allclose(weighted, -((y[:, 0] ** 2 * y[:, 1] * y[:, 2]) ** 0.25))


@pytest.mark.parametrize("S", [GEOMETRIC, HYPOGRAPH], ids=["geometric", "hypograph"])
def test_sets_with_suprema_not_attained(S):
    """Where the face is not empty it is what the law of faces says."""
    n = S.dim
    y = np.concatenate([3 * rng.standard_normal((8, n)), -np.ones((1, n))])
    p = S.project(y)
    z = cp.Variable(n)
    for v, w in zip(y, p, strict=True):
        least = solved(cp.sum_squares(z - v), S.to_cvxpy(z))
        assert np.isclose(least, (w - v) @ (w - v), atol=1e-7)
        assert np.allclose(w, z.value, atol=1e-4)
        assert S.contains(w) and S.normal_cone(w).contains(v - w, 1e-8)
        assert S.contains(v) == (np.linalg.norm(v - w) == 0)
    some = np.concatenate([p, p - rng.uniform(0, 3, p.shape)])
    assert np.all(S.contains(some))
    for v, w in zip(y, p, strict=True):
        assert ((some - w) @ (v - w)).max() <= 1e-12 * (1 + v @ v)
    for d in (np.arange(1.0, n + 1), np.ones(n), np.zeros(n)):
        F, h = S.exposed_face(d), S.support(d)
        assert F.nonempty and np.isclose(F.support_point(d) @ d, h)
        assert S.contains(F.support_point(d)) and np.all(some @ d <= h + 1e-12)
        u = rng.standard_normal(n)
        assert np.isclose(F.contains(S.project(u)), not d.any())
    lost = np.array([0.0, 1, 1, 1])[:n]
    assert S.support(lost) == 0 and not S.exposed_face(lost).nonempty
    with pytest.raises(ValueError, match="not attained"):
        S.support_point(lost)
    assert S.support(-lost) == np.inf
    assert S.recession_cone() == sg.Box(sg.Interval(np.full(n, -np.inf), np.zeros(n)))
    half = cp.Variable(n)
    assert np.isclose(
        -solved(-np.arange(1.0, n + 1) @ half, S.to_cvxpy(half, 2.0)),
        2 * S.support(np.arange(1.0, n + 1)),
    )


@pytest.mark.parametrize(
    "S", [GEOMETRIC, HYPOGRAPH, sg.HarmonicLevelSet(q3)], ids=["g", "h", "m"]
)
def test_directions_that_stay_in_a_curved_set(S):
    f = sg.Indicator(S)
    for y in 2 * rng.standard_normal((5, S.dim)):
        x = S.project(y)
        for d in rng.standard_normal((6, S.dim)):
            stays = f.directional_derivative(x, d) == 0
            assert stays == S.contains(x + 1e-3 * d, 1e-12) or abs((y - x) @ d) < 1e-2
    inner = S.project(np.zeros(S.dim)) - 1
    assert S._interior(inner)
    assert np.all(f.directional_derivative(inner, rng.standard_normal((4, S.dim))) == 0)


def test_exponential_cone():
    K = sg.ExponentialCone()
    polar = K.normal_cone(np.zeros(3))
    z = cp.Variable(3)
    for v in rng.standard_normal((8, 3)) * [3, 1, 1]:
        p = K.project(v)
        least = solved(cp.sum_squares(z - v), K.to_cvxpy(z))
        assert np.isclose(least, (p - v) @ (p - v), atol=1e-7)
        assert np.allclose(p, z.value, atol=1e-4)
        assert polar.contains(v - p) and np.allclose(polar.project(v), v - p)
        solved(cp.sum_squares(z - v), polar.to_cvxpy(z))
        assert np.allclose(polar.project(v), z.value, atol=1e-4)
    for scale in 10.0 ** rng.uniform(-12, 12, (60, 3)):
        v = scale * rng.standard_normal((20, 3))
        p = K.project(v)
        size = np.linalg.norm(v, axis=-1)
        assert np.all(np.abs(np.vecdot(p, v - p)) <= 1e-14 * size**2)
        assert np.all(K.contains(p / size[:, None]))
        assert np.all(polar.contains((v - p) / size[:, None]))
    assert K.contains([[0, 1, 1], [-1, 0, 0], [-1, 0, 2], [1, 1, 3]]).all()
    assert not K.contains([[1, 0, 5.0], [0, 1, 0.9], [0, 0, -1], [-1, -0.1, 1]]).any()


@pytest.mark.parametrize(
    ("d", "inside", "outside"),
    [
        ([0, -1.0, 0], [[-1, 0, 0], [0, 0, 1], [-2, 0, 3]], [[0, 1, 1]]),
        ([0, -1.0, -2], [[-1, 0, 0]], [[0, 0, 1]]),
        ([0, 0, -1.0], [[-1, 0, 0]], [[0, 0, 1], [0, 1, 1]]),
        ([1.0, 1, -1], [[0, 1, 1], [0, 3, 3]], [[-1, 0, 0], [1, 1, np.e]]),
        ([np.e**2, -(np.e**2), -1.0], [[2, 1, np.e**2]], [[0, 1, 1], [0, 0, 1]]),
        ([1.0, 0, -3], [[0, 0, 0]], [[-1, 0, 0], [0, 1, 1]]),
        ([0.0, 0, 0], [[0, 1, 1], [-1, 0, 0], [1, 1, 4]], [[1, 0, 0]]),
    ],
)
def test_faces_of_the_exponential_cone(d, inside, outside):
    K = sg.ExponentialCone()
    F = K.exposed_face(d)
    assert F.nonempty and K.support(d) == 0
    assert F.contains(inside).all() and not F.contains(outside).any()
    for x in np.asarray(inside, float):
        assert K.normal_cone(x).contains(d)
    assert not K.exposed_face([1.0, 1, 1]).nonempty


def test_directions_that_stay_in_the_exponential_cone():
    f = sg.Indicator(sg.ExponentialCone())

    def stays(x, d):
        return f.directional_derivative(np.array(x, float), np.array(d, float)) == 0

    e = np.exp(2.0)
    assert stays([2, 1, e], [2, 1, e]) and stays([2, 1, e], [-2, -1, -e])
    assert stays([2, 1, e], [-1, 0, 0]) and not stays([2, 1, e], [1, 0, e])
    assert stays([0, 1, 2], [5, -9, -7]) and not stays([0, 0, 0], [0, 1, 0.9])
    assert stays([0, 0, 0], [0, 1, 1]) and stays([-1, 0, 0], [3, 0, 0])
    # exp(-1 / t) > 0 for all t > 0.
    assert not stays([-1, 0, 0], [0, 1, 0]) and stays([-1, 0, 0], [0, 1, 1e-9])
    assert stays([0, 0, 1], [7, 1, -9]) and not stays([0, 0, 1], [1, 0, 0])


def test_joint_relative_entropy_in_a_model():
    u, v = sg.variables(2, 2)
    f = sg.joint_relative_entropy(sg.vstack(u, v))
    z = np.array([0.5, 0, 2, 3])
    assert np.isclose(f(z), 0.5 * np.log(0.25))
    g = sg.joint_relative_entropy
    assert g([1.0, 0]) == np.inf and g([0.0, 0]) == 0 and g([-1.0, 1]) == np.inf
    slopes = [g.directional_derivative(z, np.array(d)) for d in np.eye(4).tolist()]
    assert np.allclose(slopes, [1 + np.log(0.25), -np.inf, -0.25, 0])
    at_zero = g.subdifferential(np.zeros(4))
    assert at_zero == sg.ExponentialHypograph(2) and at_zero.exact
    x, y = rng.uniform(0.1, 2, (2, 5, 2))
    kl = g(np.concatenate([x, y], -1)) + (y - x).sum(-1)
    assert np.allclose(kl, cp.sum(cp.kl_div(x, y), axis=1).value)
    for scale in SCALES:
        w = scale * rng.standard_normal((20, 4))
        p = g.prox(w, 1.0)
        s = HYPOGRAPH.project(w)
        assert np.all(p >= 0) and np.isfinite(g(p)).all()
        assert np.abs(p + s - w).max() <= 1e-14 * max(scale, 1)
        assert np.abs(np.vecdot(s, p) - g(p)).max() <= 1e-12 * max(scale, 1)


def test_log_sum_exp_of_a_map_by_cvxpy():
    A, b = rng.standard_normal((5, 3)), rng.standard_normal(5)
    v, u = sg.variable(3), cp.Variable(3)
    f = sg.log_sum_exp(A @ v - b) + sg.norm1(v)
    best = solved(cp.log_sum_exp(A @ u - b) + cp.norm1(u))
    assert np.isclose(f(u.value), best) and np.isclose(f(v)(u.value), best)
    assert np.isclose(f(np.ones(3)), logsumexp(A.sum(-1) - b) + 3)
    assert f.subdifferential(u.value, 1e-6).distance(np.zeros(3)) < 1e-4


def test_log_sum_exp_of_norms():
    v = sg.variable(3)
    f = sg.compose(sg.log_sum_exp, sg.norm1(v), sg.norm2(v[:2]), v[0] + 1)
    d = rng.standard_normal((6, 3))
    for x in (np.zeros(3), np.array([0.0, 0, 1])):
        S = f.subdifferential(x)
        assert S.exact
        assert np.allclose(S.support(d), f.directional_derivative(x, d))


def test_joint_relative_entropy_of_steep_pairs():
    f = sg.joint_relative_entropy
    x = np.array([[1e9, 2.0], [1.0, 1.0], [1e-12, 3.0], [1e-8, 1e8]])
    y = np.array([[1.0, 1.0], [1e9, 5.0], [3.0, 1e12], [1e8, 1e-8]])
    z = np.concatenate([x, y], -1)
    g = np.concatenate([1 + np.log(x) - np.log(y), -x / y], -1)
    np.testing.assert_allclose(f.subgradient(z), g, rtol=1e-14)
    np.testing.assert_allclose(f.oracle(z)[1], g, rtol=1e-14)
    assert np.all(f.subdifferential(z).contains(g))
    # x / y is no number: there is no subgradient to give.
    far = np.array([1.0, 1e200, 1.0, 1e-200])
    assert np.isfinite(f.value(far)) and not f.subdifferential(far).nonempty
    with pytest.raises(ValueError, match="empty subdifferential"):
        f.subgradient(far)
