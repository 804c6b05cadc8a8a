"""Part I: poses, codes and projections."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from rotlib.display import scene
from rotlib.display.draw.plots import curves
from rotlib.display.style import COLORS, FAINT, INK, MUTED, PLANES, canvas, styled
from rotlib.euler import euler_to_matrix
from rotlib.jacobians import (
    euler_jacobian,
    tangent_basis,
)
from rotlib.rotvec import matrix_to_rotvec, rotvec_to_matrix

#: Colours for turns about axes 1, 2 and 3: those of the planes that they turn in.
PLANE_COLORS = tuple(PLANES[plane] for plane in ((2, 3), (1, 3), (1, 2)))

#: Colours of a first, second and third angle.
ANGLE_COLORS = (COLORS["euler"], MUTED, COLORS["9d-svd"])


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


@styled
def codes_along(degrees: Tensor, codes: dict[str, Tensor]) -> Figure:
    """The numbers of several representations along a path of rotations, a panel for each."""
    titles = {"euler": "Euler", "rotvec": "rotation vector", "quaternion": "quaternion"}
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
        ax.set_title(titles.get(name, "6D"))
        ax.set_xticks([0, 180, 360])
    figure.supxlabel("turned by (degrees)", fontsize=11)
    return figure


@styled
def errors_around(degrees: Tensor, errors: dict[str, Tensor]) -> Figure:
    """Error in degrees against the angle around a circle of poses."""
    figure, ax = canvas(5.2, 2.8)
    for name, error in errors.items():
        label = {"6d-gs": "6D"}.get(name, name)
        ax.plot(degrees.numpy(), error.numpy(), color=COLORS[name], label=label)
    ax.set(xlabel="turned by (degrees)", ylabel="error (degrees)", ylim=(-5, 185))
    ax.set_xticks([0, 90, 180, 270, 360])
    ax.set_yticks([0, 60, 120, 180])
    figure.legend(loc="outside upper left", ncols=2, fontsize=10)
    return figure


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
