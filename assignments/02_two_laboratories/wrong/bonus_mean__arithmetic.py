"""The arithmetic mean, normalised.

loses: bonus_mean-hidden
says: signs at random
"""

def mean_quaternion(q):
    p = q.mean(0)
    p = p / p.norm()
    return p if p[0] >= 0 else -p
