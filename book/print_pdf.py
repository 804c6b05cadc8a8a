"""Print the one-page build to a PDF: ``make pdf``.

The browser does the setting: one still picture in place of each slider, links
and references as in the pages. Run as ``python book/print_pdf.py IN.html OUT.pdf``.
"""

import sys
from pathlib import Path

import browser
from playwright.sync_api import sync_playwright

MINUTES = 5
FOOTER = (
    '<div style="width:100%;font-size:8px;color:#777;text-align:center">'
    'Learning 3D Rotations · <span class="pageNumber"></span></div>'
)


def print_page(source: Path, target: Path) -> None:
    with sync_playwright() as playwright:
        # Sphinx writes addresses as if the page lay at the root of its build.
        text = source.read_text(encoding="utf-8").replace('"../_static/', '"_static/')
        at_root = source.resolve().parent.parent / "print.html"
        at_root.write_text(text, encoding="utf-8")
        chromium = browser.launch(playwright)
        page = chromium.new_page()
        page.set_default_timeout(MINUTES * 60_000)
        page.goto(at_root.as_uri())
        page.evaluate("document.fonts.ready.then(() => null)")
        page.evaluate("document.documentElement.dataset.theme = 'light'")
        page.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true; })")
        page.pdf(
            path=target,
            format="A4",
            margin={"top": "18mm", "bottom": "18mm", "left": "18mm", "right": "18mm"},
            display_header_footer=True,
            header_template="<span></span>",
            footer_template=FOOTER,
            outline=True,
            tagged=True,
            print_background=True,
        )
        chromium.close()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    print_page(Path(sys.argv[1]), Path(sys.argv[2]))
