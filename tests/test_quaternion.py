"""Four numbers: products, the double cover, half turns, against SciPy and RoMa."""

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
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from rotlib import (
    autograd_jacobian,
    is_rotation,
    matrix_to_quaternion,
    quaternion_conjugate,
    quaternion_multiply,
    quaternion_to_matrix,
    wxyz_to_xyzw,
    xyzw_to_wxyz,
)
from rotlib.matrix import tangent_basis

quaternions = st.lists(st.floats(-10, 10), min_size=4, max_size=4).map(
    lambda entries: torch.tensor(entries, dtype=F64)
)


@given(quaternions, quaternions)
def test_the_product_of_quaternions_is_the_product_of_matrices(p, q):
    assume(p.norm() > 1e-3 and q.norm() > 1e-3)
    assert_near(
        quaternion_to_matrix(quaternion_multiply(p, q)),
        quaternion_to_matrix(p) @ quaternion_to_matrix(q),
        1e-14,
    )


@given(quaternions, quaternions)
def test_lengths_multiply(p, q):
    assert abs(quaternion_multiply(p, q).norm() - p.norm() * q.norm()) < 1e-13 * 400


@given(quaternions)
def test_the_conjugate_is_the_inverse_rotation(q):
    assume(q.norm() > 1e-3)
    conjugate = quaternion_conjugate(q)
    assert_near(quaternion_to_matrix(conjugate), quaternion_to_matrix(q).mT, 1e-15)
    square = torch.cat([(q * q).sum(-1, keepdim=True), torch.zeros(3, dtype=F64)])
    assert_near(quaternion_multiply(q, conjugate), square, 1e-13)


@given(quaternions, quaternions, quaternions)
def test_the_product_is_associative(p, q, r):
    left = quaternion_multiply(quaternion_multiply(p, q), r)
    assert_near(left, quaternion_multiply(p, quaternion_multiply(q, r)), 1e-11)


def test_hamiltons_rules():
    one, i, j, k = torch.eye(4, dtype=F64)
    assert torch.equal(quaternion_multiply(i, j), k)
    assert torch.equal(quaternion_multiply(j, i), -k)
    assert torch.equal(quaternion_multiply(i, i), -one)
    assert torch.equal(quaternion_multiply(one, j), j)


@pytest.mark.parametrize("scale", [-1, 1e-20, 1e20, -3e7])
def test_length_and_sign_do_not_matter(scale, dtype):
    q = gaussian(50, 4).to(dtype)
    R = quaternion_to_matrix(q)
    assert is_rotation(R).all()
    assert_near(quaternion_to_matrix(scale * q), R, 8 * torch.finfo(dtype).eps)


def test_matrices_are_scipys_and_romas():
    q = gaussian(100, 4)
    xyzw = wxyz_to_xyzw(q / q.norm(dim=-1, keepdim=True))
    R = quaternion_to_matrix(q)
    assert_near(R, torch.as_tensor(Rotation.from_quat(xyzw.numpy()).as_matrix()), 1e-14)
    assert_near(R, roma.unitquat_to_rotmat(xyzw), 1e-14)


def test_quaternions_are_scipys_canonical_ones():
    R = rotations(200)
    expected = torch.as_tensor(Rotation.from_matrix(R.numpy()).as_quat(canonical=True))
    assert_near(matrix_to_quaternion(R), xyzw_to_wxyz(expected), 1e-14)


def test_every_rotation_comes_back(dtype):
    R = hard_rotations().to(dtype)
    q = matrix_to_quaternion(R)
    assert (q[:, 0] >= 0).all()
    assert_near(q.norm(dim=-1), torch.ones(len(R), dtype=dtype), 4 * torch.finfo(dtype).eps)
    assert_near(quaternion_to_matrix(q), R, 8 * torch.finfo(dtype).eps)


def test_half_turns_have_the_axis_as_vector_part(dtype):
    q = matrix_to_quaternion(HALF_TURNS.to(dtype))
    assert_near(q[:, 0], torch.zeros(26), 0)
    expected = AXES * AXES.gather(1, AXES.abs().argmax(1, keepdim=True)).sign()
    assert_near(q[:, 1:], expected, 4 * torch.finfo(dtype).eps)


def test_the_derivative_at_every_hard_rotation_moves_by_half_the_turn():
    """Along R exp(hat(w)) the quaternion changes by q (0, w/2), up to the sign of its branch."""
    R = hard_rotations()
    q = matrix_to_quaternion(R)
    ours = autograd_jacobian(matrix_to_quaternion, R, event_dims=2) @ tangent_basis(R)
    halves = torch.cat([torch.zeros(3, 1, dtype=F64), EYE / 2], -1)
    expected = quaternion_multiply(q[:, None, :], halves).mT
    assert_near(ours, expected, 1e-14)


def test_the_derivative_to_a_matrix_is_that_of_differences():
    q = torch.nn.functional.normalize(gaussian(50, 4), dim=-1)
    assert_near(
        autograd_jacobian(quaternion_to_matrix, q, event_dims=1),
        central_differences(quaternion_to_matrix, q, 1),
        1e-10,
    )


@pytest.mark.parametrize("q", [[1.0, 0, 0, 0], [0, 0, 1, 0], [1, 1, 1, 1], [3, -4, 0, 1e-7]])
def test_to_matrix_differentiates_twice_in_both_modes(q):
    q = torch.tensor(q, dtype=F64, requires_grad=True)
    torch.autograd.gradcheck(quaternion_to_matrix, q, check_forward_ad=True)
    torch.autograd.gradgradcheck(quaternion_to_matrix, q)


def test_moving_the_scalar_part_there_and_back():
    q = torch.tensor([1.0, 2, 3, 4])
    assert wxyz_to_xyzw(q).tolist() == [2, 3, 4, 1]
    assert xyzw_to_wxyz(q).tolist() == [4, 1, 2, 3]
    assert torch.equal(xyzw_to_wxyz(wxyz_to_xyzw(q)), q)


@pytest.mark.parametrize("mapped", [False, True])
def test_a_quaternion_of_zeros_is_nan_alone_with_gradient_zero(mapped):
    q = gaussian(4, 4)
    q[1], q[3] = 0.0, -0.0
    q.requires_grad_()
    R = (torch.func.vmap(quaternion_to_matrix) if mapped else quaternion_to_matrix)(q)
    assert R[[1, 3]].isnan().all()
    assert torch.equal(R[[0, 2]], quaternion_to_matrix(q[[0, 2]]))
    (gradient,) = torch.autograd.grad(R.square()[:, 0].sum(), q)
    assert not gradient[[1, 3]].any() and gradient[[0, 2]].isfinite().all()
