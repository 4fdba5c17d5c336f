r"""Which method to use, by its name or by what is known of the problem.

Names: "subgradient" (with TargetLevel, or Polyak where the optimum is known), "polyak",
"bounded polyak", "linear decay", "dual averaging", "dog", "dowg", "mirror descent"
(entropy, on a simplex), "restarts", "shor", "set descent", "switching" and
"structured", each with its defaults. "auto" takes the first row that fits:

====================================================================  ==============
constraint functions are given                                        "switching"
sums of indicators: a point of all their sets is looked for           "structured"
a maximum or a composition, no set, n <= 4, or n² small, or n <= 24   "shor"
and a part that is neither a norm nor a square, and a Gap
atoms with a prox (in a batch, of up to 400 variables), and a Gap     "structured"
the optimum is known                                                  "polyak"
no set, a finite f, n <= 500, and a Gap is asked for                  "shor"
the stop is MaxIter, and a radius is given or the set is bounded      "linear decay"
f is a `from_oracle`, finite, and neither a set nor a radius is given "dual averaging"
else                                                                  "subgradient"
====================================================================  ==============

A Gap is asked for by the stop, or by none. Shor's method is for double precision, and
not for batches of more than 2^24 entries of its matrices.

n² is small where the parts have more than 20 n² arguments in all: on the smallest ball
around 10000 points with n = 10 Shor's method and the structured one took 163 and 1009
ms. Otherwise, to a proved gap of 1e-6, ms:

=======================  =========  ========  ========  ========  ========
n                        2          4         10        16        24
=======================  =========  ========  ========  ========  ========
5 quadratics             20, 20     37, 20    53, 29    56, 32    86, 30
5 norms of A x - b       16, 17     30, 32    44, 30    47, 32    73, 37
100 distances            14, 13     25, 24    72, 47    78, 69    88, 114
4 sums of Huber losses   24, 46     42, 97    45, 201   66, 203   71, 147
4 sums of logistic ones  19, 28     25, 26    44, 48    49, 51    55, 37
\|A x - b\|²_inf         17, 27     23, 72    43, 122   83, 154   118, 212
=======================  =========  ========  ========  ========  ========

Maxima of squares and norms are projections in closed form, for those of other functions
an equation is solved at each look. MAXQ and chained CB3 II took 99 and 57 ms by Shor's
method with n = 20, and 289 and 86; 272 and 125 with n = 50, and 352 and 127. Maxquad is
an exception, 47 and 86 ms.

On least absolute deviations, maxima of affine functions, support vector machines, lasso
and norms of A x - b with 20 to 100 variables Shor's method proved the gap 1e-6 within
700 steps on six problems of seven, the subgradient and dual averaging methods within
2000 on two and one. With 200 variables the gaps after 10000 steps were 1e-4 and less,
with 400 and 500 nothing is proved: after 10000 calls f - f* was 1e-5 to 7e-4 of f*, of
the subgradient method 5e-4 to 5e-1, in half the time. With a budget and a radius five
times too long, linear decay was the best of six rules on five of the seven.

Where nothing but an oracle is known dual averaging is taken for its theorem, a bound at
the last of any number of steps without a constant to be guessed, which TargetLevel does
not have; it is the slower one more often than not. Its f_best - f* over that of
TargetLevel after 500, 2000 and 10000 steps, geometric means of n = 20 and 100, by
`python tests/benchmarks/bench_methods.py oracles`:

==========  ==================  ==================  ==================
x0          0                   far away            0, in a small box
==========  ==================  ==================  ==================
LAD         5.3, 3.5, 2.6       1.0, 1.4, 2.3       1.9, 0.7, 0.3
max-affine  1.4, 0.5, 0.2       5.1, 14, 18         1.4, 0.7, 0.2
SVM         4.2, 2.8, 2.6       1.4, 3.2, 3.5       1.5, 2.7, 1.0
lasso       3.0, 2.7, 3.7       3.7, 2.3, 3.3       1.7, 1.7, 1.1
|A x - b|   134, 2.0, 1.0       6.2, 87, 240        1e4, 2e3, 4e2
==========  ==================  ==================  ==================

They are at most 5 in 70 to 80 of 100 cases. On |A x - b|, smooth where it is least,
TargetLevel converges linearly. So it stays the rule for functions of the library.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from subgrad._check import Array
from subgrad.functions.from_oracle import _OracleFunction as OracleFunction
from subgrad.solvers.certificate import restricted
from subgrad.solvers.problem import Problem, only_sets
from subgrad.solvers.stops import MaxIter, Stop, tolerances, wants_a_bound

if TYPE_CHECKING:
    from subgrad.solvers.state import Solver

BUDGET = 10_000
LARGEST = 500  # variables of Shor's method
TINY = 4  # variables of maxima and compositions for which it is the faster one,
SMALL = 24  # the same if some part is neither a norm nor a square,
ROWS = 20  # and times n² arguments of their parts beyond which it is as well
DILATED = 2**24  # entries of the matrices of Shor's method, all problems together


def choose(
    method: Solver | str, problem: Problem, stop: Stop | None, x: Array
) -> tuple[Solver, str]:
    """The method, and for "auto" a clause that says what was picked and why."""
    why = ""
    solver: Any = method
    if isinstance(method, str):
        name = method
        if method == "auto":
            name, reason = _pick(problem, stop, x)
            why = f"method {name!r}, because {reason}"
        if name not in METHODS:
            known = ", ".join(map(repr, ("auto", *METHODS)))
            raise ValueError(f"method must be one of {known}, got {method!r}")
        solver = METHODS[name](problem, stop, x)
    elif isinstance(method, type) or not hasattr(method, "init"):
        kind = method.__name__ if isinstance(method, type) else type(method).__name__
        raise TypeError(
            "method must be a Solver, such as SubgradientMethod(Constant(0.1)), or a "
            f"name, got {kind}"
        )
    if problem.constraints and not getattr(solver, "limited", False):
        raise ValueError(
            "constraints= needs a method that handles them, such as Switching(), got "
            f"{solver!r}"
        )
    return solver, why


def _pick(problem: Problem, stop: Stop | None, x: Array) -> tuple[str, str]:
    if problem.constraints:
        return "switching", "there are constraint functions"
    asked = stop is None or wants_a_bound(stop)
    if only_sets(problem.function) and _has_parts(problem, x):
        return "structured", "f has no term but indicators"
    if asked and x.dtype == np.float64 and _is_small(problem, x):
        return "shor", "f is a maximum or a composition of few variables"
    if asked and x.dtype == np.float64 and _has_parts(problem, x):
        return "structured", "f is a sum of atoms with a prox, and a proof is asked for"
    if problem.optimum is not None:
        return "polyak", "the optimum is known"
    n, free = x.shape[-1], problem.constraint is None and problem.function.finite
    small = n <= LARGEST and x.size * n <= DILATED and x.dtype == np.float64
    if free and asked and small:
        return (
            "shor",
            f"n <= {LARGEST}, there is no constraint, and a proof is asked for",
        )
    if isinstance(stop, MaxIter) and stop.n and _reach(problem, x) is not None:
        return "linear decay", "the number of steps and a distance are known"
    if free and problem.radius is None and isinstance(problem.function, OracleFunction):
        return "dual averaging", "nothing but an oracle is known"
    return "subgradient", "nothing more special fits"


def _is_small(problem: Problem, x: Array) -> bool:
    """Whether Shor's method is the faster one on a maximum or a composition."""
    from subgrad.solvers.level_sets import sublevel_radius
    from subgrad.solvers.structured.choice import planned
    from subgrad.solvers.structured.composites import is_composed, is_round

    f, n = problem.function, x.shape[-1]
    free = problem.constraint is None and f.finite and x.ndim == 1
    if not (free and n <= LARGEST and is_composed(f)):
        return False
    if n > TINY:
        if not _has_parts(problem, x):
            return False
        terms = planned(problem, n).source.terms
        few = sum(t.op.rows for t in terms) <= ROWS * n * n
        if few and (n > SMALL or all(map(is_round, terms))):
            return False
    return problem.radius is not None or bool(np.isfinite(sublevel_radius(f, x)))


def _has_parts(problem: Problem, x: Array) -> bool:
    from subgrad.solvers.structured.batch import boxed
    from subgrad.solvers.structured.choice import planned

    f, n = restricted(problem.function, problem.constraint), x.shape[-1]
    try:
        if x.ndim > 1:
            boxed(f, n)
            return True
        return planned(problem, n) is not None
    except NotImplementedError:
        return False


def _structured(problem: Problem, stop: Stop | None, x: Array) -> Any:
    from subgrad.solvers.structured.front import Structured

    return Structured(tol=min(tolerances(stop), default=1e-6))


def _reach(problem: Problem, x: Array) -> Any:
    """A bound on the distance from x to a minimiser, None if none is known."""
    from subgrad.solvers.level_sets import farthest

    if problem.radius is not None:
        return problem.radius if np.all(problem.radius > 0) else None
    if problem.constraint is None:
        return None
    try:
        far = farthest(problem.constraint, x)
    except NotImplementedError:
        return None
    return far if np.all(np.isfinite(far) & (far > 0)) else None


def _linear_decay(problem: Problem, stop: Stop | None, x: Array) -> Any:
    from subgrad.solvers.steps import LinearDecay
    from subgrad.solvers.subgradient import SubgradientMethod

    each = (MaxIter(BUDGET),) if stop is None else stop.alternatives()
    n = min((s.n for s in each if isinstance(s, MaxIter)), default=0)
    if n < 1:
        raise ValueError(
            "method 'linear decay' needs the number of steps: stop=MaxIter(n), n >= 1"
        )
    return SubgradientMethod(LinearDecay(n, _reach(problem, x)))


def _restarts(problem: Problem, stop: Stop | None, x: Array) -> Any:
    from subgrad.solvers.restarts import to_tolerance

    return to_tolerance(problem, stop, x)


def _made(
    module: str, name: str, *parts: tuple[str, str]
) -> Callable[[Problem, Stop | None, Array], Any]:
    """A maker of name(part(), ...), imported when it is asked for."""

    def make(problem: Problem, stop: Stop | None, x: Array) -> Any:
        inner = [
            getattr(import_module(f"subgrad.solvers.{m}"), part)() for m, part in parts
        ]
        return getattr(import_module(f"subgrad.solvers.{module}"), name)(*inner)

    return make


METHODS: dict[str, Callable[[Problem, Stop | None, Array], Any]] = {
    "subgradient": _made("subgradient", "SubgradientMethod"),
    "polyak": _made("subgradient", "SubgradientMethod", ("steps", "Polyak")),
    "bounded polyak": _made("bounded_polyak", "BoundedPolyak"),
    "linear decay": _linear_decay,
    "dual averaging": _made("dual_averaging", "DualAveraging"),
    "dog": _made(
        "subgradient", "SubgradientMethod", ("distance_over_gradients", "DoG")
    ),
    "dowg": _made(
        "subgradient", "SubgradientMethod", ("distance_over_gradients", "DoWG")
    ),
    "mirror descent": _made(
        "mirror_descent", "MirrorDescent", ("mirror_descent", "Entropy")
    ),
    "restarts": _restarts,
    "shor": _made("shor", "Shor"),
    "set descent": _made("set_descent", "SetDescent"),
    "switching": _made("switching", "Switching"),
    "structured": _structured,
}
