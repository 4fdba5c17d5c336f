r"""What a whole subdifferential is good for: descent with a proof, on maxima.

The subgradient method is given one subgradient at every point and steps against it,
whether f falls or not. SetDescent is given a set of eps-subgradients at once. Its
shortest element g is a direction along which f falls, and proves how far f can still
fall:

    f(y) >= f(x) - eps - |g| |y - x|        for all y

It ends when this is 1e-6 of max(1, |f*|) on the ball in which a minimiser is known to
lie. Then Shor's method and the subgradient method have as many evaluations of f as
SetDescent had, with a subgradient each: most of those of SetDescent are values only.
The subgradient method runs twice: with steps towards levels that it estimates,
and with Polyak's towards the true optimum, which the others are not told.

Printed per problem: the steps and evaluations of SetDescent; the gap that it has
proved; and the true excess f(x) - f* of the four, all relative to max(1, |f*|). The
others prove nothing; Shor's method, for small n, ends the lowest.

Run: python examples/set_descent.py
Exit status 1 if a proof fails.
"""

import sys

import numpy as np

from subgrad.problems import problem
from subgrad.solvers import MaxIter, Polyak, SubgradientMethod, minimize
from subgrad.solvers.set_descent import SetDescent, SmallSubgradient
from subgrad.solvers.shor import Shor

NAMES = (
    "cb3",
    "shor",
    "maxquad",
    "maxq",
    "maxl",
    "goffin",
    "mxhilb",
    "max_of_abs",
    "chained_cb3_2",
)
ROW = "{:14} {:>3} {:>6} {:>7} {:>9} {:>9} {:>9} {:>9} {:>9}"


def main() -> int:
    print(ROW.format("", "", "", "", "proved", *4 * ["excess"]))
    heads = ("gap", "sets", "Shor", "levels", "Polyak")
    print(ROW.format("problem", "n", "steps", "f calls", *heads))
    proved = True
    for name in NAMES:
        p = problem(name)
        f, size = p.function, max(1.0, abs(p.optimum))
        stop = SmallSubgradient(1e-6) | MaxIter(300)
        found = minimize(f, p.x0, SetDescent(), stop, radius=p.radius, cuts=0)
        proved = proved and bool(found.success and found.lower_bound <= p.optimum)
        excess = [found.fun - p.optimum]
        others = Shor(), SubgradientMethod(), SubgradientMethod(Polyak(p.optimum))
        for method in others:
            run = minimize(f, p.x0, method, MaxIter(int(found.nfev)), cuts=0)
            excess.append(run.fun - p.optimum)
        cells = [found.gap / size, *np.maximum(excess, 0.0) / size]
        print(
            ROW.format(
                name, p.n, found.nit, int(found.nfev), *[f"{c:.1e}" for c in cells]
            )
        )
    print("all proofs hold:", proved)
    return 0 if proved else 1


if __name__ == "__main__":
    sys.exit(main())
