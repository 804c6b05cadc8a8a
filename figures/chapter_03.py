"""Drawings of chapter 3, rotation vectors."""

import math
from collections.abc import Callable

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from figures import scene
from figures.style import COLORS, INK, canvas, styled
from rotlib.rotvec import matrix_to_rotvec, rotvec_to_matrix


@styled
def ball(angle: float, axis: Tensor) -> Figure:
    """A plane turned by an angle in degrees, and its rotation vector in the ball of radius pi."""
    figure, (view, space) = canvas(5.2, 2.8, panels=2)
    turns = torch.linspace(0, math.radians(angle), 200, dtype=torch.float64)
    path = matrix_to_rotvec(rotvec_to_matrix(turns[:, None] * axis.double())) / math.pi
    for ax in (view, space):
        scene.stage(ax, 1.3)
    scene.plane(view, rotvec_to_matrix(turns[-1] * axis.double()), COLORS["rotvec"])
    scene.sphere(space)
    xy = scene.project(path.numpy())[0]
    leap = np.flatnonzero(np.linalg.norm(np.diff(path.numpy(), axis=0), axis=1) > 1)
    for piece in np.split(xy, leap + 1):
        space.plot(*piece.T, color=COLORS["rotvec"])
    for exit_or_entry in (n + k for n in leap for k in (0, 1)):
        space.plot(*xy[exit_or_entry], "o", mfc="white", color=COLORS["rotvec"], ms=6)
    space.plot(*xy[-1], "o", color=COLORS["rotvec"], ms=9)
    space.set_title("w in the ball of radius π")
    return figure


@styled
def log_errors(logs: dict[str, Callable[[Tensor], Tensor]], axis: Tensor) -> Figure:
    """Relative error of logarithms near 0 and near half a turn."""
    figure, axes = canvas(5.2, 2.9, panels=2, sharey=True)
    gaps = torch.logspace(-8, -0.5, 60, dtype=torch.float64)
    for ax, angles in zip(axes, (gaps, math.pi - gaps), strict=True):
        truth = angles[:, None] * axis.double()
        for (name, log), color in zip(logs.items(), (COLORS["9d-raw"], INK), strict=False):
            error = (log(rotvec_to_matrix(truth)) - truth).norm(dim=-1) / angles
            ax.plot(gaps.numpy(), error.clamp(min=1e-17).numpy(), ".", color=color, label=name)
        ax.set(xscale="log", yscale="log")
        ax.set_xticks([1e-8, 1e-5, 1e-2])
    axes[0].set(xlabel="angle (radians)", ylabel="relative error")
    axes[1].set(xlabel="π minus angle (radians)")
    axes[0].legend(fontsize=10)
    return figure
