r"""Random problems with sparse solutions. The size n is the number of unknowns.

N stands for independent standard normal entries, drawn in the order in which they are
named, from numpy.random.default_rng(seed).
"""

from __future__ import annotations

import numpy as np

from subgrad._check import Array
from subgrad.affine import variable
from subgrad.core import norm
from subgrad.functions.losses import elastic_net, logistic_loss
from subgrad.functions.norms import group_norm, norm1
from subgrad.functions.quadratic import squared_norm
from subgrad.problems._problem import (
    GENERATED,
    TestProblem,
    at_least,
    generator,
    weight,
)
from subgrad.sets.affine_subspace import AffineSubspace

GROUP = 5  # neighbours that are chosen together


def _sparse(
    n: int, m: int | None, few: int, seed: int, noise: float = 0.1
) -> tuple[Array, Array]:
    """A = N with n / 4 rows unless said, b = A x + noise N, x = N in its first few."""
    r = generator(seed)
    m = max(1, n // 4) if m is None else at_least("m", m)
    A = r.standard_normal((m, n))
    signal = np.zeros(n)
    signal[:few] = r.standard_normal(min(few, n))
    return A, A @ signal + noise * r.standard_normal(m)


def lasso(
    n: int = 100, m: int | None = None, share: float = 0.1, seed: int = 0
) -> TestProblem:
    r"""The lasso, m = n / 4 rows unless said, λ = share · max |Aᵀ b|.

    .. math:: ½ |A x - b|^2 + λ |x|_1, \quad A = N, \quad b = A \bar x + N / 10,
       \quad x0 = 0

    the first n / 100 (at least 1) entries of x̄ N, the others 0.
    """
    n, share = at_least("n", n), weight("share", share)
    A, b = _sparse(n, m, max(1, n // 100), seed)
    lam = share * float(np.abs(A.T @ b).max())
    x = variable(n)
    f = 0.5 * squared_norm(A @ x - b) + lam * norm1(x)
    # lam |x*|_1 <= f(x*) <= f(0).
    radius = 0.5 * float(b @ b) / lam
    source = (
        GENERATED + "R. Tibshirani, Regression shrinkage and selection via the lasso, "
        "J. Roy. Statist. Soc. B 58 (1996), 267-288"
    )
    return TestProblem("lasso", f, np.zeros(n), source, radius=radius, seed=seed)


def elastic_net_regression(
    n: int = 100, m: int | None = None, share: float = 0.1, seed: int = 0
) -> TestProblem:
    r"""The elastic net, both penalties by halves, α = 2 share · max |Aᵀ b|.

    .. math:: ½ |A x - b|^2 + \frac α 2 |x|_1 + \frac α 4 |x|^2, \qquad x0 = 0

    A and b as in `lasso`.
    """
    n, share = at_least("n", n), weight("share", share)
    A, b = _sparse(n, m, max(1, n // 100), seed)
    alpha = 2 * share * float(np.abs(A.T @ b).max())
    x, f0 = variable(n), 0.5 * float(b @ b)
    f = 0.5 * squared_norm(A @ x - b) + elastic_net(alpha, 0.5)(x)
    # Each of the penalties at x* is at most f(x*) <= f(0).
    radius = min(2 * f0 / alpha, 2 * (f0 / alpha) ** 0.5)
    source = (
        GENERATED + "H. Zou, T. Hastie, Regularization and variable selection via the "
        "elastic net, J. Roy. Statist. Soc. B 67 (2005), 301-320"
    )
    return TestProblem(
        "elastic_net_regression", f, np.zeros(n), source, radius=radius, seed=seed
    )


def group_lasso(
    n: int = 100, m: int | None = None, share: float = 0.1, seed: int = 0
) -> TestProblem:
    r"""The group lasso, groups of 5 neighbours; m = n / 2 rows unless said.

    .. math:: ½ |A x - b|^2 + λ \sum_g |x_g|, \quad A = N, \quad b = A \bar x + N / 10,
       \quad x0 = 0

    λ = share · max_g |A_gᵀ b|; the first n / 100 groups (at least 1) of x̄ N, the
    others 0; the last group is smaller where 5 does not divide n.
    """
    n, share = at_least("n", n), weight("share", share)
    m = max(1, n // 2) if m is None else m
    A, b = _sparse(n, m, GROUP * max(1, n // 100), seed)
    sizes = group_norm(np.arange(n) // GROUP)
    # The dual norm, group by group.
    squares = np.add.reduceat((A.T @ b) ** 2, np.arange(0, n, GROUP))
    lam = share * float(squares.max()) ** 0.5
    x = variable(n)
    f = 0.5 * squared_norm(A @ x - b) + lam * sizes(x)
    # lam |x*| <= lam sum_g |x*_g| <= f(x*) <= f(0).
    radius = 0.5 * float(b @ b) / lam
    source = (
        GENERATED + "M. Yuan, Y. Lin, Model selection and estimation in regression "
        "with grouped variables, J. Roy. Statist. Soc. B 68 (2006), 49-67"
    )
    return TestProblem("group_lasso", f, np.zeros(n), source, radius=radius, seed=seed)


def basis_pursuit(n: int = 50, m: int | None = None, seed: int = 0) -> TestProblem:
    r"""Basis pursuit, m = n / 5 equations unless said.

    .. math:: \min_{A x = b} |x|_1, \quad A = N, \quad b = A \bar x

    the first m / 10 (at least 1) entries of x̄ N, the others 0; x0 is the shortest
    solution of A x = b. Of more equations than unknowns x̄ is the only solution.
    """
    n = at_least("n", n)
    m = max(1, n // 5) if m is None else at_least("m", m)
    A, b = _sparse(n, m, max(1, m // 10), seed, noise=0.0)
    C = AffineSubspace.solve(A, b)
    x0 = C.project(np.zeros(n))
    source = (
        GENERATED + "S. Chen, D. Donoho, M. Saunders, Atomic decomposition by basis "
        "pursuit, SIAM J. Sci. Comput. 20 (1998), 33-61"
    )
    return TestProblem(
        "basis_pursuit",
        norm1(variable(n)),
        x0,
        source,
        constraint=C,
        # |x*| <= |x*|_1 <= |x0|_1.
        radius=float(np.abs(x0).sum() + norm(x0)) * (1 + 1e-12),
        seed=seed,
    )


def l1_logistic(
    n: int = 20, m: int | None = None, share: float = 0.1, seed: int = 0
) -> TestProblem:
    r"""Logistic regression with an l1 penalty, m = 10 n rows unless said.

    .. math:: \sum_i \log(1 + e^{-y_i <a_i, x>}) + λ |x|_1, \quad A = N, \quad
       y = sign(A \bar x + N / 2), \quad x0 = 0

    the first n / 10 (at least 1) entries of x̄ N, the others 0; λ = share · max |Aᵀ y|
    / 2, of which x* = 0 where share >= 1.
    """
    n, share = at_least("n", n), weight("share", share)
    m = 10 * n if m is None else m
    A, b = _sparse(n, m, max(1, n // 10), seed, noise=0.5)
    y = np.where(b >= 0, 1.0, -1.0)
    lam = share * float(np.abs(A.T @ y).max()) / 2
    x = variable(n)
    f = logistic_loss((-y[:, None] * A) @ x) + lam * norm1(x)
    # lam |x*|_1 <= f(x*) <= f(0), the loss being positive.
    radius = len(y) * float(np.log(2)) / lam
    source = (
        GENERATED + "K. Koh, S.-J. Kim, S. Boyd, An interior-point method for "
        "large-scale l1-regularized logistic regression, J. Mach. Learn. Res. 8 "
        "(2007), 1519-1555"
    )
    return TestProblem("l1_logistic", f, np.zeros(n), source, radius=radius, seed=seed)


ALL = (
    lasso,
    elastic_net_regression,
    group_lasso,
    basis_pursuit,
    l1_logistic,
)
