"""The eigenvector of an extreme eigenvalue of symmetric 4x4 matrices, for quaternions."""

import math

import torch
from torch import Tensor

from rotlib._numerics import length, row_of_largest_diagonal, trace, widest


def largest_eigenvector(K: Tensor, eps: float) -> Tensor:
    """Unit eigenvector of the largest eigenvalue of ``(..., 4, 4)`` whose eigenvalues are above -3.

    Squared again and again, ``K + 3I`` keeps its largest eigenvalue only, up to gaps of ``eps``.
    Where it is not simple, any column that is left is one of its eigenvectors. No step depends on
    a value, so compilers can follow.
    """
    B = K + 3 * torch.eye(4, dtype=K.dtype, device=K.device)
    for n in range(4 - round(math.log2(eps))):
        if n % 4 == 0:  # squared four times, numbers stay within range
            B = B / trace(B)
        B = B @ B
    q = row_of_largest_diagonal(B)
    return q / torch.linalg.vector_norm(q, dim=-1, keepdim=True)


def smallest_eigenvector(A: Tensor) -> Tensor:
    """Unit eigenvector of the smallest eigenvalue, with derivatives up to the third.

    They come from steps of Newton's method, as those of :mod:`rotlib._nearest.newton`. Where the
    eigenvalue is not simple the derivative is zero.
    """
    eps = torch.finfo(A.dtype).eps
    A = widest(A)
    scale = A.detach().abs().amax((-2, -1), keepdim=True)
    A = A / torch.where(scale > 0, scale, 1)
    constant = A.detach()
    q = largest_eigenvector(-0.75 * constant, eps)[..., None]
    identity = torch.eye(4, dtype=A.dtype, device=A.device)
    P = _inverse(constant - _value(constant, q) * identity + q @ q.transpose(-1, -2), 16 * eps)
    P = P @ (identity - q @ q.transpose(-1, -2))
    better = _unit(q - P @ (A @ q))
    residual = A @ better - _value(A, better) * better
    step = P @ residual
    step = step + P @ (residual - A @ step + _value(A, better) * step)
    better = _unit(better - step)
    return (q + (better - better.detach()))[..., 0]


def _unit(q: Tensor) -> Tensor:
    return q / length(q.transpose(-1, -2))


def _value(A: Tensor, q: Tensor) -> Tensor:
    return q.transpose(-1, -2) @ A @ q


def _inverse(C: Tensor, least: float) -> Tensor:
    """Inverse of positive definite 4x4 by 2x2 blocks; zero where a pivot is below ``least``."""
    a, b, d = C[..., :2, :2], C[..., :2, 2:], C[..., 2:, 2:]
    a, sound = _inverse_2x2(a, least)
    s, also = _inverse_2x2(d - b.transpose(-1, -2) @ a @ b, least)
    corner = -a @ b @ s
    inverse = torch.cat(
        [
            torch.cat([a - corner @ b.transpose(-1, -2) @ a, corner], -1),
            torch.cat([corner.transpose(-1, -2), s], -1),
        ],
        -2,
    )
    return torch.where(sound & also, inverse, 0)


def _inverse_2x2(C: Tensor, least: float) -> tuple[Tensor, Tensor]:
    det = (C[..., 0, 0] * C[..., 1, 1] - C[..., 0, 1] * C[..., 1, 0])[..., None, None]
    total = trace(C)
    sound = det > least * total
    identity = torch.eye(2, dtype=C.dtype, device=C.device)
    return (total * identity - C) / torch.where(sound, det, 1), sound
