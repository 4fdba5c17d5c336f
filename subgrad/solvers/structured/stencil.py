"""Steps of the primal-dual method for total variation of images, in one pass."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad._compiled import compiled
from subgrad.differences import Difference
from subgrad.functions.norms import GroupNorm, Norm1
from subgrad.operators import Operator, Stack
from subgrad.solvers.structured.form import Form
from subgrad.solvers.structured.terms import unscaled

LARGE = 4096  # entries from which on it is worth compiling
TILE = 8  # rows that a step is done on before the next step follows
EPS = float(np.finfo(np.float64).eps)
Pair = tuple[Array, Array]


def _loop(
    x: Any, u: Any, v: Any, x0: Any, u0: Any, v0: Any, c: Any, numbers: Any, mixes: Any
) -> None:
    """Steps on x (m, n), u along columns, v along rows, towards x0, u0, v0.

    numbers: τ, σ, 1 / (1 + τ q), the bound, 1 if it is on the length of (u, v), else 0;
    mixes: a, b and d of the new point a T(p) + b p + d p0, for every step.
    """
    m, n = x.shape
    tau, sigma, shrink, bound = numbers[0], numbers[1], numbers[2], numbers[3]
    rows, cols, both = v.shape[0], u.shape[1], numbers[4] > 0
    steps = mixes.shape[0]
    bars, g = np.empty((steps, 2, n)), np.empty(n)
    # A step of a row needs the step before of the next row: steps go on together, each
    # a row behind the one before, while the rows are in the cache.
    for front in range(0, m + steps, TILE):
        for step in range(steps):
            a, b, d = mixes[step, 0], mixes[step, 1], mixes[step, 2]
            for i in range(max(0, front - step), min(m + 1, front + TILE - step)):
                now, back = bars[step, i % 2], bars[step, 1 - i % 2]
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
                        p = (old - tau * g[j]) * shrink
                        now[j] = 2 * p - old
                        x[i, j] = a * p + b * old + d * x0[i, j]
                # Of the row above nothing old is needed any more.
                k = i - 1
                if both and 0 <= k < rows:
                    for j in range(n - 1):
                        one, two = u[k, j], v[k, j]
                        p = one + sigma * (now[j] - back[j])
                        q = two + sigma * (back[j + 1] - back[j])
                        size = np.sqrt(p * p + q * q)
                        t = bound / max(size, bound)
                        u[k, j] = a * (t * p) + b * one + d * u0[k, j]
                        v[k, j] = a * (t * q) + b * two + d * v0[k, j]
                elif k >= 0 and not both:
                    if i < m:
                        for j in range(n):
                            one = u[k, j]
                            p = one + sigma * (now[j] - back[j])
                            p = min(max(p, -bound), bound)
                            u[k, j] = a * p + b * one + d * u0[k, j]
                    for j in range(n - 1):
                        two = v[k, j]
                        q = two + sigma * (back[j + 1] - back[j])
                        q = min(max(q, -bound), bound)
                        v[k, j] = a * q + b * two + d * v0[k, j]


def _sums(x: Any, u: Any, v: Any, out: Any) -> None:
    """<(u, v), D x> and |D x|², in columns of `out` (2, n)."""
    for i in range(u.shape[0]):
        for j in range(u.shape[1]):
            d = x[i + 1, j] - x[i, j]
            out[0, j] += u[i, j] * d
            out[1, j] += d * d
    for i in range(v.shape[0]):
        for j in range(v.shape[1]):
            d = x[i, j + 1] - x[i, j]
            out[0, j] += v[i, j] * d
            out[1, j] += d * d


class Stencil:
    """The steps of one form, x and y as vectors."""

    def __init__(self, form: Form, found: tuple[Any, list[Any], float, float]) -> None:
        self.shape, self.outs, self.bound, self.both = found
        self.q = float(form.q[0])
        self.c = np.ascontiguousarray(form.c.reshape(self.shape))
        self.cut = self.outs[0][0] * self.outs[0][1]

    def _parts(self, x: Array, y: Array) -> tuple[Array, Array, Array]:
        u, v = y[: self.cut], y[self.cut :]
        return x.reshape(self.shape), u.reshape(self.outs[0]), v.reshape(self.outs[1])

    def advance(
        self, p: Pair, p0: Pair, tau: float, sigma: float, mixes: Array
    ) -> None:
        """p = (x, y) after the steps, in place."""
        # Rounding leaves lengths within the bound itself.
        bound = self.bound * (1 - 4 * EPS) if self.both else self.bound
        numbers = tau, sigma, 1 / (1 + tau * self.q), bound, self.both
        compiled(_loop)(
            *self._parts(*p), *self._parts(*p0), self.c, np.array(numbers), mixes
        )

    def sums(self, x: Array, y: Array) -> tuple[float, float]:
        """<y, D x> and |D x|²."""
        out = np.zeros((2, self.shape[1]))
        compiled(_sums)(*self._parts(x, y), out)
        return float(out[0].sum()), float(out[1].sum())


def apart(op: Operator) -> int:
    """How far apart the entries of a row of differences lie, 0 of other maps."""
    if isinstance(op, Stack):
        return max(map(apart, op.ops))
    if not isinstance(op, Difference):
        return 0
    return op.order * math.prod(op.shape[op.axis + 1 :])


def stencil(form: Form) -> Stencil | None:
    """The steps, where they fit.

    None where the form is not 0.5 q |x|² + <c, x> and a total variation of a large
    image, or numba is missing.
    """
    found = _image(form) if form.n > LARGE else None
    if found is None or compiled(_loop) is _loop:
        return None
    return Stencil(form, found)


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
        w = a * h.weights
        if h.groups.times == 2 and w.ndim == 1 and np.all(w == w[0]) and w[0] > 0:
            return shape, outs, float(w[0]), 1.0
    return None
