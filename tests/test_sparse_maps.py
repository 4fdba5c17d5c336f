"""Sparse maps: which method takes them, what it proves, and what that is made of."""

import numpy as np
import pytest
from scipy import sparse

from subgrad import (
    Norm2,
    graph_total_variation,
    group_norm,
    norm1,
    norm2,
    squared_norm,
    total_variation,
    tv,
    variable,
)
from subgrad.solvers import minimize
from subgrad.solvers.problem import Problem
from subgrad.solvers.structured import choice, sparse_systems
from subgrad.solvers.structured.certificate import (
    DualCertificate,
    dual_bound,
    least_gap,
)
from subgrad.solvers.structured.domains import conjugate_value, to_domain
from subgrad.solvers.structured.eigenvalues import least_of_sparse
from subgrad.solvers.structured.front import Run
from subgrad.solvers.structured.interior_point import InteriorPoint
from subgrad.solvers.structured.primal_dual import PrimalDual
from subgrad.solvers.structured.reach import _gram, _rows
from subgrad.solvers.structured.terms import structure

M = 18
IMAGE = np.round(np.random.default_rng(0).standard_normal((M, M)), 2)
EDGES = np.random.default_rng(1).integers(0, 60, (150, 2))
EDGES = EDGES[EDGES[:, 0] != EDGES[:, 1]]
NODES = np.random.default_rng(2).standard_normal(60)


def lad(m=150, n=50, kind=sparse.csr_array):
    rng, x = np.random.default_rng(3), variable(n)
    A = kind(rng.standard_normal((m, n)) * (rng.random((m, n)) < 0.1))
    return norm1(A @ x - rng.standard_normal(m)) + 0.5 * norm1(x)


def blurred(m):
    K = sparse.diags_array([1 / 3] * 3, offsets=[-1, 0, 1], shape=(m, m))
    K, x = sparse.csr_array(sparse.kron(K, K)), variable(m * m)
    b = K @ np.random.default_rng(4).standard_normal(m * m)
    return 0.5 * squared_norm(K @ x - b) + 0.05 * total_variation().at((m, m))(x)


def fused(m=20, n=40):
    rng, x = np.random.default_rng(5), variable(n)
    A, b = rng.standard_normal((m, n)), rng.standard_normal(m)
    return 0.5 * squared_norm(A @ x - b) + norm1(x) + tv(x)


X, Y = variable((M, M)), variable(60)
CASES = {
    "image, l1": (norm1(X - IMAGE) + 0.5 * total_variation(False)(X), InteriorPoint),
    "image, l1, round": (norm1(X - IMAGE) + 0.7 * total_variation()(X), PrimalDual),
    "image, squares": (
        0.5 * squared_norm(X - IMAGE) + 0.3 * total_variation(False)(X), InteriorPoint,
    ),
    "image, squares, round": (
        0.5 * squared_norm(X - IMAGE) + 0.3 * total_variation()(X), PrimalDual,
    ),
    "graph": (
        norm1(Y - NODES) + 0.3 * graph_total_variation(EDGES, n=60)(Y), InteriorPoint,
    ),
    "equations": (lad(), InteriorPoint),
    "matrix": (lad(kind=sparse.csr_matrix), InteriorPoint),
    "blurred": (blurred(15), PrimalDual),
    "dense and sparse": (fused(), InteriorPoint),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_gaps_are_proved(name):
    f, method = CASES[name]
    x = np.zeros(f.n)
    assert isinstance(Run(Problem(f), x).method, method)
    r = minimize(f, x)
    assert r.success and r.gap <= 1e-6 * max(1, abs(r.fun))
    found = r.certificate
    assert found.verify(f)
    more = DualCertificate(
        found.x, found.multipliers, r.fun + 1e-9 * abs(r.fun), room=found.room
    )
    assert not more.verify(f)


def test_a_trial_of_primal_dual_steps_ends(monkeypatch):
    monkeypatch.setattr(choice, "SHORT", 32)
    monkeypatch.setattr(choice, "LONG", 32)
    monkeypatch.setattr(choice, "MIDDLE", 32)
    for name in ("image, l1, round", "image, squares, round"):
        f, x = CASES[name][0], np.zeros(M * M)
        run = Run(Problem(f), x)
        run.step()
        assert not isinstance(run.method, PrimalDual) and not run.stuck
        assert minimize(f, x).success
    monkeypatch.setattr(choice, "COLUMNS", 10)
    monkeypatch.setattr(sparse_systems, "FILLED", 0.0)
    run = Run(Problem(lad()), np.zeros(50))
    assert isinstance(run.method, PrimalDual)
    run.step()
    assert isinstance(run.method, InteriorPoint)


def test_filled_factors_are_as_good(monkeypatch):
    f = CASES["graph"][0]
    one = minimize(f, np.zeros(60))
    monkeypatch.setattr(sparse_systems, "FILLED", 0.0)
    other = minimize(f, np.zeros(60))
    assert other.success
    np.testing.assert_allclose(other.fun, one.fun, rtol=2e-6)
    form = choice.planned(Problem(f), 60)
    method = InteriorPoint(form)
    assert method.system.filled
    D = np.random.default_rng(0).random(len(form.b))
    r, s = np.ones(60), np.ones(len(form.b))
    dx, dy, dz = method.system.factor(D)(r.copy(), s.copy())
    np.testing.assert_allclose(form.adjoint(dy), -r, atol=1e-10)
    np.testing.assert_allclose(D * (dz + s), dy, atol=1e-10)


def test_an_atom_of_the_shifted_variable_needs_no_multiplier():
    """Its bound holds whatever the others are, and no more is verified."""
    f = CASES["graph"][0]
    s, best = structure(f), minimize(f, np.zeros(60)).lower_bound
    at = next(i for i, t in enumerate(s.terms) if t.alone and not t.own)
    rng = np.random.default_rng(0)
    for size in (0.01, 0.3, 3.0):
        ys = tuple(
            None if i == at else size * rng.standard_normal(t.op.rows)
            for i, t in enumerate(s.terms)
        )
        found = dual_bound(s, np.zeros(60), ys)
        assert -np.inf < found.lower_bound <= best + 1e-4
        assert found.verify(f)
        # sum min over x of |x - b| + <r, x> = <r, b>, if |r| <= 1.
        r = sum(
            t.op.adjoint(y)
            for t, y in zip(s.terms, found.multipliers, strict=True)
            if y is not None
        )
        assert np.abs(r).max() <= 1
        np.testing.assert_allclose(found.lower_bound, r @ NODES, atol=1e-9)
        more = DualCertificate(np.zeros(60), found.multipliers, r @ NODES + 1e-6)
        assert not more.verify(f)


def test_not_beside_a_quadratic():
    f = squared_norm(Y) + norm1(Y - NODES) + norm1(2.0 * Y)
    s = structure(f)
    ys = tuple(None if t.alone and not t.own else np.zeros(60) for t in s.terms)
    assert None in ys
    assert not DualCertificate(np.zeros(60), ys, -1e3).verify(f)


@pytest.mark.parametrize("shift", [1.0, 1e-3, 0.0, -0.1])
def test_least_eigenvalues_are_bounded_from_below(shift):
    n = 80
    D = sparse.diags_array([-1.0, 1.0], offsets=[0, 1], shape=(n - 1, n)).tocsr()
    G = (D.T @ D + shift * sparse.eye_array(n)).tocsr()
    least, found = np.linalg.eigvalsh(G.toarray())[0], least_of_sparse(G)
    assert found <= max(least, 0) + 1e-12
    assert found >= 0.3 * shift


def test_large_sparse_gram_matrices_are_as_in_the_formula():
    rng, n = np.random.default_rng(0), 220
    A = sparse.random_array((300, n), density=0.02, rng=rng, format="csr")
    W, U = rng.random(300), np.zeros((100, 300))
    U[np.repeat(np.arange(100), 3), np.arange(300)] = rng.standard_normal(300)
    Q = _rows(W, U)
    G, bulk = _gram(A, W, Q)
    assert sparse.issparse(G)
    B = W[:, None] * A.toarray()
    np.testing.assert_allclose(bulk, np.sum(B**2))
    B -= Q.T @ (Q @ B)
    np.testing.assert_allclose(G.toarray(), B.T @ B, atol=1e-12)
    large = _rows(np.tile(W, 12), np.tile(U, (4, 12)))
    assert sparse.issparse(large)
    np.testing.assert_allclose(large @ large.T @ np.ones(400), 4.0)


def test_least_gaps_are_those_of_multipliers_alone():
    f, rng = CASES["blurred"][0], np.random.default_rng(0)
    s, x = structure(f), np.zeros(f.n)
    for size in (1e-3, 0.01):
        ys = tuple(size * rng.standard_normal(t.op.rows) for t in s.terms)
        least = least_gap(s, x, s.value(x), ys)
        # With multipliers in the domains it is what Fenchel's inequality leaves.
        moved = [to_domain(t.h, y) for t, y in zip(s.terms, ys, strict=True)]
        each = [
            t.value(x) + conjugate_value(t.h, y) - y @ (t.op.forward(x) + t.b)
            for t, y in zip(s.terms, moved, strict=True)
        ]
        np.testing.assert_allclose(least, sum(each))
    none = tuple(np.zeros(t.op.rows) for t in s.terms)
    x = rng.standard_normal(f.n)
    r = s.terms[0].op.adjoint(y := np.ones(s.terms[0].op.rows))
    least = least_gap(s, x, -np.inf, (y, none[1]))
    np.testing.assert_allclose(least, 0.01 * np.linalg.norm(r) * np.linalg.norm(x))


def test_many_norms_are_one_atom():
    rng, x = np.random.default_rng(0), variable(3)
    P, w = rng.standard_normal((30, 3)), rng.random(30) + 0.1
    A = rng.standard_normal((30, 2, 3))
    f = sum((a * norm2(x - p) for a, p in zip(w[1:], P[1:], strict=True)), norm1(x))
    g = sum((a * norm2(B @ x + p[:2]) for a, p, B in zip(w, P, A, strict=True)), f)
    s = structure(g)
    assert len(s.terms) == 2 and s.terms[1].op.rows == 29 * 3 + 30 * 2
    z = rng.standard_normal(3)
    np.testing.assert_allclose(s.value(z), g(z), rtol=1e-13)
    r = minimize(f, np.zeros(3))
    assert r.success and r.certificate.verify(f)
    labels = np.repeat(np.arange(29), 3)
    stacked = np.tile(np.eye(3), (29, 1)) @ x - P[1:].ravel()
    same = minimize(group_norm(labels, w[1:])(stacked) + norm1(x), np.zeros(3))
    np.testing.assert_allclose(r.fun, same.fun, rtol=1e-6)
    few = structure(norm2(x - P[0]) + norm1(x) + norm2(x - P[1]))
    assert sum(isinstance(t.h, Norm2) for t in few.terms) == 2


def test_many_norms_of_a_batch_are_one_atom():
    rng, x = np.random.default_rng(0), variable(2)
    P = rng.standard_normal((6, 4, 2))
    f = sum((norm2(x - p) for p in P[1:]), norm2(x - P[0]))
    r = minimize(f, np.zeros((4, 2)))
    assert np.all(r.success)
    for k in range(4):
        g = sum((norm2(x - p) for p in P[1:, k]), norm2(x - P[0, k]))
        np.testing.assert_allclose(r.fun[k], minimize(g, np.zeros(2)).fun, rtol=2e-6)
