"""Polyhedral atoms as boxes: solutions, multipliers and bounds of what is lifted."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from subgrad import (
    Box,
    CappedSimplex,
    CrossPolytope,
    Indicator,
    Interval,
    Simplex,
    Support,
    cvar,
    hinge_loss,
    max_entry,
    norm1,
    norm_inf,
    ordered_sum,
    owl,
    ptp,
    squared_norm,
    sum_largest,
    variable,
)
from subgrad.solvers import Gap, MaxIter, minimize
from subgrad.solvers.structured.choice import in_boxes
from subgrad.solvers.structured.domains import dual_set
from subgrad.solvers.structured.form import primal
from subgrad.solvers.structured.front import Structured
from subgrad.solvers.structured.interior_point import InteriorPoint
from subgrad.solvers.structured.lifts import Lifted, lift, lift_form, split
from subgrad.solvers.structured.normal import normal
from subgrad.solvers.structured.terms import structure, unscaled


def reference(f):
    """The optimal value by cvxpy and Clarabel."""
    import cvxpy as cp

    x = cp.Variable(f.n)
    problem = cp.Problem(cp.Minimize(f.to_cvxpy(x)))
    return problem.solve(solver="CLARABEL", tol_gap_rel=1e-9, tol_gap_abs=1e-9)


def solved(f, tol=1e-8):
    """The result, by interior points, checked."""
    s = structure(f)
    assert in_boxes(primal(s))
    found = minimize(f, np.zeros(f.n), Structured(tol=tol), MaxIter(60) | Gap(tol))
    assert found.status == "gap", found.message
    assert (
        found.lower_bound <= found.fun <= found.lower_bound + tol * (1 + abs(found.fun))
    )
    assert found.certificate.verify(f)
    for t, y in zip(s.terms, found.dual, strict=True):
        # Multipliers are those of the source: in the set of their own atom.
        a, h = unscaled(t.h)
        if y is not None and (S := dual_set(h, len(y))) is not None:
            assert S.contains(y / a, 1e-6)
    return found


def capped(n):
    return Indicator(CappedSimplex(0.0, 1.0, 1.5, n))


ATOMS = {
    "max": lambda m: max_entry,
    "sum of largest": lambda m: sum_largest(3.5),
    "risk": lambda m: cvar(0.8),
    "uniform": lambda m: norm_inf,
    "cross-polytope": lambda m: 0.3 * Support(CrossPolytope(m, 2.0)),
    "capped": lambda m: Support(CappedSimplex(-0.1, np.linspace(0.1, 1, m), 1.0)),
    "k largest of |x|": lambda m: owl(np.r_[np.ones(3), np.zeros(m - 3)]),
    "two weights": lambda m: owl(np.r_[3.0, 2.0, np.ones(m - 2)]),
}


@pytest.mark.parametrize("name", ATOMS)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_atoms_alone_are_solved_to_a_proved_gap(name, scale):
    rng = np.random.default_rng(3)
    A, b = scale * rng.standard_normal((24, 3)), rng.standard_normal(24)
    f = ATOMS[name](24)(A @ variable(3) + b)
    found = solved(f)
    assert_allclose(found.fun, reference(f), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("kind", [ptp, ordered_sum([3.0, 1.0, 1.0, 0.0, -1.0, -1.0])])
def test_ordered_sums_in_a_box(kind):
    rng, x = np.random.default_rng(0), variable(4)
    box = Indicator(Box(Interval(np.full(4, -0.5), np.full(4, 0.7))))
    f = kind(rng.standard_normal((6, 4)) @ x + rng.standard_normal(6)) + box(x)
    assert_allclose(solved(f).fun, reference(f), atol=1e-6)


def mixtures():
    rng, x = np.random.default_rng(5), variable(5)
    A, B = rng.standard_normal((20, 5)), rng.standard_normal((15, 5))
    b, d = rng.standard_normal(20), rng.standard_normal(15)
    box = Indicator(Box(Interval(np.full(5, -0.2), np.full(5, 0.3))))
    simplex = Indicator(Simplex(5))
    yield norm1(A @ x - b) + 3.0 * norm_inf(x)
    yield max_entry(A @ x + b) + box(x)
    yield cvar(0.7)(A @ x + b) + 0.2 * norm1(x) + simplex(x)
    yield 2.0 * max_entry(A @ x + b) + norm_inf(B @ x - d) + hinge_loss(B @ x)
    yield sum_largest(2)(A @ x + b) + 0.1 * squared_norm(x - 1.0)
    yield hinge_loss(A @ x + b) + capped(5)(x)
    yield norm_inf(A @ x) + simplex(B[:5] @ x + d[:5]) + 0.1 * norm1(x)
    yield 1e3 * max_entry(1e-3 * A @ x + b) + 1e-2 * norm_inf(1e2 * B @ x) + box(x)


@pytest.mark.parametrize("f", list(mixtures()))
def test_mixtures(f):
    assert_allclose(solved(f, 1e-7).fun, reference(f), rtol=1e-6, atol=1e-6)


def corners():
    one, two, three = variable(1), variable(2), variable(3)
    ties = np.array([[1.0, 1], [1, -1], [-1, 1], [1, 1], [-1, -1.0]])
    yield max_entry(np.array([[1.0]]) @ one) + 0.5 * squared_norm(one)
    yield norm_inf(np.array([[2.0]]) @ one - 1.0) + norm1(one)
    yield sum_largest(4)(np.arange(8.0).reshape(4, 2) @ two) + Indicator(Simplex(2))(
        two
    )
    yield cvar(0.0)(np.eye(3) @ three) + 2.0 * norm_inf(three - 1.0)
    yield owl([2.0, 2.0])(np.eye(2) @ two - 1.0) + norm1(two)
    yield max_entry(ties @ two) + norm_inf(ties @ two)
    yield max_entry(np.zeros((3, 2)) @ two + 1.0) + norm1(two)


@pytest.mark.parametrize("f", list(corners()))
def test_corners(f):
    assert_allclose(solved(f).fun, reference(f), atol=1e-7)


def test_what_the_lift_is_worth_at_its_best():
    """h(z) is the least over s of <cost, s> and the boxes at z[row] + E' s."""
    from scipy.optimize import linprog

    rng = np.random.default_rng(1)
    for make in (*ATOMS.values(), lambda m: ptp):
        h, z = make(7), rng.standard_normal(7)
        found = lift(h, 7)
        box, K = found.box, len(found.cost)
        m = len(box.b)
        # max(low v, high v) <= r with v = z[row] + E' s + b, the sum of r at its least.
        v = z[box.row] + box.b
        rows = [
            np.hstack([end[:, None] * found.E.T, -np.eye(m)])
            for end in (box.low, box.high)
        ]
        limit = np.concatenate([-box.low * v, -box.high * v])
        cost = np.concatenate([found.cost, np.ones(m)])
        least = linprog(
            cost, np.concatenate(rows), limit, bounds=[(None, None)] * (K + m)
        )
        assert_allclose(least.fun, h(z), atol=1e-8)
        assert np.all(found.box.low <= found.box.high)


@pytest.mark.parametrize("q", [0.0, 0.3])
def test_systems_of_lifts_are_solved(q):
    rng, x = np.random.default_rng(2), variable(4)
    A = rng.standard_normal((9, 4))
    f = max_entry(A @ x) + norm_inf(A[:6] @ x - 1.0) + Indicator(Simplex(4))(x)
    form, sums = split(primal(structure(f + 0.5 * q * squared_norm(x))))
    assert sums == [slice(15, 19)]
    found, q = lift_form(form), form.q
    rows = np.concatenate(
        [k.matrix if isinstance(k.matrix, np.ndarray) else k.matrix.toarray()
         for k in form.blocks]
    )[found.box.row]  # fmt: skip
    base = normal(form)

    class Rows:
        q, balance, norms = base.q, base.balance, base.norms

        def forward(self, x):
            return rows @ x

        def adjoint(self, y):
            return y @ rows

        def factor(self, D):
            H = np.diag(q) + rows.T @ (D[:, None] * rows)

            def saddle(r, s):
                dx = np.linalg.solve(H, -r - rows.T @ (D * s))
                return dx, D * (rows @ dx + s), rows @ dx

            return saddle

    whole = Lifted(Rows(), found.E, q)
    D = 10.0 ** rng.uniform(-3, 3, len(rows))
    r, s = rng.standard_normal(len(q) + 2), rng.standard_normal(len(rows))
    dx, dy, dz = whole.factor(D)(r, s.copy())
    assert_allclose(np.r_[q, 0, 0] * dx + whole.adjoint(dy), -r, atol=1e-9)
    assert_allclose(dz, whole.forward(dx), atol=1e-9)
    assert_allclose(dy, D * (dz + s), rtol=1e-6, atol=1e-9)


def test_no_solution_is_proved():
    x = variable(3)
    A = np.random.default_rng(0).standard_normal((5, 3)) + 2.0
    low = minimize(max_entry(A @ x) + norm_inf(x[:1]), np.zeros(3))
    assert low.status == "unbounded" and low.certificate.verify(
        max_entry(A @ x) + norm_inf(x[:1])
    )
    apart = Indicator(Simplex(3))(x) + Indicator(Simplex(3))(x - 1.0)
    f = max_entry(A @ x) + apart
    none = minimize(f, np.full(3, 1 / 3), Structured())
    assert none.status == "infeasible" and none.certificate.verify(f)


def test_results_are_warm_starts():
    rng, x = np.random.default_rng(4), variable(4)
    A, b = rng.standard_normal((30, 4)), rng.standard_normal(30)
    cold = minimize(max_entry(A @ x + b), np.zeros(4))
    near = max_entry(A @ x + 1.001 * b)
    warm = minimize(near, cold)
    assert warm.status == "gap" and warm.certificate.verify(near)
    assert_allclose(warm.fun, minimize(near, np.zeros(4)).fun, rtol=2e-6)


def test_what_is_no_lift_is_refused():
    x = variable(4)
    f = Support(CrossPolytope(4))(x) + Support(Simplex(4).exposed_face(np.ones(4)))(x)
    assert InteriorPoint(primal(structure(f))).path is not None
    with pytest.raises(ValueError, match="in simplices"):
        InteriorPoint(
            primal(structure(owl(np.arange(12.0)[::-1])(np.eye(12) @ variable(12))))
        )
