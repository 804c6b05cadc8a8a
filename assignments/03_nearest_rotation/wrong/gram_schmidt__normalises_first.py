"""Normalises before it subtracts, and not after.

loses: gram_schmidt-visible, gram_schmidt-hidden
says: normalised after that
"""

def gram_schmidt(a):
    r = a / a.norm(dim=-2, keepdim=True)
    r1, r2 = r[..., 0], r[..., 1]
    r2 = r2 - (r1 * r2).sum(-1, keepdim=True) * r1
    return torch.stack([r1, r2, torch.linalg.cross(r1, r2)], -1)
