r"""Many norms of a few rows each, one after the other, as one atom.

.. math:: \sum_i w_i \|A_i x + b_i\|_2 = g(A x + b), \qquad
   g(z) = \sum_i w_i \|z_i\|_2

A the A_i one below the other: one `GroupNorm`, and what is done for each atom is done
once.
"""

from __future__ import annotations

from itertools import groupby

import numpy as np

from subgrad.functions.norms import GroupNorm, Norm2
from subgrad.solvers.structured.composites import _stacked
from subgrad.solvers.structured.terms import MANY, Term, unscaled

ROWS = 64  # of one


def joined(terms: list[Term]) -> list[Term]:
    """The terms, in their order, runs of norms joined; those of batches of maps not."""
    out = list[Term]()
    for small, run in groupby(terms, _is_small):
        some = list(run)
        out += [_one(some)] if small and len(some) >= MANY else some
    return out


def _is_small(t: Term) -> bool:
    norm = isinstance(unscaled(t.h)[1], Norm2)
    return norm and t.op.rows <= ROWS and not t.op.batch


def _one(terms: list[Term]) -> Term:
    rows = [t.op.rows for t in terms]
    weights = [np.asarray(unscaled(t.h)[0], float) for t in terms]
    w = np.stack(np.broadcast_arrays(*weights), -1)
    shifts = [np.broadcast_to(t.b, (*t.b.shape[:-1], t.op.rows)) for t in terms]
    lead = np.broadcast_shapes(*(b.shape[:-1] for b in shifts))
    b = np.concatenate([np.broadcast_to(e, (*lead, e.shape[-1])) for e in shifts], -1)
    labels = np.repeat(np.arange(len(terms)), rows)
    return Term(GroupNorm(labels, w), _stacked([t.op for t in terms]), b)
