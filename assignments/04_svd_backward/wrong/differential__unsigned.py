"""Unsigned singular values in the sums.

loses: differential-hidden
says: det M < 0
"""

def differential(M, dM):
    U, s, V = signed_svd(M)
    s = s.abs()
    P = U.mT @ dM @ V
    sums = s[..., :, None] + s[..., None, :]
    return U @ ((P - P.mT) / sums) @ V.mT
