r"""The fused lasso penalty: few nonzero entries, few changes."""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array, nonnegative
from subgrad._jacobian import Jacobian, identity
from subgrad.calculus.derived import _Derived
from subgrad.calculus.sum import MinkowskiSum
from subgrad.core import Function, Mask, Set
from subgrad.functions.indicator import Indicator
from subgrad.functions.norms import norm1
from subgrad.functions.shaped import ShapedAtom, no_argument
from subgrad.functions.total_variation import TotalVariation


class FusedLasso(_Derived):
    r"""f(x) = l1 |x|_1 + l2 TV(x), of an array of `shape`.

    TV is the total variation, along several axes not the isotropic one; l1, l2 >= 0,
    one number or one per problem.

    .. math:: prox_{tf}(x) = S_{t l_1}(prox_{t l_2 TV}(x)), \quad
       S_s(p) = sign(p) \max(|p| - s, 0)

    Along one axis, in O(n). Friedman, Hastie, Höfling and Tibshirani, Pathwise
    coordinate optimization, Annals of Applied Statistics 1 (2007).
    """

    def __init__(self, shape: tuple[int, ...], l1: Any, l2: Any) -> None:
        self.l1, self.l2 = nonnegative("l1", l1), nonnegative("l2", l2)
        try:
            np.broadcast_shapes(self.l1.shape, self.l2.shape)
        except ValueError:
            raise ValueError(
                f"l1 of shape {self.l1.shape} does not broadcast with l2 of "
                f"{self.l2.shape}"
            ) from None
        self.tv = TotalVariation(shape, False)
        super().__init__(self.l1 * norm1 + self.l2 * self.tv)

    def _key(self) -> tuple[Any, ...]:
        return (self.tv.shape, self.l1, self.l2)

    def _nondecreasing(self, low: Array) -> Mask:
        return np.zeros(low.shape[-1], bool)

    def _prox(self, x: Array, t: Array) -> Array:
        p = self.tv._prox(x, self.l2 * t)
        s = np.asarray(self.l1 * t)[..., None]
        return np.sign(p) * np.maximum(np.abs(p) - s, 0)

    def _prox_jacobian(self, x: Array, t: Any) -> Jacobian:
        """Means over the pieces of the taut string that are not shrunk to zero."""
        if self.l2 > 0:
            J = self.tv._prox_jacobian(x, self.l2 * t)
        else:
            J = identity(len(x))
        return J.times((np.abs(self.tv._prox(x, self.l2 * t)) > self.l1 * t) * 1.0)

    def conjugate(self) -> Function:
        """The indicator of [-l1, l1]^n + l2 S, S the subdifferential of TV at 0."""
        n = self.tv.n
        box = self.l1 * norm1._body(n)
        S = box + self.l2 * self.tv.subdifferential(np.zeros(n))
        line = len(self.tv._shape) == 1 and not self.l1.ndim and not self.l2.ndim
        if line and isinstance(S, MinkowskiSum):
            S = _Body(S.parts, self)
        return Indicator(S)


class _Body(MinkowskiSum):
    """The set of f(x) = max <s, x>: what the prox of f takes away is nearest in it."""

    def __init__(self, parts: tuple[Set, ...], f: FusedLasso) -> None:
        super().__init__(parts)
        self.f = f

    def _project(self, y: Array) -> Array:
        return y - self.f._prox(y, np.ones(()))

    def _project_jacobian(self, y: Array) -> Jacobian:
        return self.f._prox_jacobian(y, 1.0).complement()


def fused_lasso(l1: Any, l2: Any) -> ShapedAtom:
    """l1 |x|_1 + l2 TV(x), TV the total variation by axes: see `FusedLasso`."""
    no_argument("fused_lasso(l1, l2)", l1, l2)
    return ShapedAtom(
        FusedLasso,
        nonnegative("l1", l1),
        nonnegative("l2", l2),
        name=f"fused_lasso({l1!r}, {l2!r})",
        doc=fused_lasso.__doc__,
        axes=None,
    )
