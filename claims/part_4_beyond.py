"""Claims of part IV: other groups, other losses, and the price of a projection."""

import math

import pandas as pd
import torch

from claims import HERE, REPORTED, claim
from claims.expected import about, above, below, between, exactly
from claims.results import RESULTS
from claims.samples import EYE, diagonal, gaussians, largest, rotations
from rotlib import geodesic_distance, gram_schmidt, rotvec_to_matrix, svd_orthogonalize

START_DEG = 175


@claim(
    "In $n$ dimensions the nearest rotation has $n(n-1)/2$ gains, $2/(s_i+s_j)$.",
    source=HERE,
    chapter="19_other_groups_other_losses",
    verdict="holds",
    predicted="$n(n-1)/2$",
    measured="{gains} for $n$ from {smallest} to {greatest}",
    expected={"miscounted": exactly(0), "gap": below(1e-7)},
)
def gains_in_n_dimensions():
    generator = torch.Generator().manual_seed(0)
    dimensions, gains, gaps = range(2, 9), [], []
    for n in dimensions:
        M = torch.randn(n, n, generator=generator, dtype=torch.float64)
        s = torch.linalg.svdvals(M)
        s[-1] *= torch.linalg.det(M).sign()
        i, j = torch.triu_indices(n, n, 1)
        spectrum = (2 / (s[i] + s[j])).sort(descending=True).values
        J = torch.func.jacrev(svd_orthogonalize)(M).reshape(n * n, n * n)
        values = torch.linalg.svdvals(J)
        gains.append((values > 1e-8 * values[0]).sum())
        gaps.append(values[: len(spectrum)] / spectrum - 1)
    law = [n * (n - 1) // 2 for n in dimensions]
    return {
        "gains": gains,
        "miscounted": sum(found != due for found, due in zip(gains, law, strict=True)),
        "gap": largest(*gaps),
        "smallest": dimensions[0],
        "greatest": dimensions[-1],
    }


@claim(
    "The wait near half a turn belongs to the chordal loss, not to the projection.",
    source=HERE,
    chapter="19_other_groups_other_losses",
    verdict="holds",
    note="The squared angle has a crease at half a turn instead.",
    predicted="{expected[angle]:.1f}° for the squared angle",
    measured="from {start}°, at time {time:g}: squared chordal {chordal:.0f}°, squared angle "
    "{angle:.1f}°",
    expected={
        "chordal": between(160, START_DEG),
        "angle": about(START_DEG / math.e, within=0.3),
    },
    slow=True,
)
def wait_belongs_to_the_loss():
    T = rotations(1)[0]
    start = T @ rotvec_to_matrix(math.radians(START_DEG) * diagonal(1.0, 0, 0)[0])
    losses = {
        "chordal": lambda Q: (Q - T).square().sum() / 2,
        "angle": lambda Q: geodesic_distance(Q, T) ** 2,
    }
    left, rate, steps = {}, 1e-3, 1000
    for name, loss in losses.items():
        M = start
        for _ in range(steps):
            M = M.detach().requires_grad_()
            M = M - rate * torch.autograd.grad(loss(svd_orthogonalize(M)), M)[0]
        left[name] = geodesic_distance(svd_orthogonalize(M), T).rad2deg()
    return {**left, "start": START_DEG, "time": rate * steps}


@claim(
    "If columns differ in noise, Gram–Schmidt can beat SVD, and SVD of the weighted columns beats "
    "both.",
    source=HERE,
    chapter="19_other_groups_other_losses",
    verdict="holds",
    predicted="{expected[svd]:.0f}, {expected[gram_schmidt]:.0f} and {expected[weighted]:.1f}",
    measured="{svd:.0f}, {gram_schmidt:.1f} and {weighted:.1f} times $\\sigma^2$, third column "
    "{times:g} times as noisy",
    expected={
        "svd": about(102, within=3),
        "gram_schmidt": about(6, within=0.18),
        "weighted": about(2 * (0.5 + 2 / 1.01), within=0.15),
    },
)
def weighted_columns():
    sigma, times = 0.005, 10.0
    each = torch.tensor([1.0, 1.0, times], dtype=torch.float64)
    M = EYE + sigma * each * gaussians(50_000)
    answers = {
        "svd": svd_orthogonalize(M),
        "gram_schmidt": gram_schmidt(M[..., :2]),
        "weighted": svd_orthogonalize(M / each**2),
    }
    errors = {name: (R - EYE).square().sum((-2, -1)).mean() for name, R in answers.items()}
    return {**{name: error / sigma**2 for name, error in errors.items()}, "times": times}


@claim(
    "The nearest rotation and its gradient need no SVD, at no loss of accuracy against one.",
    source=HERE,
    chapter="20_fast_orthogonalization",
    verdict="holds",
    note="Where $(s_1+s_2)(s_1+s_3)(s_2+s_3)$ is too small, below $10^{-4}$ for squares that "
    "sum to 3 in single precision, and in double near minus a rotation, the formula is "
    "not trusted: the eigenvector of a symmetric $4\\times4$ matrix answers.",
    predicted="error of about $\\varepsilon\\,s_1/(s_2+s_3)$",
    measured="at most {value:.1f} times that, and {gradient:.1f} for the gradient, on {classes} "
    "hard classes",
    expected={"value": below(10), "gradient": below(10), "largest_against_svd": below(1)},
)
def no_svd_needed():
    table = pd.read_csv(RESULTS / "accuracy.csv")
    worst = table.pivot_table(["value", "gradient"], ["method", "dtype"], aggfunc="max")
    ours, svd = worst.loc["rotlib"], worst.loc["SVD + autograd"]
    return {
        "value": ours["value"].max(),
        "gradient": ours["gradient"].max(),
        "largest_against_svd": (ours / svd).max(axis=None),
        "classes": table["case"].nunique(),
    }


@claim(
    "SVD in the loop costs no measurable training time.",
    source=REPORTED,
    chapter="20_fast_orthogonalization",
    verdict="depends",
    note="On one CPU thread. True of a network that reads points, with long batches. On a small "
    "network SVD is a third of a step at 32 items and most of one at 2,048, a closed form a small "
    "part of it. (The projection's own time; differences of steps are lost in the clock's noise.)",
    predicted="no share of a step",
    measured="MLP, {short} items: {mlp_short[svd]:.0%} by SVD, {mlp_short[ours]:.0%} by closed "
    "form; MLP, {long:,} items: {mlp_long[svd]:.0%} by SVD, {mlp_long[ours]:.0%} by closed form; "
    "PointNet, {long:,} items: {pointnet[svd]:.0%} and {pointnet[ours]:.1%}",
    expected={
        "mlp_short[svd]": above(0.25),
        "mlp_long[svd]": above(0.5),
        "mlp_short[ours]": below(0.2),
        "mlp_long[ours]": below(0.2),
        "pointnet": below(0.1),
        "svd_less_ours": above(0),
    },
)
def projection_in_a_step():
    table = pd.read_csv(RESULTS / "speed.csv")
    table = table.loc[(table["threads"] == 1) & (table["device"] == "cpu")]
    methods = {"svd": "SVD + autograd", "ours": "rotlib"}
    short, long = 32, 2048

    both = table.loc[(table["direction"] == "forward + backward") & (table["dtype"] == "float32")]
    own = both.pivot_table("best_ns", "batch", "method").rename({4096: long})
    bare = table.loc[table["method"] == "no projection"]
    bare = bare.pivot_table("best_ns", "batch", "direction")

    def share_of(network, batch):
        step = bare.loc[batch, f"training step, {network}"]
        times = {name: own.loc[batch, row] for name, row in methods.items()}
        return {name: time / (step + time) for name, time in times.items()}

    shares = {
        "mlp_short": share_of("MLP", short),
        "mlp_long": share_of("MLP", long),
        "pointnet": share_of("PointNet", long),
    }
    lead = [share["svd"] - share["ours"] for share in shares.values()]
    return {**shares, "svd_less_ours": lead, "short": short, "long": long}
