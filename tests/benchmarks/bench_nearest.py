"""Nearest point to 0 of a hull of 2000 Gaussian points in R^200, against QP solvers.

    python tests/benchmarks/bench_nearest.py [repeats]

One run, one thread, medians.  The other solvers get two formulations:
    hull: min |z|^2/2       subject to  V'lam = z, sum lam = 1, lam >= 0  in (lam, z)
    dual: min |z|^2/2 - h   subject to  V z >= h                          in (z, h)
The defect is max_i <p, p - v_i> / max |v_i|^2 (its root bounds the error of p).
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import platform  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402

import clarabel  # noqa: E402
import numpy as np  # noqa: E402
import osqp  # noqa: E402
import piqp  # noqa: E402
import scipy.sparse as sp  # noqa: E402

from subgrad.sets.nearest import nearest  # noqa: E402

Solve = Callable[[np.ndarray], np.ndarray]


def hull_form(V: np.ndarray) -> tuple:
    """P, c, A, b, and the number of sign constraints: A x = b, x_i >= 0 for i < m."""
    m, n = V.shape
    P = sp.block_diag([sp.csc_array((m, m)), sp.eye_array(n)], format="csc")
    A = sp.block_array([[V.T, -sp.eye_array(n)], [np.ones((1, m)), None]], format="csc")
    return P, np.zeros(m + n), A, np.append(np.zeros(n), 1.0)


def dual_form(V: np.ndarray) -> tuple:
    """P, c, G, h: G x <= h."""
    m, n = V.shape
    P = np.diag(np.append(np.ones(n), 0.0))
    return P, np.append(np.zeros(n), -1.0), np.hstack([-V, np.ones((m, 1))])


def clarabel_hull(V: np.ndarray) -> np.ndarray:
    m, n = V.shape
    P, c, A, b = hull_form(V)
    signs = sp.hstack([-sp.eye_array(m), sp.csc_array((m, n))])
    cones = [clarabel.ZeroConeT(n + 1), clarabel.NonnegativeConeT(m)]
    rows, right = sp.csc_matrix(sp.vstack([A, signs])), np.append(b, np.zeros(m))
    return np.array(run_clarabel(P, c, rows, right, cones))[m:]


def clarabel_dual(V: np.ndarray) -> np.ndarray:
    P, c, G = dual_form(V)
    cones = [clarabel.NonnegativeConeT(len(V))]
    x = run_clarabel(P, c, sp.csc_matrix(G), np.zeros(len(V)), cones)
    return np.array(x)[:-1]


def run_clarabel(P, c, A, b, cones) -> list[float]:
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.max_threads = 1
    solver = clarabel.DefaultSolver(sp.csc_matrix(P), c, A, b, cones, settings)
    return solver.solve().x


def piqp_hull(V: np.ndarray) -> np.ndarray:
    m, n = V.shape
    P, c, A, b = hull_form(V)
    low = np.append(np.zeros(m), np.full(n, -np.inf))
    solver = piqp.SparseSolver()
    solver.setup(sp.csc_matrix(P), c, sp.csc_matrix(A), b, None, None, None, low)
    solver.solve()
    return solver.result.x[m:]


def piqp_dual(V: np.ndarray) -> np.ndarray:
    P, c, G = dual_form(V)
    solver = piqp.DenseSolver()
    low = np.full(len(V), -np.inf)
    solver.setup(P, c, None, None, G, low, np.zeros(len(V)))
    solver.solve()
    return solver.result.x[:-1]


def osqp_dual(V: np.ndarray) -> np.ndarray:
    P, c, G = dual_form(V)
    solver = osqp.OSQP()
    accuracy = {"eps_abs": 1e-7, "eps_rel": 1e-7, "max_iter": 20000}
    low, high = np.full(len(V), -np.inf), np.zeros(len(V))
    P, G = sp.csc_matrix(P), sp.csc_matrix(G)
    solver.setup(P, c, G, low, high, verbose=False, **accuracy)
    return solver.solve(raise_error=False).x[:-1]


# osqp takes a minute on the hull form.
OTHERS = [piqp_dual, piqp_hull, clarabel_dual, clarabel_hull, osqp_dual]


def ours(V: np.ndarray) -> np.ndarray:
    return nearest(None, np.zeros(V.shape[1]), vertices=V)


def timed(solve: Solve, V: np.ndarray, repeats: int) -> tuple[float, np.ndarray]:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        p = solve(V)
        times.append(time.perf_counter() - start)
    return float(np.median(times)), p


def defect(p: np.ndarray, V: np.ndarray) -> float:
    return float(((p - V) @ p).max() / (V * V).sum(1).max())


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    print(platform.processor() or platform.machine(), "numpy", np.__version__)
    print(f"median of {repeats} runs, one thread")
    for shift in (0.5, 0.2, 0.12, 0.1, 0.0):
        V = np.random.default_rng(0).standard_normal((2000, 200)) + shift
        ours(V[:20])
        seconds, p = timed(ours, V, repeats)
        print(f"shift {shift}: distance {np.linalg.norm(p):.4g}")
        print(f"  {'subgrad':15} {1e3 * seconds:9.1f} ms  defect {defect(p, V):9.1e}")
        best = np.inf
        for solve in OTHERS:
            other, q = timed(solve, V, 1)
            if other < 3 * best and repeats > 1:
                other, q = timed(solve, V, repeats)
            best = min(best, other)
            print(
                f"  {solve.__name__:15} {1e3 * other:9.1f} ms  "
                f"defect {defect(q, V):9.1e}  "
                f"distance to ours {np.linalg.norm(p - q):.1e}"
            )
        print(f"  ours / best other: {seconds / best:.2f}")


if __name__ == "__main__":
    main()
