"""What the world sees of a page: addresses, descriptions, the map of the site, the lost page."""

from types import SimpleNamespace

import front_door
import pytest
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


def app(base):
    return SimpleNamespace(config=SimpleNamespace(html_baseurl=base, root_doc="book/preface"))


def tags(base, **context):
    context = {"title": "Turns &amp; <em>signs</em>", **context}
    front_door.describe(app(base), "book/x", "page.html", context, page("Why?"))
    return context["metatags"]


def test_preview_and_address_need_a_site():
    assert 'content="Why?"' in tags("")
    assert "og:image" not in tags("") and "og:url" not in tags("")
    known = tags("https://ada.github.io/turns/")
    assert "https://ada.github.io/turns/_static/social.png" in known
    assert "https://ada.github.io/turns/book/x.html" in known


def test_a_description_of_its_own_is_kept():
    own = '<meta content="Mine" name="description" />'
    assert tags("", metatags=own).count('name="description"') == 1
    assert '"og:description" content="Mine"' in tags("", metatags=own)


def test_the_lost_page_works_at_any_depth():
    [(name, context, template)] = front_door.lost_page(app("https://ada.github.io/turns/"))
    assert (name, template) == ("404", "page.html")
    assert '<base href="https://ada.github.io/turns/" />' in context["metatags"]
    assert 'href="book/preface.html"' in context["body"]


def test_the_map_names_every_page(tmp_path):
    site = SimpleNamespace(
        config=SimpleNamespace(html_baseurl="https://ada.github.io/turns/"),
        builder=SimpleNamespace(format="html"),
        env=SimpleNamespace(found_docs={"book/a", "chapters/b"}),
        outdir=tmp_path,
    )
    front_door.write_map(site, None)
    text = (tmp_path / "sitemap.xml").read_text()
    assert text.count("<loc>https://ada.github.io/turns/") == 2
    assert "sitemap.xml" in (tmp_path / "robots.txt").read_text()
