"""Hulls of the permutations of a vector, with and without changes of sign."""

from __future__ import annotations

from itertools import permutations, product
from math import factorial
from typing import Any, ClassVar

import numpy as np

from subgrad._batch import every
from subgrad._check import Array, nonnegative, vector
from subgrad._jacobian import Jacobian, of_pools
from subgrad.core import Mask, Set, norm
from subgrad.interval import Interval
from subgrad.sets._pav import FREE, ORDER, averages, pools


def _back(a: Array, order: Array) -> Array:
    """The sorted entries a, each in its place."""
    out = np.empty(np.broadcast_shapes(a.shape, order.shape), a.dtype)
    np.put_along_axis(out, np.broadcast_to(order, out.shape), a, -1)
    return out


def _take(a: Array, order: Array) -> Array:
    shape = np.broadcast_shapes(a.shape, order.shape)
    order = np.broadcast_to(order, shape)
    return np.take_along_axis(np.broadcast_to(a, shape), order, -1)


def _runs(fresh: Mask) -> tuple[Array, Array]:
    """Where the run that holds each entry begins and ends, `fresh` at beginnings."""
    n = fresh.shape[-1]
    first = np.maximum.accumulate(np.where(fresh, np.arange(n), 0), -1)
    stop = np.where(np.roll(fresh, -1, axis=-1), np.arange(n), n)[..., ::-1]
    return first, np.minimum.accumulate(stop, -1)[..., ::-1]


class Permutahedron(Set):
    r"""conv{(w_{p(1)}, ..., w_{p(n)}) : p a permutation}, the vectors majorized by w.

    .. math:: h(d) = \sum_i w_{[i]} d_{[i]}

    with both sorted decreasingly; weights (..., n), in any order. A face splits the
    coordinates into blocks, of `rank` 0, 1, ..., that share consecutive weights. The
    projection is y - x where x, sorted as y is, is the isotonic regression of y - w
    (Negrinho and Martins 2014).
    """

    # Where sign_i = ±1, sign_i s_i takes part in the majorization of its block; where
    # it is 0, |s_i| does, in the weak one, and s_i lies between _low_i and _up_i, each
    # 0 or infinite. Those are the last block, and its weights are nonnegative.
    _arrays: ClassVar = Set._arrays | {
        "weights": 1,
        "rank": 1,
        "sign": 1,
        "_low": 1,
        "_up": 1,
    }
    polyhedral = True
    _first_sign = 1.0

    def __init__(self, weights: Any) -> None:
        self.weights = -np.sort(-vector("weights", weights, None), axis=-1)
        self.dim = self.weights.shape[-1]
        self.rank, self.sign = np.zeros(1, int), np.full(1, self._first_sign)
        self._low, self._up = np.full(1, -np.inf), np.full(1, np.inf)

    def _like(self, rank: Array, sign: Array, low: Array, up: Array) -> Permutahedron:
        new = type(self).__new__(type(self))
        new.weights, new.dim = self.weights, self.dim
        new.rank, new.sign, new._low, new._up = rank, sign, low, up
        return new

    @property
    def _loose(self) -> Mask:
        return self.sign == 0

    def _heights(self, d: Array) -> tuple[Array, Array, Array]:
        """v, signs and c with <s, d> = <|s|, v> at most: c = signs v, the rest lost."""
        c = np.where(self._loose, np.clip(d, self._low, self._up), d)
        signs = np.where(self._loose, np.sign(c), self.sign)
        return signs * c, signs, c

    def _order(self, *keys: Array) -> Array:
        """The coordinates by block, then by falling keys."""
        if self.rank.shape[-1] == 1 and len(keys) == 1:
            return np.argsort(-keys[0], axis=-1, kind="stable")
        falling = [-key for key in keys[::-1]]
        return np.lexsort(np.broadcast_arrays(*falling, self.rank))

    def _fresh(self, order: Array) -> Mask:
        """Which sorted entries begin a block."""
        if self.rank.shape[-1] == 1:
            return np.broadcast_to(np.arange(self.dim) == 0, order.shape)
        rank = _take(self.rank, order)
        fresh = np.ones(rank.shape, bool)
        fresh[..., 1:] = rank[..., 1:] > rank[..., :-1]
        return fresh

    def _support(self, d: Array) -> Array:
        v = self._heights(d)[0]
        if self.rank.shape[-1] == 1:
            return np.vecdot(self.weights[..., ::-1], np.sort(v, axis=-1))
        return np.vecdot(self.weights, _take(v, self._order(v)))

    def _support_point(self, d: Array) -> Array:
        v, signs, _ = self._heights(d)
        return signs * _back(self.weights, self._order(v))

    def _cut(self, d: Array, width: Array) -> Permutahedron:
        """The blocks cut where consecutive heights differ by more than `width`.

        With width 0 the exposed face; what is not cut from zero keeps both signs.
        """
        v, signs, c = self._heights(d)
        order = self._order(v)
        z = _take(v, order)
        fresh = self._fresh(order)[..., 1:] | (z[..., :-1] - z[..., 1:] > width)
        zero = np.zeros((*fresh.shape[:-1], 1), int)
        label = np.concatenate([zero, np.cumsum(fresh, axis=-1)], -1)
        loose = self._loose
        low = (label == label[..., -1:]) & (z[..., -1:] <= width)
        open_ = loose & _back(low, order)
        shut = loose & (c == 0) & (d != 0)
        return self._like(
            _back(label, order),
            np.where(open_, 0.0, signs),
            np.where(shut, 0.0, self._low),
            np.where(shut, 0.0, self._up),
        )

    def _face(self, d: Array, eps: Array) -> Permutahedron:
        width = np.zeros(1)
        if not np.any(eps):
            return self._cut(d, width)
        # The widest gap to leave uncut such that the worst member loses at most eps.
        v = self._heights(d)[0]
        order = self._order(v)
        shape = np.broadcast_shapes(order.shape, (*self.batch, 1), (*eps.shape, 1))
        z, fresh = (
            np.broadcast_to(a, shape) for a in (_take(v, order), self._fresh(order))
        )
        last = _take(self._loose, order)[..., -1:]
        last = np.broadcast_to(np.where(last, z[..., -1:], np.inf), (*shape[:-1], 1))
        gaps = np.where(fresh[..., 1:], 0.0, z[..., :-1] - z[..., 1:])
        down = np.where(np.isinf(last), 0.0, last)
        reach = np.sort(np.concatenate([0 * down, gaps, down], -1), axis=-1)
        low = np.zeros((*shape[:-1], 1), int)
        high = np.full_like(low, self.dim)
        for _ in range((self.dim + 1).bit_length()):
            mid = (low + high + 1) // 2
            width = np.take_along_axis(reach, mid, -1)
            cut = fresh.copy()
            cut[..., 1:] |= z[..., :-1] - z[..., 1:] > width
            first, end = _runs(cut)
            # The worst member has the weights of every block in the wrong order, and
            # in one that reaches zero the wrong signs.
            worst = np.take_along_axis(z, first + end - np.arange(self.dim), -1)
            flip = (end == self.dim - 1) & (last <= width)
            loss = np.vecdot(self.weights, z - np.where(flip, -z, worst))
            ok = (loss <= eps)[..., None]
            low, high = np.where(ok, mid, low), np.where(ok, high, mid - 1)
        return self._cut(d, np.take_along_axis(reach, low, -1))

    def _pooled(self, v: Array, t: Array) -> tuple[Array, ...]:
        """The order of v, v in it, its pools: their starts, means of t w and of v."""
        trivial = self.rank.shape[-1] == 1
        order = np.argsort(-v, axis=-1) if trivial else self._order(v)
        w = np.asarray(t)[..., None] * self.weights
        shape = np.broadcast_shapes(order.shape, w.shape)
        z, w = (np.broadcast_to(a, shape).reshape(-1) for a in (_take(v, order), w))
        link = np.broadcast_to(np.where(self._fresh(order), FREE, ORDER), shape)
        starts = pools(z - w, link.reshape(-1))
        mean, level = averages(w, starts), averages(z, starts)
        return np.broadcast_to(order, shape), z, starts, mean, level

    def _project(self, y: Array) -> Array:
        v, signs, _ = self._heights(y)
        order, z, starts, mean, level = self._pooled(v, np.ones(()))
        # The deviations from a mean, their own mean taken off: sums right at any scale.
        off = z - level
        p = mean + (off - averages(off, starts))
        gone = (level <= mean).reshape(order.shape) & _take(self._loose, order)
        p = np.where(gone, z.reshape(order.shape), p.reshape(order.shape))
        return signs * _back(p, order)

    def _project_jacobian(self, y: Array) -> Jacobian:
        """In what is pooled the mean stays, and nothing that is alone moves."""
        v, signs, _ = self._heights(y)
        order, _, starts, _, _ = self._pooled(v, np.ones(()))
        w = self.weights
        # Pools of equal weights are pools by rounding: equal entries, each at its end.
        ends = np.append(starts[1:], self.dim)
        equal = np.repeat(w[starts] == w[ends - 1], ends - starts)
        starts = np.flatnonzero(equal | np.isin(np.arange(self.dim), starts))
        mean = averages(w, starts)
        gone = (averages(v[order], starts) <= mean) & (mean > 0)
        gone = gone & _take(self._loose, order)
        u, labels = of_pools(starts, order, np.where(signs == 0, 1.0, signs))
        moves = ~self._loose | ((self._low < y) & (y < self._up))
        u = u * moves
        return Jacobian(moves * 1.0, u, gone[starts] * 1.0, labels)

    def _gauge(self, z: Array) -> Any:
        free = np.isinf(self._low) & np.isinf(self._up) & self._loose
        if not (self.rank.shape[-1] == 1 and np.all(free)):
            return super()._gauge(z)
        most = np.cumsum(-np.sort(-np.abs(z)))
        with np.errstate(divide="ignore", invalid="ignore"):
            t = most / np.cumsum(self.weights)
        return np.max(np.where(most == 0, 0.0, t))

    def _shrink(self, x: Array, t: Array) -> Array:
        """The prox of t h, equal in exactly what is pooled."""
        v, signs, c = self._heights(x)
        order, _, _, mean, level = self._pooled(v, t)
        left = _back((level - mean).reshape(order.shape), order)
        left = np.where(self._loose, np.maximum(left, 0.0), left)
        return x - c + signs * left

    def _ends(self, order: Array) -> tuple[Array, Array]:
        """The largest and the least weight of its block, for every sorted entry."""
        first, last = _runs(self._fresh(order))
        return _take(self.weights, first), _take(self.weights, last)

    def _box(self) -> Interval:
        order = self._order(np.zeros(self.dim))
        most, least = (_back(a, order) for a in self._ends(order))
        loose = self._loose
        up = np.where(self.sign > 0, most, -least)
        low = np.where(self.sign > 0, least, -most)
        return Interval._raw(
            np.where(loose, np.maximum(-most, self._low), low),
            np.where(loose, np.minimum(most, self._up), up),
        )

    def _symmetries(self) -> tuple[Mask, Mask, Mask]:
        marks = self.rank, self.sign, self._low, self._up
        same = every(a == np.roll(a, -1, -1) for a in marks)
        whole, box = np.ones(self.dim, bool), self._box()
        even = self._loose & (self._low == -self._up)
        return same & whole, even & whole, box.lower == box.upper

    def _interior(self, z: Array) -> Any:
        v = self._heights(z)[0]
        order = self._order(v)
        v, loose = _take(v, order), _take(self._loose, order)
        size = np.abs(self.weights).sum(-1, keepdims=True)
        strict = np.cumsum(self.weights - v, axis=-1) > 1e-12 * size
        end = np.roll(self._fresh(order), -1, axis=-1) & ~loose
        most, least = self._ends(order)
        fixed = (most == least) & (v == most) & (~loose | (most == 0))
        free = (self.sign != 0) | (np.isinf(self._low) & np.isinf(self._up))
        inside = np.all(strict | end | fixed, axis=-1) & np.all(free, axis=-1)
        return inside & self._contains(z, 1e-9)

    def _feasible(self, x: Array, d: Array) -> Any:
        # The sums of k largest that are at their limit must not grow.
        v, signs, _ = self._heights(x)
        c = np.where(signs == 0, np.clip(d, self._low, self._up), d)
        rate = np.where(signs == 0, np.abs(c), signs * d)
        order = self._order(v, rate)
        w, small = self.weights, 1e-9 * norm(d)[..., None]
        size = 1e-9 * np.abs(w).sum(-1, keepdims=True)
        slack = np.cumsum(w - _take(v, order), axis=-1)
        grown = np.cumsum(_take(rate, order), axis=-1)
        end = np.roll(self._fresh(order), -1, axis=-1)
        end &= ~_take(self._loose, order)
        ok = (slack > size) | (grown <= small)
        ok &= ~end | (np.abs(grown) <= small)
        return np.all(ok, axis=-1) & np.all(c == d, axis=-1)

    def _corners(self) -> Any:
        n, loose = self.dim, bool(np.any(self._loose))
        if factorial(n) * 2 ** (n * loose) > 4000:
            return None
        signs = np.array(list(product([1.0, -1.0], repeat=n))) if loose else np.ones(1)
        d = np.array(list(permutations(range(1, n + 1))), float)
        # All orders of the heights, in blocks of a negative sign too.
        d = (d[:, None] * signs).reshape(-1, n) * np.where(self._loose, 1.0, self.sign)
        return np.unique(self._support_point(d), axis=0), np.zeros((0, n))

    def _part(self, low: Mask, high: Mask) -> Set:
        loose, box = self._loose, self._box()
        inside = (~low | (box.lower >= 0)) & (~high | (box.upper <= 0))
        if not np.all(inside | loose | ~self.nonempty[..., None]):
            return super()._part(low, high)
        lower, upper = np.where(low, 0.0, self._low), np.where(high, 0.0, self._up)
        return self._like(self.rank, self.sign, lower, upper)

    def _blocks(self) -> list[tuple[Array, Array]]:
        """The coordinates of every block, and its weights."""
        order = self._order(np.zeros(self.dim))
        cuts = np.flatnonzero(self._fresh(order))[1:]
        split = np.split(order, cuts), np.split(self.weights, cuts)
        return list(zip(*split, strict=True))

    def _cvxpy(self, z: Any, scale: Any) -> list[Any]:
        import cvxpy as cp

        sides = []
        sign, low, up = np.broadcast_arrays(
            self.sign, self._low, self._up, np.zeros(self.dim)
        )[:3]
        for i, w in self._blocks():
            # Birkhoff: what w majorizes are its products with doubly stochastic P.
            P = cp.Variable((len(i), len(i)), nonneg=True)
            sides += [cp.sum(P, axis=k) == scale * np.ones(len(i)) for k in (0, 1)]
            if sign[i[0]]:
                sides.append(z[i] == cp.multiply(sign[i], P @ w))
                continue
            sides += [z[i] <= P @ w, -z[i] <= P @ w]
            sides += [z[j] >= 0 for j in i if low[j] == 0]
            sides += [z[j] <= 0 for j in i if up[j] == 0]
        return sides

    def _support_cvxpy(self, x: Any) -> Any:
        import cvxpy as cp

        loose, flat = self._loose, np.zeros(self.dim)
        plus = np.where(loose, (self._up > 0) * 1.0, self.sign) + flat
        minus = np.where(loose, (self._low < 0) * -1.0, self.sign) + flat
        terms = []
        for i, w in self._blocks():
            v: Any = cp.multiply(plus[i], x[i])
            if np.any(minus[i] != plus[i]):
                v = cp.maximum(v, cp.multiply(minus[i], x[i]))
            terms.append(cp.dotsort(v, w))
        return sum(terms)

    def __repr__(self) -> str:
        shown = f"{type(self).__name__}({self.weights}"
        if self.rank.shape[-1] > 1:
            shown += f", rank={self.rank}, sign={self.sign}"
        return shown + ")"


class SignedPermutahedron(Permutahedron):
    r"""{s : |s| weakly majorized by w}, the hull of all (±w_{p(1)}, ..., ±w_{p(n)}).

    .. math:: h(d) = \sum_i w_{[i]} |d|_{[i]}

    The unit ball of the dual of the ordered weighted l1 norm (Zeng and Figueiredo
    2014). weights (..., n) >= 0, in any order.
    """

    _first_sign = 0.0

    def __init__(self, weights: Any) -> None:
        super().__init__(nonnegative("weights", weights))
