"""Matrix fractions, beyond the laws."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest

import subgrad as sg
from subgrad import MatrixParabola, matrix_frac
from subgrad.sets.matrix_parabola import stationary


def semidefinite(k: int, rank: int, r: np.random.Generator) -> np.ndarray:
    B = r.standard_normal((k, rank))
    return B @ B.T


@pytest.mark.parametrize("k, m", [(1, 1), (3, 1), (3, 2), (2, 4)])
def test_matrix_frac_is_the_formula(k, m):
    r = np.random.default_rng(5)
    f = matrix_frac.at(k, m)
    for scale in (1e-8, 1.0, 1e8):
        P, X = scale * semidefinite(k, k + 1, r), r.standard_normal((k, m)) / scale
        z = np.concatenate([X.ravel(), P.ravel()])
        W = np.linalg.solve(P, X)
        np.testing.assert_allclose(f.value(z), (X * W).sum(), rtol=1e-11)
        np.testing.assert_allclose(matrix_frac(X, P), f.value(z))
        g = np.concatenate([2 * W.ravel(), (-W @ W.T).ravel()])
        np.testing.assert_allclose(f.subgradient(z), g, rtol=1e-9)
        S = f.subdifferential(z)
        assert S.is_singleton and S.exact
        np.testing.assert_allclose(S.min_norm(), g, rtol=1e-9)
    # Only the symmetric part of P counts.
    odd = np.triu(np.ones((k, k)), 1)
    assert matrix_frac(X, P + scale * (odd - odd.T)) == pytest.approx((X * W).sum())
    # Out of the range, and not semidefinite.
    u = np.linalg.svd(P)[0][:, 0]
    flat = P - (u @ P @ u) * np.outer(u, u)
    assert matrix_frac(np.outer(u, np.ones(m)), flat) == np.inf
    assert matrix_frac(0 * X, flat) == 0
    assert matrix_frac(0 * X, flat - 1e-3 * scale * np.outer(u, u)) == np.inf


@pytest.mark.parametrize("k, m, rank", [(2, 1, 1), (3, 1, 1), (3, 2, 2), (3, 1, 0)])
def test_the_face_at_a_singular_matrix(k, m, rank):
    """f'((x, P); .) of the face against values beside the point."""
    r = np.random.default_rng(6)
    f = matrix_frac.at(k, m)
    P = semidefinite(k, rank, r)
    X = P @ r.standard_normal((k, m))
    z = np.concatenate([X.ravel(), P.ravel()])
    S = f.subdifferential(z)
    assert S.exact and not S.is_bounded and S.contains(f.subgradient(z))
    for _ in range(5):
        # Into the interior: P + t D is definite, and f' is the limit and h_S.
        D = semidefinite(k, k, r) + 0.2 * np.eye(k)
        d = np.concatenate([r.standard_normal(k * m), D.ravel()])
        slope = f.directional_derivative(z, d)
        t = 1e-7
        quotient = (f.value(z + t * d) - f.value(z)) / t
        np.testing.assert_allclose(slope, quotient, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(S.support(d), slope, rtol=1e-9)
    if rank:
        # Along the edge: the limit is +inf, its closure is finite.
        u, v = np.linalg.eigh(P)[1][:, [0, -1]].T
        D = np.outer(u, v) + np.outer(v, u)
        w = np.linalg.pinv(P) @ X
        d = np.concatenate([(D @ w).ravel(), D.ravel()])
        assert f.directional_derivative(z, d) == np.inf
        assert np.isfinite(S.support(d))
        away = np.concatenate([np.outer(u, np.ones(m)).ravel(), np.zeros(k * k)])
        assert f.directional_derivative(z, away) == np.inf == S.support(away)
    out = f.subgradient(z) + np.concatenate([np.zeros(k * m), np.eye(k).ravel()])
    assert not S.contains(out) and S.distance(out) > 0.1


@pytest.mark.parametrize("k, m", [(1, 1), (2, 1), (3, 2), (5, 3)])
def test_prox_satisfies_its_equations(k, m):
    """With (Y, S) the projection of (C, B) and L = B - S: C - Y = ½ L Y,
    L >= 0, S + ¼ Y Yᵀ <= 0 and L (S + ¼ Y Yᵀ) = 0."""
    r = np.random.default_rng(7)
    f = matrix_frac.at(k, m)
    for a in (1e-8, 1.0, 1e4, 1e8):
        for b in (1e-8, 1.0, 1e8):
            C, B = a * r.standard_normal((k, m)), b * r.standard_normal((k, k))
            y, even = np.concatenate([C.ravel(), B.ravel()]), (B + B.T) / 2
            Y, L, LY = stationary(C, even, np.eye(m))
            low = even - L + Y @ Y.T / 4
            size = b + np.abs(Y).max() ** 2
            assert np.linalg.eigvalsh(L)[0] >= -1e-14 * np.abs(L).max()
            assert np.linalg.eigvalsh(low)[-1] <= 1e-13 * size
            assert np.abs(L @ low).max() <= 1e-13 * size * max(np.abs(L).max(), size)
            # One unit in the last place of B moves L Y by as much times |Y|.
            room = 1e-14 * a + 1e-15 * size * np.abs(Y).max()
            np.testing.assert_allclose(C - Y, LY / 2, atol=room)
            assert np.abs(L @ Y - LY).max() <= 1e-13 * size * np.abs(Y).max()
            p = f.prox(y)
            assert np.isfinite(f.value(p))
            np.testing.assert_allclose(p[: k * m], LY.ravel() / 2, rtol=1e-12)
            np.testing.assert_allclose(p[k * m :], (L + B - even).ravel(), rtol=1e-12)
            # f is positively homogeneous.
            np.testing.assert_allclose(f.prox(8 * y, 8.0), 8 * p, rtol=1e-13)


def test_prox_agrees_with_cvxpy():
    r = np.random.default_rng(8)
    f = matrix_frac.at(3, 2)
    for z in (r.standard_normal(15), 3 * r.standard_normal(15)):
        u = cp.Variable(15)
        objective = f.to_cvxpy(u) + cp.sum_squares(u - z) / 2
        tight = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), 1e-10)
        cp.Problem(cp.Minimize(objective)).solve(solver="CLARABEL", **tight)
        np.testing.assert_allclose(f.prox(z), u.value, atol=1e-5)


def test_batches_of_matrix_fractions():
    r = np.random.default_rng(9)
    f = matrix_frac.at(2, 2)
    z = r.standard_normal((2, 3, 8))
    p = f.prox(z, np.array([0.5, 1.0, 2.0]))
    np.testing.assert_array_equal(p[1, 2], f.prox(z[1, 2], 2.0))
    S = f.subdifferential(p)
    d = r.standard_normal(8)
    each = [[f.subdifferential(q).support(d) for q in row] for row in p]
    np.testing.assert_allclose(S.support(d), each)


def test_matrix_frac_of_maps():
    r = np.random.default_rng(10)
    x, P = sg.variables(3, (3, 3))
    f = matrix_frac(2 * x - 1, P + np.eye(3))
    a, Q = r.standard_normal(3), semidefinite(3, 3, r)
    z = np.concatenate([a, Q.ravel()])
    assert f.value(z) == pytest.approx(matrix_frac(2 * a - 1, Q + np.eye(3)))
    fixed = matrix_frac(x, Q)
    half = sg.Quadratic(2 * np.linalg.inv((Q + Q.T) / 2))
    np.testing.assert_allclose(fixed.value(z), half.value(a))
    np.testing.assert_allclose(fixed.subgradient(z)[:3], half.subgradient(a))
    loose = matrix_frac(a, P)
    assert loose.value(z) == pytest.approx(a @ np.linalg.solve(Q, a))
    y = sg.variable((3, 2))
    assert matrix_frac(y, Q).value(np.ones(6)) == pytest.approx(
        2 * np.linalg.inv(Q).sum()
    )


def test_the_set_is_the_hull_of_its_points():
    """Averages of (2 w, -w wᵀ) are members; what lies above them is not."""
    r = np.random.default_rng(11)
    S = MatrixParabola(3, 2)
    w = r.standard_normal((6, 3, 2))
    points = S.join(2 * w, -w @ w.mT)
    assert S.contains(points).all() and not S._interior(points).any()
    mean = r.dirichlet(np.ones(6)) @ points
    assert S.contains(mean) and S._interior(mean)
    up = S.join(np.zeros((3, 2)), 1e-6 * np.eye(3))
    assert not S.contains(points + up).any()
    assert S.contains(points - up).all()
    assert S.recession_cone().contains(-up) and not S.recession_cone().contains(up)


def test_many_projections_with_sharp_kinks():
    """Where many eigenvalues turn at once, plain Newton steps crawl."""
    r = np.random.default_rng(1)
    f, S = matrix_frac.at(5, 3), MatrixParabola(5, 3)
    for _ in range(10):
        y = np.concatenate([1e4 * r.standard_normal(15), 1e8 * r.standard_normal(25)])
        p, q = S.project(y), f.prox(y)
        assert S.contains(p) and np.isfinite(f.value(q))
        assert np.abs(p + q - y).max() <= 1e-11 * np.abs(y).max()


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: matrix_frac(np.ones(2), np.eye(3)), "shape"),
        (lambda: matrix_frac([np.nan], [[1.0]]), "nan"),
        (lambda: matrix_frac(sg.norm1(sg.variable(2)), np.eye(2)), "affine map"),
        (lambda: matrix_frac.at(0), "positive"),
        (lambda: matrix_frac.at(1).subgradient([1.0, 0]), "domain"),
    ],
)
def test_border(call, text):
    with pytest.raises((ValueError, TypeError), match=text):
        call()


@pytest.mark.parametrize("scale", [1.0, 1e3, 1e6])
def test_prox_of_what_is_not_symmetric_stays_in_the_domain(scale):
    r = np.random.default_rng(17)
    f = matrix_frac.at(2)
    for _ in range(20):
        P = r.standard_normal((2, 2))
        skew = scale * r.standard_normal() * np.array([[0.0, 1], [-1, 0]])
        x = r.standard_normal(2)
        p = f.prox(np.concatenate([x, (P + skew).ravel()]))
        assert np.isfinite(f.value(p))
        near = f.prox(np.concatenate([x, ((P + P.T) / 2).ravel()]))
        odd = np.concatenate([[0.0, 0], (skew + (P - P.T) / 2).ravel()])
        np.testing.assert_allclose(p, near + odd, atol=1e-14 * scale, rtol=1e-12)
