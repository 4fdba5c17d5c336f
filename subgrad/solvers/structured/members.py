"""Members of a batch of functions, and arrays of all of them."""

from __future__ import annotations

import copy
from functools import cached_property
from typing import Any

import numpy as np

from subgrad._batch import Batched, pick
from subgrad._check import Array
from subgrad.affine import AffineMap, Matrix, Operator
from subgrad.core import Function

CORE = {"a": 0, "c": 0, "k": 0, "mu": 0, "weights": 1, "b": 1}  # axes of parameters

Index = tuple[Any, ...]  # numbers, or arrays of them for several problems


def members(f: Function, index: Index) -> Function:
    """Those at `index` of the batch of f, which is aligned at its last axis."""
    one = copy.copy(f)
    for name, part in vars(f).items():
        if isinstance(getattr(type(f), name, None), cached_property):
            delattr(one, name)
        else:
            setattr(one, name, _taken(name, part, index))
    return one


def _taken(name: str, part: Any, index: Index) -> Any:
    if isinstance(part, Function):
        return members(part, index)
    if isinstance(part, Batched):
        return part._item(index) if part.batch else part
    if isinstance(part, AffineMap):
        op, b = (_taken(key, getattr(part, key), index) for key in ("op", "b"))
        return AffineMap(part.variable, op, b, part.shape)
    if isinstance(part, tuple):
        return tuple(_taken("", p, index) for p in part)
    if isinstance(part, np.ndarray | np.generic) and name in CORE:
        return pick(np.asarray(part), CORE[name], index)
    return part


def dense(op: Operator) -> Array:
    """The map as an array (..., m, n)."""
    if isinstance(op, Matrix):
        return op.A
    if not op.batch:
        return op.dense()
    m, lead = op.rows, len(op.batch)
    rows = op.adjoint(np.eye(m).reshape(m, *[1] * lead, m))
    return np.moveaxis(rows, 0, -2)


def joined(parts: list[Array], axis: int = -1) -> Array:
    """One behind the other along an axis, those before it broadcast."""
    rest = -axis
    lead = np.broadcast_shapes(*(p.shape[:-rest] for p in parts))
    return np.concatenate(
        [np.broadcast_to(p, (*lead, *p.shape[-rest:])) for p in parts], axis
    )
