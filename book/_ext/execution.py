"""``{execution-status}``: how long each chapter runs and what memory it takes, as a table.

``make notebooks`` writes ``book/execution.json``; the stored outputs are of that run.
"""

import json
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

COLUMNS = ("Chapter", "Seconds", "Peak memory", "Run on", "Python")


class ExecutionStatus(SphinxDirective):
    def run(self):
        path = Path(self.env.srcdir) / "book" / "execution.json"
        self.env.note_dependency(str(path))
        if not path.exists():
            raise self.error("book/execution.json is missing: `make notebooks` writes it.")
        table, group = nodes.table(), nodes.tgroup(cols=len(COLUMNS))
        group += [nodes.colspec() for _ in COLUMNS]
        group += nodes.thead("", self.row(nodes.Text(title) for title in COLUMNS))
        body = nodes.tbody()
        for name, run in json.loads(path.read_text(encoding="utf-8")).items():
            link = self.parse_inline(f"{{doc}}`/chapters/{name}`")[0]
            memory = f"{run['megabytes']:,} MB" if run["megabytes"] else "not measured"
            texts = (f"{run['seconds']:.0f}", memory, run["date"], run["python"])
            body += self.row([link, *map(nodes.Text, texts)])
        group += body
        table += group
        return [table]

    def row(self, cells):
        row = nodes.row()
        for cell in cells:
            row += nodes.entry(
                "", nodes.paragraph("", "", *(cell if type(cell) is list else [cell]))
            )
        return row


def setup(app):
    app.add_directive("execution-status", ExecutionStatus)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
