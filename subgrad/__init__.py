"""Subdifferentials as sets: an exact calculus, and solvers that stop with a proof."""

from types import ModuleType as _Module

from subgrad import cvx
from subgrad.affine import AffineMap, linear, variable, variables, vstack
from subgrad.calculus.compose import compose, scaled_union, weighted_sum
from subgrad.calculus.conjugate import conjugate, fenchel_young
from subgrad.calculus.envelope import moreau_envelope
from subgrad.calculus.maximum import hull_of_union, maximum
from subgrad.calculus.stack import product, stack
from subgrad.core import Function, Set
from subgrad.functions.distance import Distance
from subgrad.functions.indicator import Indicator
from subgrad.functions.linear import Linear
from subgrad.functions.max_affine import MaxAffine
from subgrad.functions.norms import (
    GroupNorm,
    MaxEntry,
    Norm1,
    Norm2,
    NormInf,
    SumLargest,
    group_norm,
    max_entry,
    norm1,
    norm2,
    norm_inf,
    sum_largest,
)
from subgrad.functions.quadratic import Quadratic, SquaredNorm, squared_norm
from subgrad.functions.separable import (
    Separable,
    epsilon_insensitive_loss,
    hinge_loss,
    pinball_loss,
    separable,
)
from subgrad.functions.support import Support
from subgrad.interval import Interval
from subgrad.sets.affine_subspace import AffineSubspace
from subgrad.sets.ball import Ball, ConeBall, GroupBall
from subgrad.sets.box import Box, Empty, point, whole_space
from subgrad.sets.cone import Cone, Polar
from subgrad.sets.halfspace import HalfSpace
from subgrad.sets.hull import CrossPolytope, Hull
from subgrad.sets.nearest import ProjectionError
from subgrad.sets.simplex import CappedSimplex, Simplex
from subgrad.solvers import (
    Constant,
    ConstantLength,
    Diminishing,
    Gap,
    MaxIter,
    MaxTime,
    Polyak,
    Result,
    SubgradientMethod,
    TargetLevel,
    certify,
    iterate,
    minimize,
)
from subgrad.univariate.bump import TestFunction, bump, gaussian
from subgrad.univariate.catalog import (
    absolute,
    binary_entropy,
    clip,
    dead_zone,
    decreasing_power,
    entropy,
    epsilon_insensitive,
    exponential,
    hard_sigmoid,
    hard_tanh,
    heaviside,
    hinge,
    huber,
    indicator,
    interval_indicator,
    inverse,
    leaky_relu,
    logistic,
    negative_log,
    negative_sqrt,
    pinball,
    positive_power,
    power,
    pseudo_huber,
    ramp,
    relu,
    relu6,
    sign,
    square,
    steps,
    t,
)
from subgrad.univariate.convex import Univariate
from subgrad.univariate.distribution import (
    Distribution,
    agreement,
    antiderivative,
    dirac,
)
from subgrad.univariate.linear import PiecewiseLinear
from subgrad.univariate.monotone import MonotoneOperator
from subgrad.univariate.operations import minimum, where
from subgrad.univariate.piecewise import Piecewise

__version__ = "0.1.0"
__all__ = [
    n for n, v in globals().items() if n[0] != "_" and not isinstance(v, _Module)
]
