"""sympy: where it is right it agrees, and where it is wrong its answers are here."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp
from sympy import DiracDelta, Heaviside, Rational, oo

import subgrad as sg
from subgrad import Distribution, absolute, dirac, gaussian, heaviside, relu, t

x = sp.symbols("x", real=True)
PHI = sp.exp(-(x**2))
phi = gaussian(0, math.sqrt(0.5))
ABSOLUTE = sp.Piecewise((-x, x < 0), (x, True))
STEP = sp.Piecewise((0, x < 0), (1, True))
FUNCTIONS = {
    "relu6": sg.relu6,
    "hard_sigmoid": sg.hard_sigmoid,
    "huber": sg.huber(1.5),
    "dead_zone": sg.dead_zone(0.75),
    "steps": sg.where(abs(t) < 2, sg.steps(-2, 3), t**3 - t),
    "maximum": sg.maximum(t**2, 2 - t, 3 * t**3),
}


def translated(expression):
    """The distribution of an expression in x."""
    names = {
        "Heaviside": lambda p, _=0.5: Distribution(heaviside(p)),
        "DiracDelta": lambda p, k=0: dirac(0, int(k))(p),
        "Abs": abs,
    }
    expression = expression.replace(sp.sign, lambda p: 2 * Heaviside(p) - 1)
    return Distribution(0) + sp.lambdify(x, expression, modules=[names])(t)


def expression(f):
    """A piecewise polynomial as sympy's, with every float as the fraction it is."""
    rows = []
    ends = [*map(Rational, f.breakpoints.tolist()), oo]
    for end, row, a in zip(ends, f.coefficients.tolist(), f.anchors, strict=True):
        p = sum(Rational(c) * (x - Rational(float(a))) ** j for j, c in enumerate(row))
        rows.append((p, x < end))
    return sp.Piecewise(*rows[:-1], (rows[-1][0], True))


def against(expression):
    """∫ of the expression times exp(-x²) by sympy."""
    return float(sp.integrate(expression * PHI, (x, -oo, oo)))


# -- where it is right ----------------------------------------------------------------


@pytest.mark.parametrize(
    "expression",
    [
        Heaviside(x - 1),
        Heaviside(3 - 2 * x) * x**3 - x,
        x**2 * Heaviside(x) + (x - 4) * Heaviside(x + 2),
        x * DiracDelta(x - 2) + (x**2 + 1) * DiracDelta(x, 1),
        sp.Abs(x),
        x * sp.Abs(x) + sp.sign(x) * 3,
    ],
)
def test_derivatives(expression):
    T = translated(expression)
    for order in (1, 2, 3):
        assert T.derivative(order) == translated(sp.diff(expression, x, order))


@pytest.mark.parametrize(
    "expression",
    [
        *(x**2 * DiracDelta(x - 1, k) for k in range(4)),
        DiracDelta(2 * x - 3),
        x * DiracDelta(x, 1),
        x * (Heaviside(x) - 2 * DiracDelta(x + 1, 2)),
        sp.diff(sp.Abs(x), x, 2),
        sp.diff(sp.Abs(x - 1) * x, x, 2) - 2 * sp.sign(x - 1),
    ],
)
def test_integrals(expression):
    value, error = translated(expression).pair(phi, return_error=True)
    assert abs(value - against(expression)) <= error + 1e-14


def test_a_smooth_factor():
    one_sided = sp.exp(-(x**2) / 2) * Heaviside(x)
    T = gaussian() * Distribution(heaviside)
    for order in (1, 2):
        value, error = T.derivative(order).pair(phi, return_error=True)
        assert abs(value - against(sp.diff(one_sided, x, order))) <= error + 1e-14


def test_antiderivatives():
    for expression in (DiracDelta(x - 1), DiracDelta(x - 1, 1), DiracDelta(x, 3)):
        found = translated(expression).antiderivative()
        assert found == translated(sp.integrate(expression, x))


@pytest.mark.parametrize("f", FUNCTIONS.values(), ids=FUNCTIONS)
def test_functions_away_from_kinks(f):
    y = np.setdiff1d(np.linspace(-4, 4, 65), f.breakpoints)
    value, slope = expression(f), f.derivative()
    for order in (0, 1, 2):
        other = sp.lambdify(x, sp.diff(value, x, order), "numpy")(y) + 0 * y
        mine = f.distributional_derivative(order).regular
        assert np.allclose(mine(y), other, rtol=1e-12, atol=1e-12)
        if order == 1:
            assert np.array_equal(mine(y), slope(y))


@pytest.mark.parametrize("f", FUNCTIONS.values(), ids=FUNCTIONS)
def test_integrals_of_piecewise_polynomials(f):
    hat = sg.maximum(1 - abs(t - 0.25) / 2, 0)
    value, error = Distribution(f).pair(hat, return_error=True)
    exact = sp.integrate(expression(f * hat), (x, Rational(-7, 4), Rational(9, 4)))
    assert abs(value - float(exact)) <= error


def test_conjugates():
    s = sp.symbols("s", positive=True)
    slopes = np.array([0.25, 1.0, 3.0])
    for f, F in (
        (t**2 / 2, x**2 / 2),
        (sg.square, x**2 / 2),
        (3 * t**2 - 2 * t + 5, 3 * x**2 - 2 * x + 5),
        (sg.exponential, sp.exp(x)),
    ):
        (best,) = sp.solve(sp.diff(F, x) - s, x)
        other = sp.lambdify(s, s * best - F.subs(x, best))(slopes)
        assert np.allclose(f.conjugate().value(slopes), other, rtol=1e-14)


# -- where it is wrong ----------------------------------------------------------------


def test_a_kink_written_as_cases():
    curvature = sp.diff(ABSOLUTE, x, 2)
    assert curvature == 0 and against(curvature) == 0
    T = absolute.distributional_derivative(2)
    assert T == 2 * dirac() and T.pair(phi) == 2
    # By the definition, ∫ |x| φ'' dx = 2; sympy itself says so.
    moved = sp.integrate(ABSOLUTE * sp.diff(PHI, x, 2), (x, -oo, oo))
    assert moved == 2


def test_a_jump_written_as_cases():
    slope = sp.diff(STEP, x)
    assert slope == 0 and against(slope) == 0
    T = heaviside.distributional_derivative()
    assert T == dirac() and T.pair(phi) == phi(0) == 1
    assert -sp.integrate(sp.diff(PHI, x), (x, 0, oo)) == 1


def test_a_derivative_where_there_is_none():
    # Half of the slopes is a subgradient, but no derivative.
    assert sp.diff(sp.Max(x, 0), x).subs(x, 0) == Rational(1, 2)
    assert sp.diff(sp.Abs(x), x).subs(x, 0) == 0
    for f, low, up in ((relu, 0, 1), (absolute, -1, 1)):
        assert math.isnan(f.derivative()(0)) and not f.is_differentiable(0)
        assert f.subdifferential(0) == sg.Interval(low, up)


def test_a_derivative_where_three_functions_touch():
    # All three have the slope 1 at 0, and 3/2 is no slope of anything there.
    largest = sp.Max(x, sp.exp(x) - 1, ((x + 1) ** 2 - 1) / 2)
    assert sp.diff(largest, x).subs(x, 0) == Rational(3, 2)
    y = sg.variable(1)
    f = sg.maximum(y, sg.exponential(y) - 1, sg.square(y + 1) - 0.5)
    assert f.directional_derivative([0], [1]) == 1
    assert f.directional_derivative([0], [-1]) == -1
    slopes = f.subdifferential([0])
    assert slopes.exact and slopes.box() == sg.Interval([1], [1])


def test_a_reflected_derivative_of_delta():
    # δ'(3 - 2 x) = -δ'(x - 3/2) / 4, so that it gives φ'(3/2) / 4 = -3 exp(-9/4) / 4.
    assert against(DiracDelta(3 - 2 * x, 1)) == pytest.approx(3 * math.exp(-9 / 4))
    T = dirac(0, 1)(3 - 2 * t)
    assert T == -dirac(1.5, 1) / 4
    assert T.pair(phi) == pytest.approx(-3 / 4 * math.exp(-9 / 4), rel=1e-14)
