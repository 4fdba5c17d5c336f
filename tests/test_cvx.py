"""Reference solutions and projections through cvxpy."""

import itertools

import numpy as np
import pytest

import subgrad as sg
from subgrad import Ball, Box, Indicator, Interval, norm1, norm2, norm_inf, variable
from subgrad.core import Function
from subgrad.cvx import Disagreement, project, reference

rng = np.random.default_rng(0)
A, b = rng.standard_normal((16, 3)), rng.standard_normal(16)
LAD = norm1(A @ variable(3) - b)


def vertices():
    """min |A x - b|_1 over the points where three residuals vanish."""
    rows = np.array(list(itertools.combinations(range(16), 3)))
    x = np.linalg.solve(A[rows], b[rows][..., None])[..., 0]
    return LAD(x).min()


def test_reference_finds_the_vertex():
    found = reference(LAD)
    assert found.fun == pytest.approx(vertices(), rel=1e-7)
    assert found.fun == LAD(found.x) and found.status == "optimal"
    assert found.solver == "CLARABEL" and found.confirmed_by == "SCS"
    assert found.seconds > 0


@pytest.mark.parametrize("solver", ["CLARABEL", "SCS", "OSQP"])
def test_any_solver_is_confirmed_by_another(solver):
    found = reference(LAD, solver=solver, tol=1e-3)
    assert found.solver == solver != found.confirmed_by
    assert found.fun == pytest.approx(vertices(), rel=1e-3)


def test_reference_of_a_cone_program_and_of_a_quadratic_one():
    y = A @ np.linalg.lstsq(A, b)[0]
    found = reference(norm2(A @ variable(3) - b))
    assert found.confirmed_by == "SCS"
    assert found.fun == pytest.approx(np.linalg.norm(y - b), rel=1e-8)
    found = reference(sg.squared_norm(A @ variable(3) - b))
    scale = sg.squared_norm(np.ones(2)) / 2
    assert found.fun == pytest.approx(scale * np.sum((y - b) ** 2), rel=1e-7)


def test_reference_with_a_constraint():
    c = np.array([2.0, -1.0, 0.5])
    S = Ball(np.zeros(3), 1.0)
    for found in (
        reference(sg.Linear(c), constraint=S),
        reference(sg.Linear(c) + Indicator(S)),
    ):
        assert found.fun == pytest.approx(-np.linalg.norm(c), rel=1e-7)
        assert S.contains(found.x)
    free = Box(Interval(np.full(3, 1.0), np.full(3, np.inf)))
    assert reference(norm_inf, constraint=free).fun == pytest.approx(1.0, rel=1e-7)


def test_reference_needs_n():
    with pytest.raises(ValueError, match="n must be given"):
        reference(norm1)
    assert reference(norm1, 3).fun == pytest.approx(0.0, abs=1e-8)


def test_unbounded_is_no_optimum():
    with pytest.raises(ArithmeticError, match="unbounded"):
        reference(sg.Linear([1.0, 2.0]))


def test_infeasible_is_no_optimum():
    class Nowhere(Function):
        n = 1

        def _cvxpy(self, x):
            import cvxpy as cp

            return cp.transforms.indicator([x <= -1, x >= 1])

        def _value(self, x):
            return np.full(x.shape[:-1], np.inf)

    with pytest.raises(ArithmeticError, match="infeasible"):
        reference(Nowhere())


def test_a_second_opinion_that_differs_is_raised(monkeypatch):
    import cvxpy as cp

    solve = cp.Problem.solve

    def crooked(self, *args, **options):
        solve(self, *args, **options)
        if options["solver"] == "SCS":
            for x in self.variables():
                x.save_value(x.value + 0.01)

    monkeypatch.setattr(cp.Problem, "solve", crooked)
    with pytest.raises(Disagreement, match="SCS"):
        reference(LAD)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_no_wrong_optimum_of_a_bounded_hinge():
    """Here HiGHS through cvxpy 1.9 answers 1, status optimal; the minimum is 0."""
    X = np.array([[1.0, 1.0], [1.0, -1.0]])
    f = sg.hinge_loss(np.ones(2) * (X @ variable(2)))
    S = Box(Interval([-5.0, -5.0], [5.0, 5.0]))
    assert reference(f, constraint=S).fun == pytest.approx(0.0, abs=1e-7)
    try:
        assert reference(f, constraint=S, solver="HIGHS").fun < 1e-7
    except Disagreement:
        pass


SETS = {
    "box": Box(Interval([-1.0, 0.0, -np.inf], [1.0, np.inf, 2.0])),
    "ball": Ball(np.ones(3), 2.0),
    "simplex": sg.Simplex(3),
    "cross-polytope": sg.CrossPolytope(3),
    "half-space": sg.HalfSpace(np.array([1.0, 2.0, -1.0]), 0.5),
    "hull": sg.Hull(rng.standard_normal((6, 3))),
    "subspace": sg.AffineSubspace([0.1, 0.2, 0.3], [[1.0, -1.0, 2.0]]),
    "zonotope": A[:5].T @ Box(Interval(-np.ones(5), np.ones(5))),
    "ball and box": Ball(np.zeros(3), 1.0) + Box(Interval(np.zeros(3), np.ones(3))),
}


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_project(name, scale):
    S, y = SETS[name], scale * np.random.default_rng(1).standard_normal(3)
    assert np.linalg.norm(project(S, y) - S.project(y)) <= 1e-6 * (1 + scale)


def test_project_on_a_batch():
    S = Ball(np.arange(6.0).reshape(2, 3), np.array([1.0, 2.0]))
    y = np.random.default_rng(1).standard_normal((2, 3))
    assert np.allclose(project(S, y), S.project(y), atol=1e-8)
    assert project(SETS["simplex"], np.zeros((2, 2, 3))).shape == (2, 2, 3)


def test_project_on_a_domain():
    f = Indicator(Ball(np.zeros(2), 1.0))(2.0 * variable(2) - 2.0)
    assert np.allclose(project(f.domain, [3.0, 1.0]), [1.5, 1.0], atol=1e-6)


def test_project_refuses():
    with pytest.raises(ValueError, match="empty"):
        project(sg.Empty(2), [0.0, 0.0])
    with pytest.raises(ValueError, match="y"):
        project(Ball(np.zeros(2)), [0.0, np.nan])
    with pytest.raises(ValueError, match="y"):
        project(Ball(np.zeros(2)), [0.0, 1.0, 2.0])
