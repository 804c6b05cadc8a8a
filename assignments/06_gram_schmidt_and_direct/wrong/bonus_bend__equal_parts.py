"""Asks for both planes alike.

loses: bonus_bend-hidden
says: is possible
"""

def worst_bend(M):
    U, s, Vh = torch.linalg.svd(M)
    s[2] *= torch.linalg.det(M).sign()
    Vh[2] *= torch.linalg.det(U @ Vh).sign()
    kappa = (s[0] + s[1]) / (s[1] + s[2])
    A = torch.tensor([[0.0, 1, 0], [-1, 0, 1], [0, -1, 0]])
    return torch.rad2deg(torch.acos(2 * kappa.sqrt() / (1 + kappa))), U @ (A / A.norm()) @ Vh
