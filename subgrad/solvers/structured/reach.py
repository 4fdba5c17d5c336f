r"""How far from a point minimisers can be, by multipliers and what room they have.

With r = q x + c + Σ A_kᵀ y_k, and if h_k*(y_k + v) <= h_k*(y_k) + <t_k, v> + l_k for
the v = W_k w of a subspace V_k with |w|_2 <= 1, every point x' has

.. math:: f(x') \ge L + \langle r, x' - x \rangle
   + \sum_k \| W_k P_k (A_k x' + b_k - t_k) \|_2 - l_k,

L the bound at x and P_k the projection onto V_k. At a minimiser f(x') <= f(x), so that
with σ the least singular value of the W_k P_k A_k, all in one matrix, and S the sum of
the |W_k P_k (A_k x + b_k - t_k)|_2 + l_k,

.. math:: |x' - x| \le u = \frac{f(x) - L + S}{\sigma - |r|}, \qquad
   f^* \ge L - |r| u.

Where nothing of the kind is known of the atoms, the radius of a sublevel set is taken.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad.core import Function
from subgrad.functions.quadratic import SquaredNorm
from subgrad.functions.separable import Separable
from subgrad.functions.support import Support
from subgrad.sets.ball import GroupBall
from subgrad.sets.box import Box
from subgrad.sets.hull import CrossPolytope
from subgrad.sets.simplex import CappedSimplex
from subgrad.solvers.structured.domains import conjugate_value
from subgrad.solvers.structured.form import matrix
from subgrad.solvers.structured.terms import Structure, unscaled

EPS = float(np.finfo(np.float64).eps)


def margins(
    h: Function, y: Array, loose: bool = False
) -> tuple[Array, Array, float, Any] | None:
    """W, t, the loss l, and the unit u of V = {v : <u, v> = 0}, None for all v.

    With |w|_2 <= 1 and W w in V, h*(y + W w) <= h*(y) + <t, W w> + l; y lies in the
    domain of h*. None where nothing is known. With `loose` W is as large as the domain
    lets it be, at the price of a loss.
    """
    a, g = unscaled(h)
    v, none = y / a, np.zeros_like(y)
    if isinstance(g, Separable) and g.weights is None and not g.phi.batch:
        star = g._star
        if star.polyhedral and not loose:
            points, slopes = star.breakpoints, star.slopes  # type: ignore[attr-defined]
            k = np.searchsorted(points, v)
            ends = np.concatenate([[-np.inf], points, [np.inf]])
            W, t = np.minimum(v - ends[k], ends[k + 1] - v), slopes[k]
            inside = np.isfinite(t)
            return a * np.where(inside, W, 0.0), np.where(inside, t, 0.0), 0.0, None
        low, high = star.ends
        W = 0.5 * np.minimum(np.minimum(v - low, high - v), 1 + np.abs(v))
        t = np.clip(0.0, star._left(v), star._right(v))
        on = (W > 0) & np.isfinite(t)
        W, t = np.where(on, W, 0.0), np.where(on, t, 0.0)
        bend = [star._value(v + e) - star._value(v) - t * e for e in (W, -W)]
        loss = a * float(np.sum(np.where(on, np.maximum(*bend), 0.0)))
        return a * W, t, loss, None
    if isinstance(g, SquaredNorm):
        size = np.abs(y).mean() + EPS
        return size + none, y / (a * float(g.c)), size**2 / (2 * a * float(g.c)), None
    if not isinstance(g, Support):
        return None
    S = g._body(len(y))
    if isinstance(S, Box):
        W = np.maximum(np.minimum(v - S.lower, S.upper - v), 0)
        return a * W, none, 0.0, None
    if isinstance(S, CappedSimplex):
        W = np.maximum(np.minimum(v - S.lower, S.upper - v), 0)
        free = W > 1e-12 * W.max(initial=0.0)
        return _one_size(a, W, free, np.ones_like(y))
    if isinstance(S, GroupBall) and S.is_round:
        room = S.radius - S.groups.norm(v - S.center)
        return a * S.groups.spread(np.maximum(room, 0.0)), none, 0.0, None
    if isinstance(S, CrossPolytope):
        # On the face of the signs of y, or inside.
        room = 1 - np.abs(v).sum()
        if room > 1e-9:
            return a * room / np.sqrt(len(y)) + none, none, 0.0, None
        W = np.abs(v)
        return _one_size(a, W, W > 1e-12 * W.max(initial=0.0), np.sign(v))
    return None


def _one_size(
    a: float, W: Array, free: Any, u: Array
) -> tuple[Array, Array, float, Any]:
    """The least of W over the free entries for all of them, across u there."""
    none = np.zeros_like(W)
    if not free.any():
        return none, none, 0.0, None
    u = np.where(free, u, 0.0)
    return np.where(free, a * W[free].min(), 0.0), none, 0.0, u / np.linalg.norm(u)


def reach(s: Structure, x: Array, multipliers: tuple[Any, ...]) -> float:
    """A bound on the distance from x to every minimiser, inf if none is found."""
    P = s.value(x)
    if not np.isfinite(P):
        return np.inf
    near, apart = _reach_by(s, x, multipliers, P)
    if np.isfinite(near) or (apart > 1e-5 * max(1.0, abs(P))):
        return near  # closer to a solution margins may be seen
    if all(np.isfinite(t.h.infimum) for t in s.terms):
        # Half-way to 0, itself a multiplier, there is more room.
        halves = tuple(y / 2 for y in multipliers)
        near, _ = _reach_by(s, x, halves, P, loose=True)
    if np.isfinite(near):
        return near
    center, radius = s.sublevel
    return radius + float(np.linalg.norm(x - center))


def _reach_by(
    s: Structure, x: Array, multipliers: tuple[Any, ...], P: float, loose: bool = False
) -> tuple[float, float]:
    """The u of the formula, and f(x) - L."""
    r, L = s.q * x + s.c, s.offset + float((s.q * x / 2 + s.c) @ x)
    rows, spread, size = [], 0.0, 0.0
    if s.q.any():
        # q d²/2 >= q w d - q w²/2, for any w.
        w = np.abs(x).mean() + EPS
        rows.append(np.diag(s.q * w)[s.q > 0])
        spread += float(s.q.sum()) * w**2 / 2
    for t, y, length in zip(s.terms, multipliers, s.lengths, strict=True):
        r, z = r + t.op.adjoint(y), t.op.forward(x) + t.b
        size += length * float(np.linalg.norm(y))
        L += float(y @ z) - conjugate_value(t.h, y)
        A, found = matrix(t.op), margins(t.h, y, loose)
        if found is None or A is None:
            continue
        W, slope, loss, u = found
        on = np.flatnonzero(W > 0)
        if not len(on):
            continue
        B = np.asarray(A[on] if isinstance(A, np.ndarray) else A[on].toarray())
        z = (z - slope)[on]
        if u is not None:
            # W is one number where u is not zero.
            B, z = B - np.outer(u[on], u[on] @ B), z - u[on] * (u[on] @ z)
        rows.append(W[on, None] * B)
        spread += float(np.linalg.norm(W[on] * z)) + loss
    apart = P - L if np.isfinite(L) else np.inf
    if sum(map(len, rows)) < s.n:
        return np.inf, apart
    away = float(np.linalg.norm(r)) + EPS * size
    sigma = least_singular(np.concatenate(rows))
    if not (sigma > 2 * away and np.isfinite(apart)):
        return np.inf, apart
    return max((apart + spread) / (sigma - away), 0.0), apart


def least_singular(B: Array) -> float:
    """A lower bound on the least singular value of B (m, n), m >= n."""
    from scipy.linalg import lapack

    G = B.T @ B
    size = float(np.trace(G))
    factor, info = lapack.dpotrf(G, lower=1)
    if info:
        return 0.0
    inverse, info = lapack.dpotri(factor, lower=1)
    if info:
        return 0.0
    low = np.tril(inverse)
    # |G^-1|_F >= 1 / σ²; G is wrong by a few n ulps of its size.
    top = np.sqrt(2 * np.square(low).sum() - np.square(np.diagonal(low)).sum())
    square = 1 / (2 * top) - 4 * len(G) * EPS * size
    return float(np.sqrt(max(square, 0.0)))
