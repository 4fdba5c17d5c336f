"""Sums of atoms with a prox: their parts, Newton systems, bounds and solutions."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from subgrad import (
    Box,
    CrossPolytope,
    Indicator,
    Interval,
    PiecewiseLinear,
    Separable,
    Simplex,
    Support,
    fused_lasso,
    group_norm,
    hinge_loss,
    huber_loss,
    k_support_norm,
    log_sum_exp,
    logistic_loss,
    max_entry,
    maximum,
    norm1,
    norm2,
    norm_inf,
    pinball_loss,
    problems,
    squared_norm,
    sum_largest,
    tv,
    variable,
)
from subgrad.solvers import DualCertificate, Gap, MaxIter, minimize, path
from subgrad.solvers.structured.augmented_lagrangian import AugmentedLagrangian
from subgrad.solvers.structured.batch import BatchCertificate, arrays
from subgrad.solvers.structured.certificate import dual_bound
from subgrad.solvers.structured.choice import plan_of
from subgrad.solvers.structured.form import fenchel, primal
from subgrad.solvers.structured.front import Structured
from subgrad.solvers.structured.newton import Systems
from subgrad.solvers.structured.reach import least_singular, reach
from subgrad.solvers.structured.terms import structure


def lad(rng, m=40, n=8):
    A = rng.standard_normal((m, n))
    return norm1(A @ variable(n) - rng.standard_normal(m))


def quantile(rng, m=40, n=5):
    A = rng.standard_normal((m, n))
    return 2.0 * pinball_loss(0.9)(A @ variable(n) - rng.standard_normal(m))


def svm(rng, m=50, n=6):
    A, x = rng.standard_normal((m, n)), variable(n)
    y = np.sign(A @ rng.standard_normal(n) + rng.standard_normal(m))
    return 0.5 * squared_norm(x) + 3.0 * hinge_loss(y * (A @ x))


def lasso(rng, m=20, n=50):
    A, x = rng.standard_normal((m, n)), variable(n)
    return 0.5 * squared_norm(A @ x - rng.standard_normal(m)) + 2.0 * norm1(x)


def elastic(rng, m=20, n=40):
    A, x = rng.standard_normal((m, n)), variable(n)
    loss = 0.5 * squared_norm(A @ x - rng.standard_normal(m))
    return loss + norm1(x) + 0.3 * squared_norm(x) + 0.1 * x[0]


def group_lasso(rng, m=20, n=40):
    A, x = rng.standard_normal((m, n)), variable(n)
    loss = squared_norm(A @ x - rng.standard_normal(m))
    return loss + 3.0 * group_norm(np.repeat(np.arange(n // 4), 4))(x)


def largest(rng, m=40, n=6):
    return max_entry(rng.standard_normal((m, n)) @ variable(n) + rng.standard_normal(m))


def uniform(rng, m=30, n=6):
    return norm_inf(rng.standard_normal((m, n)) @ variable(n) - 1.0)


def pursuit(rng, m=10, n=30):
    A, x = rng.standard_normal((m, n)), variable(n)
    b = A[:, :3] @ rng.standard_normal(3)
    return norm1(x) + Indicator(Box(Interval(b, b)))(A @ x)


def logistic(rng, m=40, n=10):
    A, x = rng.standard_normal((m, n)), variable(n)
    y = np.sign(A @ rng.standard_normal(n) + rng.standard_normal(m))
    return logistic_loss(-y * (A @ x)) + 2.0 * norm1(x)


def denoising(rng, n=60):
    b = np.repeat(rng.standard_normal(6), n // 6) + 0.2 * rng.standard_normal(n)
    x = variable(n)
    return 0.5 * squared_norm(x - b) + 0.7 * tv(x)


def boxed(rng, m=40, n=8):
    A, x = rng.standard_normal((m, n)), variable(n)
    box = Box(Interval(np.full(n, -0.3), np.full(n, 0.3)))
    return norm1(A @ x - 3 * rng.standard_normal(m)) + Indicator(box)(x)


def huber(rng, m=40, n=8):
    A = rng.standard_normal((m, n))
    return huber_loss(0.5)(A @ variable(n) - rng.standard_normal(m))


def risk(rng, m=40, n=8):
    A, x = rng.standard_normal((m, n)) + 0.1, variable(n)
    return 0.25 * sum_largest(4)(-A @ x) + Indicator(Simplex(n))(x)


def two_losses(rng, m=20, n=6):
    A, B, x = rng.standard_normal((m, n)), rng.standard_normal((m, n)), variable(n)
    return norm1(A @ x - 1.0) + norm2(B @ x + 1.0) + 0.5 * squared_norm(x - 2.0)


MODELS = [
    lad, quantile, svm, lasso, elastic, group_lasso, largest, uniform, pursuit,
    logistic, denoising, boxed, huber, risk, two_losses,
]  # fmt: skip


def reference(f):
    """The optimal value by cvxpy and Clarabel."""
    import cvxpy as cp

    x = cp.Variable(f.n)
    problem = cp.Problem(cp.Minimize(f.to_cvxpy(x)))
    return problem.solve(solver="CLARABEL", tol_gap_rel=1e-9, tol_gap_abs=1e-9)


@pytest.mark.parametrize("model", MODELS)
def test_solutions_are_proved_and_agree_with_cvxpy(model):
    for seed in range(2):
        f = model(np.random.default_rng(seed))
        found = minimize(f, np.zeros(f.n), Structured(), MaxIter(60) | Gap(1e-9))
        scale = max(1.0, abs(found.fun))
        assert found.success and found.status == "gap", found.message
        assert found.lower_bound <= found.fun + 1e-12 * scale
        assert found.gap <= 1e-9 * scale
        assert_allclose(found.fun, f.value(found.x), rtol=1e-12, atol=1e-12)
        assert_allclose(found.fun, reference(f), rtol=2e-7, atol=2e-7)
        assert found.certificate.verify(f)
        assert pickle.loads(pickle.dumps(found.certificate)).verify(f)
        assert found.dual is found.certificate.multipliers


@pytest.mark.parametrize("model", MODELS)
def test_no_forged_certificate_is_verified(model):
    rng = np.random.default_rng(3)
    f = model(rng)
    found = minimize(f, np.zeros(f.n), Structured(), MaxIter(60) | Gap(1e-9))
    proof, scale = found.certificate, max(1.0, abs(found.fun))
    assert not replace(proof, lower_bound=found.fun + 1e-9 * scale).verify(f)
    assert not replace(proof, lower_bound=np.nan).verify(f)
    assert not replace(proof, multipliers=proof.multipliers[1:]).verify(f)
    short = tuple(None if y is None else y[:-1] for y in proof.multipliers)
    if any(y is not None for y in proof.multipliers):
        assert not replace(proof, multipliers=short).verify(f)
    # Whatever the multipliers, no more than the truth is proved.
    for size in (1e-8, 1e-3, 1.0, 1e3):
        ys = tuple(
            None if y is None else y + size * rng.standard_normal(y.shape)
            for y in proof.multipliers
        )
        bound = dual_bound(structure(f, None, proof.whole), found.x, ys).lower_bound
        assert bound <= found.fun + 1e-12 * scale
        assert not np.isnan(bound)


def test_the_structure_of_a_sum():
    rng = np.random.default_rng(0)
    A, x = rng.standard_normal((3, 4)), variable(4)
    f = (
        2.0 * (norm1(A @ x - 1.0) + 0.5 * squared_norm(x))
        + squared_norm(3.0 * x - 2.0)
        + (x[0] - 2 * x[3] + 7.0)
        + Indicator(Box(Interval(-np.ones(4), np.ones(4))))(x)
    )
    s = structure(f)
    assert_allclose(s.q, 2.0 + 18.0)
    assert_allclose(s.c, [-11, -12, -12, -14])
    assert_allclose(s.offset, 7.0 + 16.0)
    assert len(s.terms) == 2 and not s.terms[0].own and s.terms[1].own
    for y in 0.5 * rng.standard_normal((5, 4)):
        assert_allclose(s.value(y), f.value(y), rtol=1e-13)


def test_a_long_fused_lasso_is_one_prox():
    n = 20_000
    b, x = np.random.default_rng(0).standard_normal(n), variable(n)
    f = 0.5 * squared_norm(x - b) + fused_lasso(0.3, 1.0)(x)
    found = minimize(f, np.zeros(n), stop=Gap(1e-9))
    assert found.success and found.nit == 1 and found.certificate.verify(f)


@pytest.mark.parametrize("spread", [2, 3])
@pytest.mark.parametrize("kind", ["norm2", "logistic", "logistic, l1", "groups"])
def test_columns_of_other_units(kind, spread):
    rng, n, m = np.random.default_rng(0), 6, 60
    A, b = rng.standard_normal((m, n)), rng.standard_normal(m)
    A[:, 5] = 0.0 if spread == 3 else A[:, 5]
    s, x = np.logspace(-spread, spread, n), variable(n)
    f = {
        "norm2": lambda z: norm2(z - b),
        "logistic": lambda z: logistic_loss(np.sign(b) * z),
        "logistic, l1": lambda z: logistic_loss(np.sign(b) * z) + norm1(x),
        "groups": lambda z: group_norm(np.repeat(np.arange(m // 2), 2))(z - b),
    }[kind]((A * s) @ x)
    found = minimize(f, np.zeros(n))
    assert found.success and found.certificate.verify(f)
    if "l1" not in kind:
        alike = minimize(f(x / s), np.zeros(n))
        assert_allclose(found.fun, alike.fun, rtol=2e-6)


@pytest.mark.parametrize("weights", [None, np.arange(4.0)])
@pytest.mark.parametrize(
    "slopes, at", [((-1, 1), (0, 0)), ((-0.5, 2), (0, 0)), ((-1, 1), (0, 3))]
)
def test_what_is_sublinear_is_a_support_function(slopes, at, weights):
    phi, x = PiecewiseLinear([0], slopes, at=at), variable(4)
    f = Separable(phi, weights)(x)
    (term,) = structure(f).terms
    assert isinstance(term.h, Support) == (at[1] == 0)
    for y in np.random.default_rng(0).standard_normal((5, 4)):
        value = np.sum((1 if weights is None else weights) * phi.value(y))
        assert_allclose(structure(f).value(y), value, rtol=1e-14)


def test_a_maximum_of_affine_functions_is_one_atom():
    x = variable(2)
    f = maximum(x[0] + 1.0, 2 * x[1], -x[0] - x[1])
    found = minimize(f, np.zeros(2), Structured(), MaxIter(60) | Gap(1e-9))
    assert found.success
    assert_allclose(found.fun, reference(f), atol=1e-8)


def system(rng, kind, m=12, n=20):
    """A form whose Newton systems are of one kind, and Jacobians at a point."""
    from scipy.sparse import random_array

    x = variable(n)
    dense = rng.standard_normal((m, n))
    f = {
        "few rows": lambda: norm1(dense @ x),
        "many rows": lambda: norm1(rng.standard_normal((60, n)) @ x),
        "weighted rows": lambda: huber_loss(1.0)(rng.standard_normal((60, n)) @ x),
        "groups of few rows": lambda: group_norm(np.repeat(np.arange(4), 3))(dense @ x),
        "groups": lambda: group_norm(np.repeat(np.arange(12), 5))(
            rng.standard_normal((60, n)) @ x
        ),
        "mean of few rows": lambda: max_entry(dense @ x),
        "own atoms": lambda: norm1(dense @ x) + norm1(3.0 * x) + norm2(x),
        "own simplex": lambda: norm1(dense @ x) + Indicator(Simplex(n))(x),
        "low rank": lambda: log_sum_exp(dense @ x) + k_support_norm(3)(x),
        "banded": lambda: tv(x),
        "sparse": lambda: norm1(
            random_array((30, n), density=0.3, rng=rng).tocsr() @ x
        ),
        "groups of sparse rows": lambda: group_norm(np.repeat(np.arange(10), 3))(
            random_array((30, n), density=0.3, rng=rng).tocsr() @ x
        ),
    }[kind]()
    form = primal(structure(f, n))
    one = np.linspace(0.7, 1.3, len(form.blocks))
    w = 1.5 * rng.standard_normal(len(form.b))
    return form, one, form.jacobians(w, one)


KINDS = [
    "few rows", "many rows", "weighted rows", "groups of few rows", "groups",
    "mean of few rows", "own atoms", "own simplex", "low rank", "banded", "sparse",
    "groups of sparse rows",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_newton_systems_are_solved(kind):
    rng = np.random.default_rng(1)
    for _ in range(3):
        form, sigmas, jacobians = system(rng, kind)
        systems = Systems(form)
        D, r = rng.uniform(0.5, 2, form.n), rng.standard_normal(form.n)
        H = np.diag(D)
        for k, J, sigma in zip(form.blocks, jacobians, sigmas, strict=True):
            A = k.op.dense()
            H += sigma * A.T @ J.dense() @ A
        for _ in range(2):  # the second time from what was kept
            d = systems.solve(D, sigmas, jacobians, r)
            assert_allclose(H @ d, r, atol=1e-9)


def test_the_least_singular_value_is_bounded_from_below():
    rng = np.random.default_rng(0)
    for n in (1, 3, 20):
        B = rng.standard_normal((2 * n, n)) * 10.0 ** rng.uniform(-2, 2, n)
        low, true = (
            least_singular(B.T @ B, len(B)),
            np.linalg.svd(B, compute_uv=False)[-1],
        )
        assert 0.3 * true / n**0.25 <= low <= true
    assert least_singular(np.full((2, 2), 5.0), 5) <= 1e-7


def test_scales_of_the_data_change_nothing():
    """Steps are the same for data times 1e±3: nothing has units of its own."""
    rng = np.random.default_rng(0)
    A, b = rng.standard_normal((40, 8)), rng.standard_normal(40)
    runs = []
    for a in (1e-3, 1.0, 1e3):
        for c in (1e-3, 1.0, 1e3):
            f = norm1(a * A @ variable(8) - c * b)
            method = AugmentedLagrangian(primal(structure(f)))
            for _ in range(3):
                method.step()
            runs.append((method.newtons, *(a / c * method.x)))
    assert_allclose(runs, np.broadcast_to(runs[0], (9, 9)), rtol=1e-6)


def test_a_start_near_the_solution_helps():
    f = lad(np.random.default_rng(0))
    cold = minimize(f, np.zeros(8), Structured(), Gap(1e-8))
    warm = minimize(f, cold.x, Structured(), Gap(1e-8))
    assert warm.nit <= cold.nit
    assert_allclose(warm.fun, cold.fun, rtol=1e-8)


def test_runs_end_with_the_best_point():
    f = svm(np.random.default_rng(0))
    none = minimize(f, np.zeros(6), Structured(), MaxIter(0))
    assert none.nit == 0 and not none.success and np.isneginf(none.lower_bound)
    seen = []

    def callback(found):
        seen.append(found.fun)
        if len(seen) == 3:
            raise StopIteration

    found = minimize(f, np.zeros(6), Structured(), callback=callback, record=1)
    assert found.status == "callback" and found.fun == min(seen)
    assert len(found.history) == found.nit + 1


def test_what_has_no_parts_is_refused_by_name():
    from subgrad import from_oracle

    f = from_oracle(lambda x: (float(x @ x), 2 * x), 3)
    with pytest.raises(NotImplementedError, match="prox"):
        minimize(f, np.zeros(3), Structured())
    with pytest.raises(ValueError, match="constraints"):
        g = norm1(variable(3)) - 1.0
        minimize(norm1(variable(3)), np.zeros(3), Structured(), constraints=[g])


def test_the_dual_form_is_that_of_squares_and_equations():
    rng = np.random.default_rng(0)
    assert fenchel(structure(lasso(rng))) is not None
    assert fenchel(structure(pursuit(rng))) is not None
    assert fenchel(structure(lad(rng))) is None
    assert fenchel(structure(boxed(rng))) is None
    assert plan_of(lasso(rng), 50).n == 20


def between(low, up):
    return Box(Interval(np.array(low, float), np.array(up, float)))


ROWS = np.array([[0.3, -1.0, 0.4], [1.2, 0.1, -0.7], [0.5, 0.8, 0.9]])
ONES = np.ones((1, 3))
U = variable(3)
BOTTOMLESS = [
    max_entry(np.array([[1.0, 2.0, 0.5], [0.5, 1.0, 1.0]]) @ U),
    norm1(U) + 2.0 * U[0],
    hinge_loss(U) + Indicator(between([0, 0, 0], [1, 1, np.inf]))(U) - 0.1 * U[2],
]
NOWHERE = [
    norm1(U) + Indicator(between([1, 2], [1, 2]))(np.ones((2, 3)) @ U),
    squared_norm(U)
    + Indicator(between([-1] * 3, [1] * 3))(U)
    + Indicator(between([10], [10]))(ONES @ U),
    norm1(ROWS @ U - 1.0)
    + Indicator(between([2] * 3, [3] * 3))(U)
    + Indicator(between([-np.inf], [0]))(ONES @ U),
    norm2(ROWS @ U) + Indicator(Simplex(3))(U) + Indicator(between([2], [5]))(ONES @ U),
]


@pytest.mark.parametrize("f", BOTTOMLESS)
def test_unbounded_functions_are_proved_so(f):
    found = minimize(f, np.zeros(3))
    assert found.status == "unbounded" and not found.success
    assert "'structured'" in found.message
    assert found.certificate.verify(f)
    assert not replace(found.certificate, direction=np.zeros(3)).verify(f)
    assert not replace(found.certificate, direction=np.ones(3)).verify(f)
    assert not found.certificate.verify(f + squared_norm(U))


@pytest.mark.parametrize("f", NOWHERE)
def test_empty_domains_are_proved(f):
    found = minimize(f, np.zeros(3))
    assert found.status == "infeasible" and not found.success
    assert found.fun == found.gap == np.inf and np.isneginf(found.lower_bound)
    proof = found.certificate
    assert proof.radius > 1e7 and proof.verify(f)
    assert not replace(proof, radius=1e30).verify(f)
    negative = tuple(None if y is None else -y for y in proof.multipliers)
    assert not replace(proof, multipliers=negative).verify(f)
    assert not proof.verify(norm1(ROWS @ U - 1.0))


def test_a_constraint_set_is_part_of_the_structure():
    f = norm1(ROWS @ U - 1.0)
    found = minimize(f, np.zeros(3), constraint=between([-0.1] * 3, [0.2] * 3))
    assert found.success and np.all(np.abs(found.x - 0.05) <= 0.15 + 1e-12)
    assert found.certificate.verify(f)
    with_set = f + Indicator(found.certificate.constraint)
    assert found.certificate.verify(with_set)
    assert_allclose(found.fun, reference(with_set(U)), rtol=1e-6)
    level = f + Indicator(between([1], [1]))(ONES @ U)
    empty = minimize(level, np.zeros(3), constraint=between([-0.1] * 3, [0.2] * 3))
    assert empty.status == "infeasible" and empty.certificate.verify(level)


def test_a_path_starts_each_problem_from_the_one_before():
    rng = np.random.default_rng(0)
    A, x = rng.standard_normal((20, 50)), variable(50)
    loss = 0.5 * squared_norm(A @ x - rng.standard_normal(20))
    weights = np.geomspace(5, 0.5, 20)
    found = path((loss + w * norm1(x) for w in weights), np.zeros(50), stop=Gap(1e-8))
    assert len(found) == 20 and all(r.success for r in found)
    alone = [
        minimize(loss + w * norm1(x), np.zeros(50), stop=Gap(1e-8)) for w in weights
    ]
    assert_allclose([r.fun for r in found], [r.fun for r in alone], rtol=1e-7)
    assert sum(r.nit for r in found) < 0.8 * sum(r.nit for r in alone)


def test_an_earlier_result_is_a_start():
    rng = np.random.default_rng(0)
    A, b, x = rng.standard_normal((20, 50)), rng.standard_normal(20), variable(50)
    loss, found, steps = 0.5 * squared_norm(A @ x - b), np.zeros(50), []
    for weight in (3.0, 2.9, 2.9):
        found = minimize(loss + weight * norm1(x), found, stop=Gap(1e-8))
        assert found.success
        steps.append(int(found.nit))
    assert steps[1] <= steps[0] and steps[2] <= 1
    # Of other parts only the point is taken over.
    other = minimize(norm1(A @ x - b) + norm1(x), found)
    assert other.success
    with pytest.raises(ValueError, match="dual"):
        minimize(norm1(A @ x - b), np.zeros(50), Structured(dual=(np.zeros(3),)))


def stacked(kind):
    """A batch of functions, and the functions one by one."""
    rng, x = np.random.default_rng(0), variable(4)
    A, b = rng.standard_normal((6, 20, 4)), rng.standard_normal((6, 20))
    if kind == "data":
        return norm1(A @ x - b), [norm1(A[i] @ x - b[i]) for i in range(6)]
    if kind == "right sides":
        each = [hinge_loss(A[0] @ x - b[i]) + squared_norm(x) for i in range(6)]
        return hinge_loss(A[0] @ x - b) + squared_norm(x), each
    if kind == "weights":
        loss, w = 0.5 * squared_norm(A[0] @ x - b[0]), np.array([0.1, 1.0, 10.0])
        return loss + w * norm1(x - 0.1), [loss + a * norm1(x - 0.1) for a in w]
    if kind == "levels":
        tau = [0.1, 0.5, 0.9]
        z = A[0] @ x - b[0]
        return pinball_loss(tau)(z), [pinball_loss(a)(z) for a in tau]
    losses = [huber_loss(0.5)(A[i] @ x - b[i]) + norm1(3 * x) for i in range(6)]
    return huber_loss(0.5)(A @ x - b) + norm1(3 * x), losses


@pytest.mark.parametrize("kind", ["data", "right sides", "weights", "levels", "sums"])
def test_a_batch_is_solved_in_one_step(kind):
    f, each = stacked(kind)
    found = minimize(f, np.zeros(4), stop=Gap(1e-8) | MaxIter(5))
    assert "'structured'" in found.message and np.all(found.success)
    assert np.all(found.nit == 1) and found.x.shape == (len(each), 4)
    alone = [minimize(g, np.zeros(4), stop=Gap(1e-9)) for g in each]
    assert_allclose(found.fun, [r.fun for r in alone], rtol=2e-8, atol=2e-8)
    assert np.all(found.lower_bound <= [r.fun for r in alone])
    proof = found.certificate
    assert proof.verify(f) and pickle.loads(pickle.dumps(proof)).verify(f)
    high = found.fun + 1e-7 * np.maximum(1, np.abs(found.fun))
    assert not replace(proof, lower_bound=high).verify(f)
    assert not replace(proof, y=proof.y[..., :-1]).verify(f)
    assert not replace(proof, lower_bound=np.full(len(each), np.nan)).verify(f)


def test_batches_of_large_problems_go_elsewhere():
    A, x = np.random.default_rng(0).standard_normal((3, 5, 500)), variable(500)
    f = norm2(A @ x - 1.0)
    with pytest.raises(NotImplementedError, match="batch"):
        minimize(f, np.zeros(500), Structured())
    assert "'structured'" not in minimize(f, np.zeros(500), stop=MaxIter(5)).message


@pytest.mark.parametrize("seed", range(4))
def test_points_that_leave_their_box_by_rounding_do_no_harm(seed):
    (p,) = problems.make([("lad_box", {"n": 200, "m": 2000})], None, seed)
    found = minimize(p.function, np.zeros(200), constraint=p.constraint)
    assert found.success and found.certificate.verify(p.function)


def test_bounds_that_do_not_follow_are_not_given():
    """Of atoms minimised over with an uneven quadratic, or scaled out of a domain."""
    x, eye = variable(2), np.eye(2)
    uneven = norm1(x) + squared_norm(np.array([3.0, 0.1]) * x)
    uneven = uneven + 0.5 * norm1(eye @ x + np.array([-3.0, -4.0]))
    ys = (None, np.array([-0.5, -0.5]))
    assert np.isneginf(dual_bound(structure(uneven, 2), np.zeros(2), ys).lower_bound)
    assert not DualCertificate(np.zeros(2), ys, 0.0).verify(uneven)
    falls = max_entry(eye @ x - 5.0) + 0.1 * norm1(x)
    ys = (np.array([0.5, 0.5]), None)
    assert not DualCertificate(np.zeros(2), ys, -1.0 - 1e-12).verify(falls)
    flat = norm1(np.ones((2, 3)) @ variable(3))
    nothing = dual_bound(structure(flat, 3), np.zeros(3), (np.zeros(2),))
    assert nothing.lower_bound == pytest.approx(0.0, abs=1e-12)


def test_reach_knows_the_radius_of_a_set():
    A, b = np.ones((9, 1)), np.eye(9)[0]
    A[0] = -0.05
    f = Support(CrossPolytope(9, 0.1))(A @ variable(1) + b)
    s = structure(f, 1)
    best = minimize(f, np.zeros(1), stop=Gap(1e-9)).x[0]
    assert reach(s, np.zeros(1), (np.zeros(9),)) >= abs(best)


def test_ends_of_the_line_are_ends():
    x = variable(1)
    phi = PiecewiseLinear([-1.0, 0.0, 1.0], [-np.inf, -1, -0.5, np.inf])
    f = Separable(phi)(x - np.array([[0.5], [-0.2]])) + norm1(x)
    at, ys = np.full((2, 1), 5.0), np.array([[-0.7, 0.7]] * 2)
    data = arrays(f, 1)
    ys = np.resize(ys, (2, data.b.shape[-1]))
    assert not BatchCertificate(at, ys, np.full(2, 100.0)).verify(f)
    one = Separable(PiecewiseLinear([0.0], [-np.inf, 1.0]))(
        np.eye(2) @ variable(2) + np.ones(2)
    )
    g = one + 0.2 * norm1
    found = minimize(g, np.zeros(2))
    assert found.success and found.fun == pytest.approx(0.4, abs=1e-6)


def test_terms_of_weight_zero_are_none():
    x, A = variable(2), np.ones((3, 2))
    g = squared_norm(x - 1.0)
    for f in (norm1(x), norm2(A @ x), max_entry(A @ x), squared_norm(A @ x)):
        found = minimize(g + 0 * f, np.zeros(2))
        assert found.fun == pytest.approx(0.0, abs=1e-6)
