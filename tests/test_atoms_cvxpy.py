"""Values and proximal points of every row of the table against cvxpy."""

from __future__ import annotations

import warnings
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
from table import FUNCTIONS

import subgrad as sg

rows = [r for r in FUNCTIONS if r.cvxpy]
TIGHT = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), 1e-11)


def solve(problem: cp.Problem, solver: str = "CLARABEL", **options: Any) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what was reached is judged by the caller
        try:
            problem.solve(solver=solver, **options)
        except cp.error.SolverError:
            return "failed"
    return problem.status


def told(e: Any, u: cp.Variable, x: np.ndarray) -> float:
    """The value cvxpy says the expression has at x, nan where it says none.

    Outside domains and on their boundaries that happens, or an error.
    """
    if [v.id for v in e.variables()] != [u.id]:
        return np.nan
    u.value = x
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            value = e.value
        except (np.linalg.LinAlgError, AssertionError):
            return np.nan
    return np.nan if value is None else float(np.sum(value))


@pytest.mark.parametrize("row", rows, ids=[r.name for r in rows])
def test_value(row):
    u, place = cp.Variable(row.n), cp.Parameter(row.n)
    e = row.f.to_cvxpy(u)
    points = row.points()
    left = []
    for x, value in zip(points, row.f.value(points), strict=True):
        found = told(e, u, x)
        if np.isfinite(value) and np.isfinite(found):
            assert abs(found - value) <= 1e-7 * (1 + abs(value)), (x, found, value)
        else:
            left.append((x, value))
    # Where nothing is said (or a value outside the domain): a problem at that point.
    problem = cp.Problem(cp.Minimize(cp.sum(e)), [u == place])
    for x, value in left[:: -(-len(left) // 4) or 1]:
        place.value = x
        status = solve(problem)
        # Not problem.value, which evaluates the objective at the computed point.
        best = float(problem.solution.opt_val) if "optimal" in status else np.inf
        if np.isfinite(value):
            assert abs(best - value) <= 1e-5 * (1 + abs(value)), (x, status, best)
        else:
            assert best > 1e4, (x, status, best)


def objective(f: sg.Function, p: np.ndarray, x: np.ndarray, t: float) -> float:
    return float(f.value(p) + ((p - x) ** 2).sum() / (2 * t))


def is_optimal(f: sg.Function, p: np.ndarray, x: np.ndarray, t: float) -> bool:
    """(x - p)/t in the 1e-8-subdifferential of f at p, by the inequality it means."""
    g = (x - p) / t
    r = np.random.default_rng(15)
    size = 1 + np.abs(p).max() + np.abs(x).max()
    steps = np.concatenate([np.eye(p.size), -np.eye(p.size)])
    steps = np.concatenate([steps, r.standard_normal((40, p.size))])
    y = np.concatenate([p + size * s * steps for s in (1e-6, 1e-3, 0.1, 1, 10.0)])
    slack = f.value(y) - f.value(p) - (y - p) @ g
    room = 1e-9 * (1 + abs(f.value(p)) + size * (1 + np.abs(g).max()))
    # The difference x - p is rounded, and g with it.
    room = room / size + 1e-15 * size / t
    return bool(np.all(slack >= -room * (size + np.abs(y - p).max(-1))))


def compare(f: sg.Function, x: np.ndarray, t: float, scale: float = 1.0) -> None:
    """prox_{t f}(x) against the minimum over v = u / scale found by cvxpy."""
    n, size = x.size, scale * (1 + np.abs(x / scale).max())
    given = f.prox(x, t)
    # Far from the domain it may be left by what rounding of x is.
    p = given if np.isfinite(f.value(given)) else f._to_domain(given)
    assert np.abs(p - given).max() <= 1e-12 * size, (x, t)
    assert np.isfinite(f.value(p)) and is_optimal(f, p, x, t), (x, t)
    v = cp.Variable(n)
    model = (t / scale**2) * cp.sum(f.to_cvxpy(scale * v))
    problem = cp.Problem(cp.Minimize(model + cp.sum_squares(v - x / scale) / 2))
    status = solve(problem, **TIGHT)
    if "optimal" not in status or v.value is None:
        assert scale != 1, (x, status)
        return
    u = scale * v.value
    if np.abs(u - p).max() <= 1e-7 * size:
        return
    # The solver stops earlier: its point must be worse, or not feasible.
    best = objective(f, p, x, t)
    there = objective(f, u, x, t)
    assert best <= there + 1e-7 * (1 + abs(best)), (x, t, best, there)
    if scale == 1:
        assert np.abs(u - p).max() <= 1e-4 * size, (x, t, u, p)
        bound = float(problem.solution.opt_val) / t
        assert abs(best - bound) <= 1e-6 * (1 + abs(best)), (x, t, best, bound)


with_prox = [r for r in rows if r.prox]


@pytest.mark.slow
@pytest.mark.parametrize("row", with_prox, ids=[r.name for r in with_prox])
def test_prox(row):
    points = row.points()
    pick = np.unique(np.r_[np.linspace(0, len(points) - 1, 12).astype(int)])
    kinks = np.asarray(row.kinks, float).reshape(-1, row.n)
    for i, x in enumerate(np.concatenate([points[pick], kinks, 3 * points[-2:]])):
        compare(row.f, x, (0.5, 2.0)[i % 2])


@pytest.mark.slow
@pytest.mark.parametrize("scale, t", [(1e-8, 1e-8), (1e-8, 1.0), (1e8, 1e8)])
@pytest.mark.parametrize("row", with_prox, ids=[r.name for r in with_prox])
def test_prox_at_bad_scales(row, scale, t):
    """The point scaled, and t with it (support functions: the same problem) or not."""
    for x in row.points()[[1, -2, -1]]:
        compare(row.f, scale * x, t, scale)
