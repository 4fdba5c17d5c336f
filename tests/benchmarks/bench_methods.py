"""One iteration of every method against the bare oracle, and a thousand problems.

Run as a script: python tests/benchmarks/bench_methods.py [part ...], parts of
"iterations", "thousand" (these two by default) and "oracles", the methods that are
left where nothing but an oracle is known.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import math  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
import warnings  # noqa: E402
from collections.abc import Callable  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402

from subgrad import (  # noqa: E402
    Box,
    Interval,
    MaxAffine,
    Simplex,
    from_oracle,
    hinge_loss,
    norm1,
    norm2,
    squared_norm,
    variable,
)
from subgrad.core import Function  # noqa: E402
from subgrad.solvers import (  # noqa: E402
    Constant,
    MaxIter,
    Polyak,
    SubgradientMethod,
    TargetLevel,
    minimize,
)
from subgrad.solvers.bounded_polyak import BoundedPolyak  # noqa: E402
from subgrad.solvers.distance_over_gradients import DoG, DoWG  # noqa: E402
from subgrad.solvers.dual_averaging import DualAveraging  # noqa: E402
from subgrad.solvers.mirror_descent import (  # noqa: E402
    Entropy,
    Euclidean,
    MirrorDescent,
    PNorm,
)
from subgrad.solvers.restarts import Restarted  # noqa: E402
from subgrad.solvers.shor import Shor  # noqa: E402
from subgrad.solvers.steps import LinearDecay  # noqa: E402

REPEATS = 9
Run = Callable[[], Any]

# name: method, what minimize is told, target for its ratio (none for work beyond O(n))
METHODS: dict[str, tuple[Any, dict[str, Any], float]] = {
    "constant": (SubgradientMethod(Constant(1e-3)), {}, 1.3),
    "average": (SubgradientMethod(Constant(1e-3), average=True), {}, 1.3),
    "Polyak": (SubgradientMethod(Polyak()), {"optimum": 0.0}, 1.3),
    "target level": (SubgradientMethod(TargetLevel()), {}, 1.3),
    "linear decay": (SubgradientMethod(LinearDecay(200)), {"radius": 3.0}, 1.3),
    "DoG": (SubgradientMethod(DoG()), {}, 1.3),
    "DoWG": (SubgradientMethod(DoWG()), {}, 1.3),
    "dual averaging": (DualAveraging(), {}, 1.3),
    "mirror, Euclidean": (MirrorDescent(Euclidean()), {"radius": 3.0}, 1.3),
    "mirror, p-norm": (MirrorDescent(PNorm(1.2)), {"radius": 3.0}, 1.3),
    "mirror, entropy": (MirrorDescent(Entropy()), {"simplex": True}, 1.3),
    "bounded Polyak": (BoundedPolyak(), {"radius": 3.0}, 1.3),
    "Shor, O(n^2)": (Shor(), {}, math.nan),
    "restarts, 8 copies": (Restarted(1e-2, copies=8), {}, math.nan),
}


def oracle(A: np.ndarray, b: np.ndarray, steps: int) -> Run:
    """f(x) = |A x - b|_1 and a subgradient, so many times, and nothing else."""

    def run() -> None:
        x = np.zeros(A.shape[-1])
        for _ in range(steps + 1):
            r = A @ x - b
            np.abs(r).sum(), np.sign(r) @ A

    return run


def by_hand_batched(A: np.ndarray, b: np.ndarray, step: float, steps: int) -> Run:
    """A (B, m, n), b (B, m): constant steps, each problem with its best point."""

    def run() -> None:
        x = np.zeros((A.shape[0], A.shape[-1]))
        best, best_x = np.full(A.shape[0], np.inf), x
        for _ in range(steps + 1):
            r = np.matvec(A, x) - b
            value = np.abs(r).sum(-1)
            better = value < best
            best = np.where(better, value, best)
            best_x = np.where(better[:, None], x, best_x)
            x = x - step * np.vecmat(np.sign(r), A)

    return run


def library(f: Function, shape: tuple[int, ...], name: str, steps: int) -> Run:
    method, known, _ = METHODS[name]
    known = dict(known)
    C = Simplex(shape[-1]) if known.pop("simplex", False) else None

    def run() -> None:
        minimize(f, np.zeros(shape), method, MaxIter(steps), C, cuts=0, **known)

    return run


def compare(name: str, ours: Run, hand: Run, steps: int, target: float) -> None:
    """Median of the ratios of neighbouring runs: both meet the same disturbances.

    In processor time, of one thread: others on the machine then count for less.
    """
    ours(), hand()
    times = np.empty((REPEATS, 2))
    for times_of_run in times:
        for i, run in enumerate((ours, hand)):
            start = time.process_time()
            run()
            times_of_run[i] = time.process_time() - start
    own, bare = np.median(times, axis=0) * 1e6 / (steps + 1)
    ratio = float(np.median(times[:, 0] / times[:, 1]))
    print(f"{name:28} | {own:9.1f} | {bare:9.1f} | {ratio:5.3f} | {target:6.2f}")


def iterations() -> None:
    rng = np.random.default_rng(0)
    head = "---------------------------- | --------: | --------: | ----: | -----:"
    A = rng.standard_normal((2000, 200))
    b = A @ rng.standard_normal(200) + rng.standard_t(2, 2000)
    f, steps = norm1(A @ variable(200) - b), 400
    print("LAD, m = 2000, n = 200       | ours, us  | bare, us  | ratio | target")
    print(head)
    for name, (_, _, target) in METHODS.items():
        compare(
            name, library(f, (200,), name, steps), oracle(A, b, steps), steps, target
        )

    A = rng.standard_normal((100, 200, 50))
    b = np.matvec(A, rng.standard_normal((100, 50))) + rng.standard_t(2, (100, 200))
    f, steps = norm1(A @ variable(50) - b), 200
    hand = by_hand_batched(A, b, 1e-3, steps)
    print("\n100 of m = 200, n = 50       | ours, us  | hand, us  | ratio | target")
    print(head)
    for name, (_, _, target) in METHODS.items():
        goal = 1.2 if target == 1.3 else math.nan
        compare(name, library(f, (100, 50), name, steps), hand, steps, goal)


def optima(A: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The least |A x - b|_1, one linear program per problem."""
    from scipy.optimize import linprog

    m, n = A.shape[1:]
    cost = np.append(np.zeros(n), np.ones(2 * m))
    bounds = [(None, None)] * n + [(0, None)] * (2 * m)
    return np.array(
        [
            linprog(cost, A_eq=np.hstack([a, np.eye(m), -np.eye(m)]), b_eq=y,
                    bounds=bounds).fun
            for a, y in zip(A, b, strict=True)
        ]
    )  # fmt: skip


def cvxpy_loop(A: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, float]:
    """The same by a compiled problem with parameters, and how many seconds it took."""
    import cvxpy as cp

    m, n = A.shape[1:]
    a, y, x = cp.Parameter((m, n)), cp.Parameter(m), cp.Variable(n)
    problem = cp.Problem(cp.Minimize(cp.norm1(a @ x - y)))
    a.value, y.value = A[0], b[0]
    problem.solve(solver="CLARABEL")
    values, start = [], time.perf_counter()
    for a.value, y.value in zip(A, b, strict=True):
        values.append(problem.solve(solver="CLARABEL"))
    return np.array(values), time.perf_counter() - start


def thousand() -> None:
    rng = np.random.default_rng(0)
    A, b = rng.standard_normal((1000, 50, 10)), rng.standard_normal((1000, 50))
    best = optima(A, b)
    print("\n1000 LAD problems, m = 50, n = 10, in one call")
    f = norm1(A @ variable(10) - b)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values, loop = cvxpy_loop(A, b)
    print(f"a loop over cvxpy with Clarabel: {loop:.2f} s")
    assert np.allclose(values, best, rtol=1e-6)
    for method, steps in (
        (Shor(length=0.2), 70),
        (Shor(), 80),
        (SubgradientMethod(TargetLevel()), 400),
        (SubgradientMethod(DoG()), 400),
        (DualAveraging(), 400),
        (Restarted(0.02, copies=6), 200),
    ):
        times = []
        for _ in range(3):
            start = time.perf_counter()
            found = minimize(f, np.zeros(10), method, MaxIter(steps), cuts=0)
            times.append(time.perf_counter() - start)
        error = found.fun / best - 1
        print(
            f"{getattr(method, 'rule', method)}: {steps} steps, {min(times):.3f} s, "
            f"{loop / min(times):.1f} times faster, "
            f"relative error: median {np.median(error):.1e}, largest {error.max():.1e}"
        )


def families(n: int) -> dict[str, Function]:
    """Random problems of n variables."""
    rng = np.random.default_rng(0)
    x, few = variable(n), max(2, n // 50)

    def matrix(m: int) -> tuple[np.ndarray, np.ndarray]:
        return rng.standard_normal((m, n)), rng.standard_normal(m)

    A, b = matrix(3 * n)
    lad = norm1(A @ x - (A @ rng.standard_normal(n) + rng.standard_t(2, 3 * n)))
    affine = MaxAffine(*matrix(5 * n))
    A, b = matrix(5 * n)
    y = np.sign(A @ rng.standard_normal(n) + 0.5 * b)
    svm = hinge_loss(y[:, None] * A @ x) / (5 * n) + 0.005 * squared_norm(x)
    A, b = matrix(n // 2)
    b = A[:, :few] @ rng.standard_normal(few) + 0.1 * b
    lasso = 0.5 * squared_norm(A @ x - b) + 0.1 * np.abs(A.T @ b).max() * norm1(x)
    A, b = matrix(2 * n)
    return {
        "LAD": lad, "max-affine": affine, "SVM": svm, "lasso": lasso,
        "norm": norm2(A @ x - b),
    }  # fmt: skip


def oracles() -> None:
    """f_best - f* of other methods over that of TargetLevel, on oracles."""
    from subgrad.cvx import reference

    others = {"dual averaging": DualAveraging(), "DoG": SubgradientMethod(DoG())}
    marks = (500, 2000, 10_000)
    names = " | ".join(f"{name:>20}" for name in others)
    print(f"after {marks} steps              | {names}")
    logs = []
    for n in (20, 100):
        for family, f in families(n).items():
            g = from_oracle(f.oracle, n)
            far = 100 * np.random.default_rng(1).standard_normal(n)
            box = Box(Interval(np.full(n, -0.2), np.full(n, 0.2)))
            for start, x0, C in (
                ("0", np.zeros(n), None), ("far", far, None), ("box", np.zeros(n), box)
            ):  # fmt: skip
                best = reference(f, constraint=C).fun
                errors = []
                for method in (SubgradientMethod(TargetLevel()), *others.values()):
                    stop = MaxIter(marks[-1])
                    found = minimize(g, x0, method, stop, C, cuts=0, record=1)
                    low = np.minimum.accumulate(found.history)
                    at = [min(k, len(low) - 1) for k in marks]
                    errors.append(np.maximum(low[at] - best, 1e-9 * abs(best)))
                ratios = np.array(errors[1:]) / errors[0]
                logs.append(np.log(ratios))
                cells = (" ".join(f"{r:6.2g}" for r in row) for row in ratios)
                print(f"{family:10} n = {n:<4} x0: {start:20} | {' | '.join(cells)}")
    print("geometric mean", np.exp(np.mean(logs, 0)).round(2).tolist())
    print("share <= 3    ", np.mean(np.exp(logs) <= 3, 0).round(2).tolist())


if __name__ == "__main__":
    parts = {"iterations": iterations, "thousand": thousand, "oracles": oracles}
    for part in sys.argv[1:] or ("iterations", "thousand"):
        parts[part]()
