"""Every chapter has the skeleton that readers learn to rely on, and stores clean outputs.

Each check takes a notebook and asserts. ``BREAKAGES`` breaks a sound notebook in one way for each
rule and expects its check to notice: a check that cannot fail checks nothing.
"""

import copy
import json
import re
from functools import cache
from statistics import median

import nbformat
import pytest
from built_book import CHAPTERS as IN_CONTENTS
from built_book import ROOT

CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
BOOK = ROOT / "book"
SECTIONS = [
    "Guess first",
    "Break it",
    "The same in `rotlib`",
    "Recap",
    "Exercises",
    "Further reading",
]
MACHINE_PATH = re.compile(r"(?<![\w.:/])/(root|home|tmp|work|Users|opt|usr|var)/|[A-Z]:\\\\")
IMAGE = re.compile(r"<img\b[^>]*>")
TITLE = re.compile(r"^# (\d+)\. ")
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: What fits on a page 1,280 pixels wide; a solution stands in a box of its own.
COLUMNS, COLUMNS_OF_A_SOLUTION, LINES = 72, 66, 10
BEING_REWRITTEN = range(14, 19)


def prose(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def sources(notebook):
    return "\n".join(cell.source for cell in code(notebook))


def outputs(notebook):
    return [output for cell in code(notebook) for output in cell.outputs]


def has_picture(cell):
    stored = any("<img" in o.get("data", {}).get("text/html", "") for o in cell.get("outputs", []))
    return stored or "![" in cell.source or ":::{figure}" in cell.source


def check_format(notebook):
    nbformat.validate(notebook)


def check_length(notebook):
    seen = [c for c in notebook.cells if "remove-cell" not in c.metadata.get("tags", [])]
    assert 12 <= len(seen) <= 45, f"{len(seen)} cells"
    words = len(PYTHON.sub("", "\n".join(prose(notebook))).split())
    assert words <= 2600, f"{words} words of prose"


def check_size(notebook):
    size = len(nbformat.writes(notebook).encode())
    assert size < 1_000_000, f"{size} bytes"


def check_opening(notebook):
    first = notebook.cells[0].source
    assert re.match(r"# \d+\. \S", first), "the title is not `# N. Title`"
    assert "**The question.**" in first, "the first cell lacks `**The question.** ...`"
    opening = notebook.cells[:4]
    text = "\n".join(cell.source for cell in opening)
    for words in ("You will be able to", "You need", "minutes"):
        assert words in text, f"the opening lacks {words!r}"
    assert any(has_picture(cell) for cell in opening), "the opening lacks a picture"


def check_sections(notebook):
    found = re.findall(r"^## (.+?)\s*$", "\n".join(prose(notebook)), re.MULTILINE)
    shown = [title for title in found if title in SECTIONS]
    assert shown == SECTIONS, f"the sections {SECTIONS} in this order, not {found}"


def check_comparisons(notebook):
    assert sources(notebook).count("compare(") >= 3, "fewer than 3 lines of `compare(...)`"
    assert "explore(" in sources(notebook), "no figure that the reader moves, `explore(...)`"


def check_tables(notebook):
    """A head, a rule, rows of as many cells: no row torn off, no bar of a formula in between."""
    for block in re.split(r"\n(?=[^|]|\n|$)", "\n".join(prose(notebook))):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        if rows:
            assert re.match(r"\|[-:| ]+\|$", rows[1] if rows[1:] else ""), rows[0]
            assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1, rows[0]


def check_equations(notebook):
    """JupyterLab's MyST numbers what stands between dollars, beside the number that we give."""
    for text in prose(notebook):
        assert "$$" not in text, text[:60]
        for equation in re.findall(r"\\begin\{equation\*?\}", text):
            assert equation == r"\begin{equation*}", "its number is that of its tag"


def check_exercises(notebook):
    text = "\n".join(prose(notebook))
    pattern = r"^(:{3,})\{exercise\} *(.*)\n(?::class:.*\n)?:label: *(\S+)"
    exercises = re.findall(pattern, text, re.MULTILINE)
    assert len(exercises) >= 3, f"{len(exercises)} exercises with a label"
    titles = [title for _, title, _ in exercises]
    for kind in ("Pencil", "Code", "Explore"):
        assert any(kind in title for title in titles), f"no {kind} exercise in {titles}"
    assert all("★" in title for title in titles), f"an exercise without stars in {titles}"
    for _, _, label in exercises:
        solution = rf"^:{{3,}}\{{solution\}} *{re.escape(label)}\n(?::label:.*\n)?:class: *dropdown"
        assert re.search(solution, text, re.MULTILINE), f"no folded solution of {label}"


def check_executed_in_order(notebook):
    counts = [cell.execution_count for cell in code(notebook)]
    in_order = list(range(1, len(counts) + 1))
    assert counts == in_order, f"run it by `make notebooks`: cells were run as {counts}"


def check_no_error(notebook):
    for output in outputs(notebook):
        assert output.output_type != "error", output.ename
        assert output.get("name") != "stderr", output.text


def check_no_machine_path(notebook):
    for cell in notebook.cells:
        found = MACHINE_PATH.search(nbformat.writes(nbformat.v4.new_notebook(cells=[cell])))
        assert not found, f"{found.group()} in {cell.source[:60]!r}"


def check_no_widget_state(notebook):
    assert "widgets" not in notebook.metadata, "widget state: run it by `make notebooks`"
    for output in outputs(notebook):
        assert not any("widget-view" in key for key in output.get("data", {}))


def check_short_cells(notebook):
    lengths = [
        sum(bool(line.strip()) and not line.strip().startswith("#") for line in lines)
        for lines in (cell.source.splitlines() for cell in code(notebook))
    ]
    assert median(lengths) <= 6, sorted(lengths)


def check_what_a_reader_sees_of_the_code(notebook):
    """Code fits the page, and shows no check of ours: those go into a cell with remove-cell."""
    if int(TITLE.search(prose(notebook)[0])[1]) in BEING_REWRITTEN:
        return
    for cell in code(notebook):
        if {"hide-input", "remove-input", "remove-cell"} & {*cell.metadata.get("tags", [])}:
            continue
        lines = cell.source.splitlines()
        assert len(lines) <= LINES, f"{len(lines)} lines: {lines[0]}"
        for line in lines:
            assert len(line) <= COLUMNS, line
            assert not line.lstrip().startswith(("assert ", "_ = ")), line
            assert ";" not in re.sub(r'"[^"]*"', "", line), line
    for block in PYTHON.findall("\n".join(prose(notebook))):
        for line in block.splitlines():
            assert len(line) <= COLUMNS_OF_A_SOLUTION, line


def check_alt_texts(notebook):
    for output in outputs(notebook):
        data = output.get("data", {})
        assert not any(key.startswith("image/") for key in data), "a figure outside show, explore"
        for image in IMAGE.findall(data.get("text/html", "")):
            assert re.search(r'\balt="[^"]', image), image[:80]
    for text in prose(notebook):
        assert "![](" not in text, "a picture without alt text"


def check_no_bare_value(notebook):
    """Nothing is shown but what is printed, rounded, or drawn: a bare value differs by machine."""
    for output in outputs(notebook):
        assert output.output_type != "execute_result", output.data.get("text/plain")
        assert "tensor(" not in output.get("text", ""), output.text[:80]


CHECKS = [value for name, value in list(globals().items()) if name.startswith("check_")]


@cache
def read(path):
    return nbformat.read(path, as_version=4)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapter(path, subtests):
    for check in CHECKS:
        with subtests.test(check=check.__name__):
            check(read(path))


def sound_notebook():
    """The shortest notebook that passes every check."""
    markdown, cell = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell
    exercises = "\n\n".join(
        f":::{{exercise}} {kind} ★\n:label: ex-{kind}\nDo.\n:::\n\n"
        f":::{{solution}} ex-{kind}\n:class: dropdown\nDone.\n:::"
        for kind in ("Pencil", "Code", "Explore")
    )
    picture = {"text/html": '<img alt="A line" src="data:image/webp;base64,AA">'}
    cells = [
        markdown("# 3. Title\n\n**The question.** Why?"),
        markdown("You will be able to see. You need nothing. 20 minutes."),
        markdown("| a | b |\n|---|---|\n| 1 | 2 |"),
        cell("show()", outputs=[nbformat.v4.new_output("display_data", picture)]),
        *[cell("compare()", outputs=[nbformat.v4.new_output("stream", text="ok")])] * 3,
        cell("explore()"),
        *[markdown(f"## {title}") for title in SECTIONS[:4]],
        markdown(f"## Exercises\n\n{exercises}"),
        markdown("## Further reading"),
    ]
    cells = [copy.deepcopy(cell) for cell in cells]
    for number, one in enumerate(cells):
        one.id = f"cell-{number:02d}"
    notebook = nbformat.v4.new_notebook(cells=cells)
    for count, one in enumerate(code(notebook), start=1):
        one.execution_count = count
    return notebook


def replace(old, new):
    def edit(notebook):
        hit = False
        for cell in notebook.cells:
            hit |= old in cell.source
            cell.source = cell.source.replace(old, new)
        assert hit, f"the sound notebook has no {old!r}"

    return edit


def output(kind, **fields):
    def edit(notebook):
        code(notebook)[-1].outputs = [nbformat.v4.new_output(kind, **fields)]

    return edit


def change(function):
    return lambda notebook: function(notebook, code(notebook)[0])


BREAKAGES = [
    (check_format, change(lambda notebook, cell: cell.pop("source"))),
    (check_length, change(lambda notebook, cell: notebook.cells.__delitem__(slice(4)))),
    (check_length, change(lambda notebook, cell: notebook.cells.extend(notebook.cells * 3))),
    (check_length, replace("Why?", "why " * 2600)),
    (check_size, replace("Why?", "?" * 1_000_000)),
    (check_opening, replace("# 3. Title", "# Title")),
    (check_opening, replace("**The question.**", "")),
    (check_opening, replace("You will be able to", "")),
    (check_opening, replace("You need", "")),
    (check_opening, replace("minutes", "")),
    (check_opening, change(lambda notebook, cell: cell.outputs.clear())),
    (check_sections, replace("## Guess first", "## Guess")),
    (check_sections, replace("## Guess first", "## Recap")),
    (check_comparisons, replace("compare(", "print(")),
    (check_comparisons, replace("explore(", "print(")),
    (check_tables, replace("| 1 | 2 |", "| $E[R|x]$ | 2 |")),
    (check_tables, replace("20 minutes.", "20 minutes.\n\n| a | b |\n|---|---|\n\n| 1 | 2 |")),
    (check_equations, replace("Why?", "Why?\n\n$$1 + 1 = 2$$")),
    (check_equations, replace("Why?", "Why?\n\n\\begin{equation}x\\end{equation}")),
    (check_exercises, replace("Pencil", "Paper")),
    (check_exercises, replace("★", "")),
    (check_exercises, replace(":label: ex-Code\n", "")),
    (check_exercises, replace(":class: dropdown\n", "")),
    (check_exercises, replace("{solution} ex-Code", "{solution} ex-Coda")),
    (check_executed_in_order, change(lambda notebook, cell: cell.update(execution_count=7))),
    (check_executed_in_order, change(lambda notebook, cell: cell.update(execution_count=None))),
    (check_no_error, output("error", ename="ValueError", evalue="", traceback=[])),
    (check_no_error, output("stream", name="stderr", text="warning")),
    (check_no_machine_path, output("stream", text="File /" + "home/ada/rotlib.py")),
    (check_no_machine_path, replace("Why?", "see /" + "tmp/book")),
    (check_no_widget_state, change(lambda notebook, cell: notebook.metadata.update(widgets={}))),
    (
        check_no_widget_state,
        output("display_data", data={"application/vnd.jupyter.widget-view+json": {}}),
    ),
    (check_short_cells, replace("compare()", "compare()\n" * 7)),
    (check_what_a_reader_sees_of_the_code, replace("compare()", "compare('" + "a" * 62 + "')")),
    (check_what_a_reader_sees_of_the_code, replace("compare()", "compare()\n" * 11)),
    (check_what_a_reader_sees_of_the_code, replace("compare()", "assert compare()")),
    (check_what_a_reader_sees_of_the_code, replace("compare()", "_ = compare()")),
    (check_what_a_reader_sees_of_the_code, replace("compare()", "compare(); show()")),
    (
        check_what_a_reader_sees_of_the_code,
        replace("Why?", "Why?\n\n```python\n" + "a" * 67 + "\n```\n"),
    ),
    (check_alt_texts, output("display_data", data={"image/png": "AA"})),
    (check_alt_texts, output("display_data", data={"text/html": '<img src="x">'})),
    (check_alt_texts, output("display_data", data={"text/html": '<img alt="" src="x">'})),
    (check_alt_texts, replace("Why?", "![](picture.png)")),
    (check_no_bare_value, output("stream", text="tensor([1.])")),
    (check_no_bare_value, output("execute_result", data={"text/plain": "6.1e-10"})),
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_sound_notebook_passes(check):
    check(sound_notebook())


@pytest.mark.parametrize(("check", "damage"), BREAKAGES)
def test_every_check_can_fail(check, damage):
    notebook = sound_notebook()
    damage(notebook)
    with pytest.raises((AssertionError, nbformat.ValidationError)):
        check(notebook)


def test_no_check_is_left_untried():
    assert {check for check, _ in BREAKAGES} == set(CHECKS)


# What a new chapter needs beside its notebook. Its code exercise: tests/test_exercises.py.
NUMBERS = [int(path.stem[:2]) for path in CHAPTERS]


def test_chapters_count_up_from_one():
    assert NUMBERS == [*range(1, len(CHAPTERS) + 1)], "name a notebook chapters/NN_name.ipynb"
    titles = [read(path).cells[0].source.split(".")[0] for path in CHAPTERS]
    assert titles == [f"# {n}" for n in NUMBERS], "begin each with `# N. Title`, N as in its name"


def test_every_chapter_is_in_the_table_of_contents():
    names = [f"chapters/{path.stem}" for path in CHAPTERS]
    assert names == IN_CONTENTS, "name each in _toc.yml, in order: `- file: chapters/NN_name`"


def test_every_chapter_has_a_board_plan():
    text = (BOOK / "instructors.md").read_text(encoding="utf-8")
    plans = re.findall(r"^\*\*(\d+)\. .*?\*Aim:", text, re.MULTILINE)
    assert plans == [*map(str, NUMBERS)], "book/instructors.md needs `**N. Title.** *Aim:* ...`"


def test_every_chapter_says_what_it_takes_and_fits_into_binder():
    status = json.loads((BOOK / "execution.json").read_text())
    assert list(status) == [path.stem for path in CHAPTERS], "`make notebooks` runs and times them"
    for name, run in status.items():
        assert 0 < run["seconds"] < 120, name
        assert run["megabytes"] is None or 100 < run["megabytes"] < 2000, name
