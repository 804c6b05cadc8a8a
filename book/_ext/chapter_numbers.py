"""Number equations, figures, theorems and exercises by their chapter's own number: (8.7).

A chapter's number is in its file name and its title, so that chapters may appear in any order of
writing. Sphinx would number the files it finds 1, 2, 3; here it is told the real numbers while it
counts, and forgets them before it would print them in front of every heading.
"""

import re

from sphinx.environment.collectors.toctree import TocTreeCollector


def chapter_number(docname):
    """8 for ``chapters/08_the_svd_jacobian``; ``None`` for a page that is no chapter."""
    found = re.match(r"chapters/(\d+)_", docname)
    return int(found.group(1)) if found else None


def number_by_chapter(app, env):
    numbers = {name: chapter_number(name) for name in env.found_docs}
    shown = env.toc_secnumbers
    env.toc_secnumbers = {name: {"": (n,)} for name, n in numbers.items() if n is not None}
    try:
        return TocTreeCollector().assign_figure_numbers(env)
    finally:
        env.toc_secnumbers = shown


def setup(app):
    # After Sphinx's own count at the default priority.
    app.connect("env-get-updated", number_by_chapter, priority=800)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
