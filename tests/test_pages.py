"""The built book as a reader meets it: from a disk, without a network, with a keyboard, on a phone.

Needs ``make book`` and a Chromium or Chrome on the machine. Without them the tests are skipped;
with ``REQUIRE_BROWSER=1`` they fail instead. A page is opened once, and each check says what it
finds wrong with it; ``BROKEN`` is a page with one fault for each check.
"""

import gzip
import importlib.util
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import browser as installed
import front_door
import pytest
import torch
from built_book import PAGES, ROOT, SITE, require_book, without
from matplotlib.figure import Figure

from figures import sliders
from rotlib import svd_orthogonalize

pytestmark = pytest.mark.xdist_group("browser")
#: Between them each kind of content: the first page's figure, a slider, the longest formulas,
#: theorems and tables, the ledger, the library. All other pages are left to ``make test-all``.
SAMPLE = {
    "book/preface",
    "chapters/08_the_svd_jacobian",
    "chapters/18_the_verdict",
    "book/claims",
    "book/api",
}
#: axe-core is slow: 40 seconds for the library alone, 12 for chapter 8.
SMALL_SAMPLE = {"book/preface", "chapters/05_why_small_sets_tear", "book/claims"}
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
BEING_REWRITTEN = re.compile(r"chapters/1[4-8]_")
AXE = Path(importlib.util.find_spec("axe_playwright_python").origin).with_name("axe.min.js")
RAW_TEX = re.compile(r"\\\(|\\\[|\$\S[^$\n]*\$|\\(?:frac|begin|mathrm|kappa|lVert)\b")


def every_page(fast):
    """Each page as a test of its own, those that are not named as fast marked exhaustive."""
    assert fast <= set(PAGES)
    left = pytest.mark.exhaustive
    return [pytest.param(page, marks=() if page in fast else left) for page in PAGES]


@pytest.fixture(scope="session")
def browser():
    require_book()
    if installed.find() is None:
        without(installed.MISSING)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = installed.launch(playwright)
        yield chromium
        chromium.close()


@pytest.fixture
def new_page(browser):
    """A fresh page, which is closed after the test."""
    contexts = []

    def open_context(size=DESK):
        contexts.append(browser.new_context(viewport=size))
        return contexts[-1].new_page()

    yield open_context
    for context in contexts:
        context.close()


@pytest.fixture
def visit(new_page):
    """Open a page of the book with the network cut; it notes requests and errors."""

    def open_page(name, size=DESK, folder=SITE):
        page = new_page(size)
        page.requests_out, page.errors, page.files = [], [], set()
        page.on("request", lambda request: page.files.add(request.url))

        def refuse(route):
            page.requests_out.append(route.request.url)
            route.abort()

        page.route(re.compile("^(?!file:|data:|blob:)"), refuse)
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("console", lambda m: page.errors.append(m.text) if m.type == "error" else None)
        path, _, query = name.partition("?")
        page.goto((folder / f"{path}.html").as_uri() + (f"?{query}" if query else ""))
        page.evaluate("document.fonts.ready.then(() => null)")
        return page

    return open_page


def equations_left_raw(page):
    raw = page.evaluate(
        "[...document.querySelectorAll('.bd-article .math')]"
        ".filter(e => !e.querySelector('mjx-container')).map(e => e.textContent)"
    )
    wrong = page.evaluate(
        "[...document.querySelectorAll('mjx-merror, [data-mml-node=\"merror\"]')]"
        ".map(e => e.textContent)"
    )
    text = page.evaluate(
        """() => {
          const article = document.querySelector('.bd-article').cloneNode(true);
          article.querySelectorAll('pre, code, script, mjx-container').forEach(e => e.remove());
          return article.textContent;
        }"""
    )
    return raw + wrong + RAW_TEX.findall(text)


def letters_without_a_shape(page):
    """A font that is refused or cut too short leaves gaps; formulas take their letters from CSS."""
    return page.evaluate(
        """async () => {
          await document.fonts.ready;
          const lost = [...document.fonts].filter(f => f.status === 'error').map(f => f.family);
          // Parts of a brace have no class; the sign between f and its bracket has no width.
          const letters = '.bd-article mjx-container mjx-c[class]:not(.mjx-c2061)';
          const empty = [...document.querySelectorAll(letters)]
            .filter(e => e.offsetParent && !e.closest('details, .toggle-hidden'))
            .filter(e => e.getBoundingClientRect().width === 0);
          return [...new Set([...lost, ...empty.map(e => e.className)])];
        }"""
    )


def sideways_scroll(page):
    width = page.viewport_size["width"]
    wide = page.evaluate("document.scrollingElement.scrollWidth")
    return [f"{wide} in {width}"] if wide > width else []


def formulas_cut_off(page):
    """Nothing may begin to the left of the page, where no scrolling reaches it."""
    return page.evaluate(
        "[...document.querySelectorAll('.bd-article .math, .bd-article .math mjx-container')]"
        ".filter(e => e.getBoundingClientRect().left < 0).map(e => e.textContent.slice(0, 40))"
    )


def formulas_too_wide(page):
    """On a desk none; on a phone none of the chapters, while the library's may be scrolled."""
    if page.viewport_size == PHONE and "/chapters/" not in page.url:
        return []
    return page.evaluate(
        "[...document.querySelectorAll('mjx-container[display=true]')]"
        ".map(e => e.scrollWidth - e.clientWidth).filter(excess => excess > 1)"
    ) + page.evaluate(
        "[...document.querySelectorAll('.bd-article :is(p, li) > .math mjx-container')]"
        ".filter(e => !e.closest('table'))"
        ".map(e => [e.getBoundingClientRect().right, e.closest('p, li')])"
        ".map(([right, p]) => right - p.getBoundingClientRect().right)"
        ".filter(excess => excess > 1)"
    )


def cut_off(page, selector):
    """What must be scrolled sideways to be read."""
    return page.eval_on_selector_all(
        selector,
        "found => found.filter(e => e.scrollWidth > e.clientWidth + 1)"
        ".map(e => e.textContent.trim().slice(0, 60))",
    )


def outputs_cut_off(page):
    return cut_off(page, ".cell_output .output, .cell_output pre")


def code_cut_off(page):
    """On a desk. What is folded may be wide: setup and drawing."""
    code = cut_off(
        page, ":is(.cell_input, .bd-article div.highlight) pre:not(details *, .output *)"
    )
    return [] if BEING_REWRITTEN.search(page.url) else code


def shown_frames(player):
    return player.evaluate(
        "p => [...p.querySelectorAll('img')].flatMap((e, i) => e.offsetParent ? [i] : [])"
    )


def moves(page, player, slider):
    """Whether it moves its picture and its text, by mouse and by key, one picture at a time."""
    output = slider.evaluate_handle("s => s.parentNode.nextElementSibling").as_element()
    first, first_text = shown_frames(player), output.inner_text()
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    page.mouse.click(box["x"] + box["width"] - 4, box["y"] + box["height"] / 2)
    by_mouse, text = shown_frames(player), output.inner_text()
    spoken = slider.get_attribute("aria-valuetext")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    by_key = shown_frames(player)
    return (
        slider.evaluate("s => s.labels.length") == 1
        and len(first) == len(by_mouse) == len(by_key) == 1
        and first != by_mouse != by_key
        and spoken == text != first_text
    )


def sliders_that_do_not_move(page):
    players = page.query_selector_all("figure.rotlib-explore")
    if "/chapters/" in page.url and not players:
        return ["no explore figure"]
    return [
        slider.get_attribute("id") or slider.evaluate("s => s.outerHTML")
        for player in players
        for slider in player.query_selector_all("input[type=range]")
        if not moves(page, player, slider)
    ]


def controls_without_a_name(page):
    return page.evaluate(
        """() => [...document.querySelectorAll('button, input, a[href]')].filter(e =>
          e.type !== 'hidden' && !e.textContent.trim() && !e.ariaLabel && !e.title
          && !e.labels?.length && !e.placeholder && !e.dataset.bsOriginalTitle
          && !e.querySelector('img[alt]')).map(e => e.outerHTML.slice(0, 120))"""
    )


def barriers(page):
    """By axe-core: everything on a light page, the contrasts on a dark one."""
    # A colour half way from one theme to the other is nobody's colour.
    page.add_style_tag(content="* { transition: none !important; animation: none !important; }")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    rules = "{runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice']}"
    contrast = "{runOnly: {type: 'rule', values: ['color-contrast']}}"
    found = []
    for theme, options in (("light", rules), ("dark", contrast)):
        page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        violations = page.evaluate(f"axe.run(document, {options}).then(found => found.violations)")
        found += [
            (theme, violation["id"], violation["nodes"][0]["html"][:120])
            for violation in violations
            if violation["impact"] in ("serious", "critical")
        ]
    return found


def noise(page):
    """Requests that leave the book, and what the page complained of since it was opened."""
    page.wait_for_load_state("networkidle")
    return page.requests_out + page.errors


def too_heavy(page):
    """The page and all that it asked for, text packed as servers do."""
    total, limit = 0, 1_000_000 if page.url.endswith("book/preface.html") else 2_500_000
    for url in (url for url in page.files if url.startswith("file:")):
        path = Path(unquote(urlsplit(url).path))
        packed = path.suffix in (".html", ".js", ".css", ".svg")
        total += len(gzip.compress(path.read_bytes())) if packed else path.stat().st_size
    return [f"{total} bytes"] if total > limit else []


ON_A_PHONE = (
    equations_left_raw,
    letters_without_a_shape,
    sideways_scroll,
    formulas_cut_off,
    formulas_too_wide,
    outputs_cut_off,
)
ON_A_DESK = (
    sideways_scroll,
    formulas_cut_off,
    formulas_too_wide,
    outputs_cut_off,
    code_cut_off,
    sliders_that_do_not_move,
    controls_without_a_name,
    noise,
    too_heavy,
)


def unfold(page):
    page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    page.evaluate("document.querySelectorAll('.toggle-button').forEach(e => e.click())")


def at_rest(page):
    """Side bars slide when the window changes; wait until nothing moves any more."""
    page.evaluate("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")
    page.wait_for_function("document.getAnimations().every(a => a.playState !== 'running')")


def faults(page):
    """What each check finds on a page that was opened on a phone; afterwards it is on a desk."""
    unfold(page)
    found = {check.__name__: check(page) for check in ON_A_PHONE}
    page.set_viewport_size(DESK)
    at_rest(page)
    for check in ON_A_DESK:
        found[check.__name__] = found.get(check.__name__, []) + check(page)
    return {name: what for name, what in found.items() if what}


@pytest.mark.parametrize("name", every_page(fast=SAMPLE))
def test_page(visit, name):
    assert faults(visit(name, PHONE)) == {}


@pytest.mark.parametrize("name", every_page(fast=SMALL_SAMPLE))
def test_page_has_no_serious_barrier(visit, name):
    page = visit(name)
    unfold(page)
    assert barriers(page) == []


BROKEN = f"""<html lang="en"><body><article class="bd-article">
<p>The raw $x^2$ <mjx-container><mjx-c class="none"></mjx-c>
</mjx-container></p><p><span class="math"><mjx-container style="margin-left: 500px">wide
</mjx-container></span></p><div class="math" style="margin-left: -99px">cut</div>
<div style="width: 2000px; background: #fff; color: #eee">pale and wide</div>
<figure class="rotlib-explore"><img alt="A" src=""><label><input type="range"></label>
<output>1</output></figure><button></button>
<div class="cell_input"><pre style="overflow: auto">{"a" * 300}</pre></div>
<div class="cell_output"><pre style="overflow: auto">{"b" * 300}</pre></div>
<img alt="B" src="https://example.org/picture.png">
<script src="heavy.js"></script></article></body></html>"""


def test_every_check_can_fail(visit, tmp_path):
    folder = tmp_path / "chapters"
    folder.mkdir()
    (folder / "broken.html").write_text(BROKEN)
    noise_that_packs_badly = torch.randint(256, (2_600_000,), generator=torch.Generator())
    (folder / "heavy.js").write_bytes(b"//" + bytes(noise_that_packs_badly.tolist()))
    page = visit("chapters/broken", PHONE, folder=tmp_path)
    found = faults(page)
    assert found.keys() == {check.__name__ for check in (*ON_A_PHONE, *ON_A_DESK)}
    assert barriers(page)


def test_a_page_without_scripts_shows_its_text_and_equations(browser):
    context = browser.new_context(viewport=PHONE, java_script_enabled=False, color_scheme="dark")
    page = context.new_page()
    page.goto((SITE / "chapters/08_the_svd_jacobian.html").as_uri())
    heights = [page.locator(f"mjx-container >> nth={k}").bounding_box()["height"] for k in range(9)]
    assert all(10 < height < 200 for height in heights), heights
    assert page.locator("html").get_attribute("data-theme") == "light"
    context.close()


def test_a_lost_page_works_at_any_depth(new_page):
    """As a server shows it: with all its styles and scripts, and every link leads somewhere."""
    base = urlsplit(front_door.site_url(ROOT) or "/").path
    host, lost = "http://book.test", []

    def serve(route):
        path = urlsplit(route.request.url).path
        file = SITE / unquote(path).removeprefix(base)
        if path.startswith(base) and file.is_file():
            route.fulfill(path=file)
        else:
            lost.append(path)
            route.fulfill(path=SITE / "404.html", status=404)

    page = new_page()
    page.route("**/*", serve)
    address = f"{base}chapters/deep/missing.html"
    page.goto(host + address)
    page.wait_for_load_state("networkidle")
    assert lost == [address]
    assert barriers(page) == []
    links = set(page.evaluate("[...document.querySelectorAll('a[href]')].map(a => a.pathname)"))
    files = [SITE / path.removeprefix(base) for path in links - {address}]
    assert len(files) > len(PAGES) - 1
    assert [str(file) for file in files if not file.is_file()] == []


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


def test_the_figure_of_the_first_page_computes_what_rotlib_does(visit):
    """Its three gradients, in the plane, against autograd; and it moves by key and by finger."""
    page = visit("book/preface")
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


WORDS = "Procrustes", "Kabsch", "Wahba", "gimbal lock", "6D", "polar factor", "Rodrigues"


def test_the_search_finds_the_words_of_the_field(visit):
    page = visit("search")
    for words in WORDS:
        page.goto(f"{(SITE / 'search.html').as_uri()}?q={words.replace(' ', '+')}")
        page.wait_for_selector("#search-results li")
        assert page.locator("#search-results li a[href*='chapters/']").count() > 0, words


@pytest.mark.parametrize("name", ["book/recipes", "book/preface"])
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
