"""The laws of sets, over every set of the table."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from laws import attained, close, lattice, named_classes
from table import OTHER_SETS, SETS

import subgrad as sg
from subgrad.sets.cone import NormalCone

sets = pytest.mark.parametrize("S", SETS.values(), ids=SETS)
alive = pytest.mark.parametrize(
    "S", [S for S in SETS.values() if S.nonempty], ids=[k for k in SETS if k != "empty"]
)
# Sets with curved parts that are not balls in the plain are projected onto by support
# points: proved to 1e-7 of their size. The others to 1e-9.
TOL = 1e-6
CLOSED = (
    sg.Box,
    sg.GroupBall,
    sg.CappedSimplex,
    sg.CrossPolytope,
    sg.HalfSpace,
    sg.AffineSubspace,
)


def directions(n: int, count: int = 8) -> np.ndarray:
    r = np.random.default_rng(5)
    grid = lattice(n)
    return np.concatenate([grid, r.standard_normal((count, n))])


def fewer(S, n: int = 10) -> np.ndarray:
    """All directions for sets with closed forms, 0 and n more for the others."""
    every = directions(S.dim)
    if isinstance(S, CLOSED):
        return every
    some = np.random.default_rng(3).permutation(len(every))[:n]
    return np.concatenate([np.zeros((1, S.dim)), every[some]])


def points(n: int) -> np.ndarray:
    return np.concatenate([directions(n), 4 * np.eye(n), -4 * np.eye(n)])


@sets
def test_support_is_sublinear(S):
    d = directions(S.dim)
    h = S.support(d)
    assert h.shape == (len(d),) and not np.isnan(h).any()
    close(S.support(2.5 * d), 2.5 * h)
    if S.nonempty:
        assert S.support(np.zeros(S.dim)) == 0
    for e in d[::3]:
        both = h + S.support(e)
        ok = ~np.isnan(both)
        assert np.all(S.support(d + e)[ok] <= both[ok] + 1e-9)


@alive
def test_support_point_attains(S):
    for d in directions(S.dim):
        h = S.support(d)
        if np.isfinite(h):
            if not S.exposed_face(d).nonempty:
                with pytest.raises(ValueError, match="not attained"):
                    S.support_point(d)
                continue
            s = S.support_point(d)
            close(s @ d, h)
            assert S.contains(s, TOL)
        else:
            with pytest.raises(ValueError, match="unbounded"):
                S.support_point(d)


@alive
def test_projection(S):
    """p = P(y) iff p in S and h(y - p) <= <y - p, p>."""
    y = np.concatenate([4 * fewer(S, 10), fewer(S, 10)])
    p = S.project(y)
    assert np.all(S.contains(p, TOL))
    close(p, [S.project(v) for v in y])
    close(S.project(p), p, TOL)
    close(S.distance(y), np.linalg.norm(y - p, axis=-1))
    some = np.array(members(S))
    for v, q in zip(y, p, strict=True):
        bound = TOL * (1 + np.linalg.norm(some, axis=-1))
        assert np.all((some - q) @ (v - q) <= bound), (v, q)
    assert np.all(S.distance(y) <= 1e-9 * (1 + np.linalg.norm(y, axis=-1))) == np.all(
        S.contains(y)
    )
    close(S.min_norm(), S.project(np.zeros(S.dim)))


def members(S) -> list[np.ndarray]:
    r = np.random.default_rng(6)
    d = directions(S.dim)
    found = list(S.support_point(d[attained(S, d)]))
    found += list(S.project(3 * r.standard_normal((4, S.dim))))
    found += [S.project(v) for v in 50 * r.standard_normal((4, S.dim))]
    w = r.dirichlet(np.ones(len(found)), 4)
    return [*found, *(w @ np.array(found))]


@alive
def test_members_and_outsiders(S):
    for s in members(S):
        assert S.contains(s, TOL)
        assert np.all(s @ directions(S.dim).T <= S.support(directions(S.dim)) + TOL)
    for d in directions(S.dim) if S.polyhedral else fewer(S):
        if d.any() and attained(S, d):
            out = S.support_point(d) + 0.1 * d / np.linalg.norm(d)
            assert not S.contains(out)
            assert out not in S
            close(S.distance(out), 0.1, 1e-3 if not S.polyhedral else TOL)


@sets
def test_box_and_interval(S):
    b, eye = S.box(), np.eye(S.dim)
    if not S.nonempty:
        assert np.all(b.is_empty) and S.interval(eye[0]).is_empty
        return
    close(b.upper, S.support(eye))
    close(b.lower, -S.support(-eye))
    for d in directions(S.dim):
        i = S.interval(d)
        close(i.upper, S.support(d))
        close(i.lower, -S.support(-d))
    assert S.is_bounded == bool(
        np.isfinite(b.lower).all() and np.isfinite(b.upper).all()
    )
    assert S.is_singleton == bool(np.all(b.upper - b.lower == 0))


def distinct(points):
    """The points, those that agree up to rounding only once."""
    x = np.concatenate(points)
    return x[np.unique(x.round(10), axis=0, return_index=True)[1]]


@alive
def test_exposed_face(S):
    """Members of the face are the maximisers; its support is h'(d; .)."""
    found = [np.empty((0, S.dim))]
    for d in fewer(S):
        h, F = S.support(d), S.exposed_face(d)
        if not np.isfinite(h):
            assert not F.nonempty
            continue
        if not F.nonempty:
            with pytest.raises(ValueError, match="not attained"):
                S.support_point(d)
            continue
        for e in fewer(S, 6):
            k = F.support(e)
            t = 1e-6
            quotient = (S.support(d + t * e) - h) / t
            if attained(F, e):
                s = F.support_point(e)
                close(s @ d, h)
                found.append(s[None])
                assert k <= quotient + 1e-7
            if S.is_bounded:
                close(k, quotient, 1e-4)
    assert np.all(S.contains(distinct(found), TOL))


@alive
def test_eps_face_is_between_the_face_and_the_slice(S):
    found = [np.empty((0, S.dim))]
    for d in fewer(S, 6):
        h = S.support(d)
        if not np.isfinite(h):
            continue
        F = S.exposed_face(d)
        for eps in (0.2, 3.0):
            G = S.exposed_face(d, eps)
            for e in fewer(S, 6):
                assert F.support(e) <= G.support(e) + 1e-8
                if attained(G, e):
                    s = G.support_point(e)
                    assert s @ d >= h - eps - 1e-8
                    found.append(s[None])
    assert np.all(S.contains(distinct(found), TOL))


def spanned(T, d):
    """The supports of what `_corners` and `_frame` say that T is, as far as they do."""
    if (corners := T._corners()) is not None:
        points, rays = corners
        up = (d @ np.transpose(rays) > 1e-9).any(-1) if len(rays) else False
        yield np.where(up, np.inf, (d @ points.T).max(-1))
    if (frame := T._frame()) is not None:
        c, G, low, high = frame
        slope = d @ G
        end = np.where(slope > 0, high, low)
        yield d @ c + (slope * np.where(np.abs(slope) > 1e-9, end, 0.0)).sum(-1)


@alive
def test_corners_and_frames_span_the_set(S):
    e = directions(S.dim)
    parts = [S]
    for d in fewer(S, 8):
        if np.isfinite(S.support(d)):
            parts += [S.exposed_face(d), S.exposed_face(d, 0.5)]
    for T in parts:
        if T.nonempty:
            for h in spanned(T, e):
                close(h, T.support(e))


@alive
def test_faces_in_a_batch(S):
    d = directions(S.dim)
    d = d[attained(S, d)][:12]
    F, e, y = S.exposed_face(d), directions(S.dim)[-1], points(S.dim)[3]
    each = [S.exposed_face(v) for v in d]
    close(F.support(e), [f.support(e) for f in each])
    close(F.project(y), [f.project(y) for f in each], TOL)
    close(F.box().upper, [f.box().upper for f in each])
    assert np.array_equal(F.contains(y), [f.contains(y) for f in each])
    assert np.array_equal(F.is_singleton, [f.is_singleton for f in each])
    eps = np.linspace(0, 1, len(d))
    G = S.exposed_face(d, eps)
    close(
        G.support(e),
        [S.exposed_face(v, t).support(e) for v, t in zip(d, eps, strict=True)],
    )


@alive
def test_normal_cone(S):
    """g in N(x) iff <g, s - x> <= 0 on S; y - P(y) is in N(P(y))."""
    r, some = np.random.default_rng(8), members(S)
    for y in 3 * r.standard_normal((4, S.dim)):
        x = S.project(y)
        N = S.normal_cone(x)
        assert N.nonempty
        assert N.contains(y - x, 1e-5)
        if S.is_bounded and S.support(y - x) + S.support(x - y) > 1e-3:
            assert not N.contains(x - y, 1e-5)
        if isinstance(N, NormalCone):
            continue  # membership is all that is promised of those
        for g in N.project(r.standard_normal((3, S.dim))):
            for s in some:
                assert g @ (s - x) <= 1e-5 * (1 + np.linalg.norm(s))
        for s in some:  # directions into the set are where the support is zero
            if S.polyhedral:
                v = s - x
                assert N.support(np.where(np.abs(v) < 1e-9, 0.0, v)) <= 1e-6
    outside = S.support_point(d) + d if (d := _bounded(S)) is not None else None
    if outside is not None:
        assert not S.normal_cone(outside).nonempty


def _bounded(S):
    for d in directions(S.dim):
        if d.any() and attained(S, d):
            return d
    return None


@alive
def test_recession_cone(S):
    try:
        R = S.recession_cone()
    except NotImplementedError:
        assert not S.is_bounded
        return
    x = S.min_norm()
    for y in 3 * np.random.default_rng(9).standard_normal((5, S.dim)):
        v = R.project(y)
        assert S.contains(x + 10 * v, TOL) and R.contains(3 * v, TOL)
    if S.is_bounded:
        assert R.is_singleton
    for d in directions(S.dim):
        if np.isposinf(R.support(d)):
            assert np.isposinf(S.support(d))
        elif R.support(d) == 0 and S.polyhedral:
            assert np.isfinite(S.support(d))


@sets
def test_restricted_to_nothing_is_empty(S):
    E, d = S.restrict(False), np.ones(S.dim)
    assert not E.nonempty and E.support(d) == -np.inf
    assert not E.contains(d) and E.distance(d) == np.inf
    assert np.all(E.box().is_empty) and E.is_bounded and not E.is_singleton
    assert not E.exposed_face(d).nonempty and not E.exposed_face(d, 1.0).nonempty
    for method in (E.project, E.support_point):
        with pytest.raises(ValueError, match="empty"):
            method(d)
    assert not (E + S).nonempty and not (2 * E).nonempty and not (-E).nonempty
    assert (E + S).support(d) == -np.inf
    assert not (np.eye(S.dim) @ E).nonempty


@alive
def test_operations(S):
    T = sg.Box(sg.Interval(-np.ones(S.dim), np.arange(1.0, S.dim + 1)))
    M = np.arange(2.0 * S.dim).reshape(2, S.dim) - 1
    d = directions(S.dim)
    close((S + T).support(d), S.support(d) + T.support(d))
    close((2 * S).support(d), 2 * S.support(d))
    close((-S).support(d), S.support(-d))
    close((S - T).support(d), S.support(d) + T.support(-d))
    close((S + d[-1]).support(d), S.support(d) + d @ d[-1])
    for e in directions(2):
        close((M @ S).support(e), S.support(e @ M))
    close(sg.hull_of_union(S, T).support(d), np.maximum(S.support(d), T.support(d)))
    U = sg.scaled_union(S, 0.5, 2.0)
    h = S.support(d)
    close(U.support(d), np.maximum(0.5 * h, 2 * h))
    P = sg.product([S, T])
    both = np.concatenate([d, d[::-1]], -1)
    close(P.support(both), h + T.support(d[::-1]))


@sets
def test_pickle_equality_and_repr(S):
    again = pickle.loads(pickle.dumps(S))
    assert again == S and S != sg.point(np.full(7, 3.0))
    close(again.support(directions(S.dim)), S.support(directions(S.dim)))
    assert isinstance(repr(S), str) and bool(np.all(S.exact))


@sets
def test_bad_input(S):
    for bad in (np.ones(S.dim + 1), np.full(S.dim, np.nan), [], "text"):
        with pytest.raises((ValueError, TypeError), match="d must|d "):
            S.support(bad)
    with pytest.raises(ValueError, match="eps"):
        S.exposed_face(np.ones(S.dim), -1.0)
    with pytest.raises(ValueError, match="finite"):
        S.project(np.full(S.dim, np.inf))


def test_every_class_has_a_row():
    have = {type(S) for S in SETS.values()} | set(OTHER_SETS)
    missing = [c.__name__ for c in named_classes(sg.Set) if c not in have]
    assert missing == []
