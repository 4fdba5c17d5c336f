"""Piecewise polynomials and distributions in readable words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from .._check import Array
from ._coefficients import shift
from ._points import union
from ._polynomials import Pieces

if TYPE_CHECKING:
    from .bump import TestFunction

_POWERS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(x: float) -> str:
    """The shortest form that reads back as x, without a trailing .0."""
    return "+inf" if x == np.inf else repr(float(x) + 0.0).removesuffix(".0")


def shifted(variable: str, by: float) -> str:
    """x - a."""
    if not by:
        return variable
    return f"{variable} {'−' if by > 0 else '+'} {number(abs(by))}"


def joined(terms: list[tuple[float, str]]) -> str:
    """w_1 a_1 + w_2 a_2 …, with no text a for a constant."""
    out = ""
    for w, what in terms:
        size = number(abs(w))
        body = what if what and size == "1" else f"{size}·{what}" if what else size
        if out:
            out += f" {'−' if w < 0 else '+'} {body}"
        else:
            out = f"−{body}" if w < 0 else body
    return out or "0"


def power(variable: str, j: int) -> str:
    """x^j, no text for j = 0."""
    if j < 2:
        return variable if j else ""
    return variable + str(j).translate(_POWERS)


def polynomial(c: Array, variable: str) -> str:
    """sum_j c_j x^j, highest power first."""
    if not np.isfinite(c[0]):
        return "undefined" if np.isnan(c[0]) else ("+inf" if c[0] > 0 else "-inf")
    terms = [(float(w), power(variable, j)) for j, w in enumerate(c) if w]
    return joined(terms[::-1])


def expanded(f: Pieces) -> Array:
    """The coefficients in powers of t itself."""
    return shift(f.coefficients, -f.anchors)


def piecewise(f: Pieces, variable: str = "t") -> str:
    """Every piece with the set on which it holds; values apart from it on their own."""
    rows = [polynomial(c, variable) for c in expanded(f)]
    count = f.points.size
    left, right = f.meets("left"), f.meets("right")
    special = f.coefficients[:, 0]
    same = [special[:-1] == f.values, special[1:] == f.values]
    left, right = left | same[0], (right | same[1]) & ~(left | same[0])
    parts = []
    for k, row in enumerate(rows):
        low = f.points[k - 1] if k else -np.inf
        up = f.points[k] if k < count else np.inf
        closed = (bool(k and right[k - 1]), bool(k < count and left[k]))
        if np.isfinite(special[k]):
            parts.append(f"{row} on {_set(low, up, *closed)}")
        if k < count and not (left[k] or right[k]) and not np.isnan(f.values[k]):
            parts.append(f"{number(f.values[k])} at {number(f.points[k])}")
    for infinite in (np.inf, -np.inf):
        if np.any(special == infinite):
            parts.append(f"{number(infinite)} elsewhere" if parts else number(infinite))
    return "; ".join(parts) or "undefined"


def _set(low: float, up: float, left: bool, right: bool) -> str:
    begin = f"[{number(low)}" if left else f"({number(low)}"
    end = "+inf" if up == np.inf else number(up)
    return f"{begin}, {end}{']' if right else ')'}"


def distribution(
    parts: Mapping[TestFunction | None, Pieces],
    spots: Mapping[tuple[float, int], float],
) -> str:
    """Polynomials, Heaviside steps, Dirac terms; then the domain, unless all of R."""
    terms = _steps(parts[None])
    for factor, p in parts.items():
        if factor is not None:
            terms += _times(_steps(p), str(factor))
    terms += [(w, f"δ{_primes(k)}({shifted('x', a)})") for (a, k), w in spots.items()]
    p, text = parts[None], joined(terms)
    if np.all(p.finite):
        return text
    return f"{text} on {union(p.where(p.finite, p.finite[:-1] & p.finite[1:]))}"


def _primes(k: int) -> str:
    return "'" * k if k < 4 else f"^({k})"


def _times(terms: list[tuple[float, str]], factor: str) -> list[tuple[float, str]]:
    if len(terms) > 1:
        return [(1.0, f"({joined(terms)})·{factor}")]
    return [(w, f"{what}·{factor}" if what else factor) for w, what in terms]


def _steps(p: Pieces) -> list[tuple[float, str]]:
    """The first polynomial, then what is added at every point, in powers of x - a."""
    rows = np.flatnonzero(p.finite)
    first = expanded(p)[rows[:1]].ravel()
    terms = [(float(w), power("x", j)) for j, w in enumerate(first) if w][::-1]
    # Behind a gap the last polynomial before it still counts.
    before, here = rows[:-1], rows[1:]
    at = p.points[here - 1]
    c = p.coefficients
    old = shift(c[before], at - p.anchors[before])
    rises = shift(c[here], at - p.anchors[here]) - old
    joins = (here == before + 1) & p.joined[here - 1]
    rises[:, 0] = np.where(joins, 0.0, rises[:, 0])
    for a, rise in zip(at.tolist(), rises.tolist(), strict=True):
        base = shifted("x", a)
        step = f"H({base})"
        for j, w in enumerate(rise):
            what = power(f"({base})" if a else base, j)
            if w:
                terms.append((w, f"{what}·{step}" if j else step))
    return terms
