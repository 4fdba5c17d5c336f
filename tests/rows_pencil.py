"""Rows of the test table: the largest eigenvalue of a pencil, matrix fractions."""

from __future__ import annotations

from typing import Any

from row import Row

FUNCTIONS: list[Row] = []

SETS: dict[str, Any] = {}
