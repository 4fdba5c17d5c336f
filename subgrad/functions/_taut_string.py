r"""The taut string: the shortest path through a tube, found in O(n).

.. math:: \min_p \tfrac12 |p - y|^2 \quad \text{over} \quad
   l_i \le \sum_{j \le i} (p_j - y_j) \le u_i \ (i < n), \quad \sum_j (p_j - y_j) = 0

The partial sums of p are the string, y + l and y + u in sums the sides of the tube.
Behind the last point where it is known to touch, the anchor, the string lies below
the convex minorant of the upper side and above the concave majorant of the lower one.
Where their first segments cross, it bends: the minorant or the majorant is then a
single segment, and the first segment of the other is final. Davies and Kovac, Local
extremes, runs, strings and multiresolution, Annals of Statistics 29 (2001).

The first segments alone can be found without storing the others, by reading what is
behind a bend again (Condat, A direct algorithm for 1-D total variation denoising, IEEE
Signal Processing Letters 20, 2013). That is fastest while little is read twice and
quadratic at worst; so it has a budget of such readings, beyond which all segments
are stored.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from subgrad._check import Array
from subgrad._compiled import compiled


def _strings(y: Any, low: Any, up: Any, out: Any) -> None:
    """Fills out (B, n) with the strings of y (B, n) between low and up (B, n - 1)."""
    batch, n = y.shape
    # Sums of y behind the anchor, with what rounding takes from them: their differences
    # are then right to the last digits however long the vector.
    sums, lost = np.empty(n + 1), np.empty(n + 1)
    start_a, slope_a = np.empty(n + 1, np.int64), np.empty(n + 1)
    start_b, slope_b = np.empty(n + 1, np.int64), np.empty(n + 1)
    for k in range(batch):
        # The minorant is a, the majorant b; `held` is the string less the sums of y at
        # the anchor, `again` counts what was read a second time.
        anchor, held, again = 0, 0.0, 0
        while anchor < n:
            while anchor < n and again <= n + anchor:
                s = e = 0.0
                a, b = np.inf, -np.inf
                end_a = end_b = i = anchor
                bent = 0
                while bent == 0:
                    v = y[k, i]
                    t = s + v
                    c = t - s
                    e += (s - (t - c)) + (v - c)
                    s = t
                    i += 1
                    size = float(i - anchor)
                    rise = s + e - held
                    if i == n:
                        slope = rise / size
                        bent = 1 if slope < b else 2
                        if b <= slope <= a:
                            a, end_a = slope, n
                        break
                    high = rise + up[k, i - 1]
                    if high <= a * size:
                        a, end_a = high / size, i
                        if a < b:
                            bent = 1
                            break
                    high = rise + low[k, i - 1]
                    if high >= b * size:
                        b, end_b = high / size, i
                        if a < b:
                            bent = 2
                end, slope = (end_b, b) if bent == 1 else (end_a, a)
                for m in range(anchor, end):
                    out[k, m] = slope
                if end < n:
                    held = low[k, end - 1] if bent == 1 else up[k, end - 1]
                anchor = end
                again += i - end
            if anchor == n:
                break
            # All segments: first..last - 1 by where they start and by slope.
            base = i = anchor
            sums[0] = lost[0] = s = e = 0.0
            first_a = last_a = first_b = last_b = 0
            before_a = before_b = held
            while i < n:
                v = y[k, i]
                t = s + v
                c = t - s
                step_lost = (s - (t - c)) + (v - c)
                e += step_lost
                step = (t - s) + step_lost
                s = t
                i += 1
                sums[i - base], lost[i - base] = s, e
                top = up[k, i - 1] if i < n else 0.0
                bottom = low[k, i - 1] if i < n else 0.0
                j, slope = i - 1, step + (top - before_a)
                while last_a > first_a and slope <= slope_a[last_a - 1]:
                    last_a -= 1
                    j = start_a[last_a]
                    side = held if j == anchor else up[k, j - 1]
                    rise = (s - sums[j - base]) + (e - lost[j - base])
                    slope = (rise + (top - side)) / (i - j)
                start_a[last_a], slope_a[last_a] = j, slope
                last_a += 1
                j, slope = i - 1, step + (bottom - before_b)
                while last_b > first_b and slope >= slope_b[last_b - 1]:
                    last_b -= 1
                    j = start_b[last_b]
                    side = held if j == anchor else low[k, j - 1]
                    rise = (s - sums[j - base]) + (e - lost[j - base])
                    slope = (rise + (bottom - side)) / (i - j)
                start_b[last_b], slope_b[last_b] = j, slope
                last_b += 1
                before_a, before_b = top, bottom
                if slope_a[first_a] >= slope_b[first_b]:
                    continue
                if last_a > first_a + 1:
                    while last_a > first_a + 1 and slope_a[first_a] < slope_b[first_b]:
                        slope = slope_a[first_a]
                        first_a += 1
                        j = start_a[first_a]
                        for m in range(anchor, j):
                            out[k, m] = slope
                        anchor, held = j, up[k, j - 1]
                        rise = (s - sums[j - base]) + (e - lost[j - base])
                        start_b[first_b], last_b = j, first_b + 1
                        slope_b[first_b] = (rise + (bottom - held)) / (i - j)
                else:
                    while last_b > first_b + 1 and slope_a[first_a] < slope_b[first_b]:
                        slope = slope_b[first_b]
                        first_b += 1
                        j = start_b[first_b]
                        for m in range(anchor, j):
                            out[k, m] = slope
                        anchor, held = j, low[k, j - 1]
                        rise = (s - sums[j - base]) + (e - lost[j - base])
                        start_a[first_a], last_a = j, first_a + 1
                        slope_a[first_a] = (rise + (top - held)) / (i - j)
                if anchor - base > 10000 and 8 * (i - anchor) < anchor - base:
                    # Starting afresh costs little here and keeps the memory in cache.
                    break
            else:
                rise = (s - sums[anchor - base]) + (e - lost[anchor - base])
                slope = (rise - held) / (n - anchor)
                for m in range(anchor, n):
                    out[k, m] = slope
                anchor = n


def taut_string(y: Array, low: Array, up: Array) -> Array:
    r"""The string p of y (..., n), its sums from low to up beside those of y.

    low <= up of shape (..., n - 1), or broadcasting to that, finite.
    """
    n = y.shape[-1]
    lead = np.broadcast_shapes(y.shape[:-1], low.shape[:-1], up.shape[:-1])
    kind, count = np.result_type(y, low, up), math.prod(lead)
    if not count:
        return np.empty((*lead, n), kind)
    # Powers of two, and only where a sum could leave the range of numbers.
    ends = [float(f(initial=0.0)) for a in (y, low, up) for f in (a.max, a.min)]
    size = max(map(abs, ends))
    scale = 1.0 if 1e-200 < size < 1e200 or size == 0 else 2.0 ** -np.frexp(size)[1]
    tube = []
    for a in (low, up):
        a = np.asarray(a, float) if scale == 1 else np.asarray(a, float) * scale
        tube.append(np.broadcast_to(a, (*lead, n - 1)).reshape(count, n - 1))
    # Both strided or both contiguous: every kind of array is compiled by itself.
    if any(a.flags.c_contiguous for a in tube):
        tube = [np.require(a, float, ["C", "W"]) for a in tube]
    y = np.asarray(y, float) if scale == 1 else np.asarray(y, float) * scale
    y = np.broadcast_to(y, (*lead, n)).reshape(count, n)
    out = np.empty((*lead, n))
    rows = np.require(y, float, ["C", "W"]), *tube, out.reshape(count, n)
    compiled(_strings)(*rows)
    if scale != 1:
        out /= scale
    return out.astype(kind, copy=False)
