r"""Conjugates, and the subdifferential as a relation that they invert.

.. math:: f^*(g) = \sup_x \langle g, x \rangle - f(x), \qquad
   x \in \partial f^*(g) \iff g \in \partial f(x)
   \iff f(x) + f^*(g) = \langle g, x \rangle

Each class knows its own: `Support` and `Indicator` are each other's, a f has
a f*(g / a), f(w x + b) has f*(g / w) - <g / w, b>, f + <c, .> + q/2 |.|² has the Moreau
envelope of f* of parameter q at g - c, a block sum the block sum, the envelope f_t has
f* + t/2 |.|², h_S(A x) the indicator of Aᵀ S, a maximum of affine functions the convex
interpolation of data, a perspective the indicator of a hypograph. Rockafellar, Convex
Analysis, 16 and 23.5.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import vector
from subgrad.core import Function, a_function


def conjugate(f: Function) -> Function:
    """f*, a Function. NotImplementedError, by name, where no closed form is known."""
    return a_function("f", f).conjugate()


def fenchel_young(f: Function, x: Any, g: Any) -> Any:
    """f(x) + f*(g) - <g, x> >= 0, and 0 just where g is a subgradient of f at x."""
    star = conjugate(f)
    x = vector("x", x, f.n)
    g = vector("g", g, x.shape[-1])
    return f.value(x) + star.value(g) - np.vecdot(g, x)
