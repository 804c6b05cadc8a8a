"""Let a docstring cite as a chapter does: ``{cite}`key``` becomes ``:cite:`key```.

The API page is reStructuredText inside, the book is MyST; docstrings use the book's spelling,
which reads better in an editor too.
"""

import re

MYST_ROLE = re.compile(r"\{([a-zA-Z][\w:.-]*)\}(`[^`]+`)")
LEAD_IN = re.compile(r"^(\s*)(Source|Singular points): +(?=\S)")


def myst_to_rst(line):
    """Translate the roles of one line and set its lead-in bold."""
    return LEAD_IN.sub(r"\1**\2:** ", MYST_ROLE.sub(r":\1:\2", line))


def translate(app, what, name, obj, options, lines):
    lines[:] = [myst_to_rst(line) for line in lines]


def setup(app):
    # Before napoleon (500), which would read "Source: ..." as the head of a section.
    app.connect("autodoc-process-docstring", translate, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
