r"""Functions of matrices through their eigenvalues or singular values.

A matrix m x n is its vector in row order, in R^{m n}. Lewis, "Convex analysis on the
Hermitian matrices" (1996) and "The convex analysis of unitarily invariant matrix
functions" (1995): with f symmetric (invariant to permutations, for singular values to
changes of sign too)

.. math:: \partial (f \circ λ)(X) = \{U\, diag(s)\, U^T : s \in \partial f(λ(X)),
   \ X = U\, diag(λ(X))\, U^T\}, \quad (f \circ λ)^* = f^* \circ λ, \quad
   prox_{f \circ λ}(X) = U\, diag(prox_f(λ(X)))\, U^T.
"""

from __future__ import annotations

from inspect import cleandoc
from typing import Any

import numpy as np

from subgrad._check import Array, count, positive
from subgrad._eigenpair import largest_eigenpair
from subgrad.core import Function, Mask, Set, a_function, norm
from subgrad.functions.indicator import Indicator
from subgrad.functions.linear import Linear
from subgrad.functions.norms import max_entry, norm1, norm2, norm_inf, sum_largest
from subgrad.functions.ordered import owl
from subgrad.functions.pnorm import pnorm
from subgrad.functions.separable import Separable, separable
from subgrad.functions.shaped import ShapedAtom, no_argument
from subgrad.sets._spectral_blocks import (
    rounding,
    settle,
    spectral_motion,
    symmetric_part,
)
from subgrad.sets._spectral_jacobian import SpectralJacobian
from subgrad.sets.spectral import SpectralSet, matrix_shape, seems_invariant
from subgrad.univariate.catalog import entropy, exponential, inverse, negative_log


class _OfSpectrum(Function):
    """What functions of eigenvalues and of singular values have in common.

    Eigenvalues below the rounding of the eigenvalue solver, 8 max(m, n) units of the
    largest, count as zero, and as equal those closer than that; so near to an end of
    the domain of a Separable f they count as that end.
    """

    f: Function
    shape: tuple[int, int]
    _strict = False  # finite at symmetric matrices only
    _labels: Array
    _ends: tuple[Array, ...] = ()  # of the domain of f in each argument, if known

    def _key(self) -> tuple[Any, ...]:
        return (self.f, self.shape)

    @property
    def infimum(self) -> float:  # type: ignore[override]
        return self.f.infimum

    def _matrix(self, x: Array) -> Array:
        """The matrix that counts; what does not is `_skew`."""
        return np.ascontiguousarray(x).reshape(*x.shape[:-1], *self.shape)

    def _skew(self, x: Array) -> Array:
        return np.zeros_like(x)

    def _spectrum(self, M: Array) -> Array:
        raise NotImplementedError

    def _frames(self, M: Array) -> tuple[Array, Array, Array]:
        raise NotImplementedError

    def _split(self, x: Array) -> tuple[Array, Mask, Array, Array]:
        """The spectrum with exact ties, where they are, and frames."""
        M = self._matrix(x)
        v, U, V = self._frames(M)
        tol = rounding(M, v)
        return *settle(self._ended(v, tol), self._labels, tol), U, V

    def _ended(self, v: Array, tol: Array) -> Array:
        """v with zeros exact, and on the ends of the domain that it touches."""
        for end in list[Any]([0.0, *self._ends]):
            v = np.where(np.abs(v - end) <= tol, end, v)
        return v

    def _build(self, U: Array, V: Array, s: Array) -> Array:
        X = (U * s[..., None, :]) @ V.mT
        X = symmetric_part(X) if U is V else X
        return X.reshape(*X.shape[:-2], self.n)

    def _symmetric(self, x: Array) -> Any:
        """Where x is as symmetric as the function demands."""
        return not self._strict or norm(self._skew(x)) <= 1e-9 * (1 + norm(x))

    def _value(self, x: Array) -> Array:
        M = self._matrix(x)
        v = self._spectrum(M)
        value = self.f._value(self._ended(v, rounding(M, v)))
        return np.where(self._symmetric(x), value, np.inf) if self._strict else value

    def _subgradient(self, x: Array) -> Array:
        return self._oracle(x)[1]

    def _oracle(self, x: Array) -> tuple[Array, Array]:
        v, _, U, V = self._split(x)
        value, s = self.f._oracle(v)
        return value, self._build(U, V, s)

    def _subdifferential(self, x: Array, eps: Array) -> Set:
        v, tied, U, V = self._split(x)
        return self._set(x, v, tied, U, V, self.f._subdifferential(v, eps))

    def _set(
        self, x: Array, v: Array, tied: Mask, U: Array, V: Array, K: Set
    ) -> SpectralSet:
        wide = self._labels if self._strict else None
        S = SpectralSet._at(U, V, v, tied, K, self._labels, wide)
        return S.restrict(self._symmetric(x)) if self._strict else S

    def _directional(self, x: Array, d: Array) -> Array:
        r"""f'(λ(X); λ'(X; D)), +inf where X + t D leaves the domain at once.

        The latter is decided to second order in t.
        """
        if self.finite:
            return self._subdifferential(x, np.zeros(())).support(d)
        v, _, U, V = self._split(x)
        a, b = spectral_motion(v, U, V, self._matrix(d), self._labels)
        out = np.isposinf(self.f._directional(v, a + b))
        if self._strict:
            out = out | (norm(self._skew(d)) > 1e-9 * norm(d))
        return np.where(out, np.inf, self.f._directional(v, a))

    def _costs(self, x: Array) -> Array:
        return self.f._costs(self._split(x)[0])

    def _normal(self, x: Array) -> Set:
        if self.finite:
            return super()._normal(x)
        v, tied, U, V = self._split(x)
        return self._set(x, v, tied, U, V, self.f._normal(v))

    def _interior(self, x: Array) -> Any:
        return self.f._interior(self._split(x)[0]) & self._symmetric(x)

    def _prox(self, x: Array, t: Array) -> Array:
        return self._mapped(x, lambda v: self.f._prox(v, t))

    def _mapped(self, x: Array, g: Any) -> Array:
        """The matrix with the spectrum g(v), and what does not count of x."""
        v, U, V = self._frames(self._matrix(x))
        p = self._build(U, V, g(v))
        return p if self._strict else p + self._skew(x)

    def _prox_jacobian(self, x: Array, t: Any) -> SpectralJacobian:
        v, _, U, V = self._split(x)
        p, J = self.f._prox(v, np.asarray(t)), self.f._prox_jacobian(v, t)
        rest = None if self._strict else self._skew
        return SpectralJacobian(U, V, v, p, J, self._labels, rest)

    def _to_domain(self, x: Array) -> Array:
        return x if self.finite else self._mapped(x, self.f._to_domain)

    def _cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        from subgrad.functions._spectral_cvxpy import spectral

        X = cp.reshape(x, self.shape, order="C")
        return spectral(self.f, X, symmetric=self._labels[0] == 0, strict=self._strict)


class SpectralFunction(_OfSpectrum):
    r"""X -> f(λ((X + Xᵀ)/2)) of n x n matrices, f a function on R^n.

    f must be invariant to permutations of its arguments: ValueError if it visibly is
    not. The skew-symmetric part of X does not count; with symmetric_only the function
    is +inf unless X is symmetric. The two kinds are conjugate to each other.
    """

    def __init__(self, f: Function, n: int, symmetric_only: bool = False) -> None:
        n = count(n)
        self.f, self.shape, self.n = _invariant(f, n, signs=False), (n, n), n * n
        self._strict, self._labels = bool(symmetric_only), np.zeros(n, int)
        self.finite = f.finite and (not self._strict or n == 1)
        self._ends = _ends(f)

    def _key(self) -> tuple[Any, ...]:
        return (self.f, self.shape[0], self._strict)

    def _matrix(self, x: Array) -> Array:
        return symmetric_part(super()._matrix(x))

    def _skew(self, x: Array) -> Array:
        X = super()._matrix(x)
        return (0.5 * X - 0.5 * X.mT).reshape(x.shape)

    def _spectrum(self, M: Array) -> Array:
        return np.linalg.eigvalsh(M)[..., ::-1]

    def _frames(self, M: Array) -> tuple[Array, Array, Array]:
        v, U = np.linalg.eigh(M)
        U = U[..., ::-1]
        return v[..., ::-1], U, U

    def conjugate(self) -> Function:
        """f* of the eigenvalues; where f counts the symmetric part, +inf off them."""
        star, n = self.f.conjugate(), self.shape[0]
        if isinstance(star, Indicator) and not self._strict:
            return Indicator(SpectralSet(star._body(n), n))
        return SpectralFunction(star, n, not self._strict)


class SingularFunction(_OfSpectrum):
    r"""X -> f(σ(X)) of m x n matrices, f a function on R^min(m, n).

    f must be invariant to permutations and changes of sign of its arguments:
    ValueError if it visibly is not.
    """

    def __init__(self, f: Function, shape: tuple[int, int]) -> None:
        m, n, symmetric = matrix_shape(shape)
        if symmetric:
            raise ValueError(f"shape must be (m, n), got {shape!r}")
        p = min(m, n)
        self.f, self.shape, self.n = _invariant(f, p, signs=True), (m, n), m * n
        self.finite, self._labels = f.finite, np.full(p, -1)
        self._ends = _ends(f)

    def _spectrum(self, M: Array) -> Array:
        return np.linalg.svd(M, compute_uv=False)

    def _frames(self, M: Array) -> tuple[Array, Array, Array]:
        U, v, W = np.linalg.svd(M, full_matrices=False)
        return v, U, W.mT

    def conjugate(self) -> Function:
        star = self.f.conjugate()
        if isinstance(star, Indicator):
            return Indicator(SpectralSet(star._body(min(self.shape)), self.shape))
        return SingularFunction(star, self.shape)


def _invariant(f: Function, p: int, *, signs: bool) -> Function:
    a_function("f", f)
    if f.n not in (None, p):
        raise ValueError(f"f must take {p} arguments, got one of {f.n}")
    if not seems_invariant(f._value, p, signs=signs):
        kind = "permutations and changes of sign" if signs else "permutations"
        raise ValueError(f"f must be invariant to {kind} of its arguments, got {f!r}")
    return f


def _ends(f: Function) -> tuple[Array, ...]:
    return f._ends() if isinstance(f, Separable) and not f.finite else ()


# Atoms that take their shape from a matrix variable. ------------------------------


def eigenvalues(shape: tuple[int, int], f: Function) -> SpectralFunction:
    """f of the eigenvalues of the symmetric part of a square matrix."""
    m, n = shape
    if m != n:
        raise ValueError(f"eigenvalues need a square matrix, got shape {shape}")
    return SpectralFunction(f, n)


def singular_values(shape: tuple[int, int], f: Function) -> SingularFunction:
    """f of the singular values of a matrix."""
    return SingularFunction(f, shape)


def largest_singular_values(shape: tuple[int, int], k: Any) -> SingularFunction:
    """The sum of the k largest singular values of a matrix."""
    p = min(shape)
    if np.any(k > p):
        raise ValueError(f"k = {k.max()} exceeds the number of singular values {p}")
    return SingularFunction(owl(np.clip(k[..., None] - np.arange(p), 0, 1)), shape)


def entries(shape: tuple[int, int], f: Function) -> Function:
    """f of the entries of a matrix."""
    return f


def trace_of(shape: tuple[int, int]) -> Function:
    """The sum of the diagonal of a square matrix."""
    m, n = shape
    if m != n:
        raise ValueError(f"trace needs a square matrix, got shape {shape}")
    return Linear(np.eye(n).ravel())


def _iteratively(S: Any) -> float:
    """λ_max of a large matrix; `largest_eigenpair` gives more."""
    return largest_eigenpair(S).value


lambda_max = ShapedAtom(
    eigenvalues,
    max_entry,
    name="lambda_max",
    doc="""λ_max((X + Xᵀ)/2) = max{uᵀ X u : |u| = 1} of a square matrix X.

∂f(X) = conv{u uᵀ : |u| = 1, uᵀ X u = f(X)}. The value of a scipy.sparse matrix or a
LinearOperator, symmetric, is found by Lanczos iteration.""",
    large=_iteratively,
)
negative_log_det = ShapedAtom(
    eigenvalues,
    separable(negative_log),
    name="negative_log_det",
    doc="-log det((X + Xᵀ)/2) where that is definite, +inf elsewhere.",
)
trace_inv = ShapedAtom(
    eigenvalues,
    separable(inverse),
    name="trace_inv",
    doc="tr Y⁻¹, Y = (X + Xᵀ)/2, where Y is definite, +inf elsewhere.",
)
trace_exp = ShapedAtom(
    eigenvalues,
    separable(exponential),
    name="trace_exp",
    doc="tr exp((X + Xᵀ)/2) = sum_i exp(λ_i) of a square matrix X.",
)
negative_von_neumann_entropy = ShapedAtom(
    eigenvalues,
    separable(entropy),
    name="negative_von_neumann_entropy",
    doc="""tr Y log Y = sum_i λ_i log λ_i, Y = (X + Xᵀ)/2 with λ >= 0 (0 log 0 = 0),
+inf elsewhere.""",
)
nuclear_norm = ShapedAtom(
    singular_values,
    norm1,
    name="nuclear_norm",
    doc="""sum_i σ_i(X), the singular values of a matrix, the dual of `spectral_norm`.

With X = U diag(σ) Vᵀ, σ > 0: ∂f(X) = {U Vᵀ + W : UᵀW = 0, W V = 0, σ_max(W) <= 1}.""",
)
spectral_norm = ShapedAtom(
    singular_values,
    norm_inf,
    name="spectral_norm",
    doc="""max{uᵀ X v : |u| = |v| = 1}, the largest singular value of a matrix.

∂f(X) = conv{u vᵀ : |u| = |v| = 1, uᵀ X v = f(X)} (X not 0).""",
)
frobenius_norm = ShapedAtom(
    entries,
    norm2,
    name="frobenius_norm",
    doc="(sum_ij X_ij²)^(1/2) of a matrix.",
)
trace = ShapedAtom(
    trace_of,
    name="trace",
    doc="tr X = sum_i X_ii of a square matrix, linear.",
)


def lambda_sum_largest(k: Any) -> ShapedAtom:
    """max{tr X Y : 0 <= Y <= I, tr Y = k}, the sum of the k largest eigenvalues.

    Of the symmetric part of X; k > 0 not necessarily whole.
    """
    no_argument("lambda_sum_largest(k)", k)
    return ShapedAtom(
        eigenvalues,
        sum_largest(k),
        name=f"lambda_sum_largest({k!r})",
        doc=cleandoc(lambda_sum_largest.__doc__ or ""),
    )


def schatten_norm(p: Any) -> ShapedAtom:
    """(sum_i σ_i^p)^(1/p) of the singular values of a matrix, 1 <= p <= inf."""
    no_argument("schatten_norm(p)", p)
    return ShapedAtom(
        singular_values,
        pnorm(p),
        name=f"schatten_norm({p!r})",
        doc=schatten_norm.__doc__,
    )


def ky_fan_norm(k: Any) -> ShapedAtom:
    """The sum of the k largest singular values, k > 0 not necessarily whole."""
    no_argument("ky_fan_norm(k)", k)
    return ShapedAtom(
        largest_singular_values,
        positive("k", k),
        name=f"ky_fan_norm({k!r})",
        doc=ky_fan_norm.__doc__,
    )
