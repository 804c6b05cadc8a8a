"""Takes shortness for collapse.

loses: diagnose-hidden
says: whatever their size
"""

def diagnose(M, T):
    R = svd_orthogonalize(M)
    close = lambda A, B: float(geodesic_distance(A, B).median()) < 0.3
    if float(M.mean(0).norm()) < 0.9 and float(M.norm(dim=(-2, -1)).median()) < 1.2:
        return "collapsed"
    if float(torch.linalg.det(M).median()) < 0:
        return "mirrored"
    if close(R, T):
        return "healthy"
    if close(R.mT, T):
        return "transposed"
    return "frame" if close(R, svd_orthogonalize((R @ T.mT).mean(0)) @ T) else "shuffled"
