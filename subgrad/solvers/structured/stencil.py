"""Steps of the primal-dual method for total variation of images, in one pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad._compiled import compiled
from subgrad.differences import Difference
from subgrad.functions.norms import GroupNorm, Norm1
from subgrad.operators import Stack
from subgrad.solvers.structured.form import Form
from subgrad.solvers.structured.terms import unscaled


def _loop(
    x: Any, u: Any, v: Any, x0: Any, u0: Any, v0: Any, c: Any, numbers: Any, mixes: Any
) -> None:
    """Steps on x (m, n), u along columns, v along rows, towards x0, u0, v0.

    numbers: τ, σ, 1 / (1 + τ q), the bound, 1 if it is on the length of (u, v), else 0;
    mixes: a, b and d of the new point a (2 T(p) - p) + b p + d p0, for every step.
    """
    m, n = x.shape
    tau, sigma, shrink, bound = numbers[0], numbers[1], numbers[2], numbers[3]
    rows, cols, both = v.shape[0], u.shape[1], numbers[4] > 0
    bars, g = np.empty((2, n)), np.empty(n)
    for step in range(mixes.shape[0]):
        a, b, d = mixes[step, 0], mixes[step, 1], mixes[step, 2]
        for i in range(m + 1):
            now, back = bars[i % 2], bars[1 - i % 2]
            if i < m:
                for j in range(n):
                    g[j] = c[i, j]
                if i > 0:
                    for j in range(cols):
                        g[j] += u[i - 1, j]
                if i < m - 1:
                    for j in range(cols):
                        g[j] -= u[i, j]
                if i < rows:
                    for j in range(n - 1):
                        g[j] -= v[i, j]
                    for j in range(1, n):
                        g[j] += v[i, j - 1]
                for j in range(n):
                    old = x[i, j]
                    now[j] = 2 * (old - tau * g[j]) * shrink - old
                    x[i, j] = a * now[j] + b * old + d * x0[i, j]
            # Of the row above nothing old is needed any more.
            k = i - 1
            if both and 0 <= k < rows:
                for j in range(n - 1):
                    one, two = u[k, j], v[k, j]
                    p = one + sigma * (now[j] - back[j])
                    q = two + sigma * (back[j + 1] - back[j])
                    size = np.sqrt(p * p + q * q)
                    t = bound / max(size, bound)
                    u[k, j] = a * (2 * t * p - one) + b * one + d * u0[k, j]
                    v[k, j] = a * (2 * t * q - two) + b * two + d * v0[k, j]
            elif k >= 0 and not both:
                if i < m:
                    for j in range(n):
                        one = u[k, j]
                        p = one + sigma * (now[j] - back[j])
                        p = min(max(p, -bound), bound)
                        u[k, j] = a * (2 * p - one) + b * one + d * u0[k, j]
                for j in range(n - 1):
                    two = v[k, j]
                    q = two + sigma * (back[j + 1] - back[j])
                    q = min(max(q, -bound), bound)
                    v[k, j] = a * (2 * q - two) + b * two + d * v0[k, j]


LARGE = 4096  # entries from which on it is worth compiling
Steps = Callable[[Array, Array, Array, Array, float, float, Array], None]


def stencil(form: Form) -> Steps | None:
    """(x, y, x0, y0, τ, σ, mixes) -> x and y after the steps, changed in place.

    None where the form is not 0.5 q |x|² + <c, x> and a total variation of a large
    image, or numba is missing.
    """
    found = _image(form) if form.n > LARGE else None
    if found is None or (fast := compiled(_loop)) is _loop:
        return None
    shape, outs, bound, both = found
    q, c = float(form.q[0]), np.ascontiguousarray(form.c.reshape(shape))
    cut = outs[0][0] * outs[0][1]

    def parts(y: Array) -> tuple[Array, Array]:
        return y[:cut].reshape(outs[0]), y[cut:].reshape(outs[1])

    def run(
        x: Array, y: Array, x0: Array, y0: Array, tau: float, sigma: float, mixes: Array
    ) -> None:
        numbers = np.array([tau, sigma, 1 / (1 + tau * q), bound, both])
        fast(x.reshape(shape), *parts(y), x0.reshape(shape), *parts(y0), c, numbers,
             mixes)  # fmt: skip

    return run


def _image(form: Form) -> tuple[Any, list[Any], float, float] | None:
    """The shape, those of the differences, the bound, and whether on their lengths."""
    if len(form.blocks) != 1 or form.b.any() or np.any(form.q != form.q[0]):
        return None
    op = form.blocks[0].op
    if not isinstance(op, Stack) or len(op.ops) != 2:
        return None
    if not all(isinstance(d, Difference) and d.order == 1 for d in op.ops):
        return None
    down, along = op.ops
    if down.shape != along.shape or (down.axis, along.axis) != (0, 1):  # type: ignore[attr-defined]
        return None
    shape = down.shape  # type: ignore[attr-defined]
    outs = [d.out for d in op.ops]  # type: ignore[attr-defined]
    a, h = unscaled(form.blocks[0].h)
    if len(shape) != 2:
        return None
    if isinstance(h, Norm1):
        full = outs == [(shape[0] - 1, shape[1]), (shape[0], shape[1] - 1)]
        return (shape, outs, a, 0.0) if full else None
    if isinstance(h, GroupNorm) and outs[0] == outs[1]:
        labels, w = h.groups.labels, a * h.weights
        pairs = np.array_equal(labels, np.tile(np.arange(op.ops[0].rows), 2))
        if pairs and w.ndim == 1 and np.all(w == w[0]):
            return shape, outs, float(w[0]), 1.0
    return None
