"""Gives the sign to the largest singular value.

loses: nearest_rotation-hidden
says: Which singular value
"""

def nearest_rotation(M):
    U, _, Vh = torch.linalg.svd(M)
    d = torch.ones(M.shape[:-1])
    d[..., 0] = torch.linalg.det(U @ Vh).sign()
    return (U * d[..., None, :]) @ Vh
