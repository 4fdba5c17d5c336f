"""Subdifferentials as sets: an exact calculus, and solvers that stop with a proof."""

from importlib import import_module as _load
from types import ModuleType as _Module
from typing import TYPE_CHECKING as _TYPING
from typing import Any as _Any

from subgrad._eigenpair import Eigenpair, largest_eigenpair
from subgrad.affine import AffineMap, linear, variable, variables, vstack
from subgrad.calculus.block_sum import BlockSum, block_sum
from subgrad.calculus.compose import compose, scaled_union, weighted_sum
from subgrad.calculus.conjugate import conjugate, fenchel_young
from subgrad.calculus.envelope import moreau_envelope
from subgrad.calculus.infimal_convolution import (
    InfimalConvolution,
    infimal_convolution,
)
from subgrad.calculus.maximum import hull_of_union, maximum
from subgrad.calculus.perspective import Perspective, perspective
from subgrad.calculus.recession import recession_function
from subgrad.calculus.stack import product, stack
from subgrad.core import Function, Set
from subgrad.functions.distance import Distance, distance, squared_distance
from subgrad.functions.from_oracle import from_oracle
from subgrad.functions.fused_lasso import FusedLasso, fused_lasso
from subgrad.functions.graph_total_variation import (
    GraphTotalVariation,
    graph_total_variation,
)
from subgrad.functions.indicator import Indicator
from subgrad.functions.k_support import KSupportNorm, k_support_norm
from subgrad.functions.linear import Linear
from subgrad.functions.log_sum_exp import LogSumExp, log_sum_exp, soft_maximum
from subgrad.functions.losses import (
    berhu_loss,
    elastic_net,
    huber_loss,
    logistic_loss,
    squared_hinge_loss,
)
from subgrad.functions.max_affine import MaxAffine, max_abs_affine
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
from subgrad.functions.ordered import (
    OWL,
    CVaR,
    OrderedSum,
    PeakToPeak,
    SpectralRisk,
    cvar,
    ordered_sum,
    owl,
    ptp,
    spectral_risk,
)
from subgrad.functions.pnorm import PNorm, pnorm, quadratic_norm
from subgrad.functions.quad_over_lin import QuadOverLin, quad_over_lin
from subgrad.functions.quadratic import Quadratic, SquaredNorm, squared_norm
from subgrad.functions.separable import (
    Separable,
    epsilon_insensitive_loss,
    hinge_loss,
    pinball_loss,
    separable,
)
from subgrad.functions.simplex_entropy import (
    SimplexEntropy,
    negative_entropy,
    relative_entropy,
)
from subgrad.functions.spectral import (
    SingularFunction,
    SpectralFunction,
    frobenius_norm,
    ky_fan_norm,
    lambda_max,
    lambda_sum_largest,
    negative_log_det,
    negative_von_neumann_entropy,
    nuclear_norm,
    schatten_norm,
    spectral_norm,
    trace,
    trace_exp,
    trace_inv,
)
from subgrad.functions.support import Support
from subgrad.functions.total_variation import (
    TotalVariation,
    Tube,
    total_variation,
    tv,
)
from subgrad.functions.trend_filtering import TrendFiltering, trend_filtering
from subgrad.interval import Interval
from subgrad.sets.affine_subspace import AffineSubspace
from subgrad.sets.ball import Ball, ConeBall, GroupBall
from subgrad.sets.box import Box, Empty, point, whole_space
from subgrad.sets.cone import Cone, Polar
from subgrad.sets.ellipsoid import Ellipsoid
from subgrad.sets.epigraph import Epigraph, Hypograph
from subgrad.sets.exponential import ExponentialCone
from subgrad.sets.halfspace import HalfSpace
from subgrad.sets.hull import CrossPolytope, Hull
from subgrad.sets.intersection import Intersection, intersection
from subgrad.sets.isotonic import IsotonicCone
from subgrad.sets.k_support import TopKBall
from subgrad.sets.lp_ball import LpBall, lp_ball
from subgrad.sets.nearest import ProjectionError
from subgrad.sets.permutahedron import Permutahedron, SignedPermutahedron
from subgrad.sets.second_order_cone import SecondOrderCone
from subgrad.sets.simplex import CappedSimplex, Simplex
from subgrad.sets.spectral import (
    Fantope,
    NuclearBall,
    PSDCone,
    SchattenBall,
    SpectralBall,
    SpectralSet,
    Spectraplex,
    SymmetricSpectralBall,
)
from subgrad.univariate.catalog import (
    absolute,
    berhu,
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
from subgrad.univariate.linear import PiecewiseLinear
from subgrad.univariate.monotone import MonotoneOperator
from subgrad.univariate.operations import minimum, where
from subgrad.univariate.piecewise import Piecewise

if _TYPING:
    from subgrad import cvx, problems
    from subgrad.calculus.block_compose import BlockComposition, block_compose
    from subgrad.functions.convex_interpolation import (
        ConvexInterpolation,
        convex_interpolation,
    )
    from subgrad.functions.lambda_max_pencil import LambdaMaxPencil
    from subgrad.functions.matrix_fractional import MatrixFrac, matrix_frac
    from subgrad.functions.means import (
        NegativeGeometricMean,
        NegativeHarmonicMean,
        negative_geo_mean,
        negative_harmonic_mean,
    )
    from subgrad.functions.relative_entropy import (
        JointRelativeEntropy,
        joint_relative_entropy,
    )
    from subgrad.sets.exponential_hypograph import ExponentialHypograph
    from subgrad.sets.matrix_parabola import MatrixParabola
    from subgrad.sets.means import GeometricLevelSet, HarmonicLevelSet
    from subgrad.sets.spectraplex_image import SpectraplexImage
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
        Switching,
        TargetLevel,
        certify,
        iterate,
        minimize,
        sublevel_radius,
    )
    from subgrad.univariate.bump import TestFunction, bump, gaussian
    from subgrad.univariate.distribution import (
        Distribution,
        agreement,
        antiderivative,
        dirac,
    )

# Loaded when first asked for: whoever only builds a model does not wait for them.
_LATER = {
    "subgrad.calculus.block_compose": (
        "BlockComposition",
        "block_compose",
    ),
    "subgrad.functions.convex_interpolation": (
        "ConvexInterpolation",
        "convex_interpolation",
    ),
    "subgrad.functions.lambda_max_pencil": ("LambdaMaxPencil",),
    "subgrad.functions.matrix_fractional": (
        "MatrixFrac",
        "matrix_frac",
    ),
    "subgrad.functions.means": (
        "NegativeGeometricMean",
        "NegativeHarmonicMean",
        "negative_geo_mean",
        "negative_harmonic_mean",
    ),
    "subgrad.functions.relative_entropy": (
        "JointRelativeEntropy",
        "joint_relative_entropy",
    ),
    "subgrad.sets.exponential_hypograph": ("ExponentialHypograph",),
    "subgrad.sets.matrix_parabola": ("MatrixParabola",),
    "subgrad.sets.means": (
        "GeometricLevelSet",
        "HarmonicLevelSet",
    ),
    "subgrad.sets.spectraplex_image": ("SpectraplexImage",),
    "subgrad.solvers": (
        "Constant",
        "ConstantLength",
        "Diminishing",
        "Gap",
        "MaxIter",
        "MaxTime",
        "Polyak",
        "Result",
        "SubgradientMethod",
        "Switching",
        "TargetLevel",
        "certify",
        "iterate",
        "minimize",
        "sublevel_radius",
    ),
    "subgrad.univariate.bump": (
        "TestFunction",
        "bump",
        "gaussian",
    ),
    "subgrad.univariate.distribution": (
        "Distribution",
        "agreement",
        "antiderivative",
        "dirac",
    ),
}
_HOME = {name: module for module, names in _LATER.items() for name in names}


def __getattr__(name: str) -> _Any:
    if name in ("cvx", "problems"):
        return _load(f"subgrad.{name}")
    if name in _HOME:
        return getattr(_load(_HOME[name]), name)
    raise AttributeError(f"module 'subgrad' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


__version__ = "0.1.0"
__all__ = [
    *(n for n, v in globals().items() if n[0] != "_" and not isinstance(v, _Module)),
    *_HOME,
]
