"""Methods that minimise, their step sizes and stops, and proofs of what they found."""

from subgrad.solvers.certificate import (
    CutCertificate,
    SubgradientCertificate,
    certify,
)
from subgrad.solvers.core import Solver, State, iterate, minimize
from subgrad.solvers.distance_over_gradients import DoG, DoWG
from subgrad.solvers.dual_averaging import DualAveraging
from subgrad.solvers.level_sets import sublevel_radius
from subgrad.solvers.problem import Problem
from subgrad.solvers.result import Result
from subgrad.solvers.steps import (
    Accuracy,
    Constant,
    ConstantLength,
    Diminishing,
    DiminishingLength,
    EstimatedPolyak,
    LinearDecay,
    Polyak,
    TargetLevel,
)
from subgrad.solvers.stops import (
    Gap,
    MaxIter,
    MaxTime,
    Stalled,
    StepBelow,
    Stop,
    SubgradientNorm,
    ZeroSubgradient,
)
from subgrad.solvers.subgradient import SubgradientMethod
from subgrad.solvers.switching import Switching

__all__ = [
    "Accuracy",
    "Constant",
    "ConstantLength",
    "CutCertificate",
    "Diminishing",
    "DiminishingLength",
    "DoG",
    "DoWG",
    "DualAveraging",
    "EstimatedPolyak",
    "Gap",
    "LinearDecay",
    "MaxIter",
    "MaxTime",
    "Polyak",
    "Problem",
    "Result",
    "Solver",
    "Stalled",
    "State",
    "StepBelow",
    "Stop",
    "SubgradientCertificate",
    "SubgradientMethod",
    "SubgradientNorm",
    "Switching",
    "TargetLevel",
    "ZeroSubgradient",
    "certify",
    "iterate",
    "minimize",
    "sublevel_radius",
]
