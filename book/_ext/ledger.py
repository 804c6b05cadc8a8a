"""The claims ledger: ``{claims-ledger}`` shows ``book/claims.json`` as a table.

``python -m claims --write`` writes the file, and checks what it writes. Its texts may hold
``$...$``, citations and any other inline MyST.
"""

import json
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

COLUMNS = ("Claim", "Predicted", "Measured", "Verdict")


class ClaimsLedger(SphinxDirective):
    def run(self):
        path = Path(self.env.srcdir) / "book" / "claims.json"
        self.env.note_dependency(str(path))
        if not path.exists():
            raise self.error("book/claims.json is missing: `make claims` writes it.")
        claims = json.loads(path.read_text(encoding="utf-8"))

        table = nodes.table(classes=["claims-ledger"])
        group = nodes.tgroup(cols=len(COLUMNS))
        group += [nodes.colspec() for _ in COLUMNS]
        head = nodes.row()
        head += [nodes.entry("", nodes.paragraph(text=title)) for title in COLUMNS]
        group += nodes.thead("", head)
        body = nodes.tbody()
        body += [self.row(claim) for claim in claims]
        group += body
        table += group
        return [nodes.container("", table, classes=["claims-ledger-box"])]

    def row(self, claim):
        verdict = claim["verdict"]
        badge = nodes.inline(text=verdict, classes=["verdict", f"verdict-{verdict}"])
        statement = nodes.entry("", self.paragraph(claim["claim"]))
        statement += self.line("Source", claim["source"])
        statement += self.line(
            "Derived in",
            f"{{doc}}`chapter {int(claim['chapter'][:2])} </chapters/{claim['chapter']}>`",
        )
        check = self.line("Check", "")
        check += nodes.literal(text=claim["check"])
        statement += check
        if claim["note"]:
            statement += self.line("Note", claim["note"])
        row = nodes.row(ids=[nodes.make_id(f"claim-{claim['id']}")])
        row += statement
        row += nodes.entry("", self.paragraph(claim["predicted"]))
        row += nodes.entry("", self.paragraph(claim["measured"]))
        row += nodes.entry("", nodes.paragraph("", "", badge))
        return row

    def line(self, label, text):
        paragraph = nodes.paragraph(classes=["ledger-detail"])
        paragraph += [nodes.inline(text=f"{label}: ", classes=["ledger-label"])]
        paragraph += self.parse_inline(text)[0] if text else []
        return paragraph

    def paragraph(self, text):
        return nodes.paragraph("", "", *self.parse_inline(text)[0])


def setup(app):
    app.add_directive("claims-ledger", ClaimsLedger)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
