"""Multiplies the whole matrix by the sign: a rotation, but not the nearest.

loses: nearest_rotation-hidden
says: not the nearest
"""

def nearest_rotation(M):
    U, _, Vh = torch.linalg.svd(M)
    Q = U @ Vh
    return Q * torch.linalg.det(Q).sign()[..., None, None]
