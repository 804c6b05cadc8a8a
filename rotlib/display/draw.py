"""Drawings, named after what they show. Each takes tensors and returns a matplotlib figure."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Polygon
from torch import Tensor

from rotlib.display.style import COLORS, FAINT, INK, MUTED, PLANES, canvas, styled
from rotlib.jacobians import svd_jacobian_spectrum
from rotlib.orthogonalize import signed_svd

#: Colours for turns about axes 1, 2 and 3: those of the planes that they turn in.
PLANE_COLORS = tuple(PLANES[plane] for plane in ((2, 3), (1, 3), (1, 2)))

# Where the reader stands: screen right, screen up, and towards the eye, in world coordinates.
_YAW, _PITCH = math.radians(-52), math.radians(30)
_RIGHT = np.array([-math.sin(_YAW), math.cos(_YAW), 0.0])
_EYE = np.array(
    [math.cos(_PITCH) * math.cos(_YAW), math.cos(_PITCH) * math.sin(_YAW), math.sin(_PITCH)]
)
_UP = np.cross(_EYE, _RIGHT)

# A paper plane: no symmetry of its own, so that every rotation looks different.
_NOSE, _LEFT, _STARBOARD, _TAIL, _KEEL = (
    np.array(p)
    for p in ([1.0, 0, 0], [-0.8, 0.8, 0.1], [-0.8, -0.8, 0.1], [-0.8, 0, 0], [-0.7, 0, -0.45])
)
_FACES = [(_NOSE, _TAIL, _KEEL), (_NOSE, _LEFT, _TAIL), (_NOSE, _STARBOARD, _TAIL)]
_SHADES = [0.45, 1.0, 0.72]


def _project(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Screen coordinates ``(..., 2)`` of world points, and how near the eye they are."""
    return np.stack([points @ _RIGHT, points @ _UP], -1), points @ _EYE


def _scene(ax: Axes, reach: float = 1.15) -> None:
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    ax.axis("off")


def _plane(ax: Axes, R: Tensor, color: str, alpha: float = 1.0) -> None:
    """The paper plane, turned by ``R``: faces painted from far to near."""
    turned = [np.stack(face) @ R.double().numpy().T for face in _FACES]
    order = sorted(range(len(turned)), key=lambda n: _project(turned[n])[1].mean())
    for n in order:
        tone = np.array(to_rgb(color)) * _SHADES[n] + (1 - _SHADES[n]) * 0.25
        corners = _project(turned[n])[0]
        ax.add_patch(Polygon(corners, fc=(*tone, alpha), ec="white", lw=1.2, joinstyle="round"))


def _plane_outline(ax: Axes, R: Tensor) -> None:
    """Where the paper plane was: its edges, dashed."""
    for face in _FACES:
        corners = _project(np.stack(face) @ R.double().numpy().T)[0]
        ax.add_patch(Polygon(corners, fill=False, ec=MUTED, lw=1.2, ls="--", joinstyle="round"))


def _circle(ax: Axes, a: np.ndarray, b: np.ndarray, color: str, width: float = 1.0) -> None:
    """The circle ``a cos t + b sin t``: solid in front, dotted behind."""
    t = np.linspace(0, 2 * math.pi, 181)[:, None]
    xy, near = _project(a * np.cos(t) + b * np.sin(t))
    for front, line in ((near >= -1e-9, "-"), (near <= 1e-9, ":")):
        ax.plot(*np.where(front[:, None], xy, np.nan).T, line, color=color, lw=width, zorder=1)


def _sphere(ax: Axes) -> None:
    """The unit sphere as its outline and three great circles."""
    x, y, z = np.eye(3)
    for a, b in ((_RIGHT, _UP), (x, y), (y, z), (x, z)):
        _circle(ax, a, b, FAINT)


def _arrow(ax: Axes, tip: np.ndarray, color: str, label: str = "", width: float = 2.4) -> None:
    """An arrow from the origin; paler when it points away from the reader."""
    (x, y), near = _project(tip)
    style = {"color": color, "lw": width, "alpha": 1.0 if near >= -0.05 else 0.55, "zorder": 3}
    ax.add_patch(
        FancyArrowPatch(
            (0, 0), (x, y), arrowstyle="-|>", mutation_scale=13, shrinkA=0, shrinkB=0, **style
        )
    )
    if label:
        length = max(math.hypot(x, y), 0.25)
        ax.text(
            x + 0.17 * x / length,
            y + 0.17 * y / length,
            label,
            color=color,
            ha="center",
            va="center",
            zorder=4,
        )


def _grid(ax: Axes, A: Tensor, title: str, scale: float) -> None:
    """A 3x3 matrix as a grid of numbers on a diverging tint."""
    values = A.double().numpy() + 0.0
    ax.imshow(values, cmap="PuOr_r", vmin=-2 * scale, vmax=2 * scale)
    for (row, column), value in np.ndenumerate(values):
        text = f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")
        ax.text(column, row, text, ha="center", va="center", fontsize=10, color=INK)
    ax.set(xticks=[], yticks=[])
    ax.set_title(title)
    ax.grid(False)
    ax.spines[:].set_visible(False)


@styled
def two_poses(before: Tensor, after: Tensor) -> Figure:
    """A paper plane in two poses, and how each of the nine entries of its matrix changed."""
    figure, (scene, grid) = canvas(5.2, 2.7, panels=2)
    _scene(scene, 1.0)
    _plane(scene, after, COLORS["9d-svd"])
    _plane_outline(scene, before)
    change = after - before
    _grid(grid, change, "change of the matrix", float(change.abs().max()))
    return figure


@styled
def pose_and_matrix(R: Tensor) -> Figure:
    """A paper plane, its three columns on the unit sphere, and its nine numbers."""
    figure, (scene, grid) = canvas(5.2, 2.8, panels=2)
    _scene(scene, 1.25)
    _sphere(scene)
    _plane(scene, R, COLORS["9d-svd"], alpha=0.85)
    for n, name in enumerate("₁₂₃"):
        _arrow(scene, R[:, n].double().numpy(), INK, f"r{name}", width=1.6)
    _grid(grid, R, "R", 1.0)
    return figure


@styled
def bar_spectrum(values: Tensor, xlabel: str, ylabel: str) -> Figure:
    """Singular values as bars, in descending order."""
    figure, ax = canvas(5.2, 2.6)
    heights = values.double().numpy()
    bars = ax.bar(range(1, len(heights) + 1), heights, color=COLORS["9d-svd"], width=0.6)
    ax.bar_label(bars, [f"{h:.2f}" if h > 1e-9 else "0" for h in heights], color=INK, fontsize=10)
    ax.set(
        xlabel=xlabel,
        ylabel=ylabel,
        xticks=range(1, len(heights) + 1),
        ylim=(0, 1.2 * max(heights)),
    )
    ax.grid(axis="x", visible=False)
    return figure


@styled
def curves(
    x: Tensor,
    ys: dict[str, Tensor],
    xlabel: str,
    ylabel: str,
    *,
    colors: Sequence[str] = (COLORS["9d-svd"], COLORS["9d-raw"], COLORS["6d-gs"]),
    dashed: Sequence[str] = (),
    log: bool = False,
) -> Figure:
    """Labelled curves over a common axis; the names in ``dashed`` are drawn as such."""
    figure, ax = canvas()
    for (name, y), color in zip(ys.items(), colors, strict=False):
        line = "--" if name in dashed else "-"
        ax.plot(x.double().numpy(), y.double().numpy(), line, label=name, color=color)
    if log:
        ax.set(xscale="log", yscale="log")
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.legend()
    return figure


@styled
def histogram_against(
    samples: dict[str, Tensor], x: Tensor, density: Tensor, law: str, xlabel: str
) -> Figure:
    """Outlined histograms of samples, and the density that they should follow."""
    figure, ax = canvas()
    bins = np.linspace(float(x[0]), float(x[-1]), 37)
    for (name, values), color in zip(
        samples.items(), (COLORS["9d-svd"], COLORS["euler"]), strict=False
    ):
        ax.hist(
            values.double().numpy(),
            bins,
            density=True,
            histtype="stepfilled",
            alpha=0.35,
            color=color,
            label=name,
        )
    ax.plot(x.double().numpy(), density.double().numpy(), color=INK, lw=1.6, label=law)
    ax.set(xlabel=xlabel, ylabel="density", yticks=[])
    ax.legend()
    return figure


@styled
def projections(M: Tensor, projected: dict[str, Tensor]) -> Figure:
    """A raw matrix's columns, and the frames that different projections make of them."""
    figure, axes = canvas(5.2, 2.9, panels=len(projected))
    for ax, (name, R) in zip(np.atleast_1d(axes), projected.items(), strict=True):
        _scene(ax, 1.3)
        _sphere(ax)
        for n in range(3):
            _arrow(ax, M[:, n].double().numpy(), COLORS["9d-raw"], width=1.6)
            _arrow(ax, R[:, n].double().numpy(), COLORS[name], f"r{'₁₂₃'[n]}")
        gap = math.sqrt(float(((M - R) ** 2).sum()))
        ax.set_title(
            f"{ {'6d-gs': 'Gram–Schmidt', '9d-svd': 'SVD'}[name] }: distance {gap:.2f}",
            color=COLORS[name],
        )
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
    )


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
        bars.text(
            n, min(gain, top) + 0.15, f"{gain:.1f}" if gain < 1e3 else "∞", ha="center", fontsize=10
        )
        course.plot(path, 2 / along, color=color, label=f"plane {name}")
        course.plot([s3], [min(gain, top)], "o", color=color, ms=7)
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
        _scene(ax, 1.3)
        _sphere(ax)
        for n in range(3):
            _arrow(ax, R[:, n], MUTED, width=1.2)
        _circle(ax, axes_world[:, i], axes_world[:, j], color, width=2.2)
        _arrow(ax, axes_world[:, k], color, f"u{'₁₂₃'[k]}")
        ax.set_title(f"plane {i + 1}{j + 1}\ngain {gain:.2f}", color=color, fontsize=10)
    return figure


@styled
def gradient_against_size(lengths: Tensor, gradients: Tensor) -> Figure:
    """The length of the gradient that reaches M, against the length of M, and the law 1/|M|."""
    middle = len(lengths) // 2
    law = gradients[middle] * lengths[middle] / lengths
    return curves(
        lengths,
        {"gradient of the projected loss": gradients, "one over the length": law},
        "length of M",
        "length of the gradient",
        colors=(COLORS["9d-svd"], INK),
        dashed=("one over the length",),
        log=True,
    )
