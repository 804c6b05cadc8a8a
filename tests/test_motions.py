"""Recorded motions: what a BVH file says is what is read; the joints are where it puts them."""

import numpy as np
import pytest
import torch
from conftest import assert_near, seeded

from rotlib import is_rotation
from rotlib.experiments.motions import read_motions
from rotlib.experiments.skeleton import forward_kinematics
from rotlib.experiments.tasks import TASKS, find_task
from rotlib.experiments.training import train

BVH = """HIERARCHY
ROOT nobody
{
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT hips
  {
    OFFSET 1 {HEIGHT} 3
    CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
    JOINT knee
    {
      OFFSET 10 0 0
      CHANNELS 3 Zrotation Xrotation Yrotation
      JOINT foot
      {
        OFFSET 0 {SHIN} 0
        CHANNELS 3 Zrotation Xrotation Yrotation
        End Site
        {
          OFFSET 0 0 0
        }
      }
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.0333
0 0 0 0 0 0  1 90 3 {A}  0 30 0  9 9 9
0 0 0 0 0 0  2 91 3 10 0 0  0 0 90  9 9 9
"""


def recorded(folder, files=10, height=90, shin="-40"):
    for k in range(files):
        text = BVH.replace("{HEIGHT}", str(height + k)).replace("{SHIN}", shin)
        (folder / f"{k:02d}.bvh").write_text(text.replace("{A}", f"{k} 20 -50"))
    return folder


def z(t):
    c, s = np.cos(np.radians(t)), np.sin(np.radians(t))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def x(t):
    return z(t)[np.ix_([2, 0, 1], [2, 0, 1])]


def y(t):
    return z(t)[np.ix_([1, 2, 0], [1, 2, 0])]


def test_turns_and_places_are_those_of_the_file(tmp_path):
    motions = read_motions(recorded(tmp_path))
    assert motions.turns.shape == (20, 2, 3, 3)  # the root is still, a foot's turn moves nothing
    assert motions.tree.joints == ((-1, (0, 0, 0)), (0, (0.1, 0, 0)))
    assert motions.tree.ends == ((1, (0, -0.4, 0)),)
    hips, knee = z(4) @ x(20) @ y(-50), z(0) @ x(30) @ y(0)
    assert_near(motions.turns[8], torch.tensor(np.stack([hips, knee])).float(), 1e-6)
    places = forward_kinematics(motions.turns[8], motions.tree)
    at_knee = hips @ [0.1, 0, 0]
    expected = np.stack([at_knee, at_knee + hips @ knee @ [0, -0.4, 0]])
    assert_near(places, torch.tensor(expected).float(), 1e-6)


def test_files_are_split_and_never_shared(tmp_path):
    splits = read_motions(recorded(tmp_path, 20)).splits
    assert {name: len(frames) for name, frames in splits.items()} == {
        "test": 4,
        "validation": 4,
        "train": 32,
    }
    assert sorted(torch.cat(list(splits.values())).tolist()) == list(range(40))
    assert splits["test"].tolist() == [0, 1, 20, 21]


def test_a_sample_is_a_frame_that_faces_anywhere(tmp_path):
    """A turn about the vertical of all that was recorded, and no other change."""
    motions = read_motions(recorded(tmp_path))
    R = motions.sample(400, seeded(0), "test")
    assert is_rotation(R).all()
    heights = {round(v, 4) for v in forward_kinematics(R, motions.tree)[:, 1, 1].tolist()}
    known = forward_kinematics(motions.turns[motions.splits["test"]], motions.tree)[:, 1, 1]
    assert heights == {round(v, 4) for v in known.tolist()}
    ahead = R[:, 0, :, 0]
    assert ahead[:, [0, 2]].mean(0).norm() < 0.15 * ahead.norm(dim=-1).mean()  # anywhere


@pytest.mark.parametrize("name", ["motion", "motion-positions"])
def test_a_network_learns_them(tmp_path, name):
    task = find_task(name, motions=recorded(tmp_path))
    batch = task.sample(5, seeded(0), "train")
    assert batch.inputs.shape == (5, 6) and batch.targets.shape == (5, 2, 3, 3)
    assert name not in TASKS and task.name == name
    before, after = (
        train(task, "9d-svd", 1, steps=n, learning_rate=3e-3).errors().mean() for n in (1, 150)
    )
    assert after < before / 2
    assert task.loss(batch.targets, batch.targets).abs().max() < 1e-9
    assert task.error(batch.targets, batch.targets).abs().max() < 0.1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: (p / "00.bvh").unlink(), "holds 9 files ending in .bvh, not 10"),
        (lambda p: (p / "03.bvh").write_text("HIERARCHY"), "03.bvh cannot be read"),
        (lambda p: recorded(p, 1, shin="-41"), "01.bvh is of another skeleton"),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused_by_name(tmp_path, change, message):
    recorded(tmp_path)
    change(tmp_path)
    with pytest.raises(ValueError, match=message):
        read_motions(tmp_path)


def test_recordings_are_asked_for():
    with pytest.raises(ValueError, match="motion needs a folder of recordings"):
        find_task("motion")
    with pytest.raises(ValueError, match="motion has no variant 'noisy'"):
        find_task("motion", "noisy")
