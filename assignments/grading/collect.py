"""What was handed in: a row for every submission, the roster, notebooks read with patience."""

import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import course
import nbformat
from nbformat import NotebookNode


@dataclass
class Row:
    """A line of the table: one submission, and what became of it."""

    student: str
    file: str = ""
    path: Path | None = None
    status: str = ""
    assignment: str = ""
    seed: str = ""
    #: About cells that are not the student's; then what only teachers need to see.
    changes: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    #: For every cell that was begun the message of its failure, or None.
    outcome: dict[str, str | None] = field(default_factory=dict)

    def earned(self, test: str, points: float) -> float:
        """Points of a test cell: all of them when it was run and did not fail, or none."""
        return points if self.outcome.get(test, "not reached") is None else 0.0


def clean(text: str) -> str:
    """Text that can be printed, and is the same whichever system wrote it."""
    text = unicodedata.normalize("NFC", text)
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


def collect(folder: Path) -> Iterator[Row]:
    """A row for every submission; two files of one student are two rows.

    Unlike nbgrader's collectors this asks nothing of file names: the file or subfolder is the
    student.
    """
    for entry in folder.iterdir():
        name = clean(entry.name)
        if name.startswith("."):
            continue
        if not entry.is_dir():
            is_notebook = entry.suffix.lower() == ".ipynb"
            status = "" if is_notebook else f"not a notebook: {clean(entry.suffix) or name}"
            yield Row(clean(entry.stem), name, entry, status)
            continue
        inside = [
            path
            for path in sorted(entry.rglob("*"))
            if path.suffix.lower() == ".ipynb"
            and path.is_file()
            and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        ]
        if not inside:
            yield Row(name, status="no notebook in the folder")
        for path in inside:
            student = f"{name}/{clean(path.stem)}" if len(inside) > 1 else name
            yield Row(student, clean(str(path.relative_to(folder))), path)


def read_roster(path: Path) -> list[str]:
    """The ids of a roster: what stands before the first comma, semicolon or tab of a line."""
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    ids = [clean(re.split("[,;\t]", line)[0].strip().strip('"')) for line in lines]
    heading = ids and ids[0].lower() in ("id", "student", "student id", "student_id", "username")
    return [name for name in ids[bool(heading) :] if name]


def absent(roster: list[str], rows: list[Row]) -> list[Row]:
    """A row for everybody on the roster who handed in nothing."""
    present = {row.student.partition("/")[0] for row in rows}
    missing = [name for name in dict.fromkeys(roster) if name not in present]
    return [Row(name, status="nothing handed in") for name in missing]


def read_notebook(path: Path) -> NotebookNode:
    """What ``course.transplant`` needs of a notebook of any version, valid or not.

    ``nbformat.read`` raises where one cell has no metadata or no list of outputs; here the other
    answers are still graded.

    Raises:
        ValueError: if it is no notebook.
    """

    def part(whole: object, name: str) -> Any:
        return whole.get(name) if isinstance(whole, dict) else None

    raw = json.loads(path.read_bytes().decode("utf-8-sig"))
    if part(raw, "worksheets"):
        raw = nbformat.convert(nbformat.from_dict(raw), 4)
    if not isinstance(part(raw, "cells"), list):
        raise ValueError("it has no list of cells")
    notebook = nbformat.v4.new_notebook()
    about = part(part(raw, "metadata"), "rotlib")
    notebook.metadata["rotlib"] = about if isinstance(about, dict) else {}
    for cell in raw["cells"]:
        source = part(cell, "source") or ""
        source = source if isinstance(source, str) else "".join(map(str, source))
        is_code = part(cell, "cell_type") == "code"
        new = nbformat.v4.new_code_cell if is_code else nbformat.v4.new_markdown_cell
        # Half of a surrogate pair may stand in JSON, and cannot be sent to a kernel.
        notebook.cells.append(new(source.encode("utf-8", "replace").decode()))
        name = part(part(part(cell, "metadata"), "nbgrader"), "grade_id")
        if isinstance(name, str):
            notebook.cells[-1].metadata["nbgrader"] = {"grade_id": name}
    return notebook


def identify(notebook: NotebookNode) -> str | None:
    """The assignment that a notebook says it is; else the one that it shares most cells with."""
    name = notebook.metadata["rotlib"].get("assignment")
    if name in course.names():
        return name
    names = {course.grade_id(cell) for cell in notebook.cells}
    shared = {}
    for name in course.names():
        source = course.read_source(name)
        shared[name] = len(names & {*course.points(source), *course.tasks(source)})
    best = max(shared, key=shared.__getitem__)
    return best if shared[best] else None
