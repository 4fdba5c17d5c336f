"""The largest eigenvalue of matrices and pencils, beyond the laws."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.linalg import aslinearoperator

import subgrad as sg
from subgrad import LambdaMaxPencil, largest_eigenpair
from subgrad._eigenpair import positive, ritz
from subgrad.affine import AffineMap, Matrix


def graph(n: int, degree: int, seed: int = 0) -> sp.csr_array:
    """The weights of a random graph."""
    r = np.random.default_rng(seed)
    i, j = r.integers(0, n, (2, n * degree // 2))
    W = sp.csr_array((r.random(i.size), (i, j)), shape=(n, n))
    return (W + W.T - 2 * sp.diags_array(W.diagonal())).tocsr()


def laplacian(W: sp.csr_array) -> sp.csr_array:
    return (sp.diags_array(W.sum(0)) - W).tocsr()


n = 260
path = sp.diags_array([np.ones(n - 1)] * 2, offsets=[-1, 1]).tocsr()
MATRICES = {
    "graph": laplacian(graph(n, 8)),
    "largest eigenvalue 0": -laplacian(graph(n, 8)),
    "path of 500": laplacian(
        sp.diags_array([np.ones(499)] * 2, offsets=[-1, 1]).tocsr()
    ),
    "tied": sp.kron(sp.eye_array(4), graph(n // 4, 8)).tocsr(),
    "tiny": 1e-8 * laplacian(path),
    "huge": 1e8 * graph(n, 8),
    "identity": sp.eye_array(n).tocsr(),
    "zero": sp.csr_array((n, n)),
    "minus identity": (-sp.eye_array(n)).tocsr(),
    "small": graph(20, 4),
    "one entry": sp.csr_array([[-3.0]]),
}


@pytest.mark.parametrize("S", MATRICES.values(), ids=MATRICES)
def test_largest_eigenpair(S):
    w = np.linalg.eigvalsh(S.toarray())
    size = np.abs(w).max()
    for form in (S, S.toarray(), aslinearoperator(S)):
        one = largest_eigenpair(form)
        assert abs(w[-1] - one.value) <= 1e-13 * size and not one.proved
        assert abs(one.vector @ one.vector - 1) <= 1e-14
        assert abs(one.vector @ (S @ one.vector) - one.value) <= 1e-13 * size
        assert one.error <= 1e-11 * size
    again = largest_eigenpair(S)
    assert again.value == largest_eigenpair(S).value  # the same start, the same answer
    proof = largest_eigenpair(S, prove=True)
    assert proof.proved and proof.error <= 1e-10 * size
    assert w[-1] <= proof.value + proof.error + 1e-13 * size
    assert largest_eigenpair(S.toarray(), prove=True).error <= 1e-10 * size


def test_a_vector_far_off_is_caught_by_the_proof():
    """A residual of 0 says that there is an eigenvalue, not that it is the largest."""
    S = laplacian(graph(300, 8))
    w, V = np.linalg.eigh(S.toarray())
    for i in (-2, 0, 100):
        assert positive(S, w[i] + 1e-9) is None
    factors, error = positive(S, w[-1] + 1e-9)
    assert 0 < error < 1e-10
    b = np.ones(300)
    x = factors.solve(b)
    np.testing.assert_allclose((w[-1] + 1e-9) * x - S @ x, b, atol=1e-4)


def test_a_loose_tolerance_is_in_the_error():
    S = laplacian(sp.diags_array([np.ones(2999)] * 2, offsets=[-1, 1]).tocsr())
    top = 2 - 2 * np.cos(np.pi * 2999 / 3000)
    for tol in (1e-2, 1e-4):
        one = largest_eigenpair(aslinearoperator(S), tol=tol)
        assert 0 < top - one.value <= one.error <= 50 * tol
        proof = largest_eigenpair(S, tol=tol, prove=True)
        assert -1e-13 <= top - proof.value <= proof.error
    # With no gap at the top, on a factorisation.
    assert abs(largest_eigenpair(S).value - top) <= 1e-13


def test_several_ritz_vectors():
    S = MATRICES["tied"]
    w, V, residual = ritz(S, 6)
    np.testing.assert_allclose(w, np.linalg.eigvalsh(S.toarray())[::-1][:6], atol=1e-12)
    np.testing.assert_allclose(V.T @ V, np.eye(6), atol=1e-13)
    assert residual.max() <= 1e-12 and w[0] - w[3] <= 1e-12 < w[3] - w[4]


def spread(A0, As):
    """The map y -> A_0 + sum_i y_i A_i to matrices."""
    y = sg.variable(len(As))
    dense = [A.toarray() if sp.issparse(A) else A for A in As]
    F = np.stack([np.ravel(A) for A in dense], -1)
    return AffineMap(y.variable, Matrix(F), np.ravel(A0), np.shape(A0))


def test_a_small_pencil_is_lambda_max_of_a_map():
    r = np.random.default_rng(1)
    As = [B + B.T for B in r.integers(-2, 3, (4, 6, 6)).astype(float)]
    A0 = np.kron(np.eye(3), As[0][:2, :2])
    for scale in (1e-8, 1.0, 1e8):
        f = LambdaMaxPencil(scale * A0, [scale * A for A in As])
        twin = sg.lambda_max(spread(scale * A0, [scale * A for A in As]))
        for y in [np.zeros(4), *r.standard_normal((3, 4))]:
            np.testing.assert_allclose(f.value(y), twin.value(y), rtol=1e-12)
            S, T = f.subdifferential(y), twin.subdifferential(y)
            for d in r.standard_normal((4, 4)):
                h = S.support(d)
                np.testing.assert_allclose(h, T.support(d), rtol=1e-9)
                np.testing.assert_allclose(f.directional_derivative(y, d), h)
            assert S.exact and T.contains(f.subgradient(y))
    u = cp.Variable(4)
    problem = cp.Problem(cp.Minimize(f.to_cvxpy(u) / 1e8 + cp.sum_squares(u - 1)))
    problem.solve(solver="CLARABEL")
    np.testing.assert_allclose(f.to_cvxpy(u).value, f.value(u.value), rtol=1e-6)


def large() -> dict[str, LambdaMaxPencil]:
    S, T = laplacian(graph(n, 8)), graph(n, 4, 1)
    block = sp.kron(sp.eye_array(4), graph(n // 4, 8)).tocsr()
    corner = sp.diags_array(np.repeat([1.0, 0, 0, -1], n // 4)).tocsr()
    operator = aslinearoperator(T)
    return {
        "sparse": LambdaMaxPencil(S, [T, corner, path]),
        "dense": LambdaMaxPencil(S.toarray(), [T.toarray(), corner, path]),
        "operators": LambdaMaxPencil(aslinearoperator(S), [operator, corner, path]),
        "tied": LambdaMaxPencil(block, [corner, block]),
        "diagonal": LambdaMaxPencil.diagonal(S),
        "diagonal operator": LambdaMaxPencil.diagonal(aslinearoperator(S)),
    }


LARGE = large()


LONG = ("sparse", "dense")  # the others are of the same matrices


@pytest.mark.parametrize(
    "f",
    [
        pytest.param(f, id=name, marks=[pytest.mark.slow] if name in LONG else [])
        for name, f in LARGE.items()
    ],
)
def test_a_large_pencil(f):
    r = np.random.default_rng(2)
    y, z = r.standard_normal((2, f.n)), r.standard_normal((5, f.n))
    y[0] = 0
    matrices = [np.asarray(f.matrix(p) @ np.eye(n)) for p in z]
    values = [np.linalg.eigvalsh(A)[-1] for A in matrices]
    np.testing.assert_allclose(f.value(z), values, rtol=1e-12)
    value, g = f.oracle(y)
    np.testing.assert_allclose(g[1], f.subgradient(y[1]), atol=1e-14)
    np.testing.assert_allclose(value[1], f.value(y[1]), rtol=1e-15)
    for p, v, h in zip(y, value, g, strict=True):
        # The inequality is exact, whatever the error of v.
        assert np.all(values >= v + (z - p) @ h - 1e-12)
        assert f.eigenpair(p).error <= 1e-11
    for eps in (0.0, 0.5):
        S = f.subdifferential(y, eps)
        assert not np.any(S.exact) and S.contains(g).all()
        for d in r.standard_normal((3, f.n)):
            h = S.support_point(d)
            np.testing.assert_allclose(np.vecdot(h, d), S.support(d), atol=1e-9)
            slack = values - value[:, None] - np.vecdot(h[:, None], z - y[:, None])
            assert np.all(slack >= -eps - 1e-11)


def test_spellings_of_a_large_pencil_agree():
    r = np.random.default_rng(3)
    y, d = r.standard_normal((2, 3))
    one = LARGE["sparse"]
    assert one == LARGE["dense"] and one != LARGE["diagonal"]
    for name in ("dense", "operators"):
        other = LARGE[name]
        np.testing.assert_allclose(other.subgradient(y), one.subgradient(y), atol=1e-9)
        slopes = [f.directional_derivative(y, d) for f in (one, other)]
        np.testing.assert_allclose(*slopes, atol=1e-9)
    unit = [sp.csr_array(([1.0], ([i], [i])), shape=(30, 30)) for i in range(30)]
    S = graph(30, 4)
    assert LambdaMaxPencil(S, unit) == LambdaMaxPencil.diagonal(S)
    assert LARGE["diagonal"]._nondecreasing(np.zeros(n)).all()
    for name in ("sparse", "operators"):
        assert not LARGE[name]._nondecreasing(np.zeros(3)).any()
    many, few = LARGE["diagonal"], LARGE["diagonal operator"]
    y = r.standard_normal(n)
    np.testing.assert_allclose(many.subgradient(y), few.subgradient(y), atol=1e-9)
    assert many.subgradient(y).sum() == pytest.approx(1)


def test_ties_of_a_large_pencil():
    f = LARGE["tied"]
    zero, d = np.zeros(2), np.array([1.0, 0])
    slope = (f.value(1e-6 * d) - f.value(zero)) / 1e-6
    assert f.directional_derivative(zero, d) == pytest.approx(slope, abs=1e-5)
    assert f.directional_derivative(zero, -d) == pytest.approx(1)
    S = f.subdifferential(zero)
    assert S.support(d) == pytest.approx(1) and S.support(-d) == pytest.approx(1)
    assert S.distance([0.3, f.value(zero)]) <= 1e-8


def test_wider_with_eps():
    f = LARGE["diagonal"]
    y = np.zeros(n)
    S, G = f.subdifferential(y), f.subdifferential(y, 2.0)
    assert S.is_singleton and not G.is_singleton
    d = np.random.default_rng(4).standard_normal((5, n))
    assert np.all(S.support(d) <= G.support(d) + 1e-12)
    # All vectors worth eps, and no others: their Rayleigh quotients.
    w = np.linalg.eigvalsh(f.matrix(y).toarray())[::-1]
    assert 1 < G.active.sum() == (w[: f.vectors] >= w[0] - 2.0).sum() < f.vectors


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: largest_eigenpair([[0.0, 1], [0, 0]]), "symmetric"),
        (lambda: largest_eigenpair(sp.csr_array([[0.0, 1], [0, 0]])), "symmetric"),
        (lambda: largest_eigenpair([[np.nan]]), "nan"),
        (lambda: largest_eigenpair(sp.csr_array([[np.inf]])), "finite"),
        (lambda: largest_eigenpair([[1j]]), "real"),
        (lambda: largest_eigenpair([1.0, 2]), "square"),
        (lambda: largest_eigenpair(np.eye(2), tol=-1), "tol"),
        (lambda: largest_eigenpair(aslinearoperator(np.eye(3)), prove=True), "entries"),
        (
            lambda: largest_eigenpair(aslinearoperator(np.triu(np.ones((3, 3))))),
            "symmetric",
        ),
        (lambda: LambdaMaxPencil(np.eye(2), []), "at least one"),
        (lambda: LambdaMaxPencil(np.eye(2), [np.eye(3)]), r"As\[0\].*shape"),
        (lambda: LambdaMaxPencil(np.eye(2), [[[0, 1], [2, 0]]]), "symmetric"),
        (lambda: LambdaMaxPencil(np.eye(2), [np.eye(2)], vectors=0), "positive"),
        (lambda: LambdaMaxPencil.diagonal(np.eye(2)).value([1.0]), "shape"),
        (lambda: LambdaMaxPencil.diagonal(np.eye(2)).eigenpair(np.eye(2)), "one point"),
        (lambda: LARGE["operators"].to_cvxpy(cp.Variable(3)), "entries"),
        (lambda: sg.SpectraplexImage([]), "at least one"),
        (lambda: sg.SpectraplexImage([np.eye(2)], np.eye(3)), "V must"),
        (lambda: sg.SpectraplexImage([np.eye(2)], 2 * np.eye(2)), "orthonormal"),
    ],
)
def test_border(call, text):
    with pytest.raises((ValueError, TypeError, NotImplementedError), match=text):
        call()
