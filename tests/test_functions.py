"""The laws of functions, over every row of the table."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from laws import attained, close, lattice, named_classes
from table import FUNCTIONS, Row

import subgrad as sg

rows = pytest.mark.parametrize("row", FUNCTIONS, ids=[r.name for r in FUNCTIONS])
TOL = 1e-8


def directions(n: int, count: int = 6) -> np.ndarray:
    r = np.random.default_rng(1)
    grid = lattice(n)
    grid = grid[r.permutation(len(grid))[: 2 * count]]
    return np.concatenate([grid, np.eye(n), -np.eye(n), r.standard_normal((count, n))])


def inside(row: Row) -> np.ndarray:
    x = row.points()
    return x[np.isfinite(row.f.value(x))]


def in_interior(row: Row, x: np.ndarray) -> np.ndarray:
    """Where the closure of f'(x; .) is f'(x; .): ri dom f, or f polyhedral."""
    if row.f.polyhedral or row.f.finite:
        return np.ones(len(x), bool)
    return row.f._interior(x)


def members(S: sg.Set, n: int) -> np.ndarray:
    """Points of one nonempty set: nearest to something, and support points."""
    z = np.random.default_rng(2).standard_normal((3, n)) * 3
    d = directions(n)[::2]
    return np.concatenate([S.project(z), S.support_point(d[attained(S, d)])])


@rows
def test_batch_is_loop(row):
    x, d = row.points(), directions(row.n)[:5]
    close(row.f.value(x), [row.f.value(p) for p in x])
    x = inside(row)
    S = row.f.subdifferential(x)
    for e in d:
        h = S.support(e)
        assert h.shape == x.shape[:-1]
        close(h, [row.f.subdifferential(p).support(e) for p in x])
        close(
            row.f.directional_derivative(x, e),
            [row.f.directional_derivative(p, e) for p in x],
        )
    B = row.f.subdifferential(x, 0.3)
    close(B.support(d[0]), [row.f.subdifferential(p, 0.3).support(d[0]) for p in x])
    ok = S.nonempty & np.ones(len(x), bool)
    if ok.any():
        g = row.f.subgradient(x[ok])
        close(g, [row.f.subgradient(p) for p in x[ok]])


@rows
def test_not_too_big(row):
    """f(y) >= f(x) + <g, y - x> for all members g and all y."""
    y = np.concatenate([row.points(), 3 * row.points()])
    values = row.f.value(y)
    for x in inside(row):
        S = row.f.subdifferential(x)
        if S.nonempty:
            g = members(S, row.n)
            slack = values - row.f.value(x) - g @ (y - x).T
            assert np.all(slack >= -TOL * (1 + np.abs(g).max(-1, keepdims=True))), x


@rows
def test_not_too_small(row):
    """Support of the subdifferential = f'(x; d) where the theorem says so, else <=."""
    x = inside(row)
    S, ri = row.f.subdifferential(x), in_interior(row, x)
    for d in directions(row.n):
        h, slope = S.support(d), row.f.directional_derivative(x, d)
        assert not np.isnan(h).any() and not np.isnan(slope).any()
        close(h[ri], slope[ri])
        assert np.all(h <= slope + TOL)


@rows
def test_directional_derivative_is_the_limit(row):
    x = inside(row)
    for d in directions(row.n):
        slope = row.f.directional_derivative(x, d)
        base = row.f.value(x)
        steep, infeasible = np.isneginf(slope), np.isposinf(slope)
        quotient = np.full(len(x), np.inf)
        for t in (1.0, 1e-3, 1e-5):
            before = quotient
            quotient = (row.f.value(x + t * d) - base) / t
            error = 1e-12 * (1 + np.abs(base)) / t + TOL
            assert np.all((slope <= quotient + error) | infeasible), d
            # Infinite slopes: out of the domain at once (a step beyond the tolerance
            # of membership), or falling without bound.
            assert np.all(np.isposinf(quotient[infeasible])) or t < 1e-4
            assert np.all((quotient < before)[steep]) or t > 1e-4
        finite = np.isfinite(slope)
        close(slope[finite], quotient[finite], 2e-4)


@rows
def test_subgradient_is_a_member(row):
    for x in inside(row):
        S = row.f.subdifferential(x)
        if S.nonempty:
            assert S.contains(row.f.subgradient(x), 1e-8), x
            value, g = row.f.oracle(x)
            close(value, row.f.value(x))
            assert S.contains(g, 1e-8), x


@rows
def test_eps_subdifferential(row):
    far = 1e3 * directions(row.n)
    y = np.concatenate([row.points(), 3 * row.points(), far])
    values = row.f.value(y)
    for x in inside(row)[::4]:
        S = row.f.subdifferential(x)
        for eps in (0.1, 1.5):
            G = row.f.subdifferential(x, eps)
            assert G.nonempty or not S.nonempty
            if not G.nonempty:
                continue
            g = members(G, row.n)
            slack = values - row.f.value(x) - g @ (y - x).T + eps
            size = 1 + np.abs(g).max(-1, keepdims=True)
            assert np.all(slack >= -TOL * size * (1 + np.abs(y).max(-1))), (x, eps)
            if np.all(S.exact):
                d = directions(row.n)
                assert np.all(S.support(d) <= G.support(d) + TOL)


@rows
def test_exact_is_as_stated(row):
    for x in inside(row):
        S = row.f.subdifferential(x)
        assert bool(np.all(S.exact)) == (not row.inexact(x)), x


@rows
def test_outside_the_domain(row):
    x = row.points()
    out = x[np.isposinf(row.f.value(x))]
    for p in out:
        S = row.f.subdifferential(p)
        assert not S.nonempty
        assert S.support(np.ones(row.n)) == -np.inf
        with pytest.raises(ValueError, match="domain"):
            row.f.directional_derivative(p, np.ones(row.n))
    assert len(out) == 0 or not row.f.finite


@rows
def test_domain_normal(row):
    """<g, y - x> <= 0 for y in the domain, and recession of the subdifferential."""
    y = row.points()
    y = y[np.isfinite(row.f.value(y))]
    for x in inside(row)[::2]:
        N = row.f.domain_normal(x)
        for g in members(N, row.n):
            assert ((y - x) @ g).max() <= TOL * (1 + np.abs(g).max())
        if row.f.finite:
            assert N.is_singleton and N.contains(np.zeros(row.n))
    if row.f.n is not None:
        assert np.all(row.f.domain.contains(y))


@rows
def test_fenchel_young(row):
    if not row.conjugate:
        with pytest.raises(NotImplementedError):
            row.f.conjugate() if row.f.n is not None else _named(row)
        return
    star = row.f.conjugate()
    z = np.random.default_rng(3).standard_normal((6, row.n))
    above = star.value(z)
    for x in inside(row):
        assert np.all(row.f.value(x) + above >= z @ x - TOL)
        S = row.f.subdifferential(x)
        if S.nonempty:
            g = members(S, row.n)[:4]
            g = np.where(np.abs(g) < 1e-12, 0.0, g)  # rounding is no direction
            gap = row.f.value(x) + star.value(g) - g @ x
            assert np.all(np.abs(gap) <= 1e-6 * (1 + np.abs(g @ x))), (x, g)
            back = star.subdifferential(g, 1e-7)
            assert np.all(back.contains(x, 1e-3)), (x, g)


def _named(row):
    return row.f(sg.variable(row.n)).conjugate()


@rows
def test_biconjugate(row):
    if not row.conjugate:
        return
    try:
        again = row.f.conjugate().conjugate()
    except NotImplementedError:
        return
    x = row.points()
    close(again.value(x), row.f.value(x), 1e-7)


@rows
def test_prox_is_optimal(row):
    if not row.prox:
        with pytest.raises(NotImplementedError):
            row.f.prox(row.points())
        return
    x = row.points()
    for t in (0.5, 2.0):
        p = row.f.prox(x, t)
        close(p, [row.f.prox(q, t) for q in x])
        y = row.points()
        for q, z in zip(p, x, strict=True):
            assert np.isfinite(row.f.value(q))
            g = (z - q) / t
            slack = row.f.value(y) - row.f.value(q) - (y - q) @ g
            assert slack.min() >= -1e-7, (z, t)
    many = row.f.prox(x[:3], np.array([0.5, 1.0, 2.0]))
    close(many[1], row.f.prox(x[1], 1.0))


@rows
def test_moreau_identity(row):
    if not (row.prox and row.conjugate):
        return
    star, x = row.f.conjugate(), row.points()
    try:
        dual = star.prox(x / 0.7, 1 / 0.7)
    except NotImplementedError:
        return
    close(row.f.prox(x, 0.7) + 0.7 * dual, x, 1e-7)


@rows
def test_neutral_elements(row):
    f, v = row.f, sg.variable(row.n)
    x = inside(row)
    base = f if f.variable is not None else f(v)
    same = [base + 0, 1.0 * f, sg.maximum(f, f), f + 0.0 * f]
    same += [] if f.variable is not None else [f(v)]
    S = f.subdifferential(x)
    for g in same:
        close(g.value(x), f.value(x))
        T = g.subdifferential(x)
        for d in directions(row.n)[:8]:
            slope = f.directional_derivative(x, d)
            close(g.directional_derivative(x, d), slope)
            ok = np.broadcast_to(S.exact & T.exact, len(x))
            close(T.support(d)[ok], S.support(d)[ok])


@rows
def test_twin(row):
    if row.twin is None:
        return
    f, g, x = row.f, row.twin, row.points()
    close(f.value(x), g.value(x))
    x = inside(row)
    for d in directions(row.n):
        close(f.subdifferential(x).support(d), g.subdifferential(x).support(d))
        close(f.directional_derivative(x, d), g.directional_derivative(x, d))


@rows
def test_values_are_bounded_by_the_infimum(row):
    assert row.f.value(row.points()).min() >= row.f.infimum - TOL


@rows
def test_float32_and_pickle_and_repr(row):
    f, x = row.f, row.points()
    again = pickle.loads(pickle.dumps(f))
    close(again.value(x), f.value(x))
    assert f == f and isinstance(repr(f), str)
    assert f != sg.Linear(np.arange(5.0))
    y = inside(row).astype(np.float32)
    single, double = f.value(y), f.value(y.astype(float))
    both = np.isfinite(single) & np.isfinite(double)
    close(single[both], double[both], 1e-4)


def test_every_class_has_a_row():
    """Every concrete Function of the package stands in the table by itself."""
    have = {r.cls or type(r.f) for r in FUNCTIONS}
    missing = [c.__name__ for c in named_classes(sg.Function) if c not in have]
    assert missing == []
