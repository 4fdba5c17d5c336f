r"""Elements of the Clarke derivative of a prox, as operators.

The derivative of a prox is a symmetric matrix with eigenvalues in [0, 1]. Of the atoms
whose prox acts on groups of coordinates it is

.. math:: J = \mathrm{diag}(d) + \sum_g (e_g - d_g) \, u_g u_g^T, \qquad |u_g| = 1,

the u_g being zero off their group, on which d is constant where u_g is not zero: J is d
across u_g, and e_g along it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array


class Jacobian:
    """diag(d), and e along the unit vectors u of groups; u None: no groups.

    d and u of shape (n,), e (G,); labels (n,) says to which group a coordinate belongs,
    None that there is one group.
    """

    def __init__(
        self, d: Array, u: Array | None = None, e: Any = None, labels: Any = None
    ) -> None:
        self.d, self.u, self.labels = d, u, labels
        self.e = np.atleast_1d(np.asarray(e, float)) if u is not None else None

    def total(self, a: Array) -> Array:
        """Sums over the groups, (n,) -> (G,)."""
        assert self.e is not None
        if self.labels is None:
            return a.sum(-1, keepdims=True)
        return np.bincount(self.labels, a, len(self.e))

    def spread(self, a: Array) -> Array:
        """A number per group as a number per coordinate."""
        return a if self.labels is None else a[self.labels]

    @property
    def along(self) -> Array:
        """e - d per group, d what it is where u is not zero."""
        assert self.u is not None
        return self.e - self.total(self.d * self.u * self.u)

    def apply(self, x: Array) -> Array:
        """J x."""
        y = self.d * x
        if self.u is None:
            return y
        return y + self.u * self.spread(self.along * self.total(self.u * x))

    def complement(self) -> Jacobian:
        """I - J."""
        if self.u is None:
            return Jacobian(1 - self.d)
        return Jacobian(1 - self.d, self.u, 1 - self.e, self.labels)

    def times(self, a: Any) -> Jacobian:
        """a J, a >= 0 a number, or one per coordinate and the same within a group."""
        if self.u is None:
            return Jacobian(a * self.d)
        each = a if np.ndim(a) == 0 else self.total(a * self.u * self.u)
        return Jacobian(a * self.d, self.u, each * self.e, self.labels)

    def dense(self) -> Array:
        """The matrix."""
        return np.stack([self.apply(x) for x in np.eye(len(self.d))], -1)


class GeneralJacobian:
    """A symmetric operator known by its products, `apply` of vectors (n,)."""

    def __init__(self, apply: Any, n: int) -> None:
        self.apply, self.n = apply, n

    def complement(self) -> GeneralJacobian:
        """I - J."""
        return GeneralJacobian(lambda x: x - self.apply(x), self.n)

    def times(self, a: Any) -> GeneralJacobian:
        """a J."""
        return GeneralJacobian(lambda x: a * self.apply(x), self.n)

    def dense(self) -> Array:
        """The matrix."""
        return np.stack([self.apply(x) for x in np.eye(self.n)], -1)
