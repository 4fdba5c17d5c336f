"""Piecewise linear functions as arrays of breakpoints t and slopes s."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._check import Array
from .convex import Mask


def line(t: Array, h: Any, s: Any, a: Any) -> Array:
    """h + s (t - a), with 0 * inf = 0."""
    if not isinstance(s, np.ndarray) or s.ndim == 0:
        return h + (s * (t - a) if s else np.zeros_like(t))
    with np.errstate(invalid="ignore"):
        rise = s * (t - a)
    return h + np.where(s == 0, 0.0, rise).astype(rise.dtype, copy=False)


def check_order(t: Array, s: Array) -> None:
    if t.ndim == 0 or s.ndim == 0 or s.shape[-1] != t.shape[-1] + 1:
        raise ValueError(
            "K breakpoints need K + 1 slopes on the last axis, got breakpoints of "
            f"shape {t.shape} and slopes of shape {s.shape}"
        )
    for name, a in (("breakpoints", t), ("slopes", s)):
        wrong = np.argwhere(a[..., 1:] < a[..., :-1])
        if wrong.size:
            *lead, k = wrong[0]
            pair = a[(*lead, slice(k, k + 2))]
            raise ValueError(
                f"{name} must be nondecreasing, as the function is convex; got "
                f"{pair[0]} before {pair[1]}"
            )
    low, high = np.isneginf(s), np.isposinf(s)
    if (low[..., 1:].any() or high[..., :-1].any()) or (
        s.shape[-1] == 1 and not np.isfinite(s).all()
    ):
        raise ValueError(
            "only slopes[0] may be -inf and only slopes[-1] +inf, with a breakpoint "
            "where the domain begins or ends"
        )
    for name, end in (("slopes[0]", low[..., 0]), ("slopes[-1]", high[..., -1])):
        if end.any() and not end.all():
            raise ValueError(f"{name} must be infinite for the whole batch or for none")


def slope_at(s: Array, passed: Mask) -> Array:
    """The slope behind the breakpoints that are passed, one per problem."""
    k = passed.sum(-1, keepdims=True)
    batch = np.broadcast_shapes(s.shape[:-1], k.shape[:-1])
    s = np.broadcast_to(s, batch + s.shape[-1:])
    return np.take_along_axis(s, np.broadcast_to(k, (*batch, 1)), -1)[..., 0]


def pieces(t: Array, s: Array, a: Array, v: Array) -> tuple[Array, Array]:
    """
    For every piece its point nearest to a, and φ there; 0 stands for infinite slopes,
    whose pieces have no length on the side of a.

    Sums start from a, so that a distant breakpoint adds no rounding near a; they are
    formed as `line` does, so that neighbouring pieces meet to the bit.
    """
    a, v = a[..., None], v[..., None]
    batch = np.broadcast_shapes(a.shape[:-1], t.shape[:-1])
    anchors = np.empty((*batch, t.shape[-1] + 1), np.result_type(a, t))
    np.minimum(a, t, out=anchors[..., :-1])
    anchors[..., -1:] = a
    np.maximum(anchors[..., 1:], t, out=anchors[..., 1:])
    length = np.diff(anchors)
    up = s[..., :-1] * length
    up *= anchors[..., :-1] >= a
    down = s[..., 1:] * length
    down *= anchors[..., 1:] <= a
    v = np.broadcast_to(v, (*np.broadcast_shapes(v.shape[:-1], up.shape[:-1]), 1))
    up, down = (np.broadcast_to(x, (*v.shape[:-1], x.shape[-1])) for x in (up, down))
    sums = [np.concatenate([v, x], -1) for x in (up, -down[..., ::-1])]
    right, left = (np.cumsum(x, -1, out=x) for x in sums)
    return anchors, np.where(anchors >= a, right, left[..., ::-1])


def pick(a: Array, k: Any) -> Array:
    """Entry k of (..., m), for k in arrays of shape (..., n)."""
    if a.ndim == 1:
        return a[k]
    k = np.atleast_1d(k)
    batch = np.broadcast_shapes(a.shape[:-1], k.shape[:-1])
    a, k = (np.broadcast_to(x, batch + x.shape[-1:]) for x in (a, k))
    return np.take_along_axis(a, k, -1)


def search(holds: Callable[[Any], Mask], count: int, shape: tuple[int, ...]) -> Any:
    """How many of 0, ..., count - 1 satisfy a condition that only the first ones do."""
    low, high = np.zeros(shape, np.intp), np.full(shape, count)
    for _ in range(count.bit_length()):
        middle = (low + high) // 2
        good = holds(np.minimum(middle, count - 1)) & (low < high)
        low, high = np.where(good, middle + 1, low), np.where(good, high, middle)
    return low


def widen(
    shape: tuple[int, ...],
    t: Array,
    value: Array,
    eps: Any,
    points: Array,
    knots: Array,
    slopes: Array,
) -> tuple[Array, Array]:
    """
    The ends of ∂_ε φ(t) among many breakpoints; knots and value are φ there and at t.

    The quotient (φ(t_k) - φ(t) + ε) / (t_k - t) falls with t_k > t as long as the line
    through t_k with the slope behind it runs less than ε below φ(t).
    """

    def gap(k: Any, beyond: int) -> Array:
        rise = pick(slopes, k + beyond) * (pick(points, k) - t)
        return rise - pick(knots, k) + value

    def ratio(k: Any) -> Array:
        return (pick(knots, k) - value + eps) / abs(pick(points, k) - t)

    def near_right(k: Any) -> Mask:
        return (pick(points, k) <= t) | (gap(k, 1) < eps)

    def far_left(k: Any) -> Mask:
        return (pick(points, k) < t) & (gap(k, 0) >= eps)

    count = points.shape[-1]
    with np.errstate(all="ignore"):
        k = search(near_right, count, shape)
        end = pick(slopes, np.full_like(k, count))
        upper = np.where(k == count, end, ratio(np.minimum(k, count - 1)))
        k = search(far_left, count, shape)
        end = pick(slopes, np.zeros_like(k))
        lower = np.where(k == 0, end, -ratio(np.maximum(k - 1, 0)))
    return lower, upper
