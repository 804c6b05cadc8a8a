"""Input rules shared by every public function: a clear error, or a tensor of the right shape."""

import torch
from torch import Tensor
from torch.autograd.forward_ad import unpack_dual
from torch.jit import is_tracing  # pyright: ignore[reportPrivateImportUsage]  (documented)
from torch.nn import Parameter
from torch.utils._python_dispatch import _get_current_dispatch_mode


def require_float(name: str, x: Tensor, expected: str = "") -> None:
    """Raise unless ``x`` is a floating-point tensor."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name} expects a torch.Tensor {expected}, got {type(x).__name__}")
    if not x.is_floating_point():
        raise TypeError(f"{name} expects a floating-point tensor {expected}, got {x.dtype}")


def require(name: str, x: Tensor, *shape: int | str) -> None:
    """Raise unless ``x`` is a floating-point tensor whose last dimensions are ``shape``.

    A number in ``shape`` must match; a letter stands for any size, the same letter for the same
    size. ``require("svd_orthogonalize", M, "n", "n")`` asks for square matrices.
    """
    if isinstance(x, Tensor) and x.is_floating_point() and _fits(tuple(x.shape), shape):
        return
    expected = f"(..., {', '.join(map(str, shape))})"
    require_float(name, x, expected)
    raise ValueError(f"{name} expects shape {expected}, got {tuple(x.shape)}")


def _fits(actual: tuple[int, ...], shape: tuple[int | str, ...]) -> bool:
    last = actual[-len(shape) :]
    sizes: dict[str, int] = {}
    return len(last) == len(shape) and all(
        size == (wanted if isinstance(wanted, int) else sizes.setdefault(wanted, size))
        for size, wanted in zip(last, shape, strict=True)
    )


def require_square(name: str, M: Tensor) -> None:
    """Raise unless ``M`` holds square matrices of size 2 or more."""
    require(name, M, "n", "n")
    if M.shape[-1] < 2:
        raise ValueError(f"{name} expects n >= 2, got {tuple(M.shape)}")


def require_pair(name: str, x: Tensor, y: Tensor, *shape: int | str) -> None:
    """Raise unless both tensors end in ``shape`` and their batch dimensions broadcast."""
    require(name, x, *shape)
    require(name, y, *shape)
    if x.dtype != y.dtype:
        raise TypeError(f"{name} expects one dtype for both, got {x.dtype} and {y.dtype}")
    try:
        torch.broadcast_shapes(x.shape, y.shape)
    except RuntimeError:
        raise ValueError(
            f"{name} expects batch shapes that broadcast, got {tuple(x.shape)} and {tuple(y.shape)}"
        ) from None


def is_plain(x: Tensor) -> bool:
    """Whether ``x`` is numbers in memory, which code other than PyTorch's may read.

    No compiler or tracer watches, no ``torch.func`` transform and no dual number is at work, ``x``
    is of no subclass, and no minus sign waits to be applied, as one does in ``z.conj().imag``.
    """
    if torch.compiler.is_compiling() or is_tracing():
        return False
    if type(x) is not Tensor and type(x) is not Parameter:
        return False
    if torch._C._are_functorch_transforms_active() or _get_current_dispatch_mode() is not None:
        return False
    if x.device.type == "meta" or x.layout != torch.strided or x.is_neg():
        return False
    try:  # inside a transform of an older kind there is none
        x.data_ptr()
    except RuntimeError:
        return False
    return unpack_dual(x).tangent is None
