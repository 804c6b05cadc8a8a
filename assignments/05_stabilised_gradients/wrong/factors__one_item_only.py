"""Right for one item, not for a batch.

loses: factors-hidden
says: a batch of shape
"""

def taylor_factors(s, terms):
    s1, s2, s3 = s
    return 1 - torch.stack([s2 / s1, s3 / s1, s3 / s2]) ** (2 * terms)
