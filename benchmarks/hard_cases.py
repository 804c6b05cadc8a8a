"""Matrices on which projections lose digits, and the exact answers in fifty digits."""

import itertools

import mpmath as mp
import torch
from torch import Tensor

from rotlib import random_rotations

DOUBLE = torch.float64
GAPS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)


def singular_values() -> dict[str, tuple[float, float, float]]:
    """Signed singular values of the classes that are made from them."""
    near_rank_1 = {f"s2 + s3 = {gap:.0e}, both small": (1.0, 0.7 * gap, 0.3 * gap) for gap in GAPS}
    mirrored = {f"s2 + s3 = {gap:.0e}, det < 0": (1.0, 0.5, gap - 0.5) for gap in GAPS}
    return {
        **near_rank_1,
        **mirrored,
        "rank 2": (1.0, 0.6, 0.0),
        "nearly rank 2": (1.0, 0.6, -1e-12),
        "two largest equal": (1.0, 1.0, 0.3),
        "two largest equal, det < 0": (1.0, 1.0, -0.3),
        "two smallest equal": (1.0, 0.3, 0.3),
        "nearly minus a rotation": (1.0, 1.0, -0.999),
        "1 % from minus a rotation": (1.0, 1.0, -0.99),
        "not far from minus a rotation": (1.0, 0.97, -0.94),
        "nearly rank 1, tilted": (1.0, 2.2e-5, -1.8e-6),
    }


def hard_cases(items: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Float64 matrices ``(items, 3, 3)`` for each of 27 classes."""

    def turned(s: Tensor) -> Tensor:
        left, right = (random_rotations(items, generator=generator, dtype=DOUBLE) for _ in range(2))
        return left @ torch.diag(s) @ right.mT

    noise = torch.randn(items, 3, 3, generator=generator, dtype=DOUBLE)
    rotations = random_rotations(items, generator=generator, dtype=DOUBLE)
    sign = torch.linalg.det(noise).sign()[:, None, None]
    made = {name: turned(torch.tensor(s, dtype=DOUBLE)) for name, s in singular_values().items()}
    return made | {
        "rotations": rotations,
        "1e-7 from rotations": rotations + 1e-7 * noise,
        "Gaussian, det > 0": noise * sign,
        "Gaussian, det < 0": -noise * sign,
        "Gaussian times 1e20": noise * 1e20,
        "Gaussian times 1e-20": noise * 1e-20,
    }


def exact(M: Tensor, G: Tensor) -> tuple[Tensor, Tensor, float, float]:
    """(8.7) in fifty digits, for one matrix and the gradient ``G`` at its nearest rotation.

    Returns:
        The rotation and the gradient at ``M``, rounded to float64; ``s1 / (s2 + s3)``, the factor
        by which the rotation magnifies a relative error of ``M``; and ``s2 + s3``.
    """
    with mp.workdps(50):
        U, s, Vh = mp.svd_r(mp.matrix(M.tolist()))
        sign = mp.sign(mp.det(U) * mp.det(Vh))
        Vh[2, :] *= sign
        s[2] *= sign
        P = U.T * mp.matrix(G.tolist()) * Vh.T
        K = mp.matrix(3, 3)
        for i, j in itertools.permutations(range(3), 2):
            K[i, j] = (P[i, j] - P[j, i]) / (s[i] + s[j])
        value, gradient = (
            torch.tensor([[float(x) for x in row] for row in A.tolist()], dtype=DOUBLE)
            for A in (U * Vh, U * K * Vh)
        )
        return value, gradient, float(s[0] / (s[1] + s[2])), float(s[1] + s[2])
