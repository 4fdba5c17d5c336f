"""The k-support norm, between norm1 (k = 1) and norm2 (k = n)."""

from __future__ import annotations

from typing import Any

from subgrad._check import Array
from subgrad.core import Set
from subgrad.functions.norms import _Norm
from subgrad.sets.k_support import TopKBall, k_support, whole_number


class KSupportNorm(_Norm):
    r"""The norm whose unit ball is conv{x : |x| <= 1, at most k of the x_i not 0}.

    .. math:: f(x) = \max \{ \langle s, x \rangle : s_{(1)}^2 + ... + s_{(k)}^2 \le 1 \}

    with |s_i| in decreasing order: the support function of a TopKBall, which has the
    closed form. Argyriou, Foygel and Srebro, Sparse prediction with the k-support norm,
    2012.
    """

    def __init__(self, k: int) -> None:
        self.k = whole_number(k)

    def _key(self) -> tuple[Any, ...]:
        return (self.k,)

    def _body(self, n: int) -> Set:
        return TopKBall(n, self.k)

    def _value(self, x: Array) -> Array:
        self._body(x.shape[-1])  # refuses k > n
        return k_support(x, self.k)[0]


def k_support_norm(k: int) -> KSupportNorm:
    """The k-support norm, k = 1, ..., n."""
    return KSupportNorm(k)
