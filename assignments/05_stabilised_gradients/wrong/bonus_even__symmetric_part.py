"""The symmetric part.

loses: bonus_even-visible, bonus_even-hidden
says: the exact gradient
"""

def even_gradient(M, G):
    R = svd_orthogonalize(M)
    A = R.mT @ G
    return R @ (A + A.mT) / 2
