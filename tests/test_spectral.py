"""Functions of eigenvalues and singular values: what the laws do not say."""

from __future__ import annotations

import pickle
import warnings

import cvxpy as cp
import numpy as np
import pytest

import subgrad as sg
from subgrad import (
    Fantope,
    Indicator,
    NuclearBall,
    PSDCone,
    SchattenBall,
    SingularFunction,
    SpectralBall,
    SpectralFunction,
    SpectralSet,
    Spectraplex,
    Support,
    SymmetricSpectralBall,
)

OPTIONS = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), 1e-10)


def minimize(objective, constraints=()):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # accuracy is checked by the caller
        problem = cp.Problem(cp.Minimize(objective), list(constraints))
        return problem.solve(solver=cp.CLARABEL, **OPTIONS)


def rng(seed=0):
    return np.random.default_rng(seed)


def turn(n, seed=0):
    return np.linalg.qr(rng(seed).standard_normal((n, n))).Q


def symmetric(*eigenvalues):
    Q = turn(len(eigenvalues), len(eigenvalues))
    return (Q * np.array(eigenvalues, float)) @ Q.T


def rectangle(m, n, *singular_values):
    p = min(m, n)
    return (turn(m, 7)[:, :p] * np.array(singular_values, float)) @ turn(n, 8)[:, :p].T


SYMMETRIC = {
    "zero": np.zeros((3, 3)),
    "identity": np.eye(3),
    "two equal at the top": symmetric(2, 2, 0.5, -1),
    "two equal at the bottom": symmetric(3, -1, -1),
    "equal up to sign": symmetric(1, 1, 0, -1, -1),
    "distinct": symmetric(4, 3, 2, 1),
    "of rank one": symmetric(1, 0, 0),
    "not symmetric": rng().standard_normal((3, 3)),
    "one": np.zeros((1, 1)),
}
RECTANGLES = {
    "zero 2 x 3": np.zeros((2, 3)),
    "rank one 3 x 2": rectangle(3, 2, 1, 0),
    "rank one 2 x 3": rectangle(2, 3, 1, 0),
    "tied 4 x 3": rectangle(4, 3, 2, 2, 0),
    "tied 3 x 4": rectangle(3, 4, 2, 1, 1),
    "full rank": rectangle(4, 2, 2, 1),
    "rank one 4 x 4": rectangle(4, 4, 1, 0, 0, 0),
    "row": rng().standard_normal((1, 4)),
    "column": rng().standard_normal((4, 1)),
    "zero column": np.zeros((4, 1)),
    "one": np.zeros((1, 1)),
}
OF_EIGENVALUES = {
    "lambda_max": sg.lambda_max,
    "lambda_sum_largest": sg.lambda_sum_largest(0.7),
    "negative_log_det": sg.negative_log_det,
    "trace_inv": sg.trace_inv,
    "trace_exp": sg.trace_exp,
    "entropy": sg.negative_von_neumann_entropy,
    "trace": sg.trace,
}
OF_SINGULAR_VALUES = {
    "nuclear_norm": sg.nuclear_norm,
    "spectral_norm": sg.spectral_norm,
    "schatten_norm": sg.schatten_norm(3),
    "ky_fan_norm": sg.ky_fan_norm(0.5),
    "frobenius_norm": sg.frobenius_norm,
}
CASES = [(f, X) for f in OF_EIGENVALUES for X in SYMMETRIC]
CASES += [(f, X) for f in OF_SINGULAR_VALUES for X in RECTANGLES]
AT = {f"{f}, {X}": (f, X) for f, X in CASES}


def at(name):
    f, X = AT[name]
    atoms = OF_EIGENVALUES | OF_SINGULAR_VALUES
    matrices = SYMMETRIC if f in OF_EIGENVALUES else RECTANGLES
    return atoms[f].at(matrices[X].shape), matrices[X].ravel()


@pytest.mark.parametrize("name", AT)
def test_support_of_the_subdifferential_is_the_slope(name):
    f, x = at(name)
    if np.isposinf(f.value(x)):
        assert not f.subdifferential(x).nonempty
        return
    D = rng(1).standard_normal((8, x.size))
    D /= np.linalg.norm(D, axis=-1, keepdims=True)
    S, slope = f.subdifferential(x), f.directional_derivative(x, D)
    if not S.nonempty:
        # Entropy at a singular matrix: into the domain it falls without bound.
        inward = np.eye(f.shape[0]).ravel()
        assert f.directional_derivative(x, inward) == -np.inf
        return
    np.testing.assert_allclose(S.support(D), slope, atol=1e-9)
    t = 1e-6
    quotient = (f.value(x + t * D) - f.value(x)) / t
    np.testing.assert_allclose(slope, quotient, rtol=3e-5, atol=3e-5)
    s = S.support_point(D)
    np.testing.assert_allclose(np.vecdot(s, D), slope, atol=1e-9)
    assert np.all(S.contains(s)) and S.contains(f.subgradient(x))
    # Not too big either, and the same with a budget.
    y = np.concatenate([x + 1e-2 * D, x + 3 * D, 10 * D])
    for eps in (0.0, 1e-3, 0.5):
        g = f.subdifferential(x, eps).project(3 * D)
        slack = f.value(y) - f.value(x) - g @ (y - x).T
        assert slack.min() >= -eps - 1e-9 * (1 + np.abs(g).max())
        assert np.all(f.subdifferential(x, eps).support(D) >= slope - 1e-9)


def test_a_batch_of_different_multiplicities_is_a_loop():
    X = np.stack([np.zeros((3, 3)), np.eye(3), symmetric(1, 0, 0), symmetric(2, 2, -1)])
    x = X.reshape(4, 9)
    D = rng().standard_normal((5, 1, 9))
    for atom in (sg.lambda_max, sg.lambda_sum_largest(1.5), sg.nuclear_norm):
        f = atom.at((3, 3))
        for eps in (0.0, 0.3, np.array([0, 0.1, 1, 3])):
            S = f.subdifferential(x, eps)
            every = np.broadcast_to(eps, 4)
            each = [f.subdifferential(v, e) for v, e in zip(x, every, strict=True)]
            for got, wanted in (
                (S.support(D), [G.support(D[:, 0]) for G in each]),
                (S.project(D), [G.project(D[:, 0]) for G in each]),
            ):
                np.testing.assert_allclose(got, np.stack(wanted, 1), atol=1e-10)
            alone = [bool(G.is_singleton) for G in each]
            assert S.is_singleton.tolist() == alone
            F = S.exposed_face(D[0])
            alone = [G.exposed_face(D[0, 0]).support(D[1, 0]) for G in each]
            np.testing.assert_allclose(F.support(D[1]), alone, atol=1e-10)


@pytest.mark.parametrize("n", [3, 5, 40])
def test_eigenvalues_tied_up_to_rounding(n):
    """Of Q diag(2, ..., 2, 1, ...) Qᵀ the whole first eigenspace counts."""
    k, Q = (n + 1) // 2, turn(n, 3)
    X = (Q * np.repeat([2.0, 1.0], [k, n - k])) @ Q.T
    f, D = sg.lambda_max.at((n, n)), rng(4).standard_normal((n, n))
    top = Q[:, :k]
    for scale in (1.0, 1e-8, 1e8):
        S = f.subdifferential(scale * X.ravel())
        h = np.linalg.eigvalsh(top.T @ (D + D.T) @ top / 2)[-1]
        np.testing.assert_allclose(S.support(D.ravel()), h, rtol=1e-10)
        least = top @ top.T / k
        np.testing.assert_allclose(S.min_norm(), least.ravel(), atol=1e-12)
        assert S.exact and not S.is_singleton


def test_eigenvalues_within_the_budget_are_one_block():
    """λ_1 - λ_2 <= eps: all of the spectraplex on both eigenvectors, and no more."""
    Q = turn(4, 5)
    X = (Q * np.array([1.0, 0.95, 0.5, 0])) @ Q.T
    G = sg.lambda_max.at((4, 4)).subdifferential(X.ravel(), 0.1)
    D = rng(6).standard_normal((4, 4))
    D = D + D.T
    h = np.linalg.eigvalsh(Q[:, :2].T @ D @ Q[:, :2])[-1]
    np.testing.assert_allclose(G.support(D.ravel()), h)
    half = (Q[:, :2] @ Q[:, :2].T / 2).ravel()
    np.testing.assert_allclose(G.min_norm(), half, atol=1e-12)
    # Singular values below the budget are one rectangular block.
    Y = rectangle(3, 4, 2, 1e-3, 1e-3)
    f = sg.nuclear_norm.at((3, 4))
    G, U, V = f.subdifferential(Y.ravel(), 0.01), turn(3, 7), turn(4, 8)
    E = rng(7).standard_normal((3, 4))
    wanted = U[:, 0] @ E @ V[:, 0] + np.linalg.norm(U[:, 1:].T @ E @ V[:, 1:], "nuc")
    np.testing.assert_allclose(G.support(E.ravel()), wanted)


SETS = {
    "spectraplex": Spectraplex(3, 2.0),
    "fantope": Fantope(3, 1.5),
    "symmetric spectral ball": SymmetricSpectralBall(3, 1.5),
    "semidefinite cone": PSDCone(3),
    "spectral ball": SpectralBall((2, 3), 0.5),
    "nuclear ball": NuclearBall((3, 2), 1.5),
    "Schatten ball": SchattenBall((2, 3), 1.5),
    "Schatten 2": SchattenBall((2, 3), 2),
    "box of eigenvalues": SpectralSet(sg.Box(sg.Interval([0] * 3, [1.0] * 3)), 3),
}
sets = pytest.mark.parametrize("S", SETS.values(), ids=SETS)


@sets
def test_projection_agrees_with_cvxpy(S):
    y = 2 * rng(9).standard_normal(S.dim)
    z = cp.Variable(S.dim)
    minimize(cp.sum_squares(z - y), S.to_cvxpy(z))
    np.testing.assert_allclose(z.value, S.project(y), atol=1e-5)
    p = S.project(y)
    gap = S.support(np.where(np.abs(y - p) < 1e-14, 0, y - p)) - (y - p) @ p
    assert abs(gap) < 1e-12 * (1 + y @ y)
    far = 1e8 * y
    q = S.project(far)
    np.testing.assert_allclose(S.project(q), q, atol=1e-14 * np.abs(far).max())


@sets
def test_faces_of_faces(S):
    r = rng(10)
    d, e, w = r.standard_normal((3, S.dim))
    if isinstance(S, PSDCone):
        Q = turn(3)
        d = -((Q[:, :1] * 2) @ Q[:, :1].T).ravel()
        e = d - (np.eye(3) - Q[:, 1:2] @ Q[:, 1:2].T).ravel() * 3
    else:
        # A direction with ties, in a frame of its own.
        m, n = S.shape
        p = min(m, n)
        d = ((turn(m)[:, :p] * np.array([1, 1, 0][:p])) @ turn(n)[:, :p].T).ravel()
    F = S.exposed_face(d)
    G = F.exposed_face(e)
    s = G.project(r.standard_normal((5, S.dim)))
    assert np.all(S.contains(s)) and np.all(F.contains(s))
    np.testing.assert_allclose(s @ d, S.support(d), atol=1e-9)
    np.testing.assert_allclose(s @ e, F.support(e), atol=1e-9)
    if S.is_bounded:
        # h_G(w) is the slope of h_F at e, and that of h_S at d is h_F(e).
        t = 1e-7
        np.testing.assert_allclose(
            (F.support(e + t * w) - F.support(e)) / t, G.support(w), atol=1e-5
        )
        np.testing.assert_allclose(
            (S.support(d + t * e) - S.support(d)) / t, F.support(e), atol=1e-5
        )
    assert G.contains(F.support_point(e))


@sets
def test_normal_cones_hold_residuals_and_skew_matrices(S):
    y = 3 * rng(11).standard_normal((4, S.dim))
    p = S.project(y)
    N = S.normal_cone(p)
    assert np.all(N.distance(y - p) < 1e-8)
    g = N.project(y[::-1])
    assert np.all(S.support(np.where(np.abs(g) < 1e-13, 0, g)) - np.vecdot(g, p) < 1e-8)
    away = y[::-1] - g
    np.testing.assert_allclose(np.vecdot(away, g), 0, atol=1e-8)
    if S.shape == (3, 3) and isinstance(S, Fantope | Spectraplex | PSDCone):
        skew = np.array([[0, 1.0, -2], [-1, 0, 3], [2, -3, 0]]).ravel()
        assert np.all(N.contains(skew)) and np.all(N.contains(y - p - 5 * skew, 1e-8))
        assert np.all(np.isposinf(N.support(skew)))
        assert not np.any(N.exposed_face(skew).nonempty)
        assert Indicator(S).directional_derivative(p[0], skew) == np.inf


def test_sums_with_sets_of_matrices():
    """Projection by support points and recession directions; shares of a budget."""
    S = PSDCone(2) + sg.CrossPolytope(4, 0.5)
    for y in 2 * rng(14).standard_normal((3, 4)):
        z = cp.Variable(4)
        minimize(cp.sum_squares(z - y), S.to_cvxpy(z))
        np.testing.assert_allclose(S.project(y), z.value, atol=1e-5)
    # The difference of the eigenvalues, 0.1, buys the whole spectraplex.
    f = sg.lambda_max.at((2, 2)) + sg.norm2
    x, d = symmetric(0.3, 0.2).ravel(), np.array([1.0, 0, 0, -1])
    G = f.subdifferential(x, 0.2)
    assert G.support(d) + G.support(-d) >= 2


def test_eigenvalues_tied_in_size():
    """Of max |λ_i| the eigenvalues 1, 1 and -1, -1 count, whatever their rounding."""
    X, Q = SYMMETRIC["equal up to sign"], turn(5, 5)
    S = SpectralFunction(sg.norm_inf, 5).subdifferential(X.ravel())
    for D in rng(15).standard_normal((4, 5, 5)):
        M = Q.T @ (D + D.T) @ Q / 2
        top, low = np.linalg.eigvalsh(M[:2, :2])[-1], np.linalg.eigvalsh(M[3:, 3:])[0]
        np.testing.assert_allclose(S.support(D.ravel()), max(top, -low))


@pytest.mark.parametrize("scale", [1.0, 1e8])
def test_computed_matrices_touch_the_ends_of_the_domain(scale):
    """0 ⪯ S ⪯ r I by an indicator on the line and by a set: the same at projections."""
    f = SpectralFunction(sg.separable(sg.interval_indicator(0.0, scale)), 3)
    S = SpectralSet(sg.Box(sg.Interval([0.0] * 3, [scale] * 3)), 3)
    for z in 3 * scale * rng(16).standard_normal((20, 9)):
        p = f.prox(z)
        np.testing.assert_allclose(p, S.project(z) + (z - _flip(z)) / 2, rtol=1e-12)
        assert f.value(p) == 0
        assert f.subdifferential(p).distance(z - p) <= 1e-9 * scale
        assert S.normal_cone(S.project(z)).distance(z - S.project(z)) <= 1e-9 * scale


def _flip(z):
    return z.reshape(3, 3).T.ravel()


def feasible_by_steps(S, x, d):
    return any(S.distance(x + t * d) <= 1e-13 for t in (1e-3, 1e-5))


@sets
def test_feasible_directions_to_second_order(S):
    r, (m, n) = rng(12), S.shape
    p = min(m, n)
    U, V = turn(m, 1), turn(n, 1)
    spectra = [S.K.support_point(np.array([-1.0, -1, -2])[:p])]
    spectra += [S.K.project(np.array(d, float)[:p]) for d in ([1, 0, 0], [5, 4, 0])]
    for s in spectra:
        x = ((U[:, :p] * s) @ V[:, :p].T).ravel()
        f = Indicator(S)
        for _ in range(25):
            M = r.integers(-1, 2, (m, n)).astype(float)
            M = M + M.T if m == n else M
            if r.random() < 0.5:
                M[0, 0] -= np.trace(M)
            d = (U @ M @ V.T).ravel()
            got = f.directional_derivative(x, d) == 0
            assert got == feasible_by_steps(S, x, d), (s, M)


def test_feasible_directions_in_faces():
    """Of {S ⪰ 0 on the span of e_1, e_2, tr S = 1}, alone and out of a batch."""
    D = np.stack([np.diag([1.0, 1, 0]), np.eye(3), np.diag([2.0, 1, 0])])
    F = Spectraplex(3).exposed_face(D.reshape(3, 9))
    x = np.diag([1.0, 0, 0]).ravel()
    inward, bend = np.diag([-1.0, 1, 0]), np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 0]])
    off = np.diag([-1.0, 0, 1])
    for d, wanted in ((inward, [1, 1, 0]), (bend, [0, 0, 0]), (off, [0, 1, 0])):
        got = F._feasible(x, d.ravel())
        assert got.tolist() == wanted
        assert [bool(F._item((i,))._feasible(x, d.ravel())) for i in range(3)] == wanted
    tall = np.stack([np.eye(3, 2).ravel(), np.diag([1.0, 0, 0])[:, :2].ravel()])
    G = sg.nuclear_norm.at((3, 2)).subdifferential(tall)
    one = G._item((0,))
    assert one._feasible(tall[0], 0 * tall[0]) and not one._feasible(tall[0], tall[1])


def test_slopes_at_the_boundary_of_the_domain():
    # det(diag(1, 0) + t [[0, 1], [1, 0]]) = -t²: out of the cone at once.
    x, out = np.diag([1.0, 0.0]).ravel(), np.array([0.0, 1, 1, 0])
    assert Indicator(PSDCone(2)).directional_derivative(x, out) == np.inf
    assert PSDCone(2).normal_cone(x).support(out) == 0
    skew = np.array([0.0, 1, -1, 0])
    assert Indicator(PSDCone(2)).directional_derivative(0 * x, skew) == np.inf
    f = sg.negative_von_neumann_entropy.at((2, 2))
    assert f.directional_derivative(x, skew) == 0
    assert f.directional_derivative(x, out) == np.inf
    assert f.directional_derivative(x, np.array([0.0, 1, 1, 2])) == -np.inf
    assert f.directional_derivative(x, np.array([2.0, 0, 0, 0])) == pytest.approx(2)
    for X in (np.diag([1.0, 0]), symmetric(3, 0, 0), -np.eye(2), np.diag([1, -1.0])):
        g = sg.negative_log_det.at(X.shape)
        assert g.value(X.ravel()) == np.inf
        assert not g.subdifferential(X.ravel()).nonempty


ATOMS = {
    "lambda_max": (sg.lambda_max, (3, 3), cp.lambda_max),
    "lambda_sum_largest": (
        sg.lambda_sum_largest(1.5),
        (3, 3),
        lambda X: cp.lambda_sum_largest(X, 1.5),
    ),
    "negative_log_det": (sg.negative_log_det, (3, 3), lambda X: -cp.log_det(X)),
    "trace_inv": (sg.trace_inv, (3, 3), cp.tr_inv),
    "entropy": (
        sg.negative_von_neumann_entropy,
        (2, 2),
        lambda X: -cp.von_neumann_entr(X),
    ),
    "trace_exp": (sg.trace_exp, (2, 2), None),
    "trace": (sg.trace, (2, 2), cp.trace),
    "nuclear_norm": (sg.nuclear_norm, (2, 3), cp.normNuc),
    "spectral_norm": (sg.spectral_norm, (3, 2), cp.sigma_max),
    "frobenius_norm": (sg.frobenius_norm, (2, 3), lambda X: cp.norm(X, "fro")),
    "schatten_norm": (sg.schatten_norm(3), (2, 3), None),
    "ky_fan_norm": (sg.ky_fan_norm(2), (3, 3), None),
    "norm1 of eigenvalues": (
        sg.functions.shaped.ShapedAtom(sg.functions.spectral.eigenvalues, sg.norm1),
        (3, 3),
        cp.normNuc,
    ),
}


@pytest.mark.parametrize("name", ATOMS)
def test_value_and_prox_agree_with_cvxpy(name):
    atom, shape, form = ATOMS[name]
    f = atom.at(shape)
    Z = rng(13).standard_normal(shape)
    if form is not None and shape[0] == shape[1]:
        P = Z @ Z.T
        np.testing.assert_allclose(f.value(P.ravel()), form(P).value, rtol=1e-7)
    elif form is not None:
        np.testing.assert_allclose(f.value(Z.ravel()), form(Z).value, rtol=1e-9)
    u, z = cp.Variable(f.n or Z.size), Z.ravel()
    objective = f.to_cvxpy(u) + cp.sum_squares(u - z)
    best = minimize(objective)
    p = f.prox(z, 0.5)
    np.testing.assert_allclose(u.value, p, atol=3e-6)
    np.testing.assert_allclose(best, f.value(p) + np.sum((p - z) ** 2), atol=1e-6)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_prox_solves_its_equation_at_any_scale(scale):
    for X in (symmetric(2, 2, -1), symmetric(1, 0, 0), rng().standard_normal((3, 3))):
        x, t = scale * X.ravel(), 0.7 * scale**2
        p = sg.negative_log_det.at((3, 3)).prox(x, t)
        P = p.reshape(3, 3)
        g = ((x - p) / t).reshape(3, 3)
        inverse = np.linalg.inv((P + P.T) / 2)
        assert np.abs(g + inverse).max() <= 1e-12 * np.abs(inverse).max()
        for atom in (sg.lambda_max, sg.nuclear_norm, sg.spectral_norm):
            f = atom.at((3, 3))
            p, q = f.prox(x, 0.7 * scale), f.prox(X.ravel(), 0.7)
            np.testing.assert_allclose(p / scale, q, rtol=1e-12, atol=1e-13)
            np.testing.assert_allclose(f.value(x), scale * f.value(X.ravel()))


def test_single_precision_stays():
    x = symmetric(2, 2, -1).astype(np.float32).ravel()
    f = sg.lambda_max.at((3, 3))
    assert f.value(x).dtype == np.float32
    S = f.subdifferential(x)
    assert not S.is_singleton  # tied up to the rounding of single precision
    np.testing.assert_allclose(S.support(x), 2, rtol=1e-6)
    assert sg.nuclear_norm.at((3, 3)).value(x).dtype == np.float32


def test_conjugates():
    f = sg.lambda_max.at((3, 3))
    star = f.conjugate()
    assert isinstance(star, Indicator) and isinstance(star.S, SpectralSet)
    g = Spectraplex(3).project(rng().standard_normal(9))
    assert star.value(g) == 0 and star.value(g + np.eye(3).ravel()) == np.inf
    skew = np.array([[0, 1.0, 0], [-1, 0, 0], [0, 0, 0]]).ravel()
    assert star.value(g + skew) == np.inf
    # log det: -n - log det(-G) for G ≺ 0 symmetric; and back.
    h = sg.negative_log_det.at((2, 2)).conjugate()
    G = -np.array([[2.0, 0.5], [0.5, 1]])
    wanted = -2 - np.log(np.linalg.det(-G))
    np.testing.assert_allclose(h.value(G.ravel()), wanted)
    assert h.value(G.ravel() + [0, 1, -1, 0]) == np.inf
    assert h.value(-G.ravel()) == np.inf
    assert h.conjugate() == sg.negative_log_det.at((2, 2))
    N = h.domain_normal(G.ravel())
    assert N.contains([0, 1, -1, 0]) and not N.contains([0, 1, 1, 0])
    # The gradient on the symmetric matrices, and all skew ones.
    S = h.subdifferential(G.ravel())
    assert S.contains(-np.linalg.inv(G).ravel() + [0, 7, -7, 0])
    assert not S.contains(-np.linalg.inv(G).ravel() + [0, 1, 1, 0])
    assert h.directional_derivative(G.ravel(), [0, 1, -1, 0]) == np.inf
    half = SpectralFunction(sg.squared_norm, 2).conjugate()
    assert half.value([1, 2, 2, 1]) == pytest.approx(2.5)
    assert half.value([1, 2, 0, 1]) == np.inf
    np.testing.assert_allclose(half.prox([1, 2, 0, 1]), np.full(4, 2 / 3))
    k = sg.nuclear_norm.at((2, 3)).conjugate()
    assert isinstance(k, Indicator) and isinstance(k.conjugate(), Support)
    m = SingularFunction(sg.squared_norm, (2, 3)).conjugate()
    assert m.value(np.ones(6)) == pytest.approx(1.5)


def test_atoms_take_the_shape_of_a_variable():
    X, Y = sg.variable((3, 3)), sg.variable((2, 3))
    C, Z = symmetric(1, 2, 3), rng().standard_normal((2, 3))
    f = sg.lambda_max(X - C)
    assert f.value(np.eye(3).ravel()) == pytest.approx(0, abs=1e-12)
    assert f.subdifferential(np.eye(3).ravel()).is_singleton
    np.testing.assert_allclose(sg.nuclear_norm(Y)(Z.ravel()), np.linalg.norm(Z, "nuc"))
    assert sg.spectral_norm(Z) == pytest.approx(np.linalg.norm(Z, 2))
    assert sg.frobenius_norm(Z) == pytest.approx(np.linalg.norm(Z))
    assert sg.schatten_norm(np.inf)(Z) == pytest.approx(np.linalg.norm(Z, 2))
    assert sg.ky_fan_norm(1.5)(np.diag([3.0, -2])) == pytest.approx(4)
    assert sg.trace(C) == pytest.approx(6)
    assert sg.lambda_sum_largest(2)(C) == pytest.approx(5)
    for atom in (sg.lambda_max, sg.schatten_norm(3), sg.ky_fan_norm(2)):
        assert pickle.loads(pickle.dumps(atom)) == atom
        assert atom.at((3, 3)) == atom.at((3, 3)) != atom.at((4, 4))
    assert sg.lambda_max != sg.negative_log_det
    assert repr(sg.lambda_max) == "lambda_max"
    with pytest.raises(ValueError, match="square"):
        sg.lambda_max(Y)
    with pytest.raises(ValueError, match="square"):
        sg.trace(Y)
    with pytest.raises(ValueError, match="exceeds"):
        sg.ky_fan_norm(3)(Y)


def test_parameters_with_batch_axes():
    D = rng().standard_normal(9)
    D = ((D.reshape(3, 3) + D.reshape(3, 3).T) / 2).ravel()
    w = np.linalg.eigvalsh(D.reshape(3, 3))[::-1]
    S = Spectraplex(3, [1.0, 2.0])
    assert S.batch == (2,)
    np.testing.assert_allclose(S.support(D), w[0] * np.array([1, 2]))
    assert S.project(D).shape == (2, 9)
    np.testing.assert_allclose(S.project(D)[1], Spectraplex(3, 2.0).project(D))
    f = sg.lambda_sum_largest(np.array([1.0, 1.5])).at((3, 3))
    np.testing.assert_allclose(f.value(D), [w[0], w[0] + w[1] / 2])
    np.testing.assert_allclose(f.subdifferential(D).support(D), f.value(D))
    N = NuclearBall((3, 3), [1.0, 3.0])
    np.testing.assert_allclose(
        N.exposed_face(D).support(D), np.abs(w).max() * np.array([1, 3])
    )


def test_one_by_one_and_vectors():
    one = sg.lambda_max.at((1, 1))
    assert one.subdifferential([3.0]).is_singleton and one.value([-2.0]) == -2
    x = np.array([3.0, 4.0])
    for shape in ((1, 2), (2, 1)):
        for atom in (sg.nuclear_norm, sg.spectral_norm, sg.schatten_norm(3)):
            f = atom.at(shape)
            np.testing.assert_allclose(f.value(x), 5)
            np.testing.assert_allclose(f.subdifferential(x).min_norm(), x / 5)
            d = np.array([1.0, -2])
            assert f.subdifferential(0 * x).support(d) == pytest.approx(np.sqrt(5))
            np.testing.assert_allclose(f.prox(x, 2.0), 0.6 * x)
    assert SpectralFunction(sg.max_entry, 1, True).finite


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: SpectralFunction(sg.separable(sg.square, [1.0, 2]), 2),
            "permutations",
        ),
        (lambda: SpectralFunction(sg.Linear([1.0, 2.0]), 2), "permutations"),
        (lambda: SpectralFunction(sg.max_entry(sg.variable(3)), 2), "2 arguments"),
        (lambda: SingularFunction(sg.max_entry, (2, 2)), "changes of sign"),
        (lambda: SingularFunction(sg.norm1, 2), r"\(m, n\)"),
        (lambda: SpectralFunction(sg.norm1, 0), "positive integer"),
        (lambda: SpectralSet(sg.point([1.0, 2]), 2), "permutations"),
        (lambda: SpectralSet(sg.Simplex(2), (2, 3)), "changes of sign"),
        (lambda: SpectralSet(sg.Simplex(3), (2, 3)), r"R\^2"),
        (lambda: SpectralSet(sg.Simplex(3), (2, 3, 4)), "shape must be"),
        (lambda: Fantope(2, 3), "at most 2"),
        (lambda: Fantope(2, 0), "positive"),
        (lambda: NuclearBall(3), r"\(m, n\)"),
        (lambda: SchattenBall((2, 2), 0.5), "at least 1"),
        (lambda: Spectraplex(2, -1.0), "positive"),
        (lambda: sg.lambda_sum_largest(4)(sg.variable((3, 3))), "exceeds"),
    ],
)
def test_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_a_function_of_the_line_is_no_function_of_spectra():
    with pytest.raises(TypeError, match="Function"):
        SpectralFunction(sg.square, 2)


def test_solvers_and_certificates_use_the_sets():
    """min λ_max(C + diag y) over sum y = 0, against its dual by cvxpy."""
    C = symmetric(3, 1, -1)
    y = sg.variable(3)
    E = np.zeros((9, 3))
    E[[0, 4, 8], [0, 1, 2]] = 1
    f = sg.lambda_max.at((3, 3))(E @ y + C.ravel())
    v = cp.Variable(3)
    minimize(cp.lambda_max(C + cp.diag(v)), [cp.sum(v) == 0])
    G = f.subdifferential(v.value - v.value.mean(), 1e-4)
    # A multiple of (1, 1, 1), the normal of the constraint, is among the subgradients.
    assert G.distance(np.full(3, 1 / 3)) < 1e-3
