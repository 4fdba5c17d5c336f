"""Shor's method against the same loop written by hand, and where SetDescent spends.

Run as a script: python tests/benchmarks/bench_descent.py
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import itertools  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402

import numpy as np  # noqa: E402

from subgrad import norm1, norm_inf, variable  # noqa: E402
from subgrad.problems import problem  # noqa: E402
from subgrad.solvers import MaxIter, Problem, iterate, minimize  # noqa: E402
from subgrad.solvers.set_descent import SetDescent, shortest  # noqa: E402
from subgrad.solvers.shor import Shor  # noqa: E402

REPEATS = 7


def clock(run: Callable[[], object]) -> float:
    """Median of the seconds it takes."""
    run()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def by_hand(A: np.ndarray, b: np.ndarray, steps: int) -> float:
    """The best |A x - b|_1 of the r-algorithm from 0."""
    x, h, walked = np.zeros(A.shape[1]), 1.0, 0
    B = np.eye(x.size)
    r = A @ x - b
    best, g = np.abs(r).sum(), np.sign(r) @ A
    d = g / np.linalg.norm(g)
    for _ in range(steps):
        x = x - h * d
        r = A @ x - b
        best, after = min(best, np.abs(r).sum()), np.sign(r) @ A
        walked += 1
        if walked % 3 == 0:
            h *= 1.2
        if after @ d <= 0:
            if walked == 1:
                h *= 0.95
            u = B.T @ (after - g)
            u /= np.linalg.norm(u)
            B -= 0.5 * np.outer(B @ u, u)
            xi = B.T @ after
            d, g, walked = B @ (xi / np.linalg.norm(xi)), after, 0
    return float(best)


def dilated() -> None:
    rng = np.random.default_rng(0)
    print("one step of Shor                 | ours, us | by hand, us | ratio")
    print("-------------------------------- | -------: | ----------: | ----:")
    for m, n, size, steps in (
        (60, 10, 1, 300),
        (300, 50, 1, 300),
        (1000, 300, 1, 100),
        (60, 10, 100, 100),
        (300, 50, 20, 100),
    ):
        A, b = rng.standard_normal((size, m, n)), rng.standard_normal((size, m))
        f, x0 = norm1(A @ variable(n) - b), np.zeros((size, n))
        ours = minimize(f, x0, Shor(), MaxIter(steps), cuts=0).fun
        hand = [by_hand(*one, steps) for one in zip(A, b, strict=True)]
        assert np.allclose(ours, hand, rtol=1e-6)

        def loop(f=f, x0=x0, steps=steps) -> None:
            minimize(f, x0, Shor(), MaxIter(steps), cuts=0)

        def plain(A=A, b=b, steps=steps) -> None:
            for one in zip(A, b, strict=True):
                by_hand(*one, steps)

        a, c = (1e6 * clock(run) / steps for run in (loop, plain))
        name = f"{size} of |A x - b|_1, A {m} x {n}"
        print(f"{name:32} | {a:8.1f} | {c:11.1f} | {a / c:5.2f}")


def with_sets() -> None:
    rng = np.random.default_rng(0)
    A, b = rng.standard_normal((200, 20)), rng.standard_normal(200)
    cases = [("max_i |a_i x - b_i|", norm_inf(A @ variable(20) - b), np.zeros(20))]
    for name in ("maxquad", "maxq", "goffin", "mxhilb"):
        p = problem(name)
        cases.append((name, p.function, p.x0))
    print()
    print("one step of SetDescent           |  all, ms | projections, ms")
    print("-------------------------------- | -------: | --------------:")
    for name, f, x0 in cases:
        steps, given = 30, Problem(f)
        states = list(itertools.islice(iterate(SetDescent(), given, x0), steps))
        one = clock(
            lambda f=f, x0=x0: minimize(f, x0, SetDescent(), MaxIter(30), cuts=0)
        )

        def project(states=states, given=given) -> None:
            for s in states:
                eps = np.array([64.0, 1.0, 0.125]) * s.memory.eps
                shortest(given, np.broadcast_to(s.x, (3, s.x.size)), eps)

        a, c = 1e3 * one / steps, 1e3 * clock(project) / steps
        print(f"{name:32} | {a:8.2f} | {c:15.2f}")


if __name__ == "__main__":
    dilated()
    with_sets()
