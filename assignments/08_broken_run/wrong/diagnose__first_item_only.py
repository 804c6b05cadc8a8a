"""Judges by the first item.

loses: diagnose-visible, diagnose-hidden
says: each name is right for one
"""

def diagnose(M, T):
    R = svd_orthogonalize(M[:2])
    close = lambda A, B: float(geodesic_distance(A, B)) < 0.3
    if float((M[0] - M[1]).norm()) < 1:
        return "collapsed"
    if float(torch.linalg.det(M[0])) < 0:
        return "mirrored"
    if close(R[0], T[0]):
        return "healthy"
    return "transposed" if close(R[0].mT, T[0]) else "frame"
