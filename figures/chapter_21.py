"""Drawings of chapter 21, a model small enough to be solved."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from figures.shared import plain_ticks
from figures.style import COLORS, LABELS, canvas, styled


@styled
def predicted_and_measured(
    steps: Sequence[int], predicted: dict[str, Tensor], measured: dict[str, Tensor], least: float
) -> Figure:
    """Error against the steps: lines are predicted ``(steps,)``, dots measured ``(seeds, steps)``.

    Dots are medians over seeds. Errors below ``least`` degrees are not drawn.
    """
    figure, ax = canvas()
    x = np.asarray(steps)
    for head, line in predicted.items():
        y = line.numpy()
        shown = y > least / 2
        ax.plot(x[shown], y[shown], color=COLORS[head], label=LABELS[head])
    for head, dots in measured.items():
        y = dots.median(0).values.numpy()
        shown = y > least
        style = {"ms": 7, "color": COLORS[head], "mec": "white", "mew": 0.8, "zorder": 4}
        ax.plot(x[shown], y[shown], "o", **style)
    if measured:
        ax.set(xscale="log", xlabel="steps of the run")
        plain_ticks(ax.xaxis, [int(n) for n in x])
    else:
        ax.set(xlabel="step")
    ax.set(yscale="log", ylabel="mean error (degrees)", ylim=(least, 200))
    plain_ticks(ax.yaxis, [n for n in (0.01, 0.1, 1, 10, 100) if n >= least])
    ax.legend()
    return figure
