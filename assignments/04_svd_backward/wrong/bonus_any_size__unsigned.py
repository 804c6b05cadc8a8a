"""Unsigned singular values.

loses: bonus_any_size-hidden
says: det M < 0
"""

def differential_any(M, dM):
    U, s, V = signed_svd(M)
    P, s = U.mT @ dM @ V, s.abs()
    return U @ ((P - P.mT) / (s[..., :, None] + s[..., None, :])) @ V.mT
