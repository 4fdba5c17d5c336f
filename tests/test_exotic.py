"""Sums that are hard for rounding: very different weights, flat directions, sets."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose

from subgrad import (
    AffineSubspace,
    Ball,
    Box,
    HalfSpace,
    Indicator,
    Interval,
    Simplex,
    distance,
    hinge_loss,
    huber_loss,
    logistic_loss,
    max_entry,
    maximum,
    norm1,
    norm2,
    norm_inf,
    owl,
    problems,
    ptp,
    squared_norm,
    sum_largest,
    variable,
)
from subgrad.sets.box import point
from subgrad.solvers import DualCertificate, Gap, MaxIter, minimize
from subgrad.solvers.auto import choose
from subgrad.solvers.problem import Problem
from subgrad.solvers.structured.extremes import EmptyDomain
from subgrad.solvers.structured.flats import flat_directions
from subgrad.solvers.structured.margins import margins
from subgrad.solvers.structured.normal import Dense
from subgrad.solvers.structured.orthogonal import Orthogonal
from subgrad.solvers.structured.reach import _across, _rows
from subgrad.solvers.structured.terms import structure

STOP = Gap(1e-6) | MaxIter(200)


def rng(seed=0):
    return np.random.default_rng(seed)


def proved(f, n, constraint=None):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = minimize(f, np.zeros(n), "structured", STOP, constraint)
    assert found.status == "gap", found.message
    assert found.gap <= 1e-6 * max(1.0, abs(found.fun))
    assert found.certificate.verify(f)
    assert_allclose(f(found.x), found.fun, rtol=1e-12, atol=1e-12)
    return found


# Rows and terms of very different weights ---------------------------------------------


def steep_and_slow(kind, seed):
    r, x = rng(seed), variable(6)

    def affine(m, size):
        return size * r.standard_normal((m, 6)) @ x + size * r.standard_normal(m)

    if kind == "two steep rows":
        return 0.01 * ptp(affine(30, 1e-3)) + owl([1.0, 0.5])(affine(2, 1e3))
    if kind == "a simplex":
        return 100 * norm_inf(affine(2, 1e3)) + Indicator(Simplex(6))(x)
    if kind == "many slow rows":
        return norm1(affine(2, 1e3)) + max_entry(affine(20, 1e-3)) + 1e-3 * norm1(x)
    slow = 0.01 * hinge_loss(affine(20, 1e-3) + 1) + 1e-3 * norm1(x)
    return sum_largest(2.0)(affine(20, 1e3)) + slow


@pytest.mark.parametrize(
    "kind", ["two steep rows", "a simplex", "many slow rows", "hinges"]
)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_weights_that_are_a_million_apart(kind, seed):
    proved(steep_and_slow(kind, seed), 6)


@pytest.mark.parametrize("seed", [0, 3, 5])
def test_steep_rows_far_from_the_start(seed):
    """A x + b is computed anew: in sums of steps the rounding of the first stays."""
    r, x = rng(seed), variable(3)
    far = norm_inf(r.standard_normal((2, 3)) @ x + 1e3 * r.standard_normal(2))
    steep = norm_inf(1e3 * r.standard_normal((2, 3)) @ x + r.standard_normal(2))
    proved(0.01 * far + 100 * steep, 3)


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_a_maximum_of_steep_and_flat_pieces(seed):
    r, x = rng(seed), variable(4)

    def affine(m, size):
        return size * (r.standard_normal((m, 4)) @ x) + r.standard_normal(m)

    f = maximum(
        norm2(affine(3, 1e3)) + x[0],
        0.7 * norm1(affine(4, 1.0)),
        huber_loss(0.5)(affine(3, 1e3)) + norm1(x),
        squared_norm(affine(4, 1.0)) + 1.0,
    )
    proved(f, 4)


@pytest.mark.parametrize("spread", [0, 8, 20])
@pytest.mark.parametrize("quadratic", [0.0, 1.0])
def test_orthogonal_systems(spread, quadratic):
    r, n = rng(1), 5
    A, q = r.standard_normal((12, n)), np.where(np.arange(n) < 2, quadratic, 0.0)
    D = 10.0 ** r.permutation(np.linspace(-spread / 2, spread / 2, 12))
    right, s = r.standard_normal(n), r.standard_normal(12)
    dx, dy, dz = Orthogonal(q, A).factor(D)(right, s.copy())
    assert_allclose(dz, A @ dx, atol=1e-13 * np.abs(dx).max())
    # The first equation holds to the rounding of its own terms, whatever D is.
    size = np.abs(dy) @ np.abs(A) + np.abs(right) + q * np.abs(dx)
    assert np.all(np.abs(q * dx + A.T @ dy + right) <= 1e-12 * size.max())
    if spread == 0:
        for a, b in zip(Dense(q, A).factor(D)(right, s.copy()), (dx, dy), strict=False):
            assert_allclose(a, b, rtol=1e-9, atol=1e-9)


def test_orthogonal_systems_of_heavy_rows_below_light_ones():
    """An example of M. J. D. Powell and J. K. Reid, solved in fractions."""
    A = np.array([[0, 2, 1], [1e6, 1e6, 0], [1e6, 0, 1e6], [0, 1, 1]])
    x = np.array([1.0, -2.0, 3.0])
    # A x + s = 0 in the first rows, and 1 in the last: exact numbers all of them.
    s, r = -A @ x, np.zeros(3)
    dx, dy, _ = Orthogonal(r, A).factor(np.ones(4))(r, s)
    assert_allclose(dx, x, rtol=1e-14)
    assert_allclose(dy, 0, atol=1e-9)
    for D in (1e-9, 1e-16):
        weights = np.array([D, 1.0, 1.0, D])
        dx, _, _ = Orthogonal(r, A).factor(weights)(r, s)
        assert_allclose(dx, x, rtol=1e-14)


def test_orthogonal_systems_of_dependent_columns():
    r = rng(2)
    A = r.standard_normal((9, 3))
    A = np.concatenate([A, A[:, :1] + A[:, 1:2]], axis=1)
    dx, dy, _ = Orthogonal(np.zeros(4), A).factor(np.ones(9))(
        A.T @ r.standard_normal(9), r.standard_normal(9)
    )
    assert np.abs(dx).max() < 1e3
    assert np.isfinite(dy).all()


def composed_atoms():
    r, x = rng(5), variable(3)
    A, B = r.standard_normal((3, 3)), r.standard_normal((4, 3))
    yield maximum(
        norm2(1e3 * A @ x - 1),
        logistic_loss(1e3 * B @ x) + x[0],
        0.5 * squared_norm(x - 1.0),
        1e3 * norm1(A @ x) + 2,
    )
    yield maximum(huber_loss(1.0)(B @ x), norm2(A @ x - 1) + 1, 100 * x[1] - 3)
    yield maximum(norm_inf(A @ x) + norm2(x), hinge_loss(50.0 * B @ x), norm2(x) + 1)


@pytest.mark.parametrize("k", [0, 1, 2])
def test_composed_atoms_in_units_of_their_rows(k):
    f = list(composed_atoms())[k]
    s, r = structure(f, 3), rng(k)
    for t in s.terms:
        for _ in range(5):
            w, sigma = 3 * r.standard_normal(t.op.rows), 10.0 ** r.uniform(-1, 1)
            y = t.h._dual_prox(w, np.asarray(sigma))
            z = (w - y) / sigma
            # y is a subgradient at z.
            value = t.h._value(z)
            for step in (1e-3, 1.0, 100.0):
                d = step * r.standard_normal(t.op.rows)
                least = value + y @ d
                assert t.h._value(z + d) >= least - 1e-9 * (1 + abs(least) + abs(value))
            J = t.h._dual_prox_jacobian(w, np.asarray(sigma))
            d = r.standard_normal(t.op.rows)
            h = 1e-6
            slope = t.h._dual_prox(w + h * d, np.asarray(sigma)) - t.h._dual_prox(
                w - h * d, np.asarray(sigma)
            )
            assert_allclose(J.apply(d), slope / (2 * h), atol=1e-4, rtol=1e-4)
    x = r.standard_normal(3)
    assert_allclose(s.value(x), f(x), rtol=1e-12)


@pytest.mark.parametrize("turn", [0.0, 1e-2, 0.1])
@pytest.mark.parametrize("k", [0, 1, 2])
def test_margins_of_composed_atoms_bound_them_from_below(k, turn):
    """H(z') >= <y, z'> - H*(y) + |P W (R z' - t)| - l - charge |z' - z|."""
    f = list(composed_atoms())[k]
    r, some = rng(k), 0
    for t in structure(f, 3).terms:
        for _ in range(6):
            z = t.op.forward(r.standard_normal(3)) + t.b
            y = t.h._dual_prox(z + r.standard_normal(len(z)), np.ones(()))
            y = t.h.conjugate()._to_domain(y)
            found = margins(t.h, y, z, turn=turn)
            Q, star = _rows(found.W, found.U), t.h.conjugate()._value(y)
            for size in (1e-6, 1e-3, 0.1, 1.0, 10.0):
                d = size * r.standard_normal(len(z))
                away = _across(found.W * (found.R @ (z + d) - found.t), Q)
                more = np.linalg.norm(away) - found.loss
                more -= found.charge * np.linalg.norm(d)
                some += np.linalg.norm(away) > 0
                value = t.h._value(z + d)
                least = y @ (z + d) - star + more
                assert value >= least - 1e-9 * (1 + abs(value) + abs(star))
    assert some or k == 0


@pytest.mark.parametrize("k", [0, 1, 2])
def test_multipliers_within_the_margins_of_composed_atoms(k):
    """H*(y + v) <= H*(y) + <t, w> + l for v = Rᵀ w, w = W u, |u| <= 1, U w = 0."""
    f, r, moved = list(composed_atoms())[k], rng(k), 0
    for t in structure(f, 3).terms:
        star = t.h.conjugate()
        for _ in range(8):
            z = t.op.forward(r.standard_normal(3)) + t.b
            y = r.uniform(0.03, 30.0) * r.standard_normal(len(z))
            y[t.h.inner :] = t.h.unit * r.dirichlet(np.ones(t.h.k))
            y = star._to_domain(y)
            found = margins(t.h, y, z)
            Q, at = _rows(found.W, found.U), star._value(y)
            for j in range(2 * len(found.W)):
                # One entry or all of them, the corners of the domain.
                u = np.eye(len(found.W))[j // 2] if j % 2 else None
                u = r.standard_normal(len(found.W)) if u is None else u
                u = _across(u, Q)
                size = np.linalg.norm(u)
                w = r.choice([-1.0, 1.0]) * found.W * u / (size if size > 1e-9 else 1.0)
                v = found.R.T @ w
                moved += bool(np.abs(v).max() > 1e-9)
                inside = star._to_domain(y + v)
                assert_allclose(inside, y + v, atol=1e-9 * (1 + np.abs(y).max()))
                most = at + found.t @ w + found.loss
                assert star._value(inside) <= most + 1e-9 * (1 + abs(at))
    assert moved


@pytest.mark.parametrize("turn", [1e-2, 0.1])
def test_turned_multipliers_of_a_norm_in_a_maximum(turn):
    """Across z the norm is |z| + d² / (2 |z|) only, with d of the size of the turn."""
    r, x = rng(11), variable(4)
    A = r.standard_normal((4, 4))
    (t,) = structure(maximum(norm2(A @ x), x[0] - 100.0), 4).terms
    z = t.op.forward(r.standard_normal(4)) + t.b
    y, H = t.h._subgradient(z), t.h._value
    found = margins(t.h, y, z, turn=turn)
    Q, star = _rows(found.W, found.U), t.h.conjugate()._value(y)
    d = np.zeros(len(z))
    d[:4] = r.standard_normal(4)
    d[:4] -= (d[:4] @ z[:4]) / (z[:4] @ z[:4]) * z[:4]
    d /= np.linalg.norm(d)
    gained = 0
    for size in (
        np.linalg.norm(z[:4]) * turn * np.array([0.1, 0.25, 0.5, 1, 2, 10, 100])
    ):
        for sign in (-1.0, 1.0):
            to = z + sign * size * d
            away = np.linalg.norm(_across(found.W * (found.R @ to - found.t), Q))
            more = away - found.loss - found.charge * size
            gained += more > 0
            assert H(to) >= y @ to - star + more - 1e-12 * np.abs(z).max()
    assert gained


# Directions along which nothing changes -----------------------------------------------


def flat_models():
    r, x = rng(7), variable(6)
    A, b = r.standard_normal((20, 5)), r.standard_normal(20)
    twice = np.c_[A, A[:, 2]]
    groups = np.c_[np.ones(20), np.eye(3)[np.arange(20) % 3], A[:, :2]]
    D = np.diff(np.eye(6), axis=0)
    whole = r.integers(-3, 4, (20, 4)).astype(float)
    whole = np.c_[whole, whole[:, 0] - 2 * whole[:, 1], 3 * whole[:, 2]]
    yield "a column twice", 1, norm1(twice @ x - b)
    yield "indicators of groups", 1, logistic_loss(b[:, None] * groups @ x)
    yield "groups, Huber", 1, huber_loss(0.3)(groups @ x - b)
    yield "groups, norm", 1, norm2(groups @ x - b)
    yield "whole numbers", 2, norm_inf(whole @ x - b)
    yield "differences", 1, norm1(D @ x - 1) + 2 * norm_inf(D[:3] @ x - b[:3])
    yield "shifts", 1, ptp(np.eye(6) @ x - b[:6])
    yield "shifts that cancel", 1, 6.0 * max_entry(x) - np.ones(6) @ x
    yield "a maximum", 1, maximum(norm2(twice @ x - b), norm1(twice[:4] @ x) + 1)


@pytest.mark.parametrize(
    "name, flat, f", list(flat_models()), ids=lambda a: str(a)[:20]
)
def test_flat_directions(name, flat, f):
    assert flat_directions(structure(f, 6)) == flat
    proved(f, 6)


@pytest.mark.parametrize(
    "name, n",
    [("goffin", 20), ("l1hilb", 20), ("geometric_l1", 75), ("fermat_weber", 3)],
)
def test_problems_whose_bound_rounding_hid(name, n):
    f = problems.problem(name, n).function
    proved(f, f.n)


def test_no_flat_directions_where_there_is_only_little_slope():
    r, x = rng(8), variable(4)
    A = r.standard_normal((10, 3))
    A = np.c_[A, A[:, 0]]
    A[4, 3] = np.nextafter(A[4, 3], 2.0)
    assert flat_directions(structure(norm1(A @ x - 1), 4)) == 0
    x = variable(3)
    for f in (
        max_entry(x),  # shifts change it
        3.0 * max_entry(x) - np.ones(3) @ x + 1e-12 * x[0],
        sum_largest(2.0)(x) - x[0] - x[1] + 0.5 * squared_norm(x[:1]),
        norm1(x[:2] - x[1:]) + 1e-9 * squared_norm(x),
    ):
        assert flat_directions(structure(f, 3)) == 0


@pytest.mark.parametrize("seed", [12, 23, 26])
def test_a_ray_is_found_where_the_path_has_none(seed):
    """As many rows as variables: some direction makes all of them fall."""
    r = rng(seed)
    A, b = r.standard_normal((6, 6)), r.standard_normal(6)
    f = max_entry(A @ variable(6) + b)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = minimize(f, np.zeros(6), "structured", STOP)
    assert found.status == "unbounded"
    assert found.certificate.verify(f)


# A point of several sets --------------------------------------------------------------


def meeting():
    r, n = rng(9), 5
    x, A = variable(n), r.standard_normal((3, n))
    p = np.full(n, 1 / n)
    box = Indicator(Box(Interval(np.zeros(n), np.ones(n))))
    ball = Indicator(Ball(p + 0.3, 0.8))
    simplex = Indicator(Simplex(n))
    yield "box", box
    yield "box, ball", box + ball
    yield "ball, half-spaces", ball + Indicator(HalfSpace(A[0], A[0] @ p))
    yield "simplex, equations", simplex + Indicator(AffineSubspace.solve(A, A @ p))
    yield "box, ball of A x", box(x) + Indicator(Ball(A @ p, 0.01))(A @ x)
    yield (
        "simplex, box of A x",
        simplex(x) + Indicator(Box(Interval(A @ p - 0.01, A @ p)))(A @ x),
    )
    yield "everything", ball + Indicator(AffineSubspace(p, np.eye(n)))
    touch = Indicator(Ball(p, 0.5)) + Indicator(Ball(p + np.eye(n)[0], 0.5))
    yield "balls that touch", touch


@pytest.mark.parametrize("name, f", list(meeting()), ids=lambda a: str(a)[:20])
@pytest.mark.parametrize("method", ["auto", "structured"])
@pytest.mark.parametrize("stop", [None, MaxIter(100), STOP])
def test_a_point_of_all_sets(name, f, method, stop):
    found = minimize(f, np.full(5, 3.0), method, stop)
    if not isinstance(stop, MaxIter):
        assert found.status == "gap"
    assert found.fun == 0 == f(found.x)
    assert found.lower_bound == 0
    assert found.certificate.verify(f)


def apart():
    r, n = rng(10), 5
    x, A = variable(n), r.standard_normal((3, n))
    box = Indicator(Box(Interval(np.zeros(n), np.ones(n))))
    ball = Indicator(Ball(np.full(n, 3.0), 1.0))
    simplex = Indicator(Simplex(n))
    yield "box, ball", box + ball
    far = Indicator(Ball(2.001 * np.eye(n)[0], 1.0))
    yield "balls, nearly", Indicator(Ball(np.zeros(n), 1.0)) + far
    u = variable(1)
    yield (
        "rays of different length",
        Indicator(HalfSpace([-1.0], -0.72463104))(0.52463104 * u)
        + Indicator(Ball([0.04562311], 1.42874284))(1.49436595 * u)
        + Indicator(Box(Interval(-0.94405865 + np.zeros(1), [0.9608891])))(
            0.01741058 * u
        )
        + Indicator(Ball([-2.30509848], 1.29824972))(-0.98684875 * u),
    )
    yield "simplex, half-space", simplex + Indicator(HalfSpace(-np.ones(n), -1.1))
    yield (
        "simplex, equations",
        simplex + Indicator(AffineSubspace.solve(A, A[:, 0] + 9)),
    )
    yield "box of A x", box(x) + Indicator(Ball(np.full(3, 50.0), 1.0))(A @ x)
    yield (
        "two with a map, one of x",
        box
        + simplex
        + Indicator(Box(Interval(np.full(3, 20.0), np.full(3, 21.0))))(A @ x),
    )


@pytest.mark.parametrize("name, f", list(apart()), ids=lambda a: str(a)[:20])
def test_sets_that_do_not_meet(name, f):
    for method in ("auto", "structured"):
        found = minimize(f, np.zeros(f.n), method)
        assert found.status == "infeasible"
        assert not found.success
        assert found.certificate.verify(f)
        assert found.certificate.radius > 1e6


def test_a_constraint_beside_sets():
    n = 4
    f, C = Indicator(Simplex(n)), Box(Interval(np.full(n, 0.2), np.ones(n)))
    found = minimize(f, np.zeros(n), constraint=C)
    assert found.fun == 0
    assert C.contains(found.x)
    assert found.certificate.verify(f)
    x = variable(n)
    switched = minimize(f, np.zeros(n), constraints=[x[0] - 0.1])
    assert switched.violation <= 1e-6
    assert f(switched.x) == 0


# Which method -------------------------------------------------------------------------


def picked(f, n, radius=None):
    return choose("auto", Problem(f, radius=radius), STOP, np.ones(n))[1]


def test_small_maxima_of_curved_pieces_go_to_shor():
    for n, name in ((10, "shor"), (24, "shor"), (50, "structured")):
        assert name in picked(problems.problem("maxq", n).function, n)
    chained = problems.problem("chained_cb3_1", 10)
    assert "shor" in picked(chained.function, 10, chained.radius)
    for n, name in ((4, "shor"), (10, "structured")):
        x, pieces = variable(n), rng(n).standard_normal((5, n, n))
        f = maximum(*(norm2(A @ x - 1) for A in pieces))
        assert name in picked(f, n)
    assert "structured" in picked(Indicator(Simplex(3)), 3)


# What is no proof ---------------------------------------------------------------------


@pytest.mark.parametrize("method", ["auto", "structured"])
def test_a_long_wedge_has_no_ray(method):
    """Its recession cone is 0, on which a projection leaves rounding; f* = -2e7."""
    x = variable(2)
    f = np.array([-0.01, -0.01]) @ x
    for a, b in (([1.0, -1.0], 0.0), ([-1.0, 1.0 + 1e-9], 1.0)):
        f = f + Indicator(HalfSpace(a, b))(x)
    found = minimize(f, np.zeros(2), method, stop=MaxIter(200) | Gap(1e-6))
    assert found.status != "unbounded"


def test_multipliers_outside_by_less_than_the_largest_prove_nothing():
    """-2e-16 is not in the simplex, and 1e12 times that counts."""
    f = max_entry(np.array([[1.0], [-1.0], [0.0]]) @ variable(1) - [0.0, 0.0, 1e12])
    ys = (np.array([0.5, 0.5, -2.2e-16]),)
    assert DualCertificate(np.zeros(1), ys, 0.0).verify(f)
    assert not DualCertificate(np.zeros(1), ys, 1e-4).verify(f)


def test_a_slope_outside_by_rounding_proves_nothing():
    """At 1e8 the minimum is 0; a slope of 3.5e-15 is 7e-7 there."""
    x = variable(2)
    f = norm1(x) - x[0] + 1e-3 * norm1(2 * x - 2e8)
    ys = (None, np.array([-3.5e-15, 0.0]))
    assert not DualCertificate(np.zeros(2), ys, 6e-7).verify(f)
    steep = norm1(x) - (1 + 15 * 2.0**-52) * x[0]
    assert not minimize(steep, np.zeros(2)).success


def test_equations_that_nearly_cancel_have_a_solution():
    """x = (-1, 1); Aᵀ y rounds to 0 but is not."""
    A = np.array([[1.0, 1.0000000000000007], [0.6551136029553816, 0.655113602955382]])
    x = variable(2)
    f = Indicator(point(A @ [-1.0, 1.0]))(A @ x) + norm1(x)
    proof = EmptyDomain((np.array([A[1, 0], -1.0]), None), np.inf)
    assert not proof.verify(f)


@pytest.mark.parametrize("seed", range(8))
def test_bounds_of_distances_and_large_maps_are_verified(seed):
    rng, x = np.random.default_rng(seed), variable(4)
    A, b = 1e6 * rng.standard_normal((9, 4)), rng.standard_normal(9)
    f = distance(Ball(np.ones(4), 0.3))(x) + norm1(A @ x - b)
    assert minimize(f, np.zeros(4)).certificate.verify(f)
