"""The example on Engel's data: solved, certified, and as published."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "examples" / "quantile_regression.py"


def test_quantile_regression(tmp_path):
    """Exit status 0 means agreement with cvxpy within the certificate."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--plot", str(tmp_path / "engel.png")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "all certificates verified: True" in done.stdout
    assert "all digits quantreg prints reproduced: True" in done.stdout
