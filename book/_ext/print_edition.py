"""The whole book as one page, for ``make pdf``: with every node that a page of its own can hold."""


def share_handlers(app):
    # An extension that names the single-page builder hides there what all others said of HTML.
    handlers = app.registry.translation_handlers
    handlers["singlehtml"] = {**handlers.get("html", {}), **handlers.get("singlehtml", {})}


def setup(app):
    app.connect("builder-inited", share_handlers)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
