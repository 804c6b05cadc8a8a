"""The assignments are sound in every variant and packed without a leak; the checks can fail.

Every `make test` checks one in full and all with one wrong answer; all wrong answers in two
variants are for `make test-all`.
"""

import ast
import io
import sys
import zipfile
from contextlib import redirect_stdout
from pathlib import Path
from textwrap import indent

import check
import course
import nbformat
import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
#: What a student's environment has: rotlib, and what rotlib and Python bring.
AT_HAND = {"rotlib", "torch", "numpy", "matplotlib", *sys.stdlib_module_names}


#: The one of eight that is checked in full by every `make test`: the quickest.
QUICK = "07_fair_comparison"


def test_an_assignment_is_sound_from_the_command_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["check.py", QUICK, "--seed=2026"])
    assert check.main() == 0
    assert capsys.readouterr().out.endswith(" wrong answers: sound\n")


@pytest.mark.parametrize("name", course.names())
def test_an_assignment_is_sound_but_for_most_wrong_answers(name):
    """Its form, the solution, the stub, one wrong answer, and no leak."""
    source = course.read_source(name)
    assert not check.form(name, source)
    assert not check.judge(source, course.wrong_answers(name)[-1:])
    assert not check.leaks(source, course.release(source))


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", [0, 2026])
@pytest.mark.parametrize("name", course.names())
def test_an_assignment_is_sound(name, seed):
    assert not check.problems(name, seed)


def test_nothing_is_remarked_about_what_was_handed_out():
    """What a locked cell must be, found without nbgrader, is what nbgrader hands out."""
    for name in course.names():
        source = course.read_source(name)
        assert course.transplant(source, course.release(source))[1] == []


NUMBERS = "none one two three four five six seven eight nine ten eleven twelve".split()


def test_every_place_has_every_assignment():
    """An assignment is in several places; who adds one learns here which are missing."""
    guide = (ROOT / "book" / "instructors.md").read_text(encoding="utf-8")
    many = NUMBERS[len(course.names())]
    missing = []
    for place in ("README.md", "book/preface.md", "book/instructors.md"):
        if f"{many} assignments" not in (ROOT / place).read_text(encoding="utf-8").lower():
            missing.append(f"{place} does not say that there are {many} assignments")
    if f"the {many} notebooks" not in guide:
        missing.append(f"book/instructors.md, Hand out, does not say: the {many} notebooks")
    for folder in sorted(course.FOLDER.glob("[0-9]*")):
        if missing_files := [
            name
            for name in ("assignment.ipynb", "teaching.md", "wrong")
            if not (folder / name).exists()
        ]:
            missing.append(f"{folder.name} has no {', '.join(missing_files)}")
            continue
        low, high = course.read_source(folder.name).metadata["rotlib"]["minutes"]
        begins, ends = f"| **{int(folder.name[:2])} ", f" | {low}–{high} |"
        if not any(line.startswith(begins) and line.endswith(ends) for line in guide.split("\n")):
            missing.append(f"book/instructors.md has no row {begins}…{ends}")
    assert not missing, "\n".join(
        [
            "An assignment is a folder assignments/NN_name with assignment.ipynb, teaching.md and "
            "wrong/, a row and the numbers on book/instructors.md, and the number on README.md and "
            "book/preface.md. Missing:",
            *missing,
        ]
    )


@pytest.mark.parametrize("name", course.names())
def test_an_assignment_takes_sixty_to_a_hundred_and_twenty_minutes(name):
    source = course.read_source(name)
    low, high = source.metadata["rotlib"]["minutes"]
    assert 60 <= low < high <= 120
    text = "\n".join(cell.source for cell in source.cells)
    assert f"Time: {low} to {high} minutes" in text
    note = (course.FOLDER / name / "teaching.md").read_text(encoding="utf-8")
    assert f"{low} to {high} minutes" in note and "**Rubric" in note and "**Variants" in note
    assert text.startswith(f"# {int(name[:2])}. {source.metadata['rotlib']['title']}\n")


@pytest.mark.parametrize("name", course.names())
def test_the_points_in_the_text_are_those_of_the_tests(name):
    source = course.read_source(name)
    text = "\n".join(cell.source for cell in source.cells if cell.cell_type == "markdown")
    points = course.points(source)
    for number, (task, tests) in enumerate(course.tasks(source).items(), 1):
        worth = sum(points[test] for test in tests)
        if task.startswith("bonus"):
            assert f"({worth:g} extra points)" in text
        else:
            [heading] = [line for line in text.split("\n") if line.startswith(f"## {number}. ")]
            assert heading.endswith(f"({worth:g} points)")
    assert course.total(source) == 20 and course.written_points(source) == 5
    assert "*How it is graded: " in text


@pytest.fixture
def usual_dtype():
    """Assignments set PyTorch's default; afterwards it is as it was."""
    before = torch.get_default_dtype()
    yield
    torch.set_default_dtype(before)


@pytest.mark.parametrize("name", course.names())
def test_a_variant_changes_the_numbers_and_nothing_else(name, usual_dtype):
    zero, one = (course.release(course.read_source(name, seed)) for seed in (0, 1))
    differ = [
        course.grade_id(a)
        for a, b in zip(zero.cells, one.cells, strict=True)
        if a.source != b.source
    ]
    assert differ == ["variant"]
    assert zero.metadata["rotlib"]["seed"] == 0 and one.metadata["rotlib"]["seed"] == 1
    printed = []
    for notebook in (zero, one):
        [cell] = [cell for cell in notebook.cells if course.grade_id(cell) == "variant"]
        with redirect_stdout(io.StringIO()) as output:
            exec(cell.source, {"__name__": "__main__"})
        printed.append(output.getvalue())
    assert printed[0] != printed[1] and printed[0]


@pytest.mark.parametrize("name", course.names())
def test_students_need_only_what_rotlib_needs(name):
    for cell in course.read_source(name).cells:
        if cell.cell_type != "code":
            continue
        for node in ast.walk(ast.parse(cell.source)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert {each.split(".")[0] for each in names} <= AT_HAND


def test_the_zip_holds_the_release_and_the_library(tmp_path, monkeypatch):
    monkeypatch.setattr(check, "BUILD", tmp_path)
    archive = check.pack(5)
    with zipfile.ZipFile(archive) as bundle:
        files = {name.removeprefix("assignments/"): bundle.read(name) for name in bundle.namelist()}
    notebooks = {name: data.decode() for name, data in files.items() if name.endswith(".ipynb")}
    assert set(notebooks) == {f"{name}.ipynb" for name in course.names()}
    [wheel] = set(files) - set(notebooks) - {"README.txt"}
    assert wheel.startswith("rotlib-") and wheel in files["README.txt"].decode()
    for text in notebooks.values():
        notebook = nbformat.reads(text, as_version=4)
        nbformat.validate(notebook)
        assert "SEED = 5" in text and "BEGIN" not in text and "raise NotImplementedError" in text


def between(kind, text):
    return f"### BEGIN {kind}\n{text}\n### END {kind}"


SECRET = "return 2 * x + 0 * len('a secret')"
SMALL = {
    "variant": "SEED = 0",
    "double": "def double(x):\n" + indent(between("SOLUTION", SECRET), "    "),
    "double-visible": "assert double(1) == 2, 'twice one is two'",
    "double-hidden": between("HIDDEN TESTS", "assert double(-3.5) == -7.0, 'twice'"),
    "bonus_half": between("SOLUTION", "def half(x): return x / 2"),
    "bonus_half-hidden": between("HIDDEN TESTS", "assert half(3) == 1.5, 'half'"),
    "words": "A word that is for those who grade",
}
WRONG = {
    "double__same": ("double-visible, double-hidden", "twice one", "def double(x): return x"),
    "double__two": ("double-hidden", "twice", "def double(x): return 2"),
    "double__absolute": ("double-hidden", "twice", "def double(x): return 2 * abs(x)"),
    "double__integer": ("double-hidden", "twice", "def double(x): return 2 * int(x)"),
    **{
        f"bonus_half__{value}": ("bonus_half-hidden", "half", f"def half(x): return {value}")
        for value in range(4)
    },
}


def small_assignment(folder, cells=SMALL, wrong=WRONG, about=()):
    """A small sound assignment, or one that is broken in one way."""
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["rotlib"] = {
        "assignment": "00_small",
        "title": "Small",
        "minutes": [1, 2],
        "chapters": [1],
        "by_hand": {"double": ["mul"]},
    } | dict(about)
    for name, text in cells.items():
        new = nbformat.v4.new_markdown_cell if name == "words" else nbformat.v4.new_code_cell
        notebook.cells.append(new(text))
        test = "-" in name
        notebook.cells[-1].metadata["nbgrader"] = {
            "cell_type": notebook.cells[-1].cell_type,
            "grade_id": name,
            "grade": test or name == "words",
            "locked": test or name == "variant",
            "points": 1.0,
            "schema_version": 3,
            "solution": not test and name != "variant",
            "task": False,
        }
        if not notebook.cells[-1].metadata["nbgrader"]["grade"]:
            del notebook.cells[-1].metadata["nbgrader"]["points"]
    (folder / "00_small" / "wrong").mkdir(parents=True)
    nbformat.write(notebook, folder / "00_small" / "assignment.ipynb")
    (folder / "00_small" / "teaching.md").write_text("# A note\n")
    for stem, (loses, says, code) in wrong.items():
        text = f'"""Wrong.\n\nloses: {loses}\nsays: {says}\n"""\n\n{code}\n'
        (folder / "00_small" / "wrong" / f"{stem}.py").write_text(text)


def changed(name, old, new):
    assert old in SMALL[name]
    return {"cells": SMALL | {name: SMALL[name].replace(old, new)}}


def added(loses, says, code):
    return {"wrong": WRONG | {"double__added": (loses, says, code)}}


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        ({}, None),
        (changed("double", "2 * x", "3 * x"), "the solution fails double-visible"),
        (changed("double-visible", "double(1) == 2", "2 == 2"), "the stub passes double-visible"),
        (changed("double-hidden", "double(-3.5) == -7.0", "True"), "the stub passes double-hidden"),
        (changed("double-visible", ", 'twice one is two'", ""), "an assert without a message"),
        (changed("double-hidden", "HIDDEN TESTS", "THEM"), "task double has no hidden test"),
        (changed("double-visible", "assert", "%time\nassert"), "a magic is not Python"),
        ({"about": {"hint": SECRET}}, "leaked"),
        ({"about": {"assignment": "another"}}, "its metadata call it another"),
        ({"cells": {k: v for k, v in SMALL.items() if k != "words"}}, "no question is graded by"),
        ({"cells": {k: v for k, v in SMALL.items() if "half" not in k}, "wrong": {}}, "optional"),
        ({"wrong": {k: v for k, v in WRONG.items() if k != "double__two"}}, "3 wrong answers"),
        (added("double-hidden", "twice", "double = lambda x: 2 * x"), "loses nothing"),
        (added("double-hidden", "no such", "def double(x): return 2"), "no message says"),
        (added("triple-hidden", "twice", "double = 1"), "triple-hidden, which does not exist"),
        (added("double-hidden", "twice", "double = 1"), "loses double-visible, double-hidden"),
    ],
)
def test_the_checks_can_fail(tmp_path, monkeypatch, broken, problem):
    small_assignment(tmp_path, **broken)
    monkeypatch.setattr(course, "FOLDER", tmp_path)
    found = check.problems("00_small", 0)
    assert not found if problem is None else any(problem in line for line in found), found


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: (path / "wrong" / "double__x.py").write_text('"""Wrong."""\n'), "loses:"),
        (lambda path: (path / "assignment.ipynb").unlink(), "unknown assignment '00_small'"),
    ],
)
def test_a_damaged_folder_says_so(tmp_path, monkeypatch, damage, message):
    small_assignment(tmp_path)
    monkeypatch.setattr(course, "FOLDER", tmp_path)
    damage(tmp_path / "00_small")
    with pytest.raises(ValueError, match=message):
        check.problems("00_small", 0)


def test_a_source_without_its_variant_says_so(tmp_path, monkeypatch):
    small_assignment(tmp_path, cells=SMALL | {"variant": "pass"})
    monkeypatch.setattr(course, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match="one line SEED = 0"):
        course.read_source("00_small")
