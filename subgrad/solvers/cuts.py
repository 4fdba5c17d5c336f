"""The cuts a run keeps, and the linear program that makes a certificate of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from subgrad._check import Array
from subgrad.core import Function, Mask, Set, norm
from subgrad.solvers.certificate import CutCertificate, cut_bound

if TYPE_CHECKING:
    from subgrad.solvers.problem import Problem

Chosen = tuple[Array, Array]  # slots or rows, and what belongs to each
MEMORY = 2**26  # bytes
ENTRIES = 400_000  # of the matrix of the linear program, which takes a second or two


class Cuts:
    """The cuts of a run, at most `capacity` per problem: the later half of that number
    in any case, and of the older ones those with the lowest values.

    A cut that repeats a stored one replaces it: for a piecewise linear function the
    stored ones are different pieces. `limits` are the cuts of the largest constraint
    function, kept in the same way.
    """

    def __init__(
        self, X: Set, C: Set | None, x: Array, capacity: int, limited: bool = False
    ) -> None:
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
        self.limits = Cuts(X, C, x, capacity) if limited else None
        self.infeasible = np.zeros(batch, bool)  # proved so
        # The best of the points where the kept cuts were lowest, and its value.
        self.found, self.found_value = np.array(x), np.full(batch, np.inf)
        self.found_over = np.zeros(batch)  # its violation of the constraints
        self.proof: CutCertificate | None = None  # the best so far
        self.start: Array | None = None  # where the region was derived from

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

    def _stored(self, i: int) -> tuple[Array, Array, Array, Array]:
        """Slots, points, slopes and values of problem i, lowest values first."""
        order = np.argsort(self.values[: self.count[i], i], kind="stable")
        order = order[: max(2, ENTRIES // self.points.shape[-1])]
        order = order[np.isfinite(self.values[order, i])]
        return (
            order,
            self.points[order, i],
            self.slopes[order, i],
            self.values[order, i],
        )

    def _keep(self, i: int, order: Array, w: Array, spare: int) -> tuple[Array, Array]:
        """The n + 2 largest weights, and their slots; the others may be dropped."""
        keep = np.flatnonzero(w > 0)
        keep = keep[np.argsort(-w[keep], kind="stable")][:spare]
        self.active[:, i] = False
        self.active[order[keep], i] = True
        return order[keep], w[keep]

    def _choose(self, i: int) -> tuple[Array, Array, Array, Chosen]:
        """Slots and weights of problem i, the minimiser of its cuts, and the slots and
        weights of the constraint cuts."""
        order, x, g, v = self._stored(i)
        best = x[0]
        errors = np.maximum(v[0] - v - np.vecdot(g, best - x), 0.0)
        X, C = self.X, self.C
        if self.batch:
            index = tuple(int(j) for j in np.unravel_index(i, self.batch))
            X, C = X._item(index), None if C is None else C._item(index)
        b, rows, other = X.box(), None, None
        if self.limits is not None:
            other, y, h, u = self.limits._stored(i)
            rows = h, -u - np.vecdot(h, best - y)
        w, z, mu = cut_weights(errors, g, b.lower - best, b.upper - best, C, best, rows)
        n = x.shape[-1]
        slots, w = self._keep(i, order, w, n + 2)
        z = best + z if C is None else C._project(best + z)
        none: Chosen = (np.zeros(0, int), np.zeros(0))
        if self.limits is not None and other is not None:
            none = self.limits._keep(i, other, mu, n + 2)
        return slots, w / w.sum(), z, none

    def certificate(self, among: Mask | None = None) -> tuple[CutCertificate, Array]:
        """The best average of the kept cuts, one linear program per problem, and the
        points where the kept cuts are lowest."""
        size, n = self.points.shape[1:]
        some = np.ones(size, bool) if among is None else among.reshape(size)
        best, which = self.values.argmin(0), np.arange(size)
        lowest = self.points[best, which]
        chosen: list[Chosen] = [(b, np.ones(1)) for b in best[:, None]]
        added: list[Chosen] = [(np.zeros(0, int), np.zeros(0))] * size
        for i in map(int, np.flatnonzero(some)):
            slot, w, lowest[i], added[i] = self._choose(i)
            chosen[i] = slot, w
        slots, weights = _padded(chosen, best)
        alone = np.zeros_like(weights)
        alone[0] = 1.0
        limits = None if self.limits is None else _padded(added, np.zeros(size, int))
        bound = self._bound(slots, weights, limits)
        single = self._bound(np.tile(best, (len(slots), 1)), alone)
        swap = single > bound
        flat = swap.reshape(size)
        slots = np.where(flat, best, slots)
        weights = np.where(flat, alone, weights)
        extra: tuple[Any, Any] = (None, None)
        if self.limits is not None and limits is not None:
            points = self.limits.points[limits[0], which]
            mu = np.where(flat, 0.0, limits[1])
            k = len(mu)
            extra = points.reshape(k, *self.batch, n), mu.reshape(k, *self.batch)
        proof = CutCertificate(
            self.points[slots, which].reshape(-1, *self.batch, n),
            weights.reshape(-1, *self.batch),
            self.X,
            np.maximum(bound, single)[()],
            *extra,
            self.start,
        )
        return proof, lowest.reshape(*self.batch, n)

    def last(self) -> tuple[CutCertificate, Array]:
        """As `certificate`, but of the certificates so far each problem's best."""
        proof, lowest = self.certificate()
        self.proof = better_of(self.proof, proof)
        return self.proof, lowest

    def review(self, problem: Problem, k: int, some: Mask) -> tuple[Array, Array]:
        """The lower bounds, and the least values seen where the kept cuts were lowest.

        That point is a vertex, where a subgradient hangs on the last bit. Two new cuts
        are taken near it: half-way to the best point, and almost there.
        """
        from subgrad.solvers.state import evaluate

        some = some & self.running
        proof, lowest = self.certificate(some)
        self.proof = better_of(self.proof, proof)
        best = self.points[self.values.argmin(0), np.arange(self.count.size)]
        for share in (0.5, 0.001):
            x = lowest + share * (best.reshape(lowest.shape) - lowest)
            value, g, _, failed = evaluate(problem, x)
            good = some if failed is None else some & ~failed
            self.add(k, x, value, g, good)
            if self.limits is not None and problem.limit is not None:
                self.limits.ask(problem.limit, k, x, good)
        self.calls += 3 * some
        x, value, over = self.value_at(problem, lowest)
        better = some & (value < self.found_value)
        self.found = np.where(better[..., None], x, self.found)
        self.found_over = np.where(better, over, self.found_over)
        self.found_value = np.where(better, value, self.found_value)
        if self.limits is not None:
            never = some & np.isposinf(self.found_value)
            if never.any():
                self.infeasible |= self.limits.proved_above(problem.feasibility, never)
        return np.asarray(proof.lower_bound), self.found_value

    def ask(self, limit: Function, k: int, x: Array, some: Mask) -> Array:
        """Take the cuts of the function of these cuts at x, and give its values."""
        over, h = limit._oracle(x)
        fine = np.isfinite(over) & np.isfinite(h).all(-1)
        self.add(k, x, np.asarray(over), h, some & fine)
        return np.asarray(over)

    def proved_above(self, level: float, some: Mask) -> Mask:
        """Where the function of these cuts is proved > level all over the region."""
        bound = np.asarray(self.certificate(some)[0].lower_bound)
        return some & (bound > level)

    def value_at(self, problem: Problem, x: Array) -> tuple[Array, Array, Array]:
        """A point near x, its value, +inf if it is not feasible, and its violation.

        Where x is not feasible, and a stored point is strictly so, it is the point of
        the segment between them at which convexity shows that no g is above 0.
        """
        if self.limits is None or problem.limit is None:
            value = np.asarray(problem.function._value(x))
            return x, value, np.zeros(value.shape)
        over = self.limits.ask(problem.limit, 0, x, self.running)
        deep = self.limits.values.argmin(0), np.arange(self.count.size)
        depth = self.limits.values[deep].reshape(over.shape)
        inner = self.limits.points[deep].reshape(x.shape)
        cross = (over > 0) & (depth < 0) & np.isfinite(over)
        share = np.where(cross, over, 0.0) / np.where(cross, over - depth, 1.0)
        x = x + share[..., None] * (inner - x)
        value = np.asarray(problem.function._value(x))
        over = problem.violation(x)
        return x, np.where(over <= problem.feasibility, value, np.inf), over

    def _bound(
        self, slots: Array, weights: Array, limits: Chosen | None = None
    ) -> Array:
        which = np.arange(weights.shape[1])

        def parts(c: Cuts, slots: Array, w: Array) -> list[Array]:
            shape, n = (len(w), *self.batch), c.points.shape[-1]
            return [
                c.values[slots, which].reshape(shape),
                c.slopes[slots, which].reshape(*shape, n),
                c.points[slots, which].reshape(*shape, n),
                w.reshape(shape),
            ]

        each = parts(self, slots, weights)
        if limits is not None and self.limits is not None:
            more = parts(self.limits, *limits)
            # A slot that was never filled holds inf, with weight 0.
            more[0] = np.where(np.isfinite(more[0]), more[0], 0.0)
            each = [np.concatenate(pair) for pair in zip(each, more, strict=True)]
        values, g, x, w = each
        raw, blur = cut_bound(self.X, values, g, x, w, len(weights))
        return raw - blur


def better_of(old: CutCertificate | None, new: CutCertificate) -> CutCertificate:
    """For each problem the certificate with the greater bound, of the same run."""
    if old is None or np.all(np.greater_equal(new.lower_bound, old.lower_bound)):
        return new
    better = np.greater(new.lower_bound, old.lower_bound)

    def mixed(w_old: Any, w_new: Any, p_old: Any, p_new: Any) -> tuple[Any, Any]:
        k = max(len(w_old), len(w_new))

        def fill(a: Array, weight: bool) -> Array:
            tail = np.repeat(a[:1], k - len(a), axis=0)
            return np.concatenate([a, 0 * tail if weight else tail])

        w = np.where(better, fill(w_new, True), fill(w_old, True))
        p = np.where(better[..., None], fill(p_new, False), fill(p_old, False))
        return p, w

    points, weights = mixed(old.weights, new.weights, old.points, new.points)
    extra: tuple[Any, Any] = (None, None)
    if new.limit_weights is not None:
        extra = mixed(
            old.limit_weights, new.limit_weights, old.limit_points, new.limit_points
        )
    bound = np.maximum(old.lower_bound, new.lower_bound)[()]
    return CutCertificate(points, weights, new.region, bound, *extra, new.start)


def _padded(chosen: list[Chosen], default: Array) -> Chosen:
    """Slots and weights of every problem as arrays (k, size), padded with weight 0."""
    k = max(1, *(len(w) for _, w in chosen))
    slots, weights = np.tile(default, (k, 1)), np.zeros((k, len(chosen)))
    for i, (slot, w) in enumerate(chosen):
        slots[: len(w), i], weights[: len(w), i] = slot, w
    return slots, weights


def cut_weights(
    errors: Array,
    slopes: Array,
    low: Array,
    high: Array,
    C: Set | None,
    best: Array,
    limits: Chosen | None = None,
) -> tuple[Array, Array, Array]:
    r"""Multipliers and solution z of min max_i <g_i, z> - e_i, a linear program.

    limits = (h, s) ask for <h_j, z> <= s_j as well, with multipliers of their own.

    z is held in low <= z <= high, and in half-spaces around C - best: those that
    projections of best - t g_i show. Any weights make a bound; these are the best where
    X is that polyhedron. Lengths are scaled so that the tolerances of the solver are
    relative to the errors e_i, which become small, and not to the size of X.
    """
    from scipy.optimize import linprog

    k, n = slopes.shape
    first, size = np.zeros(k), norm(slopes)
    first[0] = 1.0
    h, room = (np.zeros((0, n)), np.zeros(0)) if limits is None else limits
    mu, long = np.zeros(len(h)), norm(h)
    if size[0] == 0 and limits is None:
        return first, np.zeros(n), mu
    scale = float(np.median(errors[errors > 0])) if np.any(errors > 0) else 1.0
    length = scale / float(np.median(size[size > 0])) if np.any(size > 0) else scale
    rows = np.hstack([slopes * (length / scale), -np.ones((k, 1))])
    right = errors / scale
    if C is not None:
        y = best - length * slopes / np.where(size > 0, size, 1.0)[:, None]
        p = C._project(y)
        u, depth = (y - p) / length, norm(y - p) / length
        u, p = u[depth > 1e-6], p[depth > 1e-6]
        rows = np.vstack([rows, np.hstack([u, np.zeros((len(u), 1))])])
        right = np.append(right, np.vecdot(u, p - best) / length)
    steep = np.flatnonzero(long > 0)
    sides = h[steep] / long[steep, None]
    rows = np.vstack([rows, np.hstack([sides, np.zeros((len(steep), 1))])])
    right = np.append(right, room[steep] / (long[steep] * length))
    # Now and then the simplex method takes a hundred times the usual number of steps,
    # or gives up. It then may not with wider tolerances, or with half of the cuts.
    for unit in (1.0, 1e3, 1e6):
        ends = np.stack([low, high], -1) / (unit * length)
        result = linprog(
            np.append(np.zeros(n), 1.0),
            A_ub=rows,
            b_ub=right / unit,
            bounds=[*ends, (None, None)],
            method="highs",
            options={"maxiter": 10 * sum(rows.shape)},
        )
        if result.status not in (1, 4):
            break
    if result.status in (1, 4) and k > 1:
        near = np.argsort(errors, kind="stable")[: k // 2]
        w, z, mu = cut_weights(errors[near], slopes[near], low, high, C, best, limits)
        first[0] = 0.0
        first[near] = w
        return first, z, mu
    if result.status != 0 or result.x is None:
        return first, np.zeros(n), mu
    pull = np.maximum(-result.ineqlin.marginals, 0.0)
    w, total = pull[:k], pull[:k].sum()
    if total == 0:
        return first, unit * length * result.x[:n], mu
    mu[steep] = pull[len(pull) - len(steep) :] * scale / (long[steep] * length * total)
    return w / total, unit * length * result.x[:n], mu
