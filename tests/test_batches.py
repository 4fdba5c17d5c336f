"""Parameters with batch axes: a batch is the loop over its members, in every method."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import subgrad as sg
from subgrad import (
    AffineSubspace,
    Ball,
    Box,
    CappedSimplex,
    Cone,
    CrossPolytope,
    Distance,
    GroupBall,
    GroupNorm,
    HalfSpace,
    Hull,
    Interval,
    Linear,
    MaxAffine,
    Quadratic,
    Simplex,
    Support,
    absolute,
    entropy,
    epsilon_insensitive_loss,
    interval_indicator,
    moreau_envelope,
    norm1,
    norm2,
    norm_inf,
    pinball_loss,
    separable,
    sum_largest,
    variable,
)
from subgrad.functions.quadratic import SquaredNorm

r = np.random.default_rng(11)
A = r.integers(-2, 3, (2, 4, 3)).astype(float)
b = r.integers(-2, 3, (2, 4)).astype(float)
c = np.array([[1.0, 0, -2], [0, 3, 0.5]])
P = np.array([[2.0, -1, 0], [-1, 2, -1], [0, -1, 2]])
a = np.array([0.5, 3.0])
zero = np.array([0.0, 2.0])
groups = [0, 1, 0]
x = variable(3)

# name: (the function of its parameters, the parameters with the batch axis first).
FUNCTIONS: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
    "pinball": (pinball_loss, (np.array([0.1, 0.25, 0.5, 0.9, 1.0]),)),
    "LAD": (lambda A, b: norm1(A @ x - b), (A, b)),
    "LAD, batched b": (lambda b: norm1(A[0] @ x - b), (b,)),
    "LAD, batched A": (lambda A: norm1(A @ x - b[0]), (A,)),
    "norm2 of a map": (lambda A, b: norm2(A @ x - b), (A, b)),
    "norm_inf of a map": (lambda A, b: norm_inf(A @ x - b), (A, b)),
    "LAD and l1": (lambda A, b, a: norm1(A @ x - b) + a * norm1(x), (A, b, zero)),
    "quadratic on a batch of maps": (lambda c: Quadratic(P)(x - c), (c,)),
    "half squares": (SquaredNorm, (a,)),
    "multiples": (lambda a: a * norm1, (a,)),
    "multiples, some zero": (lambda a: a * norm_inf, (zero,)),
    "multiples of entropy": (lambda a: a * separable(entropy), (zero,)),
    "multiples of a sum": (lambda a: a * (norm1(x) + norm2(x)), (zero,)),
    "sum of largest": (sum_largest, (np.array([1.5, 2.0]),)),
    "group norm": (lambda w: GroupNorm(groups, w), (np.array([[1, 2.0], [0, 3]]),)),
    "max affine": (MaxAffine, (A, b)),
    "weighted abs": (lambda w: separable(absolute, w), (np.abs(c),)),
    "weighted entropy": (lambda w: separable(entropy, w), (np.abs(c) + 1,)),
    "epsilon-insensitive": (epsilon_insensitive_loss, (np.array([0.0, 1.0]),)),
    "intervals": (
        lambda low, up: separable(interval_indicator(low, up)),
        (np.array([-1.0, 0.0]), np.array([0.0, 2.0])),
    ),
    "linear": (Linear, (c, a)),
    "linear, batched constant": (lambda b: Linear([1.0, 0, -2], b), (a,)),
    "constant": (lambda b: norm1(x) + b, (a,)),
    "envelope": (lambda t: moreau_envelope(norm1, t), (a,)),
    "envelope of entropy": (lambda t: moreau_envelope(separable(entropy), t), (a,)),
    "elastic net": (lambda a, b: norm1(x) + a * sg.squared_norm(x - b), (a, c)),
    "distance in l1": (lambda c: norm1(x - c), (c,)),
    "conjugate of it": (lambda c: norm1(x - c).conjugate(), (c,)),
    "elastic conjugate": (
        lambda a, b: (norm1(x) + a * sg.squared_norm(x - b)).conjugate(),
        (a, c),
    ),
    "support of balls": (lambda c, r: Support(Ball(c, r)), (c, zero)),
    "support of simplices": (lambda r: Support(Simplex(3, r)), (a,)),
    "support of hulls": (lambda A: Support(Hull(A)), (A,)),
    "support of cross-polytopes": (lambda r: Support(CrossPolytope(3, r)), (a,)),
    "support of capped simplices": (
        lambda low, k: Support(CappedSimplex(low, 1.0, k, 3)),
        (-np.abs(c), np.array([1.0, 2.5])),
    ),
    "support of group balls": (
        lambda c, r: Support(GroupBall(c, r, groups)),
        (c, np.array([[1.0, 2], [0, 0.5]])),
    ),
    "indicator of boxes": (
        lambda low, up: sg.Indicator(Box(Interval(low, up))),
        (np.minimum(c, 0), np.maximum(c, 0)),
    ),
    "distance to balls": (lambda c, r: Distance(Ball(c, r)), (c, a)),
    "distance to boxes": (
        lambda low: Distance(Box(Interval(low, low + 1))),
        (c,),
    ),
    "maximum": (lambda c, a: sg.maximum(norm1(x), Linear(c, a), a * norm2), (c, a)),
    "composition": (lambda a: sg.compose(sg.relu, norm1(x) - a), (a,)),
    "composition with a batch": (lambda a: sg.compose(a * norm1, norm2, norm1), (a,)),
    "stack": (
        lambda a, r: sg.stack(a * norm1(variable(1)), Support(Simplex(2, r))),
        (a, a),
    ),
}
functions = pytest.mark.parametrize("build, params", FUNCTIONS.values(), ids=FUNCTIONS)


def points(count: int) -> list[np.ndarray]:
    """Shapes (n,), (B, n) and (3, 1, n), with kinks and ties; then inside domains."""
    g = np.random.default_rng(1)
    own = np.concatenate([np.zeros((1, 3)), g.standard_normal((count - 1, 3))])
    many = np.array([[0.0, 0, 0], [1, -1, 1], [0.25, 2, 0.5]])[:, None]
    return [np.array([1.0, 0, 1]), own, many, np.zeros(3), np.abs(many[1:])]


def close(got, expected, tol=1e-8):
    expected = np.asarray(expected)
    # What does not depend on the parameters may come without their axes.
    got = np.broadcast_to(got, expected.shape)
    both = np.isinf(got) | np.isinf(expected)
    np.testing.assert_array_equal(got[both], expected[both])
    np.testing.assert_allclose(got[~both], expected[~both], atol=tol, rtol=tol)


def loop(members, z, method):
    """The members' answers, the last axis of the batch of z being theirs."""
    lead = np.broadcast_shapes(z.shape[:-1], (len(members),))
    z = np.broadcast_to(z, (*lead, 3))
    out = [method(members[i[-1]], z[i]) for i in np.ndindex(lead)]
    return np.reshape(out, (*lead, *np.shape(out[0])))


def members(build, params):
    return [build(*(p[i] for p in params)) for i in range(len(params[0]))]


def same(one, many, z, method):
    """A batch answers as the loop does, refusals included."""
    try:
        expected = loop(many, z, method)
    except (NotImplementedError, ValueError):
        with pytest.raises((NotImplementedError, ValueError)):
            method(one, z)
        return
    close(method(one, z), expected)


D = np.array([[1.0, 0, 0], [0, -1, 1], [-1, 0.5, 2], [0, 0, -1]])
EVERYWHERE = {
    "value": lambda f, z: f.value(z),
    "support": lambda f, z: np.stack(
        [f.subdifferential(z).support(d) for d in D], axis=-1
    ),
    "support at eps": lambda f, z: f.subdifferential(z, 0.3).support(D[1]),
    "oracle's value": lambda f, z: f.oracle(z)[0],
    "oracle's subgradient": lambda f, z: f.oracle(z)[1],
    "subgradient": lambda f, z: f.subgradient(z),
    "slopes": lambda f, z: np.stack(
        [f.directional_derivative(z, d) for d in D], axis=-1
    ),
    "prox": lambda f, z: f.prox(z, 0.7),
    "normal cone of the domain": lambda f, z: f.domain_normal(z).support(D[0]),
    "conjugate": lambda f, z: f.conjugate().value(0.3 * z),
}


@pytest.mark.parametrize("method", EVERYWHERE.values(), ids=EVERYWHERE)
@functions
def test_a_batch_of_functions_is_a_loop(build, params, method):
    f, many = build(*params), members(build, params)
    if method is EVERYWHERE["conjugate"] and refuses_a_batch(f):
        return
    for z in points(len(many)):
        same(f, many, z, method)


def refuses_a_batch(f):
    """Some conjugates, which are least values, are there for one function only."""
    try:
        f.conjugate()
    except NotImplementedError as refusal:
        return "batch" in str(refusal)
    return False


@functions
def test_one_step_per_problem(build, params):
    """prox with t of shape (B,), and directional derivatives along (B, n)."""
    f, many = build(*params), members(build, params)
    t = np.linspace(0.5, 2, len(many))
    z = points(len(many))[1]
    d = np.random.default_rng(2).standard_normal(z.shape)
    pairs = list(zip(many, z, d, t, strict=True))
    try:
        expected = [g.directional_derivative(p, e) for g, p, e, _ in pairs]
        close(f.directional_derivative(z, d), expected)
    except ValueError:
        with pytest.raises(ValueError, match="domain"):
            f.directional_derivative(z, d)
    try:
        expected = [g.prox(p, s) for g, p, _, s in pairs]
    except NotImplementedError:
        return
    close(f.prox(z, t), expected)


@functions
def test_a_batch_has_no_cvxpy_form(build, params):
    with pytest.raises(ValueError, match="batch"):
        build(*params).to_cvxpy(cvxpy_variable())


def cvxpy_variable():
    import cvxpy as cp

    return cp.Variable(3)


# Sets ---------------------------------------------------------------------------------

SETS: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
    "box": (lambda low, w: Box(Interval(low, low + w)), (c, np.array([[1.0], [0.0]]))),
    "half-infinite box": (lambda low: Box(Interval(low, np.inf + low)), (c,)),
    "point": (sg.point, (c,)),
    "ball": (Ball, (c, zero)),
    "group ball": (
        lambda c, r: GroupBall(c, r, groups),
        (c, np.array([[1.0, 2], [0, 0.5]])),
    ),
    "simplex": (lambda r: Simplex(3, r), (a,)),
    "capped simplex": (
        lambda low, k: CappedSimplex(low, 1.0, k, 3),
        (-np.abs(c), np.array([1.0, 2.5])),
    ),
    "hull": (Hull, (A,)),
    "cross-polytope": (lambda r: CrossPolytope(3, r), (a,)),
    "half-space": (HalfSpace, (c, a)),
    "slab": (HalfSpace, (c, a, -a)),
    "subspace": (AffineSubspace, (c, A[:, :1] + 0.5)),
    "cone": (Cone, (A[:, :2],)),
}
SQUARE = np.array([[1.0, 1, 0], [0, 2, 0], [1, 0, -1]])
OPS: dict[str, Callable[[Any], Any]] = {
    "itself": lambda S: S,
    "sum": lambda S: S + Hull([[0.0, 0, 1], [1, 0, 0]]),
    "multiple": lambda S: 2.0 * S,
    "reflected": lambda S: -S,
    "recession cone": lambda S: 0.0 * S,
    "image": lambda S: SQUARE @ S,
    "hull with a point": lambda S: sg.hull_of_union(S, sg.point([0.0, 0, 3])),
    "hull with a ball": lambda S: sg.hull_of_union(S, Ball([0.0, 0, 3])),
    "union of multiples": lambda S: sg.scaled_union(S, 0.5, 2.0),
}
QUICK = ["itself", "sum", "multiple", "image", "hull with a point"]
sets = pytest.mark.parametrize("build, params", SETS.values(), ids=SETS)
ops = pytest.mark.parametrize("op", OPS.values(), ids=OPS)
KNOWN = {
    "support": lambda S, z: S.support(z),
    "interval": lambda S, z: S.interval(z).upper + S.interval(-z).upper,
    "face": lambda S, z: S.exposed_face(z).support(D[1]),
    "face at eps": lambda S, z: S.exposed_face(z, 0.5).support(D[2]),
    "support point": lambda S, z: S.support_point(z),
}
NEAR = {
    "projection": lambda S, z: S.project(z),
    "membership": lambda S, z: S.contains(z),
    "distance": lambda S, z: S.distance(z),
}


@ops
@sets
def test_a_batch_of_sets_is_a_loop(build, params, op):
    S, many = op(build(*params)), [op(T) for T in members(build, params)]
    assert S.batch == (2,)
    for name in ("lower", "upper"):
        close(getattr(S.box(), name), [getattr(T.box(), name) for T in many])
    for name in ("nonempty", "exact", "is_bounded", "is_singleton"):
        got = np.broadcast_to(getattr(S, name), (2,))
        np.testing.assert_array_equal(got, [getattr(T, name) for T in many], name)
    for method in KNOWN.values():
        for z in points(2)[:3]:
            same(S, many, z, method)


@pytest.mark.parametrize("op", [OPS[k] for k in QUICK], ids=QUICK)
@sets
def test_projections_onto_a_batch_of_sets(build, params, op):
    S, many = op(build(*params)), [op(T) for T in members(build, params)]
    close(S.min_norm(), [T.min_norm() for T in many], 1e-6)
    _, own, broad = points(2)[:3]
    close(S.project(broad[1:]), loop(many, broad[1:], NEAR["projection"]), 1e-6)
    for method in NEAR.values():
        close(method(S, own), loop(many, own, method), 1e-6)


@ops
@sets
def test_masks_pass_through(build, params, op):
    """An empty member stays apart from the others."""
    keep = [True, False]
    S = op(build(*params).restrict(keep))
    one = members(build, params)
    many = [op(T.restrict(k)) for T, k in zip(one, keep, strict=True)]
    np.testing.assert_array_equal(
        np.broadcast_to(S.nonempty, (2,)), [T.nonempty for T in many]
    )
    for name in ("lower", "upper"):
        close(getattr(S.box(), name), [getattr(T.box(), name) for T in many])
    for z in points(2)[:3]:
        close(S.support(z), loop(many, z, lambda T, v: T.support(v)))
        face = loop(many, z, lambda T, v: T.exposed_face(v).support(D[1]))
        close(S.exposed_face(z).support(D[1]), face)
    z = np.concatenate([[T.project(D[0])] for T in one])
    close(S.contains(z), loop(many, z, lambda T, v: T.contains(v)))
    if np.all(S.nonempty):
        return
    with pytest.raises(ValueError, match="empty"):
        S.project(D[0])


@sets
def test_masks_of_a_mask(build, params):
    S = build(*params)
    none = S.restrict([True, False]).restrict([False, True])
    assert not np.any(none.nonempty)
    assert np.all(none.support(D[0]) == -np.inf)
    assert np.all(np.isinf(none.distance(D[0]))) and not np.any(none.contains(D[0]))
    assert np.all(S.nonempty)


def test_no_faces_of_an_empty_member():
    """Outside the domain ∂f(x) is empty, and so are its faces, sums and multiples."""
    f = sg.Indicator(Box(Interval([0.0, 0], [1, 1])))
    S = f.subdifferential([[0.5, 0.5], [3.0, 0.5]])
    for T in (S, 2.0 * S, S + sg.point([1.0, 1]), -S, Ball([0.0, 0]) + S):
        for d in ([1, 1], [-1, -1], [0, 1], [0, 0]):
            for face in (T.exposed_face(d), T.exposed_face(d, 0.1)):
                assert face.nonempty.tolist() == [True, False]
                assert np.isneginf(face.support([1, 2])).tolist() == [False, True]


@sets
def test_product_of_batches(build, params):
    """Blocks: h(d, e) = h_S(d) + h_T(e), and projections block by block."""
    S, many = build(*params), members(build, params)
    pairs = sg.product([S, Ball([0.0, 1], a)])
    z = np.concatenate([points(2)[1], [[3.0, 0], [0, 0.5]]], -1)
    expected = [T.support(p[:3]) for T, p in zip(many, z, strict=True)]
    close(pairs.support(z), expected + Ball([0.0, 1], a).support(z[:, 3:]))
    near = [T.project(p[:3]) for T, p in zip(many, z, strict=True)]
    close(pairs.project(z)[:, :3], near, 1e-7)
    close(pairs.project(z)[:, 3:], Ball([0.0, 1], a).project(z[:, 3:]))
    masked = sg.product([S.restrict([True, False]), Ball([0.0, 1], a)])
    np.testing.assert_array_equal(masked.nonempty, [True, False])


@sets
def test_one_set_of_a_batch_has_no_cvxpy_form(build, params):
    with pytest.raises(ValueError, match="batch"):
        build(*params).to_cvxpy(cvxpy_variable())


def test_shapes_are_those_of_all_parameters():
    """A (2, 1, m, n) against b (5, m) makes a batch of (2, 5)."""
    f = norm1(A[:, None] @ x - np.arange(20.0).reshape(5, 4))
    assert f.value(np.zeros(3)).shape == (2, 5)
    assert f.subgradient(np.zeros(3)).shape == (2, 5, 3)
    assert f.subdifferential(np.zeros(3)).support(D[0]).shape == (2, 5)
    with pytest.raises(ValueError, match="batch|broadcast|shape"):
        Ball(np.zeros((2, 3)), np.ones(5))
