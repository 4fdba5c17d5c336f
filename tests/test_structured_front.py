"""The front of the structured solver: all ends well, and nothing false is proved."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from row import Row
from table import FUNCTIONS

from subgrad import (
    AffineSubspace,
    Ball,
    Box,
    Hull,
    Indicator,
    Interval,
    Linear,
    MaxAffine,
    SecondOrderCone,
    Simplex,
    Support,
    cvar,
    distance,
    hinge,
    hinge_loss,
    logistic_loss,
    max_entry,
    norm1,
    norm2,
    norm_inf,
    nuclear_norm,
    owl,
    pnorm,
    ptp,
    separable,
    squared_norm,
    sum_largest,
    tv,
    variable,
)
from subgrad.sets.box import point
from subgrad.solvers import DualCertificate, Gap, MaxIter, minimize, structure
from subgrad.solvers.rays import RayCertificate
from subgrad.solvers.structured.corners import corners, reach_between
from subgrad.solvers.structured.domains import conjugate_value, to_domain
from subgrad.solvers.structured.extremes import EmptyDomain

RNG = np.random.default_rng(0)
A, B = RNG.standard_normal((9, 4)), RNG.standard_normal(9)
G = RNG.standard_normal((4, 4))
X = variable(4)
STOP = MaxIter(300) | Gap(1e-8)


# Rays ---------------------------------------------------------------------------------


def at_most(end):
    return Indicator(Box(Interval([-np.inf], [end])))


@pytest.mark.parametrize("size", [1e-12, 1e-10, 1.0])
def test_a_small_map_is_not_a_ray(size):
    x = variable(2)
    rows = size * np.array([[1.0, 1e-11]])
    for f in (
        Linear([-1.0, 0.0])(x) + at_most(1.0)(rows @ x) + norm1(x[1]),
        Linear([-1.0, 0.0])(x) + squared_norm(size * x),
    ):
        assert not RayCertificate(np.array([1.0, 0.0])).verify(f)
        assert minimize(f, np.zeros(2), stop=STOP).status != "unbounded"
    # Nor a small direction; nor what is small of a large one.
    C = Box(Interval([-1, -1], [1, 1]))
    for d in ([1e-11, 0.0], [1e200, 0.0], [1e-300, 0.0]):
        assert not RayCertificate(np.array(d), C).verify(Linear([-1.0, 0.0]))
    f = Linear([-1.0, 0.0])(x) + at_most(1.0)(1e-10 * x[1])
    assert not RayCertificate(np.array([1.0, 1e-9])).verify(f)
    assert RayCertificate(np.array([1.0, -1e-9])).verify(f)
    # Nor what nearly cancels: this f is bounded.
    f = Linear([-1.0, 0.0])(x) + squared_norm(np.array([[1.0, -1.0 + 1e-10]]) @ x)
    f = f + norm1(x[0] - x[1])
    assert not RayCertificate(np.ones(2)).verify(f + squared_norm(1e-3 * x[:1]))
    assert not RayCertificate(np.ones(2)).verify(f)


@pytest.mark.parametrize("size", [1e-10, 1.0, 1e10])
@pytest.mark.parametrize("slope", [1e-10, 1.0, 1e10])
def test_rays_are_seen_at_all_scales(size, slope):
    x = variable(3)
    f = (
        Linear([-slope, 0.0, 0.0])(x)
        + at_most(1.0)(size * x[1] + 0.1)
        + slope
        * squared_norm(size * np.array([[0.0, 1.0, -1.0], [1.0, -1.0, 0.0]]) @ x)
        + 0.5 * slope * norm1(x[2:])
    )
    d = np.ones(3)
    assert RayCertificate(d).verify(f) is False  # along it x_1 is bounded
    g = (
        Linear([-slope, 0.0, 0.0])(x)
        + squared_norm(size * np.array([[0.1, 0.2, -0.3]]) @ x)
        + 0.1 * slope * norm1(x[2:])
    )
    found = minimize(g, np.zeros(3), stop=STOP)
    assert RayCertificate(np.array([1.0, 1.0, 1.0])).verify(g)
    assert found.status == "unbounded" and found.certificate.verify(g)


# Every function -----------------------------------------------------------------------

HARD = (
    "distance to ball", "distance to box", "user's penalty", "weighted abs", "quartic",
    "weight zero", "weighted entropy", "logistic", "singular quadratic",
    "zero times entropy", "block sum of norms",
)  # fmt: skip


def models(row: Row):
    """Functions, points of their domains, and constraints."""
    f, n, x = row.f, row.n, row.points()
    x = x[np.isfinite(f.value(x))]
    if not len(x):
        return
    x, y = x[-1], variable(n + 1)
    M = np.random.default_rng(0).standard_normal((n, n + 1))
    a = 0.3 + 0.5 * np.cos(np.arange(n))
    yield f + 0.5 * squared_norm + Linear(-a), x, None
    yield f, x, None
    yield f(M @ y) + norm1(y), np.linalg.lstsq(M, x)[0], None
    yield f, x, Box(Interval(x - 0.5, x + 1))
    yield f, x, Ball(x, 1.0)
    yield 1e8 * f + 1e7 * norm2, x, None


def ends_well(row: Row):
    for f, x0, C in models(row):
        try:
            found = minimize(f, x0, stop=MaxIter(50) | Gap(1e-6), constraint=C)
        except ValueError as refused:
            assert "not an indicator" in str(refused) or "Gap needs" in str(refused)
            continue
        assert not np.any(np.isin(found.status, ["error", "contradiction"])), found
        assert np.all(found.lower_bound <= found.fun)
        if found.certificate is not None:
            assert found.certificate.verify(f), found


@pytest.mark.parametrize(
    "row", [r for r in FUNCTIONS if r.name in HARD], ids=lambda r: r.name
)
def test_what_is_hard_ends_well(row):
    ends_well(row)


@pytest.mark.slow
@pytest.mark.parametrize("row", FUNCTIONS, ids=lambda r: r.name)
def test_every_function_ends_well(row):
    ends_well(row)


PROVED = [
    distance(SecondOrderCone(4))(X - B[:4]) + norm1(X),
    separable(hinge, [1.0, 0.0, 2.0, 0.5])(X - B[:4]) + 0.1 * norm2(A @ X),
    Support(Hull(RNG.standard_normal((7, 4))))(X) + norm2(A @ X - B),
    max_entry(A @ X - B) + 0.1 * norm_inf(X),
    owl([3.0, 2.0, 1.0, 0.5])(A[:4] @ X - B[:4]) + pnorm(3.0)(A @ X - B),
    ptp(A @ X - B),
    logistic_loss(A @ X - B) + pnorm(3.0)(A[:4] @ X),
    nuclear_norm(variable((2, 2)))(X) + 2.0 * ptp(A @ X - B),
]


@pytest.mark.parametrize("f", PROVED)
def test_exotic_sums_are_proved(f):
    """Without curvature, whatever the atoms are."""
    found = minimize(f, np.zeros(4), stop=STOP)
    assert found.success and "'structured'" in found.message
    assert found.certificate.verify(f)
    import cvxpy as cp

    z = cp.Variable(4)
    problem = cp.Problem(cp.Minimize(f.to_cvxpy(z)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        problem.solve(solver="CLARABEL")
    assert found.fun == pytest.approx(problem.value, rel=1e-6, abs=1e-6)


def test_support_of_a_hull_over_an_affine_subspace():
    S = Hull(RNG.standard_normal((5, 6)))
    C = AffineSubspace.solve(RNG.standard_normal((2, 6)), [0.3, -1.0])
    f = Support(S)
    assert structure(f, 6).terms[0].h is max_entry
    f = f + 5 * norm1
    found = minimize(f, np.zeros(6), stop=STOP, constraint=C)
    assert found.success and found.certificate.verify(f)


def test_a_point_outside_by_rounding_gains_nothing():
    """Of two balls that touch: 1e-9 outside the value is 1e-5 below the minimum."""
    C = Ball([0.0, 0.0], 1.0)
    f = Linear([-0.8, -0.3]) + 0.5 * squared_norm + Indicator(Ball([2.0, 0.0], 1.0))
    found = minimize(f, [1.0, 0.0], stop=MaxIter(50) | Gap(1e-7), constraint=C)
    assert found.lower_bound <= -0.3 + 1e-9 and found.status != "contradiction"
    assert not found.success or abs(found.fun + 0.3) <= 1e-7


# How far minimisers are ---------------------------------------------------------------


def test_corners_bound_the_distance_to_minimisers():
    seen = 0
    for f in PROVED[3:6]:
        s = structure(f)
        found = minimize(f, np.zeros(4), stop=STOP)
        ys = tuple(t.h._oracle(t.op.forward(found.x) + t.b)[1] for t in s.terms)
        for size in (0.0, 1.0, 10.0):
            x = found.x + size * RNG.standard_normal(4)
            around = corners(s, x, ys)
            u = reach_between(s, x, around)
            assert np.linalg.norm(found.x - x) <= u < np.inf
            assert reach_between(s, x, around[:-1]) == np.inf
            assert reach_between(s, x, around[::-1]) == np.inf
            assert reach_between(s, x, (around[0],) * 8) == np.inf
            seen += 1
    assert seen == 9
    # Without bounded sublevel sets there are none.
    s = structure(max_entry(A[:3] @ X - B[:3]))
    assert corners(s, np.zeros(4), (np.zeros(3),)) is None


# Forged certificates ------------------------------------------------------------------

BOX = Box(Interval([-1] * 4, [1] * 4))
CERTIFIED = [
    (norm1(A @ X - B), None),
    (norm1(A @ X - B), BOX),
    (norm1(X) + 0.5 * squared_norm(X) + Linear([0.3, -2.0, 1.0, 0.0])(X), None),
    (tv(X) + 0.5 * squared_norm(X) + Linear([0.3, -2.0, 1.0, 0.0])(X), None),
    (max_entry(A @ X - B) + norm_inf(X), Simplex(4)),
    (norm2(A @ X - B) + norm1(X), Ball(np.zeros(4), 0.5)),
    (PROVED[5], None),
    (logistic_loss(A @ X - B) + norm2(X), None),
    (squared_norm(A @ X - B) + norm1(X), BOX),
    (squared_norm(X) + Indicator(Box(Interval([10.0], [10.0])))(np.ones((1, 4)) @ X),
     None),
]  # fmt: skip
EMPTY = [
    norm1(A @ X) + Indicator(Ball(np.zeros(4), 1.0))(X) + at_most(-3.0)(X[:1]),
    norm1(X) + Indicator(SecondOrderCone(4))(G @ X)
    + Indicator(Box(Interval([-np.inf] * 4, [-1] * 4)))(G @ X),
]  # fmt: skip
HUGE = [np.nan, np.inf, -np.inf, 1e308, -1e308, 1e200, 1e16]
ODD = ["a", {}, np.ones((2, 2)), 1.0, np.ones(9, complex), [[1], [2, 3]]]
CLEAR = "must|takes|cannot|do not mix"


def forged(y, rng):
    """Multipliers that are not those of the run, or none at all."""
    k = rng.integers(9)
    if y is None:
        return np.zeros(rng.integers(1, 12)) if k else None
    y = np.array(y, float)
    if k == 0:
        y[rng.integers(len(y))] = HUGE[rng.integers(len(HUGE))]
        return y
    return [
        None, y[:-1], None, -y, y.tolist(), ODD[rng.integers(len(ODD))],
        y * 10.0 ** rng.integers(-3, 9), y[None],
        y + 10.0 ** rng.uniform(-12, 3) * rng.standard_normal(len(y)),
    ][k]  # fmt: skip


def never_holds(certificate, f, changes):
    try:
        held = replace(certificate, **changes).verify(f)
    except (TypeError, ValueError) as refused:
        import re

        assert re.search(CLEAR, str(refused)), refused
    else:
        assert not held, changes


@pytest.mark.parametrize("case", range(len(CERTIFIED)))
def test_forged_bounds_do_not_hold(case):
    f, C = CERTIFIED[case]
    found = minimize(f, np.zeros(4), stop=MaxIter(300) | Gap(1e-9), constraint=C)
    proof = found.certificate
    assert isinstance(proof, DualCertificate) and proof.verify(f)
    all_ys = proof.multipliers
    for trial in range(25):
        rng = np.random.default_rng([case, trial])
        ys = tuple(forged(y, rng) if rng.random() < 0.6 else y for y in all_ys)
        changes = {
            "multipliers": ys,
            "lower_bound": found.fun + 1e-8 * 10.0 ** rng.uniform(0, 8),
        }
        fields = {
            "lower_bound": [np.inf, np.nan, "x", None, np.ones(2), 1j],
            "x": [proof.x * 1e200, np.full(4, np.nan), np.zeros(3), None, "x"],
            "radius": [-1.0, np.nan, "x", np.ones(2)],
            "whole": [not proof.whole, 1, None, "x"],
            "room": [(all_ys,), None, 5, (None,), ((None,),), "ab", (ys,) * 8],
            "constraint": [5, "x", Ball(np.zeros(3), 1.0)],
            "multipliers": [None, 5, "x", {}, np.ones(2), (*all_ys, None), ()],
        }
        for name in rng.choice(list(fields), size=rng.integers(0, 3), replace=False):
            changes[name] = fields[name][rng.integers(len(fields[name]))]
        never_holds(proof, f, changes)


@pytest.mark.parametrize("case", range(len(EMPTY)))
def test_forged_emptiness_does_not_hold(case):
    f = EMPTY[case]
    found = minimize(f, np.zeros(4), stop=STOP)
    proof = found.certificate
    assert isinstance(proof, EmptyDomain) and proof.verify(f)
    inside = norm1(X)
    for trial in range(60):
        rng = np.random.default_rng([case, trial])
        ys = tuple(forged(y, rng) for y in proof.multipliers)
        changes = {"multipliers": ys}
        if trial % 3 == 0:
            radius = [np.nan, -1.0, "x", None, np.ones(2)][rng.integers(5)]
            never_holds(proof, f, {"radius": radius})
        # Of a function with a domain nothing of the kind holds.
        feasible = inside + Indicator(Ball(np.zeros(4), 1.0))(X) + at_most(3.0)(X[:1])
        never_holds(proof, feasible if case == 0 else inside, changes)
    assert not replace(proof, multipliers=(None,) * len(proof.multipliers)).verify(f)


def test_a_cone_is_not_left_by_rounding():
    """Multipliers 1e-10 outside of the polar cone prove nothing beyond that."""
    f = norm1(X) + Indicator(SecondOrderCone(4))(X) + at_most(-1.0)(-1e-9 * X[3:])
    y = np.array([0.0, 0.0, 0.0, 1e-9])
    assert not EmptyDomain((None, y, np.ones(1)), np.inf).verify(f)


# Forgeries ----------------------------------------------------------------------------


def test_points_outside_of_equations_are_no_level():
    """f(x) is less than the minimum at points that are within rounding of a set."""
    u, ones = variable(5), np.ones(5)
    f = norm1(np.eye(5)[::-1] @ u) + Indicator(point(ones))(2 * np.eye(5) @ u - ones)
    x = (1 - 1e-10) * ones
    assert f(x) < 5
    for size in 10.0 ** np.arange(0, 16):
        c = DualCertificate(x, (ones, -size * ones), 5.01, room=((ones, -ones / 2),))
        assert not c.verify(f)


def test_room_of_multipliers_that_leave_other_variables_alone():
    f = norm1(A @ X - B)
    low = minimize(f, np.zeros(4), stop=STOP).fun
    rng = np.random.default_rng(1)
    for _ in range(20):
        x, y = 100 * rng.standard_normal(4), rng.choice([-1.0, 1.0], 9)
        assert not DualCertificate(x, (y,), low + 0.1, room=((0 * y,),)).verify(f)


@pytest.mark.parametrize("size", [1e4, 1e12, 1e16, 1e20, 1e100])
def test_long_multipliers_stay_in_the_domain(size):
    """h*(y) >= <y, z> - h(z) for all z."""
    rng = np.random.default_rng(0)
    Z = np.concatenate([[np.ones(5), -np.ones(5)], rng.standard_normal((60, 5))])
    u = variable(5)
    for f in (norm_inf(u), sum_largest(3)(u), cvar(0.3)(u), max_entry(u), tv(u)):
        h = structure(f, whole=True).terms[0].h
        for _ in range(20):
            y = to_domain(h, size * rng.standard_normal(5))
            room = 1e-13 * np.linalg.norm(y)
            assert np.all(h(Z) + conjugate_value(h, y) >= Z @ y - room)


def test_multipliers_in_single_precision_prove_no_more():
    f = norm2(A @ X - B) + norm1(X)
    found = minimize(f, np.zeros(4), stop=STOP)
    c = found.certificate
    for size in (0.9, 0.99, 1.0, 1.001, 1.1):
        ys = tuple(
            None if y is None else (size * y).astype(np.float32) for y in c.multipliers
        )
        claim = found.fun + 1e-9
        forged = replace(c, multipliers=ys, x=c.x.astype(np.float32), lower_bound=claim)
        assert not forged.verify(f)


def test_points_near_a_domain_are_not_in_it():
    """Slopes of a hinge are at most 0, not 1e-10."""
    f = hinge_loss(X) + norm1(X - 1e9)  # 0 at 1e9
    for away in (1e-9, 1e-10, 1e-11, 1e-12):
        y = np.full(4, -away)
        assert not DualCertificate(np.full(4, 1e9), (None, y), 5e-4).verify(f)


@pytest.mark.parametrize("size", [1e-8, 1.0, 1e8])
def test_what_is_claimed_is_what_is_verified(size):
    """Also where multipliers are moved towards 0 once more."""
    for seed in range(12):
        rng = np.random.default_rng(seed)
        D, e = size * rng.standard_normal((9, 4)), size * rng.standard_normal(9)
        for f in (squared_norm(D @ X - e) + norm1(X), norm1(D @ X - e) + norm2(X)):
            c = minimize(f, np.zeros(4), stop=STOP).certificate
            assert c.verify(f), (seed, f)


def test_far_points_of_a_batch_prove_no_more():
    """f(x) - g(x), g what f is but for a constant, is rounding there."""
    rng = np.random.default_rng(0)
    D, E = rng.standard_normal((8, 3)), rng.standard_normal((2, 8))
    u = variable(3)
    f = squared_norm(D @ u - E) + norm1(u)
    found = minimize(f, np.zeros((2, 3)), stop=STOP)
    c = found.certificate
    claim = np.array([found.fun[0] + 1, -np.inf])
    for size in 10.0 ** np.repeat(np.arange(4, 17), 5):
        x = size * rng.standard_normal((2, 3))
        assert not replace(c, x=x, y=0 * c.y, lower_bound=claim).verify(f)


# Names --------------------------------------------------------------------------------


def test_reprs_are_short():
    big = MaxAffine(np.ones((1000, 3)), np.arange(1000.0))
    for f in (big, 2.0 * big(variable(3)), Support(Hull(np.ones((500, 3))))):
        assert len(repr(f)) < 400
    assert repr(Ball(np.zeros(500), 1.0)).count("0.") < 20
    assert len(repr(Box(Interval(np.zeros(500), np.ones(500))))) < 400
