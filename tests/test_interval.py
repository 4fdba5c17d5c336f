"""Interval: the image law over a lattice of ends, and by hypothesis over all floats."""

import copy
import itertools
import math
import operator
import pickle
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import portion
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from subgrad.interval import Interval

pytestmark = pytest.mark.filterwarnings("error")

inf = math.inf
EMPTY, LINE = Interval.empty(), Interval.real()
# Every interval with ends in {-inf, -1, 0, 1, inf}, the empty one first.
LATTICE = [EMPTY] + [
    Interval(low, up)
    for low, up in itertools.combinations_with_replacement(
        [-inf, -1.0, 0.0, 1.0, inf], 2
    )
    if not (low == up and math.isinf(low))
]
ARRAY = Interval([i.lower for i in LATTICE], [i.upper for i in LATTICE])
HUGE, TINY, LARGEST = 1.7e308, 5e-324, float(np.finfo(float).max)
EXTREME = Interval(
    [inf, -inf, -HUGE, HUGE, -inf, TINY, -TINY, 0.0, -HUGE],
    [-inf, inf, HUGE, HUGE, -HUGE, TINY, inf, 0.0, -TINY],
)
ARITHMETIC = [operator.add, operator.sub, operator.mul]
BINARY = [*ARITHMETIC, operator.or_, operator.and_]


def image(f: Callable[..., float], *intervals: Interval) -> Interval:
    """The image of a product of intervals under f, linear in each argument.

    Half-lines are cut off at R; an end that moves with R is infinite.
    """
    if any(i.is_empty for i in intervals):
        return EMPTY
    extremes = []
    for cut in (1e3, 1e4):
        boxes = [(max(i.lower, -cut), min(i.upper, cut)) for i in intervals]
        values = [f(*vertex) for vertex in itertools.product(*boxes)]
        extremes.append((min(values), max(values)))
    (low, up), (far_low, far_up) = extremes
    return Interval(-inf if far_low < low else low, inf if far_up > up else up)


def same(x: Interval, y: Interval) -> bool:
    return x.shape == y.shape and bool(np.all(x == y))


finite = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def intervals(draw: st.DrawFn) -> Interval:
    ends = draw(st.tuples(*[st.floats(allow_nan=False)] * 2))
    assume(max(ends) != -inf and min(ends) != inf)
    return Interval(min(ends), max(ends))


@st.composite
def members(draw: st.DrawFn) -> tuple[Interval, float]:
    """An interval and a number in it, often an end."""
    i = draw(intervals())
    ends = [float(end) for end in (i.lower, i.upper) if np.isfinite(end)]
    low, up = (
        None if math.isinf(end) else end for end in (float(i.lower), float(i.upper))
    )
    inside = st.floats(low, up, allow_nan=False, allow_infinity=False)
    return i, draw(st.one_of(inside, *map(st.just, ends)))


@pytest.mark.parametrize("op", ARITHMETIC)
def test_image_over_the_lattice(op: Callable[..., Any]) -> None:
    table = op(ARRAY[:, None], ARRAY)
    for (i, x), (j, y) in itertools.product(enumerate(LATTICE), repeat=2):
        expected = image(op, x, y)
        assert op(x, y) == expected, (x, y)
        assert table[i, j] == expected, (x, y)
        for c in (x, y):
            if c.is_point:
                assert op(float(c.lower), y) == image(op, c, y)
                assert op(x, float(c.lower)) == image(op, x, c)


@given(members(), members())
def test_containment(a: tuple[Interval, float], b: tuple[Interval, float]) -> None:
    (x, s), (y, t) = a, b
    for op in ARITHMETIC:
        for result in (op(x, y), op(s, y), op(x, t), op(x[None], np.float64(t))[0]):
            value = op(s, t)
            # A number beyond the largest float is in the half-line behind it.
            value = max(-LARGEST, min(value, LARGEST))
            assert value in result
    assert s in x | y and t in x | y
    assert (s in x & y) == (s in y)
    assert abs(s) in abs(x)
    assert -s in -x
    assert x.mignitude <= abs(s) <= x.magnitude


@given(intervals(), intervals())
def test_tightness(x: Interval, y: Interval) -> None:
    def attained(end: np.float64, pairs: list[tuple[Any, Any]], op: Any) -> bool:
        with np.errstate(all="ignore"):
            values = [op(a, b) for a, b in pairs]
        # 0 * inf is 0, and an overflow to the wrong side stops at the largest float.
        values += [0.0] * any(np.isnan(values))
        values += [max(-LARGEST, min(v, LARGEST)) for v in values if np.isinf(v)]
        return end in values

    pairs = list(itertools.product((x.lower, x.upper), (y.lower, y.upper)))
    for op in ARITHMETIC:
        z = op(x, y)
        assert not z.is_empty
        assert attained(z.lower, pairs, op) and attained(z.upper, pairs, op)
    hull = x | y
    assert hull.lower in (x.lower, y.lower) and hull.upper in (x.upper, y.upper)


@given(intervals(), intervals(), intervals())
def test_algebra(x: Interval, y: Interval, z: Interval) -> None:
    assert x + y == y + x and x * y == y * x and x | y == y | x and x & y == y & x
    assert x - y == x + (-y) == -(y - x)
    assert x + 0 == 0 + x == x == 1 * x == x * 1
    minus = -x
    assert x * -1 == minus and -minus == x
    assert (x | y) | z == x | (y | z) and (x & y) & z == x & (y & z)
    assert x & (x | y) == x == x | (x & y)
    assert abs(x) == abs(-x) <= Interval(0, inf)


@pytest.mark.parametrize("x", LATTICE, ids=str)
def test_empty(x: Interval) -> None:
    for op in ARITHMETIC:
        assert op(x, EMPTY) == op(EMPTY, x) == EMPTY
    assert x | EMPTY == EMPTY | x == x
    assert x & EMPTY == EMPTY
    assert EMPTY <= x


def test_empty_in_arithmetic_with_numbers() -> None:
    for c in (0, -2.0, 3, np.zeros(2), np.array([1.0, -1.0])):
        for op in ARITHMETIC:
            assert np.all(op(EMPTY, c).is_empty) and np.all(op(c, EMPTY).is_empty)
    assert -EMPTY == abs(EMPTY) == EMPTY
    x = Interval([0, inf], [inf, -inf]) * 0
    assert same(x, Interval([0, inf], [0, -inf]))
    # The set {inf} holds no number, however it is spelled.
    for op in ARITHMETIC:
        assert op(Interval(0, 1), inf) == op(-inf, Interval(0, 1)) == EMPTY
        assert same(op([0.0, inf], Interval(1)), op(Interval([0, inf]), Interval(1)))


def test_zero_times_infinity_is_zero() -> None:
    assert 0 * LINE == Interval(0)
    assert Interval(0, 1) * Interval(1, inf) == Interval(0, inf)
    assert same(np.array([0.0, -1.0]) * LINE, Interval([0, -inf], [0, inf]))


def test_overflow_keeps_the_set() -> None:
    assert Interval(HUGE) + HUGE == Interval(HUGE) * HUGE == Interval(LARGEST, inf)
    assert -HUGE - Interval(HUGE) == HUGE * Interval(-HUGE) == Interval(-inf, -LARGEST)
    # also beside an empty interval
    x = Interval([HUGE, inf], [HUGE, -inf])
    assert same(x + x, Interval([LARGEST, inf], [inf, -inf]))
    single = Interval(np.float32(3e38)) + np.float32(3e38)
    assert single == Interval(np.finfo(np.float32).max, inf)


@pytest.mark.parametrize("op", BINARY)
def test_never_nan_and_always_canonical(op: Callable[..., Any]) -> None:
    for x in (EXTREME, ARRAY):
        before = copy.deepcopy(x)
        y = op(x[:, None], x)
        assert same(x, before)
        assert y.shape == (len(x), len(x))
        for i, j in np.ndindex(y.shape):
            assert y[i, j] == op(x[i], x[j])
        for array in (y.lower, y.upper, y.width, y.magnitude, y.mignitude):
            assert not np.isnan(array).any()
        assert np.all((y.lower < inf) & (y.upper > -inf) | (y == EMPTY))
        assert not np.isnan(y[~y.is_empty].midpoint).any()


@pytest.mark.parametrize("op", BINARY)
@pytest.mark.parametrize(
    "points",
    [
        2,
        -1.5,
        True,
        np.float64(0),
        np.float32(1.5),
        np.array(2.0),
        np.arange(3),
        [1, 0, 2],
    ],
    ids=repr,
)
def test_numbers_and_arrays_are_points(op: Callable[..., Any], points: Any) -> None:
    x = Interval([[-1, 0, 1], [0, -inf, inf]], [[2, inf, 1], [0, inf, -inf]])
    assert same(op(x, points), op(x, Interval(points)))
    assert same(op(points, x), op(Interval(points), x))


def test_broadcasting() -> None:
    x = Interval(np.zeros((3, 1)), np.ones(4))
    assert x.shape == (3, 4) == (x + np.ones((2, 1, 1))).shape[1:]
    assert (Interval(0, 1) * np.ones((0, 2))).shape == (0, 2)
    with pytest.raises(ValueError, match="broadcast"):
        Interval([1, 2], [3, 4]) + [1, 2, 3]
    with pytest.raises(ValueError, match=r"lower and upper.*\(2,\) and \(3,\)"):
        Interval([0, 1], [1, 2, 3])


@pytest.mark.parametrize("other", ["a", None, 1j, object, {}], ids=repr)
def test_other_types_are_refused(other: Any) -> None:
    for op in [*BINARY, operator.le, operator.lt]:
        with pytest.raises(TypeError):
            op(Interval(0, 1), other)
        with pytest.raises(TypeError):
            op(other, Interval(0, 1))
    for op in BINARY:
        with pytest.raises(ValueError, match="nan"):
            op(Interval(0, 1), [np.nan])
    assert Interval(0, 1) != other


def test_matrix_over_the_lattice() -> None:
    A = np.array([[1.0, -2.0], [1.0, -1.0], [0.0, 3.0], [0.0, 0.0]])
    for x, y in itertools.product(LATTICE, repeat=2):
        v = Interval([x.lower, y.lower], [x.upper, y.upper])
        for row, result in zip(A, A @ v, strict=True):
            expected = image(lambda s, t, row=row: row @ [s, t], x, y)
            assert result == expected == row @ v, (row, x, y)


def test_matrix_batches() -> None:
    rng = np.random.default_rng(0)
    A = rng.integers(-2, 3, (4, 1, 3, 5)).astype(float)
    pick = rng.integers(1, len(LATTICE), (2, 5))
    pick[1, 2] = 0
    x = ARRAY[pick]
    product = A @ x
    assert product.shape == (4, 2, 3)
    assert np.array_equal(
        product.is_empty, np.broadcast_to([[False], [True]], (4, 2, 3))
    )
    for k, i in np.ndindex(4, 2):
        assert same(product[k, i], A[k, 0] @ x[i])
        assert same(product[k, i], (A[k, 0] @ x)[i])
    assert same([1, 0, 2, 0, -1] @ x, x[:, 0] + 2 * x[:, 2] - x[:, 4] + x[:, 1] * 0)
    assert (np.ones((2, 0)) @ Interval(np.ones(0)))[1] == Interval(0)


def test_matrix_overflow_and_refusals() -> None:
    x = Interval([HUGE, HUGE, -HUGE])
    assert HUGE * 0.5 in np.array([0.5, 0.5, 0.5]) @ x
    for sign in (1, -1):
        # The partial sums overflow, in an order that BLAS chooses.
        assert sign * HUGE in np.ones(3) @ (sign * x)
        assert sign * HUGE in np.array([1.0, 1.0, -1.0]) @ (sign * abs(x))
    for A in (np.eye(2), 2.0, np.eye(3)[..., :0]):
        with pytest.raises(ValueError, match="A @ interval"):
            Interval(np.zeros(3)).__rmatmul__(A)
    with pytest.raises(ValueError, match="A @ interval"):
        np.eye(1) @ Interval(0)
    for bad in (np.nan, inf):
        with pytest.raises(ValueError, match="A must"):
            np.array([bad]) @ Interval([0])


def test_agrees_with_portion() -> None:
    for x, y in itertools.product(LATTICE, repeat=2):
        p, q = x.to_portion(), y.to_portion()
        assert (x | y).to_portion() == (p | q).enclosure
        assert (x & y).to_portion() == p & q
        assert (x == y) is (p == q) and (x != y) is (p != q)
        assert (x <= y) is (p in q) is (y >= x)
        assert (x < y) is (p in q and p != q) is (y > x)
        for z in (-2, -1, -0.5, 0, 0.5, 1, 2):
            assert (z in x) is (z in p)


def test_comparisons_are_elementwise() -> None:
    for op in (
        operator.eq,
        operator.ne,
        operator.le,
        operator.lt,
        operator.ge,
        operator.gt,
    ):
        table = op(ARRAY[:, None], ARRAY)
        assert table.dtype == bool
        for i, j in np.ndindex(table.shape):
            assert table[i, j] == op(LATTICE[i], LATTICE[j])
    with pytest.raises(TypeError, match="unhashable"):
        hash(LINE)


def test_contains() -> None:
    x = Interval([0, -inf, inf], [1, 2, -inf])
    assert x.contains(1.0).tolist() == [True, True, False]
    assert x.contains([[1.5], [1]], tol=0.5).tolist() == [[True, True, False]] * 2
    assert x.contains(1.5, tol=[0.25, 0, 9]).tolist() == [False, True, False]
    assert 0 in Interval(0) and 1e-300 not in Interval(0)
    assert inf not in LINE and not LINE.contains([inf, -inf]).any()
    assert x.contains([-0.5, 2.5, 0], tol=0.5).tolist() == [True, True, False]
    assert Interval(-HUGE, HUGE).contains(0, tol=HUGE)
    with pytest.raises(TypeError, match="contains"):
        assert 1 in x
    with pytest.raises(ValueError, match="z must not contain nan"):
        x.contains(np.nan)
    with pytest.raises(ValueError, match="tol must be nonnegative"):
        x.contains(0, tol=-1)


def test_kinds() -> None:
    kinds = {
        "∅": (True, False, True),
        "[0, 0]": (False, True, True),
        "[0, 1]": (False, False, True),
        "[0, +inf)": (False, False, False),
        "(-inf, 0]": (False, False, False),
        "(-inf, +inf)": (False, False, False),
    }
    for x in LATTICE:
        if str(x) in kinds:
            found = [bool(k) for k in (x.is_empty, x.is_point, x.is_bounded)]
            assert found == list(kinds.pop(str(x)))
    assert not kinds


@pytest.mark.parametrize("x", LATTICE, ids=str)
def test_extents_over_the_lattice(x: Interval) -> None:
    size = image(lambda s, t: s - t, x, x).upper
    assert x.width == (0 if x.is_empty else size)
    assert x.magnitude == (0 if x.is_empty else (x | -x).upper)
    assert x.mignitude == (inf if x.is_empty else abs(x.clip(0)))
    assert abs(x) == (x & Interval(0, inf)) | (-x & Interval(0, inf))
    if x.is_empty:
        for method in (lambda: x.midpoint, lambda: x.clip(0.0)):
            with pytest.raises(ValueError, match="nonempty"):
                method()
    elif x.is_bounded:
        assert x.midpoint == (x.lower + x.upper) / 2
    else:
        ends = [end for end in (x.lower, x.upper) if np.isfinite(end)]
        assert x.midpoint == (ends[0] if ends else 0)


@given(intervals())
@example(Interval(TINY))
@example(Interval(-HUGE, -HUGE / 2))
def test_midpoint_is_inside(x: Interval) -> None:
    assert x.midpoint in x
    if x.is_bounded:
        middle = (Fraction(float(x.lower)) + Fraction(float(x.upper))) / 2
        error = abs(Fraction(float(x.midpoint)) - middle)
        assert error <= Fraction(2) ** -52 * Fraction(float(x.magnitude)) + Fraction(
            TINY
        )
        assert x.width == inf or x.width == float(x.upper) - float(x.lower)


@given(members(), finite)
def test_clip_is_the_nearest_point(a: tuple[Interval, float], y: float) -> None:
    x, s = a
    p = float(x.clip(y))
    assert p in x
    assert abs(Fraction(y) - Fraction(p)) <= abs(Fraction(y) - Fraction(s))
    assert x.clip([y, s]).tolist() == [p, s]


def test_construction() -> None:
    assert Interval(2) == Interval(2, 2) and Interval(2).is_point
    assert Interval(inf, inf) == Interval(-inf, -inf) == Interval(inf, -inf) == EMPTY
    x = Interval([0, inf, -inf, inf, -inf], [1, inf, -inf, -inf, inf])
    assert x.lower.tolist() == [0, inf, inf, inf, -inf]
    assert x.upper.tolist() == [1, -inf, -inf, -inf, inf]
    assert Interval.empty((2, 3)).is_empty.all() and Interval.empty(4).shape == (4,)
    assert same(Interval.real((2,)), Interval([-inf, -inf], inf))
    source = np.zeros(3)
    x = Interval(source, 1)
    source += 5
    assert same(x, Interval(np.zeros(3), 1))


@pytest.mark.parametrize(
    ("lower", "upper", "error", "match"),
    [
        (np.nan, 1, ValueError, "lower must not contain nan"),
        ([0, 1], [1, np.nan], ValueError, "upper must not contain nan"),
        (1, 0, ValueError, r"lower must not exceed upper.*Interval.empty\(shape\)"),
        ([0, 2], [[1], [3]], ValueError, "lower = 2.0 and upper = 1.0"),
        (inf, 5, ValueError, "lower must not exceed"),
        (5, -inf, ValueError, "lower must not exceed"),
        ("a", 1, TypeError, "lower must be an array of real numbers"),
        (0, 1j, TypeError, "upper must be an array of real numbers"),
        (LINE, None, TypeError, "not an array"),
    ],
)
def test_construction_refuses(lower: Any, upper: Any, error: Any, match: str) -> None:
    with pytest.raises(error, match=match):
        Interval(lower, upper)


def test_float32_stays() -> None:
    x = Interval(np.zeros(2, np.float32), np.ones(2, np.float32))
    A = np.eye(2, dtype=np.float32)
    results = [
        x, x + x, x - x, x * x, x | x, x & x, -x, abs(x), 2 * x, x + 0.1, 0 * x, x[0],
        A @ x, x * np.float32(2), x * A[0], Interval(x.lower, 1), Interval(0, x.upper),
        x.reshape(2, 1), Interval.empty(2, np.float32) + x, x & 3, x + inf,
        Interval.real((), np.float32) * x, x.width, x.midpoint, x.magnitude,
        x.mignitude, x.clip(0.5), Interval(x.lower), -2 * Interval(np.float32(1)),
    ]  # fmt: skip
    for i, result in enumerate(results):
        assert result.dtype == np.float32, i
    for result in (
        x + np.ones(2), x * np.float64(2), x * 1e300, x | LINE, np.eye(2) @ x,
        Interval(x.lower, np.ones(2)), Interval(x.lower, 1e300), Interval(0, 1),
    ):  # fmt: skip
        assert result.dtype == np.float64
    assert same(x * 1e300, Interval([0, 0], 1e300))


def test_indexing() -> None:
    x = Interval(np.arange(6).reshape(2, 3), np.arange(6).reshape(2, 3) + 1)
    assert (x.shape, x.ndim, x.size, len(x)) == ((2, 3), 2, 6, 2)
    assert same(x[1, 2], Interval(5, 6)) and same(x[..., 0], Interval([0, 3], [1, 4]))
    assert same(x[:, 1:], Interval([[1, 2], [4, 5]], [[2, 3], [5, 6]]))
    assert same(x[x.lower > 3], Interval([4, 5], [5, 6])) and same(x[...], x)
    assert x[None].shape == (1, 2, 3)
    assert [same(row, x[i]) for i, row in enumerate(x)] == [True, True]
    assert same(x.reshape(3, 2), x.reshape((3, -1))) and x.reshape(6)[4] == x[1, 1]
    assert Interval(0, 1).reshape(1).shape == (1,)
    assert same(LINE[...], LINE) and same(LINE[()], LINE)
    for scalar in (Interval(0, 1), Interval._raw(np.array(0.0), np.array(1.0))):
        assert (scalar.shape, scalar.ndim, scalar.size) == ((), 0, 1)
        assert str(2 * scalar - 1) == "[-1, 1]" and scalar & 3 == EMPTY
        for call in (len, iter):
            with pytest.raises(TypeError):
                call(scalar)
        with pytest.raises(IndexError):
            scalar[0]


def test_is_no_array_of_numbers() -> None:
    x = Interval([0, 1], [1, 2])
    for call in (
        np.asarray,
        np.exp,
        np.sum,
        float,
        lambda x: np.add(np.ones(2), x),
        lambda x: np.matmul(np.eye(2), x),
        lambda x: np.array([x, x]),
        lambda x: np.array([x[0], x[1]]),
    ):
        with pytest.raises(TypeError):
            call(x)


@pytest.mark.parametrize(
    "x",
    [EMPTY, LINE, Interval(0, 1), ARRAY, Interval.real((2, 3))],
    ids=["empty", "line", "one", "array", "view"],
)
def test_copies(x: Interval) -> None:
    copies = [copy.copy(x), copy.deepcopy(x)]
    copies += [pickle.loads(pickle.dumps(x, p)) for p in range(2, 6)]
    for y in copies:
        assert same(x, y) and type(y) is Interval and y.dtype == x.dtype


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (Interval(0, 1), "[0, 1]"),
        (Interval(0, inf), "[0, +inf)"),
        (Interval(-inf, -2.5), "(-inf, -2.5]"),
        (LINE, "(-inf, +inf)"),
        (EMPTY, "∅"),
        (Interval(2), "[2, 2]"),
        (Interval(0.1, 0.1 + 0.2), "[0.1, 0.30000000000000004]"),
        (Interval(np.float32(0.1)), "[0.1, 0.1]"),
        (-Interval(0, 1e300), "[-1e+300, 0]"),
        (Interval(1e-5, 1e6), "[1e-05, 1000000]"),
        (Interval([0, inf], [1, -inf]), "[[0, 1], ∅]"),
        (Interval([[0], [1]], inf), "[[[0, +inf)],\n [[1, +inf)]]"),
        (Interval(np.zeros(0)), "[]"),
        (Interval(np.zeros(5000)), "[" + "[0, 0], " * 3 + "..." + ", [0, 0]" * 3 + "]"),
    ],
)
def test_text(x: Interval, text: str) -> None:
    assert str(x) == f"{x}" == text
    assert repr(x) == f"Interval({text})".replace("\n", "\n" + " " * len("Interval("))


@pytest.mark.parametrize("x", LATTICE, ids=str)
def test_portion_round_trip(x: Interval) -> None:
    p = x.to_portion()
    assert Interval.from_portion(p) == x
    assert p == portion.from_string("()" if x.is_empty else str(x), conv=float)
    for end in () if x.is_empty else (p.lower, p.upper):
        assert end in (portion.inf, -portion.inf) or type(end) is float


def test_portion_border() -> None:
    assert repr((-Interval(0, 1)).to_portion()) == "[-1.0,0.0]"
    half = Interval(0, inf)
    for p in (
        portion.closed(0, inf),
        portion.closedopen(0, inf),
        portion.closed(np.float32(0), portion.inf),
        portion.closedopen(Fraction(0), portion.inf),
    ):
        assert Interval.from_portion(p) == half
    assert Interval.from_portion(portion.open(-inf, inf)) == LINE
    assert Interval.from_portion(portion.closed(inf, inf)) == EMPTY
    for p, match in (
        (portion.open(0, 1), "closed"),
        (portion.openclosed(0, 1), "closed"),
        (portion.open(0, inf), "closed"),
        (portion.closed(0, 1) | portion.closed(2, 3), "union"),
        (portion.closed(np.nan, portion.inf), "nan"),
    ):
        with pytest.raises(ValueError, match=match):
            Interval.from_portion(p)
    for p in (portion.closed("a", "b"), (0, 1), Interval(0, 1)):
        with pytest.raises(TypeError, match="p must"):
            Interval.from_portion(p)
    with pytest.raises(ValueError, match="one interval"):
        Interval([0, 1]).to_portion()
