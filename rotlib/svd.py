"""The singular value decomposition whose ``U V^T`` is a rotation, and the gains it implies."""

import torch
from torch import Tensor

from rotlib._numerics import at_least_single, full_precision


@full_precision
def signed_svd(M: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    r"""Singular value decomposition with both factors such that ``U @ V.mT`` is a rotation.

    .. math:: M = U \operatorname{diag}(s)\, V^\top, \qquad
        \det(U V^\top) = 1, \qquad s_1 \ge \dots \ge s_{n-1} \ge |s_n|

    The last *signed* singular value carries the sign of ``det M``, and the last column of ``V``
    is flipped to match. Batch items that are not finite come out as NaN, alone.

    Args:
        M: ``(..., n, n)`` matrices.

    Returns:
        ``U (..., n, n)``, ``s (..., n)``, ``V (..., n, n)``.

    Singular points:
        None.

    Raises:
        TypeError, ValueError: for a wrong dtype or shape.

    Source: chapter 6, equation (6.3).
    """
    working = at_least_single(M)
    # One NaN would make LAPACK reject the whole batch.
    bad = ~working.isfinite().all(-1, keepdim=True).all(-2, keepdim=True)
    identity = torch.eye(M.shape[-1], dtype=working.dtype, device=M.device)
    U, s, Vh = torch.linalg.svd(torch.where(bad, identity, working))
    handedness = torch.sign(torch.linalg.det(U.detach()) * torch.linalg.det(Vh.detach()))
    flip = torch.cat([torch.ones_like(s[..., :-1]), handedness[..., None]], -1)
    U, s = U.masked_fill(bad, torch.nan), (s * flip).masked_fill(bad.squeeze(-1), torch.nan)
    return U.to(M.dtype), s.to(M.dtype), (Vh.transpose(-1, -2) * flip[..., None, :]).to(M.dtype)


def pair_gains(s: Tensor) -> Tensor:
    r""":math:`1/(s_i + s_j)` for every pair ``i != j``, and 0 where the derivative does not exist.

    That is where :math:`s_i + s_j` is zero to working precision (at most ``16 eps s_1``): there
    the nearest rotation is not unique, and rounding alone decides which one is returned.
    """
    sums = s[..., :, None] + s[..., None, :]
    pairs = ~torch.eye(s.shape[-1], dtype=torch.bool, device=s.device)
    exists = pairs & (sums > 16 * torch.finfo(s.dtype).eps * s[..., None, None, 0])
    return torch.where(exists, 1 / torch.where(exists, sums, 1), 0)
