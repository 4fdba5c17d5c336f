"""Nearest point of a convex set known by its support points: Wolfe's method."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from subgrad._check import Array
from subgrad.sets.nearest import TOL, ProjectionError

EPS = float(np.finfo(float).eps)


def nearest_by_support(
    atom: Callable[[Array], tuple[Array, Array | None]], y: Array
) -> Array:
    r"""The point p* nearest to y of a set S, from its support points.

    `atom(d)` gives a point s of S that maximises <s, d> as far as S is bounded, and a
    recession direction r with <r, d> > 0, or None. The method keeps p, the nearest point
    to y of the hull of a few points plus the cone of a few rays, and adds what `atom`
    finds in the direction y - p. Finite for polyhedra; for curved sets the gap

    .. math:: |p - p^*|^2 \le gap = \langle y - p, s - p \rangle

    (from <y - p*, p - p*> <= 0 and <y - p, p*> <= <y - p, s>) falls geometrically in
    practice. It stops where |p - y| <= 1e-9 of the data's size; or where |p - s| is, for
    s is the projection of s + (y - p) and projections do not expand; or where s is one
    of the points already, or |p - y| no longer falls, and the gap is at its rounding
    level, which proves 1e-7 of that size. Else ProjectionError.

    Ph. Wolfe, Finding the nearest point in a polytope, Math. Program. 11 (1976).
    """
    n = y.size
    s, _ = atom(np.where(y == 0, 1.0, y) if not y.any() else y)
    atoms, is_ray, lam = [s - y], [False], np.ones(1)
    p, best, stalled = atoms[0], np.inf, 0
    span = float(np.linalg.norm(p) + np.linalg.norm(y))
    for _ in range(100 * (n + 10)):
        size = float(np.linalg.norm(p))
        if size <= TOL * span:
            return y + p
        s, ray = atom(-p)
        q = s - y
        span = max(span, float(np.linalg.norm(q) + np.linalg.norm(y)))
        gap = float(p @ (p - q))
        if ray is not None:
            ray = ray / np.linalg.norm(ray)
            ray = ray if -(p @ ray) > 64 * EPS * size else None
        stalled = 0 if size < best * (1 - EPS) else stalled + 1
        best = min(best, size)
        if ray is None:
            if np.linalg.norm(p - q) <= TOL * span:
                return y + q
            known = any(np.array_equal(a, q) for a in atoms)
            level = gap <= 128 * EPS * size * span or size <= 50 * TOL * span
            if (known or stalled > 5) and level:
                return y + p
        if stalled > 20:
            break
        atoms.append(q if ray is None else ray)
        is_ray.append(ray is not None)
        atoms, is_ray, lam, p = _minimise(atoms, is_ray, np.append(lam, 0.0))
    raise ProjectionError(
        f"the nearest point could not be proved: gap {gap:.1e} at distance {size:.1e}; "
        "subgrad.cvx.project solves the same problem by an interior-point method"
    )


def _minimise(
    atoms: list[Array], is_ray: list[bool], lam: Array
) -> tuple[list[Array], list[bool], Array, Array]:
    """Minor cycles: nearest point to 0 of the hull of the points plus the rays' cone.

    Unknowns are steps from the heaviest point along the unit vectors to the others, and
    along the rays: well scaled however closely the points cluster.
    """
    for _ in range(len(atoms) + 1):
        k = max((i for i in range(len(atoms)) if not is_ray[i]), key=lambda i: lam[i])
        idx = [i for i in range(len(atoms)) if i != k]
        D = np.array([atoms[i] if is_ray[i] else atoms[i] - atoms[k] for i in idx])
        length = np.linalg.norm(D, axis=1) if idx else np.zeros(0)
        ok = length > 0
        new = np.zeros(len(atoms))
        if ok.any():
            M = (D[ok] / length[ok, None]).T
            step = np.linalg.lstsq(M, -atoms[k], rcond=1e-13)[0] / length[ok]
            new[np.array(idx)[ok]] = step
        points = ~np.array(is_ray)
        new[k] = 1 - new[points].sum()
        falls = new < 0
        if not falls.any():
            lam = new
            break
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(falls, lam / (lam - new), np.inf)
        t = ratio.min()
        lam = np.maximum(lam + t * (new - lam), 0.0)
        lam[ratio <= t] = 0.0
        if not lam[points].any():
            lam[k] = 1.0
        atoms, is_ray, lam = _positive(atoms, is_ray, lam)
    atoms, is_ray, lam = _positive(atoms, is_ray, lam)
    points = ~np.array(is_ray)
    lam[points] /= lam[points].sum()
    k = int(np.argmax(np.where(points, lam, -1.0)))
    p = atoms[k] + sum(
        w * (a if r else a - atoms[k])
        for w, a, r in zip(lam, atoms, is_ray, strict=True)
    )
    return atoms, is_ray, lam, p


def _positive(
    atoms: list[Array], is_ray: list[bool], lam: Array
) -> tuple[list[Array], list[bool], Array]:
    keep = [i for i in range(len(atoms)) if lam[i] > 0]
    return [atoms[i] for i in keep], [is_ray[i] for i in keep], lam[keep]
