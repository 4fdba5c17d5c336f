"""Total variation: a subgradient of an image, the prox of a signal.

Run as a script: python tests/benchmarks/bench_variation.py
A pass is np.multiply(image, 2.0, out=other). Of prox_tv, condat_tv and copt those that
are installed are measured.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import importlib  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402

import subgrad as sg  # noqa: E402

SHAPE = (1024, 1024)
SIZES = (100_000, 1_000_000)
WEIGHTS = (0.1, 5.0, 500.0)
REPEATS = 60

Prox = Callable[[np.ndarray, float], np.ndarray]


def best(function: Callable[[], Any], repeats: int) -> float:
    """Least CPU seconds of some runs after a first one, which may compile."""
    function()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def images() -> None:
    image = np.random.default_rng(0).standard_normal(SHAPE)
    x, other = image.ravel(), np.empty(SHAPE)
    one = best(lambda: np.multiply(image, 2.0, out=other), REPEATS)
    print(f"{SHAPE[0]} x {SHAPE[1]}, a pass takes {1e3 * one:.2f} ms\n")
    print("total variation | subgradient, passes | oracle, passes | value, passes")
    print("--------------- | ------------------: | -------------: | ------------:")
    for name, isotropic in (("by axes", False), ("isotropic", True)):
        f = sg.TotalVariation(SHAPE, isotropic)
        calls = (f.subgradient, f.oracle, f.value)
        g, both, value = (best(lambda c=c: c(x), REPEATS) / one for c in calls)
        print(f"{name:15} | {g:19.2f} | {both:14.2f} | {value:13.2f}")


def peers() -> dict[str, Prox]:
    """The prox of total variation by what is installed."""
    found: dict[str, Prox] = {}
    try:
        prox_tv = importlib.import_module("prox_tv")
        for method in ("classictautstring", "hybridtautstring", "dp"):
            found[method] = lambda y, t, m=method: prox_tv.tv1_1d(y, t, method=m)
    except ImportError:
        print("prox_tv is not there")
    try:
        found["condat_tv"] = importlib.import_module("condat_tv").tv_denoise
    except ImportError:
        print("condat_tv is not there")
    try:
        found["copt"] = importlib.import_module("copt.tv_prox").prox_tv1d
    except ImportError:
        print("copt is not there")
    return found


def signals(n: int) -> dict[str, np.ndarray]:
    r = np.random.default_rng(1)
    i = np.arange(n)
    return {
        "steps, noise": np.repeat(3 * r.standard_normal(n // 1000), 1000)
        + r.standard_normal(n),
        "noise": r.standard_normal(n),
        "smooth": 5 * np.sin(20 * i / n),
        "sawtooth": i * (-1.0) ** i,
    }


def proxes() -> None:
    others = peers()
    print(f"\nprox of a signal, ms of n = {SIZES[0]} and {SIZES[1]}\n")
    print("signal       | weight | ours | ours | growth | fastest peer | ratio | error")
    print("------------ | -----: | ---: | ---: | -----: | -----------: | ----: | ----:")
    small, large = (signals(n) for n in SIZES)
    for name, y in large.items():
        for t in WEIGHTS:
            f, g = (sg.tv.at((n,)) for n in SIZES)
            before = best(lambda: f.prox(small[name], t), 9)  # noqa: B023
            ours = best(lambda: g.prox(y, t), 5)  # noqa: B023
            row = f"{name:12} | {t:6} | {1e3 * before:4.1f} | {1e3 * ours:4.0f} "
            row += f"| {ours / before:6.1f} "
            times = {k: best(lambda: h(y, t), 3) for k, h in others.items()}  # noqa: B023
            if times:
                first = min(times, key=lambda k: times[k])  # noqa: B023
                error = np.abs(others[first](y, t) - g.prox(y, t)).max()
                row += f"| {first} {1e3 * times[first]:.1f} | "
                row += f"{ours / times[first]:.1f} | {error:.0e}"
            print(row, flush=True)


def main() -> None:
    images()
    proxes()


if __name__ == "__main__":
    main()
