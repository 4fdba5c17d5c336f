r"""Total variation: how much a signal, an image or an array changes, entry by entry."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad._jacobian import Jacobian, of_pools
from subgrad.affine import AffineMap, _size
from subgrad.calculus.derived import _Derived
from subgrad.calculus.precompose import LinearImage, Precomposed, image
from subgrad.core import Function, Set, norm
from subgrad.differences import Cumulative, Difference, differences, long_axes
from subgrad.functions._taut_string import taut_string
from subgrad.functions._variation_loops import by_loop
from subgrad.functions.indicator import Indicator
from subgrad.functions.norms import GroupNorm, norm1
from subgrad.functions.shaped import ShapedAtom
from subgrad.interval import Interval
from subgrad.operators import Operator
from subgrad.sets.ball import Groups
from subgrad.sets.box import Box


class Tube(LinearImage):
    r"""{Dᵀ u : lower <= u <= upper}, D the differences of n entries.

    .. math:: \{g : -upper_i \le g_1 + \dots + g_i \le -lower_i \ (i < n), \
       \sum_i g_i = 0\}, \qquad h(d) = \sum_i \max(l_i (d_{i+1} - d_i),
       u_i (d_{i+1} - d_i))

    Made of the Interval of shape (..., n - 1) from lower to upper, finite. The nearest
    point to y is y - p, p the taut string of y.
    """

    base: Any

    def __init__(self, interval: Interval | Set) -> None:
        box: Any = interval if isinstance(interval, Set) else Box(interval)
        if not box._finite and np.any(box.nonempty):
            raise ValueError("Tube takes finite ends")
        super().__init__(Difference((box.dim + 1,)).T, box)

    def _sums(self, g: Array) -> Array:
        """The u with Dᵀ u = g, where g sums to zero."""
        return -np.cumsum(g, axis=-1)[..., :-1]

    def _face(self, d: Array, eps: Array) -> Set:
        return Tube(self.base.exposed_face(self.op.adjoint(d), eps))

    def _project(self, y: Array) -> Array:
        low, up = self.base.lower, self.base.upper
        if not (self.base._finite and np.all(low <= up)):  # the empty among a batch
            ends = np.minimum(low, up), np.maximum(low, up)
            low, up = (np.where(np.isfinite(end), end, 0.0) for end in ends)
        return y - taut_string(y, low, up)

    def _project_jacobian(self, y: Array) -> Jacobian:
        low, up = self.base.lower, self.base.upper
        return _of_string(taut_string(y, low, up), low < up).complement()

    def _gauge(self, z: Array) -> Any:
        if abs(z.sum()) > 1e-12 * np.abs(z).sum():
            return np.inf
        return self.base._gauge(self._sums(z))

    def _normal_cone(self, x: Array, eps: Array) -> Set:
        r"""N(Dᵀ u) = {v : D v in the normal cone of the box at u}, by its corners."""
        u = np.minimum(np.maximum(self._sums(x), self.base.lower), self.base.upper)
        # A sum at rounding distance from an end is at that end.
        room = 1e-12 * (1 + np.abs(u).max(-1, keepdims=True))
        u = np.where(u >= self.base.upper - room, self.base.upper, u)
        u = np.where(u <= self.base.lower + room, self.base.lower, u)
        cone = self.base._normal_cone(u, eps)
        lead = (*cone.lower.shape[:-1], 1)
        low, up = (
            np.concatenate([np.full(lead, s * np.inf), e], axis=-1)
            for s, e in ((-1, cone.lower), (1, cone.upper))
        )
        return image(Cumulative(self.dim), Box._raw(low, up))

    def __repr__(self) -> str:
        return f"Tube({self.base})"


def _of_string(p: Array, room: Any) -> Jacobian:
    """That of the taut string p: means over its pieces, joined where there is room."""
    n = len(p)
    starts = np.flatnonzero(np.r_[True, (np.diff(p) != 0) | ~room])
    u, labels = of_pools(starts, np.arange(n))
    return Jacobian(np.zeros(n), u, np.ones(len(starts)), labels)


def _norm_of(size: Any, op: Operator) -> Precomposed:
    """The norm `size` of op x."""
    return Precomposed(size, AffineMap(None, op, None, (op.rows,)))


class _DifferenceImage(LinearImage):
    """{Dᵀ u : u in B}, where the least of the u tells most members at once."""

    @cached_property
    def _inverse(self) -> Any:
        if self.op.batch or self.op.rows * self.op.cols > 250_000:
            return None
        return np.linalg.pinv(self.op.dense())

    def _near(self, z: Array) -> Array:
        """A member, z itself if the least u with Dᵀ u = z is in B."""
        return self.op.forward(self.base._project(z @ self._inverse.T))

    def _contains(self, z: Array, tol: float) -> Array:
        if self._inverse is None:
            return super()._contains(z, tol)
        room = tol * (1 + norm(z))
        inside = norm(z - self._near(z)) <= room
        in_range = self.op.forward(z @ self._inverse.T)
        open_ = ~inside & (norm(z - in_range) <= room)
        if not np.any(open_):
            return inside
        return inside | (open_ & super()._contains(z, tol))

    def _project(self, y: Array) -> Array:
        if self._inverse is None:
            return super()._project(y)
        near = self._near(y)
        if np.all(norm(y - near) <= 1e-13 * (1 + norm(y))):
            return near
        return super()._project(y)


class _Variation(_Derived):
    """A norm of differences: the support function of the image of the dual ball."""

    infimum = 0.0

    def _body(self) -> Set:
        f: Any = self.base
        return _DifferenceImage(f.op.T, f.f._body(f.op.rows))

    def conjugate(self) -> Function:
        """The indicator of the image, under the adjoint, of the dual ball."""
        return Indicator(self._body())


class TotalVariation(_Variation):
    r"""The sum of the sizes of the differences of neighbours, of an array of `shape`.

    .. math:: \sum_i |x_{i+1} - x_i|, \qquad
       \sum_{ij} \sqrt{(x_{i+1,j} - x_{ij})^2 + (x_{i,j+1} - x_{ij})^2}, \qquad
       \sum_{ij} |x_{i+1,j} - x_{ij}| + |x_{i,j+1} - x_{ij}|

    of a vector; of a matrix, isotropic (the default); of a matrix, not isotropic; along
    more axes likewise. As in cvxpy the isotropic sum is over the (m - 1) x (n - 1)
    entries where every difference exists, the other over all differences there are.
    Axes of length one have none and do not count. The argument is the array in row
    order. Where a length vanishes, `subgradient` takes 0 in its ball.

    `prox` with one axis only: the taut string, in O(n). Rudin, Osher and Fatemi,
    Nonlinear total variation based noise removal algorithms, Physica D 60 (1992).
    """

    def __init__(self, shape: tuple[int, ...], isotropic: bool = True) -> None:
        self.shape, self.isotropic = _size(shape), bool(isotropic)
        shape = self.shape
        self._shape = tuple(shape[a] for a in long_axes(shape))
        self.n = math.prod(shape)
        self._round = self.isotropic and len(self._shape) > 1
        self.polyhedral = not self._round

    @cached_property
    def base(self) -> Any:  # type: ignore[override]
        if not self._round:
            return _norm_of(norm1, differences(self.shape))
        each = math.prod(k - 1 for k in self._shape)
        groups = Groups.columns(len(self._shape), each)
        return _norm_of(GroupNorm(groups), differences(self.shape, common=True))

    def _key(self) -> tuple[Any, ...]:
        return (self.shape, self.isotropic)

    def _array(self, x: Array) -> Array:
        return x.reshape(-1, *self._shape)

    def _value(self, x: Array) -> Array:
        X, axes = self._array(x), len(self._shape)
        if found := self._loop(X):
            v = found[0]
        elif not self._round:
            each = [np.abs(b - a) for a, b in _pairs(X, axes)]
            v = sum((d.reshape(len(X), -1).sum(-1) for d in each), np.zeros(len(X)))
        else:
            v = _lengths(_gradient(X, axes)).reshape(len(X), -1).sum(-1)
        return v.reshape(x.shape[:-1]).astype(x.dtype, copy=False)

    def _loop(self, X: Array) -> tuple[Array, Array] | None:
        if len(self._shape) != 2 or X.size <= 4096:
            return None
        return by_loop(X, self.isotropic)

    def _subgradient(self, x: Array) -> Array:
        X = self._array(x)
        if found := self._loop(X):
            g = found[1]
        else:
            g = _blocked(_directions if self._round else _signs, X)
        return g.reshape(x.shape).astype(x.dtype, copy=False)

    def _oracle(self, x: Array) -> tuple[Array, Array]:
        found = self._loop(self._array(x))
        if found is None:
            return self._value(x), self._subgradient(x)
        value, g = (a.astype(x.dtype, copy=False) for a in found)
        return value.reshape(x.shape[:-1]), g.reshape(x.shape)

    def _subdifferential(self, x: Array, eps: Array) -> Set:
        if len(self._shape) != 1:
            return super()._subdifferential(x, eps)
        return Tube(norm1._subdifferential(np.diff(x), eps))

    def _body(self) -> Set:
        if len(self._shape) != 1:
            return super()._body()
        return Tube(norm1._body(self._shape[0] - 1))

    def _prox(self, x: Array, t: Array) -> Array:
        if len(self._shape) > 1:
            raise NotImplementedError(
                f"TotalVariation.prox: only along one axis, not of shape {self.shape}"
            )
        t = np.asarray(t)[..., None]
        return taut_string(x, -t, t) if self._shape else x + 0 * t

    def _prox_jacobian(self, x: Array, t: Any) -> Jacobian:
        if len(self._shape) != 1:
            raise NotImplementedError(
                "TotalVariation.prox_jacobian: only along one axis, not of shape "
                f"{self.shape}"
            )
        return _of_string(self._prox(x, np.asarray(t)), np.ones(self.n - 1, bool))

    def _cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        if not self._round:
            return super()._cvxpy(x)
        d = cp.reshape(self.base.op.to_cvxpy(x), (len(self._shape), -1), order="C")
        return cp.sum(cp.norm(d, 2, axis=0))


# Arrays of shape (B, *shape), the B arrays of a batch.

BLOCK = 1 << 16


def _pairs(X: Array, axes: int) -> Any:
    """Along every axis, the array without its last and without its first entry."""
    for a in range(1, axes + 1):
        before = (slice(None),) * a
        yield X[*before, :-1], X[*before, 1:]


def _gradient(X: Array, axes: int) -> list[Array]:
    """The differences along every axis where all of them exist."""
    corner = X[:, *(slice(None, -1),) * axes]
    return [_next(X, a, axes) - corner for a in range(axes)]


def _next(X: Array, a: int, axes: int) -> Array:
    """What is one further along axis a than an entry that has all its differences."""
    cut = (slice(1, None) if b == a else slice(None, -1) for b in range(axes))
    return X[:, *cut]


def _lengths(parts: list[Array]) -> Array:
    """sqrt(a² + b² + ...), without overflow or underflow of squares."""
    with np.errstate(over="ignore", under="ignore"):
        r = parts[0] * parts[0]
        for p in parts[1:]:
            r += p * p
    ends = np.finfo(r.dtype)
    low, high = float(ends.tiny) ** 0.9, float(ends.max) ** 0.9
    lost = r.max() > high
    if not lost and r.min() < low:
        lost = any(np.any((r < low) & (p != 0)) for p in parts)
    if not lost:
        return np.sqrt(r, out=r)
    r = np.abs(parts[0])
    for p in parts[1:]:
        np.hypot(r, p, out=r)
    return r


def _signs(X: Array) -> Array:
    axes = X.ndim - 1
    # Counts of at most two signs per axis: eight bits hold them, with an eighth of the
    # memory.
    g = np.zeros(X.shape, np.int8)
    for (low, up), (before, after) in zip(
        _pairs(X, axes), _pairs(g, axes), strict=True
    ):
        s = (up > low).view(np.int8)
        s -= (up < low).view(np.int8)
        after += s
        before -= s
    return g


def _directions(X: Array) -> Array:
    axes = X.ndim - 1
    parts = _gradient(X, axes)
    r = _lengths(parts)
    r[r == 0] = 1.0
    g = np.zeros(X.shape, X.dtype)
    corner = g[:, *(slice(None, -1),) * axes]
    for a, p in enumerate(parts):
        p /= r
        corner -= p
        further = _next(g, a, axes)
        further += p
    return g


def _blocked(rule: Any, X: Array) -> Array:
    """rule(X), some arrays or some rows at a time, so that they stay in the cache.

    A row needs its two neighbours.
    """
    if X.ndim == 1:
        return np.zeros(X.shape, X.dtype)
    out = np.empty(X.shape, X.dtype)
    B, m = X.shape[:2]
    row = math.prod(X.shape[2:])
    many, rows = max(BLOCK // (m * row), 1), max(BLOCK // row, 16)
    for k in range(0, B, many):
        for r in range(0, m, rows):
            first, last = max(r - 1, 0), min(r + rows + 1, m)
            g = rule(X[k : k + many, first:last])
            out[k : k + many, r : r + rows] = g[:, r - first : r - first + rows]
    return out


tv = ShapedAtom(
    TotalVariation,
    True,
    name="tv",
    doc="""The isotropic `TotalVariation`: sum_i |x_{i+1} - x_i| of a vector,
sum_ij |(x_{i+1,j} - x_ij, x_{i,j+1} - x_ij)| of an image.""",
    axes=None,
)


def total_variation(isotropic: bool = True) -> ShapedAtom:
    """`tv`, or if not isotropic sum |x_j - x_i| over neighbours: `TotalVariation`."""
    if not isinstance(isotropic, bool | np.bool_):
        raise TypeError(
            f"isotropic must be True or False, got {type(isotropic).__name__}; of X it "
            "is tv(X) or total_variation(False)(X)"
        )
    name, doc = f"total_variation({isotropic})", total_variation.__doc__
    return ShapedAtom(TotalVariation, bool(isotropic), name=name, doc=doc, axes=None)
