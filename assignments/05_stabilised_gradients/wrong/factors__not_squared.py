"""The ratio of singular values, not of their squares.

loses: factors-visible, factors-hidden
says: the ratio itself
"""

def taylor_factors(s, terms):
    s1, s2, s3 = s.unbind(-1)
    return 1 - torch.stack([s2 / s1, s3 / s1, s3 / s2], -1) ** terms
