"""Written for three.

loses: bonus_any_size-visible, bonus_any_size-hidden
says: stops it
"""

def differential_any(M, dM):
    U, s, V = signed_svd(M)
    P = U.mT @ dM @ V
    sums = s[..., :, None] + s[..., None, :] + torch.eye(3)
    return U @ ((P - P.mT) / sums) @ V.mT
