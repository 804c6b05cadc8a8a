"""The pictures of the cube, where they can be rendered; its network everywhere."""

import pytest
import torch
from conftest import assert_near, seeded
from torch import nn

from rotlib import (
    matrix_to_quaternion,
    quaternion_to_matrix,
    random_rotations,
    svd_orthogonalize,
)
from rotlib.experiments import cubes
from rotlib.experiments.cubes import INSIDE, CubeNet
from rotlib.experiments.tasks import TASKS, find_task


@pytest.fixture(scope="module")
def pictures():
    """Rotations, and the cube in those poses; skipped without MuJoCo or a way to render."""
    R = random_rotations(60, generator=seeded(0))
    if not cubes.can_render():
        pytest.skip("MuJoCo is not there, or cannot draw here")
    return R, cubes.render_cubes(R)


def test_the_network_is_the_full_one_without_weights_that_see_black_only():
    torch.manual_seed(0)
    net = CubeNet(9)
    torch.manual_seed(0)
    full = nn.Sequential(
        nn.Linear(12288, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 9)
    )
    picture = torch.zeros(5, 64, 64, 3)
    picture[:, INSIDE] = torch.rand(5, int(INSIDE.sum()), 3, generator=seeded(1))
    seen = picture[:, INSIDE].flatten(1)
    a, b = net(seen), full(picture.flatten(1))
    assert_near(a, b, 1e-5)
    torch.autograd.grad(a.square().sum(), net.parameters())
    b.square().sum().backward()
    assert not full[0].weight.grad[:, ~INSIDE.flatten().repeat_interleave(3)].any()


def test_the_cube_is_no_task_that_needs_nothing():
    assert "cube" not in TASKS and find_task("cube").name == "cube"
    for variant, message in (("noisy", "cube has no variant"), ("wet", "unknown variant")):
        with pytest.raises(ValueError, match=message):
            find_task("cube", variant)


def test_without_mujoco_it_is_said_what_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mujoco", None)
    cubes._renderer.cache_clear()
    with pytest.raises(RuntimeError, match=r"pip install rotlib\[cubes\]"):
        cubes.look_at_cubes(random_rotations(1, generator=seeded(3)))
    cubes._renderer.cache_clear()


def test_the_cube_stays_in_its_disc(pictures):
    _, P = pictures
    assert P.shape == (60, 64, 64, 3) and P.dtype == torch.uint8
    assert not P[:, ~INSIDE].any()
    share = P.any(-1).float().mean()
    assert 0.08 < share < 0.25  # and is seen
    batch = find_task("cube").sample(3, seeded(0), "train")
    assert batch.inputs.shape == (3, 3 * int(INSIDE.sum())) and batch.inputs.max() <= 1


def test_a_quaternion_read_in_another_order_is_the_inverse_between_two_fixed_rotations():
    """What the renderer makes of the label R is A Rᵀ B: as good a name for the pose."""
    R = random_rotations(50, generator=seeded(4), dtype=torch.float64)
    shown = quaternion_to_matrix(matrix_to_quaternion(R).roll(-1, -1))
    A, B = shown[0] @ R[0], torch.eye(3, dtype=torch.float64)
    for _ in range(30):  # alternate: the best A for this B, and the other way round
        A = svd_orthogonalize((shown @ (R.mT @ B).mT).sum(0))
        B = svd_orthogonalize(((A @ R.mT).mT @ shown).sum(0))
    assert_near(A @ R.mT @ B, shown, 1e-9)
