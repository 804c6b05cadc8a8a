"""Heads: what each promises about width, training map and inference."""

import itertools
import math
import re
from dataclasses import replace

import pytest
import torch
from conftest import DTYPES, F64, assert_near, gaussian, hard_rotations, rotations

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
from rotlib.experiments.heads import HEADS, find_head
from rotlib.experiments.surrogates import fisher_train, recombined_train, rpmg_train

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
    "9d-raw-penalty": 9,
    "9d-raw-then-svd": 9,
    "9d-svd-unit-gains": 9,
    "9d-raw-then-unit-gains": 9,
    "9d-svd-item-clip": 9,
}
RECOMBINED = {  # what was changed: direction and length of SVD's gradient
    "9d-svd-unit-gains": ("unit gains", "unit gains"),
    "9d-svd-length-of-unit-gains": ("svd", "unit gains"),
    "9d-svd-direction-of-unit-gains": ("unit gains", "svd"),
    "9d-svd-unit-gains-with-size": ("unit gains", "unit gains with size"),
    "9d-svd-without-size": ("svd", "svd without size"),
}
HELD = {"9d-svd-unit-gains-held": 1.0, "9d-svd-unit-gains-held-lightly": 0.1}
ABLATIONS = [*(name for name in RECOMBINED if name != "9d-svd-unit-gains"), *HELD]
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
    return matrix_to_euler(R, "XYZ") if name == "euler" else encoders[HEADS[name].width](R)


def vjp(f, x, grad):
    x = x.detach().requires_grad_()
    return torch.autograd.grad(f(x), x, grad)[0]


every_head = pytest.mark.parametrize("name", HEADS)


def test_the_book_has_these_heads_and_six_ablations():
    assert {name: head.width for name, head in HEADS.items()} == WIDTHS | dict.fromkeys(
        ABLATIONS, 9
    )
    assert [name for name, head in HEADS.items() if head.ablation] == ABLATIONS


def test_no_two_heads_have_a_name_a_label_or_a_colour_in_common():
    for field in ("name", "label", "color"):
        values = {getattr(head, field) for head in HEADS.values()}
        assert len(values) == len(HEADS) and not values & {"unnamed", "gray", ""}
    assert all(name == head.name for name, head in HEADS.items())


@every_head
def test_any_numbers_train_with_finite_gradients_and_infer_rotations(name):
    head = HEADS[name]
    for dtype, batch in itertools.product(DTYPES, [(), (4,), (2, 3), (0,)]):
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
def test_the_perfect_code_is_inferred(name):
    R = hard_rotations()
    code = perfect_code(name, R)
    assert code.shape == (len(R), HEADS[name].width)
    for dtype, tolerance in zip(DTYPES, (2e-6, 1e-9), strict=True):
        assert_near(HEADS[name].infer(code.to(dtype)), R, tolerance)


@pytest.mark.parametrize("name", [name for name in HEADS if name != "9d-fisher"])
def test_at_the_perfect_code_the_chordal_loss_and_its_gradient_vanish(name):
    R = rotations(20)
    x = perfect_code(name, R).requires_grad_()
    seen = HEADS[name].train(x)
    loss = (seen - R[..., : seen.shape[-1]]).square().sum()
    assert_near(loss, torch.tensor(0.0), 1e-20)
    assert_near(torch.autograd.grad(loss, x)[0], torch.zeros_like(x), 1e-9)


@pytest.mark.parametrize("name", [name for name in HEADS if name not in (*RAW, "9d-fisher")])
def test_heads_in_the_loop_train_on_what_they_infer(name):
    x = gaussian(50, HEADS[name].width)
    assert torch.equal(HEADS[name].train(x), HEADS[name].infer(x))


@pytest.mark.parametrize("name", [name for name in RAW if name != "6d-raw"])
def test_raw_nine_numbers_are_the_matrix_row_by_row(name):
    x = torch.arange(9.0)
    expected = torch.tensor([[0.0, 1, 2], [3, 4, 5], [6, 7, 8]])
    assert torch.equal(HEADS[name].train(x), expected)


def test_raw_six_numbers_are_two_columns():
    expected = torch.tensor([[0.0, 3], [1, 4], [2, 5]])
    assert torch.equal(HEADS["6d-raw"].train(torch.arange(6.0)), expected)


@pytest.mark.parametrize("name", RAW)
def test_raw_heads_pass_the_gradient_through(name):
    head, x = HEADS[name], gaussian(5, HEADS[name].width)
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


def assert_is_svd_but_for_its_gradient(head):
    svd = HEADS["9d-svd"]
    own = {field: getattr(head, field) for field in ("train", "name", "label", "color", "ablation")}
    assert head == replace(svd, **own)


@pytest.mark.parametrize("name", RECOMBINED)
def test_ablations_have_the_parts_of_their_name_and_infer_by_svd(name):
    head, x, G = HEADS[name], gaussian(20, 9), gaussian(20, 3, 3, seed=1)
    assert_is_svd_but_for_its_gradient(head)
    assert torch.equal(head.infer(x), svd_orthogonalize(x.reshape(20, 3, 3)))
    expected = vjp(lambda x: recombined_train(x.reshape(20, 3, 3), *RECOMBINED[name]), x, G)
    assert_near(vjp(head.train, x, G), expected, 1e-13)
    # Heads that add a term to the loss or change over time have the map of another.
    own = [h for h in HEADS.values() if h.width == 9 and not (h.hold or h.schedule)]
    others = [vjp(other.train, x, G) for other in own]
    assert sum(torch.allclose(other, expected, atol=1e-12) for other in others) == 1


def test_the_clipped_head_cuts_each_item_to_length_one_and_keeps_its_direction():
    head, x, G = HEADS["9d-svd-item-clip"], gaussian(200, 9), gaussian(200, 3, 3, seed=1)
    assert_is_svd_but_for_its_gradient(head)
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
def test_every_head_trains_under_torch_func(name):
    """Its gradient by ``grad``, ``vjp`` and item by item is that of plain autograd."""
    head, T = HEADS[name], rotations(4)
    x = gaussian(4, head.width)

    def loss(x, T):
        seen = head.train(x)
        return (seen - T[..., : seen.shape[-1]]).square().sum()

    leaf = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(loss(leaf, T), leaf)
    assert_near(torch.func.grad(loss)(x, T), expected, 1e-13)
    assert_near(torch.func.vmap(torch.func.grad(loss))(x, T), expected, 1e-12)
    seen, pull = torch.func.vjp(head.train, x)
    assert_near(pull(2 * (seen - T[..., : seen.shape[-1]]))[0], expected, 1e-13)


@every_head
def test_nan_stays_in_its_item(name):
    head = HEADS[name]
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
    head = HEADS[name]
    wrong = torch.ones(2, head.width + 1)
    for f in (head.train, head.infer):
        with pytest.raises(
            ValueError, match=rf"expects shape \(\.\.\., {head.width}\), got \(2, {head.width + 1}"
        ):
            f(wrong)


def test_penalty_hold_and_schedule_change_one_thing_each():
    half = {"schedule": ((0.5, HEADS["9d-raw"]),)}
    changed = {
        "9d-raw-penalty": ("9d-raw", {"penalty": 0.1}),
        "9d-raw-then-svd": ("9d-svd", half),
        "9d-raw-then-unit-gains": ("9d-svd-unit-gains", half),
        **{name: ("9d-svd-unit-gains", {"hold": hold}) for name, hold in HELD.items()},
    }
    for name, (base, change) in changed.items():
        head = HEADS[name]
        own = {field: getattr(head, field) for field in ("name", "label", "color", "ablation")}
        assert head == replace(HEADS[base], **own, **change)
    others = [HEADS[name] for name in HEADS.keys() - changed.keys()]
    assert not any(head.penalty or head.hold or head.schedule for head in others)


def test_a_schedule_says_which_head_trains_when():
    first, second, last = (HEADS[name] for name in ("9d-raw", "9d-svd", "9d-fisher"))
    head = replace(last, schedule=((0.25, first), (0.5, second)))
    seen = [head.at(share) for share in (0, 0.24, 0.25, 0.49, 0.5, 1)]
    assert seen == [first, first, second, second, head, head]
    assert all(last.at(share) is last for share in (0, 1))


def test_a_head_is_found_by_name_or_passes_through():
    for name, head in HEADS.items():
        assert find_head(name) is find_head(head) is head


def test_an_unknown_head_is_refused_with_the_known_ones():
    for unknown in ("9d", "SVD", "", "9d-svd ", ["9d-svd"], None, 9):
        named = re.escape(f"unknown head {unknown!r}; known are euler") + ".*9d-raw-then"
        with pytest.raises(ValueError, match=named):
            find_head(unknown)
