"""One determinant for the whole batch.

loses: nearest_rotation-hidden
says: a batch of shape
"""

def nearest_rotation(M):
    U, _, Vh = torch.linalg.svd(M)
    d = torch.tensor([1.0, 1.0, 1.0])
    if torch.linalg.det(U @ Vh) < 0:
        d[2] = -1
    return U @ torch.diag(d) @ Vh
