"""Asks most for the turn that is amplified most.

loses: bonus_bend-hidden
says: is possible
"""

def worst_bend(M):
    U, s, Vh = torch.linalg.svd(M)
    s[2] *= torch.linalg.det(M).sign()
    Vh[2] *= torch.linalg.det(U @ Vh).sign()
    low, high = s[0] + s[1], s[1] + s[2]
    kappa = low / high
    A = torch.zeros(3, 3)
    A[0, 1], A[1, 2] = high.sqrt(), low.sqrt()
    A = A - A.mT
    return torch.rad2deg(torch.acos(2 * kappa.sqrt() / (1 + kappa))), U @ (A / A.norm()) @ Vh
