"""The subdifferential of norm1 and of a generic Separable at 1e6 coordinates.

Against two bare numpy.where passes that fill two arrays, in one run:

    python tests/benchmarks/bench_subdifferential.py
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import statistics
import time
from collections.abc import Callable

import numpy as np

from subgrad import absolute, norm1, pinball, separable


def bare(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.where(x > 0, 1.0, -1.0), np.where(x < 0, -1.0, 1.0)


def medians(tasks: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Milliseconds, the tasks taking turns."""
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: statistics.median(t) for name, t in times.items()}


def main(n: int = 1_000_000, rounds: int = 31) -> None:
    x = np.random.default_rng(0).integers(-3, 4, n).astype(float)
    generic, quantile = separable(absolute), separable(pinball(0.3))
    found = medians(
        {
            "two numpy.where": lambda: bare(x),
            "norm1.subdifferential": lambda: norm1.subdifferential(x),
            "separable(absolute).subdifferential": lambda: generic.subdifferential(x),
            "separable(pinball).subdifferential": lambda: quantile.subdifferential(x),
        },
        rounds,
    )
    base = found["two numpy.where"]
    for name, ms in found.items():
        print(f"{name:38s} {ms:8.2f} ms  ratio {ms / base:5.2f}")


if __name__ == "__main__":
    main()
