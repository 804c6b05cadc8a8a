"""How far apart two rotations are."""

import torch
from torch import Tensor

from rotlib._input import require_pair
from rotlib._numerics import full_precision
from rotlib.quaternion import matrix_to_quaternion


@full_precision
def geodesic_distance(R1: Tensor, R2: Tensor) -> Tensor:
    r"""Angle in radians of the rotation that carries ``R1`` to ``R2``.

    .. math:: \theta = 2\,\mathrm{atan2}(\lVert q_v \rVert, q_w), \qquad
        q = \text{unit quaternion of } R_1^\top R_2

    Args:
        R1: ``(..., 3, 3)`` rotation matrices.
        R2: ``(..., 3, 3)`` rotation matrices; batch shapes broadcast.

    Returns:
        ``(...)`` angles in :math:`[0, \pi]`.

    Singular points:
        At ``R1 = R2`` the distance has a kink; the derivative returned is 0, its subgradient of
        least norm. At half a turn it has a ridge; the derivative returned is that of one side (a
        unit rotation), never 0 or infinity. Everywhere else it is exact. At ``R1 = R2`` there
        is no second derivative, not even of the square; for a squared angle that is smooth there,
        use ``matrix_to_rotvec(R1.mT @ R2).square().sum(-1)``.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: chapter 1, equation (1.8).
    """
    require_pair("geodesic_distance", R1, R2, 3, 3)
    # I + R1^T (R2 - R1) equals R1^T R2, and keeps the digits of R2 - R1 when they are close.
    identity = torch.eye(3, dtype=R1.dtype, device=R1.device)
    q_w, q_v = matrix_to_quaternion(identity + R1.transpose(-1, -2) @ (R2 - R1)).split([1, 3], -1)
    return 2 * torch.atan2(torch.linalg.vector_norm(q_v, dim=-1), q_w.squeeze(-1))


def chordal_distance(R1: Tensor, R2: Tensor) -> Tensor:
    r"""Frobenius norm of the difference of two matrices.

    .. math:: \lVert R_1 - R_2 \rVert_F = 2\sqrt2\,\sin(\theta/2) \quad\text{for rotations}

    Args:
        R1: ``(..., 3, 3)`` matrices.
        R2: ``(..., 3, 3)`` matrices; batch shapes broadcast.

    Returns:
        ``(...)`` distances; at most :math:`2\sqrt2` for rotations.

    Singular points:
        At ``R1 = R2`` the derivative returned is 0, the subgradient of least norm.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: chapter 1, equation (1.9).
    """
    require_pair("chordal_distance", R1, R2, 3, 3)
    return torch.linalg.vector_norm(R1 - R2, dim=(-2, -1))


def geodesic_distance_naive(R1: Tensor, R2: Tensor) -> Tensor:
    r"""The textbook :math:`\arccos((\operatorname{tr} R_1^\top R_2 - 1)/2)`, kept to show it break.

    Args:
        R1: ``(..., 3, 3)`` rotation matrices.
        R2: ``(..., 3, 3)`` rotation matrices; batch shapes broadcast.

    Returns:
        ``(...)`` angles in radians.

    Singular points:
        Near 0 and near half a turn half of the digits are lost. At 0 the derivative is infinite
        or NaN, and rounding may push the argument beyond 1, so that the value is NaN too.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: chapter 1 (its failure: chapter 3).
    """
    require_pair("geodesic_distance_naive", R1, R2, 3, 3)
    trace = (R1 * R2).sum((-2, -1))
    return torch.acos((trace - 1) / 2)
