"""Test functions, against high precision, quadrature and the rules of calculus."""

from __future__ import annotations

import math
import pickle
from decimal import Decimal, localcontext

import numpy as np
import portion
import pytest
from numpy.polynomial import Polynomial
from scipy.integrate import quad
from scipy.special import eval_hermitenorm

from subgrad.univariate.bump import TestFunction, bump, gaussian

inf = math.inf
P = Polynomial([1.0, -2.0, 0.0, 0.5])
FAR = Polynomial([0.0, 1.0], domain=[9.0, 11.0], window=[-1.0, 1.0])
PHI, PSI, G = bump(), bump(0.25, 2), gaussian(0.5, 0.25)
CASES = {
    "bump": PHI,
    "wide": bump(-3, 5),
    "gaussian": gaussian(),
    "narrow": G,
    "product": PHI * PSI,
    "mixed": PSI * G,
    "square": PHI * PHI,
    "polynomial": P * PSI,
    "moments": gaussian(10, 0.5) * FAR * P,
    "derivative": PSI.derivative(2),
    "sum": 2 * PHI - gaussian(1, 3) + P * PHI * G,
    "tree": ((PHI + PSI) * G).derivative() * PSI - 3 * G.derivative(2),
    "apart": bump(-2) + 0.5 * bump(2, 1),
}
NAMES = {"bump": bump, "gaussian": gaussian, "Polynomial": Polynomial}
every_case = pytest.mark.parametrize("phi", CASES.values(), ids=CASES)


def bump_derivatives(u: float, order: int) -> list[float]:
    """φ, φ', …, φ^(order) at u, by the series of φ = exp(g) in a hundred digits:

    g = 1 - (1 / (1 - u) + 1 / (1 + u)) / 2,   n φ_n = Σ_j j g_j φ_{n-j}.
    """
    if abs(u) >= 1:
        return [0.0] * (order + 1)
    with localcontext() as context:
        context.prec = 100
        x, steps = Decimal(float(u)), range(order + 1)
        g = [-((1 - x) ** ~j + (-1) ** j * (1 + x) ** ~j) / 2 for j in steps]
        series = [(1 + g[0]).exp()]
        for n in steps[1:]:
            series.append(sum(j * g[j] * series[n - j] for j in steps[1 : n + 1]) / n)
        return [float(math.factorial(n) * c) for n, c in enumerate(series)]


def test_derivatives_of_a_bump():
    near = 1 - np.logspace(-8, -1, 15)
    u = np.r_[np.linspace(-1, 1, 25), near, -near, 1.5, -inf, np.nextafter(1, 0)]
    table = np.transpose([bump_derivatives(x, 20) for x in u])
    for order, want in enumerate(table):
        scale = abs(want).max()
        assert np.allclose(bump().derivative(order)(u), want, 0, 1e-12 * scale)
        # Powers of two leave u as it is.
        for radius in (2.0**-30, 2.0**30):
            out = bump(0, radius).derivative(order)(radius * u) * radius**order
            assert np.allclose(out, want, 0, 1e-12 * scale)


@pytest.mark.parametrize("order", [0, 1, 2, 7, 20])
def test_derivatives_of_a_gaussian(order):
    u = np.linspace(-12, 12, 97)
    want = (-1) ** order * eval_hermitenorm(order, u) * np.exp(-u * u / 2)
    for center, width in ((0.0, 1.0), (3.0, 0.25), (-1.0, 4.0)):
        out = gaussian(center, width).derivative(order)(center + width * u)
        assert np.allclose(out * width**order, want, 0, 1e-12 * abs(want).max())


def test_values():
    assert PHI(0) == 1 and gaussian(3, 2)(3) == 1
    assert np.isclose(bump(1, 2)(2), np.exp(1 - 4 / 3), 1e-15)
    assert np.isclose(gaussian(1, 2)(3), np.exp(-0.5), 1e-15)
    assert np.isclose(gaussian()(30), math.exp(-450), 1e-12, 0)
    for order in (0, 1, 6):
        for phi in CASES.values():
            assert np.array_equal(phi.derivative(order)([-inf, inf, 1e300]), [0, 0, 0])
        assert np.array_equal(PHI.derivative(order)([-1, 1, 1.25, -2]), np.zeros(4))
    # One number from the end, (t - center) / radius may round to 1.
    for center in np.arange(1, 30) / 10:
        for radius in (0.3, 0.7, 1.1):
            phi = bump(center, radius)
            last = np.nextafter(phi.ends, center)
            assert not any(phi.derivative(order)(last).any() for order in (0, 1, 9))


@every_case
def test_arrays_are_vectorized(phi):
    t = np.linspace(-3, 12, 12).reshape(3, 4)
    want = [[phi(x) for x in row] for row in t]
    assert np.allclose(phi(t), want, 1e-14, 0)
    assert phi(1).shape == () and phi(np.zeros((0, 2))).shape == (0, 2)
    out = phi(np.float32([0.5, 0.25]))
    assert out.dtype == np.float64 and np.array_equal(out, phi([0.5, 0.25]))
    assert phi([1, 0]).tolist() == phi([True, False]).tolist()


@every_case
@pytest.mark.parametrize("order", [1, 3])
def test_fundamental_theorem(phi, order):
    """φ^(k-1)(b) - φ^(k-1)(a) = ∫_a^b φ^(k), from before the first node on."""
    high, low = phi.derivative(order), phi.derivative(order - 1)
    nodes, total = phi.nodes, 0.0
    size = abs(low(np.linspace(nodes[0], nodes[-1], 999))).max()
    for a, b in zip(nodes[:-1], nodes[1:], strict=True):
        total += quad(high, a, b, epsabs=1e-12 * size, epsrel=0)[0]
        assert abs(total - low(b)) <= 1e-11 * size


@every_case
def test_nodes_make_one_quadrature_rule_per_panel_enough(phi):
    x, w = np.polynomial.legendre.leggauss(21)
    panels = phi.nodes[:-1, None], phi.nodes[1:, None]
    half, middle = (panels[1] - panels[0]) / 2, (panels[1] + panels[0]) / 2
    for order in (1, 3, 6):
        values = phi.derivative(order)(middle + half * x) * half
        assert abs((values @ w).sum()) <= 1e-10 * (abs(values) @ w).sum()


@every_case
def test_nodes_support_and_ends(phi):
    nodes, (lower, upper) = phi.nodes, phi.ends
    assert nodes.ndim == 1 and np.isfinite(nodes).all() and np.all(np.diff(nodes) > 0)
    assert lower <= nodes[0] and nodes[-1] <= upper
    assert phi.support.lower == (lower if lower > -inf else -portion.inf)
    assert phi.support.upper == (upper if upper < inf else portion.inf)
    assert np.array_equal(phi(nodes[[0, -1]]), [0, 0])
    assert phi(np.linspace(nodes[0], nodes[-1], 999)).any()
    for order in (1, 5):
        same = phi.derivative(order)
        assert same.support == phi.support and np.array_equal(same.nodes, nodes)


def test_supports():
    assert bump(1, 2).support == portion.closed(-1, 3)
    assert gaussian().support == portion.open(-portion.inf, portion.inf)
    assert gaussian(1).ends == (-inf, inf) and bump(1, 2).ends == (-1, 3)
    assert (bump(0, 2) * bump(3, 2) * G).ends == (1, 2)
    assert CASES["apart"].support == portion.closed(-3, -1) | portion.closed(1, 3)
    assert CASES["apart"].ends == (-3, 3)
    assert (CASES["apart"] * bump(0, 2)).ends == (-2, 2)
    for zero in (bump() * bump(2), CASES["apart"] * PHI, bump() - bump(), 0 * G):
        assert zero.support == portion.empty() and zero.ends == (inf, -inf)
        assert zero.nodes.size == 0 and zero.nodes.dtype == np.float64
        assert np.array_equal(zero.derivative(3)([0, 1.5, inf]), np.zeros(3))


@pytest.mark.parametrize("order", [1, 2, 5, 9])
def test_leibniz(order):
    t = np.linspace(-1.5, 2, 141)
    terms = [
        math.comb(order, k) * PSI.derivative(k)(t) * G.derivative(order - k)(t)
        for k in range(order + 1)
    ]
    rule, scale = np.sum(terms, 0), np.max(np.abs(terms))
    assert np.allclose((PSI * G).derivative(order)(t), rule, 0, 1e-13 * scale)
    terms = [
        math.comb(order, k) * P.deriv(k)(t) * PSI.derivative(order - k)(t)
        for k in range(order + 1)
    ]
    rule, scale = np.sum(terms, 0), np.max(np.abs(terms))
    assert np.allclose((P * PSI).derivative(order)(t), rule, 0, 1e-13 * scale)


def test_sums_and_multiples():
    t = np.linspace(-3, 3, 61)
    for order in (0, 1, 4):
        a, b = PSI.derivative(order)(t), G.derivative(order)(t)
        for phi, want in (
            (PSI + G, a + b),
            (PSI - G, a - b),
            (-PSI, -a),
            (3 * PSI, 3 * a),
            (PSI * np.float64(0.5), a / 2),
            (np.float32(0.5) * PSI, a / 2),
            (2 * (PSI + 3 * G), 2 * a + 6 * b),
        ):
            assert np.allclose(
                phi.derivative(order)(t), want, 1e-14, 1e-14 * abs(b).max()
            )


@every_case
def test_polynomials_keep_their_scaling(phi):
    t = np.linspace(-3, 12, 31)
    assert np.allclose((FAR * phi)(t), (t - 10) * phi(t), 1e-14, 1e-15)
    assert np.allclose((phi * P * FAR)(t), P(t) * (t - 10) * phi(t), 1e-13, 1e-15)


def test_equality_is_that_of_the_parts():
    assert bump() == bump(0.0, 1) != gaussian() and bump() != bump(0, 2)
    assert PHI + PSI == PSI + PHI and PHI * PSI * P == P * (PSI * PHI)
    assert PHI + PSI != PHI - PSI and PHI * PHI != PHI and P * PHI != FAR * PHI
    assert 1 * PHI == PHI == -1 * -PHI == PHI + 0 * G == PHI.derivative(0)
    assert PHI + PHI == 2 * PHI and 2 * PHI - PHI == PHI
    assert 2 * (3 * PHI) == 6 * PHI and (2 * PHI) * (3 * PSI) == 6 * (PHI * PSI)
    assert PHI.derivative(2).derivative(3) == PHI.derivative(5)
    assert (2 * PHI + G).derivative() == G.derivative() + 2 * PHI.derivative()
    assert PHI - PHI == 0 * G == (0 * PHI) * PSI == -0.0 * PSI
    assert hash(PHI + PSI * G) == hash(G * PSI + PHI)
    assert bump(-0.0) == bump() and repr(bump(-0.0)) == repr(bump())
    p, q = Polynomial([0.0, 1.0]), Polynomial([-0.0, 1.0])
    assert p * PHI == q * PHI and repr(p * PHI) == repr(q * PHI)
    assert bump() != 1 and (bump() == np.ones(2)) is False


@every_case
def test_pickle_repr_and_hash(phi):
    t = np.linspace(-3, 12, 50)
    for f in (phi, phi.derivative(3), 0 * phi, phi * (phi + PHI), -2 * phi):
        for copy in (pickle.loads(pickle.dumps(f)), eval(repr(f), NAMES)):
            assert copy == f and hash(copy) == hash(f)
            assert np.array_equal(copy(t), f(t))


def test_immutable():
    with pytest.raises(AttributeError):
        bump().center = 2.0
    p = Polynomial([1.0, 2.0])
    phi = p * PHI
    p.coef[0] = 5
    assert phi(0) == 1
    nodes = PHI.nodes
    nodes[:] = 7
    assert PHI.nodes[0] == -1


def test_high_orders_and_extreme_scales():
    for phi in (bump(), gaussian()):
        out = phi.derivative(100)(np.linspace(-1, 1, 11))
        assert np.isfinite(out).all() and out.any()
    for scale in (1e-300, 1e-100, 1e100, 1e300):
        for make in (bump, gaussian):
            phi = make(0, scale)
            assert np.isclose(phi(scale / 2), make()(0.5), 1e-15)
            slope = phi.derivative()(scale / 2)
            assert np.isclose(slope * scale, make().derivative()(0.5), 1e-12)
    with pytest.raises(
        OverflowError, match=r"bump.*derivative\(2\) overflows at t = 0"
    ):
        bump(0, 1e-300).derivative(2)(0)
    with pytest.raises(OverflowError, match="overflows at t = 0.5"):
        bump().derivative(400)([2, 0.5])


def test_the_border_refuses():
    for make, name in ((bump, "radius"), (gaussian, "width")):
        for bad in (0, -1):
            with pytest.raises(ValueError, match=f"{name} must be positive, got {bad}"):
                make(0, bad)
        for bad in (inf, -inf):
            with pytest.raises(ValueError, match=f"{name} must be finite, got"):
                make(0, bad)
            with pytest.raises(ValueError, match="center must be finite, got"):
                make(bad)
        with pytest.raises(ValueError, match="center must not contain nan"):
            make(math.nan)
        with pytest.raises(ValueError, match=f"{name} must not contain nan"):
            make(0, math.nan)
        with pytest.raises(ValueError, match=f"{name} must be large enough .* got 1.0"):
            make(1e17, 1)
        with pytest.raises(ValueError, match=f"small enough .* {name} to be finite"):
            make(1e308, 1e308)
        with pytest.raises(ValueError, match=rf"center and {name} must be .*\(2,\)"):
            make([0, 1])
        with pytest.raises(TypeError, match="center must be .* real numbers"):
            make(1j)
    for bad in (-1, 1.0, "1", None):
        with pytest.raises(
            ValueError, match="order must be a nonnegative integer, got"
        ):
            PHI.derivative(bad)
    with pytest.raises(ValueError, match="t must not contain nan"):
        PHI([0, math.nan])
    with pytest.raises(TypeError, match="t must be an array of real numbers"):
        PHI("0")
    for bad in (inf, math.nan):
        with pytest.raises(ValueError, match="factor must"):
            bad * PHI
    with pytest.raises(ValueError, match="coefficients must be finite"):
        1e200 * (1e200 * PHI)
    with pytest.raises(ValueError, match="Polynomial.coef must be finite"):
        Polynomial([inf]) * PHI
    for bad in (1j, "a", None, np.ones(2), [1.0]):
        with pytest.raises(TypeError, match="support|sequence"):
            PHI * bad
    for bad in (1.0, P, np.ones(2)):
        for operation in (lambda a, b: a + b, lambda a, b: b - a):
            with pytest.raises(TypeError, match="support"):
                operation(PHI, bad)
    with pytest.raises(TypeError, match="not an array"):
        np.asarray(PHI)
    with pytest.raises(TypeError, match="abstract"):
        TestFunction()


def test_pytest_does_not_collect_the_class():
    assert TestFunction.__test__ is False and isinstance(PHI, TestFunction)
