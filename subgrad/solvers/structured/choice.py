r"""Which method solves a structure: the first row that fits.

=====================================================================  ===============
one atom of x itself with a prox, plus q/2 |x|² + <c, x>               one prox
multipliers in boxes (absolute values, hinges, pinballs, Huber, boxes  interior point
and equations, their weights), or in what `lifts` makes such (largest
entries, norms and risks; simplices), and a sparse map with a narrow
band, or dense ones with at most 1000 columns, or 1000 rows where each
variable has a quadratic or an atom of its own; or, without a dual
form, other sparse maps of at most 4096 variables (images: 128 x 128,
if q = 0), after 2048 primal-dual iterations where factors fill up
one atom of x with a prox, and squared distances and equations, maps   the dual form by
as matrices                                                            Newton's method
a map known by its products only; sparse maps of more than 4096        primal-dual
variables; atoms without a Jacobian of their prox
other sparse maps without a narrow band: at first, for 4096            primal-dual
iterations if q > 0 in all variables, else for 512
else                                                                   Newton's method
=====================================================================  ===============

"Newton's method" is `AugmentedLagrangian`; from multipliers to start with it is taken
in the place of the interior-point method, where boxes are no lifts, and no primal-dual
steps are tried. The dual form is solved on the rows that matter (`sieve`), if it is
large and its atom has parts. Times to a proved gap of 1e-6 are measured by `python
tests/benchmarks/bench_structured.py`; of interior points and of Newton's method in
seconds, A (m, n) Gaussian, one thread:

==========  ====================  ===============  =================  ================
m, n        |A x + b|_1 + |x|_1   max(A x + b),    |A x + b|_inf + a  |A x + b|_1 + a
            / a                   simplex          box                simplex
==========  ====================  ===============  =================  ================
200, 200    -                     0.036, 0.71      0.026, 0.31        0.025, 0.32
1500, 500   -                     0.58, 0.73       0.36, 2.6          0.24, 0.56
20000, 20   -                     0.18, 0.15       0.17, 0.17         0.08, 0.27
100, 400    0.010, 0.049          0.037, 2.9       0.013, 0.026       0.022, 0.91
500, 1000   0.23, 4.0             -                -                  -
200, 5000   0.44, 15              -                -                  -
==========  ====================  ===============  =================  ================

Of sparse maps, D the differences of images of 32 x 32 and of 64 x 64, in pairs for
|D x|_2, or those of 3 n edges of random graphs, n = 800 and 3000, A 3000 x 800; "both"
are 512 primal-dual iterations and then Newton's method:

==========================  ==============  ===========  ===========  ===========
problem                     interior point  primal-dual  Newton       both
==========================  ==============  ===========  ===========  ===========
|x - b|_1 + |D x|_1, image  0.03, 0.10      0.05, 0.15   0.15, 0.57   -
|x - b|² + |D x|_1, image   0.02, 0.07      0.02, 0.08   0.07, 0.38   -
|x - b|² + |D x|_2, image   -               0.03, 0.12   0.41, 9      -
|x - b|_1 + |D x|_2, image  -               0.14, 1.1    0.24, 1.1    0.07, 0.31
|x - b|_1 + |D x|_1, graph  0.10, 2.6       0.09, 0.19   0.11, 0.60   -
|x - b|² + |D x|_1, graph   0.06, 1.8       0.01, 0.03   0.10, 0.97   -
|A x - b|_1 + |x|_1         0.28            1.9          over 8       -
==========================  ==============  ===========  ===========  ===========
"""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad.calculus.derived import _Derived
from subgrad.core import Function
from subgrad.solvers.certificate import restricted
from subgrad.solvers.problem import Problem
from subgrad.solvers.structured.balanced import newton
from subgrad.solvers.structured.boxes import boxes
from subgrad.solvers.structured.domains import (
    conjugate_value,
    to_domain,
    unbounded_box,
)
from subgrad.solvers.structured.form import (
    Form,
    fenchel,
    has_conjugate,
    primal,
    renewed,
    smooth,
)
from subgrad.solvers.structured.interior_point import InteriorPoint
from subgrad.solvers.structured.lifts import takes
from subgrad.solvers.structured.primal_dual import PrimalDual
from subgrad.solvers.structured.sieve import sieved
from subgrad.solvers.structured.sparse_systems import spread
from subgrad.solvers.structured.stencil import apart
from subgrad.solvers.structured.terms import Structure, structure, unscaled

BAND = 16  # of the matrix of a step
COLUMNS = 1000
VARIABLES = 4096
FACTOR = 500_000_000  # operations of a factor, if all were filled in a band
PAIRS = 10_000_000
SHORT, MIDDLE, LONG = 512, 2048, 4096  # iterations of primal-dual steps on trial
FEW = 100_000_000  # operations of a step by orthogonal factors
BEFORE = "before"


class OneProx:
    """argmin g + q/2 |.|² + <c, .>, q > 0: the prox of g at -c/q, in one step."""

    def __init__(self, s: Structure) -> None:
        self.g, self.q, self.c = s.terms[0].h, float(s.q[0]), s.c
        self.source, self.x, self.y = s, np.zeros(s.n), None

    def step(self) -> None:
        """The solution."""
        self.x = self.g._prox(-self.c / self.q, np.asarray(1 / self.q))

    def pair(self) -> tuple[Array, tuple[Any, ...]]:
        return self.x, (None,)


def planned(problem: Problem, n: int) -> OneProx | Form:
    """What f on its constraint is solved as, found once for every problem.

    The form of a problem before it, in `known[BEFORE]`, may fit but for its weights.
    """
    known = problem.known
    if n not in known:
        f = restricted(problem.function, problem.constraint)
        found = None
        if BEFORE in known:
            found = renewed(known[BEFORE], structure(f, n))
        known[n] = found or plan_of(f, n)
    return known[n]


def plan_of(f: Function, n: int) -> OneProx | Form:
    """How f is solved. NotImplementedError where f has other parts."""
    s = structure(f, n, whole=True)
    if found := direct(s):
        return found
    derived = any(isinstance(unscaled(t.h)[1], _Derived) for t in s.terms)
    return form_of(structure(f, n) if derived else s)


def direct(s: Structure) -> OneProx | None:
    """The method that needs one step, if it fits."""
    if len(s.terms) != 1 or not s.terms[0].own:
        return None
    if not s.q[0] > 0 or np.any(s.q != s.q[0]):
        return None
    try:
        s.terms[0].h._prox(np.zeros(s.n), np.ones(()))
    except NotImplementedError:
        return None
    return OneProx(s) if has_conjugate(s.terms[0].h, s) else None


def form_of(s: Structure) -> Form:
    """The form of s that is solved. NotImplementedError where it has none."""
    if not s.terms:
        raise NotImplementedError("f has no term but quadratics of single variables")
    form = primal(s)
    if not in_boxes(form) and (dual := fenchel(s)) and not by_products(dual):
        form = dual
    # What the atoms cannot do they say here.
    form.dual_prox(np.zeros(len(form.b)), np.ones(len(form.blocks)))
    for t in s.terms:
        conjugate_value(t.h, to_domain(t.h, np.zeros(t.op.rows)))
    return form


def by_products(form: Form) -> bool:
    """Whether to use products with the maps only."""
    if form.n > VARIABLES and not form.dual and any(apart(k.op) for k in form.blocks):
        return True  # sparse, and not written out to see that
    mapped = [k.matrix for k in form.blocks if k.diagonal is None]
    if any(A is None for A in mapped):
        return True
    if sparse(form) and form.n > VARIABLES and not form.dual:
        return True
    try:
        one = np.ones(len(form.blocks))
        form.jacobians(np.zeros(len(form.b)), one)
    except NotImplementedError:
        return True
    return False


def sparse(form: Form) -> bool:
    """Whether there is a map by a sparse matrix."""
    mapped = (k.matrix for k in form.blocks if k.diagonal is None)
    return any(not isinstance(A, np.ndarray) for A in mapped)


def scattered(form: Form) -> bool:
    """Whether all maps are sparse or diagonal, and not all with a narrow band."""
    mapped = [k for k in form.blocks if k.diagonal is None]
    if any(isinstance(k.matrix, np.ndarray) for k in mapped):
        return False
    return width(form) > BAND


def in_boxes(form: Form) -> bool:
    """Whether the interior-point method fits, and is the one to take."""
    across = max(apart(k.op) for k in form.blocks)
    if across > BAND and not _small(form, across):
        return False
    mapped = [k for k in form.blocks if k.diagonal is None]
    if any(k.matrix is None for k in mapped):
        return False
    dense = [isinstance(k.matrix, np.ndarray) for k in mapped]
    own = len(mapped) < len(form.blocks) or bool(np.all(form.q > 0))
    rows = sum(len(k.b) for k in mapped)
    few = (min(form.n, rows) if own and all(dense) else form.n) <= COLUMNS
    if any(dense) and not few:
        return False
    if not all(takes(k.h, len(k.b)) for k in form.blocks):
        return False
    if not any(dense) and (wide := width(form)) <= BAND:
        return True
    if fenchel(form.source) is not None and not is_linear_program(form.source):
        return False
    return any(dense) or (_small(form, max(across, wide)) and pairs(form) <= PAIRS)


def is_linear_program(s: Structure) -> bool:
    """Whether <c, x> is to be least on equations and a box without end."""
    rest = [p for t in s.terms if (p := smooth(t)) is not None]
    bare = not s.q.any() and not any(p[0] for p in rest)
    return bare and unbounded_box(s) is not None and len(rest) == len(s.terms) - 1


def _small(form: Form, across: int) -> bool:
    """Whether sparse matrices of entries so far apart are cheap to factor."""
    if form.n <= VARIABLES:
        return True
    # Primal-dual steps are faster on large images where q > 0.
    return not form.q.any() and form.n * across**2 <= FACTOR


def pairs(form: Form) -> int:
    """How many products of entries Σ A_kᵀ A_k is summed of."""
    rows = [k.matrix.tocsr().indptr for k in form.blocks if k.diagonal is None]
    return sum(int(np.square(np.diff(at)).sum(dtype=np.int64)) for at in rows)


def width(form: Form) -> int:
    """How far from the diagonal the entries of Σ A_kᵀ A_k lie."""
    mapped = [k.matrix.tocsr() for k in form.blocks if k.diagonal is None]
    return max(map(spread, mapped), default=0)


def more_careful(method: Any) -> Any:
    """What to go on with where rounding stopped a method; None where nothing is.

    Or where a trial of primal-dual steps is over.
    """
    if isinstance(method, PrimalDual) and method.iterations >= method.limit:
        if in_boxes(method.form):
            return InteriorPoint(method.form)
        return newton(method.form, method.x, method.y)
    form = getattr(method, "form", None)
    if form is None or form.dual or getattr(method, "careful", False):
        return None
    path = getattr(method, "path", method)
    few = len(path.y) * len(path.x) ** 2 <= FEW
    if not (few and all(takes(k.h, len(k.b)) for k in form.blocks)):
        return None
    if any(k.matrix is None for k in form.blocks):
        return None
    return InteriorPoint(form, careful=True)


def method_for(form: Form, x: Any, y: Any) -> Any:
    """The method at work on the form, from x and y if given."""
    cold = y is None or any(boxes(k.h, len(k.b)) is None for k in form.blocks)
    if cold and not form.dual and in_boxes(form):
        method = InteriorPoint(form, x)
        if form.n <= COLUMNS or not getattr(method.system, "filled", False):
            return method
        return PrimalDual(form, x, y, MIDDLE)
    if not form.dual and by_products(form):
        return PrimalDual(form, x, y)
    if y is None and not form.dual and scattered(form):
        return PrimalDual(form, x, y, LONG if np.all(form.q > 0) else SHORT)
    return sieved(form, x, y) or newton(form, x, y)
