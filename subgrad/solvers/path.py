"""Problems that change little from one to the next, each solved from the one before."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad.core import Function, Set
from subgrad.solvers.core import solve
from subgrad.solvers.problem import Problem
from subgrad.solvers.result import Result
from subgrad.solvers.state import Solver
from subgrad.solvers.stops import Stop

FAR = 3.0  # times the last change of the weights, as far as a line is followed


def path(
    functions: Iterable[Function],
    x0: Any,
    method: Solver | str = "auto",
    stop: Stop | None = None,
    constraint: Set | None = None,
) -> list[Result]:
    """Minimise functions of the same parts, in their order, and return all results.

    The first starts from x0, every other from the point and the multipliers of the one
    before: `path((loss + w * norm1(x) for w in weights), np.zeros(n))`. Where nothing
    but multiples of terms change, and along a line, these are continued along it: of
    quadratics and polyhedral functions they are pieces of lines themselves. What
    `method`, `stop` and `constraint` are is said at `minimize`.
    """
    results: list[Result] = []
    start: Any = x0
    forms: list[Any] = []
    for f in functions:
        problem = Problem(f, constraint)
        if forms:
            start = _continued(problem, results[-2:], forms)
        start = solve(problem, start, method, stop)
        results.append(start)
        form = problem.known.get(start.x.shape[-1])
        forms = [*forms[-1:], form] if hasattr(form, "blocks") else []
    return results


def _continued(problem: Problem, results: list[Result], forms: list[Any]) -> Result:
    """The last result, or a point beyond it in the direction of the last change."""
    from subgrad.solvers.structured.choice import BEFORE, planned

    *_, last = results
    problem.known[BEFORE] = forms[-1]
    try:
        form = planned(problem, len(last.x))
    except NotImplementedError:
        return last
    if len(forms) < 2 or last.dual is None or results[0].dual is None:
        return last
    t = _steps(*map(_weights, (*forms, form)))
    if t is None:
        return last
    sides = zip(results[0].dual, last.dual, strict=True)
    dual = tuple(None if u is None or v is None else v + t * (v - u) for u, v in sides)
    x = last.x + t * (last.x - results[0].x)
    # Entries that are zero, or become so, stay so.
    return replace(last, x=np.where(np.sign(x) == np.sign(last.x), x, 0.0), dual=dual)


def _weights(form: Any) -> Array:
    """The multiples of the terms."""
    from subgrad.solvers.structured.terms import unscaled

    return np.array([unscaled(t.h)[0] for t in form.source.terms])


def _steps(a: Array, b: Array, c: Array) -> float | None:
    """The t with c - b = t (b - a), 0 <= t <= FAR, None if there is none."""
    if not len(a) == len(b) == len(c) or not (move := b - a).any():
        return None
    t = float((c - b) @ move / (move @ move))
    near = np.abs(c - b - t * move).max() <= 1e-9 * np.abs(c).max()
    return t if near and 0 <= t <= FAR else None
