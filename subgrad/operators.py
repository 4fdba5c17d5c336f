"""Linear operators: matrices, sparse arrays, and what is built from them."""

from __future__ import annotations

import math
from functools import reduce
from typing import Any, ClassVar

import numpy as np

from subgrad._batch import Batched
from subgrad._check import Array, real

LARGE = 2**16  # entries from where on columns at zeros are worth being left out


def unbounded(e: Any) -> Any:
    """The same cvxpy expression, without what cvxpy derives as its bounds.

    Where an entry of a matrix is 0 and the variable is not bounded, the bounds of
    cvxpy 1.9 are nan, a later product makes 0 of them, and solvers that take bounds
    return a wrong optimum. Of a stack no bounds are derived.
    """
    import cvxpy as cp

    stacked = cp.hstack([e])
    return stacked if e.shape else cp.reshape(stacked, (), order="C")


class Operator(Batched):
    """A linear map R^cols -> R^rows.

    `forward` and `adjoint` act on last axes and trust their arrays.
    """

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
        return unbounded(self.dense() @ x)

    def dense(self) -> Array:
        """The matrix, shape (rows, cols), of a single map."""
        if self.rows < self.cols:
            return self.adjoint(np.eye(self.rows))
        return np.ascontiguousarray(self.forward(np.eye(self.cols)).T)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.rows} x {self.cols})"


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

    def adjoint(self, y: Array) -> Array:
        return self.forward(y)

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
        if x.ndim == 1 and self.A.size >= LARGE:
            some = np.flatnonzero(x)
            if len(some) < len(x) / 10:
                return self.A[:, some] @ x[some]
        return self.A @ x if x.ndim == 1 else x @ self.A.T

    def adjoint(self, y: Array) -> Array:
        return y @ self.A if self.A.ndim == 2 else np.vecmat(y, self.A)


def _product(A: Any, X: Array) -> Array:
    """A X, the leading axes of X batch; a sparse A meets them as columns."""
    if isinstance(A, np.ndarray):
        return A @ X
    columns = np.moveaxis(X, -2, 0)
    if not X.size:  # A LinearOperator cannot stack no columns.
        out = np.zeros((A.shape[0], 0), np.result_type(A.dtype, X))
    else:
        out = np.asarray(A @ columns.reshape(A.shape[1], -1))
    return np.moveaxis(out.reshape(A.shape[0], *columns.shape[1:]), 0, -2)


def _content(A: Any) -> Any:
    """What equal matrices share; LinearOperators are equal only to themselves."""
    if isinstance(A, np.ndarray):
        return A.shape, A.tobytes()
    if not hasattr(A, "toarray"):
        return None if A is None else id(A)
    rows = A.tocsr(copy=True)
    rows.sum_duplicates()
    arrays = (rows.indptr, rows.indices, rows.data)
    return A.shape, *(a.tobytes() for a in arrays)


class Sparse(Operator):
    """A scipy.sparse array or a LinearOperator: anything with A @ X and A.T @ Y."""

    def __init__(self, A: Any) -> None:
        self.A: Any = A
        self.rows, self.cols = A.shape

    def _key(self) -> tuple[Any, ...]:
        return (_content(self.A),)

    def to_cvxpy(self, x: Any) -> Any:
        return unbounded((self.A if hasattr(self.A, "toarray") else self.dense()) @ x)

    @staticmethod
    def _apply(A: Any, x: Array) -> Array:
        return np.asarray(A @ x) if x.ndim == 1 else _product(A, x[..., None])[..., 0]

    def forward(self, x: Array) -> Array:
        return self._apply(self.A, x)

    def adjoint(self, y: Array) -> Array:
        try:
            return self._apply(self.A.T, y)
        except NotImplementedError as error:
            raise NotImplementedError(
                "the LinearOperator has no adjoint: give it rmatvec"
            ) from error


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
            entries: Any = (..., self.index)
            np.add.at(x, entries, y)
        return x


class Left(Operator):
    """vec(X) -> vec(L X R) for X of shape (p, q); L or R None means the identity."""

    def __init__(self, L: Any, R: Any, p: int, q: int) -> None:
        self.L, self.R, self.shape = L, R, (p, q)
        self.out = (p if L is None else L.shape[0], q if R is None else R.shape[1])
        self.rows, self.cols = math.prod(self.out), p * q

    def _key(self) -> tuple[Any, ...]:
        return (_content(self.L), _content(self.R), self.shape)

    def to_cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        X = cp.reshape(x, self.shape, order="C")
        X = X if self.L is None else self.L @ X
        X = X if self.R is None else X @ self.R
        return unbounded(cp.vec(X, order="C"))

    @staticmethod
    def _apply(L: Any, R: Any, x: Array, shape: tuple[int, int], size: int) -> Array:
        X = x.reshape(*x.shape[:-1], *shape)
        X = X if L is None else _product(L, X)
        X = X if R is None else _product(R.T, X.mT).mT
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
        return reduce(np.add, (op.forward(x) for op in self.ops))

    def adjoint(self, y: Array) -> Array:
        return reduce(np.add, (op.adjoint(y) for op in self.ops))


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
        lead = np.broadcast_shapes(self.batch, x.shape[:-1])
        z = np.empty((*lead, self.rows), x.dtype)
        # One part at a time beside the whole.
        for op, end in zip(self.ops, self.cuts, strict=True):
            part = op.forward(x)
            if part.dtype != z.dtype:
                z = z.astype(np.result_type(z, part))
            z[..., end - op.rows : end] = part
            del part
        return z

    def adjoint(self, y: Array) -> Array:
        parts = np.split(y, self.cuts[:-1], axis=-1)
        each = zip(self.ops, parts, strict=True)
        return reduce(np.add, (op.adjoint(p) for op, p in each))


def chain(outer: Operator, inner: Operator) -> Operator:
    if outer.scalar == 1.0:
        return inner
    if inner.scalar == 1.0:
        return outer
    if isinstance(outer, Diagonal) and isinstance(inner, Diagonal):
        return Diagonal(outer.w * inner.w, inner.cols)
    return Chain(outer, inner)


def checked(name: str, A: Any) -> Any:
    """A as a float array or as a sparse one that can multiply, both finite."""
    if not hasattr(A, "toarray"):
        return real(name, A)
    if A.ndim != 2:
        raise ValueError(f"{name} must be a matrix, got a sparse array of {A.shape}")
    A = A.tocsr() if A.format in ("lil", "dok") else A
    real(name, A.data)
    return A


def _matrix(name: str, A: Any) -> Operator | None:
    """The operator of a matrix, sparse array or LinearOperator; None of a number."""
    if hasattr(A, "matvec"):
        from scipy.sparse.linalg import aslinearoperator

        A = aslinearoperator(A)
        real(name, np.zeros(0, A.dtype))
        return Sparse(A)
    A = checked(name, A)
    if hasattr(A, "toarray"):
        return Sparse(A)
    if A.ndim == 1:
        A = np.array(A[None])
    return Matrix(A) if A.ndim >= 2 else None


def operator(A: Any, n: int, name: str = "A") -> Operator:
    """A as a linear map on R^n, or a ValueError."""
    op = A if isinstance(A, Operator) else _matrix(name, A)
    if op is None:
        raise ValueError(f"{name} must be a matrix, got a number: write {name} * x")
    if op.rows == 0 or op.cols == 0:
        raise ValueError(f"{name} must not be empty, got {op.rows} x {op.cols}")
    if op.cols != n:
        raise ValueError(f"{name} must have {n} columns, got {op.rows} x {op.cols}")
    return op
