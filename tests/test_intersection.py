"""Intersections of sets and infimal convolutions of functions, by their splits."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest

import subgrad as sg
from subgrad import (
    AffineSubspace,
    Ball,
    Box,
    CappedSimplex,
    HalfSpace,
    InfimalConvolution,
    Intersection,
    Interval,
    ProjectionError,
    Simplex,
    infimal_convolution,
    intersection,
)

r = np.random.default_rng(0)


def box(low, up):
    return Box(Interval(np.asarray(low, float), np.asarray(up, float)))


def brute_support(A, b, d):
    """max <d, z> over A z <= b in the plane, by the vertices."""
    best = -np.inf
    for i in range(len(A)):
        for j in range(i):
            if abs(np.linalg.det(A[[i, j]])) > 1e-9:
                z = np.linalg.solve(A[[i, j]], b[[i, j]])
                if np.all(A @ z <= b + 1e-12):
                    best = max(best, d @ z)
    return best


def test_polygons_against_their_vertices():
    for _ in range(6):
        a = r.standard_normal(2)
        A = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1], a])
        b = np.array([1.0, 0.5, 2, 1, 0.4])
        S = Intersection(HalfSpace(a, 0.4), box([-0.5, -1], [1, 2]))
        d = r.standard_normal((7, 2))
        h = [brute_support(A, b, e) for e in d]
        np.testing.assert_allclose(S.support(d), h, rtol=1e-11, atol=1e-11)


def test_two_discs_meet_in_a_lens():
    S = Intersection(Ball([0.0, 0]), Ball([1.0, 0]))
    tip = np.array([0.5, np.sqrt(0.75)])
    np.testing.assert_allclose(S.support([[0.0, 1], [1, 0], [-1, 0]]), [tip[1], 1, 0])
    np.testing.assert_allclose(S.project([0.5, 9.0]), tip, rtol=1e-12)
    assert S.exposed_face([0.1, 1.0]).is_singleton
    assert tip in S and [-0.5, 0] not in S and [1.5, 0] not in S
    half = Intersection(HalfSpace([1.0, 1], 1.0), box([0, 0], [1, 1]))
    side = half.exposed_face([[1.0, 1], [1, 0]])
    np.testing.assert_allclose(side.support([1.0, -1]), [1, 1], atol=1e-11)
    np.testing.assert_allclose(side.support([-1.0, 1]), [1, -1], atol=1e-11)
    assert side.is_singleton.tolist() == [False, True]
    N = S.normal_cone(tip)
    assert np.all(N.exact) and N.contains([0.0, 1]) and not N.contains([1.0, 0.1])


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_scales(scale):
    S = Intersection(box([0, 0, 0], scale * np.ones(3)), Ball(np.zeros(3), 1.2 * scale))
    T = Intersection(box([0, 0, 0], np.ones(3)), Ball(np.zeros(3), 1.2))
    d = r.standard_normal((9, 3))
    np.testing.assert_allclose(S.support(d) / scale, T.support(d), atol=1e-11)
    np.testing.assert_allclose(
        S.project(3 * scale * d) / scale, T.project(3 * d), atol=1e-10
    )
    f = InfimalConvolution(scale * sg.norm1, scale * sg.norm2)
    g = InfimalConvolution(sg.norm1, sg.norm2)
    np.testing.assert_allclose(f.value(d * scale) / scale**2, g.value(d), rtol=1e-11)


def test_three_sets_against_cvxpy():
    S = Intersection(
        HalfSpace([1.0, 2, 0], 0.8), Ball([0.0, 0, 0]), box(np.zeros(3), [0.7] * 3)
    )
    for d in r.standard_normal((4, 3)):
        z = cp.Variable(3)
        p = cp.Problem(cp.Maximize(d @ z), S.to_cvxpy(z))
        p.solve(solver=cp.CLARABEL)
        assert abs(S.support(d) - p.value) < 1e-7
        x = S.project(2 * d)
        assert S.contains(x) and S.support(2 * d - x) <= (2 * d - x) @ x + 1e-10


def test_emptiness_is_decided():
    assert not Intersection(Ball([0.0, 0]), Ball([3.0, 0])).nonempty
    assert not Intersection(HalfSpace([1.0, 1], -1), Simplex(2)).nonempty
    assert Intersection(Ball([0.0, 0]), Ball([2.0, 0])).nonempty  # they touch
    assert Intersection(HalfSpace([1.0, 1], 1.0), Simplex(2)).nonempty
    E = Intersection(Ball([0.0, 0]), Ball([3.0, 0]))
    assert E.support([1.0, 0]) == -np.inf and E.distance([0.0, 0]) == np.inf
    with pytest.raises(ValueError, match="empty"):
        E.project([0.0, 0])
    many = Intersection(Ball([0.0, 0]), Ball([[3.0, 0], [1.0, 0]]))
    assert many.nonempty.tolist() == [False, True]
    np.testing.assert_allclose(many.support([1.0, 0]), [-np.inf, 1])


@pytest.mark.slow
def test_sets_that_touch():
    """The normal cones of touching discs do not add up to that of their point."""
    S = Intersection(Ball([0.0, 0]), Ball([2.0, 0]))
    with pytest.raises(ProjectionError, match="agree"):
        S.support([0.0, 1])
    np.testing.assert_allclose(S.support([1.0, 0]), 1)
    assert not np.all(S.normal_cone([1.0, 0]).exact)


def test_unbounded():
    S = Intersection(HalfSpace([1.0, 0], 1.0), HalfSpace([0.0, 1], 2.0))
    d = [[1.0, 1], [1, 0], [-1, 0], [2, -1], [0, 0]]
    np.testing.assert_allclose(S.support(d), [3, 1, np.inf, np.inf, 0], atol=1e-12)
    R = S.recession_cone()
    assert R.contains([-1.0, -2]) and not R.contains([0.1, -1])
    assert not S.is_bounded
    line = Intersection(AffineSubspace([0.0, 1], [[1.0, 1]]), HalfSpace([1.0, 0], 2))
    np.testing.assert_allclose(line.support([[1.0, 0], [1, -1]]), [2, -1])


def test_constructor_simplifies():
    one, two = box([0, 0], [2, 2]), box([1, -1], [3, 1])
    assert intersection(one, two) == box([1, 0], [2, 1])
    assert not intersection(one, box([3, 0], [4, 1])).nonempty
    assert intersection(sg.whole_space(2), Ball([0.0, 0])) == Ball([0.0, 0])
    S = intersection(Simplex(3), box(np.zeros(3), [0.5, 0.5, 1]))
    assert isinstance(S, CappedSimplex) and S.support([1.0, 1, 0]) == 1
    assert not intersection(Simplex(2), box([2, 0], [3, 1])).nonempty
    many = Intersection(Intersection(one, Ball([0.0, 0])), two)
    assert len(many.parts) == 2 and many.parts[0] == box([1, 0], [2, 1])


def test_border():
    with pytest.raises(TypeError, match="set must be a Set"):
        Intersection(Ball([0.0, 0]), 3)
    with pytest.raises(ValueError, match="at least one"):
        intersection()
    with pytest.raises(ValueError, match=r"R\^2 and in R\^3"):
        intersection(Ball([0.0, 0]), Simplex(3))


def test_many_coordinates():
    n = 80
    S = Intersection(box(-np.ones(n), np.ones(n)), Ball(np.zeros(n), 3.0))
    y = 2 * r.standard_normal(n)
    x = S.project(y)
    assert S.contains(x)
    # From outside both, the ball is active and the multiplier scales y.
    a = np.sqrt(((np.clip(y / 2, -1, 1)) ** 2).sum())
    t = np.linspace(0, 1, 200001)[1:]
    size = np.linalg.norm(np.clip(t[::200, None] * y, -1, 1), axis=1)
    best = t[::200][np.argmin(np.abs(size - 3))]
    assert a > 3 and np.abs(x - np.clip(best * y, -1, 1)).max() < 1e-2
    assert abs(np.linalg.norm(x) - 3) < 1e-11


def pairs():
    return [
        (sg.norm1, sg.norm2, 3),
        (1.5 * sg.norm_inf, sg.norm2, 2),
        (sg.huber_loss(0.5), sg.norm2, 2),
        (sg.logistic_loss, sg.norm_inf, 2),
        (sg.norm1, sg.Indicator(Ball([1.0, 0])), 2),
        (sg.sum_largest(2), sg.norm1, 3),
    ]


@pytest.mark.parametrize(("f", "g", "n"), pairs())
def test_the_split_is_optimal(f, g, n):
    """u + v = x, and one p is a subgradient at both: so the sum is least."""
    h = InfimalConvolution(f, g)
    x = np.concatenate([np.zeros((1, n)), np.eye(n), r.standard_normal((8, n))])
    u, v, p = h.split(x)
    np.testing.assert_allclose(u + v, x, atol=1e-11)
    y = 3 * r.standard_normal((200, n))
    for one, at in ((f, u), (g, v)):
        for a, q in zip(at, p, strict=True):
            slack = one.value(y) - one.value(a) - (y - a) @ q
            assert slack.min() >= -1e-10
    # The prox, against its own optimality.
    z = h.prox(x, 0.7)
    for a, b in zip(x, z, strict=True):
        q = (a - b) / 0.7
        assert (h.value(y) - h.value(b) - (y - b) @ q).min() >= -1e-9


def test_supports_become_that_of_the_intersection():
    h = infimal_convolution(
        sg.Support(box([-1, -1], [1, 1])), sg.Support(Ball([0.0, 0], 1.2))
    )
    assert isinstance(h, sg.Support)
    x = r.standard_normal((5, 2))
    direct = InfimalConvolution(sg.norm1, 1.2 * sg.norm2)
    np.testing.assert_allclose(h.value(x), direct.value(x), rtol=1e-11)
    away = sg.Support(Ball([5.0, 0]))
    with pytest.raises(ValueError, match="-inf"):
        infimal_convolution(sg.norm2, away)


def test_a_convolution_that_is_minus_infinity_is_an_error():
    h = InfimalConvolution(sg.Linear([3.0, 0]), sg.norm2)
    with pytest.raises(ProjectionError, match="-inf"):
        h.value([1.0, 0])
    ball = sg.Indicator(Ball([0.0, 0]))
    with pytest.raises(NotImplementedError, match=r"\+inf"):
        InfimalConvolution(ball, ball)


def test_one_per_data_set():
    """Batch parameters: three shifts of one ball at once."""
    centers = np.array([[0.0, 0], [1, 0], [0, 1.5]])
    h = InfimalConvolution(sg.norm1, sg.Indicator(Ball(centers)))
    x = np.array([3.0, 1])
    each = [InfimalConvolution(sg.norm1, sg.Indicator(Ball(c))) for c in centers]
    np.testing.assert_allclose(h.value(x), [e.value(x) for e in each], rtol=1e-11)
    S = Intersection(box([0, 0], [1, 1]), Ball(centers))
    one = [Intersection(box([0, 0], [1, 1]), Ball(c)) for c in centers]
    np.testing.assert_allclose(S.project(x), [T.project(x) for T in one], atol=1e-11)
