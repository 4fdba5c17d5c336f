"""Atoms that take their shape from their argument."""

from __future__ import annotations

import pickle
import pydoc

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.linalg import aslinearoperator

import subgrad as sg
from subgrad import lambda_max, nuclear_norm, schatten_norm, tv, variable
from subgrad.functions.shaped import ShapedAtom

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
    assert tv == sg.total_variation() != sg.total_variation(False)
    for k in ([1.0, 2], [1.0, 2, 1]):
        assert sg.ky_fan_norm(k) == sg.ky_fan_norm(k) != sg.ky_fan_norm([2.0, 1])


def shaped_atoms():
    return {k: v for k in sg.__all__ if isinstance(v := getattr(sg, k), ShapedAtom)}


def test_names_and_help():
    atoms = shaped_atoms()
    assert len(atoms) >= 10
    for name, atom in atoms.items():
        text = pydoc.render_doc(atom, renderer=pydoc.plaintext)
        assert repr(atom) == name and f"{name} = {name}" in text
        assert ".at(shape)" in text and len(text.splitlines()) < 15
    assert "conv{u uᵀ" in pydoc.render_doc(lambda_max)
    assert repr(schatten_norm(3)) == "schatten_norm(3)"
    assert repr(sg.total_variation(False)) == "total_variation(False)"
    for made in (
        sg.lambda_sum_largest(1.5),
        sg.ky_fan_norm(2),
        sg.trend_filtering(2),
        sg.fused_lasso(1, 2),
        sg.block_sum(sg.norm2),
        sg.block_compose(sg.norm1, sg.norm2),
    ):
        make = getattr(sg, repr(made).partition("(")[0])
        assert make.__doc__.split(".")[0] in pydoc.render_doc(made)


@pytest.mark.parametrize(
    ("bad", "error", "text"),
    [
        (lambda: nuclear_norm([1.0, 2]), ValueError, "nuclear_norm takes .* 2 axes"),
        (lambda: sg.ky_fan_norm(2)([1.0, 2]), ValueError, r"ky_fan_norm\(2\) takes an"),
        (lambda: sg.total_variation(M), TypeError, r"True or False, got nd.* tv\(X\)"),
        (lambda: sg.total_variation(variable((2, 3))), TypeError, "got AffineMap"),
        (lambda: schatten_norm(variable((2, 3))), TypeError, r"schatten_norm\(p\)\(x"),
        (lambda: sg.ky_fan_norm(variable((2, 3))), TypeError, r"ky_fan_norm\(k\)\(x"),
        (lambda: sg.lambda_sum_largest(variable((2, 2))), TypeError, r"\(k\)\(x\)"),
        (lambda: sg.trend_filtering(variable(3)), TypeError, r"filtering\(\)\(x\)"),
        (lambda: sg.fused_lasso(variable(3), 1), TypeError, r"lasso\(l1, l2\)\(x\)"),
        (lambda: sg.fused_lasso(-1, 1), ValueError, "l1 must be nonnegative"),
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
