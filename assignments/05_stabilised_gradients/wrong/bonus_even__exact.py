"""The exact gradient.

loses: bonus_even-hidden
says: some gain is left
"""

def even_gradient(M, G):
    leaf = M.clone().requires_grad_()
    return torch.autograd.grad((G * svd_orthogonalize(leaf)).sum(), leaf)[0]
