"""What a run found, for every problem of the batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from subgrad._check import Array

if TYPE_CHECKING:
    from subgrad.solvers.problem import Problem
    from subgrad.solvers.state import State


@dataclass(eq=False)
class Result:
    """What a run found. Numbers per problem have the shape x0.shape[:-1].

    x, fun: the best point and its value; lower_bound <= f* proved by `certificate` (or
    the optimum that was given), which certificate.verify(f) confirms, with constraint
    functions verify(f, constraints); gap = fun - lower_bound; status one word and
    `message` a sentence; success: whether the stop is a proof; nit, nfev: steps and
    oracle calls; history: the values recorded, one row each; violation: the largest of
    0 and the constraint functions at x. Where no point of the region is feasible the
    certificate bounds the largest constraint function from below. Fields are also keys.
    """

    x: Array
    fun: Any
    lower_bound: Any
    gap: Any
    certificate: Any
    dual: Any
    status: Any
    message: str
    success: Any
    nit: Any
    nfev: Any
    history: Any
    violation: Any = 0.0

    def keys(self) -> list[str]:
        return [f.name for f in fields(self)]

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __getitem__(self, key: str) -> Any:
        if key not in self.keys():
            raise KeyError(key)
        return getattr(self, key)

    def __contains__(self, key: object) -> bool:
        return key in self.keys()

    def to_scipy(self) -> Any:
        """The same as a scipy.optimize.OptimizeResult."""
        from scipy.optimize import OptimizeResult

        return OptimizeResult(**{k: self[k] for k in self.keys()})


class Outcome:
    """What each problem had reached when it was finished."""

    def __init__(self, state: State) -> None:
        shape = state.value.shape
        self.running = np.ones(shape, bool)
        self.status = np.full(shape, "", object)
        self.proved = np.zeros(shape, bool)
        # The point is written down when there is one, and takes no room before.
        self.x, self.fun = np.empty(0), np.array(state.best_value)
        self.nit, self.calls = np.zeros(shape, int), np.zeros(shape, int)
        self.average = None if state.average is None else np.array(state.average)
        self.proof = None if state.proof is None else [*map(np.array, state.proof)]
        self.seen = None if state.seen is None else [*map(np.array, state.seen)]
        self.certificate = state.certificate
        self.reasons: dict[str, str] = {}

    def finish(
        self, done: Any, state: State, status: str, reason: str, proof: Any = False
    ) -> None:
        """Write down the state of the problems that are done now."""
        new = self.running & done
        if not new.any():
            return
        x, fun, self.certificate = state.best_x, state.best_value, state.certificate
        if status == "optimal":  # the proof is about this point
            x, fun = state.x, state.value
        if not self.x.size:
            self.x = np.array(x)
        self.x[new], self.fun[new] = x[new], np.asarray(fun)[new]
        self.nit[new], self.status[new], self.proved[new] = state.k, status, proof
        self.calls[new] = (
            state.k + 1 if state.calls is None else np.asarray(state.calls)[new]
        )
        if self.average is not None:
            self.average[new] = state.average[new]
        if self.proof is not None:
            for kept, now in zip(self.proof, state.proof, strict=True):
                kept[new] = np.broadcast_to(now, kept.shape)[new]
        if self.seen is not None:
            for kept, now in zip(self.seen, state.seen, strict=True):
                kept[new] = np.asarray(now)[new]
        self.reasons[status] = reason
        self.running = self.running & ~new

    def message(self) -> str:
        names, counts = np.unique(self.status, return_counts=True)
        if self.status.ndim == 0 or len(names) == 1:
            return self.reasons[str(names[0])]
        total = self.status.size
        return "; ".join(
            f"{c} of {total}: {self.reasons[str(s)]}"
            for s, c in zip(names, counts, strict=True)
        )


def intermediate(state: State, history: list[Array], problem: Problem) -> Result:
    """What a callback is given: the best point so far."""

    def each(a: Any) -> Any:
        return np.array(np.broadcast_to(a, state.value.shape))[()]

    over: Any = 0.0
    if state.seen is not None:
        over = np.maximum(state.seen[1], 0.0)
    elif problem.limit is not None:
        over = problem.violation(state.best_x)
    return Result(
        x=state.best_x.copy(), fun=each(state.best_value), lower_bound=each(-np.inf),
        gap=each(np.inf), certificate=None, dual=None, status=each("running"),
        message="", success=each(False), nit=each(state.k),
        nfev=each(state.k + 1 if state.calls is None else state.calls),
        history=np.array(history), violation=each(over),
    )  # fmt: skip
