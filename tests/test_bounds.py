"""lower_bound <= f* <= fun: every problem whose optimum is known, every method."""

from __future__ import annotations

import numpy as np
import pytest

from subgrad import problems
from subgrad.solvers import Gap, MaxIter, minimize
from subgrad.solvers.auto import METHODS
from subgrad.solvers.structured.choice import plan_of

QUICK = ("cb2", "lq", "maxquad", "goffin", "stackloss")
KNOWN = [n for n in problems.names() if problems.problem(n).optimum is not None]
ROWS = [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in KNOWN]
# Entropy is for a simplex, switching for constraint functions; no such problem here.
NAMES = ["auto", *(m for m in METHODS if m not in ("mirror descent", "switching"))]


@pytest.mark.parametrize("method", NAMES)
@pytest.mark.parametrize("name", ROWS)
def test_bounds_enclose_the_optimum_all_along(name, method):
    p = problems.problem(name)
    best, error = p.optimum, p.accuracy + 1e-12 * (1 + abs(p.optimum))
    told = best if method == "polyak" else None
    seen = []

    def look(intermediate_result):
        seen.append(intermediate_result.fun)

    if p.radius is None and method in ("bounded polyak", "linear decay"):
        with pytest.raises(ValueError, match="radius"):
            minimize(p.function, p.x0, method, MaxIter(3))
        return
    if method == "structured":
        try:
            plan_of(p.function, p.function.n)
        except NotImplementedError as missing:
            with pytest.raises(NotImplementedError, match=str(missing)[:20]):
                minimize(p.function, p.x0, method, MaxIter(3))
            return
    for steps in (3, 40):
        end = MaxIter(steps)
        found = minimize(
            p.function,
            p.x0,
            method,
            end if p.radius is None and told is None else end | Gap(1e-9),
            callback=look,
            optimum=told,
            radius=p.radius,
        )
        assert found.lower_bound <= best + error, (name, method, steps)
        assert found.fun >= best - error and found.fun >= found.lower_bound
        assert np.min(seen) >= best - error and np.all(np.isfinite(seen))
        assert np.isclose(found.fun, p.function.value(found.x), 1e-12, 1e-12)
        # Projections onto curved sets may end without a proof, and say so.
        allowed = method == "set descent" and "ProjectionError" in found.message
        assert allowed or found.status not in ("error", "contradiction"), found.message
        if found.certificate is not None and np.isfinite(found.certificate.lower_bound):
            assert found.certificate.lower_bound <= best + error
