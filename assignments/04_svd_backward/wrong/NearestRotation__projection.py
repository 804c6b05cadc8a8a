"""Right only at rotations: all gains are 1.

loses: NearestRotation-visible, NearestRotation-hidden
says: part by
"""

class NearestRotation(torch.autograd.Function):
    @staticmethod
    def forward(ctx, M):
        R = svd_orthogonalize(M.detach())
        ctx.save_for_backward(R)
        return R

    @staticmethod
    def backward(ctx, G):
        (R,) = ctx.saved_tensors
        A = R.mT @ G
        return R @ (A - A.mT) / 2
