r"""How far from a point minimisers can be, by multipliers of tilted problems.

With r = q x + c + Σ A_kᵀ y_k and L the bound at x that multipliers y in the domains
give, f(x') >= L + <r, x' - x> for every x'. At a minimiser f(x') <= f(x): multipliers
with slopes r of all signs along each axis, scaled so that r is ± e_i + δ,

.. math:: \pm (x' - x)_i \le g + |\delta| |x' - x|, \quad g = f(x) - L, \qquad
   |x' - x| \le \frac{|\max_\pm g_i|_2}{1 - |\max_\pm |\delta_i||_2}.

They exist for small slopes if and only if f has bounded sublevel sets (Rockafellar,
Convex Analysis, 14.2.2), of whatever atoms f is the sum; found here by projected
gradients.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad.solvers.structured.domains import conjugate_value, to_domain
from subgrad.solvers.structured.form import matrix
from subgrad.solvers.structured.terms import Structure

EPS = float(np.finfo(np.float64).eps)
LARGEST = 64  # variables: there are twice as many tuples of multipliers
STEPS = 300  # of a projected gradient method
SLOPES = (0.1, 0.01, 1e-3, 1e-4)  # against the sizes of what is summed


def corners(s: Structure, x: Array, ys: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """2 n tuples of multipliers with slopes near ρ e_1, -ρ e_1, ρ e_2, ...; or None.

    ys are multipliers to start from.
    """
    found = [matrix(t.op) for t in s.terms]
    if s.n > LARGEST or any(A is None for A in found):
        return None
    A = np.concatenate([A if isinstance(A, np.ndarray) else A.toarray() for A in found])
    cuts = np.cumsum([0, *(t.op.rows for t in s.terms)])
    within = [slice(a, b) for a, b in zip(cuts[:-1], cuts[1:], strict=True)]

    def moved(y: Array) -> Array:
        each = zip(s.terms, within, strict=True)
        return np.concatenate([to_domain(t.h, y[at]) for t, at in each])

    start, c = moved(np.concatenate(ys)), s.q * x + s.c
    square = float(np.linalg.norm(A, 2)) ** 2
    size = np.sqrt(square) * float(np.linalg.norm(start)) + float(np.linalg.norm(c))
    axes = [sign * e for e in np.eye(s.n) for sign in (1.0, -1.0)]
    for share in SLOPES if square > 0 and size > 0 else ():
        out: list[Any] = []
        for axis in axes:
            slope = share * size * axis
            near = share * size / (4 * np.sqrt(s.n))
            y = _tilted(A, c - slope, moved, start, square, near)
            if y is None:
                break
            out.append(tuple(y[at] for at in within))
        else:
            return tuple(out)
    return None


def _tilted(
    A: Array, c: Array, moved: Any, y: Array, square: float, near: float
) -> Array | None:
    """y in the domains with |c + Aᵀ y| <= near, by Nesterov's method with restarts."""
    z, t, last, mark = y, 1.0, np.inf, np.inf
    for k in range(STEPS):
        new = moved(z - A @ (c + z @ A) / square)
        error = float(np.linalg.norm(c + new @ A))
        if error <= near:
            return new
        if k % 50 == 49:
            if error > 0.5 * mark:
                return None  # such a slope is out of reach
            mark = error
        t = 1.0 if error > last else t
        faster = (1 + np.sqrt(1 + 4 * t * t)) / 2
        z = new + (t - 1) / faster * (new - y)
        y, t, last = new, faster, error
    return None


def reach_between(
    s: Structure, x: Array, tuples: tuple[Any, ...], level: float | None = None
) -> float:
    """The bound of the formula on the distance from x to every minimiser, or inf.

    `level` as in `reach`.
    """
    P = s.value(x) if level is None else level
    if len(tuples) != 2 * s.n or not np.isfinite(P):
        return np.inf
    gaps, aways = np.zeros(s.n), np.zeros(s.n)
    for j, ys in enumerate(tuples):
        i, sign = j // 2, 1.0 if j % 2 == 0 else -1.0
        r, L = s.q * x + s.c, s.offset + float((s.q * x / 2 + s.c) @ x)
        size = float(np.linalg.norm(s.c))
        blur = abs(P) + abs(L) + float(np.abs((s.q * x / 2 + s.c) * x).sum())
        for t, y, length in zip(s.terms, ys, s.lengths, strict=True):
            y = to_domain(t.h, y)
            Ax, value = t.op.forward(x), conjugate_value(t.h, y)
            z = Ax + t.b
            r, L = r + t.op.adjoint(y), L + float(y @ z) - value
            size += length * float(np.linalg.norm(y))
            blur += float(np.abs(y) @ (np.abs(Ax) + np.abs(t.b))) + abs(value)
        along = sign * float(r[i])
        if not (along > 0 and np.isfinite(L)):
            return np.inf
        r = r / along
        r[i] = 0.0
        rounding = 16 * EPS * size / along
        gap = max(P - L, 0.0) + 16 * EPS * blur
        gaps[i] = max(gaps[i], gap / along)
        aways[i] = max(aways[i], float(np.linalg.norm(r)) + rounding)
    rest = 1 - float(np.linalg.norm(aways))
    return float(np.linalg.norm(gaps)) / rest if rest > 0.1 else np.inf
