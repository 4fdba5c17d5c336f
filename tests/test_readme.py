"""README.md and CHANGELOG.md say what is so; the examples of README run as doctests."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import capabilities
import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]
SETUP = "python3 -m venv .venv && .venv/bin/python -m pip install -q -e "


def command(name: str) -> str:
    """What stands in the block after the marker."""
    (block,) = re.findall(
        f"<!-- command: {name} -->\n```bash\n(.*?)\n```\n", README, re.S
    )
    return block


def test_capability_table_is_up_to_date():
    _, table, _ = capabilities.parts(README)
    assert table == capabilities.table(), "run: python tests/capabilities.py"


@pytest.mark.parametrize(
    ("name", "extra", "end"),
    [
        ("example", "plot", ".venv/bin/python examples/quantile_regression.py"),
        ("tests", "test", ".venv/bin/python -m pytest"),
    ],
)
def test_commands_are_one_line_from_a_fresh_clone(name, extra, end):
    assert command(name) == f'{SETUP}".[{extra}]" && {end}'
    assert extra in PROJECT["optional-dependencies"]
    assert all((ROOT / path).exists() for path in re.findall(r"examples/\S+", end))


def test_ci_runs_the_command_of_the_readme():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    (line,) = re.findall("^tests=.*$", script, re.M)
    assert 'run bash -c "$tests"\n' in script
    echo = ["bash", "-c", line + '\nprintf %s "$tests"']
    found = subprocess.run(echo, cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout == command("tests")


def test_changelog_gives_a_reason_for_every_dependency():
    log = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{PROJECT['version']}]" in log
    reasons = log.split("### Dependencies")[1].split("###")[0]
    extras = PROJECT["optional-dependencies"]
    for wanted in [*PROJECT["dependencies"], *sum(extras.values(), [])]:
        name = re.match(r"[\w-]+", wanted).group()
        assert re.search(rf"\b{name}\b", reasons), name
    assert all(f"`{extra}`" in reasons for extra in extras)
