"""Affine maps x -> A x + b, built as one writes them, without copying a matrix."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import numpy as np

from subgrad._check import Array, real, vector
from subgrad.operators import (
    Diagonal,
    Left,
    Matrix,
    Operator,
    Pick,
    Sparse,
    Stack,
    Total,
    Transposed,
    chain,
    checked,
    identity,
    operator,
)

__all__ = [
    "AffineMap",
    "Diagonal",
    "Left",
    "Matrix",
    "Operator",
    "Pick",
    "Sparse",
    "Stack",
    "Total",
    "Transposed",
    "Variable",
    "chain",
    "identity",
    "linear",
    "multiple",
    "operator",
    "same",
    "variable",
    "variables",
    "vstack",
]


@dataclass(frozen=True)
class Variable:
    """Identity of one stacked vector of variables, kept by copies and pickles."""

    size: int
    id: int = field(default_factory=lambda: uuid4().int)

    def __repr__(self) -> str:
        return f"variable of size {self.size}"


class AffineMap:
    """x -> A x + b on the vector of one variable, with values of some `shape`.

    Built from `variable`, by `A @ x`, `x + b`, `x - y`, `w * x`, `x[3:]`. A is a numpy
    array (leading axes are batch), a scipy.sparse array, or `linear(L)` of a
    LinearOperator. A matrix or a longer array is its vector in row order.
    """

    __array_ufunc__ = None

    def __init__(
        self, variable: Variable | None, op: Operator, b: Any, shape: tuple[int, ...]
    ) -> None:
        self.variable, self.op, self.b, self.shape = variable, op, b, shape

    @property
    def rows(self) -> int:
        """The number of components of the value."""
        return self.op.rows

    @property
    def cols(self) -> int:
        """The size of the variable."""
        return self.op.cols

    @property
    def batch(self) -> tuple[int, ...]:
        """Leading shape of A and b, () for a single map."""
        own = () if self.b is None else self.b.shape[:-1]
        return np.broadcast_shapes(self.op.batch, own)

    def _forward(self, x: Array) -> Array:
        y = self.op.forward(x)
        return y if self.b is None else y + self.b

    def __call__(self, x: Any) -> Array:
        """The value at x: (..., cols) -> (..., rows)."""
        return self._forward(vector("x", x, self.cols))

    def adjoint(self, y: Any) -> Array:
        """Aᵀ y: (..., rows) -> (..., cols)."""
        return self.op.adjoint(vector("y", y, self.rows))

    def _with(self, op: Operator, b: Any, shape: tuple[int, ...]) -> AffineMap:
        return AffineMap(self.variable, op, b, shape)

    def _flat(self, name: str, a: Any) -> Array:
        """A copy of an array against the value, flattened to (..., rows) or (1,)."""
        a = np.array(real(name, a))
        if a.ndim == 0:
            return a.reshape(1)
        k = len(self.shape)
        if a.shape[-k:] != self.shape:
            if a.ndim <= k:
                try:
                    return np.broadcast_to(a, self.shape).reshape(-1)
                except ValueError:
                    pass
            raise ValueError(
                f"{name} must end in the shape {self.shape} of the map, got {a.shape}"
            )
        self._beside(name, a.shape[:-k])
        return a.reshape(*a.shape[:-k], self.rows)

    def _beside(self, name: str, batch: tuple[int, ...]) -> None:
        try:
            np.broadcast_shapes(self.batch, batch)
        except ValueError:
            raise ValueError(
                f"{name} has batch shape {batch}, which does not broadcast with the "
                f"batch shape {self.batch} of the map"
            ) from None

    def __add__(self, other: Any) -> Any:
        from subgrad.core import Function, Set

        if isinstance(other, Function | Set):
            return NotImplemented
        if isinstance(other, AffineMap):
            same(self.variable, other.variable)
            if self.shape != other.shape:
                raise ValueError(
                    f"cannot add maps of shapes {self.shape}, {other.shape}"
                )
            self._beside("the second map", other.batch)
            shifts = [b for b in (self.b, other.b) if b is not None]
            ops = [
                part
                for op in (self.op, other.op)
                for part in (op.ops if isinstance(op, Total) else (op,))
            ]
            b = sum(shifts[1:], shifts[0]) if shifts else None
            return self._with(Total(tuple(ops)), b, self.shape)
        c = self._flat("term", other)
        return self._with(self.op, c if self.b is None else self.b + c, self.shape)

    __radd__ = __add__

    def __neg__(self) -> AffineMap:
        return self * -1.0

    def __sub__(self, other: Any) -> Any:
        from subgrad.core import Function

        if isinstance(other, Function):
            return NotImplemented
        return self + (-other if isinstance(other, AffineMap) else -real("term", other))

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __mul__(self, w: Any) -> AffineMap:
        from subgrad.core import Function

        if isinstance(w, Function | AffineMap):
            raise ValueError("a product of two expressions in x is not affine")
        w = self._flat("factor", w)
        op = chain(Diagonal(w, self.rows), self.op)
        return self._with(op, None if self.b is None else w * self.b, self.shape)

    __rmul__ = __mul__

    def __truediv__(self, w: Any) -> AffineMap:
        w = real("divisor", w)
        if np.any(w == 0):
            raise ValueError("divisor must not be 0")
        return self * (1.0 / w)

    def __rmatmul__(self, A: Any) -> AffineMap:
        """A @ X for this map on the right; a vector A makes one row."""
        shape: tuple[int, ...]
        if len(self.shape) == 1:
            op = operator(A, self.rows)
            self._beside("A", op.batch)
            shape = (op.rows,)
        else:
            A, one = _two_axes("A", A, -1, self.shape)
            op = Left(A, None, *self.shape)
            shape = op.out[1:] if one else op.out
        b = None if self.b is None else op.forward(self._full())
        return self._with(chain(op, self.op), b, shape)

    def __matmul__(self, B: Any) -> AffineMap:
        """X @ B for a matrix map; a vector B makes one column, or one row of x @ B."""
        from subgrad.core import Function

        if isinstance(B, Function | AffineMap):
            raise ValueError("a product of two expressions in x is not affine")
        if len(self.shape) == 1:
            B = real("B", B)
            if B.ndim != 1:
                raise ValueError(f"x @ B needs a vector B, got shape {B.shape}")
            return self.__rmatmul__(B)
        B, one = _two_axes("B", B, 0, self.shape)
        op = Left(None, B, *self.shape)
        b = None if self.b is None else op.forward(self._full())
        return self._with(chain(op, self.op), b, op.out[:1] if one else op.out)

    def _full(self) -> Array:
        """The shift b, written out to all rows."""
        b = np.zeros(1) if self.b is None else self.b
        return np.broadcast_to(b, (*b.shape[:-1], self.rows))

    @property
    def T(self) -> AffineMap:
        """The transpose of a matrix map, of more axes their reversal."""
        order = np.arange(self.rows).reshape(self.shape).T
        return self._select(order.ravel(), order.shape)

    def _select(self, index: Any, shape: tuple[int, ...]) -> AffineMap:
        rows = len(range(self.rows)[index]) if isinstance(index, slice) else len(index)
        if rows == 0:
            raise IndexError(f"the index picks nothing of a map of shape {self.shape}")
        b = self.b
        if b is not None and b.shape[-1] != 1:
            b = b[..., index]
        op = chain(Pick(index, rows, self.rows), self.op)
        return self._with(op, b, shape)

    def __getitem__(self, key: Any) -> AffineMap:
        if isinstance(key, slice) and len(self.shape) == 1:
            return self._select(key, (len(range(self.rows)[key]),))
        chosen = np.arange(self.rows).reshape(self.shape)[key]
        return self._select(np.atleast_1d(chosen).ravel(), np.atleast_1d(chosen).shape)

    # Indexing alone would make Python iterate by 0, 1, 2, ... and never say why.
    __iter__ = None

    def _compose_univariate(self, phi: Any) -> Any:
        if self.rows != 1:
            raise ValueError(
                f"a function of one variable takes one row, got {self.rows}; "
                "separable(phi) sums it over coordinates"
            )
        from subgrad.functions.separable import Separable

        return Separable(phi)(self)

    def __repr__(self) -> str:
        return f"AffineMap({self.cols} -> {self.shape})"


def _two_axes(name: str, A: Any, axis: int, shape: tuple[int, ...]) -> tuple[Any, bool]:
    """A matrix to meet a matrix map at `axis`, and whether it came as a vector."""
    A, size = checked(name, A), shape[1 + axis]
    came, one = A.shape, A.ndim == 1
    if len(shape) > 2:
        raise ValueError(
            f"a product with {name} needs a map with one or two axes, got one of "
            f"shape {shape}"
        )
    if one:
        A = np.array(np.expand_dims(A, -1 - axis))
    if A.ndim != 2 or A.shape[axis] != size or 0 in A.shape:
        side = "columns" if axis else "rows"
        raise ValueError(
            f"{name} must be a matrix with {size} {side} beside a map of shape "
            f"{shape}, got {came}"
        )
    return A, one


def same(a: Variable | None, b: Variable | None) -> Variable | None:
    """The common variable of two expressions; a ValueError if there are two."""
    if a is not None and b is not None and a != b:
        raise ValueError(
            "the expressions are in two unrelated variables; make both at once: "
            "u, v = variables(n, m)"
        )
    return b if a is None else a


def _size(shape: Any) -> tuple[int, ...]:
    shape = shape if isinstance(shape, tuple) else (shape,)
    if not shape or not all(isinstance(k, int | np.integer) and k > 0 for k in shape):
        raise ValueError(
            f"shape must be a positive int or a tuple of them, got {shape}"
        )
    return tuple(int(k) for k in shape)


def variable(shape: int | tuple[int, ...] = 1) -> AffineMap:
    """The identity map on a new variable: n for a vector, (m, n) for a matrix.

    A longer shape is an array with as many axes.
    """
    (one,) = variables(shape)
    return one


def variables(*shapes: int | tuple[int, ...]) -> tuple[AffineMap, ...]:
    """Blocks of one stacked vector, as maps of it: `u, v = variables(n, m)`."""
    if not shapes:
        raise ValueError("variables() needs at least one shape")
    dims = [_size(s) for s in shapes]
    ends = np.cumsum([math.prod(d) for d in dims])
    total = int(ends[-1])
    var, whole = Variable(total), identity(total)
    blocks = []
    for d, end in zip(dims, ends, strict=True):
        k = math.prod(d)
        op = whole if k == total else Pick(slice(int(end) - k, int(end)), k, total)
        blocks.append(AffineMap(var, op, None, d))
    return tuple(blocks)


def vstack(*maps: AffineMap) -> AffineMap:
    """Maps of one variable, one below the other, as one vector."""
    if not maps:
        raise ValueError("vstack needs at least one map")
    for m in maps:
        _a_map("vstack", m)
    var, b = maps[0].variable, None
    for m in maps[1:]:
        var = same(var, m.variable)
    try:
        np.broadcast_shapes(*(m.batch for m in maps))
    except ValueError:
        shapes = ", ".join(str(m.batch) for m in maps)
        raise ValueError(f"vstack of maps with batch shapes {shapes}") from None
    if any(m.b is not None for m in maps):
        shifts = [m._full() for m in maps]
        lead = np.broadcast_shapes(*(s.shape[:-1] for s in shifts))
        shifts = [np.broadcast_to(s, (*lead, s.shape[-1])) for s in shifts]
        b = np.concatenate(shifts, axis=-1)
    op = Stack(tuple(m.op for m in maps))
    return AffineMap(var, op, b, (op.rows,))


def _a_map(what: str, x: Any) -> None:
    if not isinstance(x, AffineMap):
        raise TypeError(f"{what} takes an AffineMap, got {type(x).__name__}")


def multiple(a: Array, n: int | None) -> AffineMap:
    """x -> a x, of vectors of any size where n is None."""
    return AffineMap(None, Diagonal(a[..., None], n or 0), None, (n or 0,))


class linear:
    """A scipy LinearOperator made ready for `linear(L) @ x`."""

    __array_ufunc__ = None

    def __init__(self, L: Any) -> None:
        if not hasattr(L, "matvec"):
            raise TypeError(f"linear() takes a LinearOperator, got {type(L).__name__}")
        self.L = L

    def __matmul__(self, x: AffineMap) -> AffineMap:
        _a_map("linear(L) @ x", x)
        if len(x.shape) > 1:
            raise ValueError(
                f"linear(L) @ x takes a vector, got a matrix map of shape {x.shape}"
            )
        return x.__rmatmul__(self.L)

    def __repr__(self) -> str:
        return f"linear({self.L!r})"
