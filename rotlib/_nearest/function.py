"""The nearest rotation for all callers: the kernel for plain numbers, Newton for the rest."""

import functools
import itertools
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function

from rotlib._input import is_plain
from rotlib._nearest import formula, newton, refused
from rotlib._numerics import at_least_single
from rotlib.svd import pair_gains, signed_svd

#: Matrices from which on a second thread is worth its start.
MANY = 16_384


def nearest_rotation(M: Tensor) -> Tensor:
    """``(..., n, n)`` to the nearest rotations, with derivatives."""
    if M.shape[-1] != 3 or M.device.type == "mps":  # which has no double precision
        working = at_least_single(M)
        U, s, V = signed_svd(working.detach())
        solve = newton.solver_from_eigenvectors(V, pair_gains(s))
        return newton.with_derivatives(working, U @ V.transpose(-1, -2), solve).to(M.dtype)
    if is_plain(M):
        recorded = M.requires_grad and torch.is_grad_enabled()
        return _Nearest.apply(M) if recorded else _nearest(M)[0]
    # What is exported shall run where rotlib is not.
    compiling = torch.compiler.is_compiling() and not torch.compiler.is_exporting()
    if compiling and M.device.type == "cpu" and not torch._C._are_functorch_transforms_active():
        return _compiled_nearest(M)[0]
    R, Z = _by_formula(M.detach())
    solve = newton.solver_in_space(R.transpose(-1, -2) @ Z)
    return newton.with_derivatives(M.double(), R, solve).to(M.dtype)


class _Nearest(Function):
    """(20.6) forward, (20.9) backward; ``Z`` of (20.8) is kept for it."""

    @staticmethod
    def forward(ctx, M):
        R, Z = _nearest(M)
        ctx.save_for_backward(M, R, Z)
        return R

    @staticmethod
    def backward(ctx, G):
        return _gradient(G, _differential, *ctx.saved_tensors)


def _gradient(G: Tensor, differential: Callable, M: Tensor, R: Tensor, Z: Tensor) -> Tensor:
    if not torch.is_grad_enabled():
        return differential(G, R, Z)
    R, Z = R.detach().double(), Z.double()  # the gradient itself will be differentiated
    solve = newton.solver_in_space(R.transpose(-1, -2) @ Z)
    return newton.gradient_with_derivatives(G.double(), M.double(), R, solve).to(M.dtype)


# The same for ``torch.compile`` on the CPU. What it makes of the formula is slower by far and takes
# a minute to compile; into Numba's loop it cannot look, and takes it as a step of its own.


@torch.library.custom_op("rotlib::nearest", mutates_args=(), device_types="cpu")
def _compiled_nearest(M: Tensor) -> tuple[Tensor, Tensor]:
    return _nearest(M)


@torch.library.custom_op("rotlib::differential", mutates_args=(), device_types="cpu")
def _compiled_differential(G: Tensor, R: Tensor, Z: Tensor) -> Tensor:
    return _differential(G, R, Z)


@_compiled_nearest.register_fake
def _(M: Tensor) -> tuple[Tensor, Tensor]:
    R = torch.empty(M.shape, dtype=M.dtype, device=M.device)
    return R, torch.empty_like(at_least_single(R))


_compiled_differential.register_fake(lambda G, R, Z: torch.empty_like(R))
_compiled_nearest.register_autograd(
    lambda ctx, G, _: _gradient(G, _compiled_differential, *ctx.saved_tensors),
    setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs, *output),
)


def _nearest(M: Tensor) -> tuple[Tensor, Tensor]:
    """Nearest rotations of plain ``M`` in its precision, and ``Z`` in at least single."""
    flat = at_least_single(M.detach())
    if flat.dim() != 3:
        flat = flat.reshape(-1, 3, 3)
    R, Z = _by_loop(flat) if _loop(M) else _by_formula(flat)
    if R.dtype != M.dtype:
        R, Z = R.to(M.dtype), Z.to(flat.dtype)
    return (R, Z) if M.dim() == 3 else (R.reshape(M.shape), Z.reshape(M.shape))


def _differential(G: Tensor, R: Tensor, Z: Tensor) -> Tensor:
    """(20.9) in the precision of ``R``."""
    if not (_loop(G) and is_plain(G)):
        return formula.differential(G.double(), R.double(), Z.double()).to(R.dtype)
    out = torch.empty(R.shape, dtype=Z.dtype, device=Z.device)
    _in_parts(_numba().differential, *(_array(x, Z.dtype) for x in (G, R, Z, out)))
    return out if out.dtype == R.dtype else out.to(R.dtype)


@functools.cache
def _numba() -> Any:
    """The compiled loop, or ``None`` where Numba is not installed."""
    try:
        from rotlib._nearest import loop
    except ImportError:
        return None
    return loop


def _loop(x: Tensor) -> Any:
    """The compiled loop, if there is one and ``x`` is on the CPU."""
    return _numba() if x.device.type == "cpu" else None


def _by_formula(M: Tensor) -> tuple[Tensor, Tensor]:
    """Nearest rotations and ``Z`` in double precision. No step depends on a value."""
    S, size = formula.scaled(M)
    R, Z, accepted = formula.nearest(S, M.dtype == torch.float64)
    others = refused.nearest(S, torch.finfo(M.dtype).eps)
    R, Z = (torch.where(accepted, x, y) for x, y in zip((R, Z), others, strict=True))
    return R, Z / size


def _by_loop(M: Tensor) -> tuple[Tensor, Tensor]:
    """The same for ``(n, 3, 3)`` on the CPU in the precision of ``M``."""
    R, Z = (torch.empty(M.shape, dtype=M.dtype, device=M.device) for _ in range(2))
    _in_parts(_numba().nearest, *(_array(x, M.dtype) for x in (M, R, Z)))
    return R, Z


def _array(x: Tensor, dtype: torch.dtype) -> np.ndarray:
    """``(n, 3, 3)``, contiguous; shares its memory with ``x`` if that is so already."""
    x = x.detach()
    if x.dtype != dtype:
        x = x.to(dtype)
    if x.dim() != 3:
        x = x.reshape(-1, 3, 3)
    return x.contiguous().numpy()


def _in_parts(f: Callable, *arrays: np.ndarray) -> None:
    """``f`` of parts of long arrays, in as many threads as PyTorch's."""
    n = len(arrays[0])
    parts = min(torch.get_num_threads(), n // MANY)
    if parts < 2:
        f(*arrays)
        return
    cuts = [n * k // parts for k in range(parts + 1)]
    own, *others = ([x[i:j] for x in arrays] for i, j in itertools.pairwise(cuts))
    threads = [threading.Thread(target=f, args=part) for part in others]
    for thread in threads:
        thread.start()
    f(*own)
    for thread in threads:
        thread.join()
