"""The transpose of the right answer.

loses: nearest_rotation-visible, nearest_rotation-hidden
says: its transpose
"""

def nearest_rotation(M):
    U, _, Vh = torch.linalg.svd(M)
    d = torch.ones(M.shape[:-1])
    d[..., 2] = torch.linalg.det(U @ Vh).sign()
    return ((U * d[..., None, :]) @ Vh).mT
