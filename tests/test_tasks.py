"""Tasks: batches are what they claim to be, and losses and errors measure what they should."""

import math

import pytest
import torch
from conftest import F64, assert_near, gaussian, rotations, seeded

from rotlib import is_rotation, matrix_to_rotvec, rotvec_to_matrix
from rotlib.experiments.heads import HEADS
from rotlib.experiments.tasks import (
    SKELETON,
    SPLITS,
    TASKS,
    VARIANTS,
    angle_degrees,
    bone_error_degrees,
    chordal_loss,
    find_task,
    forward_kinematics,
    images,
    kinematics,
    points,
    position_error_cm,
    position_loss,
    wahba,
)
from rotlib.experiments.training import held_out

SHAPES = {"wahba": (48,), "points": (32, 3), "images": (3, 32, 32), "kinematics": (33,)}
EVERY = [(t, v) for t in TASKS for v in VARIANTS if (t, v) != ("kinematics", "ambiguous")]
every_task = pytest.mark.parametrize(("name", "variant"), EVERY)
PELVIS, CHEST, NECK, LEFT_SHOULDER, LEFT_ELBOW, RIGHT_SHOULDER, RIGHT_ELBOW = range(7)
# Metres: x forward, y left, z up.
UPRIGHT = {
    "chest": (0, 0, 0.5),
    "neck": (0, 0, 0.6),
    "left shoulder": (0, 0.2, 0.5),
    "left elbow": (0, 0.5, 0.5),
    "right shoulder": (0, -0.2, 0.5),
    "right elbow": (0, -0.5, 0.5),
    "head": (0, 0, 0.85),
    "left wrist": (0, 0.8, 0.5),
    "right wrist": (0, -0.8, 0.5),
    "left hip": (0, 0.15, -0.05),
    "right hip": (0, -0.15, -0.05),
}
BONES = {
    ("pelvis", "chest"): 0.5,
    ("chest", "neck"): 0.1,
    ("chest", "left shoulder"): 0.2,
    ("left shoulder", "left elbow"): 0.3,
    ("left elbow", "left wrist"): 0.3,
    ("chest", "right shoulder"): 0.2,
    ("right shoulder", "right elbow"): 0.3,
    ("right elbow", "right wrist"): 0.3,
    ("neck", "head"): 0.25,
    ("pelvis", "left hip"): math.hypot(0.15, 0.05),
    ("pelvis", "right hip"): math.hypot(0.15, 0.05),
}


def drawn(task, n=400, seed=0, split="train"):
    return task.sample(n, seeded(seed), split)


def turn(axis, degrees):
    axis = torch.tensor({"x": [1.0, 0, 0], "y": [0.0, 1, 0], "z": [0.0, 0, 1]}[axis], dtype=F64)
    return rotvec_to_matrix(math.radians(degrees) * axis)


def poses(n, seed=0):
    """Skeletons with joints turned at random: ``(n, 7, 3, 3)``."""
    return rotations(7 * n, seed).reshape(n, 7, 3, 3)


def bent(pose, joint, R):
    """The pose with one joint turned further, in its own frame."""
    pose = pose.clone()
    pose[..., joint, :, :] = pose[..., joint, :, :] @ R
    return pose


def spread_is_log_uniform(levels, low, high):
    """Levels measured on items: their logarithms have the right mean and spread."""
    middle, width = math.log10(low * high) / 2, math.log10(high / low)
    assert levels.log10().mean().item() == pytest.approx(middle, abs=0.1)
    assert levels.log10().std().item() == pytest.approx(width / math.sqrt(12), abs=0.1)


@every_task
def test_batches_have_their_shape_and_are_decided_by_the_generator(name, variant):
    task = find_task(name, variant)
    assert (task.name, task.variant) == (name, variant)
    n = 20
    batch = drawn(task, n, seed=1)
    assert batch.inputs.shape == (n, *SHAPES[name])
    assert batch.targets.shape == ((n, 7, 3, 3) if name == "kinematics" else (n, 3, 3))
    assert batch.inputs.dtype == batch.targets.dtype == torch.float32
    assert batch.inputs.isfinite().all() and is_rotation(batch.targets).all()
    for split in SPLITS:
        again, other = drawn(task, n, seed=1, split=split), drawn(task, n, seed=2, split=split)
        assert torch.equal(again.inputs, batch.inputs)
        assert torch.equal(again.targets, batch.targets)
        assert not (other.inputs == batch.inputs).flatten(1).all(1).any()
        assert not (other.targets == batch.targets).flatten(1).all(1).any()
    nothing = drawn(task, 0)
    assert nothing.inputs.shape == (0, *SHAPES[name])
    assert nothing.targets.shape == (0, *batch.targets.shape[1:])


@every_task
def test_no_other_randomness_is_touched(name, variant):
    before = torch.get_rng_state()
    drawn(find_task(name, variant), 3)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("head", ["quaternion", "9d-svd"])
def test_the_network_fits_the_batches_and_the_loss_its_outputs(name, head):
    task, head = find_task(name), HEADS[head]
    batch = drawn(task, 4)
    x = task.network(task.rotations * head.width)(batch.inputs)
    assert x.shape == (4, task.rotations * head.width)
    x = x if task.rotations == 1 else x.unflatten(-1, (task.rotations, head.width))
    assert task.loss(head.train(x), batch.targets).shape == (4,)
    assert task.error(head.infer(x), batch.targets).shape == (4,)


@pytest.mark.parametrize("name", TASKS)
def test_the_targets_have_neither_loss_nor_error(name):
    task = find_task(name)
    T = drawn(task, 10).targets
    assert_near(task.loss(T, T), torch.zeros(10), 0)
    assert_near(task.error(T, T), torch.zeros(10), 0.05)


@pytest.mark.parametrize("name", TASKS)
def test_poses_are_uniform_over_all_rotations(name):
    """No entry has a preferred sign or size; of a skeleton, the pelvis is turned like that."""
    R = drawn(find_task(name), 400).targets
    R = R[:, PELVIS] if name == "kinematics" else R
    assert R.mean(0).abs().max() < 0.1
    assert (R.square().mean(0) - 1 / 3).abs().max() < 0.07


# Wahba's problem.


def before_and_after(batch):
    return batch.inputs.unflatten(-1, (8, 6)).split(3, dim=-1)


def test_clean_vectors_are_turned_by_the_target():
    batch = drawn(wahba())
    before, after = before_and_after(batch)
    assert_near(before.norm(dim=-1), torch.ones(400, 8), 1e-6)
    assert_near(after, torch.einsum("nij,npj->npi", batch.targets, before), 1e-6)


def test_noisy_vectors_are_off_by_a_level_of_their_own():
    batch = drawn(wahba("noisy"), 2000)
    before, after = before_and_after(batch)
    gap = after - torch.einsum("nij,npj->npi", batch.targets, before)
    spread_is_log_uniform(gap.flatten(1).square().mean(1).sqrt(), 0.03, 3)


def test_half_of_the_ambiguous_items_lie_on_one_line():
    batch = drawn(wahba("ambiguous"), 1000)
    before, after = before_and_after(batch)
    assert_near(after, torch.einsum("nij,npj->npi", batch.targets, before), 1e-6)
    off_line = 1 - torch.einsum("npi,ni->np", before, before[:, 0]).abs()
    ambiguous = (off_line < 1e-6).all(1)
    assert 0.45 < ambiguous.float().mean() < 0.55
    assert (off_line[~ambiguous] > 1e-3).float().mean() > 0.8
    ahead = torch.einsum("npi,ni->np", before, before[:, 0])[ambiguous, 1:] > 0
    assert 0.45 < ahead.float().mean() < 0.55


# Points.

BODY, LEFT_WING, RIGHT_WING, FIN = slice(0, 8), slice(8, 14), slice(14, 20), slice(24, 28)


def unturned(batch):
    """Each cloud in its aeroplane's own frame."""
    return torch.einsum("nji,npj->npi", batch.targets, batch.inputs)


def test_clean_clouds_are_upright_aeroplanes_turned_by_the_target():
    cloud = unturned(drawn(points())).double()
    squares = cloud[:, BODY].square()
    inverse_radii = torch.linalg.lstsq(squares, torch.ones(400, 8, 1, dtype=F64)).solution
    assert_near(squares @ inverse_radii, torch.ones(400, 8, 1), 1e-4)
    radii = inverse_radii.squeeze(-1).rsqrt() / torch.tensor([1, 0.16, 0.16], dtype=F64)
    assert 0.799 < radii.min() < 0.82 and 1.18 < radii.max() < 1.201
    assert cloud[:, LEFT_WING, 1].min() > 0 > cloud[:, RIGHT_WING, 1].max()
    assert cloud[:, FIN, 2].min() > 0 > cloud[:, FIN, 0].max()


def test_clean_clouds_show_the_same_points_of_every_aeroplane():
    cloud = unturned(drawn(points()))
    ratio = cloud[:, BODY] / cloud[:1, BODY]
    assert_near(ratio, ratio[:, :1].expand(400, 8, 3), 1e-3)


def test_noisy_clouds_are_scattered_and_off_by_a_level_of_their_own():
    """Off the axis of the body: its radius is at most 0.2, the noise at most 2."""
    across = unturned(drawn(points("noisy"), 1000))[:, BODY, 1:].flatten(1).square().mean(1).sqrt()
    assert across.min() < 0.15
    assert 1.5 < across.max() < 3.5
    assert 0.35 < (across > 0.2).float().mean() < 0.5


def test_half_of_the_ambiguous_aeroplanes_have_no_fin():
    batch = drawn(points("ambiguous"), 1000)
    cloud = unturned(batch)
    plain = cloud[:, FIN, 0].mean(1) > -0.56
    assert 0.45 < plain.float().mean() < 0.55
    assert cloud[plain][:, FIN].norm(dim=-1).max() < 0.61
    assert cloud[~plain][:, FIN, 2].min() >= 0
    assert cloud[:, LEFT_WING, 1].min() > 0 > cloud[:, RIGHT_WING, 1].max()


# Images.


def test_images_are_centred_pictures_of_a_bright_aeroplane_on_a_ramp():
    batch = drawn(images(), 200)
    assert batch.inputs.min() >= -0.5 and batch.inputs.max() <= 0.5
    left_edge = batch.inputs[..., 0]
    ramp = torch.linspace(0, 1, 32)
    ends = left_edge[..., :1], left_edge[..., -1:]
    expected = ends[0] * (1 - ramp) + ends[1] * ramp
    clear = ((left_edge - expected).abs() < 1e-5).all((1, 2))
    assert clear.float().mean() > 0.5
    painted = ((batch.inputs[clear] - expected[clear, ..., None]).abs() > 1e-5).any(1)
    assert 0.03 < painted.float().mean((1, 2)).min()
    assert painted.float().mean((1, 2)).max() < 0.5


def correlation(a, b):
    return torch.corrcoef(torch.stack([a, b]))[0, 1]


def test_pictures_show_the_pose_that_is_the_target():
    """Long where the body points, and with more on the side to which fin and cockpit point."""
    batch = drawn(images(), 400)
    ramp = batch.inputs[..., :1]
    painted = ((batch.inputs - ramp).abs() > 1e-4).any(1).double()
    painted = painted / painted.sum((1, 2), keepdim=True)
    right = (2 * torch.arange(32) - 31) / 32
    for side, row in ((right, 0), (-right[:, None], 1)):
        extent, middle = (painted * side.abs()).sum((1, 2)), (painted * side).sum((1, 2))
        assert correlation(extent, batch.targets[:, row, 0].abs()) > 0.5
        assert correlation(middle, batch.targets[:, row, 2]) > 0.3


def test_half_of_the_ambiguous_pictures_differ_from_the_clean_ones():
    """The same draws, but for fin, cockpit and the colour of one wing."""
    clean, ambiguous = drawn(images()), drawn(images("ambiguous"))
    assert torch.equal(clean.targets, ambiguous.targets)
    changed = (clean.inputs != ambiguous.inputs).flatten(1).any(1)
    assert 0.42 < changed.float().mean() < 0.58


@pytest.mark.parametrize(
    ("task", "low", "high"), [(images, 0.01, 1), (kinematics, 0.008, 0.8)], ids=["images", "joints"]
)
def test_noise_is_added_to_the_clean_inputs_at_a_level_of_the_items_own(task, low, high):
    """Of joints, a network sees four times the metres."""
    clean, noisy = drawn(task()), drawn(task("noisy"))
    assert torch.equal(clean.targets, noisy.targets)
    gap = (noisy.inputs - clean.inputs).flatten(1)
    spread_is_log_uniform(gap.square().mean(1).sqrt(), low, high)


# Kinematics.


def test_upright_skeleton_is_the_sum_of_its_offsets():
    upright = torch.eye(3, dtype=F64).expand(7, 3, 3)
    expected = torch.tensor(list(UPRIGHT.values()), dtype=F64)
    assert_near(forward_kinematics(upright), expected, 1e-15)


def bone_lengths(pose):
    places = dict(zip(UPRIGHT, forward_kinematics(pose).unbind(-2), strict=True))
    places["pelvis"] = torch.zeros_like(places["chest"])
    return torch.stack([(places[b] - places[a]).norm(dim=-1) for a, b in BONES], -1)


def test_rotations_keep_the_bones_and_other_matrices_stretch_them():
    expected = torch.tensor(list(BONES.values()), dtype=F64)
    assert_near(bone_lengths(poses(50)), expected.expand(50, 11), 1e-14)
    stretched = bone_lengths(1.1 * poses(50))
    joints_above = torch.tensor([1, 2, 2, 3, 4, 2, 3, 4, 3, 1, 1], dtype=F64)
    assert_near(stretched, (expected * 1.1**joints_above).expand(50, 11), 1e-13)


def test_turning_the_pelvis_turns_the_whole_skeleton():
    pose, L = poses(20), rotations(20, seed=5)
    turned = pose.clone()
    turned[:, PELVIS] = L @ pose[:, PELVIS]
    expected = torch.einsum("nij,nkj->nki", L, forward_kinematics(pose))
    assert_near(forward_kinematics(turned), expected, 1e-14)


@pytest.mark.parametrize(
    ("joint", "moves"),
    [
        (NECK, {"head"}),
        (LEFT_ELBOW, {"left wrist"}),
        (RIGHT_SHOULDER, {"right elbow", "right wrist"}),
        (CHEST, set(UPRIGHT) - {"chest", "left hip", "right hip"}),
    ],
)
def test_a_joint_moves_what_hangs_on_it_and_nothing_else(joint, moves):
    pose = poses(1)[0]
    before, after = forward_kinematics(pose), forward_kinematics(bent(pose, joint, rotations(1)[0]))
    moved = (before - after).norm(dim=-1) > 1e-6
    assert {name for name, m in zip(UPRIGHT, moved, strict=True) if m} == moves


def test_an_elbow_bent_by_a_right_angle():
    """By hand: one wrist of eleven is off by 0.3 m times the square root of 2."""
    pose = poses(5)
    hinge = bent(pose, LEFT_ELBOW, turn("x", 90))
    one = torch.ones(5, dtype=F64)
    assert_near(position_loss(hinge, pose), 50 * 0.18 * one, 1e-12)
    assert_near(position_error_cm(hinge, pose), 30 * math.sqrt(2) / 11 * one, 1e-12)
    assert_near(bone_error_degrees(hinge, pose), 90 / 11 * one, 1e-12)


@pytest.mark.parametrize("degrees", [1e-5, 0.1, 40, 179.9])
def test_bone_error_is_exact_from_tiny_turns_to_half_turns(degrees):
    pose = poses(5)
    hinge = bent(pose, RIGHT_ELBOW, turn("z", degrees))
    error = bone_error_degrees(hinge, pose) * 11 / degrees
    assert_near(error, torch.ones(5), 1e-8)


@pytest.mark.parametrize(
    ("joint", "axis"), [(LEFT_ELBOW, "y"), (RIGHT_ELBOW, "y"), (NECK, "z")], ids=str
)
def test_the_twist_of_a_limb_about_itself_is_not_seen(joint, axis):
    pose = poses(5)
    twisted = bent(pose, joint, turn(axis, 70))
    assert (twisted - pose).abs().max() > 0.5
    assert_near(position_loss(twisted, pose), torch.zeros(5), 1e-25)
    assert_near(position_error_cm(twisted, pose), torch.zeros(5), 1e-12)
    assert_near(bone_error_degrees(twisted, pose), torch.zeros(5), 1e-12)


def test_every_joint_turn_stays_within_its_limit():
    turns = drawn(kinematics(), 1000).targets
    angles = matrix_to_rotvec(turns.double()).norm(dim=-1).rad2deg()
    limits = torch.tensor([180.0, 40, 60, 100, 100, 100, 100])
    assert [joint[3] for joint in SKELETON] == limits.tolist()
    assert (angles <= limits + 1e-3).all()
    assert (angles.amax(0) > 0.98 * limits).all()


def test_inputs_of_kinematics_are_four_times_the_positions():
    batch = drawn(kinematics())
    expected = 4 * forward_kinematics(batch.targets)
    assert_near(batch.inputs.unflatten(-1, (11, 3)), expected, 1e-6)


def test_two_columns_are_no_skeleton():
    pose = poses(2)
    with pytest.raises(ValueError, match=r"kinematics expects a head .* not two columns"):
        position_loss(pose[..., :2], pose)


# Losses and errors.


def test_chordal_loss_compares_as_many_columns_as_there_are():
    Y, T = gaussian(10, 3, 3), rotations(10)
    columns = (Y - T).square().sum(-2)
    assert_near(chordal_loss(Y, T), columns.sum(-1) / 2, 1e-14)
    assert_near(chordal_loss(Y[..., :2], T), columns[:, :2].sum(-1) / 2, 1e-14)


@pytest.mark.parametrize("degrees", [0.0, 1e-4, 30, 120, 180])
def test_error_is_the_angle_in_degrees(degrees):
    T = rotations(10)
    assert_near(angle_degrees(T @ turn("y", degrees), T), torch.full((10,), degrees), 2e-6)


@pytest.mark.parametrize("f", [position_loss, position_error_cm, bone_error_degrees])
def test_measures_of_skeletons_broadcast_over_seeds(f):
    targets, outputs = poses(4), poses(12, seed=1).reshape(3, 4, 7, 3, 3)
    expected = torch.stack([f(output, targets) for output in outputs])
    assert_near(f(outputs, targets), expected, 1e-12)
    assert_near(f(outputs, targets.expand_as(outputs)), expected, 1e-12)


@pytest.mark.parametrize("f", [chordal_loss, angle_degrees])
def test_measures_of_rotations_broadcast_over_seeds(f):
    targets, outputs = rotations(4), rotations(12, seed=1).reshape(3, 4, 3, 3)
    expected = torch.stack([f(output, targets) for output in outputs])
    assert_near(f(outputs, targets), expected, 1e-12)
    assert_near(f(outputs, targets.expand_as(outputs)), expected, 1e-12)


# Held-out sets and names.


@pytest.mark.parametrize("name", TASKS)
def test_held_out_sets_are_the_same_for_every_run_and_differ_from_each_other(name):
    torch.manual_seed(1)
    validation = held_out(find_task(name), "validation", 20)
    torch.manual_seed(2)
    again, test = (held_out(find_task(name), split, 20) for split in ("validation", "test"))
    assert len(validation.inputs) == len(validation.targets) == 20
    for same, other, first in zip(again, test, validation, strict=True):
        assert torch.equal(same, first)
        assert not (other == first).flatten(1).all(1).any()


@pytest.mark.parametrize("split", ["train", "valid", ""])
def test_only_validation_and_test_are_held_out(split):
    with pytest.raises(ValueError, match=f"expects one of validation, test, got '{split}'"):
        held_out(wahba(), split)


@pytest.mark.parametrize("variant", ["noise", "", "Clean"])
@pytest.mark.parametrize("name", TASKS)
def test_an_unknown_variant_is_refused_with_the_known_ones(name, variant):
    known = f"unknown variant '{variant}'; known are clean, noisy, ambiguous"
    with pytest.raises(ValueError, match=known):
        find_task(name, variant)


def test_what_cannot_be_is_refused_with_the_reason(tmp_path):
    with pytest.raises(ValueError, match="unknown task 'pose'; known are wahba, points, images, k"):
        find_task("pose")
    with pytest.raises(ValueError, match="kinematics has no ambiguous variant"):
        find_task("kinematics", "ambiguous")
    with pytest.raises(ValueError, match="clouds are for the points task, not for images"):
        find_task("images", clouds=tmp_path)
    with pytest.raises(ValueError, match="ambiguous variant needs the toy aeroplane"):
        find_task("points", "ambiguous", clouds=tmp_path)
