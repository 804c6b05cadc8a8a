"""Forgets the determinant.

loses: nearest_rotation-hidden
says: determinant -1
"""

def nearest_rotation(M):
    U, _, Vh = torch.linalg.svd(M)
    return U @ Vh
