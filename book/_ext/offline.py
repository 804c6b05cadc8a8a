"""Ship MathJax with the book, so that a page read from a disk renders every equation.

The package ``sphinx-mathjax-offline`` holds all of MathJax 3 (24 MB). A page needs one program,
its fonts, and the TeX extensions which that program may ask for: 3 MB.
"""

import importlib.util
import shutil
from pathlib import Path

NEEDED = ("tex-chtml.js", "output/chtml/fonts/woff-v2", "input/tex/extensions")


def point_to_local_copy(app, config):
    config.mathjax_path = "mathjax/tex-chtml.js"


def copy_mathjax(app, exception):
    if exception or app.builder.format != "html":
        return
    package = importlib.util.find_spec("sphinx-mathjax-offline")
    source = Path(package.origin).parent / "static" / "mathjax"
    target = Path(app.outdir) / "_static" / "mathjax"
    for name in NEEDED:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (source / name).is_dir() else shutil.copyfile
        if not (target / name).exists():
            copy(source / name, target / name)


def setup(app):
    app.connect("config-inited", point_to_local_copy)
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
