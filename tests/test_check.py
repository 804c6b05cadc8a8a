"""compare: one line, the same everywhere; loud when it should be."""

import math

import numpy as np
import pytest
import torch

from rotlib import compare


def test_the_line_names_the_tolerance_and_not_the_gap(capsys):
    gap = compare("nearest rotation", torch.tensor([1.0, 2.0 + 1e-12]), [1, 2], tolerance=1e-10)
    assert capsys.readouterr().out == "nearest rotation: agree to 1e-10\n"
    assert isinstance(gap, float)


def test_the_gap_is_the_largest_absolute_difference():
    assert compare("x", [1.0, 2.0, 3.0], [1.5, 2.25, 3.0], tolerance=0.5) == 0.5


def test_a_gap_equal_to_the_tolerance_passes_and_one_above_fails():
    compare("x", 0.5, 0.0, tolerance=0.5)
    with pytest.raises(AssertionError):
        compare("x", 0.5, 0.0, tolerance=0.4999999)


def test_disagreement_raises_with_the_gap_the_place_and_both_values(capsys):
    a, b = torch.zeros(2, 3, dtype=torch.float64), torch.zeros(2, 3, dtype=torch.float64)
    a[1, 2], b[1, 2], a[0, 1] = 3.0, 2.75, 0.125
    with pytest.raises(AssertionError) as error:
        compare("J", a, b, tolerance=1e-10)
    expected = "J: gap 0.25 exceeds 1e-10, worst at index (1, 2): 3 by hand, 2.75 reference"
    assert str(error.value) == expected
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_never_agrees(bad):
    for a, b in [(bad, 1.0), (1.0, bad), (bad, bad)]:
        with pytest.raises(AssertionError, match=r"exceeds 0.1, worst at index \(1,\)"):
            compare("x", [0.0, a], [0.0, b], tolerance=0.1)


@pytest.mark.parametrize("tolerance", [math.nan, math.inf, -1e-3])
def test_a_tolerance_that_would_mean_nothing_is_refused(tolerance):
    with pytest.raises(ValueError, match="tolerance must be finite and not negative"):
        compare("x", 1.0, 1.0, tolerance=tolerance)


def test_lists_of_tensors_that_carry_gradients_are_numbers_too():
    assert compare("x", [torch.ones((), requires_grad=True)] * 2, [1, 1], tolerance=0) == 0


def test_shapes_must_be_equal_and_not_merely_broadcast():
    with pytest.raises(ValueError, match=r"x: shapes differ, \(2, 1\) by hand, \(2,\) reference"):
        compare("x", torch.zeros(2, 1), torch.zeros(2), tolerance=1)


def test_nothing_to_compare_is_no_agreement():
    with pytest.raises(ValueError, match=r"x: nothing to compare, shape \(0, 3\)"):
        compare("x", torch.zeros(0, 3), torch.zeros(0, 3), tolerance=1)


@pytest.mark.parametrize(
    "value",
    [
        1,
        1.0,
        True,
        [1.0],
        np.float32(1),
        np.ones(3),
        torch.ones(2, requires_grad=True),
        torch.ones(1).half(),
    ],
)
def test_numbers_arrays_and_tensors_of_any_dtype(value):
    assert compare("x", value, value, tolerance=0) == 0.0


def test_dtypes_are_compared_in_double_precision():
    third = torch.tensor(1 / 3, dtype=torch.float64)
    assert 0 < compare("x", third, third.float(), tolerance=1e-7) < 1e-7


def test_read_only_arrays_are_no_reason_to_warn():
    compare("x", np.broadcast_to(1.0, (3,)), np.ones(3), tolerance=0)


def test_complex_numbers_that_differ_do_not_agree():
    with pytest.raises((AssertionError, TypeError, ValueError)):
        compare("x", torch.tensor([1 + 1j]), torch.tensor([1 + 2j]), tolerance=1e-3)
