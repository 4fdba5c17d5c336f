"""Methods that minimise, their step sizes and stops, and proofs of what they found."""

from subgrad.solvers.certificate import (
    CutCertificate,
    SubgradientCertificate,
    certify,
)
from subgrad.solvers.core import Solver, State, iterate, minimize
from subgrad.solvers.problem import Problem
from subgrad.solvers.result import Result
from subgrad.solvers.steps import (
    Constant,
    ConstantLength,
    Diminishing,
    DiminishingLength,
    EstimatedPolyak,
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

__all__ = [
    "Constant",
    "ConstantLength",
    "CutCertificate",
    "Diminishing",
    "DiminishingLength",
    "EstimatedPolyak",
    "Gap",
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
    "TargetLevel",
    "ZeroSubgradient",
    "certify",
    "iterate",
    "minimize",
]
