r"""Support functions: h_S(x) = sup{<s, x> : s in S}, with the faces of S for ∂h_S."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad.core import Function, Mask, Set


class Support(Function):
    r"""The support function of a nonempty closed convex set.

    .. math:: \partial h_S(x) = \{s \in S : \langle s, x \rangle = h_S(x)\}, \quad
       h_S^* = \iota_S, \quad prox_{t h_S}(x) = x - t P_S(x / t)

    Rockafellar, Convex Analysis, 23.5.3; Moreau.
    """

    def __init__(self, S: Set) -> None:
        if not isinstance(S, Set):
            raise TypeError(f"Support takes a Set, got {type(S).__name__}")
        if not np.all(S.nonempty):
            raise ValueError("Support needs a nonempty set: h = -inf is not proper")
        self.S, self.n, self.polyhedral = S, S.dim, S.polyhedral
        self.finite = bool(np.all(S.is_bounded))

    def _body(self, n: int) -> Set:
        """The set, in R^n."""
        return self.S

    def _key(self) -> tuple[Any, ...]:
        return (self.S,)

    @cached_property
    def infimum(self) -> float:  # type: ignore[override]
        """0 if 0 is in S, else -inf."""
        return 0.0 if np.all(self.S.contains(np.zeros(self.S.dim))) else -np.inf

    def _value(self, x: Array) -> Array:
        return self._body(x.shape[-1])._support(x)

    def _subgradient(self, x: Array) -> Array:
        return self._body(x.shape[-1])._support_point(x)

    def _oracle(self, x: Array) -> tuple[Array, Array]:
        s = self._subgradient(x)
        return (np.vecdot(s, x) if self.finite else self._value(x)), s

    def _subdifferential(self, x: Array, eps: Array) -> Set:
        return self._body(x.shape[-1])._face(x, eps)

    def _directional(self, x: Array, d: Array) -> Array:
        return self._body(x.shape[-1])._face(x, np.zeros(())).support(d)

    def _costs(self, x: Array) -> Array:
        return self._body(x.shape[-1])._costs(x)

    def _normal(self, x: Array) -> Set:
        if self.finite:
            return super()._normal(x)
        inside = np.isfinite(self._value(x))
        at = np.where(inside[..., None], x, 0.0)
        return (
            self._body(x.shape[-1]).recession_cone().exposed_face(at).restrict(inside)
        )

    def _interior(self, x: Array) -> Any:
        """Where the exposed face is bounded: x is interior to the barrier cone."""
        if self.finite:
            return super()._interior(x)
        face = self._body(x.shape[-1])._face(x, np.zeros(()))
        return face.nonempty & face.is_bounded

    def _nondecreasing(self, low: Array) -> Mask:
        b = self._body(low.shape[-1]).box().lower
        return np.all(b >= 0, axis=tuple(range(b.ndim - 1)))

    def _prox(self, x: Array, t: Array) -> Array:
        t = np.asarray(t)[..., None]
        s = t * self._body(x.shape[-1])._project(x / t)
        p = x - s
        # What cancels is zero: a direction made of rounding may be one without bound.
        return np.where(np.abs(p) <= 4 * np.finfo(p.dtype).eps * np.abs(x), 0.0, p)

    def _dual_prox(self, y: Array, s: Any) -> Array:
        return self._body(y.shape[-1])._project(y)

    def _dual_prox_jacobian(self, y: Array, s: Any) -> Any:
        return self._body(y.shape[-1])._project_jacobian(y)

    def _prox_jacobian(self, x: Array, t: Any) -> Any:
        return self._dual_prox_jacobian(x / t, 1 / t).complement()

    def conjugate(self) -> Function:
        from subgrad.functions.indicator import Indicator

        return Indicator(self)

    def _cvxpy(self, x: Any) -> Any:
        S = self._body(x.shape[0])
        if S.batch:
            raise ValueError(f"to_cvxpy takes one function, got a batch: {S.batch}")
        return S._support_cvxpy(x)
