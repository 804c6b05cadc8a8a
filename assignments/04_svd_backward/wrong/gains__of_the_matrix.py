"""The condition number of M itself.

loses: gains-visible, gains-hidden
says: kappa is 5/3
"""

def gains(M):
    s1, s2, s3 = signed_svd(M)[1].unbind(-1)
    values = torch.stack([2 / (s2 + s3), 2 / (s1 + s3), 2 / (s1 + s2)], -1)
    return values, s1 / s3
