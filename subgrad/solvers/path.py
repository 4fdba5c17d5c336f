"""Problems that change little from one to the next, each solved from the one before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from subgrad.core import Function, Set
from subgrad.solvers.core import minimize
from subgrad.solvers.result import Result
from subgrad.solvers.state import Solver
from subgrad.solvers.stops import Stop


def path(
    functions: Iterable[Function],
    x0: Any,
    method: Solver | str = "auto",
    stop: Stop | None = None,
    constraint: Set | None = None,
) -> list[Result]:
    """Minimise functions of the same parts, in their order, and return all results.

    The first starts from x0, every other from the point and the multipliers of the one
    before: `path((loss + w * norm1(x) for w in weights), np.zeros(n))`. What `method`,
    `stop` and `constraint` are is said at `minimize`.
    """
    results: list[Result] = []
    start = x0
    for f in functions:
        start = minimize(f, start, method, stop, constraint)
        results.append(start)
    return results
