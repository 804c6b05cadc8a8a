"""Through acos.

loses: direction-hidden
says: acos is too coarse
"""

def direction_error(M, G, terms):
    found = []
    for project in (svd_orthogonalize, lambda X: svd_orthogonalize_taylor(X, terms)):
        leaf = M.clone().requires_grad_()
        g = torch.autograd.grad((G * project(leaf)).sum(), leaf)[0].flatten(-2)
        found.append(g / g.norm(dim=-1, keepdim=True))
    cosine = (found[0] * found[1]).sum(-1).clamp(-1, 1)
    return torch.rad2deg(cosine.acos())
