"""The eigenvector at the wrong end.

loses: bonus_mean-visible, bonus_mean-hidden
says: far from the middle
"""

def mean_quaternion(q):
    p = torch.linalg.eigh(q.mT @ q)[1][:, 0]
    return p if p[0] >= 0 else -p
