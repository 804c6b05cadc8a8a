"""The pieces of a picture in space: sphere, paper plane, arrows, and a matrix as a grid."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import FancyArrowPatch, Polygon
from torch import Tensor

from figures.style import FAINT, INK, MUTED

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


def project(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Screen coordinates ``(..., 2)`` of world points, and how near the eye they are."""
    return np.stack([points @ _RIGHT, points @ _UP], -1), points @ _EYE


def stage(ax: Axes, reach: float = 1.15) -> None:
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    ax.axis("off")


def plane(ax: Axes, R: Tensor, color: str, alpha: float = 1.0) -> None:
    """The paper plane, turned by ``R``: faces painted from far to near."""
    turned = [np.stack(face) @ R.double().numpy().T for face in _FACES]
    order = sorted(range(len(turned)), key=lambda n: project(turned[n])[1].mean())
    for n in order:
        tone = np.array(to_rgb(color)) * _SHADES[n] + (1 - _SHADES[n]) * 0.25
        corners = project(turned[n])[0]
        ax.add_patch(Polygon(corners, fc=(*tone, alpha), ec="white", lw=1.2, joinstyle="round"))


def plane_outline(ax: Axes, R: Tensor) -> None:
    """Where the paper plane was: its edges, dashed."""
    for face in _FACES:
        corners = project(np.stack(face) @ R.double().numpy().T)[0]
        ax.add_patch(Polygon(corners, fill=False, ec=MUTED, lw=1.2, ls="--", joinstyle="round"))


def circle(ax: Axes, a: np.ndarray, b: np.ndarray, color: str, width: float = 1.0) -> None:
    """The circle ``a cos t + b sin t``: solid in front, dotted behind."""
    t = np.linspace(0, 2 * math.pi, 181)[:, None]
    xy, near = project(a * np.cos(t) + b * np.sin(t))
    for front, line in ((near >= -1e-9, "-"), (near <= 1e-9, ":")):
        ax.plot(*np.where(front[:, None], xy, np.nan).T, line, color=color, lw=width, zorder=1)


def sphere(ax: Axes) -> None:
    """The unit sphere as its outline and three great circles."""
    x, y, z = np.eye(3)
    for a, b in ((_RIGHT, _UP), (x, y), (y, z), (x, z)):
        circle(ax, a, b, FAINT)


def arrow(ax: Axes, tip: np.ndarray, color: str, label: str = "", width: float = 2.4) -> None:
    """An arrow from the origin; paler when it points away from the reader."""
    (x, y), near = project(tip)
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


def matrix_grid(ax: Axes, A: Tensor, title: str, scale: float) -> None:
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
