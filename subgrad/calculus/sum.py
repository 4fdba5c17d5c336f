r"""Sums: the subdifferential of f + g is the Minkowski sum S + T.

.. math:: h_{S+T} = h_S + h_T, \qquad
   \partial(f+g)(x) \supseteq \partial f(x) + \partial g(x)

with equality where a point lies in the domains of the polyhedral summands and in the
relative interiors of the domains of the others (Rockafellar, Convex Analysis, 23.8).
"""

from __future__ import annotations

from functools import reduce
from typing import Any, ClassVar

import numpy as np

from subgrad._batch import every
from subgrad._budget import budgets, join
from subgrad._check import Array, real
from subgrad._jacobian import of_corners
from subgrad.affine import AffineMap, same
from subgrad.core import Function, Mask, Set
from subgrad.interval import Interval
from subgrad.sets.box import Box


class MinkowskiSum(Set):
    """The closure of {s_1 + ... + s_k : s_i in S_i}; not closed only if unbounded."""

    _parts: ClassVar = ("parts",)
    parts: tuple[Any, ...]

    def __init__(self, parts: tuple[Set, ...]) -> None:
        self.parts, self.dim = parts, parts[0].dim
        self.polyhedral = all(p.polyhedral for p in parts)

    def _support(self, d: Array) -> Array:
        h = np.stack(np.broadcast_arrays(*(p.support(d) for p in self.parts)), -1)
        empty = np.isneginf(h).any(-1)
        return np.where(empty, -np.inf, np.where(np.isneginf(h), 0, h).sum(-1))

    def _support_point(self, d: Array) -> Array:
        return reduce(np.add, (p._support_point(d) for p in self.parts))

    def _atom(self, d: Array) -> tuple[Array, Array | None]:
        atoms = [p._atom(d) for p in self.parts]
        rays = [r / np.linalg.norm(r) for _, r in atoms if r is not None]
        return reduce(np.add, (s for s, _ in atoms)), max(
            rays, key=lambda r: r @ d, default=None
        )

    def _face(self, d: Array, eps: Array) -> Set:
        each = zip(self.parts, budgets(self.parts, d, eps), strict=True)
        return minkowski([p.exposed_face(d, e) for p, e in each])

    def _costs(self, d: Array) -> Array:
        return join([p._costs(d) for p in self.parts])

    def _project(self, y: Array) -> Array:
        from subgrad.calculus.precompose import project_terms

        return self._each(y, project_terms)

    def _project_jacobian(self, y: Array) -> Any:
        return of_corners(self, y)

    def _corners(self) -> Any:
        total, rays = np.zeros((1, self.dim)), np.zeros((0, self.dim))
        for p in self.parts:
            corners = p._corners()
            # Beyond a few thousand sums, support points are the better description.
            if corners is None or len(corners[0]) * len(total) > 4000:
                return None
            total = (total[:, None] + corners[0]).reshape(-1, self.dim)
            rays = np.concatenate([rays, corners[1]])
        return total, rays

    def _box(self) -> Interval:
        boxes = [p.box() for p in self.parts]
        return sum(boxes[1:], boxes[0])

    def _recession(self) -> Set:
        return minkowski([p.recession_cone() for p in self.parts])

    def _part(self, low: Mask, high: Mask) -> Set:
        # For a sum of functions, each monotone where the sum is asked to be: the sum of
        # their monotone extensions has this subdifferential.
        return minkowski([p._part(low, high) for p in self.parts])

    def _cvxpy(self, z: Any, scale: Any) -> list[Any]:
        import cvxpy as cp

        pieces = [cp.Variable(self.dim) for _ in self.parts]
        sides = [z == sum(pieces)]
        for p, v in zip(self.parts, pieces, strict=True):
            sides += p.to_cvxpy(v, scale)
        return sides

    def _support_cvxpy(self, x: Any) -> Any:
        return sum(p._support_cvxpy(x) for p in self.parts)


def minkowski(sets: list[Set]) -> Set:
    """S_1 + ... + S_k, flattened, boxes added up."""
    flat: list[Set] = []
    for s in sets:
        if s.dim != sets[0].dim:
            raise ValueError(f"sets in R^{sets[0].dim} and in R^{s.dim} do not add")
        plain = s._mask is np.True_ and s._proved is np.True_
        flat += s.parts if isinstance(s, MinkowskiSum) and plain else (s,)
    boxes = [s for s in flat if isinstance(s, Box)]
    rest = [s for s in flat if not isinstance(s, Box)]
    if boxes:
        total = boxes[0].box()
        for b in boxes[1:]:
            total = total + b.box()
        box: Set = Box(total).proved(every([b.exact for b in boxes]))
        is_zero = (
            rest
            and not box.batch
            and not np.any(total.lower)
            and not np.any(total.upper)
            and np.all(box.exact)
        )
        rest = rest if is_zero else [*rest, box]
    return rest[0] if len(rest) == 1 else MinkowskiSum(tuple(rest))


def qualified(fs: list[Function], points: list[Array]) -> Any:
    """Whether the points show the condition of Theorem 23.8 for these functions.

    A point of every domain, relatively interior to those of the functions that are not
    polyhedral. One proper domain among whole spaces needs no point: it has a relative
    interior.
    """
    bounded = [(f, x) for f, x in zip(fs, points, strict=True) if not f.finite]
    if len(bounded) <= 1:
        return np.True_
    ok = [
        np.isfinite(f._value(x)) if f.polyhedral else f._interior(x) for f, x in bounded
    ]
    return every(ok)


class Sum(Function):
    """f_1 + ... + f_k."""

    def __init__(self, parts: tuple[Function, ...]) -> None:
        self.parts = parts
        self.n, self.variable = common(parts)
        self.polyhedral = all(f.polyhedral for f in parts)
        self.finite = all(f.finite for f in parts)

    @property
    def infimum(self) -> float:  # type: ignore[override]
        return sum(f.infimum for f in self.parts)

    def _key(self) -> tuple[Any, ...]:
        return self.parts

    def _value(self, x: Array) -> Array:
        first, *rest = self.parts
        return sum((f._value(x) for f in rest), first._value(x))

    def _subgradient(self, x: Array) -> Array:
        first, *rest = self.parts
        return sum((f._subgradient(x) for f in rest), first._subgradient(x))

    def _oracle(self, x: Array) -> tuple[Array, Array]:
        first, *rest = self.parts
        value, g = first._oracle(x)
        for f in rest:
            v, h = f._oracle(x)
            value, g = value + v, g + h
        return value, g

    def _subdifferential(self, x: Array, eps: Array) -> Set:
        each = zip(self.parts, budgets(self.parts, x, eps), strict=True)
        sets = [f._subdifferential(x, e) for f, e in each]
        return mark(minkowski(sets), qualified(list(self.parts), [x] * len(sets)))

    def _costs(self, x: Array) -> Array:
        return join([f._costs(x) for f in self.parts])

    def _directional(self, x: Array, d: Array) -> Array:
        slopes = np.broadcast_arrays(*(f._directional(x, d) for f in self.parts))
        return add_slopes(np.stack(slopes, -1))

    def _normal(self, x: Array) -> Set:
        sets = [f._normal(x) for f in self.parts if not f.finite]
        if not sets:
            return super()._normal(x)
        return mark(minkowski(sets), qualified(list(self.parts), [x] * len(self.parts)))

    def _interior(self, x: Array) -> Any:
        # A common point of relative interiors: ri of the intersection is theirs.
        return every([f._interior(x) for f in self.parts])

    def _nondecreasing(self, low: Array) -> Mask:
        return every([f._nondecreasing(low) for f in self.parts])

    def _to_domain(self, x: Array) -> Array:
        from subgrad.affine import variable

        ends = [f for f in self.parts if not f.finite]
        if len(ends) == 1:
            return ends[0]._to_domain(x)
        f = self if self.n is not None else self(variable(x.shape[-1]))
        return f.domain._project(x)

    def _prox(self, x: Array, t: Array) -> Array:
        from subgrad.functions.quadratic import split_quadratic

        f, q, c, _ = split_quadratic(self, x.shape[-1])
        if f is None:
            raise NotImplementedError("Sum.prox: only f + linear + multiple of |x|^2")
        # f(u) + <c, u> + q/2 |u|^2 + |u - x|^2 / (2t): complete the square.
        s = t / (1 + q * t)
        return f._prox((x - t[..., None] * c) / (1 + q * t)[..., None], s)

    def _prox_jacobian(self, x: Array, t: Any) -> Any:
        from subgrad.functions.quadratic import split_quadratic

        f, q, c, _ = split_quadratic(self, x.shape[-1])
        if f is None:
            raise NotImplementedError(
                "Sum.prox_jacobian: only f + linear + multiple of |x|^2"
            )
        shrink = 1 / (1 + q * t)
        return f._prox_jacobian((x - t * c) * shrink, t * shrink).times(shrink)

    def conjugate(self) -> Function:
        r"""Of f + <c, .> + q/2 |.|² + a: the envelope of f*, of parameter q, at g - c,
        less a (f* itself for q = 0).
        """
        from subgrad.affine import variable
        from subgrad.calculus.envelope import moreau_envelope
        from subgrad.functions.quadratic import split_quadratic

        if self.n is None:
            raise NotImplementedError("Sum.conjugate: apply it to a variable first")
        f, q, c, offset = split_quadratic(self, self.n)
        if f is None:
            raise NotImplementedError(
                "Sum.conjugate: only f + linear + multiple of |x|^2"
            )
        fc = f.conjugate()
        if np.any(q):
            fc = moreau_envelope(fc, q)
        return fc(variable(c.shape[-1]) - c) - offset

    def _cvxpy(self, x: Any) -> Any:
        return sum(f._cvxpy(x) for f in self.parts)

    def __repr__(self) -> str:
        return " + ".join(map(repr, self.parts))


def add_slopes(v: Array) -> Array:
    """Sum over the last axis in which +inf (infeasible) wins over -inf."""
    up = np.isposinf(v).any(-1)
    return np.where(up, np.inf, np.where(np.isposinf(v), 0.0, v).sum(-1))


def mark(S: Set, proved: Any) -> Set:
    return S if np.all(proved) else S.proved(proved)


def common(parts: Any) -> tuple[int | None, Any]:
    """The number of arguments and the variable that functions share."""
    n, var = None, None
    for f in parts:
        if f.n is not None:
            if n is not None and f.n != n:
                raise ValueError(f"functions of {n} and of {f.n} arguments do not mix")
            n = f.n
        var = same(var, f.variable)
    return n, var


def as_function(f: Any, like: Function | None = None) -> Function:
    """A Function; a one-row affine map and a number count as such."""
    from subgrad.functions.linear import Affine

    if isinstance(f, Function):
        return f
    if isinstance(f, AffineMap):
        return Affine.of(f)
    if isinstance(f, Set):
        raise TypeError(f"term must be a Function, a map or a number, got {f!r}")
    return Affine.constant(real("term", f))


def add(f: Any, g: Any) -> Function:
    """f + g, flattened."""
    flat: list[Function] = []
    for h in (as_function(f), as_function(g)):
        flat += h.parts if isinstance(h, Sum) else (h,)
    return Sum(tuple(flat))
