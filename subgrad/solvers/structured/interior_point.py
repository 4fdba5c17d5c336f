r"""An interior-point method for atoms whose multipliers lie in boxes.

One problem that is a `Form`, with sparse or dense maps; or a batch of plain arrays,
each with its own step lengths, until it is certified. The steps are in `central_path`.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from subgrad._check import Array, real
from subgrad.solvers.structured.boxes import Boxes
from subgrad.solvers.structured.central_path import Path, thin
from subgrad.solvers.structured.form import Form
from subgrad.solvers.structured.lifts import Lifted, lift_form, split
from subgrad.solvers.structured.normal import Dense, Repeated, normal
from subgrad.solvers.structured.orthogonal import orthogonal
from subgrad.solvers.structured.reach import distance

EPS = float(np.finfo(np.float64).eps)
ULPS = 8
TOGETHER = 250_000  # numbers in the matrices of a batch, or in its b
FIRST = 3  # steps before anything is looked at
SOFT = 1e-12  # of 1 over the weight of equations is left


def reach(
    A: Any, gap: Array, r: Array, z: Array, y: Array, p: Array, ends: Array
) -> Array:
    """How far minimisers can be from x, by `distance` with W what the boxes leave.

    z = A x + b, `gap` the value at x less the bound with multipliers y there, r the
    size of what is left of the slope; t = p y, l = max p W² / 2.
    """
    W = np.minimum(y - ends[0], ends[1] - y)
    room = np.abs(gap) + np.abs(y * (z - p * y / 2)).sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        W = np.maximum(np.fmin(W, np.sqrt(room[..., None] / p)), 0.0)
    W = np.where(np.isfinite(W), W, 1.0)
    spread = np.linalg.norm(W * (z - p * y), axis=-1) + (p * W * W).max(-1) / 2
    return distance(A.gram(W * W), y.shape[-1], gap + spread, r)


def lower_bounds(path: Path, value: Array, some: Any) -> Array:
    """The lower bounds of these problems of a batch; `value` at x, of all."""
    A, value, ends = path.system.keep(some), value[some], path.ends[:, some]
    x, y, q, c, b, p = (
        getattr(path, name)[some] for name in ("x", "y", "q", "c", "b", "p")
    )
    with np.errstate(all="ignore"):
        y = np.minimum(np.maximum(y, ends[0]), ends[1])
        r = q * x + c + A.adjoint(y)
        # What r is wrong by, from the sums that it is made of.
        blur = ULPS * EPS * (np.abs(q * x) + np.abs(c) + A.sizes(y))
        parts = b * y, -p * y * y / 2, -q * x * x / 2, r * x
        total = sum(a.sum(-1) for a in parts)
        loss = sum(np.abs(a).sum(-1) for a in parts)
        loss = ULPS * EPS * loss + np.vecdot(blur, np.abs(x))
        flat, size = q == 0, np.abs(r) + blur
        loss += np.where(flat, 0.0, size * size / (2 * q)).sum(-1)
        far = np.linalg.norm(np.where(flat, size, 0.0), axis=-1)
        if np.any(far > 0):
            open_ = _some(far > 0)
            z = A.forward(x) + b
            near = reach(
                A.keep(open_),
                # No less than 0: x may lie outside of a set by rounding.
                np.maximum(value[open_] - total[open_], 0.0),
                np.linalg.norm(size[open_], axis=-1),
                z[open_],
                y[open_],
                p[open_],
                ends[:, open_],
            )
            loss[open_] += far[open_] * near
        bound = total - loss
    return np.where(np.isnan(bound), -np.inf, bound)


class Boxed(NamedTuple):
    """x (..., n), y (..., m), the value at x and a lower bound on all values (...)."""

    x: Array
    y: Array
    value: Array
    lower: Array


def _some(mask: Array) -> Any:
    """An index of these; of all without a copy."""
    return slice(None) if mask.all() else np.flatnonzero(mask)


def box_dual(
    q: Any,
    c: Any,
    A: Any,
    b: Any,
    low: Any,
    high: Any,
    p: Any = 0.0,
    *,
    gap: float = 1e-6,
    steps: int = 60,
) -> Boxed:
    r"""Minimisers of the formula above, for a batch of data along the leading axes.

    A (..., m, n); q, c (..., n) and b, low, high, p (..., m), or what broadcasts to
    these. Each is solved until value - lower <= gap max(1, |value|), or for so many
    steps; lower is -inf where no bound is found. With r = q x + c + Aᵀ y it is

    .. math:: \langle b, y \rangle - \tfrac12 \langle p y, y \rangle
       - \tfrac12 \langle q x, x \rangle + \langle r, x \rangle
       - \sum_{q_j > 0} \frac{r_j^2}{2 q_j}
       - u \Big( \sum_{q_j = 0} r_j^2 \Big)^{1/2},

    u the distance within which minimisers lie: see `reach`.
    """
    A = real("A", A)
    if A.ndim < 2:
        raise ValueError(f"A must have shape (..., m, n), got {A.shape}")
    m, n = A.shape[-2:]
    given = (("q", q, n), ("c", c, n), ("b", b, m), ("p", p, m))
    data = {name: (real(name, a), k) for name, a, k in given}
    for name, a in (("low", low), ("high", high)):
        data[name] = real(name, a, infinite=True), m
    lead = np.broadcast_shapes(A.shape[:-2], *(a.shape[:-1] for a, _ in data.values()))
    count = math.prod(lead)

    def flat(a: Array, *core: int) -> Array:
        return np.broadcast_to(a, (*lead, *core)).reshape(count, *core)

    each = {name: flat(a, k) for name, (a, k) in data.items()}
    if np.any(each["low"] > each["high"]):
        raise ValueError("low must not be above high")
    if min(each["q"].min(initial=0.0), each["p"].min(initial=0.0)) < 0:
        raise ValueError("q and p must be nonnegative: the problem is not convex")
    if A.ndim > 2:
        A = flat(A, m, n)
    found = []
    # Some at a time, so that they stay in the cache.
    size = max(TOGETHER // (m * n if A.ndim > 2 else m), 1)
    for k in range(0, max(count, 1), size):
        part = {name: a[k : k + size] for name, a in each.items()}
        matrix = A[k : k + size] if A.ndim > 2 else A
        q, c = part.pop("q"), part.pop("c")
        path = Path(Dense(q, matrix), q, c, Boxes(**part))
        found.append(_solved(path, gap, steps))
    parts = (np.concatenate(a) for a in zip(*found, strict=True))
    return Boxed(*(a.reshape((*lead, *a.shape[1:])) for a in parts))


def _solved(path: Path, gap: float, steps: int) -> Boxed:
    """The whole batch, problems that are done taken out of it."""
    count = len(path.x)
    shapes = path.x.shape, path.y.shape, count, count
    out = Boxed(*(np.empty(shape) for shape in shapes))
    at = np.arange(count)
    for k in range(steps):
        path.step()
        last = k == steps - 1
        if k < FIRST and not last:
            continue
        value, rough = path.look()
        found = np.isfinite(value)
        room = gap * np.maximum(1, np.where(found, np.abs(value), 0.0))
        near = (rough <= room) | last
        lower = np.full(len(at), -np.inf)
        if near.any():
            lower[near] = lower_bounds(path, value, _some(near))
        over = (value <= lower + room) | last
        y = np.minimum(np.maximum(path.y, path.ends[0]), path.ends[1])
        for to, new in zip(out, (path.x, y, value, lower), strict=True):
            to[at[over]] = new[over]
        if over.all():
            break
        if over.any():
            at = at[~over]
            path.keep(~over)
    return out


class InteriorPoint:
    """The method on one form: x, y and z = A x + b after `step()`s.

    It begins at x if that is given and nothing is lifted, but inside the boxes whatever
    y is. `system` solves the linear systems: `system.width` is how far apart the
    entries of sparse ones are. Atoms are made boxes by `lifts`; ValueError where one is
    not, or a map is known by products only. `careful` takes the systems of
    `orthogonal`.
    """

    def __init__(
        self,
        form: Form,
        x: Array | None = None,
        y: Array | None = None,
        careful: bool = False,
    ) -> None:
        self.form, self.careful = form, careful
        whole, self.sums = split(form)
        found, system = lift_form(whole), normal(whole)
        if system is None or found is None:
            raise ValueError(
                "InteriorPoint takes atoms whose multipliers lie in intervals, with a "
                "linear or quadratic conjugate, or in simplices, of matrices"
            )
        self.system, self.row, box = system, None, found.box
        self.rows, q, c = len(whole.b), form.q, form.c
        if len(box.row) != self.rows or np.any(box.row != np.arange(self.rows)):
            self.row = box.row
            system = Repeated(system, box.row, self.rows)
        if more := len(found.cost):
            system = Lifted(system, found.E, q)
            q, c = np.append(q, np.zeros(more)), np.append(c, found.cost)
            x = None
        if careful:
            system = orthogonal(whole, q, box.row, found.E)
        # What was as long as there are rows makes room.
        box = thin(box)
        del found
        self.path, self.steps = Path(system, q, c, box, x), FIRST
        self.spare = self.path.spare

    @property
    def x(self) -> Array:
        return self.path.x[: self.form.n]

    @property
    def y(self) -> Array:
        y, m = self.path.y, len(self.form.b)
        if self.row is not None:
            y = np.bincount(self.row, y, self.rows)
        if not self.sums:
            return y
        y, sums = y[:m].copy(), y[m:]
        for at, more in zip(self.sums, sums, strict=True):
            y[at] += more
        return y

    @property
    def z(self) -> Array:
        """A x + b."""
        return self.form.linear(self.x) + self.form.b

    def residual(self) -> Array:
        """q x + c + Aᵀ y, zero at a saddle point."""
        return self.path.r

    @property
    def gap(self) -> float:
        """About what the gap will be found to be; costs a few passes over the rows."""
        return float(self.path.look()[1])

    def step(self) -> None:
        """One step of the predictor and the corrector; at first some of them."""
        path = self.path
        for _ in range(self.steps):
            path.step()
            if self.careful:
                with np.errstate(all="ignore"):
                    path.z = path.system.forward(path.x) + path.b
                if self.spare is not None:
                    # Equations are to weigh as much as rows that come to rest.
                    left = np.vecdot(path.s, path.lam).sum() / path.first
                    path.spare = self.spare * max(float(left), SOFT)
        self.steps = 1
