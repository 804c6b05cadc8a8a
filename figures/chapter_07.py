"""Drawings of chapter 7, small rotations."""

import math

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from figures.shared import curves
from figures.style import COLORS, INK, canvas, styled
from rotlib.codes import matrix_to_rot6d
from rotlib.euler import euler_jacobian, matrix_to_euler
from rotlib.matrix import tangent_basis
from rotlib.orthogonalize import gram_schmidt_jacobian, svd_jacobian
from rotlib.quaternion import matrix_to_quaternion, quaternion_jacobian
from rotlib.rotvec import matrix_to_rotvec, rotvec_right_jacobian, rotvec_to_matrix

__all__ = ["condition_numbers", "curves", "spectra_at"]

_SHORT_NAMES = ("Euler", "rotation\nvector", "quaternion", "6D", "9D")


def _rates(R: Tensor) -> dict[str, Tensor]:
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
    for n, (name, rates_of) in enumerate(_rates(R).items()):
        kappa = rates_of[:, 0] / rates_of[:, 2]
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
    """Turning rates of each representation at a pose turned by an angle about a tilted axis."""
    axis = torch.tensor([2.0, -1.0, 2.0], dtype=torch.float64) / 3
    figure, ax = canvas(5.2, 2.8)
    for n, (name, values) in enumerate(
        _rates(rotvec_to_matrix(math.radians(degrees) * axis)).items()
    ):
        ax.bar(n + np.array([-0.25, 0, 0.25]), values.numpy(), 0.22, color=COLORS[name])
    ax.set(ylabel="turning rate (radians per unit)", ylim=(0, 2.1))
    ax.set_xticks(range(5), _SHORT_NAMES)
    ax.grid(axis="x", visible=False)
    return figure
