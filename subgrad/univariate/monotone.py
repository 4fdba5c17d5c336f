"""Subdifferentials of convex functions of one variable as monotone operators."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._check import Array, positive, real
from ..interval import Interval
from .convex import Univariate, _plain
from .piecewise import Piecewise


class MonotoneOperator:
    r"""
    A = ∂φ of a closed proper convex φ: the graph of A is nondecreasing,

        s <= s'  for all s ∈ A(t), s' ∈ A(t'), t < t',

    and maximal as such: every u is in t + A(t) for exactly one t, which is the
    resolvent (I + A)^-1 at u. On the line every maximal monotone operator is of this
    kind.

    Source: Rockafellar, Convex Analysis, theorem 24.3; Bauschke and Combettes, Convex
    Analysis and Monotone Operator Theory in Hilbert Spaces, sections 22 and 23.

    >>> from subgrad import absolute
    >>> A = absolute.monotone_operator()
    >>> print(A(0), A.inverse()(1), A.resolvent(3), A.yosida(0.25))
    [-1, 1] [0, +inf) 2.0 0.25
    """

    def __init__(self, phi: Univariate) -> None:
        if not isinstance(phi, Univariate):
            raise TypeError(
                "MonotoneOperator takes a convex function on the line, such as relu, "
                f"got {type(phi).__name__}"
            )
        phi._refuse()
        self.phi = phi

    def __call__(self, t: Any) -> Interval:
        """A(t), entry by entry; for intervals the closure of the union over each."""
        return self.phi.subdifferential(t)

    def inverse(self) -> MonotoneOperator:
        """A^-1(s) = {t : s ∈ A(t)} = ∂φ*(s)."""
        return MonotoneOperator(self.phi.conjugate())

    def resolvent(self, t: Any, step: Any = 1.0) -> Array:
        """(I + τ A)^-1(t), the prox of φ, step τ > 0 broadcasting with t."""
        return self.phi.prox(t, step)

    def yosida(self, t: Any, step: Any = 1.0) -> Array:
        """
        A_τ(t) = (t - (I + τ A)^-1(t)) / τ, the slope of the Moreau envelope.

        It is an element of A at the resolvent, and Lipschitz continuous in t with 1/τ.
        """
        t, step = real("t", t), _plain(positive("step", step))
        return (t - self.phi.prox(t, step)) / step

    def graph(self) -> Array:
        """
        {(t, s) : s ∈ A(t)} as a polyline of vertices, shape (m, 2), m >= 2, whose first
        and last segments go on to infinity; for `Piecewise` φ of degree <= 2.
        """
        if not isinstance(self.phi, Piecewise):
            raise NotImplementedError(
                f"the graph of the subdifferential of {type(self.phi).__name__} is not "
                "a polyline"
            )
        g = self.phi._graph
        points = np.stack([g.t, g.s], -1)
        rays = []
        for ray, point in ((g.first, points[0]), (g.last, points[-1])):
            # Long enough not to be lost beside the vertex.
            along = np.array(ray) / max(ray)
            rays.append(np.max(abs(point), where=along > 0, initial=1.0) * along)
        return np.concatenate([[points[0] - rays[0]], points, [points[-1] + rays[1]]])

    def __eq__(self, other: object) -> bool:
        """Whether φ is the same; for `Piecewise` whether it is up to a constant."""
        if not isinstance(other, MonotoneOperator):
            return NotImplemented
        f, g = self.phi, other.phi
        if f == g or not (isinstance(f, Piecewise) and isinstance(g, Piecewise)):
            return f == g
        if f.batch or g.batch:
            return False
        slopes = zip(f._both_slopes, g._both_slopes, strict=True)
        return all(Piecewise._of(a) == Piecewise._of(b) for a, b in slopes)

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"MonotoneOperator({self.phi!r})"
