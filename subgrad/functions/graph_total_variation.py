r"""Total variation on a graph: how much numbers at its nodes differ along its edges."""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import nonnegative
from subgrad.differences import edge_differences
from subgrad.functions.norms import norm1
from subgrad.functions.total_variation import _norm_of, _Variation
from subgrad.operators import Diagonal, chain


class GraphTotalVariation(_Variation):
    r"""f(x) = sum_e w_e |x_i - x_j| over the edges e = (i, j) of a graph of n nodes.

    edges: integers of shape (m, 2), from 0; repeated ones add up, a loop adds nothing.
    weights w >= 0 of shape (..., m), by default 1. n by default the largest number of
    a node and one. On a path it is the total variation of a vector.
    """

    def __init__(self, edges: Any, weights: Any = 1.0, n: Any = None) -> None:
        op = edge_differences(edges, n)
        self.edges = np.array(edges, dtype=np.int64)
        w = nonnegative("weights", weights)
        if w.ndim and w.shape[-1] != op.rows:
            raise ValueError(f"weights must have shape (..., {op.rows}), got {w.shape}")
        self.weights = np.broadcast_to(w, np.broadcast_shapes(w.shape, (op.rows,)))
        plain = w.ndim == 0 and w == 1
        super().__init__(
            _norm_of(norm1, op if plain else chain(Diagonal(w, op.rows), op))
        )

    def _key(self) -> tuple[Any, ...]:
        return (self.edges, self.weights)


def graph_total_variation(
    edges: Any, weights: Any = 1.0, n: Any = None
) -> GraphTotalVariation:
    """sum_e w_e |x_i - x_j| over the edges e = (i, j) of a graph."""
    return GraphTotalVariation(edges, weights, n)
