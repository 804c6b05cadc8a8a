"""Three angles in 24 orders, against SciPy, at gimbal lock and next to it."""

import itertools
import math

import pytest
import torch
from conftest import F64, assert_near, central_differences, gaussian, hard_rotations, rotations
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from rotlib import autograd_jacobian, euler_to_matrix, is_rotation, matrix_to_euler

INTRINSIC = [
    "".join(letters)
    for letters in itertools.product("XYZ", repeat=3)
    if letters[0] != letters[1] != letters[2]
]
ORDERS = INTRINSIC + [order.lower() for order in INTRINSIC]
every_order = pytest.mark.parametrize("order", ORDERS)
angles = st.lists(st.floats(-10, 10), min_size=3, max_size=3)


def lock_angles(order):
    """Middle angles at which the first and third axes coincide."""
    return [0, math.pi] if order[0] == order[2] else [math.pi / 2, -math.pi / 2]


def locked(order, distance):
    """Angles at ``distance`` from gimbal lock, on the side that stays within range."""
    outer = 3 * gaussian(50, 2)
    middle = [m - math.copysign(distance, m) if m else distance for m in lock_angles(order)]
    return torch.cat(
        [
            torch.stack([outer[:, 0], torch.full((50,), m, dtype=F64), outer[:, 1]], -1)
            for m in middle
        ]
    )


def test_there_are_24_orders():
    assert len(set(ORDERS)) == 24


@every_order
def test_matrix_is_scipys(order):
    a = 3 * gaussian(50, 3)
    expected = Rotation.from_euler(order, a.numpy()).as_matrix()
    assert_near(euler_to_matrix(a, order), torch.as_tensor(expected), 1e-14)


@every_order
def test_angles_are_scipys(order):
    R = rotations(200)
    expected = Rotation.from_matrix(R.numpy()).as_euler(order)
    assert_near(matrix_to_euler(R, order), torch.as_tensor(expected), 1e-11)


@every_order
def test_every_rotation_comes_back(order):
    R = hard_rotations()
    assert_near(euler_to_matrix(matrix_to_euler(R, order), order), R, 2e-15)
    single = euler_to_matrix(matrix_to_euler(R.float(), order), order)
    assert_near(single, R.float(), 3e-6)


@every_order
def test_gimbal_lock_costs_no_digit_of_the_rotation(order):
    near = [locked(order, distance) for distance in (0, 1e-15, 1e-12, 1e-10, 1e-8, 1e-6, 1e-4)]
    R = euler_to_matrix(torch.cat(near), order)
    back = matrix_to_euler(R, order)
    assert_near(euler_to_matrix(back, order), R, 5e-15)


@every_order
@pytest.mark.filterwarnings("ignore:Gimbal lock")
def test_at_gimbal_lock_the_third_angle_is_zero_as_in_scipy(order):
    a = locked(order, 0)
    R = euler_to_matrix(a, order)
    ours = matrix_to_euler(R, order)
    theirs = torch.as_tensor(Rotation.from_matrix(R.numpy()).as_euler(order))
    assert not ours[:, 2].any()
    turn = (ours - theirs + math.pi).remainder(2 * math.pi) - math.pi
    assert_near(turn, torch.zeros_like(turn), 1e-7)


@every_order
def test_angles_stay_in_their_ranges(order):
    """The outer ones within half a turn, the middle one between the two locks."""
    first, second, third = matrix_to_euler(hard_rotations(), order).unbind(-1)
    assert (first.abs() <= math.pi).all() and (third.abs() <= math.pi).all()
    low, high = sorted(lock_angles(order))
    rounding = 4 * torch.finfo(F64).eps
    assert (second >= low - rounding).all() and (second <= high + rounding).all()


@every_order
def test_the_derivative_of_the_angles_inverts_the_derivative_of_the_matrix(order):
    middle = 0.7 if order[0] != order[2] else 1.2
    a = torch.tensor([2.0, middle, -1.5], dtype=F64) + 0.1 * gaussian(10, 3)
    R = euler_to_matrix(a, order)
    there = autograd_jacobian(lambda x: euler_to_matrix(x, order), a, event_dims=1)
    back = autograd_jacobian(lambda x: matrix_to_euler(x, order), R, event_dims=2)
    assert_near(back @ there, torch.eye(3, dtype=F64).expand(10, 3, 3), 1e-13)
    assert_near(there, central_differences(lambda x: euler_to_matrix(x, order), a, 1), 1e-11)


@every_order
def test_the_derivative_at_gimbal_lock_is_finite_and_zero_for_the_third_angle(order):
    R = euler_to_matrix(locked(order, 0), order)
    J = autograd_jacobian(lambda x: matrix_to_euler(x, order), R, event_dims=2)
    assert J.isfinite().all()
    assert not J[:, 2].any()


@given(angles, st.sampled_from(INTRINSIC))
def test_extrinsic_is_intrinsic_read_backwards(a, order):
    a = torch.tensor(a, dtype=F64)
    assert_near(euler_to_matrix(a.flip(-1), order[::-1].lower()), euler_to_matrix(a, order), 1e-14)


@given(angles, st.sampled_from(ORDERS))
def test_any_three_angles_give_a_rotation(a, order):
    R = euler_to_matrix(torch.tensor(a, dtype=F64), order)
    assert is_rotation(R)
    assert_near(euler_to_matrix(matrix_to_euler(R, order), order), R, 5e-15)


@pytest.mark.parametrize("convert", [euler_to_matrix, matrix_to_euler])
def test_unknown_orders_are_refused_with_the_rule(convert):
    x = torch.zeros(3) if convert is euler_to_matrix else torch.eye(3)
    for order in ("", "XY", "XXY", "XYY", "xYz", "XYZX", "ABC", "123", None, 5):
        rule = f"{convert.__name__} expects three axis .*got {order!r}"
        with pytest.raises(ValueError, match=rule):
            convert(x, order)
