r"""Small problems that every nonsmooth code is tried on; sizes are fixed.

Formulas, starting points and minimisers: Luksan and Vlcek, report V-798, TEST19. The
optima of cb2, shor and maxquad were computed again in extended precision from the KKT
system of their active pieces, with a residual below 1e-32.
"""

from __future__ import annotations

import numpy as np

from subgrad.affine import variable
from subgrad.calculus.maximum import maximum
from subgrad.core import Function
from subgrad.functions.quadratic import Quadratic, squared_norm
from subgrad.functions.separable import separable
from subgrad.problems._problem import LUKSAN_VLCEK, ROUNDING, TestProblem
from subgrad.univariate.catalog import exponential, power

fourth = separable(power(4.0))  # x^4 / 4, summed


def _small(
    name: str,
    f: Function,
    x0: list[float],
    optimum: float,
    solution: list[float],
    accuracy: float = 0.0,
) -> TestProblem:
    x, best = np.array(x0, float), np.array(solution, float)
    return TestProblem(name, f, x, LUKSAN_VLCEK, optimum, accuracy, best)


def cb2() -> TestProblem:
    r"""CB2 (Charalambous, Bandler): n = 2, f* = 1.952224493870659.

    .. math:: \max\{x_1^2 + x_2^4, (2 - x_1)^2 + (2 - x_2)^2, 2 e^{x_2 - x_1}\}
    """
    x = variable(2)
    pieces = squared_norm(x[0]) + 4 * fourth(x[1])
    return _small(
        "cb2",
        maximum(pieces, squared_norm(2 - x), 2 * separable(exponential)(x[1] - x[0])),
        [1, -0.1],
        1.952224493870658994,
        [1.1390376519926626553, 0.8995599383953928702],
        2 * ROUNDING,
    )


def cb3() -> TestProblem:
    r"""CB3 (Charalambous, Bandler): n = 2, f* = 2 at (1, 1).

    .. math:: \max\{x_1^4 + x_2^2, (2 - x_1)^2 + (2 - x_2)^2, 2 e^{x_2 - x_1}\}
    """
    x = variable(2)
    pieces = 4 * fourth(x[0]) + squared_norm(x[1])
    return _small(
        "cb3",
        maximum(pieces, squared_norm(2 - x), 2 * separable(exponential)(x[1] - x[0])),
        [2, 2],
        2.0,
        [1, 1],
    )


def dem() -> TestProblem:
    r"""DEM (Demyanov, Malozemov): n = 2, f* = -3 at (0, -3).

    .. math:: \max\{5 x_1 + x_2, -5 x_1 + x_2, x_1^2 + x_2^2 + 4 x_2\}
    """
    x = variable(2)
    bowl = squared_norm(x) + 4 * x[1]
    return _small(
        "dem",
        maximum(5 * x[0] + x[1], -5 * x[0] + x[1], bowl),
        [1, 1],
        -3.0,
        [0, -3],
    )


def ql() -> TestProblem:
    r"""QL: n = 2, f* = 7.2 at (1.2, 2.4).

    .. math:: |x|^2 + 10 \max\{0, -4 x_1 - x_2 + 4, -x_1 - 2 x_2 + 6\}
    """
    x = variable(2)
    hinge = maximum(0, 4 - 4 * x[0] - x[1], 6 - x[0] - 2 * x[1])
    return _small(
        "ql",
        squared_norm(x) + 10 * hinge,
        [-1, 5],
        7.2,
        [1.2, 2.4],
        8 * ROUNDING,
    )


def lq() -> TestProblem:
    r"""LQ: n = 2, f* = -√2 at (1, 1) / √2.

    .. math:: \max\{-x_1 - x_2, -x_1 - x_2 + x_1^2 + x_2^2 - 1\}
    """
    x = variable(2)
    return _small(
        "lq",
        maximum(-x[0] - x[1], squared_norm(x) - x[0] - x[1] - 1),
        [-0.5, -0.5],
        -np.sqrt(2),
        [np.sqrt(0.5)] * 2,
        2 * ROUNDING,
    )


def mifflin1() -> TestProblem:
    r"""Mifflin 1: n = 2, f* = -1 at (1, 0).

    .. math:: -x_1 + 20 \max\{x_1^2 + x_2^2 - 1, 0\}
    """
    x = variable(2)
    return _small(
        "mifflin1",
        20 * maximum(squared_norm(x) - 1, 0) - x[0],
        [0.8, 0.6],
        -1.0,
        [1, 0],
    )


def rosen_suzuki() -> TestProblem:
    r"""Rosen-Suzuki as an exact penalty: n = 4, f* = -44 at (0, 1, 2, -1).

    .. math:: f_1 + 10 \max\{0, f_2, f_3, f_4\}

    with the form of TEST19, in which the last constraint has x_1² (other collections
    have 2 x_1²: the same minimiser, other values elsewhere).
    """
    x = variable(4)

    def form(diagonal: list[float], c: list[float], b: float) -> Function:
        return Quadratic(2.0 * np.diag(diagonal))(x) + np.array(c) @ x + b

    f1 = form([1, 1, 2, 1], [-5, -5, -21, 7], 0)
    f2 = form([1, 1, 1, 1], [1, -1, 1, -1], -8)
    f3 = form([1, 2, 1, 2], [-1, 0, 0, -1], -10)
    f4 = form([1, 1, 1, 0], [2, -1, 0, -1], -5)
    return _small(
        "rosen_suzuki",
        f1 + 10 * maximum(0, f2, f3, f4),
        [0, 0, 0, 0],
        -44.0,
        [0, 1, 2, -1],
    )


SHOR_POINTS = [
    [0, 0, 0, 0, 0],
    [2, 1, 1, 1, 3],
    [1, 2, 1, 1, 2],
    [1, 4, 1, 2, 2],
    [3, 2, 1, 0, 1],
    [0, 2, 1, 0, 1],
    [1, 1, 1, 1, 1],
    [1, 0, 1, 2, 1],
    [0, 0, 2, 1, 0],
    [1, 1, 2, 0, 0],
]
SHOR_WEIGHTS = [1, 5, 10, 2, 4, 3, 1.7, 2.5, 6, 3.5]


def shor() -> TestProblem:
    r"""Shor: n = 5, ten weighted squared distances, f* = 22.600162095770895.

    .. math:: \max_i b_i |x - a_i|^2
    """
    x = variable(5)
    each = zip(SHOR_WEIGHTS, SHOR_POINTS, strict=True)
    return _small(
        "shor",
        maximum(*(b * squared_norm(x - a) for b, a in each)),
        [0, 0, 0, 0, 1],
        22.600162095770895341,
        [
            1.1243510101866155487,
            0.97946159931365546797,
            1.4777077519642633777,
            0.92023348588485769579,
            1.1242915880048428522,
        ],
        16 * ROUNDING,
    )


def maxquad() -> TestProblem:
    r"""Maxquad (Lemarechal): n = 10, five quadratics, f* = -0.8414083345964149.

    .. math:: \max_k <x, A_k x> - <b_k, x>, \quad b_{k,i} = e^{i/k} \sin(i k),
       \quad A_{k,ij} = e^{\min(i,j)/\max(i,j)} \cos(i j) \sin k \ (i \ne j),
       \quad A_{k,ii} = |\sin k| i / 10 + \sum_{j \ne i} |A_{k,ij}|
    """
    x, i = variable(10), np.arange(1.0, 11.0)
    ratio = np.minimum.outer(i, i) / np.maximum.outer(i, i)
    pieces = []
    for k in range(1, 6):
        A = np.exp(ratio) * np.cos(np.outer(i, i)) * np.sin(k)
        np.fill_diagonal(A, 0.0)
        A += np.diag(abs(np.sin(k)) * i / 10 + np.abs(A).sum(1))
        b = np.exp(i / k) * np.sin(i * k)
        pieces.append(Quadratic(2 * A)(x) - b @ x)
    return _small(
        "maxquad",
        maximum(*pieces),
        [1.0] * 10,
        -0.8414083345964148924,
        [
            -0.12625658077472546067,
            -0.03437830256204083086,
            -0.0068571983269814785459,
            0.026360658246337905974,
            0.067294922689741493804,
            -0.27839950075199370021,
            0.074218664544693576187,
            0.13852404783729687382,
            0.084031223125332430313,
            0.038580309772730860276,
        ],
        ROUNDING,
    )


ALL = (cb2, cb3, dem, ql, lq, mifflin1, rosen_suzuki, shor, maxquad)
