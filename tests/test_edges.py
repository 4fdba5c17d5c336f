"""Edges: unbounded sets, steep slopes, empty subdifferentials, scales, budgets."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

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
    GroupBall,
    HalfSpace,
    Hull,
    Indicator,
    Interval,
    Linear,
    Polar,
    Simplex,
    Support,
    absolute,
    compose,
    entropy,
    hull_of_union,
    interval_indicator,
    max_entry,
    maximum,
    negative_sqrt,
    norm1,
    norm2,
    norm_inf,
    point,
    relu,
    scaled_union,
    separable,
    squared_norm,
    sum_largest,
    variable,
    weighted_sum,
)

inf = np.inf
ns = separable(negative_sqrt)  # -sqrt(t), steep at 0
xlogx = separable(entropy)
x = variable(1)
TOL = 1e-9


def box(low, high):
    return Box(Interval(low, high))


def close(a, b, tol=TOL):
    a, b = np.broadcast_arrays(a, b)
    both = np.isinf(a) | np.isinf(b)
    np.testing.assert_array_equal(a[both], b[both])
    np.testing.assert_allclose(a[~both], b[~both], atol=tol, rtol=tol)


def ends(S):
    """A closed set on the line, as (lower, upper); (inf, -inf) if empty."""
    b = S.box()
    return float(b.lower[0]), float(b.upper[0])


# Faces of closed hulls recede wherever a part does: 0+ S_i is in 0+ cl conv(∪ S_i). ---

strip = hull_of_union(point([1.0, 0]), Cone([[0.0, 1]]))  # [0, 1] x [0, inf)
tall = hull_of_union(box([1.0, -1], [1, 1]), box([0.0, 0], [0, inf]))
RECEDING = [
    # S, d, e, h_face(e), a member of the face, a point off it
    (strip, [1, 0], [0, 1], inf, [1, 5], [0.5, 5]),
    (strip, [1, 0], [0, -1], 0, [1, 0], [1, -1]),
    (strip, [1, 0], [1, 0], 1, [1, 1e3], [0, 0]),
    (strip, [-1, 0], [0, 1], inf, [0, 7], [1, 7]),
    (strip, [0, -1], [1, 0], 1, [0.5, 0], [0.5, 1]),
    (tall, [1, 0], [0, 1], inf, [1, 5], [0, 5]),
    (tall, [1, 0], [0, -1], 1, [1, -1], [1, -2]),
]


@pytest.mark.parametrize("S, d, e, h, member, other", RECEDING)
def test_faces_of_hulls_recede(S, d, e, h, member, other):
    face = S.exposed_face(d)
    close(face.support(e), h)
    assert face.contains(member) and not face.contains(other)
    close(Support(S).directional_derivative(d, e), h)  # h_S'(d; e) = h_face(e)
    close(Support(S).subdifferential(d).support(e), h)


def test_an_unbounded_direction_has_no_face():
    for S in (strip, tall):
        assert S.support([0, 1]) == inf and not S.exposed_face([0, 1]).nonempty


# f'(x; d) where an inner slope is -inf: that argument leaves the maximum. -------------

STEEP = [
    (compose(max_entry, ns, Linear([-3.0])), -3),
    (compose(max_entry, Linear([-3.0]), ns), -3),
    (maximum(ns, Linear([-3.0])), -3),
    (compose(sum_largest(2), ns, Linear([-3.0]), Linear([-1.0])), -4),
    (compose(max_entry, xlogx, Linear([-2.0])), -2),
    (maximum(Linear([-2.0]), xlogx), -2),
    (compose(max_entry, ns, xlogx), -inf),
    (maximum(ns, xlogx), -inf),
    (compose(sum_largest(2), ns, xlogx, Linear([5.0])), -inf),
    (compose(relu, ns), 0),
    (maximum(ns, 0.0), 0),
    (compose(norm_inf, compose(relu, ns), Linear([-2.0])), 2),
]


@pytest.mark.parametrize("f, slope", STEEP, ids=[repr(f) for f, _ in STEEP])
def test_steep_inner_slopes(f, slope):
    close(f.directional_derivative([0.0], [1.0]), slope)
    close(f.directional_derivative([0.0], [2.5]), 2.5 * slope)
    assert f.directional_derivative([0.0], [-1.0]) == inf
    assert f.directional_derivative([0.0], [0.0]) == 0
    quotient = (f.value([1e-9]) - f.value([0.0])) / 1e-9
    assert slope <= quotient and (quotient <= slope + 1e-3 or slope == -inf)


# The distance: N_S(x) ∩ B in S, so 0 is a member; one unit vector outside. ------------

r = np.random.default_rng(4)
SETS = {
    "ball": Ball([1.0, 0, -2], 1.5),
    "large ball": Ball([1e3, 0, 0], 1e6),
    "box": box([-1.0, 0, 0], [1, 0, inf]),
    "hull": Hull(r.standard_normal((6, 3))),
    "larger hull": Hull(10 * r.standard_normal((20, 3))),
    "cross-polytope": CrossPolytope(3, 1.5),
    "sum": Ball([0.0, 0, 1]) + box([-1.0, 0, 0], [1, 2, 0]),
    "cone": Cone([[1.0, 0, 1], [0, 1, 1], [-1, 0, 1]]),
    "simplex": Simplex(3, 2.0),
    "subspace": AffineSubspace([1.0, 2, 3], [[1.0, 1, 0], [0, 1, 2]]),
    "group ball": GroupBall([0.0, 1, 0], [1.0, 0.5], [0, 1, 0]),
}
sets = pytest.mark.parametrize("S", SETS.values(), ids=SETS)


@sets
def test_distance_is_flat_on_the_set(S):
    edge = S.project(30 * np.random.default_rng(5).standard_normal((8, 3)))
    f = Distance(S)
    for z in (edge, (edge + edge[::-1]) / 2, edge.mean(0)):
        close(f.value(z), 0.0, 0.0)
        close(f.subgradient(z), 0.0, 0.0)
        assert np.all(f.subdifferential(z).contains(np.zeros(3)))
        value, g = f.oracle(z)
        assert not np.any(value) and not np.any(g)


@sets
def test_distance_just_outside(S):
    """g = (x - p)/|x - p| has length one, and nothing else is a subgradient."""
    far = 30 * np.random.default_rng(5).standard_normal((3, 3))
    far *= 1e6 if S is SETS["large ball"] else 1.0
    p = S.project(far)
    u = far - p
    u /= np.linalg.norm(u, axis=-1, keepdims=True)
    z = p + 1e-4 * u  # p is still the projection
    f = Distance(S)
    g = f.subgradient(z)
    close(np.linalg.norm(g, axis=-1), 1.0, 1e-14)
    close(g, u, 1e-5)
    T = f.subdifferential(z)
    assert np.all(T.is_singleton)
    for d in np.eye(3):
        close(T.support(d), g @ d, 1e-12)
        close(f.directional_derivative(z, d), g @ d, 1e-12)


@pytest.mark.parametrize("size", [1e-10, 1e-3, 1e3])
def test_distance_to_a_point_is_the_norm(size):
    p, u = np.array([1.0, -2, 0.5]), np.array([2.0, -1, 2]) / 3
    f, g = Distance(point(p)), norm2(variable(3) - p)
    for z in (p, p + size * u):
        close(f.value(z), g.value(z))
        close(f.subgradient(z), g.subgradient(z))
        for d in (u, -u, np.array([0.0, 1, 0])):
            slope = g.directional_derivative(z, d)
            close(f.directional_derivative(z, d), slope)
            close(f.subdifferential(z).support(d), slope)


# ∂f(x) may be empty in the domain: no subgradient, but still slopes. ------------------

EMPTY = [
    (ns, [0.0]),
    (xlogx, [0.0]),
    (xlogx, [0.0, 1.0]),
    (2.0 * xlogx, [0.0, 1.0]),
    (ns + norm1, [0.0]),
    (xlogx + squared_norm, [1.0, 0.0]),
    (ns(-1.0 * x + 1.0), [1.0]),
    (maximum(Linear([0.0], -1.0), ns), [0.0]),
    (maximum(ns, xlogx), [0.0]),
    (compose(max_entry, ns, Linear([0.0], -1.0)), [0.0]),
    (sg.stack(norm1(variable(1)), xlogx(variable(1))), [1.0, 0.0]),
]
NONEMPTY = [
    # f, x, the ends of ∂f(x)
    (compose(relu, ns), [0.0], (-inf, 0)),
    (maximum(ns, 0.0), [0.0], (-inf, 0)),
    (maximum(ns, Linear([1.0])), [0.0], (-inf, 1)),
    (maximum(Linear([1.0]), ns), [0.0], (-inf, 1)),
    (compose(max_entry, ns, Linear([-3.0])), [0.0], (-inf, -3)),
    (0.0 * xlogx, [0.0], (-inf, 0)),
    (ns, [0.25], (-1, -1)),
]


@pytest.mark.parametrize("f, z", EMPTY, ids=[repr(f) for f, _ in EMPTY])
def test_no_subgradient(f, z):
    assert np.isfinite(f.value(z)) and not f.subdifferential(z).nonempty
    for method in (f.subgradient, f.oracle):
        with pytest.raises(ValueError, match="empty subdifferential"):
            method(z)
    assert not np.isnan(f.directional_derivative(z, np.ones(len(z))))


@pytest.mark.parametrize("f, z, expected", NONEMPTY)
def test_a_subgradient_beside_steep_parts(f, z, expected):
    S = f.subdifferential(z)
    close(ends(S), expected)
    assert S.contains(f.subgradient(z)) and S.contains(f.oracle(z)[1])


def test_one_empty_member_of_a_batch():
    with pytest.raises(ValueError, match="empty subdifferential"):
        ns.subgradient([[1.0], [0.0]])
    assert ns.subdifferential([[1.0], [0.0]]).nonempty.tolist() == [True, False]


# h_K(a d) = h_K(d) for cones: no scale is too small. ----------------------------------

slanted = Cone([[1.0, 2, 0], [0, 1, 1]])
CONES = [
    # S with h_S positively homogeneous, d where it is finite, d where it is +inf
    (slanted, [-1, -1, -1], [1, 0, 0]),
    (slanted, [2, -1, 1], [2, -1, 2]),
    (Polar(slanted), [1, 3, 1], [-1, 0, 0]),
    (HalfSpace([1.0, 2, -1], 0.0), [1, 2, -1], [1, 2, -1 + 1e-6]),
    (HalfSpace([1.0, 2, -1], 1.0), [3, 6, -3], [-1, -2, 1]),
    (HalfSpace([1e-6, 2e-6, 0], 1.0, 1.0), [-1, -2, 0], [1, 2, 1e-6]),
    (AffineSubspace([0.0, 0, 1], [[1.0, 1, 0]]), [1, -1, 3], [1, -1 + 1e-6, 3]),
]


@pytest.mark.parametrize("scale", [1e-10, 1e10])
@pytest.mark.parametrize("S, inside, outside", CONES)
def test_scale_invariance(S, inside, outside, scale):
    inside, outside = np.array(inside, float), np.array(outside, float)
    close(S.support(scale * inside), scale * S.support(inside))
    assert np.isfinite(S.support(inside))
    assert S.support(outside) == inf and S.support(scale * outside) == inf
    face, far = S.exposed_face(inside), S.exposed_face(scale * inside)
    for d in np.concatenate([np.eye(3), [inside, -inside, outside]]):
        close(far.support(d), face.support(d))
    f = Support(S)
    assert f.value(scale * outside) == inf
    assert f.subdifferential(scale * inside).nonempty
    assert not f.subdifferential(scale * outside).nonempty


# Hypotheses of the constructions. -----------------------------------------------------

disc = Ball([0.0, 0])
REFUSED = [
    (lambda: weighted_sum(box([-1.0, 0], [1, 1]), [disc, disc]), "nonnegative"),
    (lambda: weighted_sum(Ball([0.0, 0]), [point([1.0, 0]), disc]), "nonnegative"),
    (lambda: weighted_sum(CrossPolytope(1), [disc]), "nonnegative"),
    (lambda: weighted_sum(Simplex(3), [disc, disc]), "R.3 for 2 sets"),
    (lambda: weighted_sum(Simplex(2), [disc, Ball([0.0])]), "do not add"),
    (lambda: scaled_union(disc, -1.0, 1.0), "lower must be nonnegative"),
    (lambda: scaled_union(disc, 2.0, 1.0), "lower|upper"),
    (lambda: Polar(disc), "closed convex cone"),
    (lambda: Polar(point([1.0, 0])), "closed convex cone"),
    (lambda: Polar(Cone([[1.0, 0]]) + disc), "closed convex cone"),
    (lambda: Polar(HalfSpace([1.0, 0], 1.0)), "closed convex cone"),
    (lambda: Polar(HalfSpace([0.0, 1], -1.0)), "closed convex cone"),
    (lambda: Polar(box([0.0, 1], [inf, inf])), "closed convex cone"),
    (lambda: Polar(AffineSubspace([0.0, 1], [[1.0, 0]])), "closed convex cone"),
    (lambda: Polar(sg.Empty(2)), "closed convex cone"),
    (lambda: ConeBall([0.0, 0], 1.0, Simplex(2)), "closed convex cone"),
    (lambda: ConeBall([0.0, 0], -1.0, Cone([[1.0, 0]])), "radius must be nonneg"),
    (lambda: ConeBall([0.0, 0, 0], 1.0, Cone([[1.0, 0]])), "center must have"),
]


@pytest.mark.parametrize("call, words", REFUSED)
def test_hypotheses_are_checked(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_what_fulfils_the_hypotheses():
    """Points may have weights of either sign; boxes at 0 and infinity are cones."""
    S = weighted_sum(box([-1.0, 0], [1, 1]), [point([1.0, 0]), disc])
    close(S.support([1.0, 0]), 2.0)
    close(Polar(box([0.0, 0], [inf, inf])).support([1.0, 0]), 0.0)
    close(Polar(HalfSpace([1.0, 0], 0.0)).support([1.0, 0]), inf)
    close(ConeBall([0.0, 1], 2.0, Cone([[1.0, 0]])).support([3.0, 4]), 10.0)


# {|x|² <= 1}: feasible directions at (1, 0) are those with d_1 < 0. -------------------

SUBLEVEL = compose(interval_indicator(-inf, 1), squared_norm)


@pytest.mark.parametrize(
    "d, slope",
    [
        ([-1, 0], 0),
        ([-1e-8, 1], 0),
        ([-1, 1e3], 0),
        ([0, 1], inf),
        ([1e-8, 1], inf),
        ([0, 1e-8], inf),
        ([0, 0], 0),
    ],
)
def test_first_order_decides_feasibility(d, slope):
    assert SUBLEVEL.directional_derivative([1.0, 0], d) == slope


# A hundred thousand coordinates: linear memory everywhere. ----------------------------

N = 100_000
ones = np.ones(N)
LARGE_SETS = {
    "simplex": (lambda: Simplex(N), True),
    "capped simplex": (lambda: CappedSimplex(0.0, 1.0, 7.5, N), True),
    "half-space": (lambda: HalfSpace(ones, 1.0), False),
    "box": (lambda: box(-ones, ones), True),
    "ball": (lambda: Ball(ones, 2.0), True),
    "cross-polytope": (lambda: CrossPolytope(N), True),
}


def peak(run):
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("make, bounded", LARGE_SETS.values(), ids=LARGE_SETS)
def test_large_sets(make, bounded):
    def run():
        S = make()
        f = Support(S)
        assert S.is_bounded == bounded and not S.is_singleton
        close(f.value(3 * ones), S.support(3 * ones))
        assert f.subdifferential(3 * ones).nonempty
        assert S.contains(S.project(ones))
        assert Indicator(S).value(S.support_point(ones)) == 0

    assert peak(run) < 200


@pytest.mark.parametrize(
    "f", [norm1, norm2, norm_inf, max_entry, sum_largest(7)], ids=repr
)
def test_large_functions(f):
    z = np.random.default_rng(0).standard_normal(N)
    z[:10] = 0

    def run():
        value, g = f.oracle(z)
        close(g @ z, value, 1e-7)
        S = f.subdifferential(z)
        close(S.support(z), value, 1e-7)
        close(S.support(g), f.directional_derivative(z, g), 1e-7)
        assert f.subdifferential(0 * z).support(z) == f.value(z)

    assert peak(run) < 200


# One function, many spellings. --------------------------------------------------------

RELU = [
    maximum(0 * x, x),
    maximum(x, 0 * x),
    maximum(x, 0.0),
    separable(relu),
    relu(x),
    compose(relu, x),
    Support(box([0.0], [1.0])),
    0.5 * x + 0.5 * norm1(x),
]
ABS = [
    separable(absolute),
    absolute(x),
    relu(x) + relu(-x),
    maximum(x, -x),
    maximum(-x, x),
    norm1(x),
    norm2(x),
    norm_inf(x),
    Support(box([-1.0], [1.0])),
    Support(Ball([0.0])),
    Distance(point([0.0])),
    compose(absolute, x),
    compose(norm1, norm2(x)),
    maximum(maximum(x, -x), norm1(x)),
    2 * relu(x) - x,
]


@pytest.mark.parametrize("spellings", [RELU, ABS], ids=["relu", "abs"])
def test_spellings(spellings):
    """∂f(x), f'(x; d) and f(x) belong to the function, not to its name."""
    first = spellings[0]
    for z in (-2.0, -1.0, -1e-12, 0.0, 1e-300, 1.0, 3.5):
        S = ends(first.subdifferential([z]))
        for f in spellings:
            close(f.value([z]), first.value([z]))
            close(ends(f.subdifferential([z])), S, 1e-15)
            assert np.all(f.subdifferential([z]).exact)
            assert S[0] <= f.subgradient([z])[0] <= S[1]
            for d in (-2.0, 0.0, 1.0):
                slope = max(S[0] * d, S[1] * d)
                close(f.directional_derivative([z], [d]), slope)


LINE = [
    # f, x, ∂f(x) as a closed interval
    (maximum(ns, Linear([1.0])), 0.0, (-inf, 1)),
    (xlogx, 0.0, (inf, -inf)),
    (ns, 0.0, (inf, -inf)),
    (separable(interval_indicator(0, 0)), 0.0, (-inf, inf)),
    (separable(interval_indicator(0, 1)), 1.0, (0, inf)),
    (separable(interval_indicator(0, 1)), 1.5, (inf, -inf)),
    (0.0 * ns, 0.0, (-inf, 0)),
    (0.0 * xlogx, 1.0, (0, 0)),
    (0.0 * Indicator(box([0.0], [1.0])), 1.0, (0, inf)),
    (norm1 + 0.0 * ns, 0.0, (-inf, 1)),
    (maximum(Indicator(box([0.0], [1.0])), Linear([1.0], -5)), 0.0, (-inf, 0)),
]


@pytest.mark.parametrize("f, z, expected", LINE)
def test_subdifferentials_on_the_line(f, z, expected):
    S = f.subdifferential([z])
    close(ends(S), expected)
    assert S.nonempty == (expected[0] <= expected[1])
    if np.isposinf(f.value([z])):
        return
    for d in (-1.0, 1.0):  # h = cl f'(x; .), and an empty set has h = -inf
        slope = f.directional_derivative([z], [d])
        assert S.support([d]) == slope or (not S.nonempty and slope in (inf, -inf))


def test_a_proved_part_only():
    """ι{x² <= 0}: ∂ = R, of which the chain rule proves {0}; f'(0; ±1) = inf."""
    f = compose(interval_indicator(-inf, 0), squared_norm)
    S = f.subdifferential([0.0])
    assert ends(S) == (0, 0) and S.contains([0.0]) and not S.exact
    for d in (-1.0, 1.0, 1e-9, 1e9):
        assert f.directional_derivative([0.0], [d]) == inf and S.support([d]) == 0


# 0 · S is the recession cone; [a, b] · S has h = max(a h_S, b h_S), inf where b = inf.

UNIONS = [
    # S, lower, upper, d, h(d)
    (Hull([[1.0, 2], [3, -1]]), 0.0, 0.0, [1, 0], 0),
    (Hull([[1.0, 2], [3, -1]]), 0.5, 2.0, [1, 0], 6),
    (Hull([[1.0, 2], [3, -1]]), 0.5, 2.0, [-1, 0], -0.5),
    (Hull([[1.0, 2], [3, -1]]), 0.5, inf, [1, 0], inf),
    (Hull([[1.0, 2], [3, -1]]), 0.5, inf, [-1, 0], -0.5),
    (Hull([[1.0, 2], [3, -1]]), 0.0, inf, [-1, 0], 0),
    (point([1.0, 0]), 0.5, inf, [0, 1], 0),
    (disc, 0.0, 3.0, [3, 4], 15),
    (HalfSpace([1.0, 0], -1.0), 0.0, 1.0, [1, 0], 0),
    (HalfSpace([1.0, 0], -1.0), 1.0, inf, [1, 0], -1),
    (HalfSpace([1.0, 0], -1.0), 0.0, 1.0, [0, 1], inf),
]


@pytest.mark.parametrize("S, low, up, d, h", UNIONS)
def test_unions_of_multiples(S, low, up, d, h):
    close(scaled_union(S, low, up).support(d), h)


@pytest.mark.parametrize(
    "S, d, h",
    [
        (disc, [1, 1], 0),
        (Ball([5.0, 5]), [1, 1], 0),
        (HalfSpace([1.0, 0], 3.0), [2, 0], 0),
        (HalfSpace([1.0, 0], 3.0), [-1, 0], inf),
        (box([1.0, 2], [inf, 3]), [1, 0], inf),
        (box([1.0, 2], [inf, 3]), [-1, 5], 0),
        (Cone([[1.0, 1]]) + disc, [-1, 0], 0),
        (AffineSubspace([0.0, 1], [[1.0, 0]]), [0, 1], 0),
        (sg.Empty(2), [0, 1], -inf),
    ],
)
def test_zero_times_a_set(S, d, h):
    close((0.0 * S).support(d), h)


@pytest.mark.parametrize("f", [ns, xlogx, Indicator(box([0.0], [inf]))], ids=repr)
def test_zero_times_a_function(f):
    """0 · f is the indicator of dom f."""
    g, half_line = 0.0 * f, Indicator(box([0.0], [inf]))
    for z in (-1.0, 0.0, 2.0):
        assert g.value([z]) == half_line.value([z])
        close(ends(g.subdifferential([z])), ends(half_line.subdifferential([z])))
        close(g.prox([z], 0.5), [max(z, 0.0)])
    assert (f + g).value([2.0]) == f.value([2.0])


# What the theorems make exact. --------------------------------------------------------

y = variable(2)
left, right = Ball([-1.0, 0]), Ball([1.0, 0])
line = np.array([[0.0], [1.0]])  # its range, {0} x R, touches `right` at 0
EXACT = [
    (Indicator(left) + Indicator(right), [0, 0], False),
    (Indicator(left) + Indicator(Ball([0.5, 0])), [-0.25, 0], True),
    (Indicator(left) + norm1, [-2, 0], True),
    (Indicator(box([0.0, 0], [1, 1])) + Indicator(box([1.0, 0], [2, 1])), [1, 0], True),
    (compose(interval_indicator(-inf, 1), norm2), [0.6, 0.8], True),
    (compose(interval_indicator(-inf, 1), squared_norm), [0.6, 0.8], True),
    (compose(interval_indicator(-inf, 0), norm2), [0, 0], False),
    (compose(interval_indicator(-inf, 0), squared_norm), [0, 0], False),
    (Indicator(right)(line @ x), [0], False),
    (Indicator(disc)(line @ x), [0.5], True),
    (Indicator(Hull([[0.0, -1], [2, 0], [0, 1]]))(line @ x), [1], True),
    (0.0 * Indicator(disc)(y) + Indicator(left)(y), [-0.5, 0], True),
    (maximum(Indicator(left), Indicator(right)), [0, 0], False),
    (maximum(Indicator(left), norm1), [-2, 0], True),
]


@pytest.mark.parametrize("f, z, exact", EXACT)
def test_exactness(f, z, exact):
    S = f.subdifferential(z)
    assert S.nonempty and bool(np.all(S.exact)) == exact
    if exact and f.polyhedral:
        for d in np.concatenate([np.eye(len(z)), -np.eye(len(z))]):
            close(S.support(d), f.directional_derivative(z, d))


# The budget: cheapest first, equal costs alike, infinite costs last. ------------------

BUDGETS = [
    # f, x, eps, lower and upper ends of the box around the subdifferential
    (norm1, [1e-3, 5], 2e-3, [-1, 1], [1, 1]),
    (norm1, [1e-3, 5], 1e-3, [0, 1], [1, 1]),
    (norm1, [1e-3, 5], 2e-3 + 1, [-1, 0.8], [1, 1]),
    (norm1, [1, 1], 2, [0, 0], [1, 1]),
    (norm1, [1, -1, 4], 2, [0, -1, 1], [1, 0, 1]),
    (norm1, [1, -1, 4], 100, [-1, -1, -1], [1, 1, 1]),
    (separable(absolute, [2.0, 0]), [1, 3], 1, [1, 0], [2, 0]),
    (norm1(x) + squared_norm(x), [1e-3], 2e-3, [2e-3 - 1], [2e-3 + 1]),
    (norm1(x) + squared_norm(x), [1e-3], 0.012, [-1.198], [1.202]),
    (norm1(x) + 2 * norm1(x), [1], 2, [1], [3]),
    (3 * norm1, [1, 5], 3, [0, 3], [3, 3]),
    (norm_inf, [1, 0.9], 0.1, [0, 0], [1, 1]),
    (norm_inf, [1, 0.9], 0.05, [1, 0], [1, 0]),
]


@pytest.mark.parametrize("f, z, eps, low, up", BUDGETS)
def test_budgets(f, z, eps, low, up):
    S = f.subdifferential(z, eps)
    close(S.box().lower, low)
    close(S.box().upper, up)
    w = np.random.default_rng(3).standard_normal((40, len(z))) * 4
    for d in np.random.default_rng(6).standard_normal((6, len(z))):
        g = S.support_point(d)  # f(w) >= f(x) + <g, w - x> - eps
        assert np.all(f.value(w) >= f.value(z) + (w - z) @ g - eps - 1e-12)


def test_a_budget_sees_the_kink_nearby():
    """LAD + l1 near a kink: ∂f(x0) lies in the set at |x - x0| = 1e-9 for eps 1e-6."""
    g = np.random.default_rng(8)
    A, u = g.standard_normal((12, 4)), variable(4)
    kink = np.array([0.5, 0.0, -1.0, 0.0])
    b = A @ kink + np.where(np.arange(12) < 5, 0.0, g.standard_normal(12))
    for f in (norm1(A @ u - b) + 0.1 * norm1(u), norm_inf(A @ u - b) + norm1(u)):
        whole = f.subdifferential(kink)
        for step in g.standard_normal((4, 4)):
            near = f.subdifferential(kink + 1e-9 * step, 1e-6)
            d = g.standard_normal((30, 4))
            assert np.all(whole.support(d) <= near.support(d) + 1e-12)
            sharp = f.subdifferential(kink + 1e-9 * step)
            assert np.any(whole.support(d) > sharp.support(d) + 1e-3)


# Where the laws over the table are blind. ---------------------------------------------


def test_pinball_by_its_values():
    """tau max(t, 0) + (1 - tau) max(-t, 0)."""
    f = sg.pinball_loss(0.9)
    assert f.value([1.0]) == pytest.approx(0.9)
    assert f.value([-1.0]) == pytest.approx(0.1)
    assert f.subdifferential([0.0]).box().upper[0] == pytest.approx(0.9)


def test_normals_where_the_inner_function_has_no_subgradient():
    """relu(-sqrt x_1 - sqrt x_2) = 0 on x >= 0: its sets are normal cones there."""
    f = sg.compose(sg.relu, sg.separable(sg.negative_sqrt)(sg.variable(2)))
    for x in ([0.0, 1.0], [0.0, 0.0]):
        S = f.subdifferential(x)
        assert S.support([-1.0, 0]) == inf and S.support([1.0, 0]) == 0
        assert S.support([0, 1.0]) == 0
        assert f.domain_normal(x).support([-1.0, 0]) == inf


def test_negative_weights_stay_out_with_eps():
    """|relu(x_1) + ...| does not grow as x_1 falls: no negative first slope."""
    v = sg.variable(3)
    f = sg.compose(sg.absolute, sg.separable(sg.relu)(v[:1]) + sg.norm1(v[1:]))
    S = f.subdifferential([0.05, 0.02, 0.01], 0.162)
    assert S.support([-1.0, 0, 0]) <= 1e-12


def test_group_norm_of_huge_and_tiny_vectors():
    f = sg.group_norm([0, 1, 0])
    assert f.value([3e200, 1e180, 4e200]) == pytest.approx(5e200, rel=1e-12)
    tiny = f.value([3e-200, 1e-190, 4e-200])
    assert tiny == pytest.approx(1e-190 + 5e-200, rel=1e-12)
    assert f.value([1.0, 1e200, 1.0]) == pytest.approx(1e200)
    g = f.subgradient([1e200, 1e-170, 1e-170])
    np.testing.assert_allclose(g, [1, 1, 0], atol=1e-12)
