"""The largest convex function below given data."""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array, real
from subgrad.calculus.derived import _Derived
from subgrad.core import Function, Set
from subgrad.functions.indicator import Indicator
from subgrad.functions.max_affine import MaxAffine
from subgrad.sets.hull import Hull

_ROUNDING = 1e-12


class ConvexInterpolation(_Derived):
    r"""The largest convex f with f(p_i) <= y_i, points p (m, n) and values y (m,).

    .. math:: f(x) = \min \{\langle y, λ \rangle : λ \ge 0, \textstyle\sum_i λ_i = 1,
       \sum_i λ_i p_i = x\}, \qquad f^*(g) = \max_i \langle p_i, g \rangle - y_i

    piecewise linear on the hull of the points, +inf off it. `facets` is the maximum of
    affine functions that f is there: the lower facets of the hull of the (p_i, y_i).
    `interpolates` says whether every value is attained: the data are convex.
    """

    def __init__(self, points: Any, values: Any) -> None:
        P, y = real("points", points), real("values", values)
        if P.ndim == 1:
            P = P[:, None]
        if P.ndim != 2 or 0 in P.shape:
            raise ValueError(f"points must have shape (m, n), got {P.shape}")
        if y.shape != P.shape[:1]:
            raise ValueError(f"values must have shape ({len(P)},), got {y.shape}")
        self.points, self.values = P, y
        self.facets = MaxAffine(*_lower_facets(P, y))
        super().__init__(self.facets + Indicator(Hull(P)))
        self.n = P.shape[1]

    def _key(self) -> tuple[Any, ...]:
        return self.points, self.values

    @property
    def infimum(self) -> float:  # type: ignore[override]
        return float(self.values.min())

    @property
    def domain(self) -> Set:
        return Hull(self.points)

    @property
    def interpolates(self) -> bool:
        """Whether f(p_i) = y_i for all i, to 1e-9 of the size of the values."""
        size = 1e-9 * np.abs(self.values).max()
        return bool(np.all(self.values - self.facets._value(self.points) <= size))

    def _blur(self, x: Array) -> Array:
        """What rounding of the facets may hide: at a vertex all of them are active."""
        A, b = self.facets.op.A, self.facets.map.b
        return 64 * np.finfo(float).eps * (np.abs(x) @ np.abs(A).T + np.abs(b)).max(-1)

    def _subdifferential(self, x: Array, eps: Array) -> Set:
        slopes = self.facets._subdifferential(x, eps + self._blur(x))
        return slopes + self._normal(x)

    def _directional(self, x: Array, d: Array) -> Array:
        v, rise = self.facets.map._forward(x), self.facets.op.forward(d)
        active = v >= (v.max(-1) - self._blur(x))[..., None]
        out = Indicator(self.domain)._directional(x, d)
        return np.where(active, rise, -np.inf).max(-1) + out

    def conjugate(self) -> Function:
        return MaxAffine(self.points, -self.values)

    def _cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        w = cp.Variable(len(self.points), nonneg=True)
        sides = [cp.sum(w) == 1, self.points.T @ w == x]
        return self.values @ w + cp.transforms.indicator(sides)

    def __repr__(self) -> str:
        return f"ConvexInterpolation({self.points!r}, {self.values!r})"


def convex_interpolation(points: Any, values: Any) -> ConvexInterpolation:
    """The largest convex function with f(p_i) <= y_i, +inf off the hull of the p_i."""
    return ConvexInterpolation(points, values)


def _lower_facets(P: Array, y: Array) -> tuple[Array, Array]:
    """Slopes A (k, n) and offsets b with f(x) = max_k <a_k, x> + b_k on the hull.

    In coordinates of the affine hull of the points, scaled to one size in every
    direction, and after an affine function is taken off the values.
    """
    centre = P.mean(0)
    _, s, V = np.linalg.svd(P - centre, full_matrices=False)
    keep = s > _ROUNDING * max(s[0], np.abs(P).max())
    basis = V[keep].T / s[keep]
    z = (P - centre) @ basis
    columns = np.column_stack([z, np.ones(len(z))])
    fit, *_ = np.linalg.lstsq(columns, y, rcond=None)
    rest = y - columns @ fit
    size = np.abs(rest).max()
    if not z.shape[1]:
        slopes, level = np.zeros((1, 0)), np.array([y.min()])
        fit = np.zeros(1)
    elif size <= _ROUNDING * np.abs(y).max():
        slopes, level = np.zeros((1, z.shape[1])), np.zeros(1)
    elif z.shape[1] == 1:
        slopes, level = _chain(z[:, 0], rest)
    else:
        slopes, level = _facets(z, rest / size)
        slopes, level = size * slopes, size * level
    slopes, level = slopes + fit[:-1], level + fit[-1]
    A = slopes @ basis.T
    return A, level - A @ centre


def _chain(z: Array, y: Array) -> tuple[Array, Array]:
    """The lower chain of points in the plane, from left to right."""
    order = np.lexsort([y, z])
    hull: list[Any] = []
    for i in order:
        if hull and z[i] == z[hull[-1]]:
            continue
        while len(hull) > 1:
            a, b = hull[-2:]
            if (y[b] - y[a]) * (z[i] - z[b]) < (y[i] - y[b]) * (z[b] - z[a]):
                break
            hull.pop()
        hull.append(i)
    slopes = np.diff(y[hull]) / np.diff(z[hull])
    return slopes[:, None], y[hull[:-1]] - slopes * z[hull[:-1]]


def _facets(z: Array, y: Array) -> tuple[Array, Array]:
    """The lower facets of the hull of the points (z, y), by scipy's Qhull."""
    from scipy.spatial import ConvexHull

    normals = ConvexHull(np.column_stack([z, y])).equations
    steep = normals[:, -2] < -_ROUNDING
    lower = normals[steep]
    found = -lower[:, [*range(z.shape[1]), -1]] / lower[:, -2:-1]
    # Facets that are no simplices come in parts.
    found = found[np.unique(found.round(10), axis=0, return_index=True)[1]]
    return found[:, :-1], found[:, -1]
