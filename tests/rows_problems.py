"""Rows of the test table: sums and compositions over blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
from row import Row

from subgrad import (
    Ball,
    Cone,
    Hull,
    Simplex,
    compose,
    entropy,
    hull_of_union,
    max_entry,
    maximum,
    norm1,
    norm2,
    point,
    relu,
    separable,
    squared_norm,
    variable,
)
from subgrad.calculus.block_compose import BlockComposition, BlockWeighted
from subgrad.calculus.block_sum import BlockProduct, BlockSum

u, x, v = variable(2), variable(3), variable(4)
bend = maximum(-u[0] - u[1], squared_norm(u) - u[0] - u[1] - 1)
chain = BlockSum(bend, 2)(x[[0, 1, 1, 2]])
pairs = [x[[0, 1]], x[[1, 2]]]

FUNCTIONS: list[Row] = [
    Row(
        "block sum of norms",
        BlockSum(norm2, 2, [0.5, 3.0], k=2),
        4,
        [[0, 0, 1, 2]],
        twin=0.5 * norm2(v[:2]) + 3.0 * norm2(v[2:]),
    ),
    Row("block sum of entropies", BlockSum(separable(entropy), 2, k=1), 2, [[0, 0.5]]),
    Row(
        "chained LQ",
        chain,
        3,
        prox=False,
        conjugate=False,
        twin=bend(pairs[0]) + bend(pairs[1]),
    ),
    Row(
        "largest block",
        BlockComposition(max_entry, norm2, 2, k=2),
        4,
        [[3, 4, 5, 0], [0, 0, 0, 0]],
        prox=False,
        conjugate=False,
    ),
    Row(
        "norm of blocks",
        BlockComposition(norm2, compose(relu, norm1(u) - 0.5), 2)(x[[0, 1, 1, 2]]),
        3,
        [[0.5, 0, 0.5], [0.25, 0.25, 0]],
        prox=False,
        conjugate=False,
        twin=compose(norm2, *(compose(relu, norm1(p) - 0.5) for p in pairs)),
    ),
]

tents = Hull(np.array([[[0.0, 0], [1, 0], [0, 1]], [[1.0, 1], [2, 1], [0, 0]]]))
SETS: dict[str, Any] = {
    "product of two hulls": BlockProduct(tents, 2),
    "product of two cones": BlockProduct(Cone([[1.0, 0], [1, 1]]), 2),
    "product of two drops": BlockProduct(
        hull_of_union(Ball(np.zeros((2, 2)), [1.0, 0.5]), point([2.0, 0])), 2
    ),
    "weighted blocks": BlockWeighted(Simplex(2), tents, 2),
}
