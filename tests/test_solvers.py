"""The subgradient method: its theorems, its certificates, its behaviour in trouble."""

import dataclasses
import itertools
import pickle
import re
import subprocess
import sys

import numpy as np
import pytest

import subgrad as sg
from subgrad import Ball, Box, Indicator, Interval, norm1, norm2, norm_inf, variable
from subgrad.core import Function
from subgrad.solvers import (
    Constant,
    ConstantLength,
    Diminishing,
    DiminishingLength,
    EstimatedPolyak,
    Gap,
    MaxIter,
    MaxTime,
    Polyak,
    Problem,
    Stalled,
    StepBelow,
    SubgradientMethod,
    SubgradientNorm,
    TargetLevel,
    ZeroSubgradient,
    certify,
    iterate,
    minimize,
)
from subgrad.solvers.certificate import _Truncated

RULES = [
    Constant(0.02),
    ConstantLength(0.05),
    Diminishing(0.1),
    Diminishing(0.3, power=1.0),
    DiminishingLength(0.5),
    Polyak(),
    Polyak(factor=1.5),
    EstimatedPolyak(0.5),
    TargetLevel(),
    TargetLevel(delta=1.0, path=0.5),
]


def lad(rng, m, n, batch=()):
    return rng.standard_normal((*batch, m, n)), rng.standard_normal((*batch, m))


def lad_optimum(A, b):
    """(x*, f*) of |A x - b|_1 by trying every vertex: n residuals vanish there."""
    n = A.shape[-1]
    rows = np.array(list(itertools.combinations(range(len(b)), n)))
    x = np.linalg.solve(A[rows], b[rows][..., None])[..., 0]
    values = np.abs(x @ A.T - b).sum(-1)
    return x[values.argmin()], values.min()


def cases():
    """(name, function, x0, a minimiser)."""
    rng = np.random.default_rng(0)
    A, b = lad(rng, 14, 3)
    c = rng.standard_normal(4)
    x = variable(4)
    Q = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    return [
        ("lad", norm1(A @ variable(3) - b), np.zeros(3), lad_optimum(A, b)[0]),
        ("norm1", norm1(x - c), np.zeros(4), c),
        ("norm_inf", norm_inf(Q @ (x - c)), np.ones(4), c),
        ("norm2", norm2(np.diag([1.0, 2, 3, 4]) @ (x - c)), np.ones(4), c),
        ("max", sg.maximum(norm1(x - c), 3 * norm_inf(x - c)), np.zeros(4), c),
    ]


CASES = cases()
each_case = pytest.mark.parametrize("case", CASES, ids=[c[0] for c in CASES])
each_rule = pytest.mark.parametrize("rule", RULES, ids=repr)


def states(rule, case, steps):
    _, f, x0, best = case
    problem = Problem(f, optimum=f(best))
    run = iterate(SubgradientMethod(rule), problem, x0)
    return problem, list(itertools.islice(run, steps + 1))


# Theorems ---------------------------------------------------------------------------


@each_rule
@each_case
def test_basic_inequality(case, rule):
    problem, run = states(rule, case, 200)
    _, f, x0, best = case
    R2 = np.sum((x0 - best) ** 2)
    a = np.array([rule(problem, s)[0] for s in run])
    squares = np.array([s.squared for s in run])
    excess = np.array([s.best_value for s in run]) - f(best)
    top, bottom = R2 + np.cumsum(a**2 * squares), 2 * np.cumsum(a)
    # A step of length zero at a minimiser adds nothing to either sum.
    assert np.all(excess * bottom <= top * (1 + 1e-12) + 1e-14)


@each_case
@pytest.mark.parametrize("steps", [1, 5, 50, 300])
def test_constant_step_bound(case, steps):
    _, f, x0, best = case
    R = np.linalg.norm(x0 - best)
    points = x0 + R * np.random.default_rng(0).standard_normal((2000, x0.size))
    M = 1.001 * np.linalg.norm(f.subgradient(points), axis=-1).max()
    M = max(M, np.linalg.norm(f.subdifferential(best).box().upper))
    found = minimize(
        f, x0, SubgradientMethod(Constant(R / (M * np.sqrt(steps + 1)))), MaxIter(steps)
    )
    assert found.fun - f(best) <= M * R / np.sqrt(steps + 1)


@pytest.mark.parametrize("steps", [1, 2, 7, 30])
def test_constant_step_bound_is_attained(steps):
    """The resisting function of Nemirovski: no method does better in so many steps."""
    n, R = steps + 1, 1.7
    x = variable(n)
    f = sg.maximum(sg.max_entry(x), norm2(x) - R * (1 + 1 / np.sqrt(n)))
    optimum = f(np.full(n, -R / np.sqrt(n)))
    assert optimum == pytest.approx(-R / np.sqrt(n), abs=1e-15)
    method = SubgradientMethod(Constant(R / np.sqrt(n)))
    found = minimize(f, np.zeros(n), method, MaxIter(steps))
    assert found.fun - optimum == pytest.approx(R / np.sqrt(n), rel=1e-14)


@each_case
@pytest.mark.parametrize("factor", [0.5, 1.0, 1.9])
def test_polyak_comes_closer_to_every_minimiser(case, factor):
    _, run = states(Polyak(factor=factor), case, 300)
    distance = [np.linalg.norm(s.x - case[3]) for s in run]
    assert np.all(np.diff(distance) <= 1e-14)


@each_case
def test_polyak_bound(case):
    _, f, x0, best = case
    _, run = states(Polyak(), case, 400)
    M = max(np.sqrt(s.squared) for s in run)
    R = np.linalg.norm(x0 - best)
    for s in run:
        assert s.best_value - f(best) <= M * R / np.sqrt(s.k + 1) * (1 + 1e-12)


@each_case
def test_target_level_tends_to_the_optimum(case):
    _, f, x0, best = case
    found = minimize(f, x0, stop=MaxIter(4000))
    assert 0 <= found.fun - f(best) + 1e-14 <= 2e-3 * max(1, f(best))


def test_target_level_halves_after_the_path_and_keeps_after_descent():
    f = norm1(variable(1))
    problem = Problem(f)
    rule = TargetLevel(delta=4.0, path=3.0)
    run = list(itertools.islice(iterate(SubgradientMethod(rule), problem, [1.0]), 6))
    # 1 -> level -3 -> -3: walked 4 > 3, halved, level 1 - 2 -> 1: walked 4, halved ...
    assert [s.x[0] for s in run[:3]] == [1.0, -3.0, 1.0]
    assert [float(s.memory.delta) for s in run[1:4]] == [4.0, 2.0, 1.0]
    g = norm1(variable(1) - 100.0)
    run = iterate(SubgradientMethod(rule), Problem(g), [0.0])
    for s in itertools.islice(run, 1, 20):
        assert s.memory.delta == 4.0 and s.value == 100.0 - 4 * s.k


# Certificates -------------------------------------------------------------------------


def sound(found, optimum):
    slack = 1e-12 * (1 + np.abs(optimum))
    return np.all(found.lower_bound <= optimum + slack) and np.all(
        optimum <= found.fun + slack
    )


@each_rule
@each_case
def test_bounds_enclose_the_optimum(case, rule):
    _, f, x0, best = case
    R = 1.5 * np.linalg.norm(x0 - best)
    if isinstance(rule, Polyak):
        rule = Polyak(f(best), rule.factor)
    for steps in (0, 1, 3, 30, 300):
        found = minimize(f, x0, SubgradientMethod(rule), MaxIter(steps), radius=R)
        assert sound(found, f(best))
        assert found.certificate.verify(f)
        assert found.gap == found.fun - found.lower_bound
        assert found.lower_bound <= found.certificate.lower_bound + 1e-12
        assert len(found.certificate.weights) <= x0.size + 2


@pytest.mark.parametrize("seed", range(8))
def test_lad_is_solved_and_proved(seed):
    A, b = lad(np.random.default_rng(seed), 16, 3)
    f, (best, optimum) = norm1(A @ variable(3) - b), lad_optimum(A, b)
    found = minimize(f, np.zeros(3), stop=Gap(1e-10) | MaxIter(5000), radius=20.0)
    assert found.success and found.status == "gap"
    assert sound(found, optimum)
    assert found.gap <= 1e-10 * max(1, optimum)
    assert np.allclose(found.x, best, atol=1e-8)
    assert found.certificate.verify(f)
    proof = certify(f, found.x, 20.0)
    assert proof.verify(f)
    room = 2e-10 * max(1, optimum)
    assert proof.lower_bound <= optimum + 1e-12 <= proof.lower_bound + room


@each_case
def test_certify_is_a_bound_at_any_point(case):
    _, f, x0, best = case
    rng = np.random.default_rng(1)
    for scale in (1.0, 1e-3, 1e-8):
        x = best + scale * rng.standard_normal(best.shape)
        R = np.linalg.norm(x - best)
        for eps in (None, 0.0, 1e-3, 1.0):
            proof = certify(f, x, R, eps)
            assert proof.verify(f)
            assert proof.lower_bound <= f(best) + 1e-12 * (1 + f(best))
        # The least subgradient alone is one of the trials.
        least = np.linalg.norm(f.subdifferential(x).min_norm())
        assert certify(f, x, R).lower_bound >= f(x) - R * least - 1e-12


def test_certify_takes_a_batch():
    rng = np.random.default_rng(3)
    A, b = lad(rng, 12, 2, (4,))
    f = norm1(A @ variable(2) - b)
    x = rng.standard_normal((4, 2))
    R = np.array([1.0, 2.0, 3.0, 4.0])
    all_of_them = certify(f, x, R)
    assert all_of_them.verify(f)
    for i in range(4):
        one = certify(norm1(A[i] @ variable(2) - b[i]), x[i], R[i])
        assert all_of_them.lower_bound[i] == pytest.approx(one.lower_bound, rel=1e-12)


def test_forged_certificates_are_refused():
    A, b = lad(np.random.default_rng(0), 14, 3)
    f = norm1(A @ variable(3) - b)
    found = minimize(f, np.zeros(3), stop=MaxIter(60), radius=5.0)
    c = found.certificate
    assert c.verify(f) and pickle.loads(pickle.dumps(c)).verify(f)

    def forged(**change):
        fields = ("points", "weights", "region", "lower_bound")
        return type(c)(**({k: getattr(c, k) for k in fields} | change))

    w = c.weights
    shifted = w.copy()
    shifted[0] += 0.1
    negative = w.copy()
    negative[0] -= 2.0
    negative[1] += 2.0
    bad = [
        forged(lower_bound=c.lower_bound + 1e-9),
        forged(lower_bound=np.nan),
        forged(weights=shifted),
        forged(weights=negative),
        forged(weights=w[:-1]),
        forged(points=c.points + 0.1),
    ]
    assert not any(one.verify(f) for one in bad)
    assert not c.verify(norm1(A @ variable(3) - b - 0.01))
    assert not c.verify(0.99 * f)
    s = certify(f, found.x, 5.0)
    assert s.verify(f) and pickle.loads(pickle.dumps(s)).verify(f)
    kind = type(s)
    zero = np.zeros(3)
    off = f.subgradient(found.x + 0.1)
    assert not kind(s.x, s.eps, s.g, s.radius, s.lower_bound + 1e-9).verify(f)
    assert not kind(s.x + 0.1, s.eps, s.g, s.radius, s.lower_bound).verify(f)
    assert not kind(s.x + 1.0, 0.0, zero, s.radius, f(s.x + 1.0)).verify(f)
    assert not kind(s.x, -1.0, s.g, s.radius, s.lower_bound).verify(f)
    assert not kind(found.x, 0.0, off, 0.1, f(found.x)).verify(f)


def changed(c, **fields):
    return dataclasses.replace(c, **fields)


def holds(c, *args):
    """What verify says, an error with a word about the argument being a no."""
    try:
        return c.verify(*args)
    except (TypeError, ValueError) as error:
        assert re.search(
            "|".join(c.__dataclass_fields__) + "|f must|g must", str(error)
        )
        return False


NONSENSE = [None, np.nan, np.inf, "a", [], np.ones((2, 5)), np.full((7, 3), np.nan)]


def proofs(kind):
    """A true certificate of a kind, its function, and the constraints."""
    A, b = lad(np.random.default_rng(0), 14, 3)
    x, start, stop = variable(3), [0.2, 0.1, 0.0], MaxIter(30) | Gap(1e-9)
    f, g = norm1(A @ x - b), [norm2(x - 1) - 0.5] * (kind == "limits")
    if kind == "certify":
        return certify(f, np.array(start), 3.0), f, []
    if kind == "batch":
        f = norm1(A @ x - b * np.array([[1.0], [2.0]]))
    S = Ball(np.zeros(3), 0.2) if kind in ("set", "descent") else None
    method = {"descent": "set descent", "limits": "switching", "dual": "auto"}.get(
        kind, "subgradient" if kind == "set" else "shor"
    )
    radius = None if kind in ("start", "batch") else 3.0
    found = minimize(f, start, method, stop, S, constraints=g, radius=radius)
    return found.certificate, f, g


@pytest.mark.parametrize(
    "kind", ["start", "batch", "set", "descent", "limits", "certify", "dual"]
)
def test_nonsense_in_any_field_is_no_proof(kind):
    c, f, limits = proofs(kind)
    parts = getattr(c, "parts", (c,))
    for c in parts:
        given = [f, limits] if limits else [f]
        assert c.verify(*given)
        for field in c.__dataclass_fields__:
            # Multipliers can tell for themselves how far minimisers are.
            free = kind == "dual" and field == "radius"
            optional = free or field in ("start", "constraint")
            if getattr(c, field) is None:
                continue
            for value in NONSENSE:
                if not (optional and value is None) and not (free and value is np.inf):
                    assert not holds(changed(c, **{field: value}), *given), field
        for other in (None, 3, norm1(variable(2))):
            assert not holds(c, other)


def test_a_proof_is_no_better_than_its_rounding():
    """Far away the cuts of f are what they were, and their values are mere noise."""
    A, b = lad(np.random.default_rng(0), 14, 3)
    f = norm1(A @ variable(3) - b)
    c = minimize(f, np.zeros(3), "shor", MaxIter(60), radius=5.0).certificate
    low = lad_optimum(A, b)[1]
    for size in 10.0 ** np.arange(3, 300, 9):
        for flip in (1, -1):
            points = flip * size * c.points
            assert not changed(c, points=points, lower_bound=low + 1e-6).verify(f)


def test_regions_that_hold_nothing_or_not_the_minimiser():
    x = variable(3)
    f, S = norm1(x - 1.0), Ball(np.zeros(3), 0.5)
    c = minimize(f, np.zeros(3), "subgradient", constraint=S, radius=3.0).certificate
    assert c.verify(f)
    assert not changed(c, region=sg.Empty(3), lower_bound=1e9).verify(f)
    # Over S minimisers need not be as close to a point outside of S.
    h = norm2(x - [2.0, 0, 0])
    run = minimize(
        h,
        np.zeros(3),
        "subgradient",
        MaxIter(1000) | Gap(),
        Box(Interval([-1.0] * 3, [1.0, 1.0, np.inf])),
    )
    proof = run.certificate
    assert proof.start is not None and proof.verify(h)
    away = np.array([2.0, 0, 0])
    forged = changed(
        proof, start=away, region=_Truncated(proof.region.base, away, 0.1),
        lower_bound=-1e9,
    )  # fmt: skip
    assert not forged.verify(h)


def test_g_must_be_a_subgradient_whatever_is_claimed():
    f = norm1(variable(3))
    s = certify(f, np.ones(3), 2.0)
    assert s.verify(f)
    assert not changed(s, g=s.g + 1.5, lower_bound=-1e9).verify(f)
    A, b = lad(np.random.default_rng(0), 14, 3)
    for size in (1e-8, 1e8):
        f = size * norm1(A @ variable(3) - b)
        s = minimize(f, np.zeros(3), "set descent", MaxIter(20)).certificate
        assert s.verify(f)
        assert not changed(s, g=s.g + size, eps=0.0).verify(f)


def test_a_certificate_of_nothing_proves_nothing():
    from subgrad.solvers import BestCertificate

    f = norm1(variable(3))
    s = certify(f, np.ones(3), 2.0)
    assert BestCertificate((s,)).verify(f)
    for parts in ((), (3,), (s, None)):
        assert not holds(BestCertificate(parts), f)


def test_certificates_without_cuts_take_constraints_too():
    f, g = norm1(variable(3)), [norm2(variable(3) - 1.0) - 0.5]
    found = minimize(f, np.zeros(3), stop=MaxIter(30), constraints=g, cuts=0)
    assert found.certificate.verify(f, g)


def test_a_point_outside_the_domain_makes_no_cut():
    f = sg.separable(sg.negative_sqrt) + norm1
    found = minimize(f, [1.0, 1.0], stop=MaxIter(3), radius=2.0)
    c = found.certificate
    assert c.verify(f)
    forged = type(c)(-c.points, c.weights, c.region, -1e6)
    assert not forged.verify(f)


def test_known_optimum_ends_the_run():
    _, f, x0, best = CASES[3]
    found = minimize(f, x0, optimum=f(best))
    assert found.success and found.lower_bound == f(best) and found.gap <= 1e-6


@pytest.mark.parametrize("what", [{"optimum": 5.0}, {"radius": 0.01}])
def test_a_wrong_promise_is_found_out(what):
    f = norm1(variable(2) - 3.0)
    found = minimize(f, np.zeros(2), SubgradientMethod(ConstantLength(0.5)), **what)
    assert not found.success
    assert found.status == "contradiction" and "wrong" in found.message
    assert found.lower_bound == -np.inf


# Batches ------------------------------------------------------------------------------


@each_rule
@pytest.mark.parametrize("constrained", [False, True])
def test_batch_is_a_loop(rule, constrained):
    rng = np.random.default_rng(5)
    A, b = lad(rng, 12, 3, (8,))
    x0 = rng.standard_normal((8, 3))
    optimum = np.array([lad_optimum(A[i], b[i])[1] for i in range(8)])
    S = Ball(np.zeros(3), 0.3) if constrained else None
    given = {"optimum": optimum} if isinstance(rule, Polyak) else {"radius": 4.0}
    method, stop = SubgradientMethod(rule), MaxIter(150) | Gap(1e-4)
    f = norm1(A @ variable(3) - b)
    found = minimize(f, x0, method, stop, S, **given)
    assert found.certificate is None or found.certificate.verify(f)
    for i in range(8):
        one = {k: v[i] if np.ndim(v) else v for k, v in given.items()}
        f = norm1(A[i] @ variable(3) - b[i])
        alone = minimize(f, x0[i], method, stop, S, **one)
        assert np.allclose(found.x[i], alone.x, rtol=1e-9, atol=1e-9)
        assert found.fun[i] == pytest.approx(alone.fun, rel=1e-12)
        assert found.lower_bound[i] == pytest.approx(alone.lower_bound, rel=1e-9)
        assert found.nit[i] == alone.nit and found.nfev[i] == alone.nfev
        assert found.status[i] == alone.status
        assert found.success[i] == alone.success


def test_batch_from_the_parameters_of_the_function():
    tau = np.array([0.1, 0.5, 0.9])
    y = np.arange(11.0)
    f = sg.pinball_loss(tau)(y - np.ones((11, 1)) @ variable(1))
    found = minimize(f, [0.0], stop=Gap(1e-12) | MaxIter(500), radius=20.0)
    assert found.x.shape == (3, 1) and found.success.all()
    assert np.allclose(found.fun, [5.4, 15.0, 5.4])


def test_finished_problems_wait_for_the_others():
    f = np.array([1.0, 1.0, 1e-200, 1.0]) * norm2
    x0 = np.array([[0.0, 0.0], [3.0, 4.0], [1.0, 0.0], [0.3, 0.1]])
    found = minimize(f, x0, SubgradientMethod(Constant(0.25)), MaxIter(50))
    assert list(found.status) == ["optimal", "iterations", "iterations", "iterations"]
    assert list(found.nit) == [0, 50, 50, 50]
    assert np.all(np.isfinite(found.x)) and found.fun[0] == 0
    assert found.success.tolist() == [True, False, False, False]
    assert "1 of 4" in found.message and "3 of 4" in found.message
    found = minimize(f, x0, SubgradientMethod(Polyak()), MaxIter(50), optimum=0.0)
    assert np.all(np.isfinite(found.x)) and np.all(found.fun <= 1e-15)


def test_two_batch_axes():
    rng = np.random.default_rng(0)
    A, b = lad(rng, 10, 2, (2, 3))
    f = norm1(A @ variable(2) - b)
    found = minimize(f, np.zeros((3, 2)), stop=Gap(1e-9) | MaxIter(3000), radius=9.0)
    assert found.x.shape == (2, 3, 2) and found.success.all()
    for i in np.ndindex(2, 3):
        assert found.fun[i] == pytest.approx(lad_optimum(A[i], b[i])[1], rel=1e-9)


# Constraints --------------------------------------------------------------------------

SETS = {
    "box": (Box(Interval([-0.1, 0.0, 0.2], [0.1, 0.3, 0.2])), None),
    "orthant": (Box(Interval(np.zeros(3), np.full(3, np.inf))), 6.0),
    "ball": (Ball(np.full(3, 0.5), 0.2), None),
    "ball and radius": (Ball(np.full(3, 0.5), 0.2), 0.5),
    "simplex": (sg.Simplex(3), None),
    "half-space": (sg.HalfSpace(np.array([1.0, 1.0, 1.0]), -1.0), 6.0),
    "subspace": (sg.AffineSubspace([0.1, 0.2, 0.3], [[1.0, -1.0, 2.0]]), 6.0),
}


@pytest.mark.parametrize("name", SETS)
def test_constraints(name):
    from subgrad.cvx import reference

    S, R = SETS[name]
    A, b = lad(np.random.default_rng(2), 15, 3)
    f = norm1(A @ variable(3) - b) + 0.3 * norm2
    found = minimize(f, np.ones(3), constraint=S, radius=R)
    optimum = reference(f, constraint=S).fun
    assert S.contains(found.x) and f(found.x) == pytest.approx(found.fun, rel=1e-14)
    assert found.lower_bound <= optimum * (1 + 1e-8)
    assert found.fun <= optimum * (1 + 1e-3)
    assert found.certificate.verify(f)
    if name != "subspace":
        assert found.success and found.fun <= optimum * (1 + 2e-6)
    with_indicator = minimize(f + Indicator(S), np.ones(3), radius=R)
    assert np.array_equal(with_indicator.x, found.x)
    assert with_indicator.lower_bound == found.lower_bound
    assert with_indicator.certificate.verify(f + Indicator(S))


def test_x0_is_projected_first():
    S = Ball(np.zeros(2), 1.0)
    found = minimize(norm1(variable(2)), [3.0, 4.0], stop=MaxIter(0), constraint=S)
    assert np.allclose(found.x, [0.6, 0.8])


def test_constrained_minimum_at_a_corner_is_proved():
    c = np.array([1.0, -2.0, 0.5])
    S = Box(Interval([0.0, 0.0, 0.0], [1.0, 1.0, np.inf]))
    found = minimize(sg.Linear(c), np.full(3, 0.5), "subgradient", constraint=S)
    assert found.status == "optimal" and found.success
    assert found.fun == -2.0 == pytest.approx(found.lower_bound, rel=1e-14)
    assert found.certificate.verify(sg.Linear(c))


@pytest.mark.parametrize("R", [0.5, 2.0, 50.0])
def test_support_of_a_truncated_set(R):
    import cvxpy as cp

    rng = np.random.default_rng(0)
    for S in (
        Box(Interval([-1.0, 0.0, -np.inf], [1.0, np.inf, 2.0])),
        sg.HalfSpace(np.array([1.0, 2.0, -1.0]), 0.3),
        sg.Simplex(3),
    ):
        c = S.project(rng.standard_normal(3))
        T, d = _Truncated(S, c, R), rng.standard_normal((6, 3))
        h = T.support(d)
        z = cp.Variable(3)
        for i in range(6):
            model = cp.Problem(
                cp.Maximize(d[i] @ z), [cp.norm2(z - c) <= R, *S.to_cvxpy(z)]
            )
            exact = model.solve(solver="CLARABEL")
            assert exact - 1e-7 <= h[i] <= exact + 1e-6 * (1 + R)
        assert T.support(np.zeros(3)) == 0


# Stops --------------------------------------------------------------------------------


def test_stops_combine_and_know_what_they_prove():
    assert not MaxIter(5).proves and Gap().proves and ZeroSubgradient().proves
    assert not (MaxIter(5) | Gap()).proves and (ZeroSubgradient() | Gap()).proves
    assert (MaxIter(5) & Gap()).proves and not (MaxIter(5) & Stalled(3)).proves
    f, x0 = norm1(variable(2) - [0.1234, 0.5678]), np.zeros(2)

    def nit(stop):
        return minimize(f, x0, SubgradientMethod(Diminishing(0.1)), stop).nit

    assert nit(MaxIter(7)) == nit(MaxIter(7) | MaxIter(9)) == 7
    assert nit(MaxIter(7) & MaxIter(9)) == 9
    assert nit((MaxIter(7) & MaxIter(9)) | MaxIter(8)) == 8
    assert nit(MaxIter(300) | StepBelow(1e-2)) < 300
    stalled = nit(MaxIter(3000) | Stalled(40, 1e-2))
    assert 40 < stalled < 3000
    assert nit(Stalled(40, 1e-2) & MaxIter(stalled + 5)) == stalled + 5
    assert nit(SubgradientNorm(2.0)) == 0
    assert minimize(f, x0, stop=MaxTime(0.02) | MaxIter(10**9)).status == "time"


def test_gap_after_the_last_iteration_counts():
    f = norm1(variable(2) - [0.1, 0.5])
    found = minimize(f, np.zeros(2), "shor", MaxIter(10) | Gap(1e-9), radius=2.0)
    assert (
        found.nfev == 12 and found.nit == 10 and found.success and found.status == "gap"
    )


def test_zero_iterations():
    f = norm1(variable(2) - 1.0)
    found = minimize(f, [0.0, 0.0], stop=MaxIter(0))
    assert found.nit == 0 and found.nfev == 1 and found.fun == 2.0
    assert found.status == "iterations" and not found.success
    assert found.lower_bound == -np.inf and found.gap == np.inf
    assert np.array_equal(found.x, [0.0, 0.0])


def test_start_at_the_minimiser():
    c = np.array([0.3, -0.7])
    found = minimize(norm1(variable(2) - c), c, "shor")
    assert found.nit == 0 and found.status == "optimal" and found.success
    assert found.fun == found.lower_bound == found.gap == 0.0
    assert found.certificate.verify(norm1(variable(2) - c))
    assert not found.certificate.verify(norm1(variable(2) - c) - 1.0)


def test_default_stop_proves_where_it_can():
    A, b = lad(np.random.default_rng(0), 14, 3)
    f = norm1(A @ variable(3) - b)
    assert minimize(f, np.zeros(3), radius=5.0).success
    assert not minimize(f, np.zeros(3), stop=MaxIter(100)).success


# Interruptions ------------------------------------------------------------------------


class Trouble(Function):
    """|x - c|_1 that misbehaves at its k-th call of the oracle."""

    def __init__(self, k, event, n=2):
        self.f, self.n = norm1(variable(n) - 0.123), n
        self.k, self.event, self.calls = k, event, 0

    def _value(self, x):
        return self.f._value(x)

    def _oracle(self, x):
        self.calls += 1
        value, g = self.f._oracle(x)
        if self.calls >= self.k:
            return self.event(value, g)
        return value, g


def throw(error):
    def event(value, g):
        raise error

    return event


@pytest.mark.parametrize(
    ("event", "status", "word"),
    [
        (throw(KeyboardInterrupt()), "interrupted", "keyboard"),
        (throw(ZeroDivisionError("in the model")), "error", "ZeroDivisionError"),
        (lambda v, g: (v + np.nan, g), "nonfinite", "nan"),
        (lambda v, g: (-np.inf + v, g), "nonfinite", "inf"),
        (lambda v, g: (v, g * np.nan), "nonfinite", "nan"),
        (lambda v, g: (v, g * np.inf), "nonfinite", "inf"),
    ],
)
@pytest.mark.parametrize("radius", [None, 2.0])
def test_nothing_is_lost(event, status, word, radius):
    method = SubgradientMethod(Diminishing(0.1))
    f = Trouble(20, event)
    with np.errstate(invalid="ignore"):
        found = minimize(f, np.zeros(2), method, MaxIter(100), radius=radius)
    clean = minimize(
        norm1(variable(2) - 0.123), np.zeros(2), method, MaxIter(18), cuts=0
    )
    assert found.status == status and word in found.message and not found.success
    assert found.fun <= clean.fun and f.f(found.x) == found.fun
    assert found.nit == (19 if status == "nonfinite" else 18)
    assert sound(found, 0.0)
    if radius is not None and found.certificate is not None:
        assert found.certificate.verify(f.f)


def test_an_error_at_x0_comes_through():
    with pytest.raises(ZeroDivisionError):
        minimize(Trouble(1, throw(ZeroDivisionError())), np.zeros(2))


def test_a_nan_in_one_problem_leaves_the_others_alone():
    def event(value, g):
        return np.where(np.arange(3) == 1, np.nan, value), g

    x0 = np.array([[0.0, 0.0], [1.0, 1.0], [0.2, 0.5]])
    method, stop = SubgradientMethod(Diminishing(0.1)), MaxIter(60)
    found = minimize(Trouble(20, event), x0, method, stop)
    assert list(found.status) == ["iterations", "nonfinite", "iterations"]
    assert list(found.nit) == [60, 19, 60]
    for i in (0, 2):
        alone = minimize(norm1(variable(2) - 0.123), x0[i], method, stop)
        assert np.array_equal(found.x[i], alone.x) and found.fun[i] == alone.fun


def test_a_step_out_of_the_domain():
    f = sg.separable(sg.negative_sqrt) + norm1
    found = minimize(f, [4.0, 9.0], SubgradientMethod(Constant(5.0)), MaxIter(9))
    assert found.status == "nonfinite" and np.isfinite(found.fun)
    assert f(found.x) == found.fun


def test_callback():
    f, seen = norm1(variable(2) - 0.3), []

    def callback(intermediate_result):
        seen.append(intermediate_result)
        if intermediate_result.nit == 7:
            raise StopIteration

    found = minimize(f, np.zeros(2), "shor", callback=callback)
    assert found.status == "callback" and found.nit == 7 and not found.success
    assert [r.nit for r in seen] == list(range(8))
    assert np.all(np.diff([r.fun for r in seen]) <= 0)
    assert found.fun == seen[-1]["fun"] == f(seen[-1].x)

    def interrupt(r):
        if r.nit == 3:
            raise KeyboardInterrupt

    found = minimize(f, np.zeros(2), "shor", callback=interrupt)
    assert found.status == "interrupted" and found.nit == 3
    with pytest.raises(RuntimeError, match="mine"):
        minimize(f, np.zeros(2), callback=lambda r: throw(RuntimeError("mine"))(0, 0))

    def vandal(r):
        r.x[:] = np.nan

    assert np.isfinite(minimize(f, [0.0, 0.0], stop=MaxIter(5), callback=vandal).fun)


def test_a_callback_sees_what_the_result_has():
    f, seen = norm1(variable(2) - 0.3), []
    for shape in ((), (3,), (2, 1)):
        x0 = np.zeros((*shape, 2))
        found = minimize(f, x0, stop=MaxIter(4), callback=seen.append, record=2)
        for key in found.keys():
            if key not in ("certificate", "history"):
                assert np.shape(seen[-1][key]) == np.shape(found[key]), key
        assert np.array_equal(seen[-1].history, found.history[:2])
        assert np.all(seen[-1].status == "running") and np.all(seen[-1].nit == 3)


def test_progress(monkeypatch, capsys):
    f = norm1(variable(2) - 0.3)
    minimize(f, np.zeros(2), stop=MaxIter(5), progress=True)
    assert "5/5" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(ImportError, match="needs tqdm"):
        minimize(f, np.zeros(2), progress=True)


# What comes in and what comes out -----------------------------------------------------


def test_x0_is_left_alone_and_runs_repeat():
    A, b = lad(np.random.default_rng(0), 12, 3, (2,))
    f = norm1(A @ variable(3) - b)
    x0 = np.ones((2, 3))
    x0.flags.writeable = False
    runs = [minimize(f, x0, radius=9.0, stop=MaxIter(60), record=1) for _ in range(2)]
    assert np.array_equal(x0, np.ones((2, 3)))
    for key in ("x", "fun", "lower_bound", "history"):
        assert np.array_equal(runs[0][key], runs[1][key])
    start = minimize(norm1(variable(3)), y := np.zeros(3))
    start.x[0] = 7.0
    assert y[0] == 0.0


@pytest.mark.parametrize("x0", [[1, 2], (1, 2), np.array([1, 2], np.int32), [[1, 2]]])
def test_integers_and_lists_will_do(x0):
    found = minimize(norm1(variable(2)), x0, stop=MaxIter(3))
    assert found.x.dtype == np.float64 and found.x.shape == np.shape(x0)


def test_single_precision_stays():
    A, b = lad(np.random.default_rng(0), 12, 3)
    f = norm1(np.float32(A) @ variable(3) - np.float32(b))
    for rule in RULES:
        rule = Polyak(1.0) if isinstance(rule, Polyak) else rule
        method = SubgradientMethod(rule)
        found = minimize(f, np.zeros(3, np.float32), method, MaxIter(20), radius=3.0)
        assert found.x.dtype == np.float32, rule
        assert found.lower_bound <= lad_optimum(A, b)[1] * (1 + 1e-6)


def test_history():
    f = norm1(variable(2) - 0.3)
    method = SubgradientMethod(Constant(0.25))
    found = minimize(f, np.zeros(2), method, MaxIter(10), record=2)
    run = itertools.islice(iterate(method, Problem(f), [0.0, 0.0]), 0, 11, 2)
    assert np.array_equal(found.history, [s.value for s in run])
    batch = minimize(f, np.zeros((4, 2)), method, MaxIter(10), record=5)
    assert batch.history.shape == (3, 4)
    assert minimize(f, np.zeros(2), method, MaxIter(2)).history.size == 0


def test_result_is_a_mapping():
    found = minimize(norm1(variable(2) - 0.3), np.zeros(2), radius=2.0)
    assert set(found.keys()) == set(dict(found)) == set(found) and "fun" in found
    assert found["x"] is found.x and dict(found)["nit"] == found.nit
    with pytest.raises(KeyError):
        found["nonsense"]
    other = found.to_scipy()
    assert other.fun == found.fun and other.success == found.success
    again = pickle.loads(pickle.dumps(found))
    assert again.certificate.verify(norm1(variable(2) - 0.3))


def test_few_cuts():
    A, b = lad(np.random.default_rng(0), 14, 3)
    f = norm1(A @ variable(3) - b)
    for cuts in (2, 3, 5, 8):
        found = minimize(f, np.zeros(3), stop=MaxIter(300), radius=4.0, cuts=cuts)
        assert sound(found, lad_optimum(A, b)[1]) and found.certificate.verify(f)
        assert len(found.certificate.weights) <= cuts
    assert minimize(f, np.zeros(3), stop=MaxIter(9), radius=4.0, cuts=0).gap == np.inf


F = norm1(variable(2))


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"x0": [np.nan, 0]}, ValueError, "x0.*nan"),
        ({"x0": [np.inf, 0]}, ValueError, "x0.*finite"),
        ({"x0": [1.0, 2.0, 3.0]}, ValueError, "x0"),
        ({"x0": []}, ValueError, "x0"),
        ({"x0": np.zeros((0, 2))}, ValueError, "x0"),
        ({"x0": ["a", "b"]}, TypeError, "x0"),
        ({"f": lambda x: x}, TypeError, "f must be a Function"),
        (
            {"f": sg.separable(sg.entropy), "x0": [-1.0, 1.0], "method": "shor"},
            ValueError,
            "domain",
        ),
        ({"constraint": [0, 1]}, TypeError, "constraint must be a Set"),
        ({"constraint": Ball(np.zeros(3))}, ValueError, "constraint.*R\\^2"),
        ({"constraint": sg.Empty(2)}, ValueError, "empty"),
        (
            {"f": F + Indicator(Ball(np.zeros(2))), "constraint": Ball([3.0, 0])},
            ValueError,
            "empty",
        ),
        ({"radius": -1.0}, ValueError, "radius"),
        ({"radius": [1.0, 2.0]}, ValueError, "radius"),
        ({"optimum": np.nan}, ValueError, "optimum"),
        ({"optimum": [1.0, 2.0]}, ValueError, "optimum"),
        ({"f": sg.max_entry, "stop": Gap(), "method": "shor"}, ValueError, "radius"),
        ({"stop": 100}, TypeError, "stop"),
        ({"method": Constant(1.0)}, TypeError, "method"),
        ({"record": -1}, ValueError, "record"),
        ({"record": 1.5}, ValueError, "record"),
        ({"cuts": "a"}, ValueError, "cuts"),
        ({"callback": 3}, TypeError, "callback"),
        ({"feasibility": [1.0, 2.0]}, ValueError, "feasibility"),
        ({"method": SubgradientMethod(Polyak())}, ValueError, "optimum"),
    ],
)
def test_refused(arguments, error, text):
    with pytest.raises(error, match=text):
        minimize(**({"f": F, "x0": [1.0, 2.0]} | arguments))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Constant(0.0),
        lambda: ConstantLength(-1.0),
        lambda: Diminishing(1.0, power=0.0),
        lambda: Diminishing(1.0, power=1.5),
        lambda: DiminishingLength(np.nan),
        lambda: Polyak(factor=2.0),
        lambda: TargetLevel(delta=0.0),
        lambda: TargetLevel(factor=0.0),
        lambda: EstimatedPolyak(-1.0),
        lambda: MaxIter(-1),
        lambda: MaxIter(1.5),
        lambda: MaxTime(0.0),
        lambda: Gap(0.0),
        lambda: Stalled(0),
        lambda: Stalled(1.5),
        lambda: Stalled(3, -1.0),
        lambda: StepBelow(-1.0),
        lambda: SubgradientNorm(0.0),
    ],
)
def test_parameters_refused(make):
    with pytest.raises(ValueError):
        make()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Gap("a"), "tol must be a number"),
        (lambda: Gap(None), "tol must be a number"),
        (lambda: Stalled(3, "a"), "tol must be a number"),
        (lambda: MaxTime([1.0]), "seconds must be a number"),
        (lambda: MaxIter(3) | 3, "MaxIter"),
        (lambda: MaxIter(3) & None, "MaxIter"),
    ],
)
def test_stops_are_made_of_numbers_and_stops(make, text):
    with pytest.raises(TypeError, match=text):
        make()


def test_a_rule_is_not_a_number():
    with pytest.raises(TypeError, match="rule"):
        SubgradientMethod(0.1)


def test_nothing_heavy_is_imported():
    code = (
        "import sys, subgrad.solvers, subgrad.cvx; "
        "print([m for m in ('scipy.optimize', 'cvxpy', 'tqdm') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert out.stdout.strip() == "[]", out.stderr
