"""The arithmetic mean.

loses: bonus_mean-visible, bonus_mean-hidden
says: not 1
"""

def mean_quaternion(q):
    return q.mean(0)
