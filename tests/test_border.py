"""What comes in wrong is refused in words; lists and integers get the right answer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.linalg import LinearOperator, aslinearoperator
from table import FUNCTIONS, SETS

import subgrad as sg
from subgrad import (
    AffineSubspace,
    Ball,
    Box,
    CappedSimplex,
    Cone,
    ConeBall,
    CrossPolytope,
    Distance,
    Empty,
    GroupBall,
    GroupNorm,
    HalfSpace,
    Hull,
    Indicator,
    Interval,
    Linear,
    MaxAffine,
    PiecewiseLinear,
    Polar,
    Quadratic,
    Separable,
    Simplex,
    Support,
    absolute,
    compose,
    conjugate,
    entropy,
    epsilon_insensitive_loss,
    fenchel_young,
    hinge_loss,
    hull_of_union,
    interval_indicator,
    linear,
    maximum,
    moreau_envelope,
    negative_sqrt,
    norm1,
    norm2,
    pinball,
    pinball_loss,
    point,
    product,
    relu,
    scaled_union,
    separable,
    stack,
    sum_largest,
    variable,
    variables,
    vstack,
    weighted_sum,
    whole_space,
)
from subgrad.functions.quadratic import SquaredNorm

nan, inf = np.nan, np.inf
A = np.arange(12.0).reshape(4, 3)
x, y = variable(3), variable(3)
X = variable((2, 2))
disc = Ball([0.0, 0])
positive_part = Indicator(Box(Interval([0.0, 0], [inf, inf])))
no_adjoint = LinearOperator((4, 3), matvec=lambda z: A @ z, dtype=float)


def box(low, high):
    return Box(Interval(low, high))


# A wrong call, the error it gets, and what the message says. --------------------------

NAN, REAL = "must not contain nan", "must be an array of real numbers"
EMPTY, UNRELATED = "at least one coordinate", "two unrelated variables"
NOT_CONVEX = "negative multiple .* not convex"

VALUES = [
    (lambda: norm1([1, nan]), ValueError, f"x {NAN}"),
    (lambda: norm1([1, -inf]), ValueError, "x must be finite, got -inf"),
    (lambda: norm1([]), ValueError, f"x .*{EMPTY}"),
    (lambda: norm1([[1, 2], [3]]), ValueError, "x .*ragged"),
    (lambda: norm1("1"), TypeError, f"x {REAL}"),
    (lambda: norm1(None), TypeError, f"x {REAL}"),
    (lambda: norm1([1j]), TypeError, f"x {REAL}"),
    (lambda: norm1(x)([1, 2]), ValueError, r"x .*\(\.\.\., 3\), got \(2,\)"),
    (lambda: norm1(x)(1.0), ValueError, r"x .*\(\.\.\., 3\), got a scalar"),
    (lambda: norm1.subdifferential([1, 2], -1), ValueError, "eps must be nonneg"),
    (lambda: norm1.subdifferential([1, 2], nan), ValueError, f"eps {NAN}"),
    (lambda: norm1.subdifferential([1, 2], inf), ValueError, "eps must be finite"),
    (lambda: norm1.directional_derivative([1, 2], [1, nan]), ValueError, f"d {NAN}"),
    (lambda: norm1.directional_derivative([1, 2], [1]), ValueError, r"d .*2\), got"),
    (lambda: norm1.prox([1, 2], 0), ValueError, "t must be positive, got 0"),
    (lambda: norm1.prox([1, 2], -1), ValueError, "t must be positive, got -1"),
    (lambda: norm1.prox([1, 2], nan), ValueError, f"t {NAN}"),
    (lambda: norm1.prox([1, 2], inf), ValueError, "t must be finite"),
    (lambda: norm1.domain, ValueError, "any number of arguments"),
    (lambda: positive_part.subgradient([-1, 1]), ValueError, "x lies outside the dom"),
    (lambda: positive_part.oracle([-1, 1]), ValueError, "x lies outside the domain"),
    (
        lambda: positive_part.directional_derivative([-1, 1], [1, 0]),
        ValueError,
        "x lies outside the domain",
    ),
    (
        lambda: Support(HalfSpace([1, 0], 1)).subgradient([0, 1]),
        ValueError,
        "x lies outside the domain",
    ),
    (lambda: separable(entropy).subgradient([0.0, 1]), ValueError, "no subgradient"),
    (lambda: separable(entropy).oracle([0.0, 1]), ValueError, "no subgradient"),
    (
        lambda: (norm1 + separable(negative_sqrt)).subgradient([0.0, 1]),
        ValueError,
        "no subgradient",
    ),
    (lambda: sum_largest(3)([1, 2]), ValueError, "k = 3.0 exceeds .* 2"),
    (lambda: relu(nan), ValueError, f"t {NAN}"),
    (lambda: relu("1"), TypeError, f"t {REAL}"),
    (lambda: relu.subdifferential(0, -1), ValueError, "eps must be nonnegative"),
    (lambda: relu.prox(1, 0), ValueError, "step must be positive"),
]

FUNCTIONS_MADE_WRONG = [
    (lambda: Support([1, 2]), TypeError, "Support takes a Set, got list"),
    (lambda: Support(Empty(2)), ValueError, "nonempty"),
    (lambda: Support(CappedSimplex(0, 1, 5, 3)), ValueError, "nonempty"),
    (lambda: Indicator([0, 1]), TypeError, "Indicator takes a Set, got list"),
    (lambda: Indicator(Empty(2)), ValueError, "nonempty"),
    (lambda: Distance(3), TypeError, "Distance takes a Set, got int"),
    (lambda: Distance(Empty(2)), ValueError, "nonempty"),
    (lambda: Separable(norm1), TypeError, "function on the line.* got Norm1"),
    (lambda: separable(abs), TypeError, "function on the line"),
    (lambda: separable(relu, [-1, 1]), ValueError, "weights must be nonnegative"),
    (lambda: separable(relu, [nan, 1]), ValueError, f"weights {NAN}"),
    (lambda: separable(relu, [inf, 1]), ValueError, "weights must be finite"),
    (lambda: separable(relu, []), ValueError, f"weights .*{EMPTY}"),
    (lambda: separable(relu, [1, 2])([1, 2, 3]), ValueError, r"x .*2\), got"),
    (lambda: pinball_loss(-0.1), ValueError, "tau must be nonnegative, got -0.1"),
    (lambda: pinball_loss(1.1), ValueError, r"tau must lie in \[0, 1\], got 1.1"),
    (lambda: pinball_loss(nan), ValueError, f"tau {NAN}"),
    (lambda: epsilon_insensitive_loss(-1), ValueError, "eps must be nonnegative"),
    (lambda: interval_indicator(1, 0), ValueError, "lower = 1 and upper = 0"),
    (lambda: interval_indicator(nan, 0), ValueError, f"lower {NAN}"),
    (lambda: PiecewiseLinear([1, 0], [1, 2, 3]), ValueError, "breakpoints .*nondecr"),
    (lambda: PiecewiseLinear([0], [2, 1]), ValueError, "slopes .*convex"),
    (lambda: PiecewiseLinear([0], [1, 2, 3]), ValueError, r"K \+ 1 slopes"),
    (lambda: PiecewiseLinear([0], [nan, 1]), ValueError, f"slopes {NAN}"),
    (lambda: PiecewiseLinear([inf], [0, 1]), ValueError, "breakpoints must be finite"),
    (lambda: Linear([]), ValueError, f"c .*{EMPTY}"),
    (lambda: Linear([nan]), ValueError, f"c {NAN}"),
    (lambda: Linear([1], nan), ValueError, f"b {NAN}"),
    (lambda: Linear([1, 2])([1]), ValueError, r"x .*2\), got \(1,\)"),
    (lambda: Quadratic(3), ValueError, "P must be a square matrix"),
    (lambda: Quadratic([1, 2]), ValueError, "P must be a square matrix"),
    (lambda: Quadratic([[1, 2]]), ValueError, "P must be a square matrix"),
    (lambda: Quadratic(np.zeros((0, 0))), ValueError, "P must be a square matrix"),
    (lambda: Quadratic([[1, 2], [3, 4]]), ValueError, "P must be symmetric"),
    (lambda: Quadratic([[1, 2], [2, 1]]), ValueError, "P .*semidefinite.*not convex"),
    (lambda: Quadratic([[nan]]), ValueError, f"P {NAN}"),
    (lambda: Quadratic(sp.csr_array([[inf]])), ValueError, "P must be finite"),
    (lambda: Quadratic(sp.csr_array([[-1.0]])), ValueError, "P .*not convex"),
    (lambda: Quadratic("P"), TypeError, f"P {REAL}"),
    (lambda: SquaredNorm(0), ValueError, "c must be positive"),
    (lambda: SquaredNorm(nan), ValueError, f"c {NAN}"),
    (lambda: MaxAffine([1, 2]), ValueError, "A must be a matrix"),
    (lambda: MaxAffine(np.zeros((0, 2))), ValueError, "A must be a matrix"),
    (lambda: MaxAffine([[nan, 2]]), ValueError, f"A {NAN}"),
    (lambda: MaxAffine([[1, 2]], [1, 2]), ValueError, r"b must have shape \(\.\.\., 1"),
    (lambda: GroupNorm([]), ValueError, "groups must be a vector of labels"),
    (lambda: GroupNorm([[0, 1]]), ValueError, "groups must be a vector of labels"),
    (lambda: GroupNorm([0, 1], [1, 2, 3]), ValueError, r"weights .*2\), got \(3,\)"),
    (lambda: GroupNorm([0, 1], -1), ValueError, "weights must be nonnegative"),
    (lambda: sum_largest(0), ValueError, "k must be positive"),
    (lambda: sum_largest(nan), ValueError, f"k {NAN}"),
]

SETS_MADE_WRONG = [
    (lambda: Interval(2, 1), ValueError, "lower must not exceed upper"),
    (lambda: Interval(nan), ValueError, f"lower {NAN}"),
    (lambda: Box([0, 1]), TypeError, "Box takes an Interval, got list"),
    (lambda: Box(Interval([])), ValueError, EMPTY),
    (lambda: point([]), ValueError, EMPTY),
    (lambda: point([inf]), ValueError, "must be finite"),
    (lambda: Empty(0), ValueError, EMPTY),
    (lambda: whole_space(0), ValueError, EMPTY),
    (lambda: Ball([]), ValueError, f"center .*{EMPTY}"),
    (lambda: Ball([nan]), ValueError, f"center {NAN}"),
    (lambda: Ball([0], -1), ValueError, "radius must be nonnegative"),
    (lambda: Ball([0], inf), ValueError, "radius must be finite"),
    (lambda: GroupBall([0, 0], 1, [0]), ValueError, r"center .*1\), got \(2,\)"),
    (lambda: GroupBall([0, 0], -1, [0, 1]), ValueError, "radius must be nonnegative"),
    (lambda: GroupBall([0, 0], [1, 2, 3], [0, 1]), ValueError, r"radius .*got \(3,\)"),
    (lambda: ConeBall([0], 1, Cone([[1, 1]])), ValueError, r"center .*2\), got \(1,"),
    (lambda: ConeBall([0, 0], -1, Cone([[1, 1]])), ValueError, "radius must be nonn"),
    (lambda: ConeBall([0, 0], 1, 3), TypeError, "cone must be a Set, got int"),
    (lambda: Polar(3), TypeError, "cone must be a Set, got int"),
    (lambda: Simplex(0), ValueError, "n must be a positive integer, got 0"),
    (lambda: Simplex(-1), ValueError, "n must be a positive integer, got -1"),
    (lambda: Simplex(2.5), ValueError, "n must be a positive integer, got 2.5"),
    (lambda: Simplex(2, 0), ValueError, "radius must be positive"),
    (lambda: Simplex(2, nan), ValueError, f"radius {NAN}"),
    (lambda: CappedSimplex(1, 0, 1, 3), ValueError, "lower must not exceed upper"),
    (lambda: CappedSimplex(0, nan, 1, 3), ValueError, f"upper {NAN}"),
    (lambda: CappedSimplex(0, inf, 1, 3), ValueError, "upper must be finite"),
    (lambda: CappedSimplex(0, 1, nan, 3), ValueError, f"total {NAN}"),
    (lambda: CappedSimplex(0, 1, 1, 0), ValueError, "n must be a positive integer"),
    (lambda: CappedSimplex([0] * 2, [1] * 3, 1), ValueError, "lower and upper must"),
    (lambda: CrossPolytope(0), ValueError, "n must be a positive integer, got 0"),
    (lambda: CrossPolytope(2.5), ValueError, "n must be a positive integer"),
    (lambda: CrossPolytope(2, 0), ValueError, "radius must be positive"),
    (lambda: Hull([]), ValueError, "points must have shape"),
    (lambda: Hull([1, 2]), ValueError, "points must have shape"),
    (lambda: Hull([[nan, 1]]), ValueError, f"points {NAN}"),
    (lambda: Hull([[1, 2], [3]]), ValueError, "points .*ragged"),
    (lambda: HalfSpace([], 1), ValueError, f"a .*{EMPTY}"),
    (lambda: HalfSpace([nan], 1), ValueError, f"a {NAN}"),
    (lambda: HalfSpace([1], nan), ValueError, f"upper {NAN}"),
    (lambda: HalfSpace([1], 0, 1), ValueError, "lower must not exceed upper"),
    (lambda: AffineSubspace([], [[]]), ValueError, f"point .*{EMPTY}"),
    (lambda: AffineSubspace([1, 2], [1, 2]), ValueError, "directions must be"),
    (lambda: AffineSubspace([1, 2], [[1, 2, 3]]), ValueError, "directions must be"),
    (lambda: AffineSubspace([1, 2], [[nan, 1]]), ValueError, f"directions {NAN}"),
    (lambda: AffineSubspace.solve([1, 1], [1]), ValueError, r"C must be \(k, n\)"),
    (lambda: AffineSubspace.solve([[1, nan]], [1]), ValueError, f"C {NAN}"),
    (lambda: AffineSubspace.solve([[1], [1]], [1, 2]), ValueError, "no solution"),
    (lambda: Cone([]), ValueError, "generators must have shape"),
    (lambda: Cone([1, 2]), ValueError, "generators must have shape"),
    (lambda: Cone([[inf, 1]]), ValueError, "generators must be finite"),
]

SETS_USED_WRONG = [
    (lambda: disc.support([1]), ValueError, r"d .*2\), got \(1,\)"),
    (lambda: disc.support(1.0), ValueError, r"d .*2\), got a scalar"),
    (lambda: disc.exposed_face([1, 2], -1), ValueError, "eps must be nonnegative"),
    (lambda: disc.normal_cone([1, 0], -1), ValueError, "eps must be nonnegative"),
    (lambda: disc.contains([1, 0], -1), ValueError, "tol must be nonnegative"),
    (lambda: disc.contains([1, 0], nan), ValueError, f"tol {NAN}"),
    (lambda: Empty(2).project([1, 2]), ValueError, "empty set"),
    (lambda: Empty(2).min_norm(), ValueError, "empty set"),
    (lambda: Empty(2).support_point([1, 2]), ValueError, "empty set"),
    (lambda: Cone([[1, 0]]).support_point([1, 0]), ValueError, "unbounded .* d"),
    (lambda: [[0, 0]] in disc, ValueError, "use contains"),
    (lambda: disc + [1], ValueError, r"shift .*2\), got"),
    (lambda: disc + [nan, 1], ValueError, f"shift {NAN}"),
    (lambda: disc + "a", TypeError, f"shift {REAL}"),
    (lambda: disc + Ball([0]), ValueError, r"R\^2 and in R\^1"),
    (lambda: disc * nan, ValueError, f"factor {NAN}"),
    (lambda: disc * inf, ValueError, "factor must be finite"),
    (lambda: disc * disc, TypeError, "Ball"),
    (lambda: np.ones((2, 3)) @ disc, ValueError, "A must have 2 columns, got 2 x 3"),
    (lambda: np.full((2, 2), nan) @ disc, ValueError, f"A {NAN}"),
    (lambda: 2 @ disc, ValueError, r"A must be a matrix.*A \* x"),
    (lambda: np.zeros((0, 2)) @ disc, ValueError, "A must not be empty"),
    (lambda: hull_of_union(), ValueError, "at least one set"),
    (lambda: hull_of_union(disc, [0, 0]), TypeError, "must be a Set, got list"),
    (lambda: hull_of_union(disc, Ball([0])), ValueError, r"R\^2 and in R\^1"),
    (lambda: product([]), ValueError, "at least one set"),
    (lambda: product([disc, 3]), TypeError, "must be a Set, got int"),
    (lambda: scaled_union(disc, 2, 1), ValueError, "lower must not exceed upper"),
    (lambda: scaled_union(disc, -1, 1), ValueError, "lower must be nonnegative"),
    (lambda: scaled_union(disc, nan, 1), ValueError, f"lower {NAN}"),
    (lambda: scaled_union(3, 0, 1), TypeError, "must be a Set, got int"),
    (lambda: weighted_sum(Simplex(2), [disc]), ValueError, r"R\^2 for 1 sets"),
    (lambda: weighted_sum(Simplex(2), [disc, Ball([0])]), ValueError, r"R\^1"),
    (lambda: weighted_sum(box([-1], [0]), [disc]), ValueError, "weights .*nonneg"),
]

CALCULUS = [
    (lambda: -1 * norm1, ValueError, NOT_CONVEX),
    (lambda: -norm1, ValueError, NOT_CONVEX),
    (lambda: np.float64(-2) * norm1, ValueError, NOT_CONVEX),
    (lambda: np.array([1, -2]) * norm1, ValueError, NOT_CONVEX),
    (lambda: 3 - norm1, ValueError, NOT_CONVEX),
    (lambda: x[0] - norm1(x), ValueError, NOT_CONVEX),
    (lambda: norm1 * nan, ValueError, f"factor {NAN}"),
    (lambda: norm1 * inf, ValueError, "factor must be finite"),
    (lambda: norm1 * "a", TypeError, f"factor {REAL}"),
    (lambda: norm1 / 0, ValueError, "divisor must be positive"),
    (lambda: norm1 / -1, ValueError, "divisor must be positive"),
    (lambda: 2 / norm1, TypeError, "Norm1"),
    (lambda: norm1**2, TypeError, "Norm1"),
    (lambda: norm1 * norm1, ValueError, "product of functions"),
    (lambda: norm1(x) * x, ValueError, "product"),
    (lambda: x * norm1(x), ValueError, "product"),
    (lambda: norm1 - norm2, ValueError, "difference of convex functions"),
    (lambda: norm1 + nan, ValueError, f"term {NAN}"),
    (lambda: norm1 + inf, ValueError, "term must be finite"),
    (lambda: norm1 + "a", TypeError, f"term {REAL}"),
    (lambda: norm1 + disc, TypeError, "Ball"),
    (lambda: norm1(x) + x, ValueError, "affine map with 3 rows .* one row"),
    (lambda: norm1(x) + norm1(y), ValueError, UNRELATED),
    (lambda: norm1(x) + norm1(variable(4)), ValueError, "of 3 and of 4 arguments"),
    (lambda: maximum(), ValueError, "maximum needs at least one function"),
    (lambda: maximum(x), ValueError, "affine map with 3 rows .* one row"),
    (lambda: maximum(norm1, nan), ValueError, f"term {NAN}"),
    (lambda: maximum(norm1(x), norm2(y)), ValueError, UNRELATED),
    (lambda: maximum(x[0], y[0]), ValueError, UNRELATED),
    (lambda: compose(norm1), ValueError, "at least one inner function"),
    (lambda: compose(norm1, norm1 - 1), ValueError, "not proved nondecreasing in arg"),
    (lambda: compose(Linear([-1]), norm1), ValueError, "not proved nondecreasing"),
    (lambda: compose(norm1, norm1(x), norm2(y)), ValueError, UNRELATED),
    (lambda: compose(MaxAffine([[1, 2]]), norm1), ValueError, "h takes 2 arguments"),
    (lambda: compose(relu, norm1, norm2), ValueError, "h takes 1 arg.* 2 functions"),
    (lambda: compose(3, norm1), TypeError, "function on the line.* got int"),
    (lambda: stack(), ValueError, "stack needs at least one function"),
    (lambda: stack(norm1), ValueError, "number of arguments"),
    (lambda: moreau_envelope(norm1, 0), ValueError, "t must be positive"),
    (lambda: moreau_envelope(norm1, nan), ValueError, f"t {NAN}"),
    (lambda: moreau_envelope(3), TypeError, "f must be a Function, got int"),
    (lambda: conjugate(3), TypeError, "f must be a Function, got int"),
    (lambda: conjugate(relu), TypeError, "becomes one by .* or separable"),
    (lambda: sg.minimize(relu, [0.0]), TypeError, "becomes one by .* or separable"),
    (lambda: fenchel_young(norm1, [1, 2], [1]), ValueError, r"g .*2\), got \(1,\)"),
    (lambda: fenchel_young(norm1, [1, 2], [nan, 1]), ValueError, f"g {NAN}"),
    (lambda: relu(x), ValueError, "one row, got 3; separable"),
    (lambda: GroupNorm([0, 1])(x), ValueError, "2 arguments, .* 3 rows"),
    (lambda: Quadratic(np.eye(4))(x), ValueError, "4 arguments, .* 3 rows"),
    (lambda: norm1(x)(A @ x), ValueError, "3 arguments, .* 4 rows"),
]

AFFINE = [
    (lambda: variable(0), ValueError, "shape must be a positive int"),
    (lambda: variable(2.5), ValueError, "shape must be a positive int"),
    (lambda: variable("a"), ValueError, "shape must be a positive int"),
    (lambda: variable(()), ValueError, "shape must be a positive int"),
    (lambda: variable((2, 0)), ValueError, "shape must be a positive int"),
    (lambda: np.eye(2) @ variable((2, 2, 2)), ValueError, "one or two axes"),
    (lambda: variables(), ValueError, "at least one shape"),
    (lambda: variables(2, -1), ValueError, "shape must be a positive int"),
    (lambda: x([1, 2]), ValueError, r"x .*3\), got \(2,\)"),
    (lambda: x([1, nan, 2]), ValueError, f"x {NAN}"),
    (lambda: (A @ x).adjoint([1, 2]), ValueError, r"y .*4\), got \(2,\)"),
    (lambda: x + y, ValueError, UNRELATED),
    (lambda: x - y, ValueError, UNRELATED),
    (lambda: x + x[:2], ValueError, r"shapes \(3,\), \(2,\)"),
    (lambda: x + [1, 2], ValueError, r"term .*\(3,\) of the map, got \(2,\)"),
    (lambda: x + nan, ValueError, f"term {NAN}"),
    (lambda: x - inf, ValueError, "term must be finite"),
    (lambda: x + "a", TypeError, f"term {REAL}"),
    (lambda: X + np.ones((2, 3)), ValueError, r"term .*\(2, 2\) .*got \(2, 3\)"),
    (lambda: x * [1, 2], ValueError, r"factor .*\(3,\) of the map, got \(2,\)"),
    (lambda: nan * x, ValueError, f"factor {NAN}"),
    (lambda: x * x, ValueError, "product .* not affine"),
    (lambda: x @ x, ValueError, "product .* not affine"),
    (lambda: X @ X, ValueError, "product .* not affine"),
    (lambda: x**2, TypeError, "AffineMap"),
    (lambda: 2 / x, TypeError, "AffineMap"),
    (lambda: x / 0, ValueError, "divisor must not be 0"),
    (lambda: x / [1, 0, 1], ValueError, "divisor must not be 0"),
    (lambda: np.ones((4, 2)) @ x, ValueError, "A must have 3 columns, got 4 x 2"),
    (lambda: np.ones((5, 4, 2)) @ x, ValueError, "A must have 3 columns"),
    (lambda: sp.csr_array(A[:, :2]) @ x, ValueError, "A must have 3 columns"),
    (lambda: linear(aslinearoperator(A)) @ x[:2], ValueError, "A must have 2 columns"),
    (lambda: np.full((4, 3), nan) @ x, ValueError, f"A {NAN}"),
    (lambda: np.full((4, 3), inf) @ x, ValueError, "A must be finite"),
    (lambda: sp.csr_array(A * nan) @ x, ValueError, f"A {NAN}"),
    (lambda: sp.csr_array(A * 1j) @ x, TypeError, f"A {REAL}"),
    (lambda: linear(aslinearoperator(A * 1j)) @ x, TypeError, f"A {REAL}"),
    (lambda: sp.coo_array(np.ones(3)) @ x, ValueError, "A must be a matrix"),
    (lambda: np.zeros((0, 3)) @ x, ValueError, "A must not be empty"),
    (lambda: 2 @ x, ValueError, r"A must be a matrix.*A \* x"),
    (lambda: "A" @ x, TypeError, f"A {REAL}"),
    (lambda: x @ A.T, ValueError, "needs a vector B"),
    (lambda: np.ones((3, 3)) @ X, ValueError, "A must be a matrix with 2"),
    (lambda: X @ np.ones((3, 2)), ValueError, "B must be a matrix with 2"),
    (lambda: linear(A), TypeError, "LinearOperator, got ndarray"),
    (lambda: linear(no_adjoint) @ 3, TypeError, "AffineMap, got int"),
    (lambda: linear(aslinearoperator(A)) @ X, ValueError, "matrix"),
    (lambda: x[3], IndexError, "out of bounds"),
    (lambda: x[3:], IndexError, "picks nothing"),
    (lambda: x[[]], IndexError, "picks nothing"),
    (lambda: x[[0, 7]], IndexError, "out of bounds"),
    (lambda: x[0, 0], IndexError, "too many indices"),
    (lambda: x[np.array([True, False])], IndexError, "boolean"),
    (lambda: vstack(), ValueError, "at least one map"),
    (lambda: vstack(x, 3), TypeError, "AffineMap, got int"),
    (lambda: vstack(x, y), ValueError, UNRELATED),
    (
        lambda: norm1(linear(no_adjoint) @ x).subgradient([1, 2, 3]),
        NotImplementedError,
        "rmatvec",
    ),
]

WRONG = [
    *VALUES,
    *FUNCTIONS_MADE_WRONG,
    *SETS_MADE_WRONG,
    *SETS_USED_WRONG,
    *CALCULUS,
    *AFFINE,
]


def source(call) -> str:
    """The line on which the case stands and the names on it, to find it by."""
    code = call.__code__
    return f"{code.co_firstlineno} {' '.join(code.co_names)}"


@pytest.mark.parametrize(
    ("call", "error", "words"), WRONG, ids=[source(call) for call, *_ in WRONG]
)
def test_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()


# The same for every function and every set there is. ----------------------------------

functions = pytest.mark.parametrize("row", FUNCTIONS, ids=[r.name for r in FUNCTIONS])
sets = pytest.mark.parametrize("S", SETS.values(), ids=SETS)


def wrong_vectors(n: int | None) -> Iterator[tuple[object, type[Exception], str]]:
    good = np.zeros(n or 2)
    yield np.where(np.arange(good.size) == 0, nan, good), ValueError, NAN
    yield np.where(np.arange(good.size) == 0, inf, good), ValueError, "finite, got inf"
    yield good + 1j, TypeError, REAL
    yield [str(v) for v in good], TypeError, REAL
    yield [None] * good.size, TypeError, REAL
    yield [], ValueError, r"\(0,\)"
    yield [[0.0] * good.size, [0.0]] if good.size > 1 else [[0], [0, 1]], ValueError, ""
    if n is not None:
        yield np.zeros(n + 1), ValueError, rf"\(\.\.\., {n}\), got \({n + 1},\)"
        yield np.zeros((n, n + 1)), ValueError, rf"\(\.\.\., {n}\), got"


@functions
def test_functions_refuse_wrong_vectors(row):
    f, fine = row.f, np.zeros(row.n)
    calls = [
        ("x", f),
        ("x", f.value),
        ("x", f.oracle),
        ("x", f.subgradient),
        ("x", f.subdifferential),
        ("x", f.domain_normal),
        ("x", f.prox),
        ("x", lambda z: f.directional_derivative(z, fine)),
    ]
    if np.isfinite(f.value(fine)):
        calls.append(("d", lambda z: f.directional_derivative(fine, z)))
    for z, error, words in wrong_vectors(f.n):
        for name, call in calls:
            with pytest.raises(error, match=f"^{name} .*{words}"):
                call(z)


@sets
def test_sets_refuse_wrong_vectors(S):
    calls = [
        ("d", S.support),
        ("d", S.support_point),
        ("d", S.exposed_face),
        ("d", S.interval),
        ("y", S.project),
        ("z", S.contains),
        ("z", S.distance),
        ("x", S.normal_cone),
    ]
    for z, error, words in wrong_vectors(S.dim):
        for name, call in calls:
            with pytest.raises(error, match=f"^{name} .*{words}"):
                call(z)


def same(got, wanted) -> None:
    assert np.asarray(got).dtype == np.asarray(wanted).dtype == np.float64
    np.testing.assert_array_equal(got, wanted)


@functions
def test_functions_take_lists_and_integers(row):
    f, r = row.f, np.random.default_rng(0)
    x = r.integers(-2, 3, (6, row.n))
    inside = np.isfinite(f.value(x.astype(float)))
    x = x[inside] if inside.any() else x
    d, n = np.arange(1, row.n + 1), row.n
    exact = x.astype(float)
    for z in (x, x.tolist(), x.astype(np.int8), np.asfortranarray(x)):
        same(f.value(z), f.value(exact))
        support = f.subdifferential(exact).support(d.astype(float))
        same(f.subdifferential(z).support(d), support)
        same(f.subdifferential(z).support(d.tolist()), support)
        if inside.any():
            slope = f.directional_derivative(exact, d.astype(float))
            same(f.directional_derivative(z, d.tolist()), slope)
        if row.prox:
            same(f.prox(z, 2), f.prox(exact, 2.0))
    v = variable(n)
    g = f if f.variable is not None else f(v)
    same(g.value(x), f.value(exact))


@sets
def test_sets_take_lists_and_integers(S):
    d = np.random.default_rng(0).integers(-2, 3, (5, S.dim))
    exact = d.astype(float)
    for z in (d, d.tolist(), d.astype(np.int8)):
        same(S.support(z), S.support(exact))
        np.testing.assert_array_equal(S.contains(z), S.contains(exact))
        if S.nonempty:
            same(S.project(z), S.project(exact))
            same(S.distance(z), S.distance(exact))


@functions
def test_functions_are_no_sequences(row):
    for wrong in (len, iter, list, lambda f: f[0], lambda f: 1 in f, np.sum):
        with pytest.raises(TypeError):
            wrong(row.f)


@sets
def test_sets_are_no_sequences(S):
    for wrong in (len, iter, list, lambda S: S[0], np.sum):
        with pytest.raises(TypeError):
            wrong(S)


def test_affine_maps_are_no_sequences():
    """Not even by indexing 0, 1, 2, ... until an error, which Python would try."""
    for f in (x, A @ x - 1, X):
        for wrong in (len, iter, list, tuple, sum, max, lambda f: 1 in f, np.sum):
            with pytest.raises(TypeError):
                wrong(f)
        with pytest.raises(TypeError):
            for _ in f:
                raise AssertionError("iterated")
        with pytest.raises(TypeError):
            first, *_ = f


# numpy on the left of every operator leaves the work to the object on the right. ------


@functions
def test_numpy_on_the_left_of_functions(row):
    f, z = row.f, np.ones(row.n)
    value = f.value(z)
    for two in (np.float64(2), np.float32(2), np.int64(2), np.array(2.0)):
        assert isinstance(two * f, sg.Function)
        assert isinstance(two + f, sg.Function)
        np.testing.assert_array_equal((two * f).value(z), 2 * value)
        np.testing.assert_array_equal((two + f).value(z), 2 + value)
    many = np.array([0.5, 3.0])
    np.testing.assert_allclose((many * f).value(z), many * value)
    np.testing.assert_allclose((many + f).value(z), many + value)
    np.testing.assert_allclose((f - many).value(z), value - many)
    for wrong in (lambda: many @ f, lambda: many / f, lambda: many**f):
        with pytest.raises(TypeError):
            wrong()
    if not isinstance(f, sg.functions.linear.Affine):
        for wrong in (
            lambda: -many * f,
            lambda: many - f,
            lambda: f * f,
            lambda: f - f,
        ):
            with pytest.raises(ValueError, match="convex"):
                wrong()


@sets
def test_numpy_on_the_left_of_sets(S):
    d = np.arange(1.0, S.dim + 1)
    h, shift = S.support(d), np.ones(S.dim)
    for two in (np.float64(2), np.int64(2), np.array(2.0)):
        np.testing.assert_allclose((two * S).support(d), 2 * h)
    many = np.array([0.5, 3.0])
    np.testing.assert_allclose((many * S).support(d), many * h)
    np.testing.assert_allclose((shift + S).support(d), h + d.sum())
    B = np.arange(2.0 * S.dim).reshape(2, S.dim) + 1
    e = np.array([1.0, -2])
    np.testing.assert_allclose((B @ S).support(e), S.support(e @ B))
    np.testing.assert_allclose((B[0] @ S).support([1]), S.support(B[0]))
    for wrong in (lambda: shift @ S @ S, lambda: shift / S, lambda: shift**S):
        with pytest.raises(TypeError):
            wrong()


def test_sets_are_subtracted_from_vectors():
    for left in ([1, 2], np.array([1, 2])):
        S, d = left - (disc + [3, 0]), np.array([3.0, 4])
        assert S.support(d) == pytest.approx(5 - 9 + 11)
        assert S.support(-d) == pytest.approx(5 + 9 - 11)


def test_numpy_on_the_left_of_affine_maps():
    z = np.array([1.0, -2, 3])
    for two in (np.float64(2), np.float32(2), np.int64(2), np.array(2.0)):
        same((two * x)(z), 2 * z)
        same((two + x)(z), 2 + z)
        same((two - x)(z), 2 - z)
    w = np.array([1, 2, 3])
    same((w * x)(z), w * z)
    same((w + x)(z), w + z)
    same((w - x)(z), w - z)
    same((w @ x)(z), [w @ z])
    same((A @ x)(z), A @ z)
    same((A[0] + np.float64(1) * x)(z), A[0] + z)
    for wrong in (lambda: w / x, lambda: w**x, lambda: w < x):
        with pytest.raises(TypeError):
            wrong()


def test_numpy_on_the_left_of_intervals():
    w, I = np.array([1.0, -2]), Interval([0, 1], [1, 2])  # noqa: E741
    assert np.all(w + I == Interval([1, -1], [2, 0]))
    assert np.all(w - I == Interval([0, -4], [1, -3]))
    assert np.all(w * I == Interval([0, -4], [1, -2]))
    assert (w @ I) == Interval(-4, -1)


# Right answers for what is unusual but not wrong. -------------------------------------


def test_empty_batches():
    none = np.zeros((0, 2))
    for f in (norm1, norm2, sg.norm_inf, sg.max_entry, hinge_loss, Indicator(disc)):
        assert f.value(none).shape == (0,)
        assert f.subdifferential(none).support([1, 0]).shape == (0,)
        assert f.directional_derivative(none, [1, 0]).shape == (0,)
        assert f.prox(none).shape == (0, 2)
    assert disc.project(none).shape == (0, 2)
    assert disc.contains(none).shape == (0,)


def test_numbers_stand_for_vectors_of_one():
    assert norm1(-2) == 2 and separable(absolute)(-2) == 2
    assert Ball(3.0).contains(2.5)
    assert variable(1)(4).shape == (1,)


def test_small_integers_do_not_overflow():
    assert norm1(np.array([-128], np.int8)) == 128
    assert norm1(np.array([200, 100], np.uint8)) == 300
    assert sg.squared_norm(np.array([200], np.uint8)) == 40000
    assert (np.int8(100) * variable(1))(np.int8(100)) == 10000


def test_input_is_left_alone():
    z = np.array([3.0, -4.0])
    z.flags.writeable = False
    for f in (norm1, norm2, separable(pinball(0.3)), Indicator(disc)):
        f.value(z), f.prox(z), f.subdifferential(z, 0.1).support(z)
    assert z.tolist() == [3, -4]


def test_constants_count_as_functions():
    assert maximum(3)([5.0]) == 3
    assert maximum(norm1, 3)([1.0]) == 3
    assert (norm1 + np.float64(1) - 2)([1.0]) == 0
