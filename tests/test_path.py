"""Paths: problems one after the other, each continued from those before."""

import numpy as np
import pytest

from subgrad import (
    absolute,
    elastic_net,
    group_norm,
    norm1,
    separable,
    squared_norm,
    variable,
)
from subgrad.operators import Matrix
from subgrad.solvers import Problem, minimize, path
from subgrad.solvers.path import _steps
from subgrad.solvers.structured import choice, sieve
from subgrad.solvers.structured.choice import plan_of
from subgrad.solvers.structured.form import Remembered, renewed
from subgrad.solvers.structured.sieve import Sieve
from subgrad.solvers.structured.terms import structure

M, N = 20, 60
X = variable(N)
RNG = np.random.default_rng(0)
A = RNG.standard_normal((M, N))
B = A[:, :3] @ np.array([1.0, -2.0, 0.5]) + 0.01 * RNG.standard_normal(M)
TOP = float(np.abs(A.T @ B).max())
LOSS = 0.5 * squared_norm(A @ X - B)
WEIGHTS = TOP * np.geomspace(1, 1e-2, 20)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(sieve, "LARGE", 0)


def proved(functions, found):
    for f, r in zip(functions, found, strict=True):
        assert r.gap <= 1e-6 * max(1.0, abs(r.fun))
        assert r.certificate.verify(f)
        alone = minimize(f, np.zeros(N))
        assert abs(r.fun - alone.fun) <= 2e-6 * max(1.0, abs(alone.fun))


def test_values_on_a_piece_of_a_line_need_no_step():
    functions = [LOSS + w * norm1(X) for w in WEIGHTS[2] * np.linspace(1, 0.98, 9)]
    found = path(functions, np.zeros(N))
    assert sum(r.nit > 0 for r in found) <= 3
    proved(functions, found)


@pytest.mark.parametrize(
    "g",
    [
        norm1(X),
        separable(absolute, 1 + np.arange(N) % 3)(X),
        group_norm(np.arange(N) // 3)(X),
        elastic_net(1.0, 0.7)(X),
        norm1(X) + 0.3 * squared_norm(X),
    ],
)
def test_every_value_is_proved(g):
    functions = [LOSS + w * g for w in WEIGHTS]
    found = path(functions, np.zeros(N))
    assert sum(r.nit for r in found) < 2 * len(functions)
    proved(functions, found)


def test_the_functions_may_be_others():
    functions = [
        LOSS + WEIGHTS[9] * norm1(X),
        LOSS + WEIGHTS[5] * norm1(X),
        LOSS + WEIGHTS[7] * norm1(X),
        norm1(A @ X - B) + 3 * norm1(X),
        norm1(A @ X - B) + 2 * norm1(X),
        norm1(A @ X - B) + 1 * norm1(X),
        LOSS + 0.1 * squared_norm(X),
    ]
    proved(functions, path(functions, np.zeros(N)))


def test_a_form_is_renewed_for_other_weights_only(monkeypatch):
    old = plan_of(LOSS + WEIGHTS[3] * norm1(X), N)
    f = 2 * LOSS + WEIGHTS[4] * norm1(X)
    new, afresh = renewed(old, structure(f, N)), plan_of(f, N)
    assert new.blocks[0].op is old.blocks[0].op
    assert new.dual
    np.testing.assert_array_equal(new.q, afresh.q)
    np.testing.assert_array_equal(new.c, afresh.c)
    x, one = RNG.standard_normal(N), np.ones(1)
    np.testing.assert_array_equal(new.dual_prox(x, one), afresh.dual_prox(x, one))
    others = [
        LOSS + norm1(X) + X[0],
        LOSS + norm1(X) + squared_norm(X),
        LOSS + norm1(X - 1.0),
        LOSS + group_norm(np.arange(N) // 3)(X),
        squared_norm(A @ X - 2 * B) + norm1(X),
        squared_norm((2 * A) @ X - B) + norm1(X),
        LOSS + norm1(A @ X) + norm1(X),
    ]
    assert [renewed(old, structure(f, N)) for f in others] == [None] * len(others)
    # It is asked for by the problems of a path.
    monkeypatch.setattr(choice, "plan_of", None)
    problem = Problem(f)
    problem.known[choice.BEFORE] = old
    assert choice.planned(problem, N).blocks[0].op is old.blocks[0].op


def test_a_start_that_is_the_end_builds_no_method():
    f = LOSS + WEIGHTS[5] * norm1(X)
    end = minimize(f, np.zeros(N))
    again = minimize(f, end)
    assert again.nit == 0
    run = Sieve(plan_of(f, N), -end.dual[0], end.x)
    assert run.near
    assert "inner" not in vars(run)
    run.step()
    np.testing.assert_allclose(run.y, end.x, atol=1e-5)
    assert not Sieve(plan_of(f, N), -0.9 * end.dual[0], end.x).near


def test_products_on_lines_through_earlier_ends_are_known():
    runs, form = [], plan_of(LOSS + norm1(X), N)
    for w in WEIGHTS[4:7]:
        run = Sieve(renewed(form, structure(LOSS + w * norm1(X), N)), None, None)
        run.step()
        runs.append(run)
    passes = run.passes
    u = runs[2].x + 0.7 * (runs[2].x - runs[1].x)
    np.testing.assert_allclose(run._near(u), form.linear(u), atol=1e-10)
    assert run.passes == passes
    v = u + np.eye(M)[0]
    np.testing.assert_allclose(run._near(v), form.linear(v), atol=1e-10)
    assert run.passes == passes + 1


def test_lines_of_weights():
    a, b = np.array([1.0, 4.0]), np.array([1.0, 2.0])
    assert _steps(a, b, np.array([1.0, 1.0])) == pytest.approx(0.5)
    assert _steps(a, b, b) == 0
    for c in ([1.1, 1.0], [1.0, 3.0], [1.0, -100.0], [1.0]):
        assert _steps(a, b, np.array(c)) is None
    assert _steps(a, a, b) is None


def test_maps_remember_their_last_products():
    calls = []

    class Counted(Matrix):
        def forward(self, x):
            calls.append(1)
            return super().forward(x)

    op, x = Remembered(Counted(A)), RNG.standard_normal(N)
    first = op.forward(x)
    np.testing.assert_array_equal(op.forward(x.copy()), first)
    assert len(calls) == 1
    np.testing.assert_array_equal(op.forward(2 * x), A @ (2 * x))
