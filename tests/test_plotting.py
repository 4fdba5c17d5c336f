"""Pictures: what is on the axes, read back from them."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from subgrad import (
    Distribution,
    Piecewise,
    PiecewiseLinear,
    absolute,
    bump,
    clip,
    dirac,
    entropy,
    exponential,
    gaussian,
    heaviside,
    huber,
    indicator,
    interval_indicator,
    maximum,
    negative_sqrt,
    norm1,
    pinball,
    ramp,
    relu,
    sign,
    square,
    steps,
    t,
    where,
)
from subgrad.plotting import (
    plot_conjugate,
    plot_distribution,
    plot_function,
    plot_subdifferential,
    three_derivatives,
)
from subgrad.univariate.smooth import InverseNegative
from subgrad.univariate.transformed import transformed

inf = np.inf
ISOLATED = where((t >= 1) & (t <= 1), 3, (t - 1) ** 2)
JUMPY = where(t < -1, t + 2, where(t < 1, 1 - t**2, ISOLATED))
UNION = where(t > 1, 1, 0) + indicator(((t >= -1) & (t < 2)) | (t > 3))
FUNCTIONS = {
    "relu": relu,
    "absolute": absolute,
    "heaviside": heaviside,
    "sign": sign,
    "clip": clip(-1, 1),
    "interval": interval_indicator(-1, 2),
    "half line": interval_indicator(0, inf),
    "point": interval_indicator(1, 1),
    "huber": huber(),
    "square": square,
    "cubic": maximum(t**3, abs(t)),
    "jumpy": JUMPY,
    "union": UNION,
    "steps": steps(0, 4),
    "open interval": where((t > 0) & (t < 1), t**2, inf),
    "constant": 0 * t + 1e6,
    "line": 2 * t,
    "nowhere": Piecewise([], [[inf]]),
    "tiny": PiecewiseLinear([-1e-280, 1e-280], [-1, 0, 1]),
    "huge": PiecewiseLinear([-1e300, 1e300], [-1, 0, 1]),
    "entropy": entropy,
    "exponential": exponential,
    "negative_sqrt": negative_sqrt,
    "inverse": InverseNegative(),
    "moved huber": transformed(huber(), 2, -1, 1, 0.5, 3),
    "moved entropy": transformed(entropy, 2, -1, 1, 0.5, 3),
}
functions = pytest.mark.parametrize("f", FUNCTIONS.values(), ids=FUNCTIONS)


def polyline(ax):
    """The t and y of the last curve drawn, with nan at its gaps."""
    lines = [h for h in ax.lines if h.get_marker() == "None" and not h.get_alpha()]
    return [h for h in lines if h.get_zorder() == 2][-1].get_data()


def fans(ax):
    """The fan lines, as arrays of shape (2, 2) of both end points."""
    (t, y) = np.concatenate(
        [h.get_data() for h in ax.lines if h.get_alpha()] or [np.zeros((2, 0))], axis=1
    )
    return np.stack([t, y], -1).reshape(-1, 3, 2)[:, :2]


def circles(ax, filled):
    found = set()
    for h in ax.lines:
        solid = h.get_markerfacecolor() == h.get_markeredgecolor()
        if h.get_marker() == "o" and solid == filled:
            found |= {tuple(p) for p in np.transpose(h.get_data()).tolist()}
    return found


def dashed(ax):
    return sorted({h.get_xdata()[0] for h in ax.lines if h.get_linestyle() == "--"})


def arrows(ax):
    """Tips, tails and the unit of the height of the tips."""
    found = [a for a in ax.texts if a.arrow_patch is not None]
    units = [a.xycoords if a.xycoords == "data" else a.xycoords[1] for a in found]
    return [(*a.xy, *a.xyann, u) for a, u in zip(found, units, strict=True)]


def names(ax):
    return [a.get_text() for a in ax.texts if a.get_text()]


def heights(ax, at):
    """The height of the polyline at every t, nan where there is none; no verticals."""
    t, y = polyline(ax)
    out = np.full(at.shape, np.nan)
    for a, b, c, d in zip(t[:-1], t[1:], y[:-1], y[1:], strict=True):
        if a < b and np.isfinite(c + d):
            inside = (a < at) & (at < b)
            assert np.all(np.isnan(out[inside]))
            out[inside] = c + (d - c) * ((at[inside] - a) / (b - a))
    return out


def verticals(ax):
    t, y = polyline(ax)
    ends = zip(t[:-1], t[1:], y[:-1], y[1:], strict=True)
    return {(a, c, d) for a, b, c, d in ends if a == b and np.isfinite(c + d) and c < d}


def close(found, expected, span):
    """Equal up to the width of a line, where neither is out of sight."""
    shown = np.isfinite(expected) & (expected >= span[0]) & (expected <= span[1])
    assert np.array_equal(np.isfinite(found) & shown, shown)
    assert np.all(np.isnan(found[~np.isfinite(expected)]))
    height = span[1] - span[0]
    assert np.all(abs(found - expected)[shown] <= 2e-3 * height)


def places(ax):
    low, high = ax.get_xlim()
    return np.random.default_rng(0).uniform(0.01, 0.99, 300) * (high - low) + low


def draw(ax):
    ax.figure.canvas.draw()
    return ax


# -- functions ------------------------------------------------------------------------


@functions
def test_the_polyline_is_the_graph(f):
    ax = plot_function(f)
    at = places(ax)
    close(heights(ax, at), f.value(at), ax.get_ylim())


@functions
def test_it_can_be_drawn(f):
    draw(plot_function(f))
    draw(plot_subdifferential(f))


def test_circles_are_where_a_function_jumps():
    assert circles(plot_function(relu), True) == set()
    assert circles(plot_function(relu), False) == set()
    ax = plot_function(heaviside)
    assert circles(ax, False) == {(0, 0), (0, 1)}
    assert circles(ax, True) == {(0, 0.5)}
    ax = plot_function(JUMPY)
    assert circles(ax, False) == {(-1, 1), (1, 0)}
    assert circles(ax, True) == {(-1, 0), (1, 3)}
    ax = plot_function(steps(0, 2))
    assert circles(ax, False) == {(1, 0), (2, 1)}
    assert circles(ax, True) == {(0, 0), (1, 1)}
    ax = plot_function(heaviside, lower=1, upper=2)
    assert circles(ax, True) == circles(ax, False) == set()


def test_ends_of_the_domain():
    ax = plot_function(interval_indicator(-1, 2))
    assert dashed(ax) == [-1, 2] and circles(ax, True) == {(-1, 0), (2, 0)}
    ax = plot_function(UNION)
    assert dashed(ax) == [-1, 2, 3]
    assert circles(ax, True) == {(-1, 0), (1, 0)}
    assert circles(ax, False) == {(1, 1), (2, 1), (3, 1)}
    ax = plot_function(interval_indicator(1, 1))
    assert dashed(ax) == [1] and circles(ax, True) == {(1, 0)}
    ax = plot_function(entropy)
    assert dashed(ax) == [0] and circles(ax, True) == {(0, 0)}
    assert dashed(plot_function(relu)) == []


def test_what_goes_to_infinity_does_not_squash_the_rest():
    low, high = plot_subdifferential(entropy).get_ylim()
    assert -5 < low and high < 5
    low, high = plot_function(InverseNegative()).get_ylim()
    assert -1 < low and high < 10
    # Without an end of the domain in sight nothing is cut off.
    assert plot_function(exponential, upper=10).get_ylim()[1] > np.exp(10)


@pytest.mark.parametrize("name", ["relu", "absolute", "cubic", "clip"])
def test_fans_support_the_function_at_its_kinks(name):
    f = FUNCTIONS[name]
    ax = plot_function(f)
    lines = fans(ax)
    middles = lines.mean(axis=1)
    slopes = np.divide(*np.diff(lines, axis=1)[:, 0].T[::-1])
    for kink in f.kinks:
        at = np.isclose(middles[:, 0], kink)
        g = f.frechet_subdifferential(kink)
        if g.lower > g.upper:
            assert not at.any()
            continue
        assert at.sum() > 4 and np.allclose(middles[at, 1], f(kink))
        assert np.isclose(slopes[at].min(), g.lower)
        assert np.isclose(slopes[at].max(), g.upper)
    if f.is_convex:
        for (a, c), (b, d) in lines:
            s = np.linspace(0, 1, 50)
            assert np.all(c + s * (d - c) <= f(a + s * (b - a)) + 1e-12)


def test_fans_at_given_points():
    (line,) = fans(plot_function(square, 1.0))
    assert np.isclose(np.diff(line[:, 1]) / np.diff(line[:, 0]), 1)
    assert np.allclose(line.mean(axis=0), [1, 0.5])
    # At an end all slopes from some on, but not the vertical line; none outside.
    lines = fans(plot_function(interval_indicator(-1, 2), -1, 5))
    assert len(lines) > 4 and np.all(lines[:, 1, 0] - lines[:, 0, 0] > 0.01)
    assert np.all(lines[:, 0, 1] >= lines[:, 1, 1])
    assert len(fans(plot_function(relu, 5.0, upper=3))) == 0
    assert len(fans(plot_function(entropy, 0))) == 0


# -- subdifferentials -----------------------------------------------------------------


@functions
def test_the_polyline_is_the_subdifferential(f):
    ax = plot_subdifferential(f)
    at = places(ax)
    if isinstance(f, Piecewise):
        slopes = f.derivative().value(at)
    else:
        g = f.subdifferential(at)
        slopes = np.where(g.lower == g.upper, g.lower, np.nan)
    close(heights(ax, at), slopes, ax.get_ylim())


def test_kinks_are_vertical():
    assert verticals(plot_subdifferential(relu)) == {(0, 0, 1)}
    assert verticals(plot_subdifferential(FUNCTIONS["cubic"])) == {
        (0, -1, 1),
        (1, 1, 3),
    }
    assert verticals(plot_subdifferential(clip(-1, 1))) == {(-1, 0, 1), (1, 0, 1)}
    assert verticals(plot_subdifferential(huber())) == set()
    assert circles(plot_subdifferential(clip(-1, 1)), False) == set()
    bent = transformed(where(t > 0, t**2 + t, 0), b=-1, c=1)
    assert verticals(plot_subdifferential(bent)) == {(1, -1, 0)}


def test_jumps_have_no_clarke_subdifferential():
    ax = plot_subdifferential(heaviside)
    assert verticals(ax) == set() and circles(ax, False) == {(0, 0)}
    ax = plot_subdifferential(JUMPY)
    assert circles(ax, False) == {(-1, 1), (-1, 2), (1, -2), (1, 0)}
    ax = plot_subdifferential(FUNCTIONS["open interval"])
    assert circles(ax, False) == {(0, 0), (1, 2)} and arrows(ax) == []
    for f in (where(t > 0, 1 - t, 0), where(t < 0, 1 - t, 0)):
        ax = plot_subdifferential(f)
        assert circles(ax, False) == {(0, 0), (0, -1)}
        assert arrows(ax) == [] and verticals(ax) == set()


def test_half_infinite_pieces_end_at_the_edge():
    ax = plot_subdifferential(interval_indicator(-1, 2))
    edge = "axes fraction"
    assert arrows(ax) == [(-1, 0, -1, 0, edge), (2, 1, 2, 0, edge)]
    canvas = FigureCanvasAgg(ax.figure)
    canvas.draw()
    red, _, blue, _ = np.moveaxis(np.asarray(canvas.buffer_rgba()).astype(int), -1, 0)
    box = ax.get_window_extent()
    for x, y, inwards in ((-1, box.y0, 1), (2, box.y1, -1)):
        column = int(ax.transData.transform((x, 0))[0])
        rows = red.shape[0] - 1 - (int(y) + inwards * np.arange(2, 12))
        assert np.mean((blue - red)[rows, column] > 100) > 0.7
    ax = plot_subdifferential(interval_indicator(1, 1))
    assert arrows(ax) == [(1, 0, 1, 0, edge), (1, 1, 1, 0, edge)]
    ax = plot_subdifferential(PiecewiseLinear([0, 1], [-inf, 1, 2]))
    assert arrows(ax) == [(0, 0, 0, 1, edge)] and verticals(ax) == {(1, 1, 2)}
    assert ax.get_ylim()[0] < 0.7  # room for the arrow
    assert arrows(plot_subdifferential(entropy)) == []


# -- distributions --------------------------------------------------------------------


def test_dirac_terms_are_arrows():
    ax = draw(plot_distribution(heaviside.distributional_derivative()))
    assert arrows(ax) == [(0, 1, 0, 0, "data")] and names(ax) == ["δ"]
    T = dirac(0) - 2 * dirac(1) + 0.5 * dirac(2, 1) - dirac(-1, 2) / 3 + dirac(3, 5)
    ax = draw(plot_distribution(T))
    heads = {x: [a[1] for a in arrows(ax) if a[0] == x] for x in (-1, 0, 1, 2, 3)}
    assert heads == {-1: [-1 / 3] * 3, 0: [1], 1: [-2], 2: [0.5] * 2, 3: [1] * 6}
    assert names(ax) == ["−0.333 δ′′", "δ", "−2 δ", "0.5 δ′", "δ^(5)"]
    box = ax.get_window_extent()
    for text in ax.texts:
        if text.get_text():
            inner = text.get_window_extent()
            assert box.y0 < inner.y0 and inner.y1 < box.y1
    assert arrows(plot_distribution(dirac(5), upper=4)) == []


def test_terms_at_one_point_stand_side_by_side():
    ax = plot_distribution(dirac(1) + dirac(1, 1))
    (a, *_), (b, *_), (c, *_) = arrows(ax)
    assert a < 1 < b == c


@pytest.mark.parametrize(
    "T",
    [
        JUMPY.distributional_derivative(),
        Distribution(UNION),
        Distribution(heaviside) * bump(0.2, 0.5),
        (Distribution(relu) * gaussian()).derivative() + dirac(1),
        Distribution(0),
    ],
)
def test_the_polyline_is_the_regular_part(T):
    ax = draw(plot_distribution(T))
    at = places(ax)
    with np.errstate(invalid="ignore"):
        expected = sum(
            p(at) if phi is None else p(at) * phi(at) for phi, p in T._parts.items()
        )
    close(heights(ax, at), expected, ax.get_ylim())
    assert circles(ax, True) == circles(ax, False) == set()


def test_a_smooth_factor_makes_no_gaps():
    t, y = polyline(plot_distribution(Distribution(1) * bump()))
    assert np.isnan(t).sum() == 1


# -- several axes ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["absolute", "huber", "interval", "exponential"])
def test_a_function_and_its_conjugate(name):
    f = FUNCTIONS[name]
    for ax, g in zip(plot_conjugate(f), (f, f.conjugate()), strict=True):
        at = places(ax)
        close(heights(ax, at), g.value(at), ax.get_ylim())
    given = tuple(Figure().subplots(1, 2))
    assert plot_conjugate(f, axes=given, lower=-9) == given
    assert given[0].get_xlim()[0] == -9


@pytest.mark.parametrize("f", [relu, heaviside, JUMPY, interval_indicator(-1, 2)])
def test_three_derivatives_side_by_side(f):
    figure = three_derivatives(f)
    first, pointwise, distribution, sets = figure.axes
    at = places(first)
    close(heights(first, at), f.value(at), first.get_ylim())
    for ax in (pointwise, distribution, sets):
        close(heights(ax, at), f.derivative().value(at), ax.get_ylim())
        assert ax.get_xlim() == first.get_xlim()
        assert ax.get_ylim() == sets.get_ylim()
    terms = [w for w in f.distributional_derivative().terms.values() if w]
    assert len(arrows(distribution)) == len(terms)
    assert sets.get_title() == ("∂f" if f.is_convex else "∂f (Clarke)")


def test_derivatives_of_relu_at_its_kink():
    _, pointwise, distribution, sets = three_derivatives(relu).axes
    assert circles(pointwise, False) == {(0, 0), (0, 1)}
    assert circles(pointwise, True) == verticals(pointwise) == set()
    assert verticals(distribution) == set() and verticals(sets) == {(0, 0, 1)}


def test_three_derivatives_fill_a_part_of_a_figure():
    parts = Figure(layout="constrained").subfigures(2, 1)
    for part, f in zip(parts, (relu, heaviside), strict=True):
        assert three_derivatives(f, figure=part, lower=-1, upper=3) is part
        assert part.axes[0].get_xlim() == (-1, 3)
    parts[0].figure.canvas.draw()


# -- axes -----------------------------------------------------------------------------


def test_default_window():
    assert plot_function(relu).get_xlim() == (-2, 2)
    assert plot_function(clip(1, 3)).get_xlim() == (0, 4)
    assert plot_function(square, 1.0, 3.0).get_xlim() == (0, 4)
    assert plot_function(relu, lower=5).get_xlim()[0] == 5
    assert plot_function(relu, upper=-5).get_xlim()[1] == -5
    low, high = plot_distribution(Distribution(1) * gaussian()).get_xlim()
    assert -10 < low < -3 and 3 < high < 10


def test_axes_that_show_something_are_only_widened():
    ax = Figure().add_subplot()
    assert plot_function(ramp, ax=ax, lower=-3, upper=5) is ax
    before = ax.get_xlim(), ax.get_ylim()
    plot_function(absolute, ax=ax)
    assert ax.get_xlim() == before[0] and ax.get_ylim()[1] > 5
    at = places(ax)
    close(heights(ax, at), abs(at), ax.get_ylim())
    plot_function(0 * t, ax=ax, upper=8)
    assert ax.get_xlim() == (-3, 8) and ax.get_ylim()[1] > 5
    colors = {h.get_color() for h in ax.lines if h.get_zorder() == 2}
    assert len(colors) == 3


def test_pyplot_is_not_needed(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    draw(plot_function(relu))


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"subgrad\[plot\]"):
        plot_function(relu)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: plot_function(norm1), TypeError, "f must be a function of one"),
        (lambda: plot_subdifferential(3), TypeError, "f must be a function of one"),
        (lambda: plot_function(pinball([0.1, 0.5])), ValueError, "batch"),
        (lambda: plot_distribution(relu), TypeError, "T must be a Distribution"),
        (lambda: three_derivatives(entropy), TypeError, "piecewise polynomial"),
        (lambda: plot_conjugate(heaviside), ValueError, "convex"),
        (lambda: plot_function(relu, lower=3, upper=2), ValueError, "lower must be"),
        (lambda: plot_function(relu, upper=inf), ValueError, "upper must be finite"),
        (lambda: plot_function(relu, np.nan), ValueError, "points must not contain"),
    ],
)
def test_errors_name_what_was_expected(call, error, message):
    with pytest.raises(error, match=message):
        call()
