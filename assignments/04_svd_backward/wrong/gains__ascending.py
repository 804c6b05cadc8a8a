"""In the order of the pairs.

loses: gains-visible, gains-hidden
says: descending order
"""

def gains(M):
    s1, s2, s3 = signed_svd(M)[1].unbind(-1)
    values = torch.stack([2 / (s1 + s2), 2 / (s1 + s3), 2 / (s2 + s3)], -1)
    return values, (s1 + s2) / (s2 + s3)
