"""The univariate functions that the laws run over."""

from __future__ import annotations

import numpy as np
import pytest

from subgrad.univariate.catalog import (
    absolute,
    entropy,
    epsilon_insensitive,
    exponential,
    hinge,
    interval_indicator,
    linear,
    negative_sqrt,
    pinball,
    relu,
    square,
)
from subgrad.univariate.hyperbola import HalfCircle, PseudoHuber
from subgrad.univariate.linear import PiecewiseLinear
from subgrad.univariate.logarithm import BinaryEntropy, Logistic, NegativeLog
from subgrad.univariate.powers import (
    DecreasingPower,
    HalfLinePower,
    PositivePartPower,
    Power,
)
from subgrad.univariate.smooth import (
    Entropy,
    Exponential,
    InverseNegative,
    Square,
)
from subgrad.univariate.transformed import Transformed, transformed

inf = np.inf

LINEAR = {
    "absolute": absolute,
    "relu": relu,
    "hinge": hinge,
    "pinball": pinball(0.75),
    "pinball 0": pinball(0),
    "epsilon_insensitive": epsilon_insensitive(0.5),
    "epsilon_insensitive 0": epsilon_insensitive(0),
    "interval": interval_indicator(-1, 2),
    "half line": interval_indicator(0, inf),
    "other half line": interval_indicator(-inf, 1),
    "line": interval_indicator(-inf, inf),
    "point": interval_indicator(1, 1),
    "conjugate point": PiecewiseLinear([0.5], [-inf, inf], at=(0.5, -2)),
    "linear": linear(-0.5),
    "affine": PiecewiseLinear([], [2], at=(1, 3)),
    "duplicates": PiecewiseLinear([-1, 1, 1, 1], [-2, 0, 0.5, 0.75, 3]),
    "equal slopes": PiecewiseLinear([-1, 0, 1], [-1, 1, 1, 2], at=(2, -3)),
    "steep end": PiecewiseLinear([-1, 0, 1], [-inf, -2, 1, 4], at=(0.5, 1)),
    "many": PiecewiseLinear(
        np.arange(-6, 6) / 2, np.arange(-6, 7) ** 3 / 4, at=(0.25, -1)
    ),
    "many, bounded": PiecewiseLinear(
        np.arange(-6, 6) / 2, [-inf, *range(-4, 7), inf], at=(-3, 5)
    ),
}
SMOOTH = {
    "square": square,
    "square 49": Square(49),
    "entropy": entropy,
    "entropy 0.3": Entropy(0.3),
    "exponential": exponential,
    "exponential 0.3": Exponential(0.3),
    "negative_sqrt": negative_sqrt,
    "inverse_negative": InverseNegative(),
    "negative_log": NegativeLog(),
    "negative_log, dual": NegativeLog(dual=True),
    "logistic": Logistic(),
    "binary_entropy": BinaryEntropy(),
    "power 1.5": Power(1.5),
    "power 4": Power(4),
    "positive part": PositivePartPower(3),
    "half line power": HalfLinePower(1.5),
    "decreasing power": DecreasingPower(-2),
    "decreasing power, dual": DecreasingPower(-0.5, dual=True),
    "pseudo_huber": PseudoHuber(),
    "half circle": HalfCircle(),
    "inverse": transformed(InverseNegative(), a=4, b=-1),
    "squared hinge": transformed(PositivePartPower(2), a=2, b=-1, c=1),
    "moved entropy": Transformed(Entropy(), 0.5, -3, 1, d=0.25, e=-1),
    "moved logistic": Transformed(Logistic(), 3, 0.7, -0.5, d=-1, e=0.5),
    "moved half circle": Transformed(HalfCircle(), 2, 0.5, 1, d=0.5),
    "moved kinks": Transformed(epsilon_insensitive(0.5), 2, -0.5, 1, 0.25, -3),
    "moved interval": Transformed(interval_indicator(-1, 2), 2, 2, -1, d=-0.5),
}
ROWS = LINEAR | SMOOTH
BATCH = {
    "pinball": pinball([0.0, 0.1, 0.5, 1.0]),
    "insensitive": epsilon_insensitive([0.0, 0.1, 0.5, 1.0]),
    "interval": interval_indicator([-2, -1, 0, 1], [2, 1, 0.5, 1]),
    "half lines": interval_indicator([-2, -1, 0, 1], inf),
    "linear": linear([-1, 0, 0.5, 2]),
    "points": PiecewiseLinear(
        [[-1], [0], [0.5], [2]], [-inf, inf], [[-1, 0, 0.5, 2], 1]
    ),
    "values": PiecewiseLinear([0], [-1, 1], at=(0, [1, 2, 3, 4])),
    "many": PiecewiseLinear(
        np.arange(48.0).reshape(4, 12) / 8 - 3, np.arange(-6, 7) / 2, at=(1, 2)
    ),
    "many slopes": PiecewiseLinear(
        np.arange(-6, 6) / 4,
        np.arange(52.0).reshape(4, 13) / 8 - 3,
        at=([0, 1, 2, 3], 0),
    ),
    "square": Square([0.5, 1, 2, 49]),
    "entropy": Entropy([-1, 0, 1, 0.3]),
    "exponential": Exponential([-1, 0, 1, 0.3]),
    "power": Power([1.1, 1.5, 2, 5]),
    "positive part": PositivePartPower([1.1, 1.5, 2, 5]),
    "half line power": HalfLinePower([1.1, 1.5, 2, 5]),
    "decreasing power": DecreasingPower([-2, -0.5, 0.25, 0.5]),
    "moved": Transformed(PseudoHuber(), [1, 2, 3, 4], [1, -1, 0.5, 3], d=0.25),
    "moved kinks": Transformed(
        interval_indicator([-2, -1, 0, 1], [2, 1, 0.5, 1]), 2, [1, -1, 2, -0.5], 0.5
    ),
    "moved up": Transformed(Logistic(), e=[1, 2, 3, 4]),
    "moved parts": transformed(pinball([0.0, 0.1, 0.5, 1.0]), [1, 2, 3, 4], -1, 1),
}
# Every kink and end of a domain above, their neighbours, and points far from all.
POINTS = np.unique(np.r_[np.arange(-14, 15) / 4, -0.3, 0.7, -9, 9, 1e-3, -1e-3])

every = pytest.mark.parametrize("phi", ROWS.values(), ids=ROWS.keys())
every_linear = pytest.mark.parametrize("phi", LINEAR.values(), ids=LINEAR.keys())
every_smooth = pytest.mark.parametrize("phi", SMOOTH.values(), ids=SMOOTH.keys())
every_batch = pytest.mark.parametrize("phi", BATCH.values(), ids=BATCH.keys())


def inside(phi):
    t = POINTS[np.isfinite(phi.value(POINTS))]
    assert t.size
    return t


def finite_ends(phi):
    return [end for end in phi.ends if np.isfinite(end)]


def fenchel_gap(phi, t, g):
    """φ(t) + φ*(g) - g t."""
    return phi.value(t) + phi.conjugate().value(g) - g * t
