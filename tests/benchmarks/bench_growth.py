"""How time and peak memory grow with the size, to a proved gap of 1e-6.

Run as a script: python tests/benchmarks/bench_growth.py [part of a name ...]
    [--most 1e6] [--runs 1] [--cvxpy] [--limit 60] [--cap 12]

A row: seconds, proved gap, peak memory (resident, above what the process had with the
problem built), the same over the bytes of the data (b and the map as given), and the
exponents of both from the row before. Every size runs in a process of its own. --cvxpy
adds the best of cvxpy's solvers, each with a limit in seconds and a cap in GB.
"""

import os

for name in ("OMP", "OPENBLAS", "MKL"):
    os.environ[f"{name}_NUM_THREADS"] = "1"

import argparse  # noqa: E402
import ctypes  # noqa: E402
import json  # noqa: E402
import resource  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
import warnings  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
from bench_structured import SOLVERS  # noqa: E402
from scipy import sparse  # noqa: E402

from subgrad import norm1, squared_norm, total_variation, tv, variable  # noqa: E402
from subgrad.differences import differences  # noqa: E402
from subgrad.solvers import Gap, MaxIter, minimize  # noqa: E402
from subgrad.solvers.structured.form import matrix  # noqa: E402


def size_of(*parts):
    """The bytes of arrays and of sparse arrays."""
    return sum(
        p.nbytes
        if isinstance(p, np.ndarray)
        else sum(a.nbytes for a in (p.data, p.indices, p.indptr))
        for p in parts
    )


def lad(m):
    """|A x - b|_1, A dense (m, 50), one row of ten spoiled."""
    rng = np.random.default_rng(0)
    A = rng.standard_normal((m, 50))
    b = A @ rng.standard_normal(50) + rng.standard_normal(m)
    b += 10 * (rng.random(m) < 0.1) * rng.standard_normal(m)
    return norm1(A @ variable(50) - b), size_of(A, b), 0


def lasso(n, form):
    """0.5 |A x - b|² + λ |x|_1, A sparse (n / 10, n), 10 entries in every column."""
    rng, m = np.random.default_rng(0), n // 10
    A = sparse.csc_array(
        (rng.standard_normal(10 * n), rng.integers(0, m, 10 * n, dtype=np.int32),
         np.arange(0, 10 * n + 1, 10, dtype=np.int32)), shape=(m, n)
    )  # fmt: skip
    A = A.asformat(form)
    A.sum_duplicates()
    truth = np.where(rng.random(n) < 0.002, rng.standard_normal(n), 0.0)
    b = A @ truth + 0.1 * rng.standard_normal(m)
    lam, x = 0.1 * np.abs(A.T @ b).max(), variable(n)
    return 0.5 * squared_norm(A @ x - b) + lam * norm1(x), size_of(A, b), 0


def signal(n):
    """Steps and noise."""
    rng = np.random.default_rng(0)
    jumps = rng.standard_normal(n) * (rng.random(n) < 0.01)
    return 3 * np.cumsum(jumps) + rng.standard_normal(n)


def signal_differences(n):
    """0.5 |x - b|² + 2 |D x|_1, D a sparse array."""
    b, x, ones = signal(n), variable(n), np.ones(n)
    D = sparse.diags_array([-ones[1:], ones[1:]], offsets=[0, 1], shape=(n - 1, n))
    D = D.tocsr()
    return 0.5 * squared_norm(x - b) + 2.0 * norm1(D @ x), size_of(D, b), 0


def signal_variation(n):
    """The same by the atom, one prox."""
    b, x = signal(n), variable(n)
    return 0.5 * squared_norm(x - b) + 2.0 * tv(x), size_of(b), 0


def image(side, isotropic):
    """0.5 |X - B|² + 0.3 TV(X), twelve rectangles and noise."""
    rng = np.random.default_rng(0)
    B = np.zeros((side, side))
    for _ in range(12):
        i, j = rng.integers(0, side, 2)
        h, w = rng.integers(side // 8, side // 2, 2)
        B[i : i + h, j : j + w] += rng.standard_normal()
    B += 0.2 * rng.standard_normal(B.shape)
    X = variable(B.shape)
    f = 0.5 * squared_norm(X - B) + 0.3 * total_variation(isotropic)(X)
    return f, size_of(B), size_of(matrix(differences(B.shape, isotropic)))


# Name: the maker, its sizes, a small one, and what of cvxpy may solve it.
CASES = {
    "LAD, n = 50, dense": (
        lad, (10**4, 10**5, 10**6), 1000, ("CLARABEL", "HIGHS", "OSQP", "SCS")
    ),
    "lasso, sparse, csr": (
        lambda n: lasso(n, "csr"), (10**4, 10**5, 10**6), 2000,
        ("CLARABEL", "OSQP", "SCS"),
    ),
    "lasso, sparse, csc": (
        lambda n: lasso(n, "csc"), (10**4, 10**5, 10**6), 2000,
        ("CLARABEL", "OSQP", "SCS"),
    ),
    "TV of a signal, D sparse": (
        signal_differences, (10**4, 10**5, 10**6), 1000, ("CLARABEL", "OSQP", "SCS")
    ),
    "TV of a signal, atom": (
        signal_variation, (10**4, 10**5, 10**6), 1000, ("CLARABEL", "OSQP", "SCS")
    ),
    "TV of an image, anisotropic": (
        lambda n: image(n, False), (128, 256, 512, 1024), 80,
        ("CLARABEL", "OSQP", "SCS"),
    ),
    "TV of an image, isotropic": (
        lambda n: image(n, True), (128, 256, 512, 1024), 80, ("CLARABEL", "SCS")
    ),
}  # fmt: skip


def resident(what):
    """VmRSS or VmHWM, in bytes."""
    text = Path("/proc/self/status").read_text()
    return 1024 * int(text.split(what + ":")[1].split()[0])


def begin():
    """The memory of the process, with what was freed before handed back."""
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return resident("VmRSS")


def ours(name, size, runs):
    """Seconds of the processor and of the wall, gap, peak, bytes of data and map."""
    make, _, small, _ = CASES[name]

    def solve(f):
        return minimize(f, np.zeros(f.n), stop=MaxIter(20_000) | Gap(1e-6))

    solve(make(small)[0])  # What is imported and compiled once is no part of it.
    f, data, matrix = make(size)
    before, took = begin(), np.inf
    for k in range(runs):
        start = time.process_time()
        found = solve(f)
        took = min(took, time.process_time() - start)
        if k == 0:
            peak = resident("VmHWM") - before
    gap = float(found.gap) / max(1.0, abs(float(found.fun)))
    return {
        "seconds": took, "gap": gap, "status": found.status, "peak": peak, "data": data,
        "matrix": matrix, "value": float(found.fun), "steps": int(found.nit),
    }  # fmt: skip


def theirs(name, size, solver, limit, cap):
    """Seconds of problem.solve() of cvxpy, the value it reached, and its peak."""
    import cvxpy as cp

    make, _, small, _ = CASES[name]

    def solve(size):
        f = make(size)[0]
        x = cp.Variable(f.n)
        model = cp.Problem(cp.Minimize(f.to_cvxpy(x)))
        before, start = begin(), time.process_time()
        model.solve(solver=solver, **SOLVERS[solver](limit))
        took, peak = time.process_time() - start, resident("VmHWM") - before
        if x.value is None:
            return {"error": model.status}
        return {"seconds": took, "value": float(f.value(x.value)), "peak": peak}

    warnings.simplefilter("ignore")
    solve(small)
    resource.setrlimit(resource.RLIMIT_AS, (int(cap * 2**30),) * 2)
    return solve(size)


def child(name, size, *rest, limit=None):
    """What a process of its own finds, or how it ended."""
    command = [sys.executable, __file__, "--child", json.dumps([name, size, *rest])]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return {"error": f"more than {limit:g} s"}
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    words = (done.stderr.strip().splitlines() or [f"ended by {done.returncode}"])[-1]
    return {"error": "out of memory" if "emory" in done.stderr else words[:60]}


def growth(name, arguments):
    """The rows of one case."""
    _, sizes, _, solvers = CASES[name]
    print(f"\n{name}\nsize | s | gap | steps | peak, MB | peak / data | exponents")
    last = None
    for size in sizes:
        if size > arguments.most:
            continue
        row = child(name, size, arguments.runs)
        if "error" in row:
            print(size, row["error"], sep=" | ", flush=True)
            continue
        more = "-"
        if last is not None:
            # Of an image, by the number of pixels.
            factor = row["data"] / last["data"]
            each = (row[k] / max(last[k], 1e-9) for k in ("seconds", "peak"))
            logs = np.log([max(r, 1e-9) for r in each]) / np.log(factor)
            more = ", ".join(f"{e:.2f}" for e in logs)
        over = f"{row['peak'] / row['data']:.2f}"
        if row["matrix"]:
            over += f" (with the map as a sparse array, {row['matrix'] / 1e6:.3g} MB: "
            over += f"{row['peak'] / (row['data'] + row['matrix']):.2f})"
        print(f"{size} | {row['seconds']:.3g} | {row['gap']:.1e} {row['status']} | "
              f"{row['steps']} | {row['peak'] / 1e6:.1f} | {over} | {more}",
              flush=True)  # fmt: skip
        last = row
        best = None
        for solver in solvers if arguments.cvxpy else ():
            rest = solver, arguments.limit, arguments.cap
            other = child(name, size, *rest, limit=2 * arguments.limit)
            if "error" not in other:
                off = (other["value"] - row["value"]) / max(1.0, abs(row["value"]))
                if off > 1e-4:
                    other = {"error": f"off by {off:.1e}"}
            if "error" in other:
                print(f"    {solver}: {other['error']}", flush=True)
            elif best is None or other["seconds"] < best[1]["seconds"]:
                best = solver, other
        if best is not None:
            solver, other = best
            print(f"    {solver}: {other['seconds']:.3g} s, {other['peak'] / 1e6:.0f} "
                  f"MB; {other['seconds'] / row['seconds']:.1f} times the time, "
                  f"{other['peak'] / max(row['peak'], 1):.1f} times the memory",
                  flush=True)  # fmt: skip


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--most", type=float, default=1e6)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--cvxpy", action="store_true")
    parser.add_argument("--limit", type=float, default=60.0)
    parser.add_argument("--cap", type=float, default=12.0)
    parser.add_argument("--child", type=json.loads)
    arguments = parser.parse_args()
    if arguments.child:
        name, size, *rest = arguments.child
        print(json.dumps((ours if len(rest) == 1 else theirs)(name, size, *rest)))
        return
    for name in CASES:
        if not arguments.names or any(a in name for a in arguments.names):
            growth(name, arguments)


if __name__ == "__main__":
    main()
