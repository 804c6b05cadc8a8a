"""The vectors as rows.

loses: gram_schmidt-visible, gram_schmidt-hidden
says: must be the columns
"""

def gram_schmidt(a):
    a1, a2 = a[..., 0], a[..., 1]
    r1 = a1 / a1.norm(dim=-1, keepdim=True)
    rest = a2 - (r1 * a2).sum(-1, keepdim=True) * r1
    r2 = rest / rest.norm(dim=-1, keepdim=True)
    return torch.stack([r1, r2, torch.linalg.cross(r1, r2)], -2)
