"""Reference solutions by two independent solvers, and projections, through cvxpy."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
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


# Tight enough that agreement to 1e-5 says something about the problem.
_OPTIONS: dict[str, dict[str, Any]] = {
    "SCS": {"eps_abs": 1e-8, "eps_rel": 1e-8, "max_iters": 50_000},
    "OSQP": {"eps_abs": 1e-7, "eps_rel": 1e-7, "max_iter": 50_000},
}


def reference(
    f: Function,
    n: int | None = None,
    solver: str = "CLARABEL",
    constraint: Set | None = None,
    tol: float = 1e-5,
) -> Reference:
    r"""min f over R^n or a constraint set, found by one solver, confirmed by another.

    f is handed to cvxpy by `to_cvxpy`, solved with `solver`, and solved again with SCS;
    where SCS runs into its limit and the problem is a quadratic program, with OSQP;
    what `solver` is itself is Clarabel's turn. The objective is recomputed as f(x), x
    moved into the constraint. Disagreement is raised where the values differ by more
    than tol max(1, |f|), ArithmeticError where there is no optimum, nobody to confirm
    it, or x lies outside the domain of f. f is one function, not a batch; n is needed
    where it takes any number of arguments.
    """
    *_, last = answers(f, n, solver, constraint, tol)
    return last


def answers(
    f: Function,
    n: int | None = None,
    solver: str = "CLARABEL",
    constraint: Set | None = None,
    tol: float = 1e-5,
) -> Iterator[Reference]:
    """What `solver` found, not yet confirmed by anybody, and then the `reference`."""
    import cvxpy as cp

    from subgrad.solvers.problem import Problem

    problem = Problem(f, constraint)
    C, f = problem.constraint, problem.function
    n = f.n if n is None else n
    n = C.dim if n is None and C is not None else n
    if n is None:
        raise ValueError("n must be given: f takes any number of arguments")
    x, t = cp.Variable(n), cp.Variable()
    sides = [] if C is None else C.to_cvxpy(x)
    objective = cp.sum(f.to_cvxpy(x))
    model = cp.Problem(cp.Minimize(objective), sides)
    # As an epigraph: SCS declines a problem in which it sees no constraint.
    above = cp.Problem(cp.Minimize(t), [objective <= t, *sides])

    def solve(name: str) -> tuple[Array, float, str]:
        one = above if name == "SCS" else model
        with warnings.catch_warnings():
            # The status says whether a solution is inaccurate.
            warnings.simplefilter("ignore", UserWarning)
            one.solve(solver=name, **_OPTIONS.get(name, {}))
        if x.value is None:
            raise ArithmeticError(f"{name} found no optimum: {one.status}")
        point = np.asarray(x.value, float)
        point = point if C is None else C.project(point)
        return point, float(f.value(point)), one.status

    start = time.perf_counter()
    point, fun, status = solve(solver)
    seconds = time.perf_counter() - start
    if not np.isfinite(fun):
        raise ArithmeticError(f"{solver} returned a point where f is {fun}")
    first = Reference(point, fun, solver, "", seconds, status)
    yield first
    others = ["SCS", "OSQP"] if model.is_qp() else ["SCS"]
    for name in ["CLARABEL" if o == solver else o for o in others]:
        _, other, end = solve(name)
        if abs(fun - other) <= tol * max(1.0, abs(fun)):
            yield replace(first, confirmed_by=name)
            return
        if end == cp.OPTIMAL and np.isfinite(other):
            raise Disagreement(f"{solver} found {fun}, {name} found {other}")
    raise ArithmeticError(f"{solver} found {fun}, and no other solver an optimum")


def project(S: Set, y: Any) -> Array:
    r"""The nearest point of S to y, by Clarabel: for every set with a cvxpy form.

    Solved as min |w|^2 with y + s w in S for a few scales s, until the proof

    .. math:: |p - P_S(y)|^2 \le h_S(y - p) - \langle y - p, p \rangle, \quad p \in S

    puts p within 1e-8 (1 + |y|) of the projection; the best p otherwise, which was
    within 1e-6 (1 + |y|) in all tests. It may lie outside S by the same amount.
    `Set.project` is exact to rounding where it succeeds. y (..., n), against the batch
    of S, one after the other. ProjectionError where Clarabel finds nothing.
    """
    y = vector("y", y, S.dim)
    if not np.all(S.nonempty):
        raise ValueError("project on an empty set: no such point")
    return S._each(y, _project)


def _project(S: Set, y: Array) -> Array:
    import cvxpy as cp

    from subgrad.sets.nearest import ProjectionError

    def solve(scale: float, tol: float) -> Array | None:
        w = cp.Variable(y.size)
        sides = S.to_cvxpy(y + scale * w)
        model = cp.Problem(cp.Minimize(cp.sum_squares(w)), sides)
        options = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), tol)
        try:
            with warnings.catch_warnings():
                # Inaccurate at these tolerances: the proof decides.
                warnings.simplefilter("ignore", UserWarning)
                model.solve(solver="CLARABEL", **options)
        except cp.error.SolverError:
            return None
        return None if w.value is None else y + scale * w.value

    def error(p: Array) -> float:
        try:
            h = float(S.support(y - p))
        except NotImplementedError:
            return np.inf
        return float(np.sqrt(abs(h - (y - p) @ p)))

    size = 1 + float(norm(y))
    best = solve(size, 1e-8)
    if best is None:
        raise ProjectionError("Clarabel found no projection")
    least, distance = error(best), float(norm(best - y))
    for shrink, tol in ((1.0, 1e-12), (0.1, 1e-12), (0.3, 1e-10), (3.0, 1e-12)):
        if min(least, distance) <= 1e-8 * size:
            break
        p = solve(shrink * distance, tol)
        if p is not None and (e := error(p)) <= least:
            best, least = p, e
    return best
