r"""Keep ``\tag{1.4}`` working in an equation that holds a matrix.

Sphinx puts every equation that holds ``\\`` into a ``split`` environment, where MathJax allows no
tag. Such an equation is passed on whole instead, as an ``equation``.
"""

from docutils import nodes


def pass_on_whole(app, doctree):
    for block in doctree.findall(nodes.math_block):
        text = block.astext()
        if r"\tag" in text and r"\\" in text and not block.get("nowrap"):
            block.children = [nodes.Text(rf"\begin{{equation}}{text}\end{{equation}}")]
            block["nowrap"] = True


def setup(app):
    app.connect("doctree-read", pass_on_whole)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
