"""Grade a folder of notebooks, without a server: ``python assignments/grade.py submissions``.

Every file or subfolder in the folder is one student. A notebook is rebuilt from the source with
the student's answers in it, so that the tests are ours, and run in a process of its own: limited,
with its own kernel, and with what each cell did on disk before the next one begins. Then
``grades.csv`` is written, and a page of feedback for every row.

A test cell has its points when it was run and raised nothing. Unlike in nbgrader, what it prints
to the standard error costs nothing: a warning is no mistake.
"""

import argparse
import csv
import functools
import html
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import course
import nbformat
import psutil
from ipykernel.kernelspec import make_ipkernel_cmd
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from tqdm import tqdm

try:
    import resource
except ImportError:  # Windows
    resource = None

#: Private memory (VmData) of a kernel with torch, rotlib and matplotlib that has drawn a figure
#: and taken Jacobians; measured on Linux, one thread, PyTorch for CPUs.
KERNEL_MB = 440
FILE_MB = 64
#: The first cell. What is printed goes nowhere: the kernel would keep it until its memory is full.
SILENCE = """import io, sys

class _Nowhere(io.StringIO):
    write = property(lambda self: len, lambda self, function: None)  # IPython's tee sets it

sys.stdout = sys.stderr = _Nowhere()
"""
#: What is shown of a message, and of an answer.
LONGEST, LONGEST_ANSWER = 300, 20_000

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ max-width: 46rem; margin: auto; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif;
  overflow-wrap: anywhere; }}
pre {{ padding: 0.6rem; border: 1px solid; overflow-x: auto; overflow-wrap: normal; }}
pre.prose {{ white-space: pre-wrap; font-family: inherit; }}
td, th {{ padding-right: 1.5rem; text-align: left; }}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""


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
    """A row for every submission."""
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


def read_notebook(path: Path) -> NotebookNode:
    """What ``course.transplant`` needs of a notebook of any version, valid or not.

    Raises:
        ValueError: if it is no notebook.
    """

    def part(whole: object, name: str) -> object:
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
    best = max(shared, key=shared.get)
    return best if shared[best] else None


def limit(memory_mb: int) -> None:
    """Limit this process and all that it will start."""
    if resource is None:
        return
    megabytes = {"RLIMIT_DATA": KERNEL_MB + memory_mb, "RLIMIT_FSIZE": FILE_MB, "RLIMIT_CORE": 0}
    for name, wanted in megabytes.items():
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        value = wanted << 20 if hard == resource.RLIM_INFINITY else min(wanted << 20, hard)
        resource.setrlimit(kind, (value, value))


class OwnKernel(AsyncKernelManager):
    """Starts kernels with this interpreter, whatever is installed, and without tracebacks."""

    @property
    def kernel_spec(self) -> KernelSpec:
        command = make_ipkernel_cmd(extra_arguments=["--InteractiveShell.xmode=Minimal"])
        return KernelSpec(argv=command, language="python")


class QuietClient(NotebookClient):
    """Keeps no outputs: endless printing fills nothing, and failures are in the replies."""

    def process_message(self, msg: dict, cell: NotebookNode, cell_index: int) -> None:
        if msg["msg_type"] == "status":
            super().process_message(msg, cell, cell_index)


def failure(reply: dict, secrets: list[str], memory_mb: int) -> str | None:
    """One line that says why a cell failed, with nothing that is for instructors; or None."""
    if reply["status"] == "ok":
        return None
    text = re.sub(r"\x1b\[[0-9;]*m", "", f"{reply.get('ename')}: {reply.get('evalue')}")
    if text.startswith("MemoryError") or "can't allocate memory" in text:
        return f"this asked for more than the {memory_mb} MB of memory that it may use"
    text = " ".join(text.split())
    if any(line in text for line in secrets):
        return "an error; its message quotes the tests and is not shown"
    return text if len(text) <= LONGEST else text[:LONGEST] + " …"


def execute(notebook: NotebookNode, record: Callable, options: argparse.Namespace) -> str:
    """Run every code cell and record what became of it; returns how it ended."""
    hidden = [found[2] for cell in notebook.cells for found in course.SECRET.finditer(cell.source)]
    lines = {" ".join(line.split()) for text in hidden for line in text.split("\n")}
    secrets = [line for line in lines if len(line) >= 12]
    notebook.cells.insert(0, nbformat.v4.new_code_cell(SILENCE))
    replies = {}
    client = QuietClient(
        notebook,
        kernel_name="python3",
        kernel_manager_class=OwnKernel,
        timeout=options.cell_seconds,
        interrupt_on_timeout=True,
        allow_errors=True,
        record_timing=False,
        shutdown_kernel="immediate",
        on_cell_executed=lambda cell_index, execute_reply, **_: replies.update(
            {cell_index: execute_reply["content"]}
        ),
    )
    with client.setup_kernel():
        for index, cell in enumerate(notebook.cells):
            if cell.cell_type != "code" or not cell.source.strip():
                continue
            name = course.grade_id(cell) or "an added cell"
            record(cell=name, message="this did not end")
            begun = time.monotonic()
            try:
                client.execute_cell(cell, index)
            except DeadKernelError:
                record(cell=name, message="the kernel died here")
                return f"the kernel died in cell {name}; what was reached counts"
            message = failure(replies[index], secrets, options.memory_mb)
            if time.monotonic() - begun >= options.cell_seconds:
                message = f"this took longer than {options.cell_seconds} s and was stopped"
            record(cell=name, message=message)
    return "graded"


def run_one(path: Path, log: Path, options: argparse.Namespace) -> None:
    """Do one submission here; what is known of its row goes to the log at once, line by line."""

    def record(**known: object) -> None:
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(known) + "\n")

    limit(options.memory_mb)
    try:
        submitted = read_notebook(path)
    except Exception as error:  # whatever was handed in
        return record(status=f"cannot be read: {clean(str(error))[:LONGEST]}")
    name = identify(submitted)
    if name is None:
        return record(status="none of the assignments: it has no cell of theirs")
    seed = submitted.metadata["rotlib"].get("seed")
    seed = options.seed if seed is None else seed
    shown = clean(str(seed))[:20]
    record(assignment=name, seed=shown)
    if seed != options.seed:
        return record(status=f"made for seed {shown}, graded for seed {options.seed}: not run")
    notebook, changes = course.transplant(course.read_source(name, options.seed), submitted)
    answers = {course.grade_id(c): c.source for c in notebook.cells if course.is_solution(c)}
    record(answers={name: text[:LONGEST_ANSWER] for name, text in answers.items()})
    record(changes=changes)
    record(remarks=[f"uses {call}" for call in course.library_calls(notebook)])
    try:
        record(status=execute(notebook, record, options))
    except Exception as error:  # a kernel that does not begin, or talks nonsense
        record(status=f"broken off: {clean(str(error))[:LONGEST]}; what was reached counts")


def kill(folder: Path) -> None:
    """End every process whose home is in the folder, orphans as well, and its descendants."""
    for _ in range(3):
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if Path(process.environ().get("HOME", "")).is_relative_to(folder):
                    found += [process, *process.children(recursive=True)]
        for process in found:
            with suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(found, timeout=1)


def grade(row: Row, folder: Path, options: argparse.Namespace) -> Row:
    """Complete a row that has no status yet, in a process and a folder of its own."""
    if row.status:
        return row
    home = Path(tempfile.mkdtemp(dir=folder))
    log = home.with_suffix(".jsonl")
    (home / "work").mkdir()
    names = ("seed", "cell_seconds", "memory_mb")
    arguments = [f"--{name.replace('_', '-')}={getattr(options, name)}" for name in names]
    run = subprocess.Popen(
        [sys.executable, __file__, str(row.path), f"--one={log}", *arguments],
        # Nothing else of this process's environment: it may hold secrets.
        env={name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
        | {"HOME": str(home), "LANG": os.environ.get("LANG", "C.UTF-8")}
        | {"OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"},
        cwd=home / "work",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # it must not be able to signal our group of processes
    )
    try:
        run.wait(options.seconds)
        row.status = "broken off: its process was ended; what was reached counts"
    except subprocess.TimeoutExpired:
        row.status = f"stopped after {options.seconds} s; what was reached counts"
    kill(home)
    for line in log.read_text(encoding="utf-8").splitlines() if log.exists() else []:
        with suppress(ValueError):  # the last line, if it was killed while writing
            known = json.loads(line)
            if "cell" in known:
                row.outcome[known["cell"]] = known["message"]
            else:
                vars(row).update(known)
    shutil.rmtree(home, ignore_errors=True)
    return row


def grade_all(rows: list[Row], options: argparse.Namespace) -> list[Row]:
    """Complete all rows, some at a time; Ctrl-C leaves nothing running."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name,
        ThreadPoolExecutor(options.workers) as pool,
    ):
        one = functools.partial(grade, folder=Path(name), options=options)
        try:
            return list(tqdm(pool.map(one, rows), total=len(rows), unit="notebook"))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            kill(Path(name))
            raise


def feedback(row: Row, source: NotebookNode | None) -> str:
    """The page for the student: points, answers and messages, and nothing of hidden tests."""
    if source is None:
        title = html.escape(f"{row.student}: {row.file}")
        return PAGE.format(title=title, body=f"<p>{html.escape(row.status)}</p>")
    table, parts, every = [], [], course.points(source)
    for task, tests in course.tasks(source).items():
        points = {test: every[test] for test in tests}
        earned = {test: row.earned(test, points[test]) for test in tests}
        label = f"{task} (optional)" if task.startswith("bonus") else task
        table.append((label, f"{sum(earned.values()):g} of {sum(points.values()):g}"))
        parts += [f"<h2>{label}</h2>", f"<pre>{html.escape(row.answers.get(task, ''))}</pre>"]
        if message := row.outcome.get(task):
            parts.append(f"<p>This cell failed: {html.escape(message)}</p>")
        for test in tests:
            message = row.outcome.get(test, "not reached")
            verdict = "passed" if message is None else f"failed: {html.escape(message)}"
            parts.append(f"<p><b>{test}</b>, {earned[test]:g} of {points[test]:g}: {verdict}</p>")
    for name, most in course.written(source).items():
        table.append((f"{name} (written)", f"____ of {most:g}"))
        answer = html.escape(row.answers.get(name, ""))
        parts += [f"<h2>{name}</h2>", f'<pre class="prose">{answer}</pre>']
        parts.append(f"<p>Points: ____ of {most:g}</p>")
    notes = [f"<p>{html.escape(note)}</p>" for note in (row.status, *row.changes)]
    lines = [f"<tr><th>{label}</th><td>{points}</td></tr>" for label, points in table]
    title = html.escape(f"{row.student}: {source.metadata['rotlib']['title']}")
    body = [*notes, "<table>", *lines, "</table>", *parts]
    return PAGE.format(title=title, body="\n".join(body))


def line_of_table(row: Row, source: NotebookNode | None) -> dict[str, str]:
    """What ``grades.csv`` says of a row, without what a spreadsheet takes for a formula."""
    cells = {name: getattr(row, name) for name in ("student", "file", "assignment", "seed")}
    tasks, totals = {}, {False: 0.0, True: 0.0}
    points = course.points(source) if source else {}
    for task, tests in course.tasks(source).items() if source else ():
        tasks[task] = sum(row.earned(test, points[test]) for test in tests)
        totals[task.startswith("bonus")] += tasks[task]
    cells |= {
        "points": f"{totals[False]:g}",
        "out_of": f"{course.total(source):g}" if source else "",
        "bonus": f"{totals[True]:g}",
        "written": "",
        "written_out_of": f"{course.written_points(source):g}" if source else "",
        "status": row.status,
        "remarks": "; ".join([*row.changes, *row.remarks]),
    }
    cells |= {task: f"{earned:g}" for task, earned in tasks.items()}
    return {
        name: f"'{cell}" if cell.startswith(tuple("=+-@")) else cell for name, cell in cells.items()
    }


def write(rows: list[Row], out: Path, seed: int) -> None:
    """The table, and a page for every row."""
    (out / "feedback").mkdir(parents=True, exist_ok=True)
    sources = {name: course.read_source(name, seed) for name in course.names()}
    lines, taken = [], set()
    for row in rows:
        source = sources.get(row.assignment)
        lines.append(line_of_table(row, source))
        stem = safe = re.sub(r"[^\w.-]+", "_", row.student).strip("._")[:80] or "student"
        number = 1
        while safe.casefold() in taken:
            number += 1
            safe = f"{stem}-{number}"
        taken.add(safe.casefold())
        page = out / "feedback" / f"{safe}.html"
        page.write_text(feedback(row, source), encoding="utf-8", errors="replace")
    table = out / "grades.csv"
    if table.exists():  # somebody may have written points into it
        table.rename(out / f"grades-until-{time.strftime('%Y%m%d-%H%M%S')}.csv")
    columns = list(dict.fromkeys(name for line in lines for name in line))
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(lines)


def main() -> int:
    """The command line; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("folder", type=Path, help="what was handed in: a file or subfolder for each student")
    add("--seed", type=int, default=0, help="the variant that was handed out")
    add("--out", type=Path, help="where grades and feedback go, by default FOLDER-graded")
    add("--roster", type=Path, help="a text file with one id a line, or a CSV that begins with ids")
    add("--cell-seconds", type=int, default=30, help="a cell that takes longer is stopped")
    add("--seconds", type=int, default=240, help="a notebook that takes longer is stopped")
    add("--memory-mb", type=int, default=768, help="what a notebook may use (Linux)")
    add("--workers", type=int, default=os.cpu_count(), help="notebooks at a time")
    add("--one", type=Path, help=argparse.SUPPRESS)  # a submission's own process: its log
    options = parser.parse_args()
    if options.one:
        run_one(options.folder, options.one, options)
        return 0
    folder = options.folder.resolve()
    out = (options.out or folder.with_name(f"{folder.name}-graded")).resolve()
    try:
        if min(options.cell_seconds, options.seconds, options.memory_mb, options.workers) < 1:
            raise ValueError("the limits and --workers expect at least 1")
        if out.is_relative_to(folder):
            raise ValueError(f"--out {out} lies inside of {folder}")
        rows = list(collect(folder))
        if not rows:
            raise ValueError(f"nothing in {folder}")
        if options.roster:
            present = {row.student.partition("/")[0] for row in rows}
            absent = [name for name in read_roster(options.roster) if name not in present]
            rows += [Row(name, status="nothing handed in") for name in dict.fromkeys(absent)]
    except (OSError, ValueError) as error:
        print(f"grade: {error}", file=sys.stderr)
        return 2
    print(
        "This runs students' code on this machine. "
        'See "Grading" on the instructors\' page for how to isolate it.',
        flush=True,
    )
    if resource is None:
        print("grade: this system cannot limit memory and files", file=sys.stderr)
    rows = grade_all(sorted(rows, key=lambda row: (row.student, row.file)), options)
    write(rows, out, options.seed)
    for row in rows:
        if row.status != "graded":
            print(f"{row.student}: {row.status}")
    graded = sum(row.status == "graded" for row in rows)
    print(f"{graded} of {len(rows)} graded: {out / 'grades.csv'}, {out / 'feedback'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
