"""Claims of part II: one convex function behind the gradient, and what follows from it."""

import torch

from claims import HERE, claim
from claims.expected import about, above, below
from claims.samples import gaussians, largest, rotations
from rotlib import (
    geodesic_distance,
    gram_schmidt,
    hat,
    rot10d_to_matrix,
    rotvec_to_matrix,
    svd_condition_number,
    svd_jacobian,
    svd_jacobian_spectrum,
    svd_orthogonalize,
    svd_orthogonalize_unit_gains,
)
from rotlib.quaternion import davenport
from rotlib.svd import signed_svd


@claim(
    "SVD orthogonalization is the gradient of one convex function, and its Jacobian the Hessian.",
    source=HERE,
    chapter="08_the_svd_jacobian",
    verdict="holds",
    note="So $J$ is symmetric and positive semidefinite, $JM=0$, and the pole is a kink.",
    predicted="$\\varphi = s_1+s_2+s_3$, $\\nabla\\varphi=R$, $\\nabla^2\\varphi=J$",
    measured="slope and curvature agree to {expected[curvature]:g}; no chord of {chords:,} runs "
    "below it",
    expected={"slope": below(1e-9), "curvature": below(1e-8), "chord": below(1e-12)},
)
def potential():
    def score(M):
        s = torch.linalg.svdvals(M)
        return s[0] + s[1] + torch.linalg.det(M).sign() * s[2]

    M, other = gaussians(2000)[:200], gaussians(2000)
    gains = svd_jacobian_spectrum(M)[:, :1, None]
    scores = torch.func.vmap(score)
    middle = scores((other[::2] + other[1::2]) / 2)
    curvature = torch.func.vmap(torch.func.hessian(score))(M).reshape(-1, 9, 9)
    return {
        "slope": largest(torch.func.vmap(torch.func.grad(score))(M) - svd_orthogonalize(M)),
        "curvature": largest((curvature - svd_jacobian(M)) / gains),
        "chord": (middle - (scores(other[::2]) + scores(other[1::2])) / 2).max(),
        "chords": len(middle),
    }


@claim(
    "Gradient descent on $M$ through SVD keeps all three singular values; no step raises a gain.",
    source=HERE,
    chapter="09_gradient_distortion",
    verdict="holds",
    note="To first order. A finite step can only lower gains, whatever the loss. With a network in "
    "between it holds in part.",
    predicted="$ds_i = 0$; no ratio of gains above {expected[ratio]:.0f}",
    measured="first-order change at most {expected[change]:g} of $\\lVert dM\\rVert$; largest "
    "ratio {ratio:.3f} over {steps:,} steps",
    expected={"change": below(1e-4), "ratio": below(1 + 1e-9)},
)
def conserved_singular_values():
    M = gaussians(20_000)
    G = (svd_orthogonalize(M) - rotations(20_000)).flatten(1)[..., None]
    step = (svd_jacobian(M) @ G).reshape(-1, 3, 3)
    step = step / torch.linalg.matrix_norm(step, keepdim=True)
    before, small = svd_jacobian_spectrum(M), 1e-7
    calm = before[:, 0] < 100
    moved = (signed_svd(M + small * step)[1] - signed_svd(M)[1]).abs().amax(1) / small
    rates = 10 ** (4 * torch.rand(len(M), 1, 1, generator=torch.Generator().manual_seed(2)) - 3)
    return {
        "change": moved[calm].max(),
        "ratio": (svd_jacobian_spectrum(M + rates * step) / before).max(),
        "steps": len(M),
    }


@claim(
    "The gains are 4 over the gaps below the largest eigenvalue of Davenport's matrix.",
    source="Davenport for the matrix; " + HERE,
    chapter="08_the_svd_jacobian",
    verdict="holds",
    note="So the pole is a double largest eigenvalue, which has codimension two.",
    predicted="$\\lambda_1-\\lambda_k = 2(s_i+s_j)$, $\\lVert K\\rVert=2\\lVert M\\rVert$",
    measured="both agree to {expected[gap]:g} on {matrices:,} matrices",
    expected={"gap": below(1e-12), "norm": below(1e-12)},
)
def davenport_gaps():
    M = gaussians()
    K = davenport(M)
    values = torch.linalg.eigvalsh(K)
    sums = 2 / svd_jacobian_spectrum(M)
    norm = torch.linalg.matrix_norm(M)
    return {
        "gap": largest((values[:, 3:] - values[:, :3].flip(1) - 2 * sums) / norm[:, None]),
        "norm": largest(torch.linalg.matrix_norm(K) / norm - 2),
        "matrices": len(M),
    }


@claim(
    "The ten numbers of a symmetric 4×4 matrix are the nine of SVD and an idle one.",
    source=HERE,
    chapter="08_the_svd_jacobian",
    verdict="holds",
    predicted="`rot10d_to_matrix` of $cI-K$ is the nearest rotation, for any $c$",
    measured="agree to {expected[gap]:g} on {matrices:,} matrices",
    expected={"gap": below(1e-9)},
)
def ten_numbers_are_nine():
    M = gaussians()
    c = gaussians()[:, :1, :1]
    A = c * torch.eye(4, dtype=M.dtype) - davenport(M)
    i, j = torch.triu_indices(4, 4)
    condition = svd_condition_number(M)[:, None, None]
    return {
        "gap": largest((rot10d_to_matrix(A[:, i, j]) - svd_orthogonalize(M)) / condition),
        "matrices": len(M),
    }


@claim(
    "The error that noise causes is $\\sigma^2\\lVert J\\rVert_F^2$; SVD and the symmetric "
    "two-vector map reach the Cramér–Rao bound, Gram–Schmidt does not.",
    source=HERE,
    chapter="11_the_gram_schmidt_jacobian",
    verdict="holds",
    predicted="{expected[svd]:g}, {expected[symmetric]:g} and {expected[gram_schmidt]:g} times "
    "$\\sigma^2$",
    measured="{svd:.2f}, {symmetric:.2f} and {gram_schmidt:.2f} on {rotations:,} rotations",
    expected={
        "svd": about(3, within=0.05),
        "symmetric": about(5, within=0.1),
        "gram_schmidt": about(6, within=0.1),
    },
)
def noise_is_the_jacobian():
    R, sigma = rotations(100_000), 0.01
    noisy = R + sigma * gaussians(100_000)

    def symmetric(M):
        a, b = torch.nn.functional.normalize(M[..., :2], dim=-2).unbind(-1)
        plus, minus = (torch.nn.functional.normalize(v, dim=-1) for v in (a + b, a - b))
        x, y = (plus + minus) / 2**0.5, (plus - minus) / 2**0.5
        return torch.stack([x, y, torch.linalg.cross(x, y)], -1)

    maps = {"svd": svd_orthogonalize, "symmetric": symmetric}
    maps["gram_schmidt"] = lambda M: gram_schmidt(M[..., :2])
    errors = {name: ((f(noisy) - R) ** 2).sum((-2, -1)).mean() for name, f in maps.items()}
    return {name: error / sigma**2 for name, error in errors.items()} | {"rotations": len(R)}


@claim(
    "With $M$ as parameter the rotation moves unevenly: by $\\kappa^2$ through SVD, by $\\kappa$ "
    "with direct regression and with unit gains, evenly with RPMG at $\\lambda=0$.",
    source="{cite:t}`chen2022projective` for RPMG; " + HERE,
    chapter="10_stabilised_gradients",
    verdict="holds",
    note="RPMG's step is that of Gauss and Newton there. With a network it is no verdict.",
    predicted="$\\kappa^2$, $\\kappa$, $\\kappa$, $\\kappa^0$",
    measured="agree to {expected[gap]:g} on {matrices:,} matrices",
    expected={"gap": below(1e-4)},
)
def who_moves_the_rotation_evenly():
    M = gaussians()[:100]
    R, J, kappa = svd_orthogonalize(M), svd_jacobian(M), svd_condition_number(M)
    V = signed_svd(M)[2]
    turns = R[:, None] @ hat(V.mT) / 2**0.5  # unit turns about v1, v2, v3, as the object sees them
    turns = turns.flatten(2)
    goal = R[:, None] @ rotvec_to_matrix(1e-6 * V.mT)
    A = M[:, None] @ goal.mT
    rpmg = ((A - A.mT) / 2 @ goal).flatten(2)
    sent = {"svd": turns @ J, "even": turns @ svd_jacobian(R), "rpmg": rpmg}
    power = {"svd": 2, "even": 1, "rpmg": 0}
    gaps = []
    for name, step in sent.items():
        speed = ((step @ J) * turns).sum(-1).abs()
        gaps.append(speed.amax(1) / speed.amin(1) / kappa ** power[name] - 1)
    return {"gap": largest(*gaps), "matrices": len(M)}


@claim(
    "A network of limited capacity has another best answer directly than through SVD.",
    source=HERE,
    chapter="12_direct_regression",
    verdict="holds",
    note="Least squares on entries weighs an item by the size of its output. It may be a part of "
    "the late price of direct regression.",
    predicted="for $M(x)=xA$ and $x\\in\\{{1,3\\}}$, SVD of $T_1+3T_2$ against that of $T_1+T_2$",
    measured="median of {pairs:,} random pairs: {apart:.0f}° apart",
    expected={"gap": below(1e-9), "apart": above(10)},
)
def capacity_matters():
    first, second = rotations(1000), rotations(1000, seed=2)
    x = torch.tensor([[1.0], [3.0]], dtype=first.dtype)
    both = torch.stack([first, second], 1).flatten(2)
    A = (torch.linalg.pinv(x) @ both).reshape(-1, 3, 3)
    direct, through = svd_orthogonalize(A), svd_orthogonalize(first + second)
    return {
        "gap": largest(direct - svd_orthogonalize(first + 3 * second)),
        "apart": geodesic_distance(direct, through).rad2deg().median(),
        "pairs": len(first),
    }


@claim(
    "Through SVD the gradient of a random output has a finite mean and an infinite variance.",
    source=HERE,
    chapter="21_a_model_small_enough",
    verdict="holds",
    note="$s_2+s_3<\\delta$ has a probability proportional to $\\delta^2$, and the gain is "
    "$2/\\delta$: the mean square diverges as a logarithm.",
    predicted="the mean square grows by the same amount for each factor of ten in the cap",
    measured="it grows by {low:.2f} to {high:.2f} for caps up to {cap:,.0f}, on {matrices:,} "
    "matrices",
    expected={"low": above(1.3), "high": below(1.55)},
)
def no_variance():
    M = gaussians(400_000)
    G = (svd_orthogonalize(M) - rotations(400_000)).flatten(1)
    square = ((svd_jacobian(M) @ G[..., None]).squeeze(-1) ** 2).sum(-1)
    caps = [10.0**k for k in range(1, 5)]
    grown = torch.stack([square.clamp(max=cap).mean() for cap in caps]).diff()
    return {"low": grown.min(), "high": grown.max(), "cap": caps[-1], "matrices": len(M)}


@claim(
    "Near the end of training a linear layer, at the same rate and at $a=1$, direct regression "
    "learns three times as fast as a projection in the loop.",
    source=HERE,
    chapter="21_a_model_small_enough",
    verdict="holds",
    note="Nine errors of an item against three. With items of unequal size the stretch error "
    "leaves direct regression a floor that a projection has not: the chapter predicts both.",
    predicted="near the end $\\dot e=-e$ against $-e/3$",
    measured="{direct:.3f} against {svd:.3f} and {unit:.3f}, from averages over {matrices:,} "
    "matrices",
    expected={
        "direct": about(1, within=0.02),
        "svd": about(1 / 3, within=0.01),
        "unit": about(1 / 3, within=0.01),
    },
)
def three_times_as_fast():
    T, N, e = rotations(50_000), gaussians(50_000), 0.02
    M = T + e * N

    def speed(f):
        leaf = M.clone().requires_grad_()
        (G,) = torch.autograd.grad(((f(leaf) - T) ** 2).sum() / 2, leaf)
        return (G * N).sum((-2, -1)).mean() / 9 / e

    maps = {"direct": lambda M: M, "svd": svd_orthogonalize, "unit": svd_orthogonalize_unit_gains}
    return {name: speed(f) for name, f in maps.items()} | {"matrices": len(M)}
