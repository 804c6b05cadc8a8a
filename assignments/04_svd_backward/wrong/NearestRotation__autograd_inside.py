"""Lets autograd go through the factors.

loses: NearestRotation-hidden
says: where all singular values are equal
"""

class NearestRotation(torch.autograd.Function):
    @staticmethod
    def forward(ctx, M):
        ctx.save_for_backward(M)
        return svd_orthogonalize(M.detach())

    @staticmethod
    def backward(ctx, G):
        (M,) = ctx.saved_tensors
        with torch.enable_grad():
            leaf = M.detach().requires_grad_()
            U, _, Vh = torch.linalg.svd(leaf)
            sign = torch.linalg.det(U @ Vh)
            d = torch.stack([torch.ones_like(sign), torch.ones_like(sign), sign], -1)
            R = (U * d[..., None, :]) @ Vh
        return torch.autograd.grad(R, leaf, G)[0]
