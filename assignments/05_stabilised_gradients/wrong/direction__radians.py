"""In radians.

loses: direction-visible, direction-hidden
says: in degrees
"""

def direction_error(M, G, terms):
    found = []
    for project in (svd_orthogonalize, lambda X: svd_orthogonalize_taylor(X, terms)):
        leaf = M.clone().requires_grad_()
        g = torch.autograd.grad((G * project(leaf)).sum(), leaf)[0].flatten(-2)
        found.append(g / g.norm(dim=-1, keepdim=True))
    a, b = found
    return 2 * torch.atan2((a - b).norm(dim=-1), (a + b).norm(dim=-1))
