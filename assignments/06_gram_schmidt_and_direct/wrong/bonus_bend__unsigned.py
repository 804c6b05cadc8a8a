"""Unsigned singular values.

loses: bonus_bend-hidden
says: a matrix of negative determinant
"""

def worst_bend(M):
    U, s, Vh = torch.linalg.svd(M)
    low, high = s[0] + s[1], s[1] + s[2]
    kappa = low / high
    A = torch.zeros(3, 3)
    A[0, 1], A[1, 2] = low.sqrt(), high.sqrt()
    A = A - A.mT
    return torch.rad2deg(torch.acos(2 * kappa.sqrt() / (1 + kappa))), U @ (A / A.norm()) @ Vh
