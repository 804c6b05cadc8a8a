"""The assignments: where they are, their variants, and the notebooks that are made from them.

An assignment is a folder: ``assignment.ipynb`` in nbgrader's format (solutions between
``### BEGIN SOLUTION`` and ``### END SOLUTION``, hidden tests likewise), ``wrong/*.py`` with
answers that must lose points, and ``teaching.md``.

A task named ``log`` is a solution cell ``log`` and one or more locked test cells ``log-...`` with
points. Tasks whose name begins with ``bonus`` count apart. A Markdown solution cell is graded by
a person.
"""

import ast
import copy
import re
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode

FOLDER = Path(__file__).resolve().parent
#: What stands between two markers is for instructors.
SECRET = re.compile(r"### BEGIN (SOLUTION|HIDDEN TESTS)\n(.*?)### END \1", re.DOTALL)
_SEED = re.compile(r"^SEED = \d+", re.MULTILINE)


class WrongAnswer(NamedTuple):
    """An answer that must lose the points of exactly these test cells, with this in a message."""

    path: Path
    task: str
    code: str
    loses: tuple[str, ...]
    says: str


def names() -> list[str]:
    """Every assignment's name, in order."""
    return sorted(path.parent.name for path in FOLDER.glob("*/assignment.ipynb"))


def read_source(name: str, seed: int = 0) -> NotebookNode:
    """The source of an assignment, in the variant of that seed.

    Raises:
        ValueError: for an unknown name, or a source without its line ``SEED = 0``.
    """
    path = FOLDER / name / "assignment.ipynb"
    if not path.is_file():
        raise ValueError(f"unknown assignment {name!r}; there are {', '.join(names())}")
    notebook = nbformat.read(path, as_version=4)
    variant = [cell for cell in notebook.cells if grade_id(cell) == "variant"]
    if len(variant) != 1 or len(_SEED.findall(variant[0].source)) != 1:
        raise ValueError(f"{name}: one cell named variant must hold one line SEED = 0")
    variant[0].source = _SEED.sub(f"SEED = {seed}", variant[0].source)
    notebook.metadata["rotlib"]["seed"] = seed
    return notebook


# nbgrader has such functions too. Importing them takes a second, which each student's process
# would wait for.


def grade_id(cell: NotebookNode) -> str | None:
    """nbgrader's name of a cell, if it has one."""
    return cell.metadata.get("nbgrader", {}).get("grade_id")


def is_solution(cell: NotebookNode) -> bool:
    """Whether students write into this cell."""
    return bool(cell.metadata.get("nbgrader", {}).get("solution"))


def is_test(cell: NotebookNode) -> bool:
    """Whether running this cell decides about points."""
    return bool(cell.metadata.get("nbgrader", {}).get("grade")) and cell.cell_type == "code"


def points(notebook: NotebookNode) -> dict[str, float]:
    """Points of every test cell, in order."""
    return {
        grade_id(cell): float(cell.metadata.nbgrader["points"])
        for cell in notebook.cells
        if is_test(cell)
    }


def total(notebook: NotebookNode, bonus: bool = False) -> float:
    """Points of all tests together: of the tasks that count, or of the optional ones."""
    every = points(notebook).items()
    return sum(value for test, value in every if test.startswith("bonus") == bonus)


def written(notebook: NotebookNode) -> dict[str, float]:
    """Points of every answer that a person reads."""
    graded = (cell.metadata.get("nbgrader", {}) for cell in notebook.cells if not is_test(cell))
    return {meta["grade_id"]: float(meta["points"]) for meta in graded if meta.get("grade")}


def written_points(notebook: NotebookNode) -> float:
    """Points that a person gives."""
    return sum(written(notebook).values())


def task_of(test: str) -> str:
    """The task that a test cell belongs to: ``log-hidden`` to ``log``."""
    return test.rpartition("-")[0]


def tasks(notebook: NotebookNode) -> dict[str, list[str]]:
    """Each task with its test cells, in order."""
    found: dict[str, list[str]] = {}
    for test in points(notebook):
        found.setdefault(task_of(test), []).append(test)
    return found


def release(source: NotebookNode) -> NotebookNode:
    """What students get: nbgrader's steps, without its database."""
    from nbgrader import preprocessors as nbgrader

    notebook, resources = copy.deepcopy(source), {}
    for step in (
        nbgrader.LockCells,
        nbgrader.ClearSolutions,
        nbgrader.ClearOutput,
        nbgrader.CheckCellMetadata,
        nbgrader.ClearHiddenTests,
        nbgrader.ClearMarkScheme,
        nbgrader.ComputeChecksums,
        nbgrader.CheckCellMetadata,
    ):
        notebook, resources = step().preprocess(notebook, resources)
    return notebook


def with_answer(source: NotebookNode, task: str, code: str) -> NotebookNode:
    """The source with another answer to one task."""
    notebook = copy.deepcopy(source)
    [cell] = [cell for cell in notebook.cells if grade_id(cell) == task and is_solution(cell)]
    cell.source = code
    return notebook


def transplant(source: NotebookNode, submitted: NotebookNode) -> tuple[NotebookNode, list[str]]:
    """The source's cells with the student's answers, and what had been changed about the rest.

    Locked cells are the source's, whatever became of them. Cells that the student added run where
    they stood: after the same named cell.
    """
    notebook, remarks = copy.deepcopy(source), []
    ours = {grade_id(cell) for cell in notebook.cells if grade_id(cell)}
    answers, added, last = {}, {}, None
    for cell in submitted.cells:
        name = grade_id(cell)
        if name in ours and name not in answers:
            answers[name], last = cell.source, name
        elif cell.cell_type == "code" and cell.source.strip():
            added.setdefault(last, []).append(nbformat.v4.new_code_cell(cell.source))
    cells = list(added.get(None, []))
    for cell in notebook.cells:
        name = grade_id(cell)
        if name and name not in answers:
            remarks.append(f"cell {name} was deleted")
            if is_solution(cell):
                cell.source = ""
        elif name and is_solution(cell):
            cell.source = answers[name]
        elif name and answers[name].split() != SECRET.sub("", cell.source).split():
            remarks.append(f"locked cell {name} was changed; the original was used")
        cells += [cell, *added.get(name, [])] if name else [cell]
    notebook.cells = cells
    return notebook, remarks


def library_calls(notebook: NotebookNode) -> list[str]:
    """Names of the library, or of torch, that do a task's work and are used in answers to tasks."""
    by_hand = notebook.metadata["rotlib"]["by_hand"]
    found = []
    for cell in notebook.cells:
        name = grade_id(cell)
        if cell.cell_type != "code" or (name and not is_solution(cell)):
            continue
        given = set(by_hand.get(name, [])) if name else set().union(*by_hand.values())
        try:
            nodes = list(ast.walk(ast.parse(cell.source)))
        except SyntaxError:
            continue
        used = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        for node in nodes:
            if isinstance(node, ast.ImportFrom):
                used |= {alias.name for alias in node.names}
        if name:  # a function of the student's own may have the same name
            own = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
            used |= {node.id for node in nodes if isinstance(node, ast.Name)} - own
        found += [f"{call} in {name or 'an added cell'}" for call in sorted(used & given)]
    return found


def wrong_answers(name: str) -> list[WrongAnswer]:
    """The wrong answers of an assignment, as its folder ``wrong`` has them.

    Raises:
        ValueError: for a file that does not say ``loses:`` and ``says:`` in its docstring.
    """
    found = []
    for path in sorted((FOLDER / name / "wrong").glob("*.py")):
        code = path.read_text(encoding="utf-8")
        tree = ast.parse(code)
        about = ast.get_docstring(tree) or ""
        fields = dict(re.findall(r"^(loses|says): *(.+)$", about, re.MULTILINE))
        if fields.keys() != {"loses", "says"}:
            raise ValueError(f"{path.name}: its docstring must have lines `loses:` and `says:`")
        body = "\n".join(code.split("\n")[tree.body[0].end_lineno :]).strip("\n")
        loses = tuple(part.strip() for part in fields["loses"].split(","))
        found.append(WrongAnswer(path, path.stem.partition("__")[0], body, loses, fields["says"]))
    return found
