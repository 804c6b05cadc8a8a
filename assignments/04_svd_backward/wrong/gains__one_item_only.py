"""Right for one matrix, not for a batch.

loses: gains-hidden
says: a batch of shape
"""

def gains(M):
    s1, s2, s3 = signed_svd(M)[1]
    values = torch.stack([2 / (s2 + s3), 2 / (s1 + s3), 2 / (s1 + s2)])
    return values, (s1 + s2) / (s2 + s3)
