"""Drawings of chapter 18, the verdict."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from figures.shared import plain_ticks, ratios
from figures.style import COLORS, INK, LABELS, styled

__all__ = ["one_change", "ratios", "to_the_best", "verdicts"]


@styled
def to_the_best(panels: dict[str, pd.DataFrame], heads: Sequence[str], cap: float = 6) -> Figure:
    """For each task the error of each head over that of the best one, against the budget.

    What lies beyond ``cap`` is drawn at the edge, so that what is near the best can be seen.
    """
    rows = math.ceil(len(panels) / 2)
    budgets = sorted({steps for summary in panels.values() for steps in summary["steps"]})
    figure = Figure(figsize=(5.4, 0.7 + 1.75 * rows), layout="constrained")
    axes = list(figure.subplots(rows, 2, sharey=True, squeeze=False).flat)
    for ax, (title, summary) in zip(axes, panels.items(), strict=False):
        table = summary.pivot(index="steps", columns="head", values="median")
        table = table.div(table.min(axis=1), axis=0)
        ax.axhspan(1, 1.05, color=INK, alpha=0.12, lw=0)
        for head in heads:
            if head in table:
                line = table[head].dropna().clip(upper=cap)
                ax.plot(line.index, line, "o-", ms=4, color=COLORS[head], label=LABELS[head])
        ax.set(xscale="log", yscale="log", ylim=(0.97, cap * 1.05))
        ax.set_title(title, loc="left")
        plain_ticks(ax.xaxis, budgets)
        ax.set_xlim(budgets[0] / 1.2, budgets[-1] * 1.2)
        plain_ticks(ax.yaxis, [1, 1.5, 2, 3, cap])
        ax.tick_params(labelsize=9)
    for ax in axes[len(panels) :]:
        ax.set_visible(False)
    figure.supxlabel("training steps", size=11)
    figure.supylabel("error over that of the best head", size=11)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, fontsize=10)
    return figure


@styled
def one_change(panels: dict[str, pd.DataFrame], heads: Sequence[str], xlabel: str) -> Figure:
    """Error of each head against one changed thing, a panel for each task.

    Each summary has a column ``value``: where its row stands on the axis, as text in order.
    """
    figure = Figure(figsize=(5.4, 3.3), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False).flat
    for ax, (title, summary) in zip(axes, panels.items(), strict=True):
        values = list(dict.fromkeys(summary["value"]))
        for n, head in enumerate(heads):
            rows = summary[summary["head"] == head].set_index("value").reindex(values)
            x = np.arange(len(values)) + 0.06 * (n - (len(heads) - 1) / 2)
            middle = rows["median"]
            ax.errorbar(
                x, middle, [middle - rows["low"], rows["high"] - middle], fmt="o-", ms=4,
                capsize=2, elinewidth=1.2, color=COLORS[head], label=LABELS[head],
            )  # fmt: skip
        ax.set(yscale="log", xlabel=xlabel)
        ax.set_title(title, loc="left")
        ax.set_xticks(np.arange(len(values)), values)
        low, high = np.min(summary["low"]) / 1.2, np.max(summary["high"]) * 1.2
        plain_ticks(ax.yaxis, [t for t in (1, 2, 5, 10, 20, 50, 100) if low <= t <= high])
    figure.axes[0].set_ylabel("test error (degrees)")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, fontsize=10)
    return figure


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
