"""Training gradients of their own: the matrix Fisher likelihood and the projective gradient."""

import itertools
import math

import numpy as np
import pytest
import torch
from conftest import (
    EYE,
    F64,
    assert_near,
    gaussian,
    hard_matrices,
    rotations,
    seeded,
    singular_matrices,
)
from scipy.integrate import quad
from scipy.spatial.transform import Rotation
from scipy.special import i0e

from rotlib import euler_to_matrix, is_rotation, rotvec_to_matrix, svd_jacobian, svd_orthogonalize
from rotlib.experiments.surrogates import (
    fisher_mean,
    fisher_singular_values,
    fisher_train,
    recombined_train,
    rpmg_train,
)

POINTS = hard_matrices() | singular_matrices()
ALL_POINTS = torch.cat([M.reshape(-1, 3, 3) for M in POINTS.values()])
# Signed singular values; where s2 + s3 = 0, half a turn may be as likely as none.
SPECTRA = [
    (0, 0, 0),
    (1e-6, 1e-6, -1e-6),
    (0.1, 0.03, -0.02),
    (1, 1, 1),
    (1, 1, -1),
    (2, 1, 0),
    (3, 2, -1),
    (3, 0, 0),
    (5, 5, -4.5),
    (50, 1, -1),
    (100, 100, 100),
    (100, 50, -20),
    (300, 20, 5),
    (300, 0, 0),
    (1e3, 10, 10),
    (1e3, 1e3, -900),
    (1e3, 500, -500),
    (1e4, 1e4, 1e4),
    (1e4, 5e3, -4e3),
    (1e4, 20, 0),
    (1e4, 0, 0),
    (1e4, 5e3, -5e3),
]
SMALL_SPECTRA = [s for s in SPECTRA if s[0] <= 3]


def vjp(f, M, grad):
    M = M.detach().requires_grad_()
    return torch.autograd.grad(f(M), M, grad)[0]


def haar_quadrature(n=32):
    """Rotations and weights that integrate matrix elements up to degree n - 1 exactly."""
    around = 2 * math.pi * torch.arange(n, dtype=F64) / n
    cosine, weight = (torch.from_numpy(x) for x in np.polynomial.legendre.leggauss(n))
    angles = torch.cartesian_prod(around, cosine.acos(), around)
    return euler_to_matrix(angles, "ZYZ"), weight.repeat(n, 1)[..., None].expand(n, n, n).flatten()


R_ALL, WEIGHT = haar_quadrature()


def log_normaliser(F):
    """Logarithm of the mean of exp tr(F^T R) over all rotations, for one small ``F``."""
    exponents = (R_ALL * F).sum((-2, -1))
    return torch.logsumexp(exponents + WEIGHT.log(), 0) - WEIGHT.sum().log()


def by_adaptive_quadrature(s):
    """The documented ratio of integrals by SciPy."""
    means = []
    for i in range(3):
        j, k = (s[m] for m in range(3) if m != i)

        def exponent(u, i=i, j=j, k=k):
            return abs(j - k) / 2 * (1 - u) + abs(j + k) / 2 * (1 + u) + s[i] * u

        top = max(exponent(1), exponent(-1))  # the exponent is linear in u

        def w(u, j=j, k=k, exponent=exponent, top=top):
            bessel = i0e((j - k) / 2 * (1 - u)) * i0e((j + k) / 2 * (1 + u))
            return bessel * math.exp(exponent(u) - top)

        near = [10.0**-p for p in range(6)]
        options = {
            "points": sorted({e - 1 for e in near} | {1 - e for e in near}),
            "limit": 500,
            "epsabs": 0,
            "epsrel": 1e-12,
        }
        gap = quad(lambda u, w=w: (1 - u) * w(u), -1, 1, **options)[0]  # u w may integrate to 0
        means.append(1 - gap / quad(w, -1, 1, **options)[0])
    return torch.tensor(means, dtype=F64)


def test_mean_singular_values_are_the_documented_integrals():
    for s, ours in zip(
        SPECTRA, fisher_singular_values(torch.tensor(SPECTRA, dtype=F64)), strict=True
    ):
        tolerance = 3e-14 if s[0] <= 10 else 3e-9 if s[0] <= 1e3 else 1e-6
        assert_near(ours, by_adaptive_quadrature(s), tolerance, s)


def test_single_precision_loses_what_rounding_the_exponent_costs():
    single = torch.tensor(SPECTRA, dtype=torch.float32)
    ours, exact = fisher_singular_values(single), fisher_singular_values(single.double())
    assert ours.dtype == torch.float32
    for s, rounded, mean in zip(SPECTRA, ours, exact, strict=True):
        assert_near(rounded, mean, min(5e-7 + 1e-8 * s[0], 2e-5), s)


def test_mean_rotation_is_the_average_over_all_rotations():
    U, V = rotations(2, seed=7)
    for s in SMALL_SPECTRA:
        F = U @ torch.diag(torch.tensor(s, dtype=F64)) @ V.mT
        density = WEIGHT * (R_ALL * F).sum((-2, -1)).exp()
        mean = (density[:, None, None] * R_ALL).sum(0) / density.sum()
        assert_near(fisher_mean(F), mean, 1e-13, s)


def test_small_parameters_give_a_third_and_the_signed_product():
    s = 0.01 * torch.tensor([[3, 2, 1], [3, 2, -1]], dtype=F64)
    products = torch.stack([s[:, 1] * s[:, 2], s[:, 2] * s[:, 0], s[:, 0] * s[:, 1]], -1)
    assert_near(fisher_singular_values(s), s / 3 + products / 6, 1e-5 * 0.2)


def test_sure_distributions_spread_as_gaussian_turns():
    """Turns about axis i have variance 1 / (s_j + s_k), and 1 - d_i is half of the other two."""
    s = torch.tensor([[4e3, 3e3, 2e3], [8e3, 3e3, -1e3], [5e2, 5e2, 5e2]], dtype=F64)
    variance = 1 / (s.sum(-1, keepdim=True) - s)
    expected = (variance.sum(-1, keepdim=True) - variance) / 2
    lost = 1 - fisher_singular_values(s)
    assert_near(lost / expected, torch.ones(3, 3), 5e-3)


def test_mean_singular_values_never_leave_their_order_or_the_interval():
    s = 30 * torch.rand(2000, 3, generator=seeded(), dtype=F64).sort(-1, descending=True).values
    s[::2, 2] *= -1
    d = fisher_singular_values(s)
    assert (d[:, :-1] >= d[:, 1:].abs() - 1e-14).all()
    assert d.abs().max() < 1


def test_turning_the_parameter_turns_the_mean():
    F, L, R = 3 * gaussian(50, 3, 3), rotations(50, seed=1), rotations(50, seed=2)
    assert (torch.linalg.det(F) < 0).any()
    assert_near(fisher_mean(L @ F @ R), L @ fisher_mean(F) @ R, 1e-12)


def test_large_samples_of_turns_have_the_mean():
    """Importance sampling at a concentration that the grid of rotations cannot resolve."""
    s = torch.tensor([300.0, 200, 100], dtype=F64)
    spread = (1 / (s.sum() - s)).sqrt()
    w = spread * gaussian(200_000, 3)
    R = rotvec_to_matrix(w)
    angle = w.norm(dim=-1)
    haar = (torch.sinc(angle / (2 * math.pi))) ** 2
    gaussian_log = -(w / spread).square().sum(-1) / 2
    exponents = (R.diagonal(dim1=-2, dim2=-1) * s).sum(-1) - gaussian_log
    weight = haar * (exponents - exponents.max()).exp()
    mean = (weight[:, None, None] * R).sum(0) / weight.sum()
    assert_near(fisher_mean(torch.diag(s)), mean, 1e-4)


def test_chordal_loss_of_the_fisher_head_descends_the_negative_log_likelihood():
    (U, V), T = rotations(2, seed=7), rotations(1)[0]
    for s in SMALL_SPECTRA:
        F = (U @ torch.diag(torch.tensor(s, dtype=F64)) @ V.mT).requires_grad_()
        (by_likelihood,) = torch.autograd.grad(log_normaliser(F) - (F * T).sum(), F)
        (by_loss,) = torch.autograd.grad((fisher_train(F) - T).square().sum() / 2, F)
        assert_near(by_loss, by_likelihood, 1e-13, s)
        assert_near(by_loss, fisher_mean(F.detach()) - T, 1e-15, s)


def test_fisher_head_is_finite_everywhere(dtype):
    F = ALL_POINTS.to(dtype)
    G = gaussian(len(F), 3, 3).to(dtype)
    assert torch.equal(fisher_train(F), fisher_mean(F))
    assert torch.equal(vjp(fisher_train, F, G), G)
    assert fisher_mean(F).isfinite().all()


def documented_rpmg(M, G, step, regularizer):
    """The boxed formula for one matrix, in NumPy and SciPy."""
    M, G = M.numpy(), G.numpy()
    U, _, Vh = np.linalg.svd(M)
    R = U @ np.diag([1, 1, np.linalg.det(U @ Vh)]) @ Vh
    skew = (R.T @ G - G.T @ R) / 2
    downhill = -step * 2 * np.array([skew[2, 1], skew[0, 2], skew[1, 0]])
    goal = R @ Rotation.from_rotvec(downhill).as_matrix()
    nearest = (M @ goal.T + goal @ M.T) / 2 @ goal
    return torch.from_numpy(M - nearest + regularizer * (nearest - goal))


@pytest.mark.parametrize("step", [0.05, 0.5])
@pytest.mark.parametrize("regularizer", [0, 0.01, 1])
def test_projective_gradient_is_the_documented_one(step, regularizer):
    M, G = gaussian(40, 3, 3), gaussian(40, 3, 3, seed=1)
    assert (torch.linalg.det(M) < 0).any()
    expected = [documented_rpmg(m, g, step, regularizer) for m, g in zip(M, G, strict=True)]
    ours = vjp(lambda X: rpmg_train(X, step, regularizer), M, G)
    assert_near(ours, torch.stack(expected), 1e-12)


def test_projective_gradient_steps_by_a_half_and_keeps_a_hundredth_unless_told():
    M, G = gaussian(10, 3, 3), gaussian(10, 3, 3, seed=1)
    assert torch.equal(vjp(rpmg_train, M, G), vjp(lambda X: rpmg_train(X, 0.5, 0.01), M, G))


def test_projective_forward_is_the_nearest_rotation_and_its_backward_finite(dtype):
    M = ALL_POINTS.to(dtype)
    R = rpmg_train(M)
    assert torch.equal(R, svd_orthogonalize(M))
    assert is_rotation(R).all()
    assert vjp(rpmg_train, M, gaussian(len(M), 3, 3).to(dtype)).isfinite().all()


@pytest.mark.parametrize("angle", [0.5, 0.1, 0.02])
def test_a_half_step_aims_at_a_near_target_up_to_the_third_order(angle):
    """The goal is sin(angle) away, along the geodesic; regularizer 1 leaves M - goal."""
    R, axis = rotations(1)[0], torch.nn.functional.normalize(gaussian(3), dim=-1)
    M = R @ torch.diag(torch.tensor([1.4, 0.9, 0.6], dtype=F64))
    T = svd_orthogonalize(M) @ rotvec_to_matrix(angle * axis)
    G = svd_orthogonalize(M) - T
    gradient = vjp(lambda X: rpmg_train(X, 0.5, 1.0), M, G)
    goal = svd_orthogonalize(M) @ rotvec_to_matrix(math.sin(angle) * axis)
    assert_near(gradient, M - goal, 1e-14)
    missed = (gradient - (M - T)).norm().item()
    assert missed == pytest.approx(math.sqrt(2) * angle**3 / 6, rel=0.02)


def test_without_regularizer_only_the_part_that_turns_is_left():
    M, T = gaussian(30, 3, 3), rotations(30)
    G = svd_orthogonalize(M) - T
    gradient = vjp(lambda X: rpmg_train(X, 0.5, 0.0), M, G)
    goal = M - vjp(lambda X: rpmg_train(X, 0.5, 1.0), M, G)
    assert is_rotation(goal).all()
    turned = gradient @ goal.mT
    assert_near(turned, -turned.mT, 1e-13)
    assert gradient.norm(dim=(-2, -1)).min() > 1e-3


def test_at_the_target_the_regularizer_alone_pulls_towards_the_rotation():
    M = rotations(20) @ torch.diag(torch.tensor([1.5, 1.0, 0.5], dtype=F64)) @ rotations(20, seed=1)
    pull = vjp(lambda X: rpmg_train(X, 0.5, 0.3), M, torch.zeros(20, 3, 3, dtype=F64))
    assert_near(pull, 0.3 * (M - svd_orthogonalize(M)), 1e-14)


# SVD's gradient taken apart.

DIRECTIONS = ("unit gains", "svd")
LENGTHS = (*DIRECTIONS, "unit gains with size", "svd without size")
SPLITS = list(itertools.product(DIRECTIONS, LENGTHS))
every_split = pytest.mark.parametrize(("direction", "length"), SPLITS)


def recombined(direction, length):
    return lambda M: recombined_train(M, direction, length)


def turn_asked_for(M, G):
    """The part of ``G`` that turns the nearest rotation: ``R skew(R^T G)``."""
    R = svd_orthogonalize(M)
    return (G - R @ G.mT @ R) / 2


def norms(G):
    return G.norm(dim=(-2, -1), keepdim=True)


@every_split
def test_recombined_forward_is_the_nearest_rotation_and_its_backward_finite(
    direction, length, dtype
):
    f, M = recombined(direction, length), ALL_POINTS.to(dtype)
    assert torch.equal(f(M), svd_orthogonalize(M))
    assert vjp(f, M, gaussian(len(M), 3, 3).to(dtype)).isfinite().all()


#: Where the nearest rotation is not unique the parts may be those of another one.
NOT_UNIQUE = {"minus the identity", "negative determinant, two smallest equal"}


@pytest.mark.parametrize("name", [name for name in POINTS if name not in NOT_UNIQUE])
def test_both_parts_of_svd_are_its_gradient(name):
    M = POINTS[name].reshape(-1, 3, 3)
    G = gaussian(len(M), 3, 3)
    ours, exact = (vjp(f, M, G) for f in (recombined("svd", "svd"), svd_orthogonalize))
    assert_near(ours, exact, 1e-13 * norms(exact).max().item())


def test_with_unit_gains_the_gradient_is_the_turn_that_is_asked_for():
    M, G = gaussian(40, 3, 3), gaussian(40, 3, 3, seed=1)
    assert (torch.linalg.det(M) < 0).any()
    assert_near(vjp(recombined("unit gains", "unit gains"), M, G), turn_asked_for(M, G), 1e-14)


@every_split
def test_the_direction_of_one_and_the_length_of_the_other(direction, length):
    M, G = gaussian(40, 3, 3), gaussian(40, 3, 3, seed=1)
    by_jacobian = (svd_jacobian(M) @ G.flatten(-2)[..., None]).reshape(40, 3, 3)
    parts = {"unit gains": turn_asked_for(M, G), "svd": by_jacobian}
    size = norms(M) / 3**0.5
    parts["unit gains with size"] = parts["unit gains"] / size
    parts["svd without size"] = by_jacobian * size
    ours = vjp(recombined(direction, length), M, G)
    sent, sized = parts[direction], parts[length]
    assert_near(norms(ours) / norms(sized), torch.ones(40, 1, 1), 1e-12)
    assert_near(ours / norms(ours), sent / norms(sent), 1e-12)


@every_split
def test_nothing_asked_for_is_nothing_sent(direction, length):
    """Neither for no gradient, nor, but for rounding, for one that only stretches."""
    M = gaussian(20, 3, 3)
    f, zero = recombined(direction, length), torch.zeros(20, 3, 3, dtype=F64)
    assert torch.equal(vjp(f, M, zero), zero)
    R, S = svd_orthogonalize(M), gaussian(20, 3, 3, seed=1)
    assert_near(vjp(f, M, R @ (S + S.mT)), zero, 1e-11)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("svd", "even"), "a length of svd, .*, svd without size, got 'even'"),
        (("SVD", "svd"), "a direction of svd, unit gains, got 'SVD'"),
        (("", "svd"), "a direction of svd, unit gains, got ''"),
        (("unit gains with size", "svd"), "a direction of .*, got 'unit gains with size'"),
    ],
)
def test_other_parts_of_a_gradient_are_refused(words, message):
    with pytest.raises(ValueError, match=f"^recombined_train expects {message}$"):
        recombined_train(EYE, *words)


# All of them.

TRAINED = [fisher_train, rpmg_train, *(recombined(*split) for split in SPLITS)]
every_map = pytest.mark.parametrize(
    "f", TRAINED, ids=["fisher", "rpmg", *("-".join(split) for split in SPLITS)]
)


@every_map
def test_nan_stays_in_its_item(f):
    M, G = gaussian(3, 3, 3), gaussian(3, 3, 3, seed=1)
    clean, clean_grad = f(M), vjp(f, M, G)
    M[1, 2, 0] = math.nan
    assert torch.equal(f(M)[[0, 2]], clean[[0, 2]])
    assert torch.equal(vjp(f, M, G)[[0, 2]], clean_grad[[0, 2]])
    assert f(M)[1].isnan().all()


@every_map
def test_a_gradient_of_its_own_has_no_derivative(f):
    """Neither by autograd nor, where nothing would tell, by ``torch.func``."""
    M = gaussian(3, 3).requires_grad_()

    def loss(M):
        return f(M).square().sum()

    (gradient,) = torch.autograd.grad(loss(M), M, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiated only once"):
        torch.autograd.grad(gradient.sum(), M)
    with pytest.raises(RuntimeError, match="differentiated only once"):
        torch.func.grad(lambda M: torch.func.grad(loss)(M).sum())(M.detach())


@every_map
def test_any_batch_also_an_empty_one(f):
    M, G = gaussian(6, 3, 3), gaussian(6, 3, 3, seed=1)
    grid = vjp(f, M.reshape(2, 3, 3, 3), G.reshape(2, 3, 3, 3))
    one_by_one = [vjp(f, m, g) for m, g in zip(M, G, strict=True)]
    assert_near(grid.reshape(6, 3, 3), torch.stack(one_by_one), 1e-14)
    for batch in [(0,), (2, 0)]:
        nothing = torch.zeros(*batch, 3, 3)
        assert f(nothing).shape == vjp(f, nothing, nothing).shape == nothing.shape


@pytest.mark.parametrize(
    ("f", "more"),
    [
        *((f, ()) for f in (fisher_singular_values, fisher_mean, fisher_train, rpmg_train)),
        (recombined_train, ("svd", "unit gains")),
    ],
    ids=lambda f: getattr(f, "__name__", ""),
)
def test_wrong_inputs_are_refused_by_name(f, more):
    for wrong in [torch.ones(3, 2), torch.ones(9, 1), torch.ones(())]:
        with pytest.raises(ValueError, match=rf"^{f.__name__} expects shape \(\.\.\., .*got \("):
            f(wrong, *more)
    with pytest.raises(TypeError, match=rf"^{f.__name__} expects a floating-point .*int64$"):
        f(EYE.long(), *more)
    with pytest.raises(TypeError, match=rf"^{f.__name__} expects a torch.Tensor .*got list$"):
        f([1.0, 2.0, 3.0], *more)
