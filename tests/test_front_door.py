"""What the world sees of a page: addresses, descriptions, the map of the site, the lost page."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import front_door
import pytest
from bs4 import BeautifulSoup
from docutils import nodes
from docutils.utils import new_document


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"BOOK_SITE_URL": "https://example.org/turns"}, "https://example.org/turns/"),
        ({"GITHUB_REPOSITORY": "Ada/turns"}, "https://ada.github.io/turns/"),
        ({"GITHUB_REPOSITORY": "Ada/ada.github.io"}, "https://ada.github.io/"),
        ({"BOOK_REPOSITORY_URL": "https://gitlab.com/ada/turns"}, None),
    ],
)
def test_the_site_is_that_of_this_copy(tmp_path, environment, expected):
    assert front_door.site_url(tmp_path, environment) == expected


def test_without_a_repository_there_is_no_site(tmp_path):
    assert front_door.site_url(tmp_path, {}) is None


def page(*paragraphs):
    document = new_document("page")
    document += [nodes.paragraph("", text) for text in paragraphs]
    return document


def test_a_page_is_described_by_its_question():
    assert front_door.description(page("The question. Why  six?", "Because.")) == "Why six?"
    assert front_door.description(page("A plain page.")) == "A plain page."
    assert front_door.description(page()) == ""
    long = front_door.description(page("word " * 100))
    assert len(long) <= front_door.LENGTH + 2 and long.endswith("word …")


def test_a_description_of_its_own_is_kept():
    document = page("Why?")
    document += nodes.meta("", name="description", content="Mine")
    assert front_door.description(document) == "Mine"


CHAPTER = """Turns & *signs*
===============

**The question.** Why "six", & not <seven>?

Because.
"""
OWN = """.. meta::
   :description: A page of its own words

Other
=====

Some text, with a link to :doc:`/book/x`.
"""


def build(folder, address):
    """A book of three pages with the extension and the theme; the folder of its files."""
    (folder / "book").mkdir()
    (folder / "index.rst").write_text("Home\n====\n\n.. toctree::\n   :glob:\n\n   book/*\n")
    (folder / "book" / "x.rst").write_text(CHAPTER)
    (folder / "book" / "y.rst").write_text(OWN)
    others = ("BOOK_REPOSITORY_URL", "GITHUB_REPOSITORY")
    environment = {name: value for name, value in os.environ.items() if name not in others}
    environment["BOOK_SITE_URL"] = address
    environment["PYTHONPATH"] = str(Path(front_door.__file__).parent)
    command = f"{sys.executable} -m sphinx -W -q -C -D extensions=front_door -D smartquotes=0"
    command = [*command.split(), "-D", "html_theme=sphinx_book_theme", "-D", "html_title=Turns"]
    subprocess.run([*command, folder, folder / "out"], check=True, env=environment)
    return folder / "out"


def metas(site, name):
    tags = BeautifulSoup((site / f"{name}.html").read_text(), "html.parser").find_all("meta")
    pairs = [(tag.get("property") or tag.get("name"), tag.get("content")) for tag in tags]
    seen = [(key, value) for key, value in pairs if re.match("description|og:|twitter:", key or "")]
    assert len(dict(seen)) == len(seen), f"said twice: {seen}"
    return dict(seen)


def addresses(site, name):
    tags = BeautifulSoup((site / f"{name}.html").read_text(), "html.parser").find_all(True)
    found = [tag.get("href") or tag.get("src") for tag in tags]
    return [address for address in found if address and not address.startswith("#")]


def test_a_site_has_previews_a_map_and_a_lost_page(tmp_path):
    site = build(tmp_path, "https://example.org/turns")
    base = "https://example.org/turns/"
    seen = metas(site, "book/x")
    assert seen["description"] == seen["og:description"] == 'Why "six", & not <seven>?'
    assert seen["og:title"] == "Turns & signs"
    assert seen["og:site_name"] == seen["og:image:alt"] == "Turns"
    assert seen["og:url"] == f"{base}book/x.html"
    assert seen["og:image"] == f"{base}_static/social.png"
    assert seen["twitter:card"] == "summary_large_image"
    own = metas(site, "book/y")
    assert own["description"] == own["og:description"] == "A page of its own words"
    for name in ("index", "book/x", "book/y"):
        assert f"<loc>{base}{name}.html</loc>" in (site / "sitemap.xml").read_text()
    assert (site / "sitemap.xml").read_text().count("<loc>") == 3
    assert f"Sitemap: {base}sitemap.xml" in (site / "robots.txt").read_text()
    own_page = f"{base}404.html"
    lost = [address for address in addresses(site, "404") if address != own_page]
    assert all(address.startswith("/turns/") for address in lost), lost
    assert "/turns/index.html" in lost
    assert not list(site.rglob("*social_previews*")), "a picture was drawn for each page"


def test_without_an_address_what_needs_one_is_left_out(tmp_path):
    site = build(tmp_path, "")
    seen = metas(site, "book/x")
    assert seen == {"description": 'Why "six", & not <seven>?'}
    assert metas(site, "book/y")["description"] == "A page of its own words"
    assert not (site / "sitemap.xml").exists() and not (site / "robots.txt").exists()
    assert all(address.startswith("/") for address in addresses(site, "404"))


def test_the_map_is_whole_after_a_build_that_writes_little(tmp_path):
    """As sphinx-sitemap's is not, which lists the pages that the last build wrote."""
    pages = {"book/a", "chapters/b"}
    site = SimpleNamespace(
        config=SimpleNamespace(html_baseurl="https://ada.github.io/turns/"),
        builder=SimpleNamespace(name="html"),
        env=SimpleNamespace(found_docs=pages),
        outdir=tmp_path,
    )
    front_door.write_map(site, None)
    assert (tmp_path / "sitemap.xml").read_text().count("<loc>https://ada.github.io/turns/") == 2
