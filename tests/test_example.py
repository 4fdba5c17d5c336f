"""The examples, run as a user runs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(name: str, plot: Path) -> str:
    """What an example prints; it must end with status 0."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), "--plot", str(plot)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_quantile_regression(tmp_path):
    """Exit status 0 means agreement with cvxpy within the certificate."""
    printed = run("quantile_regression.py", tmp_path / "engel.png")
    assert "all certificates verified: True" in printed
    assert "all digits quantreg prints reproduced: True" in printed


@pytest.mark.slow
def test_three_derivatives_of_relu(tmp_path):
    """Exit status 0 means that the pairings and the sets are what they must be."""
    printed = run("three_derivatives_of_relu.py", tmp_path / "relu.png")
    assert "all identities hold: True" in printed
    assert "as a distribution: f′ = H(x), f″ = δ(x)" in printed
    assert "as a distribution: f′ = δ(x), f″ = δ'(x)" in printed
    rows = [line.split("|") for line in printed.splitlines()]
    cells = {row[0].strip(): [c.strip() for c in row[1:]] for row in rows}
    assert cells["∂f"] == ["[0, 0]", "[0, 1]", "[1, 1]"]
    assert cells["∂f (Clarke)"] == ["[0, 0]", "none", "[0, 0]"]
    spellings = ("maximum(t, 0)", "(t + abs(t)) / 2", "where(t > 0, t, 0)")
    assert {cells[s][0] for s in (*spellings, "t + relu(-t)")} == {"[0, 1]"}
    assert "∂f(0) = [1, 1]; with" in printed
    assert (tmp_path / "relu.png").stat().st_size > 10_000
