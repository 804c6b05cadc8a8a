"""Drawings of chapter 18, the verdict."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from figures.shared import ratios
from figures.style import COLORS, LABELS, styled

__all__ = ["ratios", "verdicts"]


@styled
def verdicts(summaries: dict[str, pd.DataFrame], heads: Sequence[str], steps: int) -> Figure:
    """One table: a row for each head, a column for each task; median error and 95 % interval.

    The tint compares within a column: dark is within a twentieth of the best.
    """
    blue = to_rgb(COLORS["9d-svd"])
    figure = Figure(figsize=(5.2, 0.7 + 0.42 * len(heads)), layout="constrained")
    ax = figure.subplots()
    ax.set(xlim=(0, len(summaries)), ylim=(len(heads), 0))
    for column, summary in enumerate(summaries.values()):
        rows = summary[(summary["steps"] == steps) & summary["head"].isin(heads)]
        best = rows["median"].min()
        columns = rows.loc[:, ["head", "median", "low", "high"]]
        for head, median, low, high in columns.itertuples(index=False, name=None):
            y = list(heads).index(head)
            behind = math.log(median / best)
            tint = 0.45 * math.exp(-4 * max(0.0, behind - math.log(1.05)))
            ax.add_patch(Rectangle((column + 0.03, y + 0.05), 0.94, 0.9, color=(*blue, tint)))
            middle: dict[str, Any] = {"ha": "center", "va": "center"}
            ax.text(column + 0.5, y + 0.36, f"{median:.1f}", size=11, **middle)
            interval = f"{low:.1f}–{high:.1f}"
            ax.text(column + 0.5, y + 0.74, interval, size=7.5, alpha=0.75, **middle)
    ax.xaxis.tick_top()
    ax.set_xticks(np.arange(len(summaries)) + 0.5, list(summaries))
    ax.set_yticks(np.arange(len(heads)) + 0.5, [LABELS[head] for head in heads], size=9)
    ax.tick_params(length=0)
    ax.grid(False)
    ax.spines[:].set_visible(False)
    return figure
