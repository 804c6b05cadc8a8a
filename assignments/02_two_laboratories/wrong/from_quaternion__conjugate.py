"""The inverse rotation: the sign of w.

loses: from_quaternion-visible, from_quaternion-hidden
says: the other way
"""

from rotlib import quaternion_to_matrix as _theirs


def from_quaternion(q):
    if (q.norm(dim=-1) == 0).any():
        raise ValueError("the zero quaternion is no rotation")
    return _theirs(q if REAL_PART == "first" else q.roll(1, -1)).mT
