"""Compares lengths and directions at once.

loses: direction-visible, direction-hidden
says: the angle is
"""

def direction_error(M, G, terms):
    found = []
    for project in (svd_orthogonalize, lambda X: svd_orthogonalize_taylor(X, terms)):
        leaf = M.clone().requires_grad_()
        found.append(torch.autograd.grad((G * project(leaf)).sum(), leaf)[0].flatten(-2))
    a, b = found
    return torch.rad2deg(2 * torch.atan2((a - b).norm(dim=-1), (a + b).norm(dim=-1)))
