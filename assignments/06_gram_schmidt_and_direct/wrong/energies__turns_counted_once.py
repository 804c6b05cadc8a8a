"""Without the 2 from turns to entries.

loses: energies-visible, energies-hidden
says: shows twice
"""

def column_energies(x):
    a1, a2 = x[..., :3], x[..., 3:]
    alpha = a1.norm(dim=-1)
    gamma = (a1 * a2).sum(-1) / alpha
    beta2 = (a2**2).sum(-1) - gamma**2
    return torch.stack([(2 + gamma**2 / beta2) / alpha**2, 1 / beta2], -1)
