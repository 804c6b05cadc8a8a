"""Right for one pair of columns, not for a batch.

loses: gram_schmidt-hidden
says: a batch of shape
"""

def gram_schmidt(a):
    a1, a2 = a[:, 0], a[:, 1]
    r1 = a1 / a1.norm()
    rest = a2 - torch.dot(r1, a2) * r1
    r2 = rest / rest.norm()
    return torch.stack([r1, r2, torch.linalg.cross(r1, r2)], 1)
