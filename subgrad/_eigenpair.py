r"""The largest eigenvalue of large symmetric matrices, by Lanczos, with its error.

For a unit vector v the Rayleigh quotient <v, S v> is at most lambda_max(S); v vᵀ has
trace one: whatever the error of v,

.. math:: \lambda_{\max}(Y) \ge \langle v v^T, Y \rangle =
   \langle v, S v \rangle + \langle v v^T, Y - S \rangle \quad \text{for all } Y .

That inequality is exact. That lambda_max(S) is not larger than <v, S v> + error is not
said by a small residual, which shows an eigenvalue near, not that it is the largest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from subgrad._check import Array, nonnegative, real

SMALL = 200  # below, LAPACK on the dense matrix is as fast as Lanczos, and complete
BASIS = 40  # Lanczos vectors between restarts
RESTARTS = 20  # of Lanczos, before a factorisation is cheaper
FACTOR = 10_000  # the largest size of which one is tried
EPS = float(np.finfo(float).eps)


@dataclass(frozen=True)
class Eigenpair:
    """A unit vector v and value = <v, S v>, with lambda_max(S) <= value + error.

    `proved` says whether that bound was proved by a factorisation; otherwise `error`
    is the residual |S v - value v|, an estimate.
    """

    value: float
    vector: Array
    error: float
    proved: bool = False

    def __repr__(self) -> str:
        how = "at most" if self.proved else "about"
        return f"Eigenpair({self.value!r}, error {how} {self.error:.1e})"


def symmetric(name: str, S: Any) -> Any:
    """S as a square symmetric array, csr array or LinearOperator, or an error."""
    if hasattr(S, "matvec") and not hasattr(S, "toarray"):
        return _operator(name, S)
    sparse = hasattr(S, "toarray")
    if sparse:
        from scipy.sparse import csr_array

        A: Any = csr_array(S)
        A = csr_array(A.astype(real(name, A.data).dtype), dtype=float)
    else:
        A = real(name, S).astype(float, copy=False)
    if A.ndim != 2 or A.shape[0] != A.shape[1] or 0 in A.shape:
        raise ValueError(f"{name} must be a square matrix, got shape {A.shape}")
    off = abs(A - A.T).max()
    if off > 1e-12 * abs(A).max():
        raise ValueError(f"{name} must be symmetric: it is off by {off:.1e}")
    A = (A + A.T) / 2 if off else A
    if sparse:
        A = csr_array(A)
        A.sum_duplicates()
    return A


def _operator(name: str, S: Any) -> Any:
    from scipy.sparse.linalg import aslinearoperator

    S = aslinearoperator(S)
    if len(S.shape) != 2 or S.shape[0] != S.shape[1] or 0 in S.shape:
        raise ValueError(f"{name} must be square, got shape {S.shape}")
    u, v = _start(S.shape[0], 2)
    a, b = real(name, S @ u), real(name, S @ v)
    size = np.linalg.norm(a) * np.linalg.norm(v) + np.linalg.norm(b) * np.linalg.norm(u)
    if abs(v @ a - u @ b) > 1e-9 * size:
        raise ValueError(f"{name} must be symmetric: <u, S v> and <S u, v> differ")
    return S


def dense(S: Any) -> Array:
    """The array of a small matrix, sparse array or operator."""
    if hasattr(S, "toarray"):
        return S.toarray()
    if isinstance(S, np.ndarray):
        return S
    A = np.asarray(S @ np.eye(S.shape[0]), float)
    return (A + A.T) / 2


def _start(n: int, count: int = 1) -> Array:
    return np.random.default_rng(0).standard_normal((count, n))


def bound(S: Any) -> float:
    """At least |S|, or for an operator an estimate of it."""
    if isinstance(S, np.ndarray) or hasattr(S, "toarray"):
        return float(abs(S).sum(axis=1).max())
    v = _start(S.shape[0])[0]
    size = 0.0
    for _ in range(5):
        w = np.asarray(S @ v)
        size = max(size, float(np.linalg.norm(w) / np.linalg.norm(v)))
        if not w.any():
            break
        v = w
    return 2 * size


def ritz(S: Any, k: int, tol: float = 0.0) -> tuple[Array, Array, Array]:
    """The k largest eigenvalues (falling), orthonormal vectors (n, k), residuals (k,).

    S as `symmetric` returns it. A tolerance of 0 is that of the arithmetic.
    """
    n = S.shape[0]
    if n <= SMALL or k > n // 4:
        w, V = np.linalg.eigh(dense(S))
        V = V[:, : -k - 1 : -1]
    elif (scale := bound(S)) == 0.0:
        V = np.linalg.qr(_start(n, k).T)[0]
    else:
        V = np.linalg.qr(_lanczos(S, k, tol, scale))[0]
    # Rayleigh and Ritz: the values of the vectors as they came out.
    SV = np.asarray(S @ V)
    H = V.T @ SV
    w, Q = np.linalg.eigh((H + H.T) / 2)
    w, Q = w[::-1], Q[:, ::-1]
    V = V @ Q
    return w, V, np.linalg.norm(SV @ Q - V * w, axis=0)


def _lanczos(S: Any, k: int, tol: float, scale: float) -> Array:
    """Vectors for the k largest eigenvalues of S, |S| about `scale`."""
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

    n = S.shape[0]
    # ARPACK stops relative to the eigenvalue: those of S / scale + 2 I are about 2.
    moved = LinearOperator((n, n), lambda v: S @ v / scale + 2 * v, dtype=float)
    options: dict[str, Any] = dict(v0=_start(n)[0], ncv=min(n, max(BASIS, 4 * k)))
    if _seeded():
        options["rng"] = np.random.default_rng(0)
    dense, sparse = isinstance(S, np.ndarray), hasattr(S, "toarray") and n <= FACTOR
    try:
        steps = RESTARTS if dense or sparse else None
        return eigsh(moved, k, which="LA", tol=tol, maxiter=steps, **options)[1]
    except ArpackNoConvergence as failed:
        found = failed.eigenvectors
    if dense:
        return np.linalg.eigh(S)[1][:, : -k - 1 : -1]
    if sparse:
        return _inverted(S, k, tol, scale, options)
    # What converged, and of the rest what a lower accuracy gives.
    for loose in (1e-9, 1e-6, 1e-3):
        try:
            return eigsh(moved, k, which="LA", tol=max(loose, tol), **options)[1]
        except ArpackNoConvergence as failed:
            found = failed.eigenvectors
    raise ArithmeticError(
        f"the eigenvectors of the {k} largest eigenvalues did not converge: "
        f"{found.shape[1]} of them to 1e-3 of the norm"
    )


def _seeded() -> bool:
    """Whether eigsh takes the generator of its own random vectors."""
    from inspect import signature

    from scipy.sparse.linalg import eigsh

    return "rng" in signature(eigsh).parameters


def _inverted(S: Any, k: int, tol: float, scale: float, options: Any) -> Array:
    """Lanczos on (sigma I - S)^-1, sigma just above the largest eigenvalue.

    Eigenvalues that crowd at the top of S are far apart there.
    """
    from scipy.sparse.linalg import LinearOperator, eigsh

    n = S.shape[0]
    plain = LinearOperator((n, n), lambda v: S @ v / scale + 2 * v, dtype=float)
    rough = eigsh(plain, 1, which="LA", tol=1e-3, **options)[1][:, 0]
    top = float(rough @ (S @ rough))
    width = float(np.linalg.norm(S @ rough - top * rough)) + 1e-8 * scale
    for _ in range(40):
        factors = positive(S, top + width)
        if factors is not None:
            break
        width *= 4
    else:
        raise ArithmeticError("no number above the largest eigenvalue was found")
    inverse = LinearOperator((n, n), factors[0].solve, dtype=float)
    return eigsh(inverse, k, which="LA", tol=tol, **options)[1]


def positive(S: Any, sigma: float) -> tuple[Any, float] | None:
    r"""Triangular factors of the sparse sigma I - S, and e with S <= (sigma + e) I.

    None if a pivot is not positive. With the computed factors L, U of A = sigma I - S
    in a symmetric order, D = diag U > 0 and M = L D Lᵀ, which is semidefinite,

    .. math:: |A - M| \le \gamma_k |L| |U| + |L| |U - D L^T|, \quad
       \gamma_k = k u / (1 - k u)

    entry by entry, k the length of the longest sum (Higham, Accuracy and Stability of
    Numerical Algorithms, theorem 9.3); its largest row sum bounds the norm of A - M.
    """
    from scipy.sparse import diags_array, eye_array
    from scipy.sparse.linalg import splu

    n = S.shape[0]
    A = (sigma * eye_array(n) - S).tocsc()
    try:
        lu = splu(
            A,
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True, "Equil": False},
        )
    except RuntimeError:  # a pivot that is exactly zero
        return None
    pivots = lu.U.diagonal()
    if not (np.array_equal(lu.perm_r, lu.perm_c) and np.all(pivots > 0)):
        return None
    L, U = lu.L.tocsr(), lu.U.tocsr()
    odd = abs(U - diags_array(pivots) @ L.T)
    k = int(np.diff(L.indptr).max()) + 2
    rows = k * EPS * (abs(U) @ np.ones(n)) + odd @ np.ones(n)
    # The diagonal sigma - S_ii, and these sums, are rounded too.
    diagonal = EPS * (abs(sigma) + float(abs(S.diagonal()).max()))
    return lu, 1.01 * float((abs(L) @ rows).max()) + diagonal


def _upper(S: Any, value: float, residual: float) -> float:
    """A proved upper bound of the largest eigenvalue, near `value` if that is one."""
    top = bound(S)
    top += 4 * S.shape[0] * EPS * top
    width = 4 * residual + 1e-12 * top
    while value + width < top:
        factors = positive(S, value + width)
        if factors is not None:
            return min(value + width + factors[1], top)
        width *= 32
    return top


def largest_eigenpair(S: Any, tol: Any = 0.0, prove: bool = False) -> Eigenpair:
    r"""A unit vector v and <v, S v>, for the largest eigenvalue of a symmetric S.

    S is an array, a scipy.sparse array or a LinearOperator (n, n). Lanczos (ARPACK)
    from a fixed start vector to the relative tolerance `tol` (0: the arithmetic);
    where the eigenvalues of a sparse S crowd, on a factorisation; LAPACK up to n = 200.
    With prove=True the error is proved for arrays and sparse arrays, by a factorisation
    of sigma I - S with positive pivots and a bound of its rounding.
    """
    S = symmetric("S", S)
    tol = float(nonnegative("tol", tol))
    values, vectors, residuals = ritz(S, 1, tol)
    value, v = float(values[0]), vectors[:, 0]
    residual = float(residuals[0])
    if not prove:
        return Eigenpair(value, v, residual)
    if not (isinstance(S, np.ndarray) or hasattr(S, "toarray")):
        raise ValueError(
            "prove=True needs the entries of S: give a scipy.sparse array or an array"
        )
    from scipy.sparse import csr_array

    upper = _upper(csr_array(S), value, residual)
    return Eigenpair(value, v, max(upper - value, 0.0), True)
