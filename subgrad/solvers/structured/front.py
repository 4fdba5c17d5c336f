"""The method for sums of atoms with a prox: what is run, looked at and returned."""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad.core import Function
from subgrad.functions.indicator import Indicator
from subgrad.solvers.structured.augmented_lagrangian import AugmentedLagrangian
from subgrad.solvers.structured.certificate import DualCertificate, dual_bound
from subgrad.solvers.structured.form import Form, fenchel, matrix, primal, smooth
from subgrad.solvers.structured.terms import Structure, structure


def form_of(f: Function, n: int) -> Form:
    """The form of f that is solved. NotImplementedError where f has none."""
    s = structure(f, n)
    if not s.terms:
        raise NotImplementedError("f has no term but quadratics of single variables")
    form = fenchel(s) or primal(s)
    one, zero = np.ones(len(form.blocks)), np.zeros(len(form.b))
    # What the atoms cannot do they say here.
    form.jacobians(zero, one), form.dual_prox(zero, one)
    return form


class Run:
    """A method at work on one form, with the best point and the best bound so far."""

    def __init__(self, form: Form, x0: Array) -> None:
        self.form, self.source = form, form.source
        self.method = AugmentedLagrangian(form, *_start(form, x0))
        self.x = feasible(self.source, x0)
        self.value = self.source.value(self.x)
        self.certificate: DualCertificate | None = None
        self.tried = np.inf

    @property
    def lower(self) -> float:
        return -np.inf if self.certificate is None else self.certificate.lower_bound

    def step(self) -> None:
        """One step of the method, and a look at what it found."""
        self.method.step()
        x, y = self.form.pair(self.method.x, self.method.y)
        x = feasible(self.source, x)
        value = self.source.value(x)
        if value < self.value or not np.isfinite(self.value):
            self.x, self.value = x, value
        found = dual_bound(self.source, self.x, y)
        if found.lower_bound > self.lower:
            self.certificate = found


def _start(form: Form, x0: Array) -> tuple[Any, Any]:
    """x0 as a start of the method: its point, or the multiplier of the dual."""
    if not x0.any():
        return None, None
    return (None, x0) if form.dual else (x0, None)


def feasible(s: Structure, x: Array) -> Array:
    """A point near x in the set it must lie in, or on the equations, to rounding.

    For one set of x itself, or else for equations.
    """
    own = [t for t in s.terms if t.own and isinstance(t.h, Indicator)]
    if len(own) == 1:
        x = own[0].h._prox(x, np.ones(()))
    equations = [t for t in s.terms if (p := smooth(t)) is not None and p[0] == 0]
    if own or not equations:
        return x
    found = [matrix(t.op) for t in equations]
    if any(A is None for A in found):
        return x
    A = np.concatenate([A if isinstance(A, np.ndarray) else A.toarray() for A in found])
    b = np.concatenate([smooth(t)[1] - t.b for t in equations])  # type: ignore[index]
    # Entries that are zero stay zero, if the others can do it.
    for weights in (np.abs(x), np.abs(x) + 1e-3 * np.abs(x).max(initial=1.0)):
        B, u = A * weights, x
        for _ in range(3):
            u = u + weights * np.linalg.lstsq(B, b - A @ u, rcond=None)[0]
        size = np.abs(A) @ np.abs(u) + np.abs(b)
        if np.all(np.abs(A @ u - b) <= 1e-13 * size.max(initial=0.0)):
            return u
    return x
