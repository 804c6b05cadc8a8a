"""Drawings of chapter 16, when the loss is downstream."""

from collections.abc import Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

from figures.shared import budgets, ranking
from figures.style import COLORS, FAINT, canvas, styled

__all__ = ["budgets", "ranking", "skeletons"]


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
