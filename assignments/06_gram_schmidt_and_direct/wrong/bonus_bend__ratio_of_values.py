"""The ratio of singular values in the place of the ratio of sums.

loses: bonus_bend-visible, bonus_bend-hidden
says: kappa is 2
"""

def worst_bend(M):
    U, s, Vh = torch.linalg.svd(M)
    kappa = s[0] / s[2]
    A = torch.zeros(3, 3)
    A[0, 1], A[1, 2] = s[0].sqrt(), s[2].sqrt()
    A = A - A.mT
    return torch.rad2deg(torch.acos(2 * kappa.sqrt() / (1 + kappa))), U @ (A / A.norm()) @ Vh
