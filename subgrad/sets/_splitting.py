r"""Minimisation of f_1 + ... + f_k by their proxes: a root of a nonexpansive move.

.. math:: x_1 = J_1(z_1), \quad x_i = J_i(z_i + x_{i-1} - z_{i-1}), \quad
   x_k = J_k(x_1 + x_{k-1} - z_{k-1}), \qquad z_i \leftarrow z_i + θ (x_{i+1} - x_i)

with J_i = prox of γ f_i. For k = 2 this is the method of Douglas and Rachford, for more
that of Malitsky and Tam (Resolvent splitting for sums of monotone operators with
minimal lifting, 2023). At a root all x_i are one minimiser x, and the a_i = w_i - x_i,
w_i the argument of J_i, are γ times subgradients of f_i there with sum 0.

The move is piecewise smooth, piecewise linear for polyhedra. So Newton steps, with the
Jacobian by differences, end the search quadratically, or at once; they are taken where
they halve the residual, and the plain steps, which converge from anywhere, otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from subgrad._check import Array
from subgrad.core import Mask, norm

Move = Callable[[Array], Array]
EPS = float(np.finfo(float).eps)
SMALL = 48  # unknowns up to which the Jacobian is formed
MEMORY = 10  # differences kept above that
ROUNDS = 120
CORRECTIONS = 3


def settle(
    move: Move, z: Array, size: Array, active: Mask, damp: float = 1.0
) -> tuple[Array, Mask]:
    """z (..., m) with move(z) = 0 up to rounding, and where that was reached.

    `size` (...) is the scale of the data beside |z|; entries not active stay.
    """
    r = np.where(active[..., None], move(z), 0.0)
    level = norm(r)
    past: list[tuple[Array, Array]] = []
    plain, stuck = 2, np.zeros(level.shape, int)
    for _ in range(ROUNDS):
        for _ in range(plain):
            scale = _scale(z, size)
            open_ = level > 16 * EPS * scale
            if not np.any(open_):
                return z, level <= 1e-12 * size
            past = [*past[-MEMORY:], (z, r)]
            z = np.where(open_[..., None], z + damp * r, z)
            r = np.where(active[..., None], move(z), 0.0)
            level = norm(r)
        scale = _scale(z, size)
        if np.all((level <= 16 * EPS * scale) | (stuck >= 2)):
            break
        chord: Move | None = None
        if z.shape[-1] <= SMALL:
            steps, drift, chord = _newton(move, z, r, 1e-7 * scale)
            trials = z + steps
        else:
            trials, drift = _mixed([*past, (z, r)], damp)[None], r[None]
        found = np.where(active[..., None], move(trials), 0.0)
        for _ in range(CORRECTIONS):
            # A long step along a curved face leaves it: back, across the face.
            if chord is None or np.all((norm(found) <= 0.5 * level).any(0) | ~active):
                break
            again = trials + chord(found)
            news = np.where(active[..., None], move(again), 0.0)
            less = (norm(news) < norm(found))[..., None]
            trials, found = np.where(less, again, trials), np.where(less, news, found)
        best = np.argmin(norm(found), axis=0)[None, ..., None]
        trial, s = (np.take_along_axis(a, best, 0)[0] for a in (trials, found))
        after = norm(s)
        # Once rounding is near, a step that gains nothing is a sign of the end.
        near = level <= 1e-12 * size
        stuck = np.where(near & (after > 0.5 * level), stuck + 1, 0)
        better = np.where(near, after < level, after <= 0.5 * level)
        z = np.where(better[..., None], trial, z)
        r = np.where(better[..., None], s, r)
        level = np.where(better, after, level)
        fast = better | near | ~active
        if not np.all(fast):
            base = trials if z.shape[-1] <= SMALL else z[None]
            moved, trial, s = _stride(move, base, drift, size, active & ~fast)
            z, r = (
                np.where(moved[..., None], trial, z),
                np.where(moved[..., None], s, r),
            )
            level, fast = norm(r), fast | moved
        plain = 1 if np.all(fast) else min(2 * plain, 64)
    return z, level <= 1e-12 * size


def _scale(z: Array, size: Array) -> Array:
    # Where many subgradients will do, |z| may drift far beyond the data.
    return size + np.minimum(norm(z), 1e2 * size)


def _stride(
    move: Move, bases: Array, drifts: Array, size: Array, where: Mask
) -> tuple[Mask, Array, Array]:
    """Many plain steps as one, as far as the residual is just the drift."""
    length = 2.0 ** np.arange(28).reshape(-1, *(1,) * bases.ndim)
    level = norm(drifts)
    ahead = bases + length * drifts
    found = move(ahead)
    same = (length[..., 0] * level <= 1e2 * size) & where & (level > 0)
    same &= norm(found - drifts) <= 1e-3 * level
    # All shorter strides must do too.
    count = np.logical_and.accumulate(same, axis=0).sum(0)
    at = np.maximum(count - 1, 0)[None, ..., None]
    z, r = (np.take_along_axis(a, at, 0)[0] for a in (ahead, found))
    best = np.argmax(count, axis=0)[None, ..., None]
    z, r = (np.take_along_axis(a, best, 0)[0] for a in (z, r))
    return np.any(count > 0, axis=0), z, r


def _newton(move: Move, z: Array, r: Array, delta: Array) -> tuple[Array, Array, Move]:
    """Newton steps, what of the residual they cannot remove, and the firm step."""
    m = z.shape[-1]
    delta = np.where(delta > 0, delta, 1e-7)
    probe = np.eye(m).reshape(m, *(1,) * (z.ndim - 1), m) * delta[..., None]
    slopes = (move(z + probe) - r) / delta[..., None]
    jacobian = np.moveaxis(slopes, 0, -1)
    # Where the dual is not unique the Jacobian is singular, up to rounding in the
    # differences; but near ties it has small singular values that count.
    U, s, V = np.linalg.svd(jacobian)
    c = np.matvec(U.mT, r)
    steps, rest, inverses = [], [], []
    for cut in (1e-3, 1e-8):
        keep = s > cut * s.max(-1, keepdims=True, initial=0.0)
        inverses.append(np.where(keep, 1 / np.where(keep, s, 1.0), 0.0))
        steps.append(-np.vecmat(inverses[-1] * c, V))
        rest.append(np.matvec(U, np.where(keep, 0.0, c)))

    def chord(r: Array) -> Array:
        return -np.vecmat(inverses[0] * np.matvec(U.mT, r), V)

    return np.stack(steps), np.stack(rest), chord


def _mixed(past: Sequence[tuple[Array, Array]], damp: float) -> Array:
    """Anderson's mixing of the points met."""
    z, r = past[-1]
    dz, dr = (np.diff(np.stack(a, -1), axis=-1) for a in zip(*past, strict=True))
    c = np.matvec(np.linalg.pinv(dr, rcond=1e-10), r)
    return z + damp * r - np.matvec(dz + damp * dr, c)


def split(
    resolvents: Sequence[Move], z: Array, size: Array, active: Mask
) -> tuple[Array, Array, Mask]:
    """x and a (..., k, n) at a root found from z (..., n), and where it was reached."""
    k, n = len(resolvents), z.shape[-1]
    first, *middle, last = resolvents

    def run(z: Array) -> tuple[list[Array], list[Array]]:
        z = z.reshape(*z.shape[:-1], k - 1, n)
        ws = [z[..., 0, :]]
        xs = [first(ws[0])]
        for i, J in enumerate(middle, 1):
            ws.append(z[..., i, :] + xs[-1] - z[..., i - 1, :])
            xs.append(J(ws[-1]))
        ws.append(xs[0] + xs[-1] - z[..., -1, :])
        xs.append(last(ws[-1]))
        return ws, xs

    def move(z: Array) -> Array:
        xs = np.stack(run(z)[1], -2)
        return np.diff(xs, axis=-2).reshape(*xs.shape[:-2], (k - 1) * n)

    start = np.concatenate([z] * (k - 1), -1)
    root, reached = settle(move, start, size, active, 1.0 if k == 2 else 0.9)
    ws, xs = run(root)
    x = np.stack(xs, -2)
    return x, np.stack(ws, -2) - x, reached
