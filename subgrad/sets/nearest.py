r"""Nearest point of a set given by points, by support points, or as image of a box.

Each is a bounded least-squares problem.  A hull is one by homogenisation: for atoms s_i
(points minus y) the solution of

    min_{u >= 0} |sum_i u_i (1, s_i) - (1, 0)|   is   u = lam / (1 + |p|^2)

with p = sum lam_i s_i the point of conv{s_i} nearest to 0; a ray r enters as (0, r).

Proofs that p is near the true p* (p in S - y, and 0 is the point to project):

(i)   |p - p*| <= |p|, because |p - p*|^2 <= |p|^2 - |p*|^2.
(ii)  |p - p*|^2 <= gap = max_{s in S - y} <p, p - s>: <p*, p - p*> >= 0 and
      <p, p - p*> <= gap.  The gap is evaluated in doubled precision.
(iii) Image of a box with infinite sides, gradient g_j = <a_j, p>.  Let T be the columns
      with g_j = 0 up to rounding, sigma the least nonzero singular value of A_T and
      delta = |g_T| / sigma.  If q is optimal while only T may move, v = q - p = A_T b
      with |b| <= |v| / sigma, so |v|^2 <= -<p, v> = -<g_T, b> gives |v| <= delta.  If
      the columns outside T stand at a bound with the right sign of g_j and
      |g_j| >= delta |a_j|, the signs are right at q too, hence q = p*.
(iv)  A support point s of S - y in direction r is the projection of s + r, and
      projections do not expand distances: |p* - s| <= |s + r| = |s - p| for r = -p.
(v)   By duality |p - p*|^2 <= |d - r|^2 + 2 (h_S(d) - <d, p>), r = y - p, for all d.
      Of the image A C and p = A s, with v a normal of C at s and A^T d = v, the last
      term is 0.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from subgrad._check import Array
from subgrad.sets._least_squares import CLOSE, EPS, LeastSquares, binary

Atom = Callable[[Array], tuple[Array, Array | None]]

TOL = 1e-9  # what is proved, relative to the size of the data
ROOM = 1e-6  # what is proved at least, relative to 1 + |y| + |p|
MOVES = 900  # projections on a preimage, beyond which it is too flat to be found
WARM = 100  # gradient steps that guess the active set of a wide box


class ProjectionError(ArithmeticError):
    """A nearest point was computed, but its accuracy could not be proved."""


def _failed(reached: str) -> ProjectionError:
    return ProjectionError(
        f"the nearest point could not be proved: {reached}; subgrad.cvx.project solves "
        "the problem by a conic solver instead"
    )


def nearest(
    atom: Atom | None,
    y: Array,
    scale_hint: float | None = None,
    vertices: Array | None = None,
    support: Callable[[Array], Array] | None = None,
    rounds: int | None = None,
) -> Array:
    """p* = argmin |p - y| over p in S, a set known by its support points.

    `atom(d)` gives (point, ray): a maximiser of <., d> over S, and None or a recession
    direction of S with <ray, d> > 1e-12 |ray| |d|, the steepest one per length.  With
    `vertices` (m, n) the set is their hull and atom is not asked.  y is (n,).  Where a
    supremum may not be attained, or not by the point of `atom`, `support` is h_S, and
    the gap that of it.  At most `rounds` atoms are asked for.

    With vertices the error is proved to be at most 1e-9 max |v_i - y|, by (i) or (ii).
    Atoms are rounded by whoever computes them, and gaps below that rounding mean
    nothing: the error is proved to be 1e-9 by (i) or (iv), else 1.2e-7 (the root of 64
    eps) by (ii), as far as the test of the rays tells; relative to max |s - y| over the
    atoms met, or to scale_hint if that is larger, and in any case 1e-6 (1 + |y| + |p|).
    Raises ProjectionError otherwise.
    """
    y = np.asarray(y, dtype=np.float64)
    if vertices is not None:
        return _nearest_vertices(np.asarray(vertices, dtype=np.float64), y)
    if atom is None:
        raise ValueError("nearest needs atom or vertices, got None for both")
    rounds = 50 * (y.size + 10) if rounds is None else rounds
    return _nearest_atoms(atom, y, scale_hint or 0.0, support, rounds)


def _unit(n: int) -> Array:
    t = np.zeros(n + 1)
    t[0] = 1.0
    return t


def _nearest_vertices(vertices: Array, y: Array) -> Array:
    points = vertices - y
    z = points - vertices
    low = (vertices - (points - z)) + (-y - z)  # what the subtraction rounded off
    scale = float(binary(np.abs(points).max()))
    atoms, low = (
        np.insert(a / scale, 0, b, axis=1) for a, b in ((points, 1), (low, 0))
    )
    size = np.einsum("ij,ij->i", atoms, atoms)  # 1 + |s_i|^2
    start = int(size.argmin())
    x = np.zeros(len(atoms))
    x[start] = 1 / size[start]
    core = LeastSquares(atoms, low, 0 * x, 0 * x + np.inf, _unit(y.size), x)
    limit = 50 * (y.size + 10) + 10 * len(atoms)
    core.enter(start)
    g = core.solve(limit)
    if np.linalg.norm(core.rho[0]) > CLOSE:
        core.refine()
        g = core.solve(limit)
    weight = 1 + core.rho[0][0]
    p = (core.rho[0] + core.rho[1])[1:] / weight
    tol = TOL * np.sqrt(size.max() - 1)
    # <p, p - s_i> = (<x, g> / weight - g_i) / weight
    gap = (core.x @ np.where(core.x > 0, g, 0.0) / weight - g.min()) / weight
    if np.linalg.norm(p) <= tol or gap <= tol**2:
        return y + scale * p
    raise _failed(f"gap {gap:.1e}, needed {tol**2:.1e} at scale {scale:.1e}")


def _ask(atom: Atom, d: Array) -> tuple[Array, Array | None]:
    """atom(d); a ray that d exceeds by rounding only is projected out of d."""
    for _ in range(10):
        point, ray = atom(d)
        if ray is None:
            break
        ray = np.asarray(ray, dtype=np.float64) / np.linalg.norm(ray)
        slope = float(ray @ d)
        if slope > 16 * EPS:
            break
        d = d - slope * ray
    if not np.isfinite(point).all():
        raise _failed(f"the support point is not finite: {point}")
    return np.asarray(point, dtype=np.float64), ray


def _sharpen(atom: Atom, y: Array, r: Array, tol: float) -> Array | None:
    """Where S is strictly convex: solve r + s(r) = y by Anderson mixing, until (iv)."""
    steps: list[tuple[Array, Array]] = []
    for _ in range(30):
        s, ray = atom(r)
        f = y - s - r
        if ray is not None or np.linalg.norm(f) <= tol:
            return s if ray is None else None
        steps = [*steps[-8:], (r, f)]
        dr, df = (np.diff(np.array(a), axis=0).T for a in zip(*steps, strict=True))
        c = np.linalg.lstsq(df, f, rcond=1e-12)[0]
        r = r + 0.5 * f - (dr + 0.5 * df) @ c
    return None


def _nearest_atoms(
    atom: Atom,
    y: Array,
    size: float,
    support: Callable[[Array], Array] | None,
    rounds: int,
) -> Array:
    n = y.size
    limit = 50 * (n + 10)
    points = [_ask(atom, y if y.any() else np.ones(n))[0] - y]
    rays: list[Array] = []
    scale, gap, trial, error = 0.0, np.inf, 1e-4, np.inf
    room = ROOM * (1 + float(np.linalg.norm(y)))
    for _ in range(rounds):
        size = max(size, float(np.linalg.norm(points[-1])))
        if size == 0:
            return y.copy()
        if size > 4 * scale:
            # The homogenised problem is well scaled when the atoms are about 1 in size.
            scale = float(binary(np.asarray(size)))
            columns = [np.insert(s / scale, 0, 1.0) for s in points]
            atoms = np.array(columns + [np.insert(r, 0, 0.0) for r in rays])
            x = np.zeros(len(atoms))
            core = LeastSquares(atoms, 0 * atoms, x, x + np.inf, _unit(n), x)
        g = core.solve(limit)
        if g.min() < -16 * EPS and not core.fine:
            core.refine()
            core.solve(limit)
        weight = 1 + core.rho[0][0]
        p = (core.rho[0] + core.rho[1])[1:] / weight
        unit, length = size / scale, float(np.linalg.norm(p))
        # One far atom makes every gap look small beside it.
        close = min(TOL * unit, room / scale)
        if length <= close:
            return y + scale * p
        point, ray = _ask(atom, -p)
        s = (point - y) / scale
        if ray is None:
            gap = float(p @ (p - s))
            if support is not None:
                # What it says beyond the rounding of y; at rays too faint it is inf.
                h = (float(support(-p)) + p @ y) / scale + p @ p
                hidden = 16 * EPS * length * float(np.linalg.norm(y) / scale + length)
                gap = max(gap, h - hidden) if np.isfinite(h) else gap
            if gap <= length * close and np.linalg.norm(s - p) <= close:
                return point
            if gap <= trial and np.linalg.norm(s - p) <= 1e-2 * unit:
                trial = 1e-3 * gap
                sharp = _sharpen(atom, y, -scale * p, scale * close)
                if sharp is not None:
                    return sharp
            mass = float(core.x @ np.linalg.norm(core.atoms[:, 1:], axis=1)) / weight
            blur = 8 * EPS * length * (length + mass + float(np.linalg.norm(s)))
            error = scale * np.sqrt(max(gap, 0.0) + blur)
            fine = error <= room + ROOM * float(np.linalg.norm(y + scale * p))
            if gap <= (16 * EPS * unit**2 if fine else 0.0):
                break
        column = np.insert(s, 0, 1.0) if ray is None else np.insert(ray, 0, 0.0)
        if (core.atoms == column).all(axis=1).any():
            if core.fine:
                break
            core.refine()
        elif ray is None:
            points.append(point - y)
            core.append(column)
        else:
            rays.append(ray)
            core.append(column)
    if ray is None and fine and gap <= 64 * EPS * unit**2:
        return y + scale * p
    raise _failed(f"gap {gap:.1e} at scale {scale:.1e}, error {error:.1e}")


def nearest_image(
    A: Array,
    project: Callable[[Array], Array],
    support: Callable[[Array], Array],
    y: Array,
) -> Array:
    r"""p* = argmin |p - y| over p = A s, s in C, for A (n, k) and y (n,).

    `project` is the projection on C, of batches too, and `support` the support function
    of the image.  Where A^T A = c I the answer is A P_C(A^T y / c), else the root of
    the Douglas-Rachford step of |A s - y|^2 / 2 and C.  The error is proved by (v) to
    be at most 1e-6 (1 + |y| + |p|).  Raises ProjectionError otherwise.
    """
    from subgrad.sets._splitting import split

    n, k = A.shape
    U, sigma, V = np.linalg.svd(A, full_matrices=False)
    rank = int((sigma > max(n, k) * EPS * sigma.max(initial=0.0)).sum())
    if rank == 0:
        return np.zeros(n)
    U, sigma, V = U[:, :rank], sigma[:rank], V[:rank]
    size, whole = float(np.linalg.norm(y)), rank == k
    if whole and sigma[0] <= (1 + 64 * EPS) * sigma[-1]:
        return A @ project(y @ A / sigma[0] ** 2)
    start = project((U.T @ y / sigma) @ V)
    unit = np.asarray(float(np.linalg.norm(start)) + size / sigma[0])
    error, moves = np.inf, iter(range(MOVES))

    def settle(z: Array) -> Array:
        if next(moves, None) is None:
            raise _failed(f"error {error:.1e} after {MOVES} projections")
        return project(z)

    for step in (1 / (sigma[0] * sigma[-1]), 1 / sigma[0] ** 2, 1 / sigma[-1] ** 2):
        shrink = step * sigma**2 / (1 + step * sigma**2)
        shift = (shrink / sigma * (U.T @ y)) @ V

        def fit(z: Array, shrink: Array = shrink, shift: Array = shift) -> Array:
            return z + shift - (shrink * (z @ V.T)) @ V

        x, away, _ = split([fit, settle], start, unit, np.ones((), bool))
        s, v = x[-1], away[-1] / step
        p = A @ s
        r = y - p
        room = ROOM * (1 + size + float(np.linalg.norm(p)))
        error = float(np.linalg.norm(r))
        turn = U @ (V @ (v - r @ A) / sigma)
        if whole:
            error = min(error, float(np.linalg.norm(turn)))
        else:
            for d in (r, r + turn):
                gap = float(support(d)) - d @ p
                move = float(np.linalg.norm(d - r))
                error = min(error, np.sqrt(move**2 + 2 * max(gap, 0.0)))
        # v is a difference of points of the size of s and step v.
        hidden = float(np.linalg.norm(s)) / step + float(np.linalg.norm(v))
        if error + 16 * EPS * hidden / sigma[-1] <= room:
            return p
    raise _failed(f"error {error:.1e} for an image")


def nearest_box_image(A: Array, lower: Array, upper: Array, y: Array) -> Array:
    """p* = argmin |p - y| over p = A s, lower <= s <= upper, for A (n, k), y (n,).

    Ends may be infinite; lower == upper makes a column constant.  The error is proved
    to be at most 1e-9 max(|y|, max_j |s_j a_j|), s the point of the box nearest to 0,
    by (i) or (ii), or with infinite ends by (iii), where columns that are dependent up
    to rounding count as dependent.  Raises ProjectionError otherwise.
    """
    A, y = np.asarray(A, dtype=np.float64), np.asarray(y, dtype=np.float64)
    n, k = A.shape
    lower = np.broadcast_to(np.asarray(lower, dtype=np.float64), (k,))
    upper = np.broadcast_to(np.asarray(upper, dtype=np.float64), (k,))
    start = np.clip(0.0, lower, upper)
    unit = binary(np.abs(A).max(axis=0, initial=0.0))
    largest = max(np.abs(y).max(), np.abs(unit * start).max(initial=0.0))
    if k == 0 or largest == 0:
        return np.zeros(n)
    scale = float(binary(largest))
    # Columns and right side are scaled by powers of two, which rounds nothing.
    atoms = np.ascontiguousarray((A / unit).T)
    factor = unit / scale
    core = LeastSquares(
        atoms, 0 * atoms, lower * factor, upper * factor, y / scale, start * factor
    )
    limit = 50 * (n + 10) + 10 * k
    if k > 30:
        core.warm(WARM)
    g = core.solve(limit)
    if np.linalg.norm(core.rho[0]) > CLOSE:
        core.refine()
        g = core.solve(limit)
    rho = core.rho[0] + core.rho[1]
    norms = np.linalg.norm(atoms, axis=1)
    tol = TOL * max(np.linalg.norm(core.t), (norms * np.abs(start * factor)).max())
    room = np.where(g > 0, core.x - core.lower, core.upper - core.x)
    gap = (np.abs(g) * np.where(g == 0, 0.0, room)).sum()
    if np.linalg.norm(rho) <= tol or gap <= tol**2:
        return y + scale * rho
    for level in (1e-20, 1e-14, 1e-12):
        tied = np.abs(g) <= level
        sigma = np.linalg.svd(atoms[tied], compute_uv=False)
        sigma = sigma[sigma > max(atoms.shape) * EPS * sigma.max(initial=0.0)]
        delta = np.linalg.norm(g[tied]) / sigma.min(initial=np.inf)
        if delta <= tol and (tied | (room == 0) & (np.abs(g) >= delta * norms)).all():
            return y + scale * rho
    raise _failed(f"gap {gap:.1e}, face error {delta:.1e} at scale {scale:.1e}")


def nearest_cone(G: Array, y: Array) -> Array:
    """p* = argmin |p - y| over p = sum_j mu_j G_j, mu >= 0, for generators G (k, n).

    Accuracy and errors as in nearest_box_image, of which this is the case [0, inf)^k.
    """
    k = len(G)
    return nearest_box_image(np.asarray(G).T, np.zeros(k), np.full(k, np.inf), y)
