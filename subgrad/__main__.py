"""The command line: python -m subgrad compare, python -m subgrad list.

Exit status of `compare`: 0; 1 where an answer and cvxpy's, or the known optimum,
disagree beyond what is proved, a method failed, or none is for these problems; 2 for
bad arguments; 130 after Ctrl-C, with what was found until then; 141 for a closed pipe.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import sys
import textwrap
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from subgrad._compare import Row

EPILOG = """\
Runs are told the radius of a problem, where one is proved, but not its optimum (polyak
is). cvxpy solves each problem with two solvers that must agree, and the time is that of
the first. Differences and gaps are relative to max(1, |value|); the ratio is cvxpy's
seconds over ours. Set OMP_NUM_THREADS=1 for times that mean something.

exit status: 0; 1 where answers disagree beyond what is proved, a method failed, or none
is for these problems; 2 for bad arguments; 130 after Ctrl-C; 141 for a closed pipe"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status. argparse exits by itself, with 0 or 2."""
    from subgrad import __version__

    parser = argparse.ArgumentParser(
        prog="python -m subgrad",
        description="Nonsmooth convex test problems, and methods that prove answers.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(title="commands", dest="command")
    show = commands.add_parser("list", help="the problems and the methods")
    show.set_defaults(run=_list)
    race = commands.add_parser(
        "compare",
        help="solve problems here and with cvxpy, side by side",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=EPILOG,
    )
    _options(race)
    race.set_defaults(run=_compare)
    arguments = parser.parse_args(argv)
    if arguments.command is None:
        parser.print_help()
        return 0
    return int(arguments.run(arguments, race))


def _options(parser: argparse.ArgumentParser) -> None:
    from subgrad._compare import Limits
    from subgrad.problems import SUITES

    default = Limits()
    add = parser.add_argument
    add("problem", nargs="*", help="names of problems; by default those of --suite")
    add(
        "--method",
        nargs="+",
        action="extend",
        metavar="NAME",
        help="names of methods (auto); put them after the problems",
    )
    add(
        "--suite",
        choices=sorted(SUITES),
        help="a set of problems, some with sizes of their own (default)",
    )
    add("--size", type=_whole(1), metavar="N", help="n, of the problems that have one")
    add(
        "--seed",
        type=_whole(0),
        metavar="S",
        help="of the random data, for the problems that have some",
    )
    add(
        "--tol",
        type=_positive,
        default=default.tol,
        metavar="T",
        help="relative gap to prove (%(default)g)",
    )
    add(
        "--max-iter",
        type=_whole(0),
        default=default.max_iter,
        metavar="N",
        help="iterations of a run (%(default)d)",
    )
    add(
        "--max-time",
        type=_positive,
        default=default.max_time,
        metavar="S",
        help="seconds of a run, and of cvxpy's two solvers together (%(default)g)",
    )
    add("--json", action="store_true", help="JSON instead of the table, for machines")
    add(
        "--plot",
        type=Path,
        metavar="FILE",
        help="draw best value minus best known value against iterations (matplotlib)",
    )


def _whole(low: int) -> Any:
    def read(text: str) -> int:
        try:
            n = int(text)
        except ValueError:
            n = low - 1
        if n < low:
            raise argparse.ArgumentTypeError(
                f"must be a whole number >= {low}, got {text!r}"
            )
        return n

    return read


def _positive(text: str) -> float:
    try:
        a = float(text)
    except ValueError:
        a = math.nan
    if not 0 < a < math.inf:
        raise argparse.ArgumentTypeError(f"must be a positive number, got {text!r}")
    return a


# compare ------------------------------------------------------------------------------


def _compare(arguments: Any, parser: argparse.ArgumentParser) -> int:
    from subgrad import _compare as work
    from subgrad._report import plot, table
    from subgrad.problems import SUITES, make, names

    try:
        wanted: Any = _known("problem", arguments.problem, names())
        asked = arguments.method or ["auto"]
        for name in asked:
            if name in names() and name not in work.METHODS:
                raise ValueError(f"{name!r} is a problem: problems come first")
        methods = _known("method", asked, work.METHODS)
        if wanted and arguments.suite:
            raise ValueError("give names of problems or --suite, not both")
        wanted = wanted or SUITES[arguments.suite or "default"]
        problems = make(wanted, arguments.size, arguments.seed)
    except (MemoryError, ValueError) as error:
        parser.error(str(error))
    if arguments.plot is not None:
        _can_plot(arguments.plot, parser)
    limits = work.Limits(arguments.tol, arguments.max_iter, arguments.max_time)
    rows: list[Row] = []
    interrupted = False
    with _Bar(len(problems) * len(methods)) as bar:
        try:
            for row in work.compare(problems, methods, limits, bar.show):
                rows.append(row)
                bar.done += 1
                bar.show(row.problem.name)
        except KeyboardInterrupt:
            interrupted = True
    if arguments.json:
        report = {
            "tol": limits.tol,
            "max_iter": limits.max_iter,
            "max_time": limits.max_time,
            "interrupted": interrupted,
            "rows": [row.as_dict() for row in rows],
        }
        print(json.dumps(report, indent=1, allow_nan=False))
    elif rows:
        print(table(rows, limits.tol))
    if arguments.plot is not None and rows:
        try:
            plot(rows, arguments.plot)
        except OSError as error:
            print(f"no plot: {error}", file=sys.stderr)
            return 2
        print(f"plot written to {arguments.plot}", file=sys.stderr)
    if interrupted:
        print("interrupted", file=sys.stderr)
        return 130
    return int(any(row.bad for row in rows) or all(row.refused for row in rows))


def _known(kind: str, names: Iterable[str], known: Iterable[str]) -> list[str]:
    """The names as they are spelled, each once; ValueError with the nearest if none."""
    spelled = {_plain(name): name for name in known}
    out = []
    for name in names:
        if _plain(name) not in spelled:
            near = get_close_matches(_plain(name), spelled, 1, 0.4)
            hint = f"did you mean {spelled[near[0]]!r}? " if near else ""
            raise ValueError(
                f"unknown {kind} {name!r}; {hint}'python -m subgrad list' shows them"
            )
        out.append(spelled[_plain(name)])
    return list(dict.fromkeys(out))


def _plain(name: str) -> str:
    return name.lower().replace("-", " ").replace("_", " ")


def _can_plot(path: Path, parser: argparse.ArgumentParser) -> None:
    """Complain before the work is done, and not after."""
    try:
        from matplotlib.backend_bases import FigureCanvasBase
    except ImportError:
        parser.error("--plot needs matplotlib: pip install 'subgrad[plot]'")
    kinds = FigureCanvasBase.get_supported_filetypes()
    if path.suffix[1:].lower() not in kinds:
        parser.error(f"--plot takes a file ending in .png, .pdf or .svg, got {path}")
    folder = path.absolute().parent
    if not folder.is_dir():
        parser.error(f"--plot: there is no folder {folder}")
    if path.is_dir() or not os.access(path if path.exists() else folder, os.W_OK):
        parser.error(f"--plot: cannot write {path}")


class _Bar:
    """How many of the runs are done, on a terminal: a line of stderr, wiped at the end.

    As a context, for as long as they run.
    """

    def __init__(self, total: int) -> None:
        self.total, self.done, self.shown = total, 0, sys.stderr.isatty()

    def show(self, name: str) -> None:
        """Now it is this problem's turn."""
        full = 20 * self.done // self.total
        self._write(f"{'#' * full:.<20} {self.done}/{self.total} {name}")

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *error: object) -> None:
        self._write("")

    def _write(self, text: str) -> None:
        if self.shown:
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


# list ---------------------------------------------------------------------------------


def _list(arguments: Any, parser: argparse.ArgumentParser) -> int:
    from subgrad._compare import METHODS, describe_method
    from subgrad._report import WIDTH, entry
    from subgrad.problems import describe, names, problem

    by_source: dict[str, list[str]] = {}
    for name in names():
        by_source.setdefault(problem(name).source, []).append(name)
    print("problems")
    for source, members in by_source.items():
        print()
        for name in members:
            print(entry(name, describe(name)))
        print(textwrap.indent(textwrap.fill(source, WIDTH - 6), " " * 6))
    print("\nmethods\n")
    for name in METHODS:
        print(entry(name, describe_method(name)))
    return 0


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # where "≤" cannot be said
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read has read enough; nothing is left to complain to at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 141
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)
