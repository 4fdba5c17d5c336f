"""What the laws of functions and of sets share."""

from __future__ import annotations

from collections.abc import Iterator

import cvxpy as cp
import numpy as np


def lattice(n: int) -> np.ndarray:
    """{-1, 0, 1}^n, where kinks and ties are."""
    return np.stack(np.meshgrid(*[[-1.0, 0, 1]] * n), -1).reshape(-1, n)


def close(a, b, tol=1e-8):
    """Equal to the tolerance, infinite in the same places."""
    a, b = np.broadcast_arrays(a, b)
    both = np.isinf(a) | np.isinf(b)
    np.testing.assert_array_equal(a[both], b[both])
    np.testing.assert_allclose(a[~both], b[~both], atol=tol, rtol=tol)


def attained(S, d):
    """Where the supremum h_S(d) is that of some member."""
    some = np.isfinite(S.support(d)) & S.exposed_face(d).nonempty
    return np.broadcast_to(some, d.shape[:-1])


def cvxpy_has_the_same_prox(phi, tol):
    """argmin of φ(x) + (x - t)² over the entries of x, by Clarabel."""
    t, x = np.array([-2.0, -0.25, 0.5, 3.0]), cp.Variable(4)
    objective = cp.sum(phi.to_cvxpy(x)) + cp.sum_squares(x - t)
    cp.Problem(cp.Minimize(objective)).solve(
        solver=cp.CLARABEL, tol_gap_abs=1e-9, tol_gap_rel=1e-9, tol_feas=1e-9
    )
    assert np.allclose(x.value, phi.prox(t, 0.5), tol, tol)


def named_classes(root: type) -> Iterator[type]:
    """The public subclasses of `root` in the package, at any depth."""
    for c in root.__subclasses__():
        yield from named_classes(c)
        if c.__module__.startswith("subgrad") and not c.__name__.startswith("_"):
            yield c
