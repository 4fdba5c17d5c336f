r"""What room there is around multipliers in the domains of conjugates.

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
is weakly majorized, the same of |y|, as ρ ((m - 1) / m)^(1/2) <= s_{i-1} - 2 E <= |y_i|
for the least in a block, the last; after the last cut no sum is kept, and |v|(I_j) <=
ρ k^(1/2).
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
from subgrad.solvers.structured.epigraphs import _Composed
from subgrad.solvers.structured.summands import on_line
from subgrad.solvers.structured.terms import unscaled

EPS = float(np.finfo(np.float64).eps)


class Margins(NamedTuple):
    """Room around multipliers y of one atom, see `reach`.

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
        W, t, bend = on_line(g._star, v, loose)
        return Margins(a * W, t, a * float(bend.sum()))
    if isinstance(g, SquaredNorm):
        size, c = np.abs(y).mean() + EPS, a * float(g.c)
        return Margins(size + none, y / c, size**2 / (2 * c))
    if isinstance(g, _Composed):
        W, t, loss, U, charge, R = g.room(v, z, turn)
        return Margins(a * W, t, a * loss, U, a * charge, R)
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
