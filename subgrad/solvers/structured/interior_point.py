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

from typing import Any, NamedTuple

import numpy as np

from subgrad._check import Array
from subgrad.solvers.structured.boxes import Boxes, boxes
from subgrad.solvers.structured.form import Form
from subgrad.solvers.structured.normal import Dense, normal

EPS = float(np.finfo(np.float64).eps)
ULPS = 8
INNER = 0.9  # of the half width, where multipliers start
SHORT = 0.9995  # of the way to the boundary
LARGE = 1e9  # times the weight of other rows: that of equations


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
            solve = A.factor(D)
            x = solve(-self.c - A.adjoint(middle + D * g))
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
        solve = A.factor(D)
        g = self.z - self.p * self.y

        def direction(pull: Array | None) -> tuple[Array, Array, Array, Array]:
            """pull: (σ μ - correction) / s."""
            rho = g if pull is None else g + pull[0] - pull[1]
            dx = solve(-self.r - A.adjoint(D * rho))
            dz = A.forward(dx)
            dy = D * (dz + rho)
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

    def keep(self, some: Any) -> None:
        """Only these problems of the batch."""
        for name in ("x", "y", "z", "r", "q", "c", "b", "p", "most"):
            setattr(self, name, getattr(self, name)[some])
        for name in ("lam", "s", "ends"):
            setattr(self, name, getattr(self, name)[:, some])
        self.system = self.system.keep(some)
        self._constants()
