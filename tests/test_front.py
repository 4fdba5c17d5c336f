"""What stands before the methods: oracles, constraints, choices, radii, faults."""

import pickle
import re

import cvxpy as cp
import numpy as np
import pytest
from table import FUNCTIONS

import subgrad as sg
from subgrad import (
    Ball,
    Box,
    Indicator,
    Interval,
    Linear,
    from_oracle,
    hinge_loss,
    maximum,
    minimize,
    norm1,
    norm2,
    norm_inf,
    problems,
    squared_norm,
    sublevel_radius,
    variable,
)
from subgrad.solvers import (
    Accuracy,
    Gap,
    MaxIter,
    Polyak,
    State,
    SubgradientMethod,
    Switching,
    TargetLevel,
)
from subgrad.solvers.auto import METHODS
from subgrad.solvers.level_sets import _reach
from subgrad.solvers.state import advance, begin

RNG = np.random.default_rng(0)
A, B = RNG.standard_normal((20, 3)), RNG.standard_normal(20)
LAD = norm1(A @ variable(3) - B)


@pytest.fixture(autouse=True)
def the_same_data_in_any_order():
    RNG.bit_generator.state = np.random.default_rng(1).bit_generator.state


def lad(x):
    r = A @ x - B
    return np.abs(r).sum(), A.T @ np.sign(r)


def lads(x):
    r = x @ A.T - B
    return np.abs(r).sum(-1), np.sign(r) @ A


def optimum(objective, sides=()):
    problem = cp.Problem(cp.Minimize(objective), list(sides))
    return problem.solve(solver="CLARABEL")


# from_oracle --------------------------------------------------------------------------


@pytest.mark.parametrize("vectorized", [False, True])
@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
def test_an_oracle_is_a_function(vectorized, shape):
    f = from_oracle(lads if vectorized else lad, 3, vectorized=vectorized)
    x = RNG.standard_normal((*shape, 3))
    assert np.allclose(f(x), LAD(x), rtol=1e-14)
    value, g = f.oracle(x)
    assert np.allclose(value, LAD(x)) and np.allclose(g, LAD.subgradient(x))
    assert np.array_equal(f.subgradient(x), g)


def test_the_calculus_takes_oracles():
    x, y = variable(3), variable(2)
    f = from_oracle(lad, 3)(x)
    twin_of = norm1(A @ x - B)
    M = RNG.standard_normal((3, 2))
    z, p = RNG.standard_normal((5, 2)), RNG.standard_normal((5, 3))
    for mine, twin, at in (
        (2 * f + norm2, 2 * LAD + norm2, p),
        (f(M @ y + 1.0), LAD(M @ y + 1.0), z),
        (maximum(f, 50 * norm1(x)), maximum(twin_of, 50 * norm1(x)), p),
        (f + Indicator(Box(Interval([0.0] * 3, [1.0] * 3))), LAD, np.abs(p) % 1),
    ):
        assert np.allclose(mine(at), twin(at))
        assert np.allclose(mine.subgradient(at), twin.subgradient(at))
    found = minimize(f, np.zeros(3), radius=5.0)
    assert found.success and found.certificate.verify(f)
    assert found.certificate.verify(LAD)


def test_what_an_oracle_cannot_do_names_itself():
    f, x = from_oracle(lad, 3), np.zeros(3)
    for call in (
        lambda: f.subdifferential(x),
        lambda: f.directional_derivative(x, x + 1),
        lambda: f.prox(x),
        lambda: f.conjugate(),
        lambda: f.to_cvxpy(cp.Variable(3)),
        lambda: (2 * f + norm1).subdifferential(x),
    ):
        with pytest.raises(NotImplementedError, match=r"from_oracle\(lad, 3\)"):
            call()


@pytest.mark.parametrize("vectorized", [False, True])
def test_what_comes_and_goes_is_copied(vectorized):
    store = np.zeros(3)

    def fun(x):
        value, store[:] = lad(x)
        x[:] = np.nan
        return value, store

    f, x = from_oracle(fun, 3, vectorized=vectorized), np.ones(3)
    _, g = f.oracle(x)
    before = g.copy()
    f.oracle(2 * x)
    assert np.array_equal(g, before) and np.array_equal(x, np.ones(3))


def test_a_domain_is_a_constraint():
    S, calls = Box(Interval([0.1] * 3, [1.0] * 3)), []

    def fun(x):
        assert S.contains(x)
        calls.append(x)
        return -np.log(x).sum() + x[0], -1 / x + np.eye(3)[0]

    f = from_oracle(fun, 3, domain=S)
    assert f([[0.5] * 3, [2.0, 0.5, 0.5]])[1] == np.inf
    assert len(calls) == 1
    with pytest.raises(ValueError, match="domain"):
        f.subgradient(np.zeros(3))
    found = minimize(f, np.full(3, 5.0), stop=MaxIter(500) | Gap(1e-6))
    assert found.success and np.allclose(found.x, 1.0)
    assert found.certificate.verify(f)


def test_a_cheaper_value_and_a_bound_below():
    calls = []

    def value(x):
        calls.append(x)
        return lad(x)[0]

    f = from_oracle(lad, 3, value=value, infimum=0.0, name="mine")
    assert f(np.ones(3)) == LAD(np.ones(3)) and len(calls) == 1
    assert repr(f) == "from_oracle(mine, 3)"
    # The infimum bounds the other term: |x|^2 / 2 <= f(x0).
    R = sublevel_radius(f + 0.5 * squared_norm(variable(3)), np.zeros(3))
    assert R <= np.sqrt(2 * LAD(np.zeros(3))) * (1 + 1e-6)
    again = pickle.loads(pickle.dumps(from_oracle(lad, 3)))
    assert again(np.ones(3)) == LAD(np.ones(3))


WRONG = [
    (lambda x: 1.0, TypeError, "pair"),
    (lambda x: (1.0, np.zeros(2)), ValueError, r"subgradient of shape \(3,\), got"),
    (lambda x: (np.zeros(2), x), ValueError, r"value of shape \(\), got \(2,\)"),
    (lambda x: ("a", x), TypeError, "real value"),
    (lambda x: (1.0, [[1], [2, 3]]), TypeError, "real subgradient"),
    (lambda x: (1j, x), TypeError, "real value"),
    (lambda x: (np.nan, x), ValueError, "nan as value"),
    (lambda x: (1.0, x * np.nan), ValueError, "nan as subgradient"),
]


@pytest.mark.parametrize(("answer", "error", "text"), WRONG)
def test_what_an_oracle_gives_is_checked(answer, error, text):
    f = from_oracle(answer, 3, name="mine")
    with pytest.raises(error, match=f"mine .*{text}"):
        f.oracle(np.zeros(3))
    with pytest.raises(error, match="mine"):
        minimize(f, np.zeros(3))
    count = [0]

    def later(x):
        count[0] += 1
        return lad(x) if count[0] < 12 else answer(x)

    found = minimize(
        from_oracle(later, 3, name="mine"), np.zeros(3), "subgradient", MaxIter(99)
    )
    assert found.status == "error" and "mine" in found.message
    assert not found.success and found.fun == LAD(found.x) < LAD(np.zeros(3))


@pytest.mark.parametrize("g", [np.zeros((2, 2)), None, "a", np.zeros((3, 2))])
def test_a_wrong_subgradient_beside_an_infinite_value_is_named(g):
    f = from_oracle(
        lambda x: (np.array([np.inf, 1.0]), g), 3, vectorized=True, name="mine"
    )
    with pytest.raises((TypeError, ValueError), match="mine must give a .*subgradient"):
        f._oracle(np.zeros((2, 3)))
    g = [[np.nan] * 3, [1.0, 2.0, 3.0]]
    f = from_oracle(lambda x: (np.array([np.inf, 1.0]), g), 3, vectorized=True)
    assert np.array_equal(f._oracle(np.zeros((2, 3)))[1][1], [1, 2, 3])
    off = np.zeros((2, 3))
    for method in (f.subgradient, f.oracle):
        with pytest.raises(ValueError, match="no subgradient"):
            method(off)
    never = from_oracle(lambda x: (np.inf, None), 3)
    assert never(np.zeros(3)) == np.inf
    with pytest.raises(ValueError, match="no subgradient"):
        never.subgradient(np.zeros(3))


@pytest.mark.parametrize("vectorized", [False, True])
def test_whole_numbers_will_do(vectorized):
    f = from_oracle(lambda x: (2, [1, 0, True]), 3, vectorized=vectorized)
    value, g = f.oracle(np.zeros(3))
    assert value.dtype == g.dtype == f(np.zeros(3)).dtype == np.float64
    assert np.array_equal(g, [1, 0, 1])


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"fun": 3}, TypeError),
        ({"infimum": "a"}, TypeError),
        ({"infimum": [0.0, 1.0]}, ValueError),
        ({"fun": None}, TypeError),
        ({"value": 3}, TypeError),
        ({"n": 0}, ValueError),
        ({"domain": Ball(np.zeros(2))}, ValueError),
        ({"domain": [0, 1]}, TypeError),
        ({"infimum": np.nan}, ValueError),
    ],
)
def test_oracles_refused(arguments, error):
    with pytest.raises(error, match=next(iter(arguments))):
        from_oracle(**({"fun": lad, "n": 3} | arguments))


# Functional constraints ---------------------------------------------------------------

X, Z = variable(3), cp.Variable(3)
G, H = RNG.standard_normal((4, 3)), np.array([0.2, 0.5, 0.1, 1.0])
LIMITS = {
    "rows": ([G @ X - H], [G @ Z <= H]),
    "ball": ([norm2(X - 1) - 0.5], [cp.norm2(Z - 1) <= 0.5]),
    "both": ([norm2(X) - 0.3, G @ X - H], [cp.norm2(Z) <= 0.3, G @ Z <= H]),
    "square": ([squared_norm(X + 1) - 1], [cp.sum_squares(Z + 1) <= 1]),
    "idle": ([norm1(X) - 100], []),
}


@pytest.mark.parametrize("name", LIMITS)
def test_constraint_functions(name):
    limits, sides = LIMITS[name]
    best = optimum(cp.norm1(A @ Z - B), sides)
    stop = MaxIter(1500) | Gap(1e-6)
    found = minimize(LAD, np.zeros(3), stop=stop, constraints=limits, radius=3.0)
    assert found.violation <= 1e-6
    assert found.violation == pytest.approx(
        max(0, *(np.max(g(found.x)) for g in limits)), abs=1e-15
    )
    assert found.fun == pytest.approx(LAD(found.x), rel=1e-15)
    assert best * (1 - 1e-6) - 1e-6 <= found.fun <= best * (1 + 1e-3)
    assert found.lower_bound <= best * (1 + 1e-7)
    assert found.gap <= 2e-3 * best and found.gap == found.fun - found.lower_bound
    proof = found.certificate
    assert proof.verify(LAD, limits)
    assert pickle.loads(pickle.dumps(proof)).verify(LAD, limits)
    if name in ("rows", "ball"):
        assert found.lower_bound > optimum(cp.norm1(A @ Z - B)) * 1.01
        assert not proof.verify(LAD)
        assert not proof.verify(LAD, [norm1(X) - 100])
        looser = [2 * norm2(X - 1) - 2.0] if name == "ball" else [G @ X - H - 1.0]
        assert not proof.verify(LAD, looser)


def test_negative_weights_of_constraint_cuts_are_refused():
    limits = LIMITS["ball"][0]
    c = minimize(
        LAD, np.zeros(3), stop=MaxIter(50), constraints=limits, radius=3.0
    ).certificate
    forged = type(c)(
        c.points, c.weights, c.region, -1e9, c.limit_points, -c.limit_weights
    )
    assert c.verify(LAD, limits) and not forged.verify(LAD, limits)


@pytest.mark.parametrize("rule", [None, Accuracy(0.05)])
def test_switching_inequality(rule):
    """The displayed inequality, term by term."""
    limits = [norm2(X - 1) - 0.5, G[:1] @ X - 0.3]
    problem = sg.solvers.Problem(LAD, constraints=limits)
    cp.Problem(
        cp.Minimize(cp.norm1(A @ Z - B)), [cp.norm2(Z - 1) <= 0.5, G[:1] @ Z <= 0.3]
    ).solve(solver="CLARABEL")
    best, x0 = Z.value, np.zeros(3)
    left, right = 0.0, np.sum((x0 - best) ** 2)
    run = sg.iterate(Switching(rule), problem, x0)
    state, on_f = next(run), 0
    for _ in range(400):
        before, state = state, next(run)
        over, h = before.limit
        if over <= problem.feasibility:
            a = np.linalg.norm(state.x - before.x) / np.sqrt(before.squared)
            left += 2 * a * (before.value - LAD(best))
            right += a**2 * before.squared
            on_f += 1
            if rule is not None:
                assert a == pytest.approx(0.05 / before.squared, rel=1e-9)
        else:
            left += over**2 / (h @ h)
        assert left <= right + 1e-5
    assert 0 < on_f < 400


def test_accuracy_is_reached_as_the_theorem_says():
    limits = [norm_inf(X - 1) - 0.5]
    best = optimum(cp.norm1(A @ Z - B), [cp.norm_inf(Z - 1) <= 0.5])
    eps, tol, R = 5.0, 0.1, np.sqrt(3) * 1.5
    M = np.linalg.norm(np.abs(A).sum(0))
    steps = int(R**2 * max(M**2 / eps**2, 1 / tol**2)) + 1
    found = minimize(
        LAD, np.zeros(3), Switching(Accuracy(eps)), MaxIter(steps),
        constraints=limits, feasibility=tol,
    )  # fmt: skip
    assert found.fun - best <= eps and found.violation <= tol


def test_disjoint_constraints_are_proved_infeasible():
    limits = [norm2(X) - 1, norm2(X - 5) - 1]
    found = minimize(LAD, np.zeros(3), constraints=limits)
    assert found.status == "infeasible" and not found.success and found.gap == np.inf
    assert found.fun == LAD(found.x)
    assert found.violation == max(g(found.x) for g in limits) > 3
    assert found.certificate.lower_bound > 3
    assert found.certificate.verify(maximum(*limits))
    found = minimize(
        LAD, np.zeros(3), stop=MaxIter(40), constraints=limits, cuts=0, record=1
    )
    assert found.status == "infeasible so far" and "feasible" in found.message
    assert found.gap == np.inf and found.fun == LAD(found.x) and found.nit == 40


def test_constraints_in_batches():
    c = RNG.standard_normal((4, 3))
    x0, r = np.zeros(3), np.array([0.2, 0.5, 9.0, 0.1])
    limits = [norm2(X - c) - r, norm_inf(X - 10.0) - [20, 20, 20, 1.0]]
    stop = MaxIter(200) | Gap(1e-6)
    found = minimize(LAD, x0, stop=stop, constraints=limits, radius=25.0)
    assert list(found.status[3:]) == ["infeasible"]
    for i in range(4):
        g = [norm2(X - c[i]) - r[i], norm_inf(X - 10.0) - [20, 20, 20, 1.0][i]]
        one = minimize(LAD, x0, stop=stop, constraints=g, radius=25.0)
        assert np.allclose(found.x[i], one.x, atol=1e-8)
        assert found.fun[i] == pytest.approx(one.fun, rel=1e-9)
        assert found.violation[i] == pytest.approx(one.violation, abs=1e-12)
        assert found.status[i] == one.status and found.nit[i] == one.nit
        assert found.lower_bound[i] == pytest.approx(one.lower_bound, rel=1e-7)


def test_a_callback_sees_the_violation():
    g, seen = norm2(X - 5) - 1, []
    run = {"stop": MaxIter(30), "callback": seen.append, "constraints": [g]}
    minimize(LAD, np.zeros(3), **run)
    assert seen[0].fun == np.inf and seen[0].violation == g(np.zeros(3))
    assert seen[-1].violation <= 1e-6
    assert seen[-1].fun == pytest.approx(LAD(seen[-1].x), rel=1e-14)
    for r in seen:
        assert (r.violation <= 1e-6) == np.isfinite(r.fun)
        assert r.violation == pytest.approx(max(0, g(r.x)), abs=1e-14)


@pytest.mark.parametrize("vectorized", [False, True])
@pytest.mark.parametrize("x0", [np.zeros(3), np.zeros((2, 3))])
def test_the_certificate_of_an_oracle_verifies(vectorized, x0):
    f = from_oracle(lads if vectorized else lad, 3, vectorized=vectorized)
    for g in (f, 2 * f + norm1, f + Indicator(Ball(np.zeros(3), 9.0))):
        c = minimize(g, x0, "subgradient", MaxIter(9), cuts=0).certificate
        assert c.verify(g) and np.all(c.lower_bound == -np.inf)
        assert not type(c)(c.x, c.eps, c.g + 0.1, c.radius, c.lower_bound).verify(g)
        assert not type(c)(c.x, c.eps, c.g, c.radius, 0.0).verify(g)
    least = from_oracle(lambda x: (np.abs(x).sum(), np.sign(x)), 3)
    found = minimize(least, np.zeros(3))
    assert found.success and found.certificate.verify(least)


def test_a_zero_subgradient_of_f_proves_nothing_outside():
    found = minimize(
        norm2(X), np.zeros(3), constraints=[1 - X[0]], stop=MaxIter(500), radius=4.0
    )
    assert found.fun == pytest.approx(1, rel=1e-4) and found.violation <= 1e-6


def test_constraints_and_a_set():
    S = Ball(np.zeros(3), 1.0)
    found = minimize(
        LAD, np.zeros(3), constraint=S, constraints=[0.5 - X[1]], stop=MaxIter(2000)
    )
    sides = [cp.norm2(Z) <= 1, Z[1] >= 0.5]
    best = optimum(cp.norm1(A @ Z - B), sides)
    assert S.contains(found.x) and found.violation <= 1e-6
    assert found.lower_bound <= best * (1 + 1e-7) <= found.fun * (1 + 1e-5)
    assert found.fun <= best * (1 + 1e-3)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"constraints": Ball(np.zeros(3))}, TypeError, "constraint="),
        ({"constraints": [Ball(np.zeros(3))]}, TypeError, r"constraints\[0\]"),
        ({"constraints": [norm1, 3]}, TypeError, r"constraints\[1\]"),
        ({"constraints": 3}, TypeError, "list of Functions"),
        ({"constraints": [norm1(variable(2)) - 1]}, ValueError, "3 arguments"),
        ({"constraints": [sg.separable(sg.negative_log)]}, ValueError, "domain"),
        (
            {"constraints": [norm1(X) - 1], "method": SubgradientMethod()},
            ValueError,
            "Switching",
        ),
        ({"constraints": [norm1(X) - 1], "feasibility": -1}, ValueError, "feasib"),
        ({"method": "newton"}, ValueError, "'auto', 'subgradient'"),
        ({"method": None}, TypeError, "method"),
        ({"method": SubgradientMethod}, TypeError, "SubgradientMethod"),
        ({"method": "linear decay", "stop": Gap()}, ValueError, "number of steps"),
    ],
)
def test_refused(arguments, error, text):
    with pytest.raises(error, match=text):
        minimize(**({"f": LAD, "x0": np.zeros(3)} | arguments))


SEVERAL = {
    "balls": [Ball(np.zeros(3), 0.3), Ball(np.full(3, 0.2), 0.25)],
    "three": [
        Ball(np.zeros(3), 0.3),
        sg.HalfSpace(np.ones(3), 0.1),
        Box(Interval(np.zeros(3), np.ones(3))),
    ],
}


@pytest.mark.parametrize(
    ("name", "method"),
    [("balls", "auto"), ("balls", "set descent"), ("three", "auto")],
)
def test_several_sets_are_one(name, method):
    C, *others = SEVERAL[name]
    f = LAD
    for S in others:
        f = f + Indicator(S)
    stop = MaxIter(60) | Gap(1e-6)
    found = minimize(f, np.ones(3), method, stop, constraint=C)
    sides = [side for S in SEVERAL[name] for side in S.to_cvxpy(Z)]
    best = optimum(cp.norm1(A @ Z - B), sides)
    assert all(S.contains(found.x) for S in SEVERAL[name])
    assert found.success and found.fun == pytest.approx(best, rel=2e-6)
    assert found.lower_bound <= best * (1 + 1e-7)
    assert found.certificate.verify(LAD)


def test_sets_that_do_not_meet():
    f = LAD + Indicator(Ball(np.zeros(3), 0.3))
    with pytest.raises(ValueError, match="empty"):
        minimize(f, np.zeros(3), constraint=Ball(np.ones(3), 0.3))
    with pytest.raises(ValueError, match=r"R\^3 and in R\^2"):
        minimize(f, np.zeros(3), constraint=Ball(np.ones(2), 0.3))


def test_a_switching_rule_is_callable():
    with pytest.raises(TypeError, match="rule"):
        Switching(0.1)
    with pytest.raises(ValueError, match="remember"):
        Switching(TargetLevel())


# The choice of a method ---------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
def test_every_name_is_a_method(name):
    S = sg.Simplex(3) if name == "mirror descent" else None
    given = {"optimum": optimum(cp.norm1(A @ Z - B))} if name == "polyak" else {}
    found = minimize(LAD, np.full(3, 1 / 3), name, MaxIter(60), S, radius=2.0, **given)
    assert found.fun < LAD(np.full(3, 1 / 3)) and "method" not in found.message
    assert found.fun == pytest.approx(LAD(found.x), rel=1e-14)


CB2 = problems.cb2().function
BOX = Box(Interval(np.zeros(2), 2 * np.ones(2)))


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({}, "structured"),
        ({"stop": MaxIter(50) | Gap(1e-3), "optimum": 0.0}, "structured"),
        ({"stop": MaxIter(50)}, "subgradient"),
        ({"stop": MaxIter(50), "radius": 3.0}, "linear decay"),
        ({"stop": MaxIter(50), "constraint": sg.Simplex(3)}, "linear decay"),
        ({"stop": MaxIter(50) | Gap(), "constraint": sg.Simplex(3)}, "structured"),
        ({"f": CB2, "x0": np.ones(2)}, "shor"),
        ({"f": CB2, "x0": np.ones(2), "constraint": BOX, "stop": Gap()}, "structured"),
        (
            {"f": CB2, "x0": np.ones(2), "constraint": BOX, "stop": MaxIter(9)},
            "linear decay",
        ),
        ({"stop": MaxIter(50), "optimum": 0.0}, "polyak"),
        ({"stop": MaxIter(50), "constraints": [norm1(X) - 1]}, "switching"),
    ],
)
def test_what_auto_picks(arguments, name):
    arguments = {"f": LAD, "x0": np.zeros(3)} | arguments
    found = minimize(**arguments)
    assert f"method {name!r}, because" in found.message
    again = minimize(**arguments, method=name)
    assert np.array_equal(found.x, again.x) and found.nit == again.nit


# Radii --------------------------------------------------------------------------------

W = RNG.standard_normal((3, 8))
Y = variable(8)
COERCIVE = {
    "lad": (LAD, 3),
    "distance": (norm2(A @ X - B), 3),
    "lasso": (0.5 * squared_norm(W @ Y - B[:3]) + 0.3 * norm1(Y), 8),
    "svm": (hinge_loss(np.sign(B) * (A @ X)) + 0.5 * squared_norm(X), 3),
    "elastic net": (norm1(W @ Y - B[:3]) + sg.elastic_net(0.5, 0.5)(Y), 8),
    "denoising": (0.5 * squared_norm(Y - np.arange(8) % 3) + 0.7 * sg.tv(Y), 8),
    "huber": (sg.huber_loss(0.3)(A @ X - B), 3),
    "quadratic": (sg.Quadratic(W @ W.T)(X) + Linear([1.0, -2, 3])(X), 3),
    "parts": (norm1(X[:1] - 1) + norm2(X[1:] + 2) + norm_inf(W.T @ X), 3),
    "maximum": (maximum(norm_inf(X - 1), norm1(2 * X) - 1), 3),
    "group lasso": (
        hinge_loss(1 - W @ Y) + sg.group_norm([0, 0, 1, 1, 2, 2, 3, 3])(Y),
        8,
    ),
    "slope": (sg.owl([3.0, 2.0, 0.0])(X) + norm1(X[:1] - 2), 3),
    "composed": (sg.compose(sg.separable(sg.square), norm2(X - 2)) + norm1(X), 3),
    "nuclear": (sg.SingularFunction(norm1, (2, 4))(Y) + norm1(Y - 1), 8),
    "set": (norm1(X - 3) + Indicator(sg.Simplex(3)), 3),
    "orthant": (LAD + Indicator(Box(Interval(np.zeros(3), np.full(3, np.inf)))), 3),
    "far": (sg.distance(Ball(np.ones(3), 2.0)), 3),
}


@pytest.mark.parametrize("name", COERCIVE)
def test_sublevel_radius_holds_every_point_of_the_level_set(name):
    f, n = COERCIVE[name]
    rng = np.random.default_rng(3)
    for scale in (0.0, 1.0, 30.0):
        x0 = scale * rng.standard_normal(n)
        x0 = {"set": sg.Simplex(3).project, "orthant": np.abs}.get(name, np.array)(x0)
        R = sublevel_radius(f, x0)
        assert np.isfinite(R)
        # On the sphere of that radius f is above f(x0), so by convexity beyond it too;
        # where only minimisers are meant, f is above the minimum there.
        d = rng.standard_normal((400, n))
        d = np.concatenate([d, np.eye(n), -np.eye(n)])
        d /= np.linalg.norm(d, axis=-1, keepdims=True)
        outside = f(x0 + 1.0001 * R * d)
        z = cp.Variable(n, value=np.zeros(n))
        best = cp.Problem(cp.Minimize(f.to_cvxpy(z))).solve(solver="CLARABEL")
        assert np.all(outside >= best - 1e-6 * (1 + abs(best)))
        if name not in ("quadratic", "svm", "denoising", "lasso", "elastic net"):
            assert np.all(outside >= f(x0) * (1 - 1e-9))


@pytest.mark.parametrize("name", COERCIVE)
def test_a_gap_is_proved_without_a_radius(name):
    f, n = COERCIVE[name]
    z = cp.Variable(n, value=np.zeros(n))
    best = cp.Problem(cp.Minimize(f.to_cvxpy(z))).solve(solver="CLARABEL")
    found = minimize(f, np.full(n, 0.1), stop=MaxIter(300) | Gap(1e-6))
    assert found.lower_bound <= best + 1e-7 * (1 + abs(best))
    assert best <= found.fun + 1e-7 * (1 + abs(best))
    first = minimize(f, np.full(n, 0.1), stop=MaxIter(0) | Gap(1e-6))
    assert found.gap < 0.2 * first.gap or found.success
    assert found.certificate.verify(f)
    assert pickle.loads(pickle.dumps(found.certificate)).verify(f)


def test_radii_over_the_table():
    """Beyond the reach f is above the level, beyond the radius is no minimiser."""
    rng, found = np.random.default_rng(0), 0
    for row in FUNCTIONS:
        x = row.points()
        x = x[np.isfinite(row.f.value(x))][::18]
        if np.ndim(row.f.value(x[0])):
            continue
        d = np.concatenate([rng.standard_normal((60, row.n)), np.eye(row.n)])
        d = (
            np.concatenate([d, -d])
            / np.linalg.norm(np.concatenate([d, d]), axis=-1)[:, None]
        )
        for x0 in x:
            level, R = row.f.value(x0), sublevel_radius(row.f, x0)
            reach = float(_reach(row.f, x0, np.asarray(level)))
            if np.isfinite(reach):
                outside = row.f.value(x0 + (1.0001 * reach + 1e-6) * d)
                assert np.all(outside >= level - 1e-9 * (1 + abs(level))), row.name
            if np.isfinite(R):
                found += 1
                least = min(row.f.value(x0 + R * s * d).min() for s in (0, 0.5, 1))
                beyond = min(row.f.value(x0 + R * s * d).min() for s in (1.001, 2))
                assert beyond >= least - 1e-6, row.name
    assert found > 80


def test_a_region_that_is_too_small_is_refused():
    found = minimize(LAD, np.zeros(3), "shor", MaxIter(100) | Gap(1e-9))
    c = found.certificate
    assert c.start is not None and c.verify(LAD)

    def moved(region, start=c.start):
        return type(c)(c.points, c.weights, region, -1e6, None, None, start)

    R = sublevel_radius(LAD, np.zeros(3))
    assert moved(Ball(np.zeros(3), R)).verify(LAD)
    assert not moved(Ball(np.zeros(3), 0.99 * R)).verify(LAD)
    assert not moved(Ball(np.full(3, 0.1), R)).verify(LAD)
    assert not moved(Box(Interval([-R] * 3, [R] * 3))).verify(LAD)
    assert not c.verify(0.99 * LAD)


@pytest.mark.parametrize(
    "f",
    [
        norm1(W @ Y),  # wide: a kernel
        sg.tv(Y),
        Linear(np.ones(8)),
        sg.max_entry,
        hinge_loss,
        sg.hinge_loss(W.T @ W @ Y) + norm1(W @ Y),
        sg.owl(np.zeros(8)),
        sg.pinball_loss(0.0),
    ],
)
def test_no_radius_where_there_is_none(f):
    assert sublevel_radius(f, np.zeros(8)) == np.inf


@pytest.mark.parametrize("size", [1e-8, 1.0, 1e8])
def test_radii_at_all_scales(size):
    base = sublevel_radius(LAD, np.zeros(3))
    far = norm1((A * size) @ X - B)
    assert sublevel_radius(size * LAD, np.zeros(3)) == pytest.approx(base, rel=1e-6)
    assert sublevel_radius(far, np.zeros(3)) == pytest.approx(base / size, rel=1e-6)
    twice = np.concatenate([A, A, 0 * A])
    again = norm1(twice @ X - np.concatenate([B, B, 0 * B]))
    assert np.isfinite(sublevel_radius(again, np.zeros(3)))
    thin = A.copy()
    thin[:, 2] = thin[:, 1]
    assert sublevel_radius(norm1(thin @ X - B), np.zeros(3)) == np.inf


def test_radii_in_batches_and_of_constraints():
    M, c = RNG.standard_normal((5, 9, 3)), RNG.standard_normal((5, 9))
    f = norm1(M @ X - c)
    R = sublevel_radius(f, np.zeros(3))
    assert R.shape == (5,)
    for i in range(5):
        one = sublevel_radius(norm1(M[i] @ X - c[i]), np.zeros(3))
        assert R[i] == pytest.approx(one, rel=1e-12)
    # A point that violates a constraint bounds nothing, but the constraint may.
    assert sublevel_radius(LAD, np.zeros(3), [1 - X[0]]) == np.inf
    bound = sublevel_radius(LAD, np.zeros(3), [norm2(X - 5) - 1])
    assert bound == pytest.approx(np.sqrt(75) + 1, rel=1e-6)


def test_large_batches_do_without_unless_asked():
    f = norm1(X - RNG.standard_normal((40, 3)))
    x0 = np.zeros((40, 3))
    assert np.all(minimize(f, x0, stop=MaxIter(20)).lower_bound == -np.inf)
    asked = minimize(f, x0, "shor", MaxIter(20) | Gap(1e-6))
    assert np.all(asked.lower_bound > -np.inf)

    def leave(result):
        raise StopIteration

    assert np.all(minimize(f, x0, "shor", callback=leave).lower_bound == -np.inf)
    some = minimize(norm1(X - 1), x0[:2], "shor", callback=leave)
    assert np.all(some.lower_bound > -np.inf)


# Faults -------------------------------------------------------------------------------

UNBOUNDED = [
    Linear([1.0, 2.0, -3.0]),
    norm1(X - 1) + Linear([0.0, -1.5, 0.0])(X),
    sg.max_entry,
    hinge_loss(X) - X[0],
]


@pytest.mark.parametrize("row", FUNCTIONS, ids=[r.name for r in FUNCTIONS])
def test_a_short_run_of_every_function_ends_well(row):
    x = row.points()
    x = x[np.isfinite(row.f.value(x))]
    inner = x[np.isfinite(row.f.value(x[:, None] + 0.01 * np.eye(row.n))).all(-1)]
    x0 = (inner if len(inner) else x)[-1] + (0.004 if len(inner) else 0.0)
    try:
        found = minimize(row.f, x0, stop=MaxIter(3))
    except ValueError as refused:
        assert re.search("not an indicator|no finite subgradient", str(refused))
    else:
        assert np.all(found.fun <= row.f.value(x0) + 1e-12)


@pytest.mark.parametrize("size", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("f", UNBOUNDED)
@pytest.mark.parametrize("method", ["auto", "subgradient", "shor", "dowg"])
def test_unbounded_is_said_where_it_is_proved(f, method, size):
    found = minimize(size * f, np.zeros(3), method, MaxIter(100))
    assert found.status == "unbounded" and "unbounded" in found.message
    assert not found.success and found.lower_bound == -np.inf


@pytest.mark.parametrize(
    "f",
    [
        norm1(X - 1) + Linear([0.0, -1.0, 0.0])(X),
        1e8 * norm1(X) + Linear([0.0, -1e8, 0.0])(X),
        sg.separable(sg.exponential),
        from_oracle(lambda x: (-x.sum(), -np.ones(3)), 3),
    ],
)
def test_unbounded_is_not_said_without_a_proof(f):
    found = minimize(f, np.full(3, 2.0), "subgradient", MaxIter(50))
    assert found.status in ("iterations", "optimal")


class Jump:
    """One step to a point, by the call of nothing."""

    def __init__(self, to):
        self.to = to

    def init(self, problem, x):
        return begin(problem, x)

    def step(self, problem, state):
        return advance(problem, state, self.to)


@pytest.mark.parametrize("over", [0.0, 1e-15, 1e-7])
def test_a_hair_outside_a_constraint_does_not_hide_a_contradiction(over):
    f, g = norm1(X - [0.0, 5.0, 0.0]), Linear([1.0, 0.0, 0.0])

    class Allowed(Jump):
        limited = True

    run = {"constraints": [g], "stop": MaxIter(1), "radius": 1.0}
    found = minimize(f, [-1.0, 0.0, 0.0], Allowed(np.array([over, 5.0, 0.0])), **run)
    assert found.violation == over and found.fun == over
    assert found.status == "contradiction" and not found.success
    # Where a unit of violation is worth much, it is none.
    steep = norm1(X - [1e9, 0.0, 0.0])
    found = minimize(1e3 * steep, [-1.0, 0, 0], Allowed(np.array([1e-7, 0, 0])), **run)
    assert found.fun < 1e3 * steep(np.zeros(3)) and found.status != "contradiction"


def test_feasible_up_to_the_tolerance_is_not_infeasible():
    g = norm2(X - 1) + 5e-7
    found = minimize(LAD, np.zeros(3), stop=MaxIter(60), constraints=[g], radius=9.0)
    assert 5e-7 <= found.violation <= 1e-6 and found.status != "infeasible"
    assert found.success == (found.gap <= 1e-6 * found.fun)
    stop = MaxIter(60) | Gap(1e-6)
    found = minimize(LAD, np.zeros(3), stop=stop, constraints=[g], radius=9.0)
    assert found.success == (found.gap <= 1e-6 * found.fun)
    none = minimize(LAD, np.zeros(3), stop=stop, constraints=[g + 1e-6], radius=9.0)
    assert none.status == "infeasible"


def test_a_constraint_with_a_domain_gives_no_warning():
    g = sg.separable(sg.negative_log)(X)
    stop = MaxIter(40) | Gap(1e-6)
    found = minimize(LAD, np.full(3, 2.0), stop=stop, constraints=[g], radius=9.0)
    assert found.status == "nonfinite" and found.violation == 0


def test_slopes_that_cancel_are_no_proof():
    M, d = RNG.standard_normal((7, 3)), np.array([0.3, -0.2, 0.5])
    c = M.T @ np.sign(M @ d)
    f = norm1(M @ X) + Linear(-(1 + 1e-12) * c)(X)
    found = minimize(f, -d, Jump(3 * d), MaxIter(1))
    assert found.status == "iterations"
    f = norm1(M @ X) + Linear(-(1 + 1e-6) * c)(X)
    found = minimize(f, -d, Jump(3 * d), MaxIter(1))
    assert found.status == "unbounded"


def test_the_certificate_of_an_optimum_is_about_its_point():
    f = norm1(X) + X[0]
    found = minimize(f, np.zeros(3), "subgradient")
    assert found.status == "optimal" and found.success
    assert found.fun == found.lower_bound == 0 == f(found.x)
    assert found.certificate.verify(f)


def test_unbounded_over_a_set():
    S = Box(Interval(np.zeros(3), [np.inf, 1.0, 1.0]))
    falls, rises = Linear([-1.0, 0.0, 1.0]), Linear([1.0, -1.0, 1.0])
    run = {"method": "subgradient", "stop": MaxIter(50), "constraint": S}
    assert minimize(falls, np.zeros(3), **run).status == "unbounded"
    assert minimize(rises, np.zeros(3), **run).fun == -1.0
    # Along (0, 1, 0) f falls, but not for ever in the set.
    f = norm1(X[:1] - 0.3) - X[1]
    assert minimize(f, np.zeros(3), **run | {"stop": MaxIter(3)}).status != "unbounded"


class Failing(sg.Function):
    """|A x - b|_1 until its k-th call, and then an error whatever is asked."""

    def __init__(self, k, error, f=LAD):
        self.f, self.n, self.k, self.error, self.calls = f, 3, k, error, 0

    def _count(self):
        self.calls += 1
        if self.calls > self.k:
            raise self.error

    def _value(self, x):
        self._count()
        return self.f._value(x)

    def _oracle(self, x):
        self._count()
        return self.f._oracle(x)

    def _subdifferential(self, x, eps):
        self._count()
        return self.f._subdifferential(x, eps)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("no licence")])
# The parts of a function are asked for other things than its oracle.
@pytest.mark.parametrize("name", [name for name in METHODS if name != "structured"])
def test_an_oracle_that_broke_down_is_left_alone(name, error):
    f, x0 = Failing(40, error), np.full(3, 1 / 3)
    best, limits = optimum(cp.norm1(A @ Z - B)), {}
    given = {
        "polyak": {"optimum": best},
        "mirror descent": {"constraint": sg.Simplex(3)},
    }.get(name, {})
    if name == "switching":
        limits = {"constraints": [norm2(X) - 0.6]}
    for radius in (5.0, None):
        f.calls = 0
        if radius is None and name in ("linear decay", "bounded polyak"):
            continue
        stop = MaxIter(100)
        try:
            found = minimize(f, x0, name, stop, radius=radius, **given, **limits)
        except KeyboardInterrupt:
            pytest.fail("it was asked again")
        assert f.calls == 41 and not found.success
        assert found.status == ("error" if type(error) is OSError else "interrupted")
        assert found.fun == pytest.approx(LAD(found.x), rel=1e-14)
        assert found.fun < LAD(x0)
        assert found.lower_bound <= best * (1 + 1e-7) or given or limits
        if found.certificate is not None:
            assert found.certificate.verify(LAD, **limits)


class Broken(sg.Function):
    """A function of which the k-th call, whatever is asked, goes wrong."""

    def __init__(self, f, k, error):
        self.f, self.n, self.k, self.error, self.calls = f, 3, k, error, 0

    def _wrong(self):
        self.calls += 1
        if self.calls == self.k and self.error is not None:
            raise self.error
        return np.nan if self.calls == self.k else 0.0

    def _value(self, x):
        return self.f._value(x) + self._wrong()

    def _oracle(self, x):
        value, g = self.f._oracle(x)
        bad = self._wrong()
        return value + bad, g + bad


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("no licence"), None])
@pytest.mark.parametrize("which", ["f", "bounded f", "batch", "g"])
def test_whatever_call_goes_wrong_the_best_point_is_kept(which, error):
    g, x0 = norm2(X - 1) - 0.5, np.zeros((2, 3) if which == "batch" else 3)
    stop = MaxIter(17) if which == "f" else MaxIter(17) | Gap(1e-9)
    # One of the batch is done long before the other.
    radius = {"f": None, "batch": [5.0, 1e8]}.get(which, 5.0)
    sides = [cp.norm2(Z - 1) <= 0.5] if which == "g" else []
    best = optimum(cp.norm1(A @ Z - B), sides)
    for k in range(10, 100):
        broken = Broken(g if which == "g" else LAD, k, error)
        f, limits = (LAD, [broken]) if which == "g" else (broken, [])
        run = {"stop": stop, "constraints": limits, "radius": radius}
        try:
            found = minimize(f, x0, **run)
        except KeyboardInterrupt:
            pytest.fail(f"what was found is lost in call {k}")
        assert np.allclose(LAD(found.x), found.fun, rtol=1e-14)
        assert which == "g" or np.all(found.fun <= LAD(x0))
        assert np.all(found.lower_bound <= best * (1 + 1e-7))
        assert np.all(found.gap <= np.where(found.success, 2e-8, np.inf))
        assert np.all(found.violation == max(g(found.x), 0) if which == "g" else True)
        proof = found.certificate
        if proof is not None:
            assert proof.verify(LAD, [g] if which == "g" else [])
        if broken.calls < k:
            break
        if error is not None:
            assert broken.calls == k  # and never again
            word = "licence" if type(error) is OSError else "keyboard"
            assert word in found.message or np.all(found.success)
        else:
            assert np.all(np.isin(found.status, ["nonfinite", "iterations", "gap"]))
    assert 20 <= k < 60


def test_no_proof_of_unboundedness_is_asked_for_then(monkeypatch):
    f, real, calls = Linear([1.0, 2.0, -3.0]), Linear._oracle, []

    def oracle(self, x):
        calls.append(x)
        if len(calls) > 5:
            raise OSError("no licence")
        return real(self, x)

    monkeypatch.setattr(Linear, "_oracle", oracle)
    found = minimize(f, np.zeros(3), "subgradient", MaxIter(100))
    assert found.status == "error" and len(calls) == 6


@pytest.mark.parametrize("x0", [np.zeros(3), np.ones(3)])
def test_constraint_functions_that_broke_down_are_left_alone(x0):
    for k, g in ((6, norm1(X - [1, 2, 4]) - 0.1), (30, norm2(X - 1) - 0.5)):
        limit = Failing(k, OSError("no licence"), g)
        found = minimize(LAD, x0, stop=MaxIter(100), constraints=[limit], radius=9.0)
        assert found.violation < g(x0) or k > 6
        assert found.status == "error" and limit.calls == k + 1
        assert found.fun == pytest.approx(LAD(found.x), rel=1e-14)
        assert found.violation == pytest.approx(max(0, g(found.x)), abs=1e-14)
        assert found.certificate.verify(LAD, [g])
        assert (found.violation > 1e-6) == (found.gap == np.inf)


def test_far_outside_the_set():
    found = minimize(LAD, np.full(3, 1e9), constraint=Ball(np.zeros(3), 0.2))
    best = optimum(cp.norm1(A @ Z - B), [cp.norm2(Z) <= 0.2])
    assert found.success and found.fun == pytest.approx(best, rel=3e-6)


@pytest.mark.parametrize("size", [1e-8, 1e8])
def test_badly_scaled_data(size):
    for f in (size * LAD, norm1((size * A) @ X - B)):
        best = optimum(cp.norm1(A @ Z - B)) * (size if f == size * LAD else 1)
        found = minimize(f, np.zeros(3), stop=MaxIter(2000) | Gap(1e-6))
        assert found.lower_bound <= best * (1 + 1e-7) + 1e-15
        assert found.fun - best <= 2e-6 * max(1.0, best)


def test_no_subgradient_at_x0():
    f = sg.separable(sg.negative_sqrt)
    with pytest.raises(ValueError, match=r"subgradient.*x0 \(problem 1\)"):
        minimize(f, [[1.0, 1.0], [0.0, 1.0]], "subgradient")


# Certificates without a region --------------------------------------------------------


def test_every_result_has_a_certificate():
    found = minimize(LAD, np.zeros((2, 3)), "subgradient", MaxIter(30))
    c = found.certificate
    assert c.verify(LAD) and np.all(c.lower_bound == -np.inf)
    assert np.array_equal(c.x, found.x) and np.all(c.eps == 0)
    forged = type(c)(c.x, c.eps, c.g + 0.1, c.radius, c.lower_bound)
    assert not forged.verify(LAD)


@pytest.mark.parametrize("limits", [(0, 1, 999), (0, 1, 1, 1, 999)])
def test_a_linear_program_that_takes_too_long_is_tried_again(monkeypatch, limits):
    from scipy import optimize

    real, seen = optimize.linprog, []

    def linprog(*args, options, **rest):
        seen.append((len(rest["A_ub"]), rest["b_ub"].max()))
        assert options["maxiter"] > 50
        return real(*args, options=options | {"maxiter": limits[len(seen)]}, **rest)

    stop = MaxIter(60)
    plain = minimize(LAD, np.zeros(3), "subgradient", stop, radius=5.0)
    monkeypatch.setattr(optimize, "linprog", linprog)
    again = minimize(LAD, np.zeros(3), "subgradient", stop, radius=5.0)
    assert len(seen) == len(limits) - 1
    assert all(s not in seen[:i] for i, s in enumerate(seen))
    assert again.lower_bound <= plain.lower_bound * (1 + 1e-9)
    assert again.lower_bound == pytest.approx(plain.lower_bound, rel=1e-3)


@pytest.mark.parametrize("limits", [(), (norm2(X) - 0.6,)])
@pytest.mark.parametrize("batch", [(), (4,)])
def test_what_was_proved_stays_proved(monkeypatch, batch, limits):
    """The linear program of the end fails, or of a batch those of two problems."""
    from scipy import optimize

    real, calls = optimize.linprog, []

    class Nothing:
        status, x = 2, None

    def linprog(*args, **rest):
        calls.append(1)
        return Nothing() if len(calls) > last else real(*args, **rest)

    f = norm1(A @ X - (B + 0.1 * np.arange(4).reshape(4, 1))) if batch else LAD
    run = {"stop": MaxIter(30) | Gap(1e-9), "constraints": limits, "radius": 5.0}
    last = 10**9
    monkeypatch.setattr(optimize, "linprog", linprog)
    first = minimize(f, np.zeros(3), **run)
    last = len(calls) - (2 if batch else 1)
    calls.clear()
    again = minimize(f, np.zeros(3), **run)
    assert again.certificate.verify(f, limits)
    assert np.all(again.gap <= 0.2 * again.fun)
    assert np.all(again.lower_bound <= first.lower_bound + 1e-9)


@pytest.mark.slow
def test_enough_cuts_for_a_proof():
    rng = np.random.default_rng(1)
    M, c = rng.standard_normal((240, 120)), rng.standard_normal(240)
    f, stop = norm1(M @ variable(120) - c), MaxIter(2500) | Gap(1e-4)
    assert minimize(f, np.zeros(120), "shor", stop).success
    assert not minimize(f, np.zeros(120), "shor", stop, cuts=200).success


class Knowing:
    """The subgradient method with Polyak's steps, which hands out a proof."""

    inner = SubgradientMethod(Polyak(0.0))

    def init(self, problem, x):
        return self._with(begin(problem, x))

    def step(self, problem, state: State):
        return self._with(self.inner.step(problem, state))

    def _with(self, state):
        return state._replace(
            proof=(state.x, np.zeros_like(state.value), state.subgradient)
        )


@pytest.mark.parametrize("steps", [1, 12])
@pytest.mark.parametrize("C", [None, Ball(np.zeros(3), 0.2), sg.Simplex(3)])
def test_the_certificate_of_set_descent_verifies(C, steps):
    f, stop = norm1(X - B[:12].reshape(4, 3)), MaxIter(steps)
    whole = f if C is None else f + Indicator(C)
    for radius in (None, np.array([6.0, 9.0, 30.0, 1e6])):
        for cuts in (0, 200):
            run = {"radius": radius, "cuts": cuts}
            found = minimize(whole, np.ones(3), "set descent", stop, **run)
            proof = found.certificate
            assert proof.verify(f) and proof.verify(whole), (radius, cuts)
            lower = np.minimum(proof.lower_bound, found.fun)
            assert np.array_equal(found.lower_bound, lower)
            if radius is not None:
                assert np.all(found.lower_bound > -np.inf)


def test_of_each_problem_the_better_certificate():
    """On a large ball a short g proves more than cuts, on a small one less."""
    A4, b4 = RNG.standard_normal((4, 20, 3)), RNG.standard_normal((4, 20))
    f = norm_inf(A4 @ X - b4)
    stop, radius = MaxIter(30), np.array([4.0, 10.0, 1e5, 1e9])
    run = {"stop": stop, "radius": radius}
    both = minimize(f, np.zeros(3), "set descent", **run)
    sets = minimize(f, np.zeros(3), "set descent", cuts=0, **run)
    first, second = both.certificate.parts
    assert np.array_equal(first.lower_bound, sets.certificate.lower_bound)
    better = first.lower_bound > second.lower_bound
    assert better.any() and not better.all()
    expected = np.maximum(first.lower_bound, second.lower_bound)
    assert np.array_equal(both.lower_bound, expected)
    assert both.certificate.verify(f)
    assert not both.certificate.verify(0.5 * f)
    forged = type(first)(first.x, first.eps, first.g, first.radius, 1e9)
    assert not type(both.certificate)((second, forged)).verify(f)
    again = pickle.loads(pickle.dumps(both.certificate))
    assert np.array_equal(again.lower_bound, expected) and again.verify(f)


def test_a_bound_of_a_zero_subgradient_is_checked():
    f = norm1(X)
    c = minimize(f, np.zeros(3), "subgradient").certificate
    assert c.lower_bound == 0 and c.verify(f)
    x, zero = np.zeros(3), np.zeros(3)
    make = sg.solvers.SubgradientCertificate
    assert make(x, 0.0, zero, np.inf, -1e-15).verify(f)
    assert not make(x, 0.0, zero, np.inf, 1e-9).verify(f)
    assert make(x, 0.0, zero + 0.5, np.inf, -np.inf).verify(f)
    assert not make(x, 0.0, zero + 0.5, np.inf, -1e9).verify(f)
    assert not make(x, 0.0, zero + 1.5, 1.0, -np.inf).verify(f)


def test_a_proof_of_the_method_is_the_certificate():
    c = RNG.standard_normal((4, 3))
    f, x0 = squared_norm(X - c), np.zeros((4, 3))
    for cuts in (0, 50):
        stop = MaxIter(40)
        found = minimize(f, x0, Knowing(), stop, radius=4.0, cuts=cuts)
        assert found.certificate.verify(f)
        assert np.all(found.lower_bound <= 1e-15) and np.all(found.gap <= 1e-6)
    free = minimize(f, x0, Knowing(), MaxIter(40))
    assert np.all(free.lower_bound == -np.inf) and free.certificate.verify(f)


def test_a_run_that_was_interrupted_says_so_even_if_it_is_proved():
    f, calls = norm1(variable(2)), []

    def interrupt(found):
        calls.append(found)
        if len(calls) == 2:
            raise KeyboardInterrupt

    found = minimize(
        f, np.array([1.0, -2.0]), "subgradient", Gap(10.0), Ball(np.zeros(2), 5.0),
        callback=interrupt,
    )  # fmt: skip
    assert found.status == "interrupted" and found.success
