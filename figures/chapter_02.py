"""Drawings of chapter 2, Euler angles."""

from collections.abc import Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from figures import scene
from figures.shared import curves
from figures.style import COLORS, FAINT, MUTED, canvas, styled
from rotlib.euler import euler_jacobian, euler_to_matrix
from rotlib.matrix import tangent_basis

#: Colours of a first, second and third angle.
ANGLE_COLORS = (COLORS["euler"], MUTED, COLORS["9d-svd"])


def _turning_axes(ax: Axes, angles: Tensor, order: str) -> None:
    """The plane at these Euler angles, and the axis about which each angle turns it."""
    R = euler_to_matrix(angles, order)
    w = tangent_basis(R).mT @ euler_jacobian(angles, order) / 2  # each column a small turn
    axes = (R @ w).double().numpy()
    scene.stage(ax, 1.3)
    scene.sphere(ax)
    scene.plane(ax, R, FAINT)
    for n, color in enumerate(ANGLE_COLORS):
        scene.arrow(ax, axes[:, n], color, "abc"[n])


@styled
def gimbal_pair(first: Tensor, second: Tensor, order: str) -> Figure:
    """The axes of three Euler angles at two poses, side by side."""
    figure, axes = canvas(5.2, 2.9, panels=2)
    for ax, angles in zip(axes, (first, second), strict=True):
        _turning_axes(ax, angles, order)
        ax.set_title(f"middle angle {float(angles[1].rad2deg()):.0f}°")
    return figure


@styled
def gimbal(middle: float, order: str = "ZYX") -> Figure:
    """The axes of three Euler angles at a middle angle in degrees, and the Jacobian's spectrum."""
    figure, (view, course) = canvas(5.2, 2.9, panels=2)
    angles = torch.tensor([30.0, middle, 20.0], dtype=torch.float64)
    _turning_axes(view, angles.deg2rad(), order)
    path = torch.linspace(0, 90, 91, dtype=torch.float64)
    triples = torch.stack([0 * path + 30, path, 0 * path + 20], -1).deg2rad()
    for triple, marker in ((triples, "-"), (angles[None].deg2rad(), "o")):
        values = torch.linalg.svdvals(euler_jacobian(triple, order)).numpy()
        x = triple[:, 1].rad2deg().numpy()
        for n, shade in enumerate((0.35, 0.6, 1.0)):
            course.plot(x, values[:, n], marker, color=COLORS["euler"], alpha=shade, ms=7)
    course.set(
        xlabel="middle angle b (degrees)", ylabel="singular values", ylim=(0, 2.1), xlim=(0, 91)
    )
    course.set_xticks([0, 30, 60, 90])
    return figure


@styled
def angles_along(x: Tensor, angles: Tensor, names: Sequence[str], xlabel: str) -> Figure:
    """Three angles in degrees along a path of rotations."""
    ys = dict(zip(names, angles.unbind(-1), strict=True))
    return curves(x, ys, xlabel, "angle (degrees)", colors=ANGLE_COLORS, dashed=names[2:])
