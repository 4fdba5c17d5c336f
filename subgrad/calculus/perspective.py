r"""Perspectives: the function s f(x / s) of a vector and a scale.

.. math:: g(x, s) = s f(x / s) \ (s > 0), \quad f_\infty(x) \ (s = 0), \quad +\infty
   \ (s < 0)

f_∞ is the recession function. g is the support function of the hypograph of f*,

.. math:: C = \{(g, γ) : f^*(g) + γ \le 0\}, \qquad
   \partial g(x, s) = \{(v, f(z) - \langle v, z \rangle) : v \in \partial f(z)\}
   \ (s > 0, z = x / s), \quad \partial g(0, 0) = C,

and at (x, 0) the face of C where <v, x> is largest. Rockafellar, Convex Analysis, 13.5
and 8.5; Combettes, Perspective functions: properties, constructions, and examples.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from subgrad._check import Array, count, real, vector
from subgrad.affine import AffineMap, Operator, Sparse, vstack
from subgrad.calculus.derived import _Derived
from subgrad.calculus.precompose import image
from subgrad.calculus.recession import recession_function, remainder
from subgrad.calculus.stack import product, stack
from subgrad.core import Function, Set, a_function
from subgrad.functions.indicator import Indicator
from subgrad.functions.linear import Affine, Linear
from subgrad.functions.max_affine import MaxAffine
from subgrad.functions.separable import Separable
from subgrad.functions.support import Support
from subgrad.interval import Interval
from subgrad.sets.box import Box, point
from subgrad.sets.choice import _Choice
from subgrad.sets.epigraph import Hypograph, downward, near_domain, residual


class Perspective(Support):
    r"""g(x, s) = s f(x / s), the scale s being the last coordinate; closed.

    What happens at s = 0 is asked of the recession function and of the conjugate, the
    projection on C of the prox of f or of f*. The subdifferential is exact for s > 0
    and at the origin, at (x, 0) where f grows along x with one slope; elsewhere part
    of it is returned. With eps > 0 it is not enlarged. f is one function, not a batch.
    """

    finite = False

    def __init__(self, f: Function, n: int | None = None) -> None:
        self.f = a_function("f", f)
        n = f.n if n is None else n
        self.n = None if n is None else n + 1
        self.polyhedral = f.polyhedral and isinstance(f, Support)
        if f.n is not None and (lead := np.shape(f._value(np.zeros(f.n)))):
            raise ValueError(f"f must be one function, got a batch of {lead}")

    @property
    def infimum(self) -> float:  # type: ignore[override]
        return 0.0 if self.f.infimum >= 0 else -np.inf

    @property
    def S(self) -> Set:  # type: ignore[override]
        """C, for a function with a known number of arguments."""
        if self.n is None:
            raise ValueError(f"{self!r} takes any number of arguments: no one set")
        return self._body(self.n)

    def _key(self) -> tuple[Any, ...]:
        return (self.f, self.n)

    @cached_property
    def _star(self) -> Function:
        return self.f.conjugate()

    @cached_property
    def _growth(self) -> Function:
        return recession_function(self.f)

    def _body(self, n: int) -> Set:
        return Hypograph._of(self._star, self.f, n - 1)

    def _split(self, y: Array) -> tuple[Array, Array, Array]:
        """x, s and x / s, with z = x where s is 0."""
        if y.shape[-1] < 2:
            raise ValueError(f"x must have shape (..., n + 1), n >= 1, got {y.shape}")
        x, s = y[..., :-1], y[..., -1]
        with np.errstate(over="ignore"):
            z = x / np.where(s > 0, s, 1.0)[..., None]
        return x, s, z

    # Where x / s overflows, s f(x / s) is its limit.
    def _regular(self, s: Array, z: Array) -> Array:
        return (s > 0) & np.isfinite(z).all(-1)

    def _value(self, y: Array) -> Array:
        x, s, z = self._split(y)
        regular = self._regular(s, z)
        z = near_domain(self.f, np.where(regular[..., None], z, 0.0))
        # 0 · (+inf), of a member of the batch that takes the other branch.
        with np.errstate(over="ignore", invalid="ignore"):
            value = s * self.f._value(z)
        if np.all(regular):
            return value
        flat = ~regular & (s >= 0)
        if np.any(flat & x.any(-1)):
            limit = self._growth._value(np.where(flat[..., None], x, 0.0))
        else:
            limit = np.zeros(s.shape)
        return np.where(regular, value, np.where(s < 0, np.inf, limit))

    def _subgradient(self, y: Array) -> Array:
        x, s, z = self._split(y)
        regular = self._regular(s, z)
        zero: Any = (s == 0) & ~x.any(-1)
        z = near_domain(self.f, np.where(regular[..., None], z, 0.0))
        if np.all(regular):
            return self._slope(z)
        g = self._slope(z) if np.any(regular) else np.full(y.shape, np.nan)
        if np.any(~regular & ~zero & (s >= 0)):
            v, top = self._flat(x)
            v = np.where(np.isneginf(top)[..., None], np.nan, v)
            g = np.where(regular[..., None], g, np.concatenate([v, top[..., None]], -1))
        if np.any(zero):
            least = self._body(y.shape[-1])._project(np.zeros(y.shape[-1]))
            g = np.where(zero[..., None], least, g)
        return np.where((s < 0)[..., None], np.nan, g)

    def _slope(self, z: Array) -> Array:
        v = self.f._subgradient(z)
        with np.errstate(invalid="ignore"):
            top = self.f._value(z) - np.vecdot(v, z)
        return np.concatenate([v, top[..., None]], -1)

    def _flat(self, x: Array) -> tuple[Array, Array]:
        """A slope v of f_∞ at x, and -f*(v)."""
        v = self._growth._subgradient(x)
        good: Any = np.isfinite(v).all(-1)
        v = np.where(good[..., None], v, 0.0)
        return v, np.where(good, -self._star._value(v), -np.inf)

    def _oracle(self, y: Array) -> tuple[Array, Array]:
        g = self._subgradient(y)
        return self._value(y), g

    def _subdifferential(self, y: Array, eps: Array) -> Set:
        try:
            whole: Set | None = self._body(y.shape[-1])
        except NotImplementedError:
            whole = None
        return self._face(y, whole, 1.0)

    def _face(self, y: Array, whole: Set | None, up: float) -> Set:
        """The subdifferential, its last coordinate turned by up; `whole` at 0."""
        x, s, z = self._split(y)
        regular: Any = self._regular(s, z)
        zero = (s == 0) & ~x.any(-1)
        z = near_domain(self.f, np.where(regular[..., None], z, 0.0))
        value = self.f._value(z)
        inside = regular & np.isfinite(value)
        # Any point of the domain serves where the other parts are chosen.
        spare = z[inside][0] if np.any(inside) else np.zeros(x.shape[-1])
        z = np.where(inside[..., None], z, spare)
        graph = self._graph(z, np.where(inside, value, 0.0), up)
        if whole is None:
            if np.any((s == 0) & (zero | np.isfinite(self._value(y)))):
                raise NotImplementedError(
                    f"{self!r}.subdifferential at s = 0: it needs the conjugate"
                )
            return graph.restrict(inside)
        part = self._flat_face(np.where(zero[..., None], 0.0, x), zero | regular, up)
        which = np.where(inside, 0, np.where(zero, 1, 2))
        good = np.isfinite(self._value(y))
        return _Choice((graph, whole, part), which).restrict(good)

    def _graph(self, z: Array, value: Array, up: float) -> Set:
        """{(v, f(z) - <v, z>) : v in ∂f(z)}."""
        S, op = self.f._subdifferential(z, np.zeros(())), _Beside(-up * z)
        top = np.concatenate([np.zeros(z.shape), up * value[..., None]], -1)
        if isinstance(S, Box) and S.lower is S.upper:  # a class of smooth functions
            v = np.broadcast_to(S.lower, z.shape)
            return point(op.forward(v) + top).restrict(S.nonempty).proved(S.exact)
        return image(op, S) + point(top)

    def _flat_face(self, x: Array, skip: Array, up: float) -> Set:
        """{v} x (-inf, -f*(v)], the face where f_∞ has one slope v at x.

        Of a support function f* is 0 on its domain: all slopes, times (-inf, 0].
        """
        low, high = np.full(1, -np.inf), np.zeros(1)
        if isinstance(self.f, Support):
            end = Box._raw(low, high) if up > 0 else Box._raw(high, -low)
            return product([self.f._subdifferential(x, np.zeros(())), end])
        if np.all(skip):
            return point(np.zeros((*x.shape[:-1], x.shape[-1] + 1)))
        v, top = self._flat(np.where(skip[..., None], 0.0, x))
        slopes = self._growth._subdifferential(x, np.zeros(()))
        return downward(v, top, up).proved(skip | (slopes.is_singleton & slopes.exact))

    def _directional(self, y: Array, d: Array) -> Array:
        y, d = np.broadcast_arrays(y, d)
        x, s, z = self._split(y)
        v, r = d[..., :-1], d[..., -1]
        regular, zero = self._regular(s, z), (s == 0) & ~x.any(-1)
        z = near_domain(self.f, np.where(regular[..., None], z, 0.0))
        slope = np.full(s.shape, np.inf)
        if np.any(regular):
            # The curve x / s has the velocity (v - r z) / s.
            value = self.f._value(z)
            along = self.f._directional(z, v - r[..., None] * z)
            with np.errstate(invalid="ignore"):
                slope = np.where(regular, r * value + along, slope)
        if np.any(zero):
            slope = np.where(zero, self._value(d), slope)
        side = ~regular & ~zero & (s == 0) & (r >= 0)
        if np.any(side):
            at = np.where(side[..., None], x, 0.0)
            level = self._growth._directional(at, v)
            slope = np.where(side & (r == 0), level, slope)
            up = side & (r > 0) & np.isfinite(self._growth._value(at))
            if np.any(up):
                w = np.where(up[..., None], v / np.where(up, r, 1.0)[..., None], 0.0)
                at = np.where(up[..., None], at, 0.0)
                with np.errstate(invalid="ignore"):  # 0 · inf where r = 0
                    slope = np.where(up, r * remainder(self.f, at, w), slope)
        return slope

    def _costs(self, y: Array) -> Array:
        return np.full((*y.shape[:-1], 1), np.inf)

    def _normal(self, y: Array) -> Set:
        """That of the cone over the domain of f: closed, its own perspective."""
        good = np.isfinite(self._value(y))
        if not self.f.finite:
            cone = Perspective(Indicator(self._base_domain(y.shape[-1] - 1)))
            return cone._subdifferential(y, np.zeros(())).restrict(good)
        low = np.zeros(y.shape)
        low[..., -1] = np.where(y[..., -1] > 0, 0.0, -np.inf)
        return Box(Interval._raw(low, np.zeros(y.shape))).restrict(good)

    def _base_domain(self, n: int) -> Set:
        f = self.f
        if isinstance(f, Indicator):
            return f._body(n)
        if isinstance(f, Separable):
            low, high = (np.broadcast_to(e, (n,)) for e in f._ends())
            return Box._raw(low, high)
        return f.domain

    def _interior(self, y: Array) -> Any:
        _, s, z = self._split(y)
        regular = self._regular(s, z)
        return regular & self.f._interior(np.where(regular[..., None], z, 0.0))

    def _to_domain(self, y: Array) -> Array:
        if not self.f.finite:
            return self.domain._project(y)
        return np.concatenate([y[..., :-1], np.maximum(y[..., -1:], 0.0)], -1)

    def _nondecreasing(self, low: Array) -> Any:
        return np.zeros(low.shape[-1], bool)

    def _prox(self, y: Array, t: Array) -> Array:
        t = np.asarray(t)
        u = y / t[..., None]
        try:
            star: Any = self._star
        except NotImplementedError:
            star = None  # the prox of f is enough
        x, scale = residual(star, self.f, u[..., :-1], -u[..., -1])
        return t[..., None] * np.concatenate([x, scale[..., None]], -1)

    def conjugate(self) -> Function:
        """The indicator of C."""
        if self.n is not None:
            return Indicator(self.S)
        _ = self._star
        return Indicator(self)

    def _cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        n = x.shape[0] - 1
        z = cp.Variable(n + 1)
        try:
            _ = self._star
        except NotImplementedError:
            # cvxpy's own takes an expression of one variable.
            u, s = cp.Variable(n), cp.Variable(nonneg=True)
            inner = cp.sum(self.f._cvxpy(u))
            if len(inner.variables()) > 1:
                raise
            same = cp.transforms.indicator([u == x[:n], s == x[n]])
            return cp.perspective(inner, s) + same
        below = cp.sum(self._star._cvxpy(z[:n])) + z[n] <= 0
        return cp.transforms.suppfunc(z, [below])(x)

    def __call__(self, x: Any, s: Any = None) -> Any:
        """f(y) at one vector y = (x, s), or f(x, s) as cvxpy has it."""
        return super().__call__(x if s is None else _together(x, s))

    def __repr__(self) -> str:
        return f"perspective({self.f!r})"


class _Known(_Derived):
    """A perspective that is a simpler expression."""

    def __init__(self, f: Function, base: Function) -> None:
        super().__init__(base)
        self.f = f

    def _key(self) -> tuple[Any, ...]:
        return (self.f, self.base)

    def __call__(self, x: Any, s: Any = None) -> Any:
        return super().__call__(x if s is None else _together(x, s))

    __repr__ = Perspective.__repr__


class _Beside(Operator):
    """v -> (v, <z, v>)."""

    _arrays: ClassVar = {"z": 1}

    def __init__(self, z: Array) -> None:
        self.z, self.rows, self.cols = z, z.shape[-1] + 1, z.shape[-1]

    def forward(self, x: Array) -> Array:
        last = np.vecdot(self.z, x)[..., None]
        return np.concatenate(
            [np.broadcast_to(x, (*last.shape[:-1], self.cols)), last], -1
        )

    def adjoint(self, y: Array) -> Array:
        return y[..., :-1] + y[..., -1:] * self.z


def _together(x: Any, s: Any) -> Any:
    """(x, s) as one vector: arrays, or maps with constants among them."""
    like = next((a for a in (x, s) if isinstance(a, AffineMap)), None)
    if like is None:
        x, s = vector("x", x, None), real("s", s)[..., None]
        shape = np.broadcast_shapes(x.shape[:-1], s.shape[:-1])
        both = [np.broadcast_to(a, (*shape, a.shape[-1])) for a in (x, s)]
        return np.concatenate(both, -1)
    x = x if isinstance(x, AffineMap) else _constant("x", x, like, None)
    s = s if isinstance(s, AffineMap) else _constant("s", s, like, 1)
    if s.rows != 1:
        raise ValueError(f"s must be one number, got a map of {s.rows} rows")
    return vstack(x, s)


def _constant(name: str, a: Any, like: AffineMap, size: int | None) -> AffineMap:
    """A vector as the constant map of the variable of another map."""
    from scipy.sparse import csr_array

    a = np.atleast_1d(real(name, a))
    if a.ndim > 1 or a.size != (size or a.size):
        what = "one number" if size == 1 else "one vector"
        raise ValueError(f"{name} must be {what} beside a map, got shape {a.shape}")
    op = Sparse(csr_array((a.size, like.cols)))
    return AffineMap(like.variable, op, a, (a.size,))


def perspective(f: Function, n: Any = None) -> Function:
    r"""(x, s) -> s f(x / s), closed: f_∞(x) at s = 0, +inf for s < 0.

    f takes n arguments, the perspective n + 1, the scale last; it is called on a vector
    (x, s), or as cvxpy's `perspective(f(x), s)` by `perspective(f)(x, s)`. n says how
    many arguments f takes, where it takes any number. Of a support function h the
    perspective is h(x) + ι(s >= 0), of an affine function <c, x> + b it is <c, x> + b s
    on s >= 0, of a maximum of affine functions likewise.
    """
    n = a_function("f", f).n if n is None else count(n)
    if f.n not in (None, n):
        raise ValueError(f"n must be {f.n}, the number of arguments of f, got {n}")
    simple = None if n is None else _expression(f, n)
    return Perspective(f, n) if simple is None else _Known(f, simple)


def _expression(f: Function, n: int) -> Function | None:
    """What the perspective is without a limit, in known cases."""
    up = Indicator(Box(Interval([0.0], [np.inf])))
    above = Indicator(Box(Interval([-np.inf] * n + [0.0], [np.inf] * (n + 1))))
    if isinstance(f, Affine):
        b = np.zeros(()) if f.map.b is None else f.map.b[..., 0]
        c = np.concatenate([f._gradient(n), b[..., None]], -1)
        return Linear(c) + above
    if isinstance(f, MaxAffine):
        A, b = f.op.A, f.map._full()
        return MaxAffine(np.concatenate([A, b[..., None]], -1)) + above
    if isinstance(f, Support):
        return stack(Support(f._body(n)) if f.n is None else f, up)
    return None
