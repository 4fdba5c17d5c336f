"""Losses and penalties that are sums over coordinates of a function on the line."""

from __future__ import annotations

from subgrad._check import nonnegative
from subgrad.functions.separable import Separable
from subgrad.functions.shaped import no_argument
from subgrad.univariate._border import number
from subgrad.univariate.catalog import berhu, huber, logistic
from subgrad.univariate.piecewise import Piecewise

logistic_loss = Separable(logistic)
squared_hinge_loss = Separable(Piecewise([1], [[1, -2, 1], [0]]))


def huber_loss(M: float = 1.0) -> Separable:
    """sum_i x_i² for |x_i| <= M, 2 M |x_i| - M² beyond, as in cvxpy."""
    no_argument("huber_loss()", M)
    return Separable(huber(M))


def berhu_loss(M: float = 1.0) -> Separable:
    """sum_i |x_i| for |x_i| <= M, (x_i² + M²) / (2 M) beyond."""
    no_argument("berhu_loss()", M)
    return Separable(berhu(M))


def elastic_net(alpha: float = 1.0, l1_ratio: float = 0.5) -> Separable:
    r"""The penalty of the elastic net, parameters as in scikit-learn.

    .. math:: α ρ |x|_1 + \tfrac{α (1 - ρ)}{2} |x|^2, \quad ρ = l1\_ratio \in [0, 1]

    Zou and Hastie, Regularization and variable selection via the elastic net, 2005.
    """
    no_argument("elastic_net()", alpha, l1_ratio)
    alpha = number("alpha", nonnegative("alpha", alpha))
    ratio = number("l1_ratio", nonnegative("l1_ratio", l1_ratio))
    if ratio > 1:
        raise ValueError(f"l1_ratio must lie in [0, 1], got {ratio}")
    a, b = alpha * ratio, alpha * (1 - ratio) / 2
    return Separable(Piecewise([0], [[0, -a, b], [0, a, b]]))
