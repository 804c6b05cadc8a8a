"""Forgets the transpose in the numerator.

loses: differential-visible, differential-hidden
says: not skew
"""

def differential(M, dM):
    U, s, V = signed_svd(M)
    P = U.mT @ dM @ V
    sums = s[..., :, None] + s[..., None, :]
    return U @ (P / sums) @ V.mT
