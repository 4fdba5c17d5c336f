"""From the end of a run to its Result: last points, bounds, and what is proved."""

from __future__ import annotations

from copy import copy
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
from subgrad.solvers.rays import RayCertificate, falls_within, steepest, straightened
from subgrad.solvers.result import Outcome, Result
from subgrad.solvers.state import State
from subgrad.solvers.stops import Gap, Stop

BROKEN = ("error", "interrupted")
UNBOUNDED = "f is unbounded below: it falls for ever along a direction of its domain"


def finish(
    problem: Problem,
    x0: Array,
    stops: tuple[Stop, ...],
    outcome: Outcome,
    bundle: Cuts | None,
    history: list[Array],
    why: str,
) -> Result:
    """The Result of a run that ended; `why` says how its method was chosen.

    A run may break here too: then it is the Result of what was known before.
    """
    broken = bool(np.isin(outcome.status, BROKEN).any())
    spare, rest = copy(outcome), (bundle, history, why)
    for name in ("status", "proved", "calls", "reasons"):
        setattr(spare, name, getattr(outcome, name).copy())
    try:
        return _result(problem, x0, stops, outcome, *rest, broken)
    except KeyboardInterrupt:
        status, reason = "interrupted", "interrupted from the keyboard at the end"
    except Exception as error:
        status, reason = "error", f"{type(error).__name__} at the end: {error}"
    # Without a certificate at hand nothing is proved.
    known = problem.optimum is not None or outcome.certificate is not None
    spare.proved &= known or (bundle is not None and bundle.proof is not None)
    spare.status[~spare.proved] = status
    spare.reasons[status] = reason
    return _result(problem, x0, stops, spare, *rest, True, True)


def _result(
    problem: Problem,
    x0: Array,
    stops: tuple[Stop, ...],
    outcome: Outcome,
    bundle: Cuts | None,
    history: list[Array],
    why: str,
    broken: bool,
    again: bool = False,
) -> Result:
    """Of a run that is `broken` without a call of f or of the constraint functions, and
    `again` from what is at hand."""
    x, fun, status, proved = outcome.x, outcome.fun, outcome.status, outcome.proved
    f, violation = problem.function, np.zeros(fun.shape)
    certificate: Any = None
    if outcome.seen is not None:
        value, violation = outcome.seen[0], np.maximum(outcome.seen[1], 0.0)
    elif problem.limit is not None:
        value, violation = f._value(x), problem.violation(x)

    def offer(point: Array, at: Array, over: Array) -> None:
        nonlocal x, fun, violation
        better = (at < fun) & (over <= problem.feasibility)
        x = np.where(better[..., None], point, x)
        fun, violation = np.where(better, at, fun), np.where(better, over, violation)

    if bundle is not None:
        offer(bundle.found, bundle.found_value, bundle.found_over)
        certificate = bundle.proof
    if bundle is not None and not again:
        certificate, lowest = bundle.last()
        if not broken:
            offer(*bundle.value_at(problem, lowest))
            outcome.calls += 1
    elif outcome.certificate is not None:
        certificate = outcome.certificate
    elif proved.any() and not broken and problem.optimum is None:
        certificate = single_cut(f, problem.constraint, x)
    if outcome.average is not None and not broken:
        point = outcome.average.astype(x.dtype, copy=False)
        offer(point, f._value(point), problem.violation(point))
        outcome.calls += 1
    if outcome.proof is not None:
        certificate = _known(problem, x0, outcome.proof, certificate, broken)
    if certificate is None and not broken:
        certificate = single_subgradient(f, x)
    lower = np.full(fun.shape, -np.inf)
    if certificate is not None:
        lower = np.array(np.broadcast_to(certificate.lower_bound, fun.shape))
    if problem.optimum is not None:
        lower = np.array(np.maximum(lower, problem.optimum))
    for s in stops:
        if isinstance(s, Gap):
            late = ~proved & s.within(fun, lower)
            # Who broke it off is to hear so, proof or not.
            status[late & (status != "interrupted")] = s.status
            proved[late] = True
            outcome.reasons[s.status] = s.reason
    gap = None
    if problem.limit is not None:
        fun, certificate, gap = _unmet(
            outcome,
            None if again else bundle,
            value,
            fun,
            certificate,
            problem.feasibility,
        )
    # A point that makes use of the tolerance may lie below the constrained minimum: per
    # unit of violation by the weights of the constraint cuts.
    price = getattr(certificate, "limit_weights", None)
    price = np.inf if price is None or problem.optimum is not None else price.sum(0)
    price = np.where(violation <= problem.feasibility, price, np.inf)
    room = np.where(violation > 0, price, 0.0) * np.where(violation > 0, violation, 1.0)
    wrong = lower > fun + room + 1e-9 * np.maximum(1.0, np.abs(fun))
    if wrong.any():
        status[wrong], proved[wrong], lower[wrong] = "contradiction", False, -np.inf
        outcome.reasons["contradiction"] = (
            "f(x) lies below the bound: the radius or the optimum given, or a value "
            "or subgradient of f, is wrong"
        )
    free = bundle is None and problem.limit is None and problem.optimum is None
    if free and not broken:
        certificate = _mark_unbounded(problem, x0, x, outcome) or certificate
    lower = np.minimum(lower, fun)
    message = outcome.message()
    return Result(
        x=x,
        fun=fun[()],
        lower_bound=lower[()],
        gap=np.where(gap, np.inf, fun - lower)[()] if gap is not None else fun - lower,
        certificate=certificate,
        dual=getattr(certificate, "multipliers", None),
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
            raw, blur, member = subgradient_bound(
                restricted(problem.function, C), x, eps, g, far
            )
        except (NotImplementedError, ProjectionError):
            return other  # g cannot be checked
        if not np.all(member):
            return other
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
    tolerance: float,
) -> tuple[Array, Any, Array]:
    """Values where no feasible point was found, with the status, and where that is."""
    none = np.isposinf(fun)
    if not none.any():
        return fun, certificate, none
    proved = np.zeros(none.shape, bool)
    if bundle is not None and bundle.limits is not None:
        proof, _ = bundle.limits.certificate()
        proved = none & (np.asarray(proof.lower_bound) > tolerance)
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


def falls_at_once(problem: Problem, state: State) -> Any:
    """Whether f is seen to fall for ever along the first negative subgradient."""
    f, C, d = problem.function, problem.constraint, -state.subgradient
    if problem.limit is not None or problem.optimum is not None:
        return False
    if not np.isneginf(f.infimum):
        return False
    try:
        return falls_within(f, C, d)[0]
    except (NotImplementedError, ValueError, ProjectionError):
        return False  # no rule is known, as at the end


def _mark_unbounded(problem: Problem, x0: Array, x: Array, outcome: Outcome) -> Any:
    """Say "unbounded" where that is proved, by the certificate returned.

    The last move from x0 to the best point and the negative subgradient are tried, each
    moved into the recession cone of the constraint; where the structured method is
    stuck, the steepest direction that it finds as well.
    """
    f, C = problem.function, problem.constraint
    ray = np.zeros(x.shape)
    if outcome.proved.all() or not np.isneginf(f.infimum):
        return None
    try:
        g = f._oracle(x)[1]
        for k in range(3):
            if k == 2 and not (x.ndim == 1 and outcome.status == "stalled"):
                break
            d = x - x0 if k == 0 else -g if k == 1 else steepest(f, C, x)
            d = np.where(np.isfinite(d).all(-1)[..., None], d, 0.0)
            size = norm(d)
            d = d / np.where(size > 0, size, 1.0)[..., None]
            d = straightened(restricted(f, C), d) if d.ndim == 1 else d
            falls, d = falls_within(f, C, d)
            new = falls & ~outcome.proved
            outcome.status[new] = "unbounded"
            ray = np.where(new[..., None], d, ray)
    except (NotImplementedError, ValueError):
        # No rule is known, or no projection, or f takes any number of arguments and
        # the rule asks for one domain: nothing more is proved.
        pass
    outcome.reasons["unbounded"] = UNBOUNDED
    return RayCertificate(ray, C) if ray.any() else None
