"""Known answers of the univariate functions, and the border."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from univariate_rows import (
    every,
    every_batch,
    inf,
)

from subgrad.univariate.catalog import (
    absolute,
    entropy,
    epsilon_insensitive,
    exponential,
    hinge,
    interval_indicator,
    linear,
    negative_sqrt,
    pinball,
    relu,
    square,
)
from subgrad.univariate.linear import PiecewiseLinear
from subgrad.univariate.smooth import (
    Entropy,
    Exponential,
    InverseNegative,
    Square,
)


def test_saturation_values():
    t = np.array([-2, -1, 0, 0.5, 3])
    assert np.array_equal(absolute.saturation(t), 2 * abs(t))
    assert np.array_equal(relu.saturation(t), abs(t))
    assert np.array_equal(linear(3).saturation(t), 0 * t)
    assert np.array_equal(interval_indicator(0, 1).saturation([0, 0.5, 1]), [inf] * 3)
    assert np.array_equal(interval_indicator(0, inf).saturation([0, 1]), [0, inf])
    assert interval_indicator(1, 1).saturation(1) == 0
    assert np.all(square.saturation(t) == inf) and np.all(entropy.saturation(t) == inf)


def test_conjugates_by_name():
    assert absolute.conjugate() == interval_indicator(-1, 1)
    assert relu.conjugate() == interval_indicator(0, 1)
    assert pinball(0.75).conjugate() == interval_indicator(-0.25, 0.75)
    assert linear(2).conjugate() == PiecewiseLinear([2], [-inf, inf], at=(2, 0))
    assert interval_indicator(0, inf).conjugate() == interval_indicator(-inf, 0)
    assert hinge.conjugate().value([-1, -0.5, 0, 1]).tolist() == [-1, -0.5, 0, inf]
    assert Square(4).conjugate() == Square(0.25)
    assert entropy.conjugate() == Exponential(1)
    assert exponential.conjugate() == Entropy(0)
    assert negative_sqrt.conjugate() == InverseNegative()


def test_nondecreasing_in_words():
    box = interval_indicator(0, 1)
    assert not box.nondecreasing_from(-1)  # falls from +inf
    assert box.nondecreasing_from(0) and box.nondecreasing_from(1)
    assert box.nondecreasing_from(2)  # +inf for good
    assert relu.nondecreasing_from(-inf) and exponential.nondecreasing_from(-inf)
    assert not absolute.nondecreasing_from(-inf) and absolute.nondecreasing_from(0)
    assert not pinball([0.5, 1]).nondecreasing_from(-1)
    assert pinball([1, 1]).nondecreasing_from(-1)


def test_domains():
    assert absolute.ends == square.ends == exponential.ends == (-inf, inf)
    assert entropy.ends == negative_sqrt.ends == (0, inf)
    assert InverseNegative().ends == (-inf, 0) and InverseNegative()(0) == inf
    assert interval_indicator(0, 2).ends == (0, 2)
    assert interval_indicator(1, 1).ends == (1, 1)
    assert interval_indicator(-inf, 3).ends == (-inf, 3)


def test_ends_of_domains():
    def ends(phi, t, eps=0.0):
        s = phi.subdifferential(t, eps)
        return s.lower.tolist(), s.upper.tolist()

    t = [-1, 0, 0.5, 1, 2]
    box = interval_indicator(0, 1)
    assert ends(box, t) == ([inf, -inf, 0, 0, inf], [-inf, 0, 0, inf, -inf])
    assert ends(box, t, 1) == ([inf, -inf, -2, -1, inf], [-inf, 1, 2, inf, -inf])
    point = interval_indicator(0.5, 0.5)
    for eps in (0, 1):
        lower = [inf, inf, -inf, inf, inf]
        assert ends(point, t, eps) == (lower, [-x for x in lower])
    for phi in (entropy, negative_sqrt):
        assert ends(phi, 0) == (inf, -inf)
        assert phi.directional_derivative([0, 0, 0], [1, 0, -1]).tolist() == [
            -inf,
            0,
            inf,
        ]
    assert ends(entropy, 0, 1) == (-inf, pytest.approx(1, 1e-14))
    assert ends(negative_sqrt, 0, 0.5) == (-inf, -0.5)


def test_calls():
    assert absolute(-3) == 3 and absolute(-3).ndim == 0
    assert absolute([-1, 2]).tolist() == [1, 2]
    assert pinball([0.25, 0.5])(2).tolist() == [[0.5], [1]]

    class Composed:
        def _compose_univariate(self, phi):
            return phi

    assert relu(Composed()) is relu
    with pytest.raises(TypeError):
        np.ones(2) * relu


@every
def test_nan_and_signs_are_refused(phi):
    for call in (phi, phi.value, phi.prox, phi.subdifferential, phi.saturation):
        with pytest.raises(ValueError, match="t must not contain nan"):
            call([0.0, np.nan])
    for call in (phi.left_slope, phi.right_slope, phi.prox):
        with pytest.raises(ValueError, match="t must be finite"):
            call([0.0, inf])
    with pytest.raises(ValueError, match="eps must be nonnegative"):
        phi.subdifferential(1.0, -1e-3)
    with pytest.raises(ValueError, match="step must be positive"):
        phi.prox(1.0, 0.0)
    with pytest.raises(ValueError, match="d must not contain nan"):
        phi.directional_derivative(1.0, np.nan)
    with pytest.raises(ValueError, match="m must not contain nan"):
        phi.nondecreasing_from(np.nan)


def test_wrong_parameters():
    cases = [
        (pinball, (1.5,), "tau must lie in \\[0, 1\\]"),
        (pinball, (-0.5,), "tau must be nonnegative"),
        (epsilon_insensitive, (-1,), "eps must be nonnegative"),
        (interval_indicator, (1, 0), "some number must lie between"),
        (interval_indicator, (inf, inf), "some number must lie between"),
        (interval_indicator, ([0, -inf], 1), "lower must be infinite for the whole"),
        (linear, (inf,), "slope must be finite"),
        (Square, (0,), "c must be positive"),
        (Entropy, (np.nan,), "shift must not contain nan"),
    ]
    for make, arguments, message in cases:
        with pytest.raises(ValueError, match=message):
            make(*arguments)
    with pytest.raises(TypeError, match="slopes must be an array of real numbers"):
        PiecewiseLinear([0], ["a", "b"])
    with pytest.raises(ValueError, match="one function at a time"):
        pinball([0.1, 0.2]).to_cvxpy(cp.Variable(2))


@every_batch
def test_batch_at_infinity(phi):
    for t in (inf, -inf):
        each = [phi._item((k,)).value(t) for k in range(4)]
        assert np.array_equal(phi.value(t)[:, 0], each)


def test_no_overflow():
    big = np.array([-1e300, -1e10, -800.0, 800.0, 1e10, 1e150])
    with np.errstate(all="raise", under="ignore"):
        for phi in (entropy, exponential, negative_sqrt, InverseNegative()):
            assert np.all(np.isfinite(phi.prox(big, 1.0))) or phi is entropy
            assert not np.any(np.isnan(phi.prox(big, 1.0)))
        assert exponential.value(1e4) == inf and exponential.value(-1e4) == 0
    assert exponential.subdifferential(1e4).lower == inf
    assert exponential.prox(1e4, 1.0) == pytest.approx(np.log(1e4 - np.log(1e4)), 1e-3)
