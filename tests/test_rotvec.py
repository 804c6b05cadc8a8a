"""Axis times angle: exp and log, against mpmath, SciPy and RoMa, from 1e-20 to half a turn."""

import math

import mpmath as mp
import pytest
import roma
import torch
from conftest import (
    AXES,
    EYE,
    F64,
    HALF_TURNS,
    assert_near,
    central_differences,
    gaussian,
    hard_rotations,
    rotations,
)
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from rotlib import (
    autograd_jacobian,
    hat,
    is_rotation,
    matrix_to_rotvec,
    quaternion_multiply,
    quaternion_to_matrix,
    quaternion_to_rotvec,
    rotvec_to_matrix,
    rotvec_to_quaternion,
    slerp,
    wxyz_to_xyzw,
    xyzw_to_wxyz,
)
from rotlib.rotvec import sine_over_angle, versine_over_square

ANGLES = [0, 1e-20, 1e-12, 1e-7, 1e-4, 0.1, 0.4999, 0.5001, 0.9999, 1.0001, 2, 3, math.pi]
NEAR_HALF = [math.pi - gap for gap in (0.1, 1e-2, 1e-4, 1e-6, 1e-7, 1e-8, 1e-10, 1e-12)]
vectors = st.lists(st.floats(-10, 10), min_size=3, max_size=3).map(
    lambda entries: torch.tensor(entries, dtype=F64)
)


def exact_exponential(w):
    """50 digits of the matrix exponential, by mpmath's own series and not Rodrigues' formula."""
    with mp.workdps(50):
        return torch.tensor(mp.expm(mp.matrix(hat(w).tolist())).tolist(), dtype=F64)


@pytest.mark.parametrize("angle", [*ANGLES, 6.28, 20.0])
def test_exponential_against_mpmath(angle):
    w = angle * AXES[[2, 5, 13, 25]]
    expected = torch.stack([exact_exponential(v) for v in w])
    assert_near(rotvec_to_matrix(w), expected, 2e-15 * max(1, angle))


@pytest.mark.parametrize("theta", [1e-9, 1e-3, 0.3, 0.49999, 0.5, 0.50001, 0.99999, 1.00001, 3, 6])
def test_coefficients_and_their_derivatives_against_mpmath(theta):
    """Both sides of the switch from series to closed form; derivatives to second order."""
    with mp.workdps(50):
        exact = {
            sine_over_angle: lambda t: mp.sin(mp.sqrt(t)) / mp.sqrt(t),
            versine_over_square: lambda t: (1 - mp.cos(mp.sqrt(t))) / t,
        }
        for coefficient, formula in exact.items():
            t = torch.tensor(theta**2, dtype=F64, requires_grad=True)
            value = coefficient(t)
            (slope,) = torch.autograd.grad(value, t, create_graph=True)
            (bend,) = torch.autograd.grad(slope, t)
            expected = mp.taylor(formula, mp.mpf(t.item()), 2)
            for order, ours in enumerate([value, slope, bend]):
                exact_value = expected[order] * math.factorial(order)
                assert abs(ours.item() - exact_value) < 1e-14, (coefficient.__name__, order)


def test_exponential_is_scipys_and_romas():
    w = 3 * gaussian(100, 3)
    assert_near(
        rotvec_to_matrix(w), torch.as_tensor(Rotation.from_rotvec(w.numpy()).as_matrix()), 1e-14
    )
    assert_near(rotvec_to_matrix(w), roma.rotvec_to_rotmat(w), 1e-14)


def test_logarithm_is_scipys_and_romas():
    R = rotations(200)
    assert_near(
        matrix_to_rotvec(R), torch.as_tensor(Rotation.from_matrix(R.numpy()).as_rotvec()), 1e-12
    )
    assert_near(matrix_to_rotvec(R), roma.rotmat_to_rotvec(R), 1e-12)


@pytest.mark.parametrize("angle", [*ANGLES[:-1], *NEAR_HALF])
def test_logarithm_undoes_the_exponential_to_full_relative_accuracy(angle):
    w = angle * AXES
    assert_near(matrix_to_rotvec(rotvec_to_matrix(w)), w, 1e-15 * angle)


@pytest.mark.parametrize("angle", [1e-20, 1e-7, 1e-4, 0.1, 0.5, 2.0, 3.14])
def test_single_precision_keeps_its_digits(angle):
    w = (angle * AXES).float()
    assert_near(rotvec_to_matrix(w), rotvec_to_matrix(w.double()), 4e-7)
    assert_near(matrix_to_rotvec(rotvec_to_matrix(w)), w, 8e-7 * angle)


def test_every_rotation_comes_back(dtype):
    R = hard_rotations().to(dtype)
    w = matrix_to_rotvec(R)
    assert_near(rotvec_to_matrix(w), R, 8 * torch.finfo(dtype).eps)
    assert (torch.linalg.vector_norm(w, dim=-1) <= math.pi * (1 + 1e-7)).all()


def test_half_turns_have_length_pi_along_their_axis(dtype):
    w = matrix_to_rotvec(HALF_TURNS.to(dtype))
    along = (w.double() * AXES).sum(-1).abs()
    assert_near(along, torch.full((26,), math.pi, dtype=F64), 4 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("angle", [0, 1e-20, 1e-12, 1e-7, 1e-3, 0.2, 0.5, 1, 2, 3])
def test_the_derivative_of_log_inverts_the_derivative_of_exp(angle):
    w = angle * AXES
    there = autograd_jacobian(rotvec_to_matrix, w, event_dims=1)
    back = autograd_jacobian(matrix_to_rotvec, rotvec_to_matrix(w), event_dims=2)
    assert_near(back @ there, EYE.expand(26, 3, 3), 1e-13)


@pytest.mark.parametrize("gap", [1e-2, 1e-4, 1e-7, 1e-10, 0.0])
def test_the_derivative_of_log_is_right_up_to_half_a_turn(gap):
    """At exactly half a turn log picks one of two branches, whose derivative is the one tested."""
    R = rotvec_to_matrix((math.pi - gap) * AXES)
    w = matrix_to_rotvec(R)
    there = autograd_jacobian(rotvec_to_matrix, w, event_dims=1)
    back = autograd_jacobian(matrix_to_rotvec, R, event_dims=2)
    assert_near(back @ there, EYE.expand(26, 3, 3), 1e-13)


@pytest.mark.parametrize("angle", [0.0, 1e-7, 0.4999, 0.5001, 1.3, math.pi, 6.0])
def test_the_derivative_of_exp_is_that_of_differences(angle):
    w = angle * AXES
    assert_near(
        autograd_jacobian(rotvec_to_matrix, w, event_dims=1),
        central_differences(rotvec_to_matrix, w, 1),
        1e-10,
    )


@pytest.mark.parametrize("angle", [0.0, 1e-7, 0.49, 0.51, 2.0, math.pi])
def test_exp_differentiates_twice_in_both_modes(angle):
    w = (angle * AXES[25]).requires_grad_()
    torch.autograd.gradcheck(rotvec_to_matrix, w, check_forward_ad=True)
    torch.autograd.gradgradcheck(rotvec_to_matrix, w)


def test_second_derivative_at_zero_is_that_of_half_hat_squared():
    H = torch.func.hessian(rotvec_to_matrix)(torch.zeros(3, dtype=F64))
    for i in range(3):
        E = hat(EYE[i])
        assert_near(H[..., i, i], E @ E, 1e-15)


def test_log_gradient_is_finite_at_every_hard_rotation(dtype):
    R = hard_rotations().to(dtype).requires_grad_()
    (grad,) = torch.autograd.grad(matrix_to_rotvec(R).sum(), R)
    assert grad.isfinite().all()
    assert (grad.flatten(1).abs().amax(-1) > 0.1).all()


@given(vectors)
def test_the_exponential_of_any_vector_is_a_rotation_whose_inverse_is_its_transpose(w):
    R = rotvec_to_matrix(w)
    assert is_rotation(R)
    assert_near(rotvec_to_matrix(-w), R.mT, 1e-15)


@given(vectors, st.floats(-2, 2), st.floats(-2, 2))
def test_turns_about_one_axis_add(w, a, b):
    assert_near(
        rotvec_to_matrix(a * w) @ rotvec_to_matrix(b * w), rotvec_to_matrix((a + b) * w), 1e-13
    )


@given(vectors, vectors)
def test_turning_the_vector_conjugates_the_rotation(w, v):
    R = rotvec_to_matrix(v)
    assert_near(rotvec_to_matrix(R @ w), R @ rotvec_to_matrix(w) @ R.mT, 1e-13)


# --- quaternions -----------------------------------------------------------------------------


def quaternions(n, seed=0):
    return torch.nn.functional.normalize(gaussian(n, 4, seed=seed), dim=-1)


def test_from_and_to_quaternions_as_scipy_and_roma():
    w, q = 3 * gaussian(100, 3), 5 * gaussian(100, 4)
    ours, theirs = rotvec_to_quaternion(w), Rotation.from_rotvec(w.numpy()).as_quat()
    sign = (wxyz_to_xyzw(ours) * torch.as_tensor(theirs)).sum(-1, keepdim=True).sign()
    assert_near(sign * wxyz_to_xyzw(ours), torch.as_tensor(theirs), 1e-14)
    assert_near(ours, xyzw_to_wxyz(roma.rotvec_to_unitquat(w)), 1e-14)
    expected = Rotation.from_quat(wxyz_to_xyzw(q).numpy()).as_rotvec()
    assert_near(quaternion_to_rotvec(q), torch.as_tensor(expected), 1e-13)


@pytest.mark.parametrize("angle", [*ANGLES, *NEAR_HALF])
@pytest.mark.parametrize("scale", [1, -1, 1e-20, -1e200])
def test_a_quaternion_of_any_length_gives_the_vector_back(angle, scale):
    w = angle * AXES
    back = quaternion_to_rotvec(scale * rotvec_to_quaternion(w))
    turned_over = (back * w).sum(-1, keepdim=True) < 0  # at half a turn, both are right
    assert_near(torch.where(turned_over & (angle > 3.14159), -back, back), w, 1e-15 * angle)


@pytest.mark.parametrize("angle", [1e-20, 1e-7, 1e-4, 0.1, 0.5, 2.0, 3.14])
def test_vectors_in_single_precision_come_back_from_quaternions(angle):
    w = (angle * AXES).float()
    assert_near(quaternion_to_rotvec(rotvec_to_quaternion(w)), w, 8e-7 * angle)


@pytest.mark.parametrize("angle", [0, 1e-20, 1e-7, 0.19, 0.21, 0.99, 1.01, 3, math.pi - 1e-9])
def test_derivatives_to_and_from_a_quaternion_invert_each_other(angle):
    w = angle * AXES
    there = autograd_jacobian(rotvec_to_quaternion, w, event_dims=1)
    for scale in (1, -2):
        q = scale * rotvec_to_quaternion(w)
        back = autograd_jacobian(quaternion_to_rotvec, q, event_dims=1)
        assert_near(scale * back @ there, EYE.expand(26, 3, 3), 2e-15)
        assert_near((back @ q[..., None]).squeeze(-1), torch.zeros(26, 3, dtype=F64), 1e-15)


def test_at_exactly_half_a_turn_the_way_and_derivative_are_those_of_the_vector_part():
    q = torch.cat([torch.zeros(26, 1, dtype=F64), AXES], -1)
    assert_near(quaternion_to_rotvec(q), math.pi * AXES, 1e-15)
    back = autograd_jacobian(quaternion_to_rotvec, q, event_dims=1)
    there = autograd_jacobian(rotvec_to_quaternion, math.pi * AXES, event_dims=1)
    assert_near(back @ there, EYE.expand(26, 3, 3), 2e-15)


@pytest.mark.parametrize("angle", [0.0, 1e-7, 0.9999, 1.0001, math.pi, 6.0])
def test_the_derivative_to_a_quaternion_is_that_of_differences(angle):
    w = angle * AXES
    assert_near(
        autograd_jacobian(rotvec_to_quaternion, w, event_dims=1),
        central_differences(rotvec_to_quaternion, w, 1),
        1e-11,
    )


@pytest.mark.parametrize("angle", [0.0, 1e-7, 0.2, 2.0])
def test_quaternion_maps_differentiate_twice_in_both_modes(angle):
    w = (angle * AXES[25]).requires_grad_()
    q = (1.5 * rotvec_to_quaternion(w.detach())).requires_grad_()
    for f, x in [(rotvec_to_quaternion, w), (quaternion_to_rotvec, q)]:
        torch.autograd.gradcheck(f, x, check_forward_ad=True)
        torch.autograd.gradgradcheck(f, x)


def test_quaternions_of_zeros_are_nan_alone_and_teach_nothing():
    q = gaussian(3, 4)
    q[1] = 0
    for f in (quaternion_to_rotvec, lambda x: slerp(x, x.roll(1, -1) + 1, 0.5)):
        x = q.clone().requires_grad_()
        y = f(x)
        (grad,) = torch.autograd.grad(y[[0, 2]].sum() + y[1].nansum(), x)
        assert y.isnan().any(-1).tolist() == [False, True, False]
        assert grad[1].tolist() == [0, 0, 0, 0]
        assert grad.isfinite().all()
        assert (grad[[0, 2]] != 0).any(-1).all()


def test_slerp_is_scipys_and_romas():
    p, q = quaternions(20), quaternions(20, seed=1)
    times = torch.linspace(0, 1, 7, dtype=F64)
    ours = slerp(p, q, times[:, None])
    sign = torch.where((p * q).sum(-1, keepdim=True) < 0, -1, 1)
    assert_near(ours, xyzw_to_wxyz(roma.unitquat_slerp(*map(wxyz_to_xyzw, (p, q)), times)), 1e-14)
    assert_near(ours[-1], sign * q, 1e-15)
    for k in range(20):
        ends = Rotation.from_quat(wxyz_to_xyzw(torch.stack([p[k], q[k]])).numpy())
        theirs = torch.as_tensor(Slerp([0, 1], ends)(times.numpy()).as_matrix())
        assert_near(quaternion_to_matrix(ours[:, k]), theirs, 1e-14)


@pytest.mark.parametrize("angle", [0, 1e-12, 1e-7, 0.2, 1, 3, math.pi - 1e-7])
@pytest.mark.parametrize("sign", [1, -1])
def test_slerp_turns_at_constant_speed_the_shorter_way(angle, sign):
    p = quaternions(26)
    q = sign * quaternion_multiply(p, rotvec_to_quaternion(angle * AXES))
    for share in (-0.5, 0, 0.25, 1, 1.5):
        expected = quaternion_multiply(p, rotvec_to_quaternion(share * angle * AXES))
        assert_near(slerp(3 * p, 1e-20 * q, share), expected, 2e-15)


def test_half_a_turn_apart_slerp_goes_to_the_quaternion_given():
    p, q = torch.eye(4, dtype=F64)[:2]
    middle = (p + q) / math.sqrt(2)
    assert_near(slerp(p, q, 0.5), middle, 1e-15)
    assert_near(slerp(p, -q, 0.5), (p - q) / math.sqrt(2), 1e-15)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_slerp_differentiates_twice_where_both_ends_agree(sign):
    p = quaternions(3)
    inputs = p, sign * p, torch.tensor([0.3, 0, 1], dtype=F64)
    inputs = [x.clone().requires_grad_() for x in inputs]
    torch.autograd.gradcheck(slerp, inputs, check_forward_ad=True, fast_mode=True)
    torch.autograd.gradgradcheck(slerp, inputs, fast_mode=True)


def test_slerp_says_what_does_not_fit():
    p = torch.ones(2, 4)
    with pytest.raises(ValueError, match=r"slerp .* got \(2, 4\), \(2, 4\) and share \(3,\)"):
        slerp(p, p, torch.ones(3))
    with pytest.raises(TypeError, match=r"slerp expects one dtype for all, .*32 and torch.float64"):
        slerp(p, p, torch.ones(2, dtype=F64))
    with pytest.raises(TypeError, match="slerp expects share to be a number or tensor, got str"):
        slerp(p, p, "0.5")
    assert slerp(p[:, None], p, torch.ones(5, 1, 1)).shape == (5, 2, 2, 4)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_compilers_and_transforms_follow_at_another_batch():
    def way(p, w):
        return quaternion_to_rotvec(slerp(p, rotvec_to_quaternion(w), 0.3))

    p, w = quaternions(7), gaussian(7, 3)
    traced = torch.jit.trace(way, (p[:2], w[:2]))
    assert_near(traced(p, w), way(p, w), 1e-15)
    jacobian = torch.func.vmap(torch.func.jacfwd(way, argnums=1))(p, w)
    assert_near(jacobian, autograd_jacobian(lambda v: way(p, v), w, event_dims=1), 1e-14)
