"""What students hand in, and what their rows and pages must say: right, wrong and hostile."""

from typing import NamedTuple

import course
import nbformat

NAME = "01_exponential_map"
CELL_SECONDS, SECONDS, MEMORY_MB = 20, 90, 512
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


class Case(NamedTuple):
    """A submission, and what its row and its page must say."""

    content: str | bytes
    lost: int | None = 0  # of 20; with None it is not graded
    status: str = "graded"
    remark: str = ""
    says: str = ""


def answered(code, **expected):
    """The case of a student who is right but for the logarithm."""
    return Case(handed_in(logarithm=code), **({"lost": 8} | expected))


DIED = {
    "lost": 12,
    "status": "the kernel died in cell logarithm; what was reached counts",
    "says": "the kernel died here",
}
TOO_LONG = f"this took longer than {CELL_SECONDS} s and was stopped"
TOO_MUCH = f"more than the {MEMORY_MB} MB of memory"
CASES = {
    "perfect.ipynb": Case(handed_in()),
    "Zoë Ångström (2).IPYNB": Case(handed_in()),
    "=HYPERLINK(1).ipynb": Case(handed_in()),
    "subfolder/work.ipynb": Case(handed_in()),
    f"{SCRIPT.replace('/', '')}.ipynb": answered(
        f'raise ValueError("{SCRIPT}")', says="&lt;script&gt;alert(1)"
    ),
    "nothing_done.ipynb": Case(
        nbformat.writes(course.release(source())), lost=20, says="NotImplementedError"
    ),
    "wrong.ipynb": answered(
        wrong("logarithm__transposed").code, says=wrong("logarithm__transposed").says
    ),
    "loop.ipynb": answered(body("while True: pass"), says=TOO_LONG),
    "stubborn_loop.ipynb": answered(
        "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
        lost=12,
        status=f"stopped after {SECONDS} s; what was reached counts",
        says="this did not end",
    ),
    "crash.ipynb": answered("import os\nos._exit(3)", **DIED),
    "segfault.ipynb": answered("import ctypes\nctypes.string_at(0)", **DIED),
    "exit.ipynb": answered("import sys\nsys.exit()"),
    "no_solution_cell.ipynb": Case(
        handed_in(without=["logarithm"]), lost=8, remark="cell logarithm was deleted"
    ),
    "no_test_cell.ipynb": Case(
        handed_in(without=["logarithm-hidden"]), remark="cell logarithm-hidden was deleted"
    ),
    "no_variant_cell.ipynb": Case(
        handed_in(without=["variant"]), remark="cell variant was deleted"
    ),
    "tampered.ipynb": Case(
        handed_in(logarithm=body("return R"), cells={"logarithm-visible": "print('passed')"}),
        lost=8,
        remark="locked cell logarithm-visible was changed; the original was used",
    ),
    "syntax.ipynb": answered("def logarithm(R:\n", says="SyntaxError"),
    "one_gigabyte.ipynb": answered(body("kept = bytearray(2**30); return R"), says=TOO_MUCH),
    "big_tensor.ipynb": answered(body("return torch.zeros(2**28)"), says=TOO_MUCH),
    "big_file.ipynb": answered(
        "with open('big', 'wb') as f:\n    for _ in range(100): f.write(bytes(2**20))",
        says="File too large",
    ),
    "printing.ipynb": answered("while True: print('x' * 10_000)", says=TOO_LONG),
    "lingering.ipynb": answered(
        "import subprocess\n"
        f"subprocess.Popen(['sleep', '{LINGERING}'], start_new_session=True)\n"
        + solutions()["logarithm"],
        lost=0,
    ),
    "borrowed.ipynb": answered(
        "import rotlib\ndef logarithm(R):\n    return rotlib.matrix_to_rotvec(R)",
        lost=0,
        remark="uses matrix_to_rotvec in logarithm",
    ),
    "helper_cell.ipynb": Case(with_added_cell("HALF = 0.5", after="variant")),
    "other_variant.ipynb": Case(
        handed_in(seed=3), None, "made for seed 3, graded for seed 0: not run"
    ),
    "unreadable.ipynb": Case('{"cells": [', None, "cannot be read"),
    "binary.ipynb": Case(bytes(range(256)), None, "cannot be read"),
    "empty.ipynb": Case("", None, "cannot be read"),
    "a_list.ipynb": Case("[1, 2]", None, "cannot be read"),
    "somebody_elses.ipynb": Case(
        nbformat.writes(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1")])),
        None,
        "none of the assignments",
    ),
    "essay.pdf": Case("%PDF-1.4", None, "not a notebook: .pdf"),
    "empty_subfolder/notes.txt": Case("I could not do it", None, "no notebook in the folder"),
}


def hand_in(folder, names):
    for name in names:
        path, content = folder / name, CASES[name].content
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
