"""The built book that the page tests share: its pages, and whether these files made it."""

import os
import re
from functools import cache
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "_build" / "html"
CONTENTS = (ROOT / "_toc.yml").read_text(encoding="utf-8")
#: As the table of contents has them: ``book/preface``, ``chapters/08_the_svd_jacobian``.
PAGES = re.findall(r"^ *(?:- file|root): *(\S+)$", CONTENTS, re.MULTILINE)
CHAPTERS = [page for page in PAGES if page.startswith("chapters/")]


def without(reason):
    """Skip, or fail where continuous integration says that nothing may be skipped."""
    if os.environ.get("REQUIRE_BROWSER") == "1":
        pytest.fail(f"REQUIRE_BROWSER=1, but {reason}")
    pytest.skip(reason)


def built_from(page):
    """Whether the source that is here made the page; Sphinx keeps a copy of what it read."""
    source = next(path for path in ROOT.glob(f"{page}.*") if path.suffix in (".md", ".ipynb"))
    copy = SITE / "_sources" / source.relative_to(ROOT)
    return copy.is_file() and copy.read_bytes() == source.read_bytes()


@cache
def require_book():
    """Skip where there is no built book; fail where it is one of other sources."""
    if not (SITE / "index.html").is_file():
        without("there is no built book: run `make book` first")
    old = [page for page in PAGES if not built_from(page)]
    assert not old, f"built from other sources than those that are here, run `make book`: {old}"


@cache
def text_of(page):
    return (SITE / f"{page}.html").read_text(encoding="utf-8")


@cache
def soup(page):
    return BeautifulSoup(text_of(page), "html.parser")
