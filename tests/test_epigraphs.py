"""Maxima and compositions in the structured solver: one atom with its multipliers."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose

from subgrad import (
    Box,
    Indicator,
    Interval,
    Quadratic,
    Simplex,
    block_compose,
    block_sum,
    compose,
    exponential,
    huber_loss,
    log_sum_exp,
    max_entry,
    maximum,
    norm1,
    norm2,
    norm_inf,
    power,
    problems,
    relu,
    separable,
    square,
    squared_norm,
    sum_largest,
    variable,
)
from subgrad.solvers import DualCertificate, Gap, MaxIter, minimize
from subgrad.solvers.level_sets import sublevel_radius
from subgrad.solvers.structured.certificate import dual_bound
from subgrad.solvers.structured.composites import composed
from subgrad.solvers.structured.domains import conjugate_value, to_domain
from subgrad.solvers.structured.epigraphs import _Composed
from subgrad.solvers.structured.outers import onto_simplices
from subgrad.solvers.structured.terms import structure, unscaled

N = 4
STOP = Gap(1e-6) | MaxIter(200)


def norms(r):
    x = variable(N)
    maps = [r.standard_normal((3, N)) for _ in range(5)]
    return maximum(*(norm2(A @ x - r.standard_normal(3)) for A in maps))


def mixed(r):
    x, A = variable(N), r.standard_normal((3, N))
    return maximum(
        norm2(A @ x - 1) + x[0],
        0.7 * squared_norm(A @ x - 2.0) + norm2(x),
        2 * x[1] + 3,
        norm_inf(A @ x) + huber_loss(1.0)(x),
    )


def quadratics(r):
    x, pieces = variable(N), []
    for _ in range(4):
        B = r.standard_normal((N, N))
        pieces.append(Quadratic(B @ B.T)(x) + r.standard_normal(N) @ x)
    return maximum(0, *pieces) + 0.1 * norm1(x - 1)


def weighted_balls(r):
    x, a = variable(N), r.standard_normal((6, N))
    return maximum(*((1 + i) * squared_norm(x - c) for i, c in enumerate(a)))


def of_norm(r):
    x = variable(N)
    return separable(exponential)(norm2(r.standard_normal((6, N)) @ x - 1) / 2)


def of_maximum(r):
    x, A = variable(N), r.standard_normal((3, N))
    f = maximum(norm2(A @ x - 1) + x[0], norm1(x) + squared_norm(A @ x - 2), x[1])
    return compose(separable(relu), f - 2.0) + 0.3 * norm1(x - 1)


def squared(r):
    x = variable(N)
    return separable(square)(norm2(r.standard_normal((5, N)) @ x - 1) + norm1(x))


def soft(r):
    x, A = variable(N), r.standard_normal((6, N))
    return compose(log_sum_exp, norm2(A @ x), squared_norm(A @ x - 1), x[0] - 1)


def of_norms(r):
    x, A = variable(N), r.standard_normal((3, N))
    return compose(norm2, norm1(A @ x), norm2(x - 1), squared_norm(x))


def largest(r):
    x, A = variable(N), r.standard_normal((3, N))
    parts = norm2(A @ x - 1), norm1(x - 1), squared_norm(x), x[0]
    return compose(sum_largest(2), *parts)


def blocks(r):
    u = variable(2)
    h = maximum(norm2(u) + u[0], squared_norm(u - 1), separable(exponential)(u[1]))
    rows = r.standard_normal((6, 2, N))
    return block_sum(h, [1.0, 2, 1, 3, 1, 1])(
        (rows.reshape(12, N) @ variable(N))[np.arange(12).reshape(6, 2)]
    )


def sums_of_parts(r):
    u = variable(2)
    h = separable(relu)(norm2(u) - 1) + 0.1 * squared_norm(u)
    rows = r.standard_normal((12, N)) @ variable(N)
    return block_sum(h)(rows[np.arange(12).reshape(6, 2)] - 2)


def farthest(r):
    x = np.ones((6, 1)) @ variable((1, N)) - r.standard_normal((6, N))
    return 2.0 * block_compose(max_entry, norm2)(x)


def steep(r):
    x = variable(N)
    return maximum(separable(power(4.0))(x), norm1(x - 1), squared_norm(x - 1))


QUICK = mixed, quadratics, of_maximum, soft, of_norms, blocks, farthest
SLOW = norms, weighted_balls, of_norm, squared, largest, sums_of_parts, steep
CASES = [*QUICK, *(pytest.param(c, marks=pytest.mark.slow) for c in SLOW)]


def atoms(f):
    return [t for t in structure(f, N).terms if isinstance(unscaled(t.h)[1], _Composed)]


@pytest.mark.parametrize("case", CASES)
def test_the_terms_have_the_value_of_the_function(case):
    r = np.random.default_rng(0)
    f = case(r)
    s = structure(f, N)
    for x in r.standard_normal((3, N)):
        assert_allclose(s.value(x), f(x), rtol=1e-12)


@pytest.mark.parametrize("sigma", [0.05, 1.0, 20.0])
@pytest.mark.parametrize("case", CASES)
def test_the_prox_and_its_jacobian(case, sigma):
    r = np.random.default_rng(1)
    found = atoms(case(r))
    assert found
    for t in found[:2]:
        H, s = t.h, np.asarray(sigma)
        y = r.standard_normal(t.op.rows) * 2 * max(1.0, sigma)
        q = H._dual_prox(y, s)
        p = (y - q) / sigma
        # (y - q) / σ is in the subdifferential of H* at q: Fenchel and Young.
        moved = to_domain(H, q)
        assert_allclose(moved, q, atol=1e-13 * np.abs(y).max())
        young = H._value(p) + conjugate_value(H, moved) - moved @ p
        assert abs(young) <= 1e-12 * max(1.0, np.abs(p).max() ** 2)
        J = H._dual_prox_jacobian(y, s).dense()
        assert_allclose(J, J.T, atol=1e-14)
        ends = np.linalg.eigvalsh(J)
        assert ends[0] >= -1e-12 and ends[-1] <= 1 + 1e-12
        d = r.standard_normal(len(y))
        e = 1e-6 * d
        change = (H._dual_prox(y + e, s) - H._dual_prox(y - e, s)) / 2e-6
        assert_allclose(J @ d, change, atol=1e-6 * max(1.0, np.abs(d).max()))


@pytest.mark.parametrize("case", [*QUICK, *SLOW])
def test_the_conjugate_bounds_the_atom(case):
    r = np.random.default_rng(9)
    for t in atoms(case(r))[:1]:
        for y in 3 * r.standard_normal((4, t.op.rows)):
            v = to_domain(t.h, y)
            value = conjugate_value(t.h, v)
            assert np.isfinite(value)
            assert_allclose(to_domain(t.h, v), v, atol=1e-12)
            for z in (10 * y, -y, 10 * (y - v), r.standard_normal(t.op.rows)):
                top = t.h._value(z)
                assert v @ z - value <= top + 1e-10 * max(1.0, abs(top))


@pytest.mark.parametrize("case", CASES)
def test_minimum_with_proof(case):
    cp = pytest.importorskip("cvxpy")
    r = np.random.default_rng(2)
    f = case(r)
    run = minimize(f, np.zeros(N), method="structured", stop=STOP)
    assert run.status == "gap"
    assert isinstance(run.certificate, DualCertificate)
    assert run.certificate.verify(f)
    z = cp.Variable(N)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        best = cp.Problem(cp.Minimize(f.to_cvxpy(z))).solve(solver="CLARABEL")
    size = max(1.0, abs(best))
    assert run.fun <= best + 2e-6 * size
    assert run.lower_bound <= best + 1e-6 * size


@pytest.mark.parametrize("case", CASES)
def test_bounds_hold_whatever_the_multipliers(case):
    r = np.random.default_rng(3)
    f = case(r)
    best = minimize(f, np.zeros(N), method="structured", stop=STOP)
    s = structure(f, N)
    for size in (1e-3, 0.1, 10.0):
        ys = tuple(
            y + size * r.standard_normal(len(y)) for y in best.certificate.multipliers
        )
        found = dual_bound(s, best.x, ys)
        assert found.lower_bound <= best.fun
        assert found.lower_bound == -np.inf or found.verify(f)
        higher = DualCertificate(best.x, ys, best.fun + 1e-3)
        assert not higher.verify(f)


@pytest.mark.parametrize(
    "constraint", [Box(Interval([0.2] * N, [0.5] * N)), Simplex(N)]
)
def test_over_a_set(constraint):
    cp = pytest.importorskip("cvxpy")
    f, z = mixed(np.random.default_rng(4)), cp.Variable(N)
    run = minimize(f, np.full(N, 0.25), stop=STOP, constraint=constraint)
    assert run.status == "gap" and "structured" in run.message
    best = cp.Problem(cp.Minimize(f.to_cvxpy(z)), constraint.to_cvxpy(z)).solve(
        solver="CLARABEL"
    )
    assert_allclose(run.fun, best, atol=2e-6)


def test_scales():
    r = np.random.default_rng(5)
    A, x = r.standard_normal((5, 3, N)), variable(N)
    for a, b in ((1e-6, 1e3), (1e6, 1e-3), (1.0, 1e6)):
        f = maximum(*(a * norm2(B @ x - b) for B in A))
        run = minimize(f, np.zeros(N), method="structured", stop=STOP)
        assert run.status == "gap"


def test_a_common_quadratic_is_taken_out():
    x, a = variable(3), np.random.default_rng(6).standard_normal((5, 3))
    s = structure(maximum(*(squared_norm(x - c) for c in a)), 3)
    assert_allclose(s.q, 2.0)
    assert [type(unscaled(t.h)[1]) for t in s.terms] == [type(max_entry)]
    f = maximum(*((1 + i) * squared_norm(x - c) for i, c in enumerate(a)))
    assert_allclose(structure(f, 3).q, 2.0)


def test_indicators_in_a_piece_hold_for_all():
    x = variable(2)
    inside = Indicator(Box(Interval([1.0, 1], [2, 2])))
    f = maximum(norm2(x) + inside(x), x[0] - 5)
    run = minimize(f, [1.5, 1.5], stop=STOP)
    assert_allclose(run.fun, np.sqrt(2), atol=1e-6)
    g = maximum(norm2(x) + inside(x), x[0] + Indicator(Box(Interval([-1.0] * 2, 0)))(x))
    assert minimize(g, [1.5, 1.5], method="structured").status == "infeasible"


def test_what_is_not_exact_is_left_alone():
    x = variable(2)
    believed = compose(norm1, norm2(x) - 1, nondecreasing=True)
    assert [type(t.h) for t in structure(believed, 2).terms] == [type(believed)]
    with pytest.raises(NotImplementedError):
        minimize(believed, np.zeros(2), method="structured")
    batch = maximum(norm2(x - np.ones((3, 2))), norm1(x))
    assert [t.h for t in composed(batch, x.op, np.zeros(2))] == [batch]
    run = minimize(maximum(norm2(x - 1), norm1(x)), np.zeros((3, 2)), radius=3.0)
    assert run.success.all()


def test_unbounded_below():
    x = variable(3)
    f = maximum(norm2(x[:2]), x[2] + 1) + x[2]
    assert minimize(f, np.zeros(3), method="structured").status == "unbounded"


NAMES = [
    "chained_lq",
    "distance_game",
    *(pytest.param(n, marks=pytest.mark.slow) for n in ("maxquad", "maxq")),
]


@pytest.mark.parametrize("name", NAMES)
def test_problems_of_more_than_few_variables(name):
    p = getattr(problems, name)()
    run = minimize(p.function, p.x0, "structured", STOP, p.constraint)
    assert run.success
    assert p.optimum is None or abs(run.fun - p.optimum) <= 1e-5 * abs(p.optimum) + 1e-6


def test_few_variables_are_for_shor():
    p = problems.cb2()
    run = minimize(p.function, p.x0, stop=STOP)
    assert run.success and "shor" in run.message
    # Nothing bounds the region: then the multipliers may.
    x = variable(2)
    f = block_sum(maximum(norm2(x), x[0]))(np.ones((2, 1)) @ variable((1, 2)) + 1)
    run = minimize(f, np.zeros(2), stop=STOP)
    assert run.success and "structured" in run.message


def test_levels():
    r = np.random.default_rng(7)
    for f in (farthest(r), soft(r), of_norms(r), weighted_balls(r)):
        run = minimize(f, np.zeros(N), method="structured", stop=STOP)
        radius = sublevel_radius(f, np.zeros(N))
        assert np.linalg.norm(run.x) <= radius < np.inf
    x = variable(N)
    light = log_sum_exp.__class__(np.full(2, 1e-3))
    f = compose(light, norm2(x), norm2(x - 1))
    assert sublevel_radius(f, np.zeros(N)) == np.inf


def test_onto_simplices():
    r = np.random.default_rng(8)
    at, s, total = r.standard_normal((4, 7)), r.random((4, 7)) + 0.1, r.random(4) + 0.5
    lam = onto_simplices(at, s, total)
    assert_allclose(lam.sum(-1), total)
    slope = (at - lam) / s
    theta = np.where(lam > 0, slope, np.nan)
    assert_allclose(np.nanmax(theta, -1), np.nanmin(theta, -1), atol=1e-12)
    assert np.all(slope <= np.nanmax(theta, -1)[:, None] + 1e-12)
