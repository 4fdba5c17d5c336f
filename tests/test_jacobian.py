"""Derivatives of proxes, of projections and of slopes; gauges of bounded sets."""

from __future__ import annotations

import numpy as np
import pytest
from piecewise_rows import PIECEWISE
from scipy.optimize import nnls
from scipy.sparse import eye_array
from table import FUNCTIONS, SETS
from univariate_rows import ROWS

import subgrad as sg
from subgrad._jacobian import GeneralJacobian, Jacobian, LowRank, blocks, identity
from subgrad.calculus.block_sum import BlockProduct
from subgrad.calculus.scale import ScaledSet
from subgrad.calculus.stack import Product
from subgrad.functions.total_variation import Tube
from subgrad.sets._spectral_jacobian import SpectralJacobian
from subgrad.sets.intersection import intersection
from subgrad.univariate.catalog import epsilon_insensitive
from subgrad.univariate.transformed import Transformed

# What has a prox or a projection and no derivative of it.
WITHOUT = {
    *("infimal convolution of norms", "infimal convolution with the largest entry"),
    *("square over linear", "matrix fraction"),
}
SETS_WITHOUT = {
    *("HullOfUnion", "WeightedSum", "BlockWeighted", "Intersection"),
    *("ExponentialCone", "SpectraplexImage", "MatrixParabola"),
}
T = 0.7


def known(S) -> bool:
    """Whether the projection onto S, which has a projection, has a derivative."""
    try:
        S._project_jacobian(np.ones(S.dim))
    except NotImplementedError as error:
        assert "project_jacobian" in str(error)
        return False
    return True


PROX = [r for r in FUNCTIONS if r.prox and r.name not in WITHOUT]
KNOWN = {k: S for k, S in SETS.items() if S.nonempty and not S.batch and known(S)}
rows = pytest.mark.parametrize("row", PROX, ids=[r.name for r in PROX])
sets = pytest.mark.parametrize("S", KNOWN.values(), ids=KNOWN)


def matrix(J, n: int) -> np.ndarray:
    """J as a matrix: symmetric, with eigenvalues in [0, 1], in all its spellings."""
    D = J.dense()
    applied = np.stack([J.apply(e) for e in np.eye(n)], -1)
    np.testing.assert_allclose(D, applied, 0, 1e-9)
    np.testing.assert_allclose(J.complement().dense(), np.eye(n) - D, 0, 1e-9)
    np.testing.assert_allclose(J.times(0.3).dense(), 0.3 * D, 0, 1e-9)
    np.testing.assert_allclose(D, D.T, 0, 1e-9)
    w = np.linalg.eigvalsh(D)
    assert w[0] >= -1e-9 and w[-1] <= 1 + 1e-9, w
    return D


def differences(prox, x: np.ndarray) -> np.ndarray:
    h = 2e-5
    moved = [(prox(x + h * e) - prox(x - h * e)) / (2 * h) for e in np.eye(len(x))]
    return np.stack(moved, -1)


def is_the_derivative(prox, jacobian, n: int) -> None:
    """Where the prox is differentiable."""
    r = np.random.default_rng(5)
    for size in (0.3, 1.0, 1.0, 4.0, 4.0):
        x = size * r.standard_normal(n)
        found = matrix(jacobian(x), n)
        np.testing.assert_allclose(found, differences(prox, x), 0, 1e-5)


def is_a_limit(jacobian, x: np.ndarray) -> None:
    """At a kink: a mean of derivatives at points that are next to x."""
    n, r, near = len(x), np.random.default_rng(5), []
    D = matrix(jacobian(x), n).ravel()
    for _ in range(20):
        moved = x + 1e-6 * r.standard_normal((8, n))
        near += [jacobian(p).dense().ravel() for p in moved]
        if min(np.abs(J - D).max() for J in near[-8:]) <= 1e-4:
            return
        # Weights, of sum 1.
        A = np.vstack([np.transpose(near), np.full(len(near), 1e2)])
        if nnls(A, np.append(D, 1e2))[1] <= 1e-3:
            return
    raise AssertionError(f"no mean of derivatives next to {x}: {D}")


@rows
def test_of_a_prox_is_its_derivative(row):
    is_the_derivative(
        lambda x: row.f.prox(x, T), lambda x: row.f.prox_jacobian(x, T), row.n
    )


@rows
def test_of_a_prox_is_a_limit_at_kinks(row):
    x = row.points()
    kinks = x[len(x) - np.size(row.kinks) // row.n :]
    for p in np.concatenate([x[:27:5], kinks[:2]]):
        is_a_limit(lambda x: row.f.prox_jacobian(x, T), p)


@rows
def test_of_dual_proxes(row):
    """prox of s f* = id - s prox of f/s at ./s, and its derivative."""
    y, one = row.points()[-5:], np.ones(3)
    for s in (0.5, 2.0):
        found = row.f._dual_prox(y, np.asarray(s))
        np.testing.assert_allclose(found, y - s * row.f.prox(y / s, 1 / s), 1e-8, 1e-8)
        for p in np.random.default_rng(4).standard_normal((2, row.n)):
            J = row.f._dual_prox_jacobian(p, np.asarray(s))
            other = row.f.prox_jacobian(p / s, 1 / s)
            np.testing.assert_allclose(
                matrix(J, row.n), np.eye(row.n) - other.dense(), 0, 1e-7
            )
    many = row.f._dual_prox(y[:3], 2.0 * one)
    np.testing.assert_allclose(many, row.f._dual_prox(y[:3], np.asarray(2.0)), 0, 1e-8)


@pytest.mark.parametrize("name", sorted(WITHOUT))
def test_what_has_none_says_so(name):
    (row,) = (r for r in FUNCTIONS if r.name == name)
    with pytest.raises(NotImplementedError, match=r"(prox|project)_jacobian"):
        row.f.prox_jacobian(np.ones(row.n))


def test_all_that_have_none_are_listed():
    others = {k: S for k, S in SETS.items() if S.nonempty and k not in KNOWN}
    names = {type(S).__name__ for S in others.values() if not S.batch}
    # Sums and images have one if they are polyhedra, or the map is a similarity.
    curved = {"MinkowskiSum", "LinearImage", "BlockProduct", "Polar"}
    assert names - curved <= SETS_WITHOUT


@sets
def test_of_a_projection_is_its_derivative(S):
    is_the_derivative(S._project, S._project_jacobian, S.dim)


@sets
def test_of_a_projection_is_a_limit_at_kinks(S):
    r = np.random.default_rng(3)
    for x in r.integers(-1, 2, (4, S.dim)).astype(float):
        is_a_limit(S._project_jacobian, x)


CURVED = {
    f"curved {k}": f
    for k, f in PIECEWISE.items()
    if f.is_convex and f.is_closed and k not in {*ROWS, "nowhere"}
}
LINE = {k: phi for k, phi in (ROWS | CURVED).items()}


@pytest.mark.parametrize("phi", LINE.values(), ids=LINE)
def test_curvature_is_the_derivative_of_the_slope(phi):
    """Inside the domain, on no kink; it is infinite at an end that has a slope."""
    low, high = (float(np.clip(e, -4, 4)) for e in phi.ends)
    if low < high:
        t = low + (high - low) * np.random.default_rng(0).uniform(0.02, 0.98, 20)
        h = 1e-6 * (high - low)
        quotient = (phi._left(t + h) - phi._right(t - h)) / (2 * h)
        np.testing.assert_allclose(phi._curvature(t), quotient, 1e-4, 1e-6)
    for end in phi.ends:
        at = np.array([float(end)])
        if np.isfinite(end) and np.isfinite(phi._value(at)):
            assert phi._curvature(at) == np.inf


@pytest.mark.parametrize("phi", LINE.values(), ids=LINE)
def test_slope_of_the_prox_on_the_line(phi):
    """At Gaussian points, and between its one-sided limits at kinks."""
    r = np.random.default_rng(1)
    t = np.concatenate([3 * r.standard_normal(12), [-2.0, -1, -0.5, 0, 0.5, 1, 2]])
    for step in (0.3, 2.0):
        found, h = phi._prox_slope(t, step), 1e-6
        p, back, on = (phi._prox(t + d, step) for d in (0.0, -h, h))
        first, last = (p - back) / h, (on - p) / h
        low, high = np.minimum(first, last), np.maximum(first, last)
        assert np.all((low - 1e-4 <= found) & (found <= high + 1e-4))


def test_kinks_that_an_affine_change_moves_are_kinks():
    """Where rounding would miss them."""
    for c in (0.1, 0.7, 1 / 3):
        moved = Transformed(epsilon_insensitive(0.5), 1.0, 3.0, c)
        # The slopes at c + 1/6 are those between 0 and 3: there the prox stays.
        t = c + np.linspace(0.2, 1.1, 7) / 1.0 + 0.5 / 3
        assert np.all(moved._prox_slope(t, 1.0) == 0)
        assert np.all(sg.separable(moved).prox_jacobian(t).dense() == 0)


def test_of_maps_with_orthogonal_rows():
    """f(A x + b) with A Aᵀ = c I."""
    x = sg.variable(4)
    for f in (
        sg.norm2(3.0 * x[[2, 0]] - 1.0),
        sg.norm1(3.0 * x[[2, 0]] - 1.0),
        sg.max_entry(x[[3, 1, 0]]),
        sg.log_sum_exp(-2.0 * x[1:]),
    ):
        is_the_derivative(
            lambda y, f=f: f.prox(y, T), lambda y, f=f: f.prox_jacobian(y, T), 4
        )


def test_of_an_image_under_a_similarity():
    """A S with AᵀA = c I, the subdifferential at 0 of a norm of 3 y."""
    S = sg.norm2(3.0 * sg.variable(4)[[2, 0]]).subdifferential(np.zeros(4))
    is_the_derivative(S._project, S._project_jacobian, 4)


def test_equal_weights_tie_nothing():
    """The permutahedron of equal weights is a point, whatever is equal in y."""
    for y in ([2.0, 2, 2], [1.0, 1, 0], [0.0, 0, 0]):
        S = sg.Permutahedron([0.3, 0.3, 0.3])
        assert not np.any(S._project_jacobian(np.array(y)).dense())


# The others are found by halving, which is slow where membership is.
HALVED = {"hull", "half-space and simplex", "cone ball", "ball"}
OWN = (
    *(sg.Box, sg.GroupBall, sg.CrossPolytope, sg.LpBall, sg.TopKBall, sg.Ellipsoid),
    *(sg.SpectralSet, sg.Permutahedron, Tube, Product, BlockProduct, ScaledSet),
)


def around_zero(S) -> bool:
    """Whether S is bounded and contains 0, in its relative interior."""
    d = np.random.default_rng(1).standard_normal((20, S.dim))
    h = S.support(np.concatenate([d, -d]))
    return bool(np.isfinite(h).all() and h.min() > 0.1)


BOUNDED = {
    k: S
    for k, S in SETS.items()
    if S.nonempty and not S.batch and (isinstance(S, OWN) or k in HALVED)
    if k != "product of two drops" and around_zero(S)
}


@pytest.mark.parametrize("S", BOUNDED.values(), ids=BOUNDED)
def test_gauge(S):
    """z / t is a member for t = its gauge and more, not for less."""
    r = np.random.default_rng(2)
    d = r.standard_normal(S.dim)
    for z in [*r.standard_normal((2, S.dim)), S._support_point(d)]:
        t = float(S._gauge(z))
        assert t >= 0
        if np.isinf(t):
            assert not any(S._contains(z / s, 0.0) for s in (1e3, 1e6) if np.any(z))
        elif t > 0:
            assert S.contains(z / (t * (1 + 1e-7)))
            assert not S._contains(z / (t * (1 - 1e-5)), 0.0)
    assert S._gauge(np.zeros(S.dim)) <= 1e-15


@pytest.mark.parametrize(
    ("S", "size"),
    [
        (sg.Ball(np.zeros(3), 2.0), lambda z: np.linalg.norm(z) / 2),
        (sg.CrossPolytope(3, 2.0), lambda z: np.abs(z).sum() / 2),
        (sg.LpBall(3, 3.0, 2.0), lambda z: (np.abs(z) ** 3).sum() ** (1 / 3) / 2),
        (sg.TopKBall(3, 2), lambda z: np.sqrt(np.sort(z * z)[1:].sum())),
        (sg.Ellipsoid(np.zeros(3), np.diag([1.0, 4, 9])), lambda z: np.sqrt(
            (z * z / [1, 4, 9]).sum()
        )),
        (sg.NuclearBall((1, 3), 2.0), lambda z: np.linalg.norm(z) / 2),
        (3.0 * sg.CrossPolytope(3), lambda z: np.abs(z).sum() / 3),
        (sg.SignedPermutahedron([3.0, 1, 0]), lambda z: max(
            np.abs(z).max() / 3, np.abs(z).sum() / 4
        )),
    ],
    ids=lambda a: type(a).__name__ if isinstance(a, sg.Set) else "",
)  # fmt: skip
def test_gauges_of_balls_are_their_norms(S, size):
    for z in np.random.default_rng(0).standard_normal((3, 3)):
        np.testing.assert_allclose(S._gauge(z), size(z), 1e-12)


def test_gauges_of_flat_sets():
    """Infinite off their span."""
    flat = sg.Ellipsoid(np.zeros(3), np.diag([1.0, 4, 0]))
    tube = Tube(sg.Interval([-1.0, -2], [1.0, 3]))
    np.testing.assert_allclose(flat._gauge(np.array([1.0, 2, 0])), 2**0.5)
    # The sums of it are 2, 8: at -u of 3 and 3.
    np.testing.assert_allclose(tube._gauge(np.array([2.0, 6, -8])), 4.0)
    np.testing.assert_allclose(tube._gauge(np.array([0.5, -6.5, 6])), 2.0)
    for S in (flat, tube):
        assert S._gauge(np.array([1.0, 2, 3])) == np.inf


@pytest.mark.parametrize(
    "f",
    [
        sg.nuclear_norm,
        sg.spectral_norm,
        sg.schatten_norm(3),
        sg.ky_fan_norm(2),
    ],
    ids=str,
)
@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4)])
def test_singular_values_of_rectangles(f, shape):
    """With different, equal and vanishing singular values."""
    m, n = shape
    r, p = np.random.default_rng(1), min(m, n)
    U, V = (np.linalg.qr(r.standard_normal((k, k)))[0] for k in shape)
    g = f(sg.variable(shape))
    for v in ([3.0, 2, 1.2, 0.5], [2.0, 2, 0.9, 0.1], [2.0, 1.5, 0, 0]):
        X = (U[:, :p] * np.array(v)[:p]) @ V[:, :p].T
        J = g.prox_jacobian(X.ravel(), 0.6)
        D = matrix(J, m * n)
        kinked = f is not sg.nuclear_norm and v[-1] == 0 or f is sg.spectral_norm
        if kinked and v[0] == v[1]:
            continue
        found = differences(lambda x: g.prox(x, 0.6), X.ravel())
        np.testing.assert_allclose(D, found, 0, 2e-5)


@pytest.mark.parametrize("shape", [(10, 12), (12, 10), (11, 11)])
@pytest.mark.parametrize("v", [[5.0, 3, 3, 0.1, 0.1], [5.0, 3, 2, 1.9, 1.8]])
def test_few_singular_values_or_all(shape, v):
    """Both ways to apply the derivative."""
    m, n = shape
    r, p = np.random.default_rng(1), min(m, n)
    U, V = (np.linalg.qr(r.standard_normal((k, k)))[0] for k in shape)
    v = np.r_[v, np.zeros(p - 5)] + 0.01 * np.arange(p)[::-1]
    x = ((U[:, :p] * v) @ V[:, :p].T).ravel()
    t = 2.5 if v[3] > 1 else 1.0
    atoms = [f(sg.variable(shape)) for f in (sg.nuclear_norm, sg.spectral_norm)]
    for f in atoms + ([sg.lambda_max(sg.variable(shape))] if m == n else []):
        J = f.prox_jacobian(x, t)
        assert isinstance(J, SpectralJacobian) or f is not atoms[0]
        some, other = J.dense(), f._dual_prox_jacobian(x / t, 1 / t)
        for K in (J, other):
            if hasattr(K, "few"):
                assert K.few is not None and len(K.few) <= 3
                K.few = None
                np.testing.assert_allclose(K.dense().T, K.dense(), 0, 1e-12)
        np.testing.assert_allclose(some, J.dense(), 0, 1e-12)
        np.testing.assert_allclose(
            some, differences(lambda y, f=f: f.prox(y, t), x), 0, 2e-5
        )


def test_eigenvalues_that_are_equal():
    """prox of λ_max at a multiple of the identity, and next to it."""
    f = sg.lambda_max(sg.variable((3, 3)))
    U = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    for v in ([2.0, 2, 2], [2.0, 2, -3], [2.0, 2 - 1e-9, 1]):
        x = ((U * v) @ U.T).ravel()
        D = matrix(f.prox_jacobian(x, 0.5), 9)
        np.testing.assert_allclose(D, differences(lambda y: f.prox(y, 0.5), x), 0, 2e-5)


@pytest.mark.parametrize("scale", [1e-8, 1e8])
@pytest.mark.parametrize(
    "name",
    ["norm2", "nuclear_norm", "pnorm", "k-support norm", "owl", "tv"],
)
def test_of_a_norm_does_not_depend_on_the_scale(name, scale):
    (row,) = (r for r in FUNCTIONS if r.name == name)
    x = np.random.default_rng(8).standard_normal(row.n)
    J, K = row.f.prox_jacobian(x, 0.3), row.f.prox_jacobian(scale * x, 0.3 * scale)
    np.testing.assert_allclose(J.dense(), K.dense(), 0, 1e-8)


def test_large_ones_are_operators():
    """A few products, in no time, without a matrix."""
    n, r = 20_000, np.random.default_rng(0)
    x, v = r.standard_normal((2, n))
    atoms = [
        *(sg.norm1, sg.norm2, sg.norm_inf, sg.max_entry, sg.sum_largest(50)),
        *(sg.tv(sg.variable(n)), sg.fused_lasso(0.1, 2.0)(sg.variable(n))),
        *(sg.owl(np.linspace(1, 0.1, n)), sg.k_support_norm(10), sg.pnorm(3)),
        *(sg.log_sum_exp, sg.cvar(0.9), sg.group_norm(np.arange(n) // 5)),
        sg.Quadratic(eye_array(n, format="csr")),
    ]
    for f in atoms:
        p, q = (f._prox(x + s * 1e-7 * v, np.asarray(2.0)) for s in (1, -1))
        found = f.prox_jacobian(x, 2.0).apply(v)
        # Some of so many entries change their piece within the step.
        off = np.abs(found - (p - q) / 2e-7)
        assert np.quantile(off, 0.99) <= 1e-5, f


def test_dual_proxes_are_in_the_domain():
    """Exactly: multipliers with f*(y) < inf."""
    y = 3 * np.random.default_rng(0).standard_normal(1000)
    for phi, low, high in (
        (sg.huber(0.7), -1.4, 1.4),
        (sg.hinge, -1.0, 0.0),
        (sg.pinball(0.3), -0.7, 0.3),
        (sg.logistic, 0.0, 1.0),
    ):
        for s in (1e-6, 0.3, 1e6):
            q = sg.separable(phi)._dual_prox(y, np.asarray(s))
            assert low <= q.min() and q.max() <= high


def test_kinds_and_blocks():
    u = np.array([0.6, 0.8])
    J = Jacobian(np.full(2, 0.5), u, [0.2])
    K = LowRank(np.full(2, 0.5), u[:, None], [-0.3])
    np.testing.assert_allclose(J.dense(), K.dense(), 1e-12)
    G = GeneralJacobian(J.apply, 2)
    plain = blocks([J, identity(1), J], [2, 3, 5])
    other = blocks([G, identity(1), K], [2, 3, 5])
    assert isinstance(plain, Jacobian)
    np.testing.assert_allclose(matrix(plain, 5), matrix(other, 5), 0, 1e-12)


def test_border():
    with pytest.raises(ValueError, match="shape"):
        sg.norm1.prox_jacobian(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="positive"):
        sg.norm1.prox_jacobian(np.zeros(3), 0.0)
    with pytest.raises(NotImplementedError, match="project_jacobian"):
        disc = intersection(sg.Ball(np.zeros(2)), sg.Ball(np.ones(2)))
        sg.Indicator(disc).prox_jacobian(np.ones(2))
    with pytest.raises(NotImplementedError, match="prox_jacobian"):
        sg.total_variation()(sg.variable((3, 3))).prox_jacobian(np.ones(9))
