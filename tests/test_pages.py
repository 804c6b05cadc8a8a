"""The built book as a reader meets it: from a disk, without a network, with a keyboard, on a phone.

Needs ``make book`` and a Chromium or Chrome on the machine. Without them the tests are skipped;
with ``REQUIRE_BROWSER=1`` they fail instead.
"""

import gzip
import importlib.util
import os
import re
import shutil
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import repository
import torch
from bs4 import BeautifulSoup
from matplotlib.figure import Figure

from figures import sliders
from rotlib import svd_orthogonalize

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "_build" / "html"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
).split()
PAGES = sorted(
    str(path.relative_to(SITE))
    for folder in ("book", "chapters")
    for path in SITE.glob(f"{folder}/*")
    if path.suffix == ".html"
)
CHAPTERS = [page for page in PAGES if page.startswith("chapters/")]
AXE = Path(importlib.util.find_spec("axe_playwright_python").origin).with_name("axe.min.js")
RAW_TEX = re.compile(r"\\\(|\\\[|\$\S[^$\n]*\$|\\(?:frac|begin|mathrm|kappa|lVert)\b")


def without_browser(reason):
    if os.environ.get("REQUIRE_BROWSER") == "1":
        pytest.fail(f"REQUIRE_BROWSER=1, but {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def browser():
    if not PAGES:
        without_browser("there is no built book: run `make book` first")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        without_browser(f"none of {', '.join(BROWSERS)} is installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser):
    """Open a page of the book with the network cut; it notes requests and errors."""
    contexts = []

    def open_page(name, width=1280, height=900):
        context = browser.new_context(viewport={"width": width, "height": height})
        contexts.append(context)
        page = context.new_page()
        page.requests_out, page.errors, page.files = [], [], set()
        page.on("request", lambda request: page.files.add(request.url))

        def refuse(route):
            page.requests_out.append(route.request.url)
            route.abort()

        page.route(re.compile("^(?!file:|data:|blob:)"), refuse)
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("console", lambda m: page.errors.append(m.text) if m.type == "error" else None)
        path, _, query = name.partition("?")
        page.goto((SITE / path).as_uri() + (f"?{query}" if query else ""))
        # A page without an equation does not load MathJax.
        page.wait_for_function("!window.MathJax || MathJax.startup?.promise")
        page.evaluate("window.MathJax && MathJax.startup.promise.then(() => null)")
        return page

    yield open_page
    for context in contexts:
        context.close()


def soup(name):
    return BeautifulSoup((SITE / name).read_text(encoding="utf-8"), "html.parser")


def test_there_are_pages_to_test():
    if not PAGES:
        without_browser("there is no built book: run `make book` first")
    sources = sorted(path.stem for path in (ROOT / "chapters").glob("*.ipynb"))
    assert [Path(page).stem for page in CHAPTERS] == sources


@pytest.mark.parametrize("name", PAGES)
def test_page_is_self_contained_and_silent(visit, name):
    page = visit(name)
    page.wait_for_load_state("networkidle")
    assert page.requests_out == []
    assert page.errors == []


@pytest.mark.parametrize("name", PAGES)
def test_every_equation_is_rendered(visit, name):
    page = visit(name)
    raw = page.evaluate(
        "[...document.querySelectorAll('.bd-article .math')]"
        ".filter(e => !e.querySelector('mjx-container')).map(e => e.textContent)"
    )
    assert raw == []
    wrong = page.evaluate(
        "[...document.querySelectorAll('mjx-merror, [data-mml-node=\"merror\"]')]"
        ".map(e => e.textContent)"
    )
    assert wrong == []
    text = page.evaluate(
        """() => {
          const article = document.querySelector('.bd-article').cloneNode(true);
          article.querySelectorAll('pre, code, script, mjx-container').forEach(e => e.remove());
          return article.textContent;
        }"""
    )
    assert RAW_TEX.findall(text) == []


@pytest.mark.parametrize("name", PAGES)
def test_page_does_not_scroll_sideways_on_a_phone(visit, name):
    page = visit(name, width=390, height=844)
    page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    page.evaluate("document.querySelectorAll('.toggle-button').forEach(e => e.click())")
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 390
    # Nor may anything begin to the left of the page, where no scrolling reaches it.
    cut = page.evaluate(
        "[...document.querySelectorAll('.bd-article .math, .bd-article .math mjx-container')]"
        ".filter(e => e.getBoundingClientRect().left < 0).map(e => e.textContent.slice(0, 40))"
    )
    assert cut == []
    if name in CHAPTERS:
        too_wide = page.evaluate(
            "[...document.querySelectorAll('mjx-container[display=true]')]"
            ".map(e => e.scrollWidth - e.clientWidth).filter(excess => excess > 1)"
        )
        too_wide += page.evaluate(
            "[...document.querySelectorAll('.bd-article :is(p, li) > .math mjx-container')]"
            ".filter(e => !e.closest('table'))"
            ".map(e => [e.getBoundingClientRect().right, e.closest('p, li')])"
            ".map(([right, p]) => right - p.getBoundingClientRect().right)"
            ".filter(excess => excess > 1)"
        )
        assert too_wide == [], "formulas that do not fit"


def shown_frames(player):
    return player.evaluate(
        "p => [...p.querySelectorAll('img')].flatMap((e, i) => e.offsetParent ? [i] : [])"
    )


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_slider_moves_its_picture_by_mouse_and_by_key(visit, name):
    page = visit(name)
    players = page.query_selector_all("figure.rotlib-explore")
    assert players, "no explore figure"
    for player in players:
        for slider in player.query_selector_all("input[type=range]"):
            assert slider.evaluate("s => s.labels.length") == 1
            output = slider.evaluate_handle("s => s.parentNode.nextElementSibling").as_element()
            first, first_text = shown_frames(player), output.inner_text()
            assert len(first) == 1
            slider.scroll_into_view_if_needed()
            box = slider.bounding_box()
            page.mouse.click(box["x"] + box["width"] - 4, box["y"] + box["height"] / 2)
            by_mouse = shown_frames(player)
            assert len(by_mouse) == 1 and by_mouse != first
            assert output.inner_text() != first_text
            assert slider.get_attribute("aria-valuetext") == output.inner_text()
            slider.focus()
            page.keyboard.press("ArrowLeft")
            by_key = shown_frames(player)
            assert len(by_key) == 1 and by_key != by_mouse


def test_two_sliders_reach_every_picture_of_their_grid(browser, monkeypatch):
    """No chapter has two sliders yet; this page does, with a value that is hard to quote."""
    bundles = []
    monkeypatch.setattr(sliders, "display", lambda bundle, raw: bundles.append(bundle))

    def draw(x, name):
        figure = Figure(figsize=(1, 1))
        figure.text(0, 0, f"{x}{name}")
        return figure

    sliders.explore(draw, alt="A text", x=[0, 1], name=['a|"b"', "c", "d"])
    page = browser.new_page()
    page.set_content(bundles[0]["text/html"])
    player = page.query_selector("figure")
    texts = []
    for x in range(2):
        for n in range(3):
            for slider, value in zip(player.query_selector_all("input"), (x, n), strict=True):
                slider.fill(str(value))
            assert shown_frames(player) == [3 * x + n]
            texts.append([o.inner_text() for o in player.query_selector_all("output")])
    page.close()
    assert texts == [[str(x), name] for x in range(2) for name in ('a|"b"', "c", "d")]


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name):
    page, broken = soup(name), []
    for link in page.select("a[href]"):
        target = urlsplit(link["href"])
        if target.scheme or link["href"] == "#":
            continue
        path = (SITE / name).parent / unquote(target.path) if target.path else SITE / name
        if not path.is_file():
            broken.append(link["href"])
        elif target.fragment and path.suffix == ".html":
            other = page if path == SITE / name else soup(path.resolve().relative_to(SITE))
            if not other.find(id=unquote(target.fragment)):
                broken.append(link["href"])
    assert broken == []


@pytest.mark.parametrize("name", PAGES)
def test_every_picture_exists_and_has_alt_text(name):
    for image in soup(name).select("img"):
        assert image.get("alt", "").strip(), str(image)[:120]
        source = image["src"]
        assert source.startswith("data:") or ((SITE / name).parent / source).is_file(), source


@pytest.mark.parametrize("name", PAGES)
def test_every_control_has_a_name(visit, name):
    nameless = visit(name).evaluate(
        """() => [...document.querySelectorAll('button, input, a[href]')].filter(e =>
          e.type !== 'hidden' && !e.textContent.trim() && !e.ariaLabel && !e.title
          && !e.labels?.length && !e.placeholder && !e.dataset.bsOriginalTitle
          && !e.querySelector('img[alt]')).map(e => e.outerHTML.slice(0, 120))"""
    )
    assert nameless == []


@pytest.mark.parametrize("name", CHAPTERS)
def test_launch_buttons_lead_to_this_repository_or_are_absent(name):
    page, url = soup(name), repository.find_repository(ROOT)
    binder = page.select('a[href*="mybinder.org"]')
    if url is None:
        assert not page.select(".dropdown-launch-buttons, .dropdown-source-buttons")
        assert not binder
        assert "thebe-config" not in str(page)
    else:
        owner_and_name = urlsplit(url).path.strip("/")
        assert any(owner_and_name in unquote(link["href"]) for link in binder)


def test_the_figure_of_the_first_page_computes_what_rotlib_does(visit):
    """Its three gradients, in the plane, against autograd; and it moves by key and by finger."""
    page = visit("book/preface.html")
    generator = torch.Generator().manual_seed(0)
    for M in torch.randn(20, 2, 2, generator=generator, dtype=torch.float64):
        M, goal = M.requires_grad_(), torch.tensor(0.3, dtype=torch.float64)
        T = torch.stack([goal.cos(), -goal.sin(), goal.sin(), goal.cos()]).view(2, 2)
        first = torch.nn.functional.normalize(M[:, 0], dim=0)
        gram = torch.stack([first, torch.stack([-first[1], first[0]])], 1)
        for name, R in {"svd": svd_orthogonalize(M), "gram": gram, "direct": M}.items():
            (expected,) = torch.autograd.grad((R - T).square().sum() / 2, M, retain_graph=True)
            call = f"threeGradients.methods.{name}({M.flatten().tolist()}, 0.3).gradient"
            assert page.evaluate(call) == pytest.approx(expected.flatten().tolist(), abs=1e-9)
    lengths = ".three-gradients .panels output"
    before = page.locator(lengths).all_inner_texts()
    page.focus(".three-gradients input")
    page.keyboard.press("ArrowLeft")
    after = page.locator(lengths).all_inner_texts()
    assert before[0] != after[0] and before[2] != after[2]
    handle = page.locator(".three-gradients circle:not(.unit)").first.bounding_box()
    page.mouse.move(handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2)
    page.mouse.down()
    page.mouse.move(handle["x"] + 30, handle["y"] - 20)
    page.mouse.up()
    assert page.locator(lengths).all_inner_texts() != after


def test_site_is_small():
    if not PAGES:
        without_browser("there is no built book: run `make book` first")
    size = sum(path.stat().st_size for path in SITE.rglob("*") if path.is_file())
    assert size < 18_000_000, f"{size / 1e6:.1f} MB"


def transferred(page):
    """Bytes of the page and of all that it asked for, text packed as servers do."""
    total = 0
    for url in (url for url in page.files if url.startswith("file:")):
        path = Path(unquote(urlsplit(url).path))
        packed = path.suffix in (".html", ".js", ".css", ".svg")
        total += len(gzip.compress(path.read_bytes())) if packed else path.stat().st_size
    return total


@pytest.mark.parametrize("name", PAGES)
def test_page_is_light(visit, name):
    page = visit(name)
    page.wait_for_load_state("networkidle")
    assert transferred(page) < (1_000_000 if name == "book/preface.html" else 2_500_000)


@pytest.mark.parametrize("name", PAGES)
def test_text_does_not_wait_for_scripts(name):
    blocking = [s["src"] for s in soup(name).select("script[src]:not([defer]):not([async])")]
    assert all("documentation_options" in address for address in blocking), blocking
    assert len(blocking) <= 1
    assert not soup(name).select('script[src*="searchindex"]')


@pytest.mark.parametrize("name", [*PAGES, "404.html"])
def test_page_has_no_serious_barrier(visit, name):
    """By axe-core: everything on a light page, the contrasts on a dark one."""
    page = visit(name)
    # A colour half way from one theme to the other is nobody's colour.
    page.add_style_tag(content="* { transition: none !important; animation: none !important; }")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    rules = "{runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice']}"
    contrast = "{runOnly: {type: 'rule', values: ['color-contrast']}}"
    for theme, options in (("light", rules), ("dark", contrast)):
        page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        found = page.evaluate(f"axe.run(document, {options}).then(found => found.violations)")
        barriers = [
            (theme, violation["id"], violation["nodes"][0]["html"][:120])
            for violation in found
            if violation["impact"] in ("serious", "critical")
        ]
        assert barriers == []


@pytest.mark.parametrize("name", PAGES)
def test_page_says_what_it_is(name):
    page = soup(name)
    assert page.title.text.endswith("Learning 3D Rotations")
    said = page.find("meta", attrs={"name": "description"})["content"]
    assert 30 < len(said) <= 260
    assert page.find("meta", property="og:title")["content"] in page.find("h1").text
    assert page.find("link", rel="icon")
    assert len(page.select(".bd-article h1")) == 1


@pytest.mark.parametrize(
    "words", ["Procrustes", "Kabsch", "Wahba", "gimbal lock", "6D", "polar factor", "Rodrigues"]
)
def test_the_search_finds_the_words_of_the_field(visit, words):
    page = visit(f"search.html?q={words.replace(' ', '+')}")
    page.wait_for_selector("#search-results li")
    assert page.locator("#search-results li a[href*='chapters/']").count() > 0


@pytest.mark.parametrize("name", ["book/recipes.html", "book/preface.html"])
def test_what_is_copied_runs(visit, name):
    """The copy button leaves out the prompts of a session, and what it printed."""
    page = visit(name)
    page.evaluate(
        "window.copied = []; document.addEventListener('copy', () => "
        "window.copied.push(document.activeElement.value))"
    )
    for button in page.locator("div.highlight-python button.copybtn").all():
        button.click(force=True)
    copied = page.evaluate("window.copied")
    sessions = [text for text in copied if "import torch" in text or "torch." in text]
    assert sessions
    for text in sessions:
        assert ">>>" not in text and "..." not in text.split()
        compile(text, name, "exec")
