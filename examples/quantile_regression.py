r"""Food expenditure against income at five quantiles, as one batch of problems.

    minimise over (a, b)   sum_i  tau max(r_i, 0) + (1 - tau) max(-r_i, 0),
    r_i = food_i - a - b income_i,     tau = 0.1, 0.25, 0.5, 0.75, 0.9

Data: engel.csv, the income and food expenditure (Belgian francs) of 235 Belgian
working-class households, E. Engel (1857), as used by R. Koenker and G. Bassett,
Robust tests for heteroscedasticity based on regression quantiles, Econometrica 50
(1982), 43-61. Distributed with quantreg for R and with statsmodels, where it is marked
as public domain.

The five problems are one function: tau has shape (5,), and so has every value. What is
proved about the answers, and how, is printed with them. cvxpy solves the same problems
as a check, and the coefficients are compared with those that quantreg prints (rq; 0.25,
0.5 and 0.75 also in its vignette).

Run: python examples/quantile_regression.py [--plot FILE]
Exit status 1 if the answers disagree with cvxpy by more than what is proved.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import scipy.optimize  # noqa: F401  loaded before the clock starts, as cvxpy is

from subgrad import Function, pinball_loss, variable
from subgrad.cvx import reference
from subgrad.solvers import Gap, MaxIter, certify, minimize

TAU = np.array([0.1, 0.25, 0.5, 0.75, 0.9])
PUBLISHED = np.array(
    [
        [110.14157, 0.40177],
        [95.48354, 0.47410],
        [81.48225, 0.56018],
        [62.39659, 0.64401],
        [67.35087, 0.68630],
    ]
)
HERE = Path(__file__).parent


class Model:
    """The data in standard units, in which both coefficients are of order one."""

    def __init__(self, income: np.ndarray, food: np.ndarray) -> None:
        self.mean = income.mean(), food.mean()
        self.std = income.std(), food.std()
        z = (income - self.mean[0]) / self.std[0]
        self.Z = np.stack([np.ones_like(z), z], axis=-1)
        self.y = (food - self.mean[1]) / self.std[1]

    def loss(self, tau: np.ndarray | float) -> Function:
        """The function to be minimised; tau of shape (5,) makes five of it."""
        return pinball_loss(tau)(self.y - self.Z @ variable(2))

    def coefficients(self, u: np.ndarray) -> np.ndarray:
        """Intercept and slope in francs, from those in standard units."""
        slope = u[..., 1] * self.std[1] / self.std[0]
        intercept = self.mean[1] + u[..., 0] * self.std[1] - slope * self.mean[0]
        return np.stack([intercept, slope], axis=-1)

    def coefficient_errors(self, radius: np.ndarray) -> np.ndarray:
        """How far the coefficients can be off if u is off by at most `radius`."""
        ratio = self.mean[0] / self.std[0]
        intercept = radius * self.std[1] * np.hypot(1.0, ratio)
        return np.stack([intercept, radius * self.std[1] / self.std[0]], axis=-1)

    def radius(self) -> np.ndarray:
        r"""A bound on |u*|, from the data alone.

        min(tau, 1 - tau) |y - Z u*|_1 <= f(u*) <= f(0), so that
        |Z u*|_1 <= |y|_1 + f(0) / min(tau, 1 - tau); and
        |Z d|_1 >= |Z d|_2^2 / |Z d|_inf >= sigma_min(Z)^2 / max_i |z_i| for |d| = 1.
        """
        at_zero = self.loss(TAU).value(np.zeros(2))
        reach = np.abs(self.y).sum() + at_zero / np.minimum(TAU, 1 - TAU)
        sigma = np.linalg.svd(self.Z, compute_uv=False)[-1]
        return reach * np.linalg.norm(self.Z, axis=-1).max() / sigma**2

    def distance_to_optimum(
        self, f: Function, u: np.ndarray, eps: np.ndarray
    ) -> np.ndarray:
        r"""A bound on |u - u*| that needs no radius.

        With G = f.subdifferential(u, eps), f(v) >= f(u) + h_G(v - u) - eps for all v.
        If h_G(d) >= r |d| with r > 0, every minimiser is within eps / r. G is a polygon
        with sides along the rows of Z, and h_G(d) is least across one of them.
        """
        across = np.stack([-self.Z[:, 1], self.Z[:, 0]], axis=-1)
        across /= np.linalg.norm(across, axis=-1, keepdims=True)
        G = f.subdifferential(u, eps)
        directions = np.concatenate([across, -across])[:, None, :]
        r = G.support(directions).min(axis=0)
        return np.where(r > 0, eps / np.where(r > 0, r, 1.0), np.inf)


def read() -> tuple[np.ndarray, np.ndarray]:
    income, food = np.loadtxt(HERE / "engel.csv", delimiter=",", skiprows=1).T
    return income, food


def plot(path: Path, coefficients: np.ndarray) -> None:
    try:
        import matplotlib
    except ImportError:
        print("no plot: matplotlib is not installed")
        return
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    income, food = read()
    figure, axes = plt.subplots(figsize=(7, 5), layout="constrained")
    axes.plot(income, food, ".", color="0.6", ms=4, label="235 households")
    ends = np.array([income.min(), income.max()])
    for i, (tau, (a, b)) in enumerate(zip(TAU, coefficients, strict=True)):
        axes.plot(ends, a + b * ends, color=f"C{i}", label=f"τ = {tau}")
    axes.set(xlabel="income, francs", ylabel="food expenditure, francs")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)
    print(f"plot written to {path}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Quantile regression, Engel's data")
    parser.add_argument("--plot", type=Path, default=HERE / "quantile_regression.png")
    arguments = parser.parse_args()
    model = Model(*read())
    f, u0, R = model.loss(TAU), np.zeros(2), model.radius()
    francs = model.std[1]
    print("bound on |u*| from the data:", "  ".join(f"{r:.1f}" for r in R), "\n")

    start = time.perf_counter()
    found = minimize(f, u0, stop=Gap(1e-9) | MaxIter(20_000), radius=R)
    seconds = time.perf_counter() - start
    proof = certify(f, found.x, R)
    sound = found.certificate.verify(f) and proof.verify(f)
    off = model.distance_to_optimum(f, found.x, np.maximum(found.gap, 1e-14))
    plain = minimize(f, u0, stop=MaxIter(5000), cuts=0)

    checks = [reference(model.loss(tau)) for tau in TAU]
    check_seconds = sum(c.seconds for c in checks)
    fun = np.array([c.fun for c in checks])

    ours = model.coefficients(found.x)
    error = model.coefficient_errors(off)
    print("tau  | intercept | slope   | objective   | cvxpy       | rel. diff.")
    print("---- | --------: | ------: | ----------: | ----------: | ---------:")
    for i, tau in enumerate(TAU):
        print(
            f"{tau:4} | {ours[i, 0]:9.5f} | {ours[i, 1]:.5f} | "
            f"{francs * found.fun[i]:11.6f} | {francs * fun[i]:11.6f} | "
            f"{(found.fun[i] - fun[i]) / fun[i]:10.1e}"
        )
    print(
        f"\nseconds for all five: {seconds:.3f} here ({found.nit.max()} iterations), "
        f"{check_seconds:.3f} in cvxpy\n"
    )
    print("     | proved relative gap by  | coefficients    | distance to quantreg's")
    print("tau  | multipliers| ε-set      | proved to ±     | intercept | slope")
    print("---- | ---------: | ---------: | --------------: | --------: | ------:")
    for i, tau in enumerate(TAU):
        cut_gap = found.gap[i] / found.fun[i]
        set_gap = (found.fun[i] - proof.lower_bound[i]) / found.fun[i]
        miss = np.abs(ours[i] - PUBLISHED[i])
        print(
            f"{tau:4} | {cut_gap:10.1e} | {set_gap:10.1e} | "
            f"{error[i, 0]:.0e}, {error[i, 1]:.0e} | {miss[0]:9.0e} | {miss[1]:7.0e}"
        )
    printed = np.abs(ours - PUBLISHED) <= 0.5e-5 + error
    print(f"\nall certificates verified: {sound}")
    print(f"all digits quantreg prints reproduced: {bool(printed.all())}")
    worst = np.max((plain.fun - found.lower_bound) / found.fun)
    miss = np.abs(model.coefficients(plain.x) - PUBLISHED).max(axis=0)
    print(
        "The subgradient method alone (5000 steps, without the linear program over\n"
        f"its cuts) ends within {worst:.0e} of the optimal values, relatively, its\n"
        f"coefficients up to {miss[0]:.0e} and {miss[1]:.0e} away."
    )
    plot(arguments.plot, ours)

    tolerance = 1e-6 * np.abs(fun)  # of the interior-point solver
    agree = (fun >= found.lower_bound - tolerance) & (
        np.abs(found.fun - fun) <= found.gap + tolerance
    )
    if not np.all(agree):
        print(f"DISAGREEMENT with cvxpy at tau = {TAU[~agree]}")
        return 1
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
