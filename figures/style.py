"""One look for the whole book: one colour for each representation, sizes that a phone can show.

Colours and names are those of each head's record in :mod:`rotlib.experiments.heads`. The first
ones are the colours of Okabe and Ito, which stay apart for colour-blind readers.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ParamSpec

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from rotlib.experiments.heads import HEADS

P = ParamSpec("P")

INK = "#1f2430"
MUTED = "#7a8190"
FAINT = "#d5d9e0"


class _FieldOfHeads(Mapping):
    """One field of every head in ``HEADS``, by the head's name; a head added there is in here."""

    def __init__(self, field: str) -> None:
        self.field = field

    def __getitem__(self, name: str) -> str:
        return getattr(HEADS[name], self.field)

    def __iter__(self) -> Iterator[str]:
        return iter(HEADS)

    def __len__(self) -> int:
        return len(HEADS)


#: One colour for each representation, wherever it appears.
COLORS = _FieldOfHeads("color")

#: What the heads of the experiments are called in figures and tables.
LABELS = _FieldOfHeads("label")

#: The three planes of chapter 8, in the order of their gain's weakest to strongest sum s_i + s_j.
PLANES = {(1, 2): "#56B4E9", (1, 3): "#CC79A7", (2, 3): "#D55E00"}

STYLE: dict[Any, Any] = {
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlecolor": INK,
    "axes.grid": True,
    "grid.color": "#eceef2",
    "axes.axisbelow": True,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 2.2,
    "legend.frameon": False,
    "text.color": INK,
}


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Make a drawing function draw in the book's style, and leave everyone else's as it was."""

    @functools.wraps(draw)
    def in_style(*args: P.args, **options: P.kwargs) -> Figure:
        with plt.rc_context(STYLE):
            return draw(*args, **options)

    return in_style


def canvas(
    width: float = 5.2, height: float = 3.4, panels: int = 1, **options: Any
) -> tuple[Figure, Any]:
    """A figure at most as wide as a phone can show legibly, and its axes.

    Args:
        width: inches; the page shows 96 pixels an inch, a phone about 370 pixels.
        height: inches.
        panels: how many axes, side by side.
        **options: passed to ``Figure.subplots``.

    Returns:
        The figure and its axes (an array if ``panels`` is larger than 1).
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(1, panels, **options)
