"""The closed convex envelope of polynomial pieces."""

from __future__ import annotations

import numpy as np
import pytest

from subgrad.univariate._hull import lower_hull

INF = np.inf
ROUNDING = 64 * np.finfo(float).eps


def arcs(*rows):
    """Rows (lower, upper, coefficients, anchor = 0) as the arguments of lower_hull."""
    width = max(len(row[2]) for row in rows)
    c = [[*row[2], *[0.0] * (width - len(row[2]))] for row in rows]
    anchors = [row[3] if len(row) > 3 else 0.0 for row in rows]
    ends = [[float(row[i]) for row in rows] for i in (0, 1)]
    return tuple(np.array(a, float) for a in (*ends, c, anchors))


def polynomial(c, h):
    out = 0.0 * h
    for j in range(c.shape[-1] - 1, -1, -1):
        out = out * h + c[..., j]
    return out


def slopes(c):
    return c[..., 1:] * np.arange(1, c.shape[-1]) if c.shape[-1] > 1 else 0 * c


def evaluate(hull, t):
    points, c, anchors = hull
    k = np.searchsorted(points, t)
    return polynomial(c[k], t - anchors[k])


def grid(f, count=101, reach=1000.0):
    """Points on every arc and its ends: t, f(t), size of the terms, of shape (m, n)."""
    lower, upper, c, anchors = f
    ends = np.r_[lower, upper]
    ends = ends[np.isfinite(ends)]
    span = np.ptp(ends) if ends.size and np.ptp(ends) > 0 else 1.0
    out = [[], [], []]
    far = span * np.r_[np.linspace(0, 3, count - 2), 30, reach]
    for k in range(lower.size):
        if np.isinf(lower[k]):
            t = (upper[k] if np.isfinite(upper[k]) else anchors[k] + span) - far
        elif np.isinf(upper[k]):
            t = lower[k] + far
        else:
            t = np.linspace(lower[k], upper[k], count)
        out[0].append(t)
        out[1].append(polynomial(c[k], t - anchors[k]))
        out[2].append(polynomial(abs(c[k]), abs(t - anchors[k])))
    return tuple(np.array(a) for a in out)


def certify(f, hull):
    """
    Prove hull = f**, up to rounding: it is convex, f >= hull, and every piece is one of
    f, or a segment between two points of f, or a half-line parallel to a ray of f.
    """
    lower, upper, c, anchors = f
    points, new, places = hull
    assert new.shape == (points.size + 1, max(c.shape[-1], new.shape[-1]))
    assert places.shape == (points.size + 1,)
    starts, ends = np.r_[lower[0], points], np.r_[points, upper[-1]]
    assert np.all(starts < ends) or (points.size == 0 and lower[0] == upper[-1])
    for a in hull:
        assert np.all(np.isfinite(a))
    # Continuous, with slopes that do not fall.
    for p, fall in ((new, False), (slopes(new), True)):
        left, right = (points - places[i] for i in (slice(-1), slice(1, None)))
        gap = polynomial(p[:-1], left) - polynomial(p[1:], right)
        size = np.maximum(
            polynomial(abs(p[:-1]), abs(left)), polynomial(abs(p[1:]), abs(right))
        )
        assert np.all((gap if fall else abs(gap)) <= ROUNDING * size)
    t, v, size = grid(f)
    for x, y, s in zip(t, v, size, strict=True):
        assert np.all(evaluate(hull, x) <= y + ROUNDING * (s + size[:, [0, -1]].max()))
    padded = np.pad(c, [(0, 0), (0, new.shape[-1] - c.shape[-1])])
    for k, (start, end) in enumerate(zip(starts, ends, strict=True)):
        same = np.all(padded == new[k], axis=-1) & (anchors == places[k])
        inside = np.flatnonzero(same & (lower <= start) & (end <= upper))
        if inside.size:
            x = np.linspace(max(start, places[k] - 9), min(end, places[k] + 9), 33)
            x = np.clip(x, start, end)
            bend = slopes(slopes(new[k]))
            size = polynomial(abs(bend), abs(x - places[k]))
            assert np.all(polynomial(bend, x - places[k]) >= -ROUNDING * size)
            continue
        assert not np.any(new[k, 2:])
        for x, ray in ((start, 0), (end, -1)):
            if np.isinf(x):
                gap = abs(padded[ray, 1] - new[k, 1])
                assert not np.any(c[ray, 2:]) and gap <= ROUNDING * abs(new[k, 1])
                continue
            on = np.flatnonzero((lower <= x) & (x <= upper))
            value = min(polynomial(c[j], x - anchors[j]) for j in on)
            size = max(polynomial(abs(c[j]), abs(x - anchors[j])) for j in on)
            line = new[k, 0] + new[k, 1] * (x - places[k])
            size = max(size, abs(new[k, 0]) + abs(new[k, 1] * (x - places[k])))
            assert abs(line - value) <= ROUNDING * size


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b, strict=True)


def as_arcs(f, hull):
    points, c, anchors = hull
    return np.r_[f[0][0], points], np.r_[points, f[1][-1]], c, anchors


def again(f, hull):
    return lower_hull(*as_arcs(f, hull))


WELL = [1, 0, -2, 0, 1]
ROOT = 2**0.5
# Arcs, inner breakpoints, and the pieces as polynomials in t.
KNOWN = {
    "double well": (
        [(-INF, INF, WELL)],
        [-1, 1],
        [WELL, [0], WELL],
    ),
    "double well, bounded": (
        [(-1.5, 3, WELL)],
        [-1, 1],
        [WELL, [0], WELL],
    ),
    "two parabolas": (
        [(-INF, 5 / 3, [0, 0, 1]), (5 / 3, INF, [1, 0, 1], 3)],
        [1 / 6, 19 / 6],
        [[0, 0, 1], [-1 / 36, 1 / 3], [10, -6, 1]],
    ),
    "steep and flat parabola": (
        [(-INF, 1, [0, 0, 4]), (1, INF, [0, 0, 1], 3)],
        [0, 3],
        [[0, 0, 4], [0], [9, -6, 1]],
    ),
    "kink between parabolas": (
        [(-INF, 0, [0, 2, 1]), (0, INF, [0, -2, 1])],
        [-1, 1],
        [[0, 2, 1], [-1], [0, -2, 1]],
    ),
    "parabola and point": (
        [(-INF, 0, [0, 0, 1]), (3, 3, [-7])],
        [-1],
        [[0, 0, 1], [-1, -2]],
    ),
    "point and parabola": (
        [(0, 0, [-1]), (0, INF, [0, 0, 1])],
        [1],
        [[-1, 2], [0, 0, 1]],
    ),
    "concave arc": ([(-1, 1, [0, 0, -1])], [], [[-1]]),
    "concave between convex": (
        [(-INF, -1, [0, -1]), (-1, 1, [2, 0, -1]), (1, INF, [0, 0, 1])],
        [-1, 1],
        [[0, -1], [1], [0, 0, 1]],
    ),
    "slopes fall to a parabola": (
        [(-INF, -1, [0, -1]), (-1, 1, [0, 0, -1]), (1, INF, [0, 0, 1])],
        [-1, 1, 1 + ROOT],
        [[-2, -1], [-1], [-3 - 2 * ROOT, 2 + 2 * ROOT], [0, 0, 1]],
    ),
    "capped absolute value": (
        [(-INF, -1, [1]), (-1, 0, [0, -1]), (0, 1, [0, 1]), (1, INF, [1])],
        [],
        [[0]],
    ),
    "capped square": (
        [(-INF, -1, [1]), (-1, 1, [0, 0, 1]), (1, INF, [1])],
        [],
        [[0]],
    ),
    "rays above a parabola": (
        [(-INF, -2, [0, -1]), (-2, 2, [-3, 0, 0.5]), (2, INF, [0, 1])],
        [-1, 1],
        [[-3.5, -1], [-3, 0, 0.5], [-3.5, 1]],
    ),
    "dip": (
        [(-INF, 0, [0]), (0, 1, [0, -1]), (1, 2, [-2, 1]), (2, INF, [0])],
        [],
        [[-1]],
    ),
    "flat dip": (
        [(-INF, 0, [2]), (0, 1, [2, -1]), (1, 2, [1]), (2, 3, [-1, 1]), (3, INF, [2])],
        [1, 2],
        [[1], [1], [1]],
    ),
    "dip before a steeper ray": (
        [(-INF, 0, [0]), (0, 1, [0, -1]), (1, INF, [-3, 2])],
        [1],
        [[-1], [-3, 2]],
    ),
    "two dips": (
        [(-INF, -1, [0]), (-1, -1, [-1]), (1, 1, [-3]), (1, INF, [0])],
        [],
        [[-3]],
    ),
    "ray above another": ([(-INF, 0, [0]), (0, INF, [1])], [0], [[0], [0]]),
    "ray below another": ([(-INF, 0, [1]), (0, INF, [0])], [0], [[0], [0]]),
    "ray, then down": ([(-INF, 0, [0]), (0, 1, [0, -1])], [], [[-1]]),
    "ray above a steeper one": (
        [(-INF, 0, [0]), (0, INF, [-3, 1])],
        [0],
        [[-3], [-3, 1]],
    ),
    "steeper ray below another": (
        [(-INF, 0, [-3, -1]), (0, INF, [0])],
        [0],
        [[-3, -1], [-3]],
    ),
    "line continued to the end of another": (
        [(0, 1, [0, 1]), (2, 3, [3])],
        [1],
        [[0, 1], [0, 1]],
    ),
    "end of a line continued": (
        [(0, 1, [0]), (2, 3, [-2, 1])],
        [1, 2],
        [[0], [0], [-2, 1]],
    ),
    "slopes of rays equal up to rounding": (
        [(-INF, 0, [0, 0.1 + 0.2]), (1, 1, [-1]), (2, INF, [0, 0.3])],
        [],
        [[-1.3, 0.3]],
    ),
    "rays on one line": (
        [(-INF, 0, [1, 2]), (0, 1, [1, 5]), (1, INF, [1, 2])],
        [0, 1],
        [[1, 2]] * 3,
    ),
    "cubic": ([(-1, 1, [0, 0, 0, 1])], [0.5], [[-0.25, 0.75], [0, 0, 0, 1]]),
    "cubic on a half-line": (
        [(-2, INF, [0, 0, 0, 1])],
        [1],
        [[-2, 3], [0, 0, 0, 1]],
    ),
    "two quartics": (
        [(-INF, 1, [0, 0, 0, 0, 1]), (1, INF, [0, 0, 0, 0, 1], 2)],
        [0, 2],
        [[0, 0, 0, 0, 1], [0], [16, -32, 24, -8, 1]],
    ),
    "point": ([(2, 2, [3, 1])], [], [[3, 1]]),
    "points": (
        [(0, 0, [1]), (1, 1, [-1]), (2, 2, [5]), (3, 3, [0])],
        [1],
        [[1, -2], [-1.5, 0.5]],
    ),
    "points in one place": ([(0, 0, [1]), (0, 0, [-1]), (0, 0, [0])], [], [[-1]]),
    "points below the ends": (
        [(0, 0, [-1]), (0, 1, [1]), (1, 1, [-2])],
        [],
        [[-1, -1]],
    ),
    "points above the ends": (
        [(0, 0, [4]), (0, 1, [1]), (1, 1, [7])],
        [],
        [[1]],
    ),
    "gap": ([(0, 1, [0, -1]), (2, 3, [-3, 1])], [1, 2], [[0, -1], [-1], [-3, 1]]),
    "jump up": ([(0, 1, [0]), (1, 2, [1])], [1], [[0], [-1, 1]]),
    "jump down": ([(0, 1, [1]), (1, 2, [0])], [1], [[1, -1], [0]]),
    "constants": (
        [(0, 1, [1]), (1, 2, [0]), (2, 3, [5])],
        [1, 2],
        [[1, -1], [0], [-10, 5]],
    ),
    "three wells": (
        [(-INF, 1, [0, 0, 1]), (1, 3, [0, 0, 1], 2), (3, INF, [0, 0, 1], 4)],
        [0, 4],
        [[0, 0, 1], [0], [16, -8, 1]],
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known(name):
    rows, points, pieces = KNOWN[name]
    f = arcs(*rows)
    hull = lower_hull(*f)
    certify(f, hull)
    np.testing.assert_allclose(hull[0], points, rtol=1e-14, atol=1e-14)
    assert len(hull[1]) == len(pieces)
    for p, c, a in zip(pieces, hull[1], hull[2], strict=True):
        t = a + np.linspace(-2, 2, 9)
        expected = polynomial(np.array(p, float), t)
        np.testing.assert_allclose(polynomial(c, t - a), expected, atol=1e-13)
    assert_same(again(f, hull), hull)


CONVEX = {
    "parabola": [(-INF, INF, [1, 2, 3])],
    "quartic": [(-INF, INF, [0, 0, 0, 0, 1])],
    "quartic, moved": [(-3, 5, [1, -4, 6, -4, 1])],
    "affine": [(-INF, INF, [1, 2])],
    "constant": [(0, 1, [3])],
    "absolute value": [(-INF, 0, [0, -1]), (0, INF, [0, 1])],
    "cut parabola": [(-1, 0.1, [0, 0, 1]), (0.1, 0.3, [0, 0, 1]), (0.3, 1, [0, 0, 1])],
    "huber": [(-INF, -1, [-0.5, -1]), (-1, 1, [0, 0, 0.5]), (1, INF, [-0.5, 1])],
    "line in pieces": [(k, k + 1, [0.1 * k, 0.1], k) for k in range(9)],
    "half a cubic": [(0, INF, [0, 0, 0, 1])],
    "quartic, expanded": [(-2, 3, [1 / 81, -4 / 27, 6 / 9, -4 / 3, 1])],
    "sextic, expanded": [(-2, 3, np.poly([1 / 3] * 6)[::-1])],
    "slopes equal up to rounding": [(-INF, 0, [0, 0.1 + 0.2]), (0, INF, [0, 0.3])],
}


@pytest.mark.parametrize("name", CONVEX)
def test_convex_comes_back(name):
    lower, upper, c, anchors = f = arcs(*CONVEX[name])
    assert_same(lower_hull(*f), (upper[:-1], c, anchors))


def test_points_below_by_rounding():
    rows = [(0, 1, [2, -1]), (1, 1, [1 - 1e-15]), (1, 2, [0, 1]), (2, 2, [2 - 1e-15])]
    assert_same(lower_hull(*arcs(*rows)), lower_hull(*arcs(rows[0], rows[2])))
    assert_same(lower_hull(*arcs(*rows[1:])), lower_hull(*arcs(rows[2])))


def test_bumps_on_bridges_change_nothing():
    for seed in range(60):
        f = random_arcs(seed, 2, unbounded=False)
        points, c, anchors = lower_hull(*f)
        ends = np.r_[f[0][0], points, f[1][-1]]
        bridge = ~np.any(c[:, 2:], axis=-1) & (np.diff(ends) > 0)
        bumped = np.pad(c, [(0, 0), (0, 3 - c.shape[-1])])
        bumped[bridge, 1] += np.diff(ends)[bridge]
        bumped[bridge, 2] = -1
        starts = np.where(bridge, ends[:-1], anchors)
        bumped[bridge, 0] += (c[:, 1] * (starts - anchors))[bridge]
        new = ends[:-1], ends[1:], bumped, starts
        # Those between segments of one line may go.
        assert set(lower_hull(*new)[0]) <= set(points)
        certify(new, lower_hull(*new))


def test_parts_keep_their_bits():
    # Convex parts far from the dent at 5, cut where nothing happens.
    ends = np.r_[-INF, np.linspace(0, 10, 101) / 3, INF]
    rows = [(a, b, [0, 0, 0.1]) for a, b in zip(ends, ends[1:], strict=False)]
    rows[15] = (*rows[15][:2], [1e-3, 0, 0.1])
    points, c, anchors = hull = lower_hull(*arcs(*rows))
    certify(arcs(*rows), hull)
    assert set(ends[1:-1]) - set(points) <= set(ends[13:18])
    assert np.all(c[[0, -1]] == [0, 0, 0.1]) and not np.any(anchors[[0, -1]])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(-INF, INF, [0, 0, -1])], "any line towards -inf"),
        ([(0, INF, [0, 0, -1])], r"any line towards \+inf"),
        ([(-INF, 0, [0, 0, -1e-300])], "any line towards -inf"),
        ([(-INF, INF, [0, 0, 0, 1])], "any line towards -inf"),
        ([(-INF, INF, [0, 0, 0, -1])], r"any line towards \+inf"),
        ([(-INF, 0, [0, 0, 0, 1, 0])], "any line towards -inf"),
        ([(0, 1, [0]), (1, INF, [0, 0, 5, 0, -1])], r"any line towards \+inf"),
        ([(-INF, INF, [0, 0, 0, 0, -1])], "any line towards -inf"),
        ([(-INF, 0, [0, 1]), (0, INF, [0, -1])], "slope 1.0 .* slope -1.0"),
        ([(-INF, 0, [0, 1]), (0, 1, [0, 0, 1]), (1, INF, [0, 0.5])], "slope 0.5"),
    ],
)
def test_minus_infinity(rows, message):
    with pytest.raises(ValueError, match="the convex hull is -inf: .*" + message):
        lower_hull(*arcs(*rows))


def random_arcs(seed, degree, unbounded):
    """With ties (integers) or without, continuous, with jumps, or with gaps as well."""
    r = np.random.default_rng([seed, degree])
    m, whole = int(r.integers(1, 12)), r.random() < 0.5
    kind = ("continuous", "jumps", "gaps")[seed % 3]

    def numbers(*shape):
        return r.integers(-2, 3, shape) * 1.0 if whole else r.standard_normal(shape)

    steps = np.abs(numbers(m, 2)) * (r.random((m, 2)) < 0.8)
    if kind != "gaps":
        steps[:, 0] = 0
    if kind == "continuous":
        steps[:, 1] += 0.125
    ends = np.cumsum(steps.ravel()) + r.choice([0, 0, 100])
    lower, upper = ends[::2].copy(), ends[1::2].copy()
    c = numbers(m, degree + 1) * 10.0 ** r.integers(-2, 3, (m, 1))
    for row, used in zip(c, r.integers(1, degree + 2, m), strict=True):
        row[used:] = 0
    anchors = lower + (numbers(m) if r.random() < 0.4 else 0)
    if kind == "continuous":
        for k in range(1, m):
            left, right = (lower[k] - anchors[i] for i in (k - 1, k))
            c[k, 0] += polynomial(c[k - 1], left) - polynomial(c[k], right)
    if unbounded:
        c[[0, -1], 1:] = 0
        c[0, 1], c[-1, 1] = np.sort(numbers(2))
        if degree > 1:
            c[[0, -1], 2] = np.abs(numbers(2))
        lower[0], upper[-1] = -INF, INF
        if m == 1:
            c[:, 0] = 1
    return lower, upper, c, anchors


@pytest.mark.parametrize("unbounded", [False, True])
@pytest.mark.parametrize("degree", [1, 2, 5])
def test_random(degree, unbounded):
    for seed in range(90 if degree < 3 else 45):
        f = random_arcs(seed, degree, unbounded)
        hull = lower_hull(*f)
        certify(f, hull)
        assert_same(again(f, hull), hull)


def scan(t, v):
    """The vertices of the lower hull of points in the plane, t increasing."""
    kept = []
    for p in zip(t, v, strict=True):
        while len(kept) > 1:
            (a, x), (b, y) = kept[-2:]
            if (y - x) * (p[0] - b) < (p[1] - y) * (b - a):
                break
            kept.pop()
        kept.append(p)
    return np.array(kept).T


@pytest.mark.parametrize("degree", [0, 1, 2, 5])
def test_against_dense_points(degree):
    """Chords of f are at most max |f''| step² / 8 above f, and so is their hull."""
    for seed in range(30):
        f = random_arcs(seed, max(degree, 1), unbounded=False)
        f = (*f[:2], f[2][:, : degree + 1], f[3])
        t, v, size = grid(f, count=401)
        step = (f[1] - f[0]) / 400
        bend = slopes(slopes(f[2]))[:, None]
        bend = abs(polynomial(bend, t - f[3][:, None])).max() * 1.1
        places, lowest = np.unique(t), np.full(np.unique(t).size, INF)
        np.minimum.at(lowest, np.searchsorted(places, t.ravel()), v.ravel())
        coarse = np.interp(places, *scan(places, lowest))
        exact = evaluate(lower_hull(*f), places)
        small = 1e-13 * size.max()
        assert np.all(exact <= coarse + small)
        assert np.all(coarse <= exact + bend * step.max() ** 2 / 8 + small)


def test_many_lines():
    """The hull of a random walk is that of its vertices."""
    r = np.random.default_rng(0)
    t, v = np.arange(5001.0), np.r_[0, np.cumsum(r.standard_normal(5000))]
    c = np.stack([v[:-1], np.diff(v)], -1)
    points, pieces, anchors = lower_hull(t[:-1], t[1:], c, t[:-1])
    places, values = scan(t, v)
    np.testing.assert_array_equal(points, places[1:-1])
    np.testing.assert_array_equal(anchors, places[:-1])
    np.testing.assert_array_equal(pieces[:, 0], values[:-1])
    expected = np.diff(values) / np.diff(places)
    np.testing.assert_allclose(pieces[:, 1], expected, rtol=1e-13)


def test_many_parabolas():
    """f is its hull t² where the noise on top of it is 0, at the integers."""
    t = np.arange(-1500.0, 1501)
    c = np.stack([t[:-1] ** 2, 2 * t[:-1] + 101, np.full(3000, -100.0)], -1)
    points, pieces, anchors = lower_hull(t[:-1], t[1:], c, t[:-1])
    np.testing.assert_array_equal(points, t[1:-1])
    np.testing.assert_array_equal(anchors, t[:-1])
    expected = np.stack([t[:-1] ** 2, 2 * t[:-1] + 1, np.zeros(3000)], -1)
    np.testing.assert_array_equal(pieces, expected)


@pytest.mark.parametrize("values", [2.0**-300, 1.0, 2.0**300])
@pytest.mark.parametrize("places", [2.0**-100, 1.0, 2.0**100])
def test_scales(places, values):
    """Powers of two in t and f come out as such, bit for bit."""
    for seed in range(20):
        f = random_arcs(seed, 2, unbounded=seed % 2 == 1)
        powers = values / places ** np.arange(3)
        lower, upper, c, anchors = f
        scaled = places * lower, places * upper, c * powers, places * anchors
        points, c, anchors = lower_hull(*f)
        expected = places * points, c * powers[: c.shape[-1]], places * anchors
        assert_same(lower_hull(*scaled), expected)


@pytest.mark.parametrize("place", [1e-40, 1e-8, 1e8, 1e40])
@pytest.mark.parametrize("value", [1e-100, 1e100])
def test_scales_of_a_double_well(place, value):
    c = np.array([WELL]) * value / place ** np.arange(5)
    points, pieces, _ = lower_hull(*arcs((-INF, INF, c[0])))
    np.testing.assert_allclose(points / place, [-1, 1], rtol=1e-14)
    np.testing.assert_allclose(pieces[1, 0] / value, 0, atol=1e-14)


def test_far_terms_cancel():
    """The points of contact are exact though the terms at the ends are huge."""
    f = arcs((-1e9, 1, [0, 0, 1]), (1, 1e9, [1, 0, 1], 3))
    points, c, _ = lower_hull(*f)
    np.testing.assert_allclose(points, [1 / 6, 19 / 6], rtol=1e-15)
    np.testing.assert_allclose(c[1, :2], [1 / 36, 1 / 3], rtol=4e-15)


def test_bridges_meet_at_a_noisy_point():
    """The terms of the parabola are 1e17 times as large as what is added there."""
    r = np.random.default_rng(0)
    for q in 1 + r.random(100):
        k = 10.0 ** r.integers(4, 10)
        left, right = 1e-16 * k * r.random(2)
        well = (0.2, 2, [k * q * q, -2 * k * q, k])
        f = arcs((-1, -1, [left]), well, (3, 3, [right]))
        hull = lower_hull(*f)
        certify(f, hull)
        assert_same(again(f, hull), hull)


def test_noisy_wells():
    """Minima that are 0 between terms that are not."""
    r = np.random.default_rng(1)
    for _ in range(60):
        rows, middle = [], r.standard_normal()
        for low, high, centre in ((-INF, middle, -4), (middle, INF, 4)):
            roots = middle + centre + 3 * r.standard_normal(2)
            well = np.polynomial.Polynomial.fromroots(roots) ** 2
            rows.append((low, high, well.coef))
        f = arcs(*rows)
        hull = lower_hull(*f)
        certify(f, hull)
        assert_same(again(f, hull), hull)
