"""What `to_cvxpy` says of every row of the table, solved by Clarabel."""

from __future__ import annotations

import warnings

import cvxpy as cp
import numpy as np
import pytest
from table import FUNCTIONS, SETS, A, b, x

import subgrad as sg
from subgrad import compose, group_norm, max_entry, norm1, norm2, norm_inf, sum_largest

with_form = [r for r in FUNCTIONS if r.cvxpy]
OPTIONS = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), 1e-10)


def solve(problem: cp.Problem) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # accuracy is checked by the caller
        problem.solve(solver="CLARABEL", **OPTIONS)
    return float(problem.solution.opt_val)


@pytest.mark.parametrize("row", with_form, ids=[r.name for r in with_form])
def test_function(row):
    """min f(u) + |u - x|²/2 by cvxpy is attained at the prox, or not below the law."""
    f, n = row.f, row.n
    for z in row.points()[[0, 4, -1]]:
        u = cp.Variable(n)
        best = solve(
            cp.Problem(cp.Minimize(cp.sum(f.to_cvxpy(u)) + cp.sum_squares(u - z) / 2))
        )
        v = u.value
        p = f.prox(z) if row.prox else None
        if p is not None:
            np.testing.assert_allclose(v, p, atol=2e-4)
            np.testing.assert_allclose(best, objective(f, p, z), atol=1e-6)
        else:
            # cvxpy's minimum is the value at its point, and below that at the others.
            w = _inside(f, v)
            np.testing.assert_allclose(best, objective(f, w, z), atol=1e-5)
            r = np.random.default_rng(14).standard_normal((200, n))
            near = np.concatenate([w + 1e-3 * r, w + 0.1 * r, row.points()])
            assert objective(f, near, z).min() >= best - 1e-5


def objective(f: sg.Function, u: np.ndarray, z: np.ndarray) -> np.ndarray:
    return f.value(u) + ((u - z) ** 2).sum(-1) / 2


def _inside(f: sg.Function, v: np.ndarray) -> np.ndarray:
    """v, moved into the domain when rounding has left it."""
    if np.isfinite(f.value(v)):
        return v
    for t in 10.0 ** np.arange(-9, -2):
        for c in (np.zeros(v.size), np.full(v.size, 0.5), np.ones(v.size)):
            if np.isfinite(f.value(w := v + t * (c - v))):
                return w
    snapped = np.round(v, 5)
    assert np.isfinite(f.value(snapped)), v
    return snapped


bounded_forms = {k: S for k, S in SETS.items() if S.nonempty}


@pytest.mark.parametrize("S", bounded_forms.values(), ids=bounded_forms)
def test_set(S):
    r = np.random.default_rng(11)
    for y in 3 * r.standard_normal((2, S.dim)):
        z = cp.Variable(S.dim)
        solve(cp.Problem(cp.Minimize(cp.sum_squares(z - y)), S.to_cvxpy(z)))
        np.testing.assert_allclose(z.value, S.project(y), atol=1e-4)
    # scale: z in 2 S, by a number and by a variable.
    for scale in (2.0, cp.Variable(nonneg=True)):
        z = cp.Variable(S.dim)
        sides = S.to_cvxpy(z, scale)
        sides += [scale == 2] if isinstance(scale, cp.Variable) else []
        solve(cp.Problem(cp.Minimize(cp.sum_squares(z - y)), sides))
        np.testing.assert_allclose(z.value, (2 * S).project(y), atol=2e-4)


@pytest.mark.parametrize("S", bounded_forms.values(), ids=bounded_forms)
def test_support_function(S):
    """min h_S(u) + |u - y|²/2 is attained at y - P_S(y)."""
    y = np.random.default_rng(12).standard_normal(S.dim) * 2
    u = cp.Variable(S.dim)
    h = sg.Support(S).to_cvxpy(u)
    solve(cp.Problem(cp.Minimize(h + cp.sum_squares(u - y) / 2)))
    np.testing.assert_allclose(u.value, y - S.project(y), atol=2e-4)


def test_empty():
    z = cp.Variable(3)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(z)), SETS["empty"].to_cvxpy(z))
    problem.solve(solver="CLARABEL")
    assert problem.status in ("infeasible", "infeasible_inaccurate")


# Membership of compositions at points with ties, by cvxpy on the same set.

y3 = np.zeros(3)
tie = np.array([1.0, 1.0, 0.0])
group = group_norm([0, 0, 1], [1.0, 2.0])
TIED = {
    "norm1 at 0": (norm1(x), y3),
    "norm2 at 0": (norm2(x), y3),
    "group norm, one group at 0": (group(x), np.array([0.0, 0, 2])),
    "max of a tie": (max_entry(x), tie),
    "sum of 2 largest, tied": (sum_largest(2)(x), np.array([2.0, 1, 1])),
    "norm2 of norms at 0": (compose(norm2, norm1(x), norm2(x)), y3),
    "norm of maps at a tie": (norm1(A @ x - b) + norm_inf(x), tie),
    "max of norms": (sg.maximum(norm1(x), 2 * norm_inf(x), norm2(2 * x)), tie),
    "three deep": (
        compose(norm_inf, compose(norm1, norm2(x), norm_inf(A @ x)), 2 * group(x)),
        y3,
    ),
    "three deep, on an axis": (
        compose(max_entry, compose(norm2, group(x), norm1(x)), norm1(2 * x)),
        np.array([1.0, 0, 0]),
    ),
    "sum of largest of compositions": (
        compose(sum_largest(2), norm1(x), norm_inf(x), compose(sg.relu, norm2(x) - 1)),
        y3,
    ),
}


@pytest.mark.parametrize("f, at", TIED.values(), ids=TIED)
def test_membership_agrees_with_cvxpy(f, at):
    S = f.subdifferential(at)
    assert S.exact and S.nonempty
    r = np.random.default_rng(13)
    points = [S.support_point(d) for d in r.standard_normal((6, 3))]
    members = list(r.dirichlet(np.ones(6), 4) @ np.array(points))
    # Beyond the boundary in a random direction, and anywhere.
    others = [
        s + 0.05 * d for s, d in zip(points, r.standard_normal((6, 3)), strict=True)
    ]
    others += list(2 * r.standard_normal((4, 3)))
    for z in members + others:
        v = cp.Variable(3)
        distance = np.sqrt(
            max(
                solve(cp.Problem(cp.Minimize(cp.sum_squares(v - z)), S.to_cvxpy(v))),
                0.0,
            )
        )
        assert abs(S.distance(z) - distance) <= 2e-4
        if distance > 1e-3:
            assert not S.contains(z)
    for z in members:
        assert S.contains(z)


X2, labels = np.array([[1.0, 1], [1, -1]]), np.ones(2)
v2 = sg.variable(2)
HINGES = {
    "relu": sg.separable(sg.relu)(1 - labels * (X2 @ v2)),
    "hinge": sg.hinge_loss(labels * (X2 @ v2)),
    "norm1": norm1(1 - 2 * (X2 @ v2)),
    "norm_inf": norm_inf(1 - labels * (X2 @ v2)),
    "max entry": max_entry(1 - labels * (X2 @ v2)) + norm1(2 * (X2 @ v2)),
}


@pytest.mark.parametrize("f", HINGES.values(), ids=HINGES)
def test_reductions_with_bounds_agree(f):
    """HiGHS in cvxpy 1.9.3 uses bounds that are wrong for plain hinge expressions."""
    values = []
    for solver in ("CLARABEL", "HIGHS"):
        z = cp.Variable(2)
        problem = cp.Problem(cp.Minimize(f.to_cvxpy(z)), [cp.abs(z) <= 5])
        problem.solve(solver=solver)
        values.append(f.value(z.value))
    np.testing.assert_allclose(values[0], values[1], atol=1e-6)


def test_an_expression_with_bounds():
    z = cp.Variable(2)
    f = sg.separable(sg.relu).to_cvxpy(1 - cp.multiply(labels, X2 @ z))
    problem = cp.Problem(cp.Minimize(f), [cp.abs(z) <= 5])
    for solver in ("CLARABEL", "HIGHS"):
        problem.solve(solver=solver)
        assert abs(problem.value) <= 1e-6
