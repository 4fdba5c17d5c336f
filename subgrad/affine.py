"""Affine maps x -> A x + b, built as one writes them, without copying a matrix."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from subgrad._batch import Batched
from subgrad._check import Array, real, vector

# Linear operators: `forward` and `adjoint` act on last axes and trust their arrays.


class Operator(Batched):
    """A linear map R^cols -> R^rows."""

    rows: int
    cols: int
    scalar: float | None = None  # the factor, when the map is a multiple of identity
    tight: float | None = None  # c, when A Aᵀ = c I

    def forward(self, x: Array) -> Array:
        raise NotImplementedError

    def adjoint(self, y: Array) -> Array:
        raise NotImplementedError

    @property
    def T(self) -> Operator:
        return Transposed(self)

    def to_cvxpy(self, x: Any) -> Any:
        """The map of a cvxpy expression."""
        return self.dense() @ x

    def dense(self) -> Array:
        """The matrix, shape (rows, cols), of a single map."""
        if self.rows < self.cols:
            return self.adjoint(np.eye(self.rows))
        return np.ascontiguousarray(self.forward(np.eye(self.cols)).T)


class Transposed(Operator):
    _parts = ("op",)

    def __init__(self, op: Operator) -> None:
        self.op, self.rows, self.cols, self.scalar = op, op.cols, op.rows, op.scalar

    def forward(self, x: Array) -> Array:
        return self.op.adjoint(x)

    def adjoint(self, y: Array) -> Array:
        return self.op.forward(y)

    @property
    def T(self) -> Operator:
        return self.op


class Diagonal(Operator):
    """x -> w x, w one number or a vector (with batch axes)."""

    _arrays: ClassVar = {"w": 1}

    def __init__(self, w: Array, n: int) -> None:
        self.w = w.reshape(1) if w.ndim == 0 else w
        self.rows = self.cols = n
        self.scalar = float(self.w[0]) if self.w.shape == (1,) else None
        self.tight = self.scalar**2 if self.scalar is not None else None

    def forward(self, x: Array) -> Array:
        return x if self.scalar == 1.0 else self.w * x

    def to_cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        return x if self.scalar == 1.0 else cp.multiply(self.w, x)

    adjoint = forward

    @property
    def T(self) -> Operator:
        return self


def identity(n: int) -> Diagonal:
    return Diagonal(np.ones(1), n)


class Matrix(Operator):
    """A dense matrix, shape (..., m, n), the leading axes batch."""

    _arrays: ClassVar = {"A": 2}

    def __init__(self, A: Array) -> None:
        self.A = A
        self.rows, self.cols = A.shape[-2:]

    def forward(self, x: Array) -> Array:
        if self.A.ndim > 2:
            return np.matvec(self.A, x)
        return self.A @ x if x.ndim == 1 else x @ self.A.T

    def adjoint(self, y: Array) -> Array:
        return y @ self.A if self.A.ndim == 2 else np.vecmat(y, self.A)


class Sparse(Operator):
    """A scipy.sparse array or a LinearOperator: anything with A @ X and A.T @ Y."""

    def __init__(self, A: Any) -> None:
        self.A, self.rows, self.cols = A, *A.shape

    def _key(self) -> tuple[Any, ...]:
        return (id(self.A),)

    def to_cvxpy(self, x: Any) -> Any:
        return (self.A if hasattr(self.A, "toarray") else self.dense()) @ x

    @staticmethod
    def _apply(A: Any, x: Array) -> Array:
        if x.ndim == 1:
            return np.asarray(A @ x)
        out = np.asarray(A @ x.reshape(-1, x.shape[-1]).T)
        return out.T.reshape(*x.shape[:-1], A.shape[0])

    def forward(self, x: Array) -> Array:
        return self._apply(self.A, x)

    def adjoint(self, y: Array) -> Array:
        return self._apply(self.A.T, y)


class Pick(Operator):
    """x -> x[index], index an array of positions or a slice."""

    def __init__(self, index: Any, rows: int, cols: int) -> None:
        self.index, self.rows, self.cols = index, rows, cols
        chosen = np.arange(cols)[index]
        self.tight = 1.0 if len(np.unique(chosen)) == rows else None

    def to_cvxpy(self, x: Any) -> Any:
        return x[self.index]

    def _key(self) -> tuple[Any, ...]:
        return (np.arange(self.cols)[self.index].tobytes(), self.cols)

    def forward(self, x: Array) -> Array:
        return x[..., self.index]

    def adjoint(self, y: Array) -> Array:
        x = np.zeros((*y.shape[:-1], self.cols), y.dtype)
        if isinstance(self.index, slice):
            x[..., self.index] = y
        else:
            np.add.at(x, (..., self.index), y)
        return x


class Left(Operator):
    """vec(X) -> vec(L X R) for X of shape (p, q); L or R None means the identity."""

    def __init__(self, L: Any, R: Any, p: int, q: int) -> None:
        self.L, self.R, self.shape = L, R, (p, q)
        self.out = (p if L is None else L.shape[0], q if R is None else R.shape[1])
        self.rows, self.cols = math.prod(self.out), p * q

    def _key(self) -> tuple[Any, ...]:
        return (id(self.L), id(self.R), self.shape)

    @staticmethod
    def _apply(L: Any, R: Any, x: Array, shape: tuple[int, int], size: int) -> Array:
        X = x.reshape(*x.shape[:-1], *shape)
        X = X if L is None else L @ X
        X = X if R is None else X @ R
        return X.reshape(*x.shape[:-1], size)

    def forward(self, x: Array) -> Array:
        return self._apply(self.L, self.R, x, self.shape, self.rows)

    def adjoint(self, y: Array) -> Array:
        L = None if self.L is None else self.L.T
        R = None if self.R is None else self.R.T
        return self._apply(L, R, y, self.out, self.cols)


class Chain(Operator):
    """x -> outer(inner(x))."""

    _parts = ("outer", "inner")

    def __init__(self, outer: Operator, inner: Operator) -> None:
        self.outer, self.inner = outer, inner
        self.rows, self.cols = outer.rows, inner.cols
        if outer.tight and inner.tight:
            self.tight = outer.tight * inner.tight

    def to_cvxpy(self, x: Any) -> Any:
        return self.outer.to_cvxpy(self.inner.to_cvxpy(x))

    def forward(self, x: Array) -> Array:
        return self.outer.forward(self.inner.forward(x))

    def adjoint(self, y: Array) -> Array:
        return self.inner.adjoint(self.outer.adjoint(y))


class Total(Operator):
    """x -> sum of op(x)."""

    _parts = ("ops",)

    def __init__(self, ops: tuple[Operator, ...]) -> None:
        self.ops, self.rows, self.cols = ops, ops[0].rows, ops[0].cols

    def to_cvxpy(self, x: Any) -> Any:
        return sum(op.to_cvxpy(x) for op in self.ops)

    def forward(self, x: Array) -> Array:
        return sum((op.forward(x) for op in self.ops[1:]), self.ops[0].forward(x))

    def adjoint(self, y: Array) -> Array:
        return sum((op.adjoint(y) for op in self.ops[1:]), self.ops[0].adjoint(y))


class Stack(Operator):
    """x -> (op_1(x), op_2(x), ...), one below the other."""

    _parts = ("ops",)

    def __init__(self, ops: tuple[Operator, ...]) -> None:
        self.ops, self.cols = ops, ops[0].cols
        self.cuts = np.cumsum([op.rows for op in ops])
        self.rows = int(self.cuts[-1])

    def to_cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        return cp.hstack([op.to_cvxpy(x) for op in self.ops])

    def forward(self, x: Array) -> Array:
        parts = [op.forward(x) for op in self.ops]
        lead = np.broadcast_shapes(*(p.shape[:-1] for p in parts))
        parts = [np.broadcast_to(p, (*lead, p.shape[-1])) for p in parts]
        return np.concatenate(parts, axis=-1)

    def adjoint(self, y: Array) -> Array:
        parts = np.split(y, self.cuts[:-1], axis=-1)
        back = [op.adjoint(p) for op, p in zip(self.ops, parts, strict=True)]
        return sum(back[1:], back[0])


def chain(outer: Operator, inner: Operator) -> Operator:
    if outer.scalar == 1.0:
        return inner
    if inner.scalar == 1.0:
        return outer
    if isinstance(outer, Diagonal) and isinstance(inner, Diagonal):
        return Diagonal(outer.w * inner.w, inner.cols)
    return Chain(outer, inner)


def _matrix(A: Any) -> Operator | None:
    """The operator of a matrix, sparse array or LinearOperator; None of a number."""
    if hasattr(A, "toarray") or hasattr(A, "matvec"):
        if hasattr(A, "data") and isinstance(A.data, np.ndarray):
            real("A", A.data)
        return Sparse(A)
    A = real("A", A)
    if A.ndim == 1:
        A = A[None]
    return Matrix(A) if A.ndim >= 2 else None


def operator(A: Any, n: int, name: str = "A") -> Operator:
    """A as a linear map on R^n, or a ValueError."""
    op = A if isinstance(A, Operator) else _matrix(A)
    if op is None:
        raise ValueError(f"{name} must be a matrix, got a number: write {name} * x")
    if op.rows == 0 or op.cols == 0:
        raise ValueError(f"{name} must not be empty, got {op.rows} x {op.cols}")
    if op.cols != n:
        raise ValueError(f"{name} must have {n} columns, got {op.rows} x {op.cols}")
    return op


# The maps a user writes.


class Variable:
    """Identity of one stacked vector of variables; two of them never mix."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __repr__(self) -> str:
        return f"variable of size {self.size}"


class AffineMap:
    """x -> A x + b on the vector of one variable, with values of some `shape`.

    Built from `variable`, by `A @ x`, `x + b`, `x - y`, `w * x`, `x[3:]`. A is a numpy
    array (leading axes are batch), a scipy.sparse array, or `linear(L)` of a
    LinearOperator. A matrix variable is its vector in row order.
    """

    __array_ufunc__ = None
    __hash__ = object.__hash__

    def __init__(
        self, variable: Variable, op: Operator, b: Any, shape: tuple[int, ...]
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
        """An array against the value, flattened to (..., rows) or (1,)."""
        a = real(name, a)
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
        return a.reshape(*a.shape[:-k], self.rows)

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
        if len(self.shape) == 1:
            op = operator(A, self.rows)
            shape: tuple[int, ...] = (op.rows,)
        else:
            A = _two_axes("A", A, -1, self.shape[0])
            op = Left(A, None, *self.shape)
            shape = op.out
        b = None if self.b is None else op.forward(self._full())
        return self._with(chain(op, self.op), b, shape)

    def __matmul__(self, B: Any) -> AffineMap:
        """X @ B for a matrix map."""
        if len(self.shape) == 1:
            b = real("B", B)
            if b.ndim != 1:
                raise ValueError(f"x @ B needs a vector B, got shape {b.shape}")
            return self.__rmatmul__(b)
        op = Left(None, _two_axes("B", B, 0, self.shape[1]), *self.shape)
        b = None if self.b is None else op.forward(self._full())
        return self._with(chain(op, self.op), b, op.out)

    def _full(self) -> Array:
        """The shift b, written out to all rows."""
        b = np.zeros(1) if self.b is None else self.b
        return np.broadcast_to(b, (*b.shape[:-1], self.rows))

    @property
    def T(self) -> AffineMap:
        """The transpose of a matrix map."""
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


def _two_axes(name: str, A: Any, axis: int, size: int) -> Any:
    A = A if hasattr(A, "toarray") else real(name, A)
    A = A[None] if A.ndim == 1 and axis == -1 else A
    if A.ndim != 2 or A.shape[axis] != size:
        raise ValueError(f"{name} must be a matrix with {size} there, got {A.shape}")
    return A


def same(a: Variable | None, b: Variable | None) -> Variable | None:
    """The common variable of two expressions; a ValueError if there are two."""
    if a is not None and b is not None and a is not b:
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
    if len(shape) > 2:
        raise ValueError(f"a variable is a vector or a matrix, got shape {shape}")
    return tuple(int(k) for k in shape)


def variable(shape: int | tuple[int, ...] = 1) -> AffineMap:
    """The identity map on a new variable: n for a vector, (m, n) for a matrix."""
    (one,) = variables(shape)
    return one


def variables(*shapes: int | tuple[int, ...]) -> tuple[AffineMap, ...]:
    """Blocks of one stacked vector, as maps of it: `u, v = variables(n, m)`."""
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
    var = maps[0].variable
    for m in maps[1:]:
        same(var, m.variable)
    shifts = [m._full() for m in maps]
    lead = np.broadcast_shapes(*(s.shape[:-1] for s in shifts))
    b = np.concatenate([np.broadcast_to(s, (*lead, s.shape[-1])) for s in shifts], -1)
    op = Stack(tuple(m.op for m in maps))
    return AffineMap(var, op, b, (op.rows,))


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
        return x.__rmatmul__(self.L)
