r"""Points on linear equations, near one that is close to them."""

from __future__ import annotations

import numpy as np

from subgrad._check import Array

TINY = 1e-13


def on_equations(A: Array, b: Array, x: Array) -> Array | None:
    r"""u with A u = b to rounding and few entries far from those of x, or None.

    .. math:: \min_u \ \sum_j \frac{(u_j - x_j)^2}{w_j^2} \quad A u = b

    with w = |x|, so that entries that are zero stay zero, if the others can do it; else
    all of them are moved, w = |x| + max |x| / 1000.
    """
    if _fits(A, b, x):
        return x
    for weights in (np.abs(x), np.abs(x) + 1e-3 * np.abs(x).max(initial=1.0)):
        on = np.flatnonzero(weights)
        C = A[:, on] if len(on) < len(x) else A
        found = _moved(C, b, x[on], weights[on])
        if found is not None:
            u = np.zeros_like(x)
            u[on] = found
            return u
    return None


def _fits(A: Array, b: Array, u: Array) -> bool:
    size = np.abs(A) @ np.abs(u) + np.abs(b)
    return bool(np.all(np.abs(A @ u - b) <= TINY * size.max(initial=0.0)))


def _moved(A: Array, b: Array, x: Array, weights: Array) -> Array | None:
    from scipy.linalg import lapack

    B, u = A * weights, x
    few = B.shape[1] < B.shape[0]
    G = B.T @ B if few else B @ B.T
    G[np.diag_indices(len(G))] += 1e-14 * np.trace(G)
    L, info = lapack.dpotrf(G, lower=1)
    if info or not len(G):
        return None
    for _ in range(4):
        r = b - A @ u
        step = lapack.dpotrs(L, B.T @ r if few else r, lower=1)[0]
        u = u + weights * (step if few else B.T @ step)
        if _fits(A, b, u):
            return np.asarray(u)
    return None
