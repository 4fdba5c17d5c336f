"""The primal-dual method: certified gaps, restarts, stencils, maps without a matrix."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import fft, sparse
from scipy.sparse.linalg import LinearOperator

import subgrad.solvers.structured.stencil as stencils
from subgrad import (
    Box,
    Indicator,
    Interval,
    group_norm,
    hinge_loss,
    logistic_loss,
    max_entry,
    norm1,
    squared_norm,
    total_variation,
    tv,
    variable,
)
from subgrad.affine import linear
from subgrad.differences import differences
from subgrad.operators import Matrix, Stack, identity
from subgrad.solvers.structured.augmented_lagrangian import AugmentedLagrangian
from subgrad.solvers.structured.certificate import dual_bound
from subgrad.solvers.structured.form import fenchel, primal
from subgrad.solvers.structured.front import feasible
from subgrad.solvers.structured.primal_dual import LOOK, LOOKS, PrimalDual
from subgrad.solvers.structured.terms import structure


def lad(rng, a=1.0, b=1.0):
    A = a * rng.standard_normal((40, 4))
    return norm1(A @ variable(4) - b * rng.standard_normal(40))


def lasso(rng):
    A, x = rng.standard_normal((20, 40)), variable(40)
    return 0.5 * squared_norm(A @ x - rng.standard_normal(20)) + 2.0 * norm1(x)


def svm(rng):
    A, x = rng.standard_normal((50, 4)), variable(4)
    y = np.sign(A @ rng.standard_normal(4) + rng.standard_normal(50))
    return 0.5 * squared_norm(x) + hinge_loss(y * (A @ x))


def signal(rng):
    b = np.repeat(rng.standard_normal(5), 20) + 0.2 * rng.standard_normal(100)
    x = variable(100)
    return 0.5 * squared_norm(x - b) + tv(x)


def image(rng, isotropic, shape=(9, 11)):
    B, X = rng.standard_normal(shape), variable(shape)
    B[: shape[0] // 2] += 1.0
    return 0.5 * squared_norm(X - B) + 0.3 * total_variation(isotropic)(X)


def basis_pursuit(rng):
    A, x0, x = rng.standard_normal((10, 30)), np.zeros(30), variable(30)
    x0[:3] = rng.standard_normal(3)
    b = A @ x0
    return norm1(x) + Indicator(Box(Interval(b, b)))(A @ x)


def largest(rng):
    return max_entry(rng.standard_normal((30, 4)) @ variable(4) + rng.random(30))


def boxed(rng):
    A, x, low = rng.standard_normal((30, 4)), variable(4), np.full(4, -0.5)
    f = norm1(A @ x - A @ np.array([1.0, 0.2, -0.1, -2.0]) - rng.random(30))
    return f + Indicator(Box(Interval(low, -low)))(x)


def grouped(rng):
    A, x = rng.standard_normal((20, 30)), variable(30)
    f = logistic_loss(A @ x) + 0.5 * squared_norm(x)
    return f + group_norm(np.repeat(np.arange(6), 5))(x)


FORMS = {
    "lad": lad,
    "lasso": lasso,
    "svm": svm,
    "tv1": signal,
    "tv2": lambda rng: image(rng, False),
    "tv2 isotropic": lambda rng: image(rng, True),
    "basis pursuit": basis_pursuit,
    "max": largest,
    "box": boxed,
    "groups": grouped,
}


def made(f):
    s = structure(f)
    return fenchel(s) or primal(s)


class Ends:
    """The best point and the best bound so far."""

    def __init__(self, f, form):
        self.f, self.form, self.value, self.lower = f, form, np.inf, -np.inf

    def look(self, method):
        x, y = self.form.pair(method.x, method.y)
        x = feasible(self.form.source, x)
        self.value = min(self.value, float(self.f.value(x)))
        found = dual_bound(self.form.source, x, y)
        self.lower = max(self.lower, found.lower_bound)
        return self.value - self.lower


def run(f, goal=1e-6, steps=60, kind=PrimalDual):
    """The method when its gap is below the goal, and the ends of the optimum."""
    form = made(f)
    method, ends = kind(form), Ends(f, form)
    for _ in range(steps):
        method.step()
        if ends.look(method) <= goal * max(1.0, abs(ends.value)):
            return method, ends
    raise AssertionError(f"gap {ends.value - ends.lower} after {steps} steps")


@pytest.mark.parametrize("name", FORMS)
def test_certified_gap(name):
    f = FORMS[name](np.random.default_rng(1))
    _, ends = run(f)
    _, other = run(f, 1e-9, kind=AugmentedLagrangian)
    size = max(1.0, abs(other.value))
    assert other.lower - 1e-13 * size <= ends.value <= other.value + 1e-6 * size
    assert other.lower - 1e-6 * size <= ends.lower <= other.value + 1e-13 * size


@pytest.mark.parametrize("name", FORMS)
def test_multipliers_are_in_the_domain(name):
    f = FORMS[name](np.random.default_rng(2))
    form = made(f)
    method = PrimalDual(form)
    method.step()
    assert_allclose(method.z, form.linear(method.x) + form.b)
    again = form.dual_prox(method.y, np.full(len(form.blocks), 1e-9))
    assert_allclose(again, method.y, atol=1e-7)


@pytest.mark.parametrize("name", ["lad", "lasso", "tv2", "max"])
def test_settles_and_stops(name):
    f = FORMS[name](np.random.default_rng(3))
    form = made(f)
    method, ends = PrimalDual(form), Ends(f, form)
    for _ in range(100):
        method.step()
        if method.settled:
            break
    assert method.settled
    assert ends.look(method) <= 1e-12 * max(1.0, abs(ends.value))
    x, count = method.x, method.iterations
    method.step()
    assert method.x is x and method.iterations == count


@pytest.mark.parametrize("name", ["svm", "tv2 isotropic", "lad"])
def test_residual_falls_from_restart_to_restart(name):
    form = made(FORMS[name](np.random.default_rng(4)))
    method, changes, count = PrimalDual(form), [], 0
    while len(changes) < 12:
        method._look()
        if method.restarts > count:
            count = method.restarts
            changes.append(method.change)
    changes = np.array(changes)
    assert np.all(changes[4:] < changes[:-4])
    assert changes[-1] < 1e-3 * changes[0]


def test_deterministic():
    f = lasso(np.random.default_rng(5))
    one, two = PrimalDual(made(f)), PrimalDual(made(f))
    for _ in range(5):
        one.step(), two.step()
    assert_array_equal(one.x, two.x)
    assert_array_equal(one.y, two.y)


@pytest.mark.parametrize("a, b", [(1e3, 1.0), (1e-3, 1.0), (1.0, 1e3), (1e-3, 1e-3)])
def test_scales(a, b):
    plain, _ = run(lad(np.random.default_rng(6)), 1e-7)
    scaled, ends = run(lad(np.random.default_rng(6), a, b), 1e-7, 80)
    assert scaled.iterations <= 2 * plain.iterations


def test_warm_start():
    f = image(np.random.default_rng(7), False)
    form = made(f)
    cold, ends = run(f)
    warm = PrimalDual(form, cold.x, cold.y)
    warm.step()
    assert Ends(f, form).look(warm) <= 4e-6 * abs(ends.value)
    assert cold.iterations > 3 * warm.iterations


def test_too_small_an_estimate_of_the_norm_is_found_out():
    form = made(svm(np.random.default_rng(8)))
    method = PrimalDual(form)
    true = method.norm
    method.norm = 0.2 * true
    for _ in range(60):
        method.step()
    assert 0.9 * true < method.norm < 1.1 * true
    assert np.linalg.norm(method.residual()) < 1e-5


def test_norm_of_scaled_blocks():
    form = made(boxed(np.random.default_rng(9)))
    method = PrimalDual(form)
    parts = [k.op.dense() for k in form.blocks]
    squares = np.array([np.mean(np.square(A).sum(-1)) for A in parts])
    assert_allclose(method.rho / method.rho[0], squares[0] / squares, rtol=0.5)
    A = np.concatenate(parts)
    true = np.linalg.norm(np.sqrt(method.each)[:, None] * A, 2)
    assert true < method.norm < 1.05 * true


def test_linear_operator():
    rng, n = np.random.default_rng(10), 64
    rows = np.sort(rng.choice(n, 32, replace=False))

    def back(y):
        full = np.zeros(n)
        full[rows] = y.ravel()
        return fft.idct(full, norm="ortho")

    A = LinearOperator(
        (32, n), lambda x: fft.dct(x.ravel(), norm="ortho")[rows], back, dtype=float
    )
    b, x = rng.standard_normal(32), variable(n)
    method, _ = run(0.5 * squared_norm(linear(A) @ x - b) + 0.3 * norm1(x))
    products = method.products
    method.step()
    assert method.products == products + LOOKS * (2 * LOOK + 1)


def test_sparse():
    rng = np.random.default_rng(11)
    A = sparse.random_array((60, 200), density=0.05, rng=rng, format="csr")
    b, x = rng.standard_normal(60), variable(200)
    run(0.5 * squared_norm(A @ x - b) + 0.1 * norm1(x))


@pytest.mark.parametrize("isotropic", [False, True])
@pytest.mark.parametrize("shape", [(65, 70), (2, 2500)])
def test_stencil(isotropic, shape):
    form = made(image(np.random.default_rng(12), isotropic, shape))
    fused, plain = PrimalDual(form), PrimalDual(form)
    assert fused.fused is not None
    plain.fused = None
    for _ in range(3):
        fused.step(), plain.step()
    assert fused.restarts == plain.restarts
    assert_allclose(fused.x, plain.x, atol=1e-12)
    assert_allclose(fused.y, plain.y, atol=1e-12)
    assert_allclose(fused.change, plain.change, rtol=1e-9)


def test_stencil_only_where_it_fits(monkeypatch):
    rng = np.random.default_rng(13)
    X, B = variable((6, 7)), rng.standard_normal((6, 7))
    f = 0.5 * squared_norm(X - B)
    assert stencils.stencil(made(f + tv(X))) is None
    monkeypatch.setattr(stencils, "LARGE", 1)
    assert stencils.stencil(made(f + tv(X))) is not None
    assert stencils.stencil(made(f + total_variation(False)(X))) is not None
    Y, box = variable((6, 7)), Box(Interval(np.zeros(42), np.ones(42)))
    w, z = rng.random((6, 7)) + 0.5, variable(42)
    for g in (
        0.5 * squared_norm(X - B) + tv(w * X),
        0.5 * squared_norm(w * X - B) + tv(X),
        f + tv(X) + norm1(X),
        f + tv(X - B),
        0.5 * squared_norm(Y - B) + tv(Y) + Indicator(box)(Y),
        0.5 * squared_norm(z - 1.0) + tv(z),
        0.5 * squared_norm(z - 1.0) + norm1(differences((6, 7), common=True) @ z),
    ):
        assert stencils.stencil(primal(structure(g))) is None


def test_without_numba(monkeypatch):
    monkeypatch.setattr(stencils, "compiled", lambda loop: loop)
    form = made(image(np.random.default_rng(14), True, (65, 70)))
    assert PrimalDual(form).fused is None


def test_stacks_hold_one_part_beside_the_whole():
    import tracemalloc

    op, x = differences((300, 300)), np.random.default_rng(0).standard_normal(90_000)
    tracemalloc.start()
    try:
        op.forward(x)
        # Two differences, and one of them.
        assert tracemalloc.get_traced_memory()[1] <= 3.3 * x.nbytes
    finally:
        tracemalloc.stop()


def test_stacks_of_batches_and_of_few_digits():
    rng = np.random.default_rng(0)
    A, B, x = (rng.standard_normal(s) for s in ((2, 1, 4, 3), (5, 3), (7, 3)))
    op = Stack((Matrix(A), Matrix(B), identity(3)))
    z = op.forward(x)
    assert z.shape == (2, 7, 12)
    assert_allclose(z[1, 2], np.concatenate([A[1, 0] @ x[2], B @ x[2], x[2]]))
    short = x[0].astype(np.float32)
    assert Stack((identity(3), identity(3))).forward(short).dtype == np.float32
    mixed = Stack((identity(3), Matrix(B))).forward(short)
    assert_allclose(mixed, np.concatenate([short, B @ short]), rtol=1e-14)


def test_a_map_that_is_zero():
    x = variable(3)
    f = 0.5 * squared_norm(x - np.array([1.0, 2.0, 3.0])) + norm1(np.zeros((2, 3)) @ x)
    method, _ = run(f, 1e-13)
    assert_allclose(method.x, [1.0, 2.0, 3.0], atol=1e-6)


def test_without_a_solution():
    x, A = variable(3), np.concatenate([np.eye(3), np.eye(3)])
    for f in (
        max_entry(np.array([[1.0, 2.0, 3.0], [3.0, 1.0, 1.0]]) @ x),
        norm1(x) + Indicator(Box(Interval(np.arange(6.0), np.arange(6.0))))(A @ x),
    ):
        form = made(f)
        method, ends = PrimalDual(form), Ends(f, form)
        for _ in range(80):
            method.step()
        assert not method.settled
        assert np.isfinite(method.x).all() and np.isfinite(method.y).all()
        assert np.isfinite(method.change)
        assert ends.look(method) == np.inf
