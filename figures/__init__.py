"""The drawings of the book: each takes tensors or tables and returns a matplotlib figure.

``chapter_NN`` holds what chapter NN draws, by names that say what is drawn; what two or more
chapters draw stands in ``shared``, and the chapter's file passes it on. A chapter begins with::

    from figures import chapter_08 as draw
    from figures import explore, show

``style`` is the one look of the book, ``scene`` the pieces of a picture in space, and ``sliders``
puts a figure on a page, still (``show``) or moving (``explore``). ``tables`` puts numbers there
(``table``).
"""

from figures.sliders import explore, show
from figures.tables import table

__all__ = ["explore", "show", "table"]
