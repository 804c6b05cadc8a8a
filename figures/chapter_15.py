"""Drawings of chapter 15, rotation from images."""

from matplotlib.figure import Figure
from torch import Tensor

from figures.shared import budgets, ratios, training_curves
from figures.style import styled

__all__ = ["budgets", "pictures", "ratios", "training_curves"]


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
