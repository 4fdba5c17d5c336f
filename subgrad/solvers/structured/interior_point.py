r"""An interior-point method for atoms whose multipliers lie in boxes.

.. math:: \min_x \ \tfrac12 \langle q x, x \rangle + \langle c, x \rangle
   + \sum_i h_i((A x + b)_i), \qquad
   h_i(z) = \max_{l_i \le y \le u_i} y z - \tfrac12 p_i y^2, \qquad q, p \ge 0

Ends may be infinite. With slacks s = y - l, u - y and their multipliers λ the method
follows s λ = μ -> 0 along

.. math:: q x + c + A^T y = 0, \qquad A x + b - p y + λ_l - λ_u = 0,

y within its box throughout. A step solves (q + Aᵀ D A) d = r twice, 1 / D = p + λ_l /
s_l + λ_u / s_u. With q = p = 0 it is the Frisch-Newton method. S. Mehrotra, On the
implementation of a primal-dual interior point method, SIAM J. Optim. 2 (1992);
S. Portnoy and R. Koenker, The Gaussian hare and the Laplacian tortoise, Statist. Sci.
12 (1997).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from subgrad._check import Array
from subgrad.solvers.structured.boxes import Boxes, boxes
from subgrad.solvers.structured.form import Form
from subgrad.solvers.structured.normal import Dense, Repeated, normal

EPS = float(np.finfo(np.float64).eps)
ULPS = 8
INNER = 0.9  # of the half width, where multipliers start
SHORT = 0.9995  # of the way to the boundary
LARGE = 1e5  # times the weight of other rows: that of equations


class Path:
    """The iterates x, y, λ of one problem, or of a batch along the leading axes.

    `system` has forward, adjoint and factor; q, c (..., n), b, p, low, high (..., m).
    λ of shape (2, ..., m): of the lower and of the upper ends.
    """

    def __init__(
        self,
        system: Any,
        q: Array,
        c: Array,
        box: Boxes,
        x: Array | None = None,
        y: Array | None = None,
    ) -> None:
        self.system, self.q, self.c = system, q, c
        self.b, self.p = box.b, box.p
        self.ends = np.stack([box.low, box.high])
        self._constants()
        with np.errstate(all="ignore"):
            self._start(x, y)

    def _constants(self) -> None:
        ndim = self.ends.ndim
        self.sign = np.array([1.0, -1.0]).reshape(2, *[1] * (ndim - 1))
        bounded = np.isfinite(self.ends)
        self.bounded = None if bounded.all() else bounded
        fixed = self.ends[0] == self.ends[1]
        self.live = ~fixed if fixed.any() else None
        self.sides = self._sum(bounded & ~fixed)
        # Of a linear program, points and multipliers may go different ways.
        self.linear = ~(np.any(self.q > 0, -1) | np.any(self.p > 0, -1))

    def _sum(self, a: Array) -> Array:
        """Over both ends and all rows."""
        return a.sum(-1).sum(0)

    def _start(self, x: Array | None, y: Array | None) -> None:
        low, high = self.ends
        half = (high - low) / 2
        middle = np.where(np.isfinite(half), low + half, np.clip(0.0, low, high))
        g = self.b - self.p * middle
        size = np.abs(g).mean(-1, keepdims=True)
        size = np.where(size > 0, size, 1.0)
        some = np.isfinite(half) & (half > 0)
        usual = np.where(some, half, 0.0).sum(-1, keepdims=True) / np.maximum(
            some.sum(-1, keepdims=True), 1
        )
        usual = np.where(usual > 0, usual, size * self.system.balance())
        half = np.where(np.isfinite(half), half, usual)
        D = 1 / (self.p + size / np.where(half > 0, half, 1.0))
        self.most = LARGE * usual / size
        if self.live is not None:
            D = D * self.live
        A = self.system
        if x is None:
            x = A.factor(D)(self.c + A.adjoint(middle), g)[0]
        self.x = x
        self.z = A.forward(x) + self.b
        if y is None:
            y = middle + D * (self.z - self.p * middle)
        inner = INNER * half
        y = np.minimum(np.maximum(y, middle - inner), middle + inner)
        bare = np.isinf(self.ends)
        y = np.where(bare[0] & ~bare[1], np.minimum(y, high - 0.1 * half), y)
        y = np.where(bare[1] & ~bare[0], np.maximum(y, low + 0.1 * half), y)
        self.y = np.where(low == high, low, y)
        g = self.z - self.p * self.y
        lift = np.abs(g).mean(-1, keepdims=True)
        lift = np.where(lift > 0, lift, size)
        self.lam = np.maximum(-self.sign * g, 0) + lift
        if self.bounded is not None:
            self.lam = self.lam * self.bounded
        if self.live is not None:
            self.lam = self.lam * self.live
        self._reset()

    def _reset(self) -> None:
        self.r = self.q * self.x + self.c + self.system.adjoint(self.y)
        self.s = self.sign * (self.y - self.ends)

    def step(self) -> None:
        """One step."""
        with np.errstate(all="ignore"):
            self._step()

    def _step(self) -> None:
        A, s, lam, sign = self.system, self.s, self.lam, self.sign
        inverse = 1 / s
        if self.live is not None:
            inverse = np.where(self.live, inverse, 0.0)
        ratio = lam * inverse
        E = self.p + ratio[0] + ratio[1]
        D = 1 / np.maximum(E, 1 / self.most) if self.bounded is not None else 1 / E
        if self.live is not None:
            D = np.where(self.live, D, 0.0)
        saddle = A.factor(D)
        g = self.z - self.p * self.y

        def direction(pull: Array | None) -> tuple[Array, Array, Array, Array]:
            """pull: (σ μ - correction) / s."""
            rho = g if pull is None else g + pull[0] - pull[1]
            dx, dy, dz = saddle(self.r, rho)
            dlam = -lam - ratio * (sign * dy)
            if pull is not None:
                dlam += pull
            return dx, dy, dz, dlam

        _, dy, _, dlam = direction(None)
        ds = sign * dy
        if self.live is not None:
            dlam = dlam * self.live
        mu = self._product(s, lam)
        ay, ax = self._lengths(ds * inverse, dlam, 1.0)
        after = self._product(s + ay[..., None] * ds, lam + ax[..., None] * dlam)
        shrink = (after / mu) ** 3
        target = shrink * mu / self.sides
        pull = (target[..., None] - ds * dlam) * inverse
        if self.bounded is not None:
            pull = np.where(self.bounded, pull, 0.0)
        dx, dy, dz, dlam = direction(pull)
        if self.live is not None:
            dlam = dlam * self.live
        ay, ax = self._lengths(sign * dy * inverse, dlam, SHORT)
        if not np.isfinite(ax.sum() + ay.sum() + dx.sum() + dy.sum()):
            good = np.isfinite(ax + ay + dx.sum(-1) + dy.sum(-1) + dlam.sum((0, -1)))
            ax, ay = np.where(good, ax, 0.0), np.where(good, ay, 0.0)
            dx, dy, dz, dlam = (
                np.where(good[..., None], d, 0.0) for d in (dx, dy, dz, dlam)
            )
        self.x = self.x + ax[..., None] * dx
        self.z = self.z + ax[..., None] * dz
        self.lam = lam + ax[..., None] * dlam
        self.y = self.y + ay[..., None] * dy
        self._reset()

    def _product(self, s: Array, lam: Array) -> Array:
        if self.bounded is not None:
            s = np.where(self.bounded, s, 0.0)
        return np.vecdot(s, lam).sum(0)

    def _lengths(self, move: Array, dlam: Array, part: float) -> tuple[Array, Array]:
        """Of y and of x and λ: `part` of the way to the boundary, at most 1."""
        steep = dlam / self.lam
        if self.bounded is not None or self.live is not None:
            steep = np.where(self.lam > 0, steep, 0.0)
        ends = [-a.min(axis=(0, -1)) for a in (move, steep)]
        ay, ax = (part / np.maximum(e, part) for e in ends)
        both = np.minimum(ay, ax)
        return np.where(self.linear, ay, both), np.where(self.linear, ax, both)

    def look(self) -> tuple[Array, Array]:
        """The value at x, and how far it is from a bound without the cost of r."""
        z, (low, high), p, q = self.z, self.ends, self.p, self.q
        with np.errstate(all="ignore"):
            best = np.where(z > 0, high, low)
            best = np.where(p > 0, np.minimum(np.maximum(z / p, low), high), best)
            each = np.where(z == 0, 0.0, best * z)
            each = each - np.where(p > 0, p * best * best, 0.0) / 2
            base = np.vecdot(self.x, q * self.x / 2 + self.c)
            value = each.sum(-1) + base
            dual = np.vecdot(self.y, z - p * self.y / 2) + base
            cost = np.vecdot(np.abs(self.r), np.abs(self.x))
        return value, value - dual + cost

    def lower(self, value: Array, some: Any) -> Array:
        """The lower bounds of these problems of the batch; `value` at x, of all."""
        A, value, ends = self.system.keep(some), value[some], self.ends[:, some]
        x, y, q, c, b, p = (
            getattr(self, name)[some] for name in ("x", "y", "q", "c", "b", "p")
        )
        with np.errstate(all="ignore"):
            y = np.minimum(np.maximum(y, ends[0]), ends[1])
            r = q * x + c + A.adjoint(y)
            # What r is wrong by, from the sums that it is made of.
            blur = ULPS * EPS * (np.abs(q * x) + np.abs(c) + A.sizes(y))
            parts = b * y, -p * y * y / 2, -q * x * x / 2, r * x
            total = sum(a.sum(-1) for a in parts)
            loss = sum(np.abs(a).sum(-1) for a in parts)
            loss = ULPS * EPS * loss + np.vecdot(blur, np.abs(x))
            flat, size = q == 0, np.abs(r) + blur
            loss += np.where(flat, 0.0, size * size / (2 * q)).sum(-1)
            far = np.linalg.norm(np.where(flat, size, 0.0), axis=-1)
            open_ = np.flatnonzero(far > 0)
            if len(open_):
                near = reach(
                    A.keep(open_),
                    value[open_] - total[open_],
                    np.linalg.norm(size[open_], axis=-1),
                    *(a[open_] for a in (A.forward(x) + b, y, p)),
                    ends[:, open_],
                )
                loss[open_] += far[open_] * near
            bound = total - loss
        return np.where(np.isnan(bound), -np.inf, bound)

    def keep(self, some: Any) -> None:
        """Only these problems of the batch."""
        for name in ("x", "y", "z", "r", "q", "c", "b", "p", "most"):
            setattr(self, name, getattr(self, name)[some])
        for name in ("lam", "s", "ends"):
            setattr(self, name, getattr(self, name)[:, some])
        self.system = self.system.keep(some)
        self._constants()


def reach(
    A: Any, gap: Array, r: Array, z: Array, y: Array, p: Array, ends: Array
) -> Array:
    r"""How far minimisers can be from x, inf where nothing is known.

    z = A x + b, `gap` the value at x less the bound with multipliers y there, r the
    size of what is left of the slope. With y + v in the box for |v_i| <= W_i, and σ the
    least singular value of W A, every minimiser x' has

    .. math:: (\sigma - |r|) \, |x' - x| \le \text{gap} + |W (z - p y)|_2
       + \tfrac12 \max_i p_i W_i^2.
    """
    W = np.minimum(y - ends[0], ends[1] - y)
    room = np.abs(gap) + np.abs(y * (z - p * y / 2)).sum(-1)
    W = np.maximum(np.minimum(W, np.sqrt(room[..., None] / p)), 0.0)
    W = np.where(np.isfinite(W), W, 1.0)
    spread = np.linalg.norm(W * (z - p * y), axis=-1) + (p * W * W).max(-1) / 2
    G = A.gram(W * W)
    n = G.shape[-1]
    at = np.arange(n)
    top = G[..., at, at].sum(-1)
    # The sums are wrong by this much at most; the shift makes G invertible as well.
    shift = np.where(top > 0, 8 * n * EPS * top, 1.0)
    G[..., at, at] += shift[..., None]
    inverse = np.linalg.inv(G)
    square = 1 / (2 * np.sqrt(np.square(inverse).sum((-2, -1)))) - 2 * shift
    sigma = np.sqrt(np.maximum(square, 0.0))
    return np.where(
        sigma > 2 * r, np.maximum(gap + spread, 0.0) / (sigma - r), np.inf
    )


class Boxed(NamedTuple):
    """x (..., n), y (..., m), the value at x and a lower bound on all values (...)."""

    x: Array
    y: Array
    value: Array
    lower: Array


def box_dual(
    q: Any,
    c: Any,
    A: Any,
    b: Any,
    low: Any,
    high: Any,
    p: Any = 0.0,
    *,
    gap: float = 1e-6,
    steps: int = 60,
) -> Boxed:
    r"""Minimisers of the formula above, for a batch of data along the leading axes.

    A (..., m, n); q, c (..., n) and b, low, high, p (..., m), or what broadcasts to
    these. Each is solved until value - lower <= gap max(1, |value|), or for so many
    steps; lower is -inf where no bound is found. With r = q x + c + Aᵀ y it is

    .. math:: \langle b, y \rangle - \tfrac12 \langle p y, y \rangle
       - \tfrac12 \langle q x, x \rangle + \langle r, x \rangle
       - \sum_{q_j > 0} \frac{r_j^2}{2 q_j}
       - u \Big( \sum_{q_j = 0} r_j^2 \Big)^{1/2},

    u the distance within which minimisers lie: see `reach`.
    """
    A = np.asarray(A, float)
    m, n = A.shape[-2:]
    rows, columns = (b, low, high, p), (q, c)
    lead = np.broadcast_shapes(
        A.shape[:-2], *(np.shape(a)[:-1] for a in (*rows, *columns))
    )
    count = math.prod(lead)

    def flat(a: Any, k: int) -> Array:
        a = np.broadcast_to(np.asarray(a, float), (*lead, k))
        return np.ascontiguousarray(a.reshape(count, k))

    q, c = (flat(a, n) for a in columns)
    b, low, high, p = (flat(a, m) for a in rows)
    if A.ndim > 2:
        A = np.broadcast_to(A, (*lead, m, n)).reshape(count, m, n)
    path = Path(Dense(q, A), q, c, Boxes(b, p, low, high))
    out = Boxed(
        np.zeros((count, n)), flat(0.0, m), np.full(count, np.inf),
        np.full(count, -np.inf),
    )  # fmt: skip
    at = np.arange(count)
    for k in range(steps):
        path.step()
        value, rough = path.look()
        room = gap * np.maximum(1, np.abs(value))
        lost = ~np.isfinite(path.x.sum(-1) + path.y.sum(-1))
        near = np.flatnonzero((rough <= room) | (k == steps - 1))
        lower = np.full(len(at), -np.inf)
        if len(near):
            lower[near] = path.lower(value, near)
        better = np.isfinite(value) & ((value - lower <= room) | (k == steps - 1))
        for to, new in zip(out, (path.x, path.y, value, lower), strict=True):
            to[at[better]] = new[better]
        over = better | lost
        if over.all():
            break
        if over.any():
            at = at[~over]
            path.keep(~over)
    return Boxed(*(a.reshape(*lead, *a.shape[1:]) for a in out))


class InteriorPoint:
    """The method on one form: x, y and z = A x + b after `step()`s.

    ValueError where an atom is none of boxes, or a map is known by products only.
    """

    def __init__(
        self, form: Form, x: Array | None = None, y: Array | None = None
    ) -> None:
        self.form = form
        found = [boxes(k.h, len(k.b)) for k in form.blocks]
        system = normal(form)
        if system is None or any(box is None for box in found):
            raise ValueError(
                "InteriorPoint takes atoms whose multipliers lie in intervals, with a "
                "linear or quadratic conjugate, of matrices"
            )
        box = _joined([b for b in found if b is not None], form)
        self.row = None
        m = len(form.b)
        if len(box.row) != m or np.any(box.row != np.arange(m)):
            self.row = box.row
            system = Repeated(system, box.row, m)
        self.path = Path(system, form.q, form.c, box, x, None)
        self._read()

    def _read(self) -> None:
        path = self.path
        self.x, self.y = path.x, path.y
        if self.row is not None:
            self.y = np.bincount(self.row, path.y, len(self.form.b))

    @property
    def z(self) -> Array:
        """A x + b."""
        return self.form.linear(self.x) + self.form.b

    def step(self) -> None:
        """One step of the predictor and the corrector."""
        self.path.step()
        self._read()


def _joined(found: list[Boxes], form: Form) -> Boxes:
    """All of them, b and rows those of the form."""
    row = np.concatenate(
        [box.row + at.start for box, at in zip(found, form.cuts, strict=True)]
    )
    b, p, low, high = (
        np.concatenate([getattr(box, name) for box in found])
        for name in ("b", "p", "low", "high")
    )
    return Boxes(form.b[row] + b, p, low, high, row)
