"""Grade a folder of notebooks, without a server: ``python assignments/grade.py submissions``.

Every file or subfolder in the folder is one student. ``grades.csv`` is written, and a page of
feedback for every row. How: the package ``grading``.
"""

import argparse
import os
import sys
from pathlib import Path

from grading import collect, report, sandbox


def main() -> int:
    """The command line; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add, usual = parser.add_argument, sandbox.Limits()
    add("folder", type=Path, help="what was handed in: a file or subfolder for each student")
    add("--seed", type=int, default=0, help="the variant that was handed out")
    add("--out", type=Path, help="where grades and feedback go, by default FOLDER-graded")
    add("--roster", type=Path, help="a text file with one id a line, or a CSV that begins with ids")
    for name, text in {
        "cell_seconds": "a cell that takes longer is stopped",
        "seconds": "a notebook that takes longer is stopped",
        "memory_mb": "what a notebook may use (Linux)",
    }.items():
        default = getattr(usual, name)
        add(f"--{name.replace('_', '-')}", type=int, default=default, help=text)
    add("--workers", type=int, default=os.cpu_count(), help="notebooks at a time")
    add("--one", type=Path, help=argparse.SUPPRESS)  # a submission's own process: its log
    options = parser.parse_args()
    limits = sandbox.Limits(options.cell_seconds, options.seconds, options.memory_mb)
    if options.one:
        sandbox.run_one(options.folder, options.one, options.seed, limits)
        return 0
    folder = options.folder.resolve()
    out = (options.out or folder.with_name(f"{folder.name}-graded")).resolve()
    try:
        if min(options.cell_seconds, options.seconds, options.memory_mb, options.workers) < 1:
            raise ValueError("the limits and --workers expect at least 1")
        if out.is_relative_to(folder):
            raise ValueError(f"--out {out} lies inside of {folder}")
        rows = list(collect.collect(folder))
        if not rows:
            raise ValueError(f"nothing in {folder}")
        if options.roster:
            rows += collect.absent(collect.read_roster(options.roster), rows)
    except (OSError, ValueError) as error:
        print(f"grade: {error}", file=sys.stderr)
        return 2
    print(
        "This runs students' code on this machine. "
        'See "Grading" on the instructors\' page for how to isolate it.',
        flush=True,
    )
    if sandbox.resource is None:
        print("grade: this system cannot limit memory and files", file=sys.stderr)
    rows.sort(key=lambda row: (row.student, row.file))
    rows = sandbox.grade_all(rows, options.seed, limits, options.workers)
    report.write(rows, out, options.seed)
    for row in rows:
        if row.status != "graded":
            print(f"{row.student}: {row.status}")
    graded = sum(row.status == "graded" for row in rows)
    print(f"{graded} of {len(rows)} graded: {out / 'grades.csv'}, {out / 'feedback'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
