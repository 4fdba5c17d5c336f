"""Room around multipliers, and bounds that need it."""

from itertools import product

import cvxpy as cp
import numpy as np
import pytest
from scipy.sparse import diags_array

from subgrad import (
    CappedSimplex,
    CrossPolytope,
    Simplex,
    Support,
    hinge_loss,
    huber,
    max_entry,
    norm1,
    norm2,
    ordered_sum,
    owl,
    ptp,
    separable,
    squared_norm,
    variable,
)
from subgrad.sets.permutahedron import Permutahedron, SignedPermutahedron
from subgrad.solvers import Gap, MaxIter, minimize
from subgrad.solvers.structured.margins import margins
from subgrad.solvers.structured.reach import least_singular

SETS = [
    Permutahedron([3.0, 1.0, 1.0, 0.0, -2.0]),
    Permutahedron([1.0, 0.0, 0.0, 0.0, -1.0]),
    Permutahedron([2.0, 2.0, 2.0, 2.0, 2.0]),
    SignedPermutahedron([3.0, 2.0, 1.0, 1.0, 0.5]),
    SignedPermutahedron([1.0, 1.0, 0.0, 0.0, 0.0]),
    CappedSimplex(-1.0, 1.0, 1.5, 5),
    CrossPolytope(5, 2.0),
    Simplex(5),
]


def inside(S, rng):
    """A point of S, between corners of a random face or of all."""
    d = np.round(rng.standard_normal(5)) * rng.integers(0, 2)
    corners = np.array(
        [S._face(d, 0 * d[0])._support_point(v) for v in rng.standard_normal((6, 5))]
    )
    return rng.dirichlet(np.ones(6) * rng.choice([0.1, 1.0, 10.0])) @ corners


@pytest.mark.parametrize("S", SETS, ids=repr)
def test_multipliers_with_what_margins_allow_stay_inside(S):
    rng, roomy = np.random.default_rng(0), 0
    subsets = np.array(list(product([0.0, 1.0], repeat=5)))
    for _ in range(30):
        y = inside(S, rng)
        y += rng.choice([0.0, 1e-15, 1e-11]) * (inside(S, rng) - y)
        found = margins(3.0 * Support(S), 3.0 * y, np.zeros(5))
        roomy += bool(np.any(found.W > 1e-3))
        Q = np.zeros((1, 5)) if found.U is None else found.U * found.W
        w = np.vstack([rng.standard_normal((8, 5)), subsets, -subsets])
        Q = Q / np.maximum(np.linalg.norm(Q, axis=1, keepdims=True), 1e-300)
        for _ in range(2):  # the rows of Q do not meet
            w -= w @ Q.T @ Q
        size = np.linalg.norm(w, axis=1, keepdims=True)
        w = np.where(size > 1e-3, w / np.maximum(size, 1e-3), 0.0)
        p = y + found.W * w / 3.0
        assert np.abs(S._project(p) - p).max() <= 1e-13
    assert roomy > 8 or len(np.unique(S._support_point(np.arange(5.0)))) == 1


def test_margins_of_sums_in_order_are_as_large_as_in_the_formula():
    found = margins(ptp, np.array([0.7, 0.3, 0.0, -0.4, -0.6]), np.zeros(5))
    assert np.allclose(found.W, np.sqrt(2) * np.array([0.3, 0.3, 0.0, 0.4, 0.4]))
    assert found.U.shape == (2, 5)


@pytest.mark.parametrize("rank", [1, 150, 240])
def test_singular_values_are_bounded_from_below(rank):
    rng = np.random.default_rng(rank)
    B = rng.standard_normal((rank, 210)) * 10.0 ** rng.uniform(-3, 3, 210)
    true = np.linalg.svd(B, compute_uv=False).min() if rank > 210 else 0.0
    sigma = float(least_singular(B.T @ B, rank))
    assert sigma <= true
    assert sigma >= 0.5 * true - 1e-4 * np.linalg.norm(B)


def cases():
    rng = np.random.default_rng(3)
    A, b = rng.standard_normal((30, 10)), rng.standard_normal(30)
    x, n = variable(10), 150
    z = A @ x + b
    D = diags_array([-np.ones(n - 1), np.ones(n - 1)], offsets=[0, 1], shape=(n - 1, n))
    u = variable(n)
    one, two = variable(1), variable(2)
    w = np.array([[1.0], [1.0], [0.0], [0.0], [1.0]])
    yield "differences", norm1(u - rng.standard_normal(n)) + 100 * max_entry(D @ u)
    yield "range", ptp(z) + 0.3 * norm1(x)
    yield "ranges", ptp(z) + ptp(x)
    yield "ordered", ordered_sum(rng.integers(-1, 3, 30).astype(float))(z) + norm1(x)
    yield "largest", owl(np.repeat([1.0, 0.0], 15))(z)
    yield "constants", 100 * hinge_loss(w @ one + np.array([-1.0, -2.0, 1.0, 0.0, 1.0]))
    yield (
        "one side",
        norm1(np.eye(2)[:1] @ two - 1.0)
        + hinge_loss(np.ones((3, 1)) @ (np.eye(2)[1:] @ two)),
    )
    yield "steep", separable(huber(1.0))(z) + 0.5 * norm2(x) + x[0]
    rng = np.random.default_rng(281)
    sizes = 10.0 ** rng.choice([0, -3, 3], 4)
    small = sizes[0] * rng.standard_normal((30, 10)) @ x
    small = small + sizes[1] * rng.standard_normal(30)
    large = sizes[2] * rng.standard_normal((2, 10)) @ x
    large = large + sizes[3] * rng.standard_normal(2)
    # Minimisers are found by several multipliers, the best of which come first.
    yield "scales", ptp(small) + owl([1.0, 0.0])(large)
    yield "square", squared_norm(z[:5]) + 0.5 * norm2(x) + 0.1 * b[:10] @ x


@pytest.mark.parametrize(
    "name, f", list(cases()), ids=lambda c: c if isinstance(c, str) else ""
)
def test_bounds_are_proved(name, f):
    n = f.n
    found = minimize(f, np.zeros(n), "structured", stop=MaxIter(200) | Gap(1e-6))
    assert found.status == "gap"
    assert found.certificate.verify(f)
    x = cp.Variable(n)
    problem = cp.Problem(cp.Minimize(f.to_cvxpy(x)))
    best = problem.solve(solver="CLARABEL")
    assert found.lower_bound <= best + 1e-6 * max(1, abs(best))
    assert found.fun <= best + 1e-5 * max(1, abs(best))
