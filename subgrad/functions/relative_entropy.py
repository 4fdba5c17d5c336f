r"""Relative entropy of two vectors, jointly convex."""

from __future__ import annotations

import numpy as np

from subgrad._check import Array
from subgrad.calculus.sum import add_slopes
from subgrad.functions._orthant import _OnOrthant
from subgrad.sets.exponential_hypograph import ExponentialHypograph


class JointRelativeEntropy(_OnOrthant):
    r"""D(x, y) = sum_i x_i log(x_i / y_i) of (x, y) in R^n x R^n, x, y >= 0.

    0 log 0 = 0, also where y_i = 0, and +inf where x_i > 0 = y_i: as in cvxpy's
    `rel_entr`; `kl_div` adds sum y - sum x. The support function of

    .. math:: S = \{(s, r) : r_i \le -\exp(s_i - 1)\}, \qquad
       \partial D(x, y) = \prod_i
       \begin{cases} \{(1 + \log (x_i/y_i), -x_i/y_i)\} & x_i, y_i > 0 \\
       S_i & x_i = y_i = 0 \\ \emptyset & x_i = 0 < y_i \end{cases}

    (the slope in x_i is -∞ in the last case). The argument is x before y, as in
    `vstack(x, y)`. `relative_entropy(q)` has y = q fixed and x on the simplex.
    """

    def _body(self, n: int) -> ExponentialHypograph:
        if n % 2:
            raise ValueError(
                f"relative entropy takes x and y of one length, got {n} numbers"
            )
        return ExponentialHypograph(n // 2)

    def _directional(self, x: Array, d: Array) -> Array:
        from scipy.special import rel_entr

        n = self._body(x.shape[-1]).dim // 2
        (a, b), (u, v) = ((w[..., :n], w[..., n:]) for w in (x, d))
        pos = a > 0
        safe = np.where(pos, a, 1.0), np.where(pos, b, 1.0)
        inner = (1 + np.log(safe[0]) - np.log(safe[1])) * u - safe[0] / safe[1] * v
        edge = np.where(u > 0, -np.inf, np.where(u < 0, np.inf, 0.0))
        corner = rel_entr(u, v)
        return add_slopes(np.where(pos, inner, np.where(b > 0, edge, corner)))


joint_relative_entropy = JointRelativeEntropy()
