"""The book's own Sphinx extensions: the part of each that is plain Python."""

from types import SimpleNamespace

import chapter_numbers
import docstrings
import page_weight
import pytest
import tags
import theme_fixes
import tinycss2
import typeset
from docutils import nodes
from docutils.utils import new_document


@pytest.mark.parametrize(
    ("myst", "rst"),
    [
        ("See {cite}`choy2026training`.", "See :cite:`choy2026training`."),
        ("{cite:t}`a` and {func}`b`", ":cite:t:`a` and :func:`b`"),
        ("a set {x} of `names`", "a set {x} of `names`"),
        ("Source: {cite}`a`, page 3", "**Source:** :cite:`a`, page 3"),
        ("    Singular points: none", "    **Singular points:** none"),
        ("Source:", "Source:"),
    ],
)
def test_docstrings_speak_the_language_of_the_book(myst, rst):
    lines = [myst]
    docstrings.translate(None, "function", "f", None, {}, lines)
    assert lines == [rst]


@pytest.mark.parametrize(
    ("docname", "number"),
    [("chapters/08_the_svd_jacobian", 8), ("chapters/17_x", 17), ("book/claims", None)],
)
def test_a_chapter_has_the_number_of_its_file(docname, number):
    assert chapter_numbers.chapter_number(docname) == number


@pytest.mark.parametrize(
    ("equation", "whole"),
    [
        (r"a \\ b \tag{1.4}", True),
        (r"a = b \tag{1.4}", False),
        (r"a \\ b", False),
    ],
)
def test_only_a_tagged_equation_with_rows_is_passed_on_whole(equation, whole):
    document = new_document("chapter")
    document += nodes.math_block("", equation)
    tags.pass_on_whole(None, document)
    (block,) = document.children
    assert bool(block.get("nowrap")) is whole
    assert block.astext().startswith(r"\begin{equation}") is whole


def test_a_script_named_twice_is_loaded_once():
    def inline(filename, body):
        return SimpleNamespace(filename=filename, attributes={"body": body})

    files = [SimpleNamespace(filename=name, attributes={}) for name in ("a.js", "b.js", "a.js")]
    scripts = [inline(None, "let x"), *files, inline("", "let x"), inline("", "let y")]
    context = {"script_files": scripts}
    theme_fixes.drop_repeated_scripts(None, "page", "page.html", context, None)
    assert context["script_files"] == [scripts[0], files[0], files[1], scripts[-1]]


PAGE = r"""<h1>Gains \(left\) alone</h1>
<p><span class="math notranslate nohighlight">\(a &lt; b\)</span></p>
<div class="math notranslate nohighlight">
\[\begin{aligned} a &amp;= b \\ c &amp;= d \end{aligned}\]</div>
<div class="math notranslate nohighlight">
\begin{equation}a \\ b \tag{1.4}\end{equation}</div>
<figcaption class="mathjax_process">at \(\kappa\), and \(a &lt; b\)</figcaption>"""


def test_formulas_are_found_where_sphinx_and_captions_put_them():
    assert list(typeset.formulas_of(PAGE)) == [
        ("a < b", False),
        (r"\begin{aligned} a &= b \\ c &= d \end{aligned}", True),
        (r"\begin{equation}a \\ b \tag{1.4}\end{equation}", True),
        (r"\kappa", False),
        ("a < b", False),
    ]


def test_formulas_are_set_with_their_number_and_for_a_screen_reader():
    formulas = list(dict.fromkeys(typeset.formulas_of(PAGE)))
    html, css = typeset.set_formulas(formulas)
    page = typeset.put_in(PAGE, dict(zip(formulas, html, strict=True)))
    assert page.count("<mjx-container") == page.count("<math ") == 5
    assert page.count("\\(") == 1, "only what stands outside of a formula's place"
    assert "<mtext>(1.4)</mtext>" in page and "NaN" not in page
    few = typeset.only_used(css, [page])
    assert len(few) < len(css) / 3
    used = set(typeset.CHARACTER.findall(page))
    assert used and used <= set(typeset.CHARACTER.findall(css))
    assert set(typeset.CHARACTER.findall(few)) == used


def test_a_wrong_formula_stops_the_build():
    with pytest.raises(ValueError, match=r"Undefined control sequence.*\\nonsense"):
        typeset.set_formulas([(r"a + \nonsense", False)])


CSS = """
.seen, .never:hover, a:is(.never, .other) > .seen { color: red }
.never { color: blue }
:not(.never) > p { color: green }
@media (max-width: 9px) { .never { top: 0 } .sd-m-1\\/2 { top: 1px } }
@media print { .never { top: 0 } }
@font-face { font-family: F; src: url(f.woff) }
"""


def test_only_rules_that_no_page_can_use_are_left_out():
    words = page_weight.words_of(['<p class="seen sd-m-1/2">'])
    rules = tinycss2.parse_stylesheet(CSS, skip_comments=True, skip_whitespace=True)
    css = page_weight.used_rules(rules, words)
    assert ".seen,a:is(.never, .other) > .seen{" in css
    assert ":not(.never) > p{" in css and "1px" in css and "@font-face" in css
    assert "blue" not in css and "print" not in css and "hover" not in css


def test_pictures_become_files_and_those_behind_a_slider_come_last(tmp_path):
    page = (
        '<img alt="A" src="data:image/webp;base64,AAAA"><img hidden alt="B" width="3" '
        'src="data:image/webp;base64,AAAB"><img alt="C" src="data:image/webp;base64,AAAA">'
    )
    moved = page_weight.move_pictures(tmp_path, page, "../")
    assert "base64" not in moved and moved.count('src="../_static/pictures/') == 3
    assert moved.count('loading="lazy"') == 2 and moved.count('fetchpriority="low"') == 1
    assert sorted(path.read_bytes() for path in tmp_path.rglob("*.webp")) == [
        b"\0\0\0",
        b"\0\0\1",
    ]


def test_a_second_build_keeps_the_sheets_of_pages_that_it_does_not_write(tmp_path):
    static = tmp_path / "_static"
    static.mkdir()
    (static / "documentation_options.js").write_text("const a = 1;")
    for name in ("theme", "math"):
        (static / f"{name}.css").write_text(f".{name} {{ top: 0 }}")
    link = '<link rel="stylesheet" href="_static/{}.css">\n'
    page = '<html><head>\n{}</head><p class="theme math">'
    app = SimpleNamespace(builder=SimpleNamespace(name="html"), outdir=tmp_path)
    for links in (link.format("theme") + link.format("math"), link.format("math"), ""):
        if links:
            (tmp_path / "a.html").write_text(page.format(links))
        page_weight.lighten(app, None)
        css = (static / "all.css").read_text()
        assert ".theme{" in css and ".math{" in css
        assert (tmp_path / "a.html").read_text().count("stylesheet") == 1
