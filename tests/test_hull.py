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
    """Points on every arc, its ends included: t, f(t), size of the terms, each (m, n)."""
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
            x = np.linspace(start, end, 33) if np.isfinite(end - start) else points
            bend = slopes(slopes(new[k]))
            size = polynomial(abs(bend), abs(x - places[k]))
            assert np.all(polynomial(bend, x - places[k]) >= -ROUNDING * size)
            continue
        assert not np.any(new[k, 2:])
        for x, ray in ((start, 0), (end, -1)):
            if np.isinf(x):
                assert not np.any(c[ray, 2:]) and padded[ray, 1] == new[k, 1]
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


def again(f, hull):
    points, c, anchors = hull
    ends = np.r_[f[0][0], points], np.r_[points, f[1][-1]]
    return lower_hull(*ends, c, anchors)


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
        [(-INF, 0, [0, 0, 1]), (3, 3, [5])],
        [-(-3 + 14**0.5)],
        [[0, 0, 1], [-((3 - 14**0.5) ** 2), 2 * (3 - 14**0.5)]],
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
        [[0, -1], [-1], [-3 - 2 * ROOT, 2 + 2 * ROOT], [0, 0, 1]],
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
    "capped, tilted": (
        [(-INF, 2, [5, 3]), (2, 4, [20, -7.5, 1]), (4, INF, [-4, 3.5])],
        [2.75 * 2],
        None,
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
    "ray, then bounded": ([(-INF, 0, [0]), (0, 1, [0, -1])], [], None),
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
    "point": ([(2, 2, [3, 1])], [], [[5]]),
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
del KNOWN["capped, tilted"], KNOWN["ray, then bounded"]


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
