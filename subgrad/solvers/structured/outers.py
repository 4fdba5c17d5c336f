r"""The h of h(F_1, ..., F_k), seen from its weights λ in the subdifferential.

prox(at, steps)    argmin h*(λ) + Σ (λ_i - at_i)² / (2 steps_i)
spread(...)        K = (σ h*'' + D)^-1 there, as diag(e) + W diag(f) Wᵀ
star, to_domain    h*, and a point near λ where it is finite
room(λ)            W, t, l, U of the `Margins` of h there

Weights are kept from below 0 where `curved` (k,) says that F_i is not affine.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad.core import Function
from subgrad.functions.separable import Separable

EPS = float(np.finfo(np.float64).eps)
Spread = tuple[Array, Array, Array]
Room = tuple[Array, Array, float, Any]


class Maxima:
    """Σ w_j max_i F_ji, of as many F for each j; λ_j in the simplex of the sum w_j."""

    apart = True

    def __init__(self, w: Array, k: int) -> None:
        self.w, self.k = w, k

    def _rows(self, u: Array) -> Array:
        return u.reshape(len(self.w), -1)

    def value(self, F: Array) -> float:
        return float(self.w @ self._rows(F).max(-1))

    def subgradient(self, F: Array) -> Array:
        rows = self._rows(F)
        first = np.arange(rows.shape[1]) == rows.argmax(-1)[:, None]
        return (self.w[:, None] * first).ravel()

    def prox(self, at: Array, steps: Array) -> Array:
        return onto_simplices(self._rows(at), self._rows(steps), self.w).ravel()

    def spread(self, lam: Array, D: Array, at: Array, steps: Array, s: float) -> Spread:
        e = np.where(lam > 0, 1 / D, 0.0)
        each = np.repeat(np.arange(len(self.w)), len(e) // len(self.w))
        W = e[:, None] * (each[:, None] == np.arange(len(self.w)))
        return e, W, -1 / self._rows(e).sum(-1)

    def star(self, lam: Array) -> float:
        return 0.0

    def room(self, lam: Array) -> Room:
        each = np.repeat(np.arange(len(self.w)), len(lam) // len(self.w))
        U = each == np.arange(len(self.w))[:, None]
        return np.maximum(lam, 0.0), 0 * lam, 0.0, 1.0 * U

    def to_domain(self, lam: Array) -> Array:
        rows = self._rows(lam)
        away = np.abs(rows.sum(-1) - self.w)
        if rows.min() >= 0 and np.all(away <= 8 * EPS * self.w):
            return lam  # moved again small weights would lose digits
        return self.prox(lam, np.ones_like(lam))


class Sums:
    """Σ φ(F_i); h* cut off below 0 is that of the extension that does not decrease."""

    apart = True

    def __init__(self, h: Separable, curved: Any) -> None:
        self.h, self.curved, self.k = h, curved, len(curved)

    def value(self, F: Array) -> float:
        return float(self.h._value(F))

    def subgradient(self, F: Array) -> Array:
        return self._kept(self.h._subgradient(F))

    def _kept(self, lam: Array) -> Array:
        return np.where(self.curved, np.maximum(lam, 0.0), lam)

    def prox(self, at: Array, steps: Array) -> Array:
        # Each its own step: a batch of functions of one number.
        return self._kept(self.h._dual_prox(at[:, None], steps)[:, 0])

    def spread(self, lam: Array, D: Array, at: Array, steps: Array, s: float) -> Spread:
        pairs = zip(at, steps, strict=True)
        J = [self.h._dual_prox_jacobian(np.array([a]), t).d[0] for a, t in pairs]
        free = ~self.curved | (lam > 0)
        return np.where(free, J / D, 0.0), np.zeros((self.k, 0)), np.zeros(0)

    def star(self, lam: Array) -> float:
        from subgrad.solvers.structured.domains import conjugate_value

        return conjugate_value(self.h, lam)

    def room(self, lam: Array) -> Room:
        return _margins(self.h, lam)

    def to_domain(self, lam: Array) -> Array:
        from subgrad.solvers.structured.domains import to_domain

        # The domain of φ* is an interval, and one that meets λ >= 0.
        return self._kept(to_domain(self.h, self._kept(lam)))


class Rising:
    """h nondecreasing everywhere in what is curved, with a prox in one step only."""

    apart = False

    def __init__(self, h: Function, k: int) -> None:
        self.h, self.k = h, k

    def value(self, F: Array) -> float:
        return float(self.h._value(F))

    def subgradient(self, F: Array) -> Array:
        return self.h._subgradient(F)

    def prox(self, at: Array, steps: Array) -> Array:
        return self.h._dual_prox(at, steps[0])

    def newton(self, move: Array, D: Array, at: Array, t: float, s: float) -> Array:
        """From λ = prox(at) - move towards what a prox does not move."""
        J = self.h._dual_prox_jacobian(at, np.asarray(t)).dense()
        return np.linalg.solve(np.eye(self.k) - J * (1 - t / s * D), move)

    def spread(self, lam: Array, D: Array, at: Array, steps: Array, s: float) -> Spread:
        J = self.h._dual_prox_jacobian(at, steps[0]).dense()
        t = steps[0] / s
        K = np.linalg.solve(np.eye(self.k) - J * (1 - t * D), J * t)
        f, W = np.linalg.eigh((K + K.T) / 2)
        return np.zeros(self.k), W, f

    def star(self, lam: Array) -> float:
        from subgrad.solvers.structured.domains import conjugate_value

        return conjugate_value(self.h, lam)

    def room(self, lam: Array) -> Room:
        return _margins(self.h, lam)

    def to_domain(self, lam: Array) -> Array:
        from subgrad.solvers.structured.domains import to_domain

        return to_domain(self.h, lam)


def _margins(h: Function, lam: Array) -> Room:
    from subgrad.solvers.structured.margins import margins

    found = margins(h, lam, 0 * lam)
    return (0 * lam, 0 * lam, 0.0, None) if found is None else found[:4]


def onto_simplices(at: Array, steps: Array, total: Array) -> Array:
    """argmin Σ (λ_i - at_i)² / (2 s_i), λ >= 0, its rows with the sums `total`.

    λ = (at - s θ)_+, the threshold θ from what is above it.
    """
    row, ends = np.arange(len(at))[:, None], at / steps
    order = (-ends).argsort(-1)
    theta = (at[row, order].cumsum(-1) - total[:, None]) / steps[row, order].cumsum(-1)
    above = ends[row, order] > theta
    last = at.shape[1] - 1 - above[:, ::-1].argmax(-1)
    lam = np.maximum(at - steps * theta[row, last[:, None]], 0.0)
    return lam * (total / lam.sum(-1))[:, None]
