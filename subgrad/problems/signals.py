r"""Random signals, images and matrices to restore.

N stands for independent standard normal entries, drawn in the order in which they are
named, from numpy.random.default_rng(seed).
"""

from __future__ import annotations

import numpy as np

from subgrad.affine import variable
from subgrad.functions.norms import norm1
from subgrad.functions.quadratic import squared_norm
from subgrad.functions.spectral import nuclear_norm
from subgrad.functions.total_variation import total_variation
from subgrad.problems._problem import (
    GENERATED,
    TestProblem,
    at_least,
    generator,
    weight,
)

RUDIN = (
    GENERATED + "L. Rudin, S. Osher, E. Fatemi, Nonlinear total variation based noise "
    "removal algorithms, Physica D 60 (1992), 259-268"
)


def tv_denoising(n: int = 50, lam: float = 2.0, seed: int = 0) -> TestProblem:
    r"""Total variation denoising of a signal of n samples.

    .. math:: ½ |x - y|^2 + λ \sum_i |x_{i+1} - x_i|, \qquad x0 = y

    y = 3 cumsum(jumps) + N, a jump N with probability 1/100 per sample.
    """
    n, r, lam = at_least("n", n, 2), generator(seed), weight("lam", lam)
    jumps = r.standard_normal(n) * (r.random(n) < 0.01)
    y = 3 * np.cumsum(jumps) + r.standard_normal(n)
    x = variable(n)
    f = 0.5 * squared_norm(x - y) + lam * norm1(x[1:] - x[:-1])
    # f is strongly convex: |x* - y|^2 / 2 <= f(y) - f* <= f(y).
    radius = float(np.sqrt(2 * lam * np.abs(np.diff(y)).sum()))
    return TestProblem("tv_denoising", f, y, RUDIN, radius=radius, seed=seed)


def _image(name: str, n: int, lam: float, seed: int, isotropic: bool) -> TestProblem:
    n, r, lam = at_least("n", n, 2), generator(seed), weight("lam", lam)
    Y = np.zeros((n, n))
    for height in r.standard_normal(5):
        (top, left), (low, right) = np.sort(r.integers(0, n + 1, (2, 2)), axis=0)
        Y[top:low, left:right] += height
    Y += 0.1 * r.standard_normal((n, n))
    x, y = variable((n, n)), Y.ravel()
    variation = total_variation(isotropic)(x)
    f = 0.5 * squared_norm(x - Y) + lam * variation
    # f is strongly convex: |x* - y|^2 / 2 <= f(y) - f* <= f(y).
    radius = float(np.sqrt(2 * lam * variation.value(y)))
    return TestProblem(name, f, y, RUDIN, radius=radius, seed=seed)


def tv_image(n: int = 8, lam: float = 0.1, seed: int = 0) -> TestProblem:
    r"""Total variation denoising of an image of n x n pixels, not isotropic.

    .. math:: ½ |X - Y|^2 + λ \sum_{ij} |X_{i+1,j} - X_{ij}| + |X_{i,j+1} - X_{ij}|,
       \qquad X0 = Y

    Y five rectangles of heights N, with random corners, plus N / 10. There are n²
    variables.
    """
    return _image("tv_image", n, lam, seed, False)


def tv_image_isotropic(n: int = 8, lam: float = 0.1, seed: int = 0) -> TestProblem:
    r"""Isotropic total variation denoising of an image of n x n pixels.

    .. math:: ½ |X - Y|^2 + λ \sum_{i,j<n} \sqrt{(X_{i+1,j} - X_{ij})^2
       + (X_{i,j+1} - X_{ij})^2}, \qquad X0 = Y

    Y as in `tv_image`. There are n² variables.
    """
    return _image("tv_image_isotropic", n, lam, seed, True)


def matrix_completion(
    n: int = 8, rank: int = 2, share: float = 0.1, seed: int = 0
) -> TestProblem:
    r"""An n x n matrix of low rank, of which three entries of ten are seen.

    .. math:: ½ \sum_{ij \text{ seen}} (X_{ij} - B_{ij})^2 + λ |X|_*, \qquad X0 = 0

    B = U Vᵀ + N / 10, U and V = N of `rank` columns; λ = share times the spectral norm
    of B with 0 where it is not seen. There are n² variables.
    """
    n, r, share = at_least("n", n, 2), generator(seed), weight("share", share)
    rank = at_least("rank", rank)
    B = r.standard_normal((n, rank)) @ r.standard_normal((rank, n))
    B += 0.1 * r.standard_normal((n, n))
    seen = r.random((n, n)) < 0.3
    seen[0, 0] = True
    lam = share * float(np.linalg.norm(np.where(seen, B, 0.0), 2))
    X = variable((n, n))
    f = 0.5 * squared_norm(X[np.nonzero(seen)] - B[seen]) + lam * nuclear_norm(X)
    # lam |X*| <= lam |X*|_* <= f(X*) <= f(0).
    radius = 0.5 * float(B[seen] @ B[seen]) / lam
    source = (
        GENERATED + "E. Candes, B. Recht, Exact matrix completion via convex "
        "optimization, Found. Comput. Math. 9 (2009), 717-772; R. Mazumder, T. Hastie, "
        "R. Tibshirani, Spectral regularization algorithms for learning large "
        "incomplete matrices, J. Mach. Learn. Res. 11 (2010), 2287-2322"
    )
    return TestProblem(
        "matrix_completion", f, np.zeros(n * n), source, radius=radius, seed=seed
    )


ALL = (tv_denoising, tv_image, tv_image_isotropic, matrix_completion)
