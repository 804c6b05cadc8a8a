"""Running what students hand in: apart, under limits, and with nothing left behind.

Each submission has a process of its own, started by ``grade``. It limits itself, rebuilds the
notebook from the source with the student's answers in it, so that the tests are ours, and writes
to a log what each cell did before the next one begins. Whatever happens to it, the log counts.
"""

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import course
import nbformat
import psutil
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from tqdm import tqdm

from grading.collect import Row, clean, identify, read_notebook

try:  # psutil's rlimit is for Linux alone; this one limits on macOS as well
    import resource
except ImportError:  # Windows
    resource = None

PROGRAM = Path(__file__).resolve().parents[1] / "grade.py"
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


@dataclass(frozen=True)
class Limits:
    """What a submission may use, each at least 1."""

    cell_seconds: int = 30
    seconds: int = 240
    memory_mb: int = 768


# In the submission's own process.


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


def execute(notebook: NotebookNode, record: Callable, limits: Limits) -> str:
    """Run every code cell and record what became of it; returns how it ended."""
    hidden = [found[2] for cell in notebook.cells for found in course.SECRET.finditer(cell.source)]
    lines = {" ".join(line.split()) for text in hidden for line in text.split("\n")}
    secrets = [line for line in lines if len(line) >= 12]
    name, begun = "", 0.0

    def before(cell: NotebookNode, **_: object) -> None:
        nonlocal name, begun
        name, begun = course.grade_id(cell) or "an added cell", time.monotonic()
        record(cell=name, message="this did not end")

    def after(execute_reply: dict, **_: object) -> None:
        message = failure(execute_reply["content"], secrets, limits.memory_mb)
        # nbclient's own error_on_timeout would not wait for the interrupted cell to end, and an
        # answer that cannot be interrupted would take its time again for every later cell.
        if time.monotonic() - begun >= limits.cell_seconds:
            message = f"this took longer than {limits.cell_seconds} s and was stopped"
        record(cell=name, message=message)

    notebook.cells.insert(0, nbformat.v4.new_code_cell(SILENCE))
    client = QuietClient(
        notebook,
        timeout=limits.cell_seconds,
        interrupt_on_timeout=True,
        allow_errors=True,
        record_timing=False,
        shutdown_kernel="immediate",
        extra_arguments=["--InteractiveShell.xmode=Minimal"],  # no tracebacks
        on_cell_execute=before,
        on_cell_executed=after,
    )
    # Without folders of kernels it is ipykernel in this interpreter, whatever is installed.
    specifications = KernelSpecManager(kernel_dirs=[])
    client.km = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=specifications)
    try:
        client.execute()
    except DeadKernelError:
        record(cell=name, message="the kernel died here")
        return f"the kernel died in cell {name}; what was reached counts"
    return "graded"


def run_one(path: Path, log: Path, seed: int, limits: Limits) -> None:
    """Do one submission here; what is known of its row goes to the log at once, line by line."""

    def record(**known: object) -> None:
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(known) + "\n")

    limit(limits.memory_mb)
    try:
        submitted = read_notebook(path)
    except Exception as error:  # whatever was handed in
        return record(status=f"cannot be read: {clean(str(error))[:LONGEST]}")
    name = identify(submitted)
    if name is None:
        return record(status="none of the assignments: it has no cell of theirs")
    its_seed = submitted.metadata["rotlib"].get("seed")
    its_seed = seed if its_seed is None else its_seed
    shown = clean(str(its_seed))[:20]
    record(assignment=name, seed=shown)
    if its_seed != seed:
        return record(status=f"made for seed {shown}, graded for seed {seed}: not run")
    notebook, changes = course.transplant(course.read_source(name, seed), submitted)
    answers = {course.grade_id(c): c.source for c in notebook.cells if course.is_solution(c)}
    record(answers={name: text[:LONGEST_ANSWER] for name, text in answers.items()})
    record(changes=changes)
    record(remarks=[f"uses {call}" for call in course.library_calls(notebook)])
    try:
        record(status=execute(notebook, record, limits))
    except Exception as error:  # a kernel that does not begin, or talks nonsense
        record(status=f"broken off: {clean(str(error))[:LONGEST]}; what was reached counts")


# In the process that grades.


def kill(folder: Path) -> None:
    """End every process whose home is in the folder, and its descendants.

    By the home, because psutil finds descendants only: an orphan has no parent to find it by.
    """
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


def grade(row: Row, folder: Path, seed: int, limits: Limits) -> Row:
    """Complete a row that has no status yet, in a process and a folder of its own."""
    if row.status:
        return row
    home = Path(tempfile.mkdtemp(dir=folder))
    log = home.with_suffix(".jsonl")
    (home / "work").mkdir()
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in asdict(limits).items()]
    run = subprocess.Popen(
        [sys.executable, str(PROGRAM), str(row.path), f"--one={log}", f"--seed={seed}", *flags],
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
        run.wait(limits.seconds)
        row.status = "broken off: its process was ended; what was reached counts"
    except subprocess.TimeoutExpired:
        row.status = f"stopped after {limits.seconds} s; what was reached counts"
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


def grade_all(rows: list[Row], seed: int, limits: Limits, workers: int) -> list[Row]:
    """Complete all rows, some at a time; Ctrl-C leaves nothing running."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name,
        ThreadPoolExecutor(workers) as pool,
    ):
        one = functools.partial(grade, folder=Path(name), seed=seed, limits=limits)
        try:
            return list(tqdm(pool.map(one, rows), total=len(rows), unit="notebook"))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            kill(Path(name))
            raise
