r"""Problems made of data: a location problem, max-cut relaxations, regressions."""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array, real
from subgrad.affine import variable
from subgrad.calculus.block_sum import block_sum
from subgrad.functions.lambda_max_pencil import LambdaMaxPencil
from subgrad.functions.norms import max_entry, norm1
from subgrad.functions.separable import pinball_loss
from subgrad.problems._problem import (
    LUKSAN_VLCEK,
    ROUNDING,
    TestProblem,
    data,
    residual_radius,
)

SDPLIB = (
    "SDPLIB 1.2, B. Borchers, Optim. Methods Softw. 11 (1999), 683-690; contributed by "
    "K. Fujisawa"
)


def tr48() -> TestProblem:
    r"""TR48, a transportation problem in its dual form: n = 48, f* = -638565.

    .. math:: \sum_j d_j \max_i (x_i - a_{ij}) - \sum_i s_i x_i

    a symmetric with a_ii = 100000, which is never active; sum d = sum s, so that
    f(x + c 1) = f(x). f(x0) = -464816. The optimum is that of a linear program.
    """
    numbers = np.array(data("tr48.dat").split(), float)
    costs, (d, s, best) = numbers[:1128], numbers[1128:].reshape(3, 48)
    a = np.zeros((48, 48))
    a[np.triu_indices(48, 1)] = costs
    a += a.T
    np.fill_diagonal(a, 100000.0)
    x = variable((1, 48))
    # Row j is x - a_j.
    f = block_sum(max_entry, d)(np.ones((48, 1)) @ x - a.T) - x @ s
    return TestProblem(
        "tr48", f, np.zeros(48), LUKSAN_VLCEK, optimum=-638565.0, solution=best
    )


def _maxcut(name: str, optimum: float) -> TestProblem:
    """sum(u) + n lambda_max(F0 - Diag(u)) of a file in SDPA sparse format."""
    from scipy.sparse import coo_array

    lines = data(f"{name}.dat-s").splitlines()
    n = int(lines[0])
    entries = np.array([line.split() for line in lines[4:]], float)
    entries = entries[entries[:, 0] == 0]
    i, j = entries[:, 2].astype(int) - 1, entries[:, 3].astype(int) - 1
    upper = coo_array((entries[:, 4], (i, j)), shape=(n, n)).tocsr()
    F0 = upper + upper.T
    F0.setdiag(upper.diagonal())
    u = variable(n)
    f = np.ones(n) @ u + float(n) * LambdaMaxPencil.diagonal(F0)(-u)
    return TestProblem(
        name.replace("-", "_"), f, np.zeros(n), SDPLIB, optimum, accuracy=1e-10
    )


def mcp100() -> TestProblem:
    r"""A max-cut relaxation as an eigenvalue problem: n = 100, f* = 226.157351483309.

    .. math:: \sum_i u_i + n \lambda_{\max}(F_0 - Diag(u)), \qquad f(u + c 1) = f(u)

    Its value is the optimum of max <F_0, X> over X >= 0 with unit diagonal. The optimum
    lies between <F_0, V V'> and f(u), V of unit rows and u = diag(F_0 V V') found by
    coordinate ascent, which agree in all digits given; SDPLIB prints 226.1574.
    """
    return _maxcut("mcp100", 226.157351483309)


def mcp250_1() -> TestProblem:
    r"""A max-cut relaxation as an eigenvalue problem: n = 250, f* = 317.264340343580.

    .. math:: \sum_i u_i + n \lambda_{\max}(F_0 - Diag(u)), \qquad f(u + c 1) = f(u)

    The optimum was found as for `mcp100`; SDPLIB prints 317.2643.
    """
    return _maxcut("mcp250-1", 317.264340343580)


def _read(name: str) -> Array:
    return np.loadtxt(data(name).splitlines(), delimiter=",", skiprows=1)


# tau: f*, and the coefficients there.
ENGEL = {
    0.1: (3869.9321609866292, [110.14157420494834, 0.4017657593034805]),
    0.25: (7082.315898974878, [95.48353963455294, 0.47410320819331014]),
    0.5: (8779.966323812847, [81.48224741693625, 0.5601805512094195]),
    0.75: (6529.250283893928, [62.396585528964714, 0.6440141393686897]),
    0.9: (3391.9837110282488, [67.35087208012983, 0.6862994803719052]),
}


def engel(tau: Any = 0.5) -> TestProblem:
    r"""Quantile regression of food expenditure on income, 235 households: n = 2.

    .. math:: \sum_i τ \max(r_i, 0) + (1 - τ) \max(-r_i, 0), \quad
       r_i = food_i - x_1 - x_2 income_i

    in Belgian francs, as published: the two columns differ by a factor 1000 in size. f*
    and x* for τ = 0.1, 0.25, 0.5, 0.75 and 0.9 are those of a vertex in rational
    arithmetic, which its multipliers prove optimal; the coefficients agree with all
    digits that quantreg for R prints. Of other τ none is known.
    """
    tau = float(real("tau", tau))
    if not 0 < tau < 1:
        raise ValueError(f"tau must lie strictly between 0 and 1, got {tau}")
    income, food = _read("engel.csv").T
    A = np.stack([np.ones_like(income), income], -1)
    f = pinball_loss(tau)(food - A @ variable(2))
    best, x = ENGEL.get(tau, (None, None))
    bound = residual_radius(A, float(f.value(np.zeros(2))), min(tau, 1 - tau))
    return TestProblem(
        "engel",
        f,
        np.zeros(2),
        "R. Koenker, G. Bassett, Robust tests for heteroscedasticity based on "
        "regression quantiles, Econometrica 50 (1982), 43-61; data: E. Engel (1857)",
        best,
        0.0 if best is None else ROUNDING * best,
        None if x is None else np.array(x),
        radius=bound if x is None else None,
    )


def stackloss() -> TestProblem:
    r"""Least absolute deviations, 21 days of a plant: n = 4, f* = 14518/345.

    .. math:: \sum_i |loss_i - x_1 - x_2 air_i - x_3 water_i - x_4 acid_i|

    The minimiser (-13693, 287, 198, -21)/345 is a vertex found in rational arithmetic,
    which its multipliers prove optimal.
    """
    loss, *rest = _read("stackloss.csv").T
    A = np.stack([np.ones_like(loss), *rest], -1)
    return TestProblem(
        "stackloss",
        norm1(A @ variable(4) - loss),
        np.zeros(4),
        "K. A. Brownlee, Statistical Theory and Methodology in Science and "
        "Engineering, 2nd ed., Wiley (1965)",
        14518 / 345,
        42 * ROUNDING,
        np.array([-13693, 287, 198, -21]) / 345,
    )


ALL = (tr48, mcp100, mcp250_1, engel, stackloss)
