"""Drawings of chapter 13, descend to one rotation."""

import math

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from figures.shared import curves
from figures.style import COLORS, FAINT, INK, LABELS, MUTED, canvas, styled
from rotlib.rotvec import matrix_to_rotvec

__all__ = ["curves", "paths_to_target"]


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
        ax.plot(*xy.T, ".", ms=6, color=COLORS[name], zorder=4, label=LABELS[name])
        ax.plot(*xy[0], "o", mfc="white", mec=COLORS[name], mew=2, ms=8, zorder=5)
    ax.plot(0, 0, "*", color=INK, ms=13, zorder=6)
    ax.set(xlim=(-0.25 * reach, reach), ylim=(-0.3 * reach, 0.55 * reach), aspect="equal")
    ax.axis("off")
    figure.legend(loc="outside upper center", ncols=len(paths))
    return figure
