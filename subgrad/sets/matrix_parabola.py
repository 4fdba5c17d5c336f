r"""The set whose support function is the matrix fraction tr Xᵀ P⁻¹ X."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from subgrad._check import Array, count
from subgrad.core import Mask, Set, norm
from subgrad.sets.nearest import ProjectionError

EPS = float(np.finfo(float).eps)


def sym(P: Array) -> Array:
    return (P + P.mT) / 2


class MatrixParabola(Set):
    r"""{(s, S) : S + ¼ s sᵀ ⪯ 0}, s (n, m) and S symmetric (n, n), in row order.

    .. math:: h(X, P) = \sup_w 2 \langle w, X \rangle - \langle w w^T, P \rangle =
       tr X^T P^+ X \text{ if } P \succeq 0, \ range X \subseteq range P, \quad
       +\infty \text{ otherwise}

    (P by its symmetric part), for the set is the closed convex hull of the points
    (2 w, -w wᵀ). Its faces are again of the form

    .. math:: \{ (s, S) : s \in 2 w + U R^{q \times m},
       \ S = -¼ s s^T - U N U^T, \ N \succeq 0 \}, \qquad U^T U = I, \ U^T w = 0:

    on them h(X, P) = 2 <w, X> - <w wᵀ, P> + h_q(Uᵀ (X - P w), Uᵀ P U), the same
    function of smaller matrices, and its maximisers are those with w moved by
    U (UᵀPU)⁺ Uᵀ(X - P w) and U cut down to the kernel of UᵀPU. The recession cones
    are {(0, -U N Uᵀ)} (not `curved`). w (..., n, m), U (..., n, n), of which the
    columns `free` (..., n) count, the others being 0.
    """

    _arrays: ClassVar = Set._arrays | {"w": 2, "U": 2, "free": 1, "curved": 0}

    def __init__(self, n: int, m: int = 1) -> None:
        n, m = count(n), count(m)
        free = np.ones(n, bool)
        self._set(np.zeros((n, m)), np.eye(n), free, np.ones((), bool))

    def _set(self, w: Array, U: Array, free: Mask, curved: Mask) -> MatrixParabola:
        self.w, self.U, self.free, self.curved = w, U, free, curved
        self.n, self.m = w.shape[-2:]
        self.dim = self.n * (self.n + self.m)
        return self

    def _like(self, w: Array, U: Array, free: Mask, curved: Mask) -> MatrixParabola:
        return MatrixParabola.__new__(MatrixParabola)._set(w, U, free, curved)

    def split(self, d: Array) -> tuple[Array, Array]:
        """The blocks (..., n, m) and (..., n, n), the second made symmetric."""
        k, lead = self.n * self.m, d.shape[:-1]
        X = d[..., :k].reshape(*lead, self.n, self.m)
        return X, sym(d[..., k:].reshape(*lead, self.n, self.n))

    def join(self, s: Array, S: Array) -> Array:
        lead = np.broadcast_shapes(s.shape[:-2], S.shape[:-2])
        s, S = (
            np.broadcast_to(a, (*lead, *a.shape[-2:])).reshape(*lead, -1)
            for a in (s, S)
        )
        return np.concatenate([s, S], -1)

    def _reduce(self, d: Array) -> tuple[Array, Array, Array, Mask, Mask]:
        """Eigenvalues and U times eigenvectors of UᵀPU, the residual z along them,
        which of them are zero, and where h is +inf."""
        X, P = self.split(d)
        rest = X - P @ self.w
        G = self.U.mT @ P @ self.U
        # With the skew part of P, whose rounding is in the symmetric one.
        whole = d[..., self.n * self.m :].reshape(P.shape)
        size = np.abs(whole).sum(-1).max(-1)[..., None]
        # What is not free gets an eigenvalue apart from the others, and is never used.
        apart = np.where(self.free, 0.0, 3 * size + (size == 0))
        G = sym(G) + apart[..., None] * np.eye(self.n)
        a, Q = np.linalg.eigh(G)
        V = self.U @ Q
        real = (V**2).sum(-2) > 0.5
        z = V.mT @ rest
        reach = norm(X.reshape(*X.shape[:-2], -1)) + size[..., 0] * norm(
            self.w.reshape(*self.w.shape[:-2], -1)
        )
        null = real & (a <= 2 * self.n * EPS * size)
        low = real & (a < -1e-9 * size)
        a = np.where(real & ~null, a, np.inf)
        # The tolerance of membership, and what rounding of P makes of P w.
        moved = 8 * self.n * EPS * size * norm(norm(z) / a)[..., None]
        out = null & (norm(z) > 1e-9 * reach[..., None] + moved)
        return a, V, z, null, np.any(low | (out & self.curved[..., None]), -1)

    def _support(self, d: Array) -> Array:
        X, P = self.split(d)
        a, _, z, _, infinite = self._reduce(d)
        h = (2 * self.w * X - self.w * (P @ self.w)).sum((-2, -1))
        h = h + np.where(self.curved, ((z**2).sum(-1) / a).sum(-1), 0.0)
        return np.where(infinite, np.inf, h)

    def _vector(self, a: Array, V: Array, z: Array) -> Array:
        """The w of a maximiser."""
        return self.w + np.where(
            self.curved[..., None, None], V @ (z / a[..., None]), 0.0
        )

    def _support_point(self, d: Array) -> Array:
        a, V, z, *_ = self._reduce(d)
        w = self._vector(a, V, z)
        return self.join(2 * w, -w @ w.mT)

    def _face(self, d: Array, eps: Array) -> Set:
        a, V, z, null, infinite = self._reduce(d)
        U = np.where(null[..., None, :], V, 0.0)
        face = self._like(self._vector(a, V, z), U, null, self.curved)
        return face.restrict(~infinite)

    def _atom(self, d: Array) -> tuple[Array, Array | None]:
        a, V, z, null, infinite = self._reduce(d)
        if not infinite:
            return self._support_point(d), None
        X, P = self.split(d)
        # Beyond P >= 0 along -u uᵀ; beyond the range of P along a parabola, on which
        # one far point serves.
        far = np.where(null, 1e-4 * max(np.abs(P).max(), EPS * np.abs(X).max()), a)
        w = self._vector(far, V, z)
        curve = np.where(null, (P @ V * V).sum(-2), np.inf)
        u = V[:, np.argmin(curve)]
        ray = self.join(np.zeros_like(X), -u[:, None] * u)
        return self.join(2 * w, -w @ w.T), ray if ray @ d > 1e-12 * norm(d) else None

    def _project(self, y: Array) -> Array:
        return self._each(y, MatrixParabola._nearest)

    def _nearest(self, y: Array) -> Array:
        A, B = self.split(y)
        w, U = self.w, self.U[:, self.free]
        G = U.T @ B @ U
        if not self.curved:
            a, Q = np.linalg.eigh(G)
            V = U @ Q
            return self.join(0 * A, (V * np.minimum(a, 0)) @ V.T)
        Y, L, _ = stationary(U.T @ (A - B @ w), G, np.eye(self.m) + w.T @ w / 2)
        UY = U @ Y
        cross = UY @ w.T / 2
        S = U @ (G - L) @ U.T - w @ w.T - cross - cross.T
        return self.join(2 * w + UY, sym(S))

    def _recession(self) -> MatrixParabola:
        none = np.zeros_like(self.w)
        return self._like(none, self.U, self.free, np.zeros_like(self.curved))

    def _interior(self, z: Array) -> Any:
        # The set itself is one with all of U free, and S + ¼ s sᵀ ≺ 0 its interior.
        s, S = self.split(z)
        k = self.n * self.m
        odd = norm(z[..., k:] - S.reshape(*S.shape[:-2], -1)) <= 1e-9 * (1 + norm(z))
        a = np.linalg.eigvalsh(S + s @ s.mT / 4)[..., -1]
        return np.all(self.free, -1) & self.curved & odd & (a < 0)

    def _cvxpy(self, z: Any, scale: Any) -> list[Any]:
        import cvxpy as cp

        n, m, w, U = self.n, self.m, self.w, self.U[:, self.free]
        s = cp.reshape(z[: n * m], (n, m), order="C")
        S = cp.reshape(z[n * m :], (n, n), order="C")
        q = U.shape[1]
        if not q:
            return [s == 2 * scale * w, S == -scale * w @ w.T]
        C = cp.Variable((q + m, q + m), PSD=True)  # [[-G, Y/2], [Yᵀ/2, scale I]]
        UY = U @ C[:q, q:] * (2.0 if self.curved else 0.0)
        cross = UY @ w.T / 2
        corner = C[q:, q:] == scale * np.eye(m)
        inner = -U @ C[:q, :q] @ U.T - scale * (w @ w.T)
        return [corner, s == 2 * scale * w + UY, S == inner - cross - cross.T]

    def _support_cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        n, m, w, U = self.n, self.m, self.w, self.U[:, self.free]
        X = cp.reshape(x[: n * m], (n, m), order="C")
        P = cp.reshape(x[n * m :], (n, n), order="C")
        P = (P + P.T) / 2
        fixed = cp.sum(cp.multiply(2 * w, X)) - cp.sum(cp.multiply(w @ w.T, P))
        if not U.shape[1]:
            return fixed
        G = U.T @ P @ U
        if not self.curved:
            return fixed + cp.transforms.indicator([(G + G.T) / 2 >> 0])
        return fixed + cp.matrix_frac(U.T @ (X - P @ w), (G + G.T) / 2)

    def __repr__(self) -> str:
        kind = "MatrixParabola" if np.all(self.curved) else "its recession cone"
        return f"{kind}(n={self.n}, m={self.m}, free={self.free.sum(-1)})"


def stationary(C: Array, B: Array, K: Array) -> tuple[Array, Array, Array]:
    r"""The Y (q, m) with Y K + ½ L Y = C, L = (B + ¼ Y Yᵀ)_+ and L Y.

    The gradient of the strongly convex
    ½ <Y, Y K> - <C, Y> + ½ |(B + ¼ Y Yᵀ)_+|², found by semismooth Newton steps; the
    last of them, or the residual (K >= I), is the error. Where the kinks are too sharp,
    after those of smoothed functions, (a + sqrt(a² + 4 r²))/2 in the place of a_+.
    """
    size = float(np.abs(C).max(initial=0.0))
    Y = C * (min(1.0, 2 * size ** (-2 / 3)) if size > 0 else 0.0)
    error = 0.0
    if size > 0:
        Y, error = _newton(Y, C, B, K, 0.0, 30)
    if error > 1e-13:
        radius = float(np.abs(B + Y @ Y.T / 4).max())
        for r in radius * 0.1 ** np.arange(1, 16):
            Y, error = _newton(Y, C, B, K, r, 30)
        Y, error = _newton(Y, C, B, K, 0.0, 30)
    if error > 1e-12:
        raise ProjectionError(f"Newton's method stopped at a relative step {error:.1e}")
    _, a, Q, _ = _gradient(Y, C, B, K, 0.0)
    # What L has by rounding only is 0, for L Y to be in its range as `_reduce` sees it.
    least = 3 * len(a) ** 1.5 * EPS * np.abs(a).max(initial=0.0)
    up = np.where(a > least, a, 0.0)
    return Y, (Q * up) @ Q.T, Q @ (up[:, None] * (Q.T @ Y))


def _plus(a: Array, r: float) -> Array:
    root = np.hypot(a, 2 * r)
    # Without cancellation for a < 0.
    return np.where(a > 0, (a + root) / 2, 2 * r * r / np.where(a > 0, 1, root - a))


def _gradient(Y: Array, C: Array, B: Array, K: Array, r: float) -> tuple[Any, ...]:
    a, Q = np.linalg.eigh(B + Y @ Y.T / 4)
    # Through the eigenvectors: L as a matrix is rounded to |L| everywhere.
    up = np.maximum(a, 0) if r == 0 else _plus(a, r)
    LY = Q @ (up[:, None] * (Q.T @ Y))
    return Y @ K + LY / 2 - C, a, Q, LY


def _newton(
    Y: Array, C: Array, B: Array, K: Array, r: float, count: int
) -> tuple[Array, float]:
    """At most `count` steps from Y, and the relative error that is left."""
    F, a, Q, _ = _gradient(Y, C, B, K, r)
    for _ in range(count):
        step = -np.linalg.solve(_hessian(Y, K, a, Q, r), F.ravel()).reshape(Y.shape)
        error = float(min(norm(F.ravel()), norm(step.ravel())) / norm(Y.ravel()))
        slope = float((step * F).sum())
        if error <= (EPS if r == 0 else 1e-3) or slope >= 0:
            break
        # To where the function is nearly flat along the step, by bisection: behind the
        # kinks of the gradient, which a mere decrease would stop short of.
        low, high, t = 0.0, 1.0, 1.0
        for _ in range(80):
            new = _gradient(Y + t * step, C, B, K, r)
            here = float((new[0] * step).sum())
            if abs(here) <= -0.5 * slope or (t == 1 and here < 0):
                break
            low, high = (t, high) if here < 0 else (low, t)
            t = (low + high) / 2
        Y = Y + t * step
        F, a, Q, _ = new
    return Y, error


def _hessian(Y: Array, K: Array, a: Array, Q: Array, r: float) -> Array:
    q, m = Y.shape
    gap = a[:, None] - a
    up = np.maximum(a, 0) if r == 0 else _plus(a, r)
    with np.errstate(invalid="ignore", divide="ignore"):
        W = (up[:, None] - up) / gap
        slope = (a > 0) * 1.0 if r == 0 else up / np.hypot(a, 2 * r)
    W = np.where(np.abs(gap) > 1e-12 * np.abs(a).max(), W, slope[:, None])
    E = np.eye(q * m).reshape(-1, q, m)
    turn = E @ Y.T
    inner = Q @ (W * (Q.T @ (turn + turn.mT) @ Q)) @ Q.T / 4
    L = (Q * up) @ Q.T
    H = E @ K + L @ E / 2 + inner @ Y / 2
    return sym(H.reshape(q * m, q * m))
