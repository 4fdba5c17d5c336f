"""Functions of eigenvalues and singular values as cvxpy expressions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from subgrad.core import Function
from subgrad.functions.norms import MaxEntry, Norm1, Norm2, NormInf, SumLargest
from subgrad.functions.separable import separable
from subgrad.sets._spectral_cvxpy import majorized, weakly_majorized
from subgrad.univariate.catalog import entropy, inverse, negative_log


def _lambda_max(f: Any, X: Any) -> Any:
    import cvxpy as cp

    return cp.lambda_max(X)


def _sum_largest(f: Any, X: Any) -> Any:
    import cvxpy as cp

    return cp.lambda_sum_largest(X, float(f.k))


def _nuclear(f: Any, X: Any) -> Any:
    import cvxpy as cp

    return cp.normNuc(X)


def _spectral(f: Any, X: Any) -> Any:
    import cvxpy as cp

    return cp.sigma_max(X)


def _frobenius(f: Any, X: Any) -> Any:
    import cvxpy as cp

    return cp.norm(X, "fro")


def _log_det(X: Any) -> Any:
    import cvxpy as cp

    return -cp.log_det(X)


def _tr_inv(X: Any) -> Any:
    import cvxpy as cp

    return cp.tr_inv(X)


def _von_neumann(X: Any) -> Any:
    import cvxpy as cp

    return -cp.von_neumann_entr(cp.symmetric_wrap(X))


BOTH: dict[type, Callable[..., Any]] = {
    Norm1: _nuclear,
    Norm2: _frobenius,
    NormInf: _spectral,
}
SYMMETRIC = BOTH | {MaxEntry: _lambda_max, SumLargest: _sum_largest}
SEPARABLE = [
    (separable(negative_log), _log_det),
    (separable(inverse), _tr_inv),
    (separable(entropy), _von_neumann),
]


def spectral(f: Function, X: Any, *, symmetric: bool, strict: bool) -> Any:
    """f of the spectrum of X."""
    import cvxpy as cp

    value = _of_spectrum(f, (X + X.T) / 2 if symmetric else X, symmetric)
    return value + cp.transforms.indicator([X == X.T]) if strict else value


def _of_spectrum(f: Function, X: Any, symmetric: bool) -> Any:
    import cvxpy as cp

    known = (SYMMETRIC if symmetric else BOTH).get(type(f))
    if known is not None:
        return known(f, X)
    for g, form in SEPARABLE if symmetric else []:
        if f == g:
            return form(X)
    # The least f(x) over x that majorize the spectrum, attained there.
    x = cp.Variable(min(X.shape))
    sides = majorized(X, x) if symmetric else weakly_majorized(X, x)
    return f.to_cvxpy(x) + cp.transforms.indicator(sides)
