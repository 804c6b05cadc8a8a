"""Means and Kabsch against SciPy and RoMa, with derivatives of both orders, at hard points too."""

import math

import pytest
import roma
import torch
from conftest import (
    AXES,
    EYE,
    F64,
    assert_near,
    central_differences,
    gaussian,
    rotations,
    seeded,
)
from scipy.spatial.transform import Rotation

from rotlib import (
    autograd_jacobian,
    chordal_mean,
    geodesic_distance,
    geodesic_mean,
    is_rotation,
    kabsch,
    matrix_to_rotvec,
    rotvec_to_matrix,
    svd_orthogonalize,
)

MEANS = [chordal_mean, geodesic_mean]
both_means = pytest.mark.parametrize("mean", MEANS)


def near_one(*shape, spread=0.5, seed=0):
    """Rotations around some rotation of each batch item: ``(*shape, 3, 3)``."""
    centre = rotations(math.prod(shape[:-1]), seed=seed + 50).reshape(*shape[:-1], 1, 3, 3)
    return centre @ rotvec_to_matrix(spread * gaussian(*shape, 3, seed=seed))


def shares(*shape, seed=1):
    return torch.rand(*shape, generator=seeded(seed), dtype=F64)


def pull(S, R, weights):
    """The left side of the equation that the geodesic mean solves."""
    return (weights[..., None] * matrix_to_rotvec(S.mT[..., None, :, :] @ R)).sum(-2)


# --- means -----------------------------------------------------------------------------------


def test_the_chordal_mean_is_scipys():
    R, w = near_one(6, 5, spread=1.0), shares(6, 5)
    for k in range(6):
        theirs = Rotation.from_matrix(R[k].numpy()).mean(w[k].numpy()).as_matrix()
        assert_near(chordal_mean(R, w)[k], torch.as_tensor(theirs), 1e-14)


def test_the_geodesic_mean_is_the_least_of_its_neighbours_and_solves_its_equation():
    R, w = near_one(20, 5, spread=0.6), shares(20, 5)
    S = geodesic_mean(R, w)
    assert is_rotation(S).all()
    assert_near(pull(S, R, w), torch.zeros(20, 3, dtype=F64), 1e-14)

    def cost(at):
        return (w * geodesic_distance(at[:, None], R).square()).sum(-1)

    for step in 1e-3 * AXES:
        assert (cost(S @ rotvec_to_matrix(step)) > cost(S)).all()


def test_the_geodesic_mean_solves_its_equation_from_anywhere():
    R = rotations(3000).reshape(200, 5, 3, 3, 3).flatten(0, 1)
    w = shares(1000, 3)
    assert_near(pull(geodesic_mean(R, w), R, w), torch.zeros(1000, 3, dtype=F64), 1e-13)


@both_means
@pytest.mark.parametrize("angle", [0, 1e-12, 1e-7, 0.3, 3, math.pi - 1e-6])
def test_the_mean_of_two_is_half_the_way(mean, angle):
    start = rotations(26)
    pair = torch.stack([start, start @ rotvec_to_matrix(angle * AXES)], 1)
    assert_near(mean(pair), start @ rotvec_to_matrix(angle / 2 * AXES), 4e-15 / (math.pi - angle))


def test_weights_place_the_geodesic_mean_of_two_along_the_way():
    pair = torch.stack([EYE, rotvec_to_matrix(2.0 * AXES[0])])
    mean = geodesic_mean(pair, torch.tensor([3.0, 1.0], dtype=F64))
    assert_near(mean, rotvec_to_matrix(0.5 * AXES[0]), 2e-15)


@both_means
def test_turning_every_item_turns_the_mean_and_equal_items_are_their_mean(mean):
    R, Q = near_one(10, 4), rotations(2, seed=9)
    assert_near(mean(Q[0] @ R @ Q[1]), Q[0] @ mean(R) @ Q[1], 1e-14)
    assert_near(mean(Q[:, None].expand(2, 3, 3, 3)), Q, 2e-15)
    assert_near(mean(Q[:, None]), Q, 2e-15)


@both_means
def test_only_the_ratios_of_weights_matter(mean, dtype):
    R, w = near_one(4, 5).to(dtype), shares(4, 5).to(dtype)
    tolerance = 16 * torch.finfo(dtype).eps
    assert_near(mean(R, 1e-30 * w), mean(R, w), tolerance)
    assert_near(mean(R, torch.full((5,), 7.0, dtype=dtype)), mean(R), tolerance)
    twice = torch.cat([R, R[:, :1]], 1)
    assert_near(mean(twice), mean(R, torch.tensor([2, 1, 1, 1, 1], dtype=dtype)), tolerance)


@both_means
def test_a_weight_of_zero_leaves_out_an_item_even_nan(mean):
    R, w = near_one(2, 4), shares(2, 4)
    w[:, 1] = 0
    kept = [0, 2, 3]
    expected = mean(R[:, kept], w[:, kept])
    assert_near(mean(R, w), expected, 1e-15)
    R[:, 1] = math.nan
    R.requires_grad_(), w.requires_grad_()
    assert_near(mean(R, w), expected, 1e-15)
    grads = torch.autograd.grad((mean(R, w) * gaussian(3, 3)).sum(), (R, w))
    assert all(grad.isfinite().all() for grad in grads)


@both_means
def test_without_any_weight_the_mean_is_a_rotation_with_derivative_zero(mean):
    R = near_one(4).requires_grad_()
    S = mean(R, torch.zeros(4, dtype=F64))
    (grad,) = torch.autograd.grad((S * gaussian(3, 3)).sum(), R)
    assert is_rotation(S)
    assert grad.abs().max() == 0


@both_means
@pytest.mark.parametrize("spread", [0.0, 1e-7, 0.5])
def test_derivatives_of_means_are_those_of_differences(mean, spread):
    R, w = near_one(2, 3, spread=spread), shares(2, 3) + 0.5

    def along(x):  # turns of the items, and their weights
        turned = R @ rotvec_to_matrix(x[..., :9].unflatten(-1, (3, 3)))
        return mean(turned, w + x[..., 9:])

    x = torch.zeros(2, 12, dtype=F64)
    ours, differences = autograd_jacobian(along, x, event_dims=1), central_differences(along, x, 1)
    assert_near(ours, differences, 1e-11)


@both_means
def test_means_differentiate_twice_in_both_modes(mean):
    R, w = near_one(3).requires_grad_(), (shares(3) + 0.5).requires_grad_()

    def of_turns(turns, weights):
        return mean(R.detach() @ rotvec_to_matrix(turns), weights)

    turns = (0.1 * gaussian(3, 3)).requires_grad_()
    torch.autograd.gradcheck(of_turns, (turns, w), check_forward_ad=True, fast_mode=True)
    torch.autograd.gradgradcheck(of_turns, (turns, w), fast_mode=True)


# --- Kabsch ----------------------------------------------------------------------------------


def clouds(*batch, noise=0.1):
    """Points, the same after a motion with noise, and weights."""
    x = gaussian(*batch, 6, 3)
    R = rotations(math.prod(batch), seed=2).reshape(*batch, 3, 3)
    y = x @ R.mT + gaussian(*batch, 1, 3, seed=3) + noise * gaussian(*batch, 6, 3, seed=4)
    return x, y, shares(*batch, 6) + 0.1


def test_kabsch_is_romas_and_scipys():
    x, y, w = clouds(5)
    R, t = kabsch(x, y, w)
    their_R, their_t = roma.rigid_points_registration(x, y, w)
    assert_near(R, their_R, 1e-14)
    assert_near(t, their_t, 1e-14)
    for k in range(5):
        total = w[k].sum()
        a, b = (v[k] - (w[k, :, None] * v[k]).sum(0) / total for v in (x, y))
        theirs, _ = Rotation.align_vectors(b.numpy(), a.numpy(), weights=w[k].numpy())
        assert_near(R[k], torch.as_tensor(theirs.as_matrix()), 1e-14)


@pytest.mark.parametrize("scale", [1, 1e-20, 1e20])
def test_kabsch_recovers_a_motion_also_of_mirrored_and_flat_clouds(scale):
    x, y, w = clouds(4, noise=0)
    R, t = kabsch(scale * x, scale * y, w)
    assert_near(scale * x @ R.mT + t[:, None], scale * y, 1e-14 * scale)
    flat = x * torch.tensor([1.0, 1, 0], dtype=F64)
    Q = rotations(4, seed=2)
    assert_near(kabsch(flat, flat @ Q.mT)[0], Q, 1e-14)
    assert is_rotation(kabsch(x, -y, w)[0]).all()


def test_kabsch_is_the_least_of_its_neighbours():
    x, y, w = clouds(5, noise=0.5)
    R, t = kabsch(x, y, w)

    def cost(R, t):
        return (w[..., None] * (x @ R.mT + t[:, None] - y).square()).sum((-2, -1))

    for step in 1e-3 * AXES:
        assert (cost(R @ rotvec_to_matrix(step), t) > cost(R, t)).all()
        assert (cost(R, t + step) > cost(R, t)).all()


def test_kabsch_leaves_out_weights_of_zero_even_nan_and_needs_some_weight_for_t():
    x, y, w = clouds(2)
    w[:, 0] = 0
    expected = kabsch(x[:, 1:], y[:, 1:], w[:, 1:])
    x[:, 0], y[:, 0, 1] = math.nan, math.inf
    for ours, theirs in zip(kabsch(x, y, w), expected, strict=True):
        assert_near(ours, theirs, 1e-14)
    R, t = kabsch(x, y, torch.zeros(6, dtype=F64))
    assert is_rotation(R).all()
    assert (t == 0).all()


@pytest.mark.parametrize("points", [1, 2])
def test_kabsch_of_too_few_points_still_carries_their_middle(points):
    x = gaussian(3, points, 3).requires_grad_()
    y = x.detach().roll(1, 0)
    R, t = kabsch(x, y)
    assert is_rotation(R.detach()).all()
    assert_near((x @ R.mT + t[:, None]).mean(1), y.mean(1), 1e-14)
    assert torch.autograd.grad((R * gaussian(3, 3)).sum(), x)[0].isfinite().all()


def test_kabsch_differentiates_twice_in_both_modes():
    inputs = [v.requires_grad_() for v in clouds()]
    torch.autograd.gradcheck(kabsch, inputs, check_forward_ad=True, fast_mode=True)
    torch.autograd.gradgradcheck(kabsch, inputs, fast_mode=True)


# --- all -------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("f", [*MEANS, kabsch])
def test_compilers_and_transforms_follow_at_another_batch(f):
    inputs = (near_one(7, 6), shares(7, 6)) if f in MEANS else clouds(7)

    def flat(*x):
        y = f(*x)
        return y.flatten(-2) if f in MEANS else torch.cat([y[0].flatten(-2), y[1]], -1)

    expected = flat(*inputs)
    traced = torch.jit.trace(flat, tuple(x[:2] for x in inputs))
    assert_near(traced(*inputs), expected, 1e-14)
    assert_near(torch.func.vmap(flat)(*inputs), expected, 1e-14)
    forward = torch.func.vmap(torch.func.jacfwd(flat))(*inputs)
    reverse = torch.func.vmap(torch.func.jacrev(flat))(*inputs)
    assert_near(forward, reverse, 1e-13)


def test_batches_of_items_and_weights_broadcast():
    R, w = near_one(2, 1, 4), shares(5, 4)
    for mean in MEANS:
        S = mean(R, w)
        assert S.shape == (2, 5, 3, 3)
        assert_near(S[1, 3], mean(R[1, 0], w[3]), 1e-15)
    x, y, w = clouds(2)
    R, t = kabsch(x[:, None], y, w)
    assert (R.shape, t.shape) == ((2, 2, 3, 3), (2, 2, 3))
    assert_near(R[0, 1], kabsch(x[0], y[1], w[1])[0], 1e-14)


@pytest.mark.parametrize("f", [*MEANS, lambda x, w: kabsch(x[..., 0], x[..., 0], w)])
def test_weights_that_do_not_fit_are_refused(f):
    R = near_one(2, 4)
    for wrong in [(3,), (1,), (), (3, 4)]:
        with pytest.raises(
            ValueError, match=r"expects weights \(..., n\), n = 4, .*\(2,\), got \("
        ):
            f(R, torch.ones(wrong, dtype=F64))
    with pytest.raises(TypeError, match=r"expects one dtype for all, got torch\.float64 and "):
        f(R, torch.ones(4, dtype=torch.float32))
    with pytest.raises(TypeError, match=r"expects a torch\.Tensor of weights"):
        f(R, [1.0, 1, 1, 1])
    with pytest.raises(ValueError, match=r"expects n >= 1, got \(2, 0"):
        f(R[:, :0], None)


def test_clouds_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match=r"as many points in y as in x, got \(4, 3\) and \(1, 3\)"):
        kabsch(torch.ones(4, 3), torch.ones(1, 3))


def test_the_chordal_mean_has_the_sign_rule_of_the_nearest_rotation():
    R = rotations(30).reshape(10, 3, 3, 3)
    assert_near(chordal_mean(R), svd_orthogonalize(R.sum(1)), 1e-14)
