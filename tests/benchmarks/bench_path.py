"""Regularization paths of the lasso: ours, scikit-learn's and celer's, with their gaps.

Run as a script: python tests/benchmarks/bench_path.py [--m 500] [--n 2000]
    [--values 100] [--least 1e-3] [--seeds 3] [--alone]

With pip install scikit-learn celer. The tolerance of each is lowered until the gap that
numpy finds for its coefficients is small enough at all values of the weight. Ours is
proved by its own multipliers; what numpy finds from A x - b alone is printed as well.
Processor time, the least of three runs.
"""

import os

for name in ("OMP", "OPENBLAS", "MKL"):
    os.environ[f"{name}_NUM_THREADS"] = "1"

import argparse  # noqa: E402
import time  # noqa: E402
import warnings  # noqa: E402

import numpy as np  # noqa: E402

from subgrad import norm1, squared_norm, variable  # noqa: E402
from subgrad.solvers import minimize, path  # noqa: E402

GAP = 1e-6


def data(m, n, seed):
    """Gaussian A, a solution with n / 100 entries, noise of a tenth."""
    rng = np.random.default_rng(seed)
    A, x = rng.standard_normal((m, n)), np.zeros(n)
    x[: max(1, n // 100)] = rng.standard_normal(max(1, n // 100))
    return A, A @ x + 0.1 * rng.standard_normal(m)


def gap(A, b, weights, X):
    """The largest relative gap of the columns of X."""
    worst = 0.0
    for w, x in zip(weights, X.T, strict=True):
        r = b - A @ x
        y = r * min(1.0, w / np.abs(A.T @ r).max())
        value = 0.5 * r @ r + w * np.abs(x).sum()
        worst = max(worst, (value - b @ y + 0.5 * y @ y) / max(1.0, value))
    return worst


def least(run, times=3):
    """Seconds of the processor, and what the last run gave."""
    best = np.inf
    for _ in range(times):
        start = time.process_time()
        found = run()
        best = min(best, time.process_time() - start)
    return best, found


def tuned(run, A, b, weights):
    """Seconds with the largest tolerance that is exact enough, and the tolerance."""
    for tol in 10.0 ** -np.arange(6, 15):
        seconds, X = least(lambda tol=tol: run(tol), 1)
        if gap(A, b, weights, X) <= GAP:
            return min(seconds, least(lambda tol=tol: run(tol), 2)[0]), tol
    return np.inf, 0.0


def theirs(A, b, weights):
    """Runs of the others by their names."""
    from celer import celer_path
    from sklearn.linear_model import lasso_path

    F, alphas = np.asfortranarray(A), weights / len(b)
    often = {"max_iter": 100_000, "alphas": alphas}

    def sklearn(tol, gram):
        return lasso_path(F, b, tol=tol, precompute=gram, **often)[1]

    return {
        "lasso_path": lambda tol: sklearn(tol, False),
        "lasso_path, Gram matrix": lambda tol: sklearn(tol, True),
        "celer_path": lambda tol: celer_path(F, b, "lasso", tol=tol, **often)[1],
    }


def run(seed, arguments):
    """The ratio of ours to the best of the others."""
    A, b = data(arguments.m, arguments.n, seed)
    top = np.abs(A.T @ b).max()
    weights = top * np.geomspace(1.0, arguments.least, arguments.values)
    x = variable(arguments.n)
    loss, zero = 0.5 * squared_norm(A @ x - b), np.zeros(arguments.n)
    one, last = (
        least(lambda w=w: minimize(loss + w * norm1(x), zero))[0]
        for w in (0.1 * top, weights[-1])
    )
    ours, found = least(lambda: path((loss + w * norm1(x) for w in weights), zero))
    start = time.process_time()
    for w in weights:
        minimize(loss + w * norm1(x), zero)
    mean = (time.process_time() - start) / len(weights)
    worst = max(float(r.gap / max(1.0, abs(r.fun))) for r in found)
    exact = gap(A, b, weights, np.stack([r.x for r in found], -1))
    print(
        f"seed {seed}: ours {ours:.3f} s, gap {worst:.1e} proved, {exact:.1e} by "
        f"numpy; {ours / mean:.0f} times a solve on its own, on the average "
        f"{mean * 1e3:.0f} ms, {ours / one:.0f} times one at a tenth, "
        f"{one * 1e3:.1f} ms, {ours / last:.1f} times one of the last, "
        f"{last * 1e3:.0f} ms"
    )
    best = np.inf
    for name, solve in ({} if arguments.alone else theirs(A, b, weights)).items():
        seconds, tol = tuned(solve, A, b, weights)
        best = min(best, seconds)
        print(f"    {name} {seconds:.3f} s with tol={tol:.0e}, {ours / seconds:.2f}")
    return ours / best


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--m", type=int, default=500)
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--values", type=int, default=100)
    parser.add_argument("--least", type=float, default=1e-3)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--alone", action="store_true")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    ratios = [run(seed, arguments) for seed in range(arguments.seeds)]
    print(f"ours by the best of the others, median: {np.median(ratios):.2f}")


if __name__ == "__main__":
    main()
