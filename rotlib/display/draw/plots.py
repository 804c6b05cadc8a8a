"""Plain plots: bars, curves, histograms, training."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from rotlib.display.style import COLORS, INK, canvas, styled


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
