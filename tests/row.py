"""A row of the test table: one function and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Row:
    name: str
    f: Any
    n: int
    kinks: Any = ()
    cls: type | None = None  # the class this row stands for, type(f) unless said
    atom: str = ""  # the name in README's table, that of the class unless said
    twin: Any = None  # the same function, spelled otherwise
    prox: bool = True
    conjugate: bool = True
    inexact: Callable[[np.ndarray], bool] = field(default=lambda x: False)
    # Where the support function of the subdifferential is f'(x; .) though x is on the
    # relative boundary of the domain and f is not polyhedral: nowhere, unless said.
    closed: bool = False
    cvxpy: bool = True

    def points(self) -> np.ndarray:
        r = np.random.default_rng(0)
        grid = np.stack(np.meshgrid(*[[-1.0, 0, 1]] * self.n), -1).reshape(-1, self.n)
        if len(grid) > 27:
            grid = grid[r.permutation(len(grid))[:27]]
        extra = np.asarray(self.kinks, float).reshape(-1, self.n)
        return np.concatenate([grid, r.standard_normal((4, self.n)), extra])
