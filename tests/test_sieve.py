"""Working sets of rows: the same solutions, proved for the whole problem."""

import numpy as np
import pytest
from scipy.sparse import random_array

from subgrad import (
    Box,
    Indicator,
    Interval,
    absolute,
    elastic_net,
    group_norm,
    linear,
    max_entry,
    norm1,
    norm2,
    separable,
    squared_norm,
    variable,
)
from subgrad._jacobian import Jacobian
from subgrad.affine import Matrix
from subgrad.functions.norms import GroupNorm
from subgrad.solvers import Gap, MaxIter, Problem, minimize, path
from subgrad.solvers.structured import sieve
from subgrad.solvers.structured.augmented_lagrangian import AugmentedLagrangian
from subgrad.solvers.structured.choice import planned
from subgrad.solvers.structured.equations import on_equations
from subgrad.solvers.structured.form import Block, Form
from subgrad.solvers.structured.newton import Products, Systems
from subgrad.solvers.structured.sieve import Sieve, pieces, sieved
from subgrad.solvers.structured.terms import structure

M, N = 30, 120
LABELS = np.arange(N) * 7 % 24


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(sieve, "LARGE", 0)


def data(seed, sparse=False):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((M, N))
    if sparse:
        A = random_array((M, N), density=0.2, rng=rng, format="csr")
    x = np.zeros(N)
    x[:4] = rng.standard_normal(4)
    return A, A @ x + 0.01 * rng.standard_normal(M), A @ x


X = variable(N)
REGULARIZERS = {
    "l1": lambda w: w * norm1(X),
    "weighted l1": lambda w: w * separable(absolute, 1 + np.arange(N) % 3)(X),
    "l1 of multiples": lambda w: w * norm1((np.arange(N) % 3 - 1.5) * X),
    "elastic net": lambda w: elastic_net(w, 0.7)(X),
    "l1 and ridge": lambda w: w * norm1(X) + 0.3 * squared_norm(X),
    "l1 and linear": lambda w: w * norm1(X) + 0.1 * X[0],
    "groups": lambda w: w * group_norm(LABELS)(X),
    "weighted groups": lambda w: w * group_norm(LABELS, 1 + np.arange(24) % 2)(X),
    "orthant": lambda w: Indicator(Box(Interval(np.zeros(N), np.full(N, np.inf))))(X),
    "box": lambda w: Indicator(Box(Interval(-0.01 * np.ones(N), np.ones(N))))(X),
}


def model(kind, seed=0, share=0.1, sparse=False):
    A, b, exact = data(seed, sparse)
    if kind == "pursuit":
        return norm1(X) + Indicator(Box(Interval(exact, exact)))(A @ X)
    return 0.5 * squared_norm(A @ X - b) + REGULARIZERS[kind](
        share * float(np.abs(A.T @ b).max())
    )


def agree(f, found, value):
    size = max(1.0, abs(value))
    assert found.success
    assert found.gap <= 1e-6 * size
    assert found.lower_bound <= value + 1e-9 * size
    assert abs(found.fun - value) <= 2e-6 * size
    assert found.certificate.verify(f)


def unrestricted(f, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(sieve, "LARGE", np.inf)
        return minimize(f, np.zeros(N), stop=MaxIter(100) | Gap(1e-8))


SPARSE = [k for k in REGULARIZERS if k != "orthant"]
KINDS = [(k, False) for k in (*REGULARIZERS, "pursuit")] + [(k, True) for k in SPARSE]


@pytest.mark.parametrize(("kind", "sparse"), KINDS)
def test_the_solution_is_that_of_the_whole_problem(kind, sparse, monkeypatch):
    f = model(kind, sparse=sparse)
    form = planned(Problem(f), N)
    assert isinstance(sieved(form, None, None), Sieve)
    agree(f, minimize(f, np.zeros(N)), float(unrestricted(f, monkeypatch).fun))


@pytest.mark.parametrize("kind", REGULARIZERS)
def test_a_part_is_the_function_where_the_others_are_zero(kind):
    h = structure(REGULARIZERS[kind](0.7)).terms[0].h
    labels, part = pieces(h)
    at = np.arange(N) % 3 == 0
    at = np.flatnonzero(np.isin(labels, labels[at]) if labels is not None else at)
    x = np.zeros(N)
    x[at] = np.random.default_rng(0).uniform(0, 1, len(at))
    assert part(at).value(x[at]) == pytest.approx(float(h.value(x)))


def test_what_has_no_parts_is_solved_whole():
    A, b, _ = data(0)
    for h in (norm2, max_entry):
        with pytest.raises(NotImplementedError, match="of some of its entries"):
            pieces(h)
    f = squared_norm(A @ X - b) + norm2(X)
    assert sieved(planned(Problem(f), N), None, None) is None
    assert minimize(f, np.zeros(N)).success


def test_rows_are_added_until_none_is_missing(monkeypatch):
    monkeypatch.setattr(sieve, "FIRST", 0.0)
    f = model("groups")
    run = Sieve(planned(Problem(f), N), None, None)
    start = len(run.rows)
    for _ in range(8):
        run.step()
    x = run.y
    assert 0 < start < len(run.rows) < N
    assert run.rest == 0
    # Groups are taken as they are.
    assert not np.isin(LABELS[run.rows], LABELS[~run.here]).any()
    assert x[~run.here].any() == 0
    assert f.value(x) == pytest.approx(float(minimize(f, np.zeros(N)).fun), rel=1e-6)


def test_all_rows_are_taken_where_some_fail():
    form = planned(Problem(model("pursuit")), N)
    run = Sieve(form, None, None)
    assert len(run.rows) < N
    run.inner.failures = 2
    run.step()
    assert len(run.rows) == N
    for _ in range(8):
        run.step()
    assert np.linalg.norm(run.residual()) <= 1e-6 * np.linalg.norm(form.c)


def test_a_map_that_is_zero():
    f = 0.5 * squared_norm(np.zeros((M, N)) @ X - 1.0) + norm1(X)
    agree(f, minimize(f, np.ones(N)), M / 2)


def test_where_zero_is_the_solution():
    f = model("l1", share=1.01)
    found = minimize(f, np.zeros(N))
    agree(f, found, float(f.value(np.zeros(N))))
    assert not found.x.any()


def test_a_path_is_proved_at_every_value():
    A, b, _ = data(1)
    loss, top = 0.5 * squared_norm(A @ X - b), np.abs(A.T @ b).max()
    weights = top * np.geomspace(1, 1e-2, 12)
    found = path((loss + w * norm1(X) for w in weights), np.zeros(N))
    assert all(r.gap <= 1e-6 * max(1.0, r.fun) for r in found)
    assert sum(r.nit for r in found) <= 25
    last = loss + weights[-1] * norm1(X)
    agree(last, found[-1], float(minimize(last, np.zeros(N)).fun))


@pytest.mark.parametrize("shares", [(0.5, 1e-3), (1e-3, 0.5), (0.1, 0.09)])
def test_a_start_far_away_does_no_harm(shares):
    first, second = (model("l1", 2, share) for share in shares)
    found = minimize(second, minimize(first, np.zeros(N)))
    agree(second, found, float(minimize(second, np.zeros(N)).fun))


def test_only_a_near_start_is_trusted():
    near, far, there = (model("l1", 2, share) for share in (0.1, 0.9, 0.09))
    form, weights = planned(Problem(there), N), []
    for f in (near, far):
        found = minimize(f, np.zeros(N))
        run = Sieve(form, -found.dual[0], found.x)
        weights.append(run.inner.sigma / run.inner.unit)
    assert weights[0] > 1e4
    assert weights[1] < 1e3


def test_the_product_at_an_earlier_end_is_known():
    form = planned(Problem(model("l1")), N)
    run = Sieve(form, None, None)
    run.step()
    passes = run.passes
    for u in (0.9 * run.x, -run.x):
        np.testing.assert_allclose(run._near(u), form.linear(u), atol=1e-12)
    assert run.passes == passes
    other = run.x + np.eye(form.n)[0]
    np.testing.assert_allclose(run._near(other), form.linear(other), atol=1e-12)


def test_steps_after_a_failure_start_afresh():
    f = model("l1")
    form = planned(Problem(f), N)
    run = AugmentedLagrangian(form, np.ones(form.n), np.ones(N))
    run.sigma = 1e18 * run.unit
    run.step()
    assert run.failures == 1
    assert run.sigma <= 10 * run.unit
    for _ in range(10):
        run.step()
    assert np.linalg.norm(run.residual()) <= 1e-6 * np.linalg.norm(form.c)


def test_products_of_rows_are_found_once():
    A = np.random.default_rng(0).standard_normal((9, 5))
    known = Products(A)
    for active in ([1, 4], [0, 4, 8], [1], [0, 1, 2, 4]):
        at = np.array(active)
        np.testing.assert_allclose(known(at), A[at] @ A[at].T, atol=1e-12)
    other = Products(A[2:])
    on = np.flatnonzero(known.rows >= 2)
    other.learn(known.rows[on] - 2, known.G[np.ix_(on, on)])
    at = np.array([0, 1, 2, 6])
    np.testing.assert_allclose(other(at), A[2 + at] @ A[2 + at].T, atol=1e-12)


@pytest.mark.parametrize("kind", ["entries", "groups", "one group"])
def test_newton_systems_of_few_rows(kind):
    rng = np.random.default_rng(1)
    A = rng.standard_normal((12, 20))
    w = rng.standard_normal(12)
    J = Jacobian((w > 0) * 0.3)
    if kind != "entries":
        labels = np.zeros(12) if kind == "one group" else np.arange(12) % 5
        J = GroupNorm(labels)._prox_jacobian(w, 1.2)
    s = structure(norm1(variable(20)))
    form = Form(np.zeros(20), np.zeros(20), (Block(norm1, Matrix(A), np.zeros(12)),), s)
    D, r = np.full(20, 0.4), rng.standard_normal(20)
    d = Systems(form).solve(D, np.array([2.5]), [J], r)
    np.testing.assert_allclose(0.4 * d + 2.5 * A.T @ J.apply(A @ d), r, atol=1e-10)


def test_points_on_equations_keep_their_zeros():
    A, _, exact = data(3)
    x = np.zeros(N)
    x[:6] = np.linalg.lstsq(A[:, :6], exact, rcond=None)[0] + 1e-4
    u = on_equations(A, exact, x)
    assert not u[6:].any()
    np.testing.assert_allclose(A @ u, exact, atol=1e-12)
    y = np.zeros(N)
    y[10] = 1.0
    u = on_equations(A, exact, y)
    np.testing.assert_allclose(A @ u, exact, atol=1e-11)
    twice = np.concatenate([A[:1], A[:1]])
    assert on_equations(twice, np.array([0.0, 1.0]), x) is None


def test_products_with_sparse_points():
    A = np.random.default_rng(0).standard_normal((130, 520))
    x = np.zeros(520)
    np.testing.assert_array_equal((A @ variable(520))(x), np.zeros(130))
    x[[3, 500]] = 2.0, -1.0
    np.testing.assert_allclose((A @ variable(520))(x), A @ x, atol=1e-13)


def test_maps_that_are_products_only_are_left_alone():
    A, b, _ = data(0)
    from scipy.sparse.linalg import aslinearoperator

    f = squared_norm(linear(aslinearoperator(A)) @ X - b) + norm1(X)
    assert minimize(f, np.zeros(N)).success
