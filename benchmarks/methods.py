"""The ways to the nearest rotation that are measured side by side."""

import roma
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from rotlib import svd_orthogonalize
from rotlib.svd import pair_gains, signed_svd


def svd_and_autograd(M: Tensor) -> Tensor:
    """The usual recipe: PyTorch's SVD, the last row turned by the determinant, autograd."""
    U, _, Vh = torch.linalg.svd(M)
    last = Vh[..., 2:, :] * torch.linalg.det(U @ Vh)[..., None, None]
    return U @ torch.cat([Vh[..., :2, :], last], -2)


class _ClosedFormBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, M):
        U, s, V = signed_svd(M)
        ctx.save_for_backward(U, s, V)
        return U @ V.mT

    @staticmethod
    def backward(ctx, grad):
        U, s, V = ctx.saved_tensors
        P = U.mT @ grad @ V
        return U @ ((P - P.mT) * pair_gains(s)) @ V.mT


def svd_and_closed_form(M: Tensor) -> Tensor:
    """PyTorch's SVD forward, equation (8.7) backward: what rotlib did before this kernel."""
    return _ClosedFormBackward.apply(M)


def scipy_from_matrix(M: Tensor) -> Tensor:
    """SciPy's own orthogonalization; it refuses negative determinants and has no gradient."""
    return torch.from_numpy(Rotation.from_matrix(M.numpy()).as_matrix())


#: Name to function of ``(n, 3, 3)``. A plain copy is the floor: reading and writing nine numbers.
METHODS = {
    "rotlib": svd_orthogonalize,
    "SVD + autograd": svd_and_autograd,
    "SVD + closed form": svd_and_closed_form,
    "RoMa": roma.special_procrustes,
    "plain copy": torch.clone,
}
