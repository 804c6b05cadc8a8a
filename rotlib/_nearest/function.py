"""The nearest rotation for all callers: the kernel for plain numbers, Newton for the rest."""

import itertools
import threading
from collections.abc import Callable
from types import ModuleType

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
        return _Nearest.apply(M)[0]
    R, Z = _by_formula(M.detach())
    return newton.with_derivatives(
        M.double(), R, newton.solver_in_space(R.transpose(-1, -2) @ Z)
    ).to(M.dtype)


class _Nearest(Function):
    """(20.6) forward, (20.9) backward; ``Z`` of (20.8) is kept for it."""

    @staticmethod
    def forward(M: Tensor) -> tuple[Tensor, Tensor]:
        flat = at_least_single(M.detach()).reshape(-1, 3, 3)
        loop = _loop(M)
        R, Z = _by_loop(loop, flat) if loop else _by_formula(flat)
        return R.to(M.dtype).reshape(M.shape), Z.to(flat.dtype).reshape(M.shape)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(*inputs, *output)

    @staticmethod
    def backward(ctx, G, _):
        M, R, Z = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradient itself will be differentiated
            R, Z = R.detach().double(), Z.double()
            solve = newton.solver_in_space(R.transpose(-1, -2) @ Z)
            gradient = newton.gradient_with_derivatives(G.double(), M.double(), R, solve)
        elif (loop := _loop(G)) and is_plain(G):
            gradient = _differential_by_loop(loop, G.to(Z.dtype), R.to(Z.dtype), Z)
        else:
            gradient = formula.differential(G.double(), R.double(), Z.double())
        return gradient.to(M.dtype)


def _loop(x: Tensor) -> ModuleType | None:
    """The compiled loop, if Numba is installed and ``x`` is on the CPU."""
    if x.device.type != "cpu":
        return None
    try:
        from rotlib._nearest import loop
    except ImportError:
        return None
    return loop


def _by_formula(M: Tensor) -> tuple[Tensor, Tensor]:
    """Nearest rotations and ``Z`` in double precision. No step depends on a value."""
    S, size = formula.scaled(M)
    R, Z, accepted = formula.nearest(S, M.dtype == torch.float64)
    others = refused.nearest(S, torch.finfo(M.dtype).eps)
    R, Z = (torch.where(accepted, x, y) for x, y in zip((R, Z), others, strict=True))
    return R, Z / size


def _by_loop(loop: ModuleType, M: Tensor) -> tuple[Tensor, Tensor]:
    """The same for ``(n, 3, 3)`` on the CPU in the precision of ``M``; the refused apart."""
    R, Z = torch.empty_like(M), torch.empty_like(M)
    rejected = torch.empty(len(M), dtype=torch.bool)
    _in_parts(loop.nearest, *_rows(M, R, Z), rejected.numpy())
    if rejected.any():
        S, size = formula.scaled(M[rejected])
        others = refused.nearest(S, torch.finfo(M.dtype).eps)
        R[rejected], Z[rejected] = others[0].to(M.dtype), (others[1] / size).to(M.dtype)
    return R, Z


def _differential_by_loop(loop: ModuleType, G: Tensor, R: Tensor, Z: Tensor) -> Tensor:
    out = torch.empty_like(Z)
    _in_parts(loop.differential, *_rows(G, R, Z, out))
    return out


def _rows(*matrices: Tensor):
    return [x.reshape(-1, 9).numpy() for x in matrices]


def _in_parts(f: Callable, *arrays) -> None:
    """Call ``f``, which holds no lock, on parts of long arrays in as many threads as PyTorch's."""
    n = len(arrays[0])
    parts = max(1, min(torch.get_num_threads(), n // MANY))
    cuts = [n * k // parts for k in range(parts + 1)]
    first, *others = ([x[i:j] for x in arrays] for i, j in itertools.pairwise(cuts))
    threads = [threading.Thread(target=f, args=part) for part in others]
    for thread in threads:
        thread.start()
    f(*first)
    for thread in threads:
        thread.join()
