r"""Entropy on the simplex, negative or relative to a prior (Kullback-Leibler)."""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array, count, positive, vector
from subgrad._jacobian import LowRank
from subgrad.core import Function, Set
from subgrad.functions.log_sum_exp import exponents, gibbs, gibbs_jacobian
from subgrad.sets.affine_subspace import AffineSubspace
from subgrad.sets.box import Box
from subgrad.sets.simplex import Simplex


class SimplexEntropy(Function):
    r"""f(x) = μ sum_i x_i log(x_i / q_i) on the simplex Δ = {x >= 0 : sum x = 1}.

    .. math:: \partial f(x) = \{μ \log (x/q) + c \, 1 : c \in R\} \ (x > 0), \quad
       \emptyset \ (\text{some } x_i = 0), \quad f^* = μ \log \sum_i q_i \exp(g_i/μ)

    a line, as f is finite on Δ only. The prior q > 0 (1 unless said) need not sum to 1;
    if it does, f is the Kullback-Leibler divergence from it. `separable(entropy)` is
    the same sum of x_i log x_i without the simplex. x within 1e-9 of Δ counts as in it.
    prior (..., n), mu (...) > 0. n is needed where the domain is asked for as a set.

    Within eps: with g = μ (log(x/q) + δ) where x_i > 0, |δ| <= r, and sum of
    q_i exp(g_i/μ) <= B where x_i = 0,

    .. math:: (f(x) + f^*(g) - \langle g, x \rangle) / μ =
       \log \Big( \sum x_i e^{δ_i} + B \Big) - \sum x_i δ_i
       \le r^2/2 + \log(1 + B e^r)

    by Hoeffding's lemma.
    """

    finite = False

    def __init__(self, prior: Any = None, n: int | None = None, mu: Any = 1.0) -> None:
        self.n = None if n is None else count(n)
        self.prior = None
        if prior is not None:
            self.prior = positive("prior", vector("prior", prior, self.n))
            self.n = self.prior.shape[-1]
        self.mu = positive("mu", mu)

    def _key(self) -> tuple[Any, ...]:
        return (self.prior, self.n, self.mu)

    @property
    def infimum(self) -> float:  # type: ignore[override]
        """-μ log sum q, where x is q divided by its sum."""
        if self.n is None:
            return -np.inf
        total = self.n if self.prior is None else self.prior.sum(-1)
        return float(np.min(-self.mu * np.log(total)))

    @property
    def domain(self) -> Set:
        return super().domain if self.n is None else Simplex(self.n)

    def _inner(self, x: Array) -> tuple[Array, Array, Array]:
        """Whether x is in Δ, where it is positive, and log(x/q), 0 for log 0."""
        inside = Simplex(x.shape[-1]).contains(x)
        some = x > 0
        logs = np.log(np.where(some, x, 1.0))
        return inside, some, logs if self.prior is None else logs - np.log(self.prior)

    def _value(self, x: Array) -> Array:
        inside, some, logs = self._inner(x)
        value = self.mu * np.vecdot(np.where(some, x, 0.0), logs)
        return np.where(inside, value, np.inf)

    def _slope(self, logs: Array) -> Array:
        """The subgradient of least norm."""
        g = self.mu[..., None] * logs
        return g - g.mean(-1, keepdims=True)

    def _subgradient(self, x: Array) -> Array:
        inside, some, logs = self._inner(x)
        ok = (inside & some.all(-1))[..., None]
        return np.where(ok, self._slope(logs), np.nan)

    def _subdifferential(self, x: Array, eps: Array) -> Set:
        inside, some, logs = self._inner(x)
        g = self._slope(logs)
        n = x.shape[-1]
        if not np.any(eps):
            line = AffineSubspace(g, np.ones((1, n)))
            return line.restrict(inside & some.all(-1))
        k = (~some).sum(-1, keepdims=True)
        e = (eps / self.mu)[..., None] / np.where(k > 0, 2.0, 1.0)
        r = np.sqrt(2 * e)
        with np.errstate(divide="ignore"):
            # log (exp e - 1), for all e.
            room = e + np.log(-np.expm1(-e)) - np.log(np.maximum(k, 1)) - r
        level = (g - self.mu[..., None] * logs).max(-1, keepdims=True)
        up = room if self.prior is None else room - np.log(self.prior)
        ok = inside & ((k == 0) | (e > 0)).all(-1)
        radius = self.mu[..., None] * r
        low = np.where(some, g - radius, -np.inf)
        up = np.where(some, g + radius, self.mu[..., None] * up + level)
        box = Box._raw(*(np.where(ok[..., None], end, 0.0) for end in (low, up)))
        return (box + AffineSubspace(np.zeros(n), np.ones((1, n)))).restrict(ok)

    def _directional(self, x: Array, d: Array) -> Array:
        _, some, logs = self._inner(x)
        along = AffineSubspace(np.zeros(x.shape[-1]), np.ones((1, x.shape[-1])))
        slope = np.vecdot(self._slope(logs) * some, d)
        slope = np.where(np.any(~some & (d > 0), -1), -np.inf, slope)
        out = np.any(~some & (d < 0), -1) | ~along._flat(d)
        return np.where(out, np.inf, slope)

    def _normal(self, x: Array) -> Set:
        return Simplex(x.shape[-1]).normal_cone(x)

    def _interior(self, x: Array) -> Any:
        inside, some, _ = self._inner(x)
        return inside & some.all(-1)

    def _to_domain(self, x: Array) -> Array:
        return Simplex(x.shape[-1])._project(x)

    def _prox(self, x: Array, t: Array) -> Array:
        """s with s + τ log(s/q) = x + c, τ = μ t: w = s / τ in `gibbs`."""
        tau = self.mu * t
        z = exponents(x - x.max(-1, keepdims=True), tau, self.prior)
        return tau[..., None] * gibbs(z, 1 / tau)

    def _prox_jacobian(self, x: Array, t: Any) -> LowRank:
        return gibbs_jacobian(self._prox(x, np.asarray(t)) / (self.mu * t))

    def conjugate(self) -> Function:
        from subgrad.functions.log_sum_exp import LogSumExp

        f = LogSumExp(self.prior, self.mu)
        f.n = self.n
        return f

    def _cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        value = -cp.sum(cp.entr(x))
        if self.prior is not None:
            value = value - np.log(self.prior) @ x
        return float(self.mu) * value + cp.transforms.indicator([cp.sum(x) == 1])


negative_entropy = SimplexEntropy()


def relative_entropy(prior: Any) -> SimplexEntropy:
    """sum_i x_i log(x_i / q_i) on the simplex, the prior q > 0."""
    return SimplexEntropy(prior)
