"""The files of the built book, without a browser: links, pictures, heads, addresses, sizes.

Needs ``make book``. Each test looks at every page, and names those at fault.
"""

import re
from functools import cache
from urllib.parse import unquote, urlsplit

import page_weight
import pytest
import repository
import typeset
from built_book import CHAPTERS, PAGES, ROOT, SITE, require_book, soup, text_of

pytestmark = pytest.mark.xdist_group("page files")
# What Sphinx could not make sense of stands red on the page, or as a reference left plain.
BUILD_ERROR = re.compile(r'<[^>]*class="[^"]*\b(?:system-message|problematic|xref myst)\b[^>]*>')


@pytest.fixture(autouse=True)
def built_book():
    require_book()


def faults_of(find, pages=PAGES):
    """What ``find`` finds on each page, where it finds something."""
    return {page: found for page in pages if (found := list(find(page)))}


@cache
def ids(page):
    return {tag["id"] for tag in soup(page).find_all(id=True)}


def broken_links(page):
    here = SITE / f"{page}.html"
    for link in soup(page).find_all("a", href=True):
        target = urlsplit(link["href"])
        if target.scheme or link["href"] == "#":
            continue
        path = (here.parent / unquote(target.path)).resolve() if target.path else here
        if not path.is_file():
            yield link["href"]
        elif target.fragment and path.suffix == ".html":
            if unquote(target.fragment) not in ids(str(path.relative_to(SITE).with_suffix(""))):
                yield link["href"]


def test_every_link_leads_somewhere():
    assert not faults_of(broken_links)


def pictures_at_fault(page):
    for image in soup(page).find_all("img"):
        source = image["src"]
        there = (SITE / page).parent.joinpath(source).is_file()
        if not there or not image.get("alt", "").strip():
            yield str(image)[:120]


def test_every_picture_exists_and_has_alt_text():
    assert not faults_of(pictures_at_fault)


def test_no_page_shows_an_error_of_the_build():
    assert not faults_of(lambda page: BUILD_ERROR.findall(text_of(page)))


def scripts_in_the_way(page):
    scripts = [script.attrs for script in soup(page).find_all("script", src=True)]
    blocking = [s["src"] for s in scripts if "defer" not in s and "async" not in s]
    yield from (name for name in blocking if "documentation_options" not in name)
    yield from blocking[1:]
    yield from (s["src"] for s in scripts if "searchindex" in s["src"])


def test_text_does_not_wait_for_scripts():
    assert not faults_of(scripts_in_the_way)


@cache
def style_sheet():
    return (SITE / page_weight.BUNDLE).read_text(encoding="utf-8")


def mathematics_at_fault(page):
    text = text_of(page)
    yield from (f"not set: {tex}" for tex, _ in typeset.formulas_of(text))
    yield from re.findall(r"<script[^>]*>[^<]*MathJax", text)
    yield from re.findall(r"<script[^>]*/tex-[^>]*>", text)
    containers = soup(page).find_all("mjx-container")
    yield from (f"no MathML: {tag}"[:80] for tag in containers if not tag.find("math"))
    used = set(typeset.CHARACTER.findall(text))
    if not used <= set(typeset.CHARACTER.findall(style_sheet())):
        yield "letters that no style sheet knows"


def test_mathematics_needs_no_script():
    assert not faults_of(mathematics_at_fault)
    chapter = soup("chapters/08_the_svd_jacobian")
    assert len(chapter.find_all("mjx-container", display="true")) > 15


def weight_at_fault(page):
    head = soup(page)
    sheets = [link["href"] for link in head.find_all("link", rel="stylesheet")]
    if not (len(sheets) == 1 and sheets[0].endswith(page_weight.BUNDLE)):
        yield sheets
    if "base64," in text_of(page):
        yield "a picture in the page"
    if head.find("script", src=re.compile("documentation_options")):
        yield "waits for a script"


def test_a_page_waits_for_one_style_sheet_and_holds_no_picture():
    assert not faults_of(weight_at_fault, ["404", *PAGES])
    assert len(style_sheet()) < 250_000
    folder = (SITE / page_weight.BUNDLE).parent
    assert not [
        url for url in page_weight.URL.findall(style_sheet()) if not (folder / url).exists()
    ]


@pytest.mark.parametrize("page", ["404", *PAGES])
def test_page_says_what_it_is(page):
    head = soup(page)
    assert head.title.text.endswith("Learning 3D Rotations")
    assert head.find("link", rel="icon")
    assert len(head.select(".bd-article h1")) == 1
    if page != "404":
        (said,) = head.find_all("meta", attrs={"name": "description"})
        assert 30 < len(said["content"]) <= 260
        assert not said["content"].startswith("The question")
        preview = head.find("meta", property="og:title")
        assert preview is None or preview["content"] in head.find("h1").text


def strange_buttons(page):
    text, url = text_of(page), repository.find_repository(ROOT)
    if url is None:
        strange = (
            "dropdown-launch-buttons",
            "dropdown-source-buttons",
            "mybinder.org",
            "thebe-config",
        )
        yield from (words for words in strange if words in text)
    else:
        own = re.escape(urlsplit(url).path.strip("/"))
        if not re.search(rf'href="[^"]*mybinder\.org[^"]*{own}', unquote(text)):
            yield f"no Binder link to {url}"


def test_launch_buttons_lead_to_this_repository_or_are_absent():
    assert not faults_of(strange_buttons, CHAPTERS)


def test_site_is_small():
    size = sum(path.stat().st_size for path in SITE.rglob("*") if path.is_file())
    assert size < 18_000_000, f"{size / 1e6:.1f} MB"
