"""Projections and proxes by order, in units of np.sort of as many numbers.

    python tests/benchmarks/bench_ordered.py [repeats]

One run, one thread, medians; the calls take turns with the sort. `argsort` is the
stable one. numpy sorts by vector instructions where the machine has them.
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import platform  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402

import subgrad as sg  # noqa: E402

SIZES = (100_000, 1_000_000)


def medians(calls: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median seconds of each call, the first round not counted."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for run in range(repeats + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if run:
                times[name].append(time.perf_counter() - start)
    return {name: float(np.median(t)) for name, t in times.items()}


def cases(n: int) -> dict[str, Callable[[], Any]]:
    y = np.random.default_rng(0).standard_normal(n)
    rows = y.reshape(-1, 1000)
    norm, risk = sg.owl(np.linspace(2.0, 0.0, n)), sg.cvar(0.9)
    flat = np.random.default_rng(1).random(n)
    small, wide = sg.Simplex(n), sg.Simplex(n, 0.1 * n)
    capped, many = sg.CappedSimplex(0, 1, 0.1 * n, n), sg.Simplex(1000)
    chain = sg.IsotonicCone(n)
    return {
        "np.sort": lambda: np.sort(y),
        "argsort": lambda: np.argsort(y, kind="stable"),
        "simplex": lambda: small.project(y),
        "simplex, uniform numbers": lambda: small.project(flat),
        "simplex, radius n / 10": lambda: wide.project(y),
        "simplices, rows of 1000": lambda: many.project(rows),
        "capped simplex": lambda: capped.project(y),
        "isotonic cone": lambda: chain.project(y),
        "owl, value": lambda: norm.value(y),
        "owl, prox": lambda: norm.prox(y),
        "owl, subdifferential": lambda: norm.subdifferential(y),
        "ptp, prox": lambda: sg.ptp.prox(y),
        "cvar, value": lambda: risk.value(y),
        "cvar, prox": lambda: risk.prox(y),
    }


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    print(platform.processor() or platform.machine(), "numpy", np.__version__)
    print(f"median of {repeats} runs, one thread")
    found = [medians(cases(n), repeats) for n in SIZES]
    heads = "".join(f"{f'ms, n = {n:.0e}':>16}{'/ sort':>8}" for n in SIZES)
    print(f"{'':26}{heads}{'growth':>9}")
    for name in found[0]:
        line = f"{name:26}"
        for result in found:
            ratio = result[name] / result["np.sort"]
            line += f"{1e3 * result[name]:16.2f}{ratio:8.2f}"
        print(f"{line}{found[1][name] / found[0][name]:9.1f}")


if __name__ == "__main__":
    main()
