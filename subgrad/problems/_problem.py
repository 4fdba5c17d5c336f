"""A test problem, and how its data are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, ClassVar

import numpy as np

from subgrad._check import Array, nonnegative, positive, vector
from subgrad.core import Function, Set, norm

# Rounding of a published optimum that is no binary fraction, relative to its size.
ROUNDING = float(np.finfo(float).eps)

GENERATED = "generated data; "
LUKSAN_VLCEK = (
    "L. Luksan, J. Vlcek, Test problems for nonsmooth unconstrained and linearly "
    "constrained optimization, report V-798, Academy of Sciences of the Czech "
    "Republic (2000)"
)
HAARALA = (
    "M. Haarala, K. Miettinen, M. M. Makela, New limited memory bundle method for "
    "large-scale nonsmooth optimization, Optim. Methods Softw. 19 (2004), 673-692"
)
TRAFS = (
    "K. Jia, M. Rinard, TRAFS: a nonsmooth convex optimization algorithm with O(1/eps) "
    "iteration complexity, arXiv 2311.06205 (2023)"
)


@dataclass(frozen=True, eq=False)
class TestProblem:
    r"""Minimise `function`, convex, over R^n or the set `constraint`, from x0.

    optimum
        f*, None where it is not known beforehand.
    accuracy
        A bound on the error of `optimum`; 0 means that it is exact.
    solution
        A minimiser, to the rounding of its entries; None where none is known.
    radius
        A proved bound on the distance from x0 to some minimiser; that to `solution`
        unless said. None where nothing is proved.
    source
        Where the problem, and what is said of its optimum, come from.
    seed
        Of random data; None otherwise.
    """

    __test__: ClassVar[bool] = False  # no test case, whatever pytest thinks of its name
    name: str
    function: Function
    x0: Array
    source: str
    optimum: float | None = None
    accuracy: float = 0.0
    solution: Array | None = None
    constraint: Set | None = None
    radius: float | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "x0", _fixed("x0", self.x0, self.function.n))
        nonnegative("accuracy", self.accuracy)
        if self.solution is not None:
            put(self, "solution", _fixed("solution", self.solution, self.n))
            if self.radius is None:
                # Up, because the entries of the solution are rounded.
                away = float(norm(self.x0 - self.solution))
                put(self, "radius", away * (1 + 1e-12))

    @property
    def n(self) -> int:
        """The number of variables."""
        return self.x0.shape[-1]

    def __repr__(self) -> str:
        known = "" if self.optimum is None else f", optimum={self.optimum}"
        seed = "" if self.seed is None else f", seed={self.seed}"
        return f"TestProblem({self.name!r}, n={self.n}{known}{seed})"


def _fixed(name: str, x: Any, n: int | None) -> Array:
    x = np.array(vector(name, x, n), float)
    x.flags.writeable = False
    return x


Make = Callable[..., TestProblem]


def data(name: str) -> str:
    """The text of a file of data."""
    return (files("subgrad.problems") / "data" / name).read_text("utf-8")


def at_least(name: str, n: Any, low: int = 1) -> int:
    """n as an integer of at least `low`."""
    if not isinstance(n, int | np.integer) or isinstance(n, bool) or n < 1:
        raise ValueError(f"{name} must be a positive integer, got {n!r}")
    if n < low:
        raise ValueError(f"{name} must be at least {low}, got {n}")
    return int(n)


def generator(seed: Any) -> np.random.Generator:
    whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
    if not whole or seed < 0:
        raise ValueError(f"seed must be a nonnegative integer, got {seed!r}")
    return np.random.default_rng(int(seed))


def weight(name: str, a: Any) -> float:
    """One positive number."""
    a = positive(name, a)
    if a.ndim:
        raise ValueError(f"{name} must be one number, got shape {a.shape}")
    return float(a)


def residual_radius(A: Array, f0: float, slope: float) -> float:
    r"""A bound on |x* - x0| where slope |A x - b|_1 <= f(x) for all x, and f0 = f(x0).

    slope |A d|_1 <= 2 f0 for d = x* - x0, and |A d|_1 >= |A d| >= s |d| as well as
    |A d|_1 >= |A d|² / max_i |<a_i, d>| >= s² |d| / max_i |a_i|, s the least singular
    value of A.
    """
    G = A.T @ A
    # The least eigenvalue of AᵀA, less what rounding may have added to it.
    squared = np.linalg.eigvalsh(G)[0] - sum(A.shape) * ROUNDING * np.trace(G)
    if squared <= 0:
        return np.inf
    return 2 * f0 / slope * min(squared**-0.5, float(norm(A).max()) / squared)
