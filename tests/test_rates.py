"""Theorems about rates, each against the exact worst case or on whole runs.

PEPit solves the performance estimation problem: the worst value of a method over all
convex functions with |g| <= 1 and |x_0 - x*| <= 1, in any dimension. What it is fed are
the steps of the code itself, read off from a run.
"""

import itertools

import numpy as np
import pytest
from PEPit import PEP
from PEPit.functions import ConvexLipschitzFunction

import subgrad as sg
from subgrad import Ball, Box, Interval, Simplex, norm1, norm2, norm_inf, variable
from subgrad.core import Function
from subgrad.solvers import (
    Constant,
    MaxIter,
    Polyak,
    Problem,
    SubgradientMethod,
    iterate,
    minimize,
)
from subgrad.solvers.bounded_polyak import BoundedPolyak
from subgrad.solvers.distance_over_gradients import DoG, DoWG
from subgrad.solvers.dual_averaging import DualAveraging
from subgrad.solvers.mirror_descent import Entropy, Euclidean, MirrorDescent, PNorm
from subgrad.solvers.restarts import Restarted
from subgrad.solvers.steps import Accuracy, DiminishingLength, LinearDecay


class Axes(Function):
    """Its k-th subgradient is the k-th unit vector: a run then shows its steps."""

    def __init__(self, n):
        self.n, self.calls = n, 0

    def _value(self, x):
        return np.zeros(x.shape[:-1])

    def _oracle(self, x):
        self.calls += 1
        return self._value(x), np.eye(self.n)[self.calls - 1]


def states(method, problem, x0, steps):
    return list(itertools.islice(iterate(method, problem, x0), steps + 1))


def worst(method, steps, which):
    """The largest f - f* there is: "last", "best" or "average" of x_0 ... x_steps."""
    run = states(method, Problem(Axes(steps + 1)), np.zeros(steps + 1), steps)
    problem = PEP()
    f = problem.declare_function(ConvexLipschitzFunction, M=1.0)
    best = f.stationary_point()
    start = problem.set_initial_point()
    problem.set_initial_condition((start - best) ** 2 <= 1)
    slopes, values = [], []

    def point(coordinates):
        x = start
        for c, g in zip(coordinates, slopes, strict=False):
            x = x + float(c) * g
        return x

    for state in run:
        g, value = f.oracle(point(state.x))
        slopes.append(g)
        values.append(value)
    if which == "average":
        values = [f(point(run[-1].average))]
    for value in values if which == "best" else values[-1:]:
        problem.set_performance_metric(value - f(best))
    return problem.solve(verbose=0, solver="CLARABEL")


each_n = pytest.mark.parametrize("n", [1, 2, 3, 4, 6, 8])


@each_n
def test_linear_decay_is_the_best_possible_at_the_last_iterate(n):
    method = SubgradientMethod(LinearDecay(n, radius=1.0, bound=1.0))
    assert worst(method, n, "last") == pytest.approx(1 / np.sqrt(n + 1), abs=1e-7)


@each_n
def test_dual_averaging_is_the_best_possible_at_the_last_iterate(n):
    method = DualAveraging(radius=1.0, bound=1.0, n=n)
    assert worst(method, n, "last") == pytest.approx(1 / np.sqrt(n + 1), abs=1e-7)


@pytest.mark.parametrize(
    ("n", "value"),
    [
        (1, 0.707107),
        (2, 0.579722),
        (3, 0.504410),
        (5, 0.418703),
        (8, 0.352880),
    ],
)
def test_anytime_dual_averaging(n, value):
    assert worst(DualAveraging(1.0, 1.0), n, "last") == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(
    ("n", "last"), [(1, 0.883883), (2, 0.788083), (3, 0.721406), (6, 0.600810)]
)
def test_constant_steps(n, last):
    method = SubgradientMethod(Constant(1 / np.sqrt(n + 1)))
    best = pytest.approx(1 / np.sqrt(n + 1), abs=1e-7)
    assert worst(method, n, "best") == best
    assert worst(method, n, "last") == pytest.approx(last, abs=1e-6)


@pytest.mark.parametrize("n", [2, 3, 6])
def test_average_of_constant_steps(n):
    method = SubgradientMethod(Constant(1 / np.sqrt(n + 1)), average=True)
    best = pytest.approx(1 / np.sqrt(n + 1), abs=1e-7)
    assert worst(method, n, "average") == best


def resisting(n, R):
    """A function that shows one new coordinate per call, and its minimum."""
    x = variable(n)
    f = sg.maximum(sg.max_entry(x), norm2(x) - R * (1 + 1 / np.sqrt(n)))
    return f, -R / np.sqrt(n)


@each_n
@pytest.mark.parametrize("R", [1.7, 1e8, 1e-8])
def test_the_bound_is_attained(n, R):
    f, optimum = resisting(n + 1, R)
    for method in (
        SubgradientMethod(LinearDecay(n, bound=1.0)),
        DualAveraging(bound=1.0, n=n),
        DualAveraging(bound=1.0),
    ):
        run = states(method, Problem(f, radius=R), np.zeros(n + 1), n)
        bound = R / np.sqrt(n + 1)
        assert run[-1].value - optimum == pytest.approx(bound, rel=1e-6)
        assert all(s.value >= run[-1].value for s in run)


# On whole runs ------------------------------------------------------------------------


def cases():
    """(name, function, x0, a minimiser)."""
    rng = np.random.default_rng(0)
    c = rng.standard_normal(4)
    x = variable(4)
    Q = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    return [
        ("norm1", norm1(x - c), np.zeros(4), c),
        ("norm_inf", norm_inf(Q @ (x - c)), np.ones(4), c),
        ("norm2", norm2(np.diag([1.0, 2, 3, 4]) @ (x - c)), np.ones(4), c),
        ("max", sg.maximum(norm1(x - c), 3 * norm_inf(x - c)), np.zeros(4), c),
    ]


CASES = cases()
each_case = pytest.mark.parametrize("case", CASES, ids=[c[0] for c in CASES])


def steepest(f, best):
    """A bound on |g|: every subgradient of these functions shows near a minimiser."""
    points = best + np.random.default_rng(1).standard_normal((4000, best.size))
    return 1.0001 * np.linalg.norm(f.subgradient(points), axis=-1).max()


@each_case
@pytest.mark.parametrize("n", [1, 2, 10, 60])
def test_last_iterates(case, n):
    _, f, x0, best = case
    R, M = np.linalg.norm(x0 - best), steepest(f, best)
    for method in (
        SubgradientMethod(LinearDecay(n, bound=M)),
        DualAveraging(bound=M, n=n),
    ):
        last = states(method, Problem(f, radius=R), x0, n)[-1]
        assert last.value - f(best) <= M * R / np.sqrt(n + 1)


@each_case
@pytest.mark.parametrize("scale", [1.0, 1e8, 1e-8])
def test_accuracy_steps(case, scale):
    _, f, x0, best = case
    R, M = np.linalg.norm(x0 - best), steepest(f, best)
    for share in (0.5, 0.1):
        steps = int(np.ceil((M * R / (share * f(x0))) ** 2))
        eps = scale * share * f(x0)
        method = SubgradientMethod(Accuracy(eps))
        found = minimize(scale * f, x0, method, MaxIter(steps))
        assert found.fun - scale * f(best) <= eps


@each_case
@pytest.mark.parametrize("rule", [DoG(), DoWG()], ids=repr)
def test_distance_over_gradients(case, rule):
    _, f, x0, best = case
    run = states(SubgradientMethod(rule), Problem(f), x0, 600)
    walk = [np.linalg.norm(s.x - x0) for s in run]
    reach = np.maximum.accumulate([1e-6 * (1 + np.linalg.norm(x0)), *walk[1:]])
    far = np.maximum.accumulate([np.linalg.norm(s.x - best) for s in run])
    power = 1 if isinstance(rule, DoG) else 2
    weights = reach**power
    squares = np.array([s.squared for s in run]) * reach ** (2 * power - 2)
    size = reach[1:] * (2 * far[:-1] + reach[1:]) * np.sqrt(np.cumsum(squares)[:-1])
    excess = np.array([s.value for s in run]) - f(best)
    left = np.cumsum(weights * excess)[:-1]
    assert np.all(left <= size * (1 + 1e-12))
    for s, w, bound in zip(run[:-1], np.cumsum(weights), size, strict=False):
        assert s.memory.total == pytest.approx(w, rel=1e-12)
        assert f(s.average) - f(best) <= bound / w * (1 + 1e-12)
    assert run[-1].best_value - f(best) < 0.1 * excess[0]


@each_case
@pytest.mark.parametrize("far", [0.0, 1e3])
@pytest.mark.parametrize("bounded", [False, True])
def test_dual_averaging_without_a_radius(case, far, bounded):
    """Its theorem at every iterate, against any point of the constraint."""
    _, f, x0, best = case
    x0 = x0 + far
    C = Box(Interval(np.full(4, -np.inf), np.full(4, 0.1))) if bounded else None
    others = [best] if C is None else [np.minimum(best, 0.1), np.zeros(4)]
    run = states(DualAveraging(), Problem(f, C), x0, 1000)
    C17 = (1 + np.sqrt(17)) / 2
    z = np.array([s.x for s in run])
    weight = np.array([s.memory.weight for s in run])
    total = np.array([s.memory.total for s in run])
    assert np.allclose(total, np.cumsum(weight), rtol=1e-12)
    # The z_k from the averages, and the largest distance they have had.
    z = z[1:] + (total[:-1] / weight[1:])[:, None] * np.diff(z, axis=0)
    seen = np.linalg.norm(z - run[0].x, axis=-1)
    first = 0.01 * (1 + np.linalg.norm(run[0].x))
    reach = np.array([s.memory.reach for s in run])
    assert np.allclose(
        reach, np.maximum.accumulate([first, *seen]), rtol=1e-6, atol=1e-9
    )
    squared = np.array([s.squared for s in run])
    beta = np.sqrt(np.cumsum((np.arange(1, 1002) * reach) ** 2 * squared))
    for u in others:
        R = np.linalg.norm(u - run[0].x)
        bound = (R**2 / 2 + C17 * reach[1:] ** 2) * beta[:-1] / total[:-1]
        left = np.array([s.value for s in run[:-1]]) - f(u)
        assert np.all(left <= bound * (1 + 1e-12))
    assert far or run[-1].best_value - min(map(f, others)) < 0.05 * f(x0)


@pytest.mark.parametrize("bounded", [False, True])
def test_polyak_is_fejer_monotone(bounded):
    """All runs of a batch come closer to every minimiser, a segment of them here."""
    f = norm1(np.eye(2, 3) @ variable(3))
    C = Box(Interval([-np.inf, -np.inf, -2.0], [np.inf, np.inf, 0.5]))
    x0 = 3 * np.random.default_rng(0).standard_normal((30, 3))
    problem = Problem(f, C if bounded else None, optimum=0.0)
    run = states(SubgradientMethod(Polyak()), problem, x0, 60)
    minimisers = np.array([[[0.0, 0.0, t]] for t in (-1.7, 0.0, 0.4)])
    distance = np.array([np.linalg.norm(s.x - minimisers, axis=-1) for s in run])
    assert np.all(np.diff(distance, axis=0) <= 1e-14)


def geometries():
    """(method, problem, x0, members of the constraint to compare with)."""
    rng = np.random.default_rng(0)
    A, b = rng.standard_normal((12, 5)), rng.standard_normal(12)
    f = norm1(A @ variable(5) - b)
    free = np.vstack([np.zeros(5), rng.standard_normal((20, 5))])
    inside = np.vstack([3 * np.eye(5), 3 * rng.dirichlet(np.ones(5), 20)])
    start = 3 * rng.dirichlet(np.ones(5))
    S, ball = Simplex(5, 3.0), Ball(np.zeros(5), 1.5)
    in_ball = free / np.maximum(1, np.linalg.norm(free, axis=-1, keepdims=True))
    return [
        (MirrorDescent(Euclidean()), Problem(f, ball), np.ones(5), in_ball),
        (MirrorDescent(Euclidean()), Problem(f, radius=4.0), np.ones(5), free),
        (MirrorDescent(Entropy()), Problem(f, S), start, inside),
        (MirrorDescent(Entropy()), Problem(f, S), np.zeros(5), inside),
        (MirrorDescent(PNorm(1.2)), Problem(f, radius=4.0), np.zeros(5), free),
        (MirrorDescent(PNorm(1.7)), Problem(f, radius=4.0), np.ones(5), free),
        (MirrorDescent(PNorm(2.0)), Problem(f, radius=4.0), np.ones(5), free),
    ]


GEOMETRIES = geometries()


@pytest.mark.parametrize("i", range(len(GEOMETRIES)))
@pytest.mark.parametrize("rule", [None, Constant(0.05), DiminishingLength(1.0)])
def test_mirror_descent(i, rule):
    """The theorem holds against every point of the constraint, not only minimisers."""
    method, problem, x0, others = GEOMETRIES[i]
    G = method.geometry
    method = MirrorDescent(G, rule, average=True)
    run = states(method, problem, x0, 300)
    f = problem.function
    a = np.array([s.memory.step for s in run])
    dual = np.array([G.dual_norm(s.subgradient) for s in run])
    values = np.array([s.value for s in run])
    for z in others:
        left = np.cumsum(a * (values - f(z)))
        right = G.divergence(z, run[0].x) + np.cumsum(a**2 * dual**2) / 2
        assert np.all(left <= right * (1 + 1e-12) + 1e-12)
        average = np.array([f(s.average) for s in run])
        assert np.all((average - f(z)) * np.cumsum(a) <= right * (1 + 1e-12) + 1e-12)
    if rule is None:
        top = G.reach(problem, run[0].x)
        assert np.allclose(a * dual * np.sqrt(np.arange(1, 302)), np.sqrt(2 * top))
        for z in others:
            near = problem.radius is None or np.linalg.norm(z - x0) <= problem.radius
            assert not near or G.divergence(z, run[0].x) <= top * (1 + 1e-12)


@pytest.mark.parametrize("i", range(len(GEOMETRIES)))
def test_geometries_are_strongly_convex(i):
    """D(x, y) >= |x - y|² / 2 in the norm whose dual is used: <g, x - y> shows it."""
    method, problem, x0, others = GEOMETRIES[i]
    G = method.geometry
    rng = np.random.default_rng(2)
    y = 0.9 * others[1:] + 0.1 * others.mean(0)
    for x in others:
        for g in rng.standard_normal((30, 5)):
            size = np.abs((x - y) @ g) / G.dual_norm(g)
            assert np.all(G.divergence(x, y) >= size**2 / 2 - 1e-12)


@each_case
@pytest.mark.parametrize("share", [0.3, 0.5])
def test_bounded_polyak(case, share):
    _, f, x0, best = case
    R, M = 2 * np.linalg.norm(x0 - best), steepest(f, best)
    D, eps = 2 * R, 0.15 * f(x0)
    phases = np.log(D * M / eps) / -np.log(1 - share)
    limit = (D * M / ((1 - share) * eps)) ** 2 / (1 - (1 - share) ** 2) + phases + 2
    run = iterate(BoundedPolyak(share), Problem(f, radius=R), x0)
    last, before = -np.inf, None
    for s in itertools.islice(run, int(limit) + 1):
        m = s.memory
        if before is not None:
            a = (before.value - m.level) / before.squared
            old = before.memory
            begun = m.base > old.base
            assert m.base == (m.lower if begun else old.base)
            assert begun or m.level <= old.level
            total = a if begun else old.total + a
            assert m.total == pytest.approx(max(total, 0.0), rel=1e-12)
        before = s
        assert last <= m.lower <= f(best) + 1e-12 and m.lower <= m.level <= s.best_value
        assert np.linalg.norm(s.x - x0) <= R * (1 + 1e-12)
        last = m.lower
        if s.best_value - m.lower <= eps:
            break
    assert s.best_value - m.lower <= eps
    # Far from the limit, which is for the worst function.
    assert s.k <= limit / 4


@pytest.mark.parametrize("c", [1.0, 100.0])
def test_restarts_find_out_that_growth_is_sharp(c):
    """f grows with slope 1 at least, M = 2: D_n = 5 eps_n, and every phase is short."""
    n = 4
    f = norm1(variable(n) - c)
    eps, M = 1e-6, np.sqrt(n)
    levels = int(np.ceil(np.log2(f(np.zeros(n)) / (5 * eps)))) + 1
    method = Restarted(eps, copies=levels + 2)
    limit = (levels + 2) * 3 * int(np.ceil(5 * M)) ** 2
    found = minimize(f, np.zeros(n), method, MaxIter(limit), cuts=0, optimum=0.0)
    assert found.fun <= eps
    default = minimize(f, np.zeros(n), Restarted(eps), MaxIter(limit), cuts=0)
    assert default.fun <= eps
    # The same number of steps without restarts.
    alone = SubgradientMethod(Accuracy(eps / 2))
    assert minimize(f, np.zeros(n), alone, MaxIter(limit), cuts=0).fun > 1e3 * eps
