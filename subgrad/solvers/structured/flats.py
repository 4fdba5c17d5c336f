r"""Directions along which f does not change at all, proved in whole numbers.

f(x + d) = f(x) for all x where A_k d = 0 for all terms, q d = 0 and <c, d> = 0. Of
atoms with h(z + t 1) = h(z) + s t, as the largest entry has, A_k d = t_k 1 is enough,
if <c, d> + Σ s_k t_k = 0. Columns that are sums of others are such a case: indicators
of all groups beside a constant, or differences.

Singular vectors of these equations, in echelon form, are near vectors of fractions if
the data are such. Whether these solve the equations is then a question of integers.
"""

from __future__ import annotations

from fractions import Fraction
from math import lcm
from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad.functions.support import Support
from subgrad.sets.permutahedron import Permutahedron, SignedPermutahedron
from subgrad.sets.simplex import CappedSimplex
from subgrad.solvers.structured.form import matrix
from subgrad.solvers.structured.terms import Structure, Term, unscaled

FEW = 50_000_000  # operations of singular values
ENTRIES = 200_000  # that are multiplied as integers
NONE = 1e-10  # of the largest singular value: 0
NEAR = 1e-9
LARGEST = 10**6  # denominator


def flat_directions(s: Structure) -> int:
    """How many that are independent, at least."""
    found = [matrix(t.op) for t in s.terms]
    rates = [_rate(t) for t in s.terms]
    shifts = [k for k, rate in enumerate(rates) if rate is not None]
    rows, n = sum(t.op.rows for t in s.terms), s.n + len(shifts)
    if any(A is None for A in found) or (rows + s.n) * n * n > FEW:
        return 0
    E = np.zeros((rows, n))
    E[:, : s.n] = np.concatenate(
        [A if isinstance(A, np.ndarray) else A.toarray() for A in found]
    )
    ends = np.cumsum([0, *(t.op.rows for t in s.terms)])
    for j, k in enumerate(shifts):
        E[ends[k] : ends[k + 1], s.n + j] = -1.0
    last = np.append(s.c, [rates[k] for k in shifts])
    own = np.eye(n)[np.flatnonzero(s.q)]
    return _kernel(np.concatenate([E, last[None], own]))


def _rate(t: Term) -> float | None:
    """The s of h(z + t 1) = h(z) + s t, None where there is none or it is rounded."""
    a, g = unscaled(t.h)
    S: Any = g._body(t.op.rows) if isinstance(g, Support) else None
    if isinstance(S, CappedSimplex):
        whole = Fraction(float(S.total))
    elif isinstance(S, Permutahedron) and not isinstance(S, SignedPermutahedron):
        if S.rank.shape != (1,) or S.batch:
            return None
        whole = sum(map(Fraction, S.weights.tolist()), Fraction(0))
    else:
        return None
    rate = float(whole * Fraction(a))
    return rate if Fraction(rate) == whole * Fraction(a) else None


def _kernel(E: Array) -> int:
    """How many independent vectors of fractions E v = 0 is seen to have."""
    from scipy.linalg import qr

    size = np.abs(E).max(-1)
    E = E[size > 0] / np.exp2(np.round(np.log2(size[size > 0])))[:, None]
    if not len(E):
        return E.shape[1]
    R = np.linalg.qr(E, mode="r") if len(E) > E.shape[1] else E
    _, values, V = np.linalg.svd(R)
    k = int(np.count_nonzero(values > NONE * values[0]))
    null = V[k:]
    if not len(null):
        return 0
    pivots = qr(null, mode="r", pivoting=True)[1][: len(null)]
    echelon = np.linalg.solve(null[:, pivots], null)
    return sum(_solves(E, v) for v in echelon)


def _solves(E: Array, v: Array) -> bool:
    """Whether fractions near v solve E v = 0 exactly."""
    on = np.flatnonzero(np.abs(v) > NEAR)
    if len(E) * len(on) > ENTRIES:
        return False
    near = [Fraction(a).limit_denominator(LARGEST) for a in v[on].tolist()]
    if any(abs(float(a) - b) > NEAR for a, b in zip(near, v[on], strict=True)):
        return False
    unit = lcm(*(a.denominator for a in near))
    w = np.array([int(a * unit) for a in near], object)
    mantissa, power = np.frexp(E[:, on])
    whole = (mantissa * 2.0**53).astype(np.int64).astype(object)
    power = power - power.min(-1, keepdims=True)
    return not np.any((whole << power.astype(object)) @ w)
