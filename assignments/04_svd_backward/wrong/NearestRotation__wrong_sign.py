"""The numerator the wrong way round.

loses: NearestRotation-visible, NearestRotation-hidden
says: wrong sign
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
        Q = U.mT @ G @ V
        return U @ ((Q.mT - Q) / (s[..., :, None] + s[..., None, :])) @ V.mT
