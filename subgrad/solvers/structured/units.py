r"""Units of the variables in which the columns of the maps are alike.

.. math:: u_j^2 \approx \sum_k \frac{m_k}{|A_k|_F^2} |A_k e_j|^2

over the maps A_k (m_k, n) that are not diagonal. Powers of two, so that nothing is
rounded by a change of units; 1 where the columns differ little, are not known, or are
more than 4096.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad.affine import Diagonal, Operator
from subgrad.solvers.structured.form import matrix

LARGEST = 4096  # variables, beyond which no linear systems are solved with
FAR = 10.0  # times the least, how far apart lengths of columns may be


def squares(op: Operator) -> Array | None:
    """The squares of the lengths of the columns, None where there is no matrix."""
    if isinstance(op, Diagonal):
        return np.broadcast_to(op.w**2, (op.cols,))
    A: Any = matrix(op)
    if A is None:
        return None
    if isinstance(A, np.ndarray):
        return np.einsum("ij,ij->j", A, A)
    A = A.tocoo()
    return np.bincount(A.coords[1], A.data**2, op.cols)


def units(maps: Iterable[Operator], n: int) -> Array:
    """u of shape (n,)."""
    total, ones = np.zeros(n), np.ones(n)
    for op in maps if n <= LARGEST else ():
        if isinstance(op, Diagonal):
            continue
        each = squares(op)
        if each is None or not np.isfinite(each).all():
            return ones
        total += op.rows * each / (each.sum() or 1.0)
    some = total > 0
    if not some.any() or total.max() <= FAR**2 * total[some].min():
        return ones
    # Columns of zeros are in nobody's way.
    u = np.sqrt(np.where(some, total, np.median(total[some])))
    return np.exp2(np.round(np.log2(u)))


def divided(A: Any, u: Array) -> Any:
    """A diag(1 / u) of an array or a sparse array."""
    if np.all(u == 1):
        return A
    if isinstance(A, np.ndarray):
        return A / u
    from scipy.sparse import diags_array

    return (A @ diags_array(1 / u)).tocsr()
