"""The protocol of functions: Function, closed convex from R^n to R ∪ {+inf}."""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array, brief, nonnegative, positive, real, vector
from subgrad._set import Mask, Set


def a_function(name: str, f: Any) -> Function:
    """f, or a TypeError if it is no Function."""
    if not isinstance(f, Function):
        text = f"{name} must be a Function, got {type(f).__name__}"
        if hasattr(f, "left_slope"):
            text += "; one on the line becomes one by f(variable(1)) or separable(f)"
        raise TypeError(text)
    return f


class Function:
    r"""A closed convex function R^n -> R ∪ {+inf}.

    A point has shape (..., n), every axis before the last being batch; a number per
    point has shape (...). `n` is the number of arguments (None: any), `variable` the
    identity of the variable the function was modelled in (None: none).
    """

    __array_ufunc__ = None
    n: Any = None  # an int, or None
    variable: Any = None
    polyhedral: bool = False
    finite: bool = True  # the domain is the whole of R^n
    infimum: float = -np.inf  # a lower bound on every value

    # What a subclass writes ------------------------------------------------------

    def _value(self, x: Array) -> Array:
        raise NotImplementedError(f"{type(self).__name__}.value")

    def _subgradient(self, x: Array) -> Array:
        return self._subdifferential(x, np.zeros(())).min_norm()

    def _oracle(self, x: Array) -> tuple[Array, Array]:
        return self._value(x), self._subgradient(x)

    def _subdifferential(self, x: Array, eps: Array) -> Set:
        raise NotImplementedError(f"{type(self).__name__}.subdifferential")

    def _directional(self, x: Array, d: Array) -> Array:
        raise NotImplementedError(f"{type(self).__name__}.directional_derivative")

    def _prox(self, x: Array, t: Array) -> Array:
        raise NotImplementedError(f"{type(self).__name__}.prox")

    def _prox_jacobian(self, x: Array, t: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__}.prox_jacobian")

    def _dual_prox(self, y: Array, s: Any) -> Array:
        """prox of s f*, by Moreau."""
        s = np.asarray(s)
        return y - s[..., None] * self._prox(y / s[..., None], 1 / s)

    def _dual_prox_jacobian(self, y: Array, s: Any) -> Any:
        s = np.asarray(s)
        return self._prox_jacobian(y / s[..., None], 1 / s).complement()

    def _costs(self, x: Array) -> Array:
        """(..., k), one entry per term: the budget at which its part stops growing."""
        return np.full((*x.shape[:-1], 1), np.inf)

    def _normal(self, x: Array) -> Set:
        from subgrad.sets.box import point

        return point(np.zeros(x.shape[-1]))

    def _interior(self, x: Array) -> Any:
        """Where x is proved to lie in the relative interior of the domain."""
        return np.full(x.shape[:-1], self.finite)

    def _to_domain(self, x: Array) -> Array:
        """The nearest point of the closure of the domain."""
        return x if self.finite else self.domain._project(x)

    def _nondecreasing(self, low: Array) -> Mask:
        """Per argument: proved nondecreasing in it on {z : z >= low}."""
        return np.zeros(low.shape[-1], bool)

    def _cvxpy(self, x: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__}.to_cvxpy")

    # Derived -----------------------------------------------------------------------

    def _point(self, x: Any, name: str = "x") -> Array:
        return vector(name, x, self.n)

    def _inside(self, x: Array, what: str) -> None:
        if not self.finite and np.any(np.isposinf(self._value(x))):
            raise ValueError(f"{what}: x lies outside the domain of {self!r}")

    def value(self, x: Any) -> Any:
        """f(x), +inf outside the domain."""
        return self._value(self._point(x))[()]

    def oracle(self, x: Any) -> tuple[Any, Array]:
        """(f(x), one subgradient), sharing the work."""
        x = self._point(x)
        self._inside(x, "oracle")
        value, g = self._oracle(x)
        shape = np.broadcast_shapes(np.shape(value), g.shape[:-1])
        g = np.broadcast_to(g, (*shape, g.shape[-1]))
        return np.broadcast_to(value, shape)[()], self._slope_exists(g)

    def _slope_exists(self, g: Array) -> Array:
        if not self.finite and np.isnan(g).any():
            raise ValueError(
                f"no subgradient: x has an empty subdifferential of {self!r}"
            )
        return g

    def subgradient(self, x: Any) -> Array:
        """One element of the subdifferential, always the same one.

        ValueError where there is none.
        """
        x = self._point(x)
        self._inside(x, "subgradient")
        return self._slope_exists(self._subgradient(x))

    def subdifferential(self, x: Any, eps: Any = 0.0) -> Set:
        r"""All of them: {g : f(y) >= f(x) + <g, y - x> for all y}, a Set.

        Empty outside the domain. With eps > 0 (one, or one per point) a set between
        the subdifferential and {g : f(y) >= f(x) + <g, y - x> - eps for all y}.
        """
        x = self._point(x)
        return self._subdifferential(x, nonnegative("eps", eps))

    def directional_derivative(self, x: Any, d: Any) -> Any:
        r"""f'(x; d), the limit of (f(x + t d) - f(x)) / t as t falls to 0.

        ±inf allowed; ValueError where f(x) = +inf.
        """
        x, d = self._point(x), self._point(d, "d")
        if x.shape[-1] != d.shape[-1]:
            raise ValueError(f"d must have shape (..., {x.shape[-1]}), got {d.shape}")
        self._inside(x, "directional_derivative")
        slope = self._directional(x, d)
        shape = np.broadcast_shapes(slope.shape, x.shape[:-1], d.shape[:-1])
        return np.broadcast_to(slope, shape)[()]

    def domain_normal(self, x: Any) -> Set:
        """The normal cone of the domain at x: {0} unless f takes the value +inf."""
        return self._normal(self._point(x))

    @property
    def domain(self) -> Set:
        """{x : f(x) < +inf}, up to closure."""
        from subgrad.sets.box import whole_space
        from subgrad.sets.domain import Domain

        if self.n is None:
            raise ValueError(f"{self!r} takes any number of arguments: no one domain")
        return whole_space(self.n) if self.finite else Domain(self)

    def prox(self, x: Any, t: Any = 1.0) -> Array:
        r"""argmin_u f(u) + |u - x|^2 / (2 t), t > 0 one number or one per point."""
        return self._prox(self._point(x), positive("t", t))

    def prox_jacobian(self, x: Any, t: Any = 1.0) -> Any:
        r"""An element of the Clarke derivative of u -> prox(u, t) at one x, (n,).

        A symmetric operator J with 0 <= J <= I: `J.apply(v)` is J v, `J.dense()` the
        matrix. Where the prox is differentiable it is the derivative; at a kink of the
        prox, one of the limits of derivatives near x, or of their averages.
        """
        x = self._point(x)
        if x.ndim != 1:
            raise ValueError(f"x must have shape (n,), got {x.shape}")
        if batch := np.shape(self._value(x)):
            raise ValueError(
                f"prox_jacobian takes one function, got a batch of {batch}"
            )
        return self._prox_jacobian(x, positive("t", t))

    def conjugate(self) -> Function:
        r"""f*(g) = sup_x <g, x> - f(x), a Function."""
        raise NotImplementedError(f"{type(self).__name__}.conjugate")

    def to_cvxpy(self, x: Any) -> Any:
        """f at a cvxpy expression (or variable) x of shape (n,)."""
        from subgrad.operators import unbounded

        if len(x.shape) != 1 or self.n not in (None, x.shape[0]):
            n = "n" if self.n is None else self.n
            raise ValueError(f"x must have shape ({n},), got {x.shape}")
        if batch := np.shape(self._value(np.zeros(x.shape[0]))):
            raise ValueError(f"to_cvxpy takes one function, got a batch of {batch}")
        return self._cvxpy(unbounded(x))

    def __call__(self, x: Any) -> Any:
        """f(array) evaluates, f(affine map) composes."""
        from subgrad.affine import AffineMap
        from subgrad.calculus.precompose import precompose

        if isinstance(x, AffineMap):
            return precompose(self, x)
        if isinstance(x, Function):
            from subgrad.calculus.compose import compose

            return compose(self, x)
        return self.value(x)

    def _compose_univariate(self, phi: Any) -> Function:
        from subgrad.calculus.compose import compose
        from subgrad.functions.separable import Separable

        return compose(Separable(phi), self)

    def __add__(self, other: Any) -> Function:
        from subgrad.calculus.sum import add

        return add(self, other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Function:
        from subgrad.affine import AffineMap

        if isinstance(other, Function):
            raise ValueError(
                "a difference of convex functions is not convex: only an affine map or "
                "a number can be subtracted"
            )
        return self + (-other if isinstance(other, AffineMap) else -real("term", other))

    def __rsub__(self, other: Any) -> Function:
        return (-1.0 * self) + other

    def __neg__(self) -> Function:
        return -1.0 * self

    def __mul__(self, a: Any) -> Function:
        from subgrad.affine import AffineMap
        from subgrad.calculus.scale import scale

        if isinstance(a, Function | Set | AffineMap):
            raise ValueError("a product of functions need not be convex: only numbers")
        return scale(self, a)

    __rmul__ = __mul__

    def __truediv__(self, a: Any) -> Function:
        return self * (1.0 / positive("divisor", a))

    def _key(self) -> tuple[Any, ...]:
        """What two equal functions share, beside their class."""
        return ()

    def __eq__(self, other: object) -> bool:
        return self is other or (
            type(self) is type(other)
            and self.n == other.n
            and self.variable == other.variable
            and _same(self._key(), other._key())
        )

    __hash__ = object.__hash__

    @brief
    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self._key()))})"


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.array_equal(a, b)
    return a is b or bool(np.all(a == b))
