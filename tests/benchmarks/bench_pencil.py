"""One subgradient of a sparse 2000 x 2000 lambda_max against numpy.linalg.eigh.

A random graph, a grid, a path (no gap at the top), the same with faint random edges (no
gap and much fill), twelve almost equal copies of one graph; each also with the error
proved. One thread, one run:

    python tests/benchmarks/bench_pencil.py
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp

from subgrad import LambdaMaxPencil


def graph(n: int, degree: int, rng: np.random.Generator) -> Any:
    """Weights of a random graph."""
    i, j = rng.integers(0, n, (2, n * degree // 2))
    W = sp.csr_array((rng.random(i.size), (i, j)), shape=(n, n))
    return (W + W.T - 2 * sp.diags_array(W.diagonal())).tocsr()


def laplacian(W: Any) -> Any:
    return (sp.diags_array(W.sum(0)) - W).tocsr()


def path(n: int) -> Any:
    return sp.diags_array([np.ones(n - 1)] * 2, offsets=[-1, 1]).tocsr()


def matrices(n: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    side = int(n**0.5)
    line, eye = laplacian(path(side)), sp.eye_array(side)
    one = graph(n // 12, 10, rng)
    copies = sp.kron(sp.eye_array(12), one) + 1e-7 * graph(12 * (n // 12), 2, rng)
    return {
        "random graph": laplacian(graph(n, 10, rng)),
        "grid": (sp.kron(line, eye) + sp.kron(eye, line)).tocsr(),
        "path, no gap": laplacian(path(n)),
        "path + graph": laplacian(path(n) + 1e-6 * graph(n, 6, rng)),
        "twelve copies": copies.tocsr(),
    }


def seconds(task: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        task()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main(n: int = 2000, rounds: int = 5) -> None:
    for name, S in matrices(n).items():
        f = LambdaMaxPencil.diagonal(S)
        y = np.random.default_rng(1).standard_normal(f.n)
        y = y if name == "random graph" else 0 * y
        dense = f.matrix(y).toarray()
        f.oracle(y)
        base = seconds(lambda A=dense: np.linalg.eigh(A), 1)
        fast = seconds(lambda f=f, y=y: f.oracle(y), rounds)
        proof = seconds(lambda f=f, y=y: f.eigenpair(y, prove=True), rounds)
        error = np.linalg.eigvalsh(dense)[-1] - f.value(y)
        print(
            f"{name:14s} eigh {1e3 * base:7.0f} ms   oracle {1e3 * fast:6.1f} ms "
            f"({base / fast:4.0f} times)   with proof {1e3 * proof:6.1f} ms "
            f"({base / proof:3.0f} times)   error {error:8.1e}, "
            f"proved {f.eigenpair(y, prove=True).error:.1e}"
        )


if __name__ == "__main__":
    main()
