"""One iteration of the subgradient method against the same loop written by hand.

Run as a script: python tests/benchmarks/bench_solver.py
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import math  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402

import numpy as np  # noqa: E402

from subgrad import norm1, variable  # noqa: E402
from subgrad.core import Function  # noqa: E402
from subgrad.solvers import Diminishing, MaxIter, SubgradientMethod, minimize  # noqa: E402

REPEATS = 21
Run = Callable[[], tuple[np.ndarray, np.ndarray]]


def by_hand(A: np.ndarray, b: np.ndarray, step: float, steps: int) -> Run:
    """f(x) = |A x - b|_1, steps a / sqrt(k + 1), best point kept."""

    def run() -> tuple[np.ndarray, np.ndarray]:
        x = np.zeros(A.shape[-1])
        best, best_x = np.inf, x
        for k in range(steps + 1):
            r = A @ x - b
            value = np.abs(r).sum()
            if value < best:
                best, best_x = value, x
            x = x - step / math.sqrt(k + 1) * (np.sign(r) @ A)
        return best, best_x

    return run


def by_hand_batched(A: np.ndarray, b: np.ndarray, step: float, steps: int) -> Run:
    """The same for A (B, m, n) and b (B, m), each problem with its own best point."""

    def run() -> tuple[np.ndarray, np.ndarray]:
        x = np.zeros((A.shape[0], A.shape[-1]))
        best, best_x = np.full(A.shape[0], np.inf), x
        for k in range(steps + 1):
            r = np.matvec(A, x) - b
            value = np.abs(r).sum(-1)
            better = value < best
            best = np.where(better, value, best)
            best_x = np.where(better[:, None], x, best_x)
            x = x - step / math.sqrt(k + 1) * np.vecmat(np.sign(r), A)
        return best, best_x

    return run


def library(f: Function, shape: tuple[int, ...], step: float, steps: int) -> Run:
    def run() -> tuple[np.ndarray, np.ndarray]:
        method = SubgradientMethod(Diminishing(step))
        found = minimize(f, np.zeros(shape), method, MaxIter(steps))
        return found.fun, found.x

    return run


def compare(name: str, ours: Run, hand: Run, steps: int, target: float) -> None:
    """Median of the ratios of neighbouring runs: both meet the same disturbances."""
    fun, x = ours()
    best, best_x = hand()
    assert np.allclose(fun, best, rtol=1e-9) and np.allclose(x, best_x, rtol=1e-6)
    times = np.empty((REPEATS, 2))
    for times_of_run in times:
        for i, run in enumerate((ours, hand)):
            start = time.perf_counter()
            run()
            times_of_run[i] = time.perf_counter() - start
    own, bare = np.median(times, axis=0) * 1e6 / (steps + 1)
    ratio = float(np.median(times[:, 0] / times[:, 1]))
    print(f"{name:28} | {own:9.1f} | {bare:9.1f} | {ratio:5.3f} | {target:6.2f}")


def main() -> None:
    rng = np.random.default_rng(0)
    print("one iteration                | ours, us  | hand, us  | ratio | target")
    print("---------------------------- | --------: | --------: | ----: | -----:")

    A = rng.standard_normal((2000, 200))
    b = A @ rng.standard_normal(200) + rng.standard_t(2, 2000)
    f = norm1(A @ variable(200) - b)
    steps = 100
    compare(
        "LAD, m = 2000, n = 200",
        library(f, (200,), 1e-3, steps),
        by_hand(A, b, 1e-3, steps),
        steps,
        1.25,
    )

    A = rng.standard_normal((100, 200, 50))
    b = np.matvec(A, rng.standard_normal((100, 50))) + rng.standard_t(2, (100, 200))
    f = norm1(A @ variable(50) - b)
    steps = 30
    compare(
        "100 of m = 200, n = 50",
        library(f, (100, 50), 1e-2, steps),
        by_hand_batched(A, b, 1e-2, steps),
        steps,
        1.2,
    )

    A = rng.standard_normal((20, 3))
    b = rng.standard_normal(20)
    f = norm1(A @ variable(3) - b)
    steps = 1000
    compare(
        "LAD, m = 20, n = 3",
        library(f, (3,), 1e-1, steps),
        by_hand(A, b, 1e-1, steps),
        steps,
        math.nan,
    )


if __name__ == "__main__":
    main()
