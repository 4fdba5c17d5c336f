"""Points and multipliers that a method starts from."""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad.solvers.structured.form import Form, smooth
from subgrad.solvers.structured.terms import Structure


def fits(dual: Any, s: Structure) -> bool:
    """Whether these are multipliers, or None, of the terms."""
    return len(dual) == len(s.terms) and all(
        y is None or np.shape(y) == (t.op.rows,)
        for y, t in zip(dual, s.terms, strict=True)
    )


def start_of(form: Form, x0: Array, dual: Any) -> tuple[Any, Any]:
    """x and y of the form to start from, None for its own."""
    s = form.source
    if dual is not None and not fits(dual, s):
        raise ValueError(
            "dual must have a multiplier, or None, for each of the terms of f: "
            f"{[t.op.rows for t in s.terms]} numbers"
        )
    if form.dual:
        y = x0 if x0.any() else None
        if dual is None or any(
            m is None and smooth(t) is not None
            for m, t in zip(dual, s.terms, strict=True)
        ):
            return None, y
        parts = [m for m, t in zip(dual, s.terms, strict=True) if smooth(t) is not None]
        return -np.concatenate(parts), y
    x = x0 if x0.any() else None
    if dual is None or sum(m is None for m in dual) > 1:
        return x, None
    r = s.c + s.q * x0
    for m, t in zip(dual, s.terms, strict=True):
        if m is not None:
            r = r + t.op.adjoint(m)
    return x, np.concatenate([-r if m is None else m for m in dual])
