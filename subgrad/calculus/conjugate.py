r"""Conjugates, and the subdifferential as a relation that they invert.

.. math:: f^*(g) = \sup_x \langle g, x \rangle - f(x), \qquad
   x \in \partial f^*(g) \iff g \in \partial f(x)
   \iff f(x) + f^*(g) = \langle g, x \rangle

Each class knows its own: `Support` and `Indicator` are each other's, a f has
a f*(g / a), f(w x + b) has f*(g / w) - <g / w, b>, f + <c, .> + q/2 |.|² has the Moreau
envelope of f* of parameter q at g - c, a block sum the block sum, the envelope f_t has
f* + t/2 |.|². Rockafellar, Convex Analysis, 16 and 23.5.
"""

from __future__ import annotations

from typing import Any

from subgrad.core import Function


def conjugate(f: Function) -> Function:
    """f*, a Function. NotImplementedError, by name, where no closed form is known."""
    return f.conjugate()


def fenchel_young(f: Function, x: Any, g: Any) -> Any:
    """f(x) + f*(g) - <g, x> >= 0, and 0 just where g is a subgradient of f at x."""
    import numpy as np

    star = f.conjugate()
    return f.value(x) + star.value(g) - np.vecdot(np.asarray(g), np.asarray(x))
