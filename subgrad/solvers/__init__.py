"""Methods that minimise, their step sizes and stops, and proofs of what they found."""

from subgrad.solvers.bounded_polyak import BoundedPolyak
from subgrad.solvers.certificate import (
    BestCertificate,
    CutCertificate,
    SubgradientCertificate,
    certify,
)
from subgrad.solvers.core import iterate, minimize
from subgrad.solvers.distance_over_gradients import DoG, DoWG
from subgrad.solvers.dual_averaging import DualAveraging
from subgrad.solvers.level_sets import sublevel_radius
from subgrad.solvers.mirror_descent import Entropy, Euclidean, MirrorDescent, PNorm
from subgrad.solvers.path import path
from subgrad.solvers.problem import Problem
from subgrad.solvers.restarts import Restarted
from subgrad.solvers.result import Result
from subgrad.solvers.set_descent import SetDescent, SmallSubgradient
from subgrad.solvers.shor import Shor
from subgrad.solvers.state import Solver, State
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
from subgrad.solvers.structured.certificate import DualCertificate
from subgrad.solvers.structured.front import Structured
from subgrad.solvers.structured.terms import Structure, Term, structure
from subgrad.solvers.subgradient import SubgradientMethod
from subgrad.solvers.switching import Switching

__all__ = [
    "Accuracy",
    "BestCertificate",
    "BoundedPolyak",
    "Constant",
    "ConstantLength",
    "CutCertificate",
    "DualCertificate",
    "Diminishing",
    "DiminishingLength",
    "DoG",
    "DoWG",
    "DualAveraging",
    "Entropy",
    "EstimatedPolyak",
    "Euclidean",
    "Gap",
    "LinearDecay",
    "MaxIter",
    "MaxTime",
    "MirrorDescent",
    "PNorm",
    "Polyak",
    "Problem",
    "Restarted",
    "Result",
    "SetDescent",
    "Shor",
    "SmallSubgradient",
    "Solver",
    "Stalled",
    "State",
    "StepBelow",
    "Stop",
    "Structure",
    "Structured",
    "SubgradientCertificate",
    "SubgradientMethod",
    "SubgradientNorm",
    "Switching",
    "TargetLevel",
    "Term",
    "ZeroSubgradient",
    "certify",
    "iterate",
    "minimize",
    "path",
    "structure",
    "sublevel_radius",
]
