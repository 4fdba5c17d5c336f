"""The largest convex function below given data."""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array, real
from subgrad.calculus.derived import _Derived
from subgrad.core import Function, Mask, Set, norm
from subgrad.functions.indicator import Indicator
from subgrad.functions.max_affine import MaxAffine
from subgrad.sets.hull import Hull

_ROUNDING = 1e-12
_EPS = float(np.finfo(float).eps)


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
        A, b, self._at, self._sides = _lower_facets(P, y)
        self.facets = MaxAffine(A, b)
        # What b may have lost to rounding, before the factor of x.
        near = [np.abs(P[at]).max(0) for at in self._at]
        high = [np.abs(y[at]).max() for at in self._at]
        if P.shape[1] > 1:  # Qhull works with all of the data at once.
            near, high = [np.abs(P).max(0)] * len(A), [np.abs(y).max()] * len(A)
        self._lost = np.vecdot(np.abs(A), np.array(near)) + np.abs(b) + high
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

    def _within(self, x: Array) -> Mask:
        """Whether x is in the hull of the points, up to the tolerance of `contains`."""
        centre, basis, G, h = self._sides
        z = x - centre
        beyond = norm(z - (z @ basis.T) @ basis)
        off = np.maximum((z @ G.T - h).max(-1, initial=-np.inf), beyond)
        size = norm(x) + np.abs(self.points).max()
        out = off > 1e-9 * (1 + norm(x))
        # Near a sharp corner the distance may exceed that from every side.
        near = ~out & (off > 64 * _EPS * size)
        if np.any(near):
            inside = self.domain.contains(np.where(near[..., None], x, self.points[0]))
            out = out | (near & ~inside)
        return ~out

    def _value(self, x: Array) -> Array:
        return np.where(self._within(x), self.facets._value(x), np.inf)

    def _active(self, x: Array, eps: Array) -> Mask:
        """The facets with f - e at most at x: at data points those that meet there."""
        v, A = self.facets.map._forward(x), self.facets.op.A
        blur = 64 * _EPS * (np.abs(x) @ np.abs(A).T + self._lost)
        top = np.argmax(v, axis=-1)[..., None]
        room = blur + np.take_along_axis(blur, top, -1) + np.asarray(eps)[..., None]
        active = v >= np.take_along_axis(v, top, -1) - room
        at = np.all(x[..., None, :] == self.points, -1)
        if np.any(at):
            meets = np.zeros((len(self.points), len(A)), bool)
            for k, some in enumerate(self._at):
                meets[some, k] = True
            active = active | (at[..., None] & meets).any(-2)
        return active

    def _subdifferential(self, x: Array, eps: Array) -> Set:
        slopes = Hull._raw(self.facets.op.A, self._active(x, eps))
        return slopes + self._normal(x)

    def _directional(self, x: Array, d: Array) -> Array:
        active, rise = self._active(x, np.zeros(())), self.facets.op.forward(d)
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


def _lower_facets(P: Array, y: Array) -> tuple[Array, Array, list[Any], Any]:
    """Slopes A (k, n) and offsets b with f(x) = max_k <a_k, x> + b_k on the hull.

    In coordinates of the affine hull of the points, scaled to one size in every
    direction, and after an affine function is taken off the values. Beside them, for
    each facet, the data it is laid through, and the hull {x : x - c in the span of the
    rows of B, G (x - c) <= h} as (c, B, G, h).
    """
    centre = P.mean(0)
    _, s, V = np.linalg.svd(P - centre, full_matrices=False)
    keep = s > _ROUNDING * max(s[0], np.abs(P).max())
    basis = V[keep].T / s[keep]
    z = (P - centre) @ basis
    columns = np.column_stack([z, np.ones(len(z))])
    fit, *_ = np.linalg.lstsq(columns, y, rcond=None)
    rest = y - columns @ fit
    size, n = np.abs(rest).max(), z.shape[1]
    if n == 0:
        G, h = np.zeros((0, 0)), np.zeros(0)
    elif n == 1:
        G, h = np.array([[-1.0], [1.0]]), np.array([-z.min(), z.max()])
    else:
        G, h = _sides(z)
    G = G @ basis.T
    length = norm(G)
    sides = centre, V[keep], G / length[:, None], h / length
    at: list[Any] = [slice(None)]
    if n == 0:
        return np.zeros_like(P[:1]), y.min(keepdims=True), at, sides
    if size <= _ROUNDING * np.abs(y).max():
        slopes, level = np.zeros((1, n)), np.zeros(1)
    elif n == 1:
        # From the data themselves, which may differ in size by orders.
        line = basis[:, 0]
        at = _chain(P @ line, y)
        i, j = np.array(at).T
        A = ((y[j] - y[i]) / ((P[j] - P[i]) @ line))[:, None] * line
        low = np.where(np.abs(y[i]) <= np.abs(y[j]), i, j)
        return A, y[low] - np.vecdot(A, P[low]), at, sides
    else:
        slopes, level, at = _facets(z, rest / size)
        slopes, level = size * slopes, size * level
    slopes, level = slopes + fit[:-1], level + fit[-1]
    A = slopes @ basis.T
    return A, level - A @ centre, at, sides


def _chain(z: Array, y: Array) -> list[Any]:
    """The edges of the lower chain of points in the plane, from left to right."""
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
    return [list(pair) for pair in zip(hull[:-1], hull[1:], strict=True)]


def _sides(z: Array) -> tuple[Array, Array]:
    """G and h with conv{z_i} = {z : G z <= h}, by scipy's Qhull."""
    from scipy.spatial import ConvexHull

    sides = ConvexHull(z).equations
    return sides[:, :-1], -sides[:, -1]


def _facets(z: Array, y: Array) -> tuple[Array, Array, list[Any]]:
    """The lower facets of the hull of the points (z, y), by scipy's Qhull."""
    from scipy.spatial import ConvexHull

    hull = ConvexHull(np.column_stack([z, y]))
    steep = hull.equations[:, -2] < -_ROUNDING
    lower, corners = hull.equations[steep], hull.simplices[steep]
    found = -lower[:, [*range(z.shape[1]), -1]] / lower[:, -2:-1]
    # Facets that are no simplices come in parts.
    _, first, part = np.unique(
        found.round(10), axis=0, return_index=True, return_inverse=True
    )
    at = [np.unique(corners[part.ravel() == k]) for k in range(len(first))]
    return found[first, :-1], found[first, -1], at
