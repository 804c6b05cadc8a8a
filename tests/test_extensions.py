"""The book's own Sphinx extensions: the part of each that is plain Python."""

from types import SimpleNamespace

import chapter_numbers
import docstrings
import pytest
import tags
import theme_fixes
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
