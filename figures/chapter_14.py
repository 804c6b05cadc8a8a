"""Drawings of chapter 14, rotation from points."""

from matplotlib.figure import Figure
from torch import Tensor

from figures import scene
from figures.shared import budgets, ranking, training_curves
from figures.style import styled

__all__ = ["budgets", "clouds", "ranking", "training_curves"]


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
