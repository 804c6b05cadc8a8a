"""Check every assignment, and pack what students get: ``python assignments/check.py --seed 0``.

For each assignment and variant: the solution passes every test; the stub fails every test; each
wrong answer loses the points that it must, with a message that helps; the release holds nothing
that is for instructors. Then the releases are zipped.
"""

import argparse
import copy
import os
import re
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path

import course
import nbformat
import sympy  # noqa: F401  PyTorch loads it when it first needs it: here once, not in each process
import torch
from nbformat import NotebookNode

torch.set_num_threads(1)  # forked processes must not inherit a pool of threads

BUILD = course.FOLDER.parent / "_build" / "assignments"
WRONG_ANSWERS = 4

README = """Learning 3D Rotations: assignments (variant {seed})

Each notebook is one assignment. You need Python 3.11 or newer.

    pip install notebook "./rotlib-{version}-py3-none-any.whl[display,experiments]"
    jupyter notebook

JupyterLab, VS Code and Binder work as well. Write where it says YOUR CODE HERE, delete the line
below it, and run the cells under it: they say what is wrong. More tests run when the notebook is
graded. Do not change or delete other cells. Hand in the notebook.
"""


def run(notebook: NotebookNode) -> dict[str, str | None]:
    """Run the cells here and now: for every test cell the message of its failure, or None.

    For notebooks of our own. Students' notebooks are run by ``grade.py``, apart and under limits.
    """
    space, outcome = {"__name__": "__main__"}, {}
    sys.stdout = open(os.devnull, "w")
    warnings.simplefilter("ignore")  # wrong answers are full of them
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        try:
            exec(compile(cell.source, course.grade_id(cell) or "cell", "exec"), space)
            message = None
        except Exception as error:
            message = f"{type(error).__name__}: {error}"
        if course.is_test(cell):
            outcome[course.grade_id(cell)] = message
    return outcome


def run_all(notebooks: list[NotebookNode]) -> list[dict[str, str | None]]:
    """Run each notebook in a process of its own; where forking is safe, PyTorch is loaded once."""
    context = get_context("fork" if sys.platform == "linux" else "spawn")
    with context.Pool(os.cpu_count(), maxtasksperchild=1) as pool:
        return pool.map(run, notebooks, chunksize=1)


def strings(part: object) -> Iterator[str]:
    """Every string in a nest of lists and dictionaries, keys as well."""
    if isinstance(part, str):
        yield part
    elif isinstance(part, dict):
        yield from strings([*part.keys(), *part.values()])
    elif isinstance(part, list):
        for item in part:
            yield from strings(item)


def leaks(source: NotebookNode, released: NotebookNode) -> list[str]:
    """Lines of solutions and hidden tests that stand somewhere in what students get."""

    def lines(text: str) -> set[str]:
        return {line.strip() for line in text.split("\n") if len(line.strip()) >= 12}

    secret: set[str] = set()
    open_to_all: set[str] = set()
    for cell in source.cells:
        if cell.cell_type == "markdown" and course.is_solution(cell):
            secret |= lines(cell.source)
            continue
        for _, text in course.SECRET.findall(cell.source):
            secret |= lines(text)
        open_to_all |= lines(course.SECRET.sub("", cell.source))
    secret -= open_to_all
    shown = set().union(*(lines(cell.source) for cell in released.cells))
    rest = copy.deepcopy(released)
    for cell in rest.cells:
        cell.source = ""
    texts = list(strings(rest))
    found = [line for line in sorted(secret) if line in shown or any(line in t for t in texts)]
    found += ["an output" for cell in released.cells if cell.get("outputs")]
    found += ["an attachment" for cell in released.cells if cell.get("attachments")]
    return found


def form(name: str, source: NotebookNode) -> list[str]:
    """What is missing in an assignment: its parts, before anything is run."""
    found = []
    about = source.metadata.get("rotlib", {})
    if missing := {"assignment", "title", "minutes", "chapters", "by_hand"} - about.keys():
        found.append(f"its metadata lack {', '.join(sorted(missing))}")
    elif about["assignment"] != name:
        found.append(f"its metadata call it {about['assignment']}")
    if course.written_points(source) <= 0:
        found.append("no question is graded by a person")
    if not any(task.startswith("bonus") for task in course.tasks(source)):
        found.append("no optional hard part")
    solutions = [course.grade_id(c) for c in source.cells if course.is_solution(c)]
    for task, tests in course.tasks(source).items():
        if task not in solutions:
            found.append(f"task {task} has tests and no solution cell")
        hidden = [c for c in source.cells if course.grade_id(c) in tests]
        if not any("### BEGIN HIDDEN TESTS" in cell.source for cell in hidden):
            found.append(f"task {task} has no hidden test")
        count = sum(wrong.task == task for wrong in course.wrong_answers(name))
        if count < WRONG_ANSWERS:
            found.append(f"task {task} has {count} wrong answers, {WRONG_ANSWERS} are asked for")
    for cell in source.cells:
        if cell.cell_type == "code" and re.search(r"^\s*[%!]", cell.source, re.MULTILINE):
            found.append(f"cell {course.grade_id(cell)}: a magic is not Python")
        if course.is_test(cell) and re.search(r"assert [^,#]*$", cell.source, re.MULTILINE):
            found.append(f"cell {course.grade_id(cell)}: an assert without a message")
    for wrong in course.wrong_answers(name):
        if unknown := set(wrong.loses) - set(course.points(source)):
            found.append(f"{wrong.path.name} loses {', '.join(unknown)}, which does not exist")
    if not (course.FOLDER / name / "teaching.md").is_file():
        found.append("no teaching.md")
    return found


def judge(source: NotebookNode, wrongs: list[course.WrongAnswer]) -> list[str]:
    """Run the solution, the stub and every wrong answer; what is not as it should be."""
    # As the stub is graded: hidden tests are empty in what students get.
    unanswered = course.transplant(source, course.release(source))[0]
    tries = [course.with_answer(source, wrong.task, wrong.code) for wrong in wrongs]
    right, stub, *outcomes = run_all([source, unanswered, *tries])
    tests = course.points(source)
    found = [f"the solution fails {test}: {right[test]}" for test in tests if right[test]]
    found += [f"the stub passes {test}" for test in tests if not stub[test]]
    for wrong, outcome in zip(wrongs, outcomes, strict=True):
        lost = {test: text for test, text in outcome.items() if text}
        if set(lost) != set(wrong.loses):
            found.append(f"{wrong.path.name} loses {', '.join(lost) or 'nothing'}: {lost}")
        elif not any(wrong.says in text for text in lost.values()):
            found.append(f"{wrong.path.name}: no message says {wrong.says!r}: {lost}")
    return found


def problems(name: str, seed: int) -> list[str]:
    """Everything that is wrong with one assignment in one variant."""
    source = course.read_source(name, seed)
    if found := form(name, source):
        return found
    found = judge(source, course.wrong_answers(name))
    return found + [f"leaked: {line}" for line in leaks(source, course.release(source))]


def pack(seed: int) -> Path:
    """Write the releases, and one zip with them, the library and how to begin."""
    folder = BUILD / f"release-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "-w", str(folder), str(course.FOLDER.parent)], check=True)
    [wheel] = folder.glob("*.whl")
    text = README.format(seed=seed, version=wheel.name.split("-")[1])
    (folder / "README.txt").write_text(text, encoding="utf-8")
    for name in course.names():
        nbformat.write(course.release(course.read_source(name, seed)), folder / f"{name}.ipynb")
    archive = BUILD / f"assignments-{seed}.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as bundle:
        for path in sorted(folder.iterdir()):
            bundle.write(path, f"assignments/{path.name}")
    return archive


def main() -> int:
    """The command line; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=0, help="the variant")
    parser.add_argument("names", nargs="*", help="these assignments only, and no zip")
    options = parser.parse_args()
    failed = False
    for name in options.names or course.names():
        found = problems(name, options.seed)
        source = course.read_source(name, options.seed)
        wrongs = len(course.wrong_answers(name))
        points = f"{course.total(source):g} + {course.written_points(source):g} written"
        extra = f"{course.total(source, bonus=True):g} extra"
        print(
            f"{name}: {len(course.tasks(source))} tasks, {points} + {extra} points, "
            f"{wrongs} wrong answers: " + ("sound" if not found else f"{len(found)} problems")
        )
        for line in found:
            print(f"  {line}")
        failed |= bool(found)
    if not failed and not options.names:
        print(f"for students: {pack(options.seed).relative_to(Path.cwd())}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
