"""The arrays of batches of problems whose multipliers lie in boxes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from subgrad._check import Array
from subgrad.core import Function
from subgrad.functions.indicator import Indicator
from subgrad.functions.separable import Separable
from subgrad.functions.support import Support
from subgrad.operators import Matrix, chain
from subgrad.sets.box import Box, point
from subgrad.sets.simplex import CappedSimplex
from subgrad.solvers.structured.boxes import Boxes, boxes
from subgrad.solvers.structured.lifts import Lift, lift
from subgrad.solvers.structured.members import dense, joined, members
from subgrad.solvers.structured.terms import Structure, Term, parts, unscaled
from subgrad.univariate.linear import PiecewiseLinear


class Arrays(NamedTuple):
    """What `box_dual` takes: A (..., m, n), the others (..., n) or (..., m)."""

    q: Array
    c: Array
    A: Array
    b: Array
    low: Array
    high: Array
    p: Array

    def value(self, x: Array) -> tuple[Array, Array]:
        """That of the formula of `box_dual` at x, which leaves out constants of f.

        And the size of all that is summed.
        """
        z, size = np.matvec(self.A, x) + self.b, np.abs(x)
        whole = np.matvec(np.abs(self.A), size) + np.abs(self.b)
        with np.errstate(divide="ignore", invalid="ignore"):
            best = np.where(z > 0, self.high, self.low)
            curved = np.minimum(np.maximum(z / self.p, self.low), self.high)
            y = np.where(self.p > 0, curved, np.where(z == 0, 0.0, best))
            # Constraints hold where f is finite.
            y = np.where(np.isinf(y), 0.0, y)
            each = np.where(y == 0, 0.0, y * (z - self.p * y / 2))
            blur = np.where(y == 0, 0.0, np.abs(y) * (whole + self.p * np.abs(y)))
        more = np.vecdot(size, self.q * size / 2 + np.abs(self.c))
        value = each.sum(-1) + np.vecdot(x, self.q * x / 2 + self.c)
        return value, blur.sum(-1) + more


def arrays(f: Function, n: int) -> Arrays:
    """Those of a batch of functions. NotImplementedError where f has other parts.

    Variables of `lift` come after those of f.
    """
    s = parts(f, n)
    found, matrices, lifts, costs = [], [], [], [s.c]
    for t in (part for whole in s.terms for part in _split(whole)):
        a, h = unscaled(t.h)
        lifted = _intervals(h, t.op.rows)
        box, a = lifted.box, np.asarray(a)[..., None]
        b = t.b[..., box.row] + box.b
        found.append((b, a * box.low, a * box.high, box.p / a))
        matrices.append(dense(t.op)[..., box.row, :])
        lifts.append(lifted.E)
        costs.append(a * lifted.cost)
    if not found:
        raise NotImplementedError("f has no term but quadratics of single variables")
    A, c = joined(matrices, -2), joined(costs)
    if more := c.shape[-1] - n:
        from scipy.linalg import block_diag

        A = joined([A, block_diag(*lifts).T])
    q = joined([s.q, np.zeros(more)])
    return Arrays(q, c, A, *(joined([part[k] for part in found]) for k in range(4)))


def summed(s: Structure, y: Array) -> tuple[Array, ...]:
    """The multipliers of the terms of s, (..., rows), by those of the arrays."""
    out, at = list[Array](), 0
    for t in s.terms:
        total = np.zeros((*y.shape[:-1], t.op.rows))
        for part in _split(t):
            row = _intervals(unscaled(part.h)[1], part.op.rows).box.row
            each = y[..., at : at + len(row)]
            at += len(row)
            to = row[:, None] == np.arange(part.op.rows)
            # The multiplier of a sum is that of all of its rows.
            total = total + each @ to
        out.append(total)
    return tuple(out)


def _intervals(h: Function, m: int) -> Lift:
    """Those of an atom of m arguments, which may be a batch."""
    if isinstance(h, Separable) and h.phi.batch and h.weights is None:
        phi = h.phi
        if not isinstance(phi, PiecewiseLinear) or not np.isfinite(phi.slopes).all():
            raise NotImplementedError(f"a batch of problems with {h!r}")
        t, s = phi.breakpoints, phi.slopes
        K = t.shape[-1]
        low, high = s[..., :-1].copy(), s[..., 1:].copy()
        high[..., 1:] -= low[..., 1:]
        low[..., 1:] = 0.0
        low, high, b = (np.repeat(a, m, axis=-1) for a in (low, high, -t))
        row = np.tile(np.arange(m), K)
        return _plain(Boxes(b, np.zeros(K * m), low, high, row))
    if isinstance(h, Support | Indicator) and h._body(m).batch:
        return _plain(_ends(h, m))
    found = lift(h, m)
    if found is None:
        raise NotImplementedError(f"a batch of problems with {h!r}")
    return found


def _plain(box: Boxes) -> Lift:
    return Lift(box, np.zeros((0, len(box.row))), np.zeros(0))


def _ends(h: Support | Indicator, m: int) -> Boxes:
    """The same of a batch of boxes, infinite or equal in the same places."""
    S, zero = h._body(m), np.zeros(m)
    if not isinstance(S, Box):
        raise NotImplementedError(f"a batch of problems with {h!r}")
    low, up = (np.broadcast_to(e, (*S.batch, m)) for e in (S.lower, S.upper))
    if isinstance(h, Support):
        return Boxes(zero, zero, low, up, np.arange(m))
    kinds = np.stack([low == up, np.isfinite(low), np.isfinite(up)])
    kinds = kinds.reshape(3, -1, m)
    found = boxes(members(h, (0,) * len(S.batch)), m)
    if found is None or np.any(kinds != kinds[:, :1]):
        raise NotImplementedError("a batch of problems with constraints of all kinds")
    t = np.where(found.high > 0, up[..., found.row], low[..., found.row])
    return replace(found, b=-t)


def _split(t: Term) -> list[Term]:
    """A simplex as a box and an equation."""
    S: Any = t.h._body(t.op.rows) if isinstance(t.h, Indicator) else None
    if not isinstance(S, CappedSimplex):
        return [t]
    one = chain(Matrix(np.ones((1, t.op.rows))), t.op)
    box, total = Box._raw(S.lower, S.upper), np.asarray(S.total)[..., None]
    sums = t.b.sum(-1, keepdims=True) - total
    return [
        replace(t, h=Indicator(box)),
        Term(Indicator(point(np.zeros(1))), one, sums),
    ]
