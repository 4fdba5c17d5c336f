r"""Moreau envelopes: f smoothed by its prox.

.. math:: f_t(x) = \min_u f(u) + \frac{1}{2t} |u - x|^2, \qquad
   \partial f_t(x) = \{(x - prox_{tf}(x)) / t\}

Of the support function of a set S the gradient is P_S(x / t).

Moreau; Rockafellar & Wets, Variational Analysis, 2.26.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array, positive
from subgrad.core import Function, Set, a_function
from subgrad.functions.support import Support
from subgrad.sets.box import point


class MoreauEnvelope(Function):
    r"""f_t, with f_t^* = f^* + t/2 |.|² and

    .. math:: prox_{s f_t}(x) = x + \frac{s}{s + t} (prox_{(s+t) f}(x) - x).

    f must have a prox; t > 0 one number or one per problem.
    """

    def __init__(self, f: Function, t: Array) -> None:
        self.f, self.t = f, t
        self.n, self.variable = f.n, f.variable

    @property
    def infimum(self) -> float:  # type: ignore[override]
        return self.f.infimum

    def _key(self) -> tuple[Any, ...]:
        return (self.f, self.t)

    def _value(self, x: Array) -> Array:
        return self._oracle(x)[0]

    def _gradient(self, x: Array, t: Array) -> Array:
        t = t[..., None]
        if isinstance(self.f, Support):
            # Without the difference, of which nothing is left at large x.
            return self.f._body(x.shape[-1])._project(x / t)
        return (x - self.f._prox(x, t[..., 0])) / t

    def _subgradient(self, x: Array) -> Array:
        return self._gradient(x, self.t)

    def _oracle(self, x: Array) -> tuple[Array, Array]:
        half = 0.5 * self.t
        if isinstance(self.f, Support):
            g = self._gradient(x, self.t)
            return np.vecdot(g, x) - half * np.vecdot(g, g), g
        p = self.f._prox(x, self.t)
        g = (x - p) / self.t[..., None]
        return self.f._value(p) + half * np.vecdot(g, g), g

    def _subdifferential(self, x: Array, eps: Array) -> Set:
        return point(self._subgradient(x))

    def _directional(self, x: Array, d: Array) -> Array:
        return np.vecdot(self._subgradient(x), d)

    def _prox(self, x: Array, t: Array) -> Array:
        return x - t[..., None] * self._gradient(x, t + self.t)

    def _prox_jacobian(self, x: Array, t: Any) -> Any:
        """I - a (I - J), J that of the prox of (t + s) f at x, a = t / (t + s)."""
        total = t + self.t
        C = self.f._prox_jacobian(x, total).complement()
        return C.times(t / total).complement()

    def conjugate(self) -> Function:
        from subgrad.functions.quadratic import SquaredNorm

        return self.f.conjugate() + SquaredNorm(self.t)

    def _cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        u = cp.Variable(x.shape)
        return self.f._cvxpy(u) + cp.sum_squares(x - u) / (2 * float(self.t))


def moreau_envelope(f: Function, t: Any = 1.0) -> MoreauEnvelope:
    """min_u f(u) + |u - x|² / (2 t)."""
    return MoreauEnvelope(a_function("f", f), positive("t", t))
