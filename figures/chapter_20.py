"""Drawings of chapter 20, fast orthogonalization."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from figures.shared import curves, plain_ticks
from figures.style import COLORS, FAINT, INK, MUTED, canvas, styled

__all__ = ["curves", "speeds", "step_times"]

#: Ways to compute one and the same projection: its colour for ours, grey for the others.
LINES = {
    "SVD + autograd": (INK, "--"),
    "RoMa": (MUTED, "-."),
    "rotlib": (COLORS["9d-svd"], "-"),
    "plain copy": (MUTED, ":"),
}


@styled
def speeds(table, methods: Sequence[str] = tuple(LINES)) -> Figure:
    """Nanoseconds for one matrix against the size of the batch, a line for each method."""
    figure, ax = canvas(5.2, 3.6)
    for name in methods:
        rows = table[table["method"] == name].sort_values("batch")
        color, line = LINES[name]
        ax.plot(rows["batch"], rows["best_ns"], line, marker="o", ms=4, color=color, label=name)
    ax.set(xscale="log", yscale="log", xlabel="matrices in the batch")
    ax.set_ylabel("nanoseconds for one matrix")
    plain_ticks(ax.xaxis, [1, 8, 64, 512, 4096, 100_000])
    plain_ticks(ax.yaxis, [10, 100, 1000, 10_000, 100_000])
    figure.legend(loc="outside upper center", ncols=2, fontsize=10)
    return figure


@styled
def step_times(table, own, batch: int) -> Figure:
    """A training step of two networks: without any projection, and what each method adds.

    Args:
        table: times of steps, ``direction``, ``batch``, ``method``, ``best_ns`` for each item.
        own: nanoseconds that each method takes for one matrix, value and gradient.
        batch: the items in the batch.
    """
    figure, axes = canvas(5.2, 3.6, panels=2, sharey=True)
    methods = [name for name in LINES if name in own.index and name != "plain copy"]
    for ax, network in zip(axes, ("MLP", "PointNet"), strict=True):
        rows = table[table["direction"] == f"training step, {network}"]
        rows = rows[(rows["batch"] == batch) & (rows["method"] == "no projection")]
        bare = rows["best_ns"].item() * batch / 1e6
        added = [own[name] * batch / 1e6 for name in methods]
        ax.barh(methods, bare, color=FAINT, label="network")
        bars = ax.barh(methods, added, left=bare, color=[LINES[name][0] for name in methods])
        shares = [f"{x / (x + bare):.0%}" for x in added]
        ax.bar_label(bars, shares, padding=4, fontsize=10)
        ax.set(title=f"{network}, {batch} items", xlabel="milliseconds a step")
        ax.set_xlim(0, 1.3 * (bare + max(added)))
        ax.grid(axis="y", visible=False)
    return figure
