"""Without the one half.

loses: bonus_even-visible, bonus_even-hidden
says: twice too long
"""

def even_gradient(M, G):
    R = svd_orthogonalize(M)
    A = R.mT @ G
    return R @ (A - A.mT)
