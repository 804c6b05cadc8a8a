r"""The nearest rotation where its trace does not give it: near points where it is not unique.

Its quaternion maximises :math:`q^\top K q` with Davenport's 4x4 matrix ``K``. Squaring
:math:`K + 3I` again and again leaves its largest eigenvalue only; where that is not simple any
column that is left is as near. No step depends on a value, so compilers can follow.
"""

import torch
from torch import Tensor

from rotlib._nearest.eigenvector import largest_eigenvector
from rotlib._nearest.formula import axis, cofactors, inner
from rotlib._numerics import diagonal, trace
from rotlib.matrix import unit_quaternion_to_matrix
from rotlib.quaternion import davenport


def inverse(A: Tensor, eps: float) -> Tensor:
    """Inverse of symmetric ``A`` with eigenvalues ``s_i + s_j >= 0``.

    Those of at most ``16 eps s1`` are left out, as in :func:`rotlib.svd.pair_gains`.
    """
    C = cofactors(A)
    a = trace(A)  # sum of the eigenvalues,
    ab = trace(C)  # of their products in pairs,
    abc = inner(A, C) / 3  # and the product of all
    identity = torch.eye(3, dtype=A.dtype, device=A.device)
    least = 16 * eps * a / 2
    safe_ab, safe_a = torch.where(ab > 0, ab, 1), torch.where(a > 0, a, 1)
    of_rank_1 = torch.where(a > 0, A / safe_a**2, 0)
    of_rank_2 = (a * (identity - C / safe_ab) - A) / safe_ab
    of_rank_3 = C / torch.where(abc > 0, abc, 1)
    P = torch.where(abc > least * ab, of_rank_3, of_rank_2)
    P = torch.where(ab > least * a, P, of_rank_1)
    return P + P @ (identity - A @ P)  # what the cofactors have lost where two sums are small


def nearest(M: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Nearest rotations of scaled ``M`` and ``Z``, whatever the singular values."""
    R = unit_quaternion_to_matrix(largest_eigenvector(davenport(M), eps))
    for _ in range(2):  # Newton steps
        P = inverse(complement(R, M), eps)
        R = turn(R, P @ axis(R.transpose(-1, -2) @ M))
    return R, R @ inverse(complement(R, M), eps)


def turn(R: Tensor, w: Tensor) -> Tensor:
    """``R`` turned about ``w (..., 3, 1)`` by Cayley: orthogonal also where the turn is large."""
    w = w.transpose(-1, -2)
    once = torch.linalg.cross(R, w, dim=-1)  # R hat(w)
    twice = torch.linalg.cross(once, w, dim=-1)
    return R + (once + twice / 2) / (1 + w.square().sum(-1, keepdim=True) / 4)


def complement(R: Tensor, M: Tensor) -> Tensor:
    """``tr(H) I - H`` with the symmetric part ``H`` of ``R^T M``: eigenvalues ``s_i + s_j``."""
    H = R.transpose(-1, -2) @ M
    parts = diagonal(H)
    sums = parts.roll(-1, -1) + parts.roll(-2, -1)  # of the other two: nothing cancels
    identity = torch.eye(3, dtype=H.dtype, device=H.device)
    return torch.where(identity > 0, sums[..., None], -(H + H.transpose(-1, -2)) / 2)
