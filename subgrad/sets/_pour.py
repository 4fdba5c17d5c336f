"""The threshold at which what exceeds it sums to a given number."""

from __future__ import annotations

import numpy as np

from subgrad._check import Array
from subgrad.core import Mask

ROUNDS = 40  # of a method that needs few of them, before a sort decides


def pour(z: Array, slack: Array) -> tuple[Array, Array, Array]:
    r"""max(z - theta, 0) with its sum at `slack`, for every row of z (m, n).

    The flat places of the entries above theta, what they have of it, and a lower bound
    on theta that is its value up to rounding. theta is at least max z - slack, and at
    least the threshold of any part of the row; from there it grows as entries below
    the mean excess are dropped (Michelot 1986). Entries of -inf count for nothing.
    """
    m, n = z.shape
    top = z.max(-1)
    top = np.where(np.isfinite(top), top, 0.0)
    small = 4 * np.finfo(z.dtype).eps * slack  # rounding, which is 0
    bound = top - slack
    if n > 256:
        bound = np.maximum(bound, pour(z[:, ::16], slack)[2])
    margin = 2 * (small + np.finfo(z.dtype).eps * np.abs(top))
    at = np.flatnonzero(z >= bound[:, None])
    for _ in range(8):
        if 8 * at.size < z.size:
            break
        # The same rounds without a list, which costs more than a few whole passes.
        over = np.maximum(z - bound[:, None], 0)
        count = np.maximum(np.count_nonzero(over, axis=-1), 1)
        bound = bound + np.maximum((over.sum(-1) - slack) / count - margin, 0)
        before, at = at.size, np.flatnonzero(z >= bound[:, None])
        if at.size > 0.9 * before:
            break
    row = at // n
    # Heights below the top are exact near it, so the sums are right at any scale.
    v = z[row, at - n * row] - top[row]
    for k in range(ROUNDS):
        count = np.maximum(np.bincount(row, minlength=m), 1)
        theta = (np.bincount(row, v, m) - slack) / count
        stay = v > (theta + small)[row]
        if np.all(stay):
            break
        if k == ROUNDS - 2:
            stay = _above(v, row, slack)
        at, row, v = at[stay], row[stay], v[stay]
    p = v - theta[row]
    p = p + ((slack - np.bincount(row, p, m)) / count)[row]
    return at, np.maximum(p, 0.0), top + theta - margin


def _above(v: Array, row: Array, slack: Array) -> Mask:
    """Which entries exceed the threshold of their row, by sorting."""
    order = np.lexsort((-v, row))
    v, row = v[order], row[order]
    first = np.searchsorted(row, np.arange(len(slack)))
    total = np.cumsum(v)
    total = total - np.concatenate([[0.0], total])[first][row]
    stay = np.empty(len(v), bool)
    stay[order] = v * (np.arange(len(v)) - first[row] + 1) > total - slack[row]
    return stay
