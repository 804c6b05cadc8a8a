"""Let a page begin before all of it has come: one small style sheet, small fonts, pictures apart.

As Sphinx writes it, a chapter waits for fifteen style sheets, most of whose rules no page uses, for
a font of 1,400 icons, and for its pictures, which stand in its text. At the end of the build the
rules that some page or script can use go into one file, fonts keep the letters that those rules
name, and pictures become files, which a browser fetches when they come near.
"""

import base64
import hashlib
import re
from pathlib import Path, PurePosixPath

import tinycss2
from fontTools import subset

SHEET = re.compile(
    r'[ \t]*<link (?=[^>]*rel="stylesheet")[^>]*href="(?P<root>[^":]*?)(?P<path>_static/[^"?]+)'
    r"[^>]*>\n?"
)
BUNDLE = "_static/all.css"
OPTIONS = re.compile(r'<script src="[^"]*documentation_options\.js[^"]*"></script>')
PICTURE = re.compile(
    r'(?P<tag><img\b[^>]*?\ssrc=")data:image/(?P<kind>\w+);base64,(?P<data>[^"]+)"'
)
URL = re.compile(r"url\(\s*[\"']?(?!data:|[a-z]+:|#)([^\"')?#]+)[^\"')]*[\"']?\s*\)")
IMPORT = re.compile(r"@import\s+(?:url\()?\s*[\"']?([^\"')\s;]+)[\"']?\s*\)?\s*;")
# What a rule asks for beside its classes and names is not looked at: it may hold at any time.
FUNCTION = re.compile(r":(?:not|is|where|has)\([^()]*\)")
NAME = re.compile(r"[.#]((?:[\w-]|\\.)+)")
ESCAPED = re.compile(r"\\([0-9a-fA-F]{2,6})")


def words_of(texts):
    """All words of pages and scripts; a class that is not among them is never set."""
    return {word for text in texts for word in re.findall(r"[^\s\"'<>=.,;()\[\]{}`]+", text)}


def may_match(selector, words):
    previous = None
    while previous != selector:
        previous, selector = selector, FUNCTION.sub("", selector)
    return all(name.replace("\\", "") in words for name in NAME.findall(selector))


def used_rules(rules, words):
    """The style sheet's rules that may hold for some page, as text."""
    kept = []
    for rule in rules:
        if rule.type == "qualified-rule":
            selectors = tinycss2.serialize(rule.prelude).strip()
            alive = [one for one in split_at_commas(selectors) if may_match(one, words)]
            if alive:
                kept.append(f"{','.join(alive)}{{{tinycss2.serialize(rule.content).strip()}}}")
        elif rule.type == "at-rule" and rule.lower_at_keyword in ("media", "supports"):
            inner = used_rules(tinycss2.parse_rule_list(rule.content, True, True), words)
            if inner:
                prelude = tinycss2.serialize(rule.prelude)
                kept.append(f"@{rule.lower_at_keyword}{prelude}{{{inner}}}")
        elif rule.type == "at-rule" and rule.lower_at_keyword != "charset":
            kept.append(rule.serialize())
        elif rule.type == "error":
            raise ValueError(f"a style sheet cannot be read: {rule.message}")
    return "\n".join(kept)


def split_at_commas(selectors):
    """``a, :is(b, c)`` is two selectors, not three."""
    parts, depth = [""], 0
    for letter in selectors:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def resolve(folder, address):
    """Where an address in a style sheet leads, as a path from the site's first page."""
    parts = []
    for part in (PurePosixPath(folder) / address.strip()).parts:
        parts = parts[:-1] if part == ".." else [*parts, part]
    return "/".join(parts)


def read_sheet(site, path, words):
    """The rules of a sheet that are used, those of the sheets that it imports before them."""
    folder = PurePosixPath(path).parent
    text = (site / path).read_text(encoding="utf-8")
    imported = []

    def take_in(match):
        imported.append(read_sheet(site, resolve(folder, match[1]), words))
        return ""

    rules = tinycss2.parse_stylesheet(
        IMPORT.sub(take_in, text), skip_comments=True, skip_whitespace=True
    )
    home = PurePosixPath(BUNDLE).parent

    def from_home(match):
        return f'url("{PurePosixPath(resolve(folder, match[1])).relative_to(home)}")'

    return "\n".join([*imported, URL.sub(from_home, used_rules(rules, words))])


def make_fonts_small(site, css):
    """Fonts of what the style sheet writes into pages: icons, and the letters of formulas."""
    letters = {int(code, 16) for code in ESCAPED.findall(css)} | {ord(letter) for letter in css}
    for address in sorted(set(URL.findall(css))):
        font = site / "_static" / address
        if font.suffix not in (".woff", ".woff2") or not font.exists():
            continue
        # To read or write woff2 takes one package more, and icons come as ttf as well.
        source = font.with_suffix(".ttf") if font.suffix == ".woff2" else font
        options = subset.Options(flavor="woff", notdef_outline=True, layout_features=["*"])
        options.drop_tables += ["FFTM"]  # when it was made
        few = subset.load_font(source, options)
        if not letters & few.getBestCmap().keys():
            continue  # a browser refuses a font without letters
        subsetter = subset.Subsetter(options)
        subsetter.populate(unicodes=letters)
        subsetter.subset(few)
        subset.save_font(few, font.with_suffix(".woff"), options)
        if source != font:
            font.unlink()
            source.unlink()
            new = str(PurePosixPath(address).with_suffix(".woff"))
            css = css.replace(address, new).replace(f'"{new}") format("woff2")', f'"{new}")')
            old = re.escape(str(PurePosixPath(address).with_suffix(".ttf")))
            css = re.sub(rf',\s*url\("{old}"\) format\("truetype"\)', "", css)
    return css


def move_pictures(site, text, root):
    """The page with its pictures in files of their own, named by what they hold."""

    def one(picture):
        data = base64.b64decode(picture["data"])
        name = f"_static/pictures/{hashlib.sha256(data).hexdigest()[:16]}.{picture['kind']}"
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_bytes(data)
        # The pictures behind a slider are hidden: lazy ones would come only when it moves.
        when = 'fetchpriority="low"' if " hidden " in picture["tag"] else 'loading="lazy"'
        return f'{picture["tag"]}{root}{name}" {when}'

    return PICTURE.sub(one, text)


def lighten(app, exception):
    if exception or app.builder.name != "html":
        return
    site = Path(app.outdir)
    pages = {
        path: path.read_text(encoding="utf-8")
        for path in sorted(site.rglob("*.html"))
        if "_static" not in path.relative_to(site).parts  # the theme leaves a template there
    }
    scripts = [path.read_text(encoding="utf-8") for path in site.rglob("*.js")]
    # A build that is not the first writes few pages anew: the others have lost their links.
    bundle = site / BUNDLE
    known = bundle.read_text(encoding="utf-8").partition("\n")[0] if bundle.exists() else ""
    linked = [sheet["path"] for text in pages.values() for sheet in SHEET.finditer(text)]
    sheets = dict.fromkeys([*known.split()[1:-1], *linked])
    sheets.pop(BUNDLE, None)
    words = words_of([*pages.values(), *scripts])
    css = "\n".join(read_sheet(site, sheet, words) for sheet in sheets)
    first_line = f"/* {' '.join(sheets)} */\n"
    bundle.write_text(first_line + make_fonts_small(site, css), encoding="utf-8")
    options = (site / "_static/documentation_options.js").read_text(encoding="utf-8")
    for path, text in pages.items():
        if not SHEET.search(text):
            continue
        root = SHEET.search(text)["root"]
        first = SHEET.search(text).start()
        text = SHEET.sub("", text)
        text = f'{text[:first]}<link rel="stylesheet" href="{root}{BUNDLE}">\n{text[first:]}'
        text = OPTIONS.sub(lambda _: f"<script>{options}</script>", text)
        path.write_text(move_pictures(site, text, root), encoding="utf-8")


def setup(app):
    # After the formulas are set: they bring a style sheet.
    app.connect("build-finished", lighten, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
