"""Drawings of chapter 5, why small sets tear."""

import torch
from matplotlib.figure import Figure
from torch import Tensor

from figures.style import COLORS, LABELS, MUTED, canvas, styled


@styled
def codes_along(degrees: Tensor, codes: dict[str, Tensor]) -> Figure:
    """The numbers of several representations along a path of rotations, a panel for each."""
    figure = Figure(figsize=(5.2, 3.8), layout="constrained")
    for ax, (name, numbers) in zip(figure.subplots(2, 2).flat, codes.items(), strict=True):
        y = numbers.double().clone()
        jumps = (y.diff(dim=0).abs().amax(-1) > 0.5).nonzero().flatten() + 1
        y[jumps] = torch.nan
        for n in range(y.shape[-1]):
            shade = 1 - 0.6 * n / y.shape[-1]
            ax.plot(degrees.numpy(), y[:, n].numpy(), color=COLORS[name], alpha=shade, lw=1.8)
        for at in degrees[jumps].tolist():
            ax.axvline(at, color=MUTED, lw=1, ls=":")
        ax.set_title(LABELS[name])
        ax.set_xticks([0, 180, 360])
    figure.supxlabel("turned by (degrees)", fontsize=11)
    return figure


@styled
def errors_around(degrees: Tensor, errors: dict[str, Tensor]) -> Figure:
    """Error in degrees against the angle around a circle of poses."""
    figure, ax = canvas(5.2, 2.8)
    for name, error in errors.items():
        ax.plot(degrees.numpy(), error.numpy(), color=COLORS[name], label=LABELS[name])
    ax.set(xlabel="turned by (degrees)", ylabel="error (degrees)", ylim=(-5, 185))
    ax.set_xticks([0, 90, 180, 270, 360])
    ax.set_yticks([0, 60, 120, 180])
    figure.legend(loc="outside upper left", ncols=2, fontsize=10)
    return figure
