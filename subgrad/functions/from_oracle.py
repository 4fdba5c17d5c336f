"""Convex functions known by their oracle only: any Python callable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from subgrad._check import Array, count, real
from subgrad.core import Function, Set, a_set
from subgrad.functions.indicator import Indicator


class _OracleFunction(Function):
    """What `from_oracle` makes."""

    def __init__(
        self,
        fun: Callable[[Any], Any],
        n: int,
        value: Callable[[Any], Any] | None,
        vectorized: bool,
        domain: Set | None,
        infimum: float,
        name: str,
    ) -> None:
        self.fun, self.n, self.cheap, self.vectorized = fun, count(n), value, vectorized
        self.within, self.infimum, self.name = domain, infimum, name
        self.finite = domain is None

    def _key(self) -> tuple[Any, ...]:
        return (self.fun, self.cheap, self.vectorized, self.within, self.infimum)

    def __repr__(self) -> str:
        return f"from_oracle({self.name}, {self.n})"

    @property
    def domain(self) -> Set:
        return super().domain if self.within is None else self.within

    def _numbers(
        self, what: str, a: Any, shape: tuple[int, ...], off: Any = False
    ) -> Array:
        """A copy of what the callable gave, of this shape, and nan just `off` the
        domain."""
        try:
            out = np.array(a)
        except ValueError:
            out = np.array(None)
        if out.dtype.kind not in "biuf":
            kind = type(a).__name__ if out.ndim == 0 else f"dtype {out.dtype}"
            raise TypeError(
                f"{self.name} must give a real {what} of shape {shape}, got {kind}"
            )
        if out.shape != shape and not (shape == () and out.size == 1):
            raise ValueError(
                f"{self.name} must give a {what} of shape {shape}, got {out.shape}"
            )
        out = np.where(off, 0.0, out.reshape(shape))
        if np.isnan(out).any():
            raise ValueError(f"{self.name} gave nan as {what}")
        return np.where(off, np.nan, out) if np.any(off) else out

    def _answer(self, x: Array) -> tuple[Array, Array]:
        """(value, subgradient) of one call."""
        lead = x.shape[:-1]
        answer = self.fun(x.copy())
        if not isinstance(answer, tuple | list) or len(answer) != 2:
            raise TypeError(
                f"{self.name} must give a pair (value, subgradient), got "
                f"{type(answer).__name__}"
            )
        value = self._numbers("value", answer[0], lead)
        out = np.isposinf(value)
        # No slope is looked at where there is none.
        if np.all(out):
            return value, np.full_like(x, np.nan)
        off = out[..., None]
        return value, self._numbers("subgradient", answer[1], x.shape, off)

    def _height(self, x: Array) -> tuple[Array, Array]:
        """(value, 0) by the cheaper callable, if there is one."""
        if self.cheap is None:
            return self._answer(x)
        return self._numbers("value", self.cheap(x.copy()), x.shape[:-1]), 0 * x

    def _at(self, x: Array, call: Callable[[Array], Any]) -> tuple[Array, Array]:
        """call at every point of the domain; (+inf, nan) elsewhere."""
        if self.within is None and (self.vectorized or x.ndim == 1):
            return call(x)
        flat = x.reshape(-1, x.shape[-1])
        value, g = np.full(len(flat), np.inf), np.full(flat.shape, np.nan)
        which = np.arange(len(flat))
        if self.within is not None:
            inside = np.broadcast_to(self.within.contains(x), x.shape[:-1])
            which = which[inside.reshape(-1)]
        for i in [which] if self.vectorized and which.size else list(which):
            value[i], g[i] = call(flat[i])
        return value.reshape(x.shape[:-1]), g.reshape(x.shape)

    def _value(self, x: Array) -> Array:
        return self._at(x, self._height)[0]

    def _oracle(self, x: Array) -> tuple[Array, Array]:
        value, g = self._at(x, self._answer)
        return value, g.astype(x.dtype, copy=False)

    def _subgradient(self, x: Array) -> Array:
        return self._oracle(x)[1]

    def _slope_exists(self, g: Array) -> Array:
        if np.isnan(g).any():
            raise ValueError(f"no subgradient: {self!r} is +inf at x")
        return g

    def _unknown(self, what: str) -> NotImplementedError:
        return NotImplementedError(
            f"{self!r}.{what}: the function is known by its oracle only, which gives a "
            "value and one subgradient"
        )

    def _subdifferential(self, x: Array, eps: Array) -> Set:
        raise self._unknown("subdifferential")

    def _directional(self, x: Array, d: Array) -> Array:
        raise self._unknown("directional_derivative")

    def _prox(self, x: Array, t: Array) -> Array:
        raise self._unknown("prox")

    def conjugate(self) -> Function:
        raise self._unknown("conjugate")

    def _cvxpy(self, x: Any) -> Any:
        raise self._unknown("to_cvxpy")


def from_oracle(
    fun: Callable[[Any], Any],
    n: int,
    *,
    value: Callable[[Any], Any] | None = None,
    vectorized: bool = False,
    domain: Set | None = None,
    infimum: float = -np.inf,
    name: str | None = None,
) -> Function:
    r"""The convex function R^n -> R of which fun(x) gives (value, subgradient).

    .. math:: fun(x) = (f(x), g), \qquad f(y) \ge f(x) + \langle g, y - x \rangle

    x has shape (n,); with vectorized=True it is (..., n), and fun gives arrays (...)
    and (..., n). `value`, if given, is a cheaper callable for f(x) alone. f is +inf
    off the closed convex set `domain`, where fun is not called, and where fun gives
    +inf; `infimum` is a lower bound on f, if one is known. What fun gives is copied and
    checked for shape, type and nan. That f is convex, closed, and not below `infimum`
    is believed. Value, subgradient, sums, multiples and affine substitutions work;
    whatever needs the whole subdifferential raises NotImplementedError.
    """
    for what, call in (("fun", fun), ("value", value)):
        if call is not None and not callable(call):
            raise TypeError(f"{what} must be callable, got {type(call).__name__}")
    if fun is None:
        raise TypeError("fun must be callable, got NoneType")
    n = count(n)
    if domain is not None and a_set("domain", domain).dim != n:
        raise ValueError(f"domain must lie in R^{n}, got a set in R^{domain.dim}")
    low = real("infimum", infimum, infinite=True)
    if low.ndim or low == np.inf:
        raise ValueError(f"infimum must be a number below inf, got {infimum}")
    if name is None:
        name = getattr(fun, "__name__", type(fun).__name__)
    f = _OracleFunction(fun, n, value, vectorized, domain, float(infimum), name)
    # As a term of its own the domain becomes a constraint that methods project on.
    return f if domain is None else f + Indicator(domain)
