"""Functions on the line: conjugates against sorting, subdifferentials against interp.

Run as a script: python tests/benchmarks/bench_line.py
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402

from subgrad import Piecewise, PiecewiseLinear  # noqa: E402

REPEATS = 21
POINTS = 1_000_000


def seconds(prepare: Callable[[], Any], run: Callable[[Any], Any]) -> float:
    """Median processor time, with nothing kept from one run to the next."""
    times = []
    for _ in range(REPEATS):
        given = prepare()
        start = time.process_time()
        run(given)
        times.append(time.process_time() - start)
    return float(np.median(times))


def linear(n: int, rng: np.random.Generator) -> PiecewiseLinear:
    slopes = np.sort(rng.standard_normal(n + 1))
    return PiecewiseLinear(np.sort(rng.standard_normal(n)), slopes)


def quadratic(n: int, rng: np.random.Generator) -> Piecewise:
    """n breakpoints between pieces of degree 2, with kinks at a quarter of them."""
    f = linear(n // 4, rng).moreau_envelope(0.01)
    return f + linear(n // 4, rng) + linear(n // 8, rng).moreau_envelope(0.1)


def fresh(f: Any) -> Any:
    """The same function without anything that an earlier call left in it."""
    if type(f) is PiecewiseLinear:  # which keeps nothing
        return f
    return Piecewise(f.breakpoints, f.coefficients, f.values, f.anchors)


def main() -> None:
    rng = np.random.default_rng(0)
    print("conjugate, in units of one sort of its shuffled breakpoints")
    for name, make in (("linear", linear), ("quadratic", quadratic)):
        times = []
        for n in (10_000, 100_000):
            f = make(n, rng)
            count = f.breakpoints.size
            shuffled = rng.permutation(f.breakpoints)
            sort = seconds(lambda s=shuffled: s.copy(), np.sort)
            times.append(seconds(lambda f=f: fresh(f), lambda f: f.conjugate()))
            print(f"  {name}, {count:6d} breakpoints: {times[-1] / sort:5.1f}")
        print(f"  {name}, growth over a factor 10: {times[1] / times[0]:.1f}")

    print(f"subdifferential at {POINTS:.0e} points, in units of numpy.interp")
    x = rng.standard_normal(POINTS)
    for name, make in (("linear", linear), ("quadratic", quadratic)):
        for n in (8, 100, 1000, 100_000):
            f = make(n, rng)
            knots, values = f.breakpoints, f.value(f.breakpoints)
            base = seconds(lambda: x, lambda x, k=knots, v=values: np.interp(x, k, v))
            f.subdifferential(x[:1])
            ours = seconds(lambda: x, lambda x, f=f: f.subdifferential(x))
            print(f"  {name}, {knots.size:6d} breakpoints: {ours / base:.2f}")


if __name__ == "__main__":
    main()
