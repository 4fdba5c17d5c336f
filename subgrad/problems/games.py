r"""Random games, portfolios, location problems. The size n is the dimension of x."""

from __future__ import annotations

import numpy as np

from subgrad.affine import AffineMap, variable, variables
from subgrad.calculus.block_compose import BlockComposition, block_compose
from subgrad.calculus.block_sum import block_sum
from subgrad.core import norm
from subgrad.functions.max_affine import MaxAffine
from subgrad.functions.norms import max_entry, norm1, norm2
from subgrad.functions.ordered import cvar
from subgrad.functions.separable import separable
from subgrad.problems._problem import (
    GENERATED,
    TRAFS,
    TestProblem,
    at_least,
    generator,
    weight,
)
from subgrad.sets.simplex import Simplex
from subgrad.univariate.catalog import entropy, negative_log

OFFSET = 1e-8  # in the logarithms of the distance game


def matrix_game(n: int = 20, m: int | None = None, seed: int = 0) -> TestProblem:
    r"""A matrix game over the simplex, m = n answers of the opponent unless said.

    .. math:: \min_{x \in Δ} \max_i (A x)_i, \qquad A = N, \quad x0 = 1/n
    """
    n, r = at_least("n", n), generator(seed)
    m = n if m is None else at_least("m", m)
    return TestProblem(
        "matrix_game",
        MaxAffine(r.standard_normal((m, n))),
        np.full(n, 1 / n),
        GENERATED + "J. von Neumann, Zur Theorie der Gesellschaftsspiele, Math. "
        "Ann. 100 (1928), 295-320",
        constraint=Simplex(n),
        radius=_centre_radius(n),
        seed=seed,
    )


def _centre_radius(n: int) -> float:
    """The distance from the centre of the simplex to its corners."""
    return float(np.sqrt(max(1 - 1 / n, 0.0))) * (1 + 1e-12)


def distance_game(
    n: int = 10, m: int | None = None, k: int | None = None, seed: int = 0
) -> TestProblem:
    r"""A game in which the opponent picks one of m = 3 n distances, over the simplex.

    .. math:: \min_{x \in Δ} \max_i |<a_i, x>| + |B_i x| + KL(x, p_i), \quad
       KL(x, p) = \sum_j x_j \log \frac{x_j + δ}{p_j + δ}

    with δ = 1e-8, B_i of k = floor((n + 3) / 4) + 1 rows, x0 = 1/n. A and all B are N,
    each scaled so that the median of its terms at x0 is that of the KL(x0, p_i); p_i
    exponential, divided by their sum.
    """
    n, r = at_least("n", n, 2), generator(seed)
    m = 3 * n if m is None else at_least("m", m)
    k = (n + 3) // 4 + 1 if k is None else at_least("k", k)
    A, B = r.standard_normal((m, n)), r.standard_normal((m, k, n))
    p = r.exponential(size=(m, n))
    p /= p.sum(1, keepdims=True)
    x0 = np.full(n, 1 / n)
    far = np.log(p + OFFSET)
    typical = np.median(np.abs(np.log(x0 + OFFSET) @ x0 - far @ x0))
    A *= typical / np.median(np.abs(A @ x0))
    B *= typical / np.median(norm(B @ x0))
    # One block per choice: <a_i, x>, B_i x and -<log p_i, x>.
    rows = np.concatenate([A[:, None], B, -far[:, None]], 1).reshape(-1, n)
    a, b, c = variables(1, k, 1)
    x = variable(n)
    choice = BlockComposition(max_entry, norm1(a) + norm2(b) + c, m)
    # x log(x + δ) is (x + δ) log(x + δ) - δ log(x + δ).
    own = separable(entropy)(x + OFFSET) + OFFSET * separable(negative_log)(x + OFFSET)
    return TestProblem(
        "distance_game",
        choice(rows @ x) + own,
        x0,
        GENERATED + TRAFS,
        constraint=Simplex(n),
        radius=_centre_radius(n),
        seed=seed,
    )


def cvar_portfolio(
    n: int = 10, m: int | None = None, beta: float = 0.9, seed: int = 0
) -> TestProblem:
    r"""The portfolio of n assets whose worst returns are least bad, over the simplex.

    .. math:: \min_{x \in Δ} CVaR_β(-R x), \qquad x0 = 1/n

    the mean of the worst 1 - β of the losses in m = 10 n scenarios unless said. The
    return of asset j in scenario i is R_ij = (μ_j / 10 + g_i + t_ij) / 100, μ and g N,
    the t Student with 4 degrees of freedom.
    """
    n, r, beta = at_least("n", n), generator(seed), weight("beta", beta)
    m = 10 * n if m is None else at_least("m", m)
    drift, market = r.standard_normal(n) / 10, r.standard_normal((m, 1))
    R = (drift + market + r.standard_t(4, (m, n))) / 100
    return TestProblem(
        "cvar_portfolio",
        # Probabilities are given because cvxpy's own cvar cannot be solved twice where
        # (1 - beta) m is no integer, as after rounding.
        cvar(beta, np.full(m, 1 / m))(-R @ variable(n)),
        np.full(n, 1 / n),
        GENERATED + "R. T. Rockafellar, S. Uryasev, Optimization of conditional "
        "value-at-risk, J. Risk 2 (2000), 21-41",
        constraint=Simplex(n),
        radius=_centre_radius(n),
        seed=seed,
    )


def _points(n: int, m: int, seed: int) -> tuple[AffineMap, float]:
    """x - a_i for m points N in R^n, as rows, and how far from 0 the points reach."""
    a = generator(seed).standard_normal((m, n))
    away = np.ones((m, 1)) @ variable((1, n)) - a
    return away, float(norm(a).max()) * (1 + 1e-12)


def enclosing_ball(n: int = 3, m: int = 100, seed: int = 0) -> TestProblem:
    r"""The smallest ball around m = 100 points in R^n: f* is its radius.

    .. math:: \max_i |x - a_i|, \qquad a = N, \quad x0 = 0

    The centre lies in the hull of the points, which bounds its distance from x0.
    """
    n, m = at_least("n", n), at_least("m", m)
    away, reach = _points(n, m, seed)
    return TestProblem(
        "enclosing_ball",
        block_compose(max_entry, norm2)(away),
        np.zeros(n),
        GENERATED + "J. J. Sylvester, A question in the geometry of situation, "
        "Q. J. Math. 1 (1857), 79",
        radius=reach,
        seed=seed,
    )


def fermat_weber(n: int = 3, m: int = 100, seed: int = 0) -> TestProblem:
    r"""The point of least weighted distance to m = 100 points in R^n.

    .. math:: \sum_i w_i |x - a_i|, \qquad a = N, \quad w \text{ uniform in } [½, 3/2],
       \quad x0 = 0

    A minimiser lies in the hull of the points, which bounds its distance from x0.
    """
    n, m = at_least("n", n), at_least("m", m)
    away, reach = _points(n, m, seed)
    w = 0.5 + np.random.default_rng([seed, 1]).random(m)
    return TestProblem(
        "fermat_weber",
        block_sum(norm2, w)(away),
        np.zeros(n),
        GENERATED + "A. Weber, Ueber den Standort der Industrien (1909); "
        "H. W. Kuhn, A note on Fermat's problem, Math. Program. 4 (1973), 98-107",
        radius=reach,
        seed=seed,
    )


ALL = (matrix_game, distance_game, cvar_portfolio, enclosing_ball, fermat_weber)
