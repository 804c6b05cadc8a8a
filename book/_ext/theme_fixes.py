"""Small repairs of the page around the text."""

import re
import shutil
from pathlib import Path

ICON_SCRIPT = re.compile(r"<script[^>]*fontawesome\.js[^>]*></script>")
# The theme loads the search's words on every page; only one page searches.
SEARCH_SCRIPT = re.compile(
    r'\s*<script src="[^"]*(searchtools|language_data|searchindex)\.js"></script>'
)
# Inline scripts read the options at once; all other files can wait until the text is there.
BLOCKING_SCRIPT = re.compile(
    r"<script (?=[^>]*\bsrc=)(?![^>]*(?:\bdefer|\basync|documentation_options))"
)


def hide_second_navbar(app, config):
    # Theme 1.3 otherwise draws a second, nearly empty bar with another search button.
    config.html_theme_options["navbar_persistent"] = []


def drop_repeated_scripts(app, pagename, templatename, context, doctree):
    # sphinx-thebe and sphinx-togglebutton register their inline scripts twice; declaring a
    # constant twice is an error in the reader's console.
    seen = set()
    kept = []
    for script in context.get("script_files", []):
        # An inline script has the file name None in one place and "" in the other.
        key = (script.filename or "", script.attributes.get("body"))
        if key not in seen:
            seen.add(key)
            kept.append(script)
    context["script_files"] = kept


def mend_pages(app, exception):
    # Source maps, translations and an icon script: 6 MB that no reader's browser needs.
    if exception or app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    for source_map in static.rglob("*.map"):
        source_map.unlink()
    shutil.rmtree(static / "locales", ignore_errors=True)
    # The theme draws its icons twice: from a font, and by a script of 1.6 MB. The font will do.
    (static / "scripts" / "fontawesome.js").unlink(missing_ok=True)
    for page in Path(app.outdir).rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        # A list, to a screen reader, is made of list items and nothing else.
        mended = ICON_SCRIPT.sub("", text).replace('role="doc-biblioentry"', 'role="listitem"')
        if page.name != "search.html":
            mended = SEARCH_SCRIPT.sub("", mended)
        mended = BLOCKING_SCRIPT.sub("<script defer ", mended)
        # Without scripts nothing makes a scheme of "auto": dark code stood on a light page.
        mended = mended.replace('data-theme="auto"', 'data-theme="light"', 1)
        if mended != text:
            page.write_text(mended, encoding="utf-8")


def setup(app):
    app.connect("config-inited", hide_second_navbar)
    app.connect("build-finished", mend_pages)
    app.connect("html-page-context", drop_repeated_scripts, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
