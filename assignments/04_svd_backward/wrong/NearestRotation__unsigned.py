"""Unsigned singular values in the sums.

loses: NearestRotation-hidden
says: det M < 0
"""

class NearestRotation(torch.autograd.Function):
    @staticmethod
    def forward(ctx, M):
        ctx.save_for_backward(M)
        return svd_orthogonalize(M.detach())

    @staticmethod
    def backward(ctx, G):
        (M,) = ctx.saved_tensors
        U, s, V = signed_svd(M)
        Q, s = U.mT @ G @ V, s.abs()
        return U @ ((Q - Q.mT) / (s[..., :, None] + s[..., None, :])) @ V.mT
