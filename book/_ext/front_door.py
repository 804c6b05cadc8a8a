"""What the world sees of a page before opening it: description, preview, icon, map, lost pages.

A preview picture and a map of the site need an absolute address. It is that of the GitHub Pages of
this copy's own repository, or ``BOOK_SITE_URL``; without either they are left out.
"""

import os
import re
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

import repository
from docutils import nodes

QUESTION = re.compile(r"^The question\.\s*")
LENGTH = 200
LOST = """<h1>This page is not here</h1>
<p>It may have moved. The <a href="{home}">first page</a> has the way in, and the list on the
left all chapters. The search finds words such as <em>Procrustes</em> or <em>6D</em>.</p>"""


def site_url(folder, environment=os.environ):
    """Address at which this copy of the book is published, with a slash at its end, or ``None``."""
    if environment.get("BOOK_SITE_URL"):
        return environment["BOOK_SITE_URL"].rstrip("/") + "/"
    address = repository.find_repository(folder, environment)
    if address is None or urlsplit(address).hostname != "github.com":
        return None
    owner, name = urlsplit(address).path.strip("/").split("/")[:2]
    home = f"https://{owner.lower()}.github.io/"
    return home if name.lower() == f"{owner.lower()}.github.io" else f"{home}{name}/"


def set_site(app, config):
    config.html_baseurl = site_url(app.srcdir) or ""


def description(doctree):
    """The first paragraph: in a chapter its question."""
    paragraph = next(doctree.findall(nodes.paragraph), None)
    text = QUESTION.sub("", " ".join(paragraph.astext().split())) if paragraph else ""
    if len(text) <= LENGTH:
        return text
    return text[:LENGTH].rsplit(" ", 1)[0] + " …"


def describe(app, pagename, templatename, context, doctree):
    if doctree is None:
        return
    tags = context.get("metatags", "")
    found = re.search(r'<meta[^>]*content="([^"]*)"[^>]*name="description"', tags)
    text = found.group(1) if found else escape(description(doctree))
    if not found:
        tags += f'\n<meta name="description" content="{text}" />'
    title = escape(nodes.Text(context.get("title", "")).astext())
    title = re.sub(r"&lt;.*?&gt;", "", title)
    facts = {"og:type": "article", "og:title": title, "og:description": text}
    if app.config.html_baseurl:
        facts["og:url"] = f"{app.config.html_baseurl}{pagename}.html"
        facts["og:image"] = f"{app.config.html_baseurl}_static/social.png"
        facts["twitter:card"] = "summary_large_image"
    for name, value in facts.items():
        tags += f'\n<meta property="{name}" content="{value}" />'
    context["metatags"] = tags


def lost_page(app):
    # A server shows it at any depth, so that its links must not be relative.
    base = app.config.html_baseurl
    head = f'<base href="{base}" />' if base else ""
    body = LOST.format(home=f"{app.config.root_doc}.html")
    yield "404", {"title": "Not found", "body": body, "metatags": head}, "page.html"


def write_map(app, exception):
    base = app.config.html_baseurl
    if exception or app.builder.format != "html" or not base:
        return
    pages = sorted(app.env.found_docs)
    lines = [f"  <url><loc>{base}{page}.html</loc></url>" for page in pages]
    head = '<?xml version="1.0" encoding="UTF-8"?>'
    text = "\n".join([head, '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">', *lines])
    Path(app.outdir, "sitemap.xml").write_text(f"{text}\n</urlset>\n", encoding="utf-8")
    robots = f"User-agent: *\nAllow: /\nSitemap: {base}sitemap.xml\n"
    Path(app.outdir, "robots.txt").write_text(robots, encoding="utf-8")


def setup(app):
    app.connect("config-inited", set_site)
    app.connect("html-page-context", describe, priority=800)
    app.connect("html-collect-pages", lost_page)
    app.connect("build-finished", write_map)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
