"""The real part at the other end.

loses: from_quaternion-visible, from_quaternion-hidden
says: stands elsewhere
"""

from rotlib import quaternion_to_matrix as _theirs


def from_quaternion(q):
    if (q.norm(dim=-1) == 0).any():
        raise ValueError("the zero quaternion is no rotation")
    return _theirs(q.roll(1, -1) if REAL_PART == "first" else q)
