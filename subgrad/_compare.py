r"""Test problems solved here and by cvxpy, side by side.

Of a problem with value f* there are known: our best value U and proved lower bound L,
-inf where nothing is proved; cvxpy's value V, f itself at a feasible point; f* with its
accuracy a, of some problems. L <= f* <= U and f* <= V always, and f* = V as far as
cvxpy is right. With δ = 1e-9 max(1, |.|) for rounding and τ = 1e-6 max(1, |V|) for what
an interior-point method leaves open, they disagree where one of these holds:

.. math:: L > V + δ, \quad U < V - τ, \quad L > f^* + a + δ, \quad U < f^* - a - δ,
   \quad V < f^* - a - δ, \quad V > f^* + a + τ

and where the certificate of L does not verify. Otherwise |U - V| <= U - L + τ: they
agree, unless L = -inf and U > V + τ, or V and f* are not known: "unchecked".
"""

from __future__ import annotations

import math
import multiprocessing
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

import numpy as np

from subgrad.functions.norms import norm2
from subgrad.problems import TestProblem
from subgrad.solvers import Gap, MaxIter, MaxTime, minimize
from subgrad.solvers.auto import METHODS as BY_NAME
from subgrad.solvers.certificate import region, restricted
from subgrad.solvers.level_sets import sublevel_radius
from subgrad.solvers.problem import Problem
from subgrad.solvers.result import Result
from subgrad.solvers.stops import Stop
from subgrad.solvers.structured.choice import plan_of

METHODS = ("auto", *BY_NAME)
ROUNDING, INTERIOR = 1e-9, 1e-6  # of computed values, and of interior-point methods
NEEDS_OPTIMUM = ("polyak",)
BROKEN = ("error", "nonfinite", "contradiction", "unbounded", "infeasible")


@dataclass(frozen=True)
class Limits:
    """When a run ends: the gap proved, the iterations, the seconds (cvxpy's too)."""

    tol: float = 1e-6
    max_iter: int = 5000
    max_time: float = 20.0


@dataclass(frozen=True, eq=False)
class Row:
    """One problem, one method, and cvxpy: its Reference, or why there is none.

    result: what our method found, or why it found nothing; refused: whether that is
    because it is not for such problems. verified: whether the certificate was
    confirmed; None where it proves nothing.
    """

    problem: TestProblem
    method: str
    result: Result | str
    reference: Any
    seconds: float = math.nan
    verified: bool | None = None
    refused: bool = False
    disagreements: list[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "disagreements", list(self._disagreements()))

    @property
    def fun(self) -> float:
        return math.nan if isinstance(self.result, str) else float(self.result.fun)

    @property
    def lower(self) -> float:
        """The bound that the certificate proves, whatever optimum was given."""
        if isinstance(self.result, str) or self.result.certificate is None:
            return -math.inf
        return float(self.result.certificate.lower_bound)

    @property
    def theirs(self) -> float:
        return math.nan if isinstance(self.reference, str) else self.reference.fun

    @property
    def their_seconds(self) -> float:
        return math.nan if isinstance(self.reference, str) else self.reference.seconds

    @property
    def gap(self) -> float:
        """(U - L) / max(1, |f*|), |f*| as small as L <= f* <= U leaves it."""
        return (self.fun - self.lower) / max(1.0, self.lower, -self.fun)

    @property
    def difference(self) -> float:
        """(U - V) / max(1, |V|)."""
        return (self.fun - self.theirs) / max(1.0, abs(self.theirs))

    @property
    def ratio(self) -> float:
        """cvxpy's seconds over ours."""
        return self.their_seconds / self.seconds

    @property
    def verdict(self) -> str:
        """refused, failed, disagree, unchecked or agree."""
        if self.refused:
            return "refused"
        if isinstance(self.result, str) or self.result.status in BROKEN:
            return "failed"
        if self.disagreements:
            return "disagree"
        V = self.theirs if self.problem.optimum is None else self.problem.optimum
        # Without a bound nothing says why a value is far from V.
        near = self.fun <= V + _of(INTERIOR, V)
        return "agree" if near or self.lower > -math.inf and V == V else "unchecked"

    @property
    def bad(self) -> bool:
        return self.verdict in ("failed", "disagree")

    @property
    def notes(self) -> list[str]:
        """What our numbers do not say."""
        out = list(self.disagreements)
        if isinstance(self.result, str):
            out.append(self.result)
        elif self.result.status in (*BROKEN, "interrupted"):
            out.append(self.result.message)
        if getattr(self.reference, "confirmed_by", None) == "":
            out.append("cvxpy's second solver had no time to confirm the first")
        return out

    def _disagreements(self) -> Iterator[str]:
        U, L, V = self.fun, self.lower, self.theirs
        optimum, accuracy = self.problem.optimum, self.problem.accuracy
        if self.verified is False:
            yield "our certificate does not verify"
        # Nothing compares with the nan of a value that is not there.
        if L > V + _of(ROUNDING, V):
            yield f"our lower bound {L:.9g} is above cvxpy's value {V:.9g}"
        if U < V - _of(INTERIOR, V):
            yield f"our value {U:.9g} is below cvxpy's optimum {V:.9g}"
        if optimum is None:
            return
        slack = accuracy + _of(ROUNDING, optimum)
        if L > optimum + slack:
            yield f"our lower bound {L:.9g} is above the known optimum {optimum:.9g}"
        if U < optimum - slack:
            yield f"our value {U:.9g} is below the known optimum {optimum:.9g}"
        if V < optimum - slack or V > optimum + accuracy + _of(INTERIOR, V):
            yield f"cvxpy's optimum {V:.9g} is not the known one, {optimum:.9g}"

    def as_dict(self) -> dict[str, Any]:
        """Everything but the points and the history, for JSON."""
        p, r, theirs = self.problem, self.result, self.reference
        ran = None if isinstance(r, str) else r
        solved = not isinstance(theirs, str)
        return {
            "problem": p.name,
            "n": p.n,
            "seed": p.seed,
            "optimum": p.optimum,
            "accuracy": p.accuracy,
            "method": self.method,
            "value": _finite(self.fun),
            "lower_bound": _finite(self.lower),
            "relative_gap": _finite(self.gap),
            "verified": self.verified,
            "iterations": None if ran is None else int(ran.nit),
            "oracle_calls": None if ran is None else int(ran.nfev),
            "status": self.verdict if ran is None else ran.status,
            "message": r if ran is None else ran.message,
            "seconds": _finite(self.seconds),
            "cvxpy_value": _finite(self.theirs),
            "cvxpy_seconds": _finite(self.their_seconds),
            "cvxpy_solver": theirs.solver if solved else None,
            "cvxpy_confirmed_by": theirs.confirmed_by if solved else None,
            "cvxpy_status": theirs.status if solved else theirs,
            "relative_difference": _finite(self.difference),
            "time_ratio": _finite(self.ratio),
            "verdict": self.verdict,
            "disagreements": self.disagreements,
        }


def _of(share: float, value: float) -> float:
    return share * max(1.0, abs(value))


def _finite(a: float) -> float | None:
    return float(a) if math.isfinite(a) else None


def compare(
    problems: Iterable[TestProblem],
    methods: Iterable[str],
    limits: Limits,
    advance: Any = None,
) -> Iterator[Row]:
    """A row per problem and method. advance(name) is called before each problem.

    KeyboardInterrupt comes through, after the row of the run that it ended.
    """
    methods = list(methods)
    with Checker() as checker:
        for problem in problems:
            if advance is not None:
                advance(problem.name)
            theirs = checker.solve(problem, limits.max_time)
            for method in methods:
                row = run(problem, method, limits, theirs)
                yield row
                if not isinstance(row.result, str):
                    if row.result.status == "interrupted":
                        raise KeyboardInterrupt


def run(problem: TestProblem, method: str, limits: Limits, theirs: Any) -> Row:
    """Our side. The method is told the radius, and the optimum if it cannot do without.

    The seconds are those of `minimize`: certificate included, its verification not.
    """
    import scipy.optimize  # noqa: F401  loaded before the clock starts, as cvxpy is

    optimum = None
    if method in NEEDS_OPTIMUM:
        optimum = problem.optimum
        if optimum is None:
            why = "needs the optimum, which is not known"
            return Row(problem, method, why, theirs, refused=True)
    stop: Stop = MaxIter(limits.max_iter) | MaxTime(limits.max_time)
    certified = method in ("auto", "structured") and _structured(problem)
    if optimum is not None or certified or _bounded(problem):
        stop = Gap(limits.tol) | stop
    start = time.perf_counter()
    try:
        result = minimize(
            problem.function,
            problem.x0,
            method=method,
            stop=stop,
            constraint=problem.constraint,
            optimum=optimum,
            radius=problem.radius,
            record=1,
        )
        seconds = time.perf_counter() - start
        proof = result.certificate
        # A bound of -inf says nothing, and takes a projection to confirm; a function
        # that broke down may not be able to.
        claims = proof is not None and np.isfinite(proof.lower_bound)
        claims = claims and result.status not in BROKEN
        verified = bool(proof.verify(problem.function)) if claims else None
    except (ArithmeticError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        # minimize keeps what a method says of a problem that it is not for.
        numerical = isinstance(error, ArithmeticError | np.linalg.LinAlgError)
        refused = isinstance(error, ValueError | NotImplementedError) and not numerical
        why = f"{type(error).__name__}: {error}"
        return Row(problem, method, why, theirs, refused=refused)
    return Row(problem, method, result, theirs, seconds, verified)


def _structured(problem: TestProblem) -> bool:
    """Whether "auto" finds parts that prove a gap by themselves."""
    f = restricted(problem.function, problem.constraint)
    try:
        plan_of(f, problem.n)
    except NotImplementedError:
        return False
    return True


def _bounded(problem: TestProblem) -> bool:
    """Whether there is a bounded region to prove a lower bound over."""
    if region(problem.constraint, problem.x0, problem.radius) is not None:
        return True
    return bool(np.isfinite(sublevel_radius(problem.function, problem.x0)))


def describe_method(name: str) -> str:
    """What the method is, in one line."""
    if name == "auto":
        return "One of the others, picked by what is known of the problem."
    known = Problem(norm2, radius=1.0)
    solver = BY_NAME[name](known, MaxIter(1), np.ones(2))
    rule = getattr(solver, "rule", None)
    text = (solver if rule is None else rule).__doc__ or ""
    line = text.strip().splitlines()[0]
    return line if rule is None else f"Subgradient steps: {line}"


class Checker:
    """cvxpy in a process of its own, which can be given up and takes nothing along."""

    def __init__(self) -> None:
        self._process: Any = None
        self._pipe: Any = None

    def __enter__(self) -> Checker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def solve(self, problem: TestProblem, seconds: float) -> Any:
        """The Reference, or in a few words why there is none after so many seconds.

        It is confirmed if there was time for that.
        """
        if self._process is None:
            self._start()
        found: Any = f"no answer in {seconds:g} s"
        end = time.perf_counter() + seconds
        try:
            self._pipe.send(problem)
            while self._pipe.poll(max(end - time.perf_counter(), 0.0)):
                found = self._pipe.recv()
                if isinstance(found, str) or found.confirmed_by:
                    return found
        except (EOFError, ConnectionError):
            found = "its process died" if isinstance(found, str) else found
        self._stop()
        return found

    def _start(self) -> None:
        # Not forked: there may be threads.
        context = multiprocessing.get_context("spawn")
        self._pipe, far = context.Pipe()
        self._process = context.Process(target=_serve, args=(far,), daemon=True)
        # Inherited by the process, for which Ctrl-C is not meant while it imports.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self._process.start()
        finally:
            signal.signal(signal.SIGINT, before)
        far.close()
        self._pipe.recv()

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
            self._process = None


def _serve(pipe: Connection) -> None:
    """Answer every problem that comes with a Reference or an excuse."""
    # Ctrl-C reaches the whole group, but the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import cvxpy  # before any clock starts

    from subgrad.cvx.reference import answers

    refusals = (
        ArithmeticError,
        MemoryError,
        NotImplementedError,
        TypeError,  # of cvxpy, as from cvar solved twice
        ValueError,
        cvxpy.error.DCPError,
        cvxpy.error.SolverError,
    )
    pipe.send("ready")
    while True:
        try:
            p = pipe.recv()
        except EOFError:
            return
        try:
            for found in answers(p.function, p.n, constraint=p.constraint):
                pipe.send(found)
        except refusals as error:
            pipe.send(f"{type(error).__name__}: {error}")
