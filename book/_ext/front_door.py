"""What the world sees of a page before opening it: description, preview, icon, map, lost pages.

``sphinxext-opengraph`` writes the preview, ``sphinx-notfound-page`` the lost page; here they learn
what each page is about and the book's address: that of the GitHub Pages of this copy's own
repository, or ``BOOK_SITE_URL``. A preview and a map of the site need an absolute address: without
one they are left out.
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
LARGE_PICTURE = '<meta name="twitter:card" content="summary_large_image" />'
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
    base = site_url(app.srcdir)
    # A server shows the lost page at any depth, so that its links must start at the host's root.
    config.notfound_urls_prefix = path = urlsplit(base or "/").path
    body = LOST.format(home=f"{path}{config.root_doc}.html")
    config.notfound_context = {"title": "Not found", "body": body}
    if base:
        config.html_baseurl = config.ogp_site_url = base
        config.ogp_site_name, config.ogp_type = config.html_title, "article"
        config.ogp_image = "_static/social.png"
        config.ogp_custom_meta_tags = [LARGE_PICTURE]


def description(doctree):
    """What the page says of itself, else its first paragraph: in a chapter its question.

    The library's own runs on through headings, lists and TeX, and stops in the middle of a word.
    """
    for own in doctree.findall(nodes.meta):
        if own.get("name") == "description":
            return own["content"]
    paragraph = next(doctree.findall(nodes.paragraph), None)
    text = QUESTION.sub("", " ".join(paragraph.astext().split())) if paragraph else ""
    if len(text) <= LENGTH:
        return text
    return text[:LENGTH].rsplit(" ", 1)[0] + " …"


def describe(app, pagename, templatename, context, doctree):
    if doctree is None:
        return
    text = escape(description(doctree))
    if 'name="description"' not in context["metatags"]:
        context["metatags"] += f'\n<meta name="description" content="{text}" />'
    context["meta"] = {**(context["meta"] or {}), "og:description": text}


def write_map(app, exception):
    # sphinx-sitemap lists the pages that a build writes: all others are gone after a small change.
    base = app.config.html_baseurl
    if exception or app.builder.name != "html":
        return
    pages = sorted(app.env.found_docs)
    urls = "".join(f"<url><loc>{base}{page}.html</loc></url>\n" for page in pages)
    space = "http://www.sitemaps.org/schemas/sitemap/0.9"
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="{space}">\n{urls}</urlset>\n'
    Path(app.outdir, "sitemap.xml").write_text(text, encoding="utf-8")
    robots = f"User-agent: *\nAllow: /\nSitemap: {base}sitemap.xml\n"
    Path(app.outdir, "robots.txt").write_text(robots, encoding="utf-8")


def setup(app):
    app.connect("config-inited", set_site)
    # Before opengraph, which has the default priority.
    app.connect("html-page-context", describe, priority=400)
    app.setup_extension("notfound.extension")
    if site_url(app.srcdir):
        app.setup_extension("sphinxext.opengraph")
        app.connect("build-finished", write_map)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
