"""Atoms of matrices, images and arrays: the shape comes from the argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from subgrad._check import real
from subgrad._function import _same
from subgrad.affine import AffineMap
from subgrad.core import Function


class ShapedAtom:
    """An atom that takes its shape from what it is called on.

    `f(X)` of an affine map with the shape of a matrix (or an image) is a Function of
    the variable; `f(array)` is the value at one array of that shape. `f.at(shape)` is
    the Function of the vector in row order. It is make(shape, *args). axes: how many
    axes an argument must have, None for any number. large: what gives the value at a
    scipy.sparse matrix or a LinearOperator, which are not written out. name and doc are
    what `repr` and `help` show, those of `make` unless said.
    """

    __array_ufunc__ = None

    def __init__(
        self,
        make: Callable[..., Function],
        *args: Any,
        name: str | None = None,
        doc: str | None = None,
        axes: Any = 2,
        large: Callable[[Any], float] | None = None,
    ) -> None:
        self.make, self.args, self.axes, self.large = make, args, axes, large
        shown = "".join(f", {a!r}" for a in args)
        self.name = name or f"{make.__name__}(shape{shown})"
        self.__name__ = self.name.partition("(")[0]
        self.__doc__ = f"{doc or make.__doc__}\n\n" + (
            "Called on an affine map X it is a Function of the variable of X, on an "
            "array\nthe value there; `.at(shape)` is the Function of the vector in row "
            "order."
        )

    def at(self, shape: int | tuple[int, ...]) -> Function:
        """The function of a vector that stands for an array of this shape."""
        shape = (int(shape),) if isinstance(shape, int | np.integer) else shape
        if self.axes not in (None, len(shape)):
            raise ValueError(
                f"{self!r} takes an array with {self.axes} axes, got shape {shape}"
            )
        return self.make(shape, *self.args)

    def __call__(self, X: Any) -> Any:
        if isinstance(X, AffineMap):
            return self.at(X.shape)(X)
        if isinstance(X, Function):
            raise TypeError(f"{self!r} takes an affine map or an array")
        if hasattr(X, "toarray") or hasattr(X, "matvec"):
            if self.large is None:
                raise TypeError(f"{self!r} takes an array, got {type(X).__name__}")
            return self.large(X)
        X = real("X", X)
        return self.at(X.shape).value(np.ravel(X))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ShapedAtom):
            return NotImplemented
        mine = (self.make, self.args, self.axes)
        return _same(mine, (other.make, other.args, other.axes))

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return self.name


def no_argument(form: str, *parameters: Any) -> None:
    """A TypeError if f(x) was written for f()(x): `form` is f with its parameters."""
    for p in parameters:
        if isinstance(p, AffineMap | Function):
            raise TypeError(
                f"parameters come first, then what it is called on: write {form}(x); "
                f"got {type(p).__name__} for a parameter"
            )
