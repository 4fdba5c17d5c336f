"""Reference solutions by two independent solvers, and projections, through cvxpy."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from subgrad._check import Array, vector
from subgrad.core import Function, Set, norm


class Disagreement(ArithmeticError):
    """Two solvers returned optima that differ by more than the tolerance."""


@dataclass(frozen=True, eq=False)
class Reference:
    """A minimiser x, f(x) computed by f itself, and who found and who confirmed it.

    seconds: the time of the first solver, cvxpy's compilation included.
    """

    x: Array
    fun: float
    solver: str
    confirmed_by: str
    seconds: float
    status: str


def _cvxpy() -> Any:
    try:
        import cvxpy
    except ImportError:
        raise ImportError("subgrad.cvx needs cvxpy: pip install cvxpy") from None
    return cvxpy


# Tight enough that agreement to 1e-5 says something about the problem.
_OPTIONS: dict[str, dict[str, Any]] = {
    "OSQP": {"eps_abs": 1e-7, "eps_rel": 1e-7, "max_iter": 100_000},
    "SCS": {"eps_abs": 1e-7, "eps_rel": 1e-7, "max_iters": 100_000},
}


def reference(
    f: Function,
    n: int | None = None,
    solver: str = "CLARABEL",
    constraint: Set | None = None,
    tol: float = 1e-5,
) -> Reference:
    r"""min f over R^n or a constraint set, solved twice.

    f is handed to cvxpy by `to_cvxpy` and solved with `solver`, then again with OSQP if
    it is a quadratic program and with SCS (Clarabel, if `solver` is SCS) if not. The
    objective is recomputed as f(x), x moved into the constraint. Disagreement is raised
    where the two values differ by more than tol max(1, |f|), ArithmeticError where a
    solver reports no optimum or x is outside the domain of f. f must be one function,
    not a batch; n is needed where f takes any number of arguments.
    """
    from subgrad.solvers.core import Problem

    cp = _cvxpy()
    problem = Problem(f, constraint)
    C, n = problem.constraint, problem.function.n if n is None else n
    n = C.dim if n is None and C is not None else n
    if n is None:
        raise ValueError("n must be given: f takes any number of arguments")
    x = cp.Variable(n)
    sides = [] if C is None else C.to_cvxpy(x)
    model = cp.Problem(cp.Minimize(cp.sum(problem.function.to_cvxpy(x))), sides)
    second = "OSQP" if model.is_qp() else "SCS"
    if second == solver:
        second = "CLARABEL"

    def solve(name: str) -> tuple[Array, float, str]:
        model.solve(solver=name, **_OPTIONS.get(name, {}))
        if x.value is None:
            raise ArithmeticError(f"{name} found no optimum: {model.status}")
        point = np.asarray(x.value, float)
        point = point if C is None else C.project(point)
        return point, float(problem.function.value(point)), model.status

    start = time.perf_counter()
    point, fun, status = solve(solver)
    seconds = time.perf_counter() - start
    if not np.isfinite(fun):
        raise ArithmeticError(
            f"{solver} returned a point outside the domain: f = {fun}"
        )
    _, other, _ = solve(second)
    other = other if np.isfinite(other) else float(model.value)
    if abs(fun - other) > tol * max(1.0, abs(fun)):
        raise Disagreement(f"{solver} found {fun}, {second} found {other}")
    return Reference(point, fun, solver, second, seconds, status)


def project(S: Set, y: Any) -> Array:
    r"""The nearest point of S to y, by Clarabel: for every set with a cvxpy form.

    Solved twice, the second time as min |w|^2 with y + s w in S, s being the distance
    found first, with tolerances 1e-12. The result is within about 1e-8 (1 + |y|) of the
    projection and as far outside the set at most; `Set.project` is exact to rounding
    where it succeeds. y (..., n), against the batch of S one after the other.
    """
    y = vector("y", y, S.dim)
    if not np.all(S.nonempty):
        raise ValueError("project on an empty set: no such point")
    return S._each(y, _project)


def _project(S: Set, y: Array) -> Array:
    cp = _cvxpy()
    from subgrad.sets.nearest import ProjectionError

    def solve(scale: float, tol: float, objective: Any) -> Array | None:
        w = cp.Variable(y.size)
        model = cp.Problem(cp.Minimize(objective(w)), S.to_cvxpy(y + scale * w))
        options = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), tol)
        try:
            # Inaccurate at 1e-12 is still the best there is; it is no news to anyone.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                model.solve(solver="CLARABEL", **options)
        except cp.error.SolverError:
            return None
        return None if w.value is None else y + scale * w.value

    size = 1 + float(norm(y))
    p = solve(size, 1e-8, cp.norm2)
    if p is None:
        raise ProjectionError("Clarabel found no projection")
    distance = float(norm(p - y))
    if distance <= 1e-8 * size:
        return p
    better = solve(distance, 1e-12, cp.sum_squares)
    return p if better is None else better
