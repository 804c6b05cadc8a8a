"""Drawings of chapter 6, six and nine numbers."""

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from figures import scene
from figures.shared import curves
from figures.style import COLORS, PLANES, canvas, styled

#: Colours for turns about axes 1, 2 and 3: those of the planes that they turn in.
PLANE_COLORS = tuple(PLANES[plane] for plane in ((2, 3), (1, 3), (1, 2)))


@styled
def projections(M: Tensor, projected: dict[str, Tensor]) -> Figure:
    """A raw matrix's columns, and the frames that different projections make of them."""
    figure, axes = canvas(5.2, 2.9, panels=len(projected))
    reach = 1.2 * max(1.1, float(torch.linalg.vector_norm(M, dim=0).max()))
    for ax, (name, R) in zip(np.atleast_1d(axes), projected.items(), strict=True):
        scene.stage(ax, reach)
        scene.sphere(ax)
        for n in range(3):
            scene.arrow(ax, R[:, n].double().numpy(), COLORS[name], f"r{'₁₂₃'[n]}", width=3)
            scene.arrow(ax, M[:, n].double().numpy(), COLORS["9d-raw"], width=1.4)
        method = {"6d-gs": "Gram–Schmidt", "9d-svd": "SVD"}[name]
        gap = float(torch.linalg.matrix_norm(M - R))
        ax.set_title(f"{method}\ndistance to M: {gap:.2f}", color=COLORS[name])
    return figure


@styled
def noise_errors(sigmas: Tensor, measured: dict[str, Tensor]) -> Figure:
    """Mean squared error of each projection against the noise level, with its small-noise law."""
    figure, ax = canvas()
    s = sigmas.double().numpy()
    for name, label, law in (("6d-gs", "Gram–Schmidt", 6), ("9d-svd", "SVD", 3)):
        color, errors = COLORS[name], measured[name].double().numpy()
        ax.plot(s, errors, "o", ms=5, color=color, label=f"{label}, measured")
        ax.plot(s, law * s**2, "-", lw=1.4, color=color, label=f"{law}σ²")
    ax.set(xscale="log", yscale="log", xlabel="noise σ in each entry", ylabel="mean squared error")
    ax.legend(fontsize=10)
    return figure


@styled
def valleys(sums: Tensor) -> Figure:
    """What turning away from the nearest rotation costs, about each of the three axes."""
    turns = torch.linspace(-180, 180, 121, dtype=torch.float64)
    names = ("about axis 1: s₂+s₃", "about axis 2: s₁+s₃", "about axis 3: s₁+s₂")
    rise = 2 * (1 - turns.deg2rad().cos())
    return curves(
        turns,
        {name: rise * total for name, total in zip(names, sums.double(), strict=True)},
        "turn away from the nearest rotation (degrees)",
        "extra squared distance",
        colors=PLANE_COLORS,
        dashed=names[1:2],
    )
