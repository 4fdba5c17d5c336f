"""From the end of a run to its Result: last points, bounds, and what is proved."""

from __future__ import annotations

from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad.core import norm
from subgrad.sets.nearest import ProjectionError
from subgrad.solvers.certificate import (
    BestCertificate,
    SubgradientCertificate,
    restricted,
    single_cut,
    single_subgradient,
    subgradient_bound,
)
from subgrad.solvers.cuts import Cuts
from subgrad.solvers.problem import Problem
from subgrad.solvers.result import Outcome, Result
from subgrad.solvers.stops import Gap, Stop

BROKEN = ("error", "interrupted")


def finish(
    problem: Problem,
    x0: Array,
    stops: tuple[Stop, ...],
    outcome: Outcome,
    bundle: Cuts | None,
    history: list[Array],
    why: str,
) -> Result:
    """The Result of a run that ended; `why` says how its method was chosen."""
    x, fun, status, proved = outcome.x, outcome.fun, outcome.status, outcome.proved
    f, broken = problem.function, bool(np.isin(status, BROKEN).any())
    certificate: Any = None
    tries = [] if outcome.average is None else [outcome.average]
    if bundle is not None:
        certificate, lowest = bundle.last()
        if not broken:
            tries += [bundle.value_at(problem, lowest)[0], bundle.found]
    elif proved.any() and not broken and problem.optimum is None:
        certificate = single_cut(f, problem.constraint, x)
    for point in [] if broken else tries:
        point = point.astype(x.dtype, copy=False)
        value = f._value(point)
        better = value < fun
        if problem.limit is not None:
            better &= problem.violation(point) <= problem.feasibility
        fun = np.where(better, value, fun)
        x = np.where(better[..., None], point, x)
    # `found` was counted when it was evaluated first.
    outcome.calls += len(tries) - (bundle is not None) if not broken else 0
    if outcome.proof is not None:
        certificate = _known(problem, x0, outcome.proof, certificate, broken)
    elif certificate is None and not broken:
        certificate = single_subgradient(f, x)
    lower = np.full(fun.shape, -np.inf)
    if certificate is not None:
        lower = np.array(np.broadcast_to(certificate.lower_bound, fun.shape))
    if problem.optimum is not None:
        lower = np.array(np.maximum(lower, problem.optimum))
    for s in stops:
        if isinstance(s, Gap):
            late = ~proved & s.within(fun, lower)
            status[late], proved[late] = s.status, True
            outcome.reasons[s.status] = s.reason
    violation, gap = np.zeros(fun.shape), None
    if problem.limit is not None:
        if broken and outcome.seen is not None:
            value, over = outcome.seen
            violation = np.maximum(over, 0.0)
        else:
            value, violation = f._value(x), problem.violation(x)
        fun, certificate, gap = _unmet(outcome, bundle, value, fun, certificate)
    wrong = lower > fun + 1e-9 * np.maximum(1.0, np.abs(fun))
    # A point that makes use of the tolerance may lie below the constrained minimum.
    wrong &= violation == 0
    if wrong.any():
        status[wrong], proved[wrong], lower[wrong] = "contradiction", False, -np.inf
        outcome.reasons["contradiction"] = (
            "f(x) lies below the bound: the radius or the optimum given is wrong"
        )
    free = bundle is None and problem.limit is None and problem.optimum is None
    if free and not broken:
        _mark_unbounded(problem, x0, x, outcome)
    lower = np.minimum(lower, fun)
    message = outcome.message()
    return Result(
        x=x,
        fun=fun[()],
        lower_bound=lower[()],
        gap=np.where(gap, np.inf, fun - lower)[()] if gap is not None else fun - lower,
        certificate=certificate,
        dual=None,
        status=status.astype(str) if status.ndim else str(status),
        message=f"{message}; {why}" if why else message,
        success=proved[()],
        nit=outcome.nit[()],
        nfev=(outcome.calls + (0 if bundle is None else bundle.calls))[()],
        history=np.array(history),
        violation=violation[()],
    )


def _known(
    problem: Problem, x0: Array, proof: list[Array], other: Any, broken: bool
) -> Any:
    """The certificate of the method itself, or of the cuts where their bound is better.

    Of an oracle that broke down nothing is asked any more: then g comes without bound.
    """
    x, eps, g = proof
    C = problem.constraint
    # A minimiser within the radius of x0 is that much further from x.
    reach = np.inf if problem.radius is None else problem.radius
    far = reach + norm(x - x0)
    bound = np.full(far.shape, -np.inf)
    if not broken:
        try:
            raw, blur = subgradient_bound(
                restricted(problem.function, C), x, eps, g, far
            )
        except (NotImplementedError, ProjectionError):
            return other  # g cannot be checked
        bound = raw - blur
    own = SubgradientCertificate(x, eps, g, far, bound[()], C)
    if other is None or np.all(bound >= other.lower_bound):
        return own
    if np.all(bound <= other.lower_bound):
        return other
    return BestCertificate((own, other))


def _unmet(
    outcome: Outcome,
    bundle: Cuts | None,
    value: Array,
    fun: Array,
    certificate: Any,
) -> tuple[Array, Any, Array]:
    """Values where no feasible point was found, with the status, and where that is."""
    none = np.isposinf(fun)
    if not none.any():
        return fun, certificate, none
    proved = np.zeros(none.shape, bool)
    if bundle is not None and bundle.limits is not None:
        proof, _ = bundle.limits.certificate()
        proved = none & (np.asarray(proof.lower_bound) > 0)
        if proved.all():
            certificate = proof
    status = outcome.status
    ended = none & ~np.isin(status, (*BROKEN, "nonfinite"))
    status[ended], outcome.proved[none] = "infeasible so far", False
    status[proved] = "infeasible"
    outcome.reasons["infeasible so far"] = (
        "no feasible point was found: x has the least violation seen"
    )
    outcome.reasons["infeasible"] = (
        "no point of the region is feasible: the cuts of the constraints prove it"
    )
    return np.where(none, value, fun), certificate, none


def _mark_unbounded(problem: Problem, x0: Array, x: Array, outcome: Outcome) -> None:
    r"""Say "unbounded" where f falls without bound along a direction, which is proved:

    .. math:: f_\infty(d) < 0, \quad d \text{ in the recession cone of } C

    The last move from x0 to the best point and the negative subgradient are tried, each
    moved into the cone.
    """
    from subgrad.calculus.recession import recession_function

    open_ = ~outcome.proved
    f, C = problem.function, problem.constraint
    if not open_.any() or not np.isneginf(f.infimum):
        return
    try:
        slope = recession_function(f)
        cone = None if C is None else C.recession_cone()
        g = f._oracle(x)[1]
        for d in (x - x0, -g):
            d = np.where(np.isfinite(d).all(-1)[..., None], d, 0.0)
            size = norm(d)
            d = d / np.where(size > 0, size, 1.0)[..., None]
            d = d if cone is None else cone._project(d)
            back = slope._value(-d)
            # Slopes that cancel leave a rounding of the size of what they were.
            size = np.where(np.isfinite(back), np.abs(back), 0.0) + norm(g) * norm(d)
            falls = slope._value(d) < -1e-9 * size
            new = open_ & falls
            outcome.status[new] = "unbounded"
    except (NotImplementedError, ValueError):
        # No rule is known, or no projection, or f takes any number of arguments and
        # the rule asks for one domain: nothing is proved.
        return
    outcome.reasons["unbounded"] = (
        "f is unbounded below: it falls for ever along a direction of its domain"
    )
