"""Batches of problems in one call, and their bounds."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from subgrad import (
    AffineSubspace,
    Ball,
    Box,
    Indicator,
    Interval,
    Simplex,
    group_norm,
    huber_loss,
    log_sum_exp,
    logistic_loss,
    max_entry,
    norm1,
    norm2,
    norm_inf,
    nuclear_norm,
    pinball_loss,
    squared_norm,
    sum_largest,
    variable,
)
from subgrad._batch import pick
from subgrad.solvers import Gap, MaxIter, minimize
from subgrad.solvers.structured import batch, reach
from subgrad.solvers.structured.batch import BatchCertificate, MemberCertificate
from subgrad.solvers.structured.batch_newton import BatchNewton
from subgrad.solvers.structured.front import Structured
from subgrad.solvers.structured.interior_point import reach as reach_of_boxes
from subgrad.solvers.structured.members import members
from subgrad.solvers.structured.normal import Dense
from subgrad.solvers.structured.terms import parts, structure

N, M, LEAD = 4, 10, (2, 2)
RNG = np.random.default_rng(0)
DATA, SIDES = RNG.standard_normal((*LEAD, M, N)), RNG.standard_normal((*LEAD, M))
WEIGHTS = np.array([[0.5], [2.0]])  # one per row of the batch
LEVELS = np.array([1.0, 2.5])  # one per column
LABELS = [0, 0, 1, 1]
LOW = -RNG.random((2, 1, N)) / 10
HALF = np.where(LOW < LOW[:1], LOW, -np.inf)  # infinite in some of the problems
GROUPS = 1 + RNG.random((2, 1, 2))


X = variable(N)
ABOVE = Box(Interval([0.0, 0.0], [np.inf, 1.0]))
PLANE = AffineSubspace(np.full(N, 1 / N), np.linalg.svd(np.ones((1, N)))[2][1:])


def residual(i=...):
    return DATA[i] @ X - SIDES[i]


def at(a, core, i):
    """The parameter of problem i, or of all."""
    return a if i is ... else pick(a, core, i)


def box(i):
    low = at(LOW, 1, i)
    return Box(Interval(low, -low))


# Of problem i of the batch, or of all of them.
NEWTON = {
    "group lasso": lambda i: (
        0.5 * squared_norm(residual(i)) + at(WEIGHTS, 0, i) * group_norm(LABELS)(X)
    ),
    "group weights": lambda i: (
        norm1(residual(i)) + group_norm(LABELS, at(GROUPS, 1, i))(X)
    ),
    "half boxes": lambda i: (
        norm1(residual(i)) + Indicator(Box(Interval(at(HALF, 1, i), -at(LOW, 1, i))))(X)
    ),
    "logistic": lambda i: (
        logistic_loss(residual(i)) + at(WEIGHTS, 0, i) * squared_norm(X - 1.0)
    ),
    "sparse logistic": lambda i: (
        logistic_loss(residual(i)) + at(WEIGHTS, 0, i) * norm1(X)
    ),
    "huber": lambda i: (
        huber_loss(0.5)(residual(i)) + at(WEIGHTS, 0, i) * norm2(X) + 0.1 * X[0]
    ),
    "levels": lambda i: (
        pinball_loss(at(LEVELS, 0, i) / 4)(residual(i)) + norm2(X - 1.0)
    ),
    "largest": lambda i: max_entry(residual(i)) + 3.0 * norm2(X),
    "largest few": lambda i: sum_largest(at(LEVELS, 0, i))(residual(i)) + 9 * norm2(X),
    "soft maximum": lambda i: log_sum_exp(residual(i)) + squared_norm(X),
    "balls": lambda i: (
        norm1(residual(i)) + Indicator(Ball(np.zeros(N), at(LEVELS / 10, 0, i)))(X)
    ),
    "plane": lambda i: norm2(residual(i)) + Indicator(PLANE)(X),
    "boxes": lambda i: norm2(residual(i)) + Indicator(box(i))(X),
    "nuclear": lambda i: (
        0.5 * squared_norm(residual(i)) + at(WEIGHTS, 0, i) * nuclear_norm.at((2, 2))(X)
    ),
}
BOXES = {
    "lasso": lambda i: (
        0.5 * squared_norm(residual(i)) + at(WEIGHTS, 0, i) * norm1(X - 1.0)
    ),
    "lad on a simplex": lambda i: norm1(residual(i)) + Indicator(Simplex(N))(X),
    "lad on boxes": lambda i: norm1(residual(i)) + Indicator(box(i))(X),
    "lad on a plane": lambda i: norm1(residual(i)) + Indicator(PLANE)(X),
    "lad above": lambda i: (
        norm1(residual(i))
        + Indicator(Box(Interval([0.0, 0], [np.inf, 1])))(X[:2] - 0.1)
    ),
}
# Multipliers of these may have no room in boxes: then Newton's method is asked.
LIFTED = {
    "uniform": lambda i: norm_inf(residual(i)) + at(WEIGHTS, 0, i) * norm_inf(X),
    "largest of few": lambda i: max_entry(residual(i)) + at(WEIGHTS, 0, i) * norm1(X),
}


def alone(model):
    """The values of the problems, each solved by itself."""
    each = np.empty(LEAD)
    for i in np.ndindex(LEAD):
        found = minimize(model(i), np.zeros(N), Structured(tol=1e-9), Gap(1e-9))
        each[i] = found.fun
        assert found.success
    return each


@pytest.mark.parametrize("name", [*NEWTON, *BOXES, *LIFTED])
def test_a_batch_agrees_with_its_problems(name):
    model = (NEWTON | BOXES | LIFTED)[name]
    f = model(...)
    found = minimize(f, np.zeros(N), stop=Gap(1e-8) | MaxIter(3))
    assert "'structured'" in found.message and np.all(found.success)
    assert np.all(found.nit == 1) and found.x.shape == (*LEAD, N)
    each = alone(model)
    assert_allclose(found.fun, each, rtol=3e-8, atol=3e-8)
    assert np.all(found.lower_bound <= each + 1e-11)
    proof = found.certificate
    kind = MemberCertificate if name in NEWTON else BatchCertificate
    assert proof.verify(f) and (name in LIFTED or type(proof) is kind)
    assert pickle.loads(pickle.dumps(proof)).verify(f)
    high = each + 2e-8 * np.maximum(1, np.abs(each))
    one = np.where(np.arange(4).reshape(LEAD) == 3, high, found.lower_bound)
    for claim in (high, one, np.full(LEAD, np.nan)):
        assert not claiming(proof, claim).verify(f)
    for y, t in zip(found.dual, parts(f, N).terms, strict=True):
        assert y is None or y.shape == (*LEAD, t.op.rows)


def claiming(proof, lower):
    if isinstance(proof, BatchCertificate):
        return replace(proof, lower_bound=lower)
    changed = proof.parts.copy()
    for i, part in np.ndenumerate(proof.parts):
        changed[i] = replace(part, lower_bound=float(lower[i]))
    return replace(proof, parts=changed)


def test_certificates_of_members_are_of_their_problems():
    f = NEWTON["group lasso"](...)
    found = minimize(f, np.zeros(N))
    proof = found.certificate
    assert not replace(proof, parts=proof.parts[::-1]).verify(f)
    assert not replace(proof, parts=proof.parts[:1]).verify(f)
    assert proof.verify(f) and not proof.verify(0.5 * f)
    for wrong in (proof.parts.tolist(), np.zeros(LEAD), np.full(LEAD, None)):
        with pytest.raises(TypeError, match="parts"):
            replace(proof, parts=wrong).verify(f)


def test_constraints_count_in_the_proof():
    for name in ("lad", "norm"):
        h = norm1 if name == "lad" else norm2
        f, ball = h(residual()), Ball(np.zeros(N), 0.1)
        for C in (Simplex(N), ball):
            found = minimize(f, np.zeros(N), constraint=C)
            assert np.all(found.success) and np.all(C.contains(found.x))
            assert C is ball or abs(found.x.sum(-1) - 1).max() <= 4e-16
            proof = found.certificate
            assert proof.verify(f) and proof.verify(f + Indicator(C))
            assert not replace(proof, constraint=None).verify(f)


def test_variables_of_lifts_are_part_of_the_proof():
    f = LIFTED["largest of few"](...)
    found = minimize(f, np.zeros(N))
    proof = found.certificate
    assert proof.verify(f) and proof.more.shape == (*LEAD, 1)
    assert not replace(proof, more=proof.more + 1e-3).verify(f)
    assert not replace(proof, more=None).verify(f)


def test_one_problem_from_several_points():
    f = norm2(residual((0, 0))) + norm1(X)
    starts = RNG.standard_normal((4, N))
    found = minimize(f, starts)
    assert found.x.shape == (4, N) and found.certificate.verify(f)
    assert_allclose(found.fun, minimize(f, np.zeros(N)).fun, rtol=2e-6)


@pytest.mark.parametrize("name", ["group lasso", "levels", "largest", "plane"])
def test_multipliers_of_a_batch_are_a_start(name, monkeypatch):
    f, steps = NEWTON[name](...), []
    plain = BatchNewton.step

    def step(self):
        steps[-1] += 1
        return plain(self)

    monkeypatch.setattr(BatchNewton, "step", step)
    steps.append(0)
    found = minimize(f, np.zeros(N))
    steps.append(0)
    again = minimize(f, found)
    assert np.all(again.success) and steps[1] <= 2 < steps[0]
    # Others are no start.
    other = minimize(norm2(residual()) + norm1(X), found)
    assert np.all(other.success)


def test_multipliers_of_boxes_are_those_of_the_terms():
    for name in ("lasso", "lad on a simplex", "lad on boxes"):
        f = BOXES[name](...)
        found = minimize(f, np.zeros(N), stop=Gap(1e-9))
        s = parts(f, N)
        r = s.q * found.x + s.c
        for t, y in zip(s.terms, found.dual, strict=True):
            r = r + t.op.adjoint(y)
            z = t.op.forward(found.x) + t.b
            # A subgradient: h(z) + h*(y) = <y, z>, by the prox.
            assert_allclose(t.h._prox(z + y, np.ones(())), z, atol=1e-4)
        assert_allclose(r, 0.0, atol=1e-6)


def test_problems_without_solutions_leave_the_others_alone():
    A = np.stack([np.eye(3), np.zeros((3, 3)), np.eye(3)])
    x = variable(3)
    slopes = np.array([[[0.0, 0, 0]], [[1, 0, 0]], [[0, 0.1, 0]]])
    f = norm2(A @ x - 1.0) + slopes @ x
    found = minimize(f, np.zeros(3), Structured(), Gap(1e-6) | MaxIter(3))
    assert found.success.tolist() == [True, False, True]
    assert found.status.tolist() == ["gap", "unbounded", "gap"]
    assert np.isneginf(found.lower_bound[1]) and found.certificate.verify(f)


def test_members_are_the_problems_of_the_batch():
    x = RNG.standard_normal((*LEAD, N)) / 50
    for model in (*NEWTON.values(), *BOXES.values()):
        f = model(...)
        values = f._value(x)
        some = (np.array([0, 1, 1]), np.array([1, 0, 1]))
        assert_allclose(members(f, some)._value(x[some]), values[some])
        for i in np.ndindex(LEAD):
            one = members(f, i)
            assert_allclose(one._value(x[i]), values[i], rtol=1e-12)
            assert one._value(x[i]).shape == ()


@pytest.mark.parametrize("name", NEWTON)
def test_matrices_of_a_step_are_those_of_the_problems(name):
    f = NEWTON[name](...)
    index = np.unravel_index(np.arange(4), LEAD)
    method = BatchNewton(parts(members(f, index), N), np.zeros((4, N)))
    blocks = method.blocks
    w = method.y + RNG.standard_normal(method.y.shape)
    sigmas = np.exp(RNG.standard_normal(method.sigmas.shape))
    found = blocks.gram(w, sigmas)
    for k, i in enumerate(np.ndindex(LEAD)):
        H = np.zeros((N, N))
        terms = structure(members(f, i), N).terms
        for t, cut, s in zip(terms, blocks.cuts, sigmas[k], strict=True):
            A = t.op.dense()
            H += s * A.T @ t.h._dual_prox_jacobian(w[k, cut], s).dense() @ A
        assert_allclose(found[k], H, atol=1e-10 * np.abs(H).max())


def test_the_reach_of_boxes_is_that_of_their_structure():
    A, b = DATA[0, 0], SIDES[0, 0]
    f = norm1(A @ X - b)
    proved = minimize(f, np.zeros(N), stop=Gap(1e-3))
    (y,), x = proved.dual, proved.x
    y = 0.9 * y
    s, z = structure(f), A @ x - b
    near = reach.reach(s, x, (y,))
    ends, none = np.stack([-np.ones(M), np.ones(M)]), np.zeros(M)
    gap, r = np.array(s.value(x) + b @ y - (A.T @ y) @ x), np.linalg.norm(A.T @ y)
    other = reach_of_boxes(Dense(np.zeros(N), A), gap, r, z, y, none, ends)
    assert np.isfinite(near)
    assert_allclose(other, near, rtol=1e-9)


def test_what_is_constant_has_minimisers_everywhere():
    x = variable(1)
    s = structure(max_entry(np.ones((3, 1)) @ x) - x)
    assert reach.reach(s, np.zeros(1), (np.full(3, 1 / 3),)) == 0  # one is x


def test_sums_over_rows_are_taken_in_parts(monkeypatch):
    f = norm1(residual((0, 0))) + norm_inf(residual((1, 0)))
    found = minimize(f, np.zeros(N))
    s, whole = structure(f), []
    for size in (1, 1 << 20):
        monkeypatch.setattr(reach, "SLICE", size)
        halves = tuple(y / 2 for y in found.dual)
        whole.append(reach.reach(s, found.x, halves))
    assert np.isfinite(whole[0])
    assert_allclose(*whole, rtol=1e-12)


def test_large_problems_and_weights_zero_go_elsewhere(monkeypatch):
    weights = np.array([[0.0], [1.0]])
    f = norm2(residual()) + weights * norm1(X)
    with pytest.raises(NotImplementedError, match="batch"):
        minimize(f, np.zeros(N), Structured())
    monkeypatch.setattr(batch, "COLUMNS", N - 1)
    with pytest.raises(NotImplementedError, match="batch"):
        minimize(norm2(residual()), np.zeros(N), Structured())
