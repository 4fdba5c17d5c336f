"""What `import subgrad` loads, and what it costs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

HEAVY = ("cvxpy", "matplotlib", "scipy.optimize", "scipy.sparse", "portion", "tqdm")


def python(code: str) -> str:
    # One BLAS thread: starting more of them costs more than the package does.
    env = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_nothing_heavy_is_loaded():
    code = f"import sys, subgrad; print([m for m in {HEAVY} if m in sys.modules])"
    assert python(code).strip() == "[]"


def test_importing_is_silent():
    assert python("import subgrad") == ""


@pytest.mark.slow
def test_import_costs_less_than_a_fifth_of_a_second_over_numpy():
    code = (
        "import time, numpy; start = time.perf_counter(); import subgrad; "
        "print(time.perf_counter() - start)"
    )
    python(code)  # compiles the modules, if nothing has yet
    assert min(float(python(code)) for _ in range(5)) < 0.2
