"""Shor's method, descent on subdifferentials, restarts: laws, accuracy, trouble."""

import itertools
import runpy
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import subgrad as sg
from subgrad import Ball, Box, Indicator, Interval, norm1, norm2, norm_inf, variable
from subgrad.core import Function
from subgrad.problems import problem
from subgrad.sets.nearest import ProjectionError
from subgrad.solvers import (
    Accuracy,
    BoundedPolyak,
    Constant,
    ConstantLength,
    Diminishing,
    DoG,
    DoWG,
    DualAveraging,
    EstimatedPolyak,
    Euclidean,
    Gap,
    LinearDecay,
    MaxIter,
    MirrorDescent,
    Polyak,
    Problem,
    Restarted,
    Stalled,
    SubgradientMethod,
    TargetLevel,
    iterate,
    minimize,
)
from subgrad.solvers import shor as shor_module
from subgrad.solvers.auto import choose
from subgrad.solvers.certificate import SubgradientCertificate
from subgrad.solvers.set_descent import SetDescent, SmallSubgradient
from subgrad.solvers.shor import Shor

METHODS = [Shor(), SetDescent()]
each_method = pytest.mark.parametrize("method", METHODS, ids=["shor", "set"])

# Calls of the oracle that Shor() needs to come within 1e-6 max(1, |f*|) of the optimum,
# rounded up by about a fifth.
CALLS = {
    "cb2": 60,
    "cb3": 60,
    "dem": 70,
    "ql": 60,
    "lq": 60,
    "mifflin1": 60,
    "rosen_suzuki": 80,
    "shor": 90,
    "maxquad": 150,
    "maxq": 400,
    "maxl": 750,
    "goffin": 2100,
    "mxhilb": 150,
    "l1hilb": 150,
    "tr48": 1900,
    "chained_lq": 300,
    "chained_cb3_2": 150,
    "geometric_l1": 2000,
}
# Steps in which SetDescent() comes there and proves it.
STEPS = {
    "cb2": 16,
    "cb3": 16,
    "dem": 18,
    "ql": 27,
    "lq": 10,
    "mifflin1": 28,
    "rosen_suzuki": 75,
    "shor": 20,
    "maxquad": 90,
    "maxq": 26,
    "maxl": 42,
    "goffin": 100,
    "mxhilb": 56,
    "chained_cb3_2": 30,
    "max_of_abs": 80,
}
LONG = ("rosen_suzuki", "maxquad", "chained_cb3_2")


def data(shape=(), seed=0, m=14, n=3):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((*shape, m, n)), rng.standard_normal((*shape, m))


def worst(A, b):
    """max_i |a_i x - b_i|."""
    return norm_inf(A @ variable(A.shape[-1]) - b)


def run(method, f, x0, steps, **known):
    return list(itertools.islice(iterate(method, Problem(f, **known), x0), steps + 1))


# Known optima -------------------------------------------------------------------------


@pytest.mark.parametrize("name", CALLS)
def test_shor_on_problems_with_known_optimum(name):
    p = problem(name)
    stop = MaxIter(CALLS[name]) | Gap(1e-6)
    found = minimize(p.function, p.x0, Shor(), stop, optimum=p.optimum)
    assert found.status == "gap"
    assert -1e-12 <= (found.fun - p.optimum) / max(1, abs(p.optimum)) <= 1e-6
    assert found.nfev == found.nit + 1


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in LONG else n for n in STEPS]
)
def test_set_descent_proves_known_optima(name):
    p = problem(name)
    stop = MaxIter(STEPS[name]) | SmallSubgradient(1e-6)
    found = minimize(p.function, p.x0, SetDescent(), stop, radius=p.radius, cuts=0)
    size = max(1, abs(p.optimum))
    assert found.success and found.status == "subgradient"
    assert found.lower_bound <= p.optimum + p.accuracy + 1e-14 * size
    assert p.optimum <= found.fun + p.accuracy <= p.optimum + 1e-6 * size
    assert isinstance(found.certificate, SubgradientCertificate)
    assert found.certificate.verify(p.function)
    assert found.gap <= 1.001e-6 * size


# The r-algorithm ----------------------------------------------------------------------


def by_hand(f, x, steps, h=1.0, alpha=2.0, q1=0.95, q2=1.2, patience=3):
    """The points of the r-algorithm, written out as in the literature."""
    B, g = np.eye(x.size), f.subgradient(x)
    points = [x]
    while True:
        xi = B.T @ g
        d = B @ (xi / np.linalg.norm(xi))
        i = 0
        while True:
            x = x - h * d
            points.append(x)
            if len(points) > steps:
                return np.array(points)
            i += 1
            if i % patience == 0:
                h *= q2
            after = f.subgradient(x)
            if after @ d <= 0:
                break
        if i == 1:
            h *= q1
        r = B.T @ (after - g)
        r /= np.linalg.norm(r)
        B = B @ (np.eye(x.size) + (1 / alpha - 1) * np.outer(r, r))
        g = after


@pytest.mark.parametrize("change", [{}, {"alpha": 3.0, "q1": 0.9, "patience": 2}])
def test_shor_is_the_published_iteration(change):
    f, x0 = problem("maxquad").function, np.ones(10)
    names = {"alpha": "alpha", "q1": "shrink", "patience": "patience"}
    method = Shor(**{names[k]: v for k, v in change.items()})
    points = by_hand(f, x0, 100, **change)
    ours = np.array([s.x for s in run(method, f, x0, 100)])
    assert np.allclose(ours, points, rtol=0, atol=1e-8)


def test_shor_does_not_see_rotations():
    A, b = data()
    Q = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))[0]
    x0 = np.array([1.0, -2.0, 0.5])
    straight = [s.x for s in run(Shor(), worst(A, b), x0, 60)]
    turned = [s.x for s in run(Shor(), worst(A @ Q, b), Q.T @ x0, 60)]
    assert np.allclose(straight, np.array(turned) @ Q.T, rtol=0, atol=1e-9)


@each_method
@pytest.mark.parametrize("power", [-27, 27])
def test_units_do_not_matter(method, power):
    """x and f in other units: the same run, exactly, since 1e±8 is a power of two."""
    A, b = data()
    s, x0 = 2.0**power, np.array([1.0, -2.0, 0.5])
    if isinstance(method, Shor):
        other = Shor(length=s)
    else:
        other = method
    plain = run(method, worst(A, b), x0, 40, radius=5.0)
    scaled = run(other, worst(A, s * b), s * x0, 40, radius=5.0 * s)
    for one, two in zip(plain, scaled, strict=True):
        if isinstance(method, SetDescent) and one.value - plain[-1].value < 1e-9:
            break  # the longest step and the smallest eps are not relative
        assert np.allclose(s * one.x, two.x, rtol=1e-9, atol=1e-9 * s)


@cache
def optimum():
    return minimize(worst(*data()), np.zeros(3), Shor(), MaxIter(600)).fun


@each_method
@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_badly_scaled_data(method, scale):
    A, b = data()
    best = optimum()
    for f, unit in (
        (worst(scale * A, b * scale), scale),
        (worst(A, scale * b), scale),
        (worst(scale * A, b), 1.0),
    ):
        steps = 700 if isinstance(method, Shor) else 40
        found = minimize(f, np.zeros(3), method, MaxIter(steps), cuts=0)
        assert found.fun == pytest.approx(unit * best, rel=1e-6)


@pytest.mark.slow
def test_shor_runs_for_long():
    A, b = data()
    f = worst(A * [1.0, 1e3, 1e6], b)
    states = run(Shor(), f, np.ones(3), 6000)
    state, (B, _, d, h, _) = states[-1], states[-1].memory
    assert state.best_value == pytest.approx(states[1000].best_value, rel=1e-12)
    assert np.isfinite(B).all() and np.isfinite(d).all() and np.isfinite(h)
    assert np.abs(B).max() > 1e-60 and np.linalg.norm(d) > 0


def test_rescaling_the_space_changes_nothing(monkeypatch):
    f, x0 = problem("maxquad").function, np.ones(10)
    plain = run(Shor(), f, x0, 150)
    monkeypatch.setattr(shor_module, "TINY", 1e300)
    scaled = run(Shor(), f, x0, 150)
    assert all(np.array_equal(a.x, b.x) for a, b in zip(plain, scaled, strict=True))
    assert np.abs(scaled[-1].memory.B).max() > np.abs(plain[-1].memory.B).max()


# Descent on sets ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cb3", "maxquad", "goffin", "lad", "norm2"])
def test_every_step_descends_and_every_proof_holds(name):
    if name == "norm2":
        f, x0, best = norm2(variable(2) - 1.0) + norm1, np.array([3.0, -1.0]), None
    else:
        p = problem(name, n=4 if name in ("goffin", "lad") else None)
        f, x0, best = p.function, p.x0, p.optimum
    rng = np.random.default_rng(0)
    states = run(SetDescent(), f, x0, 25, radius=10.0)
    for before, after in itertools.pairwise(states):
        move = np.linalg.norm(after.x - before.x)
        assert (after.value < before.value) == (move > 0)
        assert after.memory.bound >= before.memory.bound
    for s in states[::5]:
        y, eps, g = s.proof
        S = f.subdifferential(y, eps)
        assert S.distance(g) <= 1e-9 * (1 + np.linalg.norm(g))
        assert np.allclose(g, S.min_norm())
        for scale in (1e-6, 1e-2, 1.0, 100.0):
            z = y + scale * rng.standard_normal((50, y.size))
            line = f(y) + (z - y) @ g - eps
            slack = 1e-12 * (abs(f(y)) + np.abs(f(z)))
            assert np.all(f(z) >= line - slack)
        reach = 10.0 + np.linalg.norm(y - x0)
        assert s.memory.bound == pytest.approx(
            f(y) - eps - reach * np.linalg.norm(g), rel=1e-12
        )
        assert best is None or s.memory.bound <= best + 1e-12 * (1 + abs(best))


def test_the_first_step_of_set_descent():
    """|x| + 2 |y| from (4, 1): the eps-sets are boxes, their shortest points known."""
    f = sg.separable(sg.absolute, np.array([1.0, 2.0]))
    method = SetDescent(eps=1.0, trials=1)
    first = run(method, f, np.array([4.0, 1.0]), 1)[1]
    # eps = 1 is spent on the second term, whose slopes are then [1, 2]: g = (1, 1), and
    # f may fall by 1 within t = eps / |g|². With eps = 64 all is flat.
    assert np.allclose(first.x, [3.5, 0.5], atol=1e-15)
    assert first.memory.eps == 1.0 and first.calls == 5
    # The best proof if a minimiser lies within max(1, |x0|) = √17: the gradient gives
    # 6 - √5 √17, eps = 64 gives 6 - 64.
    y, eps, g = first.proof
    assert np.array_equal(y, [4, 1]) and eps == 1 and np.allclose(g, [1, 1])
    assert first.memory.bound == pytest.approx(6 - 1 - np.sqrt(2 * 17))


def test_the_lengths_that_are_tried():
    f = Trouble((), None)
    seen = []
    value = f._value
    f._value = lambda x: seen.append(x) or value(x)
    x = np.array([0.123 + 1.0, 3.0])
    # From eps / (2 |s|) on, evenly in the logarithm, below 256 eps / |g|; and
    # eps / |g|.
    run(SetDescent(eps=0.01, trials=4), f, x, 1)
    points = next(y for y in seen if y.ndim == 3)
    tried = np.linalg.norm(points[:, 1] - x, axis=-1)  # of the eps in the middle
    size = np.linalg.norm(f.f.subdifferential(x, 0.01).min_norm())
    assert 1.4 < size < np.sqrt(2)
    least, full = 0.01 / (2 * np.sqrt(2)), 0.01 / size
    step = (256 * full / least) ** (1 / 3)
    expected = [least, least * step, least * step**2, full]
    assert np.allclose(tried, expected, rtol=1e-9)


SETS = {
    "box": Box(Interval([-0.1, 0.0, 0.2], [0.1, 0.3, 0.2])),
    "orthant": Box(Interval(np.zeros(3), np.full(3, np.inf))),
    "ball": Ball(np.full(3, 0.5), 0.2),
    "simplex": sg.Simplex(3),
    "half-space": sg.HalfSpace(np.array([1.0, 1.0, 1.0]), -1.0),
}


@pytest.mark.parametrize("name", SETS)
def test_constraint_sets(name):
    from subgrad.cvx import reference

    C, (A, b) = SETS[name], data(seed=2, m=15)
    f = norm1(A @ variable(3) - b) + 0.3 * norm2
    stop = MaxIter(60) | SmallSubgradient(1e-6)
    found = minimize(f, np.ones(3), SetDescent(), stop, C, radius=6.0, cuts=0)
    optimum = reference(f, constraint=C).fun
    size = max(1, abs(optimum))
    assert found.success and C.contains(found.x)
    assert f(found.x) == pytest.approx(found.fun, rel=1e-14)
    assert found.lower_bound <= optimum + 1e-7 * size
    assert optimum - 1e-7 * size <= found.fun <= optimum + 2e-6 * size
    assert found.certificate.verify(f)
    assert found.certificate.verify(f + Indicator(C))
    with_indicator = minimize(
        f + Indicator(C), np.ones(3), SetDescent(), stop, radius=6.0, cuts=0
    )
    assert np.array_equal(with_indicator.x, found.x)


def test_a_step_that_the_constraint_cuts_short():
    """x_1 is at its bound up to a rounding, and most of g points against it."""
    from subgrad.cvx import reference

    A, b = data(seed=2, m=15)
    f = norm_inf(A @ variable(3) - b) + sg.squared_norm
    found = minimize(f, np.ones(3), SetDescent(), MaxIter(60), SETS["box"], cuts=0)
    assert found.fun <= reference(f, constraint=SETS["box"]).fun + 1e-7


def test_the_stop_by_radius():
    """f(y) = 1 and eps = 1, g = 0 prove that x = 0 with f(x) = 0 is optimal."""
    f, x = norm1(variable(1)), np.zeros(1)
    watch = SmallSubgradient(0.9).watch(Problem(f, radius=3.0), None)
    state = run(Shor(), f, x, 0)[0]
    y, one = np.ones(1), np.ones(())
    assert watch(state._replace(proof=(y, one, x)))
    assert not watch(state._replace(proof=(y, 2 * one, x)))
    assert not watch(state._replace(proof=(y, one, y / 4)))  # reaches 3 + |y - x0|
    assert watch(state._replace(proof=(y, one, y / 5)))
    assert watch(state._replace(best_value=-5 * one, proof=(y, 7 * one, x)))


def test_the_stop_by_norm():
    A, b = data()
    f = worst(A, b)
    stop = SmallSubgradient(1e-5, 1e-4) | MaxIter(200)
    found = minimize(f, np.zeros(3), SetDescent(), stop)
    assert found.success and found.status == "subgradient"
    assert found.certificate.eps <= 1e-5
    assert np.linalg.norm(found.certificate.g) <= 1e-4
    assert f.subdifferential(found.certificate.x, 1e-5).contains(found.certificate.g)
    with pytest.raises(ValueError, match=r"norm.*radius"):
        minimize(f, np.zeros(3), SetDescent(), SmallSubgradient(1e-5))
    found = minimize(f, np.zeros(3), Shor(), SmallSubgradient(1e-5, 1e-4) | MaxIter(3))
    assert found.status == "iterations"  # carries no proof


# Both ---------------------------------------------------------------------------------


@each_method
def test_batch_is_a_loop(method):
    A, b = data((4,))
    x0 = np.random.default_rng(5).standard_normal((4, 3))
    radius = np.array([3.0, 4.0, 5.0, 6.0])
    stop = MaxIter(40) | SmallSubgradient(1e-4)
    found = minimize(worst(A, b), x0, method, stop, radius=radius, cuts=0)
    for i in range(4):
        f = worst(A[i], b[i])
        one = minimize(f, x0[i], method, stop, radius=radius[i], cuts=0)
        assert np.allclose(found.x[i], one.x, rtol=1e-7, atol=1e-7)
        assert found.fun[i] == pytest.approx(one.fun, rel=1e-9)
        assert found.nit[i] == one.nit and found.nfev[i] == one.nfev
        assert found.status[i] == one.status
        assert found.lower_bound[i] == pytest.approx(one.lower_bound, abs=1e-6)


@each_method
def test_two_batch_axes(method):
    A, b = data((2, 3), m=8, n=2)
    found = minimize(worst(A, b), np.zeros((3, 2)), method, MaxIter(9), cuts=0)
    assert found.x.shape == (2, 3, 2) and found.fun.shape == (2, 3)
    for i in np.ndindex(2, 3):
        one = minimize(worst(A[i], b[i]), np.zeros(2), method, MaxIter(9), cuts=0)
        assert found.fun[i] == pytest.approx(one.fun, rel=1e-9)


@each_method
def test_x0_is_left_alone_and_runs_repeat(method):
    f, x0 = worst(*data()), np.ones(3)
    x0.flags.writeable = False
    runs = [minimize(f, x0, method, MaxIter(40), record=1) for _ in range(2)]
    assert np.array_equal(x0, np.ones(3))
    assert np.array_equal(runs[0].x, runs[1].x)
    assert np.array_equal(runs[0].history, runs[1].history)
    states = run(method, f, x0, 6)
    kept = [(s.x.copy(), s.best_x.copy()) for s in states]
    run(method, f, x0, 20)
    assert all(np.array_equal(s.x, x) for s, (x, _) in zip(states, kept, strict=True))


@each_method
def test_start_at_a_minimiser(method):
    c = np.array([0.3, -0.7])
    found = minimize(norm1(variable(2) - c), c, method)
    assert found.nit == 0 and found.status == "optimal" and found.success
    # A kink where the oracle gives a subgradient that is not 0.
    x = variable(2)
    f = sg.maximum(x[0], -2 * x[0], norm1(x) - 1.0)
    stop = SmallSubgradient(1e-6, 1e-6) | MaxIter(50)
    found = minimize(f, np.zeros(2), method, stop, radius=1.0, cuts=0)
    assert found.fun == 0 and np.all(np.isfinite(found.x))
    if isinstance(method, SetDescent):
        assert found.nit == 0 and found.success
        assert -1e-12 <= found.lower_bound <= 0 and found.certificate.verify(f)


@each_method
def test_one_variable(method):
    x = variable(1)
    f = sg.maximum(2 * x[0] - 3, 1 - x[0])
    found = minimize(f, [50.0], method, MaxIter(120))
    assert found.x == pytest.approx([4 / 3], abs=1e-6)
    assert found.fun == pytest.approx(-1 / 3, abs=1e-6)


@each_method
def test_unbounded_below(method):
    x = variable(2)
    f = sg.maximum(x[0] - x[1], -x[1])
    found = minimize(f, np.zeros(2), method, MaxIter(60))
    assert found.fun < -100 and not found.success
    assert np.isfinite(found.fun) and np.isfinite(found.x).all()
    assert found.lower_bound == -np.inf and found.status == "unbounded"


@each_method
def test_out_of_the_domain(method):
    f = sg.separable(sg.negative_sqrt) + norm1
    found = minimize(f, [4.0, 9.0], method, MaxIter(40))
    assert np.isfinite(found.fun) and f(found.x) == found.fun
    if isinstance(method, SetDescent):
        # Trial points outside are refused: min t - √t is at 1/4.
        assert found.fun == pytest.approx(-0.5, abs=1e-9)


@each_method
def test_single_precision_stays(method):
    A, b = data()
    f = norm_inf(np.float32(A) @ variable(3) - np.float32(b))
    found = minimize(f, np.zeros(3, np.float32), method, MaxIter(60))
    assert found.x.dtype == np.float32
    exact = minimize(worst(A, b), np.zeros(3), Shor(), MaxIter(300)).fun
    assert found.fun == pytest.approx(exact, rel=1e-3)


# Trouble ------------------------------------------------------------------------------


class Trouble(Function):
    """|x - c|_1 that misbehaves in some of its calls, values and oracles counted."""

    def __init__(self, when, event, n=2):
        self.f, self.n = norm1(variable(n) - 0.123), n
        self.when, self.event, self.calls = when, event, 0

    def _value(self, x):
        self.calls += 1
        value = self.f._value(x)
        return self.event(value) if self.calls in self.when else value

    def _oracle(self, x):
        return self._value(x), self.f._subgradient(x)

    def _subdifferential(self, x, eps):
        return self.f._subdifferential(x, eps)


def throw(error):
    def event(value):
        raise error

    return event


@each_method
@pytest.mark.parametrize("late", [0, 1])
@pytest.mark.parametrize(
    ("event", "status"),
    [
        (throw(KeyboardInterrupt()), "interrupted"),
        (throw(ZeroDivisionError("in the model")), "error"),
        (lambda v: v + np.nan, "nonfinite"),
        (lambda v: v - np.inf, "nonfinite"),
    ],
)
def test_nothing_is_lost(method, late, event, status):
    # One call at the start of minimize, one in init, then one or two per step: `late`
    # moves the event from the line search to the oracle.
    first = 13 + late
    when = range(first, 1000 if status == "nonfinite" else first + 1)
    f, x0 = Trouble(when, event), np.array([1.0, -2.0])
    found = minimize(f, x0, method, MaxIter(30), cuts=0)
    assert found.status == status and not found.success
    assert np.isfinite(found.fun) and f.f(found.x) == found.fun
    steps = found.nit - (status == "nonfinite")
    clean = minimize(f.f, x0, method, MaxIter(steps), cuts=0)
    assert steps > 3 and found.fun == clean.fun
    assert found.lower_bound <= 1e-12


@each_method
def test_trouble_in_one_problem_leaves_the_others_alone(method):
    class Cut(Trouble):
        """From some call on f is -inf, without subgradients, where problem 1 goes."""

        lost = np.full(2, np.nan)

        def _oracle(self, x):
            value, g = super()._oracle(x)
            bad = (np.arange(3) == 1) & (self.calls > 12)
            if bad.any():
                self.lost = x[1].copy()
            return np.where(bad, -np.inf, value), g

        def _subdifferential(self, x, eps):
            S = self.f._subdifferential(x, eps)
            return S.restrict(np.any(x != self.lost, axis=-1))

    x0 = np.array([[0.1, 0.0], [1.0, -2.0], [0.2, 0.5]])
    found = minimize(Cut((), None), x0, method, MaxIter(20), cuts=0)
    calm = minimize(Trouble((), None), x0, method, MaxIter(20), cuts=0)
    assert list(found.status) == ["iterations", "nonfinite", "iterations"]
    assert np.isfinite(found.fun).all() and found.nit[1] < 20
    assert np.allclose(found.fun[[0, 2]], calm.fun[[0, 2]], rtol=1e-9)


def test_a_set_that_cannot_be_projected_onto():
    class Curved(Trouble):
        def _subdifferential(self, x, eps):
            self.calls += 1
            if self.calls > 20:
                raise ProjectionError("nearest point not proved")
            return self.f._subdifferential(x, eps)

    f = Curved((), None)
    found = minimize(f, np.array([1.0, -2.0]), SetDescent(), MaxIter(50))
    assert found.status == "error" and "ProjectionError" in found.message
    assert found.fun == f.f(found.x) < f.f(np.array([1.0, -2.0]))


def test_functions_without_sets():
    class Bare(Function):
        n = 2

        def _value(self, x):
            return np.abs(x).sum(-1)

        def _subgradient(self, x):
            return np.sign(x)

    with pytest.raises(NotImplementedError, match=r"Bare\.subdifferential"):
        minimize(Bare(), np.ones(2), SetDescent())
    assert minimize(Bare(), np.ones(2), Shor(), MaxIter(200)).fun < 1e-9


F = norm1(variable(2))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Shor(length=0.0), "length must be positive"),
        (lambda: Shor(alpha=1.0), "alpha .*above 1"),
        (lambda: Shor(shrink=1.1), "shrink"),
        (lambda: Shor(grow=0.9), "grow"),
        (lambda: Shor(patience=0), "positive integer"),
        (lambda: SetDescent(eps=0.0), "eps must be positive"),
        (lambda: SetDescent(trials=0), "positive integer"),
        (lambda: SetDescent(decrease=1.0), "decrease"),
        (lambda: SmallSubgradient(0.0), "eps must be positive"),
        (lambda: SmallSubgradient(1.0, 0.0), "norm must be positive"),
        (lambda: minimize(F, [1, 2], Shor(), constraint=Ball(np.ones(2))), "Shor"),
        (lambda: minimize(F, [1, 2], Shor(), constraints=[F - 1.0]), "Shor"),
        (lambda: minimize(F, [1, 2], SetDescent(), constraints=[F - 1.0]), "SetDes"),
    ],
)
def test_refused(make, text):
    with pytest.raises(ValueError, match=text):
        make()


@pytest.mark.slow
def test_example(capsys, monkeypatch):
    path = Path(__file__).parents[1] / "examples" / "set_descent.py"
    example = runpy.run_path(str(path))
    monkeypatch.setitem(example["main"].__globals__, "NAMES", ("shor",))
    assert example["main"]() == 0
    *table, last = capsys.readouterr().out.splitlines()
    assert last == "all proofs hold: True"
    for row in table[2:]:
        gap, sets, dilated, levels, polyak = map(float, row.split()[-5:])
        assert sets <= gap <= 1e-6 and dilated < sets < 1e-2 * min(levels, polyak)


# Restarts -----------------------------------------------------------------------------


def asked(f, x0, stop, **known):
    given = Problem(f, **known)
    return choose("restarts", given, stop, given.start(x0))[0].eps


def test_restarts_by_name_aim_at_the_tolerance_asked_for():
    f, x0 = norm1(variable(2)), np.ones(2)
    assert asked(f, x0, None) == asked(f, x0, MaxIter(5)) == 1e-6
    assert asked(f, x0, MaxIter(5) | Gap(1e-3) & Stalled(9) | Gap(0.1)) == 1e-3
    # What is known of |f*|: it is at least -f(x0), at least inf f, or it is given.
    assert asked(f - 50.0, x0, Gap(1e-3)) == pytest.approx(0.048)
    assert asked(f + 50.0, x0, Gap(1e-3)) == pytest.approx(0.05)
    assert asked(f, [x0, x0], Gap(1e-3), optimum=[0.0, 7.0]) == pytest.approx(
        [1e-3, 7e-3]
    )


def test_restarts_by_name_in_a_batch():
    A, b = data((4,))
    scale = np.array([1.0, 1e4, 1.0, 1.0])[:, None]
    f = worst(scale[..., None] * A, scale * b)
    stop = MaxIter(1000) | Gap(0.1)
    found = minimize(f, np.zeros((4, 3)), "restarts", stop, radius=2.0)
    assert found.success.all()
    assert found.certificate.verify(f)
    for i in range(4):
        best = minimize(worst(A[i], b[i]), np.zeros(3), Shor(), MaxIter(400)).fun
        assert best * scale[i, 0] <= found.fun[i] * (1 + 1e-9)
        assert found.fun[i] <= (best + 0.1) * scale[i, 0]


INNER = {
    "constant": lambda eps: SubgradientMethod(Constant(eps / 100)),
    "constant length": lambda eps: SubgradientMethod(ConstantLength(0.01)),
    "diminishing": lambda eps: SubgradientMethod(Diminishing(0.1)),
    "Polyak": lambda eps: SubgradientMethod(Polyak()),
    "estimated": lambda eps: SubgradientMethod(EstimatedPolyak(1.0)),
    "levels": lambda eps: SubgradientMethod(TargetLevel()),
    "average": lambda eps: SubgradientMethod(Accuracy(eps), average=True),
    "linear decay": lambda eps: SubgradientMethod(LinearDecay(50)),
    "dog": lambda eps: SubgradientMethod(DoG()),
    "dowg": lambda eps: SubgradientMethod(DoWG()),
    "dual averaging": lambda eps: DualAveraging(),
    "mirror descent": lambda eps: MirrorDescent(Euclidean()),
    "bounded polyak": lambda eps: BoundedPolyak(),
    "set descent": lambda eps: SetDescent(trials=4),
}


@pytest.mark.parametrize("name", INNER)
def test_restarts_around_every_method(name):
    A, b = data((2,))
    f, C = worst(A, b), Box(Interval(np.full(3, -0.5), np.full(3, 0.5)))
    steps = 4 if name == "set descent" else 60
    best = np.array([0.9, 0.9])
    known = {"radius": 1.0, "cuts": 0, "optimum": best if name == "Polyak" else None}
    method = Restarted(0.02, 4, INNER[name])
    found = minimize(f, np.zeros(3), method, MaxIter(steps), C, **known)
    assert list(found.status) == ["iterations", "iterations"]
    assert np.all(found.fun <= 0.98 * f(np.zeros(3))) and C.contains(found.x).all()
    for i in range(2):
        one = minimize(
            worst(A[i], b[i]), np.zeros(3), method, MaxIter(steps), C, radius=1.0,
            cuts=0, optimum=best[i] if name == "Polyak" else None,
        )  # fmt: skip
        assert found.fun[i] == pytest.approx(one.fun, rel=1e-9)
        assert found.nfev[i] == one.nfev


@pytest.mark.parametrize(
    ("inner", "text"),
    [
        # Its bounds are over a ball around the point where it started.
        (lambda eps: BoundedPolyak(), "remembers a Ball"),
        (lambda eps: Restarted(0.1), "remembers a SubgradientMethod"),
    ],
)
def test_methods_that_cannot_be_restarted(inner, text):
    with pytest.raises(TypeError, match=text):
        minimize(F, [1.0, 2.0], Restarted(0.1, inner=inner), radius=3.0)


def test_restarts_by_name_of_huge_values():
    """64 copies cannot span 1e-6 ... 1e40: those of use are kept."""
    f = 1e40 * norm1(variable(2) - 0.3)
    found = minimize(f, np.ones(2), "restarts", MaxIter(150), cuts=0)
    assert found.fun < 1e38


def test_copies_of_huge_functions():
    f = sg.Linear([1.0, 0.0]) + 1e300
    states = run(Restarted(1e-10), f, np.ones(2), 1)
    assert len(states[-1].memory.goal) == 64


# Switching ----------------------------------------------------------------------------


G0 = np.random.default_rng(4).standard_normal((2, 6))
XV = variable(6)
LIMITS = {
    "a ball": [norm2(XV - 1.0) - 0.8],
    "rows of an affine map": G0 @ XV - G0 @ np.ones(6) + 1.0,
    "an equality": [G0[0] @ XV - 1.0, 1.0 - G0[0] @ XV],
    "two": [sg.squared_norm(XV) - 4.0, norm2(XV - 0.5) - 1.0],
    "a box": [norm_inf(XV - 1.0) - 0.5],
}


@pytest.mark.parametrize(
    "name",
    [n if n in ("two", "a box") else pytest.param(n, marks=pytest.mark.slow)
     for n in LIMITS],
)  # fmt: skip
def test_switching_comes_close_without_a_constant(name):
    import cvxpy as cp

    A, b = data(seed=3, m=20, n=6)
    z = cp.Variable(6)
    sides = {
        "a ball": [cp.norm2(z - 1) <= 0.8],
        "rows of an affine map": [G0 @ z - G0 @ np.ones(6) + 1 <= 0],
        "an equality": [G0[0] @ z == 1],
        "two": [cp.sum_squares(z) <= 4, cp.norm2(z - 0.5) <= 1],
        "a box": [cp.norm_inf(z - 1) <= 0.5],
    }[name]
    best = cp.Problem(cp.Minimize(cp.norm1(A @ z - b)), sides).solve(solver="CLARABEL")
    f = norm1(A @ XV - b)
    for x0, close in ((np.zeros(6), 3e-4), (np.full(6, 30.0), 3e-2)):
        found = minimize(f, x0, stop=MaxIter(2000), constraints=LIMITS[name], cuts=0)
        assert "'switching'" in found.message and found.violation <= 1e-6
        assert best * (1 - 1e-5) <= found.fun <= best * (1 + close)


def test_switching_in_other_units():
    A, b = data(seed=3, m=20, n=6)
    stop, s = MaxIter(300), 2.0**27
    plain = minimize(
        norm1(A @ XV - b), np.zeros(6), "switching", stop, radius=2.0, cuts=0,
        constraints=[norm2(XV - 1.0) - 0.8], feasibility=1e-3,
    )  # fmt: skip
    scaled = minimize(
        norm1(A @ XV - s * b), np.zeros(6), "switching", stop, radius=2.0 * s, cuts=0,
        constraints=[norm2(XV - s) - 0.8 * s], feasibility=1e-3 * s,
    )  # fmt: skip
    assert np.allclose(scaled.x, s * plain.x, rtol=1e-9)


def test_switching_on_a_flat_function():
    f = 0.0 * norm2(XV)
    found = minimize(f, np.zeros(6), stop=MaxIter(99), constraints=LIMITS["a ball"])
    assert found.fun == 0 and found.violation <= 1e-6 and found.success
