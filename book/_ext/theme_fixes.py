"""Small repairs of the page around the text."""

import shutil
from pathlib import Path


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


def drop_unused_files(app, exception):
    # Source maps and translations of the theme: 4 MB that no reader's browser asks for.
    if exception or app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    for source_map in static.rglob("*.map"):
        source_map.unlink()
    shutil.rmtree(static / "locales", ignore_errors=True)


def setup(app):
    app.connect("config-inited", hide_second_navbar)
    app.connect("build-finished", drop_unused_files)
    app.connect("html-page-context", drop_repeated_scripts, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
