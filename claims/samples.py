"""Matrices and rotations that the claims are measured on, the same on every machine."""

import torch
from torch import Tensor

from rotlib import random_rotations

EYE = torch.eye(3, dtype=torch.float64)


def gaussians(n: int = 1000) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, 3, 3, generator=generator, dtype=torch.float64)


def rotations(n: int, seed: int = 1) -> Tensor:
    return random_rotations(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def diagonal(*entries: float) -> Tensor:
    return torch.diag(torch.tensor(entries, dtype=torch.float64))


def largest(*gaps: Tensor) -> Tensor:
    """The largest size of all entries; NaN if one is, which Python's ``max`` would pass over."""
    return torch.stack([gap.abs().max() for gap in gaps]).max()
