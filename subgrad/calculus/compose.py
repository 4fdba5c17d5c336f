r"""Composition h(f_1, ..., f_k), h convex, nondecreasing where an f_i is not affine.

.. math:: \partial f(x) = \bigcup \Big\{ \sum_i w_i \partial f_i(x) : w \in W \Big\},
   W = \partial h(F(x)) \cap \{w_i \ge 0 \text{ where } f_i \text{ is not affine}\}

with 0 · ∂f_i(x) = N_dom f_i(x), and support h_W(h_{S_1}(d), ..., h_{S_k}(d)). The whole
subdifferential if F(x0) lies in the interior of dom h for some x0 in the relative
interiors of the domains (Hiriart-Urruty & Lemaréchal, Convex Analysis and Minimization
Algorithms I, VI.4.3, for finite functions; Combettes & Zălinescu for the others). Only
the values of h on the range of F matter: h may be replaced by its extension that is
nondecreasing everywhere, whose subdifferential there is W.
"""

from __future__ import annotations

from functools import reduce
from typing import Any, ClassVar

import numpy as np

from subgrad._batch import every
from subgrad._check import Array
from subgrad.calculus.sum import as_function, common, mark, minkowski, qualified
from subgrad.core import Function, Mask, Set, a_set, norm
from subgrad.sets.box import Box, on_line


class WeightedSum(Set):
    r"""The closure of {sum_i w_i s_i : w in W, s_i in S_i}.

    `curved` says which S_i may have more than one point; W has w_i >= 0 there. With
    k = 1 this is the union of α S over α in an interval. 0 · S_i is the recession cone.
    """

    _parts: ClassVar = ("weights", "parts")
    parts: tuple[Any, ...]

    def __init__(self, weights: Set, parts: tuple[Set, ...], curved: Mask) -> None:
        self.weights, self.parts, self.curved = weights, parts, curved
        self.dim = parts[0].dim
        self.polyhedral = weights.polyhedral and all(p.polyhedral for p in parts)

    def _key(self) -> tuple[Any, ...]:
        return (self.curved.tobytes(),)

    def _alive(self) -> Any:
        return np.broadcast_to(self.weights.nonempty, self.batch)[()]

    def _sure(self) -> Any:
        # An empty S_i has weight zero in W and does not count.
        sure = [p.exact | ~p.nonempty for p in self.parts]
        return every([self.weights.exact, *sure])

    def _heights(self, d: Array) -> tuple[Array, Any]:
        """The h_i(d), zero where not finite, and whether one of them is +inf."""
        h = np.stack(np.broadcast_arrays(*(p.support(d) for p in self.parts)), -1)
        return np.where(np.isfinite(h), h, 0.0), np.isposinf(h).any(-1)

    def _support(self, d: Array) -> Array:
        h, unbounded = self._heights(d)
        inner = self.weights.support(h)
        return np.where(unbounded & ~np.isneginf(inner), np.inf, inner)

    def _combine(self, w: Array, d: Array) -> Array:
        points = [
            np.where(p.nonempty[..., None], p._support_point(d), 0.0)
            for p in self.parts
        ]
        return reduce(np.add, (w[..., i, None] * s for i, s in enumerate(points)))

    def _support_point(self, d: Array) -> Array:
        h, _ = self._heights(d)
        return self._combine(self.weights._support_point(h), d)

    def _atom(self, d: Array) -> tuple[Array, Array | None]:
        atoms = [p._atom(d) if p.nonempty else (0 * d, None) for p in self.parts]
        points = np.stack([s for s, _ in atoms])
        rays = [r for _, r in atoms if r is not None]
        w, grow = self.weights._atom(points @ d)
        if grow is not None:
            rays.append(grow @ points)
        rays = [r / norm(r) for r in rays if r @ d > 1e-12 * norm(r) * norm(d)]
        return w @ points, max(rays, key=lambda r: r @ d, default=None)

    def _face(self, d: Array, eps: Array) -> Set:
        h, unbounded = self._heights(d)
        half = np.asarray(eps) / 2
        W = self.weights.exposed_face(h, half)
        faces = [p.exposed_face(d, share(half, W, self.curved)) for p in self.parts]
        S = _weighted(W, faces, self.curved)
        return S.restrict(~unbounded)

    def _recession(self) -> Set:
        if not np.all(self.weights.is_bounded):
            raise NotImplementedError("recession cone of a sum with unbounded weights")
        return minkowski([p.recession_cone() for p in self.parts])

    def _project(self, y: Array) -> Array:
        if len(self.parts) == 1 and isinstance(self.weights, Box) and self._point():
            return self._project_segment(y, self.weights)
        return super()._project(y)

    def _point(self) -> bool:
        S = self.parts[0]
        return isinstance(S, Box) and np.array_equal(S.lower, S.upper)

    def _project_segment(self, y: Array, ends: Box) -> Array:
        """α p of a single point p: α is a clipped quotient."""
        p = np.where(self.parts[0].nonempty[..., None], self.parts[0].lower, 0.0)
        pp = np.vecdot(p, p)
        a = np.vecdot(p, y) / np.where(pp > 0, pp, 1.0)
        a = np.clip(a, ends.lower[..., 0], ends.upper[..., 0])
        return np.where(ends.nonempty, a, 0.0)[..., None] * p

    def _cvxpy(self, z: Any, scale: Any) -> list[Any]:
        import cvxpy as cp

        w = cp.Variable(len(self.parts))
        pieces = [cp.Variable(self.dim) for _ in self.parts]
        sides = [z == sum(pieces), *self.weights.to_cvxpy(w, scale)]
        for i, (p, v) in enumerate(zip(self.parts, pieces, strict=True)):
            sides += p.to_cvxpy(v, w[i])
            sides += [w[i] >= 0] if self.curved[i] else []
        return sides


def share(eps: Array, W: Set, curved: Mask) -> Array:
    """The budget of each curved part: eps / h_W(curved), 0 where that is 0 or inf."""
    if not np.any(eps):
        return np.zeros(())
    top = W.support(curved.astype(float))
    good = (top > 0) & np.isfinite(top)
    return np.where(good, eps / np.where(good, top, 1.0), 0.0)


def _weighted(W: Set, sets: list[Set], curved: Any = None) -> Set:
    """The weighted sum, w_i = 0 where S_i is empty; trusts W to be >= 0 on `curved`."""
    curved = np.ones(len(sets), bool) if curved is None else np.asarray(curved, bool)
    empty = np.stack(np.broadcast_arrays(*(~s.nonempty for s in sets)), -1)
    if np.any(empty):
        W = W._part(empty, empty)
    return on_line(WeightedSum(W, tuple(sets), curved))


def weighted_sum(W: Set, sets: list[Set]) -> Set:
    """The closure of {sum_i w_i s_i : w in W, s_i in S_i}; w_i = 0 where S_i is empty.

    ValueError if some w_i may be negative and S_i has more than one point.
    """
    a_set("W", W)
    for S in sets:
        a_set("part", S)
        if S.dim != sets[0].dim:
            raise ValueError(f"sets in R^{sets[0].dim} and in R^{S.dim} do not add")
    if W.dim != len(sets):
        raise ValueError(f"W has weights in R^{W.dim} for {len(sets)} sets")
    curved = np.array([not np.all(S.is_singleton) for S in sets])
    if np.any((W.box().lower < 0) & curved):
        raise ValueError("weights W must be nonnegative where a set has many points")
    return _weighted(W, sets, curved)


def scaled_union(S: Set, lower: Any, upper: Any) -> Set:
    """The closure of the union of α S over α in [lower, upper], 0 <= lower."""
    from subgrad._check import nonnegative
    from subgrad.interval import Interval

    a_set("S", S)
    low = nonnegative("lower", lower)
    up = nonnegative("upper", upper, infinite=True)
    return _weighted(Box(Interval(low[..., None], up[..., None])), [S])


class Composition(Function):
    """h(f_1, ..., f_k)."""

    def __init__(self, h: Function, parts: tuple[Function, ...], trusted: bool) -> None:
        from subgrad.functions.linear import Affine

        self.h, self.parts = h, parts
        self.n, self.variable = common(parts)
        self.curved = np.array([not isinstance(f, Affine) for f in parts])
        self.polyhedral = h.polyhedral and all(f.polyhedral for f in parts)
        self.finite = h.finite and all(f.finite for f in parts)
        low = np.array([f.infimum for f in parts])
        self.monotone = h._nondecreasing(low)
        if not trusted and not np.all(self.monotone | ~self.curved):
            i = int(np.argmax(~self.monotone & self.curved))
            raise ValueError(
                f"{h!r} is not proved nondecreasing in argument {i + 1} on the range "
                f"of {parts[i]!r} (values >= {low[i]}): the composition may not be "
                "convex. If you know that it is, say nondecreasing=True"
            )

    @property
    def infimum(self) -> float:  # type: ignore[override]
        # h(F) >= h(low) where h grows with every argument from `low` on.
        low = np.array([f.infimum for f in self.parts])
        if np.all(self.monotone) and np.all(np.isfinite(low)):
            return max(self.h.infimum, float(np.min(self.h._value(low))))
        return self.h.infimum

    def _key(self) -> tuple[Any, ...]:
        return (self.h, *self.parts)

    def _inner(self, x: Array) -> Array:
        return np.stack(np.broadcast_arrays(*(f._value(x) for f in self.parts)), -1)

    def _outer(self, F: Array) -> Array:
        out = np.isposinf(F).any(-1)
        if not np.any(out):
            return self.h._value(F)
        return np.where(out, np.inf, self.h._value(np.where(np.isinf(F), 0.0, F)))

    def _value(self, x: Array) -> Array:
        return self._outer(self._inner(x))

    def _subgradient(self, x: Array) -> Array:
        return self._oracle(x)[1]

    def _oracle(self, x: Array) -> tuple[Array, Array]:
        pairs = [f._oracle(x) for f in self.parts]
        F = np.stack(np.broadcast_arrays(*(v for v, _ in pairs)), -1)
        value, w = self.h._oracle(F)
        if np.any(w[..., self.curved] < 0):
            # h decreases off the range of F only; there is a nonnegative choice too.
            W = self.h._subdifferential(F, np.zeros(()))
            w = self._signed(W).min_norm()
        # Weight 0 keeps what a steep end of a domain says out of the sum.
        terms = [
            np.where(w[..., i, None] == 0, 0.0, w[..., i, None] * g)
            for i, (_, g) in enumerate(pairs)
        ]
        g = reduce(np.add, terms)
        if not self.finite and np.any(np.isnan(g)):
            # Weight 0 may be a choice where an inner function has no subgradient.
            S = self._subdifferential(x, np.zeros(()))
            lost: Any = np.isnan(g).any(-1) & S.nonempty
            g = np.where(lost[..., None], S._project(0.0 * x), g)
        return value, g

    def _subdifferential(self, x: Array, eps: Array) -> Set:
        F = self._inner(x)
        inside: Any = np.isfinite(self._outer(F))
        F = np.where(inside[..., None], F, 0.0)
        first = eps / 2 if self.h.polyhedral else np.zeros(())
        W = self.h._subdifferential(F, first)
        W = self._signed(W)
        e = share(np.asarray(eps) - first, W, self.curved)
        sets = [f._subdifferential(x, e) for f in self.parts]
        S = self._with_normals(_weighted(W, sets, self.curved), x)
        return mark(S, self._proved(x)).restrict(inside)

    def _signed(self, W: Set) -> Set:
        low = np.broadcast_to(self.curved, (*W.batch, len(self.parts)))
        return W._part(low, np.zeros(low.shape, bool))

    def _with_normals(self, S: Set, x: Array) -> Set:
        cones = [f._normal(x) for f in self.parts if not f.finite]
        return minkowski([S, *cones]) if cones else S

    def _proved(self, x: Array) -> Any:
        if self.finite:
            return np.True_
        k = len(self.parts)
        inner = qualified(list(self.parts), [x] * k)
        if self.h.finite:
            return inner
        # Slater's condition at x, or at the origin.
        found: Any = np.zeros(x.shape[:-1], bool)
        for z in (x, np.zeros(x.shape)):
            F = self._inner(z)
            fit: Any = np.isfinite(F).all(-1)
            G = np.where(fit[..., None], F, 0.0)
            ri = every([f._interior(z) for f in self.parts])
            found |= fit & self.h._interior(G) & ri
        return found

    def _directional(self, x: Array, d: Array) -> Array:
        r"""h'(F(x); F'(x; d)), where that limit decides.

        Where F(x) is on the boundary of dom h and h'(F(x); F'(x; d)) is finite, the
        step may still leave the domain (x² <= 0): f is evaluated a short step ahead.
        """
        F = self._inner(x)
        slopes = [f._directional(x, d) for f in self.parts]
        D = np.stack(np.broadcast_arrays(*slopes), -1)
        leaves = np.isposinf(D).any(-1)
        steep = np.isneginf(D)
        base = np.where(np.isfinite(D), D, 0.0)
        slope = self.h._directional(F, base)
        if np.any(steep):
            # As F' falls to -inf: only weights that are 0 there stay in the game.
            W = self._signed(self.h._subdifferential(F, np.zeros(())))
            W = W._part(steep, steep)
            slope = np.where(steep.any(-1), W.support(base), slope)
        if not self.h.finite and not self.polyhedral:
            t = 2.0**-20 * (1 + norm(x)) / np.maximum(norm(d), 1e-300)
            ahead = np.isposinf(self._value(x + t[..., None] * d))
            # Where F' points into the domain of h, the first order decides.
            into = [self.h._interior(F + s * base) for s in (0.0, 1.0, 2.0**-10)]
            slope = np.where(ahead & ~np.any(into, axis=0), np.inf, slope)
        return np.where(leaves, np.inf, slope)

    def _normal(self, x: Array) -> Set:
        if self.finite:
            return super()._normal(x)
        F = self._inner(x)
        inside: Any = np.isfinite(self._outer(F))
        F = np.where(inside[..., None], F, 0.0)
        zero = np.zeros(())
        sets = [f._subdifferential(x, zero) for f in self.parts]
        S = _weighted(self._signed(self.h._normal(F)), sets, self.curved)
        return mark(self._with_normals(S, x), self._proved(x)).restrict(inside)

    def _interior(self, x: Array) -> Any:
        F = self._inner(x)
        inside: Any = np.isfinite(F).all(-1)
        G = np.where(inside[..., None], F, 0.0)
        ri = every([f._interior(x) for f in self.parts])
        return inside & ri & self.h._interior(G)

    def _nondecreasing(self, low: Array) -> Mask:
        rising = [f._nondecreasing(low) for f in self.parts]
        return every(rising) & np.all(self.monotone)

    def _cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        # h grows with the arguments that are not affine, so their values may be bounded
        # from above: that is convex by cvxpy's rules whatever h is.
        z = cp.Variable(len(self.parts))
        sides = []
        for i, f in enumerate(self.parts):
            inner = cp.sum(f._cvxpy(x))
            sides.append(inner <= z[i] if self.curved[i] else inner == z[i])
        return self.h._cvxpy(z) + cp.transforms.indicator(sides)

    def __repr__(self) -> str:
        return f"compose({', '.join(map(repr, (self.h, *self.parts)))})"


def compose(h: Any, *fs: Any, nondecreasing: bool = False) -> Function:
    """h(f_1, ..., f_k); h a Function of k arguments or, for k = 1, one on the line.

    h must be nondecreasing in every argument whose f_i is not affine, on the range of
    f_i. ValueError where that is not proved; `nondecreasing=True` asserts it.
    """
    from subgrad.functions.separable import Separable

    parts = tuple(as_function(f) for f in fs)
    if not parts:
        raise ValueError("compose needs at least one inner function")
    if not isinstance(h, Function):
        if len(parts) != 1:
            raise ValueError(f"h takes 1 argument, got {len(parts)} functions")
        h = Separable(h)
    if h.n is not None and h.n != len(parts):
        raise ValueError(f"h takes {h.n} arguments, got {len(parts)} functions")
    return Composition(h, parts, nondecreasing)
