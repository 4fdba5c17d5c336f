r"""The rows that matter, and the method of multipliers on these alone.

Where multipliers are zero on open sets, as those of

.. math:: \min_u \ \tfrac12 \langle q u, u \rangle + \langle c, u \rangle + h(K u + b)

are with h* a norm of sums of absolute values, few of them are not zero at a solution.
The problem is solved with h restricted to some rows, y = 0 in the others; of these the
ones where y = 0 is not the proximal point of the whole problem are added, until there
are none. Y. Yuan, M. Lin, D. Sun and K.-C. Toh, Adaptive sieving, arXiv:2306.17369
(2023); M. Massias, A. Gramfort and J. Salmon, Celer, ICML (2018).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, singledispatch
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from subgrad._check import Array
from subgrad.affine import Matrix, Operator, Sparse
from subgrad.calculus.scale import Scaled, scale
from subgrad.calculus.sum import Sum
from subgrad.core import Function
from subgrad.functions.indicator import Indicator
from subgrad.functions.linear import Affine, Linear
from subgrad.functions.norms import GroupNorm, Norm1
from subgrad.functions.quadratic import SquaredNorm
from subgrad.functions.separable import Separable
from subgrad.functions.support import Support
from subgrad.sets.box import Box
from subgrad.solvers.structured.augmented_lagrangian import AugmentedLagrangian
from subgrad.solvers.structured.form import Block, Form, Remembered, _Star

# Rows to start with, of the length of u: with q = 0 few of them leave it unbounded.
FIRST, FLAT = 0.2, 2.0
WIDE = 1.05  # times the slopes, of rows that may be asked for soon
ROUNDS = 20
NEAR = 1e6  # times the unit: the largest weight to start with
SURE = 1e-7  # how far from its end a start is that may need no step
LARGE = 2**16  # entries of the matrix
Part = Callable[[Array], Function]


class Known(NamedTuple):
    """Products G = K Kᵀ between `rows` of a map K, and A, its rows `here`.

    `ends` are pairs of points u and K u, at which the last problems ended.
    """

    rows: Array
    G: Array
    ends: list[tuple[Array, Array]]
    here: Array
    A: Any


# For the next problem with the same map.
KEPT: WeakKeyDictionary[Operator, Known] = WeakKeyDictionary()


@singledispatch
def pieces(h: Function) -> tuple[Array | None, Part]:
    """Labels of what cannot be parted, None for single entries, and at -> h_at.

    h_at(v) is h at the point with the entries v at the places `at`, and 0 elsewhere.
    """
    raise NotImplementedError(f"{type(h).__name__} of some of its entries")


@pieces.register(Norm1)
@pieces.register(SquaredNorm)
def _(h: Function) -> tuple[Array | None, Part]:
    return None, lambda at: h


@pieces.register
def _(h: Support) -> tuple[Array | None, Part]:
    C = getattr(h, "S", None)
    if not isinstance(C, Box):
        raise NotImplementedError(f"{type(h).__name__} of some of its entries")
    return None, lambda at: Support(Box._raw(C.lower[at], C.upper[at]))


@pieces.register
def _(h: Separable) -> tuple[Array | None, Part]:
    if h.phi.batch or float(h.phi._value(np.zeros(()))) != 0:
        raise NotImplementedError("entries that cost at 0")
    w = h.weights
    return None, lambda at: h if w is None else Separable(h.phi, w[at])


@pieces.register
def _(h: GroupNorm) -> tuple[Array | None, Part]:
    labels = h.groups.labels

    def part(at: Array) -> Function:
        return GroupNorm(labels[at], h.weights[np.unique(labels[at])])

    return labels, part


@pieces.register
def _(h: Affine) -> tuple[Array | None, Part]:
    g = h._gradient(h.n)
    return None, lambda at: Linear(g[at])


@pieces.register
def _(h: Indicator) -> tuple[Array | None, Part]:
    C = h.S
    if not isinstance(C, Box):
        raise NotImplementedError("a set of some of its entries")
    return None, lambda at: Indicator(Box._raw(C.lower[at], C.upper[at]))


@pieces.register
def _(h: Scaled) -> tuple[Array | None, Part]:
    labels, part = pieces(h.f)
    return labels, lambda at: scale(part(at), h.a)


@pieces.register
def _(h: Sum) -> tuple[Array | None, Part]:
    each = [pieces(p) for p in h.parts]
    labels = [found for found, _ in each if found is not None]
    if len(labels) > 1:
        raise NotImplementedError("two kinds of groups")
    one = labels[0] if labels else None
    return one, lambda at: Sum(tuple(p(at) for _, p in each))


@pieces.register
def _(h: _Star) -> tuple[Array | None, Part]:
    labels, part = pieces(h.f)
    return labels, lambda at: _Star(part(at), len(at))


def sieved(form: Form, x: Array | None, y: Array | None) -> Sieve | None:
    """The method where it fits and there is something to gain."""
    block = form.blocks[0]
    if not form.dual or block.op.rows * block.op.cols < LARGE:
        return None
    try:
        return Sieve(form, x, y)
    except NotImplementedError:
        return None


class Sieve:
    """The method on the rows of one block; x, y and `step()` as there.

    `rows` are their numbers; `rest` the largest entry of the proximal point in the
    others, against the largest of all; `passes` counts products with all rows.
    """

    patience = 24  # steps without progress: with other rows it may come
    near = False  # whether the start may be the end

    def __init__(self, form: Form, x: Array | None, y: Array | None) -> None:
        (self.block,) = form.blocks
        self.form = form
        self.labels, self.part = pieces(self.block.h)
        self.passes, self.rest = 0, 0.0
        if x is None and y is not None and np.count_nonzero(y) > len(y) / 4:
            y = None  # a point that is not sparse says nothing
        rows = np.zeros(len(form.b), bool) if y is None else y != 0
        u = self._first() if x is None else x
        z = self._slopes(u) if x is None else self._near(u)
        if np.all(form.q > 0):
            share = FIRST
            sigma = _square(u) * float(form.q.mean()) / (_square(z) or 1.0)
        else:
            sigma, share = 1.0, FLAT
            z = z / (float(np.sqrt(_square(z) / len(z))) or 1.0)
        wide = z if x is None else WIDE * z
        more = self._found(wide, sigma or 1.0, rows)
        if not rows.any():
            more[np.argmax(np.abs(z))] += 1e-300  # one at least
        most = max(int(share * form.n), 2 * int(np.count_nonzero(rows)), 1)
        self.here = self._joined(rows, more, most)
        self.start: Any = x, y
        self.share: float | None = None
        if x is not None and y is not None and np.all(form.q > 0):
            away = self._away(z, y, sigma or 1.0)
            self.near = away < SURE
            self.share = float(np.clip(10 / max(away, 1e-9) ** 4, 10, NEAR))

    @cached_property
    def inner(self) -> AugmentedLagrangian:
        """The method on the rows in use: not asked for where no step is needed."""
        x, y = self.start
        inner = self._restricted(x, None if y is None else y[self.rows])
        if self.share is not None:
            inner.sigma = self.share * inner.unit
        elif not inner.strong:
            # The unit is then that of all rows.
            inner.sigma *= float(np.sqrt(len(self.rows) / len(self.form.b)))
        return inner

    @property
    def rows(self) -> Array:
        return np.flatnonzero(self.here)

    def _first(self) -> Array:
        """Where the quadratic is least, or, if it is not, a way down."""
        c, q = self.form.c, self.form.q
        return -c / np.where(q > 0, q, 1.0)

    @property
    def x(self) -> Array:
        return self.start[0] if self.near else self.inner.x

    @property
    def y(self) -> Array:
        if self.near:
            return self.start[1]
        y = np.zeros(len(self.form.b))
        y[self.rows] = self.inner.y
        return y

    def residual(self) -> Array:
        """q x + c + Aᵀ y."""
        return self.inner.residual()

    def due(self) -> bool:
        """Whether the rows in use are about all that count."""
        return self.rest < 1e-3

    def step(self) -> None:
        """Steps of the multipliers, until no other row asks to be added."""
        self.near = False
        for _ in range(ROUNDS):
            self.inner.step()
            alone = self.inner.strong or self.here.all()
            if self.inner.failures > 1 and not alone:
                # Equations may have no solution in these entries alone.
                self.here = np.ones_like(self.here)
                self.inner = self._restricted(None, None)
                self.inner.step()
            z = self._slopes(self.x)
            self._keep(z)
            size = self._found(z, self.inner.sigma, self.here)
            top = float(np.abs(self.inner.y).max(initial=0.0))
            self.rest = float(size.max(initial=0.0)) / (top or 1.0)
            if self.rest == 0:
                break
            old, y = self.inner, self.y
            self.here = self._joined(self.here, size, max(2 * len(self.rows), 20))
            self.inner = self._restricted(old.x, y[self.here])
            self.inner.sigma, self.inner.grow = old.sigma, old.grow
            self.inner.steps, self.inner.failures = old.steps, old.failures
            self.inner.newtons = old.newtons
            if self.due():
                break

    def _away(self, z: Array, y: Array, sigma: float) -> float:
        """How far y is from the proximal point there, against z."""
        move = self.form.dual_prox(y + sigma * z, np.array([sigma])) - y
        return float(np.linalg.norm(move) / sigma / (np.linalg.norm(z) or 1.0))

    def _slopes(self, u: Array) -> Array:
        self.passes += 1
        return self.form.linear(u) + self.form.b

    def _near(self, u: Array) -> Array:
        """The same by earlier products, on a line through points where these end."""
        known = KEPT.get(self._map)
        if known is not None:
            U, Z = map(np.array, zip(*known.ends, strict=True))
            t = np.linalg.lstsq(U.T, u)[0]
            if np.all(np.abs(u - t @ U) <= 1e-12 * np.abs(u).max(initial=0.0)):
                return t @ Z + self.form.b
        return self._slopes(u)

    def _found(self, z: Array, sigma: float, here: Array) -> Array:
        """How far the proximal point is from 0, with the rows `here` at their best."""
        w = np.where(here, 0.0, sigma * z)
        size = np.abs(self.form.dual_prox(w, np.array([sigma])))
        size[here] = 0
        return size

    def _joined(self, here: Array, size: Array, most: int) -> Array:
        """With the `most` rows of largest size, and what cannot be parted from them."""
        some = np.flatnonzero(size)
        if len(some) > most:
            some = some[np.argpartition(-size[some], most)[:most]]
        rows = here.copy()
        rows[some] = True
        if self.labels is not None:
            rows = np.isin(self.labels, self.labels[rows])
        return rows

    def _restricted(self, x: Array | None, y: Array | None) -> AugmentedLagrangian:
        here, rows = self.here, self.rows
        A = self._taken(rows)
        op = Matrix(A) if isinstance(A, np.ndarray) else Sparse(A.tocsr())
        block = Block(self.part(rows), op, self.form.b[rows])
        form = Form(self.form.q, self.form.c, (block,), self.form.source, dual=True)
        inner = AugmentedLagrangian(form, x, y)
        known, products = KEPT.get(self._map), inner.systems.products
        if known is not None and products is not None:
            on = np.flatnonzero(here[known.rows])
            place = np.cumsum(here) - 1
            G = known.G.take(on, 0).take(on, 1)
            products.learn(place[known.rows[on]], G)
        return inner

    def _taken(self, rows: Array) -> Any:
        """Rows of the map; those of the last time lie side by side."""
        A, known = self.block.matrix, KEPT.get(self._map)
        if known is None or not isinstance(A, np.ndarray):
            return A[rows]
        old = known.here[rows]
        out = np.empty((len(rows), A.shape[1]))
        out[old] = known.A[known.here.cumsum()[rows[old]] - 1]
        out[~old] = A.T[:, rows[~old]].T  # half the time of A[...]
        return out

    @property
    def _map(self) -> Operator:
        """The map that problems have in common."""
        op = self.block.op.T
        return op.op if isinstance(op, Remembered) else op

    def _keep(self, z: Array) -> None:
        found = self.inner.systems.products
        if found is not None:
            rows = self.rows[found.rows]
            known, ends = KEPT.get(self._map), [(self.x, z - self.form.b)]
            if known is not None:
                ends = [*ends, *known.ends[:2]]
            KEPT[self._map] = Known(rows, found.G, ends, self.here, found.A)


def _square(x: Array) -> float:
    return float(np.vdot(x, x))
