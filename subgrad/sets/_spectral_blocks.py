"""Eigenvalues and singular values of matrices made of blocks, ties up to rounding.

Coordinates 0..p-1 of a frame carry labels. A run of equal labels >= 0 is a symmetric
block; the last run may have the label -1, the rectangular block, to which every row
and column beyond p belongs too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad.core import Mask, Set

# Of the eigenvalues of a computed matrix the last digits are lost: those closer than
# this many units of max(m, n) times the rounding unit count as equal.
BLUR = 8


def rounding(M: Array, v: Array) -> Array:
    """(..., 1): differences of eigenvalues v of M that are rounding."""
    top = np.abs(v).max(-1, keepdims=True)
    top = np.maximum(top, np.abs(M).max((-2, -1))[..., None])
    return BLUR * max(M.shape[-2:]) * np.finfo(v.dtype).eps * top


def symmetric_part(X: Array) -> Array:
    return 0.5 * X + 0.5 * X.mT


def runs(labels: Array) -> list[tuple[int, int]]:
    """First and one-past-last place of every run of equal labels (p,)."""
    cuts = [0, *(np.flatnonzero(labels[1:] != labels[:-1]) + 1).tolist(), len(labels)]
    return list(zip(cuts[:-1], cuts[1:], strict=True))


def _patterns(labels: Array) -> list[tuple[Array, Any]]:
    """The different rows of labels (N, p), and the indices of each."""
    if labels.shape[0] <= 1 or np.all(labels == labels[:1]):
        return [(row, np.arange(len(labels))) for row in labels[:1]]
    rows, where = np.unique(labels, axis=0, return_inverse=True)
    where = where.ravel()
    return [(row, np.flatnonzero(where == i)) for i, row in enumerate(rows)]


def split(M: Array, labels: Array) -> tuple[Array, Array, Array]:
    r"""(v, Q, R) with the blocks of M equal to those of Q diag(v) Rᵀ.

    M (..., a, b), labels (..., p); v (..., p), falling in every block, Q (..., a, p)
    and R (..., b, p) with orthonormal columns that respect the blocks. What M has
    outside of the blocks, or skew in a symmetric one, does not count.
    """
    p = labels.shape[-1]
    a, b = M.shape[-2:]
    lead = np.broadcast_shapes(M.shape[:-2], labels.shape[:-1])
    M = np.broadcast_to(M, (*lead, a, b)).reshape(-1, a, b)
    labels = np.broadcast_to(labels, (*lead, p)).reshape(-1, p)
    v = np.diagonal(M, axis1=-2, axis2=-1)[:, :p].copy()
    Q = np.zeros((len(M), a, p), M.dtype)
    Q[:, np.arange(p), np.arange(p)] = 1
    R = Q if a == b and not np.any(labels < 0) else np.zeros((len(M), b, p), M.dtype)
    R[:, np.arange(p), np.arange(p)] = 1
    for row, rows in _patterns(labels):
        for i, j in runs(row):
            if row[i] < 0:
                u, s, w = np.linalg.svd(M[rows, i:, i:], full_matrices=False)
                v[rows, i:], Q[rows, i:, i:], R[rows, i:, i:] = s, u, w.mT
            elif j > i + 1:
                s, u = np.linalg.eigh(symmetric_part(M[rows, i:j, i:j]))
                v[rows, i:j], Q[rows, i:j, i:j] = s[:, ::-1], u[:, :, ::-1]
                R[rows, i:j, i:j] = u[:, :, ::-1]
    return v.reshape(*lead, p), Q.reshape(*lead, a, p), R.reshape(*lead, b, p)


def blocks(M: Array, labels: Array) -> Array:
    """M without what lies outside of the blocks, or is skew in a symmetric one."""
    p = labels.shape[-1]
    a, b = M.shape[-2:]
    rows = _padded(labels, a)
    cols = _padded(labels, b)
    M = np.where(rows[..., :, None] == cols[..., None, :], M, 0)
    if np.any(labels >= 0):
        M = M.copy()
        square = M[..., :p, :p]
        paired = (labels >= 0)[..., :, None] & (labels >= 0)[..., None, :]
        M[..., :p, :p] = np.where(paired, symmetric_part(square), square)
    return M


def _padded(labels: Array, size: int) -> Array:
    more = np.full((*labels.shape[:-1], size - labels.shape[-1]), -1)
    return np.concatenate([labels, more], -1)


def dimension(labels: Array, m: int, n: int) -> Array:
    """How many dimensions the space of matrices with these blocks has."""
    on = labels >= 0
    same = (labels[..., :, None] == labels[..., None, :]) & on[..., None]
    r = on.sum(-1)
    return (same.sum((-2, -1)) + r) // 2 + (m - r) * (n - r)


def settle(v: Array, labels: Array, tol: Array) -> tuple[Array, Mask]:
    """v with ties and zeros made exact, and (..., p - 1) whether i ties with i + 1.

    Ties of absolute values, in all blocks: sets may see those too.
    """
    order = np.argsort(-np.abs(v), axis=-1, kind="stable")
    size = np.take_along_axis(np.abs(v), order, -1)
    size = np.where(size <= tol, 0, size)
    fresh = np.ones(size.shape, bool)
    fresh[..., 1:] = size[..., :-1] - size[..., 1:] > tol
    first = np.maximum.accumulate(np.where(fresh, np.arange(v.shape[-1]), 0), -1)
    out = np.empty_like(size)
    np.put_along_axis(out, order, np.take_along_axis(size, first, -1), -1)
    v = np.copysign(out, v)
    alike = labels[..., 1:] == labels[..., :-1]
    return v, alike & (v[..., :-1] == v[..., 1:])


def relabel(labels: Array, v: Array, tied: Mask, K: Set) -> Array:
    r"""The blocks of {W : spectrum(W) in K}, K what remains of a symmetric set at v.

    K is invariant to the permutations (and, in the rectangular block, to the changes of
    sign) that leave v alone, and to those it names itself. Where K is constant a
    coordinate needs no block.
    """
    same, even, fixed = K._symmetries()
    alike = (labels[..., 1:] == labels[..., :-1]) & (tied | same[..., :-1])
    link = alike & ~(fixed[..., :-1] | fixed[..., 1:])
    zero = (labels == -1) & ((v == 0) | even) & ~fixed
    zero, link = np.broadcast_arrays(zero, _longer(link))
    # The rectangular block is what links up with the last coordinate.
    tail = zero & (link | (np.arange(v.shape[-1]) == v.shape[-1] - 1))
    tail = np.logical_and.accumulate(tail[..., ::-1], -1)[..., ::-1]
    name = np.cumsum(~np.roll(link, 1, -1), -1)
    return np.where(tail, -1, name)


def _longer(link: Mask) -> Mask:
    """With a last entry: the last coordinate links up with none."""
    return np.concatenate([link, np.zeros((*link.shape[:-1], 1), bool)], -1)


def completed(U: Array) -> Array:
    """The orthonormal columns of U (..., m, p), and m - p more."""
    m, p = U.shape[-2:]
    if p == m:
        return U
    more = np.linalg.qr(U, mode="complete").Q
    return np.concatenate([U, more[..., p:]], -1)


def motion(v: Array, M: Array) -> tuple[Array, Array]:
    r"""Where the eigenvalues v of diag(v) go under t M for small t > 0.

    M (..., n, n) symmetric, v (..., n) falling, ties exact. λ(diag(v) + t M) =
    v + t a + t² b + o(t²), a the eigenvalues of the blocks M_b of equal v, and b those
    of the blocks, of equal a again, of M_b' where

    .. math:: M' = M (v_b I - diag(v))^+ M

    (Kato, Perturbation theory, II.2). Returned are a and s b, s > 0 so small that it
    decides only where a does not.
    """
    labels = _labels(v)
    size = np.abs(M).max((-2, -1))[..., None]
    tol = BLUR * M.shape[-1] * np.finfo(M.dtype).eps * size
    a, Q, _ = split(M, labels)
    a, tied = settle(a, labels, tol)
    gap = v[..., :, None] - v[..., None, :]
    inverse = np.where(gap == 0, 0, 1 / np.where(gap == 0, 1, gap))
    N = Q.mT @ ((M * inverse) @ M) @ Q
    finer = np.concatenate([np.zeros((*tied.shape[:-1], 1), int), ~tied], -1)
    b = split(N, np.cumsum(finer, -1))[0]
    large = np.abs(inverse).max((-2, -1))[..., None] * size**2
    b = np.where(np.abs(b) <= 100 * tol * large / np.where(size > 0, size, 1), 0, b)
    top = np.abs(b).max(-1, keepdims=True)
    s = np.where(np.any(a, -1, keepdims=True), 1e-7 * size, 1)
    return a, s * b / np.where(top > 0, top, 1)


def _labels(v: Array) -> Array:
    cut = np.ones(v.shape, int)
    cut[..., 1:] = v[..., 1:] != v[..., :-1]
    return np.cumsum(cut, -1)


def dilated(D: Array) -> Array:
    """[[0, D], [Dᵀ, 0]], whose eigenvalues are ± the singular values, and zeros."""
    m, n = D.shape[-2:]
    out = np.zeros((*D.shape[:-2], m + n, m + n), D.dtype)
    out[..., :m, m:], out[..., m:, :m] = D, D.mT
    return out


def spectral_motion(
    v: Array, U: Array, V: Array, D: Array, labels: Array
) -> tuple[Array, Array]:
    """Where the spectrum v of U diag(v) Vᵀ, of these blocks, goes under small t D.

    First order and, scaled down, second order, as in `motion`.
    """
    if np.all(labels >= 0):
        p = v.shape[-1]
        M = symmetric_part((U.mT @ D @ V)[..., :p, :p])
        same = labels[..., :, None] == labels[..., None, :]
        return _blockwise(v, np.where(same, M, 0), labels)
    m, n = D.shape[-2:]
    S = dilated(D)
    # The singular values are the first eigenvalues of the dilation, in its frame.
    U, V = completed(U), completed(V)
    p = v.shape[-1]
    lead = np.broadcast_shapes(v.shape[:-1], U.shape[:-2], V.shape[:-2])
    F = np.zeros((*lead, m + n, m + n))
    half = np.sqrt(0.5)
    F[..., :m, :p], F[..., m:, :p] = half * U[..., :p], half * V[..., :p]
    last = np.arange(m + n - 1, m + n - 1 - p, -1)
    F[..., :m, last], F[..., m:, last] = half * U[..., :p], -half * V[..., :p]
    F[..., :m, p:m], F[..., m:, m : m + n - p] = U[..., p:], V[..., p:]
    middle = np.zeros((*v.shape[:-1], m + n - 2 * p))
    w = np.concatenate([v, middle, -v[..., ::-1]], -1)
    a, b = motion(w, F.mT @ S @ F)
    return a[..., :p], b[..., :p]


def _blockwise(v: Array, M: Array, labels: Array) -> tuple[Array, Array]:
    if np.all(labels == labels[..., :1]):
        return motion(v, M)
    # Blocks apart from each other, whatever their eigenvalues.
    shift = 4 * (np.abs(v).max(-1, keepdims=True) + 1) * labels
    return motion(v - shift, M)
