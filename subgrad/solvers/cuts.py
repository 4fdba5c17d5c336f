"""The cuts a run keeps, and the linear program that makes a certificate of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from subgrad._check import Array
from subgrad.core import Mask, Set, norm
from subgrad.solvers.certificate import CutCertificate, cut_bound

if TYPE_CHECKING:
    from subgrad.solvers.problem import Problem

MEMORY = 2**26  # bytes
ENTRIES = 400_000  # of the matrix of the linear program, which takes a second or two


class Cuts:
    """The cuts of a run, at most `capacity` per problem: the later half of that number
    in any case, and of the older ones those with the lowest values.

    A cut that repeats a stored one replaces it: for a piecewise linear function the
    stored ones are different pieces.
    """

    def __init__(self, X: Set, C: Set | None, x: Array, capacity: int) -> None:
        *batch, n = x.shape
        size = int(np.prod(batch))
        capacity = max(2, min(capacity, MEMORY // (16 * size * n)))
        self.X, self.C, self.batch = X, C, tuple(batch)
        self.points = np.zeros((capacity, size, n), x.dtype)
        self.slopes = np.zeros_like(self.points)
        self.values = np.full((capacity, size), np.inf)
        self.stamps = np.zeros((capacity, size), np.int64)
        # Two numbers by which a cut is told from others: its value at the origin and
        # its slope along a fixed direction.
        self.heights = np.full((capacity, size), np.nan)
        self.marks = np.full((capacity, size), np.nan)
        self.direction = np.random.default_rng(0).standard_normal(n)
        # The cuts that carried the last certificate stay until the next one.
        self.active = np.zeros((capacity, size), bool)
        self.count = np.zeros(size, int)
        self.running = np.ones(batch, bool)
        self.calls = np.zeros(batch, int)  # of the oracle, made here

    def add(self, k: int, x: Array, value: Array, g: Array, some: Mask) -> None:
        """Take the cuts at x, of some of the problems, in iteration k."""
        capacity, size, n = self.points.shape
        x, g, value = x.reshape(size, n), g.reshape(size, n), value.reshape(size)
        inner, mark = np.vecdot(g, x), g @ self.direction
        height = value - inner
        tol = 8 * np.finfo(g.dtype).eps
        same = np.abs(self.heights - height) <= tol * (np.abs(value) + np.abs(inner))
        same &= np.abs(self.marks - mark) <= tol * np.abs(mark)
        old = self.stamps <= k - capacity // 2
        old = np.where(old & ~self.active, self.values, -np.inf)
        slot = np.where(self.count < capacity, self.count, old.argmax(0))
        slot = np.where(same.any(0), same.argmax(0), slot)
        which = np.flatnonzero(some.reshape(size))
        slot = slot[which]
        # An interruption in the middle leaves a slot without value, which is skipped.
        self.values[slot, which] = np.inf
        self.points[slot, which] = x[which]
        self.slopes[slot, which] = g[which]
        self.heights[slot, which] = height[which]
        self.marks[slot, which] = mark[which]
        self.stamps[slot, which] = k
        self.values[slot, which] = value[which]
        self.count[which] = np.maximum(self.count[which], slot + 1)

    def _choose(self, i: int) -> tuple[Array, Array, Array]:
        """Slots and weights of problem i, and the minimiser of its cuts."""
        order = np.argsort(self.values[: self.count[i], i], kind="stable")
        order = order[: max(2, ENTRIES // self.points.shape[-1])]
        order = order[np.isfinite(self.values[order, i])]
        x, g = self.points[order, i], self.slopes[order, i]
        v, best = self.values[order, i], x[0]
        errors = np.maximum(v[0] - v - np.vecdot(g, best - x), 0.0)
        X, C = self.X, self.C
        if self.batch:
            index = tuple(int(j) for j in np.unravel_index(i, self.batch))
            X, C = X._item(index), None if C is None else C._item(index)
        b = X.box()
        w, z = cut_weights(errors, g, b.lower - best, b.upper - best, C, best)
        keep = np.flatnonzero(w > 0)
        keep = keep[np.argsort(-w[keep], kind="stable")][: x.shape[-1] + 2]
        self.active[:, i] = False
        self.active[order[keep], i] = True
        z = best + z if C is None else C._project(best + z)
        return order[keep], w[keep] / w[keep].sum(), z

    def certificate(self, among: Mask | None = None) -> tuple[CutCertificate, Array]:
        """The best average of the kept cuts, one linear program per problem, and the
        points where the kept cuts are lowest."""
        size, n = self.points.shape[1:]
        some = np.ones(size, bool) if among is None else among.reshape(size)
        best, which = self.values.argmin(0), np.arange(size)
        lowest = self.points[best, which]
        chosen: list[tuple[Array, Array]] = [(b, np.ones(1)) for b in best[:, None]]
        for i in map(int, np.flatnonzero(some)):
            slot, w, lowest[i] = self._choose(i)
            chosen[i] = slot, w
        k = max(len(w) for _, w in chosen)
        slots, weights = np.tile(best, (k, 1)), np.zeros((k, size))
        for i, (slot, w) in enumerate(chosen):
            slots[: len(w), i], weights[: len(w), i] = slot, w
        alone = np.zeros((k, size))
        alone[0] = 1.0
        bound = self._bound(slots, weights)
        single = self._bound(np.tile(best, (k, 1)), alone)
        swap = single > bound
        slots = np.where(swap.reshape(size), best, slots)
        weights = np.where(swap.reshape(size), alone, weights)
        proof = CutCertificate(
            self.points[slots, which].reshape(k, *self.batch, n),
            weights.reshape(k, *self.batch),
            self.X,
            np.maximum(bound, single)[()],
        )
        return proof, lowest.reshape(*self.batch, n)

    def review(self, problem: Problem, k: int, some: Mask) -> tuple[Array, Array]:
        """The lower bounds, and the values where the kept cuts are lowest.

        That point is a vertex, where a subgradient hangs on the last bit. Two new cuts
        are taken near it: half-way to the best point, and almost there.
        """
        from subgrad.solvers.core import evaluate

        some = some & self.running
        proof, lowest = self.certificate(some)
        best = self.points[self.values.argmin(0), np.arange(self.count.size)]
        for share in (0.5, 0.001):
            x = lowest + share * (best.reshape(lowest.shape) - lowest)
            value, g, _, failed = evaluate(problem, x)
            self.add(k, x, value, g, some if failed is None else some & ~failed)
        self.calls += 3 * some
        return np.asarray(proof.lower_bound), problem.function._value(lowest)

    def _bound(self, slots: Array, weights: Array) -> Array:
        which, shape = np.arange(weights.shape[1]), (len(weights), *self.batch)
        raw, blur = cut_bound(
            self.X,
            self.values[slots, which].reshape(shape),
            self.slopes[slots, which].reshape(*shape, -1),
            self.points[slots, which].reshape(*shape, -1),
            weights.reshape(shape),
        )
        return raw - blur


def cut_weights(
    errors: Array, slopes: Array, low: Array, high: Array, C: Set | None, best: Array
) -> tuple[Array, Array]:
    r"""Multipliers and solution z of min max_i <g_i, z> - e_i, a linear program.

    z is held in low <= z <= high, and in half-spaces around C - best: those that
    projections of best - t g_i show. Any weights make a bound; these are the best where
    X is that polyhedron. Lengths are scaled so that the tolerances of the solver are
    relative to the errors e_i, which become small, and not to the size of X.
    """
    from scipy.optimize import linprog

    k, n = slopes.shape
    first, size = np.zeros(k), norm(slopes)
    first[0] = 1.0
    if size[0] == 0:
        return first, np.zeros(n)
    scale = float(np.median(errors[errors > 0])) if np.any(errors > 0) else 1.0
    length = scale / float(np.median(size))
    rows = np.hstack([slopes * (length / scale), -np.ones((k, 1))])
    right = errors / scale
    if C is not None:
        y = best - length * slopes / np.where(size > 0, size, 1.0)[:, None]
        p = C._project(y)
        u, depth = (y - p) / length, norm(y - p) / length
        u, p = u[depth > 1e-6], p[depth > 1e-6]
        rows = np.vstack([rows, np.hstack([u, np.zeros((len(u), 1))])])
        right = np.append(right, np.vecdot(u, p - best) / length)
    result = linprog(
        np.append(np.zeros(n), 1.0),
        A_ub=rows,
        b_ub=right,
        bounds=[*(np.stack([low, high], -1) / length), (None, None)],
        method="highs",
    )
    if result.status != 0 or result.x is None:
        return first, np.zeros(n)
    w = np.maximum(-result.ineqlin.marginals[:k], 0.0)
    return (w / w.sum() if w.sum() > 0 else first), length * result.x[:n]
