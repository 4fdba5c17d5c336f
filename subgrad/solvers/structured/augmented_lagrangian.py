r"""The proximal method of multipliers, its steps found by semismooth Newton.

.. math:: x_+ \approx \mathrm{argmin}_x \ \tfrac12 \langle q x, x \rangle
   + \langle c, x \rangle + M(x) + \frac{1}{2\tau} |x - x_k|^2, \quad
   \nabla M(x) = A^T Y(x), \quad y_+ = Y(x_+)

with Y(x) = prox of σ h* at y_k + σ (A x + b), a σ_k = ρ_k σ for each block, M the
envelope of h with y_k. What Newton's method solves with is q + 1/τ + Aᵀ σ J A, J an
element of the Clarke derivative of the prox. R. T. Rockafellar, Augmented Lagrangians
and applications of the proximal point algorithm in convex programming, Math. Oper.
Res. 1 (1976); X. Li, D. Sun and K.-C. Toh, A highly efficient semismooth Newton
augmented Lagrangian method for solving lasso problems, SIAM J. Optim. 28 (2018).
"""

from __future__ import annotations

import math

import numpy as np

from subgrad._check import Array
from subgrad.solvers.structured.form import Form
from subgrad.solvers.structured.newton import Systems

INNER = 30  # Newton steps within one step of the multipliers
FEW = 6  # after which σ may grow, with q > 0
LOST = 1e-10  # of what is summed, at most
EPS = float(np.finfo(np.float64).eps)


class AugmentedLagrangian:
    """The method on one form: x, y and z = A x + b after so many `step()`s.

    `newtons` counts the Newton steps, `failures` the steps that were taken back.
    """

    def __init__(
        self, form: Form, x: Array | None = None, y: Array | None = None
    ) -> None:
        self.form, self.systems = form, Systems(form)
        self.x = np.zeros(form.n) if x is None else np.array(x)
        self.z = form.linear(self.x) + form.b
        self.rho, longest = rates(form)
        self.square = longest * len(form.b)
        self.unit = typical_ratio(form, self.rho, self.square)
        # Near a solution there is no need to go slowly.
        self.sigma, self.grow = (
            (10 if x is None or y is None else 1000) * self.unit,
            3.0,
        )
        if y is None:
            y = form.dual_prox(np.zeros(len(form.b)), self.sigma * self.rho)
        self.y = y
        self.strong = bool(np.all(form.q > 0))
        self.span = 100 / (self.unit**2 * self.square)
        self.steps, self.newtons, self.failures = 0, 0, 0

    def residual(self) -> Array:
        """q x + c + Aᵀ y, zero at a saddle point."""
        return self.form.q * self.x + self.form.c + self.form.adjoint(self.y)

    def step(self) -> None:
        """One step of the multipliers."""
        form, sigma, xk, yk = self.form, self.sigma, self.x, self.y
        back = 0.0
        if not self.strong:
            limit = 1e11 * form.n / (sigma * self.square)
            back = 1 / min(self.span * sigma, limit)
        D = form.q + back
        sigmas = sigma * self.rho
        each = form.spread(sigmas)
        x, z = xk, self.z
        low = math.sqrt(D.min())
        fixed = _size(form.c)
        settled = exact = False
        first, last, still = 0.0, np.inf, 0
        for used in range(INNER + 1):
            w = yk + each * z
            y = form.dual_prox(w, sigmas)
            slope = form.q * x + form.c + back * (x - xk)
            g = slope + form.adjoint(y)
            step = y - yk
            away = float(np.vdot(step, step / each)) + back * _square(x - xk)
            size = math.sqrt(self.square) * _size(y) + fixed + _size(slope)
            floor, error = 3 * EPS * size, _size(g)
            if error <= 1e5 * LOST * size and form.dual and self.strong:
                # What a shrinkage leaves of w is wrong by as much as w.
                lost = EPS * math.sqrt(self.square) * _size(w[y != 0])
                floor = max(floor, min(lost, LOST * size))
            first = error if used == 0 else first
            # Newton's method near the end stands still at what rounding leaves.
            still = still + 1 if error > 0.5 * last else 0
            last = min(error, last)
            exact = error <= max(0.1 * math.sqrt(away) * low, floor)
            near = still > 1 and error <= 1e5 * floor
            near = near and (error <= 1e-4 * first or first <= 1e5 * floor)
            if settled := exact or near:
                break
            if used == INNER:
                break
            d = self.systems.solve(D, sigmas, form.jacobians(w, sigmas), -g)
            dz = form.linear(d)
            ends = float(slope @ d), float(D @ (d * d)), float(g @ d)
            t = self._search(w, each * dz, dz, sigmas, *ends)
            if t == 0:
                break
            x, z = x + t * d, z + t * dz
            self.newtons += 1
        self.steps += 1
        if not settled:
            self.failures += 1
            self.sigma = sigma / self.grow
            if self.failures == self.steps:
                # What was given to start from is not near a solution.
                self.sigma = min(self.sigma, 10 * self.unit)
            self.grow = max(1.5, self.grow**0.7)
            return
        self.x, self.z = x, form.linear(x) + form.b
        self.y = form.dual_prox(yk + each * self.z, sigmas)
        if exact and used <= (FEW if self.strong else 0.6 * INNER):
            faster = 3 if used <= 2 else 1
            most = 1e20 if self.strong else 1e6
            self.sigma = min(faster * self.grow * sigma, most * self.unit)

    def _search(
        self, w: Array, move: Array, dz: Array, sigmas: Array, a: float, b: float,
        first: float,
    ) -> float:  # fmt: skip
        """t with |φ'(t)| <= |φ'(0)| / 10, φ'(t) = a + b t + <Y(t), dz>, φ convex."""
        form = self.form

        def slope(t: float) -> float:
            return a + b * t + float(form.dual_prox(w + t * move, sigmas) @ dz)

        if not first < 0:
            return 0.0
        goal = -0.1 * first
        low, at_low, t = 0.0, first, 1.0
        at = slope(t)
        for _ in range(10):
            # The step 1 is good where it is not beyond the minimum by much.
            if at > goal or at >= -goal or at >= 0.9 * at_low:
                break
            low, at_low, t = t, at, 2 * t
            at = slope(t)
        if at <= goal:
            return t
        high, at_high = t, at
        for _ in range(12):
            share = at_low / (at_low - at_high)
            t = low + min(max(share, 0.05), 0.95) * (high - low)
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


def _size(x: Array) -> float:
    return math.sqrt(np.vdot(x, x))


def _rms(x: Array) -> float:
    return float(np.sqrt(np.mean(x * x)))


def rates(form: Form) -> tuple[Array, float]:
    """The ρ_k with which rows of all blocks are of one length, and its square."""
    lengths = np.array([k.square / len(k.b) for k in form.blocks])
    lengths[lengths == 0] = lengths.max() or 1.0
    longest = float(lengths.max())
    return longest / lengths, longest


def typical_ratio(form: Form, rho: Array, square: float) -> float:
    """How large multipliers are against the values A x + b."""
    if np.all(form.q > 0):
        return float(form.q.sum()) / square
    if form.dual:
        # z is a slope of the atom g, and its multiplier the x with A x = b.
        g = form.blocks[0].h.f  # type: ignore[attr-defined]
        slope = _slopes(g, np.ones(len(form.b)))
        length = float(np.linalg.norm(form.c)) / np.sqrt(square)
        return (length or 1.0) / (slope or 1.0)
    largest, b = 0.0, np.abs(form.b + form.linear(form.member))
    typical = float(np.median(b[b > 0])) if b.any() else 1.0
    sign = np.where(np.arange(len(form.b)) % 2 == 0, typical, -typical)
    for k, at, scale in zip(form.blocks, form.cuts, rho, strict=True):
        for z in (form.b[at] + sign[at], form.b[at] - sign[at]):
            steep = _slopes(k.h, z) / scale
            largest = max(largest, steep if steep < np.inf else 0.0)
    # A tenth measured better on maxima and logistic losses, and no worse elsewhere.
    return 0.1 * (largest or 1.0) / typical


def _slopes(h: object, z: Array) -> float:
    """The size of a subgradient at z, 0 if there is none."""
    value, g = h._oracle(z)  # type: ignore[attr-defined]
    return _rms(g) if np.isfinite(value) and np.isfinite(g).all() else 0.0
