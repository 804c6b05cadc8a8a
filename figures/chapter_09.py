"""Drawings of chapter 9, gradient distortion."""

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from figures.shared import training_curves, triangle_axes
from figures.style import COLORS, canvas, styled
from rotlib.svd import signed_svd

__all__ = ["kappa_histogram", "training_curves", "triangle"]


@styled
def kappa_histogram(kappa: Tensor, negative: Tensor) -> Figure:
    """Condition numbers on a log scale, split by the sign of the determinant."""
    figure, ax = canvas(5.2, 3.0)
    bins = np.logspace(0, 2, 41)
    for chosen, label, color in (
        (~negative, "det M > 0", COLORS["9d-svd"]),
        (negative, "det M < 0", COLORS["9d-raw"]),
    ):
        ax.hist(kappa[chosen].numpy(), bins, alpha=0.55, color=color, label=label)
    ax.set(xscale="log", xlabel="condition number κ", ylabel="outputs", yticks=[])
    ax.set_xticks([1, 2, 5, 10, 20, 50, 100], ["1", "2", "5", "10", "20", "50", "100"])
    ax.minorticks_off()
    ax.legend()
    return figure


@styled
def triangle(M: Tensor) -> Figure:
    """Matrices on the triangle of their singular value ratios, with lines of equal κ."""
    figure, ax = triangle_axes()
    s = signed_svd(M)[1].double()
    ax.plot(*(s[:, 1:] / s[:, :1]).T.numpy(), ".", color=COLORS["9d-svd"], ms=4, alpha=0.6)
    return figure
