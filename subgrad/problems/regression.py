r"""Random problems of statistics and learning. The size n is the number of unknowns
(features, samples of a signal); the data depend on the seed and the sizes alone.

N stands for independent standard normal entries, drawn in the order in which they are
named, from numpy.random.default_rng(seed).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad.affine import variable
from subgrad.calculus.block_sum import block_sum
from subgrad.core import norm
from subgrad.functions.linear import Linear
from subgrad.functions.log_sum_exp import log_sum_exp
from subgrad.functions.losses import huber_loss
from subgrad.functions.max_affine import MaxAffine
from subgrad.functions.norms import group_norm, max_entry, norm1, norm2
from subgrad.functions.quadratic import squared_norm
from subgrad.functions.separable import hinge_loss, pinball_loss
from subgrad.interval import Interval
from subgrad.problems._problem import (
    GENERATED,
    TRAFS,
    TestProblem,
    at_least,
    generator,
    residual_radius,
    weight,
)
from subgrad.sets.box import Box


def _finite(radius: float) -> float | None:
    return radius if np.isfinite(radius) else None


def lad(n: int = 20, m: int | None = None, seed: int = 0) -> TestProblem:
    r"""Least absolute deviations with heavy-tailed noise, m = 10 n rows unless said.

    .. math:: |A x - b|_1, \quad A = N, \quad b = A N + e, \quad x0 = 0

    e Student t with 2 degrees of freedom.
    """
    n, r = at_least("n", n), generator(seed)
    m = 10 * n if m is None else at_least("m", m)
    A = r.standard_normal((m, n))
    b = A @ r.standard_normal(n) + r.standard_t(2, m)
    f = norm1(A @ variable(n) - b)
    radius = _finite(residual_radius(A, float(np.abs(b).sum()), 1.0))
    source = GENERATED + "P. Bloomfield, W. Steiger, Least Absolute Deviations (1983)"
    return TestProblem("lad", f, np.zeros(n), source, radius=radius, seed=seed)


def _outliers(n: int, m: int | None, seed: int) -> tuple[Array, Array]:
    """A = N and b = A N + N, with 10 N more in a row with probability 1/10."""
    n, r = at_least("n", n), generator(seed)
    m = 10 * n if m is None else at_least("m", m)
    A = r.standard_normal((m, n))
    b = A @ r.standard_normal(n) + r.standard_normal(m)
    hit = r.random(m) < 0.1
    return A, b + 10 * hit * r.standard_normal(m)


def lad_outliers(n: int = 20, m: int | None = None, seed: int = 0) -> TestProblem:
    r"""Least absolute deviations, one row of ten spoiled; m = 10 n rows unless said.

    .. math:: |A x - b|_1, \quad A = N, \quad b = A N + e, \quad x0 = 0

    e = N, with 10 N more in a row with probability 1/10.
    """
    A, b = _outliers(n, m, seed)
    f = norm1(A @ variable(n) - b)
    radius = _finite(residual_radius(A, float(np.abs(b).sum()), 1.0))
    source = GENERATED + "P. Bloomfield, W. Steiger, Least Absolute Deviations (1983)"
    return TestProblem("lad_outliers", f, np.zeros(n), source, radius=radius, seed=seed)


def lad_box(
    n: int = 20, m: int | None = None, bound: float = 0.5, seed: int = 0
) -> TestProblem:
    r"""Least absolute deviations over a box that binds; m = 10 n rows unless said.

    .. math:: \min_{|x_i| \le β} |A x - b|_1, \qquad x0 = 0

    A and b as in `lad_outliers`.
    """
    bound = weight("bound", bound)
    A, b = _outliers(n, m, seed)
    ends = np.full(n, bound)
    return TestProblem(
        "lad_box",
        norm1(A @ variable(n) - b),
        np.zeros(n),
        GENERATED + "P. Bloomfield, W. Steiger, Least Absolute Deviations (1983)",
        constraint=Box(Interval(-ends, ends)),
        radius=float(norm(ends)) * (1 + 1e-12),
        seed=seed,
    )


def huber_regression(
    n: int = 20, m: int | None = None, M: float = 1.345, seed: int = 0
) -> TestProblem:
    r"""Huber's regression, quadratic up to M; m = 10 n rows unless said.

    .. math:: \sum_i h(<a_i, x> - b_i), \quad h(t) = t^2 \text{ for } |t| \le M,
       \quad 2 M |t| - M^2 \text{ beyond}, \quad x0 = 0

    A and b as in `lad_outliers`.
    """
    M = weight("M", M)
    A, b = _outliers(n, m, seed)
    f = huber_loss(M)(A @ variable(n) - b)
    # 2 M |A x - b|_1 <= f(x) + m M^2.
    f0 = float(f.value(np.zeros(n))) + len(b) * M**2
    source = (
        GENERATED + "P. J. Huber, Robust estimation of a location parameter, Ann. "
        "Math. Statist. 35 (1964), 73-101"
    )
    return TestProblem(
        "huber_regression",
        f,
        np.zeros(n),
        source,
        radius=_finite(residual_radius(A, f0, 2 * M)),
        seed=seed,
    )


def quantile_regression(
    n: int = 20, m: int | None = None, tau: float = 0.5, seed: int = 0
) -> TestProblem:
    r"""Regression at the quantile τ, m = 10 n rows unless said.

    .. math:: \sum_i τ \max(r_i, 0) + (1 - τ) \max(-r_i, 0), \quad r = b - A x

    A = N with a first column of ones, b = A N + e, e Student t with 2 degrees of
    freedom, x0 = 0.
    """
    n, r, tau = at_least("n", n), generator(seed), weight("tau", tau)
    if tau >= 1:
        raise ValueError(f"tau must lie strictly between 0 and 1, got {tau}")
    m = 10 * n if m is None else at_least("m", m)
    A = r.standard_normal((m, n))
    A[:, 0] = 1.0
    b = A @ r.standard_normal(n) + r.standard_t(2, m)
    f = pinball_loss(tau)(b - A @ variable(n))
    f0 = float(f.value(np.zeros(n)))
    radius = _finite(residual_radius(A, f0, min(tau, 1 - tau)))
    source = (
        GENERATED + "R. Koenker, G. Bassett, Regression quantiles, Econometrica 46 "
        "(1978), 33-50"
    )
    return TestProblem(
        "quantile_regression", f, np.zeros(n), source, radius=radius, seed=seed
    )


def norm_residual(n: int = 60, m: int | None = None, seed: int = 0) -> TestProblem:
    r"""The norm, not squared, of a residual: f* = 0, sharp; m = 5 n / 3 unless said.

    .. math:: |A x - b|, \quad A = N / \sqrt n, \quad b = A x^*, \quad x^* = N,
       \quad x0 = 0
    """
    n, r = at_least("n", n), generator(seed)
    m = -(-5 * n // 3) if m is None else at_least("m", m)
    A = r.standard_normal((m, n)) / np.sqrt(n)
    best = r.standard_normal(n)
    b = A @ best
    return TestProblem(
        "norm_residual",
        norm2(A @ variable(n) - b),
        np.zeros(n),
        GENERATED + "M. Diaz, B. Grimmer, Optimal convergence rates for the proximal "
        "bundle method, arXiv 2105.07874 (2021)",
        optimum=0.0,
        # b is rounded, so that a residual of this size may be left.
        accuracy=float(1e-15 * m**0.5 * (np.abs(A) @ np.abs(best)).max()),
        solution=best,
        seed=seed,
    )


def svm(
    n: int = 20, m: int | None = None, lam: float = 0.01, seed: int = 0
) -> TestProblem:
    r"""A linear support vector machine, m = 4 n rows unless said.

    .. math:: \frac{1}{m} \sum_i \max(0, 1 - y_i <a_i, x>) + \frac{λ}{2} |x|^2,
       \quad A = N, \quad y = sign(A N + N / 2), \quad x0 = 0
    """
    n, r, lam = at_least("n", n), generator(seed), weight("lam", lam)
    m = 4 * n if m is None else at_least("m", m)
    A = r.standard_normal((m, n))
    y = np.where(A @ r.standard_normal(n) + 0.5 * r.standard_normal(m) >= 0, 1.0, -1.0)
    x = variable(n)
    f = hinge_loss((y[:, None] * A) @ x) / m + (lam / 2) * squared_norm(x)
    # f is strongly convex: lam/2 |x*|^2 <= f(0) - f* <= 1.
    radius = float(np.sqrt(2 / lam))
    source = (
        GENERATED + "S. Shalev-Shwartz, Y. Singer, N. Srebro, A. Cotter, Pegasos, "
        "Math. Program. 127 (2011), 3-30"
    )
    return TestProblem("svm", f, np.zeros(n), source, radius=radius, seed=seed)


def max_affine(n: int = 20, m: int | None = None, seed: int = 0) -> TestProblem:
    r"""The maximum of m = 10 n random affine functions.

    .. math:: \max_i <a_i, x> + b_i, \quad A = N, \quad b = N, \quad x0 = 0

    less the mean of the rows of A, so that f is bounded below (by the mean of b).
    """
    n, r = at_least("n", n), generator(seed)
    m = 10 * n if m is None else at_least("m", m)
    A, b = r.standard_normal((m, n)), r.standard_normal(m)
    f = MaxAffine(A - A.mean(0), b)
    return TestProblem("max_affine", f, np.zeros(n), GENERATED[:-2], seed=seed)


def _classes(n: int, m: int | None, k: int, seed: int) -> tuple[Any, Any, Any]:
    """Samples A (m, n), their classes, and X of shape (n, k)."""
    r = generator(seed)
    m = 10 * n if m is None else at_least("m", m)
    A = r.standard_normal((m, n))
    scores = A @ r.standard_normal((n, k)) + 0.5 * r.standard_normal((m, k))
    return A, np.argmax(scores, 1), variable((n, k))


def multiclass_lasso(
    n: int = 10,
    m: int | None = None,
    classes: int = 3,
    lam: float = 0.01,
    seed: int = 0,
) -> TestProblem:
    r"""Multinomial regression with an l1 penalty; n features, m = 10 n samples.

    .. math:: \frac{1}{m} \sum_i \Big( \log \sum_c e^{<a_i, x_c>} - <a_i, x_{y_i}>
       \Big) + λ \sum_{jc} |X_{jc}|, \qquad X0 = 0

    A = N, y_i the largest entry of A N + N / 2 in row i. X has shape (n, classes), so
    there are n · classes variables.
    """
    n, k, lam = at_least("n", n), at_least("classes", classes, 2), weight("lam", lam)
    A, y, X = _classes(n, m, k, seed)
    right = A.T @ np.eye(k)[y] / len(A)
    loss = block_sum(log_sum_exp, np.full(len(A), 1 / len(A)))(A @ X)
    f = loss + Linear(-right.ravel()) + lam * norm1(X)
    # lam |x*|_1 <= f(x*) <= f(0) = log k, the loss being positive.
    radius = float(np.log(k)) / lam
    return TestProblem(
        "multiclass_lasso",
        f,
        np.zeros(n * k),
        GENERATED + TRAFS,
        radius=radius,
        seed=seed,
    )


def multiclass_svm(
    n: int = 10,
    m: int | None = None,
    classes: int = 3,
    lam: float = 0.01,
    seed: int = 0,
) -> TestProblem:
    r"""The multiclass hinge loss, features chosen together: n features, m = 10 n.

    .. math:: \frac{1}{m} \sum_i \max_c \big( 1_{c \ne y_i} + <a_i, x_c - x_{y_i}>
       \big) + λ \sum_j |X_{j \cdot}|, \qquad X0 = 0

    Data and shapes as in `multiclass_lasso`.
    """
    n, k, lam = at_least("n", n), at_least("classes", classes, 2), weight("lam", lam)
    A, y, X = _classes(n, m, k, seed)
    right = np.eye(k)[y]
    loss = block_sum(max_entry, np.full(len(A), 1 / len(A)))(A @ X + (1 - right))
    f = (
        loss
        + Linear(-(A.T @ right / len(A)).ravel())
        + lam * group_norm(np.repeat(np.arange(n), k))(X)
    )
    # lam |x*| <= lam sum |x_j| <= f(x*) <= f(0) = 1.
    source = (
        GENERATED + "K. Crammer, Y. Singer, On the algorithmic implementation of "
        "multiclass kernel-based vector machines, J. Mach. Learn. Res. 2 (2001), "
        "265-292"
    )
    return TestProblem(
        "multiclass_svm", f, np.zeros(n * k), source, radius=1 / lam, seed=seed
    )


ALL = (
    lad,
    lad_outliers,
    lad_box,
    huber_regression,
    quantile_regression,
    norm_residual,
    svm,
    max_affine,
    multiclass_lasso,
    multiclass_svm,
)
