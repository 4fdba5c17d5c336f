"""Batches of problems whose multipliers lie in boxes, all in one call."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from subgrad._check import Array, vector
from subgrad.calculus.scale import Scaled
from subgrad.core import Function, a_function
from subgrad.functions.indicator import Indicator
from subgrad.functions.separable import Separable
from subgrad.operators import Chain, Diagonal, Matrix, Operator
from subgrad.solvers.certificate import granted
from subgrad.solvers.structured.boxes import boxes
from subgrad.solvers.structured.interior_point import box_dual, lower_bounds
from subgrad.solvers.structured.normal import Dense
from subgrad.solvers.structured.terms import parts
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

    def value(self, x: Array) -> Array:
        """That of the formula of `box_dual` at x, which leaves out constants of f."""
        z = np.matvec(self.A, x) + self.b
        with np.errstate(divide="ignore", invalid="ignore"):
            best = np.where(z > 0, self.high, self.low)
            curved = np.minimum(np.maximum(z / self.p, self.low), self.high)
            y = np.where(self.p > 0, curved, np.where(z == 0, 0.0, best))
            each = np.where(y == 0, 0.0, y * (z - self.p * y / 2))
        return each.sum(-1) + np.vecdot(x, self.q * x / 2 + self.c)


def arrays(f: Function, n: int) -> Arrays:
    """Those of a batch of functions. NotImplementedError where f has other parts."""
    s, found = parts(f, n), []
    for t in s.terms:
        a, h = (t.h.a, t.h.f) if isinstance(t.h, Scaled) else (np.ones(()), t.h)
        if isinstance(h, Indicator):
            raise NotImplementedError("a batch of problems with indicators")
        row, low, high, shift, p = _intervals(h, t.op.rows)
        a = np.asarray(a)[..., None]
        A = _matrix(t.op)
        b = t.b[..., row] + shift
        found.append((A[..., row, :], b, a * low, a * high, p / a))
    if not found:
        raise NotImplementedError("f has no term but quadratics of single variables")
    matrices, *rest = ([part[k] for part in found] for k in range(5))
    joined = [_joined(r) for r in rest]
    return Arrays(s.q, s.c, _joined([A.mT for A in matrices]).mT, *joined)


def _joined(parts: list[Array]) -> Array:
    """One behind the other along the last axis."""
    lead = np.broadcast_shapes(*(p.shape[:-1] for p in parts))
    return np.concatenate(
        [np.broadcast_to(p, (*lead, p.shape[-1])) for p in parts], axis=-1
    )


def _intervals(h: Function, m: int) -> tuple[Any, ...]:
    """Rows, low, high, shift and p of an atom of m arguments, which may be a batch."""
    if isinstance(h, Separable) and h.phi.batch and h.weights is None:
        phi = h.phi
        if not isinstance(phi, PiecewiseLinear) or not np.isfinite(phi.slopes).all():
            raise NotImplementedError(f"a batch of problems with {h!r}")
        t, s = phi.breakpoints, phi.slopes
        K = t.shape[-1]
        low, high = s[..., :-1].copy(), s[..., 1:].copy()
        high[..., 1:] -= low[..., 1:]
        low[..., 1:] = 0.0
        each = [np.repeat(a, m, axis=-1) for a in (low, high, -t)]
        return np.tile(np.arange(m), K), *each, np.zeros(K * m)
    found = boxes(h, m)
    if found is None:
        raise NotImplementedError(f"a batch of problems with {h!r}")
    return found.row, found.low, found.high, found.b, found.p


def _matrix(op: Operator) -> Array:
    """The map as an array (..., m, n)."""
    if isinstance(op, Matrix):
        return op.A
    if isinstance(op, Diagonal):
        return op.w[..., None] * np.eye(op.rows)
    if isinstance(op, Chain) and isinstance(op.outer, Diagonal):
        return op.outer.w[..., None] * _matrix(op.inner)
    if op.batch:
        raise NotImplementedError(f"a batch of problems with the map {op!r}")
    return op.dense()


@dataclass(frozen=True, eq=False)
class BatchCertificate:
    """Multipliers y (..., M) of intervals, at x (..., n), that prove `lower_bound`."""

    x: Array
    y: Array
    lower_bound: Array

    def verify(self, f: Function, constraints: Any = ()) -> bool:
        """Whether f has the bounds, everything computed afresh."""
        x = vector("x", self.x, a_function("f", f).n)
        y = vector("y", self.y, None)
        data, value = arrays(f, x.shape[-1]), f._value(x)
        shape = (*value.shape, data.b.shape[-1])
        if y.shape != shape or x.shape != (*value.shape, x.shape[-1]):
            return False
        known = ~np.isneginf(np.asarray(self.lower_bound, float))
        bound = np.where(known, _bounds(data, x, y, value), np.inf)
        return granted(bound, self.lower_bound, value.shape)


SLACK = 2.0**-48  # of |f|, for what a second computation may differ by


def _bounds(data: Arrays, x: Array, y: Array, value: Array) -> Array:
    """Lower bounds of f, `value` at x."""
    lead, m, n = value.shape, y.shape[-1], x.shape[-1]
    flat = int(np.prod(lead))

    def wide(a: Array, *core: int) -> Array:
        return np.broadcast_to(a, (*lead, *core)).reshape(flat, *core)

    A = wide(data.A, m, n) if data.A.ndim > 2 else data.A
    q, c = wide(data.q, n), wide(data.c, n)
    b, p = wide(data.b, m), wide(data.p, m)
    ends = np.stack([wide(data.low, m), wide(data.high, m)])
    path: Any = SimpleNamespace(
        system=Dense(q, A), ends=ends, x=x.reshape(flat, n), y=y.reshape(flat, m),
        q=q, c=c, b=b, p=p,
    )  # fmt: skip
    formula = data.value(x)
    found = lower_bounds(path, wide(formula), slice(None)).reshape(lead)
    known = np.isfinite(value) & np.isfinite(formula)
    with np.errstate(invalid="ignore"):
        return np.where(known, found + (value - formula), -np.inf)


def solve_batch(
    f: Function, x: Array, tol: float
) -> tuple[Array, Array, BatchCertificate]:
    """Minimisers, values and the certificate of all problems of x (..., n)."""
    data = arrays(f, x.shape[-1])
    lead = x.shape[:-1]
    data = data._replace(q=np.broadcast_to(data.q, x.shape))
    x, y, formula, _ = box_dual(*data, gap=tol)
    value = np.asarray(f._value(x))
    bound = _bounds(data, x, y, value)
    lower = bound - SLACK * (np.abs(value) + np.abs(formula))
    shape = (*lead, y.shape[-1])
    return x, value, BatchCertificate(x, np.broadcast_to(y, shape), lower)
