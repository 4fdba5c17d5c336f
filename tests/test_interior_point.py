"""The interior-point method: against cvxpy, as a batch, and its bounds."""

import numpy as np
import pytest

from subgrad import (
    Box,
    Indicator,
    Interval,
    Piecewise,
    Separable,
    berhu_loss,
    epsilon_insensitive_loss,
    fused_lasso,
    hinge_loss,
    huber_loss,
    max_entry,
    norm1,
    norm2,
    pinball_loss,
    squared_hinge_loss,
    squared_norm,
    total_variation,
    trend_filtering,
    tv,
    variable,
)
from subgrad.solvers.structured.boxes import Boxes, boxes
from subgrad.solvers.structured.central_path import Path
from subgrad.solvers.structured.certificate import _bound, dual_bound
from subgrad.solvers.structured.form import primal
from subgrad.solvers.structured.interior_point import (
    InteriorPoint,
    box_dual,
    lower_bounds,
    reach,
)
from subgrad.solvers.structured.normal import Dense, Repeated, normal
from subgrad.solvers.structured.terms import structure

M, N = 30, 6


def data(seed=0, m=M, n=N):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((m, n))
    return A, A @ rng.standard_normal(n) + rng.standard_t(2, m)


def chain(n, order=1):
    return np.diff(np.eye(n), order, axis=0)


def kinds():
    """q, c, A, b, low, high, p; and the same with cvxpy, a function of x."""
    import cvxpy as cp

    A, b = data()
    K, s = chain(N), b[:N]
    one, eye = np.ones(M), np.eye(N)
    AI, bI = np.vstack([A, eye]), np.append(b, np.zeros(N))
    zero = np.zeros(N)

    def ends(first, last):
        return np.append(np.full(M, first), np.full(N, last))

    return {
        "lad": ((0, 0, A, b, -1, 1, 0), lambda x: cp.norm1(A @ x + b)),
        "quantile": (
            (0, 0, A, b, -0.1, 0.9, 0),
            lambda x: 0.9 * cp.sum(cp.pos(A @ x + b)) + 0.1 * cp.sum(cp.neg(A @ x + b)),
        ),
        "svm": (
            (1, 0, A, one, 0, 1, 0),
            lambda x: cp.sum_squares(x) / 2 + cp.sum(cp.pos(A @ x + 1)),
        ),
        "huber": (
            (0, 0, A, b, -2, 2, 0.5),
            lambda x: cp.sum(cp.huber(A @ x + b, 1)),
        ),
        "lasso": (
            (0, 0, AI, bI, ends(-np.inf, -3), ends(np.inf, 3), ends(1, 0)),
            lambda x: cp.sum_squares(A @ x + b) / 2 + 3 * cp.norm1(x),
        ),
        "elastic net": (
            (2, 0, AI, bI, ends(-np.inf, -3), ends(np.inf, 3), ends(1, 0)),
            lambda x: cp.sum_squares(A @ x + b) / 2 + 3 * cp.norm1(x)
            + cp.sum_squares(x),
        ),
        "variation": (
            (1, -s, K, 0, -1, 1, 0),
            lambda x: cp.sum_squares(x) / 2 - s @ x + cp.norm1(K @ x),
        ),
        "lad and slope": (
            (0, A[0], A, b, -1, 1, 0),
            lambda x: cp.norm1(A @ x + b) + A[0] @ x,
        ),
        "orthant": (
            (1, 0, AI, bI, ends(-1, -np.inf), ends(1, 0), 0),
            lambda x: cp.norm1(A @ x + b) + cp.sum_squares(x) / 2
            + cp.transforms.indicator([x >= zero]),
        ),
        "half curved": (
            (np.arange(N) % 2, 0, A, b, -1, 1, 0),
            lambda x: cp.norm1(A @ x + b) + cp.sum_squares(x[1::2]) / 2,
        ),
    }  # fmt: skip


def by_cvxpy(build, n=N):
    import cvxpy as cp

    x = cp.Variable(n)
    problem = cp.Problem(cp.Minimize(build(x)))
    tight = {f"tol_{k}": 1e-12 for k in ("gap_abs", "gap_rel", "feas")}
    return float(problem.solve(solver="CLARABEL", **tight))


@pytest.mark.parametrize("kind", kinds())
def test_every_kind_agrees_with_cvxpy(kind):
    args, build = kinds()[kind]
    best = by_cvxpy(build)
    found = box_dual(*args, gap=1e-10)
    assert abs(found.value - best) <= 1e-8 * max(1, abs(best))
    assert found.lower <= best + 1e-9 * max(1, abs(best))
    assert found.value - found.lower <= 1e-10 * max(1, abs(found.value))


@pytest.mark.parametrize("kind", kinds())
def test_bounds_hold_from_the_first_step_on(kind):
    args, _ = kinds()[kind]
    best = float(box_dual(*args, gap=1e-11).value)
    last = -np.inf
    for steps in range(1, 14):
        found = box_dual(*args, gap=0.0, steps=steps)
        assert found.lower <= best + 1e-9 * max(1, abs(best))
        assert found.value >= best - 1e-9 * max(1, abs(best))
        last = max(last, float(found.lower))
    assert best - last <= 1e-2 * max(1, abs(best))


def test_a_batch_is_as_its_problems():
    rng = np.random.default_rng(1)
    A, b = rng.standard_normal((2, 5, 20, 4)), rng.standard_normal((2, 5, 20))
    w = rng.uniform(0.5, 2, (5, 20))
    found = box_dual(0, 0, A, b, -w, w)
    assert found.x.shape == (2, 5, 4) and found.y.shape == (2, 5, 20)
    assert np.all(found.value - found.lower <= 1e-6 * np.maximum(1, found.value))
    for i in np.ndindex(2, 5):
        one = box_dual(0, 0, A[i], b[i], -w[i[1]], w[i[1]])
        np.testing.assert_allclose(found.x[i], one.x, atol=1e-9)
        np.testing.assert_allclose(found.lower[i], one.lower, rtol=1e-12)
    again = box_dual(0, 0, A, b, -w, w)
    for a, c in zip(found, again, strict=True):
        np.testing.assert_array_equal(a, c)


@pytest.mark.parametrize("n", [4, 25])
@pytest.mark.parametrize("q", [0.0, 1.0])
def test_one_matrix_for_a_batch(n, q):
    rng = np.random.default_rng(2)
    A, b = rng.standard_normal((40, n)), rng.standard_normal((7, 40))
    found = box_dual(q, 0, A, b, -1, 1, gap=1e-9)
    each = box_dual(q, 0, np.stack([A] * 7), b, -1, 1, gap=1e-9)
    np.testing.assert_allclose(found.value, each.value, rtol=1e-9)
    assert np.all(found.value - found.lower <= 1e-9 * np.maximum(1, found.value))


def test_fewer_rows_than_columns():
    rng = np.random.default_rng(3)
    A, b = rng.standard_normal((6, 8, 20)), rng.standard_normal((6, 8))
    found = box_dual(1, 0, A, b, -1, 1, gap=1e-9)
    assert np.all(found.value - found.lower <= 1e-9 * np.maximum(1, found.value))
    # Without a quadratic the values are zero on a subspace: no distance is known.
    flat = box_dual(0, 0, A[0], b[0], -1, 1, steps=20)
    assert flat.value < 1e-6 and flat.lower <= 0


@pytest.mark.parametrize("a", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("c", [1e-6, 1.0, 1e6])
def test_scales(a, c):
    A, b = data(4)
    b = c * b
    for q in (0.0, a * a / max(c, 1)):
        found = box_dual(q, 0, a * A, b, -1, 1, gap=1e-9)
        gap = found.value - found.lower
        assert gap <= 1e-9 * max(1, found.value)


def test_degenerate_data():
    A, b = data(5, 20, 4)
    twice = np.vstack([A, A, np.zeros((3, 4))])
    shift = np.concatenate([b, b, [0.0, 1.0, -2.0]])
    plain, found = box_dual(0, 0, A, b, -1, 1), box_dual(0, 0, twice, shift, -1, 1)
    np.testing.assert_allclose(found.value, 2 * plain.value + 3, rtol=2e-6)
    assert found.lower <= found.value <= found.lower + 1e-6 * found.value

    # b in the range of A: the optimum is zero, and all rows touch it.
    exact = box_dual(0, 0, A, A @ np.arange(4.0), -1, 1)
    assert exact.value <= 1e-6 and -1e-6 <= exact.lower <= exact.value

    # Columns that are zero or equal leave minimisers far away.
    wide = np.hstack([A, A[:, :1], np.zeros((20, 1))])
    loose = box_dual(0, 0, wide, b, -1, 1, steps=20)
    np.testing.assert_allclose(loose.value, plain.value, rtol=1e-6)
    assert loose.lower == -np.inf
    firm = box_dual(1e-9, 0, wide, b, -1, 1)
    assert firm.lower <= firm.value <= firm.lower + 1e-6 * firm.value

    # Multipliers that are fixed, of weights zero.
    w = np.append(np.ones(10), np.zeros(10))
    half = box_dual(0, 0, A[:10], b[:10], -1, 1)
    fixed = box_dual(0, 0, A, b, -w, w)
    np.testing.assert_allclose(fixed.value, half.value, rtol=2e-6)
    np.testing.assert_array_equal(fixed.y[10:], 0)


def test_unbounded_problems_have_no_bound():
    A, b = data(6, 10, 3)
    found = box_dual(0, [[0, 0, 1e3], [0, 0, 0]], A, b, -1, 1, steps=30)
    assert found.lower[0] == -np.inf
    assert np.isfinite(found.lower[1])


def test_minimisers_lie_within_reach():
    A, b = data(7, 40, 4)
    tight = box_dual(0, 0, A, b, -1, 1, gap=1e-11)
    rng = np.random.default_rng(0)
    for size in (1e-6, 1e-3, 1.0):
        x = tight.x + size * rng.standard_normal(4)
        z = A @ x + b
        base = float(tight.y @ b) + (A.T @ tight.y) @ x
        far = reach(
            Dense(np.zeros(4), A), np.abs(z).sum() - base,
            np.linalg.norm(A.T @ tight.y), z, tight.y, np.zeros(40),
            np.array([-np.ones(40), np.ones(40)]),
        )  # fmt: skip
        assert np.linalg.norm(x - tight.x) <= far + 1e-7
        assert far <= 1e3 * (size + 1e-6)


def forms():
    """Functions of few variables, one for each kind of atom and of map."""
    A, b = data(8)
    x, s = variable(N), b[:N]
    near = 0.5 * squared_norm(x - s)
    narrow = Indicator(Box(Interval(-0.5 * np.ones(N), 0.5 * np.ones(N))))
    B = A[:3]
    point = Indicator(Box(Interval(b[:3], b[:3])))
    w = np.append(0.0, np.linspace(0.5, 2, M - 1))
    return {
        "lad": norm1(A @ x - b),
        "quantile": pinball_loss(0.9)(A @ x - b),
        "hinge": 0.5 * squared_norm(x) + 2 * hinge_loss(A @ x),
        "squared hinge": squared_hinge_loss(A @ x) + norm1(x),
        "huber": huber_loss(0.5)(A @ x - b),
        "berhu": berhu_loss(0.5)(A @ x - b),
        "weights": Separable(huber_loss(0.5).phi, w)(A @ x - b),
        "epsilon": 3 * epsilon_insensitive_loss(0.3)(A @ x - b),
        "lasso": 0.5 * squared_norm(A @ x - b) + 5 * norm1(x),
        "box": norm1(A @ x - b) + narrow(x),
        "equations": norm1(x) + point(B @ x),
        "variation": near + tv(x),
        "fused": near + fused_lasso(0.1, 0.7)(x),
        "trend": near + 2 * trend_filtering(1)(x),
        "piecewise": near
        + Separable(Piecewise([-1, 0, 2], [[0, -1], [0, -1], [0, 0, 1], [-8, 6]]))(x),
    }


@pytest.mark.parametrize("name", forms())
def test_forms_agree_with_cvxpy(name):
    f = forms()[name]
    s = structure(f, N)
    method = InteriorPoint(primal(s))
    for _ in range(25):
        method.step()
    best = by_cvxpy(f.to_cvxpy)
    room = 1e-8 * max(1, abs(best))
    assert abs(f.value(method.x) - best) <= room
    np.testing.assert_allclose(
        method.z, primal(s).linear(method.x) + primal(s).b, atol=1e-12
    )
    form = primal(s)
    r = form.q * method.x + form.c + form.adjoint(method.y)
    assert np.abs(r).max() <= 1e-8 * (1 + np.abs(method.y).max())
    if name not in ("squared hinge", "huber", "berhu", "weights", "box", "equations"):
        proof = dual_bound(s, *form.pair(method.x, method.y))
        assert proof.lower_bound <= best + room
        assert proof.lower_bound >= best - 2 * room


def test_sparse_maps_that_are_not_banded(monkeypatch):
    rng = np.random.default_rng(0)
    b = np.zeros((6, 6))
    b[2:4, 1:] = 1
    X = variable((6, 6))
    f = 0.5 * squared_norm(X - b - 0.1 * rng.standard_normal((6, 6)))
    s = structure(f + 0.2 * total_variation(False)(X))
    import subgrad.solvers.structured.sparse_systems as module

    values = []
    for band in (16, 0):
        monkeypatch.setattr(module, "BAND", band)
        method = InteriorPoint(primal(s))
        assert method.system.banded == (band == 16)
        for _ in range(20):
            method.step()
        values.append(method.x)
    np.testing.assert_allclose(*values, atol=1e-9)


def test_a_long_signal_in_a_few_steps():
    rng = np.random.default_rng(0)
    n = 3000
    b = np.repeat(rng.standard_normal(20), n // 20) + 0.2 * rng.standard_normal(n)
    x = variable(n)
    f = 0.5 * squared_norm(x - b) + tv(x)
    s = structure(f)
    method = InteriorPoint(primal(s))
    for _ in range(12):
        method.step()
    proof = dual_bound(s, *primal(s).pair(method.x, method.y))
    assert f.value(method.x) - proof.lower_bound <= 1e-6 * f.value(method.x)
    assert proof.verify(f)


def systems():
    from scipy.sparse import csr_array

    rng = np.random.default_rng(0)
    A, q = rng.standard_normal((2, 7, 4)), rng.uniform(0.5, 3, (2, 4))
    wide, x = rng.standard_normal((3, 4)), variable(4)
    plain = 3 * squared_norm(x)
    even = csr_array(np.diag([1.0, 2, 3], 1)[:3] - np.diag([3.0, 1, 2, 0])[:3])
    uneven = csr_array([[1.0, 2, 0, 0], [0, 0, 0, 0], [0, 3, 0, 0], [0, 0, 1, -1]])
    return {
        "dense": Dense(q[0], A[0]),
        "batch": Dense(q, A),
        "one matrix": Dense(q, A[0]),
        "large": Dense(rng.uniform(1, 2, (2, 25)), rng.standard_normal((2, 30, 25))),
        "thin": Dense(q[0], wide),
        "thin batch": Dense(q, np.stack([wide, 2 * wide])),
        "bands": normal(primal(structure(plain + fused_lasso(1.0, 1.0)(x)))),
        "wide bands": normal(primal(structure(plain + trend_filtering(1)(x)))),
        "even bands": normal(primal(structure(plain + norm1(even @ x)))),
        "uneven bands": normal(primal(structure(plain + norm1(uneven @ x)))),
        "diagonal": normal(primal(structure(plain + norm1(2 * x)))),
        "mixed": normal(primal(structure(plain + norm1(A[0] @ x) + norm1(2 * x)))),
        "mixed thin": normal(primal(structure(norm1(wide @ x) + norm1(2 * x)))),
        "repeated": Repeated(Dense(q[0], wide), np.array([0, 2, 2, 1, 0]), 3),
    }  # fmt: skip


@pytest.mark.parametrize("name", systems())
def test_systems(name):
    A = systems()[name]
    inner = A.system if name == "repeated" else A
    q = inner.q
    rng = np.random.default_rng(1)
    rows = A.forward(np.zeros_like(q)).shape
    D, s = rng.uniform(0.1, 10, rows), rng.standard_normal(rows)
    r = rng.standard_normal(q.shape)
    dx, dy, dz = A.factor(D)(r.copy(), s.copy())
    np.testing.assert_allclose(dz, A.forward(dx), atol=1e-12)
    np.testing.assert_allclose(dz - dy / D, -s, atol=1e-11)
    np.testing.assert_allclose(q * dx + A.adjoint(dy), -r, atol=1e-11)
    if q.ndim == 1:
        K = np.stack([A.forward(e) for e in np.eye(len(q))], -1)
        np.testing.assert_allclose(A.norms(), np.linalg.norm(K, axis=-1))


def test_bands_are_read_in_place_where_rows_are_even():
    found = systems()
    for name in ("bands", "wide bands", "diagonal", "even bands"):
        assert found[name].stencils and not hasattr(found[name], "gather")
    assert found["uneven bands"].banded and not found["uneven bands"].stencils


def peak(make):
    """The most that it takes beside what there was before."""
    import tracemalloc

    tracemalloc.start()
    try:
        make()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def steps_of(form):
    method = InteriorPoint(form)
    for _ in range(2):
        method.step()
    return method.gap


def test_little_memory_is_taken():
    from scipy.sparse import diags_array

    rng = np.random.default_rng(0)
    n = 60_000
    x, b = variable(n), rng.standard_normal(n)
    D = diags_array([-1.0, 1.0], offsets=[0, 1], shape=(n - 1, n)).tocsr()
    long = primal(structure(0.5 * squared_norm(x - b) + 3 * norm1(D @ x)))
    # x, y, r, two s and λ, the factor, a first step, two right sides; and slices.
    assert peak(lambda: steps_of(long)) <= 8 * 13.1 * n
    assert peak(lambda: InteriorPoint(long)) <= 8 * 11 * n
    A = rng.standard_normal((40_000, 40))
    tall = primal(structure(norm1(A @ variable(40) - rng.standard_normal(40_000))))
    assert peak(lambda: steps_of(tall)) <= 0.45 * A.nbytes


def even_maps(n=40):
    """Of several maps, whose rows do not begin and end with slices."""
    from scipy.sparse import csr_array

    x, b = variable(n), np.random.default_rng(0).standard_normal(n - 1)
    wide = np.eye(n)[:-3] - 2 * np.eye(n, k=1)[:-3] + 3 * np.eye(n, k=3)[:-3]
    rows = (norm1(csr_array(chain(n)) @ x - b), norm1(csr_array(wide) @ x), norm1(x))
    A = np.concatenate([chain(n), wide, np.eye(n)])
    return primal(structure(squared_norm(x - 1) + sum(rows))), A


def test_rows_are_made_where_they_are_read(monkeypatch):
    import subgrad.solvers.structured.sparse_systems as module

    monkeypatch.setattr(module, "SLICE", 12)
    form, A = even_maps()
    system, m = normal(form), len(A)
    assert len(system.stencils) == 3
    x, b = np.random.default_rng(1).standard_normal((2, m))
    x = x[: form.n]
    for own, of in ((None, 0.0), (b, b), (b[:1], b[0])):
        found, z = module.Rows(system, x, own), A @ x + of
        np.testing.assert_allclose(found, z, atol=1e-13)
        some = np.array([m - 1, 0, 40])
        np.testing.assert_allclose(found[some], z[some], atol=1e-13)
        for at in (slice(0, m), slice(35, 41), slice(70, 200), slice(5, 6)):
            np.testing.assert_allclose(found[..., at], z[at], atol=1e-13)
    np.testing.assert_allclose(system.forward(x), A @ x, atol=1e-13)
    np.testing.assert_allclose(system.adjoint(b), b @ A, atol=1e-12)


def test_nothing_is_copied_where_maps_are_read_in_place():
    from scipy.sparse import csr_array

    n, x = 30, variable(30)
    form = primal(structure(squared_norm(x) + norm1(csr_array(2 * chain(n)) @ x)))
    system, rng = normal(form), np.random.default_rng(0)
    D, r, s = rng.uniform(0.1, 10, n - 1), *rng.standard_normal((2, n))
    s = s[1:]
    # The factor tells D, without it being kept.
    weights = system._banded(D.copy())[1]
    np.testing.assert_allclose(weights(slice(0, 29)), D, rtol=1e-14)
    np.testing.assert_allclose(weights(slice(3, 9)), D[3:9], rtol=1e-14)
    dx, dy, _ = system.factor(D)(r, s)
    assert np.shares_memory(dx, r) and dy is s


def test_lifts_of_maps_that_are_read_in_place():
    from scipy.sparse import csr_array

    x, n = variable(12), 12
    D = csr_array(chain(n)) @ x
    f = squared_norm(x - np.arange(n)) + 5 * max_entry(D) + max_entry(-1 * D)
    A = InteriorPoint(primal(structure(f))).path.system
    assert len(A.E) == 2 and A.base.stencils
    rng, q = np.random.default_rng(0), np.append(A.q, np.zeros(2))
    s, r = rng.standard_normal(A.E.shape[1]), rng.standard_normal(n + 2)
    W, kept = rng.uniform(0.1, 10, len(s)), r.copy()
    dx, dy, dz = A.factor(W)(r, s.copy())
    assert np.array_equal(r, kept)
    np.testing.assert_allclose(dz, A.forward(dx), atol=1e-12)
    np.testing.assert_allclose(dz - dy / W, -s, atol=1e-11)
    np.testing.assert_allclose(q * dx + A.adjoint(dy), -r, atol=1e-11)


def test_data_are_not_copied():
    x, b = variable(5), np.arange(5.0)
    near = 0.5 * squared_norm(x - b)
    assert np.shares_memory(structure(near + norm1(x)).c, structure(near).c)
    for f, c in ((near + near, -2 * b), (3 * near, -3 * b)):
        np.testing.assert_allclose(structure(f + norm1(x)).c, c)


@pytest.mark.parametrize("kind", ["even maps", "batch"])
def test_steps_by_slices_are_the_same(kind, monkeypatch):
    import subgrad.solvers.structured.central_path as module

    found = []
    for size in (1000, 7):

        def slices(m, width, size=size):
            return [slice(k, k + size) for k in range(0, m, size)]

        monkeypatch.setattr(module, "slices", slices)
        if kind == "batch":
            A, b = data(15)
            q, zero = np.ones((2, N)), np.zeros((2, M))
            box = Boxes(np.stack([b, 2 * b]), zero + 0.1, zero - 1, zero + 2)
            path = Path(Dense(q, A), q, 0 * q, box)
        else:
            path = InteriorPoint(even_maps()[0]).path
        for _ in range(5):
            path.step()
        found.append((path.x, path.y, path.s, path.lam, *path.look()))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-9)


def test_iterates_given_stay_what_they_are():
    method = InteriorPoint(even_maps()[0])
    for _ in range(3):
        method.step()
        x, y = method.x, method.y
        kept = x.copy(), y.copy()
        method.step()
        assert np.array_equal(x, kept[0]) and np.array_equal(y, kept[1])
        assert not np.array_equal(x, method.x)


def test_values_where_ends_are_infinite():
    box = Boxes(
        np.zeros((1, 2)), np.zeros((1, 2)), *np.array([[[-np.inf] * 2], [[0, 1]]])
    )
    path = Path(
        Dense(np.ones((1, 2)), np.eye(2)), np.ones((1, 2)), np.zeros((1, 2)), box
    )
    for z, value in ((0.0, 0.0), (2.0, 2.0), (-1e-9, np.inf)):
        path.z = np.array([[z, z]])
        assert path.look()[0] - path.x @ path.x.T / 2 == value


@pytest.mark.parametrize("size", [1e-7, 1e-3, 1.0])
def test_a_bound_from_any_point(size):
    A, b = data(13)
    rng = np.random.default_rng(0)
    for q in (0.0, 1.0):
        best = box_dual(q, 0, A, b, -1, 1, gap=1e-11)
        full, zero = np.full((1, N), q), np.zeros((1, M))
        box = Boxes(b[None], zero, zero - 1, zero + 1)
        path = Path(Dense(full, A), full, np.zeros((1, N)), box)
        found = []
        for _ in range(20):
            path.x = best.x[None] + size * rng.standard_normal((1, N))
            path.y = best.y[None] + size * rng.standard_normal((1, M))
            value = np.abs(A @ path.x[0] + b).sum() + q / 2 * np.sum(path.x**2)
            bound = lower_bounds(path, np.array([value]), slice(None))
            assert bound[0] <= best.value + 1e-9
            if q:
                # The minimum over x, whatever x is.
                y = np.clip(path.y[0], -1, 1)
                least = b @ y - np.sum((A.T @ y) ** 2) / 2
                np.testing.assert_allclose(bound[0], least, rtol=1e-10)
            found.append(bound[0])
        if size == 1e-7:
            assert np.max(found) >= best.value - 1e-3


def test_minimisers_far_from_one_another():
    # |x| + |x - 1|: all of [0, 1], and the multipliers 1/2 and -1/2 prove little.
    far = reach(
        Dense(np.zeros(1), np.ones((2, 1))), np.array(0.5), np.array(0.0),
        np.array([0.0, -1.0]), np.array([0.5, -0.5]), np.zeros(2),
        np.array([-np.ones(2), np.ones(2)]),
    )  # fmt: skip
    # (1/2 + 1/2) / σ, σ = 1 / √2.
    np.testing.assert_allclose(far, np.sqrt(2), rtol=1e-9)


def test_trends_in_a_few_steps():
    rng = np.random.default_rng(0)
    b = np.cumsum(np.cumsum(rng.standard_normal(600))) / 100
    x = variable(600)
    f = 0.5 * squared_norm(x - b - rng.standard_normal(600)) + 9 * trend_filtering(1)(x)
    s = structure(f)
    method = InteriorPoint(primal(s))
    for _ in range(16):
        method.step()
    proof = dual_bound(s, *primal(s).pair(method.x, method.y))
    assert f.value(method.x) - proof.lower_bound <= 1e-9 * f.value(method.x)


def path_of(q, c, A, b, low, high):
    """One problem as a batch of one."""
    m, n = A.shape
    q, c = np.full((1, n), q), np.reshape(c, (1, n))
    zero = np.zeros((1, m))
    return Path(Dense(q, A), q, c, Boxes(b[None], zero, zero + low, zero + high))


def test_steps_are_few():
    counts = []
    for seed in range(8):
        A, b = data(seed, 200, 20)
        for q in (0.0, 0.1):
            path = path_of(q, np.zeros(20), A, b, -1.0, 1.0)
            steps, rough, value = 0, np.inf, 1.0
            while rough > 1e-9 * value:
                path.step()
                value, rough = path.look()
                steps += 1
            counts.append(steps)
    assert max(counts) <= 14 and np.mean(counts) <= 10.1


def test_gaps_are_known_before_bounds():
    f = forms()["trend"]
    s = structure(f, N)
    form = primal(s)
    method = InteriorPoint(form)
    for _ in range(8):
        method.step()
        x, ys = form.pair(method.x, method.y)
        proof, bound = dual_bound(s, x, ys), _bound(s, x, ys, None, ())[0]
        gap = f.value(x) - bound  # without what is charged for rounding
        np.testing.assert_allclose(method.gap, gap, rtol=1e-6, atol=1e-13)
        assert bound - 1e-12 <= proof.lower_bound <= bound


def test_distances_to_ends_stay_positive():
    A, b = data(14, 20, 3)
    shift = 1e12
    path = path_of(0.0, -shift * A.sum(0), A, b, shift - 1, shift + 1)
    for _ in range(40):
        path.step()
        assert path.s.min() > 0 and np.isfinite(path.x).all()


def test_steps_do_not_depend_on_the_scales():
    A, b = data(10)
    w = np.array([1.0, 1e3, 1e-3])
    q = np.full((3, N), 0.1)
    for c in (1.0, 1e4):
        # x -> x / w, then values times c.
        found = box_dual(
            c * q * (w * w)[:, None], 0, w[:, None, None] * A, b, -c, c,
            gap=1e-9, steps=9,
        )  # fmt: skip
        np.testing.assert_allclose(found.value, found.value[0], rtol=1e-7)
        np.testing.assert_allclose(w[:, None] * found.x, found.x[[0] * 3], rtol=1e-5)


def test_least_squares_take_one_step():
    A, b = data(11)
    found = box_dual(0, 0, A, b, -np.inf, np.inf, 1.0, steps=2)
    np.testing.assert_allclose(found.x, np.linalg.lstsq(A, -b)[0], atol=1e-10)
    np.testing.assert_allclose(found.y, A @ found.x + b, atol=1e-10)


def test_parts_of_a_large_batch_are_put_together(monkeypatch):
    import subgrad.solvers.structured.interior_point as module

    rng = np.random.default_rng(12)
    A, b = rng.standard_normal((5, 12, 3)), rng.standard_normal((5, 12))
    whole = box_dual(0, 0, A, b, -1, 1)
    monkeypatch.setattr(module, "TOGETHER", 80)
    parts = box_dual(0, 0, A, b, -1, 1)
    np.testing.assert_allclose(parts.value, whole.value, rtol=1e-9)
    assert box_dual(0, 0, A[:0], b[:0], -1, 1).x.shape == (0, 3)


def test_wrong_data_are_refused():
    A, b = data()
    with pytest.raises(ValueError, match="low must not be above high"):
        box_dual(0, 0, A, b, 1, -1)
    with pytest.raises(ValueError, match="not convex"):
        box_dual(-1, 0, A, b, -1, 1)
    with pytest.raises(ValueError, match=r"shape \(\.\.\., m, n\)"):
        box_dual(0, 0, b, b, -1, 1)
    with pytest.raises(ValueError, match="b must not contain nan"):
        box_dual(0, 0, A, np.full(M, np.nan), -1, 1)


def test_starts_anywhere():
    A, b = data(9)
    f = norm1(A @ variable(N) - b)
    form = primal(structure(f))
    ends = []
    for x in (None, np.full(N, 1e3), np.full(N, 1e-3)):
        method = InteriorPoint(form, x)
        for _ in range(25):
            method.step()
        ends.append(f.value(method.x))
    np.testing.assert_allclose(ends, ends[0], rtol=1e-9)


@pytest.mark.parametrize(
    "h",
    [norm1, hinge_loss, pinball_loss(0.3), epsilon_insensitive_loss(0.5),
     huber_loss(0.7), berhu_loss(0.7), squared_hinge_loss, squared_norm,
     Separable(Piecewise([-1, 1], [[np.inf], [0, 0, 1], [np.inf]])),
     Separable(Piecewise([], [[1, 2, 3]])),
     Separable(Piecewise([0], [[0, 0, 1], [0, 0, 2]]))],
    ids=str,
)  # fmt: skip
def test_an_atom_is_the_sum_of_its_intervals(h):
    box = boxes(2.5 * h, 1)
    z = np.linspace(-0.99, 0.99, 41)
    t = z[:, None] + box.b
    ends = np.where(t > 0, box.high, box.low)
    with np.errstate(divide="ignore", invalid="ignore"):
        y = np.where(box.p > 0, np.clip(t / box.p, box.low, box.high), ends)
        each = np.where(t == 0, 0.0, y * t)
        each = each - np.where(box.p > 0, box.p * y * y / 2, 0.0)
    least = np.array([(2.5 * h).value(np.array([v])) for v in z])
    got = each.sum(-1)
    np.testing.assert_allclose(got - got[0], least - least[0], atol=1e-12)
    assert np.all(box.low <= box.high) and np.all(box.p >= 0)


def test_what_has_no_box_is_refused():
    x = variable(3)
    form = primal(structure(norm2(np.eye(3) @ x) + norm1(x)))
    with pytest.raises(ValueError, match="intervals"):
        InteriorPoint(form)
