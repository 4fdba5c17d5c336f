"""Least eigenvalues, from below."""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array

POWER = 4
EPS = float(np.finfo(np.float64).eps)


def least_eigenvalue(G: Array) -> float:
    """A lower bound on that of G, at least half of it, or 0.

    G - λ I has a Cholesky factor, up to rounding, if and only if λ is one (S. M. Rump,
    Verification of positive definiteness, BIT 46, 2006).
    """
    from scipy.linalg import LinAlgError, cho_factor, cho_solve

    size = float(np.trace(G))
    if not size > 0:
        return 0.0
    try:
        factor = cho_factor(G / size)
        v = np.random.default_rng(0).standard_normal(len(G))
        for _ in range(POWER):
            v = cho_solve(factor, v / np.linalg.norm(v))
        least = 0.5 / float(np.linalg.norm(v))
        cho_factor(G / size - least * np.eye(len(G)))
    except LinAlgError:
        return 0.0
    return size * least


def least_of_sparse(G: Any) -> float:
    """A lower bound on the least eigenvalue of a symmetric G, about half of it, or 0.

    L D Lᵀ with D >= 0 has none below 0: G has none below λ less the size of what G - λ
    I and L D Lᵀ are apart, at most the largest sum of a row.
    """
    from scipy.sparse import csc_array, eye_array
    from scipy.sparse.linalg import splu

    n, size = G.shape[0], float(G.trace())
    if not 0 < size < np.inf:
        return 0.0
    G, one = csc_array(G) / size, eye_array(n, format="csc")
    how: Any = {"permc_spec": "MMD_AT_PLUS_A"}
    how["options"] = {"SymmetricMode": True, "DiagPivotThresh": 0.0}
    try:
        lu, v = splu(G, **how), np.random.default_rng(0).standard_normal(n)
        for _ in range(POWER):
            v = lu.solve(v / np.linalg.norm(v))
        least = 0.5 / float(np.linalg.norm(v))
        H = csc_array(G - least * one)
        lu = splu(H, **how)
    except RuntimeError:  # it is singular
        return 0.0
    d = lu.U.diagonal()
    if not (np.array_equal(lu.perm_r, lu.perm_c) and np.all(d > 0)):
        return 0.0
    order = np.argsort(lu.perm_c)
    L = csc_array(lu.L)
    product = (L * d) @ L.T
    apart = float(abs(H[order][:, order] - product).sum(1).max())
    # The sums are wrong by less.
    blur = 4 * (n + 4) * EPS * (1 + float(product.trace()))
    return size * max(least - apart - blur, 0.0)
