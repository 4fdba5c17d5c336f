r"""Polyhedral atoms as boxes, by variables of their own and by sums of rows.

Where a total is given the multiplier s of the total takes it away:

.. math:: \max \Big\{ \langle y, z \rangle : l \le y \le u, \ \sum_i y_i = k \Big\}
   = \min_s \ k s + \sum_i \max_{l_i \le y \le u_i} y (z_i - s)

are the largest entry, sums of largest entries and conditional values at risk;

.. math:: \max \Big\{ \langle y, z \rangle : |y_i| \le w, \ \sum_i |y_i| \le k w \Big\}
   = \min_s \ k w s + w \sum_i (z_i - s)_+ + w \sum_i (-z_i - s)_+

the largest absolute value (k = 1) and norms of the k largest. Ordered sums and norms of
few different weights are sums of these. Each y_i has a row of its own, of z_i and at
most one s; the multiplier of z_i is the sum of those of its rows. The indicator of a
simplex is that of its box and of one more row, the sum of the others: the multiplier of
the sum is added to that of every row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad.core import Function
from subgrad.functions.indicator import Indicator
from subgrad.functions.support import Support
from subgrad.interval import Interval
from subgrad.operators import Matrix, chain
from subgrad.sets.box import Box, point
from subgrad.sets.hull import CrossPolytope
from subgrad.sets.permutahedron import Permutahedron, SignedPermutahedron
from subgrad.sets.simplex import CappedSimplex
from subgrad.solvers.structured.boxes import Boxes, boxes
from subgrad.solvers.structured.form import Block, Form
from subgrad.solvers.structured.normal import cholesky
from subgrad.solvers.structured.terms import unscaled

LEVELS = 8  # different weights of an ordered sum, each with rows of its own
WIDE = 30.0  # times the mean of y - l is how far multipliers are when one begins
FUZZ = 1e-14
FLAT = 1e-27  # of a sum of squares: rounding of its terms, squared


@dataclass(frozen=True, eq=False)
class Lift:
    """<cost, s> + boxes of z[row] + Eᵀ s, E (K, M), cost (K,), at its least over s."""

    box: Boxes
    E: Array
    cost: Array


def lift(h: Function, m: int) -> Lift | None:
    """The boxes of h, a function of m arguments; None if it has none."""
    if (box := boxes(h, m)) is not None:
        return Lift(box, np.zeros((0, len(box.b))), np.zeros(0))
    a, g = unscaled(h)
    S: Any = g._body(m) if isinstance(g, Support) else None
    if S is None or S.batch:
        return None
    if isinstance(S, CappedSimplex):
        return _joined([_capped(a * S.lower, a * S.upper, a * float(S.total))])
    if isinstance(S, CrossPolytope) and np.all(S.plus & S.minus):
        return _joined([_largest(a * float(S.radius), 1, m)])
    if isinstance(S, Permutahedron) and S.rank.shape == (1,):
        w = a * S.weights
        steps, last = -np.diff(w), float(w[-1])
        ks = np.flatnonzero(steps > 0)
        if len(ks) >= LEVELS:
            return None
        if isinstance(S, SignedPermutahedron):
            parts = [_largest(float(steps[k]), int(k) + 1, m) for k in ks]
            parts += [_largest(last, m, m)] if last > 0 else []
        else:
            one, zero = np.ones(m), np.zeros(m)
            parts = [_capped(zero, steps[k] * one, steps[k] * (k + 1)) for k in ks]
            parts += [_capped(last * one, last * one, last * m)] if last else []
        return _joined(parts or [_capped(zero, zero, 0.0)])
    return None


def _capped(low: Array, up: Array, total: float) -> Lift:
    """Of {l <= y <= u, sum of y = total}."""
    m, fuzz = len(low), FUZZ * float(np.abs(low).sum() + np.abs(up).sum())
    row, zero = np.arange(m), np.zeros(m)
    slack, room = total - float(low.sum()), float((up - low).sum())
    if slack <= fuzz or slack >= room - fuzz:
        # There is one point: no s is needed, and none would be found.
        y = low if slack <= fuzz else up
        return Lift(Boxes(zero, zero, y, y, row), np.zeros((0, m)), np.zeros(0))
    near, far = WIDE * slack / room, WIDE * (1 - slack / room)
    start = np.stack([up - min(1, far) * (up - low), low + min(1, near) * (up - low)])
    box = Boxes(zero, zero, low, up, row, start)
    return Lift(box, np.full((1, m), -1.0), np.array([total]))


def _largest(w: float, k: int, m: int) -> Lift:
    """Of {|y_i| <= w, sum of |y_i| <= k w}."""
    one, zero, row = np.full(m, w), np.zeros(m), np.arange(m)
    if k == m:
        return Lift(Boxes(zero, zero, -one, one, row), np.zeros((0, m)), np.zeros(0))
    low, up = np.concatenate([zero, -one]), np.concatenate([one, zero])
    near = min(1.0, WIDE * k / (2 * m))
    box = Boxes(0 * low, 0 * low, low, up, np.tile(row, 2), near * np.stack([low, up]))
    return Lift(box, np.repeat([-1.0, 1.0], m)[None], np.array([k * w]))


def _joined(parts: list[Lift], starts: Any = None) -> Lift:
    """The sum, of rows that begin at `starts`."""
    starts = [0] * len(parts) if starts is None else starts
    found = [part.box for part in parts]
    b, p, low, high = (
        np.concatenate([getattr(box, name) for box in found])
        for name in ("b", "p", "low", "high")
    )
    row = np.concatenate([x.row + at for x, at in zip(found, starts, strict=True)])
    start = None
    if any(box.start is not None for box in found):
        own = [np.stack([x.low, x.high]) if x.start is None else x.start for x in found]
        start = np.concatenate(own, 1)
    E, k, m = np.zeros((sum(len(p.cost) for p in parts), len(b))), 0, 0
    for part in parts:
        E[k : k + len(part.cost), m : m + len(part.box.b)] = part.E
        k, m = k + len(part.cost), m + len(part.box.b)
    cost = np.concatenate([part.cost for part in parts])
    return Lift(Boxes(b, p, low, high, row, start), E, cost)


def takes(h: Function, m: int) -> bool:
    """Whether `split` and `lift_form` make boxes of h, a function of m arguments."""
    return _cut(h, m) is not None or lift(h, m) is not None


def lift_form(form: Form) -> Lift | None:
    """That of all blocks, b and rows those of the form; None if one has none."""
    parts = [lift(k.h, len(k.b)) for k in form.blocks]
    found = [p for p in parts if p is not None]
    if len(found) < len(parts):
        return None
    all_ = _joined(found, [at.start for at in form.cuts])
    box = all_.box
    return replace(all_, box=replace(box, b=form.b[box.row] + box.b))


def _cut(h: Function, m: int) -> CappedSimplex | None:
    """The simplex whose indicator h is, if it has inner points."""
    g = unscaled(h)[1]
    S: Any = g._body(m) if isinstance(g, Indicator) else None
    if not isinstance(S, CappedSimplex) or S.batch:
        return None
    slack, size = float(S._slack()), float(np.abs(S.lower).sum() + abs(S.total))
    room = float((S.upper - S.lower).sum())
    return S if FUZZ * size < slack < room - FUZZ * size else None


def split(form: Form) -> tuple[Form, list[slice]]:
    """Simplices as boxes and sums, which come last; the rows that each sum is of."""
    blocks, sums, cuts = list[Block](), list[Block](), []
    for k, at in zip(form.blocks, form.cuts, strict=True):
        S, m = _cut(k.h, len(k.b)), len(k.b)
        if S is not None:
            # Upper ends that the total implies are left out.
            free = S.upper - S.lower >= S._slack()
            ends = S.lower, np.where(free, np.inf, S.upper)
            ones = np.ones((1, m))
            sums.append(
                Block(
                    Indicator(point(np.reshape(S.total, 1))),
                    chain(Matrix(ones), k.op),
                    ones @ k.b,
                )
            )
            cuts.append(at)
            k = replace(k, h=Indicator(Box(Interval(*ends))))
        blocks.append(k)
    if not sums:
        return form, []
    return replace(form, blocks=(*blocks, *sums)), cuts


class Lifted:
    r"""The system of the rows of `base` with Eᵀ beside them, E (K, M).

    With dx, dy and dz of `base` for E_k in the place of s, R = E + dZ, the K unknowns
    more are those of R D Rᵀ + dX q dXᵀ: in that form rounding of dX counts by its
    square only. What rounding leaves of the first equation is solved for once more.
    """

    def __init__(self, base: Any, E: Array, q: Array) -> None:
        self.base, self.E, self.q, self.n = base, E, q, len(q)
        self.balance, self.norms = base.balance, base.norms

    def forward(self, x: Array) -> Array:
        return np.asarray(self.base.forward(x[: self.n]) + x[self.n :] @ self.E)

    def adjoint(self, y: Array) -> Array:
        return np.concatenate([self.base.adjoint(y), self.E @ y])

    def factor(self, D: Array) -> Any:
        saddle, n, E = self.base.factor(D), self.n, self.E
        none = np.zeros(n)
        each = [saddle(none.copy(), e.copy()) for e in E]
        dX, dY, dZ = (np.stack(a) for a in zip(*each, strict=True))
        dZ += E
        C = (dZ * D) @ dZ.T + (dX * self.q) @ dX.T
        # Where all may move by the same, nothing but rounding is left of C.
        at, whole = np.arange(len(E)), (E * E) @ D
        C[at, at] += np.where(C[at, at] <= FLAT * whole, whole, 0.0)
        solve = cholesky(C)

        def once(r: Array, s: Array) -> tuple[Array, Array, Array]:
            dx, dy, dz = saddle(r[:n].copy(), s)
            ds = -solve(r[n:] + dZ @ dy + dX @ (r[:n] + self.q * dx))
            dx, dy = np.concatenate([dx + ds @ dX, ds]), dy + ds @ dY
            return dx, dy, dz + ds @ dZ

        def twice(r: Array, s: Array) -> tuple[Array, Array, Array]:
            dx, dy, dz = once(r, s)
            left = r + self.adjoint(dy)
            left[:n] += self.q * dx[:n]
            ex, ey, ez = once(left, np.zeros(len(s)))
            return dx + ex, dy + ey, dz + ez

        return twice
