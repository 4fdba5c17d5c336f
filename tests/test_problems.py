"""The test problems: published values, certificates at x*, cvxpy, seeds; block sums."""

from __future__ import annotations

import inspect
import pickle
import warnings

import cvxpy as cp
import numpy as np
import pytest
from laws import close

import subgrad as sg
from subgrad import (
    BlockComposition,
    BlockSum,
    Indicator,
    MaxAffine,
    Simplex,
    absolute,
    block_compose,
    block_sum,
    compose,
    entropy,
    max_entry,
    maximum,
    norm1,
    norm2,
    norm_inf,
    problems,
    relu,
    separable,
    squared_norm,
    variable,
)
from subgrad.calculus.block_compose import BlockWeighted
from subgrad.calculus.block_sum import BlockProduct, block_product
from subgrad.cvx import reference
from subgrad.problems import PROBLEMS, TestProblem, problem
from subgrad.problems._problem import data

NAMES = problems.names()
SCALABLE = [name for name in NAMES if "n" in problems.parameters(name)]
RANDOM = [name for name in NAMES if "seed" in problems.parameters(name)]
LARGE = {"mcp100", "mcp250_1"}  # semidefinite
# f(x0), as published or by the formula.
AT_START = {
    "cb2": 5.41,
    "cb3": 20,
    "dem": 6,
    "ql": 56,
    "lq": 1,
    "mifflin1": -0.8,
    "rosen_suzuki": 0,
    "shor": 80,
    "maxq": 400,
    "maxl": 20,
    "goffin": 1225,
    "mxhilb": sum(1 / i for i in range(1, 51)),
    "l1hilb": sum(1 / (i + j - 1) for i in range(1, 51) for j in range(1, 51)),
    "chained_lq": 19,
    "chained_cb3_1": 20 * 19,
    "chained_cb3_2": 20 * 19,
    "max_of_abs": 1,
    "geometric_l1": sum(1.2**i * abs(np.cos(i)) for i in range(1, 76)),
    "tr48": -464816,
    "stackloss": 368,
    "svm": 1,
    "multiclass_lasso": np.log(3),
    "multiclass_svm": 1,
}


def maxquad(x):
    values = []
    for k in range(1, 6):
        A = np.zeros((10, 10))
        for i in range(1, 11):
            for j in range(1, 11):
                if i != j:
                    e = np.exp(min(i, j) / max(i, j))
                    A[i - 1, j - 1] = e * np.cos(i * j) * np.sin(k)
        for i in range(10):
            A[i, i] = abs(np.sin(k)) * (i + 1) / 10 + np.abs(A[i]).sum()
        b = [np.exp(i / k) * np.sin(i * k) for i in range(1, 11)]
        values.append(x @ A @ x - np.dot(b, x))
    return max(values)


def cb3_pieces(x, y):
    return x**4 + y**2, (2 - x) ** 2 + (2 - y) ** 2, 2 * np.exp(y - x)


def rosen_suzuki(x):
    a, b, c, d = x
    return (
        a * a + b * b + 2 * c * c + d * d - 5 * a - 5 * b - 21 * c + 7 * d
    ) + 10 * max(
        0,
        x @ x + a - b + c - d - 8,
        x @ x + b * b + d * d - a - d - 10,
        a * a + b * b + c * c + 2 * a - b - d - 5,
    )


def hilbert(x):
    i = np.arange(1, len(x) + 1)
    return [sum(x / (k + i - 1)) for k in i]


def pairs(x):
    return zip(x[:-1], x[1:], strict=True)


# The formulas once more, in plain Python.
FORMULAS = {
    "cb2": lambda x: max(x[0] ** 2 + x[1] ** 4, *cb3_pieces(*x)[1:]),
    "cb3": lambda x: max(cb3_pieces(*x)),
    "dem": lambda x: max(
        5 * x[0] + x[1], -5 * x[0] + x[1], x[0] ** 2 + x[1] ** 2 + 4 * x[1]
    ),
    "ql": lambda x: x @ x + 10 * max(0, 4 - 4 * x[0] - x[1], 6 - x[0] - 2 * x[1]),
    "lq": lambda x: max(-x.sum(), -x.sum() + x @ x - 1),
    "mifflin1": lambda x: -x[0] + 20 * max(x @ x - 1, 0),
    "rosen_suzuki": rosen_suzuki,
    "maxquad": maxquad,
    "maxq": lambda x: max(t * t for t in x),
    "maxl": lambda x: max(abs(t) for t in x),
    "goffin": lambda x: len(x) * max(x) - sum(x),
    "mxhilb": lambda x: max(np.abs(hilbert(x))),
    "l1hilb": lambda x: sum(np.abs(hilbert(x))),
    "chained_lq": lambda x: sum(
        -a - b + max(0, a * a + b * b - 1) for a, b in pairs(x)
    ),
    "chained_cb3_1": lambda x: sum(max(cb3_pieces(*p)) for p in pairs(x)),
    "chained_cb3_2": lambda x: max(np.sum([cb3_pieces(*p) for p in pairs(x)], axis=0)),
    "max_of_abs": lambda x: max(abs(x[0]), *(abs(b - 2 * a) for a, b in pairs(x))),
    "geometric_l1": lambda x: sum(1.2**i * abs(t) for i, t in enumerate(x, 1)),
}


def small(name: str) -> TestProblem:
    return problem(name, n=4) if name in SCALABLE else problem(name)


def solve(p: TestProblem) -> tuple[np.ndarray, float]:
    """A minimiser and the optimum by Clarabel, the value recomputed by f."""
    x = cp.Variable(p.n)
    sides = [] if p.constraint is None else p.constraint.to_cvxpy(x)
    model = cp.Problem(cp.Minimize(cp.sum(p.function.to_cvxpy(x))), sides)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the accuracy is checked
        model.solve(solver="CLARABEL")
    best = x.value if p.constraint is None else p.constraint.project(x.value)
    fun = float(p.function.value(best))
    assert abs(fun - model.value) <= 1e-6 * max(1, abs(fun))
    return best, fun


def test_registry():
    assert len(NAMES) == len(set(NAMES)) >= 47
    assert set(AT_START) < set(NAMES) < set(problems.__all__)
    for name in NAMES:
        assert getattr(problems, name) is PROBLEMS[name]
        assert len(problems.describe(name)) > 20
        # The size comes first, so that maxq(100) says what one expects.
        assert "n" not in problems.parameters(name)[1:]
        defaults = inspect.signature(PROBLEMS[name]).parameters.values()
        assert all(d.default is not d.empty for d in defaults)
    with pytest.raises(ValueError, match="one of cb2, cb3"):
        problem("rosenbrock")
    with pytest.raises(ValueError, match="takes no n: its size is fixed"):
        problem("tr48", n=10)
    with pytest.raises(ValueError, match="takes no seed: its data are not random"):
        problem("maxq", seed=1)
    for wrong in (0, 2.5, "3"):
        with pytest.raises(ValueError, match="n must be a positive integer"):
            problem("maxq", n=wrong)
    with pytest.raises(ValueError, match="n must be at least 2"):
        problem("chained_lq", n=1)
    for name, wrong in (("m", 0), ("m", 2.5), ("rank", 0), ("classes", 1), ("k", -1)):
        make = [f for f in PROBLEMS.values() if name in inspect.signature(f).parameters]
        for f in make:
            with pytest.raises(ValueError, match=f"^{name} must be"):
                f(4, **{name: wrong})
    for wrong in (-1, True, 0.5):
        with pytest.raises(ValueError, match="seed must be"):
            problems.lad(seed=wrong)
    with pytest.raises(ValueError, match="beta must be one number"):
        problems.cvar_portfolio(3, beta=[0.1, 0.2])
    with pytest.raises(ValueError, match="tau"):
        problems.engel(1.0)
    with pytest.raises(ValueError, match="lam"):
        problems.svm(lam=0)
    with pytest.raises(ValueError, match="x0 must have shape"):
        TestProblem("one", norm1(variable(3)), np.zeros(2), "here")


@pytest.mark.parametrize("name", [n for n in NAMES if n not in LARGE])
def test_every_problem_at_two_sizes(name):
    r = np.random.default_rng(0)
    for n in (3, 8) if name in SCALABLE else (None,):
        p = problem(name, n)
        f = p.function
        assert p.name == name and p.n == p.x0.size and p.source
        assert n is None or p.n % n == 0
        if p.constraint is not None:
            assert p.constraint.contains(p.x0)
        points = p.x0 + r.standard_normal((6, p.n))
        points = points if p.constraint is None else p.constraint.project(points)
        values = f.value(points)
        value, g = f.oracle(p.x0)
        scale = 1 + np.abs(values).max() + norm2.value(g)
        assert np.all(values >= value + (points - p.x0) @ g - 1e-12 * scale)
        slope = f.directional_derivative(p.x0, points - p.x0)
        h = f.subdifferential(p.x0).support(points - p.x0)
        np.testing.assert_allclose(h, slope, atol=1e-9 * scale)
        assert f.to_cvxpy(cp.Variable(p.n)).is_convex()
        close(pickle.loads(pickle.dumps(p)).function.value(p.x0), value, 1e-13)
        with pytest.raises(ValueError, match="read-only"):
            p.x0[0] = 1.0


@pytest.mark.parametrize("name", AT_START)
def test_value_at_the_start(name):
    p = problem(name)
    np.testing.assert_allclose(p.function.value(p.x0), AT_START[name], rtol=1e-13)


@pytest.mark.parametrize("name", FORMULAS)
def test_formula(name):
    p = small(name)
    for x in p.x0 + np.random.default_rng(1).standard_normal((8, p.n)):
        np.testing.assert_allclose(p.function.value(x), FORMULAS[name](x), rtol=1e-12)


@pytest.mark.parametrize(
    "name", [n for n in NAMES if n not in LARGE and small(n).solution is not None]
)
def test_solution_is_certified(name):
    """f(x*) = f*, and a short member of the ε-subdifferential bounds f from below."""
    for p in (problem(name), small(name)):
        scale = max(1.0, abs(p.optimum))
        fun = float(p.function.value(p.solution))
        assert abs(fun - p.optimum) <= p.accuracy + 2e-15 * scale
        assert norm2.value(p.x0 - p.solution) <= p.radius
        eps = 1e-9 * scale
        size = norm2.value(p.function.subdifferential(p.solution, eps).min_norm())
        assert eps + p.radius * size <= 2e-8 * scale


@pytest.mark.parametrize("tau", [0.1, 0.25, 0.75, 0.9])
def test_engel_at_other_quantiles(tau):
    p = problems.engel(tau)
    assert abs(p.function.value(p.solution) - p.optimum) <= 2 * p.accuracy
    S = p.function.subdifferential(p.solution, 1e-9)
    assert norm2.value(S.min_norm()) <= 1e-10
    # Of a quantile without a known optimum the bound on the distance is from the data.
    assert problems.engel(0.4).optimum is None
    assert norm2.value(p.solution) < problems.engel(0.4).radius


QUICK = ["cb2", "maxquad", "maxq", "goffin", "chained_lq", "chained_cb3_2", "tr48"]
QUICK += ["stackloss", "svm", "matrix_game", "distance_game", "multiclass_svm"]
QUICK += ["lad_box", "huber_regression", "l1_logistic", "group_lasso"]
QUICK += ["elastic_net_regression", "tv_image", "matrix_completion", "cvar_portfolio"]
REST = [n for n in NAMES if n not in QUICK]


@pytest.mark.parametrize(
    "name", QUICK + [pytest.param(n, marks=pytest.mark.slow) for n in REST]
)
def test_cvxpy_finds_the_optimum(name):
    p = small(name)
    x, fun = solve(p)
    if p.optimum is not None:
        assert abs(fun - p.optimum) <= p.accuracy + 1e-6 * max(1, abs(p.optimum))
    if p.radius is not None and p.solution is None:
        assert norm2.value(x - p.x0) <= p.radius


@pytest.mark.parametrize("name", RANDOM)
def test_seeds_reproduce(name):
    a, b, c = (problem(name, n=5, seed=seed) for seed in (3, 3, 4))
    x = np.random.default_rng(0).dirichlet(np.ones(a.n))
    close(a.function.value(x), b.function.value(x), 1e-13)
    other = abs(a.function.value(x) - c.function.value(x)) + norm2(a.x0 - c.x0)
    assert other > 1e-6
    assert a.seed == 3 and np.array_equal(a.x0, b.x0)


def test_matrix_game_has_a_dual():
    """The opponent's optimal strategy proves the value of a matrix game."""
    p = problems.matrix_game(6, 9, seed=1)
    A = p.function.op.A
    x, fun = solve(p)
    y = cp.Variable(9)
    dual = cp.Problem(cp.Maximize(cp.min(A.T @ y)), [y >= 0, cp.sum(y) == 1])
    assert abs(dual.solve(solver="CLARABEL") - fun) <= 1e-6
    assert x in Simplex(6)


def test_distance_game_is_as_defined():
    p, n = problems.distance_game(5, seed=2), 5
    r = np.random.default_rng(2)
    A, B = r.standard_normal((15, n)), r.standard_normal((15, 3, n))
    q = r.exponential(size=(15, n))
    q /= q.sum(1, keepdims=True)
    u = np.full(n, 0.2)

    def kl(x):
        return x @ np.log((x + 1e-8) / (q + 1e-8)).T

    a = np.median(np.abs(kl(u))) / np.median(np.abs(A @ u))
    b = np.median(np.abs(kl(u))) / np.median(np.linalg.norm(B @ u, axis=1))
    for x in (u, np.eye(n)[0], r.dirichlet(np.ones(n))):
        each = a * np.abs(A @ x) + b * np.linalg.norm(B @ x, axis=1) + kl(x)
        np.testing.assert_allclose(p.function.value(x), each.max(), rtol=1e-12)
        assert np.all(np.isfinite(p.function.subgradient(x)))


def test_multiclass_problems_are_as_defined():
    r = np.random.default_rng(0)
    lasso, svm = problems.multiclass_lasso(4), problems.multiclass_svm(4)
    A = r.standard_normal((40, 4))
    y = np.argmax(
        A @ r.standard_normal((4, 3)) + 0.5 * r.standard_normal((40, 3)), axis=1
    )
    X = r.standard_normal((4, 3))
    scores = A @ X
    right = np.take_along_axis(scores, y[:, None], 1)
    logistic = np.log(np.exp(scores - right).sum(1)).mean()
    margins = (np.arange(3) != y[:, None]) + scores - right
    x = X.ravel()
    close(lasso.function.value(x), logistic + 0.01 * np.abs(X).sum(), 1e-12)
    rows = np.linalg.norm(X, axis=1).sum()
    close(svm.function.value(x), margins.max(1).mean() + 0.01 * rows, 1e-12)


def outliers(n, m, r):
    """A, x, noise with outliers, in the order in which they are drawn."""
    A, x, e = (r.standard_normal(k) for k in ((m, n), n, m))
    return A, A @ x + e + 10 * (r.random(m) < 0.1) * r.standard_normal(m)


def sparse(n, m, few, r, noise):
    A, x = r.standard_normal((m, n)), np.zeros(n)
    x[:few] = r.standard_normal(few)
    return A, A @ x + noise * r.standard_normal(m)


def residuals(p, x):
    """What these regressions are, written out."""
    n = p.n
    A, b = outliers(n, 10 * n, np.random.default_rng(p.seed))
    e = np.abs(A @ x - b)
    return {
        "lad_outliers": e.sum(),
        "lad_box": e.sum(),
        "huber_regression": np.where(e < 1.345, e**2, 1.345 * (2 * e - 1.345)).sum(),
    }[p.name]


def penalised(p, x):
    n, r = p.n, np.random.default_rng(p.seed)
    if p.name == "l1_logistic":
        A, b = sparse(n, 10 * n, 1, r, 0.5)
        y = np.where(b < 0, -1, 1)
        lam = 0.1 * np.abs(y @ A).max() / 2
        return np.log1p(np.exp(-y * (A @ x))).sum() + lam * np.abs(x).sum()
    if p.name == "group_lasso":
        A, b = sparse(n, n // 2, 5, r, 0.1)
        blocks = [slice(0, 5), slice(5, 10), slice(10, 12)]
        lam = 0.1 * max(np.linalg.norm(b @ A[:, g]) for g in blocks)
        size = sum(np.linalg.norm(x[g]) for g in blocks)
        return ((A @ x - b) ** 2).sum() / 2 + lam * size
    A, b = sparse(n, n // 4, 1, r, 0.1)
    alpha = 0.2 * np.abs(b @ A).max()
    return ((A @ x - b) ** 2).sum() / 2 + alpha * (x @ x + 2 * np.abs(x).sum()) / 4


@pytest.mark.parametrize(
    "formula, names",
    [
        (residuals, ("lad_outliers", "lad_box", "huber_regression")),
        (penalised, ("l1_logistic", "group_lasso", "elastic_net_regression")),
    ],
)
def test_regressions_are_as_defined(formula, names):
    x = np.random.default_rng(9).standard_normal(12)
    for name in names:
        p = problem(name, n=12, seed=2)
        close(p.function.value(x), formula(p, x), 1e-13)
        assert p.radius < np.inf
    assert problems.lad_box(3).constraint.box()[0].upper == 0.5


def test_basis_pursuit_is_as_defined():
    p = problems.basis_pursuit(50, seed=1)
    A, b = sparse(50, 10, 1, np.random.default_rng(1), 0.0)
    close(A @ p.x0, b, 1e-12)
    close(p.x0, np.linalg.pinv(A) @ b, 1e-12)
    x, fun = solve(p)
    close(A @ x, b, 1e-9)
    assert norm2(x - p.x0) <= p.radius and abs(fun - norm1(x)) <= 1e-12
    # As many equations as unknowns: the start is the solution.
    assert problems.basis_pursuit(3, 7).constraint.is_singleton


def test_restorations_are_as_defined():
    for name in ("tv_image", "tv_image_isotropic"):
        p, X = problem(name, n=5), np.random.default_rng(1).standard_normal((5, 5))
        down, right = np.diff(X, axis=0), np.diff(X, axis=1)
        size = np.abs(down).sum() + np.abs(right).sum()
        if name == "tv_image_isotropic":
            size = np.hypot(down[:, :-1], right[:-1]).sum()
        x = X.ravel()
        close(p.function.value(x), ((x - p.x0) ** 2).sum() / 2 + 0.1 * size, 1e-13)
    r, Y = np.random.default_rng(7), np.zeros((9, 9))
    heights = r.standard_normal(5)
    for height in heights:
        (a, b), (c, d) = r.integers(0, 10, (2, 2))
        Y[min(a, c) : max(a, c), min(b, d) : max(b, d)] += height
    Y += 0.1 * r.standard_normal((9, 9))
    close(problems.tv_image(9, seed=7).x0, Y.ravel(), 1e-14)
    r, p = np.random.default_rng(4), problems.matrix_completion(6, seed=4)
    B = r.standard_normal((6, 2)) @ r.standard_normal((2, 6))
    B += 0.1 * r.standard_normal((6, 6))
    seen = (r.random((6, 6)) < 0.3) | (np.arange(36) == 0).reshape(6, 6)
    X, s = r.standard_normal((6, 6)), np.linalg.svdvals
    value = 0.5 * ((X - B)[seen] ** 2).sum() + 0.1 * s(seen * B)[0] * s(X).sum()
    close(p.function.value(X.ravel()), value, 1e-13)


def test_portfolio_is_as_defined():
    r, p = np.random.default_rng(3), problems.cvar_portfolio(4, 20, seed=3)
    drift, market = r.standard_normal(4), r.standard_normal((20, 1))
    R = (drift / 10 + market + r.standard_t(4, (20, 4))) / 100
    x = r.dirichlet(np.ones(4))
    close(p.function.value(x), -np.sort(R @ x)[:2].mean(), 1e-13)
    assert reference(p.function, constraint=p.constraint).fun < p.function(p.x0)


def test_suites_have_sizes_and_seeds():
    small = {"n": 5, "m": 12}
    for suite in problems.SUITES.values():
        tiny = [
            case
            if isinstance(case, str)
            else (
                case[0],
                {**case[1], **{key: a for key, a in small.items() if key in case[1]}},
            )
            for case in suite
        ]
        for case, p in zip(suite, problems.make(tiny, seed=1), strict=True):
            name, own = (case, {}) if isinstance(case, str) else case
            assert p.name == name and own.keys() <= set(problems.parameters(name))
            assert p.seed == (1 if name in RANDOM else None)
    with pytest.raises(ValueError, match="name must be one of"):
        problems.make(["rosenbrock"])


def test_locations_are_as_defined():
    ball, weber = problems.enclosing_ball(2, 9), problems.fermat_weber(2, 9)
    a = np.random.default_rng(0).standard_normal((9, 2))
    w = 0.5 + np.random.default_rng([0, 1]).random(9)
    x = np.array([0.3, -1.0])
    away = np.linalg.norm(x - a, axis=1)
    close(ball.function.value(x), away.max(), 1e-14)
    close(weber.function.value(x), w @ away, 1e-13)


def test_maxcut_bound_and_invariance():
    for name, n in (("mcp100", 100), ("mcp250_1", 250)):
        p = problem(name)
        f, x = p.function, np.linspace(-1, 1, n)
        F = np.zeros((n, n))
        file = f"{name.replace('_', '-')}.dat-s"
        for line in data(file).splitlines()[4:]:
            k, _, i, j, a = line.split()
            if k == "0":
                F[int(i) - 1, int(j) - 1] = F[int(j) - 1, int(i) - 1] = float(a)
        close(F.sum(1), np.zeros(n))  # the Laplacian of a graph
        top = np.linalg.eigvalsh(F - np.diag(x))[-1]
        np.testing.assert_allclose(f.value(x), x.sum() + n * top, rtol=1e-9)
        assert p.n == n and p.optimum < f.value(p.x0)
        np.testing.assert_allclose(f.value(x + 3.0), f.value(x), rtol=1e-9)
        value, g = f.oracle(p.x0)
        assert abs(g.sum()) <= 1e-8
        assert f.value(x) >= value + g @ x - 1e-8


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(LARGE))
def test_maxcut_optimum_lies_between_a_matrix_and_a_dual_point(name):
    p, r = problem(name), np.random.default_rng(0)
    F = np.zeros((p.n, p.n))
    for line in data(f"{name.replace('_', '-')}.dat-s").splitlines()[4:]:
        k, _, i, j, a = line.split()
        if k == "0":
            F[int(i) - 1, int(j) - 1] = F[int(j) - 1, int(i) - 1] = float(a)
    diagonal = np.diag(F).copy()
    F -= np.diag(diagonal)
    V = r.standard_normal((p.n, int((2 * p.n) ** 0.5) + 1))
    V /= np.linalg.norm(V, axis=1, keepdims=True)
    moved = 1.0
    while moved > 1e-7:
        before = V.copy()
        for i in np.flatnonzero(F.any(1)):
            v = F[i] @ V
            V[i] = v / np.linalg.norm(v)
        moved = np.abs(V - before).max()
    # X = V V' is feasible, and u = diag(F V V') a dual point.
    low, u = diagonal.sum() + np.sum(V * (F @ V)), diagonal + np.sum(V * (F @ V), 1)
    assert low - 1e-10 <= p.optimum <= low + 1e-10
    assert p.optimum - 1e-10 <= p.function.value(u) <= p.optimum + 1e-4


def test_a_solver_takes_a_problem():
    p = problems.svm(5, seed=1)
    found = sg.minimize(
        p.function, p.x0, stop=sg.MaxIter(300), radius=p.radius, optimum=p.optimum
    )
    best = solve(p)[1]
    assert found.lower_bound <= best + 1e-9 <= found.fun + 2e-9


# Sums and compositions over blocks ----------------------------------------------------


def test_blocks_are_the_loop():
    """A thousand blocks at once, and each by itself."""
    r = np.random.default_rng(1)
    u, x = variable(2), r.standard_normal(2001)
    h = maximum(squared_norm(u) - 1, norm1(u), 2 * u[0])
    windows = np.repeat(np.arange(2001), 2)[1:-1]
    f = BlockSum(h, 2000)(variable(2001)[windows])
    pairs = np.stack([x[:-1], x[1:]], -1)
    close(f.value(x), h.value(pairs).sum(), 1e-12)
    g = np.zeros(2001)
    for i, s in enumerate(h.subgradient(pairs)):
        g[i : i + 2] += s
    close(f.subgradient(x), g, 1e-12)
    d = r.standard_normal(2001)
    both = np.stack([d[:-1], d[1:]], -1)
    close(f.directional_derivative(x, d), h.directional_derivative(pairs, both).sum())
    close(f.subdifferential(x).support(d), f.directional_derivative(x, d))
    rows = variable(2001)[windows.reshape(2000, 2)]
    close(block_sum(h)(rows).value(x), f.value(x), 1e-14)
    assert block_sum(norm2, [1.0, 2])([[3, 4], [0, 1]]) == 7
    top = block_compose(max_entry, h)(rows)
    close(top.value(x), h.value(pairs).max(), 1e-12)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_prox_of_blocks(scale):
    r = np.random.default_rng(2)
    x, w = scale * r.standard_normal((5, 6)), np.array([0.5, 1.0, 3.0])
    f, t = BlockSum(norm2, 3, w, k=2), scale * np.array([0.3, 1, 2, 0.1, 0.7])
    expected = [norm2.prox(x[:, 2 * j : 2 * j + 2], t * w[j]) for j in range(3)]
    close(f.prox(x, t) / scale, np.concatenate(expected, -1) / scale, 1e-13)
    plain = BlockSum(norm2, 3, k=2)
    both = plain.prox(x, 1.0) + plain.conjugate().prox(x, 1.0)
    close(both / scale, x / scale, 1e-13)


def test_blocks_with_parameters_of_their_own():
    """A batch of functions, one per block; batches of weights, and of functions."""
    r = np.random.default_rng(3)
    A, b = r.standard_normal((3, 4, 2)), r.standard_normal((3, 4))
    f, x = BlockSum(MaxAffine(A, b), 3), r.standard_normal((5, 6))
    parts = [MaxAffine(A[j], b[j]).value(x[:, 2 * j : 2 * j + 2]) for j in range(3)]
    close(f.value(x), sum(parts), 1e-13)
    S, d = f.subdifferential(x, 0.5), r.standard_normal(6)
    close(S.support(d), [f.subdifferential(p, 0.5).support(d) for p in x])
    with pytest.raises(NotImplementedError, match="a batch of shape"):
        f.to_cvxpy(cp.Variable(6))
    w = r.random((2, 3)) + 0.1
    g = BlockSum(norm1, 3, w, k=2)
    one, two = (BlockSum(norm1, 3, row, k=2) for row in w)
    z = r.standard_normal(6)
    close(g.value(z), [one.value(z), two.value(z)], 1e-14)
    S = g.subdifferential(z, 0.4)
    close(S.support(d)[1], two.subdifferential(z, 0.4).support(d))
    assert S.batch == (2,) and np.all(S.exact)


def test_budget_goes_to_the_cheapest_block():
    """Norms of blocks answer as one norm does: shares by the cost of each entry."""
    x, w = np.array([1e-3, 5.0, 2e-3, -7.0]), np.array([0.5, 3.0])
    weighted = separable(absolute, np.repeat(w, 2))
    for f, g in (
        (BlockSum(norm1, 2, k=2), norm1),
        (BlockSum(norm1, 2, w, 2), weighted),
    ):
        for eps in (1e-3, 6e-3, 1.0, 50.0):
            G, E = f.subdifferential(x, eps), g.subdifferential(x, eps)
            close(G.box().lower, E.box().lower, 1e-14)
            close(G.box().upper, E.box().upper, 1e-14)


def test_a_product_with_an_empty_block_is_empty():
    box = sg.Box(sg.Interval([[0.0], [1.0]], [[1.0], [2.0]])).restrict([True, False])
    for S in (block_product(box, 2), BlockProduct(sg.hull_of_union(box, box), 2)):
        assert not S.nonempty and S.support([1.0, 1.0]) == -np.inf
        assert not S.contains([0.5, 1.5])
    W, base = Simplex(2), sg.Hull([[[0.0], [1.0]], [[2.0], [3.0]]])
    assert BlockWeighted(W, base, 2).nonempty
    assert not BlockWeighted(W.restrict(False), base, 2).nonempty
    assert not BlockWeighted(W, base.restrict([True, False]), 2).nonempty
    part = BlockProduct(sg.Hull([[[0.0], [1.0]], [[2.0], [3.0]]]), 2)
    assert not part.proved(False).exact and part.exact
    assert not BlockProduct(part.base.proved([True, False]), 2).exact


def test_domain_of_blocks():
    f = BlockSum(separable(entropy), 2, [1.0, 2.0], k=2)
    assert f.value([0, 1, 2, -1]) == np.inf
    assert not f.subdifferential([0.0, 1, 2, 3]).nonempty
    assert f.subdifferential([1.0, 1, 2, 3]).is_singleton
    assert [0.0, 1, 2, 3] in f.domain and [0.0, 1, 2, -1] not in f.domain
    box = BlockSum(Indicator(Simplex(2)), 2)
    cone = box.domain_normal([1.0, 0, 0.5, 0.5])
    assert cone.contains([1.0, -1, 3, 3]) and not cone.contains([-1.0, 1, 3, 3])


def test_normal_cone_of_blocks_within_a_budget():
    S = BlockProduct(sg.Box(sg.Interval([0.0, 0], [1.0, 1])), 3)
    x, eps = np.array([0.6, 0.4, 1.0, 0.0, 0.5, 0.5]), 0.3
    N = S.normal_cone(x, eps)
    for d in np.random.default_rng(5).standard_normal((20, 6)):
        g = N.project(3 * d)
        assert S.support(g) - g @ x <= eps + 1e-9
    assert not N.is_singleton and N.contains([0, 0, 7.0, -7, 0, 0])


def test_blocks_grow_where_their_function_does():
    f, v = BlockSum(squared_norm, 2, k=1), variable(2)
    assert compose(f, norm1(v), norm2(v)).value([3.0, 4.0]) == 74
    with pytest.raises(ValueError, match="nondecreasing in argument 2"):
        compose(f, norm1(v), norm2(v) - 1.0)
    with pytest.raises(ValueError, match="nondecreasing in argument 1"):
        compose(f, norm2(v) - 1.0, norm1(v))


def test_what_blocks_refuse():
    with pytest.raises(ValueError, match="k must be given"):
        BlockSum(norm1, 3)
    with pytest.raises(ValueError, match="not blocks of k = 3"):
        BlockSum(norm1(variable(2)), 3, k=3)
    with pytest.raises(ValueError, match=r"weights must have shape \(..., 3\)"):
        BlockSum(norm1, 3, [1.0, 2.0], k=2)
    with pytest.raises(ValueError, match="weights must be positive"):
        BlockSum(norm1, 2, [1.0, 0.0], k=2)
    for refused in (lambda: BlockSum(relu, 2, k=1), lambda: block_sum(relu)):
        with pytest.raises(TypeError, match="h must be a Function"):
            refused()
    with pytest.raises(ValueError, match="takes an array with 2 axes"):
        block_sum(norm1)(variable(4))
    with pytest.raises(ValueError, match="not blocks of k = 3"):
        block_sum(norm1(variable(2)))(variable((4, 3)))
    with pytest.raises(ValueError, match="m must be|n must be a positive"):
        BlockSum(norm1, 0, k=1)
    with pytest.raises(ValueError, match="x must have shape"):
        BlockSum(norm1, 2, k=2).value(np.zeros(5))
    with pytest.raises(ValueError, match="not proved nondecreasing"):
        BlockComposition(norm1, norm1 - 1.0, 2, k=2)
    with pytest.raises(ValueError, match="h must be finite"):
        BlockComposition(max_entry, separable(entropy), 2, k=2)
    with pytest.raises(ValueError, match="H takes 3 arguments"):
        BlockComposition(norm1(variable(3)), norm1, 2, k=2)


def test_weights_are_chosen_nonnegative():
    """A slope of H that is negative at the edge of the range of h is not used."""

    class Falling(type(norm1)):
        def _subgradient(self, x):
            return np.where(x > 0, 1.0, -1.0)

        def _oracle(self, x):
            return self._value(x), self._subgradient(x)

    f, x = BlockComposition(Falling(), relu(variable(2)[0]), 2), np.zeros(4)
    assert f.subdifferential(x).contains(f.subgradient(x))


def test_faces_of_weighted_blocks_within_a_budget():
    tents = sg.Hull([[[0.0, 0], [1, 0], [0, 1]], [[1.0, 1], [2, 1], [0, 0]]])
    S = BlockWeighted(sg.CappedSimplex([0, 0], [1, 1], 1.0), tents, 2)
    r = np.random.default_rng(6)
    for d in r.standard_normal((10, 4)):
        for eps in (0.0, 0.4, 2.0):
            F = S.exposed_face(d, eps)
            s = F.support_point(r.standard_normal((40, 4)))
            assert np.all(s @ d >= S.support(d) - eps - 1e-12)
            close(F.support(d), S.support(d))


def test_a_composition_is_its_loop():
    """Against compose of the single blocks, at ties and elsewhere."""
    r = np.random.default_rng(4)
    v = variable(6)
    blocks = [v[:2], v[2:4], v[4:]]
    points = np.concatenate([r.integers(-1, 2, (6, 6)), r.standard_normal((3, 6))])
    for H in (max_entry, norm2, norm1, norm_inf, sg.sum_largest(2)):
        f = BlockComposition(H, norm1, 3, k=2)
        g = compose(H, *(norm1(b) for b in blocks))
        close(f.value(points), g.value(points), 1e-13)
        for d in r.standard_normal((4, 6)):
            S, T = f.subdifferential(points, 0.2), g.subdifferential(points)
            assert np.all(T.support(d) <= S.support(d) + 1e-12)
            S = f.subdifferential(points)
            close(S.support(d), T.support(d), 1e-12)
            slopes = np.vecdot(f.subgradient(points), d)
            assert np.all(slopes <= S.support(d) + 1e-12)
            close(
                f.directional_derivative(points, d), g.directional_derivative(points, d)
            )
