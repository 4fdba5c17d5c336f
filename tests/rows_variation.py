"""Rows of the test table: total variation and its relatives."""

from __future__ import annotations

from typing import Any

from row import Row

FUNCTIONS: list[Row] = []

SETS: dict[str, Any] = {}
