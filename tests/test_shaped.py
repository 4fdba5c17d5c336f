"""Atoms that take their shape from their argument."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.linalg import aslinearoperator

import subgrad as sg
from subgrad import lambda_max, nuclear_norm, schatten_norm, tv, variable

M = np.array([[2.0, 1, 0], [1, 2, 0]])


def test_array_variable_and_vector_agree():
    X = variable((2, 3))
    assert nuclear_norm(M) == nuclear_norm(X)(M.ravel())
    assert nuclear_norm(M) == nuclear_norm.at((2, 3)).value(M.ravel())
    assert np.isclose(nuclear_norm(M), np.linalg.svd(M)[1].sum())
    assert np.isclose(nuclear_norm(2 * X.T - M.T)(M.ravel()), nuclear_norm(M))
    assert np.isclose(nuclear_norm(X[:, :2])(M.ravel()), 4.0)
    assert tv([1.0, 3, 2]) == 3.0 and isinstance(tv([1.0, 3, 2]), float)


def test_large_matrices_are_not_written_out():
    n = 3000
    path = sp.diags_array([np.ones(n - 1)] * 2, offsets=[-1, 1])
    top = 2 * np.cos(np.pi / (n + 1))
    assert np.isclose(lambda_max(path), top, rtol=1e-12)
    small = sp.csr_array([[2.0, 1], [1, 0]])
    assert np.isclose(lambda_max(small), 1 + np.sqrt(2))
    assert np.isclose(lambda_max(aslinearoperator(small)), 1 + np.sqrt(2))
    with pytest.raises(TypeError, match="takes an array, got csr"):
        nuclear_norm(small)


def test_equality_pickle_and_repr():
    assert schatten_norm(3) == schatten_norm(3) != schatten_norm(4)
    assert nuclear_norm != 1 and nuclear_norm != tv
    assert pickle.loads(pickle.dumps(lambda_max)) == lambda_max
    assert repr(tv).startswith("TotalVariation(shape")


@pytest.mark.parametrize(
    ("bad", "error", "text"),
    [
        (lambda: nuclear_norm([1.0, 2]), ValueError, "array with 2 axes"),
        (lambda: nuclear_norm(variable(3)), ValueError, "array with 2 axes"),
        (lambda: lambda_max(M), ValueError, "square matrix"),
        (lambda: nuclear_norm([[np.nan]]), ValueError, "X must not contain nan"),
        (lambda: nuclear_norm(sg.norm1), TypeError, "affine map or an array"),
        (lambda: nuclear_norm("M"), TypeError, "X must be an array"),
    ],
)
def test_border(bad, error, text):
    with pytest.raises(error, match=text):
        bad()
