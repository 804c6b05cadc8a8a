"""Grading: every hostile submission gets a clear row, and nobody else is affected by it.

One folder with all of them is graded once; the tests read the table and the pages. The last test
has nbgrader grade the same answers, and compares.
"""

import csv
import os
import subprocess
import sys
from pathlib import Path

import course
import nbformat
import psutil
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
GRADE = [sys.executable, str(ROOT / "assignments" / "grade.py")]
NAME = "01_exponential_map"
CELL_SECONDS, SECONDS, MEMORY_MB = 10, 45, 512
SCRIPT = "<script>alert(1)</script>"
LINGERING = "271828"  # a number that the command line of no other process has


def source():
    return course.read_source(NAME)


def solutions():
    """The model answer to every task, without its markers."""
    return {
        course.grade_id(cell): "\n".join(
            line for line in cell.source.split("\n") if not line.strip().startswith("###")
        )
        for cell in source().cells
        if course.is_solution(cell)
    }


def handed_in(without=(), seed=0, cells=None, **answers):
    """What a perfect student hands in, but for these cells."""
    notebook = course.release(course.read_source(NAME, seed))
    answers = solutions() | answers
    for cell in notebook.cells:
        if course.is_solution(cell):
            cell.source = answers[course.grade_id(cell)]
        elif course.grade_id(cell) in (cells or {}):
            cell.source = cells[course.grade_id(cell)]
    notebook.cells = [cell for cell in notebook.cells if course.grade_id(cell) not in without]
    return nbformat.writes(notebook)


def with_added_cell(code, after):
    notebook = nbformat.reads(handed_in(), as_version=4)
    at = [course.grade_id(cell) for cell in notebook.cells].index(after)
    notebook.cells.insert(at + 1, nbformat.v4.new_code_cell(code))
    return nbformat.writes(notebook)


def wrong(stem):
    [answer] = [each for each in course.wrong_answers(NAME) if each.path.stem == stem]
    return answer


def body(line):
    return f"def logarithm(R):\n    {line}\n"


SUBMISSIONS = {
    "perfect.ipynb": handed_in(),
    "Zoë Ångström (2).IPYNB": handed_in(),
    "=HYPERLINK(1).ipynb": handed_in(),
    f"{SCRIPT.replace('/', '')}.ipynb": handed_in(logarithm=f'raise ValueError("{SCRIPT}")'),
    "nothing_done.ipynb": nbformat.writes(course.release(source())),
    "wrong.ipynb": handed_in(logarithm=wrong("logarithm__transposed").code),
    "loop.ipynb": handed_in(logarithm=body("while True: pass")),
    "stubborn_loop.ipynb": handed_in(
        logarithm="import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass"
    ),
    "crash.ipynb": handed_in(logarithm="import os\nos._exit(3)"),
    "segfault.ipynb": handed_in(logarithm="import ctypes\nctypes.string_at(0)"),
    "exit.ipynb": handed_in(logarithm="import sys\nsys.exit()"),
    "no_solution_cell.ipynb": handed_in(without=["logarithm"]),
    "no_test_cell.ipynb": handed_in(without=["logarithm-hidden"]),
    "no_variant_cell.ipynb": handed_in(without=["variant"]),
    "tampered.ipynb": handed_in(
        logarithm=body("return R"), cells={"logarithm-visible": "print('passed')"}
    ),
    "syntax.ipynb": handed_in(logarithm="def logarithm(R:\n"),
    "one_gigabyte.ipynb": handed_in(logarithm=body("kept = bytearray(2**30); return R")),
    "big_tensor.ipynb": handed_in(logarithm=body("return torch.zeros(2**28)")),
    "big_file.ipynb": handed_in(
        logarithm="with open('big', 'wb') as f:\n    for _ in range(100): f.write(bytes(2**20))"
    ),
    "printing.ipynb": handed_in(logarithm="while True: print('x' * 10_000)"),
    "lingering.ipynb": handed_in(
        logarithm="import subprocess\n"
        f"subprocess.Popen(['sleep', '{LINGERING}'], start_new_session=True)\n"
        + solutions()["logarithm"]
    ),
    "borrowed.ipynb": handed_in(
        logarithm="import rotlib\ndef logarithm(R):\n    return rotlib.matrix_to_rotvec(R)"
    ),
    "helper_cell.ipynb": with_added_cell("HALF = 0.5", after="variant"),
    "other_variant.ipynb": handed_in(seed=3),
    "unreadable.ipynb": '{"cells": [',
    "binary.ipynb": bytes(range(256)),
    "empty.ipynb": "",
    "a_list.ipynb": "[1, 2]",
    "somebody_elses.ipynb": nbformat.writes(
        nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1")])
    ),
    "essay.pdf": "%PDF-1.4",
    "subfolder/work.ipynb": handed_in(),
    "empty_subfolder/notes.txt": "I could not do it",
}


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """The rows of the table by student, and the folder with table and feedback."""
    folder = tmp_path_factory.mktemp("grading") / "handed in"
    for name, content in SUBMISSIONS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    roster = folder.parent / "roster.csv"
    roster.write_text("id;name\nperfect;P\nabsentee;A\n", encoding="utf-8")
    command = [*GRADE, str(folder), f"--roster={roster}", f"--cell-seconds={CELL_SECONDS}"]
    command += [f"--seconds={SECONDS}", f"--memory-mb={MEMORY_MB}", "--workers=2"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    out = folder.with_name("handed in-graded")
    with (out / "grades.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    return rows, out


def test_there_is_a_row_for_everybody(graded):
    students = {Path(name).stem if "/" not in name else name.split("/")[0] for name in SUBMISSIONS}
    students = {f"'{name}" if name.startswith("=") else name for name in students}
    assert graded[0].keys() == students | {"absentee"}
    assert len(list((graded[1] / "feedback").glob("*.html"))) == len(students) + 1


FULL = {"exponential": "8", "logarithm": "8", "integrate": "4", "bonus_jacobian": "5"}


@pytest.mark.parametrize(
    "student",
    [
        *("perfect", "Zoë Ångström (2)", "'=HYPERLINK(1)", "subfolder", "lingering"),
        *("borrowed", "helper_cell", "no_test_cell", "no_variant_cell"),
    ],
)
def test_a_right_answer_has_all_points(graded, student):
    row = graded[0][student]
    assert {task: row[task] for task in FULL} == FULL
    assert (row["points"], row["out_of"], row["bonus"]) == ("20", "20", "5")
    assert (row["written"], row["written_out_of"]) == ("", "5")
    assert (row["status"], row["assignment"], row["seed"]) == ("graded", NAME, "0")


@pytest.mark.parametrize(
    ("student", "lost", "status"),
    [
        ("wrong", 8, "graded"),
        ("tampered", 8, "graded"),
        ("syntax", 8, "graded"),
        ("loop", 8, "graded"),
        ("printing", 8, "graded"),
        ("exit", 8, "graded"),
        ("one_gigabyte", 8, "graded"),
        ("big_tensor", 8, "graded"),
        ("big_file", 8, "graded"),
        ("no_solution_cell", 8, "graded"),
        (SCRIPT.replace("/", ""), 8, "graded"),
        ("nothing_done", 20, "graded"),
        ("crash", 12, "the kernel died in cell logarithm; what was reached counts"),
        ("segfault", 12, "the kernel died in cell logarithm; what was reached counts"),
        ("stubborn_loop", 12, f"stopped after {SECONDS} s; what was reached counts"),
    ],
)
def test_a_fault_costs_its_own_points_only(graded, student, lost, status):
    row = graded[0][student]
    assert row["points"] == f"{20 - lost}", row
    assert row["bonus"] == ("5" if lost == 8 else "0")
    assert row["status"] == status


@pytest.mark.parametrize(
    ("student", "status"),
    [
        ("unreadable", "cannot be read"),
        ("binary", "cannot be read"),
        ("empty", "cannot be read"),
        ("a_list", "cannot be read"),
        ("somebody_elses", "none of the assignments"),
        ("essay", "not a notebook: .pdf"),
        ("empty_subfolder", "no notebook in the folder"),
        ("other_variant", "made for seed 3, graded for seed 0: not run"),
        ("absentee", "nothing handed in"),
    ],
)
def test_what_cannot_be_graded_says_why(graded, student, status):
    row = graded[0][student]
    assert row["status"].startswith(status)
    assert row["points"] == "0"
    pages = (graded[1] / "feedback").glob(f"{student}.html")
    assert any(status.split(":")[0] in page.read_text(encoding="utf-8") for page in pages)


@pytest.mark.parametrize(
    ("student", "remark"),
    [
        ("tampered", "locked cell logarithm-visible was changed; the original was used"),
        ("no_solution_cell", "cell logarithm was deleted"),
        ("no_test_cell", "cell logarithm-hidden was deleted"),
        ("no_variant_cell", "cell variant was deleted"),
        ("borrowed", "uses matrix_to_rotvec in logarithm"),
        ("perfect", ""),
    ],
)
def test_remarks_tell_what_was_changed_or_borrowed(graded, student, remark):
    assert graded[0][student]["remarks"] == remark


@pytest.mark.parametrize(
    ("student", "text"),
    [
        ("loop", f"this took longer than {CELL_SECONDS} s and was stopped"),
        ("printing", f"this took longer than {CELL_SECONDS} s and was stopped"),
        ("one_gigabyte", f"more than the {MEMORY_MB} MB of memory"),
        ("big_tensor", f"more than the {MEMORY_MB} MB of memory"),
        ("big_file", "File too large"),
        ("syntax", "SyntaxError"),
        ("crash", "the kernel died here"),
        ("stubborn_loop", "this did not end"),
        ("wrong", wrong("logarithm__transposed").says),
        ("nothing_done", "NotImplementedError"),
    ],
)
def test_feedback_says_what_happened(graded, student, text):
    page = (graded[1] / "feedback" / f"{student}.html").read_text(encoding="utf-8")
    assert text in page


def test_feedback_holds_no_hidden_test_and_runs_no_script(graded):
    hidden = [
        line.strip()
        for cell in source().cells
        for kind, text in course.SECRET.findall(cell.source)
        for line in text.split("\n")
        if kind == "HIDDEN TESTS" and len(line.strip()) >= 12
    ]
    assert len(hidden) > 20
    for page in (graded[1] / "feedback").glob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert "<script" not in text and "default-src 'none'" in text
        assert not any(line in text for line in hidden)
    assert any(
        "&lt;script&gt;alert(1)" in page.read_text(encoding="utf-8")
        for page in (graded[1] / "feedback").glob("*.html")
    )


def test_nothing_is_left_running(graded):
    assert not any(
        LINGERING in " ".join(p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"])
    )


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
def test_a_bad_command_line_says_so_and_writes_nothing(tmp_path, arguments, message):
    arguments = [argument.format(folder=tmp_path) for argument in arguments]
    run = subprocess.run([*GRADE, *arguments], capture_output=True, text=True)
    assert run.returncode == 2 and message in run.stderr and "Traceback" not in run.stderr
    assert (
        not list(tmp_path.iterdir()) and not tmp_path.with_name(f"{tmp_path.name}-graded").exists()
    )


def test_grading_again_keeps_the_old_table(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "essay.pdf").write_text("x")
    for _ in range(2):
        subprocess.run([*GRADE, str(folder)], check=True, capture_output=True)
    assert len(list((tmp_path / "in-graded").glob("grades*.csv"))) == 2


@pytest.mark.filterwarnings("ignore")  # of its own database
def test_nbgrader_gives_the_same_points(tmp_path, graded, monkeypatch):
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
        (folder / f"{NAME}.ipynb").write_text(SUBMISSIONS[f"{student}.ipynb"], encoding="utf-8")
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
        row = graded[0][student]
        assert notebook["code_score"] == float(row["points"]) + float(row["bonus"]), student


def test_library_calls_are_seen_by_name_and_by_attribute():
    notebook = course.with_answer(source(), "logarithm", "logarithm = matrix_to_rotvec")
    assert course.library_calls(notebook) == ["matrix_to_rotvec in logarithm"]
    own = "def matrix_to_rotvec(R):\n    return R\n\nlogarithm = matrix_to_rotvec"
    assert not course.library_calls(course.with_answer(source(), "logarithm", own))
