"""One set of parameters solves fourteen kinds of models, at any scale of their data."""

import numpy as np
import pytest

from subgrad import (
    Box,
    Indicator,
    Interval,
    Simplex,
    group_norm,
    hinge_loss,
    huber_loss,
    logistic_loss,
    max_entry,
    norm1,
    norm_inf,
    pinball_loss,
    squared_norm,
    sum_largest,
    tv,
    variable,
)
from subgrad.solvers import Gap, MaxIter, Structured, minimize


def data(seed, a, m, n):
    rng = np.random.default_rng(seed)
    return rng, a * rng.standard_normal((m, n)), variable(n)


def heights(rng, A, a, c, outliers):
    """c times A x + noise, A of scale a, and a tenth of them far off."""
    m, n = A.shape
    b = A / a @ rng.standard_normal(n) + 0.1 * rng.standard_normal(m)
    b[: m // 10] += outliers * rng.standard_normal(m // 10)
    return c * b


def few(rng, A, a, c, k):
    """The same of a vector with k entries."""
    x = np.zeros(A.shape[1])
    x[:k] = rng.standard_normal(k)
    return c * (A / a @ x + 0.1 * rng.standard_normal(len(A)))


def lad(seed, a, c, m=300, n=50):
    rng, A, x = data(seed, a, m, n)
    return norm1(A @ x - heights(rng, A, a, c, 10))


def quantile(seed, a, c, m=300, n=11):
    rng, A, x = data(seed, a, m, n)
    return pinball_loss(0.9)(A @ x - heights(rng, A, a, c, 1))


def svm(seed, a, c, m=500, n=30):
    rng, A, x = data(seed, a, m, n)
    y = np.sign(A @ rng.standard_normal(n) + a * rng.standard_normal(m))
    return 0.5 * squared_norm(x) + c * hinge_loss(y * (A @ x))


def lasso(seed, a, c, m=100, n=300):
    rng, A, x = data(seed, a, m, n)
    b = few(rng, A, a, c, 8)
    weight = 0.1 * np.abs(A.T @ b).max()
    return 0.5 * squared_norm(A @ x - b) + weight * norm1(x)


def elastic_net(seed, a, c, m=100, n=300):
    rng, A, x = data(seed, a, m, n)
    b = few(rng, A, a, c, 8)
    weight = 0.1 * np.abs(A.T @ b).max()
    ridge = 0.5 * weight * a / c * squared_norm(x)
    return 0.5 * squared_norm(A @ x - b) + weight * norm1(x) + ridge


def group_lasso(seed, a, c, m=100, n=200):
    rng, A, x = data(seed, a, m, n)
    b, groups = few(rng, A, a, c, 10), np.repeat(np.arange(n // 5), 5)
    sizes = np.sqrt(np.add.reduceat((A.T @ b) ** 2, np.arange(0, n, 5)))
    return 0.5 * squared_norm(A @ x - b) + 0.1 * sizes.max() * group_norm(groups)(x)


def largest(seed, a, c, m=200, n=20):
    rng, A, x = data(seed, a, m, n)
    return max_entry(A @ x + c * rng.standard_normal(m))


def uniform(seed, a, c, m=200, n=20):
    rng, A, x = data(seed, a, m, n)
    return norm_inf(A @ x + c * rng.standard_normal(m))


def pursuit(seed, a, c, m=50, n=200):
    rng, A, x = data(seed, a, m, n)
    b = c * A[:, :6] @ rng.standard_normal(6)
    return norm1(x) + Indicator(Box(Interval(b, b)))(A @ x)


def logistic(seed, a, c, m=300, n=40):
    rng, A, x = data(seed, a, m, n)
    y = np.sign(A @ rng.standard_normal(n) + a * rng.standard_normal(m))
    weight = 0.05 * np.abs(A.T @ (y / 2)).max()
    return logistic_loss(-y * (A @ x)) + weight * norm1(x)


def denoising(seed, a, c, n=500):
    rng, x = np.random.default_rng(seed), variable(n)
    b = np.repeat(rng.standard_normal(10), n // 10) + 0.2 * rng.standard_normal(n)
    return 0.5 * squared_norm(x - c * b) + a * c * tv(x)


def boxed(seed, a, c, m=300, n=50):
    rng, A, x = data(seed, a, m, n)
    r = np.full(n, 0.5 * c / a)
    box = Indicator(Box(Interval(-r, r)))
    return norm1(A @ x - heights(rng, A, a, c, 0)) + box(x)


def huber(seed, a, c, m=300, n=50):
    rng, A, x = data(seed, a, m, n)
    return huber_loss(float(c))(A @ x - heights(rng, A, a, c, 10))


def risk(seed, a, c, m=300, n=20):
    _, A, x = data(seed, a, m, n)
    return c * sum_largest(15)(-(A + 0.05 * a) @ x) + Indicator(Simplex(n))(x)


KINDS = [
    lad, quantile, svm, lasso, elastic_net, group_lasso, largest, uniform, pursuit,
    logistic, denoising, boxed, huber, risk,
]  # fmt: skip
SCALES = [(1.0, 1.0), (1e3, 1.0), (1e-3, 1.0), (1.0, 1e3), (1.0, 1e-3)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_model_is_solved_to_nine_digits(kind):
    for seed in range(20):
        for a, c in SCALES:
            f = kind(seed, a, c)
            size = abs(minimize(f, np.zeros(f.n), Structured(), Gap(1e-3)).fun)
            # Gaps are relative to max(1, |f*|), and here to f* itself.
            goal = Gap(1e-9 * min(1.0, max(size, 1e-300)))
            found = minimize(f, np.zeros(f.n), Structured(), MaxIter(100) | goal)
            told = (kind.__name__, seed, a, c, found.message, found.gap)
            assert found.success, told
            assert found.lower_bound <= found.fun, told
            assert found.certificate.verify(f), told
