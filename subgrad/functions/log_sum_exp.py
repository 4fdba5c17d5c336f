r"""Log-sum-exp, the smooth maximum: conjugate to relative entropy on the simplex."""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array, positive, vector
from subgrad._jacobian import LowRank, of_level
from subgrad.core import Function, Mask, Set
from subgrad.sets.box import point
from subgrad.sets.simplex import CappedSimplex


class LogSumExp(Function):
    r"""f(x) = μ log sum_i q_i exp(x_i / μ), weights q > 0 (1 unless said), μ > 0.

    .. math:: \partial f(x) = \{s\}, \quad
       s_i = \frac{q_i \exp(x_i/μ)}{\sum_j q_j \exp(x_j/μ)}, \quad
       \partial_e f(x) = \{g \in Δ : \sum_i g_i \log (g_i / s_i) \le e/μ\}

    f* is μ times the entropy relative to q on the simplex Δ (`SimplexEntropy`). For
    q = 1, max x <= f(x) <= max x + μ log n; for q = 1/n, max x - μ log n <= f(x) <=
    max x. Within eps f(x) answers a box around s cut by Δ. With ρ = g/s it holds that

    .. math:: \sum s_i ρ_i \log ρ_i \le
       ½ [(1+r) \log(1+r) + (1-r) \log(1-r)] \le r^2 \log 2 \ (|ρ_i - 1| \le r \le 1),
       \quad \sum g_i \log ρ_i \le \log \max_i ρ_i,

    the first as ρ has mean 1 under s and a convex function is largest at the ends.
    weights (..., n), mu (...).
    """

    def __init__(self, weights: Any = None, mu: Any = 1.0) -> None:
        self.weights = None
        if weights is not None:
            self.weights = positive("weights", vector("weights", weights, None))
            self.n = self.weights.shape[-1]
        self.mu = positive("mu", mu)

    def _key(self) -> tuple[Any, ...]:
        return (self.weights, self.mu)

    def _exponents(self, x: Array) -> tuple[Array, Array]:
        """max x, and (x - max x) / μ + log q."""
        top = x.max(-1, keepdims=True)
        return top, exponents(x - top, self.mu, self.weights)

    def _oracle(self, x: Array) -> tuple[Array, Array]:
        top, y = self._exponents(x)
        most = y.max(-1, keepdims=True)
        s = np.exp(y - most)
        total = s.sum(-1, keepdims=True)
        value = top + self.mu[..., None] * (most + np.log(total))
        return value[..., 0], s / total

    def _value(self, x: Array) -> Array:
        return self._oracle(x)[0]

    def _subgradient(self, x: Array) -> Array:
        return self._oracle(x)[1]

    def _subdifferential(self, x: Array, eps: Array) -> Set:
        s = self._subgradient(x)
        if not np.any(eps):
            return point(s)
        e = (eps / self.mu)[..., None]
        r = np.sqrt(np.minimum(e / np.log(2), 1))
        with np.errstate(divide="ignore"):
            far = np.exp(np.minimum(np.log(s) + e, 0))
        upper = np.where(r < 1, np.minimum(s * (1 + r), 1), far)
        box = CappedSimplex.__new__(CappedSimplex)
        return box._set(s * (1 - r), upper, np.ones(()))

    def _costs(self, x: Array) -> Array:
        """The divergence of the farthest corner of the simplex from s."""
        _, y = self._exponents(x)
        most = y.max(-1, keepdims=True)
        rest = np.log(np.exp(y - most).sum(-1, keepdims=True))
        return self.mu[..., None] * (most + rest - y.min(-1, keepdims=True))

    def _directional(self, x: Array, d: Array) -> Array:
        return np.vecdot(self._subgradient(x), d)

    def _nondecreasing(self, low: Array) -> Mask:
        return np.ones(low.shape[-1], bool)

    def _prox(self, x: Array, t: Array) -> Array:
        """x - t s with s the softmax of the result: w = t s / μ in `gibbs`."""
        _, y = self._exponents(x)
        return x - self.mu[..., None] * gibbs(y, t / self.mu)

    def _prox_jacobian(self, x: Array, t: Any) -> LowRank:
        return self._gibbs_jacobian(x, t).complement()

    def _gibbs_jacobian(self, x: Array, t: Any) -> LowRank:
        _, y = self._exponents(x)
        return gibbs_jacobian(gibbs(y, t / self.mu))

    def _dual_prox(self, y: Array, s: Any) -> Array:
        """The w of the prox, a point of the simplex."""
        s = np.asarray(s)
        tau = self.mu * s
        return tau[..., None] * gibbs(self._exponents(y / s[..., None])[1], 1 / tau)

    def _dual_prox_jacobian(self, y: Array, s: Any) -> LowRank:
        return self._gibbs_jacobian(y / s, 1 / np.asarray(s))

    def conjugate(self) -> Function:
        from subgrad.functions.simplex_entropy import SimplexEntropy

        return SimplexEntropy(self.weights, self.n, self.mu)

    def _cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        mu = float(self.mu)
        shift = 0.0 if self.weights is None else np.log(self.weights)
        return mu * cp.log_sum_exp(x / mu + shift)


log_sum_exp = LogSumExp()


def soft_maximum(mu: Any = 1.0) -> LogSumExp:
    """μ log sum_i exp(x_i / μ), between max x and max x + μ log n; μ > 0."""
    return LogSumExp(None, mu)


def exponents(x: Array, mu: Array, weights: Array | None) -> Array:
    """x / μ + log q for x <= 0."""
    with np.errstate(over="ignore"):
        y = x / mu[..., None]
    return y if weights is None else y + np.log(weights)


def gibbs(z: Array, total: Array) -> Array:
    r"""The w >= 0 with w_i + log w_i = z_i - λ for one λ, and sum w = total.

    w_i = ω(z_i - λ), ω the Wright function; the sum F falls with λ and is convex, as
    ω is (ω' = ω / (1 + ω)). So Newton's iteration rises to λ from any point below it,
    and one step from above leads below. ω(z) <= exp z, and the largest of n numbers is
    between their mean and their sum: that brackets λ.
    """
    from scipy.special import wrightomega

    # Shifted so that the largest is 0, where the digits of λ are needed.
    z = z - z.max(-1, keepdims=True)
    c = np.asarray(total)[..., None]
    n = z.shape[-1]
    low = -(c + np.log(c))
    high = np.log(np.exp(z).sum(-1, keepdims=True)) - np.log(c)
    lam = np.minimum(high, -(c / n + np.log(c / n)))
    for i in range(100):
        w = wrightomega(z - lam)
        step = (w.sum(-1, keepdims=True) - c) / (w / (1 + w)).sum(-1, keepdims=True)
        if i and np.all(step <= 4 * np.finfo(float).eps * np.maximum(np.abs(lam), 1)):
            break
        lam = np.maximum(lam + step, low)
    # The last step, too small for λ, is not for w.
    return w * (1 - step / (1 + w)).clip(0)


def gibbs_jacobian(w: Array) -> LowRank:
    r"""Of z -> w = `gibbs`(z, total), with D = w / (1 + w): D - D 1 1ᵀ D / <1, D 1>."""
    return of_level(w / (1 + w), np.ones(len(w)))
