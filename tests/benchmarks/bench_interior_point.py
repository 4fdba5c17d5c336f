"""The interior-point method to a certified relative gap of 1e-6, beside cvxpy.

OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python tests/benchmarks/bench_interior_point.py
"""

import sys
import time
import warnings

import numpy as np

from subgrad import (
    fused_lasso,
    hinge_loss,
    norm1,
    pinball_loss,
    squared_norm,
    trend_filtering,
    tv,
    variable,
)
from subgrad.solvers.structured.certificate import dual_bound
from subgrad.solvers.structured.form import primal
from subgrad.solvers.structured.interior_point import InteriorPoint, box_dual
from subgrad.solvers.structured.terms import structure

GAP, SEEDS = 1e-6, 3


def signal(n, seed):
    rng = np.random.default_rng(seed)
    return np.repeat(rng.standard_normal(20), n // 20) + 0.2 * rng.standard_normal(n)


def regression(m, n, seed):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((m, n))
    b = A @ rng.standard_normal(n) + 0.1 * rng.standard_normal(m)
    b[: m // 10] += 10 * rng.standard_normal(m // 10)
    return A, b


def near(n, seed, penalty):
    x = variable(n)
    return 0.5 * squared_norm(x - signal(n, seed)) + penalty(x)


def trend(n, seed):
    rng = np.random.default_rng(seed)
    knots = np.linspace(0, n, 20)
    b = np.interp(np.arange(n), knots, rng.standard_normal(20))
    x = variable(n)
    noise = 0.2 * rng.standard_normal(n)
    return 0.5 * squared_norm(x - b - noise) + 10 * trend_filtering(1)(x)


def lad(m, n, seed):
    A, b = regression(m, n, seed)
    return norm1(A @ variable(n) - b)


def quantile(m, n, seed):
    A, b = regression(m, n, seed)
    return pinball_loss(0.9)(A @ variable(n) - b)


def machine(m, n, seed):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((m, n))
    s = np.sign(A @ rng.standard_normal(n) + rng.standard_normal(m))
    x = variable(n)
    return 0.5 * squared_norm(x) + hinge_loss((s[:, None] * A) @ x)


CASES = {
    "TV-1D 1e4": lambda seed: near(10_000, seed, tv),
    "TV-1D 1e5": lambda seed: near(100_000, seed, tv),
    "fused lasso 1e4": lambda seed: near(10_000, seed, fused_lasso(0.1, 1.0)),
    "fused lasso 1e5": lambda seed: near(100_000, seed, fused_lasso(0.1, 1.0)),
    "trend filter 1e4": lambda seed: trend(10_000, seed),
    "trend filter 1e5": lambda seed: trend(100_000, seed),
    "LAD 2000x200": lambda seed: lad(2000, 200, seed),
    "quantile 442x11": lambda seed: quantile(442, 11, seed),
    "SVM 5000x100": lambda seed: machine(5000, 100, seed),
}


def solve(f):
    """The time to a certified gap, the steps, the gap and the value."""
    start = time.perf_counter()
    s = structure(f)
    form = primal(s)
    method = InteriorPoint(form)
    steps = 0
    while steps < 60:
        method.step()
        steps += 1
        value = s.value(method.x)
        room = GAP * max(1, abs(value))
        # A bound costs up to a step: it is looked for where it is likely.
        if method.gap <= room:
            proof = dual_bound(s, *form.pair(method.x, method.y))
            if value - proof.lower_bound <= room:
                break
    gap = (value - proof.lower_bound) / max(1, abs(value))
    return time.perf_counter() - start, steps, gap, value


def string(f):
    """Of a signal and its variation: one prox, and its multipliers by sums."""
    start = time.perf_counter()
    s = structure(f)
    b = -s.c
    x = tv(variable(s.n)).prox(b, 1.0)
    y = -np.cumsum(b - x)[:-1]
    value = s.value(x)
    proof = dual_bound(s, x, (y,))
    gap = (value - proof.lower_bound) / max(1, abs(value))
    return time.perf_counter() - start, gap


def by_cvxpy(f):
    import cvxpy as cp

    x = cp.Variable(f.n)
    problem = cp.Problem(cp.Minimize(f.to_cvxpy(x)))
    start = time.perf_counter()
    problem.solve(solver="CLARABEL")
    return time.perf_counter() - start, f.value(x.value)


def single():
    print("seconds                | ours    | steps | gap     | Clarabel | ratio")
    print("---------------------- | ------: | ----: | ------: | -------: | ----:")
    solve(near(1000, 0, tv)), string(near(1000, 0, tv)), by_cvxpy(lad(20, 2, 0))
    for name, make in CASES.items():
        rows = []
        for seed in range(SEEDS):
            f = make(seed)
            own, other = solve(f), by_cvxpy(f)
            assert abs(own[-1] - other[-1]) <= 2e-6 * max(1, abs(own[-1]))
            quick = string(f) if name.startswith("TV") else (np.nan, np.nan)
            rows.append((*own[:3], other[0], other[0] / own[0], *quick))
        t, k, gap, other, ratio, quick, exact = np.median(rows, axis=0)
        show(name, t, f"{k:5.0f}", gap, other, ratio)
        if name.startswith("TV"):
            ratio = np.median([r[3] / r[5] for r in rows])
            show("  taut string", quick, "     ", exact, other, ratio)


def show(name, own, steps, gap, other, ratio):
    print(
        f"{name:22} | {own:7.4f} | {steps} | {gap:7.0e} | {other:8.3f} | {ratio:5.1f}",
        flush=True,
    )


def thousand(count=1000, m=50, n=10):
    import cvxpy as cp

    a, y, x = cp.Parameter((m, n)), cp.Parameter(m), cp.Variable(n)
    problem = cp.Problem(cp.Minimize(cp.norm1(a @ x - y)))
    print(f"\n{count} LAD problems of {m} x {n}, certified, in one call")
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        A, b = rng.standard_normal((count, m, n)), rng.standard_normal((count, m))
        box_dual(0, 0, A[:9], -b[:9], -1, 1, gap=GAP)
        times = []
        for _ in range(3):
            start = time.perf_counter()
            found = box_dual(0, 0, A, -b, -1, 1, gap=GAP)
            times.append(time.perf_counter() - start)
            start = time.perf_counter()
            values = []
            for a.value, y.value in zip(A[:100], b[:100], strict=True):
                values.append(problem.solve(solver="CLARABEL"))
            times.append((time.perf_counter() - start) / 100 * count)
        gap = (found.value - found.lower) / np.maximum(1, found.value)
        assert np.allclose(values, found.value[:100], rtol=2e-6)
        own, other = np.median(times[::2]), np.median(times[1::2])
        print(
            f"seed {seed}: {own:.3f} s, largest gap {gap.max():.0e}; "
            f"cvxpy's loop {other:.2f} s, ratio {other / own:.1f}"
        )


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = sys.argv[1:]
        CASES = {k: v for k, v in CASES.items() if not names or k in names}
        single()
        thousand()
