"""What comes out: points, a page of feedback for every row, and ``grades.csv``.

A test cell has its points when it was run and raised nothing. Unlike in nbgrader, what it prints
to the standard error costs nothing: a warning is no mistake. Its feedback pages show the whole
notebook, hidden tests as well; these do not.
"""

import csv
import html
import re
import time
from pathlib import Path

import course
from nbformat import NotebookNode

from grading.collect import Row

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
