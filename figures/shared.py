"""Drawings, and parts of drawings, that two or more chapters need."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator
from torch import Tensor

from figures.style import COLORS, INK, LABELS, MUTED, canvas, styled


@styled
def curves(
    x: Tensor,
    ys: dict[str, Tensor],
    xlabel: str,
    ylabel: str,
    *,
    colors: Sequence[str] = (COLORS["9d-svd"], COLORS["9d-raw"], COLORS["6d-gs"]),
    dashed: Sequence[str] = (),
    log: bool = False,
) -> Figure:
    """Labelled curves over a common axis; the names in ``dashed`` are drawn as such."""
    figure, ax = canvas()
    for (name, y), color in zip(ys.items(), colors, strict=False):
        line = "--" if name in dashed else "-"
        ax.plot(x.double().numpy(), y.double().numpy(), line, label=name, color=color)
    if log:
        ax.set(xscale="log", yscale="log")
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.legend()
    return figure


@styled
def training_curves(steps: Tensor, runs: dict[str, Tensor], ylabel: str) -> Figure:
    """One number along training, ``(seeds, steps)`` for each run: median and range over seeds."""
    figure, ax = canvas()
    x = steps.numpy()
    for (name, values), color in zip(
        runs.items(), (COLORS["9d-svd"], COLORS["9d-raw"], COLORS["6d-gs"]), strict=False
    ):
        y = values.double().numpy()
        ax.fill_between(x, y.min(0), y.max(0), color=color, alpha=0.2, lw=0)
        ax.plot(x, np.median(y, 0), color=color, label=name)
    ax.set(xlabel="training step", ylabel=ylabel)
    ax.set_ylim(bottom=0)
    ax.legend()
    return figure


def plain_ticks(axis, ticks: Sequence[float]) -> None:
    """These ticks and no others on a logarithmic axis, as plain numbers."""
    axis.set_major_locator(FixedLocator(list(ticks)))
    axis.set_minor_locator(NullLocator())
    axis.set_ticklabels([f"{t:,}" if t >= 1000 else f"{t:g}" for t in ticks])


def _step_axis(ax, steps: Sequence[int]) -> None:
    ax.set(xscale="log", xlabel="training steps")
    plain_ticks(ax.xaxis, steps)


def _with_interval(ax, rows, columns: tuple[str, str, str], color: str, label: str) -> None:
    """A line over the steps, with the interval of each point as a bar."""
    middle, low, high = (rows[name] for name in columns)
    ax.errorbar(
        rows["steps"],
        middle,
        [middle - low, high - middle],
        fmt="o-",
        ms=5,
        capsize=3,
        elinewidth=1.4,
        color=color,
        label=label,
    )


@styled
def budgets(summary, heads: Sequence[str], ylabel: str = "test error (degrees)") -> Figure:
    """Error against budget, each budget a run of its own: medians over seeds, 95 % intervals."""
    figure, ax = canvas(5.2, 3.6)
    steps = sorted(set(summary["steps"]))
    for n, head in enumerate(heads):
        rows = summary[summary["head"] == head].sort_values("steps")
        rows = rows.assign(steps=rows["steps"] * 1.03 ** (n - (len(heads) - 1) / 2))
        _with_interval(ax, rows, ("median", "low", "high"), COLORS[head], LABELS[head])
    ax.set(yscale="log", ylabel=ylabel)
    low, high = summary["low"].min() / 1.5, summary["high"].max() * 1.5
    plain_ticks(ax.yaxis, [t for t in (0.5, 1, 2, 5, 10, 20, 50, 100) if low <= t <= high])
    _step_axis(ax, steps)
    wide = any(len(LABELS[head]) > 14 for head in heads)
    figure.legend(loc="outside upper center", ncols=2 if wide else 3, fontsize=10)
    return figure


@styled
def ratios(pairs: dict[str, pd.DataFrame], head: str, against: str) -> Figure:
    """Error of one head over that of another, seed by seed, against the budget; a line per task."""
    figure, ax = canvas(5.2, 3.4)
    names = ("9d-svd", "9d-raw", "6d-gs", "quaternion", "rotvec", "10d", "5d", "euler")
    steps = sorted({step for rows in pairs.values() for step in rows["steps"]})
    for n, ((title, rows), color) in enumerate(zip(pairs.items(), names, strict=False)):
        rows = rows.sort_values("steps")
        rows = rows.assign(steps=rows["steps"] * 1.04 ** (n - (len(pairs) - 1) / 2))
        _with_interval(ax, rows, ("ratio", "ratio_low", "ratio_high"), COLORS[color], title)
    ax.axhline(1, color=INK, lw=1)
    ax.set(yscale="log", ylabel=f"error, {LABELS[head]} / {LABELS[against]}")
    low, high = ax.get_ylim()
    choices = (0.1, 0.2, 0.33, 0.5, 0.7, 1, 1.4, 2, 3, 5)
    plain_ticks(ax.yaxis, [t for t in choices if low <= t <= high])
    _step_axis(ax, steps)
    figure.legend(loc="outside upper center", ncols=2, fontsize=10)
    return figure


@styled
def ranking(summary, steps: int, xlabel: str = "test error (degrees)") -> Figure:
    """Every head at one budget, best first: median over seeds, 95 % interval."""
    rows = summary[summary["steps"] == steps].sort_values("median", ascending=False)
    figure, ax = canvas(5.2, 0.8 + 0.27 * len(rows))
    place = np.arange(len(rows))
    for y, (_, row) in zip(place, rows.iterrows(), strict=True):
        color = COLORS[row["head"]]
        ax.plot([row["low"], row["high"]], [y, y], color=color, lw=3, alpha=0.5)
        ax.plot(row["median"], y, "o", color=color, ms=7)
        ax.text(
            max(row["high"], row["median"]) * 1.06, y, f"{row['median']:.1f}", va="center", size=9
        )
    ax.set(xscale="log", xlabel=f"{xlabel}, {steps:,} steps", yticks=place)
    ax.set_yticklabels([LABELS[head] for head in rows["head"]])
    low, high = rows["low"].min() / 1.15, rows["high"].max() * 1.4
    ax.set_xlim(low, high)
    plain_ticks(ax.xaxis, [t for t in (1, 2, 5, 10, 20, 50, 100) if low <= t <= high])
    ax.grid(axis="y", visible=False)
    return figure


def triangle_axes() -> tuple[Figure, Axes]:
    """The triangle of singular value ratios: lines of equal κ, rotations, and the pole."""
    figure, ax = canvas(5.2, 3.9)
    ax.fill([0, 1, 1], [0, 1, -1], color="#f4f5f8", zorder=0)
    for kappa in (1.5, 2, 3, 5, 20):
        x = np.linspace(0, 1, 101)
        y = (1 + x) / kappa - x
        inside = (np.abs(y) <= x + 1e-9).nonzero()[0]
        ax.plot(x[inside], y[inside], color=MUTED, lw=1)
        ax.text(1.02, y[-1], f"κ = {kappa:g}", va="center", color=MUTED, fontsize=9)
    ax.plot([0, 1], [0, 0], ":", color=INK, lw=1)
    ax.plot([0, 1], [0, -1], color=COLORS["9d-raw"], lw=3)
    ax.plot(1, 1, "o", color=INK, ms=8, clip_on=False)
    ax.text(0.97, 1.0, "rotations", ha="right", va="center")
    ax.text(0.42, -0.62, "pole", color=COLORS["9d-raw"], ha="right")
    ax.set(xlabel="s₂ / s₁", ylabel="s₃ / s₁, signed", xlim=(0, 1.2), ylim=(-1.05, 1.1))
    ax.set_xticks([0, 0.5, 1])
    ax.grid(False)
    return figure, ax
