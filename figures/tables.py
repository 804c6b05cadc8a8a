"""Put a small table on a page, where a printout would run off it."""

import re
from collections.abc import Iterable, Sequence
from html import escape

from IPython.display import display

from figures.sliders import MINUS, caption_html


def table(header: Sequence[str], rows: Iterable[Sequence[object]], caption: str) -> None:
    """Display a table; its first column names the rows.

    Args:
        header: what stands above each column.
        rows: of as many cells as the header has; numbers come as text, rounded by the caller.
        caption: what to look at; may hold ``$...$``.

    Raises:
        ValueError: for a row of another length, or without a caption.
    """
    rows = [[re.sub(r"^-(?=\d)", MINUS, str(cell)) for cell in row] for row in rows]
    if not caption:
        raise ValueError("table expects a caption; got none")
    if wrong := [row for row in rows if len(row) != len(header)]:
        raise ValueError(f"table expects rows of {len(header)} cells, got {wrong[0]}")
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for first, *cells in rows
    )
    html = (
        f'<figure class="rotlib-table"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>{caption_html(caption)}</figure>"
    )
    text = "\n".join(" | ".join(cells) for cells in [list(header), *rows])
    display({"text/html": html, "text/plain": text}, raw=True)
