r"""Sets of matrices given by their eigenvalues or singular values.

A matrix m x n is its vector in row order, in R^{m n}. Lewis, "Convex analysis on the
Hermitian matrices" (1996) and "The convex analysis of unitarily invariant matrix
functions" (1995): support function, faces, projection and normal cone of such a set
are those of the set of its spectra, in a frame of the argument.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from subgrad._check import Array, count, nonnegative, positive
from subgrad.core import Mask, Set, a_set, norm
from subgrad.interval import Interval
from subgrad.sets._spectral_blocks import (
    blocks,
    completed,
    dimension,
    relabel,
    rounding,
    settle,
    spectral_motion,
    split,
    symmetric_part,
)
from subgrad.sets._spectral_jacobian import SpectralJacobian
from subgrad.sets.box import Box
from subgrad.sets.hull import CrossPolytope
from subgrad.sets.lp_ball import lp_ball
from subgrad.sets.simplex import CappedSimplex, Simplex


class SpectralSet(Set):
    r"""The matrices whose spectrum lies in K.

    .. math:: \{U W V^T : W \text{ made of blocks, the spectrum of } W \text{ in } K\},
       \quad h(D) = h_K(\text{spectrum of the blocks of } U^T D V)

    `SpectralSet(K, n)`: the symmetric n x n matrices with eigenvalues in K, a closed
    convex set in R^n invariant to permutations. `SpectralSet(K, (m, n))`: the m x n
    matrices with singular values in K in R^min(m, n), invariant to permutations and
    changes of sign. ValueError if K is visibly not.

    Faces stay in the class: their frames U (..., m, m or p) and V (..., n, n or p) have
    orthonormal columns, labels (..., p) say which coordinates make a block, see
    `_spectral_blocks`, and K is invariant in every block. Matrices orthogonal to those
    with the blocks of `wide` are free: normal cones have such (the skew-symmetric
    matrices, for a set of symmetric ones). Eigenvalues that differ by the rounding of
    the eigenvalues of D count as equal, those below it as zero.
    """

    _arrays: ClassVar = Set._arrays | {"U": 2, "V": 2, "labels": 1, "wide": 1}
    _parts: ClassVar = ("K",)
    K: Any

    def __init__(self, K: Set, shape: Any) -> None:
        m, n, symmetric = matrix_shape(shape)
        a_set("K", K)
        if K.dim != min(m, n):
            raise ValueError(
                f"K must lie in R^{min(m, n)} for {m} x {n} matrices, got R^{K.dim}"
            )
        if not seems_invariant(K.support, K.dim, signs=not symmetric):
            kind = "permutations" if symmetric else "permutations and changes of sign"
            raise ValueError(f"K must be invariant to {kind} of coordinates, got {K!r}")
        self._fresh(K, m, n, symmetric)

    def _fresh(self, K: Set, m: int, n: int, symmetric: bool) -> None:
        p = min(m, n)
        U = np.eye(m)
        labels = np.full(p, 0 if symmetric else -1)
        self._set(U, U if symmetric else np.eye(n), labels, np.full(p, -1), K)

    def _set(self, U: Array, V: Array, labels: Array, wide: Array, K: Set) -> Set:
        self.U, self.V, self.labels, self.wide, self.K = U, V, labels, wide, K
        self.shape = U.shape[-2], V.shape[-2]
        self.dim = self.shape[0] * self.shape[1]
        return self

    @classmethod
    def _raw(
        cls, U: Array, V: Array, labels: Array, K: Set, wide: Array | None = None
    ) -> Any:
        """The set of these blocks; what is outside of those of `wide` is free."""
        new = SpectralSet.__new__(SpectralSet)
        if wide is None:
            wide = np.full(labels.shape[-1], -1)
        return new._set(U, V, labels, wide, K)

    @classmethod
    def _at(
        cls,
        U: Array,
        V: Array,
        v: Array,
        tied: Mask,
        K: Set,
        labels: Array,
        wide: Array | None = None,
    ) -> Any:
        """K, made invariant to what leaves v alone, in frames that refine `labels`."""
        labels = relabel(labels, v, tied, K)
        if np.any(labels < 0) or (wide is not None and np.any(wide < 0)):
            same, U = U is V, completed(U)
            V = U if same else completed(V)
        return cls._raw(U, V, labels, K, wide)

    # A matrix, in the blocks -------------------------------------------------------

    def _matrix(self, d: Array) -> Array:
        return np.ascontiguousarray(d).reshape(*d.shape[:-1], *self.shape)

    def _split(self, d: Array) -> tuple[Array, Array, Array, Array]:
        """Spectrum, block frames in those of the set, and what of it is rounding."""
        M = self.U.mT @ self._matrix(d) @ self.V
        v, Q, R = split(M, self.labels)
        return v, Q, R, rounding(M, v)

    def _level(self, d: Array) -> Array:
        v, _, _, tol = self._split(d)
        return settle(v, self.labels, tol)[0]

    def _build(self, Q: Array, R: Array, s: Array) -> Array:
        """The matrix with the spectrum s, 0 where K is empty."""
        s = np.where(np.asarray(self.K.nonempty)[..., None], s, 0)
        X = (self.U @ (Q * s[..., None, :])) @ (self.V @ R).mT
        if R is Q:
            X = symmetric_part(X) if self.U is self.V else X
        return X.reshape(*X.shape[:-2], self.dim)

    def _frames(self, Q: Array, R: Array) -> tuple[Array, Array]:
        U = self.U @ Q
        return U, U if self.U is self.V and Q is R else self.V @ R

    @property
    def _whole(self) -> bool:
        """Whether the set is the sum with no free space."""
        return bool(np.all(dimension(self.wide, *self.shape) == self.dim))

    def _rest(self, d: Array) -> Array:
        """The part of d in the free space."""
        if self._whole:
            return np.zeros_like(d)
        D = self._matrix(d)
        M = blocks(self.U.mT @ D @ self.V, self.wide)
        X = D - self.U @ M @ self.V.mT
        return X.reshape(*X.shape[:-2], self.dim)

    def _flat(self, d: Array) -> Any:
        return self._whole or norm(self._rest(d)) <= 1e-9 * norm(d)

    # The protocol of sets ----------------------------------------------------------

    def _support(self, d: Array) -> Array:
        return np.where(self._flat(d), self.K.support(self._level(d)), np.inf)

    def _support_point(self, d: Array) -> Array:
        v, Q, R, tol = self._split(d)
        level, _ = settle(v, self.labels, tol)
        return self._build(Q, R, self.K._support_point(level))

    def _atom(self, d: Array) -> tuple[Array, Array | None]:
        v, Q, R, tol = self._split(d)
        s, ray = self.K._atom(settle(v, self.labels, tol)[0])
        out, rest = self._build(Q, R, s), self._rest(d)
        if norm(rest) > 1e-12 * norm(d):
            return out, rest
        return out, None if ray is None else self._build(Q, R, ray)

    def _face(self, d: Array, eps: Array) -> Set:
        v, Q, R, tol = self._split(d)
        level, tied = settle(v, self.labels, tol)
        K, wide = self.K.exposed_face(level, eps), None if self._whole else self.wide
        U, V = self._frames(Q, R)
        face = self._at(U, V, level, tied, K, self.labels, wide)
        return face if self._whole else face.restrict(self._flat(d))

    def _costs(self, d: Array) -> Array:
        return self.K._costs(self._level(d))

    def _project(self, y: Array) -> Array:
        v, Q, R, _ = self._split(y)
        p = self._build(Q, R, self.K._project(v))
        return p if self._whole else p + self._rest(y)

    def _project_jacobian(self, y: Array) -> SpectralJacobian:
        v, Q, R, tol = self._split(y)
        v = settle(v, self.labels, tol)[0]
        U, V = self._frames(Q, R)
        J, rest = self.K._project_jacobian(v), None if self._whole else self._rest
        return SpectralJacobian(U, V, v, self.K._project(v), J, self.labels, rest)

    def _gauge(self, z: Array) -> Any:
        if not self._whole:
            return super()._gauge(z)
        Z, (v, *_) = self._matrix(z), self._split(z)
        off = Z - self.U @ blocks(self.U.mT @ Z @ self.V, self.labels) @ self.V.mT
        return np.inf if norm(off.ravel()) > 1e-12 * norm(z) else self.K._gauge(v)

    def _box(self) -> Interval:
        b = super()._box()
        low, up = b.lower, np.maximum(b.lower, b.upper)
        # A point is one, whatever the rounding of its coordinates in all directions.
        one = np.asarray(self.K.is_singleton & self._whole)[..., None]
        s = np.where(one, self.K.box().lower, 0.0)
        Q, R = (np.eye(F.shape[-1], s.shape[-1]) for F in (self.U, self.V))
        p = self._build(Q, R, s)
        return Interval._raw(np.where(one, p, low), np.where(one, p, up))

    @property
    def is_singleton(self) -> Any:
        """Whether the set is one point."""
        one = self.nonempty & self.K.is_singleton & self._whole
        return np.broadcast_to(one, self.batch)[()]

    @property
    def is_bounded(self) -> Any:
        """Whether the set is bounded (the empty set is)."""
        bounded = ~self.nonempty | (self.K.is_bounded & self._whole)
        return np.broadcast_to(bounded, self.batch)[()]

    def _member(self, x: Array) -> tuple[Array, Mask, Array, Array]:
        """The spectrum of a member, on the bounds of K that it touches, and frames."""
        v, Q, R, tol = self._split(x)
        level = self.K._project(settle(v, self.labels, tol)[0])
        ends = self.K.box()
        for end in (ends.lower, ends.upper):
            level = np.where(np.abs(level - end) <= 8 * tol, end, level)
        return *settle(level, self.labels, tol), Q, R

    def _interior(self, z: Array) -> Any:
        level, *_ = self._member(z)
        return self.K._interior(level) & self._contains(z, 1e-9)

    def _normal_cone(self, x: Array, eps: Array) -> Set:
        if not self._whole:
            return super()._normal_cone(x, eps)
        level, tied, Q, R = self._member(x)
        K = self.K._normal_cone(level, eps)
        U, V = self._frames(Q, R)
        return self._at(U, V, level, tied, K, self.labels, self.labels)

    def _feasible(self, x: Array, d: Array) -> Any:
        """To second order, which decides for the cone of semidefinite matrices."""
        if not self._whole or (np.any(self.labels < 0) and np.any(self.labels >= 0)):
            return super()._feasible(x, d)
        level, _, Q, R = self._member(x)
        U, V = self._frames(Q, R)
        away = self._matrix(d)
        first, second = spectral_motion(level, U, V, away, self.labels)
        inside = blocks(self.U.mT @ away @ self.V, self.labels)
        off = away - self.U @ inside @ self.V.mT
        flat = norm(off.reshape(*off.shape[:-2], -1)) <= 1e-9 * norm(d)
        return flat & self.K._feasible(level, first + second)

    def _recession(self) -> Set:
        K = self.K.recession_cone()
        wide = None if self._whole else self.wide
        return self._raw(self.U, self.V, self.labels, K, wide).restrict(self._mask)

    def _cvxpy(self, z: Any, scale: Any) -> list[Any]:
        from subgrad.sets._spectral_cvxpy import blocks_in

        if not self._whole:
            raise NotImplementedError(f"{type(self).__name__}.to_cvxpy: a normal cone")
        return blocks_in(self, z, scale)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.K!r}, shape={self.shape})"


def matrix_shape(shape: Any) -> tuple[int, int, bool]:
    """(m, n, whether the matrices are symmetric): from n or (m, n)."""
    if np.ndim(shape) == 0:
        n = count(shape)
        return n, n, True
    if len(shape) != 2:
        raise ValueError(f"shape must be n or (m, n), got {shape!r}")
    return count(shape[0]), count(shape[1]), False


def seems_invariant(value: Any, p: int, *, signs: bool) -> bool:
    """Whether value does not tell a few points from their permutations."""
    x = np.cos(np.arange(1.0, p + 1))
    tests = [x, np.abs(x), -np.abs(x), np.abs(x) / np.abs(x).sum(), 1 + 0.1 * x]
    for z in tests:
        alike = [z[::-1], np.roll(z, 1)]
        alike += [-z, np.where(np.arange(p) % 2, z, -z)] if signs else []
        if not all(np.allclose(value(z), value(y), 1e-8, 1e-10) for y in alike):
            return False
    return True


class Spectraplex(SpectralSet):
    r"""{S symmetric n x n : S ⪰ 0, tr S = r}, with h(D) = r λ_max(D)."""

    def __init__(self, n: int, radius: Any = 1.0) -> None:
        n = count(n)
        self._fresh(Simplex(n, radius), n, n, True)


class Fantope(SpectralSet):
    r"""{S symmetric n x n : 0 ⪯ S ⪯ I, tr S = k}, 0 < k <= n.

    h(D) is the sum of the k largest eigenvalues of the symmetric part of D; k need not
    be whole.
    """

    def __init__(self, n: int, k: Any) -> None:
        n, k = count(n), positive("k", k)
        if np.any(k > n):
            raise ValueError(f"k must be at most {n}, got {k.max()}")
        self._fresh(CappedSimplex(0.0, 1.0, k, n), n, n, True)


class SymmetricSpectralBall(SpectralSet):
    r"""{S symmetric n x n : -r I ⪯ S ⪯ r I}, with h(D) = r sum_i |λ_i(D)|."""

    def __init__(self, n: int, radius: Any = 1.0) -> None:
        n, r = count(n), nonnegative("radius", radius)
        self._fresh(_cube(n, r), n, n, True)


class PSDCone(SpectralSet):
    r"""{S symmetric n x n : S ⪰ 0}, with h(D) = 0 where D ⪯ 0, else +inf."""

    def __init__(self, n: int) -> None:
        n = count(n)
        K = Box._raw(np.zeros(n), np.full(n, np.inf))
        self._fresh(K, n, n, True)


class SpectralBall(SpectralSet):
    r"""{S m x n : σ_max(S) <= r}, with h(D) = r sum_i σ_i(D), the nuclear norm."""

    def __init__(self, shape: tuple[int, int], radius: Any = 1.0) -> None:
        m, n = _rectangle(shape)
        self._fresh(_cube(min(m, n), nonnegative("radius", radius)), m, n, False)


class NuclearBall(SpectralSet):
    r"""{S m x n : sum_i σ_i(S) <= r}, with h(D) = r σ_max(D), the spectral norm."""

    def __init__(self, shape: tuple[int, int], radius: Any = 1.0) -> None:
        m, n = _rectangle(shape)
        self._fresh(CrossPolytope(min(m, n), radius), m, n, False)


class SchattenBall(SpectralSet):
    r"""{S m x n : (sum_i σ_i(S)^p)^{1/p} <= r}, 1 <= p <= inf, with

    .. math:: h(D) = r (\sum_i σ_i(D)^q)^{1/q}, \quad 1/p + 1/q = 1
    """

    def __init__(self, shape: tuple[int, int], p: Any, radius: Any = 1.0) -> None:
        m, n = _rectangle(shape)
        self._fresh(lp_ball(min(m, n), p, radius), m, n, False)


def _rectangle(shape: Any) -> tuple[int, int]:
    m, n, symmetric = matrix_shape(shape)
    if symmetric:
        raise ValueError(f"shape must be (m, n), got {shape!r}")
    return m, n


def _cube(p: int, r: Array) -> Box:
    ends = np.broadcast_to(r[..., None], (*r.shape, p))
    return Box._raw(-ends, ends)
