r"""Elements of the Clarke derivative of a prox, as operators.

The derivative of a prox is a symmetric matrix with eigenvalues in [0, 1]. Of the atoms
whose prox acts on groups of coordinates it is

.. math:: J = \mathrm{diag}(d) + \sum_g (e_g - d_g) \, u_g u_g^T, \qquad |u_g| = 1,

the u_g being zero off their group, on which d is constant where u_g is not zero: J is d
across u_g, and e_g along it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array


class Jacobian:
    """diag(d), and e along the unit vectors u of groups; u None: no groups.

    d and u of shape (n,), e (G,); labels (n,) says to which group a coordinate belongs,
    None that there is one group. With leading axes of d, u and e, a batch of them.
    """

    def __init__(
        self, d: Array, u: Array | None = None, e: Any = None, labels: Any = None
    ) -> None:
        self.d, self.u, self.labels = d, u, labels
        self.e = np.atleast_1d(np.asarray(e, float)) if u is not None else None

    def total(self, a: Array) -> Array:
        """Sums over the groups, (n,) -> (G,)."""
        assert self.e is not None
        if self.labels is None:
            return a.sum(-1, keepdims=True)
        count = self.e.shape[-1]
        if a.ndim > 1:
            return a @ (self.labels[:, None] == np.arange(count))
        return np.bincount(self.labels, a, count)

    def spread(self, a: Array) -> Array:
        """A number per group as a number per coordinate."""
        return a if self.labels is None else a[..., self.labels]

    @property
    def along(self) -> Array:
        """e - d per group, d what it is where u is not zero."""
        assert self.u is not None
        return self.e - self.total(self.d * self.u * self.u)

    def apply(self, x: Array) -> Array:
        """J x."""
        y = self.d * x
        if self.u is None:
            return y
        return y + self.u * self.spread(self.along * self.total(self.u * x))

    def complement(self) -> Jacobian:
        """I - J."""
        if self.u is None or self.e is None:
            return Jacobian(1 - self.d)
        return Jacobian(1 - self.d, self.u, 1 - self.e, self.labels)

    def times(self, a: Any) -> Jacobian:
        """a J, a >= 0 a number, or one per coordinate and the same within a group."""
        if self.u is None:
            return Jacobian(a * self.d)
        each = a if np.ndim(a) == 0 else self.total(a * self.u * self.u)
        return Jacobian(a * self.d, self.u, each * self.e, self.labels)

    def dense(self) -> Array:
        """The matrix."""
        J = np.diag(self.d)
        if self.u is None:
            return J
        rank_one = self.u[:, None] * (self.spread(self.along) * self.u)
        if self.labels is not None:
            rank_one[self.labels[:, None] != self.labels] = 0.0
        return J + rank_one


class GeneralJacobian:
    """A symmetric operator known by its products, `apply` of vectors (n,)."""

    def __init__(self, apply: Any, n: int) -> None:
        self.apply, self.n = apply, n

    def complement(self) -> GeneralJacobian:
        """I - J."""
        return GeneralJacobian(lambda x: x - self.apply(x), self.n)

    def times(self, a: Any) -> GeneralJacobian:
        """a J."""
        return GeneralJacobian(lambda x: a * self.apply(x), self.n)

    def dense(self) -> Array:
        """The matrix."""
        return np.stack([self.apply(x) for x in np.eye(self.n)], -1)


class LowRank(GeneralJacobian):
    """diag(d) + V diag(e) Vᵀ; d of shape (n,), V (n, k) with any columns, e (k,)."""

    def __init__(self, d: Array, V: Array, e: Any) -> None:
        self.d, self.V, self.e, self.n = d, V, np.asarray(e, float), len(d)

    def apply(self, x: Array) -> Array:
        """J x."""
        return self.d * x + self.V @ (self.e * (x @ self.V))

    def complement(self) -> LowRank:
        """I - J."""
        return LowRank(1 - self.d, self.V, -self.e)

    def times(self, a: Any) -> LowRank:
        """a J."""
        return LowRank(a * self.d, self.V, a * self.e)

    def dense(self) -> Array:
        """The matrix."""
        return np.diag(self.d) + (self.V * self.e) @ self.V.T


AnyJacobian = Jacobian | GeneralJacobian


def identity(n: int) -> Jacobian:
    """I."""
    return Jacobian(np.ones(n))


def projector(V: Array) -> LowRank:
    """On the span of the rows of V."""
    _, s, W = np.linalg.svd(V, full_matrices=False)
    W = W[s > 1e-9 * s.max(initial=0.0)]
    return LowRank(np.zeros(V.shape[-1]), W.T, np.ones(len(W)))


def of_polyhedron(corners: tuple[Array, Array], y: Array, p: Array) -> AnyJacobian:
    """That of the projection p of y on the hull of points and rays.

    Around y the projection is that on the affine hull of the face exposed by y - p, or
    y can be moved by as little as one likes so that it is.
    """
    points, rays = corners
    away = y - p
    far = float(np.linalg.norm(away))
    reach = np.linalg.norm(points - p, axis=-1)
    size = float(np.linalg.norm(y) + np.linalg.norm(p) + reach.max(initial=0.0))
    if far <= 1e-12 * size:
        away, far = np.zeros_like(y), 0.0
    flat = points[(p - points) @ away <= 1e-9 * far * (far + reach)]
    along = rays[-(rays @ away) <= 1e-9 * far * np.linalg.norm(rays, axis=-1)]
    return projector(np.concatenate([flat - flat[:1], along]))


def of_corners(S: Any, y: Array) -> AnyJacobian:
    """That of the projection on a polyhedron with few corners."""
    corners = S._corners() if S.polyhedral else None
    if corners is None:
        raise NotImplementedError(
            f"{type(S).__name__}.project_jacobian: only of polyhedra with few corners"
        )
    return of_polyhedron(corners, y, S._project(y))


def blocks(parts: list[Any], cuts: Any) -> AnyJacobian:
    """The parts one after the other on the diagonal, ending at `cuts`."""
    if all(isinstance(J, Jacobian) for J in parts):
        d = np.concatenate([J.d for J in parts])
        if all(J.u is None for J in parts):
            return Jacobian(d)
        u, e, labels, first = [], [], [], 0
        for J in parts:
            u.append(np.zeros_like(J.d) if J.u is None else J.u)
            e.append(np.zeros(1) if J.u is None else J.e)
            labels.append(first + _labels(J))
            first += len(e[-1])
        return Jacobian(d, np.concatenate(u), np.concatenate(e), np.concatenate(labels))
    ends = np.asarray(cuts)[:-1]

    def apply(x: Array) -> Array:
        pairs = zip(parts, np.split(x, ends), strict=True)
        return np.concatenate([J.apply(v) for J, v in pairs])

    return GeneralJacobian(apply, int(cuts[-1]))


def _labels(J: Jacobian) -> Array:
    return np.zeros(len(J.d), int) if J.labels is None else J.labels


def plus_rank_one(J: Any, w: Array, a: float) -> GeneralJacobian:
    """J + a w wᵀ."""
    if isinstance(J, Jacobian) and J.u is None:
        return LowRank(J.d, w[:, None], [a])
    if isinstance(J, LowRank):
        return LowRank(J.d, np.column_stack([J.V, w]), np.append(J.e, a))
    return GeneralJacobian(lambda x: J.apply(x) + (a * (w @ x)) * w, len(w))


def carried(J: Jacobian, at: Array, n: int) -> Jacobian:
    """J on the coordinates `at` of n, I on the others."""
    d = np.ones(n)
    d[at] = J.d
    if J.u is None:
        return Jacobian(d)
    assert J.e is not None
    u, labels = np.zeros(n), np.full(n, len(J.e))
    u[at], labels[at] = J.u, _labels(J)
    return Jacobian(d, u, np.append(J.e, 0.0), labels)


def of_pools(starts: Array, order: Array, sign: Any = 1.0) -> tuple[Array, Array]:
    """Unit vectors constant on the pools of sorted entries, and the pools' labels."""
    n = len(order)
    sizes = np.diff(starts, append=n)
    labels, u = np.empty(n, int), np.empty(n)
    labels[order] = np.repeat(np.arange(len(starts)), sizes)
    u[order] = np.repeat(1 / np.sqrt(sizes), sizes)
    return sign * u, labels


def of_level(H: Array, g: Array) -> LowRank:
    r"""That of the projection on {φ <= 0} from outside.

    There p + μ ∇φ(p) = y; H = 1 / (1 + μ φ''), of a separable φ, and g = ∇φ(p):

    .. math:: H - H g g^T H / \langle g, H g \rangle
    """
    v = H * g
    size = float(v @ g)
    return LowRank(H, v[:, None], [-1 / size if size > 0 else 0.0])
