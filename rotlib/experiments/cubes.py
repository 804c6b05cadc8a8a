"""Pictures of a painted cube, as in a published benchmark; rendered by MuJoCo.

Needs the extra ``cubes`` (``pip install rotlib[cubes]``) and, on a machine without a display,
a software renderer: Debian's ``libosmesa6`` and ``MUJOCO_GL=osmesa``.

Source: the scene, its colours and sizes, and the network are those of experiment 2.1 of
{cite}`geist2024rotations`, from its published configuration.
"""

import atexit
import functools
import importlib
import os
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rotlib.quaternion import matrix_to_quaternion

SIZE = 64
#: Of the disc in which the cube stays, in pixels.
RADIUS = 21.0
_AT = torch.arange(SIZE) - (SIZE - 1) / 2
#: ``(64, 64)``: the pixels that it reaches in some pose. All others are always black.
INSIDE = (_AT[:, None].square() + _AT.square()).sqrt() < RADIUS
#: Half sizes, centre and colour of each box: a core, and six walls. Red is a tenth too near.
_BOXES = (
    ("0.1 0.1 0.1", "0 0 0", "0.5 0.5 0.5"),
    ("1 1 0.01", "0 0 0.9", "1 0 0"),
    ("1 1 0.01", "0 0 -0.99", "0 0 1"),
    ("0.01 1 1", "0.99 0 0", "0 1 0"),
    ("0.01 1 1", "-0.99 0 0", "0 0.6 0.6"),
    ("1 0.01 1", "0 0.99 0", "0.6 0.6 0"),
    ("1 0.01 1", "0 -0.99 0", "0.6 0 0.6"),
)
# A small map of shadows instead of 4,096 x 4,096 gives the same pictures eight times sooner.
_SCENE = (
    '<mujoco><visual><quality shadowsize="512"/></visual><worldbody>'
    '<light pos="0 0 0"/><body><joint type="ball"/>'
    + "".join(f'<geom type="box" size="{s}" pos="{p}" rgba="{c} 1"/>' for s, p, c in _BOXES)
    + "</body></worldbody></mujoco>"
)


def can_render() -> bool:
    """Whether MuJoCo is there and can draw on this machine."""
    try:
        _renderer()
    except RuntimeError:
        return False
    return True


@functools.cache
def _renderer():
    if "DISPLAY" not in os.environ:
        os.environ.setdefault("MUJOCO_GL", "osmesa")
    try:
        mujoco: Any = importlib.import_module("mujoco")
    except ImportError:
        raise RuntimeError("cubes need MuJoCo: pip install rotlib[cubes]") from None
    try:
        model = mujoco.MjModel.from_xml_string(_SCENE)
        renderer = mujoco.Renderer(model, SIZE, SIZE)
    except Exception as error:  # of whichever library draws
        raise RuntimeError(f"MuJoCo cannot draw here ({error}); see MUJOCO_GL") from None
    atexit.register(renderer.close)  # left to the interpreter's end, it complains
    return mujoco, model, mujoco.MjData(model), renderer


@functools.lru_cache(maxsize=24)
def _render(quaternions: bytes) -> np.ndarray:
    """``(n, 64, 64, 3)`` bytes; kept, because all heads train on the same sets."""
    mujoco, model, data, renderer = _renderer()
    pictures = []
    for q in np.frombuffer(quaternions).reshape(-1, 4):
        data.qpos = q
        mujoco.mj_forward(model, data)
        renderer.update_scene(data)
        pictures.append(renderer.render().copy())
    return np.stack(pictures)


def render_cubes(R: Tensor) -> Tensor:
    """Pictures of the cube as the benchmark takes them.

    The benchmark hands the unit quaternion ``(x, y, z, w)`` of its target to a renderer that
    reads ``(w, x, y, z)``. So the cube in the picture is not turned by ``R`` but by ``A Rᵀ B``,
    with two fixed rotations ``A`` and ``B``: a name for the pose as good as ``R``, and kept.

    Args:
        R: ``(n, 3, 3)`` targets.

    Returns:
        ``(n, 64, 64, 3)`` bytes.

    Raises:
        RuntimeError: without MuJoCo.
    """
    quaternions = matrix_to_quaternion(R.double().cpu()).roll(-1, -1)  # to (x, y, z, w)
    return torch.from_numpy(_render(quaternions.contiguous().numpy().tobytes()))


def look_at_cubes(R: Tensor) -> Tensor:
    """The pixels that are not always black, in [0, 1]: ``(n, 3 * INSIDE.sum())``.

    Raises:
        RuntimeError: without MuJoCo.
    """
    pictures = render_cubes(R)
    if pictures[:, ~INSIDE].any():
        raise RuntimeError("the cube left the disc in which it should stay")
    return (pictures[:, INSIDE].flatten(1).float() / 255).to(R.device)


class CubeNet(nn.Module):
    """Two hidden layers of 256 on all 12,288 numbers of a picture.

    A weight on a pixel that is always black does nothing and never moves. It is drawn, so that
    the others are what they would be in the full network, and left out.
    """

    def __init__(self, width: int, scale: float = 1):
        super().__init__()
        hidden = round(256 * scale)
        self.first = nn.Linear(3 * SIZE**2, hidden)
        seen = INSIDE.flatten().repeat_interleave(3).nonzero().flatten()
        self.first.weight = nn.Parameter(self.first.weight.detach()[:, seen])
        self.first.in_features = len(seen)
        self.rest = nn.Sequential(
            nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, width)
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """``(n, 3 * INSIDE.sum())`` to ``(n, width)``."""
        return self.rest(self.first(pixels))
