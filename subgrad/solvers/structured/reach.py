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

Lengths of x and r are those in units in which the columns of the A_k are alike, of u x
and r / u with the u of `units`: there |r| is rounding of one size and σ is not small.

Directions along which f is constant, see `flats`, leave the least singular value across
them: one of the minimisers lies there.

Columns of zeros in all rows where y_k is not 0 leave r_j = 0, without rounding. There
x' may be anywhere: with W_k = 0 for all rows that have such a column the rest is the
same of the other columns.

Where nothing of the kind is known of the atoms, the radius of a sublevel set is taken.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad.core import Function
from subgrad.functions.separable import Separable
from subgrad.functions.support import Support
from subgrad.sets.ball import GroupBall
from subgrad.sets.box import Box
from subgrad.sets.simplex import CappedSimplex
from subgrad.solvers.structured.domains import conjugate_value
from subgrad.solvers.structured.eigenvalues import least_eigenvalue, least_of_sparse
from subgrad.solvers.structured.epigraphs import _Composed
from subgrad.solvers.structured.form import matrix
from subgrad.solvers.structured.margins import margins
from subgrad.solvers.structured.summands import Rounds
from subgrad.solvers.structured.terms import Structure, unscaled
from subgrad.solvers.structured.units import divided

EPS = float(np.finfo(np.float64).eps)
COLUMNS = 4000  # beyond these a square matrix is no longer cheap
SLICE = 1 << 20  # numbers of a matrix at a time
FEW = 10_000_000  # operations, beyond which singular values are too many
SMALL = 200  # columns: with more all eigenvalues cost much more than Cholesky factors
NEAR = 1e-6
TINY = 1e-9
TURNS = (0.1, 1e-2, 1e-3, 1e-4)


def reach(
    s: Structure,
    x: Array,
    multipliers: tuple[Any, ...],
    level: float | None = None,
    free: Any = False,
) -> float:
    """A bound on the distance, in `s.units`, from x to every minimiser, or inf.

    Of minimisers from which others come by flat directions to the nearest of these.
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
    return float(s.units.max()) * (radius + float(np.linalg.norm(x - center)))


def _round(h: Function, m: int) -> bool:
    """Whether `margins` turn multipliers of h."""
    g = unscaled(h)[1]
    if isinstance(g, _Composed):
        return any(isinstance(p, Rounds) for p in g.kinds)
    S: Any = g._body(m) if isinstance(g, Support) else None
    return isinstance(S, GroupBall) and S.is_round


def unmoved(s: Structure, ys: Any, r: Array) -> Any:
    """Where r = q x + c + Σ A_kᵀ y_k is 0 without rounding.

    Nothing is added up there, or two numbers, entries of c and of multipliers.
    """
    free = (r == 0) & (s.q == 0)
    count, plain = (s.c != 0).astype(int), np.ones(s.n, bool)
    for t, y in zip(s.terms, ys, strict=True):
        if not free.any() or y is None or not y.any():
            continue
        A = matrix(t.op)
        if A is None:
            return np.zeros(s.n, bool)
        at = np.flatnonzero(free)
        B = abs(A[np.flatnonzero(y)][:, at])
        ones = B != 0
        count[at] += ones.sum(0)
        plain[at] &= abs(B - ones).sum(0) == 0
        free &= (count == 0) | (plain & (count <= 2))
    return free & ((count == 0) | (plain & (count <= 2)))


def snapped(s: Structure, ys: tuple[Any, ...]) -> tuple[Any, ...]:
    """y, on the ends of linear pieces of the conjugates where they nearly are.

    And 0 where they are next to nothing in the slope.
    """
    out, each = [], list(zip(s.terms, ys, s.lengths, strict=True))
    most = max(a * float(np.abs(y).max(initial=0.0)) for _, y, a in each)
    for t, y, length in each:
        a, g = unscaled(t.h)
        S: Any = g._body(len(y)) if isinstance(g, Support) else None
        ends = np.zeros((0, 1))
        if isinstance(g, Separable) and g.weights is None and not g.phi.batch:
            star: Any = g._star
            ends = a * np.reshape(star.breakpoints if star.polyhedral else [], (-1, 1))
        elif isinstance(S, Box | CappedSimplex):
            ends = a * np.stack([S.lower, S.upper])
        small = (np.abs(y) <= NEAR) & (length * np.abs(y) <= TINY * most)
        y = np.where(small, 0.0, y)
        free = np.ones(len(y), bool)
        for end in ends:
            near = np.abs(y - end) <= NEAR * (1 + np.abs(end))
            y, free = np.where(near, end, y), free & ~near
        if isinstance(S, CappedSimplex) and free.any():
            y[int(np.argmax(free))] += a * float(S.total) - y.sum()
        out.append(y)
    return tuple(out)


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
    u = s.units
    for t, y, length in zip(s.terms, multipliers, s.unit_lengths, strict=True):
        Ax, star = t.op.forward(x), conjugate_value(t.h, y)
        r, z = r + t.op.adjoint(y), Ax + t.b
        size += length * float(np.linalg.norm(y))
        L += float(y @ z) - star
        blur += float(np.abs(y) @ (np.abs(Ax) + np.abs(t.b))) + abs(star)
        A, found = matrix(t.op), margins(t.h, y, z, loose, turn)
        if found is None or A is None or not np.any(found.W > 0):
            continue
        charges += found.charge * length
        parts.append((divided(A, u), z, found))
    # These multipliers may leave more variables unmoved than those of the bound.
    held = ~(unmoved(s, multipliers, r) & free)
    if charges > 0:
        held[:] = True
    own = s.q * w / u
    G, bulk = _diagonal(own**2, parts), float(np.sum(own**2))
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
    if s.n > COLUMNS or not np.isfinite(apart) or (rows < n and n**3 > FEW):
        return np.inf, apart
    for A, W, U in parts:
        more, trace = _gram(A, W, _rows(W, U))
        G, bulk = G + more, bulk + trace
    left = float(np.linalg.norm(r / u)) + EPS * size
    away = left + charges
    G = G[held][:, held]
    far = distance(G, rows, apart + spread, away, bulk)
    # Else it is not for want of digits.
    close = left**2 <= 16 * (rows + n) * EPS * bulk
    if np.isfinite(far) or not close or rows * n * n > FEW:
        return float(far), apart
    # Minimisers may be moved along what does not change f.
    flat = s.flat if n == s.n else 0
    if n == flat:
        return 0.0, apart
    if rows >= n - flat:
        blocks = [np.diag(own)[:, held]]
        for A, W, U in parts:
            A = A if isinstance(A, np.ndarray) else A.toarray()
            blocks.append(_across(W[:, None] * A[:, held], _rows(W, U)))
        sigma = _least_value(np.concatenate(blocks), n - flat, rows, bulk)
        far = _farthest(sigma, apart + spread, away)
    return float(far), apart


def _diagonal(d: Array, parts: list[Any]) -> Any:
    """diag(d), sparse where it is to be added to sparse matrices that are large."""
    if len(d) <= SMALL or any(isinstance(A, np.ndarray) for A, _, _ in parts):
        return np.diag(d)
    from scipy.sparse import diags_array

    return diags_array(d).tocsr()


def _rows(W: Array, U: Any) -> Any:
    """U W, its rows of length 1; sparse where it is large."""
    if U is None:
        return None
    if U.size > SLICE:
        from scipy.sparse import csr_array, diags_array

        Q = csr_array(U).multiply(W).tocsr()
        size = np.sqrt(np.asarray(Q.multiply(Q).sum(1)).ravel())
        return diags_array(1 / np.where(size > 0, size, 1.0)) @ Q
    size = np.linalg.norm(U * W, axis=1, keepdims=True)
    return U * W / np.where(size > 0, size, 1.0)


def _across(B: Array, Q: Any) -> Array:
    """B less what is along the rows of Q."""
    return B if Q is None else B - Q.T @ (Q @ B)


def _gram(A: Any, W: Array, Q: Any) -> tuple[Array, float]:
    """(P W A)ᵀ P W A = (W A)ᵀ W A - (Q W A)ᵀ Q W A, and the trace of the first.

    That of a large sparse A is sparse.
    """
    from scipy.sparse import csr_array

    n = A.shape[-1]
    on = np.flatnonzero(W > 0)
    if n > SMALL and not isinstance(A, np.ndarray):
        B = A.multiply(W[:, None]).tocsr()
        G = B.T @ B
        bulk = float(G.trace())
        if Q is not None:
            V = csr_array(Q) @ B
            G = G - V.T @ V
        return G, bulk
    G = np.zeros((n, n))
    # Some rows at a time.
    step = max(SLICE // n, n) if isinstance(A, np.ndarray) else max(len(on), 1)
    for at in (on[k : k + step] for k in range(0, len(on), step)):
        if isinstance(A, np.ndarray):
            B = W[at, None] * A[at]
            G += B.T @ B
        else:
            B = A[at].multiply(W[at, None]).tocsr()
            G += (B.T @ B).toarray()
    bulk = float(np.trace(G))
    if Q is not None:
        V = (Q * W) @ A
        V = V if isinstance(V, np.ndarray) else V.toarray()
        G -= V.T @ V
    return G, bulk


def distance(G: Array, rows: int, spread: Any, away: Any, bulk: Any = None) -> Array:
    """The u of the formula: inf where |r| = `away` is above σ / 2.

    `spread` is f(x) - L + S, and G (..., n, n) is (P W A)ᵀ P W A, sums over `rows`;
    `bulk` the trace of that without P.
    """
    return _farthest(least_singular(G, rows, bulk), spread, away)


def _farthest(sigma: Any, spread: Any, away: Any) -> Array:
    """The u of the formula."""
    with np.errstate(divide="ignore", invalid="ignore"):
        u = np.maximum(spread, 0.0) / (sigma - away)
    return np.where(sigma > 2 * np.asarray(away), u, np.inf)


def _least_value(B: Array, rank: int, rows: int, bulk: float) -> float:
    """A lower bound on that singular value of B, to all digits; the others are 0.

    Of BᵀB half of them are lost. `bulk` is the sum of the squares of what B is a
    difference of.
    """
    least = float(np.linalg.svd(B, compute_uv=False)[rank - 1])
    # The differences, and the singular values, are wrong by less.
    return max(least - 4 * (rows + B.shape[1]) * EPS * np.sqrt(bulk), 0.0)


def least_singular(G: Array, rows: int, bulk: Any = None) -> Array:
    """A lower bound on that of B, by G = Bᵀ B (..., n, n), sums over `rows`.

    `bulk` is the trace of what G is a difference of, if it is one.
    """
    if not isinstance(G, np.ndarray):
        size = G.trace() if bulk is None else max(float(G.trace()), bulk)
        blur = 4 * (rows + G.shape[0]) * EPS * size
        return np.sqrt(np.maximum(least_of_sparse(G) - blur, 0.0))
    size = np.trace(G, axis1=-2, axis2=-1)
    known = np.isfinite(size)
    G = np.where(known[..., None, None], G, 0.0)
    if G.ndim == 2 and len(G) > SMALL:
        least = np.asarray(least_eigenvalue(G))
    else:
        least = np.linalg.eigvalsh(G)[..., 0]
    # The sums, and the eigenvalues, are wrong by less.
    size = size if bulk is None else np.maximum(size, bulk)
    blur = 4 * (rows + G.shape[-1]) * EPS * np.where(known, size, 0.0)
    return np.sqrt(np.maximum(least - blur, 0.0))
