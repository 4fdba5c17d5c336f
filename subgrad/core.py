"""The two protocols: Set, a closed convex subset of R^n, and Function, closed convex.

Public methods check what comes in, once, and say what is wrong with it; the methods
with a leading underscore trust their arrays, and are what a subclass writes.
"""

from subgrad._function import Function, a_function
from subgrad._set import Mask, Set, _nearest, a_set, norm, unit

__all__ = [
    "Function",
    "Mask",
    "Set",
    "_nearest",
    "a_function",
    "a_set",
    "norm",
    "unit",
]
