"""Heads: what each promises about width, training map and inference."""

import math

import pytest
import torch
from conftest import F64, assert_near, gaussian, hard_rotations, rotations

from rotlib import (
    geodesic_distance,
    gram_schmidt,
    is_rotation,
    matrix_to_euler,
    matrix_to_quaternion,
    matrix_to_rot5d,
    matrix_to_rot6d,
    matrix_to_rot9d,
    matrix_to_rotvec,
    svd_orthogonalize,
    svd_orthogonalize_clamped,
    svd_orthogonalize_taylor,
)
from rotlib.experiments.heads import ABLATIONS, HEADS, REMEDIES, Head, find_head
from rotlib.experiments.surrogates import dissected_train, fisher_train, rpmg_train

WIDTHS = {
    "euler": 3,
    "rotvec": 3,
    "quaternion": 4,
    "5d": 5,
    "6d-gs": 6,
    "6d-raw": 6,
    "9d-raw": 9,
    "9d-raw-gs": 9,
    "9d-svd": 9,
    "9d-svd-clamped": 9,
    "9d-svd-taylor": 9,
    "9d-rpmg": 9,
    "9d-fisher": 9,
    "10d": 10,
}
ALL = HEADS | REMEDIES | ABLATIONS
LAYERS = {
    "9d-svd": svd_orthogonalize,
    "9d-svd-clamped": lambda M: svd_orthogonalize_clamped(M, 1e-2),
    "9d-svd-taylor": lambda M: svd_orthogonalize_taylor(M, 10),
    "9d-rpmg": rpmg_train,
    "9d-fisher": fisher_train,
}
RAW = ("6d-raw", "9d-raw", "9d-raw-gs", "9d-raw-penalty")


def matrix_to_rot10d(R):
    """The upper triangle of I - q q^T, whose eigenvalue 0 belongs to the quaternion."""
    q = matrix_to_quaternion(R)
    A = torch.eye(4, dtype=R.dtype) - q[..., :, None] * q[..., None, :]
    row, column = torch.triu_indices(4, 4)
    return A[..., row, column]


def perfect_code(name, R):
    """What a network that knows ``R`` should output."""
    encoders = {
        3: matrix_to_rotvec,
        4: matrix_to_quaternion,
        5: matrix_to_rot5d,
        6: matrix_to_rot6d,
        9: matrix_to_rot9d,
        10: matrix_to_rot10d,
    }
    return matrix_to_euler(R, "XYZ") if name == "euler" else encoders[ALL[name].width](R)


def vjp(f, x, grad):
    x = x.detach().requires_grad_()
    return torch.autograd.grad(f(x), x, grad)[0]


every_head = pytest.mark.parametrize("name", ALL)


def test_the_book_has_these_heads_two_remedies_and_six_ablations():
    assert {name: head.width for name, head in HEADS.items()} == WIDTHS
    assert list(REMEDIES) == ["9d-raw-penalty", "9d-raw-then-svd"]
    taken_apart = {"9d-even", "9d-svd-direction", "9d-svd-length", "9d-even-scale", "9d-svd-pole"}
    assert set(ABLATIONS) == taken_apart | {"9d-svd-clipped"}


@every_head
@pytest.mark.parametrize("batch", [(), (4,), (2, 3), (0,)])
def test_any_numbers_train_with_finite_gradients_and_infer_rotations(name, batch, dtype):
    head = ALL[name]
    x = gaussian(*batch, head.width, dtype=dtype).requires_grad_()
    seen, R = head.train(x), head.infer(x)
    assert seen.shape == (*batch, 3, 2 if name == "6d-raw" else 3)
    assert R.shape == (*batch, 3, 3)
    assert seen.dtype == R.dtype == dtype
    assert is_rotation(R).all()
    (grad,) = torch.autograd.grad((seen - 1).square().sum(), x)
    assert grad.shape == x.shape and grad.isfinite().all()
    assert grad.any() or not grad.numel()


@every_head
def test_the_perfect_code_is_inferred(name, dtype):
    R = hard_rotations()
    x = perfect_code(name, R).to(dtype)
    assert x.shape == (len(R), ALL[name].width)
    assert_near(ALL[name].infer(x), R, 2e-6 if dtype == torch.float32 else 1e-9)


@pytest.mark.parametrize("name", [name for name in ALL if name != "9d-fisher"])
def test_at_the_perfect_code_the_chordal_loss_and_its_gradient_vanish(name):
    R = rotations(20)
    x = perfect_code(name, R).requires_grad_()
    seen = ALL[name].train(x)
    loss = (seen - R[..., : seen.shape[-1]]).square().sum()
    assert_near(loss, torch.tensor(0.0), 1e-20)
    assert_near(torch.autograd.grad(loss, x)[0], torch.zeros_like(x), 1e-9)


@pytest.mark.parametrize("name", [name for name in ALL if name not in (*RAW, "9d-fisher")])
def test_heads_in_the_loop_train_on_what_they_infer(name):
    x = gaussian(50, ALL[name].width)
    assert torch.equal(ALL[name].train(x), ALL[name].infer(x))


@pytest.mark.parametrize("name", [name for name in RAW if name != "6d-raw"])
def test_raw_nine_numbers_are_the_matrix_row_by_row(name):
    x = torch.arange(9.0)
    expected = torch.tensor([[0.0, 1, 2], [3, 4, 5], [6, 7, 8]])
    assert torch.equal(ALL[name].train(x), expected)


def test_raw_six_numbers_are_two_columns():
    expected = torch.tensor([[0.0, 3], [1, 4], [2, 5]])
    assert torch.equal(HEADS["6d-raw"].train(torch.arange(6.0)), expected)


@pytest.mark.parametrize("name", RAW)
def test_raw_heads_pass_the_gradient_through(name):
    head, x = ALL[name], gaussian(5, ALL[name].width)
    T = rotations(5)[..., : 2 if name == "6d-raw" else 3]
    grad = vjp(lambda x: (head.train(x) - T).square().sum() / 2, x, torch.ones((), dtype=F64))
    assert_near(head.train(grad), head.train(x) - T, 1e-15)


def test_raw_heads_differ_in_what_they_infer():
    x = gaussian(50, 9)
    M, by_svd, by_gs = x.reshape(50, 3, 3), HEADS["9d-raw"].infer(x), HEADS["9d-raw-gs"].infer(x)
    assert_near(by_svd, svd_orthogonalize(M), 1e-15)
    assert_near(by_gs, gram_schmidt(M[..., :2]), 1e-15)
    assert geodesic_distance(by_svd, by_gs).median() > 0.1
    third_column = torch.tensor([0.0, 0, 1]).repeat(3)
    assert torch.equal(HEADS["9d-raw-gs"].infer(x + third_column), by_gs)


def test_raw_six_numbers_infer_as_gram_schmidt_in_the_loop():
    x = gaussian(20, 6)
    assert torch.equal(HEADS["6d-raw"].infer(x), HEADS["6d-gs"].infer(x))


@pytest.mark.parametrize("name", LAYERS)
def test_nine_number_heads_in_the_loop_have_the_gradient_of_their_name(name):
    """Near equal singular values, where the five disagree."""
    x, G = matrix_to_rot9d(rotations(20)) + 0.01 * gaussian(20, 9), gaussian(20, 3, 3, seed=1)
    ours = vjp(HEADS[name].train, x, G).reshape(20, 3, 3)
    assert_near(ours, vjp(LAYERS[name], x.reshape(20, 3, 3), G), 1e-13)
    others = [vjp(HEADS[other].train, x, G) for other in LAYERS if other != name]
    assert min((other.reshape(20, 3, 3) - ours).norm() for other in others) > 0.1


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("9d-even", ("even", "even")),
        ("9d-svd-direction", ("svd", "even")),
        ("9d-svd-length", ("even", "svd")),
        ("9d-even-scale", ("even", "scale")),
        ("9d-svd-pole", ("svd", "pole")),
    ],
)
def test_ablations_have_the_parts_of_their_name_and_infer_by_svd(name, parts):
    head, x, G = ABLATIONS[name], gaussian(20, 9), gaussian(20, 3, 3, seed=1)
    assert head == Head(9, head.train, HEADS["9d-svd"].infer)
    assert torch.equal(head.infer(x), svd_orthogonalize(x.reshape(20, 3, 3)))
    expected = vjp(lambda x: dissected_train(x.reshape(20, 3, 3), *parts), x, G)
    assert torch.equal(vjp(head.train, x, G), expected)
    others = [vjp(other.train, x, G) for other in ALL.values() if other.width == 9]
    assert sum(torch.equal(other, expected) for other in others) == 1


def test_the_clipped_head_cuts_each_item_to_length_one_and_keeps_its_direction():
    head, x, G = ABLATIONS["9d-svd-clipped"], gaussian(200, 9), gaussian(200, 3, 3, seed=1)
    assert head == Head(9, head.train, HEADS["9d-svd"].infer)
    exact, ours = vjp(HEADS["9d-svd"].train, x, G), vjp(head.train, x, G)
    before, after = exact.norm(dim=-1), ours.norm(dim=-1)
    assert (before < 1).any() and (before > 1).any()
    assert_near(after, before.clamp(max=1), 1e-12)
    assert_near(ours / after[:, None], exact / before[:, None], 1e-12)
    assert torch.equal(vjp(head.train, x, 0 * G), 0 * x)


def test_the_fisher_head_infers_its_mode():
    """The mean shrinks towards zero; the rotation nearest to it is the most likely one."""
    x = 3 * gaussian(50, 9)
    mean = HEADS["9d-fisher"].train(x)
    assert (mean.norm(dim=(-2, -1)) < math.sqrt(3)).all()
    assert_near(svd_orthogonalize(mean), HEADS["9d-fisher"].infer(x), 1e-11)


@every_head
def test_nan_stays_in_its_item(name):
    head = ALL[name]
    clean = gaussian(3, head.width)
    x = clean.clone()
    x[1, 0] = math.nan
    assert torch.equal(head.infer(x)[[0, 2]], head.infer(clean)[[0, 2]])
    assert torch.equal(head.train(x)[[0, 2]], head.train(clean)[[0, 2]])
    assert not head.infer(x)[1].isfinite().all() and not head.train(x)[1].isfinite().all()
    G = gaussian(*head.train(x).shape, seed=1)
    assert torch.equal(vjp(head.train, x, G)[[0, 2]], vjp(head.train, clean, G)[[0, 2]])


@every_head
def test_another_width_is_refused(name):
    head = ALL[name]
    wrong = torch.ones(2, head.width + 1)
    for f in (head.train, head.infer):
        with pytest.raises(
            ValueError, match=rf"expects shape \(\.\.\., {head.width}\), got \(2, {head.width + 1}"
        ):
            f(wrong)


def test_remedies_change_one_thing_each():
    penalised, switched = REMEDIES["9d-raw-penalty"], REMEDIES["9d-raw-then-svd"]
    assert penalised == Head(9, HEADS["9d-raw"].train, HEADS["9d-raw"].infer, penalty=0.1)
    svd = HEADS["9d-svd"]
    assert switched == Head(9, svd.train, svd.infer, starts_as=HEADS["9d-raw"])
    assert all(head.penalty == 0 and head.starts_as is None for head in HEADS.values())


@every_head
def test_a_head_is_found_by_name_or_passes_through(name):
    assert find_head(name) is ALL[name]
    assert find_head(ALL[name]) is ALL[name]


@pytest.mark.parametrize("unknown", ["9d", "SVD", "", "9d-svd "])
def test_an_unknown_head_is_refused_with_the_known_ones(unknown):
    with pytest.raises(ValueError, match=rf"^unknown head '{unknown}'; known are .*9d-raw-then"):
        find_head(unknown)


@pytest.mark.parametrize("wrong", [["9d-svd"], None, 9], ids=str)
def test_what_is_no_name_is_refused_like_an_unknown_one(wrong):
    with pytest.raises(ValueError, match=r"^unknown head .*; known are euler"):
        find_head(wrong)
