r"""Points on linear equations and in sets, near one that is close to them."""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad.functions.indicator import Indicator
from subgrad.sets.box import Box
from subgrad.sets.simplex import CappedSimplex
from subgrad.solvers.structured.form import matrix, smooth
from subgrad.solvers.structured.terms import Structure, Term

TINY = 1e-13
MEMBER = 1e-9  # outside of a set by less a point counts as a member
NEAR = 1e-12  # the same of what is found here: who is outside may gain much
CLOSE = 1e-4  # from farther away a point is not worth the work
STEPS = 8
DENSE = 5_000_000  # entries of the rows
FEW = 1_000_000_000  # operations of a step


def feasible(s: Structure, x: Array, near: float = CLOSE) -> Array:
    """A point near x in the sets that it must lie in, to rounding, if one is found.

    That is the nearest one of a set of x itself, if there is one of these, or one on
    the equations; where it is not in all sets, but `near`, `into` may find another.
    """
    sets = [t for t in s.terms if isinstance(t.h, Indicator)]
    own = [t for t in sets if t.own]
    if len(own) == 1:
        x = own[0].h._prox(x, np.ones(()))
    equations = [t for t in sets if (p := smooth(t)) is not None and p[0] == 0]
    if equations and not own:
        found = [matrix(t.op) for t in equations]
        if any(A is None for A in found):
            return x
        A = np.concatenate([_dense(A) for A in found])
        b = np.concatenate([smooth(t)[1] - t.b for t in equations])  # type: ignore[index]
        u = on_equations(A, b, x)
        x = x if u is None else u
    if len(sets) == len(own) == 1 or not np.isfinite(x).all():
        return x
    if _inside(sets, x, MEMBER) or not _inside(sets, x, near):
        return x
    u = into(sets, x)
    return x if u is None else u


def _dense(A: Any) -> Array:
    return A if isinstance(A, np.ndarray) else A.toarray()


def _inside(sets: list[Term], x: Array, tol: float) -> bool:
    each = ((t.h._body(t.op.rows), t.op.forward(x) + t.b) for t in sets)  # type: ignore[attr-defined]
    return all(S.contains(z, tol) for S, z in each)


def into(sets: list[Term], x: Array) -> Array | None:
    r"""u with A_k u + b_k in all sets S_k, found from x by some of the steps

    .. math:: \min_u \ \sum_j \frac{(u_j - x_j)^2}{w_j^2} \quad C u = d

    C and d the equations, the rows of boxes that were violated, and tangents of the
    other sets where A_k x + b_k lies outside; w_j is |x_j|, or later a little more, but
    no more than the distance from an end of the box of x itself, into which u is
    moved. None where they lead nowhere.
    """
    n = len(x)
    low, up = np.full(n, -np.inf), np.full(n, np.inf)
    for t in sets:
        if t.own and isinstance(S := t.h._body(n), Box | CappedSimplex):  # type: ignore[attr-defined]
            low, up = np.maximum(low, S.lower), np.minimum(up, S.upper)
    rest = [t for t in sets if not (t.own and isinstance(t.h._body(n), Box))]  # type: ignore[attr-defined]
    maps = [matrix(t.op) for t in rest]
    if np.any(low > up) or any(A is None for A in maps):
        return None
    if not rest:
        u = np.clip(x, low, up)
        return u if _inside(sets, u, NEAR) else None
    on: list[Any] = [np.zeros(t.op.rows, bool) for t in rest]
    for little in (0.0, 1e-3, 1.0):
        u = np.clip(x, low, up)
        for _ in range(STEPS):
            rows, left = list[Array](), list[Array]()
            for k, (t, A) in enumerate(zip(rest, maps, strict=True)):
                on[k], C, r = _tangents(t, A, u, on[k])
                if len(r) * n > DENSE or len(r) ** 2 * n > FEW:
                    return None
                rows.append(C)
                left.append(r)
            C = np.concatenate(rows)
            if len(C) > n or len(C) ** 2 * n > FEW:
                return None
            size = np.abs(u)
            w = size + little * (size.max(initial=0.0) + (little == 1))
            w = np.minimum(w, np.minimum(u - low, up - u))
            move = _least(C * w, np.concatenate(left))
            if move is None:
                break
            u = np.clip(u + w * move, low, up)
            if _inside(sets, u, NEAR):
                return u
    return None


def _tangents(t: Term, A: Any, u: Array, on: Array) -> tuple[Array, Array, Array]:
    """Rows that count, and C, d - C u of what A u + b is to fulfil."""
    z, S = t.op.forward(u) + t.b, t.h._body(t.op.rows)  # type: ignore[attr-defined]
    if isinstance(S, Box):
        on = on | (z < S.lower) | (z > S.upper) | (S.lower == S.upper)
        away = np.where(z - S.lower < S.upper - z, S.lower - z, S.upper - z)
        return on, _dense(A[on]), away[on]
    if t.own and isinstance(S, CappedSimplex):
        return on, np.ones((1, len(u))), np.atleast_1d(S.total - u.sum())
    v = S._project(z) - z
    size = float(np.linalg.norm(v))
    if not size > 0:
        return on, np.zeros((0, len(u))), np.zeros(0)
    return on, np.atleast_2d(np.asarray((v / size) @ A)), np.array([size])


def on_equations(A: Array, b: Array, x: Array) -> Array | None:
    r"""u with A u = b to rounding and few entries far from those of x, or None.

    .. math:: \min_u \ \sum_j \frac{(u_j - x_j)^2}{w_j^2} \quad A u = b

    with w = |x|, so that entries that are zero stay zero, if the others can do it; else
    all of them are moved, w = |x| + max |x| / 1000.
    """
    if _fits(A, b, x):
        return x
    for weights in (np.abs(x), np.abs(x) + 1e-3 * np.abs(x).max(initial=1.0)):
        on = np.flatnonzero(weights)
        C = A[:, on] if len(on) < len(x) else A
        found = _moved(C, b, x[on], weights[on])
        if found is not None:
            u = np.zeros_like(x)
            u[on] = found
            return u
    return None


def _factor(B: Array, few: bool = False) -> Array | None:
    """Of B Bᵀ, or of Bᵀ B where these are few, and a little more for digits."""
    from scipy.linalg import lapack

    G = B.T @ B if few else B @ B.T
    G[np.diag_indices(len(G))] += 1e-14 * np.trace(G)
    L, info = lapack.dpotrf(G, lower=1)
    return None if info or not len(G) else L


def _least(B: Array, r: Array) -> Array | None:
    """The shortest v with B v = r, or nearly so where there is none."""
    from scipy.linalg import lapack

    L, v = _factor(B), np.zeros(B.shape[1])
    if L is None:
        return None
    for _ in range(3):
        v = v + B.T @ lapack.dpotrs(L, r - B @ v, lower=1)[0]
    return v


def _fits(A: Array, b: Array, u: Array) -> bool:
    size = np.abs(A) @ np.abs(u) + np.abs(b)
    return bool(np.all(np.abs(A @ u - b) <= TINY * size.max(initial=0.0)))


def _moved(A: Array, b: Array, x: Array, weights: Array) -> Array | None:
    from scipy.linalg import lapack

    B, u = A * weights, x
    few = B.shape[1] < B.shape[0]
    if (L := _factor(B, few)) is None:
        return None
    for _ in range(4):
        r = b - A @ u
        step = lapack.dpotrs(L, B.T @ r if few else r, lower=1)[0]
        u = u + weights * (step if few else B.T @ step)
        if _fits(A, b, u):
            return np.asarray(u)
    return None
