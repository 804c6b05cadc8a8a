"""Takes the third result of the SVD for V.

loses: nearest_rotation-visible, nearest_rotation-hidden
says: V transposed
"""

def nearest_rotation(M):
    U, _, V = torch.linalg.svd(M)
    d = torch.ones(M.shape[:-1])
    d[..., 2] = torch.linalg.det(U @ V).sign()
    return (U * d[..., None, :]) @ V.mT
