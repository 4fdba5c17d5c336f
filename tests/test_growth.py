"""Memory of the primal-dual method on images, and what is known without a matrix."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose

from subgrad import norm1, squared_norm, total_variation, variable
from subgrad.differences import Difference, differences
from subgrad.operators import Matrix
from subgrad.solvers.structured.choice import by_products, in_boxes, width
from subgrad.solvers.structured.form import primal
from subgrad.solvers.structured.primal_dual import PrimalDual
from subgrad.solvers.structured.stencil import apart
from subgrad.solvers.structured.terms import structure

SIDE = 160


def image(isotropic, side=SIDE):
    B, X = np.random.default_rng(0).standard_normal((side, side)), variable((side,) * 2)
    B[: side // 2] += 1.0
    return primal(
        structure(0.5 * squared_norm(X - B) + 0.3 * total_variation(isotropic)(X))
    )


def peak(act):
    """The peak of what numpy allocates meanwhile."""
    tracemalloc.start()
    act()
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


@pytest.mark.parametrize("isotropic", [False, True])
def test_memory_of_steps(isotropic):
    form, found = image(isotropic), []

    def act():
        method = PrimalDual(form)
        for _ in range(6):
            method.step()
        found.append(method.restarts)

    PrimalDual(form).step()  # What is compiled first is no part of it.
    # A mixture, its image and an anchor, each of one image and two differences.
    assert peak(act) < 11 * 8 * SIDE**2
    assert found[0] > 0


def test_points_given_stay_what_they_are():
    method = PrimalDual(image(True))
    for _ in range(4):
        method.step()
        x, y = method.x, method.y
        kept = x.copy(), y.copy()
        method.step()
        assert np.array_equal(x, kept[0]) and np.array_equal(y, kept[1])
        assert method.x is not x and method.y is not y


@pytest.mark.parametrize("isotropic", [False, True])
def test_multipliers_are_members_without_rounding(isotropic):
    method = PrimalDual(image(isotropic))
    for _ in range(4):
        method.step()
        u, v = np.split(method.y, 2)
        size = np.hypot(u, v) if isotropic else np.maximum(abs(u), abs(v))
        assert 0.3 * (1 - 1e-15) <= size.max() <= 0.3


def test_products_with_differences():
    rng, form = np.random.default_rng(1), image(False, 70)
    method = PrimalDual(form)
    x, y = rng.standard_normal(form.n), rng.standard_normal(len(form.b))
    z = form.linear(x)
    assert_allclose(method._along(x, y), (y @ z, z @ z))


@pytest.mark.parametrize("shape", [(70,), (9, 11), (300, 16), (3, 4, 5)])
@pytest.mark.parametrize("common", [False, True])
def test_apart(shape, common):
    x = variable(int(np.prod(shape)))
    D = differences(shape, common)
    form = primal(structure(0.5 * squared_norm(x - 1.0) + norm1(D @ x)))
    assert apart(D) == width(form) == np.prod(shape[1:])
    curved = Difference(shape, 0, 2)
    assert apart(curved) == 2 * np.prod(shape[1:])
    assert apart(Matrix(np.eye(3))) == 0


def test_no_matrix_of_differences_is_made():
    form = image(False)
    assert not in_boxes(form) and by_products(form)
    assert "matrix" not in vars(form.blocks[0])
