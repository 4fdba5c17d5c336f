r"""What is the derivative of max(t, 0) at 0, and what is the derivative of that?

    at every point       f'(t) = lim (f(t + h) - f(t)) / h, if there is a limit
    as a distribution    <f', φ> = -<f, φ'> for all test functions φ
    as a set             ∂f(t) = {g : f(s) >= f(t) + g (s - t) for all s}

for f = relu and for f = H, the Heaviside function. H is not convex, and the set is
Clarke's subdifferential instead, which a function has where it does not jump.

The set belongs to the function. The one element of it that a chain rule picks belongs
to the way in which the function is written, and need not be an element at all. `.grad`
of cvxpy shows it for four spellings of relu, and for relu(t) - relu(-t), which is t.

Run: python examples/three_derivatives_of_relu.py [--plot FILE]
Exit status 1 if one of the identities fails.
"""

import argparse
import sys
from pathlib import Path

import cvxpy as cp
import numpy as np

from subgrad import (
    Distribution,
    Interval,
    Piecewise,
    agreement,
    bump,
    gaussian,
    heaviside,
    maximum,
    relu,
    t,
    where,
)

HERE = Path(__file__).parent
TESTS = {"bump": bump(0.3, 2.0), "gaussian": gaussian(0.5)}


def as_a_set(f: Piecewise, point: float) -> Interval | str:
    if f.is_convex:
        return f.subdifferential(point)
    if point in f.jumps:
        return "none"
    return f.clarke_subdifferential(point)


def derivatives(name: str, f: Piecewise) -> bool:
    """Prints all three; whether <f', φ> = -<f, φ'>."""
    points = (-1.0, 0.0, 1.0)
    slopes = [f"{s:g}" if np.isfinite(s) else "none" for s in f.derivative()(points)]
    sets = [str(as_a_set(f, p)) for p in points]
    kind = "∂f" if f.is_convex else "∂f (Clarke)"
    print(f"{'f = ' + name:11} | at -1  | at 0   | at 1")
    print("----------- | -----: | -----: | -----:")
    for row, cells in (("f′", slopes), (kind, sets)):
        print(f"{row:11} | " + " | ".join(f"{cell:>6}" for cell in cells))
    T = f.distributional_derivative()
    print(f"as a distribution: f′ = {T}, f″ = {T.derivative()}")
    sound = True
    for what, phi in TESTS.items():
        ours, theirs = T.pair(phi), -Distribution(f).pair(phi.derivative())
        sound &= abs(ours - theirs) <= 1e-12
        print(f"    <f′, φ> = {ours:.12f}, -<f, φ′> = {theirs:.12f} for a {what} φ")
    agree, difference = agreement(f)
    verdict = "the two agree" if agree else "they do not agree"
    print(f"    minus f′ at every point: {difference}, {verdict}\n")
    return sound


def spellings() -> bool:
    """Prints ∂f(0) beside cvxpy's gradients; whether the sets are right."""
    x = cp.Variable()
    x.value = 0.0
    rows = [
        ("maximum(t, 0)", maximum(t, 0), "maximum(x, 0)", cp.maximum(x, 0)),
        ("(t + abs(t)) / 2", (t + abs(t)) / 2, "(x + abs(x)) / 2", (x + cp.abs(x)) / 2),
        ("where(t > 0, t, 0)", where(t > 0, t, 0), "pos(x)", cp.pos(x)),
        ("t + relu(-t)", t + relu(-t), "x + pos(-x)", x + cp.pos(-x)),
    ]
    print("relu as            | ∂f(0)  | in cvxpy         | grad at 0")
    print("------------------ | -----: | ---------------- | --------:")
    for ours, f, theirs, expression in rows:
        set_, grad = f.subdifferential(0), float(expression.grad[x])
        print(f"{ours:18} | {str(set_):>6} | {theirs:16} | {grad:9g}")
    difference = relu - relu(-t)
    clarke = difference.clarke_subdifferential(0)
    grad = float(cp.pos(x).grad[x] - cp.pos(-x).grad[x])
    print(f"\nrelu(t) - relu(-t) = {difference}")
    print(f"∂f(0) = {clarke}; with the two gradients of cvxpy it would be {grad:g}")
    same = all(
        f == relu and f.subdifferential(0) == Interval(0, 1) for _, f, *_ in rows
    )
    return same and difference == t and clarke == Interval(1, 1)


def plot(path: Path) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("no plot: matplotlib is not installed")
        return
    from subgrad.plotting import three_derivatives

    figure = Figure(figsize=(11, 5.6), layout="constrained")
    rows = figure.subfigures(2, 1)
    for row, (name, f) in zip(rows, (("relu", relu), ("H", heaviside)), strict=True):
        three_derivatives(f, figure=row)
        row.suptitle(f"f = {name}")
    figure.savefig(path, dpi=150)
    print(f"plot written to {path}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Three derivatives of relu")
    file = HERE / "three_derivatives_of_relu.png"
    parser.add_argument("--plot", type=Path, default=file)
    arguments = parser.parse_args()
    sound = [derivatives("relu", relu), derivatives("H", heaviside), spellings()]
    print(f"\nall identities hold: {all(sound)}")
    plot(arguments.plot)
    return 0 if all(sound) else 1


if __name__ == "__main__":
    sys.exit(main())
