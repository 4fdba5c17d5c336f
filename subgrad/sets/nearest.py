"""Nearest point of a convex set known by its support points, by points, rays or a box.

All three problems are one bounded least-squares problem

    min |M x - t|   subject to   lower <= x <= upper,

solved by one active set: a QR factorization of the free columns, updated as columns
enter and leave.  A hull conv{s_i} is brought to this form by homogenisation: with a row
of ones on top, `min_{u >= 0} |sum u_i (1, s_i) - (1, 0)|` has the solution
u = lam / (1 + |p|^2), where p = sum lam_i s_i is the point of the hull nearest to 0; a
ray enters as the column (0, r).  Once rounding hides the sign of the gradient, residual
and gradient are evaluated in doubled precision and the solution of the face is refined.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._check import Array

Atom = Callable[[Array], tuple[Array, Array | None]]
EPS = float(np.finfo(np.float64).eps)
TOL = 1e-9
DEPENDENT = 1e-10
WARM = 100


class ProjectionError(ArithmeticError):
    """No proof that a computed projection is the nearest point could be had."""


def _two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """a + b = s + e exactly."""
    s = a + b
    z = s - a
    return s, (a - (s - z)) + (b - z)


def _split(a: Array) -> tuple[Array, Array]:
    c = 134217729.0 * a
    high = c - (c - a)
    return high, a - high


def _dot(a: Array, b: Array) -> tuple[Array, Array]:
    """Inner products over the last axis as high + low, in doubled precision."""
    if a.shape[-1] == 0:
        return np.zeros(a.shape[:-1]), np.zeros(a.shape[:-1])
    p = a * b
    (ah, al), (bh, bl) = _split(a), _split(b)
    low = al * bl - (((p - ah * bh) - al * bh) - ah * bl)
    # cumsum adds from left to right, so the error of every addition can be had.
    total = np.cumsum(p, axis=-1)
    before = np.concatenate([np.zeros_like(p[..., :1]), total[..., :-1]], axis=-1)
    z = total - before
    low = low + ((before - (total - z)) + (p - z))
    return _two_sum(total[..., -1], low.sum(-1))


class _LeastSquares:
    """min |sum_j x_j a_j - t| over lower <= x <= upper; rows of `atoms` are the a_j.

    `low` holds what rounding cut off from the atoms (zeros if they are exact), `free`
    lists the columns strictly between their bounds, linearly independent.
    """

    def __init__(
        self, atoms: Array, low: Array, lower: Array, upper: Array, t: Array, x: Array
    ) -> None:
        self.atoms, self.low, self.lower, self.upper = atoms, low, lower, upper
        self.t, self.x, self.x_low = t, x, np.zeros_like(x)
        self.free: list[int] = []
        self.q, self.r = np.eye(t.size), np.zeros((t.size, 0))
        self.fixed, self.fixed_low = x @ atoms - t, np.zeros_like(t)
        self.fine = False

    def residual(self) -> tuple[Array, Array]:
        """M x - t as high + low."""
        x, atoms = self.x[self.free], self.atoms[self.free]
        if not self.fine:
            return self.fixed + x @ atoms, self.fixed_low
        high, low = _dot(atoms.T, x)
        low += x @ self.low[self.free] + self.x_low[self.free] @ atoms
        high, error = _two_sum(self.fixed, high)
        return _two_sum(high, low + error + self.fixed_low)

    def _move(self, j: int, sign: float) -> None:
        """Add sign x_j a_j to the part of the residual the free columns leave alone."""
        x = sign * self.x[j : j + 1]
        if x[0] == 0:
            return
        if self.fine:
            high, low = _dot(self.atoms[j][:, None], x)
            self.fixed, error = _two_sum(self.fixed, high)
            self.fixed_low = self.fixed_low + (low + error + x * self.low[j])
        else:
            self.fixed = self.fixed + x * self.atoms[j]

    def gradient(self, rho: tuple[Array, Array]) -> Array:
        """M' (M x - t); in the fine mode accurate wherever its sign is in doubt."""
        g = self.atoms @ rho[0]
        if self.fine:
            doubt = np.flatnonzero(np.abs(g) <= 1e-11)
            if doubt.size:
                high, low = _dot(self.atoms[doubt], rho[0])
                low += self.low[doubt] @ rho[0] + self.atoms[doubt] @ rho[1]
                g[doubt] = high + low
        return g

    def append(self, column: Array) -> None:
        """One more column, at 0, with bounds 0 and infinity."""
        self.atoms = np.vstack([self.atoms, column])
        self.low = np.vstack([self.low, np.zeros_like(column)])
        self.lower = np.append(self.lower, 0.0)
        self.upper = np.append(self.upper, np.inf)
        self.x, self.x_low = np.append(self.x, 0.0), np.append(self.x_low, 0.0)

    def _enter(self, j: int) -> bool:
        """Free column j, unless it depends on the free columns."""
        from scipy.linalg import qr_insert

        k = len(self.free)
        if k == self.t.size:
            return False
        if k == 0:
            q, r = np.linalg.qr(self.atoms[j][:, None], mode="complete")
        else:
            q, r = qr_insert(
                self.q, self.r, self.atoms[j], k, which="col", check_finite=False
            )
        if abs(r[k, k]) <= DEPENDENT * np.linalg.norm(self.atoms[j]):
            return False
        self.q, self.r = q, r
        self.free.append(j)
        self._move(j, -1.0)
        return True

    def _leave(self, position: int) -> None:
        from scipy.linalg import qr_delete

        j = self.free.pop(position)
        self.x_low[j] = 0.0
        self._move(j, 1.0)
        if self.free:
            self.q, self.r = qr_delete(
                self.q, self.r, position, which="col", check_finite=False
            )

    def _face_minimiser(self) -> tuple[Array, Array]:
        """The unconstrained minimiser over the free columns, as high + low."""
        from scipy.linalg.lapack import dtrtrs

        free, k = self.free, len(self.free)
        triangle = self.r[:k]
        x, x_low = self.x[free], self.x_low[free]
        if not self.fine:
            rho = self.residual()[0]
            return x - dtrtrs(triangle, self.q[:, :k].T @ rho)[0], x_low
        # Refinement of the augmented system (Bjorck): s ~ t - M x and x together.
        saved = self.x, self.x_low
        self.x, self.x_low = self.x.copy(), self.x_low.copy()
        true, true_low = self.residual()
        s, s_low = -true, -true_low
        for _ in range(6):
            high, low = _dot(self.atoms[free], s)
            low += self.low[free] @ s + self.atoms[free] @ s_low
            h = -(high + low)
            f, e = _two_sum(-true, -s)
            f = f + (e - true_low - s_low)
            if max(np.abs(h).max(), np.abs(f).max()) <= 1e-28:
                break
            z = dtrtrs(triangle, h, trans=1)[0]
            d = self.q.T @ f
            dx = dtrtrs(triangle, d[:k] - z)[0]
            d[:k] = z
            s, e = _two_sum(s, self.q @ d)
            s, s_low = _two_sum(s, s_low + e)
            x, e = _two_sum(x, dx)
            x, x_low = _two_sum(x, x_low + e)
            self.x[free], self.x_low[free] = x, x_low
            true, true_low = self.residual()
        self.x, self.x_low = saved
        return x, x_low

    def _exchange(self, j: int, g: float) -> None:
        """Move column j, dependent on the free ones, along that dependence."""
        from scipy.linalg.lapack import dtrtrs

        free, k, sign = self.free, len(self.free), -np.sign(g)
        c = dtrtrs(self.r[:k], self.q[:, :k].T @ self.atoms[j])[0]
        high, low = _dot(self.atoms[free].T, c)
        w = (self.atoms[j] - high) - low + self.low[j] - c @ self.low[free]
        moving = np.array([*free, j])
        d = sign * np.append(-c, 1.0)
        bound = np.where(d > 0, self.upper[moving], self.lower[moving])
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(d == 0, np.inf, (bound - self.x[moving]) / d)
            step = min(ratio.min(), abs(g) / (w @ w))
        hit = ratio <= step
        if not np.isfinite(step):
            return
        self.x_low[moving] = 0.0
        self._move(j, -1.0)
        self.x[moving] = np.where(hit, bound, self.x[moving] + step * d)
        self._move(j, 1.0)
        for position in np.flatnonzero(hit[:-1])[::-1]:
            self._leave(int(position))
        if not hit[-1]:
            self._enter(j)
        self._descend()

    def _descend(self, new: tuple[Array, Array] | None = None) -> None:
        """Move to the minimiser of the face; bounds that are hit shrink the face."""
        while self.free:
            free = np.array(self.free)
            x = self.x[free]
            new, new_low = new or self._face_minimiser()
            below, above = new < self.lower[free], new > self.upper[free]
            out = below | above
            if not out.any():
                self.x[free], self.x_low[free] = new, new_low
                return
            bound = np.where(below, self.lower[free], self.upper[free])
            ratio = np.full(free.size, np.inf)
            ratio[out] = (bound[out] - x[out]) / (new[out] - x[out])
            step = max(ratio.min(), 0.0)
            moved = np.clip(x + step * (new - x), self.lower[free], self.upper[free])
            hit = out & ((ratio <= step) | (moved == bound))
            self.x[free] = np.where(hit, bound, moved)
            self.x_low[free] = 0.0
            for position in np.flatnonzero(hit)[::-1]:
                self._leave(int(position))
            new = None

    def solve(self, limit: int) -> Array:
        """Run to the end or to the limit; the gradient at the last point."""
        blocked: set[int] = set()
        best, since = np.inf, 0
        while True:
            rho = self.residual()
            g = self.gradient(rho)
            value = float(rho[0] @ rho[0])
            since = since + 1 if value >= best * (1 - 4 * EPS) else 0
            best = min(best, value)
            wrong = np.where(g < 0, self.x < self.upper, self.x > self.lower)
            price = np.where(wrong, np.abs(g), 0.0)
            price[self.free] = 0.0
            price[list(blocked)] = 0.0
            j = int(price.argmax())
            floor = 1e-25 if self.fine else 8 * EPS
            limit -= 1
            if limit < 0 or price[j] <= floor or since > 10 * self.t.size + 100:
                return g
            if not self._enter(j):
                blocked.add(j)
                if self.fine:
                    self._exchange(j, g[j])
                continue
            new = self._face_minimiser()
            if (new[0][-1] - self.x[j]) * g[j] >= 0:
                self._leave(len(self.free) - 1)
                blocked.add(j)
                continue
            blocked.clear()
            self._descend(new)

    def _factor(self, columns: list[int]) -> None:
        """Free the independent ones of these columns, with a fresh factorization."""
        from scipy.linalg import qr

        q, r, pivot = qr(self.atoms[columns].T, pivoting=True, check_finite=False)
        size = np.abs(np.diag(r))
        rank = int((size > DEPENDENT * size[0]).sum())
        self.free = [columns[i] for i in pivot[:rank]]
        self.q, self.r = q, r[:, :rank]

    def warm(self, steps: int) -> None:
        """Projected gradient steps of Barzilai-Borwein length guess the active set."""
        x, r = self.x, self.x @ self.atoms - self.t
        g = self.atoms @ r
        back = g @ self.atoms
        best, size = np.inf, g @ g / max(back @ back, 1e-300)
        for i in range(steps):
            if r @ r < best:
                best, self.x = r @ r, x
            dx = np.clip(x - size * g, self.lower, self.upper) - x
            dr = dx @ self.atoms
            x, r = x + dx, r + dr
            dg = self.atoms @ dr
            g = g + dg
            if not dr.any():
                break
            size = (dr @ dr) / (dg @ dg) if i % 2 else (dx @ dx) / (dr @ dr)
        inside = np.flatnonzero((self.x > self.lower) & (self.x < self.upper))
        if inside.size:
            self._factor(inside.tolist())
        rest = self.x.copy()
        rest[self.free] = 0.0
        self.fixed = rest @ self.atoms - self.t
        self._descend()

    def refine(self) -> None:
        """From here on in doubled precision, on a fresh factorization."""
        self.fine = True
        if self.free:
            self._factor(self.free)
        x = self.x.copy()
        x[self.free] = 0.0
        used = np.flatnonzero(x)
        high, low = _dot(self.atoms[used].T, x[used])
        self.fixed, error = _two_sum(high, -self.t)
        self.fixed_low = low + error + x[used] @ self.low[used]
        self._descend()


def _failed(what: str) -> ProjectionError:
    return ProjectionError(
        f"the nearest point could not be proved: {what}; "
        "subgrad.cvx.project solves the same problem by an interior-point method"
    )


def _binary(scale: float) -> float:
    """The power of two next above: dividing by it rounds nothing."""
    return float(np.exp2(np.ceil(np.log2(scale))))


def _hull(vertices: Array, y: Array) -> Array:
    points, low = _two_sum(vertices, -y)
    norms = np.linalg.norm(points, axis=-1)
    if norms.max() == 0:
        return y.copy()
    scale = _binary(norms.max())
    tol = TOL * norms.max() / scale
    ones = np.ones((len(points), 1))
    atoms = np.hstack([ones, points / scale])
    low = np.hstack([0 * ones, low / scale])
    t = np.zeros(y.size + 1)
    t[0] = 1.0
    x = np.zeros(len(points))
    core = _LeastSquares(atoms, low, x, np.full_like(x, np.inf), t, x.copy())
    start = int(norms.argmin())
    core.x[start] = 1 / (1 + (norms[start] / scale) ** 2)
    core.fixed = core.x @ atoms - t
    core._enter(start)
    limit = 50 * (y.size + 10) + 10 * len(points)
    for step in (core.solve, core.refine, core.solve):
        if step == core.refine:
            core.refine()
            continue
        g = step(limit)
        rho, rho_low = core.residual()
        weight = 1 + rho[0] + rho_low[0]
        p = (rho[1:] + rho_low[1:]) / weight
        if np.linalg.norm(p) <= (tol if core.fine else 8 * EPS):
            return y + scale * p
    gap = (core.x @ np.where(core.x > 0, g, 0.0) / weight - g.min()) / weight
    if gap <= tol**2:
        return y + scale * p
    raise _failed(f"gap {gap:.1e} times the squared size {scale:.1e} of the data")


def nearest(
    atom: Atom | None,
    y: Array,
    scale_hint: float | None = None,
    vertices: Array | None = None,
) -> Array:
    y = np.asarray(y, dtype=np.float64)
    if vertices is not None:
        return _hull(np.asarray(vertices, dtype=np.float64), y)
    if atom is None:
        raise ValueError("nearest needs an atom or vertices, got neither")
    return _oracle(atom, y, scale_hint)


def _oracle(atom: Atom, y: Array, scale_hint: float | None) -> Array:
    n = y.size
    point, _ = atom(y if y.any() else np.ones(n))
    points, rays = [np.asarray(point, dtype=np.float64) - y], []
    scale = 0.0
    core: _LeastSquares | None = None
    t = np.zeros(n + 1)
    t[0] = 1.0
    limit = 50 * (n + 10)
    for _ in range(limit):
        size = max(np.linalg.norm(points[-1]), scale_hint or 0.0)
        if size == 0:
            return y.copy()
        if size > 4 * scale:
            scale, core = _binary(size), None
        if core is None:
            count = len(points) + len(rays)
            atoms = np.zeros((count, n + 1))
            atoms[: len(points), 0] = 1.0
            atoms[:, 1:] = np.array([a / scale for a in points] + rays)
            x = np.zeros(count)
            core = _LeastSquares(
                atoms, np.zeros_like(atoms), x, np.full(count, np.inf), t, x.copy()
            )
        else:
            core.append(column)
        core.solve(limit)
        rho, _ = core.residual()
        weight = 1 + rho[0]
        p = rho[1:] / weight
        if np.linalg.norm(p) <= TOL:
            return y + scale * p
        point, ray = atom(-p)
        if ray is not None:
            ray = np.asarray(ray, dtype=np.float64) / np.linalg.norm(ray)
            if -p @ ray > 16 * EPS:
                rays.append(ray)
                column = np.concatenate([[0.0], ray])
                continue
        s = (np.asarray(point, dtype=np.float64) - y) / scale
        if np.linalg.norm(s - p) <= TOL:
            return np.asarray(point, dtype=np.float64)
        gap = float(p @ (p - s))
        if gap <= 16 * EPS:
            return y + scale * p
        points.append(s * scale)
        column = np.concatenate([[1.0], s])
        if gap <= 64 * EPS and (core.atoms == column).all(1).any():
            return y + scale * p
    raise _failed(f"gap {gap:.1e} times the squared size {scale:.1e} of the data")


def nearest_box_image(A: Array, lower: Array, upper: Array, y: Array) -> Array:
    A, y = np.asarray(A, dtype=np.float64), np.asarray(y, dtype=np.float64)
    n, k = A.shape
    lower = np.broadcast_to(np.asarray(lower, dtype=np.float64), (k,))
    upper = np.broadcast_to(np.asarray(upper, dtype=np.float64), (k,))
    norms = np.linalg.norm(A, axis=0)
    unit = np.where(norms > 0, np.exp2(np.ceil(np.log2(np.where(norms > 0, norms, 1)))), 1)
    x = np.clip(0.0, lower, upper)
    size = max(np.linalg.norm(y), np.linalg.norm(A @ x - y), (norms * np.abs(x)).max(initial=0))
    if size == 0:
        return y.copy()
    scale = _binary(size)
    factor = unit / scale
    atoms = np.ascontiguousarray((A / unit).T)
    core = _LeastSquares(
        atoms, np.zeros_like(atoms), lower * factor, upper * factor, y / scale, x * factor
    )
    limit = 50 * (n + 10) + 10 * k
    if k > 30:
        core.warm(WARM)
    core.solve(limit)
    core.refine()
    g = core.solve(limit)
    rho, rho_low = core.residual()
    p = y + scale * (rho + rho_low)
    size = max(np.linalg.norm(y / scale), (np.linalg.norm(atoms, axis=1) * np.abs(core.x)).max(initial=0))
    if np.linalg.norm(rho) <= TOL * size:
        return p
    room = np.where(g > 0, core.x - core.lower, core.upper - core.x)
    with np.errstate(invalid="ignore"):
        gap = np.where(g == 0, 0.0, np.abs(g) * room).sum()
    if gap <= (TOL * size) ** 2:
        return p
    tied = np.abs(g) <= 1e-20
    sigma = np.linalg.svd(atoms[tied], compute_uv=False)
    sigma = sigma[sigma > max(atoms.shape) * EPS * sigma[0]]
    delta = np.linalg.norm(g[tied]) / sigma[-1]
    right = np.where(g > 0, core.x == core.lower, core.x == core.upper)
    if delta <= TOL * size and (tied | right & (np.abs(g) >= 2 * delta)).all():
        return p
    raise _failed(f"gap {gap:.1e}, face error {delta:.1e}")


def nearest_cone(G: Array, y: Array) -> Array:
    G = np.asarray(G, dtype=np.float64)
    return nearest_box_image(G.T, np.zeros(len(G)), np.full(len(G), np.inf), y)
