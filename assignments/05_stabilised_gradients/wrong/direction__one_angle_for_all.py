"""One angle for the whole batch.

loses: direction-hidden
says: one angle for each item
"""

def direction_error(M, G, terms):
    found = []
    for project in (svd_orthogonalize, lambda X: svd_orthogonalize_taylor(X, terms)):
        leaf = M.clone().requires_grad_()
        g = torch.autograd.grad((G * project(leaf)).sum(), leaf)[0].flatten()
        found.append(g / g.norm())
    a, b = found
    return torch.rad2deg(2 * torch.atan2((a - b).norm(), (a + b).norm()))
