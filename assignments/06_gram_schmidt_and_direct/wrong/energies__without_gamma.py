"""Forgets that a1 turns the frame about r1 as well.

loses: energies-hidden
says: a1 has a part in w1
"""

def column_energies(x):
    a1, a2 = x[..., :3], x[..., 3:]
    alpha = a1.norm(dim=-1)
    gamma = (a1 * a2).sum(-1) / alpha
    beta2 = (a2**2).sum(-1) - gamma**2
    return torch.stack([4 / alpha**2, 2 / beta2], -1)
