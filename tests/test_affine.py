"""Affine maps against their matrices, built by hand with numpy."""

from __future__ import annotations

import pickle

import cvxpy as cp
import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.linalg import LinearOperator, aslinearoperator

import subgrad as sg
from subgrad import linear, norm1, variable, variables, vstack
from subgrad.affine import (
    Diagonal,
    Matrix,
    Pick,
    Sparse,
    Total,
    Transposed,
    chain,
    identity,
)

rng = np.random.default_rng(11)
A = rng.integers(-3, 4, (4, 3)).astype(float)
C = rng.standard_normal((2, 4))
L, R = rng.standard_normal((3, 2)), rng.standard_normal((2, 4))
b = np.array([1.0, -2, 0, 3])
w = np.array([2.0, 0, -1])
eye = np.eye(3)
S = sp.csr_array(np.where(np.abs(A) > 1, A, 0))

x = variable(3)
X = variable((2, 2))
W = variable((2, 3))
u, v = variables(2, 3)
p, Q = variables(2, (2, 2))


def rows_of(n: int, *rows: int) -> np.ndarray:
    return np.eye(n)[list(rows)]


def sandwich(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The matrix of X -> left X right on vectors in row order."""
    return np.kron(left, right.T)


# x -> (x_2, ..., x_n, x_1), known by what it does.
shift_left = LinearOperator(
    (3, 3), lambda z: np.roll(z, -1), lambda z: np.roll(z, 1), dtype=float
)

# Name: (map, matrix, shift).
MAPS = {
    "variable": (x, eye, 0),
    "dense": (A @ x, A, 0),
    "wide": (C @ (A @ x), C @ A, 0),
    "integers": (A.astype(int) @ x, A, 0),
    "list": ([[1, 2, 3]] @ x, np.array([[1.0, 2, 3]]), 0),
    "row": (np.array([1.0, 2, 3]) @ x, np.array([[1.0, 2, 3]]), 0),
    "row on the right": (x @ np.array([1.0, 2, 3]), np.array([[1.0, 2, 3]]), 0),
    "sparse": (S @ x, S.toarray(), 0),
    "sparse of integers": (S.astype(int) @ x, S.toarray(), 0),
    "csc": (S.tocsc() @ x, S.toarray(), 0),
    "coo": (S.tocoo() @ x, S.toarray(), 0),
    "dia": (sp.dia_array(S) @ x, S.toarray(), 0),
    "bsr": (sp.bsr_array(S) @ x, S.toarray(), 0),
    "dok": (sp.dok_array(S) @ x, S.toarray(), 0),
    "sparse matrix": (sp.csr_matrix(S) @ x, S.toarray(), 0),
    "operator": (linear(aslinearoperator(A)) @ x, A, 0),
    "matrix-free": (linear(shift_left) @ x, np.roll(eye, -1, axis=0), 0),
    "shifted": (A @ x - b, A, -b),
    "shift of one number": (A @ x + 2, A, np.full(4, 2.0)),
    "subtracted from": (b - A @ x, -A, b),
    "twice shifted": (C @ (A @ x + b) - 1, C @ A, C @ b - 1),
    "multiple": (2 * x, 2 * eye, 0),
    "negative": (-(A @ x - b), -A, b),
    "divided": ((A @ x + b) / 4, A / 4, b / 4),
    "divided by a vector": (x / [1, 2, 4], np.diag([1, 0.5, 0.25]), 0),
    "diagonal": (w * x, np.diag(w), 0),
    "diagonal, shifted": (w * (x + 1), np.diag(w), w),
    "diagonals": (w * (3 * (w * x)), np.diag(3 * w * w), 0),
    "slice": (x[1:], eye[1:], 0),
    "slice with a step": (x[::2], eye[::2], 0),
    "reversed": (x[::-1], eye[::-1], 0),
    "index": (x[1], eye[1:2], 0),
    "index from the end": (x[-1], eye[2:], 0),
    "fancy": (x[[2, 0]], eye[[2, 0]], 0),
    "fancy with repeats": (x[[2, 0, 2, 2]], eye[[2, 0, 2, 2]], 0),
    "mask": (x[np.array([True, False, True])], eye[[0, 2]], 0),
    "slice of a shifted map": ((A @ x + b)[1:3], A[1:3], b[1:3]),
    "slice of a slice": (x[1:][::-1], eye[[2, 1]], 0),
    "chain": (C @ (2 * (A @ (w * x))), 2 * C @ A @ np.diag(w), 0),
    "sum": (A @ x + S @ x + b, A + S.toarray(), b),
    "difference": (A @ x - 2 * (A @ x - b), -A, 2 * b),
    "sum of four": (x + x[::-1] + (2 * x + 1) - x, 2 * eye + eye[::-1], np.ones(3)),
    "chain after a sum": (C @ (A @ x + S @ x), C @ (A + S.toarray()), 0),
    "first block": (u, rows_of(5, 0, 1), 0),
    "second block": (v, rows_of(5, 2, 3, 4), 0),
    "blocks": (u - v[1:], rows_of(5, 0, 1) - rows_of(5, 3, 4), 0),
    "matrix block": (Q, rows_of(6, 2, 3, 4, 5), 0),
    "row of a matrix block": (p - Q[1], rows_of(6, 0, 1) - rows_of(6, 4, 5), 0),
    "matrix variable": (W, np.eye(6), 0),
    "transpose": (W.T, rows_of(6, 0, 3, 1, 4, 2, 5), 0),
    "transpose twice": (W.T.T, np.eye(6), 0),
    "left": (L @ W, sandwich(L, eye), 0),
    "right": (X @ R, sandwich(np.eye(2), R), 0),
    "left and right": (L @ X @ R, sandwich(L, R), 0),
    "sparse left": (sp.csr_array(L) @ W, sandwich(L, eye), 0),
    "sparse right": (X @ sp.csr_array(R), sandwich(np.eye(2), R), 0),
    "row times a matrix": (
        np.array([1.0, 2]) @ W,
        sandwich(np.array([[1.0, 2]]), eye),
        0,
    ),
    "left of shifted": (
        L @ (X + np.array([[1.0, 2], [3, 4]])) + 1,
        sandwich(L, np.eye(2)),
        (L @ np.array([[1.0, 2], [3, 4]])).ravel() + 1,
    ),
    "entry": (W[1, 2], rows_of(6, 5), 0),
    "column": (W[:, 1], rows_of(6, 1, 4), 0),
    "columns reversed": (W[:, ::-1], rows_of(6, 2, 1, 0, 5, 4, 3), 0),
    "entries": (W[[0, 1, 0], [1, 2, 1]], rows_of(6, 1, 5, 1), 0),
    "entrywise multiple": (
        np.array([[1.0, 2], [3, 0]]) * X,
        np.diag([1.0, 2, 3, 0]),
        0,
    ),
    "multiple by a row": (np.array([1.0, 2]) * X, np.diag([1.0, 2, 1, 2]), 0),
    "symmetric part": (0.5 * (X + X.T), (np.eye(4) + rows_of(4, 0, 2, 1, 3)) / 2, 0),
    "stacked": (
        vstack(x, A @ x + b, 2 * x[1]),
        np.concatenate([eye, A, 2 * eye[1:2]]),
        np.concatenate([np.zeros(3), b, [0]]),
    ),
    "stacked matrices": (
        vstack(X, X.T),
        np.vstack([np.eye(4), rows_of(4, 0, 2, 1, 3)]),
        0,
    ),
    "chain after a stack": (
        np.ones((1, 7)) @ vstack(x, A @ x - b),
        np.ones((1, 7)) @ np.concatenate([eye, A]),
        [-b.sum()],
    ),
}
maps = pytest.mark.parametrize(("f", "M", "shift"), MAPS.values(), ids=MAPS)
BATCHES = [(), (1,), (5,), (2, 3), (0,)]


@maps
def test_value_is_that_of_the_matrix(f, M, shift):
    assert (f.rows, f.cols) == M.shape
    assert np.prod(f.shape) == f.rows
    for batch in BATCHES:
        z = rng.standard_normal((*batch, f.cols))
        assert f(z).shape == (*batch, f.rows)
        np.testing.assert_allclose(f(z), z @ M.T + shift, atol=1e-12)


@maps
def test_adjoint_is_the_transpose(f, M, shift):
    """<y, A z> = <A' y, z>, and the matrix of both."""
    for batch in BATCHES:
        y = rng.standard_normal((*batch, f.rows))
        z = rng.standard_normal((*batch, f.cols))
        back = f.adjoint(y)
        assert back.shape == z.shape
        np.testing.assert_allclose(back, y @ M, atol=1e-12)
        inner = np.vecdot(y, f.op.forward(z))
        np.testing.assert_allclose(np.vecdot(back, z), inner, atol=1e-11)


@maps
def test_dense(f, M, shift):
    np.testing.assert_allclose(f.op.dense(), M, atol=1e-12)
    np.testing.assert_allclose(f.op.T.dense(), M.T, atol=1e-12)
    np.testing.assert_allclose(f.op.T.T.dense(), M, atol=1e-12)


@maps
def test_cvxpy_says_the_same(f, M, shift):
    z = rng.standard_normal(f.cols)
    image = f.op.to_cvxpy(cp.Constant(z))
    assert image.shape == (f.rows,)
    np.testing.assert_allclose(image.value, M @ z, atol=1e-12)
    assert f.op.to_cvxpy(cp.Variable(f.cols)).is_affine()


@maps
def test_known_properties_of_the_operator_are_true(f, M, shift):
    """`scalar` and `tight` are believed by prox and conjugate."""
    if f.op.scalar is not None:
        np.testing.assert_array_equal(f.op.scalar * np.eye(f.rows), M)
    if f.op.tight is not None:
        np.testing.assert_allclose(M @ M.T, f.op.tight * np.eye(f.rows), atol=1e-12)


@maps
def test_float32_stays(f, M, shift):
    z = rng.standard_normal(f.cols)
    np.testing.assert_allclose(f(z.astype(np.float32)), f(z), rtol=1e-5, atol=1e-5)


def test_float32_maps_stay_float32():
    f = A.astype(np.float32) @ x - b.astype(np.float32)
    z = np.ones(3, np.float32)
    assert f(z).dtype == np.float32 and f.adjoint(f(z)).dtype == np.float32
    assert f(np.ones(3)).dtype == np.float64
    assert (A @ x)(z).dtype == np.float64


@maps
def test_functions_see_the_map(f, M, shift):
    """norm1 of the map: its value, its subgradients as A' s."""
    g = norm1(f)
    z = rng.standard_normal((4, f.cols))
    np.testing.assert_allclose(g(z), np.abs(z @ M.T + shift).sum(-1), atol=1e-12)
    s = np.sign(z @ M.T + shift)
    if np.all(s):
        np.testing.assert_allclose(g.subgradient(z), s @ M, atol=1e-12)


# Parameters with batch axes. Name: (map, batch, matrix and shift of problem i).
many = rng.standard_normal((5, 4, 3))
grid = rng.standard_normal((2, 5, 3))
B = rng.standard_normal((5, 4))
factors = rng.standard_normal((5, 3))

BATCHED = {
    "matrices": (many @ x, (5,), lambda i: many[i], lambda i: 0),
    "shifts": (A @ x - B, (5,), lambda i: A, lambda i: -B[i]),
    "both": (many @ x + B, (5,), lambda i: many[i], lambda i: B[i]),
    "diagonals": (factors * x, (5,), lambda i: np.diag(factors[i]), lambda i: 0),
    "two axes": (grid + x, (2, 5), lambda i: eye, lambda i: grid[i]),
    "numbers": (
        np.arange(5.0)[:, None] * np.ones(3) * x,
        (5,),
        lambda i: i * eye,
        lambda i: 0,
    ),
    "part of shifted": (
        (many @ x + B)[1:3],
        (5,),
        lambda i: many[i][1:3],
        lambda i: B[i][1:3],
    ),
    "chain": (C @ (many @ x + B), (5,), lambda i: C @ many[i], lambda i: C @ B[i]),
    "sum": (many @ x + A @ x, (5,), lambda i: many[i] + A, lambda i: 0),
    "stack": (
        vstack(many @ x, x + factors),
        (5,),
        lambda i: np.concatenate([many[i], eye]),
        lambda i: np.concatenate([np.zeros(4), factors[i]]),
    ),
    "matrix variable": (
        np.arange(20.0).reshape(5, 2, 2) + X,
        (5,),
        lambda i: np.eye(4),
        lambda i: np.arange(20.0).reshape(5, 4)[i],
    ),
}
batched = pytest.mark.parametrize(
    ("f", "batch", "matrix", "shift"), BATCHED.values(), ids=BATCHED
)


@batched
def test_batch_is_loop(f, batch, matrix, shift):
    one, each = rng.standard_normal(f.cols), rng.standard_normal((*batch, f.cols))
    y = rng.standard_normal((*batch, f.rows))
    assert f(one).shape == f(each).shape == (*batch, f.rows)
    assert f(each[None]).shape == (1, *batch, f.rows)
    assert f.adjoint(y).shape == (*batch, f.cols)
    for i in np.ndindex(batch):
        k = i[0] if len(i) == 1 else i
        M, c = matrix(k), shift(k)
        np.testing.assert_allclose(f(one)[i], M @ one + c, atol=1e-12)
        np.testing.assert_allclose(f(each)[i], M @ each[i] + c, atol=1e-12)
        np.testing.assert_allclose(f.adjoint(y)[i], M.T @ y[i], atol=1e-12)


@batched
def test_one_problem_of_a_batch(f, batch, matrix, shift):
    for i in np.ndindex(batch):
        k = i[0] if len(i) == 1 else i
        single = f.op._item(i)
        assert single.batch == ()
        np.testing.assert_allclose(single.dense(), matrix(k), atol=1e-12)


@batched
def test_function_of_a_batch_is_loop(f, batch, matrix, shift):
    g, z = norm1(f), rng.standard_normal((*batch, f.cols))
    values, G = g(z), g.subdifferential(z)
    d = rng.standard_normal(f.cols)
    h = G.support(d)
    assert values.shape == h.shape == batch
    for i in np.ndindex(batch):
        k = i[0] if len(i) == 1 else i
        single = norm1(matrix(k) @ variable(f.cols) + shift(k))
        np.testing.assert_allclose(values[i], single(z[i]), atol=1e-12)
        np.testing.assert_allclose(h[i], single.subdifferential(z[i]).support(d))


# Operators, without a variable around them.

OPERATORS = {
    "identity": (identity(3), eye),
    "diagonal of a number": (Diagonal(np.array(3.0), 3), 3 * eye),
    "diagonal": (Diagonal(w, 3), np.diag(w)),
    "matrix": (Matrix(A), A),
    "transposed": (Transposed(Sparse(S)), S.toarray().T),
    "transposed operator": (Transposed(Sparse(aslinearoperator(A))), A.T),
    "pick": (Pick(np.array([0, 0]), 2, 3), rows_of(3, 0, 0)),
    "total": (Total((Matrix(A), Sparse(S))), A + S.toarray()),
    "chain of diagonals": (chain(Diagonal(w, 3), Diagonal(w, 3)), np.diag(w * w)),
    "chain with the identity": (chain(Matrix(A), identity(3)), A),
}


@pytest.mark.parametrize(("op", "M"), OPERATORS.values(), ids=OPERATORS)
def test_operators(op, M):
    z, y = rng.standard_normal((2, 4, op.cols)), rng.standard_normal((2, 4, op.rows))
    np.testing.assert_allclose(op.forward(z), z @ M.T, atol=1e-12)
    np.testing.assert_allclose(op.adjoint(y), y @ M, atol=1e-12)
    np.testing.assert_allclose(op.dense(), M, atol=1e-12)
    np.testing.assert_allclose(op.to_cvxpy(cp.Constant(z[0, 0])).value, M @ z[0, 0])


def test_no_matrix_is_copied():
    big = np.asfortranarray(A)
    assert (big @ x - b).op.A is big
    assert (S @ x).op.A is S


def test_identity_costs_nothing():
    z = np.ones(3)
    assert x.op.forward(z) is z
    assert (1.0 * x).op is x.op and (x[:] + 0).op.scalar in (None, 1.0)


def test_variables_do_not_mix_but_blocks_do():
    y = variable(3)
    for mix in (lambda: x + y, lambda: x - 2 * y, lambda: vstack(x, y)):
        with pytest.raises(ValueError, match="unrelated variables"):
            mix()
    assert (u + v[:2]).cols == 5
    assert vstack(u, v).cols == 5


def test_shapes():
    assert x.shape == (3,) and W.shape == (2, 3) and W.T.shape == (3, 2)
    assert (L @ W).shape == (3, 3) and (X @ R).shape == (2, 4)
    assert W[0].shape == (3,) and W[0, 0].shape == (1,) and W[:, :2].shape == (2, 2)
    assert (A @ x).shape == (4,) and x[1].shape == (1,) and x[None].shape == (1, 3)
    assert vstack(W, W).shape == (12,)
    assert variable().shape == (1,)
    assert variable(np.int64(2)).shape == (2,)


def test_pickle_and_repr():
    f = A @ x - b
    again = pickle.loads(pickle.dumps(f))
    np.testing.assert_array_equal(again(w), f(w))
    assert repr(f) == "AffineMap(3 -> (4,))"
    both = pickle.loads(pickle.dumps((u, v)))
    assert (both[0] - both[1][1:]).cols == 5


def test_one_row_is_a_function():
    f = sg.maximum(x[0] - 1, 2 * x[1] + 1)
    np.testing.assert_array_equal(f([[3, 0, 0], [0, 1, 0]]), [2, 3])
    g = norm1(x) + x[0]
    np.testing.assert_array_equal(g.subgradient([1, -1, 2]), [2, -1, 1])
