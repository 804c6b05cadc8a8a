"""One look for the whole book: one colour for each representation, sizes that a phone can show.

The colours are those of Okabe and Ito, which stay apart for colour-blind readers.
"""

import functools
from collections.abc import Callable

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

INK = "#1f2430"
MUTED = "#7a8190"
FAINT = "#d5d9e0"

#: One colour for each representation, wherever it appears.
COLORS = {
    "euler": "#E69F00",
    "rotvec": "#CC79A7",
    "quaternion": "#56B4E9",
    "5d": "#8C6D31",
    "6d-gs": "#009E73",
    "9d-svd": "#0072B2",
    "9d-raw": "#D55E00",
    "10d": "#6A4C93",
    "6d-raw": "#7FCDBB",
    "9d-raw-gs": "#F2A679",
    "9d-svd-clamped": "#74A9CF",
    "9d-svd-taylor": "#4B5FA5",
    "9d-rpmg": "#9A9A2E",
    "9d-fisher": "#4D4D4D",
    "9d-raw-penalty": "#B2182B",
    "9d-raw-then-svd": "#AA3FAA",
    "9d-even": "#1B9E9E",
    "9d-svd-direction": "#9370DB",
    "9d-svd-length": "#5B3A1E",
    "9d-even-scale": "#E6AB02",
    "9d-svd-pole": "#C51B7D",
    "9d-svd-clipped": "#3B7D23",
}

#: What the heads of the experiments are called in figures and tables.
LABELS = {
    "euler": "Euler angles",
    "rotvec": "rotation vector",
    "quaternion": "quaternion",
    "5d": "5D",
    "6d-gs": "6D",
    "10d": "10D",
    "9d-svd": "through SVD",
    "9d-raw": "direct",
    "6d-raw": "6D direct",
    "9d-raw-gs": "direct + Gram–Schmidt",
    "9d-svd-clamped": "through SVD, clamped",
    "9d-svd-taylor": "through SVD, Taylor",
    "9d-rpmg": "RPMG",
    "9d-fisher": "matrix Fisher",
    "9d-raw-penalty": "direct with penalty",
    "9d-raw-then-svd": "direct, then through SVD",
    "9d-even": "SVD, all gains 1",
    "9d-svd-direction": "SVD, its direction only",
    "9d-svd-length": "SVD, its length only",
    "9d-even-scale": "SVD, all gains 1 over its size",
    "9d-svd-pole": "SVD, its size taken out",
    "9d-svd-clipped": "SVD, clipped item by item",
}

#: The three planes of chapter 8, in the order of their gain's weakest to strongest sum s_i + s_j.
PLANES = {(1, 2): "#56B4E9", (1, 3): "#CC79A7", (2, 3): "#D55E00"}

STYLE = {
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


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Make a drawing function draw in the book's style, and leave everyone else's as it was."""

    @functools.wraps(draw)
    def in_style(*args: object, **options: object) -> Figure:
        with plt.rc_context(STYLE):
            return draw(*args, **options)

    return in_style


def canvas(width: float = 5.2, height: float = 3.4, panels: int = 1, **options: object):
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
