"""Nearest rotation and Gram-Schmidt: values, optimality and derivatives at the hard points."""

import mpmath as mp
import pytest
import roma
import torch
from conftest import (
    EYE,
    F64,
    assert_near,
    central_differences,
    from_singular_values,
    gaussian,
    hard_matrices,
    hard_rotations,
    rotations,
    singular_matrices,
)

from rotlib import (
    autograd_jacobian,
    gram_schmidt,
    gram_schmidt_spectrum,
    is_rotation,
    matrix_to_rot5d,
    matrix_to_rot6d,
    matrix_to_rot9d,
    quaternion_to_matrix,
    rot5d_to_matrix,
    rot6d_to_matrix,
    rot9d_to_matrix,
    rot10d_to_matrix,
    rotvec_to_matrix,
    svd_jacobian,
    svd_orthogonalize,
)

HARD, SINGULAR = hard_matrices(), singular_matrices()
INVERSES = [
    (rot5d_to_matrix, matrix_to_rot5d),
    (rot6d_to_matrix, matrix_to_rot6d),
    (rot9d_to_matrix, matrix_to_rot9d),
]


def vjp(f, M, grad):
    M = M.detach().requires_grad_()
    return torch.autograd.grad(f(M), M, grad)[0]


def exact_nearest(M):
    """The polar factor by mpmath, in whatever precision is set; ``M`` an mpmath matrix."""
    U, _, Vh = mp.svd_r(M)
    D = mp.diag([1, 1, mp.sign(mp.det(U) * mp.det(Vh))])
    return U * D * Vh


def exact_derivative(M, direction):
    """Central difference in 60 digits, step 1e-20: good to about 35 digits."""
    M, step = mp.matrix(M.tolist()), mp.mpf(10) ** -20 * mp.matrix(direction.tolist())
    change = exact_nearest(M + step) - exact_nearest(M - step)
    return torch.tensor((change / (2 * mp.mpf(10) ** -20)).tolist(), dtype=F64)


@pytest.mark.parametrize("n", range(2, 7))
def test_the_result_is_special_orthogonal_for_both_signs_of_the_determinant(n, dtype):
    M = gaussian(200, n, n, dtype=dtype)
    assert set(torch.linalg.det(M).sign().tolist()) == {1, -1}
    assert is_rotation(svd_orthogonalize(M)).all()


@pytest.mark.parametrize("name", [*HARD, *SINGULAR])
def test_every_hard_matrix_gives_a_rotation(name, dtype):
    assert is_rotation(svd_orthogonalize((HARD | SINGULAR)[name].to(dtype))).all()


@pytest.mark.parametrize("name", [*HARD, *SINGULAR])
def test_no_other_rotation_is_nearer(name):
    """Optimality: against 1000 others, far and near."""
    M = (HARD | SINGULAR)[name].reshape(-1, 3, 3)[-1]
    R = svd_orthogonalize(M)
    near = R @ rotvec_to_matrix(gaussian(500, 3) * torch.logspace(-6, 0, 500, dtype=F64)[:, None])
    others = torch.cat([rotations(500), near])
    gain = ((others - R) * M).sum((-2, -1))  # |R - M|^2 - |Q - M|^2, halved
    assert gain.max() <= 1e-15 * M.norm()


def test_rotations_stay_where_they_are(dtype):
    R = hard_rotations().to(dtype)
    assert_near(svd_orthogonalize(R), R, 8 * torch.finfo(dtype).eps)


def test_value_and_gradient_are_romas():
    M, G = gaussian(200, 3, 3), gaussian(200, 3, 3, seed=1)
    assert_near(svd_orthogonalize(M), roma.special_procrustes(M), 1e-12)
    theirs = vjp(lambda X: roma.special_procrustes(X, gradient_eps=1e-12), M, G)
    assert_near(vjp(svd_orthogonalize, M, G), theirs, 1e-9)


@pytest.mark.exhaustive
@pytest.mark.parametrize("gap", [1.0, 1e-2, 1e-4, 1e-6, 1e-8])
@pytest.mark.parametrize("second", ["half the gap", 1])
def test_value_and_derivative_against_mpmath_as_the_derivative_blows_up(gap, second):
    """s2 + s3 = gap; the relative accuracy is then about eps / gap, on both ways to rank 1."""
    s2 = gap / 2 if second == "half the gap" else second
    M = from_singular_values(2, s2, gap - s2)[0]
    with mp.workdps(60):
        value = torch.tensor(exact_nearest(mp.matrix(M.tolist())).tolist(), dtype=F64)
        columns = [exact_derivative(M, E) for E in torch.eye(9, dtype=F64).reshape(9, 3, 3)]
    expected = torch.stack(columns).reshape(9, 9).mT
    assert_near(svd_orthogonalize(M), value, 2e-15 / gap)
    ours = autograd_jacobian(svd_orthogonalize, M, event_dims=2)
    assert_near(ours * gap, expected * gap, 1e-14 / gap)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", [name for name in HARD if name not in ("large", "small")])
def test_derivative_against_mpmath_at_the_hard_points(name):
    M, dM = HARD[name][-1], gaussian(3, 3, seed=3)
    with mp.workdps(60):
        expected = exact_derivative(M, dM)
    assert_near(torch.func.jvp(svd_orthogonalize, (M,), (dM,))[1], expected, 1e-13)
    assert_near(vjp(svd_orthogonalize, M, dM), expected, 1e-13)


@pytest.mark.parametrize("n", range(2, 7))
def test_derivative_in_any_dimension_is_that_of_differences(n):
    Q = svd_orthogonalize(gaussian(2, n, n))
    for last in (1.0, -0.4):
        s = torch.linspace(2.0, 1.0, n, dtype=F64)
        s[-1] = last
        M = (Q[0] * s) @ Q[1].mT
        ours = autograd_jacobian(svd_orthogonalize, M, event_dims=2)
        assert_near(ours, central_differences(svd_orthogonalize, M, 2), 1e-9)


def test_at_a_rotation_the_gradient_is_the_tangent_part_and_autograd_through_svd_is_nan(dtype):
    R, G = hard_rotations().to(dtype), gaussian(1, 3, 3, dtype=dtype)
    turned = R.mT @ G
    grad = vjp(svd_orthogonalize, R, G.expand_as(R))
    assert_near(grad, R @ (turned - turned.mT) / 2, 16 * torch.finfo(dtype).eps)

    def through_svd(M):
        U, _, Vh = torch.linalg.svd(M)
        return U @ Vh

    assert vjp(through_svd, EYE.to(dtype), G[0]).isnan().any()


@pytest.mark.parametrize("name", HARD)
def test_gradient_is_orthogonal_to_the_input_and_inverse_to_its_size(name):
    M = HARD[name]
    G = gaussian(1, 3, 3, seed=4).expand_as(M)
    size = torch.linalg.matrix_norm(M)[..., None, None]
    grad = vjp(svd_orthogonalize, M, G) * size
    assert_near((grad * M / size).sum((-2, -1)), torch.zeros(len(M)), 1e-14)
    assert_near(vjp(svd_orthogonalize, 1e3 * M, G) * 1e3 * size, grad, 1e-12)


def test_turning_the_input_turns_value_and_gradient():
    L, R = rotations(50, seed=1), rotations(50, seed=2)
    M, G = gaussian(50, 3, 3), gaussian(50, 3, 3, seed=3)
    assert_near(svd_orthogonalize(L @ M @ R), L @ svd_orthogonalize(M) @ R, 1e-13)
    turned = vjp(svd_orthogonalize, L @ M @ R, L @ G @ R)
    assert_near(turned, L @ vjp(svd_orthogonalize, M, G) @ R, 1e-11)


@pytest.mark.parametrize("name", SINGULAR)
def test_singular_points_drop_the_undetermined_planes_in_that_item_alone(name, dtype):
    """Documented value: the pseudo-inverse solution; neighbours in the batch do not notice."""
    M = torch.stack([gaussian(3, 3), SINGULAR[name], gaussian(3, 3, seed=5)]).to(dtype)
    G = gaussian(3, 3, 3, seed=6).to(dtype)
    grad = vjp(svd_orthogonalize, M, G)
    assert torch.equal(grad[[0, 2]], vjp(svd_orthogonalize, M[[0, 2]], G[[0, 2]]))
    R, s = svd_orthogonalize(M[1]), SINGULAR[name].diagonal().to(dtype)
    size, turned = s.abs(), R.mT @ G[1]
    sums = (R.mT @ M[1]).diagonal()[:, None] + (R.mT @ M[1]).diagonal()
    gains = torch.where(sums > 1e-6 * size.max(), 1 / sums.where(sums != 0, 1), 0)
    assert_near(grad[1], R @ ((turned - turned.mT) * gains), 8 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("s", [(1, 1, -1), (2, 1, -1), (2, 0, 0)])
def test_turned_singular_matrices_drop_the_plane_too(s):
    D = torch.diag(torch.tensor(s, dtype=F64))
    M = rotations(1000, seed=1) @ D @ rotations(1000, seed=2)
    assert vjp(svd_orthogonalize, M, gaussian(1000, 3, 3)).abs().max() < 1e3


def test_the_derivative_keeps_its_digits_at_rank_2():
    """s2 + s3 = 2 is far from 0, so nothing justifies a loss."""
    L, R, G = rotations(200, seed=1), rotations(200, seed=2), gaussian(200, 3, 3)
    for third in (0, 1e-15, 1e-12, 1e-8, -1e-12):
        M = L @ torch.diag(torch.tensor([3, 2, third], dtype=F64)) @ R
        expected = (svd_jacobian(M) @ G.reshape(-1, 9, 1)).reshape(-1, 3, 3)
        assert_near(vjp(svd_orthogonalize, M, G), expected, 1e-12)
        assert_near(torch.func.jvp(svd_orthogonalize, (M,), (G,))[1], expected, 1e-12)


@pytest.mark.parametrize(
    "name",
    ["identity", "negative determinant", "1e-7 apart", "rank 2"],
)
def test_gradcheck_in_every_mode(name):
    M, G = HARD[name].clone().requires_grad_(), gaussian(1, 3, 3).requires_grad_()
    torch.autograd.gradcheck(
        svd_orthogonalize,
        M,
        check_forward_ad=True,
        check_batched_grad=True,
        check_batched_forward_grad=True,
    )
    torch.autograd.gradgradcheck(svd_orthogonalize, M, G, check_batched_grad=True)


@pytest.mark.parametrize("n", [2, 4, 5])
def test_gradgradcheck_in_other_dimensions(n):
    M = (torch.eye(n, dtype=F64) + 0.3 * gaussian(n, n)).requires_grad_()
    torch.autograd.gradcheck(svd_orthogonalize, M, check_forward_ad=True)
    torch.autograd.gradgradcheck(svd_orthogonalize, M)


@pytest.mark.parametrize(
    "f", [svd_orthogonalize, rot9d_to_matrix, rot10d_to_matrix, rot6d_to_matrix]
)
def test_functional_transforms_agree(f):
    """vmap, jacrev, jacfwd, jvp, and the Hessians that PyTorch supports."""
    func = torch.func
    x = gaussian(4, 3, 3) if f is svd_orthogonalize else gaussian(4, int(f.__name__[3:-11]))
    assert_near(func.vmap(f)(x), f(x), 1e-14)
    reverse = func.vmap(func.jacrev(f))(x)
    assert_near(func.vmap(func.jacfwd(f))(x), reverse, 1e-12)
    assert_near(reverse.reshape(4, 9, -1), autograd_jacobian(f, x), 1e-12)
    value, tangent = func.jvp(f, (x,), (x.flip(-1),))
    assert_near(value, f(x), 1e-14)
    pushed = reverse.reshape(4, 9, -1) @ x.flip(-1).reshape(4, -1, 1)
    assert_near(tangent.reshape(4, 9, 1), pushed, 1e-12)
    second = func.jacrev(func.jacrev(f))(x[0])
    assert second.abs().max() > 0.1
    assert_near(func.hessian(f)(x[0]), second, 1e-10)
    assert_near(func.jacrev(func.jacfwd(f))(x[0]), second, 1e-10)


def test_second_derivative_at_the_identity_is_half_of_the_square():
    """Along a turn R exp(t hat(w)) the nearest rotation is the turn: d2/dt2 = hat(w)^2."""
    w = gaussian(3)

    def second(g):
        slope = torch.func.jacrev(lambda t: g(rotvec_to_matrix(t * w)))
        return torch.func.jacrev(slope)(torch.tensor(0.0, dtype=F64))

    assert_near(second(svd_orthogonalize), second(lambda R: R), 1e-14)


@pytest.mark.parametrize("f", [rot5d_to_matrix, rot6d_to_matrix, rot9d_to_matrix, rot10d_to_matrix])
def test_any_generic_numbers_give_a_rotation(f, dtype):
    x = gaussian(200, int(f.__name__[3:-11]), dtype=dtype)
    assert is_rotation(f(x)).all()


@pytest.mark.parametrize(("there", "back"), INVERSES)
def test_every_rotation_comes_back(there, back, dtype):
    R = hard_rotations().to(dtype)
    assert_near(there(back(R)), R, 8 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("f", [rot5d_to_matrix, rot6d_to_matrix, rot9d_to_matrix, rot10d_to_matrix])
def test_gradients_from_free_numbers(f):
    x = gaussian(3, int(f.__name__[3:-11]), seed=2).requires_grad_()
    torch.autograd.gradcheck(f, x, check_forward_ad=True)
    torch.autograd.gradgradcheck(f, x)


def test_gram_schmidt_is_romas_and_keeps_the_first_direction():
    A = gaussian(100, 3, 2)
    R = gram_schmidt(A)
    assert_near(R, roma.special_gramschmidt(A), 1e-13)
    assert_near(R[..., 0], torch.nn.functional.normalize(A[..., 0], dim=-1), 1e-15)
    assert ((R[..., 1] * A[..., 1]).sum(-1) > 0).all()


@pytest.mark.parametrize("beyond_rounding", [1e2, 1e3, 1e5])
def test_gram_schmidt_of_nearly_parallel_columns_is_orthogonal_to_rounding(beyond_rounding, dtype):
    a1, side = gaussian(100, 3), gaussian(100, 3, seed=1)
    side = torch.nn.functional.normalize(torch.linalg.cross(a1, side)) * a1.norm(dim=1)[:, None]
    angle = beyond_rounding * torch.finfo(dtype).eps
    R = gram_schmidt(torch.stack([a1, 3 * a1 + angle * side], -1).to(dtype))
    assert_near(R.mT @ R, torch.eye(3).expand_as(R), 8 * torch.finfo(dtype).eps)


UNANSWERED = {
    "first column zero": (rot6d_to_matrix, (0, 0, 0, 1, 2, 3)),
    "second column zero": (rot6d_to_matrix, (1, 2, 3, 0, 0, 0)),
    "both zero": (rot6d_to_matrix, (0, 0, 0, 0, 0, 0)),
    "exactly parallel": (rot6d_to_matrix, (0, 1, 0, 0, -3, 0)),
    "no point of the sphere": (rot5d_to_matrix, (1, 2, 0, 0, 0)),
    "quaternion of zeros": (quaternion_to_matrix, (0, 0, 0, 0)),
}


@pytest.mark.parametrize("name", UNANSWERED)
def test_an_item_without_an_answer_is_nan_alone_and_a_masked_loss_trains_on(name, dtype):
    """Its gradient is zero, so that weights that all items share learn from the others only."""
    f, numbers = UNANSWERED[name]
    bad = torch.tensor(numbers, dtype=dtype)
    x = torch.stack([gaussian(len(bad), dtype=dtype), bad, gaussian(len(bad), seed=1, dtype=dtype)])
    layer = torch.nn.Linear(len(bad), len(bad), dtype=dtype)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(len(bad)))
        layer.bias.zero_()
    R = f(layer(x))
    assert R[1].isnan().all() and is_rotation(R[[0, 2]]).all()
    target = rotations(3, dtype=dtype)
    mask = torch.tensor([True, False, True])
    losses = (R - target).square().sum((-2, -1))
    others = (f(layer(x[mask])) - target[mask]).square().sum()
    expected = torch.autograd.grad(others, layer.parameters())
    for masked in (losses[mask].sum(), torch.where(mask, losses, 0).sum()):
        found = torch.autograd.grad(masked, layer.parameters(), retain_graph=True)
        for ours, theirs in zip(found, expected, strict=True):
            assert_near(ours, theirs, 64 * torch.finfo(dtype).eps)


def test_parallel_columns_are_noticed_in_spite_of_rounding(dtype):
    """Rounding leaves nine in ten of them a rest, of which a wrong rotation could be made."""
    a1, factor = gaussian(20_000, 3, dtype=dtype), 10 * gaussian(20_000, 1, seed=1, dtype=dtype)
    x = torch.cat([a1, factor * a1], -1).requires_grad_()
    R = rot6d_to_matrix(x)
    assert R.isnan().all() and gram_schmidt_spectrum(x.detach()).isnan().all()
    assert not torch.autograd.grad(R.sum(), x)[0].any()
    tilted = factor * a1 + 100 * torch.finfo(dtype).eps * factor * a1.roll(1, -1)
    assert is_rotation(rot6d_to_matrix(torch.cat([a1, tilted], -1))).double().mean() > 0.99


@pytest.mark.parametrize("scale", [1e20, 1e-20])
def test_scale_of_free_numbers_does_not_matter(scale, dtype):
    for f in (rot6d_to_matrix, rot9d_to_matrix, rot10d_to_matrix):
        x = gaussian(20, int(f.__name__[3:-11]), dtype=dtype)
        assert_near(f(scale * x), f(x), 2e3 * torch.finfo(dtype).eps, f.__name__)


def test_ten_numbers_give_the_smallest_eigenvector_as_in_roma():
    """RoMa calls the eigenvector xyzw; it is the same four numbers, read here as wxyz."""
    x = gaussian(50, 10)
    expected = quaternion_to_matrix(roma.symmatrixvec_to_unitquat(x))
    assert_near(rot10d_to_matrix(x), expected, 1e-12)
