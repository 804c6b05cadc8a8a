"""Drawings of chapter 12, direct regression."""

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from figures.style import canvas, styled
from rotlib.orthogonalize import svd_orthogonalize
from rotlib.svd import signed_svd


def _poles(M: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and columns of a grid of matrices at which s2 + s3 has a minimum near zero."""
    s = signed_svd(M)[1]
    gap = (s[..., 1] + s[..., 2])[None]
    lowest = -torch.nn.functional.max_pool2d(-gap, 9, stride=1, padding=4)
    rows, columns = ((gap == lowest) & (gap < 0.06))[0].nonzero().T
    return rows, columns


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
