"""Part II: gains, condition numbers and landscapes."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from rotlib.display import scene
from rotlib.display.style import COLORS, INK, MUTED, PLANES, canvas, styled
from rotlib.euler import matrix_to_euler
from rotlib.jacobians import (
    euler_jacobian,
    gram_schmidt_jacobian,
    gram_schmidt_spectrum,
    quaternion_jacobian,
    rotvec_right_jacobian,
    svd_jacobian,
    svd_jacobian_spectrum,
    tangent_basis,
)
from rotlib.orthogonalize import matrix_to_rot6d, signed_svd, svd_orthogonalize
from rotlib.quaternion import matrix_to_quaternion
from rotlib.rotvec import matrix_to_rotvec, rotvec_to_matrix

_SHORT_NAMES = ("Euler", "rotation\nvector", "quaternion", "6D", "9D")


@styled
def gains(s1: float, s2: float, s3: float) -> Figure:
    """The three gains 2/(s_i+s_j) at one matrix, and their course as the signed s3 goes 1 to -1."""
    figure, (bars, course) = canvas(5.2, 3.0, panels=2, width_ratios=(1, 1.5))
    path = np.linspace(-s2 + 0.012, s2, 300)
    sums = {
        (1, 2): (s1 + s2, s1 + s2 + 0 * path),
        (1, 3): (s1 + s3, s1 + path),
        (2, 3): (s2 + s3, s2 + path),
    }
    top = 10.0
    for n, (plane, (here, along)) in enumerate(sums.items()):
        color, name = PLANES[plane], f"{plane[0]}{plane[1]}"
        gain = 2 / max(here, 1e-9)
        bars.bar(n, min(gain, top), color=color, width=0.65)
        label = "∞" if gain > 1e3 else f"{gain:.1f}"
        if gain > top:
            label = f"↑ {label}"
        bars.text(n, min(gain, top) + 0.15, label, ha="center", fontsize=10)
        course.plot(path, 2 / along, color=color, label=f"plane {name}")
        if gain <= top:
            course.plot([s3], [gain], "o", color=color, ms=7)
    bars.set(
        xticks=range(3),
        xticklabels=["12", "13", "23"],
        ylim=(0, top + 1.2),
        xlabel="plane ij",
        ylabel="gain 2/(sᵢ+sⱼ)",
    )
    course.axvline(0, color=MUTED, lw=1, ls=":")
    course.text(-0.05, top * 1.05, "det < 0", ha="left", va="top", color=MUTED, fontsize=10)
    course.set(xlim=(s2, -1.02 * s2), ylim=(0, top + 1.2), xlabel="signed s₃")
    course.legend(fontsize=9, loc="upper left", handlelength=1.2)
    return figure


@styled
def three_planes(M: Tensor) -> Figure:
    """For each singular plane, the axis that it turns about and the gain of that turn."""
    U, _, V = signed_svd(M)
    R, spectrum = (U @ V.mT).double().numpy(), svd_jacobian_spectrum(M)
    axes_world = U.double().numpy()
    figure, axes = canvas(5.2, 2.2, panels=3)
    for ax, (plane, color), gain in zip(
        axes, reversed(PLANES.items()), spectrum.tolist(), strict=True
    ):
        i, j = (n - 1 for n in plane)
        k = 3 - i - j
        scene.stage(ax, 1.3)
        scene.sphere(ax)
        for n in range(3):
            scene.arrow(ax, R[:, n], MUTED, width=1.2)
        scene.circle(ax, axes_world[:, i], axes_world[:, j], color, width=2.2)
        scene.arrow(ax, axes_world[:, k], color, f"u{'₁₂₃'[k]}")
        ax.set_title(f"plane {i + 1}{j + 1}\ngain {gain:.2f}", color=color, fontsize=10)
    return figure


def _gains(R: Tensor) -> dict[str, Tensor]:
    """Radians per unit of each representation's decoder at its own codes, ``(..., 3)``."""
    jacobians = {
        "euler": euler_jacobian(matrix_to_euler(R, "ZYX"), "ZYX"),
        "rotvec": tangent_basis(R) @ rotvec_right_jacobian(matrix_to_rotvec(R)),
        "quaternion": quaternion_jacobian(matrix_to_quaternion(R)),
        "6d-gs": gram_schmidt_jacobian(matrix_to_rot6d(R)),
        "9d-svd": svd_jacobian(R),
    }
    return {name: torch.linalg.svdvals(J)[..., :3] / math.sqrt(2) for name, J in jacobians.items()}


@styled
def condition_numbers(R: Tensor) -> Figure:
    """The condition number of each representation's decoder over a sample of rotations."""
    figure, ax = canvas(5.2, 3.0)
    for n, (name, gains_of) in enumerate(_gains(R).items()):
        kappa = gains_of[:, 0] / gains_of[:, 2]
        low, high = kappa.quantile(torch.tensor([0.05, 0.95], dtype=kappa.dtype)).tolist()
        outside = kappa[(kappa < low) | (kappa > high)].numpy()
        ax.plot(np.full(len(outside), n), outside, ".", color=COLORS[name], alpha=0.4, ms=4)
        ax.plot([n, n], [low, high], color=COLORS[name], lw=9, solid_capstyle="butt")
        ax.plot(n, float(kappa.median()), "_", color=INK, ms=16, mew=2)
    ax.set(yscale="log", ylabel="condition number κ", xlim=(-0.6, 4.6))
    ax.set_yticks([1, 2, 5, 10, 50], ["1", "2", "5", "10", "50"])
    ax.set_xticks(range(5), _SHORT_NAMES)
    ax.minorticks_off()
    ax.grid(axis="x", visible=False)
    return figure


@styled
def spectra_at(degrees: float) -> Figure:
    """The three gains of each representation at a pose turned by an angle about a tilted axis."""
    axis = torch.tensor([2.0, -1.0, 2.0], dtype=torch.float64) / 3
    figure, ax = canvas(5.2, 2.8)
    for n, (name, values) in enumerate(
        _gains(rotvec_to_matrix(math.radians(degrees) * axis)).items()
    ):
        ax.bar(n + np.array([-0.25, 0, 0.25]), values.numpy(), 0.22, color=COLORS[name])
    ax.set(ylabel="gain (radians per unit)", ylim=(0, 2.1))
    ax.set_xticks(range(5), _SHORT_NAMES)
    ax.grid(axis="x", visible=False)
    return figure


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


def _triangle_axes() -> tuple[Figure, Axes]:
    """The triangle of singular value ratios: lines of equal κ, rotations, and the pole."""
    figure, ax = canvas(5.2, 3.9)
    ax.fill([0, 1, 1], [0, 1, -1], color="#f4f5f8", zorder=0)
    for kappa in (1.5, 2, 3, 5, 20):
        x = np.linspace(0, 1, 101)
        y = (1 + x) / kappa - x
        inside = (np.abs(y) <= x + 1e-9).nonzero()[0]
        ax.plot(x[inside], y[inside], color=MUTED, lw=1)
        ax.text(1.02, y[-1], f"κ = {kappa:g}", va="center", color=MUTED, fontsize=9)
    ax.plot([0, 1], [0, 0], ":", color=INK, lw=1)
    ax.plot([0, 1], [0, -1], color=COLORS["9d-raw"], lw=3)
    ax.plot(1, 1, "o", color=INK, ms=8, clip_on=False)
    ax.text(0.97, 1.0, "rotations", ha="right", va="center")
    ax.text(0.42, -0.62, "pole", color=COLORS["9d-raw"], ha="right")
    ax.set(xlabel="s₂ / s₁", ylabel="s₃ / s₁, signed", xlim=(0, 1.2), ylim=(-1.05, 1.1))
    ax.set_xticks([0, 0.5, 1])
    ax.grid(False)
    return figure, ax


@styled
def triangle(M: Tensor) -> Figure:
    """Matrices on the triangle of their singular value ratios, with lines of equal κ."""
    figure, ax = _triangle_axes()
    s = signed_svd(M)[1].double()
    ax.plot(*(s[:, 1:] / s[:, :1]).T.numpy(), ".", color=COLORS["9d-svd"], ms=4, alpha=0.6)
    return figure


@styled
def stabilised_map(terms: int) -> Figure:
    """Median direction error of the truncated series over the triangle of singular values."""
    figure, ax = _triangle_axes()
    edges = np.linspace(0, 1, 41), np.linspace(-1, 1, 81)
    x, y = (torch.from_numpy((e[1:] + e[:-1]) / 2) for e in edges)
    y, x = torch.meshgrid(y, x, indexing="ij")
    one = torch.ones_like(x)
    high, low = torch.stack([x, one, one], -1), torch.stack([y, y, x], -1)
    exact = 2 / (high + low)
    kept = 1 - (low / high) ** (2 * terms)
    turns = torch.randn(200, 3, generator=torch.Generator().manual_seed(0), dtype=x.dtype)
    right, sent = (turns * g[..., None, :] for g in (exact, exact * kept))
    error = torch.cosine_similarity(right, sent, dim=-1).clamp(-1, 1).acos().rad2deg().median(-1)
    shown = torch.where(y.abs() <= x, error.values, torch.nan)
    mesh = ax.pcolormesh(*edges, shown.numpy(), cmap="viridis", vmin=0, vmax=30, zorder=0.5)
    figure.colorbar(mesh, ax=ax, label="direction error (degrees)")
    return figure


@styled
def column_energies(energies: dict[str, Sequence[float]]) -> Figure:
    """The squared Jacobian that falls on each of three raw columns."""
    figure, ax = canvas(5.2, 2.6)
    colors = {"Gram–Schmidt": COLORS["6d-gs"], "SVD": COLORS["9d-svd"]}
    for n, (name, values) in enumerate(energies.items()):
        bars = ax.bar(np.arange(3) + 0.36 * n - 0.18, values, 0.34, color=colors[name], label=name)
        ax.bar_label(bars, [f"{value:.0f}" for value in values], color=INK)
    ax.set_xticks(range(3), ["first column", "second", "third"])
    ax.set(ylabel="squared Jacobian", ylim=(0, 4.8))
    ax.grid(axis="x", visible=False)
    ax.legend()
    return figure


@styled
def two_column_gains(angle: float) -> Figure:
    """Gains of turns and energies of columns for unit columns at an angle in degrees."""
    figure, axes = canvas(5.2, 2.8, panels=2)
    psi = math.radians(angle)
    c, s = math.cos(psi), math.sin(psi)
    gram = gram_schmidt_spectrum(torch.tensor([1.0, 0, 0, c, s, 0], dtype=torch.float64))
    # Halves of the angle: the sum of both columns turns by one, the difference by the other.
    fair = sorted((1.0, 1 / math.cos(psi / 2), 1 / math.sin(psi / 2)), reverse=True)
    fair_column = sum(gain**2 for gain in fair) / 2  # both columns have the same share
    methods = (
        ("Gram–Schmidt", COLORS["6d-gs"], gram.tolist(), (2 * (2 + (c / s) ** 2), 2 / s**2)),
        ("symmetric", MUTED, fair, (fair_column, fair_column)),
    )
    for n, (label, color, turns, columns) in enumerate(methods):
        for ax, values in ((axes[0], turns), (axes[1], columns)):
            at = np.arange(len(values)) + 0.36 * n - 0.18
            ax.bar(at, values, 0.34, color=color, label=label)
    axes[0].set(xlabel="gain, by size", ylabel="gain", ylim=(0, 6))
    axes[0].set_xticks([0, 1, 2], ["1", "2", "3"])
    axes[1].set(xlabel="column", ylabel="squared Jacobian", ylim=(0, 12))
    axes[1].set_xticks([0, 1], ["a₁", "a₂"])
    axes[0].legend(fontsize=9)
    for ax in axes:
        ax.grid(axis="x", visible=False)
    return figure


def _poles(M: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and columns of a grid of matrices at which s2 + s3 has a minimum near zero."""
    s = signed_svd(M)[1]
    gap = (s[..., 1] + s[..., 2])[None]
    lowest = -torch.nn.functional.max_pool2d(-gap, 9, stride=1, padding=4)
    return tuple(((gap == lowest) & (gap < 0.06))[0].nonzero().T)


@styled
def landscapes(offset: float) -> Figure:
    """The loss after SVD and the direct loss over a plane of matrices, shifted off the target."""
    generator = torch.Generator().manual_seed(8)
    target = svd_orthogonalize(torch.randn(3, 3, generator=generator, dtype=torch.float64))
    directions = torch.randn(9, 3, generator=generator, dtype=torch.float64)
    across, up, away = torch.linalg.qr(directions).Q.mT.unflatten(-1, (3, 3))
    grid = torch.linspace(-4, 4, 161, dtype=torch.float64)
    y, x = torch.meshgrid(grid, grid, indexing="ij")
    M = target + x[..., None, None] * across + y[..., None, None] * up + offset * away
    figure, axes = canvas(5.2, 2.9, panels=2, sharey=True)
    for ax, output, title, top in (
        (axes[0], svd_orthogonalize(M), "after SVD", 4),
        (axes[1], M, "direct", 16),
    ):
        loss = ((output - target) ** 2).sum((-2, -1)).numpy() / 2
        levels = np.linspace(0, top, 13)
        ax.contourf(grid.numpy(), grid.numpy(), loss, levels, cmap="viridis", extend="max")
        ax.plot(0, 0, "x", color="white", ms=9, mew=2.5)
        if title == "after SVD":
            ax.contour(grid, grid, loss, [3.9], colors="white", linestyles="--", linewidths=1.2)
            poles = _poles(M)
            ax.plot(grid[poles[1]], grid[poles[0]], "o", mfc="none", mec="white", ms=9, mew=2)
        ax.set(title=title, aspect="equal", xticks=[], yticks=[])
    return figure
