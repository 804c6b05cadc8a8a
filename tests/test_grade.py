"""Grading: every hostile submission gets a clear row, and nobody else is affected by it.

Fast: the parts one by one, and a folder of a few graded from the command line. Exhaustive: a
folder with every hostile submission, and nbgrader itself grading the same answers. Each graded
folder belongs to one test, so that no way of spreading tests over processes grades it twice.
"""

import csv
import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import course
import grade
import nbformat
import psutil
import pytest
from grading import collect, report, sandbox
from hand_ins import (
    CASES,
    CELL_SECONDS,
    LINGERING,
    MEMORY_MB,
    NAME,
    SCRIPT,
    SECONDS,
    Case,
    hand_in,
    source,
)

ROOT = Path(__file__).resolve().parents[1]
#: Two that run, one of them with all points, and two that do not.
FEW = ["lingering.ipynb", "crash.ipynb", "essay.pdf", "empty_subfolder/notes.txt"]
FULL = {"exponential": "8", "logarithm": "8", "integrate": "4", "bonus_jacobian": "5"}


def read_table(out):
    with (out / "grades.csv").open(encoding="utf-8", newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def check_row(row, case):
    """Points, status and remarks of a row are those of the case."""
    assert row["status"] == case.status if case.lost is not None else case.status in row["status"]
    assert row["remarks"] == case.remark
    if case.lost is None:
        assert (row["points"], row["bonus"]) == ("0", "0")
        return
    bonus = "5" if case.lost <= 8 else "0"
    assert (row["points"], row["out_of"], row["bonus"]) == (f"{20 - case.lost}", "20", bonus)
    assert (row["written"], row["written_out_of"]) == ("", "5")
    assert (row["assignment"], row["seed"]) == (NAME, "0")
    if case.lost == 0:
        assert {task: row[task] for task in FULL} == FULL


def check_graded(tmp_path, names, subtests):
    """Grade these from the command line; check the table, the pages, and what is left running."""
    folder = tmp_path / "handed in"
    hand_in(folder, names)
    roster = tmp_path / "roster.csv"
    roster.write_text("id;name\nlingering;L\nabsentee;A\n", encoding="utf-8")
    command = [sys.executable, str(ROOT / "assignments" / "grade.py"), str(folder)]
    command += [f"--roster={roster}", f"--cell-seconds={CELL_SECONDS}", f"--seconds={SECONDS}"]
    command += [f"--memory-mb={MEMORY_MB}", "--workers=2"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert not any(
        LINGERING in " ".join(p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"])
    )
    rows, feedback = read_table(tmp_path / "handed in-graded"), tmp_path / "handed in-graded"
    pages = {path.stem: path.read_text("utf-8") for path in feedback.glob("feedback/*.html")}
    students = {Path(name).parts[0] if "/" in name else Path(name).stem: name for name in names}
    cases = {student: CASES[name] for student, name in students.items()}
    cases["absentee"] = Case("", None, "nothing handed in")
    for student, case in cases.items():
        with subtests.test(student=student):
            check_row(rows.pop(f"'{student}" if student.startswith("=") else student), case)
            if student.isidentifier():
                assert case.says in pages[student] and case.status in pages[student]
    assert not rows and len(pages) == len(cases)
    assert any("&lt;script&gt;alert(1)" in page for page in pages.values()) or names == FEW
    check_pages(pages.values())


def check_pages(pages):
    """No page holds a hidden test or a script."""
    hidden = [
        line.strip()
        for cell in source().cells
        for kind, text in course.SECRET.findall(cell.source)
        for line in text.split("\n")
        if kind == "HIDDEN TESTS" and len(line.strip()) >= 12
    ]
    assert len(hidden) > 20
    for page in pages:
        assert "<script" not in page and "default-src 'none'" in page
        assert not any(line in page for line in hidden)


def test_a_folder_is_graded_from_the_command_line(tmp_path, subtests):
    check_graded(tmp_path, FEW, subtests)


@pytest.mark.exhaustive
def test_every_hostile_submission_has_its_row(tmp_path, subtests):
    check_graded(tmp_path, CASES, subtests)


@pytest.fixture
def known(tmp_path, monkeypatch):
    """A function: what a submission's own process would log, without running a cell."""
    monkeypatch.setattr(sandbox, "limit", lambda memory_mb: None)  # it would limit the tests
    monkeypatch.setattr(sandbox, "execute", lambda notebook, record, limits: "graded")

    def log_of(name):
        hand_in(tmp_path, [name])
        log = tmp_path / "log"
        sandbox.run_one(tmp_path / name, log, 0, sandbox.Limits())
        lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        return {key: value for line in lines for key, value in line.items()}

    return log_of


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.lost is None][:-2])
def test_what_cannot_be_graded_says_why(known, name):
    assert known(name)["status"].startswith(CASES[name].status)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.remark])
def test_remarks_tell_what_was_changed_or_borrowed(known, name):
    line = known(name)
    assert [*line["changes"], *line["remarks"]] == [CASES[name].remark]
    assert (line["assignment"], line["seed"], line["status"]) == (NAME, "0", "graded")


def test_a_damaged_notebook_is_read_as_far_as_it_goes(tmp_path):
    path = tmp_path / "damaged.ipynb"
    named = {"cell_type": "code", "metadata": {"nbgrader": {"grade_id": "logarithm"}}}
    cells = [{"source": None}, "no cell", named | {"source": ["x = ", "'\ud800'"]}]
    whole = {"cells": cells, "metadata": {"rotlib": []}}
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(whole).encode())
    notebook = collect.read_notebook(path)
    assert [cell.source for cell in notebook.cells] == ["", "", "x = '?'"]
    assert [course.grade_id(cell) for cell in notebook.cells] == [None, None, "logarithm"]
    assert collect.identify(notebook) == NAME  # by the cell that it shares
    old = nbformat.v3.new_worksheet(cells=[nbformat.v3.new_code_cell("y = 2")])
    path.write_text(nbformat.v3.writes_json(nbformat.v3.new_notebook(worksheets=[old])))
    assert [cell.source for cell in collect.read_notebook(path).cells] == ["y = 2"]


def test_a_roster_is_read_whatever_wrote_it(tmp_path):
    path = tmp_path / "roster.csv"
    path.write_text('Student ID\tname\n"zoe"\tZ\n\nadam\tA\nadam\tA\n', encoding="utf-8-sig")
    assert collect.read_roster(path) == ["zoe", "adam", "adam"]
    rows = [collect.Row("zoe/first"), collect.Row("zoe/second")]
    [row] = collect.absent(collect.read_roster(path), rows)
    assert (row.student, row.status) == ("adam", "nothing handed in")


def test_each_cell_has_its_own_outcome():
    """In one kernel: what fails, ends early, never ends or quotes a test; then what kills it."""
    secret = "assert tested == 'in secret'"
    codes = {
        "right": "print('x' * 1000)",
        "wrong": "raise ValueError('a\\n' + 'b' * 1000)",
        "exit": "raise SystemExit",
        "loop": "while True: pass",
        "hidden": f"""### BEGIN HIDDEN TESTS
raise Exception({secret!r})
{secret}
### END HIDDEN TESTS""",
        "empty": " ",
        "alive": "1 + 1",
        "dies": "import os; os._exit(1)",
        "later": "1 + 1",
    }
    notebook = nbformat.v4.new_notebook()
    for name, code in codes.items():
        cell = nbformat.v4.new_code_cell(code, metadata={"nbgrader": {"grade_id": name}})
        notebook.cells.append(cell)
    begun, outcome = [], {}

    def record(cell, message):
        begun.append((cell, message))
        outcome[cell] = message

    ended = sandbox.execute(notebook, record, sandbox.Limits(cell_seconds=5))
    assert ended == "the kernel died in cell dies; what was reached counts"
    assert begun[:2] == [("an added cell", "this did not end"), ("an added cell", None)]
    assert outcome["right"] is None and outcome["alive"] is None
    assert outcome["wrong"].startswith("ValueError: a b") and outcome["wrong"].endswith("b …")
    assert outcome["exit"].startswith("SystemExit")
    assert outcome["loop"] == "this took longer than 5 s and was stopped"
    assert outcome["hidden"] == "an error; its message quotes the tests and is not shown"
    assert outcome["dies"] == "the kernel died here"
    assert not outcome.keys() & {"empty", "later"}


def use_too_much(folder):
    """The names of what a limited process was refused."""
    sandbox.limit(memory_mb=MEMORY_MB)
    refused = []
    try:
        bytearray(2**30)
    except MemoryError:
        refused.append("memory")
    try:
        with (folder / "big").open("wb") as file:  # without memory, of which none may be left
            file.truncate((sandbox.FILE_MB + 1) << 20)
    except OSError as error:
        refused.append(error.strerror)
    return refused


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux")
def test_memory_and_files_are_limited(tmp_path):
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply(use_too_much, [tmp_path]) == ["memory", "File too large"]


def orphan(home):
    """The id of a process with this home, whose parent has gone."""
    code = "import subprocess; print(subprocess.Popen(['sleep', '99'], stdout=-3).pid)"
    run = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"HOME": str(home), "PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    return int(run.stdout)


def test_orphans_are_ended_and_nobody_else(tmp_path):
    """The home tells whose process it is."""
    theirs, ours = orphan(tmp_path / "home"), orphan(tmp_path.with_name("another"))
    sandbox.kill(tmp_path)
    states = {process.pid: process.info["status"] for process in psutil.process_iter(["status"])}
    assert states.get(theirs, "gone") in ("gone", psutil.STATUS_ZOMBIE)
    assert states[ours] != psutil.STATUS_ZOMBIE
    psutil.Process(ours).kill()


def test_points_add_up_and_pages_are_safe(tmp_path):
    """From rows made by hand: what a spreadsheet or a browser might run does not get there."""
    tests = course.points(source())
    failed = {"logarithm-hidden": f"ValueError: {SCRIPT}"}
    done = {"assignment": NAME, "seed": "0", "status": "graded"}
    rows = [
        collect.Row("=1+1", "a.ipynb", outcome=dict.fromkeys(tests), **done),
        collect.Row("a/b", "b", outcome=dict.fromkeys(tests) | failed, **done),
        collect.Row("a_b", "c", outcome={"exponential-visible": None}, **done),
        collect.Row("none", status="nothing handed in"),
    ]
    rows[1].answers, rows[1].changes, rows[1].remarks = {"logarithm": SCRIPT}, ["x"], ["y"]
    report.write(rows, tmp_path, 0)
    table = read_table(tmp_path)
    assert table.keys() == {"'=1+1", "a/b", "a_b", "none"}
    check_row(table["'=1+1"], Case(""))
    lost = tests["logarithm-hidden"]
    assert float(table["a/b"]["points"]) == 20 - lost
    assert float(table["a/b"]["logarithm"]) == 8 - lost and table["a/b"]["bonus"] == "5"
    assert table["a/b"]["remarks"] == "x; y"
    assert float(table["a_b"]["points"]) == tests["exponential-visible"]
    assert (table["none"]["points"], table["none"]["out_of"]) == ("0", "")
    pages = {path.stem: path.read_text("utf-8") for path in tmp_path.glob("feedback/*.html")}
    assert pages.keys() == {"1_1", "a_b", "a_b-2", "none"}
    check_pages(pages.values())
    assert pages["a_b"].count("&lt;script&gt;alert(1)") == 2  # the answer and the message
    assert f"<b>logarithm-hidden</b>, 0 of {lost:g}: failed" in pages["a_b"]
    assert "not reached" in pages["a_b-2"] and "nothing handed in" in pages["none"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{folder}/nowhere"], "nowhere"),
        (["{folder}"], "nothing in"),
        (["{folder}", "--workers=0"], "at least 1"),
        (["{folder}", "--out={folder}/inside"], "lies inside of"),
        (["{folder}", "--roster={folder}/none.csv"], "nothing in"),
    ],
)
def test_a_bad_command_line_says_so_and_writes_nothing(
    tmp_path, monkeypatch, capsys, arguments, message
):
    arguments = [argument.format(folder=tmp_path) for argument in arguments]
    monkeypatch.setattr(sys, "argv", ["grade.py", *arguments])
    assert grade.main() == 2 and message in capsys.readouterr().err
    assert (
        not list(tmp_path.iterdir()) and not tmp_path.with_name(f"{tmp_path.name}-graded").exists()
    )


def test_grading_again_keeps_the_old_table(tmp_path, monkeypatch):
    hand_in(tmp_path / "in", ["essay.pdf"])
    monkeypatch.setattr(sys, "argv", ["grade.py", str(tmp_path / "in")])
    for _ in range(2):
        assert grade.main() == 0
    assert len(list((tmp_path / "in-graded").glob("grades*.csv"))) == 2


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore")  # of its own database
def test_nbgrader_gives_the_same_points(tmp_path, monkeypatch):
    """Its own autograde, of its own release, for answers that both can run."""
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)  # alembic
    from nbgrader.apps import NbGraderAPI
    from traitlets.config import Config

    wanted = ["perfect", "wrong", "nothing_done", "syntax", "tampered"]
    (tmp_path / "source" / "ps").mkdir(parents=True)
    nbformat.write(source(), tmp_path / "source" / "ps" / f"{NAME}.ipynb")
    for student in wanted:
        folder = tmp_path / "submitted" / student / "ps"
        folder.mkdir(parents=True)
        (folder / f"{NAME}.ipynb").write_text(CASES[f"{student}.ipynb"].content, encoding="utf-8")
    config = Config()
    config.CourseDirectory.root = str(tmp_path)
    config.ExecutePreprocessor.kernel_name = "python3"
    api = NbGraderAPI(config=config)
    assert api.generate_assignment("ps")["success"]
    theirs = nbformat.read(tmp_path / "release" / "ps" / f"{NAME}.ipynb", as_version=4)
    ours = course.release(source())
    assert [cell.source for cell in ours.cells] == [cell.source for cell in theirs.cells]
    assert [cell.metadata for cell in ours.cells] == [cell.metadata for cell in theirs.cells]
    for student in wanted:
        assert api.autograde("ps", student)["success"]
    for student in wanted:
        [notebook] = api.get_student_notebook_submissions(student, "ps")
        lost = CASES[f"{student}.ipynb"].lost
        assert notebook["code_score"] == 20 - lost + (5 if lost <= 8 else 0), student


def test_library_calls_are_seen_by_name_and_by_attribute():
    notebook = course.with_answer(source(), "logarithm", "logarithm = matrix_to_rotvec")
    assert course.library_calls(notebook) == ["matrix_to_rotvec in logarithm"]
    own = "def matrix_to_rotvec(R):\n    return R\n\nlogarithm = matrix_to_rotvec"
    assert not course.library_calls(course.with_answer(source(), "logarithm", own))
    notebook.cells.append(nbformat.v4.new_code_cell("import rotlib; f = rotlib.matrix_to_rotvec"))
    assert course.library_calls(notebook)[1:] == ["matrix_to_rotvec in an added cell"]
