"""The planes in another order.

loses: factors-visible, factors-hidden
says: the factors are
"""

def taylor_factors(s, terms):
    s1, s2, s3 = s.unbind(-1)
    return 1 - torch.stack([s3 / s1, s2 / s1, s3 / s2], -1) ** (2 * terms)
