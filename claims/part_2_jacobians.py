"""Claims of part II: what each map does to a gradient."""

import itertools

import torch

from claims import CHOY, HERE, claim
from claims.expected import about, above, below, between, exactly
from claims.samples import EYE, diagonal, gaussians, largest, rotations
from rotlib import (
    autograd_jacobian,
    geodesic_distance,
    gram_schmidt_spectrum,
    matrix_to_rot6d,
    rot6d_to_matrix,
    rotvec_to_matrix,
    svd_condition_number,
    svd_jacobian,
    svd_jacobian_spectrum,
    svd_orthogonalize,
    svd_orthogonalize_autograd,
    svd_orthogonalize_taylor,
)


@claim(
    "The Jacobian of SVD orthogonalization has rank 3.",
    source=CHOY,
    chapter="08_the_svd_jacobian",
    verdict="holds",
    predicted="{expected[rank]}",
    measured="{rank} for all of {matrices:,} Gaussian matrices",
    expected={"rank": exactly(3), "of_another_rank": exactly(0), "third": above(0.05)},
)
def svd_jacobian_rank():
    values = torch.linalg.svdvals(autograd_jacobian(svd_orthogonalize_autograd, gaussians()))
    ranks = (values > 1e-9 * values[:, :1]).sum(1)
    return {
        "rank": ranks[0],
        "of_another_rank": (ranks != ranks[0]).sum(),
        "third": values[:, 2].min(),
        "matrices": len(values),
    }


@claim(
    "Its nonzero singular values are $2/(s_i+s_j)$.",
    source=CHOY,
    chapter="08_the_svd_jacobian",
    verdict="holds",
    note="For $\\det M < 0$ with signed singular values: $s_3$ carries the sign.",
    predicted="$2/(s_i+s_j)$",
    measured="agrees to {expected[gap]:g} with autograd on {matrices:,} matrices, {negative} of "
    "them with $\\det M<0$",
    expected={"gap": below(1e-10), "negative": above(100)},
)
def svd_jacobian_values():
    M = gaussians()
    values = torch.linalg.svdvals(autograd_jacobian(svd_orthogonalize_autograd, M))[:, :3]
    return {
        "gap": largest(values / svd_jacobian_spectrum(M) - 1),
        "matrices": len(M),
        "negative": (torch.linalg.det(M) < 0).sum(),
    }


@claim(
    "Its condition number is $\\kappa=(s_1+s_2)/(s_2+s_3)$.",
    source=CHOY,
    chapter="08_the_svd_jacobian",
    verdict="holds",
    predicted="$(s_1+s_2)/(s_2+s_3)$",
    measured="agrees to {expected[gap]:g} on {matrices:,} matrices",
    expected={"gap": below(1e-10)},
)
def svd_condition_number_formula():
    M = gaussians()
    values = torch.linalg.svdvals(autograd_jacobian(svd_orthogonalize_autograd, M))
    gap = (values[:, 0] / values[:, 2]) / svd_condition_number(M) - 1
    return {"gap": largest(gap), "matrices": len(M)}


@claim(
    "The distortion is worst far from $SO(3)$, as early in training, when $s_3\\approx0$.",
    source=CHOY,
    chapter="08_the_svd_jacobian",
    verdict="depends",
    note="Far away, yes, and $s_3\\approx0$ goes with it. But $s_3=0$ is no singular point: the "
    "pole is at $s_2+s_3=0$: near rank one, or at $\\det M<0$ with two equal small singular "
    "values. Early in training half of the outputs are mirrored (chapter 9); trained through SVD, "
    "some distortion stays to the end.",
    predicted="$\\kappa = 1$ on $SO(3)$; $1+s_1/s_2$ at $s_3=0$; $\\infty$ at $s_2+s_3=0$",
    measured="{on_group:.2f}; median {median:.1f} and {share:.0%} quantile {tail:.1f} for Gaussian "
    "matrices with $|s_3|<{flat:g}$; above {expected[near_pole]:,.0f} at $s_2+s_3={to_pole:.6f}$",
    expected={
        "on_group": about(1, within=1e-10),
        "at_rank_two": about(1 + 3 / 2, within=1e-12),
        "median": between(2, 20),
        "tail": between(2, 20),
        "near_pole": above(1e6),
    },
)
def distortion_and_distance():
    flat, share, to_pole = 0.02, 0.95, 1e-6
    M = gaussians(1_000_000)
    M = M[torch.linalg.svdvals(M)[:, 2] < flat]
    median, tail = svd_condition_number(M).quantile(torch.tensor([0.5, share]).double()).tolist()
    return {
        "on_group": svd_condition_number(rotations(100)).max(),
        "at_rank_two": svd_condition_number(diagonal(3, 2, 0)),
        "median": median,
        "tail": tail,
        "near_pole": svd_condition_number(diagonal(1, 0.5 + to_pole, -0.5)),
        "flat": flat,
        "share": share,
        "to_pole": to_pole,
    }


@claim(
    "The gradient through SVD needs no stabilising, except near $s_2+s_3=0$.",
    source=HERE,
    chapter="08_the_svd_jacobian",
    verdict="holds",
    note="Autograd through the factors $U$ and $V$ is another matter: it is NaN at the identity.",
    predicted="exact where $s_2+s_3$ is not small",
    measured="to {expected[identity]:g} at the identity; to {expected[hard]:g} in single precision "
    "at equal, nearly equal and zero singular values",
    expected={"identity": below(1e-12), "hard": below(1e-5), "factors_are_nan": exactly(True)},
)
def closed_form_is_stable():
    skew = autograd_jacobian(lambda D: (D - D.mT) / 2, EYE, event_dims=2)
    left, right = rotations(2)
    # Equal, nearly equal and zero singular values, all with s2 + s3 >= 0.2.
    hard = ((1, 1, 1), (1, 1, 1 - 1e-7), (2, 2, 1), (2, 1, 1), (3, 2, 0), (2, 1, -0.8))
    M = torch.stack([left @ diagonal(*s) @ right for s in hard])
    return {
        "identity": largest(autograd_jacobian(svd_orthogonalize, EYE) - skew),
        "hard": largest(autograd_jacobian(svd_orthogonalize, M.float()) - svd_jacobian(M)),
        "factors_are_nan": autograd_jacobian(svd_orthogonalize_autograd, EYE).isnan().any(),
    }


@claim(
    "A gradient step moves the rotation by the square of the Jacobian: the unevenness of the step "
    "is $\\kappa^2$.",
    source=HERE,
    chapter="08_the_svd_jacobian",
    verdict="holds",
    note="For plain gradient descent with $M$ itself as the parameter.",
    predicted="$dR=-\\eta J^2G$",
    measured="agrees to {expected[gap]:.1%} on {matrices} matrices with $\\kappa<{kappa:g}$",
    expected={"gap": below(1e-3), "matrices": above(500)},
)
def step_feels_kappa_squared():
    M, kappa, rate = gaussians(), 10, 1e-6
    M = M[svd_condition_number(M) < kappa]
    R, J = svd_orthogonalize(M), svd_jacobian(M)
    G = (R - rotations(len(M))).flatten(-2)[..., None]
    stepped = svd_orthogonalize(M - rate * (J @ G).reshape(-1, 3, 3))
    moved = (stepped - R).flatten(-2)[..., None] / rate
    gap = (moved + J @ J @ G).norm(dim=(-2, -1)) / (J @ J @ G).norm(dim=(-2, -1))
    return {"gap": largest(gap), "matrices": len(M), "kappa": kappa}


@claim(
    "The gradient is at right angles to $M$ and falls as $1/\\lVert M\\rVert$.",
    source=HERE,
    chapter="08_the_svd_jacobian",
    verdict="holds",
    predicted="$JM=0$, $J(cM)=J(M)/c$",
    measured="agrees to {expected[gap]:g} on {matrices:,} matrices",
    expected={"gap": below(1e-10)},
)
def gradient_and_size():
    M = gaussians()
    J = autograd_jacobian(svd_orthogonalize, M)
    size = J.abs().amax((-2, -1), keepdim=True)
    along = J @ M.flatten(-2)[..., None] / size
    shrinking = (10 * autograd_jacobian(svd_orthogonalize, 10 * M) - J) / size
    return {"gap": largest(along, shrinking), "matrices": len(M)}


@claim(
    "The outputs of a fresh network are about as distorted as random matrices, and the tail is on "
    "the mirrored side.",
    source=HERE,
    chapter="09_gradient_distortion",
    verdict="holds",
    predicted="median $\\kappa$ {random:.1f}, as for Gaussian matrices",
    measured="{median:.1f}; {positive:.1f} for $\\det M>0$, {negative:.1f} for $\\det M<0$",
    expected={"excess": about(0, within=0.3), "mirrored_over_not": above(1.5)},
)
def fresh_network():
    shape = torch.randn(3, 5, generator=torch.Generator().manual_seed(9))
    seen = (rotations(64).float() @ shape).flatten(1)
    outputs = []
    for seed in range(100):
        torch.manual_seed(seed)
        hidden = torch.nn.Linear(15, 64), torch.nn.ReLU(), torch.nn.Linear(64, 64), torch.nn.ReLU()
        with torch.no_grad():
            outputs.append(torch.nn.Sequential(*hidden, torch.nn.Linear(64, 9))(seen))
    M = torch.cat(outputs).reshape(-1, 3, 3).double()
    kappa, mirrored = svd_condition_number(M), torch.linalg.det(M) < 0
    random = svd_condition_number(gaussians(100_000)).median()
    median, positive, negative = (k.median() for k in (kappa, kappa[~mirrored], kappa[mirrored]))
    return {
        "random": random,
        "median": median,
        "positive": positive,
        "negative": negative,
        "excess": median - random,
        "mirrored_over_not": negative / positive,
    }


@claim(
    "Three gains bend a gradient by at most $\\arccos\\frac{2\\sqrt\\kappa}{1+\\kappa}$.",
    source=HERE,
    chapter="09_gradient_distortion",
    verdict="holds",
    predicted="never beyond",
    measured="{beyond} of {gradients:,} beyond; the closest within {expected[closest]:g} in the "
    "cosine",
    expected={"beyond": exactly(0), "closest": below(0.01)},
)
def bend_is_bounded():
    M = gaussians(20_000)
    kappa, R = svd_condition_number(M), svd_orthogonalize(M)
    asked = svd_jacobian(R) @ (R - rotations(len(M))).flatten(1)[..., None]
    cosine = torch.cosine_similarity(svd_jacobian(M) @ asked, asked, dim=1).squeeze(-1)
    slack = cosine - 2 * kappa.sqrt() / (1 + kappa)
    beyond = ~(slack > -1e-9)
    return {"beyond": beyond.sum(), "closest": slack.min(), "gradients": len(M)}


@claim(
    "Stabilised SVD gradients still have a direction error.",
    source=CHOY,
    chapter="10_stabilised_gradients",
    verdict="depends",
    note="True of layers that stabilise $1/(s_i^2-s_j^2)$. The closed form $1/(s_i+s_j)$ has no "
    "such error; what bends it is $\\kappa$.",
    predicted="gains times $1-(s_j/s_i)^{{20}}$ with ten terms",
    measured="agrees to {expected[law_gap]:.0%}; median direction error {angle:.0f}° at "
    "$s=({s:g})$; closed form to {expected[closed]:g}",
    expected={"law_gap": below(0.01), "angle": above(5), "closed": below(1e-12)},
)
def stabilised_direction_error():
    left, right = rotations(2)
    s, terms = [1.0, 0.999, 0.998], 10
    M = left @ diagonal(*s) @ right
    J = autograd_jacobian(lambda X: svd_orthogonalize_taylor(X, terms), M)
    exact = svd_jacobian(M)
    law = sorted(1 - (b / a) ** (2 * terms) for a, b in itertools.combinations(s, 2))
    kept = (torch.linalg.svdvals(J)[:3] / torch.linalg.svdvals(exact)[:3]).sort().values
    G = (svd_orthogonalize(M) - rotations(5000)).flatten(1)
    angles = torch.cosine_similarity(G @ exact, G @ J.mT).acos().rad2deg()
    return {
        "law_gap": largest(kept / torch.tensor(law, dtype=kept.dtype) - 1),
        "angle": angles.median(),
        "closed": largest(autograd_jacobian(svd_orthogonalize, M) - exact),
        "s": s,
    }


@claim(
    "The spectrum of 6D Gram–Schmidt is asymmetric: parameters receive unequal signal.",
    source=CHOY,
    chapter="11_the_gram_schmidt_jacobian",
    verdict="depends",
    note="Of the columns, yes. The three turns are passed on alike at orthonormal columns, "
    "$\\kappa=1$. A symmetric two-vector map has equal columns and $\\kappa=\\sqrt2$.",
    predicted="$\\lVert J_{{a_1}}\\rVert^2={expected[first]:g}$, "
    "$\\lVert J_{{a_2}}\\rVert^2={expected[second]:g}$",
    measured="{first:.2f} and {second:.2f}; $\\kappa={kappa:.2f}$, on {rotations:,} rotations",
    expected={
        "first": about(4, within=1e-10),
        "second": about(2, within=1e-10),
        "spread": below(1e-10),
        "kappa": about(1, within=1e-10),
    },
)
def gram_schmidt_asymmetry():
    x = matrix_to_rot6d(rotations(1000))
    J = autograd_jacobian(rot6d_to_matrix, x)
    energy = J.square().sum(-2).unflatten(-1, (2, 3)).sum(-1)
    spectrum = gram_schmidt_spectrum(x)
    return {
        "first": energy[:, 0].mean(),
        "second": energy[:, 1].mean(),
        "spread": largest(energy - energy.mean(0)),
        "kappa": (spectrum[:, 0] / spectrum[:, 2]).max(),
        "rotations": len(x),
    }


@claim(
    "Direct regression with SVD at the end, and training through SVD with the chordal loss, have "
    "the same best answer.",
    source="{cite:t}`hartley2013rotation` for the chordal mean; " + HERE,
    chapter="12_direct_regression",
    verdict="holds",
    note="So they differ in optimisation and in what a limited network does, not in the target.",
    predicted="SVD of the mean target",
    measured="descent through SVD ends within {expected[gap]:g} rad of it",
    expected={"gap": below(1e-6)},
)
def same_target():
    turns = 0.8 * gaussians(2000)[:, 0]
    mean = (rotations(1) @ rotvec_to_matrix(turns)).mean(0)
    M = EYE
    for _ in range(200):  # 100 come within 1e-9 rad
        R = svd_orthogonalize(M)
        M = M - 0.5 * (svd_jacobian(M) @ (R - mean).flatten()).reshape(3, 3)
    return {"gap": geodesic_distance(svd_orthogonalize(M), svd_orthogonalize(mean))}
