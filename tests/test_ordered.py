"""Permutahedra, isotonic cones and simplices beyond the laws: exact references."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate, permutations, product

import cvxpy as cp
import numpy as np
import pytest
from laws import close
from scipy.optimize import isotonic_regression

import subgrad as sg
from subgrad import (
    CappedSimplex,
    Indicator,
    IsotonicCone,
    Permutahedron,
    SignedPermutahedron,
    Simplex,
)
from subgrad.sets import _pav, _pour


def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def signed_permutations(w):
    signs = np.array(list(product([1.0, -1.0], repeat=len(w))))
    return (np.array(list(permutations(w)))[:, None] * signs).reshape(-1, len(w))


def exact_prox(x, w, signed):
    """argmin sum w_[i] u_[i] (of |u| if signed) + |u - x|²/2, in rational numbers."""
    order = np.argsort(-np.abs(x) if signed else -x, kind="stable")
    pools: list[list] = []
    for i, v in zip(order, w, strict=True):
        pools.append([Fraction(abs(x[i]) if signed else x[i]) - Fraction(v), 1])
        while (
            len(pools) > 1 and pools[-2][0] * pools[-1][1] < pools[-1][0] * pools[-2][1]
        ):
            s, k = pools.pop()
            pools[-1] = [pools[-1][0] + s, pools[-1][1] + k]
    u = np.repeat([float(s / k) for s, k in pools], [k for _, k in pools])
    out = np.empty(len(x))
    out[order] = np.maximum(u, 0) if signed else u
    return np.copysign(out, x) if signed else out


def test_support_is_the_maximum_over_permutations():
    r = rng()
    w, d = r.integers(-2, 3, (5, 4)).astype(float), r.integers(-2, 3, (5, 4))
    S, B = Permutahedron(w), SignedPermutahedron(np.abs(w))
    assert S.batch == (5,)
    for k in range(5):
        close(S.support(d)[k], (np.array(list(permutations(w[k]))) @ d[k]).max())
        close(B.support(d)[k], (signed_permutations(np.abs(w[k])) @ d[k]).max())
    close(S.support(d[:, None])[:, 2], S.restrict(True)._item((2,)).support(d))


def test_faces_of_faces_are_faces_of_the_list_of_vertices():
    r = rng()
    for w in ([3.0, 2, 2, 0], [1.0, 1, 0, 0], [0.0, 0, 0, 0], [4.0, 3, 2, 1]):
        for S, V in (
            (Permutahedron(w), np.array(list(permutations(w)))),
            (SignedPermutahedron(w), signed_permutations(w)),
        ):
            for d, e, c in r.integers(-1, 2, (12, 3, 4)).astype(float):
                F, top = S.exposed_face(d), V[V @ d >= (V @ d).max() - 1e-9]
                G, best = F.exposed_face(e), top[top @ e >= (top @ e).max() - 1e-9]
                close(F.support(c), (top @ c).max())
                close(G.support(c), (best @ c).max())
                close(G.box().upper, best.max(0))
                close(G.box().lower, best.min(0))


def test_images_of_faces_with_fixed_signs():
    A = np.array([[1.0, 1, 1], [1, 1, -1], [-1, 1, -1], [1, 1, 1], [0, -1, 0]])
    u = sg.variable(3)
    f = sg.owl([3.0, 2, 2, 1, 0])(A @ u)
    for x in ([1.0, -0.5, 1], [-1, 0.5, -1], [1, 1, -1], [0, -1, 0]):
        S, g = f.subdifferential(x), f.subgradient(x)
        assert S.contains(g)
        least = S.min_norm()
        assert least @ least - 1e-9 <= -S.support(-least)
        assert (f + sg.norm1(u)).subdifferential(x).contains(g + np.sign(x))


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_prox_against_rational_arithmetic(scale):
    r = rng()
    for n in (1, 2, 5, 40):
        for signed in (False, True):
            w = np.sort(r.integers(0, 4, n))[::-1] * r.choice([0.5, 0.3])
            x = np.round(3 * r.standard_normal(n), 1) * scale
            f = sg.owl(w) if signed else sg.ordered_sum(w)
            for t in (1.0, scale, 0.1 * scale):
                p = f.prox(x, t)
                exact = exact_prox(x, t * w, signed)
                size = np.abs(x).max() + t * w.max()
                assert np.abs(p - exact).max() <= 1e-14 * n * size
                s = (t * f.S).project(x)
                assert np.abs(x - s - exact).max() <= 1e-14 * n * size


def test_prox_ties_exactly_what_it_pools():
    p = sg.owl([3.0, 2, 1, 0.5]).prox([3.0, -2.9, 2.8, 0.1])
    assert p[0] == -p[1] == p[2] > 0 and p[3] == 0
    close(sg.ptp.prox([5.0, 4.8, 0.0, -3.0]), [4.4, 4.4, 0, -2])


def test_batch_of_weights_and_of_points():
    r = rng()
    w, x = -np.sort(-r.random((3, 1, 6))), r.standard_normal((4, 6))
    f = sg.owl(w)
    p, S = f.prox(x, 0.7), f.subdifferential(x, 0.4)
    assert f.value(x).shape == (3, 4) and p.shape == (3, 4, 6)
    for i, j in np.ndindex(3, 4):
        one = sg.owl(w[i, 0])
        close(f.value(x)[i, j], one.value(x[j]))
        close(p[i, j], one.prox(x[j], 0.7))
        close(
            S.support(x[::-1])[i, j], one.subdifferential(x[j], 0.4).support(x[3 - j])
        )
    many = sg.cvar([0.0, 0.5, 0.9])
    close(many.value(x[0]), [sg.cvar(b).value(x[0]) for b in (0, 0.5, 0.9)])
    close(many.prox(x[0])[1], sg.cvar(0.5).prox(x[0]))


def test_faces_grow_with_eps_to_the_whole_set():
    r = rng()
    for S in (Permutahedron(r.random(30)), SignedPermutahedron(r.random(30))):
        d = np.round(r.standard_normal(30), 1)
        cost, widths = S.support(d) + S.support(-d), []
        e = r.standard_normal((20, 30))
        for eps in (0.0, 0.05, 0.5, 5.0, cost + 1e-9):
            F = S.exposed_face(d, eps)
            assert S.support(d) + F.support(-d) <= eps + 1e-12
            widths.append((F.support(e) + F.support(-e)).mean())
        assert np.all(np.diff(widths) > 0)
        close(F.support(e), S.support(e))


def test_directions_that_stay_inside():
    r = rng()
    for S in (Permutahedron(np.arange(8.0)), SignedPermutahedron([2.0] * 4 + [0] * 4)):
        d = r.standard_normal((3, 8))
        members = [S.support_point(d), S.project(d), S.project(5 * d)]
        members.append(0.5 * (members[0] + S.support_point(d.round())))
        for x in np.concatenate(members):
            f = Indicator(S)
            for y in (S.support_point(r.integers(-1, 2, 8)), S.project(d[0])):
                assert f.directional_derivative(x, y - x) == 0
            for v in r.standard_normal((4, 8)):
                stays = S.contains(x + 1e-4 * v) and S.contains(x + 1e-5 * v)
                assert (f.directional_derivative(x, v) == 0) == stays
        N = S.normal_cone(S.support_point(d[0]))
        assert N.contains(d[0]) and not N.contains(-d[0])


def test_relative_interior():
    for S, mid in (
        (Permutahedron([3.0, 1, 0]), [4 / 3] * 3),
        (Permutahedron([2.0, 2, 2]), [2.0] * 3),
        (SignedPermutahedron([3.0, 1, 0]), [0.0] * 3),
        (SignedPermutahedron([1.0, 1, 1]), [0.5, -0.5, 0]),
        (SignedPermutahedron([0.0, 0, 0]), [0.0] * 3),
    ):
        assert S._interior(np.array(mid))
        d = np.array([1.0, 0.5, -2])
        s = S.support_point(d)
        assert S._interior(s) == S.is_singleton
        F = S.exposed_face([1.0, 1, 0])
        assert F._interior(F._corners()[0].mean(0))
        assert S._interior(F._corners()[0].mean(0)) == (
            S.support([1, 1, 0]) == -S.support([-1, -1, 0])
        )

    # All but the last inequality strict.
    assert not SignedPermutahedron([3.0, 1, 0])._interior(np.array([2.0, 1, 1]))
    F = IsotonicCone(3).exposed_face([1.0, -1, 0])
    z = np.array([[1.0, 1, 2], [1, 1, 1], [0, 1, 2]])
    assert np.array_equal(F._interior(z), [True, False, False])


def test_symmetries():
    S = SignedPermutahedron([3.0, 1, 0, 0, 0])
    for F, same, even, fixed in (
        (S, [1, 1, 1, 1, 1], [1] * 5, [0] * 5),
        (
            S.exposed_face([2.0, -1, 1, 1, 0]),
            [0, 0, 1, 0],
            [0] * 4 + [1],
            [1, 0, 0, 0, 1],
        ),
        (Permutahedron([2.0, 1, 1]).exposed_face([1, 0, 0]), [0, 1], [0] * 3, [1] * 3),
    ):
        got = F._symmetries()
        assert np.array_equal(got[0][: len(same)], np.array(same, bool))
        assert np.array_equal(got[1:], np.array([even, fixed], bool))


def test_part_in_an_orthant():
    S = SignedPermutahedron([3.0, 1, 0])
    low, high = np.array([True, False, False]), np.array([False, True, False])
    P = S._part(low, high)
    close(P.box().lower, [0, -3, -3])
    close(P.box().upper, [3, 0, 3])
    V = signed_permutations([3.0, 1, 0]) * np.ones(3)
    V = np.concatenate([V * m for m in product([0, 1], repeat=3)])
    V = V[(V[:, 0] >= 0) & (V[:, 1] <= 0)]
    for d in rng().integers(-2, 3, (30, 3)).astype(float):
        close(P.support(d), (V @ d).max())
        F, top = P.exposed_face(d), V[V @ d >= (V @ d).max() - 1e-9]
        for e in np.eye(3) - 0.5:
            close(F.support(e), (top @ e).max())
        close(P.project(d), sg.Hull(V).project(d))
        close(P._shrink(d, np.ones(())), d - P.project(d))
        s = P.exposed_face(d, 1.0).support_point(-d)
        assert s @ d >= P.support(d) - 1 - 1e-12 and P.contains(s)
    x = sg.variable(3)
    f = sg.compose(sg.owl([2.0, 1]), sg.norm1(x), sg.norm2(x))
    close(f.value([3.0, 4, 0]), 2 * 7 + 5)
    close(f.subdifferential(np.zeros(3)).support([1.0, 0, 0]), 3)
    with pytest.raises(NotImplementedError, match="orthant"):
        Permutahedron([1.0, -1])._part(np.ones(2, bool), np.zeros(2, bool))


@pytest.mark.parametrize("beta", [0.0, 0.3, 0.5, 0.97])
def test_cvar_is_that_of_cvxpy_and_of_rockafellar(beta):
    x = np.array([3.0, -1, 2, 2, 7])
    close(sg.cvar(beta).value(x), cp.cvar(x, beta).value)
    p = np.array([0.1, 0.2, 0.3, 0.4, 0.0])
    over = np.maximum(x - x[:, None], 0) @ p
    close(sg.cvar(beta, p).value(x), (x + over / (1 - beta)).min())
    z = cp.Variable(5)
    cp.Problem(cp.Minimize(sg.cvar(beta, p).to_cvxpy(z)), [z >= x]).solve("CLARABEL")
    close(sg.cvar(beta, p).value(z.value), sg.cvar(beta, p).value(x), 1e-6)


def test_spectral_risk_by_weights_and_by_a_distortion():
    x = np.array([1.0, 5, 2, 4])
    close(sg.spectral_risk([0.5, 0.3, 0.2, 0]).value(x), 2.5 + 1.2 + 0.4)
    worst, same = sg.spectral_risk(lambda u: np.minimum(u / 0.3, 1)), sg.cvar(0.7)
    close(worst.value(x), same.value(x))
    close(worst.prox(x), same.prox(x))
    close(sg.spectral_risk([0.5, 0.3, 0.2 + 5e-10]).value(np.ones(3)), 1, 1e-15)
    for bad, what in (
        ([0.3, 0.7], "nonincreasing"),
        ([0.7, 0.4], "sum to 1"),
        ([1.5, -0.5], "nonnegative"),
    ):
        with pytest.raises(ValueError, match=what):
            sg.spectral_risk(bad)
    with pytest.raises(ValueError, match="nonincreasing"):
        sg.spectral_risk(np.square).value(x)


def test_what_is_refused():
    for bad, what in (
        ([1.0, 2], "weights must be nonincreasing"),
        ([1.0, -1], "weights must be nonnegative"),
        ([np.nan, 1], "weights must not contain nan"),
        ([], "weights must have at least one"),
    ):
        with pytest.raises(ValueError, match=what):
            sg.owl(bad)
    for beta in (1.0, -0.1):
        with pytest.raises(ValueError, match=r"beta must lie in \[0, 1\)"):
            sg.cvar(beta)
    with pytest.raises(ValueError, match="probabilities must sum to 1"):
        sg.cvar(0.5, [0.5, 0.4])
    with pytest.raises(ValueError, match=r"shape \(..., 3\)"):
        sg.ordered_sum([1.0, 2, 3]).value([1.0, 2])
    with pytest.raises(ValueError, match="n must be"):
        IsotonicCone(0)


def test_one_argument():
    assert sg.ptp.value([3.0]) == 0 and sg.ptp.subgradient([3.0]) == 0
    assert sg.ptp.prox([3.0]) == 3
    close(sg.owl([2.0]).prox([[3.0], [-1.0]]), [[1.0], [0.0]])
    close(sg.cvar(0.5).subdifferential([4.0]).support([-2.0]), -2)
    close((C := IsotonicCone(1)).project([[2.0], [-3]]), [[2.0], [-3]])
    assert C.support([0.0]) == 0 and C.support([1.0]) == np.inf
    assert C.normal_cone([5.0]).is_singleton


def test_isotonic_regression():
    r = rng()
    y = np.round(r.standard_normal((3, 50)), 1)
    for up in (True, False):
        p = IsotonicCone(50, increasing=up).project(y)
        for a, b in zip(y, p, strict=True):
            close(b, isotonic_regression(a, increasing=up).x, 1e-14)
    close(Indicator(IsotonicCone(50)).prox(1e8 * y), 1e8 * IsotonicCone(50).project(y))


def test_chains_with_gaps_and_ties():
    """The loop, compiled or not, against a quadratic program."""
    r = rng()
    for _ in range(6):
        a = np.round(r.standard_normal(9), 1)
        link = np.append(_pav.FREE, r.choice([0, 1, 1, 1, 2], 8))
        x = cp.Variable(9)
        step = cp.diff(x)
        rows = [step[i] <= 0 for i in range(8) if link[i + 1] == _pav.ORDER]
        rows += [step[i] == 0 for i in range(8) if link[i + 1] == _pav.EQUAL]
        rows += [x[0] == x[0]]
        cp.Problem(cp.Minimize(cp.sum_squares(x - a)), rows).solve("CLARABEL")
        starts = _pav.pools(a, link)
        close(_pav.averages(a, starts), x.value, 1e-5)
        first = np.empty(9, np.int64)
        count = _pav._pool(a, link, first, np.empty(9))
        assert np.array_equal(first[:count], starts)


def test_faces_and_normals_of_the_isotonic_cone():
    C = IsotonicCone(4)
    F = C.exposed_face([1.0, -1, 0, 0])
    close(F.project([3.0, 1, 5, 4]), [2, 2, 4.5, 4.5])
    assert not C.exposed_face([1.0, 0, 0, 0]).nonempty
    N = C.normal_cone([1.0, 1, 2, 2])
    assert N.contains([1.0, -1, 2, -2]) and not N.contains([-1.0, 1, 0, 0])
    close(N.project([3.0, 1, 5, 5]), [1, -1, 0, 0])
    close(sg.Polar(C).project([2.0, 0, 1, 1]), np.array([2.0, 0, 1, 1]) - 1)
    assert sg.Polar(C).support([1.0, 2, 2, 3]) == 0
    many = C.normal_cone([[1.0, 2, 3, 4], [0, 0, 0, 0]])
    assert np.array_equal(many.contains([1.0, -1, 1, -1]), [False, True])
    assert repr(F) != repr(C) == "IsotonicCone(4, increasing=True)"
    assert C != IsotonicCone(4, increasing=False)


def exact_simplex(y, total):
    y = [Fraction(v) for v in y]
    total, s = Fraction(total), sorted(y, reverse=True)
    theta = max((a - total) / k for k, a in enumerate(accumulate(s), 1))
    return np.array([float(max(v - theta, 0)) for v in y])


@pytest.mark.parametrize("rounds", [2, 40])
def test_projection_on_the_simplex_in_rational_arithmetic(rounds, monkeypatch):
    monkeypatch.setattr(_pour, "ROUNDS", rounds)
    r = rng()
    for n in (1, 2, 7, 600):
        for scale, total in product([1e-8, 1.0, 1e8], [1e-8, 1.0, 1e8]):
            y = np.round(r.standard_normal((3, n)), 1) * scale
            p = Simplex(n, total).project(y)
            exact = np.array([exact_simplex(v, total) for v in y])
            # At the top all differences are exact: the error is that of the total.
            size = np.minimum(total, total + np.abs(y).max())
            assert np.abs(p - exact).max() <= 1e-14 * n * size
            close(p.sum(-1) / total, np.ones(3), 1e-14 * n)
            assert p.min() >= 0


def test_a_member_keeps_its_active_bounds():
    r = rng()
    for n in (3, 7):
        p = r.dirichlet(np.ones(n), 200) * (r.random((200, n)) < 0.6)
        p = p[p.any(-1)]
        p /= p.sum(-1, keepdims=True)
        for S in (Simplex(n), CappedSimplex(0, 1 - 0.1 * np.arange(n) / n, 1)):
            inside = S.contains(p)
            assert inside.mean() > 0.5
            q = S.project(p[inside])
            close(q, p[inside], 1e-15)
            assert np.array_equal(q == 0, p[inside] == 0)


def test_capped_simplices_of_all_shapes():
    r = rng()
    for k in range(60):
        n = int(r.integers(1, 9))
        low = r.integers(-2, 2, n) * 10.0 ** r.integers(-4, 5)
        up = low + r.integers(0, 3, n) * 10.0 ** r.integers(-4, 5)
        total = low.sum() + (up - low).sum() * (k % 4) / 3
        S = CappedSimplex(low, up, total)
        y = np.round(r.standard_normal((3, n)), 1) * 10.0 ** r.integers(-4, 5)
        p = S.project(y)
        size = np.abs(y).max() + np.abs(low).max() + np.abs(up).max()
        assert np.abs(p - np.clip(y - S._sort(y), low, up)).max() <= 1e-13 * n * size
        assert np.all(S.contains(p)) and np.all((low <= p) & (p <= up))
        d = r.integers(-1, 2, (3, n)).astype(float)
        s, face = S.support_point(d), S.exposed_face(d)
        assert np.all(S.contains(s)) and np.all(face.contains(s))
        close(-face.support(-d), S.support(d))


def test_a_million_entries():
    n = 10**6
    y = rng().standard_normal(n)
    assert abs(Simplex(n).project(y).sum() - 1) < 1e-12
    assert abs(CappedSimplex(0, 1, n / 10, n).project(y).sum() - n / 10) < 1e-6
    w = np.linspace(2, 0, n)
    s = y - (p := sg.owl(w).prox(y))
    # A subgradient: <s, p> = f(p), and s in the dual ball.
    assert abs(s @ p - sg.owl(w).value(p)) < 1e-6
    excess = np.cumsum(-np.sort(-np.abs(s))) - np.cumsum(w)
    assert excess.max() < 1e-8


def test_single_precision():
    y = np.float32([3, -1, 2])
    for f in (sg.owl([2.0, 1, 0]), sg.ptp, sg.cvar(0.5), sg.spectral_risk(np.sqrt)):
        close(f.prox(y), f.prox(y.astype(float)), 1e-6)
        close(f.subgradient(y), f.subgradient(y.astype(float)))
    close(IsotonicCone(3).project(y), [1, 1, 2], 1e-6)
    close(Simplex(3).project(y), Simplex(3).project(y.astype(float)), 1e-6)
