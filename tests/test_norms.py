"""Norms, cones, ellipsoids, losses beyond the laws: closed forms, scales, batches."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from laws import close
from scipy.special import expit

import subgrad as sg
from subgrad import (
    Ball,
    Ellipsoid,
    LpBall,
    SecondOrderCone,
    TopKBall,
    k_support_norm,
    lp_ball,
    norm1,
    norm2,
    norm_inf,
    pnorm,
)

SCALES = (1e-8, 1.0, 1e8)


def sample(n: int, seed: int = 0) -> np.ndarray:
    """Gaussians, wide ranges, ties and zeros."""
    r = np.random.default_rng(seed)
    y = r.standard_normal((4, n))
    return np.concatenate([y, np.exp(6 * y) * np.sign(y), np.round(2 * y), y * (y > 0)])


def nearest(S: sg.Set, y: np.ndarray, size: float, tol: float = 1e-13) -> None:
    """p = P(y): a member with h(y - p) = <y - p, p>, relative to y and to the size."""
    p = S.project(y)
    g = y - p
    top = np.abs(g).max(-1, keepdims=True)
    g = g / np.where(top > 0, top, 1.0)
    gap = S.support(g) - np.vecdot(g, p)
    assert np.all(gap <= tol * size * np.abs(g).sum(-1))
    assert np.all(S.contains(p, 1e-12))


# p-norms ------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [1.001, 1.5, 3, 100])
@pytest.mark.parametrize("size", [1e-200, 1e-8, 1.0, 1e200])
def test_pnorm_is_the_formula_at_every_scale(p, size):
    x = np.random.default_rng(0).standard_normal((5, 4))
    x[0] = 0
    x[1, :2] = 0
    unit = np.abs(x) / np.abs(x).max(-1, keepdims=True, initial=1e-9)
    expected = np.abs(x).max(-1) * (unit**p).sum(-1) ** (1 / p)
    close(pnorm(p).value(size * x) / size, expected, 1e-13)
    g = pnorm(p).subgradient(size * x)
    gauge = (unit ** (p - 1)) * np.sign(x)
    gauge[1:] /= (unit[1:] ** p).sum(-1, keepdims=True) ** (1 - 1 / p)
    close(g, gauge, 1e-12)


def test_named_pnorms():
    assert pnorm(1) is norm1 and pnorm(2) is norm2 and pnorm(np.inf) is norm_inf
    assert isinstance(lp_ball(3, 1), sg.CrossPolytope)
    assert lp_ball(3, 2, 0.5) == Ball(np.zeros(3), 0.5)
    assert lp_ball(2, np.inf, 3.0) == sg.Box(sg.Interval([-3.0, -3], [3, 3]))
    assert lp_ball(3, 1.5) == LpBall(3, 1.5) != LpBall(3, 1.6)
    # The class itself takes 2, with the same answers.
    y = sample(3)
    close(LpBall(3, 2).project(y), Ball(np.zeros(3)).project(y), 1e-14)
    assert pnorm(3) == pnorm(3) != pnorm(4)


@pytest.mark.parametrize("p", [0.5, np.nan, [2, 3], "x"])
def test_exponents_that_are_none(p):
    for make in (pnorm, lambda p: lp_ball(2, p), lambda p: LpBall(2, p)):
        with pytest.raises((ValueError, TypeError), match="p must"):
            make(p)


def test_border_of_p_balls():
    for p in (1, np.inf):
        with pytest.raises(ValueError, match="use lp_ball"):
            LpBall(2, p)
        with pytest.raises(ValueError, match="use pnorm"):
            sg.PNorm(p)
    with pytest.raises(ValueError, match="radius must be nonnegative"):
        LpBall(2, 3, -1.0)
    with pytest.raises(ValueError, match="n must be a positive integer"):
        LpBall(0, 3)


@pytest.mark.parametrize("p", [1 + 1e-8, 1.01, 1.5, 3, 10, 100, 1e6])
@pytest.mark.parametrize("size", SCALES)
def test_projection_on_p_balls(p, size):
    for n in (1, 4):
        y = sample(n)
        for far in (1e-3, 1.0, 1e8):
            nearest(LpBall(n, p, size), far * size * y, size)
        B = LpBall(n, p, size)
        for off in (1e-14, 1e-9, 1e-3):
            on = B.support_point(y[:4])
            close(B.project(on * (1 + off)) / size, on / size, 4 * off + 1e-13)
    assert np.array_equal(B.project(0.5 * on), 0.5 * on)


def test_projection_on_p_balls_is_the_equation():
    r"""x + μ x^(p-1) = y with one μ for all coordinates."""
    y = np.abs(np.random.default_rng(3).standard_normal(2000)) + 0.01
    for p in (1.2, 1.7, 3.0, 20.0):
        x = LpBall(2000, p, 0.1).project(y)
        close(((x / 0.1) ** p).sum(), 1.0, 1e-12)
        i = np.argmax(y)
        mu = (y[i] - x[i]) / x[i] ** (p - 1)
        close(x + mu * x ** (p - 1), y, 1e-12)
    close(LpBall(2, 3).project([1e300, 0]), [1.0, 0], 1e-15)


def test_p_ball_against_its_grid():
    """Faces where the quotients of the laws are too coarse: p > 2."""
    B = LpBall(2, 6, 2.0)
    angle = np.linspace(0, 2 * np.pi, 100001)
    c = np.stack([np.cos(angle), np.sin(angle)], -1)
    edge = 2 * c / (np.abs(c) ** 6).sum(-1, keepdims=True) ** (1 / 6)
    for d in ([1.0, 0], [-1, 2], [3, 3], [1e-3, -1]):
        heights = edge @ np.array(d)
        close(B.support(d), heights.max(), 1e-8)
        G = B.exposed_face(d, 0.5)
        s = G.support_point(np.concatenate([c[::1000], [[0.0, 0]]]))
        assert np.all(s @ np.array(d) >= B.support(d) - 0.5 - 1e-12)
        assert np.all(B.contains(s)) and not G.is_singleton
        assert B.exposed_face(d).is_singleton
        nearest_edge = edge[np.argmin(((edge - 5 * np.array(d)) ** 2).sum(-1))]
        close(B.project(5 * np.array(d)), nearest_edge, 1e-3)


def test_normal_cones_of_p_balls():
    B = LpBall(2, 3)
    x = B.support_point([1.0, 2])
    N = B.normal_cone(x)
    assert N.contains([1.0, 2]) and not N.contains([1.0, 1.9])
    assert N.contains([2.0, 4]) and not N.contains([-1.0, -2])
    assert B.normal_cone([0.1, 0.2]).is_singleton
    assert LpBall(2, 3, 0.0).normal_cone([0.0, 0]).contains([5.0, -3])


@pytest.mark.parametrize("B", [LpBall(2, 1.5, 2.0), LpBall(2, 3), TopKBall(2, 1, 2.0)])
def test_parts_of_balls_in_orthants(B):
    """As in a composition with functions that are not affine: against a grid."""
    grid = np.stack(np.meshgrid(*[np.linspace(-2, 2, 201)] * 2), -1).reshape(-1, 2)
    grid = grid[B.contains(grid)]
    r = np.random.default_rng(0)
    d = np.array([[-1.0, 0], [0, -1], [-1, -1], [-1, 2], [0, 1], [1, 0]])
    d = np.concatenate([d, r.standard_normal((2, 2))])
    for low, high in (([1, 0], [0, 0]), ([0, 0], [0, 1]), ([1, 0], [0, 1])):
        low, high = np.array(low, bool), np.array(high, bool)
        S = B._part(low, high)
        part = grid[np.all((~low | (grid >= 0)) & (~high | (grid <= 0)), -1)]
        close(S.support(d), (part @ d.T).max(0), 0.02)
        for e in 3 * d:
            p = S.project(e)
            best = ((part - e) ** 2).sum(-1).min()
            assert S.contains(p) and ((p - e) ** 2).sum() <= best + 1e-9
            F, G = S.exposed_face(e), S.exposed_face(e, 0.4)
            reach = part[part @ e >= S.support(e) - 1e-9]
            assert np.all(F.contains(reach))
            for T, eps in ((F, 0.0), (G, 0.4)):
                s = T.support_point(d)
                assert np.all(S.contains(s) & (s @ e >= S.support(e) - eps - 1e-9))
            assert np.all(F.support(d) <= G.support(d) + 1e-12)
        close(S.box().upper, S.support(np.eye(2)))
        close(S.box().lower, -S.support(-np.eye(2)))
        z, out = cp.Variable(2), np.array([-1.5, 1.0])
        cp.Problem(cp.Minimize(cp.sum_squares(z - out)), S.to_cvxpy(z)).solve(
            "CLARABEL"
        )
        close(z.value, S.project(out), 1e-3)


def test_powers_that_are_no_simple_fractions_in_cvxpy():
    u, z = cp.Variable(3), np.array([1.0, -2, 0.5])
    f = pnorm(np.pi)
    objective = f.to_cvxpy(u) + cp.sum_squares(u - z) / 2
    cp.Problem(cp.Minimize(objective)).solve(solver="CLARABEL")
    close(u.value, f.prox(z), 1e-4)


def test_a_batch_of_radii():
    for make in (lambda r: LpBall(3, 1.5, r), lambda r: TopKBall(3, 2, r)):
        r, y = np.array([0.0, 0.5, 2.0]), sample(3)[:3]
        S = make(r)
        close(S.project(y), [make(a).project(v) for a, v in zip(r, y, strict=True)])
        close(S.support(y[0]), [make(a).support(y[0]) for a in r])
        F = S.exposed_face(y, 0.3)
        each = [make(a).exposed_face(v, 0.3) for a, v in zip(r, y, strict=True)]
        close(F.support(-y), [f.support(-v) for f, v in zip(each, y, strict=True)])
        assert np.array_equal(S.is_singleton, [True, False, False])


# Ellipsoids ---------------------------------------------------------------------------


@pytest.mark.parametrize("condition", [1.0, 1e8])
@pytest.mark.parametrize("size", SCALES)
def test_projection_on_ellipsoids(condition, size):
    r = np.random.default_rng(5)
    Q = np.linalg.qr(r.standard_normal((4, 4)))[0]
    axes = size * np.array([1.0, 0.9, 3 / condition**0.5, 1 / condition**0.5])
    P = (Q * axes**2) @ Q.T
    E = Ellipsoid(np.zeros(4), (P + P.T) / 2)
    for far in (0.1, 1.0, 1e6):
        nearest(E, far * size * sample(4), size, 1e-12)
    # s + λ P⁻¹ (s - c) = y, in the basis of the axes.
    u = size * np.array([0.5, -2.0, 1e-3, 0.3])
    s = E.project(Q @ u) @ Q
    lam = (u[1] / s[1] - 1) * axes[1] ** 2
    close(s / size, u * axes**2 / (axes**2 + lam) / size, 1e-12)
    close(((s / axes) ** 2).sum(), 1.0, 1e-6)


def test_flat_ellipsoids():
    E = Ellipsoid([1.0, 0, 2], [[4.0, 0, 0], [0, 0, 0], [0, 0, 1]])
    close(E.project([5.0, 7, 2]), [3, 0, 2])
    close(E.project([1.5, 7, 2]), [1.5, 0, 2])
    assert not E.exposed_face([0.0, 1, 0]).is_singleton
    assert E.exposed_face([1.0, 1, 0]).is_singleton
    N = E.normal_cone([3.0, 0, 2])
    assert N.contains([2.0, -5, 0]) and not N.contains([2.0, -5, 1])
    close(E.box().upper, [3, 0, 3], 1e-15)
    slope = sg.Indicator(E).directional_derivative
    ways = np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 1], [-1, 0, 0], [0, 0, 0]])
    close(slope([1.5, 0, 2], ways), [np.inf, 0, 0, 0, 0])
    close(slope([3.0, 0, 2], ways), [np.inf, np.inf, np.inf, 0, 0])
    # A null direction that only rounding turns out of the null space.
    r = np.random.default_rng(1)
    A = r.standard_normal((2, 4))
    E = Ellipsoid(np.zeros(4), A.T @ A)
    null = np.linalg.svd(A)[2][-1]
    assert not E.exposed_face(null).is_singleton and E.support(null) == 0
    assert Ellipsoid([1.0, 2], np.zeros((2, 2))).is_singleton


def test_a_batch_of_ellipsoids():
    r = np.random.default_rng(2)
    M = r.standard_normal((3, 2, 2))
    P, c, y = M @ M.mT, r.standard_normal((3, 2)), 4 * r.standard_normal((3, 2))
    E = Ellipsoid(c, P)
    one = [Ellipsoid(c[i], P[i]) for i in range(3)]
    close(E.project(y), [e.project(v) for e, v in zip(one, y, strict=True)])
    close(E.support(y), [e.support(v) for e, v in zip(one, y, strict=True)])
    close(E.box().upper, [e.box().upper for e in one])
    N, Ns = E.normal_cone(E.project(y)), y - E.project(y)
    assert np.all(N.contains(Ns)) and not np.any(N.contains(-Ns))
    close(E.P, P, 1e-12)
    f = sg.quadratic_norm(P)
    close(f.value(y), np.sqrt(np.vecdot(y, np.matvec(P, y))))


def test_border_of_ellipsoids():
    for P, text in (
        ([[1.0, 2], [0, 1]], "symmetric"),
        ([[1.0, 0], [0, -1]], "semidefinite"),
        ([1.0, 2], "shape"),
        ([[np.nan, 0], [0, 1]], "nan"),
    ):
        with pytest.raises(ValueError, match=text):
            Ellipsoid([0.0, 0], P)
    with pytest.raises(ValueError, match="center must have shape"):
        Ellipsoid([0.0, 0, 0], np.eye(2))


# The second-order cone ----------------------------------------------------------------


def test_second_order_cone():
    K, y = SecondOrderCone(4), sample(4)
    for size in SCALES:
        p = K.project(size * y)
        polar = (size * y - p) / size
        # Moreau: y = P_K + P_-K, orthogonal.
        assert np.all((-K).contains(polar))
        close(np.vecdot(p / size, polar) / np.vecdot(y, y).clip(1), 0.0, 1e-14)
    close(K.project([3.0, 0, 4, 0]), [1.5, 0, 2, 2.5])
    F = K.exposed_face([3.0, 0, 4, -5])
    assert F.contains([3.0, 0, 4, 5]) and not F.contains([-3.0, 0, -4, 5])
    assert K.exposed_face([1.0, 0, 0, -2]).is_singleton
    assert K.support([3.0, 0, 4, -4.9]) == np.inf and K.support([3.0, 0, 4, -5]) == 0
    assert K.normal_cone([0.0, 0, 0, 0]) == -K
    N = K.normal_cone([3.0, 0, 4, 5])
    assert N.contains([3.0, 0, 4, -5]) and not N.contains([3.0, 0, 4, -6])
    slope = sg.Indicator(K).directional_derivative
    ways = np.array([[3.0, 0, 4, 5], [-3, 0, -4, -5], [4, 0, -3, 0], [0, 0, 0, 1]])
    close(slope([3.0, 0, 4, 5], ways), [0, 0, np.inf, 0])
    close(slope(np.zeros(4), ways), [0, np.inf, np.inf, 0])
    assert SecondOrderCone(1).contains([2.0]) and not SecondOrderCone(1).contains(
        [-2.0]
    )
    assert sg.ConeBall(np.zeros(4), 1.0, K).contains([0.3, 0, 0, 0.4])


# The k-support norm -------------------------------------------------------------------


def by_the_paper(w: np.ndarray, k: int) -> float:
    """The k-support norm with r found by trial (Argyriou et al., proposition 2.1)."""
    w = np.sort(np.abs(w))[::-1]
    for r in range(k):
        p = k - r - 1
        mean = w[p:].sum() / (r + 1)
        if (p == 0 or w[p - 1] > mean) and mean >= w[p]:
            return float(np.sqrt((w[:p] ** 2).sum() + (r + 1) * mean**2))
    raise AssertionError("no r")


@pytest.mark.parametrize("k", [1, 2, 4, 5])
def test_k_support_norm(k):
    f, y = k_support_norm(k), sample(5)
    y = y[np.any(y != 0, -1)]
    for size in (1e-200, 1.0, 1e200):
        close(f.value(size * y) / size, [by_the_paper(v, k) for v in y], 1e-13)
    twin = {1: norm1, 5: norm2}.get(k)
    if twin is not None:
        close(f.value(y), twin.value(y), 1e-14)
        close(f.prox(y, 0.7), twin.prox(y, 0.7), 1e-13)
        d = np.random.default_rng(1).standard_normal(5)
        at = np.concatenate([y, np.zeros((1, 5))])
        close(f.subdifferential(at).support(d), twin.subdifferential(at).support(d))
    for size in SCALES:
        for far in (1e-3, 1.0, 1e8):
            nearest(TopKBall(5, k, size), far * size * y, size)
    y = np.random.default_rng(4).standard_normal(3000)
    nearest(TopKBall(3000, 40 * k, 0.1), y, 0.1)


def test_projection_on_top_k_balls_is_the_equation():
    r"""x_i (1 + λ_i) = y_i, λ_i in [0, ν] with sum k ν; λ_i = ν above the k-th x_i."""
    y = np.abs(np.random.default_rng(4).standard_normal(3000)) + 0.1
    for k in (3, 40, 600):
        for r in (0.01, 1.0, 5.0):
            x = TopKBall(3000, k, r).project(y)
            multipliers = y / x - 1
            nu, top = multipliers.sum() / k, np.sort(x)[-k:]
            above = x > top[0] * (1 + 1e-9)
            close(multipliers[above] / nu, np.ones(above.sum()), 1e-12)
            close(np.sqrt((top**2).sum()) / r, 1.0, 1e-13)
            assert np.all(multipliers >= 0) and nu >= multipliers.max() * (1 - 1e-12)
            assert np.all(multipliers[x < top[0] * (1 - 1e-9)] == 0)


def test_faces_of_top_k_balls():
    B = TopKBall(4, 2)
    F = B.exposed_face([2.0, 1, 0, 0])
    # The second largest entry of s leaves the interval [-c, c] to the zeros.
    c = 1 / 5**0.5
    close(F.box().upper, [2 * c, c, c, c])
    close(F.box().lower, [2 * c, c, -c, -c])
    assert B.exposed_face([2.0, 0, 0, 0]).is_singleton
    assert B.exposed_face([1.0, 1, 1, 1]).is_singleton
    N = B.normal_cone([0.6, 0.8, 0.6, 0])
    assert N.contains([0.3, 0.8, 0.3, 0]) and not N.contains([0.6, 0.8, 0.6, 0])
    assert N.contains([0.0, 0.8, 0.6, 0]) and N.contains([0.0, 0, 0, 0])
    slope = sg.Indicator(B).directional_derivative
    ways = np.array([[0.0, 1, 0, 0], [1, 0, 0, 0], [-1, 0, 0, 0], [-1, 5, 0, 0]])
    close(slope([1.0, 0, 0, 0], ways), [np.inf, np.inf, 0, 0])
    close(sg.Indicator(TopKBall(2, 1)).directional_derivative([1.0, 0], [0.0, 1]), 0)
    # With budget enough for the whole ball, 0 is a member.
    assert B.exposed_face([2.0, 1, 0, 0], 5.0).contains(np.zeros(4))
    for k in (0, 2.0, True, 5):
        with pytest.raises(ValueError, match="k"):
            k_support_norm(k).value(np.ones(4))


# Losses -------------------------------------------------------------------------------


def test_losses_are_the_formulas():
    y = 3 * np.random.default_rng(0).standard_normal((4, 3))
    u = cp.Parameter(3)
    for M in (0.5, 2.0):
        values = []
        for u.value in y:
            values.append(cp.sum(cp.huber(u, M)).value)
        close(sg.huber_loss(M).value(y), values)
        far = np.abs(y) > M
        berhu = np.where(far, (y * y + M * M) / (2 * M), np.abs(y)).sum(-1)
        close(sg.berhu_loss(M).value(y), berhu)
        close(sg.berhu_loss(M).prox(M * y) / M, sg.berhu_loss(1.0).prox(y, 1 / M))
    close(sg.logistic_loss.value(y), np.log1p(np.exp(y)).sum(-1))
    close(sg.squared_hinge_loss.value(y), (np.maximum(1 - y, 0) ** 2).sum(-1))
    for bad in (0, -1.0, np.nan, [1.0, 2.0]):
        with pytest.raises(ValueError, match="M must"):
            sg.berhu_loss(bad)


@pytest.mark.parametrize(
    "alpha, ratio", [(1.0, 0.5), (0.1, 0.0), (2.0, 1.0), (0.0, 0.5)]
)
def test_elastic_net(alpha, ratio):
    f, y = sg.elastic_net(alpha, ratio), sample(3)
    a, b = alpha * ratio, alpha * (1 - ratio)
    close(f.value(y), a * norm1.value(y) + 0.5 * b * np.vecdot(y, y), 1e-12)
    for size in SCALES:
        z, t = size * y, 0.3
        p = np.sign(z) * np.maximum(np.abs(z) - t * a, 0) / (1 + t * b)
        np.testing.assert_allclose(f.prox(z, t), p, 1e-12, 1e-15)
    d = np.eye(3)[0]
    close(f.subdifferential(np.zeros(3)).support(d), a)
    # f*(g) = sum_i max(|g_i| - a, 0)² / (2 b)
    if b > 0:
        star = (np.maximum(np.abs(y) - a, 0) ** 2).sum(-1) / (2 * b)
        close(f.conjugate().value(y), star, 1e-12)


def test_border_of_the_elastic_net():
    with pytest.raises(ValueError, match="l1_ratio must lie"):
        sg.elastic_net(1.0, 1.5)
    with pytest.raises(ValueError, match="alpha must be nonnegative"):
        sg.elastic_net(-1.0)
    with pytest.raises(ValueError, match="alpha must be a number"):
        sg.elastic_net([1.0, 2.0])


@pytest.mark.parametrize("step", [1e-300, 1e-8, 0.3, 4.0, 1e8, 1e300])
def test_prox_of_the_logistic_function(step):
    """p + τ / (1 + exp -p) - t changes sign within the rounding of its terms."""
    t = np.array([-1e300, -1e8, -745, -3, -1e-8, 0, 1e-9, 0.15, 2, 40, 1e8, 1e300])
    t = np.concatenate([t, [step, step / 2, step / 2 * (1 + 1e-9)]])
    p = sg.logistic.prox(t, step)
    slope = 1 + step * expit(p) * expit(-p)
    size = np.maximum(np.abs(t), step * expit(p))
    width = 1e-15 * np.abs(p) + 8e-16 * size / slope

    def rest(p):
        return p + step * expit(p) - t

    assert np.all(rest(p - width) <= 0) and np.all(rest(p + width) >= 0)
    assert sg.logistic.prox(np.float32(2)).dtype == np.float32


# max |a_i x - b_i| --------------------------------------------------------------------


def test_max_abs_affine():
    r = np.random.default_rng(0)
    A, b, x = (
        r.standard_normal((2, 4, 3)),
        r.standard_normal((2, 4)),
        r.standard_normal(3),
    )
    f = sg.max_abs_affine(A, b)
    close(f.value(x), np.abs(A @ x - b).max(-1))
    close(sg.max_abs_affine(A[0]).value(x), np.abs(A[0] @ x).max())
    # All 2 m pieces are active where A x = b.
    S = sg.max_abs_affine(A[0]).subdifferential(np.zeros(3))
    d = r.standard_normal((5, 3))
    close(S.support(d), np.abs(d @ A[0].T).max(-1))
    with pytest.raises(ValueError, match="A must be a matrix"):
        sg.max_abs_affine([1.0, 2])
    for make in (sg.max_abs_affine, sg.MaxAffine):
        for bad in (np.ones(4), np.ones((5, 3)), np.ones((2, 1))):
            with pytest.raises(ValueError, match=r"b must have shape \(..., 3\) for A"):
                make(np.ones((2, 3, 4)), bad)


# Arguments in the place of parameters -------------------------------------------------


@pytest.mark.parametrize(
    "form",
    [
        "huber_loss()",
        "berhu_loss()",
        "elastic_net()",
        "negative_geo_mean()",
        "pinball_loss(tau)",
        "epsilon_insensitive_loss(eps)",
    ],
)
def test_what_takes_parameters_says_where(form):
    make = getattr(sg, form.partition("(")[0])
    for x in (sg.variable(3), norm1):
        with pytest.raises(TypeError, match="first") as caught:
            make(x)
        assert f"write {form}(x); got {type(x).__name__}" in str(caught.value)


# Envelopes of support functions -------------------------------------------------------


@pytest.mark.parametrize("t", [1e-3, 1.0, 1e3])
def test_envelopes_of_support_functions(t):
    x = sample(4)
    for size in (1e-8, 1.0, 1e8, 1e16):
        y = size * x
        for f in (norm2, norm1, sg.max_entry, sg.owl([3.0, 2, 1, 0]), sg.pnorm(3)):
            e, g = sg.moreau_envelope(f, t), f._body(4).project(y / t)
            np.testing.assert_allclose(e.subgradient(y), g, 1e-13, 1e-15)
            p = f.prox(y, t)
            square = t * np.vecdot(g, g)
            value = f.value(p) + square / 2
            error = 1e-14 * (square + np.vecdot(np.abs(g), np.abs(y)))
            assert np.all(np.abs(e.value(y) - value) <= error)
            np.testing.assert_array_equal(e.oracle(y)[0], e.value(y))
            s = y - 0.5 * f._body(4).project(y / (t + 0.5))
            np.testing.assert_allclose(e.prox(y, 0.5), s, 1e-14, 1e-14 * size)
    # Of an unbounded set: where p is at the end of the domain up to rounding.
    f = sg.moreau_envelope(sg.negative_geo_mean(), t)
    assert np.all(np.isfinite(f.value(1e8 * sample(4))))
