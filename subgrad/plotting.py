"""
Pictures of functions of one variable and of their derivatives.

They need matplotlib, which `pip install "subgrad[plot]"` brings along. A function draws
on the axes it is given, or on those of a new figure of which pyplot does not know, and
returns them: `plot_function(relu).figure.savefig("relu.png")`. On axes that show
something already, the default window is theirs.

Where a function jumps, open circles are its limits and filled ones its values; dashed
lines are the ends of the domain.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _curves
from ._check import Array
from ._curves import Curve, Span
from .univariate._border import line
from .univariate.convex import Univariate
from .univariate.distribution import Distribution
from .univariate.piecewise import Piecewise

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

_LINES = 9  # in a fan
_DIRAC = "tab:red"  # else an arrow at a jump of the regular part would seem part of it
_FAINT: dict[str, Any] = {"color": "0.85", "lw": 0.8, "zorder": 0}
_DASHED: dict[str, Any] = {"color": "0.6", "lw": 0.9, "ls": "--", "zorder": 1}


def plot_function(
    f: Univariate,
    *points: float,
    ax: Axes | None = None,
    lower: float | None = None,
    upper: float | None = None,
) -> Axes:
    """
    The graph of f on [lower, upper], by default somewhat beyond its breakpoints.

    At the points, by default all kinks, there are faint lines

        s -> f(t) + g (s - t),    g in ∂f(t),

    a fan of them where ∂f(t) has more than one element. They lie below f; if f is not
    convex, ∂f is Fréchet's subdifferential, and they do so close to t.
    """
    f = _curves.plain(f)
    kinks = f.kinks if isinstance(f, Piecewise) else np.zeros(0)
    at = line("points", points) if points else kinks
    ax, window = _place(ax, np.r_[_curves.marks(f), at], lower, upper)
    at = at[(at >= window[0]) & (at <= window[1])]
    color = _show(ax, window, _curves.graph(f, *window), below=bool(at.size))
    if at.size:
        _fans(ax, f, at, color)
    return ax


def plot_subdifferential(
    f: Univariate,
    *,
    ax: Axes | None = None,
    lower: float | None = None,
    upper: float | None = None,
) -> Axes:
    """
    The graph {(t, g) : g in ∂f(t)}, with a vertical piece at every kink.

    Where ∂f(t) is unbounded, as at the ends of a domain, an arrow leads to the edge of
    the axes. If f is not convex, ∂f is Clarke's subdifferential; where there is none,
    as at jumps, open circles are the limits of the slopes.
    """
    f = _curves.plain(f)
    ax, window = _place(ax, _curves.marks(f), lower, upper)
    _show(ax, window, _curves.subdifferential(f, *window))
    return ax


def plot_distribution(
    T: Distribution,
    *,
    ax: Axes | None = None,
    lower: float | None = None,
    upper: float | None = None,
) -> Axes:
    """
    The regular part, and for every term w δ^(k)(x - a) an arrow from 0 to w.

    The arrow has k + 1 heads and says what it is; several at one point stand side by
    side. The values of the regular part at its jumps do not matter and are not marked.
    """
    if not isinstance(T, Distribution):
        raise TypeError(f"T must be a Distribution, got {T!r}")
    ax, window = _place(ax, _curves.distribution_marks(T), lower, upper)
    terms = {at: w for at, w in T.terms.items() if window[0] <= at[0] <= window[1]}
    # Room for the arrows and their names.
    heights = [0.0] * bool(terms) + [1.2 * w for w in terms.values()]
    _show(ax, window, _curves.regular(T, *window), heights)
    for (a, k), w in terms.items():
        orders = [j for b, j in terms if b == a]
        _dirac(ax, a, w, k, orders.index(k) - (len(orders) - 1) / 2)
    return ax


def plot_conjugate(
    f: Univariate,
    *,
    axes: tuple[Axes, Axes] | None = None,
    lower: float | None = None,
    upper: float | None = None,
) -> tuple[Axes, Axes]:
    """
    f on [lower, upper] and f* on its default window, each as by `plot_function`.

    A kink of one is a straight piece of the other, over the slopes at the kink.
    """
    dual = _curves.plain(f).conjugate()
    if axes is None:
        axes = tuple(_subplots(_figure(8.0, 3.4), 2))
        axes[0].set(title="f", xlabel="t")
        axes[1].set(title="f*", xlabel="s")
    plot_function(f, ax=axes[0], lower=lower, upper=upper)
    plot_function(dual, ax=axes[1])
    return axes


def three_derivatives(
    f: Piecewise,
    *,
    figure: Figure | SubFigure | None = None,
    lower: float | None = None,
    upper: float | None = None,
) -> Figure | SubFigure:
    """
    f, and beside it its derivative at every point, as a distribution, and as a set.

    The last is the subdifferential, for an f that is not convex Clarke's; see
    `plot_subdifferential`. The three have the same limits. A `figure` given, perhaps
    one of several in a larger one, is to be empty.
    """
    exact = _curves.plain(f)
    if not isinstance(exact, Piecewise):
        raise TypeError(f"f must be a piecewise polynomial, got {f!r}")
    T, last = (
        exact.distributional_derivative(),
        "∂f" if exact.is_convex else "∂f (Clarke)",
    )
    low, up = _curves.window(_curves.marks(exact), lower, upper)
    if figure is None:
        figure = _figure(12.0, 3.0)
    axes = _subplots(figure, 4)
    for ax in axes[[1, 3]]:
        ax.sharey(axes[2])
    plot_function(exact, ax=axes[0], lower=low, upper=up)
    plot_distribution(T, ax=axes[2], lower=low, upper=up)
    plot_subdifferential(exact, ax=axes[3], lower=low, upper=up)
    _show(axes[1], (low, up), _curves.graph(exact.derivative(), low, up))
    titles = ("f", "f′ at every point", "f′ as a distribution", last)
    for ax, title in zip(axes, titles, strict=True):
        ax.set_title(title)
    return figure


# -- axes -----------------------------------------------------------------------------


def _figure(width: float, height: float) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            'pictures need matplotlib: pip install "subgrad[plot]"'
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def _subplots(figure: Figure | SubFigure, count: int) -> Array:
    axes = figure.subplots(1, count, squeeze=False)[0]
    for ax in axes:
        ax.locator_params(nbins=6)
    return axes


def _place(
    ax: Axes | None, points: Array, lower: float | None, upper: float | None
) -> tuple[Axes, Span]:
    if ax is not None and ax.has_data():
        low, high = sorted(ax.get_xlim())
        lower, upper = low if lower is None else lower, high if upper is None else upper
    window = _curves.window(points, lower, upper)
    return _subplots(_figure(4.8, 3.4), 1)[0] if ax is None else ax, window


def _frame(ax: Axes, window: Span, y: Array, *, down: bool, up: bool) -> None:
    """Makes room for heights y and what goes on from them; what is seen stays so."""
    siblings = ax.get_shared_y_axes().get_siblings(ax)
    fresh, level = not ax.has_data(), not any(other.has_data() for other in siblings)
    low, high = (y.min(), y.max()) if y.size else (0.0, 0.0)
    margin = 0.08 * (high - low)
    if not margin and level:
        margin, down, up = max(1.0, abs(low) / 2), False, False
    low -= margin * (4 if down else 1)
    high += margin * (4 if up else 1)
    lower, upper = window
    if fresh:
        ax.axhline(0, **_FAINT)
        ax.axvline(0, **_FAINT)
    else:
        old = ax.get_xlim()
        lower, upper = min(lower, old[0]), max(upper, old[1])
    if not level:
        old = ax.get_ylim()
        low, high = min(low, old[0]), max(high, old[1])
    ax.set(xlim=(lower, upper), ylim=(low, high))


def _show(
    ax: Axes,
    window: Span,
    curve: Curve,
    more: Iterable[float] = (),
    below: bool = False,
) -> Any:
    """Draws a curve, on axes with room for it and for more; returns its color."""
    lower, upper = window
    open_, filled = (
        c[(c[:, 0] >= lower) & (c[:, 0] <= upper)] for c in (curve.open, curve.filled)
    )
    y = np.r_[np.clip(curve.y, *curve.span), open_[:, 1], filled[:, 1]]
    y = np.r_[y[np.isfinite(y)], [s for _, s, _ in curve.rays], *more]
    signs = {sign for *_, sign in curve.rays}
    _frame(ax, window, y, down=below or -1 in signs, up=1 in signs)
    color = ax.plot(curve.t, curve.y, lw=1.8)[0].get_color()
    for end in curve.ends[(curve.ends >= lower) & (curve.ends <= upper)]:
        ax.axvline(end, **_DASHED)
    for c, face in ((open_, ax.get_facecolor()), (filled, color)):
        if c.size:
            circles = ax.plot(*c.T, "o", ms=5.5, mec=color, mfc=face, mew=1.3)[0]
            circles.set(zorder=3, clip_on=False)
    for a, s, sign in curve.rays:
        _arrow(ax, (a, float(sign > 0)), (a, s), color, units="axes fraction")
    return color


# -- arrows and fans ------------------------------------------------------------------


def _arrow(
    ax: Axes,
    tip: Span,
    tail: Span,
    color: Any,
    units: str = "data",
    short: float = 0.0,
) -> None:
    """An arrow, its head `short` points before the tip, which may be in other units."""
    style = {"arrowstyle": "-|>", "mutation_scale": 13, "color": color, "lw": 1.8}
    style |= {"shrinkA": 0, "shrinkB": short}
    ax.annotate("", tip, tail, ("data", units), "data", arrowprops=style)


def _dirac(ax: Axes, a: float, w: float, k: int, side: float) -> None:
    """The arrow of w δ^(k)(x - a), moved to a side where it is not alone."""
    a += 0.03 * side * np.ptp(ax.get_xlim())
    for j in range(k + 1):
        _arrow(ax, (a, w), (a, 0.0), _DIRAC, short=7.0 * j)
    size = "" if abs(w) == 1 else f"{abs(w):.3g} "
    primes = "′" * k if k < 4 else f"^({k})"
    ax.annotate(
        f"{'−' if w < 0 else ''}{size}δ{primes}",
        (a, w),
        (0, np.copysign(3, w)),
        textcoords="offset points",
        ha="center" if not side else "left" if side > 0 else "right",
        va="bottom" if w > 0 else "top",
        color=_DIRAC,
        bbox={"fc": ax.get_facecolor(), "ec": "none", "alpha": 0.8, "pad": 1},
    )


def _fans(ax: Axes, f: Univariate, points: Array, color: Any) -> None:
    """Lines of one length on paper, turned by equal angles."""
    width, height = np.ptp(ax.get_xlim()), np.ptp(ax.get_ylim())
    slopes = _curves.fan(f, points)
    along = np.array([-1, 1, np.nan]) * 0.4 / points.size**0.75
    t, y = [np.zeros(0)], [np.zeros(0)]
    for a, v, g, h in zip(
        points, f.value(points), slopes.lower, slopes.upper, strict=True
    ):
        if g > h:
            continue
        first, last = np.arctan(np.array([g, h]) * (width / height))
        angles = np.linspace(first, last, _LINES if g < h else 1)
        # A vertical line is only the limit of those that support f.
        angles = angles[abs(angles) < np.pi / 2, None]
        t.append((a + width * along * np.cos(angles)).ravel())
        y.append((v + height * along * np.sin(angles)).ravel())
    fan = ax.plot(np.concatenate(t), np.concatenate(y), color=color, lw=0.8)[0]
    fan.set(alpha=0.45, zorder=1)
