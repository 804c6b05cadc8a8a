"""Unsigned singular values: wrong for half of all matrices.

loses: gains-hidden
says: must carry the sign
"""

def gains(M):
    s1, s2, s3 = torch.linalg.svdvals(M).unbind(-1)
    values = torch.stack([2 / (s2 + s3), 2 / (s1 + s3), 2 / (s1 + s2)], -1)
    return values, (s1 + s2) / (s2 + s3)
