"""Every closed-form derivative: the whole registry, then the hard points of each."""

import math

import mpmath as mp
import pytest
import torch
from conftest import (
    AXES,
    EYE,
    F64,
    assert_near,
    central_differences,
    from_singular_values,
    gaussian,
    hard_matrices,
    hard_rotations,
    rotations,
    seeded,
    singular_matrices,
)
from test_euler import ORDERS, lock_angles

import rotlib
from rotlib import (
    DERIVATIVES,
    autograd_jacobian,
    geodesic_distance,
    gram_schmidt_jacobian,
    gram_schmidt_spectrum,
    hat,
    quaternion_jacobian,
    quaternion_to_matrix,
    rot6d_to_matrix,
    rotvec_left_jacobian,
    rotvec_left_jacobian_inverse,
    rotvec_right_jacobian,
    rotvec_right_jacobian_inverse,
    rotvec_to_matrix,
    svd_condition_number,
    svd_jacobian,
    svd_jacobian_spectrum,
    svd_orthogonalize,
)
from rotlib.matrix import tangent_basis

HARD, SINGULAR = hard_matrices(), singular_matrices()


def by_differences(name):
    """The definition of each derivative, by central differences."""
    exp, log = rotvec_to_matrix, rotlib.matrix_to_rotvec
    kind, _, order = name.partition(" ")

    def turn(change):
        """Rotation vector of ``change(w, d)``, differentiated by ``d`` at 0."""
        return lambda w: central_differences(lambda d: log(change(w, d)), torch.zeros_like(w), 1)

    def of_log(change):
        return lambda w: central_differences(lambda d: log(change(exp(w), exp(d))), 0 * w, 1)

    return {
        "svd_jacobian": lambda M: central_differences(svd_orthogonalize, M, 2, 1e-4),
        "gram_schmidt_jacobian": lambda x: central_differences(rot6d_to_matrix, x, 1, 1e-4),
        "quaternion_jacobian": lambda q: central_differences(quaternion_to_matrix, q, 1),
        "euler_jacobian": lambda a: central_differences(
            lambda x: rotlib.euler_to_matrix(x, order), a, 1
        ),
        "rotvec_right_jacobian": turn(lambda w, d: exp(w).mT @ exp(w + d)),
        "rotvec_left_jacobian": turn(lambda w, d: exp(w + d) @ exp(w).mT),
        "rotvec_right_jacobian_inverse": of_log(lambda R, D: R @ D),
        "rotvec_left_jacobian_inverse": of_log(lambda R, D: D @ R),
    }[kind]


@pytest.mark.parametrize("name", DERIVATIVES)
def test_closed_form_equals_autograd(name):
    by_hand, by_autograd, sample = DERIVATIVES[name]
    x = sample(200, seeded(1))
    expected = by_autograd(x)
    assert_near(by_hand(x), expected, 1e-10 * max(1, expected.abs().max().item()))


@pytest.mark.parametrize("name", DERIVATIVES)
def test_closed_form_equals_differences(name):
    """On the better conditioned half of the samples, where differences are good to 1e-8."""
    by_hand, _, sample = DERIVATIVES[name]
    x = sample(200, seeded(2))
    J = by_hand(x)
    size = J.abs().flatten(1).amax(-1)
    easy = size <= size.median()
    if "inverse" in name:  # differences must not step over half a turn
        easy &= x.norm(dim=-1) < 3
    assert_near(J[easy], by_differences(name)(x[easy]), 1e-8)


def test_every_jacobian_of_the_library_is_in_the_registry():
    public = {name for name in rotlib.__all__ if "_jacobian" in name and "spectrum" not in name}
    assert public - {"autograd_jacobian"} == {name.partition(" ")[0] for name in DERIVATIVES}


# --- nearest rotation ------------------------------------------------------------------------


@pytest.mark.parametrize("name", HARD)
def test_svd_jacobian_at_the_hard_points(name):
    M = HARD[name]
    size = torch.linalg.matrix_norm(M)[..., None, None]
    ours = svd_jacobian(M) * size
    expected = autograd_jacobian(svd_orthogonalize, M, event_dims=2) * size
    assert_near(ours, expected, 1e-10)


@pytest.mark.parametrize("name", [*HARD, *SINGULAR])
def test_svd_jacobian_is_symmetric_and_blind_to_the_input(name):
    M = (HARD | SINGULAR)[name].reshape(-1, 3, 3)
    size = torch.linalg.matrix_norm(M)[..., None, None].clamp(min=1e-30)
    J = svd_jacobian(M) * size
    assert_near(J, J.mT, 1e-14)
    assert_near(J @ (M / size).reshape(-1, 9, 1), torch.zeros(len(M), 9, 1), 1e-14)


@pytest.mark.parametrize("name", HARD)
def test_spectrum_is_the_three_singular_values_of_the_jacobian(name):
    M = HARD[name]
    size = torch.linalg.matrix_norm(M)[..., None]
    measured = torch.linalg.svdvals(svd_jacobian(M) * size[..., None])
    assert_near(svd_jacobian_spectrum(M) * size, measured[..., :3], 1e-12)
    assert_near(measured[..., 3:], torch.zeros(len(M), 6), 1e-12)


@pytest.mark.parametrize("n", range(2, 7))
def test_spectrum_and_rank_in_any_dimension(n):
    M = gaussian(30, n, n)
    rank = n * (n - 1) // 2
    measured = torch.linalg.svdvals(svd_jacobian(M))
    spectrum = svd_jacobian_spectrum(M)
    assert_near(spectrum / measured[:, :rank], torch.ones(30, rank), 1e-9)
    assert (measured[:, rank:] < 1e-12 * measured[:, :1]).all()


@pytest.mark.parametrize("s", [(3, 2, 1), (3, 2, -1), (2, 2, -1.5), (1, 1, 1), (5, 1e-3, 0)])
def test_spectrum_and_condition_number_from_signed_singular_values(s):
    M = from_singular_values(*s)[0]
    expected = torch.tensor([2 / (s[1] + s[2]), 2 / (s[0] + s[2]), 2 / (s[0] + s[1])], dtype=F64)
    assert_near(svd_jacobian_spectrum(M) / expected, torch.ones(3), 1e-11)
    kappa = (s[0] + s[1]) / (s[1] + s[2])
    assert svd_condition_number(M).item() == pytest.approx(kappa, rel=1e-11)


def test_at_a_rotation_the_jacobian_projects_on_the_tangent_space():
    R = hard_rotations()
    T = tangent_basis(R) / math.sqrt(2)
    assert_near(svd_jacobian(R), T @ T.mT, 1e-14)
    assert_near(svd_condition_number(R), torch.ones(len(R)), 1e-14)


@pytest.mark.parametrize("name", SINGULAR)
def test_where_the_nearest_rotation_is_not_unique_the_spectrum_is_infinite(name):
    M = SINGULAR[name]
    assert svd_jacobian_spectrum(M)[0] == math.inf
    assert svd_condition_number(M) == math.inf
    # Which of the nearest rotations is returned is free; the gains of its derivative are not.
    ours, expected = (
        torch.linalg.eigvalsh(J)
        for J in (autograd_jacobian(svd_orthogonalize, M, event_dims=2), svd_jacobian(M))
    )
    assert_near(ours, expected, 1e-14)


def test_turning_the_input_turns_the_jacobian():
    """vec(L X R) = (L kron R^T) vec(X) for row-major vec."""
    L, R, M = rotations(20, seed=1), rotations(20, seed=2), gaussian(20, 3, 3)
    K = torch.stack([torch.kron(a, b.mT.contiguous()) for a, b in zip(L, R, strict=True)])
    assert_near(svd_jacobian(L @ M @ R), K @ svd_jacobian(M) @ K.mT, 1e-11)
    assert_near(svd_condition_number(L @ M @ R), svd_condition_number(M), 1e-10)


# --- Gram-Schmidt ----------------------------------------------------------------------------

GRAM_SCHMIDT_POINTS = {
    "orthonormal": rotlib.matrix_to_rot6d(hard_rotations()),
    "1e-7 from orthonormal": rotlib.matrix_to_rot6d(hard_rotations()) + 1e-7 * gaussian(1, 6),
    "unequal lengths": gaussian(20, 6) * torch.tensor([1e3] * 3 + [1e-3] * 3, dtype=F64),
    "nearly parallel": torch.cat([EYE, 3 * EYE + 1e-3 * EYE.roll(1, 0)], -1),
    "large": 1e20 * gaussian(20, 6),
    "small": 1e-20 * gaussian(20, 6),
}


@pytest.mark.parametrize("name", GRAM_SCHMIDT_POINTS)
def test_gram_schmidt_jacobian_and_spectrum_at_the_hard_points(name):
    x = GRAM_SCHMIDT_POINTS[name]
    J = gram_schmidt_jacobian(x)
    size = torch.linalg.matrix_norm(J)[..., None, None]
    assert_near(J / size, autograd_jacobian(rot6d_to_matrix, x, event_dims=1) / size, 1e-10)
    measured = torch.linalg.svdvals(J / size)
    assert_near(gram_schmidt_spectrum(x) / size[..., 0], measured[:, :3], 1e-14)
    assert_near(measured[:, 3:], torch.zeros(len(x), 3), 1e-14)


@pytest.mark.parametrize("scale", [1e20, 1e-20])
@pytest.mark.parametrize(
    ("f", "n"), [(gram_schmidt_jacobian, 6), (gram_schmidt_spectrum, 6), (quaternion_jacobian, 4)]
)
def test_scale_in_single_precision(f, n, scale):
    x = gaussian(20, n).float()
    assert_near(f(scale * x) * scale, f(x), 1e-6 * f(x).abs().max().item())


@pytest.mark.parametrize("scale", [1e20, 1e-20])
def test_svd_jacobian_does_not_depend_on_scale_in_single_precision(scale):
    M = HARD["rotations"].float()
    assert_near(svd_jacobian(scale * M) * scale, svd_jacobian(M), 1e-6)
    assert_near(svd_condition_number(scale * M), torch.ones(5), 1e-6)


def test_at_orthonormal_columns_the_first_gets_twice_the_signal_of_the_second():
    x = rotlib.matrix_to_rot6d(rotations(20))
    a1, a2 = gram_schmidt_jacobian(x).split(3, -1)
    assert_near(a1.square().sum((-2, -1)), torch.full((20,), 4.0, dtype=F64), 1e-14)
    assert_near(a2.square().sum((-2, -1)), torch.full((20,), 2.0, dtype=F64), 1e-14)
    assert_near(gram_schmidt_spectrum(x) ** 2, torch.full((20, 3), 2.0), 1e-14)


# --- rotation vectors ------------------------------------------------------------------------

TURNS = [0, 1e-20, 1e-7, 1e-3, 0.4999, 0.5001, 0.9999, 1.0001, 2.0, math.pi, 6.0]


@pytest.mark.parametrize("turn", TURNS)
def test_rotvec_jacobians_against_mpmath(turn):
    """J_r = sum (-W)^k / (k + 1)!, and its inverse by elimination, in 50 digits."""
    w = turn * AXES[7]
    with mp.workdps(50):
        W = mp.matrix(hat(w).tolist())
        term, J = mp.eye(3), mp.zeros(3)
        for k in range(80):
            J += term / (k + 1)
            term = term * (-W) / (k + 1)
        exact = [torch.tensor(X.tolist(), dtype=F64) for X in (J, mp.inverse(J))]
    assert_near(rotvec_right_jacobian(w), exact[0], 1e-15)
    assert_near(rotvec_right_jacobian_inverse(w), exact[1], 5e-14)


@pytest.mark.parametrize("turn", TURNS)
def test_rotvec_jacobians_left_right_and_inverse(turn):
    w = turn * AXES
    left, right = rotvec_left_jacobian(w), rotvec_right_jacobian(w)
    assert_near(left, right.mT, 0)
    assert_near(left, rotvec_to_matrix(w) @ right, 5e-15)
    identity = EYE.expand(26, 3, 3)
    assert_near(rotvec_right_jacobian_inverse(w) @ right, identity, 2e-14)
    assert_near(rotvec_left_jacobian_inverse(w) @ left, identity, 2e-14)
    for name in ("rotvec_left_jacobian", "rotvec_right_jacobian"):
        assert_near(DERIVATIVES[name].by_autograd(w), DERIVATIVES[name].by_hand(w), 1e-13)


@pytest.mark.parametrize("turn", [0.0, 1e-7, 0.49, 0.51, 2.0])
def test_rotvec_jacobians_can_be_differentiated(turn):
    w = (turn * AXES[25]).requires_grad_()
    for f in (rotvec_right_jacobian, rotvec_right_jacobian_inverse):
        torch.autograd.gradcheck(f, w, check_forward_ad=True)


# --- quaternions and Euler angles ------------------------------------------------------------


@pytest.mark.parametrize("length", [1.0, 1e-20, 1e20])
def test_quaternion_jacobian_at_the_hard_points(length):
    q = torch.cat([torch.eye(4, dtype=F64), rotlib.matrix_to_quaternion(hard_rotations())])
    J = quaternion_jacobian(length * q) * length
    reference = autograd_jacobian(quaternion_to_matrix, length * q, event_dims=1) * length
    assert_near(J, reference, 1e-14)
    s = torch.linalg.svdvals(J)
    expected = torch.tensor([2 * math.sqrt(2)] * 3 + [0], dtype=F64).expand_as(s)
    assert_near(s, expected, 1e-14)
    assert_near(J @ q[..., None], torch.zeros(len(q), 9, 1), 1e-14)


@pytest.mark.parametrize("order", ORDERS)
def test_euler_jacobian_in_every_order_and_at_gimbal_lock(order):
    a = 3 * gaussian(20, 3)
    a[:10, 1] = torch.tensor(lock_angles(order), dtype=F64).repeat(5)
    J = rotlib.euler_jacobian(a, order)
    reference = autograd_jacobian(lambda x: rotlib.euler_to_matrix(x, order), a, event_dims=1)
    assert_near(J, reference, 1e-14)
    smallest = torch.linalg.svdvals(J)[:, 2]
    assert_near(smallest[:10], torch.zeros(10), 1e-14)
    assert (smallest[10:] > 1e-3).all()


# --- backward and forward mode ---------------------------------------------------------------

MAPS = {
    "svd_orthogonalize": torch.cat([M / M.abs().max() for M in HARD.values()]),
    "gram_schmidt": gaussian(20, 3, 2),
    "rot5d_to_matrix": gaussian(20, 5),
    "rot10d_to_matrix": gaussian(20, 10),
    "rotvec_to_matrix": torch.cat([turn * AXES for turn in (0, 1e-7, 1, math.pi)]),
    "matrix_to_rotvec": hard_rotations(),
    "quaternion_to_matrix": gaussian(20, 4),
    "matrix_to_quaternion": hard_rotations(),
    "matrix_to_rot5d": hard_rotations(),
}


@pytest.mark.parametrize("name", MAPS)
def test_backward_is_the_adjoint_of_forward(name):
    """<J^T g, dx> = <g, J dx>, item by item."""
    f, x = getattr(rotlib, name), MAPS[name]
    dx = gaussian(*x.shape, seed=1)
    y, change = torch.func.jvp(f, (x,), (dx,))
    g = gaussian(*y.shape, seed=2)
    (back,) = torch.func.vjp(f, x)[1](g)
    forward = (g * change).flatten(1).sum(-1)
    scale = forward.abs().max().item() + 1
    assert_near((back * dx).flatten(1).sum(-1), forward, 1e-13 * scale)


# --- the reference itself --------------------------------------------------------------------


def test_autograd_jacobian_of_a_linear_map_is_its_matrix():
    A, x = gaussian(4, 5), gaussian(2, 3, 5, seed=1)
    J = autograd_jacobian(lambda v: v @ A.mT, x)
    assert torch.equal(J, A.expand(2, 3, 4, 5))
    assert not x.requires_grad


def test_autograd_jacobian_reads_matrices_row_by_row():
    A = gaussian(3, 3)
    J = autograd_jacobian(lambda X: A @ X, gaussian(2, 3, 3, seed=1), event_dims=2)
    assert torch.equal(J[0], torch.kron(A, EYE))


def test_autograd_jacobian_finds_the_event_by_itself():
    for f, event in [(hat, (3,)), (svd_orthogonalize, (3, 3)), (rotlib.vee, (3, 3))]:
        for batch in [(), (4,), (2, 3), (3,), (0,)]:
            x = gaussian(*batch, *event)
            assert autograd_jacobian(f, x).shape[:-2] == batch


def test_autograd_jacobian_sees_whether_rows_are_items():
    """Shapes alone do not tell: A @ M maps rows of M to rows, and mixes them."""
    A, M = gaussian(3, 3), gaussian(3, 3, seed=1)
    assert_near(autograd_jacobian(lambda X: A @ X, M), torch.kron(A, EYE), 1e-15)
    assert autograd_jacobian(lambda X: X / X.norm(), M).shape == (9, 9)
    assert autograd_jacobian(torch.linalg.inv, gaussian(4, 3, 3)).shape == (4, 9, 9)
    R1, R2 = rotations(4), rotations(4, seed=1)
    by_item = autograd_jacobian(lambda R: geodesic_distance(R, R2), R1, event_dims=2)
    assert by_item.shape == (4, 1, 9)


def test_autograd_jacobian_of_a_number_a_constant_and_without_gradients():
    assert_near(autograd_jacobian(torch.sin, torch.tensor(1.0)), torch.tensor([[1.0]]).cos(), 1e-7)
    with torch.no_grad():
        assert autograd_jacobian(torch.sin, torch.ones(3)).any()
    assert not autograd_jacobian(lambda x: torch.ones(2), torch.ones(3)).any()
    with pytest.raises(TypeError, match=r"autograd_jacobian expects a torch\.Tensor"):
        autograd_jacobian(torch.sin, [1.0])


def test_turned_singular_matrices_have_an_infinite_spectrum():
    D = torch.diag(torch.tensor([3.0, 1, -1], dtype=F64))
    M = rotations(200) @ D @ rotations(200, seed=1)
    assert svd_jacobian_spectrum(M)[:, 0].isinf().all()
    assert svd_condition_number(M).isinf().all()
    assert_near(svd_jacobian_spectrum(M)[:, 1:], torch.tensor([[1, 0.5]]).expand(200, 2), 1e-12)


def test_autograd_jacobian_refuses_what_it_cannot_split():
    with pytest.raises(ValueError, match="event_dims=5"):
        autograd_jacobian(torch.sin, torch.ones(3), event_dims=5)
