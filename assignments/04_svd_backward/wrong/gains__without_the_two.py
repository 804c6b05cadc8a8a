"""One over the sums.

loses: gains-visible, gains-hidden
says: where is the 2
"""

def gains(M):
    s1, s2, s3 = signed_svd(M)[1].unbind(-1)
    values = torch.stack([1 / (s2 + s3), 1 / (s1 + s3), 1 / (s1 + s2)], -1)
    return values, (s1 + s2) / (s2 + s3)
