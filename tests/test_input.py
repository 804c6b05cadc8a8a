"""Every public function: what it accepts, what it refuses and how, and batches of any shape."""

import math

import pytest
import torch
from conftest import EYE, F64, assert_near, gaussian, rotations

import rotlib

OTHER = rotations(1, seed=9)[0]


def from_other(distance):
    """The distance from a fixed rotation, held in the dtype of the input."""
    return lambda x: distance(x, OTHER.to(getattr(x, "dtype", F64)))


def to_other(x):
    """Part of the way from ``x`` to a fixed quaternion."""
    return rotlib.slerp(x, torch.ones(4, dtype=getattr(x, "dtype", F64)), 0.3)


def aligned(x):
    """The motion from ``x`` to fixed points, as one matrix ``(..., 3, 4)``."""
    R, t = rotlib.kabsch(x, gaussian(5, 3, seed=9).to(getattr(x, "dtype", F64)))
    return torch.cat([R, t[..., None]], -1)


# Every public function of tensors: how to call it on one, and the shape of one item.
FUNCTIONS = {
    "is_rotation": (rotlib.is_rotation, (3, 3)),
    "hat": (rotlib.hat, (3,)),
    "vee": (rotlib.vee, (3, 3)),
    "euler_to_matrix": (lambda x: rotlib.euler_to_matrix(x, "XYZ"), (3,)),
    "matrix_to_euler": (lambda x: rotlib.matrix_to_euler(x, "ZYX"), (3, 3)),
    "rotvec_to_matrix": (rotlib.rotvec_to_matrix, (3,)),
    "matrix_to_rotvec": (rotlib.matrix_to_rotvec, (3, 3)),
    "quaternion_to_matrix": (rotlib.quaternion_to_matrix, (4,)),
    "matrix_to_quaternion": (rotlib.matrix_to_quaternion, (3, 3)),
    "quaternion_to_rotvec": (rotlib.quaternion_to_rotvec, (4,)),
    "rotvec_to_quaternion": (rotlib.rotvec_to_quaternion, (3,)),
    "quaternion_multiply": (lambda x: rotlib.quaternion_multiply(x, x), (4,)),
    "quaternion_conjugate": (rotlib.quaternion_conjugate, (4,)),
    "wxyz_to_xyzw": (rotlib.wxyz_to_xyzw, (4,)),
    "xyzw_to_wxyz": (rotlib.xyzw_to_wxyz, (4,)),
    "slerp": (to_other, (4,)),
    "svd_orthogonalize": (rotlib.svd_orthogonalize, (3, 3)),
    "gram_schmidt": (rotlib.gram_schmidt, (3, 2)),
    "rot6d_to_matrix": (rotlib.rot6d_to_matrix, (6,)),
    "matrix_to_rot6d": (rotlib.matrix_to_rot6d, (3, 3)),
    "rot9d_to_matrix": (rotlib.rot9d_to_matrix, (9,)),
    "matrix_to_rot9d": (rotlib.matrix_to_rot9d, (3, 3)),
    "rot5d_to_matrix": (rotlib.rot5d_to_matrix, (5,)),
    "matrix_to_rot5d": (rotlib.matrix_to_rot5d, (3, 3)),
    "rot10d_to_matrix": (rotlib.rot10d_to_matrix, (10,)),
    "svd_orthogonalize_unit_gains": (rotlib.svd_orthogonalize_unit_gains, (3, 3)),
    "clip_item_gradients": (lambda x: rotlib.clip_item_gradients(x, 0.1), (9,)),
    "svd_orthogonalize_autograd": (rotlib.svd_orthogonalize_autograd, (3, 3)),
    "svd_orthogonalize_clamped": (lambda x: rotlib.svd_orthogonalize_clamped(x, 1e-3), (3, 3)),
    "svd_orthogonalize_taylor": (lambda x: rotlib.svd_orthogonalize_taylor(x, 3), (3, 3)),
    "geodesic_distance": (from_other(rotlib.geodesic_distance), (3, 3)),
    "chordal_distance": (from_other(rotlib.chordal_distance), (3, 3)),
    "geodesic_distance_naive": (from_other(rotlib.geodesic_distance_naive), (3, 3)),
    "chordal_mean": (rotlib.chordal_mean, (5, 3, 3)),
    "geodesic_mean": (rotlib.geodesic_mean, (5, 3, 3)),
    "kabsch": (aligned, (5, 3)),
    "svd_jacobian": (rotlib.svd_jacobian, (3, 3)),
    "svd_jacobian_spectrum": (rotlib.svd_jacobian_spectrum, (3, 3)),
    "svd_condition_number": (rotlib.svd_condition_number, (3, 3)),
    "gram_schmidt_jacobian": (rotlib.gram_schmidt_jacobian, (6,)),
    "gram_schmidt_spectrum": (rotlib.gram_schmidt_spectrum, (6,)),
    "rotvec_right_jacobian": (rotlib.rotvec_right_jacobian, (3,)),
    "rotvec_left_jacobian": (rotlib.rotvec_left_jacobian, (3,)),
    "rotvec_right_jacobian_inverse": (rotlib.rotvec_right_jacobian_inverse, (3,)),
    "rotvec_left_jacobian_inverse": (rotlib.rotvec_left_jacobian_inverse, (3,)),
    "quaternion_jacobian": (rotlib.quaternion_jacobian, (4,)),
    "euler_jacobian": (lambda x: rotlib.euler_jacobian(x, "zyx"), (3,)),
}
NO_TENSOR_INPUT = {"random_rotations", "autograd_jacobian", "DERIVATIVES", "compare"}
ANY_LENGTH = {"clip_item_gradients"}
COLUMNS_ONLY = {"vee": (1, 0), "matrix_to_euler": (2, 0)}  # an entry that these do read
every_function = pytest.mark.parametrize("name", FUNCTIONS)
every_differentiable = pytest.mark.parametrize("name", [n for n in FUNCTIONS if n != "is_rotation"])


def valid(name, *batch, dtype=F64):
    """Inputs that the function is meant for: rotations, or Gaussian numbers if any will do."""
    event, n = FUNCTIONS[name][1], math.prod(batch)
    if event[-2:] == (3, 3) and "svd" not in name:
        x = rotations(n * math.prod(event[:-2]))
    else:
        x = gaussian(n, *event)
    return x.reshape(*batch, *event).to(dtype)


def spoiled(name, value):
    """Three items, the middle one with one entry replaced."""
    x = valid(name, 3)
    x[(1, *COLUMNS_ONLY.get(name, (0,) * (x.dim() - 1)))] = value
    return x


def test_the_table_lists_every_public_function():
    assert set(FUNCTIONS) | NO_TENSOR_INPUT == set(rotlib.__all__)


def test_public_names_are_documented_with_a_source():
    for name in FUNCTIONS:
        assert "Source:" in getattr(rotlib, name).__doc__, name


@every_function
@pytest.mark.parametrize("wrong", [[1.0, 2.0], None, 3.0], ids=str)
def test_what_is_no_tensor_is_refused(name, wrong):
    f, _ = FUNCTIONS[name]
    with pytest.raises(
        TypeError, match=rf"^{name} expects a torch.Tensor .*got {type(wrong).__name__}$"
    ):
        f(wrong)


@every_function
@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64])
def test_dtypes_without_real_fractions_are_refused(name, dtype):
    f, event = FUNCTIONS[name]
    with pytest.raises(TypeError, match=rf"^{name} expects a floating-point .*got {dtype}$"):
        f(torch.ones(event, dtype=dtype))


@every_function
def test_wrong_shapes_are_refused_with_the_rule_and_what_came(name):
    f, event = FUNCTIONS[name]
    wrong_for_most = [(7,), (*event[:-1], event[-1] + 1), (2, *event[:-1], 11), event[:-1]]
    for wrong in [(), *([] if name in ANY_LENGTH else wrong_for_most)]:
        expected = rf"^{name} expects shape \(\.\.\., .*\), got {wrong}$".replace(
            "got (", r"got \("
        )
        with pytest.raises(ValueError, match=expected[:-2].replace(",)", r",\)")):
            f(torch.ones(wrong))


@pytest.mark.parametrize("f", [rotlib.geodesic_distance, rotlib.chordal_distance])
def test_pairs_must_broadcast(f):
    with pytest.raises(ValueError, match=r"batch shapes that broadcast, got \(2, 3, 3\) and \(3, "):
        f(rotations(2), rotations(3))
    with pytest.raises(
        ValueError, match=r"quaternion_multiply expects .* got \(2, 4\) and \(3, 4\)"
    ):
        rotlib.quaternion_multiply(torch.ones(2, 4), torch.ones(3, 4))


@every_function
def test_extra_batch_dimensions_change_nothing(name):
    f, _ = FUNCTIONS[name]
    flat = valid(name, 6)
    expected = torch.stack([f(item) for item in flat])
    assert_near(f(flat).double(), expected.double(), 1e-12)
    grid = f(flat.reshape(2, 1, 3, *flat.shape[1:]))
    assert_near(grid.reshape(expected.shape).double(), expected.double(), 1e-12)


@every_function
@pytest.mark.parametrize("batch", [(0,), (2, 0)])
def test_empty_batches_give_empty_results_and_gradients(name, batch):
    f, _ = FUNCTIONS[name]
    x = valid(name, *batch).requires_grad_()
    y = f(x)
    assert y.shape == (*batch, *f(valid(name, 1)).shape[1:])
    if y.requires_grad:
        assert torch.autograd.grad(y.sum(), x)[0].shape == x.shape


@every_function
def test_the_dtype_is_kept_and_float32_is_near_float64(name):
    f, _ = FUNCTIONS[name]
    x = valid(name, 20)
    single = f(x.float())
    assert single.dtype == (torch.bool if name == "is_rotation" else torch.float32)
    scale = max(1, f(x).double().abs().max().item())
    assert_near(single, f(x), 3e-4 * scale)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@every_function
def test_half_precision_is_accepted(name, dtype):
    f, _ = FUNCTIONS[name]
    y = f(valid(name, 5, dtype=dtype))
    assert y.dtype in (dtype, torch.bool)
    assert y.double().isfinite().all()


@every_differentiable
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_stays_in_its_item(name, value):
    """Value and gradient of the neighbours are those without it, to the last bit."""
    f, _ = FUNCTIONS[name]
    x, clean = spoiled(name, value).requires_grad_(), valid(name, 3).requires_grad_()
    y, expected = f(x), f(clean)
    grad = torch.autograd.grad(y.sum(), x)[0]
    assert torch.equal(y[[0, 2]], expected[[0, 2]])
    assert torch.equal(grad[[0, 2]], torch.autograd.grad(expected.sum(), clean)[0][[0, 2]])
    assert not y[1].isfinite().all()


@pytest.mark.parametrize(
    "name",
    [
        "svd_orthogonalize",
        "svd_orthogonalize_clamped",
        "svd_orthogonalize_taylor",
        "rot10d_to_matrix",
    ],
)
def test_projections_of_nan_have_a_nan_gradient(name):
    x = spoiled(name, math.nan).requires_grad_()
    (grad,) = torch.autograd.grad(FUNCTIONS[name][0](x).sum(), x)
    assert grad[1].isnan().all()


@pytest.mark.parametrize("order", ["XYZ", "ZYX", "zxz"])
def test_angles_of_a_matrix_with_any_nan_are_not_finite(order):
    R = rotations(9)
    R.reshape(9, 9).fill_diagonal_(math.nan)
    assert not rotlib.matrix_to_euler(R, order).isfinite().all(-1).any()


@pytest.mark.parametrize("name", ["rot5d_to_matrix", "rot10d_to_matrix"])
def test_large_numbers_keep_value_and_gradient_finite_and_right(name):
    f, scale = FUNCTIONS[name][0], 1e20
    x = scale * valid(name, 5)
    expected = rotlib.autograd_jacobian(f, x)
    single = rotlib.autograd_jacobian(f, x.float())
    assert_near(single * scale, expected * scale, 1e-3 * (expected * scale).abs().max().item())


def test_a_distance_to_itself_in_a_batch_with_nan():
    R1 = torch.stack([EYE, EYE * math.nan, EYE])
    assert rotlib.geodesic_distance(R1, EYE).isnan().tolist() == [False, True, False]


def test_square_matrices_are_asked_for_by_name():
    with pytest.raises(ValueError, match=r"expects shape \(\.\.\., n, n\), got \(3, 2\)"):
        rotlib.svd_orthogonalize(torch.ones(3, 2))
    with pytest.raises(ValueError, match=r"expects n >= 2, got \(5, 1, 1\)"):
        rotlib.svd_orthogonalize(torch.ones(5, 1, 1))


@every_differentiable
def test_autocast_does_not_touch_the_mathematics(name):
    """The forward runs inside the autocast block, backward outside, as PyTorch recommends."""
    f, x = FUNCTIONS[name][0], valid(name, 4).float().requires_grad_()
    expected = f(x)
    (grad,) = torch.autograd.grad(expected.square().sum(), x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = f(x)
    (cast,) = torch.autograd.grad(y.square().sum(), x)
    assert y.dtype == torch.float32
    assert_near(y, expected, 1e-6 * max(1, expected.abs().max().item()))
    assert_near(cast, grad, 1e-4 * max(1, grad.abs().max().item()))


@pytest.mark.parametrize("n", [2.5, "3", (2, 3.0)])
def test_how_many_rotations_is_an_integer(n):
    with pytest.raises(TypeError, match="random_rotations expects an integer n"):
        rotlib.random_rotations(n)


def test_random_rotations_are_no_integers():
    with pytest.raises(TypeError, match=r"expects a floating-point dtype, got torch\.int64"):
        rotlib.random_rotations(3, dtype=torch.int64)
