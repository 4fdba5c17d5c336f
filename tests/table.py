"""The only list: every function and every set on which the laws run.

A new class is one row here, or in one of the rows_*.py that are joined below.
`Row.kinks` are points worth testing beside the lattice and Gaussian ones, `inexact`
says where the subdifferential is a proved part only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import rows_entropic
import rows_norms
import rows_ordered
import rows_pencil
import rows_perspective
import rows_problems
import rows_spectral
import rows_variation
import scipy.sparse as sp
from row import Row
from scipy.sparse.linalg import aslinearoperator

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
    HalfSpace,
    Hull,
    Indicator,
    Interval,
    Linear,
    MaxAffine,
    PiecewiseLinear,
    Polar,
    Quadratic,
    Simplex,
    Support,
    absolute,
    compose,
    entropy,
    epsilon_insensitive,
    group_norm,
    hinge,
    huber,
    interval_indicator,
    logistic,
    max_entry,
    maximum,
    moreau_envelope,
    negative_log,
    negative_sqrt,
    norm1,
    norm2,
    norm_inf,
    pinball,
    power,
    product,
    relu,
    separable,
    squared_norm,
    stack,
    sum_largest,
    t,
    variable,
    variables,
    where,
    whole_space,
)
from subgrad.affine import Matrix
from subgrad.calculus.compose import Composition, WeightedSum
from subgrad.calculus.envelope import MoreauEnvelope
from subgrad.calculus.maximum import HullOfUnion, Maximum
from subgrad.calculus.precompose import LinearImage, Precomposed
from subgrad.calculus.scale import Scaled, ScaledSet
from subgrad.calculus.stack import Product, Stacked
from subgrad.calculus.sum import MinkowskiSum, Sum
from subgrad.functions.linear import Affine
from subgrad.sets.cone import NormalCone
from subgrad.sets.domain import Domain

inf = np.inf
rng = np.random.default_rng(7)
A = rng.integers(-2, 3, (4, 3)).astype(float)
b = np.array([1.0, 0.0, -1.0, 2.0])
# Slopes, curvature, a kink and an end, as a user draws them.
DRAWN = maximum(t**2, 1 - t, 3 * t - 1) + where(t <= 2, 0, inf)
P = np.array([[2.0, -1, 0], [-1, 2, -1], [0, -1, 2]])
x = variable(3)
u, v = variables(2, 2)
X = variable((2, 2))
groups = [0, 1, 0]
slab = HalfSpace([1.0, 2, 0], 1.0, -1.0)


def interval_box(low: Any, high: Any) -> Box:
    return Box(Interval(low, high))


FUNCTIONS = [
    Row("norm1", norm1, 3, twin=Support(interval_box([-1] * 3, [1] * 3))),
    Row("norm2", norm2, 3, twin=Support(Ball(np.zeros(3)))),
    Row(
        "norm_inf", norm_inf, 3, twin=MaxAffine(np.concatenate([np.eye(3), -np.eye(3)]))
    ),
    Row("group_norm", group_norm(groups, [1.0, 2.0]), 3),
    Row("max_entry", max_entry, 3, twin=MaxAffine(np.eye(3))),
    Row("sum_largest 2", sum_largest(2), 3, twin=Support(CappedSimplex(0, 1, 2, 3))),
    Row("sum_largest 1.5", sum_largest(1.5), 3),
    Row("support of ball", Support(Ball([1.0, 0, 2], 0.5)), 3),
    Row("support of hull", Support(Hull(A)), 3, twin=MaxAffine(A)),
    Row(
        "support of half-space",
        Support(HalfSpace([1.0, 2], 1.0)),
        2,
        [[1, 2], [-1, -2], [0.5, 1]],
    ),
    Row("support of cone", Support(Cone([[1.0, 0], [1, 1]])), 2, [[-1, 1], [-2, 1]]),
    Row("support of half-line", Support(interval_box([0.0, -1], [inf, 1])), 2),
    Row("indicator of box", Indicator(interval_box([-1, 0, 0.0], [1, 0, inf])), 3),
    Row("indicator, open below", Indicator(interval_box([-inf, -1.0], [0.0, 1])), 2),
    Row("indicator of ball", Indicator(Ball([0.0, 0])), 2, [[0.6, 0.8]]),
    Row(
        "indicator of simplex",
        Indicator(Simplex(3)),
        3,
        [[0.5, 0.5, 0], [0.2, 0.3, 0.5]],
    ),
    Row(
        "indicator of hull", Indicator(Hull([[0.0, 0], [2, 0], [0, 2]])), 2, [[1, 1.0]]
    ),
    Row("indicator of cross-polytope", Indicator(CrossPolytope(2)), 2, [[0.5, -0.5]]),
    Row(
        "indicator of half-space", Indicator(HalfSpace([1.0, 1], 1.0)), 2, [[0.5, 0.5]]
    ),
    Row(
        "indicator of subspace",
        Indicator(AffineSubspace([0.0, 0, 1], [[1.0, 1, 0]])),
        3,
    ),
    Row("indicator of cone", Indicator(Cone([[1.0, 0], [1, 1]])), 2, [[2, 1]]),
    Row("distance to ball", Distance(Ball([0.0, 0])), 2, [[0.6, 0.8], [0.1, 0]]),
    Row("distance to box", Distance(interval_box([-1, 0.0], [1, 0.5])), 2, [[1, 0.5]]),
    Row("abs", separable(absolute), 3, twin=norm1),
    Row("relu", separable(relu), 2, twin=Support(interval_box([0, 0], [1, 1]))),
    Row("hinge", separable(hinge), 2, atom="hinge_loss"),
    Row("pinball", separable(pinball(0.3)), 2, atom="pinball_loss(tau)"),
    Row(
        "epsilon-insensitive",
        separable(epsilon_insensitive(1.0)),
        2,
        atom="epsilon_insensitive_loss(eps)",
    ),
    Row(
        "user's penalty",
        separable(PiecewiseLinear([-1, 0, 1], [-inf, -1, 2, 5]), [1.0, 2.0]),
        2,
    ),
    Row(
        "weight zero",
        separable(interval_indicator(0, 1), [0.0, 1.0]),
        2,
        conjugate=False,
    ),
    Row("weighted abs", separable(absolute, [0.0, 2.0]), 2, conjugate=False),
    Row("entropy", separable(entropy), 2, [[0, 0.5], [2, 3]]),
    Row("weighted entropy", separable(entropy, [2.0, 0.5]), 2, [[0, 0.5], [2, 3]]),
    Row("negative sqrt", separable(negative_sqrt), 2, [[0.25, 4]]),
    Row("huber", separable(huber(0.5)), 2, atom="huber_loss(M)"),
    Row("drawn", separable(DRAWN, [1.0, 2.0]), 2, [[2, -1], [1.5, 2]]),
    Row("quartic", separable(t**4 + abs(t)), 2, conjugate=False, cvxpy=False),
    Row("logistic", separable(logistic, [1.0, 3.0]), 2, atom="logistic_loss"),
    Row("power", separable(power(3.0)), 2),
    Row("negative log", separable(negative_log), 2, [[0.25, 4]]),
    Row("linear", Linear([1.0, -2, 0], 3.0), 3),
    Row("one row", Affine.of(np.array([1.0, 2, 3]) @ x + 1.0), 3, cls=Affine),
    Row("quadratic", Quadratic(P), 3),
    Row("singular quadratic", Quadratic(np.ones((2, 2))), 2),
    Row("sparse quadratic", Quadratic(sp.csr_array(P)), 3, twin=Quadratic(P)),
    Row("squared norm", squared_norm, 3),
    Row("max affine", MaxAffine(A, b), 3, prox=False),
    # The calculus.
    Row("sum", norm1 + 0.5 * squared_norm + Linear([1.0, 0, -1]), 3, cls=Sum),
    Row("sum of norms", norm1(A @ x - b) + norm2(x), 3, prox=False, conjugate=False),
    Row(
        "three norms", norm1(x) + norm2(x) + norm_inf(x), 3, prox=False, conjugate=False
    ),
    Row(
        "sum with indicators",
        norm1(x) + Indicator(interval_box([0] * 3, [1] * 3))(x) + Indicator(slab)(x),
        3,
        [[0, 0.5, 0], [1, 0, 1], [0.2, 0.4, 0]],
        prox=False,
        conjugate=False,
    ),
    Row(
        "two balls that touch",
        Indicator(Ball([0.0, 0])) + Indicator(Ball([2.0, 0])),
        2,
        [[1, 0]],
        prox=False,
        conjugate=False,
        inexact=lambda x: True,
    ),
    Row("scaled", 2.5 * norm_inf, 3, cls=Scaled),
    Row(
        "zero times entropy",
        0.0 * separable(entropy, [1.0, 1.0]),
        2,
        [[0, 0.5], [2, 3]],
    ),
    Row("zero times norm", 0.0 * norm2(x), 3),
    Row(
        "precomposed", norm2(A @ x - b), 3, prox=False, conjugate=False, cls=Precomposed
    ),
    Row("reversed", norm1(-2.0 * x + 1.0), 3, twin=2.0 * norm1(x - 0.5)),
    Row("picked", norm2(x[1:] - [1.0, 0]), 3, conjugate=False),
    Row("repeated", norm1(x[[0, 0, 2]]), 3, prox=False),
    Row(
        "sparse map",
        norm1(sp.csr_array(A) @ x - b),
        3,
        prox=False,
        twin=norm1(A @ x - b),
    ),
    Row(
        "operator map",
        norm_inf(sg.linear(aslinearoperator(A)) @ x),
        3,
        prox=False,
        twin=norm_inf(A @ x),
    ),
    Row(
        "matrix variable",
        norm1(np.array([[1.0, 2], [0, 1]]) @ X - X.T),
        4,
        prox=False,
    ),
    Row("blocks", norm1(u - v) + norm2(v), 4, prox=False, conjugate=False),
    Row("squared distance", squared_norm(x - [1.0, 0, -1]), 3),
    Row(
        "indicator of image",
        Indicator(Ball([0.0, 0]))(A[:2] @ x),
        3,
        prox=False,
        conjugate=False,
        inexact=lambda x: bool(np.linalg.norm(A[:2] @ x) > 1 - 1e-9),
    ),
    Row("relu by maximum", maximum(0 * x[0], x[0]), 3, prox=False),
    Row(
        "maximum",
        maximum(norm1(x), 2 * norm_inf(x), np.array([1.0, 1, 0]) @ x + 1),
        3,
        [[2, 0, 0], [-3, 0, 0]],
        prox=False,
        conjugate=False,
        cls=Maximum,
    ),
    Row(
        "maximum, curved",
        maximum(norm2(x), squared_norm(x)),
        3,
        [[1, 0, 0], [0.6, 0, 0.8]],
        prox=False,
        conjugate=False,
    ),
    Row(
        "maximum with domains",
        maximum(separable(negative_sqrt)(variable(1)), Linear([1.0])),
        1,
        [[0.25], [4]],
        prox=False,
        conjugate=False,
    ),
    Row(
        "two steep at once",
        maximum(separable(negative_sqrt), 2 * separable(negative_sqrt)),
        1,
        prox=False,
        conjugate=False,
        inexact=lambda x: bool(x[0] <= 0),
    ),
    Row(
        "maximum of indicators",
        maximum(Indicator(interval_box([0.0, -1], [1, 1])), norm1),
        2,
        prox=False,
        conjugate=False,
    ),
    Row(
        "composition",
        compose(relu, norm1(x) - 1.0),
        3,
        prox=False,
        conjugate=False,
        cls=Composition,
    ),
    Row(
        "relu of a steep function",
        compose(relu, separable(negative_sqrt)),
        2,
        [[0, 0.5], [2, 3]],
        prox=False,
        conjugate=False,
    ),
    Row("squared norm1", compose(sg.square, norm1), 3, prox=False, conjugate=False),
    Row(
        "three deep",
        compose(norm_inf, compose(norm2, norm1(A @ x), norm_inf(x)), 2 * norm2(x)),
        3,
        prox=False,
        conjugate=False,
    ),
    Row(
        "composition with a sum",
        compose(
            max_entry, norm1(x) + norm2(x), 2 * sum_largest(2)(x) + norm1(x), x[0] + 1
        ),
        3,
        prox=False,
        conjugate=False,
    ),
    Row(
        "norm of norms",
        compose(norm_inf, norm1(x), norm2(x)),
        3,
        prox=False,
        conjugate=False,
    ),
    Row(
        "group norm of norms",
        compose(group_norm([0, 0, 1]), norm1(x), norm2(x[:2]), norm2(x[1:])),
        3,
        prox=False,
        conjugate=False,
    ),
    Row(
        "l1 of norms",
        compose(norm1, norm1(x), norm2(x)),
        3,
        prox=False,
        conjugate=False,
        twin=norm1(x) + norm2(x),
    ),
    Row(
        "largest of norms",
        compose(sum_largest(2), norm1(x), norm2(x), x[0]),
        3,
        prox=False,
        conjugate=False,
    ),
    Row(
        "affine argument",
        compose(norm1, norm2(x), x[0] - x[1]),
        3,
        prox=False,
        conjugate=False,
        twin=norm2(x) + norm1(x[0:1] - x[1:2]),
    ),
    Row("exponential", compose(sg.exponential, norm1), 2, prox=False, conjugate=False),
    Row(
        "sublevel set of a square",
        compose(interval_indicator(-inf, 0), squared_norm),
        1,
        [[0.0]],
        prox=False,
        conjugate=False,
        inexact=lambda x: bool(x[0] == 0),
        cvxpy=False,
    ),
    Row(
        "sublevel set of a norm",
        compose(interval_indicator(-inf, 1), norm2),
        2,
        [[0.6, 0.8]],
        prox=False,
        conjugate=False,
    ),
    Row(
        "sublevel set of norm1",
        compose(interval_indicator(-inf, 1), norm1),
        2,
        [[0.5, -0.5]],
        prox=False,
        conjugate=False,
        twin=Indicator(CrossPolytope(2)),
    ),
    Row(
        "stack",
        stack(norm1(variable(2)), separable(entropy, [1.0]), norm2(variable(1))),
        4,
        [[0, 0, 2, 0]],
        cls=Stacked,
    ),
    Row("envelope of norm1", moreau_envelope(norm1, 0.5), 3),
    Row(
        "envelope of an indicator",
        moreau_envelope(Indicator(Ball([0.0, 0])), 2.0),
        2,
        cls=MoreauEnvelope,
    ),
    Row("envelope of entropy", moreau_envelope(separable(entropy), 1.0), 2),
]

# Sets ---------------------------------------------------------------------------------

cone = Cone([[1.0, 0, 0], [1, 1, 0]])
disc = Ball([0.0, 1, 0], 2.0)
cube = interval_box([-1, 0, 0.0], [1, 2, 0])
tent = Hull([[0.0, 0, 1], [1, 0, 0], [0, 1, 0], [1, 0, 0]])
flat = AffineSubspace([0.0, 0, 1], [[1.0, 1, 0]])


SETS = {
    "box": cube,
    "point": sg.point([1.0, 0, -2]),
    "orthant": interval_box([0.0] * 3, [inf] * 3),
    "half-infinite box": interval_box([-inf, 0, 1.0], [0, inf, 1]),
    "whole space": whole_space(3),
    "interval": interval_box([0.0], [1.0]),
    "half-line": interval_box([0.0], [inf]),
    "empty": Empty(3),
    "ball": disc,
    "ball of radius 0": Ball([1.0, 0, 0], 0.0),
    "ball on the line": Ball([1.0], 2.0),
    "group ball": GroupBall([0.0, 1, 0], [1.0, 0.5], groups),
    "simplex": Simplex(3, 2.0),
    "simplex on the line": Simplex(1),
    "capped simplex": CappedSimplex(0, 1, 2, 3),
    "capped simplex, uneven": CappedSimplex([-1, 0, 0.5], [1, 2, 0.5], 1.5),
    "hull": tent,
    "hull of one": Hull([[1.0, 2, 3]]),
    "cross-polytope": CrossPolytope(3, 1.5),
    "cross-polytope on the line": CrossPolytope(1),
    "half-space": HalfSpace([1.0, 2, 0], 1.0),
    "slab": slab,
    "hyperplane": HalfSpace([0.0, 1, 1], 2.0, 2.0),
    "half-line by half-space": HalfSpace([-2.0], 1.0),
    "subspace": flat,
    "subspace by equations": AffineSubspace.solve([[1.0, 1, 1]], [1.0]),
    "cone": cone,
    "polar": Polar(cone),
    "cone ball": ConeBall([1.0, 0, 0], 2.0, cone),
    "sum of box and hull": MinkowskiSum((tent, cube)),
    "sum of ball and hull": disc + tent,
    "sum of two balls and a box": disc + Ball([1.0, 0, 0]) + cube,
    "sum of cone and hull": cone + tent,
    "sum of cone and ball": cone + disc,
    "sum of cone, box and subspace": cone + cube + flat,
    "sum of simplices": Simplex(3) + CappedSimplex(0, 1, 2, 3),
    "scaled": ScaledSet(tent, np.float64(-2.0)),
    "scaled ball": 0.5 * disc,
    "zero times a bounded set": 0.0 * tent,
    "zero times a cone": 0.0 * (cone + sg.point([1.0, 1, 1])),
    "zonotope": LinearImage(Matrix(A.T), interval_box([-1] * 4, [1] * 4)),
    "image of a hull": LinearImage(Matrix(P), tent),
    "image of a ball": LinearImage(Matrix(P), Ball([0.0, 0, 1])),
    "flat image of a ball": LinearImage(Matrix(A[:3, :2]), Ball([0.0, 1.0])),
    "image of a cone": LinearImage(Matrix(P), cone),
    "sum of images": A.T @ Simplex(4) + P @ cube,
    "sum of an ellipsoid and a box": P @ disc + cube,
    "hull of box and point": HullOfUnion(
        (cube, sg.point([0.0, 0, 3])), np.ones(2, bool)
    ),
    "hull of ball and point": sg.hull_of_union(
        Ball(np.zeros(3)), sg.point([2.0, 0, 0])
    ),
    "hull of two balls": sg.hull_of_union(disc, Ball([0.0, 0, 4], 0.5)),
    "hull with a cone": sg.hull_of_union(tent, cone),
    "product": Product((Ball([0.0, 0]), CrossPolytope(1))),
    "product of ball and segment": product([Ball([0.0, 0]), Simplex(2)]),
    "product of cone and simplex": product([Cone([[1.0]]), Simplex(2)]),
    "union of multiples": sg.scaled_union(tent, 0.5, 2.0),
    "cone over a hull": sg.scaled_union(tent, 0.0, inf),
    "half-line over a point": sg.scaled_union(sg.point([1.0, 2, 0]), 1.0, inf),
    "union of multiples of a ball": sg.scaled_union(disc, 0.0, 1.0),
    "weighted sum over a simplex": WeightedSum(
        Simplex(2), (tent, cube), np.ones(2, bool)
    ),
    "weighted sum over a box": sg.weighted_sum(
        interval_box([0, 1.0], [2, 3]), [tent, sg.point([0.0, 1, 1])]
    ),
    "weighted sum over a ball": sg.weighted_sum(
        Ball(np.zeros(2))._part(np.ones(2, bool), np.zeros(2, bool)), [tent, cube]
    ),
}

# A Domain is known through a function and asked through it; a NormalCone is what the
# law of normal cones finds of curved sums, hulls and images.
OTHER_SETS = (Domain, NormalCone)

for area in (
    rows_spectral,
    rows_variation,
    rows_ordered,
    rows_norms,
    rows_entropic,
    rows_perspective,
    rows_pencil,
    rows_problems,
):
    FUNCTIONS += area.FUNCTIONS
    SETS |= area.SETS
