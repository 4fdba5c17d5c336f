"""Total variation of matrices and its subgradients, in one pass over the entries."""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad._compiled import compiled


def _sign_loop(X: Any, out: Any, size: Any) -> int:
    """Fills out with subgradients, size (B, n) with values by columns."""
    batch, m, n = X.shape
    for k in range(batch):
        column = size[k]
        for i in range(m):
            above, here = X[k, max(i - 1, 0)], X[k, i]
            below, g = X[k, min(i + 1, m - 1)], out[k, i]
            for j in range(n):
                v, a, b = here[j], above[j], below[j]
                g[j] = (
                    (1.0 if v > a else 0.0)
                    - (1.0 if v < a else 0.0)
                    - (1.0 if b > v else 0.0)
                    + (1.0 if b < v else 0.0)
                )
                column[j] += abs(v - a)
            for j in range(1, n - 1):
                v, a, b = here[j], here[j - 1], here[j + 1]
                g[j] += (
                    (1.0 if v > a else 0.0)
                    - (1.0 if v < a else 0.0)
                    - (1.0 if b > v else 0.0)
                    + (1.0 if b < v else 0.0)
                )
                column[j] += abs(b - v)
            a, b = here[0], here[1]
            column[0] += abs(b - a)
            g[0] -= (1.0 if b > a else 0.0) - (1.0 if b < a else 0.0)
            a, b = here[n - 2], here[n - 1]
            g[n - 1] += (1.0 if b > a else 0.0) - (1.0 if b < a else 0.0)
    return 0


def _direction_loop(X: Any, out: Any, size: Any) -> int:
    """The same; returns how many squares single precision cannot hold."""
    batch, m, n = X.shape
    odd = 0
    right, down = np.zeros(n), np.zeros((2, n))
    for k in range(batch):
        column = size[k]
        down[0] = 0.0
        for i in range(m - 1):
            here, below, g = X[k, i], X[k, i + 1], out[k, i]
            above, now = down[i % 2], down[1 - i % 2]
            for j in range(n - 1):
                a, b = here[j + 1] - here[j], below[j] - here[j]
                r = a * a + b * b
                # 1 / sqrt(r) in single precision, and one step of third order: the
                # last digits for a third of the time of a division and a root.
                q: Any = np.float64(np.float32(1.0) / np.sqrt(np.float32(r)))
                e = 1.0 - r * q * q
                q = q + q * (e * (0.5 + 0.375 * e))
                q = q if r > 0 else 0.0
                odd += (r > 1e36) | ((r < 1e-36) & ((a != 0) | (b != 0)))
                right[j + 1], now[j] = a * q, b * q
                column[j] += r * q
            for j in range(n - 1):
                g[j] = (right[j] - right[j + 1]) + (above[j] - now[j])
            g[n - 1] = right[n - 1]
        out[k, m - 1] = down[(m - 1) % 2]
    return odd


def by_loop(X: Array, isotropic: bool) -> tuple[Array, Array] | None:
    """Values and subgradients of matrices by a loop; None if it does not serve."""
    loop = _direction_loop if isotropic else _sign_loop
    fast = compiled(loop)
    if fast is loop:
        return None
    X = np.require(X, float, ["C", "W"])
    out, size = np.empty(X.shape), np.zeros((len(X), X.shape[-1]))
    return None if fast(X, out, size) else (size.sum(-1), out)
