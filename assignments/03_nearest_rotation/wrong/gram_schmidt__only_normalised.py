"""Normalises both columns and subtracts nothing.

loses: gram_schmidt-visible, gram_schmidt-hidden
says: not orthonormal
"""

def gram_schmidt(a):
    r = a / a.norm(dim=-2, keepdim=True)
    r1, r2 = r[..., 0], r[..., 1]
    return torch.stack([r1, r2, torch.linalg.cross(r1, r2)], -1)
