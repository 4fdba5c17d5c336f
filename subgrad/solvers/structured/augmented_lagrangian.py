r"""The proximal method of multipliers, its steps found by semismooth Newton.

.. math:: x_+ \approx \mathrm{argmin}_x \ \tfrac12 \langle q x, x \rangle
   + \langle c, x \rangle + \frac{1}{2\sigma} |Y(x)|^2 \text{-type penalty}
   + \frac{1}{2\tau} |x - x_k|^2, \qquad
   y_+ = Y(x_+), \quad Y(x) = \mathrm{prox}_{\sigma h^*}(y_k + \sigma (A x + b))

The gradient of what is minimised is q x + c + (x - x_k) / τ + Aᵀ Y(x), and
q + 1/τ + σ Aᵀ J A, J a Jacobian of the prox, an element of its Clarke derivative.
R. T. Rockafellar, Augmented Lagrangians and applications of the proximal point
algorithm in convex programming, Math. Oper. Res. 1 (1976); X. Li, D. Sun and
K.-C. Toh, A highly efficient semismooth Newton augmented Lagrangian method for solving
lasso problems, SIAM J. Optim. 28 (2018).
"""

from __future__ import annotations

import numpy as np

from subgrad._check import Array
from subgrad.solvers.structured.form import Form
from subgrad.solvers.structured.newton import Systems

INNER = 30  # Newton steps within one step of the multipliers
EPS = float(np.finfo(np.float64).eps)


class AugmentedLagrangian:
    """The method on one form: x, y and z = A x + b after `step()`s.

    `newtons` counts the Newton steps.
    """

    def __init__(
        self, form: Form, x: Array | None = None, y: Array | None = None
    ) -> None:
        self.form, self.systems = form, Systems(form)
        self.x = np.zeros(form.n) if x is None else np.array(x)
        self.z = form.linear(self.x) + form.b
        self.unit = _scale(form)
        self.sigma, self.grow = 10 * self.unit, 3.0
        if y is None:
            y = form.dual_prox(np.zeros(len(form.b)), np.asarray(self.sigma))
        self.y = y
        self.strong = bool(np.all(form.q > 0))
        self.span = 100 / (self.unit**2 * max(form.square, 1e-300))
        self.newtons, self.failures = 0, 0

    def residual(self) -> Array:
        """q x + c + Aᵀ y, zero at a saddle point."""
        return self.form.q * self.x + self.form.c + self.form.adjoint(self.y)

    def step(self) -> None:
        """One step of the multipliers."""
        form, sigma, xk, yk = self.form, self.sigma, self.x, self.y
        back = 0.0
        if not self.strong:
            limit = 1e11 * form.n / (sigma * max(form.square, 1e-300))
            back = 1 / min(self.span * sigma, limit)
        D = form.q + back
        s = np.asarray(sigma)
        x, z = xk.copy(), self.z
        low = np.sqrt(D.min()) if D.min() > 0 else 0.0
        settled = False
        for used in range(INNER + 1):
            w = yk + sigma * z
            y = form.dual_prox(w, s)
            slope = form.q * x + form.c + back * (x - xk)
            g = slope + form.adjoint(y)
            away = _square(y - yk) / sigma + back * _square(x - xk)
            size = np.sqrt(form.square) * np.sqrt(_square(y))
            floor = 3 * EPS * (size + np.linalg.norm(form.c) + np.linalg.norm(slope))
            if np.linalg.norm(g) <= max(0.1 * np.sqrt(away) * low, floor):
                settled = True
                break
            if used == INNER:
                break
            d = self.systems.solve(D, sigma, form.jacobians(w, s), -g)
            dz = form.linear(d)
            t = self._search(w, dz, float(slope @ d), float(D @ (d * d)), float(g @ d))
            if t == 0:
                break
            x, z = x + t * d, z + t * dz
            self.newtons += 1
        self.z = form.linear(x) + form.b
        if settled or self._better(x, xk, y, yk):
            self.x = x
            self.y = form.dual_prox(yk + sigma * self.z, s)
            if used <= 0.6 * INNER:
                faster = 3 if used <= 2 else 1
                most = 1e10 if self.strong else 1e6
                self.sigma = min(faster * self.grow * sigma, most * self.unit)
        else:
            self.failures += 1
            self.sigma = sigma / self.grow
            self.grow = max(1.5, self.grow**0.7)
            self.z = form.linear(xk) + form.b

    def _better(self, x: Array, xk: Array, y: Array, yk: Array) -> bool:
        return False

    def _search(self, w: Array, dz: Array, a: float, b: float, first: float) -> float:
        """t with |φ'(t)| <= |φ'(0)| / 10, φ'(t) = a + b t + <Y(t), dz>."""
        form, sigma = self.form, self.sigma
        s, move = np.asarray(sigma), sigma * dz

        def slope(t: float) -> float:
            return a + b * t + float(form.dual_prox(w + t * move, s) @ dz)

        if first >= 0:
            return 0.0
        goal = 0.1 * -first
        low, at_low, t = 0.0, first, 1.0
        at = slope(1.0)
        if at <= goal:
            # Not beyond the minimum by much: long steps while it still falls.
            for _ in range(10):
                if at >= -goal or at >= 0.9 * at_low:
                    return t
                low, at_low = t, at
                t = 2 * t
                at = slope(t)
            if at <= goal:
                return t
        high, at_high = t, at
        for _ in range(12):
            part = -at_low / (at_high - at_low)
            t = low + min(max(part, 0.05), 0.95) * (high - low)
            at = slope(t)
            if abs(at) <= goal:
                return t
            if at > 0:
                high, at_high = t, at
            else:
                low, at_low = t, at
        return low if low > 0 else t


def _square(x: Array) -> float:
    return float(np.vdot(x, x))


def _scale(form: Form) -> float:
    """How large multipliers are against the values A x + b."""
    if form.dual or np.all(form.q > 0):
        total = float(form.q.sum()) or float(form.n)
        return total / max(form.square, 1e-300)
    largest, b = 0.0, np.abs(form.b)
    typical = float(np.median(b[b > 0])) if b.any() else 1.0
    sign = np.where(np.arange(len(form.b)) % 2 == 0, typical, -typical)
    for k, at in zip(form.blocks, form.cuts, strict=True):
        for z in (form.b[at] + sign[at], form.b[at] - sign[at]):
            value, g = k.h._oracle(z)
            if np.isfinite(value) and np.isfinite(g).all():
                largest = max(largest, float(np.sqrt(np.mean(g * g))))
    return (largest or 1.0) / typical
