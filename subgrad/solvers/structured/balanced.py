r"""The method of multipliers in units in which the columns of the maps are alike.

.. math:: u = s x, \qquad s_j^2 = \sum_k \rho_k |A_k e_j|^2

over the maps that are not diagonal. Newton steps are the same in all units, but not the
proximal term |x - x_k|², which lets variables of small columns move little. Where the
s_j differ little nothing is changed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad.affine import Diagonal, Matrix, Operator, Sparse
from subgrad.solvers.structured.augmented_lagrangian import AugmentedLagrangian, rates
from subgrad.solvers.structured.form import Block, Form

FAR = 10.0  # times the least, as far apart as lengths of columns may be


def lengths(form: Form) -> Array | None:
    """s, 0 for columns of zeros; None where a map is known by its products only."""
    total = np.zeros(form.n)
    for k, rho in zip(form.blocks, rates(form)[0], strict=True):
        if k.diagonal is not None:
            continue
        elif k.matrix is None:
            return None
        elif isinstance(k.matrix, np.ndarray):
            total += rho * np.einsum("ij,ij->j", k.matrix, k.matrix)
        else:
            total += rho * k.matrix.multiply(k.matrix).sum(0)
    return np.sqrt(total)


class Balanced:
    """The method on one form: x, y and `step()` as there; s of shape (n,), positive."""

    def __init__(self, form: Form, s: Array, x: Array | None, y: Array | None) -> None:
        self.s = s
        blocks = tuple(Block(k.h, _divided(k, s), k.b) for k in form.blocks)
        other = replace(form, q=form.q / s**2, c=form.c / s, blocks=blocks)
        other.__dict__["member"] = form.member * s
        self.inner = AugmentedLagrangian(other, None if x is None else x * s, y)

    @property
    def x(self) -> Array:
        return self.inner.x / self.s

    @property
    def y(self) -> Array:
        return self.inner.y

    def step(self) -> None:
        """One step of the multipliers."""
        self.inner.step()

    def residual(self) -> Array:
        """That in the units u."""
        return self.inner.residual()


def _divided(k: Block, s: Array) -> Operator:
    """A diag(1 / s)."""
    if k.diagonal is not None:
        return Diagonal(k.diagonal / s, len(s))
    if isinstance(k.matrix, np.ndarray):
        return Matrix(k.matrix / s)
    from scipy.sparse import diags_array

    return Sparse((k.matrix @ diags_array(1 / s)).tocsr())


def newton(form: Form, x: Any, y: Any) -> Balanced | AugmentedLagrangian:
    """The method of multipliers, in other units where columns differ much."""
    s = None if form.dual else lengths(form)
    if s is None or not s.any() or s.max() <= FAR * s[s > 0].min():
        return AugmentedLagrangian(form, x, y)
    return Balanced(form, np.where(s > 0, s, np.median(s[s > 0])), x, y)
