"""Projects on the tangent space: right only at rotations.

loses: differential-visible, differential-hidden
says: gains 1/(s_i + s_j) are missing
"""

def differential(M, dM):
    R = svd_orthogonalize(M)
    A = R.mT @ dM
    return R @ (A - A.mT) / 2
