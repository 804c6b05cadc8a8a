"""Drawings of chapter 11, the Gram-Schmidt Jacobian."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure

from figures.style import COLORS, INK, MUTED, canvas, styled
from rotlib.orthogonalize import gram_schmidt_spectrum


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
