"""Tasks: data on demand from a generator, a loss, and an error in degrees.

Every task comes in variants. ``clean`` has an exact answer, ``noisy`` has a noise level that
differs from item to item, and in ``ambiguous`` half of the items look the same in more than one
pose.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn

from rotlib.distance import geodesic_distance
from rotlib.experiments.clouds import Clouds, read_clouds
from rotlib.experiments.cubes import CubeNet, look_at_cubes
from rotlib.experiments.motions import Motions, read_motions
from rotlib.experiments.networks import ConvNet, PointNet, mlp
from rotlib.experiments.skeleton import BONES as BONES
from rotlib.experiments.skeleton import (
    SKELETON,
    bone_error_degrees,
    forward_kinematics,
    position_loss,
)
from rotlib.experiments.skeleton import position_error_cm as position_error_cm
from rotlib.experiments.solids import (
    aeroplanes,
    log_uniform,
    normal,
    render,
    surface_points,
    uniform,
)
from rotlib.matrix import random_rotations
from rotlib.rotvec import rotvec_to_matrix

VARIANTS = ("clean", "noisy", "ambiguous")
SPLITS = ("train", "validation", "test")
IMAGE_SIZE = 32


class Batch(NamedTuple):
    """``inputs (n, ...)`` for the network, and the ``targets`` that the loss and error compare."""

    inputs: Tensor
    targets: Tensor


def chordal_loss(output: Tensor, targets: Tensor) -> Tensor:
    r""":math:`\tfrac12\lVert Y - T\rVert_F^2` over as many columns as the output has."""
    return (output - targets[..., : output.shape[-1]]).square().sum((-2, -1)) / 2


def absolute_loss(output: Tensor, targets: Tensor) -> Tensor:
    r""":math:`\sum|Y - T|` over as many columns as the output has."""
    return (output - targets[..., : output.shape[-1]]).abs().sum((-2, -1))


def angle_degrees(R: Tensor, targets: Tensor) -> Tensor:
    """Geodesic distance in degrees."""
    return geodesic_distance(R, targets).rad2deg()


@dataclass(frozen=True)
class Task:
    """A problem whose answer is one or more rotations.

    Attributes:
        name, variant: what it is called in tables.
        sample: ``sample(n, generator, split)`` draws a :class:`Batch` on the generator's device.
        network: ``network(width)`` makes an untrained network; with ``scale=`` one whose hidden
            layers are so many times as wide.
        rotations: how many rotations an answer has; if more than one, outputs and rotations have
            one more dimension for them.
        loss: ``(output, targets)`` to ``(...)``, for each item.
        error: ``(R, targets)`` to ``(...)`` degrees.
        together: whether training all seeds at once pays on a CPU, as measured; the results do not
            depend on it.
    """

    name: str
    variant: str
    sample: Callable[[int, Generator, str], Batch]
    network: Callable[..., nn.Module]
    rotations: int = 1
    loss: Callable[[Tensor, Tensor], Tensor] = chordal_loss
    error: Callable[[Tensor, Tensor], Tensor] = angle_degrees
    together: bool = True


def _require_variant(variant: str) -> None:
    if variant not in VARIANTS:
        raise ValueError(f"unknown variant {variant!r}; known are {', '.join(VARIANTS)}")


def _haar(n: int, generator: Generator) -> Tensor:
    return random_rotations(n, generator=generator, device=generator.device)


def _noisy(x: Tensor, generator: Generator, low: float, high: float) -> Tensor:
    """Gaussian noise on every number; its level differs from item to item, log-uniformly."""
    level = log_uniform(generator, len(x), low, high).view(-1, *[1] * (x.dim() - 1))
    return x + level * normal(generator, *x.shape)


# Wahba's problem: unit vectors before and after a turn.

_PAIRS = 8


def _sample_wahba(variant: str, n: int, generator: Generator, split: str) -> Batch:
    R = _haar(n, generator)
    before = torch.nn.functional.normalize(normal(generator, n, _PAIRS, 3), dim=-1)
    if variant == "ambiguous":  # all vectors on one line: turns about it cannot be seen
        sign = before[..., :1].sign()
        on_a_line = (uniform(generator, n) < 0.5)[:, None, None]
        before = torch.where(on_a_line, sign * before[:, :1], before)
    after = before @ R.mT
    if variant == "noisy":
        after = _noisy(after, generator, 0.03, 3)
    return Batch(torch.cat([before, after], -1).flatten(1), R)


def wahba(variant: str = "clean") -> Task:
    """Eight unit vectors and their turned copies; a network of two hidden layers.

    ``noisy``: the copies are off by 0.03 to 3 in each coordinate,
    from negligible to hopeless. ``ambiguous``: in half of the
    items all vectors lie on one line.
    """
    _require_variant(variant)
    return Task("wahba", variant, partial(_sample_wahba, variant), partial(mlp, 2 * 3 * _PAIRS))


# Points: a toy aeroplane, or real clouds.


def _sample_points(variant: str, n: int, generator: Generator, split: str) -> Batch:
    R = _haar(n, generator)
    solids, _ = aeroplanes(n, generator, symmetric=0.5 if variant == "ambiguous" else 0)
    cloud = surface_points(solids, generator, scattered=variant != "clean") @ R.mT
    if variant == "noisy":
        cloud = _noisy(cloud, generator, 0.01, 2)
    return Batch(cloud, R)


def _sample_clouds(clouds: Clouds, variant: str, n: int, generator: Generator, split: str) -> Batch:
    R = _haar(n, generator)
    cloud = clouds.sample(n, generator, split) @ R.mT
    if variant == "noisy":
        cloud = _noisy(cloud, generator, 0.01, 2)
    return Batch(cloud, R)


def points(
    variant: str = "clean", clouds: Path | str | None = None, skip_unreadable: bool = False
) -> Task:
    """The pose of a cloud of points; a small PointNet.

    By default the cloud is a toy aeroplane whose proportions vary. ``noisy``: its points are
    scattered over the surface and off by 0.01 to 2 in each coordinate. ``ambiguous``: half of
    the aeroplanes look the same after half a turn about their body.

    Args:
        variant: one of ``VARIANTS``.
        clouds: a folder of real clouds or meshes to use instead, see
            :func:`~rotlib.experiments.clouds.read_clouds`; each item is 64 random points of one.
        skip_unreadable: leave out files of that folder that cannot be read.

    Raises:
        ValueError: for an unknown variant; for ``ambiguous`` with ``clouds``, whose symmetries
            nobody knows; for a folder that cannot be used.
    """
    _require_variant(variant)
    if clouds is None:
        return Task("points", variant, partial(_sample_points, variant), PointNet)
    if variant == "ambiguous":
        raise ValueError("points: the ambiguous variant needs the toy aeroplane, not clouds")
    sample = partial(_sample_clouds, read_clouds(clouds, skip_unreadable), variant)
    return Task("points", variant, sample, PointNet)


# Images: the toy aeroplane, rendered.


def _sample_images(variant: str, n: int, generator: Generator, split: str) -> Batch:
    R = _haar(n, generator)
    solids, _ = aeroplanes(n, generator, vary=0, symmetric=0.5 if variant == "ambiguous" else 0)
    towards = torch.nn.functional.normalize(
        normal(generator, n, 3) + torch.tensor([0, 0, 3.0], device=generator.device), dim=-1
    )
    light = towards * uniform(generator, n, 1, low=0.7, high=1.2)
    ramp = torch.linspace(0, 1, IMAGE_SIZE, device=generator.device)[:, None]
    top, bottom = uniform(generator, 2, n, 3, 1, 1)
    background = (ramp * bottom + (1 - ramp) * top).expand(n, 3, IMAGE_SIZE, IMAGE_SIZE)
    images = render(R, solids, light, background, IMAGE_SIZE)
    if variant == "noisy":
        images = _noisy(images, generator, 0.01, 1)
    return Batch(images - 0.5, R)


def images(variant: str = "clean") -> Task:
    """The pose of the toy aeroplane in a picture of 32 by 32 pixels; a small convolutional network.

    Light and background vary. ``noisy``: pixels are off by 0.01 to 1. ``ambiguous``: half of the
    aeroplanes look the same after half a turn about their body.
    """
    _require_variant(variant)
    return Task(
        "images",
        variant,
        partial(_sample_images, variant),
        partial(ConvNet, size=IMAGE_SIZE),
        together=False,
    )


# The cube: a published benchmark.


def _sample_cube(n: int, generator: Generator, split: str) -> Batch:
    R = _haar(n, generator)
    return Batch(look_at_cubes(R), R)


def cube(variant: str = "clean") -> Task:
    """The pose of a painted cube from a picture; two hidden layers on its pixels.

    The pictures, their size, the network and the rule by which a pose is handed to the renderer
    are those of {cite}`geist2024rotations`, experiment 2.1; see
    :func:`~rotlib.experiments.cubes.look_at_cubes`. It needs the extra ``cubes``.

    Raises:
        ValueError: for another variant than ``clean``.
    """
    _require_variant(variant)
    if variant != "clean":
        raise ValueError(f"cube has no variant {variant!r}")
    return Task("cube", variant, _sample_cube, CubeNet, together=False)


# Kinematics: a skeleton of which only the positions of the joints are known.


def _sample_kinematics(variant: str, n: int, generator: Generator, split: str) -> Batch:
    axes = torch.nn.functional.normalize(normal(generator, n, len(SKELETON), 3), dim=-1)
    limits = torch.tensor([math.radians(limit) for *_, limit in SKELETON], device=axes.device)
    angles = limits * uniform(generator, n, len(SKELETON))
    turns = rotvec_to_matrix(axes * angles[..., None])
    turns[:, 0] = _haar(n, generator)
    positions = forward_kinematics(turns)
    if variant == "noisy":
        positions = _noisy(positions, generator, 0.002, 0.2)
    return Batch(4 * positions.flatten(1), turns)


def kinematics(variant: str = "clean") -> Task:
    """The turns of seven joints, from where the joints are; the loss is on positions only.

    The twist of a limb about itself cannot be seen and is not counted. ``noisy``: the positions
    are off by 0.2 to 20 cm in each coordinate.

    Raises:
        ValueError: for ``ambiguous``.
    """
    _require_variant(variant)
    if variant == "ambiguous":
        raise ValueError("kinematics has no ambiguous variant: the twist of its limbs always is")
    return Task(
        "kinematics",
        variant,
        partial(_sample_kinematics, variant),
        partial(mlp, 33, hidden=256),
        rotations=len(SKELETON),
        loss=position_loss,
        error=bone_error_degrees,
    )


# Motion: what actors did, recorded.


def _sample_motion(motions: Motions, n: int, generator: Generator, split: str) -> Batch:
    turns = motions.sample(n, generator, split)
    return Batch(4 * forward_kinematics(turns, motions.tree).flatten(1), turns)


def _sum_of_joints(output: Tensor, targets: Tensor) -> Tensor:
    return chordal_loss(output, targets).sum(-1)


def _mean_angle(R: Tensor, targets: Tensor) -> Tensor:
    return angle_degrees(R, targets).mean(-1)


def motion(folder: Path | str, label: bool = True) -> Task:
    """The turns of an actor's joints, from where the joints are.

    Args:
        folder: of recordings, see :func:`~rotlib.experiments.motions.read_motions`.
        label: whether the loss sees the recorded turns, summed over the joints; if not, it sees
            positions only, as in ``kinematics``, and the error is that of the bones.

    Raises:
        ValueError: for a folder that cannot be used.
    """
    motions = read_motions(folder)
    places = len(motions.tree.joints) - 1 + len(motions.tree.ends)
    return Task(
        "motion" if label else "motion-positions",
        "clean",
        partial(_sample_motion, motions),
        partial(mlp, 3 * places, hidden=256),
        rotations=len(motions.tree.joints),
        loss=_sum_of_joints if label else partial(position_loss, tree=motions.tree),
        error=_mean_angle if label else partial(bone_error_degrees, tree=motions.tree),
    )


def with_loss(task: Task, loss: str) -> Task:
    """The task with the ``"l1"`` loss instead of its own, or with its own (``"l2"``).

    Raises:
        ValueError: for ``"l1"``, if the task's own loss is not the chordal one.
    """
    if loss == "l2":
        return task
    if task.loss is not chordal_loss:
        raise ValueError(f"the loss {loss!r} is for rotations; that of {task.name} is on positions")
    return replace(task, loss=absolute_loss)


TASKS = {"wahba": wahba, "points": points, "images": images, "kinematics": kinematics}
#: Tasks of others; they need more than this package: a renderer, a folder.
BENCHMARKS = ("cube", "motion", "motion-positions")


def find_task(
    name: str,
    variant: str = "clean",
    clouds: Path | str | None = None,
    skip_unreadable: bool = False,
    motions: Path | str | None = None,
) -> Task:
    """The task of that name.

    Args:
        clouds, skip_unreadable: for ``points``, see there.
        motions: the folder of recordings that ``motion`` and ``motion-positions`` need.

    Raises:
        ValueError: for an unknown name or variant, or clouds for a task that takes none.
    """
    if name not in (*TASKS, *BENCHMARKS):
        raise ValueError(f"unknown task {name!r}; known are {', '.join((*TASKS, *BENCHMARKS))}")
    if name.startswith("motion"):
        _require_variant(variant)
        if variant != "clean":
            raise ValueError(f"{name} has no variant {variant!r}")
        if motions is None:
            raise ValueError(f"{name} needs a folder of recordings: motions")
        return motion(motions, label=name == "motion")
    if clouds is None:
        return cube(variant) if name == "cube" else TASKS[name](variant)
    if name != "points":
        raise ValueError(f"clouds are for the points task, not for {name}")
    return points(variant, clouds, skip_unreadable)
