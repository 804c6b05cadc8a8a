"""A skeleton: joints that turn, where that takes them, and losses and errors of their places."""

from typing import NamedTuple

import torch
from torch import Tensor

#: Joint, its parent, where it sits in its parent's frame (metres), how far it turns (degrees).
SKELETON = (
    ("pelvis", -1, (0.0, 0.0, 0.0), 180),
    ("chest", 0, (0.0, 0.0, 0.5), 40),
    ("neck", 1, (0.0, 0.0, 0.1), 60),
    ("left shoulder", 1, (0.0, 0.2, 0.0), 100),
    ("left elbow", 3, (0.0, 0.3, 0.0), 100),
    ("right shoulder", 1, (0.0, -0.2, 0.0), 100),
    ("right elbow", 5, (0.0, -0.3, 0.0), 100),
)
#: Ends of limbs: the joint that moves each, and where it is in that joint's frame.
_ENDS = (
    ("head", 2, (0.0, 0.0, 0.25)),
    ("left wrist", 4, (0.0, 0.3, 0.0)),
    ("right wrist", 6, (0.0, -0.3, 0.0)),
    ("left hip", 0, (0.0, 0.15, -0.05)),
    ("right hip", 0, (0.0, -0.15, -0.05)),
)


class Tree(NamedTuple):
    """What turns about what: ``joints`` and ``ends`` as pairs of parent and offset in metres.

    The first joint has the parent -1 and stays at the origin; a parent comes before its children.
    """

    joints: tuple[tuple[int, tuple[float, ...]], ...]
    ends: tuple[tuple[int, tuple[float, ...]], ...]

    @property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """Pairs of places that a bone joins; places are the joints in order, then the ends."""
        places = enumerate(self.joints + self.ends)
        return tuple((parent, place) for place, (parent, _) in places if parent >= 0)


#: That of the book's skeleton.
TREE = Tree(
    tuple((parent, offset) for _, parent, offset, _ in SKELETON),
    tuple((joint, offset) for _, joint, offset in _ENDS),
)
BONES = TREE.bones


def forward_kinematics(turns: Tensor, tree: Tree = TREE) -> Tensor:
    """Positions of the joints, and of the ends of the limbs, in metres.

    Args:
        turns: ``(..., joints, 3, 3)`` one matrix for each joint of the tree, in its parent's
            frame. Matrices that are no rotations stretch what hangs on them.
        tree: by default that of ``SKELETON``, with seven joints and five ends.

    Returns:
        ``(..., joints - 1 + ends, 3)``: the joints but for the first, then the ends.
    """
    frames: list[Tensor] = []
    positions: list[Tensor] = []
    for joint, (parent, offset) in enumerate(tree.joints):
        if parent < 0:
            frames.append(turns[..., joint, :, :])
            positions.append(torch.zeros_like(turns[..., joint, :, 0]))
            continue
        frames.append(frames[parent] @ turns[..., joint, :, :])
        positions.append(positions[parent] + frames[parent] @ turns.new_tensor(offset))
    ends = [positions[j] + frames[j] @ turns.new_tensor(offset) for j, offset in tree.ends]
    return torch.stack(positions[1:] + ends, -2)


def position_loss(output: Tensor, targets: Tensor, tree: Tree = TREE) -> Tensor:
    """Half the summed squared distances of joints and ends, in units of 0.1 m; no rotation in it.

    Raises:
        ValueError: if the head gives two columns only.
    """
    if output.shape[-1] != 3:
        raise ValueError("kinematics expects a head whose loss sees 3x3 matrices, not two columns")
    gap = forward_kinematics(output, tree) - forward_kinematics(targets, tree)
    return 50 * gap.square().sum((-2, -1))


def position_error_cm(R: Tensor, targets: Tensor) -> Tensor:
    """Mean distance of joints and ends from where they belong, in centimetres."""
    gap = forward_kinematics(R) - forward_kinematics(targets)
    return 100 * gap.norm(dim=-1).mean(-1)


def bone_error_degrees(R: Tensor, targets: Tensor, tree: Tree = TREE) -> Tensor:
    """Mean angle in degrees between the bones and where they belong.

    A bone runs from a joint to the next, or to an end. Where the joints are determines where the
    bones point; how a bone is twisted about itself is not determined, and not counted.
    """
    starts, stops = torch.tensor(tree.bones, device=R.device).T

    def bones(turns: Tensor) -> Tensor:
        positions = forward_kinematics(turns, tree)
        places = torch.cat([torch.zeros_like(positions[..., :1, :]), positions], -2)
        return places[..., stops, :] - places[..., starts, :]

    a, b = bones(R), bones(targets)
    across = torch.linalg.cross(*torch.broadcast_tensors(a, b)).norm(dim=-1)
    return torch.atan2(across, (a * b).sum(-1)).rad2deg().mean(-1)
