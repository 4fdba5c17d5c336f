"""Pencils of symmetric matrices, and images of spectraplexes under their adjoints."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from subgrad._check import Array, real
from subgrad._eigenpair import EPS, SMALL, dense, symmetric
from subgrad.core import Mask, Set, _nearest
from subgrad.interval import Interval
from subgrad.operators import _content


class Pencil:
    r"""y -> A_0 + sum_i y_i A_i, symmetric matrices of one size n, k of them.

    Arrays and sparse arrays are kept as the union of their patterns and a sparse
    matrix of coefficients B, so that both directions are one sparse product:

    .. math:: \text{entries of } \sum_i y_i A_i = B y, \qquad
       (\langle A_i, v w^T \rangle)_i = B^T (v_r w_c)

    LinearOperators are kept as they are (as arrays, where n is small).
    """

    def __init__(self, A0: Any, As: Any) -> None:
        A0 = symmetric("A0", A0)
        matrices = [symmetric(f"As[{i}]", A) for i, A in enumerate(As)]
        if not matrices:
            raise ValueError("As needs at least one matrix")
        self.size, self.k = A0.shape[0], len(matrices)
        for i, A in enumerate(matrices):
            if A.shape != A0.shape:
                raise ValueError(
                    f"As[{i}] must have the shape {A0.shape} of A0, got {A.shape}"
                )
        entries, self.ops = [], []
        for i, A in enumerate([A0, *matrices]):
            if not (isinstance(A, np.ndarray) or hasattr(A, "toarray")):
                if self.size > SMALL:
                    self.ops.append((i, A))
                    continue
                A = dense(A)
            entries.append((i, *_entries(A)))
        self._join(entries)

    @classmethod
    def diagonal(cls, A0: Any) -> Pencil:
        """y -> A_0 + Diag(y)."""
        new = cls.__new__(cls)
        A0 = symmetric("A0", A0)
        new.size = new.k = A0.shape[0]
        operator = not (isinstance(A0, np.ndarray) or hasattr(A0, "toarray"))
        if operator and new.size <= SMALL:
            A0, operator = dense(A0), False
        new.ops = [(0, A0)] if operator else []
        place = np.arange(new.size, dtype=np.int64)
        first = [] if operator else [(0, *_entries(A0))]
        new._join([*first, (place + 1, place * (new.size + 1), np.ones(new.size))])
        return new

    def _join(self, entries: list[Any]) -> None:
        from scipy.sparse import csr_array

        none = np.zeros(0, np.int64)
        which = [np.broadcast_to(i, at.shape) for i, at, _ in entries] + [none]
        places = np.concatenate([at for _, at, _ in entries] + [none])
        values = np.concatenate([a for _, _, a in entries] + [np.zeros(0)])
        found, row = np.unique(places, return_inverse=True)
        shape = (len(found), self.k + 1)
        B = csr_array((values, (row, np.concatenate(which))), shape=shape)
        self.rows, self.cols = np.divmod(found, self.size)
        self.indptr = np.searchsorted(self.rows, np.arange(self.size + 1))
        self.constant = B[:, [0]].toarray()[:, 0]
        self.B = csr_array(B[:, 1:])
        self.Bt = csr_array(self.B.T)

    def linear(self, y: Array, constant: bool = False) -> Any:
        """sum_i y_i A_i, with A_0 if `constant`: an array, where n is small.

        y (..., k), the array (..., n, n); else y (k,), a csr array or LinearOperator.
        """
        flat = np.asarray(self.B @ y.reshape(-1, self.k).T).T
        data = flat.reshape(*y.shape[:-1], -1) + (self.constant if constant else 0.0)
        if self.size <= SMALL:
            M = np.zeros((*y.shape[:-1], self.size, self.size))
            M[..., self.rows, self.cols] = data
            return M
        from scipy.sparse import csr_array
        from scipy.sparse.linalg import LinearOperator

        S = csr_array((data, self.cols, self.indptr), shape=(self.size, self.size))
        parts = [(1.0 if i == 0 else y[i - 1], A) for i, A in self.ops if i or constant]
        if not parts:
            return S

        def times(v: Array) -> Array:
            return sum((a * (A @ v) for a, A in parts), S @ v)

        return LinearOperator(S.shape, matvec=times, matmat=times, dtype=float)

    def adjoint(self, v: Array, w: Array) -> Array:
        """(<A_i, v wᵀ>)_i: (..., n) -> (..., k)."""
        outer = v[..., self.rows] * w[..., self.cols]
        flat = np.asarray(self.Bt @ outer.reshape(-1, len(self.rows)).T).T
        g = flat.reshape(*outer.shape[:-1], self.k)
        for i, A in self.ops:
            if i:
                Aw = (A @ w.reshape(-1, self.size).T).T.reshape(w.shape)
                g[..., i - 1] += np.vecdot(v, Aw)
        return g

    def compress(self, y: Array, V: Array) -> Array:
        """Vᵀ (sum_i y_i A_i) V: y (..., k) and V (..., n, q) give (..., q, q)."""
        if self.size <= SMALL:
            return V.mT @ self.linear(y) @ V
        lead = np.broadcast_shapes(y.shape[:-1], V.shape[:-2])
        y = np.broadcast_to(y, (*lead, self.k))
        V = np.broadcast_to(V, (*lead, *V.shape[-2:]))
        out = np.empty((*lead, V.shape[-1], V.shape[-1]))
        for i in np.ndindex(lead):
            out[i] = V[i].T @ np.asarray(self.linear(y[i]) @ V[i])
        return (out + out.mT) / 2

    def key(self) -> tuple[Any, ...]:
        ops = tuple((i, _content(A)) for i, A in self.ops)
        return (self.size, self.k, self.constant.tobytes(), _content(self.B), ops)

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Pencil) and self.key() == other.key()
        )

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"{self.k} matrices of size {self.size}"


def _entries(A: Any) -> tuple[Array, Array]:
    """Positions r n + c and values of what is not zero."""
    n = A.shape[0]
    if isinstance(A, np.ndarray):
        at = np.flatnonzero(A)
        return at.astype(np.int64), A.reshape(-1)[at]
    A = A.tocoo()
    return A.row.astype(np.int64) * n + A.col, A.data


class SpectraplexImage(Set):
    r"""The image of a spectraplex under the adjoint of a pencil, in R^k.

    .. math:: \{ (\langle A_i, V Z V^T \rangle)_i : Z \succeq 0, \ tr Z = 1 \}, \qquad
       h(d) = \lambda_{\max}(V^T (\sum_i d_i A_i) V)

    `SpectraplexImage([A_1, ..., A_k], V)`, V (..., n, q) with orthonormal columns (the
    identity unless said). Faces stay in the class: their V spans eigenvectors, of which
    those `active` (..., q) count.
    """

    _arrays: ClassVar = Set._arrays | {"V": 2, "active": 1}

    def __init__(self, As: Any, V: Any = None) -> None:
        As = list(As)
        n = As[0].shape[0] if As and np.ndim(As[0]) == 2 else 1
        pencil = Pencil(np.zeros((n, n)), As)
        V = np.eye(n) if V is None else real("V", V)
        if V.ndim < 2 or V.shape[-2] != n or not 0 < V.shape[-1] <= n:
            raise ValueError(
                f"V must have shape (..., {n}, q), q <= {n}, got {V.shape}"
            )
        if abs(V.mT @ V - np.eye(V.shape[-1])).max() > 1e-9:
            raise ValueError("V must have orthonormal columns")
        self._set(pencil, V, np.ones((*V.shape[:-2], V.shape[-1]), bool))

    def _set(self, pencil: Pencil, V: Array, active: Mask) -> SpectraplexImage:
        self.pencil, self.V, self.active, self.dim = pencil, V, active, pencil.k
        return self

    @classmethod
    def _raw(cls, pencil: Pencil, V: Array, active: Mask) -> SpectraplexImage:
        return SpectraplexImage.__new__(SpectraplexImage)._set(pencil, V, active)

    @property
    def q(self) -> int:
        return self.V.shape[-1]

    def _key(self) -> tuple[Any, ...]:
        return (self.pencil,)

    def _alive(self) -> Any:
        return np.any(self.active, axis=-1)

    def _spectrum(self, d: Array) -> tuple[Array, Array, Array]:
        """Rising eigenvalues and eigenvectors (in q coordinates), and the norm.

        What is not active gets eigenvalues below all others.
        """
        G = self.pencil.compress(d, self.V)
        off = ~(self.active[..., :, None] & self.active[..., None, :])
        G = np.where(off, 0.0, G)
        size = np.abs(G).sum(-1).max(-1)
        floor = -2 * np.where(size > 0, size, 1.0)
        low = np.where(self.active, 0.0, floor[..., None])
        w, Q = np.linalg.eigh(G + low[..., None] * np.eye(self.q))
        return np.where(w > 0.75 * floor[..., None], w, -np.inf), Q, size

    def _support(self, d: Array) -> Array:
        return self._spectrum(d)[0][..., -1]

    def _support_point(self, d: Array) -> Array:
        v = np.matvec(self.V, self._spectrum(d)[1][..., -1])
        return self.pencil.adjoint(v, v)

    def _face(self, d: Array, eps: Array) -> SpectraplexImage:
        w, Q, size = self._spectrum(d)
        return face(self.pencil, w, self.V @ Q, size, eps)

    def _costs(self, d: Array) -> Array:
        w = self._spectrum(d)[0]
        return (w[..., -1] - np.where(np.isinf(w), np.inf, w).min(-1))[..., None]

    def _one(self) -> Array:
        """The member of a set with one active vector."""
        v = np.vecmat(self.active.astype(float), self.V.mT)
        return self.pencil.adjoint(v, v)

    def _single(self) -> Any:
        return self.active.sum(-1) == 1

    def _project(self, y: Array) -> Array:
        if np.all(self._single()):
            s = self._one()
            return np.broadcast_to(s, np.broadcast_shapes(s.shape, y.shape))
        return self._each(y, lambda S, z: S._one() if S._single() else _nearest(S, z))

    def _box(self) -> Interval:
        single = np.asarray(self._single())[..., None]
        s = self._one()
        if np.all(single):
            return Interval._raw(s, s)
        b = super()._box()
        low, up = np.where(single, s, b.lower), np.where(single, s, b.upper)
        return Interval._raw(low, up)

    def _corners(self) -> Any:
        return (self._one()[None], np.zeros((0, self.dim))) if self._single() else None

    def _matrix(self) -> Array:
        """F (k, q q) with <F_i, Z> the members of a single set."""
        V = self.V[:, self.active].T
        F = [self.pencil.adjoint(v, w) for v in V for w in V]
        return np.array(F).T

    def _cvxpy(self, z: Any, scale: Any) -> list[Any]:
        import cvxpy as cp

        F, q = self._matrix(), int(self.active.sum())
        Z = cp.Variable((q, q), PSD=True)
        return [z == F @ cp.vec(Z, order="C"), cp.trace(Z) == scale]

    def _support_cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        F, q = self._matrix(), int(self.active.sum())
        F = (F + F.reshape(-1, q, q).mT.reshape(-1, q * q)) / 2
        G = cp.reshape(F.T @ x, (q, q), order="C")
        return cp.lambda_max(G) if q > 1 else cp.sum(G)

    def __repr__(self) -> str:
        return f"SpectraplexImage({self.pencil!r}, q={self.active.sum(-1)})"


def face(
    pencil: Pencil, w: Array, V: Array, size: Array, eps: Array
) -> SpectraplexImage:
    """The image of what the eigenvectors within eps of the largest eigenvalue span.

    w (..., q) rising, V (..., n, q); `size` the norm that rounding is relative to.
    """
    tie = 16 * w.shape[-1] * EPS * size
    keep = w >= w[..., -1:] - np.maximum(tie, eps)[..., None]
    q = max(int(keep.sum(-1).max()), 1)
    return SpectraplexImage._raw(pencil, V[..., -q:], keep[..., -q:])
