"""Weighted sums of the sorted entries: ordered norms and measures of risk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from subgrad._check import Array, nonnegative, real, vector
from subgrad.core import Set
from subgrad.functions.norms import _Norm, _Of
from subgrad.sets.permutahedron import Permutahedron, SignedPermutahedron
from subgrad.sets.simplex import CappedSimplex


def _falling(name: str, w: Array) -> Array:
    """w, or a ValueError if some weight is larger than the one before it."""
    if np.any(w[..., 1:] > w[..., :-1]):
        raise ValueError(f"{name} must be nonincreasing, got {w}")
    return w


class _Sorted(_Of):
    """The support function of a hull of permutations: the prox ties what it pools."""

    polyhedral = True

    def _body(self, n: int) -> Permutahedron:
        raise NotImplementedError

    def _prox(self, x: Array, t: Array) -> Array:
        return self._body(x.shape[-1])._shrink(x, t)


class OrderedSum(_Sorted):
    r"""f(x) = sum_i w_[i] x_[i], both sorted decreasingly.

    .. math:: f(x) = \max_p \sum_i w_i x_{p(i)}

    over the permutations p: the support function of the permutahedron of w. weights
    (..., n), in any order, of any sign; as `cvxpy.dotsort`, without its padding.
    """

    S: Permutahedron

    def __init__(self, weights: Any) -> None:
        self.S = Permutahedron(weights)
        self.weights, self.n = self.S.weights, self.S.dim
        # A mean times the total of w is a lower bound.
        self.infimum = 0.0 if not np.any(self.weights.sum(-1)) else -np.inf

    def _key(self) -> tuple[Any, ...]:
        return (self.weights,)

    def _body(self, n: int) -> Permutahedron:
        return self.S


class OWL(_Sorted, _Norm):
    r"""The ordered weighted l1 norm, sum_i w_i |x|_[i] with |x| sorted decreasingly.

    .. math:: f(x) = \sum_i w_i |x|_{[i]}, \quad w_1 \ge \dots \ge w_n \ge 0

    SLOPE (Bogdan et al. 2015), OSCAR, and with w = (1, ..., 1) or (1, 0, ..., 0) the
    norms l1 and l∞. The support function of the signed permutahedron; prox by
    sorting and isotonic regression. weights (..., n); ValueError if they rise or are
    negative.
    """

    S: SignedPermutahedron

    def __init__(self, weights: Any) -> None:
        w = nonnegative("weights", vector("weights", weights, None))
        self.weights, self.n = _falling("weights", w), w.shape[-1]
        self.S = SignedPermutahedron(w)

    def _key(self) -> tuple[Any, ...]:
        return (self.weights,)

    def _body(self, n: int) -> SignedPermutahedron:
        return self.S


class PeakToPeak(_Sorted):
    r"""max_i x_i - min_i x_i; 0 for one argument."""

    def _body(self, n: int) -> Permutahedron:
        w = np.zeros(n)
        w[0] += 1.0
        w[-1] -= 1.0
        return Permutahedron(w)

    def _value(self, x: Array) -> Array:
        return x.max(-1) - x.min(-1)

    def _subgradient(self, x: Array) -> Array:
        g = np.zeros_like(x)
        top = np.argmax(x, axis=-1, keepdims=True)
        low = np.argmin(x, axis=-1, keepdims=True)
        np.put_along_axis(g, top, 1.0, -1)
        np.put_along_axis(g, low, np.where(top == low, 0.0, -1.0), -1)
        return g

    def _cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        return cp.ptp(x)


class CVaR(_Of):
    r"""The conditional value at risk: the mean of the worst 1 - beta of the losses x.

    .. math:: f(x) = \max \{\langle s, x \rangle : 0 \le s \le p / (1 - \beta), \
       \sum_i s_i = 1\} = \min_t t + \tfrac{1}{1 - \beta} \sum_i p_i (x_i - t)_+

    (Rockafellar and Uryasev 2000), one loss per scenario, of equal probabilities
    unless p is given. beta (...) in [0, 1); probabilities (..., n).
    """

    polyhedral = True
    infimum = -np.inf

    def __init__(self, beta: Any, probabilities: Any = None) -> None:
        self.beta, self.probabilities = real("beta", beta), None
        if np.any(self.beta < 0) or np.any(self.beta >= 1):
            raise ValueError(f"beta must lie in [0, 1), got {beta}")
        if probabilities is not None:
            p = nonnegative(
                "probabilities", vector("probabilities", probabilities, None)
            )
            self.probabilities, self.n = _shares("probabilities", p), p.shape[-1]

    def _key(self) -> tuple[Any, ...]:
        return (self.beta, self.probabilities)

    def _body(self, n: int) -> Set:
        p = np.full(n, 1 / n) if self.probabilities is None else self.probabilities
        upper = p / (1 - self.beta)[..., None]
        return CappedSimplex(0.0, upper, 1.0)


def _shares(name: str, w: Array) -> Array:
    """w with its sum 1 to the last bit, or a ValueError if it was not near."""
    total = w.sum(-1, keepdims=True)
    if np.any(np.abs(total - 1) > 1e-9):
        raise ValueError(f"{name} must sum to 1, got a sum of {total.flat[0]}")
    return w / total


class SpectralRisk(_Sorted):
    r"""f(x) = sum_i w_i x_[i] of n losses sorted from the largest.

    .. math:: w_1 \ge \dots \ge w_n \ge 0, \quad \sum_i w_i = 1

    a coherent measure of risk (Acerbi 2002). weights (..., n), or a distortion for any
    n: a concave nondecreasing g on [0, 1] with g(0) = 0 and g(1) = 1, called on an
    array, that makes w_i = g(i/n) - g((i-1)/n). ValueError for other weights.
    """

    infimum = -np.inf

    def __init__(self, weights: Any | Callable[[Array], Any]) -> None:
        self.weights = weights
        if not callable(weights):
            self.weights = self._checked(vector("weights", weights, None))
            self.n = self.weights.shape[-1]

    @staticmethod
    def _checked(w: Array) -> Array:
        return _shares("weights", _falling("weights", nonnegative("weights", w)))

    def _key(self) -> tuple[Any, ...]:
        return (self.weights,)

    def _body(self, n: int) -> Permutahedron:
        if not callable(self.weights):
            return Permutahedron(self.weights)
        g = vector("distortion", self.weights(np.linspace(0.0, 1.0, n + 1)), n + 1)
        w = np.diff(g)
        # Differences of a smooth g carry rounding, which is no violation.
        w = np.where(np.abs(w) < 1e-14, 0.0, w)
        close = w[..., 1:] <= w[..., :-1] + 1e-14
        w = np.minimum.accumulate(w, axis=-1) if np.all(close) else w
        return Permutahedron(self._checked(w))


ptp = PeakToPeak()


def owl(weights: Any) -> OWL:
    """sum_i w_i |x|_[i], the ordered weighted l1 norm (SLOPE)."""
    return OWL(weights)


def ordered_sum(weights: Any) -> OrderedSum:
    """sum_i w_[i] x_[i], weights and entries both sorted."""
    return OrderedSum(weights)


def cvar(beta: Any, probabilities: Any = None) -> CVaR:
    """The mean of the worst share 1 - beta of the losses."""
    return CVaR(beta, probabilities)


def spectral_risk(weights: Any) -> SpectralRisk:
    """The mean of the losses sorted from the largest, with nonincreasing weights."""
    return SpectralRisk(weights)
