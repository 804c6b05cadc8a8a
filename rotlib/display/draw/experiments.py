"""Part III: paths of descent, data of the tasks, and the tables of the sweeps."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, NullLocator
from torch import Tensor

from rotlib.display import scene
from rotlib.display.style import COLORS, FAINT, INK, LABELS, MUTED, canvas, styled
from rotlib.rotvec import matrix_to_rotvec


def _label(head: str) -> str:
    return LABELS.get(head, head)


@styled
def paths_to_target(paths: dict[str, Tensor], target: Tensor) -> Figure:
    """Paths of rotations ``(steps, 3, 3)`` as rotation vectors seen from the target.

    The target is the centre, so the straight way to it is a radius. The space of rotation vectors
    is turned so that the first path's start is on the right and its widest detour upwards.
    """
    vectors = {
        name: matrix_to_rotvec(target.double().mT @ path.double()).rad2deg()
        for name, path in paths.items()
    }
    first = next(iter(vectors.values()))
    right = first[0] / first[0].norm()
    aside = first - (first @ right)[:, None] * right
    up = aside[aside.norm(dim=1).argmax()]
    up = up / up.norm() if up.norm() > 1e-6 else torch.linalg.svd(right[None]).Vh[-1]
    screen = torch.stack([right, up], -1)
    figure, ax = canvas(5.2, 3.3)
    around = np.linspace(0, 2 * math.pi, 181)
    reach = 1.15 * max(float(w.norm(dim=1).max()) for w in vectors.values())
    for radius in range(30, 181, 30):
        ax.plot(radius * np.cos(around), radius * np.sin(around), color=FAINT, lw=1)
        if radius < reach:
            ax.text(radius, -0.03 * reach, f"{radius}°", color=MUTED, size=9, ha="center", va="top")
    ax.plot([0, float(first[0].norm())], [0, 0], ":", color=MUTED, lw=1.4)
    for name, w in vectors.items():
        xy = (w @ screen).numpy()
        leap = (w.diff(dim=0).norm(dim=-1) > 200).nonzero().flatten() + 1
        for piece in np.split(xy, leap.numpy()):
            ax.plot(*piece.T, "-", lw=1.2, color=COLORS[name], zorder=3)
        ax.plot(*xy.T, ".", ms=6, color=COLORS[name], zorder=4, label=_label(name))
        ax.plot(*xy[0], "o", mfc="white", mec=COLORS[name], mew=2, ms=8, zorder=5)
    ax.plot(0, 0, "*", color=INK, ms=13, zorder=6)
    ax.set(xlim=(-0.25 * reach, reach), ylim=(-0.3 * reach, 0.55 * reach), aspect="equal")
    ax.axis("off")
    figure.legend(loc="outside upper center", ncols=len(paths))
    return figure


def _plain_ticks(axis, ticks: Sequence[float]) -> None:
    """These ticks and no others on a logarithmic axis, as plain numbers."""
    axis.set_major_locator(FixedLocator(list(ticks)))
    axis.set_minor_locator(NullLocator())
    axis.set_ticklabels([f"{t:,}" if t >= 1000 else f"{t:g}" for t in ticks])


def _step_axis(ax, steps: Sequence[int]) -> None:
    ax.set(xscale="log", xlabel="training steps")
    _plain_ticks(ax.xaxis, steps)


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
        _with_interval(ax, rows, ("median", "low", "high"), COLORS[head], _label(head))
    ax.set(yscale="log", ylabel=ylabel)
    low, high = summary["low"].min() / 1.5, summary["high"].max() * 1.5
    _plain_ticks(ax.yaxis, [t for t in (0.5, 1, 2, 5, 10, 20, 50, 100) if low <= t <= high])
    _step_axis(ax, steps)
    wide = any(len(_label(head)) > 14 for head in heads)
    figure.legend(loc="outside upper center", ncols=2 if wide else 3, fontsize=10)
    return figure


@styled
def ratios(pairs: dict[str, object], head: str, against: str) -> Figure:
    """Error of one head over that of another, seed by seed, against the budget; a line per task."""
    figure, ax = canvas(5.2, 3.4)
    names = ("9d-svd", "9d-raw", "6d-gs", "quaternion", "rotvec", "10d", "5d", "euler")
    steps = sorted({step for rows in pairs.values() for step in rows["steps"]})
    for n, ((title, rows), color) in enumerate(zip(pairs.items(), names, strict=False)):
        rows = rows.sort_values("steps")
        rows = rows.assign(steps=rows["steps"] * 1.04 ** (n - (len(pairs) - 1) / 2))
        _with_interval(ax, rows, ("ratio", "ratio_low", "ratio_high"), COLORS[color], title)
    ax.axhline(1, color=INK, lw=1)
    ax.set(yscale="log", ylabel=f"error, {_label(head)} / {_label(against)}")
    low, high = ax.get_ylim()
    choices = (0.1, 0.2, 0.33, 0.5, 0.7, 1, 1.4, 2, 3, 5)
    _plain_ticks(ax.yaxis, [t for t in choices if low <= t <= high])
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
    ax.set_yticklabels([_label(head) for head in rows["head"]])
    low, high = rows["low"].min() / 1.15, rows["high"].max() * 1.4
    ax.set_xlim(low, high)
    _plain_ticks(ax.xaxis, [t for t in (1, 2, 5, 10, 20, 50, 100) if low <= t <= high])
    ax.grid(axis="y", visible=False)
    return figure


@styled
def pictures(rows: dict[str, Tensor]) -> Figure:
    """Pictures ``(n, 3, size, size)`` with values in [0, 1], a titled row for each entry."""
    n = max(len(row) for row in rows.values())
    figure = Figure(figsize=(5.2, 5.2 / n * len(rows)), layout="constrained")
    for axes, (title, row) in zip(
        figure.subplots(len(rows), n, squeeze=False), rows.items(), strict=True
    ):
        for ax, picture in zip(axes, row, strict=False):
            ax.imshow(picture.movedim(0, -1).clamp(0, 1).numpy())
        for ax in axes:
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
        axes[0].set_ylabel(title, fontsize=9 if n < 7 else 7)
    return figure


@styled
def clouds(rows: dict[str, Tensor]) -> Figure:
    """Clouds of points ``(n, points, 3)``, a titled row for each entry; nearer points darker."""
    n = max(len(row) for row in rows.values())
    figure = Figure(figsize=(5.2, 1.4 * len(rows)), layout="constrained")
    for axes, (title, row) in zip(
        figure.subplots(len(rows), n, squeeze=False), rows.items(), strict=True
    ):
        for ax, cloud in zip(axes, row, strict=False):
            xy, near = scene.project(cloud.double().numpy())
            ax.scatter(*xy.T, c=near, s=7, cmap="Blues", vmin=-1.6, vmax=1)
        for ax in axes:
            ax.set(xlim=(-1.3, 1.3), ylim=(-1.3, 1.3), aspect="equal", xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
            ax.grid(False)
        axes[0].set_ylabel(title, fontsize=10)
    return figure


@styled
def skeletons(poses: dict[str, Tensor], bones: Sequence[tuple[int, int]], names: dict) -> Figure:
    """Skeletons from the positions ``(joints, 3)`` of their joints; the first entry is repeated.

    Args:
        poses: title to positions; the first is the truth, drawn pale behind the others.
        bones: pairs of joints to connect.
        names: title to the head whose colour it takes.
    """
    truth, *others = poses.items()
    figure, axes = canvas(5.2, 2.9, panels=len(others), squeeze=False)
    turn = torch.tensor([[0.0, 1, 0], [0, 0, 1]]).double()

    def draw(ax, positions, color, width):
        xy = (positions.double() @ turn.mT).numpy()
        for a, b in bones:
            ax.plot(*xy[[a, b]].T, "-", color=color, lw=width, solid_capstyle="round")
        ax.plot(*xy.T, "o", color=color, ms=width + 2)

    for ax, (title, positions) in zip(axes[0], others, strict=True):
        draw(ax, truth[1], FAINT, 7)
        draw(ax, positions, COLORS[names[title]], 2)
        ax.set(aspect="equal", xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
        ax.grid(False)
        ax.set_title(title)
    return figure


@styled
def risk_against_coverage(risks: dict[str, Tensor]) -> Figure:
    """Mean error of the most confident share of the items, ``(seeds, shares)`` for each head."""
    figure, ax = canvas()
    for head, values in risks.items():
        y = values.double().numpy()
        x = np.linspace(100 / y.shape[-1], 100, y.shape[-1])
        ax.fill_between(x, y.min(0), y.max(0), color=COLORS[head], alpha=0.2, lw=0)
        ax.plot(x, np.median(y, 0), color=COLORS[head], label=_label(head))
    ax.set(xlabel="items kept, most confident first (%)", ylabel="their mean error (degrees)")
    ax.set_ylim(bottom=0)
    ax.legend()
    return figure


@styled
def confidence_scatter(
    panels: dict[str, tuple[Tensor, Tensor]], limits: dict[str, tuple[float, float]] | None = None
) -> Figure:
    """Error against confidence s2 + s3, item by item, a panel for each head."""
    figure, axes = canvas(5.2, 2.9, panels=len(panels), sharey=True)
    for ax, (head, (sure, errors)) in zip(axes, panels.items(), strict=True):
        ax.plot(sure.numpy(), errors.numpy(), ".", ms=3, alpha=0.35, color=COLORS[head])
        ax.set(yscale="log", ylim=(0.8, 200), xlabel="s₂ + s₃", title=_label(head))
        ax.set_xlim((limits or {}).get(head))
        _plain_ticks(ax.yaxis, [1, 3, 10, 30, 100])
    axes[0].set_ylabel("error (degrees)")
    return figure


@styled
def verdicts(summaries: dict[str, object], heads: Sequence[str], steps: int) -> Figure:
    """One table: a row for each head, a column for each task; median error and 95 % interval.

    The tint compares within a column: dark is within a twentieth of the best.
    """
    figure = Figure(figsize=(5.2, 0.7 + 0.42 * len(heads)), layout="constrained")
    ax = figure.subplots()
    ax.set(xlim=(0, len(summaries)), ylim=(len(heads), 0))
    for column, summary in enumerate(summaries.values()):
        rows = summary[(summary["steps"] == steps) & summary["head"].isin(heads)]
        best = rows["median"].min()
        for _, row in rows.iterrows():
            y = list(heads).index(row["head"])
            behind = math.log(row["median"] / best)
            tint = 0.45 * math.exp(-4 * max(0.0, behind - math.log(1.05)))
            ax.add_patch(
                Rectangle((column + 0.03, y + 0.05), 0.94, 0.9, color=(*to_rgb("#0072B2"), tint))
            )
            middle = {"ha": "center", "va": "center"}
            ax.text(column + 0.5, y + 0.36, f"{row['median']:.1f}", size=11, **middle)
            interval = f"{row['low']:.1f}–{row['high']:.1f}"
            ax.text(column + 0.5, y + 0.74, interval, size=7.5, alpha=0.75, **middle)
    ax.xaxis.tick_top()
    ax.set_xticks(np.arange(len(summaries)) + 0.5, list(summaries))
    ax.set_yticks(np.arange(len(heads)) + 0.5, [_label(head) for head in heads], size=9)
    ax.tick_params(length=0)
    ax.grid(False)
    ax.spines[:].set_visible(False)
    return figure
