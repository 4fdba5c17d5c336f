r"""The method of multipliers in units in which the columns of the maps are alike.

Newton steps are the same in all units u x, but not the proximal term |x - x_k|², which
lets variables of short columns move little: see `units`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad.affine import Diagonal, Matrix, Operator, Sparse
from subgrad.solvers.structured.augmented_lagrangian import AugmentedLagrangian
from subgrad.solvers.structured.form import Block, Form
from subgrad.solvers.structured.units import divided


class Balanced:
    """The method on one form: x, y and `step()` as there; u of shape (n,), positive."""

    def __init__(self, form: Form, u: Array, x: Array | None, y: Array | None) -> None:
        self.u = u
        blocks = tuple(Block(k.h, _divided(k, u), k.b) for k in form.blocks)
        other = replace(form, q=form.q / u**2, c=form.c / u, blocks=blocks)
        other.__dict__["member"] = form.member * u
        self.inner = AugmentedLagrangian(other, None if x is None else x * u, y)

    @property
    def x(self) -> Array:
        return self.inner.x / self.u

    @property
    def y(self) -> Array:
        return self.inner.y

    def step(self) -> None:
        """One step of the multipliers."""
        self.inner.step()

    def residual(self) -> Array:
        """That in these units."""
        return self.inner.residual()


def _divided(k: Block, u: Array) -> Operator:
    """A diag(1 / u)."""
    if k.diagonal is not None:
        return Diagonal(k.diagonal / u, len(u))
    A = divided(k.matrix, u)
    return Matrix(A) if isinstance(A, np.ndarray) else Sparse(A)


def newton(form: Form, x: Any, y: Any) -> Balanced | AugmentedLagrangian:
    """The method of multipliers, in other units where columns differ much."""
    u = np.ones(1) if form.dual else form.source.units
    if np.all(u == 1):
        return AugmentedLagrangian(form, x, y)
    return Balanced(form, u, x, y)
