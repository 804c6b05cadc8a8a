"""Arithmetic shared by the maps: lengths at any scale, smooth functions of a squared angle."""

import functools
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
Result = TypeVar("Result")


def full_precision(f: Callable[P, Result]) -> Callable[P, Result]:
    """Keep autocast out: its half-precision products would leave matrices that are no rotations."""

    @functools.wraps(f)
    def in_full_precision(*arguments: P.args, **options: P.kwargs) -> Result:
        tensors = [x for x in (*arguments, *options.values()) if isinstance(x, Tensor)]
        device = tensors[0].device.type if tensors else "cpu"
        if not (torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)):
            return f(*arguments, **options)
        with torch.autocast(device, enabled=False):
            return f(*arguments, **options)

    return in_full_precision


def at_least_single(M: Tensor) -> Tensor:
    """In float32, if it was in half precision, for which LAPACK has no code."""
    return M.float() if M.dtype.itemsize < 4 else M


def widest(M: Tensor) -> Tensor:
    """In double precision, where the device has it."""
    return M.float() if M.device.type == "mps" else M.double()


def dot(x: Tensor, y: Tensor) -> Tensor:
    """Dot product along the last axis, which is kept."""
    return (x * y).sum(-1, keepdim=True)


def diagonal(A: Tensor) -> Tensor:
    """``(..., n, n)`` to ``(..., n)``, of operations that ONNX has."""
    return torch.stack([A[..., n, n] for n in range(A.shape[-1])], -1)


def row_of_largest_diagonal(A: Tensor) -> Tensor:
    """The row, ``(..., n)``, whose diagonal entry is the largest, of operations that ONNX has."""
    place = diagonal(A).argmax(-1)[..., None]
    chosen = place == torch.arange(A.shape[-1], device=A.device)
    return torch.where(chosen[..., None], A, 0).sum(-2)


def trace(A: Tensor) -> Tensor:
    """Sum of the diagonal, ``(..., 1, 1)``."""
    return diagonal(A).sum(-1)[..., None, None]


def length(v: Tensor) -> Tensor:
    """Euclidean norm along the last axis, which is kept, for every scale that the dtype can hold.

    The squares of entries such as 1e20 overflow float32. Dividing by the largest entry first, a
    constant and hence detached, changes neither the value nor the derivative.
    """
    scale = v.detach().abs().amax(-1, keepdim=True)
    scale = torch.where(scale > 0, scale, 1)
    return scale * torch.linalg.vector_norm(v / scale, dim=-1, keepdim=True)


def normalize(v: Tensor) -> Tensor:
    """``v / |v|`` along the last axis; NaN for the zero vector, which has no direction."""
    scaled = v / v.detach().abs().amax(-1, keepdim=True)
    return scaled / torch.linalg.vector_norm(scaled, dim=-1, keepdim=True)


def where_defined(
    defined: Tensor, f: Callable[[Tensor], Tensor], x: Tensor, elsewhere: Tensor
) -> Tensor:
    """``f(x)``, and for items that are not ``defined`` NaN, with a gradient of zero.

    ``f`` never sees such an item, but ``elsewhere`` in its place: the product of a masked gradient,
    zero, and an infinite derivative would be NaN, and reach the weights that all items share.
    """
    event = x.dim() - defined.dim()
    value = f(torch.where(defined[(..., *[None] * event)], x, elsewhere.to(x)))
    return torch.where(defined[(..., *[None] * (value.dim() - defined.dim()))], value, torch.nan)


def nan_if_not_finite(M: Tensor) -> Tensor:
    """0 for each matrix of a batch, NaN for one that holds NaN or infinity.

    Added to a result that does not read every entry, it keeps bad input from looking good.
    """
    return (M.detach() * 0).sum((-2, -1))


def even_function(
    t: Tensor, series: Sequence[float], direct: Callable[[Tensor], Tensor], below: float
) -> Tensor:
    """A smooth function of ``t`` (a squared angle): its power series ``below``, else ``direct``.

    Both branches are evaluated on safe arguments, so that neither value nor derivative of the
    branch not taken can leak a NaN.
    """
    small = t < below
    near, far = torch.where(small, t, 0), torch.where(small, 1, t)
    value = torch.zeros_like(t)
    for coefficient in reversed(series):
        value = value * near + coefficient
    return torch.where(small, value, direct(far))
