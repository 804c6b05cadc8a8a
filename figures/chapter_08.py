"""Drawings of chapter 8, the SVD Jacobian."""

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from figures import scene
from figures.style import INK, MUTED, PLANES, canvas, styled
from rotlib.orthogonalize import svd_jacobian_spectrum
from rotlib.svd import signed_svd


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


@styled
def the_score() -> Figure:
    """The best score over the matrices diag(1, block) with a block that turns and stretches."""
    figure = Figure(figsize=(5.2, 2.9), layout="constrained")
    cone = figure.add_subplot(1, 2, 1, projection="3d")
    cuts = figure.add_subplot(1, 2, 2)
    radius, angle = np.meshgrid(np.linspace(0, 1, 24), np.linspace(0, 2 * np.pi, 61))
    x, y, z = radius * np.cos(angle), radius * np.sin(angle), 1 + 2 * radius
    cone.plot_surface(x, y, z, color=PLANES[2, 3], alpha=0.35, lw=0, rstride=1, cstride=1)
    around = np.linspace(0, 2 * np.pi, 121)
    for r in (0.25, 0.5, 0.75, 1.0):
        cone.plot(r * np.cos(around), r * np.sin(around), 1 + 2 * r, color=PLANES[2, 3], lw=1)
    cone.plot([0], [0], [1], "o", color=INK, ms=5)
    cone.text(0.15, 0, 0.75, "pole", color=INK, fontsize=10)
    cone.set(xticks=[], yticks=[], zticks=[1, 2, 3])
    cone.view_init(elev=16, azim=-60)
    along = np.linspace(-1, 1, 201)
    for r, color in ((0.0, INK), (0.3, PLANES[1, 3]), (0.6, PLANES[1, 2])):
        label = "through the tip" if r == 0 else f"past it at {r:g}"
        cuts.plot(along, 1 + 2 * np.sqrt(r**2 + along**2), color=color, label=label)
    cuts.set(xlabel="along the cut", ylabel="best score", xticks=[-1, 0, 1], yticks=[1, 2, 3])
    cuts.legend(fontsize=9, loc="upper center")
    return figure
