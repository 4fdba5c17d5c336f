"""What the command line shows of a comparison: a table, and convergence curves."""

from __future__ import annotations

import math
import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from subgrad._compare import Row

WIDTH = 88

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
        title = _title(row, rows)
        label = f"{title}, {row.method}" if several else title
        for note in row.notes:
            notes.append(f"{'! ' if row.bad else ''}{label}: {note}")
        if isinstance(row.reference, str):
            notes.append(f"{title}, cvxpy: {row.reference}")
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


def _title(row: Row, rows: Sequence[Row]) -> str:
    """The name of the problem, with n where several have that name."""
    p = row.problem
    same = any(r.problem.name == p.name and r.problem is not p for r in rows)
    return f"{p.name} (n = {p.n})" if same else p.name


def number(a: float, form: str = ".8g") -> str:
    """a in this format but readable, at most 13 characters; "-" where it is unknown."""
    if not math.isfinite(a):
        return "-"
    if form == ".8g" and a != 0 and not 1e-4 <= abs(a) < 1e8:
        return f"{a:.2e}"
    return f"{a:.0f}" if form == ".2g" and abs(a) >= 100 else f"{a:{form}}"


def entry(name: str, text: str, width: int = 26) -> str:
    """A hanging paragraph."""
    first = f"  {name}".ljust(width)
    return textwrap.fill(
        text, WIDTH, initial_indent=first, subsequent_indent=" " * width
    )


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
            label=", ".join([_title(row, rows), row.method][: len(methods)]),
            color=f"C{i % 10}",
            ls=dashes,
            lw=1,
        )
    axes.set(xlabel="iterations", ylabel="best value − best known value", yscale="log")
    axes.grid(alpha=0.3)
    if axes.lines:
        figure.legend(loc="outside right upper", fontsize="x-small", frameon=False)
    figure.savefig(path, dpi=150)
