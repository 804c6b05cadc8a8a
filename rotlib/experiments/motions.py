"""Recorded motions of one skeleton, from a folder of BVH files."""

import functools
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor

from rotlib.euler import euler_to_matrix
from rotlib.experiments.skeleton import Tree

#: BVH files give lengths in centimetres. They are read to the millimetre.
_METRE = 100.0


@dataclass(frozen=True)
class Motions:
    """``turns (frames, joints, 3, 3)`` in their parents' frames, three splits by file, a tree."""

    turns: Tensor
    tree: Tree
    splits: dict[str, Tensor]

    def sample(self, n: int, generator: Generator, split: str) -> Tensor:
        """``(n, joints, 3, 3)``: random frames of that split, each facing anywhere."""
        device = generator.device
        frames = self.splits[split].to(device)
        which = torch.randint(len(frames), (n,), generator=generator, device=device)
        turns = self.turns.to(device)[frames[which]].clone()
        heading = 2 * torch.pi * torch.rand(n, 1, generator=generator, device=device)
        about_y = euler_to_matrix(heading * torch.tensor([0.0, 1, 0], device=device), "XYZ")
        turns[:, 0] = about_y @ turns[:, 0]
        return turns


@functools.cache
def read_motions(folder: Path | str) -> Motions:
    """Read every ``.bvh`` file of a folder.

    A joint with children takes part; the place of one without is an end, whose turn nobody can
    see. The first joint that moves stays at the origin, so that a motion is what the body does
    and not where. In the order of their names, every tenth file is for the test, the one after it
    for validation.

    Args:
        folder: of recordings of one skeleton, at least ten.

    Raises:
        ValueError: if there are fewer; if a file cannot be read, or is of another skeleton.
    """
    folder = Path(folder)
    paths = sorted(folder.glob("*.bvh"))
    if len(paths) < 10:
        raise ValueError(f"motions: {folder} holds {len(paths)} files ending in .bvh, not 10")
    trees, turns = set(), []
    for path in paths:
        try:
            tree, of_file = _read(path.read_text(encoding="utf-8"))
        except (ValueError, IndexError, UnicodeDecodeError) as error:
            raise ValueError(f"motions: {path.name} cannot be read: {error}") from None
        trees.add(tree)
        turns.append(of_file)
        if len(trees) > 1:
            raise ValueError(f"motions: {path.name} is of another skeleton than those before it")
    file = torch.arange(len(paths)).repeat_interleave(torch.tensor([len(t) for t in turns])) % 10
    splits = {
        "test": (file == 0).nonzero().flatten(),
        "validation": (file == 1).nonzero().flatten(),
        "train": (file > 1).nonzero().flatten(),
    }
    return Motions(torch.cat(turns), trees.pop(), splits)


def _read(text: str) -> tuple[Tree, Tensor]:
    """The tree of a BVH file, and its frames ``(frames, joints, 3, 3)`` in float32."""
    hierarchy, motion = text.split("MOTION", 1)
    names: list[str] = []
    parents: list[int] = []
    offsets: list[tuple[float, ...]] = []
    channels: list[list[str]] = []
    open_joints: list[int] = []
    for line in hierarchy.splitlines():
        words = line.split() or [""]
        if words[0] in ("ROOT", "JOINT", "End"):
            parents.append(open_joints[-1] if open_joints else -1)
            names.append("" if words[0] == "End" else words[1])
            channels.append([])
        elif words[0] == "{":
            open_joints.append(len(names) - 1)
        elif words[0] == "}":
            open_joints.pop()
        elif words[0] == "OFFSET":
            offsets.append(tuple(round(float(word) / _METRE, 3) for word in words[1:4]))
        elif words[0] == "CHANNELS":
            channels[-1] = words[2:]
    numbers = motion.split("Frame Time:", 1)[1].split("\n", 1)[1]
    frames = np.array(numbers.split(), dtype=float).reshape(-1, sum(map(len, channels)))
    starts = np.cumsum([0, *map(len, channels)])
    turns = {}
    for joint, of_joint in enumerate(channels):
        axes = [re.fullmatch(r"([XYZ])rotation", channel) for channel in of_joint]
        columns = [starts[joint] + k for k, axis in enumerate(axes) if axis]
        if columns:
            angles = torch.from_numpy(frames[:, columns]).deg2rad()
            turns[joint] = euler_to_matrix(angles, "".join(axis[1] for axis in axes if axis))
    still = [j for j in turns if torch.allclose(turns[j], turns[j][:1]) and parents[j] < 0]
    kept = [j for j in turns if j not in still and _has_child(j, parents, turns)]
    number = {joint: k for k, joint in enumerate(kept)}
    ends = [j for j in turns if j not in number and parents[j] in number]
    tree = Tree(
        ((-1, (0.0, 0.0, 0.0)), *((number[parents[j]], offsets[j]) for j in kept[1:])),
        tuple((number[parents[j]], offsets[j]) for j in ends),
    )
    return tree, torch.stack([turns[j] for j in kept], 1).float()


def _has_child(joint: int, parents: list[int], turns: dict) -> bool:
    return any(parents[child] == joint for child in turns)
