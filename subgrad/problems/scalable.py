r"""Problems of any size with known optima. The size n is the number of variables."""

from __future__ import annotations

import numpy as np

from subgrad._check import Array
from subgrad.affine import AffineMap, variable
from subgrad.calculus.block_sum import block_sum
from subgrad.calculus.compose import compose
from subgrad.calculus.maximum import maximum
from subgrad.core import Function
from subgrad.functions.norms import max_entry, norm1, norm_inf
from subgrad.functions.quadratic import squared_norm
from subgrad.functions.separable import separable
from subgrad.problems._problem import (
    HAARALA,
    LUKSAN_VLCEK,
    ROUNDING,
    TRAFS,
    TestProblem,
    at_least,
)
from subgrad.univariate.catalog import absolute, exponential, power, square


def _halves(n: int) -> Array:
    """1, 2, ..., then -i for i > n / 2."""
    i = np.arange(1.0, n + 1)
    return np.where(i <= n / 2, i, -i)


def _hilbert(n: int) -> Array:
    i = np.arange(n)
    return 1.0 / (i[:, None] + i + 1)


def _pairs(n: int) -> AffineMap:
    """The rows (x_i, x_{i+1}) of a variable."""
    i = np.arange(n - 1)
    return variable(n)[np.stack([i, i + 1], -1)]


def maxq(n: int = 20) -> TestProblem:
    r"""MAXQ: f* = 0 at 0, max_i x_i² from x0 = (1, 2, ..., -n)."""
    n = at_least("n", n)
    f = 2 * compose(square, norm_inf(variable(n)))  # square is t^2 / 2
    return TestProblem(
        "maxq", f, _halves(n), HAARALA, optimum=0.0, solution=np.zeros(n)
    )


def maxl(n: int = 20) -> TestProblem:
    r"""MAXL: f* = 0 at 0, max_i |x_i| from x0 = (1, 2, ..., -n)."""
    n = at_least("n", n)
    f = norm_inf(variable(n))
    return TestProblem(
        "maxl", f, _halves(n), LUKSAN_VLCEK, optimum=0.0, solution=np.zeros(n)
    )


def goffin(n: int = 50) -> TestProblem:
    r"""Goffin: f* = 0 at 0 (and at all x with equal entries), f(x + c 1) = f(x).

    .. math:: n \max_i x_i - \sum_i x_i, \qquad x0_i = i - (n + 1)/2
    """
    n = at_least("n", n)
    x = variable(n)
    return TestProblem(
        "goffin",
        float(n) * max_entry(x) - np.ones(n) @ x,
        np.arange(1.0, n + 1) - (n + 1) / 2,
        LUKSAN_VLCEK,
        optimum=0.0,
        solution=np.zeros(n),
    )


def mxhilb(n: int = 50) -> TestProblem:
    r"""MXHILB: the maximum norm of H x, H the Hilbert matrix; f* = 0 at 0.

    .. math:: \max_i |\sum_j x_j / (i + j - 1)|, \qquad x0 = 1
    """
    n = at_least("n", n)
    return TestProblem(
        "mxhilb",
        norm_inf(_hilbert(n) @ variable(n)),
        np.ones(n),
        LUKSAN_VLCEK + "; " + HAARALA,
        optimum=0.0,
        solution=np.zeros(n),
    )


def l1hilb(n: int = 50) -> TestProblem:
    r"""L1HILB: the l1 norm of H x, H the Hilbert matrix; f* = 0 at 0.

    .. math:: \sum_i |\sum_j x_j / (i + j - 1)|, \qquad x0 = 1
    """
    n = at_least("n", n)
    return TestProblem(
        "l1hilb",
        norm1(_hilbert(n) @ variable(n)),
        np.ones(n),
        LUKSAN_VLCEK,
        optimum=0.0,
        solution=np.zeros(n),
    )


def chained_lq(n: int = 20) -> TestProblem:
    r"""Chained LQ: f* = -(n - 1) √2 at x_i = 1/√2.

    .. math:: \sum_{i<n} \max\{-x_i - x_{i+1},
       -x_i - x_{i+1} + x_i^2 + x_{i+1}^2 - 1\}, \qquad x0 = -1/2
    """
    n, u = at_least("n", n, 2), variable(2)
    h = maximum(-u[0] - u[1], squared_norm(u) - u[0] - u[1] - 1)
    best = -(n - 1) * np.sqrt(2)
    return TestProblem(
        "chained_lq",
        block_sum(h)(_pairs(n)),
        np.full(n, -0.5),
        HAARALA,
        best,
        2 * ROUNDING * abs(best),
        np.full(n, np.sqrt(0.5)),
    )


def chained_cb3_1(n: int = 20) -> TestProblem:
    r"""Chained CB3 I: f* = 2 (n - 1) at x_i = 1.

    .. math:: \sum_{i<n} \max\{x_i^4 + x_{i+1}^2, (2 - x_i)^2 + (2 - x_{i+1})^2,
       2 e^{x_{i+1} - x_i}\}, \qquad x0 = 2
    """
    n, u = at_least("n", n, 2), variable(2)
    h = maximum(
        4 * separable(power(4.0))(u[0]) + squared_norm(u[1]),
        squared_norm(2 - u),
        2 * separable(exponential)(u[1] - u[0]),
    )
    return _cb3("chained_cb3_1", block_sum(h)(_pairs(n)), n)


def chained_cb3_2(n: int = 20) -> TestProblem:
    r"""Chained CB3 II, the maximum outside: f* = 2 (n - 1) at x_i = 1.

    .. math:: \max\{\sum_{i<n} x_i^4 + x_{i+1}^2,
       \sum_{i<n} (2 - x_i)^2 + (2 - x_{i+1})^2,
       \sum_{i<n} 2 e^{x_{i+1} - x_i}\}, \qquad x0 = 2
    """
    x = variable(at_least("n", n, 2))
    first, last = x[:-1], x[1:]
    f = maximum(
        4 * separable(power(4.0))(first) + squared_norm(last),
        squared_norm(2 - first) + squared_norm(2 - last),
        2 * separable(exponential)(last - first),
    )
    return _cb3("chained_cb3_2", f, n)


def _cb3(name: str, f: Function, n: int) -> TestProblem:
    best = 2.0 * (n - 1)
    return TestProblem(
        name, f, np.full(n, 2.0), HAARALA, optimum=best, solution=np.ones(n)
    )


def max_of_abs(n: int = 20) -> TestProblem:
    r"""SPL: f* = 0 at 0, with the Lipschitz constant √5.

    .. math:: \max\{|x_1|, |x_2 - 2 x_1|, ..., |x_n - 2 x_{n-1}|\}, \qquad x0 = 1
    """
    import scipy.sparse as sp

    n = at_least("n", n)
    D = sp.eye_array(n, format="csr") - 2.0 * sp.eye_array(n, k=-1, format="csr")
    return TestProblem(
        "max_of_abs",
        norm_inf(D @ variable(n)),
        np.ones(n),
        "Y. Nesterov, V. Shikhman, Quasi-monotone subgradient methods for nonsmooth "
        "convex minimization, J. Optim. Theory Appl. 165 (2015), 917-940; " + TRAFS,
        optimum=0.0,
        solution=np.zeros(n),
    )


def geometric_l1(n: int = 75) -> TestProblem:
    r"""Nsp: an l1 norm with weights from 1.2 to 1.2^n; f* = 0 at 0.

    .. math:: \sum_i 1.2^i |x_i|, \qquad x0_i = \cos i
    """
    i = np.arange(1.0, at_least("n", n) + 1)
    return TestProblem(
        "geometric_l1",
        separable(absolute, 1.2**i),
        np.cos(i),
        "D. L. Kroshko, OpenOpt, example nsp_1",
        optimum=0.0,
        solution=np.zeros(len(i)),
    )


ALL = (
    maxq,
    maxl,
    goffin,
    mxhilb,
    l1hilb,
    chained_lq,
    chained_cb3_1,
    chained_cb3_2,
    max_of_abs,
    geometric_l1,
)
