r"""The parts f of a composed atom: what a weight λ does to them.

With p = prox_{μf}(z), g = (z - p) / μ and J the Jacobian of that prox at z, a kind of
summands, `rows` arguments in one vector, has

heights(z, μ)      f(p) and <g, J g>, of each piece the sum (k,)
gradients(z, μ)    g; a subgradient at z where μ = 0
derivatives(...)   J g and I - J, the latter as a diagonal and columns
star(y, λ)         Σ λ f*(y / λ), y a point that to_domain(y, λ) gave
slopes(v, on)      f*(v), of each piece the sum, for the pieces that are on
room(y, λ, z, a)   the `Room` of λ f*(y / λ) there, y turned by up to a

μ and λ (k,) are given per piece; `owner` (rows,) says to which an argument belongs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from subgrad._check import Array
from subgrad._jacobian import Jacobian, LowRank
from subgrad.core import Function
from subgrad.univariate.convex import Smooth

EPS = float(np.finfo(np.float64).eps)
SMALL = 50_000  # entries of what is kept as a dense matrix
Pair = tuple[Array, Array]


class Room(NamedTuple):
    """W, t, l, U and the charge of `Margins`."""

    W: Array
    t: Array
    loss: float
    U: Array
    back: float = 0.0


def on_line(star: Any, v: Array, loose: bool = False) -> tuple[Array, Array, Array]:
    """W, t and l of φ* on the line, one of each per entry of v."""
    if star.polyhedral and not loose:
        points, slopes = star.breakpoints, star.slopes
        k = np.searchsorted(points, v)
        ends = np.concatenate([[-np.inf], points, [np.inf]])
        W, t = np.minimum(v - ends[k], ends[k + 1] - v), slopes[k]
        inside = np.isfinite(t)
        return np.where(inside, W, 0.0), np.where(inside, t, 0.0), 0 * v
    low, high = star.ends
    W = 0.5 * np.minimum(np.minimum(v - low, high - v), 1 + np.abs(v))
    t = np.clip(0.0, star._left(v), star._right(v))
    on = (W > 0) & np.isfinite(t)
    W, t = np.where(on, W, 0.0), np.where(on, t, 0.0)
    bend = [star._value(v + e) - star._value(v) - t * e for e in (W, -W)]
    return W, t, np.where(on, np.maximum(*bend), 0.0)


class Columns:
    """V and e of a sum of V diag(e) Vᵀ, V with n rows, of which few are not zero."""

    def __init__(self, n: int) -> None:
        self.n, self.entries = n, list[tuple[Array, Array, Array]]()
        self.e = list[Array]()

    def by_group(self, v: Array, labels: Array, e: Array, start: int = 0) -> None:
        """A column for each e_g that is not 0: v on the group g."""
        some = np.flatnonzero(e)
        place = np.full(len(e), -1)
        place[some] = np.arange(len(some))
        at = np.flatnonzero(place[labels] >= 0)
        self._add(at + start, place[labels[at]], v[at], e[some])

    def dense(self, V: Array, e: Array, start: int = 0) -> None:
        """These, from the row `start` on."""
        rows, columns = np.nonzero(V)
        self._add(rows + start, columns, V[rows, columns], e)

    def _add(self, rows: Array, columns: Array, values: Array, e: Array) -> None:
        self.entries.append((rows, columns + sum(map(len, self.e)), values))
        self.e.append(e)

    def total(self) -> tuple[Any, Array]:
        """V, sparse where it is large, and e."""
        e = np.concatenate(self.e)
        rows, columns, values = map(np.concatenate, zip(*self.entries, strict=True))
        if self.n * len(e) > SMALL:
            from scipy.sparse import csc_array

            return csc_array((values, (rows, columns)), shape=(self.n, len(e))), e
        V = np.zeros((self.n, len(e)))
        V[rows, columns] = values
        return V, e


class Rounds:
    """Norms w |z| and squares c/2 |z|², one of w and c zero, of consecutive groups.

    sizes, piece, w and c have an entry per group.
    """

    def __init__(self, sizes: Array, piece: Array, w: Array, c: Array, k: int) -> None:
        self.labels, self.count, self.k = np.repeat(np.arange(len(w)), sizes), len(w), k
        self.piece, self.w, self.c = piece, w, c
        self.rows, self.owner = len(self.labels), piece[self.labels]

    def _lengths(self, z: Array) -> Array:
        return np.sqrt(np.bincount(self.labels, z * z, self.count))

    def heights(self, z: Array, mu: Array) -> Pair:
        size, m = self._lengths(z), mu[self.piece]
        left, r = np.maximum(size - self.w * m, 0.0), 1 / (1 + self.c * m)
        slope = self.c * size * r
        value = self.w * left + 0.5 * slope * size * r
        bend = np.where(left > 0, self.w**2, 0.0) + slope**2 * r
        return tuple(np.bincount(self.piece, a, self.k) for a in (value, bend))  # type: ignore[return-value]

    def gradients(self, z: Array, mu: Array) -> Array:
        size, m = self._lengths(z), mu[self.piece]
        far = np.maximum(size, self.w * m)
        scale = self.w / np.where(far > 0, far, 1.0) + self.c / (1 + self.c * m)
        return scale[self.labels] * z

    def derivatives(self, z: Array, mu: Array, found: Columns, start: int) -> Pair:
        size, m = self._lengths(z), mu[self.piece]
        far, r = np.where(size > 0, size, 1.0), 1 / (1 + self.c * m)
        part = np.where(m > 0, np.minimum(self.w * m / far, 1.0), 0.0)
        inner = (self.w > 0) & (m > 0) & (part < 1)
        found.by_group(z / far[self.labels], self.labels, -part * inner, start)
        along = np.where(inner, self.w / far, 0.0) + self.c * r**2
        return along[self.labels] * z, (part + self.c * m * r)[self.labels]

    def star(self, y: Array, lam: Array) -> float:
        on = (self.c > 0) & (lam[self.piece] > 0)
        curved = self.c[on] * lam[self.piece][on]
        return float(np.sum(self._lengths(y)[on] ** 2 / (2 * curved)))

    def slopes(self, v: Array, on: Any) -> Array:
        star = self._lengths(v) ** 2 / (2 * np.where(self.c > 0, self.c, np.inf))
        return np.bincount(self.piece, star * on[self.piece], self.k)

    def room(self, y: Array, lam: Array, z: Array, turn: float) -> Room:
        """That of `margins` for norms; |y|² / (2 c λ) of squares."""
        m, size = lam[self.piece], self._lengths(y)
        radius = self.w * m
        rest = np.maximum(radius - size, 0.0)
        edge = (rest <= turn * radius) & (radius > 0) & (turn > 0)
        W = np.where(edge, radius * turn / np.sqrt(1 + turn**2), rest)
        back = np.where(edge, rest + radius * turn**2 / 2, 0.0)
        at = np.flatnonzero(edge)
        far = np.where(size > 0, size, 1.0)[self.labels]
        U = np.where(self.labels == at[:, None], y / far, 0.0)
        W, t, loss = W[self.labels], 0 * y, float(back @ self._lengths(z))
        curved = (self.c * m)[self.labels]
        if curved.any():
            # As much as these multipliers are on the average, which must not change
            # with what rounding makes of a weight 0.
            some, top = curved > 0, float(curved.max())
            usual = float(np.abs(y) @ curved / curved.sum()) + EPS
            W = np.where(some, usual * np.sqrt(curved / top), W)
            t = np.where(some, y / np.where(some, curved, 1.0), 0.0)
            loss += usual**2 / (2 * top)
        return Room(W, t, loss, U, float(np.linalg.norm(back)))

    def to_domain(self, y: Array, lam: Array) -> Array:
        m, size = lam[self.piece], self._lengths(y)
        far = np.where(size > 0, size, 1.0)
        part = np.where(self.c > 0, m > 0, np.minimum(self.w * m / far, 1.0))
        return part[self.labels] * y


class Lines:
    """Sums of w_j φ(z_j), φ finite and convex on the line, w and owner one per j."""

    def __init__(self, phi: Any, w: Array, owner: Array, k: int) -> None:
        self.phi, self.w, self.owner, self.k = phi, w, owner, k
        self.rows, self._star = len(w), phi.conjugate()

    def _near(self, z: Array, mu: Array) -> Any:
        """p, g / w and J."""
        steps = mu[self.owner] * self.w
        on = steps > 0
        safe = np.where(on, steps, 1.0)
        p = np.where(on, self.phi._prox(z, safe), z)
        # Exactly a slope, which the difference alone is only up to rounding.
        low, high = self.phi._left(p), self.phi._right(p)
        g = np.where(on, np.clip((z - p) / safe, low, high), high)
        smooth = isinstance(self.phi, Smooth)
        J = (
            1 / (1 + safe * self.phi._curvature(p))
            if smooth
            else (self.phi._prox_slope(z, safe))
        )
        return p, g, np.where(on, J, 1.0)

    def heights(self, z: Array, mu: Array) -> Pair:
        p, g, J = self._near(z, mu)
        value, bend = self.w * self.phi._value(p), J * (self.w * g) ** 2
        return tuple(np.bincount(self.owner, a, self.k) for a in (value, bend))  # type: ignore[return-value]

    def gradients(self, z: Array, mu: Array) -> Array:
        return self.w * self._near(z, mu)[1]

    def derivatives(self, z: Array, mu: Array, found: Columns, start: int) -> Pair:
        _, g, J = self._near(z, mu)
        return J * self.w * g, 1 - J

    def star(self, y: Array, lam: Array) -> float:
        m = lam[self.owner] * self.w
        on = m > 0
        v = np.clip(y[on] / m[on], *self._star.ends)
        return float(np.sum(m[on] * self._star._value(v)))

    def slopes(self, v: Array, on: Any) -> Array:
        inside = np.clip(v / self.w, *self._star.ends)
        star = np.where(on[self.owner], self.w * self._star._value(inside), 0.0)
        return np.bincount(self.owner, star, self.k)

    def room(self, y: Array, lam: Array, z: Array, turn: float) -> Room:
        m = lam[self.owner] * self.w
        on = m > 0
        v = np.clip(y / np.where(on, m, 1.0), *self._star.ends)
        W, t, bend = on_line(self._star, v)
        return Room(m * W, np.where(on, t, 0.0), float(m @ bend), _none(y))

    def to_domain(self, y: Array, lam: Array) -> Array:
        m = lam[self.owner] * self.w
        v = np.clip(y / np.where(m > 0, m, 1.0), *self._star.ends)
        return np.where(m > 0, m * v, 0.0)


class One:
    """A finite function f of all rows."""

    def __init__(self, f: Function, rows: int, piece: int, k: int) -> None:
        self.f, self.rows, self.piece, self.k = f, rows, piece, k
        self.owner = np.full(rows, piece)

    def _bent(self, z: Array, m: float, g: Array) -> Array:
        """J g."""
        return g - self.f._dual_prox_jacobian(z / m, np.asarray(1 / m)).apply(g)

    def heights(self, z: Array, mu: Array) -> Pair:
        value, bend, m = np.zeros(self.k), np.zeros(self.k), float(mu[self.piece])
        g = self.gradients(z, mu)
        value[self.piece] = self.f._value(z - m * g)
        bend[self.piece] = g @ (self._bent(z, m, g) if m > 0 else g)
        return value, bend

    def gradients(self, z: Array, mu: Array) -> Array:
        m = float(mu[self.piece])
        if m == 0:
            return self.f._subgradient(z)
        return self.f._dual_prox(z / m, np.asarray(1 / m))

    def derivatives(self, z: Array, mu: Array, found: Columns, start: int) -> Pair:
        m = float(mu[self.piece])
        if m == 0:
            return 0 * z, 0 * z
        d, V, e = low_rank(self.f._dual_prox_jacobian(z / m, np.asarray(1 / m)))
        found.dense(V, e, start)
        return self._bent(z, m, self.gradients(z, mu)), d

    def star(self, y: Array, lam: Array) -> float:
        from subgrad.solvers.structured.domains import conjugate_value

        m = float(lam[self.piece])
        return m * conjugate_value(self.f, y / m) if m > 0 else 0.0

    def slopes(self, v: Array, on: Any) -> Array:
        from subgrad.solvers.structured.domains import conjugate_value

        value = conjugate_value(self.f, v) if on[self.piece] else 0.0
        return value * (np.arange(self.k) == self.piece)

    def room(self, y: Array, lam: Array, z: Array, turn: float) -> Room:
        return Room(0 * y, 0 * y, 0.0, _none(y))

    def to_domain(self, y: Array, lam: Array) -> Array:
        from subgrad.solvers.structured.domains import to_domain

        m = float(lam[self.piece])
        return m * to_domain(self.f, y / m) if m > 0 else 0 * y


class Stretched:
    """z -> f(a z) of the summands f of a kind.

    p, g and J of it at z are p / a, a g and J at a z, with a² μ in the place of μ.
    """

    def __init__(self, kind: Any, a: float) -> None:
        self.kind, self.a, self.rows, self.owner = kind, a, kind.rows, kind.owner

    def heights(self, z: Array, mu: Array) -> Pair:
        value, bend = self.kind.heights(self.a * z, self.a**2 * mu)
        return value, self.a**2 * bend

    def gradients(self, z: Array, mu: Array) -> Array:
        return self.a * self.kind.gradients(self.a * z, self.a**2 * mu)

    def derivatives(self, z: Array, mu: Array, found: Columns, start: int) -> Pair:
        args = self.a * z, self.a**2 * mu, found, start
        along, rest = self.kind.derivatives(*args)
        return self.a * along, rest

    def star(self, y: Array, lam: Array) -> float:
        return float(self.kind.star(y / self.a, lam))

    def slopes(self, v: Array, on: Any) -> Array:
        return np.asarray(self.kind.slopes(v / self.a, on))

    def room(self, y: Array, lam: Array, z: Array, turn: float) -> Room:
        found = self.kind.room(y / self.a, lam, self.a * z, turn)
        return found._replace(
            W=self.a * found.W, t=found.t / self.a, back=self.a * found.back
        )

    def to_domain(self, y: Array, lam: Array) -> Array:
        return self.a * self.kind.to_domain(y / self.a, lam)


def _none(y: Array) -> Array:
    return np.zeros((0, len(y)))


def low_rank(J: Any) -> tuple[Array, Array, Array]:
    """d, V, e with J = diag(d) + V diag(e) Vᵀ."""
    if isinstance(J, LowRank):
        V = J.V if isinstance(J.V, np.ndarray) else J.V.toarray()
        return J.d, V, J.e
    if not isinstance(J, Jacobian):
        e, V = np.linalg.eigh(J.dense())
        return np.zeros(len(V)), V, e
    if J.u is None:
        return J.d, np.zeros((len(J.d), 0)), np.zeros(0)
    labels = np.zeros(len(J.d), int) if J.labels is None else J.labels
    some = np.flatnonzero(J.along)
    return J.d, J.u[:, None] * (labels[:, None] == some), J.along[some]
