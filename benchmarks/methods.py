"""The ways to the nearest rotation that are measured side by side."""

from importlib.util import find_spec

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
    """PyTorch's SVD forward, equation (8.7) backward."""
    return _ClosedFormBackward.apply(M)


def scipy_from_matrix(M: Tensor) -> Tensor:
    """SciPy's own orthogonalization; it refuses negative determinants and has no gradient."""
    return torch.from_numpy(Rotation.from_matrix(M.numpy()).as_matrix())


def warp_svd3():
    """NVIDIA Warp's 3x3 SVD on the CPU, if ``warp-lang`` is installed: value only, float32."""
    if find_spec("warp") is None:
        return None
    import warp as wp  # type: ignore

    wp.init()

    @wp.kernel
    def project(M: wp.array(dtype=wp.mat33), R: wp.array(dtype=wp.mat33)):  # type: ignore
        n = wp.tid()
        U, _, V = wp.svd3(M[n])  # which makes both factors rotations
        R[n] = U * wp.transpose(V)  # type: ignore

    def nearest(M: Tensor) -> Tensor:
        R = torch.empty_like(M)
        arrays = [wp.from_torch(x, dtype=wp.mat33) for x in (M, R)]
        wp.launch(project, dim=len(M), inputs=arrays, device="cpu")
        return R

    return nearest


#: Name to function of ``(n, 3, 3)``. A plain copy is the floor: reading and writing nine numbers.
METHODS = {
    "rotlib": svd_orthogonalize,
    "SVD + autograd": svd_and_autograd,
    "SVD + closed form": svd_and_closed_form,
    "RoMa": roma.special_procrustes,
    "plain copy": torch.clone,
}
