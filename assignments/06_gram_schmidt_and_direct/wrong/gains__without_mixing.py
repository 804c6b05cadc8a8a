"""Leaves out what a1 does about r1.

loses: gains-hidden
says: gamma mixes
"""

def gains(x):
    a1, a2 = x[..., :3], x[..., 3:]
    alpha = a1.norm(dim=-1)
    beta = torch.linalg.cross(a1, a2).norm(dim=-1) / alpha
    every = math.sqrt(2) * torch.stack([1 / alpha, 1 / alpha, 1 / beta], -1)
    return every.sort(-1, descending=True).values
