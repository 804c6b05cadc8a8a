"""The length of a2 in the place of its length across a1.

loses: energies-hidden
says: its length across a1
"""

def column_energies(x):
    a1, a2 = x[..., :3], x[..., 3:]
    alpha = a1.norm(dim=-1)
    gamma = (a1 * a2).sum(-1) / alpha
    beta2 = (a2**2).sum(-1)
    return torch.stack([2 / alpha**2 * (2 + gamma**2 / beta2), 2 / beta2], -1)
