r"""Bounded least squares by one active set, finished in doubled precision.

    min |sum_j x_j a_j - t|   subject to   lower <= x <= upper

Free columns are kept independent in a QR factorization that is updated as columns
enter and leave (Lawson, Hanson 1974; Stark, Parker 1995).  When rounding hides the sign
of the gradient, `refine` turns to residuals and gradients in doubled precision (Ogita,
Rump, Oishi 2005) and to refined minimisers over the free columns (Bjorck 1967), so that
cancellation no longer limits what can be proved about the solution.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array

Pair = tuple[Array, Array]  # high + low

EPS = float(np.finfo(np.float64).eps)
CLOSE = 1e-12  # a residual that needs no further work
SHORT = 30  # columns priced between two looks at all of them
DEPENDENT = 1e-10  # a column this near to the span of the free ones is not freed


def _two_sum(a: Array, b: Array) -> Pair:
    """a + b = high + low exactly."""
    high = a + b
    z = high - a
    return high, (a - (high - z)) + (b - z)


def _split(a: Array) -> Pair:
    c = 134217729.0 * a
    high = c - (c - a)
    return high, a - high


def _dot(a: Array, b: Array) -> Pair:
    """Inner products over the last axis, as if in doubled precision."""
    p = a * b
    (ah, al), (bh, bl) = _split(a), _split(b)
    low = al * bl - (((p - ah * bh) - al * bh) - ah * bl)
    # cumsum adds from left to right, so the rounding of each addition is known.
    total = np.zeros((*p.shape[:-1], p.shape[-1] + 1))
    np.cumsum(p, axis=-1, out=total[..., 1:])
    z = total[..., 1:] - total[..., :-1]
    low += (total[..., :-1] - (total[..., 1:] - z)) + (p - z)
    return _two_sum(total[..., -1], low.sum(-1))


def binary(a: Array) -> Array:
    """The next power of two (1 for 0): dividing by it rounds nothing."""
    return np.exp2(np.ceil(np.log2(np.where(a > 0, a, 1.0))))


class LeastSquares:
    """min |sum_j x_j a_j - t| over lower <= x <= upper.

    The rows of `atoms` are the a_j, about 1 in size; `low` is what rounding cut off
    from them.  `free` lists the columns that move, always independent; the others may
    stand between their bounds too: one that depends on the free ones has gradient 0.
    `fixed` is the residual without the free columns, `rho` the whole residual.
    """

    def __init__(
        self, atoms: Array, low: Array, lower: Array, upper: Array, t: Array, x: Array
    ) -> None:
        self.atoms, self.low, self.lower, self.upper = atoms, low, lower, upper
        self.t, self.x, self.x_low = t, x.copy(), np.zeros_like(x)
        self.free: list[int] = []
        self.fine = False
        self.q: Array = np.eye(t.size)
        self.r: Array = np.zeros((t.size, 0))
        self.fixed: Pair = (x @ atoms - t, np.zeros_like(t))
        self.rho: Pair = self.fixed

    def append(self, column: Array) -> None:
        """One more column, standing at 0, with the bounds 0 and infinity."""
        self.atoms = np.vstack([self.atoms, column])
        self.low = np.vstack([self.low, np.zeros_like(column)])
        self.lower = np.append(self.lower, 0.0)
        self.upper = np.append(self.upper, np.inf)
        self.x, self.x_low = np.append(self.x, 0.0), np.append(self.x_low, 0.0)

    def _residual(self, x: Array, x_low: Array) -> Pair:
        """The residual where the free columns have these coefficients."""
        atoms = self.atoms[self.free]
        if not self.fine:
            return self.fixed[0] + x @ atoms, self.fixed[1]
        high, low = _dot(atoms.T, x)
        low += x @ self.low[self.free] + x_low @ atoms
        high, error = _two_sum(self.fixed[0], high)
        return _two_sum(high, low + error + self.fixed[1])

    def _products(self, columns: Any, v: Pair) -> Array:
        """<a_j, v> in doubled precision."""
        high, low = _dot(self.atoms[columns], v[0])
        low += self.low[columns] @ v[0] + self.atoms[columns] @ v[1]
        return high + low

    def gradient(self, rows: Any = slice(None)) -> Array:
        """<a_j, rho>; in the fine mode accurate wherever its sign is in doubt."""
        g = self.atoms[rows] @ self.rho[0]
        if self.fine:
            doubt = np.flatnonzero(np.abs(g) <= 1e-11)
            g[doubt] = self._products(doubt, self.rho)
        return g

    def _fix(self) -> None:
        """Recompute what the columns that do not move contribute."""
        x = self.x.copy()
        x[self.free] = 0.0
        self.fixed = (x @ self.atoms - self.t, np.zeros_like(self.t))
        if self.fine:
            used = np.flatnonzero(x)
            high, low = _dot(self.atoms[used].T, x[used])
            high, error = _two_sum(high, -self.t)
            self.fixed = _two_sum(high, low + error + x[used] @ self.low[used])
        self.rho = self._residual(self.x[self.free], self.x_low[self.free])

    def _shift(self, x: float, j: int) -> None:
        """Add x a_j to `fixed`."""
        if x != 0:
            high, low = _dot(self.atoms[j][:, None], np.array([x]))
            high, error = _two_sum(self.fixed[0], high)
            low += error + self.fixed[1] + x * self.low[j]
            self.fixed = _two_sum(high, low) if self.fine else (high, 0 * low)

    def enter(self, j: int) -> bool:
        """Free column j, unless it depends on the free columns."""
        from scipy.linalg import qr_insert

        k, a = len(self.free), self.atoms[j]
        if k == 0:
            q, r = np.linalg.qr(a[:, None], mode="complete")
        elif k < self.t.size:
            q, r = qr_insert(self.q, self.r, a, k, which="col", check_finite=False)
        if k == self.t.size or abs(r[k, k]) <= DEPENDENT * np.linalg.norm(a):
            return False
        self.q, self.r = q, r
        self.free.append(j)
        self._shift(-self.x[j], j)
        return True

    def _leave(self, position: int) -> None:
        from scipy.linalg import qr_delete

        j = self.free.pop(position)
        self.x_low[j] = 0.0
        self._shift(self.x[j], j)
        if self.free:
            self.q, self.r = qr_delete(
                self.q, self.r, position, which="col", check_finite=False
            )

    def _minimiser(self) -> Pair:
        """The minimiser when the free columns have no bounds."""
        from scipy.linalg.lapack import dtrtrs

        free, k = self.free, len(self.free)
        triangle, x, x_low = self.r[:k], self.x[free], self.x_low[free]
        true = self.rho
        if not self.fine:
            return x - dtrtrs(triangle, self.q[:, :k].T @ true[0])[0], x_low
        # The unknowns are x and s = t - M x; the corrections are small, so double
        # precision is enough for them.
        s = -true[0], -true[1]
        for _ in range(8):
            h = -self._products(free, s)
            f, error = _two_sum(-true[0], -s[0])
            f += error - true[1] - s[1]
            if max(np.abs(h).max(), np.abs(f).max()) <= 1e-28:
                break
            z, d = dtrtrs(triangle, h, trans=1)[0], self.q.T @ f
            x, error = _two_sum(x, dtrtrs(triangle, d[:k] - z)[0])
            x, x_low = _two_sum(x, x_low + error)
            d[:k] = z
            high, error = _two_sum(s[0], self.q @ d)
            s = _two_sum(high, s[1] + error)
            true = self._residual(x, x_low)
        return x, x_low

    def _descend(self, new: Pair | None = None) -> None:
        """Go to the minimiser over the free columns, fixing those that hit a bound."""
        while self.free:
            free = np.array(self.free)
            lower, upper, x = self.lower[free], self.upper[free], self.x[free]
            end, end_low = new or self._minimiser()
            out = (end < lower) | (end > upper)
            if not out.any():
                self.x[free], self.x_low[free] = end, end_low
                break
            bound = np.where(end < lower, lower, upper)
            ratio = np.full(free.size, np.inf)
            ratio[out] = (bound[out] - x[out]) / (end[out] - x[out])
            step = max(ratio.min(), 0.0)
            moved = np.clip(x + step * (end - x), lower, upper)
            hit = out & ((ratio <= step) | (moved == bound))
            self.x[free], self.x_low[free] = np.where(hit, bound, moved), 0.0
            self.rho = self._residual(self.x[free], self.x_low[free])
            for position in np.flatnonzero(hit)[::-1]:
                self._leave(int(position))
            new = None
        self.rho = self._residual(self.x[self.free], self.x_low[self.free])

    def _exchange(self, j: int, g: float) -> bool:
        """Move a column that depends on the free ones along this dependence.

        The residual moves by a multiple of w, the part of a_j outside their span, until
        the line is minimal or a free column hits its bound and makes room for j.
        """
        from scipy.linalg.lapack import dtrtrs

        free, k = self.free, len(self.free)
        c = dtrtrs(self.r[:k], self.q[:, :k].T @ self.atoms[j])[0]
        high, low = _dot(self.atoms[free].T, c)
        w = (self.atoms[j] - high) - low + self.low[j] - c @ self.low[free]
        d = -np.sign(g) * np.append(-c, 1.0)
        moving = np.array([*free, j])
        x = self.x[moving]
        bound = np.where(d > 0, self.upper[moving], self.lower[moving])
        ratio = np.full(k + 1, np.inf)
        ratio[d != 0] = (bound - x)[d != 0] / d[d != 0]
        if ratio.min() == np.inf and np.abs(w).max() <= 64 * EPS * np.abs(d).sum():
            return False  # w is rounding, and nothing else would end the move
        with np.errstate(divide="ignore"):
            step = min(ratio.min(), abs(g) / (w @ w))
        hit = ratio <= step
        self.x[moving], self.x_low[moving] = np.where(hit, bound, x + step * d), 0.0
        self._shift(self.x[j] - x[-1], j)
        for position in np.flatnonzero(hit[:-1])[::-1]:
            self._leave(int(position))
        if not hit[-1]:
            self.enter(j)
        self.rho = self._residual(self.x[self.free], self.x_low[self.free])
        self._descend()
        return step > 0

    def solve(self, limit: int) -> Array:
        """Free the steepest column until there is none; returns the last gradient."""
        everything = np.arange(len(self.x))
        short = everything[:0]  # the steepest columns of the last look at everything
        blocked: list[int] = []
        best, since, cut = np.inf, 0, 0.0
        while True:
            rows = short if short.size else everything
            g, x = self.gradient(rows if short.size else slice(None)), self.x[rows]
            price = np.where(g < 0, x < self.upper[rows], x > self.lower[rows]) * abs(g)
            barred = np.zeros(everything.size, dtype=bool)
            barred[self.free + blocked] = True
            price[barred[rows]] = 0.0
            i = int(price.argmax())
            if short.size and (price[i] <= cut or limit <= 0):
                short = short[:0]
                continue
            if not short.size:
                value = float(self.rho[0] @ self.rho[0])
                since = since + 1 if value >= best * (1 - 4 * EPS) else 0
                best, floor = min(best, value), 1e-25 if self.fine else 8 * EPS
                stalled = since > 10 * self.t.size + 100 or limit <= 0
                if value <= CLOSE**2 or stalled or not price[i] > floor:
                    return g
                if not self.fine:
                    cut = max(0.3 * price[i], floor)
                    short = np.argsort(-price)[:SHORT]
            j, slope = int(rows[i]), g[i]
            limit -= 1
            if not self.enter(j):
                blocked.append(j)
                if self.fine and self._exchange(j, slope):
                    blocked.clear()
                continue
            new = self._minimiser()
            if (new[0][-1] - self.x[j]) * slope >= 0:  # rounding: it would not descend
                self._leave(len(self.free) - 1)
                blocked.append(j)
                continue
            blocked.clear()
            self._descend(new)

    def warm(self, steps: int) -> None:
        """Projected gradient with Barzilai-Borwein steps guesses the active set."""
        from scipy.linalg import qr

        x, r = self.x, self.rho[0]
        g = self.atoms @ r
        best: Any = np.inf
        step = (g @ g) / max(np.square(g @ self.atoms).sum(), 1e-300)
        for i in range(steps):
            if r @ r < best:
                best, self.x = r @ r, x
            dx = np.clip(x - step * g, self.lower, self.upper) - x
            dr = dx @ self.atoms
            dg = self.atoms @ dr
            if not dg.any():
                break
            x, r, g = x + dx, r + dr, g + dg
            step = (dr @ dr) / (dg @ dg) if i % 2 else (dx @ dx) / (dr @ dr)
        inside = np.flatnonzero((self.x > self.lower) & (self.x < self.upper))
        if inside.size:
            q, r, pivot = qr(self.atoms[inside].T, pivoting=True, check_finite=False)
            size = np.abs(np.diag(r))
            rank = int((size > DEPENDENT * size[0]).sum())
            self.free, self.q, self.r = inside[pivot[:rank]].tolist(), q, r[:, :rank]
        self._fix()
        self._descend()

    def refine(self) -> None:
        """From here on in doubled precision, with a fresh factorization."""
        self.fine = True
        if self.free:
            self.q, self.r = np.linalg.qr(self.atoms[self.free].T, mode="complete")
        self._fix()
        self._descend()
