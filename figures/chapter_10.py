"""Drawings of chapter 10, stabilised gradients."""

import numpy as np
import torch
from matplotlib.figure import Figure

from figures.shared import curves, triangle_axes
from figures.style import styled

__all__ = ["curves", "stabilised_map"]


@styled
def stabilised_map(terms: int) -> Figure:
    """Median direction error of the truncated series over the triangle of singular values."""
    figure, ax = triangle_axes()
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
