"""Laws of the subdifferentials on the line as maximal monotone operators."""

from __future__ import annotations

import pickle

import numpy as np
import portion as P
import pytest
from convex_rows import CONVEX, POINTS, STEEP, every, every_convex, inf, inside, same
from univariate_rows import SMOOTH

import subgrad as sg
from subgrad.univariate.catalog import absolute, indicator, pinball, t
from subgrad.univariate.monotone import MonotoneOperator
from subgrad.univariate.piecewise import Piecewise

STEPS = (1e-2, 1.0, 30.0)
OTHERS = {name: SMOOTH[name] for name in ("entropy", "exponential", "negative_sqrt")}
rows = pytest.mark.parametrize("f", [*(CONVEX | STEEP | OTHERS).values()])


@rows
def test_values_are_subdifferentials(f):
    A, x = f.monotone_operator(), POINTS
    assert np.all(A(x) == f.subdifferential(x))
    whole = sg.Interval(-inf, inf)
    assert A(whole) == f.subdifferential(whole)


@every
def test_the_operator_is_monotone_and_maximal(f):
    A, x = f.monotone_operator(), inside(f)
    s = A(x)
    assert np.all(s.upper[:-1] <= s.lower[1:] + 1e-9 * (1 + abs(s.lower[1:])))
    for step in STEPS:
        # t is in p + step A(p) for one p only.
        p = A.resolvent(x, step)
        near = 1e-12 * (1 + abs(p))
        s = A(sg.Interval(p - near, p + near)) * step + p
        slack = 1e-12 * (1 + abs(x))
        assert np.all((s.lower - slack <= x) & (x <= s.upper + slack))
        assert np.all(np.diff(p) >= 0) and np.all(np.diff(p) <= np.diff(x) + 1e-12)


@rows
def test_yosida_is_an_element_at_the_resolvent(f):
    A = f.monotone_operator()
    for step in (*STEPS, np.resize(STEPS, POINTS.shape)):
        p, s = A.resolvent(POINTS, step), A.yosida(POINTS, step)
        same(p + step * s, POINTS, 1e-12)
        assert np.all(p == f.prox(POINTS, step))
    slopes = np.diff(A.yosida(POINTS, 0.5)) / np.diff(POINTS)
    assert np.all((slopes >= -1e-9) & (slopes <= 2 + 1e-9))


@every_convex
def test_yosida_is_the_slope_of_the_envelope(f):
    A = f.monotone_operator()
    for step in STEPS:
        e = f.moreau_envelope(step)
        same(A.yosida(POINTS, step), e.derivative()(POINTS), 1e-9)
        # (I + τ A)^-1 and (I + A^-1 / τ)^-1 share t out.
        other = A.inverse().resolvent(POINTS / step, 1 / step)
        same(A.yosida(POINTS, step), other, 1e-9)


@every_convex
def test_inverse_exchanges_the_coordinates(f):
    A = f.monotone_operator()
    B = A.inverse()
    assert B.inverse() == A and B == f.conjugate().monotone_operator()
    x = inside(f)
    s = A(x)
    for g in (s.lower, s.upper, np.clip(0.3, s.lower, s.upper)):
        k = np.isfinite(g)
        back = B(g[k])
        slack = 1e-11 * (1 + abs(x[k]))
        assert np.all((back.lower - slack <= x[k]) & (x[k] <= back.upper + slack))
    same(B.graph()[1:-1], A.graph()[1:-1, ::-1])


@every_convex
def test_graph_is_the_polyline_of_all_pairs(f):
    A = f.monotone_operator()
    points = A.graph()
    assert points.ndim == 2 and points.shape[1] == 2 and len(points) >= 2
    steps = np.diff(points, axis=0)
    assert np.all(steps >= 0) and np.all(np.any(steps > 0, axis=-1))
    # Points of the polyline, with those on the prolonged ends, belong to the graph.
    for k, step in enumerate(steps):
        low, up = (-40 if k == 0 else 0), (40 if k == len(steps) - 1 else 1)
        for x, g in points[k] + np.linspace(low, up, 7)[:, None] * step:
            near = 1e-12 * (1 + abs(x))
            s = A(sg.Interval(x - near, x + near))
            slack = 1e-9 * (1 + abs(g))
            assert s.lower - slack <= g <= s.upper + slack
    # And no others do: the polyline is the graph of x + s = u, one point for each u.
    x = f.prox(POINTS, 1.0)
    sums, u = points.sum(-1), POINTS
    k = np.clip(np.searchsorted(sums, u) - 1, 0, len(steps) - 1)
    part = (u - sums[k]) / steps[k].sum(-1)
    same(points[k, 0] + part * steps[k, 0], x, 1e-9)


def test_known_graphs():
    cases = {
        "absolute": (absolute, [(-1, -1), (0, -1), (0, 1), (1, 1)]),
        "piecewise": (abs(t), [(-1, -1), (0, -1), (0, 1), (1, 1)]),
        "square": (t**2, [(-0.5, -1), (0, 0), (0.5, 1)]),
        "zero": (0 * t, [(-1, 0), (0, 0), (1, 0)]),
        "point": (indicator(P.singleton(2)), [(2, -1), (2, 0), (2, 1)]),
        "interval": (
            indicator(P.closed(2, 5)),
            [(2, -1), (2, 0), (5, 0), (5, 1)],
        ),
        "far": (1e8 * abs(t - 1e8), [(0, -1e8), (1e8, -1e8), (1e8, 1e8), (2e8, 1e8)]),
    }
    for name, (f, points) in cases.items():
        found = f.monotone_operator().graph()
        assert np.array_equal(found, np.array(points, float)), name


def test_graph_of_extreme_curvature():
    for a in (1e-300, 1e-150, 1e150, 1e300):
        f = a * t**2 + indicator(P.closedopen(1, P.inf))
        points = f.monotone_operator().graph()
        assert np.all(np.isfinite(points)) and np.all(np.diff(points, axis=0) >= 0)
        assert np.all(np.diff(points.sum(-1)) > 0)


def test_equality_is_that_of_the_sets():
    A = (t**2).monotone_operator()
    assert A == (t**2 + 3).monotone_operator() == MonotoneOperator(t**2)
    assert A != (t**2 + t).monotone_operator() and A != "A"
    assert absolute.monotone_operator() == abs(t).monotone_operator()
    assert abs(t).monotone_operator() != (2 * abs(t)).monotone_operator()
    box = indicator(P.closed(0, 1)).monotone_operator()
    assert box != indicator(P.closed(0, 2)).monotone_operator() != A
    assert (
        SMOOTH["entropy"].monotone_operator() == SMOOTH["entropy"].monotone_operator()
    )
    assert SMOOTH["entropy"].monotone_operator() != A
    batch = pinball([0.1, 0.2]).monotone_operator()
    assert batch == pinball([0.1, 0.2]).monotone_operator() != A
    assert batch(0.0).shape == (2, 1) and batch.yosida(1.0).shape == (2, 1)


def test_repr_and_pickle():
    A = abs(t).monotone_operator()
    names = {"MonotoneOperator": MonotoneOperator, "Piecewise": Piecewise}
    assert eval(repr(A), names) == A == pickle.loads(pickle.dumps(A))


def test_border():
    A = absolute.monotone_operator()
    for call in (A.resolvent, A.yosida):
        for step in (0, -1, inf, np.nan):
            with pytest.raises(ValueError, match="step"):
                call(1.0, step)
        with pytest.raises(ValueError, match="t must"):
            call(np.nan)
    with pytest.raises(ValueError, match="t must"):
        A(np.nan)
    with pytest.raises(TypeError, match="got int"):
        MonotoneOperator(3)
    with pytest.raises(ValueError, match="must be convex"):
        (-abs(t)).monotone_operator()
    with pytest.raises(ValueError, match="closed"):
        indicator(P.open(0, 1)).monotone_operator()
    with pytest.raises(NotImplementedError, match="Entropy is not a polyline"):
        SMOOTH["entropy"].monotone_operator().graph()
    with pytest.raises(ValueError, match=r"batch of shape \(2,\)"):
        pinball([0.1, 0.2]).monotone_operator().graph()
    assert A.yosida(np.float32(3.0)).dtype == np.float32
