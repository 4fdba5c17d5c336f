"""Mirror descent, restarts, levels and averages: what they have in common and not."""

import itertools

import numpy as np
import pytest

import subgrad as sg
from subgrad import Ball, Box, Interval, Simplex, norm1, norm2, variable
from subgrad.core import Function
from subgrad.solvers import (
    Constant,
    Diminishing,
    DiminishingLength,
    Gap,
    MaxIter,
    Polyak,
    Problem,
    SubgradientMethod,
    TargetLevel,
    iterate,
    minimize,
)
from subgrad.solvers.bounded_polyak import BoundedPolyak
from subgrad.solvers.distance_over_gradients import DoG, DoWG
from subgrad.solvers.dual_averaging import DualAveraging
from subgrad.solvers.mirror_descent import Entropy, Euclidean, MirrorDescent, PNorm
from subgrad.solvers.restarts import Restarted, _restart, merge
from subgrad.solvers.steps import Accuracy, LinearDecay

FREE = {
    "average": SubgradientMethod(Constant(0.05), average=True),
    "linear decay": SubgradientMethod(LinearDecay(40)),
    "accuracy": SubgradientMethod(Accuracy(0.1)),
    "DoG": SubgradientMethod(DoG()),
    "DoWG": SubgradientMethod(DoWG()),
    "dual averaging": DualAveraging(),
    "restarts of p-norm": Restarted(0.05, 4, lambda eps: MirrorDescent(PNorm(1.3))),
    "dual averaging n": DualAveraging(n=40, bound=9.0),
    "mirror": MirrorDescent(Euclidean(), average=True),
    "p-norm": MirrorDescent(PNorm(1.3)),
    "levels": BoundedPolyak(),
    "restarts": Restarted(0.05, copies=6),
    "restarts of levels": Restarted(
        0.05, 4, lambda eps: SubgradientMethod(TargetLevel())
    ),
    "restarts of averages": Restarted(0.05, 4, lambda eps: SubgradientMethod(DoG())),
    "restarts of dual averaging": Restarted(0.05, 4, lambda eps: DualAveraging()),
    "restarts of decay": Restarted(
        0.05, 4, lambda eps: SubgradientMethod(LinearDecay(7))
    ),
    "restarts of mirror descent": Restarted(
        0.05, 4, lambda eps: MirrorDescent(Euclidean())
    ),
}
each = pytest.mark.parametrize("name", FREE)


def lad(rng, m, n, batch=()):
    return rng.standard_normal((*batch, m, n)), rng.standard_normal((*batch, m))


def points(method, problem, x0, steps):
    run = itertools.islice(iterate(method, problem, x0), steps + 1)
    return np.array([s.x for s in run])


# A batch is a loop --------------------------------------------------------------------


@each
@pytest.mark.parametrize("constrained", [False, True])
def test_batch_is_a_loop(name, constrained):
    rng = np.random.default_rng(5)
    A, b = lad(rng, 12, 3, (8,))
    x0 = rng.standard_normal((8, 3))
    method, stop = FREE[name], MaxIter(60)
    S = Ball(np.zeros(3), 0.6) if constrained and not name.endswith("p-norm") else None
    x0.flags.writeable = False
    radius = np.linspace(2, 4, 8)
    f = norm1(A @ variable(3) - b)
    first, again = (
        minimize(f, x0, method, stop, S, radius=radius, record=1, cuts=0)
        for _ in range(2)
    )
    for key in ("x", "fun", "history"):
        assert np.array_equal(first[key], again[key])
    for i in range(8):
        f = norm1(A[i] @ variable(3) - b[i])
        alone = minimize(f, x0[i], method, stop, S, radius=radius[i], cuts=0)
        assert np.allclose(first.x[i], alone.x, rtol=1e-8, atol=1e-8)
        assert first.fun[i] == pytest.approx(alone.fun, rel=1e-10)
        assert first.nit[i] == alone.nit and first.nfev[i] == alone.nfev
        assert first.status[i] == alone.status


def test_entropy_batch_is_a_loop():
    rng = np.random.default_rng(5)
    A, b = lad(rng, 12, 4, (8,))
    f, r = norm1(A @ variable(4) - b), np.linspace(0.5, 3, 8)
    method = MirrorDescent(Entropy(), average=True)
    found = minimize(f, np.zeros(4), method, MaxIter(80), Simplex(4, r))
    for i in range(8):
        f = norm1(A[i] @ variable(4) - b[i])
        alone = minimize(f, np.zeros(4), method, MaxIter(80), Simplex(4, r[i]))
        assert np.allclose(found.x[i], alone.x, rtol=1e-8, atol=1e-10)
        assert found.lower_bound[i] == pytest.approx(alone.lower_bound, rel=1e-8)


@each
def test_batch_from_the_parameters_of_the_function(name):
    tau = np.array([0.1, 0.5, 0.9])
    y = np.arange(11.0)
    f = sg.pinball_loss(tau)(y - np.ones((11, 1)) @ variable(1))
    found = minimize(f, [3.3], FREE[name], MaxIter(400) | Gap(1e-3), radius=8.0)
    assert found.x.shape == (3, 1)
    assert np.allclose(found.fun, [5.4, 15.0, 5.4], rtol=0.02)


@each
def test_numbers_of_one_problem_are_scalars(name):
    """Their arithmetic costs a tenth of that of arrays without axes."""
    f = norm1(np.eye(3) @ variable(3) - 0.3)
    for s in itertools.islice(
        iterate(FREE[name], Problem(f, radius=3.0), np.ones(3)), 9
    ):
        if not name.startswith("restarts"):
            assert all(isinstance(a, np.generic) for a in (s.value, s.squared))
            assert isinstance(s.best_value, np.generic)


def test_dual_points_are_the_gradients():
    """They are carried along; recomputed from x they are the same."""
    G, f = PNorm(1.3), norm1(variable(4) - [0.1, -2.0, 0.0, 3.0])
    run = iterate(MirrorDescent(G), Problem(f, radius=5.0), np.zeros((2, 4)))
    for s in itertools.islice(run, 300):
        assert np.allclose(G.dual(s.x), s.dual, rtol=1e-9, atol=1e-12)


@each
def test_single_precision_stays(name):
    A, b = lad(np.random.default_rng(0), 12, 3)
    f = norm1(np.float32(A) @ variable(3) - np.float32(b))
    run = iterate(FREE[name], Problem(f, radius=3.0), np.zeros(3, np.float32))
    for s in itertools.islice(run, 30):
        assert s.x.dtype == s.best_x.dtype == s.subgradient.dtype == np.float32
        assert s.average is None or s.average.dtype == np.float32


@each
@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_scales(name, scale):
    """x and f in other units: whatever the steps are worth, nothing overflows."""
    A, b = lad(np.random.default_rng(0), 12, 3)
    f, g = norm1(A @ variable(3) - b), norm1(A @ variable(3) - scale * b)
    stop, method = MaxIter(40), FREE[name]
    one = minimize(f, np.zeros(3), method, stop, radius=2.0)
    other = minimize(g, np.zeros(3), method, stop, radius=2.0 * scale)
    assert np.isfinite(other.fun) and other.fun <= g(np.zeros(3)) * (1 + 1e-14)
    assert other.lower_bound <= scale * one.fun * (1 + 1e-9)


# Averages -----------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [Constant(0.1), DoG(), DoWG(), TargetLevel()])
def test_average(rule):
    A, b = lad(np.random.default_rng(0), 12, 3, (2,))
    f = norm1(A @ variable(3) - b)
    method = SubgradientMethod(rule, average=True)
    run = list(itertools.islice(iterate(method, Problem(f), np.ones(3)), 30))
    own = getattr(rule, "weight", None)
    w = [s.memory.step if own is None else own(s.memory.rule) for s in run]
    w = np.array([np.broadcast_to(a, (2,)) for a in w])[..., None]
    x = np.array([s.x for s in run])
    averages = np.cumsum(w * x, 0) / np.cumsum(w, 0)
    assert np.allclose([s.average for s in run], averages, rtol=1e-11, atol=1e-13)
    assert run[0].memory.total.shape == (2,)


def test_the_average_is_tried():
    """Steps that jump over the minimum: only their average lies near it."""
    f = norm1(variable(1))
    found = minimize(f, [1.0], SubgradientMethod(Constant(2.0), True), MaxIter(9))
    assert found.fun == pytest.approx(0.0, abs=1e-15) and found.nfev == 11
    assert minimize(f, [1.0], SubgradientMethod(Constant(2.0)), MaxIter(9)).fun == 1.0


class Broken(Function):
    """|x|_1, nan at the fifth call, or so many, for the first of two problems."""

    n = 2

    def __init__(self, first=5, last=5):
        self.f, self.calls = norm1(variable(2)), 0
        self.first, self.last = first, last

    def _value(self, x):
        return self.f._value(x)

    def _oracle(self, x):
        self.calls += 1
        value, g = self.f._oracle(x)
        broken = self.first <= self.calls <= self.last
        return np.where(broken & (np.arange(2) == 0), np.nan, value), g


def test_a_point_where_f_is_nan_is_not_averaged():
    method = SubgradientMethod(Constant(0.1), average=True)
    run = iterate(method, Problem(Broken()), np.ones((2, 2)))
    seen = list(itertools.islice(run, 5))
    assert list(seen[-1].failed) == [True, False]
    assert np.array_equal(seen[-1].average[0], seen[-2].average[0])
    assert np.allclose(seen[-1].average[1], 0.8)


def test_where_f_breaks_no_bound_is_seen():
    """The value that stands in for nan says nothing of f elsewhere."""
    problem = Problem(Broken(3, 40), radius=3.0)
    run = iterate(BoundedPolyak(), problem, np.ones((2, 2)))
    for s in itertools.islice(run, 40):
        assert np.all(s.memory.lower <= 0)


@pytest.mark.parametrize("scale", [1e150, 1e153, 1e155, 1e300])
@pytest.mark.parametrize("batch", [(), (2,)])
@each
def test_steep_functions_warn_of_nothing(name, batch, scale):
    """|g|² overflows at some of these scales: then the run ends where it stands."""
    f, x0 = scale * norm1(variable(2) - 0.3), np.ones((*batch, 2))
    try:
        found = minimize(f, x0, FREE[name], MaxIter(9), radius=3.0, cuts=0)
    except ValueError as error:
        assert "finite" in str(error) and scale > 1e154
    else:
        assert np.all(np.isfinite(found.x)) and np.all(found.fun <= f(x0))


@pytest.mark.parametrize("batch", [(), (2,)])
def test_a_run_that_becomes_too_steep_keeps_its_best_point(batch):
    calls = []

    class Steep(Function):
        n = 2

        def _value(self, x):
            return np.abs(x).sum(-1)

        def _oracle(self, x):
            calls.append(x)
            return self._value(x), (1.0 if len(calls) < 4 else 1e200) * np.sign(x)

    x0 = np.ones((*batch, 2))
    found = minimize(Steep(), x0, SubgradientMethod(Constant(0.1)), MaxIter(9), cuts=0)
    assert np.all(found.status == "nonfinite") and not np.any(found.success)
    assert found.fun == pytest.approx(np.full(batch, 1.6))


@pytest.mark.parametrize(
    "method",
    [
        SubgradientMethod(Constant([0.1, 0.2])),
        SubgradientMethod(TargetLevel(path=[0.1, 0.2])),
        SubgradientMethod(LinearDecay(9, [1.0, 2.0])),
        DualAveraging([1.0, 2.0]),
        MirrorDescent(Euclidean(), divergence=[1.0, 2.0]),
    ],
)
def test_parameters_are_one_per_problem(method):
    f = norm1(variable(2) - 0.3)
    found = minimize(f, np.ones((2, 2)), method, MaxIter(9), cuts=0)
    assert found.x.shape == (2, 2)
    with pytest.raises(ValueError, match=r"shape \(\)"):
        minimize(f, np.ones(2), method, MaxIter(9), cuts=0)


def test_what_is_picked_for_an_oracle():
    f = sg.from_oracle(lambda x: (abs(x).sum(), np.sign(x)), 3)
    x0, stop = np.array([3.0, -4.0, 1.0]), MaxIter(300)
    found = minimize(f, x0, stop=stop)
    assert "'dual averaging', because nothing but an oracle" in found.message
    assert np.array_equal(found.x, minimize(f, x0, DualAveraging(), stop).x)
    for known in ({"radius": 9.0}, {"constraint": Ball(np.zeros(3), 9.0)}):
        assert "'linear decay'" in minimize(f, x0, stop=stop, **known).message


# Equivalences -------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [DoG(), DoWG()])
def test_no_constant_is_needed(rule):
    """2^k f has the same iterates, bit for bit; so has f shifted, up to rounding."""
    A, b = lad(np.random.default_rng(1), 14, 3)
    f, x0 = norm1(A @ variable(3) - b), np.ones(3)
    method = SubgradientMethod(rule)
    run = points(method, Problem(f), x0, 200)
    for c in (2.0**30, 2.0**-30):
        assert np.array_equal(points(method, Problem(c * f), x0, 200), run)
    # Where the origin is, only |x_0| tells, by the first radius.
    shift = np.array([-2.0, 0.0, 0.0])
    moved = norm1(A @ (variable(3) - shift) - b)
    other = points(method, Problem(moved), x0 + shift, 200)
    assert np.allclose(other, run + shift, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "rule", [Constant(0.02), Diminishing(0.1), DiminishingLength(0.5), Polyak()]
)
@pytest.mark.parametrize("constrained", [False, True])
def test_euclidean_mirror_descent_is_the_subgradient_method(rule, constrained):
    A, b = lad(np.random.default_rng(2), 12, 3, (4,))
    f = norm1(A @ variable(3) - b)
    C = Box(Interval(np.zeros(3), np.full(3, np.inf))) if constrained else None
    problem = Problem(f, C, optimum=0.5)
    one = points(SubgradientMethod(rule), problem, np.ones(3), 60)
    for G in (Euclidean(), PNorm(2.0)):
        if constrained and isinstance(G, PNorm):
            continue
        other = points(MirrorDescent(G, rule), problem, np.ones(3), 60)
        assert np.allclose(one, other, rtol=1e-9, atol=1e-11)
    assert np.array_equal(
        points(MirrorDescent(Euclidean(), rule), problem, np.ones(3), 60), one
    )


def test_default_mirror_steps():
    f = norm1(variable(4) - 3.0)
    R = 6.0
    one = points(MirrorDescent(Euclidean()), Problem(f, radius=R), np.zeros(4), 50)
    two = points(SubgradientMethod(DiminishingLength(R)), Problem(f), np.zeros(4), 50)
    assert np.allclose(one, two, rtol=1e-12)
    given = MirrorDescent(Euclidean(), divergence=R**2 / 2)
    assert np.array_equal(points(given, Problem(f), np.zeros(4), 50), one)


def test_one_copy_is_the_method_itself():
    A, b = lad(np.random.default_rng(3), 12, 3, (2,))
    f = norm1(A @ variable(3) - b)
    one = points(Restarted(0.4, copies=1), Problem(f), np.ones(3), 100)
    two = points(SubgradientMethod(Accuracy(0.2)), Problem(f), np.ones(3), 100)
    assert np.array_equal(one, two)


# Mirror descent -----------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8, 1e150])
@pytest.mark.parametrize("r", [1.0, 1e-6, 1e6])
def test_entropy_stays_inside(scale, r):
    c = np.random.default_rng(0).standard_normal(50)
    f = scale * norm1(variable(50) - c)
    for rule in (None, Constant(1.0)):
        method = MirrorDescent(Entropy(), rule)
        run = iterate(method, Problem(f, Simplex(50, r)), np.zeros(50))
        for s in itertools.islice(run, 60):
            assert s.x.min() > 0
            assert abs(s.x.sum() - r) <= 4e-15 * r


def test_entropy_needs_few_steps_in_many_dimensions():
    """The bound r² log n: a linear function of a large simplex."""
    n = 10_000
    c = np.random.default_rng(0).standard_normal(n)
    f, S = sg.Linear(c), Simplex(n)
    method = MirrorDescent(Entropy(), average=True)
    found = minimize(f, np.zeros(n), method, MaxIter(200), S, cuts=0)
    D, M = np.log(n), (c.max() - c.min()) / 2
    steps = np.arange(1, 202)
    bound = M * np.sqrt(D / 2) * (1 + np.sum(1 / steps)) / np.sum(1 / np.sqrt(steps))
    assert 0 <= found.fun - c.min() <= bound
    # A constant in f moves nothing.
    shifted = sg.Linear(c + 5.0)
    one = points(method, Problem(f, S), np.zeros(n), 5)
    assert np.allclose(points(method, Problem(shifted, S), np.zeros(n), 5), one)


@pytest.mark.parametrize("p", [1.05, 1.5, 2.0])
def test_p_norm_maps_are_inverse(p):
    x = np.random.default_rng(0).standard_normal((30, 6))
    x[0], x[1, :3] = 0.0, 0.0
    G, q = PNorm(p), p / (p - 1)
    for scale in (1.0, 1e-100, 1e100):
        y = G.step(Problem(norm2), scale * x, np.zeros(6))
        assert np.allclose(y, scale * x, rtol=1e-12, atol=0)
    g = np.random.default_rng(1).standard_normal((30, 6))
    assert np.allclose(G.dual_norm(g), np.linalg.norm(g, q, axis=-1), rtol=1e-13)
    # <g, z> + D(z, x) is least at the step.
    z = G.step(Problem(norm2), x, g)
    least = np.vecdot(g, z) + G.divergence(z, x)
    for d in np.random.default_rng(2).standard_normal((20, 6)) * 0.1:
        assert np.all(np.vecdot(g, z + d) + G.divergence(z + d, x) >= least - 1e-12)


def test_entropy_step_is_least():
    rng = np.random.default_rng(0)
    x, g = 2.0 * rng.dirichlet(np.ones(5), 10), rng.standard_normal((10, 5))
    G, problem = Entropy(), Problem(norm2, Simplex(5, 2.0))
    z = G.step(problem, x, g)
    least = np.vecdot(g, z) + G.divergence(z, x)
    for other in 2.0 * rng.dirichlet(np.ones(5), 50):
        assert np.all(np.vecdot(g, other) + G.divergence(other, x) >= least - 1e-12)


# Restarts -----------------------------------------------------------------------------


def test_restarts_count_their_calls():
    f = norm1(variable(2) - 0.3)
    found = minimize(f, np.zeros((3, 2)), Restarted(1e-3, copies=5), MaxIter(10))
    assert list(found.nfev) == [61, 61, 61] and list(found.nit) == [10, 10, 10]


class Counted(Function):
    def __init__(self, f):
        self.f, self.n, self.shapes = f, f.n, []

    def _value(self, x):
        return self.f._value(x)

    def _oracle(self, x):
        self.shapes.append(x.shape)
        return self.f._oracle(x)


def test_one_call_for_all_copies():
    f = Counted(norm1(variable(2) - 0.3))
    run = iterate(Restarted(1e-3, copies=5), Problem(f), np.zeros((3, 2)))
    last = list(itertools.islice(run, 40))[-1]
    assert f.shapes == [(3, 2)] + 39 * [(5, 3, 2), (3, 2)]
    assert np.all(last.memory.state.k < 39)


def by_hand(f, x0, eps, copies, steps):
    """The scheme for one problem, copy by copy: the points where each restarts."""
    x = [x0] * copies
    start = [f(x0)] * copies
    seen = []
    for k in range(steps):
        for i in range(copies):
            g = f.subgradient(x[i])
            x[i] = x[i] - eps * 2.0 ** (i - 1) / max(g @ g, 1e-300) * g
        sent = None
        for i in reversed(range(copies)):
            goal = start[i] - eps * 2.0 ** (i - 1)
            fine = [y for y in (x[i], sent) if y is not None]
            options = [y for y in fine if f(y) <= goal + 1e-13]
            sent = min(options, key=f) if options else None
            if options:
                x[i], start[i] = sent, f(sent)
                seen.append((k, i))
    return x, seen


def test_restarts_are_those_of_the_scheme():
    A, b = lad(np.random.default_rng(6), 9, 3)
    f = norm1(A @ variable(3) - b)
    x, seen = by_hand(f, np.ones(3), 0.01, 8, 60)
    run = list(
        itertools.islice(iterate(Restarted(0.01, 8), Problem(f), np.ones(3)), 61)
    )
    assert np.allclose(run[-1].memory.state.x, x, rtol=1e-10)
    goals = np.array([s.memory.goal for s in run])
    k, i = np.nonzero(np.diff(goals, axis=0))
    assert sorted(seen) == list(zip(k, i, strict=True))
    assert len({i for _, i in seen}) >= 6
    assert all(np.all(np.diff(g) <= 0) for g in goals.T)


def test_a_copy_keeps_its_own_point_where_that_is_lower():
    x = np.array([[1.0], [2.0], [0.5]])
    problem, solver = Problem(norm1(variable(1))), SubgradientMethod(Constant(1.0))
    amounts, goal = np.array([0.1, 0.2, 0.4]), np.full(3, 3.0)
    inner = solver.init(problem, x)
    state, goal = _restart(problem, solver, inner, amounts, goal, goal > 0)
    assert state.x.ravel().tolist() == [0.5, 0.5, 0.5]
    inner = solver.init(problem, x[:2])
    state, goal = _restart(
        problem, solver, inner, amounts[:2], goal[:2] + 2, x[:2, 0] > 0
    )
    assert state.x.ravel().tolist() == [1.0, 2.0]
    assert np.allclose(goal, [0.9, 1.8])


def test_the_number_of_copies_covers_the_first_gap():
    def copies(f, eps=1e-3, **known):
        run = iterate(Restarted(eps), Problem(f, **known), np.full(2, 8.0))
        return len(next(run).memory.goal)

    f = norm1(variable(2))
    assert copies(f, optimum=0.0) == 2 + 12  # 5 · 2^12 > 16 / 1e-3
    assert copies(f) == 14
    assert copies(f, radius=100.0) == 2 + 16
    assert copies(f, eps=100.0) == 2
    assert copies(sg.Linear([1e6, 0.0])) == 2 + 31  # |f| = 8e6
    assert copies(f, eps=np.full((), 1e-300)) == 64


def test_merge():
    mask = np.array([True, False])
    new = ((np.zeros((2, 3)), None), np.zeros(2), 0)
    old = ((np.ones((2, 3)), None), np.ones(2), 7)
    (x, nothing), value, k = merge(mask, new, old)
    assert np.array_equal(x, [[0.0] * 3, [1.0] * 3]) and nothing is None
    assert np.array_equal(value, [0.0, 1.0]) and np.array_equal(k, [0, 7])
    with pytest.raises(TypeError, match="same parts"):
        merge(mask, None, np.ones(2))


def test_a_copy_that_leaves_the_domain_is_out():
    """The long steps of the upper copies leave x >= 0, those of the lower do not."""
    f = sg.separable(sg.negative_sqrt) + norm1
    method = Restarted(1e-4, copies=14)
    found = minimize(f, [4.0, 9.0], method, MaxIter(400), cuts=0)
    assert found.status == "iterations"
    assert found.fun == pytest.approx(-0.5, abs=1e-3)


# Levels -------------------------------------------------------------------------------


REGIONS = {
    "ball": (None, 3.0),
    "ball that does not reach": (None, 0.2),
    "box": (Box(Interval(np.full(3, -0.2), np.full(3, 0.3))), None),
    "orthant and radius": (Box(Interval(np.zeros(3), np.full(3, np.inf))), 3.0),
    "simplex": (Simplex(3), None),
    "ball and radius": (Ball(np.full(3, 0.5), 0.2), 0.7),
}


@pytest.mark.parametrize("name", REGIONS)
def test_levels_stay_between(name):
    from subgrad.cvx import reference

    C, R = REGIONS[name]
    A, b = lad(np.random.default_rng(2), 15, 3)
    f = norm1(A @ variable(3) - b)
    D = Ball(np.zeros(3), R) if C is None else C
    optimum = reference(f, constraint=D).fun
    run = iterate(BoundedPolyak(), Problem(f, C, radius=R), np.zeros(3))
    states = list(itertools.islice(run, 1500 if R is None or C is None else 300))
    lower = np.array([s.memory.lower for s in states])
    assert np.all(lower <= optimum * (1 + 1e-8)) and np.all(np.diff(lower) >= 0)
    last = states[-1]
    # This far the theorem does not reach; it is what the method does.
    assert last.best_value - lower[-1] <= 0.1 * optimum
    assert all(D.contains(s.x, 1e-9) for s in states)


# At the border ------------------------------------------------------------------------

F = norm1(variable(2))


@pytest.mark.parametrize(
    ("method", "arguments", "text"),
    [
        (MirrorDescent(Entropy()), {}, "Simplex.*no constraint"),
        (MirrorDescent(Entropy()), {"constraint": Ball(np.zeros(2))}, "got Ball"),
        (
            MirrorDescent(Entropy()),
            {"constraint": Simplex(2), "x0": [9.0, 0.0]},
            "positive entries.*0.0",
        ),
        (MirrorDescent(PNorm(1.5)), {"constraint": Simplex(2)}, "no constraint"),
        (MirrorDescent(PNorm(1.5)), {}, "radius"),
        (MirrorDescent(Euclidean()), {}, "radius"),
        (
            MirrorDescent(Euclidean()),
            {"constraint": Box(Interval([0.0, 0.0], [1.0, np.inf]))},
            "radius",
        ),
        (BoundedPolyak(), {}, "bounded"),
        (SubgradientMethod(LinearDecay(5)), {}, "radius"),
        (DualAveraging(n=5), {}, "radius"),
        (DualAveraging(bound=5.0), {}, "radius"),
    ],
)
def test_refused(method, arguments, text):
    with pytest.raises(ValueError, match=text):
        minimize(**({"f": F, "x0": [1.0, 2.0], "method": method} | arguments))


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: PNorm(1.0), ValueError),
        (lambda: PNorm(2.5), ValueError),
        (lambda: PNorm(np.nan), ValueError),
        (lambda: MirrorDescent(Constant(1.0)), TypeError),
        (lambda: MirrorDescent(Euclidean(), 0.1), TypeError),
        (lambda: MirrorDescent(Euclidean(), divergence=-1.0), ValueError),
        (lambda: Restarted(0.0), ValueError),
        (lambda: Restarted(0.1, copies=0), ValueError),
        (lambda: BoundedPolyak(1.0), ValueError),
        (lambda: BoundedPolyak(np.nan), ValueError),
        (lambda: LinearDecay(0), ValueError),
        (lambda: LinearDecay(5, radius=-1.0), ValueError),
        (lambda: Accuracy(0.0), ValueError),
        (lambda: DualAveraging(radius=0.0), ValueError),
        (lambda: DualAveraging(n=2.5), ValueError),
    ],
)
def test_parameters_refused(make, error):
    with pytest.raises(error):
        make()


def test_a_memory_that_is_no_array_cannot_be_restarted():
    for inner in (lambda eps: BoundedPolyak(), lambda eps: Restarted(0.1)):
        with pytest.raises(TypeError, match="arrays"):
            minimize(F, [1.0, 2.0], Restarted(0.1, inner=inner), radius=3.0)


def test_inner_must_be_a_method():
    with pytest.raises(TypeError, match="inner"):
        minimize(F, [1.0, 2.0], Restarted(0.1, inner=Accuracy))
