"""Rows of the test table: entropies, log-sum-exp and means."""

from __future__ import annotations

from typing import Any

from row import Row

FUNCTIONS: list[Row] = []

SETS: dict[str, Any] = {}
