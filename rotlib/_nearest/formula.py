r"""The nearest rotation from its trace, equations (20.1) to (20.9), for whole batches.

Plain functions of tensors: they run on every device, and ``torch.compile``, ``torch.export``,
``torch.jit.trace`` and ONNX follow them. Matrices are scaled so that their squares sum to 3, as a
rotation's do, and are in double precision. :mod:`rotlib._nearest.loop` says the same for one matrix
at a time; chapter 20 derives every line.
"""

import numpy as np
import torch
from numpy.polynomial.chebyshev import cheb2poly, chebinterpolate
from torch import Tensor

#: The formula keeps its digits while D = (s1+s2)(s1+s3)(s2+s3) is at least this ...
SMALLEST = 1e-4
#: ... and for input in double precision five times this, and (s1+s2)(s1+s3) at least that.
SMALLEST_OF_TWO = 0.5
#: cos(2 arccos(u) / 3) for u in [0, 1] in powers of 2u - 1, from the highest: exact to 3e-15.
POLYNOMIAL = cheb2poly(
    # NumPy's annotation asks for a function of arrays to numbers.
    chebinterpolate(lambda v: np.cos(2 / 3 * np.arccos((1 + v) / 2)), 18)  # pyright: ignore
)[::-1].tolist()


def scaled(M: Tensor) -> tuple[Tensor, Tensor]:
    """``M`` in double precision with squares that sum to 3, and what it was divided by."""
    M = M.double()
    largest = M.abs().amax((-2, -1), keepdim=True)  # squares of 1e200 would overflow
    largest = torch.where(largest > 0, largest, 1)
    parts = M / largest
    size = largest * (inner(parts, parts) / 3).sqrt()
    size = torch.where(size > 0, size, 1)
    return M / size, size


def cofactors(M: Tensor) -> Tensor:
    """(20.1): the cross products of the rows, two by two."""
    return torch.linalg.cross(M.roll(-1, -2), M.roll(-2, -2), dim=-1)


def inner(x: Tensor, y: Tensor) -> Tensor:
    """Sum of the products of all nine entries, ``(..., 1, 1)``."""
    return (x * y).sum((-2, -1), keepdim=True)


def cosine_of_a_third(c: Tensor) -> Tensor:
    """cos(arccos(c) / 3), as a polynomial: compilers make one kernel of it, and ONNX knows it."""
    v = 2 * (0.5 + 0.5 * c).sqrt() - 1
    value = torch.zeros_like(v)
    for coefficient in POLYNOMIAL:
        value = value * v + coefficient
    return value


def trace(k: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
    """(20.3), (20.4): ``t = s1 + (s2 + s3)``, and ``s2 + s3``."""
    a = (1 - k / 3).clamp(min=1e-30)
    b = 1 - k / 2 + d * d / 2
    root = a.sqrt()
    x = 1 + 2 * root * cosine_of_a_third((b / (a * root)).clamp(-1, 1))
    s1 = x.sqrt()
    rest = (3 - x + 2 * d / s1).clamp(min=0).sqrt()
    return s1 + rest, rest


def denominator(t: Tensor, d: Tensor) -> Tensor:
    """(20.5): D."""
    return t * (t * t - 3) / 2 - d


def from_trace(M: Tensor, C: Tensor, t: Tensor, D: Tensor) -> Tensor:
    """(20.6): the rotation, but for rounding; Gram-Schmidt on its rows removes the rounding."""
    rows = M + cofactors(t * M + C) / D
    r1 = _unit(rows[..., 0, :])
    r2 = rows[..., 1, :]
    r2 = _unit(r2 - (r1 * r2).sum(-1, keepdim=True) * r1)
    return torch.stack([r1, r2, torch.linalg.cross(r1, r2, dim=-1)], -2)


def _unit(v: Tensor) -> Tensor:
    return v * (v * v).sum(-1, keepdim=True).rsqrt()


def nearest(M: Tensor, double_input: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Nearest rotations of scaled ``M``, ``Z``, and ``(..., 1, 1)`` which of them to trust."""
    C = cofactors(M)
    k, d = inner(C, C), inner(M, C) / 3
    t, rest = trace(k, d)
    D = denominator(t, d)
    accepted = D > ((SMALLEST_OF_TWO * rest).clamp(min=5 * SMALLEST) if double_input else SMALLEST)
    R = from_trace(M, C, t, D)
    if double_input:
        # Where s2 + s3 is small the trace has lost digits. tr(R^T M) has them all, because the
        # nearest rotation makes it stationary (20.7).
        t = inner(R, M)
        D = denominator(t, d)
        R = from_trace(M, C, t, D)
    return R, (t * M + C) / D, accepted  # (20.8)


def axis(A: Tensor) -> Tensor:
    """The vector of ``A - A^T``: ``(..., 3, 3)`` to ``(..., 3, 1)``."""
    difference = A - A.transpose(-1, -2)
    parts = difference[..., 2, 1], difference[..., 0, 2], difference[..., 1, 0]
    return torch.stack(parts, -1)[..., None]


def differential(change: Tensor, R: Tensor, Z: Tensor) -> Tensor:
    """(20.9): ``dR`` for ``change = dM``, and the gradient at M for ``change`` = gradient at R."""
    w = Z @ axis(R.transpose(-1, -2) @ change)
    return torch.linalg.cross(w.transpose(-1, -2), R.transpose(-1, -2), dim=-1).transpose(-1, -2)
