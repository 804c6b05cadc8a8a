"""Flips signs to agree with the first, then averages.

loses: bonus_mean-hidden
says: not enough
"""

def mean_quaternion(q):
    q = torch.where((q @ q[0] < 0)[:, None], -q, q)
    p = q.mean(0) / q.mean(0).norm()
    return p if p[0] >= 0 else -p
