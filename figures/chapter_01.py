"""Drawings of chapter 1, what is a rotation."""

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from figures import scene
from figures.shared import curves
from figures.style import COLORS, INK, canvas, styled

__all__ = ["bar_spectrum", "curves", "histogram_against", "pose_and_matrix", "two_poses"]


@styled
def two_poses(before: Tensor, after: Tensor) -> Figure:
    """A paper plane in two poses, and how each of the nine entries of its matrix changed."""
    figure, (view, table) = canvas(5.2, 2.7, panels=2)
    scene.stage(view, 1.0)
    scene.plane(view, after, COLORS["9d-svd"])
    scene.plane_outline(view, before)
    change = after - before
    scene.matrix_grid(table, change, "change of the matrix", float(change.abs().max()))
    return figure


@styled
def pose_and_matrix(R: Tensor) -> Figure:
    """A paper plane, its three columns on the unit sphere, and its nine numbers."""
    figure, (view, table) = canvas(5.2, 2.8, panels=2)
    scene.stage(view, 1.25)
    scene.sphere(view)
    scene.plane(view, R, COLORS["9d-svd"], alpha=0.85)
    for n, name in enumerate("₁₂₃"):
        scene.arrow(view, R[:, n].double().numpy(), INK, f"r{name}", width=1.6)
    scene.matrix_grid(table, R, "R", 1.0)
    return figure


@styled
def bar_spectrum(values: Tensor, xlabel: str, ylabel: str) -> Figure:
    """Singular values as bars, in descending order."""
    figure, ax = canvas(5.2, 2.6)
    heights = values.double().numpy()
    bars = ax.bar(range(1, len(heights) + 1), heights, color=COLORS["9d-svd"], width=0.6)
    ax.bar_label(bars, [f"{h:.2f}" if h > 1e-9 else "0" for h in heights], color=INK, fontsize=10)
    ax.set(
        xlabel=xlabel,
        ylabel=ylabel,
        xticks=range(1, len(heights) + 1),
        ylim=(0, 1.2 * max(heights)),
    )
    ax.grid(axis="x", visible=False)
    return figure


@styled
def histogram_against(
    samples: dict[str, Tensor], x: Tensor, density: Tensor, law: str, xlabel: str
) -> Figure:
    """Outlined histograms of samples, and the density that they should follow."""
    figure, ax = canvas()
    bins = np.linspace(float(x[0]), float(x[-1]), 37)
    for (name, values), color in zip(
        samples.items(), (COLORS["9d-svd"], COLORS["euler"]), strict=False
    ):
        ax.hist(
            values.double().numpy(),
            bins,
            density=True,
            histtype="stepfilled",
            alpha=0.35,
            color=color,
            label=name,
        )
    ax.plot(x.double().numpy(), density.double().numpy(), color=INK, lw=1.6, label=law)
    ax.set(xlabel=xlabel, ylabel="density", yticks=[])
    ax.legend()
    return figure
