"""The negative logarithm, and the logistic function with its conjugate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._check import Array
from .convex import Number, Smooth

_TINIEST = np.nextafter(0.0, 1.0)


class NegativeLog(Smooth):
    """
    φ(t) = -log t for t > 0;  φ*(s) = -1 - log(-s) for s < 0,

    which `dual` = True stands for. The domains are open.
    """

    infimum = -np.inf

    def __init__(self, dual: bool = False) -> None:
        self.dual = bool(dual)
        self._sign = -1.0 if dual else 1.0

    def _key(self) -> tuple[Any, ...]:
        return (self.dual,)

    @property
    def ends(self) -> tuple[Number, Number]:
        return (-np.inf, 0.0) if self.dual else (0.0, np.inf)

    def _value(self, t: Array) -> Array:
        with np.errstate(divide="ignore"):
            return 0 - np.log(np.maximum(self._sign * t, 0)) - float(self.dual)

    def _derivative(self, t: Array) -> Array:
        with np.errstate(divide="ignore", over="ignore"):
            return -self._sign / np.maximum(self._sign * t, 0)

    def _widened(self, t: Array, eps: Number) -> tuple[Array, Array]:
        """g = -exp y / t with exp y - 1 - y <= ε."""
        u = np.maximum(self._sign * t, 0)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            least, most = (np.exp(y) / u for y in _bregman(np.asarray(eps)))
        # Where exp underflows, the end is not yet 0.
        least = np.maximum(least, _TINIEST)
        return (least, most) if self.dual else (-most, -least)

    def _prox(self, t: Array, step: Number) -> Array:
        """p - τ / p = t, the positive root or the negative one."""
        half, root = self._sign * t / 2, np.sqrt(step)
        with np.errstate(divide="ignore"):
            middle = np.hypot(half, root)
            # For negative t the sum would cancel.
            other = step / (middle + abs(half))
        p = np.where(half >= 0, half + middle, other)
        return self._cast(self._sign * p, t, step)

    def _curvature(self, t: Array) -> Array:
        with np.errstate(divide="ignore", over="ignore"):
            return 1 / np.maximum(self._sign * t, 0.0) ** 2

    def conjugate(self) -> NegativeLog:
        return NegativeLog(not self.dual)

    def to_cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        return -1 - cp.log(-x) if self.dual else -cp.log(x)

    def __repr__(self) -> str:
        return f"NegativeLog({'dual=True' if self.dual else ''})"


class Logistic(Smooth):
    """φ(t) = log(1 + exp t);  φ*(s) = s log s + (1 - s) log(1 - s) on [0, 1]."""

    _everywhere = True
    ends = (-np.inf, np.inf)
    infimum = 0.0

    def _value(self, t: Array) -> Array:
        return np.logaddexp(t.dtype.type(0), t)

    def _derivative(self, t: Array) -> Array:
        from scipy.special import expit

        return expit(t)

    def _curvature(self, t: Array) -> Array:
        share = self._derivative(t)
        return share * (1 - share)

    def _saturation(self, t: Array) -> Array:
        """φ(t) + φ*(0) and φ(t) + φ*(1) - t, whichever is more."""
        return self._value(abs(t))

    def _gap(self, t: Array) -> Callable[[Array], tuple[Array, Array]]:
        # Once for all g, most of the work.
        off, on = np.logaddexp(0, -t), np.logaddexp(0, t)
        return lambda g: _from(g, off, on)

    def _prox(self, t: Array, step: Number) -> Array:
        """
        p + τ / (1 + exp -p) = t. Of t and τ - t, whose answers add up to 0, the lesser
        has p <= 0, where the left side is convex: Newton's iteration falls to p from
        above. With u = (τ/2) exp p and z = t + log(τ/2) there, u + log u <= z, so that
        log u <= z, and u <= z where that is above 1.
        """
        tau = np.asarray(step, np.float64)
        back = t > tau / 2
        goal = np.where(back, tau - t, t)
        log = np.log(tau / 2)
        z = goal + log
        p = np.where(z > 1, np.log(np.maximum(z, 1.0)) - log, goal)
        p = np.minimum(p, 0.0)
        for _ in range(12):
            e = np.exp(p)
            rest = tau * e / (1 + e)
            step_down = (p + rest - goal) / (1 + rest / (1 + e))
            p = p - np.maximum(step_down, 0.0)
            # Beyond this the next one is below rounding.
            if np.all(step_down <= 1e-9 * (1 - p)):
                break
        return self._cast(np.where(back, -p, p), t, step)

    def conjugate(self) -> BinaryEntropy:
        return BinaryEntropy()

    def to_cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        return cp.logistic(x)


class BinaryEntropy(Smooth):
    """
    φ(t) = t log t + (1 - t) log(1 - t) on [0, 1], 0 at the ends;
    φ*(s) = log(1 + exp s).

    It is minus the entropy of a coin; ∂φ(0) and ∂φ(1) are empty.
    """

    ends = (0.0, 1.0)
    infimum = -float(np.log(2.0))

    def _value(self, t: Array) -> Array:
        from scipy.special import xlog1py, xlogy

        inside = np.clip(t, 0, 1)
        out = xlogy(inside, inside) + xlog1py(1 - inside, -inside)
        return np.where(inside == t, out, t.dtype.type(np.inf))

    def _derivative(self, t: Array) -> Array:
        from scipy.special import logit

        return logit(np.clip(t, 0, 1))

    def _curvature(self, t: Array) -> Array:
        with np.errstate(divide="ignore", over="ignore"):
            return 1 / np.maximum(t, 0.0) + 1 / np.maximum(1 - t, 0.0)

    def _gap(self, t: Array) -> Callable[[Array], tuple[Array, Array]]:
        return lambda g: _divergence(t, g)

    def conjugate(self) -> Logistic:
        return Logistic()

    def to_cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        return -cp.entr(x) - cp.entr(1 - x)


def _divergence(t: Array, s: Array) -> tuple[Array, Array]:
    """
    t log(t / σ) + (1 - t) log((1 - t) / (1 - σ)) with σ = 1 / (1 + exp -s), and its
    size. It is φ(t) + φ*(s) - s t without the cancellation of φ*(s) and s t.
    """
    return _from(t, np.logaddexp(0, -s), np.logaddexp(0, s))


def _from(t: Array, off: Array, on: Array) -> tuple[Array, Array]:
    """The divergence where -log σ = off and -log(1 - σ) = on."""
    entropy = BinaryEntropy()._value(t)
    inside = np.clip(t, 0, 1)
    cross = inside * off + (1 - inside) * on
    return entropy + cross, abs(entropy) + cross


def _bregman(eps: Array) -> tuple[Array, Array]:
    """
    The y <= 0 and the y >= 0 with exp y - 1 - y = ε.

    The left side is convex, and Newton's iteration comes down to a root from any point
    beyond it. Such are -r and log(1 + r) for r = ε + √(2ε), since exp √(2ε) >= 1 + r;
    from there it takes four steps, whatever ε is.
    """
    r = np.maximum(eps, _TINIEST)
    r = r + np.sqrt(2 * r)
    ends = [-r, np.log1p(r)]
    for _ in range(6):
        ends = [y - (np.expm1(y) - y - eps) / np.expm1(y) for y in ends]
    return ends[0], ends[1]
