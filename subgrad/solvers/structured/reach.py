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

from typing import Any, NamedTuple

import numpy as np

from subgrad._check import Array
from subgrad.core import Function
from subgrad.functions.indicator import Indicator
from subgrad.functions.quadratic import SquaredNorm
from subgrad.functions.separable import Separable
from subgrad.functions.support import Support
from subgrad.sets.ball import GroupBall
from subgrad.sets.box import Box
from subgrad.sets.hull import CrossPolytope
from subgrad.sets.simplex import CappedSimplex
from subgrad.solvers.structured.domains import conjugate_value
from subgrad.solvers.structured.epigraphs import Composed
from subgrad.solvers.structured.form import matrix
from subgrad.solvers.structured.terms import Structure, unscaled

EPS = float(np.finfo(np.float64).eps)
COLUMNS = 4000  # beyond these a square matrix is no longer cheap
SLICE = 1 << 20  # numbers of a matrix at a time
TURNS = (0.1, 1e-2, 1e-3, 1e-4)


class Margins(NamedTuple):
    """Room around multipliers y of one atom, see the formula.

    W (m,), t (m,), l, the rows U (k, m), orthonormal, of V = {v : U v = 0} (None: all
    v), W being one number where a row is not zero, and what is to be added to |r| per
    unit of |A|. With R (m, rows) the directions are the Rᵀ v.
    """

    W: Array
    t: Array
    loss: float = 0.0
    U: Any = None
    charge: float = 0.0
    R: Any = None


def margins(
    h: Function, y: Array, z: Array, loose: bool = False, turn: float = 0.0
) -> Margins | None:
    """Those of h at y, in the domain of h*, z = A x + b; None where nothing is known.

    With `loose` W is as large as the domain lets it be, at the price of a loss. `turn`
    is the angle by which multipliers on a sphere are turned, at such a price as well.
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
            return Margins(a * np.where(inside, W, 0.0), np.where(inside, t, 0.0))
        low, high = star.ends
        W = 0.5 * np.minimum(np.minimum(v - low, high - v), 1 + np.abs(v))
        t = np.clip(0.0, star._left(v), star._right(v))
        on = (W > 0) & np.isfinite(t)
        W, t = np.where(on, W, 0.0), np.where(on, t, 0.0)
        bend = [star._value(v + e) - star._value(v) - t * e for e in (W, -W)]
        loss = a * float(np.sum(np.where(on, np.maximum(*bend), 0.0)))
        return Margins(a * W, t, loss)
    if isinstance(g, SquaredNorm):
        size, c = np.abs(y).mean() + EPS, a * float(g.c)
        return Margins(size + none, y / c, size**2 / (2 * c))
    if isinstance(g, Composed):
        W, t, loss, U, R = g.room(v)
        return Margins(a * W, t, a * loss, U, 0.0, R)
    S: Any
    if isinstance(g, Indicator) and isinstance(g._body(len(y)), Box):
        # h* is linear on either side of 0.
        S = g._body(len(y))
        t = np.where(y > 0, S.upper, np.where(y < 0, S.lower, 0.0))
        both = (S.lower == S.upper) & np.isfinite(S.lower)
        W = np.where(both, 1 + np.abs(y), np.abs(y))
        return Margins(W, np.where(both, S.lower, t))
    if not isinstance(g, Support):
        return None
    S = g._body(len(y))
    if isinstance(S, Box):
        W = np.maximum(np.minimum(v - S.lower, S.upper - v), 0)
        return Margins(a * W, none)
    if isinstance(S, CappedSimplex):
        W = np.maximum(np.minimum(v - S.lower, S.upper - v), 0)
        free = W > 1e-12 * W.max(initial=0.0)
        return _one_size(a, W, free, np.ones_like(y))
    if isinstance(S, GroupBall) and S.is_round:
        return _turned(a, S, v - S.center, z, turn)
    if isinstance(S, CrossPolytope):
        # On the face of the signs of y, or inside.
        size = float(S.radius)
        room = size - np.abs(v).sum()
        if room > 1e-9 * size:
            if not np.all(S.plus & S.minus):
                return None
            return Margins(a * room / np.sqrt(len(y)) + none, none)
        W = np.abs(v)
        return _one_size(a, W, W > 1e-12 * W.max(initial=0.0), np.sign(v))
    return None


def _one_size(a: float, W: Array, free: Any, u: Array) -> Margins:
    """The least of W over the free entries for all of them, across u there."""
    none = np.zeros_like(W)
    if not free.any():
        return Margins(none, none)
    u = np.where(free, u, 0.0)
    U = (u / np.linalg.norm(u))[None]
    return Margins(np.where(free, a * W[free].min(), 0.0), none, 0.0, U)


def _turned(a: float, S: Any, u: Array, z: Array, turn: float) -> Margins:
    r"""Groups of multipliers inside of their balls, and those on the spheres.

    u on a sphere of radius ρ may go to ρ (u + ρ v) / |u + ρ v|, v orthogonal to it and
    |v| = δ: of <., z> that adds ρ δ / (1 + δ²)^(1/2) times the length of z across u,
    less (ρ - |u| + ρ δ² / 2) |z|.
    """
    G, size, none = S.groups, S.groups.norm(u), np.zeros_like(u)
    room, radius = a * np.maximum(S.radius - size, 0.0), a * S.radius
    edge = (room <= turn * radius) & (radius > 0)
    if turn == 0 or not edge.any():
        return Margins(G.spread(room), none)
    W = np.where(edge, radius * turn / np.sqrt(1 + turn**2), room)
    back = np.where(edge, room + radius * turn**2 / 2, 0.0)
    at = np.flatnonzero(edge)
    U = np.where(G.labels == at[:, None], u / G.spread(np.where(size > 0, size, 1)), 0)
    loss = float(back @ G.norm(z))
    return Margins(G.spread(W), none, loss, U, float(np.linalg.norm(back)))


def reach(s: Structure, x: Array, multipliers: tuple[Any, ...]) -> float:
    """A bound on the distance from x to every minimiser, inf if none is found."""
    P = s.value(x)
    if not np.isfinite(P):
        return np.inf
    near, apart = _reach_by(s, x, multipliers, P)
    if np.isfinite(near) or (apart > 1e-5 * max(1.0, abs(P))):
        return near  # closer to a solution margins may be seen
    for turn in TURNS:
        near = min(near, _reach_by(s, x, multipliers, P, turn=turn)[0])
    if not np.isfinite(near) and all(np.isfinite(t.h.infimum) for t in s.terms):
        # Half-way to 0, itself a multiplier, there is more room.
        halves = tuple(y / 2 for y in multipliers)
        near, _ = _reach_by(s, x, halves, P, loose=True)
    if np.isfinite(near):
        return near
    center, radius = s.sublevel
    return radius + float(np.linalg.norm(x - center))


def _reach_by(
    s: Structure,
    x: Array,
    multipliers: tuple[Any, ...],
    P: float,
    loose: bool = False,
    turn: float = 0.0,
) -> tuple[float, float]:
    """The u of the formula, and f(x) - L."""
    r, L = s.q * x + s.c, s.offset + float((s.q * x / 2 + s.c) @ x)
    parts, spread, size, charges = list[Any](), 0.0, 0.0, 0.0
    # q d²/2 >= q w d - q w²/2, for any w.
    w = np.abs(x).mean() + EPS if s.q.any() else 0.0
    rows, spread = int(np.count_nonzero(s.q)), float(s.q.sum()) * w**2 / 2
    for t, y, length in zip(s.terms, multipliers, s.lengths, strict=True):
        r, z = r + t.op.adjoint(y), t.op.forward(x) + t.b
        size += length * float(np.linalg.norm(y))
        L += float(y @ z) - conjugate_value(t.h, y)
        A, found = matrix(t.op), margins(t.h, y, z, loose, turn)
        if found is None or A is None or not np.any(found.W > 0):
            continue
        if found.R is not None:
            A, z = found.R @ A, found.R @ z
        z = z - found.t
        if found.U is not None:
            z = z - found.U.T @ (found.U @ z)
        rows += int(np.count_nonzero(found.W > 0))
        charges += found.charge * length
        spread += float(np.linalg.norm(found.W * z)) + found.loss
        parts.append((A, found))
    apart = P - L if np.isfinite(L) else np.inf
    if rows < s.n or s.n > COLUMNS or not np.isfinite(apart):
        return np.inf, apart
    G = sum((_gram(A, found) for A, found in parts), np.diag((s.q * w) ** 2))
    away = float(np.linalg.norm(r)) + EPS * size + charges
    return float(distance(G, rows, apart + spread, away)), apart


def _gram(A: Any, found: Margins) -> Array:
    """(W P A)ᵀ W P A, some rows at a time."""
    W, U, n = found.W, found.U, A.shape[-1]
    on, G = np.flatnonzero(W > 0), np.zeros((n, n))
    V = None if U is None else np.asarray(U @ A)
    step = max(SLICE // n, n)
    for at in (on[k : k + step] for k in range(0, len(on), step)):
        B = np.asarray(A[at] if isinstance(A, np.ndarray) else A[at].toarray())
        B = B if U is None else B - U[:, at].T @ V
        B = W[at, None] * B
        G += B.T @ B
    return G


def distance(G: Array, rows: int, spread: Any, away: Any) -> Array:
    """The u of the formula: inf where |r| = `away` is above σ / 2.

    `spread` is f(x) - L + S, and G (..., n, n) is (W P A)ᵀ W P A, sums over `rows`.
    """
    sigma = least_singular(G, rows)
    with np.errstate(divide="ignore", invalid="ignore"):
        u = np.maximum(spread, 0.0) / (sigma - away)
    return np.where(sigma > 2 * np.asarray(away), u, np.inf)


def least_singular(G: Array, rows: int) -> Array:
    """A lower bound on that of B, by G = Bᵀ B (..., n, n), sums over `rows`."""
    size = np.trace(G, axis1=-2, axis2=-1)
    known = np.isfinite(size)
    least = np.linalg.eigvalsh(np.where(known[..., None, None], G, 0.0))[..., 0]
    # The sums, and the eigenvalues, are wrong by less.
    blur = 4 * (rows + G.shape[-1]) * EPS * np.where(known, size, 0.0)
    return np.sqrt(np.maximum(least - blur, 0.0))
