r"""Spectral sets and functions in cvxpy, by majorization.

For K convex and invariant to permutations, λ(W) in K iff some x in K majorizes λ(W):

.. math:: \sum_{i \le k} λ_i(W) \le \sum_{i \le k} x_i, \ k < n, \qquad
   tr W = \sum_i x_i, \qquad x_1 \ge \dots \ge x_n

as λ(W) is then a mean of permutations of x; with singular values and changes of sign
the last equation is an inequality too (Ben-Tal and Nemirovski, Lectures on modern
convex optimization, 4.2; Marshall, Olkin and Arnold, Inequalities, 2.B and 4.B).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from subgrad.sets._spectral_blocks import runs
from subgrad.sets.box import Box
from subgrad.sets.hull import CrossPolytope
from subgrad.sets.simplex import CappedSimplex, Simplex


def majorized(W: Any, x: Any) -> list[Any]:
    """The eigenvalues of W are majorized by x, which falls."""
    import cvxpy as cp

    k = x.shape[0]
    sides = [cp.trace(W) == cp.sum(x)]
    for i in range(1, k):
        sides += [cp.lambda_sum_largest(W, i) <= cp.sum(x[:i]), x[i] <= x[i - 1]]
    return sides


def weakly_majorized(W: Any, x: Any) -> list[Any]:
    """The singular values of W are weakly majorized by x >= 0, which falls."""
    import cvxpy as cp

    p, (m, n) = x.shape[0], W.shape
    sides = [cp.normNuc(W) <= cp.sum(x), x[p - 1] >= 0]
    both = cp.bmat([[np.zeros((m, m)), W], [W.T, np.zeros((n, n))]])
    for i in range(1, p):
        largest = cp.sigma_max(W) if i == 1 else cp.lambda_sum_largest(both, i)
        sides += [largest <= cp.sum(x[:i]), x[i] <= x[i - 1]]
    return sides


class Block:
    """One block W of a set, a variable, whose spectrum are the entries first:last."""

    def __init__(self, S: Any, first: int, last: int) -> None:
        import cvxpy as cp

        self.first, self.last, self.square = first, last, S.labels[first] >= 0
        if self.square:
            k = last - first
            U, V = S.U[:, first:last], S.V[:, first:last]
            self.W = cp.Variable((k, k), symmetric=True)
        else:
            U, V = S.U[:, first:], S.V[:, first:]
            self.W = cp.Variable((U.shape[1], V.shape[1]))
        self.matrix = cp.reshape(U @ self.W @ V.T, (S.dim,), order="C")

    def between(self, K: Any, scale: Any) -> list[Any]:
        """The spectrum lies between the ends of K, the same ones in all the block."""
        import cvxpy as cp

        low, up = K.lower[self.first], K.upper[self.first]
        if not self.square:
            return [cp.sigma_max(self.W) <= scale * up]
        eye = np.eye(self.last - self.first)
        if low == up:
            return [self.W == scale * low * eye]
        sides = [] if np.isinf(low) else [self.W - scale * low * eye >> 0]
        return sides if np.isinf(up) else [*sides, scale * up * eye - self.W >> 0]


def _in_box(K: Any, blocks: list[Block], scale: Any) -> list[Any]:
    return [side for b in blocks for side in b.between(K, scale)]


def _in_simplex(K: Any, blocks: list[Block], scale: Any) -> list[Any]:
    import cvxpy as cp

    total = sum(cp.trace(b.W) for b in blocks)
    return [*_in_box(K, blocks, scale), total == scale * K.total]


def _in_cross(K: Any, blocks: list[Block], scale: Any) -> list[Any]:
    import cvxpy as cp

    if len(blocks) == 1 and not blocks[0].square and np.all(K.plus):
        return [cp.normNuc(blocks[0].W) <= scale * float(K.radius)]
    return _in_any(K, blocks, scale)


def _in_any(K: Any, blocks: list[Block], scale: Any) -> list[Any]:
    import cvxpy as cp

    x = cp.Variable(K.dim)
    sides = K.to_cvxpy(x, scale)
    for b in blocks:
        form = majorized if b.square else weakly_majorized
        sides += form(b.W, x[b.first : b.last])
    return sides


FORMS: dict[type, Callable[..., list[Any]]] = {
    Box: _in_box,
    CappedSimplex: _in_simplex,
    Simplex: _in_simplex,
    CrossPolytope: _in_cross,
}


def blocks_in(S: Any, z: Any, scale: Any) -> list[Any]:
    """z in scale S for one SpectralSet with no free space."""
    blocks = [Block(S, i, j) for i, j in runs(S.labels)]
    form = FORMS.get(type(S.K), _in_any)
    return [z == sum(b.matrix for b in blocks), *form(S.K, blocks, scale)]
