"""Expects equality to six digits.

loses: diagnose-visible, diagnose-hidden
says: each name is right for one
"""

def diagnose(M, T):
    R = svd_orthogonalize(M)
    if torch.allclose(M, M.mean(0)):
        return "collapsed"
    if (torch.linalg.det(M) < 0).all():
        return "mirrored"
    if torch.allclose(R, T, atol=1e-6):
        return "healthy"
    if torch.allclose(R.mT, T, atol=1e-6):
        return "transposed"
    return "frame" if torch.allclose(R, (R[0] @ T[0].mT) @ T, atol=1e-6) else "shuffled"
