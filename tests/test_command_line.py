"""python -m subgrad: what it prints, what it returns, and what it does not swallow."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from dataclasses import replace
from subprocess import PIPE

import numpy as np
import pytest

from subgrad import _compare
from subgrad.__main__ import main
from subgrad._compare import METHODS, Checker, Limits, Row, run
from subgrad._report import number
from subgrad.cvx.reference import Reference
from subgrad.functions.linear import Linear
from subgrad.problems import SUITES, make, names, problem
from subgrad.solvers.certificate import CutCertificate

VALUES = {"cb2": 1.952224493870659, "dem": -3.0, "goffin": 0.0}


def answer(fun):
    return Reference(np.zeros(2), fun, "CLARABEL", "SCS", 0.5, "optimal")


@pytest.fixture
def cvxpy_says(monkeypatch):
    """Puts answers in the place of cvxpy's, which are right where nothing is said."""
    answers = {name: answer(value) for name, value in VALUES.items()}

    def solve(self, p, seconds):
        found = answers[p.name]
        if isinstance(found, BaseException):
            raise found
        return found

    monkeypatch.setattr(Checker, "solve", solve)
    return answers.update


def exit_status(*argv):
    with pytest.raises(SystemExit) as end:
        main(argv)
    return end.value.code


def strict(text):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


# The commands -------------------------------------------------------------------------


def test_alone_it_helps_and_as_a_module_it_runs(capsys):
    assert main([]) == 0
    assert "compare" in capsys.readouterr().out
    done = subprocess.run(
        [sys.executable, "-m", "subgrad", "--version"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.strip()) == (0, "0.1.0")


def test_whoever_stops_reading_is_not_complained_to():
    command = [sys.executable, "-m", "subgrad", "list"]
    with subprocess.Popen(command, stdout=PIPE, stderr=PIPE, text=True) as run:
        run.stdout.close()
        assert (run.stderr.read(), run.wait()) == ("", 141)


def test_list_shows_every_problem_its_source_and_every_method(capsys):
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    for text, members in zip(out.split("\nmethods\n"), (names(), METHODS), strict=True):
        for name in members:
            entries = [s for s in text.splitlines() if s.startswith(f"  {name} ")]
            assert len(entries) == 1
            assert len(entries[0].split(name, 1)[1].strip()) > 20
    assert "Lemarechal" in out and "SDPLIB 1.2, B. Borchers" in out
    assert max(map(len, out.splitlines())) <= 100


def test_the_suites_are_shown_and_run(capsys, monkeypatch, cvxpy_says):
    assert set(SUITES["default"]) <= set(names())
    cases = ("dem", ("goffin", {"n": 3}), ("goffin", {"n": 4}))
    monkeypatch.setattr("subgrad.problems.SUITES", {"default": (), "mine": cases})
    cvxpy_says({"goffin": "SolverError: out of luck"})
    assert main(["compare", "--suite", "mine"]) == 0
    out = capsys.readouterr().out.splitlines()
    rows = [line.split()[:2] for line in out[2:5]]
    assert rows == [["dem", "2"], ["goffin", "3"], ["goffin", "4"]]
    assert "goffin (n = 4), cvxpy: SolverError: out of luck" in out
    assert exit_status("compare", "dem", "--suite", "mine") == 2
    assert "not both" in capsys.readouterr().err
    assert exit_status("compare", "--suite", "his") == 2


@pytest.mark.slow
def test_a_terminal_without_greek_letters_gets_question_marks():
    done = subprocess.run(
        [sys.executable, "-m", "subgrad", "list"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "f* = -(n - 1) ?2" in done.stdout


@pytest.mark.parametrize(
    "argv, said",
    [
        (["cb"], "unknown problem 'cb'; did you mean 'cb"),
        (["max_quad"], "did you mean 'maxquad'?"),
        (["--method", "shor", "cb2"], "'cb2' is a problem: problems come first"),
        (["cb2", "--method", "subgradeint"], "did you mean 'subgradient'?"),
        (["cb2", "--size", "3"], "none of the problems has a size to choose: cb2"),
        (["cb2", "--seed", "3"], "none of the problems has random data: cb2"),
        (["lad", "--size", "0"], "must be a whole number >= 1, got '0'"),
        (["maxl", "--size", "many"], "must be a whole number >= 1, got 'many'"),
        (["chained_lq", "--size", "1"], "at least 2"),
        (["cb2", "--tol", "0"], "must be a positive number, got '0'"),
        (["cb2", "--tol", "inf"], "must be a positive number, got 'inf'"),
        (["cb2", "--max-time", "soon"], "must be a positive number, got 'soon'"),
        (["cb2", "--max-iter", "-1"], "must be a whole number >= 0, got '-1'"),
        (["cb2", "--plot", "a.doc"], "ending in .png, .pdf or .svg, got a.doc"),
        (["cb2", "--plot", "no/such/folder/a.png"], "there is no folder"),
        (["maxq", "--size", "10" + 30 * "0"], "Maximum allowed size exceeded"),
        (["mxhilb", "--size", "1000000"], "Unable to allocate"),
        (["cb2", "--fast"], "unrecognized arguments: --fast"),
    ],
)
def test_bad_arguments_end_with_2_and_say_why(capsys, argv, said):
    assert exit_status("compare", *argv) == 2
    assert said in capsys.readouterr().err


def test_problems_take_the_size_and_the_seed_that_they_have():
    fixed, sized, drawn = make(["cb2", "goffin", "lad"], n=7, seed=5)
    assert (fixed.n, sized.n, drawn.n) == (2, 7, 7)
    assert (fixed.seed, sized.seed, drawn.seed) == (None, None, 5)


# compare ------------------------------------------------------------------------------


@pytest.mark.slow
def test_cvxpy_agrees(capsys):
    argv = ["compare", "CB2", "enclosing-ball", "--json", "--max-time", "60"]
    assert main(argv) == 0
    out, err = capsys.readouterr()
    report = strict(out)
    assert err == "" and not report["interrupted"] and report["max_time"] == 60
    for row, optimum in zip(report["rows"], (VALUES["cb2"], None), strict=True):
        assert row["verdict"] == "agree" and row["verified"] is True
        assert row["optimum"] == optimum and row["status"] == "gap"
        assert {row["cvxpy_solver"], row["cvxpy_confirmed_by"]} == {"CLARABEL", "SCS"}
        assert row["relative_gap"] <= 1e-6 and abs(row["relative_difference"]) <= 2e-6
        assert row["lower_bound"] <= row["cvxpy_value"] + 1e-9
        ratio = row["cvxpy_seconds"] / row["seconds"]
        assert row["time_ratio"] == pytest.approx(ratio)
    assert not multiprocessing.active_children()


@pytest.mark.slow
@pytest.mark.parametrize("name", SUITES["default"])
def test_the_default_comparison_is_proved(name):
    row = run(problem(name), "auto", Limits(), "not asked")
    assert row.verified and row.gap <= Limits().tol and not row.bad


def test_a_process_that_is_late_or_dies_is_not_waited_for():
    killed, p = [], problem("dem")

    class Process:
        kill = join = lambda self: killed.append(self)

    with Checker() as checker:
        checker._pipe, near = multiprocessing.Pipe()
        checker._process = Process()
        assert checker.solve(p, 0.0) == "no answer in 0 s"
        assert len(killed) == 2 and checker._process is None
        checker._pipe, far = multiprocessing.Pipe()
        far.close()
        checker._process = Process()
        assert checker.solve(p, 60.0) == "its process died"
        assert len(killed) == 4 and checker._process is None
    near.close()


def test_an_answer_without_its_confirmation_is_one_too():
    p = problem("dem")

    class Process:
        kill = join = lambda self: None

    first = Reference(np.zeros(2), -3.0, "CLARABEL", "", 0.5, "optimal")
    for second in (None, replace(first, confirmed_by="SCS")):
        with Checker() as checker:
            checker._pipe, far = multiprocessing.Pipe()
            checker._process = Process()
            far.send(first)
            if second is not None:
                far.send(second)
            found = checker.solve(p, 0.2)
            assert found.fun == -3.0
            assert found.confirmed_by == ("" if second is None else "SCS")
            far.close()
    row = run(p, "auto", Limits(), first)
    assert not row.bad and any("confirm" in note for note in row.notes)


def test_the_process_never_hears_of_ctrl_c(monkeypatch):
    seen = []

    class Process:
        start = join = kill = lambda self: seen.append(signal.getsignal(signal.SIGINT))

    class Context:
        def Pipe(self):
            near, far = multiprocessing.Pipe()
            far.send("ready")
            return near, far

        def Process(self, **_):
            return Process()

    monkeypatch.setattr(multiprocessing, "get_context", lambda kind: Context())
    # A shell that runs the tests in the background has them ignore it.
    outer = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with Checker() as checker:
            checker._start()
    finally:
        before = signal.signal(signal.SIGINT, outer)
    assert before == signal.default_int_handler
    assert seen == [signal.SIG_IGN, before, before]


def test_the_process_answers_declines_and_ends(monkeypatch):
    monkeypatch.setattr(_compare.signal, "signal", lambda *_: None)
    p = problem("dem")

    class Pipe:
        questions, answers = [p, replace(p, function=Linear(np.ones(2)))], []

        def recv(self):
            if not self.questions:
                raise EOFError
            return self.questions.pop(0)

        def send(self, answer):
            self.answers.append(answer)

    _compare._serve(Pipe())
    ready, first, solved, declined = Pipe.answers
    assert first.confirmed_by == "" and solved.confirmed_by
    assert ready == "ready" and first.fun == solved.fun
    assert solved.fun == pytest.approx(-3.0, abs=1e-6)
    assert "found no optimum: unbounded" in declined


def test_the_table_is_aligned_and_narrow(capsys, cvxpy_says):
    assert main(["compare", "cb2", "dem", "goffin", "--size", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:4] == ["problem", "n", "ours", "cvxpy's"]
    assert max(map(len, lines)) <= 100
    for line, name in zip(lines[2:5], ("cb2", "dem", "goffin"), strict=True):
        cells = line.split()
        assert cells[0] == name and len(cells) == 9
        assert float(cells[3]) == pytest.approx(VALUES[name], abs=1e-7)
        assert float(cells[7]) == 0.5
    widths = [len(dashes) for dashes in lines[1].split()]
    edges = np.cumsum([w + 2 for w in widths])[:-1]
    for line in lines[:1] + lines[2:5]:
        assert all(line[e - 2 : e] == "  " for e in edges[1:-1]), line
    assert lines[-1] == "3 agree, 3 of 3 proved to 1e-06"


def test_several_methods_stand_below_their_problem(capsys, cvxpy_says):
    cvxpy_says({"cb2": "SolverError: out of luck"})
    argv = ["compare", "cb2", "dem", "--method", "subgradient", "--method", "polyak"]
    assert main([*argv, "--max-iter", "300"]) == 0
    lines = capsys.readouterr().out.splitlines()
    firsts = [line.split()[0] for line in lines[2:8]]
    assert firsts == ["cb2", "subgradient", "polyak", "dem", "subgradient", "polyak"]
    assert "none" in lines[3].split()
    said = [line for line in lines if "out of luck" in line]
    assert said == ["cb2, cvxpy: SolverError: out of luck"]
    assert max(map(len, lines)) <= 100


def test_unknown_numbers_are_null(capsys, cvxpy_says):
    cvxpy_says({"max_affine": "no answer"})
    argv = ["compare", "max_affine", "--size", "3", "--max-iter", "5", "--json"]
    argv += ["--method", "subgradient"]
    assert main(argv) == 0
    (row,) = strict(capsys.readouterr().out)["rows"]
    for key in ("lower_bound", "relative_gap", "verified", "cvxpy_value", "time_ratio"):
        assert row[key] is None, key
    assert row["verdict"] == "unchecked" and row["iterations"] == 5
    assert row["cvxpy_status"] == "no answer"


def test_numbers_are_short():
    values = [0.0, 1 / 3, -1e-300, -123456.789012345, -9.87654321e300, 99999999.4]
    assert max(len(number(a)) for a in values) <= 13
    assert number(float("nan")) == number(-np.inf, ".1e") == "-"
    assert number(1234.5, ".2g") == "1234" and number(0.01234, ".2g") == "0.012"


# Disagreement -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def done():
    """A run on cb2, whose gap is about 1e-3 so that there is room to disagree in."""
    p = replace(problem("cb2"), optimum=None)
    row = run(p, "subgradient", Limits(tol=1e-3), answer(VALUES["cb2"]))
    assert row.verdict == "agree" and 1e-6 < row.gap <= 1e-3
    return row


def judged(row, V=np.nan, optimum=None, accuracy=0.0, verified=True):
    p = replace(row.problem, optimum=optimum, accuracy=accuracy)
    theirs = "none" if np.isnan(V) else answer(V)
    return Row(p, row.method, row.result, theirs, row.seconds, verified)


def test_every_kind_of_disagreement_is_seen_and_nothing_else(done):
    U, L, best = done.fun, done.lower, VALUES["cb2"]
    assert L < best < U
    assert judged(done, V=L - 1e-8).disagreements[0].startswith("our lower bound")
    assert judged(done, V=L - 1e-10).verdict == "agree"
    assert judged(done, V=U + 5e-6).disagreements[0].startswith("our value")
    assert judged(done, V=U + 1e-6).verdict == "agree"
    # Within the gap nobody can say who is right.
    assert judged(done, V=(L + best) / 2).verdict == "agree"

    assert "known optimum" in judged(done, optimum=L - 1e-8).disagreements[0]
    assert "known optimum" in judged(done, optimum=U + 1e-8).disagreements[0]
    assert judged(done, optimum=L - 1e-8, accuracy=2e-8).verdict == "agree"
    assert judged(done, optimum=U + 1e-8, accuracy=2e-8).verdict == "agree"
    for V in (best - 1e-8, best + 5e-6):
        (said,) = judged(done, V, best).disagreements
        assert said.startswith("cvxpy's optimum")
        assert judged(done, V, best, accuracy=1e-5).verdict == "agree"
    assert judged(done, best + 1e-6, best).verdict == "agree"

    assert judged(done, best, verified=False).verdict == "disagree"
    assert judged(done).verdict == "unchecked"


def test_a_value_far_off_without_a_bound_does_not_agree(done):
    lost = replace(done, result=replace(done.result, certificate=None))
    assert judged(lost, V=done.fun - 1e-2).verdict == "unchecked"
    assert judged(lost, V=done.fun - 1e-7).verdict == "agree"
    assert judged(lost, optimum=done.fun - 1e-2).verdict == "unchecked"
    assert judged(lost, optimum=done.fun - 1e-7).verdict == "agree"
    assert judged(lost, V=done.fun + 1e-2).verdict == "disagree"


def test_the_certificate_of_every_run_is_verified(monkeypatch):
    monkeypatch.setattr(CutCertificate, "verify", lambda self, f: False)
    row = run(problem("dem"), "subgradient", Limits(), answer(-3.0))
    assert row.disagreements == ["our certificate does not verify"]


def test_polyak_is_given_the_optimum_and_gets_no_bound_from_it():
    row = run(problem("goffin", n=3), "polyak", Limits(max_iter=3), answer(0.0))
    assert row.result.lower_bound == 0 and row.lower < 0


@pytest.mark.parametrize("value", [1.9, 2.0])
def test_disagreement_ends_with_1(capsys, cvxpy_says, value):
    cvxpy_says({"cb2": answer(value)})
    assert main(["compare", "cb2", "dem"]) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[2].endswith(" !") and not out[3].endswith("!")
    assert any(line.startswith("! cb2: our ") for line in out)
    assert out[-1] == "1 agree, 1 disagree, 2 of 2 proved to 1e-06"
    assert main(["compare", "cb2", "--json"]) == 1
    (row,) = strict(capsys.readouterr().out)["rows"]
    assert row["verdict"] == "disagree" and row["disagreements"]


def test_a_method_that_is_not_for_a_problem_is_no_failure(capsys, cvxpy_says):
    cvxpy_says({"lad": answer(1.0)})
    argv = ["compare", "lad", "--size", "2", "--method", "polyak"]
    assert main([*argv, "mirror descent", "--max-iter", "5"]) == 1  # nothing ran
    out = capsys.readouterr().out
    assert "\nlad, polyak: needs the optimum, which is not known\n" in out
    assert "\nlad, mirror descent: ValueError: MirrorDescent" in out
    assert out.endswith("2 refused, 0 of 2 proved to 1e-06\n")
    assert main(["compare", "dem", "lad", *argv[2:]]) == 0
    assert "1 agree, 1 refused" in capsys.readouterr().out


@pytest.mark.parametrize("kind", [RuntimeError, TypeError, np.linalg.LinAlgError])
def test_an_exception_of_a_method_is_a_row(capsys, cvxpy_says, monkeypatch, kind):
    def minimize(*args, **kwargs):
        raise kind("by accident")

    monkeypatch.setattr(_compare, "minimize", minimize)
    assert main(["compare", "dem", "--json"]) == 1
    (row,) = strict(capsys.readouterr().out)["rows"]
    assert row["status"] == "failed" and row["value"] is None
    assert row["message"] == f"{kind.__name__}: by accident"
    assert main(["compare", "dem"]) == 1
    out = capsys.readouterr().out
    assert f"! dem: {kind.__name__}: by accident" in out and "1 failed" in out


def test_a_run_that_breaks_ends_with_1(capsys, cvxpy_says, monkeypatch):
    p = problem("dem")
    f = type(p.function)
    calls, real = [], f._oracle

    def oracle(self, x):
        calls.append(x)
        if len(calls) > 5:
            raise ArithmeticError("out of order")
        return real(self, x)

    monkeypatch.setattr(f, "_oracle", oracle)
    assert main(["compare", "dem", "--method", "subgradient"]) == 1
    out = capsys.readouterr().out
    assert "! dem: ArithmeticError after 4 steps: out of order" in out
    assert float(out.splitlines()[2].split()[2]) <= p.function(p.x0)


# Interruption, pictures, progress -----------------------------------------------------


def test_ctrl_c_while_cvxpy_works_keeps_the_rows(capsys, cvxpy_says):
    cvxpy_says({"dem": KeyboardInterrupt()})
    assert main(["compare", "cb2", "dem", "goffin"]) == 130
    out, err = capsys.readouterr()
    assert "\ncb2 " in out and "\ndem " not in out and "interrupted" in err
    assert main(["compare", "cb2", "dem", "--json"]) == 130
    report = strict(capsys.readouterr().out)
    assert report["interrupted"] and len(report["rows"]) == 1


def test_ctrl_c_while_a_method_works_keeps_its_best_point(
    capsys, cvxpy_says, monkeypatch
):
    real = _compare.minimize

    def interrupt(found):
        if found.nit == 9:
            raise KeyboardInterrupt

    def minimize(*args, **kwargs):
        return real(*args, **kwargs, callback=interrupt)

    monkeypatch.setattr(_compare, "minimize", minimize)
    assert main(["compare", "cb2", "dem"]) == 130
    out = capsys.readouterr().out
    assert "\ncb2 " in out and "\ndem " not in out
    assert "cb2: interrupted from the keyboard" in out


def test_convergence_curves(tmp_path, capsys, cvxpy_says, monkeypatch):
    from matplotlib.figure import Figure

    shown, save = [], Figure.savefig

    def savefig(self, *args, **kwargs):
        shown.append(self)
        save(self, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", savefig)
    path = tmp_path / "curves.png"
    argv = ["cb2", "dem", "--method", "subgradient", "polyak", "--plot", str(path)]
    assert main(["compare", *argv, "--json", "--max-iter", "50"]) == 0
    out, err = capsys.readouterr()
    assert len(strict(out)["rows"]) == 4 and str(path) in err
    assert path.read_bytes().startswith(b"\x89PNG")
    (axes,) = shown[0].axes
    assert axes.get_yscale() == "log" and len(axes.lines) == 4
    assert axes.lines[3].get_label() == "dem, polyak"
    for line, row in zip(axes.lines, strict(out)["rows"], strict=True):
        x, y = line.get_data()
        p = problem(row["problem"])
        least = min(row["value"] for row in strict(out)["rows"][:2])
        if p.name == "cb2":
            least = min(least, VALUES["cb2"])
            assert y[0] == pytest.approx(float(p.function(p.x0)) - least)
        y = y[np.isfinite(y)]
        assert np.all(np.diff(y) <= 0) and np.all(np.diff(x) >= 0)
        assert x[-1] == row["iterations"]


def test_a_picture_that_cannot_be_written(tmp_path, capsys, cvxpy_says, monkeypatch):
    (tmp_path / "folder.png").mkdir()
    assert exit_status("compare", "cb2", "--plot", str(tmp_path / "folder.png")) == 2
    assert "cannot write" in capsys.readouterr().err
    # What the system says only when it is tried.
    monkeypatch.setattr("os.access", lambda *_: True)
    assert main(["compare", "dem", "--plot", "/proc/no.png"]) == 2
    out, err = capsys.readouterr()
    assert "1 agree" in out and err.startswith("no plot: ")


def test_without_matplotlib_it_says_what_to_install(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.backend_bases", None)
    assert exit_status("compare", "cb2", "--plot", "a.png") == 2
    assert "pip install 'subgrad[plot]'" in capsys.readouterr().err


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_on_a_terminal_and_only_there(capsys, cvxpy_says, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert main(["compare", "cb2", "dem", "--json"]) == 0
    shown = terminal.getvalue()
    assert ". 0/2 cb2" in shown and "##########.......... 1/2 dem" in shown
    assert shown.endswith("\r\x1b[K")
    strict(capsys.readouterr().out)
