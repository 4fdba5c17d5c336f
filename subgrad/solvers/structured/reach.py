r"""How far from a point minimisers can be, by multipliers and what room they have.

With r = q x + c + Σ A_kᵀ y_k, and if h_k*(y_k + v) <= h_k*(y_k) + <t_k, v> + l_k for
all v = W_k w with |w|_2 <= 1 and U_k v = 0, every point x' has

.. math:: f(x') \ge L + \langle r, x' - x \rangle
   + \sum_k \| P_k W_k (A_k x' + b_k - t_k) \|_2 - l_k,

L the bound at x and P_k the projection onto {w : U_k W_k w = 0}. At a minimiser f(x')
<= f(x), so that with σ the least singular value of the P_k W_k A_k, all in one matrix,
and S the sum of the |P_k W_k (A_k x + b_k - t_k)|_2 + l_k,

.. math:: |x' - x| \le u = \frac{f(x) - L + S}{\sigma - |r|}, \qquad
   f^* \ge L - |r| u.

Columns of zeros in all rows where y_k is not 0 leave r_j = 0, without rounding. There
x' may be anywhere: with W_k = 0 for all rows that have such a column the rest is the
same of the other columns.

Sums in order, Σ w_i z_[i], have multipliers with S_i <= W_i, the sums of the i largest
of y and of w, and S_m = W_m; that is y(I) <= W_|I| for all I. Between cuts, i with a
small slack s_i = W_i - S_i, the sums over the blocks may stay what they are. The W_|I|
are submodular: for C_j the union of the first j blocks, I_j what I has of block j and
slack(I) = W_|I| - y(I),

.. math:: \mathrm{slack}(I) \ge \sum_j \mathrm{slack}(C_{j-1} \cup I_j)
   - \mathrm{slack}(C_{j-1}),

where an I_j that is empty adds 0 and those that are whole blocks lose E at most, the
sum of |s_i| over the cuts. So y + v stays inside if v(I_j) <= s_i - 2 E for all other
I_j, i the number of entries up to there. With |v|_2 <= ρ and the sum 0 over the m
entries of the block, v(I_j) <= ρ (k (m - k) / m)^(1/2) for k of them. Where |y| is what
is weakly majorized, the same of |y|, for |v_i| <= |y_i|; after the last cut no sum is
kept, and |v|(I_j) <= ρ k^(1/2).

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
from subgrad.sets.permutahedron import Permutahedron, SignedPermutahedron
from subgrad.sets.simplex import CappedSimplex
from subgrad.solvers.structured.domains import conjugate_value
from subgrad.solvers.structured.epigraphs import _Composed
from subgrad.solvers.structured.form import matrix
from subgrad.solvers.structured.terms import Structure, unscaled

EPS = float(np.finfo(np.float64).eps)
COLUMNS = 4000  # beyond these a square matrix is no longer cheap
SLICE = 1 << 20  # numbers of a matrix at a time
TURNS = (0.1, 1e-2, 1e-3, 1e-4)


class Margins(NamedTuple):
    """Room around multipliers y of one atom, see the formula.

    W (m,), t (m,), l, the rows U (k, m) of which no two meet in a column (None: all v),
    and what is to be added to |r| per unit of |A|. With R (m, rows) the directions are
    the Rᵀ v.
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
    if isinstance(g, _Composed):
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
        return Margins(a * W, none, 0.0, np.ones((1, len(y))))
    if isinstance(S, GroupBall) and S.is_round:
        return _turned(a, S, v - S.center, z, turn)
    if isinstance(S, CrossPolytope):
        size, both = float(S.radius), bool(np.all(S.plus & S.minus))
        room = size - np.abs(v).sum()
        if both and room > 1e-3 * size:
            return Margins(a * room / np.sqrt(len(y)) + none, none)
        # On the face of the signs of y, and from 0 as far as it is inside.
        rest = max(room, 0.0) / np.sqrt(1.0 + np.count_nonzero(v == 0))
        W = np.where(v != 0, np.abs(v), rest if both else 0.0)
        return Margins(a * W, none, 0.0, np.sign(v)[None])
    if isinstance(S, Permutahedron) and S.rank.shape == (1,) and not S.batch:
        W, U = _ordered(S.weights, v, isinstance(S, SignedPermutahedron))
        return Margins(a * W, none, 0.0, U)
    return None


def _ordered(w: Array, y: Array, signed: bool) -> tuple[Array, Array]:
    """W and U of the sums in order, w falling; cut where the slacks are apart most."""
    u, m = (np.abs(y) if signed else y), len(y)
    order = np.argsort(-u)
    slack = np.abs(np.cumsum(w - u[order]))
    slack[-1] = slack[-1] if signed else 0.0
    sizes = np.sort(slack)
    below = m * EPS * np.abs(w).sum() + np.cumsum(sizes) - sizes
    best = int(np.argmax(sizes / np.maximum(below, np.finfo(float).tiny)))
    cut, E = slack < sizes[best], float(below[best])
    if not signed:
        cut[-1] = True
    label = np.cumsum(cut) - cut
    first = np.flatnonzero(np.diff(label, prepend=-1))
    size = np.diff(first, append=m)
    k, many = np.arange(m) - first[label] + 1, size[label]
    loose = (label == label[-1]) & (not cut[-1])
    per = np.sqrt(k * np.where(loose, 1.0, (many - k) / many))
    room = np.full(m, np.inf)
    np.divide(np.maximum(slack - 2 * E, 0.0), per, out=room, where=per > 0)
    rho = np.minimum.reduceat(room, first)
    rho = np.where(size > 1 - loose[first], rho, 0.0)
    W, U = np.zeros(m), np.zeros((len(first), m))
    W[order] = rho[label]
    U[label, order] = np.where(loose, 0.0, np.sign(y[order]) if signed else 1.0)
    if signed:
        W[order] = np.where(loose, W[order], np.minimum(W[order], u[order]))
    return W, U[(size > 1) & ~loose[first]]


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


def reach(
    s: Structure,
    x: Array,
    multipliers: tuple[Any, ...],
    level: float | None = None,
    free: Any = False,
) -> float:
    """A bound on the distance from x to every minimiser, inf if none is found.

    Where minimisers only matter if f is at most `level` there, that is taken for f(x):
    of points outside of a set by rounding f(x) says nothing. Where `free`, a mask of
    the variables, minimisers may be anywhere.
    """
    P = s.value(x) if level is None else level
    if not np.isfinite(P):
        return np.inf
    near, apart = _reach_by(s, x, multipliers, P, free)
    if np.isfinite(near) or (apart > 1e-5 * max(1.0, abs(P))):
        return near  # closer to a solution margins may be seen
    for turn in TURNS if any(_round(t.h, t.op.rows) for t in s.terms) else ():
        near = min(near, _reach_by(s, x, multipliers, P, free, turn=turn)[0])
    if not np.isfinite(near) and all(np.isfinite(t.h.infimum) for t in s.terms):
        # Half-way to 0, itself a multiplier, there is more room.
        halves = tuple(y / 2 for y in multipliers)
        near, _ = _reach_by(s, x, halves, P, free, loose=True)
    if np.isfinite(near):
        return near
    center, radius = s.sublevel
    return radius + float(np.linalg.norm(x - center))


def _round(h: Function, m: int) -> bool:
    """Whether `margins` turn multipliers of h."""
    g = unscaled(h)[1]
    S: Any = g._body(m) if isinstance(g, Support) else None
    return isinstance(S, GroupBall) and S.is_round


def unmoved(s: Structure, ys: Any, r: Array) -> Any:
    """Where r = q x + c + Σ A_kᵀ y_k is 0 since nothing is added up."""
    free = (r == 0) & (s.q == 0) & (s.c == 0)
    for t, y in zip(s.terms, ys, strict=True):
        if not free.any() or y is None or not y.any():
            continue
        A = matrix(t.op)
        if A is None:
            return np.zeros(s.n, bool)
        at = np.flatnonzero(free)
        free[at] = abs(A[np.flatnonzero(y)][:, at]).sum(0) == 0
    return free


def _reach_by(
    s: Structure,
    x: Array,
    multipliers: tuple[Any, ...],
    P: float,
    free: Any,
    loose: bool = False,
    turn: float = 0.0,
) -> tuple[float, float]:
    """The u of the formula, and f(x) - L."""
    r, L = s.q * x + s.c, s.offset + float((s.q * x / 2 + s.c) @ x)
    parts, spread, size, charges = list[Any](), 0.0, 0.0, 0.0
    blur = abs(s.offset) + float(np.abs((s.q * x / 2 + s.c) * x).sum()) + abs(P)
    # q d²/2 >= q w d - q w²/2, for any w.
    w = np.abs(x).mean() + EPS if s.q.any() else 0.0
    rows, spread = int(np.count_nonzero(s.q)), float(s.q.sum()) * w**2 / 2
    for t, y, length in zip(s.terms, multipliers, s.lengths, strict=True):
        Ax, star = t.op.forward(x), conjugate_value(t.h, y)
        r, z = r + t.op.adjoint(y), Ax + t.b
        size += length * float(np.linalg.norm(y))
        L += float(y @ z) - star
        blur += float(np.abs(y) @ (np.abs(Ax) + np.abs(t.b))) + abs(star)
        A, found = matrix(t.op), margins(t.h, y, z, loose, turn)
        if found is None or A is None or not np.any(found.W > 0):
            continue
        charges += found.charge * length
        parts.append((A, z, found))
    # These multipliers may leave more variables unmoved than those of the bound.
    held = ~(unmoved(s, multipliers, r) & free)
    if charges > 0:
        held[:] = True
    G, bulk = np.diag((s.q * w) ** 2), float(np.sum((s.q * w) ** 2))
    for i, (A, z, found) in enumerate(parts):
        if found.R is not None:
            A, z = found.R @ A, found.R @ z
        W = found.W
        if not held.all():
            W = np.where(abs(A[:, np.flatnonzero(~held)]).sum(1) > 0, 0.0, W)
        parts[i] = A, W, found.U
        rows += int(np.count_nonzero(W > 0))
        z = _across(W * (z - found.t), _rows(W, found.U))
        spread += float(np.linalg.norm(z)) + found.loss
    apart = P - L + 16 * EPS * blur if np.isfinite(L) else np.inf
    n = int(np.count_nonzero(held))
    if n == 0:
        return 0.0, apart
    if rows < n or s.n > COLUMNS or not np.isfinite(apart):
        return np.inf, apart
    for A, W, U in parts:
        more, trace = _gram(A, W, _rows(W, U))
        G, bulk = G + more, bulk + trace
    away = float(np.linalg.norm(r)) + EPS * size + charges
    G = G[np.ix_(held, held)]
    return float(distance(G, rows, apart + spread, away, bulk)), apart


def _rows(W: Array, U: Any) -> Any:
    """U W, its rows of length 1."""
    if U is None:
        return None
    size = np.linalg.norm(U * W, axis=1, keepdims=True)
    return U * W / np.where(size > 0, size, 1.0)


def _across(B: Array, Q: Any) -> Array:
    """B less what is along the rows of Q."""
    return B if Q is None else B - Q.T @ (Q @ B)


def _gram(A: Any, W: Array, Q: Any) -> tuple[Array, float]:
    """(P W A)ᵀ P W A, some rows at a time, and the trace without P."""
    n = A.shape[-1]
    on, G, bulk = np.flatnonzero(W > 0), np.zeros((n, n)), 0.0
    V = None if Q is None else np.asarray((Q * W) @ A)
    step = max(SLICE // n, n)
    for at in (on[k : k + step] for k in range(0, len(on), step)):
        B = np.asarray(A[at] if isinstance(A, np.ndarray) else A[at].toarray())
        B = W[at, None] * B
        bulk += float(np.sum(B * B))
        B = B if Q is None else B - Q[:, at].T @ V
        G += B.T @ B
    return G, bulk


def distance(G: Array, rows: int, spread: Any, away: Any, bulk: Any = None) -> Array:
    """The u of the formula: inf where |r| = `away` is above σ / 2.

    `spread` is f(x) - L + S, and G (..., n, n) is (P W A)ᵀ P W A, sums over `rows`;
    `bulk` the trace of that without P.
    """
    sigma = least_singular(G, rows, bulk)
    with np.errstate(divide="ignore", invalid="ignore"):
        u = np.maximum(spread, 0.0) / (sigma - away)
    return np.where(sigma > 2 * np.asarray(away), u, np.inf)


def least_singular(G: Array, rows: int, bulk: Any = None) -> Array:
    """A lower bound on that of B, by G = Bᵀ B (..., n, n), sums over `rows`.

    `bulk` is the trace of what G is a difference of, if it is one.
    """
    size = np.trace(G, axis1=-2, axis2=-1)
    known = np.isfinite(size)
    least = np.linalg.eigvalsh(np.where(known[..., None, None], G, 0.0))[..., 0]
    # The sums, and the eigenvalues, are wrong by less.
    size = size if bulk is None else np.maximum(size, bulk)
    blur = 4 * (rows + G.shape[-1]) * EPS * np.where(known, size, 0.0)
    return np.sqrt(np.maximum(least - blur, 0.0))
