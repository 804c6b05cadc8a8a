"""A toy aeroplane of six ellipsoids: as a cloud of points, and as a picture."""

import math
from typing import NamedTuple

import torch
from torch import Generator, Tensor

#: The parts: name, centre, radii, colour, points. Nose along x, left wing along y, fin along z.
_PARTS = (
    ("body", (0.0, 0, 0), (1.0, 0.16, 0.16), (0.85, 0.85, 0.88), 8),
    ("left wing", (0.05, 0.55, 0), (0.22, 0.5, 0.05), (0.85, 0.25, 0.20), 6),
    ("right wing", (0.05, -0.55, 0), (0.22, 0.5, 0.05), (0.20, 0.55, 0.25), 6),
    ("tailplane", (-0.85, 0, 0), (0.13, 0.34, 0.04), (0.30, 0.35, 0.80), 4),
    ("fin", (-0.85, 0, 0.24), (0.15, 0.04, 0.24), (0.95, 0.80, 0.25), 4),
    ("cockpit", (0.45, 0, 0.16), (0.28, 0.10, 0.10), (0.20, 0.22, 0.28), 4),
)
_LEFT, _RIGHT, _FIN, _COCKPIT = 1, 2, 4, 5
POINTS = sum(part[4] for part in _PARTS)


class Solids(NamedTuple):
    """``n`` aeroplanes: ``centres``, ``radii``, ``colours``, each ``(n, parts, 3)``."""

    centres: Tensor
    radii: Tensor
    colours: Tensor


def uniform(generator: Generator, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    return low + (high - low) * torch.rand(*shape, generator=generator, device=generator.device)


def log_uniform(generator: Generator, n: int, low: float, high: float) -> Tensor:
    return uniform(generator, n, low=math.log(low), high=math.log(high)).exp()


def normal(generator: Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator, device=generator.device)


def aeroplanes(n: int, generator: Generator, *, vary: float = 0.2, symmetric: float = 0.0):
    """Draw ``n`` aeroplanes.

    Args:
        n: how many.
        generator: source of randomness; its device is the result's.
        vary: proportions differ by up to this share of their usual size.
        symmetric: share of the aeroplanes without fin and cockpit and with wings of one colour;
            half a turn about the body leaves those as they are.

    Returns:
        The :class:`Solids`, and ``(n,)`` booleans: which of them are symmetric.
    """
    device = generator.device
    centres, radii, colours = (
        torch.tensor([part[field] for part in _PARTS], device=device).expand(n, -1, -1).clone()
        for field in (1, 2, 3)
    )
    scale = 1 + vary * uniform(generator, n, 5, low=-1.0)
    for tensor in (centres, radii):
        tensor *= scale[:, None, :3]
        tensor[:, _LEFT : _RIGHT + 1, 1] *= scale[:, 3, None]
        tensor[:, _FIN, 2] *= scale[:, 4]
    plain = uniform(generator, n) < symmetric
    colours[plain, _RIGHT] = colours[plain, _LEFT]
    for part in (_FIN, _COCKPIT):  # hidden inside the body
        centres[plain, part] = 0
        radii[plain, part] = radii[plain, 0] / 2
    return Solids(centres, radii, colours), plain


def _fibonacci_sphere(n: int) -> Tensor:
    k = torch.arange(n) + 0.5
    z, turn = 1 - 2 * k / n, k * math.pi * (1 + math.sqrt(5))
    around = (1 - z**2).sqrt()
    return torch.stack([around * turn.cos(), around * turn.sin(), z], -1)


_DIRECTIONS = torch.cat([_fibonacci_sphere(part[4]) for part in _PARTS])
_PART_OF_POINT = torch.cat([torch.full((part[4],), k) for k, part in enumerate(_PARTS)])


def surface_points(solids: Solids, generator: Generator, *, scattered: bool) -> Tensor:
    """Points on the surfaces, ``(n, POINTS, 3)``: the same on every aeroplane, or scattered."""
    device = solids.centres.device
    part = _PART_OF_POINT.to(device)
    directions = _DIRECTIONS.to(device)
    if scattered:
        directions = normal(generator, len(solids.centres), POINTS, 3)
        directions = torch.nn.functional.normalize(directions, dim=-1)
    return solids.centres[:, part] + solids.radii[:, part] * directions


def render(R: Tensor, solids: Solids, light: Tensor, background: Tensor, size: int = 32) -> Tensor:
    r"""Pictures of turned aeroplanes, seen from +z without perspective.

    The ray through a pixel meets the ellipsoid :math:`d^\top A\,d = 1`, :math:`A = R
    \operatorname{diag}(r^{-2}) R^\top`, :math:`d` from its centre, at the depths

    .. math:: z = \ell(x, y) \pm \sqrt{\delta(x, y)}

    with a linear :math:`\ell` and a quadratic :math:`\delta`, so that two matrix products serve
    all pixels. The nearest hit gives colour and normal :math:`A d`. Nothing here needs a gradient.

    Args:
        R: ``(n, 3, 3)`` rotations.
        solids: ``n`` aeroplanes.
        light: ``(n, 3)`` direction towards the light; its length is the brightness.
        background: ``(n, 3, size, size)`` pictures to paint on.
        size: pixels along an edge.

    Returns:
        ``(n, 3, size, size)`` pictures with values in [0, 1].
    """
    edge = 1.15 * (2 * torch.arange(size, dtype=R.dtype, device=R.device) + 1 - size) / size
    y, x = (grid.flatten() for grid in torch.meshgrid(-edge, edge, indexing="ij"))
    one = torch.ones_like(x)
    centre = (R[:, None] @ solids.centres[..., None]).squeeze(-1)
    A = (R[:, None] * solids.radii[..., None, :] ** -2) @ R[:, None].mT
    cx, cy, cz = centre.unbind(-1)
    a = A[..., 2, 2]
    ax, ay = A[..., 0, 2] / a, A[..., 1, 2] / a
    xx = A[..., 0, 0] / a - ax**2
    xy = A[..., 0, 1] / a - ax * ay
    yy = A[..., 1, 1] / a - ay**2
    linear = torch.stack([cz + ax * cx + ay * cy, -ax, -ay], -1)
    quadratic = torch.stack(
        [
            1 / a - xx * cx**2 - 2 * xy * cx * cy - yy * cy**2,
            2 * (xx * cx + xy * cy),
            2 * (xy * cx + yy * cy),
            -xx,
            -2 * xy,
            -yy,
        ],
        -1,
    )
    delta = quadratic @ torch.stack([one, x, y, x * x, x * y, y * y])
    depth = linear @ torch.stack([one, x, y]) + delta.clamp(min=0).sqrt()
    nearest, part = torch.where(delta > 0, depth, -torch.inf).max(1)
    item, pixel = nearest.isfinite().nonzero(as_tuple=True)
    part = part[item, pixel]
    hit = torch.stack([x[pixel], y[pixel], nearest[item, pixel]], -1)
    outward = (A[item, part] @ (hit - centre[item, part])[..., None]).squeeze(-1)
    normals = torch.nn.functional.normalize(outward, dim=-1)
    shade = 0.35 + 0.65 * (normals * light[item]).sum(-1, keepdim=True).clamp(min=0)
    picture = background.flatten(2).clone()
    picture[item, :, pixel] = solids.colours[item, part] * shade
    return picture.unflatten(-1, (size, size)).clamp(0, 1)
