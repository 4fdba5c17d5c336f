"""Interval arithmetic against bare numpy arrays and against portion.

Run as a script: python tests/benchmarks/bench_interval.py
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import time  # noqa: E402
from collections.abc import Callable, Sequence  # noqa: E402
from functools import reduce  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
import portion  # noqa: E402

from subgrad.interval import Interval  # noqa: E402

SIZE = 1_000_000
PORTION_SIZE = 10_000
REPEATS = 15

Case = tuple[str, Callable[[], Any], Callable[[], Any], Callable[[], Any]]


def medians(functions: Sequence[Callable[[], Any]], repeats: int) -> list[float]:
    """Median seconds of each function; the runs take turns, so that all meet the same
    disturbances."""
    times = np.empty((repeats, len(functions)))
    for run in range(-1, repeats):
        for i, function in enumerate(functions):
            start = time.perf_counter()
            function()
            times[run, i] = time.perf_counter() - start
    return [float(t) for t in np.median(times, axis=0)]


def product(
    a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    ends = a * c, a * d, b * c, b * d
    return reduce(np.minimum, ends), reduce(np.maximum, ends)


def cases(rng: np.random.Generator) -> list[Case]:
    """(operation, with Interval, with two numpy arrays, with portion)."""
    a, c = rng.standard_normal((2, SIZE))
    b, d = a + rng.random(SIZE), c + rng.random(SIZE)
    X, Y = Interval(a, b), Interval(c, d)
    half_lines = Interval(a, np.where(a > 0, np.inf, b))
    with_empty = half_lines & Interval(-2.0, 2.0)
    P = [x.to_portion() for x in X[:PORTION_SIZE]]
    Q = [x.to_portion() for x in Y[:PORTION_SIZE]]

    def each(op: Callable[[Any, Any], Any]) -> Callable[[], Any]:
        return lambda: [op(p, q) for p, q in zip(P, Q, strict=True)]

    def image(op: Callable[[Any, Any], tuple[float, float]]) -> Callable[[], Any]:
        return each(lambda p, q: portion.closed(*op(p, q)))

    plus = image(lambda p, q: (p.lower + q.lower, p.upper + q.upper))
    minus = image(lambda p, q: (p.lower - q.upper, p.upper - q.lower))
    scaled = image(lambda p, q: (2.5 * p.lower, 2.5 * p.upper))
    flipped = image(lambda p, q: (-2.5 * p.upper, -2.5 * p.lower))
    times = image(lambda p, q: tuple(float(e) for e in product(*ends(p), *ends(q))))

    def ends(p: Any) -> tuple[Any, Any]:
        return p.lower, p.upper

    lower, upper = with_empty.lower, with_empty.upper
    return [
        ("I + J", lambda: X + Y, lambda: (a + c, b + d), plus),
        ("I + J, J half-lines", lambda: X + half_lines,
         lambda: (a + half_lines.lower, b + half_lines.upper), plus),
        ("I + J, J some empty", lambda: X + with_empty,
         lambda: (a + lower, b + upper), plus),
        ("I + array", lambda: X + c, lambda: (a + c, b + c), plus),
        ("I - J", lambda: X - Y, lambda: (a - d, b - c), minus),
        ("2.5 * I", lambda: 2.5 * X, lambda: (2.5 * a, 2.5 * b), scaled),
        ("-2.5 * I", lambda: -2.5 * X, lambda: (-2.5 * b, -2.5 * a), flipped),
        ("I * J", lambda: X * Y, lambda: product(a, b, c, d), times),
        ("I | J", lambda: X | Y, lambda: (np.minimum(a, c), np.maximum(b, d)),
         each(lambda p, q: (p | q).enclosure)),
        ("I & J", lambda: X & Y, lambda: (np.maximum(a, c), np.minimum(b, d)),
         each(lambda p, q: p & q)),
        ("I.contains(z)", lambda: X.contains(c), lambda: (a <= c) & (c <= b),
         each(lambda p, q: q.lower in p)),
        ("Interval(a, b)", lambda: Interval(a, b), lambda: (a.copy(), b.copy()),
         image(lambda p, q: (p.lower, p.upper))),
    ]  # fmt: skip


def main() -> None:
    print(f"{SIZE} intervals, median of {REPEATS} runs in turn; portion measured on")
    print(f"{PORTION_SIZE} and scaled; portion factor = portion / ours\n")
    print("operation            | ours ms | numpy ms | ratio | portion factor")
    print("-------------------- | ------: | -------: | ----: | -------------:")
    for name, ours, bare, peer in cases(np.random.default_rng(0)):
        own, numpy = medians([ours, bare], REPEATS)
        (theirs,) = medians([peer], 3)
        factor = theirs * SIZE / PORTION_SIZE / own
        print(
            f"{name:20} | {1e3 * own:7.2f} | {1e3 * numpy:8.2f} | {own / numpy:5.2f} "
            f"| {factor:14.0f}"
        )


if __name__ == "__main__":
    main()
