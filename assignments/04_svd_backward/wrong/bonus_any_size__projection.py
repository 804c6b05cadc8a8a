"""Projects on the tangent space.

loses: bonus_any_size-visible, bonus_any_size-hidden
says: see something else
"""

def differential_any(M, dM):
    R = svd_orthogonalize(M)
    A = R.mT @ dM
    return R @ (A - A.mT) / 2
