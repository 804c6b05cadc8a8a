"""Looks for a turn of the body in the place of one of the world.

loses: diagnose-visible, diagnose-hidden
says: each name is right for one
"""

def diagnose(M, T):
    R = svd_orthogonalize(M)
    close = lambda A, B: float(geodesic_distance(A, B).median()) < 0.3
    if float((M - M.mean(0)).square().sum((-2, -1)).mean()) < 1:
        return "collapsed"
    if float(torch.linalg.det(M).median()) < 0:
        return "mirrored"
    if close(R, T):
        return "healthy"
    if close(R.mT, T):
        return "transposed"
    return "frame" if close(R, T @ svd_orthogonalize((T.mT @ R).mean(0))) else "shuffled"
