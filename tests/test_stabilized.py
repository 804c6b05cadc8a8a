"""Stabilised gradients: the same forward to the last bit, and exactly the predicted damping."""

import functools

import pytest
import torch
from conftest import EYE, F64, assert_near, gaussian, hard_matrices, rotations, singular_matrices

from rotlib import (
    clip_item_gradients,
    rot9d_to_matrix,
    svd_orthogonalize,
    svd_orthogonalize_autograd,
    svd_orthogonalize_clamped,
    svd_orthogonalize_taylor,
    svd_orthogonalize_unit_gains,
)

VARIANTS = {
    "autograd": svd_orthogonalize_autograd,
    "clamped": lambda M: svd_orthogonalize_clamped(M, 1e-3),
    "taylor": lambda M: svd_orthogonalize_taylor(M, 5),
    "unit gains": svd_orthogonalize_unit_gains,
}
clipped = functools.partial(clip_item_gradients, length=1.0)
every_variant = pytest.mark.parametrize("name", VARIANTS)
damped = pytest.mark.parametrize("name", ["clamped", "taylor"])
spectra = pytest.mark.parametrize(
    "s", [(3.0, 2.0, 1.0), (3.0, 2.0, -1.0), (1.0, 0.999, 0.998), (1.2, 1.0, -0.8), (2.0, 1.0, 0.0)]
)


def vjp(f, M, grad):
    M = M.detach().requires_grad_()
    return torch.autograd.grad(f(M), M, grad)[0]


def damping(f, s):
    """Measured factor in each plane: the gradient along u_i v_j^T - u_j v_i^T, and nothing else."""
    U, V = rotations(2, seed=3)
    s = torch.tensor(s, dtype=F64)
    M, factors = U @ torch.diag(s) @ V.mT, {}
    for i in range(3):
        for j in range(i + 1, 3):
            K = torch.zeros(3, 3, dtype=F64)
            K[i, j], K[j, i] = 1, -1
            plane = U @ K @ V.mT
            grad = vjp(f, M, plane)
            factor = (grad * plane).sum() / 2 * (s[i] + s[j]) / 2
            assert_near(grad, factor * 2 / (s[i] + s[j]) * plane, 1e-11)
            factors[i, j] = factor.item()
    return factors


@every_variant
@pytest.mark.parametrize("n", range(2, 7))
def test_forward_is_bitwise_that_of_the_exact_layer(name, n, dtype):
    M = gaussian(100, n, n, dtype=dtype)
    assert torch.equal(VARIANTS[name](M), svd_orthogonalize(M))


@every_variant
def test_forward_is_bitwise_that_of_the_exact_layer_at_the_hard_points(name):
    M = torch.cat([*hard_matrices().values(), torch.stack([*singular_matrices().values()])])
    assert torch.equal(VARIANTS[name](M), svd_orthogonalize(M))


@spectra
@pytest.mark.parametrize("terms", [1, 2, 5, 10, 40])
def test_taylor_multiplies_each_plane_by_one_minus_the_ratio_to_the_2_terms(s, terms):
    for (i, j), factor in damping(lambda M: svd_orthogonalize_taylor(M, terms), s).items():
        assert factor == pytest.approx(1 - (s[j] / s[i]) ** (2 * terms), abs=1e-12)


@spectra
@pytest.mark.parametrize("eps", [1e-8, 1e-3, 1.0, 10.0])
def test_clamping_multiplies_each_plane_by_the_gap_over_eps_at_most_one(s, eps):
    for (i, j), factor in damping(lambda M: svd_orthogonalize_clamped(M, eps), s).items():
        assert factor == pytest.approx(min(1, (s[i] ** 2 - s[j] ** 2) / eps), abs=1e-12)


@spectra
def test_autograd_and_the_exact_layer_damp_nothing(s):
    for f in (svd_orthogonalize_autograd, svd_orthogonalize):
        for factor in damping(f, s).values():
            assert factor == pytest.approx(1, abs=1e-11)


@pytest.mark.parametrize("n", range(2, 6))
def test_far_from_equal_singular_values_all_agree(n):
    Q = svd_orthogonalize(gaussian(2, n, n))
    M = Q[0] @ torch.diag(2.0 ** -torch.arange(n, dtype=F64)) @ Q[1]
    G = gaussian(n, n, seed=5)
    exact = vjp(svd_orthogonalize, M, G)
    assert_near(vjp(svd_orthogonalize_autograd, M, G), exact, 1e-12)
    assert_near(vjp(lambda X: svd_orthogonalize_clamped(X, 1e-9), M, G), exact, 1e-12)
    assert_near(vjp(lambda X: svd_orthogonalize_taylor(X, 60), M, G), exact, 1e-12)


def test_at_a_rotation_autograd_is_nan_and_the_damped_gradients_vanish():
    G = gaussian(3, 3)
    assert vjp(svd_orthogonalize_autograd, EYE, G).isnan().any()
    for name in ("clamped", "taylor"):
        assert not vjp(VARIANTS[name], EYE, G).any()
    assert_near(vjp(svd_orthogonalize, EYE, G), (G - G.mT) / 2, 1e-15)


@damped
@pytest.mark.parametrize("point", [*hard_matrices(), *singular_matrices()])
def test_damped_gradients_are_finite_everywhere(name, point, dtype):
    M = (hard_matrices() | singular_matrices())[point].reshape(-1, 3, 3).to(dtype)
    assert vjp(VARIANTS[name], M, gaussian(1, 3, 3).to(dtype).expand_as(M)).isfinite().all()


@pytest.mark.parametrize("scale", [1e20, 1e-20])
def test_taylor_does_not_depend_on_scale(scale, dtype):
    M, G = gaussian(20, 3, 3, dtype=dtype), gaussian(20, 3, 3, seed=1, dtype=dtype)
    scaled = vjp(VARIANTS["taylor"], scale * M, G) * scale
    assert_near(scaled, vjp(VARIANTS["taylor"], M, G), 1e3 * torch.finfo(dtype).eps)


def test_clamping_that_does_not_bite_leaves_large_matrices_exact():
    M, G = 1e20 * gaussian(20, 3, 3).float(), gaussian(20, 3, 3, seed=1).float()
    exact = vjp(svd_orthogonalize, M, G) * 1e20
    assert_near(vjp(VARIANTS["clamped"], M, G) * 1e20, exact, 1e-4)


@damped
def test_the_derivative_of_the_damped_gradient_is_right(name):
    """Central differences of the gradient, which is no longer the gradient of the value."""
    M, G = gaussian(4, 3, 3).requires_grad_(), gaussian(4, 3, 3, seed=1).requires_grad_()
    assert torch.autograd.gradgradcheck(VARIANTS[name], M, G)


@damped
def test_a_gradient_penalty_is_not_dropped(name):
    M = gaussian(3, 3).requires_grad_()
    (grad,) = torch.autograd.grad(VARIANTS[name](M)[0, 1], M, create_graph=True)
    (penalty,) = torch.autograd.grad(grad.square().sum(), M)
    mapped = torch.func.jacrev(torch.func.jacrev(lambda X: VARIANTS[name](X)[0, 1]))(M.detach())
    assert penalty.any()
    assert_near(penalty, 2 * (grad[..., None, None] * mapped).sum((0, 1)), 1e-12)


@every_variant
def test_vmap_and_batching_agree(name):
    M, G = gaussian(6, 3, 3), gaussian(6, 3, 3, seed=1)
    batched = vjp(VARIANTS[name], M.reshape(2, 3, 3, 3), G.reshape(2, 3, 3, 3)).reshape(6, 3, 3)
    assert_near(
        batched, torch.stack([vjp(VARIANTS[name], m, g) for m, g in zip(M, G, strict=True)]), 1e-12
    )
    mapped = torch.func.vmap(lambda m, g: torch.func.vjp(VARIANTS[name], m)[1](g)[0])(M, G)
    assert_near(mapped, batched, 1e-12)


@pytest.mark.parametrize("eps", [0, -1e-3, float("nan")])
def test_clamping_needs_a_positive_eps(eps):
    with pytest.raises(ValueError, match=f"expects eps > 0, got {eps}"):
        svd_orthogonalize_clamped(EYE, eps)


@pytest.mark.parametrize("terms", [0, -1])
def test_a_series_needs_a_term(terms):
    with pytest.raises(ValueError, match=f"expects terms >= 1, got {terms}"):
        svd_orthogonalize_taylor(EYE, terms)


@pytest.mark.parametrize("n", range(2, 6))
def test_unit_gains_send_back_the_part_along_turns(n, dtype):
    M, G = gaussian(50, n, n, dtype=dtype), gaussian(50, n, n, seed=1, dtype=dtype)
    R = svd_orthogonalize(M)
    turned = R.mT @ G
    expected = R @ (turned - turned.mT) / 2
    assert_near(vjp(svd_orthogonalize_unit_gains, M, G), expected, 32 * torch.finfo(dtype).eps)
    _, by_transform = torch.func.vjp(svd_orthogonalize_unit_gains, M)
    assert_near(by_transform(G)[0], expected, 32 * torch.finfo(dtype).eps)
    # The map of tangents is its own transpose.
    pushed = torch.func.jvp(svd_orthogonalize_unit_gains, (M,), (G,))[1]
    assert_near(pushed, expected, 32 * torch.finfo(dtype).eps)


def test_unit_gains_never_lengthen_a_gradient(dtype):
    M = torch.cat([*hard_matrices().values(), torch.stack([*singular_matrices().values()])])
    M, G = M.to(dtype), gaussian(len(M), 3, 3, dtype=dtype)
    gradient = vjp(svd_orthogonalize_unit_gains, M, G)
    assert (gradient.flatten(1).norm(dim=1) <= (1 + 1e-5) * G.flatten(1).norm(dim=1)).all()


def test_unit_gains_leave_the_gradient_at_a_rotation_as_it_is():
    R, G = rotations(9), gaussian(9, 3, 3)
    assert_near(vjp(svd_orthogonalize_unit_gains, R, G), vjp(svd_orthogonalize, R, G), 1e-14)


def test_clipping_cuts_each_items_gradient_to_the_length(dtype):
    x, G = gaussian(4, 9, dtype=dtype), gaussian(4, 9, seed=1, dtype=dtype)
    direction = G / G.norm(dim=1, keepdim=True)
    G = direction * torch.tensor([[0.0], [0.5], [2.0], [1e30]])
    assert torch.equal(clip_item_gradients(x, 1.0), x)
    found = vjp(clipped, x, G)
    assert torch.equal(found[:2], G[:2])
    assert_near(found[2:], direction[2:], 8 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_clipping_leaves_what_is_not_finite_so_and_alone(bad):
    x, G = gaussian(3, 9), 5 * gaussian(3, 9, seed=1)
    clean = vjp(clipped, x, G)
    G[1, 2] = bad
    found = vjp(clipped, x, G)
    assert torch.equal(found[[0, 2]], clean[[0, 2]])
    assert not found[1].isfinite().all()


def test_clipping_before_a_projection_bounds_what_reaches_the_network():
    x = (EYE * torch.tensor([1.0, 1e-6, 1e-6])).reshape(1, 9)
    G = gaussian(1, 3, 3)
    assert vjp(rot9d_to_matrix, x, G).norm() > 1e5
    assert vjp(lambda y: rot9d_to_matrix(clip_item_gradients(y, 0.1)), x, G).norm() <= 0.1 + 1e-12


def test_clipping_works_under_transforms_and_pushes_tangents_on():
    x, G = gaussian(6, 9), gaussian(6, 9, seed=1)
    mapped = torch.func.vmap(lambda y, g: torch.func.vjp(clipped, y)[1](g)[0])(x, G)
    assert_near(mapped, vjp(clipped, x, G), 1e-15)
    assert torch.equal(torch.func.jvp(clipped, (x,), (G,))[1], G)


@pytest.mark.parametrize("length", [0, -1.0, float("nan"), float("inf")])
def test_clipping_needs_a_positive_length(length):
    with pytest.raises(ValueError, match=f"expects a positive, finite length, got {length}"):
        clip_item_gradients(EYE, length)


def test_clipping_needs_a_number():
    with pytest.raises(TypeError, match="expects a number length, got str"):
        clip_item_gradients(EYE, "1")
