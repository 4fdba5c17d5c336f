"""The structured solver against the best of cvxpy's solvers, problem by problem.

Run as a script: python tests/benchmarks/bench_structured.py [part of a name ...]
    [--seeds 3] [--tol 1e-6] [--limit 120] [--alone] [--solvers CLARABEL SCS]
"""

import os

for name in ("OMP", "OPENBLAS", "MKL"):
    os.environ[f"{name}_NUM_THREADS"] = "1"

import argparse  # noqa: E402
import time  # noqa: E402
import warnings  # noqa: E402

import numpy as np  # noqa: E402

from subgrad import (  # noqa: E402
    Box,
    Indicator,
    Linear,
    norm1,
    norm2,
    pinball_loss,
    problems,
    total_variation,
    variable,
)
from subgrad.problems import SUITES, TestProblem  # noqa: E402
from subgrad.sets.box import point  # noqa: E402
from subgrad.solvers import Gap, MaxIter, minimize  # noqa: E402

# What each is told: its own accuracy, near to 1e-6, and how long it may take.
SOLVERS = {
    "CLARABEL": lambda limit: {"time_limit": limit},
    "OSQP": lambda limit: {"eps_abs": 1e-6, "eps_rel": 1e-6, "time_limit": limit,
                           "max_iter": 10**6},
    "SCS": lambda limit: {"eps": 1e-6, "time_limit_secs": limit, "max_iters": 10**6},
    "HIGHS": lambda limit: {"time_limit": limit},
}  # fmt: skip

# Clarabel asks for 51 GB there.
TOO_LARGE = {("matrix_completion", "CLARABEL")}


def quantile_diabetes(seed):
    """The 0.9 quantile of scikit-learn's diabetes data, standardised, 442 x 11."""
    from sklearn.datasets import load_diabetes

    data = load_diabetes(scaled=False)
    X = (data.data - data.data.mean(0)) / data.data.std(0)
    A = np.column_stack([X, np.ones(len(X))])
    y = (data.target - data.target.mean()) / data.target.std()
    f = pinball_loss(0.9)(y - A @ variable(A.shape[1]))
    return TestProblem("quantile_diabetes", f, np.zeros(A.shape[1]), "scikit-learn")


def linear_program(seed):
    """min c'x, A x = b, x >= 0, A 200 x 600."""
    rng, m, n = np.random.default_rng(seed), 200, 600
    A, x = rng.standard_normal((m, n)), variable(n)
    start = rng.random(n) * (rng.random(n) < 0.5)
    c = A.T @ rng.standard_normal(m) + rng.random(n)
    sets = Indicator(point(A @ start))(A @ x)
    sets = sets + Indicator(Box(np.zeros(n), np.full(n, np.inf)))(x)
    return TestProblem("linear_program", Linear(c)(x) + sets, np.zeros(n), "random")


def tv_l1_image(seed, side=32):
    """|X - B|_1 + 0.8 TV(X), by axes, of rectangles with a tenth of the pixels lost."""
    rng = np.random.default_rng(seed)
    B = np.zeros((side, side))
    B[side // 4 : side // 2, side // 4 :] = 1.0
    B = np.where(rng.random(B.shape) < 0.1, rng.random(B.shape), B)
    X = variable(B.shape)
    f = norm1(X - B) + 0.8 * total_variation(False)(X)
    return TestProblem("tv_l1_image", f, np.zeros(side * side), "random")


def weighted_median(seed):
    """The point of R^3 with the least sum of weighted distances to 300 others."""
    rng, x = np.random.default_rng(seed), variable(3)
    P, w = rng.standard_normal((300, 3)), rng.random(300)
    f = sum(a * norm2(x - p) for a, p in zip(w, P, strict=True))
    return TestProblem("weighted_median", f, np.zeros(3), "random")


MEASURED = {
    "quantile_diabetes": quantile_diabetes,
    "linear_program": linear_program,
    "tv_l1_image": tv_l1_image,
    "weighted_median": weighted_median,
}


def ours(problem, tol):
    """Seconds, and the result; once before for what is loaded the first time."""
    f = problem.function
    x0 = np.zeros(f.n) if problem.x0 is None else problem.x0
    stop = MaxIter(200) | Gap(tol)
    start = time.perf_counter()
    found = minimize(f, x0, stop=stop, constraint=problem.constraint)
    return time.perf_counter() - start, found


def theirs(problem, solver, options, value):
    """Seconds of problem.solve(), and how far above `value` it ends, of its size."""
    import cvxpy as cp

    f = problem.function
    x = cp.Variable(f.n)
    limits = [] if problem.constraint is None else problem.constraint.to_cvxpy(x)
    model = cp.Problem(cp.Minimize(f.to_cvxpy(x)), limits)
    start = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.solve(solver=solver, **options)
    except Exception as error:  # whatever a solver throws, the others go on
        return np.inf, type(error).__name__
    seconds = time.perf_counter() - start
    if x.value is None:
        return np.inf, model.status
    point = x.value
    if problem.constraint is not None:
        point = problem.constraint.project(point)
    reached = f.value(point) if np.isfinite(f.value(point)) else model.value
    return seconds, abs(reached - value) / max(1.0, abs(value))


def run(case, seed, arguments):
    """A row: seconds of ours and of the best of the others.

    Every solver is stopped when it takes twice as long as the best before it.
    """

    def made():
        if isinstance(case, str) and case in MEASURED:
            return MEASURED[case](seed)
        return problems.make([case], None, seed)[0]

    # Another problem of the same data, so that nothing of this one is remembered.
    ours(made(), 1e-2)
    problem = made()
    seconds, found = ours(problem, arguments.tol)
    best, which, notes = np.inf, "", []
    for solver, options in {} if arguments.alone else SOLVERS.items():
        if solver not in arguments.solvers or (case[0], solver) in TOO_LARGE:
            continue
        limit = min(arguments.limit, 2 * best)
        taken, off = theirs(problem, solver, options(limit), float(found.fun))
        right = not isinstance(off, str) and off < 1e-4
        notes.append(f"{solver} {taken:.3g} s" + ("" if right else f" ({off})"))
        if right and taken < best:
            best, which = taken, solver
    return seconds, best, which, found, notes


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tol", type=float, default=1e-6)
    parser.add_argument("--limit", type=float, default=120.0)
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--solvers", nargs="*", default=list(SOLVERS))
    arguments = parser.parse_args()
    ratios = []
    print("problem | ours, s | proved gap | best of cvxpy, s | ratio")
    for case in (*SUITES["structured"], *MEASURED):
        name, options = (case, {}) if isinstance(case, str) else case
        label = " ".join([name, *(f"{k}={v}" for k, v in options.items())])
        if arguments.names and not any(a in label for a in arguments.names):
            continue
        rows = [run(case, seed, arguments) for seed in range(arguments.seeds)]
        mine, other = np.median([r[0] for r in rows]), np.median([r[1] for r in rows])
        found = rows[-1][3]
        gap = max(float(r[3].gap) / max(1.0, abs(float(r[3].fun))) for r in rows)
        ratio = np.median([r[1] / r[0] for r in rows])
        ratios.append(ratio)
        print(
            f"{label} | {mine:.4f} | {gap:.1e} {found.status} | "
            f"{other:.3f} {rows[-1][2]} | {ratio:.1f}",
            flush=True,
        )
        for note in rows[-1][4]:
            print("   ", note, flush=True)
    done = [r for r in ratios if np.isfinite(r)]
    if done:
        print(
            f"geometric mean of {len(done)} ratios: {np.exp(np.mean(np.log(done))):.1f}"
        )


if __name__ == "__main__":
    main()
