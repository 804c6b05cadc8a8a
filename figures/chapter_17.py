"""Drawings of chapter 17, ambiguity and confidence."""

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from figures.shared import plain_ticks
from figures.style import COLORS, LABELS, canvas, styled


@styled
def confidence_scatter(
    panels: dict[str, tuple[Tensor, Tensor]], limits: dict[str, tuple[float, float]] | None = None
) -> Figure:
    """Error against confidence s2 + s3, item by item, a panel for each head."""
    figure, axes = canvas(5.2, 2.9, panels=len(panels), sharey=True)
    for ax, (head, (sure, errors)) in zip(axes, panels.items(), strict=True):
        ax.plot(sure.numpy(), errors.numpy(), ".", ms=3, alpha=0.35, color=COLORS[head])
        ax.set(yscale="log", ylim=(0.8, 200), xlabel="s₂ + s₃", title=LABELS[head])
        ax.set_xlim((limits or {}).get(head))
        plain_ticks(ax.yaxis, [1, 3, 10, 30, 100])
    axes[0].set_ylabel("error (degrees)")
    return figure


@styled
def risk_against_coverage(risks: dict[str, Tensor]) -> Figure:
    """Mean error of the most confident share of the items, ``(seeds, shares)`` for each head."""
    figure, ax = canvas()
    for head, values in risks.items():
        y = values.double().numpy()
        x = np.linspace(100 / y.shape[-1], 100, y.shape[-1])
        ax.fill_between(x, y.min(0), y.max(0), color=COLORS[head], alpha=0.2, lw=0)
        ax.plot(x, np.median(y, 0), color=COLORS[head], label=LABELS[head])
    ax.set(xlabel="items kept, most confident first (%)", ylabel="their mean error (degrees)")
    ax.set_ylim(bottom=0)
    ax.legend()
    return figure
