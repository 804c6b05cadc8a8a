"""How far apart: exact near 0 and near half a turn, laws of a bi-invariant metric."""

import math

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
    rotations,
)
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from rotlib import (
    chordal_distance,
    geodesic_distance,
    geodesic_distance_naive,
    hat,
    quaternion_to_matrix,
    rotvec_to_matrix,
)

TURNS = [1e-12, 1e-9, 1e-7, 1e-4, 0.1, 1.0, 2.0, 3.0, *(math.pi - g for g in (1e-4, 1e-7, 1e-10))]
EVERY_DISTANCE = [geodesic_distance, chordal_distance]


@st.composite
def any_rotation(draw):
    entries = draw(st.lists(st.integers(-8, 8), min_size=4, max_size=4).filter(any))
    return quaternion_to_matrix(torch.tensor(entries, dtype=F64))


def slopes(distance, R1, R2):
    """Derivatives when R1 and when R2 turn on their right, ``(2, ..., 3)``."""
    w = torch.zeros(2, *R1.shape[:-2], 3, dtype=R1.dtype, requires_grad=True)
    value = distance(R1 @ rotvec_to_matrix(w[0]), R2 @ rotvec_to_matrix(w[1]))
    return torch.autograd.grad(value.sum(), w)[0]


@pytest.mark.parametrize("turn", TURNS)
def test_a_turn_is_as_far_as_its_angle(turn):
    """From the identity the angle keeps full relative accuracy, whatever its size."""
    R = rotvec_to_matrix(turn * AXES)
    assert_near(geodesic_distance(EYE, R), torch.full((26,), turn, dtype=F64), 4e-15 * turn)
    assert_near(geodesic_distance(R, EYE), torch.full((26,), turn, dtype=F64), 4e-15 * turn)


@pytest.mark.parametrize("turn", TURNS)
def test_anywhere_the_angle_is_right_to_the_rounding_of_the_matrices(turn, dtype):
    R = rotations(26).to(dtype)
    there = (R.double() @ rotvec_to_matrix(turn * AXES)).to(dtype)
    assert_near(
        geodesic_distance(R, there), torch.full((26,), turn, dtype=F64), 8 * torch.finfo(dtype).eps
    )


def test_half_turns_are_pi_and_have_a_slope_of_one(dtype):
    R = EYE.to(dtype).expand(26, 3, 3)
    distance = geodesic_distance(R, HALF_TURNS.to(dtype))
    assert_near(distance, torch.full((26,), math.pi, dtype=F64), 4 * torch.finfo(dtype).eps)
    for slope in slopes(geodesic_distance, R, HALF_TURNS.to(dtype)):
        assert_near(slope.norm(dim=-1), torch.ones(26), 8 * torch.finfo(dtype).eps)
        along = (slope.double() * AXES).sum(-1).abs()
        assert_near(along, torch.ones(26), 8 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("turn", TURNS)
def test_the_slope_is_the_unit_axis_all_the_way(turn):
    first, second = slopes(geodesic_distance, EYE.expand(26, 3, 3), rotvec_to_matrix(turn * AXES))
    assert_near(second, AXES, 1e-14)
    assert_near(first, -AXES, 1e-14)


@pytest.mark.parametrize("distance", EVERY_DISTANCE)
def test_at_zero_the_value_and_the_slope_are_exactly_zero(distance, dtype):
    R = rotations(20).to(dtype)
    assert not distance(R, R).any()
    R1, R2 = R.clone().requires_grad_(), R.clone().requires_grad_()
    for grad in torch.autograd.grad(distance(R1, R2).sum(), [R1, R2]):
        assert not grad.any()


@pytest.mark.parametrize("distance", EVERY_DISTANCE)
def test_slopes_are_those_of_differences(distance):
    R1, R2 = rotations(20, seed=1), rotations(20, seed=2)
    zero = torch.zeros(20, 3, dtype=F64)
    expected = central_differences(lambda w: distance(R1, R2 @ rotvec_to_matrix(w)), zero, 1)
    assert_near(slopes(distance, R1, R2)[1], expected.squeeze(-2), 1e-10)


def test_geodesic_distance_is_scipys_and_romas():
    R1, R2 = rotations(200, seed=1), rotations(200, seed=2)
    ours = geodesic_distance(R1, R2)
    scipys = (Rotation.from_matrix(R1.numpy()).inv() * Rotation.from_matrix(R2.numpy())).magnitude()
    assert_near(ours, torch.as_tensor(scipys), 1e-14)
    assert_near(ours, roma.rotmat_geodesic_distance(R1, R2), 1e-7)


@given(any_rotation(), any_rotation())
def test_chordal_distance_is_the_sine_of_half_the_angle(R1, R2):
    expected = 2 * math.sqrt(2) * torch.sin(geodesic_distance(R1, R2) / 2)
    assert_near(chordal_distance(R1, R2), expected, 1e-14)


@given(any_rotation(), any_rotation(), any_rotation())
def test_laws_of_a_metric(P, Q, R):
    for distance in EVERY_DISTANCE:
        assert_near(distance(P, Q), distance(Q, P), 1e-14)
        assert distance(P, R) <= distance(P, Q) + distance(Q, R) + 1e-14
    assert 0 <= geodesic_distance(P, Q) <= math.pi


@given(any_rotation(), any_rotation(), any_rotation())
def test_turning_both_on_either_side_changes_nothing(P, Q, R):
    for distance in EVERY_DISTANCE:
        expected = distance(P, Q)
        assert_near(distance(R @ P, R @ Q), expected, 2e-14)
        assert_near(distance(P @ R, Q @ R), expected, 2e-14)


def test_batch_shapes_broadcast():
    R1, R2 = rotations(2)[:, None], rotations(3, seed=1)
    for distance in (*EVERY_DISTANCE, geodesic_distance_naive):
        D = distance(R1, R2)
        assert D.shape == (2, 3)
        assert_near(D[1, 2], distance(R1[1, 0], R2[2]), 1e-15)


def test_the_naive_formula_agrees_in_the_middle_and_breaks_at_the_ends():
    w = AXES[20]
    middle, near = rotvec_to_matrix(w), rotvec_to_matrix(1e-4 * w).float()
    assert_near(geodesic_distance_naive(EYE, middle), geodesic_distance(EYE, middle), 1e-14)
    assert abs(geodesic_distance_naive(EYE.float(), near).item() / 1e-4 - 1) > 0.01
    assert abs(geodesic_distance(EYE.float(), near).item() / 1e-4 - 1) < 1e-6
    R = EYE.clone().requires_grad_()
    (grad,) = torch.autograd.grad(geodesic_distance_naive(R, EYE), R)
    assert not grad.isfinite().all()


def test_chordal_distance_of_any_matrices_is_the_frobenius_norm():
    A, B = gaussian(10, 3, 3), gaussian(10, 3, 3, seed=1)
    assert_near(chordal_distance(A, B), torch.linalg.matrix_norm(A - B), 1e-14)
    assert_near(
        chordal_distance(A, A + hat(EYE[0])), torch.full((10,), math.sqrt(2), dtype=F64), 1e-14
    )


def test_single_precision_keeps_the_digits_of_close_rotations():
    R1 = rotations(50).float()
    R2 = R1 + 1e-4 * (R1 @ hat(gaussian(50, 3)).float())
    exact = geodesic_distance(R1.double(), R2.double())
    gap = (geodesic_distance(R1, R2).double() / exact - 1).abs()
    assert gap.max() < 1e-5
