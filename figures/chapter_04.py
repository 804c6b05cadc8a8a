"""Drawings of chapter 4, quaternions."""

import math

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from figures import scene
from figures.style import COLORS, FAINT, canvas, styled
from rotlib.rotvec import rotvec_to_matrix


@styled
def half_speed(angle: float, axis: Tensor) -> Figure:
    """A plane turned by an angle in degrees, and its quaternion on a circle at half the speed."""
    figure, (view, circle) = canvas(5.2, 2.8, panels=2)
    scene.stage(view, 1.3)
    color = COLORS["quaternion"]
    scene.plane(view, rotvec_to_matrix(math.radians(angle) * axis.double()), color)
    scene.stage(circle, 1.45)
    around = np.linspace(0, 2 * math.pi, 181)
    gone = np.linspace(0, math.radians(angle) / 2, 181)
    circle.plot(np.cos(around), np.sin(around), color=FAINT, lw=1.2)
    circle.plot(np.cos(gone), np.sin(gone), color=color, lw=3)
    for sign, name, fill in ((1, "q", color), (-1, "−q", "white")):
        x, y = sign * math.cos(gone[-1]), sign * math.sin(gone[-1])
        circle.plot([0, x], [0, y], color=FAINT, lw=1)
        circle.plot(x, y, "o", mfc=fill, mec=color, mew=2, ms=9)
        circle.text(1.25 * x, 1.25 * y, name, ha="center", va="center")
    circle.set_title("w → and v ↑")
    return figure
