"""Models as they are first written down: sets of all kinds, idle variables, scales."""

import time
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose

from subgrad import (
    AffineSubspace,
    Ball,
    Box,
    Indicator,
    Interval,
    Linear,
    distance,
    exponential,
    intersection,
    lambda_max,
    logistic_loss,
    negative_log_det,
    norm1,
    norm2,
    owl,
    relu,
    separable,
    squared_norm,
    sum_largest,
    tv,
    variable,
    variables,
)
from subgrad.sets.box import point
from subgrad.solvers import Structured, minimize, sublevel_radius
from subgrad.solvers.structured.equations import feasible
from subgrad.solvers.structured.terms import structure


def rng(seed=0):
    return np.random.default_rng(seed)


def box(n, low, up):
    return Box(Interval(np.broadcast_to(low, n), np.broadcast_to(up, n)))


def proved(f, n, constraint=None, tol=1e-6):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = minimize(f, np.zeros(n), constraint=constraint)
    assert found.status == "gap", (found.status, found.message)
    assert found.gap <= tol * max(1.0, abs(found.fun))
    assert found.certificate.verify(f)
    assert np.isfinite(f(found.x))
    return found


# Short forms --------------------------------------------------------------------------


def test_boxes_are_made_of_their_ends():
    assert Box(np.zeros(2), [1.0, 2.0]).lower.tolist() == [0.0, 0.0]
    assert Box([0.0, 1.0], np.inf).upper.tolist() == [np.inf, np.inf]
    with pytest.raises(ValueError, match="lower must not exceed upper"):
        Box(1.0, 0.0)
    with pytest.raises(TypeError, match="Interval"):
        Box([1.0, 0.0])


def test_shapes_may_be_one_number():
    assert tv.at(5) == tv.at((5,)) and tv.at(np.int64(5)).n == 5
    with pytest.raises(ValueError, match="2 axes"):
        lambda_max.at(4)


# Sets that are given as one -----------------------------------------------------------


def linear_program(m, n):
    r = rng(n)
    A, x = r.standard_normal((m, n)), r.random(n) * (r.random(n) < 0.5)
    return A, A @ x, A.T @ r.standard_normal(m) + r.random(n)


@pytest.mark.parametrize("m, n", [(40, 120), (200, 600)])
def test_a_linear_program_is_proved_without_a_distance(m, n):
    """Inside of the polar cone of {x >= 0}, where no singular values are asked for."""
    A, e, c = linear_program(m, n)
    x, sets = variable(n), box(n, 0.0, np.inf)
    f = Linear(c)(x) + Indicator(point(e))(A @ x) + Indicator(sets)(x)
    found = proved(f, n)
    assert [y is None for y in found.dual] == [False, True]


def test_an_intersection_costs_little_more_than_its_sets():
    A, e, c = linear_program(30, 75)
    C, above = AffineSubspace.solve(A, e), box(75, 0.0, np.inf)
    times, values = [], []
    for f, S in (
        (Linear(c) + Indicator(point(e))(A @ variable(75)), above),
        (Linear(c), intersection(C, above)),
    ):
        start = time.process_time()
        found = proved(f, 75, S)
        times.append(time.process_time() - start)
        values.append(found.fun)
    assert_allclose(*values, rtol=2e-6)
    assert times[1] <= 3 * times[0] + 0.1  # it was 20 times


@pytest.mark.parametrize(("n", "radius"), [(2, np.sqrt(10.0)), (30, 4.0)])
def test_the_radius_of_an_intersection_is_that_of_a_part(n, radius):
    """Of few variables the box around it, at (3, 0) and as long as the ball is wide."""
    first, second = np.eye(n)[:2]
    S = intersection(Ball(3 * first, 1.0), AffineSubspace(3 * first, [second]))
    f = Linear(first) + Indicator(S)
    assert_allclose(sublevel_radius(f, np.zeros(n)), radius, rtol=1e-6)


# Points in several sets ---------------------------------------------------------------


def control(radius, T=8, nx=4, nu=2):
    """|u|_1 + |x|_1 with x_{t+1} = A x_t + B u_t and |u| <= 1."""
    r = rng(3)
    Q = r.standard_normal((nx, nx))
    A = radius * Q / np.abs(np.linalg.eigvals(Q)).max()
    B, x0 = r.standard_normal((nx, nu)), r.standard_normal(nx)
    E = np.zeros((T * nx, T * (nx + nu)))
    for t in range(T):
        rows, u = slice(t * nx, (t + 1) * nx), T * nu
        E[rows, u + t * nx : u + (t + 1) * nx] = np.eye(nx)
        E[rows, t * nu : (t + 1) * nu] = -B
        if t:
            E[rows, u + (t - 1) * nx : u + t * nx] = -A
    e = np.zeros(T * nx)
    e[:nx] = A @ x0
    up = np.r_[np.ones(T * nu), np.full(T * nx, np.inf)]
    return E, e, Box(Interval(-up, up)), T * (nx + nu)


@pytest.mark.parametrize("radius", [0.5, 0.8, 1.1])
def test_controls_in_a_box_meet_the_dynamics(radius):
    E, e, C, n = control(radius)
    x = variable(n)
    found = proved(norm1(x) + Indicator(point(e))(E @ x), n, C)
    assert C.contains(found.x) and point(e).contains(E @ found.x)


def test_controls_with_sparse_dynamics_and_two_terms():
    from scipy.sparse import csr_array

    E, e, C, n = control(0.8, 20)
    x = variable(n)
    f = norm1(x[40:]) + 0.1 * norm1(x[:40]) + Indicator(point(e))(csr_array(E) @ x)
    proved(f, n, C)


def test_a_point_is_moved_into_a_box_and_onto_equations():
    E, e, C, n = control(0.8)
    x = variable(n)
    f = norm1(x) + Indicator(point(e))(E @ x) + Indicator(C)(x)
    s, inner = structure(f), minimize(f, np.zeros(n)).x
    near = inner + 1e-5 * rng().standard_normal(n)
    assert np.isinf(s.value(C.project(near)))
    u = feasible(s, near)
    assert np.abs(E @ u - e).max() <= 1e-12 and C.contains(u, 0.0)
    assert np.abs(u - near).max() <= 1e-3


def test_a_point_is_moved_into_a_thin_ball():
    A, b, x = rng(1).standard_normal((60, 20)), rng(2).standard_normal(60), variable(20)
    least = np.linalg.norm(A @ np.linalg.lstsq(A, b)[0] - b)
    S = Ball(b, 1.0001 * least)
    found = proved(norm1(x) + Indicator(S)(A @ x), 20)
    assert S.contains(A @ found.x)


@pytest.mark.parametrize("own", [Ball(np.zeros(8), 2.0), box(8, -1.0, 1.0)])
def test_two_sets_and_equations(own):
    r, x = rng(4), variable(8)
    A, y = r.standard_normal((2, 8)), r.random(8) / 4
    f = Linear(r.standard_normal(8)) + Indicator(Ball(y[:3], 0.1))(x[:3])
    found = proved(f + Indicator(point(A @ y))(A @ x), 8, own)
    assert own.contains(found.x) and Ball(y[:3], 0.1).contains(found.x[:3])
    assert_allclose(A @ found.x, A @ y, atol=1e-8)


# Atoms without lower bound, variables without atom ------------------------------------


@pytest.mark.parametrize(
    ("p", "weight", "rows"), [(4, 0.0, 60), (12, 0.1, 60), (20, 0.0, 60), (12, 0.1, 6)]
)
def test_the_graphical_lasso_is_certified(p, weight, rows):
    Y, X = rng(13).standard_normal((rows, p)), variable((p, p))
    f = negative_log_det(X) + Linear((Y.T @ Y / rows).ravel())
    f = f + weight * norm1(X) if weight else f
    found = minimize(f, np.eye(p).ravel())
    assert found.status == "gap" and found.certificate.verify(f)
    if not weight:  # X = S^-1
        assert_allclose(found.fun, p + np.linalg.slogdet(Y.T @ Y / rows)[1], rtol=2e-6)


def test_a_largest_sum_without_lower_bound_keeps_its_multiplier():
    """Its conjugate lives on a set without inner points, which rounding misses."""
    x, r = variable(6), rng(5)
    f = owl(np.arange(6.0, 0, -1))(x - r.random(6)) + sum_largest(2)(x)
    proved(f + Linear(0.1 * r.standard_normal(6)), 6)


@pytest.mark.parametrize("slopes", [[1.0, 1.0, 1.0], [1.0, 0.5, -1.0]])
def test_sums_of_two_numbers_that_cancel_are_exact(slopes):
    """f = 0 on an unbounded set, with an idle variable: no distance is needed."""
    u, _ = variables(3, 1)
    found = proved(norm1(u) + np.array(slopes) @ u, 4)
    assert found.fun == found.lower_bound == 0.0
    steeper = norm1(u) + 1.0000001 * np.array(slopes) @ u
    assert minimize(steeper, np.zeros(4)).status == "unbounded"


# Numbers at the ends of floating point ------------------------------------------------


def test_weights_may_all_be_zero():
    x = variable(2)
    found = proved(separable(relu, [0.0, 0.0])(x - 1) + norm1(x - 1), 2)
    assert_allclose(found.x, 1.0)
    assert structure(separable(relu, [0.0, 0.0])(x)).terms == ()


@pytest.mark.parametrize("size", [1e200, 1e160, 1e100, 1e-200])
@pytest.mark.parametrize("loss", [norm1, logistic_loss, squared_norm, norm2])
def test_numbers_beyond_floating_point_end_a_run(loss, size):
    A, b, x = rng(1).standard_normal((20, 3)), rng(2).standard_normal(20), variable(3)
    for f in (loss(size * A @ x - b), size * loss(A @ x - b) + norm1(x)):
        found = minimize(f, np.zeros(3))
        assert found.status in ("gap", "stalled"), found.message
        assert np.isfinite(found.fun) and found.fun <= f(np.zeros(3))
        assert found.lower_bound <= found.fun


def test_slopes_beyond_floating_point_are_no_measure():
    r, x = rng(3), variable(8)
    A, b, C = (
        r.standard_normal((3, 8)),
        1e3 * r.standard_normal(3),
        r.standard_normal((3, 8)),
    )
    f = distance(Ball(np.zeros(3), 0.5))(A @ x + b) + separable(exponential)(C @ x)
    proved(f, 8)


def test_what_is_no_number_ends_a_run():
    """A method that gives nan: the best point before it stays."""
    from subgrad.solvers.problem import Problem
    from subgrad.solvers.structured.front import Run

    x = variable(3)
    run = Run(Problem(norm1(np.ones((4, 3)) @ x - 1) + 0.1 * norm1(x)), np.zeros(3))
    run.step()
    best, lower = run.x, run.lower

    class Broken:
        form = run.form
        x, y = run.method.x, run.method.y * np.nan

        def step(self):
            pass

    run.method = Broken()
    run.step()
    assert run.stuck and run.x is best and run.lower == lower


@pytest.mark.parametrize(
    ("dual", "message"),
    [
        ([[np.nan, np.nan]], "dual must not contain nan"),
        ("abc", "dual must be a tuple of arrays, got str"),
    ],
)
def test_multipliers_are_looked_at_at_the_border(dual, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Structured(dual=dual)


# What is said at the end --------------------------------------------------------------


def test_what_falls_for_ever_is_seen_at_once():
    f = Linear([1.0, 2.0, 3.0])
    found = minimize(f, np.zeros(3))
    assert (found.status, found.nit) == ("unbounded", 0)
    assert found.certificate.verify(f)
    assert minimize(f, np.zeros((2, 3))).status.tolist() == ["unbounded"] * 2


def test_a_run_says_what_is_missing():
    u, _ = variables(3, 1)
    found = minimize(norm2(u) + np.array([0.6, 0.8, 0.0]) @ u, np.zeros(4))
    assert found.status == "stalled" and "radius=" in found.message
    x = variable(3)
    found = minimize(norm1(1e200 * np.ones((3, 3)) @ x - 1), np.zeros(3))
    assert found.status == "stalled" and "beyond floating point" in found.message


def test_where_nothing_is_finite_is_said():
    x = variable(3)
    f = norm1(x) + Indicator(point([9.0]))(np.ones((1, 3)) @ x)
    found = minimize(f, np.zeros(3), constraint=box(3, 0.0, 1.0))
    assert (
        found.status == "infeasible" and "at every point x with |x| <" in found.message
    )
    f = norm1(x) + Indicator(point([0.0, 1.0]))(np.array([[1.0, 0, 0], [1, 0, 0]]) @ x)
    found = minimize(f, np.zeros(3))
    assert found.status == "infeasible" and found.certificate.verify(f)


def test_sets_that_do_not_meet_are_named():
    x = variable(3)
    f, far = norm1(x) + Indicator(box(3, 0.0, 1.0))(x), Ball([9.0, 9.0, 9.0], 1.0)
    with pytest.raises(ValueError, match="common to Box of .* f and constraint=Ball"):
        minimize(f, np.zeros(3), constraint=far)
    with pytest.raises(ValueError, match="Box of .* f and Ball of an indicator in f"):
        minimize(f + Indicator(far)(x), np.zeros(3))


def test_a_point_of_two_boxes():
    """Given as two terms they are one box to move into."""
    x = variable(3)
    sets = [Indicator(box(3, low, up)) for low, up in ((-1.0, 0.5), (0.25, 2.0))]
    s = structure(sets[0](x) + sets[1](x) + norm1(x))
    assert_allclose(
        feasible(s, np.array([0.25 - 1e-7, 0.3, 0.5 + 1e-7])), [0.25, 0.3, 0.5]
    )
