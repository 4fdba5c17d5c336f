"""When a run of the structured method ends without a gap, and what it says then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from subgrad.solvers.problem import Problem
from subgrad.solvers.state import State
from subgrad.solvers.stops import Stop, Watch
from subgrad.solvers.structured.extremes import EmptyDomain

FAR_OFF = 1e-3  # a bound that is no proof, of max(1, |f|)


@dataclass(frozen=True)
class Infeasible(Stop):
    """Multipliers that leave no point in the domain."""

    status: ClassVar[str] = "infeasible"
    reason: ClassVar[str] = "f is +inf everywhere"

    def said(self, state: State) -> str:
        """With the radius, where it is not proved beyond."""
        radius = getattr(state.certificate, "radius", np.inf)
        if np.isinf(radius):
            return self.reason
        return f"f is +inf at every point x with |x| < {radius:.1e}"

    def watch(self, problem: Problem, cuts: Any) -> Watch:
        return lambda state: isinstance(state.certificate, EmptyDomain)


@dataclass(frozen=True)
class Stuck(Stop):
    """A method with certificates that no longer comes closer."""

    status: ClassVar[str] = "stalled"
    reason: ClassVar[str] = "rounding keeps the run from coming closer"

    def said(self, state: State) -> str:
        """What is missing, where it is something else."""
        run = state.memory
        if getattr(run, "broken", False):
            return "numbers of f, or their squares, are beyond floating point: scale it"
        if state.value.ndim or run.lower >= run.value - FAR_OFF * max(
            1, abs(run.value)
        ):
            return self.reason
        if not run.value < np.inf:
            return "no point where f is finite was found"
        if run.lost:
            return "f falls, or nearly so, along a direction without end"
        if run.radius is not None or run.source.q.all():
            return self.reason
        return (
            "no bound on the distance to minimisers was found that proves more: "
            "radius=, or a bounded constraint=, would be one"
        )

    def watch(self, problem: Problem, cuts: Any) -> Watch:
        return lambda state: state.memory.stuck
