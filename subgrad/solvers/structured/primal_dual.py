r"""Restarted primal-dual hybrid gradient steps: products with the maps, and proxes.

.. math:: x_+ = \frac{x - \tau (c + A^T y)}{1 + \tau q}, \qquad
   y_+ = \mathrm{prox}_{\sigma h^*}\big(y + \sigma (A (2 x_+ - x) + b)\big), \qquad
   \tau \sigma |A|^2 < 1

T maps p = (x, y) to (x_+, y_+), and a saddle point is a fixed point of T. From a point
p_0 the steps are Halpern's, of the reflected map,

.. math:: p_{k+1} = \frac{k + 1}{k + 2} (2 T(p_k) - p_k) + \frac{1}{k + 2} p_0,

and p_0 is replaced by T(p_k) when |p_k - T(p_k)| has fallen enough, in the norm in
which T is nonexpansive. The ratio of σ to τ follows the ratio of the ways that y and x
went between restarts. A. Chambolle and T. Pock, A first-order primal-dual algorithm for
convex problems, J. Math. Imaging Vis. 40 (2011); H. Lu and J. Yang, Restarted Halpern
PDHG for linear programming, arXiv 2407.16144 (2024).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from subgrad._check import Array
from subgrad.solvers.structured.augmented_lagrangian import typical_ratio
from subgrad.solvers.structured.form import Form, slices
from subgrad.solvers.structured.stencil import stencil

LOOK = 16  # iterations between two looks at the fixed-point residual
LOOKS = 2  # in one step
FALL = 0.2  # a residual that fell so far since the last restart is a reason for one,
SOME = 0.8  # or so far if it rises again,
SHARE = 0.2  # or so many of all iterations without a restart
FOLLOW = 0.7  # how much of the way, in logarithms, the ratio of the steps follows
MOST = 1e20  # how far it may go from where it starts
PROBES = 4  # random vectors for the lengths of rows
POWER = 20  # iterations for an estimate of |A|, with
SMALL = 16_384  # rows
MARGIN = 1.02  # on the estimate of |A|
FLOOR = 4  # ulps
Products = Callable[[Array], Array]
EPS = float(np.finfo(np.float64).eps)


class PrimalDual:
    """The method on one form: x, and y in the domain of h*, after so many `step()`s.

    `change` is |p - T(p)| at the last look; `products` counts products with A and with
    its adjoint, `restarts` the restarts. Where rounding keeps p from coming closer to
    T(p), `settled` is True and `step` does nothing.
    """

    patience = 400  # steps without progress that are no reason to give up

    def __init__(
        self,
        form: Form,
        x: Array | None = None,
        y: Array | None = None,
        limit: float = np.inf,
    ) -> None:
        self.form, self.products, self.limit = form, PROBES, limit
        # Rows of all blocks count as if they had one length.
        squares = _squares(form)
        self.rho = squares.max() / squares
        self.each = form.spread(self.rho)
        self.linear, self.adjoint = _maps(form)
        self.norm = MARGIN * self._norm()
        unit = typical_ratio(form, self.rho, float(squares.max() * len(form.b)))
        self.unit = self.weight = 10 * unit * self.norm
        self.x = np.zeros(form.n) if x is None else np.array(x, float)
        self.fused = stencil(form)
        if y is None:
            y = np.zeros(len(form.b))
            if self.fused is None:  # it is 0 for a norm
                y = form.dual_prox(y, self.rho * self.weight)
        self.y = np.array(y, float)
        self.iterations = self.restarts = self.k = self.next = 0
        self.change, self.settled = np.inf, False
        self.point = np.empty_like(self.x), np.empty_like(self.y)
        self._anchor(np.inf)

    def due(self) -> bool:
        """Whether to look for a bound, which may cost as much as some iterations."""
        if self.iterations < self.next:
            return False
        self.next = int(1.1 * self.iterations)
        return True

    def _norm(self) -> float:
        """|A| with the blocks scaled, by power iteration: nearly, and from below."""
        form, size = self.form, 0.0
        v = np.random.default_rng(0).standard_normal(form.n)
        for _ in range(POWER):
            v /= np.linalg.norm(v)
            v = self.adjoint(self.each * self.linear(v))
            size = float(np.linalg.norm(v))
            if size == 0:
                return 1.0
        self.products += 2 * POWER
        return float(np.sqrt(size))

    @property
    def z(self) -> Array:
        """A x + b."""
        return self.linear(self.x) + self.form.b

    def residual(self) -> Array:
        """q x + c + Aᵀ y, zero at a saddle point."""
        return self.form.q * self.x + self.form.c + self.adjoint(self.y)

    def step(self) -> None:
        """Some iterations, and looks whether to restart."""
        for _ in range(LOOKS):
            if self.settled:
                return
            self._look()
            self.settled |= self.iterations >= self.limit

    def _look(self) -> None:
        """Iterations up to the next look, and a restart or not."""
        shares = self.k + np.arange(1.0, LOOK + 1)
        shares /= shares + 1
        self._advance(shares[:-1])
        (x, y), a = self.point, shares[-1]
        # What nobody keeps makes room first.
        self.x, self.y = self.start
        self.x, self.y = self._map(x, y)
        self.k, self.iterations = self.k + LOOK, self.iterations + LOOK
        # x and y hold T(p) - p until it is clear how to go on.
        np.subtract(self.x, x, out=x)
        np.subtract(self.y, y, out=y)
        cross, along = self._along(x, y)
        self.products += 2 * LOOK + 1
        sizes = _square(x), self._square(y, -1), cross
        stretch = float(np.sqrt(along / (sizes[0] or 1.0)))
        if stretch > self.norm:
            # The steps were too long: back, and shorter ones.
            self.norm, (self.x, self.y) = MARGIN * stretch, self.start
            self._anchor(np.inf)
            return
        self.change = self._length(*sizes)
        ends = _square(self.x), self._square(self.y, -1), 0.0
        self.settled = self.change <= FLOOR * EPS * self._length(*ends)
        if self._enough():
            self._weigh()
            self._anchor(self._length(*sizes))
            self.restarts += 1
            return
        self.last = self.change
        for p, new, p0 in zip((x, y), (self.x, self.y), self.start, strict=True):
            for at in slices(p):
                part = p[at]
                part += new[at]
                part *= a
                part += (1 - a) * p0[at]

    def _enough(self) -> bool:
        """Whether to restart."""
        return (
            self.change <= FALL * self.first
            or (self.change <= SOME * self.first and self.change > self.last)
            or self.k >= SHARE * self.iterations
        )

    def _anchor(self, first: float) -> None:
        """Start anew from x and y, with this residual."""
        self.start = self.x, self.y
        for p, new in zip(self.point, self.start, strict=True):
            p[:] = new
        self.k, self.first, self.last = 0, first, first

    def _weigh(self) -> None:
        """The ratio of the steps, by the ways from the last anchor."""
        x0, y0 = self.start
        way, dual = _square(self.x, x0), self._square(self.y, -1, y0)
        if way > 0 and dual > 0:
            goal = float(np.sqrt(dual / way))
            goal = self.weight ** (1 - FOLLOW) * goal**FOLLOW
            # Without a saddle point it would go on for ever.
            self.weight = min(max(goal, self.unit / MOST), self.unit * MOST)

    def _square(self, y: Array, power: int, y0: Array | None = None) -> float:
        """The sum of ρ_k^power |y_k - y0_k|²; y0 is 0 if not given."""
        return float(sum(
            r**power * _square(y[at], None if y0 is None else y0[at])
            for at, r in zip(self.form.cuts, self.rho, strict=True)
        ))  # fmt: skip

    def _along(self, x: Array, y: Array) -> tuple[float, float]:
        """<y, A x>, and |A x|² with the blocks scaled."""
        if self.fused is not None:
            cross, along = self.fused.sums(x, y)
            return cross, float(self.rho[0]) * along
        z = self.linear(x)
        return float(np.vdot(y, z)), self._square(z, 1)

    @property
    def steps(self) -> tuple[float, float]:
        """τ and σ, that of a block being σ times its ρ."""
        return 1 / (self.norm * self.weight), self.weight / self.norm

    def _length(self, x: float, y: float, cross: float) -> float:
        """The norm of (x, y) in which T is nonexpansive, of squares and <y, A x>."""
        tau, sigma = self.steps
        return float(np.sqrt(max(x / tau + y / sigma - 2 * cross, 0.0)))

    def _map(self, x: Array, y: Array) -> tuple[Array, Array]:
        """T(x, y)."""
        form, (tau, sigma) = self.form, self.steps
        if self.fused is not None:
            new, y = x.copy(), y.copy()
            image = np.array([[1.0, 0.0, 0.0]])
            self.fused.advance((new, y), (new, y), tau, sigma, image)
            return new, y
        new = (x - tau * (form.c + self.adjoint(y))) / (1 + tau * form.q)
        w = y + sigma * self.each * (self.linear(2 * new - x) + form.b)
        return new, form.dual_prox(w, sigma * self.rho)

    def _advance(self, shares: Array) -> None:
        """Steps of the point, in place."""
        form, (x, y), (x0, y0) = self.form, self.point, self.start
        tau, sigma = self.steps
        if self.fused is not None:
            mixes = np.stack([2 * shares, -shares, 1 - shares], -1)
            self.fused.advance(self.point, self.start, tau, sigma, mixes)
            return
        sigmas, each = sigma * self.rho, sigma * self.each
        shift = each * form.b if form.b.any() else None
        shrink = 1 / (1 + tau * form.q)
        ahead, back = 2 * shrink - 1, -2 * tau * shrink
        for a in shares:
            bar = self.adjoint(y) + form.c
            bar *= back
            bar += ahead * x
            w = each * self.linear(bar)
            w += y
            if shift is not None:
                w += shift
            p = form.dual_prox(w, sigmas)
            np.multiply(bar, a, out=x)
            x += (1 - a) * x0
            y *= -a
            y += 2 * a * p
            y += (1 - a) * y0


def _maps(form: Form) -> tuple[Products, Products]:
    """Products with A and with its adjoint: by one matrix where that is faster."""
    if len(form.b) > SMALL or any(k.matrix is None for k in form.blocks):
        return form.linear, form.adjoint
    if any(isinstance(k.matrix, np.ndarray) for k in form.blocks):
        return form.linear, form.adjoint
    from scipy.sparse import csr_array, vstack

    A = csr_array(vstack([k.matrix for k in form.blocks]))
    return A.__matmul__, A.T.tocsr().__matmul__


def _squares(form: Form) -> Array:
    """About the mean square of the lengths of the rows, for every block."""
    rng, found = np.random.default_rng(1), np.zeros(len(form.blocks))
    for _ in range(PROBES):
        u = rng.standard_normal(form.n)
        found += [np.mean(np.square(k.op.forward(u))) for k in form.blocks]
    found = np.where(found > 0, found, found.max())
    return np.where(found > 0, found / PROBES, 1.0)


def _square(x: Array, x0: Array | None = None) -> float:
    """|x - x0|²; x0 is 0 if not given."""
    if x0 is None:
        return float(np.vdot(x, x))
    return sum(_square(x[at] - x0[at]) for at in slices(x))
