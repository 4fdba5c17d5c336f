"""Nonsmooth convex test problems, those with a known optimum among them.

Each is a plain function of its sizes (and of a seed, where the data are random) that
returns a `TestProblem`: `maxq(n=100)`, `lad(n=20, m=500, seed=3)`, `tr48()`. By name,
with one size for all of them: `problem("lad", n=50)`.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from types import MappingProxyType

from subgrad.problems import (
    classic,
    games,
    measured,
    regression,
    scalable,
    signals,
    sparse,
)
from subgrad.problems._problem import Make, TestProblem
from subgrad.problems._suites import SUITES, Case
from subgrad.problems.classic import (
    cb2,
    cb3,
    dem,
    lq,
    maxquad,
    mifflin1,
    ql,
    rosen_suzuki,
    shor,
)
from subgrad.problems.games import (
    cvar_portfolio,
    distance_game,
    enclosing_ball,
    fermat_weber,
    matrix_game,
)
from subgrad.problems.measured import engel, mcp100, mcp250_1, stackloss, tr48
from subgrad.problems.regression import (
    huber_regression,
    lad,
    lad_box,
    lad_outliers,
    max_affine,
    multiclass_lasso,
    multiclass_svm,
    norm_residual,
    quantile_regression,
    svm,
)
from subgrad.problems.scalable import (
    chained_cb3_1,
    chained_cb3_2,
    chained_lq,
    geometric_l1,
    goffin,
    l1hilb,
    max_of_abs,
    maxl,
    maxq,
    mxhilb,
)
from subgrad.problems.signals import (
    matrix_completion,
    tv_denoising,
    tv_image,
    tv_image_isotropic,
)
from subgrad.problems.sparse import (
    basis_pursuit,
    elastic_net_regression,
    group_lasso,
    l1_logistic,
    lasso,
)

PROBLEMS = MappingProxyType(
    {
        make.__name__: make
        for family in (classic, scalable, measured, regression, sparse, signals, games)
        for make in family.ALL
    }
)


def names() -> list[str]:
    """The names of all problems, by family."""
    return list(PROBLEMS)


def parameters(name: str) -> list[str]:
    """The parameters of a problem; "n" is the first where its size can be chosen."""
    return list(inspect.signature(_make(name)).parameters)


def describe(name: str) -> str:
    """What the problem is, in one line."""
    return (_make(name).__doc__ or "").strip().splitlines()[0]


def problem(name: str, n: int | None = None, seed: int | None = None) -> TestProblem:
    """The problem of this name, of size n and with this seed where it has them.

    What n counts is said in the docstring of the problem: variables unless said. None
    leaves the defaults; ValueError for a size or a seed that the problem does not have.
    """
    given = {"n": n, "seed": seed}
    chosen = {key: value for key, value in given.items() if value is not None}
    for key in chosen:
        if key not in parameters(name):
            what = "size is fixed" if key == "n" else "data are not random"
            raise ValueError(f"problem {name!r} takes no {key}: its {what}")
    return _make(name)(**chosen)


def make(
    cases: Iterable[Case], n: int | None = None, seed: int | None = None
) -> list[TestProblem]:
    """The problems, such as those of a suite, of size n and with this seed if given.

    Each takes those of the two that it has; ValueError where none has, or n is too
    small.
    """
    pairs = [(case, {}) if isinstance(case, str) else case for case in cases]
    given = {"n": n, "seed": seed}
    chosen = {key: value for key, value in given.items() if value is not None}
    for key in chosen:
        if not any(key in parameters(name) for name, _ in pairs):
            what = "a size to choose" if key == "n" else "random data"
            named = ", ".join(name for name, _ in pairs)
            raise ValueError(f"none of the problems has {what}: {named}")
    made = []
    for name, own in pairs:
        fits = {key: a for key, a in chosen.items() if key in parameters(name)}
        made.append(_make(name)(**{**own, **fits}))
    return made


def _make(name: str) -> Make:
    if name not in PROBLEMS:
        raise ValueError(f"name must be one of {', '.join(PROBLEMS)}; got {name!r}")
    return PROBLEMS[name]


__all__ = ["PROBLEMS", "SUITES", "TestProblem"]
__all__ += ["describe", "make", "names", "parameters", "problem", *PROBLEMS]
