r"""Composition with an affine map: the subdifferential of f(A x + b) is Aᵀ S.

.. math:: h_{A S}(d) = h_S(A^T d), \qquad
   \partial (f \circ (A \cdot + b))(x) \supseteq A^T \partial f(A x + b)

with equality where the range of the map meets the relative interior of the domain of f,
or its domain if f is polyhedral (Rockafellar, Convex Analysis, 23.9).
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from subgrad._check import Array
from subgrad._jacobian import GeneralJacobian, Jacobian, carried, of_corners
from subgrad.affine import AffineMap, Diagonal, Matrix, Operator, chain, identity
from subgrad.calculus.scale import ScaledSet, scaled_set
from subgrad.calculus.sum import MinkowskiSum, mark
from subgrad.core import Function, Mask, Set, _nearest, norm
from subgrad.operators import Pick
from subgrad.sets.ball import Ball
from subgrad.sets.box import Box

DENSE = 400  # columns up to which a decomposition of the map is cheap


class LinearImage(Set):
    """The closure of {A s : s in S}; not closed only if S is unbounded."""

    _parts: ClassVar = ("op", "base")

    def __init__(self, op: Operator, base: Set) -> None:
        self.op, self.base, self.dim = op, base, op.rows
        self.polyhedral = base.polyhedral

    def _alive(self) -> Any:
        return np.broadcast_to(self.base.nonempty, self.batch)[()]

    def _sure(self) -> Any:
        return self.base.exact

    def _support(self, d: Array) -> Array:
        return self.base.support(self.op.adjoint(d))

    def _support_point(self, d: Array) -> Array:
        return self.op.forward(self.base._support_point(self.op.adjoint(d)))

    def _atom(self, d: Array) -> tuple[Array, Array | None]:
        w = self.op.adjoint(d)
        for _ in range(10):
            s, ray = self.base._atom(w)
            if ray is None:
                return self.op.forward(s), None
            moved, slope = self.op.forward(ray), ray @ w
            plain = slope > 1e-10 * norm(ray) * norm(w)
            if plain or moved @ d > 1e-12 * norm(moved) * norm(d):
                return self.op.forward(s), moved
            w = w - slope / (ray @ ray) * ray
        return np.full(d.shape, np.nan), None

    def _face(self, d: Array, eps: Array) -> Set:
        return image(self.op, self.base.exposed_face(self.op.adjoint(d), eps))

    def _project(self, y: Array) -> Array:
        return self._each(y, project_terms)

    def _project_jacobian(self, y: Array) -> Any:
        r"""A J Aᵀ / c where AᵀA = c I; of few corners that of a polyhedron."""
        c = self.op.T.tight
        if c:
            J = self.base._project_jacobian(self.op.adjoint(y) / c)
            return GeneralJacobian(
                lambda x: self.op.forward(J.apply(self.op.adjoint(x))) / c, self.dim
            )
        return of_corners(self, y)

    def _contains(self, z: Array, tol: float) -> Array:
        """Of an injective map: whether the one s with A s = z is a member of S."""
        m, n = self.op.rows, self.op.cols
        few = n <= min(m, DENSE) and m * n**2 <= 1e8
        if not few or self.op.batch or self.base.polyhedral:
            return super()._contains(z, tol)
        U, sigma, V = np.linalg.svd(self.op.dense(), full_matrices=False)
        if sigma[-1] <= 1e-12 * sigma[0]:
            return super()._contains(z, tol)
        s = (z @ U / sigma) @ V
        room = 1 + norm(z)
        on = norm(z - self.op.forward(s)) <= tol * room
        ratio = float(np.min(room / (1 + norm(s))))
        inside = on & self.base._contains(s, tol * ratio / sigma[0])
        near = on & ~inside & self.base._contains(s, tol * ratio / sigma[-1])
        return inside | super()._contains(z, tol) if np.any(near) else inside

    def _costs(self, d: Array) -> Array:
        return self.base._costs(self.op.adjoint(d))

    def _corners(self) -> Any:
        corners = self.base._corners()
        if corners is None:
            return None
        return self.op.forward(corners[0]), self.op.forward(corners[1])

    def _recession(self) -> Set:
        return image(self.op, self.base.recession_cone())

    def _cvxpy(self, z: Any, scale: Any) -> list[Any]:
        import cvxpy as cp

        s = cp.Variable(self.base.dim)
        return [z == self.op.to_cvxpy(s), *self.base.to_cvxpy(s, scale)]

    def _support_cvxpy(self, x: Any) -> Any:
        return self.base._support_cvxpy(self.op.T.to_cvxpy(x))


def image(op: Operator, S: Set) -> Set:
    """The image of S under a linear map; of a box under a diagonal one, a box."""
    if op.rows == 1:
        one = op.adjoint(np.ones(1))
        return Box(S.interval(one)[..., None]).proved(S.exact)
    if isinstance(op, Diagonal) and isinstance(S, Box):
        return Box(S.box() * op.w).proved(S.exact)
    if op.scalar is not None and op.scalar != 0:
        return scaled_set(S, np.asarray(op.scalar))
    plain = S._mask is np.True_ and S._proved is np.True_
    if isinstance(S, LinearImage) and plain:
        return image(chain(op, S.op), S.base)
    return LinearImage(op, S)


# Projection onto sums of images.


def _terms(S: Set, op: Operator) -> list[tuple[Operator, Set]]:
    """S as a sum of images of sets that are neither sums nor images."""
    if isinstance(S, MinkowskiSum):
        return [t for p in S.parts for t in _terms(p, op)]
    if isinstance(S, ScaledSet):
        return _terms(S.base, chain(op, Diagonal(S.factor, S.dim)))
    if isinstance(S, LinearImage):
        return _terms(S.base, chain(op, S.op))
    return [(op, S)]


def project_terms(S: Set, y: Array) -> Array:
    r"""The nearest point to y of a single sum of images.

    Points are translations. Round balls add their radii, and the nearest point of
    P + r B is q + min(1, r / |y - q|) (y - q), q that of P. Images of boxes (cones,
    subspaces and half-spaces among them) are bounded least squares. What is left is
    known by the projections on the sets or by its support points.
    """
    radius, shift = 0.0, np.zeros_like(y)
    rest: list[tuple[Operator, Set]] = []
    for op, leaf in _terms(S, identity(S.dim)):
        if isinstance(leaf, Ball) and op.scalar is not None and leaf.is_round:
            radius += abs(op.scalar) * float(leaf.radius[0])
            shift = shift + op.forward(leaf.center)
        elif isinstance(leaf, Box) and np.array_equal(leaf.lower, leaf.upper):
            shift = shift + op.forward(leaf.lower)
        else:
            rest.append((op, leaf))
    q = _project_rest(rest, y - shift)
    away = y - shift - q
    size = norm(away)
    return shift + q + (min(1.0, radius / size) if size > 0 else 0.0) * away


def _project_rest(rest: list[tuple[Operator, Set]], y: Array) -> Array:
    from subgrad.sets.nearest import ProjectionError, nearest_box_image

    if not rest:
        return np.zeros_like(y)
    if len(rest) == 1 and (a := rest[0][0].scalar):
        return a * rest[0][1]._project(y / a)
    frames = [leaf._frame() for _, leaf in rest]
    if all(f is not None for f in frames):
        ops = [op for op, _ in rest]
        centre = sum(op.forward(f[0]) for op, f in zip(ops, frames, strict=True))
        G = [op.forward(f[1].T).T for op, f in zip(ops, frames, strict=True)]
        low, up = (np.concatenate([f[i] for f in frames]) for i in (2, 3))
        return centre + nearest_box_image(np.concatenate(G, 1), low, up, y - centre)
    total = MinkowskiSum(tuple(image(op, leaf) for op, leaf in rest))
    size = sum(leaf.dim for _, leaf in rest)
    own = all(type(leaf)._project is not Set._project for _, leaf in rest)
    own = own and size <= DENSE and len(y) * size**2 <= 1e8
    # Support points of a set without end may lie anywhere on its border.
    far = not all(leaf.polyhedral or leaf.is_bounded for _, leaf in rest)
    if own and far:
        try:
            return _by_projections(rest, total, y)
        except (ProjectionError, NotImplementedError):
            return _by_atoms(total, y, 20 * (len(y) + 10))
    try:
        return _by_atoms(total, y)
    except (ProjectionError, NotImplementedError):
        if not own:
            raise
        return _by_projections(rest, total, y)


def _by_atoms(total: Set, y: Array, rounds: int | None = None) -> Array:
    from subgrad.sets.nearest import nearest

    if total.polyhedral:
        return _nearest(total, y)
    return nearest(total._atom, y, support=total.support, rounds=rounds)


def _by_projections(rest: list[tuple[Operator, Set]], total: Set, y: Array) -> Array:
    """The nearest point of the image of a product, by the projections on its parts."""
    from subgrad.sets.nearest import nearest_image

    ends = np.cumsum([leaf.dim for _, leaf in rest])[:-1]

    def project(s: Array) -> Array:
        blocks = zip(rest, np.split(s, ends, axis=-1), strict=True)
        return np.concatenate([leaf._project(b) for (_, leaf), b in blocks], -1)

    A = np.concatenate([op.dense() for op, _ in rest], 1)
    return nearest_image(A, project, total.support, y)


class Precomposed(Function):
    """x -> f(A x + b)."""

    def __init__(self, f: Function, map: AffineMap) -> None:
        self.f, self.map, self.op = f, map, map.op
        self.n, self.variable = map.cols or None, map.variable
        self.polyhedral, self.finite = f.polyhedral, f.finite

    @property
    def infimum(self) -> float:  # type: ignore[override]
        return self.f.infimum

    def _key(self) -> tuple[Any, ...]:
        return (self.f, self.op, self.map.b)

    def _value(self, x: Array) -> Array:
        return self.f._value(self.map._forward(x))

    def _subgradient(self, x: Array) -> Array:
        return self.op.adjoint(self.f._subgradient(self.map._forward(x)))

    def _oracle(self, x: Array) -> tuple[Array, Array]:
        value, g = self.f._oracle(self.map._forward(x))
        return value, self.op.adjoint(g)

    def _subdifferential(self, x: Array, eps: Array) -> Set:
        z = self.map._forward(x)
        S = image(self.op.T, self.f._subdifferential(z, eps))
        return mark(S, self._proved(z))

    def _proved(self, z: Array) -> Any:
        if self.f.finite or self.op.tight or self.f.polyhedral:
            return np.True_
        return self.f._interior(z)

    def _directional(self, x: Array, d: Array) -> Array:
        return self.f._directional(self.map._forward(x), self.op.forward(d))

    def _costs(self, x: Array) -> Array:
        return self.f._costs(self.map._forward(x))

    def _normal(self, x: Array) -> Set:
        if self.f.finite:
            return super()._normal(x)
        z = self.map._forward(x)
        return mark(image(self.op.T, self.f._normal(z)), self._proved(z))

    def _interior(self, x: Array) -> Any:
        # A x + b in ri dom f: then x is in ri of the preimage (Rockafellar 6.7).
        return self.f._interior(self.map._forward(x))

    def _nondecreasing(self, low: Array) -> Mask:
        op = self.op
        if op.scalar is None or op.scalar < 0 or self.map.b is not None:
            return super()._nondecreasing(low)
        with np.errstate(invalid="ignore"):
            return self.f._nondecreasing(np.where(low == 0, low, op.scalar * low))

    def _prox(self, x: Array, t: Array) -> Array:
        r"""With A Aᵀ = c I: x + Aᵀ(prox_{c t f}(z) - z) / c, z = A x + b."""
        c = self.op.tight
        if self.op.scalar == 1 and self.map.b is None:
            return self.f._prox(x, t)
        if not c:
            raise NotImplementedError(
                "f(A x + b).prox: only if A Aᵀ is a multiple of I"
            )
        z = self.map._forward(x)
        return x + self.op.adjoint(self.f._prox(z, c * t) - z) / c

    def _prox_jacobian(self, x: Array, t: Any) -> Any:
        r"""I + Aᵀ (J - I) A / c, J that of f; for a multiple of the identity, J."""
        c, op = self.op.tight, self.op
        if not c:
            raise NotImplementedError(
                "f(A x + b).prox_jacobian: only if A Aᵀ is a multiple of I"
            )
        J = self.f._prox_jacobian(self.map._forward(x), c * t)
        if op.scalar is not None:
            return J
        if isinstance(J, Jacobian) and isinstance(op, Pick):
            return carried(J, np.arange(op.cols)[op.index], op.cols)
        return GeneralJacobian(
            lambda v: v + op.adjoint(J.apply(z := op.forward(v)) - z) / c, len(x)
        )

    def conjugate(self) -> Function:
        r"""Of f(w x + b), w != 0 per coordinate, and of h_S(A x + b), S bounded:

        .. math:: f^*(g / w) - \langle g / w, b \rangle, \quad
           \min \{-\langle b, s \rangle : A^T s = g, s \in S\}

        The second is the indicator of Aᵀ S where b = 0, else S must have few vertices.
        """
        from subgrad.functions.support import Support

        w = self.op.w if isinstance(self.op, Diagonal) else np.zeros(1)
        if not np.all(w):
            if isinstance(self.f, Support) and self.f.finite:
                return self._dual_of_support(self.f._body(self.op.rows))
            raise NotImplementedError(
                "f(A x + b).conjugate: only for A = w I, w != 0, or a support function "
                "f of a bounded set"
            )
        g = AffineMap(None, Diagonal(1 / w, self.op.rows), None, self.map.shape)
        star = precompose(self.f.conjugate(), g)
        if self.map.b is None:
            return star
        return star - g._with(*_row(self.map._full(), g))

    def _dual_of_support(self, S: Set) -> Function:
        from subgrad.functions.convex_interpolation import ConvexInterpolation
        from subgrad.functions.indicator import Indicator

        if self.map.b is None:
            return Indicator(image(self.op.T, S))
        corners = None if S.batch or self.map.batch else S._corners()
        if corners is None or len(corners[0]) > 500:
            raise NotImplementedError(
                "h(A x + b).conjugate with a shift b: only where h is the support "
                "function of a polytope with few vertices, not a batch"
            )
        points = corners[0]
        return ConvexInterpolation(self.op.adjoint(points), -points @ self.map._full())

    def _cvxpy(self, x: Any) -> Any:
        z = self.op.to_cvxpy(x)
        return self.f._cvxpy(z if self.map.b is None else z + self.map._full())

    def __repr__(self) -> str:
        return f"{self.f!r}({self.map!r})"


def _row(b: Array, g: AffineMap) -> tuple[Operator, None, tuple[int, ...]]:
    """The map <b, g>, one row; b may be a batch."""
    return chain(Matrix(b[..., None, :]), g.op), None, (1,)


def precompose(f: Function, map: AffineMap) -> Function:
    """f(A x + b), a composition of affine maps being one."""
    if f.n is not None and map.rows and f.n != map.rows:
        raise ValueError(
            f"the function takes {f.n} arguments, the affine map gives {map.rows} rows"
        )
    if type(f) is Precomposed:  # subclasses have ways of their own
        inner, outer = map, f.map
        b = outer._forward(inner._full()) if inner.b is not None else outer.b
        joined = AffineMap(
            inner.variable, chain(outer.op, inner.op), b, (outer.op.rows,)
        )
        return Precomposed(f.f, joined)
    return Precomposed(f, map)
