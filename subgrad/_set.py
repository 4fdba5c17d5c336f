"""The protocol of sets: Set, a closed convex subset of R^n."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from subgrad._batch import Batched, every
from subgrad._check import Array, brief, nonnegative, real, vector
from subgrad._norm import norm, unit
from subgrad.interval import Interval

if TYPE_CHECKING:
    from collections.abc import Callable

Mask = np.ndarray[Any, np.dtype[np.bool_]]


class Set(Batched):
    r"""A closed convex subset of R^n, known by its support function.

    .. math:: h_S(d) = \sup_{s \in S} \langle s, d \rangle

    Vectors are last axes; a batch of sets is one Set whose parameters have leading
    axes (`batch`). `nonempty` and `exact` are arrays of that shape. `exact` is True
    where a theorem makes the set the whole subdifferential it was asked for, False
    where only inclusion in it is proved.
    """

    __array_ufunc__ = None
    _arrays: ClassVar[dict[str, int]] = {"_mask": 0, "_proved": 0}
    _mask: Any = np.True_
    _proved: Any = np.True_
    dim: int
    polyhedral: bool = False

    # What a subclass writes -----------------------------------------------------

    def _alive(self) -> Any:
        """Where the parameters describe a nonempty set."""
        return every(p.nonempty for p in self._sets())

    def _sets(self) -> list[Any]:
        return [p for p in self._children() if isinstance(p, Set)]

    def _sure(self) -> Any:
        return every(p.exact for p in self._sets())

    def _support(self, d: Array) -> Array:
        raise NotImplementedError(f"{type(self).__name__}.support")

    def _support_point(self, d: Array) -> Array:
        raise NotImplementedError(f"{type(self).__name__}.support_point")

    def _face(self, d: Array, eps: Array) -> Set:
        raise NotImplementedError(f"{type(self).__name__}.exposed_face")

    def _costs(self, d: Array) -> Array:
        """(..., k), one entry per term: the eps at which its face is the whole term."""
        return np.asarray(self.support(d) + self.support(-d))[..., None]

    def _atom(self, d: Array) -> tuple[Array, Array | None]:
        """A support point where bounded, and a recession direction r, <r, d> > 0."""
        return self._support_point(d), None

    def _project(self, y: Array) -> Array:
        return self._each(y, _nearest)

    def _project_jacobian(self, y: Array) -> Any:
        """An element of the Clarke derivative of the projection at y (n,)."""
        raise NotImplementedError(f"{type(self).__name__}.project_jacobian")

    def _gauge(self, z: Array) -> Any:
        """The least t >= 0 with z in t S, for a bounded S that contains 0, at one z."""
        if not z.any():
            return 0.0
        low, high = 0.0, 1.0
        while not self._contains(z / high, 0.0):
            low, high = high, 2 * high
            if high > 1e300:
                return np.inf
        for _ in range(60):
            t = (low + high) / 2
            low, high = (low, t) if t and self._contains(z / t, 0.0) else (t, high)
        # Membership in curved sets is decided up to 1e-9.
        return high if self.polyhedral else high * (1 + 2e-9)

    def _contains(self, z: Array, tol: float) -> Array:
        away = z - self._project(z)
        size, room = norm(away), tol * (1 + norm(z))
        inside = size <= room
        near = ~inside & (size <= 1e-6 * (1 + norm(z)))
        if self.polyhedral or not np.any(near & self.nonempty):
            return inside
        # Onto curved sets some projections are proved to 1e-7 of the size only: so near
        # them, what is not separated from the set by the tolerance is a member.
        u = unit(away)
        return inside | (near & (np.vecdot(u, z) - self._support(u) <= room))

    def _frame(self) -> Any:
        """(c, G, l, u) if the single set is {c + G t : l <= t <= u}, else None."""
        return None

    def _corners(self) -> Any:
        """Points (m, n) and rays (k, n) that span the single set, if they are few."""
        return None

    def _interior(self, z: Array) -> Any:
        """Where z is proved to lie in the relative interior."""
        return np.zeros(np.broadcast_shapes(self.batch, z.shape[:-1]), bool)

    def _feasible(self, x: Array, d: Array) -> Any:
        """Where x + t d stays in the set for small t > 0, x being a member."""
        if self.polyhedral:
            return self._normal_cone(x, np.zeros(())).support(d) <= 0
        raise NotImplementedError(f"{type(self).__name__}: feasible directions")

    def _box(self) -> Interval:
        eye = np.eye(self.dim).reshape((self.dim,) + (1,) * len(self.batch) + (-1,))
        up = np.moveaxis(self.support(eye), 0, -1)
        low = -np.moveaxis(self.support(-eye), 0, -1)
        return Interval._raw(low, up)

    def _normal_cone(self, x: Array, eps: Array) -> Set:
        r"""N_S(x), the polar of cone(S - x): a subset of the eps-normal set."""
        from subgrad.calculus.compose import _weighted
        from subgrad.sets.box import Box, point
        from subgrad.sets.cone import NormalCone, Polar
        from subgrad.sets.hull import cone_over

        batch = np.broadcast_shapes(self.batch, x.shape[:-1])
        if not batch and (corners := self._corners()) is not None:
            points, rays = corners
            return Polar._raw(cone_over(points, rays, x))
        rays = Box(Interval(np.zeros(1), np.full(1, np.inf)))
        away = self + point(-x)
        return NormalCone(_weighted(rays, [away]), away)

    def _recession(self) -> Set:
        from subgrad.sets.box import point

        return point(np.zeros(self.dim))

    def _part(self, low: Mask, high: Mask) -> Set:
        """The members with s_i >= 0 where low_i and s_i <= 0 where high_i."""
        box = self._box()
        inside = (~low | (box.lower >= 0)) & (~high | (box.upper <= 0))
        if np.all(inside | ~self.nonempty[..., None]):
            return self
        raise NotImplementedError(
            f"{type(self).__name__}: intersection with an orthant; the outer "
            "function of a composition must be nondecreasing in every argument that is "
            "not affine"
        )

    def _cvxpy(self, z: Any, scale: Any) -> list[Any]:
        raise NotImplementedError(f"{type(self).__name__}.to_cvxpy")

    def _support_cvxpy(self, x: Any) -> Any:
        """The support function as a cvxpy expression, by default through its dual."""
        import cvxpy as cp

        z = cp.Variable(self.dim)
        return cp.transforms.suppfunc(z, self.to_cvxpy(z))(x)

    def _symmetries(self) -> tuple[Mask, Mask, Mask]:
        """Coordinates: exchangeable with the next, even, constant, where known so."""
        return (no := np.zeros(self.dim, bool)), no, no

    # Derived ---------------------------------------------------------------------

    @property
    def nonempty(self) -> Any:
        """Whether the set has a member, an array of shape `batch`."""
        return self._alive() & self._mask

    @property
    def exact(self) -> Any:
        """Whether a theorem makes this the whole set, not just a part of it."""
        return self._sure() & self._proved

    def restrict(self, mask: Any) -> Self:
        """This set where `mask` holds, the empty set elsewhere."""
        one = copy.copy(self)
        one._mask = np.logical_and(self._mask, mask)
        return one

    def proved(self, mask: Any) -> Self:
        """The same set, `exact` only where `mask` holds too."""
        one = copy.copy(self)
        one._proved = np.logical_and(self._proved, mask)
        return one

    def _each(self, y: Array, fun: Callable[[Any, Array], Array]) -> Array:
        """fun(single set, single vector) over the batch; y itself where empty."""
        batch = np.broadcast_shapes(self.batch, y.shape[:-1])
        y = np.broadcast_to(y, (*batch, y.shape[-1]))
        alive = np.broadcast_to(self.nonempty, batch)
        out = np.array(y, dtype=float)
        for i in np.ndindex(batch):
            if alive[i]:
                out[i] = fun(self._item(i), y[i])
        return out

    def _some(self, what: str) -> None:
        if not np.all(self.nonempty):
            raise ValueError(f"{what} of an empty set: no such point")

    def support(self, d: Any) -> Any:
        r"""h_S(d): -inf if empty, +inf along directions without bound.

        d of shape (..., n), broadcast against the batch; shape (...).
        """
        d = vector("d", d, self.dim)
        return np.where(self.nonempty, self._support(d), -np.inf)[()]

    def support_point(self, d: Any) -> Array:
        """One s in S with <s, d> = h_S(d). ValueError if none is there."""
        d = vector("d", d, self.dim)
        self._some("support_point")
        if np.any(np.isposinf(self._support(d))):
            raise ValueError("support_point: the set is unbounded in the direction d")
        s = self._support_point(d)
        if np.isnan(s).any():
            raise ValueError("support_point: the supremum is not attained")
        return self._broad(s)

    def _broad(self, s: Array) -> Array:
        """Points of the sets, one for every set of the batch."""
        shape = np.broadcast_shapes(s.shape[:-1], self.batch)
        return s if shape == s.shape[:-1] else np.broadcast_to(s, (*shape, self.dim))

    def exposed_face(self, d: Any, eps: Any = 0.0) -> Set:
        r"""All s in S with <s, d> = h_S(d), the subdifferential of h_S at d.

        With eps > 0 a set between that face and {s in S : <s, d> >= h_S(d) - eps}.
        """
        d = vector("d", d, self.dim)
        return self._face(d, nonnegative("eps", eps)).restrict(self._mask)

    def project(self, y: Any) -> Array:
        """The nearest member to y. ValueError if the set is empty."""
        y = vector("y", y, self.dim)
        self._some("project")
        return self._broad(self._project(y))

    def min_norm(self) -> Array:
        """The member of least Euclidean norm."""
        return self.project(np.zeros((*self.batch, self.dim)))

    def contains(self, z: Any, tol: float = 1e-9) -> Any:
        """Whether z is a member, up to the distance tol (1 + |z|)."""
        z = vector("z", z, self.dim)
        tol = float(nonnegative("tol", tol))
        alive = self.nonempty
        if not np.any(alive):
            return np.broadcast_to(
                alive, np.broadcast_shapes(self.batch, z.shape[:-1])
            )[()]
        return (self._contains(z, tol) & alive)[()]

    def distance(self, z: Any) -> Any:
        """Euclidean distance from z to the set, +inf if it is empty."""
        z = vector("z", z, self.dim)
        alive = self.nonempty
        if not np.any(alive):
            shape = np.broadcast_shapes(self.batch, z.shape[:-1])
            return np.full(shape, np.inf)[()]
        return np.where(alive, norm(z - self._project(z)), np.inf)[()]

    def box(self) -> Interval:
        """The smallest box around the set, an Interval of shape (..., n)."""
        b, alive = self._box(), self.nonempty
        if np.all(alive):
            return b
        keep = np.asarray(alive)[..., None]
        low, up = np.where(keep, b.lower, np.inf), np.where(keep, b.upper, -np.inf)
        return Interval._raw(low, up)

    def interval(self, d: Any) -> Interval:
        """{<s, d> : s in S} up to closure, an Interval: [-h(-d), h(d)]."""
        d = vector("d", d, self.dim)
        up, low = self.support(d), -self.support(-d)
        alive = self.nonempty
        return Interval._raw(np.where(alive, low, np.inf), np.where(alive, up, -np.inf))

    @property
    def is_singleton(self) -> Any:
        """Whether the set is one point."""
        b = self.box()
        return (self.nonempty & np.all(b.upper == b.lower, axis=-1))[()]

    @property
    def is_bounded(self) -> Any:
        """Whether the set is bounded (the empty set is)."""
        b = self.box()
        unbounded = np.isinf(b.upper) | np.isinf(b.lower)
        return (~self.nonempty | ~np.any(unbounded, axis=-1))[()]

    def normal_cone(self, x: Any, eps: Any = 0.0) -> Set:
        r"""{g : <g, s - x> <= 0 for all s in S}, empty where x is not a member.

        A computed x within the tolerance of `contains` counts as the nearest member.
        With eps > 0 a set between that cone and {g : h_S(g) - <g, x> <= eps}.
        """
        x = vector("x", x, self.dim)
        eps = nonnegative("eps", eps)
        inside = self.contains(x)
        near = np.where(np.asarray(inside)[..., None], self._project(x), 0.0)
        return self._normal_cone(near, eps).restrict(inside)

    def recession_cone(self) -> Set:
        """{r : s + t r in S for all s in S, t >= 0}; {0} for a bounded set."""
        return self._recession()

    def to_cvxpy(self, z: Any, scale: Any = 1) -> list[Any]:
        """cvxpy constraints "z in scale S", scale a number or nonnegative variable.

        z is a cvxpy expression of shape (n,); scale 0 means the recession cone.
        """
        if self.batch:
            raise ValueError(
                f"to_cvxpy takes one set, got a batch of shape {self.batch}"
            )
        if np.all(self.nonempty):
            return self._cvxpy(z, scale)
        # Scaled by 0 the empty set stands for its recession cone, {0}.
        return [z == 0, scale <= 0 if hasattr(scale, "is_dcp") else 0 * z[0] >= scale]

    def __contains__(self, z: Any) -> bool:
        inside = self.contains(z)
        if np.ndim(inside):
            raise ValueError("`in` is for one set and one point; use contains")
        return bool(inside)

    def __add__(self, other: Any) -> Set:
        from subgrad._function import Function
        from subgrad.calculus.sum import minkowski
        from subgrad.sets.box import point

        if not isinstance(other, Set):
            if isinstance(other, Function):
                return NotImplemented
            other = point(vector("shift", other, self.dim))
        return minkowski([self, other])

    __radd__ = __add__

    def __mul__(self, a: Any) -> Set:
        from subgrad._function import Function
        from subgrad.calculus.scale import scaled_set

        if isinstance(a, Set | Function | Interval):
            return NotImplemented
        return scaled_set(self, real("factor", a))

    __rmul__ = __mul__

    def __neg__(self) -> Set:
        return self * -1.0

    def __sub__(self, other: Any) -> Set:
        return self + (-other if isinstance(other, Set) else -real("shift", other))

    def __rsub__(self, other: Any) -> Set:
        return -self + other

    def __rmatmul__(self, A: Any) -> Set:
        from subgrad.affine import operator
        from subgrad.calculus.precompose import image

        return image(operator(A, self.dim), self)

    @brief
    def __repr__(self) -> str:
        fields = [f"{k}={getattr(self, k)!r}" for k in (*self._arrays, *self._parts)]
        shown = [f for f in fields if not f.startswith("_")]
        return f"{type(self).__name__}({', '.join(shown)})"


def a_set(name: str, S: Any) -> Set:
    """S, or a TypeError if it is no Set."""
    if not isinstance(S, Set):
        raise TypeError(f"{name} must be a Set, got {type(S).__name__}")
    return S


def _nearest(S: Set, y: Array) -> Array:
    """The projection on a single set without a closed form."""
    from subgrad.sets.nearest import nearest

    corners = S._corners()
    if corners is not None and not len(corners[1]):
        return nearest(None, y, vertices=corners[0])
    return nearest(S._atom, y, support=S.support)
