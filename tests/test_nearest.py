"""Nearest points against closed forms, rational arithmetic, planted answers, cvxpy."""

from __future__ import annotations

import itertools
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

import subgrad as sg
from subgrad.sets._least_squares import LeastSquares
from subgrad.sets.nearest import (
    ProjectionError,
    nearest,
    nearest_box_image,
    nearest_cone,
)

TOL = 1e-9


def rationals(a):
    return [[Fraction(float(v)) for v in row] for row in a]


def dot(a, b):
    return sum((p * q for p, q in zip(a, b, strict=True)), Fraction(0))


def solve_rational(M, b):
    """Gauss-Jordan elimination of M x = b, M regular."""
    rows = [[*row, v] for row, v in zip(M, b, strict=True)]
    for i in range(len(rows)):
        pivot = next(k for k in range(i, len(rows)) if rows[k][i] != 0)
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [v / rows[i][i] for v in rows[i]]
        for k in range(len(rows)):
            if k != i and rows[k][i] != 0:
                rows[k] = [
                    a - rows[k][i] * c for a, c in zip(rows[k], rows[i], strict=True)
                ]
    return [row[-1] for row in rows]


def exact(atoms, t, lower, upper):
    """Residual of min |sum x_j a_j - t|, lower <= x <= upper, in rational numbers."""
    k = len(atoms)
    low = [Fraction(float(v)) if np.isfinite(v) else None for v in lower]
    high = [Fraction(float(v)) if np.isfinite(v) else None for v in upper]
    x = [Fraction(float(v)) for v in np.clip(0.0, lower, upper)]
    free: list[int] = []
    while True:
        r = [dot(x, [a[i] for a in atoms]) - t[i] for i in range(len(t))]
        price = [Fraction(0)] * k
        for j in set(range(k)) - set(free):
            g = dot(atoms[j], r)
            if g < 0 and (high[j] is None or x[j] < high[j]):
                price[j] = -g
            if g > 0 and (low[j] is None or x[j] > low[j]):
                price[j] = g
        if max(price) == 0:
            return r
        free.append(price.index(max(price)))
        while free:
            r = [dot(x, [a[i] for a in atoms]) - t[i] for i in range(len(t))]
            gram = [[dot(atoms[i], atoms[j]) for j in free] for i in free]
            d = solve_rational(gram, [-dot(atoms[i], r) for i in free])
            step = Fraction(1)
            for j, dj in zip(free, d, strict=True):
                end = low[j] if dj < 0 else high[j]
                if dj != 0 and end is not None:
                    step = min(step, (end - x[j]) / dj)
            for j, dj in zip(free, d, strict=True):
                x[j] += step * dj
            if step == 1:
                break
            free = [j for j in free if x[j] not in (low[j], high[j])]


def exact_hull(vertices, y, rays=()):
    """The nearest point of conv(vertices) + cone(rays), by homogenisation."""
    (target,) = rationals([y])
    size = Fraction(2) ** int(np.log2(np.abs(vertices).max() + np.abs(y).max() + 1))
    shifted = [
        [(a - b) / size for a, b in zip(v, target, strict=True)]
        for v in rationals(vertices)
    ]
    atoms = [[Fraction(1), *s] for s in shifted]
    atoms += [[Fraction(0), *ray] for ray in rationals(rays)]
    t = [Fraction(1)] + [Fraction(0)] * len(target)
    r = exact(atoms, t, np.zeros(len(atoms)), np.full(len(atoms), np.inf))
    return [b + size * w / (1 + r[0]) for b, w in zip(target, r[1:], strict=True)]


def distance(p, reference):
    return max(abs(Fraction(float(a)) - b) for a, b in zip(p, reference, strict=True))


def size_around(vertices, y):
    return float(np.linalg.norm(vertices - y, axis=-1).max())


def defect(p, y, vertices):
    """max_i <y - p, v_i - p>: zero at the nearest point, positive elsewhere."""
    return float(((vertices - p) @ (y - p)).max())


def hull(vertices, y):
    return nearest(None, y, vertices=vertices)


def oracle(vertices, rays=None):
    """The atom of conv(vertices) + cone(rays)."""

    def atom(d):
        ray = None
        if rays is not None:
            slope = rays @ d / np.linalg.norm(rays, axis=1)
            if slope.max() > 1e-12 * np.linalg.norm(d):
                ray = rays[slope.argmax()]
        return vertices[(vertices @ d).argmax()], ray

    return atom


def project_simplex(y):
    """Sorting, Held, Wolfe, Crowder 1974."""
    u = np.sort(y)[::-1]
    excess = (np.cumsum(u) - 1) / np.arange(1, y.size + 1)
    return np.maximum(y - excess[np.flatnonzero(u > excess)[-1]], 0)


def project_l1_ball(y):
    if np.abs(y).sum() <= 1:
        return y
    return np.sign(y) * project_simplex(np.abs(y))


# ---------------------------------------------------------------- closed forms


@pytest.mark.parametrize("n", [1, 2, 5, 40])
@pytest.mark.parametrize("size", [0.1, 1.0, 30.0])
def test_simplex_and_cross_polytope(n, size):
    rng = np.random.default_rng(n)
    eye = np.eye(n)
    for y in size * rng.standard_normal((5, n)):
        tol = TOL * max(1, size)
        assert hull(eye, y) == pytest.approx(project_simplex(y), abs=tol)
        ball = np.vstack([eye, -eye])
        assert hull(ball, y) == pytest.approx(project_l1_ball(y), abs=tol)
        assert nearest(oracle(ball), y) == pytest.approx(project_l1_ball(y), abs=tol)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_lattice_with_all_its_ties(n):
    lattice = np.array(list(itertools.product([-1.0, 0.0, 1.0], repeat=n)))
    rng = np.random.default_rng(n)
    points = [2 * rng.standard_normal(n) for _ in range(5)]
    points += [np.ones(n), 2 * np.ones(n), np.zeros(n), np.eye(n)[0] * 3]
    for y in points:
        expected = np.clip(y, -1, 1)
        assert hull(lattice, y) == pytest.approx(expected, abs=1e-12)
        assert nearest(oracle(lattice), y) == pytest.approx(expected, abs=1e-12)


def test_line_segment_one_point_and_equal_points():
    vertices = np.array([[3.0], [1.0], [2.0]])
    assert hull(vertices, np.array([0.0])) == 1.0
    assert hull(vertices, np.array([5.0])) == 3.0
    assert hull(vertices, np.array([1.7])) == pytest.approx(1.7, abs=1e-12)
    point = np.array([[0.3, -0.7, 1e5]])
    for y in (np.zeros(3), point[0]):
        assert hull(point, y) == pytest.approx(point[0], abs=1e-10)
        assert hull(np.tile(point, (7, 1)), y) == pytest.approx(point[0], abs=1e-10)


# ------------------------------------------------------------ rational references


def nasty(rng, n):
    normal = rng.standard_normal
    base = normal((n + 2, n)) + 1
    for h in (1e-6, 1e-10, 1e-12, 1e-13, 1e-14, 1e-15, 1e-16):
        yield f"near duplicates {h}", np.vstack([base, base + h * normal(base.shape)])
        middle = rng.dirichlet(np.ones(len(base)), n + 2) @ base
        middle += h * normal(middle.shape)
        yield f"near dependent {h}", np.vstack([base, middle])
        edge = rng.dirichlet(np.ones(2), 4) @ base[:2] + h * normal((4, n))
        yield f"near an edge {h}", np.vstack([base[:2], edge])
    yield "duplicates", np.vstack([base, base, base[::-1]])
    yield "lattice", rng.integers(-1, 2, (12, n)).astype(float)
    yield "rank deficient", normal((7, 1)) @ normal((1, n)) + normal(n)
    yield "offset 1e6", 1e6 + normal((3 * n, n))
    yield "mixed scales", normal((3 * n, n)) * 10.0 ** rng.integers(-8, 8, (3 * n, 1))
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    circle = np.zeros((16, n))
    circle[:, 0], circle[:, n - 1] = np.cos(angle), np.sin(angle)
    yield "circle", 1e-6 * circle + 1


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n", [1, 2, 3])
def test_hull_against_rational_arithmetic(n, seed):
    rng = np.random.default_rng(100 * n + seed)
    scale = [1.0, 1e-8, 1e8, 1.0][seed]
    for name, vertices in nasty(rng, n):
        edge = (vertices[0] + vertices[-1]) / 2
        for y in (
            np.zeros(n),
            3 * rng.standard_normal(n),
            vertices[0],
            edge + 1e-9 * rng.standard_normal(n),
        ):
            V, z = scale * vertices, scale * y
            error = distance(hull(V, z), exact_hull(V, z))
            rounding = 4e-16 * np.abs(z).max()
            assert error <= TOL * size_around(V, z) + rounding, (name, y)


def test_the_hidden_gap():
    """A vertex below the face by 1e-15 moves the answer by about 1e-7.

    In double precision the vertex (-1 + 1e-7, 1 - 1e-15) cannot be told from the edge.
    """
    d = 2.0**-23
    vertices = np.array([[-1.0, 1.0], [1.0, 1.0], [-1 + d, 1 - 2.0**-50]])
    y = np.array([-1 + d / 2, 0.0])
    reference = exact_hull(vertices, y)
    plain = exact_hull(vertices[:2], y)
    moved = max(abs(a - b) for a, b in zip(reference, plain, strict=True))
    assert moved > 5e-9
    assert distance(hull(vertices, y), reference) <= TOL * size_around(vertices, y)


@pytest.mark.parametrize("seed", [4, 76, 271, 561])
def test_what_the_translation_rounds_off_counts(seed):
    """The same with a point y whose differences to the vertices are no floats."""
    rng = np.random.default_rng(seed)
    d = 10.0 ** rng.uniform(-8.5, -7.3)
    y = 0.4 * rng.standard_normal(2)
    depth = 1.1e-16 * rng.integers(-2, 3)
    vertices = np.array([[-1.0, 1.0], [1.0, 1.0], [-1 + d, 1 - depth]])
    vertices = vertices + [y[0] + 1 - d / 2, y[1]]
    error = distance(hull(vertices, y), exact_hull(vertices, y))
    assert error <= TOL * size_around(vertices, y)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n", [1, 2, 3])
def test_rays_against_rational_arithmetic(n, seed):
    rng = np.random.default_rng(10 * n + seed)
    vertices = rng.standard_normal((n + 3, n))
    kinds = {
        "pointed": rng.standard_normal((n, n)) + 2,
        "one": rng.standard_normal((1, n)),
        "many": rng.integers(-1, 2, (4, n)) + np.eye(n)[0] * 2,
        "line": np.array([1.0, -2.0])[:, None] * rng.standard_normal((1, n)),
        "half-space": np.vstack([np.eye(n)[1:], -np.eye(n)[1:], -np.eye(n)[:1]]),
        "everything": np.vstack([np.eye(n), -np.eye(n)]),
    }
    for name, rays in kinds.items():
        for y in (np.zeros(n), 4 * rng.standard_normal(n), vertices[0], -rays[0]):
            p = nearest(oracle(vertices, rays), y)
            reference = exact_hull(vertices, y, rays)
            error = distance(p, reference)
            assert error <= TOL * max(1, size_around(vertices, y)), (name, y)


def boxes(rng, k):
    lower, upper = -np.abs(rng.standard_normal(k)), np.abs(rng.standard_normal(k))
    yield lower, upper
    yield upper, upper + 1
    yield lower, np.where(rng.random(k) < 0.5, lower, upper)
    yield lower, lower
    yield np.where(rng.random(k) < 0.5, lower, -np.inf), upper
    yield lower, np.where(rng.random(k) < 0.5, np.inf, upper)
    yield np.zeros(k), np.full(k, np.inf)
    yield np.full(k, -np.inf), np.full(k, np.inf)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("n", [1, 2, 3])
def test_box_image_against_rational_arithmetic(n, seed):
    rng = np.random.default_rng(10 * n + seed)
    k = int(rng.integers(1, 7))
    A = rng.standard_normal((n, k))
    kinds = {
        "normal": A,
        "duplicates": A[:, rng.integers(0, k, k)],
        "near duplicates": A[:, rng.integers(0, k, k)] + 1e-7 * A,
        "zero columns": A * (rng.random(k) < 0.6),
        "all zero": 0 * A,
        "integers": rng.integers(-1, 2, (n, k)).astype(float),
        "scaled": A * 10.0 ** rng.integers(-6, 6, k),
        "huge": 1e100 * A,
        "one column": A[:, :1],
    }
    for name, A in kinds.items():
        k = A.shape[1]
        for lower, upper in boxes(rng, k):
            start = np.clip(0, lower, upper)
            inside = A @ (start + 0.1 * np.minimum(upper - start, 1))
            outside = 3 * rng.standard_normal(n) * max(1, np.abs(A).max())
            for y in (np.zeros(n), outside, inside):
                p = nearest_box_image(A, lower, upper, y)
                (t,) = rationals([y])
                r = exact(rationals(A.T), t, lower, upper)
                reference = [a + b for a, b in zip(r, t, strict=True)]
                norms = np.linalg.norm(A, axis=0)
                size = max(np.linalg.norm(y), (norms * np.abs(start)).max())
                assert distance(p, reference) <= 1e-11 * size, (name, lower, upper)


@pytest.mark.parametrize("h", [1e-10, 1e-13, 1e-15])
def test_near_dependent_columns_of_a_bounded_box(h):
    rng = np.random.default_rng(0)
    for _ in range(10):
        A = rng.standard_normal((3, 4))[:, [0, 0, 1, 1, 2, 3]]
        A = A + h * rng.standard_normal(A.shape)
        lower, upper = np.sort(rng.standard_normal((2, 6)), axis=0)
        y = 2 * rng.standard_normal(3)
        r = exact(rationals(A.T), rationals([y])[0], lower, upper)
        reference = [a + b for a, b in zip(r, rationals([y])[0], strict=True)]
        p = nearest_box_image(A, lower, upper, y)
        assert distance(p, reference) <= TOL


# --------------------------------------------------------------- planted answers


def planted(rng, m, n, face, distance_to_y, gap):
    """A hull whose point nearest to y is known: p is inside a face with normal r."""
    r = rng.standard_normal(n)
    r /= np.linalg.norm(r)
    p = rng.standard_normal(n)
    tangent = rng.standard_normal((face, n))
    tangent -= np.outer(tangent @ r, r)
    weights = rng.dirichlet(np.ones(face))
    tangent -= weights @ tangent
    tangent -= np.outer(tangent @ r, r)
    below = rng.standard_normal((m - face, n))
    depth = gap * (1 + rng.random(m - face))
    below -= np.outer(below @ r + depth, r)
    vertices = p + np.vstack([tangent, below])
    return rng.permutation(vertices), p + distance_to_y * r, p


@pytest.mark.parametrize("gap", [1.0, 1e-3, 1e-6])
@pytest.mark.parametrize("m, n, face", [(50, 3, 3), (60, 10, 6), (300, 40, 25)])
def test_planted_face(m, n, face, gap):
    rng = np.random.default_rng(m)
    for away in (1e-3, 1.0, 100.0):
        vertices, y, p = planted(rng, m, n, face, away, gap)
        # Rounding the vertices tilts the face, by at most 1e-16 over its width.
        tol = TOL * size_around(vertices, y)
        assert np.linalg.norm(hull(vertices, y) - p) <= tol
        assert np.linalg.norm(nearest(oracle(vertices), y) - p) <= tol


def test_large_hull_with_duplicates_and_near_dependent_points():
    rng = np.random.default_rng(5)
    n = 200
    base = rng.standard_normal((1200, n)) + 0.3
    copies = base[:300]
    close = base[300:700] + 1e-10 * rng.standard_normal((400, n))
    middle = (base[:100] + base[100:200]) / 2 + 1e-12 * rng.standard_normal((100, n))
    vertices = np.vstack([base, copies, close, middle])
    assert vertices.shape == (2000, n)
    y = np.zeros(n)
    p = hull(vertices, y)
    assert np.linalg.norm(p) > 1
    assert defect(p, y, vertices) <= 1e-12
    # Points dropped from the hull cannot bring it nearer, copies cannot change it.
    q = hull(base, y)
    assert np.linalg.norm(p) <= np.linalg.norm(q) + 1e-12
    assert np.linalg.norm(p - q) <= 1e-7
    assert np.linalg.norm(nearest(oracle(vertices), y) - p) <= TOL * 20


@pytest.mark.parametrize("m, n", [(300, 50), (2000, 200)])
@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_gaussian_hull_satisfies_its_variational_inequality(m, n, shift):
    vertices = np.random.default_rng(0).standard_normal((m, n)) + shift
    for y in (np.zeros(n), np.ones(n)):
        p = hull(vertices, y)
        size = size_around(vertices, y)
        away = np.linalg.norm(y - p)
        inside = away <= 1e-11 * size
        assert inside or defect(p, y, vertices) <= 1e-15 * n * size * away


@pytest.mark.parametrize("n, k", [(1, 3000), (30, 500), (200, 150), (100, 1000)])
def test_large_zonotope_satisfies_its_variational_inequality(n, k):
    rng = np.random.default_rng(k)
    A = rng.standard_normal((n, k))
    lower, upper = np.sort(rng.standard_normal((2, k)), axis=0)
    corner = A @ np.where(A.T @ rng.standard_normal(n) > 0, upper, lower)
    for factor in (0.7, 1.02, 2.0):
        y = factor * corner
        p = nearest_box_image(A, lower, upper, y)
        r = y - p
        support = np.where(A.T @ r > 0, upper, lower) @ (A.T @ r)
        small = np.linalg.norm(r) <= TOL * np.linalg.norm(y)
        assert small or support - r @ p <= 1e-13 * np.linalg.norm(y) ** 2


# ------------------------------------------------------ sets known by an oracle


def ellipsoid(B):
    return lambda d: (B @ (B.T @ d) / np.linalg.norm(B.T @ d), None)


@pytest.mark.parametrize("n", [1, 2, 10, 50])
def test_balls_to_full_accuracy(n):
    rng = np.random.default_rng(n)
    center = rng.standard_normal(n)
    for radius in (0.1, 1.0, 10.0):
        for away in (0.5, 1.001, 1.1, 3.0, 100.0):
            u = rng.standard_normal(n)
            u *= radius / np.linalg.norm(u)

            def atom(d, radius=radius):
                return center + radius * d / np.linalg.norm(d), None

            y = center + away * u
            p = nearest(atom, y)
            expected = center + min(1, away) * u
            assert np.linalg.norm(p - expected) <= TOL * radius * (away + 1)


@pytest.mark.parametrize("n", [2, 5, 30])
def test_ellipsoids_against_the_secular_equation(n):
    rng = np.random.default_rng(n)
    axes = 10.0 ** -np.linspace(0, 2, n)
    for y in (rng.standard_normal(n), 0.1 * rng.standard_normal(n) + 1):
        p = nearest(ellipsoid(np.diag(axes)), y)
        low, high = 0.0, 1e6
        for _ in range(200):
            mid = (low + high) / 2
            if np.square(axes * y / (axes**2 + mid)).sum() > 1:
                low = mid
            else:
                high = mid
        expected = axes**2 * y / (axes**2 + high)
        assert np.linalg.norm(p - expected) <= 4 * TOL * (1 + np.linalg.norm(y))


def test_sum_of_a_ball_and_a_polytope():
    rng = np.random.default_rng(1)
    vertices = rng.standard_normal((30, 6))
    corner = oracle(vertices)

    def atom(d):
        return corner(d)[0] + 0.3 * d / np.linalg.norm(d), None

    for y in 3 * rng.standard_normal((10, 6)):
        q = hull(vertices, y)
        r = y - q
        expected = q + r * min(1, 0.3 / np.linalg.norm(r))
        p = nearest(atom, y)
        assert np.linalg.norm(p - expected) <= 1.2e-7 * (size_around(vertices, y) + 1)


def test_a_first_atom_close_to_y():
    rng = np.random.default_rng(30)
    vertices = rng.standard_normal((300, 30))
    y = (vertices[0] + vertices[1]) / 2
    for close in (1e-3, 1e-6, 1e-9, 1e-12):
        first = y + close * rng.standard_normal(30)
        points = np.vstack([vertices, first])
        answers = [first]

        def atom(d, answers=answers, points=points):
            return answers.pop() if answers else points[(points @ d).argmax()], None

        assert np.linalg.norm(nearest(atom, y) - y) <= 20 * TOL


def test_scale_hint_loosens_the_tolerance():
    calls = []

    def atom(d):
        calls.append(d)
        return np.sign(d) * 1e-12, None

    y = np.full(4, 3e-12)
    assert nearest(atom, y) == pytest.approx(1e-12 * np.ones(4), rel=1e-9)
    exact_calls = len(calls)
    calls.clear()
    p = nearest(atom, y, scale_hint=1.0)
    assert np.linalg.norm(p - y) <= TOL
    assert len(calls) < exact_calls


# ------------------------------------------------------------------------- cones


def test_cone_without_generators_is_the_origin():
    assert np.array_equal(nearest_cone(np.zeros((0, 3)), np.ones(3)), np.zeros(3))


@pytest.mark.parametrize("k, n", [(1, 1), (1, 4), (5, 3), (20, 8), (150, 60)])
def test_cone_against_nnls_and_moreau(k, n):
    from scipy.optimize import nnls

    rng = np.random.default_rng(k)
    G = rng.standard_normal((k, n)) + 0.5
    for y in rng.standard_normal((5, n)):
        p = nearest_cone(G, y)
        assert p == pytest.approx(G.T @ nnls(G.T, y)[0], abs=1e-9)
        assert (G @ (y - p)).max() <= 1e-11
        assert abs(p @ (y - p)) <= 1e-11


def test_columns_dependent_up_to_rounding_count_as_dependent():
    rng = np.random.default_rng(2)
    for _ in range(20):
        a = rng.standard_normal(4)
        A = np.outer(a, rng.standard_normal(6))
        y = rng.standard_normal(4)
        p = nearest_box_image(A, -np.inf, np.inf, y)
        assert p == pytest.approx(a * (a @ y) / (a @ a), abs=1e-9)


def test_unbounded_box_is_least_squares():
    rng = np.random.default_rng(3)
    for n, k in [(5, 3), (20, 12), (60, 60), (8, 20)]:
        A, y = rng.standard_normal((n, k)), rng.standard_normal(n)
        p = nearest_box_image(A, np.full(k, -np.inf), np.full(k, np.inf), y)
        assert p == pytest.approx(A @ np.linalg.lstsq(A, y)[0], abs=1e-9)


# ------------------------------------------------------------------ cvxpy, errors


@pytest.mark.parametrize("seed", range(3))
def test_against_cvxpy(seed):
    import cvxpy as cp

    rng = np.random.default_rng(seed)
    tight = {"tol_gap_abs": 1e-11, "tol_gap_rel": 1e-11, "tol_feas": 1e-11}
    vertices, y = rng.standard_normal((40, 8)) + 0.5, rng.standard_normal(8)
    weights, z = cp.Variable(40, nonneg=True), cp.Variable(8)
    constraints = [z == vertices.T @ weights, cp.sum(weights) == 1]
    problem = cp.Problem(cp.Minimize(cp.sum_squares(z - y)), constraints)
    problem.solve(cp.CLARABEL, **tight)
    assert hull(vertices, y) == pytest.approx(z.value, abs=1e-6)

    A, y = rng.standard_normal((8, 30)), 10 * rng.standard_normal(8)
    s = cp.Variable(30)
    problem = cp.Problem(cp.Minimize(cp.sum_squares(A @ s - y)), [s >= -0.1, s <= 0.2])
    problem.solve(cp.CLARABEL, **tight)
    p = nearest_box_image(A, np.full(30, -0.1), np.full(30, 0.2), y)
    assert p == pytest.approx(A @ s.value, abs=1e-6)


def test_an_oracle_that_contradicts_itself_raises():
    calls = []

    def growing(d):
        calls.append(d)
        return (1 + 1e-6 * len(calls)) * np.sign(d), None

    with pytest.raises(ProjectionError, match=r"subgrad\.cvx\.project"):
        nearest(growing, np.array([3.0, 2.0, 0.0]))

    def nan(d):
        return np.full(3, np.nan), None

    with pytest.raises(ProjectionError):
        nearest(nan, np.ones(3))
    with pytest.raises(ProjectionError):
        hull(np.array([[np.nan, 1.0], [0.0, 1.0]]), np.zeros(2))
    with pytest.raises(ValueError, match="atom or vertices"):
        nearest(None, np.ones(3))


def test_an_unfinished_run_raises(monkeypatch):
    solve = LeastSquares.solve
    monkeypatch.setattr(LeastSquares, "solve", lambda self, limit: solve(self, 2))
    rng = np.random.default_rng(0)
    vertices, y = rng.standard_normal((60, 12)) + 1, np.zeros(12)
    with pytest.raises(ProjectionError, match="gap"):
        hull(vertices, y)
    far = 5 * vertices[:20].sum(0)
    with pytest.raises(ProjectionError, match="gap"):
        nearest_box_image(vertices[:20].T, np.full(20, -1.0), np.ones(20), far)
    with pytest.raises(ProjectionError, match="gap"):
        nearest_cone(rng.standard_normal((20, 12)), np.ones(12))


def test_unprovable_infinite_box_raises():
    """Two columns 1e-13 apart span a plane, but rounding decides which."""
    A = np.array([[1.0, 1.0], [0.0, 1e-13], [0.5, 0.5 + 1e-13]])
    with pytest.raises(ProjectionError, match="face error"):
        nearest_box_image(A, -np.inf, np.inf, np.array([0.3, -1.0, 2.0]))


def test_inputs_stay_untouched():
    rng = np.random.default_rng(0)
    vertices, y = rng.standard_normal((30, 4)), rng.standard_normal(4)
    copies = vertices.copy(), y.copy()
    p = hull(vertices, y)
    nearest_box_image(vertices, -np.ones(4), np.ones(4), np.ones(30))
    assert np.array_equal(vertices, copies[0]) and np.array_equal(y, copies[1])
    assert np.array_equal(p, hull(vertices, y))


def test_import_does_not_load_scipy():
    code = "import sys, subgrad.sets.nearest; assert 'scipy.linalg' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_core_that_stops_early_is_refused(monkeypatch):
    """The proof, not the algorithm, decides what is returned."""
    from subgrad.sets import nearest as module
    from subgrad.sets._least_squares import LeastSquares

    class Sloppy(LeastSquares):
        def solve(self, limit):
            super().solve(limit)
            bump = 1e-5 * np.arange(1, len(self.x) + 1) * (self.x > 0)
            self.x = self.x + bump
            self.rho[0][:] += bump @ self.atoms
            return self.atoms @ (self.rho[0] + self.rho[1])

    monkeypatch.setattr(module, "LeastSquares", Sloppy)
    corners = np.array([[1.0, 0], [0, 1], [3, 3]])
    with pytest.raises(module.ProjectionError, match="gap"):
        module.nearest(None, np.array([-1.0, -0.5]), vertices=corners)


# -------------------------------------------- images of curved sets without end


def at_the_apex(f, A):
    x = sg.variable(A.shape[1])
    return f(A @ x).subdifferential(np.zeros(A.shape[1]))


APEX = {
    "quad_over_lin": (sg.quad_over_lin, 3),
    "matrix_frac": (sg.matrix_frac.at(2), 6),
    "huber": (sg.Perspective(sg.separable(sg.huber(1.0))), 3),
    "entropy": (sg.Perspective(sg.separable(sg.entropy)), 3),
    "relative entropy": (sg.joint_relative_entropy, 4),
}


def test_permuted_and_invertible_images_at_the_apex():
    order = [1, 0, 2, 3, 4, 5]
    S = at_the_apex(sg.matrix_frac.at(2), np.eye(6)[order])
    plain = sg.matrix_frac.at(2).subdifferential(np.zeros(6))
    assert S.contains([2, 2, -1, -1, -1, -1.0])
    assert not S.contains([2, 2, -1, -1, -1, -0.9])
    y = np.arange(1.0, 7)
    assert S.project(y) == pytest.approx(plain.project(y[order])[order], abs=1e-12)
    A = np.array([[-2.0, 0, 0], [-1, 2, 2], [0, 1, 2]])
    Q = at_the_apex(sg.quad_over_lin, A)
    assert Q.contains(np.zeros(3))
    assert np.linalg.norm(Q.min_norm()) <= 1e-9


@pytest.mark.parametrize("f, k", APEX.values(), ids=APEX)
@pytest.mark.parametrize("more", [0, 2])
def test_injective_images_at_the_apex(f, k, more):
    rng = np.random.default_rng(k + more)
    base = f.subdifferential(np.zeros(k))
    for _ in range(2):
        A = rng.standard_normal((k, k + more))
        S = at_the_apex(f, A)
        s = base.project(2 * rng.standard_normal((4, k)))
        assert np.all(S.contains(s @ A))
        out = base.project(rng.standard_normal((20, k)))
        out = out + 0.1 * rng.standard_normal(out.shape)
        outside = ~base.contains(out)
        assert np.any(outside) and not np.any(S.contains(out @ A)[outside])
        y = 3 * rng.standard_normal(k + more)
        p = S.project(y)
        # The projection is a member, and no member lies beyond the plane through it.
        assert S.contains(p, 1e-8)
        assert np.all((s @ A - p) @ (y - p) <= 1e-6 * (1 + np.linalg.norm(s @ A)))


def test_what_cannot_be_proved_raises():
    """A kernel along the set: its image is not closed, and no point is nearest."""
    A = np.array([[0.0, 0.0], [-1.0, 2.0], [-1.0, -1.0]])
    S = at_the_apex(sg.negative_geo_mean(), A)
    y = np.array([-5.533224836196862, 3.0906468210653215])
    with pytest.raises(ProjectionError, match=r"subgrad\.cvx\.project"):
        S.project(y)


def test_one_far_atom_does_not_loosen_the_proof():
    """Support points 1e8 away do not make an error of 1 one of rounding."""
    A = np.array([[-2.0, 0, 0], [-1, 2, 2], [0, 1, 2]])
    Q = at_the_apex(sg.quad_over_lin, A)
    rng = np.random.default_rng(0)
    for y in [np.zeros(3), *(3 * rng.standard_normal((4, 3)))]:
        try:
            p = nearest(Q._atom, y)
        except ProjectionError:
            continue
        assert np.linalg.norm(p - Q.project(y)) <= 3e-6 * (1 + np.linalg.norm(y))


def test_the_support_function_overrules_an_atom_short_of_it():
    """A supremum that is not attained: the atom falls short, the gap must not."""

    def atom(d):
        return np.array([0.9, 0.0]) * np.sign(d[0]), None

    y = np.array([3.0, 0.0])
    assert nearest(atom, y) == pytest.approx([0.9, 0], abs=1e-12)
    with pytest.raises(ProjectionError):
        nearest(atom, y, support=lambda d: abs(d[0]))
