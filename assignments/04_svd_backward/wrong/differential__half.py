"""Takes the skew part, with its factor one half.

loses: differential-visible, differential-hidden
says: half of what
"""

def differential(M, dM):
    U, s, V = signed_svd(M)
    P = U.mT @ dM @ V
    sums = s[..., :, None] + s[..., None, :]
    return U @ ((P - P.mT) / 2 / sums) @ V.mT
