"""The command line: python -m subgrad compare, python -m subgrad list.

Exit status of `compare`: 0; 1 where an answer and cvxpy's, or the known optimum,
disagree beyond what is proved, a method failed, or none is for these problems; 2 for
bad arguments; 130 after Ctrl-C, with what was found until then.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from subgrad._compare import Row

WIDTH = 88
EPILOG = """\
Runs are told the radius of a problem, where one is proved, but not its optimum (polyak
is). cvxpy solves each problem with two solvers that must agree, and the time is that of
the first. Differences and gaps are relative to max(1, |value|); the ratio is cvxpy's
seconds over ours. Set OMP_NUM_THREADS=1 for times that mean something.

exit status: 0; 1 where answers disagree beyond what is proved, a method failed, or none
is for these problems; 2 for bad arguments; 130 after Ctrl-C"""


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

    default = Limits()
    add = parser.add_argument
    add("problem", nargs="*", help="names of problems; by default a small set of them")
    add(
        "--method",
        nargs="+",
        action="extend",
        metavar="NAME",
        help="names of methods (auto); put them after the problems",
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
    from subgrad.problems import names

    wanted = arguments.problem or work.SUITES["default"]
    try:
        methods = _known("method", arguments.method or ["auto"], work.METHODS)
        problems = work.make(
            _known("problem", wanted, names()), arguments.size, arguments.seed
        )
    except ValueError as error:
        parser.error(str(error))
    if arguments.plot is not None:
        _can_plot(arguments.plot, parser)
    limits = work.Limits(arguments.tol, arguments.max_iter, arguments.max_time)
    rows: list[Row] = []
    interrupted = False
    bar = _bar(len(problems) * len(methods))
    try:
        for row in work.compare(problems, methods, limits, bar.set_description):
            rows.append(row)
            bar.update()
    except KeyboardInterrupt:
        interrupted = True
    finally:
        bar.close()
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
        plot(rows, arguments.plot)
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
    if not path.absolute().parent.is_dir():
        parser.error(f"--plot: there is no folder {path.absolute().parent}")


class _NoBar:
    """What is used of a tqdm bar, without tqdm."""

    def set_description(self, text: str) -> None: ...

    def update(self) -> None: ...

    def close(self) -> None: ...


def _bar(total: int) -> Any:
    try:
        from tqdm import tqdm
    except ImportError:
        return _NoBar()
    # None: a bar for a terminal only. It goes to stderr.
    return tqdm(total=total, unit="run", leave=False, disable=None)


# What is shown ------------------------------------------------------------------------

TITLES = (
    "problem", "n", "ours", "cvxpy's", "rel. diff.", "cert. gap", "seconds", "cvxpy's",
    "ratio",
)  # fmt: skip
VERDICTS = ("agree", "disagree", "failed", "refused", "unchecked")


def table(rows: Sequence[Row], tol: float) -> str:
    """The rows, aligned; methods are indented below their problem if there are several.

    "!" marks disagreement and failure; what there is to say of a row stands below.
    """
    several = len({row.method for row in rows}) > 1
    lines, notes = [[*TITLES[:-1], TITLES[-1] + "  "]], []
    last: object = None
    for row in rows:
        name, n = row.problem.name, str(row.problem.n)
        if several and row.problem is not last:
            lines.append([name, n, *[""] * (len(TITLES) - 2)])
        last = row.problem
        lines.append(
            [
                "  " + row.method if several else name,
                "" if several else n,
                row.verdict if isinstance(row.result, str) else number(row.fun),
                "none" if isinstance(row.reference, str) else number(row.theirs),
                number(row.difference, ".1e"),
                number(row.gap, ".1e"),
                number(row.seconds, ".2g"),
                number(row.their_seconds, ".2g"),
                number(row.ratio, ".2g") + (" !" if row.bad else "  "),
            ]
        )
        label = f"{name}, {row.method}" if several else name
        for note in row.notes:
            notes.append(f"{'! ' if row.bad else ''}{label}: {note}")
        if isinstance(row.reference, str):
            notes.append(f"{name}, cvxpy: {row.reference}")
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * w for w in widths])
    text = []
    for line in lines:
        cells = [cell.rjust(w) for cell, w in zip(line, widths, strict=True)]
        cells[0] = line[0].ljust(widths[0])
        text.append("  ".join(cells).rstrip())
    proved = sum(row.gap <= tol for row in rows)
    counts = Counter(row.verdict for row in rows)
    end = [f"{counts[v]} {v}" for v in VERDICTS if counts[v]]
    end.append(f"{proved} of {len(rows)} proved to {tol:g}")
    # What is wrong with cvxpy is said once for all methods.
    for note in dict.fromkeys(notes):
        text.append(textwrap.fill(note, WIDTH, subsequent_indent="  "))
    return "\n".join([*text, "", ", ".join(end)])


def number(a: float, form: str = ".8g") -> str:
    """a in this format but readable, at most 13 characters; "-" where it is unknown."""
    if not math.isfinite(a):
        return "-"
    if form == ".8g" and a != 0 and not 1e-4 <= abs(a) < 1e8:
        return f"{a:.2e}"
    return f"{a:.0f}" if form == ".2g" and abs(a) >= 100 else f"{a:{form}}"


def plot(rows: Sequence[Row], path: Path) -> None:
    """Best value minus best known value against iterations, a line per row.

    A line ends with the answer, which may be better than all iterates, or where the
    best known value is reached.
    """
    import numpy as np
    from matplotlib.figure import Figure

    problems = list({id(row.problem): row.problem for row in rows}.values())
    methods = list(dict.fromkeys(row.method for row in rows))
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for row in rows:
        if isinstance(row.result, str):
            continue
        same = [r.fun for r in rows if r.problem is row.problem]
        known = np.array([row.problem.optimum, *same, row.theirs], float)
        best = np.fmin.accumulate(np.append(row.result.history, row.fun))
        excess = best - np.nanmin(known)
        i, j = problems.index(row.problem), methods.index(row.method)
        # Colours tell problems apart, dashes methods, or the second ten of problems.
        dashes = ("-", "--", ":", "-.")[(j if len(methods) > 1 else i // 10) % 4]
        axes.plot(
            np.append(np.arange(best.size - 1), row.result.nit),
            np.where(excess > 0, excess, np.nan),
            label=", ".join([row.problem.name, row.method][: len(methods)]),
            color=f"C{i % 10}",
            ls=dashes,
            lw=1,
        )
    axes.set(xlabel="iterations", ylabel="best value − best known value", yscale="log")
    axes.grid(alpha=0.3)
    if axes.lines:
        figure.legend(loc="outside right upper", fontsize="x-small", frameon=False)
    figure.savefig(path, dpi=150)


def _list(arguments: Any, parser: argparse.ArgumentParser) -> int:
    from subgrad._compare import METHODS, describe_method
    from subgrad.problems import describe, names, problem

    by_source: dict[str, list[str]] = {}
    for name in names():
        by_source.setdefault(problem(name).source, []).append(name)
    print("problems")
    for source, members in by_source.items():
        print()
        for name in members:
            print(_entry(name, describe(name)))
        print(textwrap.indent(textwrap.fill(source, WIDTH - 6), " " * 6))
    print("\nmethods\n")
    for name in METHODS:
        print(_entry(name, describe_method(name)))
    return 0


def _entry(name: str, text: str, width: int = 22) -> str:
    """A hanging paragraph."""
    first = f"  {name}".ljust(width)
    return textwrap.fill(
        text, WIDTH, initial_indent=first, subsequent_indent=" " * width
    )


if __name__ == "__main__":
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read has read enough; nothing is left to complain to at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    sys.exit(status)
